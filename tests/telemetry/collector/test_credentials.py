"""Files of tokens and secrets: read as they should be, or refused by line and without a quotation."""

import hashlib

import pytest

from townlet_adapters.telemetry.collector.credentials import (
    MOST_SECRETS,
    Secret,
    Secrets,
    Token,
    Tokens,
    read_secrets,
    read_tokens,
    secret_of,
    token_of,
)
from townlet_adapters.telemetry.collector.settings import CollectorSettings, Listen
from townlet_adapters.telemetry.wire.endpoint import Endpoint
from townlet_adapters.telemetry.wire.signing import SignatureError, Signatures
from townlet_core.errors import ConfigError

OLD, NEW, OTHER = b"an-old-token-of-town-a", b"a-new-token-of-town-a", b"the-token-of-town-b"
KEY = "--tokens-file"


def digest(token):
    return hashlib.sha256(token).hexdigest()


@pytest.fixture
def write(tmp_path):
    """Write a private file."""

    def write(text, mode=0o600):
        path = tmp_path / "file"
        path.write_text(text)
        path.chmod(mode)
        return path

    return write


def test_a_name_may_have_several_tokens_while_they_are_changed(write):
    path = write(
        f"# towns\n\ntown-a {digest(OLD)}\n  town-a\t{digest(NEW).upper()}  \r\ntown-b {digest(OTHER)}"
    )
    tokens = Tokens(read_tokens(path, KEY))
    assert [tokens.name_of(each) for each in (OLD, NEW, OTHER)] == ["town-a", "town-a", "town-b"]


@pytest.mark.parametrize("near", [b"", OLD[:-1], OLD + b"x", OLD + b"\n", OLD.upper(), digest(OLD).encode()])
def test_a_token_that_is_nearly_right_is_unknown(near):
    assert Tokens([token_of(OLD)]).name_of(near) is None


def test_without_tokens_none_is_asked_for():
    assert not Tokens([])
    assert Tokens([token_of(OLD)])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "file: --tokens-file: the file has no entry; a line NAME SHA256 for each sender"),
        ("# nothing\n", "file: --tokens-file: the file has no entry; "),
        ("town-a\n", ":1: --tokens-file: the line has 1 word; NAME SHA256"),
        ("#\n{old} {old} {old}\n", ":2: --tokens-file: the line has 3 words; NAME SHA256"),
        ("-a {old}", ":1: --tokens-file: the first word is not a valid name; a name of 1 to 64 letters, "),
        ("ä {old}", ":1: --tokens-file: the first word is not a valid name; "),
        ("a=b {old}", ":1: --tokens-file: the first word is not a valid name; "),
        ("x" * 65 + " {old}", ":1: --tokens-file: the first word is not a valid name; "),
        ("a an-old-token-of-town-a", ":1: --tokens-file: the second word is not a SHA-256; 64 hex digits"),
        ("a {old}0", ":1: --tokens-file: the second word is not a SHA-256; "),
        ("a {old}\nb {new}\nc {old}", ":3: --tokens-file: the same entry is given to a above; "),
        ("a {old}\na {old}", ":2: --tokens-file: the same entry is given to a above; "),
    ],
)
def test_what_is_wrong_in_a_file_of_tokens_is_said_by_line_and_not_quoted(write, text, found):
    path = write(text.format(old=digest(OLD), new=digest(NEW)))
    with pytest.raises(ConfigError) as refusal:
        read_tokens(path, KEY)
    message = str(refusal.value)
    assert found in message
    assert message.startswith(str(path))
    for secret in (OLD.decode(), digest(OLD)):
        assert secret not in message


def test_every_wrong_line_is_said_at_once(write):
    with pytest.raises(ConfigError) as refusal:
        read_tokens(write("a\nb\n"), KEY)
    assert [each.line for each in refusal.value.problems] == [1, 2]


@pytest.mark.parametrize("read", [read_tokens, read_secrets])
def test_a_file_that_others_can_read_is_refused(write, read):
    path = write(f"a {digest(OLD)}\n", 0o640)
    with pytest.raises(ConfigError, match="can be read by others; a file that only you can read"):
        read(path, KEY)


def test_a_file_that_is_too_large_or_missing_is_refused(write, tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: Is larger than 1048576 bytes"):
        read_tokens(write("#" * (1 << 20) + "#"), KEY)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_tokens(tmp_path / "missing", KEY)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a short", ":1: --secrets-file: the secret has 5 characters; at least 16"),
        ("a twenty-bytes-of-a-key", ":1: --secrets-file: a key of 21 bytes, where 24 to 64 are allowed; "),
        ("a whsec_----------------------", ":1: --secrets-file: the text after whsec_ is not base64; "),
        ("a {key}\nb {key}", ":2: --secrets-file: the same entry is given to a above; "),
    ],
)
def test_what_is_wrong_in_a_file_of_secrets_is_said_by_line_and_not_quoted(write, text, found):
    key = "k" * 32
    with pytest.raises(ConfigError) as refusal:
        read_secrets(write(text.format(key=key)), "--secrets-file")
    assert found in str(refusal.value)
    assert key not in str(refusal.value)


def test_a_body_proves_the_name_of_the_secret_that_signed_it(write):
    keys = {"town-a": [b"a" * 24, b"b" * 24], "town-b": [b"c" * 24]}
    path = write("".join(f"{name} {each.decode()}\n" for name, known in keys.items() for each in known))
    secrets = Secrets(read_secrets(path, "--secrets-file"))
    for name, known in keys.items():
        for key in known:
            headers = Signatures([key]).sign("m", 1000, b"body")
            assert secrets.name_of(headers, b"body", 1000) == name
            with pytest.raises(SignatureError, match="wrong_signature"):
                secrets.name_of(headers, b"bodY", 1000)
    with pytest.raises(SignatureError, match="wrong_signature"):
        secrets.name_of(Signatures([b"d" * 24]).sign("m", 1000, b"body"), b"body", 1000)


def settings(**more):
    listen = (Listen("tcp", Endpoint("127.0.0.1", 0)),)
    return CollectorSettings("folder", listen, allow_plaintext=True, **more)


def test_one_token_does_not_prove_two_names():
    given = settings(tokens=(token_of(OLD, "a"), token_of(NEW, "a"), token_of(OLD, "b")))
    with pytest.raises(ConfigError, match="--tokens-file: a and b have the same one; a different token"):
        given.check()
    settings(tokens=(token_of(OLD, "a"), token_of(OLD, "a"), token_of(NEW, "b"))).check()


def test_secrets_are_bounded_since_each_is_tried_on_every_body():
    def many(count):
        return tuple(secret_of(b"%024d" % number, f"town-{number}") for number in range(count))

    settings(tokens=(token_of(OLD),), secrets=many(MOST_SECRETS)).check()
    with pytest.raises(ConfigError, match="33 secrets, where 32 are allowed"):
        settings(tokens=(token_of(OLD),), secrets=many(MOST_SECRETS + 1)).check()


def test_no_representation_shows_a_secret():
    secret = Secret("town-a", b"k" * 32)
    assert repr(secret) == "Secret('town-a')"
    assert "kkk" not in repr(settings(secrets=(secret,), tokens=(Token("a", b"t" * 32),)))
