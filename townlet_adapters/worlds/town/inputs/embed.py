"""Replaces the file names in a town's options by the content of the files."""

from townlet_adapters.documents import KeyPath
from townlet_adapters.worlds.town.inputs.map_extension import extended_map
from townlet_adapters.worlds.town.inputs.shipped import SHIPPED_MANIFESTS, SHIPPED_MAPS, SHIPPED_VOCABULARIES
from townlet_adapters.worlds.town.inputs.sources import extended_entries, read_map
from townlet_adapters.worlds.town.inputs.texts import (
    ExtendedMapText,
    GridTown,
    MapText,
    TownOptions,
)
from townlet_adapters.worlds.town.inputs.vocabulary import VocabularyText, read_definitions
from townlet_plugins.access import Access


def embed_files(options: TownOptions, access: Access) -> TownOptions:
    """Read vocabulary, map and manifest that the options name; shipped ones keep their names.

    Raises:
        ConfigError: when a file is missing or not valid; keys are the file's, or relative to the options.
    """
    affordances = options.affordances
    if affordances.extend is not None and affordances.extend not in SHIPPED_MANIFESTS:
        entries, _ = extended_entries(options, access)
        whole = {"extend": None, "add": tuple(entry.text for entry in entries), "remove": ()}
        affordances = affordances.model_copy(update=whole)
    town = options.town
    if isinstance(town, GridTown):
        district = _embedded_map(town.grid.district, access, ("town", "grid", "district"))
        town = GridTown(grid=town.grid.model_copy(update={"district": district}))
    else:
        town = _embedded_map(town, access, ("town",))
    vocabulary = _embedded_vocabulary(options.vocabulary, access)
    return options.model_copy(update={"vocabulary": vocabulary, "affordances": affordances, "town": town})


def _embedded_vocabulary(text: VocabularyText, access: Access) -> VocabularyText:
    if not isinstance(text.extend, str) or text.extend in SHIPPED_VOCABULARIES:
        return text
    return text.model_copy(update={"extend": read_definitions(text.extend, access)[0]})


def _embedded_map(
    source: str | MapText | ExtendedMapText, access: Access, key: KeyPath
) -> str | MapText | ExtendedMapText:
    if isinstance(source, MapText):
        return source
    if isinstance(source, str):
        return source if source in SHIPPED_MAPS else read_map(source, access, key)[0]
    if source.extend in SHIPPED_MAPS:
        return source
    base, places = read_map(source.extend, access, (*key, "extend"))
    return extended_map(base, places, source, key)[0]
