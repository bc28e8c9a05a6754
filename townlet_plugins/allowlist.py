"""Which plugins are allowed: entries by distribution and entry point, optionally with version and content."""

import json
import re
from dataclasses import dataclass, field
from typing import Final

from townlet_core.bounds import Bounds

DISTRIBUTION: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
"""A distribution's name as packaging defines it: ASCII only, so that no name looks like another."""

ENTRY_POINT: Final = r"^[A-Za-z0-9_][A-Za-z0-9._-]*$"
"""An entry point's name: ASCII only, for the same reason."""

DIGEST: Final = r"^[0-9a-f]{64}$"
"""A SHA-256 in lower-case hex."""

_SEPARATORS = re.compile(r"[-_.]+")


@dataclass(frozen=True, slots=True)
class Permit:
    """One plugin that is allowed."""

    distribution: str = field(metadata=Bounds(pattern=DISTRIBUTION))
    """name of the installed package"""

    entry_point: str = field(metadata=Bounds(pattern=ENTRY_POINT))
    """name of its entry point in the group `townlet.plugins`"""

    version: str | None = field(default=None, metadata=Bounds(min_length=1))
    """the only version that is allowed; null for any"""

    content_sha256: str | None = field(default=None, metadata=Bounds(pattern=DIGEST))
    """digest of the only content that is allowed, as `townlet plugins pin` prints it; null for any"""

    # Compiled modules can load code that no digest covers.
    allow_native: bool = False
    """whether it may contain compiled modules"""

    allow_editable: bool = False
    """whether it may be an editable install, whose content cannot be verified"""

    @property
    def key(self) -> tuple[str, str]:
        """The entry point that is allowed: normalised distribution and entry point."""
        return normalised(self.distribution), self.entry_point

    def as_yaml(self) -> str:
        """Format the entry as a line of YAML for ``plugins.allow``."""
        parts = [f"distribution: {_scalar(self.distribution)}", f"entry_point: {_scalar(self.entry_point)}"]
        if self.version is not None:
            parts.append(f"version: {json.dumps(self.version)}")
        if self.content_sha256 is not None:
            parts.append(f"content_sha256: {json.dumps(self.content_sha256)}")
        flags = {"allow_native": self.allow_native, "allow_editable": self.allow_editable}
        parts += [f"{flag}: true" for flag, is_set in flags.items() if is_set]
        return f"- {{{', '.join(parts)}}}"


@dataclass(frozen=True, slots=True)
class Allowlist:
    """Which plugins are allowed.

    Attributes:
        permits: the entries, in the order of the config; no two for the same entry point.
        require_pins: whether an entry without ``content_sha256`` allows nothing.
    """

    permits: tuple[Permit, ...]
    require_pins: bool


NOBODY: Final = Allowlist((), require_pins=False)
"""Allows the plugins of the distribution ``townlet`` and no other."""


def normalised(name: str) -> str:
    """Return the normalised name of a distribution (PEP 503)."""
    return _SEPARATORS.sub("-", name).lower()


def _scalar(text: str) -> str:
    """Format a name; it is quoted where YAML could read it as something other than text."""
    return text if re.fullmatch(r"[a-z][a-z0-9_-]{3,}", text) and text not in _WORDS else json.dumps(text)


_WORDS: Final = frozenset({"true", "false", "null"})
