"""The whole screen: header, map, residents, the last stories, keys."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from townlet_adapters.cli.watching.map import Paper, TownMap, look_of
from townlet_adapters.cli.watching.rows import PLAIN, Look, Row, Span, fitted, said
from townlet_adapters.drawing.palette import Colour
from townlet_adapters.drawing.scene import Figure, Scene
from townlet_adapters.story import english
from townlet_core.dto.plan import PlanUnit
from townlet_core.dto.spec import TICKS_PER_DAY

LEAST_COLUMNS: Final = 24
LEAST_ROWS: Final = 8
_NARROW: Final = 64
"""Columns below which residents are shown below the map, and not beside it."""
_LOW: Final = 20
_PANEL: Final = 30
_WIDEST_PANEL: Final = 46
_BAR: Final = 10
_FEW: Final = 0.3
_STORIES: Final = 3
_KEYS: Final = "space pause  q quit  n p follow  + - speed  s step"
_BOLD: Final = Look(bold=True)
_DIM: Final = Look(dim=True)
_LOW_INK: Final[Colour] = (240, 110, 90)
_GOOD_INK: Final[Colour] = (130, 200, 120)


@dataclass(frozen=True, slots=True)
class Size:
    """Size of a terminal in cells."""

    columns: int
    rows: int


@dataclass(frozen=True, slots=True)
class Shown:
    """Everything that a screen shows.

    Attributes:
        title: name of the run.
        scene: the town; None before the first tick.
        followed: id of the resident that is followed; empty for none.
        pace: the speed, or that the run is paused.
        stories: the last stories, oldest first, each with its time.
        ticks_per_day: number of ticks in a day.
        units: units of the numbers of a resident's entry.
        news: a line for the operator, such as a warning; empty without any.
        blocks: whether there are colours enough for half blocks.
    """

    title: str
    scene: Scene | None
    followed: str
    pace: str
    stories: Sequence[tuple[str, str]]
    ticks_per_day: int
    units: dict[str, PlanUnit]
    news: str
    blocks: bool


def compose(shown: Shown, town_map: TownMap | None, size: Size) -> list[Row]:
    """Draw a screen of exactly this size."""
    if size.columns < LEAST_COLUMNS or size.rows < LEAST_ROWS:
        lines = [said(f"at least {LEAST_COLUMNS} x {LEAST_ROWS}"), Span("q quits")]
        rows = [fitted([line], size.columns) for line in lines][: size.rows]
        return rows + [fitted([], size.columns)] * (size.rows - len(rows))
    stories = _stories(shown, size)
    below = [*stories, fitted(_last_line(shown), size.columns)]
    room = size.rows - 1 - len(below)
    body = _body(shown, town_map, Size(size.columns, room))
    body += [fitted([], size.columns)] * (room - len(body))
    return [fitted(_header(shown), size.columns), *body, *below]


def _header(shown: Shown) -> Iterator[Span]:
    yield said(f" {shown.title}", _BOLD)
    scene = shown.scene
    if scene is None:
        yield Span("  starting")
        return
    yield Span(f"  day {scene.day} {clock_of(scene.tod, shown.ticks_per_day)}", _BOLD)
    yield Span(f"  {shown.pace}", _BOLD if shown.pace == "paused" else PLAIN)
    if scene.night:
        yield Span("  night")
    count = len(scene.figures)
    yield Span(f"  {count} resident{'' if count == 1 else 's'}")
    if scene.dark:
        yield Span("  outage", Look(_LOW_INK if shown.blocks else None, bold=True))


def clock_of(tod: int, ticks_per_day: int) -> str:
    """Return the time of day of a tick, whatever the length of a day."""
    return english.clock(tod * TICKS_PER_DAY // ticks_per_day)


def _last_line(shown: Shown) -> Iterator[Span]:
    if shown.news:
        yield said(f" {shown.news}", Look(_LOW_INK if shown.blocks else None, bold=True))
    else:
        yield Span(f" {_KEYS}", _DIM)


def _stories(shown: Shown, size: Size) -> list[Row]:
    """Return the last stories, as many lines as there is room for, and a blank above."""
    most = _STORIES if size.rows >= _LOW else 1
    lines: list[str] = []
    for time, text in reversed(shown.stories):
        indent = " " * (len(time) + 3)
        wrapped = textwrap.wrap(
            said(f" {time}  {text}").text, size.columns, subsequent_indent=indent, drop_whitespace=False
        )
        if lines and len(lines) + len(wrapped) > most:
            break
        lines = [*wrapped, *lines]
    lines = lines[:most]
    blank = [fitted([], size.columns)] * (1 if size.rows >= _LOW else 0)
    return [
        *blank,
        *(fitted([Span(line)], size.columns) for line in lines),
        *[fitted([], size.columns)] * (most - len(lines)),
    ]


def _body(shown: Shown, town_map: TownMap | None, size: Size) -> list[Row]:
    scene = shown.scene
    if scene is None:
        return []
    followed = scene.figures.get(shown.followed)
    if town_map is None:
        return [fitted(line, size.columns) for line in _panel(shown, scene, followed, size)][: size.rows]
    if size.columns < _NARROW:
        paper = Paper(size.columns, max(1, size.rows - 2), shown.blocks)
        drawn = [fitted(row, size.columns) for row in town_map.rows(scene, followed, paper)]
        brief = [] if followed is None else [fitted(line, size.columns) for line in _brief(followed, shown)]
        return (drawn + brief)[: size.rows]
    paper = Paper(size.columns - _PANEL - 1, size.rows, shown.blocks)
    paper = paper._replace(columns=town_map.width_wanted(paper))
    panel_size = Size(min(_WIDEST_PANEL, size.columns - paper.columns - 1), size.rows)
    drawn = town_map.rows(scene, followed, paper)
    panel = list(_panel(shown, scene, followed, panel_size))
    rows: list[Row] = []
    for number in range(size.rows):
        left = fitted(drawn[number] if number < len(drawn) else (), paper.columns)
        right = fitted(panel[number] if number < len(panel) else (), panel_size.columns)
        rows.append(fitted([*left, Span(" "), *right], size.columns))
    return rows


def _brief(figure: Figure, shown: Shown) -> Iterator[list[Span]]:
    """Return two lines about a resident."""
    yield [said(f" {figure.name}", look_of(figure, blocks=shown.blocks)), said(f"  {figure.doing}")]
    yield [Span(" ")] + [said(f"{english.noun(name)} {level:.0%}  ") for name, level in figure.needs.items()]


def _panel(shown: Shown, scene: Scene, followed: Figure | None, size: Size) -> Iterator[Sequence[Span]]:
    """Return the resident that is followed in detail, and a line for each one."""
    count = 0
    if followed is not None:
        for line in _details(shown, scene, followed):
            count += 1
            yield line
        count += 1
        yield ()
    others = list(scene.figures.values())
    room = max(1, size.rows - count)
    place = next((at for at, each in enumerate(others) if each.id == shown.followed), 0)
    first = max(0, min(place - room // 2, len(others) - room))
    name_width = max((len(figure.name) for figure in others[first : first + room]), default=0)
    for figure in others[first : first + room]:
        chosen = figure.id == shown.followed
        yield (
            Span(">" if chosen else " "),
            said(figure.letter, look_of(figure, blocks=shown.blocks)),
            said(f" {figure.name:<{min(name_width, 12)}}"[:15], _BOLD if chosen else PLAIN),
            said(f"  {figure.doing}", _DIM if figure.asleep else PLAIN),
        )


def _details(shown: Shown, scene: Scene, figure: Figure) -> Iterator[Sequence[Span]]:
    entry = figure.entry
    about = [english.noun(str(entry[key])) for key in ("job", "profile") if entry.get(key)]
    yield (said(figure.name, look_of(figure, blocks=shown.blocks)), said(f"  {', '.join(about)}", _DIM))
    yield (said(figure.doing[:1].upper() + figure.doing[1:]),)
    for name, level in figure.needs.items():
        yield _need(english.noun(name), level, blocks=shown.blocks)
    for key, unit in shown.units.items():
        number = entry.get(key)
        if isinstance(number, int | float):
            yield (said(f"{english.noun(key):<9} {number / unit.size:,.2f} {unit.name}"),)
    ties = list(_ties(scene, entry.get("ties_top3")))
    if ties:
        yield (said(f"{'close to':<9} {', '.join(ties)}"),)


def _need(name: str, level: float, *, blocks: bool) -> Sequence[Span]:
    full = max(0, min(_BAR, round(level * _BAR)))
    ink = (_LOW_INK if level < _FEW else _GOOD_INK) if blocks else None
    low = Look(ink, bold=level < _FEW)
    bar = ("█" * full, "░" * (_BAR - full)) if blocks else ("#" * full, "." * (_BAR - full))
    return said(f"{name[:9]:<9} "), Span(bar[0], low), Span(bar[1], _DIM), Span(f" {level:4.0%}", low)


def _ties(scene: Scene, ties: object) -> Iterator[str]:
    """List the names of others that a resident trusts more than it competes with them."""
    for tie in ties if isinstance(ties, list | tuple) else ():
        other = scene.figures.get(str(tie.get("agent")))
        if other is not None and tie.get("trust", 0) > tie.get("rivalry", 0):
            yield other.name
