"""The contract of ``PolicyPort``."""

import json
from collections.abc import Callable

from townlet_core.dto.action import Decision
from townlet_core.dto.observation import ObservationBatch
from townlet_core.dto.spec import WorldSpec
from townlet_core.errors import ContractError
from townlet_core.jsonvalue import canonical_json
from townlet_core.ports.policy import PolicyPort
from townlet_core.ports.state import SupportsState
from townlet_core.ports.world import WorldPort
from townlet_core.testing.contracts.arrays import ArrayRule, require
from townlet_core.testing.fakes import FakeWorld


def check_policy(
    make_policy: Callable[[], PolicyPort],
    make_world: Callable[[], WorldPort] = FakeWorld,
    *,
    ticks: int = 60,
    seed: int = 7,
) -> None:
    """Check that a policy keeps the contract of ``PolicyPort``.

    Args:
        make_policy: builds a fresh policy; all of them must be equal.
        make_world: builds a fresh world for the policy.
        ticks: length of the compared runs, at least 2.
        seed: their seed.

    Raises:
        ContractError: when it does not.
    """
    policy = make_policy()
    identity = policy.identity
    require(identity.name, "identity.name is empty; set it to the provider's name")
    first = _play(policy, make_world(), seed, ticks)
    _compare(first, _play(make_policy(), make_world(), seed, ticks), "a second policy with the same seed")
    again = _play(policy, make_world(), seed, ticks)
    _compare(first, again, "the same policy after another begin(); it must forget every earlier run")
    _check_resuming(make_policy, make_world, first, seed)
    require(make_policy().identity == identity, "identity differs between two equal policies")
    policy.end()
    policy.end()


def _play(policy: PolicyPort, world: WorldPort, seed: int, ticks: int) -> list[bytes]:
    """Run a world under the policy, checking every decision."""
    policy.begin(world.spec, seed)
    return _continue(policy, world, world.reset(seed), ticks)


def _continue(policy: PolicyPort, world: WorldPort, observation: ObservationBatch, ticks: int) -> list[bytes]:
    decided = []
    for _ in range(ticks):
        decision = policy.decide(observation)
        _check_decision(decision, observation, world.spec)
        decided.append(_fingerprint(decision))
        observation = world.step(decision.actions).observation
    return decided


def _check_decision(decision: Decision, observation: ObservationBatch, spec: WorldSpec) -> None:
    slots, actions = (spec.capacity,), decision.actions
    chosen = ArrayRule("int16", slots).check("actions.action", actions.action).tolist()
    ArrayRule("int32", slots).check("actions.target", actions.target)
    for slot, (lives, action) in enumerate(zip(observation.alive.tolist(), chosen, strict=True)):
        if not lives:
            continue
        known = 0 <= action < len(spec.action_names)
        require(known, f"slot {slot} got action {action}; the world has {len(spec.action_names)} actions")
        require(
            observation.mask[slot, action],
            f"slot {slot} got '{spec.action_names[action]}' at tick {observation.tick}, which is masked",
        )
    if actions.context is None:
        return
    ArrayRule("int8", slots).check("context.option", actions.context.option)
    ArrayRule("int16", slots).check("context.commit_remaining", actions.context.commit_remaining)
    goals = ArrayRule("int32", slots).check("context.goal", actions.context.goal).tolist()
    for slot, goal in enumerate(goals):
        known = -1 <= goal < len(spec.fields)
        require(
            known, f"slot {slot} has goal {goal}; the world has {len(spec.fields)} fields (-1 for no goal)"
        )


def _check_resuming(
    make_policy: Callable[[], PolicyPort], make_world: Callable[[], WorldPort], first: list[bytes], seed: int
) -> None:
    """Replace the policy by a new one halfway; the new one needs only the state and the observation."""
    half = len(first) // 2
    policy, world = make_policy(), make_world()
    observation = world.reset(seed)
    policy.begin(world.spec, seed)
    for _ in range(half):
        observation = world.step(policy.decide(observation).actions).observation
    heir = make_policy()
    heir.begin(world.spec, seed)
    if isinstance(policy, SupportsState) and isinstance(heir, SupportsState):
        try:
            state = json.loads(canonical_json(policy.export_state()))
        except (TypeError, ValueError) as error:
            raise ContractError(f"export_state() cannot be written as JSON: {error}") from error
        heir.import_state(state)
    resumed = _continue(heir, world, observation, len(first) - half)
    _compare(
        first[half:],
        resumed,
        "a policy that took over halfway; state between ticks belongs in SupportsState or in the "
        "PolicyContext",
    )


def _fingerprint(decision: Decision) -> bytes:
    actions, context = decision.actions, decision.actions.context
    parts = [actions.action.tobytes(), actions.target.tobytes()]
    if context is not None:
        parts += [context.option.tobytes(), context.goal.tobytes(), context.commit_remaining.tobytes()]
    return b"".join(parts)


def _compare(expected: list[bytes], found: list[bytes], other: str) -> None:
    for number, (left, right) in enumerate(zip(expected, found, strict=True)):
        require(left == right, f"decision {number} differs between a policy and {other}")
