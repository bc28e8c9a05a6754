"""A Townlet sink that keeps a run's events and frames in one SQLite file."""
