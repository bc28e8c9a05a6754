"""A person acts for an agent: who may, for how long, and what the run records of it."""

from array import array
from dataclasses import replace

import pytest

from townlet_adapters.stages.options import PossessionOptions
from townlet_adapters.stages.possession import PossessionStage
from townlet_core.dispatch import EventDispatcher, SinkRoute
from townlet_core.dto.command import Argument, Command, CommandSpec
from townlet_core.dto.command_hook import LONGEST_REFUSAL
from townlet_core.dto.observation import View
from townlet_core.errors import ConfigError, SnapshotError
from townlet_core.events.base import Fact
from townlet_core.loop import RunIdentity, SimulationLoop
from townlet_core.testing import CollectingSink, FakePolicy, FakeWorld, check_stage
from townlet_core.testing.fakes import readonly

RUN = RunIdentity(seed=7)
FIRST, SECOND = "agent_0.1", "agent_0.2"
STOP = CommandSpec(
    "interrupt",
    "admin",
    "Ends what an agent is at.",
    (Argument("agent_id", "text"), Argument("idle", "bool", required=False)),
)


class Village(FakeWorld):
    """A fake world that can be asked to interrupt an agent, and keeps what it executed."""

    def __init__(self, agents=3, **options):
        super().__init__(agents, **options)
        self._spec = replace(self._spec, commands=(*self._spec.commands, STOP))
        self.executed, self.targets, self.contexts, self.orders = [], [], [], []

    def step(self, actions, commands=()):
        self.executed.append(actions.action.tolist())
        self.targets.append(actions.target.tolist())
        self.contexts.append(
            actions.context
            and [
                each.tolist()
                for each in (actions.context.option, actions.context.goal, actions.context.commit_remaining)
            ]
        )
        stops = [each for each in commands if each.name == "interrupt"]
        tick = self._state.tick
        self.orders += [(tick, each.args["agent_id"], each.args.get("idle", False)) for each in stops]
        outcome = super().step(actions, [each for each in commands if each.name != "interrupt"])
        answers = iter(outcome.command_results)
        results = tuple(each.done(tick) if each.name == "interrupt" else next(answers) for each in commands)
        return replace(outcome, command_results=results)


class Run:
    """A loop over a village with possession, and commands to it."""

    def __init__(self, agents=3, world=None, **options):
        self.world = world or Village(agents)
        self.sink = CollectingSink()
        self.stage = PossessionStage(PossessionOptions(**options))
        self.loop = SimulationLoop(
            self.world,
            FakePolicy(),
            RUN,
            dispatcher=EventDispatcher([SinkRoute("sink", self.sink)]),
            stages=[self.stage],
            digest=True,
        )
        self.loop.begin()
        self.asked = (0, 0)

    def give(self, name, issuer="ada", **args):
        """Give a command in the coming tick; returns its ticket."""
        tick, number = self.asked
        self.asked = self.loop.tick, number + 1 if tick == self.loop.tick else 1
        cmd_id = "{}-{}".format(*self.asked)
        return self.loop.commands.submit(Command(name, args, cmd_id, issuer), "admin")

    def ask(self, name, issuer="ada", **args):
        """Give a command, and execute the tick; returns its result."""
        ticket = self.give(name, issuer, **args)
        self.loop.step()
        return ticket.result

    def acquire(self, agent=0, issuer="ada"):
        return self.ask("possess", issuer, agent_id=f"agent_{agent}", action="acquire").result["token"]

    def code(self, name, issuer="ada", **args):
        return self.ask(name, issuer, **args).error.code

    @property
    def told(self):
        events = [(m.tick, m.event) for m in self.sink.messages if isinstance(m, Fact)]
        return [
            (tick, event.agent_id, event.action, event.issuer)
            for tick, event in events
            if event.kind == "policy.possession"
        ]

    def allowed(self, slot):
        """The number of an action but to wait that the mask of the coming tick allows."""
        row = [action for action in range(1, 4) if self.loop.observation.mask[slot, action]]
        return row[0] if row else None


def name_of(action):
    return FakeWorld().spec.action_names[action]


