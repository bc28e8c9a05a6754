"""Watchers of every tick: they turn what happened into further facts and into numbers."""
