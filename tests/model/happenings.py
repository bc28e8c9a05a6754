"""Section 13, events over the town: when they start and end, what they are about, what they bring."""

from dataclasses import dataclass
from typing import Any

from tests.model import draws, effects
from tests.model.conventions import DAY

EFFECTS = ("prices", "utility", "closure", "meeting", "festival")
STREAM_OF_DISTRICT = 64
ORDER, START, DURATION, MAGNITUDE, OBJECT = range(5)
"""Indices of the draws."""


@dataclass(eq=False, slots=True)
class Event:
    """Something that happens to a district; what is None is as its spec says when it starts."""

    number: int
    spec: int
    district: int
    source: str
    starts_at: int
    duration: int | None = None
    magnitude: int | None = None
    place: int | None = None
    targets: Any = None
    """names, objects or residents"""
    ends_at: int | None = None
    is_under_way: bool = False
    keys: tuple[str, ...] = ()
    """price keys that are scaled"""

    @property
    def id(self):
        """``evt_`` and the number."""
        return f"evt_{self.number}"


class Calendar:
    """The events of a town that wait or are under way, by number, and what the schedulers remember.

    Attributes:
        events: the events.
        scheduled: events so far.
        rests: (district, spec) -> tick from which it may start again.
        quiet: district -> tick from which its scheduler may start events again.
        starts: district -> ticks of the starts of its scheduler.
    """

    def __init__(self):
        self.events = []
        self.scheduled = 0
        self.rests = {}
        self.quiet = {}
        self.starts = {}

    def under_way(self, district):
        """How many events of a district are under way."""
        return sum(each.is_under_way and each.district == district for each in self.events)


def kind(town, event):
    """The name of the spec."""
    return town.plan.specs[event.spec].name


def effect_of(town, event):
    """What an event does."""
    return EFFECTS[town.plan.specs[event.spec].effect]


def is_full(town):
    """All districts share one list."""
    return len(town.calendar.events) >= effects.EVENTS_PER_DISTRICT * len(town.power)


def pass_on(town):
    """Phase 2: events that are over end, those that are due start, then each district's scheduler."""
    for event in list(town.calendar.events):
        if event.is_under_way and event.ends_at <= town.tick:
            finish(town, event)
    for event in list(town.calendar.events):
        if not event.is_under_way and event.starts_at <= town.tick and not begin(town, event):
            town.calendar.events.remove(event)
            town.emit("perturbation.cancelled", event_id=event.id, kind_=kind(town, event), pending=True)
    if town.options.features.perturbations:
        for district in range(len(town.power)):
            schedule(town, district)


def schedule(town, district):
    """A district's scheduler starts at most one event in a tick."""
    rules, calendar = town.options.perturbations, town.calendar
    starts = [each for each in calendar.starts.get(district, ()) if town.tick - rules.window_ticks < each]
    calendar.starts[district] = starts
    may_start = (
        town.tick >= rules.grace_ticks
        and calendar.under_way(district) < rules.max_concurrent
        and town.tick >= calendar.quiet.get(district, 0)
        and len(starts) < rules.max_per_window
        and not is_full(town)
    )
    if may_start:
        for number in by_lot(town, district):
            if is_drawn(town, district, number) and start_one(town, district, number):
                starts.append(town.tick)
                return


def drawn(town, district, spec):
    """The first four numbers of a draw."""
    return town.seed, "events", town.tick, STREAM_OF_DISTRICT * district + spec


def by_lot(town, district):
    """The numbers of the specs in the order of this tick."""
    numbers = range(len(town.plan.specs))
    return sorted(numbers, key=lambda each: (draws.draw(*drawn(town, district, each), ORDER), each))


def is_drawn(town, district, number):
    """Whether a spec has rested, and its turn has come."""
    if town.tick < town.calendar.rests.get((district, number), 0):
        return False
    chance = min(1.0, town.plan.specs[number].chance / DAY)
    return draws.unit(*drawn(town, district, number), START) < chance


def start_one(town, district, number):
    """The scheduler starts an event, unless it is about nothing."""
    calendar = town.calendar
    event = Event(calendar.scheduled + 1, number, district, "scheduler", town.tick)
    size(town, event)
    calendar.events.append(event)
    if begin(town, event):
        calendar.scheduled += 1
        return True
    calendar.events.remove(event)
    return False


