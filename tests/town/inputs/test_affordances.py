"""From the text of a manifest to typed affordances."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.town.words import CONDITION_NAMES, OBJECT_TYPES, SHIPPED, names_at
from townlet_adapters.documents import parse_document
from townlet_adapters.validation import validate
from townlet_adapters.worlds.town.codes import OPERATORS
from townlet_adapters.worlds.town.inputs.manifest import (
    Constant,
    Entry,
    Manifest,
    ManifestText,
    parse_condition,
    read_manifest,
)
from townlet_adapters.worlds.town.inputs.plan import load_town
from townlet_adapters.worlds.town.inputs.shipped import shipped_file
from townlet_adapters.worlds.town.inputs.texts import TownOptions
from townlet_core.errors import ConfigError

FRIDGE = names_at("fridge")
ONE = "- id: nap\n  object_type: bed\n  duration: 60\n"


def read(text: str) -> Manifest:
    document = parse_document(text, "m.yaml")
    texts = validate(document, ManifestText).root
    entries = [Entry(text, document.child((number,))) for number, text in enumerate(texts)]
    return read_manifest(entries, SHIPPED, "")


def complaint(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(text)
    return str(caught.value.problems[0])


def test_the_core_manifest_is_that_of_the_rules():
    manifest = load_town(TownOptions(), Path()).affordances
    assert manifest.checksum == hashlib.sha256(shipped_file("manifest").read_bytes()).hexdigest()
    rows = [(each.id, each.object_type, each.duration, len(each.charge)) for each in manifest.affordances]
    assert rows == [
        ("eat_meal", "fridge", 15, 2),
        ("cook_meal", "stove", 40, 2),
        ("use_shower", "shower", 30, 1),
        ("rest_sleep", "bed", 600, 1),
        ("buy_groceries", "checkout", 10, 1),
        ("buy_meal", "counter", 20, 1),
        ("relax", "bench", 120, 1),
        ("work_out", "rack", 60, 1),
    ]
    assert all(each.enabled for each in manifest.affordances)
    eat, cook, _, sleep, *_, relax, work_out = manifest.affordances
    assert dict(sleep.each_tick) == {"energy": 0.0017}
    assert [each.text for each in sleep.until] == ["energy >= 1", "tod >= 330", "tod < 1290"]
    assert (sleep.wakes_before, sleep.wakes_below, sleep.decay) == (120, 0.2, 0.5)
    assert (relax.until, relax.wakes_before, relax.wakes_below, relax.decay) == ((), -1, 0.3, 1.0)
    assert eat.preconditions[0].text == "hunger < 0.95"
    assert eat.tags == ("meal",)
    assert (eat.charge[0].inventory, eat.charge[0].stock, eat.charge[0].price) == ({"meal": 1}, {}, {})
    assert (eat.charge[1].inventory, eat.charge[1].stock, eat.charge[1].price) == (
        {},
        {"meal": 1},
        {"meal": 1},
    )
    assert eat.effects.need == {"hunger": 0.40, "energy": 0.05}
    assert cook.effects.inventory == {"meal": 1}
    assert relax.effects.relation == {"trust": 0.0, "familiarity": 0.03, "rivalry": 0.0}
    assert relax.charge[0].price == {}
    assert work_out.effects.need == {"energy": 0.05, "hygiene": -0.10, "hunger": -0.05}


def test_an_affordance_without_charge_and_effects_is_free_and_does_nothing():
    (nap,) = read(ONE).affordances
    assert [dict(charge.price) for charge in nap.charge] == [{}]
    assert (nap.effects.money, dict(nap.effects.need), nap.preconditions) == (0, {}, ())


BROKEN = {
    ONE + "  colour: red\n": "m.yaml:4: [0].colour: unknown key; ",
    ONE.replace("60", "601"): "m.yaml:3: [0].duration: 601; a whole number from 1 up to 600",
    ONE.replace("60", "1.5"): "m.yaml:3: [0].duration: 1.5; a whole number from 1 up to 600",
    ONE.replace("bed", "beds"): (
        "m.yaml:2: [0].object_type: unknown type of object 'beds'; did you mean 'bed'? "
    ),
    ONE.replace("nap", "Nap!"): 'm.yaml:1: [0].id: "Nap!"; ',
    "[]": "m.yaml:1: ",
    "a: 1": "m.yaml:1: ",
    "- 5": "m.yaml:1: [0]: 5; ",
    "".join(ONE.replace("nap", f"nap_{i}") for i in range(57)): "m.yaml:1: ",
    ONE + "  preconditions: [hungry < 1]\n": (
        "m.yaml:4: [0].preconditions[0]: 'hungry < 1': unknown name 'hungry'; did you mean 'hunger'? "
    ),
    ONE + "  preconditions:\n  - energy < 1\n  - stock.meal > 0\n": (
        "m.yaml:6: [0].preconditions[1]: 'stock.meal > 0': a bed has no stock of meal; "
    ),
    ONE + "  charge:\n  - {inventory:soup: 1}\n": (
        "m.yaml:5: [0].charge[0].inventory:soup: unknown charge 'inventory:soup'; "
    ),
    ONE + "  charge:\n  - {stock:meal: 1}\n": (
        "m.yaml:5: [0].charge[0].stock:meal: a bed has no stock of meal; "
    ),
    ONE + "  charge:\n  - {inventory:meal: 5}\n": (
        "m.yaml:5: [0].charge[0].inventory:meal: 5; allowed: a whole number from 1 to 4"
    ),
    ONE + "  charge:\n  - {price:shower: 0}\n": (
        "m.yaml:5: [0].charge[0].price:shower: 0; allowed: a whole number from 1 to 100"
    ),
    ONE + "  charge:\n  - {price:shower: 0.5}\n": "m.yaml:5: [0].charge[0].price:shower: 0.5; a whole number",
    ONE + "  charge: []\n": "m.yaml:4: [0].charge: ",
    ONE + "  effects: {need:joy: 1}\n": "m.yaml:4: [0].effects.need:joy: unknown effect 'need:joy'; ",
    ONE + "  effects: {need:energy: 2}\n": "m.yaml:4: [0].effects.need:energy: 2.0; allowed: a number from",
    ONE + "  effects: {stock:meal: 1}\n": "m.yaml:4: [0].effects.stock:meal: a bed has no stock of meal; ",
    ONE + "  effects: {inventory:meal: 1.5}\n": (
        "m.yaml:4: [0].effects.inventory:meal: 1.5; allowed: a whole number from -4 to 4"
    ),
    ONE + "  effects: {money: -1}\n": "m.yaml:4: [0].effects.money: -1.0; allowed: a whole number from 0 to",
    ONE
    + "  effects: {money: {trust: 1}}\n": "m.yaml:4: [0].effects.money: a mapping; allowed: a whole number",
    ONE + "  effects: {need:energy: {trust: 1}}\n": "m.yaml:4: [0].effects.need:energy: a mapping; allowed: ",
    ONE + "  effects: {relation:nearby: 1}\n": (
        "m.yaml:4: [0].effects.relation:nearby: 1.0; allowed: a mapping with trust, familiarity and rivalry"
    ),
    ONE
    + "  effects: {relation:nearby: {love: 1}}\n": "m.yaml:4: [0].effects.relation:nearby.love: unknown key",
    ONE + "  effects: {relation:all: {}}\n": (
        "m.yaml:4: [0].effects.relation:all: unknown effect 'relation:all'; did you mean 'relation:nearby'? "
    ),
    ONE + "  hooks:\n    before: [bakery]\n": (
        "m.yaml:5: [0].hooks.before[0]: unknown hook 'bakery'; known: none; plugins.hooks activates hooks"
    ),
    ONE + "  hooks: {during: [x]}\n": "m.yaml:4: [0].hooks.during: unknown key; ",
}


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_manifest_does_not_load_and_says_where_and_what_is_allowed(text: str):
    assert complaint(text).startswith(BROKEN[text])


def test_all_that_is_wrong_is_told_at_once_in_the_order_of_the_text():
    with pytest.raises(ConfigError) as caught:
        read(ONE + "  preconditions: [x, y]\n" + ONE.replace("nap", "doze") + "  effects: {z: 1}\n")
    assert [problem.line for problem in caught.value.problems] == [4, 4, 8]


@pytest.mark.parametrize(
    ("text", "lhs", "op", "rhs"),
    [
        ("hunger<0.95", "hunger", "<", Constant(0.95, "number", 0.95)),
        (" wallet  >=  price ", "wallet", ">=", FRIDGE.known["price"]),
        ("lateness_counter != 2", "lateness_counter", "!=", Constant(2.0, "number", 2.0)),
        ("tod > -1e2", "tod", ">", Constant(-100.0, "number", -100.0)),
        ("stock.meal <= inventory.meal", "stock.meal", "<=", FRIDGE.known["inventory.meal"]),
        ("occupied == false", "occupied", "==", Constant(value=False, type="bool", code=0.0)),
        ("at_home != on_shift", "at_home", "!=", FRIDGE.known["on_shift"]),
        ("shift_state == 'grace'", "shift_state", "==", Constant("grace", "shift_state", 2.0)),
        ('place_kind != "cafe"', "place_kind", "!=", Constant("cafe", "place_kind", 3.0)),
        ('profile == "stoic"', "profile", "==", Constant("stoic", "profile", 3.0)),
    ],
)
def test_a_precondition_compares_a_name_with_a_value_of_its_type(text, lhs, op, rhs):
    condition = parse_condition(text, FRIDGE)
    assert condition is not None
    assert (condition.lhs, condition.op, condition.rhs) == (FRIDGE.known[lhs], op, rhs)
    assert condition.text == text


@pytest.mark.parametrize(
    ("text", "found", "allowed"),
    [
        ("hunger", "this is not a comparison", "NAME OP VALUE with OP one of == != < <= > >="),
        ("", "this is not a comparison", "NAME OP VALUE"),
        ("0.5 < hunger", "this is not a comparison", "NAME OP VALUE"),
        ("hunger =< 1", "this is not a comparison", "NAME OP VALUE"),
        (
            "hunger < 1 and energy < 1",
            "invalid value 1 and energy < 1",
            "a number, true, false, a quoted text or a name",
        ),
        ("hunger < 1e999", "1e999 is not a finite double", "a finite number"),
        ("hunger < energi", "unknown name 'energi'", "did you mean 'energy'?"),
        ("stock.ingredients > 0", "a fridge has no stock of ingredients", "known: meal"),
        ("hunger == true", "hunger is a number, but true is true or false", "both sides of the same type"),
        ("hunger == 'low'", "hunger is a number, but 'low' is text", "both sides of the same type"),
        ("closed == 0", "closed is true or false, but 0 is a number", "both sides of the same type"),
        ("closed < true", "operator < on true or false", "== !="),
        ("profile >= 'stoic'", "operator >= on a text (profile)", "== !="),
        ("profile == stoic", "stoic is a text, and texts need quotes", "profile OP 'stoic'"),
        ("place_kind == office", "office is a text, and texts need quotes", "place_kind OP 'office'"),
        ("profile == 'stoik'", "'stoik' is not a value of profile", "did you mean 'stoic'?"),
        (
            "profile == place_kind",
            "profile is a text (profile), but place_kind is a text",
            "both sides of the same type",
        ),
    ],
)
def test_a_wrong_precondition_says_what_is_allowed(text, found, allowed):
    with pytest.raises(ValueError, match=r"\w") as caught:
        parse_condition(text, FRIDGE)
    assert caught.value.args[0].startswith(found)
    assert allowed in caught.value.args[1]


words = st.sampled_from([*CONDITION_NAMES, *OPERATORS, "true", "'stoic'", "1", "-0.5", ".", "'", " "])


@given(
    st.text(max_size=40) | st.lists(words, max_size=5).map(" ".join), st.sampled_from(sorted(OBJECT_TYPES))
)
def test_any_text_is_a_precondition_or_refused_with_found_and_allowed(text, kind):
    try:
        condition = parse_condition(text, names_at(kind))
    except ValueError as error:
        found, allowed = error.args
        complete = bool(found) and bool(allowed)
    else:
        complete = condition is not None and condition.lhs.type == condition.rhs.type
    assert complete
