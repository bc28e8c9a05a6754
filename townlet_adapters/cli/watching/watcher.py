"""Watches a run: takes frames on the town's thread now and then, draws and takes keys on another one."""

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Final

from townlet_adapters.cli.watching.map import TownMap
from townlet_adapters.cli.watching.screen import Shown, clock_of, compose
from townlet_adapters.cli.watching.terminal import Screen, shown_on
from townlet_adapters.composition import OpenRun
from townlet_adapters.drawing.ground import Ground
from townlet_adapters.drawing.scene import Scene
from townlet_core.dto.frame import TownFrame
from townlet_core.events.base import Diagnostic, Fact
from townlet_core.events.loop import LoopTick
from townlet_core.events.narration import Narration
from townlet_core.events.schema import event_data
from townlet_core.pacing import SPEEDS

_LOG = logging.getLogger(__name__)

_FRAME_SECONDS: Final = 0.08
_STORIES: Final = 8
_PATIENCE: Final = 2.0
_BLOCK_COLOURS: Final = frozenset({"256", "truecolor"})
_RIGHT, _LEFT, _TAB = "\x1b[C", "\x1b[D", "\t"


class Watcher:
    """Shows a run on a screen, and does what keys say; the run never waits for it.

    Attributes:
        ended: whether a person ended the run with a key.
    """

    def __init__(self, run: OpenRun, screen: Screen, *, blocks: bool) -> None:
        """Take the run; nothing is drawn before ``watching``.

        Args:
            run: the run.
            screen: where it is drawn.
            blocks: whether there are colours enough for half blocks.
        """
        self._run, self._screen, self._blocks = run, screen, blocks
        plan = run.loop.plan()
        self._map = TownMap(Ground.of(plan)) if plan is not None else None
        self._units = dict(plan.units) if plan is not None else {}
        self._frame: TownFrame | None = None
        self._taken = 0.0
        self._stories: deque[tuple[str, str]] = deque(maxlen=_STORIES)
        self._followed = ""
        self._log = StringIO()
        self._over = threading.Event()
        self.ended = False
        dispatcher = run.loop.dispatcher
        dispatcher.subscribe(LoopTick.kind, self._see_tick, name="watch")
        dispatcher.subscribe(Narration.kind, self._hear, name="watch")
        run.pacer.on_pause = self._take_frame

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Show the run; lines for people are kept, and printed when the terminal is given back."""
        errors = sys.stderr
        if errors.isatty():
            sys.stderr = self._log
        drawing = threading.Thread(target=self._draw_until_over, name="watch", daemon=True)
        try:
            with shown_on(self._screen):
                drawing.start()
                try:
                    yield
                finally:
                    self._over.set()
                    drawing.join(_PATIENCE)
        finally:
            sys.stderr = errors
            errors.write(self._log.getvalue())

    # ---- on the town's thread

    def _see_tick(self, _message: Fact | Diagnostic) -> None:
        now = time.monotonic()
        if now - self._taken >= _FRAME_SECONDS:
            self._take_frame()

    def _take_frame(self) -> None:
        self._frame, self._taken = self._run.loop.frame(), time.monotonic()

    def _hear(self, message: Fact | Diagnostic) -> None:
        spec = self._run.loop.spec
        _, tod = spec.clock(message.tick)
        self._stories.append((clock_of(tod, spec.ticks_per_day), str(event_data(message.event)["message"])))

    # ---- on the thread that draws

    def _draw_until_over(self) -> None:
        keys = self._screen.has_keys
        try:
            while not self._over.is_set():
                self._draw()
                if not keys:
                    self._over.wait(_FRAME_SECONDS)
                    continue
                pressed = self._screen.read_keys(_FRAME_SECONDS)
                keys = pressed is not None
                if pressed:
                    self._obey(pressed)
                elif not self._screen.entered:
                    self._over.wait(_FRAME_SECONDS)
        except Exception:  # noqa: BLE001 - as the comment says
            # The run is more important than its picture.
            self._screen.leave()
            _LOG.exception("the run cannot be drawn; it goes on, and Ctrl-C ends it")

    def _draw(self) -> None:
        frame, run = self._frame, self._run
        scene = None if frame is None else Scene.of(frame)
        if scene is not None and self._followed not in scene.figures:
            self._followed = next(iter(scene.figures), "")
        shown = Shown(
            title=run.config.run.name,
            scene=scene,
            followed=self._followed,
            pace="paused" if run.pacer.paused else run.pacer.speed,
            stories=tuple(self._stories),
            ticks_per_day=run.loop.spec.ticks_per_day,
            units=self._units,
            news=self._log.getvalue().rstrip().rpartition("\n")[2],
            blocks=self._blocks,
        )
        size = self._screen.size()
        self._screen.draw(compose(shown, self._map, size))

    def _obey(self, pressed: str) -> None:
        """Do what the keys say, one after the other; others do nothing."""
        pacer = self._run.pacer
        deeds: dict[str, Callable[[], object]] = {
            " ": lambda: pacer.resume() if pacer.paused else pacer.pause(),
            "n": lambda: self._follow(1),
            "p": lambda: self._follow(-1),
            "+": lambda: self._change_speed(1),
            "=": lambda: self._change_speed(1),
            "-": lambda: self._change_speed(-1),
            "s": self._step,
            "q": self._end,
        }
        for sequence, key in ((_RIGHT, "n"), (_LEFT, "p"), (_TAB, "n")):
            pressed = pressed.replace(sequence, key)
        for key in pressed:
            deed = deeds.get(key.lower())
            if deed is not None:
                deed()

    def _follow(self, steps: int) -> None:
        frame = self._frame
        ids = list(frame.agents) if frame is not None else []
        if ids:
            at = ids.index(self._followed) if self._followed in ids else 0
            self._followed = ids[(at + steps) % len(ids)]

    def _change_speed(self, steps: int) -> None:
        pacer = self._run.pacer
        at = SPEEDS.index(pacer.speed) + steps
        pacer.speed = SPEEDS[max(0, min(at, len(SPEEDS) - 1))]

    def _step(self) -> None:
        pacer = self._run.pacer
        if pacer.paused:
            pacer.step()
        else:
            pacer.pause()

    def _end(self) -> None:
        self.ended = True
        self._run.loop.request_stop()


def has_blocks(color_system: str | None, encoding: str, *, no_color: bool) -> bool:
    """Return whether a terminal has the colours and the letters for half blocks."""
    return not no_color and color_system in _BLOCK_COLOURS and "utf" in encoding.lower()
