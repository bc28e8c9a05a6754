"""Lives days of a config without a run around it, and keeps what tests look at."""

from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tests.house.sources import ROOT
from townlet_adapters.composition import load_config
from townlet_adapters.composition.parts import make_context, open_policy, open_world
from townlet_adapters.config.source import Override
from townlet_adapters.worlds.town.events.affordance import AffordanceFinish
from townlet_core.dto.frame import TownFrame
from townlet_core.dto.spec import WorldSpec
from townlet_core.jsonvalue import JsonValue

LIBRARY = ROOT / "examples/library/town.yaml"
DAY = 1440


class Life(NamedTuple):
    """Some days of a town in which nobody comes or leaves.

    Attributes:
        spec: what the world says about itself.
        needs: float64[ticks, residents, needs].
        uses: affordance -> how often residents finished one.
        frame: the last frame.
    """

    spec: WorldSpec
    needs: npt.NDArray[np.float64]
    uses: dict[str, int]
    frame: TownFrame

    def need(self, name: str) -> npt.NDArray[np.float64]:
        """One need by name: float64[ticks, residents]."""
        return self.needs[:, :, [need.name for need in self.spec.needs].index(name)]


def live(config: Path, seed: int, days: int, overrides: dict[str, JsonValue] | None = None) -> Life:
    """Live some days of a config."""
    changes = tuple(Override.of(key, value) for key, value in {"seed": seed, **(overrides or {})}.items())
    resolved = load_config(config, changes)
    with ExitStack() as stack:
        context = make_context(resolved, None)
        world, policy = open_world(resolved, context, stack), open_policy(resolved, context, stack)
        policy.begin(world.spec, seed)
        seen = world.reset(seed)
        residents = int(np.asarray(seen.alive).sum())
        needs: list[npt.NDArray[np.float64]] = []
        uses: dict[str, int] = {}
        for _ in range(days * DAY):
            outcome = world.step(policy.decide(seen).actions)
            seen = outcome.observation
            assert seen.view is not None
            needs.append(np.array(seen.view.columns["needs"])[:residents])
            for event in outcome.events:
                if isinstance(event, AffordanceFinish):
                    uses[event.affordance_id] = uses.get(event.affordance_id, 0) + 1
        return Life(world.spec, np.array(needs), uses, world.frame())
