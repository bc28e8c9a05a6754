"""Certificates that are wrong, then right: told as what a person must see to, and taken without a restart."""

import shutil
import ssl

import pytest

from tests.telemetry.hostile.rig import LIMIT, restock
from townlet_adapters.telemetry.wire.certificates import read_leaf_file

SEE_TO_IT = "this does not change by itself"
LATER = "the sink keeps its events and tries again"

SERVERS = {
    "an authority that nobody named": ("untrusted", "tls_untrusted", "check tls.ca_file"),
    "expired": ("expired", "tls_expired", "renew it at the collector"),
    "not yet valid": ("not_yet_valid", "tls_not_yet_valid", "check the clocks"),
    "for another host": ("wrong_host", "tls_hostname", "it is for another name"),
    "a common name only": ("common_name_only", "tls_hostname", "it is for another name"),
    "revoked": ("revoked", "tls_revoked", "install a new one at the collector"),
}


@pytest.mark.parametrize("name", SERVERS, ids=lambda name: name.replace(" ", "-"))
def test_a_collector_with_a_wrong_certificate_hears_nothing_until_it_has_a_right_one(
    rig, name, certificates, caplog
):
    shown, code, words = SERVERS[name]
    rig.collect(getattr(certificates, shown))
    crl = {"crl_file": str(certificates.crl_file)} if shown == "revoked" else {}
    sink = rig.started(tls={"ca_file": str(certificates.ca_file), **crl})
    for n in range(20):
        sink.emit(restock(n))
    status, health = rig.until_told(sink, code)
    assert words in status.last_error
    assert (status.delivered, health.connected, health.state) == (0, False, "degraded")
    rig.until_logged(sink, SEE_TO_IT)
    assert not list(rig.events.glob("*.ndjson"))
    rig.heal()
    rig.until_delivered(sink)
    rig.assert_complete(sink.stop(LIMIT))
    assert f"sink {rig.kind}: delivers again after" in caplog.text


def test_a_collector_with_another_key_than_the_one_named_hears_nothing(rig, certificates):
    rig.collect(certificates.server)
    tls = {"ca_file": str(certificates.ca_file), "key_sha256": [certificates.renewed.key_sha256]}
    sink = rig.started(tls=tls)
    sink.emit(restock(0))
    rig.until_told(sink, "tls_pin")
    rig.until_logged(sink, SEE_TO_IT)
    rig.heal(certificates.renewed)
    rig.until_delivered(sink)
    rig.assert_complete(sink.stop(LIMIT))


def test_the_wrong_authority_on_our_side_is_replaced_without_a_restart(rig, certificates):
    rig.collect()
    mine = rig.folder / "mine.pem"
    shutil.copy(certificates.other_ca_file, mine)
    sink = rig.started(tls={"ca_file": str(mine)})
    sink.emit(restock(0))
    rig.until_told(sink, "tls_untrusted")
    shutil.copy(certificates.ca_file, mine)
    rig.until_delivered(sink)
    rig.assert_complete(sink.stop(LIMIT))


def test_a_revocation_list_that_is_out_of_date_is_told_and_replaced_without_a_restart(rig, certificates):
    rig.collect()
    lists = rig.folder / "crl.pem"
    shutil.copy(certificates.old_crl_file, lists)
    sink = rig.started(tls={"ca_file": str(certificates.ca_file), "crl_file": str(lists)})
    sink.emit(restock(0))
    status, _ = rig.until_told(sink, "tls_crl")
    assert "check tls.crl_file" in status.last_error
    shutil.copy(certificates.crl_file, lists)
    rig.until_delivered(sink)
    rig.assert_complete(sink.stop(LIMIT))


