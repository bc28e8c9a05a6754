"""Converts state and journal rows to core events and frames: numbers become names."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias, TypeVar

from townlet_adapters.kernels.records import Record, Records
from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.events import affordance, economy, employment, lifecycle, queue
from townlet_adapters.worlds.town.model import TownModel
from townlet_adapters.worlds.town.state import Journal, TownState
from townlet_core.dto.frame import FRAME_DECIMALS, TownFrame
from townlet_core.events.base import Event
from townlet_core.jsonvalue import JsonObject, JsonValue


class Row(NamedTuple):
    """One journal row as plain numbers; fields and order are those of ``EVENT``."""

    agent: int
    other: int
    a: int
    b: int
    c: int
    value: float
    kind: int
    reason: int
    object: int
    affordance: int


NumbersT = TypeVar("NumbersT")

Remark: TypeAlias = str | Mapping[str, float]
"""A hook's addition to a row: the reason of a cancellation, or effects by effect key."""

NO_REMARKS: Mapping[int, Remark] = MappingProxyType({})

_DAYLIGHT = (360, 1260)
_MERGED = frozenset({codes.EV_HELPED, codes.EV_COVERED})
_FRAME_COLUMNS_OF_RESIDENTS = (
    "serial", "x", "y", "home", "wallet", "inventory", "name", "name_round", "profile", "shift_state",
    "job", "option", "last_action", "last_target", "claim_object", "claim_affordance", "claim_stage",
)  # fmt: skip
_FRAME_COLUMNS_OF_OBJECTS = (
    "queue_length", "holder", "stock", "running", "affordance", "remaining", "closed",
)  # fmt: skip


def agent_id(serial: int) -> str:
    """Return the id of the resident with a serial."""
    return f"a{serial:05d}"


