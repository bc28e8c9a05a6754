"""Alerts: numbers of a run that are worth a look, measured from facts, figures and the view.

``settings.py`` has the forms that a measure can have, and there is one module for each: ``count.py``,
``share.py``, ``switches.py``, ``spread.py``, ``fall.py`` and ``figure.py``, which has ``ratio``, too.
``observer.py`` passes the ticks to them and emits the facts. What is measured is data: the world brings it, a
config changes it.
"""
