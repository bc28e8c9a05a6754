"""Streams of the town's state: whole frames, or patches of what was sent before."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Final, NamedTuple

from townlet_core.dto.frame import TownFrame
from townlet_core.dto.stream import StreamSettings
from townlet_core.events.schema import schema_id
from townlet_core.jsonvalue import JsonObject, JsonValue
from townlet_core.records import copied_json

STATE_FRAME: Final = "state.frame"
STATE_PATCH: Final = "state.patch"
CHANNELS: Final[Mapping[str, tuple[str, ...]]] = {
    "agents": ("clock", "agents", "rewards"),
    "objects": ("objects", "utilities", "perturbations", "extra"),
    "economy": ("prices", "kpis"),
    "employment": ("employment",),
    "social": ("social", "stability", "promotion"),
}
"""The sections of a frame that each channel carries, besides the tick."""
HASH_EVERY: Final = 16
"""One patch out of this many carries the hash of the state after it."""

_SECTIONS: Final = tuple(field.name for field in fields(TownFrame) if field.name != "tick")
_OPEN: Final = "extra"
"""The section with free content of another world, so its depth is unknown."""
_SCALARS: Final = frozenset({str, int, float, bool})
_ARRAYS: Final = frozenset({list, tuple})
_OBJECT: Final = (dict, Mapping)  # almost every object is a dict, and the check for Mapping is slow
_ABSENT: Final = object()


class NullValueError(ValueError):
    """A value became null, which a merge patch cannot express."""


class StateMessage(NamedTuple):
    """One message of a strand.

    Attributes:
        kind: its kind.
        data: the payload.
        baseseq: number of the message that it is a patch of; None when it is whole.
        state: the consumer's state after it, if the message must carry its hash; else None.
    """

    kind: str
    data: JsonObject
    baseseq: int | None
    state: "JsonObject | None"


class Strand:
    """A series of messages to one sink; each is whole or a patch of the one before.

    Frames are kept until the next one and not copied: their producer does not change them. Not locked; a
    caller with two threads must lock it.

    Attributes:
        changes: number of calls of ``keep`` and ``cut``; the result of ``next`` is stale after either.
    """

    def __init__(
        self, whole: str, patch: str, sections: Sequence[str], *, every: int, keyframe_every: int
    ) -> None:
        """Start without a base.

        Args:
            whole: kind of its whole messages.
            patch: kind of its patches.
            sections: fields of a frame that it carries, besides the tick.
            every: it is sent on ticks divisible by this.
            keyframe_every: it is whole at the latest when the tick passes a multiple of this.
        """
        self._whole_kind = whole
        self._patch_kind = patch
        self._read = _reader(sections)
        self._every = every
        self._keyframe_every = keyframe_every
        self._base: JsonObject | None = None
        self._sequence = 0
        self._stretch = -1
        self._patches = 0
        self._next: JsonObject = {}
        self._next_is_patch = False
        self.changes = 0

    def due(self, tick: int) -> bool:
        """Return whether a message is due on this tick."""
        return tick % self._every == 0

    def next(self, frame: TownFrame) -> StateMessage:
        """Build the message for a frame: a patch of the last kept state, or the whole state without one."""
        self._next = state = self._read(frame)
        patch = self._patch(state) if frame.tick // self._keyframe_every == self._stretch else None
        self._next_is_patch = patch is not None
        if patch is None:
            return StateMessage(self._whole_kind, state, None, state)
        hashed = (self._patches + 1) % HASH_EVERY == 0
        return StateMessage(self._patch_kind, patch, self._sequence, state if hashed else None)

    def keep(self, tick: int, sequence: int) -> None:
        """Use the last result of ``next``, sent under this number, as the base of the following messages."""
        self._base, self._sequence = self._next, sequence
        self._stretch = tick // self._keyframe_every
        self._patches += self._next_is_patch
        self.changes += 1

    def cut(self) -> None:
        """Discard the base, because its delivery is not certain, so that the next message is whole."""
        self._base = None
        self.changes += 1

    def _patch(self, state: JsonObject) -> "JsonObject | None":
        if self._base is None:
            return None
        try:
            return merge_patch(self._base, state)
        except NullValueError:
            return None


def strands_of(stream: StreamSettings) -> tuple[Strand, ...]:
    """Return the strands of a sink in the modes ``diff`` and ``channels``; other modes have none."""
    rare = stream.keyframe_every
    match stream.mode:
        case "diff":
            return (Strand(STATE_FRAME, STATE_PATCH, _SECTIONS, every=1, keyframe_every=rare),)
        case "channels":
            every = stream.channels
            cadences = {
                "agents": every.agents,
                "objects": every.objects,
                "economy": every.economy,
                "employment": every.employment,
                "social": every.social,
            }
            return tuple(
                Strand(f"state.{name}", f"state.{name}", CHANNELS[name], every=cadence, keyframe_every=rare)
                for name, cadence in cadences.items()
            )
        case _:
            return ()


def merge_patch(old: JsonObject, new: JsonObject) -> dict[str, JsonValue]:
    """Return the changes as a JSON Merge Patch (RFC 7396): objects by member, everything else whole.

    Values are equal if their JSON is equal: 1, 1.0 and true are three values, 0.0 and -0.0 two.

    Raises:
        NullValueError: when a member became null; in a patch, null means that a member was removed.
    """
    patch: dict[str, JsonValue] = {}
    added = 0
    for key, value in new.items():
        before = old.get(key, _ABSENT)
        if before is value:
            continue
        kind = type(value)
        if kind in _SCALARS and kind is type(before):
            # Zero equals minus zero; all other equal values have equal JSON.
            if value != before or (not value and str(value) != str(before)):
                patch[key] = value
        elif kind not in _ARRAYS and isinstance(value, _OBJECT) and isinstance(before, _OBJECT):
            if inner := merge_patch(before, value):
                patch[key] = inner
        elif not _same(before, value):
            _require_no_null(key, value)
            added += before is _ABSENT
            patch[key] = value
    if len(old) + added > len(new):
        patch.update(dict.fromkeys(key for key in old if key not in new))
    return patch


def _same(one: object, other: object) -> bool:
    """Return whether two values have equal JSON; may return False if that is hard to determine."""
    if one is other:
        return True
    kind = type(one)
    if kind in _SCALARS:
        return kind is type(other) and repr(one) == repr(other)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    return False


def _require_no_null(name: str, value: object) -> None:
    if value is None:
        raise NullValueError(name)
    if type(value) not in _ARRAYS and isinstance(value, Mapping):
        for key, member in value.items():
            _require_no_null(key, member)


def _reader(sections: Sequence[str]) -> Callable[[TownFrame], JsonObject]:
    """Return a function that takes the tick and some sections out of a frame."""
    names = ("tick", *sections)
    read = attrgetter(*names)

    def data_of(frame: TownFrame) -> JsonObject:
        data = dict(zip(names, read(frame), strict=True))
        if data.get(_OPEN):
            data[_OPEN] = copied_json(data[_OPEN])
        return data

    return data_of


frame_data: Final = _reader(_SECTIONS)
"""Returns the payload of ``state.frame`` for a frame; its sections are JSON already."""


def state_schemas() -> dict[str, JsonObject]:
    """Return the JSON Schema (2020-12) of the payload of every state message, by kind."""
    return {
        STATE_FRAME: _schema(
            STATE_FRAME, _SECTIONS, ("tick", *_SECTIONS), "The town at the end of one tick, by entity."
        ),
        STATE_PATCH: _schema(
            STATE_PATCH,
            _SECTIONS,
            ("tick",),
            "JSON Merge Patch (RFC 7396) of the state after the message with the sequence `baseseq`.",
        ),
        **{
            f"state.{name}": _schema(
                f"state.{name}",
                sections,
                ("tick",),
                "A part of the town; whole without `baseseq`, else a JSON Merge Patch (RFC 7396) of the "
                "state after the message with that sequence.",
            )
            for name, sections in CHANNELS.items()
        },
    }


def _schema(kind: str, sections: Sequence[str], required: Sequence[str], description: str) -> JsonObject:
    properties: dict[str, JsonValue] = {name: {"type": "object"} for name in sections}
    return {
        "$id": schema_id(kind),
        "title": kind,
        "description": description,
        "type": "object",
        "properties": {"tick": {"type": "integer"}, **properties},
        "required": list(required),
    }
