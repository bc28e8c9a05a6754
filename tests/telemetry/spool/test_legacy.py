"""Outboxes that the version before wrote, with SQLite: everything in them is delivered first, then removed.

The archives in ``format1`` were made by that version. Each holds the folder, and what its town knows.
"""

import json
import sqlite3
import tarfile
from pathlib import Path

import pytest

from tests.telemetry.spool.town import Town
from townlet_adapters.telemetry.ranges import RangeSet
from townlet_adapters.telemetry.spool import inspect
from townlet_core.errors import OutputError

ARCHIVES = Path(__file__).parent / "format1"


def unpacked(name, folder):
    """A town as it was when that version left its outbox."""
    folder.mkdir(exist_ok=True)
    with tarfile.open(ARCHIVES / f"{name}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    (folder / "outbox").chmod(0o700)
    town = Town(folder / "outbox")
    known = json.loads((folder / "town.json").read_text())
    town.generation, town.emitted, town.committed = known["generation"], known["emitted"], known["committed"]
    town.received = [tuple(each) for each in known["received"]]
    town.declared = {source: RangeSet(map(tuple, ranges)) for source, ranges in known["declared"].items()}
    return town


def databases(town):
    return sorted(path.name for path in town.folder.iterdir() if ".db" in path.name or ".lost-" in path.name)


@pytest.mark.parametrize("name", ["killed", "condemned", "closed"])
def test_what_waits_is_delivered_first_in_order_and_removed(tmp_path, name):
    town = unpacked(name, tmp_path)
    assert databases(town)
    town.start()
    town.emit(5)
    assert town.commit() == ""
    town.drain()
    town.check_all_accounted_for()
    assert databases(town) == []
    sources = [source for source, _ in town.received]
    assert sources == sorted(sources)
    assert sources.count(town.source) >= 5
    town.outbox.close()


@pytest.mark.parametrize("name", ["killed", "condemned", "closed"])
def test_a_start_that_is_killed_at_any_step_takes_them_over_again(tmp_path, name):
    town = unpacked(name, tmp_path)
    steps = 0
    while town.die_starting(steps):
        steps += 1
    for _ in range(3):
        town.start()
        town.deliver(7, 7)
        town.die()
    town.start()
    town.drain()
    town.check_all_accounted_for()
    town.outbox.close()


@pytest.mark.parametrize("name", ["killed", "closed"])
def test_they_can_be_looked_into_without_a_trace(tmp_path, name):
    town = unpacked(name, tmp_path)
    before = {path.name: path.read_bytes() for path in town.folder.iterdir()}
    shown = inspect.look(town.folder)
    assert shown.state == "waiting"
    problems = []
    lines = list(inspect.export(town.folder, problems, everything=False))
    assert (len(lines), problems) == (shown.control.waiting, [])
    assert inspect.verify(town.folder) == []
    assert {path.name: path.read_bytes() for path in town.folder.iterdir()} == before


@pytest.mark.parametrize(
    "how", ["garbage", "half", "gone", "a changed row", "a row that vanished", "a changed commit", "label"]
)
@pytest.mark.parametrize("segment", [0, 1, -1], ids=["oldest", "second", "newest"])
def test_a_damaged_one_is_declared_and_the_rest_is_delivered(tmp_path, how, segment):
    town = unpacked("killed", tmp_path)
    path = sorted(town.folder.glob("*.db"))[segment]
    match how:
        case "garbage":
            path.write_bytes(b"\xa5" * path.stat().st_size)
        case "half":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        case "gone":
            path.unlink()
        case "label":
            path.with_suffix(".label").write_bytes(b"x")
        case _:
            row = "WHERE sequence = (SELECT max(sequence) - 1 FROM rows)"
            changes = {
                "a changed row": f"UPDATE rows SET line = CAST(replace(line, 'urn', 'run') AS BLOB) {row}",  # noqa: S608 - ours
                "a row that vanished": f"DELETE FROM rows {row}",  # noqa: S608 - ours
                "a changed commit": "UPDATE commits SET last = last - 2, events = events - 2 "
                "WHERE number = (SELECT max(number) FROM commits)",
            }
            db = sqlite3.connect(path)
            db.execute(changes[how])
            db.commit()
            db.close()
    town.start()
    town.drain()
    town.check_all_accounted_for()
    town.outbox.close()


def test_the_version_before_refuses_an_outbox_of_this_one(tmp_path):
    """It knows format 1 alone; what it would do with rows that it does not see is to declare them lost."""
    town = Town(tmp_path / "outbox")
    town.start()
    page = (town.folder / "control").read_bytes()
    assert int.from_bytes(page[8:12], "little") == 2
    town.outbox.close()


def test_a_database_that_is_a_link_is_refused(tmp_path):
    town = unpacked("closed", tmp_path)
    path = min(town.folder.glob("*.db"))
    path.rename(tmp_path / "elsewhere.db")
    path.symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(OutputError, match="is not a regular file, and an outbox follows no links"):
        town.start()
