"""Shifts, wages, fines, reviews, hiring (domain.md, section 10)."""

from townlet_adapters.kernels import draws
from townlet_adapters.kernels.clock import day_of, since
from townlet_adapters.kernels.compiler import inlined, kernel
from townlet_adapters.kernels.records import Record
from townlet_adapters.worlds.town.codes import (
    ABSENCE_MEMORY,
    ABSENT,
    AWAIT_START,
    EMPLOYMENT_HELP,
    EV_ABSENT,
    EV_ARRIVED,
    EV_COVERED,
    EV_DEPARTED,
    EV_HELPED,
    EV_HIRED,
    EV_JOB_LOSS,
    EV_LATE_START,
    EV_REVIEW,
    EV_SHIFT_END,
    GRACE,
    HIRED_BOARD,
    LATE,
    LOST_APPROVED,
    LOST_REVIEWED,
    MAX_STAMPS,
    NOBODY,
    ON_TIME,
    POST_SHIFT,
    PRE_SHIFT,
    REVIEW_APPROVED,
    REVIEW_DEFERRED,
    REVIEW_QUEUED,
    REVIEW_REFUSED,
    REVIEW_WITHDRAWN,
    SHIFT_COVERED,
    TICKS_PER_DAY,
)
from townlet_adapters.worlds.town.compiled.state import Journal, TownState
from townlet_adapters.worlds.town.compiled.tables import Tables
from townlet_adapters.worlds.town.systems import economy, journal, merits, ties

POST_SHIFT_TICKS = 240
BOARD_CHANCE = 0.5
BOARD_DRAW = 4
HELP_TRUST, HELP_FAMILIARITY, HELP_RIVALRY = 0.20, 0.10, -0.10
COVERED_TRUST, COVERED_RIVALRY = -0.10, 0.30


@inlined
def is_at_work(t: Tables, r: Record) -> bool:
    """Return whether the resident is on a tile of its workplace."""
    return t.place_at[r.y, r.x] == t.jobs[r.job].place


@inlined
def off_shift_state(t: Tables, elapsed: int, length: int) -> int:
    """State outside the shift, ``elapsed`` ticks after its last start."""
    if TICKS_PER_DAY - elapsed <= t.params[0].await_ticks:
        return AWAIT_START
    if elapsed - length < POST_SHIFT_TICKS:
        return POST_SHIFT
    return PRE_SHIFT


@inlined
def on_shift_state(t: Tables, r: Record, elapsed: int, present: bool, now: int) -> int:
    """State within the shift; ``r.first_x`` already includes this tick."""
    grace = t.params[0].grace_ticks
    if present:
        return ON_TIME if r.first_x <= grace and not r.absent_stamped else LATE
    if r.first_x < 0:
        if elapsed <= grace:
            return GRACE
        return LATE if elapsed <= t.params[0].absent_cutoff else ABSENT
    return LATE if now - r.last_present <= t.params[0].absence_slack else ABSENT


@inlined
def is_colleague(t: Tables, s: TownState, b: int, i: int, other: int) -> bool:
    """Return whether another resident of the same job is at work now."""
    same = other != i and s.residents[b, other].job == s.residents[b, i].job
    return same and is_at_work(t, s.residents[b, other])


@kernel
def record_colleagues(t: Tables, s: TownState, j: Journal, b: int, i: int, kind: int, now: int) -> None:
    """Write one row for each colleague at work now; then their ties and the resident's change, by serial."""
    r = s.residents[b, i]
    for k in range(s.towns[b].population):
        other = s.roster[b, k]
        if is_colleague(t, s, b, i, other):
            journal.write(j, b, kind, r.serial, -1, -1, 0, r.job, 0, 0)
            if journal.is_kept(j, b):
                journal.last(j, b).other = s.residents[b, other].serial
    for k in range(s.towns[b].population):
        other = s.roster[b, k]
        if not is_colleague(t, s, b, i, other):
            continue
        if kind == EV_HELPED:
            ties.change(
                t, s, j, b, i, other, HELP_TRUST, HELP_FAMILIARITY, HELP_RIVALRY, EMPLOYMENT_HELP, now
            )
        else:
            ties.change(t, s, j, b, i, other, COVERED_TRUST, 0.0, COVERED_RIVALRY, SHIFT_COVERED, now)


