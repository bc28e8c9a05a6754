"""The contracts of the ports, as functions that any author can call from a test.

Each takes a callable that builds a fresh part whenever it is called, and raises ``ContractError`` with the
mistake and its probable cause.
"""
