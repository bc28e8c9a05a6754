"""Events are read back from whatever a run leaves, and what is not of a run is refused in one line."""

import gzip
import json
import os
import shutil

import pytest

from tests.story.script import Script, finish, start
from townlet_adapters.storage.playback import EventReader
from townlet_core.errors import OutputError

SOME = Script().at("00:00", start("a", "relax", "bench_1")).at("00:19", finish("a", "relax", "bench_1"))
TICKS = [0, 0, 19, 19]


def ticks(path):
    reader = EventReader(path)
    return [event.tick for event in reader.events(lambda _: True)], reader.damage


def test_a_folder_and_a_file_of_events_give_the_same(tmp_path):
    folder = SOME.folder(tmp_path / "run")
    assert ticks(folder) == ticks(folder / "events.ndjson") == (TICKS, [])


def test_only_wanted_kinds_are_read(tmp_path):
    folder = SOME.folder(tmp_path / "run")
    kinds = [event.kind for event in EventReader(folder).events("affordance.finish".__eq__)]
    assert kinds == ["affordance.finish"]


def test_parts_are_one_stream_and_older_ones_may_be_compressed(tmp_path):
    folder = SOME.folder(tmp_path / "run")
    parts = [folder / "events-000001.ndjson", folder / "events-000002.ndjson", folder / "events.ndjson"]
    for part, lines in zip(parts, (SOME.lines[:1], SOME.lines[1:3], SOME.lines[3:]), strict=True):
        part.write_bytes(b"".join(lines))
    assert ticks(folder) == (TICKS, [])
    (folder / "events-000001.ndjson.gz").write_bytes(gzip.compress(parts[0].read_bytes()))
    assert ticks(folder) == (TICKS, [])
    parts[0].unlink()
    assert ticks(folder) == (TICKS, [])
    parts[2].unlink()
    assert ticks(folder) == (TICKS[:3], [])


def test_a_file_has_the_name_that_the_run_gave_it(tmp_path):
    folder = SOME.folder(tmp_path / "run")
    (folder / "events.ndjson").rename(folder / "news.ndjson")
    sinks = [{"use": "stdout"}, {"use": "file", "options": {"path": "/elsewhere"}}, 7, {"use": "file"}]
    sinks += [
        {"use": "file", "options": {"path": "../up"}},
        {"use": "file", "options": {"path": "news.ndjson"}},
    ]
    (folder / "run.json").write_text(json.dumps({"config": {"telemetry": {"sinks": sinks}}}))
    assert ticks(folder) == (TICKS, [])


def test_the_line_that_a_run_is_writing_is_left_out(tmp_path):
    path = tmp_path / "events.ndjson"
    whole = b"".join(SOME.lines)
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        assert ticks(path) == (TICKS[: whole[:cut].count(b"\n")], [])


@pytest.mark.parametrize("damage", [b"\n", b"{}\n", b'{"a":\n', b"\xff\x00\n", b"x" * (3 << 20) + b"\n"])
def test_damaged_lines_are_left_out_and_reported(tmp_path, damage):
    path = tmp_path / "events.ndjson"
    path.write_bytes(b"".join([*SOME.lines[:2], damage, *SOME.lines[2:]]))
    assert ticks(path) == (TICKS, [f"{path}:3: line 3 is damaged and left out"])
    path.write_bytes(b"".join([SOME.lines[0], damage, damage, *SOME.lines[1:]]))
    assert ticks(path) == (TICKS, [f"{path}:2: 2 lines are damaged and left out"])


def test_an_unfinished_line_in_an_older_part_is_damage(tmp_path):
    path = SOME.write(tmp_path / "events.ndjson")
    (tmp_path / "events-000001.ndjson").write_bytes(SOME.lines[0][:-1])
    (tmp_path / "events-000002.ndjson").write_bytes(SOME.lines[0] + SOME.lines[1][:40])
    assert ticks(path) == (
        [0, 0, *TICKS],
        [f"{tmp_path / 'events-000002.ndjson'}:2: line 2 is damaged and left out"],
    )


@pytest.mark.parametrize("content", [b"hello\nworld\n", b"\x00" * 5000 + b"\n", b"a\n" * 50, b"[1]\n" * 3])
def test_a_foreign_file_is_refused(tmp_path, content):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(OutputError, match=f"{path}:1: not an event of Townlet; name a run folder"):
        ticks(path)


def test_a_broken_archive_is_refused(tmp_path):
    path = SOME.write(tmp_path / "events.ndjson")
    packed = gzip.compress(b"".join(SOME.lines))
    for content in (b"no archive", packed[:-20], packed[:20] + b"\x00" * 40 + packed[60:]):
        (tmp_path / "events-000001.ndjson.gz").write_bytes(content)
        with pytest.raises(OutputError, match=r"events-000001.ndjson.gz: cannot be read: "):
            ticks(path)


def test_a_folder_that_is_not_of_a_run_is_refused(tmp_path):
    with pytest.raises(
        OutputError, match=r"not a run folder: it has no run\.json; name one, or a file of events"
    ):
        EventReader(tmp_path)
    with pytest.raises(OutputError, match=r"gone: no file of events there"):
        EventReader(tmp_path / "gone")


@pytest.mark.parametrize("record", ["{}", '{"config": []}', '{"config": {"telemetry": {"sinks": "x"}}}'])
def test_a_run_without_a_file_of_events_says_so(tmp_path, record):
    (tmp_path / "run.json").write_text(record)
    with pytest.raises(OutputError, match=r"the run keeps no events in its folder; only a `file` sink"):
        EventReader(tmp_path)


@pytest.mark.parametrize("record", ["", "{", "[1]", "[" * 5000])
def test_a_damaged_record_says_what_to_do(tmp_path, record):
    (tmp_path / "run.json").write_text(record)
    with pytest.raises(OutputError, match=r"run.json: damaged: .*; name the file of events itself"):
        EventReader(tmp_path)


def test_only_regular_files_are_read(tmp_path):
    folder = SOME.folder(tmp_path / "run")
    events = folder / "events.ndjson"
    events.rename(tmp_path / "moved")
    events.symlink_to(tmp_path / "moved")
    with pytest.raises(OutputError, match=r"events.ndjson: cannot be read"):
        ticks(folder)
    events.unlink()
    os.mkfifo(events)
    with pytest.raises(OutputError, match=r"events.ndjson: cannot be read: Is a FIFO"):
        ticks(folder)
    events.unlink()
    events.mkdir()
    with pytest.raises(OutputError, match=r"events.ndjson: cannot be read: Is a directory"):
        ticks(folder)
    shutil.rmtree(events)
    with pytest.raises(OutputError, match=r"events.ndjson: no file of events there"):
        ticks(folder)
