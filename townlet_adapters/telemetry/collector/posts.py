"""Posts to the collector: signatures checked, batches stored."""

import asyncio
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import orjson

from townlet_adapters.telemetry.collector.checking import Event, LineError, check_envelope
from townlet_adapters.telemetry.collector.committer import Committer
from townlet_adapters.telemetry.collector.credentials import Secrets
from townlet_adapters.telemetry.collector.figures import Figures
from townlet_adapters.telemetry.collector.http import Answer, Head
from townlet_adapters.telemetry.collector.plan import Trouble
from townlet_adapters.telemetry.collector.store import Lane, Outcome, Submission
from townlet_adapters.telemetry.collector.stream import Stream
from townlet_adapters.telemetry.envelope import MAX_EVENT_BYTES
from townlet_adapters.telemetry.wire.signing import SignatureError
from townlet_core.jsonvalue import JsonObject

EVENTS_PATH: Final = "/v1/events"
HEALTH_PATH: Final = "/healthz"
MOST_EVENTS: Final = 512
MOST_BODY: Final = MAX_EVENT_BYTES + 2 * MOST_EVENTS  # the lines, and what an array needs around them


class Refusal(NamedTuple):
    """How a post is answered of which nothing was stored.

    Attributes:
        status: the status code.
        detail: the reason in words.
        retry_after: seconds after which the peer may try again, None where that does not help.
    """

    status: int
    detail: str
    retry_after: int | None = None


REFUSALS: Final[Mapping[Trouble, Refusal]] = MappingProxyType(
    {
        "no_space": Refusal(503, "the disk is full", 5),
        "storage_failed": Refusal(503, "the disk failed", 5),
        "folder_full": Refusal(503, "the folder has the most bytes that it may have", 60),
        "too_many_gaps": Refusal(503, "the numbers leave more gaps than are kept in mind", 60),
        "too_many_sources": Refusal(503, "there are more sources than are kept in mind", 60),
        "other_owner": Refusal(403, "a source of this post, or one it declares a loss of, has another owner"),
    }
)
"""The answer to each reason for which nothing can be stored."""

_BATCH: Final = "application/cloudevents-batch+json"
_SINGLE: Final = "application/cloudevents+json"
_ALLOWED: Final = {EVENTS_PATH: "POST", HEALTH_PATH: "GET"}


class PostHandler:
    """Accepts signed batches at ``/v1/events``, and answers at ``/healthz`` that it runs."""

    def __init__(
        self,
        committer: Committer,
        figures: Figures,
        secrets: Secrets,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Store what is signed with one of the secrets.

        Args:
            committer: the way to the disk.
            figures: the counters.
            secrets: the secrets, and the names that they prove.
            wall: seconds since 1970, compared with the time of a signature.
        """
        self._committer = committer
        self._figures = figures
        self._secrets = secrets
        self._wall = wall

    def refuse(self, stream: Stream, head: Head) -> Answer | None:
        """Return the answer to a request that is refused by its head alone; None to read its body."""
        answer = _refusal(head)
        if answer is not None and head.path == EVENTS_PATH:
            self._figures.refuse(str(answer.body["error"]), stream.peer, str(answer.body["detail"]))
        return answer

    async def answer(self, stream: Stream, head: Head, body: bytes) -> Answer:
        """Store a batch; the answer reports all of it as stored, or none."""
        if head.path == HEALTH_PATH:
            return Answer(200, {"status": "ok"})
        try:
            owner = self._secrets.name_of(head.headers, body, self._wall())
        except SignatureError as error:
            return self._refuse(stream, 401, error.reason, str(error), (b"www-authenticate", b"Signature"))
        try:
            return await self._store(stream, owner, _parse(head, body))
        except LineError as error:
            # Only a body that cannot be read at all is bad as a request; the rest is about one event.
            status = 400 if error.reason == "not_json" else 422
            return self._refuse(stream, status, error.reason, error.detail)

    async def _store(self, stream: Stream, owner: str, batch: list[object]) -> Answer:
        if len(batch) > MOST_EVENTS:
            return self._refuse(
                stream, 413, "too_many_events", f"{len(batch)}, where {MOST_EVENTS} are allowed"
            )
        by_source: dict[str, list[Event]] = {}
        for envelope in batch:
            event = check_envelope(envelope)
            by_source.setdefault(event.source, []).append(event)
        futures = [
            await self._committer.submit(Submission(Lane(), owner, source, events))
            for source, events in by_source.items()
        ]
        outcomes: list[Outcome] = await asyncio.gather(*futures)
        for outcome in outcomes:
            if outcome.trouble is not None:
                status, detail, seconds = REFUSALS[outcome.trouble]
                retry = () if seconds is None else ((b"retry-after", b"%d" % seconds),)
                return self._refuse(stream, status, outcome.trouble, detail, *retry)
        duplicates = sum(outcome.duplicates for outcome in outcomes)
        return Answer(200, {"stored": len(batch) - duplicates, "duplicates": duplicates})

    def _refuse(
        self, stream: Stream, status: int, error: str, detail: str, *headers: tuple[bytes, bytes]
    ) -> Answer:
        self._figures.refuse(error, stream.peer, detail)
        return Answer(status, {"error": error, "detail": detail}, headers)


def _refusal(head: Head) -> Answer | None:
    allowed = _ALLOWED.get(head.path)
    if allowed is None:
        return Answer(404, {"error": "not_found", "detail": f"events are posted to {EVENTS_PATH}"})
    if head.method != allowed:
        body: JsonObject = {"error": "method", "detail": f"only {allowed} is accepted here"}
        return Answer(405, body, ((b"allow", allowed.encode("ascii")),))
    if head.path == HEALTH_PATH:
        return (
            None
            if not head.length
            else Answer(413, {"error": "too_large", "detail": "no body is accepted here"})
        )
    return _refusal_of_body(head)


def _refusal_of_body(head: Head) -> Answer | None:
    if head.length is None:
        detail = "content-length must say how long the body is"
        return Answer(411, {"error": "length_required", "detail": detail})
    if head.length > MOST_BODY:
        detail = f"{head.length} bytes, where {MOST_BODY} are allowed"
        return Answer(413, {"error": "too_large", "detail": detail})
    if (head.header(b"content-encoding") or b"identity").lower() != b"identity":
        return Answer(415, {"error": "encoding", "detail": "compressed bodies are not accepted"})
    if _content_type(head) not in {_BATCH, _SINGLE}:
        return Answer(415, {"error": "content_type", "detail": f"only {_BATCH} and {_SINGLE} are accepted"})
    return None


def _content_type(head: Head) -> str:
    value = (head.header(b"content-type") or b"").decode("latin-1")
    return value.partition(";")[0].strip().lower()


def _parse(head: Head, body: bytes) -> list[object]:
    try:
        value: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise LineError("not_json", error.msg) from error
    if _content_type(head) == _SINGLE:
        return [value]
    if not isinstance(value, list):
        raise LineError("not_an_envelope", "a batch is a JSON array of events")
    return value
