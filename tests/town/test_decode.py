"""Rows of numbers become events and frames with names (domain.md, sections 20 and 21)."""

import functools
from dataclasses import fields

import numpy as np
import pytest

from tests.town.towns import Town
from tests.town.village import BESIDE, CAFE, OFFICE, STREET, Village, found
from tests.town.words import INGREDIENTS, NEEDS
from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.compiled.rows import KINDS, agent_id
from townlet_adapters.worlds.town.events import affordance, economy, employment, lifecycle, queue, social
from townlet_adapters.worlds.town.inputs.resident_names import load_names
from townlet_adapters.worlds.town.seam.decode import Decoder
from townlet_core.dto.hook import STAGES
from townlet_core.events.base import Event
from townlet_core.events.schema import event_data
from townlet_core.jsonvalue import JsonValue, canonical_json
from townlet_core.records import record_to_json

PAYLOADS = {
    "affordance.start": "agent_id object_id affordance_id duration paid alternative",
    "affordance.finish": "agent_id object_id affordance_id effects",
    "affordance.fail": "agent_id object_id affordance_id reason detail progress refunded",
    "queue.join": "agent_id object_id affordance_id position",
    "queue.grant": "agent_id object_id affordance_id waited",
    "queue.leave": "agent_id object_id reason waited",
    "queue.conflict": "actor rival object_id reason queue_length intensity",
    "queue.handover": "agent_id to object_id from_index",
    "rivalry.events": "events",
    "employment.arrived": "agent_id job_id offset state",
    "employment.late_start": "agent_id job_id fine",
    "employment.absent": "agent_id job_id fine stamps",
    "employment.departed_early": "agent_id job_id remaining",
    "employment.helped": "agent_id job_id coworkers",
    "employment.shift_covered": "agent_id job_id coworkers",
    "employment.shift_end": "agent_id job_id on_time_ticks paid_ticks attendance withheld",
    "employment.review": "agent_id job_id status pending",
    "employment.job_loss": "agent_id job_id reason",
    "employment.hired": "agent_id job_id reason",
    "economy.restock": "object_id item amount",
    "economy.rent": "agent_id paid owed_days",
    "economy.day": "day flows wallets tills treasury",
    "lifecycle.arrive": "agent_id serial slot name district position profile job_id wallet reason",
    "lifecycle.exit": "agent_id slot reason age wallet terminal",
    "lifecycle.moved": "agent_id from to reason",
    "social.chat": "speaker listener success quality",
    "social.shared_meal": "agents place_id",
    "social.avoidance": "agent_id rival distance",
    "social.tie": "owner other status reason trust familiarity rivalry",
    "social.threshold": "owner other threshold value",
}
"""Every kind that the town tells, with its fields in the order of the rules."""

