"""Chats: who may talk to whom, how it goes, and the rest after it (section 12)."""

import pytest

from tests.town.towns import Town, affordance, agent
from townlet_core import seeding
from townlet_core.dto.action import ActionBatch
from townlet_core.dto.command import Command

ROOM = ["Ehrrrr", ".rNrrr", ".rrrrr"]
SIDE_BY_SIDE = [(3, 0), (4, 0), (5, 0)]
CLOSE = {"abs": 1e-12}


def room(residents: int = 2, *, seed: int = 1, **options: object) -> Town:
    """Residents in a row, each beside the next, all balanced; a bench stands at (2, 1)."""
    manifest = [affordance("it", "bench", 50), affordance("hold", "bench", 9, preconditions=["hunger > 1"])]
    town = Town(ROOM, SIDE_BY_SIDE[:residents], seed=seed, manifest=manifest, **options)
    for slot in range(residents):
        town.set_profile(slot, "balanced")
    town.look()
    return town


def lucky(town: Town, slot: int, *, below: float, least: float = 0.0) -> Town:
    """Wait until the slot's draw of a chat is in [least, below)."""
    serial = int(town.resident(slot).serial)
    while not least <= seeding.unit(town.seed, seeding.SOCIAL, town.tick, serial, 0) < below:
        town.step()
    return town


def chats(town: Town) -> list[tuple[str, str, bool]]:
    return [(event.speaker, event.listener, event.success) for event in town.heard("social.chat")]


def test_a_chat_that_goes_well_brings_both_closer():
    town = lucky(room(), 0, below=0.7)
    town.step({0: "talk"})
    assert (town.result(0), chats(town)) == ("ok", [(agent(0), agent(1), True)])
    assert town.heard("social.chat")[0].quality == 0.5
    assert town.tie(0, 1) == town.tie(1, 0) == (0.05 * 0.5, 0.10 * 0.5, 0.0)
    assert town.kinds() == ["social.chat", "social.tie", "social.tie"]


def test_a_chat_that_goes_badly_is_a_chat_all_the_same():
    town = lucky(room(), 0, below=1.0, least=0.7)
    town.step({0: "talk"})
    assert (town.result(0), chats(town)) == ("ok", [(agent(0), agent(1), False)])
    assert town.tie(0, 1) == town.tie(1, 0) == (0.0, -0.05, 0.05)


@pytest.mark.parametrize(("trust", "familiarity"), [(0.5, 0.5), (-0.5, -0.8), (1.0, 1.0)])
@pytest.mark.parametrize("side", [-1, 1])
def test_friends_talk_well_more_often(trust, familiarity, side):
    chance = min(0.98, 0.7 * (1 + 0.3 * trust) * (1 + 0.2 * familiarity))
    band = (chance, min(1.0, chance + 0.1)) if side > 0 else (chance - 0.1, chance)
    town = room()
    town.set_tie(0, 1, trust=trust, familiarity=familiarity)
    while not band[0] <= seeding.unit(town.seed, seeding.SOCIAL, town.tick, 0, 0) < band[1]:
        town.set_time(town.tick + 1)
    town.step({0: "talk"})
    assert chats(town) == [(agent(0), agent(1), side < 0)]


@pytest.mark.parametrize(
    ("profile", "tie", "quality"),
    [
        ("balanced", {}, 0.5),
        ("socialite", {}, (0.5 + 0.3 * 0.6) * 1.3),
        ("stoic", {}, 0.5 - 0.3 * 0.3),
        ("balanced", {"trust": 0.5, "familiarity": 0.4, "rivalry": 0.3}, 0.5 + 0.1 + 0.04 - 0.06),
        ("socialite", {"trust": 1.0, "familiarity": 1.0}, 1.0),
        ("stoic", {"trust": -1.0, "familiarity": -1.0, "rivalry": 0.6}, 0.1),
    ],
)
def test_the_quality_is_the_speakers(profile, tie, quality):
    town = room()
    town.set_profile(0, profile)
    town.set_profile(1, "stoic")
    if tie:
        town.set_tie(0, 1, **tie)
    town.step({0: "talk"})
    assert town.heard("social.chat")[0].quality == pytest.approx(quality, **CLOSE)


def test_who_is_outgoing_grows_familiar_sooner():
    town = lucky(room(), 1, below=0.7)
    town.set_profile(0, "socialite")
    town.step({1: "talk"})
    assert town.tie(0, 1) == (0.025, pytest.approx(0.05 + 0.02 * 0.6, **CLOSE), 0.0)
    assert town.tie(1, 0) == (0.025, 0.05, 0.0)


