"""A town's end, a collector's end, and whatever may happen between: all of it real.

A rig makes sinks by the very functions that a run makes them by, with outbox, secrets and certificates on the
disk. They send to a proxy, which leads to a collector or to somebody who says that he is one.
"""

import json
import logging
import time
from collections import Counter

from tests.telemetry.delivering import assert_law, declarations
from tests.telemetry.faults import FaultProxy, ScriptedPeer
from tests.telemetry.receivers import ScriptedReceiver
from townlet_adapters.telemetry.clock import SystemClock
from townlet_adapters.telemetry.collector.credentials import secret_of, token_of
from townlet_adapters.telemetry.collector.settings import CollectorSettings, Listen
from townlet_adapters.telemetry.collector.testing import RunningCollector
from townlet_adapters.telemetry.delivery.courier import Pace
from townlet_adapters.telemetry.delivery.limits import DeliveryLimits
from townlet_adapters.telemetry.delivery.sink import DeliveringSink
from townlet_adapters.telemetry.envelope import source_urn
from townlet_adapters.telemetry.network import http_sink, tcp_sink
from townlet_adapters.telemetry.options import HttpOptions, TcpOptions
from townlet_adapters.telemetry.spool import inspect
from townlet_adapters.telemetry.spool.base import OutboxLimits
from townlet_adapters.telemetry.spool.outbox import Outbox
from townlet_adapters.telemetry.transports.http import HttpTransport
from townlet_adapters.telemetry.transports.tcp import TcpSettings, TcpTransport
from townlet_adapters.telemetry.wire.endpoint import Endpoint, parse_url
from townlet_adapters.telemetry.wire.signing import Signatures
from townlet_adapters.telemetry.wire.tls import ServerTlsSettings
from townlet_adapters.worlds.town.events.economy import EconomyRestock
from townlet_core.dto.stream import StreamSettings
from townlet_core.errors import OutputError
from townlet_core.events.base import Fact
from townlet_plugins.access import Access, Allowed
from townlet_plugins.factory import BuildContext

TOKEN = "hostile-token-0123456789"  # noqa: S105 - made up
SECRET = "hostile-secret-0123456789abcdef"  # noqa: S105 - made up
OTHER_SECRETS = ("somebody-elses-token-0123", "somebody-elses-secret-0123456789")
BRISK = Pace(first=0.02, last=0.1, jitter=True, floor=0.01, stalled=10.0, hung=60.0)
LIMIT = 30.0  # seconds that anything may take before a test gives up
SCHEMES = {"tcp": "tls", "http": "https"}


def restock(n, filling=0):
    """A fact, as long as a text of so many letters makes it."""
    return Fact(n, n, EconomyRestock("fridge_1" + "x" * filling, "meal", n))


def stored(folder):
    """Read a collector's files: events by source; fails on half lines and on what is there twice."""
    found = {}
    for path in sorted(folder.glob("*.ndjson")):
        text = path.read_bytes()
        assert text.endswith(b"\n"), path
        for line in text.splitlines():
            event = json.loads(line)
            found.setdefault(event["source"], []).append(event)
    for source, events in found.items():
        numbers = Counter(event["sequence"] for event in events)
        assert max(numbers.values()) == 1, f"{source}: twice: {numbers.most_common(3)}"
    return found


class SkewedClock(SystemClock):
    """The machine's time, but for what it says to people.

    Attributes:
        ahead: seconds by which the wall clock is wrong.
    """

    ahead = 0.0

    def wall(self):
        """Seconds since 1970, more or less."""
        return time.time() + self.ahead