PLACES = tuple(place.id for place in Village().model.plan.places)
ROWS = [
    ({"kind": codes.EV_START, "agent": 1, "object": 0, "affordance": 0, "a": 15, "b": 400, "c": 1},
     affordance.AffordanceStart("a00001", "fridge_1", "eat_meal", 15, 400, 1)),
    ({"kind": codes.EV_FINISH, "agent": 1, "object": 0, "affordance": 1},
     affordance.AffordanceFinish(
         "a00001", "fridge_1", "cook_meal", {"need:hunger": 0.1, "need:energy": -0.05, "inventory:meal": 1})),
    ({"kind": codes.EV_FAIL, "agent": 1, "object": 0, "affordance": 0, "reason": codes.LEFT, "a": 4,
      "b": 400},
     affordance.AffordanceFail("a00001", "fridge_1", "eat_meal", "left", None, 4, 400)),
    ({"kind": codes.EV_JOIN, "agent": 0, "object": 1, "affordance": 2, "a": 3},
     queue.QueueJoin("a00000", "shower_1", "use_shower", 3)),
    ({"kind": codes.EV_GRANT, "agent": 0, "object": 1, "affordance": 2, "a": 33},
     queue.QueueGrant("a00000", "shower_1", "use_shower", 33)),
    ({"kind": codes.EV_LEAVE, "agent": 0, "object": 1, "reason": codes.TIMEOUT, "a": 8},
     queue.QueueLeave("a00000", "shower_1", "timeout", 8)),
    ({"kind": codes.EV_CONFLICT, "agent": 0, "other": 2, "object": 1, "reason": codes.GHOST_STEP, "a": 2,
      "x": 1.75},
     queue.QueueConflict("a00000", "a00002", "shower_1", "ghost_step", 2, 1.75)),
    ({"kind": codes.EV_CONFLICT, "agent": 0, "other": 2, "object": -1, "reason": codes.JOSTLE, "x": 0.75},
     queue.QueueConflict("a00000", "a00002", None, "jostle", 0, 0.75)),
    ({"kind": codes.EV_HANDOVER, "agent": 0, "other": 2, "object": 1, "a": 4},
     queue.QueueHandover("a00000", "a00002", "shower_1", 4)),
    ({"kind": codes.EV_ARRIVED, "agent": 0, "a": 0, "b": 7, "reason": codes.LATE},
     employment.EmploymentArrived("a00000", "clerk", 7, "late")),
    ({"kind": codes.EV_LATE_START, "agent": 0, "a": 1, "b": 50},
     employment.EmploymentLateStart("a00000", "watch", 50)),
    ({"kind": codes.EV_ABSENT, "agent": 0, "a": 1, "b": 200, "c": 3},
     employment.EmploymentAbsent("a00000", "watch", 200, 3)),
    ({"kind": codes.EV_DEPARTED, "agent": 0, "a": 0, "b": 89},
     employment.EmploymentDepartedEarly("a00000", "clerk", 89)),
    ({"kind": codes.EV_SHIFT_END, "agent": 0, "a": 0, "b": 170, "c": 60, "d": 180, "x": 0.5},
     employment.EmploymentShiftEnd("a00000", "clerk", 170, 180, 0.5, 60)),
    ({"kind": codes.EV_REVIEW, "agent": 0, "a": 0, "b": 2, "reason": codes.REVIEW_WITHDRAWN},
     employment.EmploymentReview("a00000", "clerk", "withdrawn", 2)),
    ({"kind": codes.EV_JOB_LOSS, "agent": 0, "a": 0},
     employment.EmploymentJobLoss("a00000", "clerk", "reviewed")),
    ({"kind": codes.EV_HIRED, "agent": 0, "a": 0, "reason": codes.HIRED_BOARD},
     employment.EmploymentHired("a00000", "clerk", "board")),
    ({"kind": codes.EV_RESTOCK, "agent": -1, "object": 0, "reason": INGREDIENTS, "a": 6},
     economy.EconomyRestock("fridge_1", "ingredients", 6)),
    ({"kind": codes.EV_RENT, "agent": 0, "a": 1300, "b": 2}, economy.EconomyRent("a00000", 1300, 2)),
    ({"kind": codes.EV_DAY, "agent": -1, "reason": 0, "a": 4, "b": 10, "c": -3, "d": -7, "e": 6000},
     economy.EconomyDay(4, {"grant": 6000}, 10, -3, -7)),
    ({"kind": codes.EV_ARRIVE, "agent": 2, "a": 1, "b": 2 * 16 + 5, "c": -1, "d": 70, "e": 0, "f": 1, "g": 3},
     lifecycle.LifecycleArrive(
         "a00002", 2, 1, f"{load_names()[0]}-2", 0, (5, 2), "stoic", None, 70, "start")),
    ({"kind": codes.EV_MOVED, "agent": 0, "a": 2 * 16 + 5, "b": 7 * 16, "reason": codes.MOVED_DISPLACED},
     lifecycle.LifecycleMoved("a00000", (5, 2), (0, 7), "displaced")),
    ({"kind": codes.EV_EXIT, "agent": 2, "a": 1, "b": 700, "c": 90, "x": -5.0,
      "reason": codes.EXIT_KILLED},
     lifecycle.LifecycleExit("a00002", 1, "killed", 700, 90, -5.0)),
    ({"kind": codes.EV_CHAT, "agent": 2, "other": 1, "a": 1, "x": 0.5},
     social.SocialChat("a00002", "a00001", success=True, quality=0.5)),
    ({"kind": codes.EV_CHAT, "agent": 2, "other": 1, "a": 0, "x": 0.4},
     social.SocialChat("a00002", "a00001", success=False, quality=0.4)),
    ({"kind": codes.EV_MEAL, "agent": 2, "other": 1, "object": 0, "a": 1},
     social.SocialSharedMeal(("a00002", "a00001"), PLACES[1])),
    ({"kind": codes.EV_AVOIDANCE, "agent": 2, "other": 1, "a": 4},
     social.SocialAvoidance("a00002", "a00001", 4)),
    ({"kind": codes.EV_TIE, "agent": 2, "other": 1, "a": codes.TIE_REMOVED, "reason": codes.TIE_EXIT,
      "x": 0.1, "y": -0.2, "z": 0.3},
     social.SocialTie("a00002", "a00001", "removed", "exit", 0.1, -0.2, 0.3)),
    ({"kind": codes.EV_THRESHOLD, "agent": 2, "other": 1, "reason": codes.FEUD, "x": 0.9},
     social.SocialThreshold("a00002", "a00001", "feud", 0.9)),
]  # fmt: skip


