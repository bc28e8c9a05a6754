"""``townlet collect`` as people start it, stop it and kill it."""

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from hashlib import sha256

import pytest

from tests.telemetry.certificates import Certificates
from tests.telemetry.collector.support import (
    LIMIT,
    SECRET,
    SOURCE,
    TOKEN,
    Peer,
    Poster,
    data,
    lines,
    loss,
    stored,
    wait_until,
)
from townlet_adapters.telemetry.collector.store import read_report
from townlet_adapters.telemetry.wire.frames import WINDOW, Ack, HelloAck, Nack
from townlet_adapters.telemetry.wire.tls import client_context

PLAIN = ("--listen", "tcp://127.0.0.1:0", "--allow-plaintext", "--token-env", "TOKEN")


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


class Process:
    """A collector in a process of its own."""

    def __init__(self, *arguments, cwd):
        code = "from townlet_adapters.cli.main import main; raise SystemExit(main())"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, "collect", *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, "TOKEN": TOKEN, "SECRET": SECRET.decode()},
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said = []
        for said in self.process.stderr:
            self.said.append(said)
            if said.startswith('{"listening"'):
                self.ready = json.loads(said)
                return
        raise AssertionError("".join(self.said))

    @property
    def ports(self):
        return [int(url.rpartition(":")[2]) for url in self.ready["listening"]]

    def signal(self, number):
        self.process.send_signal(number)

    def await_said(self, text):
        for said in self.process.stderr:
            self.said.append(said)
            if text in said:
                return
        raise AssertionError("".join(self.said))

    def end(self):
        """Give the exit code and the rest of what was said."""
        rest = self.process.communicate(timeout=LIMIT)[1]
        return self.process.returncode, rest


@pytest.fixture
def collector(tmp_path):
    """Start collectors; whatever is left of them is killed at the end."""
    started = []

    def start(*arguments):
        started.append(Process(*arguments, cwd=tmp_path))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.communicate()


def test_both_transports_metrics_and_the_report(collector, certificates, tmp_path, townlet):
    server = certificates.server
    running = collector(
        "--listen", "tls://localhost:0", "--listen", "https://127.0.0.1:0", "--out", "events",
        "--cert", server.cert_file, "--key", server.key_file,
        "--token-env", "TOKEN", "--secret-env", "SECRET",
        "--metrics", "127.0.0.1:0", "--ready-file", "ready.json",
    )  # fmt: skip
    assert json.loads((tmp_path / "ready.json").read_text()) == running.ready
    assert running.ready["pid"] == running.process.pid
    frames, posts = running.ports
    context = client_context(certificates.trusting())
    with Peer(frames, context) as peer:
        assert peer.hello() == HelloAck(-1)
        assert peer.deliver([*lines(0, 9), loss(10, [(11, 12)])]) == Ack(10)
    with Poster(posts, context) as poster:
        assert poster.post(lines(5, 14))[1] == {"stored": 4, "duplicates": 6}
    with urllib.request.urlopen(running.ready["metrics"], timeout=LIMIT) as answer:  # noqa: S310 - ours
        metrics = answer.read().decode()
    figures = dict(re.findall(r"^(\w+(?:\{[^}]*\})?) ([0-9.e+]+)$", metrics, re.MULTILINE))
    assert float(figures["townlet_collector_events_stored_total"]) == 15
    assert float(figures["townlet_collector_duplicates_total"]) == 6
    assert float(figures["townlet_collector_contradictions"]) == 2
    assert float(figures["townlet_collector_fsync_duration_seconds_count"]) == 2
    assert float(figures['townlet_collector_connections_total{transport="tls"}']) == 1
    assert "run-a" not in metrics
    running.signal(signal.SIGTERM)
    code, said = running.end()
    assert code == 0
    assert "stored 15 events now, 15 of 1 source in all; 0 missing, 2 declared lost" in said
    assert json.loads((tmp_path / "events" / "report.json").read_text())["totals"]["events"] == 15
    code, out, _ = townlet("collect", "--report", "events")
    assert code == 1
    assert "buffer_full: 11-12" in out
    code, out, _ = townlet("collect", "--report", "events", "--json")
    assert (code, json.loads(out)["totals"]["contradictions"]) == (1, 2)


