import json
import os
import subprocess
import sys
from pathlib import Path

import click
import jsonschema
import pytest

from townlet_adapters.cli.errors import EXIT_CODES, exit_code
from townlet_adapters.cli.main import COMMANDS, main
from townlet_adapters.cli.main import townlet as program
from townlet_adapters.storage.snapshots import digest_of, write_snapshot
from townlet_core import errors as core_errors
from townlet_core.dto.snapshot import SCHEMA_VERSION, Snapshot
from townlet_core.errors import TownletError


def commands():
    """Every command that does something, by its words."""
    context = click.Context(program)
    for name in program.list_commands(context):
        command = program.get_command(context, name)
        if isinstance(command, click.Group):
            yield from (((name, inner), command.commands[inner]) for inner in command.commands)
        else:
            yield (name,), command


WORDS = sorted({*(words for words, _ in commands()), *((name,) for name in COMMANDS)})


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_every_help_page_has_an_example(townlet, words):
    code, out, _ = townlet(*words, "--help")
    assert code == 0
    assert "Example" in out
    assert f"townlet {words[0]}" in out


def test_the_list_of_commands_says_what_each_command_says_of_itself():
    context = click.Context(program)
    for name, entry in COMMANDS.items():
        command = program.get_command(context, name)
        assert command.name == name
        assert (command.help or "").strip()
        assert entry.summary


@pytest.mark.parametrize("words", [(), *sorted({words[:1] for words, _ in commands() if len(words) > 1})])
def test_a_group_without_a_command_prints_its_help(townlet, words):
    code, out, err = townlet(*words)
    assert (code, out) == (2, "")
    assert err == townlet(*words, "--help")[1]
    assert len(err.splitlines()) > 8


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from townlet_adapters.cli.main import main; main(['--help']);"
        "heavy = {'numpy', 'numba', 'pydantic', 'rich', 'structlog', 'pluggy', 'yaml'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_version_is_told(townlet):
    code, out, _ = townlet("--version")
    assert code == 0
    assert out.startswith("townlet 0.")


