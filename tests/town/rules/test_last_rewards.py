"""Rewards of who starves and of who leaves: the guard and the terminal part (section 15)."""

import numpy as np
import pytest

from tests.town.rules.test_rewards import EXACT, gives, parts, still
from tests.town.towns import Town
from tests.town.words import HUNGER, NEEDS
from townlet_adapters.worlds.town.events.lifecycle import LifecycleExit

DAY = 1440
REASONS = ("collapse", "neglect", "eviction", "unemployment", "age_out", "killed")
WORTHS = {reason: -1.0 - number for number, reason in enumerate(REASONS)}
RICH = {"survival": 0.1, "homeostasis": 0.0, "shaping": 0.0, "terminal": WORTHS}
"""Life is worth more than it costs, and each exit costs something of its own."""


def starving(**rewards: object) -> Town:
    """The first of two residents starves, although life is worth something to it."""
    town = still(1.0, 1.0, 1.0, rewards={**RICH, **rewards})
    town.resident(0).need[HUNGER] = 0.03
    return town


def test_who_starves_gains_nothing():
    town = starving()
    town.step()
    assert parts(town)["guard_adjustment"] == pytest.approx(-0.1, **EXACT)
    assert parts(town)["total"] == 0
    assert (parts(town, 1)["guard_adjustment"], parts(town, 1)["total"]) == (0, 0.1)


def test_who_starves_loses_what_it_loses():
    town = starving(survival=0.0, homeostasis=0.02)
    town.step()
    assert parts(town)["guard_adjustment"] == 0
    assert parts(town)["total"] < 0


@pytest.mark.parametrize("ticks", [10, 0, 3])
def test_the_guard_lasts_for_some_ticks_after_starving(ticks):
    town = starving(guard_ticks=ticks)
    town.step()
    town.resident(0).need[HUNGER] = 1.0
    found = [gives(town, "total") for _ in range(ticks + 2)]
    assert found == [*[0] * ticks, *[pytest.approx(0.1)] * 2]


def collapse(town: Town) -> None:
    town.resident(0).need[HUNGER] = 0.0
    town.resident(0).collapse_ticks = 29


def neglect(town: Town) -> None:
    town.resident(0).need[HUNGER] = 0.1
    town.resident(0).low_ticks_today = 359


def eviction(town: Town) -> None:
    town.resident(0).rent_owed = 2
    town.resident(0).owed_since = town.tick - DAY


def age_out(town: Town) -> None:
    town.resident(0).moves = town.tick


def killed(town: Town) -> None:
    town.remove(0)


@pytest.mark.parametrize("end", [collapse, neglect, eviction, age_out, killed], ids=lambda end: end.__name__)
def test_who_leaves_gets_the_terminal_reward_of_its_reason_outside_all_limits(end):
    limits = {"tick_clip": 0.15, "day_clip": 0.5}
    town = still(1.0, 1.0, 1.0, rewards={**RICH, **limits}, lifecycle={})
    town.set_time(5 * DAY + 100)
    end(town)
    town.step()
    (exit_,) = [event for event in town.told if isinstance(event, LifecycleExit)]
    found, out = parts(town), town.engine.arrays
    ended = end not in (age_out, killed)
    assert (exit_.reason, exit_.terminal) == (end.__name__, WORTHS[end.__name__])
    assert found["terminal"] == WORTHS[end.__name__]
    assert (bool(out.terminated[0, 0]), bool(out.truncated[0, 0])) == (ended, not ended)
    rest = sum(value for name, value in found.items() if name not in ("terminal", "total"))
    assert found["total"] == pytest.approx(found["terminal"] + rest, abs=1e-12)
    assert out.reward[0, 0] == np.float32(found["total"])
    assert rest == pytest.approx(0.0 if ended else 0.1, abs=1e-9), "a life that ends gains nothing"
    assert parts(town, 1)["terminal"] == 0
    assert "a00000" not in town.world.frame().rewards
    assert town.summary.reward_mean == parts(town, 1)["total"]
    town.step()
    assert not any(parts(town).values())


def test_a_life_that_ends_has_no_potential_left_and_one_that_goes_on_elsewhere_keeps_it():
    for end, left in ((neglect, 0.0), (age_out, 1.0)):
        town = still(0.5, 0.5, 0.5, rewards={"gamma": 0.9}, lifecycle={})
        town.step()
        town.set_time(5 * DAY + 100)
        end(town)
        before = -0.05 * sum(town.model.tables.params[0].reward_weight[: len(NEEDS)]) * 0.5
        after = -0.05 * float(
            np.dot(
                town.model.tables.params[0].reward_weight[: len(NEEDS)],
                1 - town.resident(0).need[: len(NEEDS)],
            )
        )
        town.step()
        assert parts(town)["shaping"] == pytest.approx(0.9 * left * after - before, abs=1e-12)


def test_most_exits_cost_five_and_who_moves_away_or_is_removed_loses_nothing():
    terminal = still().model.options.rewards.terminal
    assert (terminal.collapse, terminal.neglect, terminal.eviction, terminal.unemployment) == (-5,) * 4
    assert (terminal.age_out, terminal.killed) == (0, 0)
