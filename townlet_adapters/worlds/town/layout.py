"""The meaning of the numbers of an observation (DOMAIN section 16): names, order, version."""

from typing import Final

LAYOUT_VERSION: Final = 1
"""Raised whenever a feature, channel or action changes its meaning or place."""

OPTIONS: Final = ("get_fed", "get_clean", "rest", "go_to_work", "shop", "socialise", "avoid_rival", "idle")
COMMIT_SCALE: Final = 15

BASE: Final = (
    "need_hunger", "need_hygiene", "need_energy", "wallet", "rent_owed", "has_job", "on_shift", "shift_pre",
    "shift_on_time", "shift_late", "shift_absent", "shift_post", "time_sin", "time_cos", "shift_start_in",
    "shift_progress", "attendance", "late_today", "lateness", "absences", "withheld", "embedding_slot",
    "ctx_reset", "episode_progress", "rivalry_max", "rivalry_avoid", "last_wait", "last_move", "last_leave",
    "last_talk", "last_use", "last_success", "last_duration", "holds", "in_queue", "queue_position", "using",
    "use_progress", "inv_meal", "inv_ingredients", "hint_north", "hint_south", "hint_east", "hint_west",
    "goal_distance", "near_agents", "near_objects", "near_reserved", "nearest_agent", "at_home", "at_work",
    *(f"option_{option}" for option in OPTIONS), "commit", "power_on", "water_on", "price_level", "invited",
)  # fmt: skip
"""The base block; features of rules that do not exist yet are zero."""

(
    WALLET, RENT_OWED, HAS_JOB, ON_SHIFT, SHIFT_PRE, SHIFT_ON_TIME, SHIFT_LATE, SHIFT_ABSENT, SHIFT_POST,
    TIME_SIN, TIME_COS, SHIFT_START_IN, SHIFT_PROGRESS, ATTENDANCE, LATE_TODAY, LATENESS, ABSENCES, WITHHELD,
    EMBEDDING_SLOT, CTX_RESET, EPISODE_PROGRESS,
) = range(3, 24)  # fmt: skip
(
    LAST_WAIT, LAST_MOVE, LAST_LEAVE, LAST_TALK, LAST_USE, LAST_SUCCESS, LAST_DURATION, HOLDS, IN_QUEUE,
    QUEUE_POSITION, USING, USE_PROGRESS, INVENTORY, _INV_INGREDIENTS, HINTS, _HINT_S, _HINT_E, _HINT_W,
    GOAL_DISTANCE, NEAR_AGENTS, NEAR_OBJECTS, NEAR_RESERVED, NEAREST_AGENT, AT_HOME, AT_WORK, OPTION,
) = range(26, 52)  # fmt: skip
COMMIT, POWER_ON, WATER_ON, PRICE_LEVEL = 59, 60, 61, 62

TARGET_TYPES: Final = ("fridge", "stove", "bed", "shower", "checkout", "counter")
TARGETS: Final = (*TARGET_TYPES, "work", "home")
PERSONALITY: Final = ("extroversion", "forgiveness", "ambition")
TIE: Final = ("trust", "familiarity", "rivalry")
SOCIAL_TOTALS: Final = ("trust_mean", "trust_max", "rivalry_mean", "rivalry_max")

HYBRID_CHANNELS: Final = ("self", "agents", "objects", "reservations")
SELF, AGENTS, OBJECTS, RESERVATIONS = 0, 1, 2, 3


def social_block(friends: int, rivals: int, code: int) -> tuple[str, ...]:
    """Return the columns of the social block: an identity code and a tie for each slot, then totals."""
    slots = [f"friend_{k + 1}" for k in range(friends)] + [f"rival_{k + 1}" for k in range(rivals)]
    columns = [*(f"code_{k}" for k in range(code)), *TIE]
    return (*(f"{slot}_{column}" for slot in slots for column in columns), *SOCIAL_TOTALS)


def feature_names(
    *, targets: bool, personality: bool, friends: int, rivals: int, code: int
) -> tuple[str, ...]:
    """Return the names of all feature columns in order."""
    names = list(BASE)
    if targets:
        names += [f"{target}_{part}" for target in TARGETS for part in ("dx", "dy", "dist")]
    if personality:
        names += [f"personality_{trait}" for trait in PERSONALITY]
    names += [f"social_{column}" for column in social_block(friends, rivals, code)]
    return tuple(names)
