"""Observers of every tick: they derive further facts and numbers from outcomes."""
