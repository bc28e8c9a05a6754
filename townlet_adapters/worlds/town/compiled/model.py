"""A town that is ready to be stepped: its plan compiled to tables, its names, its spec."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from townlet_adapters.documents import Document
from townlet_adapters.kernels.records import Records
from townlet_adapters.validation import validate
from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.compiled import navigation
from townlet_adapters.worlds.town.compiled import observation_layout as layout
from townlet_adapters.worlds.town.compiled.columns import COLUMNS, CONSTANTS, constants_of
from townlet_adapters.worlds.town.compiled.command_specs import COMMANDS
from townlet_adapters.worlds.town.compiled.limits import Limits, compile_limits
from townlet_adapters.worlds.town.compiled.rows import Sizes
from townlet_adapters.worlds.town.compiled.tables import (
    AFFORDANCE,
    CHARGE,
    CONDITION,
    HOME,
    JOB,
    PARAMS,
    PLACE,
    PLACED_OBJECT,
    PROFILE,
    SPEC,
    Tables,
)
from townlet_adapters.worlds.town.inputs.manifest import Affordance, Condition, Name
from townlet_adapters.worlds.town.inputs.perturbations import price_targets, target_names
from townlet_adapters.worlds.town.inputs.plan import TownPlan, load_town
from townlet_adapters.worlds.town.inputs.rewards import SOCIAL_REWARDS
from townlet_adapters.worlds.town.inputs.texts import (
    MAX_COOLDOWN_TICKS,
    REASONS_TO_LEAVE,
    LifecycleOptions,
    TownOptions,
)
from townlet_adapters.worlds.town.inputs.tiles import FIRST_IMPASSABLE_TILE
from townlet_adapters.worlds.town.inputs.vocabulary import REWARD_GROUPS, Vocabulary
from townlet_core.dto.observation import Constants
from townlet_core.dto.spec import FigureSpec, ItemSpec, NeedSpec, OptionSpec, WorldSpec
from townlet_core.errors import ArgumentError
from townlet_core.hook_runner import HookRunner
from townlet_core.jsonvalue import JsonValue
from townlet_plugins.access import Access

DEPARTURE_LEAD = 20
MAX_LEAD = 240
AVOIDS_FROM = 0.7
CHAT_COOLDOWN = 30
MEAL = "meal"
STARVING = "hunger"
"""The need whose lack lets a resident collapse."""
LEAST_CHAT_FACTOR, MOST_CHAT_FACTOR = 0.5, 1.5

FIGURES = (
    FigureSpec("queued", "residents", "Residents that wait in a queue."),
    FigureSpec("wallets", "mills", "Sum of the residents' wallets."),
    FigureSpec("tills", "mills", "Sum of the tills."),
    FigureSpec("treasury", "mills", "The treasury."),
    FigureSpec("reviews_pending", "reviews", "Reviews of absences that wait for a decision."),
    FigureSpec("perturbations_active", "events", "Events that are under way."),
    FigureSpec("perturbations_pending", "events", "Events that were scheduled and have not started."),
    FigureSpec("embedding_forced_reuses", "slots", "Embedding slots that were given before they had rested."),
    FigureSpec("embedding_allocations", "slots", "Embedding slots that were given, one to each newborn."),
)
"""The numbers of every tick, in the order in which ``fill_view`` adds them up behind the population."""


@dataclass(frozen=True, slots=True, eq=False)
class TownModel:
    """The data that all towns of one configuration share; never changes.

    Attributes:
        plan: the plan of the town.
        options: the options of the town.
        tables: the plan and options for kernels.
        spec: the properties of the world.
        limits: the preconditions, for the view.
        constants: the arrays of the view that never change.
        effects: effects of each affordance by effect key, as in events.
        sizes: the numbers from which the size of the journal follows.
        hook_identity: names and digests of the hooks that the manifest names, in the order of the calls.
    """

    plan: TownPlan
    options: TownOptions
    tables: Tables
    spec: WorldSpec
    limits: Limits
    constants: Constants
    effects: tuple[Mapping[str, float], ...]
    sizes: Sizes
    object_ids: tuple[str, ...]
    object_types: tuple[str, ...]
    affordance_ids: tuple[str, ...]
    job_ids: tuple[str, ...]
    price_keys: tuple[str, ...]
    profile_names: tuple[str, ...]
    names: tuple[str, ...]
    hook_identity: str

    def __repr__(self) -> str:
        plan, spec = self.plan, self.spec
        return (
            f"TownModel({plan.id}, {plan.width} x {plan.height} tiles, {spec.capacity} slots, "
            f"{len(spec.action_names)} actions)"
        )

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary of the town."""
        return self.plan.vocabulary

    @property
    def width(self) -> int:
        """Width of the map in tiles."""
        return self.plan.width

    @property
    def outcome_history(self) -> int:
        """The number of outcomes that a resident remembers."""
        return self.options.affordances.outcome_history

    @property
    def cooldowns(self) -> int:
        """The most objects that cool down for one resident at the same time."""
        return most_cooldowns(
            len(self.plan.objects), (each.duration for each in self.plan.affordances.affordances)
        )

    @property
    def effect_rows(self) -> int:
        """The most effects that can be active at the same time."""
        return most_effects(len(self.plan.objects), *self.tables.start_price.shape)

    @property
    def event_rows(self) -> int:
        """The most events that can wait or be under way at the same time."""
        return most_events(self.plan.districts)

    @property
    def spec_names(self) -> tuple[str, ...]:
        """Names of the specs of events."""
        return tuple(spec.name for spec in self.plan.specs)

    @property
    def portrait(self) -> int:
        """The number of features that follow from a resident's ties."""
        seen = self.options.observations
        block = layout.social_block(seen.top_friends, seen.top_rivals, seen.identity_dim)
        return layout.OWN_RIVALRY + len(block)

    @property
    def hooked(self) -> bool:
        """Whether the manifest names hooks."""
        return bool(self.hook_identity)

    @classmethod
    def build(
        cls,
        options: TownOptions | Mapping[str, JsonValue] | None = None,
        access: Access | None = None,
        hooks: HookRunner | None = None,
    ) -> "TownModel":
        """Load a town and compile it.

        Args:
            options: the ``world.options`` of a config, validated or as a mapping of the same keys; the
                default town when left out.
            access: which files the options may name; those below the working directory when left out.
            hooks: the hooks that the manifest may name; none when left out.

        Raises:
            ConfigError: when map, manifest or options do not fit together; each problem has its key.
            ArgumentError: when ``options`` are neither options nor a mapping.
        """
        chosen = _validated({} if options is None else options)
        plan = load_town(chosen, access or Access(Path()), hooks.active if hooks is not None else {})
        features, starts = layout.feature_columns(plan.vocabulary, chosen.observations)
        tables = _tables(plan, chosen, starts)
        spec = _spec(plan, chosen, features)
        return cls(
            plan=plan,
            options=chosen,
            tables=tables,
            spec=spec,
            limits=compile_limits(plan.affordances.affordances, _condition),
            constants=constants_of(plan, spec, tables, tuple(plan.vocabulary.object_types)),
            effects=tuple(_effects(affordance) for affordance in plan.affordances.affordances),
            sizes=_sizes(plan, chosen),
            object_ids=tuple(placed.id for placed in plan.objects),
            object_types=tuple(plan.vocabulary.object_types),
            affordance_ids=tuple(affordance.id for affordance in plan.affordances.affordances),
            job_ids=tuple(job.id for job in plan.jobs),
            price_keys=tuple(plan.prices),
            profile_names=tuple(plan.vocabulary.profiles),
            names=plan.names,
            hook_identity=_hook_identity(plan, hooks.digests if hooks is not None else {}),
        )


