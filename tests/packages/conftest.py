"""One fresh environment for all packages: made from the lock and from wheels, without the checkout.

It holds what `make setup` installs, at the same versions and hashes, but Townlet itself as the wheel that
a release would be, the examples, the market, and a package of each kind as `townlet plugins new` writes it.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.house.sources import ROOT

collect_ignore_glob = ["townlet-*"]
"""The market's own tests run where the market is installed."""

SHIPPED = [
    ROOT / "examples/townlet-bakery",
    ROOT / "examples/townlet-sink-sqlite",
    ROOT / "tests/packages/townlet-market",
]
NEW = {
    "sink": "townlet-tally",
    "policy": "townlet-wanderer",
    "world": "townlet-corridor",
    "stage": "townlet-curfew",
    "hooks": "townlet-hot-water",
}
"""What `townlet plugins new` writes, by kind."""


@dataclass(frozen=True)
class Environment:
    """A folder with a virtual environment, and the sources of the packages that are installed in it."""

    folder: Path

    @property
    def packages(self) -> Path:
        return self.folder / "packages"

    def run(
        self, *command: object, cwd: Path | None = None, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one of the environment's programs, with a text to read.

        The kernels stay interpreted: to compile them takes longer than all these runs.
        """
        program, *arguments = map(str, command)
        kept = {"PATH", "HOME", "TMPDIR", "UV_CACHE_DIR", "UV_CONFIG_FILE", "UV_DEFAULT_INDEX"}
        variables = {name: value for name, value in os.environ.items() if name in kept}
        return subprocess.run(
            [str(self.folder / "venv/bin" / program), *arguments],
            cwd=cwd or self.folder,
            env=variables | {"NUMBA_DISABLE_JIT": "1", "NO_COLOR": "1"},
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )

    def townlet(self, *arguments: object, cwd: Path | None = None) -> str:
        """Run a command that must succeed; gives its standard output."""
        done = self.run("townlet", *arguments, cwd=cwd)
        assert done.returncode == 0, done.stderr or done.stdout
        return done.stdout


def uv(*arguments: object) -> None:
    """Run the installer that `make setup` has brought, with the settings it had there."""
    command = [str(Path(sys.prefix) / "bin/uv"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def build(source: Path, wheels: Path) -> None:
    """Build a wheel with the locked build backend; the network is not asked."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(wheels)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def install(python: Path, wheels: Path, *names: str) -> None:
    """Install wheels from a folder and from nowhere else; what they depend on must be there."""
    uv(
        "pip",
        "install",
        "--quiet",
        "--offline",
        "--no-index",
        "--find-links",
        wheels,
        "--python",
        python,
        *names,
    )
    uv("pip", "check", "--quiet", "--python", python)


def make(folder: Path) -> Environment:
    """Make the environment."""
    environment, wheels, python = Environment(folder), folder / "wheels", folder / "venv/bin/python"
    uv("venv", "--quiet", "--python", sys.executable, folder / "venv")
    lock = ROOT / "requirements.lock"
    uv("pip", "install", "--quiet", "--no-deps", "--require-hashes", "--python", python, "-r", lock)
    build(ROOT, wheels)
    install(python, wheels, "townlet")
    for source in SHIPPED:
        ignore = shutil.ignore_patterns("__pycache__", "dist", ".*")
        shutil.copytree(source, environment.packages / source.name, ignore=ignore)
    for kind, name in NEW.items():
        environment.townlet("plugins", "new", name, "--kind", kind, cwd=environment.packages)
    sources = sorted(environment.packages.iterdir())
    for source in sources:
        build(source, wheels)
    install(python, wheels, *(source.name for source in sources))
    return environment


@pytest.fixture(scope="session")
def environment(tmp_path_factory) -> Environment:
    """The environment; the first of pytest's workers makes it, the others wait for that."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "packages"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            make(folder)
            (folder / "made").touch()
    return Environment(folder)
