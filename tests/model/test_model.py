"""The town does what docs/domain.md says: a second model, written from the page alone, predicts all of it.

``python -m tests.model --help`` compares for longer, and other towns.
"""

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.model import compare, draws, runs
from tests.model.cases import HASTY, config, crowd, doomed, eventful, fleeting, grid, hooked, plenty
from tests.model.drives import Chances, random_wishes, scripted
from tests.model.runs import Case, Pair, run
from tests.model.strange import strange
from townlet_core.dto.command import Command

PAGE = Path(__file__).resolve().parents[2] / "docs" / "domain.md"
WILD = random_wishes(Chances(legal=0.8, aimed=0.3, fate=0.08))


@pytest.fixture(scope="module")
def hamlet():
    return Case({"town": "hamlet_24"})


@pytest.fixture(scope="module")
def hasty():
    return Case(crowd(**HASTY))


@pytest.fixture(scope="module")
def busy():
    return Case(eventful())


def agree(case, seed, ticks, drive, at_least):
    pair, difference = run(case, seed, ticks, drive)
    assert difference is None, str(difference)
    assert pair.compared > at_least


def test_a_day_of_the_hamlet_is_as_predicted(hamlet):
    agree(hamlet, 1, 1450, scripted, 200_000)


def test_a_morning_of_the_library_is_as_predicted():
    agree(Case(config("examples/library/town.yaml")), 1, 500, scripted, 150_000)


def test_random_actions_and_strokes_of_fate_are_as_predicted(hasty):
    agree(hasty, 2, 600, WILD, 600_000)


def test_events_over_the_town_are_as_predicted(busy):
    pair, difference = run(busy, 4, 500, WILD, cut=37)
    assert difference is None, str(difference)
    assert pair.seen["perturbation.started"] > 20
    assert pair.seen["perturb ok"] > 1


def doom(pair, seed):
    """One resident starves, one is neglected, and a job becomes free; all else takes its time."""
    for tick, wishes in enumerate(scripted(pair, seed)):
        jobless = [each.id for each in pair.model.residents if each.job is None]
        holders = [each.id for each in pair.model.residents if each.job is not None]
        orders = ()
        if 100 <= tick < 140 or 200 <= tick < 580:
            needs = {"hunger": 0.0} if tick < 140 else {"hygiene": 0.05}
            orders = (Command("set_need", {"agent_id": jobless[-1], "needs": needs}, str(tick), "ada"),)
        elif tick == 2900:
            orders = (Command("kill", {"agent_id": holders[0], "replace": False}, "kill", "ada"),)
        yield wishes._replace(commands=orders)


def test_who_leaves_for_which_reason_and_who_follows_is_as_predicted():
    case, seen = Case(doomed()), Counter()
    for seed in (1, 3):
        pair, difference = run(case, seed, 4500, doom)
        assert difference is None, str(difference)
        seen += pair.seen
    for reason in ("collapse", "neglect", "eviction", "unemployment", "age_out", "killed"):
        assert seen[f"lifecycle.exit {reason}"] > 0, reason
    assert seen["lifecycle.arrive replacement"] > 3


def test_a_town_that_is_saved_and_resumed_is_as_predicted(hasty):
    pair, difference = run(hasty, 3, 400, WILD, cut=13)
    assert difference is None, str(difference)
    assert pair.seen["social.tie conflict added"] > 10


def test_what_hooks_are_asked_and_what_comes_of_it_is_as_predicted():
    agree(Case(hooked()), 1, 400, WILD, 150_000)


def test_uses_that_work_tick_by_tick_and_end_early_are_as_predicted():
    agree(Case(plenty()), 1, 400, WILD, 400_000)


def test_a_city_is_as_predicted():
    agree(Case(grid(4, 2, "hamlet_24")), 1, 60, random_wishes(Chances(fate=0.4)), 200_000)


def test_spikes_beyond_what_a_price_holds_and_a_full_list_are_as_predicted(hasty):
    pair = Pair(hasty, 1)
    wishes = next(scripted(pair, 1))
    spikes = [("scale", 0, "home.meal", 10_000, source, 40 + source) for source in range(11)]
    spikes += [("scale", 0, "home.meal", 7, 11, 20), ("scale", 0, "home.meal", 7, 8, 30)]
    outages = [("switch", 0, "power", False, source, 9) for source in range(pair.plan.districts * 99)]
    for strokes in (spikes, outages, [("close", 0, False, 0, 0), ("close", 0, True, 0, 0)]):
        difference = pair.step(wishes._replace(interventions=tuple(strokes)))
        assert difference is None, str(difference)
    assert pair.seen["no_room"] > 0
    for _ in range(50):
        assert pair.step(wishes) is None


def test_what_is_forgotten_is_as_predicted():
    pair, difference = run(Case(fleeting()), 5, 400, WILD)
    assert difference is None, str(difference)
    assert pair.seen["social.tie decay removed"] > 10


