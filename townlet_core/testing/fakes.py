"""Fakes for the parts of a simulation: they keep the contracts and do little else.

Rows of different slots, and of one slot in different ticks, hold different numbers everywhere: a test fails
when code under test mixes up rows, columns or ticks.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, cast

from townlet_core import seeding
from townlet_core.dto.action import ActionBatch, Decision, PolicyContext, PolicyIdentity
from townlet_core.dto.command import Argument, Command, CommandResult, CommandSpec
from townlet_core.dto.command_hook import CommandDone, CommandRefused
from townlet_core.dto.frame import StateFrame, TownFrame
from townlet_core.dto.health import SinkStatus
from townlet_core.dto.observation import ObservationBatch, View
from townlet_core.dto.outcome import StepOutcome, TickSummary
from townlet_core.dto.plan import (
    PlanDistrict,
    PlanMessage,
    PlanObject,
    PlanPlace,
    PlanUnit,
    TileKind,
    TownPlan,
    encode_row,
)
from townlet_core.dto.seen import ObservationMessage
from townlet_core.dto.snapshot import Snapshot
from townlet_core.dto.spec import ColumnSpec, FigureSpec, NeedSpec, OptionSpec, WorldSpec
from townlet_core.errors import SnapshotError, WorldError
from townlet_core.events.base import Event
from townlet_core.events.health import SinkState
from townlet_core.jsonvalue import JsonObject, JsonValue, canonical_json
from townlet_core.ports.telemetry import EmitResult, Message
from townlet_core.records import record_from_json, record_to_json
from townlet_core.testing.events import FakeDay, FakeFinish, FakeHeld, FakePair, FakeQuarrels, FakeStart

FAKE_NEEDS: Final = ("drink", "warmth", "calm")
"""The needs of the agents of ``FakeWorld``."""
_ACTIONS: Final = ("wait", "sip", "warm", "sit")
_USES: Final = ("", "sip_tea", "warm_up", "sit_down")
_OPTIONS: Final = ("free", "busy")
_FEATURES: Final = (
    *(f"need_{need}" for need in FAKE_NEEDS),
    *(f"option_{option}" for option in _OPTIONS),
)
_DECAY: Final = (0.02, 0.01, 0.005)
_GAIN: Final = 0.4
_FULL: Final = 0.95
_QUARREL: Final = 0.05
_CHANNELS: Final = ("self", "others")
_WINDOW: Final = 3
_GREATEST_CELL: Final = 251  # a prime: rows of cells do not repeat soon
_FIELDS: Final = ("tent", "spring", "fire")
_BANK: Final = 5  # tiles to stand on in each row of the plan
_PLANNED: Final = ("spring", "fire")
_REWARD_OF_NEED: Final = (0.5, 0.25, 0.125)
_FEED: Final = CommandSpec(
    "feed",
    "admin",
    "Gives an agent a drink.",
    (Argument("agent_id", "text"), Argument("amount", "real", required=False)),
)
_CONSTANTS: Final = (ColumnSpec("use_names", "", ("uses",)), ColumnSpec("use_need", "i", ("uses",)))
_VIEW: Final = (ColumnSpec("needs", "d", ("slots", "needs")), ColumnSpec("busy", "B", ("slots",)))
_LOOK: Final = CommandSpec("look", "viewer", "Returns the number of residents.")


def readonly(values: "array[int] | array[float]", *shape: int) -> memoryview:
    """Return a read-only view of an array in a shape, as data crosses ports."""
    # One function for every element type; the type checker distinguishes memoryviews by element type.
    view = memoryview(values).cast("B").cast(values.typecode, shape)  # type: ignore[arg-type]
    return cast("memoryview", view.toreadonly())


@dataclass(slots=True)
class _WorldState:
    """The state of a ``FakeWorld``; rows are slots."""

    seed: int = 0
    tick: int = 0
    needs: list[list[float]] = field(default_factory=list)
    busy: list[bool] = field(default_factory=list)
    sips: int = 0


class FakeWorld:
    """Agents whose needs fall and who can drink, warm themselves and sit, one tick each.

    Three of four agents find one of these taken in each tick. Sometimes two of them quarrel. Every day
    ends with its accounts. It is a complete ``WorldPort``, so that a loop, a policy or a sink can be tested
    without compiling the town.
    """

    def __init__(
        self,
        agents: int = 2,
        *,
        ticks_per_day: int = 20,
        fail_at: int | None = None,
        empty_from: int | None = None,
    ) -> None:
        """Build the world; call ``reset`` next.

        Args:
            agents: number of slots, all of them occupied.
            ticks_per_day: length of a day.
            fail_at: the tick that cannot be finished, if any.
            empty_from: the tick at whose end all residents have left, if any.
        """
        self._spec = WorldSpec(
            world="fake",
            layout_version=1,
            capacity=agents,
            action_names=_ACTIONS,
            feature_names=_FEATURES,
            variant="flat",
            map_channels=_CHANNELS,
            map_window=_WINDOW,
            fields=_FIELDS,
            ticks_per_day=ticks_per_day,
            commands=(_FEED, _LOOK),
            needs=tuple(NeedSpec(need, "busy") for need in FAKE_NEEDS),
            constants=_CONSTANTS,
            view=_VIEW,
            options=tuple(map(OptionSpec, _OPTIONS)),
            figures=(FigureSpec("sips", "sips", "Sips since the start."),),
        )
        self._fail_at, self._empty_from = fail_at, empty_from
        self._state = _WorldState()
        self._summary = TickSummary()

    @property
    def spec(self) -> WorldSpec:
        """The properties of the world."""
        return self._spec

    def reset(self, seed: int) -> ObservationBatch:
        """Start over; the first needs depend on the seed."""
        slots = range(self._spec.capacity)
        needs = [
            [0.5 + seeding.unit(seed, seeding.WORLD, 0, s, n) / 2 for n in range(len(FAKE_NEEDS))]
            for s in slots
        ]
        self._state = _WorldState(seed, 0, needs, [False] * self._spec.capacity)
        self._summary = TickSummary()
        return self._observe()

    def step(self, actions: ActionBatch, commands: Sequence[Command] = ()) -> StepOutcome:
        """Execute one tick, commands first."""
        state, tick = self._state, self._state.tick
        if tick == self._fail_at:
            raise WorldError("the fake world fails at this tick", tick=tick, phase=4, agent_id="agent_0")
        results = tuple(self._obey(command) for command in commands)
        events: list[Event] = []
        counts = dict.fromkeys(_ACTIONS, 0)
        for slot, action in enumerate(actions.action.tolist()):
            counts[self._act(slot, action, events)] += 1
        self._quarrel(events)
        state.tick = tick + 1
        if state.tick % self._spec.ticks_per_day == 0:
            events.append(FakeDay(tick // self._spec.ticks_per_day, {"sips": state.sips}))
        self._summary = TickSummary(
            day=tick // self._spec.ticks_per_day,
            tod=tick % self._spec.ticks_per_day,
            alive=self._living(),
            actions={name: count for name, count in counts.items() if count},
            figures={"sips": state.sips},
        )
        capacity = self._spec.capacity
        return StepOutcome(
            observation=self._observe(),
            reward=readonly(self._rewards(), capacity),
            terminated=readonly(array("B", [0] * capacity), capacity),
            truncated=readonly(array("B", [0] * capacity), capacity),
            events=tuple(events),
            summary=self._summary,
            command_results=results,
        )

    def frame(self) -> TownFrame:
        """Return the frame of the residents."""
        agents: dict[str, JsonObject] = {}
        for slot, row in enumerate(self._state.needs[: self._living()]):
            needs = dict(zip(FAKE_NEEDS, row, strict=True))
            agents[f"agent_{slot}"] = {"slot": slot, "needs": needs}
        clock = {"day": self._summary.day, "tod": self._summary.tod}
        return TownFrame(tick=self._state.tick - 1, clock=clock, agents=agents)

    def snapshot(self) -> Snapshot:
        """Return the whole state."""
        return Snapshot(
            self._state.tick, {"fake_slots": str(self._spec.capacity)}, {"world": record_to_json(self._state)}
        )

    def restore(self, snapshot: Snapshot) -> ObservationBatch:
        """Continue from a state of a world of this size."""
        if snapshot.identity.get("fake_slots") != str(self._spec.capacity):
            raise SnapshotError(
                "snapshot_identity", f"the snapshot is not of a fake world of {self._spec.capacity} slots"
            )
        try:
            self._state = record_from_json(_WorldState, snapshot.parts["world"])
        except (KeyError, ValueError) as error:
            raise SnapshotError("snapshot_corrupt", f"the part 'world' is damaged: {error}") from error
        return self._observe()

    def close(self) -> None:
        """Do nothing: no resource is held."""

    def _living(self) -> int:
        gone = self._empty_from is not None and self._state.tick > self._empty_from
        return 0 if gone else self._spec.capacity

    def _obey(self, command: Command) -> CommandResult:
        tick = self._state.tick
        spec = {each.name: each for each in self._spec.commands}.get(command.name)
        if spec is None:
            return command.refused(tick, "unknown_command", f"unknown command '{command.name}'")
        try:
            args = spec.read(command.args)
        except ValueError as error:
            return command.refused(tick, "invalid_args", str(error))
        if spec is _LOOK:
            return command.done(tick, {"living": self._living()})
        fed = [slot for slot in range(self._living()) if args["agent_id"] == f"agent_{slot}"]
        if not fed:
            return command.refused(tick, "not_found", f"no resident is called {args['agent_id']}")
        needs = self._state.needs[fed[0]]
        needs[0] = min(1.0, max(0.0, needs[0] + cast("float", args.get("amount", _GAIN))))
        return command.done(tick, args)

    def _act(self, slot: int, action: int, events: list[Event]) -> str:
        """Execute one resident's action, then lower its needs; returns the name of the executed action."""
        needs = self._state.needs[slot]
        done = action if 0 < action < len(_ACTIONS) and self._may(slot, action) else 0
        self._state.busy[slot] = done > 0
        if done:
            agent_id, thing, use = f"agent_{slot}", f"thing_{done}", _USES[done]
            needs[done - 1] = min(1.0, needs[done - 1] + _GAIN)
            self._state.sips += done == 1
            events.append(FakeStart(agent_id, thing, use))
            events.append(FakeFinish(agent_id, thing, use, {FAKE_NEEDS[done - 1]: _GAIN}))
        self._state.needs[slot] = [max(0.0, need - decay) for need, decay in zip(needs, _DECAY, strict=True)]
        return _ACTIONS[done]

    def _may(self, slot: int, action: int) -> bool:
        """Return whether a resident needs what an action gives, and finds it free in this tick."""
        taken = (slot + action + self._state.tick // 3) % len(_ACTIONS) == 0
        return not taken and self._state.needs[slot][action - 1] < _FULL

    def _quarrel(self, events: list[Event]) -> None:
        state = self._state
        if self._spec.capacity > 1 and seeding.unit(state.seed, seeding.WORLD, state.tick, 0, 0) < _QUARREL:
            events.append(FakeQuarrels((FakePair("agent_0", "agent_1", 0.75),)))

    def _rewards(self) -> "array[float]":
        """Return rewards for the satisfied needs of the living."""
        rewards = [
            sum(need * weight for need, weight in zip(needs, _REWARD_OF_NEED, strict=True))
            for needs in self._state.needs[: self._living()]
        ]
        return array("f", rewards + [0.0] * (self._spec.capacity - len(rewards)))

    def _map_of(self, slot: int) -> list[int]:
        """Return the cells around a resident: each channel, row and column of each tick is another number."""
        cells = len(_CHANNELS) * _WINDOW * _WINDOW
        first = 1 + cells * slot + 7 * self._state.tick
        return [1 + (first + cell) % _GREATEST_CELL for cell in range(cells)]

    def _observe(self) -> ObservationBatch:
        capacity, living = self._spec.capacity, self._living()
        features, mask, maps = array("f"), array("B"), array("B")
        for slot in range(capacity):
            lives, busy = slot < living, self._state.busy[slot]
            needs = self._state.needs[slot]
            features.extend([*needs, float(not busy), float(busy)] if lives else [0.0] * len(_FEATURES))
            mask.extend([1, *(int(lives and self._may(slot, a)) for a in range(1, len(_ACTIONS)))])
            maps.extend(self._map_of(slot) if lives else [0] * (len(_CHANNELS) * _WINDOW * _WINDOW))
        flags = [int(slot < living) for slot in range(capacity)]
        return ObservationBatch(
            tick=self._state.tick,
            map=readonly(maps, capacity, len(_CHANNELS), _WINDOW, _WINDOW),
            features=readonly(features, capacity, len(_FEATURES)),
            mask=readonly(mask, capacity, len(_ACTIONS)),
            alive=readonly(array("B", flags), capacity),
            serial=readonly(array("q", [(2 * slot + 1) * flag for slot, flag in enumerate(flags)]), capacity),
            agent_ids=tuple(f"agent_{slot}" if flag else "" for slot, flag in enumerate(flags)),
            view=self._view(living),
        )

    def _view(self, living: int) -> View:
        """Show the exact needs, and who is busy; dead rows are zero."""
        capacity, state = self._spec.capacity, self._state
        needs = [need if slot < living else 0.0 for slot, row in enumerate(state.needs) for need in row]
        busy = [int(slot < living and each) for slot, each in enumerate(state.busy)]
        return View(
            constants={"use_names": _ACTIONS[1:], "use_need": readonly(array("i", range(3)), 3)},
            columns={
                "needs": readonly(array("d", needs), capacity, len(FAKE_NEEDS)),
                "busy": readonly(array("B", busy), capacity),
            },
        )


class FakePlannedWorld(FakeWorld):
    """A ``FakeWorld`` with ground: its agents walk to and fro on a bank beside water, each in a row."""

    def plan(self) -> TownPlan:
        """Return the plan: a row for each agent, water in the east, a spring and a fire in the west."""
        rows = max(self._spec.capacity, len(_PLANNED))
        last = _BANK - 1
        return TownPlan(
            name="fake",
            width=_BANK + 1,
            height=rows,
            ticks_per_day=self._spec.ticks_per_day,
            tile_kinds=(TileKind("sand", walkable=True), TileKind("sea", walkable=False)),
            rows=(encode_row([0] * _BANK + [1]),) * rows,
            places=(PlanPlace("bank", "shore", "the bank", tuple((1, y, last) for y in range(rows))),),
            objects=tuple(PlanObject(f"{name}_1", name, (0, y)) for y, name in enumerate(_PLANNED)),
            homes=tuple((last, y) for y in range(rows)),
            entries=((last, 0),),
            districts=(PlanDistrict("0", (0, 0), (_BANK + 1, rows)),),
            units={"steps": PlanUnit("dozens", 12)},
        )

    def frame(self) -> TownFrame:
        """Return the frame of the residents with the tiles where they stand."""
        frame, tick = super().frame(), self._state.tick
        agents: dict[str, JsonObject] = {
            agent_id: {
                **entry,
                "name": f"Agent {slot}",
                "steps": tick,
                "pos": [1 + (tick + slot) % (_BANK - 1), slot],
            }
            for slot, (agent_id, entry) in enumerate(frame.agents.items())
        }
        objects: dict[str, JsonObject] = {
            f"{name}_1": {"type": name, "pos": [0, y]} for y, name in enumerate(_PLANNED)
        }
        return replace(frame, agents=agents, objects=objects)


class FakePolicy:
    """Takes turns: each resident does the next action that its mask allows.

    Slots begin with different turns, and each has another goal, option and commitment. It keeps state, so
    that a run that forgets to save it is noticed.
    """

    def __init__(self, *, fail_at: int | None = None) -> None:
        """Build the policy; at tick ``fail_at`` it raises an error that is not of its port."""
        self._fail_at = fail_at
        self._turns: list[int] = []

    @property
    def identity(self) -> PolicyIdentity:
        """The identity of the policy."""
        return PolicyIdentity("fake", "0" * 64)

    def begin(self, spec: WorldSpec, seed: int) -> None:
        """Start with the seed's turn in slot 0, and with the turns that follow it in the others."""
        self._actions, self._fields = len(spec.action_names), len(spec.fields)
        self._turns = [(seed + slot) % self._actions for slot in range(spec.capacity)]

    def decide(self, observation: ObservationBatch) -> Decision:
        """Return the next allowed action for every slot."""
        if observation.tick == self._fail_at:
            raise ZeroDivisionError("the fake policy fails at this tick")
        slots = len(self._turns)
        for slot in range(slots):
            for skipped in range(self._actions):
                action = (self._turns[slot] + 1 + skipped) % self._actions
                if observation.mask[slot, action]:
                    self._turns[slot] = action
                    break
        goals = [(slot + observation.tick) % (self._fields + 1) - 1 for slot in range(slots)]
        commitments = [(3 * slot + observation.tick) % 100 for slot in range(slots)]
        context = PolicyContext(
            option=readonly(array("b", self._turns), slots),
            goal=readonly(array("i", goals), slots),
            commit_remaining=readonly(array("h", commitments), slots),
        )
        actions, targets = array("h", self._turns), array("i", range(slots))
        return Decision(ActionBatch(readonly(actions, slots), readonly(targets, slots), context))

    def end(self) -> None:
        """Do nothing: no resource is held."""

    def export_state(self) -> JsonValue:
        """Return the turn of each slot."""
        return tuple(self._turns)

    def import_state(self, state: JsonValue) -> None:
        """Continue with these turns."""
        if not isinstance(state, (list, tuple)) or len(state) != len(self._turns):
            raise SnapshotError("snapshot_corrupt", f"the fake policy's state is damaged: {state!r}")
        self._turns = [int(str(turn)) for turn in state]


@dataclass(slots=True)
class _Counted:
    """The state of a ``FakeObserver``."""

    ticks: list[int]
    """Ticks lived in each slot."""
    events: int = 0


class FakeObserver:
    """Counts the ticks that each slot lived and the world's events; adds no facts."""

    name: Final = "counts"

    def begin(self, spec: WorldSpec) -> None:
        """Start counting at zero."""
        self._day = spec.ticks_per_day
        self._counted = _Counted([0] * spec.capacity)

    def observe(self, outcome: StepOutcome, tick: int) -> tuple[Event, ...]:
        """Count one tick."""
        del tick
        for slot, lives in enumerate(outcome.observation.alive.tolist()):
            self._counted.ticks[slot] += lives
        self._counted.events += len(outcome.events)
        return ()

    def kpis(self) -> JsonObject:
        """Return the counts."""
        return {"agent_days": sum(self._counted.ticks) / self._day, "events_seen": self._counted.events}

    def export_state(self) -> JsonValue:
        """Return the counts."""
        return record_to_json(self._counted)

    def import_state(self, state: JsonValue) -> None:
        """Continue from exported counts.

        Raises:
            SnapshotError: when they are damaged, or of another number of slots.
        """
        try:
            counted = record_from_json(_Counted, state)
        except ValueError as error:
            raise SnapshotError(
                "snapshot_corrupt", f"the state of '{self.name}' is damaged: {error}"
            ) from error
        if len(counted.ticks) != len(self._counted.ticks):
            slots = len(self._counted.ticks)
            raise SnapshotError("snapshot_corrupt", f"the state of '{self.name}' is not for {slots} slots")
        self._counted = counted


class FakeStage:
    """Makes one agent wait in each tick, in turns; a run that does not save the turn is noticed."""

    def __init__(self, name: str = "turns", *, fail_at: int | None = None) -> None:
        """Build the stage; at tick ``fail_at`` it raises an error."""
        self.name = name
        self._fail_at = fail_at
        self._turn = self._slots = 0

    def begin(self, spec: WorldSpec, seed: int) -> None:
        """Start with the seed's slot."""
        self._slots = spec.capacity
        self._turn = seed % self._slots

    def apply(
        self, observation: ObservationBatch, decision: Decision
    ) -> tuple[ActionBatch, tuple[FakeHeld, ...]]:
        """Replace one agent's action by the first action; an agent that waits already is left alone."""
        if observation.tick == self._fail_at:
            raise ZeroDivisionError("the fake stage fails at this tick")
        slot, self._turn = self._turn, (self._turn + 1) % self._slots
        chosen = decision.actions.action.tolist()
        if not observation.alive[slot] or chosen[slot] == 0:
            return decision.actions, ()
        held = FakeHeld(observation.agent_ids[slot], chosen[slot], self.name)
        chosen[slot] = 0
        actions = replace(decision.actions, action=readonly(array("h", chosen), self._slots))
        return actions, (held,)

    def export_state(self) -> JsonValue:
        """Return the turn."""
        return self._turn

    def import_state(self, state: JsonValue) -> None:
        """Continue with a turn."""
        if type(state) is not int or not 0 <= state < self._slots:
            raise SnapshotError("snapshot_corrupt", f"the state of '{self.name}' is damaged: {state!r}")
        self._turn = state


class FakeCommandedStage(FakeStage):
    """Makes agents wait in turns, and takes commands: ``skip`` moves the turn on by some slots.

    It gives every agent that it makes wait a drink of ``FakeWorld``.
    """

    commands: Final = (
        CommandSpec("skip", "admin", "Moves the turn on.", (Argument("slots", "int", required=False),)),
    )

    def __init__(self, name: str = "commanded") -> None:
        """Build the stage."""
        super().__init__(name)
        self._orders: list[Command] = []

    def begin(self, spec: WorldSpec, seed: int) -> None:
        """Start with the seed's slot and without orders."""
        super().begin(spec, seed)
        self._orders.clear()

    def answer(self, request: Command, observation: ObservationBatch) -> CommandDone | CommandRefused:
        """Refuse to skip no slot, or more than there are; report the slot of the new turn."""
        del observation
        slots = cast("int", request.args.get("slots", 1))
        if not 0 < slots < self._slots:
            return CommandRefused(f"slots is {slots}; allowed: 1 to {self._slots - 1}", "conflict")
        return CommandDone(result={"slot": (self._turn + slots) % self._slots})

    def obey(self, request: Command, observation: ObservationBatch) -> None:
        """Move the turn on."""
        del observation
        self._turn = (self._turn + cast("int", request.args.get("slots", 1))) % self._slots

    def apply(
        self, observation: ObservationBatch, decision: Decision
    ) -> tuple[ActionBatch, tuple[FakeHeld, ...]]:
        """Replace one agent's action as ``FakeStage`` does, and order a drink for the agent."""
        actions, events = super().apply(observation, decision)
        self._orders += [Command("feed", {"agent_id": event.agent_id, "amount": 0.125}) for event in events]
        return actions, events

    def take_orders(self) -> tuple[Command, ...]:
        """Return the orders of this tick."""
        orders = tuple(self._orders)
        self._orders.clear()
        return orders


class CollectingSink:
    """Keeps every message in memory, and rejects facts that are not JSON."""

    def __init__(self, name: str = "collecting") -> None:
        """Build the sink; call ``start`` next."""
        self.messages: Final[list[Message]] = []
        self._name = name
        self._rejected: dict[str, int] = {}
        self._offered = 0
        self._state: SinkState = "healthy"

    def start(self) -> None:
        """Do nothing: memory needs no opening."""

    def emit(self, message: Message) -> EmitResult:
        """Keep one message."""
        self._offered += 1
        if self._state == "closed":
            return self._reject("closed")
        try:
            canonical_json(record_to_json(_payload(message)))
        except (TypeError, ValueError):
            return self._reject("not_json")
        self.messages.append(message)
        return EmitResult("accepted")

    @property
    def state(self) -> SinkState:
        """The state."""
        return self._state

    def status(self) -> SinkStatus:
        """Return the counters; messages in memory count as delivered."""
        kept = len(self.messages)
        return SinkStatus(
            name=self._name,
            state=self._state,
            offered=self._offered,
            emitted=kept,
            delivered=kept,
            rejected=dict(self._rejected),
        )

    def stop(self, deadline_seconds: float) -> SinkStatus:
        """Close the sink: later messages are rejected."""
        del deadline_seconds
        self._state = "closed"
        return self.status()

    def _reject(self, reason: str) -> EmitResult:
        self._rejected[reason] = self._rejected.get(reason, 0) + 1
        return EmitResult("rejected", reason)


def _payload(message: Message) -> object:
    match message:
        case StateFrame():
            return message.frame
        case ObservationMessage():
            return message.seen
        case PlanMessage():
            return message.plan
    return message.event


class FailingSink:
    """Breaks the contract of sinks: ``emit`` always raises, ``status`` on request."""

    def __init__(self, *, status_fails: bool = False) -> None:
        """Build the sink."""
        self._status_fails = status_fails
        self.state: SinkState = "healthy"

    def start(self) -> None:
        """Do nothing."""

    def emit(self, message: Message) -> EmitResult:
        """Raise an exception, which no sink may do."""
        raise RuntimeError(f"the failing sink got {message!r}")

    def status(self) -> SinkStatus:
        """Return the state that a test has set."""
        if self._status_fails:
            raise RuntimeError("the failing sink has no status")
        return SinkStatus(name="failing", state=self.state)

    def stop(self, deadline_seconds: float) -> SinkStatus:
        """Do nothing."""
        del deadline_seconds
        return self.status()


class ManualClock:
    """A clock that a test moves; its ``sleep`` moves it, too.

    It does not start at 0, so that a time that was never set is not taken for the present.
    """

    def __init__(self, now: float = 1024.0) -> None:
        """Set the clock."""
        self.now = now

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Move the clock forward."""
        self.now += seconds
