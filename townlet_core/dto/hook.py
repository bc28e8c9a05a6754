"""The context that an affordance hook receives, and its possible answers (domain.md, section 8.5)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, Literal, Self, TypeAlias

from townlet_core import seeding
from townlet_core.dto.draws import Draws, own_index

HookStage: TypeAlias = Literal["before", "after", "failed"]
STAGES: Final[tuple[HookStage, ...]] = ("before", "after", "failed")

LONGEST_REASON: Final = 40
"""Most characters of the reason of a cancellation."""
MOST_EFFECTS: Final = 4
"""Most effects of one call."""
MOST_NEED: Final = 0.2
MOST_RELATION: Final = 0.2
MOST_MONEY: Final = 500
MOST_ITEMS: Final = 2
"""Largest amount of one effect, of either sign."""


@dataclass(frozen=True, slots=True)
class HookContext(Draws):
    """One use of an object at the moment at which a hook is called; every hook gets its own copy.

    Attributes:
        stage: ``before`` the charge, ``after`` the effects, or once the use has ``failed`` and everything is
            refunded.
        hook: name of the hook that is called.
        tick: the tick being executed.
        day: its day.
        tod: its minute of that day.
        agent_id: the resident that uses the object.
        serial: the resident's number within the run.
        needs: need -> value in [0, 1], 1 is satisfied.
        values: name -> whole number that the world has for each resident, such as its money.
        inventory: item -> number carried.
        position: tile (x, y) of the resident.
        profile: the resident's personality.
        object_id: the object.
        object_type: its type.
        place_id: the place that holds it.
        stock: item -> number in the object; items that it never holds are left out.
        affordance_id: the affordance in use.
        duration: ticks of a whole use.
        paid: money paid for this use, 0 before it is charged.
        reason: why the use failed; None at the other stages.
        seed: the run's seed, for ``draw``.
        relations: names of the numbers of a relation between two residents; empty where there are none.
    """

    stage: HookStage
    hook: str
    tick: int
    day: int
    tod: int
    agent_id: str
    serial: int
    needs: Mapping[str, float]
    values: Mapping[str, int]
    inventory: Mapping[str, int]
    position: tuple[int, int]
    profile: str
    object_id: str
    object_type: str
    place_id: str
    stock: Mapping[str, int]
    affordance_id: str
    duration: int
    paid: int
    reason: str | None
    seed: int = field(repr=False)
    relations: tuple[str, ...] = ()

    def addressed_to(self, hook: str) -> Self:
        """Copy everything for one hook, so that its changes do not reach another hook."""
        return replace(
            self,
            hook=hook,
            needs=MappingProxyType(dict(self.needs)),
            values=MappingProxyType(dict(self.values)),
            inventory=MappingProxyType(dict(self.inventory)),
            stock=MappingProxyType(dict(self.stock)),
        )

    def _key(self, index: int) -> tuple[int, int, int, int, int]:
        """Stages and affordances share their draws."""
        return self.seed, seeding.WORLD, self.tick, self.serial, own_index(self.hook, index)


@dataclass(frozen=True, slots=True)
class Cancel:
    """Returned by a before-hook to refuse a use.

    Attributes:
        reason: 1 to 40 printable characters; the event ``affordance.fail`` carries them as ``detail``.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class NeedEffect:
    """A change of one of the resident's needs.

    Attributes:
        need: a key of ``HookContext.needs``.
        amount: from -0.2 to 0.2.
    """

    need: str
    amount: float


@dataclass(frozen=True, slots=True)
class StockEffect:
    """A change of the object's stock.

    Attributes:
        item: a key of ``HookContext.stock``.
        amount: from -2 to 2.
    """

    item: str
    amount: int


@dataclass(frozen=True, slots=True)
class InventoryEffect:
    """A change of what the resident carries.

    Attributes:
        item: a key of ``HookContext.inventory``.
        amount: from -2 to 2.
    """

    item: str
    amount: int


@dataclass(frozen=True, slots=True)
class MoneyEffect:
    """Money from the world to the resident.

    Attributes:
        amount: from -500 to 500, in the world's unit; negative takes from the resident what it has.
    """

    amount: int


@dataclass(frozen=True, slots=True)
class RelationEffect:
    """A change of the relations between the resident and those near it, both ways.

    Attributes:
        part: one of ``HookContext.relations``.
        amount: from -0.2 to 0.2.
    """

    part: str
    amount: float


Effect: TypeAlias = NeedEffect | StockEffect | InventoryEffect | MoneyEffect | RelationEffect
"""An effect that an after-hook may add to a finished use."""
