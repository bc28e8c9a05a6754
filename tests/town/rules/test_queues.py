"""Claims, queues and fairness (rules, section 9)."""

import pytest

from tests.town.towns import Town, affordance, agent

IT = "use:it"
HALL = [
    "E.................",
    ".hrrrrrrrrrrrrrrr.",
    ".rrrrrrrrWrrrrrrr.",
    ".rrrrrrrrrrrrrrrr.",
    "..................",
]
AROUND = [(10, 2), (8, 2), (9, 1), (9, 3), (8, 1), (10, 1)]


def hall(residents: int = 3, duration: int = 30, **queues: object) -> Town:
    """One shower in the middle of a long hall, whose use is free and takes ``duration`` ticks."""
    return Town(HALL, AROUND[:residents], manifest=[affordance("it", "shower", duration)], queues=queues)


def line_up(town: Town, *slots: int) -> None:
    """Let residents ask one after the other: the first runs, the others queue in this order."""
    for slot in slots:
        town.step({slot: IT})
    assert (town.holder("shower_1"), town.queue("shower_1")) == (slots[0], list(slots[1:]))


def check_claims(town: Town) -> None:
    """Who holds, who waits and what the residents believe must fit together."""
    holder, queue = town.holder("shower_1"), town.queue("shower_1")
    stages = {slot: town.stage(slot) for slot in range(int(town.state.towns[0].population))}
    assert [slot for slot, stage in stages.items() if stage in {"held", "running"}] == (
        [] if holder is None else [holder]
    )
    assert sorted(queue) == [slot for slot, stage in stages.items() if stage == "queued"]
    assert (town.thing("shower_1").affordance >= 0) == (holder is not None)
    margin = int(town.model.tables.params[0].margin)
    assert town.state.reserved[0, 2 + margin, 9 + margin] == (holder is not None)
    for slot, stage in stages.items():
        assert (town.resident(slot).claim_object >= 0) == (stage != "none")


# Joining and being served.


def test_who_asks_for_a_taken_object_joins_its_queue():
    town = hall()
    town.step({0: IT})
    (join,) = town.step({1: IT})
    assert (join.kind, join.agent_id, join.object_id, join.affordance_id) == (
        "queue.join",
        agent(1),
        "shower_1",
        "it",
    )
    assert (join.position, town.result(1), town.stage(1)) == (0, "queued", "queued")
    (join,) = town.step({2: IT})
    assert (join.position, town.queue("shower_1")) == (1, [1, 2])
    check_claims(town)


def test_asking_again_and_waiting_keep_the_place():
    town = hall()
    line_up(town, 0, 1, 2)
    town.step({1: IT, 2: "wait"})
    assert (town.result(1), town.result(2)) == ("queued", "ok")
    assert (town.queue("shower_1"), town.told) == ([1, 2], ())


def test_the_first_in_line_is_granted_the_object_when_the_use_ends():
    town = hall(duration=5)
    line_up(town, 0, 1, 2)
    town.run(2)
    finish, grant = town.told
    assert finish.kind == "affordance.finish"
    assert (grant.kind, grant.agent_id, grant.object_id, grant.affordance_id) == (
        "queue.grant",
        agent(1),
        "shower_1",
        "it",
    )
    assert grant.waited == 3  # joined in tick 1, granted in tick 4
    assert (town.stage(1), town.holder("shower_1"), town.queue("shower_1")) == ("held", 1, [2])
    check_claims(town)
    (start,) = town.step({1: IT})
    assert (start.kind, town.result(1), town.stage(1)) == ("affordance.start", "ok", "running")


def test_a_grant_remembers_when_and_how_far_away():
    town = hall(2, 8)
    line_up(town, 1, 0)
    town.run(3, {0: "move_east"})
    town.run(3)
    shower = town.thing("shower_1")
    assert (town.holder("shower_1"), int(shower.granted), int(shower.eta)) == (0, 7, 3)