def most_cooldowns(objects: int, durations: Iterable[int]) -> int:
    """Return how many objects cool down for one resident at most: it has finished one use after the other."""
    return max(1, min(objects, math.ceil(MAX_COOLDOWN_TICKS / min(durations))))


def most_events(districts: int) -> int:
    """Return the most events that can wait or be under way in a town."""
    return districts * codes.EVENTS_PER_DISTRICT


def most_effects(objects: int, districts: int, prices: int) -> int:
    """Return the length of the list of effects: each object closed, each utility off, more, and for events.

    An event has an effect on each price key, or on each of its targets.
    """
    of_events = most_events(districts) * max(prices, codes.EVENT_TARGETS)
    return objects + districts * (len(codes.UTILITIES) + codes.EFFECTS_PER_DISTRICT) + of_events


def _validated(options: TownOptions | Mapping[str, JsonValue]) -> TownOptions:
    """Return options as they are, or validate a mapping as the options of a config are validated."""
    if isinstance(options, TownOptions):
        return options
    if not isinstance(options, Mapping):
        raise ArgumentError(
            f"options are of type {type(options).__name__}; expected TownOptions or a mapping, "
            'such as {"town": "hamlet_24"}'
        )
    return validate(Document(options, "options"), TownOptions)


def _hook_identity(plan: TownPlan, digests: Mapping[str, str]) -> str:
    """Return the identity of the named hooks; a hook that no affordance names is not part of the town."""
    named = {name for each in plan.affordances.affordances for names in each.hooks.values() for name in names}
    return " ".join(
        f"{name}@{digest}" if digest else name for name, digest in digests.items() if name in named
    )


