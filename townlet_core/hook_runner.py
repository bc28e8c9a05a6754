"""Calls affordance hooks without trusting them: in order, and with limits on answers and durations."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

from townlet_core.dto.hook import (
    LONGEST_REASON,
    MOST_EFFECTS,
    MOST_ITEMS,
    MOST_MONEY,
    MOST_NEED,
    MOST_RELATION,
    Cancel,
    HookContext,
    HookStage,
    InventoryEffect,
    MoneyEffect,
    NeedEffect,
    RelationEffect,
    StockEffect,
)
from townlet_core.errors import ContractError
from townlet_core.events.health import HookCounts
from townlet_core.events.plugin import PluginRejected
from townlet_core.isolation import (
    DEFAULT_BUDGET,
    Dropped,
    Isolation,
    LimitError,
    WrongTypeError,
    type_name,
)
from townlet_core.jsonvalue import JsonObject, JsonValue

_PRINTED_BELOW: Final = 2**64

HookFunction: TypeAlias = Callable[[HookContext], object]
"""One stage of a hook; ``townlet_plugins.hookspecs`` describes what it may return."""


@dataclass(frozen=True, slots=True)
class AffordanceHook:
    """One plugin's hook into the use of objects.

    Attributes:
        name: the plugin's entry-point name, which manifests use.
        stages: a function for each stage that it handles.
        digest: digest of the code, empty when none was taken; part of a snapshot's identity.
    """

    name: str
    stages: Mapping[HookStage, HookFunction]
    digest: str = ""


AnswerT = TypeVar("AnswerT")


class HookRunner:
    """The hooks of one run, in the order of its config; called from the world's thread, within a step.

    ``before``, ``after`` and ``failed`` never raise: ``take_rejections`` returns the violations of hooks. The
    world calls with the names that its manifest lists, in the order of ``active``; a hook that was disabled
    in the meantime is skipped. Effect keys are ``need:<need>``, ``stock:<item>``, ``inventory:<item>``,
    ``money`` and ``relation:<part>``; amounts are whole numbers for all but needs and relations.
    """

    def __init__(
        self,
        hooks: Sequence[AffordanceHook],
        *,
        budget_seconds: float = DEFAULT_BUDGET,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Take the hooks; none is called before ``begin``.

        Args:
            hooks: in the order in which they are called.
            budget_seconds: duration that one call may take; the answer of a longer call is discarded.
            clock: monotonic seconds.

        Raises:
            ContractError: when two hooks have the same name.
        """
        self._hooks = {hook.name: hook for hook in hooks}
        self._isolation = Isolation(self._hooks, what="hook", budget_seconds=budget_seconds, clock=clock)
        if len(self._hooks) < len(hooks):
            names = ", ".join(hook.name for hook in hooks)
            raise ContractError(f"hook names must be unique; found: {names}")

    @property
    def active(self) -> Mapping[str, frozenset[HookStage]]:
        """Name of each hook -> stages that it handles; in the order in which they are called."""
        return {hook.name: frozenset(hook.stages) for hook in self._hooks.values()}

    @property
    def digests(self) -> Mapping[str, str]:
        """Name of each hook -> digest of its code, empty when none was taken."""
        return {hook.name: hook.digest for hook in self._hooks.values()}

    def counters(self) -> Mapping[str, HookCounts]:
        """Return the counts of each hook since the run began; callable from any thread."""
        return self._isolation.counters()

    def begin(self) -> None:
        """Prepare for a run from its start: no hook is disabled, all counts are 0."""
        self._isolation.begin()

    def before(self, names: Sequence[str], context: HookContext) -> Cancel | None:
        """Call the hooks before a use is charged; the first refusal ends the calls."""
        for name in names:
            cancel = self._ask(name, context, _read_before)
            if cancel is not None:
                return cancel
        return None

    def after(self, names: Sequence[str], context: HookContext) -> Mapping[str, float]:
        """Call the hooks when a use has had its effects; returns what all hooks add, by effect key."""
        total: dict[str, float] = {}
        for name in names:
            for key, amount in self._ask(name, context, _read_after) or ():
                total[key] = total.get(key, 0) + amount
        return total

    def failed(self, names: Sequence[str], context: HookContext) -> None:
        """Call the hooks when a use failed."""
        for name in names:
            self._ask(name, context, _read_failed)

    def take_rejections(self) -> tuple[PluginRejected, ...]:
        """Return the answers discarded since the last call, in order, and forget them."""
        return self._isolation.take_rejections()

    def export_state(self) -> JsonObject:
        """Return the hooks that are disabled or had overruns; empty without any."""
        return self._isolation.export_state()

    def import_state(self, state: JsonValue) -> None:
        """Continue from an exported state.

        Raises:
            SnapshotError: when such hooks did not export the state; nothing was changed then.
        """
        self._isolation.import_state(state)

    def _ask(
        self, name: str, context: HookContext, read: Callable[[object, HookContext], AnswerT]
    ) -> AnswerT | None:
        """Call one hook; None when it is disabled or its answer was discarded."""
        function = self._hooks[name].stages.get(context.stage)
        if function is None or self._isolation.is_disabled(name):
            return None
        answer = self._isolation.call(
            name,
            lambda: function(context.addressed_to(name)),
            lambda given: read(given, context),
            f"{context.stage} {context.affordance_id}",
        )
        if not isinstance(answer, Dropped):
            return answer
        rejected = PluginRejected(
            name, context.stage, context.affordance_id, context.agent_id, answer.problem
        )
        self._isolation.reject(rejected)
        return None


