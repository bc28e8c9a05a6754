"""What a town, its residents and its objects are at an instant; no rules."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.model.ground import Ground


@dataclass(eq=False, slots=True)
class Claim:
    """The claim of a resident on an object: queued, held or running."""

    resident: "Resident"
    thing: "Thing"
    affordance: Any
    stage: str
    joined: int
    """tick since which it has waited"""
    granted: int = 0
    """tick in which the object was granted"""
    eta: int = 0
    """path to the reach when it was granted"""
    idle: int = 0
    """ticks of holding while the object worked"""
    stalled: int = 0
    """ticks in a row, after the eta, with others waiting"""
    far: int = 0
    """ticks in a row too far away"""
    begun: int = 0
    """tick in which the use began"""
    remaining: int = 0
    low: set[str] = field(default_factory=set)
    """needs that were too low to end the use when it started"""
    paid: int = 0
    charge: Any = None


@dataclass(eq=False, slots=True)
class Thing:
    """An object."""

    number: int
    id: str
    type: str
    x: int
    y: int
    place: int
    district: int
    utilities: tuple[str, ...]
    capacity: dict[str, int]
    stock: dict[str, int]
    offers: tuple[Any, ...]
    holder: Claim | None = None
    queue: list[Claim] = field(default_factory=list)
    closed: bool = False
    handed_over: int | None = None
    """tick of the last hand-over"""


@dataclass(eq=False, slots=True)
class Shift:
    """The record of a running shift."""

    skipped: bool = False
    first: int | None = None
    """minute of the shift at which its holder was present first"""
    last: int = 0
    """minute of the shift at which its holder was present last"""
    late: bool = False
    """whether it had a late tick"""
    absent: bool = False
    """whether an absence was stamped in it"""
    greeted: bool = False
    """whether the first presence was counted"""
    on_time_ticks: int = 0
    paid_ticks: int = 0
    withheld: int = 0


@dataclass(eq=False, slots=True)
class Resident:
    """A resident."""

    serial: int
    slot: int
    born: int
    name: str
    profile: str
    home: Any
    x: int
    y: int
    needs: dict[str, float]
    inventory: dict[str, int]
    wallet: int = 0
    claim: Claim | None = None
    cooldown: dict[int, int] = field(default_factory=dict)
    """object number -> first tick in which it may be used again"""
    blocked: int = 0
    ghost: bool = False
    walked: bool = False
    """whether it moved in this tick"""
    job: Any = None
    shift: Shift = field(default_factory=Shift)
    shift_state: str = "pre_shift"
    lateness: int = 0
    stamps: list[int] = field(default_factory=list)
    samples: list[float] = field(default_factory=list)
    attendance: float = 1.0
    review: int | None = None
    """tick in which a review was queued"""
    refused: bool = False
    lost_today: bool = False
    rent_owed: int = 0
    waits: bool = False
    """whether it came or leaves in this tick, in which it waits whatever its slot is given"""
    leaving: str | None = None
    """why it leaves in this tick"""
    replaced: bool = True
    """whether somebody follows it"""
    moves_at: int = 0
    """the tick in which its stay is over"""
    starving: int = 0
    """ticks in a row"""
    neglected: int = 0
    """ticks of the day"""
    owing: int | None = None
    """tick since which it has owed too much rent"""
    jobless: int = 0
    """tick since which it has had no job"""
    due: str | None = None
    """why it is due to leave"""
    due_since: int = 0
    told_causes: set[str] = field(default_factory=set)
    """causes that were told for this reason"""
    action: str | None = "wait"
    target: int = -1
    option: str | None = None
    goal: int = -1
    """a field"""
    commit: int = 0
    """ticks of commitment left"""
    reset: bool = True
    """whether the policy must forget its plan"""
    last: tuple[int, int] | None = None
    """the last intent: number of the action, and target"""
    succeeded: bool = False
    """whether the last intent was a success"""
    repeated: int = 0
    """ticks since the last intent was first issued without interruption"""
    late_today: int = 0
    """late ticks of the day"""
    ties: list[Any] = field(default_factory=list)
    """in the order in which they began"""
    ready: int = 0
    """first tick in which it may talk or be talked to"""
    code: tuple[float, ...] = ()
    """identity code"""
    embedding: int = 0
    """slot of its embedding"""
    paid: bool = False
    """whether it was paid a wage in this tick"""
    presence: float = 0.0
    """worth of a first presence in this tick"""
    chat: float = 0.0
    """worth of a chat in this tick"""
    avoided_now: int = 0
    """avoidances of this tick"""
    potential: float = 0.0
    """after the last tick"""
    guard: int = 0
    """ticks for which nothing is gained after starving"""
    day_reward: float = 0.0
    """sum of the day's rewards, within limits"""
    parts: dict[str, float] = field(default_factory=dict)
    """of the last reward"""
    invited: Any = None
    """the event to which it is invited"""
    met_until: int | None = None
    """end of its last meeting"""
    last_seen: Any = None
    """features and map of its last observation"""

    def forget(self):
        """Reset the context."""
        self.option, self.goal, self.commit, self.reset = None, -1, 0, True

    @property
    def id(self):
        """``a`` and the serial in five digits."""
        return f"a{self.serial:05d}"


