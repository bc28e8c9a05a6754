"""Who leaves town by the rules, when, and who follows (rules, section 14)."""

import json

import numpy as np
import pytest

from tests.town.invariants import (
    Watch,
    check_claims,
    check_invariants,
    check_lives,
    check_registers,
    lasting,
)
from tests.town.test_invariants import JOBS, ROWS, Chaos, live
from tests.town.towns import Town, affordance, agent, build_model
from tests.town.village import Village
from tests.town.words import NEEDS
from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.events.lifecycle import (
    LifecycleArrive,
    LifecycleExit,
    LifecycleExitPending,
)
from townlet_adapters.worlds.town.seam.arguments import Intervention
from townlet_adapters.worlds.town.seam.batch import TownBatch
from townlet_adapters.worlds.town.seam.world import TownWorld
from townlet_core import seeding
from townlet_core.dto.action import ActionBatch
from townlet_core.dto.snapshot import Snapshot
from townlet_core.jsonvalue import canonical_json

HALL = ["E......", ".hrrWrr", ".rrrrrr", ".rrrrrr"]
SPOTS = [(3, 2), (5, 2), (4, 2), (5, 1)]
IT = "use:it"
LONG = [affordance("it", "shower", 20, charge=[{"price:shower": 1}])]
STILL = {"decay": {"hunger": 0.0, "hygiene": 0.0, "energy": 0.0}}
FIXED = {"hunger": 0.001, "hygiene": 0.0, "energy": 0.0}
DAY = codes.TICKS_PER_DAY


def hall(residents: int = 1, **options: object) -> Town:
    """A hall in which nothing happens by itself: needs stand still unless ``needs`` says otherwise."""
    given = {"needs": STILL, "lifecycle": {}, "population": {"capacity": residents}, **options}
    return Town(HALL, SPOTS[:residents], manifest=LONG, **given)


def told(town: Town, kind: type) -> list[tuple[int, object]]:
    return [(tick, event) for tick, event in town.log if isinstance(event, kind)]


def exits(town: Town) -> list[tuple[int, str, str]]:
    return [(tick, event.agent_id, event.reason) for tick, event in told(town, LifecycleExit)]


def pending(town: Town) -> list[tuple[int, str, str, str]]:
    return [
        (tick, event.agent_id, event.reason, event.cause) for tick, event in told(town, LifecycleExitPending)
    ]


def starve(town: Town, *slots: int) -> None:
    for slot in slots:
        town.resident(slot).need[NEEDS.index("hunger")] = 0.0


# Why residents leave.


def test_of_those_who_only_wait_the_first_collapses_when_the_rules_say_and_at_most_two_on_a_day():
    town = hall(3, needs={"decay": FIXED}, features={"need_multipliers": False}, population={"capacity": 3})
    town.run(DAY)
    assert exits(town) == [(698, agent(0), "collapse"), (818, agent(1), "collapse")]
    assert pending(town)[:3] == [
        (698, agent(1), "collapse", "spacing"),
        (698, agent(2), "collapse", "spacing"),
        (818, agent(2), "collapse", "cap"),
    ]
    town.run(1)
    assert exits(town)[2:] == [(DAY, agent(2), "collapse")]
    ((_, first), *_) = told(town, LifecycleExit)
    assert (first.slot, first.age, first.wallet, first.terminal) == (0, 698, 2000, -5.0)


def test_a_meal_ends_the_ticks_of_collapse():
    town = hall()
    starve(town, 0)
    town.run(29)
    town.set_need(0, "hunger", 0.5)
    town.step()
    starve(town, 0)
    town.run(29)
    assert exits(town) == []
    town.run(1)
    assert exits(town) == [(59, agent(0), "collapse")]


def test_a_town_without_the_need_knows_no_collapse():
    model = TownModel.build({"vocabulary": {"extend": "town", "remove": {"needs": ["hunger"]}}})
    assert int(model.tables.params[0].hunger) == -1


@pytest.mark.parametrize("need", NEEDS)
def test_neglect_is_six_hours_of_a_day_with_any_need_unmet(need):
    town = hall(lifecycle={"collapse": False})
    town.resident(0).need[NEEDS.index(need)] = 0.1
    town.run(359)
    assert (exits(town), int(town.resident(0).low_ticks_today)) == ([], 359)
    town.run(1)
    assert exits(town) == [(359, agent(0), "neglect")]


