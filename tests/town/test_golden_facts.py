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
    "configs/town.yaml": "8bedd389b38e6a952a7aab908ba2e4408884bb0ce8d8cec4b752250d50b996a7",
    "configs/hamlet.yaml": "b24a551cbcafdd5e6820cfefe273c2715029b9906ac941a4d088e2e0cf9e0958",
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
