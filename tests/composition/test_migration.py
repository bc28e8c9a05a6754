"""Snapshots of the version before are migrated, in memory and as files, and what is damaged is refused."""

import base64
import copy
import gzip
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from townlet_adapters.composition.build import open_run
from townlet_adapters.composition.request import Output, RunRequest
from townlet_adapters.config.source import Override
from townlet_adapters.storage.snapshots import digest_of, read_snapshot
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.seam.migration import (
    from_schema_1,
    from_schema_2,
    from_schema_3,
    from_schema_4,
    from_schema_5,
    from_schema_6,
    from_schema_7,
)
from townlet_adapters.worlds.town.seam.snapshot import decode_array, encode_array
from townlet_core.dto.snapshot import SCHEMA_VERSION
from townlet_core.errors import ConfigError, SnapshotError
from townlet_core.jsonvalue import canonical_json
from townlet_plugins.factory import StoredWorld

HAMLET = Path("configs/hamlet.yaml").resolve()
GOLDEN = Path(__file__).resolve().parents[1] / "town" / "golden"
SAVED = {schema: GOLDEN / f"hamlet-500-schema-{schema}.json.gz" for schema in range(1, SCHEMA_VERSION)}
"""The hamlet with seed 7 at tick 500, saved by the last version with each schema."""
OLD = SAVED[1]
LAST_OF_ITS_RULES = {**dict.fromkeys(range(1, 7), 6), 7: 7}
"""The hamlet of schema 7 is another map than those before."""


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "snapshot-500.json.gz"
    shutil.copy(OLD, path)
    return path


def request(resume: Path | None, notices: list[str] | None = None) -> RunRequest:
    """A run of the hamlet without sinks and folder."""
    return RunRequest(
        config=None if resume else HAMLET,
        resume=resume,
        sinks=(),
        output=Output(keep=False),
        notify=(notices if notices is not None else []).append,
    )


def world_after(resume: Path | None, ticks: int, notices: list[str] | None = None) -> bytes:
    with open_run(request(resume, notices)) as run:
        run.loop.run_for(ticks)
        return canonical_json(run.loop.snapshot().parts["world"])


def rewritten(path: Path, change) -> Path:
    """Change a snapshot file, and make its digests fit."""
    document = json.loads(gzip.decompress(path.read_bytes()))
    change(document)
    document["sha256"] = digest_of(document["state"])
    document["sim_digest"] = digest_of(document["simulation"])
    path.write_bytes(gzip.compress(json.dumps(document).encode()))
    return path


@pytest.mark.parametrize("schema", SAVED)
def test_a_run_of_a_version_before_goes_on_and_its_version_makes_no_difference(tmp_path, schema):
    old = shutil.copy(SAVED[schema], tmp_path / "snapshot-500.json.gz")
    assert read_snapshot(old).snapshot.schema_version == schema
    notices: list[str] = []
    assert world_after(old, 300, notices) == world_after(SAVED[LAST_OF_ITS_RULES[schema]], 300)
    (told,) = [notice for notice in notices if "migrated" in notice]
    assert f"migrated from schema {schema} to {SCHEMA_VERSION} in memory" in told
    assert "`townlet snapshot migrate` writes it anew" in told


def test_the_file_is_written_anew_and_the_old_content_kept(old, townlet):
    code, out, err = townlet("snapshot", "migrate", str(old))
    kept = old.with_name("schema-1-500.json.gz")
    assert (code, out, err) == (0, f"{old}: written; the old content is in {kept}\n", "")
    assert kept.read_bytes() == OLD.read_bytes()
    notices: list[str] = []
    assert world_after(old, 10, notices) == world_after(kept, 10)
    assert not any("migrated" in notice for notice in notices)
    code, out, err = townlet("snapshot", "migrate", str(old))
    assert (code, out) == (2, "")
    assert f"{old}: has schema {SCHEMA_VERSION} already" in err


