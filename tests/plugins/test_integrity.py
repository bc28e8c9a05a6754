"""What is not exactly what its RECORD says, or not what was pinned, never gets to run."""

import hashlib
import importlib
import importlib.resources
import importlib.util
import os
import pkgutil
import py_compile
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from importlib_metadata import Distribution

from tests.plugins.conftest import admit, digest_of, pin, row_of
from tests.plugins.wheels import SINK, Package, row
from townlet_plugins import integrity
from townlet_plugins.allowlist import Allowlist, Permit
from townlet_plugins.catalogue import load_catalogue
from townlet_plugins.integrity import Content, IntegrityError, read_content
from townlet_plugins.listing import Listing, list_entry_points

EVIL = b"raise SystemExit('this should not have run')\n"
ELF = b"\x7fELF\x02\x01\x01"


def tampered(installed):
    installed.path("late.py").write_bytes(EVIL)


def missing(installed):
    installed.path("late.py").unlink()


def extra(installed):
    installed.path("evil.py").write_bytes(EVIL)


def extra_beside_data(installed):
    installed.path("data/more.txt").write_bytes(b"x")


def extra_metadata(installed):
    (installed.record.parent / "evil.txt").write_bytes(b"x")


def changed_record(installed):
    installed.rewrite_record(
        (each[0], row(each[0], EVIL)[1], "1") if each[0].endswith("late.py") else each
        for each in installed.rows()
    )


def linked_file(installed):
    path = installed.path("late.py")
    path.rename(installed.site.parent / "elsewhere.py")
    path.symlink_to(installed.site.parent / "elsewhere.py")


def linked_folder(installed):
    folder = installed.path("data")
    folder.rename(installed.site.parent / "elsewhere")
    folder.symlink_to(installed.site.parent / "elsewhere")


def linked_package(installed):
    folder = installed.path("")
    folder.rename(installed.site.parent / "elsewhere")
    folder.symlink_to(installed.site.parent / "elsewhere")


def link_beside(installed):
    installed.path("evil.py").symlink_to("/etc/passwd")


def pipe(installed):
    installed.path("late.py").unlink()
    os.mkfifo(installed.path("late.py"))


def folder_for_a_file(installed):
    installed.path("late.py").unlink()
    installed.path("late.py").mkdir()


def nest(folder, name, times):
    """Make folders within each other, further than a path leads."""
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(times):
        os.mkdir(name, dir_fd=descriptor)
        inner = os.open(name, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)


def deep_folder(installed):
    nest(installed.path("data"), "d", 63)


def vast(installed):
    os.truncate(installed.path("late.py"), (512 << 20) + 1)


def named(path):
    def escape(installed):
        installed.add_rows((path, "sha256=x", "1"))

    escape.__qualname__ = f"row {path}" if len(path) < 40 else f"row of {len(path)} characters"
    return escape


def no_hash(installed):
    installed.add_rows((f"{installed.package.module}/late2.py", "", ""))


def weak_hash(installed):
    installed.add_rows((f"{installed.package.module}/late2.py", "md5=x", "1"))


def twice(installed):
    installed.add_rows(installed.rows()[1])


def no_record(installed):
    installed.record.unlink()


def garbled_record(installed):
    installed.record.write_bytes(b"\xff\xfe\x00not text")


def no_table(installed):
    installed.record.write_bytes(b"one,two\n")


def other_folder(installed):
    installed.add_rows(row("other-1.0.dist-info/METADATA", b""))


def path_file(installed):
    line = b"import os\n"
    (installed.site / "evil.pth").write_bytes(line)
    installed.add_rows(row("evil.pth", line))


def shared_folder(installed):
    data = b""
    (installed.site / "shared").mkdir()
    (installed.site / "shared/part.py").write_bytes(data)
    installed.add_rows(row("shared/part.py", data))


def bytecode_beside(installed):
    installed.path("late2.pyc").write_bytes(b"")


def bytecode_below_a_cache(installed):
    installed.path("__pycache__/deeper").mkdir(parents=True)
    installed.path("__pycache__/deeper/helper.pyc").write_bytes(b"")


