"""A worker that carries batches from where they wait to where they go, whatever happens on the way."""

import logging
import random
import threading
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from townlet_adapters.telemetry.clock import Clock
from townlet_adapters.telemetry.delivery.meters import FLUSH_BOUNDS, Meter
from townlet_core.ports.transport import Batch, TransportError

_log = logging.getLogger(__name__)
_random: Final = random.SystemRandom()  # never from the town's own draws

ALL: Final = 1 << 30
LONGEST_ASKED: Final = 300.0  # seconds that a destination may ask to be left alone for
_DOUBLINGS: Final = 16  # further ones change nothing, and 2.0 to a large power does not exist


class Pace(NamedTuple):
    """How patient a courier is, in seconds.

    Attributes:
        first: the first wait after a fault; each further one is twice as long.
        last: the longest.
        jitter: whether a wait is drawn between ``floor`` and its length, so that a thousand towns that lost
            one collector do not come back as one.
        floor: the shortest wait.
        stalled: time without progress after which a courier with work counts as stalled.
        hung: time without a sign after which it counts as dead.
    """

    first: float
    last: float
    jitter: bool
    floor: float
    stalled: float
    hung: float

    def wait(self, attempt: int) -> float:
        """Draw the wait after the attempt that failed as number ``attempt`` in a row, from 0."""
        longest = min(self.last, self.first * 2.0 ** min(attempt, _DOUBLINGS))
        return max(self.floor, _random.uniform(0.0, longest)) if self.jitter else longest

    def slow(self) -> float:
        """Draw a wait at the slow end."""
        return _random.uniform(self.last / 2, self.last) if self.jitter else self.last


LOCAL: Final = Pace(first=0.05, last=2.0, jitter=False, floor=0.05, stalled=1.0, hung=5.0)
NETWORK: Final = Pace(first=0.5, last=30.0, jitter=True, floor=0.05, stalled=10.0, hung=60.0)


class Errand(Protocol):
    """From where, to where, and what it means that something arrived. One courier does one errand."""

    def load(self, most: int) -> Batch | None:
        """Wait for lines, and give at most so many; the same again until they are settled or put aside.

        Returns:
            None when there is nothing to do any more, ever.
        """
        ...

    def carry(self, batch: Batch) -> int:
        """Hand the lines over; returns how many from the front arrived.

        Raises:
            TransportError: when none did.
        """
        ...

    def settle(self, batch: Batch, count: int) -> None:
        """Account for the first ``count`` lines: they arrived."""
        ...

    def put_aside(self, batch: Batch, error: TransportError) -> None:
        """Account for the only line of a batch: it will never be taken."""
        ...

    def note_fault(self, code: str, text: str, *, fatal: bool) -> bool:
        """Take note of a fault; returns whether the courier is to go on and tell of it."""
        ...

    def rest(self, seconds: float) -> None:
        """Wait, unless something happens that is worth an attempt at once."""
        ...

    def idle_since(self) -> float | None:
        """Tell since when, at the earliest, there is work that waits; None when there is none."""
        ...


