"""Builds world, policy and observers of a run, and closes them."""

import logging
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from townlet_adapters.config.resolve import (
    KPIS,
    OBSERVERS,
    POLICY,
    STAGES,
    WATCHING,
    WORLD,
    ResolvedConfig,
)
from townlet_adapters.storage.folder import RunFolder
from townlet_core.account import RunIdentity
from townlet_core.dispatch import EventDispatcher
from townlet_core.dto.action import PolicyIdentity
from townlet_core.dto.spec import WorldSpec
from townlet_core.errors import TownletError
from townlet_core.hook_runner import HookRunner
from townlet_core.isolation import type_name
from townlet_core.observers.narration.observer import NarrationObserver
from townlet_core.observers.port import Observer
from townlet_core.observers.promotion.observer import PromotionObserver
from townlet_core.observers.recent import RecentFacts
from townlet_core.observers.stability.observer import StabilityObserver
from townlet_core.observers.standing import NO_PROMOTION
from townlet_core.ports import (
    ActionStage,
    PolicyPort,
    Remark,
    SupportsDescription,
    TelemetrySinkProtocol,
    Transport,
    WorldPort,
)
from townlet_plugins.factory import BuildContext
from townlet_plugins.offers import BrokenPluginError, broken

_LOG = logging.getLogger(__name__)
_RUN_ID_BYTES: Final = 8


def make_context(config: ResolvedConfig, folder: RunFolder | None) -> BuildContext:
    """Return what every factory of a run gets beside its options; the run's id is drawn here."""
    return BuildContext(
        seed=config.run.seed,
        access=config.access,
        run_dir=folder.path if folder is not None else None,
        # From the system's entropy, so that the town's own randomness stays untouched.
        run_id=secrets.token_hex(_RUN_ID_BYTES),
        hooks=_hooks(config),
        delivery=_deliver,
    )


def _deliver(context: BuildContext, name: str, transport: Transport) -> TelemetrySinkProtocol:
    """Build a sink around the transport of a plugin."""
    from townlet_adapters.telemetry.delivery.limits import DeliveryLimits  # noqa: PLC0415 - needed by such plugins only
    from townlet_adapters.telemetry.delivery.sink import DeliveringSink  # noqa: PLC0415 - as above
    from townlet_adapters.telemetry.envelope import source_urn  # noqa: PLC0415 - as above

    source = source_urn(context.run_id, context.producer)
    return DeliveringSink(name, transport, source=source, limits=DeliveryLimits(), stream=context.stream)


def _hooks(config: ResolvedConfig) -> HookRunner | None:
    if not config.hooks:
        return None
    return HookRunner(config.hooks, budget_seconds=hook_budget(config))


def hook_budget(config: ResolvedConfig) -> float:
    """Return the seconds that the hooks of one plugin may take in a tick."""
    return config.run.plugins.hook_budget_ms / 1000


def open_world(config: ResolvedConfig, context: BuildContext, stack: ExitStack) -> WorldPort:
    """Build the world; ``stack`` closes it."""
    world = config.build(config.world, WORLD, context)
    stack.callback(_close, world.close)
    return world


def remarks_of(config: ResolvedConfig, world: WorldPort) -> tuple[Remark, ...]:
    """Return what a world has to say about itself.

    Raises:
        BrokenPluginError: when it has something else to say than lines.
    """
    if not isinstance(world, SupportsDescription):
        return ()
    what = f"the world '{config.world.name}' is broken: it cannot describe itself"
    with broken(what, TownletError):
        # Nothing has checked the types of a plugin's remarks.
        return tuple(Remark(str(topic), str(text)) for topic, text in world.describe())


def open_policy(config: ResolvedConfig, context: BuildContext, stack: ExitStack) -> PolicyPort:
    """Build the policy; ``stack`` ends it."""
    policy = config.build(config.policy, POLICY, context)
    stack.callback(_close, policy.end)
    return policy


def _close(close: Callable[[], object]) -> None:
    """Close a part; its failure is logged: it neither hides an error of the run nor ends the process."""
    try:
        close()
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - whatever a third party's part raises
        _LOG.exception("a part failed when it was closed")


def open_stages(config: ResolvedConfig, context: BuildContext) -> tuple[ActionStage, ...]:
    """Build the stages between policy and world, in their order."""
    return tuple(config.build(part, (*STAGES, number), context) for number, part in enumerate(config.stages))


def open_observers(config: ResolvedConfig, context: BuildContext, spec: WorldSpec) -> tuple[Observer, ...]:
    """Build the observers: the one with the world's key figures, those of the core, those of the config.

    Raises:
        ConfigError: when an observer of the core is to watch what the world does not have.
    """
    observers: list[Observer] = []
    if config.kpis is not None:
        with config.located(KPIS):
            observers.append(config.kpis.build(context))
    observers += open_watchers(config, spec)
    observers += [
        config.build(part, (*OBSERVERS, number), context) for number, part in enumerate(config.observers)
    ]
    return tuple(observers)


def open_watchers(config: ResolvedConfig, spec: WorldSpec) -> list[Observer]:
    """Build the observers of the core that have something to do: alerts, promotion, narration.

    Raises:
        ConfigError: when one is to watch what the world does not have.
    """
    watching, events = config.watching, config.catalogue.events
    watchers: list[Observer] = []
    if watching.stability.active:
        promotion = PromotionObserver(watching.promotion, watching.stability)
        judged = watching.promotion.enabled
        watchers.append(
            StabilityObserver(
                watching.stability, events, (lambda: promotion.promotion) if judged else lambda: NO_PROMOTION
            )
        )
        watchers += [promotion] if judged else []
    if watching.narration.told or watching.narration.summed_up:
        watchers.append(NarrationObserver(watching.narration, events))
    for watcher in watchers:
        # The loop begins them again; here, an error still has its place in the config.
        with config.located((*WATCHING, watcher.name)):
            watcher.begin(spec)
    return watchers


def recent_facts(config: ResolvedConfig, dispatcher: EventDispatcher) -> RecentFacts:
    """Build the subscriber that keeps the latest facts for queries."""
    recent = RecentFacts(config.run.observers.histories)
    recent.subscribe_to(dispatcher, config.catalogue.events.classes)
    return recent


def run_identity(config: ResolvedConfig, policy: PolicyPort, context: BuildContext) -> RunIdentity:
    """Return the identity that a run has in events and snapshots.

    Raises:
        BrokenPluginError: when the policy does not say what it is.
    """
    what = f"the policy '{config.policy.name}' is broken: it has no valid identity"
    with broken(what, TownletError):
        # Nothing has checked the types of a plugin's policy.
        identity: object = policy.identity
        if not isinstance(identity, PolicyIdentity):
            raise BrokenPluginError(f"{what}: its identity is of the type {type_name(identity)}")
        version = identity.version_digest
    return RunIdentity(
        seed=config.run.seed,
        run_id=context.run_id,
        config_digest=config.config_digest,
        snapshot={"sim_digest": config.sim_digest, "policy_hash": version},
    )
