"""The contract of an affordance hook."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, cast

from townlet_core import seeding
from townlet_core.dto.hook import STAGES, Cancel, HookContext, HookStage
from townlet_core.dto.spec import TICKS_PER_DAY
from townlet_core.errors import ContractError
from townlet_core.hook_runner import AffordanceHook, HookFunction, HookRunner
from townlet_core.isolation import DEFAULT_BUDGET
from townlet_core.testing.contracts.arrays import require
from townlet_core.testing.fakes import FAKE_NEEDS

MADE_UP_ITEMS: Final = ("tea", "wood")
MADE_UP_VALUES: Final = ("coins",)
"""Items of made-up contexts, unless others are given."""
_USES: Final[tuple[tuple[str, str, str], ...]] = (
    ("spring", "sip_tea", "camp_1"),
    ("fire", "warm_up", "camp_2"),
    ("trunk", "sit_down", "camp_1"),
    ("stall", "buy_tea", "market"),
    ("hill", "look_around", "meadow"),
)
_PROFILES: Final = ("calm", "eager", "friendly", "shy")
_REASONS: Final = ("left", "utility_lost", "interrupted", "insufficient_funds", "hook_cancelled")


def hook_of(name: str, plugin: object) -> AffordanceHook:
    """Collect the hook functions of a plugin's module, as the catalogue does.

    Args:
        name: the entry point's name.
        plugin: the module, or another object with functions called ``townlet_affordance_<stage>``.
    """
    names = {stage: f"townlet_affordance_{stage}" for stage in STAGES}
    found = {
        stage: cast("HookFunction", getattr(plugin, called))
        for stage, called in names.items()
        if hasattr(plugin, called)
    }
    return AffordanceHook(name, found)


def hook_contexts(
    count: int = 60,
    *,
    needs: Sequence[str] = FAKE_NEEDS,
    items: Sequence[str] = MADE_UP_ITEMS,
    values: Sequence[str] = MADE_UP_VALUES,
) -> tuple[HookContext, ...]:
    """Return made-up uses of many kinds, always the same ones; change fields with ``dataclasses.replace``.

    Args:
        count: number of uses.
        needs: names of the residents' needs: those of the world that the hook is for.
        items: names of what residents carry and objects hold; every other use is of an object that holds one.
        values: names of the numbers that the world has for each resident; every fourth resident has zeros.
    """
    return tuple(_context(number, needs, items, values) for number in range(count))


def check_hooks(
    make_hook: Callable[[], AffordanceHook],
    contexts: Iterable[HookContext] | None = None,
    *,
    budget_seconds: float = DEFAULT_BUDGET,
) -> None:
    """Check that a hook keeps its contract: pure, within limits and budget.

    Every stage of it is called with every context: by a second hook, again by the same one, and in the
    opposite order. All answers must be equal.

    Args:
        make_hook: builds a fresh hook; all of them must be equal.
        contexts: the contexts to call the hook with; by default those of ``hook_contexts``.
        budget_seconds: duration that one call may take; the fastest of a context's calls counts.

    Raises:
        ContractError: when it does not.
    """
    hook = make_hook()
    require(hook.name, "the hook has no name; set it to the name of its entry point")
    require(hook.stages, f"'{hook.name}' handles no stage")
    for stage in hook.stages:
        require(stage in STAGES, f"'{hook.name}' handles '{stage}'; known stages: {', '.join(STAGES)}")
    every = tuple(hook_contexts() if contexts is None else contexts)
    require(every, "there are no contexts: give at least one")
    # Half of the uses are called stage by stage in one order, half in the other: state that one stage keeps
    # for another shows when all are called again.
    stages, half = tuple(hook.stages), len(every) // 2
    asked = [_at(stage, each) for stage in stages for each in every[:half]]
    asked += [_at(stage, each) for stage in reversed(stages) for each in every[half:]]
    first, other = ({stage: _Trial(each, stage) for stage in stages} for each in (hook, make_hook()))
    expected = [first[each.stage].answer(each) for each in asked]
    again = [other[each.stage].answer(each) for each in asked]
    _compare(asked, expected, again, "a second equal hook")
    again = [first[each.stage].answer(each) for each in asked]
    _compare(asked, expected, again, "the same hook called again")
    backwards = [first[each.stage].answer(each) for each in reversed(asked)]
    _compare(asked, expected, backwards[::-1], "the same hook called in another order")
    for context in asked:
        fastest = min(trials[context.stage].seconds(context) for trials in (first, other))
        require(
            fastest <= budget_seconds,
            f"{_where(context)}: took {fastest * 1000:.0f} ms of {budget_seconds * 1000:.0f}",
        )


class _Trial:
    """One hook, called under observation."""

    def __init__(self, hook: AffordanceHook, stage: HookStage) -> None:
        self._hook, self._stage = hook, stage
        self._seconds: dict[int, float] = {}

    def answer(self, context: HookContext) -> Cancel | Mapping[str, float] | None:
        """Call the hook with a context and refuse an answer that a run would discard."""
        seen: list[HookContext] = []
        function = self._hook.stages[self._stage]

        def watched(shown: HookContext) -> object:
            seen.append(shown)
            return function(shown)

        # An infinite budget: calls are timed here, and the fastest counts.
        runner = HookRunner(
            (replace(self._hook, stages={self._stage: watched}),), budget_seconds=float("inf")
        )
        runner.begin()
        started = time.perf_counter()
        answer = _ask(runner, self._stage, (self._hook.name,), context)
        took = time.perf_counter() - started
        self._seconds[id(context)] = min(took, self._seconds.get(id(context), took))
        for rejected in runner.take_rejections():
            raise ContractError(f"{_where(context)}: {rejected.problem}")
        require(
            seen == [context.addressed_to(self._hook.name)],
            f"{_where(context)}: the hook changed its context; a context is read-only",
        )
        return answer

    def seconds(self, context: HookContext) -> float:
        """Return the duration of the fastest of a context's calls."""
        return self._seconds[id(context)]


