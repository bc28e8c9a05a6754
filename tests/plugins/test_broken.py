"""A plugin that was let in and cannot be used is told, and takes nothing down with it."""

import importlib
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from tests.plugins.conftest import admit, allow, pin, row_of
from tests.plugins.wheels import SINK, Package
from townlet_adapters.config.resolve import resolve
from townlet_adapters.config.source import with_overrides
from townlet_adapters.documents import parse_document
from townlet_core.errors import ConfigError, PluginError
from townlet_plugins.access import Access
from townlet_plugins.factory import BuildContext

HEAD = "from townlet_plugins import hookimpl\nfrom townlet_plugins.factory import Factory\n"
MARKED = HEAD + "@hookimpl\n"
UNSPEAKABLE = """\
class M(type):
    def __repr__(self): raise ValueError
class R(metaclass=M):
    def __repr__(self): raise ValueError
"""
NAMELESS = """\
class Nameless(Factory):
        @property
        def name(self): raise ValueError("no name")
        @name.setter
        def name(self, name): pass
"""


def offering(spec: str, function: str = "print", *, twice: bool = False) -> str:
    """A plugin with one command, perhaps offered twice."""
    offer = f"OfferedCommand(CommandSpec({spec}), {function})"
    return (
        "from townlet_core.dto.command import Argument, CommandSpec\n"
        "from townlet_core.dto.command_hook import OfferedCommand\n"
        f"ONE = Argument('a', 'int')\n{MARKED}def townlet_commands(): return [{offer}] * {1 + twice}"
    )


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("raise ValueError('a bad day')", "it cannot be imported: ValueError: a bad day"),
        ("raise SystemExit(0)", "it cannot be imported: SystemExit: 0"),
        ("import sys; sys.exit('away')", "it cannot be imported: SystemExit: away"),
        ("raise BaseException", "it cannot be imported: BaseException"),
        (
            "from townlet_core.errors import *\nraise ConfigError(Problem('a', 'b', 'c'))",
            "it cannot be imported: ConfigError",
        ),
        ("import a_module_that_is_not_there", "No module named 'a_module_that_is_not_there'"),
        ("def broken(:", "it cannot be imported: SyntaxError"),
        ("def __getattr__(name): raise RuntimeError(name)", "it offers nothing"),
        ("", "it offers nothing: mark its functions"),
        ("def townlet_sinks(): return ()", "it offers nothing"),
        (MARKED + "def townlet_sinks(): return ()", "it offers nothing"),
        (MARKED + "def townlet_sink(): return ()", "unknown hook 'townlet_sink'"),
        (MARKED + "def townlet_sinks(config): return ()", "config"),
        (HEAD + "@hookimpl(wrapper=True)\ndef townlet_sinks(): return (yield)", "it wraps townlet_sinks"),
        (MARKED + "def townlet_sinks(): return None", "townlet_sinks failed: TypeError"),
        (MARKED + "def townlet_sinks(): raise SystemExit", "townlet_sinks failed: SystemExit"),
        (MARKED + "def townlet_sinks(): return ('file',)", "offers 'file', which is not a Factory"),
        (MARKED + "def townlet_sinks(): return (Factory('x', int, print),)", "its options are not a model"),
        (SINK.replace("Factory(NAME,", "Factory('../x',"), "its name is not valid"),
        (SINK.replace("Factory(NAME,", "Factory(7,"), "its name is not valid"),
        (SINK.replace("Options, build,", "Options, 'build',"), "its build, embed or watch is not callable"),
        (SINK.replace('"keeps messages in memory"', "7"), "is not a text"),
        (SINK.replace("Factory(NAME,", "Factory('file',"), "the sink 'file' is offered twice"),
        (SINK.replace('memory"),)', 'memory"),) * 2'), "is offered twice"),
        (MARKED + "def townlet_affordance_before(): pass", "its townlet_affordance_before takes no context"),
        (
            MARKED + "async def townlet_affordance_before(context): pass",
            "its townlet_affordance_before is async; hooks are called synchronously",
        ),
        (
            MARKED + "async def townlet_affordance_after(context): yield",
            "its townlet_affordance_after is async; hooks are called synchronously",
        ),
        (MARKED + "async def townlet_sinks(): return ()", "its townlet_sinks is async"),
        (MARKED + "def townlet_affordance_during(context): pass", "unknown hook 'townlet_affordance_during'"),
        (
            MARKED + "def townlet_events(): return (int,)",
            "offers <class 'int'>, which is not a class of events",
        ),
        (
            MARKED + "def townlet_commands(): return (int,)",
            "which is not an OfferedCommand with a CommandSpec",
        ),
        (
            offering("'bakery.feed', 'admin', ''").replace("(CommandSpec(", "(print("),
            "which is not an OfferedCommand",
        ),
        (offering("'other.feed', 'admin', ''"), "'other.feed' must be called 'bakery.<name>'"),
        (offering("'feed', 'admin', ''"), "its name is not valid; allowed: <entry point>.<name>"),
        (offering("'bakery.Feed', 'admin', ''"), "its name is not valid"),
        (offering("'bakery.feed\\n', 'admin', ''"), "its name is not valid"),
        (offering("7, 'admin', ''"), "its name is not valid"),
        (offering("'bakery.feed', 'root', ''"), "its role is unknown; known: viewer, admin"),
        (offering("'bakery.feed', ['admin'], ''"), "its role is unknown"),
        (offering("'bakery.feed', 'admin', 7"), "its summary is not a text"),
        (offering("'bakery.feed', 'admin', '', [ONE]"), "its arguments are not a tuple of Arguments"),
        (offering("'bakery.feed', 'admin', '', ('a',)"), "its arguments are not a tuple of Arguments"),
        (offering("'bakery.feed', 'admin', '', (Argument('a', 'yes'),)"), "types: text, int, real, bool, xy"),
        (offering("'bakery.feed', 'admin', '', (Argument('a b', 'int'),)"), "are not a tuple of Arguments"),
        (offering("'bakery.feed', 'admin', '', (Argument('a', 'int', 1),)"), "are not a tuple of Arguments"),
        (offering("'bakery.feed', 'admin', '', (ONE, ONE)"), "it has an argument twice"),
        (offering("'bakery.feed', 'admin', ''", "'feed'"), "its function is not callable"),
        (offering("'bakery.feed', 'admin', ''", twice=True), "the command 'bakery.feed' is offered twice"),
        (
            HEAD + "@hookimpl(optionalhook=True)\ndef townlet_sink(): return ()",
            "unknown hook 'townlet_sink'",
        ),
        (
            HEAD + "@hookimpl(optionalhook=True)\ndef townlet_affordance_during(context): return ()",
            "unknown hook 'townlet_affordance_during'",
        ),
        (
            SINK + "\n@hookimpl(specname='townlet_sinks')\ndef more(): return ()",
            "it implements townlet_sinks twice",
        ),
        ("class E(Exception):\n    def __str__(self): raise ValueError\nraise E", "imported: E"),
        ("raise type('E', (Exception,), {'__str__': lambda self: 3})", "imported: E"),
        ("raise ValueError('\\x1b[2J\\x1b]0;evil\\x07[bold]x')", "ValueError: [2J ]0;evil [bold]x"),
        (UNSPEAKABLE + MARKED + "def townlet_sinks(): return (R(),)", "it cannot be used: ValueError"),
        (UNSPEAKABLE + MARKED + "def townlet_commands(): return (R(),)", "it cannot be used: ValueError"),
        (UNSPEAKABLE + MARKED + "def townlet_events(): return (R,)", "it cannot be used: ValueError"),
        (
            f"class R:\n    __repr__ = lambda self: '\\x1b[2J'\n{MARKED}def townlet_sinks(): return (R(),)",
            "townlet_sinks offers [2J, which is not a Factory",
        ),
        (
            SINK.replace("return (Factory(NAME", f"{NAMELESS}    return (Nameless(NAME"),
            "it cannot be used: ValueError: no name",
        ),
    ],
)
def test_a_broken_plugin_says_what_is_wrong(package, site, source, why):
    package.source = source
    package.install(site)
    catalogue = admit(package.permit)
    state = row_of(catalogue, package).state
    assert state.startswith("broken: ")
    assert why in state
    assert state.isprintable()
    (fault,) = catalogue.faults
    assert fault.reason.startswith("townlet-bakery (bakery) is allowed, but broken: ")
    assert "town" in catalogue.worlds


