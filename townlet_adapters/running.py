"""The use case "run a town to its end", with everything that a run leaves."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from townlet_adapters.composition import OpenRun, RunRequest, open_run
from townlet_adapters.storage.atomic import write_json
from townlet_core.errors import EmptyTownError, OutputError, OutputLostError
from townlet_core.summary import RunSummary


def execute(
    request: RunRequest,
    ticks: int,
    *,
    watch: Callable[[OpenRun], AbstractContextManager[object]] = nullcontext,
    report: Callable[[OpenRun, RunSummary], object] = lambda _run, _summary: None,
) -> RunSummary:
    """Run a town to its end and leave everything that a run leaves.

    ``loop.request_stop`` ends it early, in good order: a snapshot is kept then, if the run keeps any.

    Args:
        request: what to run.
        ticks: number of ticks to execute, at least 1.
        watch: makes a context that is entered before the first tick and left after the last one.
        report: called with the final summary, before it is written.

    Returns:
        The summary, with the final account of every sink. It is in the run folder as ``summary.json``, and in
        the file that the request names.

    Raises:
        EmptyTownError: when no resident is left at the end; summary and files are complete.
        OutputLostError: when the summary cannot be written; it has been reported.
        TownletError: when the run cannot be built, or fails.
    """
    with open_run(request) as run:
        empty: EmptyTownError | None = None
        try:
            with watch(run):
                summary = run.loop.run_for(ticks)
        except EmptyTownError as error:
            summary, empty = error.summary, error
        if summary.interrupted and run.keeps_snapshots:
            run.save_snapshot()
        summary = replace(summary, sinks=run.drain())
        try:
            # Before it is written, so that a full disk costs the file only.
            report(run, summary)
        finally:
            # Also when the reader of the report has left.
            _write(run, request, summary)
    if empty is not None:
        raise EmptyTownError(str(empty), summary)
    return summary


def _write(run: OpenRun, request: RunRequest, summary: RunSummary) -> None:
    files = [run.folder.summary] if run.folder is not None else []
    if request.output.summary is not None:
        files.append(request.output.summary)
    try:
        for file in files:
            write_json(file, summary.to_json())
    except OutputError as error:
        raise OutputLostError(str(error)) from error
