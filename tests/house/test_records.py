"""Records are frozen and have slots; the few that are written to are named here."""

import ast

from tests.house.sources import PACKAGES, modules, tree

WRITTEN_TO = {
    "Canaries",
    "Ladder",
    "LifeTally",
    "Look",
    "NeedTally",
    "OptionTally",
    "Pace",
    "Person",
    "Recovered",
    "Report",
    "Shelf",
    "ShiftTally",
    "SocietyTally",
    "Tally",
    "UseTally",
    "Write",
    "_Counted",
    "_Lengths",
    "_Part",
    "_Post",
    "_Shelf",
    "_State",
    "_Window",
    "_WorldState",
}
# Slots leave no room for what a cached property keeps.
WITHOUT_SLOTS = {"Vocabulary"}


def dataclasses_of(path):
    """Name each dataclass of a module, with what its decorator is given."""
    for node in ast.walk(tree(path)):
        for decorator in node.decorator_list if isinstance(node, ast.ClassDef) else ():
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if ast.unparse(called).split(".")[-1] == "dataclass":
                given = decorator.keywords if isinstance(decorator, ast.Call) else []
                yield node.name, {each.arg: ast.unparse(each.value) for each in given}


def test_every_dataclass_has_slots_and_is_frozen_unless_it_is_written_to():
    found = [each for path in modules(*PACKAGES) for each in dataclasses_of(path)]
    assert {name for name, given in found if given.get("slots") != "True"} == WITHOUT_SLOTS
    assert {name for name, given in found if given.get("frozen") != "True"} == WRITTEN_TO
    assert {given.get("eq") for _, given in found} == {None, "False"}
