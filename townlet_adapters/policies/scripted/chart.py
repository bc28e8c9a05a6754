"""Facts derived from the view's constants: the purpose of each affordance, the ways from objects to work.

No affordance is known by its name. With the core manifest (DOMAIN section 8.2) the purposes are

=========  ==========================================================  ======================
purpose    an affordance that                                          core manifest
=========  ==========================================================  ======================
EAT        raises hunger by 0.2 or more                                eat_meal, buy_meal
WASH       raises hygiene by 0.2 or more                               use_shower
SLEEP      raises energy by 0.2 or more                                rest_sleep
COOK       yields a meal                                               cook_meal
GROCERIES  yields ingredients, and no meal                             buy_groceries
WORKOUT    serves none of these, raises energy, costs money            work_out
RELAX      serves none of these, raises energy, takes nothing          relax
=========  ==========================================================  ======================

An affordance that yields a meal is never EAT, whatever effect it has on hunger. A meal that cannot be carried
along (EAT, and no alternative takes a carried meal, as ``buy_meal``) is a treat: planning subtracts ``TREAT``
from its cost.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from townlet_adapters.kernels.compiler import entry_kernel
from townlet_adapters.kernels.fields import UNREACHABLE
from townlet_adapters.kernels.records import Records
from townlet_adapters.policies.scripted.columns import (
    CHARGE,
    DAY,
    ENERGY,
    HUNGER,
    HYGIENE,
    INGREDIENTS,
    JOB,
    MEAL,
    USE,
    Chart,
)
from townlet_adapters.policies.scripted.options import ScriptedOptions
from townlet_core.dto.observation import Constants
from townlet_core.dto.spec import WorldSpec

# Purposes; EAT, WASH and SLEEP have the numbers of the needs they serve.
EAT, WASH, SLEEP, COOK, GROCERIES, WORKOUT, RELAX = 0, 1, 2, 3, 4, 5, 6
PURPOSES = 7
SERVES_FROM = 0.2
TREAT = 15


def purposes(constants: Constants) -> npt.NDArray[np.bool_]:
    """Return which affordance serves which purpose, as bool[purposes, A]."""
    need = np.asarray(constants["affordance_need"])
    gain = np.asarray(constants["affordance_yield"])
    priced = np.asarray(constants["charge_price"]).any(axis=(1, 2))
    takes = np.asarray(constants["charge_inventory"]).any(axis=(1, 2))
    takes |= np.asarray(constants["charge_stock"]).any(axis=(1, 2))
    serves = np.zeros((PURPOSES, len(constants["affordance_names"])), dtype=np.bool_)
    serves[COOK] = gain[:, MEAL] > 0
    serves[GROCERIES] = (gain[:, INGREDIENTS] > 0) & ~serves[COOK]
    serves[EAT] = (need[:, HUNGER] >= SERVES_FROM) & ~serves[COOK]
    serves[WASH] = need[:, HYGIENE] >= SERVES_FROM
    serves[SLEEP] = need[:, ENERGY] >= SERVES_FROM
    leisure = (need[:, ENERGY] > 0) & ~serves[:WORKOUT].any(axis=0)
    serves[WORKOUT] = leisure & priced
    serves[RELAX] = leisure & ~priced & ~takes
    return serves


def uses_of(constants: Constants, actions: Sequence[str]) -> Records:
    """Return every affordance, as USE[A]; ``actions`` are the names of all actions."""
    serves = purposes(constants)
    brought_along = np.asarray(constants["charge_inventory"])[:, :, MEAL].any(axis=1)
    uses = np.zeros(len(constants["affordance_names"]), dtype=USE)
    uses["action"] = [actions.index(f"use:{name}") for name in constants["affordance_names"]]
    uses["type"] = constants["affordance_type"]
    uses["duration"] = constants["affordance_duration"]
    uses["alternatives"] = constants["charge_count"]
    uses["serves"] = (serves << np.arange(PURPOSES)[:, np.newaxis]).sum(axis=0)
    uses["extra"] = np.where(serves[EAT] & ~brought_along, -TREAT, 0)
    return uses


def charges_of(constants: Constants) -> Records:
    """Return every way to pay, as CHARGE[A, L]."""
    inventory = np.asarray(constants["charge_inventory"])
    charges = np.zeros(inventory.shape[:2], dtype=CHARGE)
    charges["inventory"] = inventory
    charges["stock"] = constants["charge_stock"]
    return charges


def jobs_of(constants: Constants) -> tuple[Records, npt.NDArray[np.int32]]:
    """Return every job, as JOB[J], and the passable tiles of each place, row-major."""
    place_at = np.where(np.asarray(constants["passable"]) != 0, np.asarray(constants["place_at"]), -1).ravel()
    tiles = np.argsort(place_at, kind="stable").astype(np.int32)
    place = np.asarray(constants["job_place"])
    jobs = np.zeros(len(place), dtype=JOB)
    jobs["field"] = len(constants["object_type"]) + place
    jobs["start"] = constants["job_start"]
    jobs["length"] = (np.asarray(constants["job_end"]) - np.asarray(constants["job_start"])) % DAY
    jobs["first_tile"] = np.searchsorted(place_at[tiles], place, side="left")
    jobs["last_tile"] = np.searchsorted(place_at[tiles], place, side="right") - 1
    return jobs, tiles


@entry_kernel
def measure_commutes(
    fields: npt.NDArray[np.uint8],
    object_xy: npt.NDArray[np.int32],
    jobs: Records,
    commute: npt.NDArray[np.uint8],
) -> None:
    """Fill ``commute`` uint8[O, J]: steps from the nearest tile of each object's reach to each workplace."""
    _, height, width = fields.shape
    for o in range(object_xy.shape[0]):
        x0 = object_xy[o, 0]
        y0 = object_xy[o, 1]
        for job in range(jobs.shape[0]):
            best = UNREACHABLE
            for y in range(max(y0 - 1, 0), min(y0 + 2, height)):
                for x in range(max(x0 - 1, 0), min(x0 + 2, width)):
                    # The object's own field is 0 exactly on its reach.
                    if fields[o, y, x] == 0:
                        best = min(best, fields[jobs[job].field, y, x])
            commute[o, job] = best


def chart_of(constants: Constants, spec: WorldSpec, options: ScriptedOptions, seed: int) -> Chart:
    """Compute the facts that the rules need about a town, once per run."""
    fields = np.asarray(constants["fields"])
    jobs, tiles = jobs_of(constants)
    commute = np.full((len(constants["object_type"]), len(jobs)), UNREACHABLE, dtype=np.uint8)
    measure_commutes(fields, np.asarray(constants["object_xy"]), jobs, commute)
    return Chart(
        fields=fields,
        nearest=np.asarray(constants["nearest"]),
        uses=uses_of(constants, spec.action_names),
        charges=charges_of(constants),
        charge_price=np.asarray(constants["charge_price"]),
        jobs=jobs,
        commute=commute,
        tiles=tiles,
        seed=np.uint64(seed),
        commit_ticks=options.commit_ticks,
        critical=options.critical,
        threshold=options.threshold,
    )
