"""Whatever residents want and whatever is done to a town, the rules of domain.md, section 25 hold."""

import re
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.town.invariants import AFTER_START, Chronicle, Watch, check_invariants, lasting
from tests.town.towns import build_model
from townlet_adapters.policies.scripted.options import ScriptedOptions
from townlet_adapters.policies.scripted.policy import ScriptedPolicy
from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.compiled.rows import journal_rows
from townlet_adapters.worlds.town.seam.arguments import Intervention
from townlet_adapters.worlds.town.seam.batch import TownBatch
from townlet_adapters.worlds.town.seam.decode import Decoder
from townlet_adapters.worlds.town.seam.world import TownWorld

ROWS = (
    "E............",
    ".#####.#####.",
    ".#HrW#.#gXg#.",
    ".#rrrr+.ggg#.",
    ".#FrB#.#####.",
    ".#HrS#.cCc.~.",
    ".#####.ccc.~.",
    "...pNp.......",
)
"""One of everything, and doors that two cannot pass."""
JOBS = {
    "clerk": {"place": "grocer", "start": 60, "end": 240, "wage": 20, "late_fine": 100, "capacity": 5},
    "keeper": {"place": "cafe", "start": 1380, "end": 60, "wage": 22, "late_fine": 120, "capacity": 4},
}
"""Shifts that begin soon after the start; one passes midnight."""
RESIDENTS = 12


@pytest.fixture(scope="module")
def crowd() -> TownModel:
    return build_model(ROWS, RESIDENTS, jobs=JOBS, population={"capacity": 14})


@pytest.fixture(scope="module")
def hasty() -> TownModel:
    """Twelve residents whom everything happens to soon: reviews, hand-overs, fines, poverty."""
    return build_model(
        ROWS,
        RESIDENTS,
        jobs=JOBS,
        population={"start_wallet": 600},
        employment={"max_absent_shifts": 1, "review_ticks": 60, "review_queue_limit": 2, "daily_loss_cap": 3},
        queues={
            "cooldown_ticks": 0,
            "hold_ticks": 2,
            "drop_distance": 1,
            "drop_ticks": 3,
            "patience_ticks": 5,
        },
    )


@pytest.fixture(scope="module")
def eventful() -> TownModel:
    """The crowd in a town in which something happens all the time."""
    names = ("price_spike", "blackout", "outage", "arranged_meet", "closure", "festival")
    specs = {name: {"chance": 60, "cooldown": 5, "duration": [1, 30]} for name in names}
    rules = {
        "max_concurrent": 2,
        "global_cooldown_ticks": 3,
        "agent_cooldown_ticks": 9,
        "max_per_window": 100,
    }
    return build_model(
        ROWS,
        RESIDENTS,
        jobs=JOBS,
        population={"capacity": 14},
        features={"perturbations": True},
        perturbations={**rules, "specs": specs},
    )


