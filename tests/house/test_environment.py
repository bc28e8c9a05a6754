"""Nothing runs at the start of Python that nobody asked for: the environment is what the lock made it."""

import hashlib
import importlib.util
import site
import sys
import sysconfig
from base64 import urlsafe_b64encode
from pathlib import Path

import importlib_metadata
import pytest

KNOWN = {
    # The checkout itself, by its path.
    ("townlet", "_editable_impl_townlet.pth"),
    # `python -m venv` brings setuptools up to Python 3.11; the line hands `distutils` to it.
    ("setuptools", "distutils-precedence.pth"),
}
FOLDERS = [Path(folder) for folder in site.getsitepackages()]


def path_files() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in folder.glob("*.pth"))


def owners() -> dict[str, tuple[str, str]]:
    """Each file at the top of an installed distribution: who says it is theirs, and its hash."""
    return {
        str(file): (dist.name, file.hash.value if file.hash else "")
        for dist in importlib_metadata.distributions()
        for file in dist.files or ()
        if len(file.parts) == 1
    }


def test_every_path_file_is_known_and_is_what_its_owner_installed():
    known = owners()
    found = {(known.get(path.name, ("nobody", ""))[0], path.name) for path in path_files()}
    assert found <= KNOWN
    for path in path_files():
        digest = urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
        assert digest == known[path.name][1], f"{path} is not as it was installed"


def test_our_own_path_file_runs_nothing():
    lines = [
        line for path in path_files() if "townlet" in path.name for line in path.read_text().splitlines()
    ]
    assert lines
    assert [line for line in lines if line.startswith(("import ", "import\t"))] == []


@pytest.mark.parametrize("name", ["sitecustomize", "usercustomize"])
def test_no_start_up_module_but_the_systems_own_is_found(name):
    spec = importlib.util.find_spec(name)
    stdlib = Path(sysconfig.get_path("stdlib")).resolve()
    # Debian's is a link to a file in /etc: where it is found counts.
    assert spec is None or Path(spec.origin).parent.resolve() == stdlib


def test_the_environment_is_one_of_its_own():
    assert sys.prefix != sys.base_prefix
    assert not site.ENABLE_USER_SITE
