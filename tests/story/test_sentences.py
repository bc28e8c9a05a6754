"""Every kind of event has its sentence, or says that it has none; and the sentences say what happened."""

import json
from dataclasses import fields

import pytest

from tests.events import BUILT_IN
from tests.story.script import Script, arrive, come, conflict, finish, grant, join, leave, start
from townlet_adapters.eventfiles import StoredEvent, read_event
from townlet_adapters.story.chronicle import Person, Scene
from townlet_adapters.story.notes import Moment
from townlet_adapters.story.sentences import SENTENCES, SILENT, chronicle
from townlet_adapters.worlds.town.events.affordance import AffordanceFail
from townlet_adapters.worlds.town.events.economy import EconomyRent
from townlet_adapters.worlds.town.events.employment import (
    EmploymentAbsent,
    EmploymentDepartedEarly,
    EmploymentHelped,
    EmploymentHired,
    EmploymentJobLoss,
    EmploymentLateStart,
    EmploymentReview,
    EmploymentShiftCovered,
)
from townlet_adapters.worlds.town.events.lifecycle import LifecycleExit, LifecycleExitPending
from townlet_adapters.worlds.town.events.perturbation import PerturbationStarted
from townlet_adapters.worlds.town.events.queue import QueueHandover, QueueLeave
from townlet_adapters.worlds.town.events.social import (
    SocialAvoidance,
    SocialChat,
    SocialSharedMeal,
    SocialThreshold,
    SocialTie,
)
from townlet_core.events.console import ConsoleResult
from townlet_core.events.policy import PolicyGuardrail, PolicyPossession
from townlet_core.events.schema import is_diagnostic

FACTS = sorted(kind for kind in BUILT_IN.classes if not is_diagnostic(kind))

IRIS, KARL, UMA = "a00001", "a00002", "a00003"


def day_of(agent_id, script):
    """The sentences of a resident's first day, with their times, and the closing one."""
    book = chronicle()
    day = next(iter(book.days(filter(None, map(read_event, script.lines)))))
    (chapter,) = (chapter for chapter in day.chapters if chapter.resident == agent_id)
    return [f"{time} {text}" for time, text in chapter.lines()], chapter


def town():
    return Script().at("00:00", arrive(IRIS, "Iris", "clerk"), arrive(KARL, "Karl"), arrive(UMA, "Uma"))


def told(script, agent_id=IRIS):
    """All but the first sentence, which says that the resident is there."""
    return day_of(agent_id, script)[0][1:]


@pytest.mark.parametrize("kind", FACTS)
def test_every_kind_of_fact_has_a_sentence_or_says_why_it_has_none(kind):
    assert (kind in SENTENCES) + (kind in SILENT) == 1
    assert SILENT.get(kind, "a sentence")


def test_the_tables_have_no_kind_that_does_not_exist():
    assert {*SENTENCES, *SILENT} - {*FACTS} == set()


EXAMPLES = {"string": "a00001", "integer": 1, "number": 0.5, "boolean": True, "object": {}, "null": None}


def example_of(schema):
    """A value that a schema allows."""
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0])
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "array":
        return [example_of(schema.get("items") or schema["prefixItems"][0])]
    return EXAMPLES[schema.get("type", "object")]


@pytest.mark.parametrize("kind", sorted(SENTENCES))
def test_a_sentence_reads_only_fields_that_its_event_has(kind):
    schema = BUILT_IN.data_schema(kind)
    assert len(schema["properties"]) == len(fields(BUILT_IN.classes[kind]))
    data = {name: example_of(each) for name, each in schema["properties"].items()}
    people = {IRIS: Person("Iris")}
    SENTENCES[kind](Scene(people, Moment(0, 0, 0), StoredEvent(kind, 0, data)))
    assert IRIS in people


def test_a_wait_and_the_use_after_it_are_one_sentence():
    script = town().at("07:00", join(IRIS, "use_shower", "shower_1"))
    script.at("07:10", conflict(IRIS, KARL, "waiting", "shower_1"))
    script.at("07:12", grant(IRIS, "use_shower", "shower_1", 12), start(IRIS, "use_shower", "shower_1", 200))
    script.at("07:41", finish(IRIS, "use_shower", "shower_1"))
    assert told(script) == [
        "07:00 Waited 12 minutes for the shower, impatient with Karl, and used it for 0.20 coins."
    ]
    assert told(script, KARL) == ["07:10 Iris waited impatiently for the shower."]


