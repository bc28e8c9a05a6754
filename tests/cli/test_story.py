"""`townlet story` prints a resident's day, or says in one line why it cannot."""

import re
import subprocess
import sys

import pytest

from tests.events import BUILT_IN
from tests.house.sources import ROOT
from tests.story.script import Script, arrive, come, conflict, finish, grant, join, leave, start
from townlet_adapters.worlds.town.events.economy import EconomyRent
from townlet_adapters.worlds.town.events.employment import EmploymentLateStart
from townlet_core.events.schema import family_of

PAGE = ROOT / "docs/guides/story.md"
IRIS, KARL = "a00001", "a00002"


def ordinary_days():
    """Two days of Iris, who oversleeps on the first, and of Karl; the second one is not over."""
    script = Script().at("00:00", arrive(IRIS, "Iris", "clerk"), arrive(KARL, "Karl"))
    script.at("00:12", start(IRIS, "rest_sleep", "bed_1")).at("08:11", finish(IRIS, "rest_sleep", "bed_1"))
    script.at("08:20", join(IRIS, "use_shower", "shower_1"))
    script.at("08:40", conflict(IRIS, KARL, "waiting", "shower_1"))
    script.at("08:44", grant(IRIS, "use_shower", "shower_1", 24), start(IRIS, "use_shower", "shower_1", 200))
    script.at("09:06", EmploymentLateStart(IRIS, "clerk", 100))
    script.at("09:13", finish(IRIS, "use_shower", "shower_1")).at("09:25", come(IRIS, "clerk", 25))
    script.at("11:59", leave(IRIS, "clerk", 155, 500))
    script.at("12:30", start(IRIS, "buy_meal", "counter_2", 450)).at(
        "12:49", finish(IRIS, "buy_meal", "counter_2")
    )
    for hour in (15, 16):
        script.at(f"{hour}:00", start(IRIS, "relax", f"bench_{hour}"))
        script.at(f"{hour}:08", conflict(KARL, IRIS, "jostle"))
        script.at(f"{hour}:19", finish(IRIS, "relax", f"bench_{hour}"))
    script.at("18:02", start(IRIS, "cook_meal", "stove_1", 150)).at(
        "18:41", finish(IRIS, "cook_meal", "stove_1")
    )
    script.at("18:45", start(IRIS, "eat_meal", "fridge_1")).at("18:59", finish(IRIS, "eat_meal", "fridge_1"))
    script.at("23:10", start(IRIS, "rest_sleep", "bed_1")).at("23:59", EconomyRent(IRIS, 1300, 0))
    script.at("07:04", finish(IRIS, "rest_sleep", "bed_1"), day=1)
    return script


@pytest.fixture
def run(tmp_path):
    """The folder of a run that still goes on."""
    return str(ordinary_days().folder(tmp_path / "run"))


def test_without_options_it_is_the_last_whole_day_of_the_resident_with_most_to_say(townlet, run):
    code, out, err = townlet("story", run)
    assert code == 0
    assert out.startswith("Iris, day 0 (clerk, balanced)\n00:00  Began with 2.00 coins in the wallet.\n")
    others = "also in town: Karl (--resident NAME); days 0 to 1 (--day N); --all prints everything"
    assert err == f"Iris had most to say; {others}\n"


def test_a_resident_has_a_name_or_an_id_and_a_day_a_number(townlet, run):
    code, out, err = townlet("story", run, "--resident", "karl")
    assert (code, err, out.splitlines()[0]) == (0, "", "Karl, day 0 (balanced)")
    assert townlet("story", run, "--resident", KARL) == (code, out, err)
    code, out, err = townlet("story", run, "--resident", "Iris", "--day", "1")
    assert (code, err) == (0, "")
    assert out.splitlines()[1] == "00:00  Slept until 07:05, since 23:10 the day before."
    assert townlet("story", run, "--day", "1")[1] == out


