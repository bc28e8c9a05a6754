"""The contract of ``WorldPort``."""

import json
import re
from collections.abc import Callable, Mapping
from math import fsum, isfinite
from typing import cast

from townlet_core.dto.command import Command
from townlet_core.dto.observation import ObservationBatch, View
from townlet_core.dto.outcome import StepOutcome
from townlet_core.dto.snapshot import Snapshot
from townlet_core.dto.spec import WorldSpec
from townlet_core.errors import ContractError, SnapshotError
from townlet_core.events.base import Event
from townlet_core.events.schema import event_data, family_of
from townlet_core.jsonvalue import JsonValue, canonical_json
from townlet_core.ports.world import WorldPort
from townlet_core.records import record_to_json
from townlet_core.testing.contracts.arrays import ArrayRule, require
from townlet_core.testing.contracts.driver import random_actions, same_action
from townlet_core.testing.contracts.plan import check_plan, check_positions
from townlet_core.testing.contracts.view import check_descriptions, check_view

Fingerprint = dict[str, bytes]
"""Everything that a tick led to, as bytes by name."""

_BAD_ACTION = 32_767
_EXACT = 1e-12
_SINGLE = 1e-7
"""How much a float32 may differ from a double, relative to it."""
_COMMAND = re.compile(r"[a-z][a-z0-9_]*")


def check_world(make_world: Callable[[], WorldPort], *, ticks: int = 60, seed: int = 7) -> None:
    """Check that a world keeps the contract of ``WorldPort``.

    Args:
        make_world: builds a fresh world; all of them must be equal.
        ticks: length of the compared runs, at least 2.
        seed: their seed.

    Raises:
        ContractError: when it does not.
    """
    world = make_world()
    _check_spec(world.spec)
    check_plan(make_world)
    first = _play(world, seed, ticks)
    _compare(first, _play(make_world(), seed, ticks), "a second world with the same seed")
    _compare(first, _play(world, seed, ticks), "the same world after another reset(seed); it kept state")
    _check_odd_actions(make_world(), seed)
    _check_commands(make_world, seed)
    _check_snapshot(make_world, first, seed)
    world.close()
    world.close()


def _check_spec(spec: WorldSpec) -> None:
    require(spec.capacity > 0, "spec.capacity is 0; a world needs at least one slot")
    require(spec.ticks_per_day > 0, "spec.ticks_per_day must be at least 1")
    require(
        spec.action_names[:1] == ("wait",), "spec.action_names must start with 'wait', the default action"
    )
    for name, names in (
        ("action_names", spec.action_names),
        ("feature_names", spec.feature_names),
        ("map_channels", spec.map_channels),
        ("fields", spec.fields),
        ("commands", tuple(command.name for command in spec.commands)),
        ("needs", tuple(need.name for need in spec.needs)),
        ("items", tuple(item.name for item in spec.items)),
        ("options", tuple(option.name for option in spec.options)),
        ("reward_parts", spec.reward_parts),
    ):
        require(len(set(names)) == len(names), f"spec.{name} has a name twice: {', '.join(names)}")
    _check_options(spec)
    check_descriptions(spec)
    for command in spec.commands:
        require(
            _COMMAND.fullmatch(command.name) is not None,
            f"the command '{command.name}' must have lower-case letters, digits and underscores only; "
            "a name with a dot belongs to a plugin",
        )


def _check_options(spec: WorldSpec) -> None:
    """Check that needs and options name each other."""
    options, needs = {option.name for option in spec.options}, {need.name for need in spec.needs}
    for need in spec.needs:
        require(
            need.option in options,
            f"the need '{need.name}' is served by the option '{need.option}', which is not in spec.options",
        )
    for option in spec.options:
        require(
            option.need is None or option.need in needs,
            f"the option '{option.name}' serves '{option.need}', which is not in spec.needs",
        )


