"""Compares what the town did with what the model predicts, and reports the first difference."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

FACTS = {
    "affordance.": "8. Affordances: Life of a use",
    "social.chat": "12. Ties, chat, avoidance: Chat",
    "social.tie": "12. Ties, chat, avoidance: Changes",
    "social.threshold": "12. Ties, chat, avoidance: Changes",
    "social.shared_meal": "12. Ties, chat, avoidance: Company",
    "social.avoidance": "12. Ties, chat, avoidance: Avoidance",
    "queue.handover": "9. Claims, queues, fairness: Hand-over",
    "queue.join": "6. Actions",
    "queue.grant": "9. Claims, queues, fairness: Grant",
    "queue.leave": "9. Claims, queues, fairness: Release",
    "queue.conflict": "9. Claims, queues, fairness: Intensity of a conflict",
    "rivalry.events": "9. Claims, queues, fairness: Intensity of a conflict",
    "employment.review": "10. Employment: Reviews",
    "employment.job_loss": "10. Employment: Reviews",
    "employment.hired": "10. Employment: Hiring",
    "employment.": "10. Employment",
    "economy.price": "13. Events, and what is off, closed or dear",
    "perturbation.": "13. Events, and what is off, closed or dear",
    "economy.": "11. Economy: Day end",
    "lifecycle.arrive": "5. Residents",
    "lifecycle.exit_pending": "14. Arriving and leaving: When they leave",
    "lifecycle.exit": "14. Arriving and leaving: Leaving",
    "lifecycle.moved": "7. Movement and ghost steps",
}
"""Start of a kind of fact -> its paragraph in docs/domain.md; the first match decides."""
FIELDS = {
    "needs": "5. Residents",
    "wallet": "3. Money",
    "inventory": "8. Affordances: Life of a use",
    "pos": "7. Movement and ghost steps",
    "job": "10. Employment: Hiring",
    "shift_state": "10. Employment",
    "claim": "9. Claims, queues, fairness",
    "queue": "9. Claims, queues, fairness: Grant",
    "holder": "9. Claims, queues, fairness: Grant",
    "running": "8. Affordances: Life of a use",
    "stock": "8. Affordances: Life of a use",
    "closed": "8. Affordances: Life of a use",
    "clock": "1. Time and the tick",
    "utilities": "4. Town",
    "prices": "13. Events, and what is off, closed or dear",
    "answers": "13. Events, and what is off, closed or dear",
    "employment": "10. Employment",
    "mask": "6. Actions",
    "features": "16. Observations",
    "map": "16. Observations",
    "ties_top3": "12. Ties, chat, avoidance: Ties",
    "tie_trust": "12. Ties, chat, avoidance: Ties",
    "tie_familiarity": "12. Ties, chat, avoidance: Ties",
    "tie_rivalry": "12. Ties, chat, avoidance: Ties",
    "talk_ready": "12. Ties, chat, avoidance: Chat",
    "summary": "6. Actions",
    "figures": "3. Money",
    "rewards": "15. Rewards",
    "reward_parts": "15. Rewards",
    "reward_mean": "15. Rewards",
    "leaving": "14. Arriving and leaving: When they leave",
    "left": "16. Observations",
    "blank": "16. Observations",
    "perturbations": "13. Events, and what is off, closed or dear",
    "invite": "13. Events, and what is off, closed or dear: Meeting",
    "commands": "19. Commands",
    "hooks": "8. Affordances: Hooks",
}
"""Field of a frame -> its paragraph; every other field is of section 21."""
FRAME = "21. The town's frame"


class Difference(NamedTuple):
    """The first value that is not as predicted."""

    tick: int
    where: str
    actual: object
    predicted: object
    paragraph: str

    def __str__(self) -> str:
        return (
            f"tick {self.tick}: {self.where}: the town has {self.actual!r}, the model {self.predicted!r} "
            f"(docs/domain.md, section {self.paragraph})"
        )


def plain(value: Any) -> Any:
    """A value as dicts, lists and scalars; a fact as [kind, fields]."""
    if is_dataclass(value) and not isinstance(value, type):
        data = {each.name: plain(getattr(value, each.name)) for each in fields(value)}
        return [value.kind, data] if hasattr(value, "kind") else data
    if type(value) is dict or isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(each) for each in value]
    return value


def count(value: Any) -> int:
    """The number of scalars in a value."""
    if type(value) is dict or isinstance(value, Mapping):
        parts = value.values()
    elif isinstance(value, list | tuple):
        parts = value
    else:
        return 1
    number = 0
    for each in parts:
        number += 1 if type(each) in _SCALARS else count(each)
    return number


_SCALARS = frozenset({str, int, float, bool, type(None)})
MISSING = "nothing"


def first_difference(actual: Any, predicted: Any, path: tuple[str, ...] = ()) -> tuple[Any, ...] | None:
    """The path and both values of the first scalar that differs."""
    if actual == predicted and type(actual) is type(predicted):
        return None
    if isinstance(actual, dict) and isinstance(predicted, dict):
        pairs = [
            (str(key), actual.get(key, MISSING), predicted.get(key, MISSING))
            for key in {**actual, **predicted}
        ]
    elif isinstance(actual, list) and isinstance(predicted, list):
        padding = [MISSING] * abs(len(actual) - len(predicted))
        longer = max(len(actual), len(predicted))
        pairs = [
            (str(number), one, other)
            for number, one, other in zip(
                range(longer), (actual + padding)[:longer], (predicted + padding)[:longer], strict=True
            )
        ]
    else:
        return (path, actual, predicted) if actual != predicted else None
    for key, one, other in pairs:
        found = first_difference(one, other, (*path, key))
        if found is not None:
            return found
    return None


def paragraph_of(path: tuple[str, ...], actual: Any, predicted: Any) -> str:
    """The paragraph of docs/domain.md that a value belongs to."""
    if path[0] == "facts":
        kinds = [each[int(path[1])][0] for each in (actual, predicted) if int(path[1]) < len(each)]
        return next(
            (text for start, text in FACTS.items() for kind in kinds if kind.startswith(start)), FRAME
        )
    return next((FIELDS[name] for name in path if name in FIELDS), FRAME)


def compare(tick: int, actual: Mapping[str, Any], predicted: Mapping[str, Any]) -> Difference | None:
    """The first difference between two accounts of a tick, by the parts of the account."""
    for part in actual:
        if actual[part] == predicted[part]:
            continue
        found = first_difference(plain(actual[part]), plain(predicted[part]), (part,))
        if found is not None:
            path, one, other = found
            paragraph = paragraph_of(path, actual[part], predicted[part])
            return Difference(tick, ".".join(path), one, other, paragraph)
    return None
