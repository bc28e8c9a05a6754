"""Section 10, employment: states of a shift, wages, fines, reviews, hiring."""

from tests.model import draws, money, rewards, ties
from tests.model.conventions import DAY
from tests.model.state import Shift

MEMORY = 7 * DAY
CHANCE_AT_THE_BOARD = 0.5
POST_SHIFT = 240


def minute(town, job, ahead=0):
    """x = (tod - start) mod 1440, of this tick or some ticks ahead."""
    return (town.tod + ahead - job.start) % DAY


def holders(town, job):
    """The residents that have a job, by serial."""
    return [each for each in town.residents if each.job is job]


def is_there(town, resident):
    """Whether a resident stands on a tile of its workplace."""
    return town.ground.place_at[resident.y][resident.x] == resident.job.place


def colleagues_there(town, resident):
    """The colleagues of the same job who are there, by serial."""
    return [each for each in holders(town, resident.job) if each is not resident and is_there(town, each)]


def vacancy(town, district):
    """The vacant job of the district with the fewest holders, ties by id."""
    open_jobs = [
        (len(holders(town, job)), job.id, job)
        for job in town.plan.jobs
        if job.district == district and len(holders(town, job)) < job.capacity
    ]
    return min(open_jobs)[2] if open_jobs else None


def hire_at_start(town, newborn, announce):
    """At the start, by serial: the arrival is told with the job, then the hiring."""
    job = vacancy(town, newborn.home.district)
    if job is not None:
        take(town, newborn, job, ahead=0)
    announce()
    if job is not None:
        town.emit("employment.hired", agent_id=newborn.id, job_id=job.id, reason="start")


def take(town, resident, job, ahead):
    """Take a job from some ticks ahead on, without old absences; a shift that has begun before is skipped."""
    resident.stamps = []
    resident.job = job
    resident.shift = Shift(skipped=0 < minute(town, job, ahead) < job.length)


def outside(town, resident):
    """The state while no shift runs."""
    x, rules = minute(town, resident.job), town.options.employment
    if DAY - x <= rules.await_ticks:
        return "await_start"
    return "post_shift" if x - resident.job.length < POST_SHIFT else "pre_shift"


def work(town):
    """Phase 7: for each resident, by serial: its shift, then its review."""
    for each in town.residents:
        if each.job is not None:
            run_shift(town, each)
            review(town, each)


def run_shift(town, resident):
    """One tick of a resident with a job."""
    job, shift = resident.job, resident.shift
    x = minute(town, job)
    if x >= job.length:
        resident.shift_state = outside(town, resident)
        if is_there(town, resident):
            rewards.note_presence(town, resident, DAY - x)
        return
    if shift.skipped:
        resident.shift_state = "pre_shift"
        if x == job.length - 1:
            resident.shift = Shift()
        return
    present = is_there(town, resident)
    if present:
        rewards.note_presence(town, resident, -x)
    attended = shift.first is not None
    if present and not attended:
        shift.first = x
    resident.shift_state = state(town, resident, x, present=present)
    if present:
        be_present(town, resident, x, is_first=not attended)
        shift.last = x
    else:
        be_away(town, resident)
    if x == job.length - 1:
        end_shift(town, resident)


def state(town, resident, x, *, present):
    """The state within a shift."""
    rules, shift = town.options.employment, resident.shift
    if present:
        return "on_time" if shift.first <= rules.grace_ticks and not shift.absent else "late"
    if shift.first is None:
        return "grace" if x <= rules.grace_ticks else "late" if x <= rules.absent_cutoff else "absent"
    return "late" if x - shift.last <= rules.absence_slack else "absent"


def be_present(town, resident, x, *, is_first):
    """Present within the shift."""
    job, shift = resident.job, resident.shift
    if is_first:
        town.emit(
            "employment.arrived", agent_id=resident.id, job_id=job.id, offset=x, state=resident.shift_state
        )
        coworkers = colleagues_there(town, resident)
        if x > town.options.employment.grace_ticks and coworkers:
            tell_coworkers(town, resident, "employment.helped", coworkers)
            for each in coworkers:
                ties.change(town, resident, each, "employment_help", 0.20, 0.10, -0.10)
    if resident.shift_state == "late":
        note_late(town, resident, attended_before=not is_first)
    else:
        shift.on_time_ticks += 1
    money.wage(town, resident, job.wage)
    shift.paid_ticks += 1
    resident.paid = True


def note_late(town, resident, *, attended_before):
    """The first late tick of a shift that was not attended before."""
    shift, job = resident.shift, resident.job
    if not shift.late and not attended_before:
        shift.late = True
        resident.lateness += 1
        taken = money.fine(town, resident, job.late_fine)
        town.emit("employment.late_start", agent_id=resident.id, job_id=job.id, fine=taken)


