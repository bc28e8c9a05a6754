"""The sinks we ship come through the door and say what their options may be."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from townlet_adapters.documents import Document
from townlet_adapters.telemetry.plugin import townlet_sinks
from townlet_adapters.validation import validate
from townlet_adapters.worlds.town.events.economy import EconomyRestock
from townlet_core.errors import ConfigError, NoRunFolderError
from townlet_core.events.base import Fact
from townlet_core.testing import check_sink
from townlet_plugins.access import Access
from townlet_plugins.factory import BuildContext

ROOT = Path(__file__).parents[2]
SINKS = {factory.name: factory for factory in townlet_sinks()}


def prepare(name, options):
    text = json.dumps(options)
    return SINKS[name].prepare(lambda model: model.model_validate_json(text, strict=True), Path())


def context(run_dir, producer=1):
    return BuildContext(seed=7, access=Access(Path()), run_dir=run_dir, run_id="run-1", producer=producer)


def test_four_sinks_are_offered_each_with_its_target():
    targets = {name: factory.target for name, factory in SINKS.items()}
    assert targets == {"stdout": "", "file": "path", "tcp": "endpoint", "http": "url"}
    assert all(factory.summary for factory in SINKS.values())


def test_the_file_lies_in_the_run_folder_and_names_run_and_producer(tmp_path):
    sink = prepare("file", {}).build(context(tmp_path, producer=2))
    sink.start()
    sink.emit(Fact(0, 0, EconomyRestock("fridge_1", "meal", 1)))
    assert sink.stop(30).delivered == 1
    assert '"source":"urn:townlet:run:run-1:p2"' in (tmp_path / "events.ndjson").read_text()


def test_an_absolute_path_needs_no_run_folder(tmp_path):
    sink = prepare("file", {"path": str(tmp_path / "here.ndjson")}).build(context(None))
    sink.start()
    sink.stop(30)
    assert (tmp_path / "here.ndjson").exists()


def test_a_relative_path_without_a_run_folder_is_told_apart_from_every_other_error():
    with pytest.raises(NoRunFolderError, match=r"events\.ndjson.*is not opened"):
        prepare("file", {}).build(context(None))


@pytest.mark.parametrize(
    "options",
    [
        {"paht": "x"},
        {"path": ""},
        {"on_full": "block"},
        {"buffer_events": 0},
        {"buffer_events": "8192"},
        {"buffer_bytes": 1},
        {"rotate_bytes": (1 << 20) - 1},
        {"stream": {"mode": "off"}},
    ],
)
def test_wrong_options_are_refused(options):
    with pytest.raises(ValidationError):
        prepare("file", options)


def test_options_are_told_with_their_defaults():
    assert prepare("file", {}).options == {
        "path": "events.ndjson",
        "rotate_bytes": None,
        "on_full": "wait",
        "buffer_events": 8192,
        "buffer_bytes": 64 * 1024 * 1024,
    }


def test_every_option_is_explained():
    for factory in SINKS.values():
        schema = factory.options.model_json_schema()
        for section in (schema, *schema.get("$defs", {}).values()):
            for option in section["properties"].values():
                assert option["description"]


def test_the_page_of_sinks_names_every_option():
    page = (ROOT / "docs/operations/sinks.md").read_text(encoding="utf-8")
    for name in SINKS:
        assert f"| `{name}` |" in page
    for factory in SINKS.values():
        schema = factory.options.model_json_schema()
        tls = schema.get("$defs", {}).get("TlsOptions", {}).get("properties", {})
        for option in (*(set(schema["properties"]) - {"tls"}), *(f"tls.{each}" for each in tls)):
            assert f"`{option}`" in page


TCP = {"endpoint": "collector.example:7443"}
HTTP = {"url": "https://collector.example/v1/events"}
HERE = {"tcp": {"endpoint": "127.0.0.1:7443"}, "http": {"url": "http://localhost:8080/"}}


def refusal(name, options):
    with pytest.raises((ConfigError, ValidationError)) as caught:
        prepare(name, options)
    return str(caught.value)


def test_options_of_network_sinks_are_told_with_their_defaults():
    common = {
        "on_full": "shed",
        "buffer_events": 8192,
        "buffer_bytes": 64 * 1024 * 1024,
        "durability": "process",
        "spool_dir": "spool",
        "spool_bytes": 1024 * 1024 * 1024,
        "dead_letter_bytes": 64 * 1024 * 1024,
        "timeout_seconds": 10.0,
        "allow_plaintext": False,
        "tls": {
            "ca_file": None,
            "cert_file": None,
            "key_file": None,
            "min_version": "1.3",
            "crl_file": None,
            "key_sha256": [],
        },
    }
    assert prepare("tcp", TCP).options == common | TCP | {"token_env": "TOWNLET_TOKEN", "token_file": None}
    none = dict.fromkeys(["secret_file", "second_secret_env", "second_secret_file"])
    assert prepare("http", HTTP).options == common | HTTP | none | {"secret_env": "TOWNLET_SECRET"}


@pytest.mark.parametrize(
    ("name", "options", "variable"),
    [
        ("tcp", {}, "TOWNLET_TOKEN"),
        ("tcp", {"tls": {"ca_file": "c"}}, "TOWNLET_TOKEN"),
        ("tcp", {"token_file": "t"}, None),
        ("tcp", {"tls": {"cert_file": "c", "key_file": "k"}}, None),
        ("tcp", {"tls": {"cert_file": "c", "key_file": "k"}, "token_env": "T"}, "T"),
        ("http", {}, "TOWNLET_SECRET"),
        ("http", {"tls": {"cert_file": "c", "key_file": "k"}}, "TOWNLET_SECRET"),
        ("http", {"secret_file": "s"}, None),
        ("http", {"secret_env": "S"}, "S"),
    ],
)
def test_the_default_variable_holds_the_secret_unless_something_else_does(name, options, variable):
    own = TCP if name == "tcp" else HTTP
    assert prepare(name, own | options).options["token_env" if name == "tcp" else "secret_env"] == variable


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"endpoint": "collector.example"},
        {"endpoint": "collector.example:0"},
        TCP | {"url": "https://collector.example/"},
        TCP | {"token": "0123456789abcdef"},
        TCP | {"token_env": "0123456789-abcdef"},
        TCP | {"token_env": "T", "token_file": "t"},
        TCP | {"durability": "forever"},
        TCP | {"spool_dir": ""},
        TCP | {"spool_bytes": 1024},
        TCP | {"timeout_seconds": 0},
        TCP | {"timeout_seconds": 3600},
        TCP | {"allow_plaintext": "yes"},
        TCP | {"tls": {"verify": False}},
        TCP | {"tls": {"min_version": "1.1"}},
        TCP | {"tls": {"key_sha256": ["AB" * 32]}},
        TCP | {"tls": {"cert_file": "c.pem"}},
        TCP | {"tls": {"key_file": "k.pem"}},
    ],
)
def test_wrong_options_of_the_tcp_sink_are_refused(options):
    assert refusal("tcp", options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"url": "collector.example/v1"},
        {"url": "ftp://collector.example/"},
        HTTP | {"secret": "0123456789abcdef0123456789abcdef"},
        HTTP | {"secret_env": "S", "secret_file": "s"},
        HTTP | {"second_secret_env": "S", "second_secret_file": "s"},
        HTTP | {"token_env": "T"},
    ],
)
def test_wrong_options_of_the_http_sink_are_refused(options):
    assert refusal("http", options)


def test_a_password_in_an_address_is_refused_and_not_repeated():
    for name, options in (
        ("http", {"url": "https://ann:hunter2@collector.example/"}),
        ("tcp", {"endpoint": "ann:hunter2@collector.example:7443"}),
    ):
        told = refusal(name, options)
        assert "before '@'" in told
        assert "hunter2" not in told


@pytest.mark.parametrize("name", ["tcp", "http"])
def test_plaintext_needs_its_flag_and_a_peer_on_this_machine(name):
    assert prepare(name, HERE[name] | {"allow_plaintext": True})
    far = {"endpoint": "10.0.0.1:7443"} if name == "tcp" else {"url": "http://collector.example/"}
    assert "plaintext stays on this machine" in refusal(name, far | {"allow_plaintext": True})
    both = HERE[name] | {"allow_plaintext": True, "tls": {"ca_file": "ca.pem"}}
    assert "nothing here would be encrypted" in refusal(name, both)


def test_a_plaintext_address_without_the_flag_is_refused():
    for url in ("http://localhost:8080/", "http://collector.example/"):
        assert "would be reached in plaintext" in refusal("http", {"url": url})


def test_the_flag_changes_nothing_for_an_encrypted_address():
    assert prepare("http", HTTP | {"allow_plaintext": True, "tls": {"ca_file": "ca.pem"}})


@pytest.mark.parametrize("name", ["stdout", "file"])
def test_a_sink_keeps_the_contract_of_sinks(name, tmp_path):
    check_sink(lambda: prepare(name, {}).build(context(tmp_path)), observations=True)


def test_a_wrong_address_hides_no_other_mistake():
    options = {"endpoint": "user:hunter2@x:1", "tls": {"min_version": "1.1"}, "spool_byts": 3}
    with pytest.raises(ConfigError) as caught:
        validate(Document(options, "config"), SINKS["tcp"].options)
    assert sorted(problem.key for problem in caught.value.problems) == [
        "endpoint",
        "spool_byts",
        "tls.min_version",
    ]
    assert "hunter2" not in str(caught.value)
