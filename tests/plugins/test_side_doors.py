"""Dependencies look for entry points of their own; whatever is installed, they find none and import none."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from importlib_metadata import distribution
from packaging.requirements import Requirement

from tests.plugins.conftest import BASE
from tests.plugins.wheels import Package
from townlet_adapters.guards import NUMBA_VARIABLES

DOORS = {
    "pydantic": (
        "pydantic",
        "any",
        "from pydantic import BaseModel\nclass Model(BaseModel):\n    number: int",
    ),
    "numba": ("numba_extensions", "init", "import numba\nassert numba.njit(lambda: 1)() == 1"),
    "pygments lexers": (
        "pygments.lexers",
        "any",
        "from pygments.lexers import get_all_lexers\nlist(get_all_lexers())",
    ),
    "pygments formatters": (
        "pygments.formatters",
        "any",
        "from pygments.formatters import get_all_formatters\nlist(get_all_formatters())",
    ),
    "pygments styles": (
        "pygments.styles",
        "any",
        "from pygments.styles import get_all_styles\nlist(get_all_styles())",
    ),
    "pygments filters": (
        "pygments.filters",
        "any",
        "from pygments.filters import get_all_filters\nlist(get_all_filters())",
    ),
}
"""Every group that a locked dependency looks up: the group, the name it asks for, code that makes it look."""

LOOKS = re.compile(r"entry_points|pkg_resources|stevedore|walk_packages|iter_modules")
KNOWN_LOOKS = {
    "importlib-metadata: importlib_metadata/__init__.py",  # what ours is read with
    "numba: numba/core/entrypoints.py",  # replaced
    "numba: numba/misc/help/inspector.py",  # a tool for numba's own modules, which we do not call
    "pluggy: pluggy/_manager.py",  # asked for by a method that we do not call
    "pydantic: pydantic/plugin/_loader.py",  # switched off
    "pygments: pygments/plugin.py",  # replaced
}


@pytest.fixture
def canary(tmp_path):
    return tmp_path / "canary"


@pytest.fixture
def crowded(tmp_path, canary):
    """A folder with a package for every door, and one whose entry points are not text."""
    site = tmp_path / "crowded"
    for number, (group, name, _) in enumerate(DOORS.values()):
        package = Package(canary, f"guest-{number}", entry_point=name)
        package.source = "\ndef main():\n    pass\n"
        package.lines = f"[{group}]\n{name} = {package.module}:main\n"
        package.install(site)
    broken = Package(canary, "broken")
    (broken.install(site).record.parent / "entry_points.txt").write_bytes(b"[townlet.plugins]\n\xff = \xfe\n")
    return site


def python(site: Path, code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONWARNINGS": "ignore"}
    environment.pop("PYDANTIC_DISABLE_PLUGINS", None)
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def only(canary, door, site) -> Path:
    """A folder with a package for one door."""
    group, name, _ = DOORS[door]
    package = Package(canary, "guest", entry_point=name, source="\ndef main():\n    pass\n")
    package.lines = f"[{group}]\n{name} = {package.module}:main\n"
    return package.install(site).site


@pytest.mark.parametrize("door", DOORS)
def test_a_dependency_finds_no_entry_points_once_townlet_is_imported(door, tmp_path, canary):
    site, code = only(canary, door, tmp_path / "site"), DOORS[door][2]
    without = python(site, code, tmp_path)
    assert canary.exists(), f"the trap does not work: {without.stderr}"
    canary.unlink()
    done = python(site, f"import townlet_adapters\n{code}", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert not canary.exists()


def test_an_environment_that_turns_the_plugins_of_pydantic_on_is_overruled(tmp_path, canary):
    site = only(canary, "pydantic", tmp_path / "site")
    code = "import os\nos.environ['PYDANTIC_DISABLE_PLUGINS'] = 'other'\nimport townlet_adapters\n"
    assert python(site, code + DOORS["pydantic"][2], tmp_path).returncode == 0
    assert not canary.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--ticks", "2", "--no-out", "--quiet", "pinned.yaml"),
        ("plugins", "list"),
        ("plugins", "list", "--config", "pinned.yaml"),
        ("plugins", "verify", "pinned.yaml"),
        ("config", "check", "pinned.yaml"),
        ("config", "show", "pinned.yaml"),
        ("config", "schema"),
        ("schema", "events"),
        ("spool", "ls", "."),
        ("warmup",),
    ],
    ids=" ".join,
)
def test_no_command_imports_what_is_installed_and_not_allowed(process, crowded, canary, arguments):
    (process.folder / "pinned.yaml").write_text(f"{BASE}plugins:\n  require_pins: true\n")
    process.path = [crowded]
    code, _, err = process(*arguments)
    assert code == (2 if arguments[0] == "spool" else 0), err  # there is no outbox
    assert "Traceback" not in err
    assert not canary.exists()


WORKER = """\
import multiprocessing, sys

def work(_):
    import townlet_adapters
    {code}

