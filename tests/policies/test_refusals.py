"""Nobody plans a use that the view says is refused; one test for each reason."""

import pytest

from tests.policies.conftest import MANIFEST, Row, SmallTown
from townlet_adapters.policies.scripted.options import ScriptedOptions
from townlet_adapters.policies.scripted.policy import ScriptedPolicy

GET_FED, GET_CLEAN, REST, IDLE = 0, 1, 2, 7
NOON, QUEUED, HELD = 700, 1, 2
NAMES = [affordance.name for affordance in MANIFEST]
SHOWER = NAMES.index("use_shower")
LESS, EQUAL = 0, 1


def chosen(town, tick=NOON):
    """The option and the action of slot 0."""
    policy = ScriptedPolicy(ScriptedOptions())
    policy.begin(town.spec, 7)
    actions = policy.decide(town.observe(tick)).actions
    return actions.context.option[0], town.spec.action_names[actions.action[0]]


def dirty(**more):
    """A small town whose first resident wants a shower; ``condition`` is a row of the table about it."""
    town = SmallTown(**more)
    town.needs[0, 1] = 0.4
    assert chosen(SmallTown())[0] == IDLE
    return town


@pytest.mark.parametrize("reason", [1, 2])
def test_a_use_that_is_refused_to_the_resident_is_not_planned(reason):
    town = dirty()
    assert chosen(town)[0] == GET_CLEAN
    town.refusal[1, SHOWER] = reason
    assert chosen(town)[0] == GET_CLEAN
    town.refusal[0, SHOWER] = reason
    assert chosen(town)[0] == IDLE


def test_a_use_that_is_refused_at_the_object_is_not_planned():
    town = dirty()
    town.object_refusal[town.object("B"), SHOWER] = 2
    assert chosen(town)[0] == GET_CLEAN
    town.object_refusal[town.object("W"), SHOWER] = 2
    assert chosen(town)[0] == IDLE


def holds(town, **columns):
    """Whether the shower is planned with these values of slot 0 or of the shower."""
    for name, value in columns.items():
        getattr(town, name)[town.object("W") if name.startswith("object") else 0] = value
    return chosen(town)[0] == GET_CLEAN


@pytest.mark.parametrize(
    ("row", "true", "false"),
    [
        (Row(SHOWER, "resident", 0, LESS, "object", 0), (0.4, 0.5), (0.5, 0.5)),
        (Row(SHOWER, "object", 0, LESS, "resident", 0), (0.5, 0.4), (0.4, 0.4)),
        (Row(SHOWER, "object", 0, EQUAL, "resident", 0), (0.5, 0.5), (0.4, 0.5)),
        (Row(SHOWER, "resident", 0, 2, "object", 0), (0.5, 0.5), (0.6, 0.5)),
        (Row(SHOWER, "resident", 0, 3, "object", 0), (0.6, 0.5), (0.5, 0.5)),
        (Row(SHOWER, "resident", 0, 4, "object", 0), (0.5, 0.5), (0.4, 0.5)),
        (Row(SHOWER, "resident", 0, 5, "object", 0), (0.6, 0.5), (0.5, 0.5)),
    ],
)
def test_a_condition_on_both_sides_is_evaluated_with_each_operator(row, true, false):
    town = dirty(conditions=[row])
    assert holds(town, resident_value=true[0], object_value=true[1])
    assert not holds(town, resident_value=false[0], object_value=false[1])


def test_a_condition_of_another_affordance_does_not_count():
    assert chosen(dirty(conditions=[Row(SHOWER + 1, "object", 0, LESS, "resident", 0)]))[0] == GET_CLEAN


def test_the_price_may_be_part_of_a_condition():
    """A shower costs 200."""
    assert holds(dirty(conditions=[Row(SHOWER, "price", -1, LESS, "constant", right_value=201)]))
    assert not holds(dirty(conditions=[Row(SHOWER, "price", -1, LESS, "constant", right_value=200)]))


def test_an_object_is_occupied_when_another_holds_it():
    town = dirty(conditions=[Row(SHOWER, "occupied", -1, EQUAL, "constant", right_value=0)])
    assert holds(town, object_holder=-1)
    assert holds(town, object_holder=0)
    assert not holds(town, object_holder=2)


@pytest.mark.parametrize(("operand", "column"), [("at_home", "home_place"), ("on_shift", "duty_place")])
def test_at_an_object_a_resident_is_where_the_object_is(operand, column):
    town = dirty(conditions=[Row(SHOWER, operand, -1, EQUAL, "constant", right_value=1)])
    place = int(town.constants["object_place"][town.object("W")])
    assert holds(town, **{column: place})
    assert not holds(town, **{column: place + 1})


def test_what_does_not_fit_into_the_bag_is_not_fetched():
    town = SmallTown()
    town.wallet[0] = 4999
    assert chosen(town, 1440 + NOON)[0] == 4
    town.constants["affordance_yield"].obj[NAMES.index("buy_groceries"), 1] = 7
    assert chosen(town, 1440 + NOON)[0] == IDLE


def test_a_queued_resident_leaves_when_its_use_is_refused_to_it():
    town = dirty()
    town.option[0] = GET_CLEAN
    town.claim(0, "W", "use_shower", QUEUED)
    assert chosen(town)[1] == "wait"
    town.object_refusal[town.object("W"), SHOWER] = 2
    assert chosen(town)[1] == "wait"
    town.refusal[0, SHOWER] = 2
    assert chosen(town)[1] == "leave"


def test_a_holder_leaves_when_the_object_refuses_its_use():
    town = dirty()
    town.xy[0] = 3, 3
    town.option[0] = GET_CLEAN
    town.claim(0, "W", "use_shower", HELD)
    assert chosen(town)[1] == "use:use_shower"
    town.object_refusal[town.object("W"), SHOWER] = 2
    assert chosen(town)[1] == "leave"


def test_a_critical_need_that_is_refused_keeps_no_other_from_being_critical():
    town = dirty()
    town.job[0] = 0
    town.needs[0] = 0.14, 0.1, 0.9
    assert chosen(town, 480)[0] == GET_CLEAN
    town.refusal[0, SHOWER] = 1
    assert chosen(town, 480)[0] == GET_FED
    town.refusal[0, SHOWER] = 0
    town.object_refusal[town.object("W"), SHOWER] = 2
    assert chosen(town, 480)[0] == GET_FED
