"""The settings of the key figures: ``observers.kpis`` of a config."""

from typing import Annotated

from pydantic import Field

from townlet_adapters.validation import Section


class UseNames(Section):
    """Which affordances count for which figure."""

    meals: tuple[str, ...] = ("eat_meal", "buy_meal")
    """affordances that count as eating, anywhere"""

    cafe_meals: tuple[str, ...] = ("buy_meal",)
    """those of `meals` that are eaten at the cafe"""

    cooking: tuple[str, ...] = ("cook_meal",)
    """affordances that count as cooking a meal"""

    showers: tuple[str, ...] = ("use_shower",)
    """affordances that count as washing"""

    sleeps: tuple[str, ...] = ("rest_sleep",)
    """affordances that count as sleeping"""


class NeedLimits(Section):
    """The levels of a need that count."""

    well: Annotated[float, Field(ge=0, le=1)] = 0.3
    """a resident is well while every need is above this"""

    starving: Annotated[float, Field(ge=0, le=1)] = 0.15
    """a tick with hunger at or below this counts towards starvation"""

    starving_ticks: Annotated[int, Field(ge=1)] = 30
    """number of such ticks in a row that make a starvation incident"""


class KpiSettings(Section):
    """The key figures of a town."""

    names: UseNames = UseNames()
    """which affordances count for which figure"""

    limits: NeedLimits = NeedLimits()
    """the levels of a need that count"""