def test_both_rest_from_talking_each_for_its_own_time():
    town = room()
    town.set_profile(1, "socialite")
    assert "talk" in town.mask(0)
    town.step({0: "talk"})
    assert (town.resident(0).talk_ready, town.resident(1).talk_ready) == (30, 23)
    assert "talk" not in town.mask(1)
    town.run(28)
    assert ["talk" in town.mask(slot) for slot in (0, 1)] == [False, False]
    town.step()
    assert ["talk" in town.mask(slot) for slot in (0, 1)] == [True, True]


def test_who_was_talked_to_before_its_turn_rests_already():
    town = room()
    town.step({0: "talk", 1: "talk"})
    assert sorted(town.result(slot) for slot in (0, 1)) == ["ok", "talk_cooldown"]
    assert len(chats(town)) == 1


def test_talk_is_masked_without_anybody_beside():
    town = room()
    town.place((3, 0), (5, 0))
    assert "talk" not in town.mask(0)
    town.place((3, 0), (4, 1))
    assert "talk" in town.mask(0)


def test_who_is_using_something_neither_talks_nor_listens():
    town = room()
    town.place((3, 0), (4, 0))
    town.step({0: "use:it"})
    assert [("talk" in town.mask(slot)) for slot in (0, 1)] == [False, False]
    town.step({1: "talk"})
    assert town.result(1) == "invalid"


def test_who_waits_in_a_queue_may_talk():
    town = room(3)
    town.place((1, 2), (2, 2), (3, 2))
    town.step({0: "use:it"})
    town.step({1: "use:it"})
    town.step({2: "use:it"})
    assert [town.stage(slot) for slot in range(3)] == ["running", "queued", "queued"]
    town.step({1: "talk"})
    assert chats(town) == [(agent(1), agent(2), town.heard("social.chat")[0].success)]
    assert town.stage(1) == "queued"


@pytest.mark.parametrize("avoiding", [0, 1])
def test_who_avoids_or_is_avoided_is_not_talked_to(avoiding):
    town = room()
    town.set_tie(avoiding, 1 - avoiding, rivalry=0.7)
    assert "talk" not in town.mask(0)
    town.set_tie(avoiding, 1 - avoiding, rivalry=0.699)
    assert "talk" in town.mask(0)


def test_the_world_chooses_whom_the_speaker_regards_most_highly():
    town = room(3)
    town.place((4, 0), (3, 0), (5, 0))
    town.set_tie(0, 2, trust=0.1)
    town.step({0: "talk"})
    assert chats(town)[0][1] == agent(2)


def test_of_equals_it_chooses_the_lowest_serial():
    town = room(3)
    town.place((4, 0), (5, 0), (3, 0))
    town.step({0: "talk"})
    assert chats(town)[0][1] == agent(1)


def test_somebody_liked_less_than_a_stranger_is_passed_over():
    town = room(3)
    town.place((4, 0), (5, 0), (3, 0))
    town.set_tie(0, 1, trust=-0.1)
    town.step({0: "talk"})
    assert chats(town)[0][1] == agent(2)


def test_a_named_listener_is_talked_to_whoever_else_is_there():
    town = room(3)
    town.place((4, 0), (5, 0), (3, 0))
    town.step({0: ("talk", 2)})
    assert chats(town)[0][1] == agent(2)


@pytest.mark.parametrize("target", [0, 3, 99, -2])
def test_nobody_can_be_talked_to_who_is_not_there(target):
    town = room(2)
    town.step({0: ("talk", target)})
    assert (town.result(0), town.heard("social.chat")) == ("bad_target", [])


def test_a_named_listener_who_stands_elsewhere_does_not_listen():
    town = room(3)
    town.step({0: ("talk", 2)})
    assert town.result(0) == "no_listener"
    assert town.resident(0).talk_ready == 0


def test_a_listener_who_is_led_away_listens_no_more():
    town = room(2)
    town.teleport(1, 1, 2)
    town.step({0: "talk"})
    assert town.result(0) == "no_listener"


def test_two_on_one_tile_may_talk():
    town = Town(["Ehrr", "...."], [(1, 0), (2, 0)])
    town.run(4, {0: "move_east"})
    assert town.at(0) == town.at(1)
    town.step({0: "talk"})
    assert chats(town)[0][:2] == (agent(0), agent(1))


# Avoidance.


def open_ground(rivalry: float = 0.8) -> Town:
    town = Town(["EH.........", "..........."], [(5, 0), (2, 0)])
    for slot in range(2):
        town.set_profile(slot, "balanced")
    town.set_tie(0, 1, rivalry=rivalry)
    return town


def test_a_step_beyond_three_tiles_of_somebody_avoided_is_told():
    town = open_ground()
    town.step({0: "move_east"})
    (event,) = town.heard("social.avoidance")
    assert (event.agent_id, event.rival, event.distance) == (agent(0), agent(1), 4)
    town.step({0: "move_east"})
    assert town.heard("social.avoidance") == []


