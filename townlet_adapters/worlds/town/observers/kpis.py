"""Key figures of a town, for the summary and the frame."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from townlet_adapters.worlds.town.observers.lives import LifeTally
from townlet_adapters.worlds.town.observers.needs import NeedTally, NeedWindow
from townlet_adapters.worlds.town.observers.settings import KpiSettings
from townlet_adapters.worlds.town.observers.shifts import ShiftTally
from townlet_adapters.worlds.town.observers.society import SocietyTally, ties_now
from townlet_adapters.worlds.town.observers.switches import OptionTally
from townlet_adapters.worlds.town.observers.uses import UseTally
from townlet_core.dto.observation import ObservationBatch, View
from townlet_core.dto.outcome import StepOutcome
from townlet_core.dto.spec import WorldSpec
from townlet_core.errors import SnapshotError
from townlet_core.events.base import Event
from townlet_core.jsonvalue import JsonObject, JsonValue
from townlet_core.records import record_from_json, record_to_json

_NOBODY: Final = -1


@dataclass(slots=True)
class _State:
    """Everything that is kept between ticks."""

    agent_ticks: int
    occupants: list[int]
    """Serial of each slot's occupant, -1 for an empty slot."""
    uses: UseTally
    shifts: ShiftTally
    needs: NeedTally
    options: OptionTally
    society: SocietyTally
    lives: LifeTally


class KpiObserver:
    """Counts what residents did and how well they were; adds no facts.

    Needs and options are those that the world's spec names; their values are those of the view after a tick,
    so the last tick of a day closes the day.
    """

    name: Final = "kpis"

    def __init__(self, settings: KpiSettings | None = None) -> None:
        """Take the settings, or the defaults; call ``begin`` before anything else."""
        self._settings = settings or KpiSettings()
        self._view: View | None = None

    def begin(self, spec: WorldSpec) -> None:
        """Start counting at zero."""
        slots = spec.capacity
        self._spec = spec
        self._needs = tuple(need.name for need in spec.needs)
        self._window = NeedWindow(self._needs)
        self._options = len(spec.options)
        self._state = _State(
            agent_ticks=0,
            occupants=[_NOBODY] * slots,
            uses=UseTally(),
            shifts=ShiftTally(),
            needs=NeedTally.sized(slots, len(self._needs)),
            options=OptionTally.sized(slots),
            society=SocietyTally(),
            lives=LifeTally(),
        )
        self._forget_caches()

    def observe(self, outcome: StepOutcome, tick: int) -> tuple[Event, ...]:
        """Count one tick."""
        del tick
        state, observation = self._state, outcome.observation
        for event in outcome.events:
            state.uses.see(event)
            state.shifts.see(event)
            state.society.see(event)
            state.lives.see(event)
        self._see_occupants(observation)
        self._view = observation.view
        if self._living:
            state.agent_ticks += len(self._living)
            if observation.view is not None:
                self._see_needs(observation.view, observation.tick)
                self._see_options(observation.view)
        return ()

    def kpis(self) -> JsonObject:
        """Return all numbers; unknown ones are left out."""
        self._count_needs()
        state = self._state
        agent_days = state.agent_ticks / self._spec.ticks_per_day
        return {
            "agent_days": agent_days,
            **state.uses.kpis(self._settings.names, agent_days),
            **state.shifts.kpis(),
            **state.needs.kpis(self._needs),
            **state.options.kpis(state.agent_ticks),
            **state.society.kpis(agent_days),
            **state.lives.kpis(),
            **(ties_now(self._view, len(self._living)) if self._view is not None else {}),
        }

    def export_state(self) -> JsonValue:
        """Return everything counted so far."""
        self._count_needs()
        return record_to_json(self._state)

    def import_state(self, state: JsonValue) -> None:
        """Continue counting from an exported state.

        Raises:
            SnapshotError: when the value is not such a state, or is of a world with other slots or needs.
        """
        # Snapshots of schema 5 and before were saved when nothing of society was counted, those of schema 7
        # and before when no exits were.
        uncounted = {"society": record_to_json(SocietyTally()), "lives": record_to_json(LifeTally())}
        try:
            read = record_from_json(_State, {**uncounted, **state} if isinstance(state, Mapping) else state)
        except ValueError as error:
            raise SnapshotError(
                "snapshot_corrupt", f"the state of '{self.name}' is damaged: {error}"
            ) from error
        slots = len(self._state.occupants)
        rows = (read.occupants, read.needs.since, read.needs.unwell, read.needs.starving, read.options.last)
        needs = len(self._needs)
        if any(len(row) != slots for row in rows) or len(read.needs.sums) != needs:
            raise SnapshotError(
                "snapshot_corrupt",
                f"the state of '{self.name}' is not for {slots} slots and {needs} needs",
            )
        self._state = read
        self._forget_caches()

    def _forget_caches(self) -> None:
        """Discard the caches: the living residents and their options of the last observation."""
        self._window.clear()
        self._view = None
        self._living: list[int] = []
        self._presence = (b"", b"")
        self._chosen = b""

    def _see_occupants(self, observation: ObservationBatch) -> None:
        """Update the occupants of the slots when they changed."""
        presence = (observation.alive.tobytes(), observation.serial.tobytes())
        if presence == self._presence:
            return
        self._count_needs()
        self._presence = presence
        alive, serials = observation.alive.tolist(), observation.serial.tolist()
        self._living = [slot for slot, lives in enumerate(alive) if lives]
        now = [serial if lives else _NOBODY for lives, serial in zip(alive, serials, strict=True)]
        for slot, serial in enumerate(now):
            if serial != self._state.occupants[slot]:
                self._state.needs.welcome(slot, observation.tick if serial != _NOBODY else _NOBODY)
                self._state.options.welcome(slot)
        self._state.occupants = now

    def _see_needs(self, view: View, instant: int) -> None:
        if not self._needs:
            return
        full = self._window.hold(view.columns["needs"])
        day_ends = self._spec.clock(instant)[1] == 0
        if full or day_ends:
            self._count_needs()
        if day_ends:
            self._state.needs.close_day(self._living, instant - self._spec.ticks_per_day + 1)

    def _count_needs(self) -> None:
        self._window.count(self._state.needs, self._living, self._settings.limits)

    def _see_options(self, view: View) -> None:
        """Count switches; most ticks have none, so the column is compared before it is read."""
        chosen = view.columns["option"].tobytes()
        if chosen != self._chosen:
            self._chosen = chosen
            self._state.options.see(self._living, view.columns["option"].tolist(), self._options)
