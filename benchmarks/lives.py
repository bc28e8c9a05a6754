"""What residents did in some days of a town, minute by minute, and the key figures that follow from it."""  # noqa: INP001 - a script's part

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from townlet_adapters.worlds.town.events.affordance import AffordanceFinish, AffordanceStart
from townlet_adapters.worlds.town.events.economy import EconomyRent
from townlet_adapters.worlds.town.events.employment import (
    EmploymentAbsent,
    EmploymentArrived,
    EmploymentJobLoss,
    EmploymentLateStart,
    EmploymentShiftEnd,
)
from townlet_adapters.worlds.town.events.queue import QueueConflict, QueueGrant
from townlet_adapters.worlds.town.events.social import SocialThreshold
from townlet_core.dto.observation import View
from townlet_core.events.base import Diagnostic, Fact
from townlet_core.events.loop import LoopTick
from townlet_core.loop import SimulationLoop

DAY: Final = 1440
WEEK: Final = 7
HOUR: Final = 60
COLLAPSED, COLLAPSE_TICKS = 0.03, 30
NEGLECTED, NEGLECT_TICKS = 0.1, 360
STARVING, STARVING_TICKS = 0.15, 30
WELL: Final = 0.3
NEAR: Final = 2
RUNNING: Final = 3
SLEPT: Final = 60
"""Minutes of sleep in a day that are a sleep."""
FEW_MEALS: Final = 2
MEALS: Final = ("eat_meal", "buy_meal")
SEEN: Final = (
    AffordanceFinish, AffordanceStart, EconomyRent, EmploymentAbsent, EmploymentArrived, EmploymentJobLoss,
    EmploymentLateStart, EmploymentShiftEnd, QueueConflict, QueueGrant, SocialThreshold,
)  # fmt: skip

Bools = npt.NDArray[np.bool_]
Longs = npt.NDArray[np.int64]


def view_of(loop: SimulationLoop) -> View:
    """Give the exact numbers behind the observation."""
    view = loop.observation.view
    if view is None:
        raise RuntimeError("this world offers no view: key figures are those of towns")
    return view


@dataclass(slots=True)
class Lives:
    """The minutes of some days; a subscriber of a loop that starts to write at a tick.

    Attributes:
        loop: the loop of the town.
        first: first tick that counts.
        ids: for each tick, the id of the resident in each slot, empty for none.
        xy: int16[T, N, 2], tile after each tick.
        needs: float32[T, N, needs].
        acting: int16[T, N], affordance of the running use, -1 none.
        option: int8[T, N].
        job: int16[T, N], -1 none.
        home: int32[T, N], the place where each lives.
        events: the facts that are counted.
        invalid: actions that the town called invalid.
        wallets: tick -> id of a resident -> its wallet after it, at each midnight.
    """

    loop: SimulationLoop
    first: int = 0
    ids: list[tuple[str, ...]] = field(default_factory=list)
    xy: list[bytes] = field(default_factory=list)
    needs: list[bytes] = field(default_factory=list)
    acting: list[npt.NDArray[np.int16]] = field(default_factory=list)
    option: list[bytes] = field(default_factory=list)
    job: list[bytes] = field(default_factory=list)
    home: list[bytes] = field(default_factory=list)
    events: list[Fact] = field(default_factory=list)
    invalid: int = 0
    wallets: dict[int, dict[str, int]] = field(default_factory=dict)

    def subscribe(self) -> None:
        """Listen to everything that is counted."""
        hear = self.loop.dispatcher.subscribe
        for kind in SEEN:
            hear(kind.kind, self._keep, name=f"lives.{kind.kind}")
        hear(LoopTick.kind, self._see_tick, name="lives.minutes")

    def _keep(self, fact: Fact | Diagnostic) -> None:
        if isinstance(fact, Fact) and fact.tick >= self.first:
            self.events.append(fact)

    def _see_tick(self, fact: Fact | Diagnostic) -> None:
        if not isinstance(fact.event, LoopTick):
            return
        columns, ids = view_of(self.loop).columns, self.loop.observation.agent_ids
        if fact.event.tod == DAY - 1:
            wallets = zip(ids, columns["wallet"].tolist(), strict=True)
            self.wallets[fact.tick] = {who: wallet for who, wallet in wallets if who}
        if fact.tick < self.first:
            return
        self.invalid += fact.event.failures.get("invalid", 0)
        self.ids.append(ids)
        self.xy.append(columns["xy"].tobytes())
        self.needs.append(columns["needs"].tobytes())
        running = np.asarray(columns["claim_stage"]) == RUNNING
        self.acting.append(np.where(running, np.asarray(columns["claim_affordance"]), -1).astype(np.int16))
        self.option.append(columns["option"].tobytes())
        self.job.append(columns["job"].tobytes())
        self.home.append(columns["home_place"].tobytes())


