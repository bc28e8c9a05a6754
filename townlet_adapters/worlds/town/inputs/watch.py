"""What the observers of a run watch in this town: the shipped defaults, as far as they fit its options."""

import copy
from typing import Any, Final

from townlet_adapters.documents import read_document
from townlet_adapters.worlds.town.inputs.shipped import shipped_file
from townlet_adapters.worlds.town.inputs.texts import TownOptions
from townlet_adapters.worlds.town.inputs.vocabulary import read_vocabulary
from townlet_core.errors import ConfigError
from townlet_core.jsonvalue import JsonObject
from townlet_plugins.access import Access

_FILES: Final = ("watch", "narration")
_NEEDS: Final = "needs."
_BACKLOG: Final = "employment_exit_backlog"


def watch_of(options: TownOptions, access: Access) -> JsonObject:
    """Return the sections ``stability``, ``promotion`` and ``narration`` for a town.

    Alerts about needs that the town does not have are left out. The backlog of reviews is too long when more
    wait than jobs may be lost in a day; without such a limit it is measured and never fires.
    """
    # The files are ours, and a test compares each with its model.
    sections: Any = {}
    for name in _FILES:
        sections |= copy.deepcopy(read_document(shipped_file(name)).value)
    alerts = sections["stability"]["alerts"]
    needs = _needs_of(options, access)
    for alert in alerts.values():
        if "low" in alert:
            alert["low"] = [each for each in alert["low"] if _exists(each["of"], needs)]
    if options.employment.daily_loss_cap:
        alerts[_BACKLOG]["above"] = options.employment.daily_loss_cap
    found: JsonObject = sections
    return found


def _exists(name: str, needs: frozenset[str]) -> bool:
    return not name.startswith(_NEEDS) or name.removeprefix(_NEEDS) in needs


def _needs_of(options: TownOptions, access: Access) -> frozenset[str]:
    try:
        return frozenset(read_vocabulary(options.vocabulary, access).needs)
    except ConfigError:
        return frozenset()  # the world reports it when it is built, with everything else that is wrong
