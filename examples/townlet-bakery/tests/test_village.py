"""A morning in the village: bread is baked and bought, a queue forms, and then it is sold out."""

import json
from collections import Counter
from importlib.resources import as_file, files

import pytest

from townlet import open_simulation
from townlet_core.dto.command import Command

ALLOW = [{"distribution": "townlet-bakery", "entry_point": "bakery", "allow_editable": True}]
MORNING = 720
SEED = 10
"""The seed of a morning on which more want bread than is baked."""


@pytest.fixture(scope="module")
def village():
    """The folder with the village's YAML."""
    with as_file(files("townlet_bakery") / "village") as folder:
        yield folder


@pytest.fixture(scope="module")
def morning(village, tmp_path_factory):
    """What happened in one morning."""
    out = tmp_path_factory.mktemp("village") / "run"
    allowed = {"plugins.allow": ALLOW}
    with open_simulation(village / "village.yaml", seed=SEED, overrides=allowed, out=out) as simulation:
        simulation.run_for(MORNING)
    with (out / "events.ndjson").open() as lines:
        return [json.loads(line) for line in lines]


def told(morning, kind, affordance):
    return [
        each["data"]
        for each in morning
        if each["type"] == f"townlet.{kind}" and each["data"].get("affordance_id") == affordance
    ]


def test_bread_is_baked_and_a_good_batch_gives_more(morning):
    batches = Counter(
        each["effects"]["stock:meal"] for each in told(morning, "affordance.finish", "bake_bread")
    )
    assert set(batches) == {2, 3}


def test_bread_is_bought_and_warm_bread_satisfies_more(morning):
    bought = {each["effects"]["need:hunger"] for each in told(morning, "affordance.finish", "buy_bread")}
    assert bought == {0.45, 0.55}


def test_a_queue_forms_at_the_counter(morning):
    joined = {each["agent_id"] for each in told(morning, "queue.join", "buy_bread")}
    assert len(joined) > 1
    assert told(morning, "queue.grant", "buy_bread")


def test_bread_sells_out_with_the_reason_of_the_hook(morning):
    failed = {(each["reason"], each.get("detail")) for each in told(morning, "affordance.fail", "buy_bread")}
    assert failed == {("hook_cancelled", "sold out")}


def test_nothing_that_the_hooks_answered_was_dropped(morning):
    assert [each for each in morning if each["type"] == "townlet.plugin.rejected"] == []


def test_the_same_morning_comes_again(village):
    digests = set()
    for _ in range(2):
        overrides = {"plugins.allow": ALLOW, "telemetry.sinks": []}
        with open_simulation(village / "village.yaml", overrides=overrides, digest=True) as simulation:
            digests.add(simulation.run_for(100).digest)
    assert len(digests) == 1


def test_a_loaf_that_is_given_away_fills_the_hungriest(village):
    overrides = {"plugins.allow": ALLOW, "telemetry.sinks": []}
    with open_simulation(village / "village.yaml", overrides=overrides) as simulation:
        simulation.run_for(300)
        request = Command("bakery.feed", cmd_id="loaf-1", issuer="baker")
        ticket = simulation.commands.submit(request, "admin")
        simulation.step()
        told = ticket.result
        assert (told.status, told.tick) == ("ok", 300)
        slot = simulation.observation.agent_ids.index(told.result["agent_id"])
        needs = simulation.observation.view.columns["needs"]
        assert needs[slot, 0] == pytest.approx(told.result["hunger"], abs=0.01)
