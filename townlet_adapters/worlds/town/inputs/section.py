"""The base of every model of a text, and the types that many keys share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MAX_MILLS = 1_000_000

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Mills = Annotated[int, Field(ge=0, le=MAX_MILLS)]


class Section(BaseModel):
    """A part of a text: immutable, no unknown keys, no conversion between types."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )
