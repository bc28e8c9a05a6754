"""Numbers that kernels use for names; ``decode.py`` converts them back."""

from typing import Final, Literal

# Capacities of the records: a vocabulary within them needs no kernel compiled anew.
MAX_NEEDS: Final = 8
MAX_ITEMS: Final = 16
MAX_OPTIONS: Final = 16
MAX_OBJECT_TYPES: Final = 32
POWER, WATER = 0, 1
UTILITIES: Final = ("power", "water")

TICKS_PER_DAY: Final = 1440

# Fixed verbs (domain.md, section 6.1); ``use:`` actions follow in manifest order.
WAIT, MOVE_NORTH, MOVE_SOUTH, MOVE_EAST, MOVE_WEST, LEAVE, TALK, FIRST_USE = 0, 1, 2, 3, 4, 5, 6, 7
VERBS: Final = ("wait", "move_north", "move_south", "move_east", "move_west", "leave", "talk")
MAX_AFFORDANCES: Final = 56
"""The action mask of a resident is one 64-bit word."""

# Results of an intent (domain.md, section 6.3), then the reasons for which a running use fails (section 8.4).
OK, QUEUED, WAITING, RUNNING = 0, 1, 2, 3
INVALID, BAD_TARGET, BLOCKED, NO_CLAIM, TOO_FAR, BUSY = 4, 5, 6, 7, 8, 9
CLOSED, COOLDOWN, UTILITY_OFF, PRECONDITION_FAILED, INVENTORY_FULL = 10, 11, 12, 13, 14
INSUFFICIENT_ITEMS, INSUFFICIENT_STOCK, INSUFFICIENT_FUNDS = 15, 16, 17
UTILITY_LOST, LEFT, INTERRUPTED, TIMEOUT, HOOK_CANCELLED, AGENT_EXIT = 18, 19, 20, 21, 22, 23
UNUSED = 24
NO_LISTENER, TALK_COOLDOWN = 25, 26
REASONS: Final = (
    "ok", "queued", "waiting", "running",
    "invalid", "bad_target", "blocked", "no_claim", "too_far", "busy",
    "closed", "cooldown", "utility_off", "precondition_failed", "inventory_full",
    "insufficient_items", "insufficient_stock", "insufficient_funds",
    "utility_lost", "left", "interrupted", "timeout",
    "hook_cancelled", "agent_exit",
    "idle",
    "no_listener", "talk_cooldown",
)  # fmt: skip
LAST_SUCCESS: Final = RUNNING
ASKING: Final = -1
"""No result yet: a hook must be called before the intent can be resolved."""

# Stages of affordance hooks (domain.md, section 8.5), in the order in which one entity can reach them.
BEFORE, AFTER, FAILED = 1, 2, 3
HOOK_STAGES: Final[tuple[Literal["", "before", "after", "failed"], ...]] = ("", "before", "after", "failed")

# Stages of a claim.
NO_STAGE, STAGE_QUEUED, STAGE_HELD, STAGE_RUNNING = 0, 1, 2, 3
STAGES: Final = ("none", "queued", "held", "running")

# States of a shift (domain.md, section 10.2).
PRE_SHIFT, AWAIT_START, GRACE, ON_TIME, LATE, ABSENT, POST_SHIFT = 0, 1, 2, 3, 4, 5, 6
SHIFT_STATES: Final = ("pre_shift", "await_start", "grace", "on_time", "late", "absent", "post_shift")

# Kinds of conflict (domain.md, section 9.3).
GHOST_STEP, JOSTLE, IMPATIENCE = 0, 1, 2
CONFLICTS: Final = ("ghost_step", "jostle", "waiting")

# Kinds of money flow (domain.md, section 3).
(
    FLOW_GRANT, FLOW_PURCHASE, FLOW_REFUND, FLOW_WAGE, FLOW_FINE, FLOW_RENT, FLOW_BONUS, FLOW_SWEEP,
    FLOW_HOOK, FLOW_ESTATE,
) = range(10)  # fmt: skip
FLOWS: Final = (
    "grant", "purchase", "refund", "wage", "fine", "rent", "bonus", "sweep",
    "hook", "estate",
)  # fmt: skip
FIRST_RARE_FLOW: Final = FLOW_HOOK
"""From here on, the day's accounts have a flow only on days on which it moved money."""

