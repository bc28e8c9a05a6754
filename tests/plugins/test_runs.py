"""What plugins bring takes part in a run like what is ours; who is not let in changes nothing."""

import gzip
import hashlib
import json
import logging

import pytest

from tests.plugins.conftest import digest_of, pin
from tests.plugins.wheels import SINK, Package
from townlet_adapters.composition import Output, RunRequest, open_run
from townlet_adapters.config.source import parse_override
from townlet_adapters.documents import read_document
from townlet_adapters.running import open_simulation
from townlet_adapters.worlds.town.inputs.shipped import shipped_file
from townlet_core.dto.command import Command
from townlet_core.errors import ConfigError, PluginError, SnapshotError
from townlet_core.events.health import PluginCounts
from townlet_core.jsonvalue import canonical_json

SHOP = """\
from dataclasses import dataclass, replace
from typing import ClassVar
from pydantic import BaseModel
from townlet_core.events.base import Event
from townlet_core.testing.fakes import CollectingSink, FakePolicy, FakeWorld
from townlet_plugins import hookimpl
from townlet_plugins.factory import Factory

@dataclass(frozen=True, slots=True)
class SoldOut(Event):
    '''The last loaf was sold.'''
    kind: ClassVar[str] = "bakery.sold_out"
    baker: str
    loaves: int

@dataclass(frozen=True, slots=True)
class Counted(Event):
    '''Somebody counted what happened.'''
    kind: ClassVar[str] = "bakery.counted"
    events: int

class Options(BaseModel, extra="forbid"):
    bakers: int = 2

class Bakery(FakeWorld):
    def step(self, actions, commands=()):
        outcome = super().step(actions, commands)
        return replace(outcome, events=(SoldOut("agent_0", 3),))

class Watcher:
    name = "watcher"
    def begin(self, spec):
        self.seen = 0
    def observe(self, outcome, tick):
        self.seen += len(outcome.events)
        return (Counted(self.seen),)
    def kpis(self):
        return {"seen": self.seen}

@hookimpl
def townlet_worlds():
    return (Factory("bakery", Options, lambda options, context: Bakery(options.bakers), "a bakery"),)

@hookimpl
def townlet_policies():
    return (Factory("bakers", Options, lambda options, context: FakePolicy(), "bakers"),)

@hookimpl
def townlet_observers():
    return (Factory("watcher", Options, lambda options, context: Watcher(), "watches"),)

@hookimpl
def townlet_events():
    return (SoldOut, Counted)
"""

CONFIG = {
    "townlet": 1,
    "name": "trial",
    "seed": 7,
    "world": {"use": "bakery", "options": {"bakers": 3}},
    "policy": {"use": "bakers"},
    "observers": {"extra": [{"use": "watcher"}]},
}
TOWN = {"townlet": 1, "name": "trial", "seed": 7, "world": {"use": "town", "options": {"town": "hamlet_24"}}}


@pytest.fixture
def shop(package, site):
    """A package that brings a world, who lives there, who watches, and kinds of events."""
    package.source = SHOP
    return package.install(site)


def allowing(permit, config=CONFIG):
    entry = {"distribution": permit.distribution, "entry_point": permit.entry_point}
    if permit.content_sha256 is not None:
        entry |= {"version": permit.version, "content_sha256": permit.content_sha256}
    return config | {"plugins": {"allow": [entry], "require_pins": permit.content_sha256 is not None}}


def lines(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "events.ndjson").read_text().splitlines()]


def kept(config, folder, *overrides, ticks=5):
    """Live a few ticks with a run folder."""
    changes = tuple(map(parse_override, overrides))
    with open_run(RunRequest(config, output=Output(keep=True, path=folder), overrides=changes)) as run:
        summary = run.loop.run_for(ticks)
        run.drain()
    return summary


def test_a_world_names_the_observer_of_its_key_figures(package, site, tmp_path):
    package.source = SHOP.replace('"a bakery")', '"a bakery", kpis="watcher")')
    config = allowing(pin(package.install(site)), CONFIG | {"observers": {"kpis": {"bakers": 4}}})
    assert kept(config, tmp_path / "run").kpis == {"seen": 5}
    with pytest.raises(ConfigError, match=r"observers\.kpis\.loaves: unknown key"):
        kept(config, tmp_path / "other", "observers.kpis.loaves=3")


