import pytest

from townlet_adapters.config.environment import substitute
from townlet_adapters.documents import parse_document
from townlet_core.errors import ConfigError, Problem

SINKS = "telemetry:\n  sinks:\n    - use: x\n      options: {path: '%s', more: {list: [a, '%s']}}\n"


def test_references_below_the_options_of_sinks_are_substituted(monkeypatch):
    monkeypatch.setenv("TRIAL_DIR", "/var/x")
    text = SINKS % ("${ENV:TRIAL_DIR}/a-${ENV:TRIAL_DIR}", "${ENV:TRIAL_DIR}")
    options = (
        substitute(parse_document(text, "a.yaml")).document.child(("telemetry", "sinks", 0, "options")).value
    )
    assert options == {"path": "/var/x/a-/var/x", "more": {"list": ["a", "/var/x"]}}


@pytest.mark.parametrize(
    "text",
    [
        "seed: ${ENV:TRIAL}",
        "world: {use: '${ENV:TRIAL}'}",
        "world: {options: {town: '${ENV:TRIAL}'}}",
        "policy: {use: '${ENV:TRIAL}'}",
        "plugins: {allow: [{distribution: '${ENV:TRIAL}'}]}",
        "telemetry: {sinks: [{use: '${ENV:TRIAL}'}]}",
        "telemetry: {sinks: [{use: x, stream: {mode: '${ENV:TRIAL}'}}]}",
        "telemetry: {sinks: [{use: x, options: {token_env: '${ENV:TRIAL}'}}]}",
        "telemetry: {sinks: [{use: x, options: {secret_file: '${ENV:TRIAL}'}}]}",
        "telemetry: {sinks: [{use: x, options: {'${ENV:TRIAL}': 1}}]}",
    ],
)
def test_references_anywhere_else_are_refused(monkeypatch, text):
    monkeypatch.setenv("TRIAL", "secret-value")
    with pytest.raises(ConfigError) as caught:
        substitute(parse_document(text, "a.yaml"))
    assert "${ENV:TRIAL}" in str(caught.value)
    assert "secret-value" not in str(caught.value)


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("${ENV:TRIAL_NOT_SET}", "TRIAL_NOT_SET is not set"),
        ("${ENV:a b}", "letters, digits"),
        ("${ENV:}", "letters"),
    ],
)
def test_a_reference_to_nothing_says_what_to_do(monkeypatch, reference, why):
    monkeypatch.delenv("TRIAL_NOT_SET", raising=False)
    with pytest.raises(ConfigError, match=why) as caught:
        substitute(parse_document(SINKS % (reference, ""), "a.yaml"))
    assert str(caught.value).startswith("a.yaml:4: telemetry.sinks[0].options.path: ")


def test_what_was_written_is_put_back_wherever_options_are_shown(monkeypatch):
    monkeypatch.setenv("TRIAL", "secret-value")
    done = substitute(parse_document(SINKS % ("${ENV:TRIAL}", "${ENV:TRIAL}"), "a.yaml"))
    below = ("telemetry", "sinks", 0, "options")
    shown = done.written({"path": "secret-value", "more": {"list": ("a", "secret-value")}, "other": 1}, below)
    assert shown == {"path": "${ENV:TRIAL}", "more": {"list": ["a", "${ENV:TRIAL}"]}, "other": 1}


@pytest.mark.parametrize("key", ["telemetry.sinks[0].options.path", "telemetry.sinks[0].options"])
def test_problems_do_not_tell_a_substituted_value(monkeypatch, key):
    monkeypatch.setenv("TRIAL", "secret-value")
    done = substitute(parse_document(SINKS % ("${ENV:TRIAL}", ""), "a.yaml"))
    told = str(done.unveil(Problem(key, '{"path": "secret-val...', "not secret-value", "a.yaml", 4)))
    assert "secret" not in told
    assert "${ENV:TRIAL}" in told
