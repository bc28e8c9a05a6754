"""Narrates some of what happens in sentences, and what operators announce."""

import zlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import gcd
from operator import attrgetter
from typing import Final

from townlet_core.dto.command import Argument, Command, CommandSpec
from townlet_core.dto.command_hook import CommandDone, CommandRefused
from townlet_core.dto.observation import ObservationBatch
from townlet_core.dto.outcome import StepOutcome
from townlet_core.dto.spec import WorldSpec
from townlet_core.errors import SnapshotError
from townlet_core.events.base import Event
from townlet_core.events.narration import Narration
from townlet_core.events.schema import EventRegistry
from townlet_core.jsonvalue import JsonObject, JsonValue
from townlet_core.observers.facts import FactTest, Heeder, Reader, Sight, wrong
from townlet_core.observers.narration.digest import Report, ReportState
from townlet_core.observers.narration.pace import Pace
from townlet_core.observers.narration.settings import (
    OPERATOR_STORY,
    Named,
    NarrationSettings,
    Trigger,
)
from townlet_core.observers.narration.template import Lines
from townlet_core.observers.windows import NEVER
from townlet_core.records import attribute_names, record_from_json, record_to_json
from townlet_core.suggestions import nearest

ANNOUNCE: Final = CommandSpec(
    "announce",
    "admin",
    "Narrates a message as a narration, in the category operator_story unless another one is named.",
    (
        Argument("message", "text"),
        Argument("category", "text", required=False),
        Argument("priority", "bool", required=False),
    ),
)


@dataclass(frozen=True, slots=True)
class _State:
    """What lasts: what was narrated lately, what agents are called, and what digests have counted."""

    told: list[int] = field(default_factory=list)
    latest: dict[str, int] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    used: list[list[int]] = field(default_factory=list)
    digests: dict[str, ReportState] = field(default_factory=dict)
    narrations: int = 0
    withheld: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Teller:
    """What narrates the facts of one trigger."""

    category: str
    cooldown: int
    trigger: Trigger
    test: FactTest
    urgent: FactTest | None
    about: tuple[Reader, ...]
    values: Mapping[str, Reader]
    lines: Lines


