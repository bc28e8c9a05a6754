"""Group commit: events that arrive while the disk is busy go to it together."""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from townlet_adapters.telemetry.collector.checking import Event
from townlet_adapters.telemetry.collector.figures import Figures
from townlet_adapters.telemetry.collector.store import Outcome, Store, Submission

_log = logging.getLogger(__name__)

_MOST_WAITING_BYTES: Final = 64 << 20


class Committer:
    """The one way from the loop to the store, which has a thread of its own."""

    def __init__(self, store: Store, figures: Figures) -> None:
        """Store in ``store``, which stays the caller's to open and close."""
        self._store = store
        self._figures = figures
        self._thread = ThreadPoolExecutor(1, "townlet-store")
        self._waiting: list[tuple[Submission, asyncio.Future[Outcome]]] = []
        self._bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self._work: asyncio.Task[None] | None = None

    async def submit(self, submission: Submission) -> "asyncio.Future[Outcome]":
        """Queue events for the disk; waits while too many bytes of all peers are on their way there.

        Returns:
            A future of the outcome, known once they are on the disk or could not be stored.
        """
        while self._bytes > _MOST_WAITING_BYTES:
            await self._room.wait()
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((submission, future))
        self._bytes += _size(submission.events)
        if self._bytes > _MOST_WAITING_BYTES:
            self._room.clear()
        if self._work is None:
            self._work = asyncio.create_task(self._commit())
        return future

    async def write_report(self) -> None:
        """Bring the report up to date, between two groups."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._store.write_report)

    async def close(self) -> None:
        """Store what waits, and end the thread."""
        if self._work is not None:
            await self._work
        self._thread.shutdown()

    async def _commit(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            submissions = [submission for submission, _ in group]
            outcomes = await self._store_group(submissions)
            for (submission, future), outcome in zip(group, outcomes, strict=True):
                self._bytes -= _size(submission.events)
                self._figures.stored += outcome.stored - outcome.duplicates
                self._figures.duplicates += outcome.duplicates
                if not future.cancelled():
                    future.set_result(outcome)
            if self._bytes <= _MOST_WAITING_BYTES:
                self._room.set()
        self._work = None

    async def _store_group(self, submissions: Sequence[Submission]) -> Sequence[Outcome]:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, self._store.store, submissions)
        except Exception:  # noqa: BLE001 - logged with its traceback
            # No peer may wait for ever because of a defect here.
            _log.exception("the store failed")
            return [Outcome(0, 0, "storage_failed") for _ in submissions]


def _size(events: Sequence[Event]) -> int:
    return sum(len(event.line) for event in events)
