"""``python -m tests.model``: compares the town with the second model, for as long as you like.

The model predicts every fact, frame, mask and result of a command from docs/domain.md alone. The first
difference of each run is printed with its tick, field, both values and paragraph. Exit codes: 0 when there
is no difference, 1 when there is one.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.model.cases import HASTY, config, crowd, eventful, fleeting, grid, hooked, leaving, plenty
from tests.model.conventions import DAY
from tests.model.drives import Chances, random_wishes, scripted
from tests.model.runs import Case, Driver, run
from tests.model.strange import strange

TOWNS: Mapping[str, dict[str, Any]] = {
    "town": {"town": "town_48"},
    "hamlet": {"town": "hamlet_24"},
    "city": grid(2, 4),
    "crowd": crowd(),
    "plenty": plenty(),
    "hasty": crowd(**HASTY),
    "hooked": hooked(),
    "fleeting": fleeting(),
    "leaving": leaving(),
    "few": leaving(3),
    "eventful": eventful(),
}
DRIVERS: Mapping[str, Driver] = {
    "scripted": scripted,
    "random": random_wishes(Chances()),
    "wild": random_wishes(Chances(legal=0.85, aimed=0.4, fate=0.15)),
    "wilful": random_wishes(Chances(legal=0.9, aimed=0.4, fate=0.05, wilful=0.1)),
    "calm": random_wishes(Chances(fate=0.004, wilful=0.03)),
}


def towns(names: list[str], seed: int) -> Iterator[tuple[str, dict[str, Any], Path]]:
    """The options of each named town, and the folder in which their paths start."""
    for name in names:
        if name == "strange":
            yield f"strange {seed}", strange(seed), Path()
        elif name in TOWNS:
            yield name, TOWNS[name], Path()
        else:
            path = Path(name).resolve()
            yield name, config(str(path)), path.parent


def main(arguments: list[str] | None = None) -> int:
    """Run the comparison."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    known = ", ".join((*TOWNS, "strange"))
    parser.add_argument("towns", nargs="*", default=["town"], help=f"{known}, or the path of a config")
    parser.add_argument("--days", type=float, default=1)
    parser.add_argument("--seeds", type=int, default=1, help="how many, from --first on")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--drive", choices=(*DRIVERS, "all"), default="all", help="who decides (all)")
    parser.add_argument("--cut", type=int, help="save the town after so many ticks, and continue from there")
    parser.add_argument("--seen", action="store_true", help="print how often each kind of fact was compared")
    chosen = parser.parse_args(arguments)
    total = differences = 0
    seen: Counter[str] = Counter()
    for seed in range(chosen.first, chosen.first + chosen.seeds):
        for name, options, folder in towns(chosen.towns, seed):
            case = Case(options, folder)
            for driver in DRIVERS if chosen.drive == "all" else (chosen.drive,):
                started = time.perf_counter()
                pair, difference = run(case, seed, int(chosen.days * DAY), DRIVERS[driver], chosen.cut)
                seconds = time.perf_counter() - started
                total += pair.compared
                seen += pair.seen
                differences += difference is not None
                report = f"{name}, seed {seed}, {driver}: {pair.compared:,} comparisons in {seconds:.1f} s"
                print(f"{report}: {difference or 'no difference'}", flush=True)  # noqa: T201 - the report
    if chosen.seen:
        for kind, number in sorted(seen.items()):
            print(f"{number:10,}  {kind}")  # noqa: T201 - the report
    print(f"{total:,} comparisons, {differences} differences")  # noqa: T201 - the report
    return int(differences > 0)


if __name__ == "__main__":
    sys.exit(main())
