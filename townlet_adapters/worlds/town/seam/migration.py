"""Brings what an older version of the town stored in a snapshot up to date, one schema number at a time."""

import base64
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from townlet_adapters.documents import Document, read_document
from townlet_adapters.validation import validate
from townlet_adapters.worlds.town.codes import (
    DISTURBANCES,
    EFFECT_CLOSED,
    EFFECT_OFF,
    EFFECTS_PER_DISTRICT,
    EV_ARRIVE,
    FLOWS,
    NOBODY,
    TICKS_PER_DAY,
    UTILITIES,
)
from townlet_adapters.worlds.town.compiled.model import most_cooldowns, most_effects, most_events
from townlet_adapters.worlds.town.compiled.state import ARRIVAL, EFFECT, EVENT, PERTURBATION, TIE
from townlet_adapters.worlds.town.inputs.perturbations import PerturbationsOptions, shipped_specs
from townlet_adapters.worlds.town.inputs.plan import default_embedding_slots
from townlet_adapters.worlds.town.inputs.rewards import RewardsOptions
from townlet_adapters.worlds.town.inputs.shipped import BEFORE, SHIPPED_MAPS, shipped_file
from townlet_adapters.worlds.town.inputs.sources import checksum_of, extended_entries
from townlet_adapters.worlds.town.inputs.texts import MAX_EMBEDDING_SLOTS, TownOptions
from townlet_adapters.worlds.town.inputs.vocabulary import Vocabulary, VocabularyText, read_vocabulary
from townlet_adapters.worlds.town.seam.snapshot import PENDING, REBUILT, decode_array, encode_array
from townlet_adapters.worlds.town.systems.lifecycle import LONG_AGO
from townlet_core.errors import ConfigError, SnapshotError
from townlet_core.jsonvalue import JsonObject, JsonValue
from townlet_plugins.access import Access
from townlet_plugins.factory import StoredWorld

_FIELD: Final = re.compile(r"([a-z_]+):([<|][biuf][1248])\[(\d{0,6})\]@(\d{1,6})", re.ASCII)
"""One field of a layout: its name, type, length and offset. The town's records had no other types."""

_NUMBERS_OF_ITEMS: Final = ("inventory", "stock")
_SHIPPED_BEFORE_TIES: Final = "b7ec356f370248998336b275cd1017d626bd7b66c274c0aeddc15da1757c9998"
"""Digest of the vocabulary that was shipped when profiles did not say how residents take to each other."""

_MOST_PENDING: Final = 2 * 16_384
"""Rows of a reset: an arrival and a hiring for each resident."""

_RECORDS: Final = ("towns", "districts", "residents", "objects", "outcomes", "pending")
"""Arrays of schema 1 that are records."""

_MOST_FIELDS: Final = 100
_MOST_DIMENSIONS: Final = 8
"""More than any record of the town had; an invented one may cost its reader no more."""


def from_schema_1(stored: StoredWorld) -> StoredWorld:
    """Bring a town of schema 1 to schema 2.

    Records were saved as one block of bytes, and are saved field by field now. Four arrays that follow from
    the others are no longer saved. A queue is a chain of residents now, and a cool-down an entry in a short
    list of a resident. A row of the journal has more columns now. The options had every number of what is
    the vocabulary now.

    Raises:
        SnapshotError: when the part is damaged.
    """
    part = {
        name: _fields_of(name, value) if name in _RECORDS else value
        for name, value in stored.part.items()
        if name not in REBUILT
    }
    part[PENDING] = _pending_of_schema_2(part)
    shipped = _shipped()
    options = _options_of_schema_2(stored.options, shipped)
    _chain_queues(part)
    _list_cooldowns(part, _durations(options))
    identity = {**stored.identity, "vocabulary_digest": shipped.digest}
    return StoredWorld(options, part, identity)


def from_schema_2(stored: StoredWorld) -> StoredWorld:
    """Bring a town of schema 2 to schema 3, in which residents can leave.

    The day's accounts have two more flows, and a town knows which embedding slots were released: none.

    Raises:
        SnapshotError: when the part is damaged.
    """
    part = dict(stored.part)
    towns = _records(part, "towns")
    part["towns"] = {**towns, "forced_reuses": encode_array(np.zeros(1, np.int64))}
    flows = _whole("flows", part.get("flows"), 2)
    if flows.shape[1] > len(FLOWS):
        raise SnapshotError("snapshot_corrupt", "world.flows is damaged")
    part["flows"] = encode_array(np.pad(flows, ((0, 0), (0, len(FLOWS) - flows.shape[1]))))
    slots = _whole("residents.serial", _records(part, "residents").get("serial"), 2).shape[1]
    part["released"] = encode_array(np.zeros((1, _embedding_slots(stored.options, slots)), np.int64))
    return StoredWorld(stored.options, part, stored.identity)