def test_what_is_in_the_way_is_neither_followed_nor_lost(tmp_path, townlet):
    mine, target, kept = (
        tmp_path / name for name in ("mine.gz", "snapshot-500.json.gz", "schema-1-500.json.gz")
    )
    shutil.copy(OLD, mine)
    (tmp_path / "private").write_text("secret")
    target.symlink_to("private")
    code, _, err = townlet("snapshot", "migrate", str(mine))
    assert (code, kept.exists(), target.is_symlink()) == (2, False, True)
    assert f"{target}: cannot be kept: " in err
    target.unlink()
    os.mkfifo(target)
    code, _, err = townlet("snapshot", "migrate", str(mine))
    assert (code, kept.exists()) == (2, False)
    assert "Is a FIFO" in err
    target.unlink()
    target.write_bytes(b"one")
    kept.write_bytes(b"another")
    code, _, err = townlet("snapshot", "migrate", str(mine))
    assert (code, target.read_bytes(), kept.read_bytes()) == (2, b"one", b"another")
    assert err == f"error: {kept}: keeps an older file already; move it away first\n"


def test_a_tick_of_any_size_is_refused_before_a_file_is_named_after_it(old, townlet):
    rewritten(old, lambda document: document.update(tick=10**300))
    code, _, err = townlet("snapshot", "migrate", str(old))
    assert code == 2
    assert "'tick' is not a whole number from 0 to 9223372036854775807" in err


def test_a_snapshot_of_another_name_is_left_as_it_is(tmp_path, townlet):
    mine = tmp_path / "mine.gz"
    shutil.copy(OLD, mine)
    code, out, _ = townlet("snapshot", "migrate", str(mine))
    assert (code, out) == (0, f"{tmp_path / 'snapshot-500.json.gz'}: written\n")
    assert mine.read_bytes() == OLD.read_bytes()


def test_a_migrated_run_accepts_the_config_that_it_had(old):
    before = {
        "time": {"start_tod": 0},
        "population": {"start_spread": 0.0},
        "town": {"": "schema_6/hamlet_24"},
        "vocabulary": {"extend": "schema_6/town"},
        "affordances": {"extend": "schema_6/core"},
        "lifecycle": {"training_mode": True},
        "economy": {"rent_per_day": 1300},
        "features": {"perturbations": False},
    }
    overrides = tuple(
        Override(("world", "options", section, *([key] if key else [])), value, "test")
        for section, values in before.items()
        for key, value in values.items()
    )
    overrides += (Override(("policy", "options", "critical"), 0.15, "test"),)
    with open_run(RunRequest(
        config=HAMLET, resume=old, overrides=overrides, sinks=(), output=Output(keep=False), notify=[].append
    )) as run:  # fmt: skip
        assert run.loop.tick == 500


def test_the_clock_of_a_migrated_town_goes_on(old):
    with open_run(request(old)) as run:
        assert run.loop.spec.clock(run.loop.tick) == (0, 500)


def test_needs_of_before_began_at_one_level():
    migrated = from_schema_4(stored_world(4, population={"start_need": 0.4, "target": 2})).options
    assert migrated["population"] == {"start_need": 0.4, "start_spread": 0.0, "target": 2}
    assert migrated["time"] == {"start_tod": 0}


@pytest.mark.parametrize(
    ("town", "expected"),
    [
        ("town_48", "schema_6/town_48"),
        ({"extend": "hamlet_24", "agents": 4}, {"extend": "schema_6/hamlet_24", "agents": 4}),
        ({"grid": {"district": "town_48", "rows": 2, "cols": 1}},
         {"grid": {"district": "schema_6/town_48", "rows": 2, "cols": 1}}),
        ({"id": "mine"}, {"id": "mine"}),
    ],
)  # fmt: skip
def test_a_town_of_before_keeps_the_map_that_was_shipped_then(town, expected):
    assert from_schema_6(stored_world(6, town=town)).options["town"] == expected


