"""Checks that a saved state is possible in a town.

Kernels use its numbers as indices without checks and assume that redundant values agree. So a state from
outside is checked completely before it replaces the current one.
"""

from collections.abc import Iterator, Mapping
from typing import Final, cast

import numpy as np
import numpy.typing as npt

from townlet_adapters.kernels.records import Records
from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.compiled.state import TownState, waiting_for
from townlet_adapters.worlds.town.systems.avoidance import QUIET_TICKS
from townlet_core.errors import SnapshotError

_NO_LIMIT: Final = np.iinfo(np.int64).max
_RESET_EVENTS: Final = (codes.EV_ARRIVE, codes.EV_HIRED)

Finding = tuple[str, bool]
"""The checked property, and whether it holds."""


def verify_state(model: TownModel, saved: TownState, pending: Records, tick: int) -> None:
    """Check a batch of one and the pending events of its reset.

    Args:
        model: the town that the state is for.
        saved: arrays of the right types and shapes.
        pending: EVENT[rows].
        tick: number of finished ticks in the snapshot.

    Raises:
        SnapshotError: when a number is out of range or two numbers contradict each other.
    """
    for checks in (
        _ranges(model, saved),
        _residents(model, saved),
        _tiles(model, saved),
        _claims(model, saved),
        _books(model, saved, tick),
        _embeddings(saved),
        _effects(model, saved, tick),
        _lives(saved),
        _events(model, saved, tick),
        _invitations(saved),
        _ties(model, saved),
        _pending(model, saved, pending),
    ):
        for what, holds in checks:
            if not holds:
                raise SnapshotError("snapshot_corrupt", f"the town's state is damaged: {what} is invalid")


def _within(values: npt.NDArray[np.generic], low: float, high: float) -> bool:
    """Return whether all values are in [low, high]; NaN is not."""
    plain = values.astype(np.float64)
    return bool(((plain >= low) & (plain <= high)).all())


def _is_blank(rows: npt.NDArray[np.generic]) -> bool:
    """Return whether all numbers are 0; the gaps between the fields of a record hold anything."""
    if rows.dtype.names is None:
        return not rows.any()
    return not any(cast("Records", rows)[name].any() for name in rows.dtype.names)


def _living(saved: TownState) -> Records:
    residents = saved.residents[0]
    return residents[residents["alive"]]


