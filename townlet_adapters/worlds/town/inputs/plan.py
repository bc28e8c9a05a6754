"""Builds the plan of a town from its options: everything fixed before the first tick, checked together."""

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from types import MappingProxyType
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from townlet_adapters.documents import KeyPath, spell_key
from townlet_adapters.worlds.town.codes import TICKS_PER_DAY
from townlet_adapters.worlds.town.inputs.manifest import Manifest
from townlet_adapters.worlds.town.inputs.perturbations import Spec, read_specs
from townlet_adapters.worlds.town.inputs.prices import (
    LEAST_PAY,
    MOST_PAY,
    base_prices,
    cost_of_a_day,
    is_balanced,
)
from townlet_adapters.worlds.town.inputs.resident_names import load_names
from townlet_adapters.worlds.town.inputs.sources import FoundMap, find_manifest, find_map, stop_on
from townlet_adapters.worlds.town.inputs.texts import MAX_TILES, GridTown, MapText, TownOptions
from townlet_adapters.worlds.town.inputs.townmap import NO_PLACE, District, Spot, read_district
from townlet_adapters.worlds.town.inputs.vocabulary import Vocabulary, read_vocabulary, removal_key
from townlet_core.dto.hook import HookStage
from townlet_core.errors import ConfigError, Problem
from townlet_core.jsonvalue import JsonValue, canonical_json
from townlet_core.suggestions import nearest
from townlet_plugins.access import Access

RESIDENTS_PER_NORM: Final = 8


@dataclass(frozen=True, slots=True)
class Place:
    """A place.

    Attributes:
        id: its id; in a grid with the suffix of its district.
        kind: its kind.
        has_till: whether purchases and wages go through its own till.
        district: number of its district.
    """

    id: str
    kind: str
    has_till: bool
    district: int


@dataclass(frozen=True, slots=True)
class TownObject:
    """An object.

    Attributes:
        id: ``<type>_<n>``, n from 1 for each type, row by row over the whole town.
        type: its type.
        x: column.
        y: row.
        place: index of its place.
        district: number of its district.
        reach: tiles (x, y) from which it can be used, row by row.
    """

    id: str
    type: str
    x: int
    y: int
    place: int
    district: int
    reach: tuple[Spot, ...]


@dataclass(frozen=True, slots=True)
class HomeTile:
    """A tile where a resident lives: column, row, index of its place, number of its district."""

    x: int
    y: int
    place: int
    district: int


@dataclass(frozen=True, slots=True)
class Job:
    """A job.

    Attributes:
        id: its id; in a grid with the suffix of its district.
        place: index of the workplace.
        start: minute of the day at which the shift starts.
        end: minute of the day at which it ends; before ``start`` when it passes midnight.
        wage: mills for each tick.
        late_fine: mills for a shift that starts late.
        capacity: how many residents can hold it.
        district: number of its district.
    """

    id: str
    place: int
    start: int
    end: int
    wage: int
    late_fine: int
    capacity: int
    district: int

    @property
    def length(self) -> int:
        """Ticks of a shift."""
        return (self.end - self.start) % TICKS_PER_DAY


