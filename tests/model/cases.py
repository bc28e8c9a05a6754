"""Towns for the model to be compared with: shipped ones, and small ones in which everything happens soon."""

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


LEAVING: Mapping[str, Mapping[str, object]] = {
    "population": {"start_wallet": 0, "start_need": 0.5},
    "economy": {"rent_per_day": 5000},
    "employment": {"max_absent_shifts": 1, "review_ticks": 30, "daily_loss_cap": 0},
    "lifecycle": {
        "stay_least": 2,
        "stay_most": 5,
        "founders_stay_least": 1,
        "daily_exit_cap": 3,
        "exit_spacing": 200,
        "move_spacing": 700,
    },
    "embeddings": {"max_slots": 16, "cooldown_ticks": 500},
}
"""Poverty, short stays, lost jobs: residents leave for every reason, and wait for each other."""


def leaving(residents: int = 8, **options: Mapping[str, object]) -> dict[str, Any]:
    """A crowd in which nobody stays for long; needs fall slowly, and work is scarce."""
    scarce = {name: {**job, "capacity": 1} for name, job in JOBS.items()}
    slow = {"decay": {"hunger": 0.0004, "energy": 0.0003, "hygiene": 0.0001}}
    return {**crowd(residents, needs=slow, **LEAVING, **options), "town": town_map(ROWS, scarce)}


def doomed() -> dict[str, Any]:
    """Four residents, two jobs, slow needs and a rent that no wage pays: life ends when a test says so."""
    return {
        **crowd(4, needs={"decay": dict.fromkeys(("hunger", "energy", "hygiene"), 0.0001)}, **DOOM),
        "town": town_map(ROWS, {name: {**JOBS[name], "capacity": 1} for name in ("clerk", "keeper")}),
    }


DOOM: Mapping[str, Mapping[str, object]] = {
    "economy": {"rent_per_day": 20_000},
    "employment": {"max_absent_shifts": 20},
    "lifecycle": {
        "stay_least": 30,
        "stay_most": 31,
        "founders_stay_least": 2,
        "daily_exit_cap": 3,
        "exit_spacing": 100,
        "move_spacing": 150,
    },
}
"""Poverty, and short stays."""


FREQUENT: Mapping[str, Mapping[str, object]] = {
    "perturbations": {
        "max_concurrent": 3,
        "global_cooldown_ticks": 3,
        "agent_cooldown_ticks": 20,
        "grace_ticks": 7,
        "window_ticks": 200,
        "max_per_window": 9,
        "specs": {
            "price_spike": {"chance": 40, "cooldown": 10, "duration": [5, 40], "targets": ["home", "meal"]},
            "blackout": {"chance": 15, "cooldown": 50, "duration": [1, 20]},
            "outage": {"chance": 15, "cooldown": 0, "duration": [5, 25], "targets": ["water", "power"]},
            "arranged_meet": {"chance": 90, "cooldown": 5, "duration": [10, 45]},
            "closure": {"chance": 60, "cooldown": 10, "duration": [1, 60], "targets": ["bed", "counter"]},
            "festival": {"chance": 20, "cooldown": 30, "duration": [10, 60]},
            "sale": {
                "effect": "prices",
                "chance": 30,
                "cooldown": 20,
                "duration": [3, 70],
                "magnitude": [0, 1000],
                "targets": ["market", "gym.session", "global"],
            },
        },
    },
}
"""Every event, many a day, one over the other."""


def eventful(**options: Mapping[str, object]) -> dict[str, Any]:
    """The hasty crowd, to which something happens all the time."""
    return crowd(**HASTY, **FREQUENT, **options)
