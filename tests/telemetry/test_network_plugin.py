"""Both network sinks by one line of config: what has to be set is told, and what was set works."""

import asyncio
import itertools
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from tests.telemetry.faults import Fate, FaultProxy
from tests.telemetry.receivers import TAKEN, ScriptedReceiver
from townlet_adapters.composition import Output, RunRequest, open_run
from townlet_adapters.config.resolve import SinkRequest
from townlet_adapters.config.source import SHIPPED, Override, read_source
from townlet_adapters.running import open_simulation
from townlet_adapters.telemetry.collector.credentials import secret_of, token_of
from townlet_adapters.telemetry.collector.service import Collector, CollectorSettings, Listen
from townlet_adapters.telemetry.plugin import townlet_sinks
from townlet_adapters.telemetry.wire.endpoint import Endpoint
from townlet_adapters.telemetry.wire.tls import ServerTlsSettings
from townlet_adapters.worlds.town.events.economy import EconomyRestock
from townlet_core.errors import ConfigError, NoRunFolderError
from townlet_core.events.base import Fact
from townlet_core.testing import check_sink
from townlet_plugins.access import Access, Allowed
from townlet_plugins.factory import BuildContext

SINKS = {factory.name: factory for factory in townlet_sinks()}
TOKEN = "0123456789abcdef"  # noqa: S105 - made up
SECRET = "0123456789abcdef01234567"  # noqa: S105 - made up
HEAVY = {"ssl", "h11", "sqlite3", "_sqlite3", "prometheus_client", "asyncio"}
PATIENCE = 30.0


class RunningCollector:
    """A collector for frames and for posts, on a thread of its own."""

    def __init__(self, folder, certificates):
        self._settings = CollectorSettings(
            folder,
            tuple(Listen(scheme, Endpoint("127.0.0.1", 0)) for scheme in ("tls", "https")),
            ServerTlsSettings(certificates.server.cert_file, certificates.server.key_file),
            tokens=(token_of(TOKEN.encode()),),
            secrets=(secret_of(SECRET.encode()),),
        )
        self._folder = folder
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self.ports = {}
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(PATIENCE)
        self._loop.close()

    async def _serve(self):
        collector = Collector(self._settings)
        await collector.start()
        self.ports = {url.partition(":")[0]: int(url.rpartition(":")[2]) for url in collector.urls}
        self._ready.set()
        await self._end.wait()
        await collector.stop()

    def addresses(self):
        """Options that lead to it, by sink."""
        return {
            "tcp": {"endpoint": f"localhost:{self.ports['tls']}"},
            "http": {"url": f"https://localhost:{self.ports['https']}/v1/events"},
        }

    def stored(self):
        """Every event stored, by source; call it when the collector has ended."""
        found = {}
        for path in self._folder.glob("*.ndjson"):
            for line in path.read_text().splitlines():
                event = json.loads(line)
                found.setdefault(event["source"], []).append(event)
        return found


@pytest.fixture
def both_secrets(monkeypatch):
    monkeypatch.setenv("TOWNLET_TOKEN", TOKEN)
    monkeypatch.setenv("TOWNLET_SECRET", SECRET)


@pytest.fixture
def no_secrets(monkeypatch):
    monkeypatch.delenv("TOWNLET_TOKEN", raising=False)
    monkeypatch.delenv("TOWNLET_SECRET", raising=False)


def build(name, options, run_dir, config_dir=None, run_id="r"):
    """Build a sink; without a folder of the config, it may read every file."""
    text = json.dumps(options)
    access = Access(config_dir) if config_dir else Access(Path(), Allowed(path=(Path("/"),)))
    prepared = SINKS[name].prepare(lambda model: model.model_validate_json(text, strict=True), access)
    return prepared.build(BuildContext(seed=7, access=access, run_dir=run_dir, run_id=run_id))


def private(path, text):
    path.write_text(text)
    path.chmod(0o600)