def _play(world: WorldPort, seed: int, ticks: int) -> list[Fingerprint]:
    """Run a world from its seed under random allowed actions, checking every tick."""
    observation = world.reset(seed)
    require(observation.tick == 0, f"reset returned the observation of tick {observation.tick}, not 0")
    _check_observation(observation, world.spec)
    return _continue(world, observation, seed, ticks)


def _continue(world: WorldPort, observation: ObservationBatch, seed: int, ticks: int) -> list[Fingerprint]:
    spec, played = world.spec, [_fingerprint(observation)]
    for _ in range(ticks):
        tick = observation.tick
        outcome = world.step(random_actions(observation, len(spec.action_names), seed))
        _check_outcome(outcome, spec, tick)
        _check_frame(world, tick)
        observation = outcome.observation
        events = canonical_json([(event.kind, event_data(event)) for event in outcome.events])
        played.append(
            {
                **_fingerprint(observation),
                "reward": outcome.reward.tobytes(),
                "reward_parts": b"" if outcome.reward_parts is None else outcome.reward_parts.tobytes(),
                "events": events,
                "summary": canonical_json(record_to_json(outcome.summary)),
            }
        )
    require(world.spec == spec, "spec changed during the run; it must be constant for the world's life")
    return played


def _check_observation(
    observation: ObservationBatch, spec: WorldSpec, left: frozenset[int] = frozenset()
) -> None:
    """Check an observation; the rows of the slots ``left`` are the last ones of agents that just left."""
    slots, side = spec.capacity, spec.map_window
    if spec.map_channels:
        shape = (slots, len(spec.map_channels), side, side)
        ArrayRule("uint8", shape).check("observation.map", observation.map)
    features = ArrayRule("float32", (slots, len(spec.feature_names))).check("features", observation.features)
    mask = ArrayRule("uint8", (slots, len(spec.action_names))).check("observation.mask", observation.mask)
    alive = ArrayRule("uint8", (slots,)).check("observation.alive", observation.alive)
    serial = ArrayRule("int64", (slots,)).check("observation.serial", observation.serial)
    _check_features(features, spec)
    check_view(observation.view, spec)
    require(
        len(observation.agent_ids) == slots, f"observation.agent_ids must have {slots} entries, one per slot"
    )
    living = [agent for agent in observation.agent_ids if agent]
    require(len(set(living)) == len(living), "observation.agent_ids has an agent twice")
    for slot, lives in enumerate(alive.tolist()):
        agent = observation.agent_ids[slot]
        require(bool(agent) == bool(lives), f"slot {slot}: alive is {lives}, but its agent id is '{agent}'")
        allowed = [action for action in range(len(spec.action_names)) if mask[slot, action]]
        require(0 in allowed, f"slot {slot}: 'wait' must always be unmasked, also in dead rows")
        if not lives and slot in left:
            require(allowed == [0], f"slot {slot}: an agent that left in this tick can only 'wait'")
        elif not lives:
            row = [features[slot, column] for column in range(len(spec.feature_names))]
            clean = allowed == [0] and not any(row) and serial[slot] == 0
            require(clean, f"slot {slot} is dead, so its row must be zero except 'wait' in the mask")


def _check_features(features: memoryview, spec: WorldSpec) -> None:
    for number, value in enumerate(features.cast("B").cast("f").tolist()):
        slot, column = divmod(number, len(spec.feature_names))
        if not -1.0 <= value <= 1.0:
            name = spec.feature_names[column]
            message = f"feature '{name}' of slot {slot} is {value}; features must be in [-1, 1]"
            raise ContractError(message)