@dataclass(frozen=True, slots=True, eq=False)
class TownPlan:
    """Everything about a town that is fixed before its first tick.

    Attributes:
        id: name of the map; for a grid with its size.
        width: tiles from west to east.
        height: tiles from north to south.
        tiles: uint8[height, width], codes in the order of ``tiles.TILES``; read-only.
        place_at: int32[height, width], index into ``places``, -1 none; read-only.
        places: by district, then in file order.
        objects: row by row over the whole town; the index is the object's number.
        home_tiles: by (district, y, x).
        entries: entry tile (x, y) of each district.
        jobs: by district, then in file order.
        districts: number of districts.
        grid_rows: districts from north to south.
        grid_cols: districts from west to east.
        target: residents at the start.
        capacity: slots for residents.
        embedding_slots: slots of embeddings.
        town_digest: SHA-256 in hex of the map's content and the grid.
        prices: base price in mills by price key.
        affordances: the manifest; each affordance is enabled or not.
        names: names for residents.
        specs: the specs of events.
        vocabulary: the needs, items, kinds of place, types of object, prices and profiles of the town.
        warnings: shortages of the town, as sentences.
        notices: what the vocabulary makes the town leave out, as sentences.
        map: the map of a district, with all changes.
        stamped: symbol of the map -> number of the stamp that defines it, and the symbol there.
    """

    id: str
    width: int
    height: int
    tiles: npt.NDArray[np.uint8]
    place_at: npt.NDArray[np.int32]
    places: tuple[Place, ...]
    objects: tuple[TownObject, ...]
    home_tiles: tuple[HomeTile, ...]
    entries: tuple[Spot, ...]
    jobs: tuple[Job, ...]
    districts: int
    grid_rows: int
    grid_cols: int
    target: int
    capacity: int
    embedding_slots: int
    town_digest: str
    prices: Mapping[str, int]
    affordances: Manifest
    names: tuple[str, ...]
    specs: tuple[Spec, ...]
    vocabulary: Vocabulary
    warnings: tuple[str, ...]
    notices: tuple[str, ...]
    map: MapText
    stamped: Mapping[str, tuple[int, str]]

    def __repr__(self) -> str:
        return (
            f"TownPlan({self.id}, {self.width} x {self.height} tiles, {len(self.places)} places, "
            f"{len(self.objects)} objects, {len(self.jobs)} jobs, {self.target} residents)"
        )


def load_town(
    options: TownOptions, access: Access, hooks: Mapping[str, frozenset[HookStage]] = MappingProxyType({})
) -> TownPlan:
    """Read the map and the manifest that the options name, and check everything together.

    Args:
        options: the options of the town.
        access: which files they may name; relative paths start in its folder.
        hooks: active hooks with the stages that they handle, in the order of the calls.

    Raises:
        ConfigError: with a key relative to the options, or with a file, its line and a key relative to it.
    """
    vocabulary = read_vocabulary(options.vocabulary, access)
    found = find_map(options, access)
    rows, cols = found.rows, found.cols
    district = _read_district(found, vocabulary)
    manifest = find_manifest(options, access, vocabulary, hooks)
    prices = base_prices(options.economy, vocabulary)
    names = load_names()
    stop_on(
        *_problems_of_overrides(options, district, names, vocabulary),
        *_problems_of_prices(options, district, manifest, prices, found),
    )
    target, capacity, embedding_slots = _sizes(options, district, rows * cols)
    cost = cost_of_a_day(options.economy.rent_per_day, prices, vocabulary.basket)
    warnings = (
        *_shortages(district, rows * cols, target, vocabulary),
        *_check_balance(options, district, cost, found),
        *_dead_ends(options, target, district, manifest, vocabulary),
    )
    grid = _Grid(district, rows, cols, is_grid=isinstance(options.town, GridTown))
    return TownPlan(
        id=grid.town_id,
        width=grid.width * cols,
        height=grid.height * rows,
        tiles=_frozen(np.tile(district.tiles, (rows, cols))),
        place_at=_frozen(grid.place_at()),
        places=tuple(grid.places(vocabulary)),
        objects=grid.objects(),
        home_tiles=tuple(grid.home_tiles()),
        entries=tuple(grid.moved(district.entry, number) for number in range(rows * cols)),
        jobs=tuple(grid.jobs(options)),
        districts=rows * cols,
        grid_rows=rows,
        grid_cols=cols,
        target=target,
        capacity=capacity,
        embedding_slots=embedding_slots,
        town_digest=_town_digest(found),
        prices=prices,
        affordances=manifest,
        names=names,
        specs=read_specs(options.perturbations, vocabulary),
        vocabulary=vocabulary,
        warnings=warnings,
        notices=manifest.dropped,
        map=found.text,
        stamped=found.stamped,
    )


