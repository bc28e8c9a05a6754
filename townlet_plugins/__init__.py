"""Plugins: which packages may be loaded, and how they describe what they offer."""

from townlet_plugins.hookspecs import hookimpl

__all__ = ["hookimpl"]
