"""The KPIs of all observers of a run, and what those that judge it show in frames and health reports."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from townlet_core.dto.frame import FRAME_DECIMALS
from townlet_core.errors import ContractError
from townlet_core.failures import as_failure
from townlet_core.jsonvalue import JsonObject, JsonValue, canonical_json
from townlet_core.observers.port import Observer, SupportsStanding

SHOWN: Final = ("stability", "promotion")
"""The observers with a part of their own in every frame and in ``loop.health``."""


def collect_kpis(observers: Sequence[Observer], tick: int, *, kept: bool) -> JsonObject:
    """Collect every observer's KPIs.

    Args:
        observers: the observers.
        tick: the tick that comes next, for errors.
        kept: whether they are kept, so that each value is checked; that is too slow for every frame.

    Raises:
        ContractError: when an observer fails, or two of them return the same KPI.
    """
    kpis: dict[str, JsonValue] = {}
    for observer in observers:
        try:
            found = dict(observer.kpis())
            if kept:
                canonical_json({str.__str__(name): value for name, value in found.items()})
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise as_failure("observer", tick, error) from error
        if twice := kpis.keys() & found.keys():
            raise ContractError(f"two observers return the KPI '{min(twice)}'; one is '{observer.name}'")
        kpis.update(found)
    return kpis


def standings_of(observers: Sequence[Observer]) -> Mapping[str, Callable[[], JsonObject]]:
    """Return what gives the state of each observer of ``SHOWN`` that a run has."""
    return {
        each.name: each.standing
        for each in observers
        if each.name in SHOWN and isinstance(each, SupportsStanding)
    }


def rounded(kpis: JsonObject) -> dict[str, JsonValue]:
    """Round key figures for a frame; the summary keeps every digit."""
    return {
        name: round(value, FRAME_DECIMALS)
        if isinstance(value, float)
        else (rounded(value) if isinstance(value, Mapping) else value)
        for name, value in kpis.items()
    }