def test_no_grant_is_told_to_one_who_starts_at_a_free_object():
    town = hall(1, 1)
    town.step({0: IT})
    assert town.kinds() == ["affordance.start", "affordance.finish"]


@pytest.mark.parametrize(("weight", "served"), [(0.0, 1), (0.1, 1), (1.0, 1)])
def test_the_queue_is_served_in_its_order_when_nobody_waited_longer(weight, served):
    town = hall(duration=6, age_weight=weight)
    line_up(town, 0, 1, 2)
    town.run(3)
    assert town.holder("shower_1") == served


@pytest.mark.parametrize(
    ("weight", "waits", "served"),
    [
        (0.1, (0, 10), 1),  # 0 - 0 and 1 - 1.0: a tie goes to the lower index
        (0.1, (0, 11), 2),
        (0.1, (5, 15), 1),
        (0.1, (5, 16), 2),
        (0.0, (0, 999), 1),
        (1.0, (0, 2), 2),
    ],
)
def test_a_longer_wait_counts_against_a_better_place(weight, waits, served):
    town = hall(duration=6, age_weight=weight)
    line_up(town, 0, 1, 2)
    town.run(2)
    for slot, waited in zip((1, 2), waits, strict=True):
        town.resident(slot).joined = town.tick - waited
    town.step()
    assert (town.holder("shower_1"), town.heard("queue.grant")[0].waited) == (served, waits[served - 1])
    check_claims(town)


def test_one_who_finished_is_nobodys_friend_so_far():
    """Without ties the finisher favours nobody, however its queue looks."""
    town = hall(4, 6)
    line_up(town, 0, 1, 2, 3)
    town.run(2)
    assert town.kinds() == ["affordance.finish", "queue.grant"]
    assert (town.holder("shower_1"), town.queue("shower_1")) == (1, [2, 3])
    assert int(town.thing("shower_1").last_handover) < 0


# Cooling down.


@pytest.mark.parametrize("ticks", [0, 1, 60])
def test_a_finished_use_makes_the_pair_cool_down(ticks):
    town = hall(2, 3, cooldown_ticks=ticks)
    town.run(3, {0: IT})
    assert town.when("affordance.finish") == [2]
    assert town.cooldown(0, 0) == 2 + ticks
    assert town.state.cooldowns[..., 1].sum() == 2 + ticks  # nobody else, no other object
    for _ in range(ticks + 2):
        assert (IT in town.mask(0)) == (town.tick >= 2 + ticks)
        town.step()


def test_a_cool_down_is_over_when_its_tick_is_reached():
    town = hall(1)
    town.cool_down(0, 0, 7)  # in the middle of a tick, as far as the mask knows
    town.step({0: IT})
    assert town.result(0) == "cooldown"
    town.run(6, {0: IT})
    assert town.result(0) == "invalid"
    town.step({0: IT})
    assert (town.result(0), town.when("affordance.start")) == ("ok", [7])


# Leaving.


def test_one_who_leaves_the_queue_is_gone_and_the_others_move_up():
    town = hall(4)
    line_up(town, 0, 1, 2, 3)
    town.step()
    (leave,) = town.step({2: "leave"})
    assert (leave.kind, leave.agent_id, leave.object_id) == ("queue.leave", agent(2), "shower_1")
    assert (leave.reason, leave.waited, town.result(2)) == ("left", 3, "ok")
    assert (town.queue("shower_1"), town.stage(2)) == ([1, 3], "none")
    check_claims(town)


def test_leaving_a_queue_leaves_the_cool_down_alone():
    town = hall(2)
    line_up(town, 0, 1)
    town.cool_down(1, 0, 99)
    town.step({1: "leave"})
    assert town.cooldown(1, 0) == 99


