"""`townlet spool send` delivers what a run has left, without a town."""

import json

import pytest

from tests.telemetry.certificates import Certificates
from townlet_adapters.composition import Output, RunRequest, open_run
from townlet_adapters.telemetry.collector.credentials import secret_of, token_of
from townlet_adapters.telemetry.collector.settings import CollectorSettings, Listen
from townlet_adapters.telemetry.collector.testing import RunningCollector
from townlet_adapters.telemetry.wire.endpoint import Endpoint
from townlet_adapters.telemetry.wire.tls import ServerTlsSettings

SHARED = "0123456789abcdef01234567"
CONFIG = """\
townlet: 1
seed: 7
telemetry:
  sinks:
    - {{use: file, options: {{path: {folder}/events.ndjson}}}}
    - use: tcp
      options: {{endpoint: "localhost:{tcp}", tls: {{ca_file: ca.pem}}, token_file: shared}}
    - use: http
      options: {{url: "https://localhost:{http}/v1/events", tls: {{ca_file: ca.pem}}, secret_file: shared}}
"""


@pytest.fixture
def folder(tmp_path):
    """A folder with certificates, a secret, and what a run has left whose collector was never there."""
    Certificates(tmp_path)
    (tmp_path / "shared").touch(mode=0o600)
    (tmp_path / "shared").write_text(SHARED)
    write_config(tmp_path, 1, 1)
    with open_run(
        RunRequest(config=tmp_path / "remote.yaml", output=Output(keep=True, path=tmp_path / "run"))
    ) as run:
        run.loop.run_for(10)
        for route in run.routes:
            route.sink.stop(0.1)
    return tmp_path


def write_config(folder, tcp, http):
    (folder / "remote.yaml").write_text(CONFIG.format(folder=folder, tcp=tcp, http=http))


def collector(folder):
    pair = {"cert_file": folder / "server.pem", "key_file": folder / "server.key"}
    listen = tuple(Listen(scheme, Endpoint("localhost", 0)) for scheme in ("tls", "https"))
    tokens, secrets = (token_of(SHARED.encode()),), (secret_of(SHARED.encode()),)
    return RunningCollector(
        CollectorSettings(
            folder / "collected", listen, ServerTlsSettings(**pair), tokens=tokens, secrets=secrets
        )
    )


def waiting(townlet, folder):
    rows = json.loads(townlet("spool", "ls", str(folder), "--json")[1])
    return {row["outbox"].rpartition("/")[2]: row["events"] for row in rows}


def test_what_a_run_has_left_is_delivered_to_where_its_config_says(townlet, folder):
    left = waiting(townlet, folder / "run" / "spool")
    assert set(left) == {"tcp-2", "http-3"}
    assert all(left.values())
    with collector(folder) as receiving:
        write_config(folder, *receiving.ports())
        code, out, err = townlet("spool", "send", str(folder / "run" / "spool"), str(folder / "remote.yaml"))
        assert (code, out) == (0, "")
        assert "everything is delivered" in err
    assert set(waiting(townlet, folder / "run" / "spool").values()) == {0}
    stored = {
        path.name.split(".")[1]: [json.loads(line)["id"] for line in path.read_text().splitlines()]
        for path in (folder / "collected").glob("*.ndjson")
    }
    assert {number: len(ids) for number, ids in stored.items()} == {"p2": left["tcp-2"], "p3": left["http-3"]}
    assert all(ids == sorted(set(ids)) for ids in stored.values())


def test_one_outbox_alone_and_no_longer_than_asked(townlet, folder):
    outbox = folder / "run" / "spool" / "tcp-2"
    before = waiting(townlet, outbox)
    code, _, err = townlet("spool", "send", str(outbox), str(folder / "remote.yaml"), "--seconds", "0.3")
    assert code == 1
    assert f"tcp-2: {before['tcp-2']} events wait; refused: localhost:1: " in err
    assert SHARED not in err
    assert waiting(townlet, outbox) == before


def test_a_config_without_that_sink_is_refused_with_those_it_has(townlet, folder):
    (folder / "other.yaml").write_text("townlet: 1\nseed: 7\n")
    code, _, err = townlet("spool", "send", str(folder / "run" / "spool"), str(folder / "other.yaml"))
    assert code == 2
    assert "no sink has the outbox http-3; a config with that sink in that place; this one has: none" in err
    code, _, err = townlet("spool", "send", str(folder), str(folder / "other.yaml"))
    assert (code, "is not an outbox and has none in it" in err) == (2, True)
