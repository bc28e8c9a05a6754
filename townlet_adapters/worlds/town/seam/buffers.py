"""The arrays of a batch of towns, allocated for a model."""

import numpy as np

from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.compiled.state import (
    ARRIVAL,
    CURSOR,
    DISTRICT,
    EFFECT,
    EVENT,
    OBJECT,
    OUTCOME,
    PERTURBATION,
    PRICE,
    RESIDENT,
    TIE,
    TOWN,
    Journal,
    Scratch,
    TownState,
)
from townlet_adapters.worlds.town.systems.observe import TownArrays
from townlet_adapters.worlds.town.systems.tick import Intents


def allocate_arrays(model: TownModel, towns: int) -> TownArrays:
    """Return zeroed arrays of the right shapes; a caller may pass others, in shared memory for example."""
    b, n, spec = towns, model.spec.capacity, model.spec
    channels, window = len(spec.map_channels), spec.map_window
    return TownArrays(
        map=np.zeros((b, n, channels, window, window), np.uint8),
        features=np.zeros((b, n, len(spec.feature_names)), np.float32),
        mask=np.zeros((b, n, len(spec.action_names)), np.uint8),
        reward=np.zeros((b, n), np.float32),
        reward_parts=np.zeros((b, n, len(spec.reward_parts)), np.float64),
        terminated=np.zeros((b, n), np.uint8),
        truncated=np.zeros((b, n), np.uint8),
        alive=np.zeros((b, n), np.uint8),
        serial=np.zeros((b, n), np.int64),
    )


def allocate_state(model: TownModel, towns: int) -> TownState:
    """Return the state of towns that have not been founded: all zero."""
    t, b, n = model.tables, towns, model.spec.capacity
    o, districts, keys = t.objects.shape[0], *t.start_price.shape
    height, width = t.object_mark.shape
    return TownState(
        towns=np.zeros(b, TOWN),
        districts=np.zeros((b, districts), DISTRICT),
        residents=np.zeros((b, n), RESIDENT),
        objects=np.zeros((b, o), OBJECT),
        roster=np.zeros((b, n), np.int64),
        census=np.zeros((b, 2 + n // len(model.names), 1 + max(len(model.names), len(t.profiles))), np.int64),
        cooldowns=np.zeros((b, n, model.cooldowns, 2), np.int64),
        outcomes=np.zeros((b, n, model.outcome_history), OUTCOME),
        ties=np.zeros((b, n, model.options.relationships.max_ties), TIE),
        portraits=np.zeros((b, n, model.portrait), np.float32),
        released=np.zeros((b, model.plan.embedding_slots), np.int64),
        occupant=np.zeros((b, height, width), np.int16),
        reserved=np.zeros((b, height, width), np.uint8),
        tills=np.zeros((b, t.places.shape[0]), np.int64),
        price=np.zeros((b, districts, keys), PRICE),
        effects=np.zeros((b, model.effect_rows), EFFECT),
        arrivals=np.zeros((b, n), ARRIVAL),
        perturbations=np.zeros((b, model.event_rows), PERTURBATION),
        spec_ready=np.zeros((b, *t.spec_place.shape), np.int64),
        starts=np.zeros((b, districts, max(1, int(t.params[0].max_per_window))), np.int64),
        flows=np.zeros((b, len(codes.FLOWS)), np.int64),
        job_holders=np.zeros((b, t.jobs.shape[0]), np.int64),
    )


def allocate_journal(model: TownModel, towns: int, rows: int) -> Journal:
    """Return an empty journal with room for so many rows of each town."""
    return Journal(
        rows=np.zeros((towns, rows), EVENT),
        written=np.zeros(towns, np.int32),
        actions=np.zeros((towns, len(model.spec.action_names)), np.int32),
        failures=np.zeros((towns, len(codes.REASONS)), np.int32),
    )


def allocate_scratch(model: TownModel) -> Scratch:
    """Return room for one town's work within a phase."""
    tiles = model.tables.passable.size
    n = model.spec.capacity
    return Scratch(
        order=np.zeros(n, np.int64),
        keys=np.zeros(n, np.uint64),
        visited=np.zeros(tiles + 1, np.int64),
        frontier=np.zeros(tiles, np.int64),
        cursor=np.zeros(1, CURSOR),
    )


def allocate_intents(model: TownModel, towns: int) -> Intents:
    """Return the intents of residents that all wait."""
    shape = (towns, model.spec.capacity)
    return Intents(
        action=np.zeros(shape, np.int16),
        target=np.full(shape, -1, np.int32),
        option=np.full(shape, -1, np.int8),
        goal=np.full(shape, -1, np.int32),
        commit=np.zeros(shape, np.int16),
    )