def _resident_limits(model: TownModel, saved: TownState) -> Mapping[str, tuple[float, float]]:
    """Return the lowest and highest value of every field that is or bounds an index."""
    t = model.tables
    height, width = t.passable.shape
    slots = saved.residents.shape[1]
    tick = int(saved.towns["tick"][0])
    day = float(t.params[0].reward_day_clip)
    lowest = float(t.params[0].reward_shaping * t.params[0].reward_weight.sum())
    return {
        "serial": (0, int(saved.towns["next_serial"][0]) - 1),
        "x": (0, width - 1),
        "y": (0, height - 1),
        "mate": (-1, slots - 1),
        "home": (0, len(t.homes) - 1),
        "district": (0, saved.districts.shape[1] - 1),
        "profile": (0, len(t.profiles) - 1),
        "name": (0, len(model.names) - 1),
        "name_round": (0, slots // len(model.names)),
        "embedding": (0, int(t.params[0].embedding_slots) - 1),
        "episode_tick": (0, codes.TICKS_PER_DAY - 1),
        "claim_object": (-1, len(t.objects) - 1),
        "claim_affordance": (-1, len(t.affordances) - 1),
        "behind": (-1, slots - 1),
        "claim_stage": (0, len(codes.STAGES) - 1),
        "ties": (0, saved.ties.shape[2]),
        "job": (-1, len(t.jobs) - 1),
        "shift_state": (0, len(codes.SHIFT_STATES) - 1),
        **dict.fromkeys(
            (
                "wallet",
                "rent_owed",
                "outcomes",
                "samples_seen",
                "stamps_seen",
                "talk_ready",
                "collapse_ticks",
                "low_ticks_today",
                "moves",
                "due_since",
                "meet_ready",
            ),
            (0, _NO_LIMIT),
        ),
        **dict.fromkeys(("owed_since",), (-1, _NO_LIMIT)),
        "jobless_since": (0, _NO_LIMIT),
        "due": (0, len(codes.EXITS) - 1),
        "kept": (0, (1 << len(codes.KEPT)) - 1),
        **dict.fromkeys(("need", "attendance", "samples"), (0, 1)),
        "collapse_ticks": (0, _NO_LIMIT),
        "greeted": (0, 1),
        "guard_until": (0, tick + int(t.params[0].reward_guard_ticks)),
        "potential": (-lowest, 0),
        "day_reward": (-day, day),
    }


def _ranges(model: TownModel, saved: TownState) -> Iterator[Finding]:
    t, slots = model.tables, saved.residents.shape[1]
    living, objects = _living(saved), saved.objects[0]
    for name, (low, high) in _resident_limits(model, saved).items():
        yield f"residents.{name}", _within(living[name], low, high)
    carried = living["inventory"]
    yield "residents.inventory", bool(((carried >= 0) & (carried <= t.params[0].carry)).all())
    yield "residents.need", not living["need"][:, int(t.params[0].needs) :].any()
    yield "objects.holder", _within(objects["holder"], -1, slots - 1)
    yield "objects.affordance", _within(objects["affordance"], -1, len(t.affordances) - 1)
    yield "objects.low", _within(objects["low"], 0, (1 << int(t.params[0].needs)) - 1)
    yield "objects.queue_length", _within(objects["queue_length"], 0, slots)
    stock = objects["stock"]
    yield "objects.stock", bool(((stock >= 0) & (stock <= t.objects["capacity"])).all())
    yield "objects.first", _within(objects["first"], -1, slots - 1)
    yield "cooldowns", _within(saved.cooldowns[..., 0], 0, max(0, len(t.objects) - 1))
    until = saved.cooldowns[..., 1]
    yield "cooldowns", bool((until >= 0).all() and (until[..., 1:] <= until[..., :-1]).all())
    yield "released", _within(saved.released, 0, max(0, int(saved.towns["tick"][0])))
    base = saved.price["normal"]
    yield "price.normal", bool(((base >= 0) & (base <= codes.MOST_BASE * t.start_price)).all())


def _residents(model: TownModel, saved: TownState) -> Iterator[Finding]:
    residents = saved.residents[0]
    alive = residents["alive"]
    slots = np.flatnonzero(alive)
    serials = residents["serial"][slots]
    population = int(saved.towns["population"][0])
    for rows in (residents, saved.cooldowns[0], saved.outcomes[0], saved.ties[0]):
        yield "a dead slot", _is_blank(rows[~alive])
    yield "towns.population", population == len(slots)
    yield "residents.serial", len(np.unique(serials)) == len(slots)
    living, homes = residents[slots], model.tables.homes
    names = np.stack([living["name_round"], living["name"]])
    yield "residents.name", np.unique(names, axis=1).shape[1] == len(slots)
    yield "residents.district", bool((living["district"] == homes["district"][living["home"]]).all())
    jobs = living["job"]
    held = np.bincount(jobs[jobs >= 0], minlength=len(model.tables.jobs))
    yield "residents.job", bool((held <= model.tables.jobs["capacity"]).all())
    listed = living["district"][living["review_since"] >= 0]
    reviews = np.bincount(listed, minlength=saved.districts.shape[1])
    yield "districts.reviews", bool((saved.districts["reviews"][0] == reviews).all())


def _tiles(model: TownModel, saved: TownState) -> Iterator[Finding]:
    t, residents = model.tables, saved.residents[0]
    slots = np.flatnonzero(residents["alive"])
    living = residents[slots]
    x, y, mate = living["x"], living["y"], living["mate"]
    yield "where residents stand", bool((t.passable[y, x] > 0).all())
    pairs = mate >= 0
    tiles = len(np.unique(y * t.passable.shape[1] + x))
    yield "where residents stand", 2 * tiles == 2 * len(slots) - int(pairs.sum())
    other = residents[mate[pairs]]
    yield (
        "residents.mate",
        bool(
            (
                other["alive"]
                & (other["mate"] == slots[pairs])
                & (other["x"] == x[pairs])
                & (other["y"] == y[pairs])
                & (mate[pairs] != slots[pairs])
            ).all()
        ),
    )


def _claims(model: TownModel, saved: TownState) -> Iterator[Finding]:
    t, residents, objects = model.tables, saved.residents[0], saved.objects[0]
    stage = residents["claim_stage"]
    queued = 0
    for o in np.flatnonzero((objects["queue_length"] > 0) | (objects["first"] >= 0)).tolist():
        entries = waiting_for(saved, 0, o)
        queued += len(entries)
        waiting = (stage[entries] == codes.STAGE_QUEUED) & (residents["claim_object"][entries] == o)
        yield "objects.queue_length", len(entries) == objects["queue_length"][o] and bool(waiting.all())
    yield "residents.behind", queued == int((stage == codes.STAGE_QUEUED).sum())
    outside = residents["alive"] & (stage != codes.STAGE_QUEUED)
    yield "residents.behind", bool((residents["behind"][outside] == codes.NOBODY).all())
    used = np.flatnonzero(objects["holder"] >= 0)
    holders, held = residents[objects["holder"][used]], objects[used]
    yield "objects.holder", len(used) == int((stage >= codes.STAGE_HELD).sum())
    yield "objects.holder", bool((holders["claim_object"] == used).all())
    yield "objects.running", bool((~objects["running"] | (objects["holder"] >= 0)).all())
    runs = holders["claim_stage"] == codes.STAGE_RUNNING
    yield "objects.running", bool((held["running"] == runs).all())
    yield "objects.affordance", bool((held["affordance"] == holders["claim_affordance"]).all())
    claiming = residents[stage != codes.NO_STAGE]
    things, acts = claiming["claim_object"], claiming["claim_affordance"]
    yield "residents.claim_object", _within(things, 0, _NO_LIMIT) and _within(acts, 0, _NO_LIMIT)
    yield "residents.claim_affordance", bool((t.affordances["type"][acts] == t.objects["type"][things]).all())
    idle = residents[residents["alive"] & (stage == codes.NO_STAGE)]
    yield "residents.claim_object", bool((idle["claim_object"] == codes.NOBODY).all())
    running = held[runs]
    kind = t.affordances[running["affordance"]]
    yield (
        "objects.remaining",
        bool(((running["remaining"] >= 1) & (running["remaining"] <= kind["duration"])).all()),
    )
    chosen = running["alternative"]
    yield "objects.alternative", bool(((chosen >= 0) & (chosen < kind["alternatives"])).all())


def _books(model: TownModel, saved: TownState, tick: int) -> Iterator[Finding]:
    town = saved.towns[0]
    yield "towns.tick", int(town.tick) == tick >= 0
    yield "towns.forced_reuses", int(town.forced_reuses) >= 0
    money = _living(saved)["wallet"].sum() + saved.tills.sum() + town.treasury
    yield "the sum of all accounts", int(money) == 0
    without_till = saved.tills[0][~model.tables.places["till"]]
    yield "tills", not without_till.any()


def _effects(model: TownModel, saved: TownState, tick: int) -> Iterator[Finding]:
    """The rows of effects are those of things that exist, in the order of their sources, each once."""
    effects, active = saved.effects[0], int(saved.towns["effects"][0])
    yield "towns.effects", 0 <= active <= len(effects)
    yield "an empty effect", _is_blank(effects[active:])
    rows = effects[:active]
    districts, keys = model.tables.start_price.shape
    things = {
        codes.EFFECT_OFF: (districts, len(codes.UTILITIES), 0),
        codes.EFFECT_CLOSED: (len(model.tables.objects), 1, 0),
        codes.EFFECT_SCALED: (districts, keys, codes.MOST_SCALE),
    }
    yield "effects.kind", bool(np.isin(rows["kind"], list(things)).all())
    for kind, (owners, names, scale) in things.items():
        some = rows[rows["kind"] == kind]
        yield "effects.who", _within(some["who"], 0, owners - 1)
        yield "effects.key", _within(some["key"], 0, names - 1)
        yield "effects.scale", _within(some["scale"], 0, scale)
    yield "effects.until", bool(((rows["until"] == codes.NO_END) | (rows["until"] >= tick)).all())
    yield "effects.source", bool((rows["source"] >= 0).all() and (np.diff(rows["source"]) >= 0).all())
    whose = np.stack([rows[name] for name in ("kind", "who", "key", "source")])
    yield "effects", np.unique(whose, axis=1).shape[1] == active


def _lives(saved: TownState) -> Iterator[Finding]:
    """What may end a life in town, and who is on its way there, in the order of the ticks."""
    town, rows = saved.towns[0], saved.arrivals[0]
    coming = int(town.arrivals)
    yield "towns.mortality", int(town.mortality) in {0, 1}
    yield "towns.exit_cap", 0 <= int(town.exit_cap) <= codes.MOST_EXITS
    yield "towns.exit_spacing", 0 <= int(town.exit_spacing) <= codes.MOST_SPACING
    yield "districts.exits_today", _within(saved.districts["exits_today"], 0, _NO_LIMIT)
    yield "towns.arrivals", 0 <= coming <= len(rows)
    yield "an empty arrival", _is_blank(rows[max(0, coming) :])
    due = rows["due"][: max(0, coming)]
    yield "arrivals.due", bool((due > 0).all() and (np.diff(due) >= 0).all())
    yield "arrivals.district", _within(rows["district"], 0, saved.districts.shape[1] - 1)
    yield "arrivals.follows", _within(rows["follows"], 0, len(codes.EXITS) - 1)


def _events(model: TownModel, saved: TownState, tick: int) -> Iterator[Finding]:
    """The rows of events are of specs and things that exist, in the order of their numbers."""
    events, count = saved.perturbations[0], int(saved.towns["perturbations"][0])
    yield "towns.perturbations", 0 <= count <= len(events)
    yield "an empty event", _is_blank(events[count:])
    rows, t = events[:count], model.tables
    last = int(saved.towns["last_event"][0])
    yield "towns.last_event", last >= 0
    yield (
        "perturbations.number",
        _within(rows["number"], 1, last) and bool((np.diff(rows["number"]) > 0).all()),
    )
    yield "perturbations.spec", _within(rows["spec"], 0, len(t.specs) - 1)
    yield "perturbations.district", _within(rows["district"], 0, saved.districts.shape[1] - 1)
    yield "perturbations.place", _within(rows["place"], -1, len(t.places) - 1)
    yield "perturbations.source", _within(rows["source"], 0, len(codes.EVENT_SOURCES) - 1)
    yield "perturbations.magnitude", _within(rows["magnitude"], 0, codes.MOST_SCALE)
    yield "perturbations.ends_at", bool((rows["ends_at"] > rows["starts_at"]).all())
    yield "perturbations.active", _within(rows["active"], 0, 1)
    active = rows["active"] != 0
    yield "perturbations.ends_at", bool((rows["ends_at"][active] >= tick).all())
    yield "perturbations.starts_at", _within(rows["starts_at"][active], 0, max(0, tick - 1))
    yield "perturbations.starts_at", bool((rows["starts_at"][~active] >= tick).all())
    counts = {
        codes.SPIKE: len(t.price_targets),
        codes.OUTAGE: len(codes.UTILITIES),
        codes.CLOSURE: len(t.objects),
        codes.MEETING: int(saved.towns["next_serial"][0]),
    }
    for row in rows:
        targets = row["targets"]
        most = counts.get(int(t.specs["effect"][row["spec"]]), 0)
        yield "perturbations.targets", _within(targets, -1, most - 1)
        yield "perturbations.targets", bool((np.diff((targets >= 0).astype(int)) <= 0).all())
    yield "spec_ready", _within(saved.spec_ready, 0, _NO_LIMIT)
    yield "districts.quiet_until", _within(saved.districts["quiet_until"], 0, _NO_LIMIT)
    starts = saved.starts
    yield "starts", _within(starts, 0, max(0, tick)) and bool((starts[..., 1:] >= starts[..., :-1]).all())


def _invitations(saved: TownState) -> Iterator[Finding]:
    """Every invitation is to an event that is under way."""
    count = int(saved.towns["perturbations"][0])
    events = {int(row["number"]): row for row in saved.perturbations[0, :count] if row["active"]}
    for r in _living(saved):
        if r["invite"] == codes.NO_EVENT_NUMBER:
            blank = r["invite_place"] == r["invite_until"] == 0 and not r["meets"]
            yield "residents.invite", bool(blank)
            continue
        event = events.get(int(r["invite"]))
        yield "residents.invite", event is not None
        if event is not None:
            yield "residents.invite_place", bool(r["invite_place"] == event["place"] >= 0)
            yield "residents.invite_until", bool(r["invite_until"] == event["ends_at"])


def _ties(model: TownModel, saved: TownState) -> Iterator[Finding]:
    """The ties of a resident are those to others who live in town, each once."""
    ties, residents = saved.ties[0], saved.residents[0]
    slots, most = ties.shape
    real = np.arange(most) < residents["ties"][:, np.newaxis]
    yield "an empty tie", _is_blank(ties[~real])
    rows, owners = ties[real], np.nonzero(real)[0]
    others = rows["other"]
    yield "ties.other", _within(others, 0, slots - 1)
    yield "ties.other", bool((residents["alive"][others] & (others != owners)).all())
    yield "ties.other", np.unique(np.stack([owners, others]), axis=1).shape[1] == len(rows)
    for name in ("trust", "familiarity"):
        yield f"ties.{name}", _within(rows[name], -1, 1)
    yield "ties.rivalry", _within(rows["rivalry"], 0, 1)
    tick = int(saved.towns["tick"][0])
    yield "ties.changed", _within(rows["changed"], 0, max(0, tick - 1))
    yield "ties.quiet_until", _within(rows["quiet_until"], 0, max(0, tick - 1 + QUIET_TICKS))
    yield "ties.reported", _within(rows["reported"], 0, (1 << len(codes.THRESHOLDS)) - 1)
    most_rest = int(model.tables.profiles["chat_cooldown"].max(initial=0))
    yield "residents.talk_ready", _within(residents["talk_ready"], 0, max(0, tick - 1 + most_rest))


def _embeddings(saved: TownState) -> Iterator[Finding]:
    """Every embedding slot that was used belongs to one living resident or was released."""
    used, released = int(saved.towns["embeddings"][0]), saved.released[0] > 0
    owned = np.zeros(len(released), np.int64)
    np.add.at(owned, _living(saved)["embedding"], 1)
    yield "towns.embeddings", 0 <= used <= len(released)
    yield "residents.embedding", bool((owned + released == (np.arange(len(released)) < used)).all())


def _pending(model: TownModel, saved: TownState, pending: Records) -> Iterator[Finding]:
    """Check the events of a reset: arrivals and hirings."""
    t = model.tables
    yield "pending", len(pending) == 0 or int(saved.towns["tick"][0]) == 0
    yield "pending.kind", bool(np.isin(pending["kind"], _RESET_EVENTS).all())
    yield "pending.agent", _within(pending["agent"], 0, int(saved.towns["next_serial"][0]) - 1)
    hired = pending[pending["kind"] == codes.EV_HIRED]
    yield "pending.job", _within(hired["a"], 0, len(t.jobs) - 1)
    yield "pending.reason", _within(hired["reason"], 0, len(codes.HIRINGS) - 1)
    arrived = pending[pending["kind"] == codes.EV_ARRIVE]
    yield "pending.slot", _within(arrived["a"], 0, saved.residents.shape[1] - 1)
    yield "pending.slot", bool(saved.residents["alive"][0][arrived["a"]].all())
    yield "pending.tile", _within(arrived["b"], 0, t.passable.size - 1)
    yield "pending.job", _within(arrived["c"], -1, len(t.jobs) - 1)
    yield "pending.name", _within(arrived["e"], 0, len(model.names) - 1)
    yield "pending.profile", _within(arrived["g"], 0, len(t.profiles) - 1)