@pytest.mark.slow
def test_days_of_towns_are_as_predicted():
    agree(Case({"town": "town_48"}), 3, 2 * 1440, scripted, 1_000_000)
    agree(Case({"town": "hamlet_24"}), 4, 6 * 1440, WILD, 1_000_000)
    for seed in range(1, 5):
        agree(Case(strange(seed)), seed, 1600, WILD, 100_000)


def test_a_difference_is_reported_with_its_place_and_its_paragraph(hamlet):
    pair = Pair(hamlet, 1)
    wishes = scripted(pair, 1)
    assert pair.step(next(wishes)) is None
    pair.model.residents[1].wallet += 1
    pair.model.treasury -= 1
    difference = pair.step(next(wishes))
    assert str(difference) == (
        "tick 1: agents.a00001.wallet: the town has 2000, the model 2001 (docs/domain.md, section 3. Money)"
    )


def test_a_fact_too_few_or_with_another_value_is_a_difference():
    told = {"facts": [["queue.join", {"agent_id": "a00001", "position": 0}]]}
    other = {"facts": [["queue.join", {"agent_id": "a00001", "position": 1}]]}
    assert compare.compare(7, told, told) is None
    assert compare.compare(7, told, other) == (7, "facts.0.1.position", 0, 1, "6. Actions")
    missing = compare.compare(7, told, {"facts": []})
    assert missing is not None
    assert (missing.where, missing.predicted) == ("facts.0", compare.MISSING)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_concurrent", 2),
        ("global_cooldown_ticks", 4),
        ("agent_cooldown_ticks", 300),
        ("window_ticks", 199),
        ("max_per_window", 8),
    ],
)
def test_another_scheduler_is_noticed(busy, key, value):
    assert any(differs(busy, seed, key, value) for seed in range(1, 13)), key


def test_a_scheduler_that_starts_a_tick_later_is_noticed(busy):
    assert differs(busy, 1, "grace_ticks", 8)


def differs(case, seed, key, value):
    """Whether a model with another number of the scheduler predicts another life."""
    pair = Pair(case, seed)
    rules = pair.model.options.perturbations.model_copy(update={key: value})
    pair.model.options = pair.model.options.model_copy(update={"perturbations": rules})
    wishes = WILD(pair, seed)
    return any(pair.step(next(wishes)) is not None for _ in range(500))


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("queues", "cooldown_ticks", 2),
        ("queues", "ghost_step_after", 2),
        ("queues", "hold_ticks", 3),
        ("queues", "patience_ticks", 6),
        ("queues", "drop_ticks", 4),
        ("relationships", "max_ties", 5),
        ("features", "relationship_modifiers", False),
        ("features", "behaviour_biases", False),
        ("employment", "grace_ticks", 4),
        ("employment", "absence_fine", 199),
        ("employment", "review_ticks", 61),
    ],
)
def test_a_rule_that_is_off_by_one_is_noticed(hasty, section, key, value):
    pair = Pair(hasty, 5)
    rules = getattr(pair.model.options, section)
    changed = rules.model_copy(update={key: value})
    pair.model.options = pair.model.options.model_copy(update={section: changed})
    wishes = WILD(pair, 5)
    assert any(pair.step(next(wishes)) is not None for _ in range(500)), key


def test_every_paragraph_that_a_difference_names_is_on_the_page():
    sections = dict(
        re.findall(r"^## (.+)\n((?:(?!## ).*\n?)*)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    )
    for name in {*compare.FACTS.values(), *compare.FIELDS.values(), compare.FRAME}:
        section, _, paragraph = name.partition(": ")
        assert paragraph in sections[section], name


def test_the_draws_are_those_of_the_page():
    rows = re.findall(
        r"^\| (\S+) \| (\w+) \| (\d+) \| (\d+) \| (\d+) \| `(0x\w+)` \| (\d) \|$",
        PAGE.read_text(),
        re.MULTILINE,
    )
    assert len(rows) == 6
    for seed, stream, *numbers, drawn, tenth in rows:
        values = (2**63 if seed == "2^63" else int(seed), stream, *map(int, numbers))
        assert draws.draw(*values) == int(drawn, 16)
        assert draws.integer(0, 9, *values) == int(tenth)


def test_the_model_imports_nothing_of_the_engine():
    folder = Path(runs.__file__).parent
    beside = {"runs.py", "drives.py", "fate.py", "strange.py", "cases.py", "__main__.py", "test_model.py"}
    modules = [each for each in folder.glob("*.py") if each.name not in beside]
    assert len(modules) > 10
    for each in modules:
        imports = re.findall(r"^(?:from|import) (\S+)", each.read_text(encoding="utf-8"), re.MULTILINE)
        foreign = {name.partition(".")[0] for name in imports} - {
            "tests",
            "collections",
            "dataclasses",
            "math",
            "operator",
            "typing",
        }
        assert not foreign, each.name
        assert all(name.startswith("tests.model") for name in imports if name.startswith("tests."))
