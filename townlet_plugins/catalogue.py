"""Builds the catalogue of what a config may name; only allowed entry points are imported."""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeVar, cast

from townlet_core.dto.command_hook import OfferedCommand
from townlet_core.errors import PluginError
from townlet_core.events.base import Event
from townlet_core.events.health import PluginCounts
from townlet_core.events.schema import CORE_EVENTS, EventRegistry
from townlet_core.hook_runner import AffordanceHook
from townlet_core.observers.port import Observer
from townlet_core.ports import ActionStage, PolicyPort, TelemetrySinkProtocol, WorldPort
from townlet_plugins.allowlist import NOBODY, Allowlist, Permit
from townlet_plugins.factory import PartFactory
from townlet_plugins.importer import ImportRefusedError, import_from, import_verified, serve
from townlet_plugins.listing import OWN_DISTRIBUTION, OWN_PACKAGE, OWN_ROOT, Listing, list_entry_points
from townlet_plugins.offers import PARTS, BrokenPluginError, Offers, ask, broken
from townlet_plugins.verdicts import Need, Verdict, judge

BUILTIN: Final = "builtin"
ALLOWED: Final = "allowed"
BROKEN: Final = "broken"
"""The states of a plugin; ``broken`` is followed by a reason."""

ProductT = TypeVar("ProductT")


@dataclass(frozen=True, slots=True)
class PluginRow:
    """One line of ``townlet plugins list``.

    Attributes:
        distribution: normalised name of the distribution.
        version: the distribution's version.
        entry_point: name of the entry point.
        name: what a config writes to use it; empty when the plugin was not loaded.
        kind: ``world``, ``policy``, ``sink``, ``observer``, ``event``, ``command`` or ``hook``; empty when
            the plugin was not loaded.
        state: ``builtin``, ``allowed``, ``refused: why`` or ``broken: why``.
        target: what builds the part, or the module named by an entry point that was not loaded.
        content_sha256: digest of the distribution's content; empty for built-in plugins, editable installs,
            and what was not verified.
        needs: keys that an entry which allows it must have beside distribution and entry point; empty if an
            entry for it exists.
    """

    distribution: str
    version: str
    entry_point: str
    name: str
    kind: str
    state: str
    target: str
    content_sha256: str = ""
    needs: tuple[Need, ...] = ()

    @property
    def loaded(self) -> bool:
        """Whether it was loaded."""
        return self.state in {BUILTIN, ALLOWED}

    @property
    def allow_line(self) -> str:
        """The line of ``plugins.allow`` that allows it; a required pin must be added."""
        return Permit(
            self.distribution,
            self.entry_point,
            self.version,
            allow_native="allow_native" in self.needs,
            allow_editable="allow_editable" in self.needs,
        ).as_yaml()

    @property
    def advice(self) -> str:
        """What to do about a plugin that was not loaded."""
        if self.state.startswith(BROKEN):
            return f"reinstall {self.distribution}"
        if "content_sha256" in self.needs:
            pin = f"townlet plugins pin {self.distribution}"
            return f"to allow it, add below plugins.allow what '{pin}' prints"
        return f"to allow it, add below plugins.allow: {self.allow_line}"

    def __str__(self) -> str:
        """Return the plugin's name for use in a sentence."""
        return f"the plugin '{self.entry_point}' of {self.distribution} {self.version}"


