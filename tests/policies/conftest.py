"""A town of three rooms and a hall, made by hand: everything a policy sees, and every number can be set.

Columns 0..15, rows 0..4; ``a`` home, ``y`` gym, ``p`` park, ``w`` cafe (which also sells ingredients)::

    ################
    #FaaS#Ry...#Cww#
    #aaaa+yy...+www#
    #BaaW#.pNp.#wwX#
    ################
"""

from typing import NamedTuple

import numpy as np
import pytest

from townlet_core.dto.observation import ObservationBatch, View
from townlet_core.dto.spec import ColumnSpec, ItemSpec, NeedSpec, OptionSpec, WorldSpec

ROWS = (
    "################",
    "#FaaS#Ry...#Cww#",
    "#aaaa+yy...+www#",
    "#BaaW#.pNp.#wwX#",
    "################",
)
HEIGHT, WIDTH = len(ROWS), len(ROWS[0])
TYPES = ("fridge", "stove", "bed", "shower", "checkout", "counter", "bench", "rack")
SYMBOLS = "FSBWXCNR"
PLACES = "aypw"
KINDS = ("home", "gym", "park", "cafe")
ITEMS = ("meal", "ingredients", "shower", "session")
PRICES = {
    "home": (400, 150, 200, -1),
    "gym": (-1, -1, -1, 100),
    "park": (-1, -1, -1, -1),
    "cafe": (900, 150, -1, -1),
}
HOMES = ((2, 2), (3, 2), (2, 3), (3, 3))


class Affordance(NamedTuple):
    """A line of the core manifest; each charge is (inventory, stock, price) by item."""

    name: str
    type: str
    duration: int
    need: tuple[float, float, float]
    gain: tuple[int, int]
    charges: tuple[tuple[tuple[int, int], tuple[int, int], tuple[int, int, int, int]], ...]
    wakes: int = -1


FREE = ((0, 0), (0, 0), (0, 0, 0, 0))
MANIFEST = (
    Affordance("eat_meal", "fridge", 15, (0.40, 0, 0.05), (0, 0),
               (((1, 0), (0, 0), (0, 0, 0, 0)), ((0, 0), (1, 0), (1, 0, 0, 0)))),
    Affordance("cook_meal", "stove", 40, (0.10, 0, -0.05), (1, 0),
               (((0, 1), (0, 0), (0, 0, 0, 0)), ((0, 0), (0, 1), (0, 1, 0, 0)))),
    Affordance("use_shower", "shower", 30, (0, 0.45, -0.03), (0, 0), (((0, 0), (0, 0), (0, 0, 1, 0)),)),
    Affordance("rest_sleep", "bed", 60, (0, 0, 0.80), (0, 0), (FREE,)),
    Affordance("buy_groceries", "checkout", 10, (0, 0, 0), (0, 2), (((0, 0), (0, 2), (0, 2, 0, 0)),)),
    Affordance("buy_meal", "counter", 20, (0.45, 0, 0.05), (0, 0), (((0, 0), (1, 0), (1, 0, 0, 0)),)),
    Affordance("relax", "bench", 20, (0, 0, 0.03), (0, 0), (FREE,)),
    Affordance("work_out", "rack", 45, (-0.05, -0.10, 0.15), (0, 0), (((0, 0), (0, 0), (0, 0, 0, 1)),)),
)  # fmt: skip
VERBS = ("wait", "move_north", "move_south", "move_east", "move_west", "leave", "talk")
STEPS = ((0, -1), (0, 1), (1, 0), (-1, 0))
ACTIONS = VERBS + tuple(f"use:{affordance.name}" for affordance in MANIFEST)
OBJECTS = tuple(
    (symbol, x, y) for y, row in enumerate(ROWS) for x, symbol in enumerate(row) if symbol in SYMBOLS
)
HUNGER, HYGIENE, ENERGY = NEEDS = (
    NeedSpec("hunger", "get_fed"),
    NeedSpec("hygiene", "get_clean"),
    NeedSpec("energy", "rest", night=0.6),
)
CARRY = {"meal": 4, "ingredients": 6, "map": 2}
OPTIONS = ("get_fed", "get_clean", "rest", "go_to_work", "shop", "socialise", "avoid_rival", "idle")
COLUMNS = (
    "xy", "needs", "wallet", "inventory", "job", "home_field", "extroversion", "departure_lead",
    "claim_object", "claim_affordance", "claim_stage", "blocked", "ctx_reset",
    "cooldowns",
    "home_place", "duty_place", "refusal", "resident_value", "object_refusal", "object_value",
    "option", "goal", "commit_remaining", "occupants",
    "tie_other", "tie_trust", "tie_familiarity", "tie_rivalry", "tie_avoided", "tie_quiet_until",
    "talk_ready", "invite", "invite_place",
    "object_open", "object_powered", "object_holder", "object_queue", "object_wait",
    "object_stock", "object_price",
)  # fmt: skip
BARISTA, NIGHT_WATCH, EARLY_BIRD = 0, 1, 2
JOBS = ((3, 480, 640), (0, 1380, 120), (3, 430, 600))
"""Place, start and end of each job; the second shift wraps midnight."""