def from_schema_3(stored: StoredWorld) -> StoredWorld:
    """Bring a town of schema 3 to schema 4, in which effects say what is off or closed.

    Every utility that was off and every object that was closed gets an effect without an end. Prices had no
    effects: each was its base price.

    Raises:
        SnapshotError: when the part is damaged.
    """
    part = dict(stored.part)
    districts, objects = _records(part, "districts"), _records(part, "objects")
    shape = _whole("districts.losses_today", districts.get("losses_today"), 2).shape
    utility = decode_array("districts.utility", districts.get("utility"), np.zeros((*shape, 2), np.uint8))[0]
    number = _whole("objects.holder", objects.get("holder"), 2).shape
    closed = decode_array("objects.closed", objects.get("closed"), np.zeros(number, np.bool_))[0]
    off = [(EFFECT_OFF, who, key) for who, key in np.argwhere(utility == 0).tolist()]
    shut = [(EFFECT_CLOSED, who, 0) for who in np.flatnonzero(closed).tolist()]
    effects = np.zeros((1, _effects_of_schema_4(len(closed), len(utility))), EFFECT)
    for row, (kind, who, key) in zip(effects[0], off + shut, strict=False):
        row.kind, row.who, row.key = kind, who, key
    count = encode_array(np.array([len(off) + len(shut)]))
    part["effects"] = {name: encode_array(effects[name]) for name in effects.dtype.names or ()}
    part["towns"] = {**_records(part, "towns"), "effects": count}
    part["price"] = {"normal": encode_array(_whole("price", part.get("price"), 3))}
    part["districts"] = {name: value for name, value in districts.items() if name != "utility"}
    part["objects"] = {name: value for name, value in objects.items() if name != "closed"}
    return StoredWorld(stored.options, part, stored.identity)


def from_schema_4(stored: StoredWorld) -> StoredWorld:
    """Bring a town of schema 4 to schema 5, whose clock may start at any time, and whose needs are drawn.

    The clock had started at midnight, and all needs at one level.
    """
    section = stored.options.get("population")
    population = {**(section if isinstance(section, Mapping) else {}), "start_spread": 0.0}
    options = {**stored.options, "time": {"start_tod": 0}, "population": population}
    return StoredWorld(options, stored.part, stored.identity)


def from_schema_5(stored: StoredWorld) -> StoredWorld:
    """Bring a town of schema 5 to schema 6, in which residents can have ties; at first they have none.

    Profiles have two more habits, which are part of the vocabulary, and the features of ties are not zero any
    more, which is another layout.

    Raises:
        SnapshotError: when the part is damaged.
    """
    part = dict(stored.part)
    residents = _records(part, "residents")
    shape = _whole("residents.serial", residents.get("serial"), 2).shape
    none = encode_array(np.zeros(shape, np.int64))
    part["residents"] = {**residents, "ties": none, "talk_ready": none}
    ties = np.zeros((*shape, TownOptions().relationships.max_ties), TIE)
    part["ties"] = {name: encode_array(ties[name]) for name in ties.dtype.names or ()}
    identity = dict(stored.identity)
    if identity.get("vocabulary_digest") == _SHIPPED_BEFORE_TIES:
        identity["vocabulary_digest"] = _shipped().digest
    if identity.get("layout_version") == "1":
        identity["layout_version"] = "2"
    return StoredWorld(stored.options, part, identity)


def from_schema_6(stored: StoredWorld) -> StoredWorld:
    """Bring a town of schema 6 to schema 7, in which affordances can work in each tick and end early.

    The town keeps its map, its vocabulary and its affordances, of which none does: the shipped ones are
    others now.

    Raises:
        SnapshotError: when the part or the options are damaged.
    """
    options, part = _options_of_schema_7(stored.options), dict(stored.part)
    objects = _records(part, "objects")
    number = _whole("objects.holder", objects.get("holder"), 2).shape
    part["objects"] = {**objects, "low": encode_array(np.zeros(number, np.int64))}
    return StoredWorld(options, part, {**stored.identity, "manifest_digest": _manifest_digest(options)})


