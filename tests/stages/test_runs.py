"""Stages in runs of the town, from a config: what they do there, and that such runs repeat and resume."""

import re
from pathlib import Path

import pytest

from townlet import open_simulation
from townlet_adapters.composition import Output, RunRequest, open_run
from townlet_core.dto.command import Command
from townlet_core.errors import ConfigError, ContractError, SnapshotError

ROOT = Path(__file__).resolve().parents[2]
HAMLET = {
    "townlet": 1,
    "name": "trial",
    "seed": 7,
    "world": {"use": "town", "options": {"town": "hamlet_24"}},
    "telemetry": {"sinks": []},
}
POSSESSED = HAMLET | {"stages": [{"use": "possession", "options": {"expire_ticks": 40, "idle_ticks": 9}}]}
KINDS = ("policy.possession", "policy.guardrail", "console.result", "affordance.fail", "queue.leave")


class Person:
    """Gives commands to a running hamlet, and keeps what it told."""

    def __init__(self, town):
        self.town, self.told, self.asked = town, [], 0
        for kind in KINDS:
            town.dispatcher.subscribe(kind, self.told.append, name=kind)

    def give(self, name, **args):
        self.asked += 1
        cmd_id = f"{self.town.tick}-{self.asked}"
        ticket = self.town.commands.submit(Command(name, args, cmd_id, "ada"), "admin")
        self.town.step()
        return ticket.result

    def heard(self, kind):
        return [fact.event for fact in self.told if fact.event.kind == kind]

    def column(self, name, slot):
        return self.town.observation.view.columns[name][slot]

    def tile(self, slot):
        return self.town.observation.view.columns["xy"].tolist()[slot]

    def use_of(self, slot):
        """The action with which a resident began its claim."""
        names = self.town.observation.view.constants["affordance_names"]
        return f"use:{names[self.column('claim_affordance', slot)]}"

    def user(self, unwanted="", wanted=""):
        """The slot of the first resident that runs such a use, some ticks from now."""
        for _ in range(2880):
            self.town.step()
            for slot in range(3):
                if self.column("claim_stage", slot) == 3:
                    use = self.use_of(slot)
                    if wanted in use and not (unwanted and unwanted in use):
                        return slot
        raise AssertionError("no resident runs such a use")

    def possess(self, slot, action="acquire"):
        agent_id = self.town.observation.agent_ids[slot]
        return self.give("possess", agent_id=agent_id, action=action)


@pytest.fixture
def person():
    with open_simulation(POSSESSED) as town:
        yield Person(town)


def test_a_use_is_interrupted_when_its_resident_changes_hands_and_given_back(person):
    slot = person.user("sleep")
    token = person.possess(slot).result["token"]
    (fail,) = person.heard("affordance.fail")
    agent_id = person.town.observation.agent_ids[slot]
    assert (fail.agent_id, fail.reason) == (agent_id, "interrupted")
    assert person.column("claim_stage", slot) == 0
    assert person.column("ctx_reset", slot) == 1
    before = person.tile(slot)
    assert person.give("act", token=token, action="wait").status == "ok"
    assert person.tile(slot) == before
    assert person.column("option", slot) == -1


def test_a_person_starts_and_leaves_uses_and_walks_a_resident(person):
    slot = person.user("sleep")
    action = person.use_of(slot)
    thing = person.town.spec.fields[person.column("claim_object", slot)]
    token = person.possess(slot).result["token"]
    assert person.give("act", token=token, action=action, target=thing).status == "ok"
    assert person.column("claim_stage", slot) == 3
    assert person.give("act", token=token, action="leave").status == "ok"
    assert person.column("claim_stage", slot) == 0
    walked = set()
    for step, (x, y) in {"north": (0, -1), "south": (0, 1), "east": (1, 0), "west": (-1, 0)}.items():
        stood = person.tile(slot)
        there = [stood[0] + x, stood[1] + y]
        free = person.town.observation.view.columns["occupants"].tolist()[there[1]][there[0]] == 0
        if person.give("act", token=token, action=f"move_{step}").status == "ok" and free:
            assert person.tile(slot) == there
            walked.add(step)
    assert walked


