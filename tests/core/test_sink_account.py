"""The law of a sink's account, and what is made of an account."""

from dataclasses import replace

import pytest

from townlet_core.dto.health import SinkStatus
from townlet_core.events.health import SinkAccount

WHOLE = SinkAccount(
    offered=103,
    emitted=100,
    delivered=50,
    spooled=20,
    buffered=10,
    dead_lettered=5,
    dropped={"buffer_full": 12, "superseded": 3},
    rejected={"too_large": 2, "stopped": 1},
)


def test_an_account_in_which_every_message_is_in_one_place_is_balanced():
    assert (SinkAccount().imbalance(), WHOLE.imbalance()) == ("", "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"offered": 104}, "offered 104 is not emitted 100 + rejected 3"),
        ({"rejected": {}}, "offered 103 is not emitted 100 + rejected 0"),
        (
            {"spooled": 21},
            "emitted 100 is not delivered 50 + spooled 21 + buffered 10 + dead_lettered 5 + dropped 15",
        ),
        (
            {"dropped": {"buffer_full": 12}},
            "emitted 100 is not delivered 50 + spooled 20 + buffered 10 + dead_lettered 5 + dropped 12",
        ),
        (
            {"delivered": 71, "spooled": -1},
            "emitted 100 is not delivered 71 + spooled -1 + buffered 10 + dead_lettered 5 + dropped 15",
        ),
    ],
)
def test_an_account_that_loses_doubles_or_owes_a_message_says_so(change, message):
    assert replace(WHOLE, **change).imbalance() == message


def test_a_status_is_an_account_with_a_name_and_a_state():
    status = SinkStatus(
        name="file",
        state="degraded",
        retries=4,
        last_error="the disk is full",
        offered=3,
        emitted=2,
        delivered=2,
        rejected={"stopped": 1},
    )
    assert status.account == SinkAccount(offered=3, emitted=2, delivered=2, rejected={"stopped": 1})
    health = status.as_health()
    assert (health.state, health.retries_total, health.totals) == ("degraded", 4, status.account)
