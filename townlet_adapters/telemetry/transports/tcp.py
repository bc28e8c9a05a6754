"""Sends lines in frames over TLS; a collector acknowledges what it has stored.

One connection serves one source. The first ``write`` opens it, it is kept between writes, and it is reopened
after any error: the lines that the collector then reports as stored are not sent again.
"""

import logging
import time
from bisect import bisect_right
from dataclasses import KW_ONLY, dataclass, field

from townlet_adapters.telemetry.transports.channel import Interrupt
from townlet_adapters.telemetry.transports.conversation import Conversation, Progress
from townlet_adapters.telemetry.transports.dialing import Lookup, connect, look_up
from townlet_adapters.telemetry.wire import tls
from townlet_adapters.telemetry.wire.endpoint import Endpoint, require_local
from townlet_adapters.telemetry.wire.frames import MAX_TOKEN, Hello, is_plain
from townlet_adapters.telemetry.wire.tls import TlsSettings
from townlet_core.errors import ConfigError, ContractError, Problem
from townlet_core.ports.transport import Batch, Condition, TransportError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TcpSettings:
    """The destination, the sender's identity, and the time-outs.

    Attributes:
        endpoint: the collector.
        tls: None for plaintext, which goes to this machine only.
        token: authenticates this sender to the collector; printable ASCII, or empty when a certificate does.
        software: name and version of this program, for the collector's log.
        connect_timeout: seconds for name, connection, TLS and HELLO together.
        ack_timeout: seconds without another stored line after which the connection is closed.
        idle: seconds of silence after which the collector gets a PING before the next lines.
    """

    endpoint: Endpoint
    tls: TlsSettings | None
    token: str = field(default="", repr=False)
    software: str = "townlet"
    _: KW_ONLY
    connect_timeout: float
    ack_timeout: float
    idle: float = 10.0


class TcpTransport:
    """Sends to a collector; acknowledged lines are stored there for good."""

    def __init__(self, settings: TcpSettings, lookup: Lookup = look_up) -> None:
        """Prepare to send; ``lookup`` resolves the endpoint's name."""
        self._settings = settings
        self._lookup = lookup
        self._interrupt: Interrupt | None = None
        self._conversation: Conversation | None = None
        self._progress = Progress("")
        self._expires: float | None = None

    def open(self) -> None:
        """Check the settings and the files that they name; no connection is opened yet.

        Raises:
            ConfigError: when they cannot work.
        """
        settings = self._settings
        if len(settings.token) > MAX_TOKEN or not is_plain(settings.token):
            found = "it is not printable ASCII, or it is too long"
            raise ConfigError(Problem("token", found, f"at most {MAX_TOKEN} characters, such as hex digits"))
        if settings.tls is None:
            require_local(settings.endpoint, "endpoint")
            _log.warning("sink tcp: sends events and token in plaintext to %s", settings.endpoint.authority)
        else:
            tls.client_context(settings.tls)
            own = tls.own_leaf(settings.tls)
            self._expires = None if own is None else own.expires
        self._interrupt = Interrupt()

    def write(self, batch: Batch) -> int:
        """Send lines and wait until they are stored; returns how many from the front are.

        Large batches fill the window: eight frames of 512 lines are in transit at a time.

        Raises:
            TransportError: when none could be stored, and why.
        """
        try:
            self._conversation_about(batch).deliver(batch, self._settings.ack_timeout)
        except TransportError as error:
            self._hang_up()
            stored = self._stored(batch)
            if stored == 0:
                raise
            # These lines are done; the error of the next one will occur again.
            _log.info("sink tcp: %d lines were stored, then %s", stored, error)
            return stored
        except BaseException:
            # After any other exception the state of this connection is unknown.
            self._hang_up()
            raise
        return self._stored(batch)

    def interrupt(self) -> None:
        """End a waiting ``write`` at once, and every later one; from any thread, for good."""
        if self._interrupt is not None:
            self._interrupt.set()

    def condition(self) -> Condition:
        """Return the result of the last attempt and when a certificate expires; cheap, from any thread."""
        return Condition(self._conversation is not None, self._expires)

    def close(self) -> None:
        """Send BYE if the collector accepts it, and close."""
        if self._conversation is not None:
            self._conversation.say_bye()
            self._conversation = None
        if self._interrupt is not None:
            self._interrupt.close()

    def abandon(self) -> None:
        """Close without sending anything: after a fork the connection belongs to the parent."""
        self._hang_up()
        if self._interrupt is not None:
            self._interrupt.close()

    def _stored(self, batch: Batch) -> int:
        if self._progress.source != batch.source:
            return 0
        return bisect_right(batch.sequences, self._progress.stored_through)

    def _conversation_about(self, batch: Batch) -> Conversation:
        """Return the current connection if it is usable, or open a new one."""
        settings, conversation = self._settings, self._conversation
        if conversation is not None:
            if conversation.source != batch.source:
                conversation.say_bye()
            elif conversation.is_alive(settings.idle, settings.connect_timeout):
                return conversation
            self._hang_up()
        if self._progress.source != batch.source:
            self._progress = Progress(batch.source)
        if self._interrupt is None:
            raise ContractError("write() of the tcp transport was called before open()")
        deadline = time.monotonic() + settings.connect_timeout
        channel = connect(
            settings.endpoint, settings.tls, deadline=deadline, interrupt=self._interrupt, lookup=self._lookup
        )
        conversation = Conversation(channel, self._progress, settings.endpoint.authority)
        try:
            conversation.greet(Hello(batch.source, settings.token, settings.software), batch, deadline)
        except BaseException:
            conversation.abandon()
            raise
        self._expires = channel.certificate_expires
        self._conversation = conversation
        return conversation

    def _hang_up(self) -> None:
        if self._conversation is not None:
            self._conversation.abandon()
            self._conversation = None
