"""The three ports a simulation is made of; the consumer owns them, adapters do not inherit them."""

from townlet_core.ports.hooks import AffordanceHooks
from townlet_core.ports.policy import PolicyPort
from townlet_core.ports.state import SupportsState
from townlet_core.ports.telemetry import EmitResult, SupportsHealth, TelemetrySinkProtocol
from townlet_core.ports.world import WorldPort

__all__ = [
    "AffordanceHooks",
    "EmitResult",
    "PolicyPort",
    "SupportsHealth",
    "SupportsState",
    "TelemetrySinkProtocol",
    "WorldPort",
]