def _effects_of_schema_4(objects: int, districts: int) -> int:
    """Return the length of the list of effects before there were events."""
    return objects + districts * (len(UTILITIES) + EFFECTS_PER_DISTRICT)


def from_schema_7(stored: StoredWorld) -> StoredWorld:
    """Bring a town of schema 7 to schema 8, in which residents are rewarded and leave, and events happen.

    The potential of each resident is that of its needs. Vocabularies say what profiles are rewarded for. No
    resident had left by itself, so the town goes on as one for training; no event happens by itself, either.

    Raises:
        SnapshotError: when the part or the options are damaged.
    """
    return _with_exits(_with_rewards(stored))


def _with_rewards(stored: StoredWorld) -> StoredWorld:
    """Add what rewards need."""
    part = dict(stored.part)
    vocabulary = _vocabulary_of(stored.options)
    residents = _records(part, "residents")
    shape = _whole("residents.serial", residents.get("serial"), 2).shape
    alive = decode_array("residents.alive", residents.get("alive"), np.zeros(shape, np.bool_)).astype(
        np.bool_
    )
    levels = np.zeros((*shape, len(vocabulary.needs)))
    unmet = np.zeros(shape)
    needs = decode_array("residents.need", residents.get("need"), levels).astype(np.float64)
    for number, need in enumerate(vocabulary.needs.values()):
        unmet += need.weight * (1.0 - needs[..., number])
    part["residents"] = {
        **residents,
        **dict.fromkeys(("guard_until", "greeted"), encode_array(np.zeros(shape, np.int64))),
        "potential": encode_array(np.where(alive, -(RewardsOptions().shaping * unmet), 0.0)),
        "day_reward": encode_array(np.zeros(shape)),
    }
    _add_events(part)
    identity = {**stored.identity, "vocabulary_digest": vocabulary.digest}
    features = {**_section(stored.options, "features"), "perturbations": False}
    return StoredWorld({**stored.options, "features": features}, part, identity)


def _vocabulary_of(options: JsonObject) -> Vocabulary:
    try:
        read = validate(Document({"vocabulary": options["vocabulary"]}, "options"), TownOptions)
        return read_vocabulary(read.vocabulary, Access(Path()))
    except (ConfigError, KeyError) as error:
        raise SnapshotError("snapshot_corrupt", f"the options have a damaged vocabulary: {error}") from error


def _with_exits(stored: StoredWorld) -> StoredWorld:
    """Add what exits and arrivals need."""
    part = dict(stored.part)
    residents, districts = _records(part, "residents"), _records(part, "districts")
    shape = _whole("residents.serial", residents.get("serial"), 2).shape
    alive = decode_array("residents.alive", residents.get("alive"), np.zeros(shape, np.bool_))
    birth = _whole("residents.birth", residents.get("birth"), 2)
    ages = TownOptions().lifecycle
    number = _whole("districts.losses_today", districts.get("losses_today"), 2).shape
    none = encode_array(np.zeros(shape, np.int64))
    part["residents"] = {
        **residents,
        **dict.fromkeys(("collapse_ticks", "low_ticks_today", "due", "due_since", "kept"), none),
        "owed_since": encode_array(np.where(alive, NOBODY, 0).astype(np.int64)),
        "jobless_since": encode_array(birth),
        "moves": encode_array(np.where(alive, birth + ages.stay_most * TICKS_PER_DAY, 0).astype(np.int64)),
    }
    part["districts"] = {
        **districts,
        "exits_today": encode_array(np.zeros(number, np.int64)),
        "last_exit": encode_array(np.full(number, LONG_AGO, np.int64)),
        "calm": encode_array(np.zeros((*number, DISTURBANCES), np.int64)),
    }
    numbers = {
        "mortality": 1, "exit_cap": ages.daily_exit_cap, "exit_spacing": ages.exit_spacing, "arrivals": 0,
    }  # fmt: skip
    part["towns"] = {
        **_records(part, "towns"),
        **{name: encode_array(np.array([value])) for name, value in numbers.items()},
    }
    arrivals = np.zeros(shape, ARRIVAL)
    part["arrivals"] = {name: encode_array(arrivals[name]) for name in arrivals.dtype.names or ()}
    options = {**stored.options, "lifecycle": {"training_mode": True}}
    return StoredWorld(options, part, stored.identity)


