"""Facts derived from the spec and the view's constants, once per run."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from townlet_adapters.kernels.clock import TICKS_PER_DAY
from townlet_adapters.kernels.fields import FIELD
from townlet_adapters.kernels.records import Records
from townlet_adapters.policies.scripted.columns import (
    CARE,
    CHARGE,
    CONDITION,
    JOB,
    NEED,
    NONE,
    OWN_OPTIONS,
    USE,
    Chart,
)
from townlet_adapters.policies.scripted.options import ScriptedOptions
from townlet_adapters.policies.scripted.purposes import Purposes, effect_of, purposes_of
from townlet_adapters.policies.scripted.refusals import OPERANDS, OPERATORS
from townlet_core.dto.observation import Constants
from townlet_core.dto.spec import WorldSpec

TALK = "talk"


def uses_of(constants: Constants, actions: Sequence[str], purposes: Purposes) -> Records:
    """Return every affordance, as USE[A]; ``actions`` are the names of all actions."""
    effect = effect_of(constants)
    bits = 1 << np.arange(effect.shape[1])
    gain = np.asarray(constants["affordance_yield"])
    uses = np.zeros(len(effect), dtype=USE)
    uses["action"] = [actions.index(f"use:{name}") for name in constants["affordance_names"]]
    uses["type"] = constants["affordance_type"]
    uses["duration"] = constants["affordance_duration"]
    uses["wakes"] = constants["affordance_wakes_before"]
    uses["alternatives"] = constants["charge_count"]
    for purpose in ("serves", "makes", "fetches", "treats"):
        uses[purpose] = getattr(purposes, purpose) @ bits
    uses["leisure"] = purposes.leisure
    uses["raised"] = effect.argmax(axis=1)
    uses["lowered"] = np.where(effect.min(axis=1) < 0, effect.argmin(axis=1), NONE)
    uses["gain"][:, : gain.shape[1]] = gain
    return uses


def charges_of(constants: Constants) -> Records:
    """Return every way to pay, as CHARGE[A, L]."""
    inventory = np.asarray(constants["charge_inventory"])
    charges = np.zeros(inventory.shape[:2], dtype=CHARGE)
    for column in ("inventory", "stock"):
        taken = np.asarray(constants[f"charge_{column}"])
        charges[column][:, :, : taken.shape[2]] = taken
    return charges


def conditions_of(constants: Constants) -> Records:
    """Return every precondition that is about a resident and an object together, as CONDITION[...]."""
    conditions = np.zeros(len(constants["condition_affordance"]), dtype=CONDITION)
    operators = [OPERATORS.index(name) for name in texts(constants, "operators")]
    for column in ("affordance", "left_index", "right_index", "right_value"):
        conditions[column] = constants[f"condition_{column}"]
    conditions["operator"] = [operators[n] for n in np.asarray(constants["condition_operator"]).tolist()]
    for side in ("left", "right"):
        conditions[side] = [OPERANDS.index(name) for name in texts(constants, f"condition_{side}")]
    return conditions


def texts(constants: Constants, name: str) -> tuple[str, ...]:
    """Return a constant that is a tuple of texts."""
    found = constants[name]
    return found if isinstance(found, tuple) else ()


def needs_of(spec: WorldSpec, purposes: Purposes) -> Records:
    """Return every need, as NEED[needs]."""
    options = [option.name for option in spec.options]
    needs = np.zeros(len(spec.needs), dtype=NEED)
    items = purposes.means.shape[1]
    needs["option"] = [options.index(need.option) for need in spec.needs]
    needs["night"] = [need.night for need in spec.needs]
    needs["made"] = purposes.makes.any(axis=0)
    needs["fetched"] = purposes.fetches.any(axis=0)
    needs["means"][:, :items] = purposes.means
    needs["parts"][:, :items] = purposes.parts
    return needs


def wants_of(spec: WorldSpec) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return what each option of the world means to this policy, and the option of each of its own wants."""
    options = [option.name for option in spec.options]
    meaning = np.full(len(options), NONE, dtype=np.int64)
    own = np.full(1 + max(OWN_OPTIONS.values()), NONE, dtype=np.int64)
    for name, want in OWN_OPTIONS.items():
        if name in options:
            own[want] = options.index(name)
            meaning[own[want]] = want
    meaning[[options.index(need.option) for need in spec.needs]] = CARE
    return meaning, own


