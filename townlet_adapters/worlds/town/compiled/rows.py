"""The kinds of journal rows: the event that each becomes, its columns and its bound in a tick.

Kernels write rows of numbers; ``decode.py`` makes events of them by this table, and the size of the journal
follows from its bounds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.events import (
    affordance,
    economy,
    employment,
    lifecycle,
    perturbation,
    queue,
    social,
)
from townlet_core.events.base import Event


class Row(NamedTuple):
    """One journal row as plain numbers; fields and order are those of ``EVENT``.

    Attributes:
        agent: serial of the resident that it is about, -1 none.
        other: serial of another resident, -1 none.
        kind: number of the kind.
        reason: number of a word; which words depends on the kind.
        object: number of an object, -1 none; of a place in rows about events.
        affordance: number of an affordance, -1 none; of a spec in rows about events.
        a: whole number; a to h depend on the kind.
        b: whole number.
        c: whole number.
        d: whole number.
        e: whole number.
        f: whole number.
        g: whole number.
        h: whole number.
        x: real number; x to z depend on the kind.
        y: real number.
        z: real number.
    """

    agent: int
    other: int
    kind: int
    reason: int
    object: int
    affordance: int
    a: int
    b: int
    c: int
    d: int
    e: int
    f: int
    g: int
    h: int
    x: float
    y: float
    z: float


class Names(NamedTuple):
    """The names that rows refer to by number.

    Attributes:
        objects: ids of the objects.
        affordances: ids of the affordances.
        jobs: ids of the jobs.
        items: names of the items.
        profiles: names of the profiles.
        places: ids of the places.
        residents: display names, without the number of a repeated one.
        prices: price keys.
        specs: names of the specs of events.
        spec_effects: what each spec does.
        price_targets: what a spike can be about.
        effects: effects of each affordance by effect key.
        width: width of the map in tiles.
    """

    objects: tuple[str, ...]
    affordances: tuple[str, ...]
    jobs: tuple[str, ...]
    items: tuple[str, ...]
    profiles: tuple[str, ...]
    places: tuple[str, ...]
    residents: tuple[str, ...]
    prices: tuple[str, ...]
    specs: tuple[str, ...]
    spec_effects: tuple[int, ...]
    price_targets: tuple[str, ...]
    effects: tuple[Mapping[str, float], ...]
    width: int


Read: TypeAlias = Callable[[Row], object]
Field: TypeAlias = Callable[[Names], Read]
"""Makes the reader of one field of an event, for the names of a town."""
ReadAll: TypeAlias = Callable[[Sequence[Row]], object]


class Sizes(NamedTuple):
    """The numbers from which the bounds follow.

    Attributes:
        residents: slots for residents.
        objects: objects of the town.
        stocks: items that an object can hold.
        colleagues: most residents that hold one job.
        ties: most ties of one resident.
        flows: kinds of money flows.
        orders: orders of a tick.
        events: events that can wait or be under way.
        prices: price keys.
    """

    residents: int
    objects: int
    stocks: int
    colleagues: int
    ties: int
    flows: int
    orders: int
    events: int
    prices: int


class Bound(NamedTuple):
    """The most rows of a kind that one tick can write.

    Attributes:
        resident: for each resident.
        object: for each object.
        stock: for each item of each object.
        colleague: for each resident and each of its colleagues.
        tie: for each tie of each resident.
        flow: for each kind of money flow.
        order: for each order.
        event: for each event.
        price: for each price key of each event.
        ordered_price: for each price key of each order.
    """

    resident: int = 0
    object: int = 0
    stock: int = 0
    colleague: int = 0
    tie: int = 0
    flow: int = 0
    order: int = 0
    event: int = 0
    price: int = 0
    ordered_price: int = 0

    def rows(self, sizes: Sizes) -> int:
        """Return the most rows in a town of these sizes."""
        return (
            self.resident * sizes.residents
            + self.object * sizes.objects
            + self.stock * sizes.objects * sizes.stocks
            + self.colleague * sizes.residents * sizes.colleagues
            + self.tie * sizes.residents * sizes.ties
            + self.flow * sizes.flows
            + self.order * sizes.orders
            + self.event * sizes.events
            + self.price * sizes.events * sizes.prices
            + self.ordered_price * sizes.orders * sizes.prices
        )


@dataclass(frozen=True, slots=True)
class RowKind:
    """A kind of row.

    Attributes:
        code: its number.
        event: the event that it becomes.
        fields: how each field of the event is read, in the order of the fields.
        bound: the most rows of it in a tick.
        together: when adjoining rows of this kind about one resident become one event: how its last field is
            read from all of them.
    """

    code: int
    event: Callable[..., Event]
    fields: tuple[Field, ...]
    bound: Bound
    together: tuple[str, Callable[[Names], ReadAll]] | None = None


def agent_id(serial: int) -> str:
    """Return the id of the resident with a serial."""
    return f"a{serial:05d}"


def event_id(number: int) -> str:
    """Return the id of the event with a number."""
    return f"evt_{number}"


def serial_of(agent: str) -> int:
    """Return the serial in the id of a resident."""
    return int(agent[1:])


def _agent(column: str = "agent") -> Field:
    at = Row._fields.index(column)
    return lambda _names: lambda row: agent_id(int(row[at]))


def _number(column: str) -> Field:
    at = Row._fields.index(column)
    return lambda _names: lambda row: row[at]


def _word(column: str, words: Sequence[str]) -> Field:
    at = Row._fields.index(column)
    return lambda _names: lambda row: words[int(row[at])]


def _named(column: str, choose: Callable[[Names], Sequence[str]]) -> Field:
    """Read a name by its number; None for -1."""
    at = Row._fields.index(column)

    def bind(names: Names) -> Read:
        known = choose(names)
        return lambda row: known[int(row[at])] if row[at] >= 0 else None

    return bind


def _tile(column: str) -> Field:
    at = Row._fields.index(column)

    def bind(names: Names) -> Read:
        width = names.width
        return lambda row: (int(row[at]) % width, int(row[at]) // width)

    return bind


def _constant(value: object) -> Field:
    return lambda _names: lambda _row: value


def _effects(names: Names) -> Read:
    return lambda row: names.effects[row.affordance]


def _display_name(names: Names) -> Read:
    return lambda row: display_name(names.residents[row.e], row.f)


def display_name(name: str, repeat: int) -> str:
    """Return a resident's display name; the second resident of a name is ``Ada-2``."""
    return name if repeat == 0 else f"{name}-{repeat + 1}"


