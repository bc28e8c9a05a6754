"""The account of a run: who it is, and what happened since a point of it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from townlet_core.dto.health import SinkStatus
from townlet_core.jsonvalue import JsonObject
from townlet_core.ledger import Ledger
from townlet_core.summary import RunSummary


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """The identity of a run.

    Attributes:
        seed: an integer in [0, 2**64).
        run_id: id of the run, may be empty.
        config_digest: digest of the resolved config.
        snapshot: the values that a snapshot must share to be resumed here (``sim_digest``, ...).
    """

    seed: int
    run_id: str = ""
    config_digest: str = ""
    snapshot: Mapping[str, str] = field(default_factory=dict)


class Mark(NamedTuple):
    """A point from which an account is made.

    Attributes:
        tick: the tick that comes next.
        next_seq: number of the fact that comes next.
        agent_steps: living agents of every tick before it, summed.
        facts_by_kind: facts before it by kind.
        kpis: KPIs before it; empty at tick 0.
    """

    tick: int = 0
    next_seq: int = 0
    agent_steps: int = 0
    facts_by_kind: Mapping[str, int] = MappingProxyType({})
    kpis: JsonObject = MappingProxyType({})


class RunAccount:
    """Counts what a run executes.

    Attributes:
        population: agents living at the end of the latest tick.
        seconds: duration of all ticks.
        opened: the point at which the simulation was begun or restored.
    """

    def __init__(self, run: RunIdentity, ledger: Ledger) -> None:
        """Start at tick 0."""
        self._run, self._ledger = run, ledger
        self._agent_steps = 0
        self.population = 0
        self.seconds = 0.0
        self.opened = Mark()

    def count(self, alive: int, seconds: float) -> None:
        """Count a finished tick."""
        self.population = alive
        self._agent_steps += alive
        self.seconds += seconds

    def mark(self, tick: int, kpis: JsonObject) -> Mark:
        """Return the present point."""
        return Mark(tick, self._ledger.next_seq, self._agent_steps, self._ledger.by_kind.copy(), kpis)

    def since(  # noqa: PLR0913 - what only the loop knows, each by its name
        self,
        mark: Mark,
        *,
        tick: int,
        wall: float,
        kpis: JsonObject,
        sinks: tuple[SinkStatus, ...],
        interrupted: bool,
    ) -> RunSummary:
        """Sum up what happened since a mark, in ``wall`` seconds."""
        ticks, agent_steps = tick - mark.tick, self._agent_steps - mark.agent_steps
        by_kind = self._ledger.by_kind - Counter(mark.facts_by_kind)
        return RunSummary(
            run_id=self._run.run_id,
            config_digest=self._run.config_digest,
            seed=self._run.seed,
            first_tick=mark.tick,
            ticks=ticks,
            wall_seconds=wall,
            ticks_per_second=ticks / wall if wall else 0.0,
            agent_steps_per_second=agent_steps / wall if wall else 0.0,
            population=self.population,
            events_before=mark.next_seq,
            events_total=by_kind.total(),
            events_by_kind=dict(sorted(by_kind.items())),
            kpis=kpis,
            kpis_before=mark.kpis,
            sinks=sinks,
            digest=self._ledger.digest,
            interrupted=interrupted,
        )
