"""The tutorials work, word for word."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.house.sources import ROOT
from tests.tutorials.pages import BASH
from townlet_adapters.telemetry.ranges import RangeSet

BLOCK = re.compile(r"^```sh(?: terminal (?P<terminal>\w+))?\n(?P<lines>.*?)^```", re.MULTILINE | re.DOTALL)
LIMIT = 90.0


class Reader:
    """Somebody who types what a page says, in a folder of their own, each long-running line in a terminal."""

    def __init__(self, page: Path, folder: Path) -> None:
        self._blocks = list(BLOCK.finditer(page.read_text(encoding="utf-8")))
        self._folder = folder
        self._environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "NO_COLOR": "1",
        }
        self._terminals: list[subprocess.Popen[bytes]] = []
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = str(probe.getsockname()[1])

    def follow(self) -> Iterator[str]:
        """Type one block after the other; what a block says to the reader is given between."""
        for block in self._blocks:
            # A port of its own, for other tests that run beside this one.
            lines = block["lines"].replace("7443", self._port)
            if block["terminal"]:
                with (self._folder / f"{block['terminal']}.log").open("ab") as log:
                    self._terminals.append(
                        subprocess.Popen(
                            [BASH, "-c", f"exec {lines}"],
                            cwd=self._folder,
                            env=self._environment,
                            stdout=log,
                            stderr=log,
                        )
                    )
                yield f"terminal {block['terminal']}"
            else:
                done = subprocess.run(
                    [BASH, "-euc", lines],
                    cwd=self._folder,
                    env=self._environment,
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=LIMIT,
                )
                assert done.returncode == 0, f"{lines}\n{done.stdout}{done.stderr}{self.logs()}"
                self._await_ends(lines)
                yield lines

    def _await_ends(self, lines: str) -> None:
        """Wait until each process whose pid file a line names has ended."""
        for name in re.findall(r'kill -\w+ "\$\(cat (\w+\.pid)\)"', lines):
            pid = int((self._folder / name).read_text())
            (process,) = (each for each in self._terminals if each.pid == pid)
            process.wait(LIMIT)

    def logs(self) -> str:
        """What was said in the terminals."""
        return "".join(f"\n--- {log.name}\n{log.read_text()}" for log in sorted(self._folder.glob("*.log")))

    def leave(self) -> None:
        """Close every terminal."""
        for each in self._terminals:
            each.kill()
            each.wait()


def wait_until(condition, reader, what):
    give_up = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < give_up, f"{what} did not happen{reader.logs()}"
        time.sleep(0.05)


PAGES = sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md"))


@pytest.mark.parametrize("page", PAGES)
def test_no_page_ends_a_process_by_its_name(page):
    """A name or pattern also finds processes of other users and of other programs."""
    assert re.findall(r"\b(?:pkill|killall|pgrep)\b", (ROOT / page).read_text(encoding="utf-8")) == []


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the tutorial makes certificates with openssl")
def test_the_remote_tutorial_loses_nothing(tmp_path):
    reader = Reader(ROOT / "docs" / "tutorials" / "remote.md", tmp_path)
    collected, spool = tmp_path / "collected", tmp_path / "spool"

    def stored():
        return sum(path.stat().st_size for path in collected.glob("*.ndjson"))

    def spooled():
        listed = subprocess.run(
            [Path(sys.executable).parent / "townlet", "spool", "ls", spool, "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
        return json.loads(listed.stdout)[0]["events"] if listed.returncode == 0 else -1

    try:
        said = reader.follow()
        for lines in said:
            if lines == "terminal collector" and not stored():
                wait_until(lambda: list(tmp_path.glob("collector.log")), reader, "a start")
            elif lines == "terminal town":
                wait_until(stored, reader, "a first event at the collector")
            elif lines == "terminal collector":
                before = stored()
                wait_until(lambda before=before: stored() > before, reader, "the collector's second start")
            elif "--report" in lines:
                break
    finally:
        reader.leave()
    report = subprocess.run(
        [Path(sys.executable).parent / "townlet", "collect", "--report", collected, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert report.returncode == 0, report.stdout + report.stderr
    assert spooled() == 0
    files = sorted(collected.glob("*.ndjson"))
    assert len(files) == 2
    assert_nothing_is_missing(files)


def assert_nothing_is_missing(files):
    """Without believing the report: every number of every source is there once, or a record names it."""
    stored, declared = {}, {}
    for path in files:
        for event in map(json.loads, path.read_text().splitlines()):
            numbers = stored.setdefault(event["source"], RangeSet())
            assert int(event["id"]) not in numbers
            numbers.add(int(event["id"]))
            if event["type"] == "townlet.telemetry.loss":
                for first, last in event["data"]["ranges"]:
                    declared.setdefault(event["data"]["source"], RangeSet()).add(first, last)
    for source, numbers in stored.items():
        known = RangeSet([*numbers, *declared.get(source, ())])
        assert [each.first for each in known] == [0]
        assert numbers.count() > 100