class Chaos:
    """Random intents, allowed and not, and random strokes of fate, from one generator."""

    def __init__(  # noqa: PLR0913 - what chance does, each by its name
        self, batch: TownBatch, seed: int, *, legal: float, aimed: float, fate: float, wild: float = 0.0
    ) -> None:
        self._batch = batch
        self._wild = wild
        self._random = np.random.default_rng(seed)
        self._legal, self._aimed, self._fate = legal, aimed, fate
        weights = np.ones(batch.arrays.mask.shape[2])
        weights[codes.LEAVE] = 0.05  # who leaves at once never waits, holds or finishes
        weights[codes.FIRST_USE :] = 6.0
        self._weights = weights
        self.needs_set = False

    def intents(self):
        """Draw (actions, targets) for everybody: ``legal`` of them from the mask, ``aimed`` with a target."""
        mask = self._batch.arrays.mask
        shape, actions = mask.shape[:2], mask.shape[2]
        allowed = np.argmax(self._random.random(mask.shape) * self._weights * mask, axis=2)
        anything = self._random.integers(0, actions, shape)
        chosen = np.where(self._random.random(shape) < self._legal, allowed, anything)
        objects = self._batch.state.objects.shape[1]
        aims = np.where(
            self._random.random(shape) < 0.5,
            self._batch.state.residents["claim_object"],
            self._random.integers(-1, objects + 2, shape),
        )
        return chosen, np.where(self._random.random(shape) < self._aimed, aims, -1)

    def strike(self) -> None:
        """Let fate strike some of the towns."""
        self.needs_set = False
        for b in np.flatnonzero(self._random.random(self._batch.towns) < self._fate).tolist():
            wild = self._wild > 0 and self._random.random() < self._wild
            strokes = (self._wild_stroke, self._wild_stroke, self._event) if wild else (self._stroke,)
            order = strokes[int(self._random.integers(len(strokes)))](b)
            self.needs_set |= order.what == codes.SET_NEED
            self._batch.intervene(order)

    def _stroke(self, b: int) -> Intervention:
        draw = self._random.integers
        slots, objects = self._batch.state.residents.shape[1], self._batch.state.objects.shape[1]
        height, width = self._batch.model.tables.passable.shape
        match int(draw(5)):
            case 0:
                tile = int(draw(-1, width + 1)), int(draw(-1, height + 1))
                return Intervention(b, codes.TELEPORT, int(draw(slots)), *tile)
            case 1:
                return Intervention(b, codes.SWITCH_UTILITY, 0, int(draw(2)), int(draw(2)))
            case 2:
                level = float(self._random.random())
                return Intervention(b, codes.SET_NEED, int(draw(slots)), int(draw(3)), x=level)
            case 3:
                return Intervention(b, codes.CLOSE_OBJECT, int(draw(objects)), int(draw(4) == 0))
            case _:
                return Intervention(b, codes.CLOSE_OBJECT, int(draw(objects)), 0)

    def _wild_stroke(self, b: int) -> Intervention:
        """Let somebody go or come, rather the latter; or something be off, closed or dear for a while."""
        draw, state = self._random.integers, self._batch.state
        end = int(state.towns["tick"][b] + draw(40)) if draw(2) else codes.NO_END
        by = int(draw(3)), end
        match int(draw(7)):
            case 0:
                return Intervention(b, codes.REMOVE, int(draw(state.residents.shape[1])), int(draw(2)))
            case 1 | 2:
                return Intervention(b, codes.SPAWN, int(draw(len(self._batch.model.tables.homes))))
            case 3:
                return Intervention(b, codes.SWITCH_UTILITY, 0, int(draw(2)), int(draw(2)), *by)
            case 4:
                thing = int(draw(state.objects.shape[1]))
                return Intervention(b, codes.CLOSE_OBJECT, thing, int(draw(2)), 0, *by)
            case 5:
                key = int(draw(state.price.shape[2]))
                return Intervention(b, codes.SCALE_PRICE, 0, key, int(draw(800, 1800)), *by)
            case _:
                key = int(draw(state.price.shape[2]))
                return Intervention(b, codes.SET_PRICE, 0, key, int(draw(500)))

    def _event(self, b: int) -> Intervention:
        """Schedule an event, as its spec says or otherwise; or cancel one."""
        draw, model, state = self._random.integers, self._batch.model, self._batch.state
        if draw(3) == 0:
            return Intervention(b, codes.CANCEL, 0, int(draw(state.towns["last_event"][b] + 2)))
        spec, starts_in, none = int(draw(len(model.plan.specs))), int(draw(20)), [codes.NOBODY] * 4
        if draw(2):
            return Intervention(b, codes.PERTURB, 0, spec, starts_in, -1, -1, -1, *none)
        most = (len(model.tables.price_targets), 2, state.objects.shape[1], 20, 0)
        known = most[model.plan.specs[spec].effect]
        targets = draw(known, size=2).tolist() + none[:2] if known else none
        place = int(draw(-1, len(model.plan.places)))
        sizes = int(draw(1, 40)), int(draw(0, 10_001))
        return Intervention(b, codes.PERTURB, 0, spec, starts_in, *sizes, place, *targets)


