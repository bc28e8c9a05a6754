"""The units and the image's recipe: complete, hardened, and their commands do what the page says."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest

from tests.house.sources import ROOT
from tests.telemetry.certificates import Certificates
from townlet_adapters.secrets import exposure_of, read_secret
from townlet_core.errors import ConfigError

UNITS = {
    path.stem.removeprefix("townlet-"): path for path in (ROOT / "packaging" / "systemd").glob("*.service")
}
RECIPE = ROOT / "packaging" / "Containerfile"
PAGE = ROOT / "docs" / "operations" / "service.md"
VERIFIER = shutil.which("systemd-analyze")
PROGRAM = "/opt/townlet/bin/townlet"
TOKEN = "token-of-this-town-0123456789"  # noqa: S105 - of no use anywhere else
LIMIT = 240.0


def joined(path: Path) -> list[str]:
    """The lines of a unit or recipe, continued ones as one, without comments."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return [line for line in "\n".join(lines).replace("\\\n", " ").splitlines() if line.strip()]


def values(unit: str, key: str) -> list[str]:
    return [line.partition("=")[2] for line in joined(UNITS[unit]) if line.startswith(f"{key}=")]


def test_there_is_a_unit_for_a_town_and_one_for_a_collector():
    assert set(UNITS) == {"town", "collector"}


@pytest.mark.skipif(VERIFIER is None, reason="systemd is not installed")
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_finds_nothing_wrong_with_a_unit(tmp_path, unit):
    copy = tmp_path / UNITS[unit].name
    copy.write_text(UNITS[unit].read_text().replace(PROGRAM, "/bin/true"))
    done = subprocess.run(
        [str(VERIFIER), "verify", copy], capture_output=True, text=True, check=False, timeout=LIMIT
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_stops_in_good_order_and_is_not_started_again_where_that_would_not_help(unit):
    assert values(unit, "SuccessExitStatus") == ["130"]
    assert values(unit, "RestartPreventExitStatus") == ["2 3"]
    assert values(unit, "Restart") == ["on-failure"]


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_takes_away_what_its_program_does_not_need(unit):
    for key, value in {
        "User": "townlet",
        "CapabilityBoundingSet": "",
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "ProtectHome": "yes",
        "PrivateTmp": "yes",
        "PrivateDevices": "yes",
        "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
        "UMask": "0077",
    }.items():
        assert values(unit, key) == [value], key
    assert values(unit, "MemoryDenyWriteExecute") == (["yes"] if unit == "collector" else [])


@pytest.mark.parametrize("unit", UNITS)
def test_every_credential_that_is_used_is_passed_and_the_other_way_round(unit):
    passed = {value.partition(":")[0] for value in values(unit, "LoadCredential")}
    used = set(re.findall(r"\$\{CREDENTIALS_DIRECTORY\}/([\w.]+)", UNITS[unit].read_text()))
    on_page = set(re.findall(rf"/run/credentials/{UNITS[unit].name}/([\w.]+)", PAGE.read_text()))
    assert passed == used | on_page != set()


@pytest.mark.parametrize(
    ("left", "option"),
    [
        ([], "--out run"),
        ([".lock"], "--out run"),
        ([".lock", "run.json", "events.ndjson"], "--out run"),
        ([".lock", "run.json", "snapshots/.snapshot-1440.json.gz.4711.part"], "--out run"),
        ([".lock", "run.json", "snapshots/snapshot-1440.json.gz"], "--resume run"),
    ],
    ids=[
        "first-start",
        "killed-while-compiling",
        "killed-on-first-day",
        "killed-in-first-snapshot",
        "stopped",
    ],
)
def test_a_town_resumes_where_there_is_a_snapshot_and_begins_anew_where_there_is_none(tmp_path, left, option):
    for name in left:
        path = tmp_path / "run" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (line,) = values("town", "ExecStart")
    done = subprocess.run(
        shlex.split(line.replace(PROGRAM, "echo")),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=LIMIT,
    )
    assert done.stderr == ""
    assert f"run /etc/townlet/town.yaml {option} --ticks" in done.stdout
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(path.read_text() for path in kept) == sorted(left)
    assert (tmp_path / "run").exists() == (option == "--resume run")


def test_a_town_stops_before_the_collector_of_its_machine():
    """Units stop in the opposite order of their start."""
    (after,) = values("town", "After")
    assert UNITS["collector"].name in after.split()


def test_the_journal_names_the_program_and_not_the_shell_that_starts_it():
    assert values("town", "SyslogIdentifier") == ["townlet"]


class Service:
    """The command of a unit, run with the folders that systemd would give it."""

    def __init__(self, unit: str, folder: Path, etc: Path, replaced: dict[str, str]) -> None:
        self.state = folder / unit
        credentials = folder / f"{unit}.credentials"
        self.state.mkdir(exist_ok=True)
        credentials.mkdir(exist_ok=True)
        for line in values(unit, "LoadCredential"):
            name, source = line.split(":")
            target = credentials / name
            target.unlink(missing_ok=True)
            target.write_bytes((etc / Path(source).name).read_bytes())
            target.chmod(0o440)
        places = {"CREDENTIALS_DIRECTORY": str(credentials), "STATE_DIRECTORY": str(self.state)}
        (line,) = values(unit, "ExecStart")
        program = str(Path(sys.executable).parent / "townlet")
        for before, after in {
            PROGRAM: program,
            "/etc/townlet": str(etc),
            **{f"${{{name}}}": place for name, place in places.items()},
            **replaced,
        }.items():
            line = line.replace(before, after)
        self.log = folder / f"{unit}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                shlex.split(line), cwd=self.state, env={**os.environ, **places}, stdout=log, stderr=log
            )

    def until(self, condition) -> None:
        give_up = time.monotonic() + LIMIT
        while not condition():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < give_up, self.log.read_text()
            time.sleep(0.05)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LIMIT)


