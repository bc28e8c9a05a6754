"""Affordance hooks in the town: when they are asked, what they see, what comes of their answers (8.5)."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from tests.house.sources import ROOT
from tests.town.invariants import check_invariants
from tests.town.towns import Town, affordance, agent, build_model
from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.inputs.texts import TownOptions
from townlet_adapters.worlds.town.seam.batch import TownBatch
from townlet_adapters.worlds.town.seam.world import TownWorld
from townlet_core.dto.hook import (
    Cancel,
    HookContext,
    InventoryEffect,
    MoneyEffect,
    NeedEffect,
    RelationEffect,
    StockEffect,
)
from townlet_core.errors import ConfigError, SnapshotError, WorldError
from townlet_core.events.schema import event_data
from townlet_core.hook_runner import AffordanceHook, HookRunner
from townlet_core.jsonvalue import canonical_json
from townlet_core.testing import ManualClock, check_world

STAGES = ("before", "after", "failed")
STILL = {"decay": {"hunger": 0.0, "hygiene": 0.0, "energy": 0.0}}
SPOTS = [(1, 1), (3, 1), (2, 2), (1, 2)]


class Script:
    """A hook that remembers what it was shown and answers what it is told to."""

    def __init__(self, name: str = "script", **answers: object) -> None:
        """Answer at the stages that are given; an answer may be computed from the context."""
        self.name, self.seen, self.answers = name, [], answers
        self.digest = ""

    def __call__(self, context: HookContext) -> object:
        """Remember and answer."""
        self.seen.append(context)
        answer = self.answers[context.stage]
        return answer(context) if callable(answer) else answer

    @property
    def stages(self) -> list[str]:
        """Stages at which it was asked."""
        return [context.stage for context in self.seen]

    def hook(self) -> AffordanceHook:
        """Give it its form."""
        return AffordanceHook(self.name, dict.fromkeys(self.answers, self), self.digest)


def all_stages(name: str = "script", **answers: object) -> Script:
    return Script(name, **{stage: answers.get(stage) for stage in STAGES})


def run_by(*scripts: Script) -> HookRunner:
    return HookRunner([script.hook() for script in scripts], clock=ManualClock())


def named_at_all(*names: str) -> dict[str, list[str]]:
    return {stage: list(names) for stage in STAGES}


def room(
    *scripts: Script, symbol: str = "N", kind: str = "bench", residents: int = 1, named: object = None,
    options: dict[str, object] | None = None, **more: object,
) -> Town:  # fmt: skip
    """A room around one object that can be used for three ticks; every script is asked at all its stages."""
    hooks = {stage: [s.name for s in scripts if stage in s.answers] for stage in STAGES}
    manifest = [affordance("it", kind, 3, hooks=named or hooks, **more)]
    rows = ["Ehrr", f".r{symbol}r", ".rrr"]
    return Town(
        rows, SPOTS[:residents], manifest=manifest, needs=STILL, hooks=run_by(*scripts), **(options or {})
    )


# When they are asked.


def test_a_use_is_asked_for_before_its_charge_and_after_its_effects():
    script = all_stages()
    town = room(
        script, symbol="F", kind="fridge", charge=[{"stock:meal": 1, "price:meal": 1}],
        effects={"need:hunger": 0.2, "inventory:meal": 1},
    )  # fmt: skip
    town.step({0: "use:it"})
    assert town.kinds() == ["affordance.start"]
    town.run(2)
    assert town.kinds() == ["affordance.finish"]
    before, after = script.seen
    assert replace(before, seed=0) == HookContext(
        stage="before", hook="script", tick=0, day=0, tod=0, agent_id=agent(0), serial=0,
        needs={"hunger": 0.7, "hygiene": 0.7, "energy": 0.7}, values={"wallet": 2000},
        inventory={"meal": 0, "ingredients": 0}, position=(1, 1), profile=before.profile,
        object_id="fridge_1", object_type="fridge", place_id="room", stock={"meal": 12}, affordance_id="it",
        duration=3, paid=0, reason=None, seed=0, relations=("trust", "familiarity", "rivalry"),
    )  # fmt: skip
    assert before.profile in town.model.profile_names
    assert before.seed == town.seed
    assert after == replace(
        before, stage="after", tick=2, tod=2, needs={**before.needs, "hunger": pytest.approx(0.9)},
        values={"wallet": 1600}, inventory={"meal": 1, "ingredients": 0}, stock={"meal": 11}, paid=400,
    )  # fmt: skip


def test_the_time_of_a_context_is_that_of_the_town():
    script = all_stages()
    town = room(script)
    town.set_time(3 * 1440 + 77)
    town.step({0: "use:it"})
    assert (script.seen[0].tick, script.seen[0].day, script.seen[0].tod) == (4397, 3, 77)


def test_joining_a_queue_asks_nobody_and_beginning_to_be_served_does():
    script = all_stages()
    town = room(script, residents=2)
    town.step({0: "use:it"})
    town.step({1: "use:it"})
    assert (town.result(1), len(script.seen)) == ("queued", 1)
    town.run(4, {1: "use:it"})
    told = [(context.stage, context.tick, context.agent_id) for context in script.seen]
    assert told == [
        ("before", 0, agent(0)),
        ("after", 2, agent(0)),
        ("before", 3, agent(1)),
        ("after", 5, agent(1)),
    ]


def test_a_use_that_goes_on_and_other_affordances_ask_nobody():
    script = all_stages()
    manifest = [affordance("it", "bench", 3, hooks={"before": ["script"]}), affordance("other", "bench", 2)]
    town = Town(["Ehrr", ".rNr", ".rrr"], SPOTS[:1], manifest=manifest, needs=STILL, hooks=run_by(script))
    town.step({0: "use:other"})
    town.run(2, {0: "use:other"})
    assert script.seen == []
    town = Town(["Ehrr", ".rNr", ".rrr"], SPOTS[:1], manifest=manifest, needs=STILL, hooks=run_by(script))
    town.run(3, {0: "use:it"})
    assert script.stages == ["before"]


# Before.


def test_a_cancelled_use_is_told_with_its_reason_and_changes_nothing():
    script = all_stages(before=Cancel("the oven is cold"))
    town = room(script, symbol="F", kind="fridge", charge=[{"stock:meal": 1, "price:meal": 1}])
    town.step({0: "use:it"})
    (told,) = town.told
    assert (told.kind, told.reason, told.detail) == ("affordance.fail", "hook_cancelled", "the oven is cold")
    assert (told.progress, told.refunded, town.result(0)) == (0, 0, "hook_cancelled")
    assert (town.holder("fridge_1"), town.stage(0), town.wallet(0), town.stock("fridge_1")) == (
        None, "none", 2000, (12, 0),
    )  # fmt: skip
    assert script.stages == ["before", "failed"]
    assert (script.seen[1].reason, script.seen[1].paid) == ("hook_cancelled", 0)
    assert town.summary.failures == {"hook_cancelled": 1}
    assert town.summary.actions["use:it"] == 1


def test_who_is_cancelled_while_holding_gives_up_the_claim_to_the_next():
    script = all_stages(before=lambda context: Cancel("not you") if context.serial == 1 else None)
    town = room(script, residents=3)
    town.step({0: "use:it"})
    town.step({1: "use:it"})
    town.step({2: "use:it"})
    assert (town.stage(1), town.holder("bench_1")) == ("held", 1)
    town.step({1: "use:it", 2: "use:it"})
    (failed,) = town.heard("affordance.fail")
    assert (failed.agent_id, failed.reason, failed.detail) == (agent(1), "hook_cancelled", "not you")
    assert (town.stage(1), town.holder("bench_1")) == ("none", 2)
    town.step({2: "use:it"})
    assert town.stage(2) == "running"


def test_a_hook_is_not_asked_about_a_use_that_a_check_forbids():
    script = all_stages(before=Cancel("no"))
    town = room(script, preconditions=["hunger < 0.95"])
    town.resident(0).need[0] = 0.94
    town.look()
    town.set_need(0, "hunger", 1.0)
    town.step({0: "use:it"})
    (told,) = town.heard("affordance.fail")
    assert (told.reason, told.detail, script.stages) == ("precondition_failed", None, ["failed"])


def test_the_first_refusal_counts_and_hooks_are_asked_in_the_order_of_the_config():
    first, second = all_stages("zoo", before=Cancel("from zoo")), all_stages("ant", before=Cancel("from ant"))
    town = room(first, second, named={"before": ["ant", "zoo"]})
    town.step({0: "use:it"})
    assert town.told[0].detail == "from zoo"
    assert (first.stages, second.stages) == (["before"], [])


def test_a_refusal_is_for_the_one_who_asked():
    script = Script(before=Cancel("no"))
    manifest = [affordance("it", "bench", 1, hooks={"before": ["script"]}), affordance("other", "bed", 1)]
    town = Town(
        ["Ehrr", ".rNr", ".rBr", ".rrr"], [(1, 1), (3, 3)], manifest=manifest, needs=STILL,
        hooks=run_by(script), queues={"cooldown_ticks": 0},
    )  # fmt: skip
    town.run(12, {0: "use:it", 1: "use:other"})
    assert town.when("affordance.fail", agent_id=agent(0)) == list(range(12))
    assert town.when("affordance.finish", agent_id=agent(1)) == list(range(12))


# After.


def test_what_an_after_hook_adds_is_applied_and_told_with_the_effects():
    gift = [NeedEffect("hunger", 0.2), StockEffect("meal", -2), InventoryEffect("meal", 1), MoneyEffect(300)]
    town = room(
        all_stages(after=gift), symbol="F", kind="fridge", effects={"need:hunger": 0.05, "need:energy": -0.1}
    )
    town.run(3, {0: "use:it"})
    (told,) = town.heard("affordance.finish")
    assert told.effects == {
        "need:hunger": 0.25, "need:energy": -0.1, "stock:meal": -2, "inventory:meal": 1, "money": 300,
    }  # fmt: skip
    assert town.need(0, "hunger") == pytest.approx(0.95)
    assert (town.stock("fridge_1"), town.inventory(0), town.wallet(0)) == ((10, 0), (1, 0), 2300)
    assert town.money() == 0
    assert town.state.flows[0, codes.FLOW_HOOK] == 300


def test_what_a_hook_adds_stays_within_the_bounds_of_the_town():
    gift = [NeedEffect("hunger", 0.2), StockEffect("meal", 2), InventoryEffect("meal", 2), MoneyEffect(-500)]
    town = room(all_stages(after=gift), symbol="F", kind="fridge")
    resident = town.resident(0)
    resident.need[0], resident.inventory[0] = 0.9, 3
    town.state.towns[0].treasury += 1900
    resident.wallet = 100
    town.run(3, {0: "use:it"})
    assert (town.need(0, "hunger"), town.inventory(0), town.stock("fridge_1")) == (1.0, (4, 0), (12, 0))
    assert (town.wallet(0), town.money()) == (0, 0)
    assert town.state.flows[0, codes.FLOW_HOOK] == -100


def test_a_hook_changes_the_ties_with_those_nearby_as_it_says():
    """Traits do not modify it, and the manifest's own effect comes before."""
    gift = [RelationEffect("trust", -0.2), RelationEffect("rivalry", 0.1)]
    town = room(all_stages(after=gift), residents=4)
    for slot in range(4):
        town.set_profile(slot, "stoic")
    town.place((1, 1), (3, 1), (1, 2), (2, 2))
    town.run(3, {0: "use:it"})
    told = [event for event in town.told if event.kind == "affordance.finish"]
    assert told[0].effects == {"relation:trust": -0.2, "relation:rivalry": 0.1}
    assert town.tie(0, 2) == town.tie(2, 0) == town.tie(0, 3) == (-0.2, 0.0, 0.1)
    assert town.tie(0, 1) is None
    assert {event.reason for event in town.heard("social.tie")} == {"plugin"}
    assert town.model.hooked


