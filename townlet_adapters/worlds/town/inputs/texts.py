"""The models of ``world.options``, maps and manifests: keys, types, ranges, defaults.

Each model covers one text. ``plan.load_town`` makes the checks that need vocabulary, config, map and manifest
together.
"""

from typing import Annotated, Final, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from townlet_adapters.worlds.town.codes import (
    EXIT_KILLED,
    EXITS,
    LEAST_TIES,
    MAX_AFFORDANCES,
    MOST_EXITS,
    MOST_SPACING,
    MOST_TIES,
    TICKS_PER_DAY,
)
from townlet_adapters.worlds.town.inputs.perturbations import PerturbationsOptions
from townlet_adapters.worlds.town.inputs.rewards import RewardsOptions, SocialRewards
from townlet_adapters.worlds.town.inputs.section import MAX_MILLS, Mills, Name, Section
from townlet_adapters.worlds.town.inputs.tiles import Tile
from townlet_adapters.worlds.town.inputs.vocabulary import VocabularyText

MAX_SIDE = 256
MAX_GRID_SIDE = 32
MAX_TILES = 4_194_304
MAX_RESIDENTS = 16_384
MAX_EMBEDDING_SLOTS = 4 * MAX_RESIDENTS
MAX_TIE_SLOTS = 8
MAX_COOLDOWN_TICKS: Final = 600
MAX_STAY: Final = 36_500


class LegendEntry(Section):
    """The meaning of a symbol of a map."""

    tile: Tile
    """the ground; floor, road and door are passable"""
    place: Annotated[str, Field(min_length=1)] | None = None
    """id of the place that the tile belongs to; "@" takes the place of the tiles around it"""
    object: Name | None = None
    """type of the object on the tile"""
    mark: Literal["home", "entry"] | None = None
    """`home`: a resident lives here; `entry`: new residents arrive here"""


class JobText(Section):
    """A job of a map."""

    place: str
    """id of the workplace"""
    start: Annotated[int, Field(ge=0, lt=TICKS_PER_DAY)]
    """minute of the day at which the shift starts"""
    end: Annotated[int, Field(ge=0, le=TICKS_PER_DAY)]
    """minute of the day at which the shift ends; before `start` when it passes midnight"""
    wage: Annotated[int, Field(ge=0, le=MAX_MILLS)]
    """mills for each tick at work"""
    late_fine: Annotated[int, Field(ge=0, le=5000)] = 0
    """mills for a shift that starts late"""
    capacity: Annotated[int, Field(ge=1, le=64)]
    """number of residents that can hold the job"""

    @model_validator(mode="after")
    def _check_length(self) -> Self:
        length = (self.end - self.start) % TICKS_PER_DAY
        if not 10 <= length <= 900:  # noqa: PLR2004 - the message has both bounds
            raise ValueError(f"a shift of {length} ticks; allowed: 10 to 900")
        return self


class MapText(Section):
    """A map: one district of a town, drawn with symbols."""

    id: Name
    """name of the district"""
    agents: Annotated[int, Field(ge=1, le=512)]
    """number of residents that it is designed for"""
    legend: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=1)], LegendEntry], Field(min_length=1)
    ]
    """symbol -> its meaning"""
    kinds: dict[Name, Name] = {}
    """place id -> kind"""
    jobs: dict[Name, JobText] = {}
    """job id -> job"""
    rows: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=MAX_SIDE)], ...],
        Field(min_length=1, max_length=MAX_SIDE),
    ]
    """the map itself, north first, one symbol for each tile"""


class StampText(Section):
    """A rectangle of symbols drawn over the extended map."""

    at: tuple[Annotated[int, Field(ge=0, lt=MAX_SIDE)], Annotated[int, Field(ge=0, lt=MAX_SIDE)]]
    """tile [x, y] of its north-west corner"""
    rows: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=MAX_SIDE)], ...],
        Field(min_length=1, max_length=MAX_SIDE),
    ]
    """what it draws, north first, one symbol for each tile; a space leaves the tile as it is"""
    legend: dict[Annotated[str, Field(min_length=1, max_length=1)], LegendEntry] = {}
    """symbol -> its meaning within the stamp; other symbols have their meaning in the extended map"""


class MapRemovalText(Section):
    """What the extended map has and this one has not."""

    jobs: tuple[Name, ...] = ()
    """jobs"""
    kinds: tuple[Name, ...] = ()
    """places that the stamps draw over"""


