"""The kinds of events that a run of Townlet without other plugins may emit."""

from typing import Final

from townlet_plugins.catalogue import load_catalogue

BUILT_IN: Final = load_catalogue().events