def test_affordances_of_before_have_nothing_in_each_tick_and_their_checksum_says_so():
    nap = {"id": "nap", "object_type": "bed", "duration": 5}
    stored = stored_world(6, affordances={"extend": None, "add": [nap]})
    migrated = from_schema_6(stored)
    options = {"town": "hamlet_24", "affordances": {"extend": None, "add": [nap]}}
    assert migrated.identity["manifest_digest"] == TownModel.build(options).plan.affordances.checksum
    with pytest.raises(SnapshotError, match="damaged affordances"):
        from_schema_6(stored_world(6, affordances={"extend": None, "add": [{"id": 5}]}))


def test_the_shipped_files_of_before_are_not_offered_to_anybody():
    with pytest.raises(ConfigError) as caught:
        TownModel.build({"town": "schema_6/towns_48"})
    assert "schema_6/town_48" not in str(caught.value).partition("neither")[2]


def test_residents_of_before_have_the_potential_of_their_needs():
    migrated = from_schema_7(stored_world(7))
    residents = migrated.part["residents"]
    alive = decode_array("alive", residents["alive"], np.zeros((1, 4), np.bool_))
    needs = decode_array("need", residents["need"], np.zeros((1, 4, 3)))
    potential = decode_array("potential", residents["potential"], np.zeros((1, 4)))
    assert 0 < alive.sum() < 4
    assert potential[alive] == pytest.approx(-0.05 * 0.6 * (1 - needs[alive]).sum(axis=-1))
    assert not potential[~alive].any()


@pytest.mark.parametrize("given", [{}, {"vocabulary": {"extend": "town"}}], ids=["before", "today"])
def test_a_vocabulary_of_before_is_read_by_the_rules_of_today(given):
    migrated = from_schema_7(stored_world(7, **given))
    built = TownModel.build({**migrated.options, "economy": {"balance_check": "off"}})
    assert migrated.identity["vocabulary_digest"] == built.vocabulary.digest


def test_a_vocabulary_that_cannot_be_read_is_damage():
    with pytest.raises(SnapshotError, match="damaged vocabulary"):
        from_schema_7(stored_world(7, vocabulary={"extend": 7}))


def stored_world(schema: int = 1, **options: object) -> StoredWorld:
    document = json.loads(gzip.decompress(SAVED[schema].read_bytes()))
    whole = {**document["simulation"]["world"]["options"], **options}
    return StoredWorld(whole, document["state"]["world"], {})


@pytest.mark.parametrize(("duration", "expected"), [(400, 2), (120, 5)])
def test_the_durations_of_a_town_decide_how_many_objects_cool_down_at_once(duration, expected):
    nap = {"id": "nap", "object_type": "bed", "duration": duration}
    migrated = from_schema_1(stored_world(affordances={"manifest": [nap], "enabled": "all"}))
    assert migrated.part["cooldowns"]["shape"][2] == expected


def test_options_say_the_same_in_the_new_form():
    nap = {"id": "nap", "object_type": "bed", "duration": 5}
    decay = {"hunger": 0.002, "hygiene": 0.0005, "energy": 0.0007}
    weights = {"balanced": 1.0, "industrious": 0.2, "socialite": 0.25, "stoic": 0.15}
    migrated = from_schema_1(
        stored_world(
            affordances={"manifest": [nap], "enabled": "all"},
            needs={"decay": decay},
            personalities={"weights": weights, "overrides": {"Ada": "stoic"}},
        )
    ).options
    assert migrated["affordances"] == {"extend": None, "add": [nap], "enabled": "all"}
    assert migrated["needs"] == {"decay": {"hunger": 0.002}}
    assert migrated["personalities"] == {"weights": {"balanced": 1.0}, "overrides": {"Ada": "stoic"}}
    shipped = from_schema_1(stored_world()).options
    assert shipped["affordances"]["extend"] == "core"
    assert (shipped["needs"], shipped["personalities"]["weights"]) == ({"decay": {}}, {})


