"""A worker thread that delivers batches from a queue to a destination, and survives every error."""

import logging
import random
import threading
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from townlet_adapters.telemetry.clock import Clock
from townlet_adapters.telemetry.delivery.meters import FLUSH_BOUNDS, Meter
from townlet_core.ports.transport import Batch, TransportError

_log = logging.getLogger(__name__)
_random: Final = random.SystemRandom()  # independent of the town's draws

ALL: Final = 1 << 30
LONGEST_ASKED: Final = 300.0  # seconds that a destination may ask to wait
_DOUBLINGS: Final = 16  # further ones change nothing, and 2.0 to a large power overflows


class Pace(NamedTuple):
    """The waiting times of a courier, in seconds.

    Attributes:
        first: the first wait after a fault; each further one is twice as long.
        last: the longest wait.
        jitter: whether a wait is drawn at random between ``floor`` and its length, so that a thousand towns
            that lost one collector do not return at the same time.
        floor: the shortest wait.
        stalled: time without progress after which a courier with work counts as stalled.
        hung: time without a sign of life after which it counts as dead.
    """

    first: float
    last: float
    jitter: bool
    floor: float
    stalled: float
    hung: float

    def wait(self, attempt: int) -> float:
        """Return a wait after the failed attempt number ``attempt`` in a row, from 0."""
        longest = min(self.last, self.first * 2.0 ** min(attempt, _DOUBLINGS))
        return max(self.floor, _random.uniform(0.0, longest)) if self.jitter else longest

    def slow(self) -> float:
        """Return a long wait."""
        return _random.uniform(self.last / 2, self.last) if self.jitter else self.last


LOCAL: Final = Pace(first=0.05, last=2.0, jitter=False, floor=0.05, stalled=1.0, hung=5.0)
NETWORK: Final = Pace(first=0.5, last=30.0, jitter=True, floor=0.05, stalled=10.0, hung=60.0)


class Errand(Protocol):
    """The source and the destination of lines, and the accounting. One courier has one errand."""

    def load(self, most: int) -> Batch | None:
        """Wait for lines, and return at most ``most``; the same again until they are settled or put aside.

        Returns:
            None when there will never be work again.
        """
        ...

    def carry(self, batch: Batch) -> int:
        """Send the lines; returns how many from the front arrived.

        Raises:
            TransportError: when none did.
        """
        ...

    def settle(self, batch: Batch, count: int) -> None:
        """Count the first ``count`` lines as arrived."""
        ...

    def put_aside(self, batch: Batch, error: TransportError) -> None:
        """Count the only line of a batch as refused for good."""
        ...

    def note_fault(self, code: str, text: str, *, fatal: bool) -> bool:
        """Record a fault; returns whether the courier should count it and continue."""
        ...

    def rest(self, seconds: float) -> None:
        """Wait, until the time is over or an attempt is worthwhile at once."""
        ...

    def idle_since(self) -> float | None:
        """Return since when, at the earliest, work has been waiting; None without work."""
        ...


