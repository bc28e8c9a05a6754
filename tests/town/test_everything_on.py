"""Commands, actions, events and exits by chance, all at once: the rules of domain.md, section 25 hold."""

import numpy as np
import pytest

from tests.town.invariants import Chronicle, Watch, check_invariants
from tests.town.test_invariants import JOBS, ROWS, Chaos, live
from tests.town.towns import agent, build_model
from townlet_adapters.worlds.town.compiled.command_specs import COMMANDS
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.seam.batch import TownBatch
from townlet_adapters.worlds.town.seam.world import TownWorld
from townlet_core.dto.action import ActionBatch
from townlet_core.dto.command import Command, CommandResult

SPECS = ("price_spike", "blackout", "outage", "arranged_meet", "closure", "festival")
TICKS = 10_000
EVENTS = {
    "max_concurrent": 2,
    "global_cooldown_ticks": 3,
    "agent_cooldown_ticks": 9,
    "max_per_window": 100,
    "specs": {name: {"chance": 60, "cooldown": 5, "duration": [1, 30]} for name in SPECS},
}


@pytest.fixture(scope="module")
def everything() -> TownModel:
    """A crowd with all the rules: hunger and debt soon, events often, reviews at once, room for newcomers."""
    return build_model(
        ROWS,
        12,
        jobs=JOBS,
        features={"perturbations": True},
        perturbations=EVENTS,
        needs={"decay": {"hunger": 0.0002, "hygiene": 0.0002, "energy": 0.0002}},
        population={"capacity": 14, "start_wallet": 600, "start_need": 0.5},
        embeddings={"max_slots": 20},
        employment={"max_absent_shifts": 1, "review_ticks": 60, "review_queue_limit": 2, "daily_loss_cap": 3},
        lifecycle={
            "exit_spacing": 60,
            "daily_exit_cap": 20,
            "move_spacing": 60,
            "stay_least": 1,
            "stay_most": 3,
            "founders_stay_least": 1,
        },
    )


class Console:
    """Commands by chance: most could be obeyed, some could not."""

    def __init__(self, world: TownWorld, seed: int) -> None:
        self._world, self._random = world, np.random.default_rng(seed)
        self._state, self._model = world.engine.state, world.engine.model
        self._given = 0

    def commands(self) -> tuple[Command, ...]:
        """Draw none in most ticks, else up to three."""
        many = int(self._random.integers(1, 4)) if self._random.random() < 0.25 else 0
        return tuple(self._command() for _ in range(many))

    def _command(self) -> Command:
        self._given += 1
        name = COMMANDS[int(self._random.integers(len(COMMANDS)))].name
        if name == "kill" and self._random.random() < 0.9:
            name = "spawn"  # who is killed too soon never leaves by the rules
        return Command(name, self._arguments(name), str(self._given), "ada")

    def _somebody(self) -> str:
        """Draw a resident in town, or now and then one who left or never came."""
        lives = self._state.residents["serial"][0][self._state.residents["alive"][0]]
        if not len(lives) or self._random.random() < 0.1:
            return agent(int(self._random.integers(int(self._state.towns["next_serial"][0]) + 2)))
        return agent(int(self._random.choice(lives)))

    def _tile(self) -> list[int]:
        height, width = self._model.tables.passable.shape
        return [int(self._random.integers(-1, width + 1)), int(self._random.integers(-1, height + 1))]

    def _maybe(self, **arguments: object) -> dict[str, object]:
        """Leave out half of what may be left out."""
        return {name: value for name, value in arguments.items() if self._random.random() < 0.5}

    def _arguments(self, name: str) -> dict[str, object]:
        for draw in (self._for_residents, self._for_rules, self._for_events):
            found = draw(name)
            if found is not None:
                return found
        return self._for_pairs(name)

    def _for_residents(self, name: str) -> dict[str, object] | None:
        draw, unit = self._random.integers, self._random.random
        match name:
            case "teleport":
                return {"agent_id": self._somebody(), "position": self._tile()}
            case "set_need":
                return {"agent_id": self._somebody(), "needs": {"hunger": unit(), "energy": unit() * 1.05}}
            case "interrupt":
                return {"agent_id": self._somebody(), **self._maybe(idle=True)}
            case "spawn":
                given = {"position": self._tile(), "wallet": int(draw(3000)), "needs": {"hunger": unit()}}
                return self._maybe(**given, job_id=("clerk", "keeper", "king")[int(draw(3))])
            case "kill":
                return {"agent_id": self._somebody(), **self._maybe(replace=bool(draw(4)))}
        return None

    def _for_rules(self, name: str) -> dict[str, object] | None:
        draw = self._random.integers
        match name:
            case "review":
                return {"agent_id": self._somebody(), "decision": ("approve", "defer")[int(draw(2))]}
            case "toggle_mortality":
                return {"value": bool(draw(4))}
            case "set_exit_cap":
                return {"value": int(draw(-1, 30))}
            case "set_exit_spacing":
                return {"value": int(draw(-1, 400))}
        return None

    def _for_events(self, name: str) -> dict[str, object] | None:
        draw = self._random.integers
        match name:
            case "set_price":
                keys = self._model.price_keys
                return {"key": keys[int(draw(len(keys)))], "mills": int(draw(-5, 500))}
            case "perturb":
                spec = SPECS[int(draw(len(SPECS)))]
                return {"spec": spec, **self._maybe(starts_in=int(draw(20)), duration=int(draw(1, 40)))}
            case "perturb_cancel":
                return {"event_id": f"evt_{int(draw(int(self._state.towns['last_event'][0]) + 2))}"}
        return None

    def _for_pairs(self, name: str) -> dict[str, object]:
        unit = self._random.random
        if name == "force_chat":
            return {"speaker": self._somebody(), "listener": self._somebody()}
        assert name == "set_rel", f"the fuzz has no arguments for the command {name}"
        numbers = {"trust": 2 * unit() - 1, "familiarity": 2 * unit() - 1, "both": unit() < 0.5}
        tie = {"owner": self._somebody(), "other": self._somebody(), "rivalry": unit()}
        return {**tie, **self._maybe(**numbers)}


