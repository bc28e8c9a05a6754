"""The part ``world`` of a snapshot: whole, checked before anything changes, of this town only."""

import base64
import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.town.towns import Town
from tests.town.village import BESIDE, OFFICE, STREET, Village
from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.compiled.state import DERIVED, EVENT, TownState
from townlet_adapters.worlds.town.seam.snapshot import REBUILT, encode_array, load_town, save_town
from townlet_adapters.worlds.town.seam.world import TownWorld
from townlet_core.dto.action import ActionBatch
from townlet_core.dto.snapshot import SCHEMA_VERSION, Snapshot
from townlet_core.errors import SnapshotError
from townlet_core.events.schema import event_data
from townlet_core.jsonvalue import canonical_json

RESIDENTS, OBJECTS = "residents", "objects"


def encode_records(records: np.ndarray) -> dict[str, object]:
    """Encode records of one kind as a snapshot does."""
    return {name: encode_array(records[name]) for name in records.dtype.names}


def busy() -> Village:
    """One showers, two wait and talked, one of them avoids the first; a shift has begun; tick 364."""
    town = Village().stand(0, BESIDE["shower_1"]).stand(1, (5, 3)).stand(2, (6, 3)).jump(360)
    town.step({0: "use:use_shower"})
    town.step({1: "use:use_shower"})
    town.step({2: "use:use_shower"})
    town.step({1: "talk"})
    town.set_tie(2, 0, trust=0.5, rivalry=0.99)
    return town


def stored(snapshot: Snapshot) -> Snapshot:
    """Take a snapshot through JSON, as every stored one is."""
    parts = json.loads(canonical_json(snapshot.parts))
    return Snapshot(snapshot.tick, dict(snapshot.identity), parts, snapshot.schema_version)


def state_bytes(state: TownState) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in zip(TownState._fields, state, strict=True)}


def play(world: TownWorld, ticks: int, seed: int = 9) -> list[bytes]:
    """Live on under random actions, allowed or not; everything told and seen, as bytes."""
    rng = np.random.default_rng(seed)
    slots = world.spec.capacity
    told = []
    for _ in range(ticks):
        action = rng.integers(-1, len(world.spec.action_names) + 1, slots, np.int16)
        outcome = world.step(ActionBatch(action.data, np.full(slots, -1, np.int32).data))
        told += [canonical_json([event.kind, event_data(event)]) for event in outcome.events]
        told += [outcome.observation.features.tobytes(), outcome.observation.mask.tobytes()]
    return told


def test_a_restored_town_is_the_saved_one_and_lives_on_alike():
    town = busy()
    saved = stored(town.world.snapshot())
    heir = TownWorld(town.model)
    observation = heir.restore(saved)
    assert state_bytes(heir.engine.state) == state_bytes(town.state)
    assert (observation.tick, heir.snapshot().tick) == (364, 364)
    assert observation.features.tobytes() == town.engine.arrays.features[0].tobytes()
    assert observation.mask.tobytes() == town.engine.arrays.mask[0].tobytes()
    assert play(heir, 1500) == play(town.world, 1500)
    assert state_bytes(heir.engine.state) == state_bytes(town.state)


@pytest.mark.parametrize("cut", [0, 1, 400, 1439, 1440, 1441])
def test_a_run_can_be_cut_at_any_tick(cut):
    """Also before the first: then the events of the founding are in the snapshot."""
    model = Village().model
    whole, first, second = (TownWorld(model) for _ in range(3))
    for world in (whole, first):
        world.reset(4)
    expected = play(whole, cut, 1) + play(whole, 100, 2)
    told = play(first, cut, 1)
    second.restore(stored(first.snapshot()))
    assert told + play(second, 100, 2) == expected


def test_a_restored_town_can_be_saved_again_to_the_same_text():
    town = busy()
    saved = town.world.snapshot()
    heir = TownWorld(town.model)
    heir.restore(stored(saved))
    assert canonical_json(heir.snapshot().parts) == canonical_json(saved.parts)


def test_a_snapshot_of_a_running_town_is_taken_and_restored_into_a_world_that_lived_before():
    town = busy()
    saved = stored(town.world.snapshot())
    other = Village(seed=77)
    other.run(700, {0: "move_north", 1: "move_east"})
    other.world.restore(saved)
    assert state_bytes(other.state) == state_bytes(town.state)
    assert play(other.world, 50) == play(town.world, 50)


# What is refused, and that nothing is changed then.


