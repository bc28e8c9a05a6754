"""How residents fare: the key figures of a town over days and seeds, beside their targets.

Run it with ``python -m benchmarks.kpis --help``. ``tests/town/test_kpis.py`` judges the same figures.
"""  # noqa: INP001 - a script, not a package

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

import numpy as np
import yaml

from benchmarks.lives import DAY, WEEK, Figures, Lives, view_of
from townlet import open_simulation
from townlet_core.jsonvalue import JsonObject, JsonValue

__all__ = ["EVERYWHERE", "HAMLET", "TOWN", "Band", "judge", "measure", "report"]


@dataclass(frozen=True, slots=True)
class Band:
    """Where a key figure should lie.

    Attributes:
        key: name of the figure.
        low: least value.
        high: greatest value.
        of: what the figure is taken over: the mean of the seeds, or the least or greatest of them.
    """

    key: str
    low: float
    high: float
    of: str = "mean"


TOWN: Final = (
    Band("asleep_at_night_share", 0.8, 1.0),
    Band("sleep_hours_per_agent_day", 6, 9),
    Band("awake_longest_hours", 0, 20, "greatest"),
    Band("sleeps_per_agent_day", 0.9, 1.6),
    Band("standing_outdoors_at_night_share", 0, 0.03),
    Band("acts_within_5_ticks_share", 0.5, 1.0),
    Band("meals_per_agent_day", 2.5, 4.0),
    Band("meals_at_night_share", 0, 0.05),
    Band("cafe_meals_per_agent_day", 0.2, 1.2),
    Band("cooked_per_week", 8, 80),
    Band("showers_per_agent_day", 1.3, 2.0),
    Band("home_and_out_per_agent_day", 0, 0.5),
    Band("near_others_minutes_per_agent_day", 30, 240),
    Band("late_or_absent_share", 0.02, 0.15),
    Band("absences_per_worker_week", 0, 0.2),
    Band("attendance", 0.85, 1.0),
    Band("jobs_lost", 0, 0, "greatest"),
    Band("jostle_per_day", 5, 45),
    Band("waiting_per_day", 1, 12),
    Band("ghost_step_per_day", 0, 1),
    Band("uses_waited_share", 0.04, 0.25),
    Band("wait_mean", 10, 40),
    Band("wait_longest", 0, 180, "greatest"),
    Band("option_switch_rate", 0.005, 0.05),
    Band("well_all_day_share", 0.7, 1.0),
    Band("need_lowest", 0.15, 1.0, "least"),
    Band("starvation_incidents", 0, 0, "greatest"),
    Band("exits_due", 0, 0, "greatest"),
    Band("rent_missed", 0, 0, "greatest"),
    Band("invalid", 0, 0, "greatest"),
    Band("days_without_sleep", 0, 0, "greatest"),
    Band("days_with_under_2_meals", 0, 0, "greatest"),
    Band("two_days_without_wash", 0, 0, "greatest"),
    Band("chats_per_agent_day", 3, 7),
    Band("chats_well_share", 0.70, 0.92),
    Band("strong_ties_share", 0.60, 1),
    Band("rivalry_highest", 0.2, 0.9),
    Band("quarrels_avoided_share", 0, 0.20),
    Band("avoidances_per_week", 0, 40),
    Band("handovers_per_week", 5, 60),
    Band("shared_meals_per_week", 0, 15),
)
"""The targets of the rules that need no exits and no events; docs/domain.md has what was measured."""
HAMLET: Final = (
    Band("asleep_at_night_share", 0.8, 1.0),
    Band("sleep_hours_per_agent_day", 6, 9),
    Band("meals_per_agent_day", 2.5, 4.0),
    Band("well_all_day_share", 0.60, 1.0),
    Band("starvation_incidents", 0, 0, "greatest"),
    Band("exits_due", 0, 0, "greatest"),
    Band("invalid", 0, 0, "greatest"),
    Band("conflicts_per_day", 3, 15),
    Band("uses_waited_share", 0.05, 0.20),
    Band("rent_missed", 0, 0, "greatest"),
)
"""The same for the hamlet of three with one shower."""
SOCIETY: Final = (
    "chats_per_agent_day", "chats_well_share", "strong_ties_share", "rivalry_highest",
    "quarrels_avoided_share",
)  # fmt: skip
"""Key figures of a run that are taken over as they are."""
LATER: Final = (Band("wallet_change_per_agent_day", -60, 60),)
"""Further targets of days 21 to 30, when wallets have found their level."""
EVERYWHERE: Final = (
    "asleep_at_night_share", "sleep_hours_per_agent_day", "meals_per_agent_day", "cooked_per_agent_day",
    "showers_per_agent_day", "sleeps_per_agent_day", "conflicts_per_agent_day", "option_switch_rate",
    "well_all_day_share", "attendance",
)  # fmt: skip
"""Rates that a city shares with the town that its districts are made of; where one eats is not among them:
residents on a district's edge live nearer to their neighbours' cafe than to their own."""


