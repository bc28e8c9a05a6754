"""The contract of a plugin's commands."""

import itertools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from townlet_core import seeding
from townlet_core.command_handlers import CommandHandlers
from townlet_core.dto.command import CommandSpec
from townlet_core.dto.command_hook import (
    CommandContext,
    CommandDone,
    CommandRefused,
    OfferedCommand,
    ResidentSeen,
)
from townlet_core.dto.spec import TICKS_PER_DAY
from townlet_core.errors import ContractError
from townlet_core.isolation import DEFAULT_BUDGET
from townlet_core.jsonvalue import JsonValue, canonical_json
from townlet_core.records import record_to_json
from townlet_core.testing.contracts.arrays import require
from townlet_core.testing.contracts.hooks import MADE_UP_ITEMS, MADE_UP_VALUES
from townlet_core.testing.fakes import FAKE_NEEDS

_PEOPLE = 5


def command_contexts(  # noqa: PLR0913 - one argument for each kind of names
    spec: CommandSpec,
    args: Mapping[str, JsonValue],
    count: int = 20,
    *,
    needs: Sequence[str] = FAKE_NEEDS,
    items: Sequence[str] = MADE_UP_ITEMS,
    values: Sequence[str] = MADE_UP_VALUES,
) -> tuple[CommandContext, ...]:
    """Return made-up requests with these arguments at many times, always the same ones.

    Residents are ``a00000`` to ``a00004``; use ``dataclasses.replace`` to change fields.

    Args:
        spec: the command.
        args: its arguments.
        count: number of requests.
        needs: names of the residents' needs: those of the world that the command is for.
        items: names of what they may carry.
        values: names of the columns of the world's view with one number for each of them.

    Raises:
        ValueError: when the arguments do not fit the spec.
    """
    return tuple(
        replace(_context(spec, args, number), residents=_residents(number, needs, items, values))
        for number in range(count)
    )


def check_commands(
    make_commands: Callable[[], Sequence[OfferedCommand]],
    contexts: Iterable[CommandContext],
    obeyed: Iterable[CommandSpec] = (),
    *,
    budget_seconds: float = DEFAULT_BUDGET,
) -> None:
    """Check that commands keep their contract: pure, within limits and budget.

    Each is called with its contexts by a second set of commands, again by the same one, and in the opposite
    order. All answers must be equal.

    Args:
        make_commands: returns the commands, as ``townlet_commands`` does.
        contexts: the contexts to call the commands with; ``command_contexts`` makes some up.
        obeyed: the commands that the world accepts: ``WorldSpec.commands``.
        budget_seconds: duration that one call may take; the fastest of a context's calls counts.

    Raises:
        ContractError: when they do not.
    """
    asked, specs = tuple(contexts), {spec.name: spec for spec in obeyed}
    first, other = _Trial(make_commands(), specs), _Trial(make_commands(), specs)
    unasked = first.names - {context.command for context in asked}
    require(not unasked, f"no context for {', '.join(sorted(unasked))}: give at least one for each command")
    expected = [first.answer(context) for context in asked]
    _compare(asked, expected, [other.answer(context) for context in asked], "a second equal set")
    _compare(asked, expected, [first.answer(context) for context in asked], "the same set called again")
    backwards = [first.answer(context) for context in reversed(asked)]
    _compare(asked, expected, backwards[::-1], "the same set called in another order")
    for context in asked:
        fastest = min(first.seconds[id(context)], other.seconds[id(context)])
        took, most = fastest * 1000, budget_seconds * 1000
        require(fastest <= budget_seconds, f"{_where(context)}: took {took:.0f} ms of {most:.0f}")


class _Trial:
    """One set of commands, called under observation."""

    def __init__(self, offered: Sequence[OfferedCommand], obeyed: Mapping[str, CommandSpec]) -> None:
        # An infinite budget: calls are timed here, and the fastest counts.
        self._handlers = CommandHandlers(offered, budget_seconds=float("inf"))
        self._obeyed = obeyed
        self.names = frozenset(self._handlers.specs)
        self.seconds: dict[int, float] = {}

    def answer(self, context: CommandContext) -> CommandDone | CommandRefused:
        """Call a command with a context and refuse an answer that a run would discard."""
        require(context.command in self.names, f"{_where(context)}: this command is not offered")
        before = _encoded(context)
        started = time.perf_counter()
        answer = self._handlers.ask(context, self._obeyed)
        took = time.perf_counter() - started
        self.seconds[id(context)] = min(took, self.seconds.get(id(context), took))
        for rejected in self._handlers.take_rejections():
            raise ContractError(f"{_where(context)}: {rejected.problem}")
        require(
            _encoded(context) == before,
            f"{_where(context)}: the command changed its context; a context is read-only",
        )
        if answer is None:
            raise ContractError(f"{_where(context)}: the command returned no answer")
        return answer


def _compare(
    asked: Sequence[CommandContext], expected: Sequence[object], found: Sequence[object], other: str
) -> None:
    for context, left, right in zip(asked, expected, found, strict=True):
        require(
            left == right,
            f"{_where(context)}: the answer was {left}, but {other} returned {right}; a command is a pure "
            "function of its context, and its random draws come from the context",
        )


def _encoded(context: CommandContext) -> bytes:
    return canonical_json(record_to_json(context))


def _where(context: CommandContext) -> str:
    return f"{context.command} at tick {context.tick}"


def _some(number: int, most: int, index: int) -> int:
    return seeding.integer(0, most, 7, seeding.WORLD, number, 1, index)


def _residents(
    number: int, needs: Sequence[str], items: Sequence[str], values: Sequence[str]
) -> Mapping[str, ResidentSeen]:
    """Make up the residents of a request; each number is drawn with an index of its own."""
    residents = {}
    indices = itertools.count(1)

    def some(most: int) -> int:
        return _some(number, most, next(indices))

    for serial in range(_PEOPLE):
        agent_id = f"a{serial:05d}"
        residents[agent_id] = ResidentSeen(
            agent_id,
            serial,
            (some(47), some(47)),
            MappingProxyType({need: some(1000) / 1000 for need in needs}),
            MappingProxyType({name: some(6000) for name in values}),
            MappingProxyType({item: some(4) for item in items}),
        )
    return MappingProxyType(residents)


def _context(spec: CommandSpec, args: Mapping[str, JsonValue], number: int) -> CommandContext:
    tick = _some(number, 10 * TICKS_PER_DAY, 0)
    return CommandContext(
        command=spec.name,
        args=MappingProxyType(spec.read(args)),
        cmd_id=f"check-{number}",
        issuer="check",
        tick=tick,
        day=tick // TICKS_PER_DAY,
        tod=tick % TICKS_PER_DAY,
        residents=MappingProxyType({}),
        seed=7,
    )