@pytest.mark.parametrize(
    "change",
    [
        {"data": "not base64!"},
        {"data": 5},
        {"data": base64.b64encode(b"short").decode()},
        {"data": ""},
        {"dtype": "serial:<i8[]"},
        {"dtype": "serial:<i8[]@100000"},
        {"dtype": "serial:<i8[99999]@0"},
        {"dtype": "a:b,c"},
        {"shape": "wide"},
        {"shape": [-1, 4]},
        {"shape": [1.5]},
        {"shape": [10**9]},
        {"shape": None},
    ],
    ids=str,
)
def test_a_damaged_part_is_refused(old, change):
    path = rewritten(old, lambda document: document["state"]["world"]["residents"].update(change))
    with pytest.raises(SnapshotError) as caught, open_run(request(path)):
        pass
    assert caught.value.code in {"snapshot_corrupt", "snapshot_schema", "snapshot_config"}


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


INVENTED = {
    "an unknown type": {"dtype": "serial:<zz[]@0"},
    "objects": {"dtype": "serial:|O8[]@0"},
    "a type of a terabyte": {"dtype": "serial:|V999999999999[]@0"},
    "texts": {"dtype": "serial:<U8[]@0"},
    "two types": {"dtype": "serial:<i8i8[]@0"},
    "an offset of many digits": {"dtype": f"serial:<i8[]@{'9' * 5000}"},
    "a length of many digits": {"dtype": f"serial:<i8[{'9' * 5000}]@0"},
    "a length beyond arrays": {"dtype": f"serial:<i8[{'9' * 14}]@0"},
    "digits beyond ASCII": {"dtype": "serial:<i8[]@\N{ARABIC-INDIC DIGIT ZERO}"},
    "base64 beyond ASCII": {"data": "\N{LATIN SMALL LETTER E WITH ACUTE}" * 8},
    "the same bytes twice": {"dtype": "x:<i8[]@0,y:<i8[]@0"},
    "overlapping fields": {"dtype": "x:<i8[]@0,y:<i8[]@7"},
    "a field behind the end": {"dtype": "x:<i8[]@0", "shape": [1], "data": base64_of(bytes(7))},
    "a thousand fields": {"dtype": ",".join(f"{'x' * n}:<i8[0]@0" for n in range(1, 1001))},
    "no dimension": {"dtype": "x:|u1[]@0", "shape": [], "data": base64_of(bytes(1))},
    "many dimensions": {"dtype": "x:|u1[]@0", "shape": [1] * 9, "data": base64_of(bytes(1))},
    "an empty array beyond arrays": {"dtype": "x:|u1[]@0", "shape": [0, 10**30], "data": ""},
    "items that are fractions": {"dtype": "stock:<f8[]@0", "shape": [1], "data": base64_of(bytes(8))},
    "items that do not fit": {"dtype": "stock:<i4[]@0", "shape": [1], "data": base64_of(b"\0\0\1\0")},
    "no records": None,
}


@pytest.mark.parametrize("name", INVENTED)
def test_an_invented_layout_is_refused_before_anything_is_made_of_it(name):
    stored, change = stored_world(), INVENTED[name]
    residents = None if change is None else {**stored.part["residents"], **change}
    with pytest.raises(SnapshotError, match=r"world\.residents is damaged") as caught:
        from_schema_1(replace(stored, part={**stored.part, "residents": residents}))
    assert caught.value.code == "snapshot_corrupt"


def test_the_largest_numbers_of_items_are_migrated():
    stored = stored_world()
    most = {"dtype": "stock:<i8[2]@1", "shape": [1, 1], "data": base64_of(b"\0" + b"\xff\x7f" + bytes(14))}
    assert from_schema_1(replace(stored, part={**stored.part, "outcomes": most})).part["outcomes"] == {
        "stock": {"dtype": "<i2", "shape": [1, 1, 2], "data": base64_of(b"\xff\x7f\0\0")}
    }