def _ask(
    runner: HookRunner, stage: HookStage, names: Sequence[str], context: HookContext
) -> Cancel | Mapping[str, float] | None:
    if stage == "before":
        return runner.before(names, context)
    if stage == "after":
        return runner.after(names, context)
    runner.failed(names, context)
    return None


def _compare(
    asked: Sequence[HookContext], expected: Sequence[object], found: Sequence[object], other: str
) -> None:
    for context, left, right in zip(asked, expected, found, strict=True):
        require(
            left == right,
            f"{_where(context)}: the answer was {left}, but {other} returned {right}; a hook is a pure "
            "function of its context, and its random draws come from the context",
        )


def _where(context: HookContext) -> str:
    return f"{context.stage} of {context.affordance_id} by {context.agent_id} at tick {context.tick}"


def _at(stage: HookStage, context: HookContext) -> HookContext:
    """Return a context for a stage."""
    reason = (context.reason or _REASONS[context.serial % len(_REASONS)]) if stage == "failed" else None
    return replace(context, stage=stage, reason=reason)


def _context(number: int, needs: Sequence[str], items: Sequence[str], values: Sequence[str]) -> HookContext:
    def some(most: int, index: int) -> int:
        return seeding.integer(0, most, 7, seeding.WORLD, number, 0, index)

    object_type, affordance, place = _USES[number % len(_USES)]
    tick = some(10 * TICKS_PER_DAY, 0)
    return HookContext(
        stage="after",
        hook="",
        tick=tick,
        day=tick // TICKS_PER_DAY,
        tod=tick % TICKS_PER_DAY,
        agent_id=f"a{number:05d}",
        serial=number,
        needs={need: some(1000, 100 + k) / 1000 for k, need in enumerate(needs)},
        values={name: some(6000, 300 + k) if number % 4 else 0 for k, name in enumerate(values)},
        inventory={item: some(4, 200 + k) for k, item in enumerate(items)},
        position=(some(47, 7), some(47, 8)),
        profile=_PROFILES[some(3, 9)],
        object_id=f"{object_type}_1",
        object_type=object_type,
        place_id=place,
        stock={items[number // 2 % len(items)]: some(12, 10)} if items and number % 2 else {},
        affordance_id=affordance,
        duration=15,
        paid=400 * (number % 2),
        reason=None,
        seed=7,
    )
