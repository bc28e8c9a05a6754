"""Ids and numbers become English, whatever the vocabulary."""

import pytest

from townlet_adapters.story import english


@pytest.mark.parametrize(
    ("words", "past", "present"),
    [
        ("eat_meal", "ate a meal", "eat a meal"),
        ("eat_apple", "ate an apple", "eat an apple"),
        ("buy_groceries", "bought groceries", "buy groceries"),
        ("use_shower", "used the shower", "use the shower"),
        ("work_out", "worked out", "work out"),
        ("go_to_church", "went to church", "go to church"),
        ("relax", "relaxed", "relax"),
        ("play_chess", "played chess", "play chess"),
        ("try_dress", "tried a dress", "try a dress"),
        ("jog", "jogged", "jog"),
        ("visit_old_friend", "visited an old friend", "visit an old friend"),
        ("rest_sleep", "slept", "sleep"),
        ("night_sleep", "slept", "sleep"),
        ("bake-bread", "baked bread", "bake bread"),
        ("meditate", "meditated", "meditate"),
    ],
)
def test_the_id_of_an_affordance_reads_as_what_was_done(words, past, present):
    assert english.phrase(words, past=True) == past
    assert english.phrase(words, past=False) == present


@pytest.mark.parametrize(
    ("words", "once_more"),
    [
        ("eat_meal", "ate another meal"),
        ("buy_groceries", "bought groceries again"),
        ("use_shower", "used the shower again"),
        ("work_out", "worked out again"),
        ("rest_sleep", "slept again"),
    ],
)
def test_what_is_done_once_more_says_so(words, once_more):
    assert english.phrase(words, past=True, again=True) == once_more


@pytest.mark.parametrize("words", ["", "_", "__x", "7", "ünder_über", "a" * 500])
def test_an_id_that_is_not_english_still_gives_a_text(words):
    assert english.phrase(words, past=True)
    assert english.phrase(words, past=False, again=True)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("shower_2", "shower"),
        ("barista@r0c1", "barista"),
        ("coffee_bar_12", "coffee bar"),
        ("_7", "_7"),
        ("", ""),
    ],
)
def test_a_thing_is_called_without_its_number(name, word):
    assert english.noun(name) == word


def test_amounts_read_well():
    assert [english.coins(mills) for mills in (450, 1000, 1004, 2_500_000)] == [
        "0.45 coins",
        "a coin",
        "a coin",
        "2,500.00 coins",
    ]
    assert [english.lasting(ticks) for ticks in (1, 12, 60, 120, 125)] == [
        "a minute",
        "12 minutes",
        "an hour",
        "2 hours",
        "2 h 5 min",
    ]
    assert [english.times(count) for count in (2, 10, 11)] == ["twice", "ten times", "11 times"]
    assert [english.ordinal(count) for count in (2, 7, 8)] == ["second", "seventh", "8th"]
    assert [english.ordinal(count) for count in (11, 12, 21, 22, 23, 24, 111)] == [
        "11th", "12th", "21st", "22nd", "23rd", "24th", "111th",
    ]  # fmt: skip
    assert [english.clock(tod) for tod in (0, 365, 1440)] == ["00:00", "06:05", "24:00"]


def test_a_sentence_has_a_capital_a_stop_and_its_asides():
    assert english.sentence(["ate", "then slept"], ["Ivo came"]) == "Ate, then slept; Ivo came."
    assert english.listing([]) == ""
    assert english.listing(["Ivo"]) == "Ivo"
    assert english.listing(["Ivo", "Uma", "Kaia"]) == "Ivo, Uma and Kaia"
