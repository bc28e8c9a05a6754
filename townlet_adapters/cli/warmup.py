"""``townlet warmup``."""

import time

import click

from townlet_adapters.cli.console import configure_logs, note, stderr_console
from townlet_adapters.composition import live_briefly, load_config
from townlet_adapters.config.source import Override, default_config
from townlet_adapters.kernels.compiler import INTERPRETED, cache_root
from townlet_plugins.catalogue import load_catalogue


@click.command("warmup")
def command() -> None:
    """Compile the kernels now, so that the first run need not; a second warmup finds them compiled.

    \b
    Example:
      townlet warmup
    """
    configure_logs()
    console, started = stderr_console(), time.perf_counter()
    with console.status("compiling the town's kernels: once for this machine and version"):
        for policy in load_catalogue().policies:
            override = Override(("policy",), {"use": policy}, "warmup")
            live_briefly(load_config(default_config(), (override,)))
    seconds = time.perf_counter() - started
    if INTERPRETED:
        note("NUMBA_DISABLE_JIT is set: kernels run as plain Python, nothing was compiled")
    click.echo(f"kernels ready in {seconds:.1f} s ({cache_root()})")
