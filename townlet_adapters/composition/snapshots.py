"""Keeps snapshots in a run folder: when one is due, when the run fails, and on request."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from townlet_adapters.config.resolve import ResolvedConfig
from townlet_adapters.storage.folder import RunFolder
from townlet_adapters.storage.snapshots import retain_snapshots, write_snapshot
from townlet_core.dto.snapshot import Snapshot
from townlet_core.errors import OutputError
from townlet_core.loop import SnapshotSchedule


def snapshot_schedule(
    config: ResolvedConfig, folder: RunFolder | None, notify: Callable[[str], object], ticks_per_day: int
) -> SnapshotSchedule:
    """Return when a run keeps snapshots while it goes on, and when it fails; never without a folder."""
    if folder is None:
        return SnapshotSchedule()
    runner = config.run.runner
    every = ticks_per_day if runner.snapshot_every == "day" else runner.snapshot_every or 0
    save_failed = partial(_save_failure, folder, config) if runner.on_failure_snapshot else None
    return SnapshotSchedule(every, partial(_save_if_possible, folder, config, notify), save_failed)


def save_snapshot_file(folder: RunFolder, config: ResolvedConfig, snapshot: Snapshot) -> Path:
    """Write a snapshot into the run folder and delete those beyond the number to retain.

    Raises:
        OutputError: when it cannot be written.
    """
    path = write_snapshot(folder.snapshots, _identified(snapshot, config), config.simulation)
    retain_snapshots(folder.snapshots, config.run.runner.snapshot_retain)
    return path


def _save_if_possible(
    folder: RunFolder, config: ResolvedConfig, notify: Callable[[str], object], snapshot: Snapshot
) -> None:
    """Keep a snapshot that is due; a disk that is full for a while does not end the run."""
    try:
        save_snapshot_file(folder, config, snapshot)
    except OutputError as error:
        notify(f"{error}; the run goes on, and the next snapshot is tried when it is due")


def _save_failure(folder: RunFolder, config: ResolvedConfig, snapshot: Snapshot) -> str:
    return str(
        write_snapshot(folder.snapshots, _identified(snapshot, config), config.simulation, prefix="failure")
    )


def _identified(snapshot: Snapshot, config: ResolvedConfig) -> Snapshot:
    """Add the name of the run and the event digest to a snapshot's identity."""
    event_digest = ""
    match snapshot.parts.get("loop"):
        case {"digest": str(digest)}:
            event_digest = digest
    identity = {**snapshot.identity, "name": config.run.name, "event_digest": event_digest}
    return replace(snapshot, identity=identity)
