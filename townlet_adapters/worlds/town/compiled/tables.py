"""The constants of a run, as arrays that kernels read."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from townlet_adapters.kernels.bundles import bundle
from townlet_adapters.kernels.records import Records, outline, record
from townlet_adapters.worlds.town.codes import EVENT_TARGETS, EXITS, MAX_ITEMS, MAX_NEEDS

REWARD_NUMBERS: Final = (
    "gamma", "homeostasis", "shaping", "survival", "wage", "punctuality", "chat", "chat_trust",
    "chat_familiarity", "chat_speaker", "chat_listener", "chat_regard", "chat_least", "chat_most",
    "chat_deficit", "avoidance", "debt", "tick_clip", "day_clip",
)  # fmt: skip
REWARD_TICKS: Final = ("punctuality_ticks", "debt_days", "guard_ticks")

PARAMS = record(
    ("start_wallet", "i8"),
    ("rent", "i8"),
    ("stipend", "i8"),
    ("late_tick_fine", "i8"),
    ("absence_fine", "i8"),
    ("cooldown_ticks", "i8"),
    ("patience_ticks", "i8"),
    ("hold_ticks", "i8"),
    ("handover_spacing", "i8"),
    ("handover_max_age", "i8"),
    ("absence_slack", "i8"),
    ("review_ticks", "i8"),
    ("start_tod", "i8"),
    ("start_need", "f8"),
    ("start_spread", "f8"),
    ("least_start_share", "f8", (MAX_NEEDS,)),
    ("need_rate", "f8", (MAX_NEEDS,)),
    ("carry", "i2", (MAX_ITEMS,)),
    ("age_weight", "f8"),
    ("ghost_step_after", "i8"),
    ("drop_distance", "i8"),
    ("drop_ticks", "i8"),
    ("await_ticks", "i8"),
    ("grace_ticks", "i8"),
    ("absent_cutoff", "i8"),
    ("max_absent_shifts", "i8"),
    ("attendance_window", "i8"),
    ("daily_loss_cap", "i8"),
    ("review_queue_limit", "i8"),
    ("population", "i8"),
    ("embedding_slots", "i8"),
    ("embedding_cooldown", "i8"),
    ("names", "i8"),
    ("margin", "i8"),
    ("window", "i8"),
    ("needs", "i8"),
    ("items", "i8"),
    ("options", "i8"),
    ("status_at", "i8"),
    ("items_at", "i8"),
    ("nearby_at", "i8"),
    ("options_at", "i8"),
    ("town_at", "i8"),
    ("targets_at", "i8"),
    ("personality_at", "i8"),
    ("social_at", "i8"),
    ("top_friends", "i8"),
    ("top_rivals", "i8"),
    ("identity_dim", "i8"),
    ("hunger", "i8"),
    ("exits", "i8"),
    ("daily_exit_cap", "i8"),
    ("exit_spacing", "i8"),
    ("move_spacing", "i8"),
    ("stay_least", "i8"),
    ("stay_most", "i8"),
    ("founders_stay_least", "i8"),
    ("relationship_modifiers", "?"),
    ("social_rewards", "i8"),
    ("reward_weight", "f8", (MAX_NEEDS,)),
    *((f"reward_{name}", "f8") for name in REWARD_NUMBERS),
    *((f"reward_{name}", "i8") for name in REWARD_TICKS),
    ("reward_terminal", "f8", (len(EXITS),)),
    ("perturbations", "?"),
    ("max_concurrent", "i8"),
    ("event_pause", "i8"),
    ("agent_pause", "i8"),
    ("event_grace", "i8"),
    ("event_window", "i8"),
    ("max_per_window", "i8"),
)
"""Every scalar key of the configuration that a rule reads; ``needs``, ``items`` and ``options`` are numbers
of entries, ``carry`` is the most that a resident carries, ``*_at`` are feature columns, -1 when off,
``hunger`` is the need whose lack lets residents collapse, -1 for none, ``exits`` has one bit for each reason
for which residents may leave, and ``reward_terminal`` a number for each."""

PLACED_OBJECT = record(
    ("x", "i8"), ("y", "i8"), ("type", "i8"), ("place", "i8"), ("kind", "i8"), ("district", "i8"),
    ("utilities", "u1", (2,)), ("capacity", "i2", (MAX_ITEMS,)),
)  # fmt: skip
"""One object and its position; ``utilities`` has 1 for each utility that it requires."""

PLACE = record(("x", "f8"), ("y", "f8"), ("kind", "i8"), ("till", "?"))
"""One place; (x, y) is the centre of its bounding box, in tiles."""

HOME = record(
    ("x", "i8"), ("y", "i8"), ("place", "i8"), ("district", "i8"), ("entry_x", "i8"), ("entry_y", "i8"),
)  # fmt: skip
"""One home tile, with the entry of its district."""

JOB = record(
    ("wage", "i8"), ("late_fine", "i8"), ("place", "i8"), ("start", "i8"), ("length", "i8"),
    ("capacity", "i8"), ("district", "i8"), ("rank", "i8"),
)  # fmt: skip
"""One job; ``rank`` orders jobs by id."""

AFFORDANCE = record(
    ("money", "i8"), ("need", "f8", (MAX_NEEDS,)), ("each_tick", "f8", (MAX_NEEDS,)), ("decay", "f8"),
    ("stock", "i2", (MAX_ITEMS,)), ("inventory", "i2", (MAX_ITEMS,)),
    ("type", "i8"), ("duration", "i8"), ("alternatives", "i8"),
    ("first_condition", "i8"), ("conditions", "i8"), ("first_until", "i8"), ("untils", "i8"),
    ("wakes_before", "i8"), ("wakes_below", "f8"), ("hooked", "u1", (4,)),
    ("trust", "f8"), ("familiarity", "f8"), ("rivalry", "f8"), ("meal", "?"),
)  # fmt: skip
"""One affordance: its effects at completion and in each tick, the factor of decay during a use, its ranges of
conditions to start and to be finished, what ends it early, the stages at which it has hooks, what it changes
in ties with those nearby, and whether it is a meal that can be shared."""

CHARGE = record(("inventory", "i2", (MAX_ITEMS,)), ("stock", "i2", (MAX_ITEMS,)), ("priced", "?"))
"""One way to pay for an affordance; priced quantities are in ``Tables.charge_price``."""

CONDITION = record(
    ("left_value", "f8"), ("right_value", "f8"), ("left", "i8"), ("right", "i8"), ("op", "i8"),
)  # fmt: skip
"""One comparison; ``left`` and ``right`` are names, or -1 for the constant value."""

PROFILE = record(
    ("extroversion", "f8"), ("forgiveness", "f8"), ("ambition", "f8"), ("weight", "f8"),
    ("need", "f8", (MAX_NEEDS,)), ("lead", "i8"),
    ("avoids_from", "f8"), ("chat_factor", "f8"), ("chat_cooldown", "i8"),
    ("reward_survival", "f8"), ("reward_employment", "f8"), ("reward_social", "f8"),
)  # fmt: skip
"""One personality profile; ``need`` multiplies decay, ``lead`` is in ticks, ``avoids_from`` is the rivalry
from which another resident is avoided, ``chat_factor`` that of the quality of a chat, ``chat_cooldown`` the
ticks between two chats, ``reward_*`` factors of rewards."""


SPEC = record(
    ("effect", "i8"), ("chance", "f8"), ("cooldown", "i8"), ("least", "i8"), ("most", "i8"),
    ("weakest", "i8"), ("strongest", "i8"), ("targets", "i8", (EVENT_TARGETS,)),
)  # fmt: skip
"""One spec of events: its chance in a tick, its ranges of ticks and of permille; ``targets`` are targets of
prices or utilities, -1 for none."""


@bundle
class Tables(NamedTuple):
    """The constants of a town.

    Attributes:
        params: PARAMS[1].
        passable: uint8[H, W].
        place_at: int32[H, W], -1 none.
        field_steps: uint8[windows, h, w], the steps of all fields.
        fields: FIELD[F], to objects, places, home tiles and entries, in this order.
        nearest: int32[T, H, W, 8], nearest objects of a type by path, -1 fill.
        reach_start: int64[H * W + 1], start of a tile's row in ``reach``.
        reach: int64[...], objects whose reach includes a tile.
        target_block: float32[H, W, 3 targets], the object targets of the features, ready to copy.
        object_mark: uint8[Hp, Wp], 1 on objects, with the margin of the state's grids.
        objects_near: float32[H, W], share of the window's cells that hold an object.
        objects: PLACED_OBJECT[O].
        places: PLACE[P].
        homes: HOME[homes].
        jobs: JOB[J].
        profiles: PROFILE[profiles].
        affordances: AFFORDANCE[A].
        charges: CHARGE[A, L].
        charge_price: int64[A, L, I], quantities paid for, by price item.
        price_key: int64[kinds, I], price key of an item at a kind of place, -1 none.
        conditions: CONDITION[...].
        use_start: int64[T + 1], start of a type's row in ``uses``.
        uses: int64[...], affordances that a type of object offers.
        name_profile: int64[rounds, names], profile configured for a display name, -1 none.
        start_price: int64[D, K], mills.
        specs: SPEC[S].
        spec_place: int64[D, S], the place to which a spec invites in a district, -1 none.
        spec_start: int64[D * S + 1], start of a row of a district and spec in ``spec_objects``.
        spec_objects: int64[...], objects that a spec may close.
        price_targets: uint8[targets, K], 1 for each price key that a target covers.
        time_wave: float64[1440, 2], sine and cosine of the time of day.
    """

    params: Records
    passable: npt.NDArray[np.uint8]
    place_at: npt.NDArray[np.int32]
    field_steps: npt.NDArray[np.uint8]
    fields: Records
    nearest: npt.NDArray[np.int32]
    reach_start: npt.NDArray[np.int64]
    reach: npt.NDArray[np.int64]
    target_block: npt.NDArray[np.float32]
    object_mark: npt.NDArray[np.uint8]
    objects_near: npt.NDArray[np.float32]
    objects: Records
    places: Records
    homes: Records
    jobs: Records
    profiles: Records
    affordances: Records
    charges: Records
    charge_price: npt.NDArray[np.int64]
    price_key: npt.NDArray[np.int64]
    conditions: Records
    use_start: npt.NDArray[np.int64]
    uses: npt.NDArray[np.int64]
    name_profile: npt.NDArray[np.int64]
    start_price: npt.NDArray[np.int64]
    specs: Records
    spec_place: npt.NDArray[np.int64]
    spec_start: npt.NDArray[np.int64]
    spec_objects: npt.NDArray[np.int64]
    price_targets: npt.NDArray[np.uint8]
    time_wave: npt.NDArray[np.float64]

    def __repr__(self) -> str:
        return outline(self)