# Statuses of a review, reasons of a hiring and of a move.
REVIEW_QUEUED, REVIEW_REFUSED, REVIEW_WITHDRAWN, REVIEW_APPROVED, REVIEW_DEFERRED = 0, 1, 2, 3, 4
REVIEWS: Final = ("queued", "refused", "withdrawn", "approved", "deferred")
LOST_REVIEWED, LOST_APPROVED = 0, 1
LOSSES: Final = ("reviewed", "approved")
HIRED_START, HIRED_BOARD, HIRED_ARRIVAL, HIRED_CONSOLE = 0, 1, 2, 3
HIRINGS: Final = ("start", "board", "arrival", "console")
ARRIVED_START, ARRIVED_CONSOLE, ARRIVED_REPLACEMENT, ARRIVED_TO_WORK = 0, 1, 2, 3
ARRIVALS: Final = ("start", "console", "replacement", "replacement")
"""Who follows an exit comes by chance with a job, or, after one for lack of work, always if there is any."""
MOVED_TELEPORT, MOVED_DISPLACED = 0, 1
MOVES: Final = ("teleport", "displaced")

# Parts of a reward (domain.md, section 15), in the order in which they are added up; then their sum.
(
    PART_HOMEOSTASIS, PART_SHAPING, PART_SURVIVAL, PART_WAGE, PART_PUNCTUALITY, PART_SOCIAL, PART_AVOIDANCE,
    PART_DEBT, PART_GUARD, PART_TICK_CLIP, PART_DAY_CLIP, PART_TERMINAL, PART_TOTAL,
) = range(13)  # fmt: skip
REWARD_PARTS: Final = (
    "homeostasis", "shaping", "survival", "wage", "punctuality", "social", "avoidance", "debt",
    "guard_adjustment", "tick_clip", "day_clip", "terminal", "total",
)  # fmt: skip
SOCIAL_OFF, SOCIAL_C1, SOCIAL_C2, SOCIAL_C3 = 0, 1, 2, 3

# Why residents leave town, the first that applies, and what keeps one that is due to leave (domain.md,
# section 14).
EXIT_COLLAPSE, EXIT_NEGLECT, EXIT_EVICTION, EXIT_UNEMPLOYMENT, EXIT_AGE_OUT, EXIT_KILLED = 0, 1, 2, 3, 4, 5
EXITS: Final = ("collapse", "neglect", "eviction", "unemployment", "age_out", "killed")
KEPT_SUPPRESSED, KEPT_CAP, KEPT_SPACING = 0, 1, 2
KEPT: Final = ("suppressed", "cap", "spacing")
PRICE_SPIKE: Final = 2
DISTURBANCES: Final = 3
"""A utility that is off, by its number, and a price that is raised."""

# Rows of the event buffer.
(
    EV_START, EV_FINISH, EV_FAIL,
    EV_JOIN, EV_GRANT, EV_LEAVE, EV_CONFLICT, EV_HANDOVER,
    EV_ARRIVED, EV_LATE_START, EV_ABSENT, EV_DEPARTED, EV_HELPED, EV_COVERED, EV_SHIFT_END,
    EV_REVIEW, EV_JOB_LOSS, EV_HIRED,
    EV_RESTOCK, EV_RENT, EV_DAY,
    EV_ARRIVE, EV_MOVED, EV_EXIT,
    EV_CHAT, EV_MEAL, EV_AVOIDANCE, EV_TIE, EV_THRESHOLD,
    EV_EXIT_PENDING,
    EV_SCHEDULED, EV_STARTED, EV_ENDED, EV_CANCELLED, EV_PRICE,
) = range(35)  # fmt: skip

# Why a tie changed, then why one was removed, then a command that set it (domain.md, section 12).
(
    CHAT_SUCCESS, CHAT_FAILURE, QUEUE_POLITE, SHARED_MEAL, NEARBY, EMPLOYMENT_HELP, SHIFT_COVERED, CONFLICT,
    PLUGIN, TIE_DECAY, TIE_CAPACITY, TIE_EXIT, TIE_COMMAND,
) = range(13)  # fmt: skip
TIE_REASONS: Final = (
    "chat_success", "chat_failure", "queue_polite", "shared_meal", "nearby", "employment_help",
    "shift_covered", "conflict", "plugin", "decay", "capacity", "exit", "command",
)  # fmt: skip
TIE_ADDED, TIE_REMOVED = 0, 1
TIE_STATUSES: Final = ("added", "removed")
FRIEND, RIVAL, FEUD = 0, 1, 2
THRESHOLDS: Final = ("friend", "rival", "feud")
LEAST_TIES: Final = 3
"""With fewer, every tie could be reserved for its class, and none could make room for a new one."""
MOST_TIES: Final = 16