HELD = """\
@dataclass(frozen=True, slots=True)
class Held(Event):
    '''An agent was made to wait.'''
    kind: ClassVar[str] = "bakery.held"
    agent: str
    stage: str

"""
STAGE = """\
from townlet_core.testing.fakes import FakeStage as Base

class FakeStage(Base):
    def apply(self, observation, decision):
        actions, events = super().apply(observation, decision)
        return actions, tuple(Held(each.agent_id, each.stage) for each in events)

class Turns(BaseModel, extra="forbid"):
    name: str = "turns"

@hookimpl
def townlet_stages():
    return (Factory("turns", Turns, lambda options, context: FakeStage(options.name), "lets agents wait"),)
"""


def test_a_stage_of_a_plugin_stands_between_policy_and_world(package, site, tmp_path):
    shop = SHOP.replace("return (SoldOut, Counted)", "return (SoldOut, Counted, Held)")
    package.source = shop.replace("class Options(", HELD + "class Options(", 1) + STAGE
    permit = pin(package.install(site))
    config = allowing(permit, CONFIG | {"stages": ["turns", {"use": "turns", "options": {"name": "again"}}]})
    plain = kept(allowing(permit), tmp_path / "plain", ticks=20)
    staged = kept(config, tmp_path / "run", ticks=20)
    assert staged.digest != plain.digest
    # The second stage has the same turns, and finds that the first has made its agent wait already.
    held = [line["data"] for line in lines(tmp_path / "run") if line["type"] == "townlet.bakery.held"]
    assert {each["stage"] for each in held} == {"turns"}
    with open_run(RunRequest(config, resume=tmp_path / "run", output=Output(keep=False))) as resumed:
        resumed.loop.run_for(5)
    with pytest.raises(
        ConfigError, match=r"stages\[0\]\.use: unknown stage 'guard'; .*known: guardrail, possession, turns"
    ):
        kept(allowing(permit, CONFIG | {"stages": ["guard"]}), tmp_path / "other")
    with pytest.raises(ConfigError, match=r"stages\[0\]\.options\.nam: unknown key; did you mean 'name'"):
        kept(
            allowing(permit, CONFIG | {"stages": [{"use": "turns", "options": {"nam": "x"}}]}),
            tmp_path / "third",
        )


def test_options_for_key_figures_that_a_world_does_not_have_are_refused(shop, tmp_path):
    with pytest.raises(ConfigError, match="the world 'bakery' has no key figures of its own"):
        kept(allowing(pin(shop)), tmp_path / "run", "observers.kpis.bakers=4")


def test_a_pinned_world_policy_and_observer_live_and_tell_kinds_of_their_own(shop, tmp_path):
    summary = kept(allowing(pin(shop)), tmp_path / "run")
    assert summary.events_by_kind["bakery.sold_out"] == summary.events_by_kind["bakery.counted"] == 5
    assert summary.kpis["seen"] > 0
    told = [line for line in lines(tmp_path / "run") if line["type"] == "townlet.bakery.sold_out"]
    assert [line["data"] for line in told] == [{"baker": "agent_0", "loaves": 3}] * 5
    assert all("seq" in line for line in told)
    identity = json.loads((tmp_path / "run/run.json").read_text())
    rows = [row for row in identity["plugins"] if row["distribution"] == "townlet-bakery"]
    assert {row["kind"] for row in rows} == {"world", "policy", "observer", "event"}
    assert {(row["version"], row["entry_point"], row["content_sha256"]) for row in rows} == {
        ("1.0", "bakery", digest_of(shop))
    }
    assert identity["config"]["plugins"]["allow"][0]["content_sha256"] == digest_of(shop)


def test_a_plugins_facts_are_in_the_digest(shop):
    digests = set()
    for extra in ([], [{"use": "watcher"}]):
        config = allowing(shop.package.permit) | {"observers": {"extra": extra}}
        for _ in range(2):
            with open_simulation(config, digest=True) as simulation:
                digests.add(simulation.run_for(5).digest)
    assert len(digests) == 2


