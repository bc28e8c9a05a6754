"""What a run comes to."""

from collections.abc import Mapping
from dataclasses import dataclass

from townlet_core.dto.health import SinkStatus
from townlet_core.jsonvalue import JsonObject, JsonValue
from townlet_core.records import record_to_json


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The account of one ``run_for``; a resumed run counts its own ticks and facts, its KPIs all of them.

    Attributes:
        run_id: id of the run.
        config_digest: digest of the resolved config.
        seed: the run's seed.
        ticks: ticks executed.
        wall_seconds: time they took.
        ticks_per_second: ticks over that time.
        agent_steps_per_second: living agents of every tick over that time.
        population: agents living at the end.
        events_total: facts told.
        events_by_kind: facts told by kind, sorted by kind.
        kpis: name -> value, from the observers.
        sinks: counters of every sink at the end; replace them once the sinks have drained.
        digest: last link of the chain over all facts in hex, None when none is kept.
        interrupted: whether ``request_stop`` ended the run early.
    """

    run_id: str
    config_digest: str
    seed: int
    ticks: int
    wall_seconds: float
    ticks_per_second: float
    agent_steps_per_second: float
    population: int
    events_total: int
    events_by_kind: Mapping[str, int]
    kpis: JsonObject
    sinks: tuple[SinkStatus, ...]
    digest: str | None
    interrupted: bool = False

    def to_json(self) -> dict[str, JsonValue]:
        """Spell the summary as a new JSON object, keys in the order of the attributes."""
        return record_to_json(self)
