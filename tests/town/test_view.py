"""The view: what the page says, and what a tick shows."""

import re
from pathlib import Path

from townlet_adapters.worlds.town.compiled.columns import COLUMNS
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.seam.view import ViewColumns

PAGE = Path("docs/reference/view.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| ([\w, ]+) \| \S.* \|$", re.MULTILINE)


def test_the_page_describes_every_array_as_the_spec_does():
    spec = TownModel.build({"town": "hamlet_24"}).spec
    described = [
        (each.name, each.format or "text", ", ".join(each.axes)) for each in (*spec.constants, *spec.view)
    ]
    assert ROW.findall(PAGE) == described


def test_every_column_is_filled_but_the_one_that_is_the_states_own():
    assert [*ViewColumns._fields, "cooldowns"] == [each.name for each in COLUMNS]
