"""Observations as a message of JSON values, for programs that feed a policy from outside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

OBSERVATION_BATCH: Final = "observation.batch"
"""Kind of an ``ObservationMessage``."""


@dataclass(frozen=True, slots=True)
class AgentReward:
    """The reward of one agent in a tick.

    Attributes:
        total: the reward that the world returned.
        breakdown: part -> what it gave; empty in a world without parts.
    """

    total: float
    breakdown: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SeenContext:
    """Values that are the same for all agents.

    Attributes:
        day: day number of the executed tick.
        tod: tick of that day.
        ticks_per_day: number of ticks in a day.
        alive: agents living at the end of the tick.
    """

    day: int
    tod: int
    ticks_per_day: int
    alive: int


@dataclass(frozen=True, slots=True)
class AgentsSeen:
    """What every living agent sees at the end of a tick: the observation that the policy decides on next.

    Values per agent are in the order of ``agent_ids``. Real numbers have the fewest digits that give the
    same float32.

    Attributes:
        next_tick: the tick that the policy decides next.
        layout_version: version of the meaning and order of features, channels and actions.
        agent_ids: the living agents, in the order of their slots.
        features: feature -> its value for each agent.
        map_channels: name of each channel of ``map``.
        map: for each agent, channel, row (y) and column (x) a number; empty in a world without a map.
        action_names: name of each action number.
        mask: for each agent and action number, 1 where the action may be chosen.
        reward: the reward of each agent in the tick.
        context: values that are the same for all agents.
    """

    next_tick: int
    layout_version: int
    agent_ids: tuple[str, ...]
    features: Mapping[str, tuple[float, ...]]
    map_channels: tuple[str, ...]
    map: tuple[Sequence[Sequence[Sequence[int]]], ...]
    action_names: tuple[str, ...]
    mask: tuple[Sequence[int], ...]
    reward: tuple[AgentReward, ...]
    context: SeenContext


@dataclass(frozen=True, slots=True)
class ObservationMessage:
    """Observations on their way to the sinks; they are not a fact and carry no ``seq``.

    Attributes:
        tick: the executed tick.
        seen: what the agents see at the end of the tick.
    """

    tick: int
    seen: AgentsSeen
