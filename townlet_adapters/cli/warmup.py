"""``townlet warmup``."""

import time

import click

from townlet_adapters.cli.console import configure_logs, note, stderr_console
from townlet_adapters.cli.progress import CompilationBar
from townlet_adapters.composition import COMPILING, compile_shipped
from townlet_adapters.kernels.compiler import INTERPRETED, cache_root
from townlet_adapters.kernels.progress import watched_compilation


@click.command("warmup")
def command() -> None:
    """Compile the town's rules now, so that the first run need not.

    They are compiled once for each version of Townlet on each machine. After a first run or warmup, this
    command only checks that they are.

    \b
    Example:
      townlet warmup
    """
    configure_logs()
    started = time.perf_counter()
    if INTERPRETED:
        note("NUMBA_DISABLE_JIT is set: the rules run as plain Python, and nothing is compiled")
        return
    bar = _LateBar()
    with watched_compilation(bar):
        compile_shipped()
    seconds = time.perf_counter() - started
    click.echo(
        f"{'compiled' if bar.began else 'compiled before; checked'} in {seconds:.1f} s ({cache_root()})"
    )


class _LateBar:
    """A bar that appears when the first kernel is compiled, and not when all were found compiled."""

    def __init__(self) -> None:
        self._bar = CompilationBar(stderr_console())
        self.began = False

    def __call__(self, share: float) -> None:
        if 0 < share < 1 and not self.began:
            self.began = True
            note(COMPILING)
        if self.began:
            self._bar(share)
