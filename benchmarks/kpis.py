"""How residents fare: the key figures of a town over days and seeds, beside their targets.

Run it with ``python benchmarks/kpis.py --help``. ``tests/town/test_kpis.py`` judges the same figures.
"""  # noqa: INP001 - a script, not a package

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Final

import numpy as np
import yaml

from townlet import open_simulation
from townlet_adapters.worlds.town.events.economy import EconomyRent
from townlet_adapters.worlds.town.events.employment import EmploymentShiftEnd
from townlet_adapters.worlds.town.events.queue import QueueConflict
from townlet_adapters.worlds.town.events.social import SocialThreshold
from townlet_core.dto.observation import View
from townlet_core.events.base import Fact
from townlet_core.events.loop import LoopTick
from townlet_core.jsonvalue import JsonValue
from townlet_core.loop import SimulationLoop

DAY: Final = 1440
WEEK: Final = 7
COLLAPSED, COLLAPSE_TICKS = 0.03, 30
NEGLECTED, NEGLECT_TICKS = 0.1, 360


@dataclass(frozen=True, slots=True)
class Band:
    """Where a key figure of a week in the default town should lie.

    Attributes:
        key: name of the figure.
        low: least mean over the seeds.
        high: greatest mean over the seeds.
        of: what the figure is taken over: the mean of the seeds, or the worst of them.
    """

    key: str
    low: float
    high: float
    of: str = "mean"


TOWN: Final = (
    Band("well_all_day_share", 0.70, 1.0),
    Band("need_lowest", 0.05, 1.0, "least"),
    Band("starvation_incidents", 0, 3, "greatest"),
    Band("exits_due", 0, 0, "greatest"),
    Band("invalid", 0, 0, "greatest"),
    Band("late_or_absent_share", 0, 0.15),
    Band("absences_per_worker_week", 0, 0.2),
    Band("attendance_after_day_1", 0.85, 1.0),
    Band("jobs_lost", 0, 0, "greatest"),
    Band("meals_per_agent_day", 2.8, 4.0),
    Band("cafe_meals_per_agent_day", 0.2, 1.2),
    Band("cooked_per_week", 8, 80),
    Band("showers_per_agent_day", 1.3, 2.0),
    Band("sleeps_per_agent_day", 0.9, 1.6),
    Band("wallet_change_per_agent_day", 200, 1100),
    Band("jostle_per_day", 12, 45),
    Band("waiting_per_day", 0.1, 12),
    Band("ghost_step_per_day", 0, 1),
    Band("uses_waited_share", 0.02, 0.25),
    Band("wait_mean", 5, 40),
    Band("wait_longest", 0, 180, "greatest"),
    Band("option_switch_rate", 0.005, 0.05),
    Band("rent_missed", 0, 0, "greatest"),
    Band("chats_per_agent_day", 3, 7),
    Band("chats_well_share", 0.70, 0.92),
    Band("strong_ties_share", 0.60, 1),
    Band("rivalry_highest", 0.2, 0.9),
    Band("quarrels_avoided_share", 0, 0.20),
    Band("avoidances_per_week", 0, 40),
    Band("handovers_per_week", 5, 60),
    Band("shared_meals_per_week", 0, 15),
)
"""The rules' table of targets; docs/domain.md has what was measured."""
HAMLET: Final = (
    Band("well_all_day_share", 0.60, 1.0),
    Band("starvation_incidents", 0, 0, "greatest"),
    Band("exits_due", 0, 0, "greatest"),
    Band("invalid", 0, 0, "greatest"),
    Band("conflicts_per_day", 3, 15),
    Band("uses_waited_share", 0.05, 0.20),
    Band("rent_missed", 0, 0, "greatest"),
)
"""The same for the hamlet of three with one shower."""
EVERYWHERE: Final = (
    "meals_per_agent_day", "cooked_per_agent_day", "showers_per_agent_day", "sleeps_per_agent_day",
    "wallet_change_per_agent_day", "conflicts_per_agent_day", "uses_waited_share",
    "option_switch_rate", "well_all_day_share", "attendance_after_day_1",
)  # fmt: skip
"""Rates that a city shares with the town that its districts are made of; where one eats is not among them:
residents on a district's edge live nearer to their neighbours' cafe than to their own."""


