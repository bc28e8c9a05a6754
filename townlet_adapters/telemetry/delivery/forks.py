"""What has to be done in the child of a fork, for whoever still lives then."""

import os
import weakref
from typing import Final, Protocol


class Forkable(Protocol):
    """Something that holds threads, locks or connections."""

    def begin_anew(self) -> None:
        """Let go of all that is the parent's; called in the child, where only this thread is left."""
        ...


_FORKABLE: Final[weakref.WeakSet[Forkable]] = weakref.WeakSet()


def watch(each: Forkable) -> None:
    """Tell ``each`` of every fork for as long as it lives."""
    _FORKABLE.add(each)


def _in_child() -> None:
    for each in list(_FORKABLE):
        each.begin_anew()


# There is no way to take a function back from the interpreter, so one is registered for good.
os.register_at_fork(after_in_child=_in_child)