@pytest.mark.parametrize(
    "source",
    [
        "class E(Exception):\n    def __str__(self): raise ValueError\nraise E",
        "raise ValueError('\\x1b[2Jevil')",
        SINK.replace('label: str = "none"', 'label: float = float("inf")'),
        UNSPEAKABLE + MARKED + "def townlet_sinks(): return (R(),)",
    ],
    ids=["unspeakable", "escape", "infinite", "unspeakable offer"],
)
@pytest.mark.parametrize(
    "words", [("run", "--ticks", "1", "--no-out"), ("config", "check")], ids=["run", "check"]
)
def test_a_broken_plugin_ends_a_command_with_its_reason_and_no_traceback(  # noqa: PLR0913, PLR0917 - fixtures
    townlet, package, site, config, source, words
):
    package.source = source
    package.install(site)
    file = config(f"telemetry: {{sinks: [{{use: {package.module}}}]}}\n", allow(package.permit))
    code, out, err = townlet(*words, file)
    assert code == 3
    assert "bakery" in out + err
    assert "broken: " in out + err
    assert "Traceback" not in out + err
    assert all(line.isprintable() for line in (out + err).splitlines())


@pytest.mark.parametrize(
    "build",
    ["functools.partial(build)", "type('B', (), {'__call__': lambda self, o, c: build(o, c)})()"],
    ids=["partial", "object"],
)
def test_what_builds_a_part_need_not_be_a_function(package, site, build):
    package.source = "import functools\n" + SINK.replace("Options, build,", f"Options, {build},")
    package.install(site)
    catalogue = admit(package.permit)
    found = row_of(catalogue, package)
    assert found.state == "allowed"
    config = using(catalogue, package.module)
    assert config.build(config.sinks[0].part, (), BuildContext(7, Access(site), None, "run")).status()


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("{module}.absent", "No module named"),
        ("{module}:absent", "absent"),
        ("json", "it names json, which it does not install"),
        ("os:system", "it names os, which it does not install"),
    ],
)
def test_an_entry_point_that_leads_nowhere_is_broken(package, site, target, why):
    package.target = target.format(module=package.module)
    package.install(site)
    assert why in row_of(admit(package.permit), package).state


