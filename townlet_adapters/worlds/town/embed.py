"""Replaces the file names in a town's options by the content of the files."""

from townlet_adapters.documents import KeyPath, read_document
from townlet_adapters.validation import validate
from townlet_adapters.worlds.town.affordances import ManifestText
from townlet_adapters.worlds.town.options import GridTown, MapText, TownOptions
from townlet_adapters.worlds.town.shipped import SHIPPED_MANIFESTS, SHIPPED_MAPS, find_file
from townlet_plugins.access import Access


def embed_files(options: TownOptions, access: Access) -> TownOptions:
    """Read the map and the manifest that the options name; shipped ones keep their names.

    Raises:
        ConfigError: when a file is missing or not valid; keys are the file's, or relative to the options.
    """
    affordances = options.affordances
    if isinstance(affordances.manifest, str) and affordances.manifest not in SHIPPED_MANIFESTS:
        key: KeyPath = ("affordances", "manifest")
        document = read_document(
            find_file(affordances.manifest, SHIPPED_MANIFESTS, access, key), quotable=False
        )
        texts = validate(document, ManifestText).root
        affordances = affordances.model_copy(update={"manifest": texts})
    town = options.town
    if isinstance(town, GridTown):
        district = _embedded_map(town.grid.district, access, ("town", "grid", "district"))
        town = GridTown(grid=town.grid.model_copy(update={"district": district}))
    else:
        town = _embedded_map(town, access, ("town",))
    return options.model_copy(update={"affordances": affordances, "town": town})


def _embedded_map(source: str | MapText, access: Access, key: KeyPath) -> str | MapText:
    if isinstance(source, MapText) or source in SHIPPED_MAPS:
        return source
    return validate(read_document(find_file(source, SHIPPED_MAPS, access, key), quotable=False), MapText)