def test_it_takes_rivalry_and_a_step_of_ones_own():
    town = open_ground(rivalry=0.69)
    town.step({0: "move_east"})
    assert town.heard("social.avoidance") == []
    town = open_ground()
    town.step({1: "move_west"})
    assert town.heard("social.avoidance") == []
    town = open_ground()
    town.teleport(0, 9, 0)
    town.step()
    assert town.heard("social.avoidance") == []


@pytest.mark.parametrize(("rest", "told"), [(119, 0), (120, 1)])
def test_an_avoidance_is_told_again_only_after_a_while(rest, told):
    town = open_ground()
    town.step({0: "move_east"})
    town.step({0: "move_west"})
    town.run(rest - 2)
    town.step({0: "move_east"})
    assert town.tick == rest + 1
    assert len(town.heard("social.avoidance")) == told


def test_a_step_can_leave_several_behind():
    town = Town(["EH.........", "...........", "..........."], [(5, 0), (2, 0), (2, 2)])
    for slot in range(3):
        town.set_profile(slot, "balanced")
    town.set_tie(0, 2, rivalry=0.8)
    town.set_tie(0, 1, rivalry=0.8)
    town.step({0: "move_east"})
    assert [event.rival for event in town.heard("social.avoidance")] == [agent(2), agent(1)]


# The command force_chat.


def force(town: Town, *commands: dict[str, object]):
    """Return the codes of commands and the facts of their tick, in which nobody wants anything."""
    town.action[:] = 0
    orders = [Command("force_chat", args, str(number), "ada") for number, args in enumerate(commands)]
    outcome = town.world.step(ActionBatch(town.action.data, town.target.data), orders)
    return [each.error.code if each.error else "ok" for each in outcome.command_results], outcome.events


def pair(speaker: int, listener: int, **more: object) -> dict[str, object]:
    return {"speaker": agent(speaker), "listener": agent(listener), **more}


def test_a_chat_by_command_goes_well_whatever_the_draw_and_is_of_the_given_quality():
    for quality in (1.0, 0.25):
        town = lucky(room(), 0, below=1.0, least=0.98)
        more = {} if quality == 1.0 else {"quality": quality}
        codes, events = force(town, pair(0, 1, **more))
        (chat,) = [event for event in events if event.kind == "social.chat"]
        assert codes == ["ok"]
        assert (chat.speaker, chat.listener, chat.success, chat.quality) == (
            agent(0),
            agent(1),
            True,
            quality,
        )
        assert town.tie(0, 1) == town.tie(1, 0) == (0.05 * quality, 0.10 * quality, 0.0)
        reasons = [event.reason for event in events if event.kind == "social.tie"]
        assert reasons == ["chat_success", "chat_success"]
        rests = [int(town.resident(slot).talk_ready) for slot in (0, 1)]
        assert all(rest > town.tick for rest in rests)


def test_those_who_rest_from_talking_or_avoid_each_other_chat_by_command_all_the_same():
    town = room()
    town.set_tie(0, 1, rivalry=0.95)
    assert force(town, pair(0, 1))[0] == ["ok"]
    assert force(town, pair(1, 0))[0] == ["ok"]


def test_a_resident_has_one_chat_by_command_in_a_tick():
    town = room(3)
    assert force(town, pair(0, 1), pair(1, 2), pair(2, 0), pair(2, 1))[0] == ["ok"] + ["conflict"] * 3


def test_a_resident_that_runs_a_use_has_no_chat_by_command():
    town = room()
    town.step({0: "use:it"})
    assert town.stage(0) == "running"
    assert force(town, pair(0, 1), pair(1, 0))[0] == ["busy_target"] * 2


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (pair(0, 2), "conflict"),
        (pair(0, 9), "not_found"),
        (pair(9, 0), "not_found"),
        (pair(0, 0), "invalid_args"),
        (pair(0, 1, quality=0.09), "invalid_args"),
        (pair(0, 1, quality=1.01), "invalid_args"),
        ({"speaker": agent(0)}, "invalid_args"),
    ],
)
def test_a_chat_that_cannot_be_is_answered_with_its_code_and_changes_nothing(args, code):
    town, plain = room(3), room(3)
    codes, _ = force(town, args)
    plain.step()
    assert codes == [code]
    assert town.world.snapshot() == plain.world.snapshot()


def test_no_chat_by_command_is_held_with_a_resident_that_leaves_in_the_tick():
    town = room()
    town.action[:] = 0
    kill = Command("kill", {"agent_id": agent(1)}, "1", "ada")
    orders = (
        kill,
        Command("force_chat", pair(0, 1), "2", "ada"),
        Command("set_rel", {"owner": agent(0), "other": agent(1), "trust": 1.0}, "3", "ada"),
    )
    outcome = town.world.step(ActionBatch(town.action.data, town.target.data), orders)
    assert [each.error.code for each in outcome.command_results[1:]] == ["not_found", "not_found"]
    assert town.tie(0, 1) is None
