"""Guardrails: agents do not address those they avoid, nor use objects where these are."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from townlet_adapters.stages.misfits import misfit, wait_of
from townlet_adapters.stages.options import GuardrailOptions
from townlet_core.dto.action import ActionBatch, Decision
from townlet_core.dto.observation import Constants, ObservationBatch, View
from townlet_core.dto.spec import WorldSpec
from townlet_core.errors import ContractError
from townlet_core.events.base import Event
from townlet_core.events.policy import PolicyGuardrail

CHAT_RIVAL: Final = "chat_rival"
QUEUE_RIVAL: Final = "queue_rival"
_TALK: Final = "talk"
_USE: Final = "use:"
_NONE: Final = -1


class Columns(NamedTuple):
    """The columns of the view that the rules read; the world owns the memory.

    Attributes:
        tie_other: int32[N, ties], slot of the other agent of a tie, -1 for no tie.
        tie_avoided: uint8[N, ties], 1 where the agent avoids the other one.
        needs: float64[N, needs].
        xy: int32[N, 2], tile.
        claim_object: int32[N], the object that an agent uses, holds or waits for, -1 for none.
        object_open: uint8[objects].
        object_wait: int32[objects], ticks of waiting for an agent that joins now.
        cooldowns: int64[N, cooldowns, 2], objects and the ticks from which they may be used again.
    """

    tie_other: npt.NDArray[np.int32]
    tie_avoided: npt.NDArray[np.uint8]
    needs: npt.NDArray[np.float64]
    xy: npt.NDArray[np.int32]
    claim_object: npt.NDArray[np.int32]
    object_open: npt.NDArray[np.uint8]
    object_wait: npt.NDArray[np.int32]
    cooldowns: npt.NDArray[np.int64]


class Places(NamedTuple):
    """The constants of the view that say which object can be used from where.

    Attributes:
        affordance_names: the names of uses; an action is called ``use:<name>``.
        affordance_type: type of the objects of each use.
        object_type: type of each object.
        object_xy: tile of each object.
        object_place: place of each object.
        place_at: int32[y, x], place of each tile.
    """

    affordance_names: Sequence[str]
    affordance_type: Sequence[int]
    object_type: Sequence[int]
    object_xy: Sequence[tuple[int, int]]
    object_place: Sequence[int]
    place_at: npt.NDArray[np.int32]


class _Memory(NamedTuple):
    """A view, wrapped."""

    view: View
    columns: Columns
    places: Places


class _Stop(NamedTuple):
    """An intent that is not executed: the rule, and the agent or object that it is about."""

    reason: str
    target: str


class GuardrailStage:
    """Makes agents wait that are about to meet those they avoid, unless they have a critical need.

    Keeps nothing between ticks. An agent with a claim goes on with it: it is where it is.
    """

    name: Final = "guardrail"

    def __init__(self, options: GuardrailOptions) -> None:
        self._critical = options.critical
        self._spec = WorldSpec("", 0, 0, (), ())
        self._wait = 0
        self._memory: _Memory | None = None

    def begin(self, spec: WorldSpec, seed: int) -> None:
        """Prepare for a run.

        Raises:
            ConfigError: when the view of the world does not show who avoids which agent, and where it is.
        """
        del seed
        self._spec, self._wait = spec, wait_of(spec, self.name)
        self._memory = None
        shown = {column.name for column in (*spec.constants, *spec.view)}
        missing = [name for name in (*Columns._fields, *Places._fields) if name not in shown]
        if missing:
            raise misfit(spec, self.name, f"its view has no {', '.join(missing)}")

    def apply(
        self, observation: ObservationBatch, decision: Decision
    ) -> tuple[ActionBatch, tuple[Event, ...]]:
        """Replace intents that lead to an avoided agent.

        Raises:
            ContractError: when the observation lacks the view that the spec describes.
        """
        columns, places = self._look(observation)
        avoided = columns.tie_avoided.any(axis=1)
        if not avoided.any():
            return decision.actions, ()
        watched = avoided & (np.asarray(observation.alive) != 0)
        watched &= columns.needs.min(axis=1) >= self._critical
        action, target = np.array(decision.actions.action), np.array(decision.actions.target)
        events: list[Event] = []
        for slot in np.flatnonzero(watched).tolist():
            if not 0 <= action[slot] < len(self._spec.action_names):
                continue
            scene = _Scene(slot, observation, columns, places, self._spec)
            judged = scene.judge(self._spec.action_names[action[slot]], int(target[slot]))
            if isinstance(judged, _Stop):
                action[slot], target[slot] = self._wait, _NONE
                events.append(PolicyGuardrail(observation.agent_ids[slot], judged.reason, judged.target))
            else:
                target[slot] = judged
        actions = replace(decision.actions, action=action.data.toreadonly(), target=target.data.toreadonly())
        return actions, tuple(events)

    def _look(self, observation: ObservationBatch) -> tuple[Columns, Places]:
        """Wrap the view, once for as long as its buffers stay the same."""
        view = observation.view
        if view is None:
            raise ContractError(
                "guardrail: WorldSpec.view describes columns, but the observation has no view"
            )
        if self._memory is None or self._memory.view is not view:
            columns = Columns(*(np.asarray(view.columns[name]) for name in Columns._fields))
            self._memory = _Memory(view, columns, _places(view.constants))
        return self._memory.columns, self._memory.places


class _Scene(NamedTuple):
    """One agent that avoids others, and where these are."""

    slot: int
    observation: ObservationBatch
    columns: Columns
    places: Places
    spec: WorldSpec

    def judge(self, action: str, target: int) -> _Stop | int:
        """Return why an intent is not executed, or the target with which it is."""
        if action == _TALK:
            if target in self.rivals():
                return _Stop(CHAT_RIVAL, self.observation.agent_ids[target])
        elif action.startswith(_USE) and self.columns.claim_object[self.slot] == _NONE:
            return self._judge_use(action.removeprefix(_USE), target)
        return target

    def rivals(self) -> set[int]:
        """Return the slots of those that the agent avoids."""
        ties = self.columns.tie_avoided[self.slot] != 0
        return set(self.columns.tie_other[self.slot][ties].tolist())

    def _judge_use(self, use: str, target: int) -> _Stop | int:
        taken = {int(self.columns.claim_object[rival]) for rival in self.rivals()} - {_NONE}
        if target != _NONE:
            return self._stop(target) if target in taken else target
        near = self._in_reach(use)
        shunned = [thing for thing in near if thing in taken]
        if not shunned:
            return target
        # With the target -1 the world could choose one of those, so the best of the others is named.
        others = [thing for thing in near if thing not in taken and self._is_usable(thing)]
        if not others:
            return self._stop(shunned[0])
        return min(others, key=lambda thing: (int(self.columns.object_wait[thing]), thing))

    def _stop(self, thing: int) -> _Stop:
        # The fields of objects come first, in the order of the objects.
        return _Stop(QUEUE_RIVAL, self.spec.fields[thing])

    def _in_reach(self, use: str) -> list[int]:
        """Return the objects with a use that the agent can use from its tile."""
        places = self.places
        kind = places.affordance_type[places.affordance_names.index(use)]
        x, y = self.columns.xy[self.slot].tolist()
        place = places.place_at[y, x]
        return [
            thing
            for thing, (left, top) in enumerate(places.object_xy)
            if places.object_type[thing] == kind
            and max(abs(left - x), abs(top - y)) <= 1
            and places.object_place[thing] == place
        ]

    def _is_usable(self, thing: int) -> bool:
        now = self.observation.tick
        cooling = [what for what, until in self.columns.cooldowns[self.slot].tolist() if until > now]
        return bool(self.columns.object_open[thing]) and thing not in cooling


def _places(constants: Constants) -> Places:
    names = constants["affordance_names"]
    return Places(
        names if isinstance(names, tuple) else (),
        np.asarray(constants["affordance_type"]).tolist(),
        np.asarray(constants["object_type"]).tolist(),
        [(x, y) for x, y in np.asarray(constants["object_xy"]).tolist()],
        np.asarray(constants["object_place"]).tolist(),
        np.asarray(constants["place_at"]),
    )
