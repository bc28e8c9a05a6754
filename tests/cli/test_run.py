import array
import fcntl
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

TOWNLET = [sys.executable, "-c", "import sys; from townlet_adapters.cli.main import main; sys.exit(main())"]


def start(*arguments: str, cwd: Path, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [*TOWNLET, *arguments],
        cwd=cwd,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def messages(path: Path) -> list:
    return [json.loads(line) for line in path.read_text().splitlines()]


def digest_in(out: str) -> str:
    (line,) = [line for line in out.splitlines() if line.startswith("digest")]
    return line.split()[1]


def test_townlet_run_executes_its_ticks(tmp_path):
    code, out, err = finish(start("run", "--ticks", "200", "--out", "r", cwd=tmp_path))
    assert (code, err) == (0, "")
    summary = json.loads((tmp_path / "r/summary.json").read_text())
    told = messages(tmp_path / "r/events.ndjson")
    assert summary["ticks"] == sum(message["type"] == "townlet.loop.tick" for message in told) == 200
    assert summary["events_total"] == sum("seq" in message for message in told)
    assert summary["population"] == 8
    assert "200 ticks with seed 7" in out
    assert digest_in(out) == summary["digest"]


@pytest.mark.slow
def test_a_full_disk_costs_files_but_neither_the_run_nor_its_summary(small_disk):
    # Without the words of a narration, run.json takes five pages and plan.json two; two are left: some events
    # fit, a snapshot of so many residents (five) never does, however far the sink's worker is when it is due.
    (small_disk / "ballast").write_bytes(bytes((64 - 36) << 10))
    command = "run configs/town.yaml --ticks 15 --snapshot-every 10 --out r"
    command += " --set world.options.population.target=300"
    plain = "--set observers.narration.enabled=false --set observers.stability.enabled=false"
    plain += " --set observers.promotion.enabled=false"
    code, out, err = finish(start(*command.split(), *plain.split(), cwd=small_disk))
    assert code == 1
    assert "snapshot-10.json.gz: cannot be written: No space left on device; the run goes on" in err
    last = err.splitlines()[-1]
    assert last.startswith(
        "error: r/snapshots/snapshot-15.json.gz: cannot be written: No space left on device; "
    )
    assert "; r/summary.json: cannot be written" in last
    assert "15 ticks with seed 7" in out
    (sink,) = [line for line in out.splitlines() if line.startswith("sink file")]
    account = r"sink file +closed: (\d+) offered (\d+) delivered (\d+) dropped \(undelivered_at_stop\)"
    offered, delivered, dropped = map(int, re.match(account, sink.replace(",", "")).groups())
    assert offered == delivered + dropped
    whole = (small_disk / "r/events.ndjson").read_bytes()
    assert whole.endswith(b"\n")
    assert len(messages(small_disk / "r/events.ndjson")) == delivered
    assert not list((small_disk / "r/snapshots").iterdir())


def test_without_a_name_the_run_folder_is_called_by_time_name_and_seed(townlet, config):
    assert townlet("run", str(config), "--ticks", "3", "--seed", "5")[0] == 0
    (folder,) = (config.parent / "runs").iterdir()
    assert folder.name.endswith("Z-trial-s5")
    kept = {"run.json", "plan.json", "summary.json", "events.ndjson", "snapshots", ".lock"}
    assert {entry.name for entry in folder.iterdir()} == kept


def test_the_summary_has_every_promised_key(townlet, config):
    assert townlet("run", str(config), "--ticks", "60", "--out", "r", "--json-summary", "s.json")[0] == 0
    summary = json.loads(Path("s.json").read_text())
    promised = (
        "run_id config_digest seed ticks wall_seconds ticks_per_second agent_steps_per_second population "
        "events_total events_by_kind kpis sinks digest"
    )
    assert set(promised.split()) <= set(summary)
    (sink,) = summary["sinks"]
    assert sink["offered"] == sink["emitted"] + sum(sink["rejected"].values())
    assert sink["emitted"] == sink["delivered"] + sink["spooled"] + sink["buffered"] + sink[
        "dead_lettered"
    ] + sum(sink["dropped"].values())
    assert summary == json.loads(Path("r/summary.json").read_text())


def test_the_digest_does_not_depend_on_sinks_speed_or_folders(townlet, config):
    digests = set()
    for arguments in (
        ["--no-out"],
        ["--out", "a"],
        ["--out", "b", "--speed", "100x"],
        ["--out", "c", "--sink", "file=x.ndjson"],
    ):
        code, out, _ = townlet("run", str(config), "--ticks", "30", "--digest", "--quiet", *arguments)
        assert code == 0
        digests.add(out)
    assert len(digests) == 1
    assert len(digests.pop().strip()) == 64
    assert Path("c/x.ndjson").exists()
    assert not Path("c/events.ndjson").exists()


def test_the_digest_is_the_same_in_other_processes_hashed_and_interpreted_otherwise(townlet, config):
    here = townlet("run", str(config), "--ticks", "15", "--no-out", "--digest", "--quiet")[1]
    for environment in ({"PYTHONHASHSEED": "4"}, {"PYTHONHASHSEED": "5", "NUMBA_DISABLE_JIT": "1"}):
        process = start(
            "run",
            str(config),
            "--ticks",
            "15",
            "--no-out",
            "--digest",
            "--quiet",
            cwd=config.parent,
            **environment,
        )
        code, out, _ = finish(process)
        assert (code, out) == (0, here)


def test_without_a_digest_or_a_folder_none_is_computed(townlet, config):
    townlet("run", str(config), "--ticks", "3", "--no-out", "--json-summary", "s.json")
    assert json.loads(Path("s.json").read_text())["digest"] is None


def test_another_seed_and_another_policy_give_another_digest(townlet, config):
    runs = ([], ["--seed", "8"], ["--policy", "random"])
    digests = {
        townlet("run", str(config), "--ticks", "50", "--no-out", "--digest", "--quiet", *extra)[1]
        for extra in runs
    }
    assert len(digests) == 3


def test_a_sink_on_standard_output_has_it_for_itself(townlet, config):
    code, out, err = townlet("run", str(config), "--ticks", "5", "--no-out", "--sink", "stdout")
    assert code == 0
    assert sum(json.loads(line)["type"] == "townlet.loop.tick" for line in out.splitlines()) == 5
    assert "5 ticks with seed 7" in err


def test_the_events_of_the_run_folder_are_not_missed_in_a_run_without_a_folder(townlet, config):
    assert townlet("run", str(config), "--ticks", "5", "--no-out", "--quiet") == (0, "", "")


def test_another_file_sink_without_a_run_folder_is_left_out_and_that_is_one_line(townlet, config):
    code, _, err = townlet("run", str(config), "--ticks", "5", "--no-out", "--sink", "file=mine.ndjson")
    assert code == 0
    assert len(err.splitlines()) == 1
    assert "the output 'mine.ndjson' is not opened" in err


def test_a_pipe_gets_no_progress_bar_and_no_colour(townlet, config):
    code, out, err = townlet("run", str(config), "--ticks", "5", "--out", "r")
    assert (code, err) == (0, "")
    assert "\x1b" not in out


def test_a_terminal_gets_a_progress_bar_that_tells_the_time_of_day(tmp_path):
    reader, terminal = os.openpty()
    process = subprocess.Popen(
        [*TOWNLET, "run", "--ticks", "1000000", "--no-out", "--sink", f"file={tmp_path / 'e.ndjson'}"],
        cwd=tmp_path,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "120"},
        stdout=subprocess.PIPE,
        stderr=terminal,
    )
    os.close(terminal)
    shown = b""
    while not re.search(
        rb"\d\d:\d\d left +day \d+ \d\d:\d\d +[\d,]+ ticks/s +8 residents +[\d,]+ events +file:healthy",
        shown,
    ):
        shown += os.read(reader, 4096)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    os.close(reader)
    assert process.returncode == 130
    assert re.search(rb"ticks? with seed 7", out)


