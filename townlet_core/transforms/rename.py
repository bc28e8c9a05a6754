"""Pseudonyms: residents get keyed pseudonyms, so that one can be followed without knowing its identity."""

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass, replace
from typing import Final, TypeAlias, TypeVar, get_args, get_origin

from townlet_core.dto.frame import StateFrame, TownFrame
from townlet_core.dto.plan import PlanMessage
from townlet_core.dto.seen import AgentsSeen, ObservationMessage
from townlet_core.events.schema import EventRegistry
from townlet_core.ports.telemetry import Message
from townlet_core.records import Hint
from townlet_core.transforms.base import Withheld
from townlet_core.transforms.event_fields import NUMBERS, Field, layout_of, sections_of, with_values
from townlet_core.transforms.validate import UNKNOWN_KIND

RESIDENT_FIELDS: Final = frozenset(
    {
        "actor",
        "agent",
        "agent_id",
        "agent_ids",
        "agents",
        "coworkers",
        "holder",
        "listener",
        "other",
        "owner",
        "queue",
        "resident",
        "residents",
        "rival",
        "targets",
        "speaker",
        "to",
        "with",
    }
)
"""Names of fields whose texts (single, in a list, or as keys) are ids or display names of residents."""

NUMBER_FIELDS: Final = frozenset({"serial", "slot", "target"})
"""Names of fields whose number identifies a resident or slot: -1 in an event, left out of a frame.

A text in such a field of an event is an id, and gets a pseudonym.
"""

IDENTIFYING_FEATURE: Final = re.compile(r"serial|slot|target|embedding_slot|.+_code_\d+")
"""Names of features that identify a resident: -1 for all, so that a policy still finds its columns."""

TEXT_FIELDS: Final = frozenset({"cmd_id", "detail", "error", "last_error", "message", "problem", "text"})
"""Names of fields with sentences or free text, which may name a resident."""

OPEN_FIELDS: Final = frozenset({"data", "details", "result"})
"""Names of fields with an object of any content from elsewhere: the object becomes empty."""

COMBINED_FIELD: Final = "key"
"""Name of the field with a text that may be ``WORD:IDS``: every word of the ids gets a pseudonym."""

DISPLAY_NAME: Final = "name"
"""Name of the field with a resident's display name; beside ``agent_id`` it gets the same pseudonym."""

HIDDEN_NUMBER: Final = -1
HIDDEN_TEXT: Final = "withheld"
COLLISION: Final = Withheld("pseudonym_collision")

# Only consonants: no pseudonym can contain an id, which has digits, or a name, which has vowels.
_LETTERS: Final = "bcdfghjkmnpqrstv"
_WORD: Final = re.compile(r"[\w-]+")
_KEYED_SECTIONS: Final = ("agents", "rewards", "social")

_RecordT = TypeVar("_RecordT")
_RowT = TypeVar("_RowT")
_Names: TypeAlias = Mapping[str, str]

_NO_NAMES: Final[_Names] = {}


@dataclass(frozen=True, slots=True)
class RenameSettings:
    """How pseudonyms are made.

    Attributes:
        key: the secret; the same key gives the same resident id the same pseudonym.
        letters: length of a pseudonym, at most 64; each letter carries four bits.
    """

    key: bytes = field(repr=False)
    letters: int = 16


class _CollisionError(Exception):
    """Two ids have the same pseudonym."""


