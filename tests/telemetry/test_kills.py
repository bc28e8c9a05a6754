"""Whatever dies, and whenever: every event arrives once, or a record names it."""

import json
import subprocess
import sys

import pytest

from tests.house.sources import ROOT

MANY, FEW = 100, 6


def tally_of(kills):
    """Run a trial in a process of its own; returns what it counted."""
    command = [sys.executable, "-m", "tests.telemetry.kills", "--kills", str(kills)]
    trial = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=500)
    assert trial.returncode == 0, trial.stdout + trial.stderr
    tally = json.loads(trial.stdout)
    assert (tally["silent"], tally["contradicted"], tally["duplicates"], tally["waiting"]) == ([], [], 0, 0)
    assert tally["kills"] == kills
    assert tally["stored"] > kills
    return tally


def test_a_few_kills_of_the_town_and_its_collector_lose_nothing_silently():
    """A part of the next one that takes seconds."""
    tally_of(FEW)


@pytest.mark.slow
def test_a_hundred_kills_of_the_town_and_some_of_the_collector_lose_nothing_silently():
    """`make soak` does a thousand."""
    tally = tally_of(MANY)
    # Both were killed in the midst of their work.
    assert tally["collector_kills"] > MANY // 10
    assert tally["declared"] > 0
    # Commits keep up with a town that never pauses, so only its last moments are lost.
    assert tally["declared"] < tally["emitted"] / 2
