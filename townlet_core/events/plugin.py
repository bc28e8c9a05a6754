"""Refused plugins and dropped answers."""

from dataclasses import dataclass
from typing import ClassVar

from townlet_core.events.base import Event


@dataclass(frozen=True, slots=True)
class PluginRefused(Event):
    """An installed plugin was refused, and the run continued without it. A diagnostic.

    ``allow_line`` is the line of ``plugins.allow`` that allows it. Where pins are required, the line also
    needs the digest, which ``townlet plugins pin`` prints.
    """

    kind: ClassVar[str] = "plugin.refused"
    distribution: str
    version: str
    entry_point: str
    reason: str
    allow_line: str


@dataclass(frozen=True, slots=True)
class PluginRejected(Event):
    """A hook's answer was discarded, and the town continued without it. A diagnostic.

    ``stage`` is ``before``, ``after`` or ``failed``. For a plugin's command it is ``command``; ``hook`` is
    then the command's name, and affordance and resident are empty. ``problem`` says what was wrong, and
    whether the hook is disabled.
    """

    kind: ClassVar[str] = "plugin.rejected"
    hook: str
    stage: str
    affordance_id: str
    agent_id: str
    problem: str
