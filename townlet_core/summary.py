"""The summary of a run."""

from collections.abc import Mapping
from dataclasses import dataclass

from townlet_core.dto.health import SinkStatus
from townlet_core.jsonvalue import JsonObject, JsonValue
from townlet_core.records import record_to_json


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The account of one run; that of a resumed run has its own ticks and events, and KPIs since tick 0.

    Attributes:
        run_id: id of the run.
        config_digest: digest of the resolved config.
        seed: the run's seed.
        first_tick: the first tick executed: 0, or that of the snapshot that was resumed.
        ticks: ticks executed.
        wall_seconds: duration of these ticks.
        ticks_per_second: ticks divided by that duration.
        agent_steps_per_second: sum of the living agents of every tick, divided by that duration.
        population: agents living at the end.
        events_before: facts of the ticks before ``first_tick``.
        events_total: facts of the ticks executed.
        events_by_kind: the same by kind, sorted by kind.
        kpis: name -> value, from the observers, over all ticks since tick 0.
        kpis_before: the same before ``first_tick``; empty for a run that began at tick 0.
        sinks: counters of every sink at the end; replace them once the sinks have drained.
        digest: last link of the chain over all facts in hex, None when no digest is kept.
        interrupted: whether ``request_stop`` ended the run early.
    """

    run_id: str
    config_digest: str
    seed: int
    first_tick: int
    ticks: int
    wall_seconds: float
    ticks_per_second: float
    agent_steps_per_second: float
    population: int
    events_before: int
    events_total: int
    events_by_kind: Mapping[str, int]
    kpis: JsonObject
    kpis_before: JsonObject
    sinks: tuple[SinkStatus, ...]
    digest: str | None
    interrupted: bool = False

    def to_json(self) -> dict[str, JsonValue]:
        """Convert the summary to a new JSON object, keys in the order of the attributes."""
        return record_to_json(self)