def test_a_short_wait_is_not_worth_a_word():
    script = town().at("07:00", join(IRIS, "use_shower", "shower_1"))
    script.at("07:04", grant(IRIS, "use_shower", "shower_1", 4), start(IRIS, "use_shower", "shower_1"))
    script.at("07:33", finish(IRIS, "use_shower", "shower_1"))
    assert told(script) == ["07:00 Used the shower."]


def test_uses_of_one_kind_in_a_row_are_one_sentence():
    script = town()
    for hour, bench in ((15, 1), (16, 2), (17, 1)):
        script.at(f"{hour}:00", start(IRIS, "relax", f"bench_{bench}"))
        script.at(f"{hour}:19", finish(IRIS, "relax", f"bench_{bench}"))
    script.at("20:00", start(IRIS, "relax", "bench_1")).at("20:19", finish(IRIS, "relax", "bench_1"))
    assert told(script) == ["15:00 Relaxed three times until 17:20.", "20:00 Relaxed again."]


def test_a_price_is_said_when_it_is_new_and_a_use_that_it_is_not_the_first():
    script = town()
    for hour, paid in ((8, 400), (12, 400), (16, 0), (18, 400), (20, 600)):
        script.at(f"{hour}:00", start(IRIS, "eat_meal", "fridge_1", paid))
        script.at(f"{hour}:14", finish(IRIS, "eat_meal", "fridge_1"))
    assert told(script) == [
        "08:00 Ate a meal for 0.40 coins.",
        "12:00 Ate another meal.",
        "16:00 Ate another meal.",
        "18:00 Ate another meal.",
        "20:00 Ate another meal for 0.60 coins.",
    ]


def test_three_things_in_a_row_are_one_sentence_too():
    script = town()
    for minute, what in ((0, "cook_meal"), (20, "eat_meal"), (40, "use_shower")):
        script.at(f"08:{minute:02}", start(IRIS, what, "thing_1"))
        script.at(f"08:{minute + 14}", finish(IRIS, what, "thing_1"))
    script.at("08:57", conflict(IRIS, KARL, "jostle")).at("09:40", conflict(IRIS, KARL, "jostle"))
    assert told(script) == ["08:00 Cooked a meal, ate a meal, then used the shower; pushed past Karl twice."]


def test_what_follows_at_once_is_in_the_same_sentence_and_so_is_a_passing_jostle():
    script = town().at("06:00", start(IRIS, "cook_meal", "stove_1", 150))
    script.at("06:20", conflict(KARL, IRIS, "jostle")).at("06:25", conflict(KARL, IRIS, "jostle"))
    script.at("06:39", finish(IRIS, "cook_meal", "stove_1"))
    script.at("06:45", start(IRIS, "eat_meal", "fridge_1")).at("06:59", finish(IRIS, "eat_meal", "fridge_1"))
    script.at("12:00", conflict(IRIS, UMA, "jostle")).at("12:10", conflict(IRIS, KARL, "jostle"))
    assert told(script) == [
        "06:00 Cooked a meal for 0.15 coins, then ate a meal; Karl pushed past twice.",
        "12:00 Pushed past Uma and Karl.",
    ]
    assert told(script, KARL) == ["06:20 Pushed past Iris twice.", "12:10 Iris pushed past."]


def test_a_holder_that_holds_up_the_queue_lets_another_go_first():
    script = town().at("07:00", conflict(IRIS, KARL, "ghost_step", "shower_1"))
    assert told(script) == ["07:00 Held up the queue at the shower, and Karl went first."]
    assert told(script, KARL) == ["07:00 Went before Iris at the shower."]


def test_a_shift_is_one_sentence_with_all_that_went_wrong():
    script = town().at("09:00", come(IRIS, "clerk")).at("11:59", leave(IRIS, "clerk"))
    assert told(script) == ["09:00 Worked as a clerk until 12:00."]
    late = town().at("09:06", EmploymentLateStart(IRIS, "clerk", 100)).at("09:12", come(IRIS, "clerk", 12))
    late.at("09:12", EmploymentHelped(IRIS, "clerk", (KARL, UMA)))
    late.at("11:59", leave(IRIS, "clerk", 168, 240))
    assert told(late) == [
        (
            "09:12 Came 12 minutes late to work as a clerk, was fined 0.10 coins, "
            "lost 0.24 coins of the wage and stayed until 12:00."
        ),
        "09:12 Karl and Uma had begun the shift without waiting.",
    ]
    assert told(late, KARL) == ["09:12 Began the shift before Iris came."]
    early = town().at("09:00", come(IRIS, "clerk")).at("11:21", EmploymentDepartedEarly(IRIS, "clerk", 39))
    early.at("11:59", leave(IRIS, "clerk", 121))
    assert told(early) == ["09:00 Worked as a clerk and left 39 minutes before the end."]


