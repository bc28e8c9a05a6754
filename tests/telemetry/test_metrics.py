"""Prometheus reads what was counted, under the promised names, and nobody in town waits for it."""

import http.client
import socket
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.sinks import WELL, TellingSink
from townlet_adapters.telemetry.monitoring.exposition import serve_metrics
from townlet_adapters.telemetry.monitoring.metrics import RunMetrics
from townlet_adapters.telemetry.monitoring.town import TownFigures
from townlet_adapters.telemetry.wire.endpoint import Endpoint, parse_listening
from townlet_core.dispatch import EventDispatcher, SinkRoute
from townlet_core.dto.health import SinkCounts, SinkStatus
from townlet_core.errors import ConfigError, WorldError
from townlet_core.events.health import Histogram, QueueHealth, SinkAccount, SpoolHealth, WorkerHealth
from townlet_core.loop import RunIdentity, SimulationLoop
from townlet_core.testing import CollectingSink, FailingSink, FakePolicy, FakeWorld

ANY = Endpoint("127.0.0.1", 0)

BUSY = replace(
    WELL,
    state="shedding",
    worker=WorkerHealth(alive=False, heartbeat_age_s=12.5, restarts=2),
    queue=QueueHealth(events=7, bytes=700, peak_events=70, capacity_events=100, capacity_bytes=10_000),
    spool=SpoolHealth(
        events=3, bytes=4096, oldest_age_s=61.0, segments=1, quarantined=5, durability="process"
    ),
    connected=False,
    consecutive_failures=4,
    retries_total=9,
    last_success_age_s=30.0,
    certificate_expires_s=3600.0,
    flush_seconds=Histogram((0.1, 1.0), (5, 3, 1), 6.5, 9),
    totals=SinkAccount(
        offered=101,
        emitted=100,
        delivered=80,
        spooled=3,
        buffered=7,
        dead_lettered=2,
        dropped={"buffer_full": 6, "superseded": 2},
        rejected={"too_large": 1},
    ),
)

BUSY_COUNTS = SinkCounts(
    emitted={"critical": 5, "normal": 60, "bulk": 35},
    dropped={"buffer_full": {"normal": 4, "bulk": 2}, "superseded": {"bulk": 2}},
    bytes_delivered=80_000,
    emit_seconds=Histogram((1e-05, 0.001), (90, 9, 1), 0.5, 100),
    ack_seconds=Histogram((1.0,), (2, 1), 31.0, 3),
    dead_letters_deleted=11,
    long_events=13,
)

TELEMETRY = "townlet_telemetry_"


def loop_of(*sinks, world=None) -> SimulationLoop:
    routes = [SinkRoute(f"sink-{number}", sink) for number, sink in enumerate(sinks)]
    return SimulationLoop(
        world or FakeWorld(), FakePolicy(), RunIdentity(7), dispatcher=EventDispatcher(routes)
    )


