"""``townlet collect``."""

import asyncio
import json
import os
import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

import click
from rich.table import Table

from townlet_adapters.cli import errors
from townlet_adapters.cli.console import configure_logs, note, stdout_console
from townlet_adapters.secrets import read_secret
from townlet_adapters.storage.atomic import write_json
from townlet_adapters.telemetry.collector.ledger import Report
from townlet_adapters.telemetry.collector.plan import StoreLimits
from townlet_adapters.telemetry.collector.service import Collector
from townlet_adapters.telemetry.collector.settings import SCHEMES, CollectorSettings, Listen
from townlet_adapters.telemetry.collector.store import read_report
from townlet_adapters.telemetry.collector.stream import PeerLimits
from townlet_adapters.telemetry.ranges import RangeSet
from townlet_adapters.telemetry.wire.endpoint import parse_listening
from townlet_adapters.telemetry.wire.tls import ServerTlsSettings
from townlet_core.errors import ConfigError, Problem
from townlet_core.jsonvalue import JsonObject

_METRICS = "--metrics"
_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "tls.cert_file": "--cert",
        "tls.key_file": "--key",
        "tls.client_ca_file": "--client-ca",
        "tls.crl_file": "--crl",
        "token_env": "--token-env",
        "token_file": "--token-file",
        "secret_env": "--secret-env",
        "secret_file": "--secret-file",
    }
)
"""What the parts that we use call things, and what they are called here."""
_ANY_KEY: Final = re.compile(rf"(?<!\w)({'|'.join(map(re.escape, _KEYS))})(?!\w)")

_RANGES_TOLD = 5
_FILE = click.Path(path_type=Path)
_DEFAULT_STORE = StoreLimits()
_DEFAULT_PEERS = PeerLimits()


class _Wish(NamedTuple):
    """What is wanted beside a collector.

    Attributes:
        metrics: ``HOST:PORT`` to answer Prometheus at, or None.
        ready_file: file to write once the collector listens, or None.
    """

    metrics: str | None
    ready_file: Path | None


