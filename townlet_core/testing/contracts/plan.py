"""The contract of ``SupportsPlan``."""

from collections.abc import Callable, Iterable

from townlet_core.dto.frame import TownFrame
from townlet_core.dto.plan import TownPlan, is_tile
from townlet_core.errors import ContractError
from townlet_core.plans import plan_hash
from townlet_core.ports.plan import SupportsPlan
from townlet_core.ports.world import WorldPort
from townlet_core.testing.contracts.arrays import require


def check_plan(make_world: Callable[[], WorldPort]) -> None:
    """Check the plan of a world; one that cannot be drawn has none.

    Raises:
        ContractError: when it breaks the contract of ``SupportsPlan``.
    """
    world, other = make_world(), make_world()
    if not isinstance(world, SupportsPlan) or not isinstance(other, SupportsPlan):
        return
    plan = world.plan()
    require(isinstance(plan, TownPlan), f"plan() returned {type(plan).__name__}; it must return a TownPlan")
    require(
        plan.ticks_per_day == world.spec.ticks_per_day,
        f"plan().ticks_per_day is {plan.ticks_per_day}; WorldSpec says {world.spec.ticks_per_day}",
    )
    _check_ground(plan)
    _check_names(plan)
    _check_tiles(plan)
    try:
        planhash = plan_hash(plan)
    except (TypeError, ValueError) as error:
        raise ContractError(f"the plan cannot be written as JSON: {error}") from error
    world.reset(0)
    for again, when in ((world, "after reset()"), (other, "of another such world")):
        require(plan_hash(again.plan()) == planhash, f"the plan {when} is another one; it must never change")


def check_positions(world: WorldPort, frame: TownFrame) -> None:
    """Check that a frame shows agents and objects where the plan of the world allows.

    Raises:
        ContractError: when it does not.
    """
    if not isinstance(world, SupportsPlan):
        return
    plan = world.plan()
    for agent_id, agent in frame.agents.items():
        pos = agent.get("pos")
        require(
            is_tile(pos) and _is_on(plan, pos[0], pos[1]),
            f"pos of {agent_id} is {pos!r}; an agent of a world with a plan stands on one of its "
            f"{plan.width} x {plan.height} tiles, [x, y]",
        )
    places = {item.id: list(item.at) for item in plan.objects}
    for object_id, item in frame.objects.items():
        pos = item.get("pos")
        known = places.get(object_id)
        require(
            known is None or (is_tile(pos) and list(pos) == known),
            f"pos of {object_id} is {pos!r}; the plan has it at {known}",
        )


def _check_ground(plan: TownPlan) -> None:
    require(plan.width > 0 and plan.height > 0, f"the plan has {plan.width} x {plan.height} tiles")
    require(
        len(plan.rows) == plan.height,
        f"plan().rows has {len(plan.rows)} rows; plan().height is {plan.height}",
    )
    kinds = len(plan.tile_kinds)
    for y, row in enumerate(plan.rows):
        require(len(row) % 2 == 0, f"row {y} of the plan must hold pairs: a number of a kind, and how many")
        width = sum(row[1::2])
        require(
            width == plan.width and min(row[1::2]) > 0,
            f"the runs of row {y} of the plan add up to {width} tiles; plan().width is {plan.width}, and no "
            "run is empty",
        )
        require(
            all(0 <= kind < kinds for kind in row[::2]),
            f"row {y} of the plan has a kind beyond plan().tile_kinds, which has {kinds}",
        )


def _check_names(plan: TownPlan) -> None:
    for name, names in (
        ("tile_kinds", [kind.name for kind in plan.tile_kinds]),
        ("places", [place.id for place in plan.places]),
        ("objects", [item.id for item in plan.objects]),
        ("districts", [district.id for district in plan.districts]),
    ):
        require(len(set(names)) == len(names), f"plan().{name} has a name twice: {', '.join(names)}")
    for key, unit in plan.units.items():
        require(unit.size > 0, f"the unit of '{key}' in the plan has the size {unit.size}; at least 1")


def _check_tiles(plan: TownPlan) -> None:
    tiles: set[tuple[int, int]] = set()
    for place in plan.places:
        for x, y, length in place.tiles:
            _require_on(plan, f"the place '{place.id}'", ((x, y), (x + length - 1, y)))
            run = {(x + step, y) for step in range(length)}
            require(not tiles & run, f"a tile in row {y} belongs to '{place.id}' and to another place")
            tiles |= run
    for item in plan.objects:
        _require_on(plan, f"the object '{item.id}'", (item.at,))
    _require_on(plan, "a home", plan.homes)
    _require_on(plan, "an entry", plan.entries)
    for district in plan.districts:
        (x, y), (width, height) = district.at, district.size
        _require_on(plan, f"the district '{district.id}'", ((x, y), (x + width - 1, y + height - 1)))


def _require_on(plan: TownPlan, what: str, tiles: Iterable[tuple[int, int]]) -> None:
    for x, y in tiles:
        require(
            _is_on(plan, x, y),
            f"{what} has the tile ({x}, {y}) outside of {plan.width} x {plan.height} tiles",
        )


def _is_on(plan: TownPlan, x: int, y: int) -> bool:
    return 0 <= x < plan.width and 0 <= y < plan.height