class Monitor:
    """Reads the exposition as Prometheus would."""

    def __init__(self, loop: SimulationLoop) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(RunMetrics(loop))

    @property
    def text(self) -> str:
        return generate_latest(self._registry).decode()

    def families(self):
        return {family.name: family for family in text_string_to_metric_families(self.text)}

    def samples(self, name):
        """The samples of one name, by their labels."""
        return {
            tuple(sorted(sample.labels.items())): sample.value
            for family in self.families().values()
            for sample in family.samples
            if sample.name == name
        }

    def value(self, name, **labels):
        return self.samples(name)[tuple(sorted(labels.items()))]


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("sink_state", {"state": "shedding"}, 1),
        ("sink_state", {"state": "healthy"}, 0),
        ("events_emitted_total", {"class": "critical"}, 5),
        ("events_emitted_total", {"class": "bulk"}, 35),
        ("rejected_total", {"reason": "too_large"}, 1),
        ("dropped_total", {"reason": "buffer_full", "class": "normal"}, 4),
        ("dropped_total", {"reason": "superseded", "class": "bulk"}, 2),
        ("delivered_total", {}, 80),
        ("dead_lettered_total", {}, 2),
        ("dead_letters_deleted_total", {}, 11),
        ("long_events_total", {}, 13),
        ("bytes_delivered_total", {}, 80_000),
        ("send_retries_total", {}, 9),
        ("worker_restarts_total", {}, 2),
        ("worker_alive", {}, 0),
        ("worker_heartbeat_age_seconds", {}, 12.5),
        ("queue_events", {}, 7),
        ("queue_bytes", {}, 700),
        ("queue_peak_events", {}, 70),
        ("queue_capacity_events", {}, 100),
        ("queue_capacity_bytes", {}, 10_000),
        ("spool_events", {}, 3),
        ("spool_bytes", {}, 4096),
        ("spool_oldest_age_seconds", {}, 61.0),
        ("spool_quarantined_segments", {}, 5),
        ("connected", {}, 0),
        ("consecutive_failures", {}, 4),
        ("emit_duration_seconds_bucket", {"le": "1e-05"}, 90),
        ("emit_duration_seconds_bucket", {"le": "0.001"}, 99),
        ("emit_duration_seconds_bucket", {"le": "+Inf"}, 100),
        ("emit_duration_seconds_sum", {}, 0.5),
        ("flush_duration_seconds_bucket", {"le": "1.0"}, 8),
        ("flush_duration_seconds_count", {}, 9),
        ("ack_latency_seconds_count", {}, 3),
        ("ack_latency_seconds_sum", {}, 31.0),
    ],
)
def test_each_number_of_a_sink_is_told_under_its_name(name, labels, value):
    monitor = Monitor(loop_of(TellingSink(), TellingSink(BUSY, BUSY_COUNTS)))
    assert monitor.value(TELEMETRY + name, sink="sink-1", **labels) == value


def test_moments_are_told_by_the_clock_on_the_wall():
    monitor = Monitor(loop_of(TellingSink(BUSY, BUSY_COUNTS)))
    before = time.time()
    success = monitor.value(f"{TELEMETRY}last_success_timestamp_seconds", sink="sink-0")
    expiry = monitor.value(f"{TELEMETRY}certificate_expiry_timestamp_seconds", sink="sink-0")
    after = time.time()
    assert before - 30 <= success <= after - 30
    assert before + 3600 <= expiry <= after + 3600


def test_what_a_sink_has_not_got_is_left_out_and_not_zero():
    monitor = Monitor(loop_of(TellingSink()))
    for name in (
        "spool_bytes",
        "spool_oldest_age_seconds",
        "last_success_timestamp_seconds",
        "certificate_expiry_timestamp_seconds",
    ):
        assert monitor.samples(TELEMETRY + name) == {}, name
    quiet = replace(WELL, queue=replace(WELL.queue, events=0))
    assert Monitor(loop_of(TellingSink(quiet))).value(f"{TELEMETRY}queue_events", sink="sink-0") == 0


def test_the_types_are_those_that_prometheus_computes_with():
    families = Monitor(loop_of(TellingSink(BUSY, BUSY_COUNTS))).families()
    for name, family in families.items():
        sample_names = {sample.name for sample in family.samples}
        if family.type == "counter":
            assert sample_names <= {f"{name}_total"}, name
        elif family.type == "histogram":
            assert sample_names == {f"{name}_bucket", f"{name}_count", f"{name}_sum"}, name
        else:
            assert (family.type, sample_names <= {name}) == ("gauge", True), name
        assert family.documentation


def test_a_sink_that_keeps_its_account_only_is_counted_without_classes():
    loop = loop_of(CollectingSink())
    loop.run_for(3)
    monitor = Monitor(loop)
    emitted = monitor.value(f"{TELEMETRY}events_emitted_total", sink="sink-0", **{"class": "unknown"})
    assert emitted == monitor.value(f"{TELEMETRY}delivered_total", sink="sink-0") > 3
    assert monitor.samples(f"{TELEMETRY}queue_events") == {}