@dataclass(frozen=True, slots=True)
class Fault:
    """An entry of the allowlist without a loaded plugin.

    Attributes:
        number: index of the entry, from 0.
        reason: why the plugin was not loaded.
    """

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything a config may name.

    Attributes:
        worlds: factories by the name for ``world.use``.
        policies: factories by the name for ``policy.use``.
        sinks: factories by the name for ``telemetry.sinks[].use``.
        observers: factories by the name for ``observers.extra[].use``.
        stages: factories by the name for ``stages[].use``.
        events: every kind of event that a run may emit.
        commands: the commands that plugins add to those of a world.
        hooks: hooks that ``plugins.hooks`` may activate, by name.
        rows: every entry point found, loaded or not.
        faults: entries of the allowlist without a loaded plugin.
        warnings: what allowed plugins did that the operator should know.
    """

    worlds: Mapping[str, PartFactory[WorldPort]]
    policies: Mapping[str, PartFactory[PolicyPort]]
    sinks: Mapping[str, PartFactory[TelemetrySinkProtocol]]
    observers: Mapping[str, PartFactory[Observer]]
    stages: Mapping[str, PartFactory[ActionStage]]
    events: EventRegistry
    commands: tuple[OfferedCommand, ...]
    hooks: Mapping[str, AffordanceHook]
    rows: tuple[PluginRow, ...]
    faults: tuple[Fault, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def counts(self) -> PluginCounts:
        """How many entry points of third parties were loaded, and how many were not."""
        # A loaded plugin has a row for each thing that it offers, and no other plugin has a row of its name.
        others = [row for row in self.rows if row.state != BUILTIN]
        broken = sum(row.state.startswith(BROKEN) for row in others)
        allowed = len({row.entry_point for row in others if row.loaded})
        return PluginCounts(allowed, len(self.refused) - broken, broken)

    @property
    def refused(self) -> tuple[PluginRow, ...]:
        """Plugins that are installed and were not loaded."""
        return tuple(row for row in self.rows if not row.loaded)


def load_catalogue(allowlist: Allowlist = NOBODY, listings: Sequence[Listing] | None = None) -> Catalogue:
    """Load the built-in plugins and the allowed ones, list the others, and collect what was offered.

    Args:
        allowlist: the plugins that are allowed beside the built-in ones.
        listings: the installed entry points; by default, what ``list_entry_points`` finds.

    Raises:
        PluginError: when a built-in plugin is missing or broken. What is wrong with others is in the rows and
            faults.
    """
    installed = list_entry_points() if listings is None else tuple(listings)
    shelf = _Shelf()
    own = [listing for listing in installed if listing.builtin]
    if not own:
        raise PluginError(
            f"the distribution '{OWN_DISTRIBUTION}' is not installed, so its world, policies and sinks "
            "cannot be found; install it, in a checkout with 'make setup' or 'pip install --editable .'"
        )
    _require_one_installation(own)
    for listing in own:
        try:
            with broken("it cannot be imported"):
                plugin = import_from(listing.target, OWN_ROOT / OWN_PACKAGE)
            shelf.put(listing, BUILTIN, ask(plugin))
        except PluginError as error:
            message = f"the built-in plugin '{listing.entry_point}' ({listing.target}) is broken: {error}"
            raise PluginError(message) from error
    # Every plugin is judged before the first of them runs.
    verdicts = tuple(judge(installed, allowlist))
    # Each is also served before the first one runs, which may import another; errors are recorded below.
    for verdict in verdicts:
        if verdict.content is not None:
            with suppress(ImportRefusedError):
                serve(verdict.content, pinned=verdict.pinned)
    for verdict in verdicts:
        shelf.judged(verdict)
    return shelf.catalogue(tuple(_faults(allowlist, shelf.states)))


def _require_one_installation(own: Sequence[Listing]) -> None:
    """Refuse two installations of this distribution: an interrupted update or an attack left one of them."""
    if len({listing.key for listing in own}) < len(own):
        places = ", ".join(sorted({str(listing.source) for listing in own}))
        raise PluginError(
            f"{OWN_DISTRIBUTION} is installed twice: {places}; "
            "uninstall it until it is gone, then install it once"
        )


def verify_allowed(allowlist: Allowlist) -> tuple[tuple[Verdict, ...], tuple[Fault, ...]]:
    """Verify everything that an allowlist names, without importing it.

    Returns:
        The verdict on every installed plugin of third parties, and the entries without an allowed plugin.
    """
    verdicts = tuple(judge(list_entry_points(), allowlist))
    states = {verdict.listing.key: verdict.state for verdict in verdicts}
    return verdicts, tuple(_faults(allowlist, states))


def _faults(allowlist: Allowlist, states: Mapping[tuple[str, str], str]) -> Iterable[Fault]:
    """Find the entries of the allowlist without an allowed plugin."""
    for number, permit in enumerate(allowlist.permits):
        state = states.get(permit.key)
        what = f"{permit.distribution} ({permit.entry_point})"
        if state is None:
            known = sorted({entry for name, entry in states if name == permit.key[0]})
            instead = f"it offers {', '.join(known)}" if known else "install it, or remove the line"
            yield Fault(number, f"{what} is allowed, but not installed; {instead}")
        elif state != ALLOWED:
            yield Fault(number, f"{what} is allowed, but {state}")


@dataclass(slots=True)
class _Shelf:
    """Collects what plugins offer; a plugin is added as a whole or not at all."""

    parts: dict[str, dict[str, PartFactory[object]]] = field(
        default_factory=lambda: {kind: {} for kind, _ in PARTS.values()}
    )
    events: EventRegistry = CORE_EVENTS
    commands: list[OfferedCommand] = field(default_factory=list)
    hooks: dict[str, AffordanceHook] = field(default_factory=dict)
    rows: list[PluginRow] = field(default_factory=list)
    states: dict[tuple[str, str], str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def judged(self, verdict: Verdict) -> None:
        """Load what is allowed; add a row for everything else."""
        listing, state = verdict.listing, verdict.state
        if state == ALLOWED:
            try:
                self._require_name(listing)
                with broken("it cannot be used"):
                    self.put(listing, ALLOWED, self._load(verdict), verdict.sha256)
            except PluginError as error:
                state = f"{BROKEN}: {error}"
        self.states[listing.key] = state
        if state != ALLOWED:
            fields = (listing.distribution, listing.version, listing.entry_point)
            self.rows.append(PluginRow(*fields, "", "", state, listing.target, verdict.sha256, verdict.needs))

    def put(self, listing: Listing, state: str, offers: Offers, sha256: str = "") -> None:
        """Add everything that a plugin offers.

        Raises:
            PluginError: when a name is taken, or one of an event or command does not begin with the plugin's.
        """
        self._require_parts(offers)
        _require_commands(listing.entry_point, offers.commands)
        with broken("its events are not valid"):
            events = self._with_events(listing, state, offers.events)
            for each in offers.events:
                events.data_schema(each.kind)
        named = {kind: {each.name: each for each in offered} for kind, offered in offers.parts.items()}
        found = [
            (name, kind, each.origin) for kind, offered in named.items() for name, each in offered.items()
        ]
        # From here on the plugin is not asked anything, so it is added as a whole.
        self.events = events
        self.commands += offers.commands
        self.names[listing.entry_point] = listing.distribution
        for kind, offered in named.items():
            self.parts[kind] |= offered
        found += [(each.kind, "event", f"{each.__module__}:{each.__qualname__}") for each in offers.events]
        found += [(each.spec.name, "command", listing.target) for each in offers.commands]
        if offers.stages:
            self.hooks[listing.entry_point] = AffordanceHook(listing.entry_point, offers.stages, sha256)
            found.append((listing.entry_point, "hook", listing.target))
        self.rows += [
            PluginRow(
                listing.distribution, listing.version, listing.entry_point, name, kind, state, target, sha256
            )
            for name, kind, target in sorted(found, key=lambda each: (each[1], each[0]))
        ]

    def _with_events(self, listing: Listing, state: str, offered: Sequence[type[Event]]) -> EventRegistry:
        """Add a plugin's kinds of events; only built-in ones may have names without the plugin's."""
        if state == BUILTIN:
            return self.events.including(offered)
        return self.events.extended(listing.entry_point, offered)

    def _require_name(self, listing: Listing) -> None:
        """Refuse a second plugin of one name, by which manifests, events and hooks identify plugins."""
        first = self.names.get(listing.entry_point)
        if first is not None:
            raise BrokenPluginError(
                f"{first} offers a plugin '{listing.entry_point}', too; only one can be loaded"
            )

    def _require_parts(self, offers: Offers) -> None:
        """Refuse a part whose name is taken."""
        for kind, factories in offers.parts.items():
            names = Counter(factory.name for factory in factories)
            for name, count in names.items():
                if count > 1 or name in self.parts[kind]:
                    raise BrokenPluginError(f"the {kind} '{name}' is offered twice")

    def _load(self, verdict: Verdict) -> Offers:
        """Import an allowed plugin and collect what it offers."""
        listing = verdict.listing
        blame = f"the plugin '{listing.entry_point}' of {listing.distribution} {listing.version}"
        before = set(threading.enumerate())
        with broken("it cannot be imported"):
            plugin = self._imported(verdict)
        for thread in set(threading.enumerate()) - before:
            self.warnings.append(
                f"{blame} started a thread ('{thread.name}') when it was imported; "
                "only what a run builds should start one"
            )
        return ask(plugin, blame)

    @staticmethod
    def _imported(verdict: Verdict) -> object:
        """Import a plugin from its verified content or its editable project."""
        listing = verdict.listing
        if verdict.content is not None:
            return import_verified(listing.target, verdict.content, pinned=verdict.pinned)
        if verdict.project is not None:
            return import_from(listing.target, verdict.project)
        raise BrokenPluginError("there is no content to import it from")

    def catalogue(self, faults: tuple[Fault, ...]) -> Catalogue:
        """Return what was collected."""
        return Catalogue(
            worlds=_named(self.parts["world"]),
            policies=_named(self.parts["policy"]),
            sinks=_named(self.parts["sink"]),
            observers=_named(self.parts["observer"]),
            stages=_named(self.parts["stage"]),
            events=self.events,
            commands=tuple(self.commands),
            hooks=MappingProxyType(dict(self.hooks)),
            rows=tuple(self.rows),
            faults=faults,
            warnings=tuple(self.warnings),
        )


def _require_commands(entry_point: str, commands: Sequence[OfferedCommand]) -> None:
    """Refuse a command whose name does not begin with the plugin's, or is offered twice."""
    names = Counter(each.spec.name for each in commands)
    for name, count in names.items():
        if name.rpartition(".")[0] != entry_point:
            raise BrokenPluginError(f"its command '{name}' must be called '{entry_point}.<name>'")
        if count > 1:
            raise BrokenPluginError(f"the command '{name}' is offered twice")


def _named(factories: Mapping[str, PartFactory[object]]) -> Mapping[str, PartFactory[ProductT]]:
    """Sort factories by name; what they build is checked when it is built."""
    return cast("Mapping[str, PartFactory[ProductT]]", MappingProxyType(dict(sorted(factories.items()))))
