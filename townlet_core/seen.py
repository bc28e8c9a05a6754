"""Converts the observation after a step to a message."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import repeat
from struct import Struct
from typing import Final, TypeAlias, cast

from townlet_core.dto.outcome import StepOutcome
from townlet_core.dto.seen import AgentReward, AgentsSeen, ObservationMessage, SeenContext
from townlet_core.dto.spec import WorldSpec

_Map: TypeAlias = list[list[list[int]]]

_FLOAT32: Final = Struct("f")
_FEWEST_DIGITS: Final = 6  # every decimal number of that many digits survives a trip through float32
_MOST_DIGITS: Final = 9  # that many digits distinguish all float32 numbers


def observation_message(tick: int, spec: WorldSpec, outcome: StepOutcome) -> ObservationMessage:
    """Copy what the living agents see after a step; the message shares no memory with the world.

    Args:
        tick: the executed tick.
        spec: the properties of the world.
        outcome: the outcome of the step.
    """
    observation, summary = outcome.observation, outcome.summary
    slots = [slot for slot, lives in enumerate(observation.alive.tolist()) if lives]
    features = cast("list[list[float]]", observation.features.tolist())
    empty = repeat((), len(spec.feature_names))
    columns = zip(*(features[slot] for slot in slots), strict=True) if slots else empty
    # A world without channels may have a map of any shape.
    maps = cast("list[_Map]", observation.map.tolist()) if spec.map_channels else []
    masks = cast("list[list[int]]", observation.mask.tolist())
    return ObservationMessage(
        tick,
        AgentsSeen(
            next_tick=observation.tick,
            layout_version=spec.layout_version,
            agent_ids=tuple(observation.agent_ids[slot] for slot in slots),
            features={
                name: tuple(map(_shortest, column))
                for name, column in zip(spec.feature_names, columns, strict=True)
            },
            map_channels=spec.map_channels,
            map=tuple(_frozen(maps[slot]) for slot in slots) if maps else (),
            action_names=spec.action_names,
            mask=tuple(tuple(masks[slot]) for slot in slots),
            reward=_rewards(spec, outcome, slots),
            context=SeenContext(summary.day, summary.tod, spec.ticks_per_day, summary.alive),
        ),
    )


def _rewards(spec: WorldSpec, outcome: StepOutcome, slots: Sequence[int]) -> tuple[AgentReward, ...]:
    """Return the reward of each slot; the sum of the parts is not one of them."""
    totals = [_shortest(total) for total in cast("list[float]", outcome.reward.tolist())]
    if outcome.reward_parts is None:
        return tuple(AgentReward(totals[slot]) for slot in slots)
    rows = cast("list[list[float]]", outcome.reward_parts.tolist())
    names = spec.reward_parts[:-1]
    return tuple(
        AgentReward(totals[slot], dict(zip(names, map(_shortest_of, rows[slot]), strict=False)))
        for slot in slots
    )


def _shortest_of(value: float) -> float:
    """Return the shortest number that is the same float32 as a double."""
    return _shortest(cast("float", _FLOAT32.unpack(_FLOAT32.pack(value))[0]))


@lru_cache(maxsize=1 << 14)
def _shortest(value: float) -> float:
    """Return the number of the fewest digits that is the same float32; most features seldom change."""
    for digits in range(_FEWEST_DIGITS, _MOST_DIGITS):
        short = float(f"{value:.{digits}g}")
        if _FLOAT32.unpack(_FLOAT32.pack(short))[0] == value:
            return short + 0.0  # turns -0.0 into 0.0
    return float(f"{value:.{_MOST_DIGITS}g}")


def _frozen(channels: _Map) -> tuple[tuple[tuple[int, ...], ...], ...]:
    return tuple(tuple(map(tuple, rows)) for rows in channels)
