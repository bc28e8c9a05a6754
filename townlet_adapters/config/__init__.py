"""Turns a YAML text into a validated run config; every problem is reported with file, line and key."""
