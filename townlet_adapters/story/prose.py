"""Makes sentences of a day's notes: what belongs together is one sentence, and nothing is said twice."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from townlet_adapters.story import english
from townlet_adapters.story.notes import Note, Remark, Shift, Use


def sentences(notes: Sequence[Note], names: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """List the sentences of a day, each with the time of day at which it begins.

    Args:
        notes: folded notes, in order of time.
        names: name of each resident, by id.
    """
    left, prices = deque(notes), dict[str, int]()
    while left:
        first = left.popleft()
        if isinstance(first, Remark):
            yield first.at.tod, english.sentence([first.words_about(names)])
            continue
        uses, asides = _belonging(first, left)
        clauses: list[str] = [] if isinstance(first, Use) else first.clauses()
        for use in uses:
            before = prices.get(use.affordance)
            clauses += use.clauses(names, again=before is not None, priced=use.price not in {0, before})
            prices[use.affordance] = use.price or before or 0
        if len(clauses) > 1 and len(uses) > 1:
            clauses[-1] = f"then {clauses[-1]}"
        yield first.at.tod, english.sentence(clauses, [aside.words_about(names) for aside in asides])


def _belonging(first: Use | Shift, left: deque[Note]) -> tuple[list[Use], list[Remark]]:
    """Take the notes that are part of the sentence about ``first``.

    Returns:
        The uses of it, one after the other, and the remarks beside them.
    """
    uses = [first] if isinstance(first, Use) else []
    last: Use | Shift = first
    asides: dict[str, Remark] = {}
    while left:
        following = left[0]
        if isinstance(following, Remark) and following.is_aside_of(last):
            known = asides.get(following.words)
            asides[following.words] = following if known is None else known.with_another(following)
        elif isinstance(following, Use) and isinstance(last, Use) and last.is_followed_by(following):
            uses.append(following)
            last = following
        else:
            break
        left.popleft()
    return uses, list(asides.values())
