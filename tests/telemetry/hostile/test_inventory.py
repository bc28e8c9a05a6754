"""The page that tells where each hostile case is tested tells the truth."""

import re
from pathlib import Path

import pytest

from tests.telemetry.hostile.test_answers import ANSWERS, CONVERSATIONS
from tests.telemetry.hostile.test_certificates import SERVERS
from tests.telemetry.hostile.test_network import TROUBLES
from tests.telemetry.hostile.test_stopping import FAULTS

HERE = Path(__file__).parent
TESTS = HERE.parents[1]
NAMED = sorted(set(re.findall(r"`([a-z_/]+\.py)::(test_\w+)`", (HERE / "README.md").read_text())))


def defined_in(path):
    return set(re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE))


@pytest.mark.parametrize("file", sorted({file for file, _ in NAMED}))
def test_every_test_that_the_page_names_exists(file):
    named = {name for where, name in NAMED if where == file}
    assert named <= defined_in(TESTS / file)


def test_every_test_of_this_folder_stands_on_the_page():
    written = {
        name
        for path in HERE.glob("test_*.py")
        if path.name != "test_inventory.py"
        for name in defined_in(path)
    }
    on_page = {name for file, name in NAMED if file.startswith("telemetry/hostile/")}
    assert written - on_page == {"test_when_the_first_certificate_expires_is_a_figure"}


def test_the_tables_alone_hold_sixty_cases_and_all_differ():
    names = [trouble.name for trouble in TROUBLES]
    names += [*ANSWERS, *CONVERSATIONS, *SERVERS]
    names += [f"stop: {name}" for name in FAULTS]
    assert len(set(names)) == len(names) >= 60