def _add_events(part: dict[str, JsonValue]) -> None:
    """Add an empty list of events and what belongs to it; the list of effects has room for theirs."""
    residents, districts = _records(part, "residents"), _records(part, "districts")
    slots = _whole("residents.serial", residents.get("serial"), 2).shape
    objects = _whole("objects.holder", _records(part, "objects").get("holder"), 2).shape[1]
    _, number, keys = _whole("price.normal", _records(part, "price").get("normal"), 3).shape
    none = encode_array(np.zeros(slots, np.int64))
    invitation = dict.fromkeys(("invite", "invite_place", "invite_until", "meet_ready", "meets"), none)
    part["residents"] = {**residents, **invitation}
    part["districts"] = {**districts, "quiet_until": encode_array(np.zeros((1, number), np.int64))}
    counts = dict.fromkeys(("perturbations", "last_event"), encode_array(np.zeros(1, np.int64)))
    part["towns"] = {**_records(part, "towns"), **counts}
    events = np.zeros((1, most_events(number)), PERTURBATION)
    part["perturbations"] = {name: encode_array(events[name]) for name in events.dtype.names or ()}
    starts = max(1, PerturbationsOptions().max_per_window)
    part["spec_ready"] = encode_array(np.zeros((1, number, len(shipped_specs())), np.int64))
    part["starts"] = encode_array(np.zeros((1, number, starts), np.int64))
    effects = {}
    for name, value in _records(part, "effects").items():
        rows = _whole(f"effects.{name}", value, 2)
        missing = most_effects(objects, number, keys) - rows.shape[1]
        if missing < 0:
            raise SnapshotError("snapshot_corrupt", f"world.effects.{name} is damaged")
        effects[name] = encode_array(np.pad(rows, ((0, 0), (0, missing))))
    part["effects"] = effects


def _options_of_schema_7(options: JsonObject) -> JsonObject:
    """Return options that mean the same as they did, by the names of the files that were shipped then."""
    changed: dict[str, JsonValue] = dict(options)
    for name, shipped in (("vocabulary", "town"), ("affordances", "core")):
        section = {"extend": shipped, **_section(options, name)}
        if section["extend"] == shipped:
            section["extend"] = BEFORE + shipped
        changed[name] = section
    town = options.get("town", "town_48")
    if isinstance(town, Mapping) and isinstance(town.get("grid"), Mapping):
        grid = _section(town, "grid")
        changed["town"] = {"grid": {**grid, "district": _earlier_map(grid.get("district", "town_48"))}}
    else:
        changed["town"] = _earlier_map(town)
    return changed


def _section(options: JsonObject, name: str) -> dict[str, JsonValue]:
    section = options.get(name)
    return dict(section) if isinstance(section, Mapping) else {}


def _earlier_map(source: JsonValue) -> JsonValue:
    """Return the name of a map as it was shipped before; a map of one's own stays as it is."""
    if isinstance(source, str) and source in SHIPPED_MAPS:
        return BEFORE + source
    if isinstance(source, Mapping) and "extend" in source:
        return {**source, "extend": _earlier_map(source["extend"])}
    return source


def _manifest_digest(options: JsonObject) -> str:
    """Return the checksum of the manifest; that of affordances of one's own covers the keys that came."""
    try:
        read = validate(Document({"affordances": options["affordances"]}, "options"), TownOptions)
        entries, data = extended_entries(read, Access(Path()))
    except ConfigError as error:
        raise SnapshotError("snapshot_corrupt", f"the options have damaged affordances: {error}") from error
    return checksum_of(read, entries, data)


def _embedding_slots(options: JsonObject, capacity: int) -> int:
    section = options.get("embeddings")
    given = section.get("max_slots") if isinstance(section, Mapping) else None
    if given is None:
        return default_embedding_slots(capacity)
    if type(given) is not int or not capacity <= given <= MAX_EMBEDDING_SLOTS:
        raise SnapshotError("snapshot_corrupt", "the options have an impossible number of embedding slots")
    return given


