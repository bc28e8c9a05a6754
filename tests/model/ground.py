"""Section 4, the town: where one can stand, what is in reach, and how far it is.

``Ground`` is made of the loaded plan, which is data; it never changes.
"""

from collections import deque

from tests.model.conventions import DIRECTIONS, LONGEST_PATH, UNREACHABLE

FLOOR, ROAD, DOOR = 0, 1, 2
WINDOW = 3
"""Distances are known in a window of 3 x 3 districts."""


class Ground:
    """The tiles of a town."""

    def __init__(self, plan):
        self.width, self.height = plan.width, plan.height
        self.place_at = plan.place_at.tolist()
        solid = {(each.x, each.y) for each in plan.objects}
        self.passable = [
            [code in {FLOOR, ROAD, DOOR} and (x, y) not in solid for x, code in enumerate(row)]
            for y, row in enumerate(plan.tiles.tolist())
        ]
        self.in_reach = {}
        """tile -> numbers of the objects that can be used from it, ascending"""
        for number, each in enumerate(plan.objects):
            for tile in each.reach:
                self.in_reach.setdefault(tile, []).append(number)
        self._district = (plan.width // plan.grid_cols, plan.height // plan.grid_rows)
        self._grid = (plan.grid_cols, plan.grid_rows)
        self._reach = [each.reach for each in plan.objects]
        self._middle = [each.district for each in plan.objects]
        self._fields = {}

    def stands(self, x, y):
        """Whether the tile is on the map and passable."""
        return 0 <= x < self.width and 0 <= y < self.height and self.passable[y][x]

    def path_to(self, number, x, y):
        """Steps to the reach of an object, known in a window around the object's district."""
        if number not in self._fields:
            self._fields[number] = self._walk(self._reach[number], self._window(self._middle[number]))
        return self._fields[number].get((x, y), UNREACHABLE)

    def around(self, x, y):
        """The tiles that can be walked to from one, by (path, y, x); the first is the tile itself."""
        seen, ring = {(x, y)}, [(x, y)]
        while ring:
            yield from sorted(ring, key=lambda tile: (tile[1], tile[0]))
            following = []
            for tile in ring:
                for step in self._steps(*tile):
                    if step not in seen:
                        seen.add(step)
                        following.append(step)
            ring = following

    def _steps(self, x, y):
        return [(x + dx, y + dy) for dx, dy in DIRECTIONS.values() if self.stands(x + dx, y + dy)]

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
            for x, y in self._steps(*tile):
                if left <= x < right and top <= y < bottom and (x, y) not in steps:
                    steps[x, y] = steps[tile] + 1
                    waiting.append((x, y))
        return steps
