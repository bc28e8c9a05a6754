"""A market: stalls in a ring with a stock for the day; each customer has a list of so many things."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from townlet_core import seeding
from townlet_core.dto.action import ActionBatch
from townlet_core.dto.command import Command
from townlet_core.dto.frame import TownFrame
from townlet_core.dto.observation import ObservationBatch
from townlet_core.dto.outcome import StepOutcome, TickSummary
from townlet_core.dto.snapshot import Snapshot
from townlet_core.dto.spec import WorldSpec
from townlet_core.errors import SnapshotError
from townlet_core.events.base import Event
from townlet_core.records import record_from_json, record_to_json
from townlet_market.arrays import view
from townlet_market.events import Done, Sold, SoldOut

WAIT, NEXT, BUY = range(3)
DAY = 20
LONGEST_LIST = 6


@dataclass
class State:
    """All that a market remembers; ``wanted`` is 0 for who is at home."""

    seed: int = 0
    tick: int = 0
    stocks: list[int] = field(default_factory=list)
    at: list[int] = field(default_factory=list)
    wanted: list[int] = field(default_factory=list)
    bought: list[int] = field(default_factory=list)


class Market:
    """A ``WorldPort`` that needs nothing but the standard library."""

    def __init__(self, customers: int, stalls: int, stock: int) -> None:
        """Build the market; it opens with ``reset``."""
        self._stalls, self._stock = stalls, stock
        self._names = tuple(f"customer_{slot}" for slot in range(customers))
        self._identity = {"market": f"{customers}/{stalls}/{stock}"}
        self.spec = WorldSpec(
            world="market",
            layout_version=1,
            capacity=customers,
            action_names=("wait", "next", "buy"),
            feature_names=("stock", "list"),
            ticks_per_day=DAY,
        )
        self._state = State()
        self._done: dict[str, int] = {}

    def reset(self, seed: int) -> ObservationBatch:
        """Open in the morning of the first day."""
        slots = range(self.spec.capacity)
        at = [seeding.integer(0, self._stalls - 1, seed, seeding.WORLD, 0, slot, 0) for slot in slots]
        self._state = State(seed, 0, [], at, [0] * len(slots), [0] * len(slots))
        self._open()
        return self._observe()

    def step(self, actions: ActionBatch, commands: Sequence[Command] = ()) -> StepOutcome:
        """Serve everybody once, in turns that change with the tick."""
        del commands
        state, slots, events = self._state, self.spec.capacity, list[Event]()
        tick, wants = state.tick, actions.action.tolist()
        self._done = {}
        for turn in range(slots):
            slot = (turn + tick) % slots
            action = wants[slot] if wants[slot] in range(3) and self._allowed(slot)[wants[slot]] else WAIT
            name = self.spec.action_names[action]
            self._done[name] = self._done.get(name, 0) + 1
            if action == NEXT:
                state.at[slot] = (state.at[slot] + 1) % self._stalls
            elif action == BUY:
                events += self._sell(slot)
        state.tick += 1
        if state.tick % DAY == 0:
            self._open()
        return StepOutcome(
            observation=self._observe(),
            reward=view("f", [0.0] * slots, slots),
            terminated=view("B", [0] * slots, slots),
            truncated=view("B", [0] * slots, slots),
            events=tuple(events),
            summary=TickSummary(day=tick // DAY, tod=tick % DAY, alive=slots, actions=self._done),
        )

    def frame(self) -> TownFrame:
        """Picture stalls and customers."""
        tick, state = self._state.tick - 1, self._state
        return TownFrame(
            tick=tick,
            clock={"day": tick // DAY, "tod": tick % DAY},
            agents={
                name: {"slot": slot, "wanted": state.wanted[slot]} for slot, name in enumerate(self._names)
            },
            extra={"stocks": tuple(state.stocks)},
        )

    def snapshot(self) -> Snapshot:
        """Give the state."""
        return Snapshot(self._state.tick, self._identity, {"world": record_to_json(self._state)})

    def restore(self, snapshot: Snapshot) -> ObservationBatch:
        """Go on from a market of this size."""
        if snapshot.identity.get("market") != self._identity["market"]:
            raise SnapshotError("snapshot_identity", "the snapshot is of no such market")
        try:
            self._state = record_from_json(State, snapshot.parts["world"])
        except (KeyError, ValueError) as error:
            raise SnapshotError("snapshot_corrupt", f"the part 'world' is damaged: {error}") from error
        return self._observe()

    def close(self) -> None:
        """Do nothing."""

    def _open(self) -> None:
        """Fill the stalls, and give everybody a new list."""
        state = self._state
        state.stocks = [self._stock] * self._stalls
        key = (state.seed, seeding.WORLD, state.tick)
        for slot in range(self.spec.capacity):
            state.wanted[slot] = seeding.integer(1, LONGEST_LIST, *key, slot, 1)
            state.bought[slot] = 0

    def _allowed(self, slot: int) -> tuple[bool, bool, bool]:
        wants = self._state.wanted[slot] > 0
        return True, wants, wants and self._state.stocks[self._state.at[slot]] > 0

    def _sell(self, slot: int) -> list[Event]:
        state, stall = self._state, self._state.at[slot]
        state.stocks[stall] -= 1
        state.wanted[slot] -= 1
        state.bought[slot] += 1
        events: list[Event] = [Sold(self._names[slot], stall, state.stocks[stall])]
        if not state.stocks[stall]:
            events.append(SoldOut(stall))
        if not state.wanted[slot]:
            events.append(Done(self._names[slot], state.bought[slot]))
        return events

    def _observe(self) -> ObservationBatch:
        state, slots = self._state, self.spec.capacity
        features = [
            share
            for slot in range(slots)
            for share in (
                state.stocks[state.at[slot]] / max(1, self._stock),
                state.wanted[slot] / LONGEST_LIST,
            )
        ]
        mask = [int(may) for slot in range(slots) for may in self._allowed(slot)]
        return ObservationBatch(
            tick=state.tick,
            map=view("B", [0] * slots, slots, 1, 1, 1),
            features=view("f", features, slots, 2),
            mask=view("B", mask, slots, 3),
            alive=view("B", [1] * slots, slots),
            serial=view("q", range(slots), slots),
            agent_ids=self._names,
        )
