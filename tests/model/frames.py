"""Section 21, the frame: the whole town at the end of a tick."""

from tests.model import employment, happenings, residents, rewards


def rounded(x):
    """x x 1000, rounded to the nearest whole number, a half to the even one; then divided by 1000."""
    return round(x * 1000) / 1000


def frame(town):
    """Everything that a frame shows, for the tick that was executed last."""
    town.tick -= 1
    clock = residents.clock(town)
    town.tick += 1
    return {
        "tick": town.tick - 1,
        "clock": clock,
        "agents": {each.id: agent(each) for each in town.residents},
        "objects": {each.id: thing(each) for each in town.things},
        "utilities": {str(number): dict(each) for number, each in enumerate(town.power)},
        "prices": {str(number): dict(each) for number, each in enumerate(town.prices)},
        "employment": {
            job.id: {"holders": len(employment.holders(town, job)), "capacity": job.capacity}
            for job in town.plan.jobs
        },
        "perturbations": happenings.shown(town),
        "social": {},
        "rewards": {each.id: rewards.shown(each) for each in town.residents},
    }


def agent(resident):
    """What a frame shows of a resident; what it does not have is left out."""
    shown = {
        "slot": resident.slot,
        "name": resident.name,
        "pos": [resident.x, resident.y],
        "home": [resident.home.x, resident.home.y],
        "needs": {need: rounded(level) for need, level in resident.needs.items()},
        "wallet": resident.wallet,
        "inventory": dict(resident.inventory),
        "profile": resident.profile,
        "shift_state": resident.shift_state,
    }
    if resident.action is not None:
        shown |= {"action": resident.action, "target": resident.target}
    if resident.job is not None:
        shown["job"] = resident.job.id
    if resident.option is not None:
        shown["option"] = resident.option
    if resident.claim is not None:
        claim = resident.claim
        shown["claim"] = {"object": claim.thing.id, "affordance": claim.affordance.id, "stage": claim.stage}
    if resident.due is not None:
        shown["leaving"] = resident.due
    if resident.ties:
        shown["ties_top3"] = strongest(resident)
    return shown


def strongest(resident):
    """The up to three strongest ties."""
    by_strength = sorted(resident.ties, key=lambda each: (-each.strength, each.other.id))
    return [
        {
            "agent": each.other.id,
            "trust": rounded(each.trust),
            "familiarity": rounded(each.familiarity),
            "rivalry": rounded(each.rivalry),
        }
        for each in by_strength[:3]
    ]


def thing(each):
    """What a frame shows of an object."""
    shown = {"type": each.type, "pos": [each.x, each.y], "queue": [claim.resident.id for claim in each.queue]}
    if each.stock:
        shown["stock"] = dict(each.stock)
    if each.holder is not None:
        shown["holder"] = each.holder.resident.id
        if each.holder.stage == "running":
            shown["running"] = {"affordance": each.holder.affordance.id, "remaining": each.holder.remaining}
    if each.closed:
        shown["closed"] = True
    return shown
