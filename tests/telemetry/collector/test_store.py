"""The folder: nothing twice, nothing lost that was acknowledged, nothing destroyed, and an exact report."""

import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.telemetry.collector.support import SOURCE, line, lines, loss, stored
from townlet_adapters.telemetry.collector.checking import check_line
from townlet_adapters.telemetry.collector.ledger import Account, report_of
from townlet_adapters.telemetry.collector.plan import StoreLimits
from townlet_adapters.telemetry.collector.store import Lane, Store, Submission, read_report
from townlet_adapters.telemetry.envelope import LINE_START
from townlet_adapters.telemetry.ranges import RangeSet
from townlet_core.errors import OutputError

OTHER = "urn:townlet:run:Other:p2"


@pytest.fixture
def open_store(folder):
    """Open stores in one folder, one after the other; the last one is closed at the end."""
    opened = []

    def start(**limits):
        for store in opened:
            store.close()
        opened[:] = [Store(folder, StoreLimits(**limits))]
        opened[0].open()
        return opened[0]

    yield start
    for store in opened:
        store.close()


def put(store, *batches, lanes=None, owner="us"):
    """Store batches of lines as one group."""
    events = [[check_line(each) for each in batch] for batch in batches]
    lanes = lanes or [Lane() for _ in batches]
    return store.store(
        [Submission(lane, owner, batch[0].source, batch) for lane, batch in zip(lanes, events, strict=True)]
    )


def told(report):
    """Spell a report for comparisons."""
    return {
        each.source: (
            each.events,
            each.duplicates,
            RangeSet(each.missing),
            {reason: list(ranges) for reason, ranges in each.declared.items()},
            list(each.contradictions),
        )
        for each in report.sources
    }


def test_events_are_stored_in_the_order_in_which_they_came(folder, open_store):
    store = open_store()
    (outcome,) = put(store, lines(3, 5))
    assert outcome == (3, 0, None)
    put(store, lines(0, 2), lines(9, 9, OTHER))
    assert stored(folder) == {SOURCE: [3, 4, 5, 0, 1, 2], OTHER: [9]}


def test_what_is_stored_already_is_counted_and_left_out(folder, open_store):
    store = open_store()
    put(store, lines(0, 4))
    outcomes = put(store, lines(3, 6), lines(5, 7), [line(8), line(8)])
    assert [(each.stored, each.duplicates, each.trouble) for each in outcomes] == [
        (4, 2, None),
        (3, 2, None),
        (2, 1, None),
    ]
    assert stored(folder) == {SOURCE: list(range(9))}
    assert store.report().sources[0].duplicates == 5


@pytest.mark.parametrize("index", ["kept", "lost", "damaged"])
def test_another_collector_goes_on_where_this_one_ended(folder, open_store, index):
    put(open_store(), [*lines(0, 9), loss(10, [(20, 29)])], lines(5, 5))
    before = told(open_store().report())
    for path in folder.glob("*.index.json"):
        if index == "lost":
            path.unlink()
        elif index == "damaged":
            path.write_bytes(path.read_bytes().replace(b"[0,10]", b"[0,99]"))
    store = open_store()
    if index == "kept":
        assert told(store.report()) == before
    (outcome,) = put(store, lines(8, 12))
    assert outcome == (5, 3, None)
    assert stored(folder) == {SOURCE: list(range(13))}
    assert list(store.report().sources[0].missing) == [(13, 19)]


def test_lines_behind_the_index_are_found(folder, open_store):
    store = open_store(unindexed_bytes=1)
    put(store, lines(0, 9))
    index = next(folder.glob("*.index.json")).read_bytes()
    put(store, lines(10, 19))
    store.close()
    next(folder.glob("*.index.json")).write_bytes(index)
    assert open_store().standing(SOURCE).settled_through == 19


def test_an_index_that_does_not_fit_to_its_file_is_not_believed(folder, open_store):
    put(open_store(), lines(0, 9))
    open_store().close()
    path = next(folder.glob("*.ndjson"))
    text = path.read_bytes()
    path.write_bytes(text.replace(b"%020d" % 9, b"%020d" % 7777))
    assert list(open_store().report().sources[0].missing) == [(9, 7776)]


