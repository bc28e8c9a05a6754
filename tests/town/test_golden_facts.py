"""The facts of the shipped towns are those of the version that this digest was computed with.

A change of a rule changes it, and says so in the changelog; nothing else may. ``loop.tick`` is left out:
it is the loop's own, and its numbers follow from the other facts. So are alerts and narration, whose facts
follow from those of the town, too, and whose words may change.
"""

import pytest

from townlet import open_simulation
from townlet_core.digest import FactDigest
from townlet_core.events.schema import is_diagnostic
from townlet_plugins.catalogue import load_catalogue

DAYS = 7
GOLDEN = {
    "configs/town.yaml": "87293e4ae17ca39c7b506b3158bf7f4ef5328ed4bf967040fd0258be22f29749",
    "configs/hamlet.yaml": "39894260de974dc54c9f83786071ad8a82cfc824f9c365fdcc4a92f57f79adbb",
}


@pytest.mark.parametrize("config", GOLDEN)
def test_a_week_of_facts_is_the_same_as_ever(config):
    digest, told = FactDigest(), []
    kinds = {kind for kind in load_catalogue().events.classes if not is_diagnostic(kind)} - {"loop.tick"}
    unwatched = {"observers.stability.enabled": False, "observers.narration.enabled": False}
    with open_simulation(config, seed=11, overrides={"telemetry.sinks": [], **unwatched}) as loop:
        for kind in kinds:
            loop.dispatcher.subscribe(kind, told.append, name=kind)
        loop.run_for(DAYS * loop.spec.ticks_per_day)
    digest.update(told)
    assert len(told) > 500
    assert digest.hexdigest() == GOLDEN[config]
