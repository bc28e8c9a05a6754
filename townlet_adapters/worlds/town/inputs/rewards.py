"""What residents are rewarded for: the keys of ``world.options.rewards`` (domain.md, section 15)."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import Field

from townlet_adapters.worlds.town.inputs.section import Section
from townlet_adapters.worlds.town.inputs.vocabulary import Vocabulary

SocialRewards = Literal["OFF", "C1", "C2", "C3"]
SOCIAL_REWARDS: Final[tuple[SocialRewards, ...]] = ("OFF", "C1", "C2", "C3")
"""Stages of the social rewards, in the order of their numbers in kernels."""

_Small = Annotated[float, Field(ge=0, le=1)]
_Factor = Annotated[float, Field(ge=0, le=10)]
_Loss = Annotated[float, Field(ge=-1000, le=0)]


class TerminalText(Section):
    """The reward of a resident's last tick, by the reason why it leaves."""

    collapse: _Loss = -5.0
    """it starved"""
    neglect: _Loss = -5.0
    """a need was very low for hours"""
    eviction: _Loss = -5.0
    """it owed rent"""
    unemployment: _Loss = -5.0
    """it found no job"""
    age_out: _Loss = 0.0
    """it left at the end of a long life"""
    killed: _Loss = 0.0
    """a command removed it"""


class RewardsOptions(Section):
    """What residents are rewarded for; a part with a weight of 0 is off."""

    gamma: Annotated[float, Field(ge=0, le=1)] = 0.99
    """discount of a tick, for shaping: that of the learner"""
    homeostasis: _Small = 0.02
    """cost of unmet needs per tick: times the sum of weight times deficit squared"""
    shaping: _Small = 0.05
    """weight of the potential, minus the sum of weight times deficit"""
    survival: _Small = 0.002
    """for each tick of life"""
    wage: _Small = 0.01
    """for each paid tick"""
    punctuality: _Small = 0.05
    """for a first presence at the very start of a shift"""
    punctuality_ticks: Annotated[int, Field(ge=1, le=240)] = 30
    """ticks from the start, before or after it, at which a first presence is worth nothing"""
    chat: _Small = 0.01
    """for a chat of quality 1 that goes well"""
    chat_trust: _Factor = 0.3
    """how much more it is worth with a trust of 1"""
    chat_familiarity: _Factor = 0.2
    """how much more it is worth with a familiarity of 1"""
    chat_speaker: _Factor = 0.5
    """part of `chat` that a chat that goes badly costs the speaker"""
    chat_listener: _Factor = 0.25
    """part of `chat` that it costs the listener"""
    chat_regard: _Factor = 0.25
    """stage C3: how much more a chat that goes well is worth per trust less rivalry"""
    chat_least: _Factor = 0.5
    """stage C3: least factor of it"""
    chat_most: _Factor = 1.5
    """stage C3: greatest factor of it"""
    chat_deficit: Annotated[float, Field(ge=0, le=1)] = 0.85
    """with a need lower than 1 less this, chats are worth nothing"""
    avoidance: _Small = 0.005
    """for each avoidance"""
    debt: _Small = 0.0005
    """cost of each day of rent owed, per tick"""
    debt_days: Annotated[int, Field(ge=0, le=30)] = 3
    """most days of rent owed that count"""
    guard_ticks: Annotated[int, Field(ge=0, le=1440)] = 10
    """ticks after starving in which nothing is gained"""
    tick_clip: Annotated[float, Field(ge=0, le=1000)] = 0.2
    """most that a tick gives or costs"""
    day_clip: Annotated[float, Field(ge=0, le=100_000)] = 50.0
    """most that a day gives or costs"""
    terminal: TerminalText = TerminalText()
    """the reward of a last tick, outside both limits"""


def cost_of_a_bad_life(options: RewardsOptions, vocabulary: Vocabulary, gamma: float) -> float:
    """Return what an endless life with no need ever met costs a learner with a discount, infinite for 1.

    A resident gains by leaving when its terminal reward costs less than this.
    """
    per_tick = options.homeostasis * sum(need.weight for need in vocabulary.needs.values())
    if gamma >= 1:
        return float("inf") if per_tick else 0.0
    return per_tick / (1 - gamma)


def cheap_exits(options: RewardsOptions, vocabulary: Vocabulary, gamma: float) -> Mapping[str, float]:
    """Return the terminal rewards that are smaller than a bad life, by reason: leaving pays there.

    Reasons with a reward of 0 are left out: a resident cannot bring them about.
    """
    least = cost_of_a_bad_life(options, vocabulary, gamma)
    terminal: Mapping[str, float] = options.terminal.model_dump()
    return {reason: loss for reason, loss in terminal.items() if loss and -loss < least}
