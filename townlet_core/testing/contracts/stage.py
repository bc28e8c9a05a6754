"""The contract of ``ActionStage``."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from townlet_core.dto.action import ActionBatch, Decision
from townlet_core.dto.command import Command
from townlet_core.dto.observation import ObservationBatch
from townlet_core.dto.spec import WorldSpec
from townlet_core.events.schema import event_data
from townlet_core.jsonvalue import JsonValue, canonical_json
from townlet_core.ports.policy import PolicyPort
from townlet_core.ports.stage import ActionStage, SupportsCommands, SupportsOrders
from townlet_core.ports.state import SupportsState
from townlet_core.ports.world import WorldPort
from townlet_core.records import record_to_json
from townlet_core.testing.contracts.arrays import ArrayRule, require
from townlet_core.testing.contracts.parts import ask, compare
from townlet_core.testing.fakes import FakePolicy, FakeWorld
from townlet_core.tick import orders_of


def check_stage(  # noqa: PLR0913 - what the stage works with, each with a default
    make_stage: Callable[[], ActionStage],
    make_world: Callable[[], WorldPort] = FakeWorld,
    make_policy: Callable[[], PolicyPort] = FakePolicy,
    *,
    requests: Mapping[int, Sequence[Command]] = MappingProxyType({}),
    ticks: int = 63,
    seed: int = 7,
) -> None:
    """Check that a stage keeps the contract of ``ActionStage``, and those of the protocols it adds.

    Args:
        make_stage: builds a fresh stage; all of them must be equal.
        make_world: builds a fresh world for it.
        make_policy: builds a fresh policy whose decisions it gets.
        requests: the commands to give to the stage in a tick, by tick; a stage that answers commands needs
            each of them at least once.
        ticks: length of the compared runs, at least 2.
        seed: their seed.

    Raises:
        ContractError: when it does not.
    """

    def play(stage: ActionStage, halfway: Callable[[ActionStage], ActionStage] | None = None) -> list[bytes]:
        world, policy = make_world(), make_policy()
        policy.begin(world.spec, seed)
        stage.begin(world.spec, seed)
        observation, seen = world.reset(seed), []
        for tick in range(ticks):
            if halfway is not None and tick == ticks // 2:
                stage = halfway(stage)
                halfway = None
            asked = requests.get(tick, ())
            answers = [ask(stage, "stage", each, observation, world.spec) for each in asked]
            actions, shown = _apply(stage, observation, policy.decide(observation), world.spec)
            orders = orders_of(stage, stage.name, world.spec) if isinstance(stage, SupportsOrders) else []
            seen.append(shown + canonical_json([*answers, *map(record_to_json, orders)]))
            observation = world.step(actions, orders).observation
        return seen

    def take_over(stage: ActionStage) -> ActionStage:
        heir = make_stage()
        heir.begin(make_world().spec, seed)
        if isinstance(stage, SupportsState) and isinstance(heir, SupportsState):
            heir.import_state(json.loads(canonical_json(stage.export_state())))
        return heir

    stage = make_stage()
    require(stage.name, "name is empty; the snapshot part of the stage is named after it")
    if isinstance(stage, SupportsCommands):
        asked = {request.name for each in requests.values() for request in each}
        unasked = {spec.name for spec in stage.commands} - asked
        require(not unasked, f"no request for {', '.join(sorted(unasked))}: give one for each command")
    first = play(stage)
    again = "the same stage after another begin(); it must forget every earlier run"
    heir = "a stage that took over halfway; implement SupportsState"
    compare("a stage", first, play(make_stage()), "a second stage with the same seed")
    compare("a stage", first, play(stage), again)
    compare("a stage", first, play(make_stage(), take_over), heir)


def _apply(
    stage: ActionStage, observation: ObservationBatch, decision: Decision, spec: WorldSpec
) -> tuple[ActionBatch, bytes]:
    """Apply the stage to a copy of a decision and check what it returns."""
    before = decision.actions.action.tobytes(), decision.actions.target.tobytes()
    actions, events = stage.apply(observation, replace(decision))
    changed = (decision.actions.action.tobytes(), decision.actions.target.tobytes()) != before
    require(not changed, "apply() changed the policy's own buffers; return a batch of your own")
    slots = (spec.capacity,)
    chosen = ArrayRule("int16", slots).check("actions.action", actions.action).tolist()
    ArrayRule("int32", slots).check("actions.target", actions.target)
    for slot, (lives, action) in enumerate(zip(observation.alive.tolist(), chosen, strict=True)):
        known = not lives or 0 <= action < len(spec.action_names)
        require(known, f"slot {slot} got action {action}; the world has {len(spec.action_names)} actions")
    told: list[JsonValue] = [[event.kind, event_data(event)] for event in events]
    return actions, actions.action.tobytes() + actions.target.tobytes() + canonical_json(told)
