"""Which option a resident chooses: one test for each rule, in the order of the rules."""

import pytest

from townlet_adapters.policies.scripted.options import ScriptedOptions
from townlet_adapters.policies.scripted.policy import ScriptedPolicy
from townlet_core import seeding

GET_FED, GET_CLEAN, REST, GO_TO_WORK, SHOP, SOCIALISE, IDLE = 0, 1, 2, 3, 4, 5, 7
MORNING, NOON, NIGHT = 400, 700, 1400
HUNGER, HYGIENE, ENERGY = 0, 1, 2
BARISTA, NIGHT_WATCH, EARLY_BIRD = 0, 1, 2
FIRST_SHIFT = 480
WAIT, LEAVE = 0, 5


@pytest.fixture
def decide():
    """Let a new policy decide once and hand back (option, goal, commitment, action) of slot 0."""

    def once(town, tick, **options):
        policy = ScriptedPolicy(ScriptedOptions(**options))
        policy.begin(town.spec, 7)
        actions = policy.decide(town.observe(tick)).actions
        context = actions.context
        return context.option[0], context.goal[0], context.commit_remaining[0], actions.action[0]

    return once


def test_a_resident_without_wishes_idles(town, decide):
    assert decide(town, MORNING)[0] == IDLE


@pytest.mark.parametrize(("need", "option"), [(HUNGER, GET_FED), (HYGIENE, GET_CLEAN), (ENERGY, REST)])
def test_a_critical_need_goes_before_the_shift(town, decide, need, option):
    town.job[0] = BARISTA
    assert decide(town, FIRST_SHIFT)[0] == GO_TO_WORK
    town.needs[0, need] = 0.1
    assert decide(town, FIRST_SHIFT)[0] == option


def test_of_two_critical_needs_the_lowest_counts(town, decide):
    town.needs[0] = 0.14, 0.9, 0.1
    assert decide(town, MORNING)[0] == REST


def test_a_critical_need_that_nothing_can_be_done_about_does_not_keep_anybody_from_work(town, decide):
    town.job[0] = BARISTA
    town.needs[0, HYGIENE] = 0.1
    town.object_open[town.object("W")] = 0
    assert decide(town, FIRST_SHIFT)[0] == GO_TO_WORK


def test_the_critical_level_is_an_option(town, decide):
    town.job[0] = BARISTA
    town.needs[0, HUNGER] = 0.26
    assert decide(town, FIRST_SHIFT)[0] == GO_TO_WORK
    assert decide(town, FIRST_SHIFT, critical=0.3)[0] == GET_FED


def test_work_calls_from_lead_and_path_before_the_shift_until_its_end(town, decide):
    town.job[0] = BARISTA
    path = town.constants["field_steps"][len(town.constants["object_type"]) + 3, 2, 2]
    leave = FIRST_SHIFT - 20 - path
    chosen = [decide(town, tick)[0] for tick in (leave - 1, leave, 639, 640)]
    assert chosen == [IDLE, GO_TO_WORK, GO_TO_WORK, IDLE]


def test_work_calls_through_midnight(town, decide):
    town.job[0] = NIGHT_WATCH
    chosen = [decide(town, tick)[0] for tick in (1350, 1360, 1439, 1440, 1559, 1560)]
    assert chosen == [IDLE, GO_TO_WORK, GO_TO_WORK, GO_TO_WORK, GO_TO_WORK, IDLE]


def test_a_need_below_the_threshold_is_tended_to_and_the_lowest_first(town, decide):
    town.needs[0] = 0.44, 0.46, 0.46
    assert decide(town, NOON)[0] == GET_FED
    town.needs[0] = 0.24, 0.23, 0.22
    assert decide(town, NOON)[0] == REST


def test_the_next_lowest_need_is_tended_to_when_the_lowest_has_no_plan(town, decide):
    town.needs[0] = 0.24, 0.23, 0.22
    town.object_powered[town.object("B")] = 0
    assert decide(town, NOON)[0] == GET_CLEAN