def test_a_possessed_agent_waits_and_its_policy_forgets_it_while_the_others_live_on():
    run, plain = Run(), Village()
    alone = SimulationLoop(plain, FakePolicy(), RUN)
    run.give("possess", agent_id="agent_1", action="acquire")
    for _ in range(12):
        run.loop.step()
        alone.step()
    assert [row[1] for row in run.world.executed] == [0] * 12
    assert [row[1] for row in run.world.targets] == [-1] * 12
    assert {tuple(each[1] for each in context) for context in run.world.contexts} == {(-1, -1, 0)}
    assert any(row[1] for row in plain.executed)
    for slot in (0, 2):
        assert [row[slot] for row in run.world.executed] == [row[slot] for row in plain.executed]
        assert [[each[slot] for each in row] for row in run.world.contexts] == [
            [each[slot] for each in row] for row in plain.contexts
        ]
    assert run.told == [(0, "agent_1", "acquire", "ada")]
    assert run.world.orders == [(0, "agent_1", False)]


def test_an_act_is_what_the_agent_does_in_that_tick_and_only_then():
    run = Run()
    token = run.acquire(2)
    for _ in range(9):
        action = run.allowed(2)
        if action is not None:
            result = run.ask("act", token=token, action=name_of(action), target="agent_1")
            assert (result.status, result.result) == ("ok", {})
            assert (run.world.executed[-1][2], run.world.targets[-1][2]) == (action, 1)
        run.loop.step()
        assert (run.world.executed[-1][2], run.world.targets[-1][2]) == (0, -1)
    assert any(row[2] for row in run.world.executed)


def test_without_a_target_the_world_chooses_and_the_fields_of_objects_name_them():
    run = Run()
    token = run.acquire(0)
    run.ask("act", token=token, action="wait")
    assert run.world.targets[-1][0] == -1
    run.ask("act", token=token, action="wait", target="fire")
    assert run.world.targets[-1][0] == FakeWorld().spec.fields.index("fire")


def test_a_released_agent_waits_once_more_and_then_follows_its_policy():
    run = Run()
    run.acquire(0)
    run.loop.run_for(3)
    released = run.ask("possess", "ben", agent_id="agent_0", action="release")
    assert (released.status, released.result) == ("ok", {})
    assert run.world.executed[-1][0] == 0
    run.loop.run_for(6)
    assert any(row[0] for row in run.world.executed[-6:])
    assert run.told == [(0, "agent_0", "acquire", "ada"), (4, "agent_0", "release", "ben")]
    assert run.world.orders == [(0, "agent_0", False), (4, "agent_0", False)]


def test_without_input_a_possession_expires_and_each_input_prolongs_it():
    run = Run(expire_ticks=10, idle_ticks=4)
    token = run.acquire(0)
    run.loop.run_for(8)
    assert run.ask("act", token=token, action="wait").tick == 9
    run.loop.run_for(12)
    assert run.told == [(0, "agent_0", "acquire", "ada"), (19, "agent_0", "expire", "ada")]
    # Idle at 4 ticks after the acquisition and after the act; the other two change who acts.
    assert run.world.orders == [
        (0, "agent_0", False), (4, "agent_0", True), (13, "agent_0", True), (19, "agent_0", False),
    ]  # fmt: skip
    assert run.code("act", token=token, action="wait") == "not_found"


def test_a_refused_act_is_no_input():
    run = Run(expire_ticks=5)
    token = run.acquire(0)
    for _ in range(4):
        assert run.code("act", token=token, action="fly") == "invalid_args"
    run.loop.run_for(1)
    assert run.told[-1] == (5, "agent_0", "expire", "ada")


def test_two_persons_cannot_hold_one_agent_but_one_person_two_agents():
    run = Run()
    first = run.acquire(0)
    assert run.code("possess", "ben", agent_id="agent_0", action="acquire") == "already_possessed"
    second = run.acquire(1)
    assert (first, second) == ("agent_0.1", "agent_1.2")
    # Whoever takes over gets a token of their own; that of the one before is not valid any more.
    run.ask("possess", "ben", agent_id="agent_0", action="release")
    third = run.acquire(0, "ben")
    assert third == "agent_0.3"
    assert run.code("act", token=first, action="wait") == "not_found"
    assert run.ask("act", "ben", token=third, action="wait").status == "ok"
    assert run.ask("act", token=second, action="wait").status == "ok"


