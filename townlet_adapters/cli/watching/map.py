"""The map in cells of a terminal: half blocks with colours, or letters."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from rich.cells import cell_len

from townlet_adapters.cli.errors import printable
from townlet_adapters.cli.watching.rows import Look, Row, Span, joined
from townlet_adapters.drawing.ground import Ground, Spot
from townlet_adapters.drawing.palette import Colour, figure_colour, ground_colour, lit, object_colour
from townlet_adapters.drawing.scene import Figure, Scene

HALF: Final = "▀"
_SHADE: Final[Colour] = (16, 16, 20)
_LABEL: Final[Colour] = (214, 210, 196)
_LETTERS: Final[Mapping[str, str]] = {"road": ":", "door": "+", "wall": "#", "water": "~"}
_ASLEEP: Final = 0.75


class Paper(NamedTuple):
    """The part of a screen that a map is drawn on.

    Attributes:
        columns: its width in cells.
        rows: its height in cells.
        blocks: whether there are colours enough for half blocks; otherwise there are letters.
    """

    columns: int
    rows: int
    blocks: bool


class Glyph(NamedTuple):
    """A letter in place of the ground of a tile."""

    letter: str
    look: Look


@dataclass(frozen=True, slots=True)
class _Window:
    """The tiles that are seen, and the cells that each of them takes.

    A wide tile has two columns and a row. Another one has a column, and half a row with blocks.
    """

    left: int
    top: int
    wide: bool
    tall: int


class TownMap:
    """Draws the map of a town; what does not change between two frames is looked up once."""

    def __init__(self, ground: Ground) -> None:
        """Take the ground."""
        self._ground = ground
        texts = [label._replace(text=printable(label.text)) for label in ground.labels]
        self._labels = [label for label in texts if cell_len(label.text) == len(label.text)]
        self._colours: dict[tuple[int, int, bool, bool], Colour] = {}
        self._districts: dict[Spot, str | None] = {}

    def width_wanted(self, paper: Paper) -> int:
        """Return the columns that the whole map takes on a paper of this size."""
        wide = self._is_wide(paper)
        return min(paper.columns, self._ground.plan.width * (2 if wide else 1))

    def rows(self, scene: Scene, followed: Figure | None, paper: Paper) -> list[Row]:
        """Draw the part of the map around a resident; all of it where there is room.

        Args:
            scene: the town.
            followed: the resident in the middle, or None.
            paper: where to draw.
        """
        window = self._window(followed, paper)
        glyphs = self._glyphs(scene, followed, window, paper)
        drawn: list[Row] = []
        for row in range(paper.rows):
            top = window.top + row * window.tall
            if top >= self._ground.plan.height:
                break
            drawn.append(self._row(scene, glyphs, window, top, paper))
        return drawn

    def _is_wide(self, paper: Paper) -> bool:
        plan = self._ground.plan
        return plan.width * 2 <= paper.columns and plan.height <= paper.rows

    def _window(self, followed: Figure | None, paper: Paper) -> _Window:
        plan, wide = self._ground.plan, self._is_wide(paper)
        tall = 2 if paper.blocks and not wide else 1
        across, down = paper.columns // (2 if wide else 1), paper.rows * tall
        at = followed.at if followed is not None and followed.at is not None else (0, 0)
        left = max(0, min(at[0] - across // 2, plan.width - across))
        top = max(0, min(at[1] - down // 2, plan.height - down))
        # Two tiles share a cell: the pairs stay the same when the window moves.
        return _Window(left, top + top % tall if top else 0, wide, tall)

    def _row(
        self, scene: Scene, glyphs: Mapping[Spot, Glyph], window: _Window, top: int, paper: Paper
    ) -> Row:
        plan = self._ground.plan
        columns = 2 if window.wide else 1
        cells: list[Span] = []
        for x in range(window.left, min(plan.width, window.left + paper.columns // columns)):
            for half in range(columns):
                glyph = glyphs.get(((x - window.left) * columns + half, (top - window.top) // window.tall))
                cells.append(self._cell(scene, glyph, (x, top), window.tall, paper))
        return joined(cells)

    def _cell(self, scene: Scene, glyph: Glyph | None, at: Spot, tall: int, paper: Paper) -> Span:
        x, y = at
        if not paper.blocks:
            return Span(self._letter(x, y)) if glyph is None else Span(glyph.letter, glyph.look)
        above = self._colour(scene, x, y)
        if glyph is not None:
            look = glyph.look
            return Span(glyph.letter, look if look.paper else look._replace(paper=above))
        if tall == 1:
            return Span(" ", Look(paper=above))
        below = self._colour(scene, x, y + 1) if y + 1 < self._ground.plan.height else _SHADE
        return Span(" ", Look(paper=above)) if above == below else Span(HALF, Look(above, below))

    def _letter(self, x: int, y: int) -> str:
        kind = self._ground.plan.tile_kinds[self._ground.kinds[y][x]]
        if kind.name in _LETTERS:
            return _LETTERS[kind.name]
        if not kind.walkable:
            return "#"
        return " " if self._ground.place_kind(x, y) is None else "."

    def _colour(self, scene: Scene, x: int, y: int) -> Colour:
        """Return the colour of a tile, with the object that stands on it."""
        thing = self._ground.objects.get((x, y))
        dark = bool(scene.dark) and self._district(x, y) in scene.dark
        if thing is not None:
            # What is used shows its light.
            condition = scene.objects.get(thing, "free")
            return lit(object_colour(condition), night=scene.night and condition == "free", dark=dark)
        key = (x, y, scene.night, dark)
        colour = self._colours.get(key)
        if colour is None:
            colour = self._colours[key] = lit(ground_colour(self._ground, x, y), night=scene.night, dark=dark)
        return colour

    def _district(self, x: int, y: int) -> str | None:
        if (x, y) not in self._districts:
            self._districts[x, y] = self._ground.district_at(x, y)
        return self._districts[x, y]

    def _glyphs(
        self, scene: Scene, followed: Figure | None, window: _Window, paper: Paper
    ) -> dict[Spot, Glyph]:
        """Return the letters by cell; what is written later covers what was before."""
        glyphs = self._names(scene, window, paper)
        columns = 2 if window.wide else 1

        def cell(x: int, y: int) -> Spot:
            return (x - window.left) * columns, (y - window.top) // window.tall

        def seen(x: int, y: int) -> bool:
            column, row = cell(x, y)
            return 0 <= column < paper.columns and 0 <= row < paper.rows

        if window.wide or not paper.blocks:
            for item in self._ground.plan.objects:
                if seen(*item.at):
                    letter = _sign(item.type[:1].lower())
                    glyphs[cell(*item.at)] = Glyph(letter, self._thing_look(scene, item.id, paper))
        for figure in sorted(scene.figures.values(), key=lambda each: each is followed):
            if figure.at is not None and seen(*figure.at):
                left, row = cell(*figure.at)
                look = _figure_look(figure, paper, chosen=figure is followed)
                for number, letter in enumerate(_signs(figure)[:columns]):
                    glyphs[left + number, row] = Glyph(letter, look)
        return glyphs

    def _names(self, scene: Scene, window: _Window, paper: Paper) -> dict[Spot, Glyph]:
        """Return the letters of the names of places by cell."""
        glyphs: dict[Spot, Glyph] = {}
        look = Look(_LABEL, dim=scene.night) if paper.blocks else Look(dim=True)
        columns = 2 if window.wide else 1
        for label in self._labels:
            room, row = label.room * columns, (label.y - window.top) // window.tall
            if len(label.text) <= room and 0 <= row < paper.rows:
                left = (label.x - window.left) * columns + (room - len(label.text)) // 2
                glyphs |= {(left + at, row): Glyph(letter, look) for at, letter in enumerate(label.text)}
        return glyphs

    def _thing_look(self, scene: Scene, thing: str, paper: Paper) -> Look:
        condition = scene.objects.get(thing, "free")
        if not paper.blocks:
            return Look(bold=condition == "used", dim=condition == "closed")
        return Look(_SHADE, object_colour(condition))


def look_of(figure: Figure, *, blocks: bool) -> Look:
    """Return the look of a resident's name, as its letter on the map has."""
    return Look(_ink(figure), bold=True) if blocks else Look(bold=True)


def _figure_look(figure: Figure, paper: Paper, *, chosen: bool) -> Look:
    if not paper.blocks:
        return Look(bold=True, reverse=chosen)
    ink = _ink(figure)
    if chosen:
        return Look(_SHADE, ink, bold=True)
    if figure.asleep:
        return Look(_dimmed(ink))
    return Look(ink, bold=True)


def _dimmed(ink: Colour) -> Colour:
    red, green, blue = (round(part * _ASLEEP) for part in ink)
    return red, green, blue


def _ink(figure: Figure) -> Colour:
    slot = figure.entry.get("slot")
    return figure_colour(slot if isinstance(slot, int) else 0)


def _signs(figure: Figure) -> str:
    """Return the first two letters of a resident, each one cell wide; a name may begin with anything."""
    letters = (figure.letter, figure.name[1:2])
    return "".join(map(_sign, filter(None, letters)))


def _sign(letter: str) -> str:
    """Return a letter that takes one cell; a question mark for any other."""
    return letter if letter.isprintable() and cell_len(letter) == 1 else "?"
