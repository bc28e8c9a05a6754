"""TLS of both ends: what is refused, by which name, and what a person is told."""

import hashlib
import os
import select
import shutil
import socket
import ssl
import struct
import subprocess
import time
import warnings
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from tests.telemetry.faults import Line, ScriptedPeer
from townlet_adapters.telemetry.transports.channel import Interrupt
from townlet_adapters.telemetry.transports.dialing import connect
from townlet_adapters.telemetry.wire.certificates import read_leaf, read_leaf_file
from townlet_adapters.telemetry.wire.endpoint import Endpoint
from townlet_adapters.telemetry.wire.tls import (
    ServerTlsSettings,
    TlsSettings,
    client_context,
    own_leaf,
    server_context,
    trust_system,
)
from townlet_core.errors import ConfigError
from townlet_core.ports.transport import TransportError


def echo(line: Line) -> None:
    while data := line.connection.recv(1 << 16):
        line.connection.sendall(data)


@pytest.fixture
def knock():
    """Connect, say something and hear it back; gives the expiry time of the certificate."""
    interrupt = Interrupt()

    def knock(context, settings, host="127.0.0.1"):
        with ScriptedPeer(context, [echo]) as peer:
            deadline = time.monotonic() + 30
            channel = connect(
                Endpoint(host, peer.endpoint.port), settings, deadline=deadline, interrupt=interrupt
            )
            try:
                channel.send_all(b"hello", deadline)
                assert channel.receive(100, deadline) == b"hello"
            finally:
                channel.close()
            return channel.certificate_expires

    yield knock
    interrupt.close()


@pytest.mark.parametrize("side", ["client", "server"])
def test_a_connection_that_is_reset_before_tls_begins_is_closed(certificates, side):
    context = certificates.serving() if side == "server" else client_context(certificates.trusting())
    named = {"server_side": True} if side == "server" else {"server_hostname": "localhost"}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        theirs.close()
        assert select.select([ours], [], [], 30)[0]  # the reset is here

        descriptor = ours.fileno()
        with pytest.raises(ConnectionResetError):
            context.wrap_socket(ours, do_handshake_on_connect=False, **named)

        # The error is still held, and with it everything that the garbage collector might close later.
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)


def test_a_connection_that_has_nothing_to_read_yet_stays_open(certificates):
    ours, theirs = socket.socketpair()
    with theirs:
        ours.settimeout(0)
        named = {"server_hostname": "localhost", "do_handshake_on_connect": False}
        with client_context(certificates.trusting()).wrap_socket(ours, **named) as secured:
            with pytest.raises(ssl.SSLWantReadError):
                secured.do_handshake()
            with pytest.raises(ssl.SSLWantReadError):
                secured.recv(1)
            assert secured.fileno() >= 0


def test_a_verified_server_is_talked_to_by_name_and_by_address(certificates, knock):
    for host in ("localhost", "127.0.0.1"):
        assert knock(certificates.serving(), certificates.trusting(), host) > time.time()


@pytest.mark.parametrize(
    ("server", "settings", "said"),
    [
        ("expired", {}, ("tls_expired", "renew")),
        ("not_yet_valid", {}, ("tls_not_yet_valid", "clocks")),
        ("wrong_host", {}, ("tls_hostname", "another name")),
        ("common_name_only", {}, ("tls_hostname", "another name")),
        ("untrusted", {}, ("tls_untrusted", "ca_file")),
        ("server", {"ca_file": None}, ("tls_untrusted", "ca_file")),
        ("server", {"ca_file": "other_ca_file"}, ("tls_untrusted", "ca_file")),
        ("revoked", {"crl_file": "crl_file"}, ("tls_revoked", "new one")),
        ("server", {"crl_file": "old_crl_file"}, ("tls_crl", "current list")),
    ],
)
def test_a_bad_certificate_waits_for_a_person_and_names_its_fault(
    certificates, knock, server, settings, said
):
    code, advice = said
    named = {key: value and getattr(certificates, value) for key, value in settings.items()}

    with pytest.raises(TransportError, match=advice) as caught:
        knock(
            certificates.serving(getattr(certificates, server)), certificates.trusting(**named), "localhost"
        )

    assert (caught.value.code, caught.value.verdict) == (code, "pause")
    assert "localhost" in str(caught.value)


