"""Every hook of Townlet: when it is called, and what it returns.

A plugin is a module named by an entry point of the group ``townlet.plugins``. It marks its functions
with ``hookimpl`` and names them as below. A marked function with any other name is an error.
"""

from collections.abc import Sequence

import pluggy

from townlet_core.dto.command_hook import OfferedCommand
from townlet_core.dto.hook import Cancel, Effect, HookContext
from townlet_core.events.base import Event
from townlet_core.observers.port import Observer
from townlet_core.ports import ActionStage, PolicyPort, TelemetrySinkProtocol, WorldPort
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
    """Offer observers, which add their own facts to those of the world.

    Called once, when the catalogue is loaded and before any config is validated. Build nothing here.

    Returns:
        One factory for each name that ``use`` may have below ``observers.extra``.
    """
    return ()


@hookspec
def townlet_stages() -> Sequence[PartFactory[ActionStage]]:
    """Offer stages, which see what the policy decided and may replace actions before the world executes them.

    Called once, when the catalogue is loaded and before any config is validated. Build nothing here.

    A stage may answer commands of its own (``SupportsCommands``), and give commands to the world
    (``SupportsOrders``).

    Returns:
        One factory for each name that ``stages`` may list.
    """
    return ()


@hookspec
def townlet_events() -> Sequence[type[Event]]:
    """Offer kinds of events, which worlds, stages and observers of the same plugin emit.

    Called once, when the catalogue is loaded and before any config is validated. A part that emits a
    kind which no plugin offered has failed, and the run ends.

    Returns:
        Frozen dataclasses whose ``kind`` is ``<entry point>.<name>``, in lower-case letters, digits and
        underscores.
    """
    return ()


@hookspec
def townlet_commands() -> Sequence[OfferedCommand]:
    """Offer commands, which people and programs can submit to a run beside those of its world.

    Called once, when the catalogue is loaded and before any config is validated. The commands of an allowed
    plugin can be submitted to every run. A command's function is called at the start of the tick after the
    command was submitted. It must be a pure function of its ``CommandContext`` and return within
    ``plugins.hook_budget_ms``.

    Returns:
        One ``OfferedCommand`` for each: a ``CommandSpec`` whose ``name`` is ``<entry point>.<name>``, in
        lower-case letters, digits and underscores after the dot, and the function. The function returns
        ``CommandDone(commands, result)``, with at most 16 commands for the world, or
        ``CommandRefused(reason)``.
    """
    return ()


@hookspec
def townlet_affordance_before(context: HookContext) -> Cancel | None:  # noqa: ARG001 - a spec has no body
    """Allow a use to begin, or refuse it.

    Called when a resident is about to use an object, after all checks have passed and before anything is
    charged, for each affordance whose manifest names the plugin's entry point under ``hooks.before``. The
    plugin must be in ``plugins.hooks``. The function must be a pure function of the context and return within
    ``plugins.hook_budget_ms``. Its only sources of randomness are ``context.draw``, ``context.unit`` and
    ``context.integer``.

    Returns:
        None to allow the use, ``Cancel(reason)`` to refuse it: the use then fails with ``hook_cancelled``.
    """
    return None


@hookspec
def townlet_affordance_after(context: HookContext) -> Sequence[Effect] | None:  # noqa: ARG001 - as above
    """Add to the effects of a finished use.

    Called after the effects of the manifest were applied and before ``affordance.finish`` is emitted, for
    each affordance whose manifest names the plugin's entry point under ``hooks.after``. The rules of
    ``townlet_affordance_before`` apply.

    Returns:
        A list or tuple of at most 4 effects: ``NeedEffect`` (at most 0.2 either way), ``StockEffect``,
        ``InventoryEffect`` (2), ``MoneyEffect`` (500 mills), ``RelationEffect`` (0.2); or None.
    """
    return None


@hookspec
def townlet_affordance_failed(context: HookContext) -> None:
    """Receive the failure of a use that could not begin or finish.

    Called after everything charged was refunded and before ``affordance.fail`` is emitted, for each
    affordance whose manifest names the plugin's entry point under ``hooks.failed``. ``context.reason`` is the
    reason. The rules of ``townlet_affordance_before`` apply.

    Returns:
        Nothing.
    """
