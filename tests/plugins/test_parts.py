"""A part of a third party that exits or raises while a town lives: exit code, who it was, no traceback."""

import json

import pytest

from tests.plugins.conftest import allow
from tests.plugins.test_runs import SHOP
from tests.plugins.wheels import SINK

EXIT = "raise SystemExit(0)"
OWN = "world: {use: bakery}\npolicy: {use: bakers}\nobservers: {extra: [{use: watcher}]}\n"
LIVE = ("run", "--ticks", "3", "--no-out", "--json-summary", "summary.json")


def with_method(source: str, class_head: str, method: str) -> str:
    """Give a class of a source one method more."""
    assert class_head in source
    return source.replace(class_head, f"{class_head}\n    {method}")


def world(method: str) -> str:
    return with_method(SHOP, "class Bakery(FakeWorld):", method)


def policy(method: str) -> str:
    own = f"class Bakers(FakePolicy):\n    {method}\n\n@hookimpl\ndef townlet_policies"
    source = SHOP.replace("@hookimpl\ndef townlet_policies", own)
    return source.replace("context: FakePolicy()", "context: Bakers()")


def sink(method: str) -> str:
    own = f"class Own(CollectingSink):\n    {method}\n\ndef build("
    return SINK.replace("def build(", own).replace("CollectingSink(NAME)", "Own(NAME)")


@pytest.fixture
def run(townlet, package, site, config, tmp_path):
    """Live briefly with what a source brings; gives exit code, words and the summary, if there is one."""

    def go(source: str, sections: str = OWN, *words: str) -> tuple[int, str, dict | None]:
        package.source = source
        package.install(site)
        file = config(sections.replace("SINK", package.module), allow(package.permit))
        code, _, err = townlet(*(words or LIVE), file)
        kept = tmp_path / "summary.json"
        return code, err, json.loads(kept.read_text()) if kept.exists() else None

    return go


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (world(f"def reset(self, seed): {EXIT}"), "the world failed at tick 0: SystemExit: 0"),
        (
            SHOP.replace("outcome = super().step(actions, commands)", EXIT),
            "the world failed at tick 0: SystemExit: 0",
        ),
        (policy(f"def decide(self, observation): {EXIT}"), "the policy failed at tick 0: SystemExit: 0"),
        (policy(f"def begin(self, spec, seed): {EXIT}"), "the policy failed at tick 0: SystemExit: 0"),
        (SHOP.replace("self.seen = 0", EXIT), "the observer failed at tick 0: SystemExit: 0"),
        (SHOP.replace("self.seen += len(outcome.events)", EXIT), "the observer failed at tick 0: SystemExit"),
        (SHOP.replace('return {"seen": self.seen}', EXIT), "the observer failed at tick 3: SystemExit: 0"),
    ],
    ids=["reset", "step", "decide", "policy begin", "observer begin", "observe", "kpis"],
)
def test_a_part_that_exits_ends_the_run_as_a_failure_that_names_it(run, source, told):
    code, err, summary = run(source)
    assert code == 1
    assert f"error: {told}" in err
    assert "Traceback" not in err
    assert summary is None


UNSPEAKABLE = "raise type('E', (Exception,), {'__str__': lambda self: 3})"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (policy(f"def decide(self, observation): {UNSPEAKABLE}"), "the policy failed at tick 0: E"),
        (SHOP.replace("self.seen = 0", UNSPEAKABLE), "the observer failed at tick 0: E"),
        (
            SHOP.replace('{"seen": self.seen}', '{"seen": object()}'),
            "the observer failed at tick 3: TypeError: object is not JSON",
        ),
        (SHOP.replace('{"seen": self.seen}', "{7: self.seen}"), "the observer failed at tick 3: TypeError"),
        (
            SHOP.replace('{"seen": self.seen}', '{"seen": float("nan")}'),
            "the observer failed at tick 3: ValueError: Out of range float values are not JSON compliant",
        ),
        (
            policy("turn = 0").replace(
                "turn = 0",
                "identity = FakePolicy.identity\n"
                "    def decide(self, observation):\n"
                "        type(self).identity = 7\n"
                "        return super().decide(observation)",
            ),
            "the policy failed at tick 0: AttributeError: 'int' object has no attribute 'anneal_ratio'",
        ),
    ],
    ids=["unspeakable policy", "unspeakable observer", "no JSON", "no name", "nan", "identity is lost"],
)
def test_a_part_that_answers_nonsense_ends_the_run_as_a_failure_that_names_it(run, source, told):
    code, err, summary = run(source)
    assert code == 1
    assert f"error: {told}" in err
    assert "Traceback" not in err
    assert summary is None


