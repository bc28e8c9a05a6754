"""Real wheels, small and some of them hostile: built, and unpacked as an installer does."""

import csv
import hashlib
import io
import itertools
import zipfile
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from pathlib import Path

from townlet_plugins.allowlist import Permit

SINK = """\
from pydantic import BaseModel
from townlet_core.testing.fakes import CollectingSink
from townlet_plugins import hookimpl
from townlet_plugins.factory import Factory

class Options(BaseModel, extra="forbid"):
    label: str = "none"

def build(options, context):
    return CollectingSink(NAME)

@hookimpl
def townlet_sinks():
    return (Factory(NAME, Options, build, "keeps messages in memory"),)
"""
"""A plugin that does all right; ``NAME`` is set before."""

_NUMBERS = itertools.count(1)


def row(path: str, data: bytes) -> tuple[str, str, str]:
    """A row of RECORD."""
    digest = urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return path, f"sha256={digest}", str(len(data))


def spell(rows) -> bytes:
    """The text of a RECORD."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


@dataclass
class Package:
    """A distribution to build; every one has modules of its own, since a process imports a module once.

    Attributes:
        canary: file that importing any of its modules writes.
    """

    canary: Path
    distribution: str = "townlet-bakery"
    version: str = "1.0"
    entry_point: str = "bakery"
    source: str = SINK
    files: dict[str, bytes] = field(default_factory=dict)
    target: str = ""
    module: str = field(default_factory=lambda: f"bakery_{next(_NUMBERS)}")
    lines: str = ""

    @property
    def info(self) -> str:
        return f"{self.distribution.replace('-', '_')}-{self.version}.dist-info"

    @property
    def permit(self) -> Permit:
        return Permit(self.distribution, self.entry_point)

    def crying(self, source: str = "") -> bytes:
        """A module that leaves a trace when it is imported."""
        cry = f"import pathlib\npathlib.Path({str(self.canary)!r}).write_text(__name__)\n"
        return f"{cry}NAME = {self.module!r}\n{source}".encode()

    def content(self) -> dict[str, bytes]:
        """Every file of the wheel but RECORD."""
        entry_points = self.lines or (
            f"[console_scripts]\n{self.entry_point}-tool = {self.module}:main\n\n"
            f"[townlet.plugins]\n{self.entry_point} = {self.target or self.module}\n"
        )
        metadata = f"Metadata-Version: 2.1\nName: {self.distribution}\nVersion: {self.version}\n"
        return {
            f"{self.module}/__init__.py": self.crying(self.source),
            f"{self.module}/late.py": b"SAID = 'as it was'\n",
            f"{self.module}/data/word.txt": b"as it was",
            **self.files,
            f"{self.info}/METADATA": metadata.encode(),
            f"{self.info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{self.info}/entry_points.txt": entry_points.encode(),
        }

    def wheel(self, folder: Path) -> Path:
        """Build the wheel."""
        content = self.content()
        record = f"{self.info}/RECORD"
        rows = [*(row(path, data) for path, data in content.items()), (record, "", "")]
        path = folder / f"{self.info.removesuffix('.dist-info')}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in {**content, record: spell(rows)}.items():
                archive.writestr(name, data)
        return path

    def install(self, site: Path) -> "Installed":
        """Unpack the wheel as an installer does, with its notes and a script."""
        site.mkdir(exist_ok=True)
        with zipfile.ZipFile(self.wheel(site.parent)) as archive:
            archive.extractall(site)
        installed = Installed(self, site)
        notes = {f"{self.info}/INSTALLER": b"trial\n", f"{self.info}/REQUESTED": b""}
        for name, data in notes.items():
            (site / name).write_bytes(data)
        script = (f"../../../bin/{self.entry_point}-tool", "sha256=of-no-interest", "1")
        installed.rewrite_record([script, *installed.rows(), *(row(*note) for note in notes.items())])
        return installed


@dataclass
class Installed:
    """A distribution in a folder of the path."""

    package: Package
    site: Path

    @property
    def record(self) -> Path:
        return self.site / self.package.info / "RECORD"

    def path(self, name: str) -> Path:
        """A file of the package's module."""
        return self.site / self.package.module / name

    def rows(self) -> list[tuple[str, ...]]:
        with self.record.open(newline="") as file:
            return [tuple(each) for each in csv.reader(file)]

    def rewrite_record(self, rows) -> None:
        self.record.write_bytes(spell(rows))

    def add_rows(self, *rows: tuple[str, ...]) -> None:
        self.rewrite_record([*self.rows(), *rows])

    def update_record(self) -> None:
        """Make RECORD fit what lies there now, as a thorough attacker would."""
        self.rewrite_record(
            row(each[0], (self.site / each[0]).read_bytes()) if each[1] and ".." not in each[0] else each
            for each in self.rows()
        )