def live(batch: TownBatch, chaos: Chaos, ticks: int, *, looks_every: int = 1) -> list[Chronicle]:
    """Let a batch live in chaos, checking every rule, and give each town's chronicle."""
    decoder = Decoder(batch.model)
    chronicles = [Chronicle() for _ in range(batch.towns)]
    watch = Watch(batch)
    for tick in range(ticks):
        chaos.strike()
        actions, targets = chaos.intents()
        watch.before()
        batch.step(actions, targets)
        watch.after(actions, needs_set=chaos.needs_set)
        if tick % looks_every == 0:
            check_invariants(batch)
        for b, chronicle in enumerate(chronicles):
            chronicle.see(decoder.events(batch.journal, b), tick)
    check_invariants(batch)
    for b, chronicle in enumerate(chronicles):
        chronicle.check_end(batch, b)
    return chronicles


class Trial(NamedTuple):
    """One life of a batch; ``chance`` is the seed of what residents want and fate does."""

    seed: int
    chance: int
    legal: float
    aimed: float
    fate: float
    wild: float
    eventful: bool
    ticks: int


TRIALS = st.builds(
    Trial,
    seed=st.integers(0, 2**64 - 1),
    chance=st.integers(0, 2**32),
    legal=st.sampled_from((0.0, 0.5, 0.9, 1.0)),
    aimed=st.sampled_from((0.0, 0.3)),
    fate=st.sampled_from((0.0, 0.05, 0.5)),
    wild=st.sampled_from((0.0, 0.5)),
    eventful=st.booleans(),
    ticks=st.integers(1, 250),
)


@settings(max_examples=12, deadline=None)
@given(trial=TRIALS)
def test_every_rule_holds_whatever_residents_want_and_fate_does(crowd, eventful, trial):
    batch = TownBatch(eventful if trial.eventful else crowd, 3, journal=True)
    batch.reset(trial.seed)
    check_invariants(batch)
    chances = {"legal": trial.legal, "aimed": trial.aimed, "fate": trial.fate, "wild": trial.wild}
    live(batch, Chaos(batch, trial.chance, **chances), trial.ticks)


def test_ten_thousand_ticks_of_a_crowd_keep_every_rule_and_meet_every_trouble(crowd, hasty, eventful):
    """Eight crowded towns for 2,500 ticks: what the rules are about must have happened, too."""
    kinds, reasons = set(), set()
    for model, fate, wild in (
        (crowd, 0.03, 0.0),
        (hasty, 0.03, 0.0),
        (crowd, 0.2, 0.5),
        (eventful, 0.2, 0.5),
    ):
        batch = TownBatch(model, 2, journal=True)
        batch.reset(8)
        for chronicle in live(batch, Chaos(batch, 6, legal=0.95, aimed=0.1, fate=fate, wild=wild), 2500):
            kinds |= chronicle.kinds.keys()
            reasons |= chronicle.reasons.keys()
    assert kinds >= {
        "affordance.start", "affordance.finish", "affordance.fail",
        "queue.join", "queue.grant", "queue.leave", "queue.conflict", "rivalry.events",
        "employment.arrived", "employment.late_start", "employment.absent", "employment.departed_early",
        "employment.helped", "employment.shift_covered", "employment.shift_end", "employment.review",
        "employment.job_loss", "employment.hired",
        "economy.restock", "economy.rent", "economy.day",
        "lifecycle.arrive", "lifecycle.moved", "lifecycle.exit",
        "perturbation.scheduled", "perturbation.started", "perturbation.ended", "perturbation.cancelled",
        "economy.price",
    }  # fmt: skip
    quarrelled = {reason for kind, reason in reasons if kind == "queue.conflict"}
    assert quarrelled == {"ghost_step", "jostle", "waiting"}
    left = {reason for kind, reason in reasons if kind == "queue.leave"}
    assert left == {"left", "timeout", "too_far", "closed", "interrupted", "agent_exit"}
    failed = {reason for kind, reason in reasons if kind == "affordance.fail"}
    assert failed >= AFTER_START | {"closed", "utility_off", "insufficient_funds"}


def spoil(array, where, value) -> None:
    array[where] = value


def stand_in_line(s) -> None:
    """Let somebody wait for an object who did not queue for it."""
    idle = np.flatnonzero(s.residents["alive"][0] & (s.residents["claim_stage"][0] == codes.NO_STAGE))
    spoil(s.objects[:, free_object(s)], "first", idle[0])
    spoil(s.objects[:, free_object(s)], "queue_length", 1)


def free_object(s) -> int:
    return int(np.flatnonzero((s.objects["holder"][0] < 0) & (s.objects["queue_length"][0] == 0))[0])