def test_two_persons_at_once_are_answered_one_after_the_other():
    run = Run()
    tickets = [
        run.give("possess", issuer, agent_id="agent_0", action=action)
        for issuer, action in (
            ("ada", "acquire"), ("ben", "acquire"), ("ben", "release"), ("ben", "acquire"),
        )
    ]  # fmt: skip
    late = run.give("act", "ben", token=SECOND, action="wait")
    stale = run.give("act", "ada", token=FIRST, action="wait")
    run.loop.step()
    codes = [ticket.result.error and ticket.result.error.code for ticket in tickets]
    assert codes == [None, "already_possessed", None, None]
    assert (late.result.status, stale.result.error.code) == ("ok", "not_found")
    assert [each[2:] for each in run.told] == [("acquire", "ada"), ("release", "ben"), ("acquire", "ben")]


def test_an_agent_acts_once_in_a_tick():
    run = Run()
    token = run.acquire(0)
    first, second = (run.give("act", token=token, action="wait") for _ in range(2))
    run.loop.step()
    assert (first.result.status, second.result.error.code) == ("ok", "rate_limited")
    assert run.ask("act", token=token, action="wait").status == "ok"


def test_an_act_that_is_released_in_the_same_tick_is_not_done():
    run = Run()
    token = run.acquire(0)
    action = None
    while action is None:
        run.loop.step()
        action = run.allowed(0)
    run.give("act", token=token, action=name_of(action))
    run.ask("possess", agent_id="agent_0", action="release")
    assert run.world.executed[-1][0] == 0


