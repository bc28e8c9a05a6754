"""The additional protocol of a world that can be drawn."""

from typing import Protocol, runtime_checkable

from townlet_core.dto.plan import TownPlan


@runtime_checkable
class SupportsPlan(Protocol):
    """A world with ground that its agents stand on.

    Its frames give each agent a ``pos``, the tile (x, y) where it stands. A world without a plan is shown as
    tables and charts.
    """

    def plan(self) -> TownPlan:
        """Return the plan; always the same one, also before ``reset``."""
        ...
