"""Section 3, money: integer mills; every flow has two ends, so the sum over all accounts is 0."""


def grant(town, resident, mills):
    """From the treasury to a wallet."""
    town.treasury -= mills
    resident.wallet += mills
    town.flows["grant"] += mills


def bonus(town, resident, mills):
    """The effect ``money`` of a completed use: from the treasury to the wallet."""
    town.treasury -= mills
    resident.wallet += mills
    town.flows["bonus"] += mills


def hook(town, resident, mills):
    """What an after-hook gives, from the treasury to the wallet; or takes, when it is negative."""
    town.treasury -= mills
    resident.wallet += mills
    town.flows["hook"] += mills


def estate(town, resident):
    """The whole wallet of a resident that leaves, to the treasury."""
    town.treasury += resident.wallet
    town.flows["estate"] += resident.wallet
    resident.wallet = 0


def purchase(town, resident, thing, mills):
    """From the wallet to the payee: the till of the place where the object stands, else the treasury."""
    resident.wallet -= mills
    _to_payee(town, thing, mills)
    town.flows["purchase"] += mills


def refund(town, resident, thing, mills):
    """Exactly what was paid, back."""
    resident.wallet += mills
    _to_payee(town, thing, -mills)
    town.flows["refund"] += mills


def wage(town, resident, mills):
    """From the till of the workplace to the wallet."""
    _to_workplace(town, resident, -mills)
    resident.wallet += mills
    town.flows["wage"] += mills


def fine(town, resident, mills):
    """From the wallet to the till of the workplace, at most the wallet; returns what was taken."""
    taken = min(mills, resident.wallet)
    resident.wallet -= taken
    _to_workplace(town, resident, taken)
    town.flows["fine"] += taken
    return taken


def rent(town, resident, mills):
    """From the wallet to the treasury."""
    resident.wallet -= mills
    town.treasury += mills
    town.flows["rent"] += mills


def sweep(town):
    """Every till's balance goes to the treasury, which pays what a till owes."""
    for place, mills in town.tills.items():
        town.treasury += mills
        town.flows["sweep"] += mills
        town.tills[place] = 0


def accounts(town):
    """The sums of wallets, tills and treasury."""
    wallets, tills = sum(each.wallet for each in town.residents), sum(town.tills.values())
    assert wallets + tills + town.treasury == 0
    return {"wallets": wallets, "tills": tills, "treasury": town.treasury}


def _to_payee(town, thing, mills):
    if thing.place in town.tills:
        town.tills[thing.place] += mills
    else:
        town.treasury += mills


def _to_workplace(town, resident, mills):
    if resident.job.place in town.tills:
        town.tills[resident.job.place] += mills
    else:
        town.treasury += mills
