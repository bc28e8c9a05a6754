"""The use case "run a town to its end", with everything that a run leaves."""

import logging
import math
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Final

from townlet_adapters.composition import OpenRun, RunRequest, open_run
from townlet_adapters.config.model import RunConfig
from townlet_adapters.storage.atomic import write_json
from townlet_core.dto.spec import TICKS_PER_DAY
from townlet_core.errors import (
    ConfigError,
    EmptyTownError,
    OutputError,
    OutputLostError,
    Problem,
    TownletError,
)
from townlet_core.events.base import Diagnostic, Fact
from townlet_core.events.loop import LoopTick
from townlet_core.jsonvalue import JsonValue
from townlet_core.loop import SimulationLoop
from townlet_core.summary import RunSummary

_LOG = logging.getLogger(__name__)

_STDOUT: Final = re.compile(r"stdout(-\d+)?")
_LOOK_SECONDS: Final = 0.1


def execute(
    request: RunRequest,
    ticks: int,
    *,
    watch: Callable[[OpenRun], AbstractContextManager[object]] = nullcontext,
    report: Callable[[OpenRun, RunSummary], object] = lambda _run, _summary: None,
) -> RunSummary:
    """Run a town to its end and leave everything that a run leaves.

    ``loop.request_stop`` ends it early, in good order. A run with a folder keeps a snapshot at its end,
    however it ends, unless a part of the town failed.

    Args:
        request: what to run.
        ticks: number of ticks to execute, at least 1.
        watch: makes a context that is entered before the first tick and left after the last one.
        report: called with the final summary, before it is written.

    Returns:
        The summary, with the final account of every sink. It is in the run folder as ``summary.json``, and in
        the file that the request names.

    Raises:
        BrokenPipeError: when all sinks write to standard output and its reader left, which ends the run;
            summary and files are complete.
        EmptyTownError: when no resident is left at the end; summary and files are complete.
        OutputLostError: when the summary cannot be written; it has been reported.
        TownletError: when the run cannot be built, or fails.
    """
    with open_run(request) as run:
        empty: EmptyTownError | None = None
        reader = _Reader(run)
        try:
            with watch(run):
                summary = run.loop.run_for(ticks)
        except EmptyTownError as error:
            summary, empty = error.summary, error
        except BaseException:
            _save_what_can_be(run)
            raise
        lost = _save_snapshot(run)
        summary = replace(summary, sinks=run.drain())
        try:
            # Before it is written, so that a full disk costs the file only.
            report(run, summary)
        finally:
            # Also when the reader of the report has left.
            _write(run, request, summary, lost)
    if empty is not None:
        raise EmptyTownError(str(empty), summary)
    if reader.ended_run:
        raise BrokenPipeError(
            f"the reader of standard output has left; the run ended after tick {run.loop.tick - 1}"
        )
    return summary


def run(  # noqa: PLR0913 - the settings of a run, each by its name
    config: Path | str | RunConfig | Mapping[str, JsonValue] | None = None,
    *,
    ticks: int = TICKS_PER_DAY,
    seed: int | None = None,
    policy: str | None = None,
    overrides: Mapping[str, JsonValue] | None = None,
    out: Path | str | None = None,
    resume: Path | str | None = None,
    allow_env: Sequence[str] = (),
    allow_path: Sequence[Path | str] = (),
    digest: bool = False,
) -> RunSummary:
    """Run a town to its end, as ``townlet run`` does.

    In the main thread, the first Ctrl-C ends the run after the tick being executed: ``KeyboardInterrupt`` is
    raised when the sinks have delivered and everything is written. The second one is raised at once.

    Args:
        config: a config file (``configs/NAME.yaml`` finds a shipped one), or the config itself; the default
            town, or what the snapshot holds, when None.
        ticks: number of ticks to execute, at least 1; 1440 are a day.
        seed: the seed instead of the config's.
        policy: name of the policy instead of the config's.
        overrides: values instead of the config's, by key path, as in ``{"world.options.town": "hamlet_24"}``.
        out: run folder to keep; None keeps none, and a sink that writes into it is left out.
        resume: snapshot to go on from, or a folder for the newest valid one in it; with its run folder as
            ``out``, the run goes on there.
        allow_env: variables that the config may read beside ``TOWNLET_*``.
        allow_path: folders that the config may read files from beside its own.
        digest: whether to keep a digest even without a run folder.

    Returns:
        The summary, with the final account of every sink.

    Raises:
        ConfigError: when the config or a setting is wrong.
        EmptyTownError: when no resident is left at the end; it has the summary.
        TownletError: when the run cannot be built, fails, or cannot write what it leaves.
    """
    if type(ticks) is not int or ticks < 1:
        raise ConfigError(Problem("ticks", repr(ticks), "a whole number from 1", "run()"))
    request = RunRequest.of(
        config,
        seed=seed,
        policy=policy,
        overrides=overrides,
        out=out,
        resume=resume,
        allow_env=allow_env,
        allow_path=allow_path,
        digest=digest,
    )
    stopped: list[int] = []
    summary = execute(request, ticks, watch=partial(_interruptible, stopped))
    if stopped:
        raise KeyboardInterrupt
    return summary


