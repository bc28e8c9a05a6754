"""The collector as a whole: folder, listeners, and an orderly end."""

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence

from townlet_adapters.disk import DISK, Disk
from townlet_adapters.telemetry.collector.certificates import fresh_contexts
from townlet_adapters.telemetry.collector.committer import Committer
from townlet_adapters.telemetry.collector.credentials import Secrets, Tokens
from townlet_adapters.telemetry.collector.figures import Figures
from townlet_adapters.telemetry.collector.http import HttpService
from townlet_adapters.telemetry.collector.ledger import Report
from townlet_adapters.telemetry.collector.listener import Listener, Serve, Service, bind
from townlet_adapters.telemetry.collector.posts import PostHandler
from townlet_adapters.telemetry.collector.settings import ENCRYPTED, CollectorSettings, Listen
from townlet_adapters.telemetry.collector.store import Store, StoreFigures
from townlet_adapters.telemetry.collector.tcp import FrameService
from townlet_core.errors import ConfigError, Problem

_log = logging.getLogger(__name__)


class Collector:
    """The receiving end. Made, started and stopped on one loop; ``report`` and figures from any thread.

    Attributes:
        figures: its counters.
    """

    def __init__(self, settings: CollectorSettings, disk: Disk = DISK) -> None:
        """Prepare; nothing is opened before ``start``.

        Args:
            settings: how it is set up.
            disk: what makes written bytes durable.
        """
        self._settings = settings
        self.figures = Figures()
        self._store = Store(settings.folder, settings.store, disk)
        self._committer = Committer(self._store, self.figures)
        self._listeners: list[Listener] = []
        self._reporter: asyncio.Task[None] | None = None

    @property
    def urls(self) -> tuple[str, ...]:
        """The addresses it listens at, in the order of the settings, with the real ports."""
        return tuple(listener.url for listener in self._listeners)

    async def start(self) -> None:
        """Open the folder, then listen.

        Raises:
            ConfigError: when the settings cannot work, a certificate cannot be used or a port is taken.
            OutputError: when the folder cannot be used.
        """
        settings = self._settings
        settings.check()
        context = fresh_contexts(settings.tls) if settings.tls is not None else None
        serves = self._services()
        await asyncio.get_running_loop().run_in_executor(None, self._store.open)
        try:
            for listen in settings.listen:
                self._listeners.append(self._listener(listen, serves[listen.scheme], context))
        except ConfigError:
            await self.stop()
            raise
        for listener in self._listeners:
            listener.start()
        self._reporter = asyncio.create_task(self._keep_reporting())

    async def stop(self) -> None:
        """Wait for peers to finish, store and acknowledge what has arrived, write report and indexes."""
        await asyncio.gather(*(each.stop(self._settings.stop_seconds) for each in self._listeners))
        if self._reporter is not None:
            self._reporter.cancel()
            await asyncio.wait({self._reporter})
            await self._committer.write_report()
        await self._committer.close()
        self._store.close()

    def report(self) -> Report:
        """Return the report on every source."""
        return self._store.report()

    def store_figures(self) -> StoreFigures:
        """Return the figures of the disk."""
        return self._store.figures()

    def _services(self) -> dict[str, Serve]:
        settings = self._settings
        serves: dict[str, Serve] = {}
        if any(listen.scheme in {"tls", "tcp"} for listen in settings.listen):
            frames = FrameService(self._store, self._committer, self.figures, Tokens(settings.tokens))
            serves["tls"] = serves["tcp"] = frames.serve
        if any(listen.scheme in {"https", "http"} for listen in settings.listen):
            posts = PostHandler(self._committer, self.figures, Secrets(settings.secrets))
            http = HttpService(posts, self.figures)
            serves["https"] = serves["http"] = http.serve
        return serves

    def _listener(
        self, listen: Listen, serve: Serve, context: Callable[[], ssl.SSLContext] | None
    ) -> Listener:
        try:
            sockets = bind(*listen.endpoint)
        except OSError as error:
            allowed = "name another port, or 0 for any free one, and an address of this machine"
            # create_server adds the address to the reason; the message names it already.
            reason = str(error.strerror or error).partition(" (while")[0]
            problem = Problem(f"--listen {listen}", f"cannot listen: {reason}", allowed)
            raise ConfigError(problem) from error
        if listen.scheme not in ENCRYPTED:
            _log.warning("%s: events and token travel in PLAINTEXT; for trials on this machine only", listen)
            context = None
        return Listener(Service(listen.scheme, serve), sockets, context, self._settings.peers, self.figures)

    async def _keep_reporting(self) -> None:
        reported: Sequence[int] = ()
        while True:
            now = (self.figures.stored, self.figures.duplicates)
            if now != reported:
                await self._committer.write_report()
                reported = now
            await asyncio.sleep(self._settings.report_seconds)
