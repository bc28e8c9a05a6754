"""One decision for every resident: keep the option or choose one, then act (domain.md, section 17.1)."""

import numpy as np
import numpy.typing as npt

from townlet_adapters.kernels.compiler import entry_kernel, kernel
from townlet_adapters.kernels.records import Record, Records
from townlet_adapters.policies.scripted.columns import (
    ATTEND,
    AVOID,
    CARE,
    HELD,
    IDLE,
    LEAVE,
    NO_CLAIM,
    NONE,
    RUNNING,
    SOCIALISE,
    WAIT,
    WORK,
    Chart,
    Columns,
    Scene,
    count_living,
    gather_resident,
    gather_things,
)
from townlet_adapters.policies.scripted.controllers import attend, go_home, pursue_claim, use, work
from townlet_adapters.policies.scripted.planning import LEISURE_WAIT, NO_PLAN, REST_WAIT, plan, price, steps
from townlet_adapters.policies.scripted.refusals import refused
from townlet_adapters.policies.scripted.rules import (
    NO_CHOICE,
    Choice,
    attends,
    choose,
    critical_choice,
    option_of,
    stays_out,
    work_calls,
)
from townlet_adapters.policies.scripted.society import (
    keep_company,
    mingle,
    step_aside,
    still_near,
)

STAY = 20
"""A resident that reached a busy object goes to one in another place only to save more than so many ticks."""
ALL_NEEDS = 0xFF
"""One bit for each need that there can be."""


@kernel
def adopt(c: Chart, r: Record, choice: Choice, commit: int) -> None:
    """Write the option of a choice, the field that it follows and its commitment into the context."""
    want, _, o, _ = choice
    r.option = option_of(c, choice)
    r.commit = commit
    r.goal = o
    if want == WORK:
        r.goal = c.jobs[r.job].field
    elif want == IDLE:
        r.goal = r.home_field
    elif want == ATTEND:
        r.goal = c.object_place.shape[0] + r.invite_place


@kernel
def need_of(c: Chart, r: Record, option: int) -> int:
    """Return the need that an option serves; the lowest one when several share it."""
    found = NONE
    for n in range(c.needs.shape[0]):
        if c.needs[n].option == option and (found == NONE or r.need[n] < r.need[found]):
            found = n
    return found


@kernel
def leaving(c: Chart, o: int, other: int) -> int:
    """Return how many ticks an object in another place must save; 0 in the same one, or without a choice."""
    if o < 0 or other < 0 or c.object_place[o] == c.object_place[other]:
        return 0
    return STAY


@kernel
def carried_on(c: Chart, s: Scene, r: Record) -> Choice:
    """Continue a committed option: with its object if that can still be used, else with another.

    A resident that reaches a busy object plans again, because residents that set out together all saw the
    object free; but it stays unless it saves time elsewhere. The option ends (-1) when nothing is left to do
    for it.
    """
    want = int(c.meaning[r.option]) if 0 <= r.option < c.meaning.shape[0] else NONE
    if want == IDLE:
        return IDLE, NONE, NONE, NONE
    if want == WORK:
        return (WORK, NONE, NONE, NONE) if work_calls(c, s, r) else NO_CHOICE
    if want == AVOID:
        return (AVOID, NONE, NONE, NONE) if still_near(c, s, r) else NO_CHOICE
    if want == SOCIALISE and attends(c, s, r):
        return ATTEND, NONE, NONE, NONE
    if want == NONE or (want == SOCIALISE and r.goal >= s.things.shape[0]):
        return NO_CHOICE  # an event to which the resident went is over
    need = need_of(c, r, r.option) if want == CARE else NONE
    needs = 1 << need if want == CARE else ALL_NEEDS
    ticks, o, a = NO_PLAN
    if 0 <= r.goal < s.things.shape[0]:
        r.bound_to = r.goal
        ticks, o, a = plan(c, s, r, want, needs)
        r.bound_to = NONE
        if o >= 0 and (s.things[o].wait == 0 or steps(c, r, o) > 0):
            return want, need, o, a
    found = plan(c, s, r, want, needs)
    if found[0] + leaving(c, o, found[1]) < ticks:
        _, o, a = found
    return (want, need, o, a) if o >= 0 else NO_CHOICE


@kernel
def claim_is_vain(c: Chart, s: Scene, r: Record) -> bool:
    """Return whether the claimed use would be refused now, or its object is taken for too long.

    Conditions on the object count once it is held: while a resident waits, its own place in the queue would
    break a condition on the queue.
    """
    o, a = int(r.claim_object), int(r.claim_affordance)
    if r.claim_stage != HELD:
        if c.uses[a].wakes >= 0 and s.things[o].wait > REST_WAIT:
            return True
        if c.uses[a].leisure != 0 and s.things[o].wait - c.uses[a].duration > LEISURE_WAIT:
            return True
        return bool(s.refusal[r.slot, a] != 0)
    due = price(c, s, r, o, a)
    return due >= 0 and refused(c, s, r, o, a, due)