def measure(
    config: str,
    seed: int,
    *,
    days: int = WEEK,
    first: int = 0,
    overrides: Mapping[str, JsonValue] | None = None,
) -> dict[str, float]:
    """Let a town live, and return its key figures by name.

    Args:
        config: the config of the run.
        seed: its seed.
        days: number of days in all; the last one ends at midnight.
        first: number of the first day that counts.
        overrides: values in place of the config's.
    """
    quiet: dict[str, JsonValue] = {"telemetry.sinks": [], **(overrides or {})}
    with open_simulation(config, seed=seed, overrides=quiet) as loop:
        start = loop.spec.start_tod
        lives = Lives(loop, max(0, first * DAY - start))
        lives.subscribe()
        summary = loop.run_for(days * DAY - start)
        if loop.dispatcher.failures:
            raise RuntimeError(f"subscribers failed: {loop.dispatcher.failures}")
        return Figures(lives).all() | society_of(summary.kpis, days)


def society_of(kpis: JsonObject, days: int) -> dict[str, float]:
    """Return the figures of ties and talk, which the key figures of a run keep from its start on."""
    known = {key: float(value) for key, value in kpis.items() if isinstance(value, int | float)}
    figures = {key: known[key] for key in SOCIETY if key in known}
    weekly = ("avoidances", "handovers", "shared_meals")
    return figures | {f"{name}_per_week": known[name] * WEEK / days for name in weekly if name in known}


def wealth(
    config: str, seed: int, *, days: int, overrides: Mapping[str, JsonValue] | None = None
) -> dict[str, float]:
    """Return the median wallet at the end of day 10 and of the last day, and the greatest one beside it."""
    quiet: dict[str, JsonValue] = {"telemetry.sinks": [], **(overrides or {})}
    medians: dict[int, float] = {}
    with open_simulation(config, seed=seed, overrides=quiet) as loop:
        start, last = loop.spec.start_tod, np.zeros(0)
        for day in sorted({min(10, days), days}):
            loop.run_for(day * DAY - start - loop.tick)
            last = np.asarray(view_of(loop).columns["wallet"])[np.asarray(loop.observation.alive) != 0]
            medians[day] = float(np.median(last))
    early, late = medians[min(10, days)], medians[days]
    return {
        "wallet_median_day_10": early,
        "wallet_median_last_day": late,
        "wallet_median_growth": late / max(1.0, early),
        "wallet_greatest_to_median": float(last.max()) / max(1.0, late),
    }


WEALTH: Final = (Band("wallet_median_growth", 0, 2), Band("wallet_greatest_to_median", 1.5, 10))
"""Targets of a hundred days."""


def judge(band: Band, values: Sequence[float]) -> tuple[float, bool]:
    """Return a figure over all seeds, and whether it lies in its band."""
    value = {"mean": fmean, "least": min, "greatest": max}[band.of](values)
    return value, band.low <= value <= band.high


def report(runs: Sequence[Mapping[str, float]], bands: Sequence[Band]) -> list[str]:
    """Format the table: a line for each figure, targets first, then what has none."""
    lines = [f"{'figure':38} {'target':>14}  {'measured':>10}      least .. greatest over {len(runs)} seeds"]
    known = [band for band in bands if band.key in runs[0]]
    for band in known:
        values = [run[band.key] for run in runs]
        value, good = judge(band, values)
        target = f"{band.low:g} .. {band.high:g}"
        mark = "  " if good else "!!"
        lines.append(
            f"{band.key:38} {target:>14}  {value:10.4g} {mark}   {min(values):.4g} .. {max(values):.4g}"
        )
    for key in sorted(set(runs[0]) - {band.key for band in known}):
        values = [run[key] for run in runs]
        lines.append(f"{key:38} {'':>14}  {fmean(values):10.4g}      {min(values):.4g} .. {max(values):.4g}")
    return lines


def main() -> None:
    """Print the table, and the progress to standard error."""
    parser = argparse.ArgumentParser(description="Key figures of a town beside their targets.")
    parser.add_argument("config", nargs="?", default="configs/town.yaml")
    parser.add_argument("--days", type=int, default=WEEK, help="days in all; day 0 may be a part of one")
    parser.add_argument("--first", type=int, default=0, help="first day that counts; 21 with --days 31")
    parser.add_argument("--wealth", action="store_true", help="only wallets, at day 10 and at the last day")
    parser.add_argument("--seeds", type=int, default=5, help="how many, from 1 on")
    parser.add_argument("--set", dest="values", action="append", default=[], metavar="KEY.PATH=VALUE")
    options = parser.parse_args()
    overrides = {
        key: yaml.safe_load(value) for key, _, value in (text.partition("=") for text in options.values)
    }
    runs: list[dict[str, float]] = []
    for seed in range(1, options.seeds + 1):
        if options.wealth:
            runs.append(wealth(options.config, seed, days=options.days, overrides=overrides))
        else:
            runs.append(
                measure(options.config, seed, days=options.days, first=options.first, overrides=overrides)
            )
        sys.stderr.write(f"seed {seed} of {options.seeds}\n")
    bands = HAMLET if "hamlet" in options.config else TOWN
    bands = WEALTH if options.wealth else (*bands, *(LATER if options.first else ()))
    sys.stdout.write("\n".join(report(runs, bands)) + "\n")


if __name__ == "__main__":
    main()
