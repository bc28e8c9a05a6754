"""What ``world.options``, maps and manifests may say: keys, types, ranges, defaults.

Each model knows one text. What takes config, map and manifest together is checked by ``plan.load_town``.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from townlet_adapters.worlds.town.codes import MAX_AFFORDANCES
from townlet_adapters.worlds.town.vocabulary import ObjectTypeName, PlaceKind, Profile, Tile

MAX_SIDE = 256
MAX_GRID_SIDE = 32
MAX_MILLS = 1_000_000
MAX_RESIDENTS = 16_384
MAX_TIE_SLOTS = 8

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Mills = Annotated[int, Field(ge=0, le=MAX_MILLS)]


class Section(BaseModel):
    """A part of a text: immutable, no unknown keys, no conversion between types."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )


class LegendEntry(Section):
    """What a symbol of a map stands for."""

    tile: Tile
    """what the ground is; floor, road and door can be walked on"""
    place: Annotated[str, Field(min_length=1)] | None = None
    """id of the place it belongs to; "@" takes that of the tiles around it"""
    object: ObjectTypeName | None = None
    """type of the object that stands here"""
    mark: Literal["home", "entry"] | None = None
    """`home`: somebody lives here; `entry`: newcomers arrive here"""


class JobText(Section):
    """A job of a map."""

    place: str
    """id of the workplace"""
    start: Annotated[int, Field(ge=0, lt=1440)]
    """minute of the day at which the shift starts"""
    end: Annotated[int, Field(ge=0, le=1440)]
    """minute of the day at which the shift is over; before `start` when it passes midnight"""
    wage: Annotated[int, Field(ge=0, le=MAX_MILLS)]
    """mills for each tick at work"""
    late_fine: Annotated[int, Field(ge=0, le=5000)] = 0
    """mills for a shift that starts late"""
    capacity: Annotated[int, Field(ge=1, le=64)]
    """how many residents can hold the job"""

    @model_validator(mode="after")
    def _check_length(self) -> Self:
        length = (self.end - self.start) % 1440
        if not 10 <= length <= 900:  # noqa: PLR2004 - the two bounds stand in the message
            raise ValueError(f"a shift of {length} ticks; allowed: 10 to 900")
        return self


class MapText(Section):
    """A map: one district of a town, drawn with symbols."""

    id: Name
    """name of the district"""
    agents: Annotated[int, Field(ge=1, le=512)]
    """how many residents it is made for"""
    legend: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=1)], LegendEntry], Field(min_length=1)
    ]
    """what each symbol stands for"""
    kinds: dict[Name, PlaceKind] = {}
    """place id -> kind"""
    jobs: dict[Name, JobText] = {}
    """job id -> job"""
    rows: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=MAX_SIDE)], ...],
        Field(min_length=1, max_length=MAX_SIDE),
    ]
    """the map itself, north first, one symbol for each tile"""


def _tag_of_map(value: object) -> str:
    # Tags that no key can have: pydantic puts the tag of a branch among the keys of a problem.
    if isinstance(value, GridTown) or (isinstance(value, dict) and "grid" in value):
        return "<grid>"
    return "<map>" if isinstance(value, MapText | dict) else "<name>"


MapSource = Annotated[
    Annotated[str, Tag("<name>"), Field(min_length=1)] | Annotated[MapText, Tag("<map>")],
    Discriminator(lambda value: "<map>" if isinstance(value, MapText | dict) else "<name>"),
]


class GridText(Section):
    """A district, repeated."""

    district: MapSource = "town_48"
    """name of a shipped map, path of a map file (relative to the config) or a map"""
    rows: Annotated[int, Field(ge=1, le=MAX_GRID_SIDE)]
    """how many districts from north to south"""
    cols: Annotated[int, Field(ge=1, le=MAX_GRID_SIDE)]
    """how many districts from west to east"""


class GridTown(Section):
    """A large town made of equal districts."""

    grid: GridText
    """which district, and how often"""


TownSource = Annotated[
    Annotated[str, Tag("<name>"), Field(min_length=1)]
    | Annotated[MapText, Tag("<map>")]
    | Annotated[GridTown, Tag("<grid>")],
    Discriminator(_tag_of_map),
]


class HooksText(Section):
    """Hooks of an affordance: none, in this version."""

    before: tuple[str, ...] = ()
    """asked before a use starts"""
    after: tuple[str, ...] = ()
    """asked when a use is finished"""
    failed: tuple[str, ...] = ()
    """told when a use failed"""


class TieEffect(Section):
    """What a shared use does to the tie between two residents."""

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


