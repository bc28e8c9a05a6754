"""Section 11, economy: what a day's last tick does."""

from tests.model import employment, money
from tests.model.conventions import DAY

FLOWS = ("grant", "purchase", "refund", "wage", "fine", "rent", "bonus", "sweep")
RARE = ("hook", "estate")
"""Left out on days on which they moved nothing."""


def open_day(town):
    """Phase 0, at tod 0 but in tick 0: what is counted by the day goes to 0."""
    if town.tod == 0 and town.tick > 0:
        town.flows.clear()
        town.lost_jobs.clear()
        town.exits_today.clear()
        for each in town.residents:
            each.lost_today, each.late_today, each.neglected, each.day_reward = False, 0, 0, 0.0


def close_day(town):
    """Phase 9: stipend, rent (but for a day within which a resident came), sweep, restock, jobs, report."""
    if town.tod != DAY - 1:
        return
    for each in town.residents:
        money.grant(town, each, town.options.economy.stipend)
    for each in town.residents:
        if town.tick + 1 - each.born >= DAY:
            collect_rent(town, each)
    money.sweep(town)
    for thing in town.things:
        restock(town, thing)
    employment.open_board(town)
    town.emit(
        "economy.day",
        day=town.day,
        flows={flow: town.flows[flow] for flow in (*FLOWS, *RARE) if flow in FLOWS or town.flows[flow]},
        **money.accounts(town),
    )


def collect_rent(town, resident):
    """A day's rent falls due, and as many whole days are paid as the wallet holds."""
    a_day = town.options.economy.rent_per_day
    resident.rent_owed += 1
    days = min(resident.rent_owed, resident.wallet // a_day) if a_day else resident.rent_owed
    resident.rent_owed -= days
    money.rent(town, resident, days * a_day)
    town.emit("economy.rent", agent_id=resident.id, paid=days * a_day, owed_days=resident.rent_owed)


def restock(town, thing):
    """Stocks are filled up, without payment."""
    for item, capacity in thing.capacity.items():
        missing = capacity - thing.stock[item]
        if missing:
            thing.stock[item] = capacity
            town.emit("economy.restock", object_id=thing.id, item=item, amount=missing)
