"""The observation of every agent, and the map and columns that a scripted policy plans on."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TownAtlas:
    """The constants of a run: the map, its objects, the affordances, the jobs.

    Every memoryview is read-only and C-contiguous; the world owns the buffers for the whole run.
    Sizes: H x W tiles, O objects, P places, J jobs, A affordances, F navigation fields,
    T object types, L charge alternatives, I price items. Items of inventory and stock are
    (meal, ingredients); needs are (hunger, hygiene, energy).

    Attributes:
        affordance_names: id of each affordance; affordance ``a`` is action number ``first_use + a``.
        first_use: number of the first ``use:`` action.
        object_types: name of each object type.
        place_kinds: name of the kind of each place.
        passable: uint8[H, W], 1 where a resident can stand.
        place_at: int32[H, W], place number of each tile, -1 none.
        fields: uint8[F, H, W], steps to the goal of each field over passable tiles, 255 unreachable.
            Fields 0..O-1 lead to the objects' reach, O..O+P-1 to the places, the rest to home tiles.
        nearest: int32[T, H, W, 8], the eight nearest objects of a type by path, nearest first
            (ties by number), -1 fill.
        object_type: int32[O].
        object_place: int32[O].
        object_xy: int32[O, 2].
        affordance_type: int32[A], object type that offers it.
        affordance_duration: int32[A], ticks.
        affordance_need: float64[A, 3], effect on needs at completion.
        affordance_yield: int32[A, 2], inventory gained at completion.
        charge_count: int32[A], number of charge alternatives.
        charge_inventory: int32[A, L, 2], units taken from the inventory.
        charge_stock: int32[A, L, 2], units taken from the object's stock.
        charge_price: int32[A, L, I], units paid for, by price item.
        job_place: int32[J].
        job_start: int32[J], tick of day.
        job_end: int32[J], tick of day, exclusive; a shift may wrap midnight.
    """

    affordance_names: tuple[str, ...]
    first_use: int
    object_types: tuple[str, ...]
    place_kinds: tuple[str, ...]
    passable: memoryview
    place_at: memoryview
    fields: memoryview
    nearest: memoryview
    object_type: memoryview
    object_place: memoryview
    object_xy: memoryview
    affordance_type: memoryview
    affordance_duration: memoryview
    affordance_need: memoryview
    affordance_yield: memoryview
    charge_count: memoryview
    charge_inventory: memoryview
    charge_stock: memoryview
    charge_price: memoryview
    job_place: memoryview
    job_start: memoryview
    job_end: memoryview

    def __repr__(self) -> str:
        tiles, objects = self.passable.nbytes, len(self.object_type)
        return f"TownAtlas(tiles={tiles}, objects={objects}, affordances={len(self.affordance_names)})"


@dataclass(frozen=True, slots=True)
class TownView:
    """Columns of one instant, for a policy that plans. Plain data without access to the world.

    Every memoryview is read-only and C-contiguous. The producer reuses the buffers on its next step, and
    the same ``TownView`` object always holds the same buffers. Row i is slot i; in object columns, row o is
    object o. ``home_field`` and the fields of objects and places index ``TownAtlas.fields``.

    Attributes:
        atlas: the constants of the run.
        xy: int32[N, 2], position (x east, y south).
        needs: float64[N, 3], hunger, hygiene, energy in [0, 1], 1 = satisfied.
        wallet: int64[N], mills.
        inventory: int32[N, 2], meals and ingredients carried.
        job: int32[N], -1 none.
        home_field: int32[N], field of the home tile.
        extroversion: float64[N], in [-1, 1].
        departure_lead: int32[N], ticks before its shift at which the resident sets out, plus the walk.
        claim_object: int32[N], -1 none.
        claim_affordance: int32[N], -1 none.
        claim_stage: int8[N], 0 none, 1 queued, 2 held, 3 running.
        blocked: int32[N], moves blocked in a row.
        ctx_reset: uint8[N], 1 when the policy must discard its plan for this slot.
        cooldown: int64[N, O], first tick at which the pair may start a new use.
        option: int8[N], option of the last ``PolicyContext``, -1 none.
        goal: int32[N], goal of the last ``PolicyContext``, -1 none.
        commit_remaining: int16[N], ticks of commitment left.
        occupants: uint8[H, W], residents on each tile.
        object_open: uint8[O], 1 unless closed.
        object_powered: uint8[O], 1 when every utility of its type is on.
        object_holder: int32[O], slot, -1 none.
        object_queue: int32[O], residents waiting.
        object_wait: int32[O], expected wait in ticks of a resident that joins now (DOMAIN section 6.2).
        object_stock: int32[O, 2], meals and ingredients.
        object_price: int64[O, I], mills for one unit of each price item where the object stands,
            -1 where it has no price.
    """

    atlas: TownAtlas
    xy: memoryview
    needs: memoryview
    wallet: memoryview
    inventory: memoryview
    job: memoryview
    home_field: memoryview
    extroversion: memoryview
    departure_lead: memoryview
    claim_object: memoryview
    claim_affordance: memoryview
    claim_stage: memoryview
    blocked: memoryview
    ctx_reset: memoryview
    cooldown: memoryview
    option: memoryview
    goal: memoryview
    commit_remaining: memoryview
    occupants: memoryview
    object_open: memoryview
    object_powered: memoryview
    object_holder: memoryview
    object_queue: memoryview
    object_wait: memoryview
    object_stock: memoryview
    object_price: memoryview

    def __repr__(self) -> str:
        return f"TownView(slots={len(self.wallet)}, atlas={self.atlas})"


@dataclass(frozen=True, slots=True)
class ObservationBatch:
    """What every agent sees at the start of ``tick``; one row per slot.

    Every memoryview is read-only and C-contiguous and owned by the world, which may overwrite it on its
    next step: a consumer that keeps data copies it. Dead rows are zero but for ``wait`` in the mask.

    Attributes:
        tick: the tick that the next step executes.
        map: uint8[N, C, K, K], rows = y, columns = x, centred on the agent.
        features: float32[N, F], all in [-1, 1]; columns named by ``WorldSpec.feature_names``.
        mask: uint8[N, A], 1 where an action may be chosen.
        alive: uint8[N], 1 where the slot has a living agent.
        serial: int64[N], the agent's number within the run, 0 on dead rows.
        agent_ids: the agent of each slot, empty text on dead rows.
        view: columns for a scripted policy, or None in a world without them.
    """

    tick: int
    map: memoryview
    features: memoryview
    mask: memoryview
    alive: memoryview
    serial: memoryview
    agent_ids: tuple[str, ...]
    view: TownView | None = None

    def __repr__(self) -> str:
        living = sum(self.alive.tolist())
        return f"ObservationBatch(tick={self.tick}, slots={len(self.alive)}, living={living})"