def test_what_a_hook_adds_is_told_with_its_use_whatever_ties_are_told_before():
    meal = affordance("it", "bench", 6, tags=["meal"], hooks={"after": ["script"]})
    script = Script(after=[MoneyEffect(5)])
    town = Town(
        ["ErNrNr", "hrrrrr"], [(2, 1), (4, 1)], manifest=[meal], needs=STILL, hooks=run_by(script)
    )  # fmt: skip
    town.run(6, {0: "use:it", 1: "use:it"})
    kinds = [kind for kind in town.kinds() if kind != "social.tie"]
    assert kinds == ["social.shared_meal", "affordance.finish", "affordance.finish"]
    assert [event.effects for event in town.heard("affordance.finish")] == [{"money": 5}, {"money": 5}]


def test_two_hooks_add_up():
    town = room(all_stages("a", after=[MoneyEffect(5)]), all_stages("b", after=(MoneyEffect(-7),)))
    town.run(3, {0: "use:it"})
    assert town.wallet(0) == 1998
    assert town.told[0].effects == {"money": -2}


def test_the_days_books_tell_what_hooks_moved_and_only_then():
    generous = room(all_stages(after=[MoneyEffect(5)]))
    generous.set_time(1436)
    generous.run(4, {0: "use:it"})
    (told,) = generous.heard("economy.day")
    assert told.flows["hook"] == 5
    assert list(told.flows) == [flow for flow in codes.FLOWS if flow != "estate"]
    silent = room(all_stages())
    silent.set_time(1439)
    silent.step()
    assert "hook" not in silent.heard("economy.day")[0].flows
    generous.step()
    assert generous.state.flows[0, codes.FLOW_HOOK] == 0


