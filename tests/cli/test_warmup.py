"""The rules are compiled once: by the first run or by warmup, and not again by either."""

import os
import subprocess
import sys

import pytest

TOWNLET = [sys.executable, "-c", "import sys; from townlet_adapters.cli.main import main; sys.exit(main())"]


def run(tmp_path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*TOWNLET, *arguments],
        cwd=tmp_path,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.mark.slow
def test_the_first_run_compiles_for_every_policy_and_says_how_far_it_is(tmp_path):
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    short = ("run", "--ticks", "2", "--no-out")
    first = run(tmp_path, *short, **cache)
    assert first.stderr.splitlines() == [
        "compiling the town's rules, once for this version on this machine: one to two minutes",
        "compiling: 25%",
        "compiling: 50%",
        "compiling: 75%",
    ]
    assert run(tmp_path, *short, "--policy", "random", **cache).stderr == ""
    again = run(tmp_path, "warmup", **cache)
    assert again.stderr == ""
    assert again.stdout.startswith("compiled before; checked in ")


def test_an_interpreted_warmup_says_that_nothing_is_compiled(tmp_path):
    done = run(tmp_path, "warmup", NUMBA_DISABLE_JIT="1")
    assert done.stdout == ""
    assert done.stderr == "NUMBA_DISABLE_JIT is set: the rules run as plain Python, and nothing is compiled\n"
