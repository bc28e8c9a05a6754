"""The ports of a simulation; the core owns them, and adapters implement them without inheritance."""

from townlet_core.ports.description import WARNING, Remark, SupportsDescription
from townlet_core.ports.plan import SupportsPlan
from townlet_core.ports.policy import PolicyPort
from townlet_core.ports.stage import ActionStage, SupportsCommands, SupportsOrders
from townlet_core.ports.state import SupportsState
from townlet_core.ports.telemetry import EmitResult, SupportsHealth, TelemetrySinkProtocol
from townlet_core.ports.transport import Transport
from townlet_core.ports.world import WorldPort

__all__ = [
    "WARNING",
    "ActionStage",
    "EmitResult",
    "PolicyPort",
    "Remark",
    "SupportsCommands",
    "SupportsDescription",
    "SupportsHealth",
    "SupportsOrders",
    "SupportsPlan",
    "SupportsState",
    "TelemetrySinkProtocol",
    "Transport",
    "WorldPort",
]
