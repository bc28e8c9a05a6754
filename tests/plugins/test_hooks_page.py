"""The page on hooks says what the code does, and its example keeps the contract."""

import importlib.util
import re
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import get_args

from tests.house.sources import ROOT
from tests.town.words import ITEMS, NEEDS
from townlet_adapters.worlds.town.compiled.command_specs import COMMANDS
from townlet_core.dto import command_hook, hook
from townlet_core.dto.command import ArgumentType, Role
from townlet_core.dto.command_hook import CommandContext, CommandDone, CommandRefused, ResidentSeen
from townlet_core.dto.hook import STAGES, Cancel, Effect, HookContext
from townlet_core.events.health import HookCounts
from townlet_core.isolation import DEFAULT_BUDGET, MOST_OVERRUNS
from townlet_core.testing import check_commands, check_hooks, command_contexts, hook_contexts, hook_of

PAGE = (ROOT / "docs" / "plugins" / "hooks.md").read_text(encoding="utf-8")
SPOKEN = {3: "third", 4: "four"}


def spelled(kind: type) -> str:
    return f"`{kind.__name__}({', '.join(field.name for field in fields(kind))})`"


def example(text: str, folder: Path) -> ModuleType:
    """The first module that a part of the page shows."""
    code = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]
    path = folder / "bakery.py"
    path.write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("bakery", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_stage_every_field_of_a_context_and_every_effect_is_on_the_page():
    wanted = [f"`townlet_affordance_{stage}`" for stage in STAGES]
    wanted += [f"`{field.name}`" for field in fields(HookContext)]
    wanted += [spelled(kind) for kind in (Cancel, *get_args(Effect))]
    wanted += [f"`{field.name}`" for field in fields(HookCounts)]
    assert [each for each in wanted if each not in PAGE] == []


def test_the_page_has_what_a_command_is_shown_and_may_answer():
    section = PAGE.split("## Commands")[1].split("## Testing")[0]
    wanted = [f"`{field.name}`" for kind in (CommandContext, ResidentSeen) for field in fields(kind)]
    wanted += [spelled(kind) for kind in (CommandDone, CommandRefused)]
    wanted += [f"`{kind}`" for kind in (*get_args(ArgumentType), *get_args(Role))]
    wanted += [
        f"at most {command_hook.MOST_COMMANDS}, in order",
        f"1 to {command_hook.LONGEST_REFUSAL} print",
    ]
    wanted += [f"at most {command_hook.LARGEST_RESULT} values and characters"]
    assert [each for each in wanted if each not in section] == []


def test_the_command_of_the_page_keeps_its_contract(tmp_path):
    module = example(PAGE.split("## Commands")[1], tmp_path)
    requests = [
        each for name in ("a00003", "nobody") for each in command_contexts(module.FEED, {"agent_id": name})
    ]
    check_commands(module.townlet_commands, requests, COMMANDS)
    answers = [type(module.feed(each)) for each in requests]
    assert set(answers[:20]) == {CommandDone}
    assert set(answers[20:]) == {CommandRefused}


def test_the_limits_are_those_of_the_page():
    rows = {kind.__name__: next(line for line in PAGE.splitlines() if line.startswith(f"| {spelled(kind)}"))
            for kind in get_args(Effect)}  # fmt: skip
    limits = {
        "NeedEffect": hook.MOST_NEED, "MoneyEffect": hook.MOST_MONEY, "RelationEffect": hook.MOST_RELATION,
    }  # fmt: skip
    for name, row in rows.items():
        most = limits.get(name, hook.MOST_ITEMS)
        assert re.search(rf"\| {re.escape(str(most))}[ |]", row), row
    assert f"1 to {hook.LONGEST_REASON} printable characters" in PAGE
    assert f"At most {SPOKEN[hook.MOST_EFFECTS]} effects a call" in PAGE
    assert f"`plugins.hook_budget_ms` ({DEFAULT_BUDGET * 1000:.0f})" in PAGE
    assert f"disabled by the {SPOKEN[MOST_OVERRUNS]} time" in PAGE


def test_the_example_of_the_page_keeps_its_contract(tmp_path):
    bakery = example(PAGE.split("## Stages")[0], tmp_path)
    uses = hook_contexts(needs=NEEDS, items=ITEMS)
    check_hooks(lambda: hook_of("bakery", bakery), uses)
    answers = {(context.tod < 360, bakery.townlet_affordance_before(context) is None) for context in uses}
    assert answers == {(True, False), (False, True)}
