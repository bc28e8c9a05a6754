"""`townlet spool` on real outboxes, at rest and in use."""

import json
import sqlite3

import pytest

from townlet_adapters.telemetry.clock import SystemClock
from townlet_adapters.telemetry.spool.base import OutboxLimits, Row
from townlet_adapters.telemetry.spool.outbox import Outbox

LIMITS = OutboxLimits(bytes=1 << 24, segment_bytes=1 << 16)


def filled(folder, source="urn:one", count=100, settled=30):
    """An outbox in use, with rows of which some were acknowledged."""
    outbox = Outbox(folder, LIMITS, SystemClock())
    outbox.open(source)
    outbox.begin([])
    for first in range(0, count, 20):
        rows = [Row(n, b'{"n":%d,"pad":"%s"}\n' % (n, b"." * 900)) for n in range(first, first + 20)]
        outbox.note_emitted(first + 20)
        outbox.commit(rows, ())
    outbox.read(settled, 1 << 20)
    outbox.acknowledge(source, settled - 1)
    return outbox


@pytest.fixture
def spool(tmp_path):
    """A spool_dir with two outboxes, one of them delivered."""
    filled(tmp_path / "spool" / "tcp-1").close()
    filled(tmp_path / "spool" / "http-1", "urn:two", settled=100).close()
    (tmp_path / "spool" / "notes").mkdir()
    return tmp_path / "spool"


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def numbers(text):
    return [json.loads(line)["n"] for line in text.splitlines()]


def test_ls_tells_of_every_outbox_and_changes_nothing(townlet, spool):
    before = contents(spool)
    code, out, err = townlet("spool", "ls", str(spool))
    assert (code, err) == (0, "")
    assert out.splitlines()[0].split()[:4] == ["outbox", "state", "sources", "events"]
    rows = json.loads(townlet("spool", "ls", str(spool), "--json")[1])
    assert [(row["state"], row["sources"], row["events"]) for row in rows] == [
        ("delivered", ["urn:two"], 0),
        ("waiting", ["urn:one"], 70),
    ]
    assert rows[1]["bytes"] > 70 * 900
    assert rows[1]["quarantined"] == 0
    assert [
        row["outbox"] for row in json.loads(townlet("spool", "ls", str(spool / "tcp-1"), "--json")[1])
    ] == [str(spool / "tcp-1")]
    assert contents(spool) == before


def test_export_gives_what_waits_and_with_all_what_is_left(townlet, spool, tmp_path):
    before = contents(spool)
    code, out, err = townlet("spool", "export", str(spool))
    assert (code, err.strip()) == (0, "70 events")
    assert numbers(out) == list(range(30, 100))
    everything = numbers(townlet("spool", "export", str(spool / "tcp-1"), "--all")[1])
    assert everything == list(range(everything[0], 100))
    assert everything[0] < 30
    target = tmp_path / "waiting.ndjson"
    assert townlet("spool", "export", str(spool), "--out", str(target))[:2] == (0, "")
    assert target.read_text() == out
    assert contents(spool) == before
    assert [path.name for path in tmp_path.glob(".waiting*")] == []


def test_verify_says_ok(townlet, spool):
    code, out, err = townlet("spool", "verify", str(spool))
    assert (code, err) == (0, "")
    assert out == f"{spool / 'http-1'}: ok\n{spool / 'tcp-1'}: ok\n"


def change_a_row(folder):
    db = sqlite3.connect(max(folder.glob("segment-*.db")))
    db.execute("UPDATE rows SET crc = crc + 1 WHERE sequence = 90")
    db.commit()
    db.close()


def drop_the_end(folder):
    db = sqlite3.connect(min(folder.glob("segment-*.db")))
    (last,) = db.execute("SELECT max(sequence) FROM rows").fetchone()
    db.execute("DELETE FROM rows WHERE sequence = ?", (last,))
    db.execute("DELETE FROM commits WHERE last = ?", (last,))
    db.commit()
    db.close()


