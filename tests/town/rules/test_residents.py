"""How residents come into being (domain.md, sections 5 and 10.4)."""

from collections import Counter, deque

import numpy as np
import pytest

from tests.town.towns import Town
from tests.town.village import Village, found, of
from tests.town.words import PROFILES
from townlet_adapters.worlds.town.events.lifecycle import LifecycleArrive
from townlet_adapters.worlds.town.inputs.resident_names import load_names
from townlet_core import seeding
from townlet_core.errors import ConfigError

NAMES = load_names()
WEIGHTS = {"balanced": 0.40, "industrious": 0.20, "socialite": 0.25, "stoic": 0.15}
HALL = ["E" + 29 * "."] + [8 * "r" + "h" + 21 * "r"] * 5


def arrivals(options: dict[str, object], seed: int) -> list[LifecycleArrive]:
    return of(LifecycleArrive, found(options, seed=seed)[1])


def expected_names(seed: int, residents: int) -> list[str]:
    """Draw a name, go on to the first free one, begin a new round when all are taken."""
    names: list[str] = []
    for serial in range(residents):
        first = seeding.integer(0, 63, seed, seeding.NAMES, 0, serial, 0)
        ring = [NAMES[(first + step) % 64] for step in range(64)]
        rounds = [ring, *([f"{name}-{k}" for name in ring] for k in (2, 3))]
        names.append(next(name for circle in rounds for name in circle if name not in names))
    return names


def expected_profiles(seed: int, residents: int) -> list[str]:
    chosen: list[str] = []
    for serial in range(residents):
        deficit = [max(0.0, WEIGHTS[name] * (serial + 1) - chosen.count(name)) for name in sorted(WEIGHTS)]
        goal = seeding.unit(seed, seeding.LIFECYCLE, 0, serial, 0) * sum(deficit)
        reached = np.cumsum(deficit)
        chosen.append(sorted(WEIGHTS)[int(np.argmax(reached > goal))])
    return chosen


def test_the_names_are_the_sixty_four_of_the_rules():
    assert len(NAMES) == len(set(NAMES)) == 64
    assert (NAMES[0], NAMES[31], NAMES[63]) == ("Ada", "Jude", "Zeno")
    assert list(NAMES) == sorted(NAMES)


@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1])
def test_names_go_round_from_a_draw_to_the_first_free_one_then_get_a_suffix(seed):
    told = arrivals({"population": {"target": 140}, "town": "town_48"}, seed)
    assert [event.name for event in told] == expected_names(seed, 140)
    assert sum(event.name.endswith("-2") for event in told) == 64
    assert sum(event.name.endswith("-3") for event in told) == 12


@pytest.mark.parametrize("seed", range(6))
def test_profiles_are_drawn_among_those_that_fall_short_of_their_weight(seed):
    told = arrivals({"population": {"target": 60}}, seed)
    assert [event.profile for event in told] == expected_profiles(seed, 60)
    counts = Counter(event.profile for event in told)
    assert all(abs(counts[name] - 60 * weight) <= 2 for name, weight in WEIGHTS.items()), counts


def test_weights_are_relative_to_each_other():
    doubled = {name: 2 * weight for name, weight in WEIGHTS.items()}
    weights = {"personalities": {"weights": doubled}, "population": {"target": 30}}
    assert [event.profile for event in arrivals(weights, 3)] == expected_profiles(3, 30)


def test_a_profile_of_weight_zero_is_nobodys():
    only = dict.fromkeys(PROFILES, 0.0) | {"stoic": 1.0}
    told = arrivals({"personalities": {"weights": only}}, 3)
    assert {event.profile for event in told} == {"stoic"}


def test_a_name_may_call_for_a_profile_and_the_others_make_up_for_it():
    name = expected_names(5, 1)[0]
    told = arrivals({"personalities": {"overrides": {name: "stoic"}}}, 5)
    assert (told[0].name, told[0].profile) == (name, "stoic")
    assert Counter(event.profile for event in told)["stoic"] <= 2


def test_a_name_with_a_suffix_may_call_for_a_profile_of_its_own():
    names = expected_names(5, 70)
    second = next(name for name in names if name.endswith("-2"))
    first = second.removesuffix("-2")
    overrides = {first: "stoic", second: "socialite"}
    told = arrivals({"population": {"target": 70}, "personalities": {"overrides": overrides}}, 5)
    assert {event.name: event.profile for event in told if event.name in overrides} == overrides


