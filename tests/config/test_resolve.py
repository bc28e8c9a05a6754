import json
from dataclasses import replace
from pathlib import Path

import pytest

from townlet_adapters.config.resolve import SinkRequest, allowlist_of, resolve, with_policy
from townlet_adapters.config.source import parse_override, with_overrides
from townlet_adapters.documents import parse_document
from townlet_adapters.worlds.town.inputs.shipped import shipped_file
from townlet_core.dto.stream import ChannelCadences
from townlet_core.errors import ConfigError, PluginError, UnknownNameError
from townlet_core.hook_runner import AffordanceHook
from townlet_plugins.access import Access
from townlet_plugins.allowlist import NOBODY, Allowlist, Permit
from townlet_plugins.catalogue import load_catalogue
from townlet_plugins.listing import Listing, list_entry_points

MINIMAL = "townlet: 1\nseed: 7\nworld: {use: town}\npolicy: {use: scripted}\n"


@pytest.fixture(scope="module")
def catalogue():
    return load_catalogue()


def resolved(catalogue, text=MINIMAL, *overrides, sinks=None, folder=Path()):
    changes = [parse_override(each) for each in overrides]
    return resolve(with_overrides(parse_document(text, "a.yaml"), Access(folder), changes), catalogue, sinks)


def problems(catalogue, text, *overrides) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        resolved(catalogue, text, *overrides)
    return str(caught.value).splitlines()


def test_every_default_is_filled_in(catalogue):
    config = resolved(catalogue)
    assert config.shown["runner"] == {
        "speed": "max",
        "snapshot_every": "day",
        "snapshot_retain": 8,
        "on_failure_snapshot": True,
    }
    assert config.shown["world"]["options"]["observations"]["variant"] == "hybrid"
    assert [sink["use"] for sink in config.shown["telemetry"]["sinks"]] == ["file"]


def test_a_resolved_config_is_a_config_of_the_same_digest(catalogue):
    config = resolved(catalogue, MINIMAL, "observers.kpis.limits.well=0.4", "telemetry.stream.mode=snapshot")
    again = resolved(catalogue, json.dumps(config.shown))
    assert again.config_digest == config.config_digest
    assert again.sim_digest == config.sim_digest


def test_an_empty_list_of_sinks_is_no_sink(catalogue):
    assert resolved(catalogue, MINIMAL, "telemetry.sinks=[]").sinks == ()


@pytest.mark.parametrize(
    "change",
    [
        "name=other",
        "runner.speed=10x",
        "runner.snapshot_every=5",
        "telemetry.sinks=[]",
        "telemetry.stream.mode=snapshot",
    ],
)
def test_names_pace_and_telemetry_leave_the_simulation_the_same(catalogue, change):
    assert resolved(catalogue, MINIMAL, change).sim_digest == resolved(catalogue).sim_digest
    assert resolved(catalogue, MINIMAL, change).config_digest != resolved(catalogue).config_digest


@pytest.mark.parametrize(
    "change",
    [
        "seed=8",
        "world.options.needs.decay.hunger=0.002",
        "policy={use: random}",
        "observers.kpis.limits.well=0.4",
    ],
)
def test_seed_world_policy_and_observers_make_another_simulation(catalogue, change):
    assert resolved(catalogue, MINIMAL, change).sim_digest != resolved(catalogue).sim_digest


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (MINIMAL.replace("seed: 7\n", ""), "a.yaml:1: seed: this key is missing; a whole number from 0"),
        (MINIMAL.replace("seed", "sed"), "a.yaml:2: sed: unknown key; did you mean 'seed'? known: "),
        (
            "rows: ['...']\nkinds: {}",
            "a.yaml:1: not a run config: it has no key of one; a mapping: townlet: 1",
        ),
        ("{}", "a.yaml:1: townlet: this key is missing; 1"),
        (MINIMAL.replace("7", "'7'"), 'a.yaml:2: seed: "7"; a whole number from 0'),
        (MINIMAL.replace("7", "7.0"), "a.yaml:2: seed: 7.0; a whole number from 0"),
        (MINIMAL.replace("7", "-1"), "a.yaml:2: seed: -1; a whole number from 0"),
        (MINIMAL.replace("townlet: 1", "townlet: 2"), "a.yaml:1: townlet: 2; 1"),
        (MINIMAL.replace("{use: town}", "town"), 'a.yaml:3: world: "town"; a mapping'),
        (
            MINIMAL.replace("use: town}", "use: twon}"),
            "a.yaml:3: world.use: unknown world 'twon'; did you mean 'town'?",
        ),
        (
            MINIMAL.replace("use: scripted", "use: torch"),
            "a.yaml:4: policy.use: unknown policy 'torch'; known: ",
        ),
        (MINIMAL + "name: ../x\n", 'a.yaml:5: name: "../x"; text'),
        (MINIMAL + "runner: {speed: 2x}\n", 'a.yaml:5: runner.speed: "2x"; one of "1x", "10x"'),
        (
            MINIMAL + "telemetry:\n  sinks:\n  - use: carrier_pigeon\n",
            "a.yaml:7: telemetry.sinks[0].use: unknown sink 'carrier_pigeon'",
        ),
        (
            MINIMAL + "telemetry: {sinks: [{use: file, options: {pth: x}}]}\n",
            "a.yaml:5: telemetry.sinks[0].options.pth: unknown key; did you mean 'path'?",
        ),
        (
            MINIMAL + "telemetry: {stream: {mode: patches}}\n",
            'a.yaml:5: telemetry.stream.mode: "patches"; one of "off", "snapshot", "diff", "channels"',
        ),
        (
            MINIMAL.replace("{use: town}", "{use: town, options: {queues: {hold_ticks: 0}}}"),
            "a.yaml:3: world.options.queues.hold_ticks: 0; a whole number from 1",
        ),
    ],
)
def test_what_is_wrong_is_told_with_file_line_key_and_what_is_allowed(catalogue, text, told):
    assert any(line.startswith(told) for line in problems(catalogue, text)), problems(catalogue, text)


