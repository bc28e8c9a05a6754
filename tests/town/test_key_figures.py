"""The KPIs count what the rules call meals, shifts, waits and well-being."""

from array import array
from dataclasses import replace

import pytest

from townlet_adapters.worlds.town.events.affordance import AffordanceFail, AffordanceFinish, AffordanceStart
from townlet_adapters.worlds.town.events.economy import EconomyDay
from townlet_adapters.worlds.town.events.employment import (
    EmploymentAbsent,
    EmploymentArrived,
    EmploymentJobLoss,
    EmploymentLateStart,
    EmploymentShiftEnd,
)
from townlet_adapters.worlds.town.events.lifecycle import LifecycleArrive, LifecycleExit
from townlet_adapters.worlds.town.events.queue import (
    QueueConflict,
    QueueGrant,
    QueueHandover,
    QueueJoin,
    QueueLeave,
)
from townlet_adapters.worlds.town.events.social import SocialAvoidance, SocialChat, SocialSharedMeal
from townlet_adapters.worlds.town.observers.kpis import KpiObserver
from townlet_adapters.worlds.town.observers.society import ties_now
from townlet_core.dto.observation import ObservationBatch, View
from townlet_core.dto.outcome import StepOutcome, TickSummary
from townlet_core.dto.spec import NeedSpec, OptionSpec, WorldSpec
from townlet_core.testing.fakes import readonly

NEEDS = ("hunger", "hygiene", "energy")
IDLE, REST, NONE = 0, 1, -1
DAY = 4
WELL = (1.0, 1.0, 1.0)


class Town:
    """Feeds an observer with ticks made by hand."""

    def __init__(self, needs=NEEDS, options=("idle", "rest"), slots=2):
        declared = {"needs": tuple(NeedSpec(need, "rest") for need in needs)}
        declared["options"] = tuple(map(OptionSpec, options))
        self.spec = WorldSpec("hand", 1, slots, ("wait",), (), ticks_per_day=DAY, **declared)
        self.observer = KpiObserver()
        self.observer.begin(self.spec)
        self.tick = 0

    def live(self, *rows, events=(), serials=None, options=None):
        """Execute one tick; a row of needs for each slot, None for a dead one."""
        slots, kinds = self.spec.capacity, len(self.spec.needs)
        rows = rows or ((0.0,) * kinds,) * slots
        alive = [int(row is not None) for row in rows]
        flat = [value for row in rows for value in (row or (0.0,) * kinds)]
        self.tick += 1
        nothing = readonly(array("B", [0] * slots), slots)
        needs = readonly(array("d", flat), slots, kinds) if kinds else memoryview(b"")
        observation = ObservationBatch(
            tick=self.tick,
            map=nothing,
            features=nothing,
            mask=nothing,
            alive=readonly(array("B", alive), slots),
            serial=readonly(array("q", serials or [1, 2, 3, 4][:slots]), slots),
            agent_ids=("",) * slots,
            view=View({}, {"needs": needs, "option": readonly(array("b", options or [IDLE] * slots), slots)}),
        )
        outcome = StepOutcome(observation, nothing, nothing, nothing, tuple(events), TickSummary())
        assert self.observer.observe(outcome, self.tick - 1) == ()

    def needing(self, *needs, **options):
        """Execute one tick in which the slots' lowest needs are these."""
        self.live(*(None if need is None else (1.0, need, 0.5) for need in needs), **options)

    @property
    def kpis(self):
        return self.observer.kpis()


def finish(affordance):
    return AffordanceFinish("a", "o", affordance, {})


def shift_end(agent, paid=10):
    return EmploymentShiftEnd(agent, "clerk", paid, paid, 0.5, 0)


def test_meals_showers_and_sleep_are_counted_where_they_were_completed():
    town = Town()
    done = ["eat_meal", "buy_meal", "buy_meal", "cook_meal", "use_shower", "rest_sleep", "relax"]
    town.live(events=map(finish, done))
    town.live(events=[AffordanceFail("a", "o", "eat_meal", "left", None, 3, 0)])
    counts = {"meals_eaten": 3, "meals_at_cafe": 2, "meals_cooked": 1, "showers": 1, "sleeps": 1}
    assert counts.items() <= town.kpis.items()
    assert town.kpis["meals_eaten_per_agent_day"] == 3 / (2 * 2 / DAY)


def test_a_use_waited_when_a_queue_served_it_and_it_began():
    town = Town()
    start = [AffordanceStart(agent, "o", "use_shower", 30, 0, 0) for agent in "abcd"]
    join = [QueueJoin(agent, "o", "use_shower", 0) for agent in "abc"]
    grant = [
        QueueGrant(agent, "o", "use_shower", waited)
        for agent, waited in zip("abc", (10, 30, 50), strict=True)
    ]
    town.live(events=[*join, *grant, QueueLeave("c", "o", "timeout", 50), *start])
    expected = {
        "queue_joins": 3,
        "uses": 4,
        "uses_waited": 2,
        "uses_waited_share": 0.5,
        "wait_mean": 20,
        "wait_longest": 30,
    }
    assert expected.items() <= town.kpis.items()


