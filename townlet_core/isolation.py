"""Calls plugin code within a budget, counts its failures, and disables it when it breaks the rules.

Every exception of plugin code is caught here, except KeyboardInterrupt, which comes from the operator. A call
that never returns cannot be stopped from within the process.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from townlet_core.errors import SnapshotError
from townlet_core.events.health import HookCounts
from townlet_core.events.plugin import PluginRejected
from townlet_core.jsonvalue import JsonObject, JsonValue

_LOG = logging.getLogger(__name__)

MOST_OVERRUNS: Final = 3
"""The number of calls over the budget after which a function is disabled."""
DEFAULT_BUDGET: Final = 0.05
"""Seconds that one call may take."""
_LONGEST_PROBLEM: Final = 200

AnswerT = TypeVar("AnswerT")


class LimitError(Exception):
    """An answer of the right type exceeds a limit. Raised by the reader of an answer, caught in ``call``."""


class WrongTypeError(Exception):
    """An answer has a type that is not allowed. Raised and caught like ``LimitError``."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """The answer is missing or invalid.

    Attributes:
        problem: the reason; the text may differ from run to run.
    """

    problem: str


class _Record:
    """The counts of one function."""

    def __init__(self) -> None:
        self.calls = self.failures = self.overruns = 0
        self.disabled = False
        self.logged = False


class Isolation:
    """The plugin functions that one run may call, by name; for one thread, except ``counters``."""

    def __init__(
        self,
        names: Iterable[str],
        *,
        what: str,
        budget_seconds: float = DEFAULT_BUDGET,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Start with all counts at 0.

        Args:
            names: names of the functions, in order.
            what: what each of them is, for messages: ``hook``, ``command``.
            budget_seconds: duration that one call may take; the answer of a longer call is discarded.
            clock: monotonic seconds.
        """
        self._what, self._budget, self._clock = what, budget_seconds, clock
        self._records = {name: _Record() for name in names}
        self._rejected: list[PluginRejected] = []

    def counters(self) -> Mapping[str, HookCounts]:
        """Return the counts of each function since the run began; callable from any thread."""
        return {
            name: HookCounts(each.calls, each.failures, each.overruns, each.disabled)
            for name, each in self._records.items()
        }

    def begin(self) -> None:
        """Prepare for a run from its start: no function is disabled, all counts are 0, no rejection waits."""
        self._records = {name: _Record() for name in self._records}
        self._rejected.clear()

    def is_disabled(self, name: str) -> bool:
        """Return whether a function is not to be called any more."""
        return self._records[name].disabled

    def call(
        self,
        name: str,
        function: Callable[[], object],
        read: Callable[[object], AnswerT],
        where: str,
        *,
        timed: bool = True,
    ) -> AnswerT | Dropped:
        """Call a function that is not disabled, and read its answer.

        Args:
            name: name of the function.
            function: calls it.
            read: checks and copies the answer; raises ``LimitError`` or ``WrongTypeError``.
            where: the occasion of the call, for the log.
            timed: whether the budget applies.
        """
        record = self._records[name]
        record.calls += 1
        started = self._clock()
        try:
            given = function()
            took = self._clock() - started
            if took <= self._budget or not timed:
                return read(given)
        except KeyboardInterrupt:
            raise
        except LimitError as limit:
            record.failures += 1
            return self._drop(name, where, describe(limit))
        except BaseException as error:  # noqa: BLE001 - SystemExit too: no exception of a plugin ends the run
            record.failures += 1
            return self._drop(name, where, describe(error), disable=True)
        record.overruns += 1
        problem = (
            f"took {took * 1000:.0f} ms; the budget is {self._budget * 1000:.0f} ms, "
            f"overrun {record.overruns} of {MOST_OVERRUNS}"
        )
        return self._drop(name, where, problem, disable=record.overruns >= MOST_OVERRUNS)

    def reject(self, rejected: PluginRejected) -> None:
        """Keep a diagnostic about a discarded answer for ``take_rejections``."""
        self._rejected.append(rejected)

    def take_rejections(self) -> tuple[PluginRejected, ...]:
        """Return the answers discarded since the last call, in order, and forget them."""
        taken = tuple(self._rejected)
        self._rejected.clear()
        return taken

    def export_state(self) -> JsonObject:
        """Return the functions that are disabled or had overruns; empty without any."""
        state: dict[str, JsonValue] = {}
        for name, each in self._records.items():
            if each.disabled or each.overruns:
                state[name] = {"disabled": each.disabled, "overruns": each.overruns}
        return state

    def import_state(self, state: JsonValue) -> None:
        """Continue from an exported state.

        Raises:
            SnapshotError: when such functions did not export the state; nothing was changed then.
        """
        found: list[tuple[str, bool, int]] = []
        for name, each in state.items() if isinstance(state, Mapping) else [("", None)]:
            match each:
                case {"disabled": bool(disabled), "overruns": int(overruns)} if name in self._records:
                    found.append((name, disabled, overruns))
                case _:
                    raise SnapshotError(
                        "snapshot_corrupt", f"the state of the {self._what}s is damaged at '{name}'"
                    )
        self.begin()
        for name, disabled, overruns in found:
            self._records[name].disabled, self._records[name].overruns = disabled, overruns

    def _drop(self, name: str, where: str, problem: str, *, disable: bool = False) -> Dropped:
        """Discard an answer; the first time and the disabling are also logged."""
        record = self._records[name]
        if disable:
            record.disabled = True
            problem += f"; the {self._what} is disabled for the rest of the run"
        if disable or not record.logged:
            _LOG.warning("the %s '%s' (%s): %s", self._what, name, where, problem)
        record.logged = True
        return Dropped(problem)


def describe(error: BaseException) -> str:
    """Describe an exception; its text comes from the plugin and may itself raise, lie or be endless."""
    if type(error) is WrongTypeError or type(error) is LimitError:
        return str(error)
    try:
        text = str(error)
        text = text if type(text) is str else ""
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - as when the function was called
        text = ""
    text = "".join(each if each.isprintable() else " " for each in text[:_LONGEST_PROBLEM])
    return f"{type_name(error)}: {text}" if text else type_name(error)


def type_name(value: object) -> str:
    """Return the name of the type of a value from a plugin."""
    # By the descriptor of ``type`` itself: a metaclass can return any name.
    name: str = type.__dict__["__name__"].__get__(type(value))
    return "".join(each if each.isprintable() else " " for each in name[:_LONGEST_PROBLEM])
