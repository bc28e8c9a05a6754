"""Errors of the parts of a simulation, and the error of a port that each becomes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

from townlet_core.errors import ContractError, PolicyError, TownletError, WorldError
from townlet_core.isolation import describe

PartName: TypeAlias = Literal["policy", "stage", "world", "observer"]
"""A part that can fail in a tick."""


@contextmanager
def blaming(what: str) -> Iterator[None]:
    """Turn any exception of a part, even SystemExit, into a ContractError with ``what`` in front."""
    try:
        yield
    except (TownletError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise ContractError(f"{what}: {describe(error)}") from error


def as_failure(part: PartName, tick: int, error: BaseException) -> TownletError:
    """Return the error of the port of the part that failed, with the tick."""
    if isinstance(error, WorldError | PolicyError):
        return error
    message = f"the {part} failed at tick {tick}: {describe(error)}"
    if part == "policy":
        return PolicyError(message, tick=tick)
    return WorldError(message, tick=tick) if part == "world" else ContractError(message)
