"""What is done to a town from outside, by chance: interventions, and commands that are possible or not."""

import random
from collections.abc import Callable, Mapping
from typing import Any

from tests.model.conventions import cheb
from tests.model.happenings import EFFECTS
from tests.model.runs import Pair
from townlet_core.dto.command import Command

OUTSIDERS = (1_000_000, 1_000_001, 1_000_002)
"""Sources of effects that no event has."""


def stroke(pair: Pair, dice: random.Random) -> tuple[Any, ...]:
    """A random intervention."""
    plan, slots = pair.plan, pair.spec.capacity
    match dice.randrange(9):
        case 0:
            return ("teleport", dice.randrange(slots), *place(pair, dice))
        case 1:
            return "set_need", dice.randrange(slots), dice.choice(list(plan.vocabulary.needs)), dice.random()
        case 2:
            return "spawn", dice.randrange(len(plan.home_tiles))
        case 3:
            return "remove", dice.randrange(slots), dice.random() < 0.3
        case 4:
            return "interrupt", dice.randrange(slots), dice.random() < 0.5
        case _:
            return effect(pair, dice)


def effect(pair: Pair, dice: random.Random) -> tuple[Any, ...]:
    """Something is off, closed or dear, or no longer so, for a source; or a price is edited."""
    plan = pair.plan
    district, key = dice.randrange(plan.districts), dice.choice(list(plan.prices))
    ends = dice.choice((0, pair.model.tick + dice.randrange(60)))
    lasting = dice.choice((0, *OUTSIDERS)), ends
    match dice.randrange(5):
        case 0:
            return "switch", district, dice.choice(("power", "water")), dice.random() < 0.7, *lasting
        case 1:
            return "scale", district, key, dice.choice((0, 333, 500, 1000, 1800, 10_000)), *lasting
        case 2:
            most = dice.choice((1, 2, 100)) * plan.prices[key]
            return "set_price", district, key, dice.randrange(1 + most)
        case drawn:
            return "close", dice.randrange(len(plan.objects)), drawn % 2 == 1, *lasting


def place(pair: Pair, dice: random.Random) -> list[int]:
    """A tile, now and then beside the map."""
    return [dice.randrange(-1, pair.plan.width + 1), dice.randrange(-1, pair.plan.height + 1)]


def resident(pair: Pair, dice: random.Random) -> str:
    """The id of a resident, now and then of one that does not live."""
    living = [each.id for each in pair.model.residents]
    if living and dice.random() < 0.9:
        return dice.choice(living)
    return f"a{dice.randrange(pair.model.born + 2):05d}"


def reviewed(pair: Pair, dice: random.Random) -> str:
    """The id of a resident, of one with a pending review if there is any."""
    pending = [each.id for each in pair.model.residents if each.review is not None]
    return dice.choice(pending) if pending and dice.random() < 0.9 else resident(pair, dice)


def neighbours(pair: Pair, dice: random.Random) -> dict[str, str]:
    """Two residents, mostly beside each other."""
    living = pair.model.residents
    beside = [(a.id, b.id) for a in living for b in living if a is not b and cheb(a.x, a.y, b.x, b.y) <= 1]
    near = beside and dice.random() < 0.8
    speaker, listener = dice.choice(beside) if near else (resident(pair, dice), resident(pair, dice))
    return {"speaker": speaker, "listener": listener}


def levels(pair: Pair, dice: random.Random) -> dict[str, float]:
    """Levels of two needs, now and then of one that there is not."""
    needs = [*pair.plan.vocabulary.needs] * 3 + ["glory"]
    return {dice.choice(needs): dice.choice((0, 0.05, dice.uniform(-0.1, 1.1))) for _ in range(2)}


def maybe(dice: random.Random, **given: Any) -> dict[str, Any]:
    """Some of these arguments."""
    return {name: each for name, each in given.items() if dice.random() < 0.35}


def newcomer(pair: Pair, dice: random.Random) -> dict[str, Any]:
    """The arguments of ``spawn``."""
    plan = pair.plan
    home = dice.choice(plan.home_tiles)
    return maybe(
        dice,
        position=place(pair, dice),
        home=[home.x, home.y] if dice.random() < 0.9 else place(pair, dice),
        needs=levels(pair, dice),
        wallet=dice.choice((-1, 0, 77, 1_000_000, 1_000_001)),
        profile=dice.choice((*plan.vocabulary.profiles, "hero")),
        job_id=dice.choice((*(each.id for each in plan.jobs), "king")),
    )


