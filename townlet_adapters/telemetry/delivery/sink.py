"""A sink that never stops the town: it encodes and buffers messages, and its workers deliver them.

    emit -> encode -> bounded buffer -> courier -> transport
    emit -> encode -> bounded buffer -> courier -> outbox -> courier -> transport
     |  rejected        |  dropped                  |  spooled      |  delivered, or dead-lettered

At every instant ``emitted = delivered + spooled + buffered + dead_lettered + sum(dropped)`` and
``offered = emitted + sum(rejected)``. Numbered messages that will not be delivered are declared lost by
records of the sink itself, which have numbers, too.
"""

import logging
import secrets
import sys
import time
from collections.abc import Callable
from typing import Final

from townlet_adapters.telemetry.clock import Clock, SystemClock
from townlet_adapters.telemetry.delivery.account import NOT_SYNCED
from townlet_adapters.telemetry.delivery.admission import Admission
from townlet_adapters.telemetry.delivery.buffer import BoundedBuffer
from townlet_adapters.telemetry.delivery.courier import LOCAL, Courier, Errand, Pace
from townlet_adapters.telemetry.delivery.deadletters import DeadLetters
from townlet_adapters.telemetry.delivery.drafts import Drafter
from townlet_adapters.telemetry.delivery.errands import Commit, Handover, Mail, OutboxProtocol, Sending
from townlet_adapters.telemetry.delivery.forks import watch
from townlet_adapters.telemetry.delivery.intake import Intake
from townlet_adapters.telemetry.delivery.limits import DeliveryLimits
from townlet_adapters.telemetry.delivery.meters import FLUSH_BOUNDS, Meter
from townlet_adapters.telemetry.spool.base import Row
from townlet_adapters.telemetry.streams import strands_of
from townlet_core.dto.health import SinkCounts, SinkStatus
from townlet_core.dto.stream import StreamSettings
from townlet_core.errors import ContractError
from townlet_core.events.health import SinkHealth, SinkState, WorkerHealth
from townlet_core.ports.telemetry import EmitResult, Message
from townlet_core.ports.transport import Transport

_log = logging.getLogger(__name__)

UNDELIVERED: Final = "undelivered_at_stop"
GRACE: Final = 0.25  # seconds beyond the deadline for the workers to finish
SWITCH_SECONDS: Final = 0.0002
"""How long a thread may keep the interpreter lock from a worker that has to commit. A town that computes
without pause releases it only then, and a worker must request it again after each system call: with Python's
default of 5 ms, one commit of 500 rows would take seconds."""

_CHILD_BITS: Final = 48  # bits of a random producer number after a fork

_WHOLE_FRAMES: Final = StreamSettings("snapshot", every=1)


