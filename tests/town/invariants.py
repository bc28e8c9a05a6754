"""What holds in every town after every tick (domain.md, section 25), as checks over the state's arrays.

All towns of a batch are checked at once, so that a check costs no more than the tick it follows.
"""

from collections import Counter

import numpy as np

from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.compiled.rows import KINDS
from townlet_adapters.worlds.town.compiled.state import TownState, waiting_for
from townlet_adapters.worlds.town.events import affordance, queue
from townlet_adapters.worlds.town.seam.batch import TownBatch
from townlet_core.events.base import Event

MOST_ORDERS = 8
"""Interventions of a tick in these tests."""
AFTER_START = frozenset({"utility_lost", "left", "interrupted", "agent_exit"})
"""Reasons for which a running use fails; every other reason refuses one that has not started."""
_DIRECTION = {
    "grant": 1, "refund": 1, "wage": 1, "bonus": 1, "purchase": -1, "fine": -1, "rent": -1, "sweep": 0,
    "hook": 1, "estate": -1,
}  # fmt: skip
INTO_WALLETS = np.array([_DIRECTION[flow] for flow in codes.FLOWS])
"""What a mill of each flow does to the wallets."""
ONE_WAY = [number for number, flow in enumerate(codes.FLOWS) if flow not in ("sweep", "hook")]
"""Flows that go in one direction; a till with more wages than takings is filled up by the treasury."""
COUNTS = (
    "rent_owed", "blocked", "lateness_counter", "withheld", "paid_ticks", "on_time_ticks", "late_ticks_today",
    "outcomes", "samples_seen", "stamps_seen", "drop", "last_duration",
)  # fmt: skip


def require(holds, rule: str, state: TownState) -> None:
    """Fail with the towns, ticks and rows for which a rule does not hold; the first axis is the town."""
    holds = np.asarray(holds)
    if not holds.all():
        where = np.argwhere(~holds)
        ticks = state.towns["tick"][where[:, 0]] - 1
        raise AssertionError(f"{rule}; broken at {where[:5].tolist()} in ticks {ticks[:5].tolist()}")


def check_invariants(batch: TownBatch) -> None:
    """Check everything that one look at a batch can tell.

    Raises:
        AssertionError: with the rule, the town and the tick.
    """
    model, s = batch.model, batch.state
    check_registers(s)
    check_money(model, s)
    check_positions(model, s)
    check_claims(model, s)
    check_uses(model, s)
    check_nobody_keeps_an_object_idle(model, s)
    check_needs_and_goods(model, s)
    check_jobs(model, s)
    check_effects(s)
    check_lives(model, s)
    check_events(model, s)
    check_ties(model, s)
    check_arrays(batch)
    check_rows(batch)


def living(s: TownState) -> np.ndarray:
    """bool[B, N]."""
    return s.residents["alive"]


def check_registers(s: TownState) -> None:
    """Rule 23, and the roster: living slots in the order of serials that were never used twice."""
    r, alive = s.residents, living(s)
    population = s.towns["population"]
    require(alive.sum(1) == population, "population counts the living", s)
    listed = np.arange(alive.shape[1]) < population[:, None]
    serials = np.where(listed, np.take_along_axis(r["serial"], s.roster, 1), np.iinfo(np.int64).max)
    require(~listed | np.take_along_axis(alive, s.roster, 1), "the roster lists the living", s)
    require((np.diff(serials, axis=1) > 0) | ~listed[:, 1:], "the roster is in the order of serials", s)
    require(~alive | (r["serial"] < s.towns["next_serial"][:, None]), "serials are below the next one", s)
    owned = np.zeros_like(s.released)
    towns, slots = np.nonzero(alive)
    np.add.at(owned, (towns, r["embedding"][towns, slots]), 1)
    require(owned <= 1, "an embedding slot belongs to one living resident", s)
    used = np.arange(owned.shape[1]) < s.towns["embeddings"][:, None]
    require(owned + (s.released > 0) == used, "a used embedding slot is owned or released", s)
    require(s.released <= s.towns["tick"][:, None], "embedding slots were released before now", s)
    for rows in (s.residents, s.cooldowns, s.outcomes, s.ties, s.portraits):
        dead = rows[~alive]
        require([dead.tobytes().count(0) == dead.nbytes], "a dead slot is all zero", s)
    check_census(s)


