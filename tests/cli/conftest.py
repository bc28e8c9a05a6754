import logging

import pytest

from townlet_adapters.cli.main import main


@pytest.fixture
def townlet(capfd, tmp_path, monkeypatch):
    """Run a command in an empty folder; gives exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    handlers, level = logging.root.handlers, logging.root.level

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    yield call
    logging.root.handlers, logging.root.level = handlers, level


@pytest.fixture
def config(tmp_path):
    """A small config to change."""
    path = tmp_path / "trial.yaml"
    path.write_text(
        "townlet: 1\n"
        "name: trial\n"
        "seed: 7\n"
        "world:\n"
        "  use: town\n"
        "  options:\n"
        "    town: hamlet_24\n"
        "policy:\n"
        "  use: scripted\n"
    )
    return path
