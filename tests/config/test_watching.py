"""A config changes what its world brings to the observers of the core, key by key or entry by entry."""

import pytest

from townlet_adapters.composition import load_config
from townlet_adapters.config.watching import watching_of
from townlet_adapters.documents import Document
from townlet_core.errors import ConfigError

COUNT = {"count": [{"kind": "fake.start"}]}
BROUGHT = {
    "stability": {"alerts": {"one": {"window": 10, "above": 2, **COUNT}, "two": {"switches": "mood"}}},
    "narration": {
        "cooldown": 12,
        "categories": {"sips": {"triggers": [{"kind": "fake.start", "lines": ["x"]}]}},
    },
}


def merged(section: str, given: dict, brought: dict = BROUGHT):
    return getattr(watching_of(Document({section: given}, "town.yaml"), brought), section)


def test_without_a_word_of_the_config_everything_is_as_the_world_brings_it():
    alerts = merged("stability", {}).active
    assert (list(alerts), alerts["one"].window, alerts["one"].above) == (["one", "two"], 10, 2)
    assert merged("narration", {}).cooldown == 12


def test_single_keys_of_an_entry_change_and_null_leaves_it_out():
    alerts = merged("stability", {"alerts": {"one": {"above": 5}, "two": None}}).active
    assert (list(alerts), alerts["one"].window, alerts["one"].above) == (["one"], 10, 5)
    assert len(alerts["one"].count) == 1
    assert merged("narration", {"categories": {"sips": {"cooldown": 7}}}).told["sips"].cooldown == 7


def test_an_entry_with_a_form_of_its_own_replaces_the_one_that_the_world_brings():
    alerts = merged("stability", {"alerts": {"one": {"figure": "letters"}}}).active
    assert (alerts["one"].figure, alerts["one"].count, alerts["one"].window) == ("letters", (), 0)


def test_nothing_is_watched_when_it_is_not_enabled():
    assert merged("stability", {"enabled": False}).active == {}
    assert merged("narration", {"enabled": False}).told == {}
    shown = watching_of(Document({"stability": {"enabled": False}}, "x"), BROUGHT).shown()
    assert shown["stability"] == {"enabled": False, "alerts": {}}
    assert watching_of(Document(shown, "x"), BROUGHT).shown() == shown


def test_what_is_shown_gives_the_same_again_on_top_of_what_the_world_brings():
    given = {"alerts": {"one": {"figure": "letters"}, "two": None, "three": {"above": 1, **COUNT}}}
    first = watching_of(Document({"stability": given}, "x"), BROUGHT)
    shown = first.shown()
    assert shown["stability"]["alerts"]["two"] is None
    assert watching_of(Document(shown, "x"), BROUGHT) == first
    assert watching_of(Document(shown, "x"), {}).shown() == shown


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"alerts": {"x": {"windw": 3, **COUNT}}}, "stability.alerts.x.windw: unknown key; did you mean"),
        ({"alerts": {"x": {"window": -1, **COUNT}}}, "stability.alerts.x.window: -1; a whole number from 0"),
        ({"alerts": {"x": {}}}, "give exactly one of count"),
        ({"alerts": {"X y": COUNT}}, "'X y' must have lower-case letters"),
    ],
)
def test_a_mistake_is_an_error_with_its_place(given, place):
    with pytest.raises(ConfigError) as raised:
        merged("stability", given)
    assert place in str(raised.value)


def test_the_place_of_a_name_that_the_town_does_not_have_is_in_the_file(tmp_path, townlet):
    file = tmp_path / "town.yaml"
    file.write_text(
        "townlet: 1\nseed: 7\nworld: {use: town}\nobservers:\n  stability:\n    alerts:\n"
        "      lonely: {above: 0, low: [{of: needs.company, at_most: 0.1, ticks: 5}]}\n"
    )
    code, out, _ = townlet("config", "check", str(file))
    assert code == 2
    assert f"{file}:7: observers.stability.alerts.lonely.low[0].of: unknown value 'needs.company'" in out
    assert "needs.energy" in out


def test_the_towns_own_alerts_follow_its_options():
    def backlog(cap: int):
        options = {"employment": {"daily_loss_cap": cap}}
        config = {"townlet": 1, "seed": 7, "world": {"use": "town", "options": options}}
        return load_config(config).watching.stability.active["employment_exit_backlog"].above

    assert [backlog(cap) for cap in (2, 5, 0)] == [2, 5, None]


def test_a_town_without_a_need_has_no_alert_about_it():
    options = {"vocabulary": {"extend": "town", "remove": {"needs": ["hunger"]}}}
    config = {"townlet": 1, "seed": 7, "world": {"use": "town", "options": options}}
    alerts = load_config(config).watching.stability.active
    assert alerts["starvation_spike"].low == ()
    assert [each.kind for each in alerts["starvation_spike"].count] == ["lifecycle.exit"]
