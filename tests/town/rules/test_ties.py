"""Ties: what changes them, whose traits modify it, what they forget, and who makes room (section 12)."""

import pytest

from tests.town.towns import Town, affordance, agent
from townlet_adapters.worlds.town.systems import ties
from townlet_core.dto.action import ActionBatch
from townlet_core.dto.command import Command

ROOM = ["Ehrrr", ".rNrr", ".rrrr"]
AT = [(1, 1), (3, 1), (2, 2), (2, 0), (1, 2), (3, 2), (3, 0), (4, 0), (4, 1)]
EVEN = (0.0, 0.0, 0.0)
CLOSE = {"abs": 1e-12}


def room(residents: int = 2, *, relation: dict[str, float] | None = None, **options: object) -> Town:
    """Residents around a bench, all balanced; a use of it lasts a tick and changes ties with those nearby."""
    effects = {"need:energy": 0.1, "relation:nearby": relation} if relation else {"need:energy": 0.1}
    town = Town(ROOM, AT[:residents], manifest=[affordance("it", "bench", 1, effects=effects)], **options)
    for slot in range(residents):
        town.set_profile(slot, "balanced")
    return town


def test_a_use_with_an_effect_on_ties_changes_them_both_ways():
    town = room(relation={"trust": 0.2, "familiarity": -0.1, "rivalry": 0.3})
    town.step({0: "use:it"})
    assert town.tie(0, 1) == town.tie(1, 0) == (0.2, -0.1, 0.3)
    told = [
        (e.owner, e.other, e.status, e.reason, e.trust, e.familiarity, e.rivalry)
        for e in town.heard("social.tie")
    ]
    assert told == [
        (agent(0), agent(1), "added", "nearby", 0.2, -0.1, 0.3),
        (agent(1), agent(0), "added", "nearby", 0.2, -0.1, 0.3),
    ]


def test_the_nearest_two_are_met_by_distance_and_serial():
    town = room(5, relation={"familiarity": 0.1})
    town.place((1, 1), (3, 1), (2, 2), (1, 0), (1, 2))
    town.step({0: "use:it"})
    assert [town.tie(0, other) is not None for other in range(1, 5)] == [False, True, True, False]
    assert town.tie(2, 3) is None


def test_nobody_beyond_two_tiles_is_met():
    town = room(2, relation={"familiarity": 0.1})
    town.place((1, 1), (4, 1))
    town.step({0: "use:it"})
    assert town.tie(0, 1) is None


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ("balanced", (-0.2, -0.1, 0.4)),
        ("industrious", (-0.2 * 1.05, -0.1 * 1.05, 0.4 * 1.05)),
        ("stoic", (-0.2 * 0.75, -0.1 * 0.75, 0.4 * 0.75)),
    ],
)
def test_who_forgives_feels_harm_less(profile, expected):
    town = room(relation={"trust": -0.2, "familiarity": -0.1, "rivalry": 0.4})
    town.set_profile(0, profile)
    town.step({1: "use:it"})
    assert town.tie(0, 1) == expected
    assert town.tie(1, 0) == (-0.2, -0.1, 0.4)


def test_what_does_good_is_not_modified():
    town = room(relation={"trust": 0.2, "familiarity": 0.1, "rivalry": -0.1})
    town.set_profile(0, "stoic")
    town.set_tie(0, 1, rivalry=0.5)
    town.step({1: "use:it"})
    assert town.tie(0, 1) == (0.2, 0.1, 0.4)


def test_modifiers_can_be_switched_off():
    town = room(relation={"rivalry": 0.4}, features={"relationship_modifiers": False})
    town.set_profile(0, "stoic")
    town.step({1: "use:it"})
    assert town.tie(0, 1) == (0.0, 0.0, 0.4)


def test_a_tie_stays_within_its_ranges():
    town = room(relation={"trust": 0.9, "familiarity": -0.9, "rivalry": -0.5}, queues={"cooldown_ticks": 0})
    town.run(3, {0: "use:it"})
    assert town.tie(0, 1) == (1.0, -1.0, 0.0)


# Conflicts.


