"""Section 12, ties: what residents make of each other, and how it changes."""

from dataclasses import dataclass, field
from typing import Any

from tests.model import happenings
from tests.model.conventions import cheb, clamp

HOUR = 60
TRUST_LEFT, FAMILIARITY_LEFT, RIVALRY_LEFT = 0.998, 0.995, 0.98
FORGOTTEN = 0.01
RESERVED = 2
REARMED = 0.1
NEAR, MOST_NEAR = 2, 2
AVOIDED_WITHIN, QUIET = 3, 120
AT_WORK = ("conflict", "shift_covered", "employment_help")
"""Changes in which ambition matters."""


@dataclass(eq=False, slots=True)
class Tie:
    """What an owner makes of another."""

    other: Any
    trust: float = 0.0
    familiarity: float = 0.0
    rivalry: float = 0.0
    changed: int = 0
    """tick of the last change"""
    told: set[str] = field(default_factory=set)
    """thresholds that were told, and cannot be told again yet"""
    quiet_until: int = 0
    """tick from which an avoidance is told again"""

    @property
    def strength(self):
        """The greater of its two sides."""
        return max(abs(self.trust + self.familiarity) / 2, self.rivalry)

    @property
    def is_to_rival(self):
        """Its class."""
        return self.rivalry > abs(self.trust + self.familiarity) / 2


def tie_to(owner, other):
    """The tie of an owner to another, or none."""
    return next((each for each in owner.ties if each.other is other), None)


def regard(owner, other):
    """Trust + familiarity - rivalry, 0 without a tie."""
    tie = tie_to(owner, other)
    return tie.trust + tie.familiarity - tie.rivalry if tie else 0.0


def habits(town, resident):
    """What follows from a profile: chat cooldown, chat factor, avoids from."""
    about = town.plan.vocabulary.profiles[resident.profile]
    preference, tolerance = about.chat_preference, about.tolerance
    if not town.options.features.behaviour_biases:
        preference = tolerance = 1.0
    return max(1, round(30 / preference)), clamp(preference, 0.5, 1.5), clamp(0.7 * tolerance, 0.0, 1.0)


def avoids(town, owner, other):
    """Whether an owner avoids another; not while both are at the same meeting."""
    return not happenings.are_at_a_meeting(town, owner, other) and would_avoid(town, owner, other)


def would_avoid(town, owner, other):
    """Whether an owner avoids another, but for a meeting."""
    tie = tie_to(owner, other)
    return tie is not None and tie.rivalry >= habits(town, owner)[2]


def beside(town, resident, reach, most=None):
    """Who else stands within a distance, by (cheb, serial)."""
    distances = [
        (cheb(each.x, each.y, resident.x, resident.y), each.serial, each)
        for each in town.residents
        if each is not resident
    ]
    return [each for distance, _, each in sorted(distances) if distance <= reach][:most]


def change(town, a, b, tag, trust=0.0, familiarity=0.0, rivalry=0.0):  # noqa: PLR0913, PLR0917 - as the table
    """What happens between two changes the tie of a to b, then that of b to a, by the same numbers."""
    for owner, other in ((a, b), (b, a)):
        change_one(town, owner, other, tag, modified(town, owner, tag, trust, familiarity, rivalry))


def modified(town, owner, tag, trust, familiarity, rivalry):  # noqa: PLR0913, PLR0917 - as the table
    """Steps 1 and 2: the numbers as the owner's traits modify them, clamped."""
    if town.options.features.relationship_modifiers and tag != "plugin":
        about = town.plan.vocabulary.profiles[owner.profile]
        mild = 1 - 0.5 * about.forgiveness
        trust = trust * mild if trust < 0 else trust
        familiarity = familiarity * mild if familiarity < 0 else familiarity
        rivalry = rivalry * mild if rivalry > 0 else rivalry
        if tag in AT_WORK and rivalry > 0:
            rivalry *= 1 + 0.3 * about.ambition
        if tag == "chat_success":
            familiarity += 0.02 * about.extroversion
    return clamp(trust, -1.0, 1.0), clamp(familiarity, -1.0, 1.0), clamp(rivalry, -1.0, 1.0)


