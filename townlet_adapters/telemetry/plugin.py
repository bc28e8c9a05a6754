"""The built-in sinks, offered through the same plugin hooks as third-party sinks."""

from collections.abc import Sequence

from townlet_adapters.telemetry.delivery.sink import DeliveringSink
from townlet_adapters.telemetry.envelope import source_urn
from townlet_adapters.telemetry.options import FileOptions, HttpOptions, StdoutOptions, TcpOptions
from townlet_adapters.telemetry.transports.file import FileTransport
from townlet_adapters.telemetry.transports.stdout import StdoutTransport
from townlet_core.ports import TelemetrySinkProtocol
from townlet_plugins import hookimpl
from townlet_plugins.factory import BuildContext, Factory, PartFactory


@hookimpl
def townlet_sinks() -> Sequence[PartFactory[TelemetrySinkProtocol]]:
    """Offer ``stdout`` and ``file``, ``tcp`` and ``http``."""
    return (
        Factory("stdout", StdoutOptions, build_stdout_sink, "one JSON event per line on standard output"),
        Factory(
            "file",
            FileOptions,
            build_file_sink,
            "one JSON event per line in a file of the run folder",
            target="path",
        ),
        Factory(
            "tcp",
            TcpOptions,
            build_tcp_sink,
            "events in frames over TLS to a collector that acknowledges what it has stored",
            target="endpoint",
        ),
        Factory(
            "http",
            HttpOptions,
            build_http_sink,
            "signed batches of events over HTTPS to any receiver of CloudEvents",
            target="url",
        ),
    )


def build_stdout_sink(options: StdoutOptions, context: BuildContext) -> DeliveringSink:
    """Build the sink that writes to standard output."""
    return DeliveringSink(
        "stdout",
        StdoutTransport(),
        source=source_urn(context.run_id, context.producer),
        limits=options,
        stream=context.stream,
    )


def build_file_sink(options: FileOptions, context: BuildContext) -> DeliveringSink:
    """Build the sink that appends to a file.

    Raises:
        NoRunFolderError: when the path is relative and the run has no folder.
    """
    return DeliveringSink(
        "file",
        FileTransport(context.output_path(options.path), rotate_bytes=options.rotate_bytes),
        source=source_urn(context.run_id, context.producer),
        limits=options,
        stream=context.stream,
    )


def build_tcp_sink(options: TcpOptions, context: BuildContext) -> DeliveringSink:
    """Build the sink that sends to a collector; see ``network.tcp_sink``."""
    from townlet_adapters.telemetry.network import tcp_sink  # noqa: PLC0415 - imports ssl and h11

    return tcp_sink(options, context)


def build_http_sink(options: HttpOptions, context: BuildContext) -> DeliveringSink:
    """Build the sink that posts to a receiver; see ``network.http_sink``."""
    from townlet_adapters.telemetry.network import http_sink  # noqa: PLC0415 - imports ssl and h11

    return http_sink(options, context)
