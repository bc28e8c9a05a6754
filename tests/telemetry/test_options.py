"""The sinks we ship come through the door and say what their options may be."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from townlet_adapters.telemetry.plugin import townlet_sinks
from townlet_core.errors import NoRunFolderError
from townlet_core.events.base import Fact
from townlet_core.events.economy import EconomyRestock
from townlet_core.testing import check_sink
from townlet_plugins.factory import BuildContext

SINKS = {factory.name: factory for factory in townlet_sinks()}


def prepare(name, options):
    text = json.dumps(options)
    return SINKS[name].prepare(lambda model: model.model_validate_json(text, strict=True), Path())


def context(run_dir, producer=1):
    return BuildContext(seed=7, config_dir=Path(), run_dir=run_dir, run_id="run-1", producer=producer)


def test_stdout_and_file_are_offered():
    assert set(SINKS) == {"stdout", "file"}
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
        {"stream": {"mode": "off"}},
    ],
)
def test_wrong_options_are_refused(options):
    with pytest.raises(ValidationError):
        prepare("file", options)


def test_options_are_told_with_their_defaults():
    assert prepare("file", {}).options == {
        "path": "events.ndjson",
        "on_full": "wait",
        "buffer_events": 8192,
        "buffer_bytes": 64 * 1024 * 1024,
    }


def test_every_option_is_explained():
    for factory in SINKS.values():
        for option in factory.options.model_json_schema()["properties"].values():
            assert option["description"]


@pytest.mark.parametrize("name", ["stdout", "file"])
def test_a_sink_keeps_the_contract_of_sinks(name, tmp_path):
    check_sink(lambda: prepare(name, {}).build(context(tmp_path)))
