"""The way in for commands: who may, whether they make sense, once only, and in which order.

A request that the door lets in is answered by the tick that comes next, and the answer is a fact of that
tick. One that it refuses has no place in the run: only who asked is told.
"""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, get_args

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
from townlet_core.handlers import CommandHandlers, Specs, context_of, may
from townlet_core.jsonvalue import JsonObject, JsonValue
from townlet_core.naming import nearest
from townlet_core.records import record_from_json, record_to_json

MOST_REMEMBERED: Final = 512
"""Admins' commands whose ``cmd_id`` and result are kept: the last ones accepted."""
MOST_WAITING: Final = 256
"""Requests that may wait for the coming tick; no more than are remembered, so none that waits is forgotten.
A viewer is let in up to half of it, so that viewers keep no admin out."""
LONGEST_ID: Final = 128
"""Characters of a ``cmd_id`` or an issuer."""
_ROLES: Final = frozenset(get_args(Role))


class Ticket:
    """The answer to one request, perhaps still to come; from any thread."""

    def __init__(self, result: CommandResult | None = None) -> None:
        """Hold the result, or wait for it."""
        self._result = result
        self._ready = threading.Event()
        if result is not None:
            self._ready.set()

    @property
    def result(self) -> CommandResult | None:
        """What became of the request, None while that is open."""
        return self._result

    def wait(self, seconds: float | None = None) -> CommandResult | None:
        """Wait until the request is answered, or for some seconds; None when it was not.

        A loop that fails, ends or is restored meanwhile does not answer.
        """
        self._ready.wait(seconds)
        return self._result

    def settle(self, result: CommandResult) -> None:
        """Answer; the bus does this."""
        self._result = result
        self._ready.set()


@dataclass(frozen=True, slots=True)
class _Entry:
    """One accepted request and whoever waits for its answer."""

    request: Command
    ticket: Ticket


@dataclass(frozen=True, slots=True)
class _Case:
    """What one request of a round came to, or which of the world's commands are its own."""

    entry: _Entry
    answer: CommandResult | CommandDone | None
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class _State:
    """What a snapshot keeps of a bus."""

    remembered: tuple[tuple[Command, CommandResult | None], ...]
    waiting: tuple[Command, ...]
    handlers: JsonValue


