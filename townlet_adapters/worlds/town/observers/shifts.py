"""Attendance at work and wages."""

from dataclasses import dataclass, field
from typing import Final

from townlet_adapters.worlds.town.events.economy import EconomyDay
from townlet_adapters.worlds.town.events.employment import (
    EmploymentAbsent,
    EmploymentArrived,
    EmploymentJobLoss,
    EmploymentLateStart,
    EmploymentShiftEnd,
)
from townlet_adapters.worlds.town.events.lifecycle import LifecycleExit
from townlet_core.events.base import Event
from townlet_core.jsonvalue import JsonObject, JsonValue

_LATE: Final = "late"
_WAGE: Final = "wage"


@dataclass(slots=True)
class ShiftTally:
    """Counts over the events of employment and the daily accounts.

    A shift is counted when it ends. It is late when its holder first came late, absent when it was missed,
    and may be both. ``paid_ticks`` grows at each shift's end, ``wages`` at each day's end; both are exact.

    Attributes:
        ended: shifts that ended.
        worked: of these, the shifts with at least one paid tick.
        late: shifts whose holder first came late, or was late and never came.
        absent: missed shifts.
        late_or_absent: shifts that were one or both.
        paid_ticks: paid ticks of all ended shifts.
        attendance: sum of the attendance in the events of the shifts' ends.
        days: days that ended.
        wages: wages paid on these days, mills.
        late_now: residents whose current shift is late.
        absent_now: residents whose current shift is missed.
    """

    ended: int = 0
    worked: int = 0
    late: int = 0
    absent: int = 0
    late_or_absent: int = 0
    paid_ticks: int = 0
    attendance: float = 0.0
    days: int = 0
    wages: int = 0
    late_now: dict[str, bool] = field(default_factory=dict)
    absent_now: dict[str, bool] = field(default_factory=dict)

    def see(self, event: Event) -> None:
        """Add one event; events of other kinds are ignored."""
        match event:
            case EmploymentLateStart():
                self.late_now[event.agent_id] = True
            case EmploymentArrived() if event.state == _LATE:
                self.late_now[event.agent_id] = True
            case EmploymentAbsent():
                self.absent_now[event.agent_id] = True
            case EmploymentShiftEnd():
                self._end(event)
            case EmploymentJobLoss() | LifecycleExit():
                self._forget(event.agent_id)
            case EconomyDay():
                self.days += 1
                self.wages += event.flows.get(_WAGE, 0)

    def kpis(self) -> JsonObject:
        """Return the counts; shares after the first shift, wages after the first day."""
        kpis: dict[str, JsonValue] = {
            "shifts_ended": self.ended,
            "shifts_worked": self.worked,
            "shifts_late": self.late,
            "shifts_absent": self.absent,
            "paid_ticks": self.paid_ticks,
        }
        if self.ended:
            kpis["shifts_late_or_absent_share"] = self.late_or_absent / self.ended
            kpis["attendance_mean"] = self.attendance / self.ended
        if self.days:
            kpis["wages_paid"] = self.wages
        return kpis

    def _end(self, event: EmploymentShiftEnd) -> None:
        late, absent = self._forget(event.agent_id)
        self.ended += 1
        self.worked += event.paid_ticks > 0
        self.late += late
        self.absent += absent
        self.late_or_absent += late or absent
        self.paid_ticks += event.paid_ticks
        self.attendance += event.attendance

    def _forget(self, agent_id: str) -> tuple[bool, bool]:
        return self.late_now.pop(agent_id, False), self.absent_now.pop(agent_id, False)
