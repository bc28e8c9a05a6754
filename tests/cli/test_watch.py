"""A town on a terminal: a person sees it, steers it, and gets the terminal back whatever happens."""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import closing, redirect_stderr
from dataclasses import replace
from io import StringIO
from threading import Event
from types import SimpleNamespace

import pytest
import yaml

from tests.cli.terminals import PROGRAM, Terminal
from townlet_adapters.cli.watching.map import TownMap
from townlet_adapters.cli.watching.rows import Look, Span, fitted, plain, said
from townlet_adapters.cli.watching.screen import Shown, Size, compose
from townlet_adapters.cli.watching.watcher import Watcher, until_next
from townlet_adapters.drawing.ground import Ground
from townlet_adapters.drawing.scene import Scene
from townlet_core.dispatch import EventDispatcher
from townlet_core.dto.frame import TownFrame
from townlet_core.dto.plan import PlanObject, PlanPlace, TileKind, TownPlan
from townlet_core.loop import RunIdentity, SimulationLoop
from townlet_core.pacing import Pacer
from townlet_core.testing import FakePlannedWorld, FakePolicy

HAMLET = ("run", "configs/hamlet.yaml", "--watch")
FIELD = TownPlan("field", 100, 90, 1440, (TileKind("floor", walkable=True),), ((0, 100),) * 90)
EVIL = "[red]Eve\x1b[2J\r\n\u202e"


def on(tmp_path, *arguments, **options):
    return closing(Terminal(*arguments, cwd=tmp_path, **options))


def shown(frame, followed="a", **changes):
    values = {
        "title": "t", "scene": Scene.of(frame), "followed": followed, "pace": "10x", "stories": (),
        "ticks_per_day": 1440, "units": {}, "news": "", "blocks": False,
    }  # fmt: skip
    return Shown(**values | changes)


USUAL = Size(80, 24)


def screen(frame, plan=FIELD, size=USUAL, **changes):
    return [
        plain(row)
        for row in compose(shown(frame, **changes), TownMap(Ground.of(plan)) if plan else None, size)
    ]


def person(x, y, **more):
    return {"name": "Ann", "slot": 0, "pos": [x, y], "needs": {"thirst": 0.5}, **more}


def test_a_person_sees_the_town_and_steers_it(tmp_path):
    with on(tmp_path, *HAMLET, "--out", "r") as terminal:
        terminal.until_shown(r"hamlet +day 0 \d\d:\d\d +10x")
        first = terminal.until_shown(r">\w (\w+)")[1]
        assert terminal.emulator.alternate
        assert terminal.emulator.painted
        terminal.press("\x1bOQ\x1b[1;2Q")  # F2 and its like are no q
        terminal.press("n")
        second = terminal.until(lambda: (found := terminal.until_shown(r">\w (\w+)")[1]) != first and found)
        terminal.press("p")
        terminal.until_shown(rf">\w {first}")
        terminal.press("\x1b[C")
        terminal.until_shown(rf">\w {second}")
        terminal.press("\x1b[D")
        terminal.until_shown(rf">\w {first}")
        assert second != first
        terminal.press("+")
        terminal.until_shown(" 100x ")
        terminal.press(" ")
        terminal.until_shown("paused")
        terminal.until_quiet()
        clock = terminal.until_shown(r"day \d (\d\d:\d\d)  paused")[1]
        terminal.press("s")
        stepped = terminal.until(
            lambda: (
                (found := re.search(r"(\d\d):(\d\d)  paused", terminal.emulator.text))
                and found[0][:5] != clock
                and found
            )
        )
        hour, minute = map(int, clock.split(":"))
        assert (int(stepped[1]) * 60 + int(stepped[2])) % 1440 == (hour * 60 + minute + 1) % 1440
        terminal.press(" -")
        terminal.until_shown(r"day \d \d\d:\d\d  10x")
        terminal.press("q")
        assert terminal.until_over() == 0
        assert terminal.restored
        assert "digest" in terminal.raw.rpartition("\x1b[?1049l")[2]
    assert json.loads((tmp_path / "r/summary.json").read_text())["interrupted"]


