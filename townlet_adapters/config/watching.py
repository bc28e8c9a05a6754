"""The sections of the observers of the core: what a world brings, and what a config changes in it."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from townlet_adapters.documents import Document
from townlet_adapters.validation import Section, validate
from townlet_core.jsonvalue import JsonObject, JsonValue
from townlet_core.observers.narration.settings import NarrationSettings
from townlet_core.observers.promotion.settings import PromotionSettings
from townlet_core.observers.stability.settings import Alert, StabilitySettings

_WHOLE: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "alerts": ("count", "low", "share", "switches", "spread", "fall", "figure", "ratio"),
        "canaries": ("value",),
        "categories": ("triggers",),
        "digests": ("parts",),
    }
)
"""Keys of named entries that say all about an entry: with one of them it replaces the entry of the world; any
other entry changes single keys of it."""


class Watching(Section):
    """What the observers of the core watch."""

    stability: StabilitySettings = StabilitySettings()
    """which numbers are measured, and from which value on they cause an alert"""

    promotion: PromotionSettings = PromotionSettings()
    """when what runs in the town may be promoted"""

    narration: NarrationSettings = NarrationSettings()
    """what is narrated in sentences, and how often"""

    def shown(self) -> dict[str, JsonValue]:
        """Return the sections with every default filled in.

        What an entry leaves out is left out, and so are the entries of a section that is not enabled.
        """
        return {name: _pruned(section) for name, section in self.model_dump(mode="json").items()}

    @property
    def alerts(self) -> Mapping[str, Alert]:
        """What is measured, by name."""
        return self.stability.active


SECTIONS: Final = tuple(Watching.model_fields)
"""The names of the sections."""


def watching_of(document: Document, brought: JsonObject) -> Watching:
    """Validate the sections of a config, on top of those that its world brings.

    Args:
        document: the config's section ``observers``.
        brought: the sections of the world.

    Raises:
        ConfigError: with every problem.
    """
    given = document.value if isinstance(document.value, Mapping) else {}
    merged = {name: _merged(brought.get(name), given.get(name), (name,)) for name in SECTIONS}
    return validate(replace(document, value=merged), Watching)


def _merged(brought: JsonValue, given: JsonValue, path: tuple[str, ...]) -> JsonValue:
    """Put what a config gives on top of what a world brings, down to the keys of named entries."""
    if given is None and len(path) == 1:
        return brought if brought is not None else {}
    if not isinstance(brought, Mapping) or not isinstance(given, Mapping):
        return given
    entry = len(path) == len(("section", "entries", "name"))
    if entry and any(key in given for key in _WHOLE.get(path[1], ())):
        return given
    merged = dict(brought)
    for key, value in given.items():
        merged[key] = value if entry or key not in brought else _merged(brought[key], value, (*path, key))
    return merged


def _pruned(section: JsonValue) -> JsonValue:
    """Leave out what the named entries of a section do not say."""
    if not isinstance(section, Mapping):
        return section
    enabled = section.get("enabled") is True
    return {
        key: {name: _without_nothing(entry) for name, entry in value.items() if enabled}
        if key in _WHOLE and isinstance(value, Mapping)
        else value
        for key, value in section.items()
    }


def _without_nothing(value: JsonValue) -> JsonValue:
    if isinstance(value, Mapping):
        return {
            key: _without_nothing(item) for key, item in value.items() if item not in (None, "", [], {}, ())
        }
    if isinstance(value, list | tuple):
        return [_without_nothing(item) for item in value]
    return value
