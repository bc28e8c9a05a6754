"""``townlet run``."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from townlet_adapters.cli import errors
from townlet_adapters.cli.allowing import reads_config
from townlet_adapters.cli.console import configure_logs, note, stderr_console, stdout_console
from townlet_adapters.cli.options import OVERRIDES, to_overrides
from townlet_adapters.cli.progress import CompilationBar, progress_bar
from townlet_adapters.cli.signals import interrupts
from townlet_adapters.cli.summary import print_summary
from townlet_adapters.composition import OpenRun, Output, RunRequest
from townlet_adapters.config.resolve import SinkRequest
from townlet_adapters.config.source import Override, find_config
from townlet_adapters.running import execute
from townlet_core.dto.spec import TICKS_PER_DAY
from townlet_core.errors import OutputError
from townlet_core.events.schema import event_data
from townlet_core.loop import SimulationLoop
from townlet_core.pacing import SPEEDS
from townlet_core.seeding import SEED_LIMIT
from townlet_core.summary import RunSummary
from townlet_core.words import clock
from townlet_plugins.access import Allowed

_WATCHED_SPEED: Final = "10x"
_MOST_TOLD: Final = 3
"""Narrations that a summary shows, the latest ones."""


@dataclass(frozen=True, slots=True)
class Monitoring:
    """Where the run's metrics are served.

    Attributes:
        listening: ``HOST:PORT`` to listen on, or None.
        file: file to write them to, or None.
    """

    listening: str | None
    file: Path | None


@dataclass(frozen=True, slots=True)
class Report:
    """What is printed when a run has ended.

    Attributes:
        quiet: whether nothing but the digest is printed.
        digest: whether ``--digest`` was given.
        watched: whether the run is shown while it lasts.
    """

    quiet: bool
    digest: bool
    watched: bool


@click.command("run")
@click.argument("config", required=False, metavar="[CONFIG]")
@click.option(
    "--ticks",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of ticks to execute; 1440 ticks are a day. Default: 1440; with --watch, without end.",
)
@click.option(
    "--seed", type=click.IntRange(0, SEED_LIMIT - 1), metavar="S", help="Seed instead of the config's."
)
@click.option("--policy", metavar="NAME", help="Policy, instead of the config's.")
@click.option(
    "--sink",
    "sinks",
    multiple=True,
    metavar="NAME[=TARGET]",
    help="Sink, instead of the config's sinks; can be repeated.",
)
@click.option(
    "--commands",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Commands to give at set ticks, beside the config's: {tick, name, args} on each line.",
)
@click.option("--speed", type=click.Choice(SPEEDS), help="Speed; 1x is four ticks a second.")
@click.option(
    "--watch",
    "watched",
    is_flag=True,
    help="Show the town in the terminal, at the speed 10x unless --speed is given; lines without a terminal.",
)
@OVERRIDES
@reads_config
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Run folder; runs/<utc>-<name>-s<seed> by default.",
)
@click.option("--no-out", is_flag=True, help="Keep no run folder.")
@click.option(
    "--snapshot-every",
    type=click.IntRange(min=1),
    metavar="N",
    help="Ticks between two snapshots, instead of a day.",
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="SNAPSHOT",
    help="Go on from a snapshot, or from the newest one of a run folder; without --out, in that folder.",
)
@click.option("--digest", is_flag=True, help="Compute the digest of all facts even without a run folder.")
@click.option(
    "--json-summary",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the summary to this file, too, as JSON.",
)
@click.option(
    "--metrics",
    "listening",
    metavar="HOST:PORT",
    help="Serve metrics for Prometheus there, without encryption or password; port 0 takes a free port.",
)
@click.option(
    "--metrics-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the metrics to a file, for the text collector of node_exporter.",
)
@click.option("--quiet", is_flag=True, help="Print nothing but errors, and the digest with --digest.")
def command(  # noqa: PLR0913 - one parameter for each option
    config: str | None,
    *,
    ticks: int | None,
    seed: int | None,
    policy: str | None,
    sinks: tuple[str, ...],
    commands: Path | None,
    speed: str | None,
    watched: bool,
    overrides: tuple[str, ...],
    allow_env: tuple[str, ...],
    allow_path: tuple[Path, ...],
    out: Path | None,
    no_out: bool,
    snapshot_every: int | None,
    resume: Path | None,
    digest: bool,
    json_summary: Path | None,
    listening: str | None,
    metrics_file: Path | None,
    quiet: bool,
) -> int:
    """Run a town.

    CONFIG is a YAML file; configs/NAME.yaml finds a shipped one. Without it the default town runs, or the one
    in the snapshot that is resumed.

    \b
    Examples:
      townlet run --ticks 2880 --seed 3
      townlet run configs/hamlet.yaml --policy random --set world.options.population.target=5
      townlet run --watch
      townlet run --sink stdout --no-out | head
      townlet run --snapshot-every 500 --out runs/mine
      townlet run --resume runs/mine --ticks 500
      townlet run configs/stories/first-clash.yaml
      townlet run configs/hamlet.yaml --commands timeline.ndjson
      townlet run --ticks 100000 --speed 10x --metrics 127.0.0.1:9464
    """
    _check_folder(out, snapshot_every, no_out=no_out)
    _begin_output(quiet=quiet, watched=watched)
    request = RunRequest(
        config=find_config(config) if config is not None else None,
        seed=seed,
        policy=policy,
        overrides=(*to_overrides(overrides), *_pace(speed, snapshot_every, watched=watched)),
        sinks=tuple(map(_sink, sinks)) or None,
        commands=commands,
        output=Output(keep=not no_out, path=out, summary=json_summary),
        resume=resume,
        allowed=Allowed(allow_env, allow_path),
        digest=digest,
        notify=_ignore if quiet else note,
        compiling=_ignore if quiet else CompilationBar(stderr_console()),
        prefix="--",
    )
    return _run(request, ticks, Monitoring(listening, metrics_file), Report(quiet, digest, watched))


def _check_folder(out: Path | None, snapshot_every: int | None, *, no_out: bool) -> None:
    """Refuse options of a run folder for a run without one."""
    if no_out and out is not None:
        raise click.UsageError("--out and --no-out exclude each other; leave one of them out")
    if no_out and snapshot_every is not None:
        raise click.UsageError("--snapshot-every keeps snapshots in the run folder; leave --no-out out")


def _begin_output(*, quiet: bool, watched: bool) -> None:
    """Send logs to standard error; refuse a run that is to be shown and hidden."""
    if watched and quiet:
        raise click.UsageError("--watch shows the run and --quiet hides it; leave one of them out")
    configure_logs(quiet=quiet)


def _run(request: RunRequest, ticks: int | None, monitoring: Monitoring, report: Report) -> int:
    """Run a town with signals, metrics, progress and a report."""
    _check_writable(request.output.summary, "--json-summary")
    _check_writable(monitoring.file, "--metrics-file")
    ticks = ticks or (sys.maxsize if report.watched else TICKS_PER_DAY)
    watching = None
    if report.watched:
        from townlet_adapters.cli.watching.choose import Watching  # noqa: PLC0415 - no other run needs it

        watching = Watching()
    with interrupts(quiet=report.quiet) as signals, _monitored(monitoring) as monitor:

        def watch(run: OpenRun) -> AbstractContextManager[object]:
            monitor(run.loop)
            signals.stop(run.loop)
            if watching is not None:
                return watching.of(run, _console_beside(run), signals)
            if report.quiet or (_prints_events(run) and sys.stdout.isatty()):
                return nullcontext()
            return progress_bar(stderr_console(), run.loop.dispatcher, ticks)

        summary = execute(request, ticks, watch=watch, report=partial(_report, report))
    ended = watching is not None and watching.ended
    return errors.INTERRUPTED if summary.interrupted and not ended else errors.DONE


def _console_beside(run: OpenRun) -> Console:
    """Return the console that a run is shown on; standard output may belong to a sink."""
    taken = _prints_events(run)
    if taken and sys.stdout.isatty() and sys.stderr.isatty():
        raise OutputError(
            "the sink stdout and --watch would write to the same terminal; "
            "redirect standard output, or leave one of them out"
        )
    return stderr_console() if taken else stdout_console()


def _monitored(monitoring: Monitoring) -> AbstractContextManager[Callable[[SimulationLoop], object]]:
    """Serve metrics if the options ask for them."""
    if monitoring.listening is None and monitoring.file is None:
        return nullcontext(lambda _loop: None)
    from townlet_adapters.cli.metrics import open_metrics  # noqa: PLC0415 - brings prometheus_client

    return open_metrics(monitoring.listening, monitoring.file)


def _report(report: Report, run: OpenRun, summary: RunSummary) -> None:
    """Print the summary; standard output stays clean when a sink writes there."""
    taken = _prints_events(run)
    if report.quiet:
        if report.digest:
            click.echo(summary.digest, err=taken)
        return
    folder = run.folder.path if run.folder is not None else None
    console = stderr_console() if taken else stdout_console()
    print_summary(console, run.config.run.name, summary, folder, _last_told(run))


def _last_told(run: OpenRun) -> list[str]:
    """Return the latest narrations of a run in this process, each with its time."""
    lines: list[str] = []
    for fact in run.recent.narrations[-_MOST_TOLD:]:
        day, tod = run.loop.spec.clock(fact.tick)
        message = event_data(fact.event)["message"]
        lines.append(f"day {day} {clock(tod * TICKS_PER_DAY // run.loop.spec.ticks_per_day)}  {message}")
    return lines


def _prints_events(run: OpenRun) -> bool:
    return any(choice.part.name == "stdout" for choice in run.config.sinks)


def _ignore(_news: object) -> None:
    """Print nothing, for ``--quiet``."""


def _pace(speed: str | None, snapshot_every: int | None, *, watched: bool) -> Iterator[Override]:
    if speed is not None or watched:
        yield Override(("runner", "speed"), speed or _WATCHED_SPEED, "--speed")
    if snapshot_every is not None:
        yield Override(("runner", "snapshot_every"), snapshot_every, "--snapshot-every")


def _sink(text: str) -> SinkRequest:
    name, equals, target = text.partition("=")
    if not name or (equals and not target):
        raise click.UsageError(f"--sink {text}: allowed: NAME or NAME=TARGET, as in file=events.ndjson")
    return SinkRequest(name, target if equals else None)


def _check_writable(file: Path | None, option: str) -> None:
    """Refuse, before the run starts, a file that cannot be written at its end."""
    if file is not None and (file.is_dir() or not os.access(file.parent, os.W_OK | os.X_OK)):
        raise OutputError(f"{file}: cannot be written; name a file in a writable folder with {option}")