def nearest_free(town: Town, home: tuple[int, int], taken: set[tuple[int, int]]) -> tuple[int, int]:
    """Nearest free tile by (path, y, x)."""
    passable = town.model.tables.passable
    steps, frontier = {home: 0}, deque([home])
    while frontier:
        x, y = frontier.popleft()
        for nx, ny in ((x, y - 1), (x, y + 1), (x + 1, y), (x - 1, y)):
            inside = 0 <= nx < passable.shape[1] and 0 <= ny < passable.shape[0]
            if inside and passable[ny, nx] and (nx, ny) not in steps:
                steps[nx, ny] = steps[x, y] + 1
                frontier.append((nx, ny))
    return min(
        (spot for spot in steps if spot not in taken), key=lambda spot: (steps[spot], spot[1], spot[0])
    )


def test_residents_take_home_tiles_in_turn_and_stand_as_near_as_there_is_room():
    town = Town(HALL, population={"target": 23})
    homes = [(home.x, home.y) for home in town.model.plan.home_tiles]
    assert homes == [(8, y) for y in range(1, 6)]
    taken: set[tuple[int, int]] = set()
    for k in range(23):
        home = homes[k % 5]
        assert town.resident(k).home == k % 5
        expected = nearest_free(town, home, taken)
        assert town.at(k) == expected
        taken.add(expected)


def test_the_default_town_gives_every_resident_a_home_tile_of_its_own():
    world, told = found()
    homes = [(home.x, home.y) for home in world._model.plan.home_tiles]
    assert [event.position for event in of(LifecycleArrive, told)] == homes


def test_more_residents_than_tiles_are_refused():
    with pytest.raises(ConfigError, match=r"population.target: 5; allowed: at most 4"):
        Town(["Ehr.", "####"], population={"target": 5})
    town = Town(["Ehr.", "####"], population={"target": 4})
    assert sorted(town.at(slot) for slot in range(4)) == [(x, 0) for x in range(4)]


def test_a_newborn_has_nothing_but_what_the_config_gives():
    town = Village(population={"start_wallet": 5, "start_need": 0.25})
    r = town.resident(2)
    assert r.need.tolist() == [0.25] * 3 + [0.0] * 5
    assert (r.wallet, r.inventory.any().item(), r.attendance, r.rent_owed, r.episode_tick) == (
        5,
        False,
        1.0,
        0,
        0,
    )
    assert (r.claim_object, r.claim_stage, r.blocked, r.last_action, r.stamps_seen) == (-1, 0, 0, -1, 0)
    assert (bool(r.ghost), r.mate, bool(r.ctx_reset), r.serial, r.birth) == (False, -1, True, 2, 0)


def test_the_needs_of_newborns_are_drawn_around_a_level():
    population = {"start_need": 0.8, "start_spread": 0.5}
    town = Village(seed=9, population=population)
    drawn = [
        [seeding.unit(9, seeding.LIFECYCLE, 0, serial, 16 + need) for need in range(3)] for serial in range(3)
    ]
    shares = [(2 * hunger - 1, 2 * hygiene - 1, energy) for hunger, hygiene, energy in drawn]
    expected = [[min(1.0, max(0.0, 0.8 + each * 0.5)) for each in row] for row in shares]
    assert [town.resident(slot).need[:3].tolist() for slot in range(3)] == expected
    assert len({each for row in expected for each in row}) > 5


def test_serials_and_embedding_slots_count_up_and_dead_slots_are_zero():
    town = Village()
    living = town.state.residents[0, :3]
    assert living["serial"].tolist() == living["embedding"].tolist() == [0, 1, 2]
    assert town.state.residents.shape == (1, 4)
    assert not town.state.residents[0, 3:].tobytes().strip(b"\0")


def test_an_arrival_tells_everything_about_the_newborn():
    world, told = found({"town": "hamlet_24"})
    event = of(LifecycleArrive, told)[1]
    home = world._model.plan.home_tiles[1]
    assert event == LifecycleArrive(
        agent_id="a00001", serial=1, slot=1, name=expected_names(1, 2)[1], district=0,
        position=(home.x, home.y), profile=expected_profiles(1, 2)[1], job_id="grocer", wallet=2000,
        reason="start",
    )  # fmt: skip


def test_residents_of_a_large_town_belong_to_the_district_of_their_home_and_work_there():
    grid = {"grid": {"district": "hamlet_24", "rows": 1, "cols": 2}}
    told = arrivals({"town": grid}, 1)
    assert [event.district for event in told] == [0, 0, 0, 1, 1, 1]
    assert [event.job_id for event in told] == ["grocer@r0c0"] * 3 + ["grocer@r0c1"] * 3


def test_another_seed_is_another_town_and_the_same_seed_the_same():
    first, again, other = (arrivals({}, seed) for seed in (7, 7, 8))
    assert first == again
    assert [event.name for event in first] != [event.name for event in other]
