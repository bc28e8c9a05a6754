"""Events that happen to a town: the scheduler, what they do, and how they end (rules, section 13)."""

from collections import Counter

import numpy as np
import pytest

from tests.town.towns import Town, affordance, agent, build_model
from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.seam.arguments import Intervention
from townlet_adapters.worlds.town.seam.batch import TownBatch
from townlet_adapters.worlds.town.seam.decode import Decoder
from townlet_core.errors import ArgumentError
from townlet_core.seeding import draw, integer, stream_key, unit

ROWS = ["E.......", ".hrWr.cC", ".rrrr.cc", ".rFrr.cc", ".....ppp", ".....pNp"]
LONG = [affordance("it", "shower", 20), affordance("eat", "counter", 5)]
QUIET = {"chance": 0}
SPECS = ("price_spike", "blackout", "outage", "arranged_meet", "closure", "festival")
OFTEN = {"max_concurrent": 1, "global_cooldown_ticks": 0, "grace_ticks": 0, "max_per_window": 100}


def only(name: str, **changes: object) -> dict[str, object]:
    """Specs of which the scheduler starts one only."""
    return {**dict.fromkeys(SPECS, QUIET), name: {"chance": 1440, "cooldown": 0, **changes}}


def eventful(*at: tuple[int, int], specs: dict[str, object], seed: int = 1, **rules: object) -> Town:
    """A town with a scheduler for these specs."""
    return Town(
        ROWS,
        at or ((1, 2), (2, 2), (3, 2)),
        manifest=LONG,
        seed=seed,
        features={"perturbations": True},
        perturbations={**OFTEN, "specs": specs, **rules},
    )


def calm(*at: tuple[int, int]) -> Town:
    """A town in which events are scheduled by hand only."""
    return Town(ROWS, at or ((1, 2), (2, 2), (3, 2)), manifest=LONG)


def perturb(  # noqa: PLR0913 - what an event has, each by its name
    town: Town,
    name: str,
    *,
    duration: int = -1,
    starts_in: int = 0,
    magnitude: int = -1,
    place: int = -1,
    targets: tuple[int, ...] = (),
) -> None:
    """Schedule an event in phase 1 of the next step."""
    numbers = [*targets, *[-1] * (codes.EVENT_TARGETS - len(targets))]
    spec = town.model.spec_names.index(name)
    town.engine.intervene(
        Intervention(0, codes.PERTURB, 0, spec, starts_in, duration, magnitude, place, *numbers)
    )


def cancel(town: Town, number: int) -> None:
    town.engine.intervene(Intervention(0, codes.CANCEL, 0, number))


def starts(town: Town, ticks: int) -> list[int]:
    """The ticks in which an event starts."""
    town.run(ticks)
    return town.when("perturbation.started")


# The scheduler.


def test_an_event_lasts_as_long_as_was_drawn_and_ends_before_the_next_one_starts():
    town = eventful(specs=only("blackout", duration=[5, 9]), seed=3)
    town.run(60)
    begun, ended = town.when("perturbation.started"), town.when("perturbation.ended")
    lasting = [end - start for start, end in zip(begun, ended, strict=False)]
    entity = SPECS.index("blackout")
    key = stream_key("events")
    assert lasting == [integer(5, 9, 3, key, tick, entity, 2) for tick in begun[: len(lasting)]]
    assert begun[1:] == ended[: len(begun) - 1]  # one ends, and in the same tick the next one starts
    assert set(lasting) > {5}


def test_a_spec_starts_by_its_chance_alone_when_nothing_forbids():
    chance = 100
    town = eventful(specs=only("outage", chance=chance, duration=[1, 1]), seed=9)
    entity, key = SPECS.index("outage"), stream_key("events")
    due = [tick for tick in range(300) if unit(9, key, tick, entity, 1) < chance / 1440]
    assert starts(town, 300) == due
    assert len(due) > 5


def test_of_two_specs_that_are_due_the_one_with_the_lower_draw_starts():
    specs = {
        **only("blackout", duration=[1, 1]),
        "outage": {"chance": 1440, "cooldown": 0, "duration": [1, 1]},
    }
    town = eventful(specs=specs, seed=5)
    town.run(40)
    key = stream_key("events")
    drawn = [
        {name: draw(5, key, tick, SPECS.index(name), 0) for name in ("blackout", "outage")}
        for tick in range(40)
    ]
    started = [event.kind_ for _, event in town.log if event.kind == "perturbation.started"]
    assert started == [min(each, key=lambda name: each[name]) for each in drawn]
    assert set(started) == {"blackout", "outage"}


