"""What a longer time came to, in a few sentences."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from townlet_core.dto.observation import ObservationBatch
from townlet_core.events.base import Event
from townlet_core.observers.facts import Heeder, Sight, wrong
from townlet_core.observers.narration.settings import Digest, DigestPart
from townlet_core.observers.narration.template import Lines
from townlet_core.suggestions import nearest

_VALUES: Final = ("agent", "other", "value", "count", "number")


@dataclass(frozen=True, slots=True)
class Told:
    """A digest.

    Attributes:
        message: its sentences.
        values: the values behind them, by the name of the gap and the number of the sentence.
    """

    message: str
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ReportState:
    """What lasts of a digest.

    Attributes:
        seen: facts since the last one, for each sentence.
        used: the places of the sentences that rest, for each list of them.
    """

    seen: list[int]
    used: list[list[int]]


@dataclass(slots=True)
class _Part:
    """One sentence, and the facts counted for it."""

    settings: DigestPart
    lines: Lines
    none: Lines | None
    seen: int = 0

    def see(self, event: Event, tick: int) -> None:
        """Count a fact."""
        del event, tick
        self.seen += 1


@dataclass(slots=True)
class Report:
    """One digest over and over again.

    Attributes:
        every: ticks from one to the next.
    """

    every: int
    _parts: list[_Part] = field(default_factory=list)

    @classmethod
    def of(cls, digest: Digest, sight: Sight, heeder: Heeder, key: str) -> "Report":
        """Make the report of some settings.

        Raises:
            ConfigError: when something named does not exist.
        """
        report = cls(digest.every)
        for number, settings in enumerate(digest.parts):
            place = f"{key}.parts[{number}]"
            lines = Lines(settings.lines, f"{place}.lines")
            none = Lines(settings.none, f"{place}.none") if settings.none else None
            for path in (*lines.paths, *(none.paths if none is not None else ())):
                if path not in _VALUES:
                    raise wrong(f"{place}.lines", f"unknown value '{path}'", nearest(path, _VALUES))
            for column, at in ((settings.highest, "highest"), (settings.other, "other")):
                _require_column(column, sight, f"{place}.{at}")
            part = _Part(settings, lines, none)
            if settings.count is not None:
                heeder.heed(settings.count.kind, sight.test(settings.count, f"{place}.count"), part.see)
            report._parts.append(part)
        return report

    def tell(self, observation: ObservationBatch, names: Mapping[str, str], tick: int) -> Told:
        """Return the digest of the time up to a tick, and begin to count anew."""
        number, sentences, values = (tick + 1) // self.every, [], dict[str, object]()
        for at, part in enumerate(self._parts):
            found = _values_of(part, observation)
            lines = part.lines if found is not None else part.none
            part.seen = 0
            if lines is None:
                continue
            known = {"number": number, **(found or {"count": 0})}
            sentences.append(lines.tell({**dict.fromkeys(_VALUES), **known}, names, f"{at}|{tick}"))
            values |= {f"{name}_{at + 1}": value for name, value in (found or {}).items()}
        return Told(" ".join(sentences), values)

    def export(self) -> "ReportState":
        """Return the counts since the last digest, and which sentences rest."""
        return ReportState([part.seen for part in self._parts], [each.used for each in self._all_lines()])

    def restore(self, state: "ReportState") -> None:
        """Continue from an exported state; raises ``ValueError`` when it is that of another digest."""
        for part, seen in zip(self._parts, state.seen, strict=True):
            part.seen = seen
        for lines, used in zip(self._all_lines(), state.used, strict=True):
            lines.restore(used)

    def _all_lines(self) -> list[Lines]:
        return [each for part in self._parts for each in (part.lines, part.none) if each is not None]


def _require_column(column: str | None, sight: Sight, key: str) -> None:
    known = [each.name for each in sight.spec.view if each.axes[:1] == ("slots",)]
    if column is not None and column not in known:
        raise wrong(key, f"unknown column '{column}'", nearest(column, known))


def _values_of(part: _Part, observation: ObservationBatch) -> Mapping[str, object] | None:
    """Return what a sentence may name; None when it is left out."""
    settings = part.settings
    if settings.highest is not None:
        return _highest(settings, observation)
    if settings.count is not None:
        return {"count": part.seen} if part.seen else None
    return {}


def _highest(settings: DigestPart, observation: ObservationBatch) -> Mapping[str, object] | None:
    """Find the greatest number of a column; of several, that of the first slot."""
    view, ids = observation.view, observation.agent_ids
    if view is None or settings.highest is None:
        return None
    rows = _rows(view.columns[settings.highest])
    others = _rows(view.columns[settings.other]) if settings.other is not None else None
    best: Mapping[str, object] | None = None
    most = settings.above
    for slot, agent_id in enumerate(ids):
        for at, value in enumerate(rows[slot] if agent_id else ()):
            other = int(others[slot][at]) if others is not None else -1
            if value > most and (others is None or (0 <= other < len(ids) and ids[other])):
                most = value
                best = {"agent": agent_id, "value": value, **({"other": ids[other]} if others else {})}
    return best


def _rows(column: memoryview) -> list[list[float]]:
    rows = cast("list[list[float]] | list[float]", column.tolist())
    return [row if isinstance(row, list) else [row] for row in rows]
