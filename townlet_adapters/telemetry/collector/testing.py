"""A collector in this process, for tests of senders."""

import asyncio
import threading
from types import TracebackType
from typing import Self

from townlet_adapters.disk import DISK, Disk
from townlet_adapters.telemetry.collector.ledger import Report
from townlet_adapters.telemetry.collector.service import Collector
from townlet_adapters.telemetry.collector.settings import CollectorSettings


class RunningCollector:
    """A collector on a thread of its own, from ``start`` to ``stop`` or while a block lasts.

    Attributes:
        collector: the collector, once started.
        urls: the addresses it listens at, in the order of the settings.
    """

    def __init__(self, settings: CollectorSettings, disk: Disk = DISK) -> None:
        """Prepare; ``disk`` makes written bytes durable."""
        self._settings, self._disk = settings, disk
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="collector", daemon=True)
        self._outcome: BaseException | None = None
        self._started = threading.Event()
        self._stop = asyncio.Event()
        self.collector: Collector
        self.urls: tuple[str, ...] = ()

    def start(self) -> None:
        """Start it; returns once it listens.

        Raises:
            ConfigError: when the settings cannot work.
            OutputError: when the folder cannot be used.
        """
        self._thread.start()
        self._started.wait()
        if self._outcome is not None:
            raise self._outcome

    def stop(self) -> None:
        """Stop it in good order; further calls do nothing."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def ports(self) -> tuple[int, ...]:
        """Return the ports, in the order of the settings."""
        return tuple(int(url.rpartition(":")[2]) for url in self.urls)

    def report(self) -> Report:
        """Return the report on every source."""
        return self.collector.report()

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    def _run(self) -> None:
        asyncio.run(self._live())

    async def _live(self) -> None:
        try:
            self.collector = Collector(self._settings, self._disk)
            await self.collector.start()
            self.urls = self.collector.urls
            self._loop = asyncio.get_running_loop()
        except BaseException as error:  # noqa: BLE001 - raised again where ``start`` waits
            self._outcome = error
            return
        finally:
            self._started.set()
        await self._stop.wait()
        await self.collector.stop()
