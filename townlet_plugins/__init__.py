"""The door of Townlet: what may come in, and how it says what it brings."""

from townlet_plugins.hookspecs import hookimpl

__all__ = ["hookimpl"]
