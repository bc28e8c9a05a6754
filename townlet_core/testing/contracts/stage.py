"""The contract of ``ActionStage``."""

import json
from collections.abc import Callable
from dataclasses import replace

from townlet_core.dto.action import ActionBatch, Decision
from townlet_core.dto.observation import ObservationBatch
from townlet_core.dto.spec import WorldSpec
from townlet_core.errors import ContractError
from townlet_core.events.schema import event_data
from townlet_core.jsonvalue import JsonValue, canonical_json
from townlet_core.ports.policy import PolicyPort
from townlet_core.ports.stage import ActionStage
from townlet_core.ports.state import SupportsState
from townlet_core.ports.world import WorldPort
from townlet_core.testing.contracts.arrays import ArrayRule, require
from townlet_core.testing.fakes import FakePolicy, FakeWorld


def check_stage(
    make_stage: Callable[[], ActionStage],
    make_world: Callable[[], WorldPort] = FakeWorld,
    make_policy: Callable[[], PolicyPort] = FakePolicy,
    *,
    ticks: int = 63,
    seed: int = 7,
) -> None:
    """Check that a stage keeps the contract of ``ActionStage``.

    Args:
        make_stage: builds a fresh stage; all of them must be equal.
        make_world: builds a fresh world for it.
        make_policy: builds a fresh policy whose decisions it gets.
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
            actions, shown = _apply(stage, observation, policy.decide(observation), world.spec)
            seen.append(shown)
            observation = world.step(actions).observation
        return seen

    def take_over(stage: ActionStage) -> ActionStage:
        heir = make_stage()
        heir.begin(make_world().spec, seed)
        if isinstance(stage, SupportsState) and isinstance(heir, SupportsState):
            heir.import_state(json.loads(canonical_json(stage.export_state())))
        return heir

    stage = make_stage()
    require(stage.name, "name is empty; the snapshot part of the stage is named after it")
    first = play(stage)
    _compare(first, play(make_stage()), "a second stage with the same seed")
    _compare(first, play(stage), "the same stage after another begin(); it must forget every earlier run")
    _compare(first, play(make_stage(), take_over), "a stage that took over halfway; implement SupportsState")


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


def _compare(expected: list[bytes], found: list[bytes], other: str) -> None:
    for tick, (left, right) in enumerate(zip(expected, found, strict=True)):
        if left != right:
            raise ContractError(f"tick {tick} differs between a stage and {other}")
