"""What `config check` lists: what a run of a config reads, sends to, writes and runs."""

import json

import pytest

from townlet_adapters.config.footprint import Touch, footprint
from townlet_adapters.worlds.town.inputs.shipped import shipped_file
from townlet_plugins.access import Input
from townlet_plugins.catalogue import PluginRow

CONFIG = """\
townlet: 1
name: trial
seed: 7
world:
  use: town
  options:
    town: village.yaml
    affordances: {extend: things.yaml}
telemetry:
  sinks:
    - use: stdout
    - use: file
      options: {path: /var/log/events.ndjson}
      transforms:
        - {use: rename_residents, key_file: town.key}
    - use: tcp
      options:
        endpoint: "${ENV:TOWNLET_HOST}:7443"
        spool_dir: "${ENV:TOWNLET_SPOOL}"
        tls: {ca_file: ca.pem}
    - use: http
      options: {url: "http://localhost:8080/", allow_plaintext: true, secret_env: TOWNLET_SIGN}
"""


@pytest.fixture
def trial(tmp_path, monkeypatch):
    (tmp_path / "village.yaml").write_bytes(shipped_file("hamlet_24").read_bytes())
    (tmp_path / "things.yaml").write_bytes(shipped_file("manifest").read_bytes())
    (tmp_path / "town.key").write_text("x")
    (tmp_path / "trial.yaml").write_text(CONFIG)
    monkeypatch.setenv("TOWNLET_HOST", "secret.example")
    monkeypatch.setenv("TOWNLET_SPOOL", "/var/secret")
    monkeypatch.setenv("TOWNLET_SIGN", "x")
    monkeypatch.delenv("TOWNLET_TOKEN", raising=False)
    return tmp_path


def touched(out: str) -> list[str]:
    """The lines about what a run reads, sends to and writes; those about its world stand before them."""
    return [line for line in out.splitlines() if line.startswith(("  reads ", "  sends to ", "  writes "))]


def test_check_lists_everything_that_a_run_of_a_config_touches(townlet, trial):
    code, out, err = townlet("config", "check", "trial.yaml")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "trial.yaml: ok"
    assert touched(out) == [
        "  reads     variable    TOWNLET_HOST",
        "  reads     variable    TOWNLET_SPOOL",
        f"  reads     file        {trial}/things.yaml",
        f"  reads     file        {trial}/village.yaml",
        f"  reads     file        {trial}/town.key",
        f"  reads     file        {trial}/ca.pem (missing)",
        "  reads     variable    TOWNLET_TOKEN (not set)",
        "  reads     variable    TOWNLET_SIGN",
        "  sends to  stdout      standard output",
        "  sends to  tcp         ${ENV:TOWNLET_HOST}:7443",
        "  sends to  http        http://localhost:8080/ (plaintext)",
        "  writes    file        /var/log/events.ndjson",
        "  writes    tcp         ${ENV:TOWNLET_SPOOL}",
        "  writes    http        spool (in the run folder)",
        "  writes    run folder  runs/<time>-trial-s7",
    ]


@pytest.mark.usefixtures("trial")
def test_the_list_is_there_for_programs_with_what_is_wrong(townlet, trial):
    (trial / "wrong.yaml").write_text("townlet: 1\nsed: 7\n")
    code, out, err = townlet("config", "check", "trial.yaml", "wrong.yaml", "--json")
    assert (code, err) == (2, "")
    right, wrong = json.loads(out)
    assert (right["file"], right["problems"]) == ("trial.yaml", [])
    assert {"verb": "sends to", "kind": "http", "name": "http://localhost:8080/ (plaintext)"} in right[
        "touches"
    ]
    assert (wrong["file"], wrong["touches"]) == ("wrong.yaml", [])
    assert any(line.startswith("wrong.yaml:2: sed: unknown key") for line in wrong["problems"])
    assert "secret.example" not in out


def test_a_config_can_neither_hide_a_line_of_the_list_nor_add_one(townlet, trial):
    path = r'"a\e[1A\e[2K\n  sends to  nothing"'
    text = f"townlet: 1\nname: x\nseed: 1\ntelemetry: {{sinks: [{{use: file, options: {{path: {path}}}}}]}}\n"
    (trial / "sly.yaml").write_text(text)
    code, out, err = townlet("config", "check", "sly.yaml")
    assert (code, err) == (0, "")
    assert touched(out)[:-1] == [
        r"  writes    file        a\x1b[1A\x1b[2K\n  sends to  nothing (in the run folder)"
    ]


def test_a_path_that_leads_out_of_the_run_folder_is_not_listed_as_in_it():
    sinks = [
        {"use": "file", "options": {"path": path}} for path in ("../all.ndjson", "a/${ENV:TOWNLET_X}", "a..b")
    ]
    touches = footprint({"name": "x", "seed": 1, "telemetry": {"sinks": sinks}}, [], [])
    assert [each.name for each in touches if each.kind == "file"] == [
        "../all.ndjson (relative to the run folder, not in it)",
        "a/${ENV:TOWNLET_X} (relative to the run folder, not in it)",
        "a..b (in the run folder)",
    ]


def test_a_plugin_is_listed_with_what_its_options_name():
    options = {
        "push_url": "https://a.example/",
        "deep": {"store_path": "/b"},
        "dir": "c",
        "mode": "/d",
        "path": None,
    }
    shown = {"name": "x", "seed": 1, "telemetry": {"sinks": [{"use": "mine", "options": options}]}}
    rows = [
        PluginRow("townlet-mine", "1.0", "mine", name, "sink", state, "m:x")
        for name, state in [
            ("mine", "allowed"),
            ("more", "allowed"),
            ("ours", "builtin"),
            ("no", "refused: x"),
        ]
    ]
    touches = footprint(shown, [Input("variable", "TOWNLET_NONE")], rows)
    assert touches == (
        Touch("reads", "variable", "TOWNLET_NONE (not set)"),
        Touch("sends to", "mine", "https://a.example/"),
        Touch("writes", "mine", "/b"),
        Touch("writes", "mine", "c (in the run folder)"),
        Touch("writes", "run folder", "runs/<time>-x-s1"),
        Touch("runs", "code", "townlet-mine 1.0 (mine)"),
    )
