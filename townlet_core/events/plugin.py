"""What became of plugins."""

from dataclasses import dataclass
from typing import ClassVar

from townlet_core.events.base import Event


@dataclass(frozen=True, slots=True)
class PluginRefused(Event):
    """An installed plugin was not let in, and the run went on without it. A diagnostic.

    ``allow_line`` is the line of ``plugins.allow`` that names it; where pins are required, it needs the
    digest, too, which ``townlet plugins pin`` prints.
    """

    kind: ClassVar[str] = "plugin.refused"
    distribution: str
    version: str
    entry_point: str
    reason: str
    allow_line: str


@dataclass(frozen=True, slots=True)
class PluginRejected(Event):
    """A hook's answer was dropped, and the town went on without it. A diagnostic.

    ``stage`` is ``before``, ``after`` or ``failed``, or ``command`` for a plugin's command, which is the
    ``hook`` then and has neither affordance nor resident; ``problem`` says what was wrong, and whether the
    hook is asked no more.
    """

    kind: ClassVar[str] = "plugin.rejected"
    hook: str
    stage: str
    affordance_id: str
    agent_id: str
    problem: str
