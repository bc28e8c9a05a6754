"""Creates a new plugin package from templates: its names and its files."""

import importlib.util
import keyword
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from types import MappingProxyType
from typing import Final

import importlib_metadata

from townlet_core.errors import OutputError
from townlet_core.events.schema import RESERVED_FAMILIES, RESERVED_KINDS, family_of
from townlet_plugins.allowlist import normalised
from townlet_plugins.catalogue import BUILTIN, load_catalogue
from townlet_plugins.listing import OWN_DISTRIBUTION

CHOOSE_OUT: Final = "choose another folder with --out"
"""What commands with the option ``--out`` say when the folder exists."""
_SUFFIX: Final = ".in"
_USAGE: Final = "usage.yaml.in"
_PREFIX: Final = f"{OWN_DISTRIBUTION}-"
# PEP 508; the allowlist is less strict about the last character.
_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)

_NO_TEXT: Final = frozenset({"null", "true", "false"})
"""Lower-case names that YAML reads as values."""


class NameTakenError(ValueError):
    """A name that a plugin package cannot have."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of package.

    Attributes:
        description: what its example does, in one sentence.
        imports: distributions that it imports beside Townlet, with their bounds.
    """

    description: str
    imports: tuple[str, ...]


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "sink": Kind("A Townlet sink that counts what happens.", ("pydantic>=2.12,<3",)),
        "policy": Kind(
            "A Townlet policy of residents who now and then do something.",
            ("numpy>=2.2,<3", "pydantic>=2.12,<3"),
        ),
        "world": Kind(
            "A Townlet world: a corridor that walkers go up and down.",
            ("numpy>=2.2,<3", "pydantic>=2.12,<3"),
        ),
        "stage": Kind(
            "A Townlet stage: a curfew during which every agent waits.",
            ("numpy>=2.2,<3", "pydantic>=2.12,<3"),
        ),
        "hooks": Kind("Townlet hooks that keep the hot water off at night.", ()),
    }
)


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a new package.

    Attributes:
        distribution: its name in an index.
        module: its name in Python.
        entry_point: its name in configs, events and manifests.
    """

    distribution: str
    module: str
    entry_point: str


def names_of(name: str) -> Names:
    """Return the names of a package.

    Raises:
        NameTakenError: when the name is not valid, or one of the names is taken.
    """
    if not _NAME.fullmatch(name):
        raise NameTakenError(
            f"'{name}' is not a name for a package; allowed: ASCII letters and digits, . _ - between them"
        )
    distribution = normalised(name)
    module, entry_point = distribution.replace("-", "_"), distribution.removeprefix(_PREFIX).replace("-", "_")
    if not module.isidentifier() or keyword.iskeyword(module) or not entry_point.isidentifier():
        raise NameTakenError(
            f"'{name}' does not give a name for a module; allowed: a name like {_PREFIX}bakery"
        )
    if entry_point in _NO_TEXT:
        raise NameTakenError(
            f"'{name}' would be called '{entry_point}' in configs, which YAML reads as a value; "
            "choose another name"
        )
    if distribution == OWN_DISTRIBUTION:
        raise NameTakenError(f"'{name}' is reserved; allowed: a name like {_PREFIX}bakery")
    if module in sys.stdlib_module_names or importlib.util.find_spec(module) is not None:
        raise NameTakenError(f"'{name}' would contain a module '{module}', which exists; choose another name")
    catalogue = load_catalogue()
    rows = [row for row in catalogue.rows if row.state == BUILTIN]
    ours = {text for row in rows for text in (row.name, row.entry_point)}
    ours |= {family_of(kind) for kind in (*catalogue.events.classes, *RESERVED_KINDS)} | RESERVED_FAMILIES
    if entry_point in ours:
        raise NameTakenError(
            f"'{name}' would be called '{entry_point}' in configs, which is built in; choose another name"
        )
    return Names(distribution, module, entry_point)


def render(names: Names, kind: str) -> dict[str, bytes]:
    """Fill in the templates of a kind; return the content of each file by its path."""
    templates = resources.files(__package__) / "templates"
    imports = (f"{OWN_DISTRIBUTION}>={importlib_metadata.version(OWN_DISTRIBUTION)}", *KINDS[kind].imports)
    values = {
        "distribution": names.distribution,
        "module": names.module,
        "entry_point": names.entry_point,
        "description": KINDS[kind].description,
        "dependencies": ", ".join(f'"{each}"' for each in sorted(imports)),
    }
    texts = dict((*_texts(templates / "common"), *_texts(templates / kind)))
    values["usage"] = Template(texts.pop(_USAGE)).substitute(values).rstrip()
    return {
        path.removesuffix(_SUFFIX).replace("__module__", names.module): _fill(text, values)
        for path, text in sorted(texts.items())
    }


def write(files: Mapping[str, bytes], folder: Path, choose: str) -> None:
    """Write files into a new folder, all of them or none.

    Args:
        files: name -> content.
        folder: the folder.
        choose: how to choose another folder, for the message when this one exists.

    Raises:
        OutputError: when the folder exists, or cannot be written.
    """
    try:
        if folder.exists() or folder.is_symlink():
            raise OutputError(f"{folder} exists; {choose}")
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            for name, data in files.items():
                path = draft / "new" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            (draft / "new").rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}") from error


def _fill(text: str, values: Mapping[str, str]) -> bytes:
    return Template(text).substitute(values).encode()


def _texts(folder: Traversable, base: str = "") -> Iterator[tuple[str, str]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _texts(entry, f"{base}{entry.name}/")
        else:
            yield f"{base}{entry.name}", entry.read_text(encoding="utf-8")