class Decoder:
    """Converts numbers to names for one town of a batch."""

    def __init__(self, model: TownModel) -> None:
        """Prepare the names of a model."""
        self._model = model
        self._effects = tuple(dict(effects) for effects in model.effects)
        vocabulary = model.vocabulary
        self._needs, self._items = tuple(vocabulary.needs), tuple(vocabulary.items)
        self._options = vocabulary.option_names
        self._homes: list[tuple[int, int]] = _columns(model.tables.homes, ("x", "y"))
        # The numbers of the last frame and its parts, which the next frame may use again.
        self._tiles: dict[tuple[int, int], JsonValue] = {}
        self._sections: dict[str, tuple[object, dict[str, JsonObject]]] = {}
        self._objects: list[tuple[object, JsonObject] | None] = [None] * len(model.object_ids)
        self._decode: Mapping[int, Callable[[Row, TownState, int], Event]] = {
            codes.EV_START: self._start,
            codes.EV_FINISH: self._finish,
            codes.EV_FAIL: self._fail,
            codes.EV_JOIN: self._join,
            codes.EV_GRANT: self._grant,
            codes.EV_LEAVE: self._leave,
            codes.EV_CONFLICT: self._conflict,
            codes.EV_HANDOVER: self._handover,
            codes.EV_ARRIVED: self._arrived,
            codes.EV_LATE_START: self._late_start,
            codes.EV_ABSENT: self._absent,
            codes.EV_DEPARTED: self._departed,
            codes.EV_SHIFT_END: self._shift_end,
            codes.EV_REVIEW: self._review,
            codes.EV_JOB_LOSS: self._job_loss,
            codes.EV_HIRED: self._hired,
            codes.EV_RESTOCK: self._restock,
            codes.EV_RENT: self._rent,
            codes.EV_DAY: self._day,
            codes.EV_ARRIVE: self._arrive,
            codes.EV_MOVED: self._moved,
        }

    def events(
        self, state: TownState, journal: Journal, b: int, remarks: Mapping[int, Remark] = NO_REMARKS
    ) -> tuple[Event, ...]:
        """Decode the last tick of town b, in order; ``rivalry.events`` closes a tick with conflicts.

        Args:
            state: the towns at the end of the tick.
            journal: the journal of the tick.
            b: the town.
            remarks: the hooks' additions, by number of the row.
        """
        count = int(journal.written[b])
        if count == 0:
            return ()
        events: list[Event] = []
        merged: list[Row] = []
        for number, values in enumerate(journal.rows[b, :count].tolist()):
            row = Row(*values)
            if merged and (row.kind, row.agent) != (merged[0].kind, merged[0].agent):
                events.append(self._colleagues(merged))
                merged = []
            if row.kind in _MERGED:
                merged.append(row)
            else:
                event = self._decode[row.kind](row, state, b)
                events.append(_remarked(event, remarks[number]) if number in remarks else event)
        if merged:
            events.append(self._colleagues(merged))
        conflicts = tuple(
            queue.RivalryEntry(event.actor, event.rival, event.reason, event.intensity)
            for event in events
            if isinstance(event, queue.QueueConflict)
        )
        if conflicts:
            events.append(queue.RivalryEvents(conflicts))
        return tuple(events)

    def _object(self, row: Row) -> str:
        return self._model.object_ids[row.object]

    def _affordance(self, row: Row) -> str:
        return self._model.affordance_ids[row.affordance]

    def _job(self, row: Row) -> str:
        return self._model.job_ids[row.a]

    def _position(self, flat: int) -> tuple[int, int]:
        width = self._model.width
        return flat % width, flat // width

    def _start(self, row: Row, state: TownState, b: int) -> Event:
        return affordance.AffordanceStart(
            agent_id(row.agent), self._object(row), self._affordance(row), row.a, row.b, row.c
        )

    def _finish(self, row: Row, state: TownState, b: int) -> Event:
        effects = self._effects[row.affordance]
        return affordance.AffordanceFinish(
            agent_id(row.agent), self._object(row), self._affordance(row), effects
        )

    def _fail(self, row: Row, state: TownState, b: int) -> Event:
        return affordance.AffordanceFail(
            agent_id(row.agent),
            self._object(row),
            self._affordance(row),
            codes.REASONS[row.reason],
            None,
            row.a,
            row.b,
        )

    def _join(self, row: Row, state: TownState, b: int) -> Event:
        return queue.QueueJoin(agent_id(row.agent), self._object(row), self._affordance(row), row.a)

    def _grant(self, row: Row, state: TownState, b: int) -> Event:
        return queue.QueueGrant(agent_id(row.agent), self._object(row), self._affordance(row), row.a)

    def _leave(self, row: Row, state: TownState, b: int) -> Event:
        return queue.QueueLeave(agent_id(row.agent), self._object(row), codes.REASONS[row.reason], row.a)

    def _conflict(self, row: Row, state: TownState, b: int) -> Event:
        where = self._object(row) if row.object >= 0 else None
        reason = codes.CONFLICTS[row.reason]
        return queue.QueueConflict(agent_id(row.agent), agent_id(row.other), where, reason, row.a, row.value)

    def _handover(self, row: Row, state: TownState, b: int) -> Event:
        return queue.QueueHandover(agent_id(row.agent), agent_id(row.other), self._object(row), row.a)

    def _arrived(self, row: Row, state: TownState, b: int) -> Event:
        shift_state = codes.SHIFT_STATES[row.reason]
        return employment.EmploymentArrived(agent_id(row.agent), self._job(row), row.b, shift_state)

    def _late_start(self, row: Row, state: TownState, b: int) -> Event:
        return employment.EmploymentLateStart(agent_id(row.agent), self._job(row), row.b)

    def _absent(self, row: Row, state: TownState, b: int) -> Event:
        return employment.EmploymentAbsent(agent_id(row.agent), self._job(row), row.b, row.c)

    def _departed(self, row: Row, state: TownState, b: int) -> Event:
        return employment.EmploymentDepartedEarly(agent_id(row.agent), self._job(row), row.b)

    def _colleagues(self, rows: list[Row]) -> Event:
        """Build one event from the rows that each have one colleague."""
        first = rows[0]
        coworkers = tuple(agent_id(row.other) for row in rows)
        if first.kind == codes.EV_HELPED:
            return employment.EmploymentHelped(agent_id(first.agent), self._job(first), coworkers)
        return employment.EmploymentShiftCovered(agent_id(first.agent), self._job(first), coworkers)

    def _shift_end(self, row: Row, state: TownState, b: int) -> Event:
        # The row's object column holds the paid ticks: a shift has no object.
        return employment.EmploymentShiftEnd(
            agent_id(row.agent), self._job(row), row.b, row.object, row.value, row.c
        )

    def _review(self, row: Row, state: TownState, b: int) -> Event:
        status = codes.REVIEWS[row.reason]
        return employment.EmploymentReview(agent_id(row.agent), self._job(row), status, row.b)

    def _job_loss(self, row: Row, state: TownState, b: int) -> Event:
        return employment.EmploymentJobLoss(agent_id(row.agent), self._job(row), "reviewed")

    def _hired(self, row: Row, state: TownState, b: int) -> Event:
        return employment.EmploymentHired(agent_id(row.agent), self._job(row), codes.HIRINGS[row.reason])

    def _restock(self, row: Row, state: TownState, b: int) -> Event:
        return economy.EconomyRestock(self._object(row), self._items[row.reason], row.a)

    def _rent(self, row: Row, state: TownState, b: int) -> Event:
        return economy.EconomyRent(agent_id(row.agent), row.a, row.b)

    def _day(self, row: Row, state: TownState, b: int) -> Event:
        # The day's flows stay in the state until the next tick opens.
        moved = zip(codes.HOOKED_FLOWS, state.flows[b].tolist(), strict=False)
        # A town in which hooks moved no money reports the same flows as a town without hooks.
        flows = {kind: amount for kind, amount in moved if amount or kind in codes.FLOWS}
        return economy.EconomyDay(row.reason, flows, row.a, row.b, row.c)

    def _arrive(self, row: Row, state: TownState, b: int) -> Event:
        resident = _fields(state.residents[b, row.a])
        return lifecycle.LifecycleArrive(
            agent_id=agent_id(row.agent),
            serial=row.agent,
            slot=row.a,
            name=self.name_of(resident),
            district=resident["district"],
            position=self._position(row.b),
            profile=self._model.profile_names[resident["profile"]],
            job_id=self._model.job_ids[row.c] if row.c >= 0 else None,
            wallet=resident["wallet"],
            reason="start",
        )

    def _moved(self, row: Row, state: TownState, b: int) -> Event:
        return lifecycle.LifecycleMoved(
            agent_id(row.agent), self._position(row.a), self._position(row.b), codes.MOVES[row.reason]
        )

    def name_of(self, resident: Mapping[str, Any]) -> str:
        """Return a resident's display name; the second resident of a name is ``Ada-2``."""
        name = self._model.names[resident["name"]]
        repeat = resident["name_round"]
        return name if repeat == 0 else f"{name}-{repeat + 1}"

    def frame(self, state: TownState, b: int) -> TownFrame:
        """Build the frame of town b at the end of its last tick.

        A part that did not change is the same object as in the last frame, so that a comparison of two frames
        is cheap.
        """
        tick = int(state.towns["tick"][b]) - 1
        living = state.roster[b, : int(state.towns["population"][b])].tolist()
        residents = _columns(state.residents[b], _FRAME_COLUMNS_OF_RESIDENTS)
        needs = state.residents["need"][b, :, : len(self._needs)].round(FRAME_DECIMALS).tolist()
        agents = {i: agent_id(residents[i][0]) for i in living}
        return TownFrame(
            tick=tick,
            clock={
                "day": tick // codes.TICKS_PER_DAY,
                "tod": tick % codes.TICKS_PER_DAY,
                "phase": "day" if _DAYLIGHT[0] <= tick % codes.TICKS_PER_DAY < _DAYLIGHT[1] else "night",
            },
            agents={agents[i]: self._frame_agent(i, residents[i], needs[i]) for i in living},
            objects=self._frame_objects(state, b, agents),
            utilities=self._kept("utilities", state.districts["utility"][b].tolist(), _frame_utilities),
            prices=self._kept("prices", state.price[b].tolist(), self._frame_prices),
            employment=self._kept("employment", state.job_holders[b].tolist(), self._frame_employment),
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

    def _frame_employment(self, holders: list[int]) -> dict[str, JsonObject]:
        capacities = self._model.tables.jobs["capacity"].tolist()
        return {
            job: {"holders": held, "capacity": capacity}
            for job, held, capacity in zip(self._model.job_ids, holders, capacities, strict=True)
        }

    def _frame_agent(self, i: int, row: tuple[Any, ...], needs: list[float]) -> JsonObject:
        model = self._model
        (
            _, x, y, home, wallet, inventory, name, name_round, profile, shift_state,
            job, option, last_action, last_target, claim_object, claim_affordance, claim_stage,
        ) = row  # fmt: skip
        entry: dict[str, JsonValue] = {
            "slot": i,
            "name": self.name_of({"name": name, "name_round": name_round}),
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
        return entry

    def _tile(self, x: int, y: int) -> JsonValue:
        """Return the position of a tile, the same object every time."""
        return self._tiles.setdefault((x, y), [x, y])

    def _frame_objects(self, state: TownState, b: int, agents: Mapping[int, str]) -> dict[str, JsonObject]:
        entries: dict[str, JsonObject] = {}
        for o, row in enumerate(_columns(state.objects[b], _FRAME_COLUMNS_OF_OBJECTS)):
            length, holder = row[0], row[1]
            queue = [agents[i] for i in state.queue[b, o, :length].tolist()] if length else []
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


def _remarked(event: Event, remark: Remark) -> Event:
    """Add a hook's remark to the event that it belongs to."""
    if isinstance(event, affordance.AffordanceFail) and isinstance(remark, str):
        return replace(event, detail=remark)
    if isinstance(event, affordance.AffordanceFinish) and isinstance(remark, Mapping):
        added = {key: event.effects.get(key, 0) + amount for key, amount in remark.items()}
        return replace(event, effects={**event.effects, **added})
    raise TypeError(f"internal error: a hook added {remark!r} to {event.kind}")


def _frame_utilities(utilities: list[list[int]]) -> dict[str, JsonObject]:
    return {
        str(d): {name: bool(on) for name, on in zip(codes.UTILITIES, each, strict=True)}
        for d, each in enumerate(utilities)
    }


def _columns(records: Records, names: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return some fields of all records as plain Python values."""
    return list(zip(*(records[name].tolist() for name in names), strict=True))


def _fields(record: Record) -> dict[str, Any]:
    """Return a record's fields as plain Python values, by name."""
    return dict(zip(record.dtype.names, record.item(), strict=True))