def _read_district(found: FoundMap, vocabulary: Vocabulary) -> District:
    """Read the map, and refuse a grid of it that would not fit into the memory of an ordinary machine."""
    district = read_district(found.text, found.places, vocabulary)
    height, width = district.tiles.shape
    tiles = found.rows * height * found.cols * width
    if tiles > MAX_TILES:
        what = f"{found.rows} x {found.cols} districts of {width} x {height} tiles are {tiles}"
        allowed = f"allowed: at most {MAX_TILES} tiles in all; use fewer or smaller districts"
        raise ConfigError(Problem("town.grid", what, allowed))
    return district


def _town_digest(found: FoundMap) -> str:
    """Return SHA-256 in hex of the map's content and the grid."""
    text = found.text
    # The order of places and jobs matters to the town, but canonical JSON sorts keys.
    order = [list(text.kinds), list(text.jobs)]
    content: JsonValue = {
        "map": text.model_dump(mode="json"),
        "order": order,
        "rows": found.rows,
        "cols": found.cols,
    }
    return hashlib.sha256(canonical_json(content)).hexdigest()


def _problems_of_overrides(
    options: TownOptions, district: District, names: tuple[str, ...], vocabulary: Vocabulary
) -> Iterator[Problem]:
    yield from _problems_of_words(options, vocabulary)
    for name in options.personalities.overrides:
        # "Ada-2" is the second Ada.
        if name.partition("-")[0] not in names:
            key = spell_key(("personalities", "overrides", name))
            yield Problem(key, f"unknown name '{name}'", nearest(name, names))
    for job_id in options.employment.jobs:
        if job_id not in district.jobs:
            yield Problem(
                f"employment.jobs.{job_id}", f"unknown job '{job_id}'", nearest(job_id, district.jobs)
            )


def _problems_of_words(options: TownOptions, vocabulary: Vocabulary) -> Iterator[Problem]:
    """Find needs and profiles that the vocabulary does not have."""
    for need in options.needs.decay:
        if need not in vocabulary.needs:
            key = f"needs.decay.{need}"
            yield Problem(key, f"unknown need '{need}'", nearest(need, vocabulary.needs))
    for profile in options.personalities.weights:
        if profile not in vocabulary.profiles:
            key = f"personalities.weights.{profile}"
            yield Problem(key, f"unknown profile '{profile}'", nearest(profile, vocabulary.profiles))
    weights = {name: about.weight for name, about in vocabulary.profiles.items()}
    if not any({**weights, **options.personalities.weights}.values()):
        yield Problem("personalities.weights", "all weights are 0", "at least one must be above 0")
    for name, profile in options.personalities.overrides.items():
        if profile not in vocabulary.profiles:
            key = spell_key(("personalities", "overrides", name))
            yield Problem(key, f"unknown profile '{profile}'", nearest(profile, vocabulary.profiles))


def _problems_of_prices(
    options: TownOptions, district: District, manifest: Manifest, prices: Mapping[str, int], found: FoundMap
) -> Iterator[Problem]:
    """Find goods that are offered without a price; each is reported once, however many objects offer it."""
    reported: set[tuple[str, str]] = set()
    for item in district.objects:
        place, kind = district.places[item.place]
        for affordance in manifest.affordances:
            if not affordance.enabled or affordance.object_type != item.type:
                continue
            asked = {f"{kind}.{priced}" for charge in affordance.charge for priced in charge.price}
            for key in sorted(asked - prices.keys()):
                if (affordance.id, key) not in reported:
                    reported.add((affordance.id, key))
                    where = f"the {item.type} at ({item.x}, {item.y}) in {place}"
                    what = f"{affordance.id} at {where} needs the price {key}, which is missing"
                    allowed = f"add {key} to vocabulary.prices; known prices: {', '.join(sorted(prices))}"
                    culprit = _culprit_of_price(options, affordance.id, key)
                    if culprit:
                        yield Problem(spell_key(culprit), what, allowed)
                    else:
                        yield found.places.problem(("rows", item.y), what, allowed)