def decode(*rows: dict[str, float]) -> tuple[Event, ...]:
    """Decode rows written by hand into a village's journal."""
    town = Village()
    journal = town.engine.journal
    for row, values in zip(journal.rows[0], rows, strict=False):
        row["agent"], row["other"], row["object"], row["affordance"] = -1, -1, -1, -1
        for name in ("reason", *"abcdefghxyz"):
            row[name] = 0
        for name, value in values.items():
            row[name] = value
    journal.written[0] = len(rows)
    return Decoder(town.model).events(journal, 0)


@pytest.mark.parametrize(
    ("row", "event"), ROWS, ids=[f"{event.kind}-{k}" for k, (_, event) in enumerate(ROWS)]
)
def test_a_row_becomes_the_event_it_stands_for(row, event):
    told = decode(row)
    assert told[0] == event
    assert len(told) == (2 if row["kind"] == codes.EV_CONFLICT else 1)


def test_every_kind_of_row_has_its_event_and_every_event_of_the_town_its_kind():
    numbers = [value for name, value in vars(codes).items() if name.startswith("EV_")]
    assert [kind.code for kind in KINDS] == sorted(numbers)
    for kind in KINDS:
        if isinstance(kind.event, type):
            names = [field.name for field in fields(kind.event)]
            assert len(names) == len(kind.fields) + (kind.together is not None)
            assert kind.together is None or kind.together[0] == names[-1]
    told = {event.kind for _, event in ROWS} | {"employment.helped", "employment.shift_covered"}
    assert told | {"rivalry.events"} == set(PAYLOADS)


def test_rows_of_a_days_flows_become_one_event():
    day = {"kind": codes.EV_DAY, "agent": -1, "a": 4, "b": 10, "c": -3, "d": -7}
    rows = [{**day, "reason": flow, "e": 100 * flow} for flow in range(codes.FIRST_RARE_FLOW)]
    flows = {name: 100 * number for number, name in enumerate(codes.FLOWS[: codes.FIRST_RARE_FLOW])}
    assert decode(*rows) == (economy.EconomyDay(4, flows, 10, -3, -7),)
    hooked = {**day, "reason": codes.FLOW_HOOK, "e": 5}
    assert decode(*rows, hooked) == (economy.EconomyDay(4, {**flows, "hook": 5}, 10, -3, -7),)
    assert decode(*rows, {**hooked, "e": 0}) == (economy.EconomyDay(4, flows, 10, -3, -7),)


