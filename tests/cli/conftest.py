import pytest


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