def test_a_dropping_sink_that_keeps_its_account_only_tells_the_reasons():
    class Dropping(CollectingSink):
        def status(self):
            return SinkStatus(name="d", state="degraded", offered=3, emitted=3, dropped={"full": 3})

    monitor = Monitor(loop_of(Dropping()))
    labels = {"sink": "sink-0", "reason": "full", "class": "unknown"}
    assert monitor.value(f"{TELEMETRY}dropped_total", **labels) == 3


def test_the_loop_tells_where_it_is_and_how_it_is():
    sink = TellingSink()
    loop = loop_of(sink)
    monitor = Monitor(loop)
    assert monitor.value("townlet_tick") == -1
    assert monitor.value("townlet_status", status="ok") == 1
    loop.run_for(60)
    assert monitor.value("townlet_tick") == 59
    assert monitor.value("townlet_ticks_total") == 60
    assert monitor.value("townlet_town_population") == 2
    assert monitor.value("townlet_failures_total") == 0
    assert monitor.value("townlet_tick_duration_seconds_count") == 60
    assert monitor.value("townlet_system_duration_seconds", system="world") > 0
    assert monitor.value("townlet_status", status="ok") == 1
    sink.turn(state="failed")
    loop.run_for(1)
    assert monitor.samples("townlet_status") == {
        (("status", "ok"),): 0,
        (("status", "degraded"),): 1,
        (("status", "failed"),): 0,
    }


def test_a_town_has_its_needs_figures_and_pace():
    loop = loop_of(TellingSink())
    monitor = Monitor(loop)
    assert monitor.samples("townlet_town_need_mean") == monitor.samples("townlet_ticks_per_second") == {}
    assert monitor.samples("townlet_town_figure") == {}
    loop.run_for(3)
    assert monitor.samples("townlet_town_figure") == {
        (("figure", "sips"), ("unit", "sips")): loop.figures.summary.figures["sips"]
    }
    loop.run_for(117)
    needs = monitor.samples("townlet_town_need_mean")
    shown = list(zip(*loop.observation.view.columns["needs"].tolist(), strict=True))
    assert len(needs) == len(loop.spec.needs) > 0
    for need, column in zip(loop.spec.needs, shown, strict=True):
        assert monitor.value("townlet_town_need_mean", need=need.name) == pytest.approx(sum(column) / 2)
    assert len(set(needs.values())) == len(needs)
    assert monitor.value("townlet_ticks_per_second") > 0
    sips = loop.figures.summary.figures["sips"]
    assert monitor.value("townlet_town_figure", figure="sips", unit="sips") == sips > 0


def test_the_pace_is_measured_between_two_looks():
    loop, times = loop_of(TellingSink()), iter([10.0, 14.0, 14.0])
    figures = TownFigures(loop, lambda: next(times))
    loop.run_for(5)
    figures.look()
    loop.run_for(8)
    figures.look()
    figures.look()
    (pace,) = (family for family in figures.collect() if family.name == "townlet_ticks_per_second")
    assert [sample.value for sample in pace.samples] == [2.0]


def test_the_loop_tells_that_it_failed_and_how_often_listeners_did(caplog):
    caplog.set_level("CRITICAL")
    loop = loop_of(FailingSink(), world=FakeWorld(fail_at=3))
    monitor = Monitor(loop)
    with pytest.raises(WorldError):
        loop.run_for(10)
    assert monitor.value("townlet_status", status="failed") == 1
    assert monitor.value("townlet_failures_total") > 3


def test_no_label_names_anybody_or_grows_with_the_run():
    loop = loop_of(CollectingSink(), TellingSink(BUSY, BUSY_COUNTS))
    monitor = Monitor(loop)
    loop.run_for(60)
    before = {(name, len(family.samples)) for name, family in monitor.families().items()}
    loop.run_for(240)
    assert {(name, len(family.samples)) for name, family in monitor.families().items()} == before
    labels = {
        label
        for family in monitor.families().values()
        for sample in family.samples
        for label in sample.labels
    }
    assert labels == {"sink", "class", "reason", "state", "status", "system", "le", "need", "figure", "unit"}
    assert "agent_" not in monitor.text