def test_an_arrival_is_told_from_what_was_so_then():
    """The resident may have spent its money in the same tick."""
    town = Village()
    told = decode(
        {"kind": codes.EV_ARRIVE, "agent": 0, "a": 0, "b": 0, "c": 0, "d": 9, "e": 1, "f": 0, "g": 0, "h": 0}
    )
    (arrived,) = told
    assert isinstance(arrived, lifecycle.LifecycleArrive)
    assert (arrived.wallet, arrived.name) == (9, town.model.names[1])
    assert town.wallet(0) == 2000


def test_rows_about_colleagues_become_one_event_that_names_them_all():
    helped = {"kind": codes.EV_HELPED, "agent": 0, "a": 0}
    covered = {"kind": codes.EV_COVERED, "agent": 0, "a": 0}
    told = decode(
        {**helped, "other": 1}, {**helped, "other": 2}, {**covered, "other": 2},
        {**covered, "agent": 1, "other": 2}, {**covered, "agent": 1, "other": 0},
    )  # fmt: skip
    assert told == (
        employment.EmploymentHelped("a00000", "clerk", ("a00001", "a00002")),
        employment.EmploymentShiftCovered("a00000", "clerk", ("a00002",)),
        employment.EmploymentShiftCovered("a00001", "clerk", ("a00002", "a00000")),
    )


def test_conflicts_of_a_tick_are_told_together_at_its_end():
    jostle = {"kind": codes.EV_CONFLICT, "agent": 0, "other": 1, "reason": codes.JOSTLE, "x": 0.75}
    waiting = {"kind": codes.EV_CONFLICT, "agent": 2, "other": 1, "object": 1, "reason": codes.IMPATIENCE,
               "a": 2, "x": 0.65}  # fmt: skip
    told = decode(jostle, {"kind": codes.EV_RENT, "agent": 0}, waiting)
    assert [event.kind for event in told] == [
        "queue.conflict",
        "economy.rent",
        "queue.conflict",
        "rivalry.events",
    ]
    assert told[-1] == queue.RivalryEvents(
        (
            queue.RivalryEntry("a00000", "a00001", "jostle", 0.75),
            queue.RivalryEntry("a00002", "a00001", "waiting", 0.65),
        )
    )


def test_a_quiet_tick_tells_nothing():
    assert decode() == ()


@functools.cache
def lives() -> list[Event]:
    """Events of as many kinds as can be brought about, from the lives of a few towns."""
    events: list[Event] = []
    town = Village().stand(0, BESIDE["shower_1"]).stand(1, (5, 3)).stand(2, (5, 1))
    events += found({"town": "hamlet_24"})[1]
    events += town.step({0: "use:use_shower"})
    events += town.step({1: "use:use_shower"})
    events += town.step({2: "use:use_shower"})
    for _ in range(33):
        events += town.step()
    events += town.step({0: "wait", 1: "leave", 2: "leave"})
    town = Village().stand(0, BESIDE["fridge_1"]).stand(1, (3, 3))
    events += town.step({0: "use:eat_meal"})
    events += town.step({0: "leave"})
    for _ in range(5):
        events += town.step({1: "move_north"})
    town.thing("fridge_1").stock[0] = 0
    for day in range(4):
        town.jump(1440 * day + 360).stand(0, OFFICE[0]).stand(2, STREET[2])
        for tod in range(360, 470):
            if tod == 375:
                town.stand(2, OFFICE[1])
            if tod == 380:
                town.stand(0, STREET[0])
            events += town.step()
        events += town.jump(1440 * day + 539).step()
        events += town.jump(1440 * day + 1439).step()
    town.teleport(0, *CAFE)
    town.remove(1)
    events += town.step()
    return [*events, *society()]


