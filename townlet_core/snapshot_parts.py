"""The parts of a simulation's snapshot, and the checks before it is resumed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from townlet_core.dto.action import PolicyIdentity
from townlet_core.dto.snapshot import SCHEMA_VERSION, Snapshot
from townlet_core.errors import SnapshotError
from townlet_core.jsonvalue import JsonObject, JsonValue
from townlet_core.observers.port import Observer
from townlet_core.ports.policy import PolicyPort
from townlet_core.ports.stage import ActionStage
from townlet_core.ports.state import SupportsState
from townlet_core.records import record_from_json, record_to_json

WORLD: Final = "world"
POLICY: Final = "policy"
LOOP: Final = "loop"
COMMANDS: Final = "commands"
"""Waiting and answered commands; a simulation without any command has no such part."""
FAILURE: Final = "failure"


@dataclass(frozen=True, slots=True)
class LoopPart:
    """The loop's own state between ticks.

    Attributes:
        seed: the run's seed.
        next_seq: number of the next fact.
        digest: last link of the chain over all facts in hex, None when no digest is kept.
        announced: the policy's identity in the latest ``policy.metadata``; None before the first tick.
    """

    seed: int
    next_seq: int
    digest: str | None
    announced: PolicyIdentity | None


def stage_part(name: str) -> str:
    """Return the name of a stage's part."""
    return f"stages.{name}"


def observer_part(name: str) -> str:
    """Return the name of an observer's part."""
    return f"observers.{name}"


Keepers: TypeAlias = Mapping[str, SupportsState]
"""The parts that keep state, by the name of their part of a snapshot."""


def compose_snapshot(
    world: Snapshot, identity: Mapping[str, str], loop: LoopPart, keepers: Keepers, commands: JsonObject
) -> Snapshot:
    """Put the parts together with the world's own snapshot."""
    parts: dict[str, JsonValue] = {**world.parts, LOOP: record_to_json(loop)}
    for name, keeper in keepers.items():
        parts[name] = keeper.export_state()
    if commands:
        parts[COMMANDS] = commands
    return replace(world, identity={**world.identity, **identity}, parts=parts)


def mark_failed(snapshot: Snapshot, error: str) -> Snapshot:
    """Mark a snapshot as taken in the middle of a tick: it can be inspected, but not resumed."""
    return replace(snapshot, parts={**snapshot.parts, FAILURE: {"error": error}})


def check_snapshot(snapshot: Snapshot, identity: Mapping[str, str], keepers: Keepers) -> None:
    """Check everything that can be checked before anything is changed.

    Raises:
        SnapshotError: when the snapshot cannot be resumed here.
    """
    if snapshot.schema_version != SCHEMA_VERSION:
        raise SnapshotError(
            "snapshot_schema",
            f"the snapshot has schema version {snapshot.schema_version}; this Townlet reads {SCHEMA_VERSION}",
        )
    if FAILURE in snapshot.parts:
        raise SnapshotError(
            "snapshot_identity",
            f"the snapshot was taken when tick {snapshot.tick} failed, for inspection only; "
            "resume an earlier one",
        )
    for key, expected in identity.items():
        found = snapshot.identity.get(key)
        if found != expected:
            raise SnapshotError(
                "snapshot_identity",
                f"the snapshot belongs to another simulation: its {key} is {found}, this one's is {expected}",
            )
    missing = {WORLD, LOOP, *keepers} - snapshot.parts.keys()
    if missing:
        raise SnapshotError("snapshot_corrupt", f"the snapshot has no part {', '.join(sorted(missing))}")


def read_loop_part(snapshot: Snapshot, *, seed: int, digest_wanted: bool) -> LoopPart:
    """Read the loop's own part.

    Raises:
        SnapshotError: when it is damaged, of another seed, or has no digest to continue.
    """
    try:
        part = record_from_json(LoopPart, snapshot.parts[LOOP])
    except ValueError as error:
        raise SnapshotError(
            "snapshot_corrupt", f"the snapshot's part '{LOOP}' is damaged: {error}"
        ) from error
    if part.seed != seed:
        raise SnapshotError(
            "snapshot_identity",
            f"the snapshot's seed is {part.seed}, not {seed}; a resumed run keeps its seed",
        )
    if digest_wanted and part.digest is None:
        raise SnapshotError(
            "snapshot_identity",
            "the snapshot holds no digest to continue; resume it without a digest, "
            "or resume a run that kept one",
        )
    return part


def import_parts(snapshot: Snapshot, keepers: Keepers) -> None:
    """Import the state of every part that keeps state.

    Raises:
        SnapshotError: when a part refuses its state.
    """
    for name, keeper in keepers.items():
        keeper.import_state(snapshot.parts[name])


def keepers_of(policy: PolicyPort, stages: Sequence[ActionStage], observers: Sequence[Observer]) -> Keepers:
    """Return the parts that keep state, by the name of their part of a snapshot."""
    named: dict[str, object] = {POLICY: policy}
    named.update({stage_part(stage.name): stage for stage in stages})
    named.update({observer_part(observer.name): observer for observer in observers})
    return {name: part for name, part in named.items() if isinstance(part, SupportsState)}