def obeyed(results: tuple[CommandResult, ...]) -> set[tuple[str, str]]:
    """(command, ok or the code of its error) of each."""
    return {(each.name, each.error.code if each.error else each.status) for each in results}


@pytest.mark.slow
def test_ten_thousand_ticks_of_commands_actions_and_events_keep_every_rule_of_one_town(everything):
    world = TownWorld(everything)
    world.reset(14)
    chaos = Chaos(world.engine, 3, legal=0.95, aimed=0.1, fate=0.0)
    console, watch, chronicle = Console(world, 4), Watch(world.engine), Chronicle()
    answers: set[tuple[str, str]] = set()
    reasons: set[str] = set()
    for tick in range(TICKS):
        actions, targets = chaos.intents()
        commands = console.commands()
        watch.before()
        batch = ActionBatch(actions[0].astype(np.int16).data, targets[0].astype(np.int32).data)
        outcome = world.step(batch, commands)
        watch.after(actions, needs_set=any(each.name == "set_need" for each in commands))
        check_invariants(world.engine)
        chronicle.see(outcome.events, tick)
        answers |= obeyed(outcome.command_results)
        reasons |= {event.reason for event in outcome.events if event.kind == "lifecycle.exit"}
    chronicle.check_end(world.engine, 0)
    assert {name for name, answer in answers if answer == "ok"} == {each.name for each in COMMANDS}
    assert {answer for _, answer in answers} >= {
        "ok", "not_found", "invalid_args", "blocked_tile", "conflict", "busy_target",
    }  # fmt: skip
    assert reasons >= {"collapse", "neglect", "age_out", "killed"}, "the other two take three days of a life"
    assert chronicle.kinds.keys() >= {
        "perturbation.started", "perturbation.ended", "perturbation.cancelled", "economy.price",
        "lifecycle.arrive", "lifecycle.exit", "lifecycle.exit_pending", "social.chat", "social.tie",
        "social.avoidance", "employment.job_loss", "queue.grant", "queue.handover", "affordance.finish",
    }  # fmt: skip


@pytest.mark.slow
def test_a_batch_of_towns_with_everything_on_keeps_every_rule_for_ten_thousand_ticks(everything):
    """Four towns for 2,500 ticks each."""
    batch = TownBatch(everything, 4, journal=True)
    batch.reset(21)
    chaos = Chaos(batch, 5, legal=0.95, aimed=0.1, fate=0.2, wild=0.6)
    for chronicle in live(batch, chaos, TICKS // 4):
        assert chronicle.kinds["lifecycle.exit"] > 10
        assert chronicle.kinds["lifecycle.arrive"] > 10
        assert chronicle.kinds["perturbation.ended"] > 10
    assert (batch.state.towns["next_serial"] > 30).all()