def society() -> list[Event]:
    """A chat in front of the shower, a courtesy, a shared meal, and a step away from a rival."""
    town = Village().stand(0, BESIDE["shower_1"]).stand(1, (5, 3)).stand(2, (6, 3))
    town.set_tie(0, 2, trust=0.5)
    events = [*town.step({1: "talk"}), *town.step({0: "use:use_shower"})]
    events += [*town.step({1: "use:use_shower"}), *town.step({2: "use:use_shower"})]
    events += town.wait(30)
    meal = {
        "id": "eat",
        "object_type": "bench",
        "duration": 10,
        "effects": {"need:hunger": 0.1},
        "tags": ["meal"],
    }
    town = Town(["ErNrNr", "hrrrrr"], [(2, 1), (4, 1)], manifest=[meal])
    town.set_tie(0, 1, trust=0.55)
    for _ in range(10):
        events += town.step({0: "use:eat", 1: "use:eat"})
    town = Village().stand(0, STREET[2]).stand(1, (0, 0))
    town.set_tie(0, 1, rivalry=0.8)
    return [*events, *town.step({0: "move_south"})]


def test_the_rules_lead_to_every_kind_of_event():
    assert {event.kind for event in lives()} == PAYLOADS.keys()


def test_every_payload_has_exactly_the_fields_of_the_rules_and_is_json():
    for event in [*lives(), *(event for _, event in ROWS)]:
        data = event_data(event)
        assert " ".join(data) == PAYLOADS[event.kind]
        canonical_json(data)


def test_only_the_fields_that_may_be_null_are():
    nullable = {
        ("affordance.fail", "detail"),
        ("queue.conflict", "object_id"),
        ("lifecycle.arrive", "job_id"),
    }
    null = {
        (event.kind, name) for event in lives() for name, value in event_data(event).items() if value is None
    }
    assert null <= nullable


def test_the_jobless_arrive_without_a_job():
    jobs = {"clerk": {"place": "office", "start": 360, "end": 540, "wage": 20, "late_fine": 0, "capacity": 1}}
    town = Village(jobs=jobs)
    told = town.world._decoder.events(town.engine.journal, 0)
    assert [event.job_id for event in told if isinstance(event, lifecycle.LifecycleArrive)] == [
        "clerk", None, None,
    ]  # fmt: skip


def test_ids_of_residents_have_five_digits_or_more():
    assert (agent_id(7), agent_id(99_999), agent_id(123_456)) == ("a00007", "a99999", "a123456")


# The frame.


def busy() -> Town:
    """Two in the shower's queue, one at work, power cut, bench closed."""
    town = Village().stand(0, BESIDE["shower_1"]).stand(1, (5, 3)).jump(360)
    town.run(1, {0: "use:use_shower"})
    town.run(1, {1: "use:use_shower"})
    town.close("bench_1")
    town.step()
    return town


def no_null(value: JsonValue) -> bool:
    if isinstance(value, dict):
        return all(map(no_null, value.values()))
    if isinstance(value, list | tuple):
        return all(map(no_null, value))
    return value is not None


def test_a_frame_is_json_without_null_and_keyed_by_ids():
    for town in (Village(), busy()):
        town.step()
        frame = record_to_json(town.world.frame())
        canonical_json(frame)
        assert no_null(frame)
        assert list(frame["agents"]) == ["a00000", "a00001", "a00002"]
        assert list(frame["objects"]) == list(town.model.object_ids)
        assert (frame["social"], frame["perturbations"]) == ({}, {})
        assert list(frame["rewards"]) == list(frame["agents"])


def test_a_frame_pictures_a_resident():
    town = busy()
    picture = town.world.frame().agents["a00000"]
    r = town.resident(0)
    assert picture == {
        "slot": 0,
        "name": town.model.names[r.name],
        "pos": [4, 2],
        "home": [3, 3],
        "needs": dict(zip(NEEDS, r.need.round(3).tolist(), strict=False)),
        "wallet": 1800,
        "inventory": {"meal": 0, "ingredients": 0},
        "profile": "socialite",
        "shift_state": "grace",
        "job": "clerk",
        "action": "wait",
        "target": -1,
        "claim": {"object": "shower_1", "affordance": "use_shower", "stage": "running"},
    }
    waiting = town.world.frame().agents["a00001"]
    assert waiting["claim"] == {"object": "shower_1", "affordance": "use_shower", "stage": "queued"}
    assert "claim" not in town.world.frame().agents["a00002"]


