"""Builds the sinks that use a network; imports ssl and h11."""

from pathlib import Path
from typing import Final

from townlet_adapters.secrets import configured_secret
from townlet_adapters.telemetry.clock import SystemClock
from townlet_adapters.telemetry.delivery.courier import NETWORK, Pace
from townlet_adapters.telemetry.delivery.deadletters import DeadLetters
from townlet_adapters.telemetry.delivery.sink import DeliveringSink
from townlet_adapters.telemetry.envelope import source_urn
from townlet_adapters.telemetry.options import (
    HttpOptions,
    NetworkOptions,
    TcpOptions,
    TlsOptions,
)
from townlet_adapters.telemetry.spool.base import OutboxLimits
from townlet_adapters.telemetry.spool.outbox import Outbox
from townlet_adapters.telemetry.transports.http import HttpTransport
from townlet_adapters.telemetry.transports.tcp import TcpSettings, TcpTransport
from townlet_adapters.telemetry.wire.endpoint import parse_endpoint, parse_url
from townlet_adapters.telemetry.wire.frames import is_plain
from townlet_adapters.telemetry.wire.signing import Signatures, parse_key
from townlet_adapters.telemetry.wire.tls import TlsSettings
from townlet_core.errors import ConfigError, NoRunFolderError, Problem
from townlet_core.ports.transport import Transport
from townlet_plugins.access import Access
from townlet_plugins.factory import BuildContext

DEAD_LETTERS: Final = "dead-letters"
"""Subfolder of a sink's folder for the events that its peer refused for good."""


def tcp_sink(options: TcpOptions, context: BuildContext, pace: Pace = NETWORK) -> DeliveringSink:
    """Build the sink that sends to a collector over TLS-TCP; ``pace`` sets its waiting times.

    Raises:
        ConfigError: when a secret or certificate that it needs cannot be used.
        NoRunFolderError: when its outbox is in the run folder, and there is none.
    """
    settings = TcpSettings(
        endpoint=parse_endpoint(options.endpoint),
        tls=None if options.allow_plaintext else _tls(options.tls, context.access),
        token=_token(options, context.access),
        connect_timeout=options.timeout_seconds,
        ack_timeout=options.timeout_seconds,
    )
    return _sink("tcp", TcpTransport(settings), options, context, pace)


def http_sink(options: HttpOptions, context: BuildContext, pace: Pace = NETWORK) -> DeliveringSink:
    """Build the sink that posts to an HTTP receiver; ``pace`` sets its waiting times.

    Raises:
        ConfigError: when a secret or certificate that it needs cannot be used.
        NoRunFolderError: when its outbox is in the run folder, and there is none.
    """
    url, access = parse_url(options.url), context.access
    transport = HttpTransport(
        url,
        _tls(options.tls, access) if url.secure else None,
        _signatures(options, access),
        timeout=options.timeout_seconds,
    )
    return _sink("http", transport, options, context, pace)


def _sink(
    name: str, transport: Transport, options: NetworkOptions, context: BuildContext, pace: Pace
) -> DeliveringSink:
    folder = _folder(name, options, context)
    clock = SystemClock()
    outbox = None
    if options.durability != "memory":
        if folder is None:
            raise NoRunFolderError(
                f"the {name} sink is not opened: its outbox '{options.spool_dir}' is in the run folder, "
                "and this run has none; give an absolute spool_dir, run with a folder, or set "
                "durability: memory"
            )
        limits = OutboxLimits(bytes=options.spool_bytes, durability=options.durability)
        outbox = Outbox(folder, limits, clock)
    return DeliveringSink(
        name,
        transport,
        source=source_urn(context.run_id, context.producer),
        limits=options,
        stream=context.stream,
        clock=clock,
        pace=pace,
        outbox=outbox,
        dead_letters=None
        if folder is None
        else DeadLetters(folder / DEAD_LETTERS, options.dead_letter_bytes),
    )


def _folder(name: str, options: NetworkOptions, context: BuildContext) -> Path | None:
    """Return the folder of a sink's files; each sink of a config has its own."""
    spool_dir = Path(options.spool_dir)
    if not spool_dir.is_absolute():
        if context.run_dir is None:
            return None
        spool_dir = context.run_dir / spool_dir
    return spool_dir / f"{name}-{context.producer}"


def _tls(options: TlsOptions, access: Access) -> TlsSettings:
    def path(key: str, file: str | None) -> Path | None:
        if file is None:
            return None
        access.file(file, f"tls.{key}")
        # Not resolved, so that a certificate can be renewed by changing a link.
        return access.folder / file

    return TlsSettings(
        ca_file=path("ca_file", options.ca_file),
        cert_file=path("cert_file", options.cert_file),
        key_file=path("key_file", options.key_file),
        crl_file=path("crl_file", options.crl_file),
        min_version=options.min_version,
        key_sha256=options.key_sha256,
    )


def _token(options: TcpOptions, access: Access) -> str:
    env, file = options.token_env, options.token_file
    if env is None and file is None and options.tls.cert_file is not None:
        return ""  # the certificate authenticates the town
    token = configured_secret("token", env, file, access).decode("latin-1")
    if not is_plain(token):
        raise _unusable("token", env, "it has characters other than printable ASCII", "such as hex digits")
    return token


def _signatures(options: HttpOptions, access: Access) -> Signatures:
    keys = [_key("secret", options.secret_env, options.secret_file, access)]
    if options.second_secret_env is not None or options.second_secret_file is not None:
        keys.append(_key("second_secret", options.second_secret_env, options.second_secret_file, access))
    return Signatures(keys)


def _key(name: str, env: str | None, file: str | None, access: Access) -> bytes:
    try:
        return parse_key(configured_secret(name, env, file, access))
    except ValueError as error:
        raise _unusable(name, env, str(error), "24 to 64 bytes, as text or as whsec_ and base64") from error


def _unusable(name: str, env: str | None, found: str, allowed: str) -> ConfigError:
    return ConfigError(Problem(f"{name}_file" if env is None else f"{name}_env", found, allowed))