def test_the_ticks_of_neglect_are_those_of_a_day():
    town = hall(lifecycle={"collapse": False})
    town.set_time(DAY - 200)
    town.resident(0).need[1] = 0.05
    town.run(200 + 359)
    assert exits(town) == []
    town.run(1)
    assert exits(town) == [(DAY + 359, agent(0), "neglect")]


def indebted() -> Town:
    town = hall(population={"start_wallet": 0, "capacity": 1})
    town.resident(0).rent_owed = 1
    town.set_time(DAY - 1)
    town.run(1)
    assert (int(town.resident(0).rent_owed), int(town.resident(0).owed_since)) == (2, DAY - 1)
    return town


def earn(town: Town, mills: int) -> None:
    town.resident(0).wallet += mills
    town.state.towns[0].treasury -= mills


def test_who_owes_two_days_of_rent_has_a_day_of_grace():
    town = indebted()
    town.run(DAY - 1)
    assert exits(town) == []
    town.run(1)
    assert exits(town) == [(2 * DAY - 1, agent(0), "eviction")]


@pytest.mark.parametrize(
    ("mills", "left"), [(2 * 1300, []), (2 * 1300 - 1, [(2 * DAY - 1, agent(0), "eviction")])]
)
def test_only_who_pays_until_one_day_is_owed_stays_whatever_the_wallet_held(mills, left):
    town = indebted()
    earn(town, mills)
    town.run(DAY)
    assert exits(town) == left
    if not left:
        assert (int(town.resident(0).rent_owed), int(town.resident(0).owed_since)) == (1, codes.NOBODY)


def jobless(**options: object) -> Village:
    town = Village(needs=STILL, **options)
    for slot in range(3):
        town.resident(slot).job = codes.NOBODY
        town.resident(slot).jobless_since = 5000
    town.state.job_holders[0] = 0
    return town


def test_who_finds_no_work_for_two_days_leaves_when_there_is_some():
    town = jobless(lifecycle={"move_spacing": 0, "exit_spacing": 0, "daily_exit_cap": 1})
    town.jump(5000 + 2879).run(1)
    assert exits(town) == []
    town.run(1)
    assert exits(town) == [(5000 + 2880, agent(0), "unemployment")]
    full = jobless(lifecycle={})
    full.state.job_holders[0] = full.model.tables.jobs["capacity"]
    full.jump(5000 + 2880).run(2)
    assert exits(full) == []


def test_who_loses_a_job_is_jobless_from_then_on():
    town = Village(employment={"max_absent_shifts": 1, "review_ticks": 1}, lifecycle={}).jump(360)
    town.run(60)
    losses = [tick for tick, event in town.log if event.kind == "employment.job_loss"]
    assert [int(town.resident(slot).jobless_since) for slot in (0, 2)] == losses[:2]