def test_transforms_know_a_plugins_kinds(shop, tmp_path):
    redact = "{use: redact, fields: [loaves], kinds: [bakery.sold_out]}"
    transforms = f"telemetry.sinks=[{{use: file, transforms: [{redact}, {{use: validate}}]}}]"
    kept(allowing(shop.package.permit), tmp_path / "run", transforms)
    told = [line for line in lines(tmp_path / "run") if line["type"] == "townlet.bakery.sold_out"]
    assert {line["data"]["loaves"] for line in told} == {0}
    with pytest.raises(
        ConfigError, match=r"kinds\[0\]: unknown kind 'bakery.sold_oud'; did you mean 'bakery.sold_out'"
    ):
        kept(allowing(shop.package.permit), tmp_path / "b", transforms.replace("sold_out", "sold_oud"))


def test_events_of_a_plugin_have_its_name(package, site):
    for wrong, why in [
        ('"other.sold_out"', "must be called 'bakery.<name>'"),
        ('"bakery.Sold"', "must be called 'bakery.<name>'"),
        ('"bakery.counted"', "claimed twice"),
        ('"bakery.sold_out"\n    loaf: set[int]', "an event field cannot be typed"),
    ]:
        trial = Package(package.canary, source=SHOP.replace('"bakery.sold_out"', wrong))
        trial.install(site)
        with pytest.raises(PluginError, match=why), open_simulation(allowing(trial.permit)):
            pass
        (site / trial.info).rename(site.parent / trial.module)


def test_a_plugins_run_goes_on_from_its_snapshot_if_the_config_lets_it_in_again(shop, tmp_path):
    config = allowing(shop.package.permit)
    config["observers"] = {"extra": []}
    whole = kept(config, tmp_path / "whole", ticks=20)
    kept(config, tmp_path / "first", "runner.snapshot_every=10", ticks=10)
    request = RunRequest(
        config, resume=tmp_path / "first", output=Output(keep=True, path=tmp_path / "second")
    )
    with open_run(request) as run:
        assert run.loop.run_for(10).digest == whole.digest
    with (
        pytest.raises(PluginError, match=r"snapshot-10.json.gz: world.use: .*add below plugins.allow"),
        open_run(RunRequest(resume=tmp_path / "first")),
    ):
        pass


@pytest.mark.parametrize(
    "forged",
    [
        {"plugins": {"hooks": [], "allow": [{"distribution": "townlet-bakery", "entry_point": "bakery"}]}},
        {"plugins": {"require_pins": False}},
        {"telemetry": {"sinks": [{"use": "file", "options": {"path": "anywhere.ndjson"}}]}},
        {"runner": {"snapshot_every": 1}},
    ],
    ids=["allow", "no pins", "telemetry", "runner"],
)
def test_a_snapshot_says_what_happens_in_town_and_never_who_may_come_in(
    townlet, package, site, tmp_path, forged
):
    kept(TOWN, tmp_path / "first", "runner.snapshot_every=2", ticks=2)
    package.install(site)
    (path,) = (tmp_path / "first/snapshots").iterdir()
    document = json.loads(gzip.decompress(path.read_bytes()))
    document["simulation"] |= forged
    # A forger makes the digests fit.
    document["sim_digest"] = hashlib.sha256(canonical_json(document["simulation"])).hexdigest()
    path.write_bytes(gzip.compress(json.dumps(document).encode()))
    code, out, err = townlet("run", "--ticks", "1", "--no-out", "--quiet", "--resume", str(path))
    assert (code, out) == (2, "")
    assert (
        "its sections hold more than the world, the policy, the observers and the seed (snapshot_corrupt)"
        in err
    )
    assert not package.canary.exists()
    assert not (tmp_path / "anywhere.ndjson").exists()


def test_who_is_not_let_in_is_told_and_changes_nothing(package, site, tmp_path, caplog):
    alone = kept(TOWN, tmp_path / "alone")
    package.install(site)
    Package(package.canary, distribution="b\u00e4cker").install(site)
    with caplog.at_level(logging.WARNING):
        beside = kept(TOWN, tmp_path / "beside")
    assert beside.digest == alone.digest
    assert not package.canary.exists()
    told = [line for line in lines(tmp_path / "beside") if line["type"] == "townlet.plugin.refused"]
    assert [(line["tick"], "seq" in line) for line in told] == [(0, False)] * 2
    bakery = {
        "distribution": "townlet-bakery",
        "version": "1.0",
        "entry_point": "bakery",
        "reason": "not allowed",
        "allow_line": '- {distribution: townlet-bakery, entry_point: bakery, version: "1.0"}',
    }
    assert bakery in [line["data"] for line in told]
    logged = [record.getMessage() for record in caplog.records if "townlet-bakery" in record.getMessage()]
    assert len(logged) == 1
    assert bakery["allow_line"] in logged[0]
    with open_run(RunRequest(TOWN)) as run:
        reports = []
        run.loop.dispatcher.subscribe("loop.health", reports.append, name="reports")
        run.loop.run_for(60)
    assert reports[-1].event.plugins == PluginCounts(allowed=0, refused=1, broken=1)


