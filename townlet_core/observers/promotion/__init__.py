"""Promotion: whether a run has been calm for long enough to promote what runs in it.

``ladder.py`` is the state machine, ``canaries.py`` says when a rollback is advised, and ``observer.py``
connects both with the facts of the observer ``stability``.
"""