def test_a_resumed_run_goes_on_in_its_folder_and_another_seed_is_exit_code_2(townlet, config):
    whole = townlet("run", str(config), "--ticks", "30", "--out", "whole", "--quiet", "--digest")[1]
    assert townlet("run", str(config), "--ticks", "20", "--out", "r", "--quiet")[0] == 0
    code, _, err = townlet("run", "--resume", "r", "--ticks", "10", "--seed", "8")
    assert code == 2
    assert "has seed 7, not 8; a resumed run keeps its seed: leave --seed out" in err
    assert townlet("run", "--resume", "r", "--ticks", "10", "--quiet", "--digest") == (0, whole, "")
    assert [part["from_tick"] for part in json.loads(Path("r/run.json").read_text())["parts"]] == [0, 20]
    # Only the two folders that were named: none was made for the second part.
    assert not Path("runs").exists()


def test_a_saved_and_resumed_run_is_the_same_run(townlet, config):
    whole = townlet("run", str(config), "--ticks", "60", "--out", "whole", "--quiet", "--digest")[1]
    townlet("run", str(config), "--ticks", "40", "--out", "first", "--snapshot-every", "20", "--quiet")
    snapshot = "first/snapshots/snapshot-20.json.gz"
    assert (
        townlet("run", "--resume", snapshot, "--ticks", "40", "--out", "a", "--quiet", "--digest")[1] == whole
    )
    assert (
        townlet(
            "run", str(config), "--resume", "first", "--ticks", "20", "--out", "b", "--quiet", "--digest"
        )[1]
        == whole
    )