def test_one_who_gives_up_a_hold_hands_the_object_to_the_next():
    town = hall(3)
    line_up(town, 0, 1, 2)
    town.step({0: "leave"})
    assert town.kinds() == ["affordance.fail", "queue.grant"]
    town.cool_down(1, 0, 99)
    leave, grant = town.step({1: "leave"})
    assert (leave.reason, leave.waited, grant.agent_id, grant.waited) == ("left", 3, agent(2), 2)
    assert (town.holder("shower_1"), town.queue("shower_1")) == (2, [])
    assert town.cooldown(1, 0) == 0
    check_claims(town)


def test_a_teleport_ends_a_place_in_a_queue_a_hold_and_a_use():
    town = hall(3)
    line_up(town, 0, 1, 2)
    for slot, kind in ((2, "queue.leave"), (0, "affordance.fail"), (1, "queue.leave")):
        town.teleport(slot, 16, 1 + slot)
        town.step()
        told = town.heard(kind)
        assert [(event.agent_id, event.reason) for event in told] == [(agent(slot), "interrupted")]
        check_claims(town)
    assert (town.holder("shower_1"), town.queue("shower_1")) == (None, [])


def test_an_interruption_ends_a_place_in_a_queue_a_hold_and_a_use():
    town = hall(3)
    line_up(town, 0, 1, 2)
    for slot, kind in ((2, "queue.leave"), (0, "affordance.fail"), (1, "queue.leave")):
        town.interrupt(slot)
        town.step()
        told = town.heard(kind)
        assert [(event.agent_id, event.reason) for event in told] == [(agent(slot), "interrupted")]
        assert town.resident(slot).ctx_reset
        check_claims(town)
    assert (town.holder("shower_1"), town.queue("shower_1")) == (None, [])
    town.interrupt(0)
    town.step()
    assert town.told == ()


def test_an_idle_one_loses_a_place_in_a_queue_and_a_hold_but_no_running_use():
    town = hall(3)
    line_up(town, 0, 1, 2)
    town.interrupt(2, idle=True)
    town.interrupt(0, idle=True)
    town.step()
    assert [(event.agent_id, event.reason) for event in town.heard("queue.leave")] == [(agent(2), "idle")]
    assert (town.kinds(), town.stage(0)) == (["queue.leave"], "running")
    town.step({0: "leave"})
    assert town.stage(1) == "held"
    town.interrupt(1, idle=True)
    town.step()
    assert [(event.agent_id, event.reason) for event in town.heard("queue.leave")] == [(agent(1), "idle")]
    assert (town.holder("shower_1"), town.queue("shower_1")) == (None, [])


def test_closing_dismisses_the_queue_and_an_idle_holder_and_lets_nobody_in():
    town = hall(3)
    line_up(town, 0, 1, 2)
    town.step({0: "leave"})
    assert town.stage(1) == "held"
    town.close("shower_1")
    told = town.step({0: IT, 1: IT, 2: IT})
    leaves = [(event.agent_id, event.reason) for event in told if event.kind == "queue.leave"]
    assert leaves == [(agent(2), "closed"), (agent(1), "closed")]
    assert [town.result(slot) for slot in range(3)] == ["closed"] * 3
    assert (town.holder("shower_1"), town.queue("shower_1")) == (None, [])
    check_claims(town)
    town.run(3)
    assert town.told == ()


def test_closing_dismisses_the_queue_of_a_running_use_but_not_its_user():
    town = hall(3, 6)
    line_up(town, 0, 1, 2)
    town.close("shower_1")
    town.run(4)
    leaves = [(tick, event.agent_id) for tick, event in town.log if event.kind == "queue.leave"]
    assert leaves == [(3, agent(1)), (3, agent(2))]
    assert town.when("affordance.finish") == [5]
    check_claims(town)


def test_an_opened_object_can_be_asked_for_again():
    town = hall(1)
    town.close("shower_1")
    town.step()
    town.open("shower_1")
    town.step()
    town.step({0: IT})
    assert town.result(0) == "ok"


