"""What the options of a town may say."""

import math
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

import pytest
from pydantic import BaseModel

from tests.town.words import SHIPPED
from townlet_adapters.documents import parse_document
from townlet_adapters.validation import validate
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.inputs.texts import GridTown, MapText, TownOptions
from townlet_core.errors import ArgumentError, ConfigError


def read(text: str) -> TownOptions:
    return validate(parse_document(text, "o.yaml"), TownOptions)


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from models(field.annotation)


def test_every_option_is_described_and_has_a_default():
    for model in models(TownOptions):
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name} has no description"
            assert not field.is_required(), f"{model.__name__}.{name} has no default"


def test_defaults_are_those_of_the_rules():
    options = read("{}")
    assert options == TownOptions()
    assert options.town == "town_48"
    assert options.queues.model_dump() == {
        "cooldown_ticks": 60, "ghost_step_after": 3, "age_weight": 0.1, "patience_ticks": 20, "hold_ticks": 5,
        "drop_distance": 5, "drop_ticks": 10, "handover_spacing": 10, "handover_max_age": 60,
    }  # fmt: skip
    assert options.employment.model_dump() == {
        "await_ticks": 20, "grace_ticks": 5, "absent_cutoff": 30, "absence_slack": 20, "late_tick_fine": 5,
        "absence_fine": 200, "max_absent_shifts": 3, "attendance_window": 3, "review_ticks": 1440,
        "daily_loss_cap": 2, "review_queue_limit": 8, "jobs": {},
    }  # fmt: skip
    assert options.needs.decay == {}
    assert SHIPPED.needs["hunger"].decay == 0.0010
    assert SHIPPED.needs["hygiene"].decay == 0.0005
    assert SHIPPED.needs["energy"].decay == 0.0006
    assert (options.population.start_wallet, options.population.start_need) == (2000, 0.7)
    assert (options.economy.rent_per_day, options.economy.stipend) == (1550, 0)
    assert options.affordances.outcome_history == 10
    assert options.embeddings.max_slots is None


def test_a_town_is_a_name_a_map_or_a_grid():
    assert read("town: maps/mine.yaml").town == "maps/mine.yaml"
    assert isinstance(read("town: {grid: {district: hamlet_24, rows: 2, cols: 3}}").town, GridTown)
    assert isinstance(
        read("town: {id: x, agents: 1, legend: {'.': {tile: floor}}, rows: ['.']}").town, MapText
    )


