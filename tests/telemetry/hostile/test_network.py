"""Whatever the network does, every event arrives once, and what was wrong is told, and when it is over."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest

from tests.telemetry.faults import Fate, Way
from tests.telemetry.hostile.rig import LIMIT, restock

CUT = ("reset", "closed")
BROKEN = ("tls_protocol", *CUT)
LATE = ("timeout",)
SHORT = 0.5  # seconds; the least that a handshake needs on a busy machine, and no long wait for a test


class Trouble(NamedTuple):
    """What connections suffer, and how it is told.

    Attributes:
        name: in words.
        fates: of the first connections, from how many bytes a good one passes up and down.
        told: codes of which the first fault has one; none where nobody should notice.
        timeout: seconds for the peer.
    """

    name: str
    fates: Callable[[int, int], Sequence[Fate]]
    told: tuple[str, ...]
    timeout: float = 10.0


TROUBLES = [
    Trouble("cut after our first byte", lambda _u, _d: [Fate(up=Way(reset_after=1))], CUT),
    Trouble("cut within our greeting", lambda _u, _d: [Fate(up=Way(reset_after=300))], CUT),
    Trouble("cut where our events begin", lambda u, _d: [Fate(up=Way(reset_after=u * 2 // 3))], CUT),
    Trouble("cut just before our last byte", lambda u, _d: [Fate(up=Way(reset_after=u - 10))], CUT),
    Trouble("cut after their first byte", lambda _u, _d: [Fate(down=Way(reset_after=1))], CUT),
    Trouble("cut within their certificate", lambda _u, _d: [Fate(down=Way(reset_after=700))], CUT),
    Trouble("cut before their answer", lambda _u, d: [Fate(down=Way(reset_after=d * 3 // 4))], CUT),
    Trouble("acknowledgement lost", lambda _u, d: [Fate(down=Way(reset_after=d - 10))], CUT),
    Trouble("acknowledgement lost four times", lambda _u, d: [Fate(down=Way(reset_after=d - 10))] * 4, CUT),
    Trouble("their end ends within the handshake", lambda _u, _d: [Fate(down=Way(close_after=700))], CUT),
    Trouble("their end ends within the answer", lambda _u, d: [Fate(down=Way(close_after=d - 10))], CUT),
    Trouble("our end is half-closed on the way", lambda u, _d: [Fate(up=Way(close_after=u - 10))], BROKEN),
    Trouble("taken and never served", lambda _u, _d: [Fate(blackhole=True)], LATE, SHORT),
    Trouble("silent from the start", lambda _u, _d: [Fate(down=Way(hold_after=0))], LATE, SHORT),
    Trouble("silent within the handshake", lambda _u, _d: [Fate(down=Way(hold_after=700))], LATE, SHORT),
    Trouble("silent before the answer", lambda _u, d: [Fate(down=Way(hold_after=d - 10))], LATE, SHORT),
    Trouble("swallows our last bytes", lambda u, _d: [Fate(up=Way(hold_after=u - 10))], LATE, SHORT),
    Trouble("drips its answers", lambda _u, _d: [Fate(down=Way(drip=0.05))], LATE, SHORT),
    Trouble("drips our events", lambda u, _d: [Fate(up=Way(drip=0.05, drip_from=u - 100))], LATE, SHORT),
    Trouble("slow, but in time", lambda _u, d: [Fate(down=Way(drip=0.002, drip_from=d - 60))], ()),
    Trouble("a bit flipped in our greeting", lambda _u, _d: [Fate(up=Way(corrupt_at=60))], BROKEN),
    Trouble("a bit flipped in our events", lambda u, _d: [Fate(up=Way(corrupt_at=u - 10))], BROKEN),
    Trouble("a bit flipped in their certificate", lambda _u, _d: [Fate(down=Way(corrupt_at=500))], BROKEN),
    Trouble("a bit flipped in the answer", lambda _u, d: [Fate(down=Way(corrupt_at=d - 10))], BROKEN),
    Trouble(
        "a banner in plaintext first",
        lambda _u, _d: [Fate(down=Way(insert_at=0, garbage=b"220 mail.example ESMTP ready\r\n"))],
        BROKEN,
    ),
    Trouble(
        "garbage among what is encrypted",
        lambda _u, d: [Fate(down=Way(insert_at=d - 10, garbage=bytes(range(256))))],
        BROKEN,
    ),
    Trouble("turned away three times", lambda _u, _d: [Fate(refuse=True)] * 3, BROKEN),
    Trouble(
        "one thing after the other",
        lambda u, d: [
            Fate(refuse=True),
            Fate(up=Way(reset_after=u // 2)),
            Fate(down=Way(corrupt_at=d // 2)),
            Fate(blackhole=True),
            Fate(down=Way(close_after=d - 10)),
            Fate(down=Way(drip=0.05)),
            Fate(down=Way(reset_after=d - 10)),
        ],
        (*BROKEN, *LATE),
        SHORT,
    ),
]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.name.replace(" ", "-"))
def test_what_goes_wrong_on_the_way_is_told_once_and_made_good(rig, trouble, measures, caplog):
    rig.collect()
    rig.proxy.fates.extend(trouble.fates(*measures[rig.kind]))
    faults = len(rig.proxy.fates)
    sink = rig.started(timeout_seconds=trouble.timeout)
    sink.emit(restock(0))
    if trouble.told:
        status, health = rig.until_told(sink, *trouble.told)
        assert status.last_error.startswith(f"{health.last_error.code}: ")
    for n in range(1, 40):
        sink.emit(restock(n))
    status, health = rig.until_delivered(sink)
    assert (status.delivered, health.connected, health.consecutive_failures) == (40, True, 0)
    assert bool(health.last_error) == bool(trouble.told)
    assert len(rig.proxy.fates) < faults
    rig.assert_complete(sink.stop(LIMIT))
    begun = caplog.text.count("the sink keeps its events and tries again")
    over = caplog.text.count(f"sink {rig.kind}: delivers again after")
    assert bool(trouble.told) <= begun == over <= (faults if trouble.told else 0)


def test_a_port_where_nobody_listens_yet_is_told_and_found_open_later(rig):
    rig.collect()
    port = rig.proxy.target.port
    rig.leave()
    where = {"tcp": {"endpoint": f"localhost:{port}"}, "http": {"url": f"https://localhost:{port}/v1/events"}}
    sink = rig.started(**where[rig.kind])
    sink.emit(restock(0))
    status, health = rig.until_told(sink, "refused")
    assert (health.state, health.connected) == ("degraded", False)
    assert "is the collector running, on this port?" in status.last_error
    rig.until_logged(sink, f"localhost:{port}")
    rig.collect(port=port)
    rig.until_delivered(sink)
    rig.assert_complete(sink.stop(LIMIT))


def test_a_name_that_nobody_knows_is_told_and_a_run_with_the_right_one_delivers(rig):
    where = {
        "tcp": {"endpoint": "collector.invalid:7443"},
        "http": {"url": "https://collector.invalid/v1/events"},
    }
    first = rig.started("first", **where[rig.kind])
    for n in range(10):
        first.emit(restock(n))
    rig.until_told(first, "dns")
    rig.until_logged(first, "collector.invalid")
    status = first.stop(0)
    rig.assert_complete(status, "first", undelivered=True)
    rig.collect()
    second = rig.started("second")
    rig.until_delivered(second)
    rig.until(second, lambda _, health: health.spool.events == 0)
    second.stop(LIMIT)
    rig.assert_complete(status, "first")


def test_a_peer_with_a_closed_window_costs_its_deadline_and_nothing_is_lost(rig, measures):
    rig.collect()
    rig.proxy.fates.append(Fate(up=Way(hold_after=measures[rig.kind][0] + 1000)))
    sink = rig.started(timeout_seconds=1.0)
    for n in range(20):
        sink.emit(restock(n, 900_000))
    rig.until_told(sink, "timeout")
    rig.until_delivered(sink)
    rig.assert_complete(sink.stop(LIMIT))


def test_a_line_that_breaks_over_and_over_while_the_town_talks_doubles_nothing(rig, caplog):
    rig.collect()
    sink = rig.started()
    for n in range(12):
        for m in range(25):
            sink.emit(restock(25 * n + m))
        rig.until(sink, lambda status, _: status.delivered > status.emitted - 25)
        rig.proxy.reset()
    rig.until_delivered(sink)
    status = sink.stop(LIMIT)
    assert status.delivered == 300
    assert caplog.text.count("WARNING") <= 2 * 12
    rig.assert_complete(status)


def test_a_network_that_is_down_at_start_and_end_keeps_everything_for_the_next_run(rig, caplog):
    statuses = {}
    for run in ("first", "second"):
        sink = rig.started(run)
        for n in range(30):
            sink.emit(restock(n))
        rig.until_told(sink, "reset", "closed")
        statuses[run] = sink.stop(0.1)
        assert (statuses[run].state, statuses[run].spooled) == ("closed", 30)
    assert "events wait here" in caplog.text
    rig.collect()
    third = rig.started("third")
    rig.until(third, lambda _, health: health.spool.events == 0)
    assert third.stop(LIMIT).emitted == 0
    for run, status in statuses.items():
        rig.assert_complete(status, run)
