"""``townlet run --metrics`` and ``--metrics-file``."""

import http.client
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.sinks import TellingSink
from townlet_adapters.cli.metrics import open_metrics
from townlet_core.dispatch import EventDispatcher, SinkRoute
from townlet_core.loop import RunIdentity, SimulationLoop
from townlet_core.testing import FakePolicy, FakeWorld

TOWNLET = [sys.executable, "-c", "import sys; from townlet_adapters.cli.main import main; sys.exit(main())"]
ADDRESS = re.compile(r"metrics: http://(127\.0\.0\.1):(\d+)/metrics")


def values(text: str) -> dict[str, float]:
    """The samples of an exposition by name, those with labels summed up."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found


def assert_soon(condition) -> None:
    """Wait for what another thread does."""
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def loop_of_fakes() -> SimulationLoop:
    routes = [SinkRoute("sink", TellingSink())]
    return SimulationLoop(FakeWorld(), FakePolicy(), RunIdentity(7), dispatcher=EventDispatcher(routes))


def test_a_running_town_can_be_scraped_and_keeps_its_file_up_to_date(tmp_path):
    file = tmp_path / "town.prom"
    arguments = ["run", "--ticks", "1000000", "--speed", "100x", "--no-out", "--sink", "stdout"]
    with subprocess.Popen(
        [*TOWNLET, *arguments, "--metrics", "127.0.0.1:0", "--metrics-file", str(file)],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            told = watched(process, file)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130, err
    assert told["townlet_town_population"] == 8
    assert 0 < told["townlet_town_need_mean"] <= 3
    assert "townlet_town_figure" in told
    assert told["townlet_ticks_per_second"] > 0
    emitted, delivered = "townlet_telemetry_events_emitted_total", "townlet_telemetry_delivered_total"
    assert told[emitted] >= told[delivered] > 0
    for name in (
        "bytes_delivered_total",
        "queue_capacity_events",
        "worker_alive",
        "emit_duration_seconds_count",
    ):
        assert told[f"townlet_telemetry_{name}"] > 0, name
    at_the_end = values(file.read_text())
    assert at_the_end["townlet_ticks_total"] == at_the_end["townlet_tick"] + 1 >= told["townlet_ticks_total"]
    assert at_the_end[emitted] == at_the_end[delivered] >= told[emitted]
    assert list(tmp_path.iterdir()) == [file]


def watched(process: subprocess.Popen, file: Path) -> dict[str, float]:
    """Read the metrics of a run over HTTP once it has delivered something and has told its file so, too."""
    announced = ADDRESS.search(process.stderr.readline())
    connection = http.client.HTTPConnection(announced[1], int(announced[2]), timeout=60)

    def scraped() -> dict[str, float]:
        connection.request("GET", "/metrics")
        return values(connection.getresponse().read().decode())

    assert_soon(lambda: scraped().get("townlet_telemetry_delivered_total", 0) > 0)
    assert_soon(lambda: values(file.read_text())["townlet_tick"] >= 119)
    return scraped()


def test_metrics_change_no_digest(townlet, config):
    run = ["run", str(config), "--ticks", "70", "--no-out", "--digest", "--quiet"]
    plain = townlet(*run)[1]
    assert townlet(*run, "--metrics", "127.0.0.1:0", "--metrics-file", "m.prom")[1] == plain
    assert values(Path("m.prom").read_text())["townlet_ticks_total"] == 70


def test_a_port_in_use_ends_with_exit_code_2_and_leaves_nothing(townlet, config):
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        code, out, err = townlet(
            "run", str(config), "--out", "r", "--metrics", address, "--metrics-file", "m.prom"
        )
    assert (code, out) == (2, "")
    assert err == (
        f"--metrics: cannot listen on {address}: Address already in use; "
        "name another port, or 0 for any free one, and an address of this machine\n"
    )
    assert list(Path().iterdir()) == [Path("trial.yaml")]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--metrics", "9464"], "--metrics: "),
        (["--metrics", "127.0.0.1:x"], "--metrics: "),
        (["--metrics-file", "gone/m.prom"], "error: gone/m.prom: cannot be written; name a file"),
        (["--metrics-file", "."], "error: .: cannot be written; name a file"),
    ],
)
@pytest.mark.usefixtures("config")
def test_a_wrong_address_or_file_is_one_line_with_exit_code_2(townlet, arguments, told):
    code, out, err = townlet("run", "trial.yaml", "--ticks", "3", *arguments)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert err.startswith(told)
    assert list(Path().iterdir()) == [Path("trial.yaml")]


@pytest.mark.parametrize(
    ("listening", "lines"),
    [("127.0.0.1:0", 1), ("localhost:0", 1), ("[::1]:0", 1), ("0.0.0.0:0", 2), ("[::]:0", 2)],
)
def test_an_address_that_others_can_reach_is_allowed_and_said(capfd, listening, lines):
    with open_metrics(listening, None):
        pass
    told = capfd.readouterr().err.splitlines()
    assert len(told) == lines
    assert told[0].startswith("metrics: http://")
    assert all(
        "other machines can reach this address, and it has no authentication" in line for line in told[1:]
    )


def test_the_file_is_there_while_the_town_lives_and_tells_in_the_end_how_it_ended(tmp_path):
    file, loop = tmp_path / "m.prom", loop_of_fakes()
    with open_metrics(None, file) as watch:
        assert not file.exists()
        watch(loop)
        assert_soon(file.exists)
        assert values(file.read_text())["townlet_tick"] == -1
        loop.run_for(7)
    assert values(file.read_text())["townlet_tick"] == 6
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_cannot_be_written_any_more_is_told_of_once_and_the_town_goes_on(tmp_path, capfd):
    folder, loop = tmp_path / "gone", loop_of_fakes()
    folder.mkdir()
    with open_metrics(None, folder / "m.prom") as watch:
        shutil.rmtree(folder)
        watch(loop)
        loop.run_for(120)
        assert loop.figures.ticks == 120
    told = capfd.readouterr().err
    assert told.count("m.prom: cannot be written: No such file or directory; the run goes on") == 1
    assert len(told.splitlines()) == 1


def test_a_report_makes_the_file_new(tmp_path):
    file, loop = tmp_path / "m.prom", loop_of_fakes()
    with open_metrics(None, file) as watch:
        watch(loop)
        assert_soon(file.exists)
        loop.run_for(60)
        assert_soon(lambda: values(file.read_text())["townlet_tick"] == 59)


def test_nobody_pays_for_metrics_that_nobody_asked_for():
    code = (
        "import sys, townlet_adapters.cli.main, townlet_adapters.cli.run, townlet_adapters.telemetry.plugin; "
    )
    code += "sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