def test_a_server_that_is_not_revoked_passes_the_list(certificates, knock):
    knock(certificates.serving(), certificates.trusting(crl_file=certificates.crl_file))


def test_a_pinned_key_must_be_the_one(certificates, knock):
    pins = (certificates.renewed.key_sha256, certificates.server.key_sha256)
    knock(certificates.serving(), certificates.trusting(key_sha256=pins))

    with pytest.raises(TransportError, match="ca_file") as caught:
        knock(certificates.serving(certificates.untrusted), certificates.trusting(key_sha256=pins))
    assert caught.value.code == "tls_untrusted"  # a pin replaces nothing
    with pytest.raises(TransportError, match="another key") as caught:
        knock(certificates.serving(), certificates.trusting(key_sha256=pins[:1]))
    assert (caught.value.code, caught.value.verdict) == ("tls_pin", "pause")


def test_a_pin_is_the_digest_of_the_public_key(certificates):
    certificate = x509.load_pem_x509_certificate(certificates.server.cert_file.read_bytes())
    key = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )

    assert certificates.server.key_sha256 == hashlib.sha256(key).hexdigest()


def test_a_server_of_the_older_version_is_refused_unless_allowed(certificates, knock):
    old = certificates.serving(min_version="1.2")
    old.maximum_version = ssl.TLSVersion.TLSv1_2

    with pytest.raises(TransportError, match=r"TLS 1\.3") as caught:
        knock(old, certificates.trusting())
    assert (caught.value.code, caught.value.verdict) == ("tls_protocol", "retry")
    knock(old, certificates.trusting(min_version="1.2"))


def test_a_server_of_a_version_that_is_broken_is_refused_whatever_is_allowed(certificates, knock):
    ancient = certificates.serving(min_version="1.2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        ancient.minimum_version = ssl.TLSVersion.TLSv1
        ancient.maximum_version = ssl.TLSVersion.TLSv1_1
    ancient.set_ciphers("ALL:@SECLEVEL=0")

    with pytest.raises(TransportError) as caught:
        knock(ancient, certificates.trusting(min_version="1.2"))
    assert caught.value.code == "tls_protocol"


@pytest.mark.parametrize("version", ["1.1", "1.0", "SSLv3", "", "1.4"])
def test_an_older_version_cannot_be_asked_for(certificates, version):
    for make in (
        lambda: client_context(certificates.trusting(min_version=version)),
        lambda: certificates.serving(min_version=version),
    ):
        with pytest.raises(ConfigError, match=r"tls\.min_version"):
            make()


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_client_certificate_is_shown_and_its_refusal_is_understood(certificates, knock, version):
    def settings(pair):
        files = {} if pair is None else {"cert_file": pair.cert_file, "key_file": pair.key_file}
        return certificates.trusting(min_version="1.2", **files)

    server = certificates.serving(
        client_ca_file=certificates.ca_file, crl_file=certificates.crl_file, min_version="1.2"
    )
    server.maximum_version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]

    knock(server, settings(certificates.client))
    for pair in (certificates.other_client, certificates.revoked_client, certificates.expired):
        with pytest.raises(TransportError, match="cert_file") as caught:
            knock(server, settings(pair))
        assert (caught.value.code, caught.value.verdict) == ("tls_client_certificate", "pause")
    if version == "1.3":
        with pytest.raises(TransportError, match="cert_file") as caught:
            knock(server, settings(None))
        assert caught.value.code == "tls_client_certificate"