class AffordanceText(Section):
    """Something that can be done with a type of object."""

    id: Name
    """name of the affordance; its action is `use:<id>`"""
    object_type: ObjectTypeName
    """type of the objects that offer it"""
    duration: Annotated[int, Field(ge=1, le=600)]
    """ticks that a use takes"""
    preconditions: tuple[Annotated[str, Field(max_length=200)], ...] = ()
    """comparisons `NAME OP VALUE` that must all hold"""
    charge: Annotated[tuple[dict[str, int], ...], Field(min_length=1, max_length=8)] = ({},)
    """alternatives, the first payable one is taken: `inventory:<item>`, `stock:<item>`, `price:<item>`"""
    effects: dict[str, EffectText] = {}
    """what a use does: `need:<need>`, `stock:<item>`, `inventory:<item>`, `money`, `relation:nearby`"""
    hooks: HooksText = HooksText()
    """names of hooks to ask; `plugins.hooks` must activate them, and its order is that of asking"""
    tags: tuple[Name, ...] = ()
    """`meal` marks a meal that can be shared"""


class PopulationOptions(Section):
    """How many residents there are, and what they start with."""

    target: Annotated[int, Field(ge=1, le=MAX_RESIDENTS)] | None = None
    """residents at the start; null: as many as the map is made for"""
    capacity: Annotated[int, Field(ge=1, le=MAX_RESIDENTS)] | None = None
    """residents that there is room for; null: 1.25 times `target`, rounded up"""
    start_wallet: Mills = 2000
    """mills in a resident's wallet at the start"""
    start_need: Annotated[float, Field(ge=0, le=1)] = 0.7
    """hunger, hygiene and energy at the start; 1 is satisfied"""


class DecayOptions(Section):
    """How much of a need is lost in each tick."""

    hunger: Annotated[float, Field(ge=0, le=0.1)] = 0.0010
    """hunger lost in each tick"""
    hygiene: Annotated[float, Field(ge=0, le=0.1)] = 0.0005
    """hygiene lost in each tick"""
    energy: Annotated[float, Field(ge=0, le=0.1)] = 0.0007
    """energy lost in each tick"""


class NeedsOptions(Section):
    """The needs of residents."""

    decay: DecayOptions = DecayOptions()
    """how fast they fall"""


class WeightOptions(Section):
    """How frequent each profile is, relative to the others."""

    balanced: Annotated[float, Field(ge=0, le=1)] = 0.40
    """weight of balanced residents"""
    industrious: Annotated[float, Field(ge=0, le=1)] = 0.20
    """weight of industrious residents"""
    socialite: Annotated[float, Field(ge=0, le=1)] = 0.25
    """weight of socialites"""
    stoic: Annotated[float, Field(ge=0, le=1)] = 0.15
    """weight of stoic residents"""

    @model_validator(mode="after")
    def _check_sum(self) -> Self:
        if self.balanced + self.industrious + self.socialite + self.stoic <= 0:
            raise ValueError("all weights are 0; at least one must be above 0")
        return self


class PersonalitiesOptions(Section):
    """Who is of which profile."""

    weights: WeightOptions = WeightOptions()
    """how frequent each profile is"""
    overrides: dict[str, Profile] = {}
    """name of a resident -> profile"""


class AffordancesOptions(Section):
    """What can be done with objects."""

    manifest: Annotated[
        Annotated[str, Tag("<name>"), Field(min_length=1)]
        | Annotated[tuple[AffordanceText, ...], Tag("list"), Field(min_length=1, max_length=MAX_AFFORDANCES)],
        Discriminator(lambda value: "list" if isinstance(value, list | tuple) else "<name>"),
    ] = "core"
    """`core` for the shipped manifest, path of a file (relative to the config) or a list of affordances"""
    enabled: Annotated[
        Annotated[Literal["all"], Tag("all")] | Annotated[tuple[str, ...], Tag("list")],
        Discriminator(lambda value: "list" if isinstance(value, list | tuple) else "all"),
    ] = "all"
    """`all` or a list of affordance ids; the others stay masked"""
    outcome_history: Annotated[int, Field(ge=1, le=100)] = 10
    """how many results of its actions a resident remembers"""


class QueuesOptions(Section):
    """Waiting, holding, handing over."""

    cooldown_ticks: Annotated[int, Field(ge=0, le=600)] = 60
    """ticks before a resident who finished may ask for the same object again"""
    ghost_step_after: Annotated[int, Field(ge=0, le=100)] = 3
    """blocked moves, or ticks of stalling, before one passes; 0 is never"""
    age_weight: Annotated[float, Field(ge=0, le=1)] = 0.1
    """how much a tick of waiting counts against a place in the queue"""
    patience_ticks: Annotated[int, Field(ge=5, le=600)] = 20
    """ticks of waiting after which a resident gets impatient"""
    hold_ticks: Annotated[int, Field(ge=1, le=60)] = 5
    """ticks that an object is held for somebody who does not use it"""
    drop_distance: Annotated[int, Field(ge=1, le=50)] = 5
    """tiles from the object beyond which a place is given up"""
    drop_ticks: Annotated[int, Field(ge=1, le=600)] = 10
    """ticks beyond that distance until the place is lost"""
    handover_spacing: Annotated[int, Field(ge=0, le=600)] = 10
    """least ticks between two hand-overs of an object"""
    handover_max_age: Annotated[int, Field(ge=0, le=600)] = 60
    """nobody is passed over who has waited longer than this"""


