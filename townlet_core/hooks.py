"""Asking hooks without trusting them: a budget, limits, and nobody who can hurt the town.

What a hook raises, KeyboardInterrupt excepted, stays here: that one is the operator's. A call that never
returns cannot be stopped from within the process.
"""

import logging
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
from townlet_core.errors import ContractError, SnapshotError
from townlet_core.events.health import HookCounts
from townlet_core.events.plugin import PluginRejected
from townlet_core.jsonvalue import JsonObject, JsonValue

_LOG = logging.getLogger(__name__)

MOST_OVERRUNS: Final = 3
"""The call over the budget with this number disables its hook."""
DEFAULT_BUDGET: Final = 0.05
"""Seconds that one call may take."""
_LONGEST_PROBLEM: Final = 200
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


class _Limit(Exception):  # noqa: N818 - never leaves this module, where it is a verdict and no error
    """An answer of the right type goes beyond a limit."""


class _WrongType(Exception):  # noqa: N818 - as above
    """An answer is none of those that the stage allows."""


class _Record:
    """One hook and what it did so far."""

    def __init__(self, hook: AffordanceHook) -> None:
        self.hook = hook
        self.calls = self.failures = self.overruns = 0
        self.disabled = False
        self.logged = False


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
        self._hooks = tuple(hooks)
        self._budget, self._clock = budget_seconds, clock
        self._rejected: list[PluginRejected] = []
        self._records = {hook.name: _Record(hook) for hook in self._hooks}
        if len(self._records) < len(self._hooks):
            names = ", ".join(hook.name for hook in self._hooks)
            raise ContractError(f"hooks need names of their own, not {names}")

    @property
    def active(self) -> Mapping[str, frozenset[HookStage]]:
        """Name of each hook -> stages that it answers at; in the order in which they are asked."""
        return {hook.name: frozenset(hook.stages) for hook in self._hooks}

    @property
    def digests(self) -> Mapping[str, str]:
        """Name of each hook -> digest of its code, empty where nobody took one."""
        return {hook.name: hook.digest for hook in self._hooks}

    def counters(self) -> Mapping[str, HookCounts]:
        """Tell what each hook did since the run began; from any thread."""
        return {
            name: HookCounts(each.calls, each.failures, each.overruns, each.disabled)
            for name, each in self._records.items()
        }

    def begin(self) -> None:
        """Prepare for a run from its start: nobody is disabled, all counts are 0."""
        self._records = {hook.name: _Record(hook) for hook in self._hooks}
        self._rejected.clear()

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
        taken = tuple(self._rejected)
        self._rejected.clear()
        return taken

    def export_state(self) -> JsonObject:
        """Tell who is disabled or on the way to it; empty while everybody behaves."""
        state: dict[str, JsonValue] = {}
        for name, each in self._records.items():
            if each.disabled or each.overruns:
                state[name] = {"disabled": each.disabled, "overruns": each.overruns}
        return state

    def import_state(self, state: JsonValue) -> None:
        """Continue from an exported state.

        Raises:
            SnapshotError: when it was not exported by such hooks; nothing was changed then.
        """
        found: list[tuple[str, bool, int]] = []
        for name, each in state.items() if isinstance(state, Mapping) else [("", None)]:
            match each:
                case {"disabled": bool(disabled), "overruns": int(overruns)} if name in self._records:
                    found.append((name, disabled, overruns))
                case _:
                    raise SnapshotError("snapshot_corrupt", f"the state of the hooks is damaged at '{name}'")
        self.begin()
        for name, disabled, overruns in found:
            self._records[name].disabled, self._records[name].overruns = disabled, overruns

    def _ask(
        self, name: str, context: HookContext, read: Callable[[object, HookContext], AnswerT]
    ) -> AnswerT | None:
        """Call one hook; None when it is disabled or its answer was dropped."""
        record = self._records[name]
        function = record.hook.stages.get(context.stage)
        if record.disabled or function is None:
            return None
        record.calls += 1
        answer: AnswerT | None = None
        started = self._clock()
        try:
            given = function(context.addressed_to(name))
            took = self._clock() - started
            answer = read(given, context)
        except KeyboardInterrupt:
            raise
        except _Limit as limit:
            record.failures += 1
            self._reject(record, context, _describe(limit))
        except BaseException as error:  # noqa: BLE001 - SystemExit too: whatever a hook does, the town goes on
            record.failures += 1
            self._reject(record, context, _describe(error), disable=True)
        else:
            if took <= self._budget:
                return answer
            record.overruns += 1
            problem = (
                f"took {took * 1000:.0f} ms; the budget is {self._budget * 1000:.0f} ms, "
                f"overrun {record.overruns} of {MOST_OVERRUNS}"
            )
            self._reject(record, context, problem, disable=record.overruns >= MOST_OVERRUNS)
        return None

    def _reject(self, record: _Record, context: HookContext, problem: str, *, disable: bool = False) -> None:
        """Tell what was dropped; the first time and the last one also in the log."""
        if disable:
            record.disabled = True
            problem += "; the hook is disabled for the rest of the run"
        if disable or not record.logged:
            _LOG.warning(
                "the hook '%s' (%s %s): %s", record.hook.name, context.stage, context.affordance_id, problem
            )
        record.logged = True
        rejected = PluginRejected(
            record.hook.name, context.stage, context.affordance_id, context.agent_id, problem
        )
        self._rejected.append(rejected)


