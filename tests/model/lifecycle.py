"""Section 14, arriving and leaving."""

from tests.model import money, movement, queues, residents, ties


def spawn(town, home):
    """A newcomer of a home tile takes the lowest dead slot; without a slot or a tile, no one comes."""
    tile = town.plan.home_tiles[home]
    taken = {each.slot for each in town.residents}
    slot = next((each for each in range(town.plan.capacity) if each not in taken), None)
    if slot is None or movement.nearest_free(town, tile.x, tile.y) is None:
        return "no_slot"
    newcomer = residents.create(town, slot, tile)
    newcomer.waits = True
    residents.announce(town, newcomer, "console")
    town.arrivals += 1
    return "executed"


def remove(town, slot):
    """A resident leaves in this tick, and waits until then."""
    leaver = next((each for each in town.residents if each.slot == slot), None)
    if leaver is None or leaver.leaving:
        return "gone"
    leaver.leaving = leaver.waits = True
    return "executed"


def end_claims(town):
    """Phase 10: the claims of those who leave end, by serial.

    Whoever leaves by the rules, and whoever follows, is not predicted yet.
    """
    for leaver in [each for each in town.residents if each.leaving and each.claim is not None]:
        if leaver.claim is not None:
            queues.end(town, leaver.claim, "agent_exit")


def let_leave(town):
    """Phase 13: those who leave are gone, by serial."""
    for leaver in [each for each in town.residents if each.leaving]:
        leave(town, leaver)


def leave(town, leaver):
    """The ties of a resident end, its exit is told, and its slot is freed."""
    ties.end_all(town, leaver)
    town.emit(
        "lifecycle.exit",
        agent_id=leaver.id,
        slot=leaver.slot,
        reason="killed",
        age=town.tick - leaver.born,
        wallet=leaver.wallet,
        terminal=town.options.rewards.terminal.killed,
    )
    money.estate(town, leaver)
    movement.leave_tile(town, leaver)
    town.residents.remove(leaver)
    town.rested[leaver.embedding] = town.tick
    town.exits += 1