@pytest.mark.parametrize("cut", [1, 5, len(LINE_START), 150, len(line(3)) - 1])
@pytest.mark.parametrize("zeros", [0, 100])
def test_the_half_line_of_a_crash_is_cut_off_and_said(folder, open_store, caplog, cut, zeros):
    put(open_store(), lines(0, 2))
    open_store().close()
    path = next(folder.glob("*.ndjson"))
    whole = path.read_bytes()
    path.write_bytes(whole + line(3)[:cut] + bytes(zeros))
    store = open_store()
    assert path.read_bytes() == whole
    assert f"cut off {cut + zeros} bytes" in caplog.text
    put(store, lines(3, 3))
    assert stored(folder) == {SOURCE: [0, 1, 2, 3]}


def test_a_file_with_nothing_but_a_half_line_is_begun_anew(folder, open_store):
    put(open_store(), lines(0, 0))
    open_store().close()
    path = next(folder.glob("*.ndjson"))
    next(folder.glob("*.index.json")).unlink()
    path.write_bytes(line(0)[:50])
    put(open_store(), lines(0, 1))
    assert stored(folder) == {SOURCE: [0, 1]}


FOREIGN = {
    "letter": b"Dear,\na letter to my mother",
    "no-newline": b"a letter of one line",
    "other-source": line(0, OTHER),
    "two-sources": line(0) + line(1, OTHER),
    "twice": line(0) + line(0),
    "damaged": line(0) + line(1).replace(b'"tick":0', b'"tick":!') + line(2),
    "other-spelling": line(0).replace(b":", b": "),
    "zeros-inside": line(0) + bytes(50) + line(1),
    "unknown-major": line(0).replace(b"economy.restock:", b"economy.restock:99"),
    "endless": LINE_START + b"x" * (3 << 20),
}


@pytest.mark.parametrize("text", FOREIGN.values(), ids=FOREIGN)
def test_a_file_that_no_collector_wrote_is_refused_and_left_as_it_is(folder, open_store, text):
    folder.mkdir()
    path = folder / "run-a.p1.ndjson"
    path.write_bytes(text)
    with pytest.raises(OutputError, match=r"run-a\.p1\.ndjson: .*nothing was changed"):
        open_store()
    with pytest.raises(OutputError):
        read_report(folder)
    assert path.read_bytes() == text
    path.unlink()
    open_store()


def test_a_file_that_was_cut_after_its_events_were_acknowledged_is_refused(folder, open_store):
    put(open_store(), lines(0, 9))
    open_store().close()
    path = next(folder.glob("*.ndjson"))
    path.write_bytes(b"".join(lines(0, 4)))
    with pytest.raises(OutputError, match="were acknowledged; it was cut"):
        open_store()


def test_a_link_to_events_elsewhere_is_refused(folder, open_store, tmp_path):
    (tmp_path / "elsewhere").write_bytes(line(0))
    folder.mkdir()
    (folder / "run-a.p1.ndjson").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match=r"run-a\.p1\.ndjson: cannot be read"):
        open_store()


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: path.symlink_to("/etc/passwd")])
def test_what_is_no_regular_file_is_refused(folder, open_store, make):
    folder.mkdir()
    make(folder / "run-a.p1.ndjson")
    with pytest.raises(OutputError, match=r"run-a\.p1\.ndjson"):
        open_store()


def test_two_collectors_do_not_write_to_one_folder(folder, open_store):
    open_store()
    with pytest.raises(OutputError, match="another collector"):
        Store(folder).open()


def test_a_file_that_somebody_changes_meanwhile_takes_nothing_more(folder, open_store):
    store = open_store()
    put(store, lines(0, 1))
    path = next(folder.glob("*.ndjson"))
    with path.open("ab") as file:
        file.write(b"me, too\n")
    (outcome,) = put(store, lines(2, 2))
    assert outcome == (0, 0, "storage_failed")
    assert path.read_bytes().endswith(b"me, too\n")


def test_many_sources_take_turns_with_the_open_files(folder, open_store):
    store = open_store()
    sources = [f"urn:townlet:run:r{number}:p1" for number in range(300)]
    for sequence in range(2):
        outcomes = put(store, *(lines(sequence, sequence, source) for source in sources))
        assert all(outcome.trouble is None for outcome in outcomes)
    assert stored(folder) == {source: [0, 1] for source in sources}
    assert len(list(Path("/proc/self/fd").iterdir())) < 250