def test_every_problem_of_a_pass_is_told_at_once(catalogue):
    assert (
        len(
            problems(
                catalogue, "townlet: 1\nsed: 7\nworld: {}\npolicy: {use: scripted}\nrunner: {spede: 1}\n"
            )
        )
        == 4
    )


def test_a_wrong_override_is_blamed_and_not_the_file(catalogue):
    assert problems(catalogue, MINIMAL, "seed=x") == [
        '--set: seed: "x"; a whole number from 0 up to 18446744073709551615'
    ]


def test_a_name_that_nothing_offers_is_an_unknown_name(catalogue):
    with pytest.raises(UnknownNameError):
        resolved(catalogue, MINIMAL, "world.use=moon")


STRANGER = Listing("townlet-bakery", "1.2.0", "bakery", "bakery")
LINE = '- {distribution: townlet-bakery, entry_point: bakery, version: "1.2.0"}'


@pytest.fixture(scope="module")
def with_stranger():
    return load_catalogue(listings=[*list_entry_points(), STRANGER])


@pytest.mark.parametrize(
    "change",
    ["world.use=bakery", "policy.use=bakery", "telemetry.sinks=[{use: bakery}]", "plugins.hooks=[bakery]"],
)
def test_naming_an_installed_plugin_that_is_not_let_in_tells_the_line_that_lets_it_in(with_stranger, change):
    with pytest.raises(PluginError) as caught:
        resolved(with_stranger, MINIMAL, change)
    assert "the plugin 'bakery' of townlet-bakery 1.2.0 is refused: not allowed" in str(caught.value)
    assert f"add below plugins.allow: {LINE}" in str(caught.value)


def test_what_is_wrong_in_several_parts_is_told_at_once_in_the_order_of_the_text(catalogue):
    text = MINIMAL.replace("use: town}", "use: twon}").replace("use: scripted", "use: scriptde")
    text += "telemetry: {sinks: [{use: fiel}, {use: file, options: {path: 3}}]}\n"
    with pytest.raises(ConfigError) as caught:
        resolved(catalogue, text)
    assert [(problem.line, problem.key) for problem in caught.value.problems] == [
        (3, "world.use"),
        (4, "policy.use"),
        (5, "telemetry.sinks[0].use"),
        (5, "telemetry.sinks[1].options.path"),
    ]


def test_a_name_that_nothing_offers_may_be_offered_by_who_is_not_let_in(with_stranger):
    with pytest.raises(UnknownNameError) as caught:
        resolved(with_stranger, MINIMAL, "world.use=moon")
    assert "unknown world 'moon'; " in str(caught.value)
    assert "known: town; a plugin that was not loaded may offer it: the plugin 'bakery'" in str(caught.value)
    assert LINE in str(caught.value)