def test_files_are_read_anew_for_every_connection(certificates, knock, tmp_path):
    """Authority, certificate and key are replaced under the names that the settings hold."""
    ca, cert, key = tmp_path / "ca.pem", tmp_path / "cert.pem", tmp_path / "key.pem"

    def put(ca_file, pair):
        for source, target in ((ca_file, ca), (pair.cert_file, cert), (pair.key_file, key)):
            shutil.copy(source, target)

    settings = TlsSettings(ca, cert, key)
    server = certificates.serving(client_ca_file=certificates.ca_file)
    put(certificates.other_ca_file, certificates.other_client)
    with pytest.raises(TransportError, match="ca_file"):
        knock(server, settings)
    put(certificates.ca_file, certificates.other_client)
    with pytest.raises(TransportError, match="cert_file"):
        knock(server, settings)
    put(certificates.ca_file, certificates.client)
    knock(server, settings)

    key.unlink()
    with pytest.raises(TransportError, match=r"tls\.key_file: .*No such file") as caught:
        knock(server, settings)
    assert (caught.value.code, caught.value.verdict) == ("tls_files", "pause")


def test_a_server_may_change_its_certificate(certificates, knock):
    for pair in (certificates.server, certificates.renewed):
        knock(certificates.serving(pair), certificates.trusting())


def test_the_certificate_that_expires_first_is_told(certificates, knock):
    server = certificates.serving(client_ca_file=certificates.ca_file)
    own = certificates.client
    own_expires = read_leaf_file(own.cert_file).expires
    peer_expires = read_leaf_file(certificates.server.cert_file).expires

    settings = certificates.trusting(cert_file=own.cert_file, key_file=own.key_file)
    assert knock(server, settings) == min(own_expires, peer_expires)
    assert own_leaf(settings).expires == own_expires
    assert own_leaf(certificates.trusting()) is None

    short = certificates.common_name_only  # for a day only
    assert (
        knock(server, certificates.trusting(cert_file=short.cert_file, key_file=short.key_file))
        == read_leaf_file(short.cert_file).expires
        < peer_expires
    )


def test_an_expiry_time_is_what_ssl_says(certificates):
    for pair in (certificates.server, certificates.expired, certificates.common_name_only):
        # Private, but what else could be asked for the truth without a connection?
        told = ssl._ssl._test_decode_cert(str(pair.cert_file))["notAfter"]
        assert read_leaf_file(pair.cert_file).expires == ssl.cert_time_to_seconds(told)


def test_secrets_of_connections_are_not_logged_even_if_the_environment_asks(
    certificates, knock, tmp_path, monkeypatch
):
    for path in (tmp_path / "keys.log", Path("/nonexistent/keys.log")):
        monkeypatch.setenv("SSLKEYLOGFILE", str(path))
        knock(certificates.serving(), certificates.trusting())
        assert not path.exists()