def test_a_plugin_that_the_config_lets_in_but_does_not_use_changes_nothing(package, site, tmp_path):
    package.source = SINK
    alone = kept(TOWN, tmp_path / "alone")
    installed = package.install(site)
    assert kept(allowing(pin(installed), TOWN), tmp_path / "beside").digest == alone.digest
    assert package.canary.exists()


def test_a_third_partys_sink_takes_the_messages(installed):
    name = installed.package.module
    config = allowing(pin(installed), TOWN) | {
        "telemetry": {"sinks": [{"use": name, "options": {"label": "x"}}]}
    }
    with open_run(RunRequest(config)) as run:
        run.loop.run_for(3)
        (status,) = run.drain()
        facts = [message for message in run.routes[0].sink.messages if hasattr(message, "seq")]
    assert status.delivered >= len(facts) > 3


def test_a_third_partys_sink_that_cannot_start_ends_the_run_by_name(package, site):
    package.source = SINK.replace("CollectingSink(NAME)", "Closed(NAME)").replace(
        "def build(",
        "class Closed(CollectingSink):\n    def start(self):\n        raise OSError('closed')\n\ndef build(",
    )
    package.install(site)
    config = allowing(package.permit, TOWN) | {"telemetry": {"sinks": [{"use": package.module}]}}
    with pytest.raises(PluginError, match=f"the sink '{package.module}' cannot start: OSError: closed"):
        open_run(RunRequest(config)).__enter__()


COMMANDS = """\
import sys
from townlet_core.dto.command import Argument, Command, CommandSpec
from townlet_core.dto.command_hook import CommandDone, OfferedCommand
from townlet_plugins import hookimpl

def feed(context):
    needs = {"hunger": 0.5 + context.unit(0) / 2}
    fed = Command("set_need", {"agent_id": context.args["agent_id"], "needs": needs})
    return CommandDone((fed,), {"fed": context.args["agent_id"]})

@hookimpl
def townlet_commands():
    who = (Argument("agent_id", "text"),)
    return (
        OfferedCommand(CommandSpec("bakery.feed", "admin", "Feeds somebody.", who), feed),
        OfferedCommand(CommandSpec("bakery.exit", "admin", "Goes away."), lambda context: sys.exit(0)),
    )
"""
FEED = {"agent_id": "a00001"}


def commanded(config, folder, *names, ticks, resume=None):
    """Live with a command in each of the first ticks."""
    with open_run(RunRequest(config, output=Output(keep=True, path=folder), resume=resume)) as run:
        for number, name in enumerate(names):
            request = Command(name, FEED if name == "bakery.feed" else {}, str(number), "ada")
            run.loop.commands.submit(request, "admin")
            run.loop.step()
        summary = run.loop.run_for(ticks - len(names))
        run.drain()
    return summary


def test_a_plugins_commands_can_be_given_as_soon_as_it_is_let_in(package, site, tmp_path):
    package.source = COMMANDS
    permit = pin(package.install(site))
    names = ("bakery.feed", "bakery.exit", "bakery.exit")
    commanded(allowing(permit, TOWN), tmp_path / "run", *names, ticks=60)
    told = [line["data"] for line in lines(tmp_path / "run") if line["type"] == "townlet.console.result"]
    assert [(each["name"], each["status"], each["tick"]) for each in told] == [
        ("bakery.feed", "ok", 0),
        ("bakery.exit", "error", 1),
        ("bakery.exit", "error", 2),
    ]
    assert told[0]["result"] == {"fed": "a00001"}
    assert [each["error"]["code"] for each in told[1:]] == ["internal", "unsupported"]
    (*_, health) = [line["data"] for line in lines(tmp_path / "run") if line["type"] == "townlet.loop.health"]
    assert health["hooks"]["bakery.exit"] == {"calls": 1, "failures": 1, "overruns": 0, "disabled": True}
    assert health["hooks"]["bakery.feed"]["calls"] == 1
    rows = json.loads((tmp_path / "run/run.json").read_text())["plugins"]
    commands = {row["name"] for row in rows if row["kind"] == "command"}
    assert commands == {"bakery.feed", "bakery.exit"}


