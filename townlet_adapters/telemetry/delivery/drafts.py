"""Encodes what a sink is to send, before it has a number."""

from collections.abc import Sequence
from typing import Final, TypeAlias

from townlet_adapters.telemetry.clock import Clock
from townlet_adapters.telemetry.delivery.losses import record_of_loss
from townlet_adapters.telemetry.envelope import Encoder, EnvelopeError, Record, Shedding
from townlet_adapters.telemetry.spool.base import Loss
from townlet_adapters.telemetry.streams import Strand
from townlet_core.dto.frame import StateFrame
from townlet_core.events.base import Diagnostic
from townlet_core.ports.telemetry import Message

Draft: TypeAlias = tuple[bytes, Shedding, str, int | None]
"""An envelope without its number, its class, an empty reason, and the number of the message that it is a
patch of; or no envelope, but the reason of a rejection. A plain tuple: every message needs one."""

NO_DRAFT: Final[Draft] = (b"", Shedding.NORMAL, "", None)
"""The draft of any message to a failed sink: it writes nothing any more, so nothing is encoded for it."""


class Drafter:
    """Encodes messages, and the state in strands.

    Attributes:
        strands: the series that a ``StateFrame`` is sent as; empty for whole frames.
        tick: the tick of the latest message.
    """

    def __init__(self, source: str, clock: Clock, strands: Sequence[Strand]) -> None:
        """Encode for ``source``."""
        self._encoder = Encoder(source)
        self._clock = clock
        self.strands = strands
        self.tick = 0

    def draft(self, message: Message) -> Draft:
        """Encode a message; the draft of one that cannot be encoded holds the reason."""
        try:
            body, shedding = self._encoder.body(message, self._clock.wall())
            self.tick = message.tick
        except Exception as error:  # noqa: BLE001 - a third party's event may raise anything; the run must continue
            return _refused(error)
        return body, shedding, "", None

    def draft_next(self, strand: Strand, state: StateFrame) -> Draft:
        """Encode the next message of a strand; likewise."""
        try:
            each = strand.next(state.frame)
            planhash = state.planhash if each.baseseq is None else ""
            record = Record(each.kind, state.tick, each.data, each.baseseq, each.state, planhash)
            body = self._encoder.state_body(record, self._clock.wall())
            self.tick = state.tick
        except Exception as error:  # noqa: BLE001 - as above
            return _refused(error)
        return body, Shedding.BULK, "", each.baseseq

    def draft_loss(self, loss: Loss) -> tuple[bytes, Shedding]:
        """Encode the record of a loss."""
        return self._encoder.body(Diagnostic(self.tick, record_of_loss(loss)), self._clock.wall())

    def cut(self) -> None:
        """Make the next state messages whole, because their bases may never arrive."""
        for strand in self.strands:
            strand.cut()


def _refused(error: Exception) -> Draft:
    if isinstance(error, EnvelopeError):
        return b"", Shedding.NORMAL, error.reason, None
    return b"", Shedding.NORMAL, "too_deep" if isinstance(error, RecursionError) else "not_json", None
