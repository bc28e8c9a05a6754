"""The built-in worlds, offered through the same plugin hooks as third-party worlds.

A run of another world imports nothing of the town but the classes of its events: the town's other modules are
imported when a config names it, or when its options are needed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Generic, TypeVar

from townlet_adapters.worlds.town.events import TOWN_EVENTS
from townlet_core.events.base import Event
from townlet_core.observers.port import Observer
from townlet_core.ports import WorldPort
from townlet_plugins import hookimpl
from townlet_plugins.access import Access
from townlet_plugins.factory import (
    BuildContext,
    Factory,
    OptionsModel,
    PartFactory,
    Prepared,
    StoredWorld,
    Validate,
)

if TYPE_CHECKING:
    from townlet_adapters.worlds.town.inputs.texts import TownOptions
    from townlet_adapters.worlds.town.observers.settings import KpiSettings

ProductT = TypeVar("ProductT")


@hookimpl
def townlet_worlds() -> Sequence[PartFactory[WorldPort]]:
    """Offer ``town``."""
    return (TOWN,)


@hookimpl
def townlet_observers() -> Sequence[PartFactory[Observer]]:
    """Offer ``kpis``, which every run of the town has."""
    return (KPIS,)


@hookimpl
def townlet_events() -> Sequence[type[Event]]:
    """Offer the kinds of the town's events."""
    return TOWN_EVENTS


@dataclass(frozen=True, slots=True)
class _Late(Generic[ProductT]):
    """A factory that is made when more than its name is needed: it imports modules of the town.

    Attributes:
        name: its name in a config.
        summary: one line for people.
        build: the function that builds the part.
        make: makes the factory.
        kpis: the observer that keeps the key figures of such a world.
    """

    name: str
    summary: str
    build: Callable[..., ProductT]
    make: Callable[[], PartFactory[ProductT]]
    kpis: str = ""
    target: ClassVar[str] = ""

    @property
    def origin(self) -> str:
        """``module:name`` of the function that builds the part."""
        return f"{self.build.__module__}:{self.build.__qualname__}"

    @property
    def options(self) -> type[OptionsModel]:
        """Model of the part's options."""
        return self.make().options

    def prepare(self, validate: Validate, access: Access) -> Prepared[ProductT]:
        """Validate the options and read the files that they name; raises ``ConfigError``."""
        return self.make().prepare(validate, access)


class _LateTown(_Late[WorldPort]):
    """The factory of the town: it starts a folder to edit, and migrates older snapshots."""

    __slots__ = ()

    def starter(self) -> Mapping[str, bytes]:
        """Return the shipped town as files to edit, the run config first."""
        from townlet_adapters.worlds.town.inputs.shipped import starter_files  # noqa: PLC0415 - see the module's docstring

        return starter_files()

    def migrate(self, schema: int, stored: StoredWorld) -> StoredWorld:
        """Bring a stored town to the next schema of snapshots; raises ``SnapshotError``."""
        from townlet_adapters.worlds.town.seam.migration import STEPS  # noqa: PLC0415 - imports numba

        return STEPS[schema](stored)


def _town() -> "Factory[TownOptions, WorldPort]":
    from townlet_adapters.worlds.town.inputs.embed import embed_files  # noqa: PLC0415 - see the module's docstring
    from townlet_adapters.worlds.town.inputs.texts import TownOptions  # noqa: PLC0415 - as above
    from townlet_adapters.worlds.town.inputs.watch import watch_of  # noqa: PLC0415 - as above

    return Factory(TOWN.name, TownOptions, build_town, TOWN.summary, embed=embed_files, watch=watch_of)


def _kpis() -> "Factory[KpiSettings, Observer]":
    from townlet_adapters.worlds.town.observers.settings import KpiSettings  # noqa: PLC0415 - as above

    return Factory(KPIS.name, KpiSettings, build_kpis, KPIS.summary)


def build_town(options: "TownOptions", context: BuildContext) -> WorldPort:
    """Build the town.

    Raises:
        ConfigError: when map, manifest and options do not fit together.
    """
    from townlet_adapters.worlds.town.compiled.model import TownModel  # noqa: PLC0415 - imports numba
    from townlet_adapters.worlds.town.seam.world import TownWorld  # noqa: PLC0415 - imports numba

    return TownWorld(TownModel.build(options, context.access, context.hooks), context.hooks)


def build_kpis(options: "KpiSettings", context: BuildContext) -> Observer:
    """Build the observer that keeps the town's key figures."""
    from townlet_adapters.worlds.town.observers.kpis import KpiObserver  # noqa: PLC0415 - as above

    del context
    return KpiObserver(options)


KPIS: Final = _Late("kpis", "the key figures of a town", build_kpis, _kpis)
TOWN: Final = _LateTown(
    "town", "a small town of residents with needs, jobs and queues", build_town, _town, kpis=KPIS.name
)
