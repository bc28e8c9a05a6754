"""The walk-through for modellers works, word for word: each block of commands prints the lines below it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.sources import ROOT
from tests.tutorials.pages import BASH

PAGE = ROOT / "docs/modelling.md"
STEP = re.compile(
    r"^```sh\n(?P<lines>.*?)^```\n(?:```text\n(?P<printed>.*?)^```$)?", re.MULTILINE | re.DOTALL
)


def do(lines: str, folder: Path) -> str:
    """Run one block in an environment in which `townlet` is the program of this checkout."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [BASH, "-euc", lines],
        cwd=folder,
        env={**os.environ, "PATH": path, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{lines}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_walk_through_for_modellers_prints_what_the_page_says(tmp_path):
    steps = list(STEP.finditer(PAGE.read_text(encoding="utf-8")))
    assert len(steps) == 7
    for step in steps:
        printed = do(step["lines"], tmp_path)
        missing = [line for line in (step["printed"] or "").splitlines() if line not in printed]
        assert missing == [], printed
    played = [
        line
        for line in (tmp_path / "runs/chess/events.ndjson").read_text().splitlines()
        if "play_chess" in line
    ]
    assert len(played) > 8
