"""What the door costs, in CPU time: listing many distributions, and verifying and loading a pinned one.

Run it with ``python benchmarks/plugins.py --help``.
"""  # noqa: INP001 - a script, not a package

import argparse
import hashlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from townlet_plugins.allowlist import NOBODY, Allowlist, Permit
from townlet_plugins.catalogue import load_catalogue
from townlet_plugins.integrity import read_content
from townlet_plugins.listing import list_entry_points

PLUGIN: Final = """\
from townlet_plugins import hookimpl
from townlet_plugins.factory import Factory

class Options:
    model_validate_json = model_json_schema = model_dump = None

@hookimpl
def townlet_sinks():
    return (Factory("sink_{number}", Options, print),)
"""


def install(site: Path, number: int, modules: int, *, plugin: bool) -> None:
    """Put a distribution of some modules there, with metadata as long as it usually is."""
    name, info = f"trial_{number}", f"trial_{number}-1.0.dist-info"
    files = {f"{name}/module_{each}.py": b"VALUE = 1\n" * 100 for each in range(modules)}
    files[f"{name}/__init__.py"] = PLUGIN.format(number=number).encode()
    group = "townlet.plugins" if plugin else "console_scripts"
    files[f"{info}/entry_points.txt"] = f"[{group}]\ntrial_{number} = {name}\n".encode()
    classifiers = b"Classifier: Programming Language :: Python :: 3\n" * 20
    head = f"Metadata-Version: 2.1\nName: trial-{number}\nVersion: 1.0\n".encode()
    files[f"{info}/METADATA"] = head + classifiers + b"\n" + b"A page about the package.\n" * 200
    for path, data in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_bytes(data)
    (site / info / "RECORD").write_text(_record(files, info))


def _record(files: Mapping[str, bytes], info: str) -> str:
    rows = [f"{path},sha256={_hash(data)},{len(data)}" for path, data in files.items()]
    return "\n".join([*rows, f"{info}/RECORD,,"]) + "\n"


def _hash(data: bytes) -> str:
    return urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def list_seconds(site: Path, processes: int) -> float:
    """Measure ``townlet plugins list`` in processes of its own; the cheapest counts."""
    command = [Path(sys.executable).parent / "townlet", "plugins", "list"]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    costs = []
    for _ in range(processes):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True, env=environment)  # noqa: S603 - our own command
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        costs.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(costs)


def load_seconds(permits: tuple[Permit, ...]) -> float:
    """Measure what letting somebody in adds to a catalogue without."""
    started = time.process_time()
    load_catalogue(NOBODY)
    alone = time.process_time() - started
    started = time.process_time()
    catalogue = load_catalogue(Allowlist(permits, require_pins=True))
    both = time.process_time() - started
    if catalogue.faults:
        raise SystemExit(catalogue.faults[0].reason)
    return both - alone


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--distributions", type=int, default=300, help="how many are installed beside ours")
    parser.add_argument("--plugins", type=int, default=30, help="how many of them offer plugins")
    parser.add_argument("--modules", type=int, default=50, help="modules of each plugin")
    parser.add_argument("--processes", type=int, default=5, help="how often the list is started")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder)
        for number in range(options.distributions):
            plugin = number < options.plugins
            install(site, number, options.modules if plugin else 0, plugin=plugin)
        empty = site / "empty"
        empty.mkdir()
        sys.stdout.write(
            f"plugins list, nothing beside ours  {list_seconds(empty, options.processes):8.3f} s\n"
        )
        seconds = list_seconds(site, options.processes)
        sys.stdout.write(f"plugins list, {options.distributions:4} distributions  {seconds:8.3f} s\n")
        sys.path.insert(0, folder)
        load_catalogue()
        listings = [each for each in list_entry_points() if not each.builtin]
        permits = tuple(
            Permit(each.distribution, each.entry_point, content_sha256=read_content(each).sha256)
            for each in listings[:11]
        )
        sys.stdout.write(f"loading one pinned package         {load_seconds(permits[:1]):8.4f} s\n")
        sys.stdout.write(f"loading ten more                   {load_seconds(permits):8.4f} s\n")


if __name__ == "__main__":
    main()