def test_conflicts_are_counted_by_reason():
    town = Town()
    town.live(
        events=[QueueConflict("a", "b", None, reason, 0, 1.0) for reason in ("waiting", "jostle", "jostle")]
    )
    assert town.kpis["conflicts"] == {"jostle": 2, "waiting": 1}


def test_shifts_count_when_they_end_and_late_and_absent_are_told_apart():
    town = Town()
    town.live(
        events=[
            EmploymentArrived("punctual", "clerk", 0, "on_time"),
            EmploymentLateStart("late", "clerk", 0),
            EmploymentArrived("late", "clerk", 9, "late"),
            EmploymentLateStart("absent", "clerk", 0),
            EmploymentAbsent("absent", "clerk", 200, 1),
            EmploymentLateStart("going on", "clerk", 0),
        ]
    )
    town.live(events=[shift_end("punctual"), shift_end("late"), shift_end("absent", paid=0)])
    town.live(events=[shift_end("punctual")])
    expected = {
        "shifts_ended": 4,
        "shifts_worked": 3,
        "shifts_late": 2,
        "shifts_absent": 1,
        "shifts_late_or_absent_share": 0.5,
        "paid_ticks": 30,
        "attendance_mean": 0.5,
    }
    assert expected.items() <= town.kpis.items()


def test_a_lost_job_takes_the_shift_with_it():
    town = Town()
    town.live(events=[EmploymentLateStart("a", "clerk", 0), EmploymentJobLoss("a", "clerk", "reviewed")])
    town.live(events=[shift_end("a")])
    assert town.kpis["shifts_late"] == 0


def test_wages_are_those_of_the_days_books():
    town = Town()
    town.live()
    assert "wages_paid" not in town.kpis
    town.live(events=[EconomyDay(0, {"wage": 3600, "rent": 1}, 0, 0, 0)])
    town.live(events=[EconomyDay(1, {"rent": 1}, 0, 0, 0)])
    assert town.kpis["wages_paid"] == 3600


def test_needs_are_told_by_lowest_and_mean():
    town = Town()
    town.needing(0.5, 0.25)
    town.needing(0.5, 0.75)
    assert town.kpis["need_lowest"] == 0.25
    assert town.kpis["need_mean"] == {"hunger": 1.0, "hygiene": 0.5, "energy": 0.5}


def test_dead_slots_have_no_needs():
    town = Town()
    town.needing(0.5, None)
    assert town.kpis["need_lowest"] == 0.5
    assert town.kpis["agent_days"] == 1 / DAY


def test_the_share_of_the_well_counts_who_lived_through_the_whole_day():
    town = Town(slots=4)
    for hygiene in (0.9, 0.25, 0.9, 0.9):
        town.needing(0.9, hygiene, 0.9, 0.9)
    assert town.kpis["well_all_day_share"] == 0.75
    town.needing(0.9, 0.9, 0.9, 0.9)
    town.needing(0.9, 0.9, 0.25, None)
    town.needing(0.9, 0.9, 0.9, 0.1, serials=[1, 2, 3, 5])
    assert town.kpis["well_all_day_share"] == 0.75
    town.needing(0.9, 0.9, 0.9, 0.9, serials=[1, 2, 3, 5])
    assert town.kpis["well_all_day_share"] == pytest.approx((0.75 + 2 / 3) / 2)


def test_starvation_is_thirty_ticks_of_hunger_in_a_row():
    town = Town()
    hungry, fed = (0.125, 1.0, 1.0), WELL
    for _ in range(29):
        town.live(hungry, fed)
    town.live(fed, fed)
    for _ in range(29):
        town.live(hungry, fed)
    assert town.kpis["starvation_incidents"] == 0
    town.live(hungry, fed)
    town.live(hungry, fed)
    assert town.kpis["starvation_incidents"] == 1


def test_a_newcomer_does_not_inherit_hunger():
    town = Town(slots=1)
    hungry = (0.125, 1.0, 1.0)
    for _ in range(29):
        town.live(hungry)
    town.live(hungry, serials=[9])
    assert town.kpis["starvation_incidents"] == 0


def test_a_switch_is_another_option_than_the_last_one():
    town = Town(slots=1)
    for option in (NONE, IDLE, IDLE, REST, NONE, REST, IDLE):
        town.live(WELL, options=[option])
    assert (town.kpis["option_switches"], town.kpis["option_switch_rate"]) == (2, 2 / 7)
    town.live(WELL, options=[REST], serials=[9])
    assert town.kpis["option_switches"] == 2


def test_a_number_that_is_no_option_of_the_town_is_no_switch():
    town = Town(slots=1)
    for option in (IDLE, 2, IDLE):
        town.live(WELL, options=[option])
    assert town.kpis["option_switches"] == 0


