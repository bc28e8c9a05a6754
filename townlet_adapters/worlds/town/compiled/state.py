"""The state of a town that changes between ticks, as arrays of records with a leading town axis.

Records rather than one array per field: a resident is one pointer in a kernel, its fields are adjacent in
memory, and a kernel takes a handful of arrays instead of a hundred (ADR 0007). Whole numbers have 64 bits:
numba compiles a kernel once for each type of argument. Numbers of items are the exception: no kernel takes
one as an argument, and with room for 16 items a batch of towns would be a tenth larger.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from townlet_adapters.kernels.bundles import bundle
from townlet_adapters.kernels.records import Records, outline, record
from townlet_adapters.worlds.town import codes

RESIDENT = record(
    ("serial", "i8"),
    ("birth", "i8"),
    ("wallet", "i8"),
    ("rent_owed", "i8"),
    ("need", "f8", (codes.MAX_NEEDS,)),
    ("inventory", "i2", (codes.MAX_ITEMS,)),
    # Position and home; ``mate`` is the slot that shares its tile after a ghost step.
    ("x", "i8"),
    ("y", "i8"),
    ("mate", "i8"),
    ("blocked", "i8"),
    ("home", "i8"),
    ("district", "i8"),
    ("profile", "i8"),
    ("name", "i8"),
    ("name_round", "i8"),
    ("embedding", "i8"),
    ("episode_tick", "i8"),
    # The claim (domain.md, section 9): object, affordance, stage, ticks out of reach, since when, and the
    # slot that waits behind this one in the queue.
    ("claim_object", "i8"),
    ("claim_affordance", "i8"),
    ("claim_stage", "i8"),
    ("drop", "i8"),
    ("joined", "i8"),
    ("behind", "i8"),
    # The last intent and its result; the mask of the last observation, one bit per action.
    ("mask", "u8"),
    ("outcomes", "i8"),
    ("last_duration", "i8"),
    ("last_action", "i8"),
    ("last_target", "i8"),
    ("last_result", "i8"),
    # The policy's context, returned in the next observation.
    ("option", "i8"),
    ("goal", "i8"),
    ("commit", "i8"),
    # The job and the shift (domain.md, section 10); ``first_x`` is the time of the first presence, -1 before.
    ("job", "i8"),
    ("shift_state", "i8"),
    ("first_x", "i8"),
    ("on_time_ticks", "i8"),
    ("paid_ticks", "i8"),
    ("late_ticks_today", "i8"),
    ("last_present", "i8"),
    ("withheld", "i8"),
    ("lateness_counter", "i8"),
    ("review_since", "i8"),
    ("lost_job_day", "i8"),
    ("attendance", "f8"),
    ("samples_seen", "i8"),
    ("samples", "f8", (codes.MAX_ATTENDANCE_WINDOW,)),
    ("stamps_seen", "i8"),
    ("stamps", "i8", (codes.MAX_STAMPS,)),
    # Ties (domain.md, section 12): how many, how many of them are to avoided residents, and the first tick in
    # which the resident may talk or be talked to.
    ("ties", "i8"),
    ("avoided", "i8"),
    ("talk_ready", "i8"),
    ("portrayed", "i8"),
    # What may end a life in town (domain.md, section 14): ticks of collapse in a row, neglected ticks of the
    # day, the ticks since which two days' rent is owed (-1 for less) and there is no job, the one in which
    # the resident moves away; then why it is due to leave (1 + the reason, 0 for not), since when, and what
    # kept it (one bit each); ``leaving`` is 1 + the reason in its last tick.
    ("collapse_ticks", "i8"),
    ("low_ticks_today", "i8"),
    ("owed_since", "i8"),
    ("jobless_since", "i8"),
    ("moves", "i8"),
    ("due", "i8"),
    ("due_since", "i8"),
    ("kept", "i8"),
    ("leaving", "i8"),
    ("replaced", "i8"),
    # Rewards (domain.md, section 15). Within a tick: the worth of the first presence of a shift and of a
    # chat, the avoidances, whether a wage was paid (``waged``). Then the first tick without the guard after
    # starving, the potential after the last tick, what the day's ticks gave so far, and whether the first
    # presence of the shift was counted (``greeted``).
    ("presence", "f8"),
    ("chat", "f8"),
    ("avoidances", "i8"),
    ("waged", "i8"),
    ("greeted", "i8"),
    ("guard_until", "i8"),
    ("potential", "f8"),
    ("day_reward", "f8"),
    # The invitation (domain.md, section 13): the event, 0 for none, its place and end; the first tick in
    # which the resident may be chosen for a meeting.
    ("invite", "i8"),
    ("invite_place", "i8"),
    ("invite_until", "i8"),
    ("meet_ready", "i8"),
    ("meets", "i8"),
    ("alive", "?"),
    ("ghost", "?"),
    ("moved", "?"),
    ("ctx_reset", "?"),
    ("skip_shift", "?"),
    ("absent_stamped", "?"),
    ("late_started", "?"),
    ("review_refused", "?"),
)
"""One slot. A dead slot is all zero, as are needs and items beyond those of the vocabulary; ``portrayed``
is 1 while the slot's row of ``portraits`` is that of its ties, ``meets``
is 1 while the invitation is to a meeting."""

OBJECT = record(
    ("paid", "i8"),
    ("started", "i8"),
    ("granted", "i8"),
    ("eta", "i8"),
    ("last_handover", "i8"),
    ("stock", "i2", (codes.MAX_ITEMS,)),
    ("holder", "i8"),
    ("affordance", "i8"),
    ("remaining", "i8"),
    ("alternative", "i8"),
    ("low", "i8"),
    ("stall", "i8"),
    ("queue_length", "i8"),
    ("first", "i8"),
    ("running", "?"),
    ("closed", "?"),
)
"""One object: its holder, the rest of the running use, its charge; ``first`` is the slot that waits first,
``low`` has one bit for each need that was too low to end the use when it started."""

TOWN = record(
    ("seed", "u8"),
    ("tick", "i8"),
    ("next_serial", "i8"),
    ("treasury", "i8"),
    ("population", "i8"),
    ("embeddings", "i8"),
    ("forced_reuses", "i8"),
    ("effects", "i8"),
    ("effects_end", "i8"),
    ("mortality", "i8"),
    ("exit_cap", "i8"),
    ("exit_spacing", "i8"),
    ("arrivals", "i8"),
    ("leavers", "i8"),
    ("perturbations", "i8"),
    ("last_event", "i8"),
)
"""The town itself; ``tick`` is the number of finished ticks, ``embeddings`` that of the embedding slots that
were ever used, ``forced_reuses`` that of the residents whose embedding slot had not cooled down, ``effects``
that of the active effects; ``effects_end`` is the first tick in which one of them is over. ``mortality``
is 0 while no resident may leave, ``arrivals`` the number of those who are on their way, ``leavers`` that of
those who leave in this tick, ``perturbations`` that of the events that wait or are under way, ``last_event``
that of the event scheduled last."""

DISTRICT = record(
    ("losses_today", "i8"), ("reviews", "i8"), ("quiet_until", "i8"), ("utility", "u1", (2,)),
    ("exits_today", "i8"), ("last_exit", "i8"), ("calm", "i8", (codes.DISTURBANCES,)),
)  # fmt: skip
"""One district: job losses of the day, pending reviews, the first tick in which its scheduler may start an
event again, (power, water) on or off, exits of the day, the tick of the last exit, and for each disturbance
the first tick in which it keeps no resident in town any more."""

ARRIVAL = record(("due", "i8"), ("district", "i8"), ("follows", "i8"))
"""A resident on its way to a district, who arrives in the tick ``due`` or when there is room; ``follows`` is
the reason for which its predecessor left."""

PRICE = record(("normal", "i8"), ("now", "i8"))
"""One price in mills: the base price, as the config or an edit says, and the price under active effects."""

EFFECT = record(
    ("kind", "i8"), ("who", "i8"), ("key", "i8"), ("scale", "i8"), ("until", "i8"), ("source", "i8"),
)  # fmt: skip
"""One active effect: ``who`` is a district or an object, ``key`` a utility or a price key, ``scale`` in
permille, ``until`` the first tick without it (``NO_END`` for none), ``source`` an event or ``MANUAL``."""

PERTURBATION = record(
    ("number", "i8"), ("spec", "i8"), ("district", "i8"), ("starts_at", "i8"), ("ends_at", "i8"),
    ("magnitude", "i8"), ("source", "i8"), ("place", "i8"), ("targets", "i8", (codes.EVENT_TARGETS,)),
    ("active", "i8"),
)  # fmt: skip
"""One event that waits or, ``active`` being 1, is under way: ``magnitude`` in permille, ``place`` -1 for
none; ``targets`` are targets of prices, utilities, objects or serials, by the effect of the spec, or -1."""

TIE = record(
    ("other", "i8"), ("changed", "i8"), ("quiet_until", "i8"), ("reported", "i8"),
    ("trust", "f8"), ("familiarity", "f8"), ("rivalry", "f8"),
)  # fmt: skip
"""What one resident, the owner, makes of the one in the slot ``other``: ``changed`` is the tick of the last
event between them, ``quiet_until`` the first tick in which an avoidance may be recorded, ``reported`` has one
bit for each threshold that is passed and was recorded."""

DERIVED: Final = frozenset(
    {"utility", "closed", "now", "effects_end", "avoided", "portrayed"}
    | {"leaving", "replaced", "leavers"}
    | {"presence", "chat", "avoidances", "waged"}
)
"""Fields that follow from effects, base prices and ties, and those that are 0 between two ticks; their names
are unique."""

OUTCOME = record(("tick", "i8"), ("affordance", "i8"), ("object", "i8"), ("reason", "i8"), ("duration", "i8"))
"""One entry of a resident's outcome history."""