# Holding without using.


def grant_to(town: Town, *slots: int) -> int:
    """Make the first of the slots the idle holder, the others its queue; returns the tick of the grant."""
    last = int(town.state.towns[0].population) - 1
    line_up(town, last, *slots)
    town.step({last: "leave"})
    assert (town.holder("shower_1"), town.stage(slots[0])) == (slots[0], "held")
    return town.tick - 1


@pytest.mark.parametrize(("hold_ticks", "eta"), [(5, 0), (1, 0), (9, 0), (5, 4), (1, 6)])
def test_a_hold_times_out_after_the_way_there_and_hold_ticks(hold_ticks, eta):
    town = hall(2, hold_ticks=hold_ticks, drop_distance=50)
    line_up(town, 1, 0)
    town.run(eta, {0: "move_east"})
    town.step({1: "leave"})
    granted = town.tick - 1
    assert int(town.thing("shower_1").eta) == eta
    town.run(hold_ticks + eta + 3)
    assert town.when("queue.leave") == [granted + hold_ticks + eta]
    leave = next(event for _, event in town.log if event.kind == "queue.leave")
    assert (leave.agent_id, leave.reason, leave.waited) == (
        agent(0),
        "timeout",
        town.when("queue.leave")[0] - 1,
    )
    assert (town.holder("shower_1"), town.stage(0)) == (None, "none")
    check_claims(town)


def test_a_hold_that_timed_out_goes_on_to_the_next():
    town = hall(3, ghost_step_after=0)
    granted = grant_to(town, 0, 1)
    town.run(5)
    assert town.kinds() == ["queue.leave", "queue.grant"]
    assert (town.tick - 1, town.holder("shower_1")) == (granted + 5, 1)
    town.run(5)
    assert (town.holder("shower_1"), town.when("queue.leave")) == (None, [granted + 5, granted + 10])


def test_the_last_chance_to_start_is_the_tick_before_the_time_out():
    town = hall(2)
    granted = grant_to(town, 0)
    town.run(4)
    town.step({0: IT})
    assert (town.tick - 1, town.stage(0)) == (granted + 5, "running")


def test_an_idle_holder_stalls_the_queue_and_goes_to_its_tail():
    town = hall(3)
    granted = grant_to(town, 0, 1)
    stalls = []
    for _ in range(2):
        town.step()
        stalls.append(int(town.thing("shower_1").stall))
    assert (stalls, town.told) == ([1, 2], ())
    conflict, mine, theirs, grant, digest = town.step()
    assert mine.kind == theirs.kind == "social.tie"
    assert (conflict.kind, conflict.actor, conflict.rival) == ("queue.conflict", agent(0), agent(1))
    assert (conflict.reason, conflict.object_id) == ("ghost_step", "shower_1")
    assert (conflict.queue_length, conflict.intensity) == (1, 1.5)
    assert (grant.kind, grant.agent_id, digest.kind) == ("queue.grant", agent(1), "rivalry.events")
    assert (town.tick - 1, town.holder("shower_1"), town.queue("shower_1")) == (granted + 3, 1, [0])
    assert (town.stage(0), int(town.resident(0).joined)) == ("queued", granted + 3)
    assert int(town.thing("shower_1").granted) == granted + 3
    check_claims(town)


def test_a_holder_on_its_way_does_not_stall():
    town = hall(3)
    line_up(town, 2, 0, 1)
    town.run(3, {0: "move_east"})
    town.step({2: "leave"})
    granted = town.tick - 1
    assert int(town.thing("shower_1").eta) == 3
    town.run(8)
    assert town.when("queue.conflict") == [granted + 3 + 3]


def test_nobody_is_stalled_without_a_queue():
    town = hall(2)
    grant_to(town, 0)
    town.run(4)
    assert int(town.thing("shower_1").stall) == 0


