"""Wall clocks that are wrong, jump, or go back: they are for people, and for signatures."""

import time

import pytest

from tests.telemetry.hostile.rig import LIMIT, restock

HOUR = 3600.0
TEN_YEARS = 10 * 365.25 * 24 * HOUR


@pytest.mark.parametrize("jump", [-HOUR, TEN_YEARS], ids=["an-hour-back", "ten-years-forward"])
def test_a_wall_clock_that_jumps_loses_and_doubles_nothing(make_rig, jump):
    rig = make_rig("tcp")
    rig.collect()
    sink, clock = rig.with_a_clock()
    for n in range(40):
        if n == 20:
            rig.until_delivered(sink)
            clock.ahead = jump
            rig.proxy.reset()
        sink.emit(restock(n))
    _, health = rig.until_delivered(sink)
    assert health.last_success_age_s < LIMIT
    assert health.worker.heartbeat_age_s < LIMIT
    events = rig.assert_complete(sink.stop(LIMIT))
    years = {event["time"][:4] for event in events}
    assert len(years) == (2 if jump == TEN_YEARS else 1)


@pytest.mark.parametrize(
    "skew", [-HOUR, HOUR, TEN_YEARS], ids=["an-hour-late", "an-hour-early", "ten-years-early"]
)
def test_a_clock_that_is_wrong_is_refused_by_the_collector_told_and_taken_once_it_is_right(
    make_rig, skew, caplog
):
    rig = make_rig("http")
    rig.collect()
    sink, clock = rig.with_a_clock()
    clock.ahead = skew
    for n in range(20):
        sink.emit(restock(n))
    status, _ = rig.until_told(sink, "http_401")
    assert "both clocks" in status.last_error
    rig.until_logged(sink, "this does not change by itself", "too_old" if skew < 0 else "too_new")
    assert status.delivered == 0
    clock.ahead = 0.0
    rig.until_delivered(sink)
    rig.assert_complete(sink.stop(LIMIT))
    assert "delivers again after" in caplog.text


def test_ages_never_go_below_nothing_and_a_stop_keeps_its_deadline_while_the_clock_runs_wild(rig):
    sink, clock = rig.with_a_clock()
    for n in range(20):
        clock.ahead = (-1) ** n * n * HOUR
        sink.emit(restock(n))
        _, health = rig.look(sink)
        assert health.spool.oldest_age_s >= 0
    rig.until_spooled(sink)
    began = time.monotonic()
    status = sink.stop(0.3)
    assert time.monotonic() - began <= 0.3 + 0.5
    assert status.spooled == 20
    rig.assert_complete(status, undelivered=True)