def test_nothing_behind_trouble_of_the_same_peer_is_stored(folder, open_store):
    store = open_store(ranges=2)
    lane = Lane()
    outcomes = put(store, [line(0), line(5), line(9)], lines(6, 7), lanes=[lane, lane])
    assert [(each.stored, each.trouble) for each in outcomes] == [(0, "too_many_gaps")] * 2
    (outcome,) = put(store, lines(0, 0))
    assert outcome.trouble is None
    assert stored(folder) == {SOURCE: [0]}


def test_gaps_are_bounded_but_may_always_be_filled(open_store):
    store = open_store(ranges=3)
    put(store, [line(0), line(10), line(20)])
    assert put(store, [line(30)])[0].trouble == "too_many_gaps"
    assert put(store, [line(9), line(11)])[0].trouble is None
    assert put(store, lines(1, 8))[0].trouble is None
    assert put(store, [line(30)])[0].trouble is None
    assert put(store, [loss(31, [(40, 40), (42, 42), (44, 44), (46, 46)])])[0].trouble == "too_many_gaps"


def test_gaps_of_all_sources_together_are_bounded_across_restarts_too(open_store):
    for _ in range(2):
        store = open_store(all_ranges=4)
        put(store, [line(0), line(2)], [loss(0, [(5, 5)], source=OTHER)])
        assert put(store, [line(9)])[0].trouble == "too_many_gaps"
        assert put(store, [loss(1, [(7, 7)], source=OTHER)])[0].trouble == "too_many_gaps"


def test_sources_are_bounded_and_those_known_go_on(open_store):
    store = open_store(sources=2)
    put(store, lines(0, 0), lines(0, 0, OTHER))
    third = "urn:townlet:run:third:p1"
    assert put(store, lines(0, 0, third))[0].trouble == "too_many_sources"
    assert put(store, [loss(1, [(0, 0)], about=third)])[0].trouble == "too_many_sources"
    assert put(store, lines(1, 1))[0].trouble is None


def test_the_bytes_of_the_folder_are_bounded(folder, open_store):
    store = open_store(folder_bytes=len(line(0)) * 3)
    outcomes = put(store, lines(0, 1), lines(0, 1, OTHER))
    assert [each.trouble for each in outcomes] == [None, "folder_full"]
    assert put(store, lines(0, 1))[0] == (2, 2, None)
    assert stored(folder) == {SOURCE: [0, 1]}


def test_a_full_disk_takes_whole_lines_only_and_goes_on_when_there_is_room(small_disk):
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(48 << 10))
    store = Store(small_disk / "events")
    store.open()
    events = lines(0, 99)
    (outcome,) = put(store, events)
    assert 0 < outcome.stored < 100
    assert (outcome.trouble, store.standing(SOURCE).settled_through) == ("no_space", outcome.stored - 1)
    assert stored(small_disk / "events") == {SOURCE: list(range(outcome.stored))}
    assert put(store, events[outcome.stored :])[0] == (0, 0, "no_space")
    ballast.unlink()
    (outcome,) = put(store, events)
    assert (outcome.stored, outcome.trouble) == (100, None)
    assert stored(small_disk / "events") == {SOURCE: list(range(100))}
    store.close()


def test_what_follows_events_that_found_no_room_waits_for_them(small_disk):
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(48 << 10))
    store = Store(small_disk / "events")
    store.open()
    lane = Lane()
    kept = put(store, lines(0, 99), lanes=[lane])[0].stored
    ballast.unlink()
    assert put(store, lines(100, 109), lanes=[lane])[0] == (0, 0, "no_space")
    assert put(store, lines(kept, 109))[0].trouble is None
    assert stored(small_disk / "events") == {SOURCE: list(range(110))}
    store.close()


def test_a_full_disk_lets_known_events_be_told_apart_from_new_ones(small_disk):
    store = Store(small_disk / "events")
    store.open()
    kept = put(store, lines(0, 399))[0].stored
    outcomes = put(store, lines(0, 1), lines(kept - 1, kept), lines(0, 0, OTHER))
    assert [(each.stored, each.trouble) for each in outcomes] == [(2, None), (1, "no_space"), (0, "no_space")]
    store.close()