def _sizes(plan: TownPlan, options: TownOptions) -> Sizes:
    """Return the numbers from which the journal's size follows; orders make room for themselves."""
    return Sizes(
        residents=plan.capacity,
        objects=len(plan.objects),
        stocks=len(plan.vocabulary.items),
        colleagues=max((job.capacity for job in plan.jobs), default=0),
        ties=options.relationships.max_ties,
        flows=len(codes.FLOWS),
        orders=0,
        events=most_events(plan.districts),
        prices=len(plan.prices),
    )


def _effects(affordance: Affordance) -> dict[str, float]:
    effects = affordance.effects
    by_key: dict[str, float] = {f"need:{need}": value for need, value in effects.need.items()}
    by_key |= {f"stock:{item}": value for item, value in effects.stock.items()}
    by_key |= {f"inventory:{item}": value for item, value in effects.inventory.items()}
    if effects.money:
        by_key["money"] = effects.money
    return by_key


def _passable(plan: TownPlan) -> npt.NDArray[np.uint8]:
    passable = (plan.tiles < FIRST_IMPASSABLE_TILE).astype(np.uint8)
    for placed in plan.objects:
        passable[placed.y, placed.x] = 0
    return passable


def _padded(values: Sequence[float], capacity: int) -> tuple[float, ...]:
    """Fill a row of a record up to its capacity."""
    return (*values, *[0] * (capacity - len(values)))


def _params(plan: TownPlan, options: TownOptions, starts: layout.Starts) -> Records:
    params = np.zeros(1, PARAMS)
    vocabulary, seen = plan.vocabulary, options.observations
    decay = {name: need.decay for name, need in vocabulary.needs.items()} | options.needs.decay
    values: dict[str, float | tuple[float, ...]] = {
        **options.queues.model_dump(),
        **options.employment.model_dump(exclude={"jobs"}),
        "start_wallet": options.population.start_wallet,
        "start_tod": options.time.start_tod,
        "start_need": options.population.start_need,
        "start_spread": options.population.start_spread,
        "least_start_share": _padded(
            [0.0 if need.night > 0 else -1.0 for need in vocabulary.needs.values()], codes.MAX_NEEDS
        ),
        "rent": options.economy.rent_per_day,
        "stipend": options.economy.stipend,
        "need_rate": _padded([decay[need] for need in vocabulary.needs], codes.MAX_NEEDS),
        "carry": _padded(vocabulary.carry_limits(), codes.MAX_ITEMS),
        "population": plan.target,
        "embedding_slots": plan.embedding_slots,
        "embedding_cooldown": options.embeddings.cooldown_ticks,
        "names": len(plan.names),
        "margin": seen.window // 2,
        "window": seen.window,
        "needs": len(vocabulary.needs),
        "items": len(vocabulary.items),
        "options": len(vocabulary.options),
        "status_at": starts.status,
        "items_at": starts.items,
        "nearby_at": starts.nearby,
        "options_at": starts.options,
        "town_at": starts.town,
        "targets_at": starts.targets if seen.targets else -1,
        "personality_at": starts.personality if seen.personality else -1,
        "social_at": starts.social,
        "top_friends": seen.top_friends,
        "top_rivals": seen.top_rivals,
        "identity_dim": seen.identity_dim,
        "relationship_modifiers": options.features.relationship_modifiers,
        **_rewards(vocabulary, options),
        **options.lifecycle.model_dump(exclude={"training_mode", *REASONS_TO_LEAVE}),
        "hunger": list(vocabulary.needs).index(STARVING) if STARVING in vocabulary.needs else -1,
        "exits": _exits(options.lifecycle),
        "perturbations": options.features.perturbations,
        "max_concurrent": options.perturbations.max_concurrent,
        "event_pause": options.perturbations.global_cooldown_ticks,
        "agent_pause": options.perturbations.agent_cooldown_ticks,
        "event_grace": options.perturbations.grace_ticks,
        "event_window": options.perturbations.window_ticks,
        "max_per_window": options.perturbations.max_per_window,
    }
    for key, value in values.items():
        params[0][key] = value
    return params