@pytest.mark.parametrize(
    ("name", "args", "code"),
    [
        ("possess", {"agent_id": "agent_9", "action": "acquire"}, "not_found"),
        ("possess", {"agent_id": "", "action": "acquire"}, "not_found"),
        ("possess", {"agent_id": "agent_0", "action": "steal"}, "invalid_args"),
        ("possess", {"agent_id": "agent_1", "action": "release"}, "not_found"),
        ("act", {"token": SECOND, "action": "wait"}, "not_found"),
        ("act", {"token": "", "action": "wait"}, "not_found"),
        ("act", {"token": FIRST, "action": "a" * 1000}, "invalid_args"),
        ("act", {"token": FIRST, "action": "wait", "target": "b" * 1000}, "not_found"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_code_and_changes_nothing(name, args, code):
    run, plain = Run(), Run()
    for each in (run, plain):
        each.acquire(0)
    result = run.ask(name, **args)
    plain.loop.step()
    assert (result.error.code, result.result) == (code, {})
    assert 0 < len(result.error.message) <= LONGEST_REFUSAL
    assert run.stage.export_state() == plain.stage.export_state()
    assert run.world.executed == plain.world.executed


def test_what_the_mask_forbids_is_refused():
    run = Run()
    token = run.acquire(0)
    forbidden = None
    while forbidden is None:
        run.loop.step()
        row = [action for action in range(1, 4) if not run.loop.observation.mask[0, action]]
        forbidden = row[0] if row else None
    assert run.code("act", token=token, action=name_of(forbidden)) == "conflict"


def test_viewers_possess_nobody():
    run = Run()
    asked = Command("possess", {"agent_id": "agent_0", "action": "acquire"}, "1", "ada")
    assert run.loop.commands.submit(asked, "viewer").result.error.code == "forbidden"
    acting = Command("act", {"token": FIRST, "action": "wait"}, "2", "ada")
    assert run.loop.commands.submit(acting, "viewer").result.error.code == "forbidden"


def test_the_possession_of_an_agent_that_left_ends_and_no_order_is_given_for_it():
    run = Run(world=Village(2, empty_from=4))
    token = run.acquire(0)
    for _ in range(4):
        run.loop.step()
    assert run.code("act", token=token, action="wait") == "not_found"
    assert run.told == [(0, "agent_0", "acquire", "ada"), (5, "agent_0", "expire", "ada")]
    assert run.world.orders == [(0, "agent_0", False)]
    assert run.code("act", token=token, action="wait") == "not_found"
    assert run.code("possess", agent_id="agent_0", action="acquire") == "not_found"


class Sleepers(Village):
    """Agents that run a use in odd ticks; agent 0 sleeps."""

    def _observe(self):
        seen = super()._observe()
        stage = 3 if seen.tick % 2 else 2
        columns = {
            "claim_stage": readonly(array("b", [stage] * 3), 3),
            "claim_affordance": readonly(array("i", [1, 0, 1]), 3),
        }
        return replace(seen, view=View({"affordance_names": ("sit", "sleep_long")}, columns))


def test_a_sleeper_cannot_be_taken_over():
    run = Run(world=Sleepers())
    run.loop.step()
    assert run.code("possess", agent_id="agent_0", action="acquire") == "busy_target"
    # It only holds the bed in even ticks, and agent 1 does not sleep.
    assert run.acquire(0) == "agent_0.1"
    assert run.acquire(1) == "agent_1.2"


def test_a_world_without_the_command_interrupt_is_not_asked_for_it():
    run = Run(world=FakeWorld(3))
    token = run.acquire(0)
    assert run.ask("act", token=token, action="wait").status == "ok"


def test_a_world_in_which_nobody_can_wait_is_refused():
    class Restless(FakeWorld):
        def __init__(self):
            super().__init__(3)
            self._spec = replace(self._spec, action_names=("stay", *self._spec.action_names[1:]))

    with pytest.raises(ConfigError, match="'possession' cannot work in the world 'fake': it has no action"):
        Run(world=Restless())


def script(run, ticks):
    """A person who takes over, acts now and then, is silent, and another who takes the agent away."""
    for _ in range(ticks):
        tick = run.loop.tick
        if tick == 2:
            run.give("possess", agent_id="agent_0", action="acquire")
        if tick in {4, 5, 7, 26}:
            run.give("act", token=FIRST, action="wait" if tick % 2 else "sip")
        if tick == 9:
            run.give("possess", "ben", agent_id="agent_2", action="acquire")
        if tick == 11:
            run.give("possess", "ben", agent_id="agent_2", action="release")
        if tick == 21:
            run.give("possess", "ben", agent_id="agent_0", action="acquire")
        run.loop.step()


def test_a_run_with_possessions_is_resumed_at_any_cut():
    whole = Run(expire_ticks=10, idle_ticks=3)
    script(whole, 36)
    assert [each[2] for each in whole.told] == [
        "acquire", "acquire", "release", "expire", "acquire", "expire",
    ]  # fmt: skip
    for cut in range(1, 36):
        first, heir = (Run(expire_ticks=10, idle_ticks=3) for _ in range(2))
        script(first, cut)
        heir.loop.restore(first.loop.snapshot())
        script(heir, 36 - cut)
        assert heir.loop.digest == whole.loop.digest


@pytest.mark.parametrize(
    "state",
    [
        None,
        {},
        {"acquired": 0, "held": {"agent_0": {"token": FIRST, "issuer": "a", "last_input": 0}}},
        {
            "acquired": 2,
            "held": {
                name: {"token": FIRST, "issuer": "a", "last_input": 0} for name in ("agent_0", "agent_1")
            },
        },
        {"acquired": 1, "held": {"agent_0": {"token": 1, "issuer": "a", "last_input": 0}}},
    ],
)
def test_a_damaged_state_is_refused_and_changes_nothing(state):
    run = Run()
    run.acquire(1)
    before = run.stage.export_state()
    with pytest.raises(SnapshotError, match="the state of 'possession'"):
        run.stage.import_state(state)
    assert run.stage.export_state() == before


def possess(tick, agent, action="acquire"):
    return Command("possess", {"agent_id": f"agent_{agent}", "action": action}, str(tick), "ada")


def test_the_stage_keeps_the_contract():
    requests = {
        0: (possess(0, 0), possess(0, 1)),
        1: (Command("act", {"token": FIRST, "action": "sip"}, "a", "ada"),),
        9: (possess(9, 0, "release"), possess(9, 0)),
        30: (Command("act", {"token": "agent_0.3", "action": "wait"}, "b", "ada"),),
        33: (possess(33, 2),),
    }
    check_stage(
        lambda: PossessionStage(PossessionOptions(expire_ticks=20, idle_ticks=5)),
        lambda: Village(3),
        requests=requests,
    )


def test_without_any_possession_the_batch_of_the_policy_is_passed_on_as_it_is():
    stage, world, policy = PossessionStage(PossessionOptions()), Village(), FakePolicy()
    for part in (stage, policy):
        part.begin(world.spec, 1)
    observation = world.reset(1)
    decision = policy.decide(observation)
    actions, events = stage.apply(observation, decision)
    assert actions is decision.actions
    assert events == ()
