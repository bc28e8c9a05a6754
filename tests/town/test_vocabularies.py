"""Whole vocabularies at random: whatever a modeller declares, the rules hold and outputs have its names."""

import random
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.town.invariants import Chronicle, Watch, check_invariants
from tests.town.towns import agent
from townlet_adapters.documents import Document
from townlet_adapters.validation import validate
from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.inputs.texts import TownOptions
from townlet_adapters.worlds.town.seam.world import TownWorld
from townlet_core.dto.action import ActionBatch
from townlet_core.dto.command import Command
from townlet_core.errors import SnapshotError

SHIPPED_WORDS = ("energy", "hygiene", "hunger", "ingredients", "meal", "bed", "home", "shower", "gym")
"""Words that mean something else in the shipped town, in another order; some name several things here."""
BLOCKS = 8
"""Objects in a row of the map; each has a block of nine tiles for itself."""
RESIDENTS = 6
TICKS = 60


class Sizes(NamedTuple):
    """How much of everything a vocabulary has."""

    needs: int
    items: int
    types: int
    kinds: int
    affordances: int


SIZES = st.builds(
    Sizes,
    needs=st.integers(1, codes.MAX_NEEDS),
    items=st.integers(0, codes.MAX_ITEMS),
    types=st.integers(1, codes.MAX_OBJECT_TYPES),
    kinds=st.integers(1, 3),
    affordances=st.integers(1, codes.MAX_AFFORDANCES),
)


class Inventor:
    """Makes up the options of a town."""

    def __init__(self, sizes: Sizes, seed: int) -> None:
        self.draw = random.Random(seed)  # noqa: S311 - makes up inputs
        self.sizes = sizes
        self.needs = self.names("need", sizes.needs)
        self.items = self.names("item", sizes.items)
        self.types = self.names("type", sizes.types)
        self.kinds = self.names("kind", sizes.kinds)
        self.goods = [*self.items, "service"]
        self.stock = {name: self.some(self.items, 4) for name in self.types}
        self.carry = {item: self.draw.randint(0, 9) for item in self.items}

    def names(self, word: str, count: int) -> list[str]:
        """Return names, some of which are words of the shipped town."""
        known = self.draw.sample(SHIPPED_WORDS, min(count, self.draw.randint(0, 4)))
        names = [*known, *(f"{word}{number}" for number in range(count - len(known)))]
        self.draw.shuffle(names)
        return names

    def some(self, names: list[str], most: int) -> list[str]:
        return self.draw.sample(names, self.draw.randint(0, min(most, len(names))))

    def vocabulary(self) -> dict[str, object]:
        uniform = self.draw.uniform
        return {
            "needs": {
                name: {
                    "decay": uniform(0, 0.002),
                    "option": f"serve_{number}",
                    "weight": uniform(0, 1),
                    "night": self.draw.choice([0.0, 0.5]),
                }
                for number, name in enumerate(self.needs)
            },
            "items": {item: {"carry": most} for item, most in self.carry.items()},
            "place_kinds": {kind: {"till": self.draw.random() < 0.5} for kind in self.kinds},
            "object_types": {
                name: {
                    "stock": {item: self.draw.randint(1, 20) for item in self.stock[name]},
                    "utilities": self.some(["power", "water"], 2),
                    "target": self.draw.random() < 0.5,
                }
                for name in self.types
            },
            "prices": {
                f"{kind}.{good}": self.draw.randint(0, 300) for kind in self.kinds for good in self.goods
            },
            "profiles": {
                f"profile{number}": {
                    "weight": uniform(0.1, 1),
                    "extroversion": uniform(-1, 1),
                    "need_multipliers": {need: uniform(0, 2) for need in self.some(self.needs, 3)},
                }
                for number in range(self.draw.randint(1, 3))
            },
        }

    def manifest(self) -> list[dict[str, object]]:
        return [self.affordance(number) for number in range(self.sizes.affordances)]

    def affordance(self, number: int) -> dict[str, object]:
        name = self.draw.choice(self.types)
        return {
            "id": f"act{number}",
            "object_type": name,
            "duration": self.draw.randint(1, 12),
            "preconditions": [self.condition(name) for _ in range(self.draw.randint(0, 2))],
            "charge": [self.charge(name) for _ in range(self.draw.randint(1, 3))],
            "effects": self.effects(name),
            "tags": self.some(["meal"], 1),
        }

    def condition(self, name: str) -> str:
        numbers = [*self.needs, *(f"inventory.{item}" for item in self.items)]
        numbers += ["wallet", "queue_length", *(f"stock.{item}" for item in self.stock[name])]
        kind = self.draw.choice(self.kinds)
        return self.draw.choice(
            [
                f"{self.draw.choice(numbers)} {self.draw.choice(['<', '>='])} {self.draw.uniform(0, 1)}",
                f"place_kind {self.draw.choice(['==', '!='])} '{kind}'",
                "power_on == true",
            ]
        )

    def charge(self, name: str) -> dict[str, int]:
        carried = [item for item in self.items if self.carry[item]]
        taken = {f"inventory:{item}": 1 for item in self.some(carried, 1)}
        taken |= {f"stock:{item}": 1 for item in self.some(self.stock[name], 2)}
        return taken | {f"price:{good}": self.draw.randint(1, 3) for good in self.some(self.goods, 1)}

    def effects(self, name: str) -> dict[str, float]:
        changes: dict[str, float] = {
            f"need:{need}": self.draw.uniform(-0.3, 0.6) for need in self.some(self.needs, 3)
        }
        changes |= {
            f"inventory:{item}": self.draw.randint(-self.carry[item], self.carry[item])
            for item in self.some(self.items, 2)
        }
        changes |= {f"stock:{item}": self.draw.choice([-1, 1]) for item in self.some(self.stock[name], 2)}
        return changes | {"money": self.draw.randint(0, 50)}

    def map(self) -> dict[str, object]:
        """One object of each type, in two places; homes and the entry in the last row."""
        legend: dict[str, object] = {
            "w": {"tile": "floor", "place": "west"},
            "e": {"tile": "floor", "place": "east"},
            "h": {"tile": "floor", "place": "west", "mark": "home"},
            "E": {"tile": "road", "mark": "entry"},
            "=": {"tile": "road"},
        }
        width, half = 3 * BLOCKS, 3 * BLOCKS // 2
        plain = "w" * half + "e" * half
        rows: list[str] = []
        for first in range(0, len(self.types), BLOCKS):
            row = list(plain)
            for number, name in enumerate(self.types[first : first + BLOCKS]):
                x, symbol = 3 * number + 1, chr(0x4E00 + first + number)
                legend[symbol] = {"tile": "floor", "place": "west" if x < half else "east", "object": name}
                row[x] = symbol
            rows += [plain, "".join(row), plain]
        rows += [plain.replace("w" * RESIDENTS, "h" * RESIDENTS, 1), "E".ljust(width, "=")]
        kinds = {"west": self.draw.choice(self.kinds), "east": self.draw.choice(self.kinds)}
        jobs = {
            "keeper": {"place": "east", "start": 10, "end": 50, "wage": 9, "late_fine": 5, "capacity": 3},
        }
        return {
            "id": "made_up",
            "agents": RESIDENTS,
            "legend": legend,
            "kinds": kinds,
            "jobs": jobs,
            "rows": rows,
        }

    def options(self) -> dict[str, object]:
        return {
            "vocabulary": self.vocabulary(),
            "affordances": {"extend": None, "add": self.manifest()},
            "town": self.map(),
            "economy": {"balance_check": "off"},
            "queues": {"cooldown_ticks": 3},
        }