def be_away(town, resident):
    """Away within the shift."""
    shift, rules = resident.shift, town.options.employment
    if resident.shift_state == "late":
        resident.late_today += 1
        note_late(town, resident, attended_before=shift.first is not None)
        money.fine(town, resident, rules.late_tick_fine)
        shift.withheld += resident.job.wage
    elif resident.shift_state == "absent":
        if not shift.absent:
            be_absent(town, resident)
        shift.withheld += resident.job.wage


def be_absent(town, resident):
    """The first absent tick of a shift."""
    shift, job, rules = resident.shift, resident.job, town.options.employment
    shift.absent = True
    resident.stamps.append(town.tick)
    taken = money.fine(town, resident, rules.absence_fine)
    town.emit(
        "employment.absent",
        agent_id=resident.id,
        job_id=job.id,
        fine=taken,
        stamps=stamps(town, resident),
    )
    if shift.first is not None:
        town.emit(
            "employment.departed_early",
            agent_id=resident.id,
            job_id=job.id,
            remaining=job.length - minute(town, job),
        )
    coworkers = colleagues_there(town, resident)
    if coworkers:
        tell_coworkers(town, resident, "employment.shift_covered", coworkers)
        for each in coworkers:
            ties.change(town, resident, each, "shift_covered", -0.10, 0.0, 0.30)


def tell_coworkers(town, resident, kind, coworkers):
    """The fact that colleagues helped, or worked for two."""
    names = tuple(each.id for each in coworkers)
    town.emit(kind, agent_id=resident.id, job_id=resident.job.id, coworkers=names)


def stamps(town, resident):
    """The stamps that count: t - 7 x 1440 < stamp <= t."""
    resident.stamps = [each for each in resident.stamps if town.tick - MEMORY < each]
    return len(resident.stamps)


def end_shift(town, resident):
    """The last tick of a shift: a sample of attendance, and the record is cleared."""
    job, shift = resident.job, resident.shift
    resident.samples.append(shift.paid_ticks / job.length)
    resident.samples = resident.samples[-town.options.employment.attendance_window :]
    total = 0.0
    for each in resident.samples:
        total += each
    resident.attendance = total / len(resident.samples)
    town.emit(
        "employment.shift_end",
        agent_id=resident.id,
        job_id=job.id,
        on_time_ticks=shift.on_time_ticks,
        paid_ticks=shift.paid_ticks,
        attendance=resident.attendance,
        withheld=shift.withheld,
    )
    resident.shift = Shift()


def pending(town, district):
    """Reviews that wait in a district."""
    return sum(
        each.job is not None and each.job.district == district and each.review is not None
        for each in town.residents
    )


def review(town, resident):
    """A review is queued, refused or withdrawn, or the job is lost."""
    rules = town.options.employment
    district, count = resident.job.district, stamps(town, resident)
    if count < rules.max_absent_shifts:
        resident.refused = False
        if resident.review is not None:
            resident.review = None
            tell_review(town, resident, "withdrawn")
    elif resident.review is None:
        if pending(town, district) < rules.review_queue_limit:
            resident.review, resident.refused = town.tick, False
            tell_review(town, resident, "queued")
        elif not resident.refused:
            resident.refused = True
            tell_review(town, resident, "refused")
    elif town.tick - resident.review >= rules.review_ticks and (
        rules.daily_loss_cap == 0 or town.lost_jobs[district] < rules.daily_loss_cap
    ):
        lose_job(town, resident, "reviewed")


def tell_review(town, resident, status):
    """The fact of a review."""
    town.emit(
        "employment.review",
        agent_id=resident.id,
        job_id=resident.job.id,
        status=status,
        pending=pending(town, resident.job.district),
    )


def decide_review(town, resident, *, approves):
    """By hand: a pending review takes the job at once, or waits anew."""
    if resident.job is None or resident.review is None:
        return "no_review"
    if approves:
        job, resident.review = resident.job, None
        town.emit(
            "employment.review",
            agent_id=resident.id,
            job_id=job.id,
            status="approved",
            pending=pending(town, job.district),
        )
        lose_job(town, resident, "approved")
    else:
        resident.review = town.tick
        tell_review(town, resident, "deferred")
    return "executed"


def lose_job(town, resident, reason):
    """The job is lost; what belonged to it is forgotten."""
    job = resident.job
    town.lost_jobs[job.district] += 1
    town.emit("employment.job_loss", agent_id=resident.id, job_id=job.id, reason=reason)
    resident.job, resident.review, resident.refused = None, None, False
    resident.shift, resident.shift_state = Shift(), "pre_shift"
    resident.lost_today, resident.jobless = True, town.tick


def open_board(town):
    """The job board of a day's end."""
    for each in town.residents:
        if each.job is not None or each.lost_today:
            continue
        job = vacancy(town, each.home.district)
        if job is None:
            continue
        if draws.unit(town.seed, "lifecycle", town.tick, each.serial, 4) < CHANCE_AT_THE_BOARD:
            take(town, each, job, ahead=1)
            town.emit("employment.hired", agent_id=each.id, job_id=job.id, reason="board")
