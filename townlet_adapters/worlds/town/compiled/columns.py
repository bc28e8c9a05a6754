"""What the town shows to policies that plan: the description of each array, and the arrays that never change.

docs/reference/view.md says what each array means; ``view.py`` fills the columns.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.compiled.limits import mixed_constants
from townlet_adapters.worlds.town.compiled.tables import Tables
from townlet_adapters.worlds.town.inputs.plan import TownPlan
from townlet_core.dto.observation import Constants
from townlet_core.dto.spec import ColumnSpec, WorldSpec

_TEXT, _BYTE, _SHORT, _INT, _LONG, _REAL = "", "b", "h", "i", "q", "d"
_FLAG = "B"
DTYPES: Final[Mapping[str, type[np.generic]]] = {
    "B": np.uint8,
    "b": np.int8,
    "h": np.int16,
    "i": np.int32,
    "q": np.int64,
    "d": np.float64,
}
"""Type of the numbers of each format."""

CONSTANTS: Final = (
    ColumnSpec("affordance_names", _TEXT, ("affordances",)),
    ColumnSpec("object_types", _TEXT, ("types",)),
    ColumnSpec("place_kinds", _TEXT, ("places",)),
    ColumnSpec("passable", _FLAG, ("y", "x")),
    ColumnSpec("place_at", _INT, ("y", "x"), "place"),
    ColumnSpec("field_steps", _FLAG, ("windows", "window_y", "window_x"), "steps"),
    ColumnSpec("field_window", _INT, ("fields",), "window"),
    ColumnSpec("field_origin", _INT, ("fields", "xy"), "tiles"),
    ColumnSpec("field_district", _INT, ("fields",), "district"),
    ColumnSpec("district_size", _INT, ("xy",), "tiles"),
    ColumnSpec("nearest", _INT, ("types", "y", "x", "rank"), "object"),
    ColumnSpec("object_type", _INT, ("objects",), "type"),
    ColumnSpec("object_place", _INT, ("objects",), "place"),
    ColumnSpec("object_xy", _INT, ("objects", "xy"), "tiles"),
    ColumnSpec("affordance_type", _INT, ("affordances",), "type"),
    ColumnSpec("affordance_duration", _INT, ("affordances",), "ticks"),
    ColumnSpec("affordance_need", _REAL, ("affordances", "needs")),
    ColumnSpec("affordance_each_tick", _REAL, ("affordances", "needs")),
    ColumnSpec("affordance_wakes_before", _INT, ("affordances",), "ticks"),
    ColumnSpec("affordance_yield", _INT, ("affordances", "items"), "units"),
    ColumnSpec("charge_count", _INT, ("affordances",), "alternatives"),
    ColumnSpec("charge_inventory", _INT, ("affordances", "alternatives", "items"), "units"),
    ColumnSpec("charge_stock", _INT, ("affordances", "alternatives", "items"), "units"),
    ColumnSpec("charge_price", _INT, ("affordances", "alternatives", "goods"), "units"),
    ColumnSpec("resident_values", _TEXT, ("resident_values",)),
    ColumnSpec("object_values", _TEXT, ("object_values",)),
    ColumnSpec("operators", _TEXT, ("operators",)),
    ColumnSpec("condition_affordance", _INT, ("conditions",), "affordance"),
    ColumnSpec("condition_operator", _INT, ("conditions",), "operator"),
    ColumnSpec("condition_left", _TEXT, ("conditions",)),
    ColumnSpec("condition_left_index", _INT, ("conditions",)),
    ColumnSpec("condition_right", _TEXT, ("conditions",)),
    ColumnSpec("condition_right_index", _INT, ("conditions",)),
    ColumnSpec("condition_right_value", _REAL, ("conditions",)),
    ColumnSpec("job_place", _INT, ("jobs",), "place"),
    ColumnSpec("job_start", _INT, ("jobs",), "tick of day"),
    ColumnSpec("job_end", _INT, ("jobs",), "tick of day"),
)
COLUMNS: Final = (
    ColumnSpec("xy", _INT, ("slots", "xy"), "tiles"),
    ColumnSpec("needs", _REAL, ("slots", "needs")),
    ColumnSpec("wallet", _LONG, ("slots",), "mills"),
    ColumnSpec("inventory", _INT, ("slots", "items"), "units"),
    ColumnSpec("job", _INT, ("slots",), "job"),
    ColumnSpec("home_field", _INT, ("slots",), "field"),
    ColumnSpec("extroversion", _REAL, ("slots",)),
    ColumnSpec("departure_lead", _INT, ("slots",), "ticks"),
    ColumnSpec("claim_object", _INT, ("slots",), "object"),
    ColumnSpec("claim_affordance", _INT, ("slots",), "affordance"),
    ColumnSpec("claim_stage", _BYTE, ("slots",), "stage"),
    ColumnSpec("blocked", _INT, ("slots",), "moves"),
    ColumnSpec("ctx_reset", _FLAG, ("slots",)),
    ColumnSpec("option", _BYTE, ("slots",), "option"),
    ColumnSpec("goal", _INT, ("slots",), "field"),
    ColumnSpec("commit_remaining", _SHORT, ("slots",), "ticks"),
    ColumnSpec("home_place", _INT, ("slots",), "place"),
    ColumnSpec("duty_place", _INT, ("slots",), "place"),
    ColumnSpec("refusal", _FLAG, ("slots", "affordances"), "reason"),
    ColumnSpec("resident_value", _REAL, ("slots", "resident_values")),
    ColumnSpec("tie_other", _INT, ("slots", "ties"), "slot"),
    ColumnSpec("tie_trust", _REAL, ("slots", "ties")),
    ColumnSpec("tie_familiarity", _REAL, ("slots", "ties")),
    ColumnSpec("tie_rivalry", _REAL, ("slots", "ties")),
    ColumnSpec("tie_avoided", _FLAG, ("slots", "ties")),
    ColumnSpec("tie_quiet_until", _LONG, ("slots", "ties"), "tick"),
    ColumnSpec("talk_ready", _LONG, ("slots",), "tick"),
    ColumnSpec("invite", _LONG, ("slots",), "event"),
    ColumnSpec("invite_place", _INT, ("slots",), "place"),
    ColumnSpec("invite_until", _LONG, ("slots",), "tick"),
    ColumnSpec("occupants", _FLAG, ("y", "x"), "residents"),
    ColumnSpec("object_open", _FLAG, ("objects",)),
    ColumnSpec("object_powered", _FLAG, ("objects",)),
    ColumnSpec("object_holder", _INT, ("objects",), "slot"),
    ColumnSpec("object_queue", _INT, ("objects",), "residents"),
    ColumnSpec("object_wait", _INT, ("objects",), "ticks"),
    ColumnSpec("object_stock", _INT, ("objects", "items"), "units"),
    ColumnSpec("object_price", _LONG, ("objects", "goods"), "mills"),
    ColumnSpec("object_refusal", _FLAG, ("objects", "affordances"), "reason"),
    ColumnSpec("object_value", _REAL, ("objects", "object_values")),
    ColumnSpec("cooldowns", _LONG, ("slots", "cooldowns", "object_tick")),
)


def constants_of(plan: TownPlan, spec: WorldSpec, t: Tables, object_types: Sequence[str]) -> Constants:
    """Return the arrays that never change, as ``CONSTANTS`` describes them; the tables have room for more."""
    needs, items, fields = len(spec.needs), len(spec.items), t.fields
    arrays: Mapping[str, npt.NDArray[np.generic] | tuple[str, ...]] = {
        "affordance_names": tuple(each.id for each in plan.affordances.affordances),
        "object_types": tuple(object_types),
        "place_kinds": tuple(place.kind for place in plan.places),
        "passable": t.passable,
        "place_at": t.place_at,
        "field_steps": t.field_steps,
        "field_window": fields["window"],
        "field_origin": np.stack([fields["x"], fields["y"]], axis=1),
        "field_district": fields["district"],
        "district_size": np.array([fields[0]["width"], fields[0]["height"]]),
        "nearest": t.nearest,
        "object_type": t.objects["type"],
        "object_place": t.objects["place"],
        "object_xy": np.stack([t.objects["x"], t.objects["y"]], axis=1),
        "affordance_type": t.affordances["type"],
        "affordance_duration": t.affordances["duration"],
        "affordance_need": t.affordances["need"][:, :needs],
        "affordance_each_tick": t.affordances["each_tick"][:, :needs],
        "affordance_wakes_before": t.affordances["wakes_before"],
        "affordance_yield": t.affordances["inventory"][:, :items],
        "charge_count": t.affordances["alternatives"],
        "charge_inventory": t.charges["inventory"][:, :, :items],
        "charge_stock": t.charges["stock"][:, :, :items],
        "charge_price": t.charge_price,
        **mixed_constants(plan.affordances.affordances),
        "job_place": t.jobs["place"],
        "job_start": t.jobs["start"],
        "job_end": (t.jobs["start"] + t.jobs["length"]) % codes.TICKS_PER_DAY,
    }
    return {each.name: _sealed(arrays[each.name], each.format) for each in CONSTANTS}


def _sealed(array: npt.NDArray[np.generic] | tuple[str, ...], code: str) -> memoryview | tuple[str, ...]:
    if isinstance(array, tuple):
        return array
    return memoryview(np.ascontiguousarray(array, DTYPES[code])).toreadonly()
