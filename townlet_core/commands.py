"""The command bus: checks who may give a command and with which arguments, and queues it once.

A request that the bus accepts is answered by the next tick, and the answer is a fact of that tick. A request
that the bus refuses leaves no trace in the run: only its ticket reports the refusal.
"""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, get_args

from townlet_core.command_handlers import CommandHandlers, Specs, context_of, may
from townlet_core.dto.command import (
    Command,
    CommandResult,
    CommandSpec,
    ErrorCode,
    Role,
    is_line,
)
from townlet_core.dto.command_hook import CommandDone, CommandRefused
from townlet_core.dto.observation import ObservationBatch
from townlet_core.dto.spec import WorldSpec
from townlet_core.errors import ContractError, SnapshotError
from townlet_core.events.base import Event
from townlet_core.events.console import CommandFault, ConsoleResult
from townlet_core.jsonvalue import JsonObject, JsonValue
from townlet_core.records import record_from_json, record_to_json
from townlet_core.suggestions import nearest

MOST_REMEMBERED: Final = 512
"""Admins' commands whose ``cmd_id`` and result are kept: the latest accepted ones."""
MOST_WAITING: Final = 256
"""Requests that may wait for the next tick; at most ``MOST_REMEMBERED``, so that no waiting request is
forgotten. Viewers may fill half of it, so that they cannot keep an admin out."""
LONGEST_ID: Final = 128
"""Characters of a ``cmd_id`` or an issuer."""
_ROLES: Final = frozenset(get_args(Role))


class Ticket:
    """The answer to one request, which may still be open; usable from any thread."""

    def __init__(self, result: CommandResult | None = None) -> None:
        """Hold the result, or wait for it."""
        self._result = result
        self._ready = threading.Event()
        if result is not None:
            self._ready.set()

    @property
    def result(self) -> CommandResult | None:
        """The result of the request, None while it is open."""
        return self._result

    def wait(self, seconds: float | None = None) -> CommandResult | None:
        """Wait until the request is answered, at most for ``seconds``; None when it was not answered.

        A loop that fails, ends or is restored in the meantime does not answer.
        """
        self._ready.wait(seconds)
        return self._result

    def settle(self, result: CommandResult) -> None:
        """Set the result; only the bus calls this."""
        self._result = result
        self._ready.set()


@dataclass(frozen=True, slots=True)
class _Entry:
    """One accepted request and the ticket for its answer."""

    request: Command
    ticket: Ticket


@dataclass(frozen=True, slots=True)
class _Case:
    """The answer to one request of a round, or which of the round's world commands belong to it."""

    entry: _Entry
    answer: CommandResult | CommandDone | None
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class _State:
    """The state of a bus as a snapshot holds it."""

    remembered: tuple[tuple[Command, CommandResult | None], ...]
    waiting: tuple[Command, ...]
    handlers: JsonValue


_NO_WORLD: Final = WorldSpec("", 0, 0, (), ())
"""The spec before ``begin``."""


