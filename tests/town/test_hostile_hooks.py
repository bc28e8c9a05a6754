"""Hooks that do their worst: the town ends as it does without them, and everybody is told.

Each is asked at every stage of every affordance of the default town. A hook whose every answer is dropped is
as good as none, so the facts of the run, and their digest, are those of a town without hooks.
"""

import gc
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from townlet_adapters.documents import read_document
from townlet_adapters.policies.scripted.options import ScriptedOptions
from townlet_adapters.policies.scripted.policy import ScriptedPolicy
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.inputs.shipped import shipped_file
from townlet_adapters.worlds.town.inputs.texts import TownOptions
from townlet_adapters.worlds.town.seam.world import TownWorld
from townlet_core.dispatch import EventDispatcher, SinkRoute
from townlet_core.dto.hook import Cancel, HookContext, MoneyEffect, NeedEffect
from townlet_core.events.base import Diagnostic
from townlet_core.events.health import HookCounts
from townlet_core.events.plugin import PluginRejected
from townlet_core.hook_runner import AffordanceHook, HookFunction, HookRunner
from townlet_core.loop import RunIdentity, SimulationLoop
from townlet_core.testing import CollectingSink, ManualClock

STAGES = ("before", "after", "failed")
TICKS = 700


@dataclass(frozen=True)
class Told:
    """What came of a run."""

    digest: str | None
    rejected: list[PluginRejected]
    counters: HookCounts | None


def run(function: HookFunction | None, clock: ManualClock | None = None) -> Told:
    """Live in the hamlet, with one hook everywhere or with none."""
    options: dict[str, object] = {"town": "hamlet_24"}
    hooks = None
    if function is not None:
        hooks = HookRunner(
            [AffordanceHook("worst", dict.fromkeys(STAGES, function))], clock=clock or ManualClock()
        )
        entries = read_document(shipped_file("manifest")).value
        assert isinstance(entries, list)
        named = {stage: ["worst"] for stage in STAGES}
        options["affordances"] = {"extend": None, "add": [{**entry, "hooks": named} for entry in entries]}
    world = TownWorld(
        TownModel.build(TownOptions.model_validate_json(json.dumps(options)), hooks=hooks), hooks
    )
    sink = CollectingSink()
    loop = SimulationLoop(
        world,
        ScriptedPolicy(ScriptedOptions()),
        RunIdentity(seed=5),
        dispatcher=EventDispatcher([SinkRoute("sink", sink)]),
        digest=True,
    )
    digest = loop.run_for(TICKS).digest
    events = [message.event for message in sink.messages if isinstance(message, Diagnostic)]
    rejected = [event for event in events if isinstance(event, PluginRejected)]
    return Told(digest, rejected, hooks.counters()["worst"] if hooks else None)


@pytest.fixture(scope="module")
def plain() -> str | None:
    """The digest of the town without hooks."""
    return run(None).digest


def raises(_: HookContext) -> object:
    raise RuntimeError("worst of all")


def exits(_: HookContext) -> object:
    return sys.exit("goodbye")


def recurses_for_ever(context: HookContext) -> object:
    return recurses_for_ever(context)


def talks_nonsense(context: HookContext) -> object:
    return {"before": "no", "after": {"money": 10**9}, "failed": 42}[context.stage]


def overwrites(context: HookContext) -> object:
    context.values = {"wallet": 10**9}  # type: ignore[misc]  # what a hostile hook does
    return None


def forces(context: HookContext) -> object:
    """Gets round the frozen dataclass, and finds that it has only changed its own copy."""
    object.__setattr__(context, "values", {"wallet": 10**9})
    object.__setattr__(context, "needs", {"hunger": 1.0})
    return None


def reaches_for(kind: type) -> Callable[[HookContext], object]:
    def recursing(_: HookContext) -> object:
        """Finds the running town among everything that lives, and steps it."""
        for thing in gc.get_objects():
            if isinstance(thing, kind):
                thing.step(None) if kind is TownWorld else thing.step()
        return None

    return recursing


DISABLED_AT_ONCE = {
    "raises": (raises, "RuntimeError: worst of all"),
    "exits": (exits, "SystemExit: goodbye"),
    "recurses for ever": (recurses_for_ever, "RecursionError: "),
    "talks nonsense": (talks_nonsense, "a before-hook must return None or Cancel(reason), not str"),
    "overwrites its context": (overwrites, "FrozenInstanceError: cannot assign to field 'values'"),
    "steps the world": (reaches_for(TownWorld), "WorldError: a tick is being executed"),
    "steps the loop": (reaches_for(SimulationLoop), "ContractError: tick "),
}


@pytest.mark.parametrize("what", DISABLED_AT_ONCE)
def test_a_hook_that_breaks_the_rules_is_asked_once_and_the_town_ends_as_without_it(what, plain):
    function, problem = DISABLED_AT_ONCE[what]
    gc.collect()  # towns of other tests are not the one that is running
    told = run(function)
    assert told.digest == plain
    (rejected,) = told.rejected
    assert (rejected.hook, rejected.stage) == ("worst", "before")
    assert rejected.problem.startswith(problem)
    assert rejected.problem.endswith("; the hook is disabled for the rest of the run")
    assert told.counters == HookCounts(1, 1, 0, disabled=True)


def test_a_hook_that_answers_too_much_is_asked_each_time_and_gets_nothing(plain):
    def greedy(context):
        return {"before": Cancel("x" * 41), "after": [NeedEffect("hunger", 0.2), MoneyEffect(10**30)]}.get(
            context.stage
        )

    told = run(greedy)
    assert told.digest == plain
    assert len(told.rejected) > 10
    assert {rejected.stage for rejected in told.rejected} == {"before", "after"}
    assert told.counters.failures == len(told.rejected) == told.counters.calls
    assert not told.counters.disabled


def test_a_hook_that_returns_endless_effects_is_dropped_before_anybody_looks_at_them(plain):
    endless = [MoneyEffect(1)] * 10**6
    told = run(lambda context: endless if context.stage == "after" else None)
    assert told.digest == plain
    assert {rejected.problem for rejected in told.rejected} == {"1000000 effects; allowed: at most 4"}


def test_a_hook_that_sleeps_past_its_budget_is_disabled_by_the_third_time(plain):
    clock = ManualClock()

    def sleepy(context):
        clock.sleep(2.0)
        return {"before": Cancel("late"), "after": [MoneyEffect(500)]}.get(context.stage)

    told = run(sleepy, clock)
    assert told.digest == plain
    assert [rejected.problem.partition(",")[2] for rejected in told.rejected] == [
        " overrun 1 of 3",
        " overrun 2 of 3",
        " overrun 3 of 3; the hook is disabled for the rest of the run",
    ]
    assert (told.counters.calls, told.counters.overruns, told.counters.disabled) == (3, 3, True)


def test_a_hook_that_forces_its_way_into_its_context_changes_nothing_but_that(plain):
    told = run(forces)
    assert told.digest == plain
    assert told.rejected == []
    assert told.counters.calls > 10


def test_a_hook_that_plays_by_the_rules_does_change_the_town(plain):
    told = run(lambda context: [MoneyEffect(500)] if context.stage == "after" else None)
    assert told.digest != plain
    assert told.rejected == []
    assert told.digest == run(lambda context: [MoneyEffect(500)] if context.stage == "after" else None).digest
