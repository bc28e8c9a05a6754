"""Every hook of Townlet: when it is called, and what it returns.

A plugin is a module named by an entry point of the group ``townlet.plugins``. It marks its functions
with ``hookimpl`` and names them as below; a marked function with any other name is an error.
"""

from collections.abc import Sequence

import pluggy

from townlet_core.events.base import Event
from townlet_core.observers.port import Observer
from townlet_core.ports import PolicyPort, TelemetrySinkProtocol, WorldPort
from townlet_plugins.factory import PartFactory

PROJECT = "townlet"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def townlet_worlds() -> Sequence[PartFactory[WorldPort]]:
    """Offer worlds.

    Called once, when the catalogue is loaded and before any config is validated. Build nothing here.

    Returns:
        One factory for each name that ``world.use`` may have.
    """
    return ()


@hookspec
def townlet_policies() -> Sequence[PartFactory[PolicyPort]]:
    """Offer policies.

    Called once, when the catalogue is loaded and before any config is validated. Build nothing here.

    Returns:
        One factory for each name that ``policy.use`` may have.
    """
    return ()


@hookspec
def townlet_sinks() -> Sequence[PartFactory[TelemetrySinkProtocol]]:
    """Offer telemetry sinks.

    Called once, when the catalogue is loaded and before any config is validated. Open nothing here.

    Returns:
        One factory for each name that ``use`` may have below ``telemetry.sinks``.
    """
    return ()


@hookspec
def townlet_observers() -> Sequence[PartFactory[Observer]]:
    """Offer observers, which add facts of their own to those of the world.

    Called once, when the catalogue is loaded and before any config is validated. Build nothing here.

    Returns:
        One factory for each name that ``use`` may have below ``observers.extra``.
    """
    return ()


@hookspec
def townlet_events() -> Sequence[type[Event]]:
    """Offer kinds of events, for worlds and observers of the same plugin to tell.

    Called once, when the catalogue is loaded and before any config is validated.

    Returns:
        Frozen dataclasses whose ``kind`` is ``<entry point>.<name>``, in lower-case letters, digits and
        underscores.
    """
    return ()
