"""Reads a map into a district: the grid, its places, objects, homes and jobs, checked.

A map is drawn with symbols; its legend defines each symbol. Nothing is repaired: a map in which a resident
could not reach something that it needs is refused.
"""

import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from townlet_adapters.documents import KeyPath
from townlet_adapters.validation import spell_value
from townlet_adapters.worlds.town.inputs.blame import Places
from townlet_adapters.worlds.town.inputs.texts import JobText, LegendEntry, MapText
from townlet_adapters.worlds.town.inputs.tiles import FIRST_IMPASSABLE_TILE, TILES
from townlet_adapters.worlds.town.inputs.vocabulary import Vocabulary
from townlet_core.errors import ConfigError, Problem
from townlet_core.suggestions import nearest

NO_PLACE: Final = -1
INHERIT: Final = "@"
LONGEST_PATH: Final = 254
"""Number of steps beyond which a tile counts as unreachable, as in the distance fields."""
LEAST_REACH: Final = 2

Spot: TypeAlias = tuple[int, int]
"""A tile as (x, y)."""

_NUMBERED: Final = re.compile(r"(.+)_[0-9]+")
_STEPS: Final = ((0, -1), (0, 1), (1, 0), (-1, 0))


@dataclass(frozen=True, slots=True)
class MapObject:
    """An object on a map.

    Attributes:
        type: its type.
        x: column.
        y: row.
        place: index of its place in the district.
        reach: tiles from which it can be used, row by row.
    """

    type: str
    x: int
    y: int
    place: int
    reach: tuple[Spot, ...]


@dataclass(frozen=True, slots=True, eq=False)
class District:
    """A map that has been read and checked.

    Attributes:
        id: name of the map.
        agents: number of residents that it is designed for.
        tiles: uint8[H, W], codes in the order of ``TILES``; read-only.
        place_at: int32[H, W], index into ``places``, -1 none; read-only.
        places: (id, kind), in file order.
        objects: row by row.
        homes: home tiles (x, y), row by row.
        entry: tile (x, y) at which newcomers arrive.
        room: number of free tiles that residents can reach.
        jobs: job id -> job, in file order.
    """

    id: str
    agents: int
    tiles: npt.NDArray[np.uint8]
    place_at: npt.NDArray[np.int32]
    places: tuple[tuple[str, str], ...]
    objects: tuple[MapObject, ...]
    homes: tuple[Spot, ...]
    entry: Spot
    room: int
    jobs: Mapping[str, JobText]


def read_district(text: MapText, document: Places, vocabulary: Vocabulary) -> District:
    """Read a map.

    Args:
        text: the map.
        document: the document that holds it, for messages.
        vocabulary: the kinds of place and types of object that it may have.

    Raises:
        ConfigError: when the map breaks a rule of domain.md, section 4; with file, line and key.
    """
    return _Reader(text, document, vocabulary).district()


def walk_distances(passable: npt.NDArray[np.bool_], start: Spot) -> npt.NDArray[np.int32]:
    """Return the number of steps from a tile to every other.

    Args:
        passable: bool[H, W].
        start: (x, y).

    Returns:
        int32[H, W] steps by 4-neighbours over passable tiles, -1 where unreachable.
    """
    height, width = passable.shape
    # Plain lists: indexing a numpy array tile by tile is several times slower.
    free = passable.tolist()
    steps = [[-1] * width for _ in range(height)]
    steps[start[1]][start[0]] = 0
    frontier = deque([start])
    while frontier:
        x, y = frontier.popleft()
        for dx, dy in _STEPS:
            nx, ny = x + dx, y + dy
            if 0 <= nx < width and 0 <= ny < height and free[ny][nx] and steps[ny][nx] < 0:
                steps[ny][nx] = steps[y][x] + 1
                frontier.append((nx, ny))
    return np.array(steps, dtype=np.int32)


