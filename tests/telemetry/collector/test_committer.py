"""Group commit: what waits is bounded, goes to the disk together, and always gets an answer."""

import asyncio
import threading

from tests.telemetry.collector.support import LIMIT, SOURCE
from townlet_adapters.telemetry.collector.checking import Event
from townlet_adapters.telemetry.collector.committer import Committer
from townlet_adapters.telemetry.collector.figures import Figures
from townlet_adapters.telemetry.collector.store import Lane, Outcome, Submission

MEBIBYTE = bytes(1 << 20)


class SlowStore:
    """Takes everything, once it is let; or raises."""

    def __init__(self, error=None):
        self.open = threading.Event()
        self.groups = []
        self._error = error

    def store(self, submissions):
        self.open.wait(LIMIT)
        if self._error is not None:
            raise self._error
        self.groups.append(len(submissions))
        return [Outcome(len(each.events), 0, None) for each in submissions]


async def submit(committer, number):
    return await committer.submit(Submission(Lane(), "us", SOURCE, [Event(SOURCE, number, MEBIBYTE, None)]))


async def pass_turns():
    for _ in range(10):
        await asyncio.sleep(0)


def test_too_many_bytes_on_their_way_make_everybody_wait_until_some_have_arrived():
    async def scenario():
        store = SlowStore()
        committer = Committer(store, Figures())
        futures = [await submit(committer, number) for number in range(65)]
        late = asyncio.create_task(submit(committer, 65))
        await pass_turns()
        assert not late.done()
        store.open.set()
        outcome = await (await late)
        assert outcome.stored == 1
        assert [(await each).stored for each in futures] == [1] * 65
        await committer.close()
        return store.groups

    assert asyncio.run(scenario()) == [65, 1]


def test_a_mistake_of_ours_is_an_answer_and_not_the_end(caplog):
    async def scenario():
        store = SlowStore(RuntimeError("a mistake"))
        store.open.set()
        figures = Figures()
        committer = Committer(store, figures)
        outcomes = [await (await submit(committer, number)) for number in range(2)]
        await committer.close()
        return outcomes, figures.stored

    outcomes, count = asyncio.run(scenario())
    assert [each.trouble for each in outcomes] == ["storage_failed", "storage_failed"]
    assert count == 0
    assert "a mistake" in caplog.text
