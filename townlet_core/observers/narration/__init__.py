"""Narration: some of what happens, in sentences for people who watch, at a pace that they can follow.

``settings.py`` says which facts become sentences and in which words, ``template.py`` fills the words in,
``pace.py`` keeps the limits, ``digest.py`` sums up a longer time, and ``observer.py`` puts them together.
Which facts and which words is data: the world brings it, a config changes it.
"""
