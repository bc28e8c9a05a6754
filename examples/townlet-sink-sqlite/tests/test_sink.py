"""The sink keeps Townlet's contract, and what it keeps can be asked for."""

import json
import sqlite3
from pathlib import Path

import pytest

from townlet import open_simulation
from townlet_adapters.telemetry.transports.base import Batch, TransportError
from townlet_core.errors import NoRunFolderError, OutputError
from townlet_core.testing import check_sink
from townlet_plugins.access import Access
from townlet_plugins.factory import BuildContext
from townlet_sink_sqlite.plugin import SqliteOptions, build
from townlet_sink_sqlite.transport import SqliteTransport

CONFIG = {
    "townlet": 1,
    "seed": 7,
    "plugins": {
        "allow": [{"distribution": "townlet-sink-sqlite", "entry_point": "sqlite", "allow_editable": True}]
    },
    "telemetry": {"stream": {"mode": "snapshot", "every": 10}, "sinks": [{"use": "sqlite", "options": {}}]},
}


def context(folder, run_id="run"):
    return BuildContext(seed=7, access=Access(folder or Path()), run_dir=folder, run_id=run_id)


def test_it_keeps_the_contract_of_a_sink(tmp_path):
    runs = iter(range(100))
    check_sink(lambda: build(SqliteOptions(), context(tmp_path, f"run{next(runs)}")), observations=True)


def test_a_town_is_kept_whole(tmp_path):
    with open_simulation(CONFIG, out=tmp_path / "run") as town:
        summary = town.run_for(60)
    with sqlite3.connect(tmp_path / "run" / "town.sqlite") as database:
        facts = database.execute("SELECT kind, count(*) FROM events WHERE seq IS NOT NULL GROUP BY kind")
        assert dict(facts) == summary.events_by_kind
        ticks = [tick for (tick,) in database.execute("SELECT tick FROM frames ORDER BY tick")]
        assert ticks == [0, 10, 20, 30, 40, 50]
        (frame,) = database.execute("SELECT data FROM frames WHERE tick = 50").fetchone()
        assert len(json.loads(frame)["agents"]) == summary.population


def batch(*sequences):
    event = {
        "source": "urn:townlet:run:one:p1",
        "tick": 0,
        "type": "townlet.loop.tick",
        "time": "",
        "data": {},
    }
    lines = [json.dumps(event | {"sequence": f"{number:020}"}).encode() for number in sequences]
    return Batch(event["source"], sequences, lines)


def test_what_comes_again_after_a_crash_is_kept_once(tmp_path):
    transport = SqliteTransport(tmp_path / "town.sqlite")
    transport.open()
    assert transport.write(batch(1, 2)) == 2
    assert transport.write(batch(2, 3)) == 2
    transport.close()
    with sqlite3.connect(tmp_path / "town.sqlite") as database:
        assert database.execute("SELECT sequence FROM events").fetchall() == [(1,), (2,), (3,)]


def test_a_file_that_somebody_else_locks_is_tried_again(tmp_path):
    transport = SqliteTransport(tmp_path / "town.sqlite")
    transport.open()
    other = sqlite3.connect(tmp_path / "town.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(TransportError) as caught:
        transport.write(batch(1))
    assert caught.value.verdict == "retry"
    other.execute("ROLLBACK")
    assert transport.write(batch(1)) == 1
    transport.close()
    other.close()


def test_two_runs_share_a_file(tmp_path):
    for run in ("one", "two"):
        sink = build(SqliteOptions(path=str(tmp_path / "town.sqlite")), context(None, run))
        sink.start()
        assert sink.stop(5).state == "closed"


def test_a_path_needs_a_folder_and_a_file_needs_to_be_ours(tmp_path):
    with pytest.raises(NoRunFolderError, match="starts in the run folder"):
        build(SqliteOptions(), context(None))
    (tmp_path / "town.sqlite").write_text("somebody's notes, and more than a header of them" * 50)
    sink = build(SqliteOptions(), context(tmp_path))
    with pytest.raises(OutputError, match=r"town\.sqlite: cannot be opened"):
        sink.start()
