"""The intents of all agents, and the context that a policy keeps for its next decision."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PolicyContext:
    """The only carrier of option and commitment; the world returns it in the next observation.

    Attributes:
        option: int8[N], option number, -1 none.
        goal: int32[N], navigation-field number of ``WorldSpec.fields``, -1 none.
        commit_remaining: int16[N], ticks for which the option is still kept.
    """

    option: memoryview
    goal: memoryview
    commit_remaining: memoryview


@dataclass(frozen=True, slots=True)
class ActionBatch:
    """One intent per slot. The policy owns the buffers and may reuse them on its next decision.

    Attributes:
        action: int16[N], action number; rows of dead slots are ignored.
        target: int32[N], slot or object number where the action takes one; -1 lets the world choose.
        context: the policy's context, or None when it has none.
    """

    action: memoryview
    target: memoryview
    context: PolicyContext | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer of a policy to one observation.

    Attributes:
        actions: the intents.
        diagnostics: read-only arrays by name (``logits`` float32[N, A], ``values`` float32[N], ...).
    """

    actions: ActionBatch
    diagnostics: Mapping[str, memoryview] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PolicyIdentity:
    """The identity of the policy that decides.

    Attributes:
        name: the provider's name.
        version_digest: hex digest of everything by which two policies of this name can differ.
        anneal_ratio: share of option choices made by the learned part, None without blending.
    """

    name: str
    version_digest: str
    anneal_ratio: float | None = None
