"""The part of a drawing that changes: who stands where and does what, made of one frame."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from townlet_adapters.story import english
from townlet_core.dto.frame import TownFrame
from townlet_core.dto.plan import is_tile
from townlet_core.jsonvalue import JsonObject

Condition = Literal["free", "used", "closed"]
"""The condition of an object."""

_MOVE = "move_"
_GO = "go to "
_AIMLESS = frozenset({"", "idle"})
_ON_SHIFT = frozenset({"on_time", "late"})


@dataclass(frozen=True, slots=True)
class Figure:
    """A resident in a drawing.

    Attributes:
        id: its id.
        name: its name, which any person may have chosen: text, never markup.
        at: its tile (x, y); None when the frame does not say.
        doing: what it does, in words.
        asleep: whether it sleeps.
        talking: whether it talked in this tick.
        needs: its needs by name, 1 is satisfied.
        entry: its entry in the frame.
    """

    id: str
    name: str
    at: tuple[int, int] | None
    doing: str
    asleep: bool
    talking: bool
    needs: Mapping[str, float]
    entry: JsonObject

    @property
    def letter(self) -> str:
        """The letter that stands for it."""
        return self.name[:1].upper() or "?"


@dataclass(frozen=True, slots=True)
class Scene:
    """A town at the end of a tick.

    Attributes:
        frame: the frame.
        day: the day.
        tod: the tick of the day.
        night: whether it is night.
        figures: the residents, by id.
        objects: the condition of each object in the frame, by id.
        dark: ids of the districts in which something is off.
    """

    frame: TownFrame
    day: int
    tod: int
    night: bool
    figures: Mapping[str, Figure]
    objects: Mapping[str, Condition]
    dark: frozenset[str]

    @classmethod
    def of(cls, frame: TownFrame) -> "Scene":
        """Read a frame; what a world leaves out is not drawn."""
        day, tod = frame.clock.get("day"), frame.clock.get("tod")
        return cls(
            frame=frame,
            day=day if isinstance(day, int) else 0,
            tod=tod if isinstance(tod, int) else 0,
            night=frame.clock.get("phase") == "night",
            figures={agent_id: _figure(agent_id, entry) for agent_id, entry in frame.agents.items()},
            objects={object_id: _condition(entry) for object_id, entry in frame.objects.items()},
            dark=frozenset(key for key, entry in frame.utilities.items() if not all(entry.values())),
        )


def _figure(agent_id: str, entry: JsonObject) -> Figure:
    pos = entry.get("pos")
    needs = entry.get("needs")
    claim = _claim(entry)
    return Figure(
        id=agent_id,
        name=str(entry.get("name") or agent_id),
        at=(pos[0], pos[1]) if is_tile(pos) else None,
        doing=_doing(entry, claim),
        asleep=claim is not None and claim[2] == "running" and english.is_sleep(claim[1]),
        talking=entry.get("action") == "talk",
        needs={
            name: float(level)
            for name, level in (needs.items() if isinstance(needs, Mapping) else ())
            if isinstance(level, int | float)
        },
        entry=entry,
    )


def _claim(entry: JsonObject) -> tuple[str, str, str] | None:
    """Return object, affordance and stage of what a resident uses, or waits for."""
    claim = entry.get("claim")
    if not isinstance(claim, Mapping):
        return None
    return str(claim.get("object")), str(claim.get("affordance")), str(claim.get("stage"))


def _doing(entry: JsonObject, claim: tuple[str, str, str] | None) -> str:
    """Return in words what a resident does; the first thing that applies."""
    if claim is not None:
        thing, affordance, stage = claim
        if stage == "running":
            return english.doing(affordance)
        return (
            f"waiting for the {english.noun(thing)}" if stage == "queued" else f"at the {english.noun(thing)}"
        )
    action, option = str(entry.get("action") or ""), str(entry.get("option") or "")
    if action == "talk":
        return "talking"
    aim = "" if option in _AIMLESS else english.noun(option)
    if action.startswith(_MOVE):
        return f"off to {aim.removeprefix(_GO)}" if aim else "strolling"
    if entry.get("shift_state") in _ON_SHIFT:
        return "working"
    return f"about to {aim}" if aim else "standing around"


def _condition(entry: JsonObject) -> Condition:
    if entry.get("closed"):
        return "closed"
    return "used" if entry.get("running") or entry.get("holder") else "free"
