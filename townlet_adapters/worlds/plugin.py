"""The worlds we ship, through the same door as anybody else's."""

import logging
from collections.abc import Sequence

from townlet_adapters.worlds.town.embed import embed_files
from townlet_adapters.worlds.town.options import TownOptions
from townlet_core.ports import WorldPort
from townlet_plugins import hookimpl
from townlet_plugins.factory import BuildContext, Factory, PartFactory

_LOG = logging.getLogger(__name__)


@hookimpl
def townlet_worlds() -> Sequence[PartFactory[WorldPort]]:
    """Offer ``town``."""
    return (
        Factory(
            name="town",
            options=TownOptions,
            build=build_town,
            summary="a small town of residents with needs, jobs and queues",
            embed=embed_files,
        ),
    )


def build_town(options: TownOptions, context: BuildContext) -> WorldPort:
    """Make the town.

    Raises:
        ConfigError: when map, manifest and options do not make a town.
    """
    from townlet_adapters.worlds.town.model import TownModel  # noqa: PLC0415 - brings numba
    from townlet_adapters.worlds.town.world import TownWorld  # noqa: PLC0415 - brings numba

    model = TownModel.build(options, context.config_dir, context.hooks)
    for warning in model.plan.warnings:
        _LOG.warning("%s", warning)
    return TownWorld(model, context.hooks)