class ExtendedMapText(Section):
    """A map with changes."""

    extend: Annotated[str, Field(min_length=1)]
    """name of a shipped map, or the path of a map file (relative to the config)"""
    id: Name | None = None
    """name of the district; that of the extended map unless given"""
    agents: Annotated[int, Field(ge=1, le=512)] | None = None
    """number of residents that it is designed for; that of the extended map unless given"""
    kinds: dict[Name, Name] = {}
    """place id -> kind, of further places"""
    jobs: dict[Name, JobText] = {}
    """job id -> job, of further jobs; one with the id of an existing job replaces it"""
    stamp: tuple[StampText, ...] = ()
    """rectangles drawn over the map, one after the other"""
    remove: MapRemovalText = MapRemovalText()
    """jobs and places to leave out"""


def _tag_of_map(value: object) -> str:
    # Tags that no key can have: pydantic puts the tag of a branch among the keys of a problem.
    if isinstance(value, GridTown) or (isinstance(value, dict) and "grid" in value):
        return "<grid>"
    # Without the key `extend`, which may be misspelled, the others show that an extension was meant.
    if isinstance(value, ExtendedMapText) or (
        isinstance(value, dict) and value.keys() & {"extend", "stamp", "remove"}
    ):
        return "<extension>"
    return "<map>" if isinstance(value, MapText | dict) else "<name>"


MapSource = Annotated[
    Annotated[str, Tag("<name>"), Field(min_length=1)]
    | Annotated[MapText, Tag("<map>")]
    | Annotated[ExtendedMapText, Tag("<extension>")],
    Discriminator(_tag_of_map),
]


class GridText(Section):
    """A district, repeated."""

    district: MapSource = "town_48"
    """name of a shipped map, path of a map file (relative to the config), a map, or `extend: ...`"""
    rows: Annotated[int, Field(ge=1, le=MAX_GRID_SIDE)]
    """number of districts from north to south"""
    cols: Annotated[int, Field(ge=1, le=MAX_GRID_SIDE)]
    """number of districts from west to east"""


class GridTown(Section):
    """A large town made of equal districts."""

    grid: GridText
    """the district and its repetitions"""


TownSource = Annotated[
    Annotated[str, Tag("<name>"), Field(min_length=1)]
    | Annotated[MapText, Tag("<map>")]
    | Annotated[ExtendedMapText, Tag("<extension>")]
    | Annotated[GridTown, Tag("<grid>")],
    Discriminator(_tag_of_map),
]


class HooksText(Section):
    """The hooks of an affordance, by stage."""

    before: tuple[str, ...] = ()
    """called before a use starts"""
    after: tuple[str, ...] = ()
    """called when a use is finished"""
    failed: tuple[str, ...] = ()
    """called when a use failed"""


class TieEffect(Section):
    """The effect of a shared use on the tie between two residents."""

    trust: Annotated[float, Field(ge=-1, le=1)] = 0.0
    """added to trust"""
    familiarity: Annotated[float, Field(ge=-1, le=1)] = 0.0
    """added to familiarity"""
    rivalry: Annotated[float, Field(ge=-1, le=1)] = 0.0
    """added to rivalry"""


EffectText = Annotated[
    Annotated[float, Tag("number")] | Annotated[TieEffect, Tag("tie")],
    Discriminator(lambda value: "tie" if isinstance(value, TieEffect | dict) else "number"),
]


class WakesText(Section):
    """What ends a use early, as finished."""

    before_shift: Annotated[int, Field(ge=0, le=720)] | None = None
    """ticks before the start of the resident's shift at which the use ends"""
    need_below: Annotated[float, Field(ge=0, le=1)] | None = None
    """the use ends when a need falls below this that was not below it at the start"""


