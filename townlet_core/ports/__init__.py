"""The three ports a simulation is made of; the consumer owns them, adapters do not inherit them."""

from townlet_core.ports.policy import PolicyPort
from townlet_core.ports.state import SupportsState
from townlet_core.ports.telemetry import EmitResult, TelemetrySinkProtocol
from townlet_core.ports.world import WorldPort

__all__ = ["EmitResult", "PolicyPort", "SupportsState", "TelemetrySinkProtocol", "WorldPort"]