@pytest.mark.parametrize("body", [EXIT, "raise ValueError('blind')", "return None"])
def test_a_world_that_cannot_be_pictured_fails(run, tmp_path, body):
    sinks = f"sinks: [{{use: file, options: {{path: {tmp_path}/events.ndjson}}}}]"
    stream = f"telemetry: {{stream: {{mode: snapshot, every: 1}}, {sinks}}}\n"
    code, err, summary = run(world(f"def frame(self): {body}"), OWN + stream)
    assert code == 1
    assert "error: the world failed at tick 0: " in err
    assert "Traceback" not in err
    assert summary is None


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (world(f"def snapshot(self): {EXIT}"), "a part cannot export its state: SystemExit: 0"),
        (world("def snapshot(self): return None"), "a part cannot export its state: AttributeError"),
        (
            world(f"def restore(self, snapshot): {EXIT}"),
            "the world cannot continue from a snapshot: SystemExit: 0",
        ),
    ],
    ids=["snapshot", "no snapshot", "restore"],
)
def test_a_part_that_exits_when_a_run_is_kept_or_goes_on_fails(run, townlet, tmp_path, source, told):
    keeping = ("run", "--ticks", "3", "--quiet", "--snapshot-every", "2", "--out", "kept")
    code, err, _ = run(source, OWN, *keeping)
    if code == 0:
        code, _, err = townlet(
            "run", "--ticks", "3", "--quiet", "--no-out", "--resume", "kept", str(tmp_path / "trial.yaml")
        )
    assert code == 1
    assert f"error: {told}" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("offered", "part", "kind"),
    [("Counted", "world", "sold_out"), ("SoldOut", "observer", "counted")],
)
def test_an_event_that_was_not_offered_fails_the_part_that_tells_it(run, offered, part, kind):
    code, err, summary = run(SHOP.replace("(SoldOut, Counted)", f"({offered},)"))
    assert code == 1
    named = "".join(each.capitalize() for each in kind.split("_"))
    told = f"unknown kind 'bakery.{kind}'; add {named} to townlet_events"
    assert f"error: the {part} failed at tick 0: ContractError: {told}\n" in err
    assert summary is None


@pytest.mark.parametrize(
    ("identity", "told"),
    [
        (
            "identity = None",
            "the policy 'bakers' is broken: it has no valid identity: its identity is of the type NoneType",
        ),
        (
            "identity = property(lambda self: 1 // 0)",
            "its policy 'bakers' cannot be built: ZeroDivisionError: integer division or modulo by zero",
        ),
    ],
)
def test_a_policy_that_does_not_tell_who_it_is_ends_the_run_before_its_first_tick(run, identity, told):
    code, err, summary = run(policy(identity))
    assert code == 3
    assert told in err
    assert "Traceback" not in err
    assert summary is None


@pytest.mark.parametrize(
    "field", ["x: type(print) = None", "x: object = 0\n    model_json_schema = lambda: {'x': object()}"]
)
def test_options_that_cannot_be_described_are_told_with_whose_they_are(run, package, field):
    options = 'label: str = "none"'
    arbitrary = f"{options}\n    model_config = {{'arbitrary_types_allowed': True}}\n    {field}"
    code, err, _ = run(SINK.replace(options, arbitrary), "", "config", "schema", "--config")
    assert code == 3
    where = f"the sink '{package.module}' ({package.module}:build)"
    assert f"error: {where} is broken: its options have no JSON Schema: " in err
    assert "Traceback" not in err


@pytest.mark.parametrize("body", [EXIT, "raise ValueError('stuck')"])
@pytest.mark.parametrize(
    ("part", "method"), [(world, "def close(self)"), (policy, "def end(self)")], ids=["close", "end"]
)
def test_a_part_that_cannot_be_closed_has_lived_all_the_same(run, part, method, body):
    code, err, summary = run(part(f"{method}: {body}"))
    assert code == 0
    assert "a part failed when it was closed" in err
    assert summary["ticks"] == 3


TOWN = (
    "world: {use: town, options: {town: hamlet_24}}\n"
    "telemetry: {sinks: [{use: SINK}, {use: file, options: {path: PATH}}]}\n"
)


@pytest.mark.parametrize("body", [EXIT, "raise ValueError('boo')"])
@pytest.mark.parametrize("method", ["emit(self, message)", "status(self)", "stop(self, deadline_seconds)"])
def test_the_town_goes_on_beside_a_sink_that_exits(run, tmp_path, method, body):
    sections = TOWN.replace("PATH", str(tmp_path / "events.ndjson"))
    code, err, summary = run(sink(f"def {method}: {body}"), sections)
    assert code == 0
    assert "listener 'bakery_" in err
    assert summary["ticks"] == 3
    other = next(each for each in summary["sinks"] if each["name"] == "file")
    assert other["delivered"] == other["emitted"] > 3
    assert len((tmp_path / "events.ndjson").read_text().splitlines()) == other["delivered"]


def test_a_sink_that_exits_when_it_starts_ends_the_run_before_its_first_tick(run, tmp_path):
    sections = TOWN.replace("PATH", str(tmp_path / "events.ndjson"))
    code, err, summary = run(sink(f"def start(self): {EXIT}"), sections)
    assert code == 3
    assert "cannot start: SystemExit: 0" in err
    assert "Traceback" not in err
    assert summary is None
