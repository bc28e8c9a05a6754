"""Section 1, time and the tick: the founding, and the phases of a tick in their order."""

from collections import Counter

from tests.model import (
    actions,
    affordances,
    commands,
    conflicts,
    economy,
    effects,
    employment,
    event_orders,
    happenings,
    lifecycle,
    movement,
    observations,
    orders,
    queues,
    residents,
    rewards,
    ties,
)
from tests.model.ground import Ground
from tests.model.state import Thing, Town

COMMANDS = {**orders.COMMANDS, **event_orders.COMMANDS}


def found(plan, options, seed, ask=None):
    """The town at instant 0; its facts lead those of the first tick. ``ask`` asks a hook."""
    things = [thing_of(plan, number) for number in range(len(plan.objects))]
    town = Town(plan=plan, options=options, seed=seed, ground=Ground(plan), things=things, ask=ask)
    town.power = [{"power": True, "water": True} for _ in range(plan.districts)]
    town.base_prices = [dict(plan.prices) for _ in range(plan.districts)]
    effects.follow(town)
    town.tills = {number: 0 for number, place in enumerate(plan.places) if place.has_till}
    town.calendar = happenings.Calendar()
    rules = options.lifecycle
    town.mortal, town.exit_cap = not rules.training_mode, rules.daily_exit_cap
    town.exit_spacing = rules.exit_spacing
    residents.found(town)
    return town


def thing_of(plan, number):
    """An object with its stock filled, and what is offered there."""
    each = plan.objects[number]
    kind = plan.vocabulary.object_types[each.type]
    offers = tuple(a for a in plan.affordances.affordances if a.enabled and a.object_type == each.type)
    stock = {item: kind.stock[item] for item in plan.vocabulary.items if item in kind.stock}
    return Thing(
        number=number,
        id=each.id,
        type=each.type,
        x=each.x,
        y=each.y,
        place=each.place,
        district=each.district,
        utilities=tuple(kind.utilities),
        capacity=stock,
        stock=dict(stock),
        offers=offers,
    )


def step(town, intents, context=None, given=()):
    """Execute a tick; returns its facts, the answers of its interventions and the results of its commands.

    ``intents`` is slot -> (action, target), ``context`` slot -> (option name or none, goal,
    commitment). ``given`` are
    interventions, as tuples of a name and arguments, and commands, in the order of acceptance.
    """
    known = len(actions.names(town))
    allowed = {
        each: 0 <= intents[each.slot][0] < known
        and actions.is_allowed(town, each, actions.names(town)[intents[each.slot][0]])
        for each in town.residents
    }
    town.actions, town.failures = Counter(), Counter()
    town.arrivals = town.exits = 0
    open_(town, context)
    known_by_id = {each.id: each for each in town.residents}
    answers, results = [], []
    for order in given:
        if isinstance(order, tuple):
            answers.append(commands.INTERVENTIONS[order[0]](town, *order[1:]))
        else:
            results.append(orders.obey(town, order, known_by_id, COMMANDS))
    lifecycle.let_arrive(town)
    happenings.pass_on(town)
    effects.end(town)
    end_powerless_uses(town)
    decide(town, intents, allowed)
    use_objects(town)
    residents.let_needs_fall(town)
    employment.work(town)
    ties.decay(town)
    economy.close_day(town)
    lifecycle.decide(town)
    rewards.reward(town)
    see_last(town)
    lifecycle.let_leave(town)
    conflicts.sum_up(town)
    town.tick += 1
    facts, town.facts = town.facts, []
    return facts, answers, results


def open_(town, context):
    """Phase 0."""
    economy.open_day(town)
    for each in town.residents:
        each.option, each.goal, each.commit = context[each.slot] if context is not None else (None, -1, 0)
        each.reset = False


def see_last(town):
    """Phase 12: who leaves sees what there is at the end of the tick, while all who leave are still there."""
    town.tick += 1
    town.left = [each for each in town.residents if each.leaving]
    shown = observations.maps(town)
    for each in town.left:
        each.last_seen = observations.features(town, each), shown[each.id]
    town.tick -= 1


def end_powerless_uses(town):
    """Phase 3: uses on objects whose utility went off fail."""
    for thing in town.things:
        holder = thing.holder
        if holder is not None and holder.stage == "running" and not affordances.powered(town, thing):
            affordances.fail(town, holder, "utility_lost")


def decide(town, intents, allowed):
    """Phase 4: one intent for each resident, in fair order; then ghosts make room."""
    order = actions.fair_order(town)
    names = actions.names(town)
    for each in order:
        action, target = (0, -1) if each.waits else intents[each.slot]
        result = actions.fulfil(town, each, (action, target), allowed=each.waits or allowed[each])
        each.waits = False
        note(each, (action, target), result)
        each.action, each.target = names[action] if 0 <= action < len(names) else None, target
        town.actions["wait" if result == "invalid" else each.action] += 1
        if result not in actions.SUCCESSES:
            town.failures[result] += 1
    movement.make_room(town)


def note(resident, intent, result):
    """What a resident did last, and for how long."""
    resident.repeated = resident.repeated + 1 if intent == resident.last else 1
    resident.last, resident.succeeded = intent, result in actions.SUCCESSES


def use_objects(town):
    """Phase 5: upkeep of queues, progress and completion, grants of free objects; each by object index."""
    for thing in town.things:
        queues.upkeep(town, thing)
    for thing in town.things:
        if thing.holder is not None and thing.holder.stage == "running":
            affordances.progress(town, thing.holder)
    for thing in town.things:
        queues.grant(town, thing)
