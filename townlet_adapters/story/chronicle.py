"""Passes the events of a run through the table of sentences, and gives each day when it is over."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from townlet_adapters.eventfiles import StoredEvent
from townlet_adapters.story import english, prose
from townlet_adapters.story.diary import Diary
from townlet_adapters.story.notes import Moment, Note, Tally, fold
from townlet_core.dto.spec import TICKS_PER_DAY
from townlet_core.jsonvalue import JsonValue

_TICK: Final = "loop.tick"
FRAME: Final = "state.frame"


class FieldError(Exception):
    """An event lacks a field that its sentence needs. Never leaves this package."""


@dataclass(slots=True)
class Person:
    """What a chronicle knows about a resident.

    Attributes:
        name: its name, or its id as long as the name is unknown.
        profile: its personality.
        job: its job, empty when it has none.
        diary: its present.
    """

    name: str
    profile: str = ""
    job: str = ""
    diary: Diary = field(default_factory=Diary)


class Scene:
    """One event, with the people it may be about."""

    def __init__(self, people: dict[str, Person], at: Moment, event: StoredEvent) -> None:
        """Take an event at its time."""
        self._people, self._event = people, event
        self.at = at

    @property
    def kind(self) -> str:
        """The kind of the event."""
        return self._event.kind

    @property
    def fields(self) -> Mapping[str, JsonValue]:
        """The data of the event."""
        return self._event.data

    def text(self, name: str) -> str:
        """Return a field that is a text; raises ``FieldError``, as the other readers do."""
        value = self._event.data.get(name)
        if not isinstance(value, str):
            raise FieldError(name)
        return value

    def number(self, name: str) -> int:
        """Return a field that is a whole number."""
        value = self._event.data.get(name)
        if not isinstance(value, int):
            raise FieldError(name)
        return value

    def real(self, name: str) -> float:
        """Return a field that is a number."""
        value = self._event.data.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise FieldError(name)
        return value

    def says(self, name: str) -> bool:
        """Return a field that is true or false."""
        value = self._event.data.get(name)
        if not isinstance(value, bool):
            raise FieldError(name)
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a field that is a list of texts."""
        values = self._event.data.get(name)
        if not isinstance(values, list):
            raise FieldError(name)
        return tuple(value for value in values if isinstance(value, str))

    def person(self, name: str = "agent_id") -> Person:
        """Return the resident whose id a field holds; an unknown one is made."""
        return self.of(self.text(name))

    def of(self, agent_id: str) -> Person:
        """Return a resident; an unknown one is made."""
        return self._people.setdefault(agent_id, Person(agent_id))

    def named(self) -> dict[str, Person]:
        """Return the known residents that any field names."""
        found: dict[str, Person] = {}
        for value in self._event.data.values():
            for each in value if isinstance(value, list) else (value,):
                if isinstance(each, str) and each in self._people:
                    found[each] = self._people[each]
        if isinstance(agent_id := self._event.data.get("agent_id"), str):
            found[agent_id] = self.of(agent_id)
        return found

    def name(self, value: JsonValue) -> str:
        """Return a value as a word: of a resident's id, the name."""
        known = self._people.get(value) if isinstance(value, str) else None
        return str(value) if known is None else known.name


