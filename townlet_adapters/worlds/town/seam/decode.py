"""Converts state and journal rows to core events and frames: numbers become names."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from townlet_adapters.kernels.records import Records
from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.compiled.rows import (
    KINDS,
    TOGETHER,
    Names,
    Row,
    RowKind,
    agent_id,
    display_name,
    event_id,
    targets_of,
)
from townlet_adapters.worlds.town.compiled.state import PERTURBATION, Journal, TownState, waiting_for
from townlet_adapters.worlds.town.events import affordance, queue
from townlet_adapters.worlds.town.inputs.perturbations import price_targets
from townlet_core.dto.frame import FRAME_DECIMALS, TownFrame
from townlet_core.events.base import Event
from townlet_core.jsonvalue import JsonObject, JsonValue

NumbersT = TypeVar("NumbersT")

Remark: TypeAlias = str | Mapping[str, float]
"""A hook's addition to a row: the reason of a cancellation, or effects by effect key."""

NO_REMARKS: Mapping[int, Remark] = MappingProxyType({})

_DAYLIGHT = (360, 1260)
_REWARD_DECIMALS = 6
"""Rewards of a tick are small numbers."""
_FRAME_COLUMNS_OF_RESIDENTS = (
    "serial", "x", "y", "home", "wallet", "inventory", "name", "name_round", "profile", "shift_state",
    "job", "option", "last_action", "last_target", "claim_object", "claim_affordance", "claim_stage", "due",
)  # fmt: skip
_FRAME_COLUMNS_OF_OBJECTS = (
    "queue_length", "holder", "stock", "running", "affordance", "remaining", "closed",
)  # fmt: skip
_FRAME_COLUMNS_OF_TIES = ("other", "trust", "familiarity", "rivalry")
_TIES_SHOWN = 3
_ENDS_OF_USES = frozenset({codes.EV_FAIL, codes.EV_FINISH})
"""Rows that a hook can add to. A finished use may write rows about ties before its own."""


