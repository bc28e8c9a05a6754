"""From a YAML text to a validated run config; whatever is wrong is told with file, line and key."""