class NarrationObserver:
    """Narrates facts that its settings name, within limits; it comes behind the other observers of a run."""

    name: Final = "narration"
    commands: Final = (ANNOUNCE,)

    def __init__(self, settings: NarrationSettings, events: EventRegistry) -> None:
        """Take the settings and every kind that they may name; call ``begin`` before anything else."""
        self._settings, self._events = settings, events

    def begin(self, spec: WorldSpec) -> None:
        """Start with an empty page.

        Raises:
            ConfigError: when the settings name what such a world does not have.
        """
        self._sight = sight = Sight(spec, self._events)
        self._pace, self._names = Pace(), dict[str, str]()
        self._waiting: list[Narration] = []
        self._narrations, self._withheld = 0, dict[str, int]()
        self._tellers: dict[str, list[_Teller]] = {}
        for name, category in self._settings.told.items():
            for number, trigger in enumerate(category.triggers):
                key = f"categories.{name}.triggers[{number}]"
                teller = _teller(name, category.cooldown, trigger, sight, key)
                self._tellers.setdefault(trigger.kind, []).append(teller)
        self._heeder = Heeder()
        self._reports = {
            name: Report.of(digest, sight, self._heeder, f"digests.{name}")
            for name, digest in self._settings.summed_up.items()
        }
        # The ticks at which any digest may be due.
        self._digest_ticks = gcd(*(report.every for report in self._reports.values())) or NEVER
        self._introductions = _named(self._settings.names, sight, "names")
        self._farewells = _named(self._settings.gone, sight, "gone")

    def observe(self, outcome: StepOutcome, tick: int) -> tuple[Event, ...]:
        """Narrate one tick: what was announced, then facts in their order, then digests."""
        told: list[Event] = list(self._waiting)
        self._waiting.clear()
        if outcome.events:
            self._meet(outcome)
            self._heeder.hear(outcome, tick)
            for event in outcome.events:
                if event.kind in self._tellers:
                    told += self._tell(event, outcome, tick)
            self._part(outcome)
        if (tick + 1) % self._digest_ticks:
            return tuple(told)
        for category, report in self._reports.items():
            if (tick + 1) % report.every == 0:
                told += self._sum_up(category, report, outcome.observation, tick)
        return tuple(told)

    def kpis(self) -> JsonObject:
        """Return how many sentences were narrated, and how many were withheld by each limit."""
        return {"narrations": self._narrations, "narrations_withheld": dict(self._withheld)}

    def answer(self, request: Command, observation: ObservationBatch) -> CommandDone | CommandRefused:
        """Answer ``announce``; changes nothing."""
        category, message, priority = _announced(request.args)
        if not message.strip():
            return CommandRefused("the message is empty; give at least one word", "invalid_args")
        known = (OPERATOR_STORY, *self._settings.told)
        if category not in known:
            return CommandRefused(
                f"unknown category '{category:.40}'; {nearest(category, known)}"[:200], "invalid_args"
            )
        key = _key_of(category, message)
        cooldown = None if priority else self._cooldown(category)
        limit = self._pace.refusal(self._settings, observation.tick, category, key, cooldown)
        if limit:
            return CommandRefused(_why(limit, self._settings), "rate_limited")
        return CommandDone(result={"category": category, "key": key})

    def obey(self, request: Command, observation: ObservationBatch) -> None:
        """Narrate what was announced in this tick."""
        category, message, priority = _announced(request.args)
        key = _key_of(category, message)
        self._accept(observation.tick, category, key)
        self._waiting.append(Narration(category, message, priority, key, {"issuer": request.issuer}))

    def export_state(self) -> JsonValue:
        """Return everything that lasts."""
        return record_to_json(
            _State(
                list(self._pace.told),
                dict(self._pace.latest),
                dict(self._pace.keys),
                dict(self._names),
                [each.lines.used for each in self._each_teller()],
                {name: report.export() for name, report in self._reports.items()},
                self._narrations,
                dict(self._withheld),
            )
        )

    def import_state(self, state: JsonValue) -> None:
        """Continue from an exported state; null of a run that was not observed yet begins anew.

        Raises:
            SnapshotError: when it is not such a state, or one of other settings.
        """
        if state is None:
            return
        try:
            read = record_from_json(_State, state)
            for name, report in self._reports.items():
                report.restore(read.digests[name])
            for teller, used in zip(self._each_teller(), read.used, strict=True):
                teller.lines.restore(used)
        except (KeyError, ValueError) as error:
            raise SnapshotError(
                "snapshot_corrupt", f"the state of '{self.name}' is damaged: {error}"
            ) from error
        self._pace = Pace(deque(read.told), dict(read.latest), dict(read.keys))
        self._names = dict(read.names)
        self._narrations, self._withheld = read.narrations, dict(read.withheld)
        self._waiting = []

    def _each_teller(self) -> list[_Teller]:
        return [teller for tellers in self._tellers.values() for teller in tellers]

    def _cooldown(self, category: str) -> int:
        found = self._settings.told.get(category)
        return found.cooldown if found is not None else self._settings.cooldown

    def _meet(self, outcome: StepOutcome) -> None:
        if self._introductions is None:
            return
        kind, get_id, get_name = self._introductions
        for event in outcome.events:
            if event.kind == kind:
                self._names[get_id(event)] = get_name(event)

    def _part(self, outcome: StepOutcome) -> None:
        if self._farewells is None:
            return
        kind, get_id, _ = self._farewells
        for event in outcome.events:
            if event.kind == kind:
                self._names.pop(get_id(event), None)

    def _tell(self, event: Event, outcome: StepOutcome, tick: int) -> list[Narration]:
        """Narrate a fact as the first trigger that fits says, unless a limit stands against it."""
        for teller in self._tellers[event.kind]:
            if not teller.test.holds(event, outcome):
                continue
            priority = teller.trigger.priority or (
                teller.urgent is not None and teller.urgent.holds(event, outcome)
            )
            about = sorted(str(read(event, outcome)) for read in teller.about)
            key = f"{teller.category}:{','.join(about)}"
            if not self._may_tell(tick, teller.category, key, None if priority else teller.cooldown):
                return []
            values = {path: read(event, outcome) for path, read in teller.values.items()}
            message = teller.lines.tell(values, self._names, f"{key}|{tick}")
            data = {**{path: _json(value) for path, value in values.items()}, "kind": event.kind}
            return [Narration(teller.category, message, priority, key, data)]
        return []

    def _sum_up(
        self, category: str, report: Report, observation: ObservationBatch, tick: int
    ) -> list[Narration]:
        told = report.tell(observation, self._names, tick)
        key = f"{category}:"
        if not told.message or not self._may_tell(tick, category, key, None):
            return []
        data = {name: _json(value) for name, value in told.values.items()}
        return [Narration(category, told.message, priority=True, key=key, data=data)]

    def _may_tell(self, tick: int, category: str, key: str, cooldown: int | None) -> bool:
        """Count a sentence as narrated, or as withheld by a limit."""
        limit = self._pace.refusal(self._settings, tick, category, key, cooldown)
        if limit:
            self._withheld[limit] = self._withheld.get(limit, 0) + 1
            return False
        self._accept(tick, category, key)
        return True

    def _accept(self, tick: int, category: str, key: str) -> None:
        self._pace.accept(self._settings, tick, category, key)
        self._narrations += 1