def test_before_a_shift_more_of_each_need_is_wanted(town, decide):
    town.needs[0, HYGIENE] = 0.6
    assert decide(town, 300)[0] == IDLE
    town.job[0] = BARISTA
    assert decide(town, 300)[0] == GET_CLEAN
    assert decide(town, 480 - 241)[0] == IDLE


def test_at_night_a_tired_resident_sleeps_and_by_day_it_does_not(town, decide):
    town.needs[0, ENERGY] = 0.55
    assert decide(town, NIGHT)[0] == REST
    assert decide(town, 1440 + 100)[0] == REST
    assert decide(town, NOON)[0] == IDLE


MAKING = 1440 + NOON
"""Noon of a day on which resident 0 makes things; on the day before it does not."""


@pytest.mark.parametrize("wallet", [1000, 4999, 50_000])
def test_by_day_somebody_without_a_meal_shops_whatever_its_wallet_holds(town, decide, wallet):
    town.wallet[0] = wallet
    assert decide(town, MAKING)[:2] == (SHOP, town.object("X"))
    town.inventory[0] = 0, 2
    assert decide(town, MAKING)[:2] == (SHOP, town.object("S"))
    town.inventory[0] = 1, 2
    assert decide(town, MAKING)[0] == IDLE


def test_on_half_of_the_days_somebody_makes_things(town, decide):
    days = [decide(town, 1440 * day + NOON)[0] == SHOP for day in range(100)]
    drawn = [seeding.unit(7, seeding.POLICY, day, int(town.serial[0]), 11) < 0.5 for day in range(100)]
    assert days == drawn
    assert 30 < sum(days) < 70


@pytest.mark.parametrize(
    ("wallet", "tick"), [(5000, NOON), (999, MAKING), (4999, 1440 + 479), (4999, 1440 + 1260)]
)
def test_nobody_shops_on_another_day_or_who_is_poor_or_at_night(town, decide, wallet, tick):
    town.wallet[0] = wallet
    assert decide(town, tick)[0] == IDLE


def test_an_outgoing_resident_goes_out_more_often_than_a_balanced_one_and_a_shy_one_never(crowd, decide):
    crowd.inventory[:] = 1, 0

    def share(extroversion, hours):
        crowd.extroversion[0] = extroversion
        ticks = [day * 1440 + hour * 60 for day in range(60) for hour in hours]
        return sum(decide(crowd, tick)[0] == SOCIALISE for tick in ticks) / len(ticks)

    by_day, in_the_evening = (9, 12, 15), (18,)
    assert share(-0.51, by_day) == 0
    assert share(0.0, by_day) == pytest.approx(0.4, abs=0.1)
    assert share(1.0, by_day) == pytest.approx(0.7, abs=0.1)
    assert share(0.0, in_the_evening) == pytest.approx(0.7, abs=0.15)


def test_leisure_is_kept_for_its_part_of_the_day(crowd, decide):
    crowd.inventory[:] = 1, 0
    crowd.extroversion[0] = 0.5
    for part in range(3, 40):
        found = {decide(crowd, 180 * part + ticks)[0] == SOCIALISE for ticks in (0, 50, 120, 179)}
        assert len(found) == 1 or not 3 <= part % 8 <= 5


def test_leisure_ends_some_time_before_the_night(crowd, decide):
    crowd.inventory[:] = 1, 0
    crowd.extroversion[0] = 1.0
    for day in range(40):
        minutes = [m for m in range(1080, 1260) if decide(crowd, 1440 * day + m)[0] == SOCIALISE]
        if minutes:
            way = int(crowd.fields[crowd.object("N"), 2, 2])
            assert minutes[-1] + way + 20 + 75 == night_of(crowd, day)


