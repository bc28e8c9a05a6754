"""Residents' days in sentences, from the events of a run alone.

Read ``sentences.py`` first: its table has the sentence of each kind of event. ``chronicle.py`` passes the
events of a run through it, ``diary.py`` makes a day of what the sentences say, ``english.py`` makes words of
ids and numbers.
"""
