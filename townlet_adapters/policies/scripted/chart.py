"""Facts derived from the atlas: the purpose of each affordance, the distances from objects to workplaces.

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
from townlet_core.dto.observation import TownAtlas

# Purposes; EAT, WASH and SLEEP have the numbers of the needs they serve.
EAT, WASH, SLEEP, COOK, GROCERIES, WORKOUT, RELAX = 0, 1, 2, 3, 4, 5, 6
PURPOSES = 7
SERVES_FROM = 0.2
TREAT = 15


def purposes(atlas: TownAtlas) -> npt.NDArray[np.bool_]:
    """Return which affordance serves which purpose, as bool[purposes, A]."""
    need = np.asarray(atlas.affordance_need)
    gain = np.asarray(atlas.affordance_yield)
    priced = np.asarray(atlas.charge_price).any(axis=(1, 2))
    takes = np.asarray(atlas.charge_inventory).any(axis=(1, 2))
    takes |= np.asarray(atlas.charge_stock).any(axis=(1, 2))
    serves = np.zeros((PURPOSES, len(atlas.affordance_names)), dtype=np.bool_)
    serves[COOK] = gain[:, MEAL] > 0
    serves[GROCERIES] = (gain[:, INGREDIENTS] > 0) & ~serves[COOK]
    serves[EAT] = (need[:, HUNGER] >= SERVES_FROM) & ~serves[COOK]
    serves[WASH] = need[:, HYGIENE] >= SERVES_FROM
    serves[SLEEP] = need[:, ENERGY] >= SERVES_FROM
    leisure = (need[:, ENERGY] > 0) & ~serves[:WORKOUT].any(axis=0)
    serves[WORKOUT] = leisure & priced
    serves[RELAX] = leisure & ~priced & ~takes
    return serves


def uses_of(atlas: TownAtlas) -> Records:
    """Return every affordance, as USE[A]."""
    serves = purposes(atlas)
    brought_along = np.asarray(atlas.charge_inventory)[:, :, MEAL].any(axis=1)
    uses = np.zeros(len(atlas.affordance_names), dtype=USE)
    uses["type"] = atlas.affordance_type
    uses["duration"] = atlas.affordance_duration
    uses["alternatives"] = atlas.charge_count
    uses["serves"] = (serves << np.arange(PURPOSES)[:, np.newaxis]).sum(axis=0)
    uses["extra"] = np.where(serves[EAT] & ~brought_along, -TREAT, 0)
    return uses


def charges_of(atlas: TownAtlas) -> Records:
    """Return every way to pay, as CHARGE[A, L]."""
    inventory = np.asarray(atlas.charge_inventory)
    charges = np.zeros(inventory.shape[:2], dtype=CHARGE)
    charges["inventory"] = inventory
    charges["stock"] = atlas.charge_stock
    return charges


def jobs_of(atlas: TownAtlas) -> tuple[Records, npt.NDArray[np.int32]]:
    """Return every job, as JOB[J], and the passable tiles of each place, row-major."""
    place_at = np.where(np.asarray(atlas.passable) != 0, np.asarray(atlas.place_at), -1).ravel()
    tiles = np.argsort(place_at, kind="stable").astype(np.int32)
    place = np.asarray(atlas.job_place)
    jobs = np.zeros(len(place), dtype=JOB)
    jobs["field"] = len(atlas.object_type) + place
    jobs["start"] = atlas.job_start
    jobs["length"] = (np.asarray(atlas.job_end) - np.asarray(atlas.job_start)) % DAY
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


def chart_of(atlas: TownAtlas, options: ScriptedOptions, seed: int) -> Chart:
    """Compute the facts that the rules need about a town, once per run."""
    fields = np.asarray(atlas.fields)
    jobs, tiles = jobs_of(atlas)
    commute = np.full((len(atlas.object_type), len(jobs)), UNREACHABLE, dtype=np.uint8)
    measure_commutes(fields, np.asarray(atlas.object_xy), jobs, commute)
    return Chart(
        fields=fields,
        nearest=np.asarray(atlas.nearest),
        uses=uses_of(atlas),
        charges=charges_of(atlas),
        charge_price=np.asarray(atlas.charge_price),
        jobs=jobs,
        commute=commute,
        tiles=tiles,
        first_use=atlas.first_use,
        seed=np.uint64(seed),
        commit_ticks=options.commit_ticks,
        critical=options.critical,
        threshold=options.threshold,
    )
