"""The page on health names every field and every metric; its alerts fire when they should, and only then."""

import operator
import re
import time
from dataclasses import is_dataclass, replace

import pytest
import yaml
from prometheus_client import CollectorRegistry

from tests.house.sources import ROOT
from tests.sinks import COUNTS, WELL, TellingSink
from townlet_adapters.telemetry.monitoring.metrics import RunMetrics
from townlet_core.dispatch import EventDispatcher, SinkRoute
from townlet_core.errors import WorldError
from townlet_core.events.health import HookCounts, PluginCounts, SinkHealth, SpoolHealth, WorkerHealth
from townlet_core.events.loop import LoopFailure, LoopHealth
from townlet_core.loop import RunIdentity, SimulationLoop
from townlet_core.records import field_hints, union_members
from townlet_core.testing import FakePolicy, FakeWorld

PAGE = (ROOT / "docs" / "operations" / "health.md").read_text(encoding="utf-8")
WORDS = set(re.findall(r"`([^`\n]+)`", PAGE))
RULES = {
    rule["alert"]: rule
    for group in yaml.safe_load(PAGE.split("```yaml\n")[1].split("```")[0])["groups"]
    for rule in group["rules"]
}
SPOOL = SpoolHealth(events=1, bytes=2, oldest_age_s=3.0, segments=1, quarantined=0, durability="process")
QUIET = replace(WELL, spool=SPOOL, last_success_age_s=1.0, certificate_expires_s=90 * 86400.0)


class Watched:
    """A town of fakes, its sink, and what its metrics were at an earlier moment and are now."""

    def __init__(self):
        self.sink = TellingSink(QUIET)
        self.world = FakeWorld()
        self.ticks = 60

    def scenes(self, change):
        dispatcher = EventDispatcher([SinkRoute("tcp", self.sink)])
        dispatcher.subscribe("loop.tick", self.hear, name="listener")
        loop = SimulationLoop(self.world, FakePolicy(), RunIdentity(7), dispatcher=dispatcher)
        registry = CollectorRegistry()
        registry.register(RunMetrics(loop))
        self.fails = False
        loop.run_for(5)
        before = read(registry)
        change(self)
        for _ in range(self.ticks):
            try:
                loop.step()
            except WorldError:
                break
        return before, read(registry)

    def hear(self, _message):
        if self.fails:
            raise RuntimeError("the listener was told to fail")


def read(registry):
    return [sample for family in registry.collect() for sample in family.samples]


def inner_names(record):
    """The fields of a record, with those of records below it."""
    for name, hint in field_hints(record).items():
        (only, *_) = (member for member in union_members(hint) if member is not type(None))
        if is_dataclass(only) and only.__name__ != "Histogram":
            yield from (f"{name}.{inner}" for inner in inner_names(only))
        else:
            yield name


def rows() -> list[str]:
    return [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]


def test_every_field_of_the_report_and_of_a_sink_stands_in_a_table():
    named = {word for row in rows() for word in re.findall(r"`([^`]+)`", row)}
    expected = set(field_hints(LoopHealth)) | set(inner_names(SinkHealth))
    assert expected - named == set()
    others = (
        set(field_hints(HookCounts))
        | set(field_hints(PluginCounts))
        | set(field_hints(LoopFailure))
        | {"le", "counts", "sum", "count"}
    )
    assert others - WORDS == set()


def test_the_tables_name_nothing_that_is_not_there():
    named = {word for row in rows() for word in re.findall(r"`([^`]+)`", row)}
    known = set(field_hints(LoopHealth)) | set(inner_names(SinkHealth)) | metric_names() | {"loop.health"}
    assert {word for word in named - known if not word.startswith("townlet run")} == set()


def metric_names() -> set[str]:
    registry = CollectorRegistry()
    registry.register(RunMetrics(SimulationLoop(FakeWorld(), FakePolicy(), RunIdentity(7))))
    return {f"{each.name}_total" if each.type == "counter" else each.name for each in registry.collect()}


def test_every_metric_stands_in_the_table_with_its_type_and_labels():
    sink, registry = TellingSink(QUIET), CollectorRegistry()
    loop = SimulationLoop(
        FakeWorld(), FakePolicy(), RunIdentity(7), dispatcher=EventDispatcher([SinkRoute("tcp", sink)])
    )
    registry.register(RunMetrics(loop))
    counts = replace(COUNTS, emitted={"bulk": 1}, dropped={"why": {"bulk": 1}})
    sink.turn(counts=counts, totals=replace(QUIET.totals, rejected={"why": 1}))
    loop.run_for(60)
    table = {
        cells[1].strip(" `"): (cells[2].strip(), set(re.findall(r"`(\w+)`", cells[3])))
        for cells in (line.split("|") for line in PAGE.splitlines() if line.startswith("| `townlet_"))
    }
    told = {}
    for family in registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        told[name] = (family.type, labels)
    assert table == told


PROMISED = """
events_emitted_total rejected_total dropped_total delivered_total bytes_delivered_total
send_retries_total worker_restarts_total queue_events queue_bytes spool_bytes spool_oldest_age_seconds
last_success_timestamp_seconds worker_heartbeat_age_seconds
emit_duration_seconds flush_duration_seconds ack_latency_seconds
"""