def test_a_sleeper_is_left_alone(person):
    slot = person.user(wanted="sleep")
    assert person.possess(slot).error.code == "busy_target"
    assert person.heard("policy.possession") == []
    assert person.column("claim_stage", slot) == 3


def test_an_idle_person_costs_no_running_use(person):
    slot = person.user("sleep")
    action, use = person.use_of(slot), int(person.column("claim_affordance", slot))
    assert person.town.observation.view.constants["affordance_duration"][use] > 10
    token = person.possess(slot).result["token"]
    assert person.give("act", token=token, action=action).status == "ok"
    person.town.run_for(10)
    assert person.column("claim_stage", slot) == 3


def act(loop, ticks):
    """What a person does in each tick depends on the tick and on what everybody sees."""
    while loop.tick < ticks:
        tick = loop.tick
        if tick % 50 == 3:
            give(loop, "possess", agent_id=loop.observation.agent_ids[tick // 50 % 3], action="acquire")
        if tick % 50 in {5, 6, 20}:
            held = tick // 50 % 3
            agent_id = loop.observation.agent_ids[held]
            mask = loop.observation.mask.tolist()[held]
            action = max(number for number, allowed in enumerate(mask) if allowed)
            for number in range(1, 8):
                token = f"{agent_id}.{number}"
                give(loop, "act", token=token, action=loop.spec.action_names[action])
        if tick % 100 == 30:
            give(loop, "possess", agent_id=loop.observation.agent_ids[tick // 50 % 3], action="release")
        loop.step()


def give(loop, name, **args):
    cmd_id = f"{loop.tick}-{name}-{args.get('token', '')}"
    loop.commands.submit(Command(name, args, cmd_id, "ada"), "admin")


def test_a_run_with_a_person_repeats_and_is_resumed_exactly(tmp_path):
    with open_run(RunRequest(POSSESSED, output=Output(keep=True, path=tmp_path / "whole"))) as run:
        act(run.loop, 320)
        whole = run.loop.digest
    with open_run(RunRequest(POSSESSED, output=Output(keep=True, path=tmp_path / "cut"))) as run:
        act(run.loop, 107)
        give(run.loop, "possess", agent_id=run.loop.observation.agent_ids[0], action="acquire")
        first = run.loop.digest
        run.save_snapshot()
    with open_run(RunRequest(POSSESSED, digest=True)) as run:
        act(run.loop, 107)
        assert run.loop.digest == first
    for cut in (4, 5, 21, 104, 160, 250):
        with open_run(RunRequest(POSSESSED, output=Output(keep=True, path=tmp_path / f"at-{cut}"))) as run:
            act(run.loop, cut)
            path = run.save_snapshot()
        with open_run(RunRequest(resume=path, digest=True)) as run:
            act(run.loop, 320)
            assert run.loop.digest == whole


TOUCHY = {"tolerance": 0.1, "weight": 1.0}
CROWDED = {"target": 8, "capacity": 8}
CONTENT = {"decay": {"hunger": 0.0001, "hygiene": 0.0001, "energy": 0.0001}}
QUARRELSOME = HAMLET | {
    "world": {
        "use": "town",
        "options": {
            "town": "hamlet_24",
            "population": CROWDED,
            "needs": CONTENT,
            "economy": {"balance_check": "off"},
            "vocabulary": {
                "extend": "town",
                "remove": {"profiles": ["balanced", "industrious", "socialite", "stoic"]},
                "profiles": {"touchy": TOUCHY},
            },
        },
    },
    "policy": {"use": "random"},
}


def meetings(stages, ticks=8000):
    """How often who avoids another joined a queue where the other was; and what guardrails prevented."""
    joined = []
    with open_simulation(QUARRELSOME | {"stages": stages}) as town:
        person = Person(town)
        town.dispatcher.subscribe("queue.join", person.told.append, name="joins")
        for _ in range(ticks):
            seen = town.observation
            columns = {name: seen.view.columns[name].tolist() for name in READ}
            began = len(person.told)
            town.step()
            for event in (fact.event for fact in person.told[began:] if fact.event.kind == "queue.join"):
                slot = seen.agent_ids.index(event.agent_id)
                there = {columns["claim_object"][other] for other in rivals(columns, slot)}
                if town.spec.fields.index(event.object_id) in there and min(columns["needs"][slot]) >= 0.15:
                    joined.append(event)
        return len(joined), person.heard("policy.guardrail")


READ = ("tie_other", "tie_avoided", "claim_object", "needs")


def rivals(columns, slot):
    pairs = zip(columns["tie_other"][slot], columns["tie_avoided"][slot], strict=True)
    return [other for other, avoided in pairs if avoided]


def test_no_resident_joins_another_that_it_avoids_under_guardrails():
    joined, told = meetings([])
    assert joined
    assert told == []
    joined, told = meetings(["guardrail"])
    assert joined == 0
    assert {event.reason for event in told} == {"queue_rival"}


def test_a_run_under_guardrails_repeats_and_is_resumed_exactly(tmp_path):
    config = QUARRELSOME | {"stages": ["guardrail", "possession"]}
    digests = set()
    for stages in (config["stages"], config["stages"], []):
        with open_run(RunRequest(config | {"stages": stages}, digest=True)) as run:
            run.loop.run_for(1500)
            digests.add(run.loop.digest)
    assert len(digests) == 2
    with open_run(RunRequest(config, output=Output(keep=True, path=tmp_path / "cut"))) as run:
        run.loop.run_for(900)
        path = run.save_snapshot()
    with open_run(RunRequest(resume=path, digest=True)) as run:
        run.loop.run_for(600)
        assert run.loop.digest in digests


def test_stages_are_part_of_the_simulation_and_a_run_is_resumed_with_the_same_ones(tmp_path):
    with open_run(RunRequest(POSSESSED, output=Output(keep=True, path=tmp_path / "run"))) as run:
        run.loop.run_for(3)
        path = run.save_snapshot()
        shown = run.config.shown["stages"]
    assert shown == [{"use": "possession", "options": {"expire_ticks": 40, "idle_ticks": 9}}]
    with open_run(RunRequest(HAMLET)) as run:
        assert run.config.shown["stages"] == []
    with pytest.raises(SnapshotError, match="stages differs"), open_run(RunRequest(HAMLET, resume=path)):
        pass


def test_mistakes_in_the_stages_of_a_config_are_named():
    wrong = {
        r"stages\[0\]\.use: unknown stage 'guardrails'; did you mean 'guardrail'": ["guardrails"],
        r"stages\[0\]\.options\.expire: unknown key; did you mean 'expire_ticks'": [
            {"use": "possession", "options": {"expire": 3}}
        ],
        r"stages\[0\]\.options\.expire_ticks: 0; a whole number from 1 up to 100000": [
            {"use": "possession", "options": {"expire_ticks": 0}}
        ],
    }
    for complaint, stages in wrong.items():
        with pytest.raises(ConfigError, match=complaint), open_run(RunRequest(HAMLET | {"stages": stages})):
            pass
    twice = RunRequest(HAMLET | {"stages": ["possession", "possession"]})
    with pytest.raises(ContractError, match="stage names must be unique"), open_run(twice):
        pass


def test_the_code_of_the_guide_runs(monkeypatch, capsys):
    page = (ROOT / "docs" / "guides" / "stages.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(ROOT)
    exec(compile(code, "stages.md", "exec"), {"__name__": "guide"})  # noqa: S102 - our own page
    assert "name='act', status='ok'" in capsys.readouterr().out