@pytest.mark.parametrize(
    ("profile", "expected"),
    [("industrious", 0.2 * 1.5 * 1.05 * 1.15), ("stoic", 0.2 * 1.5 * 0.75 * 0.94)],
)
def test_a_stall_is_resented_as_the_example_of_the_rules_says(profile, expected):
    manifest = [affordance("it", "shower", 100)]
    town = Town(["Ehrrr", ".rWrr", ".rrrr"], AT[:3], manifest=manifest)
    for slot in range(3):
        town.set_profile(slot, profile)
    for slot in (2, 0, 1):
        town.step({slot: "use:it"})
    town.step({2: "leave"})
    town.run(3)
    (event,) = town.heard("queue.conflict")
    assert (event.reason, event.intensity) == ("ghost_step", 1.5)
    assert town.tie(0, 1) == town.tie(1, 0) == (0.0, 0.0, pytest.approx(expected, **CLOSE))
    assert town.kinds()[:3] == ["queue.conflict", "social.tie", "social.tie"]


def test_jostling_makes_rivals():
    town = Town(["Ehrr", ".rrr"], [(1, 0), (2, 0)])
    for slot in range(2):
        town.set_profile(slot, "balanced")
    town.run(4, {0: "move_east"})
    assert town.when("queue.conflict") == [3]
    assert town.tie(0, 1) == town.tie(1, 0) == (0.0, 0.0, 0.2 * 0.75)


# Thresholds.


def test_a_friendship_is_told_once_and_again_after_it_cooled():
    town = room(relation={"trust": 0.1}, queues={"cooldown_ticks": 0})
    town.set_tie(0, 1, trust=0.55)
    town.step({0: "use:it"})
    (event,) = town.heard("social.threshold")
    assert (event.owner, event.other, event.threshold) == (agent(0), agent(1), "friend")
    assert event.value == pytest.approx(0.65, **CLOSE)
    town.step({0: "use:it"})
    assert town.heard("social.threshold") == []
    for cooled, told in ((0.51, 0), (0.49, 1)):
        town.set_tie(0, 1, trust=cooled)
        town.set_time(59)
        town.step()
        town.set_tie(0, 1, trust=0.55)
        town.step({0: "use:it"})
        assert len(town.heard("social.threshold")) == told


@pytest.mark.parametrize(("profile", "kinds"), [("balanced", ["rival", "feud"]), ("stoic", ["feud"])])
def test_rivals_and_feuds_are_told_in_this_order(profile, kinds):
    town = room(relation={"rivalry": 0.95}, features={"relationship_modifiers": False})
    town.set_profile(0, profile)
    town.step({0: "use:it"})
    assert [e.threshold for e in town.heard("social.threshold") if e.owner == agent(0)] == kinds
    assert town.resident(0).avoided == (profile == "balanced")


# Forgetting.


def test_ties_decay_in_the_last_tick_of_each_hour():
    town = room()
    town.set_tie(0, 1, trust=0.5, familiarity=-0.5, rivalry=0.5)
    town.run(59)
    assert town.tie(0, 1) == (0.5, -0.5, 0.5)
    town.step()
    assert town.tie(0, 1) == (0.5 * 0.998, -0.5 * 0.995, 0.5 * 0.98)


def test_who_is_not_avoided_any_more_is_so_at_once():
    town = room()
    town.set_tie(0, 1, rivalry=0.71)
    town.set_time(59)
    town.step()
    assert (town.resident(0).avoided, town.tie(0, 1)) == (0, (0.0, 0.0, 0.71 * 0.98))


def test_a_tie_without_substance_is_forgotten():
    town = room(4)
    for other in (1, 2, 3):
        town.set_tie(0, other, familiarity=0.5 if other != 2 else 0.01)
    town.set_time(59)
    town.step()
    (event,) = town.heard("social.tie")
    assert (event.owner, event.other, event.status, event.reason) == (agent(0), agent(2), "removed", "decay")
    assert event.familiarity == 0.01 * 0.995
    assert [town.tie(0, other) is None for other in (1, 2, 3)] == [False, True, False]
    assert not town.state.ties[0, 0, 2].tobytes().strip(b"\0")


# Room for few.


def crowded(*ties_of_0: dict[str, float], relation: dict[str, float]) -> Town:
    """Resident 0 has these ties to 1, 2, 3 ..., at most so many, and meets the last one at the bench."""
    most = len(ties_of_0)
    town = room(most + 2, relation=relation, relationships={"max_ties": most})
    for other, numbers in enumerate(ties_of_0, start=1):
        town.set_tie(0, other, **numbers)
    far = [(4, 0), (4, 1), (4, 2), (3, 0), (3, 2)][:most]
    town.place((1, 1), *far, (1, 2))
    town.step({0: "use:it"})
    return town


