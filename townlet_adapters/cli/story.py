"""The summary of a run as a person reads it."""

import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from townlet_core.dto.health import SinkStatus
from townlet_core.jsonvalue import JsonObject, JsonValue
from townlet_core.summary import RunSummary

_PERCENT: Final = 100


def tell(console: Console, name: str, summary: RunSummary, folder: Path | None) -> None:
    """Print what a run came to."""
    console.print(f"{name}: {summary.ticks:,} ticks with seed {summary.seed}", style="bold", markup=False)
    rows = list(_rows(summary, folder))
    margin = 2 + max(len(label) for label, _ in rows)
    for label, text in rows:
        # A pipe gets one line for each row, however long: programs read it.
        lines = textwrap.wrap(text, max(console.width - margin, margin)) if console.is_terminal else [text]
        for number, line in enumerate(lines):
            head = label if number == 0 else ""
            console.print(
                Text(f"{head:<{margin}}", style="bold").append(line, style="not bold"), soft_wrap=True
            )


def _rows(summary: RunSummary, folder: Path | None) -> Iterator[tuple[str, str]]:
    """Give the lines of the story; numbers that a town does not know are left out."""
    yield "residents", f"{summary.population:,} in town at the end"
    yield from _kpi_rows(summary.kpis)
    yield "events", _counts(summary.events_total, summary.events_by_kind)
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


def _kpi_rows(kpis: JsonObject) -> Iterator[tuple[str, str]]:
    """Group the known numbers; what is not among them stands in the JSON summary."""
    story: tuple[tuple[str, tuple[tuple[str, str, Callable[[JsonValue], str]], ...]], ...] = (
        (
            "meals",
            (
                ("meals_eaten", "{} eaten", _whole),
                ("meals_at_cafe", "{} of them at the cafe", _whole),
                ("meals_cooked", "{} cooked", _whole),
            ),
        ),
        ("comfort", (("showers", "{} showers", _whole), ("sleeps", "{} sleeps", _whole))),
        (
            "work",
            (
                ("shifts_worked", "{} shifts worked", _whole),
                ("shifts_late", "{} late", _whole),
                ("shifts_absent", "{} missed", _whole),
                ("attendance_mean", "attendance {}", _share),
            ),
        ),
        ("wages", (("wages_paid", "{} mills paid", _whole), ("paid_ticks", "for {} ticks at work", _whole))),
        (
            "queues",
            (
                ("queue_joins", "{} times somebody queued", _whole),
                ("uses_waited", "{} uses after waiting", _whole),
                ("wait_mean", "{} ticks on average", _real),
                ("wait_longest", "{} at most", _whole),
            ),
        ),
        ("conflicts", (("conflicts", "{}", _by_name),)),
        (
            "needs",
            (
                ("need_mean", "mean {}", _shares),
                ("need_lowest", "lowest {}", _share),
                ("well_all_day_share", "{} well all day", _share),
                ("starvation_incidents", "{} starved", _whole),
            ),
        ),
    )
    for label, parts in story:
        told = [
            text.format(spell(kpis[key])) for key, text, spell in parts if kpis.get(key) not in (None, {})
        ]
        if told:
            yield label, ", ".join(told)


def _sink(sink: SinkStatus) -> str:
    """Tell where every message went; the parts add up to what was offered."""
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
        parts.append(f"{sink.retries:,} retries")
    if sink.last_error is not None:
        parts.append(f"last error: {sink.last_error}")
    return ", ".join(parts)


def _counts(total: int, by_kind: Mapping[str, int]) -> str:
    most = sorted(by_kind.items(), key=lambda item: -item[1])
    return f"{total:,}: " + ", ".join(f"{count:,} {kind}" for kind, count in most)


def _whole(value: JsonValue) -> str:
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)


def _real(value: JsonValue) -> str:
    return f"{value:,.1f}" if isinstance(value, int | float) else str(value)


def _share(value: JsonValue) -> str:
    return f"{value * _PERCENT:.0f}%" if isinstance(value, int | float) else str(value)


def _shares(value: JsonValue) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    return " ".join(f"{name} {_share(share)}" for name, share in value.items())


def _by_name(value: JsonValue) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    return ", ".join(f"{_whole(count)} {name}" for name, count in value.items())
