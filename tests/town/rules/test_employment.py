"""Shifts, fines, reviews and hiring (domain.md, section 10)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.town.village import JOBS, OFFICE, STREET, Village, found, of
from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.events import employment
from townlet_adapters.worlds.town.inputs.plan import load_town
from townlet_adapters.worlds.town.inputs.texts import TownOptions
from townlet_core import seeding

LENGTH = 180
AWAY, AT_WORK = STREET[0], OFFICE[0]


def never(_tod: int) -> bool:
    return False


def from_(*spans: tuple[int, int]) -> Callable[[int], bool]:
    """Present in each of the spans of tods, ends excluded."""
    return lambda tod: any(first <= tod < last for first, last in spans)


def one_clerk(**employment_options) -> Village:
    """A village whose other two residents have no say: only resident 0 is a clerk."""
    jobs = {"clerk": {**JOBS["clerk"], "capacity": 1}}
    town = Village(jobs=jobs, employment=employment_options)
    for slot in range(3):
        town.stand(slot, STREET[slot])
    return town


def live(town: Village, present: Callable[[int], bool], first: int, last: int) -> list[tuple[int, object]]:
    """Live the ticks [first, last), standing resident 0 at work or away; gives (tick, event)."""
    town.jump(first)
    told = []
    for tick in range(first, last):
        town.stand(0, AT_WORK if present(tick % 1440) else AWAY)
        told += [(tick, event) for event in town.step()]
    return told


def ticks_of(kind: type, told: list[tuple[int, object]]) -> list[int]:
    return [tick for tick, event in told if isinstance(event, kind)]


def only(kind: type, told: list[tuple[int, object]]):
    (event,) = [event for _, event in told if isinstance(event, kind)]
    return event


WHOLE = from_((360, 540))
GONE_AT_430 = from_((360, 431), (460, 540))


@pytest.mark.parametrize(
    ("tod", "present", "state"),
    [
        (339, never, "pre_shift"),
        (340, never, "await_start"),
        (359, never, "await_start"),
        (360, WHOLE, "on_time"),
        (360, never, "grace"),
        (365, never, "grace"),
        (365, from_((365, 540)), "on_time"),
        (366, never, "late"),
        (366, from_((366, 540)), "late"),
        (390, never, "late"),
        (391, never, "absent"),
        (391, from_((391, 540)), "late"),
        (431, GONE_AT_430, "late"),
        (450, GONE_AT_430, "late"),
        (451, GONE_AT_430, "absent"),
        (460, GONE_AT_430, "late"),
        (539, WHOLE, "on_time"),
        (540, WHOLE, "post_shift"),
        (779, never, "post_shift"),
        (780, never, "pre_shift"),
    ],
)
def test_the_state_of_a_shift_follows_the_truth_table(tod, present, state):
    town = one_clerk()
    live(town, present, 330, tod + 1)
    assert codes.SHIFT_STATES[town.resident(0).shift_state] == state


def test_somebody_late_stays_late_and_somebody_on_time_may_be_away_for_the_slack():
    """A late-comer's later ticks are late; a worker on time who returns within the slack is on time again."""
    town = one_clerk()
    live(town, from_((366, 540)), 360, 500)
    assert town.resident(0).shift_state == codes.LATE
    town = one_clerk()
    live(town, from_((360, 400), (420, 540)), 360, 421)
    assert town.resident(0).shift_state == codes.ON_TIME


def test_a_full_shift_on_time_pays_the_wage_of_every_tick_from_the_till_of_the_workplace():
    town = one_clerk()
    told = live(town, WHOLE, 350, 541)
    r = town.resident(0)
    assert r.wallet == 2000 + LENGTH * 20
    office = [place.id for place in town.model.plan.places].index("office")
    assert town.state.tills[0, office] == -LENGTH * 20
    assert only(employment.EmploymentArrived, told) == employment.EmploymentArrived(
        "a00000", "clerk", 0, "on_time"
    )
    end = only(employment.EmploymentShiftEnd, told)
    assert end == employment.EmploymentShiftEnd("a00000", "clerk", LENGTH, LENGTH, 1.0, 0)
    assert ticks_of(employment.EmploymentShiftEnd, told) == [539]
    assert (r.paid_ticks, r.on_time_ticks, r.first_x, r.withheld, r.lateness_counter) == (0, 0, -1, 0, 0)


def test_the_shipped_jobs_pay_what_the_rules_say():
    plan = load_town(TownOptions(), Path())
    assert {job.id: job.wage * job.length for job in plan.jobs} == {
        "grocer": 3600,
        "clerk": 3600,
        "barista": 3520,
    }


