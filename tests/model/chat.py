"""Section 12, chat: who listens, whether it goes well, and shared meals."""

from tests.model import draws, happenings, rewards, ties
from tests.model.conventions import clamp

BESIDE = 1
TOGETHER = 5
AT_A_FESTIVAL = 0.1


def listeners(town, speaker):
    """Who would listen to a resident now, by (cheb, serial)."""
    return [each for each in ties.beside(town, speaker, BESIDE) if listens(town, each, speaker)]


def listens(town, other, speaker):
    """Runs no use, has rested, and neither avoids the other."""
    is_busy = other.claim is not None and other.claim.stage == "running"
    apart = ties.avoids(town, other, speaker) or ties.avoids(town, speaker, other)
    return not is_busy and other.ready <= town.tick and not apart


def may_talk(town, resident):
    """What the mask says."""
    is_busy = resident.claim is not None and resident.claim.stage == "running"
    return not is_busy and resident.ready <= town.tick and bool(listeners(town, resident))


def talk(town, speaker, target):
    """Talk to whoever is named, or to the listener of the highest regard."""
    named = next((each for each in town.residents if each.slot == target), None)
    if target != -1 and (named is None or named is speaker):
        return "bad_target"
    if speaker.ready > town.tick:
        return "talk_cooldown"
    there = listeners(town, speaker)
    if target == -1:
        named = min(there, key=lambda each: (-ties.regard(speaker, each), each.serial), default=None)
    if named not in there:
        return "no_listener"
    chat(town, speaker, named)
    return "ok"


def chat(town, speaker, listener):
    """A chat goes well or badly; then both rest."""
    tie = ties.tie_to(speaker, listener) or ties.Tie(listener)
    t, f, r = tie.trust, tie.familiarity, tie.rivalry
    extroversion = town.plan.vocabulary.profiles[speaker.profile].extroversion
    chance = 0.7 * (1 + 0.3 * t) * (1 + 0.2 * f)
    if happenings.are_at_a_festival(town, speaker, listener):
        chance += AT_A_FESTIVAL
    chance = clamp(chance, 0.05, 0.98)
    factor = ties.habits(town, speaker)[1]
    quality = clamp((0.5 + 0.3 * extroversion + 0.2 * t + 0.1 * f - 0.2 * r) * factor, 0.1, 1.0)
    success = draws.unit(town.seed, "social", town.tick, speaker.serial, 0) < chance
    conclude(town, speaker, listener, success, quality)


def conclude(town, speaker, listener, success, quality):
    """What comes of a chat."""
    town.emit("social.chat", speaker=speaker.id, listener=listener.id, success=success, quality=quality)
    if success:
        ties.change(town, speaker, listener, "chat_success", 0.05 * quality, 0.10 * quality)
    else:
        ties.change(town, speaker, listener, "chat_failure", 0.0, -0.05, 0.05)
    rewards.value_chat(town, speaker, listener, ties.tie_to, quality if success else None)
    for each in (speaker, listener):
        each.ready = town.tick + ties.habits(town, each)[0]


def share_meal(town, claim):
    """A finished meal is shared with those near who are still at one."""
    for other in beside_at_a_meal(town, claim):
        town.emit(
            "social.shared_meal",
            agents=(claim.resident.id, other.id),
            place_id=town.plan.places[claim.thing.place].id,
        )
        ties.change(town, claim.resident, other, "shared_meal", 0.10, 0.25)


def beside_at_a_meal(town, claim):
    """Up to two, the nearest first."""
    return [
        each
        for each in ties.beside(town, claim.resident, ties.NEAR)
        if each.claim is not None
        and each.claim.stage == "running"
        and "meal" in each.claim.affordance.tags
        and town.tick - max(claim.begun, each.claim.begun) + 1 >= TOGETHER
    ][: ties.MOST_NEAR]