def test_who_may_come_in_is_read_before_anything_else():
    text = MINIMAL + (
        "plugins:\n"
        "  require_pins: true\n"
        "  allow:\n"
        f"  {LINE}\n"
        "  - {distribution: other, entry_point: o, allow_native: true}\n"
    )
    source = with_overrides(parse_document(text, "a.yaml"), Access(Path()))
    assert allowlist_of(source) == Allowlist(
        (Permit("townlet-bakery", "bakery", "1.2.0"), Permit("other", "o", allow_native=True)),
        require_pins=True,
    )
    assert allowlist_of(with_overrides(parse_document(MINIMAL, "a.yaml"), Access(Path()))) == NOBODY


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("[]", "a.yaml:5: plugins: []; a mapping"),
        ("{alow: []}", "a.yaml:5: plugins.alow: unknown key; did you mean 'allow'?"),
        ("{allow: [bakery]}", 'a.yaml:5: plugins.allow[0]: "bakery"; a mapping'),
        ("{allow: [{entry_point: b}]}", "a.yaml:5: plugins.allow[0].distribution: this key is missing"),
        ("{allow: [{distribution: b}]}", "a.yaml:5: plugins.allow[0].entry_point: this key is missing"),
        (
            "{allow: [{distribution: b, entry_point: b, path: /x.py}]}",
            "a.yaml:5: plugins.allow[0].path: unknown key",
        ),
        (
            "{allow: [{distribution: b, entry_point: b, version: 1.0}]}",
            "a.yaml:5: plugins.allow[0].version: 1.0; text",
        ),
        (
            "{allow: [{distribution: b, entry_point: b, content_sha256: ABC}]}",
            'a.yaml:5: plugins.allow[0].content_sha256: "ABC"; text',
        ),
        (
            "{allow: [{distribution: b\u00e4cker, entry_point: b}]}",
            'a.yaml:5: plugins.allow[0].distribution: "b\u00e4cker"; text',
        ),
        ("{allow: [{distribution: ../b, entry_point: b}]}", "a.yaml:5: plugins.allow[0].distribution: "),
        (
            "{allow: [{distribution: a_b, entry_point: c}, {distribution: A-B, entry_point: c}]}",
            "a.yaml:5: plugins.allow: ",
        ),
        ("{allow: [{distribution: Townlet, entry_point: town}]}", "a.yaml:5: plugins.allow: "),
        ("{hooks: [a, a]}", "a.yaml:5: plugins.hooks: "),
        ("{hooks: [os.system()]}", 'a.yaml:5: plugins.hooks[0]: "os.system()"; text'),
        ("{hook_budget_ms: 0}", "a.yaml:5: plugins.hook_budget_ms: 0; a whole number from 1"),
        ("{require_pins: 1}", "a.yaml:5: plugins.require_pins: 1; true or false"),
    ],
)
def test_what_is_wrong_with_the_plugins_is_told_before_anybody_is_let_in(section, told):
    source = with_overrides(parse_document(f"{MINIMAL}plugins: {section}\n", "a.yaml"), Access(Path()))
    with pytest.raises(ConfigError) as caught:
        allowlist_of(source)
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize(
    "use", ["os.path", "/etc/passwd", "townlet_adapters.worlds.plugin:build_town", "./town"]
)
def test_a_module_or_a_file_is_no_name(catalogue, use):
    with pytest.raises(UnknownNameError):
        resolved(catalogue, MINIMAL, f"world.use={use}")


def test_hooks_make_another_simulation_and_who_may_come_in_does_not(catalogue):
    offering = replace(catalogue, hooks={"bakery": AffordanceHook("bakery", {})})
    config = resolved(offering, MINIMAL, "plugins.hooks=[bakery]")
    assert [hook.name for hook in config.hooks] == ["bakery"]
    assert config.sim_digest != resolved(offering).sim_digest
    assert (
        resolved(offering, MINIMAL, "plugins.require_pins=true").sim_digest == resolved(offering).sim_digest
    )


def test_sinks_of_the_command_line_replace_the_configured_ones(catalogue):
    text = MINIMAL + "telemetry: {sinks: [{use: stdout}]}\n"
    config = resolved(catalogue, text, sinks=[SinkRequest("file", "x.ndjson"), SinkRequest("stdout")])
    assert [sink.part.name for sink in config.sinks] == ["file", "stdout"]
    assert config.sinks[0].part.options["path"] == "x.ndjson"


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (SinkRequest("stdout", "x"), "--sink: telemetry.sinks: stdout=x; stdout alone; it takes no target"),
        (
            SinkRequest("fille"),
            "--sink: telemetry.sinks[0].use: unknown sink 'fille'; did you mean 'file'?",
        ),
    ],
)
def test_a_wrong_sink_of_the_command_line_is_told_as_such(catalogue, request_, told):
    with pytest.raises(ConfigError) as caught:
        resolved(catalogue, sinks=[request_])
    assert str(caught.value).startswith(told)