class AffordanceText(Section):
    """An action that a type of object offers."""

    id: Name
    """name of the affordance; its action is `use:<id>`"""
    object_type: Name
    """type of the objects that offer it"""
    duration: Annotated[int, Field(ge=1, le=600)]
    """ticks of a use; the most, with `until` or `wakes`"""
    preconditions: tuple[Annotated[str, Field(max_length=200)], ...] = ()
    """comparisons `NAME OP VALUE` that must all hold"""
    charge: Annotated[tuple[dict[str, int], ...], Field(min_length=1, max_length=8)] = ({},)
    """alternatives, the first payable one is taken: `inventory:<item>`, `stock:<item>`, `price:<item>`"""
    effects: dict[str, EffectText] = {}
    """effects of a use: `need:<need>`, `stock:<item>`, `inventory:<item>`, `money`, `relation:nearby`"""
    each_tick: dict[str, Annotated[float, Field(ge=-1, le=1)]] = {}
    """effects in each tick of a use: `need:<need>`"""
    until: tuple[Annotated[str, Field(max_length=200)], ...] = ()
    """comparisons `NAME OP VALUE`; the use is finished as soon as all of them hold"""
    wakes: WakesText = WakesText()
    """what ends the use early, as finished"""
    decay: Annotated[float, Field(ge=0, le=1)] = 1.0
    """factor of the decay of all needs during a use"""
    hooks: HooksText = HooksText()
    """names of hooks to call; `plugins.hooks` must activate them, and sets the order of the calls"""
    tags: tuple[Name, ...] = ()
    """`meal` marks a meal that can be shared"""


class TimeOptions(Section):
    """The clock."""

    start_tod: Annotated[int, Field(ge=0, lt=TICKS_PER_DAY)] = 360
    """minute of day 0 at which the town starts"""


class PopulationOptions(Section):
    """The number of residents and their initial state."""

    target: Annotated[int, Field(ge=1, le=MAX_RESIDENTS)] | None = None
    """residents at the start; null: the number that the map is designed for"""
    capacity: Annotated[int, Field(ge=1, le=MAX_RESIDENTS)] | None = None
    """most residents in town; null: 1.25 times `target`, rounded up"""
    start_wallet: Mills = 2000
    """mills in each resident's wallet at the start"""
    start_need: Annotated[float, Field(ge=0, le=1)] = 0.7
    """level of needs at the start; 1 is satisfied"""
    start_spread: Annotated[float, Field(ge=0, le=1)] = 0.25
    """how far a need may lie from `start_need` at the start; drawn for each need of each resident"""


class NeedsOptions(Section):
    """The needs of residents."""

    decay: dict[Name, Annotated[float, Field(ge=0, le=0.1)]] = {}
    """need -> lost in each tick, instead of its decay in the vocabulary"""


class PersonalitiesOptions(Section):
    """The profiles of residents."""

    weights: dict[Name, Annotated[float, Field(ge=0, le=1)]] = {}
    """profile -> how frequent it is, instead of its weight in the vocabulary"""
    overrides: dict[str, Name] = {}
    """name of a resident -> profile"""


class AffordancesOptions(Section):
    """The affordances of objects."""

    extend: Annotated[str, Field(min_length=1)] | None = "core"
    """`core` for the shipped manifest, path of a file (relative to the config), or null to start empty"""
    add: Annotated[tuple[AffordanceText, ...], Field(max_length=MAX_AFFORDANCES)] = ()
    """further affordances, behind those of the manifest; one with the id of another replaces it"""
    remove: tuple[Name, ...] = ()
    """ids of affordances of the manifest to leave out"""
    enabled: Annotated[
        Annotated[Literal["all"], Tag("all")] | Annotated[tuple[str, ...], Tag("list")],
        Discriminator(lambda value: "list" if isinstance(value, list | tuple) else "all"),
    ] = "all"
    """`all`, or a list of affordance ids; the other affordances stay masked"""
    outcome_history: Annotated[int, Field(ge=1, le=100)] = 10
    """number of outcomes of its uses that a resident remembers"""


class QueuesOptions(Section):
    """Queues, holds and hand-overs."""

    cooldown_ticks: Annotated[int, Field(ge=0, le=MAX_COOLDOWN_TICKS)] = 60
    """ticks after a finished use before the resident may use the same object again"""
    ghost_step_after: Annotated[int, Field(ge=0, le=100)] = 3
    """moves blocked before a resident may share a tile; ticks a holder may stall its queue; 0 for never"""
    age_weight: Annotated[float, Field(ge=0, le=1)] = 0.1
    """places in the queue that one tick of waiting is worth"""
    patience_ticks: Annotated[int, Field(ge=5, le=600)] = 20
    """ticks of waiting before a conflict with the holder; another after 2 and 3 times as many"""
    hold_ticks: Annotated[int, Field(ge=1, le=60)] = 5
    """ticks, beyond the walk to it, for which an unused object stays reserved for its holder"""
    drop_distance: Annotated[int, Field(ge=1, le=50)] = 5
    """tiles from the object; a resident farther away for `drop_ticks` in a row loses its place or hold"""
    drop_ticks: Annotated[int, Field(ge=1, le=600)] = 10
    """ticks in a row beyond `drop_distance` after which a resident loses its place or hold"""
    handover_spacing: Annotated[int, Field(ge=0, le=600)] = 10
    """fewest ticks between two hand-overs of an object"""
    handover_max_age: Annotated[int, Field(ge=0, le=600)] = 60
    """a hand-over does not pass over a resident that has waited longer than this many ticks"""


