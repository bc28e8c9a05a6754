"""Watches a run: takes frames on the town's thread now and then, draws and takes keys on another one."""

import logging
import re
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
_SHARE: Final = 10
"""A frame of a large town, and a picture of it, are made so seldom that they take a tenth of the time."""
_NEWS_SECONDS: Final = 20.0
_STORIES: Final = 8
_PATIENCE: Final = 2.0
_BLOCK_COLOURS: Final = frozenset({"256", "truecolor"})
_KEYS_THAT_FOLLOW: Final = (("\x1b[C", "n"), ("\x1b[D", "p"), ("\t", "n"))
_SEQUENCE: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|.)?", re.DOTALL)
"""What a key with a name sends, such as F2, and what colours a text: its letters mean nothing."""


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
        self._next_frame = 0.0
        self._stories: deque[tuple[int, str, str]] = deque(maxlen=_STORIES)
        self._followed = ""
        self._log, self._errors = StringIO(), sys.stderr
        self._news, self._news_until = "", 0.0
        self._over = threading.Event()
        self.ended = False
        dispatcher = run.loop.dispatcher
        dispatcher.subscribe(LoopTick.kind, self._see_tick, name="watch")
        dispatcher.subscribe(Narration.kind, self._hear, name="watch")
        run.pacer.on_pause = self._take_frame

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Show the run; lines for people are kept, and printed when the terminal is given back."""
        self._errors = sys.stderr
        if self._errors.isatty():
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
            self._print_log()

    def _print_log(self) -> None:
        """Print the lines that were kept; the next ones go to standard error."""
        sys.stderr, kept = self._errors, self._log
        self._log = StringIO()
        self._errors.write(kept.getvalue())

    # ---- on the town's thread

    def _see_tick(self, _message: Fact | Diagnostic) -> None:
        if time.monotonic() >= self._next_frame:
            self._take_frame()

    def _take_frame(self) -> None:
        begun = time.monotonic()
        self._frame = self._run.loop.frame()
        ended = time.monotonic()
        self._next_frame = ended + until_next(ended - begun)

    def _hear(self, message: Fact | Diagnostic) -> None:
        spec = self._run.loop.spec
        day, tod = spec.clock(message.tick)
        text = str(event_data(message.event)["message"])
        self._stories.append((day, clock_of(tod, spec.ticks_per_day), text))

    # ---- on the thread that draws

    def _draw_until_over(self) -> None:
        keys = self._screen.has_keys
        try:
            while not self._over.is_set():
                begun = time.thread_time()
                self._draw()
                pause = until_next(time.thread_time() - begun)
                if not keys:
                    self._over.wait(pause)
                    continue
                pressed = self._screen.read_keys(pause)
                keys = pressed is not None
                if pressed:
                    self._obey(pressed)
                elif not self._screen.entered:
                    self._over.wait(_FRAME_SECONDS)
        except Exception:  # noqa: BLE001 - as the comment says
            # The run is more important than its picture.
            self._screen.leave()
            self._print_log()
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
            stories=[(_time_of(story, scene), story[2]) for story in tuple(self._stories)],
            ticks_per_day=run.loop.spec.ticks_per_day,
            units=self._units,
            news=self._last_news(),
            blocks=self._blocks,
        )
        size = self._screen.size()
        self._screen.draw(compose(shown, self._map, size))

    def _last_news(self) -> str:
        """Return the last line that was kept, without its colours, for some seconds."""
        now, kept = time.monotonic(), self._log.getvalue()
        news = _SEQUENCE.sub("", kept.rstrip().rpartition("\n")[2])
        if news != self._news:
            self._news, self._news_until = news, now + _NEWS_SECONDS
        return news if now < self._news_until else ""

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
        for sequence, key in _KEYS_THAT_FOLLOW:
            pressed = pressed.replace(sequence, key)
        for key in _SEQUENCE.sub("", pressed):
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


def until_next(seconds: float) -> float:
    """Return how long to wait after something that took so many seconds, before it is done again."""
    return max(_FRAME_SECONDS, seconds * (_SHARE - 1))


def _time_of(story: tuple[int, str, str], scene: Scene | None) -> str:
    """Return the time of a story, with its day when that is over."""
    day, time_of_day, _ = story
    return time_of_day if scene is None or scene.day == day else f"day {day} {time_of_day}"


def has_blocks(color_system: str | None, encoding: str, *, no_color: bool) -> bool:
    """Return whether a terminal has the colours and the letters for half blocks."""
    return not no_color and color_system in _BLOCK_COLOURS and "utf" in encoding.lower()