def test_a_spec_that_is_about_nothing_leaves_its_turn_to_another_and_costs_nothing():
    specs = {**only("arranged_meet"), "outage": {"chance": 1440, "cooldown": 0, "duration": [1, 1]}}
    town = eventful(specs=specs)
    town.run(10)
    events = [event for _, event in town.log if event.kind == "perturbation.started"]
    assert [event.kind_ for event in events] == ["outage"] * 10  # nobody is anybody's rival
    assert [event.event_id for event in events] == [f"evt_{n}" for n in range(1, 11)]
    assert not town.state.spec_ready[0, 0, SPECS.index("arranged_meet")]


@pytest.mark.parametrize("cap", [0, 1, 2, 3])
def test_the_scheduler_keeps_its_cap(cap):
    often = {"chance": 1440, "cooldown": 0, "duration": [30, 30]}
    specs = {**only("blackout"), **dict.fromkeys(("blackout", "outage", "festival", "closure"), often)}
    town = eventful(specs=specs, max_concurrent=cap)
    busy = []
    for _ in range(20):
        town.step()
        busy.append(town.summary.figures["perturbations_active"])
    assert max(busy) == cap


def test_events_by_hand_count_for_the_cap_but_do_not_obey_it():
    town = eventful(specs=only("outage", duration=[9, 9]), max_concurrent=1)
    perturb(town, "blackout", duration=5)
    perturb(town, "festival", duration=3)
    assert starts(town, 8) == [0, 0, 5]


@pytest.mark.parametrize("pause", [0, 1, 7])
def test_after_the_end_of_an_event_the_scheduler_rests(pause):
    town = eventful(specs=only("outage", duration=[4, 4]), global_cooldown_ticks=pause)
    assert starts(town, 30) == list(range(0, 30, 4 + pause))


def test_the_rest_is_counted_from_the_end_that_was_planned_whatever_is_cancelled():
    town = eventful(specs=only("outage", duration=[4, 4]), global_cooldown_ticks=7)
    perturb(town, "blackout", duration=20)
    town.step()
    cancel(town, 1)
    town.run(40)
    assert town.when("perturbation.ended")[:1] == [1]
    assert town.when("perturbation.started")[:2] == [0, 27]


def test_a_spec_rests_after_its_end_and_others_do_not():
    specs = {
        **only("outage", duration=[4, 4], cooldown=10),
        "blackout": {"chance": 1440, "cooldown": 30, "duration": [2, 2]},
    }
    town = eventful(specs=specs, seed=2)
    town.run(60)
    for name, duration, cooldown in (("outage", 4, 10), ("blackout", 2, 30)):
        begun = town.when("perturbation.started", kind_=name)
        assert len(begun) > 1
        assert min(np.diff(begun)) >= duration + cooldown
    assert starts(town, 1)[:2] in ([0, 4], [0, 2])


@pytest.mark.parametrize("grace", [0, 1, 13])
def test_nothing_starts_by_itself_in_the_first_ticks(grace):
    town = eventful(specs=only("outage", duration=[4, 4]), grace_ticks=grace)
    assert starts(town, 15)[0] == grace


@pytest.mark.parametrize(("most", "window", "expected"), [
    (0, 10, []),
    (1, 10, [0, 10, 20]),
    (2, 10, [0, 1, 10, 11, 20, 21]),
    (3, 4, [0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 16, 17, 18, 20, 21, 22, 24]),
])  # fmt: skip
def test_a_window_holds_only_so_many_starts(most, window, expected):
    town = eventful(specs=only("outage", duration=[1, 1]), max_per_window=most, window_ticks=window)
    assert starts(town, 25) == expected


def test_events_by_hand_fill_no_window():
    town = eventful(specs=only("outage", duration=[1, 1]), max_per_window=1, window_ticks=10)
    for _ in range(3):
        perturb(town, "blackout", duration=1)
    assert [tick for tick in starts(town, 12) if tick > 0] == [1, 11]


def test_without_the_feature_nothing_starts_by_itself():
    town = Town(
        ROWS, ((1, 2),), manifest=LONG, features={"perturbations": False},
        perturbations={**OFTEN, "specs": only("outage")},
    )  # fmt: skip
    assert starts(town, 20) == []


