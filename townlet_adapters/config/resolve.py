"""Turns a config into valid parts that are ready to be built, and computes its digests.

Two passes: the config's own keys first, then the options of each part by the model of its provider.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Generic, TypeVar

from townlet_adapters.config.environment import Substituted, substitute
from townlet_adapters.config.footprint import check_inputs
from townlet_adapters.config.model import (
    DEFAULT_POLICY,
    DEFAULT_SINK,
    DEFAULT_WORLD,
    Part,
    PluginsSection,
    RedactSection,
    RunConfig,
    TransformSection,
    part_of_name,
)
from townlet_adapters.config.source import Override, Source, with_overrides
from townlet_adapters.config.watching import SECTIONS, Watching, watching_of
from townlet_adapters.documents import Document, KeyPath, read_key
from townlet_adapters.validation import validate
from townlet_core.dto.plan import PLAN_KIND
from townlet_core.dto.seen import OBSERVATION_BATCH
from townlet_core.dto.stream import StreamSettings
from townlet_core.errors import ConfigError, PluginError, Problem, UnknownNameError
from townlet_core.hook_runner import AffordanceHook
from townlet_core.jsonvalue import JsonObject, JsonValue, canonical_json
from townlet_core.observers.port import Observer
from townlet_core.ports import ActionStage, PolicyPort, TelemetrySinkProtocol, WorldPort
from townlet_core.suggestions import nearest
from townlet_core.transforms.redact import FRAME_KIND
from townlet_plugins.access import Access
from townlet_plugins.allowlist import Allowlist
from townlet_plugins.catalogue import Catalogue
from townlet_plugins.factory import BuildContext, OptionsModel, PartFactory, Prepared

ModelT = TypeVar("ModelT", bound=OptionsModel)
ProductT = TypeVar("ProductT")
OfferT = TypeVar("OfferT")
ProductT_co = TypeVar("ProductT_co", covariant=True)

_MOST_HINTS = 3

WORLD: KeyPath = ("world",)
POLICY: KeyPath = ("policy",)
SINKS: KeyPath = ("telemetry", "sinks")
OBSERVERS: KeyPath = ("observers", "extra")
STAGES: KeyPath = ("stages",)
KPIS: KeyPath = ("observers", "kpis")
WATCHING: KeyPath = ("observers",)
PLUGINS: KeyPath = ("plugins",)
_KINDS: Mapping[KeyPath, str] = MappingProxyType(
    {WORLD: "world", POLICY: "policy", STAGES: "stage", SINKS: "sink", OBSERVERS: "observer"}
)


def _kind_of(path: KeyPath) -> str:
    """Return the kind of the part at a path."""
    return _KINDS.get(path[:1]) or _KINDS[path[:2]]


@dataclass(frozen=True, slots=True)
class SinkRequest:
    """One ``--sink NAME[=TARGET]``.

    Attributes:
        name: name of the sink.
        target: its destination, or None for the sink's default.
    """

    name: str
    target: str | None = None


@dataclass(frozen=True, slots=True)
class SinkChoice:
    """One sink of a run.

    Attributes:
        part: the sink with valid options.
        stream: how state is sent to it.
        transforms: transforms of its messages.
        path: its place in the config.
    """

    part: Prepared[TelemetrySinkProtocol]
    stream: StreamSettings
    transforms: tuple[TransformSection, ...]
    path: KeyPath


@dataclass(frozen=True, slots=True)
class ResolvedConfig:
    """A valid config with every part ready to be built.

    Attributes:
        run: the config's own keys.
        world: the world.
        policy: the policy.
        sinks: the sinks.
        kpis: the observer that keeps the world's key figures, None when it has none.
        watching: what the observers of the core watch.
        stages: the stages between policy and world, in their order.
        observers: the observers of plugins, in the order of their facts.
        hooks: the active hooks, in the order in which they are called.
        catalogue: everything that the config can name.
        shown: the whole config with every default filled in, without values of the environment.
        simulation: what determines the events in the town: seed, world, policy, observers, timeline, names of
            hooks.
        config_digest: digest of ``shown``.
        sim_digest: digest of ``simulation``.
    """

    run: RunConfig
    world: Prepared[WorldPort]
    policy: Prepared[PolicyPort]
    sinks: tuple[SinkChoice, ...]
    kpis: Prepared[Observer] | None
    watching: Watching
    stages: tuple[Prepared[ActionStage], ...]
    observers: tuple[Prepared[Observer], ...]
    hooks: tuple[AffordanceHook, ...]
    catalogue: Catalogue = field(repr=False)
    shown: JsonObject
    simulation: JsonObject
    config_digest: str
    sim_digest: str
    source: Source

    @property
    def access(self) -> Access:
        """What the config may read."""
        return self.source.access

    def build(self, part: Prepared[ProductT], path: KeyPath, context: BuildContext) -> ProductT:
        """Build the part at ``path``.

        Raises:
            ConfigError: when its options cannot work, with file, line and key of this config.
        """
        with self.located((*path, "options")):
            return part.build(context)

    @contextmanager
    def located(self, path: KeyPath) -> Iterator[None]:
        """Add file, line and key of this config to problems raised inside; their keys start at ``path``."""
        with self.source.blame(), _located(self.source.document, path):
            yield


def with_policy(source: Source, name: str, origin: str) -> Source:
    """Replace the policy; the configured options are kept only when the policy stays the same.

    Args:
        source: the config.
        name: the policy.
        origin: the option that named it, for messages.
    """
    match source.document.value:
        case {"policy": {"use": use}} if use == name:
            return source
    override = Override(POLICY, {"use": name}, origin)
    return with_overrides(source.written, source.access, (*source.overrides, override))


def allowlist_of(source: Source) -> Allowlist:
    """Read which plugins a config allows; they are loaded before the rest, which may name their parts.

    Raises:
        ConfigError: with every problem of that section.
    """
    with source.blame():
        document = substitute(source.document, source.access).document
        match document.value:
            case {"plugins": section} if section is not None:
                return validate(document, PluginsSection, PLUGINS).allowlist()
        return PluginsSection().allowlist()


def resolve(
    source: Source, catalogue: Catalogue, sinks: Sequence[SinkRequest] | None = None
) -> ResolvedConfig:
    """Validate a config in both passes.

    Args:
        source: the config.
        catalogue: everything that it can name.
        sinks: sinks to use instead of the configured ones.

    Raises:
        ConfigError: with every problem of the pass that found one, or with every variable and file that the
            config names and may not read.
        PluginError: when it names a plugin that is not allowed, does not verify or is broken.
    """
    if sinks is not None:
        source = _with_sinks(source, catalogue, sinks)
    with source.blame():
        _require_run_config(source.document)
        raw = _completed(source.document)
        substituted = substitute(raw, source.access)
        run = validate(raw, RunConfig)
        parts = _Parts(substituted, catalogue, source.access)
        parts.require_plugins()
        world = _Attempt(partial(parts.prepare, catalogue.worlds, run.world, WORLD))
        policy = _Attempt(partial(parts.prepare, catalogue.policies, run.policy, POLICY))
        sinks_tried = parts.tried_sinks(run)
        stages_tried = parts.tried(catalogue.stages, run.stages, STAGES)
        watching = _Attempt(partial(parts.watching, {} if world.problems else world.value.watch))
        kpis = _Attempt(partial(parts.kpis, run))
        observers_tried = parts.tried(catalogue.observers, run.observers.extra, OBSERVERS)
        hooks_tried = parts.tried_hooks(run)
        _raise_together(
            [world, policy, *stages_tried, *sinks_tried, kpis, watching, *observers_tried, *hooks_tried]
        )
    chosen, stages = _values(sinks_tried), _values(stages_tried)
    observers = _values(observers_tried)
    shown = _shown(
        substituted, run, world.value, policy.value, stages, chosen, kpis.value, watching.value, observers
    )
    with source.blame():
        check_inputs(raw, shown, source.access)
    simulation = simulation_of(shown)
    return ResolvedConfig(
        run=run,
        world=world.value,
        policy=policy.value,
        sinks=chosen,
        kpis=kpis.value,
        watching=watching.value,
        stages=stages,
        observers=observers,
        hooks=_values(hooks_tried),
        catalogue=catalogue,
        shown=shown,
        simulation=simulation,
        config_digest=digest_of(shown),
        sim_digest=digest_of(simulation),
        source=source,
    )


def _require_run_config(document: Document) -> None:
    """Refuse another kind of file in one line, instead of calling each of its keys unknown."""
    keys = document.value.keys() if isinstance(document.value, Mapping) else set[str]()
    if keys and keys.isdisjoint(RunConfig.model_fields):
        allowed = (
            "a mapping: townlet: 1, seed: 7, world: ...; "
            "to check a map or another file of a world, check the config that names it"
        )
        raise ConfigError(document.problem((), "not a run config: it has no key of one", allowed))


def digest_of(value: JsonValue) -> str:
    """Compute the SHA-256 of a value's canonical JSON, in hex."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


