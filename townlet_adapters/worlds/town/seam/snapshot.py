"""Converts TownState to the part ``world`` of a snapshot and back: plain arrays as base64 text, no pickle.

An array of records is saved field by field, by name, so that a later version can read it. Needs and items
are saved in their actual number, whatever room the records have. What follows from the rest of the state is
not saved, but rebuilt.
"""

import base64
from collections.abc import Iterator, Mapping
from typing import Final, cast

import numpy as np
import numpy.typing as npt

from townlet_adapters.kernels.records import Records
from townlet_adapters.worlds.town.codes import NOBODY
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.compiled.state import DERIVED, EVENT, Journal, TownState
from townlet_adapters.worlds.town.seam.verify import verify_state
from townlet_adapters.worlds.town.systems.effects import derive_towns
from townlet_core.dto.snapshot import Snapshot
from townlet_core.errors import SnapshotError
from townlet_core.hook_runner import HookRunner
from townlet_core.jsonvalue import JsonObject, JsonValue

_HOOKS = "hooks"
"""Key of the hooks' identity, and of their state in the part. A town without hooks has neither."""

PENDING: Final = "pending"
"""Events of the reset that no step has returned yet."""

REBUILT: Final = ("roster", "census", "portraits", "occupant", "reserved", "job_holders")
"""Arrays of the state that follow from the others."""


def encode_array(array: npt.NDArray[np.generic]) -> JsonObject:
    """Encode an array of numbers with its type and shape."""
    data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
    return {"dtype": array.dtype.str, "shape": list(array.shape), "data": data}


