"""Possession: a person acts for an agent, by commands, until it is released or the person is gone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple

import numpy as np

from townlet_adapters.stages.misfits import wait_of
from townlet_adapters.stages.options import PossessionOptions
from townlet_core.dto.action import ActionBatch, Decision, PolicyContext
from townlet_core.dto.command import Argument, Command, CommandSpec
from townlet_core.dto.command_hook import LONGEST_REFUSAL, CommandDone, CommandRefused
from townlet_core.dto.observation import ObservationBatch
from townlet_core.dto.spec import WorldSpec
from townlet_core.errors import SnapshotError
from townlet_core.events.base import Event
from townlet_core.events.policy import PolicyPossession
from townlet_core.jsonvalue import JsonValue
from townlet_core.records import record_from_json, record_to_json
from townlet_core.suggestions import nearest

POSSESS: Final = CommandSpec(
    "possess",
    "admin",
    "Takes an agent over (action acquire, which returns a token) or leaves it to its policy (release).",
    (Argument("agent_id", "text"), Argument("action", "text")),
)
ACT: Final = CommandSpec(
    "act",
    "admin",
    "Makes the agent of a token do an action in this tick; a target is the id of an agent or an object.",
    (Argument("token", "text"), Argument("action", "text"), Argument("target", "text", required=False)),
)
INTERRUPT: Final = "interrupt"
"""The world's command that ends an agent's claim; a world without it has no claims to end."""
_RUNNING: Final = 3
"""A running use in the column ``claim_stage``."""
_SLEEP: Final = "sleep"
"""Part of the name of a use in which an agent sleeps."""


@dataclass(frozen=True, slots=True)
class Possession:
    """One agent in a person's hands.

    Attributes:
        token: what the person's commands name.
        issuer: who acquired the agent.
        last_input: tick of the latest ``act``, or of the acquisition.
    """

    token: str
    issuer: str
    last_input: int


@dataclass(frozen=True, slots=True)
class _State:
    """What lasts between ticks.

    Attributes:
        acquired: number of acquisitions since the run began.
        held: the possession of each agent, in the order of acquisition.
    """

    acquired: int = 0
    held: Mapping[str, Possession] = field(default_factory=dict)


class _Intent(NamedTuple):
    """What a person wants an agent to do in this tick."""

    action: int
    target: int


class _Judgement(NamedTuple):
    """The answer to a request, and what follows when it is accepted."""

    answer: CommandDone | CommandRefused
    follow: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class _Tick:
    """What the requests of a tick lead to, until ``apply``.

    Attributes:
        intents: what persons want their agents to do.
        freed: the agents that were released, and wait in this tick.
        events: what was acquired and released, in order.
    """

    intents: dict[str, _Intent] = field(default_factory=dict)
    freed: set[str] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)


class PossessionStage:
    """Replaces the intents of possessed agents by those of persons, and by waiting in ticks without any."""

    name: Final = "possession"
    commands: Final = (POSSESS, ACT)

    def __init__(self, options: PossessionOptions) -> None:
        self._options = options
        self._spec = WorldSpec("", 0, 0, (), ())
        self._wait = 0
        self._held: dict[str, Possession] = {}
        self._acquired = 0
        self._now = _Tick()
        self._orders: list[Command] = []

    def begin(self, spec: WorldSpec, seed: int) -> None:
        """Prepare for a run in which no agent is possessed.

        Raises:
            ConfigError: when agents cannot wait in such a world.
        """
        del seed
        self._spec, self._wait = spec, wait_of(spec, self.name)
        self._held, self._acquired = {}, 0
        self._now, self._orders = _Tick(), []

    def answer(self, request: Command, observation: ObservationBatch) -> CommandDone | CommandRefused:
        """Answer ``possess`` or ``act``; changes nothing."""
        return self._judge(request, observation).answer

    def obey(self, request: Command, observation: ObservationBatch) -> None:
        """Do what the answer to a request granted."""
        follow = self._judge(request, observation).follow
        if follow is not None:
            follow()

    def apply(
        self, observation: ObservationBatch, decision: Decision
    ) -> tuple[ActionBatch, tuple[Event, ...]]:
        """Replace the intents and contexts of possessed agents and of those that were just released."""
        if not self._held and not self._now.events:
            return decision.actions, ()
        self._end_and_idle(observation)
        now, self._now = self._now, _Tick()
        intents = dict.fromkeys([*self._held, *now.freed], _Intent(self._wait, -1)) | now.intents
        slots = {agent_id: slot for slot, agent_id in enumerate(observation.agent_ids) if agent_id in intents}
        chosen = {slot: intents[agent_id] for agent_id, slot in slots.items()}
        return _replaced(decision.actions, chosen), tuple(now.events)

    def take_orders(self) -> tuple[Command, ...]:
        """Return the claims to end in this tick."""
        orders, self._orders = tuple(self._orders), []
        return orders

    def export_state(self) -> JsonValue:
        """Return the possessions."""
        return record_to_json(_State(self._acquired, dict(self._held)))

    def import_state(self, state: JsonValue) -> None:
        """Continue with exported possessions.

        Raises:
            SnapshotError: when they are damaged.
        """
        try:
            read = record_from_json(_State, state)
        except ValueError as error:
            raise SnapshotError(
                "snapshot_corrupt", f"the state of '{self.name}' is damaged: {error}"
            ) from error
        tokens = [each.token for each in read.held.values()]
        if read.acquired < len(tokens) or len(set(tokens)) < len(tokens):
            raise SnapshotError("snapshot_corrupt", f"the state of '{self.name}' contradicts itself")
        self._held, self._acquired = dict(read.held), read.acquired
        self._now, self._orders = _Tick(), []

    def _judge(self, request: Command, observation: ObservationBatch) -> _Judgement:
        args = {name: str(value) for name, value in request.args.items()}
        if request.name == ACT.name:
            return self._judge_act(args, observation)
        agent_id, issuer = args["agent_id"], request.issuer
        if not agent_id or agent_id not in observation.agent_ids:
            return _refused("not_found", f"the world has no agent '{agent_id:.80}'")
        if args["action"] == "acquire":
            return self._judge_acquire(agent_id, issuer, observation)
        if args["action"] != "release":
            return _refused("invalid_args", f"unknown action '{args['action']:.80}'; known: acquire, release")
        if agent_id not in self._held:
            return _refused("not_found", f"{agent_id} is not possessed")
        return _Judgement(CommandDone(), lambda: self._end("release", agent_id, issuer))

    def _judge_acquire(self, agent_id: str, issuer: str, observation: ObservationBatch) -> _Judgement:
        owner = self._held.get(agent_id)
        if owner is not None:
            return _refused("already_possessed", f"{agent_id} is possessed by '{owner.issuer}'")
        if _is_asleep(observation, observation.agent_ids.index(agent_id)):
            return _refused("busy_target", f"{agent_id} is asleep; try again when it is awake")
        # A number within the run, so that a recorded command means the same in every run of these commands.
        token = f"{agent_id}.{self._acquired + 1}"

        def acquire() -> None:
            self._acquired += 1
            self._held[agent_id] = Possession(token, issuer, observation.tick)
            self._now.events.append(PolicyPossession(agent_id, "acquire", issuer))
            self._interrupt(agent_id)

        return _Judgement(CommandDone(result={"token": token}), acquire)

    def _judge_act(self, args: Mapping[str, str], observation: ObservationBatch) -> _Judgement:
        agent_id = next((held for held, each in self._held.items() if each.token == args["token"]), None)
        if agent_id is None or agent_id not in observation.agent_ids:
            return _refused("not_found", "the token is not valid: its possession has ended, or never was")
        if agent_id in self._now.intents:
            return _refused("rate_limited", f"{agent_id} acts once in a tick; try again in the next one")
        names = self._spec.action_names
        if args["action"] not in names:
            known = nearest(f"{args['action']:.80}", names)
            return _refused("invalid_args", f"unknown action '{args['action']:.80}'; {known}")
        action, slot = names.index(args["action"]), observation.agent_ids.index(agent_id)
        if not observation.mask[slot, action]:
            return _refused("conflict", f"{agent_id} cannot do '{args['action']:.80}' now")
        target = self._target(args.get("target", ""), observation)
        if target is None:
            return _refused("not_found", f"the world has no agent and no object '{args['target']:.80}'")

        def act() -> None:
            self._now.intents[agent_id] = _Intent(action, target)
            self._held[agent_id] = replace(self._held[agent_id], last_input=observation.tick)

        return _Judgement(CommandDone(), act)

    def _target(self, name: str, observation: ObservationBatch) -> int | None:
        """Return the number of an agent or an object, -1 without a name; None for an unknown name."""
        if not name:
            return -1
        known = observation.agent_ids if name in observation.agent_ids else self._spec.fields
        return known.index(name) if name in known else None

    def _end_and_idle(self, observation: ObservationBatch) -> None:
        """End possessions that are over, and the queueing of agents whose persons give no input."""
        for agent_id, held in list(self._held.items()):
            silent = observation.tick - held.last_input
            if agent_id not in observation.agent_ids:
                self._end("expire", agent_id, held.issuer, gone=True)
            elif silent >= self._options.expire_ticks:
                self._end("expire", agent_id, held.issuer)
            elif silent == self._options.idle_ticks:
                # It cannot have begun to queue after the latest input, so once is enough.
                self._interrupt(agent_id, idle=True)

    def _end(
        self, action: Literal["release", "expire"], agent_id: str, issuer: str, *, gone: bool = False
    ) -> None:
        """End a possession; the agent waits in this tick, since its policy saw it possessed."""
        del self._held[agent_id]
        self._now.intents.pop(agent_id, None)
        self._now.events.append(PolicyPossession(agent_id, action, issuer))
        if not gone:
            self._now.freed.add(agent_id)
            self._interrupt(agent_id)

    def _interrupt(self, agent_id: str, *, idle: bool = False) -> None:
        if any(spec.name == INTERRUPT for spec in self._spec.commands):
            args: dict[str, JsonValue] = {"agent_id": agent_id}
            self._orders.append(Command(INTERRUPT, {**args, "idle": True} if idle else args))


def _refused(
    code: Literal[
        "not_found", "invalid_args", "already_possessed", "busy_target", "rate_limited", "conflict"
    ],
    reason: str,
) -> _Judgement:
    return _Judgement(CommandRefused(reason[:LONGEST_REFUSAL], code))


def _is_asleep(observation: ObservationBatch, slot: int) -> bool:
    """Return whether the view shows that an agent runs a use in which it sleeps."""
    view = observation.view
    if view is None or not {"claim_stage", "claim_affordance"} <= view.columns.keys():
        return False
    uses = view.constants.get("affordance_names", ())
    if not isinstance(uses, tuple) or view.columns["claim_stage"][slot] != _RUNNING:
        return False
    return _SLEEP in uses[view.columns["claim_affordance"][slot]]


def _replaced(actions: ActionBatch, chosen: Mapping[int, _Intent]) -> ActionBatch:
    """Return a batch of its own in which these slots have other intents and no context."""
    action, target = np.array(actions.action), np.array(actions.target)
    for slot, intent in chosen.items():
        action[slot], target[slot] = intent
    return ActionBatch(
        action.data.toreadonly(), target.data.toreadonly(), _forgotten(actions.context, list(chosen))
    )


def _forgotten(context: PolicyContext | None, slots: list[int]) -> PolicyContext | None:
    if context is None:
        return None
    option, goal, commit = (
        np.array(each) for each in (context.option, context.goal, context.commit_remaining)
    )
    option[slots] = goal[slots] = -1
    commit[slots] = 0
    return PolicyContext(option.data.toreadonly(), goal.data.toreadonly(), commit.data.toreadonly())
