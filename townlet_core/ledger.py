"""The facts of a run: their numbers, their counts by kind, and their digest."""

from collections import Counter
from collections.abc import Iterable, Sequence

from townlet_core.digest import FactDigest
from townlet_core.dto.action import PolicyIdentity
from townlet_core.dto.outcome import TickSummary
from townlet_core.errors import ContractError
from townlet_core.events.base import Event, Fact
from townlet_core.events.loop import LoopTick
from townlet_core.events.policy import PolicyMetadata
from townlet_core.events.schema import EventRegistry, is_diagnostic
from townlet_core.isolation import type_name
from townlet_core.snapshot_parts import LoopPart


class Ledger:
    """Turns the events of a tick into facts: in order, numbered, counted, and covered by the digest.

    Attributes:
        next_seq: number of the next fact.
        by_kind: facts since the ledger was opened, by kind.
        announced: the policy's identity in the latest ``policy.metadata``; None before the first tick.
    """

    def __init__(self, *, digest: bool, events: EventRegistry | None) -> None:
        """Open an empty ledger.

        Args:
            digest: whether to keep the chain of hashes over all facts.
            events: every kind that may be emitted; None allows all.
        """
        self._digest = FactDigest() if digest else None
        self._events, self._met = events, set[str]()
        self.next_seq = 0
        self.by_kind: Counter[str] = Counter()
        self.announced: PolicyIdentity | None = None

    @property
    def digest(self) -> str | None:
        """Last link of the chain over all facts in hex, None when no digest is kept."""
        return self._digest.hexdigest() if self._digest else None

    def announce(self, identity: PolicyIdentity, variant: str) -> tuple[Event, ...]:
        """Return an event about the policy when its identity changed."""
        # Most policies return the same object every time, which needs no comparison field by field.
        if identity is self.announced or identity == self.announced:
            return ()
        self.announced = identity
        blend = identity.anneal_ratio or 0.0
        return (PolicyMetadata(identity.name, identity.version_digest, variant, blend),)

    def meet(self, events: Sequence[Event]) -> None:
        """Refuse kinds that are not registered: sinks would receive them without a schema.

        Raises:
            ContractError: when one is not.
        """
        met = self._met
        for event in events:
            if event.kind not in met:
                if self._events is not None and event.kind not in self._events.classes:
                    kind = event.kind
                    raise ContractError(f"unknown kind '{kind}'; add {type_name(event)} to townlet_events")
                met.add(event.kind)

    def write(
        self, tick: int, groups: Iterable[Sequence[Event]], summary: TickSummary
    ) -> tuple[list[Fact], list[Event]]:
        """Number the events of a tick, ``loop.tick`` last; diagnostics among them get no number.

        Args:
            tick: the executed tick.
            groups: its events, in order.
            summary: its numbers.

        Returns:
            The facts and the diagnostics.
        """
        facts: list[Fact] = []
        diagnostics: list[Event] = []
        seq, counts = self.next_seq, self.by_kind
        for events in groups:
            for event in events:
                if is_diagnostic(event.kind):
                    diagnostics.append(event)
                    continue
                facts.append(Fact(seq, tick, event))
                counts[event.kind] += 1
                seq += 1
        facts.append(Fact(seq, tick, _tick_event(summary, len(facts))))
        counts[LoopTick.kind] += 1
        self.next_seq = seq + 1
        if self._digest is not None:
            self._digest.update(facts)
        return facts, diagnostics

    def continuation(self, part: LoopPart) -> FactDigest | None:
        """Return the digest with which to continue from a snapshot.

        Raises:
            SnapshotError: when the snapshot's digest is damaged.
        """
        return FactDigest(part.digest) if self._digest is not None and part.digest is not None else None

    def restore(self, part: LoopPart, digest: FactDigest | None) -> None:
        """Continue from the loop's part of a snapshot; facts go on being counted from where they were."""
        self._digest, self.next_seq, self.announced = digest, part.next_seq, part.announced


def _tick_event(summary: TickSummary, events: int) -> LoopTick:
    return LoopTick(
        day=summary.day,
        tod=summary.tod,
        alive=summary.alive,
        arrivals=summary.arrivals,
        exits=summary.exits,
        actions=summary.actions,
        failures=summary.failures,
        events=events,
        reward_mean=summary.reward_mean,
        figures=summary.figures,
    )