def waiting(*queue: int, length: int | None = None) -> StoredWorld:
    """The stored town, in which these slots wait for object 2."""
    stored = stored_world()
    slots = np.zeros((1, 8, 4), np.int64)
    slots[0, 2, : len(queue)] = queue
    objects = stored.part["objects"]
    assert "queue_length:<i8[]@96" in objects["dtype"]
    rows = np.frombuffer(base64.b64decode(objects["data"]), np.int64).reshape(8, -1).copy()
    rows[2, 96 // 8] = len(queue) if length is None else length
    changed = {"objects": {**objects, "data": base64_of(rows.tobytes())}, "queue": encode_array(slots)}
    return replace(stored, part={**stored.part, **changed})


def test_a_queue_becomes_a_chain():
    part = from_schema_1(waiting(2, 0, 1)).part
    behind = decode_array("behind", part["residents"]["behind"], np.zeros((1, 4), np.int64))
    first = decode_array("first", part["objects"]["first"], np.zeros((1, 8), np.int64))
    assert behind.tolist() == [[1, -1, 0, 0]]  # the dead slot 3 is all zero
    assert first.tolist() == [[-1, -1, 2, -1, -1, -1, -1, -1]]
    assert "queue" not in part


@pytest.mark.parametrize("queue", [(4,), (-1,), (0, 10**9)])
def test_a_queue_of_slots_that_do_not_exist_is_refused(queue):
    with pytest.raises(SnapshotError, match=r"world\.queue is damaged"):
        from_schema_1(waiting(*queue))


@pytest.mark.parametrize("length", [-1, 5])
def test_a_queue_of_another_length_is_refused(length):
    with pytest.raises(SnapshotError, match=r"world\.objects\.queue_length is damaged"):
        from_schema_1(waiting(0, length=length))


def test_cool_downs_become_a_list_with_the_latest_first():
    stored, until = stored_world(), np.zeros((1, 4, 8), np.int64)
    until[0, 1, [0, 3, 6]] = 510, 555, 530
    part = from_schema_1(replace(stored, part={**stored.part, "cooldown": encode_array(until)})).part
    listed = decode_array("cooldowns", part["cooldowns"], np.zeros((1, 4, 8, 2), np.int64))[0]
    assert listed[1].tolist() == [[3, 555], [6, 530], [0, 510], *[[0, 0]] * 5]
    assert not listed[[0, 2, 3]].any()
    assert "cooldown" not in part


@pytest.mark.parametrize("name", ["queue", "cooldown"])
@pytest.mark.parametrize("change", [None, {"shape": [1, 8]}, {"shape": [2, 8, 4]}, {"shape": [1, 8, -4]}])
def test_an_array_of_another_shape_is_refused(name, change):
    stored = stored_world()
    value = None if change is None else {**stored.part[name], **change}
    with pytest.raises(SnapshotError, match=rf"world\.{name} is damaged"):
        from_schema_1(replace(stored, part={**stored.part, name: value}))


def test_the_accounts_of_a_town_with_hooks_keep_their_flows():
    stored, flows = stored_world(2), np.arange(9)[None]
    part = from_schema_2(replace(stored, part={**stored.part, "flows": encode_array(flows)})).part
    assert decode_array("flows", part["flows"], np.zeros((1, 10), np.int64)).tolist() == [[*range(9), 0]]


@pytest.mark.parametrize(("slots", "expected"), [(None, 64), (4, 4), (5, 5), (3, None), ("all", None)])
def test_a_town_of_before_has_released_no_embedding_slot(slots, expected):
    stored = stored_world(2, embeddings={"max_slots": slots})
    if expected is None:
        with pytest.raises(SnapshotError, match="embedding slots"):
            from_schema_2(stored)
        return
    released = from_schema_2(stored).part["released"]
    assert not decode_array("released", released, np.zeros((1, expected), np.int64)).any()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("towns", None),
        ("residents", {}),
        ("flows", None),
        ("flows", encode_array(np.zeros((1, 11), np.int64))),
        ("flows", encode_array(np.zeros((2, 8), np.int64))),
    ],
)
def test_a_damaged_part_of_schema_2_is_refused(name, value):
    stored = stored_world(2)
    with pytest.raises(SnapshotError, match=rf"world\.{name}(\.serial)? is damaged"):
        from_schema_2(replace(stored, part={**stored.part, name: value}))


