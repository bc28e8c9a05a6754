import pytest

from townlet import open_simulation
from townlet_core.errors import ConfigError
from townlet_core.testing import FakeWorld, check_policy, check_world
from townlet_market.policy import Buyers
from townlet_market.world import Market

ALLOW = [{"distribution": "townlet-market", "entry_point": "market", "allow_editable": True}]
CONFIG = {
    "townlet": 1,
    "seed": 7,
    "world": {"use": "market", "options": {"customers": 5, "stalls": 2, "stock": 3}},
    "policy": {"use": "buyers"},
    "plugins": {"allow": ALLOW},
    "telemetry": {"sinks": []},
}


@pytest.mark.parametrize("size", [(1, 1, 1), (4, 3, 5), (7, 2, 0)])
def test_the_market_keeps_the_contract_of_a_world(size):
    check_world(lambda: Market(*size))


def test_the_buyers_keep_the_contract_of_a_policy_in_their_market():
    check_policy(Buyers, lambda: Market(4, 3, 5))
    with pytest.raises(ConfigError, match="lives in a market"):
        Buyers().begin(FakeWorld().spec, 7)


def test_stalls_sell_out_and_open_again_the_next_day():
    with open_simulation(CONFIG, digest=True) as simulation:
        summary = simulation.run_for(40)
    told = summary.events_by_kind
    assert told["market.sold"] == 2 * 2 * 3
    assert told["market.sold_out"] == 2 * 2
    assert told["market.done"] > 0