class JobOptions(Section):
    """What a config changes about a job of the map."""

    late_fine: Annotated[int, Field(ge=0, le=5000)]
    """mills for a shift that starts late"""


class EmploymentOptions(Section):
    """Shifts, fines and losing a job."""

    await_ticks: Annotated[int, Field(ge=0, le=240)] = 20
    """ticks before a shift that count as waiting for it"""
    grace_ticks: Annotated[int, Field(ge=0, le=120)] = 5
    """ticks after the start that are still on time"""
    absent_cutoff: Annotated[int, Field(ge=0, le=600)] = 30
    """ticks after the start until one who never came is absent"""
    absence_slack: Annotated[int, Field(ge=0, le=600)] = 20
    """ticks that one who was there may be away"""
    late_tick_fine: Annotated[int, Field(ge=0, le=1000)] = 5
    """mills for each late tick away"""
    absence_fine: Annotated[int, Field(ge=0, le=5000)] = 200
    """mills for an absence"""
    max_absent_shifts: Annotated[int, Field(ge=1, le=20)] = 3
    """absences of seven days that bring a review"""
    attendance_window: Annotated[int, Field(ge=1, le=14)] = 3
    """shifts over which attendance is averaged"""
    review_ticks: Annotated[int, Field(ge=1, le=100_000)] = 1440
    """ticks that a review waits before the job is lost"""
    daily_loss_cap: Annotated[int, Field(ge=0, le=50)] = 2
    """most jobs lost in a district and day; 0 is no cap"""
    review_queue_limit: Annotated[int, Field(ge=1, le=100)] = 8
    """most reviews waiting in a district"""
    jobs: dict[Name, JobOptions] = {}
    """job id -> what is different from the map; in a grid it holds for the job of every district"""


class EconomyOptions(Section):
    """Prices and rent, in mills."""

    rent_per_day: Mills = 1300
    """mills that each resident pays for a day"""
    stipend: Mills = 0
    """mills that each resident gets at a day's end"""
    prices: dict[str, Annotated[int, Field(ge=0)]] = {}
    """price key -> mills instead of the default, at most 100 times as much"""
    balance_check: Literal["error", "warn", "off"] = "error"
    """what happens when a job's pay does not fit rent and prices"""


class ObservationsOptions(Section):
    """What residents see."""

    variant: Literal["hybrid"] = "hybrid"
    """which view: `hybrid` is a local map of four channels and a row of features"""
    window: Annotated[int, Field(ge=3, le=63)] = 11
    """side of the square local map, in tiles; odd"""
    targets: bool = True
    """whether features tell the way to the nearest object of each type, to work and home"""
    personality: bool = True
    """whether features tell the traits"""
    top_friends: Annotated[int, Field(ge=0, le=MAX_TIE_SLOTS)] = 2
    """friends in the social features"""
    top_rivals: Annotated[int, Field(ge=0, le=MAX_TIE_SLOTS)] = 2
    """rivals in the social features"""
    identity_dim: Annotated[int, Field(ge=1, le=32)] = 8
    """numbers that stand for who a friend or rival is"""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.window % 2 == 0:
            raise ValueError(f"window is {self.window}; allowed: an odd number, so that it has a centre")
        if self.top_friends + self.top_rivals > MAX_TIE_SLOTS:
            raise ValueError(f"top_friends and top_rivals together are above {MAX_TIE_SLOTS}")
        return self


class EmbeddingsOptions(Section):
    """Slots by which a learned policy keeps residents apart."""

    max_slots: Annotated[int, Field(ge=1, le=4 * MAX_RESIDENTS)] | None = None
    """number of slots, not below the population's capacity; null: twice that, at least 64"""


class FeaturesOptions(Section):
    """Parts of the rules that can be switched off."""

    need_multipliers: bool = True
    """whether profiles change how fast needs fall"""
    behaviour_biases: bool = True
    """whether profiles change habits, such as when to leave for work"""


class TownOptions(Section):
    """Everything about a town that a config decides."""

    town: TownSource = "town_48"
    """name of a shipped map, path of a map file (relative to the config), a map, or `grid: {...}`"""
    population: PopulationOptions = PopulationOptions()
    """how many residents there are, and what they start with"""
    needs: NeedsOptions = NeedsOptions()
    """the needs of residents"""
    personalities: PersonalitiesOptions = PersonalitiesOptions()
    """who is of which profile"""
    affordances: AffordancesOptions = AffordancesOptions()
    """what can be done with objects"""
    queues: QueuesOptions = QueuesOptions()
    """waiting, holding, handing over"""
    employment: EmploymentOptions = EmploymentOptions()
    """shifts, fines and losing a job"""
    economy: EconomyOptions = EconomyOptions()
    """prices and rent"""
    observations: ObservationsOptions = ObservationsOptions()
    """what residents see"""
    embeddings: EmbeddingsOptions = EmbeddingsOptions()
    """slots by which a learned policy keeps residents apart"""
    features: FeaturesOptions = FeaturesOptions()
    """parts of the rules that can be switched off"""
