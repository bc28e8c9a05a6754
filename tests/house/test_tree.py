"""What lies in the repository works for anyone, anywhere."""

import re

import pytest

from tests.house.sources import ROOT, project_files

FOREIGN = [
    re.compile(r"(?<![\w.])/(?:root|work)/[a-z.]"),
    re.compile(r"(?<![\w.])/(?:home|Users)/[a-z]"),
    re.compile(r"\b(?:pypi|pythonhosted|registry\.npmjs|deb\.debian)\.org\b"),
]
ADRS = sorted((ROOT / "ADR").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md")), *ADRS]
BINARY = {".npz", ".gz", ".png"}


def test_no_file_names_a_machine_or_a_registry():
    found = []
    for path in project_files():
        if path.suffix in BINARY:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            found += [
                f"{path.relative_to(ROOT)}:{number}: {line.strip()}" for mark in FOREIGN if mark.search(line)
            ]
    assert found == []


@pytest.mark.parametrize(
    ("template", "word"),
    [
        ("cd /{}/project", "root"),
        ("see /{}/ann", "home"),
        ("https://{}.org/simple", "pypi"),
        ("files.{}.org", "pythonhosted"),
    ],
)
def test_a_machine_or_a_registry_would_be_found(template, word):
    assert any(mark.search(template.format(word)) for mark in FOREIGN)


def test_nothing_generated_is_in_the_repository():
    generated = {"__pycache__", ".venv", "build", "dist", "runs"}
    assert [path for path in project_files() if generated & set(path.relative_to(ROOT).parts)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_to_a_file_leads_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)", text)
    dead = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert dead == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_make_target_that_a_page_names_exists(page):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)\b", page.read_text(encoding="utf-8"), re.MULTILINE))
    assert named - targets == set()


def test_the_readme_tells_the_two_commands():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "make run" in readme
    assert "make test" in readme


@pytest.mark.parametrize("adr", ADRS, ids=lambda adr: adr.stem)
def test_every_decision_record_is_one_page_with_four_headings(adr):
    text = adr.read_text(encoding="utf-8")
    assert text.startswith(f"# {int(adr.stem[:4])}. ")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Status", "Context", "Decision", "Consequences"]
    assert len(text.split()) <= 450


def test_ci_runs_make_check_and_nothing_else():
    lines = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    commands = [line for line in lines if line and not line.startswith(("#", "set ", "cd ", "export "))]
    assert commands == ["exec make --no-print-directory check"]
