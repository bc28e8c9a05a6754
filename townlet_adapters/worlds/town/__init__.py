"""The town: its inputs, its rules and the ways to step it.

The names below are loaded on use: without numba, options can be read and the form of a config checked.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from townlet_adapters.worlds.town.compiled.model import TownModel
    from townlet_adapters.worlds.town.inputs.texts import TownOptions
    from townlet_adapters.worlds.town.seam.arguments import Intervention
    from townlet_adapters.worlds.town.seam.batch import TownBatch
    from townlet_adapters.worlds.town.seam.world import TownWorld
    from townlet_adapters.worlds.town.systems.observe import TownArrays

__all__ = ["Intervention", "TownArrays", "TownBatch", "TownModel", "TownOptions", "TownWorld"]

_HOMES = {
    "Intervention": "seam.arguments",
    "TownArrays": "systems.observe",
    "TownBatch": "seam.batch",
    "TownModel": "compiled.model",
    "TownOptions": "inputs.texts",
    "TownWorld": "seam.world",
}


def __getattr__(name: str) -> object:
    """Load a public name from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return vars(import_module(f"{__name__}.{_HOMES[name]}"))[name]
