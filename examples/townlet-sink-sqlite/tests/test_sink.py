"""The sink stores what a run emits, once and as a whole."""

import json
import sqlite3
from pathlib import Path

import pytest

from townlet import open_simulation
from townlet_core.errors import ContractError, NoRunFolderError, OutputError
from townlet_core.ports.transport import Batch, TransportError
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


def context(folder):
    return BuildContext(seed=7, access=Access(folder or Path()), run_dir=folder, run_id="run")


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


def test_what_is_delivered_again_after_a_crash_is_stored_once(tmp_path):
    transport = SqliteTransport(tmp_path / "town.sqlite")
    transport.open()
    assert transport.write(batch(1, 2)) == 2
    assert transport.write(batch(2, 3)) == 2
    transport.close()
    with sqlite3.connect(tmp_path / "town.sqlite") as database:
        assert database.execute("SELECT sequence FROM events").fetchall() == [(1,), (2,), (3,)]


def test_a_file_that_another_program_locks_is_retried(tmp_path):
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
    path = {"telemetry.sinks": [{"use": "sqlite", "options": {"path": str(tmp_path / "town.sqlite")}}]}
    for _ in range(2):
        with open_simulation(CONFIG, overrides=path) as town:
            town.run_for(2)
    with sqlite3.connect(tmp_path / "town.sqlite") as database:
        assert database.execute("SELECT count(DISTINCT source) FROM events").fetchone() == (2,)


def test_a_relative_path_needs_a_run_folder_and_a_sink_a_run(tmp_path):
    with pytest.raises(NoRunFolderError):
        build(SqliteOptions(), context(None))
    with pytest.raises(ContractError, match="can be built only in a run"):
        build(SqliteOptions(), context(tmp_path))


def test_a_file_of_another_program_is_refused(tmp_path):
    (tmp_path / "town.sqlite").write_text("notes of another program, longer than a header " * 50)
    with pytest.raises(OutputError, match=r"town\.sqlite: cannot be opened"):
        SqliteTransport(tmp_path / "town.sqlite").open()
