"""How a slot is freed and used again: nothing of its resident stays (rules, sections 0, 5, 9.4, 14)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.town.invariants import check_claims, check_invariants, check_registers, lasting
from tests.town.test_invariants import JOBS, ROWS
from tests.town.towns import Town, affordance, agent, build_model
from tests.town.village import BESIDE, HOMES, STREET, Village
from townlet_adapters.policies.scripted.options import ScriptedOptions
from townlet_adapters.policies.scripted.policy import ScriptedPolicy
from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.events.lifecycle import LifecycleArrive, LifecycleExit
from townlet_adapters.worlds.town.observers.kpis import KpiObserver
from townlet_adapters.worlds.town.seam.arguments import Intervention
from townlet_adapters.worlds.town.seam.world import TownWorld
from townlet_core.dto.action import ActionBatch
from townlet_core.dto.command import Command

HALL = ["E......", ".hrrWrr", ".rrrrrr", ".rrrrrr"]
IT = "use:it"
LONG = [affordance("it", "shower", 20, charge=[{"price:shower": 1}])]


def hall(*tiles: tuple[int, int], **options: object) -> Town:
    return Town(HALL, tiles, manifest=LONG, **options)


def rows_of(world: TownWorld, slot: int) -> dict[str, bytes]:
    """Everything that a world keeps or shows about a slot."""
    engine, spec = world.engine, world.spec
    rows = {
        name: getattr(engine.state, name)[0, slot].tobytes()
        for name in ("residents", "cooldowns", "outcomes")
    }
    rows |= {f"arrays.{name}": array[0, slot].tobytes() for name, array in engine.arrays._asdict().items()}
    observation = world._observation()
    shown = {
        each.name: np.asarray(observation.view.columns[each.name])
        for each in spec.view
        if "slots" in each.axes
    }
    rows |= {f"view.{name}": column[slot].tobytes() for name, column in shown.items()}
    return {**rows, "agent_id": observation.agent_ids[slot].encode()}


# One that leaves.


def test_whoever_is_removed_ends_its_use_leaves_its_money_and_is_told_of():
    town = hall((3, 2), (5, 2))
    town.step({0: IT})
    town.step({1: IT})
    town.remove(0)
    town.step()
    failed, granted, left = town.told
    assert (failed.kind, failed.agent_id, failed.reason, failed.progress, failed.refunded) == (
        "affordance.fail", agent(0), "agent_exit", 3, 200,
    )  # fmt: skip
    assert (granted.kind, granted.agent_id) == ("queue.grant", agent(1))
    assert left == LifecycleExit(agent(0), 0, "killed", 2, 2000, 0.0)
    assert (town.holder("shower_1"), town.queue("shower_1")) == (1, [])
    assert (town.wallet(0), int(town.state.towns[0].treasury), town.money()) == (0, -2000, 0)
    assert int(town.state.flows[0, codes.FLOW_ESTATE]) == 2000
    assert int(town.state.towns[0].population) == 1


def test_the_estate_stands_in_the_books_of_its_day_only():
    town = hall((3, 2), (5, 2))
    town.set_time(1438)
    town.remove(0)
    town.run(2)
    (told,) = town.heard("economy.day")
    assert told.flows["estate"] == 2000
    town.step()
    town.set_time(2879)
    town.step()
    (told,) = town.heard("economy.day")
    assert "estate" not in told.flows


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_queue_closes_up_behind_whoever_leaves_it(place):
    town = hall((3, 2), (5, 2), (4, 2), (5, 1))
    for slot in range(4):
        town.step({slot: IT})
    assert town.queue("shower_1") == [1, 2, 3]
    gone = town.queue("shower_1")[place]
    town.remove(gone)
    town.step()
    (left,) = town.heard("queue.leave")
    assert (left.agent_id, left.reason) == (agent(gone), "agent_exit")
    assert town.queue("shower_1") == [slot for slot in (1, 2, 3) if slot != gone]
    check_claims(town.model, town.state)
    check_registers(town.state)


def test_of_two_on_a_tile_the_other_stays_alone():
    for gone, other in ((0, 1), (1, 0)):
        town = Village().stand(0, STREET[0]).stand(1, STREET[1])
        town.resident(0).blocked = 99
        town.step({0: "move_south"})
        assert town.resident(0).mate == 1
        town.remove(gone)
        town.step()
        stays = town.resident(other)
        # The ghost made room while the one who left was still there.
        assert (int(stays.mate), bool(stays.ghost), town.at(other)) == (-1, False, STREET[other])
        check_invariants(town.engine)


def test_job_and_review_of_whoever_leaves_are_free():
    town = Village(employment={"max_absent_shifts": 1}).jump(360)
    town.run(60)
    assert int(town.state.districts[0, 0].reviews) == 2
    assert town.state.job_holders[0].tolist() == [2, 1]
    town.remove(0)
    town.step()
    assert int(town.state.districts[0, 0].reviews) == 1
    assert town.state.job_holders[0].tolist() == [1, 1]
    check_invariants(town.engine)


def test_a_freed_slot_is_like_one_that_was_never_used():
    town = Village(population={"capacity": 5}).stand(0, BESIDE["shower_1"]).stand(1, (5, 3))
    world, blank = town.world, rows_of(town.world, 4)
    town.step({0: "use:use_shower"})
    town.step({1: "use:use_shower", 0: "leave"})
    town.run(31)
    town.step({0: "use:use_shower"})
    busy = rows_of(world, 1)
    assert sum(busy[name] != blank[name] for name in busy) > 15
    assert all(busy[f"view.{name}"] != blank[f"view.{name}"] for name in ("xy", "needs", "cooldowns", "job"))
    town.remove(1)
    town.step()
    last, unused = rows_of(world, 1), rows_of(world, 4)
    shown, rewards = {name for name in last if last[name] != blank[name]}, ("reward", "reward_parts")
    assert shown == {f"arrays.{name}" for name in ("map", "features", "truncated", "serial", *rewards)}
    town.step()
    assert rows_of(world, 1) == rows_of(world, 4) == unused == blank
    assert not np.asarray(world._observation().view.columns["occupants"])[3, 5]
    assert world._observation().agent_ids == (agent(0), "", agent(2), "", "")


# One that comes.


def test_whoever_comes_takes_the_lowest_slot_and_a_new_serial_and_waits_for_a_tick():
    town = Village(population={"capacity": 5})
    town.run(2)
    town.remove(1)
    town.step()
    town.spawn(2)
    town.step({1: "move_north"})
    (told,) = town.heard("lifecycle.arrive")
    assert isinstance(told, LifecycleArrive)
    assert (told.agent_id, told.slot, told.reason, told.job_id, told.wallet) == (
        agent(3),
        1,
        "console",
        None,
        2000,
    )
    r = town.resident(1)
    assert (int(r.serial), int(r.birth), int(r.embedding), int(r.job)) == (3, 3, 3, -1)
    assert bool(r.ctx_reset)
    assert (town.result(1), int(r.last_action)) == ("ok", codes.WAIT)
    assert (
        abs(town.at(1)[0] - HOMES[2][0]) + abs(town.at(1)[1] - HOMES[2][1]) == 1
    )  # resident 2 stands at home
    assert town.world._observation().agent_ids == (agent(0), agent(3), agent(2), "", "")
    town.step({1: "move_south"})
    assert town.result(1) != "invalid"


def test_nobody_comes_without_a_slot_or_a_tile():
    full = hall((3, 2), population={"capacity": 1})
    full.spawn()
    full.step()
    assert full.engine.answers.tolist() == [codes.NO_SLOT]
    crowded = Town(["Ehr"], [(0, 0), (1, 0), (2, 0)], population={"capacity": 4})
    crowded.spawn()
    crowded.step()
    assert (crowded.engine.answers.tolist(), crowded.told) == ([codes.BLOCKED_TILE], ())
    assert int(crowded.state.towns[0].next_serial) == 3


def test_a_command_for_one_who_left_does_not_reach_the_next_in_its_slot():
    town = hall((3, 2), (5, 2), population={"capacity": 2})
    town.remove(0)
    town.action[:] = codes.WAIT
    outcome = town.world.step(
        ActionBatch(town.action.data, town.target.data),
        [
            Command("set_need", {"agent_id": agent(0), "needs": {"hunger": 0.1}}, "1", "ada"),
            Command("teleport", {"agent_id": agent(1), "position": [0, 3]}, "2", "ada"),
        ],
    )
    gone, moved = outcome.command_results
    assert (gone.error.code, gone.error.details, moved.status) == ("not_found", {}, "ok")
    town.spawn()
    town.step()
    assert int(town.resident(0).serial) == 2
    assert town.need(0, "hunger") == pytest.approx(0.7, abs=0.01)


def test_names_of_those_who_left_are_free_again():
    town = Town(["E" + 29 * ".", *[8 * "r" + "h" + 21 * "r"] * 5], population={"target": 64, "capacity": 65})
    first = {int(name) for name in town.state.residents["name"][0, :64]}
    assert first == set(range(64))
    name = int(town.resident(10).name)
    town.remove(10)
    town.step()
    town.spawn()
    town.spawn()
    town.step()
    assert (int(town.resident(10).name), int(town.resident(10).name_round)) == (name, 0)
    assert int(town.resident(64).name_round) == 1
    check_registers(town.state)


# Embedding slots.


def test_embedding_slots_are_given_in_order_then_by_the_longest_rest():
    town = hall((3, 2), (5, 2), population={"capacity": 3}, embeddings={"max_slots": 4, "cooldown_ticks": 10})

    def replace(slot: int) -> int:
        town.remove(slot)
        town.step()
        town.spawn()
        town.step()
        return int(town.resident(slot).embedding)

    assert [int(town.resident(slot).embedding) for slot in (0, 1)] == [0, 1]
    assert [replace(1), replace(0)] == [2, 3]
    assert int(town.state.towns[0].forced_reuses) == 0
    assert replace(1) == 1  # released first, two ticks before 0
    assert int(town.state.towns[0].forced_reuses) == 1
    town.run(12)
    assert replace(0) == 0
    assert int(town.state.towns[0].forced_reuses) == 1
    check_registers(town.state)


@pytest.mark.parametrize(("rest", "forced"), [(9, 1), (10, 0)])
def test_an_embedding_slot_rests_for_exactly_its_cool_down(rest, forced):
    town = hall((3, 2), population={"capacity": 2}, embeddings={"max_slots": 2, "cooldown_ticks": 10})
    town.spawn()
    town.step()
    town.remove(0)
    town.run(rest)
    town.spawn()
    town.step()
    assert (int(town.resident(0).embedding), int(town.state.towns[0].forced_reuses)) == (0, forced)
    figures = town.summary.figures
    assert (figures["embedding_forced_reuses"], figures["embedding_allocations"]) == (forced, 3)


# Whoever comes and goes.


@pytest.fixture(scope="module")
def crowd() -> TownModel:
    return build_model(ROWS, 8, jobs=JOBS, population={"capacity": 12}, embeddings={"max_slots": 14})


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32), ticks=st.integers(1, 80), pace=st.sampled_from((0.1, 0.5)))
def test_whoever_comes_and_goes_nothing_of_it_stays(crowd, seed, ticks, pace):
    """After every tick, a world that is restored from the state alone is and shows the same."""
    world, heir = TownWorld(crowd), TownWorld(crowd)
    world.reset(seed)
    random = np.random.default_rng(seed)
    slots, homes = crowd.spec.capacity, len(crowd.tables.homes)
    for _ in range(ticks):
        for slot in np.flatnonzero(random.random(slots) < pace / 3).tolist():
            world.engine.intervene(Intervention(0, codes.REMOVE, slot))
        if random.random() < pace:
            world.engine.intervene(
                *(
                    Intervention(0, codes.SPAWN, int(random.integers(homes)))
                    for _ in range(random.integers(1, 4))
                )
            )
        legal = world.engine.arrays.mask[0] * random.random(world.engine.arrays.mask[0].shape)
        actions = np.where(random.random(slots) < 0.9, legal.argmax(1), random.integers(0, 15, slots))
        world.step(ActionBatch(actions.astype(np.int16).data, np.full(slots, -1, np.int32).data))
        check_invariants(world.engine)
        heir.restore(world.snapshot())
        mine, theirs = world.engine.state, heir.engine.state
        for name, array, other in zip(mine._fields, mine, theirs, strict=True):
            assert array.tobytes() == other.tobytes(), name
        assert lasting(world.engine) == lasting(heir.engine)
        mine, theirs = world._observation(), heir._observation()
        assert mine.agent_ids == theirs.agent_ids
        for name, column in mine.view.columns.items():
            assert column.tobytes() == theirs.view.columns[name].tobytes(), name


def test_the_summary_of_a_tick_counts_who_arrives_and_who_leaves():
    town = hall((3, 2), (5, 2))

    def seen() -> tuple[int, int, int]:
        town.step()
        return town.summary.arrivals, town.summary.exits, town.summary.alive

    assert seen() == (0, 0, 2)
    town.remove(0)
    assert seen() == (0, 1, 1)
    town.remove(1)
    town.spawn()
    assert seen() == (1, 1, 1)
    assert seen() == (0, 0, 1)


def test_scripted_residents_live_on_while_others_come_and_go():
    world, policy, kpis = (
        TownWorld(TownModel.build({"town": "hamlet_24"})),
        ScriptedPolicy(ScriptedOptions()),
        KpiObserver(),
    )
    policy.begin(world.spec, 3)
    kpis.begin(world.spec)
    observation = world.reset(3)
    left = []
    for tick in range(2 * codes.TICKS_PER_DAY):
        if tick % 97 == 50:
            world.engine.intervene(Intervention(0, codes.REMOVE, tick % 3, 1))
        outcome = world.step(policy.decide(observation).actions)
        kpis.observe(outcome, tick)
        observation = outcome.observation
        left += [event.agent_id for event in outcome.events if isinstance(event, LifecycleExit)]
        assert outcome.summary.alive + int(world.engine.state.towns[0].arrivals) == 3
        assert "invalid" not in outcome.summary.failures
    check_invariants(world.engine)
    assert len(left) == len(set(left)) > 25
    exported = str(kpis.export_state())
    assert not any(gone in exported for gone in left)
    assert kpis.kpis()["meals_eaten"] > 0


def test_a_shift_of_whoever_left_is_forgotten():
    town, kpis = Village().jump(360), KpiObserver()
    kpis.begin(town.world.spec)
    town.action[:] = codes.WAIT

    def step() -> str:
        kpis.observe(town.world.step(ActionBatch(town.action.data, town.target.data)), town.tick - 1)
        return str(kpis.export_state())

    for _ in range(20):
        late = step()
    assert agent(0) in late
    town.remove(0)
    assert agent(0) not in step()
