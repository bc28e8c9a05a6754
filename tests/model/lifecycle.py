"""Section 14, arriving and leaving: who is due, what keeps it, how it leaves, and who follows."""

from typing import NamedTuple

from tests.model import draws, employment, exits, money, movement, queues, residents, ties

SOONEST, LATEST = 5, 20
CHANCE_OF_A_JOB = 0.5


class Expected(NamedTuple):
    """A newcomer that is on its way."""

    due: int
    """the tick in which it arrives"""
    district: int
    to_work: bool
    """whether it has a job whenever there is one"""


class Wanted(NamedTuple):
    """What an operator says of a newcomer; what is None is left to the rules."""

    position: tuple[int, int] | None = None
    home: int | None = None
    needs: dict[str, float] | None = None
    wallet: int | None = None
    profile: str | None = None
    job: object = None


def spawn(town, home):
    """An intervention: a newcomer of a home tile, for whom everything else is left to the rules."""
    return come(town, Wanted(home=home))


def come(town, wanted):
    """By hand: a newcomer takes the lowest dead slot, its home tile, a tile, and a job if one is given."""
    if wanted.job is not None and len(employment.holders(town, wanted.job)) >= wanted.job.capacity:
        return "no_vacancy"
    homes = town.plan.home_tiles
    district = wanted.job.district if wanted.job is not None else None
    home = homes[wanted.home] if wanted.home is not None else emptiest_home(town, district)
    tile = wanted.position
    if tile is None:
        tile = movement.nearest_free(town, home.x, home.y)
        if tile is None:
            return "blocked_tile"
    elif not town.ground.stands(*tile) or town.at.get(tile):
        return "blocked_tile"
    slot = dead_slot(town)
    if slot is None:
        return "no_slot"
    newcomer = residents.create(town, slot, home, tile, wanted)
    settle(town, newcomer, wanted.job, "console", "console")
    return "executed"


def dead_slot(town):
    """The lowest slot without a resident."""
    taken = {each.slot for each in town.residents}
    return next((each for each in range(town.plan.capacity) if each not in taken), None)


def emptiest_home(town, district=None):
    """The home tile that fewest live at, ties by number."""
    homes = [each for each in town.plan.home_tiles if district in {None, each.district}]
    lives = [each.home for each in town.residents]
    return min(homes, key=lives.count)


def settle(town, newcomer, job, reason, hired_for):
    """A newcomer waits in this tick; it is told, with its job, then the hiring."""
    newcomer.waits = True
    if job is not None:
        employment.take(town, newcomer, job, ahead=0)
    residents.announce(town, newcomer, reason)
    if job is not None:
        town.emit("employment.hired", agent_id=newcomer.id, job_id=job.id, reason=hired_for)
    town.arrivals += 1


def let_arrive(town):
    """Phase 2: who is due arrives, the first due first; who finds no slot or tile holds up the others."""
    for expected in sorted(town.expected, key=lambda each: each.due):
        if expected.due > town.tick:
            return
        slot = dead_slot(town)
        tile = movement.nearest_free(town, *town.plan.entries[expected.district])
        if slot is None or tile is None:
            return
        town.expected.remove(expected)
        home = emptiest_home(town, expected.district)
        newcomer = residents.create(town, slot, home, tile)
        settle(town, newcomer, first_job(town, newcomer, expected), "replacement", "arrival")


def first_job(town, newcomer, expected):
    """A job half of the time; always when there is one and the exit was for lack of work."""
    drawn = draws.unit(town.seed, "lifecycle", town.tick, newcomer.serial, 1)
    if expected.to_work or drawn < CHANCE_OF_A_JOB:
        return employment.vacancy(town, expected.district)
    return None


def remove(town, slot, replace=True):  # noqa: FBT002 - as the command
    """A resident leaves in this tick, and waits until then."""
    leaver = next((each for each in town.residents if each.slot == slot), None)
    if leaver is None or leaver.leaving:
        return "gone"
    leaver.leaving, leaver.waits, leaver.replaced = "killed", True, replace
    return "executed"


def decide(town):
    """Phase 10: who leaves in this tick; then the claims of all who leave end, by serial."""
    exits.count(town)
    exits.choose(town)
    for leaver in [each for each in town.residents if each.leaving]:
        if leaver.claim is not None:
            queues.end(town, leaver.claim, "agent_exit")


def let_leave(town):
    """Phase 13: those who leave are gone, by serial."""
    for leaver in [each for each in town.residents if each.leaving]:
        leave(town, leaver)


def leave(town, leaver):
    """The ties of a resident end, its exit is told, and its slot is freed; a newcomer is sent for."""
    ties.end_all(town, leaver)
    town.emit(
        "lifecycle.exit",
        agent_id=leaver.id,
        slot=leaver.slot,
        reason=leaver.leaving,
        age=town.tick - leaver.born,
        wallet=leaver.wallet,
        terminal=getattr(town.options.rewards.terminal, leaver.leaving),
    )
    money.estate(town, leaver)
    movement.leave_tile(town, leaver)
    town.residents.remove(leaver)
    town.rested[leaver.embedding] = town.tick
    town.exits += 1
    if leaver.replaced and len(town.expected) < town.plan.capacity:
        delay = draws.integer(SOONEST, LATEST, town.seed, "lifecycle", town.tick, leaver.serial, 2)
        to_work = leaver.leaving == "unemployment"
        town.expected.append(Expected(town.tick + delay, leaver.home.district, to_work))
