"""Peers of a collector: honest ones, and sockets for the others."""

import json
import socket
import time
from http.client import HTTPConnection, HTTPSConnection

import orjson

from townlet_adapters.telemetry.envelope import source_urn
from townlet_adapters.telemetry.wire.frames import FROM_SERVER, Bye, Data, FrameReader, Hello, encode
from townlet_adapters.telemetry.wire.signing import Signatures
from townlet_core.events.schema import schema_id

TOKEN = "token-of-twenty-four-bytes"  # noqa: S105 - of no use anywhere else
SECRET = b"secret-of-twenty-four-bytes"
SOURCE = source_urn("run-a", 1)
LIMIT = 20.0  # seconds that anything may take before a test gives up


def line(sequence, source=SOURCE, kind="economy.restock", data=None):
    """Spell an envelope as a sink does."""
    number = f"{sequence:020d}"
    envelope = {
        "specversion": "1.0",
        "id": number,
        "sequence": number,
        "source": source,
        "type": f"townlet.{kind}",
        "datacontenttype": "application/json",
        "dataschema": schema_id(kind),
        "time": "2026-11-22T07:00:00.000000Z",
        "tick": 0,
        "data": data if data is not None else {"object": "fridge_1", "n": sequence},
    }
    return orjson.dumps(envelope, option=orjson.OPT_APPEND_NEWLINE)


def lines(first, last, source=SOURCE):
    return [line(sequence, source) for sequence in range(first, last + 1)]


def loss(sequence, ranges, about=SOURCE, reason="buffer_full", source=SOURCE):
    count = sum(last - first + 1 for first, last in ranges)
    data = {"source": about, "ranges": [list(each) for each in ranges], "count": count, "reason": reason}
    return line(sequence, source, "telemetry.loss", data)


def stored(folder):
    """Read every file: source -> sequences in the order of the file; fails on half lines and repetitions."""
    found = {}
    for path in folder.glob("*.ndjson"):
        text = path.read_bytes()
        assert text.endswith(b"\n")
        events = [json.loads(each) for each in text.splitlines()]
        assert len({each["source"] for each in events}) == 1
        numbers = [int(each["sequence"]) for each in events]
        assert len(set(numbers)) == len(numbers), "something is stored twice"
        found[events[0]["source"]] = numbers
    return found


class Peer:
    """Speaks frames over a socket, in plaintext or TLS."""

    def __init__(self, port, context=None):
        self.socket = socket.create_connection(("127.0.0.1", port), LIMIT)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.frames = FrameReader(FROM_SERVER)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *frames):
        self.socket.sendall(b"".join(each if isinstance(each, bytes) else encode(each) for each in frames))

    def receive(self):
        """Give the next frame; None when the collector has closed."""
        while (frame := self.frames.next_frame()) is None:
            data = self.socket.recv(65536)
            if not data:
                return None
            self.frames.feed(data)
        return frame

    def hello(self, source=SOURCE, token=TOKEN, **more):
        self.send(Hello(source, token, **more))
        return self.receive()

    def deliver(self, batch):
        """Send one frame of lines, and give the answer to it."""
        self.send(data(batch))
        return self.receive()

    def bye(self):
        self.send(Bye())
        return self.receive()


def data(batch):
    return Data(int(json.loads(batch[0])["sequence"]), tuple(batch))


class Poster:
    """Posts batches over one connection."""

    def __init__(self, port, context=None, secret=SECRET):
        self.http = (
            HTTPConnection("localhost", port, timeout=LIMIT)
            if context is None
            else HTTPSConnection("localhost", port, timeout=LIMIT, context=context)
        )
        self.signatures = Signatures([secret])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.http.close()

    def post(self, batch, *, path="/v1/events", at=None, headers=(), body=None):
        """Give status, JSON and headers of the answer; a header of None is left out."""
        if body is None:
            body = b"[" + b",".join(each.rstrip(b"\n") for each in batch) + b"]"
        signed = self.signatures.sign("m1", int(time.time() if at is None else at), body)
        given = {name.decode(): value.decode() for name, value in signed}
        given = {"content-type": "application/cloudevents-batch+json", **given, **dict(headers)}
        return self.request(
            "POST", path, body, {name: each for name, each in given.items() if each is not None}
        )

    def request(self, method, path, body=None, headers=None):
        self.http.request(method, path, body, headers or {})
        answer = self.http.getresponse()
        return answer.status, json.loads(answer.read()), answer.headers


def wait_until(happened):
    """Return once it happened."""
    deadline = time.monotonic() + LIMIT
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)