def jobs_of(constants: Constants) -> tuple[Records, npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Return every job, as JOB[J], the passable tiles of each place, row-major, and where each begins."""
    place_at = np.where(np.asarray(constants["passable"]) != 0, np.asarray(constants["place_at"]), -1).ravel()
    tiles = np.argsort(place_at, kind="stable").astype(np.int32)
    place = np.asarray(constants["job_place"])
    jobs = np.zeros(len(place), dtype=JOB)
    jobs["field"] = len(constants["object_type"]) + place
    jobs["start"] = constants["job_start"]
    jobs["length"] = (np.asarray(constants["job_end"]) - np.asarray(constants["job_start"])) % TICKS_PER_DAY
    places = np.arange(len(constants["place_kinds"]) + 1)
    return jobs, tiles, np.searchsorted(place_at[tiles], places).astype(np.int64)


def fields_of(constants: Constants) -> Records:
    """Return the fields, as the kernels read them."""
    district, origin = np.asarray(constants["field_district"]), np.asarray(constants["field_origin"])
    fields = np.zeros(len(district), dtype=FIELD)
    fields["window"] = constants["field_window"]
    fields["x"], fields["y"] = origin[:, 0], origin[:, 1]
    fields["district"] = district
    fields["width"], fields["height"] = constants["district_size"]
    fields["columns"] = np.asarray(constants["passable"]).shape[1] // fields["width"]
    # The last fields are those of the districts' entries.
    fields["entries"] = len(fields) - (district.max() + 1)
    return fields


def resting_of(constants: Constants) -> npt.NDArray[np.int32]:
    """Return the objects of each place for each use that wakes before the shift, as int32[A, P, L]."""
    place, kinds = np.asarray(constants["object_place"]), np.asarray(constants["object_type"])
    wakes = np.asarray(constants["affordance_wakes_before"]) >= 0
    types = np.where(wakes, np.asarray(constants["affordance_type"]), NONE)
    found = [np.flatnonzero(kinds == kind) for kind in types.tolist()]
    places = len(constants["place_kinds"])
    most = max((int(np.bincount(place[each]).max(initial=0)) for each in found), default=0)
    resting = np.full((len(found), places, max(most, 1)), NONE, dtype=np.int32)
    for a, objects in enumerate(found):
        filled = np.zeros(places, dtype=np.int64)
        for o in objects.tolist():
            resting[a, place[o], filled[place[o]]] = o
            filled[place[o]] += 1
    return resting


def chart_of(constants: Constants, spec: WorldSpec, options: ScriptedOptions, seed: int) -> Chart:
    """Compute the facts that the rules need about a world."""
    purposes = purposes_of(constants)
    jobs, tiles, place_tiles = jobs_of(constants)
    meaning, own = wants_of(spec)
    return Chart(
        field_steps=np.asarray(constants["field_steps"]),
        fields=fields_of(constants),
        nearest=np.asarray(constants["nearest"]),
        needs=needs_of(spec, purposes),
        carry=np.array([item.carry for item in spec.items], dtype=np.int64),
        meaning=meaning,
        own=own,
        uses=uses_of(constants, spec.action_names, purposes),
        charges=charges_of(constants),
        charge_price=np.asarray(constants["charge_price"]),
        conditions=conditions_of(constants),
        object_place=np.asarray(constants["object_place"]),
        resting=resting_of(constants),
        jobs=jobs,
        place_at=np.asarray(constants["place_at"]),
        talk=spec.action_names.index(TALK) if TALK in spec.action_names else NONE,
        tiles=tiles,
        place_tiles=place_tiles,
        seed=np.uint64(seed),
        start_tod=spec.start_tod,
        commit_ticks=options.commit_ticks,
        critical=options.critical,
        threshold=options.threshold,
    )