def test_an_interrupt_ends_it_in_good_order_and_a_second_one_at_once(collector, tmp_path):
    running = collector(*PLAIN, "--out", "events")
    assert any("PLAINTEXT" in said for said in running.said)
    running.signal(signal.SIGINT)
    code, said = running.end()
    assert code == 130
    assert "stored 0 events now" in said
    running = collector(*PLAIN, "--out", "events")
    with Peer(*running.ports) as peer:
        peer.hello()
        running.signal(signal.SIGINT)
        running.await_said("interrupt again")
        running.signal(signal.SIGINT)
        code, said = running.end()
    assert code == 130
    assert "stored" not in said
    assert read_report(tmp_path / "events").exact


def kill_when(event, process):
    event.wait(LIMIT)
    process.kill()


def test_whatever_was_acknowledged_survives_kill_9_and_nothing_is_stored_twice(collector, tmp_path):
    """The peer keeps a window of frames on their way, as a sink does, and never waits for the kill."""
    folder, chance, acknowledged = tmp_path / "events", random.Random(7), -1  # noqa: S311 - when to kill
    for _ in range(5):
        running = collector(*PLAIN, "--out", folder)
        enough = acknowledged + chance.randrange(200, 3000)
        with Peer(*running.ports) as peer:
            through = peer.hello().stored_through
            assert through >= acknowledged
            acknowledged, sent, kill = through, through, threading.Event()
            killing = threading.Thread(target=kill_when, args=(kill, running.process))
            killing.start()
            try:
                while True:
                    while sent - acknowledged < WINDOW * 100:
                        peer.send(data(lines(sent + 1, sent + 100)))
                        sent += 100
                    answer = peer.receive()
                    if answer is None:
                        break
                    acknowledged = answer.stored_through
                    if acknowledged >= enough:
                        kill.set()
            except OSError:
                pass
            kill.set()
            killing.join()
        running.process.wait(LIMIT)
        assert set(read_report(folder).sources[0].missing) == set()
        assert read_report(folder).sources[0].through >= acknowledged
    running = collector(*PLAIN, "--out", folder)
    with Peer(*running.ports) as peer:
        through = peer.hello().stored_through
        assert peer.deliver(lines(through - 50, through + 50)) == Ack(through + 50)
    assert stored(folder) == {SOURCE: list(range(through + 51))}