def test_a_missed_shift_costs_and_others_do_the_work():
    script = town().at(
        "09:31", EmploymentAbsent(IRIS, "clerk", 200, 2), EmploymentShiftCovered(IRIS, "clerk", (KARL,))
    )
    script.at("11:59", leave(IRIS, "clerk", 0)).at("12:00", EmploymentReview(IRIS, "clerk", "queued", 1))
    script.at("13:00", EmploymentJobLoss(IRIS, "clerk", "approved"))
    script.at("23:59", EmploymentHired(IRIS, "barista", "board"))
    assert told(script) == [
        "09:31 Was missing at work as a clerk, fined 0.20 coins: the second absence in seven days.",
        "09:31 Karl did the work of the shift.",
        "12:00 The absences as a clerk came up for review.",
        "13:00 Lost the job as a clerk after too many absences.",
        "23:59 Found work as a barista.",
    ]
    assert told(script, KARL) == ["09:31 Did the work of Iris as well."]
    assert day_of(IRIS, script)[1].title == "Iris, day 0 (barista, balanced)"


@pytest.mark.parametrize(
    ("reason", "detail", "progress", "words"),
    [
        ("insufficient_funds", None, 0, "Could not cook a meal twice: there was too little money."),
        ("insufficient_stock", None, 0, "Could not cook a meal twice: the stove was empty."),
        ("hook_cancelled", "the chef is ill", 0, "Could not cook a meal twice: the chef is ill."),
        ("a_new_reason", None, 0, "Could not cook a meal twice: a new reason."),
    ],
)
def test_a_use_that_does_not_begin_says_why(reason, detail, progress, words):
    fail = AffordanceFail(IRIS, "stove_1", "cook_meal", reason, detail, progress, 0)
    assert told(town().at("08:00", fail).at("08:30", fail)) == [f"08:00 {words}"]


def test_a_use_that_breaks_off_gives_the_money_back():
    fail = AffordanceFail(IRIS, "shower_1", "use_shower", "utility_lost", None, 8, 200)
    script = town().at("08:00", start(IRIS, "use_shower", "shower_1", 200)).at("08:08", fail)
    lines, chapter = day_of(IRIS, script)
    assert lines[1:] == [
        "08:08 Began to use the shower, and had to stop after 8 minutes: the shower stopped working."
    ]
    assert chapter.closing == ""
    left = AffordanceFail(IRIS, "bench_1", "relax", "left", None, 4, 0)
    script = town().at("08:00", start(IRIS, "relax", "bench_1")).at("08:04", left)
    assert told(script) == ["08:04 Began to relax, and left after 4 minutes."]


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("left", "Left the queue for the shower after 12 minutes."),
        ("closed", "Left the queue for the shower after 12 minutes: the shower was closed."),
        ("timeout", "Lost the place at the shower, for not using it."),
    ],
)
def test_a_wait_in_vain_says_how_it_ended(reason, words):
    script = town().at("07:00", join(IRIS, "use_shower", "shower_1"))
    script.at("07:12", QueueLeave(IRIS, "shower_1", reason, 12))
    assert told(script) == [f"07:12 {words}"]


def test_an_object_that_is_handed_over_is_a_favour():
    script = town().at("07:12", QueueHandover(IRIS, KARL, "shower_1", 2))
    assert told(script) == ["07:12 Let Karl have the shower next."]
    assert told(script, KARL) == ["07:12 Iris kept the shower free."]


def test_rent_is_a_sentence_only_when_it_cannot_be_paid():
    lines, chapter = day_of(IRIS, town().at("23:59", EconomyRent(IRIS, 1300, 0)))
    assert (lines[1:], chapter.closing) == ([], "In all: paid 1.30 coins in rent.")
    owed = town().at("23:59", EconomyRent(IRIS, 0, 2))
    assert told(owed) == ["23:59 Could not pay the whole rent: 2 days are owed."]


def test_a_newcomer_and_a_command_of_an_operator_are_noticed():
    script = town().at("10:00", arrive("a00009", "Nell", reason="replacement"))
    assert day_of("a00009", script)[0] == ["10:00 Came to live in town with 2.00 coins."]
    result = ConsoleResult("set_need", "ok", {"agent_id": IRIS}, None, "c1", "ann", 600)
    refused = ConsoleResult("teleport", "error", {"agent_id": IRIS}, None, "c2", "ann", 600)
    assert told(town().at("10:00", result, refused)) == ["10:00 An operator intervened: set need."]


