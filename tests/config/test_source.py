from pathlib import Path

import pytest

from townlet_adapters.config.source import (
    SHIPPED,
    Override,
    default_config,
    find_config,
    parse_override,
    read_source,
    with_overrides,
)
from townlet_adapters.documents import parse_document
from townlet_core.errors import ConfigError
from townlet_plugins.access import Access


def message(call, *arguments) -> str:
    with pytest.raises(ConfigError) as caught:
        call(*arguments)
    return str(caught.value)


def test_a_config_in_the_working_directory_comes_before_the_shipped_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config("configs/town.yaml") == SHIPPED / "town.yaml"
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "town.yaml").write_text("mine")
    assert find_config("configs/town.yaml").read_text() == "mine"


def test_only_the_folder_configs_stands_for_the_shipped_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = message(find_config, "other/town.yaml")
    assert text.startswith("other/town.yaml: there is no such file; ")
    assert "configs/town.yaml" in text


def test_the_default_config_is_shipped():
    assert default_config().is_file()


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("seed=3", ("seed",), 3),
        ("name=no", ("name",), "no"),
        ("a.b[0].c={x: [1, 2.5]}", ("a", "b", 0, "c"), {"x": [1, 2.5]}),
        ("runner.snapshot_every=", ("runner", "snapshot_every"), None),
        ("name=a=b", ("name",), "a=b"),
    ],
)
def test_an_override_is_a_key_path_and_a_yaml_value(text, path, value):
    assert parse_override(text) == Override(path, value, "--set")


@pytest.mark.parametrize("text", ["seed", "=3", "a..b=3", "a[x]=3", ""])
def test_an_override_of_another_form_says_which_form_it_needs(text):
    told = message(parse_override, text)
    assert told.startswith("--set: ")
    assert "key.path=value" in told


@pytest.mark.parametrize("value", ["[1", "&a 1", "*a", "!!python/name:os.system x", "1e999", "{a: 1, a: 2}"])
def test_the_value_of_an_override_is_as_strict_as_a_file(value):
    told = message(parse_override, f"world.options={value}")
    assert told.startswith("--set: world.options")
    assert "\n" not in told


def source(text: str, *overrides: str):
    return with_overrides(
        parse_document(text, "a.yaml"), Access(Path()), [parse_override(each) for each in overrides]
    )


def test_overrides_replace_values_make_sections_and_leave_the_text_alone():
    changed = source("a: {b: 1, c: 2}\nl: [1, 2]", "a.b=5", "n.e.w=6", "l[1]=7")
    assert changed.document.value == {"a": {"b": 5, "c": 2}, "l": [1, 7], "n": {"e": {"w": 6}}}
    assert changed.written.value == {"a": {"b": 1, "c": 2}, "l": [1, 2]}


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("seed.x=1", "--set: seed.x: 'seed' holds a value; a value has no keys below it"),
        ("l[5]=1", "--set: l[5]: 'l' has 1 items; give the whole list, as in key=[a, b]"),
        ("seed[0]=1", "--set: seed[0]: 'seed' has 0 items; give the whole list, as in key=[a, b]"),
    ],
)
def test_an_override_that_fits_nowhere_says_why(override, told):
    assert message(source, "seed: 7\nl: [1]", override) == told


def test_a_text_that_is_no_mapping_is_no_config(tmp_path):
    (tmp_path / "a.yaml").write_text("- 1\n")
    told = message(read_source, tmp_path / "a.yaml")
    assert told.startswith(f"{tmp_path / 'a.yaml'}:1: not a config; ")


def test_problems_are_blamed_on_the_override_or_on_the_line():
    changed = source("a: {b: 1}\nc: 2", "a.b=x", "new.key=1")
    paths = [("a", "b"), ("a",), ("c",), ("new",), ("new", "key")]
    problems = [changed.document.problem(path, "bad", "") for path in paths]
    with pytest.raises(ConfigError) as caught, changed.blame():
        raise ConfigError(*problems)
    assert [(problem.file, problem.line) for problem in caught.value.problems] == [
        ("--set", None),
        ("a.yaml", 1),
        ("a.yaml", 2),
        ("--set", None),
        ("--set", None),
    ]
