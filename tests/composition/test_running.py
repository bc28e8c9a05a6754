"""A run from Python leaves what a run from the command line leaves."""

import json
from contextlib import contextmanager

import pytest

from townlet_adapters.composition import Output, RunRequest
from townlet_adapters.running import execute
from townlet_adapters.storage.snapshots import list_snapshots
from townlet_core.errors import OutputLostError

CONFIG = {
    "townlet": 1,
    "name": "trial",
    "seed": 7,
    "world": {"use": "town", "options": {"town": "hamlet_24"}},
    "policy": {"use": "scripted"},
    "runner": {"snapshot_every": 1000},
}


@contextmanager
def stopped(run):
    run.loop.request_stop()
    yield


def test_a_run_leaves_its_summary_and_the_final_account_of_its_sinks(tmp_path):
    output = Output(keep=True, path=tmp_path / "run", summary=tmp_path / "summary.json")
    summary = execute(RunRequest(CONFIG, output=output), 30)
    (sink,) = summary.sinks
    assert sink.state == "closed"
    assert sink.offered == sink.delivered == summary.events_total
    for file in (tmp_path / "run" / "summary.json", output.summary):
        assert json.loads(file.read_text()) == json.loads(json.dumps(summary.to_json()))


def test_a_run_that_is_stopped_early_keeps_a_snapshot_and_a_summary(tmp_path):
    request = RunRequest(CONFIG, output=Output(keep=True, path=tmp_path / "run"))
    summary = execute(request, 30, watch=stopped)
    assert summary.interrupted
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["interrupted"] is True
    (path,) = list_snapshots(tmp_path / "run")
    assert path.name == f"snapshot-{summary.ticks}.json.gz"


def test_a_summary_that_cannot_be_reported_is_written_all_the_same(tmp_path):
    def leave(_run, _summary):
        raise BrokenPipeError

    request = RunRequest(CONFIG, output=Output(keep=True, path=tmp_path / "run"))
    with pytest.raises(BrokenPipeError):
        execute(request, 5, report=leave)
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["ticks"] == 5


def test_a_summary_that_cannot_be_written_is_reported_first(tmp_path):
    reported = []
    output = Output(keep=True, path=tmp_path / "run", summary=tmp_path / "gone" / "summary.json")
    with pytest.raises(OutputLostError, match="summary"):
        execute(RunRequest(CONFIG, output=output), 5, report=lambda _run, summary: reported.append(summary))
    assert [summary.ticks for summary in reported] == [5]