def test_the_stall_begins_anew_when_the_queue_was_empty_in_between():
    town = hall(3)
    granted = grant_to(town, 0, 1)
    town.run(2)
    town.step({1: "leave"})
    assert int(town.thing("shower_1").stall) == 0
    town.step({1: IT})
    assert (town.stage(1), int(town.thing("shower_1").stall)) == ("queued", 1)
    assert town.tick - 1 == granted + 4


def test_with_ghost_steps_off_only_the_time_out_ends_a_stall():
    town = hall(3, ghost_step_after=0)
    granted = grant_to(town, 0, 1)
    town.run(6)
    assert (town.when("queue.conflict"), town.when("queue.leave")) == ([], [granted + 5])


def test_two_who_never_start_take_turns_and_nobody_is_stuck():
    town = hall(3)
    granted = grant_to(town, 0, 1)
    town.run(30)
    grants = town.when("queue.grant")[1:]
    assert grants == [granted + 3 * k for k in range(1, 11)]
    check_claims(town)


# A utility that is off stops the clocks of a holder.


@pytest.mark.parametrize("outage", [1, 7])
def test_the_clocks_of_a_hold_stand_still_while_a_utility_is_off(outage):
    town = hall(2)
    granted = grant_to(town, 0)
    town.run(2)
    town.switch("water", on=False)
    town.run(outage)
    town.switch("water", on=True)
    town.run(6)
    assert town.when("queue.leave") == [granted + 5 + outage]


@pytest.mark.parametrize("outage", [1, 7])
def test_a_queue_is_not_stalled_while_a_utility_is_off(outage):
    town = hall(3)
    granted = grant_to(town, 0, 1)
    town.switch("power", on=False)
    town.run(outage)
    assert (town.stage(0), town.when("queue.conflict")) == ("held", [])
    town.switch("power", on=True)
    town.run(4)
    assert town.when("queue.conflict") == [granted + outage + 3]


@pytest.mark.parametrize("outage", [1, 7])
def test_the_clock_of_one_who_was_granted_the_object_in_an_outage_starts_after_it(outage):
    town = hall(2)
    line_up(town, 1, 0)
    town.switch("water", on=False)
    town.step()
    assert (town.kinds(), town.holder("shower_1")) == (["affordance.fail", "queue.grant"], 0)
    town.run(outage - 1)
    town.switch("water", on=True)
    back = town.tick
    town.run(7)
    assert town.when("queue.leave") == [back + 4]  # the fifth tick with water


def test_an_outage_lets_nobody_in_and_drops_nobody():
    town = hall(3)
    granted = grant_to(town, 0, 1)
    town.switch("water", on=False)
    town.run(20, {0: IT, 1: IT})
    assert (town.result(0), town.result(1)) == ("waiting", "queued")
    assert [
        event.kind for tick, event in town.log if tick > granted and event.kind.startswith("queue.l")
    ] == []


# Walking away.


@pytest.mark.parametrize("stage", ["queued", "held"])
def test_one_too_far_away_for_too_long_loses_its_claim(stage):
    town = hall(2, hold_ticks=60)
    line_up(town, 1, 0)
    if stage == "held":
        town.step({1: "leave"})
    town.run(4, {0: "move_east"})
    assert town.at(0) == (14, 2)  # five tiles from the shower: near enough
    town.run(12)
    assert town.stage(0) == stage
    town.step({0: "move_east"})
    far = town.tick - 1
    town.run(8)
    assert (town.stage(0), town.told) == (stage, ())
    town.step()
    (leave,) = town.heard("queue.leave")
    assert (leave.agent_id, leave.reason, town.tick - 1) == (agent(0), "too_far", far + 9)
    assert town.stage(0) == "none"
    check_claims(town)


def test_coming_near_again_starts_the_count_anew():
    town = hall(2, duration=100, drop_ticks=4)
    line_up(town, 1, 0)
    town.run(5, {0: "move_east"})
    town.run(2)
    town.step({0: "move_west"})
    town.step({0: "move_east"})
    town.run(2)
    assert town.stage(0) == "queued"
    town.step()
    assert town.stage(0) == "none"


