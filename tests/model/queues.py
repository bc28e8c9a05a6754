"""Section 9, claims, queues and fairness."""

from tests.model import affordances, ties
from tests.model.conflicts import conflict
from tests.model.conventions import cheb
from tests.model.state import Claim


def join(town, resident, thing, affordance):
    """Wait for an object."""
    claim = Claim(resident, thing, affordance, "queued", town.tick)
    resident.claim = claim
    thing.queue.append(claim)
    town.emit(
        "queue.join",
        agent_id=resident.id,
        object_id=thing.id,
        affordance_id=affordance.id,
        position=len(thing.queue) - 1,
    )


def grant(town, thing):
    """A free, open object goes to the entry that minimises index - age_weight x waited."""
    if thing.holder is not None or thing.closed or not thing.queue:
        return
    weight = town.options.queues.age_weight

    def score(index):
        return index - weight * (town.tick - thing.queue[index].joined), index

    grant_to(town, thing, min(range(len(thing.queue)), key=score))


def grant_to(town, thing, index):
    """The object goes to an entry of its queue."""
    claim = thing.queue.pop(index)
    claim.stage, claim.granted, claim.idle = "held", town.tick, 0
    claim.stalled = 0
    claim.eta = town.ground.path_to(thing.number, claim.resident.x, claim.resident.y)
    thing.holder = claim
    town.emit(
        "queue.grant",
        agent_id=claim.resident.id,
        object_id=thing.id,
        affordance_id=claim.affordance.id,
        waited=town.tick - claim.joined,
    )


def release(town, claim, *, success):
    """The holder lets go of the object; a success cools down, a failure lifts the cooldown; then grant."""
    resident, thing = claim.resident, claim.thing
    resident.claim = thing.holder = None
    if success:
        resident.cooldown[thing.number] = town.tick + town.options.queues.cooldown_ticks
        hand_over(town, resident, thing)
    else:
        resident.cooldown.pop(thing.number, None)
    grant(town, thing)


def hand_over(town, resident, thing):
    """The finisher chooses whom it regards most, unless somebody before has waited for too long."""
    rules = town.options.queues
    scores = [
        (ties.regard(resident, each.resident) - 0.05 * index, -index)
        for index, each in enumerate(thing.queue)
    ]
    if not scores or max(scores)[0] <= 0 or thing.closed:
        return
    index = -max(scores)[1]
    if thing.handed_over is not None and town.tick - thing.handed_over < rules.handover_spacing:
        return
    if any(town.tick - each.joined > rules.handover_max_age for each in thing.queue[:index]):
        return
    thing.handed_over = town.tick
    chosen = thing.queue[index].resident
    town.emit("queue.handover", agent_id=resident.id, to=chosen.id, object_id=thing.id, from_index=index)
    ties.change(town, resident, chosen, "queue_polite", 0.05, 0.05, -0.05)
    grant_to(town, thing, index)


def drop(town, claim, reason):
    """A waiting resident or an idle holder drops its claim."""
    resident, thing = claim.resident, claim.thing
    town.emit(
        "queue.leave",
        agent_id=resident.id,
        object_id=thing.id,
        reason=reason,
        waited=town.tick - claim.joined,
    )
    if claim.stage == "held":
        release(town, claim, success=False)
    else:
        resident.claim = None
        thing.queue.remove(claim)


def end(town, claim, reason):
    """End a claim, running or not."""
    if claim.stage == "running":
        affordances.fail(town, claim, reason)
    else:
        drop(town, claim, reason)


def upkeep(town, thing):
    """What phase 5 does first for each object: stall, time-out, impatience, drop."""
    holder = thing.holder
    if holder is not None and holder.stage == "held" and affordances.powered(town, thing):
        stall(town, thing, holder)
    show_impatience(town, thing)
    drop_far(town, thing)


def drop_far(town, thing):
    """Who is too far away for too long loses its place or hold."""
    rules = town.options.queues
    idle = [thing.holder] if thing.holder is not None and thing.holder.stage == "held" else []
    for claim in [*thing.queue, *idle]:
        resident = claim.resident
        is_far = cheb(resident.x, resident.y, thing.x, thing.y) > rules.drop_distance
        claim.far = claim.far + 1 if is_far else 0
        if claim.far >= rules.drop_ticks:
            drop(town, claim, "too_far")


def stall(town, thing, holder):
    """An idle holder goes to the tail of its queue, or loses the hold when nobody waits."""
    if holder.granted == town.tick:
        return
    rules = town.options.queues
    holder.idle += 1
    if not thing.queue:
        holder.stalled = 0
    elif holder.idle > holder.eta:
        holder.stalled += 1
    if thing.queue and 0 < rules.ghost_step_after <= holder.stalled:
        conflict(town, holder.resident, thing.queue[0].resident, "ghost_step", thing, len(thing.queue))
        holder.stage, holder.joined, holder.idle = "queued", town.tick, 0
        thing.holder = None
        thing.queue.append(holder)
        grant(town, thing)
    elif holder.idle >= holder.eta + rules.hold_ticks:
        drop(town, holder, "timeout")


def show_impatience(town, thing):
    """After 1, 2 and 3 x patience_ticks of waiting while somebody holds: a conflict."""
    if thing.holder is None:
        return
    patience = town.options.queues.patience_ticks
    for claim in thing.queue:
        if town.tick - claim.joined in {patience, 2 * patience, 3 * patience}:
            conflict(town, claim.resident, thing.holder.resident, "waiting", thing, len(thing.queue))


def dismiss(town, thing):
    """Closing an object dismisses its queue and idle holder."""
    for claim in list(thing.queue):
        drop(town, claim, "closed")
    if thing.holder is not None and thing.holder.stage == "held":
        drop(town, thing.holder, "closed")