# Interventions: changes from outside in phase 1, by tests or by commands; and what became of one.
(
    TELEPORT, SWITCH_UTILITY, SET_NEED, CLOSE_OBJECT, SPAWN, REMOVE, SET_PRICE, SCALE_PRICE, INTERRUPT,
    REVIEW, SET_EXITS,
    PERTURB, CANCEL,
    FORCE_CHAT, SET_TIE,
) = range(15)  # fmt: skip
(
    NOT_EXECUTED, EXECUTED, BLOCKED_TILE, GONE, NO_SLOT, NO_ROOM, NO_REVIEW, NO_VACANCY, NO_EVENT,
    NOT_BESIDE, RUNS_A_USE, HAS_TALKED,
) = range(12)  # fmt: skip
MORTALITY, EXIT_CAP, EXIT_SPACING = 0, 1, 2
"""What ``SET_EXITS`` sets."""
TRUST_GIVEN, FAMILIARITY_GIVEN, RIVALRY_GIVEN = 1, 2, 4
"""What ``SET_TIE`` sets, one bit for each number of a tie."""
MOST_EXITS: Final = 50
MOST_SPACING: Final = 100_000

# Effects on utilities, objects and prices (domain.md, section 13); 0 is an empty row of their list.
EFFECT_OFF, EFFECT_CLOSED, EFFECT_SCALED = 1, 2, 3
MANUAL: Final = 0
"""The source of effects that no event has; events count from 1."""
NO_END: Final = 0
EFFECTS_PER_DISTRICT: Final = 16
WHOLE_PRICE: Final = 1000
MOST_SCALE: Final = 10_000
"""Permille of a price."""
MOST_PRICE: Final = 10**12
MOST_BASE: Final = 100
"""A base price may be edited up to so many times what the config says."""

# What a spec of events does (domain.md, section 13), who scheduled an event, and why a price changed.
SPIKE, OUTAGE, CLOSURE, MEETING, FESTIVAL = 0, 1, 2, 3, 4
SPEC_EFFECTS: Final = ("prices", "utility", "closure", "meeting", "festival")
BY_SCHEDULER, BY_HAND = 0, 1
EVENT_SOURCES: Final = ("scheduler", "manual")
PRICE_EDIT, SPIKE_START, SPIKE_END = 0, 1, 2
PRICE_REASONS: Final = ("edit", "spike_start", "spike_end")
MAX_SPECS: Final = 64
"""Also what a district's number is multiplied by in the draws of the scheduler."""
EVENTS_PER_DISTRICT: Final = 8
"""Events that wait or are under way."""
EVENT_TARGETS: Final = 4
NO_EVENT_NUMBER: Final = 0
"""Events are counted from 1."""

# Names that preconditions may read (domain.md, section 8.1). Names of the vocabulary follow their base: a
# need by its own name, an item as ``inventory.<item>`` or ``stock.<item>``.
(
    NAME_WALLET, NAME_PRICE, NAME_LATENESS_COUNTER, NAME_ATTENDANCE_RATIO, NAME_RENT_OWED,
    NAME_TOD, NAME_DAY, NAME_QUEUE_LENGTH,
    NAME_POWER_ON, NAME_WATER_ON, NAME_CLOSED, NAME_OCCUPIED, NAME_ON_SHIFT, NAME_HAS_JOB, NAME_AT_HOME,
    NAME_PLACE_KIND, NAME_SHIFT_STATE, NAME_PROFILE,
) = range(18)  # fmt: skip
FIXED_NAMES: Final = (
    "wallet", "price", "lateness_counter", "attendance_ratio", "rent_owed", "tod", "day", "queue_length",
    "power_on", "water_on", "closed", "occupied", "on_shift", "has_job", "at_home",
    "place_kind", "shift_state", "profile",
)  # fmt: skip
NAME_NEED, NAME_INVENTORY, NAME_STOCK = 100, 200, 300
OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE = 0, 1, 2, 3, 4, 5
OPERATORS: Final = ("==", "!=", "<", "<=", ">", ">=")

MAX_STAMPS: Final = 8
"""Absences in seven days: at most one per shift, and one shift per day, both ends included."""
MAX_ATTENDANCE_WINDOW: Final = 14
ABSENCE_MEMORY: Final = 7 * TICKS_PER_DAY
NOBODY: Final = -1
