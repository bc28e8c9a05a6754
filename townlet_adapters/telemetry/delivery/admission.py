"""The town's side of a sink: accepts, numbers, rejects or drops messages."""

from collections import deque
from typing import Final

from townlet_adapters.telemetry.delivery.buffer import BUFFER_FULL
from townlet_adapters.telemetry.delivery.drafts import NO_DRAFT, Draft, Drafter
from townlet_adapters.telemetry.delivery.intake import Intake
from townlet_adapters.telemetry.delivery.life import Phase
from townlet_adapters.telemetry.envelope import SEAL_BYTES, SOFT_EVENT_BYTES, seal
from townlet_adapters.telemetry.streams import Strand
from townlet_core.dto.frame import StateFrame
from townlet_core.ports.telemetry import EmitResult, Message

_SAMPLE: Final = 63  # one emit out of 64 is timed
_ACCEPTED: Final = EmitResult("accepted")
_REJECTIONS: Final[dict[Phase, str]] = {
    "new": "not_started",
    "open": "",
    "closing": "stopped",
    "closed": "stopped",
}


class Admission:
    """Admits the messages of one sink to its intake, one at a time."""

    def __init__(self, intake: Intake, drafter: Drafter, *, patient: bool) -> None:
        """Start without a message.

        Args:
            intake: holds the admitted messages.
            drafter: encodes messages.
            patient: whether ``emit`` waits for room while the worker makes progress.
        """
        self._intake = intake
        self._drafter = drafter
        self._life, self._account, self._buffer = intake.life, intake.account, intake.buffer
        self._patient = patient
        self._admitting = False
        self._aside: deque[Draft | StateFrame] = deque()

    def emit(self, message: Message) -> EmitResult:
        """Encode the message and hold it for the worker; see ``DeliveringSink.emit``."""
        if self._account.numbered & _SAMPLE:
            return self._emit(message)
        return self._intake.stopwatch.emit(self._emit, message, self._account.numbered)

    def _emit(self, message: Message) -> EmitResult:
        if self._drafter.strands and isinstance(message, StateFrame):
            return self._emit_state(message)
        draft = NO_DRAFT if self._life.fatal else self._drafter.draft(message)
        with self._intake.lock:
            if self._admitting:
                # A signal handler emits within this thread's own emit, which admits the message at its end.
                self._aside.append(draft)
                return _ACCEPTED
            self._admitting = True
            try:
                result = self._admit(draft, patient=self._patient)
            finally:
                self._admitting = False
            if self._aside:
                self._admit_those_aside()
            return result

    def _emit_state(self, state: StateFrame) -> EmitResult:
        """Send a frame in strands; under one lock, because each message builds on the one before."""
        with self._intake.lock:
            if self._admitting:
                self._aside.append(state)
                return _ACCEPTED
            result = _ACCEPTED
            for strand in self._drafter.strands:
                if strand.due(state.tick):
                    one = self._send(strand, state, patient=self._patient)
                    result = result if one.status == "accepted" else one
            self._admit_those_aside()
            return result

    def _send(self, strand: Strand, state: StateFrame, *, patient: bool) -> EmitResult:
        self._admitting = True
        try:
            draft = self._draft_next(strand, state)
            if not self._fits(draft):
                changes = strand.changes
                if patient:
                    self._wait_for_room(draft)
                if draft[3] is not None and not self._fits(draft):
                    # To make room, older state is dropped, and with it the base of the patch.
                    strand.cut()
                if strand.changes != changes:
                    # Either that, or another thread emitted during the wait, so the base has changed.
                    draft = self._draft_next(strand, state)
            result = self._admit(draft, patient=False)
            if result.status == "accepted":
                strand.keep(state.tick, self._account.numbered - 1)
            else:
                strand.cut()
            return result
        finally:
            self._admitting = False

    def _admit_those_aside(self) -> None:
        while self._aside:
            each = self._aside.popleft()
            if isinstance(each, StateFrame):
                for strand in self._drafter.strands:
                    if strand.due(each.tick):
                        self._send(strand, each, patient=False)
            else:
                self._admitting = True
                try:
                    self._admit(each, patient=False)
                finally:
                    self._admitting = False

    def _draft_next(self, strand: Strand, state: StateFrame) -> Draft:
        return NO_DRAFT if self._life.fatal else self._drafter.draft_next(strand, state)

    def _admit(self, draft: Draft, *, patient: bool) -> EmitResult:
        body, shedding, refusal, base = draft
        life, account = self._life, self._account
        fits = self._buffer.fits(shedding, len(body) + SEAL_BYTES)
        if patient and not fits:
            self._wait_for_room(draft)
            fits = self._fits(draft)
        if refusal or life.phase != "open":
            refusal = refusal or _REJECTIONS[life.phase]
            account.reject(refusal)
            return EmitResult("rejected", refusal)
        sequence = account.numbered
        line = seal(body, sequence)
        account.number(shedding)
        if life.fatal:
            account.drop(life.fatal, shedding)
            return EmitResult("dropped", life.fatal)
        size = len(line)
        if size > SOFT_EVENT_BYTES:
            account.note_long()
        if not fits and not self._intake.make_room(shedding, size, sequence):
            return EmitResult("dropped", BUFFER_FULL)
        self._intake.hold((sequence, line, shedding, base))
        return _ACCEPTED

    def _fits(self, draft: Draft) -> bool:
        return self._buffer.fits(draft[1], len(draft[0]) + SEAL_BYTES)

    def _wait_for_room(self, draft: Draft) -> None:
        body, shedding, refusal, _ = draft
        size = len(body) + SEAL_BYTES
        if refusal or not self._buffer.could_fit(shedding, size):
            return
        # During the wait other threads may take the lock, and admit their own messages.
        self._admitting = False
        try:
            self._intake.wait_for_room(shedding, size)
        finally:
            self._admitting = True
