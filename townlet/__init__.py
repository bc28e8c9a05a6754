"""Townlet: a small town of residents with needs, jobs and queues.

The names below are what a program uses. Each is loaded when it is first used, so that importing this package
costs next to nothing. ``docs/reference/python.md`` describes them.
"""

from importlib import import_module

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without the import; type checkers know it by its name

if TYPE_CHECKING:
    from townlet_adapters.running import open_simulation, run
    from townlet_adapters.worlds.town import TownBatch, TownModel
    from townlet_core.errors import (
        ConfigError,
        ContractError,
        EmptyTownError,
        LoopFailedError,
        OutputError,
        PluginError,
        PolicyError,
        SnapshotError,
        TownletError,
        WorldError,
    )

__all__ = [
    "ConfigError",
    "ContractError",
    "EmptyTownError",
    "LoopFailedError",
    "OutputError",
    "PluginError",
    "PolicyError",
    "SnapshotError",
    "TownBatch",
    "TownModel",
    "TownletError",
    "WorldError",
    "open_simulation",
    "run",
]

_HOMES = {
    "TownBatch": "townlet_adapters.worlds.town",
    "TownModel": "townlet_adapters.worlds.town",
    "open_simulation": "townlet_adapters.running",
    "run": "townlet_adapters.running",
}


def __getattr__(name: str) -> object:
    """Load a public name from its module."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES.get(name, "townlet_core.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