@inlined
def active_stamps(r: Record, now: int) -> int:
    """Return the number of absences in the last seven days."""
    count = 0
    for k in range(min(r.stamps_seen, MAX_STAMPS)):
        if now - r.stamps[k] < ABSENCE_MEMORY:
            count += 1
    return count


@kernel
def first_presence(
    t: Tables, s: TownState, j: Journal, b: int, i: int, elapsed: int, state: int, now: int
) -> None:
    """Record an arrival; for a late one, also the colleagues who were already at work."""
    r = s.residents[b, i]
    journal.write(j, b, EV_ARRIVED, r.serial, -1, -1, state, r.job, elapsed, 0)
    if elapsed > t.params[0].grace_ticks:
        record_colleagues(t, s, j, b, i, EV_HELPED, now)


@kernel
def late_start(t: Tables, s: TownState, j: Journal, b: int, i: int) -> None:
    """The first late tick of a shift that was not attended before."""
    r = s.residents[b, i]
    job = t.jobs[r.job]
    r.late_started = True
    r.lateness_counter += 1
    taken = economy.fine(t, s, b, i, job.place, job.late_fine)
    journal.write(j, b, EV_LATE_START, r.serial, -1, -1, 0, r.job, taken, 0)


@kernel
def stamp_absence(t: Tables, s: TownState, j: Journal, b: int, i: int, elapsed: int, now: int) -> None:
    """The first absent tick of a shift, once per shift."""
    r = s.residents[b, i]
    job = t.jobs[r.job]
    r.absent_stamped = True
    r.stamps[r.stamps_seen % MAX_STAMPS] = now
    r.stamps_seen += 1
    taken = economy.fine(t, s, b, i, job.place, t.params[0].absence_fine)
    journal.write(j, b, EV_ABSENT, r.serial, -1, -1, 0, r.job, taken, active_stamps(r, now))
    if r.first_x >= 0:
        journal.write(j, b, EV_DEPARTED, r.serial, -1, -1, 0, r.job, job.length - elapsed, 0)
    record_colleagues(t, s, j, b, i, EV_COVERED, now)


@inlined
def pay_shift_tick(t: Tables, s: TownState, b: int, i: int, present: bool, state: int) -> None:
    """Wage when present; fines and withheld wages when not."""
    r = s.residents[b, i]
    job = t.jobs[r.job]
    if present:
        economy.wage(t, s, b, i, job.place, job.wage)
        r.paid_ticks += 1
        r.waged = 1
        if state == ON_TIME:
            r.on_time_ticks += 1
    elif state == LATE:
        economy.fine(t, s, b, i, job.place, t.params[0].late_tick_fine)
        r.late_ticks_today += 1
        r.withheld += job.wage
    elif state == ABSENT:
        r.withheld += job.wage


@inlined
def clear_shift(r: Record) -> None:
    """Clear the record of the shift that ended."""
    r.first_x = -1
    r.on_time_ticks = 0
    r.paid_ticks = 0
    r.withheld = 0
    r.absent_stamped = False
    r.late_started = False
    r.greeted = 0


