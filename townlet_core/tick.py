"""One tick: the policy decides, stages pass its actions on, the world executes, the observers watch.

The waiting commands are taken before the stages are applied, so that a stage can act on its own at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from townlet_core.commands import NO_ROUND, CommandBus, CommandRound
from townlet_core.dto.action import ActionBatch, Decision
from townlet_core.dto.command import Command
from townlet_core.dto.observation import ObservationBatch
from townlet_core.dto.outcome import StepOutcome
from townlet_core.dto.spec import WorldSpec
from townlet_core.errors import ContractError
from townlet_core.events.base import Event, Fact
from townlet_core.failures import PartName
from townlet_core.ledger import Ledger
from townlet_core.observers.port import Observer
from townlet_core.ports.policy import PolicyPort
from townlet_core.ports.stage import ActionStage, SupportsOrders
from townlet_core.ports.world import WorldPort
from townlet_core.snapshot_parts import Keepers, keepers_of
from townlet_core.suggestions import nearest


@dataclass(frozen=True, slots=True)
class Parts:
    """What takes part in every tick.

    Attributes:
        world: the world to step.
        policy: the policy that decides.
        stages: pass the policy's actions on to the world, in this order.
        observers: called in this order, which is also the order of their facts.
        commands: the requests that wait for the next tick.
        seed: the run's seed.
    """

    world: WorldPort
    policy: PolicyPort
    stages: tuple[ActionStage, ...]
    observers: tuple[Observer, ...]
    commands: CommandBus
    seed: int

    @property
    def keepers(self) -> Keepers:
        """The parts that keep state, by the name of their part of a snapshot."""
        return keepers_of(self.policy, self.stages, self.observers)


class Done(NamedTuple):
    """A finished tick.

    Attributes:
        outcome: the outcome of the world's step.
        facts: the facts, numbered.
        diagnostics: events about the machinery among those of the world and the observers.
        marks: clock times at which the tick began, and at which decision, step, observation and numbering
            ended.
    """

    outcome: StepOutcome
    facts: list[Fact]
    diagnostics: list[Event]
    marks: tuple[float, float, float, float, float]


class TickRunner:
    """Executes ticks.

    Attributes:
        part: the part that acted last: the one that failed, when ``run`` raises.
    """

    def __init__(self, parts: Parts, ledger: Ledger, clock: Callable[[], float]) -> None:
        """Take the parts; ``clock`` returns seconds, for durations only."""
        self._parts, self._ledger, self._clock = parts, ledger, clock
        # Asking for a protocol takes as long as a stage that changes nothing, so it is asked once.
        self._stages = [(each, each if isinstance(each, SupportsOrders) else None) for each in parts.stages]
        self.part: PartName = "policy"

    def run(self, observation: ObservationBatch) -> Done:
        """Execute the tick of an observation; after an exception, the tick is half done."""
        parts, ledger, clock, tick = self._parts, self._ledger, self._clock, observation.tick
        started = clock()
        self.part = "policy"
        decision = parts.policy.decide(observation)
        announced = ledger.announce(parts.policy.identity, parts.world.spec.variant)
        self.part = "stage"
        asked = parts.commands.open_round(observation, parts.seed) if parts.commands.waiting else NO_ROUND
        actions, staged, orders = self._pass_on(observation, decision)
        ledger.meet(staged)
        self.part, decided = "world", clock()
        outcome, answers = self._obey(tick, actions, asked.with_orders(orders) if orders else asked)
        ledger.meet(outcome.events)
        self.part, stepped = "observer", clock()
        watched = self._watch(outcome, tick)
        ledger.meet(watched)
        self.part, observed = "world", clock()
        groups = (announced, answers, staged, outcome.events, watched)
        facts, diagnostics = ledger.write(tick, groups, outcome.summary)
        return Done(outcome, facts, diagnostics, (started, decided, stepped, observed, clock()))

    def _watch(self, outcome: StepOutcome, tick: int) -> list[Event]:
        """Show a tick to the observers, to each with the facts of those before it; returns their facts."""
        watched: list[Event] = []
        for observer in self._parts.observers:
            added = observer.observe(outcome, tick)
            if added:
                watched += added
                outcome = replace(outcome, events=(*outcome.events, *added))
        return watched

    def _pass_on(
        self, observation: ObservationBatch, decision: Decision
    ) -> tuple[ActionBatch, Sequence[Event], Sequence[Command]]:
        """Pass a decision through the stages; returns what the last one left, and all events and orders."""
        if not self._parts.stages:
            return decision.actions, (), ()
        events: list[Event] = []
        orders: list[Command] = []
        for stage, ordering in self._stages:
            actions, added = stage.apply(observation, decision)
            if actions is not decision.actions:
                decision = replace(decision, actions=actions)
            events += added
            if ordering is not None:
                orders += orders_of(ordering, stage.name, self._parts.world.spec)
        return decision.actions, events, orders

    def _obey(
        self, tick: int, actions: ActionBatch, asked: CommandRound
    ) -> tuple[StepOutcome, tuple[Event, ...]]:
        """Execute a tick of the world with a round of commands; returns the outcome and the answers."""
        if asked is NO_ROUND:
            return self._parts.world.step(actions), ()
        outcome = self._parts.world.step(actions, asked.commands)
        return outcome, asked.close(tick, outcome.command_results)


def orders_of(stage: SupportsOrders, name: str, spec: WorldSpec) -> list[Command]:
    """Take the commands that a stage gives to the world, in the stage's name.

    Raises:
        ContractError: when one is not of this world, or its arguments do not fit.
    """
    given = stage.take_orders()
    if not given:
        return []
    known = {each.name: each for each in spec.commands}
    orders: list[Command] = []
    for order in given:
        if order.name not in known:
            allowed = nearest(order.name, known)
            raise ContractError(f"the stage '{name}' gave the unknown command '{order.name}'; {allowed}")
        try:
            orders.append(Command(order.name, known[order.name].read(order.args), issuer=name))
        except ValueError as error:
            raise ContractError(f"the stage '{name}' gave a wrong command: {error}") from error
    return orders
