"""Residents' days in sentences, from the events of a run alone.

Read ``sentences.py`` first: its table has the sentence of each kind of event. ``chronicle.py`` passes the
events of a run through it, ``diary.py`` keeps the notes of a day, ``prose.py`` makes sentences of them, and
``english.py`` makes words of ids and numbers.
"""
