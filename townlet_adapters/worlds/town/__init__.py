"""The town: its inputs, its rules and the ways to step it.

The names below are loaded on use: without numba, options can be read and the form of a config checked.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from townlet_adapters.worlds.town.arguments import Intervention
    from townlet_adapters.worlds.town.batch import TownBatch
    from townlet_adapters.worlds.town.model import TownModel
    from townlet_adapters.worlds.town.observe import TownArrays
    from townlet_adapters.worlds.town.options import TownOptions
    from townlet_adapters.worlds.town.world import TownWorld

__all__ = ["Intervention", "TownArrays", "TownBatch", "TownModel", "TownOptions", "TownWorld"]

_HOMES = {
    "Intervention": "arguments",
    "TownArrays": "observe",
    "TownBatch": "batch",
    "TownModel": "model",
    "TownOptions": "options",
    "TownWorld": "world",
}


def __getattr__(name: str) -> object:
    """Load a public name from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return vars(import_module(f"{__name__}.{_HOMES[name]}"))[name]