def test_the_first_late_tick_of_an_unattended_shift_costs_the_late_fine_once():
    town = one_clerk()
    told = live(town, from_((400, 540)), 360, 380)
    assert ticks_of(employment.EmploymentLateStart, told) == [366]
    assert only(employment.EmploymentLateStart, told).fine == 100
    r = town.resident(0)
    assert r.lateness_counter == 1
    late = 380 - 366
    assert r.wallet == 2000 - 100 - 5 * late
    assert (r.late_ticks_today, r.withheld) == (late, 20 * late)


def test_a_first_presence_that_is_late_costs_the_late_fine_too():
    town = one_clerk()
    told = live(town, from_((366, 540)), 360, 370)
    assert (
        ticks_of(employment.EmploymentLateStart, told)
        == ticks_of(employment.EmploymentArrived, told)
        == [366]
    )
    arrived = only(employment.EmploymentArrived, told)
    assert (arrived.offset, arrived.state) == (6, "late")
    r = town.resident(0)
    assert r.wallet == 2000 - 100 + 4 * 20
    assert (r.late_ticks_today, r.withheld, r.paid_ticks, r.on_time_ticks) == (0, 0, 4, 0)


def test_an_absence_costs_its_fine_once_a_shift_and_withholds_the_wages_without_further_fines():
    town = one_clerk()
    told = live(town, never, 360, 540)
    assert ticks_of(employment.EmploymentAbsent, told) == [391]
    absent = only(employment.EmploymentAbsent, told)
    assert (absent.fine, absent.stamps) == (200, 1)
    assert ticks_of(employment.EmploymentDepartedEarly, told) == []
    late = 391 - 366
    assert town.resident(0).wallet == 2000 - 100 - 5 * late - 200
    end = only(employment.EmploymentShiftEnd, told)
    assert (end.on_time_ticks, end.paid_ticks, end.attendance) == (0, 0, 0.0)
    assert end.withheld == 20 * (540 - 366)
    assert town.resident(0).withheld == 0


def test_somebody_who_leaves_early_is_late_for_the_slack_then_absent_and_paid_again_when_back():
    town = one_clerk()
    told = live(town, GONE_AT_430, 360, 540)
    r = town.resident(0)
    assert ticks_of(employment.EmploymentAbsent, told) == [451]
    assert ticks_of(employment.EmploymentDepartedEarly, told) == [451]
    assert only(employment.EmploymentDepartedEarly, told).remaining == 540 - 451
    assert ticks_of(employment.EmploymentLateStart, told) == [], "the shift was attended on time"
    assert r.lateness_counter == 0
    present, slack = 71 + 80, 20
    assert r.wallet == 2000 + 20 * present - 5 * slack - 200
    assert r.late_ticks_today == slack
    end = only(employment.EmploymentShiftEnd, told)
    assert (end.on_time_ticks, end.paid_ticks, end.withheld) == (71, present, 20 * 29)
    assert end.attendance == present / LENGTH


def test_a_fine_takes_at_most_what_the_wallet_holds():
    town = one_clerk()
    town.jump(366).resident(0).wallet = 60
    told = live(town, never, 366, 367)
    assert only(employment.EmploymentLateStart, told).fine == 60
    assert town.resident(0).wallet == 0
    told = live(town, never, 367, 392)
    assert only(employment.EmploymentAbsent, told).fine == 0


def test_attendance_is_the_mean_of_the_last_three_shifts():
    town = one_clerk()
    shares = []
    for day, leave in enumerate((540, 360 + 90, 360 + 45, 540)):
        told = live(town, from_((360, leave)), 1440 * day + 360, 1440 * day + 540)
        shares.append(only(employment.EmploymentShiftEnd, told).attendance)
    assert shares == pytest.approx([1.0, (1 + 0.5) / 2, (1 + 0.5 + 0.25) / 3, (0.5 + 0.25 + 1) / 3])


@pytest.mark.parametrize("earlier", [(), (90,), (90, 7), (90, 7, 45), (90, 7, 45, 111)])
def test_attendance_is_added_up_in_the_order_of_time_wherever_the_ring_of_samples_begins(earlier):
    town = one_clerk()
    for day, paid in enumerate((*earlier, 1, 2, 22)):
        town.jump(1440 * day + 539).stand(0, AT_WORK)
        town.resident(0).first_x, town.resident(0).paid_ticks = 0, paid - 1
        (end,) = of(employment.EmploymentShiftEnd, town.step())
        assert end.paid_ticks == paid
    one, two, three = 1 / LENGTH, 2 / LENGTH, 22 / LENGTH
    assert town.resident(0).attendance == (one + two + three) / 3
    assert (one + two + three) != (three + one + two)


