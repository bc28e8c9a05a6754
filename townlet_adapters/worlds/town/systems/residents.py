"""Creation of residents (domain.md, sections 5 and 10.4)."""

from townlet_adapters.kernels import draws
from townlet_adapters.kernels.compiler import kernel
from townlet_adapters.kernels.records import Record
from townlet_adapters.worlds.town.codes import EV_ARRIVE, HIRED_START, NOBODY
from townlet_adapters.worlds.town.compiled.state import Journal, Scratch, TownState
from townlet_adapters.worlds.town.compiled.tables import Tables
from townlet_adapters.worlds.town.systems import economy, employment, journal, movement, queues

PROFILE_DRAW = 0
NAME_DRAW = 0


@kernel
def count(s: TownState, b: int, row: int, column: int) -> None:
    """Add one living resident to the census."""
    s.census[b, row, column] += 1
    s.census[b, row, s.census.shape[2] - 1] += 1


@kernel
def choose_name(t: Tables, s: TownState, b: int, r: Record) -> None:
    """Draw a name and advance to the first that no living resident has; round 1 has the suffix ``-2``."""
    names = t.params[0].names
    first = draws.integer(0, names - 1, s.towns[b].seed, draws.NAMES, r.birth, r.serial, NAME_DRAW)
    name_round = 0
    while s.census[b, 1 + name_round, s.census.shape[2] - 1] == names:
        name_round += 1
    name = first
    while s.census[b, 1 + name_round, name] > 0:
        name = (name + 1) % names
    r.name = name
    r.name_round = name_round
    count(s, b, 1 + name_round, name)


@kernel
def choose_profile(t: Tables, s: TownState, b: int, r: Record) -> int:
    """The profile configured for its name, else a draw among those below their weight."""
    if r.name_round < t.name_profile.shape[0] and t.name_profile[r.name_round, r.name] >= 0:
        return t.name_profile[r.name_round, r.name]
    coming = s.towns[b].population + 1
    total = 0.0
    for p in range(t.profiles.shape[0]):
        total += max(0.0, t.profiles[p].weight * coming - s.census[b, 0, p])
    goal = draws.unit(s.towns[b].seed, draws.LIFECYCLE, r.birth, r.serial, PROFILE_DRAW) * total
    reached = 0.0
    for p in range(t.profiles.shape[0]):
        reached += max(0.0, t.profiles[p].weight * coming - s.census[b, 0, p])
        if reached > goal:
            return p
    return t.profiles.shape[0] - 1


@kernel
def create(t: Tables, s: TownState, j: Journal, w: Scratch, b: int, i: int, home: int) -> None:
    """Create a resident of the start population in slot i at a home tile."""
    town = s.towns[b]
    r = s.residents[b, i]
    r.alive = True
    r.serial = town.next_serial
    r.birth = town.tick
    r.home = home
    r.district = t.homes[home].district
    for n in range(t.params[0].needs):
        r.need[n] = t.params[0].start_need
    r.mate = NOBODY
    r.job = NOBODY
    r.option = NOBODY
    r.goal = NOBODY
    r.last_action = NOBODY
    r.last_target = NOBODY
    r.review_since = NOBODY
    r.lost_job_day = NOBODY
    r.attendance = 1.0
    r.ctx_reset = True
    r.embedding = town.embeddings % t.params[0].embedding_slots
    employment.clear_shift(r)
    r.behind = NOBODY
    queues.clear_claim(r)
    choose_name(t, s, b, r)
    r.profile = choose_profile(t, s, b, r)
    count(s, b, 0, r.profile)
    flat = movement.nearest_free(t, s, w, b, t.homes[home].x, t.homes[home].y)
    width = t.passable.shape[1]
    movement.put(s, t.params[0].margin, b, i, flat % width, flat // width)
    s.roster[b, town.population] = i
    town.population += 1
    town.next_serial += 1
    town.embeddings += 1
    economy.grant(s, b, i, t.params[0].start_wallet)
    job = employment.vacancy(t, s, b, r.district)
    journal.write(j, b, EV_ARRIVE, r.serial, -1, -1, 0, i, flat, job)
    if journal.is_kept(j, b):
        row = journal.last(j, b)
        row.d = r.wallet
        row.e = r.name
        row.f = r.name_round
        row.g = r.profile
        row.h = r.district
    if job >= 0:
        employment.hire(t, s, j, b, i, job, HIRED_START, town.tick)
