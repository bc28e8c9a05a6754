"""The account of a sink: where each of its messages is."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from townlet_adapters.telemetry.delivery.meters import Stopwatch
from townlet_adapters.telemetry.envelope import Shedding
from townlet_core.dto.health import SinkCounts, SinkStatus
from townlet_core.events.health import SinkState

NOT_SYNCED: Final = "not_synced"
CLASSES: Final = tuple(each.name.lower() for each in Shedding)


class Account:
    """The counters of one sink, which obey the conservation law; only the holder of the lock changes them.

    Each verb moves messages to one counter. They come from the outbox with ``spooled``, and otherwise from
    memory, whose lines the buffer counts.

    Attributes:
        numbered: messages that got a number, which is also the next number.
        acked_through: highest own number that the destination has, None without one.
    """

    def __init__(self, note_numbered: Callable[[int], None] | None = None) -> None:
        """Start at zero; ``note_numbered`` is called with the next count before a number is used."""
        self._note_numbered = note_numbered
        self._by_class = [0, 0, 0]
        self._dropped: Counter[tuple[str, Shedding]] = Counter()
        self._rejected: Counter[str] = Counter()
        self.numbered = 0
        self._long = 0
        self._delivered = self._spooled = self._dead_lettered = 0
        self._bytes_delivered = 0
        self.acked_through: int | None = None

    # ---- verbs ---------------------------------------------------------------------------------

    def begin_with(self, classes: Iterable[Shedding]) -> None:
        """Number the messages that the outbox holds before the first call of ``number``."""
        for shedding in classes:
            self._by_class[shedding] += 1
            self.numbered += 1
            self._spooled += 1

    def number(self, shedding: Shedding) -> int:
        """Accept a message, and return its number."""
        number = self.numbered
        self.numbered = number + 1
        self._by_class[shedding] += 1
        if self._note_numbered is not None:
            self._note_numbered(number + 1)
        return number

    def reject(self, reason: str) -> None:
        """Count a message that ``emit`` refused."""
        self._rejected[reason] += 1

    def note_long(self) -> None:
        """Count an accepted message as long."""
        self._long += 1

    def spool(self, count: int) -> None:
        """Count messages that the outbox has now."""
        self._spooled += count

    def deliver(self, sequences: Sequence[int], lines: Sequence[bytes], *, spooled: bool) -> None:
        """Count messages that the destination has now."""
        self._spooled -= len(lines) * spooled
        self._delivered += len(lines)
        self._bytes_delivered += sum(map(len, lines))
        self.acked_through = sequences[-1]

    def dead_letter(self, *, spooled: bool) -> None:
        """Count a message that was put aside."""
        self._spooled -= spooled
        self._dead_lettered += 1

    def drop(self, reason: str, shedding: Shedding, count: int = 1, *, spooled: bool = False) -> None:
        """Count messages that were accepted and are lost."""
        self._spooled -= count * spooled
        self._dropped[reason, shedding] += count

    def take_back(self, count: int) -> None:
        """Count delivered messages as dropped: they were written, and the disk may have lost them."""
        self._delivered -= count
        # The class of each is not kept; most messages of a file are facts.
        self._dropped[NOT_SYNCED, Shedding.NORMAL] += count

    # ---- sums ----------------------------------------------------------------------------------

    def status(
        self, name: str, state: SinkState, *, buffered: int, retries: int, last_error: str | None
    ) -> SinkStatus:
        """Return the account as of now; the arguments are what others count."""
        return SinkStatus(
            name=name,
            state=state,
            offered=self.numbered + self._rejected.total(),
            emitted=self.numbered,
            delivered=self._delivered,
            spooled=self._spooled,
            buffered=buffered,
            dead_lettered=self._dead_lettered,
            dropped=self.dropped_by_reason(),
            rejected=dict(self._rejected),
            retries=retries,
            last_error=last_error,
        )

    def counts(self, stopwatch: Stopwatch, dead_letters_deleted: int) -> SinkCounts:
        """Return the counters beside the account; likewise."""
        return SinkCounts(
            emitted=dict(zip(CLASSES, self._by_class, strict=True)),
            dropped=self.dropped_by_class(),
            bytes_delivered=self._bytes_delivered,
            emit_seconds=stopwatch.emit_times.read(),
            ack_seconds=stopwatch.ack_times.read(),
            long_events=self._long,
            dead_letters_deleted=dead_letters_deleted,
        )

    def dropped_by_reason(self) -> dict[str, int]:
        """Return the dropped messages by reason, summed over the classes."""
        totals: Counter[str] = Counter()
        for (reason, _), count in self._dropped.items():
            totals[reason] += count
        return dict(totals)

    def dropped_by_class(self) -> Mapping[str, Mapping[str, int]]:
        """Return the dropped messages by reason and then by class."""
        totals: dict[str, dict[str, int]] = {}
        for (reason, shedding), count in self._dropped.items():
            totals.setdefault(reason, {})[CLASSES[shedding]] = count
        return totals