def _culprit_of_price(options: TownOptions, affordance: str, price: str) -> KeyPath:
    """Return what removes a price or asks for it anew; empty when only the map can have done that."""
    if price in options.vocabulary.remove.prices:
        return removal_key(options.vocabulary, ("prices", price))
    added = [text.id for text in options.affordances.add]
    return ("affordances", "add", added.index(affordance), "charge") if affordance in added else ()


def _sizes(options: TownOptions, district: District, districts: int) -> tuple[int, int, int]:
    """Determine the residents at the start, the slots for residents and the embedding slots."""
    designed_for, room = district.agents * districts, district.room * districts
    population = options.population
    target = population.target if population.target is not None else designed_for
    capacity = population.capacity if population.capacity is not None else math.ceil(target * 5 / 4)
    slots = options.embeddings.max_slots
    if target > room:
        allowed = f"allowed: at most {room}, the number of free tiles"
        raise ConfigError(Problem("population.target", str(target), allowed))
    if capacity < target:
        raise ConfigError(
            Problem("population.capacity", str(capacity), f"allowed: at least population.target, {target}")
        )
    if slots is not None and slots < capacity:
        allowed = f"allowed: at least population.capacity, {capacity}"
        raise ConfigError(Problem("embeddings.max_slots", str(slots), allowed))
    return target, capacity, slots if slots is not None else default_embedding_slots(capacity)


def default_embedding_slots(capacity: int) -> int:
    """Return the number of embedding slots of a town with so many slots for residents."""
    return max(64, 2 * capacity)


def _shortages(district: District, districts: int, residents: int, vocabulary: Vocabulary) -> Iterator[str]:
    """Compare the town's objects, homes and jobs with the needs of its residents, per eight residents."""
    counts = Counter(item.type for item in district.objects)
    for kind, about in vocabulary.object_types.items():
        needed, there = math.ceil(about.per_eight * residents / RESIDENTS_PER_NORM), counts[kind] * districts
        if there < needed:
            yield f"{residents} residents need {needed} objects of type {kind}; the town has {there}"
    homes = len(district.homes) * districts
    if homes < residents:
        yield f"{residents} residents need {residents} home tiles; the town has {homes}"
    work = sum(job.capacity for job in district.jobs.values()) * districts
    needed = residents + residents // RESIDENTS_PER_NORM
    if work < needed:
        yield f"{residents} residents need jobs for {needed}, including vacancies; the town has {work}"


def _check_balance(options: TownOptions, district: District, cost: Fraction, found: FoundMap) -> list[str]:
    """Compare what each job pays with the cost of a day; return warnings, or raise, as the config says."""
    policy = options.economy.balance_check
    problems: list[Problem] = []
    for job_id, job in district.jobs.items():
        length = (job.end - job.start) % TICKS_PER_DAY
        if policy == "off" or is_balanced(job.wage, length, cost):
            continue
        pay = job.wage * length
        what = f"a shift pays {pay} mills, but a day costs {float(cost):.0f} at this rent and these prices"
        least, most = math.ceil(LEAST_PAY * cost), math.floor(MOST_PAY * cost)
        allowed = f"allowed: {least} to {most} mills a shift, or set economy.balance_check to warn or off"
        problems.append(found.places.problem(("jobs", job_id, "wage"), what, allowed))
    if policy == "error":
        stop_on(*problems)
    return [str(problem) for problem in problems]


def _dead_ends(
    options: TownOptions, residents: int, district: District, manifest: Manifest, vocabulary: Vocabulary
) -> Iterator[str]:
    """Find what no resident can get out of: doors in which no one yields, needs that nothing raises."""
    if options.queues.ghost_step_after == 0 and residents > 1:
        yield (
            "queues.ghost_step_after is 0: two residents who meet in a corridor or a door never pass each "
            "other, and stand there for ever; set it to 1 or more"
        )
    there = {item.type for item in district.objects}
    raised = {
        need
        for affordance in manifest.affordances
        if affordance.enabled and affordance.object_type in there
        for need, change in (*affordance.effects.need.items(), *affordance.each_tick.items())
        if change > 0
    }
    for need, about in vocabulary.needs.items():
        if about.decay and need not in raised:
            yield f"nothing in the town raises the need {need}; add an affordance and an object with it"


