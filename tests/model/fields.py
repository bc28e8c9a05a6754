"""Section 4, fields: how far the goals of residents are, and which way leads there."""

from collections import deque

from tests.model.conventions import DIRECTIONS, LONGEST_PATH, UNREACHABLE

WINDOW = 3
"""Distances are known in a window of 3 x 3 districts."""


class Fields:
    """The distances to all goals: objects' reaches, places, home tiles, districts' entries, in this order.

    Attributes:
        objects: number of the field of the first object; so are ``places``, ``homes`` and ``entries``.
        count: the number of fields.
    """

    def __init__(self, plan, stands):
        self._stands = stands
        self._district = (plan.width // plan.grid_cols, plan.height // plan.grid_rows)
        self._grid = (plan.grid_cols, plan.grid_rows)
        place_at = plan.place_at.tolist()
        tiles = {}
        for y, row in enumerate(place_at):
            for x, place in enumerate(row):
                if stands(x, y):
                    tiles.setdefault(place, []).append((x, y))
        self._goals = [(each.reach, each.district) for each in plan.objects]
        self.objects, self.places = 0, len(self._goals)
        self._goals += [(tiles.get(number, []), each.district) for number, each in enumerate(plan.places)]
        self.homes = len(self._goals)
        self._goals += [([(each.x, each.y)], each.district) for each in plan.home_tiles]
        self.entries = len(self._goals)
        self._goals += [([entry], district) for district, entry in enumerate(plan.entries)]
        self.count = len(self._goals)
        self._fields = {}

    def steps(self, field, x, y):
        """Steps to a goal, known in a window around its district."""
        if field not in self._fields:
            goals, district = self._goals[field]
            self._fields[field] = self._walk(goals, self._window(district))
        return self._fields[field].get((x, y), UNREACHABLE)

    def way(self, field, x, y):
        """The field that leads to a goal: its own, or of the entry of a district on the way there."""
        if self.steps(field, x, y) != UNREACHABLE:
            return field
        column, row = x // self._district[0], y // self._district[1]
        goal_row, goal_column = divmod(self._goals[field][1], self._grid[0])
        nearer = (
            self.entries
            + (row + _sign(goal_row - row)) * self._grid[0]
            + column
            + _sign(goal_column - column)
        )
        if self.steps(nearer, x, y) != UNREACHABLE:
            return nearer
        return self.entries + row * self._grid[0] + column

    def leads(self, field, x, y, direction):
        """Whether a step strictly lowers a field."""
        dx, dy = DIRECTIONS[direction]
        return self._stands(x + dx, y + dy) and self.steps(field, x + dx, y + dy) < self.steps(field, x, y)

    def _window(self, district):
        """The tiles (first x, first y, behind the last x, behind the last y) of a district's window."""
        edges = []
        row, column = divmod(district, self._grid[0])
        for middle, count, side in zip((column, row), self._grid, self._district, strict=True):
            first = max(0, min(middle - 1, count - WINDOW))
            edges.append((first * side, min(count, first + WINDOW) * side))
        return edges[0][0], edges[1][0], edges[0][1], edges[1][1]

    def _walk(self, goals, window):
        left, top, right, bottom = window
        steps = dict.fromkeys(goals, 0)
        waiting = deque(goals)
        while waiting:
            tile = waiting.popleft()
            if steps[tile] == LONGEST_PATH:
                break
            for dx, dy in DIRECTIONS.values():
                x, y = tile[0] + dx, tile[1] + dy
                inside = left <= x < right and top <= y < bottom
                if inside and self._stands(x, y) and (x, y) not in steps:
                    steps[x, y] = steps[tile] + 1
                    waiting.append((x, y))
        return steps


def _sign(number):
    return (number > 0) - (number < 0)
