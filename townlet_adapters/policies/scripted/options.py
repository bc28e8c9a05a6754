"""The ``policy.options`` of the scripted policy."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class ScriptedOptions(BaseModel):
    """When a resident chooses a new option, and when a need requires attention."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    commit_ticks: int = Field(default=15, ge=1, le=600, description="ticks for which a chosen option is kept")
    critical: float = Field(
        default=0.15, ge=0.0, le=0.5, description="a need below this has priority over everything else"
    )
    threshold: float = Field(
        default=0.45, ge=0.0, le=0.7, description="a need below this is cared for; 0.20 higher before a shift"
    )

    @model_validator(mode="after")
    def _critical_is_not_above_threshold(self) -> Self:
        if self.critical > self.threshold:
            raise ValueError(
                f"critical ({self.critical}) is above threshold ({self.threshold}): "
                "residents care for a need before it becomes critical, so critical must not be larger"
            )
        return self