@contextmanager
def _located(document: Document, path: KeyPath) -> Iterator[None]:
    """Add file and line to problems whose key starts at ``path``; those that have a file stay unchanged."""
    try:
        yield
    except ConfigError as error:
        placed = [
            problem
            if problem.file
            else document.problem((*path, *read_key(problem.key)), problem.found, problem.allowed)
            for problem in error.problems
        ]
        raise type(error)(*placed) from error


class _Attempt(Generic[ProductT_co]):
    """One part of the second pass; its problems are kept until all parts have been tried."""

    def __init__(self, make: Callable[[], ProductT_co]) -> None:
        self._made: list[ProductT_co] = []
        self.problems: tuple[Problem, ...] = ()
        self.unknown = False
        try:
            self._made.append(make())
        except ConfigError as error:
            self.problems = error.problems
            self.unknown = isinstance(error, UnknownNameError)

    @property
    def value(self) -> ProductT_co:
        """The part; it exists when no problem was found."""
        return self._made[0]


def _values(attempts: Sequence[_Attempt[ProductT_co]]) -> tuple[ProductT_co, ...]:
    """Return the parts, when no problem was found."""
    return tuple(each.value for each in attempts)


def _raise_together(attempts: Sequence[_Attempt[object]]) -> None:
    """Raise one error with all problems, in the order of the text."""
    failed = [each for each in attempts if each.problems]
    if failed:
        kind = UnknownNameError if all(each.unknown for each in failed) else ConfigError
        problems = [problem for each in failed for problem in each.problems]
        raise kind(*sorted(problems, key=lambda problem: problem.line or 0))


