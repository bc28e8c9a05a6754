"""``townlet collect``: its options, and the report."""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, get_args

import click
from rich.table import Table

from townlet_adapters.cli import errors
from townlet_adapters.cli.collecting import METRICS, Wish, collect
from townlet_adapters.cli.console import configure_logs, stdout_console
from townlet_adapters.secrets import read_secret
from townlet_adapters.telemetry.collector.credentials import (
    Secret,
    Token,
    read_secrets,
    read_tokens,
    secret_of,
    token_of,
)
from townlet_adapters.telemetry.collector.ledger import Report
from townlet_adapters.telemetry.collector.plan import StoreLimits
from townlet_adapters.telemetry.collector.settings import SCHEMES, CollectorSettings, Listen
from townlet_adapters.telemetry.collector.store import read_report
from townlet_adapters.telemetry.collector.stream import PeerLimits
from townlet_adapters.telemetry.ranges import RangeSet
from townlet_adapters.telemetry.wire.endpoint import parse_listening
from townlet_adapters.telemetry.wire.tls import ServerTlsSettings
from townlet_adapters.telemetry.wire.versions import OLDEST_TLS, TlsVersion
from townlet_core.errors import ConfigError, Problem

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
"""Keys as the parts name them in errors, and the options that stand for them."""
_ANY_KEY: Final = re.compile(rf"(?<!\w)({'|'.join(map(re.escape, _KEYS))})(?!\w)")

_MOST_RANGES = 5
_FILE = click.Path(path_type=Path)
_DEFAULT_STORE = StoreLimits()
_DEFAULT_PEERS = PeerLimits()


@click.command("collect")
@click.option(
    "--listen",
    multiple=True,
    metavar="URL",
    help="Where to listen: tls://HOST:PORT for frames, https://HOST:PORT for posts; port 0 takes a free one; "
    "can be repeated.",
)
@click.option("--out", type=_FILE, metavar="DIR", help="Folder for the events; one collector at a time.")
@click.option(
    "--cert", type=_FILE, metavar="FILE", help="The collector's certificate with its chain, as PEM."
)
@click.option("--key", type=_FILE, metavar="FILE", help="Its private key, as PEM, readable by you alone.")
@click.option(
    "--client-ca",
    type=_FILE,
    metavar="FILE",
    help="Accept only clients with a certificate of these.",
)
@click.option("--crl", type=_FILE, metavar="FILE", help="Revoked client certificates, as PEM.")
@click.option(
    "--min-tls",
    type=click.Choice(get_args(TlsVersion)),
    default=OLDEST_TLS,
    show_default=True,
    help="Oldest TLS.",
)
@click.option(
    "--token-env",
    multiple=True,
    metavar="NAME",
    help="Variable with a token that frames must bring; can be repeated while tokens are changed.",
)
@click.option(
    "--token-file", multiple=True, metavar="FILE", help="File with such a token, readable by you alone."
)
@click.option(
    "--tokens-file",
    type=_FILE,
    metavar="FILE",
    help="File with a line NAME SHA256 for each token of each sender, readable by you alone.",
)
@click.option(
    "--secret-env",
    multiple=True,
    metavar="NAME",
    help="Variable with a secret that posts must be signed with; can be repeated while secrets are changed.",
)
@click.option(
    "--secret-file", multiple=True, metavar="FILE", help="File with such a secret, readable by you alone."
)
@click.option(
    "--secrets-file",
    type=_FILE,
    metavar="FILE",
    help="File with a line NAME SECRET for each secret of each sender, readable by you alone.",
)
@click.option(
    "--allow-plaintext", is_flag=True, help="Allow tcp:// and http:// on this machine, for trials only."
)
@click.option(
    METRICS,
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
    "--ready-file", type=_FILE, metavar="FILE", help="Write the line with the addresses to this file, too."
)
@click.option(
    "--heartbeat",
    type=click.FloatRange(min=0.1),
    default=5.0,
    show_default=True,
    metavar="MINUTES",
    help="Log that often how many events are stored, of how many sources, and how many are missing.",
)
@click.option("--quiet", is_flag=True, help="Log no heartbeat.")
@click.option(
    "--report",
    type=_FILE,
    metavar="DIR",
    help="Print what a folder holds and misses; do not listen.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(  # noqa: PLR0913 - one parameter for each option
    listen: tuple[str, ...],
    *,
    out: Path | None,
    cert: Path | None,
    key: Path | None,
    client_ca: Path | None,
    crl: Path | None,
    min_tls: TlsVersion,
    token_env: tuple[str, ...],
    token_file: tuple[str, ...],
    tokens_file: Path | None,
    secret_env: tuple[str, ...],
    secret_file: tuple[str, ...],
    secrets_file: Path | None,
    allow_plaintext: bool,
    metrics: str | None,
    max_bytes: int | None,
    max_sources: int,
    max_connections: int,
    ready_file: Path | None,
    heartbeat: float,
    quiet: bool,
    report: Path | None,
    as_json: bool,
) -> int:
    """Receive events of towns over TLS-TCP and HTTPS, and store them: one NDJSON file for each source.

    An event is acknowledged once it is on the disk, and stored once however often it arrives. report.json
    lists what is missing without a loss record; --report prints it, with exit code 1 if anything is missing.
    Interrupt it once to stop in good order, twice to stop at once.

    \b
    Examples:
      townlet collect --listen tls://0.0.0.0:7443 --cert server.pem --key server.key \\
                      --tokens-file tokens --out events
      townlet collect --listen https://0.0.0.0:8443 --cert server.pem --key server.key \\
                      --secret-file webhook.secret --client-ca clients.pem --out events
      townlet collect --listen tcp://127.0.0.1:0 --allow-plaintext --token-env TOWNLET_TOKEN --out events
      townlet collect --report events
    """
    if report is not None and not listen and out is None:
        return _print(read_report(report), as_json=as_json)
    if not listen or out is None or report is not None:
        raise click.UsageError("give --listen and --out, or --report alone")
    with _our_names():
        settings = CollectorSettings(
            folder=out,
            listen=tuple(map(_listen, listen)),
            tls=_tls(cert, key, client_ca, crl, min_tls),
            tokens=_tokens(token_env, token_file, tokens_file),
            secrets=_secrets(secret_env, secret_file, secrets_file),
            allow_plaintext=allow_plaintext,
            store=_DEFAULT_STORE._replace(folder_bytes=max_bytes, sources=max_sources),
            peers=_DEFAULT_PEERS._replace(connections=max_connections),
        )
        configure_logs()
        return asyncio.run(collect(settings, Wish(metrics, ready_file, None if quiet else heartbeat * 60)))


