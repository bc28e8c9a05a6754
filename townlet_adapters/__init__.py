"""The outside: the town, policies, telemetry, config and the ways in."""
