"""The files of the project, as the tests of the house look at them."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("townlet", "townlet_core", "townlet_plugins", "townlet_adapters")


def project_files() -> list[Path]:
    """All files that are, or with the next commit would be, in the repository; links are left out."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],  # noqa: S607 - git is where PATH says
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def modules(*packages: str) -> list[Path]:
    """The Python files below the named top-level folders."""
    return [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]


def tree(path: Path) -> ast.Module:
    """Parse one Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported_roots(module: ast.Module) -> Iterator[str]:
    """The top-level name of everything that a module imports, at whatever depth the statement stands."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]
