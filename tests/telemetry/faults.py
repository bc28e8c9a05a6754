"""A hostile network and hostile collectors on this machine: a proxy with faults, and a scripted peer.

Both run on threads of their own over real sockets. A test says beforehand what each connection will suffer;
whatever it did not say is a faultless connection.
"""

import contextlib
import re
import select
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self, TypeAlias

from townlet_adapters.telemetry.wire.endpoint import Endpoint
from townlet_adapters.telemetry.wire.frames import (
    FROM_CLIENT,
    NOTHING,
    Ack,
    Bye,
    Data,
    Frame,
    FrameError,
    FrameReader,
    FrameType,
    Hello,
    HelloAck,
    Nack,
    Ping,
    Pong,
    encode,
)

PATIENCE = 30.0  # seconds after which a test that waits for somebody has failed
_SEQUENCE = re.compile(rb'"sequence":"([0-9]{20})"')


def line(sequence: int, filling: int = 0) -> bytes:
    """A line with its number, as long as one of so many letters makes it."""
    return b'{"sequence":"%020d","data":{"a":"%b"}}\n' % (sequence, b"x" * filling)


# ---- the network -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Way:
    """What bytes suffer in one direction of one connection; nothing by default.

    Attributes:
        reset_after: break both directions off after so many bytes were passed on.
        close_after: end this direction after so many, and leave the other one open.
        hold_after: pass nothing on after so many, and take nothing either; the connection stays.
        corrupt_at: change the byte at this offset.
        insert_at: where to put ``garbage`` in.
        garbage: what to put in.
        drip: seconds between any two bytes; None for as they come.
        drip_from: where to begin with it.
    """

    reset_after: int | None = None
    close_after: int | None = None
    hold_after: int | None = None
    corrupt_at: int | None = None
    insert_at: int | None = None
    garbage: bytes = b""
    drip: float | None = None
    drip_from: int = 0

    def limit(self) -> int | None:
        """After how many bytes something ends."""
        limits = [each for each in (self.reset_after, self.close_after, self.hold_after) if each is not None]
        return min(limits, default=None)


@dataclass(frozen=True)
class Fate:
    """What becomes of one connection.

    Attributes:
        up: from the client to the server.
        down: from the server to the client.
        refuse: reset it at once, without a server.
        blackhole: take it, and never say or read anything.
    """

    up: Way = Way()
    down: Way = Way()
    refuse: bool = False
    blackhole: bool = False