def test_a_tie_that_an_operator_set_is_noticed_by_those_whose_tie_it_is():
    ties = {"owner": "a00008", "other": IRIS, "trust": 0.5}
    one_way = ConsoleResult("set_rel", "ok", {**ties, "both": False}, None, "c1", "ann", 600)
    assert told(town().at("10:00", one_way)) == []
    both = ConsoleResult("set_rel", "ok", ties, None, "c2", "ann", 600)
    assert told(town().at("10:00", both)) == ["10:00 An operator intervened: set rel."]
    chat = ConsoleResult("force_chat", "ok", {"speaker": IRIS, "listener": "a00008"}, None, "c3", "ann", 600)
    assert told(town().at("10:00", chat)) == []


def test_a_person_who_acts_for_a_resident_is_noticed_and_so_is_how_it_ended():
    script = town().at("10:00", PolicyPossession(IRIS, "acquire", "ann"))
    script.at("10:30", PolicyPossession(IRIS, "release", "ben"))
    script.at("11:00", PolicyPossession(IRIS, "acquire", "ben"))
    script.at("16:00", PolicyPossession(IRIS, "expire", "ben"))
    assert told(script) == [
        "10:00 Was guided by a person from here on.",
        "10:30 Was left to decide alone again.",
        "11:00 Was guided by a person from here on.",
        "16:00 Was no longer guided by the person.",
    ]


def test_what_a_guardrail_prevented_is_a_sentence_once_for_all_its_ticks():
    script = town()
    for minute in range(3):
        script.at(f"10:0{minute}", PolicyGuardrail(IRIS, "chat_rival", KARL))
    for minute in range(3):
        script.at(f"15:0{minute}", PolicyGuardrail(IRIS, "queue_rival", "shower_1"))
    assert told(script) == [
        "10:00 Thought better of talking to Karl three times.",
        "15:00 Kept away from the shower three times, because of the company.",
    ]


def test_whoever_leaves_town_has_a_last_sentence():
    script = town().at("08:00", start(IRIS, "use_shower", "shower_1", 200))
    script.at("08:08", AffordanceFail(IRIS, "shower_1", "use_shower", "agent_exit", None, 8, 200))
    script.at("08:08", LifecycleExit(IRIS, 0, "killed", 488, 2000, 0.0))
    assert told(script) == [
        "08:08 Began to use the shower, and had to stop after 8 minutes: it was time to leave town.",
        "08:08 Was removed from town, with 2.00 coins.",
    ]


@pytest.mark.parametrize(
    ("reason", "age", "words"),
    [
        ("collapse", 698, "Collapsed from hunger and was taken out of town, with 2.00 coins."),
        (
            "eviction",
            1440,
            "After 1 day, was evicted over unpaid rent and left town for good, with 2.00 coins.",
        ),
        ("unemployment", 2880, "After 2 days, had found no work and left town for good, with 2.00 coins."),
        ("age_out", 90 * 1440 + 5, "After 90 days, moved away to live elsewhere, with 2.00 coins."),
        ("of_a_plugin", 5, "Left town for good, with 2.00 coins."),
    ],
)
def test_an_exit_says_why_and_after_how_long(reason, age, words):
    script = town().at("08:08", LifecycleExit(IRIS, 0, reason, age, 2000, 0.0))
    assert told(script) == [f"08:08 {words}"]


def test_who_is_due_to_leave_says_what_keeps_it():
    script = town().at("08:00", LifecycleExitPending(IRIS, "age_out", "spacing"))
    script.at("09:00", LifecycleExitPending(IRIS, "collapse", "suppressed"))
    assert told(script) == [
        "08:00 Was ready to move away, but not so soon after the last one who left.",
        "09:00 Was close to a collapse, but not while things were so bad.",
    ]


def test_the_end_of_a_day_adds_it_up():
    script = town().at("06:00", join(IRIS, "eat_meal", "fridge_1"))
    script.at("06:13", grant(IRIS, "eat_meal", "fridge_1", 13), start(IRIS, "eat_meal", "fridge_1", 400))
    script.at("06:27", finish(IRIS, "eat_meal", "fridge_1"))
    script.at("09:00", come(IRIS, "clerk")).at("11:59", leave(IRIS, "clerk"))
    script.at("13:00", start(KARL, "rest_sleep", "bed_1")).at("13:59", finish(KARL, "rest_sleep", "bed_1"))
    script.at("23:59", EconomyRent(IRIS, 1300, 0))
    assert day_of(IRIS, script)[1].closing == (
        "In all: did not sleep, worked 3 hours, queued 13 minutes and spent 1.70 coins, 1.30 of it on rent."
    )
    assert day_of(KARL, script)[1].closing == "In all: slept an hour."


