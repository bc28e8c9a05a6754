"""Replaces the file names in a town's options by the content of the files."""

from townlet_adapters.documents import KeyPath, read_document
from townlet_adapters.validation import validate
from townlet_adapters.worlds.town.affordances import ManifestText
from townlet_adapters.worlds.town.map_extension import extended_map
from townlet_adapters.worlds.town.options import (
    AffordancesOptions,
    AffordanceText,
    ExtendedMapText,
    GridTown,
    MapText,
    TownOptions,
)
from townlet_adapters.worlds.town.shipped import SHIPPED_MANIFESTS, SHIPPED_MAPS, find_file
from townlet_adapters.worlds.town.sources import read_map
from townlet_plugins.access import Access


def embed_files(options: TownOptions, access: Access) -> TownOptions:
    """Read the map and the manifest that the options name; shipped ones keep their names.

    Raises:
        ConfigError: when a file is missing or not valid; keys are the file's, or relative to the options.
    """
    affordances = options.affordances
    if affordances.extend is not None and affordances.extend not in SHIPPED_MANIFESTS:
        key: KeyPath = ("affordances", "extend")
        document = read_document(
            find_file(affordances.extend, SHIPPED_MANIFESTS, access, key), quotable=False
        )
        texts = validate(document, ManifestText).root
        affordances = affordances.model_copy(update=_whole_manifest(texts, affordances))
    town = options.town
    if isinstance(town, GridTown):
        district = _embedded_map(town.grid.district, access, ("town", "grid", "district"))
        town = GridTown(grid=town.grid.model_copy(update={"district": district}))
    else:
        town = _embedded_map(town, access, ("town",))
    return options.model_copy(update={"affordances": affordances, "town": town})


def _whole_manifest(
    texts: tuple[AffordanceText, ...], section: AffordancesOptions
) -> dict[str, tuple[AffordanceText, ...] | tuple[str, ...] | None]:
    """Return the keys of a section that starts empty and adds everything that this one has in the end."""
    by_id = {text.id: text for text in texts if text.id not in section.remove}
    by_id |= {text.id: text for text in section.add}
    return {"extend": None, "add": tuple(by_id.values()), "remove": ()}


def _embedded_map(
    source: str | MapText | ExtendedMapText, access: Access, key: KeyPath
) -> str | MapText | ExtendedMapText:
    if isinstance(source, MapText):
        return source
    if isinstance(source, str):
        return source if source in SHIPPED_MAPS else read_map(source, access, key)[0]
    if source.extend in SHIPPED_MAPS:
        return source
    base, _ = read_map(source.extend, access, (*key, "extend"))
    return extended_map(base, source, key)[0]
