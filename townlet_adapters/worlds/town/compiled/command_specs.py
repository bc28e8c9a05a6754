"""The town's commands: names, roles and arguments, in the order of the table in ``docs/domain.md``."""

from typing import Final

from townlet_core.dto.command import Argument, CommandSpec

COMMANDS: Final = (
    CommandSpec(
        "teleport",
        "admin",
        "Moves a resident to a free tile; its claim ends, and its policy plans anew.",
        (Argument("agent_id", "text"), Argument("position", "xy")),
    ),
    CommandSpec(
        "set_need",
        "admin",
        "Sets needs of a resident, in [0, 1]; its policy plans anew.",
        (Argument("agent_id", "text"), Argument("needs", "reals")),
    ),
    CommandSpec(
        "interrupt",
        "admin",
        "Ends a resident's claim, if idle only a place in a queue or a hold; its policy plans anew.",
        (Argument("agent_id", "text"), Argument("idle", "bool", required=False)),
    ),
)