def order(town, event):
    """By hand: an event is scheduled, whatever the scheduler may do."""
    if is_full(town):
        return "no_room"
    town.calendar.scheduled += 1
    event.number = town.calendar.scheduled
    size(town, event)
    town.calendar.events.append(event)
    town.emit("perturbation.scheduled", event_id=event.id, kind_=kind(town, event), starts_at=event.starts_at)
    return "executed"


def size(town, event):
    """What is drawn, and known, as soon as an event is scheduled: its length, its magnitude, its place."""
    spec, here = town.plan.specs[event.spec], drawn(town, event.district, event.spec)
    if event.duration is None:
        event.duration = draws.integer(*spec.duration, *here, DURATION)
    event.ends_at = event.starts_at + event.duration
    if effect_of(town, event) == "prices" and event.magnitude is None:
        event.magnitude = draws.integer(*spec.magnitude, *here, MAGNITUDE)
    if effect_of(town, event) in {"prices", "utility"}:
        event.targets = event.targets or spec.targets
    elif effect_of(town, event) != "closure" and event.place is None:
        event.place = first_place(town, event)


def first_place(town, event):
    """The first place of the first kind of the spec that the district has."""
    places = [(each.kind, n) for n, each in enumerate(town.plan.places) if each.district == event.district]
    wanted = town.plan.specs[event.spec].targets
    return next((number for target in wanted for each, number in places if each == target), None)


def cancel(town, number):
    """An event that waits is cancelled, one that is under way ends."""
    event = next((each for each in town.calendar.events if each.number == number), None)
    if event is None:
        return "no_event"
    pending = not event.is_under_way
    town.emit("perturbation.cancelled", event_id=event.id, kind_=kind(town, event), pending=pending)
    if pending:
        town.calendar.events.remove(event)
    else:
        finish(town, event)
    return "executed"


def begin(town, event):
    """An event starts, and is told with what it brings; returns whether it is about anything."""
    spec = town.plan.specs[event.spec]
    if not ABOUT[effect_of(town, event)](town, event):
        return False
    event.is_under_way = True
    rests, what = town.calendar.rests, (event.district, event.spec)
    rests[what] = max(rests.get(what, 0), event.ends_at + spec.cooldown)
    town.emit(
        "perturbation.started",
        event_id=event.id,
        kind_=spec.name,
        district=event.district,
        targets=shown_targets(town, event),
        magnitude=event.magnitude,
        ends_at=event.ends_at,
        source=event.source,
    )
    BRINGS[effect_of(town, event)](town, event)
    return True


def finish(town, event):
    """An event ends, also by a cancellation; its scheduler rests from the planned end on."""
    calendar = town.calendar
    calendar.events.remove(event)
    rest = event.ends_at + town.options.perturbations.global_cooldown_ticks
    calendar.quiet[event.district] = max(rest, calendar.quiet.get(event.district, 0))
    town.emit("perturbation.ended", event_id=event.id, kind_=kind(town, event))
    effects.lift_all(town, event.number)
    tell_prices(town, event, "spike_end")
    for each in town.residents:
        if each.invited is event:
            each.invited = None


def shown_targets(town, event):
    """What an event is about, as texts."""
    place = [town.plan.places[event.place].id] if event.place is not None else []
    match effect_of(town, event):
        case "closure":
            return tuple(town.things[each].id for each in event.targets or ())
        case "meeting":
            return (*(each.id for each in event.targets or ()), *place)
        case "festival":
            return tuple(place)
        case _:
            return tuple(event.targets)


def _find_names(_town, event):
    """Prices and utilities: those that are named, else those of the spec."""
    return bool(event.targets)


def _find_object(town, event):
    """Closures: the objects that are named, else one of the types of the spec."""
    if event.targets:
        return True
    spec = town.plan.specs[event.spec]
    there = [
        each.number for each in town.things if each.district == event.district and each.type in spec.targets
    ]
    if there:
        number = draws.integer(0, len(there) - 1, *drawn(town, event.district, event.spec), OBJECT)
        event.targets = [there[number]]
    return bool(there)


