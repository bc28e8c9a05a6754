"""What the town asks when bread is baked, bought and given away: pure functions of what they are shown."""

from townlet_core.dto.command import Argument, Command, CommandSpec
from townlet_core.dto.command_hook import CommandContext, CommandDone, CommandRefused, OfferedCommand
from townlet_core.dto.hook import Cancel, Effect, HookContext, NeedEffect, StockEffect
from townlet_plugins import hookimpl

KEPT = 2
"""Loaves that are kept for those who ordered; when no more are left, bread is sold out."""
KEPT_UNTIL = 1080
"""Minute of the day from which the remaining loaves are sold."""
GOOD_BATCH = 0.25
"""How likely it is that a batch gives a loaf more."""
FRESH_UNTIL = 600
"""Minute of the day until which bread is warm."""
LOAF = 0.45
"""How much less hungry a loaf makes, as in the manifest."""
FEED = CommandSpec(
    "bakery.feed",
    "admin",
    "Gives a loaf to a resident, or to the hungriest one.",
    (Argument("agent_id", "text", required=False),),
)


@hookimpl
def townlet_affordance_before(context: HookContext) -> Cancel | None:
    """Sell no loaf that is ordered."""
    ordered = context.affordance_id == "buy_bread" and context.stock["meal"] <= KEPT
    return Cancel("sold out") if ordered and context.tod < KEPT_UNTIL else None


@hookimpl
def townlet_affordance_after(context: HookContext) -> list[Effect]:
    """Let a good batch give a loaf more, and warm bread satisfy more."""
    if context.affordance_id == "bake_bread" and context.unit(0) < GOOD_BATCH:
        return [StockEffect("meal", 1)]
    if context.affordance_id == "buy_bread" and context.tod < FRESH_UNTIL:
        return [NeedEffect("hunger", 0.1)]
    return []


@hookimpl
def townlet_commands() -> list[OfferedCommand]:
    """Let an operator give bread away."""
    return [OfferedCommand(FEED, feed)]


def feed(context: CommandContext) -> CommandDone | CommandRefused:
    """Choose who gets the loaf, and have the town hand it over."""
    hungry = sorted(context.residents.values(), key=lambda each: (each.needs["hunger"], each.serial))
    wanted = context.args.get("agent_id")
    chosen = [each for each in hungry if wanted in {None, each.agent_id}]
    if not chosen:
        return CommandRefused("no resident has this name", "not_found")
    fed = chosen[0]
    needs = {"hunger": min(1.0, fed.needs["hunger"] + LOAF)}
    loaf = Command("set_need", {"agent_id": fed.agent_id, "needs": needs})
    return CommandDone((loaf,), {"agent_id": fed.agent_id, **needs})
