"""The end of a run comes in time whatever is wrong, and what was not delivered is there for the next one."""

import time

import pytest

from tests.telemetry.faults import Fate, Way
from tests.telemetry.hostile.rig import restock
from tests.telemetry.hostile.test_answers import answering, endless, pinging, refusing, reply

DEADLINE, GRACE = 0.3, 0.5  # seconds


def network(fate):
    def arrange(rig, measures):
        rig.collect()
        rig.proxy.fates.extend([fate(*measures[rig.kind])] * 500)

    return arrange


def nobody(rig, _measures):
    rig.leave()


def endless_answer(rig, _measures):
    if rig.kind == "http":
        rig.receiver(*[endless(b"HTTP/1.1 503 Busy\r\n", b"x-more: and more\r\n")] * 500)
    else:
        rig.peer(*[pinging] * 500)


def stay_away(rig, _measures):
    if rig.kind == "http":
        rig.receiver(*[answering(reply(503, b"retry-after: 300"))] * 500)
    else:
        rig.peer(*[refusing("overloaded", 300.0)] * 500)


def refused(rig, _measures):
    if rig.kind == "http":
        rig.receiver(*[answering(reply(401))] * 500)
    else:
        rig.peer(*[refusing("unauthorized")] * 500)


def wrong_certificate(rig, _measures):
    rig.collect(rig.certificates.expired)


FAULTS = {
    "nothing listens": nobody,
    "a black hole": network(lambda _u, _d: Fate(blackhole=True)),
    "silent within the handshake": network(lambda _u, _d: Fate(down=Way(hold_after=700))),
    "silent before the answer": network(lambda _u, d: Fate(down=Way(hold_after=d - 20))),
    "a closed window": network(lambda u, _d: Fate(up=Way(hold_after=u + 1000))),
    "a slow drip from them": network(lambda _u, _d: Fate(down=Way(drip=0.05))),
    "a slow drip from us": network(lambda u, _d: Fate(up=Way(drip=0.05, drip_from=u - 100))),
    "cut over and over": network(lambda _u, d: Fate(down=Way(reset_after=d - 20))),
    "a banner in plaintext": network(lambda _u, _d: Fate(down=Way(insert_at=0, garbage=b"220 mail\r\n"))),
    "an answer without end": endless_answer,
    "asked to stay away for five minutes": stay_away,
    "not let in": refused,
    "an expired certificate": wrong_certificate,
}


@pytest.mark.parametrize("name", FAULTS, ids=lambda name: name.replace(" ", "-"))
@pytest.mark.parametrize("durability", ["process", "memory"])
def test_a_stop_keeps_its_deadline_in_every_fault_and_nothing_goes_unsaid(rig, name, durability, measures):
    FAULTS[name](rig, measures)
    sink = rig.started("first", durability=durability)
    # Larger than the buffers of a connection, for those who close their windows.
    for n in range(20):
        sink.emit(restock(n, 900_000 if name == "a closed window" else 0))
    rig.until(sink, lambda status, _: durability == "memory" or not status.buffered)
    began = time.monotonic()
    status = sink.stop(DEADLINE)
    assert time.monotonic() - began <= DEADLINE + GRACE
    assert status.state == "closed"
    assert rig.look(sink)[0] == status
    waits = status.spooled if durability == "process" else status.dropped.get("undelivered_at_stop", 0)
    assert waits + status.delivered == status.emitted >= 20
    if durability == "memory":
        return
    rig.heal()
    second = rig.started_next("second")
    rig.until(second, lambda _, health: health.spool.events == 0)
    second.stop(1)
    rig.assert_complete(status, "first")
