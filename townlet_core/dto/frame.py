"""The town at the end of one tick, by entity, ready for JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from townlet_core.jsonvalue import JsonObject, JsonValue

FRAME_DECIMALS = 3
"""Decimals of the real numbers in a frame; rules and summary keep every digit."""


@dataclass(frozen=True, slots=True)
class TownFrame:
    """One immutable frame of a world; every field but ``tick`` defaults to empty.

    Entities are keyed by stable ids. No value is null: unknown values are left out. The world fills in
    its own values; the loop adds ``clock.speed``, ``kpis``, ``stability`` and ``promotion``.

    Attributes:
        tick: the executed tick.
        clock: ``day``, ``tod``, ``phase`` and ``speed``.
        agents: agent id -> slot, name, pos, home, needs, option, action, and more of the world's own.
        objects: object id -> type, pos, holder, queue, stock, running.
        utilities: district number -> ``power``, ``water``.
        prices: district number -> price key -> money.
        perturbations: event id -> what it is and when it ends.
        employment: job id -> holders and capacity.
        social: ties between residents.
        rewards: agent id -> components.
        stability: alert -> value.
        promotion: state of the promotion ladder.
        kpis: name -> value, from the observers.
        extra: values that only another kind of world has.
    """

    tick: int
    clock: JsonObject = field(default_factory=dict)
    agents: Mapping[str, JsonObject] = field(default_factory=dict)
    objects: Mapping[str, JsonObject] = field(default_factory=dict)
    utilities: Mapping[str, JsonObject] = field(default_factory=dict)
    prices: Mapping[str, JsonObject] = field(default_factory=dict)
    perturbations: Mapping[str, JsonObject] = field(default_factory=dict)
    employment: Mapping[str, JsonObject] = field(default_factory=dict)
    social: Mapping[str, JsonObject] = field(default_factory=dict)
    rewards: Mapping[str, JsonObject] = field(default_factory=dict)
    stability: JsonObject = field(default_factory=dict)
    promotion: JsonObject = field(default_factory=dict)
    kpis: JsonObject = field(default_factory=dict)
    extra: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StateFrame:
    """A frame on its way to the sinks; it is not a fact and carries no ``seq``.

    Attributes:
        tick: the executed tick.
        frame: the town at the end of the tick.
        planhash: hash of the plan that the frame belongs to, empty in a world without a plan.
    """

    tick: int
    frame: TownFrame
    planhash: str = ""
