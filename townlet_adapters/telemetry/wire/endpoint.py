"""Parses the address that a network sink sends to, in only one possible way.

Programs disagree about unusual addresses: ``127.1``, ``0x7f.1``, ``user@host``, a name with a line end,
letters that look like others. An address that can be read in two ways is refused. No message quotes the text,
which may contain a password.
"""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

from townlet_core.errors import ConfigError, Problem

_MAX_TEXT: Final = 2048
_MAX_NAME: Final = 253
_MAX_PORT: Final = 65535
_LOOPBACK_NET: Final = 127
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_NUMERIC: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_PLACE: Final = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::(.*))?", re.ASCII)
_URL: Final = re.compile(r"(https?)://([^/?]*)(/[^?]*)?(\?.*)?", re.ASCII)
_TARGET: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*", re.ASCII)
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}

_ENDPOINT_FORM: Final = "HOST:PORT, such as collector.example:7443 or [2001:db8::1]:7443"
_URL_FORM: Final = "an address such as https://collector.example/v1/events"
_PLAINTEXT_FORM: Final = (
    "plaintext stays on this machine: 127.0.0.1, [::1] or localhost; use TLS for any other peer"
)


class Endpoint(NamedTuple):
    """A host and a port.

    Attributes:
        host: a name in lower case, or an address without brackets.
        port: 1 to 65535.
    """

    host: str
    port: int

    @property
    def authority(self) -> str:
        """``host:port`` with the brackets that an IPv6 address needs."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether its text alone names this machine: a loopback address, or ``localhost``."""
        return self.host == "localhost" or is_loopback(self.host)


class Url(NamedTuple):
    """Where to POST to.

    Attributes:
        endpoint: host and port.
        secure: whether it is ``https``.
        target: path and query as in the request line; begins with a slash.
    """

    endpoint: Endpoint
    secure: bool
    target: str

    @property
    def host_header(self) -> str:
        """The host, with the port unless it is the default of the scheme."""
        own = _DEFAULT_PORTS["https" if self.secure else "http"]
        return (
            self.endpoint.authority
            if self.endpoint.port != own
            else self.endpoint.authority.rpartition(":")[0]
        )


def parse_endpoint(text: str, key: str = "endpoint") -> Endpoint:
    """Parse ``HOST:PORT``.

    Raises:
        ConfigError: when it is anything else; the message calls it ``key``.
    """
    _require_plain(text, key, _ENDPOINT_FORM)
    return _place(text, key, _ENDPOINT_FORM, default_port=None)


def parse_listening(text: str, key: str) -> Endpoint:
    """Parse the ``HOST:PORT`` of an address to listen on; port 0 means any free port.

    Raises:
        ConfigError: when it is anything else; the message calls it ``key``.
    """
    any_port = text.endswith(":0")
    endpoint = parse_endpoint(f"{text[:-1]}1" if any_port else text, key)
    return endpoint._replace(port=0) if any_port else endpoint


def parse_url(text: str, key: str = "url") -> Url:
    """Parse an ``https`` or ``http`` address; the caller decides whether plaintext is allowed.

    Raises:
        ConfigError: when it is anything else; the message calls it ``key``.
    """
    _require_plain(text, key, _URL_FORM)
    if "#" in text:
        raise _problem(key, "has a part after '#', which is not sent to a server", _URL_FORM)
    match = _URL.fullmatch(text)
    if match is None:
        raise _problem(key, "is not an http address", _URL_FORM)
    scheme, place, path, query = match.groups()
    target = (path or "/") + (query or "")
    if not _TARGET.fullmatch(target):
        raise _problem(key, "has a character that must be written as %XX", _URL_FORM)
    return Url(_place(place, key, _URL_FORM, _DEFAULT_PORTS[scheme]), scheme == "https", target)


def require_local(endpoint: Endpoint, key: str) -> None:
    """Refuse plaintext to any other machine.

    Raises:
        ConfigError: when the endpoint is not local by its text.
    """
    if not endpoint.is_local:
        raise _problem(key, f"would be reached in plaintext at {endpoint.host}", _PLAINTEXT_FORM)


def is_loopback(address: str) -> bool:
    """Return whether a literal address is in 127.0.0.0/8 or is ::1; an IPv4-mapped IPv6 address is not."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv4Address):
        return found.packed[0] == _LOOPBACK_NET
    return found == IPv6Address(1) and found.scope_id is None


def is_literal(host: str) -> bool:
    """Return whether a host is an address, so that no name has to be looked up."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _problem(key: str, found: str, allowed: str) -> ConfigError:
    return ConfigError(Problem(key, found, allowed))


def _require_plain(text: str, key: str, form: str) -> None:
    if not 0 < len(text) <= _MAX_TEXT:
        raise _problem(key, f"has {len(text)} characters", form)
    if not text.isascii():
        hint = "; write an international name in its xn-- form"
        raise _problem(key, "has letters outside of ASCII, which may look like others", form + hint)
    if not text.isprintable() or " " in text:
        raise _problem(key, "has a space or a control character", form)


def _place(text: str, key: str, form: str, default_port: int | None) -> Endpoint:
    if "@" in text:
        raise _problem(key, "has a name or password before '@'; secrets come from a variable or file", form)
    match = _PLACE.fullmatch(text)
    if match is None:
        raise _problem(key, "is not a host and a port; an IPv6 address needs brackets", form)
    host, port = match.groups()
    if port is None and default_port is not None:
        return Endpoint(_host(host, key, form), default_port)
    if port is None or not _PORT.fullmatch(port) or int(port) > _MAX_PORT:
        raise _problem(key, "has no port from 1 to 65535", form)
    return Endpoint(_host(host, key, form), int(port))


def _host(text: str, key: str, form: str) -> str:
    if text.startswith("["):
        return _ipv6(text[1:-1], key, form)
    host = text.lower()
    labels = host.split(".")
    # When the last label is a number, resolvers read the whole as an address in one of many notations.
    if _NUMERIC.fullmatch(labels[-1]):
        try:
            return str(IPv4Address(host))
        except AddressValueError:
            raise _problem(key, "is neither a name nor four numbers from 0 to 255", form) from None
    if len(host) > _MAX_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        allowed = f"{form}; a name has letters, digits and hyphens between its dots, and no dot at its end"
        raise _problem(key, "has no valid host name", allowed)
    return host


def _ipv6(text: str, key: str, form: str) -> str:
    try:
        found = IPv6Address(text)
    except AddressValueError:
        raise _problem(key, "has no valid IPv6 address between its brackets", form) from None
    if found.scope_id is not None:
        raise _problem(
            key, "has an IPv6 address with a zone, which means something on one machine only", form
        )
    return str(found)
