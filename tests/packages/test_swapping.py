"""World, policy and sink are changed by their names in the config, whoever brings them."""

import itertools
import json
import subprocess

import pytest
import yaml

ALLOW = [
    {"distribution": distribution, "entry_point": entry_point}
    for distribution, entry_point in {
        "townlet-market": "market",
        "townlet-wanderer": "wanderer",
        "townlet-tally": "tally",
        "townlet-corridor": "corridor",
        "townlet-sink-sqlite": "sqlite",
    }.items()
]
# Everybody lives everywhere but who says so: the scripted residents plan on a town's map, buyers need stalls.
FIRST = {"town": "a00000", "market": "customer_0", "corridor": "walker_0"}
HOMES = {
    "town": ("scripted", "random", "wanderer"),
    "market": ("buyers", "random", "wanderer"),
    "corridor": ("random", "wanderer"),
}
SINKS = {"file": "events.ndjson", "sqlite": "town.sqlite", "tally": "tally.json"}
# One process for all of them: a start takes longer than a run.
PROGRAM = """\
import json, sys
from pathlib import Path
from townlet import open_simulation
for number, config in enumerate(json.load(sys.stdin)):
    with open_simulation(config, out=Path(sys.argv[1]) / str(number)) as simulation:
        print(json.dumps([simulation.run_for(3).digest, simulation.observation.agent_ids[0]]))
"""


def config_of(world, policy, sink="file", allow=ALLOW):
    options = {"town": "hamlet_24"} if world == "town" else {}
    return {
        "townlet": 1,
        "name": "swap",
        "seed": 7,
        "world": {"use": world, "options": options},
        "policy": {"use": policy},
        "telemetry": {"sinks": [{"use": sink}]},
        "plugins": {"allow": allow},
    }


def run(environment, tmp_path, *parts, **changes) -> subprocess.CompletedProcess[str]:
    """Run one config from the command line, in a folder that stays empty if it must not run."""
    path = tmp_path / "swap.yaml"
    path.write_text(yaml.safe_dump(config_of(*parts, **changes)))
    return environment.run("townlet", "run", path, "--ticks", 1, "--quiet", "--out", tmp_path / "run")


def test_every_world_runs_with_every_policy_that_can_live_in_it_and_every_sink(environment, tmp_path):
    homes = [(world, policy) for world, policies in HOMES.items() for policy in policies]
    chosen = [(*home, sink) for home, sink in zip(homes, itertools.cycle(SINKS), strict=False)]
    program, configs = tmp_path / "swap.py", [config_of(*each) for each in chosen]
    program.write_text(PROGRAM)
    done = environment.run("python", program, tmp_path, text=json.dumps(configs))
    assert done.returncode == 0, done.stderr
    told = list(map(json.loads, done.stdout.splitlines()))
    assert len({digest for digest, _ in told}) == len(chosen)
    for number, (world, _, sink) in enumerate(chosen):
        assert told[number][1] == FIRST[world]
        assert (tmp_path / str(number) / SINKS[sink]).stat().st_size > 0


def test_a_policy_that_cannot_live_in_a_world_says_so(environment, tmp_path):
    done = run(environment, tmp_path, "market", "scripted")
    assert done.returncode == 2
    assert done.stderr.startswith("policy.use: 'scripted' cannot act in the world 'market': ")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("parts", "wrong", "known"),
    [
        (("towm", "random"), "world.use: unknown world 'towm'", ["town", "market", "corridor"]),
        (
            ("town", "randon"),
            "policy.use: unknown policy 'randon'",
            ["random", "scripted", "buyers", "wanderer"],
        ),
        (
            ("town", "random", "fil"),
            "telemetry.sinks[0].use: unknown sink 'fil'",
            ["file", "stdout", "sqlite", "tally"],
        ),
    ],
)
def test_a_name_that_nobody_offers_is_answered_with_those_that_somebody_does(
    environment, tmp_path, parts, wrong, known
):
    done = run(environment, tmp_path, *parts)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"{wrong}; " in line
    assert all(each in line for each in known), line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("parts", "entry_point", "distribution"),
    [
        (("market", "random"), "market", "townlet-market"),
        (("town", "wanderer"), "wanderer", "townlet-wanderer"),
        (("town", "random", "sqlite"), "sqlite", "townlet-sink-sqlite"),
    ],
)
def test_an_installed_one_that_is_not_let_in_is_answered_with_the_line_that_does(
    environment, tmp_path, parts, entry_point, distribution
):
    done = run(environment, tmp_path, *parts, allow=[])
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert f"the plugin '{entry_point}' of {distribution} " in line
    assert f"add below plugins.allow: - {{distribution: {distribution}, entry_point: {entry_point}, " in line
    allowing = yaml.safe_load(line.partition("plugins.allow: ")[2])
    (tmp_path / "again").mkdir()
    assert run(environment, tmp_path / "again", *parts, allow=allowing).returncode == 0


def test_a_name_that_only_somebody_who_is_not_let_in_may_offer_leads_to_them(environment, tmp_path):
    done = run(environment, tmp_path, "town", "buyers", allow=[])
    assert done.returncode == 2
    assert "policy.use: unknown policy 'buyers'" in done.stderr
    assert "a plugin that was not loaded may offer it" in done.stderr
    assert "add below plugins.allow: - {distribution: townlet-" in done.stderr