def test_residents_move_away_by_day_after_a_stay_of_some_months():
    model = build_model(HALL, 1, lifecycle={"stay_least": 60, "stay_most": 61, "founders_stay_least": 2})
    batch = TownBatch(model, 400)
    batch.reset(3)
    moves = batch.state.residents["moves"][:, 0]
    assert set(np.unique(moves // DAY).tolist()) == set(range(2, 62))
    assert (moves % DAY).min() >= 540
    assert (moves % DAY).max() <= 1139
    batch.intervene(*(Intervention(b, codes.SPAWN, 0) for b in range(400)))
    batch.step(np.zeros((400, model.spec.capacity), int))
    assert set((batch.state.residents["moves"][:, 1] // DAY).tolist()) == {60, 61}


def test_the_end_of_a_stay_is_no_failure_and_others_wait_for_their_turn():
    town = hall(2, lifecycle={"move_spacing": 300, "exit_spacing": 10})
    town.resident(0).moves = town.resident(1).moves = 7
    town.run(8)
    assert exits(town) == [(7, agent(0), "age_out")]
    assert told(town, LifecycleExit)[0][1].terminal == 0.0
    assert town.engine.arrays.truncated[0].tolist() == [1, 0]
    assert pending(town) == [(7, agent(1), "age_out", "spacing")]
    town.run(300)
    assert exits(town)[1:] == [(307, agent(1), "age_out")]


def test_the_first_reason_of_the_table_counts():
    town = hall(lifecycle={})
    starve(town, 0)
    town.resident(0).moves = 0
    town.resident(0).collapse_ticks = 29
    town.resident(0).low_ticks_today = 400
    town.run(1)
    assert exits(town) == [(0, agent(0), "collapse")]


@pytest.mark.parametrize("reason", codes.EXITS[: codes.EXIT_KILLED])
def test_each_reason_can_be_switched_off(reason):
    def due(**options: object) -> Town:
        town = jobless(lifecycle={"daily_exit_cap": 0, "exit_spacing": 0, "move_spacing": 0, **options})
        town.jump(10_000)
        resident = town.resident(0)
        for slot in (1, 2):
            town.resident(slot).jobless_since = 10_000
        resident.jobless_since = 10_000
        match reason:
            case "collapse":
                starve(town, 0)
                resident.collapse_ticks = 29
            case "neglect":
                resident.low_ticks_today = 360
            case "eviction":
                resident.rent_owed, resident.owed_since = 2, 10_000 - 1440
            case "unemployment":
                resident.jobless_since = 0
            case _:
                resident.moves = 10_000
        town.run(1)
        return town

    assert exits(due()) == [(10_000, agent(0), reason)]
    assert exits(due(**{reason: False})) == []
    assert exits(due(training_mode=True)) == []


# What keeps them.


def test_what_is_off_suppresses_exits_until_an_hour_after():
    town = hall(lifecycle={})
    starve(town, 0)
    town.switch("power", on=False)
    town.run(40)
    assert pending(town) == [(29, agent(0), "collapse", "suppressed")]
    assert town.world.frame().agents[agent(0)]["leaving"] == "collapse"
    town.switch("power", on=True)
    town.run(60)
    assert exits(town) == []
    town.run(1)
    assert exits(town) == [(100, agent(0), "collapse")]


@pytest.mark.parametrize(
    ("reason", "off", "kept"),
    [
        ("collapse", "water", False), ("collapse", "price", False), ("neglect", "water", True),
        ("neglect", "price", False), ("eviction", "price", True), ("eviction", "discount", False),
        ("eviction", "power", True), ("age_out", "power", False), ("age_out", "price", False),
    ],
)  # fmt: skip
def test_what_suppresses_an_exit_depends_on_its_reason(reason, off, kept):
    town = hall(lifecycle={"move_spacing": 0})
    resident = town.resident(0)
    match reason:
        case "collapse":
            starve(town, 0)
            resident.collapse_ticks = 40
        case "neglect":
            resident.low_ticks_today = 400
        case "eviction":
            town.set_time(5000)
            resident.rent_owed, resident.owed_since = 2, 0
        case _:
            resident.moves = 0
    if off in codes.UTILITIES:
        town.switch(off, on=False)
    else:
        town.scale(town.model.price_keys[0], 1500 if off == "price" else 500)
    town.run(1)
    assert bool(exits(town)) is not kept
    assert [event.cause for _, event in told(town, LifecycleExitPending)] == ["suppressed"] * kept


def test_who_is_suppressed_holds_up_nobody_else():
    town = hall(2, lifecycle={"move_spacing": 0})
    starve(town, 0)
    town.resident(0).collapse_ticks, town.resident(1).moves = 40, 3
    town.switch("power", on=False)
    town.run(4)
    assert exits(town) == [(3, agent(1), "age_out")]


def test_those_who_are_due_leave_in_turn_a_day_apart_under_a_cap_of_one():
    town = hall(4, lifecycle={"daily_exit_cap": 1, "exit_spacing": 0}, population={"capacity": 4})
    for slot, tick in ((3, 10), (0, 11), (2, 12)):
        town.resident(slot).moves = tick
    town.run(2 * DAY + 1)
    assert [each[1] for each in exits(town)] == [agent(3)]  # moves are a week apart
    quick = hall(4, lifecycle={"daily_exit_cap": 1, "exit_spacing": 0, "move_spacing": 0})
    for slot, tick in ((3, 10), (0, 11), (2, 12)):
        quick.resident(slot).moves = tick
    quick.run(2 * DAY + 1)
    assert exits(quick) == [
        (10, agent(3), "age_out"), (DAY, agent(0), "age_out"), (2 * DAY, agent(2), "age_out"),
    ]  # fmt: skip
    assert pending(quick) == [(11, agent(0), "age_out", "cap"), (12, agent(2), "age_out", "cap")]


def test_who_is_not_due_any_more_loses_its_turn():
    town = hall(2, lifecycle={"exit_spacing": 50})
    starve(town, 0, 1)
    town.run(30)
    assert exits(town) == [(29, agent(0), "collapse")]
    town.set_need(1, "hunger", 1.0)
    town.run(60)
    assert (exits(town)[1:], int(town.resident(1).due)) == ([], 0)
    assert "leaving" not in town.world.frame().agents[agent(1)]
    starve(town, 1)
    town.run(30)
    assert exits(town)[1:] == [(119, agent(1), "collapse")]


# How they leave.


def test_the_last_observation_is_shown_once_and_nobody_is_asked_about_it():
    town = hall(2, lifecycle={}, population={"capacity": 2})
    starve(town, 0)
    town.resident(0).collapse_ticks = 29
    town.step({0: IT})
    arrays, observation = town.engine.arrays, town.world._observation()
    assert (arrays.terminated[0].tolist(), arrays.truncated[0].tolist()) == ([1, 0], [0, 0])
    assert (arrays.alive[0].tolist(), arrays.serial[0].tolist()) == ([0, 1], [0, 1])
    features = dict(zip(town.model.spec.feature_names, arrays.features[0, 0].tolist(), strict=True))
    assert features["need_hygiene"] == pytest.approx(0.7)
    assert (features["need_hunger"], features["holds"], features["near_agents"] > 0) == (0.0, 0.0, True)
    assert arrays.map[0, 0].any()
    assert arrays.mask[0, 0].tolist() == [1] + [0] * (arrays.mask.shape[2] - 1)
    assert observation.agent_ids == ("", agent(1))
    assert not arrays.features[0, 1, town.model.spec.feature_names.index("near_agents")]
    town.step()
    assert not any(array[0, 0].any() for name, array in arrays._asdict().items() if name != "mask")


def test_a_use_and_a_hold_of_who_leaves_end_in_that_tick():
    town = hall(3, lifecycle={}, population={"capacity": 3})
    town.step({0: IT})
    town.step({1: IT})
    town.step({2: IT})
    starve(town, 0, 1)
    town.resident(0).collapse_ticks = 29
    town.step()
    failed, granted, left = [event for event in town.told if event.kind != "queue.conflict"]
    assert (failed.kind, failed.reason, failed.refunded) == ("affordance.fail", "agent_exit", 200)
    assert (granted.kind, granted.agent_id) == ("queue.grant", agent(1))
    assert (left.kind, left.wallet) == ("lifecycle.exit", 2000)
    check_claims(town.model, town.state)


def test_who_is_killed_waits_and_neither_counts_nor_waits_for_its_turn():
    town = hall(3, lifecycle={"exit_spacing": 500}, population={"capacity": 3})
    starve(town, 2)
    town.resident(2).collapse_ticks = 28
    town.remove(0)
    town.step({0: "move_south"})
    town.remove(1)
    town.step({1: IT})
    assert exits(town) == [(0, agent(0), "killed"), (1, agent(1), "killed"), (1, agent(2), "collapse")]
    assert town.engine.arrays.truncated[0].tolist() == [0, 1, 0]
    assert int(town.state.districts[0, 0].exits_today) == 1
    assert int(town.state.towns[0].arrivals) == 1


def test_nothing_can_be_done_to_who_leaves_in_this_tick():
    town = hall(2, population={"capacity": 2})
    town.remove(0)
    for what in (codes.TELEPORT, codes.SET_NEED, codes.INTERRUPT, codes.REMOVE, codes.REVIEW):
        town.engine.intervene(Intervention(0, what, 0, 1))
    town.step()
    assert town.engine.answers.tolist() == [codes.EXECUTED] + [codes.GONE] * 5
    assert exits(town) == [(0, agent(0), "killed")]


# Who follows.


def delay(town: Town, tick: int, serial: int) -> int:
    return seeding.integer(5, 20, town.seed, seeding.stream_key("lifecycle"), tick, serial, 2)


def test_a_newcomer_follows_at_the_entry_with_all_that_a_newborn_has():
    town = hall(2, lifecycle={"move_spacing": 0}, needs={}, population={"capacity": 2, "start_spread": 0.25})
    town.resident(1).moves = 4
    town.run(40)
    ((tick, came),) = told(town, LifecycleArrive)
    assert tick == 4 + delay(town, 4, 1)
    assert (came.agent_id, came.slot, came.position, came.wallet) == (agent(2), 1, (0, 0), 2000)
    assert (came.reason, came.district, came.job_id) == ("replacement", 0, None)
    newcomer = town.resident(1)
    assert (int(newcomer.home), int(newcomer.birth), int(newcomer.embedding), int(newcomer.ties)) == (
        0, tick, 2, 0,
    )  # fmt: skip
    drawn = seeding.unit(town.seed, seeding.stream_key("lifecycle"), tick, 2, 16)
    assert town.need(1, "hunger") == pytest.approx(0.7 + (2 * drawn - 1) * 0.25, abs=0.04)
    assert (town.summary.alive, town.engine.arrays.terminated.any()) == (2, False)


def test_half_of_those_who_follow_come_with_a_job():
    model = build_model(ROWS, 8, jobs=JOBS, lifecycle={}, population={"capacity": 8})
    batch = TownBatch(model, 60, journal=True)
    batch.reset(5)
    batch.intervene(*(Intervention(b, codes.REMOVE, 3, 1) for b in range(60)))
    for _ in range(22):
        batch.step(np.zeros((60, 8), int))
    jobs = batch.state.residents["job"][:, 3]
    assert batch.state.residents["serial"][:, 3].tolist() == [8] * 60
    assert 15 < (jobs >= 0).sum() < 45


def test_after_an_exit_for_lack_of_work_only_who_has_some_comes():
    model = build_model(ROWS, 8, jobs=JOBS, needs=STILL, lifecycle={}, population={"capacity": 8})
    batch = TownBatch(model, 20, journal=True)
    batch.reset(5)
    batch.state.residents["job"][:, 3] = codes.NOBODY
    batch.state.residents["jobless_since"][:, 3] = -2880
    batch.state.job_holders[:] = 0
    for job in range(len(JOBS)):
        batch.state.job_holders[:, job] = (batch.state.residents["job"] == job).sum(1)
    for _ in range(22):
        batch.step(np.zeros((20, 8), int))
    assert batch.state.residents["serial"][:, 3].tolist() == [8] * 20
    assert (batch.state.residents["job"][:, 3] >= 0).all()


def test_no_rent_falls_due_for_the_day_within_which_a_resident_came():
    town = hall(population={"capacity": 2})
    town.set_time(DAY - 3)
    town.spawn()
    town.run(3)
    assert [event.agent_id for event in town.heard("economy.rent")] == [agent(0)]
    town.set_time(2 * DAY - 1)
    town.step()
    assert [event.agent_id for event in town.heard("economy.rent")] == [agent(0), agent(1)]


def test_three_who_come_in_a_row_stand_at_the_entry_and_live_where_fewest_do():
    town = Town(
        ["E....", ".hhhr", ".rrrr"], [(1, 2), (2, 2), (3, 2)], needs=STILL, population={"capacity": 3}
    )
    for slot in range(3):
        town.remove(slot, replace=True)
    town.run(25)
    came = told(town, LifecycleArrive)
    assert [event.slot for _, event in came] == [0, 1, 2]
    assert [tick for tick, _ in came] == sorted(delay(town, 0, serial) for serial in range(3))
    assert {event.position for _, event in came} == {(0, 0), (1, 0), (0, 1)}
    assert sorted(int(town.resident(slot).home) for slot in range(3)) == [0, 1, 2]
    check_registers(town.state)


def test_whoever_finds_no_slot_waits_for_one_and_takes_it_in_the_next_tick():
    town = hall(2, population={"capacity": 2})
    town.remove(0, replace=True)
    town.step()
    town.spawn()
    town.run(30)
    assert int(town.state.towns[0].arrivals) == 1
    assert len(told(town, LifecycleArrive)) == 1
    town.remove(1)
    town.step()
    assert len(told(town, LifecycleArrive)) == 1
    town.step()
    (_, (tick, came)) = told(town, LifecycleArrive)
    assert (tick, came.slot, int(town.resident(1).serial)) == (32, 1, 3)
    assert not town.engine.arrays.truncated.any()
    assert town.engine.arrays.serial[0].tolist() == [2, 3]
    check_registers(town.state)


def test_no_more_set_out_than_can_ever_live_in_town():
    town = hall(2, population={"capacity": 2})
    for _ in range(3):
        for slot in range(2):
            town.remove(slot, replace=True)
        town.step()
        town.spawn()
        town.spawn()
        town.step()
    assert int(town.state.towns[0].arrivals) == 2
    check_lives(town.model, town.state)


# All of it together.


@pytest.fixture(scope="module")
def frail() -> TownModel:
    """A crowd that starves within two hours, of which any number may leave at any time."""
    return build_model(
        ROWS,
        12,
        jobs=JOBS,
        population={"capacity": 13, "start_need": 0.1},
        embeddings={"max_slots": 20},
        lifecycle={"exit_spacing": 4, "daily_exit_cap": 40, "move_spacing": 30},
    )


def test_a_whole_town_may_leave_in_one_tick_and_as_many_follow():
    model = build_model(
        ROWS, 12, jobs=JOBS, needs=STILL, population={"capacity": 12, "start_need": 0.0},
        lifecycle={"exit_spacing": 0, "daily_exit_cap": 0},
    )  # fmt: skip
    batch = TownBatch(model, 2, journal=True)
    batch.reset(1)
    nothing = np.zeros((2, 12), int)
    for tick in range(60):
        batch.step(nothing)
        check_invariants(batch)
        population, coming = batch.state.towns["population"], batch.state.towns["arrivals"]
        assert (population + coming == 12).all()
        if tick == 29:
            assert (population == 0).all()
            assert batch.arrays.terminated.all()
    assert (population == 12).all()
    assert (batch.state.towns["next_serial"] == 24).all()


def test_living_and_coming_stay_as_many_and_exits_keep_their_distance(frail):
    batch = TownBatch(frail, 3, journal=True)
    batch.reset(4)
    last = np.full(3, -(10**6))
    watch, chaos = Watch(batch), Chaos(batch, 4, legal=1.0, aimed=0.0, fate=0.0)
    for tick in range(700):
        actions, targets = chaos.intents()
        watch.before()
        batch.step(actions, targets)
        watch.after(actions, needs_set=False)
        check_invariants(batch)
        assert (batch.state.towns["population"] + batch.state.towns["arrivals"] == 12).all()
        left = batch.arrays.terminated.sum(1)
        assert (left <= 1).all()
        assert (tick - last[left == 1] >= 4).all()
        last[left == 1] = tick
    assert (batch.state.towns["next_serial"] > 20).all()


@pytest.mark.parametrize("seed", range(3))
def test_whatever_fate_does_to_a_town_that_people_leave_the_rules_hold(frail, seed):
    batch = TownBatch(frail, 2, journal=True)
    batch.reset(seed)
    live(batch, Chaos(batch, seed, legal=0.9, aimed=0.2, fate=0.2, wild=0.6), 400)


def test_a_town_of_a_batch_loses_and_gains_residents_as_it_would_alone(frail):
    batch = TownBatch(frail, 3)
    batch.reset(20)
    singles = [TownBatch(frail, 1) for _ in range(3)]
    for b, single in enumerate(singles):
        single.reset(20 + b)
    chaos = Chaos(batch, 1, legal=0.9, aimed=0.2, fate=0.0)
    for _ in range(300):
        actions, targets = chaos.intents()
        batch.step(actions, targets)
        for b, single in enumerate(singles):
            single.step(actions[b : b + 1], targets[b : b + 1])
            for name, whole, own in zip(batch.arrays._fields, batch.arrays, single.arrays, strict=True):
                assert whole[b].tobytes() == own[0].tobytes(), name
    for b, single in enumerate(singles):
        for name, whole, own in zip(batch.state._fields, batch.state, single.state, strict=True):
            assert whole[b].tobytes() == own[0].tobytes(), name
    assert (batch.state.towns["next_serial"] > 15).all()


def test_a_town_that_is_saved_at_any_tick_goes_on_exactly(frail):
    world, heir = TownWorld(frail), TownWorld(frail)
    world.reset(9)
    waits = ActionBatch(np.zeros(13, np.int16).data, np.full(13, -1, np.int32).data)
    for tick in range(160):
        outcome = world.step(waits)
        if tick % 3 == 0:
            saved = world.snapshot()
            parts = json.loads(canonical_json(saved.parts))
            heir.restore(Snapshot(saved.tick, dict(saved.identity), parts, saved.schema_version))
            assert lasting(heir.engine) == lasting(world.engine)
        else:
            assert heir.step(waits).events == outcome.events
    assert int(world.engine.state.towns[0].next_serial) > 15