def _rewards(vocabulary: Vocabulary, options: TownOptions) -> dict[str, float | tuple[float, ...]]:
    """Return the parameters of rewards."""
    given = options.rewards.model_dump()
    terminal = given.pop("terminal")
    return {
        **{f"reward_{name}": value for name, value in given.items()},
        "reward_terminal": tuple(terminal[reason] for reason in codes.EXITS),
        "reward_weight": _padded([need.weight for need in vocabulary.needs.values()], codes.MAX_NEEDS),
        "social_rewards": SOCIAL_REWARDS.index(options.features.social_rewards),
    }


def _exits(options: LifecycleOptions) -> int:
    """Return one bit for each reason for which residents may leave; in training there is none."""
    if options.training_mode:
        return 0
    return sum(getattr(options, reason) << codes.EXITS.index(reason) for reason in REASONS_TO_LEAVE)


def _profiles(plan: TownPlan, options: TownOptions) -> Records:
    vocabulary, features = plan.vocabulary, options.features
    profiles = np.zeros(len(vocabulary.profiles), PROFILE)
    weights = {name: about.weight for name, about in vocabulary.profiles.items()}
    weights |= options.personalities.weights
    total = sum(weights.values())
    for row, (name, about) in zip(profiles, vocabulary.profiles.items(), strict=True):
        biases = about.work_affinity, about.chat_preference, about.tolerance
        work, chat, tolerance = biases if features.behaviour_biases else (1.0, 1.0, 1.0)
        row.extroversion, row.forgiveness, row.ambition = (
            about.extroversion,
            about.forgiveness,
            about.ambition,
        )
        row.weight = weights[name] / total
        factors = about.need_multipliers if features.need_multipliers else {}
        row.need[:] = _padded([factors.get(need, 1.0) for need in vocabulary.needs], codes.MAX_NEEDS)
        row.lead = min(MAX_LEAD, max(0, math.floor(DEPARTURE_LEAD * work + 0.5)))
        row.avoids_from = min(1.0, max(0.0, AVOIDS_FROM * tolerance))
        row.chat_factor = min(MOST_CHAT_FACTOR, max(LEAST_CHAT_FACTOR, chat))
        row.chat_cooldown = max(1, math.floor(CHAT_COOLDOWN / chat + 0.5))
        liked = about.reward_factors if features.reward_bias else {}
        row.reward_survival, row.reward_employment, row.reward_social = (
            liked.get(group, 1.0) for group in REWARD_GROUPS
        )
    return profiles


def _by_item(vocabulary: Vocabulary, numbers: Mapping[str, int]) -> tuple[float, ...]:
    """Return numbers of items as a row of a record."""
    return _padded([numbers.get(item, 0) for item in vocabulary.items], codes.MAX_ITEMS)


def _objects(plan: TownPlan) -> Records:
    vocabulary = plan.vocabulary
    types, kinds = list(vocabulary.object_types), list(vocabulary.place_kinds)
    rows = np.zeros(len(plan.objects), PLACED_OBJECT)
    for row, placed in zip(rows, plan.objects, strict=True):
        kind = vocabulary.object_types[placed.type]
        row.x, row.y, row.type, row.place, row.district = (
            placed.x,
            placed.y,
            types.index(placed.type),
            placed.place,
            placed.district,
        )
        row.kind = kinds.index(plan.places[placed.place].kind)
        row.utilities[:] = [utility in kind.utilities for utility in codes.UTILITIES]
        row.capacity[:] = _by_item(vocabulary, kind.stock)
    return rows


