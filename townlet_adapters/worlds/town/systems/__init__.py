"""The rules of the town, one module per rule; ``tick.py`` defines their order."""
