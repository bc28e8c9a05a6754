"""Key figures of a town, for the summary and the frame."""

from dataclasses import dataclass, field
from typing import Final

from townlet_core.dto.observation import ObservationBatch
from townlet_core.dto.outcome import StepOutcome
from townlet_core.dto.spec import WorldSpec
from townlet_core.errors import SnapshotError
from townlet_core.events.base import Event
from townlet_core.jsonvalue import JsonObject, JsonValue
from townlet_core.observers.columns import FeatureColumns
from townlet_core.observers.needs import NEEDS, NeedLimits, NeedTally
from townlet_core.observers.options import OPTION_PREFIX, OptionTally
from townlet_core.observers.shifts import ShiftTally
from townlet_core.observers.uses import UseNames, UseTally
from townlet_core.records import record_from_json, record_to_json

_NOBODY: Final = -1


@dataclass(frozen=True, slots=True)
class KpiSettings:
    """How activities and needs are counted.

    Attributes:
        names: which affordances are meals, showers and so on.
        limits: limits by which needs are counted.
    """

    names: UseNames = field(default_factory=UseNames)
    limits: NeedLimits = field(default_factory=NeedLimits)


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


class KpiObserver:
    """Counts what residents did and how well they were; adds no facts.

    Needs are reported if the world has the features ``need_hunger``, ``need_hygiene`` and ``need_energy``,
    option switches if it has features ``option_*``. Days, needs and options are taken from the observation
    after a tick, so the last tick of a day closes the day.
    """

    name: Final = "kpis"

    def __init__(self, settings: KpiSettings | None = None) -> None:
        """Take the settings, or the defaults; call ``begin`` before anything else."""
        self._settings = settings or KpiSettings()

    def begin(self, spec: WorldSpec) -> None:
        """Start counting at zero."""
        slots = spec.capacity
        self._ticks_per_day = spec.ticks_per_day
        self._columns = FeatureColumns(spec)
        self._needs = self._columns.find(*(f"need_{need}" for need in NEEDS))
        self._options = self._columns.named(OPTION_PREFIX)
        self._state = _State(
            agent_ticks=0,
            occupants=[_NOBODY] * slots,
            uses=UseTally(),
            shifts=ShiftTally(),
            needs=NeedTally.for_slots(slots),
            options=OptionTally.for_slots(slots),
        )
        self._forget_caches()

    def observe(self, outcome: StepOutcome, tick: int) -> tuple[Event, ...]:
        """Count one tick."""
        del tick
        state, observation = self._state, outcome.observation
        for event in outcome.events:
            state.uses.see(event)
            state.shifts.see(event)
        self._see_occupants(observation)
        if self._living:
            state.agent_ticks += len(self._living)
            self._see_needs(observation)
            self._see_options(observation)
        return ()

    def kpis(self) -> JsonObject:
        """Return all numbers; unknown ones are left out."""
        state = self._state
        agent_days = state.agent_ticks / self._ticks_per_day
        return {
            "agent_days": agent_days,
            **state.uses.kpis(self._settings.names, agent_days),
            **state.shifts.kpis(),
            **state.needs.kpis(),
            **(state.options.kpis(state.agent_ticks) if self._options else {}),
        }

    def export_state(self) -> JsonValue:
        """Return everything counted so far."""
        return record_to_json(self._state)

    def import_state(self, state: JsonValue) -> None:
        """Continue counting from an exported state.

        Raises:
            SnapshotError: when the value is not such a state, or is of a world with another number of slots.
        """
        try:
            read = record_from_json(_State, state)
        except ValueError as error:
            raise SnapshotError(
                "snapshot_corrupt", f"the state of '{self.name}' is damaged: {error}"
            ) from error
        slots = len(self._state.occupants)
        rows = (read.occupants, read.needs.since, read.needs.unwell, read.needs.starving, read.options.last)
        if any(len(row) != slots for row in rows):
            raise SnapshotError("snapshot_corrupt", f"the state of '{self.name}' is not for {slots} slots")
        self._state = read
        self._forget_caches()

    def _forget_caches(self) -> None:
        """Discard the caches: the living residents and their options of the last observation."""
        self._living: list[int] = []
        self._presence = (b"", b"")
        self._chosen: list[bytes] = []

    def _see_occupants(self, observation: ObservationBatch) -> None:
        """Update the occupants of the slots when they changed."""
        presence = (observation.alive.tobytes(), observation.serial.tobytes())
        if presence == self._presence:
            return
        self._presence = presence
        alive, serials = observation.alive.tolist(), observation.serial.tolist()
        self._living = [slot for slot, lives in enumerate(alive) if lives]
        now = [serial if lives else _NOBODY for lives, serial in zip(alive, serials, strict=True)]
        for slot, serial in enumerate(now):
            if serial != self._state.occupants[slot]:
                self._state.needs.welcome(slot, observation.tick)
                self._state.options.welcome(slot)
        self._state.occupants = now

    def _see_needs(self, observation: ObservationBatch) -> None:
        if not self._needs:
            return
        columns = [self._columns.read(observation, name).tolist() for name in self._needs]
        if len(self._living) < len(columns[0]):
            columns = [[column[slot] for slot in self._living] for column in columns]
        self._state.needs.see(self._living, columns, self._settings.limits)
        if observation.tick % self._ticks_per_day == 0:
            self._state.needs.close_day(self._living, observation.tick - self._ticks_per_day + 1)

    def _see_options(self, observation: ObservationBatch) -> None:
        """Count switches; most ticks have none, so the columns are compared before they are read."""
        columns = [self._columns.read(observation, name) for name in self._options]
        chosen = [column.tobytes() for column in columns]
        if chosen != self._chosen:
            self._chosen = chosen
            self._state.options.see(self._living, columns)