def evicted(town: Town) -> list[tuple[str, str]]:
    return [
        (event.other, event.reason)
        for event in town.heard("social.tie")
        if event.status == "removed" and event.owner == agent(0)
    ]


@pytest.mark.parametrize(
    ("own", "new", "out"),
    [
        # The weakest friend makes room for a friend.
        ([{"trust": 0.5}, {"trust": 0.3}, {"trust": 0.4}], {"familiarity": 0.1}, 2),
        # Equally strong: the one that changed first, here never, then the lower serial.
        ([{"trust": 0.4}, {"familiarity": 0.4}, {"trust": 0.5}], {"familiarity": 0.1}, 1),
        # Two rivals are reserved, however weak, against a friend ...
        ([{"trust": 0.5}, {"rivalry": 0.02}, {"rivalry": 0.03}], {"familiarity": 0.1}, 1),
        # ... but not against a rival.
        ([{"trust": 0.5}, {"rivalry": 0.02}, {"rivalry": 0.03}], {"rivalry": 0.1}, 2),
        # Two friends are reserved against a rival, and a third is not.
        ([{"trust": 0.02}, {"trust": 0.03}, {"rivalry": 0.5}], {"rivalry": 0.1}, 3),
        ([{"trust": 0.02}, {"trust": 0.03}, {"trust": 0.04}, {"rivalry": 0.5}], {"rivalry": 0.1}, 1),
        # As much rivalry as liking makes a friend, not a rival.
        ([{"trust": 0.1, "rivalry": 0.05}, {"trust": 0.9}, {"trust": 0.9}], {"familiarity": 0.1}, 1),
    ],
)
def test_a_new_tie_takes_the_place_of_the_weakest_that_is_not_reserved(own, new, out):
    town = crowded(*own, relation=new)
    assert evicted(town) == [(agent(out), "capacity")]
    assert town.resident(0).ties == len(own)
    assert town.tie(0, len(own) + 1) is not None
    assert town.tie(0, out) is None


def test_a_tie_that_is_known_evicts_nobody():
    town = room(4, relation={"familiarity": 0.1}, relationships={"max_ties": 3})
    for other in (1, 2, 3):
        town.set_tie(0, other, trust=0.1)
    town.place((1, 1), (1, 2), (4, 2), (4, 1))
    town.step({0: "use:it"})
    assert evicted(town) == []


# Those who leave.


def test_all_ties_from_and_to_somebody_who_leaves_end_before_the_exit():
    town = room(4)
    town.set_tie(1, 2, trust=0.5)
    town.set_tie(1, 0, rivalry=0.9)
    town.set_tie(3, 1, rivalry=0.8)
    town.set_tie(3, 2, trust=0.1)
    town.set_tie(0, 1, familiarity=0.4)
    town.remove(1)
    town.step()
    ended = [(e.owner, e.other, e.reason) for e in town.heard("social.tie")]
    assert ended == [
        (agent(1), agent(2), "exit"),
        (agent(1), agent(0), "exit"),
        (agent(0), agent(1), "exit"),
        (agent(3), agent(1), "exit"),
    ]
    assert town.kinds() == [*["social.tie"] * 4, "lifecycle.exit"]
    assert (town.tie(3, 2), town.resident(3).avoided) == ((0.1, 0.0, 0.0), 0)
    assert town.tie(0, 1) is None
    for freed in (town.state.ties[0, 1], town.state.portraits[0, 1]):
        assert not freed.tobytes().strip(b"\0")


# Work and courtesy.


JOBS = {"clerk": {"place": "office", "start": 360, "end": 540, "wage": 20, "late_fine": 100, "capacity": 3}}
OFFICE = ["Ehooo", ".hooo", ".hooo"]


def office() -> Town:
    town = Town(OFFICE, [(2, 0), (3, 0), (0, 2)], jobs=JOBS)
    for slot in range(3):
        town.set_profile(slot, "balanced")
    town.set_time(360)
    return town


def test_colleagues_help_who_comes_late_each_told_before_ties_change():
    town = office()
    town.run(10)
    town.step({2: "move_east"})
    assert town.kinds()[:2] == ["employment.arrived", "employment.helped"]
    assert set(town.kinds()[2:6]) == {"social.tie"}
    (helped,) = town.heard("employment.helped")
    assert helped.coworkers == (agent(0), agent(1))
    assert town.tie(2, 0) == town.tie(0, 2) == town.tie(1, 2) == (0.2, 0.1, 0.0)
    assert [e.owner for e in town.heard("social.tie")] == [agent(k) for k in (2, 0, 2, 1)]