def test_a_command_of_a_plugin_that_is_not_let_in_is_not_known(package, site):
    package.source = COMMANDS
    package.install(site)
    with open_simulation(TOWN) as simulation:
        ticket = simulation.commands.submit(Command("bakery.feed", FEED, "1"), "admin")
        assert ticket.result.error.code == "unknown_command"
    assert not package.canary.exists()


def test_a_run_with_a_plugins_command_goes_on_from_its_snapshot(package, site, tmp_path):
    package.source = COMMANDS
    config = allowing(pin(package.install(site)), TOWN)
    names = ("bakery.feed", "bakery.exit", "bakery.feed")
    whole = commanded(config, tmp_path / "whole", *names, ticks=5)
    with open_run(RunRequest(config, output=Output(keep=True, path=tmp_path / "first"))) as run:
        for number, name in enumerate(names):
            request = Command(name, FEED if name == "bakery.feed" else {}, str(number), "ada")
            run.loop.commands.submit(request, "admin")
            if number == 2:
                kept_at = run.save_snapshot()
                break
            run.loop.step()
    rest = commanded(config, tmp_path / "rest", ticks=3, resume=kept_at)
    assert rest.digest == whole.digest
    with pytest.raises(SnapshotError, match=r"the waiting command 'bakery\.feed' is unknown here"):
        open_run(RunRequest(TOWN, resume=kept_at)).__enter__()


HOOKS = """\
from townlet_core.dto.hook import Cancel
from townlet_plugins import hookimpl

@hookimpl
def townlet_affordance_before(context):
    return Cancel(NAME)
"""


def hooked(*names: str) -> dict:
    """A town whose every affordance asks hooks before it is used."""
    entries = [
        {**entry, "hooks": {"before": list(names)}} for entry in read_document(shipped_file("manifest")).value
    ]
    affordances = {"extend": None, "add": entries}
    return TOWN | {"world": {"use": "town", "options": {"town": "hamlet_24", "affordances": affordances}}}


def test_hooks_are_asked_in_the_order_of_the_config_and_know_their_content(tmp_path, site):
    first = Package(tmp_path / "first", "first", entry_point="first", source=HOOKS)
    second = Package(tmp_path / "second", "second", entry_point="second", source=HOOKS)
    permits = [pin(each.install(site)) for each in (first, second)]
    config = hooked("first", "second")
    allowed = [{"distribution": each.distribution, "entry_point": each.entry_point} for each in permits]
    for order in (["first", "second"], ["second", "first"]):
        section = {"plugins": {"allow": allowed, "hooks": order, "hook_budget_ms": 10_000}}
        summary = kept(config | section, tmp_path / f"run-{order[0]}", "runner.snapshot_every=500", ticks=500)
        assert summary.events_by_kind.get("affordance.finish", 0) == 0
        failed = [
            line for line in lines(tmp_path / f"run-{order[0]}") if line["type"] == "townlet.affordance.fail"
        ]
        modules = {"first": first.module, "second": second.module}
        assert {line["data"]["detail"] for line in failed} == {modules[order[0]]}
    identity = next((tmp_path / "run-first/snapshots").iterdir())
    text = gzip.decompress(identity.read_bytes()).decode()
    assert all(permit.content_sha256 in text for permit in permits)


def test_a_hook_that_is_not_let_in_or_not_activated_keeps_the_run_from_beginning(package, site):
    package.source = HOOKS
    package.install(site)
    activated = hooked("bakery") | {"plugins": {"hooks": ["bakery"]}}
    with pytest.raises(
        PluginError, match=r"plugins\.hooks\[0\]: the plugin 'bakery' .*add below plugins\.allow"
    ):
        open_run(RunRequest(activated)).__enter__()
    assert not package.canary.exists()
    with pytest.raises(ConfigError, match="bakery"):
        open_run(RunRequest(allowing(package.permit, hooked("bakery")))).__enter__()
