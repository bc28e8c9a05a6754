"""``townlet bench``."""

import json
import math
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from rich.table import Table

from townlet_adapters.cli.console import configure_logs, note, stdout_console
from townlet_adapters.cli.options import require_finite
from townlet_adapters.kernels.compiler import INTERPRETED
from townlet_adapters.kernels.sampling import sample_valid_batch
from townlet_adapters.running import open_simulation
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.seam.batch import TownBatch
from townlet_core.jsonvalue import JsonValue
from townlet_core.records import record_to_json

AGENTS_OF_A_DISTRICT = 8
SEED = 7

_WARM_TICKS = 20


@dataclass(frozen=True, slots=True)
class Measure:
    """The measurement of one case.

    Attributes:
        case: name of the case.
        towns: towns stepped together.
        agents: residents of each town.
        ticks: ticks executed.
        wall_seconds: wall-clock time.
        cpu_seconds: processor time of all threads of this process.
        ticks_per_second: ticks divided by wall-clock time.
        ticks_per_cpu_second: ticks divided by processor time, which other programs do not lengthen.
        agent_steps_per_second: steps of all residents of all towns divided by wall-clock time.
    """

    case: str
    towns: int
    agents: int
    ticks: int
    wall_seconds: float
    cpu_seconds: float
    ticks_per_second: float
    ticks_per_cpu_second: float
    agent_steps_per_second: float


@click.command("bench")
@click.option(
    "--towns",
    type=click.IntRange(min=1),
    default=256,
    show_default=True,
    metavar="N",
    help="Number of towns in the batch.",
)
@click.option(
    "--agents",
    type=click.IntRange(min=1, max=8192),
    default=AGENTS_OF_A_DISTRICT,
    show_default=True,
    metavar="N",
    help="Number of residents of a town; above 8, the town is a grid of districts.",
)
@click.option(
    "--variant",
    type=click.Choice(["hybrid"]),
    default="hybrid",
    show_default=True,
    help="Variant of the observations.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0.01),
    callback=require_finite,
    default=2.0,
    show_default=True,
    metavar="S",
    help="Duration of each case, in seconds.",
)
@click.option(
    "--telemetry",
    is_flag=True,
    help="Measure telemetry instead, with a collector on this machine; needs OpenSSL.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(  # noqa: PLR0913 - one parameter for each option
    *, towns: int, agents: int, variant: str, seconds: float, telemetry: bool, as_json: bool
) -> None:
    """Measure the speed of the engine, the loop and the sinks on this machine.

    Engine and batch execute random valid actions and write observations. The loop runs the scripted policy.

    \b
    Examples:
      townlet bench
      townlet bench --agents 512 --towns 4
      townlet bench --telemetry
      townlet bench --seconds 0.5 --json
    """
    configure_logs()
    if telemetry:
        _bench_telemetry(seconds, as_json=as_json)
        return
    if INTERPRETED:
        note("NUMBA_DISABLE_JIT is set: the rules run as plain Python, which is far slower")
    options = world_options(agents, variant)
    measures = [
        engine("engine", options, 1, seconds),
        engine("batch", options, towns, seconds),
        loop("loop", options, None, seconds),
    ]
    with tempfile.TemporaryDirectory() as folder:
        measures.append(loop("loop and file sink", options, Path(folder), seconds))
    if as_json:
        click.echo(json.dumps([record_to_json(measure) for measure in measures], indent=2))
    else:
        _print(measures)


def _bench_telemetry(seconds: float, *, as_json: bool) -> None:
    from townlet_adapters.cli.bench_telemetry import (  # noqa: PLC0415 - brings sockets, TLS and databases
        digits,
        measure_all,
    )

    with tempfile.TemporaryDirectory() as folder:
        figures = []
        for figure in measure_all(Path(folder), seconds):
            note(f"{figure.what}: {digits(figure.value)} {figure.unit}")
            figures.append(figure)
    if as_json:
        click.echo(json.dumps([record_to_json(figure) for figure in figures], indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("figure", "measured", "unit", "promised", ""):
        table.add_column(heading, justify="right" if heading == "measured" else "left")
    for each in figures:
        table.add_row(each.what, digits(each.value), each.unit, each.target, "" if each.met else "not met")
    stdout_console().print(table, markup=False)


def world_options(agents: int, variant: str) -> dict[str, JsonValue]:
    """Return the options of a town for a number of residents: the default town, or a grid of it."""
    observations: Mapping[str, JsonValue] = {"variant": variant}
    population: Mapping[str, JsonValue] = {"target": agents}
    town: JsonValue = "town_48"
    if agents > AGENTS_OF_A_DISTRICT:
        districts = math.ceil(agents / AGENTS_OF_A_DISTRICT)
        rows = math.isqrt(districts)
        town = {"grid": {"district": "town_48", "rows": rows, "cols": math.ceil(districts / rows)}}
    return {"town": town, "population": population, "observations": observations}


def engine(case: str, options: Mapping[str, JsonValue], towns: int, seconds: float) -> Measure:
    """Measure a batch of towns as a trainer steps it: random valid actions, observations, no events."""
    batch = TownBatch(TownModel.build(options), towns)
    seen, wants = batch.reset(SEED), batch.intents
    ticks, seeds = batch.state.towns["tick"], SEED + np.arange(towns, dtype=np.uint64)

    def run(count: int) -> None:
        for _ in range(count):
            sample_valid_batch(seen.mask, seen.alive, seen.serial, ticks, seeds, wants.action, wants.target)
            batch.advance()

    return _measured(case, towns, int(seen.alive[0].sum()), run, seconds)


def loop(case: str, options: Mapping[str, JsonValue], folder: Path | None, seconds: float) -> Measure:
    """Measure the whole loop with the scripted policy, with a file of events if there is a folder for it."""
    sinks: JsonValue = [{"use": "file", "options": {"path": str(folder / "events.ndjson")}}] if folder else []
    config: dict[str, JsonValue] = {
        "townlet": 1,
        "seed": SEED,
        "world": {"use": "town", "options": options},
        "policy": {"use": "scripted"},
        "telemetry": {"sinks": sinks},
    }
    # A run that keeps events also computes their digest.
    with open_simulation(config, digest=folder is not None) as simulation:
        living = sum(simulation.observation.alive.tolist())
        return _measured(case, 1, living, simulation.run_for, seconds)


def _measured(case: str, towns: int, agents: int, run: Callable[[int], object], seconds: float) -> Measure:
    """Run a few ticks, which compiles, then ever larger pieces until the time is over."""
    run(_WARM_TICKS)
    ticks, piece = 0, 1
    wall, cpu = time.perf_counter(), time.process_time()
    while (spent := time.perf_counter() - wall) < seconds:
        run(piece)
        ticks += piece
        # Never more than about a tenth of the time in one piece, so that the end is met.
        piece = max(1, min(piece * 2, int(ticks / max(spent, 1e-9) * seconds / 10)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Measure(
        case, towns, agents, ticks, wall, cpu, ticks / wall, ticks / cpu, ticks * towns * agents / wall
    )


def _print(measures: list[Measure]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("case")
    for heading in ("towns", "residents", "ticks", "ticks/s", "resident steps/s", "ticks/cpu s"):
        table.add_column(heading, justify="right")
    for each in measures:
        table.add_row(
            each.case,
            f"{each.towns:,}",
            f"{each.agents:,}",
            f"{each.ticks:,}",
            f"{each.ticks_per_second:,.0f}",
            f"{each.agent_steps_per_second:,.0f}",
            f"{each.ticks_per_cpu_second:,.0f}",
        )
    stdout_console().print(table, markup=False)