def _coworkers(_names: Names) -> ReadAll:
    return lambda rows: tuple(agent_id(row.other) for row in rows)


def _flows(_names: Names) -> ReadAll:
    # A town in which hooks moved no money reports the same flows as a town without hooks.
    return lambda rows: {
        codes.FLOWS[row.reason]: row.e for row in rows if row.e or row.reason < codes.FIRST_RARE_FLOW
    }


_OBJECT: Final = _named("object", lambda names: names.objects)
_AFFORDANCE: Final = _named("affordance", lambda names: names.affordances)
_JOB: Final = _named("a", lambda names: names.jobs)
_SPEC: Final = _named("affordance", lambda names: names.specs)
_USE: Final = (_agent(), _OBJECT, _AFFORDANCE)
_SHIFT: Final = (_agent(), _JOB)
_PAIR: Final = (_agent(), _agent("other"))


def _pair(_names: Names) -> Read:
    return lambda row: (agent_id(row.agent), agent_id(row.other))


def _event(_names: Names) -> Read:
    return lambda row: event_id(row.a)


def _magnitude(names: Names) -> Read:
    return lambda row: row.c if names.spec_effects[row.affordance] == codes.SPIKE else None


def _targets(names: Names) -> Read:
    """Read what an event is about: names by its effect, then the place to which it invites."""

    def read(row: Row) -> tuple[str, ...]:
        numbers = (row.e, row.f, row.g, row.h)
        return targets_of(names, names.spec_effects[row.affordance], numbers, row.object)

    return read


def targets_of(names: Names, effect: int, numbers: Sequence[int], place: int) -> tuple[str, ...]:
    """Return the names of what an event is about; -1 among the numbers, and as the place, is nothing."""
    known: Mapping[int, Sequence[str]] = {
        codes.SPIKE: names.price_targets,
        codes.OUTAGE: codes.UTILITIES,
        codes.CLOSURE: names.objects,
    }
    found = [number for number in numbers if number >= 0]
    named = [known[effect][n] for n in found] if effect in known else [agent_id(n) for n in found]
    return (*named, *([names.places[place]] if place >= 0 else []))


def _flag(column: str) -> Field:
    at = Row._fields.index(column)
    return lambda _names: lambda row: row[at] != 0