@dataclass(slots=True)
class Account:
    """Counts what the summary of a run does not tell; a subscriber of its loop."""

    loop: SimulationLoop
    conflicts: Counter[str] = field(default_factory=Counter)
    attendance: list[float] = field(default_factory=list)
    rent_missed: int = 0
    friendships: int = 0
    invalid: int = 0
    due: set[int] = field(default_factory=set)
    starving: np.ndarray | None = None
    neglected: np.ndarray | None = None

    def subscribe(self) -> None:
        """Listen to everything that is counted."""
        hear = self.loop.dispatcher.subscribe
        hear(QueueConflict.kind, self._see_conflict, name="account.conflicts")
        hear(EmploymentShiftEnd.kind, self._see_shift, name="account.shifts")
        hear(EconomyRent.kind, self._see_rent, name="account.rent")
        hear(SocialThreshold.kind, self._see_threshold, name="account.friendships")
        hear(LoopTick.kind, self._see_tick, name="account.needs")

    def _see_conflict(self, fact: Fact) -> None:
        if isinstance(fact.event, QueueConflict):
            self.conflicts[fact.event.reason] += 1

    def _see_shift(self, fact: Fact) -> None:
        if isinstance(fact.event, EmploymentShiftEnd) and fact.tick >= DAY:
            self.attendance.append(fact.event.attendance)

    def _see_threshold(self, fact: Fact) -> None:
        if isinstance(fact.event, SocialThreshold):
            self.friendships += fact.event.threshold == "friend"

    def _see_rent(self, fact: Fact) -> None:
        if isinstance(fact.event, EconomyRent):
            self.rent_missed += fact.event.owed_days > 0

    def _see_tick(self, fact: Fact) -> None:
        """Follow who would leave town by hunger or neglect, if residents could (domain.md, section 14.1)."""
        if isinstance(fact.event, LoopTick):
            self.invalid += fact.event.failures.get("invalid", 0)
        observation = self.loop.observation
        living = np.asarray(observation.alive) != 0
        needs = np.asarray(view_of(self.loop).columns["needs"])
        if self.starving is None or self.neglected is None:
            self.starving, self.neglected = np.zeros(len(living), int), np.zeros(len(living), int)
        if fact.tick % DAY == 0:
            self.neglected[:] = 0
        self.starving = np.where(needs[:, 0] <= COLLAPSED, self.starving + 1, 0)
        self.neglected += (needs <= NEGLECTED).any(axis=1)
        leaving = living & ((self.starving >= COLLAPSE_TICKS) | (self.neglected >= NEGLECT_TICKS))
        self.due.update(np.flatnonzero(leaving).tolist())


def view_of(loop: SimulationLoop) -> View:
    """Give the exact numbers behind the observation."""
    view = loop.observation.view
    if view is None:
        raise RuntimeError("this world offers no view: key figures are those of towns")
    return view


