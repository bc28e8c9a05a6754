"""Asking hooks without trusting them: in order, with limits, and nobody who can hurt the town."""

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
    Cancel,
    HookContext,
    HookStage,
    InventoryEffect,
    MoneyEffect,
    NeedEffect,
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

_SPELT_BELOW: Final = 2**64

HookFunction: TypeAlias = Callable[[HookContext], object]
"""One stage of a hook; what it should return stands in ``townlet_plugins.hookspecs``."""


@dataclass(frozen=True, slots=True)
class AffordanceHook:
    """What one plugin answers when objects are used.

    Attributes:
        name: the plugin's entry-point name, which manifests use.
        stages: a function for each stage that it answers at.
        digest: digest of the code, empty when nobody took one; part of a snapshot's identity.
    """

    name: str
    stages: Mapping[HookStage, HookFunction]
    digest: str = ""


AnswerT = TypeVar("AnswerT")


class HookRunner:
    """The hooks of one run, in the order of its config (``AffordanceHooks``)."""

    def __init__(
        self,
        hooks: Sequence[AffordanceHook],
        *,
        budget_seconds: float = DEFAULT_BUDGET,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Take the hooks; none is asked before ``begin``.

        Args:
            hooks: in the order in which they are asked.
            budget_seconds: what one call may take; the answer of a longer one is dropped.
            clock: seconds that never go back.

        Raises:
            ContractError: when two hooks have one name.
        """
        self._hooks = {hook.name: hook for hook in hooks}
        self._isolation = Isolation(self._hooks, what="hook", budget_seconds=budget_seconds, clock=clock)
        if len(self._hooks) < len(hooks):
            names = ", ".join(hook.name for hook in hooks)
            raise ContractError(f"hooks need names of their own, not {names}")

    @property
    def active(self) -> Mapping[str, frozenset[HookStage]]:
        """Name of each hook -> stages that it answers at; in the order in which they are asked."""
        return {hook.name: frozenset(hook.stages) for hook in self._hooks.values()}

    @property
    def digests(self) -> Mapping[str, str]:
        """Name of each hook -> digest of its code, empty where nobody took one."""
        return {hook.name: hook.digest for hook in self._hooks.values()}

    def counters(self) -> Mapping[str, HookCounts]:
        """Tell what each hook did since the run began; from any thread."""
        return self._isolation.counters()

    def begin(self) -> None:
        """Prepare for a run from its start: nobody is disabled, all counts are 0."""
        self._isolation.begin()

    def before(self, names: Sequence[str], context: HookContext) -> Cancel | None:
        """Ask before a use is charged; the first refusal ends the asking."""
        for name in names:
            cancel = self._ask(name, context, _read_before)
            if cancel is not None:
                return cancel
        return None

    def after(self, names: Sequence[str], context: HookContext) -> Mapping[str, float]:
        """Ask when a use has had its effects; what all hooks add, by effect key."""
        total: dict[str, float] = {}
        for name in names:
            for key, amount in self._ask(name, context, _read_after) or ():
                total[key] = total.get(key, 0) + amount
        return total

    def failed(self, names: Sequence[str], context: HookContext) -> None:
        """Tell that a use failed."""
        for name in names:
            self._ask(name, context, _read_failed)

    def take_rejections(self) -> tuple[PluginRejected, ...]:
        """Hand over what was dropped since the last time, in order."""
        return self._isolation.take_rejections()

    def export_state(self) -> JsonObject:
        """Tell who is disabled or on the way to it; empty while everybody behaves."""
        return self._isolation.export_state()

    def import_state(self, state: JsonValue) -> None:
        """Continue from an exported state.

        Raises:
            SnapshotError: when it was not exported by such hooks; nothing was changed then.
        """
        self._isolation.import_state(state)

    def _ask(
        self, name: str, context: HookContext, read: Callable[[object, HookContext], AnswerT]
    ) -> AnswerT | None:
        """Call one hook; None when it is disabled or its answer was dropped."""
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
        raise WrongTypeError(f"a before-hook answers None or Cancel(reason), not {type_name(answer)}")
    reason = answer.reason
    if not 0 < len(reason) <= LONGEST_REASON or not reason.isprintable():
        raise LimitError(f"a reason has 1 to {LONGEST_REASON} printable characters")
    return Cancel(reason)


def _read_after(answer: object, context: HookContext) -> list[tuple[str, float]]:
    """Copy effects that are within the limits, so that nobody can change them afterwards."""
    if answer is None:
        return []
    if type(answer) is not list and type(answer) is not tuple:
        raise WrongTypeError(f"an after-hook answers None or a list of effects, not {type_name(answer)}")
    if len(answer) > MOST_EFFECTS:
        raise LimitError(f"{len(answer)} effects; allowed: at most {MOST_EFFECTS}")
    return [_read_effect(effect, context) for effect in answer]


def _read_failed(answer: object, _context: HookContext) -> None:
    if answer is not None:
        raise WrongTypeError(f"a failed-hook answers None, not {type_name(answer)}")


def _read_effect(effect: object, context: HookContext) -> tuple[str, float]:
    # Exact types: a subclass could say one thing when it is checked and another when it is used.
    if type(effect) is NeedEffect:
        _require_name("need", effect.need, context.needs)
        if type(effect.amount) is not float and type(effect.amount) is not int:
            raise WrongTypeError(f"the amount of a NeedEffect is a number, not {type_name(effect.amount)}")
        if not -MOST_NEED <= effect.amount <= MOST_NEED:
            found = _spell(effect.amount)
            raise LimitError(f"need:{effect.need} {found}; allowed: -{MOST_NEED} to {MOST_NEED}")
        return f"need:{effect.need}", float(effect.amount)
    if type(effect) is StockEffect:
        _require_name("stock", effect.item, context.stock)
        return _whole(f"stock:{effect.item}", effect.amount, MOST_ITEMS)
    if type(effect) is InventoryEffect:
        _require_name("inventory", effect.item, context.inventory)
        return _whole(f"inventory:{effect.item}", effect.amount, MOST_ITEMS)
    if type(effect) is MoneyEffect:
        return _whole("money", effect.amount, MOST_MONEY)
    raise WrongTypeError(
        f"an effect is a NeedEffect, StockEffect, InventoryEffect or MoneyEffect, not {type_name(effect)}"
    )


def _require_name(base: str, name: object, known: Mapping[str, object]) -> None:
    if type(name) is not str:
        raise WrongTypeError(f"the name in an effect on {base} is text, not {type_name(name)}")
    if name not in known:
        raise LimitError(f"{base}:{name!r:.40}; there is: {', '.join(known) or 'nothing'}")


def _whole(key: str, amount: object, most: int) -> tuple[str, int]:
    if type(amount) is not int:
        raise WrongTypeError(f"the amount of {key} is a whole number, not {type_name(amount)}")
    if not -most <= amount <= most:
        raise LimitError(f"{key} {_spell(amount)}; allowed: -{most} to {most}")
    return key, amount


def _spell(amount: float) -> str:
    """Spell a number, but not one of a million digits: that would take longer than any budget."""
    return repr(amount) if type(amount) is float or abs(amount) < _SPELT_BELOW else "beyond 64 bits"
