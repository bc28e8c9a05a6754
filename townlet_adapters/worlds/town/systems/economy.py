"""Money in double entry (domain.md, sections 3 and 11): every flow leaves one account and enters another."""

from townlet_adapters.kernels.compiler import inlined, kernel
from townlet_adapters.worlds.town.codes import (
    EV_DAY,
    EV_RENT,
    EV_RESTOCK,
    FLOW_BONUS,
    FLOW_ESTATE,
    FLOW_FINE,
    FLOW_GRANT,
    FLOW_HOOK,
    FLOW_PURCHASE,
    FLOW_REFUND,
    FLOW_RENT,
    FLOW_SWEEP,
    FLOW_WAGE,
    NOBODY,
    TICKS_PER_DAY,
)
from townlet_adapters.worlds.town.compiled.state import Journal, TownState
from townlet_adapters.worlds.town.compiled.tables import Tables
from townlet_adapters.worlds.town.systems import journal


@inlined
def credit_place(t: Tables, s: TownState, b: int, place: int, amount: int) -> None:
    """Add an amount (a negative one is taken) to a place's till, or to the treasury if it has none."""
    if place >= 0 and t.places[place].till:
        s.tills[b, place] += amount
    else:
        s.towns[b].treasury += amount


@kernel
def grant(s: TownState, b: int, i: int, amount: int) -> None:
    """Treasury -> wallet."""
    s.towns[b].treasury -= amount
    s.residents[b, i].wallet += amount
    s.flows[b, FLOW_GRANT] += amount


@kernel
def bonus(s: TownState, b: int, i: int, amount: int) -> None:
    """Treasury -> wallet, for a completed use that pays."""
    s.towns[b].treasury -= amount
    s.residents[b, i].wallet += amount
    s.flows[b, FLOW_BONUS] += amount


@kernel
def grant_hook(s: TownState, b: int, i: int, amount: int) -> None:
    """Treasury -> wallet, for a hook; a negative amount takes at most what the wallet holds."""
    moved = max(amount, -s.residents[b, i].wallet)
    s.towns[b].treasury -= moved
    s.residents[b, i].wallet += moved
    s.flows[b, FLOW_HOOK] += moved


@kernel
def purchase(t: Tables, s: TownState, b: int, i: int, place: int, amount: int) -> None:
    """Wallet -> payee; the caller has checked that the wallet holds the amount."""
    s.residents[b, i].wallet -= amount
    credit_place(t, s, b, place, amount)
    s.flows[b, FLOW_PURCHASE] += amount


@kernel
def refund(t: Tables, s: TownState, b: int, i: int, place: int, amount: int) -> None:
    """Payee -> wallet: exactly the amount paid."""
    s.residents[b, i].wallet += amount
    credit_place(t, s, b, place, -amount)
    s.flows[b, FLOW_REFUND] += amount


@inlined
def wage(t: Tables, s: TownState, b: int, i: int, place: int, amount: int) -> None:
    """Till of the workplace -> wallet."""
    s.residents[b, i].wallet += amount
    credit_place(t, s, b, place, -amount)
    s.flows[b, FLOW_WAGE] += amount


@kernel
def fine(t: Tables, s: TownState, b: int, i: int, place: int, amount: int) -> int:
    """Wallet -> till of the workplace, at most what the wallet holds; returns the amount taken."""
    taken = min(s.residents[b, i].wallet, amount)
    s.residents[b, i].wallet -= taken
    credit_place(t, s, b, place, taken)
    s.flows[b, FLOW_FINE] += taken
    return taken


@kernel
def estate(s: TownState, b: int, i: int) -> None:
    """Wallet -> treasury: all that a resident leaves behind."""
    amount = s.residents[b, i].wallet
    s.residents[b, i].wallet = 0
    s.towns[b].treasury += amount
    s.flows[b, FLOW_ESTATE] += amount


@kernel
def pay_stipends(t: Tables, s: TownState, b: int) -> None:
    """Treasury -> wallets: what every resident gets at the end of a day."""
    if t.params[0].stipend > 0:
        for k in range(s.towns[b].population):
            grant(s, b, s.roster[b, k], t.params[0].stipend)


@kernel
def collect_rent(t: Tables, s: TownState, j: Journal, b: int, now: int) -> None:
    """A day's rent falls due for all who lived in town for the whole day; each pays what its wallet holds.

    Only whole days are paid.
    """
    rent = t.params[0].rent
    for k in range(s.towns[b].population):
        i = s.roster[b, k]
        r = s.residents[b, i]
        if now + 1 - r.birth < TICKS_PER_DAY:
            continue
        r.rent_owed += 1
        paid = 0
        while r.rent_owed > 0 and r.wallet >= rent:
            r.wallet -= rent
            paid += rent
            r.rent_owed -= 1
        s.towns[b].treasury += paid
        s.flows[b, FLOW_RENT] += paid
        journal.write(j, b, EV_RENT, r.serial, -1, -1, 0, paid, r.rent_owed, 0)


@kernel
def sweep_tills(t: Tables, s: TownState, b: int) -> None:
    """Settle every till with the treasury; tills end at 0."""
    for place in range(t.places.shape[0]):
        amount = s.tills[b, place]
        s.towns[b].treasury += amount
        s.flows[b, FLOW_SWEEP] += amount
        s.tills[b, place] = 0


@kernel
def restock(t: Tables, s: TownState, j: Journal, b: int) -> None:
    """Fill every stock to capacity; deliveries of goods are not paid for."""
    for o in range(t.objects.shape[0]):
        for item in range(t.params[0].items):
            amount = t.objects[o].capacity[item] - s.objects[b, o].stock[item]
            if amount > 0:
                s.objects[b, o].stock[item] += amount
                journal.write(j, b, EV_RESTOCK, NOBODY, o, -1, item, amount, 0, 0)


@kernel
def total_wallets(s: TownState, b: int) -> int:
    """Sum the wallets of the living, in mills."""
    total = 0
    for k in range(s.towns[b].population):
        total += s.residents[b, s.roster[b, k]].wallet
    return total


@kernel
def report_day(s: TownState, j: Journal, b: int, day: int) -> None:
    """Record the day's accounts as they are now: one row for each kind of flow, with the totals."""
    wallets, tills = total_wallets(s, b), 0
    for place in range(s.tills.shape[1]):
        tills += s.tills[b, place]
    for flow in range(s.flows.shape[1]):
        journal.write(j, b, EV_DAY, NOBODY, -1, -1, flow, day, wallets, tills)
        if journal.is_kept(j, b):
            row = journal.last(j, b)
            row.d = s.towns[b].treasury
            row.e = s.flows[b, flow]
