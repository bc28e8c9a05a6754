"""Troubles that meet: what one rule does while another one is at work (rules, sections 8, 13 to 15)."""

import pytest

from tests.town.invariants import check_effects, check_events, check_invariants, check_lives, check_money
from tests.town.rules.test_hooks import all_stages, run_by
from tests.town.rules.test_lifecycle import DAY, IT, LONG, STILL, exits, indebted, pending, told
from tests.town.rules.test_perturbations import perturb
from tests.town.towns import Town, affordance, agent
from tests.town.village import Village
from townlet_adapters.worlds.town.events.lifecycle import LifecycleArrive, LifecycleExit

ROWS = ["E.....oo", ".hrrWrrr", ".hrrrrrr", ".hrrrrrr"]
SPOTS = [(3, 2), (5, 2), (4, 2)]
JOBS = {"clerk": {"place": "office", "start": 600, "end": 900, "wage": 20, "late_fine": 100, "capacity": 1}}
DUE = 2 * DAY - 1
"""The tick in which the grace of ``indebted`` is over."""


def test_a_blackout_that_outlasts_the_grace_puts_an_eviction_off_until_an_hour_after_its_end():
    town = indebted()
    perturb(town, "blackout", starts_in=DAY - 20, duration=60)
    town.run(DAY + 110)
    ((back, _),) = [(tick, event) for tick, event in town.log if event.kind == "perturbation.ended"]
    assert DUE < back < DUE + 60
    assert pending(town) == [(DUE, agent(0), "eviction", "suppressed")]
    assert exits(town) == [(back + 60, agent(0), "eviction")]
    check_money(town.model, town.state)
    check_lives(town.model, town.state)
    check_effects(town.state)
    check_events(town.model, town.state)


def test_a_blackout_early_in_the_grace_does_not_lengthen_it():
    town = indebted()
    perturb(town, "blackout", starts_in=100, duration=60)
    town.run(DAY)
    assert (pending(town), exits(town)) == ([], [(DUE, agent(0), "eviction")])


def test_an_outage_and_a_kill_meet_in_one_shower_and_its_queue():
    """The first is killed in its hooked use, the next one is served, and the water fails it in its turn."""
    script = all_stages()
    wash = affordance("it", "shower", 20, charge=[{"price:shower": 1}],
                      hooks={stage: ["script"] for stage in ("before", "after", "failed")})  # fmt: skip
    town = Town(
        ROWS, SPOTS, jobs=JOBS, manifest=[wash], needs=STILL, hooks=run_by(script), lifecycle={},
        population={"capacity": 3},
    )  # fmt: skip
    for slot in range(3):
        town.step({slot: IT})
    assert (town.holder("shower_1"), town.queue("shower_1")) == (0, [1, 2])
    town.remove(0, replace=True)
    for tick in range(60):
        if tick == 4:
            perturb(town, "outage", duration=10)
        town.step({slot: IT for slot in (1, 2) if town.stage(slot) == "held"})
        check_invariants(town.engine)
    failed = [(seen.agent_id, seen.reason) for seen in script.seen if seen.stage == "failed"]
    assert failed[:2] == [(agent(0), "agent_exit"), (agent(1), "utility_lost")]
    assert [event.agent_id for _, event in told(town, LifecycleArrive)] == [agent(3)]
    assert int(town.resident(0).serial) == 3
    assert town.stage(0) == "none"
    assert town.wallet(1) == 2000
    assert town.money() == 0


def test_three_who_come_in_a_row_may_be_killed_in_the_tick_after_and_three_more_follow():
    town = Town(ROWS, SPOTS, jobs=JOBS, manifest=LONG, needs=STILL, population={"capacity": 3})
    for slot in range(3):
        town.remove(slot, replace=True)
    come = 0
    for _ in range(60):
        town.step()
        check_invariants(town.engine)
        for event in town.told:
            if isinstance(event, LifecycleArrive) and come < 3:
                come += 1
                town.remove(event.slot, replace=True)
    serials = [event.agent_id for _, event in told(town, LifecycleArrive)]
    assert serials == [agent(number) for number in range(3, 9)]
    assert [reason for *_, reason in exits(town)] == ["killed"] * 6
    assert town.summary.alive == 3


def test_who_never_works_loses_the_job_then_leaves_for_lack_of_it_and_pays_for_that_in_reward():
    """From the founding to the last reward, through nothing but ticks in which all wait."""
    town = Village(needs=STILL, lifecycle={"eviction": False, "age_out": False}, economy={"rent_per_day": 0})
    ended: list[LifecycleExit] = []
    for _ in range(8 * DAY):
        town.step()
        ended = [event for event in town.told if isinstance(event, LifecycleExit)]
        if ended:
            break
    (exit_,) = ended
    slot = int(exit_.agent_id[1:])
    lost = town.when("employment.job_loss", agent_id=exit_.agent_id)
    assert exit_.reason == "unemployment"
    assert town.tick - 1 - lost[-1] >= 2 * DAY
    out = town.engine.arrays
    parts = dict(zip(town.model.spec.reward_parts, out.reward_parts[0, slot].tolist(), strict=True))
    assert (exit_.terminal, parts["terminal"]) == (-5.0, -5.0)
    assert (int(out.terminated[0, slot]), int(out.truncated[0, slot])) == (1, 0)
    assert out.reward[0, slot] == pytest.approx(parts["total"])
    assert parts["total"] <= -5.0 + 1e-9
    check_invariants(town.engine)
    town.step()
    assert not out.reward_parts[0, slot].any()
    assert not out.terminated.any()