def is_passable(x, y):
    return 0 <= x < WIDTH and 0 <= y < HEIGHT and ROWS[y][x] in "." + "+" + PLACES


def place_of(x, y):
    """Name the place of a tile, and of an object by its neighbours."""
    if ROWS[y][x] in PLACES:
        return PLACES.index(ROWS[y][x])
    if ROWS[y][x] in SYMBOLS:
        return next(PLACES.index(ROWS[y + dy][x + dx]) for dx, dy in STEPS if ROWS[y + dy][x + dx] in PLACES)
    return -1


def reach_of(x, y):
    around = [(x + dx, y + dy) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return [(u, v) for u, v in around if is_passable(u, v) and place_of(u, v) == place_of(x, y)]


def field_to(goals):
    """Steps from every passable tile to the nearest goal, 255 elsewhere."""
    field = np.full((HEIGHT, WIDTH), 255, dtype=np.uint8)
    ring, distance = set(goals), 0
    while ring:
        for x, y in ring:
            field[y, x] = distance
        around = {(x + dx, y + dy) for x, y in ring for dx, dy in STEPS}
        ring = {(x, y) for x, y in around if is_passable(x, y) and field[y, x] == 255}
        distance += 1
    return field


def seal(values, dtype):
    return np.ascontiguousarray(values, dtype=dtype).data.toreadonly()


class Vocabulary(NamedTuple):
    """The needs, items and options of a small town, in the order of their numbers.

    ``effects`` are effects of affordances on needs beyond those of the manifest.
    """

    needs: tuple[NeedSpec, ...] = NEEDS
    items: tuple[str, ...] = ("meal", "ingredients")
    options: tuple[str, ...] = OPTIONS
    effects: dict[str, dict[str, float]] = {}  # noqa: RUF012 - never changed

    def effect(self, affordance: Affordance) -> list[float]:
        """List the effects on each need."""
        known = dict(zip((need.name for need in NEEDS), affordance.need, strict=True))
        known |= self.effects.get(affordance.name, {})
        return [known.get(need.name, 0.0) for need in self.needs]

    def counted(self, numbers: tuple[int, int]) -> list[int]:
        """List numbers of meals and ingredients by item."""
        known = dict(zip(("meal", "ingredients"), numbers, strict=True))
        return [known.get(item, 0) for item in self.items]


SHIPPED = Vocabulary()


class Row(NamedTuple):
    """A row of the table of conditions; the operators are in an order of the small town's own."""

    affordance: int
    left: str
    left_index: int
    operator: int
    right: str
    right_index: int = -1
    right_value: float = 0.0


def make_constants(words=SHIPPED, conditions=(), objects=OBJECTS):
    tiles = [[(x, y) for x in range(WIDTH)] for y in range(HEIGHT)]
    passable = np.array([[is_passable(*tile) for tile in row] for row in tiles], dtype=np.uint8)
    place_at = [[place_of(*tile) if is_passable(*tile) else -1 for tile in row] for row in tiles]
    places = [[(x, y) for row in tiles for x, y in row if place_at[y][x] == p] for p in range(len(PLACES))]
    # The last field is that of the entry, which nobody can get to.
    goals = [reach_of(x, y) for _, x, y in objects] + places + [[home] for home in HOMES] + [[]]
    fields = np.array([field_to(goal) for goal in goals])
    object_type = [SYMBOLS.index(symbol) for symbol, _, _ in objects]
    nearest = np.full((len(TYPES), HEIGHT, WIDTH, 8), -1, dtype=np.int32)
    for kind in range(len(TYPES)):
        of_kind = [o for o, found in enumerate(object_type) if found == kind]
        for y, x in np.argwhere(passable):
            ranked = sorted(of_kind, key=lambda o: (fields[o, y, x], o))[:8]
            nearest[kind, y, x, : len(ranked)] = ranked
    alternatives = max(len(affordance.charges) for affordance in MANIFEST)
    charges = [
        affordance.charges + (FREE,) * (alternatives - len(affordance.charges)) for affordance in MANIFEST
    ]
    return {
        "affordance_names": tuple(affordance.name for affordance in MANIFEST),
        "object_types": TYPES,
        "place_kinds": KINDS,
        "passable": seal(passable, np.uint8),
        "place_at": seal(place_at, np.int32),
        "field_steps": seal(fields, np.uint8),
        "field_window": seal(range(len(fields)), np.int32),
        "field_origin": seal(np.zeros((len(fields), 2)), np.int32),
        "field_district": seal(np.zeros(len(fields)), np.int32),
        "district_size": seal((WIDTH, HEIGHT), np.int32),
        "nearest": seal(nearest, np.int32),
        "object_type": seal(object_type, np.int32),
        "object_place": seal([place_of(x, y) for _, x, y in objects], np.int32),
        "object_xy": seal([(x, y) for _, x, y in objects], np.int32),
        "affordance_type": seal([TYPES.index(affordance.type) for affordance in MANIFEST], np.int32),
        "affordance_duration": seal([affordance.duration for affordance in MANIFEST], np.int32),
        "affordance_need": seal([words.effect(affordance) for affordance in MANIFEST], np.float64),
        "affordance_each_tick": seal(np.zeros((len(MANIFEST), len(words.needs))), np.float64),
        "affordance_wakes_before": seal([affordance.wakes for affordance in MANIFEST], np.int32),
        "affordance_yield": seal([words.counted(affordance.gain) for affordance in MANIFEST], np.int32),
        "charge_count": seal([len(affordance.charges) for affordance in MANIFEST], np.int32),
        "charge_inventory": seal([[words.counted(charge[0]) for charge in row] for row in charges], np.int32),
        "charge_stock": seal([[words.counted(charge[1]) for charge in row] for row in charges], np.int32),
        "charge_price": seal([[charge[2] for charge in row] for row in charges], np.int32),
        "operators": ("<", "==", "<=", ">", ">=", "!="),
        "condition_affordance": seal([row.affordance for row in conditions], np.int32),
        "condition_operator": seal([row.operator for row in conditions], np.int32),
        "condition_left": tuple(row.left for row in conditions),
        "condition_left_index": seal([row.left_index for row in conditions], np.int32),
        "condition_right": tuple(row.right for row in conditions),
        "condition_right_index": seal([row.right_index for row in conditions], np.int32),
        "condition_right_value": seal([row.right_value for row in conditions], np.float64),
        "job_place": seal([place for place, _, _ in JOBS], np.int32),
        "job_start": seal([start for _, start, _ in JOBS], np.int32),
        "job_end": seal([end for _, _, end in JOBS], np.int32),
    }


class SmallTown:
    """Four slots, of which ``residents`` are alive; every column is a numpy array that a test may write.

    Nobody wants anything, and no two slots, needs or objects are alike: who mixes them up is noticed. The
    object with the symbol ``first`` has the number 0; the others are in the order of the map.
    """

    SLOTS = 4

    def __init__(self, residents=1, words=SHIPPED, conditions=(), first="F"):
        self.objects = tuple(sorted(OBJECTS, key=lambda found: found[0] != first))
        objects = len(self.objects)
        slots = self.SLOTS
        served = {need.option: need.name for need in words.needs}
        self.constants = make_constants(words, conditions, self.objects)
        self.fields = self.constants["field_steps"].obj
        self.spec = WorldSpec(
            world="small",
            layout_version=1,
            capacity=slots,
            action_names=ACTIONS,
            feature_names=(),
            fields=tuple(f"f{n}" for n in range(objects + len(PLACES) + len(HOMES) + 1)),
            needs=words.needs,
            items=tuple(ItemSpec(item, CARRY[item]) for item in words.items),
            options=tuple(OptionSpec(name, served.get(name)) for name in words.options),
            constants=tuple(ColumnSpec(name, "i", ()) for name in self.constants),
            view=tuple(ColumnSpec(name, "i", ()) for name in COLUMNS),
        )
        self.alive = np.array([i < residents for i in range(slots)], dtype=np.uint8)
        self.serial = np.arange(slots, dtype=np.int64) * 10 + 3
        self.mask = np.zeros((slots, len(ACTIONS)), dtype=np.uint8)
        self.xy = np.array(HOMES, dtype=np.int32)
        self.needs = np.array(
            [[0.9 + i / 100 + need / 200 for need in range(len(words.needs))] for i in range(slots)]
        )
        self.wallet = 6000 + 137 * np.arange(slots, dtype=np.int64)
        self.inventory = np.zeros((slots, len(words.items)), dtype=np.int32)
        self.job = np.full(slots, -1, dtype=np.int32)
        self.home_field = np.arange(objects + len(PLACES), objects + len(PLACES) + slots, dtype=np.int32)
        self.extroversion = np.arange(slots) / 10 - 1
        self.departure_lead = 20 + np.arange(slots, dtype=np.int32)
        self.claim_object, self.claim_affordance = (np.full(slots, -1, dtype=np.int32) for _ in range(2))
        self.claim_stage = np.zeros(slots, dtype=np.int8)
        self.blocked = np.zeros(slots, dtype=np.int32)
        self.ctx_reset = np.zeros(slots, dtype=np.uint8)
        self.cooldowns = np.zeros((slots, 3, 2), dtype=np.int64)
        self.option = np.full(slots, -1, dtype=np.int8)
        self.goal = np.full(slots, -1, dtype=np.int32)
        self.commit_remaining = np.zeros(slots, dtype=np.int16)
        self.home_place = np.zeros(slots, dtype=np.int32)
        self.duty_place = np.full(slots, -1, dtype=np.int32)
        self.refusal = np.zeros((slots, len(MANIFEST)), dtype=np.uint8)
        self.resident_value = np.zeros((slots, 1))
        self.object_refusal = np.zeros((objects, len(MANIFEST)), dtype=np.uint8)
        self.object_value = np.zeros((objects, 1))
        self.tie_other = np.full((slots, 3), -1, dtype=np.int32)
        self.tie_trust, self.tie_familiarity, self.tie_rivalry = (np.zeros((slots, 3)) for _ in range(3))
        self.tie_avoided = np.zeros((slots, 3), dtype=np.uint8)
        self.tie_quiet_until = np.zeros((slots, 3), dtype=np.int64)
        self.talk_ready, self.invite = (np.zeros(slots, dtype=np.int64) for _ in range(2))
        self.invite_place = np.full(slots, -1, dtype=np.int32)
        self.talkers: set[int] = set()
        self.occupants = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
        self.object_open = np.ones(objects, dtype=np.uint8)
        self.object_powered = np.ones(objects, dtype=np.uint8)
        self.object_holder = np.full(objects, -1, dtype=np.int32)
        self.object_queue = np.zeros(objects, dtype=np.int32)
        self.object_wait = np.zeros(objects, dtype=np.int32)
        items = len(words.items)
        self.object_stock = 8 + np.arange(objects * items, dtype=np.int32).reshape(objects, items)
        self.object_price = np.array(
            [PRICES[KINDS[place_of(x, y)]] for _, x, y in self.objects], dtype=np.int64
        )
        self.view = View(self.constants, {name: getattr(self, name).data.toreadonly() for name in COLUMNS})
        self._seals = [a.data.toreadonly() for a in (self.mask, self.alive, self.serial)]

    def object(self, symbol):
        """Number of the object with a symbol of the map."""
        return [found for found, _, _ in self.objects].index(symbol)

    @staticmethod
    def action(name):
        return ACTIONS.index(name)

    def cool_down(self, i, o, until):
        """Let one object cool down for a resident, beside two others that it has used before and later."""
        others = (o + 1) % len(OBJECTS), (o + 2) % len(OBJECTS)
        self.cooldowns[i] = (others[0], until + 1), (o, until), (others[1], until - 1)

    def tie(self, i, other, *, regard=0.0, avoided=False, quiet_until=0):
        """Give a resident a tie behind those that it has."""
        k = int((self.tie_other[i] >= 0).sum())
        self.tie_other[i, k] = other
        self.tie_trust[i, k], self.tie_rivalry[i, k] = regard + 0.9 * avoided, 0.9 * avoided
        self.tie_avoided[i, k], self.tie_quiet_until[i, k] = avoided, quiet_until

    def claim(self, i, symbol, affordance, stage):
        self.claim_object[i] = self.object(symbol)
        self.claim_affordance[i] = self.constants["affordance_names"].index(affordance)
        self.claim_stage[i] = stage

    def allowed(self, i):
        """The mask of a resident but for conditions and charges."""
        if not self.alive[i]:
            return {"wait"}
        x, y = (int(v) for v in self.xy[i])
        stage = self.claim_stage[i]
        names = {"wait"}
        if stage != 3:
            names |= {
                verb for verb, (dx, dy) in zip(VERBS[1:5], STEPS, strict=True) if is_passable(x + dx, y + dy)
            }
        if stage != 0:
            names.add("leave")
        if i in self.talkers:
            names.add("talk")
        for a, affordance in enumerate(MANIFEST):
            for o, (symbol, ox, oy) in enumerate(self.objects):
                if TYPES[SYMBOLS.index(symbol)] != affordance.type or (x, y) not in reach_of(ox, oy):
                    continue
                fits = self.object_open[o] and self.object_powered[o]
                if fits if stage == 0 else (self.claim_object[i], self.claim_affordance[i]) == (o, a):
                    names.add(f"use:{affordance.name}")
        return names

    def observe(self, tick):
        """Bring mask and occupants up to date with the columns, and show them."""
        self.occupants[:] = 0
        for i in np.flatnonzero(self.alive):
            self.occupants[self.xy[i, 1], self.xy[i, 0]] += 1
        for i in range(self.SLOTS):
            self.mask[i] = [name in self.allowed(i) for name in ACTIONS]
        mask, alive, serial = self._seals
        return ObservationBatch(
            tick=tick,
            map=mask,
            features=mask,
            mask=mask,
            alive=alive,
            serial=serial,
            agent_ids=tuple(f"a{i:05}" if self.alive[i] else "" for i in range(self.SLOTS)),
            view=self.view,
        )

    def remember(self, decision):
        """Hand the policy's context back, as a world does."""
        context = decision.actions.context
        self.option[:] = np.asarray(context.option)
        self.goal[:] = np.asarray(context.goal)
        self.commit_remaining[:] = np.asarray(context.commit_remaining)


@pytest.fixture
def town():
    """The small town with one resident at home, well fed, washed and rested."""
    return SmallTown()


@pytest.fixture
def crowd():
    """The small town with four residents."""
    return SmallTown(residents=4)
