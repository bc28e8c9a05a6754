"""How scripted residents deal with each other: talk, company, and keeping out of the way (section 17)."""

import numpy as np
import pytest

from tests.policies.conftest import ACTIONS, BARISTA, OBJECTS, OPTIONS, SmallTown, Vocabulary
from townlet_adapters.policies.scripted.options import ScriptedOptions
from townlet_adapters.policies.scripted.policy import ScriptedPolicy
from townlet_core import seeding

SEED = 5
NOON = 720
CAFE = (13, 1)


def decide(town, tick, options=None):
    """The actions and the context of all residents in one tick."""
    policy = ScriptedPolicy(options or ScriptedOptions())
    policy.begin(town.spec, SEED)
    decision = policy.decide(town.observe(tick))
    town.remember(decision)
    return [ACTIONS[n] for n in np.asarray(decision.actions.action).tolist()]


def option(town, i=0):
    return OPTIONS[town.option[i]] if town.option[i] >= 0 else None


def sociable_tick(town, i=0, *, after=NOON):
    """A tick of the day in a part of it in which a resident goes out."""
    town.inventory[:] = 1, 0  # nobody shops who carries a meal
    tick = after
    chance = 0.4 + 0.3 * float(town.extroversion[i])
    while (
        seeding.unit(SEED, seeding.POLICY, tick // 180, int(town.serial[i]), 0) >= chance
        or not 480 <= tick % 1440 < 1260
    ):
        tick += 60
    return tick


def talk_tick(town, i, chance, *, below, first):
    """A tick from ``first`` on in which the draw of a talk is below the chance, or not."""
    tick = first
    while (seeding.unit(SEED, seeding.POLICY, tick, int(town.serial[i]), 1) < chance) != below:
        tick += 1
    return tick


@pytest.fixture
def pair():
    """Two residents in the park, both outgoing, on tiles that are not next to each other."""
    town = SmallTown(residents=2)
    town.extroversion[:] = 0.5
    town.xy[0], town.xy[1] = (7, 2), (10, 2)
    return town


# Talk.


def test_who_socialises_talks_when_it_can(pair):
    tick = sociable_tick(pair)
    pair.talkers = {0}
    assert decide(pair, tick)[0] == "talk"
    assert option(pair) == "socialise"


def test_who_is_shy_waits_to_be_talked_to(pair):
    pair.extroversion[0] = -0.21
    pair.talkers = {0}
    for tick in range(NOON, NOON + 60):
        assert decide(pair, tick)[0] != "talk"


@pytest.mark.parametrize("below", [True, False])
def test_at_work_a_resident_talks_now_and_then(pair, below):
    pair.job[0], pair.xy[0] = BARISTA, CAFE
    pair.talkers = {0}
    tick = talk_tick(pair, 0, 0.10, below=below, first=500)
    assert (decide(pair, tick)[0] == "talk") == below
    assert option(pair) == "go_to_work"


def test_on_the_way_to_work_nobody_stops_for_a_talk(pair):
    pair.job[0], pair.xy[0] = BARISTA, (2, 2)
    pair.talkers = {0}
    assert decide(pair, talk_tick(pair, 0, 0.10, below=True, first=500))[0] == "move_east"


def test_an_idle_resident_keeps_company_now_and_then(pair):
    pair.xy[0], pair.xy[1] = (2, 2), (4, 2)
    pair.inventory[:] = 1, 0
    kept = []
    for part in range(1440 * 20 // 20):
        tick = 20 * part + 7
        if tick % 1440 >= 480:
            continue
        pair.option[:], pair.commit_remaining[:] = -1, 0
        kept.append(decide(pair, tick)[0] == "move_east")
        drawn = seeding.unit(SEED, seeding.POLICY, part, int(pair.serial[0]), 5)
        assert kept[-1] == (drawn < 0.3)
        assert option(pair) == "idle"
    assert 100 < sum(kept) < 200
    pair.talkers = {0}
    assert {decide(pair, tick)[0] for tick in range(200, 400)} == {"talk", "wait"}


# Company.


@pytest.mark.parametrize(
    "change",
    [
        lambda town: town.talk_ready.__setitem__(1, 10**6),
        lambda town: town.talk_ready.__setitem__(0, 10**6),
        lambda town: town.claim(1, "N", "relax", 3),
        lambda town: town.tie(0, 1, avoided=True, quiet_until=10**6),
        lambda town: town.tie(1, 0, avoided=True),
        lambda town: town.xy.__setitem__(1, (10, 2)),
    ],
    ids=["it rests", "oneself rests", "it is busy", "avoided", "avoiding", "elsewhere"],
)
def test_company_is_who_would_listen_in_the_same_place(change):
    town = SmallTown(residents=2)
    town.extroversion[:] = 0.5
    town.xy[0], town.xy[1] = (12, 2), (14, 1)
    tick = sociable_tick(town)
    towards = decide(town, tick)[0]
    assert (towards, option(town)) == ("move_east", "socialise")
    town.option[:], town.commit_remaining[:] = -1, 0
    change(town)
    assert decide(town, tick)[0] == "move_west"


def test_liking_makes_up_for_steps():
    town = SmallTown(residents=3)
    town.extroversion[:] = 0.5
    town.xy[:3] = (13, 2), (12, 3), (14, 1)
    tick = sociable_tick(town)
    assert decide(town, tick)[0] == "move_south"
    town.option[:], town.commit_remaining[:] = -1, 0
    town.tie(0, 2, regard=0.1)
    assert decide(town, tick)[0] == "move_north"


# Invitations.

PARK, BY_CAFE = 2, 3
"""Numbers of places."""


def invite(town, *slots, place=BY_CAFE, event=7):
    for i in slots:
        town.invite[i], town.invite_place[i] = event, place


@pytest.fixture
def guests():
    """Two residents who are invited to the cafe; the first stands in the park, east of the gym."""
    town = SmallTown(residents=3)
    town.extroversion[:] = 0.5
    town.xy[:3] = (7, 3), (12, 2), (13, 1)
    invite(town, 0, 1)
    return town


def test_who_is_invited_goes_there_and_socialises(guests):
    assert decide(guests, 600)[0] == "move_north"
    assert option(guests) == "socialise"
    assert guests.goal[0] == len(OBJECTS) + BY_CAFE
    assert guests.commit_remaining[0] == 14


@pytest.mark.parametrize(
    ("change", "tick"),
    [
        (lambda town: town.needs.__setitem__((0, 0), 0.24), 600),
        (lambda town: town.job.__setitem__(0, BARISTA), 600),
        (lambda town: town.needs.fill(1), 100),
        (lambda town: town.invite.__setitem__(0, 0), 600),
    ],
    ids=["a need is critical", "it is time for work", "it is night", "the event is over"],
)
def test_who_is_needed_elsewhere_or_sleeps_at_that_time_does_not(guests, change, tick):
    change(guests)
    decide(guests, tick)
    assert guests.goal[0] != len(OBJECTS) + BY_CAFE or guests.job[0] == BARISTA
    if guests.job[0] == BARISTA:
        assert option(guests) == "go_to_work"


def test_a_low_need_that_is_not_critical_waits_for_the_end(guests):
    guests.needs[0, 0] = 0.3
    decide(guests, 600)
    assert option(guests) == "socialise"


def test_at_the_place_company_is_who_has_the_same_invitation(guests):
    guests.xy[:3] = (13, 2), (12, 3), (14, 2)
    assert decide(guests, 600)[0] in {"move_west", "move_south"}  # the nearest one is not invited
    guests.talkers = {0}
    assert decide(guests, 600)[0] == "talk"


def test_when_it_is_over_a_resident_chooses_anew(guests):
    guests.xy[0] = (13, 2)
    decide(guests, 600)
    assert guests.commit_remaining[0] > 0
    guests.invite[:] = 0
    decide(guests, 601)
    assert guests.goal[0] != len(OBJECTS) + BY_CAFE


def test_a_world_without_an_option_for_company_has_no_guests():
    options = ("get_fed", "get_clean", "rest", "go_to_work", "shop", "avoid_rival", "idle")
    town = SmallTown(words=Vocabulary(options=options))
    town.xy[0] = (7, 3)
    invite(town, 0)
    decide(town, 600)
    assert town.goal[0] != len(OBJECTS) + BY_CAFE


# Keeping out of the way.


@pytest.fixture
def rivals():
    """Resident 0 avoids resident 1, which stands beside it in the gym's hall, at night."""
    town = SmallTown(residents=2)
    town.xy[0], town.xy[1] = (9, 2), (8, 2)
    town.tie(0, 1, avoided=True)
    return town


NIGHT = 1300


def test_a_resident_steps_aside_for_one_that_it_avoids(rivals):
    assert decide(rivals, NIGHT)[0] == "move_east"
    assert option(rivals) == "avoid_rival"


def test_who_is_avoided_goes_about_its_business(rivals):
    decide(rivals, NIGHT)
    assert option(rivals, 1) == "idle"


@pytest.mark.parametrize(
    "change",
    [
        lambda town: town.needs.__setitem__((0, 1), 0.29),
        lambda town: town.xy.__setitem__(1, (6, 2)),
        lambda town: town.tie_quiet_until.__setitem__((0, 0), NIGHT + 1),
        lambda town: town.claim(0, "N", "relax", 1),
        lambda town: town.option.__setitem__(0, OPTIONS.index("avoid_rival")),
    ],
    ids=["a need", "far enough", "stepped aside lately", "a claim", "just did"],
)
def test_it_does_not_when_something_else_matters(rivals, change):
    change(rivals)
    decide(rivals, NIGHT)
    assert option(rivals) != "avoid_rival"


def test_it_goes_on_until_it_is_far_enough_even_after_the_avoidance(rivals):
    decide(rivals, NIGHT)
    rivals.xy[0] = (10, 2)
    rivals.tie_quiet_until[0, 0] = NIGHT + 100
    rivals.xy[1] = (7, 2)
    decide(rivals, NIGHT + 1)
    assert option(rivals) == "avoid_rival"
    rivals.xy[1] = (6, 2)
    decide(rivals, NIGHT + 2)
    assert option(rivals) == "idle"


def test_a_critical_need_ends_it(rivals):
    decide(rivals, NIGHT)
    rivals.needs[0, 2] = 0.1
    decide(rivals, NIGHT + 1)
    assert option(rivals) == "rest"


def test_who_is_cornered_waits(rivals):
    rivals.xy[0], rivals.xy[1] = (10, 2), (9, 2)
    rivals.xy[2] = (10, 1)
    rivals.alive[2] = rivals.alive[3] = 1
    rivals.xy[2], rivals.xy[3] = (11, 2), (10, 1)
    assert decide(rivals, NIGHT)[0] == "wait"
    assert option(rivals) == "avoid_rival"


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_nobody_queues_behind_one_that_it_avoids(stage):
    town = SmallTown(residents=2)
    town.needs[0, 0] = 0.3
    decide(town, NIGHT)
    fridge = int(town.goal[0])
    assert (fridge, option(town)) == (town.object("F"), "get_fed")
    town.option[:], town.commit_remaining[:] = -1, 0
    town.xy[1] = (13, 3)
    town.claim(1, "F", "eat_meal", stage)
    town.tie(0, 1, avoided=True)
    decide(town, NIGHT)
    assert int(town.goal[0]) != fridge
    town.option[:], town.commit_remaining[:] = -1, 0
    town.needs[0, 0] = 0.1
    decide(town, NIGHT)
    assert int(town.goal[0]) == fridge
