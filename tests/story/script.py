"""Events of a town in which happens what a test writes down, as the run's file holds them."""

import json
from pathlib import Path

from townlet_adapters.telemetry.envelope import Encoder, Record, seal
from townlet_adapters.worlds.town.events.affordance import AffordanceFinish, AffordanceStart
from townlet_adapters.worlds.town.events.employment import EmploymentArrived, EmploymentShiftEnd
from townlet_adapters.worlds.town.events.lifecycle import LifecycleArrive
from townlet_adapters.worlds.town.events.queue import QueueConflict, QueueGrant, QueueJoin
from townlet_core.events.base import Event, Fact
from townlet_core.events.loop import LoopTick

DAY = 1440


class Script:
    """Lines of a file of events, written tick by tick."""

    def __init__(self, *, start_tod: int = 0, source: str = "urn:townlet:run:r:p1") -> None:
        """Begin with tick 0 at a time of day."""
        self.lines: list[bytes] = []
        self._encoder, self._start = Encoder(source), start_tod

    def at(self, when: str, *events: Event, day: int = 0, closed: bool = True) -> "Script":
        """Add the events of a tick, and the loop's own at its end unless the tick is left open."""
        hours, minutes = map(int, when.split(":"))
        tod = 60 * hours + minutes
        tick = day * DAY + tod - self._start
        end = [LoopTick(day, tod, 8, 0, 0, {}, {}, len(events), 0.0, {})] if closed else []
        for event in (*events, *end):
            body, _ = self._encoder.body(Fact(len(self.lines), tick, event), 1_767_323_045.25)
            self.lines.append(seal(body, len(self.lines)))
        return self

    def frame(self, tick: int, agents: dict) -> "Script":
        """Add a frame, which holds the state of residents."""
        body = self._encoder.state_body(Record("state.frame", tick, {"agents": agents}), 1_767_323_045.25)
        self.lines.append(seal(body, len(self.lines)))
        return self

    def write(self, path: Path) -> Path:
        """Write a file of events."""
        path.write_bytes(b"".join(self.lines))
        return path

    def folder(self, path: Path) -> Path:
        """Write a run folder."""
        path.mkdir(parents=True)
        sinks = [{"use": "file", "options": {"path": "events.ndjson"}}]
        (path / "run.json").write_text(json.dumps({"config": {"telemetry": {"sinks": sinks}}}))
        self.write(path / "events.ndjson")
        return path


def arrive(agent_id: str, name: str, job: str | None = None, reason: str = "start") -> LifecycleArrive:
    """A resident comes to town with two coins."""
    return LifecycleArrive(agent_id, 0, 0, name, 0, (1, 1), "balanced", job, 2000, reason)


def start(agent_id: str, what: str, thing: str, paid: int = 0) -> AffordanceStart:
    return AffordanceStart(agent_id, thing, what, 30, paid, 0)


def finish(agent_id: str, what: str, thing: str) -> AffordanceFinish:
    return AffordanceFinish(agent_id, thing, what, {"need:hunger": 0.4})


def join(agent_id: str, what: str, thing: str) -> QueueJoin:
    return QueueJoin(agent_id, thing, what, 0)


def grant(agent_id: str, what: str, thing: str, waited: int) -> QueueGrant:
    return QueueGrant(agent_id, thing, what, waited)


def conflict(actor: str, rival: str, reason: str, thing: str | None = None) -> QueueConflict:
    return QueueConflict(actor, rival, thing, reason, 0, 0.75)


def come(agent_id: str, job: str, offset: int = 0) -> EmploymentArrived:
    return EmploymentArrived(agent_id, job, offset, "late" if offset else "on_time")


def leave(agent_id: str, job: str, paid_ticks: int = 180, withheld: int = 0) -> EmploymentShiftEnd:
    return EmploymentShiftEnd(agent_id, job, paid_ticks, paid_ticks, 1.0, withheld)
