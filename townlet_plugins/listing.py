"""Lists the installed plugins from the metadata of distributions, without importing them."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from importlib_metadata import Distribution

from townlet_plugins.allowlist import DISTRIBUTION, ENTRY_POINT, normalised

GROUP: Final = "townlet.plugins"
"""Entry-point group of plugins."""

OWN_DISTRIBUTION: Final = "townlet"
"""The one distribution that needs no entry in the allowlist."""

OWN_PACKAGE: Final = "townlet_adapters"
"""The package of the built-in plugins."""

OWN_ENTRY_POINTS: Final = frozenset(
    {
        ("town", "townlet_adapters.worlds.plugin"),
        ("policies", "townlet_adapters.policies.plugin"),
        ("stages", "townlet_adapters.stages.plugin"),
        ("telemetry", "townlet_adapters.telemetry.plugin"),
    }
)
"""Names and modules of the built-in plugins: other metadata of this name cannot add to them."""

OWN_ROOT: Final = Path(__file__).resolve().parents[1]
"""The folder from which this code was loaded; built-in plugins are loaded from there only."""

UNKNOWN: Final = "unknown"

_NAMES: Final = "ASCII letters and digits, with . _ - after the first"

_TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*(:[^\W\d]\w*(\.[^\W\d]\w*)*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Listing:
    """One entry point, as its distribution's metadata describes it.

    Attributes:
        distribution: normalised name of the distribution.
        version: the distribution's version.
        entry_point: name of the entry point; empty when the distribution's entry points cannot be read.
        target: the ``module`` or ``module:object`` that it names.
        builtin: whether it is a built-in plugin.
        broken: why it cannot be loaded in any case; empty when it can.
        source: the distribution, for verification.
    """

    distribution: str
    version: str
    entry_point: str
    target: str
    builtin: bool = False
    broken: str = ""
    source: Distribution | None = field(default=None, repr=False, compare=False)

    @property
    def key(self) -> tuple[str, str]:
        """What an entry of the allowlist must name to allow it."""
        return self.distribution, self.entry_point


def list_entry_points() -> tuple[Listing, ...]:
    """List every entry point of our group, by distribution and name.

    A distribution whose files cannot be read is listed as broken. So is an entry point that occurs twice,
    since the allowlist could not distinguish them.
    """
    found = [listing for source in _once(Distribution.discover()) for listing in _listings(source)]
    claims = Counter(listing.key for listing in found)
    told = (_alone(listing, claims[listing.key]) for listing in found)
    return tuple(sorted(told, key=lambda row: (row.distribution, row.entry_point, row.version)))


def _alone(listing: Listing, claims: int) -> Listing:
    """Mark an entry point that occurs twice as broken, unless it is built in."""
    if claims == 1 or listing.builtin or listing.broken:
        return listing
    return replace(
        listing, broken="it is on the path twice, and an entry cannot distinguish them; remove one"
    )


def printable(text: str) -> str:
    """Escape text of a third party so that it can neither look like other text nor control a terminal."""
    return ascii(text)[1:-1]


def root_of(source: Distribution) -> Path | None:
    """Return the folder in which a distribution is installed; None when it is in a zip."""
    root = source.locate_file("")
    return root if isinstance(root, Path) else None


def editable_project(source: Distribution) -> Path | None:
    """Return the project folder of an editable install; None for any other install."""
    try:
        origin = json.loads(source.read_text("direct_url.json") or "{}")
        if not origin["dir_info"]["editable"]:
            return None
        address = urlsplit(origin["url"])
        return Path(os.path.realpath(unquote(address.path))) if address.scheme == "file" else None
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError):
        return None


def _once(sources: Iterable[Distribution]) -> Iterator[Distribution]:
    """Leave out what is found again because a folder is on the path twice."""
    seen: set[tuple[str, str]] = set()
    real: dict[str, str] = {}
    for source in sources:
        folder, name = os.path.split(str(source))
        place = (real.setdefault(folder, os.path.realpath(folder)), name)
        if place not in seen:
            seen.add(place)
            yield source


def _listings(source: Distribution) -> Iterator[Listing]:
    """Read one distribution's entry points in our group; any error in doing so is part of the listing."""
    try:
        entries = list(source.entry_points.select(group=GROUP))
    except Exception as error:  # noqa: BLE001 - broken files of one package must not hide the others
        broken = f"its entry points cannot be read: {printable(str(error))}"
        yield Listing(printable(_folder_name(source)), UNKNOWN, "", "", broken=broken)
        return
    if not entries:
        return
    name, version, broken = _identity(source)
    ours = name == OWN_DISTRIBUTION and _is_ours(source)
    for entry in entries:
        builtin = ours and (entry.name, entry.value) in OWN_ENTRY_POINTS
        yield Listing(
            name,
            version,
            printable(entry.name),
            printable(entry.value),
            builtin=builtin,
            broken=broken or _complaint(entry.name, entry.value) or ("" if builtin else _impostor(name)),
            source=source,
        )


def _identity(source: Distribution) -> tuple[str, str, str]:
    """Read name and version, and why they are not valid."""
    try:
        metadata = source.metadata
        name, version = str(metadata.get("Name", "")), str(metadata.get("Version", ""))
    except Exception as error:  # noqa: BLE001 - as above
        return UNKNOWN, UNKNOWN, f"its METADATA cannot be read: {printable(str(error))}"
    shown = printable(version) or UNKNOWN
    if not re.fullmatch(DISTRIBUTION, name):
        return printable(name) or UNKNOWN, shown, f"its name is not valid; allowed: {_NAMES}"
    return normalised(name), shown, "" if version else "its METADATA has no version"


def _complaint(name: str, target: str) -> str:
    """Return why an entry point is not valid; empty when it is."""
    if not re.fullmatch(ENTRY_POINT, name):
        return f"the entry point's name is not valid; allowed: {_NAMES}"
    if not _TARGET.fullmatch(target):
        return "the entry point does not name a module; allowed: package.module or package.module:object"
    return ""


def _is_ours(source: Distribution) -> bool:
    """Return whether a distribution named ``townlet`` is the one to which this code belongs."""
    root = root_of(source)
    return editable_project(source) == OWN_ROOT or (root is not None and root.resolve() == OWN_ROOT)


def _impostor(name: str) -> str:
    return f"the name '{OWN_DISTRIBUTION}' is reserved" if name == OWN_DISTRIBUTION else ""


def _folder_name(source: Distribution) -> str:
    """Return the name of the folder that holds the metadata."""
    return Path(str(source)).name
