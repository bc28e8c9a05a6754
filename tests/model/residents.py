"""Section 5, residents: who they are, where they start, and how their needs fall."""

from tests.model import draws, employment, money, rewards
from tests.model.conventions import DAY, clamp
from tests.model.movement import nearest_free, stand
from tests.model.state import Resident

MOVES_FROM, MOVES_UNTIL = 540, 1139
BEHAVIOURS = ("go_to_work", "shop", "socialise", "avoid_rival", "idle")
"""Options that no need has."""


def found(town):
    """The founding: newborns in the order of their serials; each has its home tile and looks for a job."""
    homes = town.plan.home_tiles
    for slot in range(town.plan.target):
        newborn = create(town, slot, homes[slot % len(homes)])
        newborn.moves_at = end_of_stay(town, newborn, town.options.lifecycle.founders_stay_least)
        employment.hire_at_start(town, newborn, lambda newborn=newborn: announce(town, newborn, "start"))


def create(town, slot, home, tile=None, wanted=None):
    """A newborn, with the next serial; ``wanted`` says what is given of it."""
    serial = town.born
    town.born += 1
    name = draw_name(town, serial)
    newborn = Resident(
        serial=serial,
        slot=slot,
        born=town.tick,
        name=name,
        profile=(wanted and wanted.profile) or draw_profile(town, name, serial),
        home=home,
        x=0,
        y=0,
        needs=draw_needs(town, serial) | ((wanted and wanted.needs) or {}),
        inventory=dict.fromkeys(town.plan.vocabulary.items, 0),
        code=identity_code(town, serial),
        embedding=embedding_slot(town),
        jobless=town.tick,
    )
    newborn.potential = rewards.potential(town, newborn)
    newborn.moves_at = end_of_stay(town, newborn, town.options.lifecycle.stay_least)
    stand(town, newborn, *(tile or nearest_free(town, home.x, home.y)))
    town.residents.append(newborn)
    is_given = wanted is not None and wanted.wallet is not None
    money.grant(town, newborn, wanted.wallet if is_given else town.options.population.start_wallet)
    return newborn


def end_of_stay(town, newborn, least):
    """The tick in which a stay is over: so many days after the day of the arrival, at a minute of the day."""
    drawn = town.seed, "lifecycle", newborn.born, newborn.serial
    days = draws.integer(least, town.options.lifecycle.stay_most, *drawn, 3)
    minute = draws.integer(MOVES_FROM, MOVES_UNTIL, *drawn, 5)
    return (town.day + days) * DAY + minute - town.options.time.start_tod


def announce(town, newborn, reason):
    """The fact of an arrival."""
    town.emit(
        "lifecycle.arrive",
        agent_id=newborn.id,
        serial=newborn.serial,
        slot=newborn.slot,
        name=newborn.name,
        district=newborn.home.district,
        position=(newborn.x, newborn.y),
        profile=newborn.profile,
        job_id=newborn.job.id if newborn.job else None,
        wallet=newborn.wallet,
        reason=reason,
    )


def draw_name(town, serial):
    """The drawn name of the list, or the next one that no living resident bears; then with a suffix."""
    names, taken = town.plan.names, {each.name for each in town.residents}
    first = draws.integer(0, len(names) - 1, town.seed, "names", town.tick, serial, 0)
    suffix = 1
    while True:
        for step in range(len(names)):
            name = names[(first + step) % len(names)]
            if suffix > 1:
                name += f"-{suffix}"
            if name not in taken:
                return name
        suffix += 1


def embedding_slot(town):
    """The lowest slot that was never used; else the one that was released longest ago, ties by number."""
    taken = {each.embedding for each in town.residents}
    unused = (each for each in range(town.plan.embedding_slots) if each not in taken | set(town.rested))
    slot = next(unused, None)
    if slot is None:
        slot = min(town.rested, key=lambda each: (town.rested[each], each))
        town.forced_reuses += town.tick - town.rested[slot] < town.options.embeddings.cooldown_ticks
        del town.rested[slot]
    return slot


def draw_needs(town, serial):
    """The level of each need: drawn around the level that the config says, need by need."""
    population = town.options.population
    levels = {}
    for number, (need, about) in enumerate(town.plan.vocabulary.needs.items()):
        drawn = draws.unit(town.seed, "lifecycle", town.tick, serial, 16 + number)
        share = drawn if about.night > 0 else 2 * drawn - 1
        levels[need] = clamp(population.start_need + share * population.start_spread, 0.0, 1.0)
    return levels


def identity_code(town, serial):
    """Byte k, of the range of a byte: byte k mod 8, the lowest first, of the draw k div 8 (section 16)."""
    count = town.options.observations.identity_dim
    drawn = [draws.draw(town.seed, "names", 0, serial, 1000 + each) for each in range((count + 7) // 8)]
    return tuple((drawn[k // 8] >> 8 * (k % 8) & 255) / 255 for k in range(count))


def draw_profile(town, name, serial):
    """What the config says, else drawn among the profiles by how many are missing of each."""
    given = town.options.personalities.overrides
    if name in given:
        return given[name]
    weights = {each: about.weight for each, about in town.plan.vocabulary.profiles.items()}
    weights |= town.options.personalities.weights
    total, living = sum(weights.values()), len(town.residents)
    deficits = {}
    for profile, weight in weights.items():
        count = sum(each.profile == profile for each in town.residents)
        deficits[profile] = max(0.0, weight / total * (living + 1) - count)
    drawn = draws.unit(town.seed, "lifecycle", town.tick, serial, 0) * sum(deficits.values())
    reached = 0.0
    for profile, deficit in deficits.items():
        reached += deficit
        if reached > drawn:
            return profile
    return profile


def let_needs_fall(town):
    """Phase 6: need = max(0, need - rate x multiplier x factor)."""
    vocabulary, decay = town.plan.vocabulary, town.options.needs.decay
    rates = {need: decay.get(need, about.decay) for need, about in vocabulary.needs.items()}
    for each in town.residents:
        multipliers = vocabulary.profiles[each.profile].need_multipliers
        if not town.options.features.need_multipliers:
            multipliers = {}
        runs = each.claim is not None and each.claim.stage == "running"
        factor = each.claim.affordance.decay if runs else 1.0
        for need, rate in rates.items():
            each.needs[need] = max(0.0, each.needs[need] - rate * multipliers.get(need, 1.0) * factor)


def clock(town):
    """The day, the minute of it, and whether it is day."""
    return {"day": town.day, "tod": town.tod, "phase": "day" if 360 <= town.tod < 1260 else "night"}
