"""Collects what a loaded plugin offers; checks hooks against their specs and answers by their types."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import isasyncgenfunction, iscoroutinefunction
from types import MappingProxyType
from typing import Final, Generic, TypeVar, cast, get_args

import pluggy

from townlet_core.dto.command import LONGEST_TEXT, Argument, ArgumentType, CommandSpec, Role, is_line
from townlet_core.dto.command_hook import OfferedCommand
from townlet_core.dto.hook import HookStage
from townlet_core.errors import PluginError, TownletError
from townlet_core.events.base import Event
from townlet_core.hook_runner import HookFunction
from townlet_core.isolation import type_name
from townlet_core.jsonvalue import canonical_json
from townlet_plugins import hookspecs
from townlet_plugins.access import Access
from townlet_plugins.allowlist import ENTRY_POINT
from townlet_plugins.factory import BuildContext, Factory, OptionsModel, PartFactory, Prepared, Validate

PARTS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = MappingProxyType(
    {
        "townlet_worlds": ("world", ("spec", "reset", "step", "frame", "snapshot", "restore", "close")),
        "townlet_policies": ("policy", ("identity", "begin", "decide", "end")),
        "townlet_sinks": ("sink", ("start", "emit", "status", "stop")),
        "townlet_observers": ("observer", ("name", "begin", "observe", "kpis")),
        "townlet_stages": ("stage", ("name", "begin", "apply")),
    }
)
"""Each hook that offers factories: the kind of part, and the members of every part of that kind."""

EVENTS: Final = "townlet_events"
COMMANDS: Final = "townlet_commands"
AFFORDANCE: Final = "townlet_affordance_"
"""Prefix of the hooks that are called while the town runs; the stage follows."""

COMMAND_NAME: Final = r"\S+\.[a-z][a-z0-9_]*"
"""The name of a plugin's command; what comes before the last dot is checked by the catalogue."""

_OPTIONS_METHODS = ("model_validate_json", "model_json_schema", "model_dump")

ProductT = TypeVar("ProductT")


class BrokenPluginError(PluginError):
    """An allowed plugin cannot be used; the message is one line without control characters."""

    def __init__(self, message: str) -> None:
        """Make a message that may quote the plugin printable."""
        super().__init__(" ".join("".join(each if each.isprintable() else " " for each in message).split()))


@dataclass(frozen=True, slots=True)
class Offers:
    """Everything that one plugin offers.

    Attributes:
        parts: factories by kind: ``world``, ``policy``, ``sink``, ``observer``, ``stage``.
        events: classes of its events.
        commands: its commands.
        stages: the functions that are called while the town runs, by stage.
    """

    parts: Mapping[str, tuple[PartFactory[object], ...]]
    events: tuple[type[Event], ...]
    commands: tuple[OfferedCommand, ...]
    stages: Mapping[HookStage, HookFunction]


def ask(plugin: object, blame: str = "") -> Offers:
    """Check a plugin's hooks and collect what it offers.

    Args:
        plugin: the module or object that the entry point names.
        blame: the plugin in words, for errors when its parts are built; empty for built-in plugins.

    Raises:
        BrokenPluginError: when it has an unknown hook, fails, or offers something of the wrong type.
    """
    parts: dict[str, tuple[PartFactory[object], ...]] = {}
    events: tuple[type[Event], ...] = ()
    commands: tuple[OfferedCommand, ...] = ()
    stages: dict[HookStage, HookFunction] = {}
    for name, function in _hooks(plugin):
        if name.startswith(AFFORDANCE):
            # The specs name no other stages.
            stages[cast("HookStage", name.removeprefix(AFFORDANCE))] = function
            continue
        with broken(f"{name} failed"):
            answers = list(cast("Iterable[object]", function()))
        if name == EVENTS:
            events = tuple(map(_event, answers))
        elif name == COMMANDS:
            commands = tuple(map(_command, answers))
        else:
            kind, members = PARTS[name]
            parts[kind] = tuple(
                _Guarded(_factory(each, name), blame, kind, members)
                if blame
                # Built-in factories are checked by the type checker, and may be created late.
                else cast("PartFactory[object]", each)
                for each in answers
            )
    if not (any(parts.values()) or events or commands or stages):
        raise BrokenPluginError("it offers nothing: mark its functions with townlet_plugins.hookimpl")
    return Offers(parts, events, commands, stages)