@dataclass(eq=False, slots=True)
class Town:
    """A town: what was loaded, and what has become of it."""

    plan: Any
    options: Any
    seed: int
    ground: Ground
    things: list[Thing]
    residents: list[Resident] = field(default_factory=list)
    """the living, by serial"""
    tick: int = 0
    born: int = 0
    """residents so far, the next serial"""
    arrivals: int = 0
    exits: int = 0
    mortal: bool = True
    """whether residents leave by the rules"""
    exit_cap: int = 0
    exit_spacing: int = 0
    exits_today: Counter[int] = field(default_factory=Counter)
    """district -> exits by the rules"""
    last_exit: dict[int, int] = field(default_factory=dict)
    """district -> tick of the last exit by the rules"""
    disturbed: dict[tuple[int, str], int] = field(default_factory=dict)
    """district and disturbance -> tick in which it was on last"""
    expected: list[Any] = field(default_factory=list)
    """newcomers on their way, in the order of the exits"""
    left: list["Resident"] = field(default_factory=list)
    """who left in the last tick"""
    rested: dict[int, int] = field(default_factory=dict)
    """embedding slot -> when it was released"""
    forced_reuses: int = 0
    """embedding slots that were given before they had rested"""
    at: dict[tuple[int, int], list[Resident]] = field(default_factory=dict)
    """tile -> who stands on it, in the order of coming"""
    power: list[dict[str, bool]] = field(default_factory=list)
    """district -> utility -> whether it is on"""
    base_prices: list[dict[str, int]] = field(default_factory=list)
    """district -> price key -> mills, before any effect"""
    prices: list[dict[str, int]] = field(default_factory=list)
    """district -> price key -> mills"""
    effects: dict[tuple[Any, ...], Any] = field(default_factory=dict)
    """what is off, closed or dear, by (kind, thing, source)"""
    calendar: Any = None
    """the events over the town"""
    tills: dict[int, int] = field(default_factory=dict)
    """place -> mills"""
    treasury: int = 0
    flows: Counter[str] = field(default_factory=Counter)
    lost_jobs: Counter[int] = field(default_factory=Counter)
    """district -> jobs lost today"""
    ask: Any = None
    """asks a hook: context -> its answer, as plain values"""
    facts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    conflicts: list[dict[str, Any]] = field(default_factory=list)
    actions: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def tod(self):
        """Minute of the day."""
        return (self.tick + self.options.time.start_tod) % 1440

    @property
    def day(self):
        """Number of the day; the town starts at some minute of day 0."""
        return (self.tick + self.options.time.start_tod) // 1440

    def emit(self, kind, /, **data):
        """Add a fact to the tick's."""
        self.facts.append((kind, data))