# Failed: every way that a use can fail.


def started(script: Script, **more: object) -> Town:
    town = room(script, symbol="W", kind="shower", residents=2, charge=[{"price:shower": 1}], **more)
    town.step({0: "use:it"})
    script.seen.clear()
    return town


def test_a_failed_hook_is_told_when_a_utility_is_lost():
    script = all_stages()
    town = started(script)
    town.switch("water", on=False)
    town.step()
    (seen,) = script.seen
    assert (seen.stage, seen.reason, seen.paid, seen.values) == (
        "failed",
        "utility_lost",
        200,
        {"wallet": 2000},
    )
    assert town.kinds() == ["affordance.fail"]
    assert town.told[0].refunded == 200
    assert (town.wallet(0), town.money(), town.stage(0)) == (2000, 0, "none")


def test_a_failed_hook_is_told_when_somebody_leaves():
    script = all_stages()
    town = started(script)
    town.step({0: "leave"})
    (seen,) = script.seen
    assert (seen.reason, seen.paid, seen.values["wallet"], seen.agent_id) == ("left", 200, 2000, agent(0))
    assert (town.kinds(), town.result(0)) == (["affordance.fail"], "ok")


def test_a_failed_hook_is_told_when_somebody_is_interrupted():
    script = all_stages()
    town = started(script)
    town.teleport(0, 1, 2)
    town.step()
    (seen,) = script.seen
    assert (seen.reason, seen.position, seen.values) == ("interrupted", (1, 2), {"wallet": 2000})
    assert town.kinds() == ["lifecycle.moved", "affordance.fail"]
    assert (town.at(0), town.stage(0), town.holder("shower_1")) == ((1, 2), "none", None)


