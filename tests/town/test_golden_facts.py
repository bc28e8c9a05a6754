"""The facts of the shipped towns are those of the version that this digest was computed with.

A change of a rule changes it, and says so in the changelog; nothing else may. ``loop.tick`` is left out:
it is the loop's own, and its numbers follow from the other facts.
"""

import pytest

from townlet import open_simulation
from townlet_core.digest import FactDigest
from townlet_core.events.schema import is_diagnostic
from townlet_plugins.catalogue import load_catalogue

DAYS = 7
GOLDEN = {
    "configs/town.yaml": "0a1651895bbefb5d4432289076881c83c58beeba46c30e3441c5f55c649408bb",
    "configs/hamlet.yaml": "9df51fffffa44b43c5b977f6e295ec0176b36c633a31800958772cced32123c2",
}


@pytest.mark.parametrize("config", GOLDEN)
def test_a_week_of_facts_is_the_same_as_ever(config):
    digest, told = FactDigest(), []
    kinds = {kind for kind in load_catalogue().events.classes if not is_diagnostic(kind)} - {"loop.tick"}
    with open_simulation(config, seed=11, overrides={"telemetry.sinks": []}) as loop:
        for kind in kinds:
            loop.dispatcher.subscribe(kind, told.append, name=kind)
        loop.run_for(DAYS * loop.spec.ticks_per_day)
    digest.update(told)
    assert len(told) > 500
    assert digest.hexdigest() == GOLDEN[config]