def test_each_district_has_a_scheduler_of_its_own():
    grid = {"grid": {"district": "hamlet_24", "rows": 1, "cols": 2}}
    model = TownModel.build(
        {"town": grid, "perturbations": {**OFTEN, "specs": only("outage", duration=[3, 3])}}
    )
    batch = TownBatch(model, 1, journal=True)
    batch.reset(1)
    decoder = Decoder(model)
    told = Counter()
    for _ in range(30):
        batch.step(np.zeros((1, model.spec.capacity), np.int16))
        told.update(
            event.district
            for event in decoder.events(batch.journal, 0)
            if event.kind == "perturbation.started"
        )
    assert told == {0: 10, 1: 10}


# What events do.


def test_a_spike_makes_its_keys_dear_and_says_so_at_both_ends():
    town = calm()
    perturb(town, "price_spike", duration=3, magnitude=1500)
    town.step()
    (started,) = town.heard("perturbation.started")
    assert (started.event_id, started.kind_, started.district, started.magnitude, started.source) == (
        "evt_1", "price_spike", 0, 1500, "manual",
    )  # fmt: skip
    assert (started.targets, started.ends_at) == (("grocer", "cafe"), 3)
    dear = {event.key: (event.base, event.price, event.reason) for event in town.heard("economy.price")}
    assert dear == {"cafe.meal": (900, 1350, "spike_start"), "grocer.ingredients": (150, 225, "spike_start")}
    assert (town.price("cafe.meal"), town.price("home.meal")) == (1350, 400)
    town.run(3)
    assert town.price("cafe.meal") == 900
    assert town.when("economy.price", reason="spike_end") == [3, 3]
    assert town.when("perturbation.ended", event_id="evt_1") == [3]


def test_a_price_that_is_edited_during_a_spike_holds_after_it():
    town = calm()
    perturb(town, "price_spike", duration=4, magnitude=2000)
    town.step()
    town.set_price("cafe.meal", 500)
    town.step()
    (edit,) = town.heard("economy.price")
    assert (edit.key, edit.base, edit.price, edit.reason) == ("cafe.meal", 500, 1000, "edit")
    town.run(3)
    assert town.price("cafe.meal") == 500


def test_two_spikes_multiply_in_the_order_of_their_events():
    town = calm()
    perturb(town, "price_spike", duration=9, magnitude=1333)
    perturb(town, "price_spike", duration=5, magnitude=1777)
    town.step()
    first = (900 * 1333 + 500) // 1000
    assert town.price("cafe.meal") == (first * 1777 + 500) // 1000
    town.run(5)
    assert town.price("cafe.meal") == first


def test_an_outage_ends_a_shower_with_its_money_and_the_water_is_back_at_its_end():
    town = calm((2, 2))
    town.step({0: "use:it"})
    perturb(town, "outage", duration=6)
    town.step()
    (failed,) = town.heard("affordance.fail")
    assert (failed.agent_id, failed.reason, failed.progress) == (agent(0), "utility_lost", 1)
    kinds = town.kinds()
    assert kinds.index("perturbation.started") < kinds.index("affordance.fail")
    water = []
    for _ in range(7):
        water.append(int(town.state.districts[0, 0].utility[1]))
        town.step()
    assert water == [0, 0, 0, 0, 0, 0, 1]


def test_two_outages_overlap_and_water_is_back_when_the_last_one_ends():
    town = calm()
    perturb(town, "outage", duration=4)
    perturb(town, "outage", duration=3, starts_in=3)
    water = []
    for _ in range(8):
        town.step()
        water.append(int(town.state.districts[0, 0].utility[1]))
    assert water == [0, 0, 0, 0, 0, 0, 1, 1]
    assert town.when("perturbation.ended") == [4, 6]


def test_a_closure_dismisses_who_waits_and_lets_who_uses_finish():
    town = calm((2, 2), (4, 2), (3, 2))
    town.step({0: "use:it"})
    town.step({1: "use:it"})
    perturb(town, "closure", duration=5, targets=(town.number_of("shower_1"),))
    town.step()
    (left,) = town.heard("queue.leave")
    assert (left.agent_id, left.object_id, left.reason) == (agent(1), "shower_1", "closed")
    assert town.stage(0) == "running"
    assert bool(town.thing("shower_1").closed)
    town.run(25)
    assert town.when("affordance.finish", agent_id=agent(0)) == [19]
    assert not town.thing("shower_1").closed


def test_a_closure_by_the_scheduler_draws_one_of_the_objects():
    town = eventful(specs=only("closure", duration=[1, 1]), seed=4)
    town.run(40)
    key, entity = stream_key("events"), SPECS.index("closure")
    ids = [name for name in town.model.object_ids if name.startswith(("shower", "counter"))]
    closed = [event.targets for tick, event in town.log if event.kind == "perturbation.started"]
    assert closed == [(ids[integer(0, 1, 4, key, tick, entity, 4)],) for tick in range(40)]
    assert set(closed) == {("shower_1",), ("counter_1",)}


