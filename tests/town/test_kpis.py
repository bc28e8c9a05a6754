"""A week under the scripted policy: the targets of the rules' closing table."""

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from benchmarks.kpis import EVERYWHERE, HAMLET, TOWN, judge, measure, report
from benchmarks.lives import COLLAPSE_TICKS, COLLAPSED
from tests.town.words import HUNGER
from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.seam.batch import TownBatch

PAGE = Path(__file__).resolve().parents[2] / "docs" / "domain.md"
SEEDS = (1, 2, 3, 4, 5)


@cache
def week(config: str, seed: int) -> dict[str, float]:
    return measure(config, seed)


def missed(runs, bands):
    return [band.key for band in bands if not judge(band, [run[band.key] for run in runs])[1]]


@pytest.mark.parametrize("bands", [TOWN, HAMLET], ids=["town", "hamlet"])
def test_the_page_of_the_rules_has_the_same_targets(bands):
    """In the order of the code, each with what was measured."""
    _, _, measured = PAGE.read_text(encoding="utf-8").partition("## Measured")
    rows = "".join(rf"\| `{band.key}` \| {band.low:g} to {band.high:g} \| .*\n" for band in bands)
    assert re.search(rows, measured)


def test_a_week_in_the_default_town_meets_its_targets():
    runs = [week("configs/town.yaml", seed) for seed in SEEDS]
    assert not missed(runs, TOWN), "\n".join(report(runs, TOWN))


def test_a_week_in_the_hamlet_meets_its_targets():
    runs = [week("configs/hamlet.yaml", seed) for seed in SEEDS[:3]]
    assert not missed(runs, HAMLET), "\n".join(report(runs, HAMLET))


def test_every_rate_of_a_city_is_that_of_the_town_its_districts_are():
    """Sixty-four residents in eight districts; within 15 percent, as the rules promise for every size."""
    city = measure("configs/quarter.yaml", 1)
    towns = [week("configs/town.yaml", seed) for seed in SEEDS]
    for key in EVERYWHERE:
        usual = float(np.mean([town[key] for town in towns]))
        assert city[key] == pytest.approx(usual, rel=0.15), key
    assert (city["exits_due"], city["jobs_lost"], city["invalid"]) == (0, 0, 0)
    assert city["rent_missed"] <= 1


def test_whoever_acts_by_chance_is_never_refused_and_neglects_itself():
    """Two days of unmasked actions: no ``invalid``, and somebody would leave town for good reason."""
    by_chance = measure("configs/town.yaml", 1, days=2, overrides={"policy.use": "random"})
    assert by_chance["invalid"] == 0
    assert by_chance["exits_due"] >= 1


def test_a_town_that_only_waits_would_lose_its_first_balanced_resident_in_tick_698():
    model = TownModel.build({"population": {"start_spread": 0}})
    batch = TownBatch(model, 1)
    batch.reset(1)
    balanced = batch.state.residents["profile"][0] == model.profile_names.index("balanced")
    balanced &= batch.state.residents["alive"][0]
    assert balanced.any()
    starving = np.zeros(len(balanced), int)
    waiting = np.zeros(batch.arrays.mask.shape[:2], int)
    due = np.full(len(balanced), -1)
    for tick in range(codes.TICKS_PER_DAY // 2):
        batch.step(waiting)
        hungry = batch.state.residents["need"][0, :, HUNGER] <= COLLAPSED
        starving = np.where(hungry, starving + 1, 0)
        due[(starving == COLLAPSE_TICKS) & (due < 0)] = tick
    assert set(due[balanced].tolist()) == {698}


@pytest.mark.slow
def test_a_hamlet_has_its_clashes_a_friendship_and_somebody_who_is_avoided():
    """At least one clash a day in the mean of a week, and a friendship and an avoidance, in most seeds."""
    stories = 0
    for seed in range(1, 21):
        run = week("configs/hamlet.yaml", seed)
        stories += (
            run["conflicts_per_day"] >= 1 and run["friendships"] >= 1 and run["avoidances_per_week"] >= 1
        )
    assert stories >= 15
