"""What a resident did or met with, one note for each sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from townlet_adapters.story import english

FREQUENT: Final = 180
"""Ticks within which the same remark is one remark about several times."""

_WORTH_A_WAIT: Final = 5
_LONG: Final = 60
_BRIEF: Final = 120
_BREATH: Final = 10
_PAUSE: Final = 90
_NEAR: Final = 30


class Moment(NamedTuple):
    """A time: the tick, and what the clock of the town showed in it."""

    tick: int
    day: int
    tod: int

    def after(self, tick: int) -> int:
        """Return what the clock shows at the end of a later tick of the same day."""
        return self.tod + tick - self.tick + 1


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that happened within a minute.

    Attributes:
        at: when it happened.
        words: the sentence without its full stop; ``{who}`` becomes the others' names, ``{times}`` how often.
        who: ids of the others.
        weight: how much of a story it is.
        merges: whether the same words a little later make one sentence with these.
        count: how often it happened.
    """

    at: Moment
    words: str
    who: tuple[str, ...] = ()
    weight: int = 1
    merges: bool = False
    count: int = 1

    @property
    def until(self) -> int:
        """The tick in which it ended."""
        return self.at.tick

    def joined_with(self, later: "Remark") -> "Remark | None":
        """Return one remark about both when the same happened again a little later; otherwise None."""
        if not self.merges or later.words != self.words or later.at.tick - self.at.tick > FREQUENT:
            return None
        return self.with_another(later)

    def with_another(self, later: "Remark") -> "Remark":
        """Return one remark about this and the same again."""
        return replace(self, who=(*self.who, *later.who), count=self.count + later.count)

    def is_aside_of(self, other: "Use | Shift") -> bool:
        """Return whether it is so little, and so near to another note, that one sentence has both."""
        return self.merges and self.weight == 1 and self.at.tick - other.until <= _NEAR

    def words_about(self, names: Mapping[str, str]) -> str:
        """Return the words with the names of the others."""
        others = list(dict.fromkeys(self.who))
        often = f" {english.times(self.count)}" if self.count > 1 and len(others) < 2 else ""  # noqa: PLR2004 - one
        who = english.listing(names.get(each, each) for each in others) if others else ""
        return self.words.replace("{times}", often).replace("{who}", who)