def test_a_failed_hook_is_told_once_when_somebody_is_removed_while_it_still_lives():
    script = all_stages()
    town = started(script)
    town.remove(0, replace=True)
    town.step()
    (seen,) = script.seen
    assert (seen.reason, seen.agent_id, seen.paid, seen.values["wallet"]) == (
        "agent_exit",
        agent(0),
        200,
        2000,
    )
    assert town.kinds() == ["affordance.fail", "lifecycle.exit"]
    assert (town.told[1].wallet, town.resident(0).alive) == (2000, False)
    town.run(20)
    assert [seen.stage for seen in script.seen].count("failed") == 1
    assert int(town.resident(0).serial) == 2
    assert (town.stage(0), town.holder("shower_1"), town.money()) == ("none", None, 0)


def test_a_failed_hook_is_told_when_a_use_cannot_start_and_nothing_of_anothers_use():
    script = all_stages()
    town = started(script)
    town.close("shower_1")
    town.step({1: "use:it"})
    (seen,) = script.seen
    assert (seen.reason, seen.agent_id, seen.paid) == ("closed", agent(1), 0)
    assert town.told[0].reason == "closed"


def test_a_failed_hook_is_told_when_a_holder_cannot_start():
    script = all_stages()
    town = room(script, residents=2, preconditions=["hunger < 0.95"])
    town.step({0: "use:it"})
    town.run(2, {1: "use:it"})
    assert town.stage(1) == "held"
    script.seen.clear()
    town.set_need(1, "hunger", 1.0)
    town.step({1: "use:it"})
    assert [(seen.stage, seen.reason) for seen in script.seen] == [("failed", "precondition_failed")]
    assert (town.stage(1), town.holder("bench_1")) == ("none", None)