@contextmanager
def open_simulation(  # noqa: PLR0913 - the settings of a run, each by its name
    config: Path | str | RunConfig | Mapping[str, JsonValue] | None = None,
    *,
    seed: int | None = None,
    policy: str | None = None,
    overrides: Mapping[str, JsonValue] | None = None,
    out: Path | str | None = None,
    resume: Path | str | None = None,
    allow_env: Sequence[str] = (),
    allow_path: Sequence[Path | str] = (),
    digest: bool = False,
) -> Iterator[SimulationLoop]:
    """Open a simulation for Python code that steps it; on leaving, its sinks are drained and it is closed.

    With a run folder, a snapshot is kept in it on leaving. The summary of all ticks executed is written into
    it, unless an exception leaves first.

    Args:
        config: a config file (``configs/NAME.yaml`` finds a shipped one), or the config itself; the default
            town, or what the snapshot holds, when None.
        seed: the seed instead of the config's.
        policy: name of the policy instead of the config's.
        overrides: values instead of the config's, by key path, as in ``{"world.options.town": "hamlet_24"}``.
        out: run folder to keep; None keeps none, and a sink that writes into it is left out.
        resume: snapshot to go on from, or a folder for the newest valid one in it; with its run folder as
            ``out``, the run goes on there.
        allow_env: variables that the config may read beside ``TOWNLET_*``.
        allow_path: folders that the config may read files from beside its own.
        digest: whether to keep a digest even without a run folder.

    Yields:
        The loop, begun or restored.

    Raises:
        ConfigError: when the config or a setting is wrong.
        TownletError: when it cannot be opened.
    """
    request = RunRequest.of(
        config,
        seed=seed,
        policy=policy,
        overrides=overrides,
        out=out,
        resume=resume,
        allow_env=allow_env,
        allow_path=allow_path,
        digest=digest,
    )
    with open_run(request) as run:
        try:
            yield run.loop
        except BaseException:
            _save_what_can_be(run)
            raise
        if run.folder is not None:
            lost = _save_snapshot(run)
            _write(run, request, replace(run.loop.summary(), sinks=run.drain()), lost)


@contextmanager
def _interruptible(stopped: list[int], run: OpenRun) -> Iterator[None]:
    """End the run in good order at the first Ctrl-C, in a program that leaves Ctrl-C to Python."""
    here = threading.current_thread() is threading.main_thread()
    if not here or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        if stopped:
            signal.default_int_handler(number, frame)
        stopped.append(number)
        run.loop.request_stop()

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class _Reader:
    """Ends a run when the reader of standard output has left, unless the run has another kind of sink."""

    def __init__(self, run: OpenRun) -> None:
        """Look at the sinks of a run from now on, after ticks."""
        self._run, self._next_look = run, 0.0
        self.ended_run = False
        on_stdout = [_STDOUT.fullmatch(route.name) is not None for route in run.routes]
        self._alone = all(on_stdout)
        if any(on_stdout):
            run.loop.dispatcher.subscribe(LoopTick.kind, self._look, name="reader of standard output")

    def _look(self, _message: Fact | Diagnostic) -> None:
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_SECONDS
        statuses = self._run.loop.dispatcher.statuses()
        left = [each for each in statuses if _STDOUT.fullmatch(each.name) and each.state == "failed"]
        if not left:
            return
        self._next_look = math.inf
        if self._alone:
            self.ended_run = True
            self._run.loop.request_stop()
        else:
            _LOG.warning(
                "sink %s: %s; the run goes on with its other sinks", left[0].name, left[0].last_error
            )


def _save_what_can_be(run: OpenRun) -> None:
    """Keep the last snapshot of a run that an exception ends; a failed loop has none."""
    with suppress(TownletError):
        _save_snapshot(run)


def _save_snapshot(run: OpenRun) -> str:
    """Keep the last snapshot of a run with a folder; returns why it is lost, empty when it is not."""
    try:
        if run.folder is not None:
            run.save_snapshot()
    except OutputError as error:
        return str(error)
    return ""


def _write(run: OpenRun, request: RunRequest, summary: RunSummary, lost: str) -> None:
    """Write the summary; then report that it or the snapshot is lost."""
    files = [run.folder.summary] if run.folder is not None else []
    if request.output.summary is not None:
        files.append(request.output.summary)
    try:
        for file in files:
            write_json(file, summary.to_json())
    except OutputError as error:
        raise OutputLostError(f"{lost}; {error}" if lost else str(error)) from error
    if lost:
        raise OutputLostError(lost)
