"""The reference pages are written by the program; this renews them:

python -c "from tests.cli.test_reference import renew; renew()"
"""

from pathlib import Path

from townlet_adapters.cli.reference import cli_markdown
from townlet_adapters.config.reference import config_markdown
from townlet_plugins.catalogue import load_catalogue

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"


def renew() -> None:
    (REFERENCE / "cli.md").write_text(cli_markdown(), encoding="utf-8")
    (REFERENCE / "config.md").write_text(config_markdown(load_catalogue()), encoding="utf-8")


def test_the_page_of_the_command_line_is_the_one_that_the_commands_write():
    assert (REFERENCE / "cli.md").read_text(encoding="utf-8") == cli_markdown()


def test_the_page_of_configs_is_the_one_that_the_models_write():
    assert (REFERENCE / "config.md").read_text(encoding="utf-8") == config_markdown(load_catalogue())


def test_every_option_and_every_key_says_what_it_means():
    rows = [
        line
        for line in (cli_markdown() + config_markdown(load_catalogue())).splitlines()
        if line.startswith("| `")
    ]
    assert len(rows) > 100
    assert [row for row in rows if row.rstrip(" |").endswith(("| None", "|")) or row.endswith("|  |")] == []
