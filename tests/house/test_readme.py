"""What the README tells people to type is there to be typed."""

import re
import subprocess
import sys

import click
import pytest

from tests.house.sources import ROOT
from townlet_adapters.cli.main import townlet

SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINES = [
    line.partition("#")[0].partition("|")[0].split()
    for block in SHELL.findall(README)
    for line in block.splitlines()
    if line.startswith("townlet ")
]


def known(words: list[str]) -> tuple[click.Command, list[str]]:
    """Follow the words of a line to the command they name, and return what is left of the line."""
    command: click.Command = townlet
    rest = words[1:]
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), rest[0])
        assert found is not None, f"`{' '.join(words)}` names no command at {rest[0]!r}"
        command, rest = found, rest[1:]
    return command, rest


@pytest.mark.parametrize("words", LINES, ids=" ".join)
def test_every_line_of_the_readme_names_a_command_and_its_options(words):
    command, rest = known(words)
    options = {name for parameter in command.params for name in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= options


def test_the_readme_shows_the_command():
    assert len(LINES) >= 10


def test_a_command_that_does_not_exist_would_be_found():
    with pytest.raises(AssertionError, match="names no command at 'fly'"):
        known(["townlet", "fly"])


@pytest.mark.parametrize("path", sorted(set(re.findall(r"configs/[a-z]+\.yaml", README))))
def test_every_configuration_that_the_readme_names_is_shipped(path):
    assert (ROOT / path).is_file()


def test_the_python_examples_of_the_readme_run():
    one, many = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    run = subprocess.run(
        [sys.executable, "-c", f"{one}{many}print(seen.map.shape, seen.features.any())"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert re.fullmatch(r"[0-9a-f]{64}\n\(64, 10, 4, 11, 11\) True\n", run.stdout)