def _changes(rows: int) -> Bound:
    """Return the bound of a kind of which every change between two residents writes so many rows.

    A resident has at most two conflicts in a tick, a chat and a finished use, which changes its ties with
    two nearby, with two at table, with two for a hook, and with the one it hands over to; an object has a
    conflict more. A resident comes late, or is covered for, once.
    """
    return Bound(resident=10 * rows, object=rows, colleague=rows)


KINDS: Final = (
    RowKind(
        codes.EV_START,
        affordance.AffordanceStart,
        (*_USE, _number("a"), _number("b"), _number("c")),
        Bound(resident=1),
    ),
    RowKind(codes.EV_FINISH, affordance.AffordanceFinish, (*_USE, _effects), Bound(object=1)),
    RowKind(
        codes.EV_FAIL,
        affordance.AffordanceFail,
        (*_USE, _word("reason", codes.REASONS), _constant(None), _number("a"), _number("b")),
        # An intent that is refused; a use that an order, a lost utility or its resident ends.
        Bound(resident=2, object=1, order=1),
    ),
    RowKind(codes.EV_JOIN, queue.QueueJoin, (*_USE, _number("a")), Bound(resident=1)),
    # Every change of an object's holder is granted to one resident: after a leave, a finish, a lost utility,
    # a stall, a time-out, a drop, and at the end of phase 5.
    RowKind(codes.EV_GRANT, queue.QueueGrant, (*_USE, _number("a")), Bound(resident=4, object=5, order=1)),
    RowKind(
        codes.EV_LEAVE,
        queue.QueueLeave,
        (_agent(), _OBJECT, _word("reason", codes.REASONS), _number("a")),
        Bound(resident=4, object=2, order=1),
    ),
    RowKind(
        codes.EV_CONFLICT,
        queue.QueueConflict,
        (_agent(), _agent("other"), _OBJECT, _word("reason", codes.CONFLICTS), _number("a"), _number("x")),
        Bound(resident=2, object=1),
    ),
    RowKind(
        codes.EV_HANDOVER,
        queue.QueueHandover,
        (_agent(), _agent("other"), _OBJECT, _number("a")),
        Bound(object=1),
    ),
    RowKind(
        codes.EV_ARRIVED,
        employment.EmploymentArrived,
        (*_SHIFT, _number("b"), _word("reason", codes.SHIFT_STATES)),
        Bound(resident=1),
    ),
    RowKind(codes.EV_LATE_START, employment.EmploymentLateStart, (*_SHIFT, _number("b")), Bound(resident=1)),
    RowKind(
        codes.EV_ABSENT,
        employment.EmploymentAbsent,
        (*_SHIFT, _number("b"), _number("c")),
        Bound(resident=1),
    ),
    RowKind(
        codes.EV_DEPARTED, employment.EmploymentDepartedEarly, (*_SHIFT, _number("b")), Bound(resident=1)
    ),
    RowKind(
        codes.EV_HELPED,
        employment.EmploymentHelped,
        _SHIFT,
        Bound(colleague=1),
        together=("coworkers", _coworkers),
    ),
    RowKind(
        codes.EV_COVERED,
        employment.EmploymentShiftCovered,
        _SHIFT,
        Bound(colleague=1),
        together=("coworkers", _coworkers),
    ),
    RowKind(
        codes.EV_SHIFT_END,
        employment.EmploymentShiftEnd,
        (*_SHIFT, _number("b"), _number("d"), _number("x"), _number("c")),
        Bound(resident=1),
    ),
    RowKind(
        codes.EV_REVIEW,
        employment.EmploymentReview,
        (*_SHIFT, _word("reason", codes.REVIEWS), _number("b")),
        Bound(resident=2, order=1),
    ),
    RowKind(
        codes.EV_JOB_LOSS,
        employment.EmploymentJobLoss,
        (*_SHIFT, _word("reason", codes.LOSSES)),
        Bound(resident=1),
    ),
    RowKind(
        codes.EV_HIRED,
        employment.EmploymentHired,
        (*_SHIFT, _word("reason", codes.HIRINGS)),
        Bound(resident=2, order=1),
    ),
    RowKind(
        codes.EV_RESTOCK,
        economy.EconomyRestock,
        (_OBJECT, _named("reason", lambda names: names.items), _number("a")),
        Bound(stock=1),
    ),
    RowKind(codes.EV_RENT, economy.EconomyRent, (_agent(), _number("a"), _number("b")), Bound(resident=1)),
    RowKind(
        codes.EV_DAY,
        lambda day, wallets, tills, treasury, flows: economy.EconomyDay(day, flows, wallets, tills, treasury),
        (_number("a"), _number("b"), _number("c"), _number("d")),
        Bound(flow=1),
        together=("flows", _flows),
    ),
    RowKind(
        codes.EV_ARRIVE,
        lifecycle.LifecycleArrive,
        (
            _agent(),
            _number("agent"),
            _number("a"),
            _display_name,
            _number("h"),
            _tile("b"),
            _named("g", lambda names: names.profiles),
            _named("c", lambda names: names.jobs),
            _number("d"),
            _word("reason", codes.ARRIVALS),
        ),
        Bound(resident=1, order=1),
    ),
    RowKind(
        codes.EV_MOVED,
        lifecycle.LifecycleMoved,
        (_agent(), _tile("a"), _tile("b"), _word("reason", codes.MOVES)),
        Bound(resident=1, order=1),
    ),
    RowKind(
        codes.EV_EXIT,
        lifecycle.LifecycleExit,
        (
            _agent(),
            _number("a"),
            _word("reason", codes.EXITS),
            _number("b"),
            _number("c"),
            _number("x"),
        ),
        Bound(resident=1),
    ),
    RowKind(codes.EV_CHAT, social.SocialChat, (*_PAIR, _flag("a"), _number("x")), Bound(resident=1, order=1)),
    RowKind(
        codes.EV_MEAL,
        social.SocialSharedMeal,
        (_pair, _named("a", lambda names: names.places)),
        Bound(resident=2),
    ),
    RowKind(codes.EV_AVOIDANCE, social.SocialAvoidance, (*_PAIR, _number("a")), Bound(tie=1)),
    # Of two ties that change, each may begin, and push out another. All that there are may decay in one tick,
    # and end with their owners before that.
    RowKind(
        codes.EV_TIE,
        social.SocialTie,
        (
            *_PAIR,
            _word("a", codes.TIE_STATUSES),
            _word("reason", codes.TIE_REASONS),
            _number("x"),
            _number("y"),
            _number("z"),
        ),
        _changes(4)._replace(tie=2, order=4),
    ),
    # Of two ties that change, each may pass every threshold.
    RowKind(
        codes.EV_THRESHOLD,
        social.SocialThreshold,
        (*_PAIR, _word("reason", codes.THRESHOLDS), _number("x")),
        _changes(2 * len(codes.THRESHOLDS))._replace(order=2 * len(codes.THRESHOLDS)),
    ),
    RowKind(
        codes.EV_EXIT_PENDING,
        lifecycle.LifecycleExitPending,
        (_agent(), _word("reason", codes.EXITS), _word("a", codes.KEPT)),
        Bound(resident=1),
    ),
    RowKind(
        codes.EV_SCHEDULED,
        perturbation.PerturbationScheduled,
        (_event, _SPEC, _number("b")),
        Bound(order=1),
    ),
    # A row of the list is free for another event as soon as its event has ended.
    RowKind(
        codes.EV_STARTED,
        perturbation.PerturbationStarted,
        (
            _event,
            _SPEC,
            _number("b"),
            _targets,
            _magnitude,
            _number("d"),
            _word("reason", codes.EVENT_SOURCES),
        ),
        Bound(event=1),
    ),
    RowKind(codes.EV_ENDED, perturbation.PerturbationEnded, (_event, _SPEC), Bound(event=1, order=1)),
    RowKind(
        codes.EV_CANCELLED,
        perturbation.PerturbationCancelled,
        (_event, _SPEC, _flag("b")),
        Bound(event=1, order=1),
    ),
    RowKind(
        codes.EV_PRICE,
        economy.EconomyPrice,
        (
            _number("d"),
            _named("a", lambda names: names.prices),
            _number("b"),
            _number("c"),
            _word("reason", codes.PRICE_REASONS),
        ),
        # A spike ends and another starts; an order edits one price, or ends a spike.
        Bound(price=2, order=1, ordered_price=1),
    ),
)
"""Every kind of row, in the order of the numbers."""


TOGETHER: Final = frozenset(kind.code for kind in KINDS if kind.together is not None)
"""Kinds of which adjoining rows about one resident become one event."""


def journal_rows(sizes: Sizes) -> int:
    """Return the most rows that one tick of a town can write."""
    return sum(kind.bound.rows(sizes) for kind in KINDS)