Recorder: TypeAlias = Callable[[Scene], None]
"""Notes an event in the diaries of those it is about."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """A resident's day.

    Attributes:
        resident: the id.
        name: the name.
        day: the day.
        title: the resident and the day, in words.
        notes: what the day held, in order.
        closing: what it came to; empty when there is nothing to add up.
        names: name of each resident, by id.
    """

    resident: str
    name: str
    day: int
    title: str
    notes: tuple[Note, ...]
    closing: str
    names: Mapping[str, str]

    @property
    def weight(self) -> int:
        """How much of a story the day is."""
        return sum(note.weight for note in self.notes)

    def lines(self) -> Iterator[tuple[str, str]]:
        """List the sentences, each with its time of day."""
        for tod, text in prose.sentences(self.notes, self.names):
            yield english.clock(tod), text


@dataclass(frozen=True, slots=True)
class Day:
    """A day of all residents.

    Attributes:
        number: the day.
        is_whole: whether the events reach its end.
        chapters: each resident's part, in the order in which they came to town.
    """

    number: int
    is_whole: bool
    chapters: tuple[Chapter, ...]


class Chronicle:
    """All residents of a run, and their days one after the other; it holds one day at a time."""

    def __init__(self, recorders: Mapping[str, Recorder], silent: Iterable[str], plain: Recorder) -> None:
        """Take the table of sentences.

        Args:
            recorders: what notes each kind of event.
            silent: kinds that are about no resident, or that another kind says already.
            plain: what notes an event of any other kind.
        """
        self._recorders, self._silent, self._plain = recorders, frozenset(silent), plain
        self._people: dict[str, Person] = {}
        self._last: Moment | None = None
        self._sleep_seen = False
        self._framed = False

    @property
    def names(self) -> dict[str, str]:
        """The name of each resident that came up so far, by id."""
        return {agent_id: person.name for agent_id, person in self._people.items()}

    def wants(self, kind: str) -> bool:
        """Return whether events of a kind are needed: of frames only the first, which names all residents."""
        if kind.startswith("state."):
            return kind == FRAME and not self._framed
        return kind == _TICK or kind not in self._silent

    def days(self, events: Iterable[StoredEvent]) -> Iterator[Day]:
        """List the days of a run, each when its last event was read."""
        tick: list[StoredEvent] = []
        for event in events:
            if event.kind == FRAME:
                self._meet(event)
                continue
            if tick and event.tick != tick[0].tick:
                yield from self._record(tick)
                tick = []
            tick.append(event)
        if tick:
            yield from self._record(tick)
        if self._last is not None:
            yield self._close(self._last, is_whole=self._last.tod == TICKS_PER_DAY - 1)

    def _meet(self, frame: StoredEvent) -> None:
        """Take names from a frame: a run that goes on from another one has no arrivals."""
        self._framed = True
        agents = frame.data.get("agents")
        for agent_id, agent in agents.items() if isinstance(agents, Mapping) else ():
            if not isinstance(agent, Mapping):
                continue
            person = self._people.setdefault(agent_id, Person(agent_id))
            person.name = str(agent.get("name") or person.name)
            person.profile = str(agent.get("profile") or person.profile)
            person.job = str(agent.get("job") or person.job)

    def _record(self, events: list[StoredEvent]) -> Iterator[Day]:
        """Note the events of one tick; gives the day before it when the tick is the first of another."""
        now = self._moment(events)
        if self._last is not None and now.day != self._last.day:
            end = max(now.tick - now.tod - 1, self._last.tick)
            last = Moment(end, self._last.day, self._last.tod + end - self._last.tick)
            yield self._close(last, is_whole=True)
        self._last = now
        for event in events:
            if event.kind in self._silent:
                continue
            scene = Scene(self._people, now, event)
            try:
                self._recorders.get(event.kind, self._plain)(scene)
            except FieldError:
                self._plain(scene)

    def _moment(self, events: list[StoredEvent]) -> Moment:
        """Return the time of a tick: the loop's own event says what the clock shows."""
        tick = events[0].tick
        for event in reversed(events):
            day, tod = event.data.get("day"), event.data.get("tod")
            if event.kind == _TICK and isinstance(day, int) and isinstance(tod, int):
                return Moment(tick, day, tod)
        if self._last is None:
            return Moment(tick, *divmod(tick, TICKS_PER_DAY))
        passed, tod = divmod(self._last.tod + tick - self._last.tick, TICKS_PER_DAY)
        return Moment(tick, self._last.day + passed, tod)

    def _close(self, last: Moment, *, is_whole: bool) -> Day:
        """End a day."""
        pages = {agent_id: person.diary.turn_page(last) for agent_id, person in self._people.items()}
        self._sleep_seen = self._sleep_seen or any(tally.slept for _, tally in pages.values())
        names = self.names
        whole = is_whole and last.tick + 1 >= TICKS_PER_DAY
        chapters = tuple(
            self._chapter(each, notes, last.day, names, self._closing(tally, whole=whole))
            for each, (notes, tally) in pages.items()
        )
        return Day(last.day, is_whole, chapters)

    def _closing(self, tally: Tally, *, whole: bool) -> str:
        clauses = tally.clauses(sleepless=whole and self._sleep_seen and not tally.slept)
        return english.sentence(clauses) if clauses else ""

    def _chapter(
        self, agent_id: str, notes: Sequence[Note], day: int, names: Mapping[str, str], closing: str
    ) -> Chapter:
        person = self._people[agent_id]
        about = [english.noun(person.job)] if person.job else []
        about += [person.profile] if person.profile else []
        title = f"{person.name}, day {day}" + (f" ({', '.join(about)})" if about else "")
        return Chapter(agent_id, person.name, day, title, fold(notes), closing, names)
