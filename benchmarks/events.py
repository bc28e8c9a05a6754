"""How often something happens: starts of the scheduler in a day and district, per spec, in waiting towns.

``python benchmarks/events.py --days 2000``. Residents only wait, and talk to those beside them, so that
there is some rivalry and a pair for every meeting; the figure per spec is measured over the whole time.
"""  # noqa: INP001 - a script, not a package

import argparse
import sys
from collections import Counter
from pathlib import Path
from time import perf_counter

import numpy as np

from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.seam.arguments import Intervention
from townlet_adapters.worlds.town.seam.batch import TownBatch

BANDS = {"price_spike": 0.22, "arranged_meet": 0.18, "closure": 0.11, "blackout": 0.11, "outage": 0.08}
"""Starts a day that a model of the rules expects; all together 0.70 +- 0.06."""


def measure(days: int, towns: int, seed: int) -> tuple[Counter[str], int]:
    """Return the starts of each spec, and the days over which they were counted."""
    model = TownModel.build({"town": "town_48"})
    batch = TownBatch(model, towns, journal=True)
    batch.reset(seed)
    places = [place.kind for place in model.plan.places]
    ys, xs = np.nonzero(model.tables.place_at == places.index("park"))
    spots = list(zip(xs.tolist(), ys.tolist(), strict=True))[: model.plan.target]
    for b in range(towns):
        for slot, (x, y) in enumerate(spots):
            batch.intervene(Intervention(b, codes.TELEPORT, slot, x, y))
    starts: Counter[str] = Counter()
    ticks = -(-days * codes.TICKS_PER_DAY // towns)
    actions = np.zeros((towns, model.spec.capacity), np.int16)
    for _ in range(ticks):
        np.multiply(batch.arrays.mask[:, :, codes.TALK], codes.TALK, out=actions, casting="unsafe")
        batch.step(actions)
        rows = batch.journal.rows[np.arange(batch.journal.rows.shape[1]) < batch.journal.written[:, None]]
        begun = rows["kind"] == codes.EV_STARTED
        starts.update(model.spec_names[spec] for spec in rows["affordance"][begun].tolist())
    return starts, ticks * towns // codes.TICKS_PER_DAY


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, prog=f"python benchmarks/{Path(__file__).name}")
    parser.add_argument("--days", type=int, default=2000, help="days of all towns together")
    parser.add_argument("--towns", type=int, default=64, help="towns of the batch")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    begun = perf_counter()
    starts, days = measure(args.days, args.towns, args.seed)
    sys.stdout.write(f"{days} days in {perf_counter() - begun:.0f} s\n")
    for name, expected in BANDS.items():
        sys.stdout.write(f"{name:14} {starts[name] / days:.3f} a day; expected {expected:.2f}\n")
    sys.stdout.write(f"{'all':14} {starts.total() / days:.3f} a day; expected 0.64 to 0.76\n")


if __name__ == "__main__":
    main()