def test_an_event_of_a_plugin_gets_a_plain_sentence_for_those_that_it_names():
    data = {"customer": IRIS, "friends": [KARL], "loaf": "rye", "left": 3, "extra": {"a": 1}, "note": None}
    line = json.loads(town().lines[0])
    line |= {"type": "townlet.bakery.sold_out", "tick": 600, "data": data}
    script = town()
    script.lines.append(json.dumps(line).encode())
    assert told(script) == ["10:00 Bakery: sold out (loaf rye, left 3)."]
    assert told(script, KARL) == ["10:00 Bakery: sold out (customer Iris, loaf rye, left 3)."]
    assert told(script, UMA) == []


def test_an_event_that_lacks_a_field_gets_the_plain_sentence_too():
    script = town()
    line = json.loads(script.lines[0])
    line |= {"type": "townlet.economy.rent", "tick": 600, "data": {"agent_id": IRIS, "paid": "much"}}
    script.lines.append(json.dumps(line).encode())
    assert told(script) == ["10:00 Economy: rent (paid much)."]


# Society.


def test_a_chat_is_in_both_diaries_and_says_how_it_went():
    script = town().at("10:00", SocialChat(IRIS, KARL, success=True, quality=0.5))
    script.at("14:00", SocialChat(KARL, IRIS, success=True, quality=0.9))
    script.at("18:00", SocialChat(IRIS, UMA, success=False, quality=0.5))
    assert told(script) == [
        "10:00 Chatted with Karl.",
        "14:00 Had a lively chat with Karl.",
        "18:00 Had an awkward talk with Uma.",
    ]
    assert told(script, UMA) == ["18:00 Had an awkward talk with Iris."]


def test_chats_in_a_row_are_one_sentence():
    script = town()
    for when, other in (("10:00", KARL), ("10:30", UMA), ("11:00", KARL)):
        script.at(when, SocialChat(IRIS, other, success=True, quality=0.5))
    assert told(script) == ["10:00 Chatted with Karl and Uma."]
    assert told(script, KARL) == ["10:00 Chatted with Iris twice."]


def test_a_meal_is_shared_by_both():
    script = town().at("12:00", SocialSharedMeal((IRIS, KARL), "cafe"))
    assert told(script) == ["12:00 Shared a meal with Karl."]
    assert told(script, KARL) == ["12:00 Shared a meal with Iris."]


def test_a_meeting_is_in_the_diaries_of_those_who_are_invited_and_an_outage_in_none():
    meeting = PerturbationStarted("evt_1", "meet", 0, (IRIS, KARL, "cafe"), None, 760, "scheduler")
    outage = PerturbationStarted("evt_2", "blackout", 0, ("power",), None, 800, "scheduler")
    script = town().at("12:00", meeting).at("13:00", outage)
    assert told(script) == ["12:00 Was asked to meet Karl at the cafe."]
    assert told(script, KARL) == ["12:00 Was asked to meet Iris at the cafe."]
    assert told(script, UMA) == []


def test_who_is_avoided_does_not_notice():
    script = town().at("12:00", SocialAvoidance(IRIS, KARL, 4))
    assert told(script) == ["12:00 Kept out of the way of Karl."]
    assert told(script, KARL) == []


@pytest.mark.parametrize(
    ("threshold", "sentence"),
    [
        ("friend", "Came to think of Karl as a friend."),
        ("rival", "Had had enough of Karl, and meant to keep away."),
        ("feud", "Fell out with Karl for good: it is a feud now."),
    ],
)
def test_a_turn_between_two_is_told_of_the_one_who_feels_it(threshold, sentence):
    script = town().at("12:00", SocialThreshold(IRIS, KARL, threshold, 0.7))
    assert told(script) == [f"12:00 {sentence}"]
    assert told(script, KARL) == []


@pytest.mark.parametrize(
    ("numbers", "sentences"),
    [
        ((0.4, 0.4, 0.0), ["12:00 Said goodbye to Karl."]),
        ((0.4, 0.4, 0.6), ["12:00 Parted from Karl without regret."]),
        ((0.1, 0.1, 0.1), []),
    ],
)
def test_only_an_exit_of_somebody_who_matters_is_a_sentence_about_a_tie(numbers, sentences):
    script = town().at("12:00", SocialTie(IRIS, KARL, "removed", "exit", *numbers))
    assert told(script) == sentences
    script = town().at("12:00", SocialTie(IRIS, KARL, "removed", "decay", *numbers))
    assert told(script) == []