def _hooks(plugin: object) -> Iterator[tuple[str, Callable[..., object]]]:
    """Check what a plugin marks as a hook; it gets its own manager, apart from other plugins."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    with broken("its hooks are not valid"):
        manager.register(plugin)
        manager.check_pending()
    for caller in manager.get_hookcallers(plugin) or ():
        first, *more = caller.get_hookimpls()
        if caller.spec is None:  # pluggy accepts unknown hooks that are marked as optional
            raise BrokenPluginError(f"unknown hook '{caller.name}'")
        if more:
            raise BrokenPluginError(f"it implements {caller.name} twice")
        implementation = first
        if implementation.wrapper or implementation.hookwrapper:
            raise BrokenPluginError(f"it wraps {caller.name}; wrappers are not supported")
        if iscoroutinefunction(implementation.function) or isasyncgenfunction(implementation.function):
            raise BrokenPluginError(f"its {caller.name} is async; hooks are called synchronously")
        if caller.name.startswith(AFFORDANCE) and not implementation.argnames:
            raise BrokenPluginError(f"its {caller.name} takes no context")
        yield caller.name, implementation.function


@contextmanager
def broken(what: str, passing: type[TownletError] = PluginError) -> Iterator[None]:
    """Convert whatever a plugin raises, ``SystemExit`` included, into an error that says where.

    Raises:
        BrokenPluginError: instead of everything except ``passing`` and ``KeyboardInterrupt``.
    """
    try:
        yield
    except (passing, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise BrokenPluginError(f"{what}: {_said(error)}") from error


def _said(error: BaseException) -> str:
    """Format what a plugin raised; formatting calls code of the plugin, which may raise, too."""
    try:
        text = str(error)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - as where it was caught
        text = ""
    return f"{type_name(error)}: {text}".removesuffix(": ")


def _event(offered: object) -> type[Event]:
    if not (isinstance(offered, type) and issubclass(offered, Event)):
        raise BrokenPluginError(f"{EVENTS} offers {offered!r}, which is not a class of events")
    return offered


def _command(offered: object) -> OfferedCommand:
    """Check an offered command without calling it."""
    if type(offered) is not OfferedCommand or type(offered.spec) is not CommandSpec:
        raise BrokenPluginError(
            f"{COMMANDS} offers {offered!r}, which is not an OfferedCommand with a CommandSpec"
        )
    spec = offered.spec
    # The types of a plugin's fields have not been checked yet.
    name, role, summary, arguments, function = cast(
        "tuple[object, ...]", (spec.name, spec.role, spec.summary, spec.arguments, offered.function)
    )
    complaint = ""
    if not isinstance(name, str) or not re.fullmatch(COMMAND_NAME, name):
        complaint = "its name is not valid; allowed: <entry point>.<name> in lower-case letters, digits and _"
    elif role not in get_args(Role):
        complaint = f"its role is unknown; known: {', '.join(get_args(Role))}"
    elif not is_line(summary, LONGEST_TEXT):
        complaint = f"its summary is not a text of at most {LONGEST_TEXT} printable characters"
    elif not isinstance(arguments, tuple) or not all(map(_is_argument, arguments)):
        complaint = f"its arguments are not a tuple of Arguments; types: {', '.join(get_args(ArgumentType))}"
    elif len({each.name for each in spec.arguments}) < len(arguments):
        complaint = "it has an argument twice"
    elif not callable(function):
        complaint = "its function is not callable"
    if complaint:
        raise BrokenPluginError(f"{COMMANDS} offers {name!r}: {complaint}")
    return offered


def _is_argument(given: object) -> bool:
    return (
        type(given) is Argument
        and is_line(given.name, LONGEST_TEXT)
        and given.name.isidentifier()
        and given.type in get_args(ArgumentType)
        and type(given.required) is bool
    )


def _factory(offered: object, hook: str) -> PartFactory[object]:
    """Check an offered factory without building anything."""
    if not isinstance(offered, Factory):
        raise BrokenPluginError(f"{hook} offers {offered!r}, which is not a Factory")
    # The types of a plugin's fields have not been checked yet.
    name, options, build, embed, watch, summary, target, kpis = cast(
        "tuple[object, ...]",
        (
            offered.name,
            offered.options,
            offered.build,
            offered.embed,
            offered.watch,
            offered.summary,
            offered.target,
            offered.kpis,
        ),
    )
    complaint = ""
    if not isinstance(name, str) or not re.fullmatch(ENTRY_POINT, name):
        complaint = "its name is not valid; allowed: ASCII letters and digits, with . _ - after the first"
    elif not isinstance(options, type) or not all(hasattr(options, each) for each in _OPTIONS_METHODS):
        complaint = "its options are not a model"
    elif not callable(build) or not all(each is None or callable(each) for each in (embed, watch)):
        complaint = "its build, embed or watch is not callable"
    elif not all(isinstance(each, str) for each in (summary, target, kpis)):
        complaint = "its summary, target or kpis is not a text"
    if complaint:
        raise BrokenPluginError(f"{hook} offers {name!r}: {complaint}")
    return cast("PartFactory[object]", offered)


@dataclass(frozen=True, slots=True)
class _Guarded(Generic[ProductT]):
    """A factory whose errors name the plugin, and whose parts are checked once before they are used."""

    factory: PartFactory[ProductT]
    blame: str
    kind: str
    members: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.factory.name

    @property
    def options(self) -> type[OptionsModel]:
        return self.factory.options

    @property
    def summary(self) -> str:
        return self.factory.summary

    @property
    def target(self) -> str:
        return self.factory.target

    @property
    def origin(self) -> str:
        return self.factory.origin

    @property
    def kpis(self) -> str:
        return self.factory.kpis

    def prepare(self, validate: Validate, access: Access) -> Prepared[ProductT]:
        what = f"{self.blame} is broken: the options of its {self.kind} '{self.name}' cannot be used"
        with broken(what, TownletError):
            prepared = self.factory.prepare(validate, access)
            # What is not JSON, such as infinities, has no digest.
            canonical_json({"options": prepared.options, "watch": prepared.watch})
        return Prepared(
            prepared.name, prepared.options, lambda context: self._built(prepared, context), prepared.watch
        )

    def _built(self, prepared: Prepared[ProductT], context: BuildContext) -> ProductT:
        what = f"{self.blame} is broken: its {self.kind} '{self.name}' cannot be built"
        with broken(what, TownletError):
            part = prepared.build(context)
            missing = [member for member in self.members if not hasattr(part, member)]
        if missing:
            raise BrokenPluginError(f"{what}: {type(part).__name__} has no {', '.join(missing)}")
        return part