class CommandBus:
    """Accepts requests from any thread and passes them to the loop between two ticks."""

    def __init__(self, handlers: CommandHandlers, coming_tick: Callable[[], int]) -> None:
        """Create a bus that refuses every command of the world until ``begin`` has named them.

        Args:
            handlers: the commands that plugins and stages add.
            coming_tick: returns the tick that the next step executes; callable from any thread.
        """
        self._handlers, self._coming_tick = handlers, coming_tick
        self._obeyed: Specs = {}
        self._world = _NO_WORLD
        self._waiting: deque[_Entry] = deque()
        self._remembered: OrderedDict[str, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def specs(self) -> Specs:
        """Every available command by name: those of the world, then those of plugins and stages."""
        return {**self._obeyed, **self._handlers.specs}

    @property
    def waiting(self) -> int:
        """The number of requests waiting for the next tick."""
        return len(self._waiting)

    def begin(self, spec: WorldSpec) -> None:
        """Take over the commands that the world accepts.

        Raises:
            ContractError: when the world names a command twice, or one that a plugin or a stage answers.
        """
        names = [each.name for each in (*spec.commands, *self._handlers.specs.values())]
        if len(set(names)) < len(names):
            raise ContractError(f"command names must be unique; found: {', '.join(names)}")
        self._obeyed = {each.name: each for each in spec.commands}
        self._world = spec

    def submit(self, request: Command, role: Role) -> Ticket:
        """Request the execution of a command in the next tick; callable from any thread.

        Args:
            request: the command. A command for admins needs a ``cmd_id``; a repeated request returns the
                ticket of the first one and changes nothing.
            role: the issuer's role; the caller has authenticated it.

        Returns:
            A ticket: answered when the tick was executed, or at once when the bus refuses the request
            (``unauthorized``, ``forbidden``, ``unknown_command``, ``invalid_args``, ``conflict``,
            ``rate_limited``).
        """
        try:
            accepted = self._admitted(request, role)
        except _RefusedError as refused:
            return Ticket(request.refused(self._coming_tick(), refused.code, refused.message))
        with self._lock:
            known = self._remembered.get(accepted.cmd_id) if self._is_remembered(accepted) else None
            if known is not None:
                if known.request == accepted:
                    return known.ticket
                message = f"cmd_id '{accepted.cmd_id}' is already used by another request; use a new one"
                return Ticket(request.refused(self._coming_tick(), "conflict", message))
            most = MOST_WAITING if role == "admin" else MOST_WAITING // 2
            if len(self._waiting) >= most:
                message = f"{most} commands are already waiting; try again after the next tick"
                return Ticket(request.refused(self._coming_tick(), "rate_limited", message))
            entry = _Entry(accepted, Ticket())
            self._waiting.append(entry)
            if self._is_remembered(accepted):
                self._remembered[accepted.cmd_id] = entry
                if len(self._remembered) > MOST_REMEMBERED:
                    self._remembered.popitem(last=False)
        return entry.ticket

    def open_round(self, observation: ObservationBatch, seed: int) -> "CommandRound":
        """Take the waiting requests and call the plugins and stages that answer them; the loop calls this.

        Args:
            observation: what every agent sees at the start of the tick.
            seed: the run's seed.
        """
        with self._lock:
            taken, self._waiting = self._waiting, deque()
        commands: list[Command] = []
        cases: list[_Case] = []
        for entry in taken:
            answer = self._answer(entry.request, observation, seed)
            own = self._orders(entry.request, answer)
            cases.append(_Case(entry, answer, len(commands), len(own)))
            commands += own
        return CommandRound(tuple(commands), tuple(cases), self._handlers.take_rejections())

    def export_state(self) -> JsonObject:
        """Return the waiting and the remembered requests and the misbehaving commands; empty without any."""
        with self._lock:
            remembered = tuple((each.request, each.ticket.result) for each in self._remembered.values())
            waiting = tuple(each.request for each in self._waiting)
        state = _State(remembered, waiting, self._handlers.export_state())
        return record_to_json(state) if remembered or waiting or state.handlers else {}

    def import_state(self, state: JsonValue) -> None:
        """Continue from an exported state; requests submitted here before are forgotten, unanswered.

        Raises:
            SnapshotError: when a bus did not export the state; nothing was changed then.
        """
        remembered: OrderedDict[str, _Entry] = OrderedDict()
        waiting: deque[_Entry] = deque()
        handlers: JsonValue = {}
        if state:
            read = _read_state(state)
            handlers = read.handlers
            for request, result in read.remembered:
                remembered[request.cmd_id] = _Entry(request, Ticket(result))
            for request in read.waiting:
                self._require_known(request)
                own = remembered.get(request.cmd_id) if self._is_remembered(request) else None
                waiting.append(own or _Entry(request, Ticket()))
        self._handlers.import_state(handlers)
        with self._lock:
            self._remembered, self._waiting = remembered, waiting

    def _admitted(self, request: Command, role: Role) -> Command:
        """Authorise and check a request; returns a copy that no other code holds."""
        if role not in _ROLES:
            raise _RefusedError("unauthorized", f"unknown role '{role}'; known: viewer, admin")
        spec = self._spec_of(request.name)
        if spec is None:
            known = nearest(f"{request.name:.100}", self.specs)
            raise _RefusedError("unknown_command", f"unknown command '{request.name:.100}'; {known}")
        if not may(role, spec.role):
            raise _RefusedError("forbidden", f"{spec.name} needs the role admin; this request has '{role}'")
        try:
            args = spec.read(request.args)
        except ValueError as error:
            raise _RefusedError("invalid_args", str(error)) from error
        if not (is_line(request.cmd_id, LONGEST_ID) and is_line(request.issuer, LONGEST_ID)):
            message = f"cmd_id and issuer must be at most {LONGEST_ID} printable characters"
            raise _RefusedError("invalid_args", message)
        if spec.role == "admin" and not request.cmd_id:
            message = f"{spec.name} needs a cmd_id, so that a repeated request is executed only once"
            raise _RefusedError("invalid_args", message)
        return replace(request, args=args)

    def _spec_of(self, name: str) -> CommandSpec | None:
        return self._obeyed.get(name) or self._handlers.specs.get(name)

    def _is_remembered(self, request: Command) -> bool:
        """Return whether repetitions are detected; a viewer's command changes nothing and needs no memory."""
        spec = self._spec_of(request.name)
        return spec is not None and spec.role == "admin"

    def _require_known(self, request: Command) -> None:
        """Refuse a snapshot with a waiting request that could not be answered as in the original run."""
        spec = self._spec_of(request.name)
        try:
            if spec is None:
                raise SnapshotError(
                    "snapshot_config",
                    f"the waiting command '{request.name}' is unknown here; allow the plugin that offers it",
                )
            spec.read(request.args)
        except ValueError as error:
            raise SnapshotError("snapshot_config", f"a waiting command is not valid here: {error}") from error

    def _answer(
        self, request: Command, observation: ObservationBatch, seed: int
    ) -> CommandResult | CommandDone | None:
        """Call the plugin or the stage of the command; None for a command of the world."""
        name, tick = request.name, observation.tick
        spec = self._handlers.specs.get(name)
        if spec is None:
            return None
        if self._handlers.is_disabled(name):
            return request.refused(tick, "unsupported", f"{name} is disabled for the rest of the run")
        if self._handlers.is_of_stage(name):
            answer = self._handlers.ask_stage(request, observation, self._obeyed)
        else:
            context = context_of(request, spec, observation, seed, self._world)
            answer = self._handlers.ask(context, self._obeyed)
        if isinstance(answer, CommandRefused):
            return request.refused(tick, answer.code, answer.reason)
        if answer is None:
            # The details of a failure may differ from run to run, and this message becomes a fact.
            message = f"{name} failed and had no effect; plugin.rejected and the log give the reason"
            return request.refused(tick, "internal", message)
        return answer

    @staticmethod
    def _orders(request: Command, answer: CommandResult | CommandDone | None) -> list[Command]:
        """Return the commands that the world executes for a request."""
        if answer is None:
            return [request]
        if isinstance(answer, CommandResult):
            return []
        return [replace(each, cmd_id=request.cmd_id, issuer=request.issuer) for each in answer.commands]


class CommandRound:
    """The requests of one tick and their answers.

    Attributes:
        commands: the commands for the world: those of requests in the order of acceptance, then the orders
            of stages.
    """

    def __init__(
        self, commands: tuple[Command, ...], cases: Sequence[_Case], rejected: tuple[Event, ...]
    ) -> None:
        """Hold the requests to answer."""
        self.commands, self._cases, self._rejected = commands, cases, rejected

    def with_orders(self, orders: Sequence[Command]) -> "CommandRound":
        """Return the same round with commands of stages, whose results do not become facts."""
        return CommandRound((*self.commands, *orders), self._cases, self._rejected)

    def close(self, tick: int, results: Sequence[CommandResult]) -> tuple[Event, ...]:
        """Answer every request with the world's results.

        Args:
            tick: the tick that was executed.
            results: the world's answers, one result for each of ``commands``.

        Returns:
            The facts in the order of acceptance, then the diagnostics about plugins.

        Raises:
            ContractError: when the world did not answer each command, in order.
        """
        asked = [(each.name, each.cmd_id, each.issuer, tick) for each in self.commands]
        if [(each.name, each.cmd_id, each.issuer, each.tick) for each in results] != asked:
            raise ContractError(
                f"the world did not answer the {len(asked)} commands of tick {tick} one by one; an outcome "
                "has one result for each, in order: command.done(tick) or command.refused(tick, ...)"
            )
        facts: list[Event] = []
        for case in self._cases:
            result = _result_of(case, results[case.first : case.first + case.count], tick)
            facts.append(_fact_of(result))
            case.entry.ticket.settle(result)
        return (*facts, *self._rejected)


NO_ROUND: Final = CommandRound((), (), ())
"""The round of a tick without any request."""


class _RefusedError(Exception):
    """The bus refuses a request. Never leaves this module."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(message)


def _fact_of(answer: CommandResult) -> ConsoleResult:
    return ConsoleResult(
        answer.name, answer.status, answer.result, answer.error, answer.cmd_id, answer.issuer, answer.tick
    )


def _result_of(case: _Case, results: Sequence[CommandResult], tick: int) -> CommandResult:
    """Combine a plugin's answer and the world's results for it into one result."""
    request, answer = case.entry.request, case.answer
    if answer is None:
        return results[0]
    if isinstance(answer, CommandResult):
        return answer
    for number, each in enumerate(results):
        if each.error is not None:
            # The world executes the commands independently: those before and after this one stand.
            details = {**each.error.details, "command": each.name, "number": number}
            error = CommandFault(each.error.code, f"{each.name}: {each.error.message}", details)
            return CommandResult(request.name, "error", {}, error, request.cmd_id, request.issuer, tick)
    return request.done(tick, answer.result)


def _read_state(state: JsonValue) -> _State:
    """Read an exported state.

    Raises:
        SnapshotError: when the value is not the state of a bus.
    """
    try:
        read = record_from_json(_State, state)
    except ValueError as error:
        raise SnapshotError("snapshot_corrupt", f"the part 'commands' is damaged: {error}") from error
    ids = [request.cmd_id for request, _ in read.remembered]
    unanswered = [request for request, result in read.remembered if result is None]
    if (
        any(request not in read.waiting for request in unanswered)
        or len(set(ids)) < len(ids)
        or len(read.waiting) > MOST_WAITING
        or len(ids) > MOST_REMEMBERED
    ):
        raise SnapshotError("snapshot_corrupt", "the part 'commands' contradicts itself")
    return read