def loner(s) -> int:
    """A slot, not the first, whose resident shares its tile with nobody."""
    return int(1 + np.flatnonzero(s.residents["mate"][0, 1:RESIDENTS] < 0)[0])


def tied(s, k: int = 0) -> tuple[int, int, int]:
    """Where the k-th tie of a resident is who has two."""
    return 0, int(np.flatnonzero(s.residents["ties"][0] > 1)[0]), k


def owe(s) -> None:
    """Let one resident owe what another has too much."""
    wallets = s.residents["wallet"][0]
    wallets[1] += wallets[0] + 1
    wallets[0] = -1


EVERYBODY = np.s_[:, :RESIDENTS]
DAMAGE = {
    "all accounts add up to 0": lambda s: spoil(s.tills, (0, 0), s.tills[0, 0] + 1),
    "no wallet is below 0": owe,
    "serials are below the next one": lambda s: spoil(s.towns, "next_serial", 0),
    "the roster is in the order of serials": lambda s: spoil(s.roster, np.s_[0, :2], (1, 0)),
    "an embedding slot belongs to one": lambda s: spoil(s.residents[EVERYBODY], "embedding", 3),
    "a used embedding slot is owned": lambda s: spoil(s.towns, "embeddings", RESIDENTS + 1),
    "a dead slot is all zero": lambda s: spoil(s.cooldowns, np.s_[:, RESIDENTS:, 0], (3, 9)),
    "the census counts the living": lambda s: spoil(s.census, (0, 0, 0), 99),
    "everybody stands on a passable tile": lambda s: spoil(s.residents[:, :1], "y", 1),
    "the grid knows who stands where": lambda s: spoil(s.occupant, ..., -1),
    "two on a tile know each other": lambda s: spoil(s.residents[:, loner(s)], "mate", 0),
    "a claim has an object and a stage": lambda s: spoil(s.residents[EVERYBODY], "claim_stage", 1),
    "every holder holds": lambda s: spoil(s.objects[:, free_object(s)], "holder", 0),
    "nothing else is reserved": lambda s: spoil(s.reserved, (0, 0, 0), 1),
    "a queue is as long as it says": lambda s: spoil(s.objects[:, free_object(s)], "queue_length", 1),
    "who stands in a queue has queued": stand_in_line,
    "what runs has a holder": lambda s: spoil(s.objects[:, free_object(s)], "running", 1),
    "needs lie in [0, 1]": lambda s: spoil(s.residents[EVERYBODY], "need", np.nan),
    "inventories keep their limits": lambda s: spoil(s.residents[EVERYBODY], "inventory", 7),
    "stock lies in [0, capacity]": lambda s: spoil(s.objects, "stock", -1),
    "cool-downs end in time": lambda s: spoil(s.cooldowns, np.s_[:, :RESIDENTS, :, 1], 10_000),
    "active effects are counted": lambda s: spoil(s.towns, "effects", 1),
    "a utility is off while an effect says so": lambda s: spoil(s.districts, "utility", 0),
    "an object is closed while an effect says so": lambda s: spoil(s.objects[:, free_object(s)], "closed", 1),
    "prices are base prices under the effects": lambda s: spoil(s.price, "normal", 1),
    "the next end of an effect is known": lambda s: spoil(s.towns, "effects_end", 10_000),
    "an owner has few ties": lambda s: spoil(s.residents[EVERYBODY], "ties", 7),
    "a tie that there is not is all zero": lambda s: spoil(s.residents[EVERYBODY], "ties", 0),
    "a tie is to another one who lives": lambda s: spoil(s.ties[tied(s)], "other", tied(s)[1]),
    "a tie is the only one to its other end": lambda s: spoil(
        s.ties[tied(s, 1)], "other", s.ties[tied(s)].other
    ),
    "rivalry keeps its range": lambda s: spoil(s.ties[tied(s)], "rivalry", 1.5),
    "a tie changed before now": lambda s: spoil(s.ties[tied(s)], "changed", 300),
    "who is avoided is counted": lambda s: spoil(s.residents[EVERYBODY], "avoided", 7),
    "every portrait is up to date": lambda s: spoil(s.residents[EVERYBODY], "portrayed", 0),
    "a portrait shows the fiercest rivalry": lambda s: spoil(s.portraits, np.s_[:, :RESIDENTS, 0], 0.01),
    "events are counted": lambda s: spoil(s.towns, "perturbations", 1),
    "an invitation is to an event": lambda s: spoil(s.residents[EVERYBODY], "invite", 1),
    "who meets is invited": lambda s: spoil(s.residents[EVERYBODY], "meets", 1),
    "jobs know how many hold them": lambda s: spoil(s.job_holders, ..., 0),
    "wages are paid within the shift": lambda s: spoil(s.residents[EVERYBODY], "paid_ticks", 181),
    "districts know their pending reviews": lambda s: spoil(s.districts, "reviews", 1),
    "the mask shown is the mask that counts": lambda s: spoil(s.residents[EVERYBODY], "mask", 1),
}
"""Rule -> damage that it is the first to notice, in a crowd after 300 ticks."""


