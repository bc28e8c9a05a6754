"""Section 16, observations: the features of a resident, and the map around it."""

import math

from tests.model import affordances, employment, ties
from tests.model.conventions import DAY, DIRECTIONS, UNREACHABLE, clamp
from tests.model.residents import BEHAVIOURS

SHARE_OF_RENT, SHARE_OF_LATENESS, SHARE_OF_ABSENCES = 3, 5, 3
MOST_AVOIDED = 6
MILLS, MINUTES, COMMITMENT, PLACES_IN_QUEUE = 5000, 60, 15, 8
ONE_HOT = {
    "shift_pre": ("pre_shift", "await_start", "grace"),
    "shift_on_time": ("on_time",),
    "shift_late": ("late",),
    "shift_absent": ("absent",),
    "shift_post": ("post_shift",),
}
KINDS = {
    "wait": range(1),
    "move": range(1, 5),
    "leave": range(5, 6),
    "talk": range(6, 7),
    "use": range(7, 2**15),
}
"""Kind of an action -> its numbers, also those of no action."""


def features(town, resident):
    """The features of a resident by name, in the order of the page."""
    options = town.options.observations
    return {
        **{f"need_{need}": level for need, level in resident.needs.items()},
        **_status(town, resident),
        **{
            f"inv_{item}": resident.inventory[item] / about.carry
            for item, about in town.plan.vocabulary.items.items()
        },
        **_hints(town, resident),
        **_nearby(town, resident),
        **_options(town, resident),
        **_town(town, resident),
        **(_targets(town, resident) if options.targets else {}),
        **(_personality(town, resident) if options.personality else {}),
        **_social(town, resident),
    }


def _status(town, resident):
    job, claim = resident.job, resident.claim
    shift = resident.shift if job is not None else None
    turn = 2 * math.pi * town.tod / DAY
    last = resident.last[0] if resident.last else None
    return {
        "wallet": math.tanh(resident.wallet / MILLS),
        "rent_owed": min(1, resident.rent_owed / SHARE_OF_RENT),
        "has_job": job is not None,
        "on_shift": affordances.is_on_shift(town, resident),
        **{name: job is not None and resident.shift_state in states for name, states in ONE_HOT.items()},
        "time_sin": math.sin(turn),
        "time_cos": math.cos(turn),
        "shift_start_in": ((job.start - town.tod + 720) % DAY - 720) / 720 if job else 0,
        "shift_progress": _progress(town, job) if job else 0,
        "attendance": resident.attendance,
        "late_today": min(1, resident.late_today / MINUTES),
        "lateness": min(1, resident.lateness / SHARE_OF_LATENESS),
        "absences": min(1, len(resident.stamps) / SHARE_OF_ABSENCES),
        "withheld": min(1, shift.withheld / MILLS) if shift else 0,
        "embedding_slot": resident.embedding / town.plan.embedding_slots,
        "ctx_reset": resident.reset,
        "episode_progress": (town.tick - resident.born) % DAY / DAY,
        "rivalry_max": max((each.rivalry for each in resident.ties), default=0),
        "rivalry_avoid": min(
            1, sum(ties.would_avoid(town, resident, each.other) for each in resident.ties) / MOST_AVOIDED
        ),
        **{f"last_{name}": last is not None and last in numbers for name, numbers in KINDS.items()},
        "last_success": resident.succeeded,
        "last_duration": min(1, resident.repeated / MINUTES),
        "holds": claim is not None and claim.stage != "queued",
        "in_queue": claim is not None and claim.stage == "queued",
        "queue_position": _place(claim) if claim else 0,
        "using": claim is not None and claim.stage == "running",
        "use_progress": 1 - claim.remaining / claim.affordance.duration
        if claim is not None and claim.stage == "running"
        else 0,
    }


def _progress(town, job):
    x = employment.minute(town, job)
    return x / job.length if x < job.length else 0


def _place(claim):
    return min(1, (claim.thing.queue.index(claim) + 1) / PLACES_IN_QUEUE) if claim.stage == "queued" else 0


def _scale(town, steps):
    """min(1, path / (W + H)); 1 where the goal is unreachable."""
    if steps == UNREACHABLE:
        return 1
    return min(1, steps / (town.ground.width + town.ground.height))


def _hints(town, resident):
    at, fields = (resident.x, resident.y), town.ground.fields
    if not 0 <= resident.goal < fields.count:
        return {**{f"hint_{way}": 0 for way in DIRECTIONS}, "goal_distance": 1}
    way = fields.way(resident.goal, *at)
    return {
        **{f"hint_{each}": fields.leads(way, *at, each) for each in DIRECTIONS},
        "goal_distance": _scale(town, fields.steps(resident.goal, *at)),
    }