def test_a_report_tells_what_is_missing_declared_and_contradicted(folder, open_store):
    store = open_store()
    put(store, [line(2), line(3), loss(10, [(4, 5), (3, 3)]), loss(11, [(6, 6)], reason="process_died")])
    put(
        store,
        [loss(0, [(7, 8)], source=OTHER), loss(1, [(0, 4)], about="urn:townlet:run:gone:p1", source=OTHER)],
    )
    store.write_report()
    report = json.loads((folder / "report.json").read_text())
    assert report["exact"] is False
    assert report["totals"] == {
        "sources": 3,
        "events": 6,
        "duplicates": 0,
        "missing": 3,
        "declared": 11,
        "contradictions": 1,
    }
    gone, other, ours = sorted(report["sources"], key=lambda each: each["source"].lower())
    assert gone == {
        "source": "urn:townlet:run:gone:p1",
        "owner": "us",
        "file": None,
        "events": 0,
        "duplicates": 0,
        "first": None,
        "through": None,
        "missing": [],
        "declared": {"buffer_full": [[0, 4]]},
        "contradictions": [],
    }
    assert (other["events"], other["missing"]) == (2, [])
    assert ours["missing"] == [[0, 1], [9, 9]]
    assert ours["declared"] == {"buffer_full": [[3, 5], [7, 8]], "process_died": [[6, 6]]}
    assert ours["contradictions"] == [[3, 3]]
    assert told(read_report(folder)) == told(store.report())


Steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 1), st.lists(st.integers(0, 30), min_size=1, max_size=8)),
        st.tuples(
            st.just("lose"),
            st.integers(0, 1),
            st.tuples(
                st.integers(0, 30), st.integers(0, 6), st.sampled_from(["buffer_full", "process_died"])
            ),
        ),
        st.tuples(st.just("restart"), st.just(0), st.none()),
        st.tuples(st.just("crash"), st.just(0), st.integers(0, 100)),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(steps=Steps)
def test_the_report_is_exact_whatever_arrives_in_whatever_order(tmp_path_factory, steps):
    """The model: for each of two sources, the set of numbers stored, and the sets declared lost by reason."""
    folder = tmp_path_factory.mktemp("property")
    sources = (SOURCE, OTHER)
    have = [set(), set()]
    lost = [{}, {}]
    store = Store(folder, StoreLimits(unindexed_bytes=600))
    store.open()
    serial = 1000  # numbers of loss records, beyond all others
    for kind, who, what in steps:
        if kind == "put":
            put(store, [line(number, sources[who]) for number in what])
            have[who].update(what)
        elif kind == "lose":
            first, more, reason = what
            serial += 1
            put(store, [loss(serial, [(first, first + more)], sources[1 - who], reason, sources[who])])
            have[who].add(serial)
            lost[1 - who].setdefault(reason, set()).update(range(first, first + more + 1))
        else:
            if kind == "crash":
                folder = shutil.copytree(folder, tmp_path_factory.mktemp("property") / "after")
                for path in folder.glob("*.ndjson"):
                    with path.open("ab") as file:
                        file.write(line(7777)[:what])
            store.close()
            store = Store(folder, StoreLimits(unindexed_bytes=600))
            store.open()
    found = {each.source: each for each in store.report().sources}
    store.close()
    for who, source in enumerate(sources):
        declared = set().union(*lost[who].values())
        if not have[who] and not declared:
            assert source not in found
            continue
        report, known = found[source], have[who] | declared
        assert report.events == len(have[who])
        assert set(numbers(report.missing)) == set(range(max(known) + 1)) - known
        assert {reason: set(numbers(each)) for reason, each in report.declared.items()} == lost[who]
        assert set(numbers(report.contradictions)) == have[who] & declared
    assert stored(folder).keys() == {source for who, source in enumerate(sources) if have[who]}


def numbers(ranges):
    return [number for first, last in ranges for number in range(first, last + 1)]


def test_a_source_without_events_misses_none():
    (report,) = report_of([Account(SOURCE, None, "a.jsonl", RangeSet(), 0, {})]).sources
    assert list(report.missing) == []
