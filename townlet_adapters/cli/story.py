"""``townlet story``."""

import difflib
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
from rich.text import Text

from townlet_adapters.cli.console import note, stdout_console
from townlet_adapters.cli.errors import DONE, FAILED, printable
from townlet_adapters.storage.playback import EventReader
from townlet_adapters.story.chronicle import Chapter, Day
from townlet_adapters.story.sentences import chronicle
from townlet_core.suggestions import nearest

_MARGIN: Final = 7
_MOST_NAMES: Final = 20


@dataclass(frozen=True, slots=True)
class Choice:
    """What to print: everything that is not chosen is left open.

    Attributes:
        resident: a name or an id; None for any.
        day: None for any.
        everything: whether to print all of what is left open, and not only the best of it.
    """

    resident: str | None
    day: int | None
    everything: bool

    def chapters_of(self, day: Day) -> list[Chapter]:
        """List the wanted chapters of a day."""
        if self.day not in {None, day.number}:
            return []
        wanted = self.resident.casefold() if self.resident is not None else None
        return [
            chapter
            for chapter in day.chapters
            if wanted is None or wanted in {chapter.name.casefold(), chapter.resident.casefold()}
        ]


@click.command("story")
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.option(
    "--resident", metavar="NAME", help="Name or id of a resident, instead of the one with most to say."
)
@click.option(
    "--day", type=click.IntRange(min=0), metavar="N", help="Day, from 0, instead of the last whole one."
)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Print every resident and every day that the other options leave open.",
)
def command(run: Path, resident: str | None, day: int | None, *, everything: bool) -> int:
    """Print a resident's day in sentences, from the events of a run alone.

    RUN is a run folder, or a file of events. A run that still goes on is read as far as it is. Lines that are
    damaged are left out: exit code 1, with a line for each file.

    \b
    Examples:
      townlet story runs/mine
      townlet story runs/mine --resident Iris --day 3
      townlet story runs/mine --resident Iris --all | less
    """
    reader, book = EventReader(run), chronicle()
    choice = Choice(resident, day, everything)
    days = _Span(book.days(reader.events(book.wants)))
    count = 0
    for chapter in _chosen(days, choice):
        _print(chapter, first=count == 0)
        count += 1
    if count == 0:
        known = list(dict.fromkeys([*book.names, *book.names.values()]))
        raise click.UsageError(_nothing(run, choice, days, known), click.get_current_context())
    for line in reader.damage:
        click.echo(printable(line), err=True)
    return FAILED if reader.damage else DONE


class _Span:
    """The first and the last day that came by."""

    def __init__(self, days: Iterable[Day]) -> None:
        """Count the days that pass."""
        self._days = days
        self.first: int | None = None
        self.last = 0

    def __iter__(self) -> Iterator[Day]:
        for day in self._days:
            self.first = day.number if self.first is None else self.first
            self.last = day.number
            yield day

    def __str__(self) -> str:
        if self.first is None:
            return "no event yet"
        return f"day {self.first}" if self.first == self.last else f"days {self.first} to {self.last}"


def _chosen(days: _Span, choice: Choice) -> Iterator[Chapter]:
    """List the chapters to print; one whose day is over before the next one is read."""
    if choice.everything:
        for day in days:
            yield from choice.chapters_of(day)
            if day.number == choice.day:
                return
        return
    best: Day | None = None
    for day in days:
        if choice.chapters_of(day) and (day.is_whole or best is None):
            best = day
        if day.number == choice.day:
            break
    chapters = choice.chapters_of(best) if best is not None else []
    if choice.resident is None and chapters:
        chapters = [max(chapters, key=lambda chapter: chapter.weight)]
        _mention_others(chapters[0], days)
    yield from chapters


def _mention_others(chosen: Chapter, days: _Span) -> None:
    others = [name for each, name in chosen.names.items() if each != chosen.resident]
    listed = ", ".join(others[:_MOST_NAMES]) + (", ..." if len(others) > _MOST_NAMES else "")
    also = f"also in town: {listed} (--resident NAME); " if listed else ""
    note(f"{chosen.name} had most to say; {also}{days} (--day N); --all prints everything")


def _nothing(run: Path, choice: Choice, days: _Span, names: Sequence[str]) -> str:
    """Return why there is nothing to print."""
    if not names:
        return f"{run}: no event there names a resident"
    known = {name.casefold() for name in names}
    if choice.resident is not None and choice.resident.casefold() not in known:
        near = difflib.get_close_matches(choice.resident, names, n=_MOST_NAMES, cutoff=0.0)
        return f"--resident: unknown resident {choice.resident!r}; {nearest(choice.resident, near)}"
    return f"--day: day {choice.day} is not in {run}; it has {days}"


def _print(chapter: Chapter, *, first: bool) -> None:
    """Print a chapter: a line for each sentence, which a terminal wraps beside its time."""
    console = stdout_console()
    if not first:
        console.print()
    console.print(Text(printable(chapter.title), style="bold"), soft_wrap=True)
    lines = list(chapter.lines()) or [("", "Nothing of that day was recorded.")]
    for time, text in [*lines, ("", chapter.closing)]:
        width = max(console.width - _MARGIN, _MARGIN)
        shown = textwrap.wrap(printable(text), width) if console.is_terminal else [printable(text)]
        for number, line in enumerate(shown if text else ()):
            head = time if number == 0 else ""
            console.print(Text(f"{head:<{_MARGIN}}{line}"), soft_wrap=True)
