"""The ``policy.options`` of the scripted policy."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from townlet_adapters.validation import Section


class ScriptedOptions(Section):
    """When a resident chooses a new option, and when a need requires attention."""

    commit_ticks: Annotated[int, Field(ge=1, le=600)] = 15
    """ticks for which a chosen option is kept"""

    critical: Annotated[float, Field(ge=0.0, le=0.5)] = 0.25
    """a need below this has priority over everything else"""

    threshold: Annotated[float, Field(ge=0.0, le=0.7)] = 0.45
    """a need below this is cared for; 0.20 higher before a shift"""

    @model_validator(mode="after")
    def _critical_is_not_above_threshold(self) -> Self:
        if self.critical > self.threshold:
            raise ValueError(
                f"critical ({self.critical}) is above threshold ({self.threshold}): "
                "residents care for a need before it becomes critical, so critical must not be larger"
            )
        return self