def change_one(town, owner, other, tag, changes):
    """Steps 3 to 6."""
    tie = tie_to(owner, other)
    begins = tie is None
    if begins:
        tie = Tie(other)
    trust, familiarity, rivalry = changes
    tie.trust = clamp(tie.trust + trust, -1.0, 1.0)
    tie.familiarity = clamp(tie.familiarity + familiarity, -1.0, 1.0)
    tie.rivalry = clamp(tie.rivalry + rivalry, 0.0, 1.0)
    settle(town, owner, tie, tag, begins=begins)


def write(town, owner, other, numbers):
    """By hand: numbers replace those of a tie."""
    tie = tie_to(owner, other)
    begins = tie is None
    if begins:
        tie = Tie(other)
    for name, value in numbers.items():
        setattr(tie, name, value)
    settle(town, owner, tie, "command", begins=begins)


def settle(town, owner, tie, tag, *, begins):
    """The rest of the steps 3 to 6: the tie has its new numbers."""
    tie.changed = town.tick
    if begins:
        if len(owner.ties) == town.options.relationships.max_ties:
            make_room(town, owner, tie)
        owner.ties.append(tie)
        tell(town, owner, tie, "added", tag)
    tell_thresholds(town, owner, tie)


def make_room(town, owner, new):
    """The weakest tie that is not reserved ends."""
    sides = [each.is_to_rival for each in owner.ties]

    def is_reserved(tie):
        return tie.is_to_rival != new.is_to_rival and sides.count(tie.is_to_rival) <= RESERVED

    free = [each for each in owner.ties if not is_reserved(each)]
    end(town, owner, min(free, key=lambda each: (each.strength, each.changed, each.other.serial)), "capacity")


def end(town, owner, tie, reason):
    """A tie ends."""
    owner.ties.remove(tie)
    tell(town, owner, tie, "removed", reason)


def tell(town, owner, tie, status, reason):
    """The fact that a tie began or ended."""
    town.emit(
        "social.tie",
        owner=owner.id,
        other=tie.other.id,
        status=status,
        reason=reason,
        trust=tie.trust,
        familiarity=tie.familiarity,
        rivalry=tie.rivalry,
    )


def tell_thresholds(town, owner, tie):
    """Thresholds in the order of the table."""
    levels = {
        "friend": (tie.trust, 0.6),
        "rival": (tie.rivalry, habits(town, owner)[2]),
        "feud": (tie.rivalry, 0.9),
    }
    for name, (value, level) in levels.items():
        if value >= level and name not in tie.told:
            tie.told.add(name)
            town.emit("social.threshold", owner=owner.id, other=tie.other.id, threshold=name, value=value)
        elif value < level - REARMED:
            tie.told.discard(name)


def decay(town):
    """Phase 8, in the last tick of each hour."""
    if (town.tick + 1) % HOUR != 0:
        return
    for owner in town.residents:
        for tie in list(owner.ties):
            tie.trust *= TRUST_LEFT
            tie.familiarity *= FAMILIARITY_LEFT
            tie.rivalry *= RIVALRY_LEFT
            if max(abs(tie.trust), abs(tie.familiarity), abs(tie.rivalry)) < FORGOTTEN:
                end(town, owner, tie, "decay")
            else:
                tell_thresholds(town, owner, tie)


def end_all(town, leaver):
    """All ties of a resident that leaves end, then those of all others to it."""
    for tie in list(leaver.ties):
        end(town, leaver, tie, "exit")
    for owner in town.residents:
        tie = tie_to(owner, leaver)
        if tie is not None:
            end(town, owner, tie, "exit")


def meet(town, resident, relation, tag="nearby"):
    """A finished use with ``relation:nearby``, or with relations of hooks, changes ties with those near."""
    for other in beside(town, resident, NEAR, MOST_NEAR):
        change(town, resident, other, tag, **relation)


def avoid(town, resident, before):
    """A step away from somebody avoided is told."""
    for tie in resident.ties:
        x, y = tie.other.x, tie.other.y
        distance = cheb(resident.x, resident.y, x, y)
        leaves = cheb(*before, x, y) <= AVOIDED_WITHIN < distance
        if leaves and town.tick >= tie.quiet_until and avoids(town, resident, tie.other):
            tie.quiet_until = town.tick + QUIET
            resident.avoided_now += 1
            town.emit("social.avoidance", agent_id=resident.id, rival=tie.other.id, distance=distance)
