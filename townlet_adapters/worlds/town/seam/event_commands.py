"""The commands about events and prices: translated to interventions (domain.md, sections 11, 13 and 19)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, cast

from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.compiled.rows import serial_of
from townlet_adapters.worlds.town.inputs.perturbations import (
    MAX_EVENT_COOLDOWN,
    MAX_EVENT_TICKS,
    Spec,
    target_names,
)
from townlet_adapters.worlds.town.seam.arguments import Intervention
from townlet_adapters.worlds.town.seam.wrong import WrongError
from townlet_core.jsonvalue import JsonValue
from townlet_core.suggestions import nearest

_EVENT: Final = re.compile(r"evt_([1-9]\d{0,17})", re.ASCII)
_PARTICIPANTS: Final = 2
_BY_SPEC: Final = -1

Args = Mapping[str, JsonValue]


def prices_of(args: Args, model: TownModel) -> tuple[Intervention, ...]:
    """Return the edits of a base price, in one district or in all."""
    key, mills = str(args["key"]), cast("int", args["mills"])
    if key not in model.price_keys:
        raise WrongError("invalid_args", f"unknown price key {key!r:.80}; {nearest(key, model.price_keys)}")
    number = model.price_keys.index(key)
    _within("mills", mills, 0, codes.MOST_BASE * int(model.tables.start_price[0, number]))
    districts = [_district(args, model)] if "district" in args else range(model.plan.districts)
    return tuple(Intervention(0, codes.SET_PRICE, district, number, mills) for district in districts)


def cancellation_of(args: Args, _model: TownModel) -> tuple[Intervention, ...]:
    """Return the cancellation of an event."""
    event = str(args["event_id"])
    found = _EVENT.fullmatch(event)
    if found is None:
        raise WrongError("not_found", f"no event {event!r:.80} waits or is under way")
    return (Intervention(0, codes.CANCEL, 0, int(found[1])),)


def event_of(args: Args, model: TownModel, agent_ids: Sequence[str]) -> tuple[Intervention, ...]:
    """Return the scheduling of an event."""
    name = str(args["spec"])
    if name not in model.spec_names:
        raise WrongError("invalid_args", f"unknown spec {name!r:.80}; {nearest(name, model.spec_names)}")
    number = model.spec_names.index(name)
    spec = model.plan.specs[number]
    starts_in = cast("int", args.get("starts_in", 0))
    duration = cast("int", args.get("duration", _BY_SPEC))
    magnitude = cast("int", args.get("magnitude", _BY_SPEC))
    _within("starts_in", starts_in, 0, MAX_EVENT_COOLDOWN)
    if "duration" in args:
        _within("duration", duration, 1, MAX_EVENT_TICKS)
    if "magnitude" in args:
        _take("magnitude", spec, (codes.SPIKE,))
        _within("magnitude", magnitude, 0, codes.MOST_SCALE)
    district, place = _where(args, spec, model)
    targets = _targets(args, spec, model, agent_ids)
    if spec.effect == codes.CLOSURE and targets:
        district = int(model.tables.objects["district"][targets[0]])
    _require_something(number, spec, district, place, targets, model)
    f, g, h, i = (*targets, *[_BY_SPEC] * (codes.EVENT_TARGETS - len(targets)))
    order = Intervention(0, codes.PERTURB, district, number, starts_in, duration, magnitude, place)
    return (replace(order, f=f, g=g, h=h, i=i),)


def _where(args: Args, spec: Spec, model: TownModel) -> tuple[int, int]:
    """Return the district and the place that a command names, 0 and -1 without."""
    if "location" not in args:
        return _district(args, model), codes.NOBODY
    _take("location", spec, (codes.MEETING, codes.FESTIVAL))
    known = [place.id for place in model.plan.places]
    location = str(args["location"])
    if location not in known:
        raise WrongError("not_found", f"no place {location!r:.80} is in town; {nearest(location, known)}")
    place = known.index(location)
    if "district" in args:
        return _district(args, model), place
    return model.plan.places[place].district, place


def _district(args: Args, model: TownModel) -> int:
    district = cast("int", args.get("district", 0))
    _within("district", district, 0, model.plan.districts - 1)
    return district


def _targets(args: Args, spec: Spec, model: TownModel, agent_ids: Sequence[str]) -> list[int]:
    """Return the numbers of the targets that a command names."""
    if "targets" not in args:
        return []
    names = cast("Sequence[str]", args["targets"])
    _take("targets", spec, (codes.SPIKE, codes.OUTAGE, codes.CLOSURE, codes.MEETING))
    if len(set(names)) != len(names) or not 1 <= len(names) <= codes.EVENT_TARGETS:
        raise WrongError("invalid_args", f"targets must be 1 to {codes.EVENT_TARGETS} different names")
    if spec.effect == codes.MEETING:
        if len(names) != _PARTICIPANTS:
            raise WrongError("invalid_args", "the targets of a meeting must be two residents")
        for name in names:
            if not name or name not in agent_ids:
                raise WrongError("not_found", f"no resident {name!r:.80} lives in town")
        return [serial_of(name) for name in names]
    closes = spec.effect == codes.CLOSURE
    known = model.object_ids if closes else target_names(model.vocabulary)[spec.effect]
    for name in names:
        if name not in known:
            wrong = f"unknown target {name!r:.80}; {nearest(name, known)}"
            raise WrongError("not_found" if closes else "invalid_args", wrong)
    return [known.index(name) for name in names]


def _require_something(  # noqa: PLR0913, PLR0917 - all that an event consists of
    number: int, spec: Spec, district: int, place: int, targets: Sequence[int], model: TownModel
) -> None:
    """Refuse an event that could be about nothing in its district."""
    t = model.tables
    row = district * len(model.plan.specs) + number
    if spec.effect in (codes.MEETING, codes.FESTIVAL):
        found = place >= 0 or t.spec_place[district, number] >= 0
    elif spec.effect == codes.CLOSURE:
        found = bool(targets) or t.spec_start[row + 1] > t.spec_start[row]
    else:
        found = bool(targets) or bool(spec.targets)
    if not found:
        what = f"district {district} has nothing that {spec.name} could be about"
        raise WrongError("not_found", f"{what}; name targets or a location")


def _take(name: str, spec: Spec, effects: tuple[int, ...]) -> None:
    """Refuse an argument that events of a spec do not take."""
    if spec.effect not in effects:
        raise WrongError("invalid_args", f"{spec.name} takes no {name}")


def _within(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise WrongError("invalid_args", f"{name} {value} is out of range ({low} to {high})")