class FaultProxy:
    """Stands between a client and a server.

    Attributes:
        fates: what becomes of the next connections, in order; may be added to at any time.
        target: where the next connections lead; may be changed at any time.
        accepted: connections so far.
        passed: bytes passed on by the last connection, up and down.
    """

    def __init__(self, target: Endpoint, fates: Iterable[Fate] = ()) -> None:
        self.target = target
        self.fates = deque(fates)
        self.accepted = 0
        self.passed = [0, 0]
        self._held: list[socket.socket] = []
        self._stopped = threading.Event()
        self._resetting = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = Endpoint("127.0.0.1", self._listener.getsockname()[1])
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        _wake(self._listener)
        for thread in self._threads:
            thread.join(PATIENCE)
        for each in [*self._held, self._listener]:
            each.close()

    def reset(self) -> None:
        """Break off the connection that is open just now."""
        self._resetting.set()

    def _serve(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if self._stopped.is_set():
                client.close()
                return
            self.accepted += 1
            fate = self.fates.popleft() if self.fates else Fate()
            if fate.blackhole:
                self._held.append(client)
                continue
            try:
                if fate.refuse:
                    raise ConnectionRefusedError
                server = socket.create_connection((self.target.host, self.target.port))
            except OSError:
                _reset(client)
                continue
            thread = threading.Thread(target=self._connect, args=(client, server, fate))
            self._threads.append(thread)
            thread.start()

    def _connect(self, client: socket.socket, server: socket.socket, fate: Fate) -> None:
        """Pass bytes on in both directions until both have ended, or one was reset."""
        self.passed = passed = [0, 0]
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pairs = [(client, server, fate.up), (server, client, fate.down)]
        open_ends = {0, 1}
        try:
            while open_ends and not self._stopped.is_set():
                sources = [pairs[index][0] for index in open_ends]
                ready, _, _ = select.select(sources, [], [], 0.05)
                if self._resetting.is_set():
                    self._resetting.clear()
                    raise ConnectionResetError
                for index in tuple(open_ends):
                    source, sink, way = pairs[index]
                    if source in ready and not self._pass_on(source, sink, way, passed, index):
                        open_ends.discard(index)
        except OSError:
            _reset(client)
            _reset(server)
        finally:
            client.close()
            server.close()

    def _pass_on(
        self, source: socket.socket, sink: socket.socket, way: Way, passed: list[int], index: int
    ) -> bool:
        """Pass one piece on; returns whether the direction is still open."""
        limit = way.limit()
        if limit == passed[index] and way.hold_after == limit:
            return False
        untouched = 1 << 16 if way.drip is None else way.drip_from - passed[index]
        drips = untouched <= 0
        data = source.recv(max(1, untouched))
        if not data:
            sink.shutdown(socket.SHUT_WR)
            return False
        start = passed[index]
        data = data if limit is None else data[: limit - start]
        end = start + len(data)
        passed[index] = end
        if way.corrupt_at is not None and start <= way.corrupt_at < end:
            at = way.corrupt_at - start
            data = data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
        if way.insert_at is not None and start <= way.insert_at < end:
            at = way.insert_at - start
            data = data[:at] + way.garbage + data[at:]
        if drips:
            self._stopped.wait(way.drip)
        sink.sendall(data)
        if end != limit:
            return True
        if way.reset_after == limit:
            raise ConnectionResetError
        if way.close_after == limit:
            sink.shutdown(socket.SHUT_WR)
        return False


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _wake(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        socket.create_connection(listener.getsockname()).close()


# ---- the peer ----------------------------------------------------------------------------------


class Line:
    """A peer's end of one connection, in frames or in bytes; every wait ends with the test.

    Attributes:
        connection: the socket, or TLS over it.
        peer: whose end it is.
    """

    def __init__(self, connection: socket.socket, peer: "ScriptedPeer") -> None:
        self.connection = connection
        self.peer = peer
        self._reader = FrameReader(FROM_CLIENT | {FrameType.HELLO})

    def read(self) -> Frame:
        """Wait for a frame.

        Raises:
            ConnectionError: when the client left.
        """
        while (frame := self._reader.next_frame()) is None:
            data = self.connection.recv(1 << 16)
            if not data:
                raise ConnectionError
            self._reader.feed(data)
        return frame

    def send(self, *frames: Frame) -> None:
        """Say something."""
        self.send_bytes(b"".join(encode(frame) for frame in frames))

    def send_bytes(self, data: bytes) -> None:
        """Say anything."""
        self.connection.sendall(data)

    def welcome(self) -> Hello:
        """Hear HELLO and answer with the truth."""
        hello = self.read()
        assert isinstance(hello, Hello)
        self.peer.hellos.append(hello)
        self.send(HelloAck(self.peer.stored_through(hello.source)))
        return hello

    def store(self, hello: Hello, *, answer: bool = True) -> None:
        """Hear one frame as an honest collector does."""
        match self.read():
            case Data(_, lines):
                through = self.peer.store(hello.source, lines)
                if answer:
                    self.send(Ack(through))
            case Ping():
                self.peer.pings += 1
                self.send(Pong())
            case Bye():
                with self.peer.heard:
                    self.peer.byes += 1
                    self.peer.heard.notify_all()
                raise ConnectionError
            case frame:
                raise AssertionError(frame)

    def hold(self) -> None:
        """Say and read nothing until the test is over."""
        self.peer.stopped.wait(PATIENCE)

    def reset(self) -> None:
        """Break off."""
        _reset(self.connection)

    def shutdown(self) -> None:
        """End our direction only, without a goodbye of TLS."""
        self.connection.shutdown(socket.SHUT_WR)


Script: TypeAlias = Callable[[Line], object]


def honest(peer_line: Line) -> None:
    """Do what a collector does."""
    hello = peer_line.welcome()
    while True:
        peer_line.store(hello)


class ScriptedPeer:
    """A collector in memory that follows one script for each connection, and is honest afterwards.

    Attributes:
        stored: what it has of each source: number and line, in the order they came.
        hellos: every HELLO it answered.
        stopped: set at the end of the test.
        heard: notified at every BYE.
    """

    def __init__(self, context: ssl.SSLContext | None = None, scripts: Iterable[Script] = ()) -> None:
        self.context = context
        self.scripts = deque(scripts)
        self.stored: dict[str, list[tuple[int, bytes]]] = {}
        self.hellos: list[Hello] = []
        self.pings = self.byes = self.accepted = 0
        self.stopped = threading.Event()
        self._failures: list[BaseException] = []
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self.heard = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = Endpoint("127.0.0.1", self._listener.getsockname()[1])
        self._accepting = threading.Thread(target=self._serve)
        self._accepting.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        _wake(self._listener)
        self._accepting.join(PATIENCE)
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
        for each in [*self._open, self._listener]:
            each.close()
        assert not self._failures, self._failures

    def stored_through(self, source: str) -> int:
        """The highest number it has."""
        stored = self.stored.get(source)
        return stored[-1][0] if stored else NOTHING

    def lines(self, source: str) -> list[bytes]:
        """All it has of a source."""
        return [each for _, each in self.stored.get(source, [])]

    def store(self, source: str, lines: Iterable[bytes]) -> int:
        """Keep lines that it does not have yet."""
        with self._lock:
            kept = self.stored.setdefault(source, [])
            for each in lines:
                found = _SEQUENCE.search(each)
                assert found is not None
                number = int(found[1])
                if not kept or number > kept[-1][0]:
                    kept.append((number, each))
        return self.stored_through(source)

    def await_byes(self, count: int) -> None:
        """Wait until so many clients have said BYE, and no more."""
        with self.heard:
            assert self.heard.wait_for(lambda: self.byes >= count, PATIENCE)
            assert self.byes == count

    def drop_connections(self) -> None:
        """Break off whatever is open, as a peer that vanished and came back would."""
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self.stopped.is_set():
                connection.close()
                return
            self.accepted += 1
            script = self.scripts.popleft() if self.scripts else honest
            self._open.append(connection)
            thread = threading.Thread(target=self._converse, args=(connection, script))
            self._threads.append(thread)
            thread.start()

    def _converse(self, connection: socket.socket, script: Script) -> None:
        try:
            if self.context is not None:
                connection = self.context.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            script(Line(connection, self))
        except (OSError, FrameError):
            pass  # it left, or is no client: a collector hangs up
        except BaseException as error:  # noqa: BLE001 - told by the test, on its own thread
            self._failures.append(error)
        finally:
            connection.close()


def refusing(nack: Nack) -> Script:
    """Answer HELLO with a refusal."""

    def script(peer_line: Line) -> None:
        peer_line.read()
        peer_line.send(nack)

    return script
