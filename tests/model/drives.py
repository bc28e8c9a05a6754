"""Who decides what residents do, and what is done to the town: the scripted policy, or chance."""

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tests.model import fate
from tests.model.runs import Driver, Pair, Wishes
from townlet_adapters.policies.scripted.options import ScriptedOptions
from townlet_adapters.policies.scripted.policy import ScriptedPolicy


def scripted(pair: Pair, seed: int) -> Iterator[Wishes]:
    """What the scripted policy wants."""
    policy = ScriptedPolicy(ScriptedOptions())
    policy.begin(pair.spec, seed)
    while True:
        batch = policy.decide(pair.observation).actions
        assert batch.context is not None
        context = batch.context
        yield Wishes(
            batch.action.tolist(),
            batch.target.tolist(),
            (context.option.tolist(), context.goal.tolist(), context.commit_remaining.tolist()),
        )


class Chances(NamedTuple):
    """How random residents choose."""

    legal: float = 0.9
    """how many actions are taken from the mask"""
    aimed: float = 0.2
    """how many have a target, half of them the object of the claim"""
    fate: float = 0.0
    """how many ticks have an intervention, and how many a command"""
    wilful: float = 1.0
    """how many intents are random; the others are those of the scripted policy"""


def random_wishes(chances: Chances) -> Driver:
    """A driver of random valid and invalid actions, interventions and commands."""

    def drive(pair: Pair, seed: int) -> Iterator[Wishes]:
        dice = random.Random(seed)  # noqa: S311 - a test's choice
        for sensible in scripted(pair, seed):
            mask, context = np.asarray(pair.observation.mask), sensible.context
            claims = {each.slot: each.claim.thing.number for each in pair.model.residents if each.claim}
            intents = list(zip(sensible.actions, sensible.targets, strict=True))
            for slot in range(len(intents)):
                if dice.random() < chances.wilful:
                    intents[slot] = random_intent(pair, dice, chances, mask[slot], claims.get(slot, -1))
            if dice.random() < chances.wilful:
                context = random_context(pair, dice)
            strokes = (fate.stroke(pair, dice),) if dice.random() < chances.fate else ()
            orders = (fate.command(pair, dice),) if dice.random() < chances.fate else ()
            yield Wishes(
                [action for action, _ in intents], [target for _, target in intents], context, strokes, orders
            )

    return drive


def random_context(pair: Pair, dice: random.Random) -> tuple[list[int], list[int], list[int]] | None:
    """Any option, goal and commitment for each slot, or no context at all."""
    if dice.random() < 0.5:
        return None
    slots = range(pair.spec.capacity)
    return (
        [dice.randrange(-1, len(pair.option_names)) for _ in slots],
        [dice.randrange(-1, len(pair.spec.fields) + 1) for _ in slots],
        [dice.randrange(20) for _ in slots],
    )


def random_intent(
    pair: Pair, dice: random.Random, chances: Chances, mask: Any, claimed: int
) -> tuple[int, int]:
    """An action, mostly of the mask, seldom ``leave``, and a target now and then."""
    actions, things = len(mask), max(len(pair.plan.objects), pair.spec.capacity)
    if dice.random() < chances.legal:
        allowed = np.flatnonzero(mask).tolist()
        weights = [0.1 if each == 5 else 6.0 if each > 5 else 1.0 for each in allowed]
        action = dice.choices(allowed, weights)[0]
    else:
        action = dice.randrange(-1, actions + 2)
    if dice.random() >= chances.aimed:
        return action, -1
    return action, claimed if dice.random() < 0.5 else dice.randrange(-2, things + 2)