def measure(
    config: str, seed: int, *, days: int = WEEK, overrides: Mapping[str, JsonValue] | None = None
) -> dict[str, float]:
    """Let a town live and tell its key figures by name."""
    quiet: dict[str, JsonValue] = {"telemetry.sinks": [], **(overrides or {})}
    with open_simulation(config, seed=seed, overrides=quiet) as loop:
        account = Account(loop)
        account.subscribe()
        start = sum(view_of(loop).columns["wallet"])
        summary = loop.run_for(days * DAY)
        end = sum(view_of(loop).columns["wallet"])
        if loop.dispatcher.failures:
            raise RuntimeError(f"subscribers failed: {loop.dispatcher.failures}")
    kpis: dict[str, float] = {k: v for k, v in summary.kpis.items() if isinstance(v, int | float)}
    agent_days = kpis["agent_days"]
    ended = kpis["shifts_ended"]
    figures = {
        key: kpis[key]
        for key in (
            "well_all_day_share", "need_lowest", "showers_per_agent_day", "sleeps_per_agent_day",
            "uses_waited_share", "option_switch_rate", "chats_per_agent_day", "chats_well_share",
            "strong_ties_share", "rivalry_highest", "quarrels_avoided_share",
        )
        if key in kpis
    }  # fmt: skip
    return figures | {
        "exits_due": len(account.due),
        "starvation_incidents": kpis["starvation_incidents"],
        "late_or_absent_share": kpis.get("shifts_late_or_absent_share", 0.0),
        "absences_per_worker_week": WEEK * kpis["shifts_absent"] / ended if ended else 0.0,
        "attendance_after_day_1": fmean(account.attendance) if account.attendance else 1.0,
        "jobs_lost": summary.events_by_kind.get("employment.job_loss", 0),
        "meals_per_agent_day": kpis["meals_eaten_per_agent_day"],
        "cafe_meals_per_agent_day": kpis["meals_at_cafe_per_agent_day"],
        "cooked_per_week": kpis["meals_cooked"] * WEEK / days,
        "cooked_per_agent_day": kpis["meals_cooked_per_agent_day"],
        "wallet_change_per_agent_day": (end - start) / agent_days,
        **{
            f"{reason}_per_day": account.conflicts[reason] / days
            for reason in ("jostle", "waiting", "ghost_step")
        },
        "conflicts_per_agent_day": account.conflicts.total() / agent_days,
        "conflicts_per_day": account.conflicts.total() / days,
        "wait_mean": kpis.get("wait_mean", 0.0),
        "wait_longest": kpis.get("wait_longest", 0),
        **{
            f"{name}_per_week": kpis[name] * WEEK / days
            for name in ("avoidances", "handovers", "shared_meals")
        },
        "friendships": account.friendships,
        "rent_missed": account.rent_missed,
        "invalid": account.invalid,
    }


def judge(band: Band, values: Sequence[float]) -> tuple[float, bool]:
    """Take a figure over all seeds, and tell whether it lies in its band."""
    value = {"mean": fmean, "least": min, "greatest": max}[band.of](values)
    return value, band.low <= value <= band.high


def report(runs: Sequence[Mapping[str, float]], bands: Sequence[Band]) -> list[str]:
    """Spell the table: a line for each figure, targets first, then what has none."""
    lines = [f"{'figure':30} {'target':>16}  {'taken':>10}      least .. greatest over {len(runs)} seeds"]
    for band in bands:
        values = [run[band.key] for run in runs]
        value, good = judge(band, values)
        target = f"{band.low:g} .. {band.high:g}"
        mark = "  " if good else "!!"
        lines.append(
            f"{band.key:30} {target:>16}  {value:10.4g} {mark}   {min(values):.4g} .. {max(values):.4g}"
        )
    for key in sorted(set(runs[0]) - {band.key for band in bands}):
        values = [run[key] for run in runs]
        lines.append(f"{key:30} {'':>16}  {fmean(values):10.4g}      {min(values):.4g} .. {max(values):.4g}")
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Key figures of a town beside their targets.")
    parser.add_argument("config", nargs="?", default="configs/town.yaml")
    parser.add_argument("--days", type=int, default=WEEK)
    parser.add_argument("--seeds", type=int, default=5, help="how many, from 1 on")
    parser.add_argument("--set", dest="values", action="append", default=[], metavar="KEY.PATH=VALUE")
    options = parser.parse_args()
    overrides = {
        key: yaml.safe_load(value) for key, _, value in (text.partition("=") for text in options.values)
    }
    runs = [
        measure(options.config, seed, days=options.days, overrides=overrides)
        for seed in range(1, options.seeds + 1)
    ]
    bands = HAMLET if "hamlet" in options.config else TOWN
    sys.stdout.write("\n".join(report(runs, bands)) + "\n")


if __name__ == "__main__":
    main()