def check_census(s: TownState) -> None:
    """Profiles and names of the living are counted, and nobody shares a name."""
    r, alive = s.residents, living(s)
    counted = np.zeros_like(s.census)
    towns, slots = np.nonzero(alive)
    lives = r[towns, slots]
    for rows, columns in ((0, lives["profile"]), (1 + lives["name_round"], lives["name"])):
        np.add.at(counted, (towns, rows, columns), 1)
        np.add.at(counted, (towns, rows, -1), 1)
    require(counted == s.census, "the census counts the living", s)
    require(counted[:, 1:, :-1] <= 1, "a name is of one living resident", s)


def is_midnight(model: TownModel, s: TownState) -> np.ndarray:
    """Whether the last tick of each town, bool[B], was a day's last one."""
    return np.asarray((s.towns["tick"] + model.tables.params[0].start_tod) % codes.TICKS_PER_DAY == 0)


def check_money(model: TownModel, s: TownState) -> None:
    """Rule 1: no money is made or lost, and nobody owes."""
    wallets = s.residents["wallet"]
    require(wallets.sum(1) + s.tills.sum(1) + s.towns["treasury"] == 0, "all accounts add up to 0", s)
    require(wallets >= 0, "no wallet is below 0", s)
    require(s.flows[:, ONE_WAY] >= 0, "flows are counted, not netted", s)
    midnight = is_midnight(model, s)
    require(~midnight[:, None] | (s.tills == 0), "the tills are empty at midnight", s)


