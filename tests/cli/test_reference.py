"""The reference pages are written by the program; this renews them:

python -c "from tests.cli.test_reference import renew; renew()"
"""

import re
from pathlib import Path

import pluggy

from townlet_adapters.cli.reference import cli_markdown
from townlet_adapters.config.reference import config_markdown
from townlet_plugins import hookspecs
from townlet_plugins.catalogue import load_catalogue
from townlet_plugins.reference import hooks_markdown

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"


def renew() -> None:
    (REFERENCE / "cli.md").write_text(cli_markdown(), encoding="utf-8")
    (REFERENCE / "hooks.md").write_text(hooks_markdown(), encoding="utf-8")
    (REFERENCE / "config.md").write_text(config_markdown(load_catalogue()), encoding="utf-8")


def test_the_page_of_the_command_line_is_the_one_that_the_commands_write():
    assert (REFERENCE / "cli.md").read_text(encoding="utf-8") == cli_markdown()


def test_the_page_of_configs_is_the_one_that_the_models_write():
    assert (REFERENCE / "config.md").read_text(encoding="utf-8") == config_markdown(load_catalogue())


def test_the_page_of_hooks_is_the_one_that_their_specs_write():
    assert (REFERENCE / "hooks.md").read_text(encoding="utf-8") == hooks_markdown()


def test_every_hook_of_the_specs_is_on_its_page_with_when_it_is_called_and_what_it_returns():
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    sections = hooks_markdown().split("\n## ")[1:]
    assert {section.splitlines()[0] for section in sections} == {
        name for name in vars(manager.hook) if name.startswith("townlet_")
    }
    assert [each for each in sections if not re.search(r"(?ms)^Called .*^\*\*Returns:\*\* \w", each)] == []


def test_every_command_shows_an_example():
    sections = cli_markdown().split("\n## townlet")[1:]
    assert len(sections) > 20
    assert [section.splitlines()[0] for section in sections if "```sh\ntownlet" not in section] == []


def test_every_option_and_every_key_says_what_it_means():
    rows = [
        line
        for line in (cli_markdown() + config_markdown(load_catalogue())).splitlines()
        if line.startswith("| `")
    ]
    assert len(rows) > 100
    assert [row for row in rows if row.rstrip(" |").endswith(("| None", "|")) or row.endswith("|  |")] == []