def _chain_queues(part: dict[str, JsonValue]) -> None:
    """Write the slot behind each resident, and the first one of each object, in place of all slots."""
    queue = _whole("queue", part.pop("queue", None), 3)[0]
    residents, objects = _records(part, "residents"), _records(part, "objects")
    length = _whole("objects.queue_length", objects.get("queue_length"), 2)[0]
    if len(length) != len(queue) or not ((length >= 0) & (length <= queue.shape[1])).all():
        raise SnapshotError("snapshot_corrupt", "world.objects.queue_length is damaged")
    alive = decode_array("residents.alive", residents.get("alive"), np.zeros((1, queue.shape[1]), np.bool_))[
        0
    ]
    behind = np.where(alive, NOBODY, 0)
    first = np.full(len(queue), NOBODY, np.int64)
    for o in np.flatnonzero(length).tolist():
        slots = queue[o, : length[o]]
        if not ((slots >= 0) & (slots < len(behind))).all():
            raise SnapshotError("snapshot_corrupt", "world.queue is damaged")
        first[o] = slots[0]
        behind[slots[:-1]] = slots[1:]
    part["residents"] = {**residents, "behind": encode_array(behind[None].astype(np.int64))}
    part["objects"] = {**objects, "first": encode_array(first[None])}


def _list_cooldowns(part: dict[str, JsonValue], durations: Sequence[int]) -> None:
    """List the objects that cool down for each resident, instead of a tick for every object."""
    until = _whole("cooldown", part.pop("cooldown", None), 3)[0]
    most = most_cooldowns(until.shape[1], durations)
    order = np.argsort(-until, axis=1, kind="stable")[:, :most]
    ticks = np.take_along_axis(until, order, axis=1)
    listed = np.zeros((1, len(until), most, 2), np.int64)
    listed[0, :, : order.shape[1], 0] = np.where(ticks > 0, order, 0)
    listed[0, :, : order.shape[1], 1] = ticks
    part["cooldowns"] = encode_array(listed)


def _durations(options: JsonObject) -> list[int]:
    """Return the durations of all affordances of a town of schema 2."""
    section = options.get("affordances")
    given = section if isinstance(section, Mapping) else {}
    added = given.get("add")
    entries = list(added) if isinstance(added, Sequence) and not isinstance(added, str) else []
    if given.get("extend", "core") is not None:
        shipped = read_document(shipped_file(BEFORE + "manifest")).value
        entries += shipped if isinstance(shipped, Sequence) and not isinstance(shipped, str) else []
    found = [entry["duration"] for entry in entries if isinstance(entry, Mapping) and "duration" in entry]
    durations = [duration for duration in found if isinstance(duration, int) and duration > 0]
    if not durations:
        raise SnapshotError("snapshot_corrupt", "the options have no affordance with a duration")
    return durations


def _records(part: Mapping[str, JsonValue], name: str) -> JsonObject:
    value = part.get(name)
    if not isinstance(value, Mapping):
        raise SnapshotError("snapshot_corrupt", f"world.{name} is damaged")
    return value


def _whole(name: str, value: JsonValue, dimensions: int) -> npt.NDArray[np.int64]:
    """Decode whole numbers of a batch of one, whatever the lengths of the other dimensions."""
    match value:
        case {"shape": [1, *sizes]} if len(sizes) == dimensions - 1:
            lengths = [size for size in sizes if type(size) is int and 0 <= size <= _MOST_PENDING]
            if len(lengths) == len(sizes):
                return decode_array(name, value, np.broadcast_to(np.int64(0), (1, *lengths))).astype(np.int64)
    raise SnapshotError("snapshot_corrupt", f"world.{name} is damaged")


def _shipped() -> Vocabulary:
    """Return the vocabulary that every town of schema 1 had."""
    return read_vocabulary(VocabularyText(extend=BEFORE + "town"), Access(Path()))