def test_who_comes_six_minutes_late_attends_the_rest_of_the_shift():
    town = one_clerk()
    told = live(town, from_((366, 540)), 360, 540)
    end = only(employment.EmploymentShiftEnd, told)
    assert (end.on_time_ticks, end.paid_ticks, end.attendance) == (0, LENGTH - 6, (LENGTH - 6) / LENGTH)


def test_late_ticks_of_the_day_start_anew_at_midnight():
    town = one_clerk()
    live(town, never, 360, 380)
    assert town.resident(0).late_ticks_today == 14
    town.jump(1439).step()
    assert town.resident(0).late_ticks_today == 14
    town.step()
    assert town.resident(0).late_ticks_today == 0


def test_a_late_comer_is_helped_by_colleagues_of_the_same_job_who_are_there():
    town = Village().jump(360)
    town.stand(2, OFFICE[1]).stand(1, OFFICE[2]).stand(0, AWAY)
    told = live(town, from_((370, 540)), 360, 371)
    helped = only(employment.EmploymentHelped, told)
    assert helped == employment.EmploymentHelped("a00000", "clerk", ("a00002",)), (
        "the watchman does not count"
    )
    assert ticks_of(employment.EmploymentHelped, told) == [370]


def test_whoever_does_another_job_at_the_same_place_is_no_colleague():
    jobs = {"clerk": JOBS["clerk"], "cleaner": {**JOBS["clerk"], "capacity": 1}}
    town = Village(jobs=jobs)
    assert [town.model.job_ids[town.resident(slot).job] for slot in range(3)] == ["cleaner", "clerk", "clerk"]
    town.stand(0, OFFICE[0]).stand(2, OFFICE[1]).jump(360)
    told = town.wait(40)
    (covered,) = of(employment.EmploymentShiftCovered, told)
    assert covered == employment.EmploymentShiftCovered("a00001", "clerk", ("a00002",))


def test_nobody_is_helped_who_comes_on_time_or_finds_nobody():
    town = Village().jump(360)
    town.stand(2, OFFICE[1]).stand(0, AWAY)
    assert ticks_of(employment.EmploymentHelped, live(town, from_((365, 540)), 360, 367)) == []
    town = Village().jump(360)
    town.stand(2, STREET[2]).stand(0, AWAY)
    assert ticks_of(employment.EmploymentHelped, live(town, from_((370, 540)), 360, 372)) == []


def test_an_absence_is_covered_by_the_colleagues_who_are_there():
    town = Village().jump(360)
    town.stand(2, OFFICE[1]).stand(0, AWAY)
    told = live(town, never, 360, 395)
    covered = only(employment.EmploymentShiftCovered, told)
    assert covered == employment.EmploymentShiftCovered("a00000", "clerk", ("a00002",))
    assert ticks_of(employment.EmploymentShiftCovered, told) == [391]


def test_a_shift_may_pass_midnight():
    """The watch from 1380 to 120: 60 ticks of one day and 120 of the next are one shift."""
    town = Village().jump(1370)
    town.stand(1, (8, 1))
    told = [(tick, event) for tick in range(1370, 1440 + 121) for event in town.step()]
    ends = [(t, e) for t, e in told if isinstance(e, employment.EmploymentShiftEnd)]
    assert [(tick, event.agent_id, event.paid_ticks) for tick, event in ends] == [
        (1440 + 119, "a00001", LENGTH)
    ]
    assert ends[0][1].attendance == 1.0


def test_the_state_in_the_tick_before_the_shift_that_passes_midnight_is_told_modulo_the_day():
    town = Village()
    for tod, state in ((1359, "pre_shift"), (1360, "await_start"), (120, "post_shift"), (359, "post_shift"),
                       (360, "pre_shift")):  # fmt: skip
        town.jump(1440 + tod).step()
        assert codes.SHIFT_STATES[town.resident(1).shift_state] == state, tod


def test_a_shift_that_runs_when_the_job_is_taken_is_skipped():
    """At tick 0 the watch has been running for 60 ticks: nothing is paid or fined until its end."""
    town = Village().stand(1, (8, 1))
    told = town.wait(121)
    assert not of(employment.EmploymentArrived, told)
    assert (town.resident(1).wallet, town.resident(1).lateness_counter) == (2000, 0)
    assert town.resident(1).shift_state == codes.POST_SHIFT
    town.jump(1380).step()
    assert town.resident(1).shift_state == codes.ON_TIME