def bytecode(name):
    def bring(installed):
        (installed.site / name).parent.mkdir(exist_ok=True)
        (installed.site / name).write_bytes(b"")
        installed.add_rows(row(name, b""))

    bring.__qualname__ = f"bytecode {name}"
    return bring


def script(name):
    def bring(installed):
        (installed.site / name).parent.mkdir(exist_ok=True, parents=True)
        (installed.site / name).write_bytes(EVIL)
        installed.add_rows(row(name, EVIL))

    bring.__qualname__ = f"script {name}"
    return bring


def compiled(name, data=b"\0"):
    def bring(installed):
        installed.path(name).write_bytes(data)
        installed.add_rows(row(f"{installed.package.module}/{name}", data))

    bring.__qualname__ = f"compiled {name}"
    return bring


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (tampered, "late.py differs from its RECORD"),
        (missing, "late.py is missing"),
        (extra, "evil.py is not in its RECORD"),
        (extra_beside_data, "more.txt is not in its RECORD"),
        (extra_metadata, "evil.txt is not in its RECORD"),
        (changed_record, "late.py differs from its RECORD"),
        (linked_file, "late.py cannot be read as a regular file"),
        (linked_folder, "data is a link, not a folder"),
        (linked_package, "is a link, not a folder"),
        (link_beside, "evil.py is not in its RECORD"),
        (pipe, "late.py is not a regular file"),
        (folder_for_a_file, "late.py is not a regular file"),
        (vast, "it has more than 512 MiB, and all of it is held in memory"),
        (named("../../evil.py"), "which is not a plain path inside its own folder"),
        (named("../../../bin/other-tool"), "which is not a plain path inside its own folder"),
        (named("/etc/passwd"), "which is not a plain path inside its own folder"),
        (named("a/../../b.py"), "which is not a plain path inside its own folder"),
        (named("./a.py"), "which is not a plain path inside its own folder"),
        (named("a\\b.py"), "which is not a plain path inside its own folder"),
        (named("a/" * 63 + "b.py"), "a/b.py is missing"),
        (named("a/" * 64 + "b.py"), "its RECORD names a file below 64 folders; at most 63 are read"),
        (named("a/" * 5000 + "b.py"), "its RECORD names a file below 5000 folders; at most 63 are read"),
        (deep_folder, "it has a file below 64 folders; at most 63 are read"),
        (named("../evil.pyc"), "which is not a plain path inside its own folder"),
        (no_hash, "has no sha256 for"),
        (weak_hash, "has no sha256 for"),
        (twice, "twice"),
        (no_record, "left no RECORD"),
        (garbled_record, "RECORD cannot be read"),
        (no_table, "row 1 of its RECORD is not valid"),
        (other_folder, "not one folder townlet-bakery-<version>.dist-info"),
        (path_file, "it installs evil.pth, whose lines Python runs at every start"),
        (shared_folder, "its folder shared has no __init__.py"),
        (bytecode_beside, "late2.pyc is not in its RECORD"),
        (bytecode_below_a_cache, "__pycache__/deeper/helper.pyc is not in its RECORD"),
        (
            bytecode("helper.pyc"),
            "it installs helper.pyc, compiled code that Python imports without its source",
        ),
        (bytecode("__pycache__x/helper.pyc"), "__pycache__x/helper.pyc, compiled code"),
        (script("bin/bakery-tool"), "its folder bin has no __init__.py"),
        (script("Scripts/bakery-tool.exe"), "its folder Scripts has no __init__.py"),
        (named("bin/../bakery-tool"), "which is not a plain path inside its own folder"),
        (named("x/../../bin/bakery-tool"), "which is not a plain path inside its own folder"),
        (named("..bin/bakery-tool"), "..bin/bakery-tool is missing"),
        (named("../lib/bin/bakery-tool"), "which is not a plain path inside its own folder"),
        (named("../../../bin/bakery-tool/x"), "which is not a plain path inside its own folder"),
        (named("../../../bin2/bakery-tool"), "which is not a plain path inside its own folder"),
        (named("../../../bin/bakery-tool2"), "which is not a plain path inside its own folder"),
        (compiled("fast.cpython-311-x86_64-linux-gnu.so"), "it contains compiled code"),
        (compiled("fast.pyd"), "it contains compiled code"),
        (compiled("libfast.so.1.2"), "it contains compiled code"),
        (compiled("picture.dat", ELF), "it contains compiled code"),
    ],
    ids=lambda value: value.__qualname__ if callable(value) else "",
)
@pytest.mark.parametrize("pinned", [True, False], ids=["pinned", "unpinned"])
def test_what_does_not_verify_is_refused_and_never_imported(installed, canary, spoil, why, pinned):
    permit = pin(installed) if pinned else installed.package.permit
    spoil(installed)
    catalogue = admit(permit)
    state = row_of(catalogue, installed.package).state
    assert state.startswith("refused: ")
    assert why in state or (pinned and "is pinned" in state)
    assert [fault.number for fault in catalogue.faults] == [0]
    assert not canary()