if __name__ == "__main__":
    import townlet_adapters
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.map(work, [0])
"""


@pytest.mark.parametrize("door", ["pydantic", "numba"])
def test_a_spawned_worker_finds_no_entry_points_either(tmp_path, canary, door):
    site = only(canary, door, tmp_path / "site")
    script = tmp_path / "script.py"
    script.write_text(WORKER.format(code=DOORS[door][2].replace("\n", "\n    ")))
    environment = {**os.environ, "PYTHONPATH": str(site)}
    environment.pop("PYDANTIC_DISABLE_PLUGINS", None)
    done = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not canary.exists()


def test_where_plugins_of_pydantic_are_off_a_broken_list_of_entry_points_ends_no_import(tmp_path):
    site = tmp_path / "site"
    broken = Package(tmp_path / "canary", "broken").install(site)
    (broken.record.parent / "entry_points.txt").write_bytes(b"[pydantic]\n\xff = \xfe\n")
    code = DOORS["pydantic"][2]
    assert "UnicodeDecodeError" in python(site, code, tmp_path).stderr
    assert python(site, f"import townlet_adapters\n{code}", tmp_path).returncode == 0


def runtime() -> set[str]:
    """Names of all distributions that running needs, by what the installed ones require."""
    found: set[str] = set()
    waiting = ["townlet"]
    while waiting:
        name = waiting.pop()
        for line in distribution(name).requires or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                waiting += [needed.name.lower()] if needed.name.lower() not in found else []
                found.add(needed.name.lower())
    return found


@pytest.mark.parametrize(
    ("name", "text", "arguments"),
    [
        (".numba_config.yaml", "cache_locator_classes: evil.Locator\n", ("config", "check", "plain.yaml")),
        (".numba_config.yaml", "disable_jit: 1\n", ("run", "--ticks", "1", "--no-out")),
        (".numba_config.yaml", "", ("plugins", "list")),
        ("NUMBA_CACHE_LOCATOR_CLASSES", "evil.Locator", ("run", "--ticks", "1", "--no-out")),
        ("NUMBA_CUDA_DRIVER", "evil.so", ("warmup",)),
        ("NUMBA_CACHE_DIRS", "cache", ("schema", "events")),
        ("NUMBA_", "1", ("collect", "--report", ".")),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else value[:20],
)
def test_settings_of_numba_that_can_name_code_end_every_command(process, name, text, arguments):
    (process.folder / "plain.yaml").write_text(BASE)
    (process.folder / "evil.py").write_text(f"open({str(process.folder / 'ran')!r}, 'w')\n")
    process.path = [process.folder]
    if name.startswith("."):
        (process.folder / name).write_text(text)
        told = f"error: {process.folder / name} is refused: numba reads it"
    else:
        process.more = {name: text}
        told = f"error: the environment variable {name} is refused: "
    code, out, err = process(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(told)
    assert len(err.splitlines()) == 1
    assert not (process.folder / "ran").exists()


def test_a_link_that_leads_nowhere_is_refused_as_a_settings_file_of_numba_too(process):
    (process.folder / ".numba_config.yaml").symlink_to("later.yaml")
    assert process("plugins", "list")[0] == 2


def test_help_is_there_whatever_the_settings_of_numba_are(process):
    (process.folder / ".numba_config.yaml").write_text("disable_jit: 1\n")
    assert process("--help")[0] == 0
    assert process("--version")[0] == 0


def test_settings_of_numba_are_refused_when_the_town_is_imported_from_python(tmp_path):
    (tmp_path / ".numba_config.yaml").write_text("disable_jit: 1\n")
    code = (
        "from townlet_core.errors import EnvironmentRefusedError\n"
        "try:\n    import townlet_adapters.kernels.draws\n"
        "except EnvironmentRefusedError as error:\n    print(error)\n"
    )
    done = python(tmp_path, code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"{tmp_path / '.numba_config.yaml'} is refused" in done.stdout


@pytest.mark.parametrize("variable", sorted(NUMBA_VARIABLES))
def test_settings_of_numba_that_name_no_code_are_allowed(process, variable):
    process.more = {variable: "1"}
    assert process("plugins", "list")[0] == 0


DUMPED_LATER = """\
import pathlib
from townlet_adapters.kernels.compiler import entry_kernel

@entry_kernel
def one():
    return 1

pathlib.Path(".numba_config.yaml").write_text("dump_bytecode: 1\\n")
print(one())
"""


def test_a_settings_file_of_numba_that_appears_after_the_start_is_not_read(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(DUMPED_LATER)
    done = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


@pytest.mark.parametrize("start", [["-m"], ["-Wignore", "-m"], ["-X", "utf8", "-m"]], ids=" ".join)
def test_modules_of_the_working_directory_are_not_ours_to_import_with_dash_m(tmp_path, start):
    for name in ("pydantic", "h11", "click"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    command = [sys.executable, *start, "townlet_adapters.cli.main"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "ran").exists()


def test_a_module_of_another_program_that_imports_townlet_keeps_its_working_directory(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/__init__.py").write_text("import townlet_adapters\n")
    (tmp_path / "mine/main.py").write_text("import beside\n")
    (tmp_path / "beside.py").write_text("print('found')\n")
    command = [sys.executable, "-m", "mine.main", "townlet"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "found\n")


def looks(text: str) -> bool:
    """Whether a module's code, its comments aside, looks up what is installed."""
    if not LOOKS.search(text):
        return False
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Call(func=ast.Name(id=name)) | ast.Call(func=ast.Attribute(attr=name)):
                names = [name]
            case ast.Attribute(attr=name):
                names = [name]
            case ast.Import(names=found):
                names = [each.name for each in found]
            case ast.ImportFrom(module=module):
                names = [module or ""]
            case _:
                names = []
        if any(LOOKS.fullmatch(name.partition(".")[0]) for name in names):
            return True
    return False


def test_no_locked_dependency_looks_for_entry_points_in_a_place_that_is_not_closed():
    found = {
        f"{name}: {path}"
        for name in runtime()
        for path in distribution(name).files or ()
        if path.suffix == ".py" and "tests" not in path.parts and looks(path.read_text("utf-8"))
    }
    assert found == KNOWN_LOOKS