def test_watching_changes_no_digest(tmp_path):
    arguments = ("--ticks", "300", "--seed", "5", "--no-out", "--digest", "--speed", "max")
    plainly = subprocess.run(
        [PROGRAM, "run", "configs/hamlet.yaml", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    with on(tmp_path, *HAMLET, *arguments) as terminal:
        assert terminal.until_over() == 0
        assert terminal.restored
        digest = re.search(r"digest +(\w+)", plainly)[1]
        assert digest in terminal.raw.rpartition("\x1b[?1049l")[2]


@pytest.mark.parametrize("keys", ["\x03", signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_an_interrupt_ends_the_run_in_good_order(tmp_path, keys):
    with on(tmp_path, *HAMLET, "--out", "r") as terminal:
        terminal.until_shown("10x")
        if keys == "\x03":
            os.killpg(terminal.process.pid, signal.SIGINT)
        else:
            terminal.process.send_signal(keys)
        assert terminal.until_over() == 130
        assert terminal.restored
        assert "stopping after this tick" not in terminal.raw
    assert (tmp_path / "r/summary.json").exists()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_that_kills_leaves_the_terminal_as_it_was(tmp_path, number):
    with on(tmp_path, *HAMLET, "--no-out") as terminal:
        terminal.until_shown("10x")
        terminal.process.send_signal(number)
        assert terminal.until_over() == -number
        assert terminal.restored


def test_a_second_interrupt_leaves_the_terminal_as_it_was(tmp_path):
    with on(tmp_path, *HAMLET, "--no-out") as terminal:
        terminal.until_shown("10x")
        # Two signals of one kind could arrive as one.
        terminal.process.send_signal(signal.SIGINT)
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.until_over() == 130
        assert terminal.restored
        assert "digest" not in terminal.raw


def test_a_run_that_a_shell_stops_gives_the_terminal_back_and_takes_it_again(tmp_path):
    script = f"{PROGRAM} {' '.join(HAMLET)} --no-out; echo STOPPED; read line; fg; exit $?"
    with on(tmp_path, program=("setsid", "--ctty", "--wait", "bash", "-mc", script)) as terminal:
        terminal.until_shown("10x")
        terminal.press("\x1a")
        terminal.until(lambda: "STOPPED" in terminal.raw)
        terminal.until(lambda: not terminal.emulator.alternate and terminal.emulator.cursor_shown)
        assert terminal.echoes
        terminal.press("\n")
        terminal.until(lambda: terminal.emulator.alternate)
        terminal.until_shown("10x")
        terminal.press("\x03")
        assert terminal.until_over() == 130
        assert terminal.restored


def test_a_failing_run_gives_the_terminal_back_and_then_says_why(tmp_path):
    (tmp_path / "t.yaml").write_text(yaml.safe_dump(LONELY))
    with on(tmp_path, "run", "t.yaml", "--watch", "--no-out", "--speed", "max", "--ticks", "4") as terminal:
        assert terminal.until_over() == 1
        assert terminal.restored
        assert "the town is empty" in terminal.raw.rpartition("\x1b[?1049l")[2]


LONELY = {
    "townlet": 1,
    "seed": 7,
    "world": {"use": "town", "options": {"town": "hamlet_24"}},
    "policy": {"use": "scripted"},
    "commands": [{"tick": 3, "name": "kill", "args": {"agent_id": f"a0000{number}"}} for number in range(3)],
}


def test_a_sink_on_the_same_terminal_is_refused(tmp_path):
    with on(tmp_path, *HAMLET, "--no-out", "--sink", "stdout") as terminal:
        assert terminal.until_over() == 2
        assert "the sink stdout and --watch would write to the same terminal" in terminal.raw
        assert "\x1b[?1049h" not in terminal.raw


def test_stories_of_other_days_name_their_day(tmp_path):
    with on(tmp_path, *HAMLET, "--no-out", "--speed", "max", rows=30) as terminal:
        terminal.until_shown(r"(?m)^ day \d+ \d\d:\d\d  [A-Z\"]")


class Kept(StringIO):
    """A standard error that is a terminal."""

    def isatty(self):
        return True


class BrokenScreen:
    """A screen that cannot be drawn on."""

    has_keys = False
    entered = False

    def enter(self):
        self.entered = True

    def leave(self):
        self.entered = False

    def size(self):
        raise OSError("no such terminal")


def test_a_run_that_cannot_be_drawn_goes_on_and_its_terminal_is_given_back():
    identity = RunIdentity(seed=7, run_id="r", config_digest="c0ffee")
    loop = SimulationLoop(FakePlannedWorld(agents=3), FakePolicy(), identity, dispatcher=EventDispatcher([]))
    screen, log = BrokenScreen(), Kept()
    run = SimpleNamespace(
        loop=loop, pacer=Pacer("max"), config=SimpleNamespace(run=SimpleNamespace(name="t"))
    )
    watcher = Watcher(run, screen, blocks=False)
    with redirect_stderr(log), watcher.watching():
        for _ in range(3):
            loop.step()
        end = Event()
        while screen.entered or sys.stderr is not log:
            end.wait(0.01)
        sys.stderr.write("careful\n")
        assert log.getvalue().endswith("careful\n")
        loop.step()
    assert loop.tick == 4
    assert log.getvalue().count("careful") == 1


def test_what_takes_long_is_done_seldom():
    assert until_next(0.001) == until_next(0.0) == pytest.approx(0.08)
    assert until_next(0.05) == pytest.approx(0.45)


def test_without_colours_there_are_letters(tmp_path):
    with on(tmp_path, *HAMLET, "--no-out", env={"NO_COLOR": "1"}) as terminal:
        terminal.until_shown("####")
        terminal.press("q")
        assert terminal.until_over() == 0
        assert not terminal.emulator.painted
        assert "▀" not in terminal.raw


def test_the_screen_follows_the_size_of_the_terminal(tmp_path):
    with on(tmp_path, *HAMLET, "--no-out", columns=100, rows=30) as terminal:
        terminal.until_shown("space pause")
        assert terminal.emulator.text.split("\n")[29].startswith(" space pause")
        terminal.resize(40, 14)
        terminal.until(lambda: terminal.emulator.text.split("\n")[13].startswith(" space pause"))
        terminal.resize(10, 3)
        terminal.until_shown("at least")
        terminal.resize(80, 24)
        terminal.until_shown(r">\w")
        terminal.press("q")
        assert terminal.until_over() == 0


@pytest.mark.parametrize("env", [{}, {"TERM": "dumb"}], ids=["pipe", "dumb terminal"])
def test_without_a_terminal_there_are_lines(tmp_path, env):
    done = subprocess.run(
        [PROGRAM, *HAMLET, "--no-out", "--ticks", "1500", "--speed", "max"],
        cwd=tmp_path, env=os.environ | env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"day 0 06:00  \d residents", lines[0])
    assert [line for line in lines if re.fullmatch(r"day 1 00:00  \d residents", line)]
    assert [line for line in lines if re.fullmatch(r"day 0 \d\d:\d\d  .*\.", line)]
    assert "\x1b" not in done.stdout


def test_a_reader_of_the_lines_that_leaves_ends_an_endless_run(tmp_path):
    command = f"{PROGRAM} {' '.join(HAMLET)} --no-out --speed max | head -n 3"
    done = subprocess.run(
        ["/bin/bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True
    )
    assert len(done.stdout.splitlines()) == 3


def test_watching_quietly_is_refused(townlet):
    code, _, err = townlet("run", "--watch", "--quiet")
    assert code == 2
    assert "--watch shows the run and --quiet hides it" in err


# ---- what is on a screen


def test_every_row_is_as_wide_as_the_screen():
    frame = TownFrame(1, clock={"day": 0, "tod": 5}, agents={"a": person(3, 3), "b": person(4, 80)})
    for size in (Size(80, 24), Size(64, 20), Size(63, 12), Size(24, 8), Size(5, 1), Size(240, 100)):
        for plan in (FIELD, None):
            rows = screen(frame, plan, size)
            assert [len(row) for row in rows] == [size.columns] * size.rows


@pytest.mark.parametrize("blocks", [True, False])
@pytest.mark.parametrize("at", [(0, 0), (50, 40), (51, 41), (99, 89)])
def test_the_map_scrolls_to_the_resident_that_is_followed(at, blocks):
    frame = TownFrame(1, agents={"a": person(*at), "b": person(20, 89, name="Zoe")})
    rows = screen(frame, blocks=blocks)
    seen = [(x, y) for y, row in enumerate(rows[1:19]) for x, letter in enumerate(row[:49]) if letter == "A"]
    assert len(seen) == 1
    (x, y) = seen[0]
    assert 0 <= x < 49
    if at == (50, 40):
        assert (x, y) == (24, 9)
    assert not any("Z" in row[:49] for row in rows[1:19])


def test_the_whole_map_is_drawn_where_there_is_room():
    world = FakePlannedWorld(agents=3)
    world.reset(7)
    small = world.plan()
    agents = {f"a{n}": person(1 + n, n, name=name) for n, name in enumerate(("Ann", "Bob", "Cyd"))}
    rows = screen(TownFrame(1, agents=agents), small, followed="a1")
    assert rows[1].startswith("s An")
    assert rows[2].startswith("f thBobank##")  # its name is on the ground, and covered by a resident
    assert "#" in rows[1][:14]


def test_a_name_is_text_and_commands_no_terminal():
    frame = TownFrame(1, agents={"a": person(3, 3, name=EVIL, job=EVIL), "b": person(4, 4, name="[/]")})
    for blocks in (True, False):
        rows = screen(frame, blocks=blocks, title=EVIL, stories=[("00:01", EVIL)], news=EVIL)
        text = "\n".join(rows)
        assert "[red]Eve" in text
        assert not {"\x1b", "\r", "\u202e"} & set(text)
    rows = screen(frame, blocks=True, title=EVIL, stories=[("00:01", f"{EVIL} laughed.")])
    assert any(r"[red]Eve\x1b[2J\r\n\u202e laughed." in row for row in rows)


def test_names_in_a_plan_command_no_terminal():
    place = PlanPlace("p", "park", "a\x1b[2Jb", ((2, 4, 20),))
    plan = replace(FIELD, places=(place,), objects=(PlanObject("o", "\x1bcrate", (3, 5)),))
    frame = TownFrame(1, agents={"a": person(0, 0)})
    rows = screen(frame, plan)
    assert r"a\x1b[2Jb" in rows[5]
    assert rows[6][3] == "?"
    assert "\x1b" not in "".join(rows)


def test_the_last_stories_are_shown_in_order():
    frame = TownFrame(1, agents={"a": person(3, 3)})
    stories = [(f"00:0{n}", f"story {n}") for n in range(5)]
    rows = screen(frame, stories=stories)
    assert [row.strip() for row in rows[-4:-1]] == [f"00:0{n}  story {n}" for n in (2, 3, 4)]
    long = screen(frame, stories=[("00:01", "word " * 40)])
    assert all(len(row) == 80 for row in long)


def test_a_world_without_a_plan_is_shown_as_a_list():
    rows = screen(TownFrame(1, agents={"a": {"name": "Ann"}, "b": {"name": "Bob"}}), None, followed="b")
    assert any(row.startswith(">B Bob") for row in rows)
    assert any(row.startswith(" A Ann") for row in rows)


def test_an_outage_and_the_night_are_said():
    frame = TownFrame(
        1, clock={"phase": "night"}, agents={"a": person(0, 0)}, utilities={"0": {"power": False}}
    )
    assert "night" in screen(frame)[0]
    assert "outage" in screen(frame)[0]


def test_spans_fit_by_cells_and_not_by_letters():
    assert plain(fitted([Span("日本"), Span("x")], 4)) == "日本"
    assert plain(fitted([Span("日本")], 3)) == "日 "
    assert fitted([said("ab", Look(bold=True))], 4) == (Span("ab", Look(bold=True)), Span("  "))