def _pending_of_schema_2(part: JsonObject) -> JsonObject:
    """Return the events of the reset in today's columns; an arrival takes its values from the resident.

    Raises:
        SnapshotError: when a column is damaged.
    """
    old, residents = _records(part, PENDING), _records(part, "residents")
    first = old.get("kind")
    shape = first.get("shape") if isinstance(first, Mapping) else None
    match shape:
        case [int(count)] if count <= _MOST_PENDING:
            rows = np.zeros(count, EVENT)
        case _:
            raise SnapshotError("snapshot_corrupt", f"world.{PENDING} has an invalid length")
    for name in rows.dtype.names or ():
        before = "value" if name == "x" else name
        if before in old:
            rows[name] = decode_array(f"{PENDING}.{before}", old[before], rows[name])
    arrived = rows["kind"] == EV_ARRIVE
    slots = rows["a"][arrived]
    for column, field in zip("defgh", ("wallet", "name", "name_round", "profile", "district"), strict=True):
        values = _whole(f"residents.{field}", residents.get(field), 2)[0]
        if not ((slots >= 0) & (slots < len(values))).all():
            raise SnapshotError("snapshot_corrupt", f"world.{PENDING} names a slot that does not exist")
        rows[column][arrived] = values[slots]
    return {name: encode_array(rows[name]) for name in rows.dtype.names or ()}


def _fields_of(name: str, value: JsonValue) -> JsonObject:
    """Split records into their fields."""
    damaged = SnapshotError("snapshot_corrupt", f"world.{name} is damaged")
    match value:
        case {"dtype": str(layout), "shape": [*sizes], "data": str(data)}:
            pass
        case _:
            raise damaged
    fields = [_FIELD.fullmatch(part) for part in layout.split(",", _MOST_FIELDS)]
    shape = [size for size in sizes[:_MOST_DIMENSIONS] if type(size) is int and size >= 0]
    count = math.prod(shape)
    try:
        raw = base64.b64decode(data, validate=True)
    except ValueError as error:
        raise damaged from error
    if not shape or len(shape) != len(sizes) or len(raw) % max(1, count) or (count == 0 and raw):
        raise damaged
    split: dict[str, JsonValue] = {}
    end = 0
    for field in fields:
        if field is None:
            raise damaged
        inner = (int(field[3]),) if field[3] else ()
        kind, at = np.dtype((np.dtype(field[2]), inner)), int(field[4])
        size = len(raw) // count if count else at + kind.itemsize
        # Fields that overlap would make more of the bytes than there are.
        if at < end or at + kind.itemsize > size:
            raise damaged
        end = at + kind.itemsize
        whole = np.dtype({"names": ["it"], "formats": [kind], "offsets": [at], "itemsize": size})
        try:
            values = np.frombuffer(raw, whole)["it"].reshape(*shape, *inner)
        except ValueError as error:  # larger than an array can be
            raise damaged from error
        if field[1] in _NUMBERS_OF_ITEMS:
            values = _narrow(values, damaged)
        split[field[1]] = encode_array(values)
    return split


def _narrow(values: npt.NDArray[np.generic], damaged: SnapshotError) -> npt.NDArray[np.int16]:
    """Store numbers of items in two bytes each."""
    narrow = values.astype(np.int16) if values.dtype.kind in "iu" else None
    if narrow is None or not np.array_equal(narrow, values):
        raise damaged
    return narrow


def _options_of_schema_2(options: JsonObject, shipped: Vocabulary) -> JsonObject:
    changed = dict(options)
    section = options.get("affordances")
    if isinstance(section, Mapping) and "manifest" in section:
        rest = {key: value for key, value in section.items() if key != "manifest"}
        manifest = section["manifest"]
        whole = {"extend": manifest} if isinstance(manifest, str) else {"extend": None, "add": manifest}
        changed["affordances"] = {**whole, **rest}
    decay = {name: need.decay for name, need in shipped.needs.items()}
    weights = {name: profile.weight for name, profile in shipped.profiles.items()}
    changed["needs"] = _without(options.get("needs"), "decay", decay)
    changed["personalities"] = _without(options.get("personalities"), "weights", weights)
    return changed


def _without(section: JsonValue, key: str, defaults: Mapping[str, float]) -> JsonValue:
    """Leave the numbers out of a section that are those of the shipped vocabulary."""
    numbers = section.get(key) if isinstance(section, Mapping) else None
    if not isinstance(section, Mapping) or not isinstance(numbers, Mapping):
        return section
    return {
        **section,
        key: {name: number for name, number in numbers.items() if defaults.get(name) != number},
    }


STEPS: Final[Mapping[int, Callable[[StoredWorld], StoredWorld]]] = {
    1: from_schema_1,
    2: from_schema_2,
    3: from_schema_3,
    4: from_schema_4,
    5: from_schema_5,
    6: from_schema_6,
    7: from_schema_7,
}
"""The step from each schema number to the next."""