def test_the_first_interrupt_finishes_the_tick_and_leaves_valid_files(tmp_path):
    process = start(
        "run",
        "--ticks",
        "1000000",
        "--speed",
        "10x",
        "--snapshot-every",
        "100000",
        "--out",
        "r",
        cwd=tmp_path,
    )
    events = tmp_path / "r/events.ndjson"
    wait_until(process, lambda: events.exists() and b"townlet.loop.tick" in events.read_bytes())
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    assert code == 130
    assert "stopping after this tick" in err
    assert "stopped early" in out
    summary = json.loads((tmp_path / "r/summary.json").read_text())
    told = messages(tmp_path / "r/events.ndjson")
    assert summary["interrupted"] is True
    assert summary["ticks"] == sum(message["type"] == "townlet.loop.tick" for message in told) > 0
    assert (tmp_path / f"r/snapshots/snapshot-{summary['ticks']}.json.gz").exists()


def by_shell(command: str, cwd: Path) -> tuple[int, str]:
    """Run a line of a shell in which $TOWNLET is the program; gives exit code and standard error."""
    line = f"set -o pipefail; {command.replace('$TOWNLET', shlex.join(TOWNLET))}"
    done = subprocess.run(
        ["/bin/bash", "-c", line], cwd=cwd, capture_output=True, text=True, timeout=240, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("| true", ""),
        (">/dev/full", "error: standard output cannot be written: No space left on device\n"),
        (">&-", "error: standard output cannot be written: Bad file descriptor\n"),
    ],
    ids=["no reader", "full", "closed"],
)
def test_a_summary_that_nobody_can_be_told_is_kept_all_the_same(tmp_path, where, said):
    assert by_shell(f"$TOWNLET run --ticks 20 --out r {where}", tmp_path) == (1, said)
    assert json.loads((tmp_path / "r/summary.json").read_text())["ticks"] == 20


def test_a_run_that_has_nothing_to_say_needs_no_standard_streams(tmp_path):
    assert by_shell("$TOWNLET run --ticks 20 --out r --quiet <&- >&- 2>&-", tmp_path) == (0, "")
    assert len(messages(tmp_path / "r/events.ndjson")) > 20


@pytest.mark.parametrize("words", ["config schema", "plugins list", "schema events"])
def test_a_disk_without_room_for_an_answer_is_told_in_a_line(tmp_path, words):
    code, err = by_shell(f"$TOWNLET {words} >/dev/full", tmp_path)
    assert (code, err.count("\n")) == (1, 1)
    assert "No space left on device" in err


def test_the_second_interrupt_stops_at_once(tmp_path):
    process = start("run", "--ticks", "1000000", "--sink", "stdout", "--no-out", cwd=tmp_path)
    # Nobody reads: a small pipe is full with the first write, so that the sink cannot drain.
    fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
    wait_until(process, lambda: waiting_bytes(process.stdout) > 2048)
    process.send_signal(signal.SIGTERM)
    assert "stopping after this tick" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert process.stderr.read() == ""
    process.stdout.close()
    process.stderr.close()


def waiting_bytes(pipe) -> int:
    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


def wait_until(process: subprocess.Popen, condition) -> None:
    """Wait for a condition; the end of the process would end the waiting, too."""
    while process.poll() is None and not condition():
        time.sleep(0.01)