@kernel
def end_shift(t: Tables, s: TownState, j: Journal, b: int, i: int) -> None:
    """The last tick of a shift: add one sample of attendance, then clear the record."""
    r = s.residents[b, i]
    window = t.params[0].attendance_window
    r.samples[r.samples_seen % window] = r.paid_ticks / t.jobs[r.job].length
    r.samples_seen += 1
    seen = min(r.samples_seen, window)
    total = 0.0
    for k in range(r.samples_seen - seen, r.samples_seen):  # the earliest first, wherever the ring begins
        total += r.samples[k % window]
    r.attendance = total / seen
    journal.write(j, b, EV_SHIFT_END, r.serial, -1, -1, 0, r.job, r.on_time_ticks, r.withheld)
    if journal.is_kept(j, b):
        row = journal.last(j, b)
        row.d = r.paid_ticks
        row.x = r.attendance
    clear_shift(r)


@inlined
def work(t: Tables, s: TownState, j: Journal, b: int, i: int, now: int) -> None:
    """One tick of one job holder."""
    r = s.residents[b, i]
    job = t.jobs[r.job]
    elapsed = since(job.start, now, t.params[0].start_tod)
    if elapsed >= job.length:
        ahead = TICKS_PER_DAY - elapsed
        if ahead <= t.params[0].reward_punctuality_ticks and is_at_work(t, r):
            merits.note_presence(t, r, ahead)
        r.skip_shift = False
        r.shift_state = off_shift_state(t, elapsed, job.length)
        return
    if r.skip_shift:
        r.shift_state = PRE_SHIFT
        return
    present = is_at_work(t, r)
    attended = r.first_x >= 0
    if present:
        merits.note_presence(t, r, -elapsed)
    if present and not attended:
        r.first_x = elapsed
    state = on_shift_state(t, r, elapsed, present, now)
    r.shift_state = state
    if present and not attended:
        first_presence(t, s, j, b, i, elapsed, state, now)
    if state == LATE and not attended and not r.late_started:
        late_start(t, s, j, b, i)
    pay_shift_tick(t, s, b, i, present, state)
    if state == ABSENT and not r.absent_stamped:
        stamp_absence(t, s, j, b, i, elapsed, now)
    if present:
        r.last_present = now
    if elapsed == job.length - 1:
        end_shift(t, s, j, b, i)


@kernel
def leave_job(s: TownState, b: int, i: int, now: int) -> None:
    """Take the job from a resident, with its shift record."""
    r = s.residents[b, i]
    r.jobless_since = now
    s.job_holders[b, r.job] -= 1
    r.job = NOBODY
    r.shift_state = PRE_SHIFT
    clear_shift(r)


@kernel
def retire(s: TownState, b: int, i: int) -> None:
    """Take the job and a pending review from a resident that leaves town."""
    r = s.residents[b, i]
    if r.review_since >= 0:
        s.districts[b, r.district].reviews -= 1
        r.review_since = NOBODY
    if r.job >= 0:
        leave_job(s, b, i, s.towns[b].tick)


@kernel
def record_review(s: TownState, j: Journal, b: int, i: int, status: int) -> None:
    """Write a review's change of status."""
    r = s.residents[b, i]
    pending = s.districts[b, r.district].reviews
    journal.write(j, b, EV_REVIEW, r.serial, -1, -1, status, r.job, pending, 0)


@kernel
def review(t: Tables, s: TownState, j: Journal, b: int, i: int, now: int) -> None:
    """Too many absences lead to a review; a review that is not withdrawn costs the job (section 10.4)."""
    r = s.residents[b, i]
    params = t.params[0]
    district = s.districts[b, r.district]
    too_many = active_stamps(r, now) >= params.max_absent_shifts
    if r.review_since < 0:
        if not too_many:
            r.review_refused = False
        elif district.reviews < params.review_queue_limit:
            r.review_since = now
            r.review_refused = False
            district.reviews += 1
            record_review(s, j, b, i, REVIEW_QUEUED)
        elif not r.review_refused:
            r.review_refused = True
            record_review(s, j, b, i, REVIEW_REFUSED)
        return
    if not too_many:
        district.reviews -= 1
        r.review_since = NOBODY
        record_review(s, j, b, i, REVIEW_WITHDRAWN)
    elif now - r.review_since >= params.review_ticks and (
        params.daily_loss_cap == 0 or district.losses_today < params.daily_loss_cap
    ):
        district.reviews -= 1
        lose_job(t, s, j, b, i, LOST_REVIEWED, now)