def test_who_cancels_an_event_under_way_undoes_it_at_once():
    town = calm()
    perturb(town, "blackout", duration=50)
    perturb(town, "price_spike", duration=50, magnitude=2000)
    town.step()
    cancel(town, 1)
    cancel(town, 2)
    town.step()
    assert town.kinds()[:6] == [
        "perturbation.cancelled", "perturbation.ended", "perturbation.cancelled", "perturbation.ended",
        "economy.price", "economy.price",
    ]  # fmt: skip
    assert [event.pending for event in town.heard("perturbation.cancelled")] == [False, False]
    assert not town.state.effects.tobytes().strip(b"\0")
    assert not town.state.perturbations.tobytes().strip(b"\0")
    assert (int(town.state.districts[0, 0].utility[0]), town.price("cafe.meal")) == (1, 900)


def test_an_event_that_waits_can_be_cancelled_and_never_starts():
    town = calm()
    perturb(town, "blackout", duration=5, starts_in=3)
    town.step()
    assert [event.starts_at for event in town.heard("perturbation.scheduled")] == [3]
    cancel(town, 1)
    town.run(6)
    assert [event.pending for _, event in town.log if event.kind == "perturbation.cancelled"] == [True]
    assert town.when("perturbation.started") == town.when("perturbation.ended") == []


def test_an_event_that_does_not_exist_is_not_cancelled():
    town = calm()
    for number in (0, 1, 2**61):
        cancel(town, number)
    town.step()
    assert town.engine.answers.tolist() == [codes.NO_EVENT] * 3


def test_a_full_list_refuses():
    town = calm()
    for _ in range(codes.EVENTS_PER_DISTRICT + 1):
        perturb(town, "blackout", duration=3)
    town.step()
    assert town.engine.answers.tolist() == [*[codes.EXECUTED] * codes.EVENTS_PER_DISTRICT, codes.NO_ROOM]
    assert town.engine.events.tolist() == [*range(1, codes.EVENTS_PER_DISTRICT + 1), 0]
    town.run(4)
    perturb(town, "blackout", duration=3)
    town.step()
    assert town.engine.events.tolist() == [codes.EVENTS_PER_DISTRICT + 1]


# Invitations.


def invitation(town: Town, slot: int) -> tuple[int, int, int, bool]:
    r = town.resident(slot)
    return int(r.invite), int(r.invite_place), int(r.invite_until), bool(r.meets)


def place_of(town: Town, kind: str) -> int:
    return [place.kind for place in town.model.plan.places].index(kind)


def test_the_two_with_the_most_rivalry_are_asked_to_meet_in_the_cafe():
    town = eventful(specs=only("arranged_meet", duration=[9, 9]))
    town.set_tie(0, 1, rivalry=0.5)
    town.set_tie(1, 2, rivalry=0.3)
    town.set_tie(2, 1, rivalry=0.3)
    town.step()
    (started,) = town.heard("perturbation.started")
    assert started.targets == (agent(1), agent(2), "cafe")
    cafe = place_of(town, "cafe")
    assert [invitation(town, slot) for slot in range(3)] == [
        (0, 0, 0, False), (1, cafe, 9, True), (1, cafe, 9, True),
    ]  # fmt: skip
    assert [bool(town.resident(slot).ctx_reset) for slot in range(3)] == [False, True, True]
    features = town.model.spec.feature_names.index("invited")
    assert town.engine.arrays.features[0, :3, features].tolist() == [0, 1, 1]
    town.run(9)
    assert [invitation(town, slot) for slot in range(3)] == [(0, 0, 0, False)] * 3


def test_of_equal_pairs_the_lower_serials_are_asked():
    town = eventful(specs=only("arranged_meet"))
    for owner, other in ((2, 1), (1, 0), (0, 2)):
        town.set_tie(owner, other, rivalry=0.25)
    town.step()
    assert town.heard("perturbation.started")[0].targets[:2] == (agent(0), agent(1))


def test_who_met_is_not_asked_again_for_a_while():
    town = eventful(specs=only("arranged_meet", duration=[3, 3]), agent_cooldown_ticks=10)
    town.set_tie(0, 1, rivalry=0.9)
    town.set_tie(1, 2, rivalry=0.1)
    town.run(30)
    asked = {tick: event.targets[:2] for tick, event in town.log if event.kind == "perturbation.started"}
    assert asked == {0: (agent(0), agent(1)), 13: (agent(0), agent(1)), 26: (agent(0), agent(1))}


