"""What the pages for operators tell people to type makes what the pages say."""

import re
import shutil
import ssl
import stat

import pytest

from tests.house.sources import ROOT
from tests.tutorials.pages import run_blocks
from townlet_adapters.secrets import read_secret
from townlet_adapters.telemetry.wire.frames import is_plain
from townlet_adapters.telemetry.wire.signing import parse_key
from townlet_adapters.telemetry.wire.tls import (
    ServerTlsSettings,
    TlsSettings,
    client_context,
    peer_leaf,
    server_context,
)

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="the pages use openssl")
PAGES = ROOT / "docs" / "operations"


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> ssl.SSLObject:
    """Connect two ends in memory, and let the client's first word arrive; gives the client."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server, server_hostname=name)
    other = server.wrap_bio(to_server, to_client, server_side=True)
    done = set()
    for _ in range(10):
        for end in (one, other):
            try:
                end.do_handshake()
                done.add(end)
            except ssl.SSLWantReadError:
                continue
    assert done == {one, other}
    other.write(b"welcome")
    assert one.read(7) == b"welcome"
    return one


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("authority")
    assert run_blocks(PAGES / "certificates.md", folder) >= 6
    return folder


def test_what_the_page_makes_connects(made):
    server = server_context(ServerTlsSettings(made / "collector.pem", made / "collector.key"))
    client = client_context(TlsSettings(ca_file=made / "ca.pem"))
    for name in ("localhost", "collector.example", "127.0.0.1"):
        shake_hands(client, server, name)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(client, server, "collector")


def test_a_towns_certificate_lets_it_in_until_it_is_revoked(made):
    pair = {"cert_file": made / "town.pem", "key_file": made / "town.key"}
    known = client_context(TlsSettings(ca_file=made / "ca.pem", **pair))
    unknown = client_context(TlsSettings(ca_file=made / "ca.pem"))
    asking = ServerTlsSettings(made / "collector.pem", made / "collector.key", made / "ca.pem")
    shake_hands(known, server_context(asking), "localhost")
    with pytest.raises(ssl.SSLError, match="did not return a certificate"):
        shake_hands(unknown, server_context(asking), "localhost")
    listed = ServerTlsSettings(
        made / "collector.pem", made / "collector.key", made / "ca.pem", made / "crl.pem"
    )
    with pytest.raises(ssl.SSLCertVerificationError, match="revoked"):
        shake_hands(known, server_context(listed), "localhost")


def test_the_list_of_the_page_does_not_revoke_the_collector(made):
    server = server_context(ServerTlsSettings(made / "collector.pem", made / "collector.key"))
    client = client_context(TlsSettings(ca_file=made / "ca.pem", crl_file=made / "crl.pem"))
    shake_hands(client, server, "localhost")


def test_the_pin_of_the_page_is_the_collectors(made):
    server = server_context(ServerTlsSettings(made / "collector.pem", made / "collector.key"))
    client = shake_hands(client_context(TlsSettings(ca_file=made / "ca.pem")), server, "localhost")
    leaf = peer_leaf(client)
    assert leaf is not None
    assert leaf.key_sha256 == (made / "pin").read_text().strip()


def test_the_secrets_of_the_page_can_be_used(tmp_path):
    assert run_blocks(PAGES / "secrets.md", tmp_path) == 1
    assert is_plain(read_secret("token", None, tmp_path / "token").decode())
    assert len(parse_key(read_secret("secret", None, tmp_path / "secret"))) == 32
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


def test_the_page_has_every_code_that_a_sink_tells():
    page = (PAGES / "certificates.md").read_text(encoding="utf-8")
    rows = "".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| `tls_"))
    package = ROOT / "townlet_adapters" / "telemetry" / "transports"
    source = "".join(path.read_text(encoding="utf-8") for path in package.glob("*.py"))
    assert set(re.findall("`(tls_[a-z_]+)`", rows)) == set(re.findall('"(tls_[a-z_]+)"', source))