def test_all_prints_what_is_left_open(townlet, run):
    def titles(*options):
        code, out, err = townlet("story", run, "--all", *options)
        assert (code, err) == (0, "")
        return re.findall(r"^(\w+), day (\d)", out, re.MULTILINE)

    assert titles() == [("Iris", "0"), ("Karl", "0"), ("Iris", "1"), ("Karl", "1")]
    assert titles("--resident", "Karl") == [("Karl", "0"), ("Karl", "1")]
    assert titles("--day", "0") == [("Iris", "0"), ("Karl", "0")]
    assert (
        "Karl, day 1 (balanced)\n       Nothing of that day was recorded.\n"
        in townlet("story", run, "--all")[1]
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--resident", "Irsi"], "--resident: unknown resident 'Irsi'; did you mean 'Iris'? known: "),
        (["--day", "2"], "--day: day 2 is not in RUN; it has days 0 to 1"),
        (["--day", "2", "--all"], "--day: day 2 is not in RUN; it has days 0 to 1"),
        (["--day", "-1"], "Invalid value for '--day': -1 is not in the range x>=0."),
        (["--resident", "x\x1b[2J"], "--resident: unknown resident 'x\\x1b[2J'"),
    ],
)
def test_what_is_not_in_the_run_is_wrong_usage(townlet, run, options, message):
    code, out, err = townlet("story", run, *options)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert message.replace("RUN", run) in err


def test_what_is_not_a_run_is_refused_in_one_line(townlet, tmp_path):
    (tmp_path / "notes.txt").write_text("hello\n")
    for name, message in (
        (".", "not a run folder"),
        ("gone", "no file of events there"),
        ("notes.txt", "notes.txt:1: not an event of Townlet"),
    ):
        code, out, err = townlet("story", name)
        assert (code, out, len(err.splitlines())) == (2, "", 1)
        assert message in err
    (tmp_path / "empty.ndjson").write_text("")
    code, out, err = townlet("story", "empty.ndjson")
    assert (code, out) == (2, "")
    assert "empty.ndjson: no event there names a resident" in err


def test_damaged_lines_are_reported_and_the_rest_is_printed(townlet, run, tmp_path):
    whole = townlet("story", run, "--all")[1]
    events = tmp_path / "run" / "events.ndjson"
    events.write_bytes(b"damaged\n" + events.read_bytes())
    assert townlet("story", run, "--all") == (1, whole, f"{events}:1: line 1 is damaged and left out\n")


def test_a_name_cannot_command_the_terminal(townlet, tmp_path):
    script = Script().at("00:00", arrive(IRIS, "\x1b[31mIris\n"), arrive(KARL, "Karl"))
    script.at("01:00", conflict(KARL, IRIS, "jostle"))
    folder = script.folder(tmp_path / "run")
    code, out, err = townlet("story", str(folder), "--all")
    assert code == 0
    assert "\x1b" not in out + err
    assert "01:00  Pushed past \\x1b[31mIris\\n.\n" in out


def test_a_reader_that_leaves_ends_it_quietly(run):
    command = [sys.executable, "-m", "townlet", "story", run, "--all"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_a_real_run_has_no_plain_sentence_and_one_that_goes_on_from_it_has_ids(townlet, config):
    assert townlet("run", str(config), "--ticks", "600", "--out", "first")[0] == 0
    code, out, err = townlet("story", "first", "--all")
    assert (code, err) == (0, "")
    assert len(re.findall(r"^\w+, day 0 \(grocer, \w+\)$", out, re.MULTILINE)) == 3
    families = {family_of(kind).capitalize() for kind in BUILT_IN.classes}
    sentences = [line[7:] for line in out.splitlines() if line]
    assert [text for text in sentences if text.partition(":")[0] in families] == []
    assert townlet("run", "--resume", "first", "--ticks", "300", "--out", "second")[0] == 0
    code, out, err = townlet("story", "second", "--resident", "a0000")
    assert (code, out) == (2, "")
    assert "unknown resident 'a0000'; did you mean 'a0000" in err
    assert len(set(re.findall(r"a0000\d", err))) == err.partition("known: ")[2].count("a0000")


def test_the_page_shows_what_is_printed(townlet, run):
    page = PAGE.read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```text\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert townlet("story", run, "--resident", "Iris", "--day", "0")[1] == shown