def test_a_new_claim_starts_the_count_anew():
    town = hall(2, duration=100, drop_ticks=4)
    line_up(town, 1, 0)
    town.run(7, {0: "move_east"})  # the fifth to seventh too far away
    assert (town.stage(0), int(town.resident(0).drop)) == ("queued", 3)
    town.step({0: "leave"})
    town.place((10, 2), (8, 2))
    town.step({0: IT})
    town.place((16, 2), (8, 2))
    town.run(3)
    assert town.stage(0) == "queued"
    town.step()
    assert town.stage(0) == "none"


def test_the_count_goes_on_when_the_absent_one_is_granted_the_object():
    """Queued or holding: ten ticks in a row are ten ticks in a row."""
    town = hall(2, hold_ticks=60)
    line_up(town, 1, 0)
    town.run(5, {0: "move_east"})
    far = town.tick - 1
    town.run(4)
    town.step({1: "leave"})
    assert town.stage(0) == "held"
    town.run(6)
    assert town.when("queue.leave") == [far + 9]


def test_the_count_goes_on_when_the_absent_one_stalls_the_queue():
    town = hall(3, hold_ticks=60, ghost_step_after=1, age_weight=0.0)
    line_up(town, 2, 0, 1)
    town.run(5, {0: "move_east"})
    far = town.tick - 1
    town.thing("shower_1").eta = 0
    town.step({2: "leave"})
    town.thing("shower_1").eta = 0
    town.step()
    assert (town.stage(0), town.stage(1)) == ("queued", "held")
    town.run(10, {1: IT})
    assert town.when("queue.leave", agent_id=agent(0)) == [far + 9]


def test_a_dropped_holder_hands_the_object_to_the_next_of_the_line():
    town = hall(3, drop_ticks=1, ghost_step_after=0)
    line_up(town, 2, 0, 1)
    town.run(4, {0: "move_east"})
    town.step({2: "leave"})
    town.step({0: "move_east"})
    assert town.kinds() == ["queue.leave", "queue.grant"]
    assert (town.holder("shower_1"), town.queue("shower_1")) == (1, [])


def test_several_far_ones_are_dropped_in_one_tick_and_the_rest_keeps_its_order():
    town = hall(6, duration=100, drop_ticks=1)
    line_up(town, 0, 1, 2, 3, 4, 5)
    town.state.occupant[...] = -1
    town.place((8, 2), (16, 1), (10, 1), (16, 2), (16, 3), (8, 1))
    town.step()
    assert [event.agent_id for event in town.heard("queue.leave")] == [agent(1), agent(3), agent(4)]
    assert town.queue("shower_1") == [2, 5]
    check_claims(town)


def test_the_distance_counts_from_where_a_displaced_ghost_ends_up():
    town = hall(3, drop_distance=1, drop_ticks=1)
    town.place((10, 1), (8, 2), (10, 2))
    line_up(town, 1, 0)
    town.resident(0).blocked = 3
    town.step({0: "move_south"})
    assert (town.at(0), town.stage(0)) == ((10, 2), "queued")
    town.teleport(1, 10, 1)  # takes the nearest tile that is still near the shower
    town.step()
    assert (town.at(0), town.stage(0)) == ((11, 2), "none")
    assert [event.reason for event in town.heard("queue.leave")] == ["too_far"]


def test_a_running_use_is_never_ended_by_those_who_wait():
    town = hall(6, 200, patience_ticks=5)
    line_up(town, 0, 1, 2, 3, 4, 5)
    town.run(193)
    assert (town.holder("shower_1"), town.stage(0)) == (0, "running")
    town.step()
    assert (town.when("affordance.finish"), town.when("queue.grant")) == ([199], [199])