def test_every_error_has_an_exit_code():
    kinds = {
        kind
        for kind in vars(core_errors).values()
        if isinstance(kind, type) and issubclass(kind, TownletError) and kind is not TownletError
    }
    assert kinds == set(EXIT_CODES)
    assert exit_code(TownletError("something new")) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["runn"], "townlet: No such command 'runn'."),
        (["run", "--tiks", "3"], "townlet run: No such option '--tiks'."),
        (["run", "--ticks", "0"], "townlet run: Invalid value for '--ticks'"),
        (["run", "--seed", "-1"], "townlet run: Invalid value for '--seed'"),
        (["run", "--out", "x", "--no-out"], "townlet run: --out and --no-out exclude each other"),
        (["run", "--no-out", "--snapshot-every", "5"], "townlet run: --snapshot-every keeps snapshots"),
        (["run", "--sink", "=x"], "townlet run: --sink =x: allowed: NAME or NAME=TARGET"),
        (["config", "check"], "townlet config check: Missing argument 'FILE...'."),
    ],
)
def test_wrong_usage_is_one_line_that_leads_to_help(townlet, arguments, told):
    code, out, err = townlet(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(told)
    assert len(err.splitlines()) == 1
    assert "--help)" in err


def test_plugins_are_listed_for_people_and_for_programs(townlet):
    code, out, _ = townlet("plugins", "list")
    assert code == 0
    assert out.splitlines()[0].split() == ["distribution", "version", "name", "kind", "state", "class"]
    rows = json.loads(townlet("plugins", "list", "--json")[1])
    town = {"name": "town", "kind": "world", "state": "builtin", "distribution": "townlet"}
    assert any(town.items() <= row.items() for row in rows)
    assert all(row["class"].startswith("townlet_adapters.") for row in rows)


def test_a_right_config_is_ok_and_a_wrong_one_tells_every_problem(townlet, config):
    code, out, err = townlet("config", "check", str(config), "configs/town.yaml")
    assert (code, err) == (0, "")
    verdicts = [line for line in out.splitlines() if not line.startswith(" ")]
    assert verdicts == [f"{config}: ok", "configs/town.yaml: ok"]
    config.write_text(config.read_text().replace("seed: 7", "sed: 7").replace("hamlet_24", "[1]"))
    code, out, _ = townlet("config", "check", str(config), "configs/town.yaml")
    assert code == 2
    lines = out.splitlines()
    assert lines[0].startswith(f"{config}:1: seed: this key is missing; ")
    assert lines[1].startswith(f"{config}:3: sed: unknown key; ")
    assert "configs/town.yaml: ok" in lines


def test_a_config_is_shown_resolved_and_without_what_the_environment_says(townlet, config, monkeypatch):
    monkeypatch.setenv("TOWNLET_PLACE", "secret-value")
    config.write_text(
        config.read_text() + "telemetry: {sinks: [{use: file, options: {path: '${ENV:TOWNLET_PLACE}'}}]}\n"
    )
    code, out, _ = townlet("config", "show", str(config), "--set", "seed=9")
    shown = json.loads(out)
    assert code == 0
    assert shown["config"]["seed"] == 9
    assert len(shown["config_digest"]) == len(shown["sim_digest"]) == 64
    assert shown["config"]["telemetry"]["sinks"][0]["options"]["path"] == "${ENV:TOWNLET_PLACE}"
    assert "secret-value" not in out


def test_schemas_are_valid_and_fit_what_a_run_writes(townlet, config):
    config_schema = json.loads(townlet("config", "schema")[1])
    jsonschema.Draft202012Validator.check_schema(config_schema)
    schema = json.loads(townlet("schema", "events")[1])
    jsonschema.Draft202012Validator.check_schema(schema)
    assert (
        townlet(
            "run",
            str(config),
            "--ticks",
            "70",
            "--out",
            "r",
            "--set",
            "telemetry.stream={mode: snapshot, observations: true}",
        )[0]
        == 0
    )
    validator = jsonschema.Draft202012Validator(schema)
    with Path("r/events.ndjson").open() as lines:
        messages = [json.loads(line) for line in lines]
    kinds = {"loop.tick", "state.frame", "loop.health", "observation.batch"}
    assert {f"townlet.{kind}" for kind in kinds} <= {message["type"] for message in messages}
    for message in messages:
        validator.validate(message)
    wrong = next(message for message in messages if message["type"] == "townlet.loop.tick")
    assert not validator.is_valid(wrong | {"data": {}})


def test_snapshots_are_inspected_and_verified(townlet, config):
    townlet("run", str(config), "--ticks", "20", "--snapshot-every", "10", "--out", "r", "--quiet")
    code, out, _ = townlet("snapshot", "inspect", "r", "--json")
    told = json.loads(out)
    assert code == 0
    assert (told["tick"], told["seed"], told["schema"], told["variant"]) == (20, 7, SCHEMA_VERSION, "hybrid")
    assert {"world", "loop"} <= set(told["parts"])
    assert "sim_digest" in townlet("snapshot", "inspect", "r")[1]
    code, out, _ = townlet("snapshot", "verify", "r/snapshots/snapshot-10.json.gz")
    assert (code, out.split(": ")[1][:11]) == (0, "ok, tick 10")
    path = config.parent / "r/snapshots/snapshot-10.json.gz"
    path.write_bytes(path.read_bytes()[:100])
    code, out, err = townlet("snapshot", "verify", "r/snapshots/snapshot-10.json.gz")
    assert (code, out) == (2, "")
    assert err.startswith("error: r/snapshots/snapshot-10.json.gz: damaged: ")
    assert err.endswith("(snapshot_corrupt)\n")


def test_no_file_of_another_person_commands_the_terminal(townlet, config, tmp_path):
    clear, line = "\x1b[2J", "\nerror: forged"
    config.write_text(config.read_text().replace("use: town", f"use: {json.dumps('town' + clear + line)}"))
    code, _, err = townlet("config", "check", str(config))
    assert (code, err) == (2, "")
    assert townlet("run", str(config))[2].count("world.use: unknown world 'town\\x1b[2J") == 1
    identity = {"sim_digest": digest_of({}), "event_digest": "a" + clear, "name": clear + line}
    path = write_snapshot(tmp_path, Snapshot(1, identity, {}), {})
    code, out, _ = townlet("snapshot", "inspect", str(path))
    assert (code, clear in out, "\nerror" in out) == (0, False, False)
    assert "a\\x1b[2J" in out
    assert "\\x1b[2J\\nerror: forged" in out


def test_no_log_line_commands_the_terminal():
    code = (
        "import logging; from townlet_adapters.cli.console import configure_logs; configure_logs();"
        "logging.getLogger('town').warning('%s waits\\nhere', 'a\\x1b]0;title\\x07')"
    )
    master, terminal = os.openpty()
    subprocess.run([sys.executable, "-c", code], check=True, stderr=terminal)
    os.close(terminal)
    with os.fdopen(master, "rb") as screen:
        shown = screen.read1(4096)
    assert b"a\\x1b]0;title\\x07 waits" in shown
    assert b"\x1b]0;" not in shown
    assert b"here" in shown


@pytest.mark.parametrize("words", [("bench",), ("spool", "send", "spool", "town")], ids=" ".join)
@pytest.mark.parametrize("seconds", ["nan", "inf", "-1"])
def test_seconds_are_a_number_of_them(words, seconds, capsys):
    assert main([*words, "--seconds", seconds]) == 2
    assert "--seconds" in capsys.readouterr().err