def test_the_names_that_monitors_were_promised_are_there():
    assert {f"townlet_telemetry_{name}" for name in PROMISED.split()} <= metric_names()


# ---- alerts: as much of PromQL as they are written in ----------------------------------------------

SELECTOR = r"(\w+)(?:\{(\w+)(=|!~)\"([^\"]*)\"\})?"
RULE = re.compile(
    rf"(?:(?P<increase>increase)\({SELECTOR}\[\w+\]\)|(?P<age>time\(\) - ){SELECTOR}|{SELECTOR}"
    r"(?: / (?P<divisor>\w+)|(?P<left> - time\(\)))?) (?P<op>==|<|>) (?P<limit>[\d.]+)"
)
OPERATORS = {"==": operator.eq, "<": operator.lt, ">": operator.gt}


def series(samples, name, label, op, value):
    found = {}
    for sample in samples:
        if sample.name != name:
            continue
        matches = True
        if label:
            matches = (
                (sample.labels.get(label) == value)
                if op == "="
                else not re.fullmatch(value, sample.labels[label])
            )
        if matches:
            found[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def fires(expr, before, after) -> bool:
    match = RULE.fullmatch(expr)
    assert match, f"{expr} is more than this test understands"
    selector = next(
        match.groups()[start : start + 4] for start in (1, 6, 10) if match.groups()[start] is not None
    )
    now = series(after, *selector)
    if match["increase"]:
        earlier = series(before, *selector)
        now = {labels: value - earlier[labels] for labels, value in now.items() if labels in earlier}
    elif match["age"]:
        now = {labels: time.time() - value for labels, value in now.items()}
    elif match["left"]:
        now = {labels: value - time.time() for labels, value in now.items()}
    elif match["divisor"]:
        divisors = series(after, match["divisor"], None, None, None)
        now = {labels: value / divisors[labels] for labels, value in now.items()}
    compare, limit = OPERATORS[match["op"]], float(match["limit"])
    return any(compare(value, limit) for value in now.values())


def health(**changes):
    return lambda town: town.sink.turn(**changes)


def setting(name, value):
    return lambda town: setattr(town, name, value)


def counted(**totals):
    return lambda town: town.sink.turn(totals=replace(QUIET.totals, **totals))


def dropped(reason):
    return lambda town: town.sink.turn(counts=replace(COUNTS, dropped={reason: {"bulk": 3}}))


def queued(events):
    return lambda town: town.sink.turn(queue=replace(QUIET.queue, events=events))


def spooled(**changes):
    return lambda town: town.sink.turn(spool=replace(SPOOL, **changes))


def worker(**changes):
    return lambda town: town.sink.turn(
        worker=WorkerHealth(**{"alive": True, "heartbeat_age_s": 0.0} | changes)
    )


def nothing(_town):
    """Change nothing."""


TOWNS = {
    "TownletFailed": (lambda town: setattr(town.world, "_fail_at", 9), nothing),
    "TownletStandsStill": (setting("ticks", 0), setting("ticks", 1)),
    "TownletEmpty": (lambda town: setattr(town.world, "_empty_from", 6), nothing),
    "TownletListenersFail": (setting("fails", value=True), nothing),
    "TownletSinkFailed": (health(state="failed"), health(state="shedding")),
    "TownletSinkDegraded": (health(state="degraded"), health(state="failed")),
    "TownletSinkShedding": (health(state="shedding"), health(state="degraded")),
    "TownletWorkerHangs": (worker(alive=False, heartbeat_age_s=100.0), worker(heartbeat_age_s=1.0)),
    "TownletWorkerRestarts": (worker(restarts=4), worker(restarts=3)),
    "TownletQueueFills": (queued(81), queued(80)),
    "TownletDisconnected": (health(connected=False), nothing),
    "TownletNothingArrives": (health(last_success_age_s=700.0), health(last_success_age_s=500.0)),
    "TownletOutboxOld": (spooled(oldest_age_s=3700.0), spooled(oldest_age_s=3500.0)),
    "TownletOutboxDamaged": (spooled(quarantined=1), nothing),
    "TownletDeadLetters": (counted(dead_lettered=1), counted(delivered=1)),
    "TownletTelemetryLost": (dropped("outbox_full"), dropped("superseded")),
    "TownletCertificateExpires": (
        health(certificate_expires_s=13 * 86400.0),
        health(certificate_expires_s=15 * 86400.0),
    ),
}


def test_every_alert_has_a_town_in_which_it_fires():
    assert TOWNS.keys() == RULES.keys()


def test_no_alert_fires_in_a_quiet_town():
    before, after = Watched().scenes(nothing)
    assert [name for name, rule in RULES.items() if fires(rule["expr"], before, after)] == []


@pytest.mark.parametrize("name", TOWNS)
def test_an_alert_fires_when_it_should_and_not_just_before(name, caplog):
    caplog.set_level("CRITICAL")
    bad, nearly = TOWNS[name]
    assert fires(RULES[name]["expr"], *Watched().scenes(bad))
    assert not fires(RULES[name]["expr"], *Watched().scenes(nearly))


def test_the_rules_are_written_as_promtool_wants_them():
    for name, rule in RULES.items():
        assert rule.keys() - {"for"} == {"alert", "expr", "labels", "annotations"}, name
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"].keys() == {"summary"}
        assert re.fullmatch(r"\d+[mh]", rule.get("for", "1m"))
