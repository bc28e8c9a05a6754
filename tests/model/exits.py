"""Section 14, why and when residents leave: the ticks that count, who is due, and what keeps it."""

from tests.model import effects, employment
from tests.model.conventions import DAY

HUNGRY, TICKS_OF_HUNGER = 0.03, 30
LOW, TICKS_OF_NEGLECT = 0.1, 360
DAYS_OWED, TICKS_OF_GRACE = 2, DAY
TICKS_WITHOUT_WORK = 2 * DAY
AFTERMATH = 60
KEPT_BY = {
    "collapse": ("blackout",),
    "neglect": ("blackout", "outage"),
    "eviction": ("blackout", "outage", "spike"),
    "unemployment": ("blackout", "outage"),
    "age_out": (),
}
"""Reasons in their order -> the disturbances that keep a resident in town."""


def count(town):
    """The ticks of the table, by serial; also while no one leaves by the rules."""
    for each in town.residents:
        is_starving = each.needs.get("hunger", 1.0) <= HUNGRY
        each.starving = each.starving + 1 if is_starving else 0
        each.neglected += any(level <= LOW for level in each.needs.values())
        if each.rent_owed < DAYS_OWED:
            each.owing = None
        elif each.owing is None:
            each.owing = town.tick
    note_disturbances(town)


def note_disturbances(town):
    """Which disturbance is on in a district, as the effects say."""
    for kind, thing, _ in town.effects:
        if kind == effects.OFF:
            district, utility = thing
            town.disturbed[district, {"power": "blackout", "water": "outage"}[utility]] = town.tick
        elif kind == effects.SCALED and town.effects[kind, thing, _].scale > effects.WHOLE:
            town.disturbed[thing[0], "spike"] = town.tick


def holds(town, resident, reason):
    """Whether a condition holds now."""
    match reason:
        case "collapse":
            return resident.starving >= TICKS_OF_HUNGER
        case "neglect":
            return resident.neglected >= TICKS_OF_NEGLECT
        case "eviction":
            return resident.owing is not None and town.tick - resident.owing >= TICKS_OF_GRACE
        case "unemployment":
            waits = resident.job is None and town.tick - resident.jobless >= TICKS_WITHOUT_WORK
            return waits and employment.vacancy(town, resident.home.district) is not None
        case _:
            return town.tick >= resident.moves_at


def reason_of(town, resident):
    """The first reason whose condition holds and that the config has."""
    if not town.mortal:
        return None
    rules = town.options.lifecycle
    return next((each for each in KEPT_BY if getattr(rules, each) and holds(town, resident, each)), None)


def choose(town):
    """Who is due waits, and leaves unless something keeps it; who was due first is asked first.

    A new reason does not cost the turn, but its causes are told anew.
    """
    for each in town.residents:
        if each.leaving:
            continue
        reason = reason_of(town, each)
        if reason is not None and each.due is None:
            each.due_since = town.tick
        if reason != each.due:
            each.due, each.told_causes = reason, set()
    waiting = [each for each in town.residents if each.due is not None and not each.leaving]
    for each in sorted(waiting, key=lambda one: (one.due_since, one.serial)):
        cause = keeper(town, each)
        if cause is None:
            each.leaving = each.due
            district = each.home.district
            town.exits_today[district] += 1
            town.last_exit[district] = town.tick
        elif cause not in each.told_causes:
            each.told_causes.add(cause)
            town.emit("lifecycle.exit_pending", agent_id=each.id, reason=each.due, cause=cause)


def keeper(town, resident):
    """The first thing that keeps a resident in town, or none."""
    district = resident.home.district
    seen = [town.disturbed.get((district, each)) for each in KEPT_BY[resident.due]]
    if any(each is not None and town.tick - each <= AFTERMATH for each in seen):
        return "suppressed"
    if 0 < town.exit_cap <= town.exits_today[district]:
        return "cap"
    spacing = town.exit_spacing
    if resident.due == "age_out":
        spacing = max(spacing, town.options.lifecycle.move_spacing)
    last = town.last_exit.get(district)
    if last is not None and town.tick - last < spacing:
        return "spacing"
    return None
