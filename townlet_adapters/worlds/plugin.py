"""The built-in worlds, offered through the same plugin hooks as third-party worlds.

A run of another world imports nothing of the town: the town's modules are imported when a config names it, or
when its options are needed.
"""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from townlet_core.ports import WorldPort
from townlet_plugins import hookimpl
from townlet_plugins.access import Access
from townlet_plugins.factory import BuildContext, Factory, OptionsModel, PartFactory, Prepared, Validate

if TYPE_CHECKING:
    from townlet_adapters.worlds.town.options import TownOptions

_LOG = logging.getLogger(__name__)


@hookimpl
def townlet_worlds() -> Sequence[PartFactory[WorldPort]]:
    """Offer ``town``."""
    return (_LateTown(),)


class _LateTown:
    """The factory of the town, built when more than its name is needed."""

    name = "town"
    summary = "a small town of residents with needs, jobs and queues"
    target = ""

    @property
    def origin(self) -> str:
        """``module:name`` of the function that builds the town."""
        return f"{build_town.__module__}:{build_town.__qualname__}"

    @property
    def options(self) -> type[OptionsModel]:
        """Model of the town's options."""
        return self._factory().options

    def prepare(self, validate: Validate, access: Access) -> Prepared[WorldPort]:
        """Validate the options and read the files that they name; raises ``ConfigError``."""
        return self._factory().prepare(validate, access)

    def _factory(self) -> "Factory[TownOptions, WorldPort]":
        from townlet_adapters.worlds.town.embed import embed_files  # noqa: PLC0415 - see the module's docstring
        from townlet_adapters.worlds.town.options import TownOptions  # noqa: PLC0415 - as above

        return Factory(self.name, TownOptions, build_town, self.summary, embed=embed_files)


def build_town(options: "TownOptions", context: BuildContext) -> WorldPort:
    """Build the town.

    Raises:
        ConfigError: when map, manifest and options do not fit together.
    """
    from townlet_adapters.worlds.town.model import TownModel  # noqa: PLC0415 - imports numba
    from townlet_adapters.worlds.town.world import TownWorld  # noqa: PLC0415 - imports numba

    model = TownModel.build(options, context.access, context.hooks)
    for warning in model.plan.warnings:
        _LOG.warning("%s", warning)
    return TownWorld(model, context.hooks)
