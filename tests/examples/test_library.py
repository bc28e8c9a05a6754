"""A need, an item, a place and a personality in YAML: residents live by them, every output has them."""

import json
import subprocess
import sys

import pytest

from tests.examples.living import DAY, LIBRARY, live
from tests.house.sources import ROOT
from townlet_adapters.config.source import SHIPPED

WITHOUT_HYGIENE = {
    "world.options.vocabulary": {"extend": "town", "remove": {"needs": ["hygiene"]}},
    "world.options.affordances": {"remove": ["use_shower"]},
}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_residents_read_and_have_fun_for_a_week(seed):
    life = live(LIBRARY, seed, 7)
    fun = life.need("fun")
    residents = fun.shape[1]
    assert life.uses["read_book"] > 7 * residents
    assert fun.min() > 0.15  # a night without a book costs as much
    assert fun[-DAY:].mean() > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_nobody_reads_and_fun_runs_out_where_there_are_no_shelves(seed):
    """What keeps fun up is the library, not something else."""
    staying = {"world.options.lifecycle": {"training_mode": True}}
    life = live(LIBRARY, seed, 3, {"world.options.town": "town_48", **staying})
    assert "read_book" not in life.uses
    assert life.need("fun")[-1].max() == 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_town_without_hygiene_lives_well_and_nobody_takes_a_shower(seed):
    life = live(SHIPPED / "town.yaml", seed, 7, WITHOUT_HYGIENE)
    assert [need.name for need in life.spec.needs] == ["hunger", "energy"]
    assert "use:use_shower" not in life.spec.action_names
    assert life.uses["eat_meal"] > 30
    assert life.needs.mean(axis=1).min() > 0.3
    assert life.needs[-DAY:].mean() > 0.5
    assert "hygiene" not in json.dumps([dict(each) for each in life.frame.agents.values()])


@pytest.mark.slow
def test_fun_is_in_features_frames_rewards_summary_events_and_metrics(townlet, tmp_path):
    life = live(LIBRARY, 7, 1)
    assert "need_fun" in life.spec.feature_names
    assert "option_have_fun" in life.spec.feature_names
    assert "inv_book" in life.spec.feature_names
    agents = list(life.frame.agents.values())
    assert all(list(agent["needs"])[-1] == "fun" for agent in agents)
    assert all("book" in agent["inventory"] for agent in agents)
    assert "library.book" in life.frame.prices["0"]
    assert {item["type"] for item in life.frame.objects.values()} >= {"shelf"}

    code, out, err = townlet(
        "run", str(LIBRARY), "--out", "run", "--metrics-file", "town.prom",
        "--set", "telemetry.stream={mode: snapshot, every: 720}",
    )  # fmt: skip
    assert code == 0, err
    assert ", fun " in out.partition("needs ")[2].splitlines()[0]
    assert 'townlet_town_need_mean{need="fun"} 0.' in (tmp_path / "town.prom").read_text()
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert 0.3 < summary["kpis"]["need_mean"]["fun"] < 1
    lines = [json.loads(line) for line in (tmp_path / "run/events.ndjson").read_text().splitlines()]
    finished = [line["data"] for line in lines if line["type"] == "townlet.affordance.finish"]
    assert {"need:fun": 0.35} in [
        each["effects"] for each in finished if each["affordance_id"] == "read_book"
    ]
    frames = [line["data"] for line in lines if line["type"] == "townlet.state.frame"]
    assert frames
    assert all('"fun":' in json.dumps(frame) for frame in frames)


COUNT = """
import sys, json
from numba.core.registry import CPUDispatcher
from tests.examples.living import LIBRARY, live
from tests.examples.test_library import SHIPPED, WITHOUT_HYGIENE
from townlet_adapters.composition.compiling import compile_shipped

def versions():
    modules = [module for name, module in sys.modules.items() if name.startswith("townlet")]
    named = [(module, *item) for module in modules for item in vars(module).items()]
    return {
        f"{module.__name__}.{name}": len(value.signatures)
        for module, name, value in named
        if isinstance(value, CPUDispatcher)
    }

compile_shipped()
before = versions()
live(LIBRARY, 7, 1)
live(SHIPPED / "town.yaml", 7, 1, WITHOUT_HYGIENE)
after = versions()
print(json.dumps([sum(before.values()), {name: n for name, n in after.items() if n != before.get(name)}]))
"""


@pytest.mark.slow
def test_another_vocabulary_compiles_nothing_anew():
    done = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, cwd=ROOT, check=True)
    versions, compiled = json.loads(done.stdout)
    assert versions > 10
    assert compiled == {}
