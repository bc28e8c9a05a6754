"""The outcome of one step of a world."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from townlet_core.dto.command import CommandResult
from townlet_core.dto.observation import ObservationBatch
from townlet_core.events.base import Event


@dataclass(frozen=True, slots=True)
class TickSummary:
    """Every number of a world that ``loop.tick`` reports; zero or empty where a world has none.

    Attributes:
        day: day number of the executed tick.
        tod: tick of that day.
        alive: agents living at the end of the tick.
        arrivals: agents that arrived in it.
        exits: agents that left in it.
        actions: executed intents by action name; names with count 0 are left out.
        failures: failed intents by reason; reasons with count 0 are left out.
        reward_mean: mean reward of the living, 0 in a world without rewards.
        figures: further numbers of the world by name, as ``WorldSpec.figures`` describes them.
    """

    day: int = 0
    tod: int = 0
    alive: int = 0
    arrivals: int = 0
    exits: int = 0
    actions: Mapping[str, int] = field(default_factory=dict)
    failures: Mapping[str, int] = field(default_factory=dict)
    reward_mean: float = 0.0
    figures: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """Everything that a step produced; the arrays follow the rules of ``ObservationBatch``.

    Attributes:
        observation: what every agent sees next.
        reward: float32[N].
        terminated: uint8[N], 1 where the agent's life ended in this tick by the rules of the world; it is not
            alive any more, and its row is its last observation.
        truncated: uint8[N], 1 where it ended for an outside reason.
        events: the tick's facts in order, without ``loop.tick``; the world's own diagnostics among them
            (``plugin.rejected``) do not become facts.
        summary: the numbers of the tick.
        command_results: one result per command, in order.
        reward_parts: float64[N, P], the parts of each reward, which ``WorldSpec.reward_parts`` names; None in
            a world without parts.
    """

    observation: ObservationBatch
    reward: memoryview
    terminated: memoryview
    truncated: memoryview
    events: tuple[Event, ...]
    summary: TickSummary
    command_results: tuple[CommandResult, ...] = ()
    reward_parts: memoryview | None = None

    def __repr__(self) -> str:
        return (
            f"StepOutcome({self.observation}, events={len(self.events)}, "
            f"command_results={len(self.command_results)})"
        )