def test_what_verifies_is_loaded_and_its_row_tells_the_content(installed, canary):
    catalogue = admit(pin(installed))
    found = row_of(catalogue, installed.package)
    assert (found.state, found.kind, found.name) == ("allowed", "sink", installed.package.module)
    assert found.content_sha256 == digest_of(installed)
    assert catalogue.faults == ()
    assert canary()


def test_a_file_called_like_a_script_counts_in_the_digest_of_the_folder_that_holds_it(package, site):
    """What is in a package's own folder can be imported, whatever it is called."""
    name = package.module
    package.files = {
        f"{name}/bin/__init__.py": b"",
        f"{name}/bin/{package.entry_point}-tool": b"1",
        "bin/__init__.py": b"",
        f"bin/{package.entry_point}-tool": b"1",
    }
    installed = package.install(site)
    before = digest_of(installed)
    for path in (f"{name}/bin/bakery-tool", "bin/bakery-tool"):
        (site / path).write_bytes(b"2")
        installed.update_record()
        assert digest_of(installed) != before
        before = digest_of(installed)


def test_a_change_of_source_and_record_alike_is_found_by_the_pin_and_only_by_it(installed, canary):
    pinned = pin(installed)
    installed.path("late.py").write_bytes(b"SAID = 'something else'\n")
    installed.update_record()
    assert "is pinned" in row_of(admit(pinned), installed.package).state
    assert not canary()
    assert row_of(admit(installed.package.permit), installed.package).state == "allowed"


@pytest.mark.parametrize("pinned", [True, False], ids=["pinned", "unpinned"])
def test_planted_bytecode_is_not_read_and_none_is_written(installed, pinned):
    name = installed.package.module
    evil = installed.site.parent / "evil.py"
    evil.write_bytes(EVIL)
    for source in ("__init__.py", "late.py"):
        planted = importlib.util.cache_from_source(str(installed.path(source)))
        # An unchecked hash is believed whatever the source says.
        py_compile.compile(
            str(evil), planted, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
        )
    before = sorted(installed.site.rglob("*"))
    assert (
        row_of(admit(pin(installed) if pinned else installed.package.permit), installed.package).state
        == "allowed"
    )
    assert importlib.import_module(f"{name}.late").SAID == "as it was"
    assert sorted(installed.site.rglob("*")) == before


@pytest.mark.parametrize("folder", ["__pycache__", "data/__pycache__", "data/more/__pycache__"])
def test_a_cache_of_bytecode_at_any_depth_is_no_reason_to_refuse_a_plugin(installed, folder):
    installed.path(folder).mkdir(parents=True, exist_ok=True)
    installed.path(f"{folder}/part.cpython-311.pyc").write_bytes(EVIL)
    assert row_of(admit(pin(installed)), installed.package).state == "allowed"