@bundle
class TownState(NamedTuple):
    """The whole state of B towns with N slots, O objects, P places, J jobs, D districts, A actions.

    T is ``relationships.max_ties``. Sizes Hp, Wp are the map's with a margin of half the observation window
    on every side, so that a window can be copied without checks for the map's edge.

    Attributes:
        towns: TOWN[B].
        districts: DISTRICT[B, D].
        residents: RESIDENT[B, N].
        objects: OBJECT[B, O].
        roster: int64[B, N], living slots in the order of their serials.
        census: int64[B, 1 + rounds, ...], living residents of each profile, then of each name, round by
            round; the last number of a row is their sum.
        cooldowns: int64[B, N, C, 2], what cools down for a resident, the latest to be usable first: object,
            and the first tick at which the pair may start a new use, 0 for no object.
        outcomes: OUTCOME[B, N, R], ring of the last outcomes.
        ties: TIE[B, N, T], the ties of each resident in the order in which they began, then empty rows.
        portraits: float32[B, N, S], the features of each resident's ties, ready to copy: ``rivalry_max``,
            ``rivalry_avoid``, then the social block.
        released: int64[B, E], for each embedding slot 1 + the tick in which it was released, 0 while it is in
            use or was never used.
        occupant: int16[B, Hp, Wp], a slot on the tile, -1 none.
        reserved: uint8[B, Hp, Wp], 1 on objects with a holder.
        tills: int64[B, P], mills.
        price: PRICE[B, D, K], by price key.
        effects: EFFECT[B, E], the active effects in the order of their sources, then empty rows.
        arrivals: ARRIVAL[B, N], who is on its way, the next one first, then empty rows.
        perturbations: PERTURBATION[B, M], events in the order of their numbers, then empty rows.
        spec_ready: int64[B, D, S], the first tick in which the scheduler may start a spec again.
        starts: int64[B, D, W], 1 + the ticks of the scheduler's last starts, the latest last, 0 for none.
        flows: int64[B, kinds], mills moved today.
        job_holders: int64[B, J].
    """

    towns: Records
    districts: Records
    residents: Records
    objects: Records
    roster: npt.NDArray[np.int64]
    census: npt.NDArray[np.int64]
    cooldowns: npt.NDArray[np.int64]
    outcomes: Records
    ties: Records
    portraits: npt.NDArray[np.float32]
    released: npt.NDArray[np.int64]
    occupant: npt.NDArray[np.int16]
    reserved: npt.NDArray[np.uint8]
    tills: npt.NDArray[np.int64]
    price: Records
    effects: Records
    arrivals: Records
    perturbations: Records
    spec_ready: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    flows: npt.NDArray[np.int64]
    job_holders: npt.NDArray[np.int64]

    def __repr__(self) -> str:
        return outline(self)


