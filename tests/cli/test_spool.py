"""`townlet spool` on real outboxes, at rest and in use."""

import json
import os

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
    path = max(folder.glob("segment-*.rows"))
    content = path.read_bytes()
    at = content.index(b'"n":90,')
    path.write_bytes(content[:at] + b'"n":91,' + content[at + 7 :])


def drop_the_end(folder):
    path = min(folder.glob("segment-*.rows"))
    os.truncate(path, path.stat().st_size - 500)


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
        (change_a_row, "1 rows between 90 and 90 are damaged or gone; what was not acknowledged", True),
        (drop_the_end, "ends before row", True),
        (overwrite("*.rows", b"x" * 9000), "holds nothing that can be read; its rows will be", True),
        (remove("*.rows"), "ends before row", True),
        (overwrite("*.label", b"x"), "what other files know of the segment is used", False),
        (remove("*.label"), "has no label; what other files know of the segment is used", False),
        (
            overwrite("control", b"x" * 4096),
            "is not a control page; the next start uses what the segments know",
            False,
        ),
    ],
    ids=["row", "tail", "rows", "no rows", "label", "no label", "control"],
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
        assert "a run uses this outbox" in err
        assert "townlet spool ls" in err
    outbox.commit([Row(200, b"{}\n")], ())
    assert outbox.stats().events == 71
    outbox.close()


@pytest.mark.parametrize("words", [("ls",), ("verify",), ("export",), ("send",)])
def test_an_outbox_that_is_a_link_is_refused(townlet, spool, tmp_path, words):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "tcp-1").symlink_to(spool / "tcp-1")
    config = [str(tmp_path / "none.yaml")] if words == ("send",) else []
    for folder in (tmp_path / "other", tmp_path / "other" / "tcp-1"):
        code, out, err = townlet("spool", *words, str(folder), *config)
        assert (code, out) == (2, "")
        assert f"{tmp_path / 'other' / 'tcp-1'}: is a link or not a folder" in err


@pytest.mark.parametrize("words", [("ls",), ("verify",), ("export",), ("send",)])
def test_an_outbox_that_others_can_write_to_is_refused(townlet, spool, tmp_path, words):
    (spool / "tcp-1").chmod(0o770)
    config = [str(tmp_path / "none.yaml")] if words == ("send",) else []
    code, out, err = townlet("spool", *words, str(spool), *config)
    assert (code, out) == (2, "")
    assert "other users can write to it; run chmod go-w" in err


@pytest.mark.parametrize("word", ["ls", "verify", "export"])
def test_a_folder_that_is_none_is_told_in_a_line(townlet, tmp_path, word):
    code, out, err = townlet("spool", word, str(tmp_path / "nowhere"))
    assert (code, out) == (2, "")
    assert err == f"error: {tmp_path / 'nowhere'}: there is no such folder\n"
    code, out, err = townlet("spool", word, str(tmp_path))
    assert (code, out) == (2, "")
    assert "is not an outbox and has none in it" in err


def test_a_target_that_cannot_be_written_is_told_in_a_line(townlet, spool, tmp_path):
    code, _, err = townlet("spool", "export", str(spool), "--out", str(tmp_path / "no" / "file"))
    assert code == 2
    assert "cannot be written" in err
    assert len(err.splitlines()) == 1
