"""Shifts, hirings and job losses. Money is in mills, times are in ticks."""

from dataclasses import dataclass
from typing import ClassVar

from townlet_core.events.base import Event


@dataclass(frozen=True, slots=True)
class EmploymentArrived(Event):
    """The holder was present in a shift for the first time, ``offset`` ticks after its start."""

    kind: ClassVar[str] = "employment.arrived"
    agent_id: str
    job_id: str
    offset: int
    state: str


@dataclass(frozen=True, slots=True)
class EmploymentLateStart(Event):
    """A shift counts as late although its holder has not been present yet."""

    kind: ClassVar[str] = "employment.late_start"
    agent_id: str
    job_id: str
    fine: int


@dataclass(frozen=True, slots=True)
class EmploymentAbsent(Event):
    """A shift counts as missed; the holder has ``stamps`` absences in the last seven days."""

    kind: ClassVar[str] = "employment.absent"
    agent_id: str
    job_id: str
    fine: int
    stamps: int


@dataclass(frozen=True, slots=True)
class EmploymentDepartedEarly(Event):
    """A resident left work ``remaining`` ticks before the end of its shift."""

    kind: ClassVar[str] = "employment.departed_early"
    agent_id: str
    job_id: str
    remaining: int


@dataclass(frozen=True, slots=True)
class EmploymentHelped(Event):
    """Colleagues were already present when a resident came late."""

    kind: ClassVar[str] = "employment.helped"
    agent_id: str
    job_id: str
    coworkers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EmploymentShiftCovered(Event):
    """Colleagues did the work of an absent resident."""

    kind: ClassVar[str] = "employment.shift_covered"
    agent_id: str
    job_id: str
    coworkers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EmploymentShiftEnd(Event):
    """A shift ended; ``attendance`` is the mean over the window, ``withheld`` are the wages not earned."""

    kind: ClassVar[str] = "employment.shift_end"
    agent_id: str
    job_id: str
    on_time_ticks: int
    paid_ticks: int
    attendance: float
    withheld: int


@dataclass(frozen=True, slots=True)
class EmploymentReview(Event):
    """A review of absences changed; ``status`` is queued, refused, withdrawn, approved or deferred."""

    kind: ClassVar[str] = "employment.review"
    agent_id: str
    job_id: str
    status: str
    pending: int


@dataclass(frozen=True, slots=True)
class EmploymentJobLoss(Event):
    """A resident lost its job; ``reason`` is approved or reviewed."""

    kind: ClassVar[str] = "employment.job_loss"
    agent_id: str
    job_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class EmploymentHired(Event):
    """A resident got a job; ``reason`` is start, arrival, board or console."""

    kind: ClassVar[str] = "employment.hired"
    agent_id: str
    job_id: str
    reason: str