def test_who_covers_a_shift_resents_it():
    town = office()
    town.run(32)
    (tick,) = town.when("employment.shift_covered")
    assert tick == 360 + 31
    assert town.tie(0, 2) == town.tie(2, 1) == (-0.1, 0.0, 0.3)
    assert town.tie(0, 1) is None


def test_who_is_liked_is_handed_the_object_and_both_remember_it():
    manifest = [affordance("it", "shower", 10)]
    town = Town(["Ehrrr", ".rWrr", ".rrrr"], AT[:4], manifest=manifest)
    for slot in range(4):
        town.set_profile(slot, "balanced")
    town.set_tie(0, 2, trust=0.1)
    for slot in range(4):
        town.step({slot: "use:it"})
    town.run(6)
    kinds = [kind for kind in town.kinds() if kind != "affordance.finish"]
    assert kinds == ["queue.handover", "social.tie", "queue.grant"]
    (event,) = town.heard("queue.handover")
    assert (event.agent_id, event.to, event.from_index) == (agent(0), agent(2), 1)
    assert town.holder("shower_1") == 2
    assert town.tie(0, 2) == (pytest.approx(0.15, **CLOSE), 0.05, 0.0)
    assert town.tie(2, 0) == (0.05, 0.05, 0.0)


@pytest.mark.parametrize(("trust", "to"), [(0.04, 1), (0.06, 2)])
def test_a_place_in_the_queue_weighs_against_regard(trust, to):
    town = Town(["Ehrrr", ".rWrr", ".rrrr"], AT[:3], manifest=[affordance("it", "shower", 10)])
    town.set_tie(0, 2, trust=trust)
    for slot in range(3):
        town.step({slot: "use:it"})
    town.run(7)
    assert town.holder("shower_1") == to
    assert bool(town.heard("queue.handover")) == (to == 2)


# Meals.


def table(first: int, second: int) -> Town:
    """Two eat beside each other, and begin so many ticks after the start."""
    meal = affordance("eat", "bench", 10, effects={"need:hunger": 0.1}, tags=["meal"])
    town = Town(["ErNrNr", "hrrrrr"], [(1, 1), (5, 1)], manifest=[meal])
    for slot in range(2):
        town.set_profile(slot, "balanced")
    town.place((2, 1), (4, 1))
    for tick in range(first + 10):
        wanted = {slot: "use:eat" for slot, since in ((0, first), (1, second)) if since == tick}
        town.step(wanted)
    return town


@pytest.mark.parametrize(("second", "shared"), [(0, True), (5, True), (6, False)])
def test_a_meal_is_shared_by_who_eats_five_ticks_together(second, shared):
    town = table(0, second)
    assert [event.agents for event in town.heard("social.shared_meal")] == [(agent(0), agent(1))] * shared
    assert town.tie(1, 0) == ((0.1, 0.25, 0.0) if shared else None)
    if shared:
        kinds = town.kinds()
        assert (
            kinds.index("social.shared_meal") < kinds.index("social.tie") < kinds.index("affordance.finish")
        )


def test_a_shared_meal_is_told_once_by_the_first_who_finishes():
    town = table(0, 0)
    town.run(3)
    assert len(town.when("social.shared_meal")) == 1
    assert town.tie(0, 1) == (0.1, 0.25, 0.0)


def test_the_rules_keep_a_tie_for_days():
    """Half-lives as the page says: 14.4 days, 5.8 days, 34.3 hours."""
    for left, hours in (
        (ties.TRUST_LEFT, 14.4 * 24),
        (ties.FAMILIARITY_LEFT, 5.8 * 24),
        (ties.RIVALRY_LEFT, 34.3),
    ):
        assert left**hours == pytest.approx(0.5, rel=0.01)


# Commands.


def command(town: Town, name: str, **args: object):
    town.action[:] = 0
    outcome = town.world.step(
        ActionBatch(town.action.data, town.target.data), (Command(name, args, "1", "ada"),)
    )
    (result,) = outcome.command_results
    return result, outcome.events


