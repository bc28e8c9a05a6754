"""The chain is what its definition says, and nothing but the facts enters it."""

from hashlib import sha256

import pytest

from townlet_adapters.worlds.town.events.affordance import AffordanceFinish
from townlet_adapters.worlds.town.events.queue import QueueJoin
from townlet_core.digest import FactDigest
from townlet_core.errors import SnapshotError
from townlet_core.events.base import Fact

FIRST = Fact(0, 0, QueueJoin("a", "o", "u", 1))
SECOND = Fact(1, 0, AffordanceFinish("a", "o", "u", {"need:hunger": 0.4, "inventory:meal": 1}))


def test_each_link_hashes_the_one_before_and_the_fact_as_canonical_json():
    chain = FactDigest()
    assert chain.hexdigest() == "00" * 32
    chain.update([FIRST, SECOND])
    link = sha256(
        bytes(32) + b'[0,0,"queue.join",{"affordance_id":"u","agent_id":"a","object_id":"o","position":1}]'
    ).digest()
    link = sha256(
        link
        + b'[1,0,"affordance.finish",{"affordance_id":"u","agent_id":"a",'
        + b'"effects":{"inventory:meal":1,"need:hunger":0.4},"object_id":"o"}]'
    ).digest()
    assert chain.hexdigest() == link.hex()


def test_a_chain_goes_on_from_its_last_link():
    whole, half = FactDigest(), FactDigest()
    whole.update([FIRST, SECOND])
    half.update([FIRST])
    rest = FactDigest(half.hexdigest())
    rest.update([SECOND])
    assert rest.hexdigest() == whole.hexdigest()


@pytest.mark.parametrize("text", ["", "00", "zz" * 32])
def test_what_is_no_link_is_refused(text):
    with pytest.raises(SnapshotError, match="64 hex digits"):
        FactDigest(text)


def test_numbers_that_are_not_json_are_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        FactDigest().update([Fact(0, 0, AffordanceFinish("a", "o", "u", {"need:hunger": float("nan")}))])