@kernel
def lose_job(t: Tables, s: TownState, j: Journal, b: int, i: int, reason: int, now: int) -> None:
    """Take the job from a resident whose review ended so; it is not counted among the reviews any more."""
    r = s.residents[b, i]
    district = s.districts[b, r.district]
    journal.write(j, b, EV_JOB_LOSS, r.serial, -1, -1, reason, r.job, 0, 0)
    district.losses_today += 1
    r.review_since = NOBODY
    r.lost_job_day = day_of(now, t.params[0].start_tod)
    leave_job(s, b, i, now)


@kernel
def settle_review(t: Tables, s: TownState, j: Journal, b: int, i: int, approved: bool, now: int) -> bool:
    """Decide a pending review from outside: the job is lost, or the wait begins anew; False without one."""
    r = s.residents[b, i]
    if r.review_since < 0:
        return False
    if approved:
        s.districts[b, r.district].reviews -= 1
    record_review(s, j, b, i, REVIEW_APPROVED if approved else REVIEW_DEFERRED)
    if approved:
        lose_job(t, s, j, b, i, LOST_APPROVED, now)
    else:
        r.review_since = now
    return True


@inlined
def employ(t: Tables, s: TownState, j: Journal, b: int, now: int) -> None:
    """Phase 7, in the order of the serials."""
    for k in range(s.towns[b].population):
        i = s.roster[b, k]
        r = s.residents[b, i]
        if r.job < 0:
            continue
        work(t, s, j, b, i, now)
        if r.stamps_seen > 0:
            review(t, s, j, b, i, now)


@kernel
def vacancy(t: Tables, s: TownState, b: int, district: int) -> int:
    """The vacant job of a district with the fewest holders, ties by id; -1 when all are taken."""
    best = -1
    jobs = t.jobs.shape[0] // s.districts.shape[1]  # those of a district are together, and all are alike
    for job in range(district * jobs, (district + 1) * jobs):
        holders = s.job_holders[b, job]
        if holders >= t.jobs[job].capacity:
            continue
        fewer = best < 0 or holders < s.job_holders[b, best]
        tie = best >= 0 and holders == s.job_holders[b, best] and t.jobs[job].rank < t.jobs[best].rank
        if fewer or tie:
            best = job
    return best


@kernel
def hire(t: Tables, s: TownState, j: Journal, b: int, i: int, job: int, reason: int, instant: int) -> None:
    """Give a resident a job from an instant on, without old absences; a shift in progress is skipped."""
    r = s.residents[b, i]
    r.stamps_seen = 0
    r.job = job
    s.job_holders[b, job] += 1
    r.shift_state = PRE_SHIFT
    clear_shift(r)
    elapsed = since(t.jobs[job].start, instant, t.params[0].start_tod)
    r.skip_shift = 0 < elapsed < t.jobs[job].length
    journal.write(j, b, EV_HIRED, r.serial, -1, -1, reason, job, 0, 0)


@kernel
def open_job_board(t: Tables, s: TownState, j: Journal, b: int, now: int) -> None:
    """Day end: every resident without a job that did not lose one today may get one."""
    for k in range(s.towns[b].population):
        i = s.roster[b, k]
        r = s.residents[b, i]
        if r.job >= 0 or r.lost_job_day == day_of(now, t.params[0].start_tod):
            continue
        job = vacancy(t, s, b, r.district)
        if job < 0:
            continue
        if draws.unit(s.towns[b].seed, draws.LIFECYCLE, now, r.serial, BOARD_DRAW) < BOARD_CHANCE:
            hire(t, s, j, b, i, job, HIRED_BOARD, now + 1)