def test_what_was_off_or_closed_gets_an_effect_without_an_end():
    stored = stored_world(3)
    districts, objects = stored.part["districts"], stored.part["objects"]
    closed = np.zeros((1, 8), np.bool_)
    closed[0, [2, 5]] = True
    part = from_schema_3(
        replace(
            stored,
            part={
                **stored.part,
                "districts": {**districts, "utility": encode_array(np.array([[[1, 0]]], np.uint8))},
                "objects": {**objects, "closed": encode_array(closed)},
            },
        )
    ).part
    rows = {
        name: decode_array(name, value, np.zeros((1, 26), np.int64))[0, :4].tolist()
        for name, value in part["effects"].items()
    }
    assert rows == {
        "kind": [1, 2, 2, 0], "who": [0, 2, 5, 0], "key": [1, 0, 0, 0],
        "scale": [0] * 4, "until": [0] * 4, "source": [0] * 4,
    }  # fmt: skip
    assert decode_array("effects", part["towns"]["effects"], np.zeros(1, np.int64)).tolist() == [3]
    assert part["price"] == {"normal": stored.part["price"]}
    assert not {"utility", "closed"} & {*part["districts"], *part["objects"]}


@pytest.mark.parametrize("name", ["districts", "objects", "price", "towns"])
@pytest.mark.parametrize("value", [None, {}])
def test_a_damaged_part_of_schema_3_is_refused(name, value):
    stored = stored_world(3)
    if (name, value) == ("towns", {}):
        assert from_schema_3(replace(stored, part={**stored.part, "towns": {}})).part["towns"].keys() == {
            "effects"
        }
        return
    with pytest.raises(SnapshotError, match=rf"world\.{name}(\.\w+)? is (damaged|not an array)"):
        from_schema_3(replace(stored, part={**stored.part, name: value}))


def test_a_town_of_before_has_no_ties_and_keeps_all_that_it_had():
    stored = stored_world(5)
    migrated = from_schema_5(stored)
    for name, value in stored.part.items():
        kept = migrated.part[name]
        assert {field: kept[field] for field in value} == value
    assert migrated.part.keys() - stored.part.keys() == {"ties"}
    assert migrated.part["residents"].keys() - stored.part["residents"].keys() == {"ties", "talk_ready"}
    for added in (migrated.part["residents"]["ties"], migrated.part["residents"]["talk_ready"]):
        assert decode_array("added", added, np.zeros((1, 4), np.int64)).tolist() == [[0] * 4]
    other = decode_array("ties.other", migrated.part["ties"]["other"], np.zeros((1, 4, 6), np.int64))
    assert not other.any()


def test_the_shipped_vocabulary_and_the_layout_are_known_by_what_they_are_now():
    old = read_snapshot(SAVED[5]).snapshot.identity
    assert (old["layout_version"], len(old["vocabulary_digest"])) == ("1", 64)
    migrated = from_schema_5(replace(stored_world(5), identity=dict(old))).identity
    assert migrated["layout_version"] == "2"
    shipped = {"vocabulary": {"extend": "schema_6/town"}, "affordances": {"extend": "schema_6/core"}}
    economy = {"rent_per_day": 1300}
    vocabulary = TownModel.build({**shipped, "town": "schema_6/town_48", "economy": economy}).vocabulary
    assert migrated["vocabulary_digest"] == vocabulary.digest != old["vocabulary_digest"]
    custom = from_schema_5(replace(stored_world(5), identity={**old, "vocabulary_digest": "mine"}))
    assert custom.identity["vocabulary_digest"] == "mine"