@click.command("collect")
@click.option(
    "--listen",
    multiple=True,
    metavar="URL",
    help="Where to listen: tls://HOST:PORT for frames, https://HOST:PORT for posts; port 0 takes a free one; "
    "can be repeated.",
)
@click.option("--out", type=_FILE, metavar="DIR", help="Folder for the events; one collector at a time.")
@click.option("--cert", type=_FILE, metavar="FILE", help="Our certificate with its chain, as PEM.")
@click.option("--key", type=_FILE, metavar="FILE", help="Its private key, as PEM, readable by you alone.")
@click.option(
    "--client-ca", type=_FILE, metavar="FILE", help="Let in only clients with a certificate of these."
)
@click.option("--crl", type=_FILE, metavar="FILE", help="Revoked client certificates, as PEM.")
@click.option(
    "--min-tls", type=click.Choice(["1.2", "1.3"]), default="1.3", show_default=True, help="Oldest TLS."
)
@click.option(
    "--token-env",
    multiple=True,
    metavar="NAME",
    help="Variable with a token that frames must bring; repeated while tokens are changed.",
)
@click.option(
    "--token-file", multiple=True, metavar="FILE", help="File with such a token, readable by you alone."
)
@click.option(
    "--secret-env",
    multiple=True,
    metavar="NAME",
    help="Variable with a secret that posts must be signed with; repeated while secrets are changed.",
)
@click.option(
    "--secret-file", multiple=True, metavar="FILE", help="File with such a secret, readable by you alone."
)
@click.option(
    "--allow-plaintext", is_flag=True, help="Take tcp:// and http:// on this machine, for trials only."
)
@click.option(
    _METRICS,
    metavar="HOST:PORT",
    help="Answer Prometheus there, without encryption or password; port 0 takes a free one.",
)
@click.option(
    "--max-bytes",
    type=click.IntRange(min=1),
    metavar="N",
    help="Most bytes of all events; default: no limit.",
)
@click.option(
    "--max-sources",
    type=click.IntRange(min=1),
    default=_DEFAULT_STORE.sources,
    show_default=True,
    metavar="N",
    help="Most sources kept in mind.",
)
@click.option(
    "--max-connections",
    type=click.IntRange(min=1),
    default=_DEFAULT_PEERS.connections,
    show_default=True,
    metavar="N",
    help="Most connections at each address.",
)
@click.option(
    "--ready-file", type=_FILE, metavar="FILE", help="Write the line that says where it listens here, too."
)
@click.option(
    "--report", type=_FILE, metavar="DIR", help="Tell what a folder holds and what is missing; do not listen."
)
@click.option("--json", "as_json", is_flag=True, help="Tell the report as JSON.")
def command(  # noqa: PLR0913 - one parameter for each option
    listen: tuple[str, ...],
    *,
    out: Path | None,
    cert: Path | None,
    key: Path | None,
    client_ca: Path | None,
    crl: Path | None,
    min_tls: str,
    token_env: tuple[str, ...],
    token_file: tuple[str, ...],
    secret_env: tuple[str, ...],
    secret_file: tuple[str, ...],
    allow_plaintext: bool,
    metrics: str | None,
    max_bytes: int | None,
    max_sources: int,
    max_connections: int,
    ready_file: Path | None,
    report: Path | None,
    as_json: bool,
) -> int:
    """Receive what towns send over TLS-TCP and HTTPS, and keep it: one NDJSON file for each source.

    An event is acknowledged once it is on the disk, and stored once however often it arrives. What is missing
    without a loss record stands in report.json; --report tells it, with exit code 1 if there is anything.
    Interrupt it once to stop in good order, twice to stop at once.

    \b
    Examples:
      townlet collect --listen tls://0.0.0.0:7443 --cert server.pem --key server.key \\
                      --token-env TOWNLET_TOKEN --out events
      townlet collect --listen https://0.0.0.0:8443 --cert server.pem --key server.key \\
                      --secret-file webhook.secret --client-ca clients.pem --out events
      townlet collect --listen tcp://127.0.0.1:0 --allow-plaintext --token-env TOWNLET_TOKEN --out events
      townlet collect --report events
    """
    if report is not None:
        if listen or out is not None:
            raise click.UsageError("--report tells of a folder; it goes with neither --listen nor --out")
        return _tell(read_report(report), as_json=as_json)
    if not listen or out is None:
        raise click.UsageError("give --listen and --out, or --report")
    configure_logs()
    with _our_names():
        settings = CollectorSettings(
            folder=out,
            listen=tuple(map(_listen, listen)),
            tls=_tls(cert, key, client_ca, crl, min_tls),
            tokens=_secrets("token", token_env, token_file),
            secrets=_secrets("secret", secret_env, secret_file),
            allow_plaintext=allow_plaintext,
            store=_DEFAULT_STORE._replace(folder_bytes=max_bytes, sources=max_sources),
            peers=_DEFAULT_PEERS._replace(connections=max_connections),
        )
        settings.check()
        return asyncio.run(_collect(settings, _Wish(metrics, ready_file)))


async def _collect(settings: CollectorSettings, wish: _Wish) -> int:
    """Collect until a signal comes."""
    stop: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    _take_signals(stop)
    collector = Collector(settings)
    await collector.start()
    try:
        with ExitStack() as stack:
            metrics = _serve_metrics(collector, wish.metrics, stack) if wish.metrics is not None else None
            ready: JsonObject = {"listening": collector.urls, "metrics": metrics, "pid": os.getpid()}
            if wish.ready_file is not None:
                write_json(wish.ready_file, ready)
            click.echo(json.dumps(ready), err=True)
            code = await stop
            note("stopping: what has come is stored and acknowledged; interrupt again to stop at once")
    finally:
        await collector.stop()
    totals = collector.report().totals
    note(
        f"stored {collector.figures.stored} events now, {totals.events} of {totals.sources} sources in all; "
        f"{totals.missing} missing, {totals.declared} declared lost"
    )
    return code


