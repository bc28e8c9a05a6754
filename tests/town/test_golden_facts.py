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
    "configs/town.yaml": "1dd7165e44c4caecbf06dc447bcc2e340a2b534d2931420cef35ff482aa2700f",
    "configs/hamlet.yaml": "12e3a3b9a6b636d63f99a845e6d2286d50b3a6ab3e6a31de79997e88ccf7b14a",
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
