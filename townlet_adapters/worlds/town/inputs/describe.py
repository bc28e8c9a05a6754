"""Describes a town to people: the meaning of its map's symbols, and how it differs from the shipped town."""

from collections.abc import Iterator, Mapping
from typing import Final

from townlet_adapters.documents import read_document
from townlet_adapters.validation import validate
from townlet_adapters.worlds.town.inputs.manifest import ManifestText
from townlet_adapters.worlds.town.inputs.plan import TownPlan
from townlet_adapters.worlds.town.inputs.rewards import RewardsOptions, cheap_exits, cost_of_a_bad_life
from townlet_adapters.worlds.town.inputs.shipped import shipped_file
from townlet_adapters.worlds.town.inputs.texts import LegendEntry
from townlet_adapters.worlds.town.inputs.townmap import INHERIT
from townlet_adapters.worlds.town.inputs.vocabulary import shipped_definitions
from townlet_core.ports import WARNING, Remark

_WORDS: Final[Mapping[str, str]] = {
    "needs": "need",
    "items": "item",
    "place_kinds": "kind of place",
    "object_types": "type of object",
    "prices": "price",
    "profiles": "profile",
    "affordances": "affordance",
}
_GROUND, _PLACES, _OBJECTS, _MARKS = "ground", "places", "objects", "marks"
_USUAL_TILE: Final = "floor"


def describe(plan: TownPlan, rewards: RewardsOptions) -> Iterator[Remark]:
    """Return the remarks about a town, in the order in which people read them."""
    yield _sizes(plan)
    yield from _symbols(plan)
    yield from _differences(plan)
    disabled = [each.id for each in plan.affordances.affordances if not each.enabled]
    if disabled:
        yield Remark("disabled", ", ".join(disabled))
    yield from _exits(plan, rewards)
    for notice in plan.notices:
        yield Remark("dropped", notice)
    for warning in plan.warnings:
        yield Remark(WARNING, warning)


def _exits(plan: TownPlan, rewards: RewardsOptions) -> Iterator[Remark]:
    """List the reasons for which leaving costs a learner less than a bad life, with the options' discount."""
    cheap = cheap_exits(rewards, plan.vocabulary, rewards.gamma)
    if cheap:
        worst = cost_of_a_bad_life(rewards, plan.vocabulary, rewards.gamma)
        listed = ", ".join(f"{reason} {loss:g}" for reason, loss in cheap.items())
        life = f"an endless bad life costs {worst:.3g} with gamma {rewards.gamma:g}"
        yield Remark("rewards", f"{life}, and leaving is cheaper: {listed}")


def _sizes(plan: TownPlan) -> Remark:
    counts = (
        (plan.target, "resident"),
        (len(plan.places), "place"),
        (len(plan.objects), "object"),
        (len(plan.home_tiles), "home tile"),
        (len(plan.jobs), "job"),
    )
    listed = ", ".join(f"{count} {word}{'s' * (count != 1)}" for count, word in counts)
    return Remark("town", f"{plan.id}: {plan.width} x {plan.height} tiles; {listed}")


def _symbols(plan: TownPlan) -> Iterator[Remark]:
    """List the symbols by what they are for; those of a stamp apart, since they mean something only there."""
    groups: dict[str, list[str]] = {_GROUND: [], _PLACES: [], _OBJECTS: [], _MARKS: []}
    stamps: dict[int, list[str]] = {}
    for symbol, entry in plan.map.legend.items():
        if symbol in plan.stamped:
            number, written = plan.stamped[symbol]
            stamps.setdefault(number, []).append(f"{written} {_meaning(plan, entry)}")
        else:
            groups[_group(entry)].append(f"{symbol} {_meaning(plan, entry)}")
    for topic, meanings in groups.items():
        if meanings:
            yield Remark(topic, ",  ".join(meanings))
    for number, meanings in sorted(stamps.items()):
        yield Remark(f"stamp {number}", ",  ".join(meanings))
    drawn = set("".join(plan.map.rows))
    unused = [plan.stamped.get(symbol, (0, symbol))[1] for symbol in plan.map.legend if symbol not in drawn]
    if unused:
        yield Remark("unused", f"no tile has {', '.join(unused)}")


def _group(entry: LegendEntry) -> str:
    if entry.mark is not None:
        return _MARKS
    if entry.object is not None:
        return _OBJECTS
    return _GROUND if entry.place is None else _PLACES


def _meaning(plan: TownPlan, entry: LegendEntry) -> str:
    """Return what a symbol stands for, without what goes without saying: floor, the place around it."""
    place = ""
    if entry.place is not None and entry.place != INHERIT:
        kind = plan.map.kinds[entry.place]
        place = entry.place if kind == entry.place else f"{entry.place} ({kind})"
    thing = entry.object or {"home": "home tile", "entry": "entry"}.get(entry.mark or "", "")
    if not (thing or place):
        return entry.tile
    said = f"{thing} in {place}" if thing and place else thing or place
    return said if entry.tile == _USUAL_TILE else f"{said}, {entry.tile}"


def _differences(plan: TownPlan) -> Iterator[Remark]:
    """Compare vocabulary and manifest with the shipped ones."""
    added: list[str] = []
    changed: list[str] = []
    without: list[str] = []
    shipped = _shipped_entries()
    for section, entries in _entries(plan).items():
        word, known = _WORDS[section], shipped[section]
        added += [f"{word} {name}" for name in entries if name not in known]
        changed += [f"{word} {name}" for name in entries if name in known and entries[name] != known[name]]
        without += [f"{word} {name}" for name in known if name not in entries]
    for topic, names in (("new", added), ("changed", changed), ("without", without)):
        if names:
            yield Remark(topic, ", ".join(names))


def _entries(plan: TownPlan) -> Mapping[str, Mapping[str, object]]:
    affordances = {each.id: each.text for each in plan.affordances.affordances}
    return {**plan.vocabulary.definitions, "prices": plan.vocabulary.prices, "affordances": affordances}


def _shipped_entries() -> Mapping[str, Mapping[str, object]]:
    """Return the entries of the shipped vocabulary and manifest, by section and name."""
    shipped = shipped_definitions()
    manifest = validate(read_document(shipped_file("manifest")), ManifestText).root
    return {
        "needs": shipped.needs,
        "items": shipped.items,
        "place_kinds": shipped.place_kinds,
        "object_types": shipped.object_types,
        "profiles": shipped.profiles,
        "prices": shipped.prices,
        "affordances": {text.id: text for text in manifest},
    }
