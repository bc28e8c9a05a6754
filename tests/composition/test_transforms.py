"""Transforms as a config orders them, in a town that lives."""

import json
import subprocess
from pathlib import Path

import pytest

from townlet_adapters.composition import Output, RunRequest, load_config, open_run
from townlet_adapters.secrets import read_secret
from townlet_core.errors import ConfigError
from townlet_core.events.base import Event

DAY = 1440
MANY = {"grid": {"district": "town_48", "rows": 2, "cols": 2}}


def config(transforms: list) -> dict:
    sink = {
        "use": "file",
        "options": {},
        "stream": {"mode": "snapshot", "every": 10},
        "transforms": transforms,
    }
    return {"townlet": 1, "seed": 7, "world": {"use": "town"}, "telemetry": {"sinks": [sink]}}


def request(value: dict, path: Path) -> RunRequest:
    return RunRequest(config=value, output=Output(keep=True, path=path))


def lines(folder: Path, name: str = "events.ndjson") -> list:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


@pytest.fixture
def key(monkeypatch) -> dict:
    monkeypatch.setenv("TOWNLET_TRIAL_KEY", "0123456789abcdef")
    return {"use": "rename_residents", "key_env": "TOWNLET_TRIAL_KEY"}


@pytest.mark.parametrize(("town", "seed", "least"), [("town_48", 7, 8), (MANY, 3, 32)])
def test_no_id_and_no_name_of_a_day_in_town_is_in_the_bytes_of_a_renamed_sink(
    tmp_path, key, town, seed, least
):
    value = config([key, {"use": "validate"}])
    value |= {"seed": seed, "world": {"use": "town", "options": {"town": town}}}
    plain = {"use": "file", "options": {"path": "plain.ndjson"}, "stream": {"mode": "snapshot", "every": 10}}
    value["telemetry"]["sinks"].append(plain)
    with open_run(request(value, tmp_path / "run")) as opened:
        summary = opened.loop.run_for(DAY)
        renamed, told = opened.drain()
    assert (renamed.rejected, renamed.dropped) == (told.rejected, told.dropped) == ({}, {})
    assert renamed.delivered == told.delivered > summary.events_total

    before, after = lines(tmp_path / "run", "plain.ndjson"), lines(tmp_path / "run")
    people: dict[str, str] = {}
    for line in before:
        if line["type"] == "townlet.lifecycle.arrive":
            people[line["data"]["agent_id"]] = line["data"]["name"]
        elif line["type"] == "townlet.state.frame":
            people |= {agent: shown["name"] for agent, shown in line["data"]["agents"].items()}
    assert len(people) >= least
    everything = (tmp_path / "run" / "events.ndjson").read_text()
    original = (tmp_path / "run" / "plain.ndjson").read_text()
    assert all(word in original for agent, name in people.items() for word in (agent, name))
    assert [word for pair in people.items() for word in pair if word in everything] == []

    # The same story, told of somebody else: each resident keeps one pseudonym through events and frames.
    assert [line["type"] for line in after] == [line["type"] for line in before]
    pseudonyms: dict[str, set] = {}
    for old, new in zip(before, after, strict=True):
        if "agent_id" in old["data"]:
            pseudonyms.setdefault(old["data"]["agent_id"], set()).add(new["data"]["agent_id"])
        elif old["type"] == "townlet.state.frame":
            wallets = {agent: shown["wallet"] for agent, shown in old["data"]["agents"].items()}
            shown = new["data"]["agents"]
            assert all(shown[next(iter(pseudonyms[a]))]["wallet"] == wallets[a] for a in wallets)
    assert pseudonyms.keys() == people.keys()
    assert all(len(each) == 1 for each in pseudonyms.values())
    assert len(set.union(*pseudonyms.values())) == len(people)


def test_transforms_change_neither_digest_nor_histories(tmp_path, key):
    digests, remembered = set(), set()
    for number, transforms in enumerate(([], [{"use": "redact", "fields": ["agent_id", "wallet"]}, key])):
        with open_run(request(config(transforms), tmp_path / str(number))) as opened:
            digests.add(opened.loop.run_for(600).digest)
            remembered.add(repr(opened.recent.queue_events(opened.loop.tick)))
    assert len(digests) == len(remembered) == 1


