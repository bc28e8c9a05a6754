"""Section 19, the commands about events and prices: set_price, perturb, perturb_cancel."""

from tests.model import effects, happenings
from tests.model.orders import require, require_done

MOST_BASE, MOST_SCALE = 100, 10_000
LONGEST, LATEST = 10_000, 1_000_000
MOST_TARGETS = 4
INVITING = ("meeting", "festival")


def set_price(town, args, _known):
    """A base price is edited, in all districts unless one is given."""
    key, plan = args["key"], town.plan
    require(key in plan.prices)
    require(0 <= args["mills"] <= MOST_BASE * plan.prices[key])
    districts = [district_of(town, args)] if "district" in args else range(plan.districts)
    for district in districts:
        effects.set_price(town, district, key, args["mills"])
    return dict(args)


def cancel(town, args, _known):
    """An event is cancelled."""
    number = args["event_id"].removeprefix("evt_")
    is_id = args["event_id"].startswith("evt_") and number.isdecimal() and number.isascii()
    require(is_id and not number.startswith("0"), "not_found")
    require_done(happenings.cancel(town, int(number)), args)
    return dict(args)


def perturb(town, args, known):
    """An event is scheduled; what is left out is as the spec says."""
    names = [each.name for each in town.plan.specs]
    require(args["spec"] in names)
    number = names.index(args["spec"])
    effect = happenings.EFFECTS[town.plan.specs[number].effect]
    require(0 <= args.get("starts_in", 0) <= LATEST)
    require(1 <= args.get("duration", 1) <= LONGEST)
    if "magnitude" in args:
        require(effect == "prices" and 0 <= args["magnitude"] <= MOST_SCALE)
    district, place = where(town, args, effect)
    targets = targets_of(town, args, effect, known)
    if effect == "closure" and targets:
        district = town.things[targets[0]].district
    event = happenings.Event(
        number=0,
        spec=number,
        district=district,
        source="manual",
        starts_at=town.tick + args.get("starts_in", 0),
        duration=args.get("duration"),
        magnitude=args.get("magnitude"),
        place=place,
        targets=targets,
    )
    require(can_be(town, event, effect), "not_found")
    require_done(happenings.order(town, event), args)
    return {"event_id": event.id, **args}


def district_of(town, args):
    """The district that is given, or 0."""
    district = args.get("district", 0)
    require(0 <= district < town.plan.districts)
    return district


def where(town, args, effect):
    """The district and place; without a district, that of the place."""
    if "location" not in args:
        return district_of(town, args), None
    require(effect in INVITING)
    places = {each.id: number for number, each in enumerate(town.plan.places)}
    require(args["location"] in places, "not_found")
    place = places[args["location"]]
    return (district_of(town, args) if "district" in args else town.plan.places[place].district), place


def targets_of(town, args, effect, known):
    """The targets that are named."""
    if "targets" not in args:
        return None
    names = args["targets"]
    require(effect != "festival")
    require(len(set(names)) == len(names) and 1 <= len(names) <= MOST_TARGETS)
    match effect:
        case "meeting":
            require(len(names) == 2)
            require(all(each in known for each in names), "not_found")
            return [known[each] for each in names]
        case "closure":
            ids = {each.id: each.number for each in town.things}
            require(all(each in ids for each in names), "not_found")
            return [ids[each] for each in names]
        case "utility":
            require(all(each in effects.UTILITIES for each in names))
        case _:
            vocabulary = town.plan.vocabulary
            items = {key.partition(".")[2] for key in town.plan.prices}
            require(
                all(
                    each in {"global", "market", *vocabulary.place_kinds, *items, *town.plan.prices}
                    for each in names
                )
            )
    return list(names)


def can_be(town, event, effect):
    """Whether the district has anything that the event could be about."""
    spec, district = town.plan.specs[event.spec], event.district
    if effect in INVITING:
        kinds = {each.kind for each in town.plan.places if each.district == district}
        return event.place is not None or bool(kinds & set(spec.targets))
    if effect == "closure":
        types = {each.type for each in town.things if each.district == district}
        return bool(event.targets) or bool(types & set(spec.targets))
    return bool(event.targets) or bool(spec.targets)


COMMANDS = {"set_price": set_price, "perturb": perturb, "perturb_cancel": cancel}
