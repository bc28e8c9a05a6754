"""Towns for the model to be compared with: shipped ones, and small ones in which everything happens soon."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.town.towns import affordance, town_map

ROOT = Path(__file__).resolve().parents[2]

ROWS = (
    "E............",
    ".#####.#####.",
    ".#HrW#.#gXg#.",
    ".#rrrr+.ggg#.",
    ".#FrB#.#####.",
    ".#HrS#.cCcC~.",
    ".#####.cccc~.",
    "...pNp.......",
    "...ppp.yRyyK.",
    ".......yyyyy.",
)
"""One of everything, two counters side by side, and doors that two cannot pass."""
JOBS = {
    "clerk": {"place": "grocer", "start": 60, "end": 240, "wage": 20, "late_fine": 100, "capacity": 5},
    "keeper": {"place": "cafe", "start": 1380, "end": 60, "wage": 22, "late_fine": 120, "capacity": 4},
    "ranger": {"place": "park", "start": 500, "end": 560, "wage": 30, "late_fine": 50, "capacity": 2},
}
"""Shifts that begin soon after the start; one passes midnight, one workplace has no till."""
MANIFEST = (
    affordance(
        "snack", "counter", 3,
        preconditions=["tod >= 60", "price <= wallet", "queue_length < 3"],
        charge=[{"inventory:meal": 1}, {"stock:meal": 1, "price:meal": 1}],
        effects={"need:hunger": 0.2, "need:energy": -0.1},
    ),
    affordance(
        "work_late", "sink", 7,
        preconditions=["has_job == true", "shift_state != 'absent'", "lateness_counter < 9"],
        effects={"money": 150, "need:energy": -0.3},
    ),
    affordance(
        "stock_up", "checkout", 4,
        preconditions=["occupied == false", "inventory.ingredients < 5", "stock.ingredients > 1"],
        charge=[{"stock:ingredients": 1, "price:ingredients": 3}],
        effects={"inventory:ingredients": 2, "stock:ingredients": -1},
    ),
    affordance(
        "tidy", "fridge", 2,
        preconditions=["at_home == true", "profile != 'stoic'", "attendance_ratio <= 1", "water_on == true"],
        charge=[{"inventory:meal": 1}],
        effects={"stock:meal": 2, "inventory:meal": -1, "need:hygiene": -0.05},
    ),
    affordance(
        "feast", "counter", 25,
        charge=[{"inventory:meal": 1}, {"stock:meal": 1, "price:meal": 1}],
        each_tick={"need:hunger": 0.04, "need:energy": -0.01},
        until=["hunger >= 0.9", "price > 0", "queue_length < 2", "profile != 'stoic'"],
        wakes={"need_below": 0.4}, decay=0, tags=["meal"],
    ),
    affordance(
        "doze", "bed", 90,
        each_tick={"need:energy": 0.01}, until=["wallet > 500", "on_shift == false", "energy > hunger"],
        wakes={"before_shift": 0}, decay=0.3, effects={"need:hygiene": -0.1},
    ),
    affordance("wake_up", "shower", 30, wakes={"before_shift": 30, "need_below": 1}, decay=0.7),
    affordance("gossip", "bench", 1, preconditions=["on_shift == false", "day >= 0", "closed == false"]),
)  # fmt: skip
"""Affordances that read every kind of name and have every kind of effect."""


HOOKS = ("baker", "warden")
"""Hooks that an affordance can name; what they answer is drawn."""


def hooked() -> dict[str, Any]:
    """The crowd with hooks at three affordances: of all stages, of one hook, of two."""
    both = list(HOOKS)
    replaced = [
        affordance(
            "eat_meal", "fridge", 5, charge=[{"stock:meal": 1, "price:meal": 1}],
            effects={"need:hunger": 0.3}, hooks={"before": both, "after": both, "failed": both},
        ),
        affordance(
            "rest_sleep", "bed", 9, effects={"need:energy": 0.2},
            hooks={"before": ["warden"], "failed": ["baker"]},
        ),
        affordance("buy_meal", "counter", 4, effects={"inventory:meal": 1}, hooks={"after": ["warden"]}),
    ]  # fmt: skip
    return crowd(affordances={"add": replaced})


def crowd(residents: int = 12, **options: Mapping[str, object]) -> dict[str, Any]:
    """Twelve residents in a town with one of everything."""
    return {
        "town": town_map(ROWS, JOBS),
        "time": {"start_tod": 0},
        **options,
        "population": {"target": residents, "capacity": residents + 2, **options.get("population", {})},
        "economy": {"balance_check": "off", **options.get("economy", {})},
    }


def plenty() -> dict[str, Any]:
    """The crowd with more to do: uses that work tick by tick, end early and wake."""
    return crowd(affordances={"add": list(MANIFEST)})


HASTY: Mapping[str, Mapping[str, object]] = {
    "population": {"start_wallet": 600},
    "employment": {
        "max_absent_shifts": 1,
        "review_ticks": 60,
        "review_queue_limit": 2,
        "daily_loss_cap": 3,
    },
    "queues": {
        "cooldown_ticks": 0,
        "hold_ticks": 2,
        "drop_distance": 1,
        "drop_ticks": 3,
        "patience_ticks": 5,
    },
}
"""Reviews, drops, conflicts, poverty: everything happens soon."""


def grid(rows: int, cols: int, district: str = "town_48") -> dict[str, Any]:
    """A city."""
    return {"town": {"grid": {"district": district, "rows": rows, "cols": cols}}}


def config(path: str) -> dict[str, Any]:
    """The ``world.options`` of a config."""
    options: dict[str, Any] = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))["world"]["options"]
    return options


EXTREMES: Mapping[str, Mapping[str, float]] = {
    "saint": {"weight": 0.3, "forgiveness": 1, "ambition": -1, "extroversion": 1, "chat_preference": 5},
    "fury": {"weight": 0.3, "forgiveness": -1, "ambition": 1, "extroversion": -1, "tolerance": 0.1},
}
"""Profiles at the ends of the ranges."""


def fleeting() -> dict[str, Any]:
    """The crowd in which nobody quarrels, and whoever is near makes an impression that fades within hours."""
    faint = {"trust": 0.01001, "familiarity": -0.01002, "rivalry": 0.0101}
    nods = [
        affordance(f"nod_{object_type}", object_type, 2, effects={"relation:nearby": faint})
        for object_type in ("bench", "counter", "fridge", "sink", "bed", "rack", "checkout")
    ]
    return crowd(
        affordances={"extend": None, "add": nods},
        queues={"cooldown_ticks": 120, "ghost_step_after": 0, "patience_ticks": 600},
    )


def strange(seed: int) -> dict[str, Any]:
    """The crowd under rules drawn at random from their ranges, mostly near the edge."""
    dice = random.Random(seed)  # noqa: S311 - a test's choice
    pick = dice.choice
    residents = pick((1, 5, 12, 25))
    return crowd(
        residents,
        affordances={"add": list(MANIFEST), "remove": pick(([], ["relax"], ["eat_meal", "work_out"]))},
        time={"start_tod": pick((0, 360, 1000, 1439))},
        population={
            "start_wallet": pick((0, 300, 2000, 50000)),
            "start_need": pick((0, 0.3, 0.7, 1)),
            "start_spread": pick((0, 0.25, 1)),
        },
        needs={"decay": pick(({}, {"hunger": 0.01, "energy": 0}))},
        personalities={"weights": pick(({}, {"balanced": 0, "stoic": 1}))},
        queues={
            "cooldown_ticks": pick((0, 1, 60)),
            "ghost_step_after": pick((0, 1, 2, 3)),
            "age_weight": pick((0, 0.1, 1)),
            "patience_ticks": pick((5, 7, 20)),
            "hold_ticks": pick((1, 2, 5, 20)),
            "drop_distance": pick((1, 2, 5)),
            "drop_ticks": pick((1, 3, 10)),
            "handover_spacing": pick((0, 10, 100)),
            "handover_max_age": pick((0, 5, 60)),
        },
        employment={
            "await_ticks": pick((0, 20, 240)),
            "grace_ticks": pick((0, 5, 60)),
            "absent_cutoff": pick((0, 3, 30, 600)),
            "absence_slack": pick((0, 2, 20)),
            "late_tick_fine": pick((0, 5, 1000)),
            "absence_fine": pick((0, 200, 5000)),
            "max_absent_shifts": pick((1, 1, 2, 3)),
            "attendance_window": pick((1, 3, 14)),
            "review_ticks": pick((1, 60, 1440)),
            "daily_loss_cap": pick((0, 1, 2)),
            "review_queue_limit": pick((1, 2, 8)),
            "jobs": pick(({}, {"clerk": {"late_fine": 5000}})),
        },
        economy={
            "rent_per_day": pick((0, 700, 1300, 9000)),
            "stipend": pick((0, 500)),
            "prices": pick(({}, {"home.meal": 0, "cafe.meal": 2000})),
        },
        features={
            "need_multipliers": pick((True, False)),
            "behaviour_biases": pick((True, False)),
            "relationship_modifiers": pick((True, True, False)),
            "social_rewards": pick(("OFF", "C1", "C2", "C3")),
            "reward_bias": pick((True, False)),
        },
        rewards={
            "gamma": pick((0, 0.9, 0.99, 1)),
            "punctuality_ticks": pick((1, 30, 240)),
            "chat_deficit": pick((0.2, 0.85)),
            "chat_regard": pick((0.25, 10)),
            "debt": pick((0.0, 0.0005, 0.3)),
            "debt_days": pick((0, 3, 30)),
            "guard_ticks": pick((0, 10, 200)),
            "homeostasis": pick((0, 0.02)),
            "terminal": pick(({}, {"killed": -1.0})),
            "tick_clip": pick((0.01, 0.2)),
            "day_clip": pick((0.5, 50)),
        },
        relationships={"max_ties": pick((3, 4, 6, 16))},
        observations={
            "window": pick((3, 5, 11)),
            "targets": pick((True, False)),
            "personality": pick((True, False)),
            "top_friends": pick((0, 1, 2, 4)),
            "top_rivals": pick((0, 1, 2, 4)),
            "identity_dim": pick((1, 8, 9, 32)),
        },
        embeddings={"max_slots": pick((None, residents + 2)), "cooldown_ticks": pick((0, 2880))},
        vocabulary={"extend": "town", "profiles": pick(({}, EXTREMES))},
    )