def edit(pair: Pair, dice: random.Random) -> dict[str, Any]:
    """A price, and mills."""
    key = dice.choice((*pair.plan.prices, "moon.cheese"))
    most = pair.plan.prices.get(key, 1)
    return {"key": key, "mills": dice.choice((-1, 0, most // 2, 2 * most, 100 * most, 100 * most + 1))}


def happening(pair: Pair, dice: random.Random) -> dict[str, Any]:
    """The arguments of ``perturb``; most are such that the spec takes them."""
    plan = pair.plan
    spec = dice.choice(plan.specs)
    wants = EFFECTS[spec.effect] if dice.random() < 0.8 else dice.choice(EFFECTS)
    given = maybe(
        dice,
        starts_in=dice.choice((0, 0, 1, 30, 200)),
        duration=dice.choice((0, 1, 5, 30, 100)),
        district=dice.randrange(-1, plan.districts + 1) if dice.random() < 0.2 else 0,
    )
    named = {
        "prices": {
            "targets": some(dice, ["global", "market", "cafe", "home", "meal", "moon", *plan.prices]),
            "magnitude": dice.choice((0, 500, 1000, 1001, 3000, 10_000)),
        },
        "utility": {"targets": some(dice, ["power", "water", "power", "love"])},
        "closure": {"targets": some(dice, [each.id for each in plan.objects])},
        "meeting": {"targets": pair_of(pair, dice), "location": where(pair, dice)},
        "festival": {"location": where(pair, dice)},
    }[wants]
    return {"spec": spec.name, **given, **maybe(dice, **named)}


def some(dice: random.Random, names: list[str]) -> list[str]:
    """One to three names, seldom one twice."""
    return [dice.choice(names) for _ in range(dice.choice((1, 1, 2, 3)))]


def pair_of(pair: Pair, dice: random.Random) -> list[str]:
    """Two residents, mostly."""
    return [resident(pair, dice) for _ in range(dice.choice((2, 2, 2, 2, 1)))]


def where(pair: Pair, dice: random.Random) -> str:
    """A place, mostly."""
    return dice.choice([*(each.id for each in pair.plan.places), "moon"])


MADE: Mapping[str, Callable[[Pair, random.Random], dict[str, Any]]] = {
    "teleport": lambda pair, dice: {"agent_id": resident(pair, dice), "position": place(pair, dice)},
    "set_need": lambda pair, dice: {"agent_id": resident(pair, dice), "needs": levels(pair, dice)},
    "interrupt": lambda pair, dice: {
        "agent_id": resident(pair, dice), **maybe(dice, idle=dice.random() < 0.5)
    },
    "spawn": newcomer,
    "kill": lambda pair, dice: {
        "agent_id": resident(pair, dice), **maybe(dice, replace=dice.random() < 0.5)
    },
    "review": lambda pair, dice: {
        "agent_id": reviewed(pair, dice), "decision": dice.choice(("approve", "defer", "defer", "praise"))
    },
    "force_chat": lambda pair, dice: {
        **neighbours(pair, dice), **maybe(dice, quality=dice.choice((0.1, 0.5, 1, 1.5))),
    },
    "set_rel": lambda pair, dice: {
        "owner": resident(pair, dice), "other": resident(pair, dice),
        **maybe(
            dice, trust=dice.uniform(-1, 1), familiarity=dice.uniform(-1, 1.1), rivalry=dice.uniform(-0.1, 1),
            both=dice.random() < 0.5,
        ),
    },
    "toggle_mortality": lambda _, dice: {"value": dice.random() < 0.8},
    "set_exit_cap": lambda _, dice: {"value": dice.choice((-1, 0, 0, 1, 2, 50, 51))},
    "set_exit_spacing": lambda _, dice: {"value": dice.choice((-1, 0, 1, 60, 120, 100_001))},
    "set_price": lambda pair, dice: {
        **edit(pair, dice), **maybe(dice, district=dice.randrange(-1, pair.plan.districts + 1))
    },
    "perturb": happening,
    "perturb_cancel": lambda pair, dice: {
        "event_id": f"evt_{dice.randrange(pair.model.calendar.scheduled + 2)}"
    },
}  # fmt: skip
"""The arguments of each command."""


def command(pair: Pair, dice: random.Random) -> Command:
    """A random command, possible or not."""
    name = dice.choice(list(MADE))
    return Command(name, MADE[name](pair, dice), str(dice.random()), "ada")
