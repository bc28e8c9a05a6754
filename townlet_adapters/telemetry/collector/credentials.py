"""Names of senders, and the tokens and secrets that prove them."""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from townlet_adapters.secrets import LEAST_BYTES, read_private
from townlet_adapters.telemetry.wire.frames import MAX_TOKEN, is_plain
from townlet_adapters.telemetry.wire.signing import Header, SignatureError, Signatures, parse_key
from townlet_core.errors import ConfigError, Problem

DEFAULT_NAME: Final = "default"
"""Name of the sender whose token or secret was given without one."""

MOST_SECRETS: Final = 32
"""Most secrets of all names: each one is tried on the body of each post."""

_MOST_FILE: Final = 1 << 20  # bytes of a file of tokens or secrets
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_NAME_FORM: Final = (
    "a name of 1 to 64 letters, digits, dots, hyphens and underscores, a letter or digit first"
)
_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)


class Token(NamedTuple):
    """A token that a HELLO may bring.

    Attributes:
        name: name of the sender that it proves.
        sha256: SHA-256 of the token, 32 bytes.
    """

    name: str
    sha256: bytes


class Secret(NamedTuple):
    """A secret that a post may be signed with.

    Attributes:
        name: name of the sender that it proves.
        key: the key, as ``signing.parse_key`` returns it.
    """

    name: str
    key: bytes

    def __repr__(self) -> str:
        """Return the sender's name and nothing of the key."""
        return f"Secret({self.name!r})"


def token_of(token: bytes, name: str = DEFAULT_NAME, key: str = "token") -> Token:
    """Make the record of a token.

    Raises:
        ConfigError: when no HELLO can bring such a token; ``key`` is what the message calls it.
    """
    if len(token) > MAX_TOKEN or not is_plain(token.decode("latin-1")):
        allowed = f"at most {MAX_TOKEN} characters of printable ASCII, such as hex digits"
        raise ConfigError(Problem(key, "the token holds other characters", allowed))
    return Token(name, hashlib.sha256(token).digest())


def secret_of(secret: bytes, name: str = DEFAULT_NAME, key: str = "secret") -> Secret:
    """Make the record of a secret: ``whsec_`` and base64, or the very bytes of the key.

    Raises:
        ConfigError: when it cannot be used; ``key`` is what the message calls it.
    """
    try:
        return Secret(name, parse_key(secret))
    except ValueError as error:
        raise ConfigError(Problem(key, str(error), "whsec_ and base64, or the key itself")) from error


def read_tokens(path: Path, key: str) -> tuple[Token, ...]:
    """Read a file of tokens: a line ``NAME SHA256`` for each; a name may have several, a token one name.

    Args:
        path: the file, which must belong to this user and be readable by no other.
        key: what messages call it.

    Raises:
        ConfigError: with every problem found.
    """
    return _read(path, key, "NAME SHA256", _token)


def read_secrets(path: Path, key: str) -> tuple[Secret, ...]:
    """Read a file of secrets: a line ``NAME SECRET`` for each; see ``read_tokens``.

    Raises:
        ConfigError: with every problem found.
    """
    return _read(path, key, "NAME SECRET", _secret)


class Tokens:
    """The tokens that are known. Immutable."""

    def __init__(self, tokens: Iterable[Token]) -> None:
        """Know these; with none of them, no token is asked for."""
        self._tokens = tuple(tokens)

    def __bool__(self) -> bool:
        """Whether a token is asked for."""
        return bool(self._tokens)

    def name_of(self, token: bytes) -> str | None:
        """Return the name that a token proves, None when it is unknown."""
        digest = hashlib.sha256(token).digest()
        # Every token is compared, so that the time taken does not reveal which one came close.
        names = [each.name for each in self._tokens if hmac.compare_digest(digest, each.sha256)]
        return names[0] if names else None


class Secrets:
    """The secrets that are known. Immutable."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        """Know these, at least one."""
        keys: dict[str, list[bytes]] = {}
        for each in secrets:
            keys.setdefault(each.name, []).append(each.key)
        self._signatures = {name: Signatures(each) for name, each in keys.items()}

    def name_of(self, headers: Sequence[Header], body: bytes, now: float) -> str:
        """Return the name that the signature of a body proves; see ``Signatures.verify``.

        Raises:
            SignatureError: when no secret fits.
        """
        names, failure = [], SignatureError("wrong_signature")
        # Every secret is tried, so that the time taken does not reveal which one fits.
        for name, signatures in self._signatures.items():
            try:
                signatures.verify(headers, body, now)
            except SignatureError as error:
                failure = error
            else:
                names.append(name)
        if not names:
            raise failure
        return names[0]


_Entry = TypeVar("_Entry", Token, Secret)


def _read(path: Path, key: str, form: str, parse: Callable[[str, str], _Entry]) -> tuple[_Entry, ...]:
    """Read a file with an entry on each line, blank lines and lines that begin with # left out."""
    text = read_private(key, path, f"the file '{path}'", _MOST_FILE)
    entries: dict[_Entry, int] = {}
    problems: list[Problem] = []
    for number, line in enumerate(text.decode("utf-8", "replace").splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            entry = parse(*_split(words, form))
            _require_new(entry, entries)
        except ValueError as error:
            found, allowed = error.args
            problems.append(Problem(key, found, allowed, str(path), number))
        else:
            entries[entry] = number
    if not entries and not problems:
        problems.append(Problem(key, "the file has no entry", f"a line {form} for each sender", str(path)))
    if problems:
        raise ConfigError(*problems)
    return tuple(entries)


def _split(words: Sequence[str], form: str) -> tuple[str, str]:
    """Return name and proof; no message quotes either, since a secret may be in the wrong place."""
    if len(words) != 2:  # noqa: PLR2004 - as the form says
        raise ValueError(
            "the line has 1 word" if len(words) == 1 else f"the line has {len(words)} words", form
        )
    name, word = words
    if not _NAME.fullmatch(name):
        raise ValueError("the first word is not a valid name", _NAME_FORM)
    return name, word


def _require_new(entry: Token | Secret, entries: Iterable[Token | Secret]) -> None:
    """Refuse what stands in the file already: one proof can prove one name only."""
    for each in entries:
        if each[1] == entry[1]:
            raise ValueError(f"the same entry is given to {each.name} above", "each token or secret once")


def _token(name: str, word: str) -> Token:
    if not _SHA256.fullmatch(word):
        allowed = "64 hex digits, as sha256sum prints them for the token without its line end"
        raise ValueError("the second word is not a SHA-256", allowed)
    return Token(name, bytes.fromhex(word))


def _secret(name: str, word: str) -> Secret:
    if len(word) < LEAST_BYTES:
        raise ValueError(f"the secret has {len(word)} characters", f"at least {LEAST_BYTES}")
    try:
        return Secret(name, parse_key(word.encode()))
    except ValueError as error:
        raise ValueError(str(error), "whsec_ and base64, or the key itself") from error