def restock(n):
    return Fact(n, n, EconomyRestock("fridge_1", "meal", n))


NOWHERE = {"tcp": {"endpoint": "localhost:1"}, "http": {"url": "https://localhost:1/"}}


def test_neither_the_plugin_nor_help_brings_what_only_network_sinks_need():
    code = (
        "import sys; import townlet_adapters.telemetry.plugin as p; p.townlet_sinks();"
        "from townlet_adapters.cli.main import main; main(['--help']);"
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.usefixtures("no_secrets")
@pytest.mark.parametrize(
    ("name", "options", "key", "said"),
    [
        ("tcp", {}, "token_env", "the variable TOWNLET_TOKEN is not set"),
        ("tcp", {"token_env": None}, "token_env", "this key is missing"),
        ("tcp", {"token_env": "TOWNLET_NONE"}, "token_env", "the variable TOWNLET_NONE is not set"),
        ("tcp", {"token_env": "PATH"}, "token_env", "a config may not read the variable PATH"),
        ("tcp", {"token_file": "../none"}, "token_file", "a config may not read '../none'"),
        ("tcp", {"token_file": "none"}, "token_file", "/none' cannot be read"),
        ("tcp", {"token_file": "open"}, "token_file", "can be read by others"),
        ("tcp", {"token_file": "umlauts"}, "token_file", "characters other than printable ASCII"),
        ("http", {}, "secret_env", "the variable TOWNLET_SECRET is not set"),
        ("http", {"secret_file": "none"}, "secret_file", "/none' cannot be read"),
        ("http", {"secret_file": "short"}, "secret_file", "a key of 16 bytes, where 24 to 64 are allowed"),
        ("http", {"secret_file": "broken"}, "secret_file", "not base64"),
        ("http", {"secret_file": "good", "second_secret_env": "TOWNLET_NO"}, "second_secret_env", "not set"),
        ("http", {"secret_file": "good", "second_secret_file": "short"}, "second_secret_file", "16 bytes"),
    ],
)
def test_a_secret_that_cannot_be_used_is_told_with_its_key_and_not_repeated(
    name, options, key, said, tmp_path
):
    for file, text in {
        "good": SECRET,
        "short": TOKEN,
        "umlauts": "ümlautümlautümlaut",
        "broken": "whsec_%%%%%%%%%%%%%%%%%%%%%%%%",
    }.items():
        private(tmp_path / file, text)
    (tmp_path / "open").write_text(TOKEN)
    (tmp_path / "open").chmod(0o644)
    with pytest.raises(ConfigError) as caught:
        build(name, NOWHERE[name] | options, tmp_path, tmp_path)
    (problem,) = caught.value.problems
    assert problem.key == key
    assert said in problem.found
    for secret in (TOKEN, SECRET, "ümlaut", "%%%"):
        assert secret not in str(caught.value)


@pytest.mark.usefixtures("no_secrets")
def test_a_client_certificate_needs_no_token_beside_it(tmp_path, certificates):
    pair = certificates.client
    tls = {"cert_file": str(pair.cert_file), "key_file": str(pair.key_file)}
    assert build("tcp", NOWHERE["tcp"] | {"tls": tls}, tmp_path)


@pytest.mark.usefixtures("both_secrets")
@pytest.mark.parametrize("name", ["tcp", "http"])
def test_an_outbox_needs_a_run_folder_or_a_folder_of_its_own(name, tmp_path):
    with pytest.raises(NoRunFolderError, match=f"the {name} sink is not opened: its outbox 'spool'"):
        build(name, NOWHERE[name], None)
    assert build(name, NOWHERE[name] | {"durability": "memory"}, None)
    assert build(name, NOWHERE[name] | {"spool_dir": str(tmp_path)}, None)


@pytest.mark.usefixtures("both_secrets")
@pytest.mark.parametrize("durability", ["memory", "process", "power"])
def test_a_network_sink_keeps_the_contract_of_sinks(durability, tmp_path, certificates):
    with RunningCollector(tmp_path / "collected", certificates) as collector:
        common = {"durability": durability, "tls": {"ca_file": str(certificates.ca_file)}}
        runs = (f"run-{number}" for number in itertools.count())
        for name, options in collector.addresses().items():
            check_sink(
                lambda name=name, options=options: build(name, common | options, tmp_path, run_id=next(runs)),
                observations=True,
            )


@pytest.mark.usefixtures("both_secrets")
@pytest.mark.parametrize("name", ["tcp", "http"])
def test_what_nobody_took_waits_in_a_folder_of_the_sinks_own_and_that_is_told(name, tmp_path, caplog):
    sink = build(name, NOWHERE[name], tmp_path)
    sink.start()
    for n in range(10):
        sink.emit(restock(n))
    status = sink.stop(0.3)
    assert (status.emitted, status.spooled, dict(status.dropped)) == (10, 10, {})
    assert (tmp_path / "spool" / f"{name}-1").is_dir()
    assert f"{tmp_path}/spool/{name}-1: 10 events wait here" in caplog.text


@pytest.mark.usefixtures("both_secrets")
@pytest.mark.parametrize("name", ["tcp", "http"])
def test_what_one_run_left_in_a_folder_of_its_own_is_sent_by_the_next(name, tmp_path, certificates):
    common = {"spool_dir": str(tmp_path / "spool"), "tls": {"ca_file": str(certificates.ca_file)}}
    first = build(name, NOWHERE[name] | common, None, run_id="first")
    first.start()
    for n in range(10):
        first.emit(restock(n))
    assert first.stop(0.2).spooled == 10
    with RunningCollector(tmp_path / "collected", certificates) as collector:
        second = build(name, collector.addresses()[name] | common, None, run_id="second")
        second.start()
        second.emit(restock(0))
        status = second.stop(PATIENCE)
    assert (status.emitted, status.delivered) == (1, 1)
    counts = {source: len(events) for source, events in collector.stored().items()}
    assert counts == {"urn:townlet:run:first:p1": 10, "urn:townlet:run:second:p1": 1}


@pytest.mark.usefixtures("both_secrets")
def test_while_keys_change_a_request_is_signed_with_the_old_and_the_new_one(tmp_path, certificates):
    private(tmp_path / "new", "the new key, 24 to 64 bytes")
    shutil.copy(certificates.ca_file, tmp_path / "ca.pem")
    seen = []

    def script(client):
        seen.append(client.read())
        client.send(TAKEN)

    receiver = ScriptedReceiver([script], certificates.serving())
    options = {"url": f"https://localhost:{receiver.port}/", "tls": {"ca_file": "ca.pem"}}
    sink = build("http", options | {"second_secret_file": "new"}, tmp_path / "run", tmp_path)
    sink.start()
    sink.emit(restock(0))
    assert sink.stop(PATIENCE).delivered == 1
    receiver.stop()
    (request,) = seen
    for key in (SECRET, "the new key, 24 to 64 bytes"):
        Webhook(key.encode()).verify(request.body, dict(request.headers))


@pytest.mark.usefixtures("both_secrets")
@pytest.mark.parametrize("durability", ["memory", "process"])
def test_a_receiver_at_its_worst_has_every_event_or_it_is_put_aside(
    durability, tmp_path, certificates, caplog
):
    stored, faults = {}, iter(["lost", "busy", "reset"])

    def script(client):
        while True:
            request = client.read()
            events = json.loads(request.body)
            fault = next(faults, None)
            if fault == "reset":
                client.reset()
                return
            if fault == "busy":
                client.send(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n")
                continue
            if any(event["data"].get("amount") == 7 for event in events):
                client.send(b"HTTP/1.1 400 Never\r\ncontent-length: 0\r\n\r\n")
                continue
            stored.update({event["id"]: event for event in events})
            if fault == "lost":
                return
            client.send(TAKEN)

    receiver = ScriptedReceiver([script] * 20, certificates.serving())
    url = f"https://localhost:{receiver.port}/"
    options = {"url": url, "tls": {"ca_file": str(certificates.ca_file)}, "durability": durability}
    sink = build("http", options, tmp_path)
    sink.start()
    for n in range(40):
        sink.emit(restock(n))
    status = sink.stop(PATIENCE)
    receiver.stop()
    assert receiver.failures == []
    # The sink's own record of what was put aside has a number, too.
    assert (status.emitted, status.delivered, status.dead_lettered) == (41, 40, 1)
    facts = {event["seq"] for event in stored.values() if "seq" in event}
    assert facts == set(range(40)) - {7}
    (loss,) = [event["data"] for event in stored.values() if event["type"] == "townlet.telemetry.loss"]
    assert (loss["ranges"], loss["reason"]) == ([[7, 7]], "dead_lettered")
    (letters,) = (tmp_path / "spool" / "http-1" / "dead-letters").iterdir()
    (letter,) = letters.read_text().splitlines()
    assert json.loads(letter)["code"] == "http_400"
    assert SECRET not in caplog.text + repr(sink) + repr(status) + letter


@pytest.mark.usefixtures("both_secrets")
@pytest.mark.parametrize("name", ["tcp", "http"])
def test_how_long_a_peer_is_waited_for_and_what_is_survived_are_options(name, tmp_path, certificates):
    with FaultProxy(Endpoint("127.0.0.1", 1), [Fate(blackhole=True)] * 9) as proxy:
        port = proxy.endpoint.port
        where = {"endpoint": f"localhost:{port}"} if name == "tcp" else {"url": f"https://localhost:{port}/"}
        more = {"timeout_seconds": 0.1, "durability": "power", "tls": {"ca_file": str(certificates.ca_file)}}
        sink = build(name, where | more, tmp_path)
        sink.start()
        sink.emit(restock(0))
        health = sink.health()
        status = sink.stop(0.8)
    assert health.spool.durability == "power"
    assert status.last_error.startswith("timeout: ")


@pytest.mark.usefixtures("both_secrets")
def test_plaintext_is_told_loudly_when_it_begins(tmp_path, caplog):
    for name, options in (("tcp", {"endpoint": "127.0.0.1:1"}), ("http", {"url": "http://127.0.0.1:1/"})):
        sink = build(name, options | {"allow_plaintext": True}, tmp_path)
        sink.start()
        sink.stop(0)
        assert f"sink {name}: sends events" in caplog.text
        assert "in plaintext to 127.0.0.1:1" in caplog.text
    assert TOKEN not in caplog.text


# ---- by one line ------------------------------------------------------------------------------------


def remote(collector, certificates, out):
    """The shipped config, with the addresses and the authority of a test."""
    overrides = [
        Override(("telemetry", "sinks", number, "options", key), value, "--set")
        for number, options in enumerate(collector.addresses().values())
        for key, value in {**options, "tls": {"ca_file": str(certificates.ca_file)}}.items()
    ]
    return RunRequest(
        SHIPPED / "remote.yaml",
        overrides=tuple(overrides),
        output=Output(keep=True, path=out),
        allowed=Allowed(path=(certificates.ca_file.parent,)),
    )


@pytest.mark.usefixtures("both_secrets")
def test_the_shipped_remote_config_delivers_everything_to_real_collectors(tmp_path, certificates):
    with (
        RunningCollector(tmp_path / "collected", certificates) as collector,
        open_run(remote(collector, certificates, tmp_path / "run")) as opened,
    ):
        summary = opened.loop.run_for(60)
        statuses = opened.drain()
    stored = collector.stored()
    assert summary.population == 8
    assert [status.name for status in statuses] == ["tcp", "http"]
    for number, status in enumerate(statuses, start=1):
        events = stored[f"urn:townlet:run:{opened.run_id}:p{number}"]
        assert status.delivered == status.emitted == len(events) > 60
        assert [int(event["sequence"]) for event in events] == list(range(status.emitted))
        assert {event["type"] for event in events} >= {"townlet.loop.tick"}
    assert "townlet.state.patch" in {event["type"] for event in stored[f"urn:townlet:run:{opened.run_id}:p1"]}


@pytest.mark.usefixtures("both_secrets")
def test_telemetry_to_collectors_changes_nothing_in_town(tmp_path, certificates):
    with (
        RunningCollector(tmp_path / "collected", certificates) as collector,
        open_run(remote(collector, certificates, tmp_path / "run")) as opened,
    ):
        told = opened.loop.run_for(60).digest
    with open_simulation(SHIPPED / "remote.yaml", overrides={"telemetry.sinks": []}, digest=True) as alone:
        assert alone.run_for(60).digest == told


def refusal(request):
    with pytest.raises(ConfigError) as caught, open_run(request):
        pass
    assert not request.output.path.exists()
    return str(caught.value)


@pytest.mark.usefixtures("no_secrets")
def test_the_shipped_remote_config_says_what_must_be_set_first(tmp_path, monkeypatch):
    request = RunRequest(SHIPPED / "remote.yaml", output=Output(keep=True, path=tmp_path / "run"))
    first = (
        "telemetry.sinks[0].options.token_env: the variable TOWNLET_TOKEN is not set; set it, "
        "or name another variable with token_env or a private file with token_file"
    )
    assert refusal(request).endswith(first)
    monkeypatch.setenv("TOWNLET_TOKEN", TOKEN)
    second = (
        "telemetry.sinks[1].options.secret_env: the variable TOWNLET_SECRET is not set; set it, "
        "or name another variable with secret_env or a private file with secret_file"
    )
    assert refusal(request).endswith(second)


@pytest.mark.usefixtures("no_secrets")
@pytest.mark.parametrize(
    ("sink", "said"),
    [
        ("tcp=localhost:7443", "options.token_env: the variable TOWNLET_TOKEN is not set"),
        (
            "http=https://localhost/",
            "options.secret_env: the variable TOWNLET_SECRET is not set",
        ),
        ("http=http://localhost/", "options.url: would be reached in plaintext"),
        ("tcp=localhost", "options.endpoint: "),
        ("tcp", "options.endpoint: this key is missing"),
    ],
)
def test_a_sink_of_the_command_line_says_which_key_is_missing(sink, said, tmp_path):
    request = RunRequest(
        sinks=(SinkRequest(*sink.partition("=")[::2]) if "=" in sink else SinkRequest(sink),),
        output=Output(keep=True, path=tmp_path / "run"),
    )
    told = refusal(request)
    assert told.startswith("--sink: telemetry.sinks[0].")
    assert said in told


@pytest.mark.usefixtures("both_secrets")
def test_certificates_that_are_not_there_are_told_with_file_line_and_key(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "townlet: 1\nseed: 7\ntelemetry:\n  sinks:\n    - use: http\n      options:\n"
        "        url: https://collector.example/\n        tls:\n          ca_file: none.pem\n"
    )
    request = RunRequest(config=tmp_path / "mine.yaml", output=Output(keep=True, path=tmp_path / "run"))
    told = refusal(request)
    assert told.startswith(f"{tmp_path}/mine.yaml:9: telemetry.sinks[0].options.tls.ca_file: ")
    assert f"'{tmp_path}/none.pem' cannot be used: No such file or directory" in told


def test_no_shipped_config_allows_plaintext():
    def flags(value):
        if isinstance(value, dict):
            yield from (item for key, item in value.items() if key == "allow_plaintext")
            value = list(value.values())
        if isinstance(value, list):
            for item in value:
                yield from flags(item)

    shipped = sorted(SHIPPED.glob("*.yaml"))
    assert shipped
    assert [path.name for path in shipped if any(flags(read_source(path).document.value))] == []
