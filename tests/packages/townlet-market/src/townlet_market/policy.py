"""Who decides in a market: buy where it is possible, else walk on."""

from townlet_core.dto.action import ActionBatch, Decision, PolicyIdentity
from townlet_core.dto.observation import ObservationBatch
from townlet_core.dto.spec import WorldSpec
from townlet_core.errors import ConfigError, Problem
from townlet_market.arrays import view


class Buyers:
    """Looks at the mask alone, and so remembers nothing."""

    identity = PolicyIdentity("buyers", "1")

    def begin(self, spec: WorldSpec, seed: int) -> None:
        """Refuse worlds that are no markets."""
        del seed
        if spec.action_names != ("wait", "next", "buy"):
            raise ConfigError(
                Problem("", f"the world '{spec.world}'", "the policy 'buyers' lives in a market")
            )

    def decide(self, observation: ObservationBatch) -> Decision:
        """Buy if allowed, else go to the next stall, if there is still something to buy."""
        slots, mask = len(observation.agent_ids), observation.mask
        chosen = [2 if mask[slot, 2] else 1 if mask[slot, 1] else 0 for slot in range(slots)]
        return Decision(ActionBatch(view("h", chosen, slots), view("i", [-1] * slots, slots)))

    def end(self) -> None:
        """Do nothing."""