def test_leaving_a_queue_is_no_failed_use():
    script = all_stages()
    town = started(script)
    town.step({1: "use:it"})
    town.step({1: "leave"})
    assert (town.kinds()[0], script.stages) == ("queue.leave", ["after"])


def test_an_intervention_is_done_once_however_often_its_phase_is_left():
    """Two are interrupted in one phase; each is moved once, and what comes between them stays between."""
    script = all_stages()
    manifest = [affordance("it", "bench", 9, hooks=named_at_all("script"))]
    town = Town(
        ["Ehrrrr", ".rNrNr", ".rrrrr"], [(1, 1), (5, 1)], manifest=manifest, needs=STILL, hooks=run_by(script)
    )
    town.step({0: "use:it", 1: "use:it"})
    town.teleport(0, 1, 2)
    town.set_need(0, "energy", 0.25)
    town.teleport(1, 5, 2)
    town.step()
    assert town.kinds() == ["lifecycle.moved", "affordance.fail"] * 2
    assert (town.at(0), town.at(1), town.need(0, "energy")) == ((1, 2), (5, 2), 0.25)


# The order of things: leaving compiled code changes nothing but what a hook answers.

ROWS = ["Ehhh....", ".rNrrrNr", ".rrWrFrr", ".rrrrrrr", ".rBrrSrr"]
PEOPLE = [(1, 1), (3, 1), (5, 1), (7, 1), (1, 3), (3, 3)]


def crowd(hooks: HookRunner | None, *names: str) -> Town:
    """Six residents who want everything, with every stage of every affordance hooked, or none."""
    named = {"hooks": named_at_all(*names)} if names else {}
    manifest = [
        affordance("sit", "bench", 4, effects={"need:energy": 0.1}, **named),
        affordance("wash", "shower", 6, charge=[{"price:shower": 1}], effects={"need:hygiene": 0.3}, **named),
        affordance("eat", "fridge", 2, charge=[{"inventory:meal": 1}, {"stock:meal": 1, "price:meal": 1}],
                   effects={"need:hunger": 0.3}, preconditions=["hunger < 0.9"], **named),
        affordance("doze", "bed", 1, effects={"need:energy": 0.2}, **named),
        affordance("cook", "stove", 3, charge=[{"stock:ingredients": 1}], effects={"inventory:meal": 1},
                   **named),
    ]  # fmt: skip
    keeper = {"place": "room", "start": 120, "end": 240, "wage": 20, "late_fine": 100, "capacity": 2}
    jobs = {"keeper": keeper}
    return Town(ROWS, PEOPLE, manifest=manifest, hooks=hooks, jobs=jobs, queues={"cooldown_ticks": 3})