@kernel
def keep_or_leave_claim(c: Chart, s: Scene, r: Record) -> None:
    """Stay with a queued or held claim unless work or another critical need is due, or its use is refused.

    Commitment ends with the claim, however the claim ends: its remaining ticks are 0 in the meantime.
    """
    call = critical_choice(c, s, r)
    if call[0] == NONE and work_calls(c, s, r):
        call = WORK, NONE, NONE, NONE
    stays = r.option != NONE and (call[0] == NONE or option_of(c, call) == r.option)
    if stays and not claim_is_vain(c, s, r):
        r.action = pursue_claim(c, s, r)
        r.goal = r.claim_object
        r.commit = 0
        return
    choice = choose(c, s, r)
    r.action = LEAVE
    adopt(c, r, choice, c.commit_ticks - 1)


@kernel
def act(c: Chart, s: Scene, r: Record) -> None:
    """Decide for a resident without a claim."""
    left = int(r.commit)
    choice = NO_CHOICE
    if r.option != NONE and left > 0:
        call = critical_choice(c, s, r)
        if call[0] == NONE or option_of(c, call) == r.option:
            choice = carried_on(c, s, r)
    if choice[0] == NONE:
        choice = choose(c, s, r)
        left = c.commit_ticks
    want, _, o, a = choice
    if want == WORK:
        r.action = work(c, s, r, max(s.tick + left - c.commit_ticks, 0))
    elif want == IDLE:
        stays = steps(c, r, r.home_field) > 0 and stays_out(c, s, r)
        r.action = WAIT if stays else go_home(c, s, r)
        if r.action == WAIT:
            r.action = keep_company(c, s, r)
    elif want == AVOID:
        r.action = step_aside(s, r)
    elif want == ATTEND:
        r.action = attend(c, s, r, max(s.tick + left - c.commit_ticks, 0))
    elif want == SOCIALISE:
        r.action = mingle(c, s, r, 0)
        if r.action == WAIT:
            r.action = use(c, s, r, o, a)
        else:
            choice = SOCIALISE, NONE, NONE, NONE
    else:
        r.action = use(c, s, r, o, a)
    adopt(c, r, choice, left - 1)


@kernel
def decide_one(c: Chart, s: Scene, r: Record) -> None:
    """Write the action and the context of one living resident into its record."""
    if r.claim_stage == RUNNING:
        r.action = WAIT
        r.goal = r.claim_object
        r.commit = 0
    elif r.claim_stage != NO_CLAIM:
        keep_or_leave_claim(c, s, r)
    else:
        act(c, s, r)


@entry_kernel
def decide_all(
    c: Chart,
    columns: Columns,
    now: npt.NDArray[np.int64],
    residents: Records,
    things: Records,
    action: npt.NDArray[np.int16],
    option: npt.NDArray[np.int8],
    goal: npt.NDArray[np.int32],
    commit_remaining: npt.NDArray[np.int16],
) -> None:
    """Write the intent and the context of every slot.

    Args:
        c: the world's constants.
        columns: the content of the observation.
        now: int64[1], the tick to act in.
        residents: RESIDENT[N], working memory.
        things: THING[O], working memory.
        action: int16[N], written.
        option: int8[N], written.
        goal: int32[N], written.
        commit_remaining: int16[N], written.
    """
    gather_things(columns, things)
    living = count_living(columns.alive)
    s = Scene(
        now[0],
        living,
        things,
        columns.object_price,
        columns.cooldowns,
        columns.occupants,
        columns.refusal,
        columns.object_refusal,
        columns.resident_value,
        columns.object_value,
        columns.alive,
        columns.xy,
        columns.claim_object,
        columns.claim_stage,
        columns.tie_other,
        columns.tie_trust,
        columns.tie_familiarity,
        columns.tie_rivalry,
        columns.tie_avoided,
        columns.tie_quiet_until,
        columns.talk_ready,
        columns.invite,
    )
    for i in range(columns.alive.shape[0]):
        r = residents[i]
        if columns.alive[i] == 0:
            r.action, r.option, r.goal, r.commit = WAIT, NONE, NONE, 0
        else:
            gather_resident(columns, i, r)
            decide_one(c, s, r)
        action[i] = r.action
        option[i] = r.option
        goal[i] = r.goal
        commit_remaining[i] = r.commit