def bomb() -> str:
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 9))
    return "townlet: 1\nl0: &l0 [x]\n" + levels


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text.replace("seed", "sed"), "trial.yaml:1: seed: this key is missing"),
        (lambda text: text.replace("seed: 7", "seed: 7.5"), "trial.yaml:3: seed: 7.5; a whole number from 0"),
        (
            lambda text: text + "extra: 1\n",
            "trial.yaml:10: extra: unknown key; known: commands, name, observers",
        ),
        (
            lambda text: text.replace("hamlet_24", "hamlet_42"),
            "trial.yaml:7: world.options.town: 'hamlet_42' is neither",
        ),
        (
            lambda text: text + "  options: {commit_ticks: 0}\n",
            "trial.yaml:10: policy.options.commit_ticks: 0; a whole",
        ),
        (
            lambda text: text.replace("hamlet_24", "hamlet_24\n    affordances: {enabled: [fly]}"),
            "trial.yaml:8: world.options.affordances.enabled[0]: unknown affordance 'fly'",
        ),
        (lambda text: text.replace("hamlet_24", "&a x"), "trial.yaml:7: world.options.town: an anchor"),
        (lambda _text: bomb(), "trial.yaml:2: l0: an anchor"),
        (
            lambda text: text + "#" * 2 * 1024 * 1024,
            "trial.yaml: cannot read the file: Is larger than 1048576 bytes",
        ),
        (lambda text: text + "  - x\n", "trial.yaml:10: not YAML: "),
    ],
    ids=["missing", "type", "unknown", "map", "range", "affordance", "anchor", "bomb", "2 MiB", "no YAML"],
)
def test_a_wrong_config_ends_with_exit_code_2_and_leaves_nothing(townlet, config, change, told):
    config.write_text(change(config.read_text()))
    code, out, err = townlet("run", "trial.yaml", "--ticks", "5", "--out", "r")
    assert (code, out) == (2, "")
    assert err.splitlines()[0].startswith(told), err
    assert not Path("r").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "gone.yaml"], "gone.yaml: there is no such file; name a YAML file or a shipped one: "),
        (["run", "--set", "seed"], "--set: 'seed'; key.path=value"),
        (["run", "--set", "seed=x"], '--set: seed: "x"; a whole number from 0'),
        (["run", "--set", "sed=1"], "--set: sed: unknown key; did you mean 'seed'?"),
        (
            ["run", "--policy", "scripde"],
            "--policy: policy.use: unknown policy 'scripde'; did you mean 'scripted'?",
        ),
        (
            ["run", "--sink", "tpc=x:1"],
            "--sink: telemetry.sinks[0].use: unknown sink 'tpc'; did you mean 'tcp'? known: file",
        ),
        (
            ["run", "--resume", "gone.json.gz"],
            "error: gone.json.gz: cannot be read: No such file or directory",
        ),
        (["run", "--resume", "trial.yaml"], "error: trial.yaml: damaged: "),
        (["run", "--out", "trial.yaml/x"], "error: trial.yaml/x: cannot be the run folder: "),
        (["run", "--out", "/proc/x"], "error: /proc/x: cannot be the run folder: "),
        (["run", "--json-summary", "gone/s.json"], "error: gone/s.json: cannot be written"),
    ],
)
@pytest.mark.usefixtures("config")
def test_wrong_input_is_one_line_with_exit_code_2(townlet, arguments, told):
    before = sorted(Path().iterdir())
    code, out, err = townlet(*arguments)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert err.startswith(told), err
    assert sorted(Path().iterdir()) == before


@pytest.mark.usefixtures("config")
def test_naming_a_plugin_that_is_not_installed_ends_with_exit_code_3(townlet):
    allow = "plugins.allow=[{distribution: townlet-bakery, entry_point: bakery}]"
    code, out, err = townlet("run", "trial.yaml", "--set", allow)
    assert (code, out) == (3, "")
    assert "plugins.allow[0]: townlet-bakery (bakery) is allowed, but not installed" in err
    assert not Path("runs").exists()


def test_a_run_ends_when_its_only_reader_leaves(tmp_path):
    code, err = by_shell("$TOWNLET run --ticks 1000000 --sink stdout --quiet --out r | head -n 2", tmp_path)
    # With pipefail, the code of the pipe is that of the run.
    assert (code, err) == (1, "")
    summary = json.loads((tmp_path / "r/summary.json").read_text())
    assert summary["interrupted"] is True
    assert 0 < summary["ticks"] < 1000000
    assert summary["sinks"][0]["last_error"].startswith("broken_pipe")


def test_a_run_goes_on_for_its_other_sinks_when_the_reader_of_standard_output_leaves(tmp_path):
    # Long enough to be under way still when the reader leaves.
    code, err = by_shell(
        "$TOWNLET run --ticks 3000 --sink stdout --sink file=e.ndjson --out r | head -n 2", tmp_path
    )
    assert code == 0
    (line,) = [line for line in err.splitlines() if "logger" in line]
    assert "sink stdout: broken_pipe: Broken pipe; the run goes on with its other sinks" in line
    assert sum(line["type"] == "townlet.loop.tick" for line in messages(tmp_path / "r/e.ndjson")) == 3000
