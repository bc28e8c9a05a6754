"""The summary of a run, as a person reads it."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from townlet_core.dto.health import SinkStatus
from townlet_core.jsonvalue import JsonObject, JsonValue
from townlet_core.summary import RunSummary
from townlet_core.words import thousandths

_PERCENT: Final = 100

Row = tuple[str, str]


def print_summary(
    console: Console, name: str, summary: RunSummary, folder: Path | None, news: Sequence[str] = ()
) -> None:
    """Print what happened in a run; a resumed run has a second part about all ticks since tick 0.

    Args:
        console: where to print.
        name: the run's name.
        summary: its account.
        folder: its folder, if any.
        news: the latest narrations, oldest first.
    """
    resumed = f", resumed at tick {summary.first_tick:,}" if summary.first_tick else ""
    title = f"{name}: {_count(summary.ticks, 'tick')} with seed {summary.seed}{resumed}"
    console.print(title, style="bold", markup=False)
    rows = list(_rows(summary, folder, news))
    whole = list(_whole_rows(summary)) if summary.first_tick else []
    margin = 2 + max(len(label) for label, _ in (*rows, *whole))
    _print_rows(console, rows, margin)
    if whole:
        ticks = _count(summary.first_tick + summary.ticks, "tick")
        console.print(f"since tick 0: {ticks}", style="bold", markup=False)
        _print_rows(console, whole, margin)


def _print_rows(console: Console, rows: list[Row], margin: int) -> None:
    for label, text in rows:
        # A pipe gets one line for each row, however long, because programs read it.
        lines = textwrap.wrap(text, max(console.width - margin, margin)) if console.is_terminal else [text]
        for number, line in enumerate(lines):
            head = label if number == 0 else ""
            console.print(
                Text(f"{head:<{margin}}", style="bold").append(line, style="not bold"), soft_wrap=True
            )


def _rows(summary: RunSummary, folder: Path | None, news: Sequence[str]) -> Iterator[Row]:
    """List the rows about the ticks of this run."""
    yield "residents", f"{summary.population:,} in town at the end"
    yield from _kpi_rows(_since(summary.kpis, summary.kpis_before) if summary.first_tick else summary.kpis)
    for number, line in enumerate(news):
        yield "" if number else "news", line
    yield "events", _events(summary.events_total, summary.events_by_kind)
    rates = f"{summary.ticks_per_second:,.0f} ticks/s, {summary.agent_steps_per_second:,.0f} resident steps/s"
    yield "speed", f"{rates} over {summary.wall_seconds:.2f} s"
    for sink in summary.sinks:
        yield f"sink {sink.name}", _sink(sink)
    if summary.digest is not None:
        yield "digest", summary.digest
    if folder is not None:
        yield "folder", str(folder)
    if summary.interrupted:
        yield "interrupted", "the run was stopped early"


def _whole_rows(summary: RunSummary) -> Iterator[Row]:
    """List the rows about all ticks since tick 0."""
    yield from _kpi_rows(summary.kpis)
    yield "events", f"{summary.events_before + summary.events_total:,}"


def _kpi_rows(kpis: JsonObject) -> Iterator[Row]:
    """List a row for each group of numbers that a world reports; the JSON summary has the others, too."""
    for label, text in (
        ("lives", _lives(kpis)),
        ("needs", _needs(kpis)),
        ("well-being", _well_being(kpis)),
        ("meals", _meals(kpis)),
        ("comfort", _parts(_counted(kpis, "showers", "shower"), _counted(kpis, "sleeps", "sleep"))),
        ("work", _work(kpis)),
        ("wages", _wages(kpis)),
        ("queues", _queues(kpis)),
        ("conflicts", _conflicts(kpis)),
        ("society", _society(kpis)),
        ("alerts", _alerts(kpis)),
    ):
        if text:
            yield label, text


def _lives(kpis: JsonObject) -> str:
    """Return who came and who left, nothing where neither happened."""
    came, left = _number(kpis, "arrivals"), kpis.get("exits")
    counts = left if isinstance(left, Mapping) else {}
    exits = {name: count for name, count in counts.items() if isinstance(count, int) and count}
    if not came and not exits:
        return ""
    reasons = ", ".join(f"{count:,} {name}" for name, count in exits.items())
    went = f"{_count(sum(exits.values()), 'exit')}{f' ({reasons})' if reasons else ''}"
    return _parts(_count(came, "arrival") if came is not None else "", went)


def _needs(kpis: JsonObject) -> str:
    mean, lowest = kpis.get("need_mean"), _number(kpis, "need_lowest")
    if not isinstance(mean, Mapping) or not mean:
        return ""
    shares = ", ".join(f"{name} {_share(share)}" for name, share in mean.items())
    least = f"the lowest of any resident was {_share(lowest)}" if lowest is not None else ""
    return "; ".join(part for part in (f"satisfied on average: {shares}", least) if part)


def _well_being(kpis: JsonObject) -> str:
    share, starved = _number(kpis, "well_all_day_share"), _number(kpis, "starvation_incidents")
    well = f"{_share(share)} of the residents' days passed without a low need" if share is not None else ""
    hungry = ""
    if starved is not None:
        hungry = _count(starved, "case") + " of starvation" if starved else "no resident starved"
    return _parts(well, hungry)


def _meals(kpis: JsonObject) -> str:
    eaten, cafe = _number(kpis, "meals_eaten"), _number(kpis, "meals_at_cafe")
    if eaten is None:
        return ""
    there = f" ({cafe:,.0f} of them at the café)" if cafe else ""
    cooked = _number(kpis, "meals_cooked")
    return _parts(f"{eaten:,.0f} eaten{there}", f"{cooked:,.0f} cooked" if cooked is not None else "")


def _work(kpis: JsonObject) -> str:
    ended = _number(kpis, "shifts_ended")
    if ended is None:
        return ""
    if not ended:
        return "no shift ended"
    parts = [
        f"{value:,.0f} {word}"
        for key, word in (("shifts_worked", "worked"), ("shifts_late", "late"), ("shifts_absent", "missed"))
        if (value := _number(kpis, key)) is not None
    ]
    paid, attendance = _number(kpis, "paid_ticks"), _number(kpis, "attendance_mean")
    if paid is not None:
        parts.append(f"{_count(paid, 'tick')} paid")
    if attendance is not None:
        parts.append(f"attendance {_share(attendance)}")
    return f"{_count(ended, 'shift')} ended: {', '.join(parts)}"


def _wages(kpis: JsonObject) -> str:
    paid = _number(kpis, "wages_paid")
    if paid is None:
        return ""
    coins = f"{thousandths(paid)} coins"
    return f"{coins} paid until the last midnight ({_count(paid, 'mill')}; 1,000 mills are a coin)"


def _queues(kpis: JsonObject) -> str:
    joins = _number(kpis, "queue_joins")
    if joins is None:
        return ""
    if not joins:
        return "no resident queued"
    parts = [f"residents queued {_count(joins, 'time')}"]
    waited = _number(kpis, "uses_waited")
    if waited:
        parts.append(f"{_count(waited, 'use')} began after a wait")
    mean, longest = _number(kpis, "wait_mean"), _number(kpis, "wait_longest")
    if mean is not None and longest is not None:
        parts.append(f"a wait took {mean:,.1f} ticks on average and {longest:,.0f} at most")
    return ", ".join(parts)


def _conflicts(kpis: JsonObject) -> str:
    by_reason = kpis.get("conflicts")
    if not isinstance(by_reason, Mapping):
        return ""
    counts = {name: count for name, count in by_reason.items() if isinstance(count, int) and count}
    if not counts:
        return "none in queues"
    listed = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    return f"{sum(counts.values()):,} in queues: {listed}"


def _society(kpis: JsonObject) -> str:
    chats, well = _number(kpis, "chats"), _number(kpis, "chats_well")
    if chats is None:
        return ""
    good = f" ({well:,.0f} of them went well)" if chats and well is not None else ""
    return _parts(
        _count(chats, "chat") + good,
        _counted(kpis, "shared_meals", "shared meal"),
        _counted(kpis, "handovers", "hand-over"),
        _counted(kpis, "avoidances", "avoidance"),
    )


def _alerts(kpis: JsonObject) -> str:
    fired = kpis.get("alerts")
    if not isinstance(fired, Mapping):
        return ""
    counts = {name: count for name, count in fired.items() if isinstance(count, int) and count}
    return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "none"


def _since(after: JsonObject, before: JsonObject) -> dict[str, JsonValue]:
    """Subtract counts; a share, a mean or an extreme of the part alone cannot be computed from two totals."""
    part: dict[str, JsonValue] = {}
    for key, value in after.items():
        start = before.get(key)
        if key in _EXTREMES:
            continue
        if type(value) is int:
            part[key] = value - (start if type(start) is int else 0)
        elif isinstance(value, Mapping):
            counts = {name: count for name, count in value.items() if type(count) is int}
            if len(counts) == len(value):
                part[key] = _since(counts, start if isinstance(start, Mapping) else {})
    return part


_EXTREMES: Final = frozenset({"wait_longest"})
"""Whole numbers that are not counts, and so cannot be subtracted."""


def _sink(sink: SinkStatus) -> str:
    """Format where every message went; the parts add up to the number offered."""
    parts = [f"{sink.state}: {sink.offered:,} offered", f"{sink.delivered:,} delivered"]
    parts += [
        f"{count:,} {word}"
        for word, count in (
            ("spooled", sink.spooled),
            ("buffered", sink.buffered),
            ("dead-lettered", sink.dead_lettered),
        )
        if count
    ]
    parts += [f"{count:,} dropped ({reason})" for reason, count in sink.dropped.items()]
    parts += [f"{count:,} rejected ({reason})" for reason, count in sink.rejected.items()]
    if sink.retries:
        parts.append("1 retry" if sink.retries == 1 else f"{sink.retries:,} retries")
    if sink.last_error is not None:
        parts.append(f"last error: {sink.last_error}")
    return ", ".join(parts)


def _events(total: int, by_kind: Mapping[str, int]) -> str:
    most = sorted(by_kind.items(), key=lambda item: -item[1])
    return f"{total:,}: " + ", ".join(f"{count:,} {kind}" for kind, count in most)


def _number(kpis: JsonObject, key: str) -> int | float | None:
    """Return a number that a world reports, or None; a plugin may report anything under any key."""
    value = kpis.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _counted(kpis: JsonObject, key: str, word: str) -> str:
    value = _number(kpis, key)
    return _count(value, word) if value is not None else ""


def _count(value: float, word: str) -> str:
    """Format a number of things: ``1 tick``, ``1,440 ticks``."""
    return f"{value:,.0f} {word}" if value == 1 else f"{value:,.0f} {word}s"


def _share(value: JsonValue) -> str:
    return f"{value * _PERCENT:.0f} %" if isinstance(value, int | float) else str(value)


def _parts(*parts: str) -> str:
    return ", ".join(part for part in parts if part)
