"""Every hook of Townlet: when it is called, and what it returns.

A plugin is a module named by an entry point of the group ``townlet.plugins``. It marks its functions
with ``hookimpl`` and names them as below; a marked function with any other name is an error.
"""

from collections.abc import Sequence

import pluggy

from townlet_core.dto.command_hook import OfferedCommand
from townlet_core.dto.hook import Cancel, Effect, HookContext
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

    Called once, when the catalogue is loaded and before any config is validated. A world or an observer that
    tells a kind which nobody offered has failed, and the run ends.

    Returns:
        Frozen dataclasses whose ``kind`` is ``<entry point>.<name>``, in lower-case letters, digits and
        underscores.
    """
    return ()


@hookspec
def townlet_commands() -> Sequence[OfferedCommand]:
    """Offer commands, which people and programs give to a run beside those of its world.

    Called once, when the catalogue is loaded and before any config is validated. As soon as the plugin is
    allowed, its commands can be given. A command's function is asked at the start of the tick after it was
    given; keep to a pure function of its ``CommandContext``, within ``plugins.hook_budget_ms``.

    Returns:
        One ``OfferedCommand`` for each: a ``CommandSpec`` whose ``name`` is ``<entry point>.<name>``, in
        lower-case letters, digits and underscores behind the dot, and the function. That answers
        ``CommandDone(commands, result)``, with at most 16 commands to the world, or
        ``CommandRefused(reason)``.
    """
    return ()


@hookspec
def townlet_affordance_before(context: HookContext) -> Cancel | None:  # noqa: ARG001 - a spec has no body
    """Let a use begin, or refuse it.

    Called when a resident is about to use an object, all checks have passed and nothing is charged yet, for
    each affordance whose manifest names the plugin's entry point under ``hooks.before``. The plugin must be
    in ``plugins.hooks``. Keep to a pure function of the context, within ``plugins.hook_budget_ms``; the
    only randomness is ``context.draw``, ``context.unit`` and ``context.integer``.

    Returns:
        None to let it begin, ``Cancel(reason)`` to refuse it: the use fails with ``hook_cancelled``.
    """
    return None


@hookspec
def townlet_affordance_after(context: HookContext) -> Sequence[Effect] | None:  # noqa: ARG001 - as above
    """Add to the effects of a finished use.

    Called when a use has had the effects of the manifest, before ``affordance.finish`` is told; else as
    ``townlet_affordance_before``, under ``hooks.after``.

    Returns:
        A list or tuple of at most 4 effects: ``NeedEffect`` (at most 0.2 either way), ``StockEffect``,
        ``InventoryEffect`` (2), ``MoneyEffect`` (500 mills); or None.
    """
    return None


@hookspec
def townlet_affordance_failed(context: HookContext) -> None:
    """Hear of a use that could not begin or finish.

    Called when everything charged is given back, before ``affordance.fail`` is told; ``context.reason``
    says why. Else as ``townlet_affordance_before``, under ``hooks.failed``.

    Returns:
        Nothing.
    """
