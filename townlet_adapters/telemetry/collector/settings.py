"""The settings of a collector, and the checks that they can work and are safe."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias

from townlet_adapters.telemetry.collector.credentials import MOST_SECRETS, Secret, Token
from townlet_adapters.telemetry.collector.plan import StoreLimits
from townlet_adapters.telemetry.collector.stream import PeerLimits
from townlet_adapters.telemetry.wire.endpoint import Endpoint, require_local
from townlet_adapters.telemetry.wire.tls import ServerTlsSettings
from townlet_core.errors import ConfigError, Problem

Scheme: TypeAlias = Literal["tls", "https", "tcp", "http"]
"""Frames or HTTP, each encrypted or in plaintext."""

SCHEMES: Final[tuple[Scheme, ...]] = ("tls", "https", "tcp", "http")
ENCRYPTED: Final = frozenset({"tls", "https"})

_OPEN: Final = "would accept events from any client"
_TOKENS: Final = "give --token-env, --token-file or --tokens-file"


class Listen(NamedTuple):
    """An address to listen on.

    Attributes:
        scheme: the protocol.
        endpoint: host and port; port 0 for any free one.
    """

    scheme: Scheme
    endpoint: Endpoint

    def __str__(self) -> str:
        """Format it as on the command line."""
        return f"{self.scheme}://{self.endpoint.authority}"


@dataclass(frozen=True, slots=True)
class CollectorSettings:
    """The settings of a collector.

    Attributes:
        folder: the folder for the events.
        listen: the addresses to listen at.
        tls: certificate and key, for encrypted addresses.
        tokens: what a HELLO may bring; empty when client certificates are required and enough.
        secrets: what posts may be signed with.
        allow_plaintext: whether plaintext is allowed, on this machine.
        store: limits of the folder.
        peers: limits of each connection.
        report_seconds: least time between two writes of the report.
        stop_seconds: time that peers have to finish when the collector stops.
    """

    folder: Path
    listen: tuple[Listen, ...]
    tls: ServerTlsSettings | None = None
    tokens: tuple[Token, ...] = field(default=(), repr=False)
    secrets: tuple[Secret, ...] = field(default=(), repr=False)
    allow_plaintext: bool = False
    store: StoreLimits = StoreLimits()  # noqa: RUF009 - immutable
    peers: PeerLimits = PeerLimits()  # noqa: RUF009 - immutable
    report_seconds: float = 5.0
    stop_seconds: float = 5.0

    def check(self) -> None:
        """Check that the settings can work together and are safe.

        Raises:
            ConfigError: with every problem found.
        """
        problems = [problem for listen in self.listen for problem in self._problems_of(listen)]
        problems += _shared("--tokens-file", self.tokens) + _shared("--secrets-file", self.secrets)
        if len(self.secrets) > MOST_SECRETS:
            found = f"{len(self.secrets)} secrets, where {MOST_SECRETS} are allowed"
            problems.append(Problem("--secrets-file", found, "use tls:// with tokens for more senders"))
        if problems:
            raise ConfigError(*dict.fromkeys(problems))

    def _problems_of(self, listen: Listen) -> list[Problem]:
        problems = []
        key = f"--listen {listen}"
        if listen.scheme in ENCRYPTED and self.tls is None:
            problems.append(Problem(key, "has no certificate", "give --cert and --key"))
        if listen.scheme not in ENCRYPTED:
            if not self.allow_plaintext:
                allowed = "use tls:// or https://, or on this machine alone --allow-plaintext"
                problems.append(Problem(key, "would listen in plaintext", allowed))
            try:
                require_local(listen.endpoint, key)
            except ConfigError as error:
                problems.extend(error.problems)
        by_certificate = self.tls is not None and self.tls.client_ca_file is not None
        if listen.scheme == "tls" and not self.tokens and not by_certificate:
            allowed = f"{_TOKENS}, or --client-ca for client certificates"
            problems.append(Problem(key, _OPEN, allowed))
        if listen.scheme == "tcp" and not self.tokens:
            problems.append(Problem(key, _OPEN, _TOKENS))
        if listen.scheme in {"https", "http"} and not self.secrets:
            problems.append(Problem(key, _OPEN, "give --secret-env, --secret-file or --secrets-file"))
        return problems


def _shared(key: str, entries: Sequence[Token] | Sequence[Secret]) -> list[Problem]:
    """Find tokens or secrets that are given to two names: one proof can prove one name only."""
    names: dict[bytes, str] = {}
    problems = []
    for name, proof in entries:
        if names.setdefault(proof, name) != name:
            found = f"{names[proof]} and {name} have the same one"
            problems.append(Problem(key, found, "a different token or secret for each name"))
    return problems