def refused(snapshot: Snapshot, code: str) -> str:
    """Restore into a living village, which must refuse and stay as it is; gives the message."""
    town = Village(seed=5)
    town.run(3)
    before, seen = state_bytes(town.state), town.engine.arrays.features.tobytes()
    written = int(town.engine.journal.written[0])
    with pytest.raises(SnapshotError) as caught:
        town.world.restore(snapshot)
    assert caught.value.code == code
    assert state_bytes(town.state) == before
    assert town.engine.arrays.features.tobytes() == seen
    assert int(town.engine.journal.written[0]) == written
    return str(caught.value)


def test_a_snapshot_of_another_town_is_refused():
    foreign = Town(["Ehrr"], at=[(1, 0)])
    assert "town_digest" in refused(stored(foreign.world.snapshot()), "snapshot_config")


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("town_digest", "snapshot_config"),
        ("manifest_digest", "snapshot_config"),
        ("layout_version", "snapshot_config"),
        ("variant", "snapshot_identity"),
    ],
)
def test_every_part_of_the_identity_must_agree(key, code):
    saved = stored(busy().world.snapshot())
    message = refused(replace(saved, identity={**saved.identity, key: "another"}), code)
    assert key in message
    assert "another" in message
    refused(replace(saved, identity={k: v for k, v in saved.identity.items() if k != key}), code)


def test_a_town_with_more_slots_is_another_one():
    larger = Village(population={"capacity": 9})
    assert "shape" in refused(stored(larger.world.snapshot()), "snapshot_config")


def with_world(change: Callable[[dict[str, object]], object]) -> Snapshot:
    """A snapshot whose part ``world`` was changed."""
    saved = stored(busy().world.snapshot())
    part = copy.deepcopy(dict(saved.parts["world"]))
    change(part)
    return replace(saved, parts={"world": part})


@pytest.mark.parametrize("name", [*(name for name in TownState._fields if name not in REBUILT), "pending"])
def test_a_part_that_lacks_an_array_is_refused(name):
    assert name in refused(with_world(lambda part: part.pop(name)), "snapshot_corrupt")


def test_a_snapshot_without_a_world_is_refused():
    saved = stored(busy().world.snapshot())
    refused(replace(saved, parts={}), "snapshot_corrupt")
    refused(replace(saved, parts={"world": "tea"}), "snapshot_corrupt")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"data": "not base64!"}, "snapshot_corrupt"),
        ({"data": 5}, "snapshot_corrupt"),
        ({"data": ""}, "snapshot_corrupt"),
        ({"data": base64.b64encode(b"short").decode()}, "snapshot_corrupt"),
        ({"dtype": "<f4"}, "snapshot_schema"),
        ({"dtype": None}, "snapshot_schema"),
        ({"shape": [1, 3]}, "snapshot_config"),
        ({"shape": "wide"}, "snapshot_config"),
        ({"shape": [-1, 4, 8]}, "snapshot_config"),
    ],
)
def test_a_damaged_array_is_refused(change, code):
    message = refused(with_world(lambda part: part["cooldowns"].update(change)), code)
    assert "cooldowns" in message


def test_records_with_other_fields_belong_to_another_version():
    def rename_a_field(part):
        part[RESIDENTS]["purse"] = part[RESIDENTS].pop("wallet")

    message = refused(with_world(rename_a_field), "snapshot_schema")
    assert "another version of the town: it differs in purse, wallet" in message


def test_what_follows_from_the_rest_is_not_saved_but_rebuilt():
    town = busy()
    saved = stored(town.world.snapshot())
    assert not set(REBUILT) & saved.parts["world"].keys()
    heir = TownWorld(town.model)
    heir.restore(saved)
    for name in REBUILT:
        assert getattr(heir.engine.state, name).tobytes() == getattr(town.state, name).tobytes()
        assert getattr(town.state, name).any(), f"{name} is empty: nothing was compared"


def test_what_follows_from_effects_is_not_saved_but_derived():
    town = busy()
    town.switch("power", on=False, source=3, until=900)
    town.close("counter_1")
    town.scale("home.meal", 1500, source=2)
    town.set_price("home.meal", 500)
    town.step()
    saved = stored(town.world.snapshot())
    assert not DERIVED & {name for value in saved.parts["world"].values() for name in value}
    heir = TownWorld(town.model)
    heir.restore(saved)
    assert state_bytes(heir.engine.state) == state_bytes(town.state)
    assert heir.engine.state.towns[0].effects_end == 900
    assert heir.engine.state.districts["utility"].tolist() == [[[0, 1]]]
    assert int(heir.engine.state.objects["closed"].sum()) == 1
    assert town.price("home.meal") == 750
    assert play(heir, 600) == play(town.world, 600)


