"""Section 4, the town: where one can stand, what is in reach, and how far it is.

``Ground`` is made of the loaded plan, which is data; it never changes.
"""

from tests.model.conventions import DIRECTIONS
from tests.model.fields import Fields

FLOOR, ROAD, DOOR = 0, 1, 2


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
        self.district_size = (plan.width // plan.grid_cols, plan.height // plan.grid_rows)
        self.fields = Fields(plan, self.stands)
        self.centres = [self._centre(number) for number in range(len(plan.places))]
        """centre of the bounding box of each place"""

    def _centre(self, place):
        tiles = [(x, y) for y, row in enumerate(self.place_at) for x, at in enumerate(row) if at == place]
        columns, rows = {x for x, _ in tiles}, {y for _, y in tiles}
        return (min(columns) + max(columns)) / 2, (min(rows) + max(rows)) / 2

    def stands(self, x, y):
        """Whether the tile is on the map and passable."""
        return 0 <= x < self.width and 0 <= y < self.height and self.passable[y][x]

    def path_to(self, number, x, y):
        """Steps to the reach of an object."""
        return self.fields.steps(self.fields.objects + number, x, y)

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
