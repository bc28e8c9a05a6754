"""Compiles the kernels that a run needs before its first tick, once for each version on each machine."""

from contextlib import ExitStack
from typing import Final

from townlet_adapters.composition.loading import load_config
from townlet_adapters.composition.parts import make_context, open_policy, open_world, run_identity
from townlet_adapters.composition.request import RunRequest
from townlet_adapters.config.model import DEFAULT_WORLD
from townlet_adapters.config.resolve import POLICY, ResolvedConfig
from townlet_adapters.config.source import Override, default_config
from townlet_adapters.kernels.compiler import INTERPRETED, compiled_before, note_compiled
from townlet_adapters.kernels.progress import watched_compilation
from townlet_core.loop import SimulationLoop
from townlet_plugins.catalogue import load_catalogue
from townlet_plugins.factory import BuildContext

COMPILING: Final = "compiling the town's rules, once for this version on this machine: one to two minutes"
"""What a person reads before a run that compiles."""


def compile_for(config: ResolvedConfig, context: BuildContext, request: RunRequest) -> None:
    """Compile before the first tick rather than in it, so that the run's own figures are true.

    The world and the policy have been built, so their kernels are known. Those of all policies
    that ship with the town are compiled with it, so that no other run compiles again.
    """
    if INTERPRETED or compiled_before():
        return
    request.notify(COMPILING)
    with watched_compilation(request.compiling):
        if config.world.name == DEFAULT_WORLD:
            compile_shipped()
        if not compiled_before():
            live_briefly(config, context)


def compile_shipped() -> None:
    """Compile the kernels of the town and of every policy that ships with it, except those that were kept.

    Raises:
        TownletError: when one of them cannot be run.
    """
    for policy in load_catalogue().policies:
        live_briefly(load_config(default_config(), (Override(POLICY, {"use": policy}, "warmup"),)))


def live_briefly(config: ResolvedConfig, context: BuildContext | None = None) -> None:
    """Run two ticks without sinks, save and restore: afterwards every kernel is compiled.

    Raises:
        TownletError: when the config's parts cannot be built or run.
    """
    context = context or make_context(config, None)
    with ExitStack() as stack:
        world = open_world(config, context, stack)
        policy = open_policy(config, context, stack)
        loop = SimulationLoop(world, policy, run_identity(config, policy, context))
        loop.run_for(2)
        loop.restore(loop.snapshot())
    note_compiled()
