"""HTTP receivers whose every byte is in a script: one function for each connection, in order."""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"


@dataclass(frozen=True)
class Request:
    """What a client sent."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes

    def __getitem__(self, name: str) -> str:
        (value,) = [value for each, value in self.headers if each == name]
        return value


class Conversation:
    """The receiver's end of one connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def read(self) -> Request:
        """Read one request whole."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._some()
        head, _, body = data.partition(b"\r\n\r\n")
        line, *rest = head.decode("ascii").split("\r\n")
        headers = [(name.lower(), value.strip()) for name, _, value in (each.partition(":") for each in rest)]
        request = Request(line, headers, body)
        while len(body) < int(request["content-length"]):
            body += self._some()
        return Request(line, headers, body)

    def _some(self) -> bytes:
        data = self.connection.recv(1 << 16)
        if not data:
            raise ConnectionError("the client left")
        return data

    def send(self, data: bytes) -> None:
        """Answer."""
        self.connection.sendall(data)

    def answer(self, *replies: bytes) -> None:
        """Read a request for each reply."""
        for reply in replies:
            self.read()
            self.send(reply)

    def reset(self) -> None:
        """Break the connection off so that the client hears of it as an error."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def wait_until_left(self) -> None:
        """Wait until the client is gone; whatever it still says is ignored."""
        while self.connection.recv(1 << 16):
            pass


Script: TypeAlias = Callable[[Conversation], object]


class ScriptedReceiver:
    """Listens on this machine and follows a script for each connection; then nobody is there any more.

    Attributes:
        port: where it listens.
        accepted: connections so far.
        failures: what went wrong in scripts, but for clients that left.
    """

    def __init__(self, scripts: Sequence[Script], context: ssl.SSLContext | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._scripts, self._context = scripts, context
        self.port = self._listener.getsockname()[1]
        self.accepted = 0
        self.failures: list[Exception] = []
        self._current: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        for script in self._scripts:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self._current = connection
            try:
                with connection:
                    self._follow(script, connection)
            except OSError:
                continue
            except Exception as error:  # noqa: BLE001 - told by the test, on its own thread
                self.failures.append(error)

    def _follow(self, script: Script, connection: socket.socket) -> None:
        if self._context is None:
            script(Conversation(connection))
            return
        with self._context.wrap_socket(connection, server_side=True) as secured:
            self._current = secured
            script(Conversation(secured))
            with contextlib.suppress(OSError, ValueError):
                # Our goodbye goes out; the client's is not waited for, and it may have left already.
                secured.settimeout(0)
                secured.unwrap()

    def stop(self) -> None:
        """End, whatever the script waits for."""
        # Shutting down wakes whoever waits in accept or recv; closing alone would not.
        for each in (self._listener, self._current):
            if each is not None:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(30)
        assert not self._thread.is_alive()
