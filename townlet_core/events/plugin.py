"""What plugins did wrong."""

from dataclasses import dataclass
from typing import ClassVar

from townlet_core.events.base import Event


@dataclass(frozen=True, slots=True)
class PluginRejected(Event):
    """A hook's answer was dropped, and the town went on without it. A diagnostic.

    ``stage`` is ``before``, ``after`` or ``failed``; ``problem`` says what was wrong, and whether the hook
    is asked no more.
    """

    kind: ClassVar[str] = "plugin.rejected"
    hook: str
    stage: str
    affordance_id: str
    agent_id: str
    problem: str