def _read_before(answer: object, _context: HookContext) -> Cancel | None:
    if answer is None:
        return None
    if type(answer) is not Cancel or type(answer.reason) is not str:
        raise WrongTypeError(f"a before-hook must return None or Cancel(reason), not {type_name(answer)}")
    reason = answer.reason
    if not 0 < len(reason) <= LONGEST_REASON or not reason.isprintable():
        raise LimitError(f"a reason must have 1 to {LONGEST_REASON} printable characters")
    return Cancel(reason)


def _read_after(answer: object, context: HookContext) -> list[tuple[str, float]]:
    """Copy effects that are within the limits, so that the plugin cannot change them afterwards."""
    if answer is None:
        return []
    if type(answer) is not list and type(answer) is not tuple:
        raise WrongTypeError(f"an after-hook must return None or a list of effects, not {type_name(answer)}")
    if len(answer) > MOST_EFFECTS:
        raise LimitError(f"{len(answer)} effects; allowed: at most {MOST_EFFECTS}")
    return [_read_effect(effect, context) for effect in answer]


def _read_failed(answer: object, _context: HookContext) -> None:
    if answer is not None:
        raise WrongTypeError(f"a failed-hook must return None, not {type_name(answer)}")


def _read_effect(effect: object, context: HookContext) -> tuple[str, float]:
    # Exact types: a subclass could return one value when checked and another when used.
    if type(effect) is NeedEffect:
        _require_name("need", effect.need, context.needs)
        return _real(f"need:{effect.need}", "a NeedEffect", effect.amount, MOST_NEED)
    if type(effect) is RelationEffect:
        _require_name("relation", effect.part, dict.fromkeys(context.relations))
        return _real(f"relation:{effect.part}", "a RelationEffect", effect.amount, MOST_RELATION)
    if type(effect) is StockEffect:
        _require_name("stock", effect.item, context.stock)
        return _whole(f"stock:{effect.item}", effect.amount, MOST_ITEMS)
    if type(effect) is InventoryEffect:
        _require_name("inventory", effect.item, context.inventory)
        return _whole(f"inventory:{effect.item}", effect.amount, MOST_ITEMS)
    if type(effect) is MoneyEffect:
        return _whole("money", effect.amount, MOST_MONEY)
    known = "NeedEffect, StockEffect, InventoryEffect, MoneyEffect or RelationEffect"
    raise WrongTypeError(f"an effect is {known}, not {type_name(effect)}")


def _require_name(base: str, name: object, known: Mapping[str, object]) -> None:
    if type(name) is not str:
        raise WrongTypeError(f"the name in an effect on {base} must be text, not {type_name(name)}")
    if name not in known:
        raise LimitError(f"unknown name {base}:{name!r:.40}; known: {', '.join(known) or 'none'}")


def _real(key: str, what: str, amount: object, most: float) -> tuple[str, float]:
    if type(amount) is not float and type(amount) is not int:
        raise WrongTypeError(f"the amount of {what} must be a number, not {type_name(amount)}")
    if not -most <= amount <= most:
        raise LimitError(f"{key} {_format_amount(amount)}; allowed: -{most} to {most}")
    return key, float(amount)


def _whole(key: str, amount: object, most: int) -> tuple[str, int]:
    if type(amount) is not int:
        raise WrongTypeError(f"the amount of {key} must be a whole number, not {type_name(amount)}")
    if not -most <= amount <= most:
        raise LimitError(f"{key} {_format_amount(amount)}; allowed: -{most} to {most}")
    return key, amount


def _format_amount(amount: float) -> str:
    """Format a number, but not one of a million digits: that would take longer than any budget."""
    return repr(amount) if type(amount) is float or abs(amount) < _PRINTED_BELOW else "beyond 64 bits"