def test_who_meets_does_not_avoid_the_other_until_it_is_over():
    town = calm((1, 2), (2, 2), (4, 3))
    town.set_profile(0, "balanced")
    town.set_tie(0, 1, rivalry=0.95)
    assert "talk" not in town.mask(0)
    perturb(town, "arranged_meet", duration=4, targets=(0, 1))
    town.step()
    assert "talk" in town.mask(0)
    avoided = np.asarray(town.world._view.columns["tie_avoided"])
    assert avoided[0, 0] == 0
    town.run(4)
    assert "talk" not in town.mask(0)
    assert avoided[0, 0] == 1


def test_a_step_away_from_who_is_met_is_no_avoidance():
    for meets in (True, False):
        town = calm((1, 2), (4, 2), (4, 3))
        town.set_profile(0, "balanced")
        town.set_tie(0, 1, rivalry=0.95)
        if meets:
            perturb(town, "arranged_meet", duration=9, targets=(0, 1))
        town.step()
        town.step({0: "move_west"})
        assert bool(town.heard("social.avoidance")) != meets


def test_a_meeting_of_somebody_who_left_is_cancelled_before_it_starts_and_goes_on_after():
    town = calm()
    perturb(town, "arranged_meet", duration=9, starts_in=2, targets=(0, 1))
    perturb(town, "arranged_meet", duration=9, targets=(1, 2))
    town.step()
    town.remove(1)
    town.run(3)
    assert town.when("perturbation.cancelled", event_id="evt_1", pending=True) == [2]
    assert invitation(town, 2)[0] == 2
    assert invitation(town, 1) == (0, 0, 0, False)


def test_a_festival_invites_all_who_are_not_invited_already_and_cheers_talk_up():
    town = calm((5, 4), (6, 4), (3, 2))
    perturb(town, "arranged_meet", duration=50, targets=(1, 2))
    town.step()
    perturb(town, "festival", duration=20)
    town.step()
    park = place_of(town, "park")
    assert invitation(town, 0) == (2, park, 21, False)
    assert [invitation(town, slot)[0] for slot in (1, 2)] == [1, 1]


@pytest.mark.parametrize("festive", [True, False])
def test_both_in_the_place_of_a_festival_talk_with_a_better_chance(festive):
    """Of the seeds whose draw lies between the two chances, a talk goes well at a festival only."""
    key = stream_key("social")
    seeds = [seed for seed in range(200) if 0.7 < unit(seed, key, 1, 0, 0) < 0.8]
    assert len(seeds) > 5
    for seed in seeds[:6]:
        town = Town(ROWS, ((5, 4), (6, 4)), manifest=LONG, seed=seed)
        if festive:
            perturb(town, "festival", duration=20)
        town.step()
        town.step({0: "talk"})
        (chat,) = town.heard("social.chat")
        assert chat.success == festive


def test_an_event_with_numbers_that_its_spec_cannot_have_is_refused():
    town = calm()
    for wrong in (
        {"name": "blackout", "duration": 0},
        {"name": "blackout", "targets": (2,)},
        {"name": "closure", "targets": (99,)},
        {"name": "festival", "targets": (0,)},
        {"name": "price_spike", "magnitude": 10_001},
        {"name": "festival", "place": 99},
    ):
        with pytest.raises(ArgumentError, match="expected -1 to"):
            perturb(town, wrong.pop("name"), **wrong)


def test_one_town_of_a_batch_has_the_events_that_it_would_have_alone():
    specs = {name: {"chance": 200, "cooldown": 9, "duration": [2, 20]} for name in SPECS}
    model = build_model(
        ROWS, 5, manifest=LONG, features={"perturbations": True},
        perturbations={**OFTEN, "max_concurrent": 3, "specs": specs},
    )  # fmt: skip
    batch = TownBatch(model, 3)
    batch.reset(7)
    alone = TownBatch(model, 1)
    alone.reset(8)
    nothing = np.zeros((3, model.spec.capacity), np.int16)
    for _ in range(200):
        batch.step(nothing)
        alone.step(nothing[:1])
    assert int(alone.state.towns["last_event"][0]) > 5
    for name in ("perturbations", "spec_ready", "starts", "residents", "districts", "price", "objects"):
        assert getattr(batch.state, name)[1].tobytes() == getattr(alone.state, name)[0].tobytes(), name