def build(options: dict[str, object]) -> TownModel:
    return TownModel.build(validate(Document(options, "made up"), TownOptions))


class Town:
    """A town that lives by chance, checked after every tick."""

    def __init__(self, model: TownModel, seed: int) -> None:
        self.model, self.world = model, TownWorld(model)
        self.seen = self.world.reset(seed)
        self.engine = self.world.engine
        self.random = np.random.default_rng(seed)
        self.watch, self.chronicle = Watch(self.engine), Chronicle()

    def intents(self) -> ActionBatch:
        """Draw an allowed action for everybody, most often a use."""
        mask = np.asarray(self.seen.mask)
        weights = np.where(np.arange(mask.shape[1]) >= codes.FIRST_USE, 6.0, 1.0)
        weights[codes.LEAVE] = 0.05
        chosen = np.argmax(self.random.random(mask.shape) * weights * mask, axis=1).astype(np.int16)
        return ActionBatch(chosen.data, np.full(len(chosen), -1, np.int32).data)

    def tick(self, actions: ActionBatch, *commands: Command):
        """Execute a tick and check the rules."""
        self.watch.before()
        outcome = self.world.step(actions, commands)
        self.seen = outcome.observation
        self.watch.after(np.asarray(actions.action)[None], needs_set=bool(commands))
        self.chronicle.see(outcome.events, self.seen.tick - 1)
        check_invariants(self.engine)
        return outcome


