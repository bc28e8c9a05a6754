"""The page of the rules says what the code does: its tables are compared with the code's numbers."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import annotated_types
import orjson
import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tests.town.words import (
    BASE,
    CONDITION_NAMES,
    ITEMS,
    NEEDS,
    OBJECT_TYPES,
    PLACE_KINDS,
    PRICES,
    PROFILES,
    SHIPPED,
    TARGETS,
)
from tests.town.words import OPTIONS as BEHAVIOURS
from townlet_adapters.composition import load_config
from townlet_adapters.policies.scripted import columns as scripted
from townlet_adapters.policies.scripted import controllers, decide, planning, rules, society
from townlet_adapters.policies.scripted.options import ScriptedOptions
from townlet_adapters.stages.plugin import townlet_stages
from townlet_adapters.stages.possession import PossessionStage
from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.compiled import model, navigation
from townlet_adapters.worlds.town.compiled import observation_layout as layout
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.inputs import prices, texts, townmap
from townlet_adapters.worlds.town.inputs.resident_names import load_names
from townlet_adapters.worlds.town.inputs.texts import TownOptions
from townlet_adapters.worlds.town.inputs.tiles import TILES
from townlet_adapters.worlds.town.systems import (
    avoidance,
    chat,
    company,
    conflicts,
    employment,
    lifecycle,
    queues,
    residents,
    ties,
)
from townlet_core import seeding
from townlet_core.commands import MOST_REMEMBERED, MOST_WAITING
from townlet_core.dto.command import ERROR_CODES
from townlet_core.dto.command_hook import MOST_COMMANDS
from townlet_core.observers.narration.observer import NarrationObserver

PAGE = Path(__file__).resolve().parents[2] / "docs" / "domain.md"
Table = list[dict[str, str]]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def tables() -> Iterator[tuple[str, Table]]:
    """Every table of the page with the heading it stands under."""
    heading, lines = "", PAGE.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if line.startswith("#"):
            heading = line.lstrip("# ")
        if line.startswith("|--"):
            head, rows = cells(lines[number - 1]), []
            for row in lines[number + 1 :]:
                if not row.startswith("|"):
                    break
                rows.append(dict(zip(head, cells(row), strict=True)))
            yield heading, rows


def table(*head: str) -> Table:
    """The one table with these columns."""
    (found,) = [rows for _, rows in tables() if list(rows[0]) == list(head)]
    return found


def words(cell: str) -> list[str]:
    """What a cell lists in code spans."""
    return re.findall(r"`([^`]*)`", cell)


def named(*head: str) -> dict[str, str]:
    """A table of two columns as a mapping; names stand in code spans."""
    return {words(row[head[0]])[0]: row[head[1]] for row in table(*head)}


def test_the_page_has_the_sections_of_the_rules():
    numbers = re.findall(r"^## (\d+)\.", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert numbers == [str(n) for n in range(27)]
    assert "\n## Measured\n" in PAGE.read_text(encoding="utf-8")
    assert "\n## Decisions\n" in PAGE.read_text(encoding="utf-8")


# Alerts and narration.


def test_the_alerts_are_those_that_the_town_brings():
    rows = {words(row["alert"])[0]: row for row in table("alert", "value over the window", "window", "fires")}
    alerts = load_config({"townlet": 1, "seed": 7}).watching.stability.active
    assert list(rows) == list(alerts)
    for name, alert in alerts.items():
        row = rows[name]
        lasts = "run" if alert.fall or alert.ratio else "now"
        assert row["window"] == (str(alert.window) if alert.window else lasts)
        limit = re.search(r"(above|at least) ([0-9.]+)", row["fires"])
        if limit is not None:
            found = alert.above if limit[1] == "above" else alert.at_least
            assert found == float(limit[2])
    assert alerts["employment_exit_backlog"].above == TownOptions().employment.daily_loss_cap


def test_the_categories_are_those_that_the_town_brings():
    rows = table("category", "told", "pause", "priority")
    pauses = {name: row["pause"] for row in rows for name in words(row["category"])}
    told = load_config({"townlet": 1, "seed": 7}).watching.narration
    assert (told.dedupe, told.cooldown, told.window, told.most) == (20, 30, 600, 10)
    digests = dict.fromkeys(told.summed_up, "0")
    categories = {name: str(each.cooldown) for name, each in told.told.items()}
    assert pauses == categories | digests | {"operator_story": "30"}


# Commands.


def test_the_commands_are_those_that_the_town_obeys():
    rows = table("command", "role", "arguments", "effect", "errors")
    told = [(words(row["command"])[0], row["role"], tuple(words(row["arguments"]))) for row in rows]
    own = TownModel.build(TownOptions()).spec.commands
    obeyed = (*own, *NarrationObserver.commands, *PossessionStage.commands)
    assert told == [(spec.name, spec.role, tuple(each.name for each in spec.arguments)) for spec in obeyed]
    assert {code for row in rows for code in words(row["errors"])} <= ERROR_CODES
    page = PAGE.read_text(encoding="utf-8")
    assert f"the last {MOST_REMEMBERED} commands" in page
    assert f"At most {MOST_WAITING} wait, {MOST_WAITING // 2} while a viewer asks" in page
    assert f"at most {MOST_COMMANDS}, each for itself" in page


# Options.


def leaves(section: type[BaseModel], path: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in section.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from leaves(annotation, f"{path}{name}.")
        else:
            yield f"{path}{name}", field


def bounds(field: FieldInfo) -> tuple[float, float] | None:
    """The lowest and the highest number that an option may be, None for what is no number."""
    metadata = list(field.metadata)
    for alternative in get_args(field.annotation):
        if alternative is not type(None):
            metadata += alternative.__metadata__ if hasattr(alternative, "__metadata__") else ()
    low = [each.ge for each in metadata if isinstance(each, annotated_types.Ge)]
    high = [each.le for each in metadata if isinstance(each, annotated_types.Le)]
    return (low[0], high[0]) if low and high else None


def option_rows() -> dict[str, dict[str, str]]:
    rows = [row for _, found in tables() if list(found[0]) == ["key", "default", "range"] for row in found]
    keys = [words(row["key"])[0] for row in rows]
    assert len(keys) == len(set(keys))
    return dict(zip(keys, rows, strict=True))


OPTIONS = {
    **dict(leaves(TownOptions)),
    **{f"options.{name}": field for name, field in ScriptedOptions.model_fields.items()},
}


def test_every_option_is_on_the_page_and_no_other():
    assert option_rows().keys() == OPTIONS.keys()


@pytest.mark.parametrize("key", OPTIONS)
def test_an_option_has_the_default_and_range_of_the_page(key):
    row, field = option_rows()[key], OPTIONS[key]
    assert words(row["default"]) == [orjson.dumps(field.default).decode().strip('"')]
    found = bounds(field)
    if found is not None:
        low, high = (float(bound.replace(" ", "")) for bound in row["range"].split(" to "))
        assert (low, high) == found


# Vocabulary.


def test_streams_and_test_vectors_are_those_of_the_page():
    for row in table("stream", "key"):
        assert seeding.stream_key(words(row["stream"])[0]) == int(words(row["key"])[0], 16)
    vectors = table("seed", "stream", "tick", "entity", "index", "H", "R(0,9)")
    assert len(vectors) == 6
    for row in vectors:
        seed = 2**63 if row["seed"] == "2^63" else int(row["seed"])
        where = (seeding.stream_key(row["stream"]), int(row["tick"]), int(row["entity"]), int(row["index"]))
        assert seeding.draw(seed, *where) == int(words(row["H"])[0], 16)
        assert seeding.integer(0, 9, seed, *where) == int(row["R(0,9)"])


def test_flows_are_those_of_the_page():
    assert [words(row["flow"])[0] for row in table("flow", "from → to", "amount (mills)", "when")] == list(
        codes.FLOWS
    )


def test_tiles_places_and_objects_are_those_of_the_page():
    assert [(words(row["tile"])[0], row["code"]) for row in table("tile", "code", "passable")] == [
        (name, str(number)) for number, name in enumerate(TILES)
    ]
    assert [words(row["place kind"])[0] for row in table("place kind", "till")] == list(PLACE_KINDS)
    assert {words(row["place kind"])[0] for row in table("place kind", "till") if row["till"] == "yes"} == {
        name for name, kind in SHIPPED.place_kinds.items() if kind.till
    }
    rows = table("object", "stock = capacity", "utilities")
    assert [words(row["object"])[0] for row in rows] == list(OBJECT_TYPES)
    for row in rows:
        kind = OBJECT_TYPES[words(row["object"])[0]]
        stock = dict(pair.split() for pair in [row["stock = capacity"]] if pair != "—")
        assert {item: int(number) for item, number in stock.items()} == dict(kind.stock)
        assert tuple(words(row["utilities"])) == kind.utilities


def test_needs_and_items_are_those_of_the_page():
    rows = table("need", "decay per tick", "option", "reward weight", "night level")
    assert [words(row["need"])[0] for row in rows] == list(NEEDS)
    for row in rows:
        need = SHIPPED.needs[words(row["need"])[0]]
        numbers = [float(row[head]) for head in ("decay per tick", "reward weight", "night level")]
        assert numbers == [need.decay, need.weight, need.night]
        assert words(row["option"]) == [need.option]
    assert {name: int(most) for name, most in named("item", "most carried").items()} == {
        name: item.carry for name, item in SHIPPED.items.items()
    }


def test_the_shipped_maps_are_those_of_the_page():
    for row in table("map", "residents", "size", "passable tiles", "objects", "home tiles", "jobs"):
        built = TownModel.build(TownOptions(town=words(row["map"])[0]))
        assert built.plan.target == int(row["residents"])
        assert f"{built.plan.width} x {built.plan.height}" == row["size"]
        assert int(built.tables.passable.sum()) == int(row["passable tiles"])
        assert len(built.plan.objects) == int(row["objects"])
        assert len(built.plan.home_tiles) == int(row["home tiles"])
        assert list(built.job_ids) == words(row["jobs"])


def test_jobs_are_those_of_the_page():
    jobs = {job.id: job for job in TownModel.build().plan.jobs}
    rows = table("job", "place", "shift", "wage", "late fine", "capacity")
    assert {words(row["job"])[0] for row in rows} == jobs.keys()
    for row in rows:
        job = jobs[words(row["job"])[0]]
        assert row["shift"] == f"[{job.start}, {job.end})"
        assert (row["wage"], row["late fine"], row["capacity"]) == (
            str(job.wage),
            str(job.late_fine),
            str(job.capacity),
        )


def test_what_eight_residents_need_is_that_of_the_page():
    assert {name: int(number) for name, number in named("type", "per 8 residents").items()} == {
        name: kind.per_eight for name, kind in OBJECT_TYPES.items() if kind.per_eight
    }


def test_limits_of_a_map_are_those_of_the_page():
    assert {name: int(number.replace(" ", "")) for name, number in named("limit", "value").items()} == {
        "side of a map": texts.MAX_SIDE,
        "side of a grid, in districts": texts.MAX_GRID_SIDE,
        "tiles of a town": texts.MAX_TILES,
        "residents": texts.MAX_RESIDENTS,
        "longest path": townmap.LONGEST_PATH,
        "least reach": townmap.LEAST_REACH,
        "nearest objects a planner sees": navigation.NEAREST,
        "needs": codes.MAX_NEEDS,
        "items": codes.MAX_ITEMS,
        "options": codes.MAX_OPTIONS,
        "types of object": codes.MAX_OBJECT_TYPES,
        "affordances": codes.MAX_AFFORDANCES,
        "ticks of a day": codes.TICKS_PER_DAY,
        "names": len(load_names()),
        "post-shift ticks": employment.POST_SHIFT_TICKS,
        "days a stamp counts": codes.ABSENCE_MEMORY // codes.TICKS_PER_DAY,
        "times of impatience": queues.IMPATIENT_TIMES,
        "specs of events": codes.MAX_SPECS,
        "events of a district": codes.EVENTS_PER_DISTRICT,
        "targets of an event": codes.EVENT_TARGETS,
    }


def test_profiles_are_those_of_the_page():
    rows = table(
        "profile", "extroversion", "forgiveness", "ambition", "need multipliers", "departure lead",
        "chat cooldown", "chat factor", "avoids from", "reward factors", "weight",
    )  # fmt: skip
    assert [words(row["profile"])[0] for row in rows] == list(PROFILES)
    built = TownModel.build().tables.profiles
    for row, profile in zip(rows, built, strict=True):
        multipliers = dict.fromkeys(NEEDS, 1.0)
        for need, factor in re.findall(r"(\w+) ([\d.]+)", row["need multipliers"]):
            multipliers[need] = float(factor)
        assert profile.need[: len(NEEDS)].tolist() == list(multipliers.values())
        traits = [float(row[trait]) for trait in layout.PERSONALITY]
        assert traits == [profile.extroversion, profile.forgiveness, profile.ambition]
        assert (float(row["weight"]), int(row["departure lead"])) == (
            pytest.approx(profile.weight),
            profile.lead,
        )
        habits = [float(row[habit]) for habit in ("chat cooldown", "chat factor", "avoids from")]
        assert habits == pytest.approx([profile.chat_cooldown, profile.chat_factor, profile.avoids_from])
        factors = dict(re.findall(r"(\w+) ([\d.]+)", row["reward factors"]))
        assert {group: float(factor) for group, factor in factors.items()} == dict(
            SHIPPED.profiles[words(row["profile"])[0]].reward_factors
        )
    assert (model.DEPARTURE_LEAD, model.MAX_LEAD) == (20, 240)
    assert (model.CHAT_COOLDOWN, model.AVOIDS_FROM) == (30, 0.7)
    assert (model.LEAST_CHAT_FACTOR, model.MOST_CHAT_FACTOR) == (0.5, 1.5)


def test_actions_and_results_are_those_of_the_page():
    listed = [name for row in table("#", "action", "unmasked when") for name in words(row["action"])]
    spec = TownModel.build().spec
    assert listed[: len(codes.VERBS)] == list(codes.VERBS)
    assert listed[len(codes.VERBS) :] == [name for name in spec.action_names if name.startswith("use:")]
    assert [name for row in table("result", "meaning") for name in words(row["result"])] == list(
        codes.REASONS
    )


def test_the_manifest_is_that_of_the_page():
    rows = table("id", "object", "ticks", "preconditions", "charge", "effects", "tags")
    built = TownModel.build()
    specs = built.plan.affordances.affordances
    assert [words(row["id"])[0] for row in rows] == [spec.id for spec in specs]
    for row, spec, effects in zip(rows, specs, built.effects, strict=True):
        assert (row["object"], int(row["ticks"])) == (spec.object_type, spec.duration)
        conditions = [f"{each.lhs.name} {each.op} {each.rhs.code}" for each in spec.preconditions]
        assert words(row["preconditions"]) == conditions
        charges = []
        for charge in spec.charge:
            taken = {"inventory": charge.inventory, "stock": charge.stock, "price": charge.price}
            parts = [f"{kind}:{item} {n}" for kind, items in taken.items() for item, n in items.items()]
            charges.append(" + ".join(parts) or "free")
        assert words(row["charge"]) == charges
        assert dict(
            pair.split() for pair in words(row["effects"]) if pair.startswith(("need", "inv", "stock"))
        ) == {key: f"{value:+g}" for key, value in effects.items()}
        (nearby,) = [pair for pair in words(row["effects"]) if pair.startswith("relation")] or [""]
        parts = nearby.split()[1:]
        assert dict(zip(parts[::2], map(float, parts[1::2]), strict=True)) == {
            part: change for part, change in spec.effects.relation.items() if change
        }
        assert words(row["tags"]) == list(spec.tags)


def test_what_uses_do_in_each_tick_and_how_they_end_early_is_that_of_the_page():
    head = ("id", "in each tick", "until", "wakes: ticks before the shift", "wakes: a need below", "decay")
    rows = {words(row["id"])[0]: row for row in table(*head)}
    for spec in TownModel.build().plan.affordances.affordances:
        if spec.id not in rows:
            assert (dict(spec.each_tick), spec.until, spec.wakes_before, spec.wakes_below, spec.decay) == (
                {}, (), -1, 0.0, 1.0,
            )  # fmt: skip
            continue
        row = rows[spec.id]
        told = [f"need:{need} {change:+g}" for need, change in spec.each_tick.items()]
        assert words(row["in each tick"]) == told
        assert words(row["until"]) == [each.text for each in spec.until]
        assert row[head[3]] == (str(spec.wakes_before) if spec.wakes_before >= 0 else "")
        assert row[head[4]] == (f"{spec.wakes_below:g}" if spec.wakes_below else "")
        assert float(row["decay"]) == spec.decay


def test_names_of_preconditions_are_those_of_the_page():
    text = PAGE.read_text(encoding="utf-8")
    paragraph = text[text.index("**Names in preconditions**") :].split("\n\n")[0]
    assert words(paragraph) == [*codes.FIXED_NAMES, "inventory.<item>", "stock.<item>"]
    known = {
        *codes.FIXED_NAMES,
        *NEEDS,
        *(f"{base}.{item}" for base in ("inventory", "stock") for item in ITEMS),
    }
    assert set(CONDITION_NAMES) == known


def test_conflicts_are_those_of_the_page():
    boosts = {name: float(boost) for name, boost in named("conflict", "boost").items()}
    assert list(boosts) == list(codes.CONFLICTS)
    assert list(boosts.values()) == [
        conflicts.GHOST_STEP_BOOST, conflicts.JOSTLE_BOOST, conflicts.WAITING_BOOST,
    ]  # fmt: skip


# Events.


def test_specs_of_events_are_those_of_the_page():
    rows = table("spec", "effect", "a day", "cooldown", "ticks", "permille", "targets")
    specs = TownModel.build().plan.specs
    assert [words(row["spec"])[0] for row in rows] == [spec.name for spec in specs]
    for row, spec in zip(rows, specs, strict=True):
        assert words(row["effect"]) == [codes.SPEC_EFFECTS[spec.effect]]
        assert (float(row["a day"]), int(row["cooldown"])) == (spec.chance, spec.cooldown)
        assert row["ticks"] == "{} to {}".format(*spec.duration)
        assert row["permille"] == ("{} to {}".format(*spec.magnitude) if spec.effect == codes.SPIKE else "")
        assert words(row["targets"]) == list(spec.targets)
    effects = table("what events do", "targets", "while it is under way")
    assert [words(row["what events do"])[0] for row in effects] == list(codes.SPEC_EFFECTS)


# Ties.


def plain_page() -> str:
    """The page with the signs of a keyboard."""
    page = PAGE.read_text(encoding="utf-8")
    return page.replace("\N{MULTIPLICATION SIGN}", "x").replace("\N{MINUS SIGN}", "-")


def change(trust: float, familiarity: float, rivalry: float) -> tuple[float, ...]:
    return trust, familiarity, rivalry


def test_changes_of_ties_are_those_of_the_page():
    rows = table("change", "trust", "familiarity", "rivalry", "a, b, when")
    assert [words(row["change"])[0] for row in rows] == list(codes.TIE_REASONS[: codes.PLUGIN + 1])
    numbers = {
        words(row["change"])[0]: tuple(
            float(row[part].partition(" \N{MULTIPLICATION SIGN}")[0]) for part in layout.TIE
        )
        for row in rows
        if row["trust"] not in ("as in the manifest", "as the hooks say")
    }
    assert numbers == {
        "chat_success": change(chat.GOOD_TRUST, chat.GOOD_FAMILIARITY, 0),
        "chat_failure": change(0, chat.BAD_FAMILIARITY, chat.BAD_RIVALRY),
        "queue_polite": change(queues.POLITE_TRUST, queues.POLITE_FAMILIARITY, queues.POLITE_RIVALRY),
        "shared_meal": change(company.MEAL_TRUST, company.MEAL_FAMILIARITY, 0),
        "employment_help": change(
            employment.HELP_TRUST, employment.HELP_FAMILIARITY, employment.HELP_RIVALRY
        ),
        "shift_covered": change(employment.COVERED_TRUST, 0, employment.COVERED_RIVALRY),
        "conflict": change(0, 0, conflicts.RIVALRY_PER_INTENSITY),
    }
    page = plain_page()
    assert f"`1 - {ties.PER_FORGIVENESS} x forgiveness`" in page
    assert f"`1 + {ties.PER_AMBITION} x ambition`" in page
    assert f"`{ties.PER_EXTROVERSION} x extroversion`" in page


def test_thresholds_of_ties_are_those_of_the_page():
    rows = table("threshold", "number", "level")
    assert [words(row["threshold"])[0] for row in rows] == list(codes.THRESHOLDS)
    levels = {words(row["threshold"])[0]: row["level"] for row in rows}
    assert levels["rival"] == "`avoids from` of the owner"
    assert (float(levels["friend"]), float(levels["feud"])) == (ties.FRIEND_FROM, ties.FEUD_FROM)


def test_reasons_to_leave_are_those_of_the_page():
    rows = table("reason", "condition", "kept in town by")
    assert [words(row["reason"])[0] for row in rows] == list(codes.EXITS)
    disturbances = {"blackout": codes.POWER, "outage": codes.WATER, "spike": codes.PRICE_SPIKE}
    for row, kept in zip(rows[: codes.EXIT_KILLED], lifecycle.KEPT_BY, strict=True):
        named_here = row["kept in town by"].split(", ") if row["kept in town by"] else []
        assert kept == sum(1 << disturbances[each] for each in named_here)


def test_numbers_of_lives_are_those_of_the_page():
    assert {name: float(number) for name, number in named("lifecycle", "number").items()} == {
        "collapse: hunger at most": lifecycle.COLLAPSE_LEVEL,
        "collapse: ticks in a row": lifecycle.COLLAPSE_TICKS,
        "neglect: a need at most": lifecycle.NEGLECT_LEVEL,
        "neglect: ticks of a day": lifecycle.NEGLECT_TICKS,
        "eviction: days of rent owed": lifecycle.DAYS_OWED,
        "eviction: ticks of grace": lifecycle.OWED_TICKS,
        "unemployment: ticks without a job": lifecycle.JOBLESS_TICKS,
        "kept for ticks after a disturbance": lifecycle.CALM_TICKS,
        "moves away from minute": residents.MOVES_FROM,
        "moves away until minute": residents.MOVES_TO,
        "arrives after ticks, at least": lifecycle.SOONEST_ARRIVAL,
        "arrives after ticks, at most": lifecycle.LATEST_ARRIVAL,
        "chance of a job on arrival": residents.ARRIVAL_JOB_CHANCE,
    }


def test_numbers_of_society_are_those_of_the_page():
    assert {name: float(number) for name, number in named("society", "number").items()} == {
        "tie: ticks of decay": ties.TICKS_OF_DECAY,
        "tie: trust left": ties.TRUST_LEFT,
        "tie: familiarity left": ties.FAMILIARITY_LEFT,
        "tie: rivalry left": ties.RIVALRY_LEFT,
        "tie: forgotten below": ties.FORGOTTEN,
        "tie: reserved of a class": ties.RESERVED,
        "tie: told again below a threshold by": ties.REARMED,
        "near: cheb": company.NEAR,
        "near: most residents": company.MOST_NEAR,
        "meal: ticks together": company.TOGETHER,
        "avoidance: cheb": avoidance.KEPT_DISTANCE,
        "avoidance: quiet ticks": avoidance.QUIET_TICKS,
    }


def test_the_formulas_of_a_chat_are_those_of_the_page():
    page = plain_page()
    chance = (
        f"clamp({chat.CHANCE} x (1 + {chat.CHANCE_PER_TRUST} x t) x (1 + {chat.CHANCE_PER_FAMILIARITY} x f)"
        f" + {chat.AT_FESTIVAL} if both are in the place of a festival, "
        f"{chat.LEAST_CHANCE}, {chat.MOST_CHANCE})"
    )
    quality = (
        f"clamp(({chat.QUALITY} + {chat.QUALITY_PER_EXTROVERSION} x extroversion"
        f" + {chat.QUALITY_PER_TRUST} x t + {chat.QUALITY_PER_FAMILIARITY} x f"
        f" - {chat.QUALITY_PER_RIVALRY} x r) x chat factor, "
        f"{chat.LEAST_QUALITY}, {chat.MOST_QUALITY:g})"
    )
    assert f"chance  = {chance}" in page
    assert f"quality = {quality}" in page


def test_states_of_a_shift_are_those_of_the_page():
    listed = [name for row in table("situation", "state") for name in words(row["state"])]
    assert set(listed) == set(codes.SHIFT_STATES)


def test_prices_and_the_basket_are_those_of_the_page():
    assert {key: int(mills) for key, mills in named("price", "mills").items()} == dict(PRICES)
    numbers = {name: float(number) for name, number in named("balance", "number").items()}
    assert numbers == {
        **{f"{key} a day": float(number) for key, number in SHIPPED.basket.items()},
        "basket": float(prices.cost_of_a_day(TownOptions().economy.rent_per_day, PRICES, SHIPPED.basket)),
        "least pay / basket": float(prices.LEAST_PAY),
        "most pay / basket": float(prices.MOST_PAY),
        "chance at the job board": employment.BOARD_CHANCE,
    }


def test_the_layout_of_observations_is_that_of_the_page():
    names = []
    for row in table("index", "feature", "value"):
        first, _, last = row["index"].partition(" to ")
        found = words(row["feature"])
        assert len(found) == int(last or first) - int(first) + 1, row
        assert len(names) == int(first)
        names += found
    assert names == list(BASE)
    assert words(named_text("**Channels**")) == list(layout.HYBRID_CHANNELS)
    assert words(named_text("**Targets**")) == list(TARGETS)
    assert words(named_text("**Options**")) == list(BEHAVIOURS)
    assert f"layout version {layout.LAYOUT_VERSION}" in PAGE.read_text(encoding="utf-8")


def named_text(mark: str) -> str:
    """The line that begins with a mark, up to the first full stop."""
    (line,) = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith(mark)]
    return line.partition(".")[0]


def test_the_options_of_the_stages_are_those_of_the_page():
    rows = table("stage", "key", "default", "range")
    told = [
        (words(row["stage"])[0], words(row["key"])[0], words(row["default"])[0], row["range"]) for row in rows
    ]
    assert told == [
        (factory.name, key, str(field.default), "{} to {}".format(*map(spaced, bounds(field) or ())))
        for factory in townlet_stages()
        for key, field in leaves(factory.options)
    ]


def spaced(number: float) -> str:
    """A number as the page writes it: thousands apart."""
    return f"{number:,g}".replace(",", " ") if number >= 1000 else f"{number:g}"


def test_numbers_of_the_scripted_policy_are_those_of_the_page():
    numbers = {name: float(number.replace(" ", "")) for name, number in named("scripted", "number").items()}
    assert numbers == {
        "ticks before a shift with a higher threshold": rules.BEFORE_SHIFT,
        "added to the threshold before a shift": rules.PREPARED,
        "night from": rules.NIGHT_FROM,
        "latest beginning of a night after that": rules.EVENINGS,
        "ticks before the night with a higher threshold": rules.BEFORE_NIGHT,
        "prepares for the night when tired from": rules.TIRED_FROM,
        "tired below": rules.TIRED,
        "ticks from the beginning of the night to an early shift": rules.SLEEP_BEFORE,
        "leisure ends before the night by": rules.HOME_BY,
        "added to the threshold before going home": rules.SOON,
        "leaves a busy object for another place to save more than": decide.STAY,
        "by day, what can wait for the night below": rules.NAP_BELOW,
        "least ticks of a use that wakes before the shift": planning.LEAST_REST,
        "longest wait for such a use": planning.REST_WAIT,
        "night to": rules.NIGHT_TO,
        "errands from": rules.ERRANDS_FROM,
        "errands to": rules.ERRANDS_TO,
        "added to the threshold before the night": rules.PREPARED_FOR_NIGHT,
        "chance of a day of making": rules.MAKING_DAYS,
        "chance of a slow morning": rules.SLOW,
        "ticks that it takes at least": rules.SLOW_FROM,
        "ticks that it takes at most": rules.SLOW_TO,
        "ticks of a part of the day": rules.OUTING,
        "evening from": rules.EVENING_FROM,
        "more of it in the evening": rules.SOCIABLE_EVENING,
        "who is out stays out for": rules.STAY_OUT,
        "shop for parts from": rules.SHOP_MONEY,
        "goes out from an extroversion of": rules.OUT_FROM,
        "chance of a part of the day out": rules.SOCIABLE,
        "more of it per extroversion": rules.SOCIABLE_PER_EXTROVERSION,
        "money weight": planning.MONEY_WEIGHT,
        "money weight: least wallet": planning.RICH_ENOUGH,
        "spare ticks before a shift": planning.SPARE_TICKS,
        "mills in the wallet for each tick less for a treat": planning.TREAT_MILLS,
        "most ticks less for a treat": planning.TREAT_MOST,
        "longest wait for leisure": planning.LEISURE_WAIT,
        "less for leisure in company": planning.COMPANY,
        "company within": planning.COMPANY_NEAR,
        "extra cost of preparing first": planning.MAKING,
        "prepare first from a need of": planning.MAKE_FROM,
        "paid leisure from a wallet of": planning.PAID_WALLET,
        "paid leisure from what it lowers of": planning.PAID_LOWERED,
        "paid leisure below what it raises of": planning.PAID_RAISED,
        "mills beyond that for a whole chance of an hour of it": planning.PAID_MILLS,
        "greatest chance of an hour of it": planning.PAID_MOST,
        "blocks before pushing": controllers.PATIENCE,
        "chance of talk at work": society.TALK_AT_WORK,
        "chance of keeping company when idle": society.KEEPS_COMPANY,
        "ticks for which that is drawn": society.COMPANY_TICKS,
        "company within steps": society.REACH,
        "steps per regard": society.PER_REGARD,
        "steps aside within": society.SEEN_FROM,
        "until beyond": society.KEPT,
        "at ease from a need of": society.AT_EASE,
    }
    assert set(scripted.OWN_OPTIONS) < set(BEHAVIOURS)
