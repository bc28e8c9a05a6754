"""Decides which plugins are allowed by comparing allowlist and installation, before anything is imported."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from townlet_plugins.allowlist import Allowlist, Permit
from townlet_plugins.integrity import Content, IntegrityError, names_native, read_content
from townlet_plugins.listing import Listing, editable_project

NOT_ALLOWED: Final = "not allowed"

Need: TypeAlias = Literal["content_sha256", "allow_native", "allow_editable"]
"""A key of an entry of the allowlist."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision on one entry point.

    Attributes:
        listing: the entry point.
        permit: the entry of the allowlist for it, or None.
        refusal: why it is refused; empty when it is allowed.
        content: its verified content; None when it is refused or an editable install.
        project: the project folder of an editable install; None for any other install.
        needs: keys that an entry which allows it must have, as far as metadata shows; empty if an entry for
            it exists.
    """

    listing: Listing
    permit: Permit | None
    refusal: str = ""
    content: Content | None = None
    project: Path | None = None
    needs: tuple[Need, ...] = ()

    @property
    def state(self) -> str:
        """The state as ``townlet plugins list`` prints it."""
        if self.listing.broken:
            return f"broken: {self.listing.broken}"
        return f"refused: {self.refusal}" if self.refusal else "allowed"

    @property
    def pinned(self) -> bool:
        """Whether the config names the digest of its content."""
        return self.permit is not None and self.permit.content_sha256 is not None

    @property
    def sha256(self) -> str:
        """The content digest; empty when there is none."""
        return self.content.sha256 if self.content is not None else ""


def judge(listings: Sequence[Listing], allowlist: Allowlist) -> Iterator[Verdict]:
    """Decide on every entry point that is not built in, without importing it."""
    permits: Mapping[tuple[str, str], Permit] = {permit.key: permit for permit in allowlist.permits}
    for listing in listings:
        if listing.builtin:
            continue
        permit = permits.get(listing.key)
        try:
            yield _verdict(listing, permit, require_pins=allowlist.require_pins)
        except IntegrityError as error:
            yield Verdict(listing, permit, str(error))
        except Exception as error:  # noqa: BLE001 - an unreadable package must not stop the others
            yield Verdict(listing, permit, f"it cannot be verified: {type(error).__name__}: {error}")


def _verdict(listing: Listing, permit: Permit | None, *, require_pins: bool) -> Verdict:
    refusal = _refusal(listing, permit, require_pins=require_pins)
    if refusal == NOT_ALLOWED:
        return Verdict(listing, permit, refusal, needs=tuple(_needs(listing, require_pins=require_pins)))
    if refusal or permit is None:
        return Verdict(listing, permit, refusal)
    return _verified(listing, permit)


def _verified(listing: Listing, permit: Permit) -> Verdict:
    """Decide by content."""
    project = editable_project(listing.source) if listing.source is not None else None
    if project is not None:
        return Verdict(listing, permit, _editable_refusal(permit), project=project)
    content = read_content(listing)
    refusal = _content_refusal(content, permit)
    return Verdict(listing, permit, refusal, None if refusal else content)


def _refusal(listing: Listing, permit: Permit | None, *, require_pins: bool) -> str:
    """Decide by metadata alone."""
    if listing.broken:
        return listing.broken
    if permit is None:
        return NOT_ALLOWED
    if permit.version is not None and permit.version != listing.version:
        return f"version {listing.version} is installed, and {permit.version} is allowed"
    if require_pins and permit.content_sha256 is None:
        pin = f"townlet plugins pin {listing.distribution}"
        return f"plugins.require_pins requires its content_sha256; {pin} prints it"
    return ""


def _needs(listing: Listing, *, require_pins: bool) -> Iterator[Need]:
    """Yield the keys that an entry needs, from metadata alone: files that are not allowed are not read."""
    if require_pins:
        yield "content_sha256"
    if listing.source is None:
        return
    if editable_project(listing.source) is not None:
        yield "allow_editable"
    elif names_native(listing.source):
        yield "allow_native"


def _editable_refusal(permit: Permit) -> str:
    if not permit.allow_editable:
        return "it is an editable install; allow it with allow_editable: true"
    if permit.content_sha256 is not None:
        return "it is an editable install, which has no content to compare with content_sha256"
    return ""


def _content_refusal(content: Content, permit: Permit) -> str:
    if permit.content_sha256 is not None and permit.content_sha256 != content.sha256:
        return f"its content has the digest {content.sha256}, and {permit.content_sha256} is pinned"
    if content.native and not permit.allow_native:
        return f"it contains compiled code ({content.native[0]}); allow it with allow_native: true"
    return ""
