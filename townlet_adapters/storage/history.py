"""The history of promotions in a run folder: one line of JSON for each change of state."""

import json
import os
from pathlib import Path
from typing import Final

from townlet_adapters.files import read_regular
from townlet_adapters.storage.atomic import write_atomically
from townlet_core.errors import OutputError
from townlet_core.events.base import Diagnostic, Fact
from townlet_core.events.schema import event_data

HISTORY: Final = "promotion_history.jsonl"
_MOST_BYTES: Final = 16 << 20
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class PromotionLog:
    """Appends each change of state to a file; the file exists from the first one on."""

    def __init__(self, path: Path) -> None:
        """Take the path of the file; nothing is opened."""
        self._path = path

    def hear(self, message: Fact | Diagnostic) -> None:
        """Write one line; raises ``OSError``, which the dispatcher counts as the failure of a listener."""
        if not isinstance(message, Fact):
            return
        line = {"seq": message.seq, "tick": message.tick, **event_data(message.event)}
        file = os.open(self._path, _FLAGS, 0o644)
        try:
            os.write(file, json.dumps(line).encode() + b"\n")
            os.fsync(file)
        finally:
            os.close(file)


def cut_history(path: Path, next_seq: int) -> None:
    """Remove damaged lines and those from a number on: the run goes on before them, and writes them again.

    Raises:
        OutputError: when the file cannot be changed.
    """
    try:
        text = read_regular(path, _MOST_BYTES, follow_links=False)
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"{path}: cannot be read: {error.strerror}") from error
    kept = [line for line in text.splitlines() if _number(line) < next_seq]
    if len(kept) < len(text.splitlines()):
        write_atomically(path, b"".join(line + b"\n" for line in kept))


def _number(line: bytes) -> float:
    """Return the number of a line's fact; infinity for a damaged one."""
    try:
        match json.loads(line):
            case {"seq": int(seq)}:
                return seq
    except ValueError:
        pass
    return float("inf")
