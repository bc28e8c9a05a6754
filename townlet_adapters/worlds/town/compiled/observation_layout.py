"""The meaning of the numbers of an observation (domain.md, section 16): names, order, version.

The base block has parts of fixed length, numbered here from 0, between parts of one column for each need,
item or option of the vocabulary: needs, ``STATUS``, items, ``NEARBY``, options, ``TOWN``.
"""

from typing import Final, NamedTuple

from townlet_adapters.kernels.bundles import bundle
from townlet_adapters.worlds.town.inputs.texts import ObservationsOptions
from townlet_adapters.worlds.town.inputs.vocabulary import Vocabulary

LAYOUT_VERSION: Final = 2
"""Raised whenever a feature, channel or action of the shipped vocabulary changes its meaning or place."""

COMMIT_SCALE: Final = 15

STATUS: Final = (
    "wallet", "rent_owed", "has_job", "on_shift", "shift_pre",
    "shift_on_time", "shift_late", "shift_absent", "shift_post", "time_sin", "time_cos", "shift_start_in",
    "shift_progress", "attendance", "late_today", "lateness", "absences", "withheld", "embedding_slot",
    "ctx_reset", "episode_progress", "rivalry_max", "rivalry_avoid", "last_wait", "last_move", "last_leave",
    "last_talk", "last_use", "last_success", "last_duration", "holds", "in_queue", "queue_position", "using",
    "use_progress",
)  # fmt: skip
(
    WALLET, RENT_OWED, HAS_JOB, ON_SHIFT, SHIFT_PRE, SHIFT_ON_TIME, SHIFT_LATE, SHIFT_ABSENT, SHIFT_POST,
    TIME_SIN, TIME_COS, SHIFT_START_IN, SHIFT_PROGRESS, ATTENDANCE, LATE_TODAY, LATENESS, ABSENCES, WITHHELD,
    EMBEDDING_SLOT, CTX_RESET, EPISODE_PROGRESS, RIVALRY_MAX, RIVALRY_AVOID, LAST_WAIT, LAST_MOVE,
    LAST_LEAVE, LAST_TALK, LAST_USE, LAST_SUCCESS, LAST_DURATION, HOLDS, IN_QUEUE, QUEUE_POSITION, USING,
    USE_PROGRESS,
) = range(len(STATUS))  # fmt: skip

NEARBY: Final = (
    "hint_north", "hint_south", "hint_east", "hint_west", "goal_distance", "near_agents", "near_objects",
    "near_reserved", "nearest_agent", "at_home", "at_work",
)  # fmt: skip
(
    HINTS, _HINT_S, _HINT_E, _HINT_W, GOAL_DISTANCE, NEAR_AGENTS, NEAR_OBJECTS, NEAR_RESERVED, NEAREST_AGENT,
    AT_HOME, AT_WORK,
) = range(len(NEARBY))  # fmt: skip

TOWN: Final = ("commit", "power_on", "water_on", "price_level", "invited")
COMMIT, POWER_ON, WATER_ON, PRICE_LEVEL, INVITED = range(len(TOWN))

PERSONALITY: Final = ("extroversion", "forgiveness", "ambition")
TIE: Final = ("trust", "familiarity", "rivalry")
OWN_RIVALRY: Final = 2
"""Features of ties that stand in ``STATUS``: ``RIVALRY_MAX``, ``RIVALRY_AVOID``."""
SOCIAL_TOTALS: Final = ("trust_mean", "trust_max", "rivalry_mean", "rivalry_max")

HYBRID_CHANNELS: Final = ("self", "agents", "objects", "reservations")
SELF, AGENTS, OBJECTS, RESERVATIONS = 0, 1, 2, 3


@bundle
class Starts(NamedTuple):
    """The first column of each part of the features.

    Attributes:
        status: of ``STATUS``; the needs stand before it.
        items: of the items carried.
        nearby: of ``NEARBY``.
        options: of the options.
        town: of ``TOWN``.
        targets: of the targets.
        personality: of the personality traits.
        social: of the social block.
    """

    status: int
    items: int
    nearby: int
    options: int
    town: int
    targets: int
    personality: int
    social: int


def social_block(friends: int, rivals: int, code: int) -> tuple[str, ...]:
    """Return the columns of the social block: an identity code and a tie for each slot, then totals."""
    slots = [f"friend_{k + 1}" for k in range(friends)] + [f"rival_{k + 1}" for k in range(rivals)]
    columns = [*(f"code_{k}" for k in range(code)), *TIE]
    return (*(f"{slot}_{column}" for slot in slots for column in columns), *SOCIAL_TOTALS)


def feature_columns(vocabulary: Vocabulary, seen: ObservationsOptions) -> tuple[tuple[str, ...], Starts]:
    """Return the names of all feature columns in order, and where each part starts."""
    aims = (*vocabulary.targets, "work", "home") if seen.targets else ()
    social = social_block(seen.top_friends, seen.top_rivals, seen.identity_dim)
    parts = (
        tuple(f"need_{need}" for need in vocabulary.needs),
        STATUS,
        tuple(f"inv_{item}" for item in vocabulary.items),
        NEARBY,
        tuple(f"option_{option}" for option in vocabulary.option_names),
        TOWN,
        tuple(f"{aim}_{part}" for aim in aims for part in ("dx", "dy", "dist")),
        tuple(f"personality_{trait}" for trait in PERSONALITY) if seen.personality else (),
        tuple(f"social_{column}" for column in social),
    )
    ends = [sum(map(len, parts[: k + 1])) for k in range(len(parts) - 1)]
    return tuple(name for part in parts for name in part), Starts(*ends)
