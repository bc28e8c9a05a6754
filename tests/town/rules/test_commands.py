"""What the town obeys (rules, section 19): teleport and set_need, their results, and their codes."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.town.towns import Town, affordance, agent, build_model
from tests.town.village import Village
from townlet_adapters.policies.scripted.options import ScriptedOptions
from townlet_adapters.policies.scripted.policy import ScriptedPolicy
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.inputs.texts import TownOptions
from townlet_adapters.worlds.town.seam.world import TownWorld
from townlet_core.command_handlers import CommandHandlers
from townlet_core.dispatch import EventDispatcher, SinkRoute
from townlet_core.dto.action import ActionBatch
from townlet_core.dto.command import Command, CommandSpec
from townlet_core.dto.command_hook import CommandDone, OfferedCommand
from townlet_core.dto.snapshot import Snapshot
from townlet_core.events.base import Fact
from townlet_core.jsonvalue import canonical_json
from townlet_core.loop import RunIdentity, SimulationLoop
from townlet_core.plugged import Plugged
from townlet_core.testing import CollectingSink

ROWS = [
    "E.....#",
    ".hrrrr.",
    ".rrWrr~",
    ".rrrrr.",
]
LONG = [affordance("it", "shower", 20)]


def town_of(*tiles: tuple[int, int], **options: object) -> Town:
    return Town(ROWS, tiles, manifest=LONG, **options)


def give(town: Town, *commands: Command):
    """Execute a tick in which nobody wants anything but the one who commands."""
    town.action[:] = 0
    outcome = town.world.step(ActionBatch(town.action.data, town.target.data), commands)
    return outcome.command_results


def teleport(slot: int, x: int, y: int, cmd_id: str = "1") -> Command:
    return Command("teleport", {"agent_id": agent(slot), "position": [x, y]}, cmd_id, "ada")


def set_need(slot: int, **needs: float) -> Command:
    return Command("set_need", {"agent_id": agent(slot), "needs": needs}, "2", "ada")


def test_commands_are_answered_in_order_and_do_what_interventions_do():
    town = town_of((1, 1), (5, 3))
    moved, fed = give(town, teleport(1, 2, 2), set_need(0, hunger=0.25, energy=1))
    assert (moved.status, moved.name, moved.cmd_id, moved.issuer, moved.tick) == (
        "ok",
        "teleport",
        "1",
        "ada",
        0,
    )
    assert moved.result == {"agent_id": agent(1), "position": [2, 2]}
    assert (fed.status, fed.cmd_id) == ("ok", "2")
    assert town.at(1) == (2, 2)
    assert town.need(0, "hunger") == pytest.approx(0.25, abs=0.01)
    assert town.need(0, "energy") == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(
    "tile", [(6, 0), (6, 2), (3, 2), (-1, 0), (7, 0), (4, 3), (1, 1), (2**62, 0), (0, -(2**63))]
)
def test_a_tile_that_is_not_free_is_answered_with_blocked_tile_and_nothing_changes(tile):
    town, plain = town_of((1, 1), (4, 3)), town_of((1, 1), (4, 3))
    (result,) = give(town, teleport(0, *tile))
    give(plain)
    assert (result.status, result.error.code, result.result) == ("error", "blocked_tile", {})
    assert result.error.details == {"agent_id": agent(0), "position": list(tile)}
    assert town.world.snapshot() == plain.world.snapshot()


def test_whether_a_tile_is_free_is_found_when_its_turn_comes():
    town = town_of((1, 1), (4, 3))
    results = give(town, teleport(0, 4, 3), teleport(1, 0, 3), teleport(0, 4, 3))
    assert [result.status for result in results] == ["error", "ok", "ok"]
    assert (town.at(0), town.at(1)) == ((4, 3), (0, 3))


def test_each_of_many_moves_in_one_tick_gets_its_own_answer():
    town = town_of((1, 1), (4, 3))
    home = teleport(0, 1, 1)
    given = [teleport(0, 4, 3), teleport(0, 4, 3), teleport(1, 0, 3), teleport(0, 4, 3), home, home]
    given += [
        teleport(1, 1, 1),
        set_need(0, hunger=1),
        teleport(1, 4, 3),
        teleport(0, 4, 3),
        teleport(1, 4, 3),
    ]
    results = give(town, *given)
    blocked = [result.error is not None for result in results]
    assert blocked == [True, True, False, False, False, True, True, False, False, True, True]
    assert (town.at(0), town.at(1)) == ((1, 1), (4, 3))


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (Command("teleport", {"agent_id": "a00009", "position": [0, 3]}), "not_found"),
        (Command("teleport", {"agent_id": "", "position": [0, 3]}), "not_found"),
        (Command("set_need", {"agent_id": "nobody", "needs": {"hunger": 1.0}}), "not_found"),
        (Command("interrupt", {"agent_id": "a00009"}), "not_found"),
        (Command("interrupt", {"agent_id": agent(0), "idle": "yes"}), "invalid_args"),
        (set_need(0, thirst=0.5), "invalid_args"),
        (set_need(0, hunger=1.01), "invalid_args"),
        (set_need(0, hunger=-0.01), "invalid_args"),
        (set_need(0), "invalid_args"),
        (Command("teleport", {"agent_id": agent(0)}), "invalid_args"),
        (Command("teleport", {"agent_id": agent(0), "position": [2**63, 0]}), "invalid_args"),
        (Command("promote", {}), "unknown_command"),
        (Command("kill", {"agent_id": "a00009"}), "not_found"),
        (Command("kill", {"agent_id": agent(0), "replace": 1}), "invalid_args"),
        (Command("review", {"agent_id": agent(0), "decision": "approve"}), "conflict"),
        (Command("review", {"agent_id": agent(0), "decision": "praise"}), "invalid_args"),
        (Command("review", {"agent_id": "a00009", "decision": "defer"}), "not_found"),
        (Command("spawn", {"position": [6, 0]}), "blocked_tile"),
        (Command("spawn", {"position": [-1, 0]}), "blocked_tile"),
        (Command("spawn", {"position": [1, 1]}), "blocked_tile"),
        (Command("spawn", {"home": [0, 0]}), "not_found"),
        (Command("spawn", {"needs": {"thirst": 0.5}}), "invalid_args"),
        (Command("spawn", {"needs": {"hunger": 1.5}}), "invalid_args"),
        (Command("spawn", {"wallet": -1}), "invalid_args"),
        (Command("spawn", {"wallet": 1_000_001}), "invalid_args"),
        (Command("spawn", {"profile": "hero"}), "invalid_args"),
        (Command("spawn", {"job_id": "pilot"}), "invalid_args"),
        (Command("set_exit_cap", {"value": 51}), "invalid_args"),
        (Command("set_exit_cap", {"value": -1}), "invalid_args"),
        (Command("set_exit_spacing", {"value": 100_001}), "invalid_args"),
        (Command("toggle_mortality", {"value": 0}), "invalid_args"),
    ],
)
def test_what_cannot_be_done_is_answered_with_its_code_and_changes_nothing(command, code):
    town, plain = town_of((1, 1), population={"capacity": 3}), town_of((1, 1), population={"capacity": 3})
    (result,) = give(town, command)
    give(plain)
    assert (result.status, result.error.code) == ("error", code)
    assert result.error.message
    assert town.world.snapshot() == plain.world.snapshot()


def test_spawn_lets_a_resident_come_as_the_arguments_say_and_answers_with_its_id():
    town = town_of((1, 1), population={"capacity": 3})
    args = {
        "position": [5, 3], "home": [1, 1], "needs": {"hunger": 0.25, "energy": 1}, "wallet": 77,
        "profile": "stoic",
    }  # fmt: skip
    plain, chosen = give(town, Command("spawn", {}, "1", "ada"), Command("spawn", args, "2", "ada"))
    assert (plain.result, chosen.result) == ({"agent_id": agent(1)}, {"agent_id": agent(2), **args})
    newcomer = town.resident(2)
    assert (town.at(2), town.wallet(2), int(newcomer.home), int(newcomer.job)) == ((5, 3), 77, 0, -1)
    assert town.model.profile_names[newcomer.profile] == "stoic"
    assert town.need(2, "hunger") == pytest.approx(0.25, abs=0.01)
    assert town.need(2, "energy") == pytest.approx(1.0, abs=0.01)
    assert (town.wallet(1), town.money()) == (2000, 0)
    (full,) = give(town, Command("spawn", {}, "3", "ada"))
    assert (full.error.code, full.error.details) == ("conflict", {})


def test_spawn_gives_a_job_that_has_a_vacancy_and_no_other():
    town = Village(population={"capacity": 6})
    give(town, Command("spawn", {"job_id": "watch"}, "1", "ada"))
    assert int(town.state.towns[0].population) == 3
    town.resident(1).job = -1
    town.state.job_holders[0, 1] = 0
    (made, full) = give(
        town,
        Command("spawn", {"job_id": "watch"}, "2", "ada"),
        Command("spawn", {"job_id": "watch"}, "3", "ada"),
    )
    assert (made.status, full.error.code) == ("ok", "conflict")
    assert town.model.job_ids[town.resident(3).job] == "watch"


def test_kill_removes_a_resident_in_the_same_tick_and_others_follow_unless_told_otherwise():
    town = town_of((1, 1), (5, 3), (4, 3))
    kept = Command("kill", {"agent_id": agent(1), "replace": False}, "2", "ada")
    first, second, again = give(town, Command("kill", {"agent_id": agent(0)}, "1", "ada"), kept, kept)
    assert (first.result, second.result) == ({"agent_id": agent(0)}, {"agent_id": agent(1), "replace": False})
    assert again.error.code == "not_found"
    assert int(town.state.towns[0].population) == 1
    town.run(21)
    assert int(town.state.towns[0].population) == 2


def test_a_review_is_approved_or_deferred():
    town = Village(employment={"max_absent_shifts": 1, "review_ticks": 500}).jump(360)
    town.run(60)
    put_off = Command("review", {"agent_id": agent(0), "decision": "defer"}, "1", "ada")
    approved = Command("review", {"agent_id": agent(2), "decision": "approve"}, "2", "ada")
    town.action[:] = 0
    outcome = town.world.step(ActionBatch(town.action.data, town.target.data), (put_off, approved))
    assert [result.status for result in outcome.command_results] == ["ok", "ok"]
    told = [(e.kind, e.agent_id, getattr(e, "status", getattr(e, "reason", ""))) for e in outcome.events]
    assert told[:3] == [
        ("employment.review", agent(0), "deferred"),
        ("employment.review", agent(2), "approved"),
        ("employment.job_loss", agent(2), "approved"),
    ]
    assert [event.pending for event in outcome.events[:2]] == [2, 1]
    assert (int(town.resident(0).review_since), int(town.resident(2).job)) == (420, -1)
    assert (int(town.state.districts[0, 0].losses_today), int(town.state.districts[0, 0].reviews)) == (1, 1)
    (again,) = give(town, approved)
    assert again.error.code == "conflict"


def test_operators_set_whether_and_how_residents_leave():
    town = town_of((1, 1), (5, 3), lifecycle={"exit_spacing": 500}, population={"capacity": 2})
    give(town, Command("toggle_mortality", {"value": False}, "1", "ada"))
    town.resident(0).collapse_ticks = 100
    town.resident(0).need[0] = town.resident(1).need[0] = 0.0
    town.run(40)
    assert int(town.state.towns[0].population) == 2
    (set_apart,) = give(town, Command("set_exit_spacing", {"value": 7}, "2", "ada"))
    give(town, Command("set_exit_cap", {"value": 1}, "3", "ada"))
    give(town, Command("toggle_mortality", {"value": True}, "4", "ada"))
    assert (set_apart.result, int(town.state.towns[0].population)) == ({"value": 7}, 1)
    town.run(10)
    assert [event.cause for event in town.heard("lifecycle.exit_pending")] == []
    assert int(town.resident(1).kept) > 0
    give(town, Command("set_exit_cap", {"value": 0}, "5", "ada"))
    town.run(1)
    assert not town.resident(1).alive or int(town.resident(1).serial) > 1


def perturb(spec: str, cmd_id: str = "1", **args: object) -> Command:
    return Command("perturb", {"spec": spec, **args}, cmd_id, "ada")


def test_an_event_is_scheduled_with_what_the_command_says_and_its_id_is_the_answer():
    town = town_of((1, 1), (4, 3))
    spike = perturb("price_spike", starts_in=2, duration=3, magnitude=1500, targets=["home.shower"])
    scheduled, edited = give(town, spike, Command("set_price", {"key": "cafe.meal", "mills": 500}, "2"))
    assert scheduled.result == {"event_id": "evt_1", **spike.args}
    assert edited.result == {"key": "cafe.meal", "mills": 500}
    prices = []
    for _ in range(6):
        prices.append(town.price("home.shower"))
        town.step()
    assert prices == [200, 200, 300, 300, 300, 200]
    assert town.price("cafe.meal") == 500


def test_an_event_that_was_scheduled_is_cancelled_once():
    town = town_of((1, 1), (4, 3))
    (scheduled,) = give(town, perturb("blackout", starts_in=5))
    cancel = Command("perturb_cancel", {"event_id": scheduled.result["event_id"]}, "2")
    first, second = give(town, cancel, cancel)
    assert (first.status, first.result) == ("ok", {"event_id": "evt_1"})
    assert (second.status, second.error.code) == ("error", "not_found")


def test_a_closure_and_a_meeting_are_about_what_the_command_names():
    town = town_of((1, 1), (4, 3))
    closed, met = give(
        town,
        perturb("closure", duration=5, targets=["shower_1"]),
        perturb("arranged_meet", targets=[agent(1), agent(0)], location="room"),
    )
    assert (closed.status, met.status) == ("ok", "ok")
    events = town.world.frame().perturbations
    assert [event["targets"] for event in events.values()] == [["shower_1"], [agent(1), agent(0), "room"]]
    assert bool(town.thing("shower_1").closed)


def test_a_price_is_edited_in_one_district_or_in_all():
    grid = {"town": {"grid": {"district": "hamlet_24", "rows": 1, "cols": 2}}}
    world = TownWorld(TownModel.build(TownOptions.model_validate(grid)))
    world.reset(1)
    slots = world.spec.capacity
    nothing = ActionBatch(np.zeros(slots, np.int16).data, np.full(slots, -1, np.int32).data)
    one = Command("set_price", {"key": "home.meal", "mills": 7, "district": 1}, "1")
    every = Command("set_price", {"key": "home.shower", "mills": 9}, "2")
    world.step(nothing, (one, every, perturb("outage", district=1)))
    frame = world.frame()
    assert [frame.prices[d]["home.meal"] for d in "01"] == [400, 7]
    assert [frame.prices[d]["home.shower"] for d in "01"] == [9, 9]
    assert [frame.utilities[d]["water"] for d in "01"] == [True, False]


@pytest.mark.parametrize(
    ("command", "code", "told"),
    [
        (perturb("rain"), "invalid_args", "unknown spec 'rain'"),
        (perturb("outage", starts_in=-1), "invalid_args", "starts_in -1 is out of range (0 to 1000000)"),
        (perturb("outage", duration=0), "invalid_args", "duration 0 is out of range (1 to 10000)"),
        (perturb("outage", magnitude=1500), "invalid_args", "outage takes no magnitude"),
        (perturb("price_spike", magnitude=10_001), "invalid_args", "out of range (0 to 10000)"),
        (perturb("outage", district=1), "invalid_args", "district 1 is out of range (0 to 0)"),
        (perturb("outage", targets=["gas"]), "invalid_args", "unknown target 'gas'"),
        (perturb("outage", targets=["power", "power"]), "invalid_args", "different names"),
        (perturb("outage", location="room"), "invalid_args", "takes no location"),
        (perturb("price_spike", targets=["home.meals"]), "invalid_args", "home.meal"),
        (perturb("closure", targets=["shower_9"]), "not_found", "unknown target 'shower_9'"),
        (perturb("closure", targets="shower_1"), "invalid_args", "must be a list"),
        (perturb("festival"), "not_found", "district 0 has nothing that festival could be about"),
        (perturb("festival", location="moon"), "not_found", "no place 'moon'"),
        (perturb("festival", targets=["room"]), "invalid_args", "takes no targets"),
        (perturb("arranged_meet", location="room", targets=[agent(0)]), "invalid_args", "two residents"),
        (perturb("arranged_meet", location="room", targets=[agent(0), agent(7)]), "not_found", agent(7)),
        (Command("perturb_cancel", {"event_id": "evt_1"}), "not_found", "no such event"),
        (Command("perturb_cancel", {"event_id": "evt_01"}), "not_found", "no event 'evt_01'"),
        (Command("set_price", {"key": "moon.meal", "mills": 5}), "invalid_args", "unknown price key"),
        (Command("set_price", {"key": "cafe.meal", "mills": 90_001}), "invalid_args", "(0 to 90000)"),
        (Command("set_price", {"key": "cafe.meal", "mills": 1.5}), "invalid_args", "whole number"),
    ],
)
def test_an_event_or_price_that_cannot_be_is_answered_with_its_code_and_changes_nothing(command, code, told):
    town, plain = town_of((1, 1)), town_of((1, 1))
    (result,) = give(town, command)
    give(plain)
    assert (result.status, result.error.code) == ("error", code)
    assert told in result.error.message
    assert town.world.snapshot() == plain.world.snapshot()


def test_more_events_than_the_town_has_room_for_are_a_conflict():
    town = town_of((1, 1))
    *taken, refused = give(town, *(perturb("blackout", starts_in=9) for _ in range(9)))
    assert [result.result["event_id"] for result in taken] == [f"evt_{n}" for n in range(1, 9)]
    assert (refused.error.code, "cancel one" in refused.error.message) == ("conflict", True)


def test_a_command_ends_a_claim_and_lets_the_policy_plan_anew():
    town = town_of((2, 2), (4, 2))
    town.step({0: "use:it"})
    give(town, teleport(0, 0, 3))
    assert town.stage(0) == "none"
    assert town.resident(0).ctx_reset
    town.place((2, 2), (4, 2))
    town.step({0: "use:it"})
    (idle,) = give(town, Command("interrupt", {"agent_id": agent(0), "idle": True}))
    assert (idle.result, town.stage(0)) == ({"agent_id": agent(0), "idle": True}, "running")
    give(town, Command("interrupt", {"agent_id": agent(0)}))
    assert town.stage(0) == "none"
    assert town.resident(0).ctx_reset
    give(town, set_need(1, hunger=0.5))
    assert town.resident(1).ctx_reset


def test_the_journal_has_room_for_whatever_is_ordered_in_one_tick():
    world = TownWorld(build_model(ROWS, 1, manifest=LONG))
    world.reset(1)
    slots = world.spec.capacity
    nothing = ActionBatch(np.zeros(slots, np.int16).data, np.full(slots, -1, np.int32).data)
    there_and_back = [teleport(0, x, 3) for _ in range(400) for x in (0, 1)]
    outcome = world.step(nothing, there_and_back)
    assert {result.status for result in outcome.command_results} == {"ok"}
    moves = [event.to for event in outcome.events if event.kind == "lifecycle.moved"]
    assert moves == [(0, 3), (1, 3)] * 400

    both = {"owner": agent(0), "other": agent(1)}
    feuds = [Command("set_rel", {**both, "rivalry": level}) for _ in range(400) for level in (1.0, 0.0)]
    world = two_in_town()
    outcome = world.step(nothing_for(world.spec.capacity), feuds)
    assert sum(event.kind == "social.threshold" for event in outcome.events) == 400 * 2 * 2


def two_in_town() -> TownWorld:
    world = TownWorld(build_model(ROWS, 2, manifest=LONG))
    world.reset(1)
    return world


def nothing_for(slots: int) -> ActionBatch:
    return ActionBatch(np.zeros(slots, np.int16).data, np.full(slots, -1, np.int32).data)


# In a run.

HAMLET = TownModel.build(TownOptions(town="hamlet_24"))


def hamlet(sink=None) -> SimulationLoop:
    handlers = CommandHandlers([OfferedCommand(CommandSpec("test.rest", "admin", "Rest for all."), rest)])
    loop = SimulationLoop(
        TownWorld(HAMLET),
        ScriptedPolicy(ScriptedOptions()),
        RunIdentity(seed=5),
        dispatcher=EventDispatcher([SinkRoute("sink", sink)] if sink else []),
        digest=True,
        plugged=Plugged(handlers=handlers),
    )
    loop.begin()
    return loop


def rest(context):
    tired = [each for each in context.residents.values() if each.needs["energy"] < 0.9]
    sleep = tuple(
        Command("set_need", {"agent_id": each.agent_id, "needs": {"energy": 0.9}}) for each in tired
    )
    return CommandDone(sleep, {"rested": [each.agent_id for each in tired]})


def test_a_plugins_command_sees_the_residents_as_they_are():
    loop = hamlet()
    loop.run_for(300)
    loop.commands.submit(set_need(1, energy=0.25), "admin")
    loop.step()
    ticket = loop.commands.submit(Command("test.rest", {}, "3"), "admin")
    loop.step()
    assert agent(1) in ticket.result.result["rested"]
    assert loop.observation.view.columns["needs"][1, 2] == pytest.approx(0.9, abs=0.01)


PAIRS = {"force_chat": ("speaker", "listener"), "set_rel": ("owner", "other")}
ORDERS = st.one_of(
    st.builds(teleport, st.integers(0, 3), st.integers(-1, 24), st.integers(-1, 24)),
    st.builds(set_need, st.integers(0, 3), hunger=st.floats(0, 1)),
    st.just(Command("test.rest")),
    st.builds(
        perturb,
        st.sampled_from(("price_spike", "blackout", "outage", "closure", "festival", "arranged_meet")),
        starts_in=st.integers(0, 9),
        duration=st.integers(1, 9),
    ),
    st.builds(
        lambda name, pair, **args: Command(
            name, dict(zip(PAIRS[name], map(agent, pair), strict=True)) | args
        ),
        st.just("set_rel"),
        st.tuples(st.integers(0, 3), st.integers(0, 3)),
        rivalry=st.floats(0, 1),
    ),
    st.builds(
        lambda pair: Command("force_chat", dict(zip(PAIRS["force_chat"], map(agent, pair), strict=True))),
        st.tuples(st.integers(0, 3), st.integers(0, 3)),
    ),
    st.builds(lambda n: Command("perturb_cancel", {"event_id": f"evt_{n}"}), st.integers(1, 9)),
    st.builds(lambda mills: Command("set_price", {"key": "home.meal", "mills": mills}), st.integers(0, 900)),
)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(ORDERS, max_size=4), min_size=2, max_size=30), st.data())
def test_the_same_commands_give_the_same_run_in_one_piece_or_two(orders, data):
    cut = data.draw(st.integers(0, len(orders) - 1))
    sinks = [CollectingSink() for _ in range(3)]
    whole, before, after = map(hamlet, sinks)

    def play(loop, tick):
        for number, order in enumerate(orders[tick]):
            cmd_id = f"{tick}.{number}"
            loop.commands.submit(Command(order.name, order.args, cmd_id, "ada"), "admin")

    for tick in range(len(orders)):
        play(whole, tick)
        whole.step()
    for tick in range(cut):
        play(before, tick)
        before.step()
    play(before, cut)
    snapshot = before.snapshot()
    parts = json.loads(canonical_json(snapshot.parts))
    after.restore(Snapshot(snapshot.tick, snapshot.identity, parts))
    after.step()
    for tick in range(cut + 1, len(orders)):
        play(after, tick)
        after.step()
    assert after.digest == whole.digest
    facts = [[m for m in sink.messages if isinstance(m, Fact)] for sink in sinks]
    assert facts[1] + facts[2] == facts[0]
    told = [fact for fact in facts[0] if fact.event.kind == "console.result"]
    assert len(told) == sum(map(len, orders))
