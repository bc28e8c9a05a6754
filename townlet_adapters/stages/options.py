"""The options of the built-in stages."""

from typing import Annotated

from pydantic import Field

from townlet_adapters.validation import Section


class GuardrailOptions(Section):
    """When an agent is not stopped."""

    critical: Annotated[float, Field(ge=0.0, le=0.5)] = 0.15
    """an agent with a need below this does what its policy decided"""


class PossessionOptions(Section):
    """How long a possession lasts without input."""

    expire_ticks: Annotated[int, Field(ge=1, le=100_000)] = 300
    """ticks without an `act` after which a possession expires"""

    idle_ticks: Annotated[int, Field(ge=1, le=100_000)] = 60
    """ticks without an `act` after which a possessed agent loses its place in a queue or its hold"""