def _places(plan: TownPlan) -> Records:
    rows = np.zeros(len(plan.places), PLACE)
    kinds = list(plan.vocabulary.place_kinds)
    ys, xs = np.nonzero(plan.place_at >= 0)
    order = np.argsort(plan.place_at[ys, xs], kind="stable")
    starts = np.searchsorted(plan.place_at[ys, xs][order], np.arange(len(plan.places)))
    for name, along in (("x", xs[order]), ("y", ys[order])):
        rows[name] = (np.minimum.reduceat(along, starts) + np.maximum.reduceat(along, starts)) / 2
    for place, row in enumerate(rows):
        row.kind = kinds.index(plan.places[place].kind)
        row.till = plan.places[place].has_till
    return rows


def _homes(plan: TownPlan) -> Records:
    return np.array(
        [(h.x, h.y, h.place, h.district, *plan.entries[h.district]) for h in plan.home_tiles], HOME
    )


def _jobs(plan: TownPlan) -> Records:
    rank = {name: number for number, name in enumerate(sorted(job.id for job in plan.jobs))}
    rows = np.zeros(len(plan.jobs), JOB)
    for row, job in zip(rows, plan.jobs, strict=True):
        row.wage, row.late_fine, row.place, row.start = job.wage, job.late_fine, job.place, job.start
        row.length = (job.end - job.start) % codes.TICKS_PER_DAY
        row.capacity, row.district, row.rank = job.capacity, job.district, rank[job.id]
    return rows


def _affordances(plan: TownPlan) -> tuple[Records, Records, npt.NDArray[np.int64], Records]:
    """Compile the manifest: affordances, charges, priced quantities, conditions."""
    specs, vocabulary = plan.affordances.affordances, plan.vocabulary
    types, goods = list(vocabulary.object_types), vocabulary.priced_items
    most = max(len(spec.charge) for spec in specs)
    rows = np.zeros(len(specs), AFFORDANCE)
    charges = np.zeros((len(specs), most), CHARGE)
    priced = np.zeros((len(specs), most, len(goods)), np.int64)
    conditions: list[tuple[float, float, int, int, int]] = []
    for a, spec in enumerate(specs):
        row = rows[a]
        row.money = spec.effects.money
        row.need[:] = _padded(
            [spec.effects.need.get(need, 0.0) for need in vocabulary.needs], codes.MAX_NEEDS
        )
        row.each_tick[:] = _padded(
            [spec.each_tick.get(need, 0.0) for need in vocabulary.needs], codes.MAX_NEEDS
        )
        row.decay, row.wakes_before, row.wakes_below = spec.decay, spec.wakes_before, spec.wakes_below
        row.stock[:] = _by_item(vocabulary, spec.effects.stock)
        row.inventory[:] = _by_item(vocabulary, spec.effects.inventory)
        row.type = types.index(spec.object_type)
        row.duration = spec.duration
        row.alternatives = len(spec.charge)
        row.first_condition = len(conditions)
        row.conditions = len(spec.preconditions)
        for part, change in spec.effects.relation.items():
            row[part] = change
        row.meal = MEAL in spec.tags
        row.hooked[:] = [bool(stage and spec.hooks[stage]) for stage in codes.HOOK_STAGES]
        conditions += [_condition(condition) for condition in spec.preconditions]
        row.first_until = len(conditions)
        row.untils = len(spec.until)
        conditions += [_condition(condition) for condition in spec.until]
        for alternative, charge in enumerate(spec.charge):
            charges[a, alternative].inventory[:] = _by_item(vocabulary, charge.inventory)
            charges[a, alternative].stock[:] = _by_item(vocabulary, charge.stock)
            charges[a, alternative].priced = bool(charge.price)
            priced[a, alternative] = [charge.price.get(item, 0) for item in goods]
    return rows, charges, priced, np.array(conditions, CONDITION)


def _condition(condition: Condition) -> tuple[float, float, int, int, int]:
    left = condition.lhs.code
    op = codes.OPERATORS.index(condition.op)
    if isinstance(condition.rhs, Name):
        return 0.0, 0.0, left, condition.rhs.code, op
    return 0.0, condition.rhs.code, left, -1, op


