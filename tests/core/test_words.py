"""Names, lists and numbers become English words, whatever the vocabulary."""

import pytest

from townlet_core import words


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
def test_a_thing_is_called_without_its_number(name: str, word: str) -> None:
    assert words.noun(name) == word


def test_durations_read_well() -> None:
    assert [words.lasting(ticks) for ticks in (0, 1, 12, 59, 60, 61, 120, 125)] == [
        "0 minutes", "a minute", "12 minutes", "59 minutes", "an hour", "1 h 1 min", "2 hours", "2 h 5 min",
    ]  # fmt: skip


def test_counts_and_places_in_an_order_read_well() -> None:
    assert [words.times(count) for count in (2, 10, 11)] == ["twice", "ten times", "11 times"]
    assert [words.ordinal(count) for count in (2, 7, 8)] == ["second", "seventh", "8th"]
    assert [words.ordinal(count) for count in (11, 12, 21, 22, 23, 24, 111)] == [
        "11th", "12th", "21st", "22nd", "23rd", "24th", "111th",
    ]  # fmt: skip


def test_a_time_of_day_has_two_digits_each() -> None:
    assert [words.clock(tod) for tod in (0, 365, 1440)] == ["00:00", "06:05", "24:00"]


def test_thousandths_have_two_decimals() -> None:
    assert [words.thousandths(number) for number in (450, 1_234_500)] == ["0.45", "1,234.50"]


def test_a_list_has_an_and_before_its_last_word() -> None:
    assert [words.listing(names) for names in ([], ["Ivo"], ["Ivo", "Uma"], ["Ivo", "Uma", "Kaia"])] == [
        "", "Ivo", "Ivo and Uma", "Ivo, Uma and Kaia",
    ]  # fmt: skip


def test_a_word_has_its_article() -> None:
    assert [words.with_article(word) for word in ("meal", "apple")] == ["a meal", "an apple"]
