"""Small towns for tests: a map drawn inline, residents placed by hand, actions by name, events as told.

``Town([...rows...], at=[(1, 1), (2, 1)])`` founds a town with two residents on those tiles; the symbols are
those of ``LEGEND``. ``town.step({0: "move_east", 1: ("use:relax", 3)})`` executes a tick, in which whoever
is not named waits, and gives its events. What is done with ``teleport``, ``switch``, ``close``, ``open``
and ``set_need`` happens in phase 1 of the next step, after the mask was given: that is how races are made.
What is changed in ``resident(...)`` or ``thing(...)`` holds at once; ``look`` renews the masks to match.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from tests.town.words import ITEMS, NEEDS, PROFILES
from townlet_adapters.documents import Document
from townlet_adapters.validation import validate
from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.compiled.state import waiting_for
from townlet_adapters.worlds.town.inputs.texts import TownOptions
from townlet_adapters.worlds.town.seam.arguments import Intervention
from townlet_adapters.worlds.town.seam.world import TownWorld
from townlet_core.dto.action import ActionBatch, PolicyContext
from townlet_core.dto.outcome import TickSummary
from townlet_core.events.base import Event
from townlet_core.hook_runner import HookRunner

LEGEND = {
    ".": {"tile": "floor"},
    "=": {"tile": "road"},
    "+": {"tile": "door"},
    "#": {"tile": "wall"},
    "~": {"tile": "water"},
    "E": {"tile": "road", "mark": "entry"},
    "r": {"tile": "floor", "place": "room"},
    "q": {"tile": "floor", "place": "quarters"},
    "g": {"tile": "floor", "place": "grocer"},
    "c": {"tile": "floor", "place": "cafe"},
    "o": {"tile": "floor", "place": "office"},
    "y": {"tile": "floor", "place": "gym"},
    "p": {"tile": "floor", "place": "park"},
    "h": {"tile": "floor", "place": "@", "mark": "home"},
    "H": {"tile": "floor", "place": "room", "mark": "home"},
    "F": {"tile": "floor", "place": "@", "object": "fridge"},
    "S": {"tile": "floor", "place": "@", "object": "stove"},
    "B": {"tile": "floor", "place": "@", "object": "bed"},
    "W": {"tile": "floor", "place": "@", "object": "shower"},
    "K": {"tile": "floor", "place": "@", "object": "sink"},
    "X": {"tile": "floor", "place": "@", "object": "checkout"},
    "C": {"tile": "floor", "place": "@", "object": "counter"},
    "N": {"tile": "floor", "place": "@", "object": "bench"},
    "R": {"tile": "floor", "place": "@", "object": "rack"},
}
KINDS = {"room": "home", "quarters": "home"} | {
    kind: kind for kind in ("grocer", "cafe", "office", "gym", "park")
}
Intent = str | int | tuple[str | int, int]


def town_map(rows: Sequence[str], jobs: Mapping[str, dict[str, object]] | None = None) -> dict[str, object]:
    """Write the map that the rows draw, with no more legend and places than they need."""
    symbols = sorted(set("".join(rows)))
    places = {LEGEND[symbol].get("place", "@") for symbol in symbols} - {"@"}
    return {
        "id": "drawn",
        "agents": 1,
        "legend": {symbol: LEGEND[symbol] for symbol in symbols},
        "kinds": {place: kind for place, kind in KINDS.items() if place in places},
        "jobs": dict(jobs or {}),
        "rows": list(rows),
    }


def affordance(name: str, object_type: str, duration: int = 5, **more: object) -> dict[str, object]:
    """Write one entry of a manifest; free and without effects unless told otherwise."""
    return {"id": name, "object_type": object_type, "duration": duration, **more}


def build_model(
    rows: Sequence[str],
    residents: int = 1,
    *,
    jobs: Mapping[str, dict[str, object]] | None = None,
    manifest: Sequence[dict[str, object]] | None = None,
    hooks: HookRunner | None = None,
    **options: Mapping[str, object],
) -> TownModel:
    """Make a model of a drawn town; ``options`` are sections of ``world.options``.

    Nobody leaves by the rules unless a section ``lifecycle`` is given.
    Nothing happens by itself unless ``features.perturbations`` says so.
    """
    given: dict[str, object] = {"town": town_map(rows, jobs), **options}
    given["time"] = {"start_tod": 0, **options.get("time", {})}
    given["population"] = {"target": residents, "start_spread": 0, **options.get("population", {})}
    given["economy"] = {"balance_check": "off", "rent_per_day": 1300, **options.get("economy", {})}
    given.setdefault("lifecycle", {"training_mode": True})
    given["features"] = {"perturbations": False, **options.get("features", {})}
    if manifest is not None:
        given["affordances"] = {"extend": None, "add": list(manifest), **options.get("affordances", {})}
    return TownModel.build(validate(Document(given, "test.yaml"), TownOptions), hooks=hooks)


class Town:
    """One town and what tests do with it. Residents are named by slot, objects by id."""

    def __init__(  # noqa: PLR0913 - what makes a town, each by its name
        self,
        rows: Sequence[str],
        at: Sequence[tuple[int, int]] = (),
        *,
        seed: int = 1,
        jobs: Mapping[str, dict[str, object]] | None = None,
        manifest: Sequence[dict[str, object]] | None = None,
        hooks: HookRunner | None = None,
        **options: Mapping[str, object],
    ) -> None:
        """Found a town with a resident on each of the tiles ``at`` (one at home when left out)."""
        self.model = build_model(rows, max(1, len(at)), jobs=jobs, manifest=manifest, hooks=hooks, **options)
        self.world = TownWorld(self.model, hooks)
        self.engine = self.world.engine
        self.state = self.engine.state
        self.seed = seed
        self.world.reset(seed)
        self._founding = int(self.engine.journal.written[0])
        self.action = np.zeros(self.model.spec.capacity, np.int16)
        self.target = np.full(self.model.spec.capacity, -1, np.int32)
        self.told: tuple[Event, ...] = ()
        """events of the last step"""
        self.log: list[tuple[int, Event]] = []
        """(tick, event) of all steps but for the town's founding"""
        self.summary: TickSummary | None = None
        if at:
            self.place(*at)

    # What happens to the town.

    def place(self, *tiles: tuple[int, int]) -> None:
        """Stand all residents on these tiles, in the order of their slots, as if each had come alone."""
        assert len(tiles) == int(self.state.towns[0].population)
        margin = int(self.model.tables.params[0].margin)
        self.state.occupant[0] = codes.NOBODY
        for slot, (x, y) in enumerate(tiles):
            assert self.model.tables.passable[y, x], f"nobody can stand on ({x}, {y})"
            assert self.state.occupant[0, y + margin, x + margin] < 0, f"({x}, {y}) is taken"
            self.state.occupant[0, y + margin, x + margin] = slot
            resident = self.resident(slot)
            resident.x, resident.y = x, y
            resident.mate, resident.ghost = codes.NOBODY, False
        self.look()

    def look(self) -> None:
        """Give everybody the observation, and so the mask, of the state as it stands."""
        self.engine.observe()

    def set_time(self, tick: int) -> None:
        """Let the next step execute this tick."""
        self.state.towns[0].tick = tick
        self.look()

    def step(
        self, intents: Mapping[int, Intent] | None = None, context: PolicyContext | None = None
    ) -> tuple[Event, ...]:
        """Execute one tick; an intent is an action by name or number, or with its target."""
        self.action[:] = codes.WAIT
        self.target[:] = -1
        for slot, intent in (intents or {}).items():
            action, target = intent if isinstance(intent, tuple) else (intent, -1)
            self.action[slot] = self.number(action) if isinstance(action, str) else action
            self.target[slot] = target
        executed = self.tick
        outcome = self.world.step(ActionBatch(self.action.data, self.target.data, context))
        self.told = outcome.events[self._founding :]  # the first outcome begins with the founding's
        self._founding = 0
        self.log += [(executed, event) for event in self.told]
        self.summary = outcome.summary
        return self.told

    def run(self, ticks: int, intents: Mapping[int, Intent] | None = None) -> None:
        """Execute ticks in which everybody keeps to one intent."""
        for _ in range(ticks):
            self.step(intents)

    def teleport(self, slot: int, x: int, y: int) -> None:
        """Move a resident in phase 1 of the next step."""
        self.engine.intervene(Intervention(0, codes.TELEPORT, slot, x, y))

    def switch(
        self,
        utility: str,
        *,
        on: bool,
        district: int = 0,
        source: int = codes.MANUAL,
        until: int = codes.NO_END,
    ) -> None:
        """Switch ``power`` or ``water`` in phase 1 of the next step."""
        number = codes.UTILITIES.index(utility)
        self.engine.intervene(Intervention(0, codes.SWITCH_UTILITY, district, number, int(on), source, until))

    def set_price(self, key: str, mills: int) -> None:
        """Edit a base price in phase 1 of the next step."""
        self.engine.intervene(Intervention(0, codes.SET_PRICE, 0, self.model.price_keys.index(key), mills))

    def scale(self, key: str, permille: int, source: int = codes.MANUAL, until: int = codes.NO_END) -> None:
        """Scale a price in phase 1 of the next step."""
        number = self.model.price_keys.index(key)
        self.engine.intervene(Intervention(0, codes.SCALE_PRICE, 0, number, permille, source, until))

    def put_price(self, mills: int, key: str | None = None) -> None:
        """Change a base price, or all of them, at once."""
        keys = [key] if key else self.model.price_keys
        for each in keys:
            price = self.state.price[0, 0, self.model.price_keys.index(each)]
            price.normal = price.now = mills

    def set_need(self, slot: int, need: str, value: float) -> None:
        """Set a need in phase 1 of the next step."""
        number = NEEDS.index(need)
        self.engine.intervene(Intervention(0, codes.SET_NEED, slot, number, x=value))

    def interrupt(self, slot: int, *, idle: bool = False) -> None:
        """End a resident's claim in phase 1 of the next step; if idle, only a place in a queue or a hold."""
        self.engine.intervene(Intervention(0, codes.INTERRUPT, slot, int(idle)))

    def remove(self, slot: int, *, replace: bool = False) -> None:
        """Let a resident leave in the next step."""
        self.engine.intervene(Intervention(0, codes.REMOVE, slot, int(replace)))

    def spawn(self, home: int = 0) -> None:
        """Let somebody arrive at a home tile in phase 1 of the next step."""
        self.engine.intervene(Intervention(0, codes.SPAWN, home))

    def close(self, name: str, source: int = codes.MANUAL, until: int = codes.NO_END) -> None:
        """Close an object in phase 1 of the next step."""
        self.engine.intervene(Intervention(0, codes.CLOSE_OBJECT, self.number_of(name), 1, c=source, d=until))

    def open(self, name: str, source: int = codes.MANUAL) -> None:
        """Open an object in phase 1 of the next step."""
        self.engine.intervene(Intervention(0, codes.CLOSE_OBJECT, self.number_of(name), 0, c=source))

    def price(self, key: str) -> int:
        """A price in mills, under the active effects."""
        return int(self.state.price[0, 0, self.model.price_keys.index(key)].now)

    # What there is to see.

    @property
    def tick(self) -> int:
        """The tick that the next step executes."""
        return int(self.state.towns[0].tick)

    def number(self, action: str) -> int:
        """Number of an action by name."""
        return self.model.spec.action_names.index(action)

    def number_of(self, name: str) -> int:
        """Number of an object by id."""
        return self.model.object_ids.index(name)

    def resident(self, slot: int) -> np.record:
        """The live record of a resident."""
        return self.state.residents[0, slot]

    def thing(self, name: str) -> np.record:
        """The live record of an object."""
        return self.state.objects[0, self.number_of(name)]

    def at(self, slot: int) -> tuple[int, int]:
        """Tile that a resident stands on."""
        return int(self.resident(slot).x), int(self.resident(slot).y)

    def result(self, slot: int) -> str:
        """What became of a resident's last intent."""
        return codes.REASONS[self.resident(slot).last_result]

    def stage(self, slot: int) -> str:
        """Stage of a resident's claim."""
        return codes.STAGES[self.resident(slot).claim_stage]

    def tie(self, owner: int, other: int) -> tuple[float, float, float] | None:
        """(trust, familiarity, rivalry) of a tie."""
        for tie in self.state.ties[0, owner, : int(self.resident(owner).ties)]:
            if tie.other == other:
                return float(tie.trust), float(tie.familiarity), float(tie.rivalry)
        return None

    def set_tie(
        self, owner: int, other: int, *, trust: float = 0.0, familiarity: float = 0.0, rivalry: float = 0.0
    ) -> None:
        """Give a resident a tie, or another one, as if it had grown so far."""
        r, rows = self.resident(owner), self.state.ties[0, owner]
        known = rows["other"][: int(r.ties)].tolist()
        if other not in known:
            known.append(other)
            r.ties += 1
        tie = rows[known.index(other)]
        tie.other, tie.trust, tie.familiarity, tie.rivalry = other, trust, familiarity, rivalry
        level = self.model.tables.profiles["avoids_from"][r.profile]
        r.avoided = int((rows["rivalry"][: int(r.ties)] >= level).sum())
        r.portrayed = 0
        self.look()

    def need(self, slot: int, name: str) -> float:
        """One need of a resident."""
        return float(self.resident(slot).need[NEEDS.index(name)])

    def wallet(self, slot: int) -> int:
        """Mills in a resident's wallet."""
        return int(self.resident(slot).wallet)

    def inventory(self, slot: int) -> tuple[int, int]:
        """(meals, ingredients) that a resident carries."""
        meals, ingredients = self.resident(slot).inventory[: len(ITEMS)]
        return int(meals), int(ingredients)

    def stock(self, name: str) -> tuple[int, int]:
        """(meals, ingredients) in an object."""
        meals, ingredients = self.thing(name).stock[: len(ITEMS)]
        return int(meals), int(ingredients)

    def holder(self, name: str) -> int | None:
        """Slot of an object's holder."""
        slot = int(self.thing(name).holder)
        return slot if slot >= 0 else None

    def queue(self, name: str) -> list[int]:
        """Slots that wait for an object, the next one first."""
        return waiting_for(self.state, 0, self.number_of(name))

    def cooldown(self, slot: int, o: int = 0) -> int:
        """First tick at which a resident may use an object again, 0 when it never used it lately."""
        return sum(until for listed, until in self.state.cooldowns[0, slot].tolist() if listed == o)

    def cool_down(self, slot: int, o: int, until: int) -> None:
        """Let one object cool down for a resident, and no other."""
        self.state.cooldowns[0, slot, 0] = o, until

    def mask(self, slot: int) -> set[str]:
        """Names of the actions that a resident may choose now."""
        allowed = self.engine.arrays.mask[0, slot]
        return {name for name, may in zip(self.model.spec.action_names, allowed, strict=True) if may}

    def money(self) -> int:
        """Sum of all accounts, which is always 0."""
        wallets = int(self.state.residents["wallet"][0].sum())
        return wallets + int(self.state.tills[0].sum()) + int(self.state.towns[0].treasury)

    def kinds(self) -> list[str]:
        """Kinds of the last step's events, in order."""
        return [event.kind for event in self.told]

    def heard(self, kind: str) -> list[Event]:
        """Events of one kind in the last step."""
        return [event for event in self.told if event.kind == kind]

    def when(self, kind: str, **fields: object) -> list[int]:
        """Ticks in which an event of a kind with these fields was told."""
        return [
            tick
            for tick, event in self.log
            if event.kind == kind and all(getattr(event, name) == value for name, value in fields.items())
        ]

    def set_profile(self, slot: int, name: str) -> None:
        """Make a resident one of a profile."""
        self.resident(slot).profile = PROFILES.index(name)


def agent(slot: int) -> str:
    """Id of the resident that was created in a slot."""
    return f"a{slot:05d}"


def is_sorted(values: Iterable[int]) -> bool:
    """Tell whether values rise strictly."""
    return all(a < b for a, b in pairwise(values))
