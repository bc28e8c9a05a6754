"""A sink that never stops the town: encode, hold, and let a worker of its own write.

    emit -> encode -> bounded buffer -> worker -> transport
     |  rejected        |  dropped         |  delivered

At every instant ``emitted = delivered + buffered + sum(dropped)`` and ``offered = emitted + sum(rejected)``.
"""

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

from townlet_adapters.telemetry.buffer import BUFFER_FULL, BoundedBuffer, Shedding
from townlet_adapters.telemetry.clock import Clock, SystemClock
from townlet_adapters.telemetry.envelope import EnvelopeError, Record, prepare, record_of, seal
from townlet_adapters.telemetry.streams import Strand, strands_of
from townlet_adapters.telemetry.transports.base import Batch, Transport, TransportError
from townlet_core.dto.frame import StateFrame
from townlet_core.dto.health import SinkState, SinkStatus
from townlet_core.dto.stream import StreamSettings
from townlet_core.errors import ContractError
from townlet_core.ports.telemetry import EmitResult, Message

_log = logging.getLogger(__name__)

OnFull: TypeAlias = Literal["wait", "shed"]

UNDELIVERED: Final = "undelivered_at_stop"
PATIENCE: Final = 0.1  # seconds since the worker last moved, for which a full buffer is waited for
LINGER: Final = 0.05  # seconds the worker gathers events for one write
STALLED: Final = 1.0  # seconds without a write after which a sink with work is degraded
GRACE: Final = 0.25  # seconds beyond the deadline for the worker's last act
FIRST_RETRY: Final = 0.05
LAST_RETRY: Final = 2.0
BATCH_EVENTS: Final = 512
BATCH_BYTES: Final = 1 << 20

_Phase: TypeAlias = Literal["new", "open", "closing", "closed"]

_WHOLE_FRAMES: Final = StreamSettings()
_ACCEPTED: Final = EmitResult("accepted")
_CLOSED_DOORS: Final[dict[_Phase, str]] = {
    "new": "not_started",
    "open": "",
    "closing": "stopped",
    "closed": "stopped",
}


@dataclass(frozen=True, slots=True)
class DeliveryLimits:
    """How much a sink may hold, and what it does when that is reached.

    Attributes:
        on_full: ``wait`` holds the town for as long as the worker moves; ``shed`` never does.
        buffer_events: most events held in memory.
        buffer_bytes: most bytes held in memory.
    """

    on_full: OnFull = "wait"
    buffer_events: int = 8192
    buffer_bytes: int = 64 << 20


class _Offer(NamedTuple):
    """An encoded message, or the reason why there is none."""

    body: bytes
    shedding: Shedding
    refusal: str = ""
    base: int | None = None