@dataclass(frozen=True, slots=True)
class _OptionsAt:
    """Validates the options at one place of a config; implements ``Validate``."""

    substituted: Substituted
    path: KeyPath

    def __call__(self, model: type[ModelT]) -> ModelT:
        try:
            return validate(self.substituted.document, model, self.path)
        except ConfigError as error:
            raise type(error)(*map(self.substituted.unveil, error.problems)) from None


@dataclass(frozen=True, slots=True)
class _Parts:
    """The second pass: looks up a name and validates its options."""

    substituted: Substituted
    catalogue: Catalogue
    access: Access

    def prepare(
        self, factories: Mapping[str, PartFactory[ProductT]], part: Part, path: KeyPath
    ) -> Prepared[ProductT]:
        factory = self._find(_kind_of(path), factories, part.use, (*path, "use"))
        options = (*path, "options")
        with _located(self.substituted.document, options):
            return factory.prepare(_OptionsAt(self.substituted, options), self.access)

    def tried(
        self, factories: Mapping[str, PartFactory[ProductT]], sections: Sequence[Part], path: KeyPath
    ) -> list[_Attempt[Prepared[ProductT]]]:
        """Prepare the parts of a list."""
        return [
            _Attempt(partial(self.prepare, factories, section, (*path, number)))
            for number, section in enumerate(sections)
        ]

    def tried_sinks(self, run: RunConfig) -> list[_Attempt[SinkChoice]]:
        """Prepare the sinks."""
        return [_Attempt(partial(self.sink, run, number)) for number in range(len(run.telemetry.sinks))]

    def tried_hooks(self, run: RunConfig) -> list[_Attempt[AffordanceHook]]:
        """Look up the hooks."""
        return [
            _Attempt(partial(self.hook, name, (*PLUGINS, "hooks", at)))
            for at, name in enumerate(run.plugins.hooks)
        ]

    def sink(self, run: RunConfig, number: int) -> SinkChoice:
        section, path = run.telemetry.sinks[number], (*SINKS, number)
        prepared = self.prepare(self.catalogue.sinks, section, path)
        for at, transform in enumerate(section.transforms):
            if isinstance(transform, RedactSection):
                self._require_kinds(transform, (*path, "transforms", at, "kinds"))
        return SinkChoice(prepared, section.stream or run.telemetry.stream, section.transforms, path)

    def kpis(self, run: RunConfig) -> Prepared[Observer] | None:
        """Prepare the observer that keeps the world's key figures."""
        world = self.catalogue.worlds.get(run.world.use)
        if world is not None and world.kpis:
            factory = self._find("observer", self.catalogue.observers, world.kpis, (*WORLD, "use"))
            with _located(self.substituted.document, KPIS):
                return factory.prepare(_OptionsAt(self.substituted, KPIS), self.access)
        if world is not None and run.observers.kpis:
            found = f"options, but the world '{world.name}' has no key figures of its own"
            raise ConfigError(self._problem(KPIS, found, "no options"))
        return None

    def watching(self, brought: JsonObject) -> Watching:
        """Validate the sections of the core's observers, on top of those that the world brings."""
        return watching_of(self.substituted.document.child(WATCHING), brought)

    def hook(self, name: str, path: KeyPath) -> AffordanceHook:
        return self._find("hook", self.catalogue.hooks, name, path)

    def require_plugins(self) -> None:
        """Refuse a config that allows a plugin which cannot be loaded."""
        problems = [
            str(self._problem((*PLUGINS, "allow", fault.number), fault.reason, ""))
            for fault in self.catalogue.faults
        ]
        if problems:
            raise PluginError("\n".join(problems))

    def _require_kinds(self, section: RedactSection, path: KeyPath) -> None:
        known = {*self.catalogue.events.classes, FRAME_KIND, PLAN_KIND, OBSERVATION_BATCH}
        unknown = [(at, kind) for at, kind in enumerate(section.kinds or ()) if kind not in known]
        problems = [
            self._problem((*path, at), f"unknown kind '{kind}'", nearest(kind, known)) for at, kind in unknown
        ]
        if problems:
            raise ConfigError(*problems)

    def _find(self, what: str, offered: Mapping[str, OfferT], name: str, path: KeyPath) -> OfferT:
        """Look up a name; the error lists plugins that are not allowed, since one of them may offer it."""
        found = offered.get(name)
        if found is not None:
            return found
        refused = self.catalogue.refused
        for row in refused:
            if row.entry_point == name:
                raise PluginError(str(self._problem(path, f"{row} is {row.state}", row.advice)))
        allowed = nearest(name, offered)
        if refused:
            listed = "; ".join(f"{row} is {row.state}; {row.advice}" for row in refused[:_MOST_HINTS])
            allowed += f"; a plugin that was not loaded may offer it: {listed}"
        raise UnknownNameError(self._problem(path, f"unknown {what} '{name}'", allowed))

    def _problem(self, path: KeyPath, found: str, allowed: str) -> Problem:
        return self.substituted.document.problem(path, found, allowed)


