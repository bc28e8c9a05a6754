"""A resident's day as a timeline: what it did, where, with whom, and how it fared.

Unlike ``townlet story``, which has events only, this sees walking, standing around and needs. Run it with
``python benchmarks/day.py --resident Iris``; ``--help`` lists the options.
"""  # noqa: INP001 - a script, not a package

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import yaml

from townlet import open_simulation
from townlet_adapters.worlds.town.events.lifecycle import LifecycleArrive
from townlet_core.dto.observation import ObservationBatch, View
from townlet_core.events.base import Diagnostic, Fact
from townlet_core.events.loop import LoopTick
from townlet_core.jsonvalue import JsonValue
from townlet_core.loop import SimulationLoop
from townlet_core.suggestions import nearest

NEAR: Final = 2
BRIEF: Final = 3
LONG_TOGETHER: Final = 10
QUEUED, RUNNING = 1, 3
WALKS, STANDS = "walks", "stands"


class Minute(NamedTuple):
    """What a resident did in a tick, and how it was after it."""

    tod: int
    doing: str
    place: str
    company: tuple[str, ...]
    needs: tuple[float, ...]
    wallet: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """Minutes in a row in which a resident did the same, in the same place unless it walked."""

    doing: str
    place: str
    minutes: tuple[Minute, ...]

    @property
    def company(self) -> list[str]:
        """Who was within two tiles for half of it, or for ten minutes."""
        counts = Counter(name for minute in self.minutes for name in minute.company)
        least = min(LONG_TOGETHER, (len(self.minutes) + 1) // 2)
        return [name for name, count in counts.items() if count >= least]


class Follower:
    """Watches the residents of a running town."""

    def __init__(self, loop: SimulationLoop) -> None:
        """Listen to arrivals and to the clock."""
        self._loop = loop
        self._names: dict[str, str] = {}
        self._clock: LoopTick | None = None
        loop.dispatcher.subscribe(LifecycleArrive.kind, self._see, name="day.arrivals")
        loop.dispatcher.subscribe(LoopTick.kind, self._see, name="day.clock")

    def _see(self, fact: Fact | Diagnostic) -> None:
        if isinstance(fact.event, LifecycleArrive):
            self._names[fact.event.agent_id] = fact.event.name
        elif isinstance(fact.event, LoopTick):
            self._clock = fact.event

    def day(self, resident: str, day: int) -> Iterator[Minute]:
        """Let the town live to the end of a day, and list a resident's minutes of it."""
        before: tuple[int, ...] = ()
        while self._clock is None or self._clock.day <= day:
            self._loop.step()
            known = {agent_id for agent_id, name in self._names.items() if resident in {agent_id, name}}
            if not known:
                raise SystemExit(f"unknown resident {resident!r}; {nearest(resident, self._names.values())}")
            seen = self._loop.observation
            slot = next((slot for slot, each in enumerate(seen.agent_ids) if each in known), None)
            if self._clock is None or self._clock.day != day or slot is None:
                continue
            here = tuple(np.asarray(view_of(seen).columns["xy"])[slot].tolist())
            yield self._minute(self._clock.tod, seen, slot, has_moved=here != before)
            before = here

    def _minute(self, tod: int, seen: ObservationBatch, slot: int, *, has_moved: bool) -> Minute:
        view = view_of(seen)
        xy = np.asarray(view.columns["xy"])
        x, y = xy[slot]
        near = tuple(
            self._names[agent_id]
            for other, agent_id in enumerate(seen.agent_ids)
            if agent_id and other != slot and np.abs(xy[other] - xy[slot]).max() <= NEAR
        )
        place = int(np.asarray(view.constants["place_at"])[y, x])
        needs = tuple(np.asarray(view.columns["needs"])[slot].tolist())
        doing = doing_of(view, slot, place) or (WALKS if has_moved else STANDS)
        return Minute(tod, doing, place_of(view, slot, place), near, needs, view.columns["wallet"][slot])


def view_of(seen: ObservationBatch) -> View:
    """Give the exact numbers behind the observation."""
    if seen.view is None:
        raise SystemExit("this world offers no view: timelines are those of towns")
    return seen.view


def place_of(view: View, slot: int, place: int) -> str:
    """Say where a resident is."""
    if place < 0:
        return "outdoors"
    kind = str(view.constants["place_kinds"][place])
    return f"own {kind}" if place == view.columns["home_place"][slot] else kind


def doing_of(view: View, slot: int, place: int) -> str:
    """Say what a resident does with an object or at work; empty for neither."""
    columns, constants = view.columns, view.constants
    stage = columns["claim_stage"][slot]
    if stage == RUNNING:
        return str(constants["affordance_names"][columns["claim_affordance"][slot]])
    if stage == QUEUED:
        kinds = np.asarray(constants["object_type"])
        return f"waits: {constants['object_types'][kinds[columns['claim_object'][slot]]]}"
    return "works" if 0 <= place == columns["duty_place"][slot] else ""


def stretches(minutes: Iterable[Minute]) -> list[Stretch]:
    """Put minutes of the same kind together, with what only interrupts them for a moment."""
    found: list[Stretch] = []
    for minute in minutes:
        found.append(Stretch(minute.doing, "" if minute.doing == WALKS else minute.place, (minute,)))
        if len(found) > 2 and belongs_to_the_first(*found[-3:]):  # noqa: PLR2004 - three in a row
            first, second = found[-3:-1]
            found[-3:-1] = [Stretch(first.doing, first.place, (*first.minutes, *second.minutes))]
        while len(found) > 1 and (one := joined(*found[-2:])) is not None:
            found[-2:] = [one]
    return found


def joined(first: Stretch, second: Stretch) -> Stretch | None:
    """Make one stretch of two of the same kind."""
    if (first.doing, first.place) != (second.doing, second.place):
        return None
    return Stretch(first.doing, first.place, (*first.minutes, *second.minutes))


def belongs_to_the_first(first: Stretch, second: Stretch, third: Stretch) -> bool:
    """Say whether a resident only stood for a moment: to let another pass, or in the last minute of a use."""
    if second.doing != STANDS or third.doing == STANDS:
        return False
    if first.doing == WALKS:
        return third.doing == WALKS and len(second.minutes) <= BRIEF
    return first.place == second.place and len(second.minutes) == 1


def table(title: str, needs: Iterable[str], found: Iterable[Stretch]) -> list[str]:
    """Spell the timeline: a line for each stretch, with needs and wallet at its end."""
    names = [f"{name:>8.8}" for name in needs]
    lines = [title, f"{'time':13} {'min':>4} {'doing':22} {'where':10} {' '.join(names)} {'coins':>7}  near"]
    for each in found:
        first, last = each.minutes[0], each.minutes[-1]
        levels = " ".join(f"{level:8.2f}" for level in last.needs)
        times = f"{clock(first.tod)}-{clock(last.tod + 1)}"
        lines.append(
            f"{times:13} {len(each.minutes):4} {each.doing:22.22} {each.place:10.10} {levels} "
            f"{last.wallet / 1000:7.2f}  {', '.join(each.company)}".rstrip()
        )
    return lines


def totals(found: Iterable[Stretch]) -> str:
    """Sum up the day: minutes of everything that was done."""
    counts: Counter[str] = Counter()
    for each in found:
        counts[each.doing if each.doing != STANDS else f"stands {each.place}"] += len(each.minutes)
    return "in all: " + ", ".join(f"{what} {minutes}" for what, minutes in counts.most_common())


def clock(tod: int) -> str:
    """Format a time of day."""
    return f"{tod // 60:02}:{tod % 60:02}"


def timeline(
    config: str,
    resident: str,
    *,
    day: int,
    seed: int | None = None,
    overrides: Mapping[str, JsonValue] | None = None,
) -> tuple[list[str], list[Stretch]]:
    """Let a town live; returns the names of its needs, and a resident's day."""
    quiet: dict[str, JsonValue] = {"telemetry.sinks": [], **(overrides or {})}
    with open_simulation(config, seed=seed, overrides=quiet) as loop:
        follower = Follower(loop)
        return [need.name for need in loop.spec.needs], stretches(follower.day(resident, day))


def main() -> None:
    """Print the timeline."""
    parser = argparse.ArgumentParser(description="A resident's day as a timeline.")
    parser.add_argument("config", nargs="?", default="configs/town.yaml")
    parser.add_argument("--resident", required=True, help="name or id")
    parser.add_argument("--day", type=int, default=1, help="from 0; 1 unless given")
    parser.add_argument("--seed", type=int, help="instead of the config's")
    parser.add_argument("--set", dest="values", action="append", default=[], metavar="KEY.PATH=VALUE")
    options = parser.parse_args()
    overrides = {
        key: yaml.safe_load(value) for key, _, value in (each.partition("=") for each in options.values)
    }
    needs, found = timeline(
        options.config, options.resident, day=options.day, seed=options.seed, overrides=overrides
    )
    lines = table(f"{options.resident}, day {options.day}, {options.config}", needs, found)
    sys.stdout.write("\n".join([*lines, totals(found)]) + "\n")


if __name__ == "__main__":
    main()
