"""The rules of the town, one module a rule; ``tick.py`` says in which order they run."""
