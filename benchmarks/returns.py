"""What residents are rewarded for: the return of a resident-day under some policies, part by part.

    python -m benchmarks.returns configs/town.yaml --seeds 20

The score is the return without shaping and survival. ``docs/domain.md`` has what was measured.
"""  # noqa: INP001 - a script, not a package

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import fmean, pstdev
from typing import Final

import numpy as np
import numpy.typing as npt
import yaml

from townlet import TownBatch, TownModel
from townlet_adapters.kernels.sampling import sample_valid_batch
from townlet_adapters.policies.scripted.options import ScriptedOptions
from townlet_adapters.policies.scripted.policy import ScriptedPolicy
from townlet_adapters.worlds.town import TownWorld
from townlet_core.jsonvalue import JsonObject

__all__ = ["POLICIES", "returns"]

DAY: Final = 1440
NO_SCORE: Final = frozenset({"shaping", "survival", "total"})

Sums = npt.NDArray[np.float64]
Ticks = Iterator[tuple[Sums, int]]
"""For each tick the rewards of all residents by part, added up, and the number of residents."""


def _added(parts: Sums, alive: npt.NDArray[np.uint8]) -> tuple[Sums, int]:
    return parts.reshape(-1, parts.shape[-1]).sum(axis=0), int(np.count_nonzero(alive))


def _waiting(model: TownModel, seed: int, ticks: int) -> Ticks:
    batch = TownBatch(model, 1)
    seen = batch.reset(seed)
    actions = np.zeros(seen.alive.shape, np.int64)
    for _ in range(ticks):
        batch.step(actions)
        yield _added(seen.reward_parts, seen.alive)


def _random(model: TownModel, seed: int, ticks: int) -> Ticks:
    batch = TownBatch(model, 1)
    seen, wants = batch.reset(seed), batch.intents
    tick, seeds = batch.state.towns["tick"], np.array([seed], np.uint64)
    for _ in range(ticks):
        sample_valid_batch(seen.mask, seen.alive, seen.serial, tick, seeds, wants.action, wants.target)
        batch.advance()
        yield _added(seen.reward_parts, seen.alive)


def _scripted(model: TownModel, seed: int, ticks: int) -> Ticks:
    world, policy = TownWorld(model), ScriptedPolicy(ScriptedOptions())
    policy.begin(world.spec, seed)
    observation, seen = world.reset(seed), world.engine.arrays
    for _ in range(ticks):
        observation = world.step(policy.decide(observation).actions).observation
        yield _added(seen.reward_parts, seen.alive)


POLICIES: Final[Mapping[str, Callable[[TownModel, int, int], Ticks]]] = {
    "waiting": _waiting,
    "random": _random,
    "scripted": _scripted,
}


def returns(model: TownModel, policy: str, seed: int, days: int) -> dict[str, float]:
    """Let a town live to the midnight of its last day, and return the mean of a resident-day by part.

    Args:
        model: the town.
        policy: a name of ``POLICIES``.
        seed: the town's seed.
        days: number of days, the first of which may be shorter.
    """
    names = model.spec.reward_parts
    sums, lived = np.zeros(len(names)), 0
    for added, residents in POLICIES[policy](model, seed, days * DAY - model.spec.start_tod):
        sums += added
        lived += residents
    found = dict(zip(names, (sums * DAY / max(1, lived)).tolist(), strict=True))
    return {**found, "score": sum(value for name, value in found.items() if name not in NO_SCORE)}


def _options(path: str) -> JsonObject:
    text = Path(path).read_text(encoding="utf-8")
    options: JsonObject = yaml.safe_load(text)["world"].get("options", {})
    return options


def main() -> int:
    """Print a row for each part, with a column for each policy."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", nargs="?", default="configs/town.yaml")
    parser.add_argument("--seeds", type=int, default=20, help="seeds 1 to N (default 20)")
    parser.add_argument("--days", type=int, default=7, help="days to live (default 7)")
    given = parser.parse_args()
    model = TownModel.build(_options(given.config))
    table: dict[str, list[tuple[float, float]]] = {}
    for policy in POLICIES:
        found = [returns(model, policy, seed, given.days) for seed in range(1, given.seeds + 1)]
        for name in found[0]:
            values = [each[name] for each in found]
            table.setdefault(name, []).append((fmean(values), pstdev(values)))
    lines = [f"| part | {' | '.join(POLICIES)} |", f"|---|{'---|' * len(POLICIES)}"]
    for name, cells in table.items():
        lines.append(f"| `{name}` | {' | '.join(f'{mean:.3f} ± {spread:.3f}' for mean, spread in cells)} |")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
