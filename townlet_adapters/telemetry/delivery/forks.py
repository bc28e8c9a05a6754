"""Calls objects with threads, locks or connections in the child of a fork."""

import os
import weakref
from typing import Final, Protocol


class Forkable(Protocol):
    """An object that holds threads, locks or connections."""

    def begin_anew(self) -> None:
        """Release everything that belongs to the parent; called in the child, which has only this thread."""
        ...


_FORKABLE: Final[weakref.WeakSet[Forkable]] = weakref.WeakSet()


def watch(each: Forkable) -> None:
    """Call ``each.begin_anew`` after every fork, as long as it lives."""
    _FORKABLE.add(each)


def _in_child() -> None:
    for each in list(_FORKABLE):
        each.begin_anew()


# A function cannot be unregistered from the interpreter, so one is registered for good.
os.register_at_fork(after_in_child=_in_child)