def live(town: Town, ticks: int = 600) -> list[object]:
    """Let everybody act by a fixed pattern, with cuts of power and teleports between."""
    told = []
    for tick in range(ticks):
        if tick % 37 == 5:
            town.switch("power", on=tick % 74 == 5)
            town.teleport(tick % 6, 1 + tick % 7, 3)
        if tick % 53 == 9:
            town.teleport((tick + 1) % 6, 7, 3)
        intents = {
            slot: (tick * 7 + slot * 11 + tick // 5) % len(town.model.spec.action_names) for slot in range(6)
        }
        for slot, action in intents.items():
            if not town.engine.arrays.mask[0, slot, action]:
                uses = [n for n in range(codes.FIRST_USE, 12) if town.engine.arrays.mask[0, slot, n]]
                intents[slot] = uses[tick % len(uses)] if uses else codes.MOVE_NORTH + (tick + slot) % 4
        town.step(intents)
        told += town.told
    return told


def state_of(town: Town) -> list[bytes]:
    """The whole state."""
    return [array.tobytes() for array in town.state]


def test_hooks_that_say_nothing_change_nothing_at_all():
    script = all_stages()
    plain, hooked = crowd(None), crowd(run_by(script), "script")
    assert live(hooked) == live(plain)
    assert state_of(hooked) == state_of(plain)
    counted = {stage: script.stages.count(stage) for stage in STAGES}
    kinds = [event.kind for _, event in hooked.log]
    assert counted == {
        "before": kinds.count("affordance.start"),
        "after": kinds.count("affordance.finish"),
        "failed": kinds.count("affordance.fail"),
    }
    assert min(counted.values()) > 10
    reasons = {context.reason for context in script.seen if context.stage == "failed"}
    assert reasons >= {"left", "interrupted", "utility_lost"}


def test_hooks_are_asked_in_the_order_of_the_events_that_they_belong_to():
    script = all_stages(before=lambda context: Cancel("no") if context.serial == context.tick % 6 else None)
    town = crowd(run_by(script), "script")
    live(town, 300)
    stages = {"affordance.start": "before", "affordance.finish": "after", "affordance.fail": "failed"}
    told = [(tick, stages[event.kind], event.agent_id) for tick, event in town.log if event.kind in stages]
    cancelled = {(seen.tick, seen.agent_id) for seen in script.seen if seen.reason == "hook_cancelled"}
    assert len(cancelled) > 5
    asked = [
        (seen.tick, seen.stage, seen.agent_id)
        for seen in script.seen
        if seen.stage != "before" or (seen.tick, seen.agent_id) not in cancelled
    ]
    assert asked == told


def chancy(context: HookContext) -> object:
    """A hook with an opinion on everything, from its draws alone."""
    if context.stage == "before":
        return Cancel(f"bad luck {context.integer(1, 6, 2)}") if context.unit(0) < 0.2 else None
    if context.stage == "after":
        return [NeedEffect("energy", context.unit(1) * 0.4 - 0.2), MoneyEffect(context.integer(-500, 500, 3))]
    return None


def dice() -> HookRunner:
    return run_by(Script("dice", **dict.fromkeys(STAGES, chancy)))


def test_hooks_with_draws_leave_a_town_that_can_be_run_again():
    first, second = (crowd(dice(), "dice") for _ in range(2))
    told = live(first)
    assert told == live(second)
    assert state_of(first) == state_of(second)
    assert told != live(crowd(None))
    assert len({event.detail for event in told if event.kind == "affordance.fail"}) >= 6


def test_every_rule_of_the_town_holds_whatever_hooks_answer():
    town = crowd(dice(), "dice")
    for _ in range(60):
        live(town, 10)
        check_invariants(town.engine)
    assert town.state.flows[0, codes.FLOW_HOOK] != 0


def prints(ticks: int) -> str:
    """A digest of everything that the dice leave of a town."""
    town = crowd(dice(), "dice")
    told = [canonical_json([event.kind, event_data(event)]) for event in live(town, ticks)]
    return hashlib.sha256(b"".join([*told, *(array.tobytes() for array in town.state)])).hexdigest()


def test_interpreted_kernels_ask_what_compiled_ones_ask():
    done = subprocess.run(
        [sys.executable, "-c", "from tests.town.rules.test_hooks import prints; print(prints(120))"],
        cwd=ROOT,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == prints(120), done.stderr


@pytest.mark.parametrize("cut", [0, 1, 77, 200])
def test_a_town_with_hooks_can_be_cut_at_any_tick(cut):
    """Also where one hook was disabled before, and goes wrong only in certain ticks."""

    def moody(context):
        if context.stage == "after" and context.tick > 40:
            raise ValueError("a bad day")
        return [MoneyEffect(1)] if context.stage == "after" else None

    def both() -> HookRunner:
        return run_by(*(Script(name, **dict.fromkeys(STAGES, does)) for name, does in
                        (("dice", chancy), ("moody", moody))))  # fmt: skip

    whole, first, heir = (crowd(both(), "dice", "moody") for _ in range(3))
    expected = live(whole, cut) + live(whole, 150)
    told = live(first, cut)
    heir.world.restore(first.world.snapshot())
    heir._founding = first._founding
    assert told + live(heir, 150) == expected
    assert state_of(heir) == state_of(whole)
    assert any(event.kind == "plugin.rejected" for event in expected)


# From within a tick.


def test_a_hook_cannot_reach_back_into_the_town_and_the_town_goes_on():
    town = None
    tried = []

    def reaching(context):
        before = [array.tobytes() for array in (*town.state, *town.engine.intents)]
        ways = [
            lambda: town.step({0: "leave"}), lambda: town.engine.step(other, other),
            town.world.frame, town.world.snapshot, town.engine.observe,
            town.engine.reset, town.engine.advance, lambda: town.world.reset(3),
            lambda: town.teleport(0, 1, 2), lambda: town.world.restore(founded),
        ]  # fmt: skip
        for way in ways:
            with pytest.raises(WorldError, match="a tick is being executed"):
                way()
            tried.append((context.stage, way))
        assert [array.tobytes() for array in (*town.state, *town.engine.intents)] == before

    script = all_stages(before=reaching, after=reaching, failed=reaching)
    town = room(script)
    made = town.world._hooks
    founded = town.world.snapshot()
    other = np.full((1, town.model.spec.capacity), 5)
    town.step({0: "use:it"})
    assert town.kinds() == ["affordance.start"]
    town.run(2)
    assert town.kinds() == ["affordance.finish"]
    assert len(tried) == 20
    assert made.counters()["script"].failures == 0
    assert town.world.frame().tick == 2


def test_an_interrupt_within_a_hook_leaves_a_town_that_only_begins_anew():
    def interrupted(_):
        raise KeyboardInterrupt

    script = all_stages(before=interrupted)
    town = room(script)
    founded = town.world.snapshot()
    with pytest.raises(KeyboardInterrupt):
        town.step({0: "use:it"})
    for refused in (town.step, town.world.snapshot, town.world.frame):
        with pytest.raises(WorldError, match="a tick is being executed"):
            refused()
    script.answers["before"] = None
    town.world.restore(founded)
    town.teleport(0, 1, 2)
    town.step({0: "use:it"})
    assert (town.at(0), town.stage(0)) == ((1, 2), "running"), "the whole tick is executed"
    town.world.reset(town.seed)
    assert (town.tick, town.stage(0)) == (0, "none")


def test_a_town_that_is_founded_anew_asks_everybody_again():
    script = all_stages(after=3)
    town = room(script)
    town.run(3, {0: "use:it"})
    assert town.world._hooks.counters()["script"].disabled
    town.world.reset(town.seed)
    assert not town.world._hooks.counters()["script"].disabled


def test_what_was_dropped_is_told_with_the_tick_in_which_it_was():
    script = all_stages(after=[MoneyEffect(501)])
    town = room(script)
    town.run(2, {0: "use:it"})
    assert town.heard("plugin.rejected") == []
    town.step({0: "use:it"})
    assert town.kinds() == ["affordance.finish", "plugin.rejected"]
    rejected = town.told[1]
    assert (rejected.hook, rejected.stage, rejected.affordance_id) == ("script", "after", "it")
    assert (rejected.agent_id, town.wallet(0)) == (agent(0), 2000)
    assert town.told[0].effects == {}


# Loading.


@pytest.mark.parametrize(
    ("hooks", "problem"),
    [
        (
            {"before": ["scirpt"]},
            (
                "hooks.before[0]: unknown hook 'scirpt'; did you mean 'script'? known: lamp, script; "
                "plugins.hooks activates hooks"
            ),
        ),
        (
            {"after": ["script", "lamp"]},
            "hooks.after[1]: the hook 'lamp' has no stage 'after'; its stages: before, failed",
        ),
        (
            {"failed": ["lamp", "lamp"]},
            "hooks.failed[1]: duplicate hook 'lamp'; name it once",
        ),
    ],
)
def test_a_hook_that_cannot_be_asked_is_a_load_error(hooks, problem):
    active = run_by(all_stages(), Script("lamp", before=None, failed=None))
    with pytest.raises(ConfigError) as caught:
        build_model(["Ehrr", ".rNr"], manifest=[affordance("it", "bench", hooks=hooks)], hooks=active)
    assert str(caught.value) == f"affordances.add[0].{problem}"


def test_hooks_that_no_affordance_names_have_no_part_in_the_town():
    model = build_model(["Ehrr", ".rNr"], manifest=[affordance("it", "bench")], hooks=run_by(all_stages()))
    assert not model.hooked
    TownBatch(model, 2).reset(1)


def test_a_batch_of_several_towns_refuses_hooks():
    town = room(all_stages())
    with pytest.raises(ConfigError, match=r"the hooks script, in a batch of 2 towns; .* single towns only"):
        TownBatch(town.model, 2, hooks=run_by(all_stages()))
    with pytest.raises(ValueError, match="pass the hooks that the model was built with"):
        TownWorld(town.model)


def test_a_town_with_hooks_keeps_the_contract_of_a_world():
    scripts = []

    def make() -> TownWorld:
        scripts.append(Script("dice", **dict.fromkeys(STAGES, chancy)))
        return crowd(run_by(scripts[-1]), "dice").world

    check_world(make, ticks=40)
    assert {stage for script in scripts for stage in script.stages} == set(STAGES)


# Snapshots.


def hooked_world(*scripts: Script) -> TownWorld:
    hooks = run_by(*scripts)
    manifest = [affordance("it", "bench", 3, hooks={"after": sorted(script.name for script in scripts)})]
    return TownWorld(build_model(["Ehrr", ".rNr", ".rrr"], manifest=manifest, hooks=hooks), hooks)


def with_digest(digest: str, name: str = "script") -> Script:
    script = all_stages(name)
    script.digest = digest
    return script


def test_a_snapshot_is_of_its_hooks_and_their_code():
    world = hooked_world(with_digest("aa"), with_digest("", "lamp"))
    world.reset(1)
    saved = world.snapshot()
    assert saved.identity["hooks"] == "script@aa lamp"
    hooked_world(with_digest("aa"), with_digest("", "lamp")).restore(saved)
    for others in (
        [with_digest("bb"), with_digest("", "lamp")],
        [with_digest("", "lamp"), with_digest("aa")],
    ):
        with pytest.raises(SnapshotError, match="the snapshot's hooks is script@aa lamp") as caught:
            hooked_world(*others).restore(saved)
        assert caught.value.code == "snapshot_config"


def test_a_snapshot_with_hooks_is_none_of_a_town_without_them_and_the_reverse():
    plain = TownWorld(TownModel.build(TownOptions()))
    plain.reset(1)
    saved = plain.snapshot()
    assert "hooks" not in saved.identity
    assert "hooks" not in saved.parts["world"]
    with pytest.raises(SnapshotError, match="hooks is script"):
        plain.restore(replace(saved, identity={**saved.identity, "hooks": "script"}))


def test_who_was_disabled_stays_so_after_a_restore():
    script = all_stages(after=lambda context: 3 if context.tick < 3 else [MoneyEffect(5)])
    town = room(script)
    town.run(4, {0: "use:it"})
    assert town.heard("plugin.rejected") == []
    saved = town.world.snapshot()
    assert saved.parts["world"]["hooks"] == {"script": {"disabled": True, "overruns": 0}}
    heir = room(all_stages(after=[MoneyEffect(5)]))
    heir.world.restore(saved)
    heir.run(80, {0: "use:it"})
    assert heir.when("affordance.finish")
    assert heir.wallet(0) == 2000
    anew = room(all_stages(after=[MoneyEffect(5)]))
    anew.run(3, {0: "use:it"})
    assert anew.wallet(0) == 2005
