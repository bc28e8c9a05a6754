"""The town's commands: translated to interventions, whose outcome becomes the results."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, cast

from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.compiled.command_specs import COMMANDS
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.compiled.rows import agent_id, event_id, serial_of
from townlet_adapters.worlds.town.inputs.section import MAX_MILLS
from townlet_adapters.worlds.town.seam.arguments import Intervention
from townlet_adapters.worlds.town.seam.event_commands import cancellation_of, event_of, prices_of
from townlet_adapters.worlds.town.seam.tie_commands import chat_of, tie_of
from townlet_adapters.worlds.town.seam.wrong import WrongError
from townlet_core.dto.command import Command, CommandResult, CommandSpec, ErrorCode
from townlet_core.jsonvalue import JsonObject
from townlet_core.suggestions import nearest

_FAULTS: Final[Mapping[int, tuple[ErrorCode, str]]] = {
    codes.NOT_EXECUTED: ("internal", "the town has no answer; please report this as a bug"),
    codes.BLOCKED_TILE: (
        "blocked_tile",
        "the tile is not free: it is outside of the map, impassable or occupied",
    ),
    codes.GONE: ("not_found", "the resident does not live in town any more"),
    codes.NO_SLOT: ("conflict", "the town is full: all slots of population.capacity have a resident"),
    codes.NO_REVIEW: ("conflict", "no review of the resident's absences is pending"),
    codes.NO_VACANCY: ("conflict", "the job has no vacancy"),
    codes.NO_EVENT: ("not_found", "no such event waits or is under way"),
    codes.NOT_BESIDE: ("conflict", "the residents do not stand beside each other"),
    codes.RUNS_A_USE: ("busy_target", "one of the residents runs a use; interrupt ends it"),
    codes.HAS_TALKED: ("conflict", "one of the residents has had a chat in this tick"),
    codes.NO_ROOM: ("conflict", "too many events wait or are under way; cancel one, or try again later"),
}
_SPECS: Final[Mapping[str, CommandSpec]] = {spec.name: spec for spec in COMMANDS}


@dataclass(frozen=True, slots=True)
class Order:
    """The interventions for one command.

    Attributes:
        command: the command.
        refused: the result of a refused command, else None.
        interventions: the interventions, in order.
    """

    command: Command
    refused: CommandResult | None
    interventions: tuple[Intervention, ...] = ()


def order_of(command: Command, agent_ids: Sequence[str], model: TownModel, tick: int) -> Order:
    """Translate a command to interventions, or refuse it.

    Args:
        command: the command; its arguments may be unchecked.
        agent_ids: the resident of each slot, empty text for an empty slot.
        model: the town.
        tick: the tick about to be executed.
    """
    try:
        return Order(command, None, _interventions(command, agent_ids, model))
    except WrongError as wrong:
        return Order(command, command.refused(tick, wrong.code, wrong.message))


def results_of(
    orders: Sequence[Order], answers: Sequence[tuple[int, int, int]], tick: int
) -> tuple[CommandResult, ...]:
    """Return the results of all orders of a tick.

    Args:
        orders: the town's orders, in order.
        answers: what became of their interventions, one after the other, with the serials of the residents
            and the numbers of the events.
        tick: the executed tick.
    """
    given = iter(answers)
    results: list[CommandResult] = []
    for order in orders:
        command = order.command
        own = [answer for _, answer in zip(order.interventions, given, strict=False)]
        fault = next((_FAULTS[answer] for answer, *_ in own if answer != codes.EXECUTED), None)
        if order.refused is not None:
            results.append(order.refused)
        elif fault is not None:
            about = command.args if fault[0] == "blocked_tile" else None
            results.append(command.refused(tick, *fault, about))
        elif order.interventions and order.interventions[0].what == codes.PERTURB:
            results.append(command.done(tick, {"event_id": event_id(own[0][2]), **command.args}))
        elif order.interventions and order.interventions[0].what == codes.SPAWN:
            results.append(command.done(tick, {"agent_id": agent_id(own[0][1]), **command.args}))
        else:
            results.append(command.done(tick, command.args))
    return tuple(results)


def _interventions(command: Command, agent_ids: Sequence[str], model: TownModel) -> tuple[Intervention, ...]:
    spec = _SPECS.get(command.name)
    if spec is None:
        known = nearest(command.name, _SPECS)
        raise WrongError("unknown_command", f"unknown command {command.name!r}; {known}")
    try:
        args = spec.read(command.args)
    except ValueError as error:
        raise WrongError("invalid_args", str(error)) from error
    if spec.name in _OF_RESIDENTS:
        slot = _slot_of(str(args["agent_id"]), agent_ids)
        orders = _OF_RESIDENTS[spec.name](args, slot, model)
        return tuple(replace(order, serial=serial_of(agent_ids[slot])) for order in orders)
    if spec.name in _OF_PAIRS:
        keys, order_of_pair = _OF_PAIRS[spec.name]
        who, to = (_slot_of(str(args[key]), agent_ids) for key in keys)
        if who == to:
            raise WrongError("invalid_args", f"{spec.name}: {' and '.join(keys)} must differ")
        order = order_of_pair(args, who, to)
        return (replace(order, serial=serial_of(agent_ids[who]), b=serial_of(agent_ids[to]) + 1),)
    if spec.name == "perturb":
        return event_of(args, model, agent_ids)
    return _OF_THE_TOWN[spec.name](args, model)


def _slot_of(agent_id: str, agent_ids: Sequence[str]) -> int:
    if not agent_id or agent_id not in agent_ids:
        raise WrongError("not_found", f"no resident {agent_id!r:.80} lives in town")
    return agent_ids.index(agent_id)


def _teleport(args: JsonObject, slot: int, _model: TownModel) -> list[Intervention]:
    x, y = cast("Sequence[int]", args["position"])
    # Kernels compare the numbers with the map's size, so they may be outside of the map.
    return [Intervention(0, codes.TELEPORT, slot, x, y)]


def _set_need(args: JsonObject, slot: int, model: TownModel) -> list[Intervention]:
    levels = _levels(cast("Mapping[str, float]", args["needs"]), tuple(model.vocabulary.needs))
    return [Intervention(0, codes.SET_NEED, slot, need, x=level) for need, level in levels]


def _interrupt(args: JsonObject, slot: int, _model: TownModel) -> list[Intervention]:
    return [Intervention(0, codes.INTERRUPT, slot, int(bool(args.get("idle"))))]


def _kill(args: JsonObject, slot: int, _model: TownModel) -> list[Intervention]:
    return [Intervention(0, codes.REMOVE, slot, int(bool(args.get("replace", True))))]


def _review(args: JsonObject, slot: int, _model: TownModel) -> list[Intervention]:
    decision = str(args["decision"])
    if decision not in _DECISIONS:
        raise WrongError(
            "invalid_args", f"unknown decision {decision!r:.80}; {nearest(decision, _DECISIONS)}"
        )
    return [Intervention(0, codes.REVIEW, slot, int(decision == "approve"))]


def _spawn(args: JsonObject, model: TownModel) -> tuple[Intervention, ...]:
    """Return the arrival that arguments describe; what they leave out is left to the rules."""
    x, y = cast("Sequence[int]", args.get("position", (-1, -1)))
    if "position" in args and not (0 <= x < model.plan.width and 0 <= y < model.plan.height):
        raise WrongError("blocked_tile", _FAULTS[codes.BLOCKED_TILE][1])
    home = _home_of(args, model) if "home" in args else -1
    job = _number_of(args, "job_id", model.job_ids)
    tables = model.tables
    district = int(tables.jobs["district"][job]) if job >= 0 else -1
    if job >= 0 and home >= 0 and int(tables.homes["district"][home]) != district:
        raise WrongError("invalid_args", "spawn: job_id and home are in different districts")
    wallet = cast("int", args.get("wallet", -1))
    if "wallet" in args and not 0 <= wallet <= MAX_MILLS:
        raise WrongError("invalid_args", f"spawn: wallet {wallet} is out of range (0 to {MAX_MILLS} mills)")
    needs, level = 0, [0.0] * codes.MAX_NEEDS
    given = cast("Mapping[str, float]", args.get("needs", {}))
    for need, value in _levels(given, tuple(model.vocabulary.needs)):
        needs, level[need] = needs | 1 << need, value
    profile = _number_of(args, "profile", model.profile_names)
    return (
        Intervention(
            0, codes.SPAWN, home, x + 1, y + 1, wallet + 1, profile + 1, job + 1, district + 1,
            needs=needs, level=tuple(level),
        ),
    )  # fmt: skip


def _home_of(args: JsonObject, model: TownModel) -> int:
    """Return the number of a home tile."""
    x, y = cast("Sequence[int]", args["home"])
    homes = [(each.x, each.y) for each in model.plan.home_tiles]
    if (x, y) not in homes:
        raise WrongError("not_found", f"spawn: home [{x}, {y}] is not a home tile of the map")
    return homes.index((x, y))


def _number_of(args: JsonObject, key: str, known: Sequence[str]) -> int:
    """Return the number of a name, -1 when it is left out."""
    if key not in args:
        return -1
    name = str(args[key])
    if name not in known:
        raise WrongError("invalid_args", f"spawn: unknown {key} {name!r:.80}; {nearest(name, known)}")
    return known.index(name)


def _toggle_mortality(args: JsonObject, _model: TownModel) -> tuple[Intervention, ...]:
    return (Intervention(0, codes.SET_EXITS, codes.MORTALITY, int(bool(args["value"]))),)


def _set_exit_cap(args: JsonObject, _model: TownModel) -> tuple[Intervention, ...]:
    return _set_exits(args, codes.EXIT_CAP, codes.MOST_EXITS)


def _set_exit_spacing(args: JsonObject, _model: TownModel) -> tuple[Intervention, ...]:
    return _set_exits(args, codes.EXIT_SPACING, codes.MOST_SPACING)


def _set_exits(args: JsonObject, what: int, most: int) -> tuple[Intervention, ...]:
    value = cast("int", args["value"])
    if not 0 <= value <= most:
        raise WrongError("invalid_args", f"value {value} is out of range (0 to {most})")
    return (Intervention(0, codes.SET_EXITS, what, value),)


def _levels(levels: Mapping[str, float], known: Sequence[str]) -> list[tuple[int, float]]:
    """Return the numbers of needs with their levels."""
    for need, value in levels.items():
        if need not in known:
            raise WrongError("invalid_args", f"unknown need {need!r:.80}; {nearest(need, known)}")
        if not 0.0 <= value <= 1.0:
            raise WrongError("invalid_args", f"{need} {value} is out of range (0 to 1, 1 is satisfied)")
    return [(known.index(need), value) for need, value in levels.items()]


_DECISIONS: Final = ("approve", "defer")
_OF_RESIDENTS: Final[Mapping[str, Callable[[JsonObject, int, TownModel], list[Intervention]]]] = {
    "teleport": _teleport,
    "set_need": _set_need,
    "interrupt": _interrupt,
    "kill": _kill,
    "review": _review,
}
_OF_PAIRS: Final[Mapping[str, tuple[tuple[str, str], Callable[[JsonObject, int, int], Intervention]]]] = {
    "force_chat": (("speaker", "listener"), chat_of),
    "set_rel": (("owner", "other"), tie_of),
}
_OF_THE_TOWN: Final[Mapping[str, Callable[[JsonObject, TownModel], tuple[Intervention, ...]]]] = {
    "spawn": _spawn,
    "toggle_mortality": _toggle_mortality,
    "set_exit_cap": _set_exit_cap,
    "set_exit_spacing": _set_exit_spacing,
    "set_price": prices_of,
    "perturb_cancel": cancellation_of,
}