class DeliveringSink:
    """Telemetry sink over any transport."""

    def __init__(  # noqa: PLR0913 - one argument for each thing that another part decides
        self,
        name: str,
        transport: Transport,
        *,
        source: str,
        limits: DeliveryLimits,
        stream: StreamSettings = _WHOLE_FRAMES,
        clock: Clock | None = None,
    ) -> None:
        """Prepare; nothing is opened before ``start``.

        Args:
            name: the sink's name within the run.
            transport: where lines go; owned by the sink from now on.
            source: ``source`` of its envelopes, of no other sink's.
            limits: size of the buffer and what happens when it is full.
            stream: what becomes of a ``StateFrame``; whole frames unless told. Which ticks are shown at all
                is up to whoever emits, but for channels.
            clock: the time; the machine's unless a test brings its own.
        """
        self._name = name
        self._transport = transport
        self._source = source
        self._wait_when_full = limits.on_full == "wait"
        self._clock = clock or SystemClock()
        self._buffer = BoundedBuffer(limits.buffer_events, limits.buffer_bytes)
        # A batch is at most half the buffer, so that there is room for more while it is written.
        self._batch_events = max(1, min(BATCH_EVENTS, limits.buffer_events // 2))
        self._batch_bytes = min(BATCH_BYTES, limits.buffer_bytes // 2)

        self._lock = threading.RLock()
        self._work = threading.Condition(self._lock)
        self._room = threading.Condition(self._lock)
        self._admitting = False
        self._aside: deque[_Offer | StateFrame] = deque()
        self._strands = strands_of(stream)

        self._phase: _Phase = "new"
        self._asleep: Literal["no", "idle", "gathering"] = "no"
        self._worker: threading.Thread | None = None
        self._deadline = 0.0

        self._emitted = 0
        self._delivered = 0
        self._dropped: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self._retries = 0
        self._try_again = False
        self._faults_in_a_row = 0
        self._fatal = ""
        self._last_error: str | None = None
        self._moved_at = 0.0
        self._shed_since_move = False

    def start(self) -> None:
        """Open the destination and start the worker.

        Raises:
            OutputError: when the destination cannot be opened.
            ContractError: when it was started before.
        """
        if self._phase != "new":
            raise ContractError(f"sink {self._name}: start was called twice; make a new sink for a new run")
        self._transport.open()
        self._phase = "open"
        self._moved_at = self._clock.monotonic()
        self._worker = threading.Thread(target=self._run, name=f"sink-{self._name}", daemon=True)
        self._worker.start()

    def emit(self, message: Message) -> EmitResult:
        """Encode the message and hold it for the worker.

        Never raises. Blocks only with ``on_full: wait``, on a full buffer, while the worker has
        completed a write within the last 100 ms. A ``StateFrame`` in channels counts as the messages it is
        sent as, which may be none; the result is that of the last one that was not accepted.
        """
        if self._strands and isinstance(message, StateFrame):
            return self._emit_state(message)
        offer = self._encode(message)
        with self._lock:
            if self._admitting:
                # A signal handler emits within our own emit: that one takes it along when it is done.
                self._aside.append(offer)
                return _ACCEPTED
            if self._wait_when_full:
                self._wait_for_room(offer)
            result = self._admit(offer)
            self._admit_those_aside()
            return result

    def status(self) -> SinkStatus:
        """Tell the counters as they stood at one instant."""
        with self._lock:
            return SinkStatus(
                name=self._name,
                state=self._state(),
                offered=self._emitted + self._rejected.total(),
                emitted=self._emitted,
                delivered=self._delivered,
                buffered=self._buffer.events,
                dropped=dict(self._dropped),
                rejected=dict(self._rejected),
                retries=self._retries,
                last_error=self._last_error,
            )

    def stop(self, deadline_seconds: float) -> SinkStatus:
        """Drain within the deadline and close; what is left then counts as dropped.

        A worker that hangs in a call of the operating system is left behind: it cannot be stopped, it
        counts nothing any more, and it does not keep the process alive.
        """
        with self._lock:
            if self._phase == "open":
                self._phase = "closing"
                self._deadline = self._clock.monotonic() + max(0.0, deadline_seconds)
                self._work.notify_all()
                self._room.notify_all()
            worker = self._worker
        if worker is not None and self._phase == "closing":
            worker.join(max(0.0, deadline_seconds) + GRACE)
        with self._lock:
            if self._phase != "closed":
                self._phase = "closed"
                self._give_up(UNDELIVERED)
        return self.status()

    # ---- the town's side -----------------------------------------------------------------------

    def _emit_state(self, state: StateFrame) -> EmitResult:
        """Send a frame in strands; under the lock as a whole, for each message builds on the one before."""
        with self._lock:
            if self._admitting:
                self._aside.append(state)
                return _ACCEPTED
            result = _ACCEPTED
            for strand in self._strands:
                if strand.due(state.tick):
                    one = self._send(strand, state, patient=self._wait_when_full)
                    result = result if one.status == "accepted" else one
            self._admit_those_aside()
            return result

    def _send(self, strand: Strand, state: StateFrame, *, patient: bool) -> EmitResult:
        self._admitting = True
        try:
            offer = self._encode_next(strand, state)
            if patient:
                changes = strand.changes
                self._admitting = False
                self._wait_for_room(offer)
                self._admitting = True
                if strand.changes != changes:
                    # Somebody else emitted while we waited, and what the patch is based on is no longer last.
                    offer = self._encode_next(strand, state)
            size = len(offer.body) + _SEAL_BYTES
            if offer.base is not None and not self._buffer.fits(offer.shedding, size):
                # To make room, older state goes, and with it what the patch is based on.
                strand.cut()
                offer = self._encode_next(strand, state)
            result = self._count(offer)
            if result.status == "accepted":
                strand.keep(state.tick, self._emitted - 1)
            else:
                strand.cut()
            return result
        finally:
            self._admitting = False

    def _encode_next(self, strand: Strand, state: StateFrame) -> _Offer:
        def record() -> Record:
            each = strand.next(state.frame)
            return Record(each.kind, state.tick, None, each.data, Shedding.BULK, each.baseseq, each.state)

        return self._offer_of(record)

    def _admit_those_aside(self) -> None:
        while self._aside:
            each = self._aside.popleft()
            if isinstance(each, StateFrame):
                for strand in self._strands:
                    if strand.due(each.tick):
                        self._send(strand, each, patient=False)
            else:
                self._admit(each)

    def _encode(self, message: Message) -> _Offer:
        return self._offer_of(lambda: record_of(message))

    def _offer_of(self, make: Callable[[], Record]) -> _Offer:
        if self._fatal:
            # A failed sink writes nothing any more, so encoding for it would be work for nobody.
            return _Offer(b"", Shedding.NORMAL)
        try:
            record = make()
            body = prepare(record, self._source, self._clock.wall())
            return _Offer(body, record.shedding, base=record.baseseq)
        except EnvelopeError as error:
            return _Offer(b"", Shedding.NORMAL, error.reason)
        except RecursionError:
            return _Offer(b"", Shedding.NORMAL, "too_deep")
        except Exception:  # noqa: BLE001 - a third party's event may raise anything; the town must go on
            return _Offer(b"", Shedding.NORMAL, "not_json")

    def _admit(self, offer: _Offer) -> EmitResult:
        self._admitting = True
        try:
            return self._count(offer)
        finally:
            self._admitting = False

    def _count(self, offer: _Offer) -> EmitResult:
        refusal = offer.refusal or _CLOSED_DOORS[self._phase]
        if refusal:
            self._rejected[refusal] += 1
            return EmitResult("rejected", refusal)
        sequence = self._emitted
        self._emitted += 1
        if self._fatal:
            self._dropped[self._fatal] += 1
            return EmitResult("dropped", self._fatal)
        line = seal(offer.body, sequence)
        if not self._buffer.fits(offer.shedding, len(line)):
            bulk_shed = self._buffer.bulk_shed
            reasons, fits = self._buffer.shed_for(offer.shedding, len(line))
            self._dropped.update(reasons)
            if self._buffer.bulk_shed > bulk_shed:
                for strand in self._strands:
                    strand.cut()
            self._shed_since_move = True
            if not fits:
                self._dropped[BUFFER_FULL] += 1
                return EmitResult("dropped", BUFFER_FULL)
        self._buffer.append(offer.shedding, sequence, line, offer.base)
        if self._asleep == "idle" or (self._asleep == "gathering" and self._batch_is_full()):
            self._wake_worker()
        return _ACCEPTED

    def _wait_for_room(self, offer: _Offer) -> None:
        size = len(offer.body) + _SEAL_BYTES
        if offer.refusal or not self._buffer.could_fit(offer.shedding, size):
            return
        while self._phase == "open" and not self._fatal and not self._buffer.fits(offer.shedding, size):
            if self._asleep != "no":
                self._wake_worker()
            patience = self._moved_at + PATIENCE - self._clock.monotonic()
            if patience <= 0:
                return
            self._clock.wait(self._room, patience)

    def _batch_is_full(self) -> bool:
        return self._buffer.events >= self._batch_events or self._buffer.size >= self._batch_bytes

    def _wake_worker(self) -> None:
        # A worker that slept for want of work is not stuck: its patience starts now.
        self._asleep = "no"
        self._moved_at = self._clock.monotonic()
        self._work.notify()

    def _state(self) -> SinkState:
        if self._phase == "closed":
            return "closed"
        if self._fatal:
            return "failed"
        if self._shed_since_move:
            return "shedding"
        stalled = self._buffer.events and self._clock.monotonic() - self._moved_at > STALLED
        return "degraded" if self._faults_in_a_row or stalled else "healthy"

    # ---- the worker's side ---------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            try:
                if not self._step():
                    break
            except TransportError as error:
                self._note_fault(error.code, error, transient=error.verdict != "fatal")
            except BaseException as error:  # noqa: BLE001 - whatever a transport raises, SystemExit too, the worker goes on
                self._note_fault(type(error).__name__, error, transient=True)
        self._finish()

    def _step(self) -> bool:
        """Write once; returns whether there is anything more to do."""
        with self._lock:
            self._await_work()
            if self._over():
                return False
            batch = self._buffer.take(self._batch_events, self._batch_bytes)
            self._retries += self._try_again
            self._try_again = False
        count = self._transport.write(Batch(self._source, (), batch))
        if count:
            self._note_success(count)
        return True

    def _over(self) -> bool:
        if self._phase == "closing":
            return self._buffer.events == 0 or self._clock.monotonic() >= self._deadline
        return self._phase == "closed" or bool(self._fatal)

    def _await_work(self) -> None:
        while self._buffer.events == 0 and not self._over():
            self._asleep = "idle"
            self._clock.wait(self._work, None)
        may_grow = not (self._buffer.in_flight or self._batch_is_full())
        if may_grow and self._phase == "open":
            self._asleep = "gathering"
            self._clock.wait(self._work, LINGER)
        self._asleep = "no"

    def _note_success(self, count: int) -> None:
        with self._lock:
            recovered, self._faults_in_a_row = self._faults_in_a_row, 0
            if self._phase != "closed":
                self._buffer.settle(count)
                self._delivered += count
                self._moved_at = self._clock.monotonic()
                self._shed_since_move = False
                self._room.notify_all()
        if recovered:
            _log.warning("sink %s: writes again after %d failed attempts", self._name, recovered)

    def _note_fault(self, code: str, error: BaseException, *, transient: bool) -> None:
        with self._lock:
            if self._phase == "closed":
                return
            phase, first = self._phase, not self._faults_in_a_row
            self._faults_in_a_row += 1
            self._try_again = transient
            self._last_error = f"{code}: {error}"
            if not transient:
                self._fatal = code
                self._give_up(code)
        if first:
            outlook = (
                "keeps its events and tries again" if transient else "gives up; the run goes on without it"
            )
            _log.warning("sink %s: %s (%s); it %s", self._name, error, code, outlook)
        if transient:
            self._back_off(phase)

    def _back_off(self, phase: _Phase) -> None:
        with self._lock:
            delay = min(LAST_RETRY, FIRST_RETRY * 2.0 ** min(self._faults_in_a_row - 1, 16))
            until = self._clock.monotonic() + delay
            if phase == "closing":
                until = min(until, self._deadline)
            # A stop that came since the fault, even before we got here, is worth one attempt at once.
            while self._phase == phase and (rest := until - self._clock.monotonic()) > 0:
                self._clock.wait(self._work, rest)

    def _give_up(self, reason: str) -> None:
        left = self._buffer.clear()
        if left:
            self._dropped[reason] += left
        self._room.notify_all()

    def _finish(self) -> None:
        try:
            self._transport.close()
        except BaseException as error:  # noqa: BLE001 - as above; what is left to do is to say so
            with self._lock:
                if self._phase != "closed":
                    self._last_error = f"close: {error}"
            _log.warning("sink %s: could not be closed cleanly: %s", self._name, error)


_SEAL_BYTES: Final = len(seal(b"", 0))
