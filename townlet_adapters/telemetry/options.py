"""The options of the built-in sinks."""

from collections.abc import Mapping
from typing import Annotated, Final, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from townlet_adapters.telemetry.delivery.limits import DeliveryLimits, OnFull
from townlet_adapters.telemetry.spool.base import OutboxLimits
from townlet_adapters.telemetry.wire.endpoint import Endpoint, parse_endpoint, parse_url, require_local
from townlet_adapters.telemetry.wire.versions import OLDEST_TLS, TlsVersion
from townlet_adapters.validation import Section, Text, Variable, told
from townlet_core.errors import ConfigError, Problem
from townlet_core.events.health import Durability
from townlet_plugins.allowlist import DIGEST

TOKEN_VARIABLE: Final = "TOWNLET_TOKEN"  # noqa: S105 - the name of a variable, not what it holds
SECRET_VARIABLE: Final = "TOWNLET_SECRET"  # noqa: S105 - as above

EVENTS_FILE: Final = "events.ndjson"
"""The events in a run folder, which the default sink writes."""

_OUTBOX: Final = OutboxLimits()


class StdoutOptions(DeliveryLimits):
    """Options of the sink `stdout`."""


class FileOptions(DeliveryLimits):
    """Options of the sink `file`."""

    path: Text = EVENTS_FILE
    """the file; a relative path starts in the run folder"""

    rotate_bytes: Annotated[int, Field(ge=1 << 20)] | None = None
    """size at which the file is renamed to `events-000001.ndjson`, `events-000002.ndjson` and so on, and a \
new `events.ndjson` begins; null for one file of any size"""


class TlsOptions(Section):
    """How the peer is verified, and the own certificate. Relative paths start in the config's folder."""

    ca_file: Text | None = None
    """certificates of the authorities that may sign the peer's certificate; null for those of the system"""

    cert_file: Text | None = None
    """the own certificate and its chain, for a peer that asks for one"""

    key_file: Text | None = None
    """key of the own certificate; a file that you own and no other user can read"""

    min_version: TlsVersion = OLDEST_TLS
    """oldest version of TLS that is accepted"""

    crl_file: Text | None = None
    """lists of revoked certificates; a current list must cover the peer's certificate and not contain it"""

    key_sha256: tuple[Annotated[str, Field(pattern=DIGEST)], ...] = ()
    """SHA-256 of public keys in hex, one of which the peer must have; two while a key is changed"""

    @model_validator(mode="after")
    def _has_both_or_neither(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together: give both or neither")
        return self


class NetworkOptions(DeliveryLimits):
    """Options of both network sinks."""

    on_full: OnFull = "shed"
    """what happens when the buffer is full: `wait` while the sink makes progress, or `shed` (drop) at once"""

    durability: Durability = _OUTBOX.durability
    """what waiting events survive: `memory` nothing, `process` a killed process, `power` also a power cut"""

    spool_dir: Text = "spool"
    """folder of the outbox; a relative one is in the run folder, an absolute one outlives the run"""

    spool_bytes: Annotated[int, Field(ge=16 << 20)] = _OUTBOX.bytes
    """most bytes of the outbox"""

    dead_letter_bytes: Annotated[int, Field(ge=1 << 20)] = 64 << 20
    """most bytes kept of events that the peer refuses for good (dead letters)"""

    timeout_seconds: Annotated[float, Field(ge=0.1, le=300)] = 10.0
    """most seconds to wait for the peer: with `http` for a request as a whole, including connecting; with \
`tcp` for connecting, and between two acknowledgements"""

    allow_plaintext: bool = False
    """for trials: no TLS to a peer on this machine; with `http` only if the URL begins with `http:`"""

    tls: TlsOptions = TlsOptions()
    """how the peer is verified, and the own certificate"""


def _token_variable(options: Mapping[str, object]) -> str | None:
    """Choose the variable of a token where none is named; ``options`` are those validated before it."""
    tls = options.get("tls")
    certified = isinstance(tls, TlsOptions) and tls.cert_file is not None
    return None if certified or options.get("token_file") is not None else TOKEN_VARIABLE


def _secret_variable(options: Mapping[str, object]) -> str | None:
    """Choose the variable of a key where none is named; ``options`` are those validated before it."""
    return None if options.get("secret_file") is not None else SECRET_VARIABLE


class TcpOptions(NetworkOptions):
    """Options of the sink `tcp`."""

    token_file: Text | None = None
    """file that holds the token; a file that you own and no other user can read"""

    token_env: Variable | None = Field(default_factory=_token_variable)
    """variable that holds the token; `TOWNLET_TOKEN` unless there is `token_file` or `tls.cert_file`"""

    endpoint: Text
    """address of the collector, as `HOST:PORT`"""

    @field_validator("token_env")
    @classmethod
    def _is_the_only_token(cls, variable: str | None, info: ValidationInfo) -> str | None:
        return _instead_of(info, "token_file", variable)

    @field_validator("endpoint")
    @classmethod
    def _can_be_reached(cls, text: str, info: ValidationInfo) -> str:
        # A problem with an address is reported without quoting it.
        try:
            endpoint = parse_endpoint(text)
            if info.data.get("allow_plaintext"):
                _check_plaintext(endpoint, "endpoint", info)
        except ConfigError as error:
            raise told(error) from error
        return text


class HttpOptions(NetworkOptions):
    """Options of the sink `http`."""

    secret_file: Text | None = None
    """file that holds the key of the signatures; a file that you own and no other user can read"""

    secret_env: Variable | None = Field(default_factory=_secret_variable)
    """variable that holds the key of the signatures; `TOWNLET_SECRET` unless there is `secret_file`"""

    second_secret_file: Text | None = None
    """file that holds a second key to sign with, while keys are changed; like `secret_file`"""

    second_secret_env: Variable | None = None
    """variable that holds a second key to sign with, while keys are changed"""

    url: Text
    """URL that events are posted to, as `https://HOST[:PORT]/PATH`"""

    @field_validator("secret_env")
    @classmethod
    def _is_the_only_secret(cls, variable: str | None, info: ValidationInfo) -> str | None:
        return _instead_of(info, "secret_file", variable)

    @field_validator("second_secret_env")
    @classmethod
    def _is_the_only_second_secret(cls, variable: str | None, info: ValidationInfo) -> str | None:
        return _instead_of(info, "second_secret_file", variable)

    @field_validator("url")
    @classmethod
    def _can_be_reached(cls, text: str, info: ValidationInfo) -> str:
        try:
            url = parse_url(text)
            if not url.secure:
                _check_plaintext_is_allowed(info)
                _check_plaintext(url.endpoint, "url", info)
        except ConfigError as error:
            raise told(error) from error
        return text


def _instead_of(info: ValidationInfo, other: str, variable: str | None) -> str | None:
    if variable is not None and info.data.get(other) is not None:
        raise ValueError(f"give one of {info.field_name} (a variable's name) and {other} (a path)")
    return variable


def _check_plaintext_is_allowed(info: ValidationInfo) -> None:
    if not info.data.get("allow_plaintext"):
        allowed = "https, or allow_plaintext: true for a receiver on this machine"
        raise ConfigError(Problem("url", "would be reached in plaintext", allowed))


def _check_plaintext(endpoint: Endpoint, key: str, info: ValidationInfo) -> None:
    """Refuse plaintext to other machines, and together with settings of TLS."""
    require_local(endpoint, key)
    if "tls" in info.data and info.data["tls"] != TlsOptions():
        allowed = "tls, or plaintext to a peer on this machine, but not both"
        raise ConfigError(Problem("tls", "is set, but nothing here would be encrypted", allowed))
