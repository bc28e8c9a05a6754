"""What a stage needs of a world, and the error when it is missing."""

from typing import Final

from townlet_core.dto.spec import WorldSpec
from townlet_core.errors import ConfigError, Problem

_WAIT: Final = "wait"


def wait_of(spec: WorldSpec, stage: str) -> int:
    """Return the number of the action with which an agent waits.

    Raises:
        ConfigError: when the world has no such action.
    """
    if _WAIT not in spec.action_names:
        raise misfit(spec, stage, f"it has no action '{_WAIT}'")
    return spec.action_names.index(_WAIT)


def misfit(spec: WorldSpec, stage: str, problem: str) -> ConfigError:
    """Return the error that a stage cannot work in a world."""
    return ConfigError(
        Problem(
            key="stages",
            found=f"'{stage}' cannot work in the world '{spec.world}': {problem}",
            allowed="use the world 'town', or leave the stage out",
        )
    )