class Courier:
    """One thread for one errand.

    Only an acknowledgement ends a row of failures. Counters are written by the courier alone, and read by
    anybody.

    Attributes:
        failures: attempts that failed since one succeeded.
        retries: attempts made after one that failed.
        restarts: errors that nobody had foreseen, after each of which the work was taken up again.
        last_crash: the latest of those.
        failed: the code of the fault that ended it, empty while there is none.
        last_success: monotonic time of the latest acknowledgement.
        flush: how long deliveries took until they were acknowledged.
    """

    def __init__(  # noqa: PLR0913 - one argument for each thing that another part decides
        self, name: str, errand: Errand, pace: Pace, clock: Clock, *, finish: Callable[[], None], thread: str
    ) -> None:
        """Prepare; ``finish`` is called in the courier's thread when it has no more to do."""
        self._name = name
        self._errand = errand
        self._pace = pace
        self._clock = clock
        self._finish = finish
        self._thread = threading.Thread(target=self._run, name=thread, daemon=True)
        self._beat = clock.monotonic()
        self._suspects = 0  # lines from the front among which there is one that is never taken
        self._waits = 0  # since the latest acknowledgement
        self._refused = 0  # lines put aside since then
        self._warned: set[str] = set()
        self._again = False
        self.failures = self.retries = self.restarts = 0
        self.last_crash: str | None = None
        self.failed = ""
        self.last_success: float | None = None
        self.flush = Meter(FLUSH_BOUNDS)

    def start(self) -> None:
        """Set off."""
        self._thread.start()

    def join(self, seconds: float | None = None) -> bool:
        """Wait until it has finished; returns whether it has."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def heartbeat_age(self, now: float) -> float:
        """Seconds since it showed itself, 0 while it has nothing to do or waits for a set time."""
        since = self._errand.idle_since()
        return 0.0 if since is None else max(0.0, now - max(since, self._beat))

    def alive(self, now: float) -> bool:
        """Whether it is there and has shown itself lately."""
        return self._thread.is_alive() and self.heartbeat_age(now) <= self._pace.hung

    def stalled(self, now: float) -> bool:
        """Whether nothing moved for too long although there is work."""
        since = self._errand.idle_since()
        return since is not None and now - max(since, self.last_success or 0.0) > self._pace.stalled

    # ---- its own thread ------------------------------------------------------------------------

    def _run(self) -> None:
        going = True
        while going:
            try:
                going = self._step()
            except BaseException as error:  # noqa: BLE001 - whatever is raised, SystemExit too, the work goes on
                going = self._survive(error)
        try:
            self._finish()
        except BaseException as error:  # noqa: BLE001 - as above; what is left to do is to say so
            code = "close"
            self._errand.note_fault(code, f"{code}: {error}", fatal=False)
            _log.warning("sink %s: could not be closed cleanly: %s", self._name, error)

    def _step(self) -> bool:
        """Deliver once; returns whether to go on."""
        try:
            batch = self._errand.load(self._portion())
            if batch is None:
                return False
            self.retries += self._again
            self._again = False
            began = self._beat = self._clock.monotonic()
            try:
                count = self._errand.carry(batch)
            except TransportError as error:
                if error.verdict == "split":
                    return self._halve(batch, error)
                raise
        except TransportError as error:
            return self._fault(error)
        self._beat = self._clock.monotonic()
        if count:
            self._errand.settle(batch, count)
            self._note_success(count, began)
        return True

    def _portion(self) -> int:
        if not self._suspects:
            return ALL
        return max(1, self._suspects // 2)

    def _note_success(self, count: int, began: float) -> None:
        self.last_success = self._beat
        self.flush.add(self._beat - began)
        self._suspects = max(0, self._suspects - count)
        self._waits = self._refused = 0
        self._warned.clear()
        recovered, self.failures = self.failures, 0
        if recovered:
            _log.warning("sink %s: delivers again after %d failed attempts", self._name, recovered)

    def _halve(self, batch: Batch, error: TransportError) -> bool:
        """Look for the line that is never taken, and put it aside once it is alone."""
        self._beat = self._clock.monotonic()
        if not self._note_fault(error.code, f"{error.code}: {error}"):
            return True
        if len(batch.lines) > 1:
            self._suspects = len(batch.lines)
            return True
        self._errand.put_aside(batch, error)
        self._suspects = 0
        self._refused += 1
        self._warn_once("refused", "%s (%s); such lines are put aside, the others go on", error, error.code)
        if self._refused > 1:
            # A destination that refuses everything is not to be asked about it as fast as we can.
            self._back_off(self._pace.wait(self._next_wait()))
        return True

    def _fault(self, error: TransportError) -> bool:
        fatal = error.verdict == "fatal"
        if not self._note_fault(error.code, f"{error.code}: {error}", fatal=fatal):
            return True
        if fatal:
            # A reader that leaves is no trouble; what runs the town decides whether it goes on.
            if error.code != "broken_pipe":
                self._warn_once(
                    "fatal", "%s (%s); it gives up; the run goes on without it", error, error.code
                )
            return False
        delay = self._pace.wait(self._next_wait())
        if error.verdict == "pause":
            delay = max(delay, self._pace.slow())
            self._warn_once(
                "pause",
                "%s (%s); this will not change by itself: see to its address, its credentials and its "
                "certificates; until then it keeps its events and tries again now and then",
                error,
                error.code,
            )
        else:
            self._warn_once("retry", "%s (%s); it keeps its events and tries again", error, error.code)
        if error.retry_after is not None:
            # In this order, so that what is no number counts as 0.
            delay = max(delay, min(LONGEST_ASKED, max(0.0, error.retry_after)))
        self._back_off(delay)
        return True

    def _survive(self, error: BaseException) -> bool:
        code = type(error).__name__
        self.last_crash = f"{code}: {error}"
        self.restarts += 1
        if self._note_fault(code, self.last_crash):
            self._warn_once("retry", "%s (%s); it keeps its events and tries again", error, code)
            self._back_off(self._pace.wait(self._next_wait()))
        return True

    def _note_fault(self, code: str, text: str, *, fatal: bool = False) -> bool:
        """Take note of a fault; what it was is known before anybody can see that there was one."""
        cares = self._errand.note_fault(code, text, fatal=fatal)
        self._again = not fatal
        if fatal:
            self.failed = code
        self.failures += 1
        return cares

    def _next_wait(self) -> int:
        self._waits += 1
        return self._waits - 1

    def _back_off(self, seconds: float) -> None:
        # Until then it owes nobody a sign.
        self._beat = self._clock.monotonic() + seconds
        self._errand.rest(seconds)

    def _warn_once(self, what: str, text: str, *details: object) -> None:
        """Log the first trouble of its sort since things went well."""
        if what not in self._warned and not (what == "retry" and self._warned):
            self._warned.add(what)
            _log.warning(f"sink %s: {text}", self._name, *details)