def test_a_frame_leaves_out_what_somebody_does_not_have():
    town = Village()
    town.resident(1).job = -1
    town.step()
    picture = town.world.frame().agents["a00001"]
    assert not {"job", "claim", "option"} & picture.keys()


def test_a_frame_pictures_objects():
    objects = busy().world.frame().objects
    assert objects["shower_1"] == {
        "type": "shower", "pos": [5, 2], "queue": ["a00001"], "holder": "a00000",
        "running": {"affordance": "use_shower", "remaining": 27},
    }  # fmt: skip
    assert objects["fridge_1"] == {"type": "fridge", "pos": [2, 2], "queue": [], "stock": {"meal": 12}}
    assert objects["bench_1"] == {"type": "bench", "pos": [9, 6], "queue": [], "closed": True}


def test_a_frame_tells_the_time_utilities_prices_and_jobs():
    town = busy()
    frame = town.world.frame()
    assert (frame.tick, frame.clock) == (362, {"day": 0, "tod": 362, "phase": "day"})
    assert frame.utilities == {"0": {"power": True, "water": True}}
    assert frame.prices["0"]["cafe.meal"] == 900
    assert frame.employment == {
        "clerk": {"holders": 2, "capacity": 2},
        "watch": {"holders": 1, "capacity": 1},
    }
    town.switch("water", on=False)
    town.step()
    assert town.world.frame().utilities == {"0": {"power": True, "water": False}}


def test_a_frame_does_not_change_when_the_town_lives_on():
    town = busy()
    frame = town.world.frame()
    before = canonical_json(record_to_json(frame))
    town.run(40)
    assert canonical_json(record_to_json(frame)) == before


def test_every_number_has_a_name():
    assert len(codes.REASONS) == len(set(codes.REASONS)) == codes.TALK_COOLDOWN + 1
    assert [codes.REASONS[n] for n in (codes.OK, codes.INVALID, codes.BUSY, codes.UTILITY_LOST)] == [
        "ok", "invalid", "busy", "utility_lost",
    ]  # fmt: skip
    assert codes.SHIFT_STATES[codes.ABSENT] == "absent"
    assert codes.CONFLICTS[codes.IMPATIENCE] == "waiting"
    assert codes.FLOWS[codes.FLOW_SWEEP] == "sweep"
    assert codes.FLOWS[codes.FLOW_ESTATE] == "estate"
    assert [codes.HOOK_STAGES[n] for n in (codes.BEFORE, codes.AFTER, codes.FAILED)] == list(STAGES)
    assert codes.FIXED_NAMES[codes.NAME_PROFILE] == "profile"
    assert codes.OPERATORS[codes.OP_GE] == ">="
    assert np.iinfo(np.int16).max > 16_384, "occupants are 16-bit numbers of slots"


def test_a_decoder_that_has_pictured_a_town_all_along_says_the_same_as_a_new_one():
    """Whatever a picture takes over from the last one, it says what the state says."""
    town = busy()
    towns = {"busy": town, "village": Village()}
    for k in range(120):
        for each in towns.values():
            each.step()
            kept = each.world.frame()
            new = Decoder(each.model).frame(each.state, 0, each.engine.arrays.reward_parts[0])
            assert record_to_json(kept) == record_to_json(new)
        if k == 20:
            town.switch("water", on=False)


def test_what_stays_is_the_same_object_in_the_next_picture():
    town = busy()
    before = town.world.frame()
    town.step()
    after = town.world.frame()
    assert after.prices is before.prices
    assert after.objects["fridge_1"] is before.objects["fridge_1"]
    assert after.objects["shower_1"] is not before.objects["shower_1"]