def test_a_plugin_may_be_an_object_in_a_module(package, site):
    as_method = textwrap.indent(SINK.partition("@hookimpl\n")[2].replace("sinks()", "sinks(self)"), "    ")
    package.source = (
        f"{SINK.partition('@hookimpl')[0]}class Kind:\n    @hookimpl\n{as_method}plugin = Kind()\n"
    )
    package.target = f"{package.module}:plugin"
    package.install(site)
    assert row_of(admit(package.permit), package).state == "allowed"


def test_an_allowed_plugin_that_nobody_installed_is_a_fault():
    catalogue = admit(Package(canary=None).permit)
    assert [(fault.number, fault.reason) for fault in catalogue.faults] == [
        (0, "townlet-bakery (bakery) is allowed, but not installed; install it, or remove the line")
    ]


def test_an_entry_point_that_its_distribution_does_not_have_is_a_fault_that_names_those_it_has(installed):
    permit = replace(installed.package.permit, entry_point="bakers")
    (fault,) = admit(permit).faults
    assert fault.reason == "townlet-bakery (bakers) is allowed, but not installed; it offers bakery"


def test_a_thread_that_an_import_starts_is_told(package, site):
    package.source = SINK + textwrap.dedent("""
        import threading
        done = threading.Event()
        threading.Thread(target=done.wait, name="a sly one", daemon=True).start()
        """)
    package.install(site)
    catalogue = admit(package.permit)
    sys.modules[package.module].done.set()
    assert row_of(catalogue, package).state == "allowed"
    assert any("started a thread ('a sly one')" in warning for warning in catalogue.warnings)


