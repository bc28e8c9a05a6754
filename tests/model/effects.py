"""Section 13, what is off, closed or dear: a list of effects, from which everything else follows."""

from typing import NamedTuple

from tests.model import queues

OFF, CLOSED, SCALED = "off", "closed", "scaled"
WHOLE = 1000
MOST_PRICE = 10**12
ROOM_PER_DISTRICT = 16
EVENTS_PER_DISTRICT, TARGETS = 8, 4
UTILITIES = ("power", "water")


class Effect(NamedTuple):
    """What an effect says of its thing, and until when; 0 has no end."""

    scale: int
    until: int


def room(town):
    """One for each object closed, each utility off, 16 more for each district, and those of its events."""
    events = EVENTS_PER_DISTRICT * max(len(town.base_prices[0]), TARGETS)
    return len(town.things) + len(town.power) * (len(UTILITIES) + ROOM_PER_DISTRICT + events)


def impose(town, kind, thing, source, effect):
    """A source has an effect on a thing once; a full list refuses."""
    key = (kind, thing, source)
    if key not in town.effects and len(town.effects) == room(town):
        return "no_room"
    town.effects[key] = effect
    follow(town)
    return "executed"


def lift(town, kind, thing, source):
    """Whoever ends an effect ends its own only."""
    town.effects.pop((kind, thing, source), None)
    follow(town)
    return "executed"


def lift_all(town, source):
    """All effects of a source end."""
    for key in [each for each in town.effects if each[2] == source]:
        del town.effects[key]
    follow(town)


def end(town):
    """Phase 3: effects that are over end."""
    over = [key for key, each in town.effects.items() if 0 < each.until <= town.tick]
    for key in over:
        del town.effects[key]
    if over:
        follow(town)


def follow(town):
    """What is on, open and how dear, as the effects say."""
    active = {(kind, thing) for kind, thing, _ in town.effects}
    for district, utilities in enumerate(town.power):
        for each in utilities:
            utilities[each] = (OFF, (district, each)) not in active
    for each in town.things:
        each.closed = (CLOSED, each.number) in active
    town.prices = [dict(each) for each in town.base_prices]
    by_source = sorted(town.effects.items(), key=lambda item: item[0][2])
    for (kind, thing, _), effect in by_source:
        if kind == SCALED:
            district, key = thing
            scaled = (town.prices[district][key] * effect.scale + 500) // 1000
            town.prices[district][key] = min(MOST_PRICE, scaled)


def switch(town, district, utility, is_on, source=0, until=0):  # noqa: PLR0913, PLR0917 - as the intervention
    """Switch a utility of a district off, or end that."""
    if is_on:
        return lift(town, OFF, (district, utility), source)
    return impose(town, OFF, (district, utility), source, Effect(WHOLE, until))


def close(town, number, is_closed, source=0, until=0):
    """Close an object, which dismisses its queue and idle holder, or end that."""
    if not is_closed:
        return lift(town, CLOSED, number, source)
    answer = impose(town, CLOSED, number, source, Effect(WHOLE, until))
    if answer == "executed":
        queues.dismiss(town, town.things[number])
    return answer


def scale(town, district, key, permille, source=0, until=0):  # noqa: PLR0913, PLR0917 - as the intervention
    """Scale a price; 1000 permille end that."""
    if permille == WHOLE:
        return lift(town, SCALED, (district, key), source)
    return impose(town, SCALED, (district, key), source, Effect(permille, until))


def set_price(town, district, key, mills):
    """An edit changes the base price, and is told."""
    town.base_prices[district][key] = mills
    follow(town)
    price = town.prices[district][key]
    town.emit("economy.price", district=district, key=key, base=mills, price=price, reason="edit")
    return "executed"
