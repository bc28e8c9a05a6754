"""Whoever moves a consumer finds every new name on the page where it is."""

import re
from dataclasses import fields

from tests.events import BUILT_IN
from tests.house.sources import ROOT
from townlet_adapters.worlds.town.events import LATER_KINDS
from townlet_core.dto.frame import TownFrame
from townlet_core.dto.seen import OBSERVATION_BATCH
from townlet_core.events.health import SinkHealth
from townlet_core.events.schema import RESERVED_KINDS
from townlet_core.records import field_hints, union_members

PAGE = (ROOT / "docs" / "migration.md").read_text(encoding="utf-8")
RIGHT = [line.split("|")[2] for line in PAGE.splitlines() if line.startswith("| ") and "before" not in line]
KIND = re.compile(r"`([a-z]+(?:\.[a-z_]+)+)`")


def test_every_kind_named_exists_or_is_kept_free_and_marked_so():
    wrong = []
    for cell in RIGHT:
        for part in cell.split(";"):
            for named in KIND.findall(part):
                kind = named.removeprefix("townlet.")
                family = kind.partition(".")[0]
                if family in {"sinks", "telemetry", "queue", "conflict"} and kind not in BUILT_IN.classes:
                    continue
                known = kind in BUILT_IN.classes or kind.startswith("state.") or kind == OBSERVATION_BATCH
                if not known and not (kind in RESERVED_KINDS | LATER_KINDS and "*(later" in part):
                    wrong.append(named)
    assert wrong == []


def test_every_field_named_exists():
    named = re.findall(r"`(loop\.\w+|state\.frame|policy\.metadata)` fields? ((?:`\w+`(?:, | and )?)+)", PAGE)
    assert len(named) > 10
    wrong = []
    for kind, names in named:
        if kind == "state.frame":
            known = {field.name for field in fields(TownFrame)}
        else:
            known = set(BUILT_IN.data_schema(kind)["properties"])
        wrong += [f"{kind}: {name}" for name in re.findall(r"`(\w+)`", names) if name not in known]
    assert wrong == []


def test_every_field_of_a_sink_named_exists():
    named = re.findall(r"`sinks\.<name>\.(\w+)(?:\.(\w+))?`", PAGE)
    assert named
    hints = field_hints(SinkHealth)
    wrong = [outer for outer, _ in named if outer not in hints]
    for outer, inner in named:
        record, *_ = union_members(hints[outer])
        if inner and inner not in field_hints(record):
            wrong.append(f"{outer}.{inner}")
    assert wrong == []