def check_positions(model: TownModel, s: TownState) -> None:
    """Rule 2: everybody stands on a passable tile, alone or with one ghost."""
    r, alive = s.residents, living(s)
    height, width = model.tables.passable.shape
    x, y, mate = r["x"], r["y"], r["mate"]
    require((x >= 0) & (x < width) & (y >= 0) & (y < height), "everybody is in the grid", s)
    require(~alive | (model.tables.passable[y, x] == 1), "everybody stands on a passable tile", s)
    towns = np.arange(len(alive))[:, None]
    slots = np.arange(alive.shape[1])
    margin = int(model.tables.params[0].margin)
    found = s.occupant[towns, y + margin, x + margin]
    shares = alive & (mate >= 0)
    require(~alive | (found == slots) | (shares & (found == mate)), "the grid knows who stands where", s)
    others = np.where(shares, mate, slots)
    back = np.take_along_axis(mate, others, 1)
    together = (np.take_along_axis(x, others, 1) == x) & (np.take_along_axis(y, others, 1) == y)
    require(~shares | ((back == slots) & together & (others != slots)), "two on a tile know each other", s)
    occupied = (s.occupant >= 0).sum((1, 2))
    require(occupied == alive.sum(1) - shares.sum(1) // 2, "nobody else stands anywhere", s)
    ghost = r["ghost"]
    require(~shares | ghost | np.take_along_axis(ghost, others, 1), "of two on a tile one is a ghost", s)
    require(~(shares & ghost) | r["moved"] | np.take_along_axis(r["moved"], others, 1),
            "two share a tile only right after a step", s)  # fmt: skip


def check_claims(model: TownModel, s: TownState) -> None:
    """Rule 3: holders, queues and claims agree."""
    r, o, alive = s.residents, s.objects, living(s)
    stage, claim = r["claim_stage"], r["claim_object"]
    towns = np.arange(len(alive))[:, None]
    slots = np.arange(alive.shape[1])
    claims = alive & (stage != codes.NO_STAGE)
    require(~alive | ((claim >= 0) == claims), "a claim has an object and a stage", s)
    require(~alive | ((r["claim_affordance"] >= 0) == claims), "a claim has an affordance", s)
    kind = model.tables.affordances["type"][r["claim_affordance"]]
    require(~claims | (model.tables.objects["type"][claim] == kind), "an object offers what is claimed", s)
    holds = alive & (stage >= codes.STAGE_HELD)
    require(~holds | (o["holder"][towns, claim] == slots), "who holds an object is its holder", s)
    held = o["holder"] >= 0
    require(held.sum(1) == holds.sum(1), "every holder holds", s)
    margin = int(model.tables.params[0].margin)
    placed = model.tables.objects
    require(
        s.reserved[:, placed["y"] + margin, placed["x"] + margin] == held, "the grid shows reservations", s
    )
    require(s.reserved.sum((1, 2)) == held.sum(1), "nothing else is reserved", s)
    length = o["queue_length"]
    require((length >= 0) & (length <= alive.shape[1]), "a queue has room for everybody", s)
    queues = [
        (town, thing, waiting_for(s, town, thing)) for town, thing in np.argwhere(o["first"] >= 0).tolist()
    ]
    walked = np.zeros_like(length)
    for town, thing, line in queues:
        walked[town, thing] = len(line)
    require(walked == length, "a queue is as long as it says", s)
    waiting = [(town, thing, slot) for town, thing, line in queues for slot in line]
    b, thing, who = np.array(waiting, int).reshape(-1, 3).T
    right = (claim[b, who] == thing) & (stage[b, who] == codes.STAGE_QUEUED) & alive[b, who]
    fits = np.ones(len(alive), bool)
    fits[b[~right]] = False
    require(fits, "who stands in a queue has queued for that object", s)
    times = np.zeros(alive.shape, int)
    np.add.at(times, (b, who), 1)
    require(times == (alive & (stage == codes.STAGE_QUEUED)), "who has queued stands in one queue, once", s)


def check_uses(model: TownModel, s: TownState) -> None:
    """Rule 4: what runs has a holder who uses it, and an end."""
    r, o = s.residents, s.objects
    running, holder, use = o["running"], o["holder"], o["affordance"]
    towns = np.arange(len(running))[:, None]
    require(~running | (holder >= 0), "what runs has a holder", s)
    stage = r["claim_stage"][towns, holder]
    require((holder < 0) | ((stage == codes.STAGE_RUNNING) == running), "a holder uses what runs", s)
    require(
        (holder < 0) | (r["claim_affordance"][towns, holder] == use), "the holder's claim names the use", s
    )
    require((holder >= 0) | (use == codes.NOBODY), "what nobody holds is used for nothing", s)
    duration = model.tables.affordances["duration"][use]
    in_time = (o["remaining"] >= 1) & (o["remaining"] <= duration)
    require(~running | in_time, "a use has 1 to its duration of ticks left", s)
    require(~running | (o["paid"] >= 0), "nobody is paid for a use", s)
    require(~(running & ~works(model, s)) | (o["started"] == s.towns["tick"][:, None] - 1),
            "a use does not outlast its utilities", s)  # fmt: skip


def works(model: TownModel, s: TownState) -> np.ndarray:
    """bool[B, O], whether an object has all its utilities."""
    placed = model.tables.objects
    utility = s.districts["utility"][:, placed["district"]]
    return ((placed["utilities"] == 0) | (utility != 0)).all(2)


def check_effects(s: TownState) -> None:
    """What is off, closed and dear is what the active effects and base prices say, and nothing else."""
    off, closed = np.ones_like(s.districts["utility"]), np.zeros_like(s.objects["closed"])
    price, ends = s.price["normal"].copy(), np.full(len(s.towns), 2**62)
    for b, number in np.argwhere(s.effects["kind"] != 0).tolist():
        kind, who, key, scale, until, _ = s.effects[b, number].item()
        if kind == codes.EFFECT_OFF:
            off[b, who, key] = 0
        elif kind == codes.EFFECT_CLOSED:
            closed[b, who] = True
        else:
            price[b, who, key] = min(10**12, (price[b, who, key] * scale + 500) // 1000)
        ends[b] = min(ends[b], until or 2**62)
    require((s.effects["kind"] != 0).sum(1) == s.towns["effects"], "active effects are counted", s)
    require(np.diff(s.effects["source"], axis=1)[s.effects["kind"][:, 1:] != 0][None] >= 0, "in order", s)
    require(s.districts["utility"] == off, "a utility is off while an effect says so", s)
    require(s.objects["closed"] == closed, "an object is closed while an effect says so", s)
    require(s.price["now"] == price, "prices are base prices under the effects", s)
    require(s.towns["effects_end"] == ends, "the next end of an effect is known", s)
    require(s.towns["tick"] <= ends, "an effect that is over is gone", s)


def check_lives(model: TownModel, s: TownState) -> None:
    """Who leaves is gone when the tick is over, who is due waits in turn, and who comes is in the list."""
    r, d, alive = s.residents, s.districts, living(s)
    now = s.towns["tick"][:, None] - 1
    require(r["leaving"] == 0, "who leaves in a tick is gone after it", s)
    require(s.towns["leavers"] == 0, "nobody is leaving between two ticks", s)
    require((r["due"] >= 0) & (r["due"] < len(codes.EXITS)), "who is due to leave has a reason", s)
    require(
        (r["due"] > 0) | ((r["kept"] == 0) & (r["due_since"] == 0)), "who is not due waits for nothing", s
    )
    require((r["due"] == 0) | (r["kept"] > 0), "who is due and stays knows why", s)
    owes = alive & (r["rent_owed"] >= 2) & (now >= 0)
    require(~owes | (r["owed_since"] >= 0), "who owes two days knows since when", s)
    require(~(alive & ~owes) | (r["owed_since"] == codes.NOBODY), "who owes less is not counted", s)
    require(
        (r["low_ticks_today"] <= codes.TICKS_PER_DAY) & (r["collapse_ticks"] >= 0), "misery is counted", s
    )
    cap = s.towns["exit_cap"][:, None]
    fixed = (cap == model.tables.params[0].daily_exit_cap) & (cap > 0)
    require(~fixed | (d["exits_today"] <= cap), "no more leave in a day than may", s)
    require((d["last_exit"] <= now) | (now < 0), "the last exit is over", s)
    coming = s.towns["arrivals"][:, None]
    listed = np.arange(s.arrivals.shape[1]) < coming
    require(listed == (s.arrivals["due"] > 0), "who is on its way is listed", s)
    require(~listed[:, 1:] | (np.diff(s.arrivals["due"], axis=1) >= 0), "the next arrival is first", s)
    require(s.arrivals["due"] <= now + 20, "arrivals are due within 20 ticks", s)


def check_events(model: TownModel, s: TownState) -> None:
    """Events are in order and under way in time, and what they do ends with them."""
    events, tick = s.perturbations, s.towns["tick"][:, None]
    real = np.arange(events.shape[1]) < s.towns["perturbations"][:, None]
    blank = events[~real]
    require([blank.tobytes().count(0) == blank.nbytes], "an event that there is not is all zero", s)
    number, active = events["number"], events["active"] != 0
    require(~real | ((number >= 1) & (number <= s.towns["last_event"][:, None])), "events are counted", s)
    require((np.diff(number, axis=1) > 0) | ~real[:, 1:], "events are in the order of their numbers", s)
    begun = (events["starts_at"] < tick) & (events["ends_at"] >= tick)
    require(~real | np.where(active, begun, events["starts_at"] >= tick), "an event is under way in time", s)
    own = np.isin(s.effects["source"], (0, 1, 2)) | (s.effects["source"][..., None] == np.where(
        active, number, -1)[:, None]).any(2)  # fmt: skip
    require((s.effects["kind"] == 0) | own, "an effect of an event ends with it", s)
    r, alive = s.residents, living(s)
    invited = alive & (r["invite"] != 0)
    by = (r["invite"][..., None] == np.where(active, number, -1)[:, None]).any(2)
    require(~invited | by, "an invitation is to an event that is under way", s)
    effect = model.tables.specs["effect"][events["spec"]]
    festive = real & active & (effect == codes.MEETING)
    meets = (r["invite"][..., None] == np.where(festive, number, -1)[:, None]).any(2)
    require(~alive | ((r["meets"] != 0) == meets), "who meets is invited to a meeting", s)
    busy = (real & active & (events["source"] == codes.BY_SCHEDULER)).sum(1)
    most = int(model.tables.params[0].max_concurrent) * s.districts.shape[1]
    require(busy <= most, "the scheduler keeps its cap", s)


def check_nobody_keeps_an_object_idle(model: TownModel, s: TownState) -> None:
    """No stuck reservation: a free object keeps nobody waiting, an idle hold ends, a closed object rests."""
    o = s.objects
    held, waited_for, closed = o["holder"] >= 0, o["queue_length"] > 0, o["closed"]
    require(held | ~waited_for | closed, "no free object keeps anybody waiting", s)
    idle = held & ~o["running"]
    require(~closed | ~(idle | waited_for), "a closed object is neither held idly nor waited for", s)
    limit = o["eta"] + model.tables.params[0].hold_ticks
    age = s.towns["tick"][:, None] - 1 - o["granted"]
    require(~(idle & works(model, s)) | (age <= limit), "an idle hold runs out", s)


def check_rows(batch: TownBatch) -> None:
    """No tick writes more rows of a kind than the table of kinds promises."""
    sizes = batch.model.sizes._replace(orders=MOST_ORDERS)
    for b, written in enumerate(batch.journal.written):
        counts = np.bincount(batch.journal.rows["kind"][b, :written], minlength=len(KINDS))
        for kind in KINDS:
            most = kind.bound.rows(sizes)
            if counts[kind.code] > most:
                tick = batch.state.towns["tick"][b] - 1
                raise AssertionError(
                    f"{counts[kind.code]} rows of {kind.event} in tick {tick}; at most {most}"
                )


def check_needs_and_goods(model: TownModel, s: TownState) -> None:
    """Rules 5 and 6: needs, goods and records lie in their ranges."""
    r = s.residents
    need = r["need"]
    require((need >= 0) & (need <= 1), "needs lie in [0, 1]", s)
    require((r["attendance"] >= 0) & (r["attendance"] <= 1), "attendance lies in [0, 1]", s)
    require((r["samples"] >= 0) & (r["samples"] <= 1), "samples of attendance lie in [0, 1]", s)
    inventory = r["inventory"]
    carry = model.tables.params[0].carry
    require((inventory >= 0) & (inventory <= carry), "inventories keep their limits", s)
    stock = s.objects["stock"]
    require((stock >= 0) & (stock <= model.tables.objects["capacity"]), "stock lies in [0, capacity]", s)
    midnight = is_midnight(model, s)
    require(
        ~midnight[:, None, None] | (stock == model.tables.objects["capacity"]), "midnight fills stocks", s
    )
    latest = s.towns["tick"] - 1 + model.tables.params[0].cooldown_ticks
    until = s.cooldowns[..., 1]
    require((until >= 0) & (until <= latest[:, None, None]), "cool-downs end in time", s)
    require(until[..., 1:] <= until[..., :-1], "the longest cool-down comes first", s)
    for name in COUNTS:
        require(r[name] >= 0, f"{name} is a count", s)


def check_jobs(model: TownModel, s: TownState) -> None:
    """Rule 10: nobody has a job too many."""
    r, alive, jobs = s.residents, living(s), model.tables.jobs
    holders = (np.where(alive, r["job"], -1)[:, :, None] == np.arange(len(jobs))).sum(1)
    require(holders == s.job_holders, "jobs know how many hold them", s)
    require(s.job_holders <= jobs["capacity"], "no job is filled beyond its capacity", s)
    require(~alive | (r["job"] < 0) | (jobs["district"][r["job"]] == r["district"]), "work is near home", s)
    require(r["on_time_ticks"] <= r["paid_ticks"], "on-time ticks are paid ticks", s)
    length = np.where(r["job"] >= 0, jobs["length"][r["job"]], 0)
    require(~alive | (r["paid_ticks"] <= length), "wages are paid within the shift", s)
    reviewed = np.zeros_like(s.districts["reviews"])
    b, i = np.nonzero(alive & (r["review_since"] >= 0))
    np.add.at(reviewed, (b, r["district"][b, i]), 1)
    require(reviewed == s.districts["reviews"], "districts know their pending reviews", s)


def check_ties(model: TownModel, s: TownState) -> None:
    """Rule 8: ties are few, in their ranges, each to another one of the living, and what follows is known."""
    r, ties, alive = s.residents, s.ties, living(s)
    most = ties.shape[2]
    require((r["ties"] >= 0) & (r["ties"] <= most), "an owner has few ties", s)
    real = np.arange(most) < r["ties"][..., None]
    blank = ties[~real]
    require([blank.tobytes().count(0) == blank.nbytes], "a tie that there is not is all zero", s)
    other = ties["other"]
    slots = np.arange(alive.shape[1])[:, None]
    lives = np.take_along_axis(alive, np.where(real, other, 0).reshape(len(alive), -1), 1).reshape(
        other.shape
    )
    require(~real | (lives & (other != slots)), "a tie is to another one who lives", s)
    listed = np.sort(np.where(real, other, -1 - np.arange(most)), axis=2)
    require(np.diff(listed, axis=2) != 0, "a tie is the only one to its other end", s)
    for name, low in (("trust", -1), ("familiarity", -1), ("rivalry", 0)):
        require((ties[name] >= low) & (ties[name] <= 1), f"{name} keeps its range", s)
    tick = s.towns["tick"][:, None, None]
    require(~real | ((ties["changed"] >= 0) & (ties["changed"] < tick)), "a tie changed before now", s)
    level = model.tables.profiles["avoids_from"][r["profile"]]
    avoided = (real & (ties["rivalry"] >= level[..., None])).sum(2)
    require(~alive | (r["avoided"] == avoided), "who is avoided is counted", s)
    require(~alive | (r["portrayed"] == 1), "every portrait is up to date", s)
    fiercest = ties["rivalry"].max(2).astype(np.float32)
    require(~alive | (s.portraits[..., 0] == fiercest), "a portrait shows the fiercest rivalry", s)


def check_arrays(batch: TownBatch) -> None:
    """Rules 13 and 14: observations keep their shapes and ranges, the dead are blank."""
    out, s, spec = batch.arrays, batch.state, batch.model.spec
    n = spec.capacity
    shapes = {
        "map": (np.uint8, (n, len(spec.map_channels), spec.map_window, spec.map_window)),
        "features": (np.float32, (n, len(spec.feature_names))),
        "mask": (np.uint8, (n, len(spec.action_names))),
        "reward": (np.float32, (n,)),
        "reward_parts": (np.float64, (n, len(spec.reward_parts))),
        "terminated": (np.uint8, (n,)),
        "truncated": (np.uint8, (n,)),
        "alive": (np.uint8, (n,)),
        "serial": (np.int64, (n,)),
    }
    for name, array in out._asdict().items():
        dtype, shape = shapes[name]
        assert array.dtype == dtype, f"{name} keeps its type"
        assert array.shape == (batch.towns, *shape), f"{name} keeps its shape"
    require(np.isfinite(out.features) & (np.abs(out.features) <= 1), "features lie in [-1, 1]", s)
    require(out.map <= 1, "the map is of zeros and ones", s)
    require(out.mask <= 1, "the mask is of zeros and ones", s)
    require(out.mask[:, :, codes.WAIT] == 1, "everybody may wait", s)
    alive = living(s)
    require(out.alive == alive, "who lives is shown", s)
    left = (out.terminated | out.truncated) == 1
    require(~(left & alive), "who left does not live", s)
    require(~out.terminated | ~out.truncated, "a life ends in one way", s)
    shown = alive | left
    require(left | (np.where(alive, s.residents["serial"], 0) == out.serial), "serials are shown", s)
    require(~shown | (out.serial < s.towns["next_serial"][:, None]), "serials are those of residents", s)
    require(~out.mask[:, :, 1:][~alive].any(keepdims=True), "the dead may only wait", s)
    for array in (out.map, out.features, out.reward, out.reward_parts):
        require(~array[~shown].any(keepdims=True), "rows of the dead are zero", s)
    *parts, total = np.moveaxis(out.reward_parts, -1, 0)
    require(np.isfinite(total) & (np.abs(sum(parts) - total) <= 1e-12), "parts of a reward add up to it", s)
    require(out.reward == total.astype(np.float32), "the reward is the sum of its parts", s)
    bits = (
        s.residents["mask"][:, :, None] >> np.arange(len(spec.action_names), dtype=np.uint64)
    ) & np.uint64(1)
    require(~alive[:, :, None] | (bits == out.mask), "the mask shown is the mask that counts", s)


def lasting(batch: TownBatch) -> list[bytes]:
    """What follows from the state: the arrays without rewards, and without who left in the last tick."""
    left = (batch.arrays.terminated | batch.arrays.truncated) == 1
    kept = []
    for name, array in batch.arrays._asdict().items():
        copy = np.zeros_like(array) if name.startswith("reward") else array.copy()
        copy[left] = 0
        if name == "mask":
            copy[left, codes.WAIT] = 1
        kept.append(copy.tobytes())
    return kept


class Watch:
    """Rules that compare a tick's end with its beginning: call ``before`` and ``after`` around a step."""

    def __init__(self, batch: TownBatch) -> None:
        self._batch = batch
        self.before()

    def before(self) -> None:
        """Remember what the rules compare with."""
        s = self._batch.state
        self._mask = self._batch.arrays.mask.copy()
        self._need = s.residents["need"].copy()
        self._job, self._skip = s.residents["job"].copy(), s.residents["skip_shift"].copy()
        self._lived = np.where(living(s), s.residents["serial"], -1)
        midnight = is_midnight(self._batch.model, s)[:, None]
        self._flows = np.where(midnight & (s.towns["tick"] > 0)[:, None], 0, s.flows)
        self._wallets = s.residents["wallet"].sum(1)
        self._finished = s.residents["outcomes"].copy()

    def after(self, actions: np.ndarray, *, needs_set: bool) -> None:
        """Compare; ``needs_set`` says that somebody's need was changed from outside."""
        model, s = self._batch.model, self._batch.state
        stayed = living(s) & (s.residents["serial"] == self._lived)
        legal = (actions >= 0) & (actions < self._mask.shape[2])
        legal &= (
            np.take_along_axis(self._mask, np.where(legal, actions, 0)[:, :, None].astype(int), 2)[:, :, 0]
            == 1
        )
        refused = s.residents["last_result"] == codes.INVALID
        require(~stayed | (legal != refused), "an unmasked action is never invalid, a masked one always", s)
        require(stayed | ~refused, "who arrived waits", s)
        moved = s.flows - self._flows
        require(moved[:, ONE_WAY] >= 0, "flows only grow within a day", s)
        gained = s.residents["wallet"].sum(1) - self._wallets
        require(moved @ INTO_WALLETS == gained, "the flows explain every wallet", s)
        self._check_wages(model, s, stayed, moved[:, codes.FLOWS.index("wage")])
        if not needs_set:
            done = s.residents["outcomes"] > self._finished
            fell = (s.residents["need"] <= self._need).all(2)
            running = s.residents["claim_stage"] == codes.STAGE_RUNNING
            raises = model.tables.affordances["each_tick"].any(axis=1)[s.residents["claim_affordance"]]
            rises = done | (running & raises)
            require(fell | rises | ~stayed, "a need rises only by the effects of a use", s)

    def _check_wages(self, model: TownModel, s: TownState, stayed: np.ndarray, paid: np.ndarray) -> None:
        """Rule 10: wages go to who is at work within the shift, and to nobody else."""
        jobs = model.tables.jobs[self._job]
        tod = s.towns["tick"][:, None] - 1 + self._batch.model.tables.params[0].start_tod
        x = (tod - jobs["start"]) % codes.TICKS_PER_DAY
        there = model.tables.place_at[s.residents["y"], s.residents["x"]] == jobs["place"]
        within = (self._job >= 0) & ~self._skip & (x < jobs["length"])
        due = np.where(stayed & within & there, jobs["wage"], 0).sum(1)
        # Who left in this tick may have been at work in it.
        left = (self._lived >= 0) & ~stayed
        most = due + np.where(left & within, jobs["wage"], 0).sum(1)
        require((due <= paid) & (paid <= most), "wages only within the shift, while present", s)


class Chronicle:
    """Rules 7 and 9 over the events of one town: every use and every wait that begins comes to an end."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.reasons: Counter[tuple[str, str]] = Counter()
        self.running: dict[str, affordance.AffordanceStart] = {}
        self.waiting: dict[str, tuple[str, int]] = {}
        self.waits: list[int] = []

    def see(self, events: tuple[Event, ...], tick: int) -> None:
        """Take one tick's events."""
        for event in events:
            self.kinds[event.kind] += 1
            match event:
                case affordance.AffordanceStart():
                    assert event.agent_id not in self.running, f"{event} while another use runs"
                    self.running[event.agent_id] = event
                case affordance.AffordanceFinish():
                    self._end(event)
                case affordance.AffordanceFail():
                    self.reasons[event.kind, event.reason] += 1
                    self._fail(event)
                case queue.QueueJoin():
                    assert event.agent_id not in self.waiting, f"{event} while waiting elsewhere"
                    self.waiting[event.agent_id] = event.object_id, tick
                case queue.QueueGrant():
                    self._serve(event, tick)
                case queue.QueueLeave():
                    self.reasons[event.kind, event.reason] += 1
                    self.waiting.pop(event.agent_id, None)
                case queue.QueueConflict():
                    self.reasons[event.kind, event.reason] += 1
                    if event.reason == "ghost_step":
                        self.waiting[event.actor] = str(event.object_id), tick

    def check_end(self, batch: TownBatch, b: int) -> None:
        """Compare with the state: starts = finishes + failures + what still runs, and so for waits."""
        r = batch.state.residents[b]
        uses = {f"a{r['serial'][i]:05d}" for i in np.flatnonzero(r["claim_stage"] == codes.STAGE_RUNNING)}
        waits = {f"a{r['serial'][i]:05d}" for i in np.flatnonzero(r["claim_stage"] == codes.STAGE_QUEUED)}
        assert set(self.running) == uses
        assert set(self.waiting) == waits

    def _end(self, event: affordance.AffordanceFinish) -> None:
        began = self.running.pop(event.agent_id)
        assert (began.object_id, began.affordance_id) == (event.object_id, event.affordance_id)

    def _fail(self, event: affordance.AffordanceFail) -> None:
        if event.reason not in AFTER_START:
            assert event.agent_id not in self.running, f"{event} while a use runs"
            assert (event.progress, event.refunded) == (0, 0), event
            return
        began = self.running.pop(event.agent_id)
        assert (began.object_id, began.affordance_id) == (event.object_id, event.affordance_id)
        assert event.refunded == began.paid, f"{event} after {began}"
        assert 0 <= event.progress < began.duration

    def _serve(self, event: queue.QueueGrant, tick: int) -> None:
        thing, since = self.waiting.pop(event.agent_id)
        assert (thing, tick - since) == (event.object_id, event.waited), event
        self.waits.append(event.waited)