def test_bytecode_that_is_planted_would_run_without_the_door(installed):
    """The attack that the test above makes is one."""
    evil = installed.site.parent / "evil.py"
    evil.write_bytes(EVIL)
    planted = importlib.util.cache_from_source(str(installed.path("__init__.py")))
    py_compile.compile(str(evil), planted, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    with pytest.raises(SystemExit, match="should not have run"):
        importlib.import_module(installed.package.module)


def test_modules_and_data_that_are_asked_for_late_are_those_that_were_verified(installed):
    name = installed.package.module
    admit(pin(installed))
    installed.path("late.py").write_bytes(EVIL)
    installed.path("planted.py").write_bytes(EVIL)
    installed.path("data/word.txt").write_bytes(b"something else")
    late = importlib.import_module(f"{name}.late")
    assert late.SAID == "as it was"
    assert late.__file__ == str(installed.path("late.py"))
    with pytest.raises(ModuleNotFoundError, match="planted"):
        importlib.import_module(f"{name}.planted")
    assert (importlib.resources.files(name) / "data" / "word.txt").read_text() == "as it was"
    assert importlib.resources.files(f"{name}.data").joinpath("word.txt").read_bytes() == b"as it was"
    with importlib.resources.as_file(importlib.resources.files(name) / "data/word.txt") as path:
        assert path.read_text() == "as it was"
    assert pkgutil.get_data(name, "data/word.txt") == b"as it was"
    with pytest.raises(OSError, match="not among the files"):
        pkgutil.get_data(name, "planted.py")


def test_the_traceback_of_a_verified_module_shows_the_verified_lines(package, site):
    package.source = SINK + "\ndef fail():\n    raise ValueError('as it was')\n"
    installed = package.install(site)
    admit(pin(installed))
    installed.path("__init__.py").write_bytes(b"\n" * 100)
    loader = sys.modules[package.module].__spec__.loader
    assert "def fail():" in loader.get_source(package.module)


def test_compiled_code_is_let_in_when_the_config_says_so_and_loaded_only_unchanged(installed):
    compiled(f"fast{importlib.machinery.EXTENSION_SUFFIXES[0]}", ELF)(installed)
    permit = replace(pin(installed), allow_native=True)
    assert row_of(admit(permit), installed.package).state == "allowed"
    file = installed.path(f"fast{importlib.machinery.EXTENSION_SUFFIXES[0]}")
    with pytest.raises(ImportError, match=r"ELF|too short|invalid"):
        importlib.import_module(f"{installed.package.module}.fast")
    file.write_bytes(ELF + b"x")
    with pytest.raises(ImportError, match="changed after it was verified"):
        importlib.import_module(f"{installed.package.module}.fast")


@pytest.mark.parametrize(
    ("path", "top"),
    [
        ("bakery/__init__.py", "bakery"),
        ("bakery/data.txt", "bakery"),
        ("bakery.py", "bakery"),
        (f"bakery{importlib.machinery.EXTENSION_SUFFIXES[0]}", "bakery"),
        ("bakery.so", "bakery"),
        ("ba-kery.py", "ba-kery"),
        ("ba-kery/__init__.py", "ba-kery"),
        ("b\u00e4kery.py", "b\u00e4kery"),
        ("numpy.evil.py", ""),
        ("numpy.evil.so", ""),
        ("numpy.evil/__init__.py", ""),
        ("numpy.pyi", ""),
        ("libfast.so.1.2", ""),
        ("README", ""),
        ("", ""),
    ],
)
def test_a_file_stands_for_the_module_that_python_would_import_from_it(path, top):
    files = {path: b""}
    assert Content("bakery", Path(), files, (), "").tops == ({top} if top else set())


def test_what_cannot_be_looked_into_is_refused_by_every_command(installed, townlet):
    nest(installed.path("data"), "d" * 200, 30)
    told = "cannot be read: File name too long"
    for command in ("pin", "files"):
        code, out, err = townlet("plugins", command, "townlet-bakery")
        assert (code, out) == (3, "")
        assert told in err
    assert told in row_of(admit(installed.package.permit), installed.package).state


@pytest.mark.parametrize("name", ["json", "townlet_core", "townlet_adapters"])
def test_a_module_that_would_take_the_place_of_another_keeps_its_plugin_out(package, site, canary, name):
    package.files = {f"{name}/__init__.py": package.crying()}
    package.install(site)
    assert f"it contains a module {name}" in row_of(admit(package.permit), package).state
    assert not canary()


def test_the_name_and_version_of_a_pin_are_compared_with_the_verified_metadata(installed):
    assert (
        "version 1.0 is installed, and 2.0 is allowed"
        in row_of(admit(replace(installed.package.permit, version="2.0")), installed.package).state
    )


def test_where_pins_are_required_an_entry_without_one_lets_nobody_in(installed, canary):
    assert (
        "require_pins" in row_of(admit(installed.package.permit, require_pins=True), installed.package).state
    )
    assert not canary()
    assert row_of(admit(pin(installed), require_pins=True), installed.package).state == "allowed"


def test_a_plugin_in_a_zip_is_refused(package, tmp_path, monkeypatch, canary):
    monkeypatch.syspath_prepend(package.wheel(tmp_path))
    assert "it is in a zip" in row_of(admit(package.permit), package).state
    assert not canary()


def test_a_plugin_without_dist_info_is_refused(package, site, canary):
    (site / "bakery.egg-info").mkdir()
    (site / "bakery.egg-info/PKG-INFO").write_text(
        "Metadata-Version: 2.1\nName: townlet-bakery\nVersion: 1.0\n"
    )
    (site / "bakery.egg-info/entry_points.txt").write_text(f"[townlet.plugins]\nbakery = {package.module}\n")
    (site / f"{package.module}.py").write_bytes(package.crying(SINK))
    assert "left no RECORD" in row_of(admit(package.permit), package).state
    assert not canary()


def test_several_entry_points_of_one_distribution_are_let_in_one_by_one(package, site):
    package.files = {f"{package.module}/second.py": SINK.replace("NAME", "'second_sink'").encode()}
    tool = f"[console_scripts]\nbakery-tool = {package.module}:main\n"
    package.lines = f"{tool}[townlet.plugins]\nbakery = {package.module}\nsecond = {package.module}.second\n"
    installed = package.install(site)
    only = admit(replace(pin(installed), entry_point="second"))
    assert "second_sink" in only.sinks
    assert package.module not in only.sinks
    both = admit(pin(installed), replace(pin(installed), entry_point="second"))
    assert {"second_sink", package.module} <= both.sinks.keys()


def test_a_wheel_is_a_zip_with_the_content_that_is_pinned(package, site):
    """The digest can be taken of a wheel before it is installed anywhere."""
    installed = package.install(site)
    with zipfile.ZipFile(package.wheel(site.parent)) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/RECORD")]
        lines = sorted((name, hashlib.sha256(archive.read(name)).hexdigest()) for name in names)
    text = "".join(f"{digest}  {name}\n" for name, digest in lines)
    assert hashlib.sha256(text.encode()).hexdigest() == digest_of(installed)


def test_an_entry_point_that_was_changed_between_listing_and_reading_is_not_followed(installed):
    (listing,) = (each for each in list_entry_points() if each.key == installed.package.permit.key)
    for wrong in ({"target": "os:system"}, {"version": "2.0"}):
        with pytest.raises(IntegrityError, match="its metadata changed while it was read"):
            read_content(replace(listing, **wrong))


class Unreadable(Distribution):
    """Metadata of a kind that nobody has thought of."""

    def read_text(self, filename):
        raise RuntimeError(f"no {filename}")

    def locate_file(self, path):
        return Path(path)


def test_what_cannot_even_be_looked_at_is_refused_and_the_others_are_judged(installed):
    strange = Listing("strange", "1.0", "strange", "strange", source=Unreadable())
    permits = Permit("strange", "strange"), installed.package.permit
    catalogue = load_catalogue(Allowlist(permits, require_pins=False), (strange, *list_entry_points()))
    states = {row.distribution: row.state for row in catalogue.rows}
    assert states["strange"] == "refused: it cannot be verified: RuntimeError: no direct_url.json"
    assert states["townlet-bakery"] == "allowed"


def test_everybody_is_judged_before_the_first_one_runs(tmp_path, site):
    first, second = Package(tmp_path / "a", "first", entry_point="first"), Package(tmp_path / "b", "second")
    late = second.install(site).path("late.py")
    first.source = f"{SINK}\npathlib.Path({str(late)!r}).write_text('tampered')\n"
    first.install(site)
    catalogue = admit(first.permit, second.permit)
    assert catalogue.faults == ()
    assert late.read_text() == "tampered"
    assert importlib.import_module(f"{second.module}.late").SAID == "as it was"


@pytest.mark.parametrize("pinned", [True, False], ids=["pinned", "unpinned"])
@pytest.mark.parametrize("names", [("first", "second"), ("second", "first")], ids=["later", "earlier"])
def test_an_allowed_plugin_that_another_one_imports_is_the_verified_one(tmp_path, site, names, pinned):
    one, other = (Package(tmp_path / f"{name} canary", name, entry_point=name) for name in names)
    planted = tmp_path / "planted"
    evil = tmp_path / "evil.py"
    evil.write_text(f"import pathlib\npathlib.Path({str(planted)!r}).touch()\nSAID = 'something else'\n")
    imported = other.install(site)
    py_compile.compile(
        str(evil),
        importlib.util.cache_from_source(str(imported.path("late.py"))),
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    one.source = f"from {other.module}.late import SAID\n{SINK}"
    importing = one.install(site)
    permits = [pin(importing), pin(imported)] if pinned else [one.permit, other.permit]
    catalogue = admit(*permits)
    assert {row_of(catalogue, each).state for each in (one, other)} == {"allowed"}
    assert catalogue.faults == ()
    assert sys.modules[one.module].SAID == "as it was"
    assert not planted.exists()


class Told(Distribution):
    """A distribution of which nothing exists but the text of its RECORD."""

    def __init__(self, record):
        self.record = record

    def read_text(self, filename):
        return self.record if filename == "RECORD" else None

    def locate_file(self, path):
        raise FileNotFoundError(path)


def record_of(rows):
    """A RECORD of so many rows."""
    modules = [f"bakery/m{number}.py,sha256=x,1" for number in range(rows - 1)]
    return "\n".join(["bakery-1.0.dist-info/METADATA,sha256=x,1", *modules])


def test_a_record_with_too_many_rows_is_refused_before_any_file_is_looked_for():
    rows, _ = integrity._rows(Told(record_of(20_000)), "bakery")
    assert len(rows) == 20_000
    with pytest.raises(IntegrityError, match="its RECORD has 20001 rows; at most 20000 are read"):
        integrity._rows(Told(record_of(20_001)), "bakery")


ODD = ["..", ".", "", "\\", "\x00", "é", "a b", '"', '""', "C:", "/etc/passwd", "x" * 300]
KNOWN = [
    "bakery",
    "bakery-1.0.dist-info",
    "RECORD",
    "METADATA",
    "x.py",
    "x.pyc",
    "__pycache__",
    "bin",
    "x.pth",
]
NAMES = st.sampled_from([*ODD, *KNOWN])
PATHS = st.lists(NAMES, max_size=5).map("/".join) | st.text(max_size=20)
DIGESTS = st.sampled_from(["", "sha256=", "sha256=abc", "md5=x", "=", "sha256"]) | st.text(max_size=10)
ROWS = st.tuples(PATHS, DIGESTS, st.text(max_size=5)).map(",".join) | st.text(max_size=40)


@settings(max_examples=400, deadline=None)
@given(st.lists(ROWS, max_size=12).map("\n".join) | st.text(max_size=300))
def test_whatever_a_record_says_its_rows_lie_within_the_folder_or_it_is_refused(record):
    try:
        rows, info = integrity._rows(Told(record), "bakery")
    except IntegrityError:
        return
    assert info.startswith("bakery-")
    assert info.endswith(".dist-info")
    for path in rows:
        assert path.isprintable()
        assert path
        assert not path.startswith("/")
        assert ".." not in path.split("/")
        assert "\\" not in path
