from pathlib import Path

import pytest

from townlet_adapters.config.environment import substitute
from townlet_adapters.documents import parse_document
from townlet_core.errors import ConfigError, Problem
from townlet_plugins.access import Access

ACCESS = Access(Path())
SINKS = "telemetry:\n  sinks:\n    - use: x\n      options: {path: '%s', more: {list: [a, '%s']}}\n"


def test_references_below_the_options_of_sinks_are_substituted(monkeypatch):
    monkeypatch.setenv("TOWNLET_T_DIR", "/var/x")
    text = SINKS % ("${ENV:TOWNLET_T_DIR}/a-${ENV:TOWNLET_T_DIR}", "${ENV:TOWNLET_T_DIR}")
    options = (
        substitute(parse_document(text, "a.yaml"), ACCESS)
        .document.child(("telemetry", "sinks", 0, "options"))
        .value
    )
    assert options == {"path": "/var/x/a-/var/x", "more": {"list": ["a", "/var/x"]}}


@pytest.mark.parametrize(
    "text",
    [
        "seed: ${ENV:TOWNLET_T}",
        "world: {use: '${ENV:TOWNLET_T}'}",
        "world: {options: {town: '${ENV:TOWNLET_T}'}}",
        "policy: {use: '${ENV:TOWNLET_T}'}",
        "plugins: {allow: [{distribution: '${ENV:TOWNLET_T}'}]}",
        "telemetry: {sinks: [{use: '${ENV:TOWNLET_T}'}]}",
        "telemetry: {sinks: [{use: x, stream: {mode: '${ENV:TOWNLET_T}'}}]}",
        "telemetry: {sinks: [{use: x, options: {token_env: '${ENV:TOWNLET_T}'}}]}",
        "telemetry: {sinks: [{use: x, options: {secret_file: '${ENV:TOWNLET_T}'}}]}",
        "telemetry: {sinks: [{use: x, options: {'${ENV:TOWNLET_T}': 1}}]}",
    ],
)
def test_references_anywhere_else_are_refused(monkeypatch, text):
    monkeypatch.setenv("TOWNLET_T", "secret-value")
    with pytest.raises(ConfigError) as caught:
        substitute(parse_document(text, "a.yaml"), ACCESS)
    assert "${ENV:TOWNLET_T}" in str(caught.value)
    assert "secret-value" not in str(caught.value)


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("${ENV:TOWNLET_T_NOT_SET}", "TOWNLET_T_NOT_SET is not set"),
        ("${ENV:a b}", "letters, digits"),
        ("${ENV:}", "letters"),
    ],
)
def test_a_reference_to_nothing_says_what_to_do(monkeypatch, reference, why):
    monkeypatch.delenv("TOWNLET_T_NOT_SET", raising=False)
    with pytest.raises(ConfigError, match=why) as caught:
        substitute(parse_document(SINKS % (reference, ""), "a.yaml"), ACCESS)
    assert str(caught.value).startswith("a.yaml:4: telemetry.sinks[0].options.path: ")


def test_what_was_written_is_put_back_wherever_options_are_shown(monkeypatch):
    monkeypatch.setenv("TOWNLET_T", "secret-value")
    done = substitute(parse_document(SINKS % ("${ENV:TOWNLET_T}", "${ENV:TOWNLET_T}"), "a.yaml"), ACCESS)
    below = ("telemetry", "sinks", 0, "options")
    shown = done.written({"path": "secret-value", "more": {"list": ("a", "secret-value")}, "other": 1}, below)
    assert shown == {
        "path": "${ENV:TOWNLET_T}",
        "more": {"list": ["a", "${ENV:TOWNLET_T}"]},
        "other": 1,
    }


def test_a_variable_that_is_not_utf_8_is_refused_where_it_is_used(monkeypatch):
    monkeypatch.setenv("TOWNLET_T", "caf\udce9")
    with pytest.raises(
        ConfigError, match="the variable TOWNLET_T is not UTF-8; set it to other text"
    ) as caught:
        substitute(parse_document(SINKS % ("${ENV:TOWNLET_T}", ""), "a.yaml"), ACCESS)
    assert str(caught.value).startswith("a.yaml:4: telemetry.sinks[0].options.path: ")


@pytest.mark.parametrize("key", ["telemetry.sinks[0].options.path", "telemetry.sinks[0].options"])
def test_problems_do_not_tell_a_substituted_value(monkeypatch, key):
    monkeypatch.setenv("TOWNLET_T", "secret-value")
    done = substitute(parse_document(SINKS % ("${ENV:TOWNLET_T}", ""), "a.yaml"), ACCESS)
    told = str(done.unveil(Problem(key, '{"path": "secret-val...', "not secret-value", "a.yaml", 4)))
    assert "secret" not in told
    assert "${ENV:TOWNLET_T}" in told
