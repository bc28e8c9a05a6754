"""From installed entry points to a catalogue of factories; nothing runs before it is allowed."""

import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic, TypeVar, cast

import importlib_metadata
import pluggy

from townlet_core.errors import PluginError
from townlet_core.ports import PolicyPort, TelemetrySinkProtocol, WorldPort
from townlet_plugins import hookspecs
from townlet_plugins.factory import Factory, PartFactory

GROUP = "townlet.plugins"
"""Entry-point group that plugins are found under."""

OWN_DISTRIBUTION = "townlet"
"""The one distribution that needs nobody's permission."""

OWN_PACKAGE = "townlet_adapters"
"""The package that our own plugins lie in; a stranger that took our name has none there."""

BUILTIN = "builtin"
REFUSED = "refused: third-party plugins cannot be loaded by this version"

_UNKNOWN = "unknown"

ProductT = TypeVar("ProductT")


@dataclass(frozen=True, slots=True)
class Listing:
    """One entry point, as its distribution's metadata tells; nothing of it has been imported.

    Attributes:
        distribution: normalised name of the distribution.
        version: the distribution's version.
        entry_point: name of the entry point.
        target: module that it names.
        builtin: whether it is one of our own.
    """

    distribution: str
    version: str
    entry_point: str
    target: str
    builtin: bool


@dataclass(frozen=True, slots=True)
class PluginRow:
    """One line of ``townlet plugins list``.

    Attributes:
        distribution: normalised name of the distribution.
        version: the distribution's version.
        entry_point: name of the entry point.
        name: what a config writes after ``use:``; empty when the plugin was not loaded.
        kind: ``world``, ``policy`` or ``sink``; empty when the plugin was not loaded.
        state: ``builtin`` or ``refused: why``.
        target: what builds the part, or the module named by an entry point that was not loaded.
    """

    distribution: str
    version: str
    entry_point: str
    name: str
    kind: str
    state: str
    target: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything a config may name.

    Attributes:
        worlds: factories by the name that ``world.use`` has.
        policies: factories by the name that ``policy.use`` has.
        sinks: factories by the name that ``telemetry.sinks[].use`` has.
        rows: every entry point found, loaded or not.
    """

    worlds: Mapping[str, PartFactory[WorldPort]]
    policies: Mapping[str, PartFactory[PolicyPort]]
    sinks: Mapping[str, PartFactory[TelemetrySinkProtocol]]
    rows: tuple[PluginRow, ...]


def list_entry_points() -> tuple[Listing, ...]:
    """List every entry point of our group from metadata alone, by distribution and name."""
    found = importlib_metadata.entry_points(group=GROUP)
    return tuple(sorted(map(_listing, found), key=lambda row: (row.distribution, row.entry_point)))


def load_catalogue(listings: Sequence[Listing] | None = None) -> Catalogue:
    """Load our own plugins, list the others, and collect what was offered.

    Args:
        listings: what is installed; by default, what ``list_entry_points`` finds.

    Raises:
        PluginError: when one of our own plugins cannot be imported, misspells a hook, offers something
            else than factories, or offers a name twice.
    """
    installed = list_entry_points() if listings is None else tuple(listings)
    own = [listing for listing in installed if listing.builtin]
    if not own:
        raise PluginError(
            f"the distribution '{OWN_DISTRIBUTION}' is not installed, so its world, policies and sinks "
            "cannot be found; install it, in a checkout with 'make setup' or 'pip install --editable .'"
        )
    manager = _register(own)
    worlds = _collect(manager, hookspecs.townlet_worlds)
    policies = _collect(manager, hookspecs.townlet_policies)
    sinks = _collect(manager, hookspecs.townlet_sinks)
    rows = [
        *_rows("world", own, worlds),
        *_rows("policy", own, policies),
        *_rows("sink", own, sinks),
        *(_refusal(listing) for listing in installed if not listing.builtin),
    ]
    return Catalogue(_by_name(worlds), _by_name(policies), _by_name(sinks), tuple(rows))


def _listing(entry: importlib_metadata.EntryPoint) -> Listing:
    """Read one entry point's row; what its metadata lacks is listed as unknown."""
    name, version = _UNKNOWN, _UNKNOWN
    if entry.dist is not None:
        # A distribution whose folder lost its METADATA is still on the path.
        with suppress(importlib_metadata.MetadataNotFound):
            metadata = entry.dist.metadata
            name = metadata.get("Name", _UNKNOWN)
            version = metadata.get("Version", _UNKNOWN)
    distribution = re.sub(r"[-_.]+", "-", name).lower()
    package = entry.value.partition(":")[0].partition(".")[0].strip()
    own = distribution == OWN_DISTRIBUTION and package == OWN_PACKAGE
    return Listing(distribution, version, entry.name, entry.value, builtin=own)


def _register(listings: Iterable[Listing]) -> pluggy.PluginManager:
    """Import plugins and check every hook they mark against the specs."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    for listing in listings:
        try:
            manager.register(importlib.import_module(listing.target), name=listing.entry_point)
            manager.check_pending()
        except (ImportError, pluggy.PluginValidationError) as error:
            raise PluginError(
                f"the plugin '{listing.entry_point}' of {listing.distribution} {listing.version} "
                f"({listing.target}) is broken: {error}"
            ) from error
    return manager


@dataclass(frozen=True, slots=True)
class _Offer(Generic[ProductT]):
    """One factory and the entry point that brought it."""

    entry_point: str
    factory: PartFactory[ProductT]


def _collect(
    manager: pluggy.PluginManager, spec: Callable[[], Sequence[PartFactory[ProductT]]]
) -> tuple[_Offer[ProductT], ...]:
    """Ask each plugin by itself, so that every factory can be traced to who offered it."""
    offers: dict[str, _Offer[ProductT]] = {}
    # Passing no plugin to leave out gives the hook's caller by its name.
    for implementation in manager.subset_hook_caller(spec.__name__, ()).get_hookimpls():
        plugin = implementation.plugin_name
        for factory in cast("Iterable[object]", implementation.function()):
            if not isinstance(factory, Factory):
                raise PluginError(
                    f"the plugin '{plugin}' is broken: {spec.__name__} offers {factory!r}, no Factory"
                )
            if factory.name in offers:
                first = offers[factory.name].entry_point
                raise PluginError(
                    f"'{factory.name}' is offered twice through {spec.__name__}: by '{first}' and '{plugin}'"
                )
            offers[factory.name] = _Offer(plugin, cast("PartFactory[ProductT]", factory))
    return tuple(offers[name] for name in sorted(offers))


def _by_name(offers: Iterable[_Offer[ProductT]]) -> Mapping[str, PartFactory[ProductT]]:
    """Look factories up by what a config writes."""
    return MappingProxyType({offer.factory.name: offer.factory for offer in offers})


def _rows(kind: str, listings: Sequence[Listing], offers: Iterable[_Offer[ProductT]]) -> Iterator[PluginRow]:
    """Describe what loaded plugins offer."""
    of = {listing.entry_point: listing for listing in listings}
    for offer in offers:
        listing, factory = of[offer.entry_point], offer.factory
        yield PluginRow(
            listing.distribution,
            listing.version,
            listing.entry_point,
            factory.name,
            kind,
            BUILTIN,
            factory.origin,
        )


def _refusal(listing: Listing) -> PluginRow:
    """Describe a plugin that was not loaded."""
    return PluginRow(
        listing.distribution, listing.version, listing.entry_point, "", "", REFUSED, listing.target
    )