# ---- over HTTP ---------------------------------------------------------------------------------


def scrape(endpoint: Endpoint, method: str = "GET") -> tuple[int, str]:
    connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=30)
    try:
        connection.request(method, "/metrics")
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


def test_a_scrape_gets_what_is_registered_by_then():
    registry = CollectorRegistry()
    with serve_metrics(ANY, registry, "--metrics") as endpoint:
        assert scrape(endpoint) == (200, "")
        loop = loop_of(TellingSink())
        registry.register(RunMetrics(loop))
        loop.run_for(5)
        status, text = scrape(endpoint)
        assert status == 200
        assert "townlet_ticks_total 5.0" in text
        assert scrape(endpoint, "POST")[0] == 405
    with pytest.raises(ConnectionRefusedError):
        scrape(endpoint)


@contextmanager
def connections(endpoint: Endpoint, count: int):
    """Connections that say nothing unless told to; closed at the end."""
    opened = [socket.create_connection(tuple(endpoint), 30) for _ in range(count)]
    try:
        yield opened
    finally:
        for client in opened:
            client.close()


def is_closed(client: socket.socket) -> bool:
    """Wait until the server has closed a connection."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def test_connections_that_say_nothing_make_room_for_a_scraper(capfd):
    registry = CollectorRegistry()
    registry.register(RunMetrics(loop_of(TellingSink())))
    with serve_metrics(ANY, registry, "--metrics") as endpoint:
        with connections(endpoint, 30) as silent:
            assert [scrape(endpoint)[0] for _ in range(5)] == [200] * 5
            assert is_closed(silent[0])
        assert scrape(endpoint)[0] == 200
        with connections(endpoint, 3):
            pass
    assert capfd.readouterr().err == ""


def drip(clients, stop: threading.Event) -> None:
    """Send a request at a few bytes a second through each connection, as long as the server takes it."""
    for byte in b"GET /metrics HTTP/1.1\r\nx: " + b"y" * 10_000:
        for client in clients:
            with suppress(OSError):
                client.sendall(bytes([byte]))
        if stop.wait(0.02):
            return


def test_nine_connections_that_drip_do_not_take_the_metrics_away():
    registry, stop = CollectorRegistry(), threading.Event()
    registry.register(RunMetrics(loop_of(TellingSink())))
    with serve_metrics(ANY, registry, "--metrics") as endpoint, connections(endpoint, 9) as slow:
        dripping = threading.Thread(target=drip, args=(slow, stop))
        dripping.start()
        try:
            assert [scrape(endpoint)[0] for _ in range(20)] == [200] * 20
        finally:
            stop.set()
            dripping.join()


def test_a_request_that_drips_ends_with_its_deadline_however_often_it_sends_a_byte():
    stop = threading.Event()
    with (
        serve_metrics(ANY, CollectorRegistry(), "--metrics", seconds=0.3) as endpoint,
        connections(endpoint, 1) as slow,
    ):
        dripping = threading.Thread(target=drip, args=(slow, stop))
        dripping.start()
        assert is_closed(slow[0])
        assert not stop.is_set()
        stop.set()
        dripping.join()


def asking(endpoint: Endpoint, opened: ExitStack) -> socket.socket:
    """A connection with a complete request, closed at the end."""
    client = opened.enter_context(socket.create_connection(tuple(endpoint), 30))
    client.sendall(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n")
    return client


@pytest.mark.parametrize("size", [0, 20], ids=["that do not leave", "that do not read"])
def test_clients_after_their_request_make_room_for_a_scraper(size):
    registry = CollectorRegistry()
    for number in range(size):
        Gauge(f"large_{number}", "x" * (1 << 20), registry=registry)
    with serve_metrics(ANY, registry, "--metrics", seconds=600) as endpoint, ExitStack() as opened:
        for _ in range(8):
            assert asking(endpoint, opened).recv(8) == b"HTTP/1.1"
        assert [scrape(endpoint)[0] for _ in range(9)] == [200] * 9


class Slow:
    """Metrics that take until they are released."""

    def __init__(self) -> None:
        self.entered, self.released = threading.Semaphore(0), threading.Event()

    def collect(self):
        self.entered.release()
        self.released.wait()
        return []


def test_a_scraper_waits_while_the_threads_of_closed_connections_end():
    """Under load such a thread may take a while; the new connection must not pay for it."""
    registry, slow = CollectorRegistry(), Slow()
    with serve_metrics(ANY, registry, "--metrics", seconds=600) as endpoint, ExitStack() as opened:
        registry.register(slow)
        try:
            for _ in range(16):
                asking(endpoint, opened)
                assert slow.entered.acquire(timeout=60)
            latest = [asking(endpoint, opened) for _ in range(8)]
        finally:
            slow.released.set()
        assert [client.recv(12) for client in latest] == [b"HTTP/1.1 200"] * 8


def test_a_client_that_does_not_read_its_answer_is_left_with_its_deadline():
    registry = CollectorRegistry()
    for number in range(20):
        Gauge(f"large_{number}", "x" * (1 << 20), registry=registry)
    with serve_metrics(ANY, registry, "--metrics", seconds=0.3) as endpoint, connections(endpoint, 1) as deaf:
        deaf[0].sendall(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert deaf[0].recv(1) == b"H"
        eventually(no_client_is_left)
        got = sum(map(len, iter(lambda: receive(deaf[0]), b"")))
        assert got < 20 << 20


def receive(client: socket.socket) -> bytes:
    try:
        return client.recv(1 << 20)
    except ConnectionResetError:
        return b""


def no_client_is_left() -> None:
    if any(thread.name == "metrics-client" for thread in threading.enumerate()):
        raise BlockingIOError


def ask(endpoint: Endpoint, head: str) -> str:
    """Send the head of a request as it stands; returns the status line."""
    with socket.create_connection(tuple(endpoint), 30) as client, client.makefile("rb") as reply:
        client.sendall(head.replace("\n", "\r\n").encode())
        return reply.readline().decode().rstrip()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", "200 OK"),
        ("LOCALHOST:9464", "200 OK"),
        ("127.0.0.1:9464", "200 OK"),
        ("127.8.8.8", "200 OK"),
        ("[::1]:9464", "200 OK"),
        ("evil.example", "421 Misdirected Request"),
        ("evil.example:9464", "421 Misdirected Request"),
        ("localhost.evil.example", "421 Misdirected Request"),
        ("127.0.0.1.evil.example", "421 Misdirected Request"),
        ("192.0.2.1", "421 Misdirected Request"),
        ("localhost@evil.example", "421 Misdirected Request"),
        ("evil.example@localhost", "421 Misdirected Request"),
        ("[::1", "421 Misdirected Request"),
        ("", "421 Misdirected Request"),
    ],
)
@pytest.mark.parametrize("listening", [ANY, Endpoint("0.0.0.0", 0), Endpoint("::", 0)])  # noqa: S104 - tried here
def test_a_request_over_the_loopback_interface_must_name_this_machine(listening, host, status):
    with serve_metrics(listening, CollectorRegistry(), "--metrics") as endpoint:
        here = Endpoint("127.0.0.1", endpoint.port)
        assert ask(here, f"GET /metrics HTTP/1.1\nhost: {host}\n\n") == f"HTTP/1.1 {status}"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET /metrics HTTP/1.0\n\n", "200 OK"),
        ("GET /metrics?x=1 HTTP/1.1\nhost: localhost\n\n", "200 OK"),
        ("GET / HTTP/1.1\nhost: localhost\n\n", "404 Not Found"),
        ("PUT /metrics HTTP/1.1\nhost: localhost\n\n", "405 Method Not Allowed"),
        ("GET /metrics HTTP/1.1\n\n", "400 Bad Request"),
        ("nonsense\n\n", "400 Bad Request"),
        ("GET /metrics HTTP/1.1\nhost: localhost\nx: " + "y" * 20_000 + "\n\n", "431 "),
    ],
)
def test_a_request_is_answered_by_its_head(head, status):
    with serve_metrics(ANY, CollectorRegistry(), "--metrics") as endpoint:
        assert ask(endpoint, head).startswith(f"HTTP/1.1 {status}")


def test_prometheus_gets_the_format_that_it_asks_for():
    with serve_metrics(ANY, CollectorRegistry(), "--metrics") as endpoint:
        connection = http.client.HTTPConnection(*endpoint, timeout=30)
        connection.request(
            "GET", "/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"}
        )
        reply = connection.getresponse()
        assert reply.getheader("content-type").startswith("application/openmetrics-text; version=1.0.0")
        assert reply.read() == b"# EOF\n"
        connection.close()


def eventually(attempt):
    """Try until it works."""
    until = time.monotonic() + 30
    while True:
        try:
            return attempt()
        except (OSError, http.client.HTTPException):
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


def test_a_sink_that_is_asked_by_a_scrape_and_does_not_answer_holds_up_the_scrape_alone():
    asked, answer = threading.Event(), threading.Event()

    class Stuck(TellingSink):
        def health(self):
            if threading.current_thread() is not town:
                asked.set()
                answer.wait(30)
            return super().health()

    town = threading.current_thread()
    loop, registry = loop_of(Stuck()), CollectorRegistry()
    registry.register(RunMetrics(loop))
    with serve_metrics(ANY, registry, "--metrics") as endpoint:
        client = socket.create_connection(tuple(endpoint))
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert asked.wait(30)
        loop.run_for(120)
        assert loop.figures.ticks == 120
        answer.set()
        with client.makefile("rb") as reply:
            assert reply.readline() == b"HTTP/1.1 200 OK\r\n"
        client.close()


def test_an_address_in_use_is_a_mistake_with_a_way_out():
    with serve_metrics(ANY, CollectorRegistry(), "--metrics") as endpoint:
        with (
            pytest.raises(ConfigError) as refused,
            serve_metrics(endpoint, CollectorRegistry(), "--metrics"),
        ):
            raise AssertionError("two servers at one address")
        assert str(refused.value) == (
            f"--metrics: cannot listen on {endpoint.authority}: Address already in use; "
            "name another port, or 0 for any free one, and an address of this machine"
        )


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid"])
def test_an_address_of_another_machine_is_refused(host):
    with (
        pytest.raises(ConfigError, match=f"--metrics: cannot listen on {host}:9464: "),
        serve_metrics(Endpoint(host, 9464), CollectorRegistry(), "--metrics"),
    ):
        raise AssertionError("listens where nobody is")


def test_six_is_as_good_as_four():
    with serve_metrics(Endpoint("::1", 0), CollectorRegistry(), "--metrics") as endpoint:
        assert endpoint.authority.startswith("[::1]:")
        assert scrape(endpoint) == (200, "")


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("127.0.0.1:9464", ("127.0.0.1", 9464)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:0", ("::1", 0)),
        ("0.0.0.0:10", ("0.0.0.0", 10)),  # noqa: S104 - read, not listened on
    ],
)
def test_an_address_to_listen_on_is_read(text, endpoint):
    assert parse_listening(text, "--metrics") == endpoint


@pytest.mark.parametrize(
    "text", ["9464", ":0", ":9464", "host", "host:", "host:99999", "host:00", "a b:1", ""]
)
def test_anything_else_is_refused_by_name(text):
    with pytest.raises(ConfigError, match=r"^--metrics: "):
        parse_listening(text, "--metrics")
