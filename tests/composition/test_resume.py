"""A run that is resumed in its folder leaves there what a run without a break would have left."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.composition.test_composition import CONFIG, kept
from townlet_adapters.composition import Output, RunRequest, open_run
from townlet_adapters.eventfiles import list_parts
from townlet_adapters.running import execute
from townlet_adapters.storage.folder import RECORD
from townlet_adapters.storage.snapshots import list_snapshots
from townlet_core.errors import ConfigError, OutputError, SnapshotError, UnknownNameError

ROOT = Path(__file__).parents[2]
FOLDER = {"use": "file", "options": {"path": "snapshots"}}
"""A sink that cannot be opened."""


def facts(folder, name="events.ndjson"):
    """The facts of every part of a stream of events, without what is about delivery alone."""
    lines = [
        json.loads(line) for part in list_parts(folder / name) for line in part.read_bytes().splitlines()
    ]
    return [(line["seq"], line["tick"], line["type"], line["data"]) for line in lines if "seq" in line]


def record(folder):
    return json.loads((folder / RECORD).read_text())


def snapshots(folder):
    return [int(path.name.split("-")[1].split(".")[0]) for path in list_snapshots(folder)]


def resumed(path, *overrides, **more):
    """A request to go on where a snapshot is."""
    request = kept(path, *overrides, **{"config": None, "resume": path} | more)
    return RunRequest(
        **{name: getattr(request, name) for name in ("config", "overrides", "seed", "sinks")},
        resume=request.resume,
        output=Output(keep=True),
        notify=more.get("notify", print),
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of 60 ticks without a break."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    summary = execute(kept(folder), 60)
    return folder, summary


@pytest.fixture
def broken_off(tmp_path):
    """A run of 50 ticks with snapshots at 20, 40 and its end."""
    folder = tmp_path / "run"
    execute(kept(folder, "runner.snapshot_every=20"), 50)
    return folder


def test_a_run_goes_on_in_its_folder_and_leaves_the_facts_of_a_run_without_a_break(whole, broken_off):
    path, summary = whole
    assert snapshots(broken_off) == [20, 40, 50]
    second = execute(resumed(broken_off), 10)
    assert facts(broken_off) == facts(path)
    assert second.digest == summary.digest
    assert snapshots(broken_off) == [20, 40, 50, 60]
    assert not list(broken_off.glob("events.cut*"))


def test_what_comes_after_the_snapshot_is_moved_away(whole, broken_off):
    path, summary = whole
    snapshot = broken_off / "snapshots" / "snapshot-20.json.gz"
    second = execute(resumed(broken_off, resume=snapshot), 40)
    assert facts(broken_off) == facts(path)
    assert second.digest == summary.digest
    last = [fact for fact in facts(path) if fact[1] < 50]
    assert facts(broken_off, "events.cut-20.ndjson") == [fact for fact in last if fact[1] >= 20]
    assert snapshots(broken_off) == [20, 60]
    assert sorted(each.name for each in (broken_off / "snapshots").glob("cut-*")) == [
        "cut-40.json.gz",
        "cut-50.json.gz",
    ]


def test_the_record_keeps_every_part_of_the_run(broken_off):
    first = record(broken_off)
    execute(resumed(broken_off, resume=broken_off / "snapshots" / "snapshot-40.json.gz"), 10)
    execute(resumed(broken_off), 10)
    after = record(broken_off)
    assert after["name"] == "trial"
    assert [part["from_tick"] for part in after["parts"]] == [0, 40, 50]
    assert [part["cut"] for part in after["parts"]] == [[], ["events.cut-40.ndjson"], []]
    assert after["parts"][0] == first["parts"][0]
    assert after["parts"][0]["run_id"] == first["run_id"] != after["run_id"] == after["parts"][2]["run_id"]
    assert [part["snapshot_sha256"] is None for part in after["parts"]] == [True, False, False]
    assert after["parent"] is None


def test_with_a_folder_of_its_own_a_resumed_run_names_its_parent_and_leaves_it_alone(broken_off, tmp_path):
    before = {path: path.read_bytes() for path in broken_off.rglob("*") if path.is_file()}
    with open_run(kept(tmp_path / "other", config=None, resume=broken_off)) as opened:
        opened.loop.run_for(5)
        assert (opened.origin.tick, opened.config.run.name) == (50, "trial")
    told = record(tmp_path / "other")
    parent = record(broken_off)
    assert told["parent"]["run_id"] == parent["run_id"]
    assert told["parent"]["tick"] == 50
    assert told["parent"]["snapshot"] == str(broken_off / "snapshots" / "snapshot-50.json.gz")
    assert [part["from_tick"] for part in told["parts"]] == [50]
    assert {path: path.read_bytes() for path in broken_off.rglob("*") if path.is_file()} == before


def test_the_folder_of_the_run_can_be_named_as_the_one_to_write_to(broken_off):
    execute(kept(broken_off, config=None, resume=broken_off), 5)
    assert [part["from_tick"] for part in record(broken_off)["parts"]] == [0, 50]


def test_events_that_a_kill_took_are_made_again_from_an_older_snapshot(whole, broken_off):
    """The snapshot at the end was kept, the events of the moments before it were not."""
    path, summary = whole
    events = broken_off / "events.ndjson"
    events.write_bytes(events.read_bytes()[:-3000])
    told = []
    second = execute(resumed(broken_off, notify=told.append), 20)
    assert facts(broken_off) == facts(path)
    assert second.digest == summary.digest
    assert [part["from_tick"] for part in record(broken_off)["parts"]] == [0, 40]
    assert any("snapshot-50.json.gz: goes on with the fact" in line for line in told)
    assert any(line.endswith("going on from " + str(list_snapshots(broken_off)[1])) for line in told)


def test_a_snapshot_ahead_of_the_events_is_refused_when_it_is_named(broken_off):
    events = broken_off / "events.ndjson"
    events.write_bytes(events.read_bytes()[:-3000])
    before = events.read_bytes()
    with pytest.raises(SnapshotError, match=r"goes on with the fact \d+, but .*\.ndjson ends with"):
        execute(resumed(broken_off, resume=broken_off / "snapshots" / "snapshot-50.json.gz"), 1)
    assert events.read_bytes() == before


def test_events_that_hold_no_fact_are_behind_every_snapshot(broken_off):
    (broken_off / "events.ndjson").write_bytes(b"")
    with pytest.raises(SnapshotError, match=r"events\.ndjson holds no fact; resume an earlier snapshot"):
        execute(resumed(broken_off), 1)


def test_a_rotated_file_goes_on_and_is_cut_as_one(whole, tmp_path):
    path, _ = whole
    folder = tmp_path / "run"
    sinks = "telemetry.sinks=[{use: file, options: {rotate_bytes: 1048576}}]"
    execute(kept(folder, "runner.snapshot_every=20", sinks), 50)
    # Rotated by hand, since so short a run does not fill a part.
    lines = (folder / "events.ndjson").read_bytes().splitlines(keepends=True)
    third = len(lines) // 3
    (folder / "events-000001.ndjson").write_bytes(b"".join(lines[:third]))
    (folder / "events-000002.ndjson").write_bytes(b"".join(lines[third : 2 * third]))
    (folder / "events.ndjson").write_bytes(b"".join(lines[2 * third :]))
    execute(resumed(folder, sinks, resume=folder / "snapshots" / "snapshot-20.json.gz"), 40)
    assert facts(folder) == facts(path)


def test_a_file_outside_of_the_run_folder_is_not_cut(tmp_path):
    """Events of several runs may be in it, which have the same numbers."""
    sinks = "telemetry.sinks=[{use: file, options: {path: ../all.ndjson}}]"
    execute(kept(tmp_path / "run", sinks, "runner.snapshot_every=20"), 50)
    before = (tmp_path / "all.ndjson").read_bytes()
    execute(resumed(tmp_path / "run" / "snapshots" / "snapshot-20.json.gz", sinks), 10)
    assert before
    assert (tmp_path / "all.ndjson").read_bytes().startswith(before)


def test_two_processes_do_not_run_in_one_folder(broken_off):
    with (
        open_run(resumed(broken_off)),
        pytest.raises(OutputError, match="another process is running in this folder"),
    ):
        execute(resumed(broken_off), 1)
    execute(resumed(broken_off), 1)


def test_a_run_cannot_be_resumed_while_it_goes_on(tmp_path):
    with open_run(kept(tmp_path / "run", "runner.snapshot_every=5")) as opened:
        opened.loop.run_for(10)
        with pytest.raises(OutputError, match="another process is running in this folder"):
            execute(resumed(tmp_path / "run"), 1)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"seed": 8}, SnapshotError),
        ({"config": CONFIG | {"world": {"use": "town", "options": {"town": "town_48"}}}}, SnapshotError),
        ({"config": CONFIG | {"policy": {"use": "gone"}}}, UnknownNameError),
        (
            {"config": CONFIG | {"telemetry": {"sinks": [{"use": "file", "options": {"path": "x/.."}}]}}},
            OutputError,
        ),
    ],
    ids=["seed", "town", "policy", "sink"],
)
def test_a_run_that_cannot_be_resumed_leaves_its_folder_as_it_was(broken_off, change, error):
    before = {path: path.read_bytes() for path in broken_off.rglob("*") if path.is_file()}
    with pytest.raises(error):
        execute(resumed(broken_off, **change), 1)
    assert {path: path.read_bytes() for path in broken_off.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", ["run.json", "events.ndjson", "snapshots/snapshot-50.json.gz", ".lock"])
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["fifo", "link"])
def test_anything_but_a_regular_file_in_a_resumed_folder_is_an_error_at_once(broken_off, name, make):
    (broken_off / name).unlink()
    make(broken_off / name)
    if name.startswith("snapshots"):
        execute(resumed(broken_off), 1)
        assert [part["from_tick"] for part in record(broken_off)["parts"]] == [0, 40]
        return
    with pytest.raises(OutputError, match=str(broken_off)):
        execute(resumed(broken_off), 1)


@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, "\xff"])
def test_a_damaged_record_is_an_error_that_names_the_file(broken_off, text):
    (broken_off / "run.json").write_text(text, encoding="latin-1")
    with pytest.raises((OutputError, ConfigError), match=str(broken_off)):
        execute(resumed(broken_off), 1)


def test_a_record_without_parts_gets_its_first(broken_off):
    (broken_off / "run.json").write_text('{"parts": 7}')
    execute(resumed(broken_off), 1)
    assert [part["from_tick"] for part in record(broken_off)["parts"]] == [50]


def test_a_killed_run_goes_on_as_if_nothing_had_happened(tmp_path):
    folder = tmp_path / "run"
    code = textwrap.dedent("""
        import sys
        from pathlib import Path
        from tests.composition.test_composition import kept
        from townlet_adapters.composition import open_run
        # At full speed, ninety ticks take less time than the file's worker waits for more events.
        with open_run(kept(Path(sys.argv[1]), "runner.snapshot_every=20", "runner.speed=100x")) as opened:
            for tick, _ in enumerate(opened.loop.iterate(100000)):
                if tick == 90:
                    print("under way", flush=True)
    """)
    child = subprocess.Popen([sys.executable, "-c", code, str(folder)], cwd=ROOT, stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"under way\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    with open_run(resumed(folder)) as opened:
        start = opened.origin.tick
        opened.loop.run_for(20)
    assert start >= 20
    whole = tmp_path / "whole"
    summary = execute(kept(whole), start + 20)
    assert facts(folder) == facts(whole)
    assert opened.loop.digest == summary.digest