def _with_sinks(source: Source, catalogue: Catalogue, requests: Sequence[SinkRequest]) -> Source:
    """Replace the configured sinks by those of the command line."""
    sections: list[JsonValue] = []
    for request in requests:
        factory = catalogue.sinks.get(request.name)
        options: dict[str, JsonValue] = {}
        if request.target is not None and factory is not None:
            if not factory.target:
                found, allowed = (
                    f"{request.name}={request.target}",
                    f"{request.name} alone; it takes no target",
                )
                problem = replace(source.document.problem(SINKS, found, allowed), file="--sink", line=None)
                raise ConfigError(problem)
            options[factory.target] = request.target
        sections.append({"use": request.name, "options": options})
    override = Override(SINKS, sections, "--sink")
    return with_overrides(source.written, source.access, (*source.overrides, override))


def _completed(document: Document) -> Document:
    """Fill in what the second pass needs: the default parts, and ``options`` of every part."""
    value = document.value
    if isinstance(value, Mapping):
        value = {"world": {"use": DEFAULT_WORLD}, "policy": {"use": DEFAULT_POLICY}, **value}
        telemetry = value.get("telemetry") or {}
        if isinstance(telemetry, Mapping) and telemetry.get("sinks") is None:
            value = {**value, "telemetry": {**telemetry, "sinks": [{"use": DEFAULT_SINK}]}}
        stages = value.get("stages")
        if isinstance(stages, list):
            value = {**value, "stages": [part_of_name(stage) for stage in stages]}
    for path in (WORLD, POLICY, *_part_paths(value)):
        value = _with_options(value, path)
    if isinstance(value, Mapping):
        observers = value.get("observers") or {}
        if isinstance(observers, Mapping):
            empty: dict[str, JsonValue] = {
                name: {} for name in ("kpis", *SECTIONS) if observers.get(name) is None
            }
            value = {**value, "observers": {**observers, **empty}}
    return replace(document, value=value)


