"""Converts TownState to the part ``world`` of a snapshot and back: plain arrays as base64 text, no pickle."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import cast

import numpy as np
import numpy.typing as npt

from townlet_adapters.kernels.records import Records
from townlet_adapters.worlds.town.model import TownModel
from townlet_adapters.worlds.town.state import EVENT, Journal, TownState
from townlet_adapters.worlds.town.verify import verify_state
from townlet_core.dto.snapshot import Snapshot
from townlet_core.errors import SnapshotError
from townlet_core.jsonvalue import JsonObject, JsonValue
from townlet_core.ports.hooks import AffordanceHooks

_HOOKS = "hooks"
"""Key of the hooks' identity, and of their state in the part. A town without hooks has neither."""

_PENDING = "pending"
"""Events of the reset that no step has returned yet."""


def _layout(array: npt.NDArray[np.generic]) -> str:
    """Format an array's type: a record's fields with their offsets, or one letter."""
    dtype = array.dtype
    if dtype.names is None:
        return dtype.str
    fields = dict(dtype.fields or {})
    return ",".join(
        f"{name}:{fields[name][0].base.str}{list(fields[name][0].shape)}@{fields[name][1]}"
        for name in dtype.names
    )


def encode_array(array: npt.NDArray[np.generic]) -> JsonObject:
    """Encode an array with its type and shape."""
    data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
    return {"dtype": _layout(array), "shape": list(array.shape), "data": data}


def decode_array(name: str, value: JsonValue, like: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Decode an array of the type and shape of ``like``.

    Raises:
        SnapshotError: when type, shape or size do not fit.
    """
    if not isinstance(value, Mapping):
        raise SnapshotError("snapshot_corrupt", f"world.{name} is not an array")
    shape, data = value.get("shape"), value.get("data")
    if value.get("dtype") != _layout(like):
        raise SnapshotError("snapshot_schema", f"world.{name} was written by another version of the town")
    if shape != list(like.shape):
        message = f"world.{name} has the shape {shape}; in this town it has {list(like.shape)}"
        raise SnapshotError("snapshot_config", message)
    try:
        raw = base64.b64decode(data if isinstance(data, str) else "", validate=True)
    except binascii.Error as error:
        raise SnapshotError("snapshot_corrupt", f"world.{name} is not base64") from error
    if len(raw) != like.nbytes:
        raise SnapshotError("snapshot_corrupt", f"world.{name} has {len(raw)} bytes instead of {like.nbytes}")
    return np.frombuffer(raw, like.dtype).reshape(like.shape)


def identity_of(model: TownModel) -> dict[str, str]:
    """Return the values that must agree before a town may be restored."""
    identity = {
        "town_digest": model.plan.town_digest,
        "manifest_digest": model.plan.affordances.checksum,
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
    hooks: AffordanceHooks | None = None,
) -> Snapshot:
    """Save a batch of one, with the events of its reset while no step has returned them."""
    part: dict[str, JsonValue] = {name: encode_array(array) for name, array in _arrays(state)}
    if hooks is not None:
        part[_HOOKS] = hooks.export_state()
    rows = journal.rows[0, : int(journal.written[0]) if pending else 0]
    part[_PENDING] = encode_array(rows)
    return Snapshot(tick=int(state.towns["tick"][0]), identity=identity_of(model), parts={"world": part})


def load_town(
    model: TownModel,
    snapshot: Snapshot,
    state: TownState,
    journal: Journal,
    hooks: AffordanceHooks | None = None,
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
    arrays = [decode_array(name, part.get(name), array) for name, array in _arrays(state)]
    rows = _pending_rows(part.get(_PENDING), journal)
    # Each array was decoded to the type of its field.
    verify_state(model, TownState(*arrays), rows, snapshot.tick)  # type: ignore[arg-type]
    if hooks is not None:
        hooks.import_state(part.get(_HOOKS))
    for (_, target), array in zip(_arrays(state), arrays, strict=True):
        target[...] = array
    journal.written[0] = len(rows)
    journal.rows[0, : len(rows)] = rows
    return len(rows) > 0


def _pending_rows(value: JsonValue, journal: Journal) -> Records:
    shape = value.get("shape") if isinstance(value, Mapping) else None
    count = shape[0] if isinstance(shape, list) and len(shape) == 1 else None
    if type(count) is not int or not 0 <= count <= journal.rows.shape[1]:
        raise SnapshotError("snapshot_corrupt", f"world.{_PENDING} has an invalid length")
    return cast("Records", decode_array(_PENDING, value, np.zeros(count, EVENT)))
