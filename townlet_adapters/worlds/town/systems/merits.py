"""What residents will be rewarded for, written down when it happens (domain.md, section 15)."""

from townlet_adapters.kernels.compiler import inlined, kernel
from townlet_adapters.kernels.records import Record
from townlet_adapters.worlds.town.codes import SOCIAL_C3
from townlet_adapters.worlds.town.compiled.state import TownState
from townlet_adapters.worlds.town.compiled.tables import Tables
from townlet_adapters.worlds.town.systems import ties


@inlined
def forget(r: Record) -> None:
    """Clear what was written down in a tick, after it was rewarded."""
    r.waged = 0
    r.presence = 0.0
    r.chat = 0.0
    r.avoidances = 0


@kernel
def potential(t: Tables, r: Record) -> float:
    """Return the potential of a resident's needs."""
    unmet = 0.0
    for n in range(t.params[0].needs):
        unmet += t.params[0].reward_weight[n] * (1.0 - r.need[n])
    return -(t.params[0].reward_shaping * unmet)


@inlined
def note_presence(t: Tables, r: Record, ahead: int) -> None:
    """Record that a resident is at work, so many ticks ahead of the start of its shift; once a shift."""
    n = t.params[0].reward_punctuality_ticks
    if r.greeted == 0 and -n < ahead <= n:
        r.presence = 1.0 - abs(ahead) / n
        r.greeted = 1


@kernel
def value_chat(t: Tables, s: TownState, b: int, i: int, other: int, quality: float) -> None:
    """Record the worth of a chat that went well to one of the two, with its tie as it is now."""
    params = t.params[0]
    trust, familiarity, rivalry = 0.0, 0.0, 0.0
    k = ties.find(s, b, i, other)
    if k >= 0:
        tie = s.ties[b, i, k]
        trust, familiarity, rivalry = tie.trust, tie.familiarity, tie.rivalry
    worth = (1.0 + params.reward_chat_trust * trust + params.reward_chat_familiarity * familiarity) * quality
    if params.social_rewards == SOCIAL_C3:
        factor = 1.0 + params.reward_chat_regard * (trust - rivalry)
        worth *= min(params.reward_chat_most, max(params.reward_chat_least, factor))
    s.residents[b, i].chat = worth