def _part_paths(value: JsonValue) -> list[KeyPath]:
    """Find the parts that are items of lists."""
    paths: list[KeyPath] = []
    match value:
        case {"telemetry": {"sinks": list(sinks)}}:
            paths += [(*SINKS, number) for number in range(len(sinks))]
    match value:
        case {"observers": {"extra": list(extra)}}:
            paths += [(*OBSERVERS, number) for number in range(len(extra))]
    match value:
        case {"stages": list(stages)}:
            paths += [(*STAGES, number) for number in range(len(stages))]
    return paths


def _with_options(value: JsonValue, path: KeyPath) -> JsonValue:
    """Copy a value and add missing options to the part at ``path``; any other value stays unchanged."""
    if isinstance(value, list) and path:
        return [_with_options(item, path[1:]) if at == path[0] else item for at, item in enumerate(value)]
    if isinstance(value, Mapping) and path:
        return {key: _with_options(item, path[1:]) if key == path[0] else item for key, item in value.items()}
    if isinstance(value, Mapping) and value.get("options") is None:
        return {**value, "options": {}}
    return value


def _shown(  # noqa: PLR0913, PLR0917 - the parts of a config
    substituted: Substituted,
    run: RunConfig,
    world: Prepared[WorldPort],
    policy: Prepared[PolicyPort],
    stages: tuple[Prepared[ActionStage], ...],
    sinks: tuple[SinkChoice, ...],
    kpis: Prepared[Observer] | None,
    watching: Watching,
    observers: tuple[Prepared[Observer], ...],
) -> dict[str, JsonValue]:
    """Build the whole config with every default filled in."""
    shown: dict[str, JsonValue] = run.model_dump(mode="json")
    shown["world"] = {"use": world.name, "options": world.options}
    shown["policy"] = {"use": policy.name, "options": policy.options}
    shown["stages"] = [{"use": each.name, "options": each.options} for each in stages]
    shown["telemetry"] = {
        "stream": asdict(run.telemetry.stream),
        "sinks": [
            {
                "use": sink.part.name,
                "stream": asdict(sink.stream),
                "transforms": [each.model_dump(mode="json") for each in sink.transforms],
                "options": substituted.written(sink.part.options, (*sink.path, "options")),
            }
            for sink in sinks
        ],
    }
    extra: list[JsonValue] = [{"use": each.name, "options": each.options} for each in observers]
    shown["observers"] = {
        **run.observers.model_dump(mode="json"),
        "kpis": {} if kpis is None else kpis.options,
        **watching.shown(),
        "extra": extra,
    }
    return shown


def simulation_of(shown: JsonObject) -> dict[str, JsonValue]:
    """Select the keys that determine the events in a town; a snapshot never allows plugins."""
    simulation = {
        key: shown[key] for key in ("seed", "world", "policy", "stages", "observers") if key in shown
    }
    if shown.get("commands"):
        simulation["commands"] = shown["commands"]
    match shown.get("plugins"):
        case {"hooks": hooks}:
            simulation["plugins"] = {"hooks": hooks}
    return simulation