def test_a_port_that_is_taken_is_wrong_usage(townlet, monkeypatch):
    monkeypatch.setenv("TOKEN", TOKEN)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        where = ("collect", "--listen", f"tcp://127.0.0.1:{port}", *PLAIN[2:], "--out", "events")
        code, out, err = townlet(*where)
    assert (code, out) == (2, "")
    assert f"--listen tcp://127.0.0.1:{port}: cannot listen: Address already in use; name another port" in err
    assert "Traceback" not in err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        metrics = f"127.0.0.1:{taken.getsockname()[1]}"
        code, _, err = townlet("collect", *PLAIN, "--out", "events", "--metrics", metrics)
    assert (code, "--metrics: cannot listen" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "give --listen and --out, or --report alone"),
        (["--listen", "tls://127.0.0.1:0"], "give --listen and --out"),
        (["--report", "events", "--out", "events"], "give --listen and --out, or --report alone"),
        (["--report", "nowhere"], "nowhere: is not a folder"),
        (
            ["--listen", "udp://127.0.0.1:0", "--out", "x"],
            "--listen: is not an address to listen at; tls://HOST:PORT",
        ),
        (["--listen", "tls://127.0.0.1", "--out", "x"], "--listen: has no port from 1 to 65535"),
        (
            ["--listen", "tls://127.0.0.1:0", "--out", "x", "--token-env", "TOKEN"],
            "has no certificate; give --cert",
        ),
        (
            ["--listen", "tcp://127.0.0.1:0", "--out", "x", "--token-env", "TOKEN"],
            "would listen in plaintext",
        ),
        (
            ["--listen", "tcp://0.0.0.0:0", "--out", "x", "--token-env", "TOKEN", "--allow-plaintext"],
            "plaintext stays on this machine",
        ),
        (
            ["--listen", "tcp://127.0.0.1:0", "--out", "x", "--allow-plaintext"],
            "would accept events from any client; give --token-env, --token-file or --tokens-file",
        ),
        (
            ["--listen", "http://127.0.0.1:0", "--out", "x", "--allow-plaintext"],
            "from any client; give --secret-env, --secret-file or --secrets-file",
        ),
        ([*PLAIN, "--out", "x", "--token-env", "NOT_SET"], "--token-env: the variable NOT_SET is not set"),
        (
            [*PLAIN, "--out", "x", "--token-env", "ACCENTS"],
            "--token-env: the token holds other characters; at most 4096",
        ),
        (
            [*PLAIN, "--listen", "http://127.0.0.1:0", "--out", "x", "--secret-env", "SHORT"],
            "a key of 20 bytes, where 24 to 64 are allowed",
        ),
        (
            [*PLAIN, "--out", "x", "--token-file", "open.token"],
            "--token-file: the file 'open.token' can be read by others",
        ),
        (
            [*PLAIN, "--out", "x", "--tokens-file", "open.token"],
            "--tokens-file: the file 'open.token' can be read by others",
        ),
        (
            [*PLAIN, "--out", "x", "--tokens-file", "wrong.tokens"],
            "wrong.tokens:2: --tokens-file: the second word is not a SHA-256; 64 hex digits",
        ),
        (
            [*PLAIN, "--out", "x", "--tokens-file", "same.tokens"],
            "--tokens-file: default and town-a have the same one; a different token or secret for each name",
        ),
        ([*PLAIN, "--out", "x", "--heartbeat", "0"], "--heartbeat"),
        ([*PLAIN, "--out", "x", "--cert", "c.pem"], "--cert and --key belong together"),
        ([*PLAIN, "--out", "x", "--client-ca", "c.pem"], "--client-ca and --crl need --cert and --key"),
        ([*PLAIN, "--out", "open.token"], "open.token: cannot be used: File exists"),
        ([*PLAIN, "--out", "foreign"], "it ends in something that is not an event; nothing was changed"),
    ],
)
def test_whatever_cannot_work_is_said_in_one_line_before_anything_is_opened(
    townlet, tmp_path, monkeypatch, arguments, told
):
    monkeypatch.setenv("TOKEN", TOKEN)
    monkeypatch.setenv("SHORT", "x" * 20)
    monkeypatch.setenv("ACCENTS", "ä" * 20)
    (tmp_path / "open.token").write_text(TOKEN)
    (tmp_path / "open.token").chmod(0o644)
    for name, word in (("wrong.tokens", TOKEN), ("same.tokens", sha256(TOKEN.encode()).hexdigest())):
        (tmp_path / name).write_text(f"# towns\ntown-a {word}\n")
        (tmp_path / name).chmod(0o600)
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "run.p1.ndjson").write_text("a letter")
    code, out, err = townlet("collect", *arguments)
    assert (code, out) == (2, "")
    assert told in " ".join(err.split())
    assert "Traceback" not in err
    assert TOKEN not in err
    assert not (tmp_path / "x").exists()


