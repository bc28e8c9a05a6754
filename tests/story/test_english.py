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


def test_amounts_read_well():
    assert [english.coins(mills) for mills in (450, 1000, 1004, 2_500_000)] == [
        "0.45 coins",
        "a coin",
        "a coin",
        "2,500.00 coins",
    ]


def test_a_sentence_has_a_capital_a_stop_and_its_asides():
    assert english.sentence(["ate", "then slept"], ["Ivo came"]) == "Ate, then slept; Ivo came."


@pytest.mark.parametrize(
    ("words", "now"),
    [
        ("cook_meal", "cooking a meal"),
        ("use_shower", "using the shower"),
        ("rest_sleep", "sleeping"),
        ("run", "running"),
        ("see_film", "seeing a film"),
        ("work_out", "working out"),
        ("eat_meal", "eating a meal"),
    ],
)
def test_what_lasts_is_said_in_the_present(words, now):
    assert english.doing(words) == now
