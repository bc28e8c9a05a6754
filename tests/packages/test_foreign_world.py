"""A world that is not our town: the core, the way in and the telemetry know nothing of towns."""

import json

import pytest
import yaml

PROGRAM = """\
import sys
from townlet_adapters.cli.main import main
code = main(sys.argv[1:])
town = "townlet_adapters.worlds.town"
loaded = sorted(name for name in sys.modules if name.startswith(f"{town}."))
loaded = [name for name in loaded if not name.startswith(f"{town}.events")]
print(loaded, file=sys.stderr)
sys.exit(code)
"""
ALLOW = {"plugins": {"allow": [{"distribution": "townlet-market", "entry_point": "market"}]}}
MARKET = {
    "townlet": 1,
    "name": "market",
    "seed": 7,
    "world": {"use": "market", "options": {"customers": 5, "stalls": 2, "stock": 3}},
    "policy": {"use": "buyers"},
}


@pytest.fixture
def market(tmp_path):
    """The config of a market."""
    path = tmp_path / "market.yaml"
    path.write_text(yaml.safe_dump(MARKET | ALLOW))
    return path


def test_it_runs_with_its_own_policy_and_of_the_town_imports_only_the_events(environment, market, tmp_path):
    run = environment.run(
        "python", "-c", PROGRAM, "run", market, "--ticks", 40, "--quiet", "--out", tmp_path / "run"
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr.splitlines()[-1] == "[]"
    town = environment.run("python", "-c", PROGRAM, "run", "--ticks", 1, "--quiet", "--no-out")
    assert "townlet_adapters.worlds.town.seam.world" in town.stderr.splitlines()[-1]


def test_its_events_are_facts_with_a_schema_a_page_and_a_place_in_the_digest(environment, market, tmp_path):
    summaries = []
    for number, stock in enumerate((3, 3, 4)):
        summary, out = tmp_path / f"{number}.json", tmp_path / f"run-{number}"
        override = f"world.options.stock={stock}"
        environment.townlet(
            "run", market, "--set", override, "--ticks", 40, "--out", out, "--json-summary", summary
        )
        summaries.append(json.loads(summary.read_text()))
    assert summaries[0]["events_by_kind"]["market.sold"] == 12
    assert summaries[0]["digest"] == summaries[1]["digest"] != summaries[2]["digest"]
    lines = [json.loads(line) for line in (tmp_path / "run-0/events.ndjson").read_text().splitlines()]
    sold = [line for line in lines if line["type"] == "townlet.market.sold"]
    assert set(sold[0]["data"]) == {"customer", "stall", "left"}
    assert all("seq" in line for line in sold)

    schema = json.loads(environment.townlet("schema", "events", "--config", market))
    assert schema["$defs"]["market.sold"]["required"] == ["customer", "stall", "left"]
    page = environment.townlet("schema", "events", "--config", market, "--markdown")
    assert "## market.sold_out\n\nA stall sold the last thing that it had today.\n" in page
    assert "market.sold" not in environment.townlet("schema", "events")


def test_it_goes_on_from_its_snapshot(environment, market, tmp_path):
    whole, half = tmp_path / "whole.json", tmp_path / "half.json"
    environment.townlet("run", market, "--ticks", 30, "--out", tmp_path / "whole", "--json-summary", whole)
    every = ["--snapshot-every", 10, "--out", tmp_path / "first"]
    environment.townlet("run", market, "--ticks", 10, *every)
    again = ["--resume", tmp_path / "first", "--out", tmp_path / "second", "--json-summary", half]
    environment.townlet("run", market, "--ticks", 20, *again)
    assert json.loads(half.read_text())["digest"] == json.loads(whole.read_text())["digest"]
