"""Towns whose rules are drawn at random from their ranges, mostly near the edge."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.model.cases import EXTREMES, MANIFEST, crowd

Pick = Callable[[Sequence[Any]], Any]


def strange(seed: int) -> dict[str, Any]:
    """The crowd under rules drawn at random."""
    pick = random.Random(seed).choice  # noqa: S311 - a test's choice
    residents = pick((1, 5, 12, 25))
    drawn = {name: {key: pick(values) for key, values in ranges.items()} for name, ranges in RANGES.items()}
    slots = {"max_slots": pick((None, residents + 2)), "cooldown_ticks": pick((0, 2880))}
    add = {"add": list(MANIFEST), "remove": pick(([], ["relax"], ["eat_meal", "work_out"]))}
    vocabulary = {"extend": "town", "profiles": pick(({}, EXTREMES))}
    return crowd(residents, affordances=add, embeddings=slots, vocabulary=vocabulary, **drawn)


RANGES: Mapping[str, Mapping[str, Sequence[Any]]] = {
    "time": {"start_tod": (0, 360, 1000, 1439)},
    "population": {
        "start_wallet": (0, 300, 2000, 50000),
        "start_need": (0, 0.3, 0.7, 1),
        "start_spread": (0, 0.25, 1),
    },
    "needs": {"decay": ({}, {"hunger": 0.01, "energy": 0}, {"hunger": 0.0003, "hygiene": 0})},
    "personalities": {"weights": ({}, {"balanced": 0, "stoic": 1})},
    "queues": {
        "cooldown_ticks": (0, 1, 60),
        "ghost_step_after": (0, 1, 2, 3),
        "age_weight": (0, 0.1, 1),
        "patience_ticks": (5, 7, 20),
        "hold_ticks": (1, 2, 5, 20),
        "drop_distance": (1, 2, 5),
        "drop_ticks": (1, 3, 10),
        "handover_spacing": (0, 10, 100),
        "handover_max_age": (0, 5, 60),
    },
    "employment": {
        "await_ticks": (0, 20, 240),
        "grace_ticks": (0, 5, 60),
        "absent_cutoff": (0, 3, 30, 600),
        "absence_slack": (0, 2, 20),
        "late_tick_fine": (0, 5, 1000),
        "absence_fine": (0, 200, 5000),
        "max_absent_shifts": (1, 1, 2, 3),
        "attendance_window": (1, 3, 14),
        "review_ticks": (1, 60, 1440),
        "daily_loss_cap": (0, 1, 2),
        "review_queue_limit": (1, 2, 8),
        "jobs": ({}, {"clerk": {"late_fine": 5000}}),
    },
    "economy": {
        "rent_per_day": (0, 700, 1300, 9000),
        "stipend": (0, 500),
        "prices": ({}, {"home.meal": 0, "cafe.meal": 2000}),
    },
    "features": {
        "need_multipliers": (True, False),
        "behaviour_biases": (True, False),
        "relationship_modifiers": (True, True, False),
        "social_rewards": ("OFF", "C1", "C2", "C3"),
        "reward_bias": (True, False),
    },
    "lifecycle": {
        "training_mode": (False, False, False, True),
        "collapse": (True, True, False),
        "neglect": (True, False),
        "eviction": (True, True, False),
        "unemployment": (True, True, False),
        "age_out": (True, True, False),
        "stay_least": (1, 3, 60),
        "stay_most": (60, 120),
        "founders_stay_least": (1, 1, 3, 14),
        "daily_exit_cap": (0, 1, 2, 50),
        "exit_spacing": (0, 1, 120, 1000),
        "move_spacing": (0, 10, 1000, 10_080),
    },
    "rewards": {
        "gamma": (0, 0.9, 0.99, 1),
        "punctuality_ticks": (1, 30, 240),
        "chat_deficit": (0.2, 0.85),
        "chat_regard": (0.25, 10),
        "debt": (0.0, 0.0005, 0.3),
        "debt_days": (0, 3, 30),
        "guard_ticks": (0, 10, 200),
        "homeostasis": (0, 0.02),
        "terminal": ({}, {"killed": -1.0, "collapse": -0.25, "age_out": -2.0}),
        "tick_clip": (0.01, 0.2),
        "day_clip": (0.5, 50),
    },
    "relationships": {"max_ties": (3, 4, 6, 16)},
    "observations": {
        "window": (3, 5, 11),
        "targets": (True, False),
        "personality": (True, False),
        "top_friends": (0, 1, 2, 4),
        "top_rivals": (0, 1, 2, 4),
        "identity_dim": (1, 8, 9, 32),
    },
}
"""Section -> key -> values to choose from."""