def test_a_sink_has_the_stream_of_the_run_unless_it_says_otherwise(catalogue):
    text = (
        MINIMAL + "telemetry:\n  stream: {mode: snapshot, every: 9}\n"
        "  sinks: [{use: file}, {use: stdout, stream: {mode: off}}]\n"
    )
    assert [sink.stream.state_every for sink in resolved(catalogue, text).sinks] == [9, 0]


def test_a_sink_is_told_what_the_agents_see_when_its_stream_says_so(catalogue):
    text = MINIMAL + "telemetry:\n  sinks: [{use: file}, {use: stdout, stream: {observations: true}}]\n"
    assert [sink.stream.observations for sink in resolved(catalogue, text).sinks] == [False, True]


def test_the_town_is_shown_on_every_tick_for_diff_and_as_often_as_some_channel_needs(catalogue):
    text = MINIMAL + (
        "telemetry:\n  stream: {mode: diff, every: 9, keyframe_every: 100}\n  sinks: [{use: file},\n"
        "   {use: stdout, stream: {mode: channels, channels: {agents: 6, objects: 4, social: 10}}}]\n"
    )
    diff, channels = (sink.stream for sink in resolved(catalogue, text).sinks)
    assert (diff.mode, diff.keyframe_every, diff.state_every) == ("diff", 100, 1)
    assert channels.channels == ChannelCadences(6, 4, 60, 60, 10)
    assert channels.state_every == 2


def test_another_policy_does_not_inherit_the_options_of_the_configured_one(catalogue):
    source = with_overrides(
        parse_document(
            MINIMAL.replace("{use: scripted}", "{use: scripted, options: {commit_ticks: 9}}"), "a.yaml"
        ),
        Access(Path()),
    )
    assert resolve(with_policy(source, "scripted", "--policy"), catalogue).policy.options["commit_ticks"] == 9
    assert resolve(with_policy(source, "random", "--policy"), catalogue).policy.options == {}


def test_what_the_environment_says_is_in_no_digest_and_no_representation(catalogue, monkeypatch):
    text = MINIMAL + "telemetry: {sinks: [{use: file, options: {path: '${ENV:TOWNLET_TRIAL_PATH}'}}]}\n"
    digests = set()
    for value in ("secret-one", "secret-two"):
        monkeypatch.setenv("TOWNLET_TRIAL_PATH", value)
        config = resolved(catalogue, text)
        assert config.sinks[0].part.options["path"] == value
        assert value not in repr(config)
        assert value not in str(config.shown)
        digests.add(config.config_digest)
    assert len(digests) == 1


def test_files_that_options_name_are_part_of_the_simulation(catalogue, tmp_path):
    text = MINIMAL.replace("{use: town}", "{use: town, options: {town: mine.yaml}}")
    original = shipped_file("hamlet_24").read_text()
    (tmp_path / "mine.yaml").write_text(original)
    first = resolved(catalogue, text, folder=tmp_path)
    assert first.shown["world"]["options"]["town"]["id"] == "hamlet_24"
    (tmp_path / "mine.yaml").write_text(original.replace("agents: 3", "agents: 2"))
    assert resolved(catalogue, text, folder=tmp_path).sim_digest != first.sim_digest


def test_a_file_that_options_name_and_that_is_missing_is_told_at_the_line_of_the_option(catalogue):
    text = MINIMAL.replace("{use: town}", "{use: town, options: {town: gone.yaml}}")
    (told,) = problems(catalogue, text)
    assert told.startswith("a.yaml:3: world.options.town: 'gone.yaml' is neither a shipped name nor a file")


def test_a_config_that_names_no_parts_is_the_scripted_town(catalogue):
    config = resolved(catalogue, "townlet: 1\nseed: 7\n")
    assert (config.world.name, config.policy.name) == ("town", "scripted")


def test_what_a_config_means_changes_only_with_the_version_of_its_format(catalogue):
    """A new key with a default: write the golden file anew. All else: raise the format's number first."""
    config = resolved(catalogue, "townlet: 1\nseed: 7\n")
    golden = Path(__file__).parent / "golden" / f"config-{config.run.townlet}.json"
    assert config.shown == json.loads(golden.read_text(encoding="utf-8"))
