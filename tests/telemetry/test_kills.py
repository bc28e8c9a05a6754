"""Whatever dies, and whenever: every event arrives once, or a record names it."""

import json
import subprocess
import sys

from tests.house.sources import ROOT

KILLS = 100


def test_a_hundred_kills_of_the_town_and_some_of_the_collector_lose_nothing_silently():
    """`make soak` does a thousand."""
    command = [sys.executable, "-m", "tests.telemetry.kills", "--kills", str(KILLS)]
    trial = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=500)
    assert trial.returncode == 0, trial.stdout + trial.stderr
    tally = json.loads(trial.stdout)
    assert (tally["silent"], tally["contradicted"], tally["duplicates"], tally["waiting"]) == ([], [], 0, 0)
    # It was no idle trial.
    assert tally["kills"] == KILLS
    assert tally["collector_kills"] > KILLS // 10
    assert tally["stored"] > KILLS
    assert tally["declared"] > 0
    # Commits keep up with a town that never pauses: what is lost was told just before the end.
    assert tally["declared"] < tally["emitted"] / 2
