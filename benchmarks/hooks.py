"""What hooks cost: the engine without any, with every affordance hooked at every stage, and one call.

Run it with ``python benchmarks/hooks.py``. Residents take random valid actions. Times are CPU time; the cases
are measured in turns.
"""  # noqa: INP001 - a script, not a package

import json
import sys
import time
from collections.abc import Callable
from typing import Final

import numpy as np

from townlet_adapters.documents import read_document
from townlet_adapters.kernels.sampling import sample_valid_batch
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.inputs.shipped import shipped_file
from townlet_adapters.worlds.town.inputs.texts import TownOptions
from townlet_adapters.worlds.town.seam.batch import TownBatch
from townlet_core.dto.hook import STAGES, HookContext, NeedEffect
from townlet_core.hook_runner import AffordanceHook, HookRunner

ROUNDS: Final = 20
TICKS: Final = 2000
SEED: Final = 7


def silent(_context: HookContext) -> None:
    """Say nothing."""


def generous(context: HookContext) -> list[NeedEffect] | None:
    """Answer with an effect where effects may be answered."""
    return [NeedEffect("hunger", 0.1)] if context.stage == "after" else None


def batch_of(*functions: Callable[[HookContext], object]) -> tuple[TownBatch, HookRunner | None]:
    """Found the default town with these hooks on everything."""
    if not functions:
        return TownBatch(TownModel.build(), 1), None
    hooks = HookRunner([AffordanceHook(each.__name__, dict.fromkeys(STAGES, each)) for each in functions])
    entries = read_document(shipped_file("manifest")).value
    if not isinstance(entries, list):
        raise TypeError("the shipped manifest is a list")
    named = {stage: [each.__name__ for each in functions] for stage in STAGES}
    manifest = [{**entry, "hooks": named} for entry in entries if isinstance(entry, dict)]
    options = TownOptions.model_validate_json(json.dumps({"affordances": {"manifest": manifest}}))
    return TownBatch(TownModel.build(options, hooks=hooks), 1, hooks=hooks), hooks


def live(batch: TownBatch, ticks: int) -> float:
    """Step the town and give the seconds that it took."""
    arrays, wants = batch.arrays, batch.intents
    seeds = np.array([SEED], np.uint64)
    started = time.process_time()
    for _ in range(ticks):
        sample_valid_batch(
            arrays.mask,
            arrays.alive,
            arrays.serial,
            batch.state.towns["tick"],
            seeds,
            wants.action,
            wants.target,
        )
        batch.advance()
    return time.process_time() - started


def main() -> None:
    """Measure and print."""
    cases = {
        "no hook": batch_of(),
        "one hook that says nothing": batch_of(silent),
        "two hooks, one with effects": batch_of(silent, generous),
    }
    seconds = dict.fromkeys(cases, 0.0)
    for batch, _ in cases.values():
        batch.reset(SEED)
        live(batch, 100)
    for _ in range(ROUNDS):
        for name, (batch, _) in cases.items():
            seconds[name] += live(batch, TICKS)
    out = sys.stdout.write
    out(f"{'':30}{'ticks/s':>10}{'calls/tick':>12}{'us a call':>11}\n")
    ticks = ROUNDS * TICKS
    for name, (_, hooks) in cases.items():
        calls = sum(each.calls for each in hooks.counters().values()) if hooks else 0
        more = (seconds[name] - seconds["no hook"]) / calls * 1e6 if calls else 0.0
        out(f"{name:30}{ticks / seconds[name]:10,.0f}{calls / ticks:12.2f}{more:11.1f}\n")


if __name__ == "__main__":
    main()
