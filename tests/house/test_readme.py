"""Everything that the README asks people to type works as it is written."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.sources import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINES = [line for block in SHELL.findall(README) for line in block.splitlines() if line]
COMMANDS = [line for line in LINES if line.startswith("townlet ")]
METRICS = re.compile(r"--metrics 127\.0\.0\.1:\d+")


@pytest.fixture(scope="module")
def compiled() -> None:
    """Compile the rules first, as ``make test`` does: a command would say so, and take minutes in silence."""
    subprocess.run([sys.executable, "-P", "-m", "townlet", "warmup"], check=True, capture_output=True)


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """What a command may use of a fresh clone: its configs."""
    folder = tmp_path_factory.mktemp("clone")
    shutil.copytree(ROOT / "configs", folder / "configs")
    return folder


def type_in(line: str, clone: Path) -> subprocess.CompletedProcess:
    """Run a line in a shell that finds the program first."""
    program = clone / "bin" / "townlet"
    program.parent.mkdir(exist_ok=True)
    program.write_text(
        f"#!{sys.executable}\nimport sys\nfrom townlet_adapters.cli.main import main\nsys.exit(main())\n"
    )
    program.chmod(0o755)
    # Another process of this machine may use the port that the README names.
    line = METRICS.sub("--metrics 127.0.0.1:0", line)
    return subprocess.run(
        ["/bin/bash", "-c", line],
        cwd=clone,
        env=os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


def complaints(done: subprocess.CompletedProcess) -> list[str]:
    """What a command wrote that is no answer, nor where it listens or what else there is to read."""
    notes = re.compile(r"metrics: http://127\.0\.0\.1:|\w+ had most to say; ")
    return [line for line in done.stderr.splitlines() if not notes.match(line)]


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("line", COMMANDS, ids=lambda line: line.partition("#")[0].strip())
def test_every_command_works_in_order_and_without_a_warning(line, clone):
    done = type_in(line, clone)
    assert (done.returncode, complaints(done)) == (0, [])
    assert done.stdout


@pytest.mark.usefixtures("compiled")
def test_the_summary_of_the_readme_is_that_of_a_first_run(clone):
    (shown,) = re.findall(r"^```text\n(default: .*?)^```", README, re.MULTILINE | re.DOTALL)
    printed = type_in("townlet run", clone).stdout
    # How fast it ran, and when: of this run alone.
    own = re.compile(r"^(speed|folder) .*$", re.MULTILINE)
    assert own.sub(r"\1", printed) == own.sub(r"\1", shown)


def test_every_line_is_a_command_of_make_or_of_townlet():
    assert len(COMMANDS) >= 10
    assert [line for line in LINES if line not in COMMANDS and not re.match(r"make [a-z]+ ", line)] == []


def test_a_command_that_fails_would_be_found(clone):
    done = type_in("townlet fly", clone)
    assert (done.returncode, complaints(done) != []) == (2, True)


@pytest.mark.parametrize("path", sorted(set(re.findall(r"configs/[a-z]+\.yaml", README))))
def test_every_configuration_that_the_readme_names_is_shipped(path):
    assert (ROOT / path).is_file()


@pytest.mark.usefixtures("compiled")
def test_the_python_examples_of_the_readme_run():
    one, many = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    run = subprocess.run(
        [sys.executable, "-c", f"{one}{many}print(seen.map.shape, seen.features.any())"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert re.fullmatch(r"[0-9a-f]{64}\n\(64, 10, 4, 11, 11\) True\n", run.stdout)
