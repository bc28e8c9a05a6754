"""Decisions of the scripted policy, recorded so that a change that should change none is known by it."""

import hashlib
import random
from collections.abc import Iterable

import pytest

from tests.policies.conftest import OBJECTS, SmallTown, is_passable
from townlet_adapters.policies.scripted.options import ScriptedOptions
from townlet_adapters.policies.scripted.policy import ScriptedPolicy
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.seam.world import TownWorld
from townlet_core.dto.action import ActionBatch
from townlet_core.dto.command import Command

DAY = 1440
STATES = 1_500
CLAIMS = (("F", "eat_meal"), ("W", "use_shower"), ("B", "rest_sleep"), ("N", "relax"))


def stir(town: SmallTown, rng: random.Random) -> None:
    """Give every column of the small town other numbers; each rule's limits are met often."""
    width, height = town.occupants.shape[::-1]
    tiles = [(x, y) for y in range(height) for x in range(width) if is_passable(x, y)]
    poor = rng.random() < 0.5
    town.serial[:] = range(town.SLOTS)
    for i, tile in enumerate(rng.sample(tiles, town.SLOTS)):
        town.alive[i] = i < 2 or rng.random() < 0.5
        town.xy[i] = tile
        town.needs[i] = [rng.choice((rng.random(), 0.1, 0.4, 0.6, 0.9)) for _ in range(3)]
        town.wallet[i] = rng.randrange(1500 if poor else 9000)
        town.inventory[i] = rng.choice((0, 0, 1, 3)), rng.choice((0, 0, 1, 3))
        town.job[i] = rng.choice((-1, 0, 1))
        town.extroversion[i] = rng.uniform(-1, 1)
        town.departure_lead[i] = rng.choice((0, 20, 60))
        town.blocked[i] = rng.randrange(4)
        town.option[i] = rng.randrange(-1, 8)
        town.goal[i] = rng.randrange(-1, len(OBJECTS))
        town.commit_remaining[i] = rng.choice((0, 0, 1, 9))
        town.claim_object[i] = town.claim_affordance[i] = -1
        town.claim_stage[i] = 0
        if rng.random() < 0.1:
            a = rng.randrange(len(OBJECTS))
            symbol, name = rng.choice(
                (("F", "eat_meal"), ("W", "use_shower"), ("B", "rest_sleep"), ("N", "relax"))
            )
            town.claim(i, symbol, name, 1 + a % 3)
    if rng.random() < 0.5:
        town.job[:] = -1
    for o in range(len(OBJECTS)):
        town.object_open[o] = rng.random() < 0.9
        town.object_powered[o] = rng.random() < 0.9
        town.object_wait[o] = rng.choice((0, 0, 10, 90))
        town.object_stock[o] = rng.choice((0, 1, 8)), rng.choice((0, 1, 8))
    town.tie_other[:], town.tie_avoided[:] = -1, 0
    town.talkers = {i for i in range(town.SLOTS) if town.claim_stage[i] != 3 and rng.random() < 0.2}
    for i in range(town.SLOTS):
        town.talk_ready[i] = rng.choice((0, DAY, 3 * DAY))
        for other in rng.sample([each for each in range(town.SLOTS) if each != i], rng.randrange(4)):
            avoided = rng.random() < 0.3
            quiet = rng.choice((0, 2 * DAY))
            town.tie(i, other, regard=rng.uniform(-0.5, 1), avoided=avoided, quiet_until=quiet)


def digest_of(decided: Iterable[ActionBatch]) -> str:
    """Digest action, option, goal and commitment of many decisions."""
    digest = hashlib.sha256()
    for actions in decided:
        context = actions.context
        for column in (actions.action, context.option, context.goal, context.commit_remaining):
            digest.update(column.tobytes())
    return digest.hexdigest()[:16]


@pytest.mark.parametrize(
    ("options", "seed", "recorded"),
    [
        ({}, 1, "4deaceead182d3ea"),
        ({}, 2, "941351c9dca6960f"),
        ({"critical": 0.3, "threshold": 0.6, "commit_ticks": 40}, 3, "b431dc30f4851506"),
    ],
)
def test_any_state_of_the_small_town_leads_to_the_recorded_decisions(options, seed, recorded):
    town, rng = SmallTown(residents=4), random.Random(seed)  # noqa: S311 - every Python draws the same
    policy = ScriptedPolicy(ScriptedOptions(**options))
    policy.begin(town.spec, 7)

    def decided():
        for _ in range(STATES):
            stir(town, rng)
            yield policy.decide(town.observe(rng.randrange(3 * DAY))).actions

    assert digest_of(decided()) == recorded


@pytest.mark.parametrize(
    ("name", "seed", "days", "options", "recorded"),
    [
        ("town_48", 1, 7, {}, "42525af9ac40b3f4"),
        ("hamlet_24", 1, 7, {}, "e55753fa54e371be"),
        (
            "town_48",
            6,
            20,
            {"population": {"start_wallet": 300}, "lifecycle": {"training_mode": True}},
            "d6441b9b8a0ef087",
        ),
    ],
)
def test_residents_live_the_recorded_lives(name, seed, days, options, recorded):
    """Whole runs; in the last one, residents are poor, stay all the same, and commands set their needs."""
    world = TownWorld(TownModel.build({"town": name, **options}))
    policy = ScriptedPolicy(ScriptedOptions())
    policy.begin(world.spec, seed)
    rng = random.Random(seed)  # noqa: S311 - every Python draws the same

    def decided():
        observation = world.reset(seed)
        for tick in range(days * DAY):
            actions = policy.decide(observation).actions
            yield actions
            pushes = ()
            if options and tick % 97 == 0:
                who = rng.choice([agent_id for agent_id in observation.agent_ids if agent_id])
                needs = {need.name: rng.random() for need in world.spec.needs}
                pushes = (Command("set_need", {"agent_id": who, "needs": needs}, str(tick), "test"),)
            observation = world.step(actions, pushes).observation

    assert digest_of(decided()) == recorded
