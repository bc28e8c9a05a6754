"""Days follow each other, and what lasts over midnight is on both; no more than a day is held."""

import tracemalloc
from itertools import islice

from tests.story.script import DAY, Script, arrive, come, finish, join, leave, start
from townlet_adapters.eventfiles import StoredEvent, read_event
from townlet_adapters.story.sentences import chronicle
from townlet_adapters.worlds.town.events.affordance import AffordanceStart

IRIS = "a00001"


def days_of(script):
    book = chronicle()
    events = (event for line in script.lines if (event := read_event(line)) and book.wants(event.kind))
    return list(book.days(events))


def lines_of(day, number=0):
    return [f"{time} {text}" for time, text in day.chapters[number].lines()]


def test_a_sleep_over_midnight_is_on_both_days():
    script = Script().at("00:00", arrive(IRIS, "Iris"))
    script.at("22:30", start(IRIS, "rest_sleep", "bed_1")).at("00:00", day=1)
    script.at("06:09", finish(IRIS, "rest_sleep", "bed_1"), day=1)
    first, second = days_of(script)
    assert (first.number, first.is_whole, second.number, second.is_whole) == (0, True, 1, False)
    assert lines_of(first)[1:] == ["22:30 Slept past midnight."]
    assert first.chapters[0].closing == "In all: slept 1 h 30 min."
    assert lines_of(second) == ["00:00 Slept until 06:10, since 22:30 the day before."]
    assert second.chapters[0].closing == "In all: slept 6 h 10 min."


def test_a_night_shift_and_a_wait_over_midnight_are_on_both_days():
    script = Script().at("00:00", arrive(IRIS, "Iris"), arrive("a00002", "Karl"))
    script.at("22:00", come(IRIS, "guard")).at("23:50", join("a00002", "eat_meal", "fridge_1"))
    script.at("23:59").at("00:20", start("a00002", "eat_meal", "fridge_1"), day=1)
    script.at("00:34", finish("a00002", "eat_meal", "fridge_1"), day=1)
    script.at("01:59", leave(IRIS, "guard", 240), day=1)
    first, second = days_of(script)
    assert lines_of(first)[1:] == ["22:00 Worked as a guard past midnight."]
    assert lines_of(second) == ["00:00 Worked as a guard until 02:00."]
    assert lines_of(first, 1)[1:] == []
    assert lines_of(second, 1) == ["00:00 Ate a meal."]


def test_a_brief_use_over_midnight_is_on_the_day_on_which_it_began():
    script = (
        Script().at("00:00", arrive(IRIS, "Iris")).at("23:50", start(IRIS, "use_shower", "shower_1", 200))
    )
    script.at("23:59").at("00:19", finish(IRIS, "use_shower", "shower_1"), day=1)
    script.at("08:00", start(IRIS, "use_shower", "shower_1", 200), day=1)
    script.at("08:29", finish(IRIS, "use_shower", "shower_1"), day=1)
    first, second = days_of(script)
    assert lines_of(first)[1:] == ["23:50 Used the shower for 0.20 coins."]
    assert lines_of(second) == ["08:00 Used the shower for 0.20 coins."]


def test_a_sleep_over_two_midnights_names_the_day_on_which_it_began():
    script = Script().at("00:00", arrive(IRIS, "Iris")).at("22:30", start(IRIS, "rest_sleep", "bed_1"))
    script.at("23:59").at("23:59", day=1).at("01:59", finish(IRIS, "rest_sleep", "bed_1"), day=2)
    first, second, third = days_of(script)
    assert [day.chapters[0].closing for day in (first, second, third)] == [
        "In all: slept 1 h 30 min.",
        "In all: slept 24 hours.",
        "In all: slept 2 hours.",
    ]
    assert lines_of(second) == ["00:00 Slept past midnight."]
    assert lines_of(third) == ["00:00 Slept until 02:00, since 22:30 on day 0."]


def test_the_clock_is_that_of_the_town_wherever_its_first_day_begins():
    script = Script(start_tod=360).at("06:00", arrive(IRIS, "Iris"))
    script.at("07:00", start(IRIS, "eat_meal", "fridge_1")).at("07:14", finish(IRIS, "eat_meal", "fridge_1"))
    script.at("23:59").at("00:00", day=1)
    first, second = days_of(script)
    assert lines_of(first) == ["06:00 Began with 2.00 coins in the wallet.", "07:00 Ate a meal."]
    assert (second.number, lines_of(second)) == (1, [])


def test_a_stream_without_the_loops_own_events_has_days_of_1440_ticks():
    script = Script().at("00:00", arrive(IRIS, "Iris"), closed=False)
    script.at("10:00", start(IRIS, "relax", "bench_1"), closed=False)
    script.at("10:19", finish(IRIS, "relax", "bench_1"), day=1, closed=False)
    assert [(day.number, day.is_whole) for day in days_of(script)] == [(0, True), (1, False)]


def test_a_run_that_goes_on_from_another_takes_names_from_its_first_frame():
    script = Script().at("00:00", start(IRIS, "relax", "bench_1"), day=3)
    script.frame(3 * DAY, {IRIS: {"name": "Iris", "job": "clerk", "profile": "stoic"}})
    script.frame(3 * DAY, {IRIS: {"name": "Another"}})
    script.at("00:19", finish(IRIS, "relax", "bench_1"), day=3)
    (day,) = days_of(script)
    assert [chapter.title for chapter in day.chapters] == ["Iris, day 3 (clerk, stoic)"]
    assert lines_of(day) == ["00:00 Relaxed."]


def test_of_frames_only_the_first_is_wanted_and_silent_kinds_never():
    book = chronicle()
    assert book.wants("state.frame")
    assert not book.wants("state.patch")
    assert book.wants("loop.tick")
    assert book.wants("bakery.sold_out")
    assert not book.wants("economy.day")
    list(book.days([StoredEvent("state.frame", 0, {"agents": {}})]))
    assert not book.wants("state.frame")


def test_a_day_that_did_not_begin_with_the_run_may_lack_a_sleep():
    script = Script(start_tod=360).at("06:00", arrive(IRIS, "Iris"), arrive("a00002", "Karl"))
    script.at("07:00", start(IRIS, "rest_sleep", "bed_1")).at("07:59", finish(IRIS, "rest_sleep", "bed_1"))
    script.at("23:59").at("23:59", day=1).at("23:59", day=2)
    first, second, third = days_of(script)
    assert first.chapters[1].closing == ""
    assert second.chapters[1].closing == third.chapters[0].closing == "In all: did not sleep."


def test_a_day_is_given_before_the_next_one_is_read_and_no_more_is_held():
    def endless():
        tick = 0
        while True:
            data = {"agent_id": IRIS, "object_id": "bench_1", "affordance_id": f"relax{tick}", "paid": 0}
            yield StoredEvent(AffordanceStart.kind, tick, data)
            yield StoredEvent("affordance.finish", tick, data)
            tick += 10

    days = chronicle().days(endless())
    assert [day.number for day in islice(days, 3)] == [0, 1, 2]
    tracemalloc.start()
    sizes = [tracemalloc.get_traced_memory()[0] for _ in islice(days, 20)]
    tracemalloc.stop()
    assert sizes[-1] < 2 * sizes[3]