def test_events_and_invitations_go_on_after_a_snapshot_as_without_one():
    rules = {"max_concurrent": 3, "global_cooldown_ticks": 2, "max_per_window": 50, "grace_ticks": 0}
    names = ("price_spike", "blackout", "outage", "arranged_meet", "closure", "festival")
    specs = {name: {"chance": 90, "cooldown": 9, "duration": [5, 40]} for name in names}
    town = Village(features={"perturbations": True}, perturbations={**rules, "specs": specs})
    for _ in range(8):
        play(town.world, 60)
        heir = TownWorld(town.model)
        heir.restore(stored(town.world.snapshot()))
        assert state_bytes(heir.engine.state) == state_bytes(town.state)
        assert play(heir, 120) == play(town.world, 120)
    assert int(town.state.towns[0].last_event) > 20


def test_effects_that_were_forged_well_are_restored():
    """The forger's effects are those of a town, but for what each forgery changes."""
    heir = TownWorld(busy().model)
    heir.restore(forged(_effect()))
    assert heir.engine.state.districts["utility"].tolist() == [[[0, 1]]]


def test_two_residents_on_one_tile_are_rebuilt_alike():
    """After a ghost step the grid holds one of two: whoever came first, it is the same one."""
    for walker, other in ((0, 1), (1, 0)):
        town = Village().stand(walker, STREET[0]).stand(other, STREET[1])
        town.resident(walker).blocked = 99
        town.step({walker: "move_south"})
        assert town.resident(walker).mate == other
        heir = TownWorld(town.model)
        heir.restore(stored(town.world.snapshot()))
        assert state_bytes(heir.engine.state) == state_bytes(town.state)


@pytest.mark.parametrize("shape", [[10**9], [-1], ["1"], [1, 1], None, [0.5], [True]])
def test_a_senseless_number_of_untold_events_is_refused(shape):
    refused(with_world(lambda part: part["pending"]["agent"].update(shape=shape)), "snapshot_corrupt")


def forged(change: Callable[[TownState], None], town: Village | None = None) -> Snapshot:
    """A snapshot whose arrays are of the right types and shapes, but whose content was changed."""
    forger = town or busy()
    change(forger.state)
    saved = save_town(forger.model, forger.state, forger.engine.journal, pending=False)
    return stored(saved)


def put(array: str, field: str, value: float, row: int = 0) -> Callable[[TownState], None]:
    def change(state: TownState) -> None:
        getattr(state, array)[0, row][field] = value

    return change