@pytest.mark.parametrize("rule", DAMAGE)
def test_damage_to_a_town_is_noticed(crowd, rule):
    """The checks of this module can fail, each for its own reason."""
    batch = TownBatch(crowd, 1, journal=True)
    batch.reset(11)
    chaos = Chaos(batch, 11, legal=1.0, aimed=0.0, fate=0.0)
    for _ in range(300):
        batch.step(*chaos.intents())
    check_invariants(batch)
    DAMAGE[rule](batch.state)
    with pytest.raises(AssertionError, match=re.escape(rule)):
        check_invariants(batch)


def earn_at_home(s) -> None:
    """Pay somebody a wage for nothing; the books balance."""
    s.flows[0, codes.FLOW_WAGE] += 20
    s.residents["wallet"][0, 0] += 20


SLIPS = {
    "an unmasked action is never invalid": lambda s: spoil(s.residents[:, :1], "last_result", codes.INVALID),
    "the flows explain every wallet": lambda s: spoil(s.residents[:, :1], "wallet", 99_999),
    "flows only grow within a day": lambda s: spoil(s.flows, ..., -1),
    "a need rises only by the effects of a use": lambda s: spoil(s.residents[:, :1], "need", 0.9),
    "wages only within the shift, while present": earn_at_home,
}
"""Rule that compares a tick's end with its beginning -> what breaks it."""


@pytest.mark.parametrize("rule", SLIPS)
def test_a_slip_within_a_tick_is_noticed(crowd, rule):
    batch = TownBatch(crowd, 1, journal=True)
    batch.reset(8)
    watch = Watch(batch)
    waiting = np.zeros(batch.arrays.mask.shape[:2], int)
    batch.step(waiting)
    watch.after(waiting, needs_set=False)
    SLIPS[rule](batch.state)
    with pytest.raises(AssertionError, match=re.escape(rule)):
        watch.after(waiting, needs_set=False)


def test_the_journal_stays_within_its_bound_in_a_crowded_town(hasty):
    """A bound that is exceeded would end the run; 19 rows were measured, of 624."""
    batch = TownBatch(hasty, 4, journal=True)
    batch.reset(1)
    chaos = Chaos(batch, 2, legal=1.0, aimed=0.0, fate=0.5)
    worst = 0
    for _ in range(1500):
        chaos.strike()
        batch.step(*chaos.intents())
        worst = max(worst, int(batch.journal.written.max()))
    assert 12 < worst <= journal_rows(hasty.sizes)


@settings(max_examples=10, deadline=None)
@given(draws=st.integers(0, 2**32), legal=st.sampled_from((0.3, 0.9)), ticks=st.integers(1, 120))
def test_a_failed_action_changes_nothing_but_what_is_told_of_it(crowd, draws, legal, ticks):
    """A twin in which whoever failed had waited instead is the same after the tick, but for the results."""
    batch, twin = TownBatch(crowd, 2, journal=True), TownBatch(crowd, 2, journal=True)
    batch.reset(draws)
    twin.reset(draws)
    chaos = Chaos(batch, draws, legal=legal, aimed=0.3, fate=0.0)
    compared = 0
    for _ in range(ticks):
        actions, targets = chaos.intents()
        for array, copy in zip(batch.state, twin.state, strict=True):
            copy[...] = array
        claim = batch.state.residents["claim_stage"] == codes.STAGE_HELD
        batch.step(actions, targets)
        result = batch.state.residents["last_result"]
        failed = result > codes.LAST_SUCCESS
        lost = failed & claim & (result >= codes.CLOSED)
        twin.step(np.where(failed, codes.WAIT, actions), targets)
        same = ~lost.any(1)
        compared += int(same.sum() * failed.any())
        for name, array, copy in zip(batch.state._fields, batch.state, twin.state, strict=True):
            if name == "residents":
                for field in array.dtype.names:
                    if field not in {"last_action", "last_result", "last_duration", "blocked"}:
                        assert (array[field] == copy[field])[same].all(), field
            else:
                assert (array == copy)[same].all(), name
    assert compared > 0 or ticks < 20