class Rig:
    """One sink of one kind after the other, one proxy, one collector at a time.

    Attributes:
        kind: `tcp` or `http`.
        folder: where everything lies.
        events: the collector's folder.
        proxy: what is between; sinks know its address alone.
        said: every error that a sink was seen to tell.
    """

    def __init__(self, kind, folder, certificates, caplog=None):
        self.kind = kind
        self.folder = folder
        self.certificates = certificates
        self.caplog = caplog
        self.events = folder / "events"
        self.spool = folder / "spool"
        self.proxy = FaultProxy(Endpoint("127.0.0.1", 1))
        self.said = set()
        self.sinks = []
        self._collector = None
        self._others = []
        self.keep_secret("token", TOKEN)
        self.keep_secret("secret", SECRET)

    def keep_secret(self, name, text):
        """Write a secret for the next sinks."""
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)

    # ---- the collector's end

    def collect(self, pair=None, *, port=0, client_ca=None, **settings):
        """Start a collector, after ending the one before, and let new connections reach it."""
        self.leave()
        shown = pair or self.certificates.server
        given = {
            "folder": self.events,
            "tls": ServerTlsSettings(shown.cert_file, shown.key_file, client_ca),
            "tokens": (token_of(TOKEN.encode()),),
            "secrets": (secret_of(SECRET.encode()),),
            "stop_seconds": 0.1,
        }
        listen = (Listen(SCHEMES[self.kind], Endpoint("127.0.0.1", port)),)
        self._collector = RunningCollector(CollectorSettings(listen=listen, **given | settings))
        self._collector.start()
        self.lead_to(self._collector.ports()[0])
        return self._collector

    def leave(self):
        """End the collector; nobody listens then."""
        if self._collector is not None:
            self._collector.stop()
            self._collector = None
            self.lead_to(1)

    def lead_to(self, port):
        """Let new connections reach somebody else."""
        self.proxy.target = Endpoint("127.0.0.1", port)

    def peer(self, *scripts, context=None):
        """Let connections reach a peer that speaks frames as it was told, over TLS."""
        peer = ScriptedPeer(context or self.certificates.serving(), scripts)
        self._others.append(peer.__exit__)
        self.lead_to(peer.endpoint.port)
        return peer

    def receiver(self, *scripts, context=None, tls=True):
        """Let connections reach a receiver that answers requests as it was told, over TLS."""
        context = context or (self.certificates.serving() if tls else None)
        receiver = ScriptedReceiver(scripts, context)
        self._others.append(receiver.stop)
        self.lead_to(receiver.port)
        return receiver

    def end_others(self):
        """End scripted peers and receivers, whatever they do."""
        while self._others:
            self._others.pop()()

    def heal(self, *args, **settings):
        """End every fault: the network is good, and an honest collector listens."""
        self.proxy.fates.clear()
        self.collect(*args, **settings)
        self.end_others()
        self.proxy.reset()

    # ---- the town's end

    @property
    def allowed(self):
        """What a config must be allowed to read of what ``options`` names."""
        return Allowed(path=(self.folder, self.certificates.ca_file.parent))

    def options(self, **changes):
        """What a config would say."""
        port = self.proxy.endpoint.port
        where = {
            "tcp": {"endpoint": f"localhost:{port}", "token_file": str(self.folder / "token")},
            "http": {
                "url": f"https://localhost:{port}/v1/events",
                "secret_file": str(self.folder / "secret"),
            },
        }
        common = {"spool_dir": str(self.spool), "tls": {"ca_file": str(self.certificates.ca_file)}}
        return {**where[self.kind], **common, **changes}

    def sink(self, run="r", *, stream=None, pace=BRISK, **changes):
        """Make a sink as a run does."""
        model, build = {"tcp": (TcpOptions, tcp_sink), "http": (HttpOptions, http_sink)}[self.kind]
        options = model.model_validate_json(json.dumps(self.options(**changes)), strict=True)
        access = Access(self.folder, self.allowed)
        context = BuildContext(7, access, None, run, stream=stream or StreamSettings())
        sink = build(options, context, pace)
        self.sinks.append(sink)
        return sink

    def started(self, run="r", **changes):
        """Make a sink, and start it."""
        sink = self.sink(run, **changes)
        sink.start()
        return sink

    def with_a_clock(self):
        """Start a sink whose wall clock is in our hand, put together as `network` does; gives both."""
        clock, port = SkewedClock(), self.proxy.endpoint.port
        tls = self.certificates.trusting()
        if self.kind == "tcp":
            transport = TcpTransport(
                TcpSettings(Endpoint("localhost", port), tls, TOKEN, connect_timeout=10.0, ack_timeout=30.0)
            )
        else:
            url = parse_url(f"https://localhost:{port}/v1/events")
            transport = HttpTransport(url, tls, Signatures([SECRET.encode()]), timeout=10.0, wall=clock.wall)
        sink = DeliveringSink(
            self.kind,
            transport,
            source=source_urn("r", 1),
            limits=DeliveryLimits(on_full="shed"),
            clock=clock,
            pace=BRISK,
            outbox=Outbox(self.outbox(), OutboxLimits(), clock),
        )
        self.sinks.append(sink)
        sink.start()
        return sink, clock

    def started_next(self, run):
        """Start a sink as soon as the one before lets go of the outbox; it may have left a worker behind."""
        give_up = time.monotonic() + LIMIT
        while True:
            sink = self.sink(run)
            try:
                sink.start()
            except OutputError:
                assert time.monotonic() < give_up
                time.sleep(0.01)
            else:
                return sink

    def outbox(self):
        """Where the sinks keep what waits."""
        return self.spool / f"{self.kind}-1"

    # ---- looking at both

    def look(self, sink):
        """Read status and health; the law holds at every look."""
        status, health = sink.status(), sink.health()
        assert_law(status)
        assert_law(health.totals)
        self.said.add(f"{status.last_error} {health.last_error} {health.worker.last_error}")
        return status, health

    def until(self, sink, condition):
        """Look until a condition on status and health holds; gives both."""
        give_up = time.monotonic() + LIMIT
        while True:
            status, health = self.look(sink)
            if condition(status, health):
                return status, health
            assert time.monotonic() < give_up, f"it did not happen in time: {status}, {health}"
            time.sleep(0.003)

    def until_told(self, sink, *codes):
        """Wait until the sink tells of one of these faults; gives status and health.

        Both must tell of one: the status is read before the health, and the fault may come between.
        """

        def told(status, health):
            return (
                health.last_error is not None
                and health.last_error.code in codes
                and (status.last_error or "").startswith(tuple(f"{code}: " for code in codes))
            )

        return self.until(sink, told)

    def until_logged(self, sink, once, *texts):
        """Wait until all of this was logged, the first of it once."""
        self.until(sink, lambda *_: all(text in self.caplog.text for text in (once, *texts)))
        assert self.caplog.text.count(once) == 1

    def until_spooled(self, sink):
        """Wait until nothing is in memory alone."""
        return self.until(sink, lambda status, _: status.buffered == 0)

    def until_delivered(self, sink):
        """Wait until the collector has whatever has not been dropped."""

        def done(status, health):
            gone = status.dead_lettered + sum(status.dropped.values())
            return health.state == "healthy" and status.delivered + gone == status.emitted

        return self.until(sink, done)

    def assert_complete(self, status, run="r", *, lost=0, undelivered=False):
        """Every number of a run is in the collector's files, once, or declared lost there.

        Args:
            status: the sink's last word.
            run: whose.
            lost: how many were lost; None for any number.
            undelivered: whether some may still wait in the outbox.
        """
        assert_law(status)
        source = source_urn(run, 1)
        events = stored(self.events)
        here = {int(event["sequence"]) for event in events.get(source, ())}
        lines = [json.dumps(event) for each in events.values() for event in each]
        waiting = set()
        if undelivered:
            rows = [json.loads(line) for line in inspect.export(self.outbox(), [], everything=False)]
            lines += [json.dumps(row) for row in rows if int(row["sequence"]) not in here]
            waiting = {int(row["sequence"]) for row in rows if row["source"] == source}
        declared = set()
        for about, _, numbers in declarations(lines):
            if about == source:
                assert not numbers & declared
                declared |= numbers
        assert not here & declared
        assert here | declared | waiting == set(range(status.emitted))
        if lost is not None:
            assert len(declared) == lost
            assert sum(status.dropped.values()) + status.dead_lettered == lost
        return events.get(source, [])

    def close(self):
        """End everything."""
        self.proxy.fates.clear()
        for sink in self.sinks:
            self.look(sink)
            sink.stop(0)
        self.leave()
        self.end_others()
        self.proxy.__exit__()

    def assert_no_secret(self):
        """Neither logs nor errors nor representations tell a secret."""
        told = [logging.Formatter().format(record) for record in self.caplog.get_records("call")]
        told += [*self.said, *map(repr, self.sinks), *(repr(sink._transport) for sink in self.sinks)]
        told += [path.read_text() for path in self.spool.rglob("dead-*.ndjson")]
        for secret in (TOKEN, SECRET, *OTHER_SECRETS):
            assert not [text for text in told if secret in text]


def measure(rig):
    """Bytes up and down of a connection that delivers one event."""
    rig.collect()
    sink = rig.started()
    sink.emit(restock(0))
    rig.until_delivered(sink)
    return tuple(rig.proxy.passed)
