"""Records are frozen and have slots; the few that are written to are named here."""

import ast

from tests.house.sources import PACKAGES, ROOT, modules, tree

WRITTEN_TO = {
    "townlet_adapters/telemetry/collector/plan.py: Write",
    "townlet_adapters/telemetry/collector/shelf.py: Shelf",
    "townlet_adapters/telemetry/spool/inspect.py: Look",
    "townlet_adapters/telemetry/spool/recovery.py: Recovered",
    "townlet_core/observers/kpis.py: _State",
    "townlet_core/observers/needs.py: NeedTally",
    "townlet_core/observers/options.py: OptionTally",
    "townlet_core/observers/shifts.py: ShiftTally",
    "townlet_core/observers/uses.py: UseTally",
    "townlet_core/testing/fakes.py: _WorldState",
    "townlet_plugins/catalogue.py: _Shelf",
}


def dataclasses_of(path):
    """Name each dataclass of a module, with what its decorator is given."""
    for node in ast.walk(tree(path)):
        for decorator in node.decorator_list if isinstance(node, ast.ClassDef) else ():
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if ast.unparse(called).split(".")[-1] == "dataclass":
                given = decorator.keywords if isinstance(decorator, ast.Call) else []
                where = f"{path.relative_to(ROOT).as_posix()}: {node.name}"
                yield where, {each.arg: ast.unparse(each.value) for each in given}


def test_every_dataclass_has_slots_and_is_frozen_unless_it_is_written_to():
    found = dict(each for path in modules(*PACKAGES) for each in dataclasses_of(path))
    assert {where for where, given in found.items() if given.get("slots") != "True"} == set()
    assert {where for where, given in found.items() if given.get("frozen") != "True"} == WRITTEN_TO
    assert {given.get("eq") for given in found.values()} == {None, "False"}
