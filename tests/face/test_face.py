"""The public face: what it offers, what it costs, and what it says of wrong settings."""

import inspect
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import townlet
from tests.house.sources import ROOT
from townlet_core.errors import ConfigError, SnapshotError, TownletError

PAGE = (ROOT / "docs/reference/python.md").read_text(encoding="utf-8")
HAMLET = {
    "townlet": 1,
    "name": "trial",
    "seed": 7,
    "world": {"use": "town", "options": {"town": "hamlet_24"}},
}


def python(code: str, cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False, timeout=240
    )


def section(name: str) -> str:
    (text,) = re.findall(rf"^### `{name}`\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL)
    return text


def test_the_page_describes_every_public_name_and_no_other():
    headings = re.findall(r"^### `(\w+)`$", PAGE, re.MULTILINE)
    errors = re.findall(r"^\| `(\w+Error)` \|", PAGE, re.MULTILINE)
    assert sorted([*headings, *errors]) == sorted(townlet.__all__)


@pytest.mark.parametrize("name", ["run", "open_simulation"])
def test_the_page_describes_every_parameter(name):
    described = re.findall(r"^\| `(\w+)` \|", section(name), re.MULTILINE)
    assert described == list(inspect.signature(getattr(townlet, name)).parameters)


def test_every_public_name_can_be_loaded_and_listed():
    for name in townlet.__all__:
        assert getattr(townlet, name).__name__ == name
    assert set(townlet.__all__) <= set(dir(townlet))


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'fly'"):
        townlet.fly  # noqa: B018 - the access is the test


def test_importing_townlet_brings_nothing_heavy(tmp_path):
    heavy = (
        "numpy numba pydantic yaml orjson click rich structlog pluggy typing townlet_adapters townlet_core"
    )
    code = f"import sys, townlet; print([name for name in {heavy.split()!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_an_error_is_caught_without_loading_the_adapters(tmp_path):
    code = "import sys, townlet; townlet.TownletError; print('townlet_adapters' in sys.modules)"
    assert python(code, tmp_path).stdout == "False\n"


def test_a_run_leaves_the_folder_that_the_command_line_leaves(tmp_path):
    summary = townlet.run(HAMLET, ticks=20, out=tmp_path / "run", seed=5)
    assert {entry.name for entry in (tmp_path / "run").iterdir()} >= {
        "run.json",
        "summary.json",
        "events.ndjson",
    }
    written = json.loads((tmp_path / "run/summary.json").read_text())
    assert written == json.loads(json.dumps(summary.to_json()))
    assert (written["seed"], written["ticks"], written["first_tick"]) == (5, 20, 0)
    (sink,) = written["sinks"]
    assert sink["state"] == "closed"
    assert sink["delivered"] == sink["offered"] > 0


def test_a_simulation_that_was_stepped_leaves_drained_sinks_and_a_summary(tmp_path):
    with townlet.open_simulation(HAMLET, out=tmp_path / "run") as simulation:
        for _ in range(12):
            simulation.step()
        simulation.run_for(8)
    written = json.loads((tmp_path / "run/summary.json").read_text())
    whole = townlet.run(HAMLET, ticks=20, digest=True)
    assert written["ticks"] == 20
    assert written["digest"] == whole.digest
    assert written["events_by_kind"] == whole.events_by_kind
    assert written["sinks"][0]["delivered"] == len((tmp_path / "run/events.ndjson").read_text().splitlines())


def test_a_resumed_run_counts_from_the_tick_of_its_snapshot(tmp_path):
    townlet.run(HAMLET, ticks=30, out=tmp_path / "a", overrides={"runner.snapshot_every": 20})
    whole = townlet.run(HAMLET, ticks=40, digest=True)
    part = townlet.run(resume=tmp_path / "a/snapshots/snapshot-20.json.gz", ticks=20, digest=True)
    assert (part.first_tick, part.ticks) == (20, 20)
    assert part.events_before + part.events_total == whole.events_total
    assert (part.digest, part.kpis) == (whole.digest, whole.kpis)


def test_the_policy_is_chosen_by_name():
    digests = {townlet.run(HAMLET, ticks=20, policy=name, digest=True).digest for name in ("random", None)}
    assert len(digests) == 2


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"config": {**HAMLET, "sed": 3}}, "config: sed: unknown key; did you mean 'seed'?"),
        ({"config": {**HAMLET, "seed": 7.5}}, "config: seed: 7.5; a whole number from 0"),
        (
            {"config": {**HAMLET, "world": {"use": "town", "options": {"town": "hamlet_42"}}}},
            "config: world.options.town: 'hamlet_42' is neither",
        ),
        (
            {"config": {**HAMLET, "world": {"use": "town", "options": {"town": Path("x")}}}},
            "config: world.options.town: a value of the type PosixPath; a mapping, a list, text",
        ),
        (
            {"config": {**HAMLET, "seed": np.int64(3)}},
            "config: seed: a value of the type int64; a mapping, a list, text, a finite number",
        ),
        ({"config": {**HAMLET, 3: 4}}, "config: the key 3; keys that are text"),
        ({"config": {**HAMLET, "seed": float("nan")}}, "config: seed: nan; a mapping"),
        (
            {"config": {**HAMLET, "name": "a\ud800"}},
            "config: name: text with half of a surrogate pair; a mapping",
        ),
        ({"config": {**HAMLET, "\ud800": 1}}, "config: the key '\\ud800'; keys that are text"),
        ({"config": [1]}, "config: not a config; a mapping: townlet: 1, seed: 7"),
        ({"config": 5}, "config: not a config; a mapping: townlet: 1, seed: 7"),
        ({"config": "gone.yaml"}, "gone.yaml: there is no such file; name a YAML file or a shipped one"),
        ({"overrides": {"world..town": 1}}, "overrides: 'world..town'; a key path such as"),
        ({"overrides": {"seed": object()}}, "overrides: seed: a value of the type object; "),
        ({"overrides": {"seed": -1}}, "overrides: seed: -1; a whole number from 0"),
        ({"policy": "scripde"}, "policy: policy.use: unknown policy 'scripde'; did you mean 'scripted'?"),
        ({"seed": 2**64}, "seed: seed: 18446744073709551616; a whole number from 0"),
        ({"ticks": 0}, "run(): ticks: 0; a whole number from 1"),
        ({"ticks": 1.5}, "run(): ticks: 1.5; a whole number from 1"),
        ({"ticks": True}, "run(): ticks: True; a whole number from 1"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_setting_is_an_error_with_its_key(settings, said):
    with pytest.raises(ConfigError) as caught:
        townlet.run(**settings)
    assert str(caught.value).startswith(said)


def test_a_config_that_holds_itself_is_an_error():
    config: dict = dict(HAMLET)
    config["world"] = {"use": "town", "options": config}
    with pytest.raises(ConfigError, match=r"config: world: more than 32 levels"):
        townlet.run(config)


def test_a_config_is_copied_and_not_changed():
    config = json.loads(json.dumps(HAMLET))
    townlet.run(config, ticks=1)
    assert config == HAMLET


def test_tuples_of_a_config_are_lists():
    with townlet.open_simulation(HAMLET | {"telemetry": {"sinks": ()}}) as simulation:
        assert simulation.run_for(1).sinks == ()


def test_a_missing_snapshot_is_an_error_of_townlet(tmp_path):
    with pytest.raises(SnapshotError) as caught:
        townlet.run(resume=tmp_path / "gone.json.gz")
    assert isinstance(caught.value, TownletError)


def test_python_can_start_the_command_line_as_a_module(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "townlet", "run", "--ticks", "five"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "'five' is not a valid integer" in done.stderr


@pytest.mark.parametrize("name", ["click", "typing", "townlet_adapters", "townlet_core", "numpy", "pathlib"])
def test_a_module_in_the_working_directory_is_not_imported_by_python_dash_m(tmp_path, name):
    (tmp_path / f"{name}.py").write_text("open('canary', 'w').close()\n")
    done = subprocess.run(
        [sys.executable, "-m", "townlet", "--version"], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "canary").exists()


def test_the_examples_of_the_page_run(tmp_path):
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
    done = python(code, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_interrupted_run_of_python_ends_in_good_order(tmp_path):
    code = (
        "import townlet\n"
        "try:\n"
        "    townlet.run('configs/hamlet.yaml', ticks=10**6, out='run', overrides={'runner.speed': '10x'})\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", "import signal; signal.signal(2, signal.default_int_handler)\n" + code],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    events = tmp_path / "run/events.ndjson"
    while process.poll() is None and not (events.exists() and b"loop.tick" in events.read_bytes()):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=240)
    assert (process.returncode, out) == (0, "interrupted\n"), err
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["interrupted"] is True
    assert (tmp_path / f"run/snapshots/snapshot-{summary['ticks']}.json.gz").exists()
    assert summary["sinks"][0]["delivered"] == summary["sinks"][0]["offered"]