def _take_signals(stop: "asyncio.Future[int]") -> None:
    """Let the first SIGINT or SIGTERM set the exit code, and the second end everything at once."""
    loop = asyncio.get_running_loop()

    def first(code: int) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
            signal.signal(number, lambda *_: os._exit(errors.INTERRUPTED))
        if not stop.done():
            stop.set_result(code)

    # A service manager ends a service by SIGTERM, and takes it for well.
    loop.add_signal_handler(signal.SIGINT, first, errors.INTERRUPTED)
    loop.add_signal_handler(signal.SIGTERM, first, errors.DONE)


def _serve_metrics(collector: Collector, text: str, stack: ExitStack) -> str:
    """Answer Prometheus until the stack is unwound; tells where."""
    # Imported late: it takes a while, and most collectors are not watched.
    from prometheus_client.registry import CollectorRegistry  # noqa: PLC0415 - as said above

    from townlet_adapters.telemetry.collector.metrics import CollectorMetrics  # noqa: PLC0415 - as above
    from townlet_adapters.telemetry.monitoring.exposition import serve_metrics  # noqa: PLC0415 - as above

    registry = CollectorRegistry()
    registry.register(CollectorMetrics(collector))
    where = stack.enter_context(serve_metrics(parse_listening(text, _METRICS), registry, _METRICS))
    return f"http://{where.authority}/metrics"


@contextmanager
def _our_names() -> Iterator[None]:
    """Let errors name our options instead of a config's keys."""
    try:
        yield
    except ConfigError as error:
        problems = (
            replace(each, key=_KEYS.get(each.key, each.key), allowed=_ANY_KEY.sub(_our_name, each.allowed))
            for each in error.problems
        )
        raise ConfigError(*problems) from error


def _our_name(key: re.Match[str]) -> str:
    return _KEYS[key[0]]


def _listen(text: str) -> Listen:
    name, mark, place = text.partition("://")
    scheme = next((each for each in SCHEMES if each == name), None)
    if scheme is None or not mark:
        allowed = "tls://HOST:PORT, https://HOST:PORT, or on this machine tcp:// and http://"
        raise ConfigError(Problem("--listen", "is no address to listen on", allowed))
    return Listen(scheme, parse_listening(place, "--listen"))


def _tls(
    cert: Path | None, key: Path | None, client_ca: Path | None, crl: Path | None, min_tls: str
) -> ServerTlsSettings | None:
    if (cert is None) != (key is None):
        raise click.UsageError("--cert and --key belong together")
    if cert is None or key is None:
        if client_ca is not None or crl is not None:
            raise click.UsageError("--client-ca and --crl need --cert and --key")
        return None
    return ServerTlsSettings(cert, key, client_ca, crl, "1.2" if min_tls == "1.2" else "1.3")


def _secrets(name: str, variables: Sequence[str], files: Sequence[str]) -> tuple[bytes, ...]:
    folder = Path()
    by_variable = [read_secret(name, variable, None, folder) for variable in variables]
    return (*by_variable, *(read_secret(name, None, file, folder) for file in files))


def _tell(report: Report, *, as_json: bool) -> int:
    """Print a report; the exit code says whether anything is missing or contradicts itself."""
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        table = Table(box=None, pad_edge=False)
        for title in (
            "source",
            "events",
            "duplicates",
            "first",
            "through",
            "missing",
            "declared lost",
            "wrong",
        ):
            table.add_column(title, overflow="fold")
        for each in report.sources:
            declared = "; ".join(f"{reason}: {_spell(ranges)}" for reason, ranges in each.declared.items())
            bounds = ["-" if number is None else str(number) for number in (each.first, each.through)]
            told = (_spell(each.missing), declared or "-", _spell(each.contradictions))
            table.add_row(each.source, str(each.events), str(each.duplicates), *bounds, *told)
        stdout_console().print(table, markup=False)
    return errors.DONE if report.exact else errors.FAILED


def _spell(ranges: RangeSet) -> str:
    """Spell ranges for a person: all of a few, the number of many."""
    parts = [str(first) if first == last else f"{first}-{last}" for first, last in ranges]
    told = ", ".join(parts[:_RANGES_TOLD])
    if len(parts) > _RANGES_TOLD:
        told += f", ... ({ranges.count()} in {len(parts)} ranges)"
    return told or "-"