class Courier:
    """One thread for one errand.

    Only an acknowledgement resets the failures. Counters are written only by the courier, and read by any
    thread.

    Attributes:
        failures: attempts that failed since the last success.
        retries: attempts made after a failed one.
        restarts: unexpected errors; after each the work was resumed.
        last_crash: the latest of these.
        failed: the code of the fault that ended it, empty without one.
        last_success: monotonic time of the latest acknowledgement.
        flush: times from a delivery to its acknowledgement.
    """

    def __init__(  # noqa: PLR0913 - one argument for each thing that another part decides
        self, name: str, errand: Errand, pace: Pace, clock: Clock, *, finish: Callable[[], None], thread: str
    ) -> None:
        """Prepare; ``finish`` is called in the courier's thread when there is no more work."""
        self._name = name
        self._errand = errand
        self._pace = pace
        self._clock = clock
        self._finish = finish
        self._thread = threading.Thread(target=self._run, name=thread, daemon=True)
        self._beat = clock.monotonic()
        self._suspects = 0  # lines from the front with one among them that is refused for good
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
        """Start the thread."""
        self._thread.start()

    def join(self, seconds: float | None = None) -> bool:
        """Wait until it has finished; returns whether it has."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def heartbeat_age(self, now: float) -> float:
        """Return seconds since its last sign of life, 0 while it has no work or waits for a set time."""
        since = self._errand.idle_since()
        return 0.0 if since is None else max(0.0, now - max(since, self._beat))

    def alive(self, now: float) -> bool:
        """Return whether its thread runs and gave a sign of life recently."""
        return self._thread.is_alive() and self.heartbeat_age(now) <= self._pace.hung

    def stalled(self, now: float) -> bool:
        """Return whether nothing was delivered for too long although there is work."""
        since = self._errand.idle_since()
        return since is not None and now - max(since, self.last_success or 0.0) > self._pace.stalled

    # ---- in its own thread ---------------------------------------------------------------------

    def _run(self) -> None:
        going = True
        while going:
            try:
                going = self._step()
            except BaseException as error:  # noqa: BLE001 - after any exception, even SystemExit, the work continues
                going = self._survive(error)
        try:
            self._finish()
        except BaseException as error:  # noqa: BLE001 - as above; it can only be reported
            code = "close"
            self._errand.note_fault(code, f"{code}: {error}", fatal=False)
            _log.warning("sink %s: could not be closed cleanly: %s", self._name, error)

    def _step(self) -> bool:
        """Deliver one batch; returns whether to continue."""
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
        """Search for the line that is refused for good, and put it aside once it is alone."""
        self._beat = self._clock.monotonic()
        if not self._note_fault(error.code, f"{error.code}: {error}"):
            return True
        if len(batch.lines) > 1:
            self._suspects = len(batch.lines)
            return True
        self._errand.put_aside(batch, error)
        self._suspects = 0
        self._refused += 1
        self._warn_once("refused", "%s (%s); such lines are put aside, others delivered", error, error.code)
        if self._refused > 1:
            # A destination that refuses everything must not be contacted at full speed.
            self._back_off(self._pace.wait(self._next_wait()))
        return True

    def _fault(self, error: TransportError) -> bool:
        fatal = error.verdict == "fatal"
        if not self._note_fault(error.code, f"{error.code}: {error}", fatal=fatal):
            return True
        if fatal:
            # A reader that closes its end is not an error; the caller decides whether the run continues.
            if error.code != "broken_pipe":
                self._warn_once(
                    "fatal", "%s (%s); the sink stops; the run continues without it", error, error.code
                )
            return False
        delay = self._pace.wait(self._next_wait())
        if error.verdict == "pause":
            delay = max(delay, self._pace.slow())
            self._warn_once(
                "pause",
                "%s (%s); this does not change by itself: check address, credentials and certificates; until "
                "then the sink keeps its events and tries again from time to time",
                error,
                error.code,
            )
        else:
            self._warn_once("retry", "%s (%s); the sink keeps its events and tries again", error, error.code)
        if error.retry_after is not None:
            # In this order, so that NaN counts as 0.
            delay = max(delay, min(LONGEST_ASKED, max(0.0, error.retry_after)))
        self._back_off(delay)
        return True

    def _survive(self, error: BaseException) -> bool:
        code = type(error).__name__
        self.last_crash = f"{code}: {error}"
        self.restarts += 1
        if self._note_fault(code, self.last_crash):
            self._warn_once("retry", "%s (%s); the sink keeps its events and tries again", error, code)
            self._back_off(self._pace.wait(self._next_wait()))
        return True

    def _note_fault(self, code: str, text: str, *, fatal: bool = False) -> bool:
        """Record a fault; its reason is stored before the failure count changes."""
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
        # Until then no sign of life is expected.
        self._beat = self._clock.monotonic() + seconds
        self._errand.rest(seconds)

    def _warn_once(self, what: str, text: str, *details: object) -> None:
        """Log the first trouble of its kind since the last success."""
        if what not in self._warned and not (what == "retry" and self._warned):
            self._warned.add(what)
            _log.warning(f"sink %s: {text}", self._name, *details)