ScalarT = TypeVar("ScalarT", bound=np.generic)


def _frozen(array: npt.NDArray[ScalarT]) -> npt.NDArray[ScalarT]:
    array.flags.writeable = False
    return array


class _Grid:
    """A repeated district; districts are numbered row by row."""

    def __init__(self, district: District, rows: int, cols: int, *, is_grid: bool) -> None:
        self._district = district
        self._rows, self._cols, self._is_grid = rows, cols, is_grid
        self.height, self.width = district.tiles.shape
        self.town_id = f"{district.id}_{rows}x{cols}" if is_grid else district.id

    def _suffix(self, number: int) -> str:
        return f"@r{number // self._cols}c{number % self._cols}" if self._is_grid else ""

    def _place(self, place: int, number: int) -> int:
        return number * len(self._district.places) + place

    def moved(self, spot: Spot, number: int) -> Spot:
        """Return the position of a spot of the map in a district."""
        x, y = spot
        return x + number % self._cols * self.width, y + number // self._cols * self.height

    def place_at(self) -> npt.NDArray[np.int32]:
        """Number the places of all districts consecutively."""
        whole = np.tile(self._district.place_at, (self._rows, self._cols))
        numbers = np.arange(self._rows * self._cols, dtype=np.int32).reshape(self._rows, self._cols)
        first = numbers.repeat(self.height, axis=0).repeat(self.width, axis=1) * len(self._district.places)
        return np.where(whole == NO_PLACE, np.int32(NO_PLACE), whole + first).astype(np.int32)

    def places(self, vocabulary: Vocabulary) -> Iterator[Place]:
        """Return the places."""
        for number in range(self._rows * self._cols):
            for place, kind in self._district.places:
                yield Place(place + self._suffix(number), kind, vocabulary.place_kinds[kind].till, number)

    def objects(self) -> tuple[TownObject, ...]:
        """Return the objects, numbered row by row over the whole town."""
        unnamed: list[TownObject] = []
        for number in range(self._rows * self._cols):
            for item in self._district.objects:
                x, y = self.moved((item.x, item.y), number)
                reach = tuple(self.moved(spot, number) for spot in item.reach)
                place = self._place(item.place, number)
                unnamed.append(TownObject("", item.type, x, y, place, number, reach))
        unnamed.sort(key=lambda each: (each.y, each.x))
        counts: Counter[str] = Counter()
        named: list[TownObject] = []
        for each in unnamed:
            counts[each.type] += 1
            named.append(replace(each, id=f"{each.type}_{counts[each.type]}"))
        return tuple(named)

    def home_tiles(self) -> Iterator[HomeTile]:
        """Return the home tiles."""
        for number in range(self._rows * self._cols):
            for x, y in self._district.homes:
                place = self._place(int(self._district.place_at[y, x]), number)
                yield HomeTile(*self.moved((x, y), number), place, number)

    def jobs(self, options: TownOptions) -> Iterator[Job]:
        """Return the jobs, with the config's changes."""
        changed = options.employment.jobs
        index = {place: number for number, (place, _) in enumerate(self._district.places)}
        for number in range(self._rows * self._cols):
            for job_id, job in self._district.jobs.items():
                yield Job(
                    id=job_id + self._suffix(number),
                    place=self._place(index[job.place], number),
                    start=job.start,
                    end=job.end,
                    wage=job.wage,
                    late_fine=changed[job_id].late_fine if job_id in changed else job.late_fine,
                    capacity=job.capacity,
                    district=number,
                )