def waiting_for(state: TownState, b: int, o: int) -> list[int]:
    """Return the slots in an object's queue, the next one first.

    A chain that comes back to itself, as in a damaged state, ends where every slot was listed.
    """
    behind = state.residents["behind"][b]
    slots: list[int] = []
    i = int(state.objects["first"][b, o])
    while i >= 0 and len(slots) <= len(behind):
        slots.append(i)
        i = int(behind[i])
    return slots


EVENT = record(
    ("agent", "i8"),
    ("other", "i8"),
    ("kind", "i8"),
    ("reason", "i8"),
    ("object", "i8"),
    ("affordance", "i8"),
    *((name, "i8") for name in "abcdefgh"),
    *((name, "f8") for name in "xyz"),
)
"""One row of the journal; ``rows.py`` has the meaning of the columns of each kind."""


@bundle
class Journal(NamedTuple):
    """The records of one tick; cleared when the next tick opens.

    Attributes:
        rows: EVENT[B, capacity]; capacity 0 switches the journal off.
        written: int32[B], rows written; more than the capacity is an internal error.
        actions: int32[B, A], executed intents.
        failures: int32[B, reasons], failed intents.
    """

    rows: Records
    written: npt.NDArray[np.int32]
    actions: npt.NDArray[np.int32]
    failures: npt.NDArray[np.int32]

    def __repr__(self) -> str:
        return outline(self)