FORGERIES = {
    **{
        f"resident {field} {value}": put(RESIDENTS, field, value)
        for field, value in (
            ("x", -1), ("x", 16), ("x", 2**40), ("y", -1), ("y", 8), ("home", -1), ("home", 5),
            ("home", 10**12), ("district", 1), ("district", -1), ("profile", 4), ("profile", -1),
            ("name", 64), ("name", -1),
            ("name_round", -1), ("mate", 4), ("mate", -2), ("mate", 1), ("mate", 0),
            ("embedding", 64), ("embedding", -1), ("episode_tick", 1440), ("episode_tick", -1),
            ("claim_object", 7), ("claim_object", -2), ("claim_object", -1), ("claim_object", 0),
            ("claim_affordance", 8), ("claim_affordance", -2), ("claim_affordance", -1),
            ("claim_affordance", 0), ("claim_stage", 4), ("claim_stage", -1), ("claim_stage", 0),
            ("claim_stage", 1), ("claim_stage", 2), ("job", 2), ("job", -2), ("job", 1),
            ("shift_state", 7), ("shift_state", -1), ("serial", -1), ("serial", 3), ("serial", 1),
            ("wallet", -1), ("wallet", 5000), ("rent_owed", -1), ("need", 1.5), ("need", -0.1),
            ("need", float("nan")), ("attendance", float("nan")), ("samples", 2.0), ("inventory", 5),
            ("inventory", -1), ("outcomes", -1), ("samples_seen", -1), ("stamps_seen", -1), ("alive", False),
            ("review_since", 3), ("behind", 4), ("behind", -2), ("behind", 0), ("behind", 2),
            ("ties", -1), ("ties", 7), ("ties", 1), ("talk_ready", -1), ("talk_ready", 10**6),
        )
    },
    **{
        f"shower {field} {value}": put(OBJECTS, field, value, row=1)
        for field, value in (
            ("holder", 4), ("holder", -2), ("holder", -1), ("holder", 1), ("holder", 3), ("affordance", 8),
            ("affordance", -2), ("affordance", -1), ("affordance", 0), ("queue_length", 5),
            ("queue_length", -1), ("queue_length", 1), ("queue_length", 3), ("running", False),
            ("remaining", 0), ("remaining", 31), ("remaining", -5), ("alternative", 1), ("alternative", -1),
            ("stock", 1), ("stock", -1), ("first", 4), ("first", -2), ("first", -1), ("first", 0),
            ("first", 2),
        )
    },
    "fridge overfull": put(OBJECTS, "stock", 13),
    "fridge runs for nobody": put(OBJECTS, "running", value=True),
    "fridge held by somebody elsewhere": put(OBJECTS, "holder", 2),
    "dead slot with a wallet": put(RESIDENTS, "wallet", 5, row=3),
    "name of somebody else": lambda state: state.residents[0, :2].__setitem__("name", 5),
    "embedding slot of somebody else": put(RESIDENTS, "embedding", 1),
    "dead slot alive": put(RESIDENTS, "alive", value=True, row=3),
    "dead slot with a tie": lambda state: state.ties[0, 3, 0].__setitem__("trust", 0.5),
    **{
        f"tie {field} {value}": lambda state, field=field, value=value: state.ties[0, 2, 1].__setitem__(
            field, value
        )
        for field, value in (
            ("other", -1), ("other", 4), ("other", 3), ("other", 2), ("other", 1), ("other", 2**40),
            ("trust", 1.1), ("trust", -1.1), ("trust", float("nan")), ("familiarity", 1.1),
            ("familiarity", -1.1), ("rivalry", 1.1), ("rivalry", -0.1), ("rivalry", float("nan")),
            ("changed", -1), ("changed", 364), ("quiet_until", -1), ("quiet_until", 10**6), ("reported", -1),
            ("reported", 8),
        )
    },
}  # fmt: skip


def _set(array: str, index: object, value: object) -> Callable[[TownState], None]:
    def change(state: TownState) -> None:
        getattr(state, array)[index] = value

    return change


def _effects(*rows: tuple[int, ...]) -> Callable[[TownState], None]:
    def change(state: TownState) -> None:
        state.towns[0]["effects"] = len(rows)
        for number, row in enumerate(rows):
            state.effects[0, number] = row

    return change


def _effect(**changes: int) -> Callable[[TownState], None]:
    """An outage until tick 400, but for the changes."""
    row = {"kind": codes.EFFECT_OFF, "who": 0, "key": 0, "scale": 0, "until": 400, "source": 1, **changes}
    return _effects(tuple(row.values()))


def _town(field: str, value: int) -> Callable[[TownState], None]:
    def change(state: TownState) -> None:
        state.towns[0][field] = value

    return change


def _event(**changes: object) -> Callable[[TownState], None]:
    """An outage that is under way, but for the changes."""
    row = {
        "number": 2, "spec": 2, "district": 0, "starts_at": 300, "ends_at": 400, "magnitude": 0, "source": 1,
        "place": -1, "targets": (1, -1, -1, -1), "active": 1, **changes,
    }  # fmt: skip

    def change(state: TownState) -> None:
        state.towns[0]["perturbations"], state.towns[0]["last_event"] = 1, 3
        state.perturbations[0, 0] = tuple(row.values())

    return change


def _invite(**changes: int) -> Callable[[TownState], None]:
    """A meeting to which a resident is invited, but for the changes to the invitation."""
    invitation = {"invite": 2, "invite_place": 1, "invite_until": 400, **changes}

    def change(state: TownState) -> None:
        _event(spec=3, place=1, targets=(0, 1, -1, -1))(state)
        for field, value in invitation.items():
            state.residents[0, 0][field] = value

    return change


def test_events_that_were_forged_well_are_restored():
    """The forger's events are those of a town, but for what each forgery changes."""
    for change in (_event(), _invite(), _event(active=0, starts_at=364)):
        TownWorld(busy().model).restore(forged(change))


