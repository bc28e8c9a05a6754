"""What the town asks when bread is baked and bought: pure functions of what they are shown."""

from townlet_core.dto.hook import Cancel, Effect, HookContext, NeedEffect, StockEffect
from townlet_plugins import hookimpl

KEPT = 2
"""Loaves that are kept for those who ordered; when no more are left, bread is sold out."""
KEPT_UNTIL = 1080
"""Minute of the day from which loaves that nobody came for are sold."""
GOOD_BATCH = 0.25
"""How likely it is that a batch gives a loaf more."""
FRESH_UNTIL = 600
"""Minute of the day until which bread is warm."""


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
