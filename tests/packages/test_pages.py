"""The pages on plugins show what runs: every Python block is a file of a package that the other tests use.

To bring the pages up to date after an edit of the templates:

python -c "from tests.packages.test_pages import renew; renew()"
"""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.house.sources import ROOT
from tests.packages.conftest import NEW
from townlet_adapters.cli import scaffold

PAGES = ROOT / "docs/plugins"
WRITING = PAGES / "writing.md"
BLOCK = re.compile(r"(?ms)^(?P<said>`[^\n]*)\n\n```python\n(?P<code>.*?)```$")


def written(said: str) -> bytes:
    """The file that a line names: `src/townlet_tally/sink.py`, or `tests/test_run.py` of `townlet-tally`."""
    path, *of = re.findall(r"`([^`]*)`", said)
    name = of[0] if of else path.split("/")[1].replace("_", "-")
    kind = next(kind for kind, package in NEW.items() if package == name)
    module = name.replace("-", "_")
    names = scaffold.Names(name, module, module.removeprefix("townlet_"))
    return scaffold.render(names, kind)[path]


def renew() -> None:
    """Write the files into the page."""

    def filled(block: re.Match[str]) -> str:
        return f"{block['said']}\n\n```python\n{written(block['said']).decode()}```"

    WRITING.write_text(BLOCK.sub(filled, WRITING.read_text(encoding="utf-8")), encoding="utf-8")


def blocks() -> Iterator[re.Match[str]]:
    yield from BLOCK.finditer(WRITING.read_text(encoding="utf-8"))


def test_every_python_block_on_writing_is_a_file_that_new_writes():
    found = list(blocks())
    assert WRITING.read_text(encoding="utf-8").count("```python") == len(found) >= 10
    assert [block["said"] for block in found if block["code"].encode() != written(block["said"])] == []


def test_these_are_the_files_of_the_packages_that_are_installed_and_tested(environment):
    for block in blocks():
        path, *of = re.findall(r"`([^`]*)`", block["said"])
        name = of[0] if of else path.split("/")[1].replace("_", "-")
        assert (environment.packages / name / path).read_text(encoding="utf-8") == block["code"]


def test_a_world_a_policy_a_sink_and_a_hook_are_shown():
    shown = {block["said"] for block in blocks()}
    assert {f"`tests/test_contract.py` of `{name}`" for name in NEW.values()} <= shown


def test_no_other_page_on_plugins_has_python_that_nobody_runs():
    pages = {
        page.name: page.read_text(encoding="utf-8").count("```python") for page in sorted(PAGES.glob("*.md"))
    }
    # The first two blocks of hooks.md are run by tests/plugins, the third one below.
    assert pages == {"allowing.md": 0, "hooks.md": 3, "publishing.md": 0, "writing.md": len(list(blocks()))}


def test_the_test_that_hooks_shows_passes_for_the_bakery(environment, tmp_path):
    text = (PAGES / "hooks.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"(?ms)^```python\n(?P<code>.*?def test_.*?)```$", text.partition("## Testing")[2])
    (tmp_path / "test_page.py").write_text(code)
    done = environment.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("page", ["writing.md", "publishing.md", "allowing.md", "hooks.md"])
def test_every_command_of_the_pages_is_one(environment, page):
    text = (PAGES / page).read_text(encoding="utf-8")
    lines = re.findall(r"(?m)^(?:trial/bin/)?townlet ((?:plugins )?[a-z]+)(.*)$", text)
    for command, rest in set(lines):
        known = environment.townlet(*command.split(), "--help")
        options = re.findall(r"(?<!\S)--[a-z-]+", rest.partition("#")[0])
        assert [option for option in options if option not in known] == []


def imports_of_townlet(source: str) -> set[str]:
    """The packages of Townlet that a module imports."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    roots = {name.partition(".")[0] for name in names}
    return roots & {"townlet", "townlet_core", "townlet_plugins", "townlet_adapters"}


def sources() -> Iterator[tuple[str, str]]:
    """Every Python file of the examples, and of the packages that `townlet plugins new` writes."""
    for path in sorted((ROOT / "examples").rglob("*.py")):
        yield path.relative_to(ROOT / "examples").as_posix(), path.read_text(encoding="utf-8")
    for kind, package in NEW.items():
        for path, data in scaffold.render(scaffold.names_of(package), kind).items():
            if path.endswith(".py"):
                yield f"{package}/{path}", data.decode()


def test_a_plugin_imports_the_core_and_the_plugin_package_only_and_its_tests_the_public_face():
    found = {path: imports_of_townlet(source) for path, source in sources()}
    assert len(found) > 20
    allowed = {"townlet_core", "townlet_plugins"}
    wrong = {
        path: names - allowed - ({"townlet"} if "/tests/" in path else set()) for path, names in found.items()
    }
    assert {path: names for path, names in wrong.items() if names} == {}
