"""The history of promotions grows by a line for each change; a resumed run takes its own lines away."""

import json

import pytest

from townlet_adapters.storage.history import HISTORY, PromotionLog, cut_history
from townlet_core.errors import OutputError
from townlet_core.events.base import Diagnostic, Fact
from townlet_core.events.promotion import PromotionState


def facts():
    return [
        Fact(seq, seq * 10, PromotionState("monitoring", "ready", None, "candidate_ready")) for seq in (3, 8)
    ]


@pytest.fixture
def path(tmp_path):
    log = PromotionLog(tmp_path / HISTORY)
    for fact in facts():
        log.hear(fact)
    return tmp_path / HISTORY


def test_each_change_is_a_line(path):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[0] == {
        "seq": 3,
        "tick": 30,
        "from": "monitoring",
        "to": "ready",
        "release": None,
        "reason": "candidate_ready",
    }
    assert [line["seq"] for line in lines] == [3, 8]


def test_what_is_no_fact_is_no_change(path):
    PromotionLog(path).hear(Diagnostic(1, facts()[0].event))
    assert len(path.read_text().splitlines()) == 2


def test_lines_from_a_number_on_and_damaged_ones_are_cut(path):
    with path.open("a") as file:
        file.write('{"seq": 2\n')
    cut_history(path, 8)
    assert [json.loads(line)["seq"] for line in path.read_text().splitlines()] == [3]
    before = path.stat().st_mtime_ns
    cut_history(path, 8)
    assert path.stat().st_mtime_ns == before


def test_without_a_history_there_is_nothing_to_cut(tmp_path):
    cut_history(tmp_path / HISTORY, 5)
    assert not (tmp_path / HISTORY).exists()


def test_what_is_no_file_is_an_error(tmp_path):
    (tmp_path / HISTORY).mkdir()
    with pytest.raises(OutputError, match=HISTORY):
        cut_history(tmp_path / HISTORY, 5)