CURSOR = record(
    ("phase", "i8"),
    ("entity", "i8"),
    ("count", "i8"),
    # The request: which stage of which use; ``paid`` in mills.
    ("stage", "i8"),
    ("slot", "i8"),
    ("object", "i8"),
    ("affordance", "i8"),
    ("reason", "i8"),
    ("paid", "i8"),
    # The answer: the last stage at which the entity's hooks were called, and their answer.
    ("asked", "i8"),
    ("money", "i8"),
    ("need", "f8", (codes.MAX_NEEDS,)),
    ("trust", "f8"),
    ("familiarity", "f8"),
    ("rivalry", "f8"),
    ("stock", "i2", (codes.MAX_ITEMS,)),
    ("inventory", "i2", (codes.MAX_ITEMS,)),
    ("cancelled", "?"),
)
"""The position within a tick while a hook is called (``systems/hook_requests.py``)."""


@bundle
class Scratch(NamedTuple):
    """Working memory for one town within a phase; keeps nothing from tick to tick.

    Attributes:
        order: int64[N].
        keys: uint64[N].
        visited: int64[H * W + 1]; each tile holds the number of the last search that visited it, and the
            last element the number of the current search.
        frontier: int64[H * W].
        cursor: CURSOR[1].
    """

    order: npt.NDArray[np.int64]
    keys: npt.NDArray[np.uint64]
    visited: npt.NDArray[np.int64]
    frontier: npt.NDArray[np.int64]
    cursor: Records

    def __repr__(self) -> str:
        return outline(self)
