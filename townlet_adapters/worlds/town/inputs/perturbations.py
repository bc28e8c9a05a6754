"""The specs of events that happen to a town: their texts, the shipped ones, and their checks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from townlet_adapters.documents import read_document, spell_key
from townlet_adapters.validation import validate
from townlet_adapters.worlds.town.codes import (
    EVENT_TARGETS,
    EVENTS_PER_DISTRICT,
    MAX_SPECS,
    MOST_SCALE,
    SPEC_EFFECTS,
    SPIKE,
    TICKS_PER_DAY,
    UTILITIES,
)
from townlet_adapters.worlds.town.inputs.section import Name, Section
from townlet_adapters.worlds.town.inputs.shipped import shipped_file
from townlet_adapters.worlds.town.inputs.vocabulary import Vocabulary
from townlet_core.errors import ConfigError, Problem
from townlet_core.suggestions import nearest

MAX_EVENT_TICKS: Final = 10_000
MAX_EVENT_COOLDOWN: Final = 1_000_000
GLOBAL, MARKET = "global", "market"

_Pair = Field(min_length=2, max_length=2)
TickRange = Annotated[tuple[Annotated[int, Field(ge=1, le=MAX_EVENT_TICKS)], ...], _Pair]
ScaleRange = Annotated[tuple[Annotated[int, Field(ge=0, le=MOST_SCALE)], ...], _Pair]


class SpecText(Section):
    """A spec of events; a key that is left out is as in the shipped spec of that name."""

    effect: Literal["prices", "utility", "closure", "meeting", "festival"] | None = None
    """what it does: scale prices, switch a utility off, close an object, invite two residents or all"""
    chance: Annotated[float, Field(ge=0, le=TICKS_PER_DAY)] | None = None
    """how often the scheduler draws it in a day and district; 0 leaves it to the command `perturb`"""
    cooldown: Annotated[int, Field(ge=0, le=MAX_EVENT_COOLDOWN)] | None = None
    """ticks after its end in which the scheduler does not start it again in the same district"""
    duration: TickRange | None = None
    """fewest and most ticks that it lasts"""
    magnitude: ScaleRange | None = None
    """of prices: least and greatest permille of the price"""
    targets: Annotated[tuple[str, ...], Field(min_length=1, max_length=EVENT_TARGETS)] | None = None
    """of prices: `global`, `market`, kinds of place, items or price keys; of a utility: `power`, `water`;
    of a closure: types of object; of a meeting or festival: kinds of place, the first that there is"""

    @model_validator(mode="after")
    def _check_ranges(self) -> Self:
        for name in ("duration", "magnitude"):
            limits = getattr(self, name)
            if limits is not None and limits[0] > limits[1]:
                raise ValueError(f"{name} is {list(limits)}; allowed: [least, greatest]")
        return self


class PerturbationsOptions(Section):
    """Events that happen to the town; each district has a scheduler of its own."""

    max_concurrent: Annotated[int, Field(ge=0, le=EVENTS_PER_DISTRICT)] = 1
    """events under way in a district with which its scheduler starts no other"""
    global_cooldown_ticks: Annotated[int, Field(ge=0, le=MAX_EVENT_COOLDOWN)] = 240
    """ticks after the end of an event in which the scheduler starts none"""
    agent_cooldown_ticks: Annotated[int, Field(ge=0, le=MAX_EVENT_COOLDOWN)] = 360
    """ticks after the end of a meeting in which the two who were invited are chosen for no other"""
    grace_ticks: Annotated[int, Field(ge=0, le=MAX_EVENT_COOLDOWN)] = 60
    """first tick in which the scheduler may start an event"""
    window_ticks: Annotated[int, Field(ge=1, le=MAX_EVENT_COOLDOWN)] = TICKS_PER_DAY
    """ticks over which the scheduler counts its starts"""
    max_per_window: Annotated[int, Field(ge=0, le=100)] = 2
    """most starts of the scheduler in a district and window"""
    specs: dict[Name, SpecText] = {}
    """spec -> changes to the shipped spec of that name, or a further spec"""


@dataclass(frozen=True, slots=True)
class Spec:
    """A spec of events.

    Attributes:
        name: its name, which is the kind of its events.
        effect: number of what it does.
        chance: draws per day and district.
        cooldown: ticks after its end.
        duration: fewest and most ticks.
        magnitude: least and greatest permille of a price; (0, 0) for none.
        targets: what it may be about, as the config says; names that the town lacks are left out.
    """

    name: str
    effect: int
    chance: float
    cooldown: int
    duration: tuple[int, int]
    magnitude: tuple[int, int]
    targets: tuple[str, ...]


class _ShippedText(Section):
    specs: dict[Name, SpecText]


def shipped_specs() -> Mapping[str, SpecText]:
    """Return the specs that come with the town."""
    return validate(read_document(shipped_file("perturbations")), _ShippedText).specs


def price_targets(vocabulary: Vocabulary) -> Mapping[str, tuple[str, ...]]:
    """Return everything that a spike of prices can be about, with the price keys that it covers."""
    keys = tuple(vocabulary.prices)
    covered: dict[str, tuple[str, ...]] = {
        GLOBAL: keys,
        MARKET: tuple(key for key in keys if key.partition(".")[2] in vocabulary.items),
    }
    for kind in vocabulary.place_kinds:
        covered.setdefault(kind, tuple(key for key in keys if key.partition(".")[0] == kind))
    for item in vocabulary.priced_items:
        covered.setdefault(item, tuple(key for key in keys if key.partition(".")[2] == item))
    return MappingProxyType(covered | {key: (key,) for key in keys})


def target_names(vocabulary: Vocabulary) -> tuple[tuple[str, ...], ...]:
    """Return what the targets of a spec can be, for each effect by its number."""
    places = tuple(vocabulary.place_kinds)
    return tuple(price_targets(vocabulary)), UTILITIES, tuple(vocabulary.object_types), places, places


def read_specs(options: PerturbationsOptions, vocabulary: Vocabulary) -> tuple[Spec, ...]:
    """Return all specs: the shipped ones with the changes of a config, then its own.

    Raises:
        ConfigError: when a further spec lacks a key, or a config names a target that the town does not know;
            keys are relative to the town's options.
    """
    shipped = shipped_specs()
    texts = {name: _merged(name, shipped, options.specs) for name in (*shipped, *options.specs)}
    problems = [
        problem
        for name in options.specs
        for problem in _problems(name, texts[name], options.specs[name], vocabulary)
    ]
    if len(texts) > MAX_SPECS:
        allowed = f"allowed: {MAX_SPECS} with the shipped ones"
        problems.append(Problem("perturbations.specs", f"{len(texts)} specs", allowed))
    if problems:
        raise ConfigError(*problems)
    return tuple(_spec(name, text, vocabulary) for name, text in texts.items())


def _merged(name: str, shipped: Mapping[str, SpecText], changed: Mapping[str, SpecText]) -> SpecText:
    base = shipped.get(name, SpecText())
    change = changed.get(name, SpecText())
    given = {key: getattr(change, key) for key in change.model_fields_set}
    return base.model_copy(update={key: value for key, value in given.items() if value is not None})


def _problems(name: str, text: SpecText, given: SpecText, vocabulary: Vocabulary) -> Iterator[Problem]:
    key = spell_key(("perturbations", "specs", name))
    needed = ["effect", "chance", "cooldown", "duration", "targets"]
    if text.effect == SPEC_EFFECTS[SPIKE]:
        needed.append("magnitude")
    missing = [each for each in needed if getattr(text, each) is None]
    if missing:
        yield Problem(key, f"no {', '.join(missing)}", "a spec that is not shipped needs them")
    if text.effect is None or given.targets is None:
        return
    known = target_names(vocabulary)[SPEC_EFFECTS.index(text.effect)]
    for target in given.targets:
        if target not in known:
            yield Problem(f"{key}.targets", f"unknown target '{target}'", nearest(target, known))


def _spec(name: str, text: SpecText, vocabulary: Vocabulary) -> Spec:
    effect = SPEC_EFFECTS.index(text.effect or SPEC_EFFECTS[SPIKE])
    known = target_names(vocabulary)[effect]
    least, most = text.duration or (1, 1)
    weakest, strongest = (text.magnitude or (0, 0)) if effect == SPIKE else (0, 0)
    return Spec(
        name=name,
        effect=effect,
        chance=text.chance or 0.0,
        cooldown=text.cooldown or 0,
        duration=(least, most),
        magnitude=(weakest, strongest),
        targets=tuple(target for target in text.targets or () if target in known),
    )