def _teller(category: str, cooldown: int, trigger: Trigger, sight: Sight, key: str) -> _Teller:
    """Compile a trigger; raises ``ConfigError`` when it names what does not exist."""
    event_class = sight.event_class(trigger.kind, key)
    lines = Lines(trigger.lines, f"{key}.lines")
    urgent = trigger.priority_where
    about = {path: sight.reader(event_class, path, f"{key}.about") for path in trigger.about}
    values = about | {path: sight.reader(event_class, path, f"{key}.lines") for path in lines.paths}
    return _Teller(
        category,
        cooldown,
        trigger,
        sight.conditions(event_class, trigger.where, f"{key}.where"),
        sight.conditions(event_class, urgent, f"{key}.priority_where") if urgent else None,
        tuple(about.values()),
        values,
        lines,
    )


def _named(
    named: Named | None, sight: Sight, key: str
) -> "tuple[str, attrgetter[str], attrgetter[str]] | None":
    """Return what reads id and name from the facts of a kind."""
    if named is None:
        return None
    attributes = attribute_names(sight.event_class(named.kind, key))
    for path, at in ((named.id, "id"), (named.name or named.id, "name")):
        if path not in attributes:
            found = f"unknown field '{path}' of {named.kind}"
            raise wrong(f"{key}.{at}", found, nearest(path, attributes))
    name = named.name or named.id
    return named.kind, attrgetter(attributes[named.id]), attrgetter(attributes[name])


def _announced(args: Mapping[str, JsonValue]) -> tuple[str, str, bool]:
    return str(args.get("category", OPERATOR_STORY)), str(args["message"]), args.get("priority") is True


def _key_of(category: str, message: str) -> str:
    return f"{category}:{zlib.crc32(message.encode()):08x}"


def _why(limit: str, settings: NarrationSettings) -> str:
    return {
        "dedupe": f"the same was narrated within {settings.dedupe} ticks; wait, or say something else",
        "cooldown": "something was narrated a moment ago; wait, or give it priority",
        "window": f"{settings.most} sentences were narrated within {settings.window} ticks; wait",
    }[limit]


def _json(value: object) -> JsonValue:
    """Return a value of a fact as it is, as JSON."""
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if isinstance(value, Mapping):
        return {str(name): _json(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [_json(item) for item in value]
    return str(value)
