"""Calls the commands of plugins and stages without trusting them: answers have limits, calls a budget."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final, TypeAlias, cast

from townlet_core.dto.command import ERROR_CODES, Command, CommandSpec, Role, is_line
from townlet_core.dto.command_hook import (
    LARGEST_RESULT,
    LONGEST_REFUSAL,
    MOST_COMMANDS,
    CommandContext,
    CommandDone,
    CommandRefused,
    OfferedCommand,
    ResidentSeen,
)
from townlet_core.dto.observation import ObservationBatch
from townlet_core.dto.spec import WorldSpec
from townlet_core.errors import ContractError
from townlet_core.events.health import HookCounts
from townlet_core.events.plugin import PluginRejected
from townlet_core.isolation import (
    DEFAULT_BUDGET,
    Dropped,
    Isolation,
    LimitError,
    WrongTypeError,
    type_name,
)
from townlet_core.jsonvalue import JsonObject, JsonValue, checked_json
from townlet_core.ports.stage import SupportsCommands

Specs: TypeAlias = Mapping[str, CommandSpec]
"""Commands by name."""

_STAGE: Final = "command"
_ONE_EACH: Final = ("slots",)
"""Axes of a column with one number for each agent."""


def may(role: Role, needed: Role) -> bool:
    """Return whether a role may give a command that needs the role ``needed``."""
    return role == "admin" or needed == "viewer"


class CommandHandlers:
    """The commands that plugins and stages add; for the loop's own thread, except ``counters``."""

    def __init__(
        self,
        offered: Sequence[OfferedCommand] = (),
        *,
        stages: Iterable[SupportsCommands] = (),
        budget_seconds: float = DEFAULT_BUDGET,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Take the offered commands.

        Args:
            offered: commands of plugins.
            stages: the stages and observers whose commands are added.
            budget_seconds: duration that one call of a plugin's command may take; the answer of a longer call
                is discarded.
            clock: monotonic seconds.

        Raises:
            ContractError: when two commands have the same name.
        """
        self._offered, self._budget, self._clock = tuple(offered), budget_seconds, clock
        self._functions = {each.spec.name: each.function for each in offered}
        answered = [(spec, stage) for stage in stages for spec in stage.commands]
        self._stages = {spec.name: stage for spec, stage in answered}
        specs = [*(each.spec for each in offered), *(spec for spec, _ in answered)]
        self._specs: Specs = MappingProxyType({spec.name: spec for spec in specs})
        if len(self._specs) < len(specs):
            names = ", ".join(spec.name for spec in specs)
            raise ContractError(f"command names must be unique; found: {names}")
        self._isolation = Isolation(self._specs, what=_STAGE, budget_seconds=budget_seconds, clock=clock)

    def with_parts(self, parts: Iterable[SupportsCommands]) -> "CommandHandlers":
        """Return new handlers of the same commands and of those of stages and observers.

        Raises:
            ContractError: when two commands have the same name.
        """
        return CommandHandlers(self._offered, stages=parts, budget_seconds=self._budget, clock=self._clock)

    @property
    def specs(self) -> Specs:
        """The specs of the offered commands by name."""
        return self._specs

    def counters(self) -> Mapping[str, HookCounts]:
        """Return the counts of each command that was called or is disabled; callable from any thread."""
        counts = self._isolation.counters()
        return {name: each for name, each in counts.items() if each.calls or each.disabled}

    def is_disabled(self, name: str) -> bool:
        """Return whether a command is disabled."""
        return self._isolation.is_disabled(name)

    def ask(self, context: CommandContext, obeyed: Specs) -> CommandDone | CommandRefused | None:
        """Call a plugin's command that is not disabled.

        Args:
            context: the request; a copy for this call alone, because the plugin may change it.
            obeyed: the commands that the world accepts.

        Returns:
            A checked copy of the answer; None when it was discarded.
        """
        function = self._functions[context.command]
        return self._call(context.command, context.issuer, lambda: function(context), obeyed)

    def is_of_stage(self, name: str) -> bool:
        """Return whether a stage answers a command."""
        return name in self._stages

    def ask_stage(
        self, request: Command, observation: ObservationBatch, obeyed: Specs
    ) -> CommandDone | CommandRefused | None:
        """Call the stage of a command that is not disabled, first to answer, then to do what it granted.

        Args:
            request: the request.
            observation: what every agent sees at the start of the tick.
            obeyed: the commands that the world accepts.

        Returns:
            A checked copy of the answer; None when it was discarded.
        """
        stage, spec = self._stages[request.name], self._specs[request.name]
        # A stage gets copies of the arguments, because it could change them.
        given = replace(request, args=spec.read(request.args))
        answer = self._call(
            request.name,
            request.issuer,
            lambda: stage.answer(given, observation),
            obeyed,
            # A stage remembers what it granted, so a slow machine must not make another run of it.
            timed=False,
        )
        if isinstance(answer, CommandDone):
            stage.obey(replace(request, args=spec.read(request.args)), observation)
        return answer

    def _call(
        self, name: str, issuer: str, function: Callable[[], object], obeyed: Specs, *, timed: bool = True
    ) -> CommandDone | CommandRefused | None:
        spec = self._specs[name]
        answer = self._isolation.call(
            name,
            function,
            lambda given: _read_answer(given, spec, obeyed),
            f"asked by '{issuer}'",
            timed=timed,
        )
        if not isinstance(answer, Dropped):
            return answer
        self._isolation.reject(PluginRejected(name, _STAGE, "", "", answer.problem))
        return None

    def take_rejections(self) -> tuple[PluginRejected, ...]:
        """Return the answers discarded since the last call, in order, and forget them."""
        return self._isolation.take_rejections()

    def export_state(self) -> JsonObject:
        """Return the commands that are disabled or had overruns; empty without any."""
        return self._isolation.export_state()

    def import_state(self, state: JsonValue) -> None:
        """Continue from an exported state.

        Raises:
            SnapshotError: when such commands did not export the state; nothing was changed then.
        """
        self._isolation.import_state(state)


def context_of(
    request: Command, spec: CommandSpec, observation: ObservationBatch, seed: int, world: WorldSpec
) -> CommandContext:
    """Build the context of one call of a plugin's command; everything in it is a copy."""
    tick = observation.tick
    day, tod = world.clock(tick)
    return CommandContext(
        command=request.name,
        args=MappingProxyType(spec.read(request.args)),
        cmd_id=request.cmd_id,
        issuer=request.issuer,
        tick=tick,
        day=day,
        tod=tod,
        residents=MappingProxyType({each.agent_id: each for each in _residents(observation, world)}),
        seed=seed,
    )


def _residents(observation: ObservationBatch, world: WorldSpec) -> list[ResidentSeen]:
    """Describe the living by the columns of the view that are about them."""
    columns = observation.view.columns if observation.view is not None else {}
    # The type checker treats every memoryview as flat.
    rows = {
        name: cast("list[list[float]]", columns[name].tolist()) if name in columns else None
        for name in ("xy", "needs", "inventory")
    }
    tiles, needs, carried = rows["xy"], rows["needs"], rows["inventory"]
    numbers = {
        column.name: columns[column.name].tolist() for column in world.view if column.axes == _ONE_EACH
    }
    serials = observation.serial.tolist()
    need_names = [need.name for need in world.needs]
    item_names = [item.name for item in world.items]
    return [
        ResidentSeen(
            agent_id=agent_id,
            serial=serials[slot],
            position=(int(tiles[slot][0]), int(tiles[slot][1])) if tiles else None,
            needs=MappingProxyType(dict(zip(need_names, needs[slot], strict=True)) if needs else {}),
            values=MappingProxyType({name: each[slot] for name, each in numbers.items()}),
            inventory=MappingProxyType(
                {name: int(n) for name, n in zip(item_names, carried[slot], strict=True)} if carried else {}
            ),
        )
        for slot, agent_id in enumerate(observation.agent_ids)
        if agent_id
    ]


def _read_answer(answer: object, spec: CommandSpec, obeyed: Specs) -> CommandDone | CommandRefused:
    # Exact types, here and below: a subclass could return one value when checked and another when used.
    if type(answer) is CommandRefused:
        code = cast("object", answer.code)  # the types of a plugin's fields are unchecked
        if type(code) is not str or code not in ERROR_CODES:
            raise LimitError(f"unknown code; known: {', '.join(sorted(ERROR_CODES))}")
        if not is_line(answer.reason, LONGEST_REFUSAL) or not answer.reason:
            raise LimitError(f"a reason must have 1 to {LONGEST_REFUSAL} printable characters")
        return CommandRefused(answer.reason, answer.code)
    if type(answer) is not CommandDone:
        raise WrongTypeError(f"a command must return CommandDone or CommandRefused, not {type_name(answer)}")
    given = cast("object", answer.commands)
    if type(given) is not tuple and type(given) is not list:
        raise WrongTypeError(f"commands must be a tuple or list, not {type_name(given)}")
    if len(given) > MOST_COMMANDS:
        raise LimitError(f"{len(given)} commands to the world; allowed: at most {MOST_COMMANDS}")
    commands = tuple(_read_command(each, spec, obeyed) for each in given)
    try:
        result = checked_json(answer.result, LARGEST_RESULT)
    except ValueError as error:
        raise LimitError(f"the result cannot be written as JSON: {error}") from error
    if not isinstance(result, Mapping):
        raise WrongTypeError(f"a result must be a dict, not {type_name(answer.result)}")
    return CommandDone(commands, result)


def _read_command(given: object, spec: CommandSpec, obeyed: Specs) -> Command:
    if type(given) is not Command:
        raise WrongTypeError(f"commands must hold Command objects, not {type_name(given)}")
    wanted = obeyed.get(given.name) if type(given.name) is str else None
    if wanted is None:
        known = ", ".join(obeyed) or "none"
        raise LimitError(f"the world has no command {given.name!r:.80}; known: {known}")
    if not may(spec.role, wanted.role):
        raise LimitError(f"{spec.name} needs the role {spec.role}, which may not give {wanted.name}")
    if type(given.args) is not dict:
        raise WrongTypeError(f"arguments must be a dict, not {type_name(given.args)}")
    try:
        return Command(wanted.name, wanted.read(given.args))
    except ValueError as error:
        raise LimitError(f"{error}") from error
