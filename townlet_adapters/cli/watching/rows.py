"""Rows of text with colours, before a terminal gets them."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.color import Color, ColorSystem
from rich.style import Style

from townlet_adapters.cli.errors import printable
from townlet_adapters.drawing.palette import Colour

_LOOKS: Final = 4096
"""Looks whose codes are kept."""


class Look(NamedTuple):
    """How a piece of text looks; None is the terminal's own colour."""

    ink: Colour | None = None
    paper: Colour | None = None
    bold: bool = False
    dim: bool = False
    reverse: bool = False


PLAIN = Look()


class Span(NamedTuple):
    """A piece of text of one look."""

    text: str
    look: Look = PLAIN


Row = tuple[Span, ...]
"""One line of a screen."""


def said(text: str, look: Look = PLAIN) -> Span:
    """Return a text that any person may have written, without what could command a terminal."""
    return Span(printable(text), look)


def fitted(spans: Iterable[Span], width: int) -> Row:
    """Return a row of exactly ``width`` cells: cut, or filled with blanks."""
    row: list[Span] = []
    left = width
    for span in spans:
        length = cell_len(span.text)
        if length > left:
            row.append(Span(set_cell_size(span.text, left), span.look))
            return tuple(row)
        row.append(span)
        left -= length
    return (*row, Span(" " * left)) if left else tuple(row)


def joined(cells: Sequence[Span]) -> Row:
    """Return cells with equal looks as one span."""
    row: list[Span] = []
    for cell in cells:
        if row and row[-1].look == cell.look:
            row[-1] = Span(row[-1].text + cell.text, cell.look)
        else:
            row.append(cell)
    return tuple(row)


def plain(row: Row) -> str:
    """Return the text of a row."""
    return "".join(span.text for span in row)


def rendered(row: Row, colours: ColorSystem, *, no_colour: bool) -> str:
    """Return a row as a terminal with these colours takes it; its text is never read as markup."""
    return "".join(
        _style(span.look, no_colour=no_colour).render(span.text, color_system=colours) for span in row
    )


@lru_cache(_LOOKS)
def _style(look: Look, *, no_colour: bool) -> Style:
    return Style(
        color=Color.from_rgb(*look.ink) if look.ink and not no_colour else None,
        bgcolor=Color.from_rgb(*look.paper) if look.paper and not no_colour else None,
        bold=look.bold or None,
        dim=look.dim or None,
        reverse=look.reverse or None,
    )