def test_a_certificate_that_vanishes_under_a_running_town_is_told_and_put_back(rig, certificates):
    rig.collect()
    mine = rig.folder / "mine.pem"
    shutil.copy(certificates.ca_file, mine)
    sink = rig.started(tls={"ca_file": str(mine)})
    sink.emit(restock(0))
    rig.until_delivered(sink)
    mine.unlink()
    rig.proxy.reset()
    sink.emit(restock(1))
    _, health = rig.until(sink, lambda status, _: "mine.pem" in str(status.last_error))
    assert health.state == "degraded"
    shutil.copy(certificates.ca_file, mine)
    rig.until_delivered(sink)
    assert rig.look(sink)[1].worker.restarts == 0
    rig.assert_complete(sink.stop(LIMIT))


def place(pair, folder):
    shutil.copy(pair.cert_file, folder / "own.pem")
    shutil.copy(pair.key_file, folder / "own.key")


@pytest.mark.parametrize("wrong", ["other_client", "missing"])
def test_a_town_that_may_not_come_in_says_so_and_may_once_its_certificate_is_replaced(
    rig, wrong, certificates
):
    """In TLS 1.3 our handshake succeeds; the refusal comes later, where an answer was awaited."""
    rig.collect(client_ca=certificates.ca_file)
    tls = {"ca_file": str(certificates.ca_file)}
    if wrong != "missing":
        place(certificates.other_client, rig.folder)
        tls |= {"cert_file": "own.pem", "key_file": "own.key"}
    sink = rig.started(tls=tls)
    sink.emit(restock(0))
    status, _ = rig.until_told(sink, "tls_client_certificate")
    assert "check tls.cert_file" in status.last_error
    rig.until_logged(sink, "refuses this sender's certificate")
    assert status.delivered == 0
    if wrong == "missing":
        rig.heal()
    else:
        place(certificates.client, rig.folder)
    rig.until_delivered(sink)
    rig.assert_complete(sink.stop(LIMIT))


def test_certificates_are_changed_on_both_sides_under_way_and_nothing_is_noticed(rig, certificates, caplog):
    rig.collect(client_ca=certificates.ca_file)
    place(certificates.client, rig.folder)
    tls = {"ca_file": str(certificates.ca_file), "cert_file": "own.pem", "key_file": "own.key"}
    sink = rig.started(tls=tls)
    sink.emit(restock(0))
    _, before = rig.until_delivered(sink)
    assert before.certificate_expires_s > 0
    port = rig.proxy.target.port
    rig.collect(certificates.renewed, port=port, client_ca=certificates.ca_file)
    sink.emit(restock(1))
    rig.until_delivered(sink)
    assert SEE_TO_IT not in caplog.text
    rig.assert_complete(sink.stop(LIMIT))


def old_tls(certificates):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server.cert_file, certificates.server.key_file)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def test_a_peer_of_the_older_version_is_told_and_hears_no_secret(rig, certificates):
    rig.peer(*[lambda _line: None] * 100, context=old_tls(certificates))
    sink = rig.started()
    sink.emit(restock(0))
    status, _ = rig.until_told(sink, "tls_protocol")
    assert "does it speak TLS 1.3?" in status.last_error
    rig.until_logged(sink, LATER)
    rig.heal()
    rig.until_delivered(sink)
    rig.assert_complete(sink.stop(LIMIT))


def test_a_web_server_without_tls_is_told_and_hears_no_secret(rig):
    heard = []

    def script(client):
        heard.append(client.connection.recv(1 << 16))
        client.send(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")

    rig.receiver(*[script] * 100, tls=False)
    sink = rig.started()
    sink.emit(restock(0))
    status, _ = rig.until_told(sink, "tls_protocol")
    assert "is it a TLS port" in status.last_error
    rig.heal()
    rig.until_delivered(sink)
    assert heard
    assert all(data[:1] == b"\x16" for data in heard)
    rig.assert_complete(sink.stop(LIMIT))


def test_when_the_first_certificate_expires_is_a_figure(rig, certificates):
    rig.collect()
    sink = rig.started()
    sink.emit(restock(0))
    _, health = rig.until_delivered(sink)
    expires = read_leaf_file(certificates.server.cert_file).expires
    assert abs(health.certificate_expires_s + sink._clock.wall() - expires) < 60
    sink.stop(LIMIT)
