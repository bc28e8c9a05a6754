"""Runs a town and the model side by side, with the intents of the scripted policy or with random ones."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tests.model import actions as model_actions
from tests.model import frames, observations, rewards, summaries, tick, view
from tests.model.cases import HOOKS
from tests.model.compare import Difference, compare, count, plain
from townlet_adapters.documents import Document
from townlet_adapters.validation import validate
from townlet_adapters.worlds.town import TownModel, TownOptions, TownWorld, codes
from townlet_adapters.worlds.town.inputs.plan import load_town
from townlet_adapters.worlds.town.seam.arguments import Intervention
from townlet_core.dto.action import ActionBatch, PolicyContext
from townlet_core.dto.command import Command, CommandResult
from townlet_core.dto.hook import (
    Cancel,
    HookContext,
    InventoryEffect,
    MoneyEffect,
    NeedEffect,
    RelationEffect,
    StockEffect,
)
from townlet_core.dto.outcome import StepOutcome
from townlet_core.hook_runner import AffordanceHook, HookRunner
from townlet_core.testing import ManualClock
from townlet_plugins.access import Access


class Wishes(NamedTuple):
    """What residents want in a tick, and what is done to the town before."""

    actions: list[int]
    targets: list[int]
    context: tuple[list[int], list[int], list[int]] | None
    """option, goal and commitment of each slot"""
    interventions: tuple[tuple[Any, ...], ...] = ()
    commands: tuple[Command, ...] = ()


class HookAnswers:
    """What the hooks of ``cases.HOOKS`` answer, and the contexts with which they were asked.

    Attributes:
        runner: asks them for a town.
    """

    def __init__(self) -> None:
        self._contexts: list[Any] = []
        stages = dict.fromkeys(("before", "after", "failed"), self._answer)
        self.runner = HookRunner([AffordanceHook(name, stages) for name in HOOKS], clock=ManualClock())

    def ask(self, context: dict[str, Any]) -> Any:
        """Ask for the model: a reason, effects by key, or nothing."""
        answer = self._answer(HookContext(**context))
        if isinstance(answer, list):
            return {key_of(effect): effect.amount for effect in answer}
        return answer.reason if isinstance(answer, Cancel) else None

    def taken(self) -> list[Any]:
        """The contexts since the last call."""
        taken, self._contexts = self._contexts, []
        return taken

    def _answer(self, context: HookContext) -> Cancel | list[Any] | None:
        self._contexts.append(plain(context))
        if context.stage == "before":
            return Cancel("not today") if context.integer(0, 4, 0) == 0 else None
        return draw_effects(context) if context.stage == "after" else None


def draw_effects(context: HookContext) -> list[Any] | None:
    """Effects of each kind, or none."""
    if context.integer(0, 2, 1) == 0:
        return None
    need = sorted(context.needs)[context.integer(0, len(context.needs) - 1, 2)]
    item = sorted(context.inventory)[context.integer(0, len(context.inventory) - 1, 3)]
    if context.integer(0, 2, 8) == 0:
        return [
            RelationEffect(part, context.integer(-2, 2, 9 + k) / 10)
            for k, part in enumerate(context.relations)
        ]
    effects: list[Any] = [NeedEffect(need, context.integer(-2, 2, 4) / 10)]
    effects += [MoneyEffect(context.integer(-500, 500, 5)), InventoryEffect(item, context.integer(-2, 2, 6))]
    return effects + [StockEffect(each, context.integer(-2, 2, 7)) for each in context.stock]


def key_of(effect: Any) -> str:
    """The key of an effect."""
    match effect:
        case NeedEffect():
            return f"need:{effect.need}"
        case StockEffect():
            return f"stock:{effect.item}"
        case InventoryEffect():
            return f"inventory:{effect.item}"
        case RelationEffect():
            return f"relation:{effect.part}"
        case _:
            return "money"


class Case:
    """A town to run, compiled, and loaded once more for the model.

    Attributes:
        options: its options.
        compiled: the town as the engine has it.
        plan: the town as the model has it: what was loaded, before anything was compiled.
    """

    def __init__(self, options: Mapping[str, Any], folder: Path = Path()) -> None:
        self.options = validate(Document(dict(options), "case.yaml"), TownOptions)
        self.compiled = TownModel.build(self.options, Access(folder), HookAnswers().runner)
        self.plan = load_town(self.options, Access(folder), HookAnswers().runner.active)


class Pair:
    """A town and its model, executing the same ticks."""

    def __init__(self, case: Case, seed: int) -> None:
        self.spec = case.compiled.spec
        self._of_town, self._of_model = HookAnswers(), HookAnswers()
        self._compiled = case.compiled
        self.world = TownWorld(case.compiled, self._of_town.runner)
        self.observation = self.world.reset(seed)
        self.plan = case.plan
        self.model = tick.found(case.plan, case.options, seed, self._of_model.ask)
        self.option_names = [each.name for each in self.spec.options]
        constants = self.observation.view.constants
        self._names = view.Values(tuple(constants["resident_values"]), tuple(constants["object_values"]))
        self.compared = 0
        self.seen: Counter[str] = Counter()
        """how often each kind of fact, with its reason or status, each failed result and each answer was
        compared"""

    def resume(self) -> None:
        """Continue the town in another world, from a snapshot."""
        saved = self.world.snapshot()
        self.world = TownWorld(self._compiled, self._of_town.runner)
        self.observation = self.world.restore(saved)

    def step(self, wishes: Wishes) -> Difference | None:
        """Execute a tick in both, and compare."""
        for each in wishes.interventions:
            self._intervene(*each)
        outcome = self.world.step(self._batch(wishes), wishes.commands)
        self.observation = outcome.observation
        executed = self.model.tick
        mask = np.asarray(outcome.observation.mask)
        frame, summary = self.world.frame(), outcome.summary
        answers = self.world.engine.answers[: len(wishes.interventions)].tolist()
        actual = {
            "answers": [ANSWERS[each] for each in answers],
            "commands": [answer(each) for each in outcome.command_results],
            "hooks": self._of_town.taken(),
            "facts": plain(outcome.events),
            **{part: getattr(frame, part) for part in PARTS},
            "mask": {name: mask[each["slot"]].astype(bool).tolist() for name, each in frame.agents.items()},
            "features": self._features(frame.agents),
            "map": self._maps(frame.agents),
            "view": self._view(frame.agents),
            "summary": plain(summary),
            "reward_parts": self._rewards(outcome, frame.agents),
            "left": self._left(outcome),
            "blank": self._blank(outcome),
        }
        predicted = self._predict(wishes)
        self.seen.update(kind_of(each) for each in actual["facts"])
        self.seen.update(summary.failures)
        self.seen.update(actual["answers"])
        self.seen.update(f"{each['name']} {code_of(each)}" for each in actual["commands"])
        self.compared += sum(map(count, actual.values()))
        return compare(executed, actual, predicted)

    def _features(self, agents: Mapping[str, Any]) -> dict[str, Any]:
        rows = np.asarray(self.observation.features)
        names = self.spec.feature_names
        return {
            name: dict(zip(names, rows[each["slot"]].tolist(), strict=True)) for name, each in agents.items()
        }

    def _rewards(self, outcome: StepOutcome, agents: Mapping[str, Any]) -> dict[str, Any]:
        rows, totals = np.asarray(outcome.reward_parts), np.asarray(outcome.reward)
        assert (totals == rows[:, -1].astype(np.float32)).all()
        names = self.spec.reward_parts
        return {
            name: dict(zip(names, rows[each["slot"]].tolist(), strict=True)) for name, each in agents.items()
        }

    def _left(self, outcome: StepOutcome) -> dict[int, dict[str, Any]]:
        """The last observations of those who left in this tick, by slot."""
        seen, totals = outcome.observation, np.asarray(outcome.reward_parts)
        ended, cut = np.asarray(outcome.terminated), np.asarray(outcome.truncated)
        return {
            slot: {
                "serial": int(seen.serial[slot]),
                "alive": int(seen.alive[slot]),
                "terminated": int(ended[slot]),
                "truncated": int(cut[slot]),
                "mask": np.asarray(seen.mask)[slot].tolist(),
                "features": dict(
                    zip(self.spec.feature_names, np.asarray(seen.features)[slot].tolist(), strict=True)
                ),
                "map": np.asarray(seen.map)[slot].tobytes(),
                "reward_parts": dict(zip(self.spec.reward_parts, totals[slot].tolist(), strict=True)),
            }
            for slot in np.flatnonzero(ended | cut).tolist()
        }

    def _blank(self, outcome: StepOutcome) -> list[int]:
        """The dead slots whose rows are zero but for the action ``wait``."""
        seen = outcome.observation
        gone = np.asarray(outcome.terminated) | np.asarray(outcome.truncated)
        dead = np.flatnonzero((np.asarray(seen.alive) == 0) & (gone == 0)).tolist()
        rows = [np.asarray(each) for each in (seen.features, seen.map, outcome.reward_parts)]
        mask, serial = np.asarray(seen.mask), np.asarray(seen.serial)
        waits = [mask[slot, 0] == 1 and not mask[slot, 1:].any() and serial[slot] == 0 for slot in dead]
        return [
            slot
            for slot, waiting in zip(dead, waits, strict=True)
            if waiting and not any(row[slot].any() for row in rows)
        ]

    def _maps(self, agents: Mapping[str, Any]) -> dict[str, bytes]:
        maps = np.asarray(self.observation.map)
        return {name: maps[each["slot"]].tobytes() for name, each in agents.items()}

    def _view(self, agents: Mapping[str, Any]) -> dict[str, Any]:
        """The columns that the model knows, by resident and object; lists end where -1 begins."""
        columns, known = self.observation.view.columns, self._names
        rows = {column: np.asarray(columns[column]).tolist() for column in view.COLUMNS}
        rows["resident_value"] = [by_name(known.of_resident, row) for row in rows["resident_value"]]
        rows["object_value"] = [by_name(known.of_object, row) for row in rows["object_value"]]
        standing = np.asarray(columns["occupants"])
        seen: dict[str, Any] = {
            "occupants": {(int(x), int(y)): int(standing[y, x]) for y, x in np.argwhere(standing)},
            "object": {column: each for column, each in rows.items() if column.startswith("object_")},
        }
        for name, agent in agents.items():
            slot = agent["slot"]
            row = {column: each[slot] for column, each in rows.items() if not column.startswith("object_")}
            count = sum(other >= 0 for other in row["tie_other"])
            row |= {column: each[:count] for column, each in row.items() if column.startswith("tie_")}
            row["cooldowns"] = sorted(each for each in row["cooldowns"] if each[1] > self.observation.tick)
            seen[name] = row
        return seen

    def _predict(self, wishes: Wishes) -> dict[str, Any]:
        intents = list(zip(wishes.actions, wishes.targets, strict=True))
        context = None
        if wishes.context is not None:
            options, *others = wishes.context
            named = [self.option_names[each] if each >= 0 else None for each in options]
            context = list(zip(named, *others, strict=True))
        orders = (*wishes.interventions, *wishes.commands)
        facts, answers, results = tick.step(self.model, intents, context, orders)
        shown = frames.frame(self.model)
        return {
            "answers": answers,
            "commands": results,
            "hooks": self._of_model.taken(),
            "facts": [[kind, plain(data)] for kind, data in facts],
            **{part: shown[part] for part in PARTS},
            "mask": {each.id: model_actions.mask(self.model, each) for each in self.model.residents},
            "features": {
                each.id: single(observations.features(self.model, each)) for each in self.model.residents
            },
            "map": observations.maps(self.model),
            "view": view.view(self.model, self._names),
            "summary": summaries.summary(self.model),
            "reward_parts": {each.id: each.parts for each in self.model.residents},
            "left": self._last_seen(),
            "blank": self._dead(),
        }

    def _last_seen(self) -> dict[int, dict[str, Any]]:
        """What those saw last who left in this tick, by slot; they can do nothing but wait."""
        count = len(model_actions.names(self.model))
        return {
            each.slot: {
                "serial": each.serial,
                "alive": 0,
                "terminated": int(each.leaving in rewards.FAILURES),
                "truncated": int(each.leaving not in rewards.FAILURES),
                "mask": [1, *[0] * (count - 1)],
                "features": single(each.last_seen[0]),
                "map": each.last_seen[1],
                "reward_parts": each.parts,
            }
            for each in sorted(self.model.left, key=lambda one: one.slot)
        }

    def _dead(self) -> list[int]:
        """The slots in which nobody lives, and from which nobody left in this tick."""
        taken = {each.slot for each in (*self.model.residents, *self.model.left)}
        return [slot for slot in range(self.plan.capacity) if slot not in taken]

    def _batch(self, wishes: Wishes) -> ActionBatch:
        context = None
        if wishes.context is not None:
            option, goal, commit = wishes.context
            context = PolicyContext(
                np.array(option, np.int8).data, np.array(goal, np.int32).data, np.array(commit, np.int16).data
            )
        return ActionBatch(
            np.array(wishes.actions, np.int16).data, np.array(wishes.targets, np.int32).data, context
        )

    def _intervene(self, name: str, *arguments: Any) -> None:
        match name, arguments:
            case "teleport", (slot, x, y):
                order = Intervention(0, codes.TELEPORT, slot, x, y)
            case "interrupt", (slot, idle):
                order = Intervention(0, codes.INTERRUPT, slot, int(idle))
            case "set_need", (slot, need, level):
                number = list(self.plan.vocabulary.needs).index(need)
                order = Intervention(0, codes.SET_NEED, slot, number, x=level)
            case "switch", (district, utility, is_on, source, until):
                number = codes.UTILITIES.index(utility)
                order = Intervention(0, codes.SWITCH_UTILITY, district, number, int(is_on), source, until)
            case "close", (number, is_closed, source, until):
                order = Intervention(0, codes.CLOSE_OBJECT, number, int(is_closed), c=source, d=until)
            case "scale", (district, key, permille, source, until):
                number = list(self.plan.prices).index(key)
                order = Intervention(0, codes.SCALE_PRICE, district, number, permille, source, until)
            case "set_price", (district, key, mills):
                number = list(self.plan.prices).index(key)
                order = Intervention(0, codes.SET_PRICE, district, number, mills)
            case "spawn", (home,):
                order = Intervention(0, codes.SPAWN, home)
            case "remove", (slot, replace):
                order = Intervention(0, codes.REMOVE, slot, int(replace))
            case _:
                raise ValueError(name)
        self.world.engine.intervene(order)


def single(values: Mapping[str, float]) -> dict[str, float]:
    """The values as 32-bit numbers hold them."""
    return dict(zip(values, np.array(list(values.values()), np.float32).tolist(), strict=True))


def by_name(names: Sequence[str], row: Sequence[float]) -> dict[str, float]:
    """The numbers of a row by name, but for those that stand for a text."""
    return {name: each for name, each in zip(names, row, strict=True) if name not in view.TEXTS}


def kind_of(fact: list[Any]) -> str:
    """The kind of a fact, with the field that distinguishes its cases."""
    kind, data = fact
    return " ".join([kind, *(str(data[key]) for key in ("reason", "status") if key in data)])


def answer(result: CommandResult) -> dict[str, Any]:
    """A result without the words of its error."""
    assert result.error is None or result.error.message
    error = {"code": result.error.code, "details": dict(result.error.details)} if result.error else None
    return {**plain(replace(result, error=None)), "error": error}


def code_of(result: dict[str, Any]) -> str:
    """What came of a command: ``ok``, or the code of its error."""
    return result["error"]["code"] if result["error"] else "ok"


ANSWERS = {
    codes.EXECUTED: "executed",
    codes.BLOCKED_TILE: "blocked_tile",
    codes.GONE: "gone",
    codes.NO_SLOT: "no_slot",
    codes.NO_ROOM: "no_room",
    codes.NO_VACANCY: "no_vacancy",
    codes.NO_REVIEW: "no_review",
}
"""What became of an intervention, in words."""

PARTS = (
    "tick",
    "clock",
    "agents",
    "objects",
    "utilities",
    "prices",
    "employment",
    "perturbations",
    "social",
    "rewards",
)
"""Fields of a frame that the world fills."""

Driver = Callable[[Pair, int], Iterator[Wishes]]


def run(
    case: Case, seed: int, ticks: int, drive: Driver, cut: int | None = None
) -> tuple[Pair, Difference | None]:
    """Run a town beside its model; returns them, and the first difference.

    Args:
        case: the town.
        seed: of the town and of whoever decides.
        ticks: how many.
        drive: who decides.
        cut: after how many ticks, each time, the town is saved and continued from its snapshot.
    """
    pair = Pair(case, seed)
    wishes = drive(pair, seed)
    for number in range(ticks):
        if cut is not None and number % cut == 0:
            pair.resume()
        difference = pair.step(next(wishes))
        if difference is not None:
            return pair, difference
    return pair, None
