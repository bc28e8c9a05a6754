"""Which facts an observer heeds, as a config names them: a kind, and what their fields must hold."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias, get_origin

from townlet_core.dto.outcome import StepOutcome
from townlet_core.dto.spec import WorldSpec
from townlet_core.errors import ConfigError, Problem
from townlet_core.events.base import Event
from townlet_core.events.schema import EventRegistry
from townlet_core.records import attribute_names, field_hints, union_members
from townlet_core.suggestions import nearest

Reader: TypeAlias = Callable[[Event, StepOutcome], object]
"""Reads one value of a fact, with the outcome of its tick."""

_NOW: Final[Mapping[str, Reader]] = {
    "now.day": lambda _event, outcome: outcome.summary.day,
    "now.tod": lambda _event, outcome: outcome.summary.tod,
    "now.living": lambda _event, outcome: outcome.summary.alive,
}
"""Values of the tick, for every kind of fact."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a value must be; every limit that is given holds."""

    at_least: float | None = None
    """least number"""

    above: float | None = None
    """number that it exceeds"""

    at_most: float | None = None
    """greatest number"""

    below: float | None = None
    """number that exceeds it"""

    other_than: str | int | float | bool | None = None
    """value that it is not"""


Test: TypeAlias = str | int | float | bool | tuple[str, ...] | Limits
"""A value to equal, texts of which it must be one, or limits."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts of one kind."""

    kind: str
    """kind of the facts"""

    where: Mapping[str, Test] = field(default_factory=dict)
    """what their fields must hold, by field: a value, a list of texts, or limits; `FIELD.COLUMN` is the \
number in a column of the view of the agent that the field names, `FIELD.0` the first item of a list"""


class FactTest:
    """Decides whether a fact of the kind is one of those that are heeded."""

    def __init__(self, checks: Sequence[tuple[Reader, Callable[[object], bool]]]) -> None:
        """Take the readers and what must hold for each value."""
        self._checks = tuple(checks)

    def holds(self, event: Event, outcome: StepOutcome) -> bool:
        """Return whether a fact passes all checks."""
        return all(check(read(event, outcome)) for read, check in self._checks)


@dataclass(frozen=True, slots=True)
class Sight:
    """What can be named: the kinds of a run, and the columns and figures of its world.

    Attributes:
        spec: the world.
        events: every kind that may be emitted.
    """

    spec: WorldSpec
    events: EventRegistry

    def event_class(self, kind: str, key: str) -> type[Event]:
        """Return the class of a kind.

        Raises:
            ConfigError: when there is no such kind.
        """
        found = self.events.classes.get(kind)
        if found is None:
            raise wrong(f"{key}.kind", f"unknown kind '{kind}'", nearest(kind, self.events.classes))
        return found

    def test(self, facts: Facts, key: str) -> FactTest:
        """Compile the test of some facts; ``key`` is their place in the options.

        Raises:
            ConfigError: when they name what does not exist.
        """
        event_class = self.event_class(facts.kind, key)
        return self.conditions(event_class, facts.where, f"{key}.where")

    def conditions(self, event_class: type[Event], where: Mapping[str, Test], key: str) -> FactTest:
        """Compile conditions on the fields of a class of events."""
        return FactTest(
            [(self.reader(event_class, path, key), _check_of(test)) for path, test in where.items()]
        )

    def reader(self, event_class: type[Event], path: str, key: str) -> Reader:
        """Return what reads a value by its path: a field, an item of one, or a column of the agent it names.

        Raises:
            ConfigError: when there is no such value.
        """
        if path in _NOW:
            return _NOW[path]
        name, _, rest = path.partition(".")
        hints = field_hints(event_class)
        if name not in hints:
            raise wrong(key, f"unknown field '{name}' of {event_class.kind}", nearest(name, [*hints, *_NOW]))
        # A field whose JSON name Python or the class itself uses has an underscore behind it.
        get = operator.attrgetter(attribute_names(event_class)[name])
        if not rest:
            return lambda event, _outcome: get(event)
        if str in union_members(hints[name]):
            return self._column_of_agent(get, rest, key)
        return _item_of(get, rest, get_origin(hints[name]), key)

    def _column_of_agent(self, get: Callable[[Event], str], column: str, key: str) -> Reader:
        columns = [each.name for each in self.spec.view if each.axes == ("slots",)]
        if column not in columns:
            raise wrong(
                key, f"unknown column '{column}' with a number for each agent", nearest(column, columns)
            )

        def read(event: Event, outcome: StepOutcome) -> object:
            agent_id, seen = get(event), outcome.observation
            if seen.view is None or not agent_id or agent_id not in seen.agent_ids:
                return None
            return seen.view.columns[column][seen.agent_ids.index(agent_id)]

        return read


def _item_of(get: Callable[[Event], object], step: str, origin: object, key: str) -> Reader:
    if origin is tuple or origin is Sequence:
        if not step.isdecimal():
            raise wrong(key, f"the item '{step}' of a list", "a number from 0")
        at = int(step)

        def read_item(event: Event, _outcome: StepOutcome) -> object:
            values = get(event)
            return values[at] if isinstance(values, Sequence) and at < len(values) else None

        return read_item

    def read_entry(event: Event, _outcome: StepOutcome) -> object:
        values = get(event)
        return values.get(step) if isinstance(values, Mapping) else None

    return read_entry


def wrong(key: str, found: str, allowed: str) -> ConfigError:
    """Return the error about one key of an observer's options."""
    return ConfigError(Problem(key, found, allowed))


def _check_of(test: Test) -> Callable[[object], bool]:
    if isinstance(test, Limits):
        return _limit_check(test)
    if isinstance(test, tuple):
        return lambda value: value in test
    return lambda value: value == test


def _limit_check(limits: Limits) -> Callable[[object], bool]:
    comparisons: list[tuple[Callable[[float, float], bool], float]] = [
        (compare, limit)
        for compare, limit in (
            (operator.ge, limits.at_least),
            (operator.gt, limits.above),
            (operator.le, limits.at_most),
            (operator.lt, limits.below),
        )
        if limit is not None
    ]
    other_than = limits.other_than

    def check(value: object) -> bool:
        if other_than is not None and value == other_than:
            return False
        if not comparisons:
            return True
        return isinstance(value, int | float) and all(compare(value, limit) for compare, limit in comparisons)

    return check


class Heeder:
    """Passes each fact of a tick to what heeds it; most facts are looked up once and left."""

    def __init__(self) -> None:
        """Heed nothing yet."""
        self._by_kind: dict[str, list[tuple[FactTest, Callable[[Event, int], None]]]] = {}

    def heed(self, kind: str, test: FactTest, see: Callable[[Event, int], None]) -> None:
        """Call ``see`` with every fact of a kind that passes a test, and with its tick."""
        self._by_kind.setdefault(kind, []).append((test, see))

    def hear(self, outcome: StepOutcome, tick: int) -> bool:
        """Pass on the facts of a tick, in order; returns whether any was heeded."""
        by_kind, heeded = self._by_kind, False
        for event in outcome.events:
            if event.kind in by_kind:
                for test, see in by_kind[event.kind]:
                    if test.holds(event, outcome):
                        see(event, tick)
                        heeded = True
        return heeded
