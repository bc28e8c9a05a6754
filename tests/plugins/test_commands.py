"""The door from the command line: list, pin, verify, and the exit codes of a run."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.plugins.conftest import BIN, admit, allow, digest_of, pin, row_of
from tests.plugins.test_runs import SHOP
from tests.plugins.wheels import Installed, Package, row


def test_the_list_imports_nobody_and_tells_what_each_one_is(townlet, installed, canary):
    Package(installed.package.canary, "b\u00e4cker").install(installed.site)
    code, out, err = townlet("plugins", "list", "--json")
    states = {each["distribution"]: each["state"] for each in json.loads(out)}
    assert (code, err) == (0, "")
    assert states["townlet"] == "builtin"
    assert states["townlet-bakery"] == "refused: not allowed"
    assert states["b\\xe4cker"].startswith("broken: its name is not valid")
    assert "refused: not allowed" in townlet("plugins", "list")[1]
    assert not canary()


def test_the_list_for_a_config_shows_what_those_bring_that_it_lets_in(townlet, package, site, config):
    package.source = SHOP
    installed = package.install(site)
    other = Package(site.parent / "other canary", "other")
    other.install(site)
    missing = replace(package.permit, distribution="missing")
    file = config(allow(pin(installed), missing))
    code, out, err = townlet("plugins", "list", "--json", "--config", file)
    rows = {(each["kind"], each["name"]): each for each in json.loads(out) if each["state"] == "allowed"}
    assert code == 0
    assert {
        ("world", "bakery"),
        ("policy", "bakers"),
        ("observer", "watcher"),
        ("event", "bakery.sold_out"),
        ("event", "bakery.counted"),
    } == set(rows)
    assert rows["world", "bakery"]["content_sha256"] == digest_of(installed)
    assert "missing (bakery) is allowed, but not installed" in err
    assert not other.canary.exists()


def test_what_pin_prints_is_a_config_that_lets_in_this_content_alone(townlet, installed, config, canary):
    code, printed, err = townlet("plugins", "pin", "Townlet_Bakery")
    assert (code, err) == (0, "")
    (entry,) = yaml.safe_load(printed)["plugins"]["allow"]
    assert entry == {
        "distribution": "townlet-bakery",
        "entry_point": "bakery",
        "version": "1.0",
        "content_sha256": digest_of(installed),
    }
    file = config(printed)
    assert townlet("plugins", "verify", file) == (0, "townlet-bakery 1.0 (bakery): ok, pinned\n", "")
    assert not canary()
    assert townlet("config", "check", file)[0] == 0
    installed.path("late.py").write_bytes(b"SAID = 'something else'\n")
    code, out, _ = townlet("plugins", "verify", file)
    assert code == 3
    assert out == (
        "townlet-bakery (bakery) is allowed, but refused: "
        f"{installed.package.module}/late.py differs from its RECORD\n"
    )
    installed.update_record()
    code, out, _ = townlet("plugins", "verify", file)
    assert code == 3
    assert "its content has the digest" in out


def test_pin_says_why_something_cannot_be_pinned(townlet, installed):
    code, out, err = townlet("plugins", "pin", "townlet-backery")
    assert (code, out) == (2, "")
    assert (
        err
        == "'townlet-backery' is not installed or offers no plugin; packages with plugins: townlet-bakery\n"
    )
    installed.path("late.py").unlink()
    code, out, err = townlet("plugins", "pin", "townlet-bakery")
    assert (code, out) == (3, "")
    assert "townlet-bakery (bakery) cannot be pinned: " in err
    assert "late.py is missing" in err


@pytest.mark.parametrize("command", ["pin", "files"])
@pytest.mark.parametrize("name", ["townlet", "Townlet"])
def test_ours_needs_no_entry_and_that_is_said(townlet, command, name):
    code, out, err = townlet("plugins", command, name)
    assert (code, out) == (2, "")
    assert err == f"'{name}' is built in and needs no entry; name another package\n"


def test_pin_tells_of_compiled_code(townlet, installed):
    (installed.path("fast.so")).write_bytes(b"\x7fELF")
    installed.add_rows(row(f"{installed.package.module}/fast.so", b"\x7fELF"))
    _, out, err = townlet("plugins", "pin", "townlet-bakery")
    assert yaml.safe_load(out)["plugins"]["allow"][0]["allow_native"] is True
    assert err == f"townlet-bakery contains compiled code: {installed.package.module}/fast.so\n"


def test_a_config_that_lets_in_nobody_is_verified_at_once(townlet, config, installed):
    del installed
    assert townlet("plugins", "verify") == (0, "only built-in plugins are allowed\n", "")
    assert townlet("plugins", "verify", config()) == (0, "only built-in plugins are allowed\n", "")


def test_schemas_and_pages_for_a_config_know_what_its_plugins_bring(townlet, package, site, config):
    package.source = SHOP
    package.install(site)
    file = config(allow(package.permit))
    events = json.loads(townlet("schema", "events", "--config", file)[1])
    assert events["$defs"]["bakery.sold_out"]["properties"]["loaves"] == {"type": "integer"}
    assert "bakery.sold_out" not in townlet("schema", "events")[1]
    page = townlet("schema", "events", "--config", file, "--markdown")[1]
    assert "## bakery.sold_out\n\nThe last loaf was sold.\n" in page
    schema = json.loads(townlet("config", "schema", "--config", file)[1])
    assert {branch["properties"]["use"]["const"] for branch in schema["properties"]["world"]["oneOf"]} == {
        "bakery",
        "town",
    }
    (site / package.info / "RECORD").unlink()
    code, _, err = townlet("schema", "events", "--config", file)
    assert code == 3
    assert "left no RECORD" in err


def editable(package, site: Path, project: Path) -> None:
    """Install a package as an installer does for an editable one."""
    content = package.content()
    project.mkdir()
    for name, data in content.items():
        folder = site if name.startswith(package.info) else project
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    origin = {"url": project.as_uri(), "dir_info": {"editable": True}}
    (site / package.info / "direct_url.json").write_text(json.dumps(origin))
    (site / package.info / "RECORD").write_text("_editable.pth,sha256=x,1\n")


def test_an_editable_install_comes_in_when_the_config_says_so(package, site, tmp_path, monkeypatch):
    editable(package, site, tmp_path / "project")
    monkeypatch.syspath_prepend(tmp_path / "project")
    assert "it is an editable install" in row_of(admit(package.permit), package).state
    assert not package.canary.exists()
    lenient = replace(package.permit, allow_editable=True)
    assert "no content to compare" in row_of(admit(replace(lenient, content_sha256="0" * 64)), package).state
    assert "require_pins" in row_of(admit(lenient, require_pins=True), package).state
    assert not package.canary.exists()
    found = row_of(admit(lenient), package)
    assert (found.state, found.content_sha256) == ("allowed", "")


def test_an_editable_install_cannot_be_pinned(townlet, package, site, tmp_path):
    editable(package, site, tmp_path / "project")
    code, out, err = townlet("plugins", "pin", "townlet-bakery")
    assert (code, out) == (3, "")
    assert "cannot be pinned: it is an editable install, which has no content to verify" in err


@pytest.mark.parametrize(
    "origin",
    [
        '{"url": "file:///%00", "dir_info": {"editable": true}}',
        '{"url": "file:///LOOP", "dir_info": {"editable": true}}',
        '{"url": "file://[", "dir_info": {"editable": true}}',
        '{"url": 7, "dir_info": {"editable": true}}',
        '{"url": "file:///", "dir_info": 7}',
        '{"dir_info": {"editable": true}}',
        "[]",
        "7",
        "{",
        "\x00",
        "[" * 100_000,
    ],
    ids=range(11),
)
@pytest.mark.parametrize("name", ["townlet-bakery", "townlet"])
def test_an_origin_that_is_none_leads_nowhere(townlet, package, site, tmp_path, origin, name):  # noqa: PLR0913, PLR0917 - fixtures
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    package.distribution = name
    info = package.install(site).record.parent
    (info / "direct_url.json").write_text(origin.replace("/LOOP", str(tmp_path / "loop")))
    code, out, _ = townlet("plugins", "list", "--json")
    assert code == 0
    assert [each["state"] for each in json.loads(out) if each["version"] == "1.0"] == [
        "refused: not allowed" if name == "townlet-bakery" else "broken: the name 'townlet' is reserved"
    ]
    for command in ("pin", "files"):
        code, out, err = townlet("plugins", command, name)
        assert code in {0, 2, 3}
        assert len(err.splitlines()) <= 1
        assert "Traceback" not in err
    assert not package.canary.exists()


def test_what_stands_before_an_editable_install_on_the_path_is_not_it(package, site, tmp_path, monkeypatch):
    editable(package, site, tmp_path / "project")
    monkeypatch.syspath_prepend(tmp_path / "project")
    (tmp_path / "shadow" / package.module).mkdir(parents=True)
    (tmp_path / "shadow" / package.module / "__init__.py").write_text("raise SystemExit('the shadow')")
    monkeypatch.syspath_prepend(tmp_path / "shadow")
    state = row_of(admit(replace(package.permit, allow_editable=True)), package).state
    assert f"{package.module} would be imported from {tmp_path / 'shadow'}" in state
    assert package.module not in sys.modules


def test_a_distribution_has_one_digest_whoever_installed_it(package, tmp_path, monkeypatch):
    wheel = package.wheel(tmp_path)
    quiet = ["--quiet", "--no-deps", "--no-index"]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", *quiet]
    uv = [BIN / "uv", "pip", "install", "--compile-bytecode", *quiet]
    places = {
        "pip target": [*pip, "--target"],
        "pip prefix": [*pip, "--ignore-installed", "--prefix"],
        "uv prefix": [*uv, "--prefix"],
    }
    digests = set()
    for name, command in places.items():
        subprocess.run([*command, tmp_path / name, wheel], check=True, capture_output=True)
        (record,) = (tmp_path / name).rglob("RECORD")
        site = record.parents[1]
        with monkeypatch.context() as path:
            path.syspath_prepend(site)
            digests.add(digest_of(Installed(package, site)))
        assert list(site.rglob("*.pyc"))
    with monkeypatch.context() as path:
        path.syspath_prepend(tmp_path / "site")
        digests.add(digest_of(package.install(tmp_path / "site")))
    assert len(digests) == 1


def test_scripts_that_an_installer_put_among_the_modules_keep_a_package_out(
    townlet, package, tmp_path, monkeypatch
):
    target = ["--quiet", "--no-deps", "--no-index", "--target", tmp_path / "uv"]
    subprocess.run([BIN / "uv", "pip", "install", *target, package.wheel(tmp_path)], check=True)
    monkeypatch.syspath_prepend(tmp_path / "uv")
    code, out, err = townlet("plugins", "pin", "townlet-bakery")
    assert (code, out) == (3, "")
    assert "its folder bin has no __init__.py" in err
    assert "install it without --target" in err


USES = "world: {use: bakery}\npolicy: {use: bakers}\n"
LIVE = ("run", "--ticks", "3", "--no-out", "--quiet", "--sink", "stdout")


def test_a_process_of_its_own_runs_what_is_pinned_and_nothing_that_is_not_let_in(
    process, package, tmp_path, monkeypatch, config
):
    package.source = SHOP
    installed = package.install(tmp_path / "site")
    process.path = [installed.site]
    monkeypatch.syspath_prepend(installed.site)
    code, _, err = process(*LIVE, config(USES))
    assert code == 3
    assert f"to allow it, add below plugins.allow: {replace(package.permit, version='1.0').as_yaml()}" in err
    assert not package.canary.exists()
    code, out, err = process(*LIVE, config(USES, allow(pin(installed), require_pins="true")))
    assert code == 0, err
    assert "townlet.bakery.sold_out" in out
    assert package.canary.exists()
    assert list(installed.site.rglob("*.pyc")) == []


def spoiled(installed):
    installed.path("late.py").write_bytes(b"")


@pytest.mark.parametrize(
    ("spoil", "uses", "code", "told"),
    [
        (
            spoiled,
            USES,
            3,
            "trial.yaml:9: plugins.allow[0]: townlet-bakery (bakery) is allowed, but refused: ",
        ),
        (spoiled, "", 3, "plugins.allow[0]: townlet-bakery (bakery) is allowed, but refused: "),
        (
            None,
            USES.replace("bakers", "butchers"),
            2,
            "did you mean 'bakers'? known: bakers, random, scripted",
        ),
        (
            None,
            USES.replace("use: bakers", "use: bakers, options: {bakers: x}"),
            2,
            'policy.options.bakers: "x"',
        ),
        (None, "", 2, "plugins.hooks[0]: unknown hook 'bakery'"),
    ],
    ids=["spoiled", "spoiled and not used", "unknown name", "wrong option", "no hook"],
)
def test_exit_codes_tell_what_kind_of_mistake_it_is(townlet, package, site, config, spoil, uses, code, told):  # noqa: PLR0913, PLR0917 - fixtures
    package.source = SHOP
    permit = pin(package.install(site))
    if spoil is not None:
        spoil(Installed(package, site))
    file = config(uses, allow(permit, hooks="[]" if uses or spoil else "[bakery]"))
    found, out, err = townlet(*LIVE, file)
    assert (found, out) == (code, "")
    assert told in err
    assert "Traceback" not in err
    assert package.canary.exists() == (spoil is None)


def test_neither_the_environment_nor_the_path_selects_code(process, tmp_path):
    _, before, _ = process("plugins", "list", "--json")
    evil = tmp_path / "evil"
    cry = f"import pathlib\npathlib.Path({str(tmp_path / 'canary')!r}).write_text(__name__)\n"
    for name in (
        "townlet_adapters/worlds/plugin.py",
        "townlet_plugins/listing.py",
        "town.py",
        "evil_world.py",
    ):
        (evil / name).parent.mkdir(parents=True, exist_ok=True)
        (evil / name).write_text(cry)
    fake = Package(tmp_path / "canary", "townlet", "99.0", "town", target="evil_world")
    fake.install(evil)
    process.path = [evil]
    names = ("PLUGINS", "PLUGIN_PATH", "CONFIG", "WORLD", "WORLD_USE", "POLICY", "MODULE", "PLUGINS_ALLOW")
    process.more = {f"TOWNLET_{name}": "evil_world" for name in names} | {"PLUGGY_PLUGINS": "evil_world"}
    code, after, err = process("plugins", "list", "--json")
    assert code == 0, err
    ours = [each for each in json.loads(after) if each["state"] == "builtin"]
    assert ours == json.loads(before)
    code, _, err = process("run", "--ticks", "2", "--no-out", "--set", "world.options.town=hamlet_24")
    assert code == 0
    assert "townlet 99.0 is broken: the name 'townlet' is reserved" in err
    code, _, err = process("run", "--no-out", "--set", "world.use=evil_world")
    assert code == 2
    assert not (tmp_path / "canary").exists()


def test_in_isolated_mode_not_even_a_whole_package_of_our_name_takes_our_place(process, tmp_path):
    """Python itself asks PYTHONPATH first; -I is how one tells it not to."""
    (tmp_path / "evil/townlet_adapters/cli").mkdir(parents=True)
    for name in ("__init__.py", "cli/__init__.py"):
        (tmp_path / "evil/townlet_adapters" / name).write_text("")
    (tmp_path / "evil/townlet_adapters/cli/main.py").write_text("def main(): return 77\n")
    process.path = [tmp_path / "evil"]
    assert process("--version")[0] == 77
    assert process("--version", isolated=True)[0] == 0


INTERRUPTIBLE = """\
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Starts a program that an interrupt reaches, even where the tests run with interrupts ignored."""


@pytest.mark.parametrize("ignored", [True, False], ids=["ignored around it", "as usual"])
def test_an_import_that_never_returns_can_be_interrupted(package, tmp_path, config, ignored):
    """Nothing within the process could end it; a person can."""
    package.source = "import threading\nprint('here', flush=True)\nthreading.Event().wait()\n"
    package.install(tmp_path / "site")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.default_int_handler)
    try:
        hanging = subprocess.Popen(
            [
                *(sys.executable, "-c", INTERRUPTIBLE, BIN / "townlet"),
                *("plugins", "list", "--config", config(allow(package.permit))),
            ],
            env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    with hanging:
        assert hanging.stdout.readline() == "here\n"
        hanging.send_signal(signal.SIGINT)
        _, err = hanging.communicate(timeout=60)
    assert (hanging.returncode, err.strip()) == (130, "interrupted")


def native(installed) -> None:
    (installed.path("fast.so")).write_bytes(b"\x7fELF")
    installed.add_rows(row(f"{installed.package.module}/fast.so", b"\x7fELF"))


@pytest.mark.parametrize("kind", ["plain", "native", "editable"])
@pytest.mark.parametrize("pins", ["true", "false"])
def test_the_advice_for_who_is_not_let_in_is_all_that_is_needed(  # noqa: PLR0913, PLR0917 - fixtures
    townlet, package, site, config, monkeypatch, tmp_path, kind, pins
):
    if kind == "editable":
        editable(package, site, tmp_path / "project")
        monkeypatch.syspath_prepend(tmp_path / "project")
    else:
        installed = package.install(site)
        if kind == "native":
            native(installed)
    uses = f"telemetry: {{sinks: [{{use: {package.module}}}]}}\n"
    code, _, err = townlet(*LIVE[:-2], config(uses, f"plugins: {{require_pins: {pins}}}\n"))
    assert code == 2
    assert not package.canary.exists()
    advice = err.partition(
        "townlet-bakery 1.0 is refused: not allowed; to allow it, add below plugins.allow"
    )[2]
    if pins == "true":
        assert advice == " what 'townlet plugins pin townlet-bakery' prints\n"
        if kind == "editable":
            assert "an editable install" in townlet("plugins", "pin", "townlet-bakery")[2]
            return
        section = townlet("plugins", "pin", "townlet-bakery")[1].replace(
            "plugins:\n", "plugins:\n  require_pins: true\n"
        )
    else:
        section = f"plugins:\n  allow:\n  {advice.removeprefix(': ')}"
    code, _, err = townlet("plugins", "verify", config(section))
    assert (code, err) == (0, "")
    assert townlet(*LIVE[:-2], config(uses, section))[0] == 0
    assert package.canary.exists()


def test_an_entry_without_a_pin_that_is_asked_for_names_the_command(townlet, installed, config):
    code, out, _ = townlet("plugins", "verify", config(allow(installed.package.permit, require_pins="true")))
    assert code == 3
    assert "requires its content_sha256; townlet plugins pin townlet-bakery prints it" in out