def _check_outcome(outcome: StepOutcome, spec: WorldSpec, tick: int) -> None:
    now = outcome.observation
    require(
        now.tick == tick + 1,
        f"step of tick {tick} returned the observation of tick {now.tick}, not {tick + 1}, the next tick",
    )
    rule = ArrayRule("uint8", (spec.capacity,))
    terminated = rule.check("outcome.terminated", outcome.terminated).tolist()
    truncated = rule.check("outcome.truncated", outcome.truncated).tolist()
    ends = enumerate(zip(terminated, truncated, strict=True))
    left = frozenset(slot for slot, (ended, cut) in ends if ended or cut)
    _check_observation(now, spec, left)
    for slot in left:
        require(not now.alive[slot], f"slot {slot}: terminated or truncated in tick {tick}, but alive")
    reward = ArrayRule("float32", (spec.capacity,)).check("outcome.reward", outcome.reward).tolist()
    require(all(map(isfinite, reward)), f"outcome.reward of tick {tick} is not finite")
    _check_reward_parts(outcome, spec, tick)
    living = sum(now.alive.tolist())
    stated = outcome.summary.alive
    require(stated == living, f"summary.alive of tick {tick} is {stated}, but {living} rows are alive")
    figures, named = set(outcome.summary.figures), {figure.name for figure in spec.figures}
    require(
        figures == named,
        f"summary.figures of tick {tick} has {sorted(figures)}; WorldSpec.figures names {sorted(named)}",
    )
    require(isinstance(outcome.events, tuple), "outcome.events must be a tuple: listeners keep it")
    for event in outcome.events:
        _check_event(event, tick)


def _check_reward_parts(outcome: StepOutcome, spec: WorldSpec, tick: int) -> None:
    """Check that the parts of each reward add up to it."""
    if not spec.reward_parts:
        require(outcome.reward_parts is None, "outcome.reward_parts must be None: WorldSpec names no parts")
        return
    rule = ArrayRule("float64", (spec.capacity, len(spec.reward_parts)))
    table = rule.check("outcome.reward_parts", outcome.reward_parts)
    rows = cast("list[list[float]]", table.tolist())
    for slot, (*parts, total) in enumerate(rows):
        where = f"slot {slot}, tick {tick}: the parts of the reward add up to {fsum(parts)}"
        require(abs(fsum(parts) - total) <= _EXACT, f"{where}, but the last column is {total}")
        reward = outcome.reward[slot]
        require(abs(reward - total) <= _SINGLE * max(1.0, abs(total)), f"{where}, but the reward is {reward}")


def _check_event(event: Event, tick: int) -> None:
    where = f"the event {event.kind} of tick {tick}"
    require(isinstance(event, Event), f"{where} must be a subclass of townlet_core.events.base.Event")
    require(family_of(event.kind) != "loop", f"{where} is reserved for the loop")
    try:
        canonical_json(event_data(event))
    except (TypeError, ValueError) as error:
        raise ContractError(f"{where} cannot be written as JSON: {error}") from error


def _check_frame(world: WorldPort, tick: int) -> None:
    frame = world.frame()
    require(
        frame.tick == tick, f"frame().tick is {frame.tick} after tick {tick}; it must be the executed tick"
    )
    data = record_to_json(frame)
    try:
        canonical_json(data)
    except (TypeError, ValueError) as error:
        raise ContractError(f"the frame of tick {tick} cannot be written as JSON: {error}") from error
    _refuse_null(data, "frame")
    check_positions(world, frame)


def _refuse_null(value: JsonValue, where: str) -> None:
    require(value is not None, f"{where} is null; leave out unknown values")
    if isinstance(value, Mapping):
        for key, item in value.items():
            _refuse_null(item, f"{where}.{key}")


def _check_odd_actions(world: WorldPort, seed: int) -> None:
    """Masked and unknown actions fail as intents; they never raise."""
    world.reset(seed)
    for action in (*range(len(world.spec.action_names)), _BAD_ACTION, -1):
        try:
            world.step(same_action(action, world.spec.capacity))
        except Exception as error:
            raise ContractError(
                f"step raised {type(error).__name__} for action {action}: {error}; an action that is masked "
                "or out of range fails as an intent and is executed as 'wait'"
            ) from error