class Figures:
    """Computes key figures of what was written down, for everyone who lived in town at some time of it."""

    def __init__(self, lives: Lives) -> None:
        """Put the minutes together."""
        loop, view = lives.loop, view_of(lives.loop)
        slots, ticks = len(loop.observation.alive), len(lives.acting)
        self._lives, self._constants = lives, view.constants
        self._names = [str(name) for name in view.constants["affordance_names"]]
        occupants = np.array(lives.ids)
        known = {who: slot for slot in range(slots) for who in np.unique(occupants[:, slot]).tolist() if who}
        self._ids, living = list(known), list(known.values())
        self.present: Bools = occupants[:, living] == np.array(self._ids)
        self.ticks, self.residents = ticks, len(living)
        self.days = ticks / DAY
        self.agent_days = self.present.sum() / DAY
        self.xy = np.frombuffer(b"".join(lives.xy), np.int32).reshape(ticks, slots, 2)[:, living]
        self.needs = np.frombuffer(b"".join(lives.needs)).reshape(ticks, slots, -1)[:, living]
        self.needs = np.where(self.present[..., None], self.needs, 1.0)
        self.acting = np.where(self.present, np.stack(lives.acting)[:, living], -1)
        option = np.frombuffer(b"".join(lives.option), np.int8).reshape(ticks, slots)[:, living]
        self.option = np.where(self.present, option, -1)
        self.job = np.frombuffer(b"".join(lives.job), np.int32).reshape(ticks, slots)[:, living]
        place_at = np.asarray(view.constants["place_at"])
        self.place = place_at[self.xy[..., 1], self.xy[..., 0]]
        home = np.frombuffer(b"".join(lives.home), np.int32).reshape(ticks, slots)[:, living]
        self.at_home: Bools = self.present & (self.place == home)
        day, self._start = loop.spec.clock(lives.first)
        self.tod = (self._start + np.arange(ticks)) % DAY
        self.day = day + (self._start + np.arange(ticks)) // DAY
        whole = [int(each) for each in np.unique(self.day) if (self.day == each).sum() == DAY]
        self._all_day = {each: self.present[self.day == each].all(axis=0) for each in whole}
        self._sleeps = np.asarray(view.constants["affordance_wakes_before"]) >= 0
        self.asleep: Bools = np.append(self._sleeps, False)[self.acting]

    def all(self) -> dict[str, float]:
        """Return every figure by name."""
        parts: tuple[Callable[[], Mapping[str, float]], ...] = (
            self._sleep, self._night, self._start_of_life, self._meals, self._uses, self._ways, self._company,
            self._shifts, self._conflicts, self._friendships, self._wellbeing, self._money,
            self._days_without,
        )  # fmt: skip
        return {name: float(value) for part in parts for name, value in part().items()}

    def _of(self, kind: type) -> list[Fact]:
        return [fact for fact in self._lives.events if isinstance(fact.event, kind)]

    def _finished(self, *names: str) -> list[Fact]:
        return [fact for fact in self._of(AffordanceFinish) if fact.event.affordance_id in names]

    def _sleep(self) -> dict[str, float]:
        longest = 0
        for each in (asleep[there] for asleep, there in zip(self.asleep.T, self.present.T, strict=True)):
            edges = np.flatnonzero(np.diff(np.concatenate(([1], each.astype(np.int8), [1]))))
            longest = max(longest, int((edges[1::2] - edges[::2]).max(initial=0)))
        sleeping = [name for name, long in zip(self._names, self._sleeps, strict=True) if long]
        begun = [fact for fact in self._of(AffordanceStart) if fact.event.affordance_id in sleeping]
        return {
            "asleep_at_night_share": self.asleep[self._while(self.tod < 5 * HOUR)].mean(),
            "sleep_hours_per_agent_day": self.asleep.sum() / HOUR / self.agent_days,
            "awake_longest_hours": longest / HOUR,
            "sleeps_per_agent_day": len(begun) / self.agent_days,
        }

    def _while(self, ticks: Bools) -> Bools:
        """Return which resident was in town in which of the ticks."""
        return self.present & ticks[:, None]

    def _night(self) -> dict[str, float]:
        late = (self.tod >= 23 * HOUR) | (self.tod < 5 * HOUR)
        still = np.zeros(self.acting.shape, np.bool_)
        still[1:] = (self.xy[1:] == self.xy[:-1]).all(axis=2)
        idle = still & (self.acting < 0) & ~self._is_kind("home")
        return {"standing_outdoors_at_night_share": idle[self._while(late)].mean()}

    def _is_kind(self, kind: str) -> Bools:
        kinds = np.array([*(str(each) == kind for each in self._constants["place_kinds"]), False])
        return np.asarray(kinds[self.place])

    def _start_of_life(self) -> dict[str, float]:
        if self._lives.first:
            return {}
        moved = (self.xy[1:5] != self.xy[:1]).any(axis=(0, 2)) | (self.acting[:5] >= 0).any(axis=0)
        return {"acts_within_5_ticks_share": moved[self.present[0]].mean()}

    def _meals(self) -> dict[str, float]:
        meals = self._finished(*MEALS)
        cafe = self._finished("buy_meal")
        cooked = self._finished("cook_meal")
        at_night = 0
        for fact in self._finished("eat_meal"):
            tod = self.tod[fact.tick - self._lives.first]
            at_night += tod >= 23 * HOUR or tod < 5 * HOUR
        return {
            "meals_per_agent_day": len(meals) / self.agent_days,
            "meals_at_night_share": at_night / max(1, len(meals)),
            "cafe_meals_per_agent_day": len(cafe) / self.agent_days,
            "cooked_per_week": len(cooked) / self.days * WEEK,
            "cooked_per_agent_day": len(cooked) / self.agent_days,
        }

    def _uses(self) -> dict[str, float]:
        finished = Counter(fact.event.affordance_id for fact in self._of(AffordanceFinish))
        waited = Counter[str]()
        waits: list[int] = []
        for fact in self._lives.events:
            if isinstance(fact.event, QueueGrant):
                waited[fact.event.agent_id] = fact.event.waited
            elif isinstance(fact.event, AffordanceStart) and (wait := waited.pop(fact.event.agent_id, 0)):
                waits.append(wait)
        switches = (self.option[1:] != self.option[:-1]) & (self.option[1:] >= 0) & (self.option[:-1] >= 0)
        return {
            "showers_per_agent_day": finished["use_shower"] / self.agent_days,
            "leisure_per_agent_day": (finished["relax"] + finished["work_out"]) / self.agent_days,
            "gym_per_agent_day": finished["work_out"] / self.agent_days,
            "uses_waited_share": len(waits) / max(1, len(self._of(AffordanceStart))),
            "wait_mean": float(np.mean(waits)) if waits else 0.0,
            "wait_longest": max(waits, default=0),
            "option_switch_rate": switches.sum() / self.present.sum(),
        }

    def _ways(self) -> dict[str, float]:
        """Home and out again within an hour."""
        brief = 0
        for each in self.at_home.T:
            changes = np.flatnonzero(np.diff(each.astype(np.int8)))
            for begin, end in pairwise(changes):
                brief += bool(each[begin + 1]) and end - begin <= HOUR
        return {"home_and_out_per_agent_day": brief / self.agent_days}

    def _company(self) -> dict[str, float]:
        """Minutes awake within two tiles of somebody awake who has another job, or none."""
        minutes = colleagues = 0
        for me in range(self.residents):
            near = (
                (np.abs(self.xy - self.xy[:, me : me + 1]).max(axis=2) <= NEAR) & ~self.asleep & self.present
            )
            near[:, me] = False
            same = (self.job == self.job[:, me : me + 1]) & (self.job[:, me : me + 1] >= 0)
            awake = ~self.asleep[:, me] & self.present[:, me]
            minutes += int((awake & (near & ~same).any(axis=1)).sum())
            colleagues += int((awake & (near & same).any(axis=1)).sum())
        return {
            "near_others_minutes_per_agent_day": minutes / self.agent_days,
            "near_colleagues_minutes_per_agent_day": colleagues / self.agent_days,
        }

    def _shifts(self) -> dict[str, float]:
        late: set[str] = set()
        absent: set[str] = set()
        ended = bad = missed = 0
        attendance: list[float] = []
        for fact in self._lives.events:
            match fact.event:
                case EmploymentLateStart(agent_id=who):
                    late.add(who)
                case EmploymentAbsent(agent_id=who):
                    absent.add(who)
                case EmploymentShiftEnd(agent_id=who):
                    ended += 1
                    bad += who in late or who in absent
                    missed += who in absent
                    late.discard(who)
                    absent.discard(who)
                    attendance.append(fact.event.attendance)
        return {
            "late_or_absent_share": bad / max(1, ended),
            "absences_per_worker_week": WEEK * missed / max(1, ended),
            "attendance": float(np.mean(attendance)) if attendance else 1.0,
            "jobs_lost": len(self._of(EmploymentJobLoss)),
        }

    def _conflicts(self) -> dict[str, float]:
        reasons = Counter(fact.event.reason for fact in self._of(QueueConflict))
        return {
            **{
                f"{reason}_per_day": reasons[reason] / self.days
                for reason in ("jostle", "waiting", "ghost_step")
            },
            "conflicts_per_day": reasons.total() / self.days,
            "conflicts_per_agent_day": reasons.total() / self.agent_days,
        }

    def _friendships(self) -> dict[str, float]:
        return {"friendships": sum(each.event.threshold == "friend" for each in self._of(SocialThreshold))}

    def _runs(self, low: Bools, ticks: int) -> Longs:
        """Count, for each resident, the stretches of so many ticks in a row."""
        found = np.zeros(self.residents, np.int64)
        count = np.zeros(self.residents, np.int64)
        for row in low:
            count = np.where(row, count + 1, 0)
            found += count == ticks
        return found

    def _wellbeing(self) -> dict[str, float]:
        hungry = self.needs[..., 0]
        days = np.unique(self.day)
        well = [
            (self.needs[self.day == day][:, there] > WELL).all(axis=(0, 2)).mean()
            for day, there in self._all_day.items()
        ]
        neglected = np.zeros(self.residents, np.bool_)
        for day in days:
            neglected |= (self.needs[self.day == day] <= NEGLECTED).any(axis=2).sum(axis=0) >= NEGLECT_TICKS
        due = (self._runs(hungry <= COLLAPSED, COLLAPSE_TICKS) > 0) | neglected
        return {
            "well_all_day_share": float(np.mean(well)) if well else 1.0,
            "need_lowest": self.needs.min(),
            "starvation_incidents": self._runs(hungry <= STARVING, STARVING_TICKS).sum(),
            "exits_due": due.sum(),
            "invalid": self._lives.invalid,
        }

    def _money(self) -> dict[str, float]:
        ticks = sorted(tick for tick in self._lives.wallets if tick >= self._lives.first)
        missed = sum(fact.event.owed_days > 0 for fact in self._of(EconomyRent))
        if len(ticks) < 2:  # noqa: PLR2004 - a change lies between two
            return {"rent_missed": missed}
        begin, end = self._lives.wallets[ticks[0]], self._lives.wallets[ticks[-1]]
        changes = [end[who] - begin[who] for who in end if who in begin]
        median = float(np.median([*end.values()]))
        return {
            "rent_missed": missed,
            "wallet_change_per_agent_day": float(np.mean(changes)) * DAY / (ticks[-1] - ticks[0]),
            "wallet_median": median,
            "wallet_greatest_to_median": max(end.values()) / max(1.0, median),
        }

    def _days_without(self) -> dict[str, float]:
        """Count days without a sleep, days with fewer than two meals, and pairs of days without a wash."""
        there = {
            day: {who for who, all_day in zip(self._ids, each, strict=True) if all_day}
            for day, each in self._all_day.items()
        }
        eaten, washed = Counter[tuple[str, int]](), Counter[tuple[str, int]]()
        for fact in self._of(AffordanceFinish):
            when = fact.event.agent_id, int(self.day[fact.tick - self._lives.first])
            eaten[when] += fact.event.affordance_id in MEALS
            washed[when] += fact.event.affordance_id == "use_shower"
        pairs = [(who, day) for day in there for who in there[day] & there.get(day + 1, set())]
        return {
            "days_without_sleep": sum(
                int((self.asleep[self.day == day][:, all_day].sum(axis=0) < SLEPT).sum())
                for day, all_day in self._all_day.items()
            ),
            "days_with_under_2_meals": sum(
                eaten[who, day] < FEW_MEALS for day in there for who in there[day]
            ),
            "two_days_without_wash": sum(not washed[who, day] + washed[who, day + 1] for who, day in pairs),
        }