def set_rel(town: Town, owner: int, other: int, **numbers: object):
    return command(town, "set_rel", owner=agent(owner), other=agent(other), **numbers)


def test_a_command_sets_the_ties_of_both_whatever_their_traits():
    town = room()
    town.set_profile(0, "stoic")
    result, events = set_rel(town, 0, 1, trust=-0.5, familiarity=0.25, rivalry=0.125)
    assert (result.status, result.result["trust"]) == ("ok", -0.5)
    assert town.tie(0, 1) == town.tie(1, 0) == (-0.5, 0.25, 0.125)
    told = [(e.owner, e.other, e.status, e.reason, e.trust) for e in events if e.kind == "social.tie"]
    assert told == [
        (agent(0), agent(1), "added", "command", -0.5),
        (agent(1), agent(0), "added", "command", -0.5),
    ]


def test_a_command_sets_only_the_numbers_that_are_given_and_only_one_tie_if_told_so():
    town = room()
    town.set_tie(0, 1, trust=0.5, familiarity=0.25, rivalry=0.125)
    result, events = set_rel(town, 0, 1, familiarity=-1.0, both=False)
    assert result.status == "ok"
    assert (town.tie(0, 1), town.tie(1, 0)) == ((0.5, -1.0, 0.125), None)
    assert [e.kind for e in events if e.kind == "social.tie"] == []
    assert town.state.ties[0, 0, 0].changed == 0


def test_a_tie_that_a_command_sets_passes_its_thresholds_and_is_avoided():
    town = room()
    _, events = set_rel(town, 0, 1, trust=0.6, rivalry=0.95)
    passed = [(e.owner, e.threshold) for e in events if e.kind == "social.threshold"]
    assert passed == [(agent(owner), kind) for owner in (0, 1) for kind in ("friend", "rival", "feud")]
    assert (town.resident(0).avoided, town.resident(1).avoided) == (1, 1)
    set_rel(town, 0, 1, rivalry=0.0)
    assert town.tie(0, 1) == (0.6, 0.0, 0.0)
    assert (town.resident(0).avoided, town.resident(1).avoided) == (0, 0)


def test_the_weakest_tie_makes_room_for_one_that_a_command_sets():
    town = room(5, relationships={"max_ties": 3})
    for other, trust in ((1, 0.5), (2, 0.25), (3, 0.75)):
        town.set_tie(0, other, trust=trust)
    _, events = set_rel(town, 0, 4, trust=0.125, both=False)
    told = [(e.other, e.status, e.reason) for e in events if e.kind == "social.tie"]
    assert told == [(agent(2), "removed", "capacity"), (agent(4), "added", "command")]
    assert [town.tie(0, other) is not None for other in range(1, 5)] == [True, False, True, True]


def test_a_tie_to_a_rival_that_a_command_sets_leaves_the_last_friends():
    town = room(5, relationships={"max_ties": 3})
    town.set_tie(0, 1, trust=0.1)
    town.set_tie(0, 2, trust=0.2)
    town.set_tie(0, 3, rivalry=0.9)
    _, events = set_rel(town, 0, 4, rivalry=0.5, both=False)
    gone = next(e for e in events if e.kind == "social.tie")
    assert (gone.other, gone.reason) == (agent(3), "capacity")


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ({"owner": "a00009", "other": agent(1), "trust": 0.5}, "not_found"),
        ({"owner": agent(0), "other": "a00009", "trust": 0.5}, "not_found"),
        ({"owner": agent(0), "other": agent(0), "trust": 0.5}, "invalid_args"),
        ({"owner": agent(0), "other": agent(1)}, "invalid_args"),
        ({"owner": agent(0), "other": agent(1), "both": False}, "invalid_args"),
        ({"owner": agent(0), "other": agent(1), "trust": 1.01}, "invalid_args"),
        ({"owner": agent(0), "other": agent(1), "familiarity": -1.01}, "invalid_args"),
        ({"owner": agent(0), "other": agent(1), "rivalry": -0.01}, "invalid_args"),
        ({"owner": agent(0), "other": agent(1), "trust": "much"}, "invalid_args"),
    ],
)
def test_a_tie_that_cannot_be_set_is_answered_with_its_code_and_changes_nothing(args, code):
    town, plain = room(), room()
    result, _ = command(town, "set_rel", **args)
    plain.step()
    assert (result.status, result.error.code) == ("error", code)
    assert town.world.snapshot() == plain.world.snapshot()