@pytest.mark.parametrize("value", [None, {}, {"serial": None}])
def test_a_damaged_part_of_schema_5_is_refused(value):
    stored = stored_world(5)
    with pytest.raises(SnapshotError, match=r"world\.residents(\.serial)? is damaged"):
        from_schema_5(replace(stored, part={**stored.part, "residents": value}))


def test_a_town_of_before_has_no_events_and_keeps_all_that_it_had():
    stored = stored_world(7)
    migrated = from_schema_7(stored)
    assert migrated.options["features"]["perturbations"] is False
    for name, value in stored.part.items():
        kept = migrated.part[name]
        assert {field: kept[field] for field in value if name != "effects"} == (
            value if name != "effects" else {}
        )
    assert migrated.part.keys() - stored.part.keys() >= {"perturbations", "spec_ready", "starts"}
    added = migrated.part["residents"].keys() - stored.part["residents"].keys()
    assert added >= {"invite", "invite_place", "invite_until", "meet_ready", "meets"}
    rows = {array["shape"][1] for array in migrated.part["effects"].values()}
    assert rows == {stored.part["effects"]["kind"]["shape"][1] + 8 * 6}


@pytest.mark.parametrize("name", ["residents", "districts", "objects", "price", "towns", "effects"])
def test_a_damaged_part_of_schema_7_is_refused(name):
    stored = stored_world(7)
    with pytest.raises(SnapshotError, match=rf"world\.{name}(\.\w+)? is (damaged|not an array)"):
        from_schema_7(replace(stored, part={**stored.part, name: None}))


def test_more_effects_than_a_town_of_schema_7_had_room_for_are_refused():
    stored = stored_world(7)
    effects = {name: encode_array(np.zeros((1, 999), np.int64)) for name in stored.part["effects"]}
    with pytest.raises(SnapshotError, match=r"world\.effects\.kind is damaged"):
        from_schema_7(replace(stored, part={**stored.part, "effects": effects}))


def test_what_the_hooks_kept_is_left_as_it_is():
    kept = {"dtype": "mine:theirs", "shape": [], "data": "?"}
    stored = stored_world()
    assert from_schema_1(replace(stored, part={**stored.part, "hooks": kept})).part["hooks"] == kept


def test_a_snapshot_without_a_world_is_refused(old):
    path = rewritten(old, lambda document: document["state"].pop("world"))
    with pytest.raises(SnapshotError) as caught, open_run(request(path)):
        pass
    assert (caught.value.code, "it has no world" in str(caught.value)) == ("snapshot_corrupt", True)


def test_the_part_is_not_changed_in_place():
    stored = stored_world()
    before = copy.deepcopy(stored.part)
    from_schema_1(stored)
    assert stored.part == before


def test_from_a_town_of_before_no_resident_leaves():
    stored = stored_world(7, lifecycle={"collapse": True})
    migrated = from_schema_7(stored)
    assert migrated.options["lifecycle"] == {"training_mode": True}
    for name, value in stored.part.items():
        if name == "effects":  # there is room for more of them
            continue
        kept = migrated.part[name]
        assert {field: kept[field] for field in value} == value
    assert migrated.part.keys() - stored.part.keys() >= {"arrivals"}
    model = TownModel.build(migrated.options)
    assert int(model.tables.params[0].exits) == 0


@pytest.mark.parametrize("name", ["residents", "districts", "towns"])
def test_a_damaged_list_of_schema_7_is_refused(name):
    stored = stored_world(7)
    with pytest.raises(SnapshotError):
        from_schema_7(replace(stored, part={**stored.part, name: None}))