@pytest.fixture
def etc(tmp_path):
    """The folder of settings that the page describes."""
    folder = tmp_path / "etc"
    folder.mkdir()
    made = Certificates(tmp_path)
    for name, source in {
        "collector.pem": made.server.cert_file,
        "collector.key": made.server.key_file,
        "ca.pem": made.ca_file,
    }.items():
        shutil.copy(source, folder / name)
    (folder / "token").write_text(TOKEN)
    (folder / "tokens").write_text(f"the-town {sha256(TOKEN.encode()).hexdigest()}\n")
    return folder


@pytest.mark.slow
def test_the_commands_of_the_units_run_stop_and_resume(tmp_path, etc):
    free = {"0.0.0.0:7443": "localhost:0", "127.0.0.1:9464": "127.0.0.1:0", "127.0.0.1:9465": "127.0.0.1:0"}
    collector, town = Service("collector", tmp_path, etc, free), None
    try:
        collector.until(lambda: '"listening"' in collector.log.read_text())
        port = re.search(r'tls://[^"]+:(\d+)"', collector.log.read_text())[1]
        (block,) = re.findall(r"```yaml\n(telemetry:.*?)```", PAGE.read_text(), re.DOTALL)
        block = block.replace("collector.example:7443", f"localhost:{port}")
        block = block.replace("/run/credentials/townlet-town.service", str(tmp_path / "town.credentials"))
        block = block.replace("/var/lib/townlet-town", str(tmp_path / "town"))
        (etc / "town.yaml").write_text(f"townlet: 1\nname: the-town\nseed: 7\n{block}")
        events = tmp_path / "collector" / "events"

        def stored() -> int:
            return sum(path.read_bytes().count(b"\n") for path in events.glob("*.ndjson"))

        for _ in range(2):
            before = stored()
            town = Service("town", tmp_path, etc, free)
            town.until(lambda before=before: stored() > before + 20)
            assert town.stop() == 130, town.log.read_text()
        assert collector.stop() == 0, collector.log.read_text()
    finally:
        for each in filter(None, (collector, town)):
            each.process.kill()
            each.process.wait()
    assert [path.name for path in (tmp_path / "town").iterdir() if path.name.startswith("run")] == ["run"]
    report = json.loads((events / "report.json").read_text())
    assert report["exact"]
    assert {each["owner"] for each in report["sources"]} == {"the-town"}


def test_the_recipe_ends_with_a_user_without_rights_and_the_program_as_first_process():
    lines = joined(RECIPE)
    last = [line for line in lines if not line.startswith("COPY")][-6:]
    assert [line.split()[0] for line in last] == ["ENV", "USER", "WORKDIR", "VOLUME", "ENTRYPOINT", "CMD"]
    assert last[1] == "USER 10001:10001"
    assert last[4] == 'ENTRYPOINT ["townlet"]'


def test_the_user_of_the_recipe_owns_an_empty_working_directory():
    text = " ".join(joined(RECIPE))
    assert "groupadd --gid 10001 townlet" in text
    assert "--uid 10001 --gid 10001 --home-dir /var/lib/townlet --no-create-home" in text
    assert "install --directory --owner=10001 --group=10001 --mode=700 /var/lib/townlet" in text


def test_whatever_the_recipe_copies_is_in_the_repository_and_all_packages_are_copied():
    sources = [
        word
        for line in joined(RECIPE)
        if line.startswith("COPY") and "--from" not in line
        for word in line.split()[1:-1]
    ]
    assert [each for each in sources if not (ROOT / each).exists()] == []
    packages = re.search(r"^packages = \[(.*)\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
    assert set(re.findall(r'"(\w+)"', packages)) <= set(sources)


def test_a_credential_of_a_service_may_belong_to_root_and_be_read_by_a_group(tmp_path, monkeypatch):
    """As systemd passes it, with an access list; nowhere else, and never to others."""
    passed, elsewhere = tmp_path / "passed", tmp_path / "elsewhere"
    for folder in (passed, elsewhere):
        folder.mkdir()
        (folder / "token").write_text(TOKEN)
        (folder / "token").chmod(0o440)
    (passed / "link").symlink_to(elsewhere / "token")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(passed))
    assert read_secret("token", None, passed / "token") == TOKEN.encode()
    for path in (elsewhere / "token", passed / "link", passed / ".." / "elsewhere" / "token"):
        with pytest.raises(ConfigError, match="can be read by others"):
            read_secret("token", None, path)
    for mode in (0o444, 0o460):
        (passed / "token").chmod(mode)
        with pytest.raises(ConfigError, match="can be read by others"):
            read_secret("token", None, passed / "token")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "passed")
    (passed / "token").chmod(0o440)
    with pytest.raises(ConfigError, match="can be read by others"):
        read_secret("token", None, passed / "token")


def test_a_credential_belongs_to_root_or_to_this_user(tmp_path, monkeypatch):
    here = os.geteuid()

    def owned_by(owner: int) -> bool:
        status = os.stat_result((0o100400, 1, 1, 1, owner, 0, 20, 0, 0, 0))
        return exposure_of(tmp_path / "token", status) is None

    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert [owned_by(0), owned_by(here), owned_by(here + 1)] == [True, True, False]
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    assert [owned_by(0), owned_by(here), owned_by(here + 1)] == [here == 0, True, False]