def folder_of_authorities(certificates, tmp_path):
    """A folder with the authority, as OpenSSL looks it up."""
    folder = tmp_path / "authorities"
    folder.mkdir()
    shutil.copy(certificates.ca_file, folder)
    subprocess.run(["openssl", "rehash", folder], check=True)  # noqa: S607 - found wherever it is
    return folder


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_an_authority_that_only_the_environment_names_vouches_for_no_server(
    certificates, knock, tmp_path, monkeypatch, variable
):
    folder = folder_of_authorities(certificates, tmp_path)
    named = {"SSL_CERT_FILE": certificates.ca_file, "SSL_CERT_DIR": folder}[variable]
    monkeypatch.setenv(variable, str(named))
    with pytest.raises(TransportError, match="ca_file") as caught:
        knock(certificates.serving(), TlsSettings(), "localhost")
    assert caught.value.code == "tls_untrusted"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_the_authorities_of_the_system_are_trusted(certificates, tmp_path, kind):
    folder = folder_of_authorities(certificates, tmp_path)
    nowhere = str(tmp_path / "nowhere")
    file, folder = (certificates.ca_file, nowhere) if kind == "file" else (nowhere, folder)
    paths = ssl.get_default_verify_paths()._replace(
        cafile=nowhere, capath=nowhere, openssl_cafile=str(file), openssl_capath=str(folder)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust_system(context, paths)
    with ScriptedPeer(certificates.serving(), [echo]) as peer:
        address = ("127.0.0.1", peer.endpoint.port)
        plain = socket.create_connection(address, timeout=30)
        with context.wrap_socket(plain, server_hostname="localhost") as secured:
            secured.sendall(b"hello")
            assert secured.recv(5) == b"hello"


def test_a_client_without_an_authority_of_its_own_takes_those_of_the_system():
    expected = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust_system(expected, ssl.get_default_verify_paths())
    if not expected.cert_store_stats()["x509"]:
        pytest.skip("this system has no file of authorities")
    assert client_context(TlsSettings()).cert_store_stats() == expected.cert_store_stats()


def test_a_private_authority_replaces_those_of_the_system(certificates):
    stats = client_context(certificates.trusting()).cert_store_stats()

    assert stats == {"x509": 1, "crl": 0, "x509_ca": 1}


def test_contexts_are_strict_whatever_python_makes_of_them(certificates):
    client, server = client_context(certificates.trusting()), certificates.serving()

    assert client.verify_mode is ssl.CERT_REQUIRED
    assert client.check_hostname
    assert not client.hostname_checks_common_name
    for context in (client, server):
        assert context.minimum_version is ssl.TLSVersion.TLSv1_3
        assert context.verify_flags & ssl.VERIFY_X509_STRICT
        assert context.keylog_filename is None
    assert server.verify_mode is ssl.CERT_NONE
    asking = certificates.serving(client_ca_file=certificates.ca_file, crl_file=certificates.crl_file)
    assert asking.verify_mode is ssl.CERT_REQUIRED
    assert asking.verify_flags & ssl.VERIFY_CRL_CHECK_LEAF


def other_file(certificates, tmp_path, what):
    """A file that is not what it should be."""
    path = tmp_path / what
    if what == "folder":
        path.mkdir()
    elif what == "FIFO":
        os.mkfifo(path)
    elif what == "huge":
        with path.open("wb") as file:
            file.truncate(2**40)
    elif what == "garbage":
        path.write_bytes(b"\x00garbage")
    elif what == "certificate and list":
        path.write_bytes(certificates.other_ca_file.read_bytes() + certificates.crl_file.read_bytes())
    path.chmod(0o700 if what == "folder" else 0o600) if path.exists() else None
    return path


@pytest.mark.parametrize("what", ["missing", "folder", "FIFO", "huge", "garbage", "certificate and list"])
@pytest.mark.parametrize("key", ["ca_file", "cert_file", "key_file", "crl_file"])
def test_a_file_that_is_something_else_is_refused_by_its_key(certificates, tmp_path, key, what):
    files = {"cert_file": certificates.client.cert_file, "key_file": certificates.client.key_file}
    settings = certificates.trusting(**{**files, key: other_file(certificates, tmp_path, what)})

    with pytest.raises(ConfigError) as caught:
        client_context(settings)

    (problem,) = caught.value.problems
    if (key, what) == ("cert_file", "certificate and list"):
        # That is a certificate, and either of the two may be the wrong one.
        assert problem.key == "tls.key_file"
        assert problem.found == f"'{certificates.client.key_file}' is the key of another certificate"
        return
    assert problem.key == f"tls.{key}"
    assert str(tmp_path) in problem.found
    assert "_ssl.c" not in problem.found
    if what in {"FIFO", "huge"}:
        said = "Is a FIFO, not a regular file" if what == "FIFO" else "Is larger than 16777216 bytes"
        assert problem.found.endswith(f" cannot be used: {said}")


@pytest.mark.parametrize("key", ["cert_file", "key_file"])
def test_half_of_a_client_certificate_is_refused(certificates, key):
    with pytest.raises(ConfigError, match="needs both"):
        client_context(certificates.trusting(**{key: getattr(certificates.client, key)}))


def test_a_list_of_the_revoked_without_an_authority_for_clients_is_refused(certificates):
    with pytest.raises(ConfigError, match=r"tls\.client_ca_file"):
        certificates.serving(crl_file=certificates.crl_file)


@pytest.mark.parametrize("pin", ["", "abc", "A" * 64, "g" * 64, "0" * 63, "0" * 65])
def test_a_pin_that_is_no_digest_is_refused(certificates, pin):
    with pytest.raises(ConfigError, match=r"tls\.key_sha256"):
        client_context(certificates.trusting(key_sha256=(pin,)))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o601, 0o777])