def test_options_survive_being_spelled_as_json():
    options = read("affordances: {enabled: [relax]}\ntown: {grid: {rows: 1, cols: 2}}")
    assert TownOptions.model_validate_json(options.model_dump_json(), strict=True) == options


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("towns: x", "o.yaml:1: towns: unknown key; did you mean 'town'? "),
        ("queues:\n  patience: 5", "o.yaml:2: queues.patience: unknown key; did you mean 'patience_ticks'? "),
        (
            "queues:\n  patience_ticks: 4",
            "o.yaml:2: queues.patience_ticks: 4; a whole number from 5 up to 600",
        ),
        (
            "queues:\n  patience_ticks: 601",
            "o.yaml:2: queues.patience_ticks: 601; a whole number from 5 up to 600",
        ),
        ("queues:\n  patience_ticks: '20'", 'o.yaml:2: queues.patience_ticks: "20"; a whole number'),
        ("queues:\n  patience_ticks: 20.0", "o.yaml:2: queues.patience_ticks: 20.0; a whole number"),
        ("queues:\n  age_weight: 1.5", "o.yaml:2: queues.age_weight: 1.5; a number from 0 up to 1"),
        ("features: {need_multipliers: 1}", "o.yaml:1: features.need_multipliers: 1; true or false"),
        (
            "relationships: {max_ties: 2}",
            "o.yaml:1: relationships.max_ties: 2; a whole number from 3 up to 16",
        ),
        ("chat: {}", "o.yaml:1: chat: unknown key; "),
        ("weather: {}", "o.yaml:1: weather: unknown key; "),
        ("lifecycles: {}", "o.yaml:1: lifecycles: unknown key; "),
        ("rewards: {gamma: 1.1}", "o.yaml:1: rewards.gamma: 1.1; a number from 0 up to 1"),
        ("rewards: {terminal: {collapse: 1}}", "o.yaml:1: rewards.terminal.collapse: 1; "),
        ("features: {social_rewards: C4}", 'o.yaml:1: features.social_rewards: "C4"; '),
        ("observations: {variant: full}", 'o.yaml:1: observations.variant: "full"; '),
        ("observations: {window: 10}", "o.yaml:1: observations: "),
        ("observations: {window: 1}", "o.yaml:1: observations.window: 1; a whole number from 3"),
        ("observations: {top_friends: 5, top_rivals: 4}", "o.yaml:1: observations: "),
        ("affordances: {enabled: some}", 'o.yaml:1: affordances.enabled: "some"; '),
        ("affordances: {add: [{id: 5}]}", "o.yaml:1: affordances.add[0]"),
        ("economy: {balance_check: maybe}", 'o.yaml:1: economy.balance_check: "maybe"; '),
        (
            "economy:\n  prices:\n    home.meal: -1",
            'o.yaml:3: economy.prices["home.meal"]: -1; a whole number from 0',
        ),
        ("town: 5", "o.yaml:1: town: 5; "),
        ("town:\n  grid: {rows: 0, cols: 1}", "o.yaml:2: town.grid.rows: 0; a whole number from 1"),
        ("town:\n  grid: {rows: 1}", "o.yaml:2: town.grid.cols: "),
        ("town:\n  id: x", "o.yaml:1: town.agents: this key is missing; a whole number from 1"),
        (
            "employment:\n  jobs: {clerk: {late_fine: 5001}}",
            "o.yaml:2: employment.jobs.clerk.late_fine: 5001; ",
        ),
    ],
)
def test_a_wrong_option_is_told_with_its_line_its_key_and_what_is_allowed(text: str, message: str):
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert any(str(problem).startswith(message) for problem in caught.value.problems), str(caught.value)


def test_a_model_is_built_from_options_given_as_a_mapping_of_their_keys():
    named = TownModel.build({"town": "hamlet_24", "population": MappingProxyType({"target": 2})})
    typed = TownModel.build(TownOptions(town="hamlet_24", population={"target": 2}))
    assert named.options == typed.options
    assert TownModel.build({}).options == TownModel.build().options == TownOptions()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"twon": "hamlet_24"}, "options: twon: unknown key; did you mean 'town'?"),
        ({"population": {"target": "8"}}, 'options: population.target: "8"; '),
        ({"population": {"target": 0}}, "options: population.target: 0; a whole number from 1 up to 16384"),
        ({"town": "nowhere"}, "town: "),
        ({"population": 8}, "options: population: 8; "),
        (
            {"economy": {"prices": {"home.meal": b"1"}}},
            'options: economy.prices["home.meal"]: a value of type bytes; ',
        ),
        ({"town": Path("hamlet_24")}, "options: town: a value of type PosixPath; text, a number, "),
        ({"queues": {3: 4}}, "options: queues: a value of type int; text, a number, "),
        ({"population": {"start_need": math.nan}}, "options: "),
    ],
)
def test_a_mistake_in_a_mapping_of_options_is_reported_with_its_key(options, problem):
    with pytest.raises(ConfigError) as caught:
        TownModel.build(options)
    assert problem in str(caught.value)


@pytest.mark.parametrize("options", ["hamlet_24", 8, ["town"]])
def test_options_of_another_type_are_refused(options):
    with pytest.raises(ArgumentError, match="; expected TownOptions or a mapping, such as"):
        TownModel.build(options)