class _Reader:
    """Reads one map; every step collects its problems and stops if there are any."""

    def __init__(self, text: MapText, document: Places, vocabulary: Vocabulary) -> None:
        self._text = text
        self._document = document
        self._vocabulary = vocabulary
        self._height = len(text.rows)
        # The width of most rows, so that the message names the one odd row.
        self._width = Counter(map(len, text.rows)).most_common(1)[0][0]
        self._place_ids = tuple(text.kinds)

    def district(self) -> District:
        """Read the map step by step."""
        self._stop_on(self._problems_of_names())
        self._stop_on(self._problems_of_legend())
        self._stop_on(self._problems_of_rows())
        tiles = np.array(
            [[TILES.index(entry.tile) for entry in self._entries(row)] for row in self._text.rows],
            dtype=np.uint8,
        )
        place_at = self._place_at()
        objects = tuple(self._objects(place_at))
        passable = tiles < FIRST_IMPASSABLE_TILE
        for item in objects:
            passable[item.y, item.x] = False
        objects = tuple(self._with_reach(item, passable, place_at) for item in objects)
        entry = self._entry(passable)
        homes = tuple(self._marked("home"))
        steps = walk_distances(passable, entry)
        self._stop_on(
            [
                *self._problems_of_homes(homes, passable, place_at, steps),
                *self._problems_of_objects(objects, steps),
                *self._problems_of_places(place_at, steps),
                *self._problems_of_jobs(),
            ]
        )
        for array in (tiles, place_at):
            array.flags.writeable = False
        return District(
            id=self._text.id,
            agents=self._text.agents,
            tiles=tiles,
            place_at=place_at,
            places=tuple(self._text.kinds.items()),
            objects=objects,
            homes=homes,
            entry=entry,
            room=int((steps >= 0).sum()),
            jobs=self._text.jobs,
        )

    def _stop_on(self, problems: Iterable[Problem]) -> None:
        found = tuple(problems)
        if found:
            raise ConfigError(*found)

    def _problem(self, path: KeyPath, found: str, allowed: str) -> Problem:
        return self._document.problem(path, found, allowed)

    def _entries(self, row: str) -> list[LegendEntry]:
        return [self._text.legend[symbol] for symbol in row]

    def _cells(self) -> Iterator[tuple[int, int, LegendEntry]]:
        for y, row in enumerate(self._text.rows):
            for x, entry in enumerate(self._entries(row)):
                yield x, y, entry

    def _marked(self, mark: str) -> list[Spot]:
        return [(x, y) for x, y, entry in self._cells() if entry.mark == mark]

    def _problems_of_names(self) -> Iterator[Problem]:
        types, kinds = self._vocabulary.object_types, self._vocabulary.place_kinds
        for symbol, entry in self._text.legend.items():
            if entry.object is not None and entry.object not in types:
                found = f"unknown type of object '{entry.object}'"
                yield self._problem(("legend", symbol, "object"), found, nearest(entry.object, types))
        for place, kind in self._text.kinds.items():
            if kind not in kinds:
                yield self._problem(("kinds", place), f"unknown kind of place '{kind}'", nearest(kind, kinds))

    def _problems_of_legend(self) -> Iterator[Problem]:
        for symbol, entry in self._text.legend.items():
            path = ("legend", symbol, "place")
            if entry.place is not None and entry.place not in (INHERIT, *self._place_ids):
                found = f"the place '{entry.place}' has no kind"
                yield self._problem(path, found, f'{nearest(entry.place, self._place_ids)}, or "@"')
            if entry.object is not None and entry.place is None:
                allowed = 'give it a place, or "@" for the place of the tiles around it'
                yield self._problem(("legend", symbol), f"the {entry.object} has no place", allowed)
            if entry.object is not None and entry.mark is not None:
                allowed = "an object's tile is not free: remove `mark` or `object`"
                yield self._problem(("legend", symbol, "mark"), f"a mark on the {entry.object}", allowed)

    def _problems_of_rows(self) -> Iterator[Problem]:
        legend = self._text.legend
        for y, row in enumerate(self._text.rows):
            path = ("rows", y)
            for x, symbol in enumerate(row):
                if symbol not in legend:
                    found = f"unknown symbol {spell_value(symbol)} at ({x}, {y})"
                    known = " ".join(spell_value(each) for each in legend)
                    yield self._problem(path, found, f"allowed by the legend: {known}")
            if len(row) != self._width:
                width = f"a row of {self._width} symbols, like the others"
                yield self._problem(path, self._odd_row(y, row), f"allowed: {width}")

    def _odd_row(self, y: int, row: str) -> str:
        for x in range(self._width, len(row)):
            entry = self._text.legend.get(row[x])
            if entry is not None and entry.object is not None:
                return f"the {entry.object} at ({x}, {y}) is outside the map, which is {self._width} wide"
        return f"a row of {len(row)} symbols"

    def _place_at(self) -> npt.NDArray[np.int32]:
        """Assign every tile its place; "@" takes that of its neighbours, in repeated passes row by row."""
        place_at = np.full((self._height, self._width), NO_PLACE, dtype=np.int32)
        waiting: list[Spot] = []
        for x, y, entry in self._cells():
            if entry.place == INHERIT:
                waiting.append((x, y))
            elif entry.place is not None:
                place_at[y, x] = self._place_ids.index(entry.place)
        while waiting:
            still = [(x, y) for x, y in waiting if not self._inherit(place_at, x, y)]
            if len(still) == len(waiting):
                self._stop_on(
                    self._problem(
                        ("rows", y),
                        f"the tile at ({x}, {y}) has no neighbour with a place",
                        'allowed for "@": a tile next to a tile with a place',
                    )
                    for x, y in still
                )
            waiting = still
        return place_at

    def _inherit(self, place_at: npt.NDArray[np.int32], x: int, y: int) -> bool:
        around = {
            int(place_at[y + dy, x + dx])
            for dx, dy in _STEPS
            if 0 <= x + dx < self._width and 0 <= y + dy < self._height
        } - {NO_PLACE}
        if len(around) > 1:
            names = " and ".join(self._place_ids[place] for place in sorted(around))
            found = f"the tile at ({x}, {y}) is between {names}"
            allowed = 'allowed for "@": neighbours of one place; use a symbol with a place'
            self._stop_on([self._problem(("rows", y), found, allowed)])
        if around:
            place_at[y, x] = around.pop()
        return bool(around) or place_at[y, x] != NO_PLACE

    def _objects(self, place_at: npt.NDArray[np.int32]) -> Iterator[MapObject]:
        for x, y, entry in self._cells():
            if entry.object is not None:
                yield MapObject(entry.object, x, y, int(place_at[y, x]), ())

    def _with_reach(
        self, item: MapObject, passable: npt.NDArray[np.bool_], place_at: npt.NDArray[np.int32]
    ) -> MapObject:
        reach = tuple(
            (x, y)
            for y in range(max(0, item.y - 1), min(self._height, item.y + 2))
            for x in range(max(0, item.x - 1), min(self._width, item.x + 2))
            if passable[y, x] and place_at[y, x] == item.place
        )
        return MapObject(item.type, item.x, item.y, item.place, reach)

    def _entry(self, passable: npt.NDArray[np.bool_]) -> Spot:
        entries = self._marked("entry")
        if not entries:
            raise ConfigError(
                self._problem(("rows",), "no entry", "required: one tile with `mark: entry` in its legend")
            )
        x, y = entries[-1]
        if len(entries) > 1:
            found = f"{len(entries)} entries, the last at ({x}, {y})"
            raise ConfigError(self._problem(("rows", y), found, "allowed: one tile marked `entry`"))
        if not passable[y, x]:
            found = f"the entry at ({x}, {y}) is not passable"
            raise ConfigError(self._problem(("rows", y), found, "allowed: floor, road or door"))
        return x, y

    def _problems_of_homes(
        self,
        homes: tuple[Spot, ...],
        passable: npt.NDArray[np.bool_],
        place_at: npt.NDArray[np.int32],
        steps: npt.NDArray[np.int32],
    ) -> Iterator[Problem]:
        if not homes:
            yield self._problem(("rows",), "no home tile", "required: tiles with `mark: home` in the legend")
        for x, y in homes:
            where = f"the home tile at ({x}, {y})"
            if not passable[y, x]:
                yield self._problem(("rows", y), f"{where} is not passable", "allowed: floor, road or door")
            elif place_at[y, x] == NO_PLACE:
                yield self._problem(("rows", y), f"{where} has no place", "give its symbol a place")
            elif not _is_near(steps, x, y):
                yield self._problem(("rows", y), f"{where} {_CUT_OFF}", _WAY_IN)

    def _problems_of_objects(
        self, objects: tuple[MapObject, ...], steps: npt.NDArray[np.int32]
    ) -> Iterator[Problem]:
        for item in objects:
            where = f"the {item.type} at ({item.x}, {item.y})"
            if len(item.reach) < LEAST_REACH:
                found = f"{where} can be used from {len(item.reach)} tiles"
                allowed = f"required: {LEAST_REACH} free tiles of its place next to it"
                yield self._problem(("rows", item.y), found, allowed)
            elif not any(_is_near(steps, x, y) for x, y in item.reach):
                yield self._problem(("rows", item.y), f"{where} {_CUT_OFF}", _WAY_IN)

    def _problems_of_places(
        self, place_at: npt.NDArray[np.int32], steps: npt.NDArray[np.int32]
    ) -> Iterator[Problem]:
        near = (steps >= 0) & (steps <= LONGEST_PATH)
        workplaces = {job.place for job in self._text.jobs.values()}
        for index, place in enumerate(self._place_ids):
            word = "workplace" if place in workplaces else "place"
            numbered = _NUMBERED.fullmatch(place)
            if numbered is not None and numbered[1] in self._vocabulary.object_types:
                allowed = "use another name: `<type>_<n>` is reserved for objects"
                yield self._problem(
                    ("kinds", place), f"the {word} '{place}' has the name of an object", allowed
                )
            if not (place_at == index).any():
                yield self._problem(
                    ("kinds", place), f"the {word} '{place}' has no tiles", "draw it or remove it"
                )
            elif not near[place_at == index].any():
                yield self._problem(("kinds", place), f"the {word} '{place}' {_CUT_OFF}", _WAY_IN)

    def _problems_of_jobs(self) -> Iterator[Problem]:
        for job_id, job in self._text.jobs.items():
            if job.place not in self._place_ids:
                path = ("jobs", job_id, "place")
                yield self._problem(path, f"unknown place '{job.place}'", nearest(job.place, self._place_ids))


_CUT_OFF: Final = "cannot be reached from the entry"
_WAY_IN: Final = f"required: a path of at most {LONGEST_PATH} steps"


def _is_near(steps: npt.NDArray[np.int32], x: int, y: int) -> bool:
    return 0 <= int(steps[y, x]) <= LONGEST_PATH