def test_certificates_that_cannot_be_used_are_named_by_their_options(
    townlet, certificates, monkeypatch, tmp_path
):
    monkeypatch.setenv("TOKEN", TOKEN)
    server, other = certificates.server, certificates.client
    begin = ("collect", "--listen", "tls://127.0.0.1:0", "--token-env", "TOKEN", "--out", "x")
    loose = tmp_path / "loose.key"
    loose.write_bytes(server.key_file.read_bytes())
    loose.chmod(0o644)
    for cert, key, told in [
        ("missing.pem", server.key_file, "--cert: 'missing.pem' cannot be used: No such file"),
        (server.cert_file, loose, "can be read by others; a file that only you can read: chmod 600"),
        (server.cert_file, other.key_file, "--key: "),
        (server.cert_file, other.key_file, "is the key of another certificate; the PEM file with the "),
        (server.cert_file, other.key_file, "private key of --cert"),
        (server.key_file, server.key_file, f"--cert: '{server.key_file}' has no certificate"),
    ]:
        code, _, err = townlet(*begin, "--cert", str(cert), "--key", str(key))
        assert (code, told in " ".join(err.split())) == (2, True), err
        assert "Traceback" not in err


def test_a_list_of_the_revoked_for_nobody_is_refused_in_our_own_words(townlet, certificates, monkeypatch):
    monkeypatch.setenv("TOKEN", TOKEN)
    server = certificates.server
    code, _, err = townlet(
        "collect", "--listen", "tls://127.0.0.1:0", "--token-env", "TOKEN", "--out", "x",
        "--cert", str(server.cert_file), "--key", str(server.key_file), "--crl", str(certificates.crl_file),
    )  # fmt: skip
    assert code == 2
    assert "--crl: revokes nothing; give --client-ca, too, or leave it out" in " ".join(err.split())


def test_towns_with_names_own_what_they_send_and_the_report_shows_it(townlet, collector, tmp_path):
    tokens = {"town-a": "token-of-the-town-a", "town-b": "token-of-the-town-b"}
    file = tmp_path / "tokens"
    file.write_text("".join(f"{name} {sha256(each.encode()).hexdigest()}\n" for name, each in tokens.items()))
    file.chmod(0o600)
    running = collector(*PLAIN[:3], "--tokens-file", "tokens", "--out", "events")
    with Peer(*running.ports) as town:
        town.hello(token=tokens["town-a"])
        assert town.deliver(lines(0, 3)) == Ack(3)
    with Peer(*running.ports) as attacker:
        assert attacker.hello(token=tokens["town-b"]) == Nack("forbidden")
    running.signal(signal.SIGTERM)
    _, said = running.end()
    assert "other_owner: town-b sends urn:townlet:run:run-a:p1, which is owned by town-a" in said
    code, out, _ = townlet("collect", "--report", "events")
    assert (code, "town-a" in out) == (0, True)


def test_a_heartbeat_says_how_much_is_stored(collector):
    running = collector(*PLAIN, "--out", "events", "--heartbeat", "0.1")
    with Peer(*running.ports) as peer:
        peer.hello()
        peer.deliver([*lines(0, 3), *lines(6, 6)])
    running.await_said("5 new events stored; in all 5 events of 1 source, 2 missing, 0 declared lost")
    assert json.loads(running.said[-1])["level"] == "info"
    running.signal(signal.SIGTERM)
    running.end()


def test_the_report_of_a_folder_tells_where_every_number_is(townlet, collector, tmp_path):
    running = collector(*PLAIN, "--out", "events")
    with Peer(*running.ports) as peer:
        peer.hello()
        peer.deliver([*lines(0, 3), *lines(6, 6)])
        code, out, _ = townlet("collect", "--report", "events")
        assert (code, "4-5" in out) == (1, True)
        peer.deliver([loss(7, [(4, 5)])])
    code, out, _ = townlet("collect", "--report", "events")
    assert (code, "buffer_full: 4-5" in out) == (0, True)
    wait_until((tmp_path / "events" / "report.json").exists)
