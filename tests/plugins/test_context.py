"""What a plugin's sink is built with."""

import pytest

from townlet_adapters.telemetry.testing import ScriptedTransport
from townlet_core.errors import ContractError
from townlet_core.testing import CollectingSink
from townlet_plugins.access import Access
from townlet_plugins.factory import BuildContext


def test_a_sink_that_delivers_can_be_built_only_in_a_run(tmp_path):
    context = BuildContext(7, Access(tmp_path), None, "run")
    with pytest.raises(ContractError, match="the sink 'mine' can be built only in a run; use"):
        context.delivering_sink("mine", ScriptedTransport())


def test_a_run_builds_a_sink_that_delivers_from_the_context_the_name_and_the_transport(tmp_path):
    asked = []

    def delivery(*arguments):
        asked.append(arguments)
        return CollectingSink("mine")

    context = BuildContext(7, Access(tmp_path), None, "run", delivery=delivery)
    transport = ScriptedTransport()
    assert context.delivering_sink("mine", transport).status().name == "mine"
    assert asked == [(context, "mine", transport)]
