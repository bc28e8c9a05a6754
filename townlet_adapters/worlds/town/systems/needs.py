"""Decay of needs (domain.md, section 5.2)."""

from townlet_adapters.kernels.compiler import inlined
from townlet_adapters.worlds.town.codes import STAGE_RUNNING
from townlet_adapters.worlds.town.compiled.state import TownState
from townlet_adapters.worlds.town.compiled.tables import Tables


@inlined
def decay(t: Tables, s: TownState, b: int) -> None:
    """Phase 6: need = max(0, need - rate * multiplier of the profile * factor of the running use)."""
    rate = t.params[0].need_rate
    for k in range(s.towns[b].population):
        r = s.residents[b, s.roster[b, k]]
        multiplier = t.profiles[r.profile].need
        factor = t.affordances[r.claim_affordance].decay if r.claim_stage == STAGE_RUNNING else 1.0
        for n in range(t.params[0].needs):
            r.need[n] = max(0.0, r.need[n] - rate[n] * multiplier[n] * factor)