def _find_place(_town, event):
    """A festival is in a place."""
    return event.place is not None


def _find_pair(town, event):
    """A meeting: the two who are named, or the two who rival most."""
    if not _find_place(town, event):
        return False
    if event.targets:
        return all(each in town.residents for each in event.targets)
    event.targets = rivals(town, event.district)
    return event.targets is not None


def rivals(town, district):
    """The two of a district with the highest sum of rivalry, of those who are free."""
    pause = town.options.perturbations.agent_cooldown_ticks
    free = [
        each
        for each in town.residents
        if each.home.district == district
        and each.invited is None
        and (each.met_until is None or town.tick - each.met_until >= pause)
    ]
    pairs = [
        (-(rivalry(a, b) + rivalry(b, a)), a.serial, b.serial, (a, b))
        for k, a in enumerate(free)
        for b in free[k + 1 :]
        if rivalry(a, b) + rivalry(b, a) > 0
    ]
    return min(pairs)[3] if pairs else None


def rivalry(owner, other):
    """Of an owner for another, 0 without a tie."""
    return next((each.rivalry for each in owner.ties if each.other is other), 0.0)


ABOUT = {
    "prices": _find_names,
    "utility": _find_names,
    "closure": _find_object,
    "meeting": _find_pair,
    "festival": _find_place,
}


def covered(town, target):
    """The price keys that a target covers."""
    vocabulary = town.plan.vocabulary
    keys = [(*key.partition(".")[::2], key) for key in town.plan.prices]
    if target == "global":
        return {key for _, _, key in keys}
    if target == "market":
        return {key for _, item, key in keys if item in vocabulary.items}
    if target in vocabulary.place_kinds:
        return {key for place, _, key in keys if place == target}
    return {key for _, item, key in keys if target in {item, key}}


def _scale(town, event):
    names = set().union(*(covered(town, each) for each in event.targets))
    event.keys = tuple(each for each in town.plan.prices if each in names)
    for key in event.keys:
        effects.scale(town, event.district, key, event.magnitude, event.number)
    tell_prices(town, event, "spike_start")


def tell_prices(town, event, reason):
    """The prices that a spike has changed."""
    for key in event.keys:
        town.emit(
            "economy.price",
            district=event.district,
            key=key,
            base=town.base_prices[event.district][key],
            price=town.prices[event.district][key],
            reason=reason,
        )


def _switch_off(town, event):
    for utility in event.targets:
        effects.switch(town, event.district, utility, False, event.number)  # noqa: FBT003 - off


def _close(town, event):
    for number in event.targets:
        effects.close(town, number, True, event.number)  # noqa: FBT003 - closed


def _bring_together(_town, event):
    for each in event.targets:
        invite(each, event)
        each.met_until = event.ends_at


def _invite_all(town, event):
    for each in town.residents:
        if each.home.district == event.district and each.invited is None:
            invite(each, event)


def invite(resident, event):
    """Who is invited plans anew."""
    resident.invited = event
    resident.forget()


BRINGS = {
    "prices": _scale,
    "utility": _switch_off,
    "closure": _close,
    "meeting": _bring_together,
    "festival": _invite_all,
}


def are_at_a_meeting(town, one, other):
    """Whether both are invited to the same meeting."""
    event = one.invited
    return event is not None and event is other.invited and effect_of(town, event) == "meeting"


def are_at_a_festival(town, one, other):
    """Whether both stand in the place of a festival."""
    held = [each for each in town.calendar.events if each.is_under_way]
    places = {each.place for each in held if effect_of(town, each) == "festival"}
    at = town.ground.place_at
    return at[one.y][one.x] == at[other.y][other.x] and at[one.y][one.x] in places


def shown(town):
    """What a frame shows of the events."""
    return {each.id: show(town, each) for each in town.calendar.events}


def show(town, event):
    """What a frame shows of an event; what is not known yet is left out."""
    told = {
        "kind": kind(town, event),
        "district": event.district,
        "state": "active" if event.is_under_way else "pending",
        "starts_at": event.starts_at,
        "ends_at": event.ends_at,
        "targets": list(shown_targets(town, event)),
        "source": event.source,
    }
    if event.magnitude is not None:
        told["magnitude"] = event.magnitude
    return told
