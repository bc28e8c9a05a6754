"""The operators' page knows every reason and every metric."""

import re
from pathlib import Path
from typing import get_args

from prometheus_client.registry import CollectorRegistry

from townlet_adapters.telemetry.collector import checking, files, listener, plan, posts, tcp
from townlet_adapters.telemetry.collector import http as http_service
from townlet_adapters.telemetry.collector.metrics import CollectorMetrics
from townlet_adapters.telemetry.collector.posts import REFUSALS
from townlet_adapters.telemetry.collector.tcp import NACKS
from townlet_adapters.telemetry.wire import signing

PAGE = (Path(__file__).parents[3] / "docs" / "operations" / "collector.md").read_text(encoding="utf-8")


def troubles():
    return {reason for part in get_args(plan.Trouble) for reason in (get_args(part) or (part,))}


def test_every_reason_of_a_refusal_is_explained():
    said = set()
    for module in (tcp, listener, posts, http_service):
        text = Path(module.__file__).read_text(encoding="utf-8")
        said |= set(re.findall(r'\.refuse\(\s*"(\w+)"', text)) | set(re.findall(r'\{"error": "(\w+)"', text))
    assert len(said) > 10
    reasons = said | troubles() | set(get_args(checking.Reason)) | set(get_args(signing.Reason))
    assert {reason for reason in reasons - {"not_found"} if f"`{reason}`" not in PAGE} == set()


def test_every_trouble_of_the_disk_has_an_answer_over_both_transports():
    assert troubles() == set(NACKS) == set(REFUSALS)
    assert set(get_args(files.DiskTrouble)) < troubles()


def test_every_metric_is_on_the_page(collect):
    collector = collect("tcp")
    registry = CollectorRegistry()
    registry.register(CollectorMetrics(collector.collector))
    names = {metric.name.removeprefix("townlet_collector_") for metric in registry.collect()}
    assert len(names) > 10
    assert {name for name in names if not re.search(rf"`{name}(_total)?[`{{]", PAGE)} == set()