class RenameResidents:
    """Replaces ids and names of residents in messages; a message that it cannot interpret is withheld.

    The pseudonym of an id is made of the first digits of its HMAC-SHA256: a pure function of key and id.
    Every pseudonym is remembered, so two ids with one pseudonym are detected; their messages are withheld.
    """

    def __init__(self, settings: RenameSettings, registry: EventRegistry) -> None:
        """Take the key, and the kinds whose fields are known."""
        self._key, self._letters = settings.key, settings.letters
        self._registry = registry
        self._pseudonyms: dict[str, str] = {}
        self._ids: dict[str, str] = {}
        self._plans: dict[type, tuple[Field, ...]] = {}

    def __call__(self, message: Message) -> Message | Withheld:
        """Return the message with pseudonyms; a message without residents is returned unchanged."""
        try:
            if isinstance(message, StateFrame):
                return replace(message, frame=self._frame(message.frame))
            if isinstance(message, ObservationMessage):
                return replace(message, seen=self._seen(message.seen))
            if isinstance(message, PlanMessage):
                return message  # it was made before any resident
            if message.event.kind not in self._registry.classes:
                return UNKNOWN_KIND
            event = self._record(message.event, _NO_NAMES)
        except _CollisionError:
            return COLLISION
        return message if event is message.event else replace(message, event=event)

    def pseudonym(self, resident: str) -> str:
        """Return the pseudonym of an id; the empty id, which means no resident, stays empty."""
        known = self._pseudonyms.get(resident)
        if known is not None or not resident:
            return known or ""
        digits = hmac.digest(self._key, resident.encode(), "sha256").hex()[: self._letters]
        made = "".join(_LETTERS[int(digit, 16)] for digit in digits)
        if self._ids.setdefault(made, resident) != resident:
            raise _CollisionError
        self._pseudonyms[resident] = made
        return made

    def _record(self, record: _RecordT, known: _Names) -> _RecordT:
        """Copy a dataclass instance with pseudonyms; one without residents is returned unchanged."""
        plan = self._plans.get(type(record))
        if plan is None:
            plan = self._plans[type(record)] = _plan(type(record))
        changes = {each.name: self._field(each, getattr(record, each.name), known) for each in plan}
        if DISPLAY_NAME in changes:
            changes[DISPLAY_NAME] = changes["agent_id"]
        return with_values(record, changes)

    def _field(self, each: Field, value: object, known: _Names) -> object:
        if each.json_name in NUMBER_FIELDS:
            # A target may be an id, of a resident or of an object: the same pseudonym for the same one.
            return self._residents(value, known) if isinstance(value, str) else HIDDEN_NUMBER
        return self._member(each.json_name, value, known)

    def _frame(self, frame: TownFrame) -> TownFrame:
        """Rename every resident of the frame, everywhere in the frame."""
        known: dict[str, str] = {}
        for agent_id, entry in frame.agents.items():
            known[agent_id] = self.pseudonym(agent_id)
            name = entry.get(DISPLAY_NAME)
            if isinstance(name, str):
                known[name] = known[agent_id]
        sections: dict[str, object] = {}
        for name, section in sections_of(frame).items():
            if name in _KEYED_SECTIONS:
                # The original order of residents would reveal their ids.
                renamed = self._keyed(section, known)
                sections[name] = dict(sorted(renamed.items()))
            else:
                sections[name] = self._value(section, known)
        return with_values(frame, sections)

    def _seen(self, seen: AgentsSeen) -> AgentsSeen:
        """Rename the agents and reorder the rows, because the order of slots would reveal the ids.

        Without ids, because they were redacted before, rows cannot be ordered and are removed, too.
        """
        names = tuple(map(self.pseudonym, seen.agent_ids))
        order = sorted(range(len(names)), key=names.__getitem__)
        hidden = (float(HIDDEN_NUMBER),) * len(order)
        return replace(
            seen,
            agent_ids=_ordered(names, order),
            features={
                name: hidden if IDENTIFYING_FEATURE.fullmatch(name) else _ordered(column, order)
                for name, column in seen.features.items()
            },
            map=_ordered(seen.map, order),
            mask=_ordered(seen.mask, order),
            reward=_ordered(seen.reward, order),
        )

    def _keyed(self, section: Mapping[str, object], known: _Names) -> dict[str, object]:
        """Rename the keys of a mapping, which are residents or combine several of them."""
        return {
            known.get(key) or _WORD.sub(lambda word: self.pseudonym(word[0]), key): self._value(value, known)
            for key, value in section.items()
        }

    def _value(self, value: object, known: _Names) -> object:
        if type(value) in NUMBERS:
            return value
        if isinstance(value, str):
            renamed = known.get(value)
            if renamed is not None or not known or value.isidentifier():  # one word, as most texts are
                return value if renamed is None else renamed
            return _WORD.sub(lambda word: known.get(word[0], word[0]), value)
        if isinstance(value, (tuple, list)):
            return tuple(self._value(item, known) for item in value)
        if isinstance(value, Mapping):
            return {
                (known.get(key, key) if key.isidentifier() else self._value(key, known)): self._member(
                    key, item, known
                )
                for key, item in value.items()
                if key not in NUMBER_FIELDS
            }
        return self._record(value, known) if is_dataclass(value) else value

    def _member(self, name: str, value: object, known: _Names) -> object:
        """Rename residents in the value of a named field."""
        if name in RESIDENT_FIELDS:
            return self._residents(value, known)
        if name in TEXT_FIELDS and isinstance(value, str):
            return HIDDEN_TEXT
        if name in OPEN_FIELDS and isinstance(value, Mapping):
            return {}
        if name == COMBINED_FIELD and isinstance(value, str):
            word, colon, ids = value.partition(":")
            return word + colon + _WORD.sub(lambda found: self.pseudonym(found[0]), ids)
        return self._value(value, known)

    def _residents(self, value: object, known: _Names) -> object:
        """Rename a value of a field about residents; other values, such as a position, stay unchanged."""
        if isinstance(value, str):
            return known.get(value) or self.pseudonym(value)
        if isinstance(value, (tuple, list)):
            return tuple(self._residents(item, known) for item in value)
        if isinstance(value, Mapping):
            return dict(sorted(self._keyed(value, known).items()))
        return self._value(value, known)


def _ordered(rows: tuple[_RowT, ...], order: Sequence[int]) -> tuple[_RowT, ...]:
    """Return rows in another order; a redacted field has no rows."""
    return tuple(rows[number] for number in order) if rows else ()


def _plan(record_type: type) -> tuple[Field, ...]:
    """Return the fields of a class that may hold residents."""
    layout = layout_of(record_type)
    named = RESIDENT_FIELDS | NUMBER_FIELDS | TEXT_FIELDS | {COMBINED_FIELD}
    if any(each.json_name == "agent_id" for each in layout):
        named |= {DISPLAY_NAME}
    return tuple(
        each for each in layout if each.json_name in named or (each.nests and not _is_table(each.hint))
    )


def _is_table(hint: Hint) -> bool:
    """Return whether a field is a table of counts by name, such as actions or reasons."""
    return get_origin(hint) is Mapping and get_args(hint)[1] in {int, float, bool}
