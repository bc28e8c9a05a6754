from dataclasses import replace

import jsonschema
import pytest

from townlet_adapters.config.schema import config_schema
from townlet_adapters.config.source import SHIPPED
from townlet_adapters.documents import read_document
from townlet_adapters.validation import Section
from townlet_core.testing import FakeStage
from townlet_plugins.catalogue import load_catalogue
from townlet_plugins.factory import Factory


@pytest.fixture(scope="module")
def validator():
    schema = config_schema(load_catalogue())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("path", sorted(SHIPPED.rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_config_fits_the_schema(validator, path):
    assert list(validator.iter_errors(read_document(path).value)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"sed": 1},
        {"seed": "7"},
        {"world": {"use": "moon"}},
        {"world": {"use": "town", "options": {"twon": 1}}},
        {"world": {"use": "town", "options": {"queues": {"hold_ticks": 0}}}},
        {"policy": {"use": "random", "options": {"commit_ticks": 3}}},
        {"telemetry": {"sinks": [{"use": "file", "options": {"pth": "x"}}]}},
        {"stages": ["no_such"]},
        {"stages": [{"use": "no_such"}]},
        {"observers": {"extra": [{"use": "no_such"}]}},
        {"observers": {"extra": [{"use": "kpis", "options": {"namse": {}}}]}},
    ],
    ids=str,
)
def test_the_schema_knows_the_options_of_everything_installed(validator, change):
    config = {"townlet": 1, "seed": 7, "world": {"use": "town"}, "policy": {"use": "scripted"}}
    assert validator.is_valid(config)
    assert not validator.is_valid(config | change)


def test_the_schema_takes_a_stage_by_its_name_alone_and_as_a_part():
    catalogue = load_catalogue()
    turns = Factory("turns", Section, lambda *_: FakeStage(), "takes turns")
    schema = config_schema(replace(catalogue, stages={"turns": turns}))
    validator = jsonschema.Draft202012Validator(schema)
    for stage, fits in (("turns", True), ({"use": "turns"}, True), ("other", False), ({"use": "x"}, False)):
        assert validator.is_valid({"townlet": 1, "seed": 7, "stages": [stage]}) is fits
    observed = {"townlet": 1, "seed": 7, "observers": {"extra": [{"use": "kpis"}]}}
    assert validator.is_valid(observed)


def test_every_key_is_described(validator):
    schema = validator.schema
    named = {name: node for name, node in schema["$defs"].items() if "properties" in node}
    silent = [
        f"{name}.{key}"
        for name, node in {"": schema, **named}.items()
        for key, value in node["properties"].items()
        if "description" not in value and key not in {"world", "policy"}
    ]
    assert silent == []