def _nearby(town, resident):
    side = town.options.observations.window
    half = side // 2

    def is_near(x, y):
        return max(abs(x - resident.x), abs(y - resident.y)) <= half

    others = [each for each in town.residents if each is not resident and is_near(each.x, each.y)]
    things = [each for each in town.things if is_near(each.x, each.y)]
    distances = [math.hypot(each.x - resident.x, each.y - resident.y) for each in others]
    place = town.ground.place_at[resident.y][resident.x]
    return {
        "near_agents": min(1, len(others) / (side**2 - 1)),
        "near_objects": len(things) / side**2,
        "near_reserved": sum(each.holder is not None for each in things) / side**2,
        "nearest_agent": min(1, min(distances) * 2 / (side - 1)) if others else 1,
        "at_home": place == resident.home.place,
        "at_work": resident.job is not None and place == resident.job.place,
    }


def _options(town, resident):
    names = [*(about.option for about in town.plan.vocabulary.needs.values()), *BEHAVIOURS]
    return {
        **{f"option_{name}": resident.option == name for name in names},
        "commit": clamp(resident.commit / COMMITMENT, 0, 1),
    }


def _town(town, resident):
    district = resident.home.district
    prices, base = town.prices[district], town.base_prices[district]
    levels = [prices[key] / base[key] if base[key] else 1 for key in base]
    return {
        "power_on": town.power[district]["power"],
        "water_on": town.power[district]["water"],
        "price_level": math.tanh(sum(levels) / len(levels) - 1) if levels else 0,
        "invited": resident.invited is not None,
    }


def _targets(town, resident):
    at, fields = (resident.x, resident.y), town.ground.fields
    targets = {}
    for name, about in town.plan.vocabulary.object_types.items():
        if about.target:
            ways = [
                (town.ground.path_to(each.number, *at), each) for each in town.things if each.type == name
            ]
            steps, nearest = min(ways, key=lambda way: way[0], default=(UNREACHABLE, None))
            targets[name] = steps, (nearest.x, nearest.y) if nearest else None
    targets["work"] = UNREACHABLE, None
    if resident.job is not None:
        place = resident.job.place
        targets["work"] = fields.steps(fields.places + place, *at), town.ground.centres[place]
    home = resident.home
    targets["home"] = (
        fields.steps(fields.homes + town.plan.home_tiles.index(home), *at),
        (home.x, home.y),
    )
    return {key: each for name, about in targets.items() for key, each in _target(town, at, name, *about)}


def _target(town, at, name, steps, tile):
    dx = dy = 0
    if 0 < steps < UNREACHABLE:
        across, down = tile[0] - at[0], tile[1] - at[1]
        far = math.hypot(across, down)
        dx, dy = across / far, down / far
    return (f"{name}_dx", dx), (f"{name}_dy", dy), (f"{name}_dist", _scale(town, steps))


def _personality(town, resident):
    about = town.plan.vocabulary.profiles[resident.profile]
    return {
        f"personality_{trait}": getattr(about, trait) for trait in ("extroversion", "forgiveness", "ambition")
    }


def _social(town, resident):
    options = town.options.observations
    friends = [each for each in resident.ties if each.trust + each.familiarity > 0]
    friends.sort(key=lambda each: (-(each.trust + each.familiarity), each.other.serial))
    friends = friends[: options.top_friends]
    rivals = [each for each in resident.ties if each.rivalry > 0 and each not in friends]
    rivals.sort(key=lambda each: (-each.rivalry, each.other.serial))
    rivals = rivals[: options.top_rivals]
    shown = {}
    for role, known, count in (
        ("friend", friends, options.top_friends),
        ("rival", rivals, options.top_rivals),
    ):
        for rank in range(count):
            tie = known[rank] if rank < len(known) else None
            shown |= {f"social_{role}_{rank + 1}_{name}": each for name, each in _tie(town, tie).items()}
    listed = [*friends, *rivals]
    for what, numbers in (
        ("trust", [each.trust for each in listed]),
        ("rivalry", [each.rivalry for each in listed]),
    ):
        shown[f"social_{what}_mean"] = sum(numbers) / len(numbers) if numbers else 0
        shown[f"social_{what}_max"] = max(numbers, default=0)
    return shown


def _tie(town, tie):
    codes = tie.other.code if tie else (0,) * town.options.observations.identity_dim
    return {
        **{f"code_{k}": each for k, each in enumerate(codes)},
        **{name: getattr(tie, name) if tie else 0 for name in ("trust", "familiarity", "rivalry")},
    }


def maps(town):
    """The map of each resident by id: four channels of K x K cells, row by row, as bytes."""
    side = town.options.observations.window
    shown = {}
    for each in town.residents:
        channels = [bytearray(side * side) for _ in range(4)]
        channels[0][side * (side // 2) + side // 2] = 1
        shown[each.id] = channels
    things = [(each.x, each.y) for each in town.things]
    held = [(each.x, each.y) for each in town.things if each.holder is not None]
    for each in town.residents:
        others = [(other.x, other.y) for other in town.residents if other is not each]
        for channel, tiles in zip(shown[each.id][1:], (others, things, held), strict=True):
            for x, y in tiles:
                across, down = x - each.x + side // 2, y - each.y + side // 2
                if 0 <= across < side and 0 <= down < side:
                    channel[down * side + across] = 1
    return {name: b"".join(channels) for name, channels in shown.items()}
