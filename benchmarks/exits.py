"""Who leaves a town in a hundred days, who follows, and how close together.

Run it with ``python -m benchmarks.exits``; ``--help`` lists the options.
"""  # noqa: INP001 - a script, not a package

import argparse
import sys
from collections import Counter
from dataclasses import dataclass, field
from statistics import mean
from typing import Final

import yaml

from benchmarks.lives import DAY
from townlet import open_simulation
from townlet_adapters.worlds.town.events.lifecycle import LifecycleArrive, LifecycleExit
from townlet_core.events.base import Diagnostic, Fact
from townlet_core.jsonvalue import JsonValue

WEEK: Final = 7 * DAY
PER: Final = 8
"""Residents for whom the numbers are counted."""


@dataclass(slots=True)
class Tally:
    """The exits of one town, and its arrivals after the start.

    Attributes:
        exits: tick and reason of each exit.
        arrivals: number of arrivals.
    """

    exits: list[tuple[int, str]] = field(default_factory=list)
    arrivals: int = 0

    def see(self, fact: Fact | Diagnostic) -> None:
        """Count one event."""
        match fact.event:
            case LifecycleExit():
                self.exits.append((fact.tick, fact.event.reason))
            case LifecycleArrive(reason="replacement"):
                self.arrivals += 1

    def most_in_a_week(self) -> int:
        """Return the most exits in any seven days."""
        ticks = [tick for tick, _ in self.exits]
        return max((sum(tick <= each < tick + WEEK for each in ticks) for tick in ticks), default=0)


def watch(config: str, seed: int, days: int, overrides: dict[str, JsonValue]) -> tuple[Tally, int]:
    """Run a town, and return its tally and the number of its residents at the end."""
    tally = Tally()
    with open_simulation(config, seed=seed, overrides={"telemetry.sinks": [], **overrides}) as loop:
        for event in (LifecycleExit, LifecycleArrive):
            loop.dispatcher.subscribe(event.kind, tally.see, name=f"exits.{event.kind}")
        loop.run_for(days * DAY)
        return tally, sum(loop.observation.alive.tolist())


def main() -> None:
    """Print a row for each seed, then what all of them come to."""
    parser = argparse.ArgumentParser(description="Who leaves a town in many days, and who follows.")
    parser.add_argument("config", nargs="?", default="configs/town.yaml")
    parser.add_argument("--days", type=int, default=100)
    parser.add_argument("--first", type=int, default=1, metavar="SEED")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--set", dest="values", action="append", default=[], metavar="KEY.PATH=VALUE")
    options = parser.parse_args()
    overrides: dict[str, JsonValue] = {
        key: yaml.safe_load(value) for key, _, value in (text.partition("=") for text in options.values)
    }
    tallies: list[Tally] = []
    rates: list[float] = []
    for seed in range(options.first, options.first + options.seeds):
        tally, living = watch(options.config, seed, options.days, overrides)
        tallies.append(tally)
        rates.append(len(tally.exits) * 100 / options.days * PER / max(1, living))
        reasons = Counter(reason for _, reason in tally.exits)
        sys.stdout.write(
            f"seed {seed}: {len(tally.exits)} exits {dict(reasons)}, {tally.arrivals} arrivals, at most "
            f"{tally.most_in_a_week()} in a week, days {[tick // DAY for tick, _ in tally.exits]}\n"
        )
        sys.stdout.flush()
    sys.stdout.write(
        f"exits per 100 days of {PER} residents: mean {mean(rates):.3g}, {min(rates):.3g} to "
        f"{max(rates):.3g}; in a week at most {max(each.most_in_a_week() for each in tallies)}\n"
    )


if __name__ == "__main__":
    main()
