"""Observers that the town brings: they watch every tick and keep its key figures."""