def check_names(town: Town, made: Inventor) -> None:
    """Every output has every name of the vocabulary, with the value of the state."""
    spec, frame, state = town.model.spec, town.world.frame(), town.engine.state
    assert [need.name for need in spec.needs] == made.needs
    assert [(item.name, item.carry) for item in spec.items] == list(made.carry.items())
    assert [(option.name, option.need) for option in spec.options[: len(made.needs)]] == [
        (f"serve_{number}", need) for number, need in enumerate(made.needs)
    ]
    assert list(spec.action_names[codes.FIRST_USE :]) == [
        f"use:act{k}" for k in range(made.sizes.affordances)
    ]
    features = {name: town.engine.arrays.features[0, :, k] for k, name in enumerate(spec.feature_names)}
    columns = {name: np.asarray(column) for name, column in town.seen.view.columns.items()}
    for agent_id, shown in frame.agents.items():
        slot = town.seen.agent_ids.index(agent_id)
        row = state.residents[0, slot]
        assert list(shown["needs"]) == made.needs
        assert set(shown["inventory"]) <= set(made.items)
        for number, need in enumerate(made.needs):
            assert features[f"need_{need}"][slot] == np.float32(row["need"][number])
            assert columns["needs"][slot, number] == row["need"][number]
            assert shown["needs"][need] == round(float(row["need"][number]), 3)
        for number, item in enumerate(made.items):
            carried = int(row["inventory"][number])
            assert columns["inventory"][slot, number] == carried == shown["inventory"].get(item, 0)
            assert features[f"inv_{item}"][slot] == np.float32(carried / max(1, made.carry[item]))
    for number, (thing, shown) in enumerate(frame.objects.items()):
        kind = shown["type"]
        assert thing == f"{kind}_1"
        stock = {item: int(n) for item, n in zip(made.items, columns["object_stock"][number], strict=True)}
        assert {item: shown["stock"][item] for item in made.stock[kind]} == {
            item: stock[item] for item in made.stock[kind]
        }
        assert all(stock[item] == 0 for item in made.items if item not in made.stock[kind])
    assert set(frame.prices["0"]) == {f"{kind}.{good}" for kind in made.kinds for good in made.goods}


def check_commands(town: Town, made: Inventor) -> None:
    """`set_need` knows exactly the needs of the vocabulary."""
    nothing = ActionBatch(
        np.zeros(town.model.spec.capacity, np.int16).data,
        np.full(town.model.spec.capacity, -1, np.int32).data,
    )
    for number, need in enumerate(made.needs):
        order = Command("set_need", {"agent_id": agent(0), "needs": {need: 0.5}}, "1", "ada")
        outcome = town.tick(nothing, order)
        assert [result.status for result in outcome.command_results] == ["ok"]
        if not any(event.kind == "affordance.finish" for event in outcome.events):
            assert abs(float(town.engine.state.residents[0, 0]["need"][number]) - 0.5) < 0.005
    unknown = next(word for word in (*SHIPPED_WORDS, "none") if word not in made.needs)
    order = Command("set_need", {"agent_id": agent(0), "needs": {unknown: 0.5}}, "2", "ada")
    (result,) = town.tick(nothing, order).command_results
    assert result.error is not None
    assert (result.status, result.error.code) == ("error", "invalid_args")


def check_snapshot(town: Town, model: TownModel, options: dict[str, object]) -> None:
    """A snapshot goes on exactly, and a town with another vocabulary refuses it."""
    snapshot = town.world.snapshot()
    heir = TownWorld(model)
    assert np.asarray(heir.restore(snapshot).features).tobytes() == np.asarray(town.seen.features).tobytes()
    for _ in range(5):
        actions = town.intents()
        mine, theirs = town.tick(actions), heir.step(actions)
        assert mine.events == theirs.events
    assert heir.snapshot() == town.world.snapshot()
    vocabulary = options["vocabulary"]
    renamed = {f"{name}x": about for name, about in vocabulary["place_kinds"].items()}
    other = {
        **options,
        "vocabulary": {**vocabulary, "place_kinds": renamed, "prices": {}},
        "affordances": {
            "extend": None,
            "add": [{"id": "rest", "object_type": next(iter(vocabulary["object_types"])), "duration": 3}],
        },
        "town": {**options["town"], "kinds": {"west": next(iter(renamed)), "east": next(iter(renamed))}},
    }
    with pytest.raises(SnapshotError):
        TownWorld(build(other)).restore(snapshot)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(sizes=SIZES, seed=st.integers(0, 2**32 - 1))
def test_any_vocabulary_lives_by_the_rules_and_is_in_every_output(sizes, seed):
    made = Inventor(sizes, seed)
    options = made.options()
    model = build(options)
    town = Town(model, seed)
    for _ in range(TICKS):
        town.tick(town.intents())
    check_names(town, made)
    check_commands(town, made)
    check_snapshot(town, model, options)
    town.chronicle.check_end(town.engine, 0)


@pytest.mark.slow
def test_a_vocabulary_at_every_limit_lives_a_day():
    made = Inventor(
        Sizes(codes.MAX_NEEDS, codes.MAX_ITEMS, codes.MAX_OBJECT_TYPES, 3, codes.MAX_AFFORDANCES), 5
    )
    town = Town(build(made.options()), 5)
    for _ in range(codes.TICKS_PER_DAY + 1):
        town.tick(town.intents())
    check_names(town, made)
    uses = town.chronicle.kinds["affordance.finish"]
    assert uses > 100