def test_under_the_scripted_policy_everybody_who_waits_is_served_or_leaves(crowd):
    """Twelve residents and one bed, shower, fridge and stove for two days: no wait without an end."""
    world = TownWorld(crowd)
    policy = ScriptedPolicy(ScriptedOptions())
    policy.begin(world.spec, 3)
    observation = world.reset(3)
    chronicle = Chronicle()
    longest = 0
    for tick in range(2 * codes.TICKS_PER_DAY):
        outcome = world.step(policy.decide(observation).actions)
        observation = outcome.observation
        chronicle.see(outcome.events, tick)
        longest = max([longest, *(tick - since for _, since in chronicle.waiting.values())])
        if tick % 7 == 0:
            check_invariants(world.engine)
    chronicle.check_end(world.engine, 0)
    # Eleven before one and an hour for each, and then some who left for work and came again.
    assert longest < 12 * 90
    assert len(chronicle.waits) > 50


def test_observing_again_changes_nothing_and_shows_the_same(crowd):
    """Rule 26: an observation is a function of the state alone, which holds the policy's context; what a tick
    gave is none, and is blank then.
    """
    batch = TownBatch(crowd, 3)
    batch.reset(9)
    chaos = Chaos(batch, 9, legal=0.9, aimed=0.1, fate=0.1)
    random = np.random.default_rng(9)
    fields = len(crowd.spec.fields)
    for _ in range(100):
        chaos.strike()
        actions, targets = chaos.intents()
        wants = batch.intents
        wants.option[...] = random.integers(-1, 8, wants.option.shape)
        wants.goal[...] = random.integers(-1, fields, wants.goal.shape)
        wants.commit[...] = random.integers(0, 16, wants.commit.shape)
        batch.step(actions, targets)
        seen = lasting(batch)
        state = [array.tobytes() for array in batch.state]
        for array in batch.arrays:
            array.fill(1)
        batch.observe()
        for name, before, array in zip(batch.arrays._fields, seen, batch.arrays, strict=True):
            assert before == array.tobytes(), name
        assert state == [array.tobytes() for array in batch.state]


def ties_of(batch: TownBatch) -> np.ndarray:
    """float64[B, N, N, 3], zero without a tie."""
    s = batch.state
    found = np.zeros((*s.residents.shape, s.residents.shape[1], 3))
    for b, i, k in np.argwhere(np.arange(s.ties.shape[2]) < s.residents["ties"][..., None]).tolist():
        tie = s.ties[b, i, k]
        found[b, i, tie["other"]] = tie["trust"], tie["familiarity"], tie["rivalry"]
    return found


def test_every_change_of_a_tie_has_its_mirror():
    """Rule 8: without traits, and with room for everybody, what two make of each other is the same."""
    model = build_model(
        ROWS,
        RESIDENTS,
        jobs=JOBS,
        relationships={"max_ties": 16},
        features={"relationship_modifiers": False},
        queues={"patience_ticks": 5},
    )
    batch = TownBatch(model, 2)
    batch.reset(3)
    chaos = Chaos(batch, 3, legal=0.95, aimed=0.1, fate=0.02, wild=0.2)
    for _ in range(1500):
        chaos.strike()
        batch.step(*chaos.intents())
        ties = ties_of(batch)
        assert ties.tobytes() == ties.transpose(0, 2, 1, 3).copy().tobytes()
    assert (np.abs(ties) > 0.1).any((0, 1, 2)).all(), "trust, familiarity and rivalry came up"