def _check_commands(make_world: Callable[[], WorldPort], seed: int) -> None:
    """Check that wrong commands are answered and change nothing; a world without commands receives none."""
    world, plain = make_world(), make_world()
    if not world.spec.commands:
        return
    wrong = [Command("no_such_command", {}, "0", "check")]
    wrong += [Command(each.name, {"no_such_argument": 1}, "1", "check") for each in world.spec.commands]
    actions = random_actions(world.reset(seed), len(world.spec.action_names), seed)
    plain.reset(seed)
    outcome, expected = world.step(actions, tuple(wrong)), plain.step(actions)
    answers = [(each.name, each.cmd_id, each.issuer, each.tick) for each in outcome.command_results]
    require(
        answers == [(each.name, each.cmd_id, each.issuer, 0) for each in wrong],
        "outcome.command_results has one result for each command, in order: command.done(tick) or "
        "command.refused(tick, code, message)",
    )
    for result in outcome.command_results:
        code = "unknown_command" if result.name == "no_such_command" else "invalid_args"
        found = result.error.code if result.error is not None else "ok"
        require(
            found == code,
            f"the command '{result.name}' with wrong arguments was answered with {found}; it must be {code}",
        )
    same = (
        _fingerprint(outcome.observation) == _fingerprint(expected.observation)
        and outcome.events == expected.events
        and world.snapshot() == plain.snapshot()
    )
    require(same, "refused commands changed the world")


def _check_snapshot(make_world: Callable[[], WorldPort], played: list[Fingerprint], seed: int) -> None:
    ticks = len(played) - 1
    half = ticks // 2
    world = make_world()
    _compare(played, _play(world, seed, half), "a shorter run")
    snapshot = world.snapshot()
    require(snapshot.tick == half, f"snapshot().tick is {snapshot.tick} after {half} ticks")
    require(set(snapshot.parts) == {"world"}, "a world's snapshot must have exactly the part 'world'")
    try:
        parts = json.loads(canonical_json(snapshot.parts))
    except (TypeError, ValueError) as error:
        raise ContractError(f"the snapshot's parts cannot be written as JSON: {error}") from error
    stored = Snapshot(snapshot.tick, dict(snapshot.identity), parts, snapshot.schema_version)
    revived = make_world()
    _refuse_foreign(revived, stored)
    observation = revived.restore(stored)
    require(observation.tick == half, f"restore returned tick {observation.tick}, not {half}")
    resumed = _continue(revived, observation, seed, ticks - half)
    _compare(played[half:], resumed, "a world restored from a snapshot; the snapshot lacks some state")


def _refuse_foreign(world: WorldPort, snapshot: Snapshot) -> None:
    foreign = Snapshot(snapshot.tick, {}, {"world": {"of": "another world"}}, snapshot.schema_version)
    try:
        world.restore(foreign)
    except SnapshotError:
        return
    except Exception as error:
        raise ContractError(
            f"restore of a foreign snapshot raised {type(error).__name__}: {error}; raise SnapshotError"
        ) from error
    raise ContractError("restore accepted a snapshot of another world; raise SnapshotError instead")


def _fingerprint(observation: ObservationBatch) -> Fingerprint:
    return {
        "map": observation.map.tobytes(),
        "features": observation.features.tobytes(),
        "mask": observation.mask.tobytes(),
        "alive": observation.alive.tobytes(),
        "serial": observation.serial.tobytes(),
        "agent_ids": "\n".join(observation.agent_ids).encode(),
        **_shown(observation.view),
    }


def _shown(view: View | None) -> Fingerprint:
    columns = view.columns if view is not None else {}
    return {f"view.columns['{name}']": column.tobytes() for name, column in columns.items()}


def _compare(expected: list[Fingerprint], found: list[Fingerprint], other: str) -> None:
    """Find the first difference; the shorter run determines how many ticks are compared."""
    for number, (left, right) in enumerate(zip(expected, found, strict=False)):
        for name in sorted(left.keys() & right.keys()):
            require(
                left[name] == right[name],
                f"'{name}' differs after {number} ticks between a world and {other}: equal seeds and inputs "
                "must give the same bytes (no clock, no global random state, no order of sets)",
            )
