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
    CommandSpec(
        "spawn",
        "admin",
        "Lets a resident come to live in town; the rules choose what is left out.",
        (
            Argument("position", "xy", required=False),
            Argument("home", "xy", required=False),
            Argument("needs", "reals", required=False),
            Argument("wallet", "int", required=False),
            Argument("profile", "text", required=False),
            Argument("job_id", "text", required=False),
        ),
    ),
    CommandSpec(
        "kill",
        "admin",
        "Removes a resident from town; a newcomer follows unless replace is false.",
        (Argument("agent_id", "text"), Argument("replace", "bool", required=False)),
    ),
    CommandSpec(
        "review",
        "admin",
        "Decides the pending review of a resident's absences: approve takes its job now, defer waits anew.",
        (Argument("agent_id", "text"), Argument("decision", "text")),
    ),
    CommandSpec(
        "toggle_mortality",
        "admin",
        "Sets whether residents leave by the rules; without, they leave by a command only.",
        (Argument("value", "bool"),),
    ),
    CommandSpec(
        "set_exit_cap",
        "admin",
        "Sets how many residents may leave a district by the rules in a day, 0 for no limit.",
        (Argument("value", "int"),),
    ),
    CommandSpec(
        "set_exit_spacing",
        "admin",
        "Sets the fewest ticks between two residents who leave a district by the rules.",
        (Argument("value", "int"),),
    ),
    CommandSpec(
        "set_price",
        "admin",
        "Edits a base price, in one district or in all; spikes apply to it.",
        (Argument("key", "text"), Argument("mills", "int"), Argument("district", "int", required=False)),
    ),
    CommandSpec(
        "perturb",
        "admin",
        "Schedules an event of a spec, whatever the caps and cooldowns of the scheduler.",
        (
            Argument("spec", "text"),
            Argument("starts_in", "int", required=False),
            Argument("duration", "int", required=False),
            Argument("targets", "texts", required=False),
            Argument("magnitude", "int", required=False),
            Argument("location", "text", required=False),
            Argument("district", "int", required=False),
        ),
    ),
    CommandSpec(
        "perturb_cancel",
        "admin",
        "Cancels an event that waits, or ends one that is under way.",
        (Argument("event_id", "text"),),
    ),
    CommandSpec(
        "force_chat",
        "admin",
        "Lets a resident have a chat that goes well with another one beside it, without a draw.",
        (
            Argument("speaker", "text"),
            Argument("listener", "text"),
            Argument("quality", "real", required=False),
        ),
    ),
    CommandSpec(
        "set_rel",
        "admin",
        "Sets numbers of the tie of a resident to another one, and of the tie back unless both is false.",
        (
            Argument("owner", "text"),
            Argument("other", "text"),
            Argument("trust", "real", required=False),
            Argument("familiarity", "real", required=False),
            Argument("rivalry", "real", required=False),
            Argument("both", "bool", required=False),
        ),
    ),
)
