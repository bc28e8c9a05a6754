"""Transforms of the messages for one sink: pure functions, applied in the order of the config."""
