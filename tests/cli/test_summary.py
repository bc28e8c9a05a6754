"""The summary names what it counts, in the singular and in the plural, for a whole run and for a part."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from townlet_adapters.cli.summary import print_summary
from townlet_core.dto.health import SinkStatus
from townlet_core.summary import RunSummary

KPIS = {
    "need_mean": {"hunger": 0.63, "energy": 0.7},
    "need_lowest": 0.24,
    "well_all_day_share": 0.75,
    "starvation_incidents": 0,
    "meals_eaten": 24,
    "meals_at_cafe": 3,
    "meals_cooked": 16,
    "showers": 14,
    "sleeps": 1,
    "shifts_ended": 8,
    "shifts_worked": 8,
    "shifts_late": 2,
    "shifts_absent": 0,
    "paid_ticks": 1380,
    "attendance_mean": 0.95,
    "wages_paid": 28560,
    "queue_joins": 14,
    "uses_waited": 13,
    "wait_mean": 21.2,
    "wait_longest": 81,
    "conflicts": {"jostle": 21, "waiting": 9},
}


QUEUES = (
    "residents queued 14 times, 13 uses began after a wait, a wait took 21.2 ticks on average and 81 at most"
)


def summary(**changes) -> RunSummary:
    values = {
        "run_id": "r",
        "config_digest": "c",
        "seed": 7,
        "first_tick": 0,
        "ticks": 1440,
        "wall_seconds": 2.0,
        "ticks_per_second": 720.0,
        "agent_steps_per_second": 5760.0,
        "population": 8,
        "events_before": 0,
        "events_total": 1779,
        "events_by_kind": {"affordance.start": 339, "loop.tick": 1440},
        "kpis": KPIS,
        "kpis_before": {},
        "sinks": (SinkStatus(name="file", state="closed", offered=9, emitted=9, delivered=9),),
        "digest": None,
    }
    return RunSummary(**values | changes)


def printed(value: RunSummary, folder: Path | None = None) -> list[str]:
    console = Console(file=io.StringIO(), width=400)
    print_summary(console, "default", value, folder)
    return console.file.getvalue().splitlines()


def rows(lines: list[str]) -> dict[str, str]:
    return dict(line.split("  ", 1) for line in lines if "  " in line)


def row(label: str, **kpis) -> str | None:
    text = rows(printed(summary(kpis=kpis))).get(label)
    return None if text is None else text.strip()


def test_the_summary_of_a_day():
    assert [line.rstrip() for line in printed(summary(), Path("runs/x"))] == [
        "default: 1,440 ticks with seed 7",
        "residents   8 in town at the end",
        "needs       satisfied on average: hunger 63 %, energy 70 %; the lowest of any resident was 24 %",
        "well-being  75 % of the residents' days passed without a low need, no resident starved",
        "meals       24 eaten (3 of them at the café), 16 cooked",
        "comfort     14 showers, 1 sleep",
        "work        8 shifts ended: 8 worked, 2 late, 0 missed, 1,380 ticks paid, attendance 95 %",
        "wages       28.56 coins paid until the last midnight (28,560 mills; 1,000 mills are a coin)",
        "queues      " + QUEUES,
        "conflicts   30 in queues: 21 jostle, 9 waiting",
        "events      1,779: 1,440 loop.tick, 339 affordance.start",
        "speed       720 ticks/s, 5,760 resident steps/s over 2.00 s",
        "sink file   closed: 9 offered, 9 delivered",
        "folder      runs/x",
    ]


@pytest.mark.parametrize(
    ("label", "kpis", "text"),
    [
        ("well-being", {"starvation_incidents": 1}, "1 case of starvation"),
        ("well-being", {"starvation_incidents": 3}, "3 cases of starvation"),
        ("meals", {"meals_eaten": 1, "meals_cooked": 0}, "1 eaten, 0 cooked"),
        ("work", {"shifts_ended": 0, "shifts_worked": 0, "paid_ticks": 0}, "no shift ended"),
        (
            "work",
            {"shifts_ended": 1, "shifts_worked": 1, "paid_ticks": 1},
            "1 shift ended: 1 worked, 1 tick paid",
        ),
        ("wages", {"paid_ticks": 1380}, None),
        ("queues", {"queue_joins": 0, "uses_waited": 0}, "no resident queued"),
        ("queues", {"queue_joins": 1, "uses_waited": 0}, "residents queued 1 time"),
        ("society", {"chats": 0, "chats_well": 0, "shared_meals": 0}, "0 chats, 0 shared meals"),
        (
            "society",
            {"chats": 1, "chats_well": 0, "avoidances": 1},
            "1 chat (0 of them went well), 1 avoidance",
        ),
        (
            "society",
            {"chats": 1200, "chats_well": 900, "shared_meals": 1, "handovers": 7, "avoidances": 2},
            "1,200 chats (900 of them went well), 1 shared meal, 7 hand-overs, 2 avoidances",
        ),
        ("lives", {"arrivals": 0, "exits": {}}, None),
        ("lives", {"arrivals": 1, "exits": {}}, "1 arrival, 0 exits"),
        (
            "lives",
            {"arrivals": 1, "exits": {"age_out": 2, "killed": 1}},
            "1 arrival, 3 exits (2 age_out, 1 killed)",
        ),
        ("conflicts", {"conflicts": {}}, "none in queues"),
        ("conflicts", {"conflicts": {"jostle": 1}}, "1 in queues: 1 jostle"),
        ("needs", {}, None),
        ("comfort", {"showers": 1}, "1 shower"),
    ],
)
def test_a_row_counts_in_words_or_is_left_out(label, kpis, text):
    assert row(label, **kpis) == text


@pytest.mark.parametrize("value", ["a lot", True, None, [1], {"a": "b"}], ids=repr)
def test_a_number_of_a_plugin_that_is_not_a_number_is_left_out(value):
    told = rows(printed(summary(kpis=dict.fromkeys(KPIS, value))))
    assert set(told) <= {"residents", "events", "speed", "sink file", "conflicts", "needs"}


def test_a_resumed_run_has_its_own_figures_and_those_of_the_whole():
    before = KPIS | {"meals_eaten": 20, "shifts_ended": 7, "conflicts": {"jostle": 20, "waiting": 9}}
    lines = printed(
        summary(
            first_tick=1440, ticks=1, events_before=1779, events_total=6, kpis_before=before, interrupted=True
        )
    )
    at = lines.index("since tick 0: 1,441 ticks")
    part, whole = rows(lines[:at]), rows(lines[at:])
    assert lines[0] == "default: 1 tick with seed 7, resumed at tick 1,440"
    assert part["meals"].strip() == "4 eaten, 0 cooked"
    assert part["work"].strip() == "1 shift ended: 0 worked, 0 late, 0 missed, 0 ticks paid"
    assert part["conflicts"].strip() == "1 in queues: 1 jostle"
    assert "needs" not in part
    assert "81 at most" not in part["queues"]
    assert part["interrupted"].strip() == "the run was stopped early"
    assert whole["meals"].strip() == "24 eaten (3 of them at the café), 16 cooked"
    assert whole["needs"].strip().startswith("satisfied on average: hunger 63 %")
    assert whole["events"].strip() == "1,785"


def test_alerts_are_counted_by_name_and_their_absence_is_said():
    assert (
        row("alerts", alerts={"lateness_spike": 2, "rivalry_spike": 1}) == "2 lateness_spike, 1 rivalry_spike"
    )
    assert row("alerts", alerts={}) == "none"
    assert "alerts" not in rows(printed(summary()))


def test_the_news_are_lines_below_each_other():
    console = Console(file=io.StringIO(), width=200)
    print_summary(console, "default", summary(), None, ["day 0 06:26  Up.", "day 0 07:05  Out."])
    lines = console.file.getvalue().splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("news"))
    assert lines[at].split("news")[1].strip() == "day 0 06:26  Up."
    assert lines[at + 1].strip() == "day 0 07:05  Out."


def test_a_terminal_gets_lines_of_its_width():
    console = Console(file=io.StringIO(), width=60, force_terminal=True, no_color=True)
    print_summary(console, "default", summary(), None)
    text = re.sub(r"\x1b\[[0-9;]*m", "", console.file.getvalue())
    assert max(map(len, text.splitlines())) <= 60