def overwrite(name, data):
    def change(folder):
        max(folder.glob(name)).write_bytes(data)

    return change


def remove(name):
    def change(folder):
        min(folder.glob(name)).unlink()

    return change


@pytest.mark.parametrize(
    ("change", "told", "lost"),
    [
        (
            change_a_row,
            "row 90 is not what was committed, or one before it is missing; its rows from there",
            True,
        ),
        (drop_the_end, "ends at row", True),
        (
            overwrite("*.db", b"x" * 9000),
            "file is not a database; its rows from there on will be declared lost",
            True,
        ),
        (remove("*.db"), "cannot be opened", True),
        (
            overwrite("*.label", b"x"),
            "is missing or cannot be read; the next start asks the segment itself",
            False,
        ),
        (remove("*.label"), "is missing or cannot be read; the next start asks the segment itself", False),
        (
            overwrite("control", b"x" * 4096),
            "is not a control page; the next start uses what the segments know",
            False,
        ),
    ],
    ids=["row", "tail", "database", "no database", "label", "no label", "control"],
)
def test_what_is_wrong_is_told_and_what_will_come_of_it(townlet, spool, change, told, lost):
    change(spool / "tcp-1")
    before = contents(spool)
    code, out, err = townlet("spool", "verify", str(spool))
    assert (code, err) == (1, "")
    lines = [line for line in out.splitlines() if not line.endswith(": ok")]
    assert [line for line in lines if told in line], out
    assert all(line.startswith(str(spool / "tcp-1")) for line in lines)
    assert townlet("spool", "ls", str(spool))[0] == 0
    code, _, err = townlet("spool", "export", str(spool))
    assert code == lost
    assert (str(spool / "tcp-1") in err) == lost
    assert contents(spool) == before


def test_an_outbox_in_use_is_listed_and_neither_read_nor_disturbed(townlet, tmp_path):
    outbox = filled(tmp_path / "spool" / "tcp-1")
    row = json.loads(townlet("spool", "ls", str(tmp_path / "spool"), "--json")[1])[0]
    assert (row["state"], row["events"]) == ("in use", 70)
    assert row["oldest_age_s"] < 60
    for word in ("verify", "export"):
        code, out, err = townlet("spool", word, str(tmp_path / "spool"))
        assert (code, out) == (2, "")
        assert "a run holds this outbox" in err
        assert "townlet spool ls" in err
    outbox.commit([Row(200, b"{}\n")], ())
    assert outbox.stats().events == 71
    outbox.close()


def test_a_log_that_a_kill_left_is_read_from_a_copy(townlet, tmp_path):
    outbox = filled(tmp_path / "live")
    for path in (tmp_path / "live").iterdir():
        (tmp_path / "killed").mkdir(exist_ok=True)
        (tmp_path / "killed" / path.name).write_bytes(path.read_bytes())
    outbox.close()
    assert max((tmp_path / "killed").glob("*-wal")).stat().st_size
    before = contents(tmp_path / "killed")
    assert numbers(townlet("spool", "export", str(tmp_path / "killed"))[1]) == list(range(30, 100))
    assert townlet("spool", "verify", str(tmp_path / "killed"))[0] == 0
    assert contents(tmp_path / "killed") == before


@pytest.mark.parametrize("word", ["ls", "verify", "export"])
def test_a_folder_that_is_none_is_told_in_a_line(townlet, tmp_path, word):
    code, out, err = townlet("spool", word, str(tmp_path / "nowhere"))
    assert (code, out) == (2, "")
    assert err == f"error: {tmp_path / 'nowhere'}: there is no such folder\n"
    code, out, err = townlet("spool", word, str(tmp_path))
    assert (code, out) == (2, "")
    assert "is no outbox and holds none" in err


def test_a_target_that_cannot_be_written_is_told_in_a_line(townlet, spool, tmp_path):
    code, _, err = townlet("spool", "export", str(spool), "--out", str(tmp_path / "no" / "file"))
    assert code == 2
    assert "cannot be written" in err
    assert len(err.splitlines()) == 1
