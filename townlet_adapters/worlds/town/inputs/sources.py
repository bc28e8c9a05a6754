"""Finds the map and the manifest that a town's options name, and makes the changes that they ask for."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from townlet_adapters.documents import Document, KeyPath, parse_document, read_document, read_text
from townlet_adapters.validation import validate
from townlet_adapters.worlds.town.codes import MAX_AFFORDANCES
from townlet_adapters.worlds.town.inputs.blame import Places, ShippedPlaces
from townlet_adapters.worlds.town.inputs.manifest import Entry, Manifest, ManifestText, read_manifest
from townlet_adapters.worlds.town.inputs.map_extension import extended_map
from townlet_adapters.worlds.town.inputs.prices import key_of_cost
from townlet_adapters.worlds.town.inputs.shipped import SHIPPED_MANIFESTS, SHIPPED_MAPS, find_file
from townlet_adapters.worlds.town.inputs.texts import (
    AffordanceText,
    ExtendedMapText,
    GridTown,
    MapText,
    TownOptions,
)
from townlet_adapters.worlds.town.inputs.vocabulary import (
    SectionName,
    Vocabulary,
    VocabularyText,
    removal_key,
)
from townlet_core.dto.hook import HookStage
from townlet_core.errors import ConfigError, Problem
from townlet_core.jsonvalue import canonical_json
from townlet_core.suggestions import nearest
from townlet_plugins.access import Access


def stop_on(*problems: Problem) -> None:
    """Raise one ``ConfigError`` with all problems, if there are any."""
    if problems:
        raise ConfigError(*problems)


@dataclass(frozen=True, slots=True)
class FoundMap:
    """The map of a district, as the options name it.

    Attributes:
        text: the map.
        places: builds the problems of its parts.
        rows: districts from north to south.
        cols: districts from west to east.
        stamped: symbol of the map -> number of the stamp that defines it, and the symbol there.
    """

    text: MapText
    places: Places
    rows: int
    cols: int
    stamped: Mapping[str, tuple[int, str]] = field(default_factory=lambda: MappingProxyType({}))


def find_map(options: TownOptions, access: Access) -> FoundMap:
    """Find the district's map and how many rows and columns of it make the town.

    Raises:
        ConfigError: when a file is missing or not a map, or a change of the map does not fit.
    """
    source, rows, cols = options.town, 1, 1
    key: KeyPath = ("town",)
    if isinstance(source, GridTown):
        rows, cols = source.grid.rows, source.grid.cols
        key, source = ("town", "grid", "district"), source.grid.district
    if isinstance(source, MapText):
        return FoundMap(source, Document(None, "", at=key), rows, cols)
    if isinstance(source, ExtendedMapText):
        base, document = read_map(source.extend, access, (*key, "extend"))
        base_places = _places_of_map(base, document, source.extend, options)
        text, places = extended_map(base, base_places, source, key)
        return FoundMap(text, places, rows, cols, places.symbols)
    text, document = read_map(source, access, key)
    return FoundMap(text, _places_of_map(text, document, source, options), rows, cols)


def _places_of_map(text: MapText, document: Document, name: str, options: TownOptions) -> Places:
    """Return what builds the problems of a map file: a shipped one can only not fit the vocabulary."""
    if name not in SHIPPED_MAPS:
        return document

    def culprit(path: KeyPath) -> tuple[KeyPath, str]:
        match path:
            case ("legend", str(symbol), "object"):
                key = removal_key(options.vocabulary, ("object_types", text.legend[symbol].object or ""))
                return key, "draw over every one (town.stamp), or use another map"
            case ("kinds", str(place)):
                key = removal_key(options.vocabulary, ("place_kinds", text.kinds[place]))
                return key, "draw over it (town.stamp, town.remove.kinds), or use another map"
            case ("jobs", *_):
                return key_of_cost(options), ""
        return ("vocabulary",), "use another map"

    return ShippedPlaces(f"the shipped map '{name}'", culprit)


def read_map(name: str, access: Access, key: KeyPath) -> tuple[MapText, Document]:
    """Read a map file that a config names at ``key``.

    Raises:
        ConfigError: when there is no such file, the config may not read it, or it is not a map.
    """
    document = read_document(find_file(name, SHIPPED_MAPS, access, key), quotable=False)
    return validate(document, MapText), document


def find_manifest(
    options: TownOptions,
    access: Access,
    vocabulary: Vocabulary,
    hooks: Mapping[str, frozenset[HookStage]],
) -> Manifest:
    """Read the manifest and mark the enabled affordances.

    Args:
        options: the options of the town.
        access: which files they may name.
        vocabulary: the names that affordances may use.
        hooks: active hooks with the stages that they handle, in the order of the calls.

    Raises:
        ConfigError: when a file is missing, or an affordance is wrong.
    """
    section = options.affordances
    entries, data = extended_entries(options, access)
    if not 1 <= len(entries) <= MAX_AFFORDANCES:
        found = f"{len(entries)} affordances"
        raise ConfigError(Problem("affordances", found, f"allowed: 1 to {MAX_AFFORDANCES}"))
    manifest = read_manifest(entries, vocabulary, checksum_of(options, entries, data), hooks)
    enabled = section.enabled
    if enabled == "all":
        return manifest
    known = [affordance.id for affordance in manifest.affordances]
    stop_on(
        *(
            Problem(f"affordances.enabled[{index}]", f"unknown affordance '{name}'", nearest(name, known))
            for index, name in enumerate(enabled)
            if name not in known
        )
    )
    chosen = tuple(replace(each, enabled=each.id in enabled) for each in manifest.affordances)
    return replace(manifest, affordances=chosen)


def checksum_of(options: TownOptions, entries: Sequence[Entry], data: bytes) -> str:
    """Return SHA-256 in hex of the bytes of a shipped manifest, or of the content of other affordances."""
    section = options.affordances
    if section.add or section.remove or section.extend not in SHIPPED_MANIFESTS:
        # A digest of the content, not the bytes: a snapshot holds the content of a file that may vanish.
        data = canonical_json([entry.text.model_dump(mode="json") for entry in entries])
    return hashlib.sha256(data).hexdigest()


def extended_entries(options: TownOptions, access: Access) -> tuple[list[Entry], bytes]:
    """Return the entries of the manifest with the config's changes, and the bytes of the manifest's file.

    Raises:
        ConfigError: when the file is missing or not a manifest, or a change of it does not fit.
    """
    section = options.affordances
    document, data, texts = Document(None, ""), b"", tuple[AffordanceText, ...]()
    if section.extend is not None:
        path = find_file(section.extend, SHIPPED_MANIFESTS, access, ("affordances", "extend"))
        data = read_text(path)
        document = parse_document(data, str(path), quotable=False)
        texts = validate(document, ManifestText).root
    extended = [
        Entry(text, _places_of_entry(text, document.child((number,)), options))
        for number, text in enumerate(texts)
    ]
    known = [text.id for text in texts]
    stop_on(
        *_problems_of_ids(extended),
        *(
            Problem(f"affordances.remove[{index}]", f"unknown affordance '{name}'", nearest(name, known))
            for index, name in enumerate(section.remove)
            if name not in known
        ),
    )
    added = [
        Entry(text, Document(None, "", at=("affordances", "add", number)))
        for number, text in enumerate(section.add)
    ]
    stop_on(*_problems_of_ids(added))
    by_id = {entry.text.id: entry for entry in extended if entry.text.id not in section.remove}
    by_id |= {entry.text.id: entry for entry in added}
    return list(by_id.values()), data


def _places_of_entry(text: AffordanceText, document: Document, options: TownOptions) -> Places:
    """Return what builds the problems of an affordance: a shipped one can only not fit the vocabulary."""
    if options.affordances.extend not in SHIPPED_MANIFESTS:
        return document

    def culprit(path: KeyPath) -> tuple[KeyPath, str]:
        remedy = f"leave it out (affordances.remove: [{text.id}])"
        match path:
            case ("object_type",):
                return removal_key(options.vocabulary, ("object_types", text.object_type)), remedy
            case ("effects", str(key)) | ("charge", int(), str(key)):
                return _removal_of_effect(options.vocabulary, key), remedy
            case ("each_tick", str(key)):
                return _removal_of_effect(options.vocabulary, key), remedy
            case ("effects",) | ("each_tick",):
                return _removal_of_effect(options.vocabulary, *text.effects, *text.each_tick), ""
            case ("preconditions" | "until" as key, int(number)):
                words = re.findall(r"\w+", getattr(text, key)[number])
                return _removal_of_effect(options.vocabulary, *(f":{word}" for word in words)), remedy
        return ("vocabulary",), remedy

    return ShippedPlaces(f"{text.id} of the shipped manifest '{options.affordances.extend}'", culprit)


def _removal_of_effect(text: VocabularyText, *keys: str) -> KeyPath:
    """Return what takes the first need, item or price of some effects or charges out of the vocabulary."""
    named: list[tuple[SectionName, str]] = []
    for key in keys:
        _, _, word = key.partition(":")
        prices = [price for price in text.remove.prices if price.endswith(f".{word}")]
        named += [("needs", word), ("items", word), *(("prices", price) for price in prices)]
    return removal_key(text, *named)


def _problems_of_ids(entries: list[Entry]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, entry in enumerate(entries):
        name = entry.text.id
        if first.setdefault(name, index) != index:
            found = f"duplicate id '{name}', already used by entry {first[name]}"
            yield entry.places.problem(("id",), found, "give every affordance its own id")
