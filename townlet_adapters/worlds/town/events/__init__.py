"""The kinds of facts that the town emits, registered through ``townlet_events`` like those of any plugin.

The modules hold plain dataclasses: they are imported in every run, and import nothing of the town.
"""

from typing import Final

from townlet_adapters.worlds.town.events.affordance import AffordanceFail, AffordanceFinish, AffordanceStart
from townlet_adapters.worlds.town.events.economy import EconomyDay, EconomyPrice, EconomyRent, EconomyRestock
from townlet_adapters.worlds.town.events.employment import (
    EmploymentAbsent,
    EmploymentArrived,
    EmploymentDepartedEarly,
    EmploymentHelped,
    EmploymentHired,
    EmploymentJobLoss,
    EmploymentLateStart,
    EmploymentReview,
    EmploymentShiftCovered,
    EmploymentShiftEnd,
)
from townlet_adapters.worlds.town.events.lifecycle import (
    LifecycleArrive,
    LifecycleExit,
    LifecycleExitPending,
    LifecycleMoved,
)
from townlet_adapters.worlds.town.events.perturbation import (
    PerturbationCancelled,
    PerturbationEnded,
    PerturbationScheduled,
    PerturbationStarted,
)
from townlet_adapters.worlds.town.events.queue import (
    QueueConflict,
    QueueGrant,
    QueueHandover,
    QueueJoin,
    QueueLeave,
    RivalryEvents,
)
from townlet_adapters.worlds.town.events.social import (
    SocialAvoidance,
    SocialChat,
    SocialSharedMeal,
    SocialThreshold,
    SocialTie,
)
from townlet_core.events.base import Event

TOWN_EVENTS: Final[tuple[type[Event], ...]] = (
    AffordanceFail,
    AffordanceFinish,
    AffordanceStart,
    EconomyDay,
    EconomyPrice,
    EconomyRent,
    EconomyRestock,
    EmploymentAbsent,
    EmploymentArrived,
    EmploymentDepartedEarly,
    EmploymentHelped,
    EmploymentHired,
    EmploymentJobLoss,
    EmploymentLateStart,
    EmploymentReview,
    EmploymentShiftCovered,
    EmploymentShiftEnd,
    LifecycleArrive,
    LifecycleExit,
    LifecycleExitPending,
    LifecycleMoved,
    PerturbationCancelled,
    PerturbationEnded,
    PerturbationScheduled,
    PerturbationStarted,
    QueueConflict,
    QueueGrant,
    QueueHandover,
    QueueJoin,
    QueueLeave,
    RivalryEvents,
    SocialAvoidance,
    SocialChat,
    SocialSharedMeal,
    SocialThreshold,
    SocialTie,
)
"""The class of each kind that the town emits."""

LATER_KINDS: Final = frozenset(
    {
        "economy.band",
    }
)
"""Kinds of rules that do not exist yet."""
