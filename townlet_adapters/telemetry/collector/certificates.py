"""The TLS of incoming connections; certificates that are replaced on disk are taken up."""

import logging
import ssl
from collections.abc import Callable

from townlet_adapters.telemetry.wire.tls import ServerTlsSettings, server_context
from townlet_core.errors import ConfigError

_log = logging.getLogger(__name__)


def fresh_contexts(settings: ServerTlsSettings) -> Callable[[], ssl.SSLContext]:
    """Return a function that returns the TLS of a new connection, made anew when a file was replaced.

    Raises:
        ConfigError: when the files cannot be used now. When they cannot be used later, the former ones stay.
    """
    files = [settings.cert_file, settings.key_file, settings.client_ca_file, settings.crl_file]

    def stamps() -> list[tuple[int, int, int]]:
        found = [path.stat() for path in files if path is not None]
        return [(status.st_ino, status.st_mtime_ns, status.st_size) for status in found]

    context = server_context(settings)
    seen = stamps()

    def fresh() -> ssl.SSLContext:
        nonlocal context, seen
        try:
            now = stamps()
            if now != seen:
                seen = now
                context = server_context(settings)
                _log.warning("the certificates were replaced; new connections use the new ones")
        except (ConfigError, OSError) as error:
            _log.error("the certificates cannot be renewed, the former ones stay: %s", error)
        return context

    return fresh