def decode_array(name: str, value: JsonValue, like: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Decode an array of the type and shape of ``like``.

    Raises:
        SnapshotError: when type, shape or size do not fit.
    """
    if not isinstance(value, Mapping):
        raise SnapshotError("snapshot_corrupt", f"world.{name} is not an array")
    shape, data = value.get("shape"), value.get("data")
    if value.get("dtype") != like.dtype.str:
        raise SnapshotError("snapshot_schema", f"world.{name} was written by another version of the town")
    if shape != list(like.shape):
        message = f"world.{name} has the shape {shape}; in this town it has {list(like.shape)}"
        raise SnapshotError("snapshot_config", message)
    try:
        raw = base64.b64decode(data if isinstance(data, str) else "", validate=True)
    except ValueError as error:  # binascii.Error is one, and so is what characters beyond ASCII raise
        raise SnapshotError("snapshot_corrupt", f"world.{name} is not base64") from error
    if len(raw) != like.nbytes:
        raise SnapshotError("snapshot_corrupt", f"world.{name} has {len(raw)} bytes instead of {like.nbytes}")
    return np.frombuffer(raw, like.dtype).reshape(like.shape)


def _columns(model: TownModel, records: Records) -> Iterator[tuple[str, npt.NDArray[np.generic]]]:
    """Return views of the fields that are saved, without the room that the vocabulary does not use."""
    used = {"need": len(model.vocabulary.needs)}
    used |= dict.fromkeys(("inventory", "stock"), len(model.vocabulary.items))
    for name in records.dtype.names or ():
        if name not in DERIVED:
            yield name, records[name][..., : used[name]] if name in used else records[name]


def _encoded(model: TownModel, array: npt.NDArray[np.generic]) -> JsonObject:
    if array.dtype.names is None:
        return encode_array(array)
    return {name: encode_array(column) for name, column in _columns(model, cast("Records", array))}


def _decoded(
    model: TownModel, name: str, value: JsonValue, like: npt.NDArray[np.generic]
) -> npt.NDArray[np.generic]:
    """Decode an array of the type and shape of ``like``; records need every field and no other."""
    if like.dtype.names is None:
        return decode_array(name, value, like)
    if not isinstance(value, Mapping):
        raise SnapshotError("snapshot_corrupt", f"world.{name} is not a set of fields")
    records = cast("Records", np.zeros(like.shape, like.dtype))
    fields = dict(_columns(model, records))
    if value.keys() != fields.keys():
        differing = ", ".join(sorted(str(field) for field in value.keys() ^ fields.keys()))
        message = f"world.{name} was written by another version of the town: it differs in {differing}"
        raise SnapshotError("snapshot_schema", message)
    for field, column in fields.items():
        column[...] = decode_array(f"{name}.{field}", value[field], column)
    return records


def identity_of(model: TownModel) -> dict[str, str]:
    """Return the values that must agree before a town may be restored."""
    identity = {
        "town_digest": model.plan.town_digest,
        "manifest_digest": model.plan.affordances.checksum,
        "vocabulary_digest": model.vocabulary.digest,
        "layout_version": str(model.spec.layout_version),
        "variant": model.spec.variant,
    }
    return {**identity, _HOOKS: model.hook_identity} if model.hooked else identity


def _arrays(state: TownState) -> Iterator[tuple[str, npt.NDArray[np.generic]]]:
    return zip(TownState._fields, state, strict=True)


def save_town(
    model: TownModel,
    state: TownState,
    journal: Journal,
    *,
    pending: bool,
    hooks: HookRunner | None = None,
) -> Snapshot:
    """Save a batch of one, with the events of its reset while no step has returned them."""
    part: dict[str, JsonValue] = {
        name: _encoded(model, array) for name, array in _arrays(state) if name not in REBUILT
    }
    if hooks is not None:
        part[_HOOKS] = hooks.export_state()
    rows = journal.rows[0, : int(journal.written[0]) if pending else 0]
    part[PENDING] = _encoded(model, rows)
    return Snapshot(tick=int(state.towns["tick"][0]), identity=identity_of(model), parts={"world": part})


def load_town(
    model: TownModel,
    snapshot: Snapshot,
    state: TownState,
    journal: Journal,
    hooks: HookRunner | None = None,
) -> bool:
    """Verify a whole snapshot, then overwrite a batch of one; True when the reset's events are pending.

    Raises:
        SnapshotError: when it belongs to another town or is damaged; nothing was changed then.
    """
    for key, expected in {_HOOKS: "", **identity_of(model)}.items():
        found = snapshot.identity.get(key, "" if key == _HOOKS else None)
        if found != expected:
            code = "snapshot_identity" if key == "variant" else "snapshot_config"
            raise SnapshotError(code, f"the snapshot's {key} is {found}; this town's is {expected}")
    part = snapshot.parts.get("world")
    if not isinstance(part, Mapping):
        raise SnapshotError("snapshot_corrupt", "the snapshot has no part 'world'")
    arrays = [
        np.zeros_like(array) if name in REBUILT else _decoded(model, name, part.get(name), array)
        for name, array in _arrays(state)
    ]
    rows = _pending_rows(model, part.get(PENDING), journal)
    # Each array was decoded to the type of its field.
    saved = TownState(*arrays)  # type: ignore[arg-type]
    verify_state(model, saved, rows, snapshot.tick)
    _rebuild(model, saved)
    if hooks is not None:
        hooks.import_state(part.get(_HOOKS))
    for (_, target), (_, array) in zip(_arrays(state), _arrays(saved), strict=True):
        target[...] = array
    derive_towns(state)
    journal.written[0] = len(rows)
    journal.rows[0, : len(rows)] = rows
    return len(rows) > 0


def _rebuild(model: TownModel, state: TownState) -> None:
    """Fill the arrays that follow from the others, in a batch of one that was verified."""
    t, residents = model.tables, state.residents[0]
    margin = int(t.params[0].margin)
    slots = np.flatnonzero(residents["alive"])
    state.roster[0, : len(slots)] = slots[np.argsort(residents["serial"][slots])]
    jobs = residents["job"][slots]
    state.job_holders[0] = np.bincount(jobs[jobs >= 0], minlength=len(t.jobs))
    np.add.at(state.census[0, 0], residents["profile"][slots], 1)
    np.add.at(state.census[0, 1:], (residents["name_round"][slots], residents["name"][slots]), 1)
    state.census[0, :, -1] = state.census[0, :, :-1].sum(axis=1)
    state.occupant[...] = NOBODY
    # Of two residents on one tile, the grid holds the lower slot: it is written last.
    for slot in slots[::-1].tolist():
        x, y = int(residents["x"][slot]), int(residents["y"][slot])
        state.occupant[0, y + margin, x + margin] = slot
    rivalry, profiles = state.ties["rivalry"][0, slots], residents["profile"][slots]
    avoided = rivalry >= t.profiles["avoids_from"][profiles, np.newaxis]
    # Rows of ties that there are not hold no rivalry, and nobody is avoided for none.
    state.residents["avoided"][0, slots] = avoided.sum(axis=1)
    held = t.objects[state.objects["holder"][0] >= 0]
    state.reserved[0, held["y"] + margin, held["x"] + margin] = 1


def _pending_rows(model: TownModel, value: JsonValue, journal: Journal) -> Records:
    """Decode the events of the reset; the first field says how many there are."""
    first = value.get(EVENT.names[0]) if isinstance(value, Mapping) and EVENT.names else None
    shape = first.get("shape") if isinstance(first, Mapping) else None
    count = shape[0] if isinstance(shape, list) and len(shape) == 1 else None
    if type(count) is not int or not 0 <= count <= journal.rows.shape[1]:
        raise SnapshotError("snapshot_corrupt", f"world.{PENDING} has an invalid length")
    return cast("Records", _decoded(model, PENDING, value, np.zeros(count, EVENT)))
