"""What share of the kernels is compiled, while they are compiled."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from numba.core import event

from townlet_adapters.kernels.compiler import kernel_names


class _Listener(event.Listener):  # type: ignore[misc]  # numba carries no types
    """Counts the kernels whose compilation has ended; one that is compiled for other types counts once."""

    def __init__(self, report: Callable[[float], object]) -> None:
        self._report, self._compiled = report, set[str]()

    def on_start(self, event: event.Event) -> None:
        """Ignore that a compilation begins."""

    def on_end(self, event: event.Event) -> None:
        """Count a kernel."""
        function = event.data["dispatcher"].py_func
        self._compiled.add(f"{function.__module__}.{function.__qualname__}")
        ours = kernel_names()
        # The last kernel that ends is not the end: the code is kept after it.
        self._report(len(ours & self._compiled) / (len(ours) + 1))


@contextmanager
def watched_compilation(report: Callable[[float], object]) -> Iterator[None]:
    """Report what share of the kernels is compiled, from 0 on entering to 1 on leaving.

    Args:
        report: called with the share, on the thread that compiles.
    """
    report(0.0)
    with event.install_listener("numba:compile", _Listener(report)):
        yield
    report(1.0)