class JobOptions(Section):
    """A config's changes to a job of the map."""

    late_fine: Annotated[int, Field(ge=0, le=5000)]
    """mills for a shift that starts late"""


class EmploymentOptions(Section):
    """Shifts, fines and job losses."""

    await_ticks: Annotated[int, Field(ge=0, le=240)] = 20
    """ticks before a shift in which its holder counts as waiting for it"""
    grace_ticks: Annotated[int, Field(ge=0, le=120)] = 5
    """ticks after the start within which an arrival is still on time"""
    absent_cutoff: Annotated[int, Field(ge=0, le=600)] = 30
    """ticks after the start after which a holder that never came is absent"""
    absence_slack: Annotated[int, Field(ge=0, le=600)] = 20
    """ticks that a holder may leave the workplace before it is absent"""
    late_tick_fine: Annotated[int, Field(ge=0, le=1000)] = 5
    """mills for each late tick away from work"""
    absence_fine: Annotated[int, Field(ge=0, le=5000)] = 200
    """mills for an absence"""
    max_absent_shifts: Annotated[int, Field(ge=1, le=20)] = 3
    """absences within seven days that cause a review"""
    attendance_window: Annotated[int, Field(ge=1, le=14)] = 3
    """shifts over which attendance is averaged"""
    review_ticks: Annotated[int, Field(ge=1, le=100_000)] = TICKS_PER_DAY
    """ticks from the start of a review until the job is lost"""
    daily_loss_cap: Annotated[int, Field(ge=0, le=50)] = 2
    """most job losses in a district and day; 0 for no limit"""
    review_queue_limit: Annotated[int, Field(ge=1, le=100)] = 8
    """most pending reviews in a district"""
    jobs: dict[Name, JobOptions] = {}
    """job id -> changes to the map's job; in a grid they apply to that job in every district"""


class EconomyOptions(Section):
    """Prices and rent, in mills."""

    rent_per_day: Mills = 1550
    """mills that each resident pays per day"""
    stipend: Mills = 0
    """mills that each resident gets at the end of a day"""
    prices: dict[str, Annotated[int, Field(ge=0)]] = {}
    """price key -> mills instead of the default, at most 100 times as much"""
    balance_check: Literal["error", "warn", "off"] = "error"
    """reaction to a job whose pay does not fit rent and prices"""


class LifecycleOptions(Section):
    """Residents that leave, and those that follow."""

    training_mode: bool = False
    """whether residents leave by a command only; what could end a life in town is counted all the same"""
    collapse: bool = True
    """whether residents leave that have starved"""
    neglect: bool = True
    """whether residents leave that were in need for hours of a day"""
    eviction: bool = True
    """whether residents leave that owe rent"""
    unemployment: bool = True
    """whether residents leave that find no work although there is some"""
    age_out: bool = True
    """whether residents move away after a stay of some months"""
    stay_least: Annotated[int, Field(ge=1, le=MAX_STAY)] = 60
    """shortest stay of a resident that may move away, in days"""
    stay_most: Annotated[int, Field(ge=1, le=MAX_STAY)] = 120
    """longest stay, in days"""
    founders_stay_least: Annotated[int, Field(ge=1, le=MAX_STAY)] = 14
    """shortest stay of those who live in town at its start, in days; they have lived there before"""
    daily_exit_cap: Annotated[int, Field(ge=0, le=MOST_EXITS)] = 2
    """most exits of a district and day; 0 for no limit"""
    exit_spacing: Annotated[int, Field(ge=0, le=MOST_SPACING)] = 120
    """fewest ticks between two exits of a district"""
    move_spacing: Annotated[int, Field(ge=0, le=MOST_SPACING)] = 10_080
    """fewest ticks between an exit and a later one at the end of a stay"""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if max(self.stay_least, self.founders_stay_least) > self.stay_most:
            raise ValueError(
                f"stay_most is {self.stay_most}; allowed: at least stay_least, {self.stay_least}, and "
                f"founders_stay_least, {self.founders_stay_least}"
            )
        return self