FORGERIES |= {
    **{
        f"event {changes}": _event(**changes)
        for changes in (
            {"number": 0}, {"number": 4}, {"spec": 6}, {"spec": -1}, {"district": 1}, {"starts_at": 364},
            {"ends_at": 300}, {"ends_at": 363}, {"magnitude": -1}, {"magnitude": 10_001}, {"source": 2},
            {"place": 9}, {"place": -2}, {"targets": (2, -1, -1, -1)}, {"targets": (-1, 0, -1, -1)},
            {"targets": (-2, -1, -1, -1)}, {"active": 2}, {"active": 0},
        )
    },
    **{
        f"invitation {changes}": _invite(**changes)
        for changes in (
            {"invite": 1}, {"invite": 0}, {"invite_place": 2}, {"invite_until": 399}, {"meet_ready": -1},
        )
    },
    "more events than rows": _town("perturbations", 9),
    "events below zero": _town("perturbations", -1),
    "last event below zero": _town("last_event", -1),
    "row behind the last event": lambda state: state.perturbations["number"].__setitem__((0, 1), 1),
    "rest of a spec below zero": _set("spec_ready", (0, 0, 1), -1),
    "rest of a district below zero": lambda state: state.districts["quiet_until"].__setitem__((0, 0), -1),
    "start in a tick to come": _set("starts", (0, 0, 1), 999),
    "starts out of order": _set("starts", (0, 0, 0), 5),
    "dead slot that cools down": _set("cooldowns", (0, 3, 0), (1, 900)),
    "dead slot with an outcome": lambda state: state.outcomes["tick"].__setitem__((0, 3, 0), 1),
    "embedding slot released and in use": _set("released", (0, 1), 5),
    "embedding slot released and never used": _set("released", (0, 9), 5),
    "embedding slot released in a tick to come": _set("released", (0, 1), 999),
    "more embedding slots than there are": _town("embeddings", 65),
    "embedding slots that nobody owns": _town("embeddings", 4),
    "forced reuses below zero": _town("forced_reuses", -1),
    "cool-down of an object that is none": _set("cooldowns", (0, 0, 0, 0), 99),
    "cool-down since before the town": _set("cooldowns", (0, 0, 0, 1), -1),
    "cool-downs in another order": _set("cooldowns", (0, 0, 1, 1), 9_999),
    "price below zero": lambda state: state.price["normal"].__setitem__((0, 0, 0), -1),
    "price beyond what an edit may say": lambda state: state.price["normal"].__setitem__((0, 0, 0), 10**9),
    "more effects than rows": _town("effects", 99),
    "effects below zero": _town("effects", -1),
    "effect of an unknown kind": _effect(kind=4),
    "empty effect among others": _effect(kind=0),
    "effect on a district that is none": _effect(who=1),
    "effect on a utility that is none": _effect(key=2),
    "scale of a utility": _effect(scale=1),
    "effect that was over before now": _effect(until=363),
    "effect of a source below zero": _effect(source=-1),
    "effects out of order": _effects((codes.EFFECT_OFF, 0, 0, 0, 0, 2), (codes.EFFECT_OFF, 0, 1, 0, 0, 1)),
    "effect that is listed twice": _effects(*[(codes.EFFECT_OFF, 0, 0, 0, 0, 2)] * 2),
    "closure of an object that is none": _effects((codes.EFFECT_CLOSED, 7, 0, 0, 0, 0)),
    "closure with a key": _effects((codes.EFFECT_CLOSED, 6, 1, 0, 0, 0)),
    "price key that is none": _effects((codes.EFFECT_SCALED, 0, 99, 1100, 0, 0)),
    "price scaled beyond the limit": _effects((codes.EFFECT_SCALED, 0, 0, 10_001, 0, 0)),
    "price scaled below zero": _effects((codes.EFFECT_SCALED, 0, 0, -1, 0, 0)),
    "row behind the last effect": _set("effects", (0, 3), (codes.EFFECT_OFF, 0, 0, 0, 0, 0)),
    "money from nowhere": _set("tills", (0, 1), 5),
    "till of a home": _set("tills", (0, 0), 5),
    "population too large": _town("population", 5),
    "population too small": _town("population", 2),
    "population below zero": _town("population", -1),
    "another tick": _town("tick", 99),
    "tick below zero": _town("tick", -1),
    "serials run backwards": _town("next_serial", 2),
    "embeddings below zero": _town("embeddings", -1),
    "reviews nobody waits for": lambda state: state.districts["reviews"].__setitem__((0, 0), 1),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_state_is_refused_before_any_kernel_sees_it(name):
    town = busy()
    before = state_bytes(town.state)
    snapshot = forged(FORGERIES[name], town)
    assert state_bytes(town.state) != before, "this forgery changes nothing"
    if name in ("another tick", "tick below zero"):
        snapshot = replace(snapshot, tick=364)
    message = refused(snapshot, "snapshot_corrupt")
    assert "damaged" in message


def test_an_unforged_state_passes():
    """The forger's tools themselves change nothing that matters."""
    town, heir = busy(), Village()
    heir.world.restore(forged(lambda _state: None, town))
    assert state_bytes(heir.state) == state_bytes(town.state)


@pytest.mark.parametrize(
    "row",
    [
        {"kind": 999},
        {"kind": 0},
        {"kind": 21, "a": 4},
        {"kind": 21, "a": 3},
        {"kind": 21, "a": -1},
        {"kind": 21, "b": 128},
        {"kind": 21, "c": 2},
        {"kind": 21, "agent": 3},
        {"kind": 17, "a": 2},
        {"kind": 17, "reason": 99},
    ],
)
def test_forged_events_of_the_founding_are_refused(row):
    town = Village()
    town.world.reset(1)
    pending = np.zeros(1, EVENT)
    for name, value in row.items():
        pending[0][name] = value
    saved = stored(town.world.snapshot())
    parts = {"world": {**saved.parts["world"], "pending": encode_records(pending)}}
    refused(replace(saved, parts=json.loads(canonical_json(parts))), "snapshot_corrupt")


def test_events_of_the_founding_cannot_be_pending_later():
    saved = stored(busy().world.snapshot())
    pending = np.zeros(1, EVENT)
    pending[0]["kind"] = 17
    parts = {"world": {**saved.parts["world"], "pending": encode_records(pending)}}
    refused(replace(saved, parts=json.loads(canonical_json(parts))), "snapshot_corrupt")


def test_every_state_that_a_town_lives_through_can_be_restored():
    """Crowded: ghosts, queues, uses, reviews, job losses, closures and power cuts, every few ticks."""
    employment = {"review_ticks": 50, "max_absent_shifts": 1}
    town = Village(
        employment=employment, population={"start_wallet": 100_000}, queues={"ghost_step_after": 1}
    )
    heir = TownWorld(town.model)
    rng = np.random.default_rng(3)
    ghosts = queued = reviews = 0
    for tick in range(3000):
        if tick % 97 == 0:
            town.switch("power", on=bool(rng.integers(2)))
            town.teleport(int(rng.integers(3)), int(rng.integers(16)), int(rng.integers(8)))
        allowed = town.engine.arrays.mask[0] * rng.random(town.engine.arrays.mask[0].shape)
        town.step({slot: int(allowed[slot].argmax()) for slot in range(3)})
        ghosts += int((town.state.residents["mate"][0, :3] >= 0).any())
        queued += int(town.state.objects["queue_length"].any())
        reviews += int(town.state.districts["reviews"].any())
        if tick % 7 == 0:
            heir.restore(town.world.snapshot())
            assert state_bytes(heir.engine.state) == state_bytes(town.state)
    assert min(ghosts, queued, reviews) > 0, (ghosts, queued, reviews)


def test_a_snapshot_is_text_and_numbers_and_no_code():
    saved = busy().world.snapshot()
    assert set(saved.parts) == {"world"}
    text = canonical_json(saved.parts)
    assert b"pickle" not in text
    assert {type(value) for value in json.loads(text)["world"].values()} == {dict}
    assert load_town(busy().model, stored(saved), busy().state, busy().engine.journal) is False


def test_a_shift_and_its_record_survive():
    town = Village().stand(0, OFFICE[0]).jump(360)
    town.run(30)
    heir = TownWorld(town.model)
    heir.restore(stored(town.world.snapshot()))
    r = heir.engine.state.residents[0, 0]
    assert (r.first_x, r.paid_ticks, r.on_time_ticks, r.wallet) == (0, 30, 30, 2600)


def test_the_layout_of_saved_arrays_changes_only_with_the_version_of_snapshots():
    """Another array, field or type: raise SCHEMA_VERSION first, then write a new golden file."""
    golden = Path(__file__).parent / "golden" / f"snapshot-{SCHEMA_VERSION}.json"
    saved = Village().world.snapshot().parts["world"]
    layout = {
        f"{name}.{field}" if field else name: [array["dtype"], len(array["shape"])]
        for name, value in saved.items()
        for field, array in (value.items() if "dtype" not in value else [("", value)])
    }
    assert layout == json.loads(golden.read_text(encoding="utf-8"))
