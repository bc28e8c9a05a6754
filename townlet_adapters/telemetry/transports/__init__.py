"""The ways out of the process; each knows bytes and one destination, and nothing of events."""