class Decoder:
    """Converts numbers to names for one town of a batch."""

    def __init__(self, model: TownModel) -> None:
        """Prepare the names of a model."""
        self._model = model
        vocabulary = model.vocabulary
        self._needs, self._items = tuple(vocabulary.needs), tuple(vocabulary.items)
        self._options = vocabulary.option_names
        self._homes: list[tuple[int, int]] = _columns(model.tables.homes, ("x", "y"))
        # The numbers of the last frame and its parts, which the next frame may use again.
        self._tiles: dict[tuple[int, int], JsonValue] = {}
        self._sections: dict[str, tuple[object, dict[str, JsonObject]]] = {}
        self._objects: list[tuple[object, JsonObject] | None] = [None] * len(model.object_ids)
        self._names = names = Names(
            objects=model.object_ids,
            affordances=model.affordance_ids,
            jobs=model.job_ids,
            items=self._items,
            profiles=model.profile_names,
            places=tuple(place.id for place in model.plan.places),
            residents=model.names,
            prices=model.price_keys,
            specs=model.spec_names,
            spec_effects=tuple(spec.effect for spec in model.plan.specs),
            price_targets=tuple(price_targets(vocabulary)),
            effects=model.effects,
            width=model.width,
        )
        self._build = {kind.code: _builder(kind, names) for kind in KINDS}

    def events(
        self, journal: Journal, b: int, remarks: Mapping[int, Remark] = NO_REMARKS
    ) -> tuple[Event, ...]:
        """Decode the last tick of town b, in order; ``rivalry.events`` closes a tick with conflicts.

        Args:
            journal: the journal of the tick.
            b: the town.
            remarks: the hooks' additions, by number of the first row after the hook was asked.
        """
        count = int(journal.written[b])
        if count == 0:
            return ()
        events: list[Event] = []
        together: list[Row] = []
        remark: Remark | None = None
        for number, values in enumerate(journal.rows[b, :count].tolist()):
            row = Row._make(values)
            remark = remarks.get(number, remark)
            if together and (row.kind, row.agent) != (together[0].kind, together[0].agent):
                events.append(self._build[together[0].kind](together))
                together = []
            if row.kind in TOGETHER:
                together.append(row)
            else:
                event = self._build[row.kind]((row,))
                if remark is not None and row.kind in _ENDS_OF_USES:
                    event, remark = _remarked(event, remark), None
                events.append(event)
        if together:
            events.append(self._build[together[0].kind](together))
        conflicts = tuple(
            queue.RivalryEntry(event.actor, event.rival, event.reason, event.intensity)
            for event in events
            if isinstance(event, queue.QueueConflict)
        )
        if conflicts:
            events.append(queue.RivalryEvents(conflicts))
        return tuple(events)

    def frame(self, state: TownState, b: int, rewards: npt.NDArray[np.float64]) -> TownFrame:
        """Build the frame of town b at the end of its last tick; ``rewards`` has the parts of each slot.

        A part that did not change is the same object as in the last frame, so that a comparison of two frames
        is cheap.
        """
        tick = int(state.towns["tick"][b]) - 1
        day, tod = self._model.spec.clock(tick)
        living = state.roster[b, : int(state.towns["population"][b])].tolist()
        residents = _columns(state.residents[b], _FRAME_COLUMNS_OF_RESIDENTS)
        needs = state.residents["need"][b, :, : len(self._needs)].round(FRAME_DECIMALS).tolist()
        agents = {i: agent_id(residents[i][0]) for i in living}
        entries = {agents[i]: self._frame_agent(i, residents[i], needs[i]) for i in living}
        for i, count in zip(living, state.residents["ties"][b, living].tolist(), strict=True):
            if count:
                entries[agents[i]]["ties_top3"] = _strongest(state.ties[b, i, :count], agents)
        return TownFrame(
            tick=tick,
            clock={
                "day": day,
                "tod": tod,
                "phase": "day" if _DAYLIGHT[0] <= tod < _DAYLIGHT[1] else "night",
            },
            agents=entries,
            objects=self._frame_objects(state, b, agents),
            utilities=self._kept("utilities", state.districts["utility"][b].tolist(), _frame_utilities),
            prices=self._kept("prices", state.price["now"][b].tolist(), self._frame_prices),
            perturbations=self._kept("perturbations", _events_of(state, b), self._frame_events),
            employment=self._kept("employment", state.job_holders[b].tolist(), self._frame_employment),
            rewards=_frame_rewards(rewards[living], list(agents.values())),
        )

    def _kept(
        self, name: str, numbers: NumbersT, make: Callable[[NumbersT], dict[str, JsonObject]]
    ) -> dict[str, JsonObject]:
        """Return the last result for a section while its numbers stay the same."""
        last = self._sections.get(name)
        if last is None or last[0] != numbers:
            last = self._sections[name] = (numbers, make(numbers))
        return last[1]

    def _frame_prices(self, prices: list[list[int]]) -> dict[str, JsonObject]:
        return {str(d): dict(zip(self._model.price_keys, each, strict=True)) for d, each in enumerate(prices)}

    def _frame_events(self, events: list[tuple[Any, ...]]) -> dict[str, JsonObject]:
        return {event_id(number): self._frame_event(*row) for number, *row in events}

    def _frame_event(  # noqa: PLR0913, PLR0917 - a row of the list
        self,
        spec: int,
        district: int,
        starts_at: int,
        ends_at: int,
        magnitude: int,
        source: int,
        place: int,
        targets: list[int],
        active: int,
    ) -> JsonObject:
        effect = self._names.spec_effects[spec]
        entry: dict[str, JsonValue] = {
            "kind": self._names.specs[spec],
            "district": district,
            "state": "active" if active else "pending",
            "starts_at": starts_at,
            "ends_at": ends_at,
            "targets": list(targets_of(self._names, effect, targets, place)),
            "source": codes.EVENT_SOURCES[source],
        }
        if effect == codes.SPIKE:
            entry["magnitude"] = magnitude
        return entry

    def _frame_employment(self, holders: list[int]) -> dict[str, JsonObject]:
        capacities = self._model.tables.jobs["capacity"].tolist()
        return {
            job: {"holders": held, "capacity": capacity}
            for job, held, capacity in zip(self._model.job_ids, holders, capacities, strict=True)
        }

    def _frame_agent(self, i: int, row: tuple[Any, ...], needs: list[float]) -> dict[str, JsonValue]:
        model = self._model
        (
            _, x, y, home, wallet, inventory, name, name_round, profile, shift_state,
            job, option, last_action, last_target, claim_object, claim_affordance, claim_stage, due,
        ) = row  # fmt: skip
        entry: dict[str, JsonValue] = {
            "slot": i,
            "name": display_name(model.names[name], name_round),
            "pos": self._tile(x, y),
            "home": self._tile(*self._homes[home]),
            "needs": dict(zip(self._needs, needs, strict=True)),
            "wallet": wallet,
            "inventory": dict(zip(self._items, inventory, strict=False)),
            "profile": model.profile_names[profile],
            "shift_state": codes.SHIFT_STATES[shift_state],
        }
        if job >= 0:
            entry["job"] = model.job_ids[job]
        if 0 <= option < len(self._options):
            entry["option"] = self._options[option]
        if 0 <= last_action < len(model.spec.action_names):
            entry["action"] = model.spec.action_names[last_action]
            entry["target"] = last_target
        if claim_object >= 0:
            entry["claim"] = {
                "object": model.object_ids[claim_object],
                "affordance": model.affordance_ids[claim_affordance],
                "stage": codes.STAGES[claim_stage],
            }
        if due > 0:
            entry["leaving"] = codes.EXITS[due - 1]
        return entry

    def _tile(self, x: int, y: int) -> JsonValue:
        """Return the position of a tile, the same object every time."""
        return self._tiles.setdefault((x, y), [x, y])

    def _frame_objects(self, state: TownState, b: int, agents: Mapping[int, str]) -> dict[str, JsonObject]:
        entries: dict[str, JsonObject] = {}
        for o, row in enumerate(_columns(state.objects[b], _FRAME_COLUMNS_OF_OBJECTS)):
            length, holder = row[0], row[1]
            queue = [agents[i] for i in waiting_for(state, b, o)] if length else []
            numbers = (row, queue, agents[holder] if holder >= 0 else "")
            last = self._objects[o]
            if last is None or last[0] != numbers:
                last = self._objects[o] = (numbers, self._frame_object(o, *numbers))
            entries[self._model.object_ids[o]] = last[1]
        return entries

    def _frame_object(self, o: int, row: tuple[Any, ...], queue: list[str], holder: str) -> JsonObject:
        _, _, stocked, running, affordance_number, remaining, closed = row
        placed = self._model.tables.objects[o]
        entry: dict[str, JsonValue] = {
            "type": self._model.object_types[int(placed["type"])],
            "pos": self._tile(int(placed["x"]), int(placed["y"])),
            "queue": queue,
        }
        stock = {
            item: left
            for item, left, capacity in zip(self._items, stocked, placed["capacity"], strict=False)
            if capacity > 0
        }
        if stock:
            entry["stock"] = stock
        if holder:
            entry["holder"] = holder
        if running:
            entry["running"] = {
                "affordance": self._model.affordance_ids[affordance_number],
                "remaining": remaining,
            }
        if closed:
            entry["closed"] = True
        return entry


