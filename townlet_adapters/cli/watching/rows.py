"""Rows of text with colours, before a terminal gets them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.color import Color
from rich.style import Style
from rich.text import Text

from townlet_adapters.cli.errors import printable
from townlet_adapters.drawing.palette import Colour


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


def as_text(row: Row) -> Text:
    """Return a row for rich; its text is never read as markup."""
    return Text.assemble(*((span.text, _style(span.look)) for span in row), end="")


def _style(look: Look) -> Style:
    return Style(
        color=Color.from_rgb(*look.ink) if look.ink else None,
        bgcolor=Color.from_rgb(*look.paper) if look.paper else None,
        bold=look.bold or None,
        dim=look.dim or None,
        reverse=look.reverse or None,
    )