def test_transforms_apply_in_the_order_of_the_config(tmp_path, key):
    redact = {"use": "redact", "fields": ["agent_id"], "kinds": ["lifecycle.arrive"]}
    told = []
    for number, transforms in enumerate(([redact, key], [key, redact])):
        with open_run(request(config(transforms), tmp_path / str(number))) as opened:
            opened.loop.run_for(1)
        arrivals = [line for line in lines(tmp_path / str(number)) if line["type"].endswith("arrive")]
        told.append({line["data"]["agent_id"] for line in arrivals})
    first, second = told
    assert len(first) == 1 != {"redacted"}
    assert first != second == {"redacted"}


def test_what_is_withheld_is_in_health_and_in_the_final_account(tmp_path):
    class Stranger(Event):
        kind = "stranger.seen"

    with open_run(request(config([{"use": "validate"}]), tmp_path / "run")) as opened:
        opened.loop.dispatcher.publish_diagnostic(0, Stranger())
        opened.loop.run_for(60)
        (status,) = opened.drain()
    assert status.rejected == {"unknown_kind": 1}
    assert status.offered == status.emitted + 1
    (health,) = [line for line in lines(tmp_path / "run") if line["type"] == "townlet.loop.health"]
    assert health["data"]["sinks"]["file"]["totals"]["rejected"] == {"unknown_kind": 1}


WRONG = """\
townlet: 1
seed: 7
telemetry:
  sinks:
    - use: file
      transforms:
        - {}
"""


@pytest.mark.parametrize(
    ("transform", "said"),
    [
        ("{use: redcat, fields: [wallet]}", "transforms[0].use: \"redcat\"; did you mean 'redact'?"),
        ("{fields: [wallet]}", "transforms[0].use: this key is missing"),
        ("{use: redact}", "transforms[0].fields: this key is missing"),
        ("{use: redact, fields: []}", "transforms[0].fields: []; a list of at least 1 items"),
        ("{use: redact, fields: [a], kind: [b]}", "transforms[0].kind: unknown key; did you mean 'kinds'?"),
        ("{use: redact, fields: [a], kinds: [queue.jion]}", "did you mean 'queue.join'?"),
        ("{use: validate, fields: [a]}", "transforms[0].fields: unknown key"),
        ("{use: rename_residents}", "give one of key_env (a variable's name) and key_file (a path)"),
        ("{use: rename_residents, key_env: A, key_file: b}", "give one of key_env"),
        ("{use: rename_residents, key_env: '${ENV:A}'}", "${ENV:NAME} is allowed below telemetry.sinks[]"),
    ],
)
def test_a_wrong_transform_is_named_with_file_line_and_key(tmp_path, transform, said):
    path = tmp_path / "wrong.yaml"
    path.write_text(WRONG.replace("{}", transform))
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert f"{path}:7: telemetry.sinks[0].transforms[0]" in str(caught.value)
    assert said in str(caught.value)


def test_a_key_that_is_not_there_ends_the_run_before_it_starts(tmp_path, monkeypatch):
    monkeypatch.delenv("TOWNLET_TRIAL_KEY", raising=False)
    path = tmp_path / "keyless.yaml"
    path.write_text(WRONG.replace("{}", "{use: rename_residents, key_env: TOWNLET_TRIAL_KEY}"))
    where = f"{path}:7: telemetry.sinks[0].transforms[0].key_env: the variable TOWNLET_TRIAL_KEY is not set"
    with pytest.raises(ConfigError) as caught, open_run(request(path, tmp_path / "run")):
        pass
    assert where in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_config_shows_its_transforms_and_the_shown_config_is_one(key):
    resolved = load_config(config([key]))
    (sink,) = resolved.shown["telemetry"]["sinks"]
    assert sink["transforms"] == [key | {"key_file": None}]
    again = load_config(resolved.shown)
    assert again.config_digest == resolved.config_digest


def test_the_commands_and_the_config_of_the_page_work(tmp_path):
    page = Path(__file__).resolve().parents[2] / "docs" / "operations" / "transforms.md"
    _, written, _, command, *_ = page.read_text().split("```")
    path = tmp_path / "page.yaml"
    path.write_text("townlet: 1\nseed: 7\n" + written.removeprefix("yaml\n"))
    subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, check=True)
    _, choice = load_config(path).sinks
    assert [each.use for each in choice.transforms] == ["redact", "rename_residents", "validate"]
    assert len(read_secret("key", None, tmp_path / choice.transforms[1].key_file)) == 64