def _builder(kind: RowKind, names: Names) -> Callable[[Sequence[Row]], Event]:
    """Return what makes an event of rows of a kind: of one, or of all that become one event."""
    event, reads = kind.event, tuple(field(names) for field in kind.fields)
    if kind.together is None:
        return lambda rows: event(*[read(rows[0]) for read in reads])
    name, bind = kind.together
    read_all = bind(names)
    return lambda rows: event(*[read(rows[0]) for read in reads], **{name: read_all(rows)})


def _remarked(event: Event, remark: Remark) -> Event:
    """Add a hook's remark to the event that it belongs to."""
    if isinstance(event, affordance.AffordanceFail) and isinstance(remark, str):
        return replace(event, detail=remark)
    if isinstance(event, affordance.AffordanceFinish) and isinstance(remark, Mapping):
        added = {key: event.effects.get(key, 0) + amount for key, amount in remark.items()}
        return replace(event, effects={**event.effects, **added})
    raise TypeError(f"internal error: a hook added {remark!r} to {event.kind}")


def _strongest(ties: Records, agents: Mapping[int, str]) -> list[JsonValue]:
    """Return the strongest ties of a resident, ties by id, rounded as needs are."""
    rows = _columns(ties, _FRAME_COLUMNS_OF_TIES)
    strongest = sorted(
        (
            (max(abs(trust + known) / 2, rivalry), agents[other], trust, known, rivalry)
            for other, trust, known, rivalry in rows
        ),
        key=lambda row: (-row[0], row[1]),
    )[:_TIES_SHOWN]
    numbers = np.array([row[2:] for row in strongest]).round(FRAME_DECIMALS).tolist()
    return [
        {"agent": row[1], "trust": trust, "familiarity": familiarity, "rivalry": rivalry}
        for row, (trust, familiarity, rivalry) in zip(strongest, numbers, strict=True)
    ]


def _frame_rewards(rewards: npt.NDArray[np.float64], agents: Sequence[str]) -> dict[str, JsonObject]:
    """Return the parts of each resident's reward that are not 0, rounded, and their sum in any case."""
    shown: dict[str, JsonObject] = {}
    for agent, row in zip(agents, rewards.round(_REWARD_DECIMALS).tolist(), strict=True):
        parts = {name: part for name, part in zip(codes.REWARD_PARTS, row, strict=True) if part}
        shown[agent] = {"total": 0.0, **parts}
    return shown


def _events_of(state: TownState, b: int) -> list[tuple[Any, ...]]:
    count = int(state.towns["perturbations"][b])
    return _columns(state.perturbations[b, :count], PERTURBATION.names or ()) if count else []


def _frame_utilities(utilities: list[list[int]]) -> dict[str, JsonObject]:
    return {
        str(d): {name: bool(on) for name, on in zip(codes.UTILITIES, each, strict=True)}
        for d, each in enumerate(utilities)
    }


def _columns(records: Records, names: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return some fields of all records as plain Python values."""
    return list(zip(*(records[name].tolist() for name in names), strict=True))