REASONS_TO_LEAVE: Final = EXITS[:EXIT_KILLED]
"""Reasons that a config allows or not, each a key of ``lifecycle``."""


class RelationshipsOptions(Section):
    """Ties between residents."""

    max_ties: Annotated[int, Field(ge=LEAST_TIES, le=MOST_TIES)] = 6
    """most ties of one resident; a further one takes the place of the weakest"""


class ObservationsOptions(Section):
    """The observations of residents."""

    variant: Literal["hybrid"] = "hybrid"
    """form of the observations: `hybrid` is a local map of four channels and a row of features"""
    window: Annotated[int, Field(ge=3, le=63)] = 11
    """side of the square local map, in tiles; odd"""
    targets: bool = True
    """whether features have direction and distance of the nearest object of each type, of work and of home"""
    personality: bool = True
    """whether features have the personality traits"""
    top_friends: Annotated[int, Field(ge=0, le=MAX_TIE_SLOTS)] = 2
    """number of friends in the social features"""
    top_rivals: Annotated[int, Field(ge=0, le=MAX_TIE_SLOTS)] = 2
    """number of rivals in the social features"""
    identity_dim: Annotated[int, Field(ge=1, le=32)] = 8
    """length of the code that identifies a friend or rival"""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.window % 2 == 0:
            raise ValueError(f"window is {self.window}; allowed: an odd number, so that it has a centre")
        if self.top_friends + self.top_rivals > MAX_TIE_SLOTS:
            raise ValueError(f"top_friends and top_rivals together are above {MAX_TIE_SLOTS}")
        return self


class EmbeddingsOptions(Section):
    """Slots by which a learned policy distinguishes residents."""

    max_slots: Annotated[int, Field(ge=1, le=MAX_EMBEDDING_SLOTS)] | None = None
    """number of slots, at least the population's capacity; null: twice the capacity, at least 64"""
    cooldown_ticks: Annotated[int, Field(ge=0, le=1_000_000)] = 2880
    """ticks for which a slot should rest before another resident gets it"""


class FeaturesOptions(Section):
    """Parts of the rules that can be switched off."""

    need_multipliers: bool = True
    """whether profiles change the speed at which needs fall"""
    behaviour_biases: bool = True
    """whether profiles change habits, such as when to leave for work"""
    relationship_modifiers: bool = True
    """whether a resident's traits change how much an event moves its ties"""
    social_rewards: SocialRewards = "C2"
    """`OFF`, `C1` (chats), `C2` (also avoidances), `C3` (chats by regard)"""
    reward_bias: bool = False
    """whether profiles change what a resident is rewarded for"""
    perturbations: bool = True
    """whether the scheduler starts events; the command `perturb` does so in any case"""


class TownOptions(Section):
    """All options of a town."""

    vocabulary: VocabularyText = VocabularyText(extend="town")
    """needs, items, kinds of place, types of object, prices and profiles; the shipped ones unless given"""
    town: TownSource = "town_48"
    """name of a shipped map, a map file (relative to the config), a map, `extend: ...`, `grid: ...`"""
    time: TimeOptions = TimeOptions()
    """the clock"""
    population: PopulationOptions = PopulationOptions()
    """the number of residents and their initial state"""
    needs: NeedsOptions = NeedsOptions()
    """the needs of residents"""
    personalities: PersonalitiesOptions = PersonalitiesOptions()
    """the profiles of residents"""
    affordances: AffordancesOptions = AffordancesOptions()
    """the affordances of objects"""
    queues: QueuesOptions = QueuesOptions()
    """queues, holds and hand-overs"""
    employment: EmploymentOptions = EmploymentOptions()
    """shifts, fines and job losses"""
    economy: EconomyOptions = EconomyOptions()
    """prices and rent"""
    relationships: RelationshipsOptions = RelationshipsOptions()
    """ties between residents"""
    rewards: RewardsOptions = RewardsOptions()
    """what residents are rewarded for"""
    lifecycle: LifecycleOptions = LifecycleOptions()
    """residents that leave, and those that follow"""
    perturbations: PerturbationsOptions = PerturbationsOptions()
    """events that happen to the town"""
    observations: ObservationsOptions = ObservationsOptions()
    """the observations of residents"""
    embeddings: EmbeddingsOptions = EmbeddingsOptions()
    """slots by which a learned policy distinguishes residents"""
    features: FeaturesOptions = FeaturesOptions()
    """parts of the rules that can be switched off"""
