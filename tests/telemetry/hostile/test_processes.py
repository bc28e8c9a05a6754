"""`townlet run` as people start it and end it, with a collector that is there or not."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.telemetry.delivering import declarations
from tests.telemetry.faults import Fate
from tests.telemetry.hostile.rig import LIMIT, SECRET, TOKEN, restock, stored
from townlet_adapters.telemetry.envelope import source_urn

TOWNLET = Path(sys.executable).with_name("townlet")
pytestmark = pytest.mark.slow


class Town:
    """A process that runs a town until it is told to stop.

    Attributes:
        process: the process.
        folder: where it runs.
    """

    def __init__(self, rig, *sinks, ticks=1_000_000, speed="10x"):
        self.folder = rig.folder
        sinks = [*sinks, {"use": rig.kind, "options": rig.options()}]
        config = {"townlet": 1, "seed": 7, "telemetry": {"sinks": sinks}}
        (self.folder / "town.yaml").write_text(json.dumps(config))
        command = [TOWNLET, "run", "town.yaml", "--ticks", str(ticks), "--speed", speed, "--no-out"]
        command += ["--allow-path", str(rig.certificates.ca_file.parent)]
        self.process = subprocess.Popen(
            [*command, "--json-summary", "summary.json"],
            cwd=self.folder,
            env={**os.environ, "NO_COLOR": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_until(self, happened):
        give_up = time.monotonic() + 60
        while not happened():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < give_up
            time.sleep(0.01)

    def finish(self):
        """Give exit code, standard error, and what the summary says of the last sink."""
        out, err = self.process.communicate(timeout=60)
        for secret in (TOKEN, SECRET):
            assert secret not in (out or "") + err
        summary = json.loads((self.folder / "summary.json").read_text())
        return self.process.returncode, err, summary["sinks"][-1], summary["run_id"]

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        for pipe in (self.process.stdout, self.process.stderr):
            if not pipe.closed:
                pipe.close()
        self.process.wait(30)


@pytest.fixture
def town():
    """Start towns; none outlives the test."""
    towns = []

    def start(rig, *sinks, **more):
        towns.append(Town(rig, *sinks, **more))
        return towns[-1]

    yield start
    for each in towns:
        each.kill()


def has_events(rig):
    return lambda: any(b"townlet.loop.tick" in path.read_bytes() for path in rig.events.glob("*.ndjson"))


def has_ticks(rig, most):
    """Whether the collector has this many ticks."""
    return lambda: (
        sum(path.read_bytes().count(b"townlet.loop.tick") for path in rig.events.glob("*.ndjson")) >= most
    )


def has_outbox(rig):
    return lambda: any(path.stat().st_size > 60_000 for path in rig.outbox().glob("*.rows"))


def assert_law(told):
    assert told["offered"] == told["emitted"] + sum(told["rejected"].values())
    kept = told["delivered"] + told["spooled"] + told["buffered"] + told["dead_lettered"]
    assert told["emitted"] == kept + sum(told["dropped"].values())


def assert_nothing_silent(rig, run_id=None, emitted=None):
    """Every number of every source up to the last is stored or declared; of a run, as many as it gave."""
    found = stored(rig.events)
    lines = [json.dumps(event) for events in found.values() for event in events]
    counts = {}
    for source, events in found.items():
        here = {int(event["sequence"]) for event in events}
        gone = set().union(*(numbers for about, _, numbers in declarations(lines) if about == source))
        assert not here & gone
        assert here | gone == set(range(max(here | gone) + 1))
        counts[source] = len(here | gone)
    if run_id is not None:
        assert counts[source_urn(run_id, 1)] == emitted


def deliver_the_rest(rig):
    rig.heal()
    rest = rig.started("next")
    rest.emit(restock(0))
    rig.until(rest, lambda _, health: health.spool.events == 0)
    rest.stop(LIMIT)
    rig.leave()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_ends_a_run_in_good_order_and_the_collector_has_everything(rig, town, number):
    rig.collect()
    run = town(rig)
    run.wait_until(has_events(rig))
    run.process.send_signal(number)
    code, err, told, run_id = run.finish()
    assert code == 130 if number == signal.SIGINT else code in (130, 143)
    assert "stopping after this tick" in err
    assert_law(told)
    assert told["delivered"] == told["emitted"] > 0
    assert_nothing_silent(rig, run_id, told["emitted"])


def test_a_signal_while_nobody_answers_ends_a_run_and_the_next_one_delivers(make_rig, town):
    rig = make_rig("tcp")
    rig.collect()
    rig.proxy.fates.extend([Fate(blackhole=True)] * 100)
    run = town(rig)
    run.wait_until(has_outbox(rig))
    run.process.send_signal(signal.SIGTERM)
    _, err, told, run_id = run.finish()
    assert_law(told)
    assert told["spooled"] == told["emitted"] > 0
    assert "events wait here" in err
    deliver_the_rest(rig)
    assert_nothing_silent(rig, run_id, told["emitted"])


def test_a_second_signal_stops_at_once_and_what_was_not_committed_is_declared(rig, town):
    rig.collect()
    rig.proxy.fates.extend([Fate(blackhole=True)] * 100)
    run = town(rig)
    run.wait_until(has_outbox(rig))
    run.process.send_signal(signal.SIGINT)
    assert "stopping after this tick" in run.process.stderr.readline()
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(30) == 130
    assert "Traceback" not in run.process.stderr.read()
    deliver_the_rest(rig)
    assert len(stored(rig.events)) == 2
    assert_nothing_silent(rig)


def test_a_closed_standard_output_costs_the_network_sink_nothing(rig, town):
    rig.collect()
    run = town(rig, {"use": "stdout"})
    run.process.stdout.readline()
    run.process.stdout.close()
    # Whoever writes notices the closed end, and the town must have written since then.
    run.wait_until(has_ticks(rig, 200))
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(60) == 130
    err = run.process.stderr.read()
    assert "broken_pipe" in err
    assert "Traceback" not in err
    assert_nothing_silent(rig)
    told = json.loads((rig.folder / "summary.json").read_text())["sinks"]
    for each in told:
        assert_law(each)
    assert told[1]["delivered"] == told[1]["emitted"] > 0


def test_a_stalled_standard_output_costs_the_network_sink_nothing(make_rig, town):
    rig = make_rig("tcp")
    rig.collect()
    run = town(rig, {"use": "stdout"}, ticks=300, speed="max")
    fcntl.fcntl(run.process.stdout, fcntl.F_SETPIPE_SZ, 4096)
    assert run.process.wait(60) == 0
    told = json.loads((rig.folder / "summary.json").read_text())["sinks"]
    for each in told:
        assert_law(each)
    assert told[0]["dropped"]["undelivered_at_stop"] > 0
    assert told[1]["delivered"] == told[1]["emitted"] > 300
    assert_nothing_silent(rig)


def test_a_second_town_on_the_same_outbox_does_not_start_and_says_why(rig, town):
    rig.collect()
    sink = rig.started("mine")
    sink.emit(restock(0))
    run = town(rig, ticks=5)
    _, err = run.process.communicate(timeout=60)
    assert run.process.returncode not in (0, None)
    assert "another process" in err
    assert "Traceback" not in err
    rig.until_delivered(sink)
    rig.assert_complete(sink.stop(LIMIT), "mine")


def test_a_collector_that_is_killed_over_and_over_has_everything_once(rig):
    """The real command, and SIGKILL."""
    certificate = rig.certificates.server
    listen = {"tcp": "tls", "http": "https"}[rig.kind]
    command = [TOWNLET, "collect", "--out", str(rig.events), "--cert", str(certificate.cert_file)]
    command += ["--key", str(certificate.key_file), "--token-file", "token", "--secret-file", "secret"]
    sink = rig.started()
    n = 0
    for _ in range(3):
        collector = subprocess.Popen(
            [*command, "--listen", f"{listen}://127.0.0.1:0"],
            cwd=rig.folder,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            said = json.loads(collector.stderr.readline())
            rig.lead_to(int(said["listening"][0].rpartition(":")[2]))
            for _ in range(20):
                sink.emit(restock(n))
                n += 1
                rig.until(sink, lambda status, _, n=n: status.delivered > n - 10)
        finally:
            collector.kill()
            collector.wait(30)
            collector.stderr.close()
        sink.emit(restock(n))
        n += 1
    rig.heal()
    rig.until_delivered(sink)
    status = sink.stop(LIMIT)
    assert status.delivered == n
    rig.assert_complete(status)