def _rows(groups: list[list[int]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Concatenate lists: row k is ``flat[start[k]:start[k + 1]]``."""
    start = np.zeros(len(groups) + 1, np.int64)
    np.cumsum([len(group) for group in groups], out=start[1:])
    return start, np.array([item for group in groups for item in group], np.int64)


def _reach(plan: TownPlan) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    tiles = np.array([y * plan.width + x for placed in plan.objects for x, y in placed.reach], np.int64)
    objects = np.repeat(np.arange(len(plan.objects)), [len(placed.reach) for placed in plan.objects])
    # Stable: the objects of a tile stay in the order of their numbers.
    order = np.argsort(tiles, kind="stable")
    start = np.searchsorted(tiles[order], np.arange(plan.width * plan.height + 1))
    return start.astype(np.int64), objects[order].astype(np.int64)


def _object_marks(plan: TownPlan, margin: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Mark objects on the padded grid, and count them in the window around every tile."""
    side = 2 * margin + 1
    mark = np.zeros((plan.height + 2 * margin, plan.width + 2 * margin), np.uint8)
    for placed in plan.objects:
        mark[placed.y + margin, placed.x + margin] = 1
    # Sums over all rectangles from the corner: a window is the difference of four of them.
    sums = np.zeros((mark.shape[0] + 1, mark.shape[1] + 1), np.int64)
    sums[1:, 1:] = mark.cumsum(axis=0, dtype=np.int64).cumsum(axis=1)
    count = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return mark, (count / (side * side)).astype(np.float32)


def _price_key(plan: TownPlan) -> npt.NDArray[np.int64]:
    keys = list(plan.prices)
    return np.array(
        [
            [
                keys.index(f"{kind}.{item}") if f"{kind}.{item}" in plan.prices else -1
                for item in plan.vocabulary.priced_items
            ]
            for kind in plan.vocabulary.place_kinds
        ],
        np.int64,
    )


def _name_profile(plan: TownPlan, options: TownOptions) -> npt.NDArray[np.int64]:
    """Return the profiles configured for display names; row k is for names with the suffix ``-<k + 1>``."""
    called = {}
    profiles = list(plan.vocabulary.profiles)
    for display_name, profile in options.personalities.overrides.items():
        name, _, repeat = display_name.partition("-")
        called[int(repeat or 1) - 1, plan.names.index(name)] = profiles.index(profile)
    table = np.full((1 + max((k for k, _ in called), default=0), len(plan.names)), -1, np.int64)
    for where, profile_number in called.items():
        table[where] = profile_number
    return table


def _specs(plan: TownPlan) -> Records:
    """Compile the specs; only targets of prices and utilities are numbers."""
    known = target_names(plan.vocabulary)
    rows = np.zeros(len(plan.specs), SPEC)
    for row, spec in zip(rows, plan.specs, strict=True):
        row.effect, row.cooldown = spec.effect, spec.cooldown
        row.chance = min(1.0, spec.chance / codes.TICKS_PER_DAY)
        row.least, row.most = spec.duration
        row.weakest, row.strongest = spec.magnitude
        named = spec.effect in (codes.SPIKE, codes.OUTAGE)
        numbers = [known[spec.effect].index(target) for target in spec.targets if named]
        row.targets[:] = [*numbers, *[codes.NOBODY] * (codes.EVENT_TARGETS - len(numbers))]
    return rows


def _spec_places(plan: TownPlan) -> npt.NDArray[np.int64]:
    """Return the place to which each spec invites, in each district: of the first kind that there is."""
    found = np.full((plan.districts, len(plan.specs)), codes.NOBODY, np.int64)
    for number, spec in enumerate(plan.specs):
        if spec.effect not in (codes.MEETING, codes.FESTIVAL):
            continue
        ranked = [
            (place.district, spec.targets.index(place.kind), at)
            for at, place in enumerate(plan.places)
            if place.kind in spec.targets
        ]
        for district, _, at in sorted(ranked, reverse=True):
            found[district, number] = at
    return found


def _spec_objects(plan: TownPlan) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the objects that each spec may close in each district."""
    groups: list[list[int]] = [[] for _ in range(plan.districts * len(plan.specs))]
    for at, placed in enumerate(plan.objects):
        for number, spec in enumerate(plan.specs):
            if spec.effect == codes.CLOSURE and placed.type in spec.targets:
                groups[placed.district * len(plan.specs) + number].append(at)
    return _rows(groups)


def _price_targets(plan: TownPlan) -> npt.NDArray[np.uint8]:
    """Mark the price keys that each target of a spike covers."""
    keys = tuple(plan.prices)
    marks = [[key in covered for key in keys] for covered in price_targets(plan.vocabulary).values()]
    return np.array(marks, np.uint8).reshape(len(marks), len(keys))


def _tables(plan: TownPlan, options: TownOptions, starts: layout.Starts) -> Tables:
    passable = _passable(plan)
    params = _params(plan, options, starts)
    types = list(plan.vocabulary.object_types)
    objects = _objects(plan)
    steps, fields = navigation.find_fields(plan, passable)
    object_type = objects["type"].astype(np.int32)
    nearest = navigation.nearest_objects(object_type, len(types), steps, fields, passable)
    object_xy = np.stack([objects["x"], objects["y"]], axis=1).astype(np.int32)
    reach_start, reach = _reach(plan)
    mark, near = _object_marks(plan, int(params[0].margin))
    affordances, charges, priced, conditions = _affordances(plan)
    spec_start, spec_objects = _spec_objects(plan)
    enabled = [a for a, spec in enumerate(plan.affordances.affordances) if spec.enabled]
    use_start, uses = _rows(
        [[a for a in enabled if affordances[a].type == kind] for kind in range(len(types))]
    )
    wave = [2 * math.pi * tod / codes.TICKS_PER_DAY for tod in range(codes.TICKS_PER_DAY)]
    return Tables(
        params=params,
        passable=passable,
        place_at=np.ascontiguousarray(plan.place_at, np.int32),
        field_steps=steps,
        fields=fields,
        nearest=nearest,
        reach_start=reach_start,
        reach=reach,
        target_block=navigation.target_block(
            [types.index(name) for name in plan.vocabulary.targets], object_xy, nearest, steps, fields
        ),
        object_mark=mark,
        objects_near=near,
        objects=objects,
        places=_places(plan),
        homes=_homes(plan),
        jobs=_jobs(plan),
        profiles=_profiles(plan, options),
        affordances=affordances,
        charges=charges,
        charge_price=priced,
        price_key=_price_key(plan),
        conditions=conditions,
        use_start=use_start,
        uses=uses,
        name_profile=_name_profile(plan, options),
        start_price=np.array([list(plan.prices.values())] * plan.districts, np.int64),
        specs=_specs(plan),
        spec_place=_spec_places(plan),
        spec_start=spec_start,
        spec_objects=spec_objects,
        price_targets=_price_targets(plan),
        time_wave=np.array([(math.sin(angle), math.cos(angle)) for angle in wave]),
    )


def _spec(plan: TownPlan, options: TownOptions, features: tuple[str, ...]) -> WorldSpec:
    seen, vocabulary = options.observations, plan.vocabulary
    return WorldSpec(
        world="town",
        layout_version=layout.LAYOUT_VERSION,
        capacity=plan.capacity,
        action_names=(*codes.VERBS, *(f"use:{spec.id}" for spec in plan.affordances.affordances)),
        feature_names=features,
        variant=seen.variant,
        map_channels=layout.HYBRID_CHANNELS,
        map_window=seen.window,
        fields=(
            *(placed.id for placed in plan.objects),
            *(place.id for place in plan.places),
            *(f"home@{home.x},{home.y}" for home in plan.home_tiles),
            *(f"entry@{x},{y}" for x, y in plan.entries),
        ),
        ticks_per_day=codes.TICKS_PER_DAY,
        start_tod=options.time.start_tod,
        commands=COMMANDS,
        needs=tuple(NeedSpec(name, need.option, need.night) for name, need in vocabulary.needs.items()),
        items=tuple(ItemSpec(name, item.carry) for name, item in vocabulary.items.items()),
        options=tuple(OptionSpec(option, need) for option, need in vocabulary.options),
        constants=CONSTANTS,
        view=COLUMNS,
        figures=FIGURES,
        reward_parts=codes.REWARD_PARTS,
    )
