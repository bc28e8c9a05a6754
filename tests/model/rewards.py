"""Section 15, rewards: what a tick was worth to each resident, in parts that add up."""

from tests.model.conventions import clamp

CHATS, AVOIDANCES = ("C1", "C2", "C3"), ("C2", "C3")
"""Stages in which they count."""
STARVING = 0.03
FAILURES = ("collapse", "neglect", "eviction", "unemployment")
"""Reasons of an exit with which a life in town fails."""


def unmet(town, resident):
    """Sum of weight x deficit."""
    total = 0.0
    for need, about in town.plan.vocabulary.needs.items():
        total += about.weight * (1 - resident.needs[need])
    return total


def squared(town, resident):
    """Sum of (weight x deficit) x deficit."""
    total = 0.0
    for need, about in town.plan.vocabulary.needs.items():
        deficit = 1 - resident.needs[need]
        total += about.weight * deficit * deficit
    return total


def potential(town, resident):
    """The potential of a resident's needs."""
    return -(town.options.rewards.shaping * unmet(town, resident))


def note_presence(town, resident, ahead):
    """A resident with a job is at work, so many ticks before the start of its shift, or after it."""
    n = town.options.rewards.punctuality_ticks
    if not resident.shift.greeted and -n < ahead <= n:
        resident.shift.greeted = True
        resident.presence = 1 - abs(ahead) / n


def value_chat(town, speaker, listener, tie_of, quality):
    """The worth of a chat to both, after their ties have changed; the quality is None when it went badly."""
    rules = town.options.rewards
    if quality is None:
        speaker.chat, listener.chat = -rules.chat_speaker, -rules.chat_listener
        return
    for each, other in ((speaker, listener), (listener, speaker)):
        tie = tie_of(each, other)
        worth = (1 + rules.chat_trust * tie.trust + rules.chat_familiarity * tie.familiarity) * quality
        if town.options.features.social_rewards == "C3":
            regard = 1 + rules.chat_regard * (tie.trust - tie.rivalry)
            worth *= clamp(regard, rules.chat_least, rules.chat_most)
        each.chat = worth


def reward(town):
    """Phase 11: the parts of each resident's reward, and their sum."""
    for each in town.residents:
        each.parts = parts(town, each)
        each.paid, each.presence, each.chat, each.avoided_now = False, 0.0, 0.0, 0


def parts(town, resident):
    """The parts in the order of the table; they are added up one after the other."""
    rules = town.options.rewards
    before = resident.potential
    resident.potential = 0.0 if resident.leaving in FAILURES else potential(town, resident)
    given = {
        "homeostasis": -(rules.homeostasis * squared(town, resident)),
        "shaping": 0.0 if resident.reset else rules.gamma * resident.potential - before,
        "survival": lean(town, resident, "survival", rules.survival),
        "wage": lean(town, resident, "employment", rules.wage if resident.paid else 0.0),
        "punctuality": lean(town, resident, "employment", rules.punctuality * resident.presence),
        "social": lean(town, resident, "social", of_chat(town, resident)),
        "avoidance": lean(town, resident, "social", of_avoidances(town, resident)),
        "debt": -(rules.debt * min(resident.rent_owed, rules.debt_days)),
    }
    raw = added(given)
    given["guard_adjustment"] = min(raw, 0.0) - raw if guarded(town, resident) else 0.0
    kept = raw + given["guard_adjustment"]
    given["tick_clip"] = clamp(kept, -rules.tick_clip, rules.tick_clip) - kept
    day = resident.day_reward + (kept + given["tick_clip"])
    given["day_clip"] = clamp(day, -rules.day_clip, rules.day_clip) - day
    resident.day_reward = day + given["day_clip"]
    given["terminal"] = getattr(rules.terminal, resident.leaving) if resident.leaving else 0.0
    return {**given, "total": added(given)}


def guarded(town, resident):
    """Whether the resident starves, or did in the last ticks, or its life in town fails."""
    if resident.needs.get("hunger", 1.0) <= STARVING:
        resident.guard = town.options.rewards.guard_ticks
        return True
    resident.guard -= 1
    return resident.guard >= 0 or resident.leaving in FAILURES


def added(given):
    """The sum, one after the other."""
    total = 0.0
    for each in given.values():
        total += each
    return total


def of_chat(town, resident):
    """What a chat gives: nothing to who is in need."""
    rules = town.options.rewards
    in_need = any(1 - level > rules.chat_deficit for level in resident.needs.values())
    if in_need or town.options.features.social_rewards not in CHATS:
        return 0.0
    return rules.chat * resident.chat


def of_avoidances(town, resident):
    """What avoidances give."""
    counted = town.options.features.social_rewards in AVOIDANCES
    return town.options.rewards.avoidance * resident.avoided_now if counted else 0.0


def lean(town, resident, group, value):
    """A part above 0 is multiplied by the profile's factor, any other divided by it."""
    if not town.options.features.reward_bias:
        return value
    factor = town.plan.vocabulary.profiles[resident.profile].reward_factors.get(group, 1.0)
    return value * factor if value > 0 else value / factor


def mean(town):
    """The mean of the totals, added up by serial."""
    total = 0.0
    for each in town.residents:
        total += each.parts["total"]
    return total / len(town.residents) if town.residents else 0.0


def shown(resident):
    """What a frame shows: the sum, and the parts that are not 0, to six decimals."""
    rounded = {name: round(part * 1e6) / 1e6 for name, part in resident.parts.items()}
    return {"total": 0.0, **{name: part for name, part in rounded.items() if part}}
