"""A timeline: commands that a run gives itself, each before a tick that is set in advance."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from townlet_core.command_handlers import Specs
from townlet_core.commands import MOST_WAITING
from townlet_core.dto.command import Command
from townlet_core.errors import ConfigError, Problem
from townlet_core.events.base import Diagnostic, Fact
from townlet_core.events.loop import LoopTick
from townlet_core.jsonvalue import JsonObject
from townlet_core.loop import SimulationLoop
from townlet_core.suggestions import nearest

__all__ = ["ISSUER", "KEY", "TimedCommand", "check_timeline", "follow"]

ISSUER: Final = "timeline"
"""The issuer of the commands of a timeline."""
KEY: Final = "commands"
"""The key of a config that holds the timeline."""


@dataclass(frozen=True, slots=True)
class TimedCommand:
    """One command of a timeline.

    Attributes:
        tick: index of the tick that executes it.
        name: name of the command.
        args: its arguments.
    """

    tick: int
    name: str
    args: JsonObject


def check_timeline(entries: Sequence[TimedCommand], specs: Specs) -> None:
    """Check the commands of a timeline against the commands that a run has.

    Raises:
        ConfigError: when a command is unknown or its arguments do not fit, or when there are more for a tick
            than can wait.
    """
    problems = [
        problem for number, entry in enumerate(entries) if (problem := _problem(number, entry, specs))
    ]
    for tick, most in Counter(entry.tick for entry in entries).most_common(1):
        if most > MOST_WAITING:
            found = f"there are {most} commands for tick {tick}"
            problems.append(Problem(KEY, found, f"at most {MOST_WAITING} for a tick"))
    if problems:
        raise ConfigError(*problems)


def follow(loop: SimulationLoop, entries: Sequence[TimedCommand]) -> None:
    """Submit the commands of a timeline to a loop that has begun, each in time for its tick.

    Commands for ticks that are over are left out. Those of the same tick are executed in the order of the
    timeline. Each has its place in the timeline as ``cmd_id``, so that one that a snapshot holds as waiting
    is not executed twice.

    Raises:
        ConfigError: when a command is unknown or its arguments do not fit, or when there are more for a tick
            than can wait.
    """
    if not entries:
        return
    check_timeline(entries, loop.commands.specs)
    by_tick: dict[int, list[Command]] = {}
    for number, entry in enumerate(entries):
        command = Command(entry.name, entry.args, cmd_id=f"{KEY}[{number}]", issuer=ISSUER)
        by_tick.setdefault(entry.tick, []).append(command)

    def submit(coming: int) -> None:
        for command in by_tick.get(coming, ()):
            loop.commands.submit(command, "admin")

    def go_on(message: Fact | Diagnostic) -> None:
        submit(message.tick + 1)

    submit(loop.tick)
    loop.dispatcher.subscribe(LoopTick.kind, go_on, name=ISSUER)


def _problem(number: int, entry: TimedCommand, specs: Specs) -> Problem | None:
    """Return what is wrong with an entry."""
    spec = specs.get(entry.name)
    if spec is None:
        found = f"unknown command {entry.name!r:.80}"
        return Problem(f"{KEY}[{number}].name", found, nearest(entry.name, specs))
    try:
        spec.read(entry.args)
    except ValueError as error:
        taken = ", ".join(f"{each.name} ({each.type})" for each in spec.arguments) or "no argument"
        return Problem(f"{KEY}[{number}].args", str(error), taken)
    return None