@contextmanager
def _our_names() -> Iterator[None]:
    """Name options instead of a config's keys in errors."""
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
        raise ConfigError(Problem("--listen", "is not an address to listen at", allowed))
    return Listen(scheme, parse_listening(place, "--listen"))


def _tls(
    cert: Path | None, key: Path | None, client_ca: Path | None, crl: Path | None, min_tls: TlsVersion
) -> ServerTlsSettings | None:
    if (cert is None) != (key is None):
        raise click.UsageError("--cert and --key belong together")
    if cert is None or key is None:
        if client_ca is not None or crl is not None:
            raise click.UsageError("--client-ca and --crl need --cert and --key")
        return None
    return ServerTlsSettings(cert, key, client_ca, crl, min_tls)


def _tokens(variables: Sequence[str], files: Sequence[str], file: Path | None) -> tuple[Token, ...]:
    named = read_tokens(file, "--tokens-file") if file is not None else ()
    return (*(token_of(each, key=key) for key, each in _read("token", variables, files)), *named)


def _secrets(variables: Sequence[str], files: Sequence[str], file: Path | None) -> tuple[Secret, ...]:
    named = read_secrets(file, "--secrets-file") if file is not None else ()
    return (*(secret_of(each, key=key) for key, each in _read("secret", variables, files)), *named)


def _read(name: str, variables: Sequence[str], files: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Read tokens or secrets, each with the option that it came by."""
    for variable in variables:
        yield f"--{name}-env", read_secret(name, variable, None)
    for file in files:
        yield f"--{name}-file", read_secret(name, None, Path(file))


def _print(report: Report, *, as_json: bool) -> int:
    """Print a report; the exit code says whether anything is missing or contradicts itself."""
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        table = Table(box=None, pad_edge=False)
        for title in (
            "source",
            "owner",
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
            declared = "; ".join(f"{reason}: {_format(ranges)}" for reason, ranges in each.declared.items())
            bounds = ["-" if number is None else str(number) for number in (each.first, each.through)]
            values = (_format(each.missing), declared or "-", _format(each.contradictions))
            table.add_row(
                each.source, each.owner or "-", str(each.events), str(each.duplicates), *bounds, *values
            )
        stdout_console().print(table, markup=False)
    return errors.DONE if report.exact else errors.FAILED


def _format(ranges: RangeSet) -> str:
    """Format ranges for a person: all of a few, the number of many."""
    parts = [str(first) if first == last else f"{first}-{last}" for first, last in ranges]
    text = ", ".join(parts[:_MOST_RANGES])
    if len(parts) > _MOST_RANGES:
        text += f", ... ({ranges.count()} in {len(parts)} ranges)"
    return text or "-"
