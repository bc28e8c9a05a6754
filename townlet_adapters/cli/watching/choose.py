"""Chooses how a run is watched: on a screen where there is a terminal, in lines otherwise."""

from contextlib import AbstractContextManager

from rich.console import Console

from townlet_adapters.cli.signals import Interrupts
from townlet_adapters.cli.watching.lines import told_in_lines
from townlet_adapters.cli.watching.terminal import Screen
from townlet_adapters.cli.watching.watcher import Watcher, has_blocks
from townlet_adapters.composition import OpenRun


class Watching:
    """How a run is watched."""

    def __init__(self) -> None:
        """Begin without a run."""
        self._watcher: Watcher | None = None

    @property
    def ended(self) -> bool:
        """Whether a person ended the run with a key."""
        return self._watcher is not None and self._watcher.ended

    def of(self, run: OpenRun, console: Console, signals: Interrupts) -> AbstractContextManager[None]:
        """Return the context in which a run is watched on the console's terminal, or wherever it writes."""
        if not console.is_terminal or console.is_dumb_terminal:
            return told_in_lines(run, console.file)  # type: ignore[arg-type]  # rich names only what it uses itself
        blocks = has_blocks(console.color_system, console.encoding, no_color=console.no_color)
        screen = Screen(console)
        signals.show(screen.leave)
        self._watcher = Watcher(run, screen, blocks=blocks)
        return self._watcher.watching()
