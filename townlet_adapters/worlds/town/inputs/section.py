"""The base of every model of a text, and the types that many keys share."""

from typing import Annotated

from pydantic import ConfigDict, Field

from townlet_adapters import validation

MAX_MILLS = 1_000_000

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Mills = Annotated[int, Field(ge=0, le=MAX_MILLS)]


class Section(validation.Section):
    """A part of a text: as a section of a config, and without conversion between types."""

    model_config = ConfigDict(strict=True)
