"""The policy that decides, and what stages changed of its decisions."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from townlet_core.events.base import Event


@dataclass(frozen=True, slots=True)
class PolicyMetadata(Event):
    """The policy that decides from this tick on; emitted at the first tick and on change."""

    kind: ClassVar[str] = "policy.metadata"
    provider: str
    policy_hash: str
    variant: str
    blend: float


@dataclass(frozen=True, slots=True)
class PolicyGuardrail(Event):
    """A guardrail made an agent wait instead of what its policy had decided.

    ``reason`` is the rule: chat_rival (the agent was about to address one that it avoids) or queue_rival (it
    was about to use an object where such an agent is). ``target`` is the id of that agent or object.
    """

    kind: ClassVar[str] = "policy.guardrail"
    agent_id: str
    reason: str
    target: str


@dataclass(frozen=True, slots=True)
class PolicyPossession(Event):
    """A person took an agent over (``acquire``) or left it to its policy again.

    A possession ends with ``release``, or with ``expire``: without input for too long, or as the agent left.
    ``issuer`` is the issuer of the command; at ``expire`` the one who had acquired the agent.
    """

    kind: ClassVar[str] = "policy.possession"
    agent_id: str
    action: Literal["acquire", "release", "expire"]
    issuer: str
