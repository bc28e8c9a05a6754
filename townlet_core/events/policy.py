"""The policy that decides."""

from dataclasses import dataclass
from typing import ClassVar

from townlet_core.events.base import Event


@dataclass(frozen=True, slots=True)
class PolicyMetadata(Event):
    """The policy that decides from this tick on; emitted at the first tick and on change."""

    kind: ClassVar[str] = "policy.metadata"
    provider: str
    policy_hash: str
    variant: str
    blend: float