class CommandBus:
    """Takes requests from any thread and hands them to the loop between two ticks."""

    def __init__(self, handlers: CommandHandlers, coming_tick: Callable[[], int]) -> None:
        """Let nobody in before ``begin`` has told what the world obeys.

        Args:
            handlers: the commands that plugins add.
            coming_tick: tells the tick that the next step executes; from any thread.
        """
        self._handlers, self._coming_tick = handlers, coming_tick
        self._obeyed: Specs = {}
        self._ticks_per_day = 1
        self._waiting: deque[_Entry] = deque()
        self._remembered: OrderedDict[str, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def specs(self) -> Specs:
        """Every command that may be given, by name: those of the world, then those of plugins."""
        return {**self._obeyed, **self._handlers.specs}

    @property
    def waiting(self) -> int:
        """How many requests wait for the coming tick."""
        return len(self._waiting)

    def begin(self, spec: WorldSpec) -> None:
        """Learn what the world obeys.

        Raises:
            ContractError: when it names a command twice, or one that a plugin offers.
        """
        names = [each.name for each in (*spec.commands, *self._handlers.specs.values())]
        if len(set(names)) < len(names):
            raise ContractError(f"commands need names of their own, not {', '.join(names)}")
        self._obeyed = {each.name: each for each in spec.commands}
        self._ticks_per_day = spec.ticks_per_day

    def submit(self, request: Command, role: Role) -> Ticket:
        """Ask for a command to be executed in the coming tick; from any thread.

        Args:
            request: what is asked. A command for admins needs a ``cmd_id``; repeated, it gets the ticket of
                the first time and changes nothing.
            role: who asks; the caller has made sure of that.

        Returns:
            A ticket: answered when the tick was executed, or at once when the door refuses (``unauthorized``,
            ``forbidden``, ``unknown_command``, ``invalid_args``, ``conflict``, ``rate_limited``).
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
                message = f"cmd_id '{accepted.cmd_id}' belongs to another request; give this one its own"
                return Ticket(request.refused(self._coming_tick(), "conflict", message))
            most = MOST_WAITING if role == "admin" else MOST_WAITING // 2
            if len(self._waiting) >= most:
                message = f"{most} commands wait already; try again after the coming tick"
                return Ticket(request.refused(self._coming_tick(), "rate_limited", message))
            entry = _Entry(accepted, Ticket())
            self._waiting.append(entry)
            if self._is_remembered(accepted):
                self._remembered[accepted.cmd_id] = entry
                if len(self._remembered) > MOST_REMEMBERED:
                    self._remembered.popitem(last=False)
        return entry.ticket

    def open_round(self, observation: ObservationBatch, seed: int) -> "CommandRound":
        """Take what waits and ask the plugins whose commands are among it; the loop does this in a tick.

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
        """Tell what waits, what is remembered, and which commands misbehaved; empty when there is nothing."""
        with self._lock:
            remembered = tuple((each.request, each.ticket.result) for each in self._remembered.values())
            waiting = tuple(each.request for each in self._waiting)
        state = _State(remembered, waiting, self._handlers.export_state())
        return record_to_json(state) if remembered or waiting or state.handlers else {}

    def import_state(self, state: JsonValue) -> None:
        """Continue from an exported state; what has been asked here so far is forgotten, unanswered.

        Raises:
            SnapshotError: when it was not exported by such a bus; nothing was changed then.
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
        """Authorise and check a request; gives a copy that nobody else holds."""
        if role not in _ROLES:
            raise _RefusedError("unauthorized", f"nobody is a '{role}'; roles are viewer and admin")
        spec = self._spec_of(request.name)
        if spec is None:
            known = nearest(f"{request.name:.100}", self.specs)
            raise _RefusedError("unknown_command", f"there is no command '{request.name:.100}'; {known}")
        if not may(role, spec.role):
            raise _RefusedError("forbidden", f"{spec.name} is for an admin, not for a {role}")
        try:
            args = spec.read(request.args)
        except ValueError as error:
            raise _RefusedError("invalid_args", str(error)) from error
        if not (is_line(request.cmd_id, LONGEST_ID) and is_line(request.issuer, LONGEST_ID)):
            message = f"cmd_id and issuer have at most {LONGEST_ID} printable characters"
            raise _RefusedError("invalid_args", message)
        if spec.role == "admin" and not request.cmd_id:
            message = f"{spec.name} needs a cmd_id, so that it is executed once however often it is sent"
            raise _RefusedError("invalid_args", message)
        return replace(request, args=args)

    def _spec_of(self, name: str) -> CommandSpec | None:
        return self._obeyed.get(name) or self._handlers.specs.get(name)

    def _is_remembered(self, request: Command) -> bool:
        """Tell whether a repetition matters; a viewer's command changes nothing, and fills no memory."""
        spec = self._spec_of(request.name)
        return spec is not None and spec.role == "admin"

    def _require_known(self, request: Command) -> None:
        """Refuse to go on where a request could not be answered as it would have been."""
        spec = self._spec_of(request.name)
        try:
            if spec is None:
                raise SnapshotError(
                    "snapshot_config",
                    f"the command '{request.name}' waits, and nobody here knows it; allow its plugin",
                )
            spec.read(request.args)
        except ValueError as error:
            raise SnapshotError("snapshot_config", f"a waiting command does not fit: {error}") from error

    def _answer(
        self, request: Command, observation: ObservationBatch, seed: int
    ) -> CommandResult | CommandDone | None:
        """Ask a plugin about its command; None for one of the world's own."""
        name, tick = request.name, observation.tick
        spec = self._handlers.specs.get(name)
        if spec is None:
            return None
        if self._handlers.is_disabled(name):
            return request.refused(tick, "unsupported", f"{name} is disabled for the rest of the run")
        context = context_of(request, spec, observation, seed, self._ticks_per_day)
        answer = self._handlers.ask(context, self._obeyed)
        if isinstance(answer, CommandRefused):
            return request.refused(tick, answer.code, answer.reason)
        if answer is None:
            # What went wrong in detail may differ from run to run, and this becomes a fact.
            message = f"{name} failed, and had no effect; plugin.rejected and the log say why"
            return request.refused(tick, "internal", message)
        return answer

    @staticmethod
    def _orders(request: Command, answer: CommandResult | CommandDone | None) -> list[Command]:
        """Say what the world is to do for a request."""
        if answer is None:
            return [request]
        if isinstance(answer, CommandResult):
            return []
        return [replace(each, cmd_id=request.cmd_id, issuer=request.issuer) for each in answer.commands]


class CommandRound:
    """What one tick does about the requests that waited for it.

    Attributes:
        commands: what the world is given, in the order of acceptance.
    """

    def __init__(
        self, commands: tuple[Command, ...], cases: Sequence[_Case], rejected: tuple[Event, ...]
    ) -> None:
        """Hold what is to be answered."""
        self.commands, self._cases, self._rejected = commands, cases, rejected

    def close(self, tick: int, results: Sequence[CommandResult]) -> tuple[Event, ...]:
        """Answer every request with what the world has done.

        Args:
            tick: the tick that was executed.
            results: what the world answered, one result for each of ``commands``.

        Returns:
            The facts, in the order of acceptance, and the diagnostics of plugins behind them.

        Raises:
            ContractError: when the world did not answer each command, in order.
        """
        asked = [(each.name, each.cmd_id, each.issuer, tick) for each in self.commands]
        if [(each.name, each.cmd_id, each.issuer, each.tick) for each in results] != asked:
            raise ContractError(
                f"the world was given {len(asked)} commands in tick {tick} and answered others; an outcome "
                "has one result for each, in order: command.done(tick) or command.refused(tick, ...)"
            )
        told: list[Event] = []
        for case in self._cases:
            result = _result_of(case, results[case.first : case.first + case.count], tick)
            told.append(_fact_of(result))
            case.entry.ticket.settle(result)
        return (*told, *self._rejected)


class _RefusedError(Exception):
    """The door does not let a request in. Never leaves this module."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(message)


def _fact_of(told: CommandResult) -> ConsoleResult:
    return ConsoleResult(told.name, told.status, told.result, told.error, told.cmd_id, told.issuer, told.tick)


def _result_of(case: _Case, results: Sequence[CommandResult], tick: int) -> CommandResult:
    """Make one result of what a plugin answered and the world has done for it."""
    request, answer = case.entry.request, case.answer
    if answer is None:
        return results[0]
    if isinstance(answer, CommandResult):
        return answer
    for number, each in enumerate(results):
        if each.error is not None:
            # The world does each command for itself; those before and behind this one stand.
            details = {**each.error.details, "command": each.name, "number": number}
            error = CommandFault(each.error.code, f"{each.name}: {each.error.message}", details)
            return CommandResult(request.name, "error", {}, error, request.cmd_id, request.issuer, tick)
    return request.done(tick, answer.result)


def _read_state(state: JsonValue) -> _State:
    """Read an exported state.

    Raises:
        SnapshotError: when it is none.
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