@dataclass(frozen=True, slots=True)
class Use:
    """A use of an object, or several of the same kind in a row.

    Attributes:
        at: when the wait for it began, or the use; midnight for one that began on an earlier day.
        affordance: what was done.
        thing: the object.
        duration: ticks that the use takes, 0 when it is not known.
        waited: ticks in the queue.
        annoying: ids of those it waited for impatiently.
        begun: when the use began; None while it waits.
        until: the last tick of the use.
        paid: mills paid, less those given back.
        count: how many uses.
        over: whether it has ended; one that has not goes on past midnight.
    """

    at: Moment
    affordance: str
    thing: str
    duration: int = 0
    waited: int = 0
    annoying: tuple[str, ...] = ()
    begun: Moment | None = None
    until: int = 0
    paid: int = 0
    count: int = 1
    over: bool = False

    @property
    def weight(self) -> int:
        """How much of a story it is."""
        return 2 if self.waited >= _WORTH_A_WAIT else 1

    @property
    def is_carried(self) -> bool:
        """Whether it began on an earlier day."""
        return self.begun is not None and self.begun.day != self.at.day

    @property
    def price(self) -> int:
        """What one use cost, in mills."""
        return max(self.paid // self.count, 0)

    @property
    def is_sleep(self) -> bool:
        """Whether it is a sleep."""
        return english.is_sleep(self.affordance)

    @property
    def is_brief(self) -> bool:
        """Whether it is too short to be worth a word about midnight."""
        return self.duration < _BRIEF and not self.is_sleep

    def joined_with(self, later: "Use") -> "Use | None":
        """Return one use for both when another of the same kind follows soon; otherwise None."""
        alike = later.affordance == self.affordance and self.over and later.over
        if not alike or later.at.tick - self.until > _PAUSE or self.is_carried:
            return None
        return replace(
            self,
            waited=self.waited + later.waited,
            annoying=(*self.annoying, *later.annoying),
            until=later.until,
            paid=self.paid + later.paid,
            count=self.count + later.count,
        )

    def is_followed_by(self, later: "Use") -> bool:
        """Return whether another use comes so soon that both are one sentence."""
        single = self.over and later.over and self.count == later.count == 1
        return single and later.waited < _WORTH_A_WAIT and later.at.tick - self.until <= _BREATH

    def clauses(self, names: Mapping[str, str], *, again: bool, priced: bool) -> list[str]:
        """Return the parts of the sentence.

        Args:
            names: name of each resident, by id.
            again: whether the day has had a use of this kind before.
            priced: whether to say what it cost.
        """
        thing = english.noun(self.thing)
        what = english.phrase(self.affordance, past=True, again=again and self.over and self.count == 1)
        if self.count > 1:
            what += f" {english.times(self.count)}"
        end = (f" for {english.coins(self.paid)}" if priced else "") + self._end()
        if self.waited < _WORTH_A_WAIT:
            return [what + end]
        wait = f"{english.lasting(self.waited)} for the {thing}"
        if self.count > 1:
            return [what + end, f"waiting {wait}"]
        others = english.listing(names.get(each, each) for each in dict.fromkeys(self.annoying))
        annoyed = f", impatient with {others}," if others else ""
        return [f"waited {wait}{annoyed} and {what.replace(f'the {thing}', 'it', 1)}{end}"]

    def _end(self) -> str:
        """Return when it ended, if that is worth a word."""
        if not self.over:
            return " past midnight"
        end = f" until {english.clock(self.at.after(self.until))}"
        if self.begun is not None and self.is_carried:
            before = "the day before" if self.begun.day == self.at.day - 1 else f"on day {self.begun.day}"
            return f"{end}, since {english.clock(self.begun.tod)} {before}"
        first = self.begun if self.begun is not None and self.count == 1 else self.at
        return end if self.until - first.tick >= _LONG - 1 else ""


@dataclass(frozen=True, slots=True)
class Shift:
    """A shift at work.

    Attributes:
        at: when the resident came.
        job: the job.
        late: ticks after the start of the shift.
        fined: mills.
        withheld: mills of the wage that were not earned.
        early: ticks before the end at which the resident left; 0 when it stayed.
        until: the last tick of the shift.
        over: whether the shift has ended.
    """

    at: Moment
    job: str
    late: int = 0
    fined: int = 0
    withheld: int = 0
    early: int = 0
    until: int = 0
    over: bool = False

    @property
    def weight(self) -> int:
        """How much of a story it is."""
        return 3 if self.fined or self.withheld or self.early else 1

    def clauses(self) -> list[str]:
        """Return the parts of the sentence."""
        work = f"as {english.with_article(english.noun(self.job))}"
        if not self.fined and not self.late:
            parts = [f"worked {work}"]
        else:
            late = f"{english.lasting(self.late)} late" if self.late else "late"
            parts = [f"came {late} to work {work}"]
        if self.fined:
            parts.append(f"was fined {english.coins(self.fined)}")
        if self.withheld:
            parts.append(f"lost {english.coins(self.withheld)} of the wage")
        end = self._end()
        if len(parts) == 1 and not self.late and not self.early:
            return [f"{parts[0]}{end}"]
        parts.append(f"left {english.lasting(self.early)} before the end" if self.early else f"stayed{end}")
        return [english.listing(parts)]

    def _end(self) -> str:
        return f" until {english.clock(self.at.after(self.until))}" if self.over else " past midnight"


Note = Remark | Use | Shift


def fold(notes: Sequence[Note]) -> tuple[Note, ...]:
    """Put notes in order of time, and make one of those that are about the same thing.

    A remark joins any before it. A use joins only the one before it, whatever was remarked between.
    """
    kept: list[Note] = []
    for note in sorted(notes, key=lambda each: (each.at.tick, isinstance(each, Remark))):
        places = [
            index for index, each in enumerate(kept) if isinstance(each, Remark) == isinstance(note, Remark)
        ]
        for index in places if isinstance(note, Remark) else places[-1:]:
            one = _joined(kept[index], note)
            if one is not None:
                kept[index] = one
                break
        else:
            kept.append(note)
    return tuple(kept)


def _joined(earlier: Note, later: Note) -> Note | None:
    if isinstance(earlier, Remark) and isinstance(later, Remark):
        return earlier.joined_with(later)
    return earlier.joined_with(later) if isinstance(earlier, Use) and isinstance(later, Use) else None


@dataclass(slots=True)
class Tally:
    """What a day came to.

    Attributes:
        slept: ticks.
        worked: paid ticks.
        waited: ticks in queues.
        spent: mills, without rent.
        rent: mills.
    """

    slept: int = 0
    worked: int = 0
    waited: int = 0
    spent: int = 0
    rent: int = 0

    def clauses(self, *, sleepless: bool) -> list[str]:
        """Return the parts of the closing sentence; empty when there is nothing to add up.

        Args:
            sleepless: whether it is known that the resident did not sleep in the whole day.
        """
        parts = [
            f"{verb} {english.lasting(ticks)}"
            for verb, ticks in (("slept", self.slept), ("worked", self.worked), ("queued", self.waited))
            if ticks
        ]
        if sleepless:
            parts.insert(0, "did not sleep")
        if self.spent:
            rent = f", {english.amount(self.rent)} of it on rent" if self.rent else ""
            parts.append(f"spent {english.coins(self.spent + self.rent)}{rent}")
        elif self.rent:
            parts.append(f"paid {english.coins(self.rent)} in rent")
        return [f"in all: {english.listing(parts)}"] if parts else []
