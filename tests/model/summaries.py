"""Sections 1 and 6, the numbers of a tick that ``loop.tick`` reports."""

from tests.model import employment, money, rewards
from tests.model.conventions import DAY


def summary(town):
    """The numbers of the tick that was executed last."""
    day, tod = divmod(town.tick - 1 + town.options.time.start_tod, DAY)
    return {
        "day": day,
        "tod": tod,
        "alive": len(town.residents),
        "arrivals": town.arrivals,
        "exits": town.exits,
        "actions": dict(town.actions),
        "failures": dict(town.failures),
        "reward_mean": rewards.mean(town),
        "figures": {
            "queued": sum(len(each.queue) for each in town.things),
            **money.accounts(town),
            "reviews_pending": sum(employment.pending(town, number) for number in range(len(town.power))),
            "perturbations_active": sum(each.is_under_way for each in town.calendar.events),
            "perturbations_pending": sum(not each.is_under_way for each in town.calendar.events),
            "embedding_forced_reuses": town.forced_reuses,
            "embedding_allocations": town.born,
        },
    }
