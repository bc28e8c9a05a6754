"""The import contracts say what the architecture says, without exceptions."""

import re
import tomllib

from tests.house.sources import ROOT

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
CONTRACTS = SETTINGS["contracts"]


def layers_of(container: str | None) -> list[str]:
    """The layers of the one contract for a container, None for the packages themselves."""
    (contract,) = (
        contract
        for contract in CONTRACTS
        if contract["type"] == "layers" and contract.get("containers", [None]) == [container]
    )
    return contract["layers"]


def test_no_contract_has_a_list_of_exceptions():
    assert CONTRACTS
    for contract in CONTRACTS:
        assert "ignore_imports" not in contract, contract["name"]
        assert "unmatched_ignore_imports_alerting" not in contract, contract["name"]


def test_imports_for_type_checking_count():
    assert "exclude_type_checking_imports" not in SETTINGS


def test_the_packages_form_one_chain():
    assert layers_of(None) == ["townlet", "townlet_adapters", "townlet_plugins", "townlet_core"]


def test_the_families_of_adapters_do_not_know_each_other():
    layers = layers_of("townlet_adapters")
    assert layers[:4] == ["cli", "drawing", "running | story", "composition"]
    assert {"config", "worlds", "policies", "telemetry"} <= set(layers[4].split(" | "))
    assert {name for layer in layers[5:] for name in layer.split(" | ")} == {
        "validation",
        "kernels",
        "documents",
        "secrets",
        "eventfiles",
        "files",
        "disk",
        "guards",
        "workdir",
    }


def test_every_contract_inside_a_package_covers_the_whole_package():
    inner = [contract for contract in CONTRACTS if "containers" in contract]
    assert inner
    for contract in inner:
        assert contract["exhaustive"] is True, contract["name"]
        assert "exhaustive_ignores" not in contract, contract["name"]


def test_plugins_import_the_core_and_the_door_only():
    sources = [
        *(ROOT / "examples").glob("*/src/**/*.py"),
        *(ROOT / "townlet_adapters/cli/templates").glob("*/src/**/*.py.in"),
    ]
    assert len(sources) > 6
    found = [
        f"{path.relative_to(ROOT)}: {line}"
        for path in sources
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.match(r"\s*(?:from|import) townlet(?:_adapters)?\b", line)
    ]
    assert found == []
