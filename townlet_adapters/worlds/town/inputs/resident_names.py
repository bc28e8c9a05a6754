"""The names of residents."""

from typing import Annotated

from pydantic import Field, RootModel

from townlet_adapters.documents import read_document
from townlet_adapters.validation import validate
from townlet_adapters.worlds.town.inputs.shipped import shipped_file


class _NamesText(RootModel[Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]]):
    """A list of names."""


def load_names() -> tuple[str, ...]:
    """Read the shipped names, in the order in which residents draw them."""
    return validate(read_document(shipped_file("names")), _NamesText).root
