"""What becomes of a town in a hundred days: a row for every few days, and the memory that it takes.

Run it with ``python -m benchmarks.endurance``; ``--help`` lists the options.
"""  # noqa: INP001 - a script, not a package

import argparse
import resource
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Final

import numpy as np
import yaml

from benchmarks.lives import DAY, view_of
from townlet import open_simulation
from townlet_adapters.worlds.town.events.affordance import AffordanceFinish
from townlet_adapters.worlds.town.events.queue import QueueConflict
from townlet_adapters.worlds.town.events.social import SocialChat
from townlet_core.events.base import Diagnostic, Fact
from townlet_core.jsonvalue import JsonValue
from townlet_core.loop import SimulationLoop

MILLS: Final = 1000
HEADINGS: Final = (
    "day", "alive", "lowest need", "wallet p50", "wallet max", "cooked/day", "sleeps/day", "chats/day",
    "clashes/day", "ties each", "rivals each", "queued", "memory MB", "ticks/cpu s",
)  # fmt: skip


@dataclass(slots=True)
class Tally:
    """Counts events since the last row; a subscriber of the loop.

    Attributes:
        counts: how often each figure was seen.
    """

    counts: Counter[str] = field(default_factory=Counter)

    def see(self, fact: Fact | Diagnostic) -> None:
        """Count one event."""
        match fact.event:
            case AffordanceFinish(affordance_id="cook_meal"):
                self.counts["cooked"] += 1
            case AffordanceFinish(affordance_id="rest_sleep"):
                self.counts["slept"] += 1
            case SocialChat():
                self.counts["chats"] += 1
            case QueueConflict():
                self.counts["clashes"] += 1


def row_of(loop: SimulationLoop, counts: Mapping[str, int], days: int) -> tuple[float, ...]:
    """Return what is known of the town now, and of the days since the last row."""
    column = {name: np.asarray(values) for name, values in view_of(loop).columns.items()}
    living = np.asarray(loop.observation.alive) != 0
    wallets = column["wallet"][living] / MILLS
    kept = column["tie_other"][living] >= 0
    rivals = kept & (column["tie_avoided"][living] != 0)
    alive = int(living.sum())
    return (
        alive,
        float(column["needs"][living].min()),
        median(wallets.tolist()),
        float(wallets.max()),
        *(counts.get(name, 0) / days for name in ("cooked", "slept", "chats", "clashes")),
        float(kept.sum() / alive),
        float(rivals.sum() / alive),
        int(column["object_queue"].sum()),
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


def main() -> None:
    """Print the table, one row at a time."""
    parser = argparse.ArgumentParser(description="What becomes of a town in many days.")
    parser.add_argument("config", nargs="?", default="configs/town.yaml")
    parser.add_argument("--days", type=int, default=100)
    parser.add_argument("--every", type=int, default=10, metavar="DAYS", help="days between two rows")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", dest="values", action="append", default=[], metavar="KEY.PATH=VALUE")
    options = parser.parse_args()
    overrides: dict[str, JsonValue] = {
        key: yaml.safe_load(value) for key, _, value in (text.partition("=") for text in options.values)
    }
    tally = Tally()
    sys.stdout.write("  ".join(HEADINGS) + "\n")
    with open_simulation(
        options.config, seed=options.seed, overrides={"telemetry.sinks": [], **overrides}
    ) as loop:
        for event in (AffordanceFinish, SocialChat, QueueConflict):
            loop.dispatcher.subscribe(event.kind, tally.see, name=f"endurance.{event.kind}")
        for day in range(options.every, options.days + 1, options.every):
            tally.counts.clear()
            before = time.process_time()
            loop.run_for(options.every * DAY)
            speed = options.every * DAY / (time.process_time() - before)
            row = (day, *row_of(loop, tally.counts, options.every), speed)
            cells = (f"{value:{len(name)}.4g}" for name, value in zip(HEADINGS, row, strict=True))
            sys.stdout.write("  ".join(cells) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