def test_a_key_that_others_can_read_is_refused(certificates, tmp_path, mode):
    key = shutil.copy(certificates.server.key_file, tmp_path / "key.pem")
    key.chmod(mode)

    with pytest.raises(ConfigError, match="chmod 600"):
        server_context(ServerTlsSettings(certificates.server.cert_file, key))


def test_a_key_of_another_user_is_refused(certificates, tmp_path):
    key = Path("/etc/hostname")
    if os.geteuid() == 0:
        key = shutil.copy(certificates.server.key_file, tmp_path / "key.pem")
        os.chown(key, 65534, -1)

    with pytest.raises(ConfigError, match="belongs to another user; a file that you own: chown"):
        server_context(ServerTlsSettings(certificates.server.cert_file, key))


def test_a_key_of_another_certificate_is_refused(certificates):
    with pytest.raises(ConfigError, match=r"tls\.key_file: .* is the key of another certificate; "):
        server_context(ServerTlsSettings(certificates.server.cert_file, certificates.client.key_file))


@pytest.mark.parametrize("what", ["nothing", "a key", "a list", "half", "a chain with a damaged end"])
def test_what_is_no_certificate_is_not_blamed_on_the_key(certificates, tmp_path, what):
    good = certificates.server.cert_file.read_bytes()
    content = {
        "nothing": b"",
        "a key": certificates.server.key_file.read_bytes(),
        "a list": certificates.crl_file.read_bytes(),
        "half": good[: len(good) // 2],
        "a chain with a damaged end": good + good.replace(b"\nMI", b"\nAA"),
    }[what]
    path = tmp_path / "server.pem"
    path.write_bytes(content)

    with pytest.raises(ConfigError) as caught:
        server_context(ServerTlsSettings(path, certificates.server.key_file))

    (problem,) = caught.value.problems
    assert problem.key == "tls.cert_file"
    assert problem.found.startswith(f"'{path}' has no certificate")


def test_a_key_that_needs_a_password_is_refused_without_asking_for_one(certificates, tmp_path):
    locked = tmp_path / "locked.pem"
    key = serialization.load_pem_private_key(certificates.server.key_file.read_bytes(), password=None)
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"sesame"),
        )
    )
    locked.chmod(0o600)

    with pytest.raises(ConfigError, match=r"is encrypted; .*openssl pkey"):
        server_context(ServerTlsSettings(certificates.server.cert_file, locked))


@given(st.data())
def test_a_damaged_certificate_is_read_or_refused(data):
    der = bytearray(_DER)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(der) - 1))
        if data.draw(st.booleans()):
            der[at] = data.draw(st.integers(0, 255))
        else:
            del der[at:]
            break
    try:
        leaf = read_leaf(bytes(der))
    except ValueError:
        return
    assert len(leaf.key_sha256) == 64


@given(st.binary(max_size=64))
def test_what_is_no_certificate_is_refused(garbage):
    with pytest.raises(ValueError, match="certificate"):
        read_leaf(garbage)


# A certificate without a signature worth the name: nothing here looks at one.
_DER = bytes.fromhex(
    "3081c33077a003020102020101300506032b6570300c310a300806035504030c0161301e170d32303031303130303030"
    "30305a170d3330303130313030303030305a300c310a300806035504030c0161302a300506032b65700321008320a519"
    "77d8c38ca8a4927c670df5821e449761945e15e9efb26a1509d230ea300506032b6570034100d9b49f55530d4d3c18f7"
    "cc81b9cc67af86afd4091e198121819486adc05f5c80e37ee15ad1719ff105bc2e86c55c197f540405b74502215cd64f"
    "3acf682f8900"
)