def test_a_shift_that_starts_in_the_tick_when_its_holder_comes_into_being_counts():
    jobs = {"clerk": {**JOBS["clerk"], "start": 0, "end": 180}}
    town = Village(jobs=jobs).stand(0, OFFICE[0])
    told = town.step()
    assert [event.offset for event in of(employment.EmploymentArrived, told)] == [0]
    assert town.resident(0).shift_state == codes.ON_TIME


def test_stamps_expire_after_seven_days():
    town = one_clerk(max_absent_shifts=20)
    counts = []
    for day in range(9):
        told = live(town, never, 1440 * day + 360, 1440 * day + 540)
        counts.append(only(employment.EmploymentAbsent, told).stamps)
    assert counts == [1, 2, 3, 4, 5, 6, 7, 7, 7]


def absent_days(town: Village, days: range) -> list[tuple[int, object]]:
    """Be absent on each of the days; gives what was told in their shifts."""
    return [event for day in days for event in live(town, never, 1440 * day + 360, 1440 * day + 540)]


def test_three_absences_bring_a_review_and_a_day_later_the_loss_of_the_job():
    town = one_clerk()
    told = absent_days(town, range(3))
    queued = 2 * 1440 + 391
    assert ticks_of(employment.EmploymentReview, told) == [queued]
    assert only(employment.EmploymentReview, told) == employment.EmploymentReview(
        "a00000", "clerk", "queued", 1
    )
    town.jump(queued + 1439).step()
    assert town.resident(0).job == 0
    told = town.step()
    assert of(employment.EmploymentJobLoss, told) == [
        employment.EmploymentJobLoss("a00000", "clerk", "reviewed")
    ]
    assert (town.resident(0).job, town.state.job_holders[0].tolist()) == (-1, [0])
    assert town.state.districts["reviews"][0, 0] == 0
    assert town.state.districts["losses_today"][0, 0] == 1


def test_a_review_is_withdrawn_when_absences_expire():
    town = one_clerk(review_ticks=100_000)
    absent_days(town, range(3))
    town.jump(391 + 7 * 1440 - 1).stand(0, AT_WORK)
    assert not of(employment.EmploymentReview, town.step())
    assert of(employment.EmploymentReview, town.step()) == [
        employment.EmploymentReview("a00000", "clerk", "withdrawn", 0)
    ]
    assert town.state.districts["reviews"][0, 0] == 0
    assert town.resident(0).job == 0


def two_clerks(**employment_options) -> Village:
    town = Village(employment=employment_options)
    for slot in range(3):
        town.stand(slot, STREET[slot])
    return town


def test_the_cap_holds_losses_back_until_the_next_day():
    town = two_clerks(daily_loss_cap=1, review_ticks=10)
    told = absent_days(town, range(3))
    assert [event.agent_id for _, event in told if isinstance(event, employment.EmploymentJobLoss)] == [
        "a00000"
    ]
    town.jump(3 * 1440 - 1).step()
    assert of(employment.EmploymentJobLoss, town.step()) == [
        employment.EmploymentJobLoss("a00002", "clerk", "reviewed")
    ]


def test_a_resident_that_loses_a_job_has_no_shift_left_of_it():
    """The absent clerk is before a shift at once, and stays so through the shift that is no longer hers."""
    town = two_clerks(daily_loss_cap=0, review_ticks=10)
    absent_days(town, range(2))
    town.jump(2 * 1440 + 391)
    states = []
    for _ in range(12):
        told = town.step()
        clerk = town.resident(0)
        states.append((codes.SHIFT_STATES[clerk.shift_state], bool(of(employment.EmploymentJobLoss, told))))
    assert states == [("absent", False)] * 10 + [("pre_shift", True), ("pre_shift", False)]
    assert (clerk.job, clerk.first_x, clerk.paid_ticks, clerk.on_time_ticks) == (codes.NOBODY, -1, 0, 0)
    assert (clerk.withheld, clerk.absent_stamped, clerk.late_started) == (0, False, False)
    assert town.state.job_holders[0].tolist() == [0, 1]
    wallet = town.wallet(0)
    town.stand(0, OFFICE[0]).wait(20)
    assert (town.wallet(0), codes.SHIFT_STATES[clerk.shift_state]) == (wallet, "pre_shift")


def test_a_cap_of_zero_is_no_cap():
    town = two_clerks(daily_loss_cap=0, review_ticks=10)
    told = absent_days(town, range(3))
    assert ticks_of(employment.EmploymentJobLoss, told) == [2 * 1440 + 401] * 2