def test_every_declared_need_is_reported_and_only_hunger_starves():
    town = Town(needs=("fun", "energy"), slots=1)
    for _ in range(40):
        town.live((0.0, 0.5))
    assert town.kpis["need_mean"] == {"fun": 0.0, "energy": 0.5}
    assert (town.kpis["need_lowest"], town.kpis["well_all_day_share"]) == (0.0, 0.0)
    assert "starvation_incidents" not in town.kpis


def test_a_town_without_needs_has_no_such_numbers():
    town = Town(needs=(), options=())
    town.live()
    assert "need_lowest" not in town.kpis
    assert town.kpis["option_switches"] == 0


def test_nothing_is_known_before_the_first_tick():
    assert Town().kpis["agent_days"] == 0
    assert "need_lowest" not in Town().kpis


# Society.


def test_what_residents_do_with_each_other_is_counted():
    town = Town()
    town.live(WELL, WELL, events=[SocialChat("a", "b", success=True, quality=0.5)])
    town.live(WELL, WELL, events=[SocialChat("a", "b", success=False, quality=0.5)])
    town.live(WELL, WELL, events=[SocialSharedMeal(("a", "b"), "cafe"), QueueHandover("a", "b", "o", 1)])
    town.live(WELL, WELL)
    counted = {name: town.kpis[name] for name in ("chats", "chats_well", "shared_meals", "handovers")}
    assert counted == {"chats": 2, "chats_well": 1, "shared_meals": 1, "handovers": 1}
    assert (town.kpis["chats_per_agent_day"], town.kpis["chats_well_share"]) == (1.0, 0.5)


def test_a_quarrel_is_avoided_by_who_avoids_twice():
    town = Town()
    town.live(events=[QueueConflict("a", "b", None, "jostle", 0, 0.75), SocialAvoidance("a", "b", 4)])
    assert (town.kpis["quarrels_avoided_share"], town.kpis["avoidances"]) == (0.0, 1)
    town.live(events=[SocialAvoidance("a", "b", 4), SocialAvoidance("c", "b", 4)])
    assert (town.kpis["quarrels_avoided_share"], town.kpis["avoidances"]) == (0.5, 3)
    assert "quarrels_avoided_share" not in Town().kpis


def test_of_who_left_only_the_numbers_are_kept():
    town = Town()
    clash = QueueConflict("a", "b", None, "jostle", 0, 0.75)
    town.live(events=[clash, SocialAvoidance("a", "b", 4), SocialAvoidance("a", "b", 4)])
    town.live(events=[LifecycleExit("b", 1, "killed", 7, 0, 0.0), SocialAvoidance("a", "c", 4)])
    assert (town.kpis["quarrels_avoided_share"], town.kpis["avoidances"]) == (0.5, 3)
    assert "b" not in str(town.observer.export_state()["society"]["quarrels"])
    assert town.observer.export_state()["society"]["avoided"] == {"a c": 1}


def test_who_came_and_who_left_is_counted_by_reason():
    town, heir = Town(), Town()
    assert (town.kpis["arrivals"], town.kpis["exits"]) == (0, {})
    for reason in ("killed", "age_out", "age_out"):
        town.live(events=[LifecycleExit("b", 1, reason, 7, 0, 0.0)])
    came = LifecycleArrive("c", 2, 1, "Cleo", 0, (0, 0), "stoic", None, 5, "replacement")
    town.live(events=[came, replace(came, reason="start")])
    assert (town.kpis["arrivals"], town.kpis["exits"]) == (1, {"age_out": 2, "killed": 1})
    state = town.observer.export_state()
    heir.observer.import_state(state)
    assert heir.kpis["exits"] == town.kpis["exits"]
    del state["lives"]
    heir.observer.import_state(state)
    assert heir.kpis["exits"] == {}


def test_society_is_saved_and_a_state_of_before_has_counted_none():
    town, heir = Town(), Town()
    town.live(events=[SocialChat("a", "b", success=True, quality=0.5)])
    state = town.observer.export_state()
    heir.observer.import_state(state)
    assert heir.kpis["chats"] == 1
    heir.observer.import_state({name: value for name, value in state.items() if name != "society"})
    assert heir.kpis["chats"] == 0


def test_ties_are_those_of_the_last_instant():
    rows = {
        "trust": (0.5, 0.1, 0.0, 0.0),
        "familiarity": (0.3, 0.1, 0.0, 0.0),
        "rivalry": (0.0, 0.0, 0.2, 0.0),
    }
    view = View({}, {f"tie_{part}": readonly(array("d", values), 2, 2) for part, values in rows.items()})
    assert ties_now(view, 2) == {"strong_ties_share": 0.5, "rivalry_highest": 0.2, "trust_highest": 0.5}
    assert ties_now(view, 0) == ties_now(View({}, {}), 2) == {}
