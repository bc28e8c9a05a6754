"""An unknown key is an error at every level of a config, with the nearest known key."""

import copy
import json
import re
from pathlib import Path

import pytest

from townlet_adapters.config.reference import config_markdown
from townlet_adapters.config.resolve import resolve
from townlet_adapters.config.source import with_overrides
from townlet_adapters.documents import Document, read_document, spell_key
from townlet_adapters.worlds.town.inputs.shipped import shipped_file
from townlet_core.errors import ConfigError
from townlet_plugins.access import Access
from townlet_plugins.catalogue import load_catalogue

CATALOGUE = load_catalogue()
BASE = {"townlet": 1, "seed": 7}
TLS = {"tls": {"ca_file": "ca.pem"}}
SINKS = [
    {"use": "stdout", "stream": {"channels": {"agents": 4}}},
    {
        "use": "file",
        "options": {"on_full": "wait", "path": "e"},
        "transforms": [
            {"use": "validate"},
            {"use": "redact", "fields": ["home"]},
            {"use": "rename_residents", "key_file": "k"},
        ],
    },
    {"use": "tcp", "options": {"on_full": "wait", "endpoint": "localhost:1", **TLS}},
    {"use": "http", "options": {"on_full": "wait", "url": "https://localhost:1/", **TLS}},
]
MAP = read_document(shipped_file("hamlet_24")).value
WORDS = {
    "extend": "town",
    "needs": {"fun": {"decay": 0.001, "option": "have_fun"}},
    "items": {"book": {"carry": 2}},
    "place_kinds": {"library": {"till": True}},
    "object_types": {"shelf": {"stock": {"book": 20}}},
    "profiles": {"bookworm": {"weight": 0.2}},
    "remove": {"prices": []},
}
WORDS_OF_A_FILE = {key: value for key, value in WORDS.items() if key not in ("extend", "remove")}
CHANGED = {
    "extend": "hamlet_24",
    "kinds": {"library": "home"},
    "jobs": {"porter": read_document(shipped_file("hamlet_24")).value["jobs"]["grocer"]},
    "stamp": [{"at": [0, 0], "rows": ["l"], "legend": {"l": {"tile": "floor", "place": "library"}}}],
    "remove": {"jobs": []},
}
MANIFEST = [
    read_document(shipped_file("manifest")).value[0] | {"hooks": {"before": []}, "wakes": {"before_shift": 5}}
]


def with_town(**options):
    """A config with sections of a world that no default fills in."""
    return {**BASE, "world": {"use": "town", "options": options}}


def completed(config, *paths):
    """A config with its defaults filled in, at these top-level keys."""
    shown = resolve(with_overrides(Document(config, "a.yaml"), Access(Path())), CATALOGUE).shown
    return {**config, **{path: json.loads(json.dumps(shown[path])) for path in paths}}


CONFIGS = {
    "defaults": completed(BASE, "world", "policy", "telemetry", "plugins", "observers", "runner"),
    "sinks": completed({**BASE, "telemetry": {"sinks": SINKS}}, "telemetry"),
    "plugins": {**BASE, "plugins": {"allow": [{"distribution": "a-b", "entry_point": "b", "version": "1"}]}},
    "observers": {**BASE, "observers": {"extra": [{"use": "no_such", "options": {}}]}},
    "stages": {**BASE, "stages": [{"use": "no_such", "options": {}}]},
    "timeline": {**BASE, "commands": [{"tick": 1, "name": "teleport", "args": {}}]},
    "random": completed({**BASE, "policy": {"use": "random"}}, "policy"),
    "map": with_town(town=MAP),
    "grid": with_town(town={"grid": {"rows": 1, "cols": 1, "district": MAP}}),
    "vocabulary": with_town(vocabulary=WORDS),
    "changed vocabulary": with_town(vocabulary={"extend": WORDS_OF_A_FILE}),
    "changed map": with_town(town=CHANGED),
    "grid of a changed map": with_town(town={"grid": {"rows": 1, "cols": 1, "district": CHANGED}}),
    "manifest": with_town(affordances={"extend": None, "add": MANIFEST}),
}
# Mappings with keys of the user's choice: jobs, prices, names of residents and the like.
FREE = re.compile(
    r".*\.(jobs|kinds|prices|overrides|legend|places|objects\[\d+\]\.stock|effects|charge\[\d+\]|need_multipliers"
    r"|alerts|canaries|categories|digests|where|priority_where"
    r"|behaviour_biases|decay|weights|needs|items|place_kinds|object_types|profiles|basket|stock)$"
)


def levels(value, path=()):
    """Every mapping of a config with keys that its model fixes."""
    if isinstance(value, dict):
        if value and not FREE.match(spell_key(path)):
            yield path
        for key, item in value.items():
            yield from levels(item, (*path, key))
    elif isinstance(value, list):
        # Items of one list have one model, unless they name it.
        named = [at for at, item in enumerate(value) if isinstance(item, dict) and "use" in item]
        for at in named or range(min(1, len(value))):
            yield from levels(value[at], (*path, at))


LEVELS = [(name, path) for name, config in CONFIGS.items() for path in levels(config)]


@pytest.mark.parametrize(
    ("name", "path"), LEVELS, ids=[f"{name}: {spell_key(path)}" for name, path in LEVELS]
)
def test_an_unknown_key_is_an_error_with_the_nearest_known_one(name, path):
    config = copy.deepcopy(CONFIGS[name])
    place = config
    for step in path:
        place = place[step]
    known = next(iter(place))
    place[f"{known}_"] = None
    with pytest.raises(ConfigError) as caught:
        resolve(with_overrides(Document(config, "a.yaml"), Access(Path())), CATALOGUE)
    found = {problem.key: problem for problem in caught.value.problems}
    problem = found[spell_key((*path, f"{known}_"))]
    assert problem.found == "unknown key"
    assert problem.allowed.startswith(f"did you mean '{known}'? known: ")


def test_every_level_of_the_reference_is_tried():
    keys = {"": set()}
    section = ""
    for line in config_markdown(CATALOGUE).splitlines():
        if line.startswith("## Options of the "):
            kind = line.split()[4]
            section = {
                "world": "world.options",
                "policy": "policy.options",
                "observer": "observers.kpis",
            }.get(kind, "telemetry.sinks[].options")
        elif line.startswith("| `"):
            key = re.match(r"\| `([^`]+)`", line)[1]
            keys.setdefault(section, set()).add(f"{section}.{key}" if section else key)
    documented = {key.rpartition(".")[0] for group in keys.values() for key in group}
    tried = {re.sub(r"\[\d+\]", "[]", spell_key(path)) for _, path in LEVELS}
    # Below <name> are the values of mappings with free keys.
    assert sorted(each for each in documented - tried if "<name>" not in each and not FREE.match(each)) == []