class DeliveringSink:
    """Telemetry sink over any transport, with or without an outbox."""

    def __init__(  # noqa: PLR0913 - one argument for each thing that another part decides
        self,
        name: str,
        transport: Transport,
        *,
        source: str,
        limits: DeliveryLimits,
        stream: StreamSettings = _WHOLE_FRAMES,
        clock: Clock | None = None,
        pace: Pace = LOCAL,
        outbox: OutboxProtocol | None = None,
        dead_letters: DeadLetters | None = None,
    ) -> None:
        """Prepare; nothing is opened before ``start``.

        Args:
            name: the sink's name within the run.
            transport: the destination of lines; owned by the sink from now on.
            source: ``source`` of its envelopes; no other sink may use it.
            limits: size of the buffer, and the behaviour when it is full.
            stream: how a ``StateFrame`` is sent; by default whole. Except for channels, the caller of
                ``emit`` decides on which ticks the state is sent.
            clock: the clock; the machine's unless a test passes another.
            pace: the waiting times of the transport's worker.
            outbox: holds waiting messages that survive the process; owned by the sink from now on. Without it
                they wait in memory.
            dead_letters: holds lines that the destination refuses for good; without it they are dropped.
        """
        self._name = name
        self._transport = transport
        self._source = source
        self._limits = limits
        self._stream = stream
        self._clock = clock or SystemClock()
        self._pace = pace
        self._outbox = outbox
        self._dead_letters = dead_letters
        self._couriers: tuple[Courier, ...] = ()
        self._mail: Mail | None = None
        self._intake, self._admission = self._new_intake()
        watch(self)

    def start(self) -> None:
        """Open destination and outbox, and start the workers.

        The losses of earlier runs are declared first. With an outbox, the threads of this process switch
        more often from here on, see ``SWITCH_SECONDS``.

        Raises:
            OutputError: when one of them cannot be opened.
            ConfigError: when the transport's options cannot work.
            ContractError: when it was started before.
        """
        if self._intake.life.phase != "new":
            raise ContractError(f"sink {self._name}: start was called twice; create a new sink for a new run")
        if self._outbox is not None:
            sys.setswitchinterval(min(SWITCH_SECONDS, sys.getswitchinterval()))
        self._transport.open()
        try:
            self._couriers = self._hire()
        except BaseException:
            self._transport.close()
            raise
        self._intake.open()
        for courier in self._couriers:
            courier.start()

    def emit(self, message: Message) -> EmitResult:
        """Encode the message and hold it for the worker.

        Never raises. Blocks only with ``on_full: wait``, on a full buffer, while the worker has completed a
        write within the last 100 ms. A ``StateFrame`` in channels counts as the messages that it is sent as,
        which may be zero; the result is that of the last one that was not accepted.
        """
        return self._admission.emit(message)

    @property
    def state(self) -> SinkState:
        """The current state; one lock, no counting."""
        with self._intake.lock:
            return self._state()

    def status(self) -> SinkStatus:
        """Return the counters as of one instant."""
        intake = self._intake
        with intake.lock:
            return intake.account.status(
                self._name,
                self._state(),
                buffered=intake.buffer.events,
                retries=sum(each.retries for each in self._couriers),
                last_error=intake.life.last_error,
            )

    def health(self) -> SinkHealth:
        """Return the sink's health; liveness is computed here, from the workers' last signs of life."""
        intake, now = self._intake, self._clock.monotonic()
        condition = self._transport.condition()
        expires = condition.certificate_expires
        with intake.lock:
            last = max((each.last_success for each in self._couriers[-1:] if each.last_success), default=None)
            status = self.status()
            return SinkHealth(
                state=status.state,
                worker=self._worker_health(now),
                queue=intake.buffer.health(),
                spool=None if self._outbox is None else self._outbox.stats(),
                connected=condition.connected,
                consecutive_failures=max((each.failures for each in self._couriers), default=0),
                retries_total=status.retries,
                last_success_age_s=None if last is None else max(0.0, now - last),
                last_error=intake.life.error,
                acked_through=intake.account.acked_through,
                flush_seconds=self._couriers[-1].flush.read()
                if self._couriers
                else Meter(FLUSH_BOUNDS).read(),
                certificate_expires_s=None if expires is None else expires - self._clock.wall(),
                totals=status.account,
            )

    def counts(self) -> SinkCounts:
        """Return the counters beside the account."""
        deleted = 0 if self._dead_letters is None else self._dead_letters.deleted
        with self._intake.lock:
            return self._intake.account.counts(self._intake.stopwatch, deleted)

    def stop(self, deadline_seconds: float) -> SinkStatus:
        """Drain within the deadline and close; what is left then stays in the outbox, or counts as dropped.

        A worker that hangs in a system call is abandoned: it cannot be stopped, it counts nothing any more,
        and it does not keep the process alive.
        """
        intake, patience = self._intake, max(0.0, deadline_seconds)
        began = time.monotonic()
        with intake.lock:
            intake.life.begin_stop(patience)
            self._ring()
        if intake.life.phase == "closing" and not self._wait_for_couriers(began + patience):
            with intake.lock:
                intake.life.end_wait()
                self._ring()
            self._transport.interrupt()
            self._wait_for_couriers(time.monotonic() + GRACE)
        with intake.lock:
            if intake.life.end():
                intake.drop_all(UNDELIVERED)
                self._take_back(self._transport.condition().unsynced)
            self._ring()
        return self.status()

    def begin_anew(self) -> None:
        """Become an independent, unstarted sink in the child of a fork; see ``forks``."""
        self._source = f"{self._source.rpartition(':')[0]}:p{secrets.randbits(_CHILD_BITS)}"
        self._couriers = ()
        self._mail = None
        self._intake, self._admission = self._new_intake()
        self._transport.abandon()
        if self._outbox is not None:
            self._outbox.abandon()

    # ---- within --------------------------------------------------------------------------------

    def _new_intake(self) -> tuple[Intake, Admission]:
        drafter = Drafter(self._source, self._clock, strands_of(self._stream))
        buffer = BoundedBuffer(self._limits.buffer_events, self._limits.buffer_bytes)
        note_emitted = None if self._outbox is None else self._outbox.note_emitted
        intake = Intake(self._source, buffer, drafter, self._clock, note_emitted)
        return intake, Admission(intake, drafter, patient=self._limits.on_full == "wait")

    def _hire(self) -> tuple[Courier, ...]:
        """Open the outbox, if there is one, and create the workers; the last one delivers."""
        if self._outbox is None:
            errand = Handover(self._intake, self._transport, self._dead_letters)
            return (self._courier("", errand, self._pace, self._transport.close),)
        intake, outbox = self._intake, self._outbox
        first = intake.records_of(outbox.open(self._source))
        try:
            outbox.begin([Row(number, line) for number, line, _, _ in first])
        except BaseException:
            outbox.close()
            raise
        intake.begin_with(first)
        mail = self._mail = Mail(intake, outbox, len(first) - 1)
        commit = Commit(intake, outbox, mail)
        sending = Sending(intake, outbox, mail, self._transport, self._dead_letters)
        return (
            self._courier("-spool", commit, LOCAL, mail.end_committing),
            self._courier("", sending, self._pace, lambda: mail.end_sending(self._transport)),
        )

    def _courier(self, part: str, errand: Errand, pace: Pace, finish: Callable[[], None]) -> Courier:
        return Courier(
            self._name, errand, pace, self._clock, finish=finish, thread=f"sink-{self._name}{part}"
        )

    def _take_back(self, count: int) -> None:
        """Count written lines as dropped that the disk did not confirm; with the lock held."""
        if count:
            self._intake.account.take_back(count)
            _log.warning(
                "sink %s: the disk did not confirm %d events that were written; they count as dropped (%s)",
                self._name,
                count,
                NOT_SYNCED,
            )

    def _ring(self) -> None:
        """Make all waiting threads check the phase; with the lock held."""
        self._intake.wake_all()
        if self._mail is not None:
            self._mail.ring()

    def _wait_for_couriers(self, until: float) -> bool:
        return all(each.join(max(0.0, until - time.monotonic())) for each in self._couriers)

    def _state(self) -> SinkState:
        intake, now = self._intake, self._clock.monotonic()
        if intake.life.phase == "closed":
            return "closed"
        if intake.life.fatal:
            return "failed"
        ailing = False
        for each in self._couriers:
            if each.failed:
                return "failed"
            ailing = ailing or bool(each.failures) or each.stalled(now) or not each.alive(now)
        if intake.shed_since_move:
            return "shedding"
        return "degraded" if ailing else "healthy"

    def _worker_health(self, now: float) -> WorkerHealth:
        crew = self._couriers
        return WorkerHealth(
            alive=bool(crew) and all(each.alive(now) for each in crew),
            heartbeat_age_s=max((each.heartbeat_age(now) for each in crew), default=0.0),
            restarts=sum(each.restarts for each in crew),
            last_error=next((each.last_crash for each in crew if each.last_crash), None),
        )