def using(catalogue, use: str, options: str = "{}"):
    text = f"townlet: 1\nseed: 7\ntelemetry: {{sinks: [{{use: {use}, options: {options}}}]}}\n"
    return resolve(with_overrides(parse_document(text, "a.yaml"), Access(Path())), catalogue)


@pytest.mark.parametrize(
    ("was", "becomes", "why"),
    [
        (
            "return CollectingSink(NAME)",
            "raise ValueError('no oven')",
            "cannot be built: ValueError: no oven",
        ),
        ("return CollectingSink(NAME)", "raise SystemExit", "cannot be built: SystemExit"),
        (
            "return CollectingSink(NAME)",
            "return None",
            "cannot be built: NoneType has no start, emit, status, stop",
        ),
    ],
)
def test_a_part_that_cannot_be_built_names_its_plugin(package, site, was, becomes, why):
    package.source = SINK.replace(was, becomes)
    package.install(site)
    config = using(admit(package.permit), package.module)
    with pytest.raises(PluginError) as caught:
        config.build(config.sinks[0].part, (), BuildContext(7, Access(site), None, "run"))
    assert "the plugin 'bakery' of townlet-bakery 1.0 is broken" in str(caught.value)
    assert why in str(caught.value)


def test_wrong_options_of_a_plugins_part_are_told_like_those_of_ours(installed):
    catalogue = admit(installed.package.permit)
    with pytest.raises(ConfigError, match=r"a\.yaml:3: .*labl: unknown key; did you mean 'label'"):
        using(catalogue, installed.package.module, "{labl: x}")


def test_options_that_cannot_be_read_name_their_plugin(package, site):
    package.source = SINK.replace(
        'label: str = "none"', 'label: str = "none"\n    def model_dump(self, mode): raise RuntimeError("no")'
    )
    package.install(site)
    with pytest.raises(PluginError, match=r"the options of its sink .* cannot be used: RuntimeError: no"):
        using(admit(package.permit), package.module)


def test_what_was_imported_before_the_pin_was_looked_at_is_not_trusted(installed):
    permit = pin(installed)
    importlib.import_module(installed.package.module)
    assert "was imported before it was verified" in row_of(admit(permit), installed.package).state
    assert row_of(admit(installed.package.permit), installed.package).state == "allowed"
    assert "was imported before it was verified" in row_of(admit(permit), installed.package).state


def test_what_was_imported_before_from_elsewhere_keeps_its_namesake_out(installed, tmp_path, monkeypatch):
    shadow = tmp_path / "shadow"
    shadow.mkdir()
    (shadow / f"{installed.package.module}.py").write_text("")
    monkeypatch.syspath_prepend(shadow)
    importlib.import_module(installed.package.module)
    state = row_of(admit(installed.package.permit), installed.package).state
    assert "was imported before, and not from its files" in state


def test_a_plugin_that_changed_since_it_was_loaded_needs_a_new_process(installed):
    assert row_of(admit(pin(installed)), installed.package).state == "allowed"
    assert row_of(admit(pin(installed)), installed.package).state == "allowed"
    installed.path("late.py").write_bytes(b"SAID = 'something else'\n")
    installed.update_record()
    assert "with another content; restart" in row_of(admit(pin(installed)), installed.package).state