def _read_before(answer: object, _context: HookContext) -> Cancel | None:
    if answer is None:
        return None
    if type(answer) is not Cancel or type(answer.reason) is not str:
        raise _WrongType(f"a before-hook answers None or Cancel(reason), not {_type_name(answer)}")
    reason = answer.reason
    if not 0 < len(reason) <= LONGEST_REASON or not reason.isprintable():
        raise _Limit(f"a reason has 1 to {LONGEST_REASON} printable characters")
    return Cancel(reason)


def _read_after(answer: object, context: HookContext) -> list[tuple[str, float]]:
    """Copy effects that are within the limits, so that nobody can change them afterwards."""
    if answer is None:
        return []
    if type(answer) is not list and type(answer) is not tuple:
        raise _WrongType(f"an after-hook answers None or a list of effects, not {_type_name(answer)}")
    if len(answer) > MOST_EFFECTS:
        raise _Limit(f"{len(answer)} effects; allowed: at most {MOST_EFFECTS}")
    return [_read_effect(effect, context) for effect in answer]


def _read_failed(answer: object, _context: HookContext) -> None:
    if answer is not None:
        raise _WrongType(f"a failed-hook answers None, not {_type_name(answer)}")


def _read_effect(effect: object, context: HookContext) -> tuple[str, float]:
    # Exact types: a subclass could say one thing when it is checked and another when it is used.
    if type(effect) is NeedEffect:
        _require_name("need", effect.need, context.needs)
        if type(effect.amount) is not float and type(effect.amount) is not int:
            raise _WrongType(f"the amount of a NeedEffect is a number, not {_type_name(effect.amount)}")
        if not -MOST_NEED <= effect.amount <= MOST_NEED:
            found = _spell(effect.amount)
            raise _Limit(f"need:{effect.need} {found}; allowed: -{MOST_NEED} to {MOST_NEED}")
        return f"need:{effect.need}", float(effect.amount)
    if type(effect) is StockEffect:
        _require_name("stock", effect.item, context.stock)
        return _whole(f"stock:{effect.item}", effect.amount, MOST_ITEMS)
    if type(effect) is InventoryEffect:
        _require_name("inventory", effect.item, context.inventory)
        return _whole(f"inventory:{effect.item}", effect.amount, MOST_ITEMS)
    if type(effect) is MoneyEffect:
        return _whole("money", effect.amount, MOST_MONEY)
    raise _WrongType(
        f"an effect is a NeedEffect, StockEffect, InventoryEffect or MoneyEffect, not {_type_name(effect)}"
    )


def _require_name(base: str, name: object, known: Mapping[str, object]) -> None:
    if type(name) is not str:
        raise _WrongType(f"the name in an effect on {base} is text, not {_type_name(name)}")
    if name not in known:
        raise _Limit(f"{base}:{name!r:.40}; there is: {', '.join(known) or 'nothing'}")


def _whole(key: str, amount: object, most: int) -> tuple[str, int]:
    if type(amount) is not int:
        raise _WrongType(f"the amount of {key} is a whole number, not {_type_name(amount)}")
    if not -most <= amount <= most:
        raise _Limit(f"{key} {_spell(amount)}; allowed: -{most} to {most}")
    return key, amount


def _spell(amount: float) -> str:
    """Spell a number, but not one of a million digits: that would take longer than any budget."""
    return repr(amount) if type(amount) is float or abs(amount) < _SPELT_BELOW else "beyond 64 bits"


def _describe(error: BaseException) -> str:
    """Say what was raised; the text is the hook's own, and may itself raise, lie or be endless."""
    if type(error) is _WrongType or type(error) is _Limit:
        return str(error)
    try:
        text = str(error)
        text = text if type(text) is str else ""
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - as when the hook was asked
        text = ""
    text = "".join(each if each.isprintable() else " " for each in text[:_LONGEST_PROBLEM])
    return f"{_type_name(error)}: {text}" if text else _type_name(error)


def _type_name(value: object) -> str:
    # By the descriptor of ``type`` itself: a metaclass can say anything.
    name: str = type.__dict__["__name__"].__get__(type(value))
    return "".join(each if each.isprintable() else " " for each in name[:_LONGEST_PROBLEM])