def test_a_full_list_refuses_once_and_queues_when_there_is_room():
    town = two_clerks(review_queue_limit=1, review_ticks=20)
    told = absent_days(town, range(3))
    queued = 2 * 1440 + 391
    reviews = [(tick, event.agent_id, event.status) for tick, event in told
               if isinstance(event, employment.EmploymentReview)]  # fmt: skip
    assert reviews == [
        (queued, "a00000", "queued"),
        (queued, "a00002", "refused"),
        (queued + 20, "a00002", "queued"),
    ]


def test_a_refusal_is_told_again_when_it_is_another_one():
    """Refused, queued, withdrawn a week later, then refused anew: two stories, two refusals."""
    town = two_clerks(review_queue_limit=1, review_ticks=1440)
    absent_days(town, range(3))
    second = town.resident(2)
    assert second.review_since < 0
    town.jump(3 * 1440 + 391).stand(2, OFFICE[1]).step()
    assert second.review_since >= 0, "the first clerk's loss made room"
    town.jump(600 + 7 * 1440)
    town.state.districts["reviews"][0, 0] = 1
    assert [event.status for event in of(employment.EmploymentReview, town.step())] == ["withdrawn"]
    town.state.districts["reviews"][0, 0] = 1
    second.stamps[:3] = town.tick
    assert [event.status for event in of(employment.EmploymentReview, town.step())] == ["refused"]
    assert of(employment.EmploymentReview, town.step()) == []


def test_at_the_start_jobs_go_in_the_order_of_serials_to_the_job_with_the_fewest_holders():
    _, told = found()
    hired = [(e.agent_id, e.job_id, e.reason) for e in of(employment.EmploymentHired, told)]
    order = ["barista", "clerk", "grocer"] * 2 + ["barista", "clerk"]
    assert hired == [(f"a{serial:05d}", job, "start") for serial, job in enumerate(order)]


def test_the_job_board_hires_the_jobless_by_a_draw_at_the_days_end():
    for seed in range(8):
        town = Village(seed=seed).jump(1439)
        for slot in (0, 2):
            town.resident(slot).job = -1
        town.state.job_holders[0, 0] = 0
        hired = [
            event.agent_id for event in of(employment.EmploymentHired, town.step()) if event.reason == "board"
        ]
        lucky = [
            f"a{serial:05d}"
            for serial in (0, 2)
            if seeding.unit(seed, seeding.LIFECYCLE, 1439, serial, 4) < 0.5
        ]
        assert hired == lucky
        assert town.state.job_holders[0, 0] == len(lucky)
        assert town.state.flows.any()


def test_absences_of_before_are_forgotten_when_a_job_is_taken():
    forgotten = 0
    for seed in range(4):
        town = Village(seed=seed).jump(1439)
        clerk = town.resident(0)
        clerk.job = -1
        clerk.stamps[:3] = 1000
        clerk.stamps_seen = 3
        town.state.job_holders[0, 0] = 1
        is_hired = any(event.agent_id == "a00000" for event in of(employment.EmploymentHired, town.step()))
        assert clerk.stamps_seen == (0 if is_hired else 3)
        forgotten += is_hired
        told = town.wait(1440)
        assert not [event for event in of(employment.EmploymentReview, told) if event.agent_id == "a00000"]
    assert 0 < forgotten < 4


def test_nobody_finds_a_job_on_the_day_of_losing_one():
    for seed in range(8):
        town = Village(seed=seed)
        town.step()
        town.jump(1439)
        town.resident(0).job = -1
        town.resident(0).lost_job_day = 0
        town.state.job_holders[0, 0] = 1
        assert of(employment.EmploymentHired, town.step()) == []
        if seeding.unit(seed, seeding.LIFECYCLE, 2879, 0, 4) < 0.5:
            hired = of(employment.EmploymentHired, town.jump(2879).step())
            assert [(event.agent_id, event.job_id, event.reason) for event in hired] == [
                ("a00000", "clerk", "board")
            ]


def test_nobody_is_hired_without_a_vacancy():
    town = Village()
    town.step()
    town.jump(1439).resident(0).job = -1
    assert of(employment.EmploymentHired, town.step()) == []


def test_whoever_loses_the_job_is_no_longer_paid_at_work():
    town = one_clerk(review_ticks=1)
    absent_days(town, range(3))
    assert town.resident(0).job < 0
    wallet = int(town.resident(0).wallet)
    live(town, WHOLE, 3 * 1440 + 360, 3 * 1440 + 380)
    assert town.resident(0).wallet == wallet
    features = town.features(0)
    assert (features["has_job"], features["on_shift"], features["at_work"]) == (0, 0, 0)
