"""How a collector is set up, and whether that can work and is safe."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias

from townlet_adapters.telemetry.collector.plan import StoreLimits
from townlet_adapters.telemetry.collector.stream import PeerLimits
from townlet_adapters.telemetry.wire.endpoint import Endpoint, require_local
from townlet_adapters.telemetry.wire.frames import MAX_TOKEN, is_plain
from townlet_adapters.telemetry.wire.signing import parse_key
from townlet_adapters.telemetry.wire.tls import ServerTlsSettings
from townlet_core.errors import ConfigError, Problem

Scheme: TypeAlias = Literal["tls", "https", "tcp", "http"]
"""Frames or HTTP, each encrypted or in plaintext."""

SCHEMES: Final[tuple[Scheme, ...]] = ("tls", "https", "tcp", "http")
ENCRYPTED: Final = frozenset({"tls", "https"})


class Listen(NamedTuple):
    """An address to listen on.

    Attributes:
        scheme: what is spoken there.
        endpoint: host and port; port 0 for any free one.
    """

    scheme: Scheme
    endpoint: Endpoint

    def __str__(self) -> str:
        """Spell it as on the command line."""
        return f"{self.scheme}://{self.endpoint.authority}"


@dataclass(frozen=True, slots=True)
class CollectorSettings:
    """How a collector is set up.

    Attributes:
        folder: where the events go.
        listen: where to listen.
        tls: certificate and key, for encrypted addresses.
        tokens: what a HELLO may say; empty when client certificates are required and enough.
        secrets: what bodies may be signed with, as ``signing.parse_key`` reads it.
        allow_plaintext: whether plaintext is allowed, on this machine.
        store: what the folder may grow to.
        peers: what a peer may ask of us.
        report_seconds: the report is renewed at most that often.
        stop_seconds: so long may peers take to finish when the collector stops.
    """

    folder: Path
    listen: tuple[Listen, ...]
    tls: ServerTlsSettings | None = None
    tokens: tuple[bytes, ...] = field(default=(), repr=False)
    secrets: tuple[bytes, ...] = field(default=(), repr=False)
    allow_plaintext: bool = False
    store: StoreLimits = StoreLimits()  # noqa: RUF009 - immutable
    peers: PeerLimits = PeerLimits()  # noqa: RUF009 - immutable
    report_seconds: float = 5.0
    stop_seconds: float = 5.0

    def check(self) -> None:
        """Make sure that the settings can work together, and are safe.

        Raises:
            ConfigError: with every problem found.
        """
        problems = [problem for listen in self.listen for problem in self._problems_of(listen)]
        for token in self.tokens:
            if len(token) > MAX_TOKEN or not is_plain(token.decode("latin-1")):
                allowed = f"at most {MAX_TOKEN} characters of printable ASCII, such as hex digits"
                problems.append(Problem("--token", "a token holds something else", allowed))
        for secret in self.secrets:
            try:
                parse_key(secret)
            except ValueError as error:
                problems.append(Problem("--secret", str(error), "whsec_ and base64, or the very bytes"))
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
            allowed = "give --token-env or --token-file, or --client-ca for client certificates"
            problems.append(Problem(key, "would let anybody in", allowed))
        if listen.scheme == "tcp" and not self.tokens:
            problems.append(Problem(key, "would let anybody in", "give --token-env or --token-file"))
        if listen.scheme in {"https", "http"} and not self.secrets:
            problems.append(Problem(key, "would let anybody in", "give --secret-env or --secret-file"))
        return problems
