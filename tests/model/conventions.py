"""Section 0, conventions: clamping, distances, directions, orders."""

DAY = 1440
"""ticks of a day"""
LONGEST_PATH = 254
UNREACHABLE = 255
DIRECTIONS = {"north": (0, -1), "south": (0, 1), "east": (1, 0), "west": (-1, 0)}
"""Tried in this order; x grows east, y south."""


def clamp(x, a, b):
    """min(b, max(a, x))."""
    return min(b, max(a, x))


def cheb(x1, y1, x2, y2):
    """max(abs dx, abs dy)."""
    return max(abs(x1 - x2), abs(y1 - y2))