def night_of(town, day, begins=1290):
    """The minute at which the night of resident 0 begins."""
    return begins + seeding.integer(0, 45, 7, seeding.POLICY, day + 1, int(town.serial[0]), 4)


def test_the_night_begins_earlier_before_an_early_shift(town, decide):
    def first_rest(day):
        return next(m for m in range(1200, 1440) if decide(town, 1440 * day + m)[0] == REST)

    town.needs[0, ENERGY] = 0.55
    days = range(1, 20)
    assert [first_rest(day) for day in days] == [night_of(town, day) for day in days]
    town.job[0] = EARLY_BIRD
    assert [first_rest(day) for day in days] == [night_of(town, day, begins=1270) for day in days]


def test_a_tired_resident_prepares_for_the_night_from_the_late_afternoon_on(town, decide):
    town.needs[0] = 0.7, 0.9, 0.41
    assert decide(town, 1020)[0] == IDLE
    town.needs[0, ENERGY] = 0.39
    assert decide(town, 1020)[0] == GET_FED
    assert decide(town, 1019)[0] == IDLE


def test_before_the_night_what_is_served_at_home_comes_last(town, decide):
    evening = night_of(town, 0) - 60
    town.needs[0] = 0.6, 0.5, 0.9
    assert decide(town, evening)[0] == GET_CLEAN
    town.object_open[[town.object("F"), town.object("S")]] = 0
    assert decide(town, evening)[:2] == (GET_FED, town.object("C"))
    assert decide(town, NOON)[0] == IDLE


def test_who_would_go_home_cares_for_needs_that_are_low_soon(town, decide):
    town.inventory[0] = 1, 0
    town.needs[0, HYGIENE] = 0.5
    assert decide(town, NOON)[0] == IDLE
    town.xy[0] = 8, 2
    assert decide(town, NOON)[0] == GET_CLEAN
    town.needs[0, HYGIENE] = 0.52
    assert decide(town, NOON)[0] == IDLE


def test_who_reached_a_busy_object_stays_unless_it_saves_time_elsewhere(town, decide):
    town.wallet[0], town.inventory[0], town.needs[0, HUNGER] = 4000, (1, 0), 0.4
    at_home, counter = town.object("F"), town.object("C")

    def leaves_from(option):
        town.option[0], town.goal[0], town.commit_remaining[0] = option, at_home, 9
        for wait in range(1, 400):
            town.object_wait[at_home] = wait
            if decide(town, NOON)[1] == counter:
                return wait
        return None

    assert leaves_from(GET_FED) == leaves_from(-1) + 20


@pytest.mark.parametrize(("wait", "action"), [(80, WAIT), (81, LEAVE)])
def test_a_long_queue_for_leisure_is_left(crowd, decide, wait, action):
    crowd.xy[0] = 8, 2
    crowd.claim(0, "N", "relax", 1)
    crowd.option[0] = SOCIALISE
    crowd.object_wait[crowd.object("N")] = wait
    assert decide(crowd, NOON)[3] == action


def test_in_a_slow_morning_a_resident_sets_out_later_and_comes_late(town, decide):
    town.job[0] = BARISTA
    usual, slow = set(), 0
    for day in range(1, 80):
        shift = 1440 * day + FIRST_SHIFT
        out = next(tick for tick in range(shift - 100, shift + 60) if decide(town, tick)[0] == GO_TO_WORK)
        drawn = seeding.unit(7, seeding.POLICY, day + 1, int(town.serial[0]), 6) < 0.07
        later = seeding.integer(26, 42, 7, seeding.POLICY, day + 1, int(town.serial[0]), 7) if drawn else 0
        slow += drawn
        usual.add(out - shift - later)
    assert len(usual) == 1
    assert slow > 1


def test_nobody_seeks_company_alone_in_town(town, decide):
    town.extroversion[0] = 1.0
    assert {decide(town, 480 + 60 * hour)[0] for hour in range(13)} == {IDLE}
