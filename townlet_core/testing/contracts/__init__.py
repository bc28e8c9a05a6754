"""The contracts of the ports, as functions that any author can call from a test.

Each takes a callable that builds a fresh part, as often as it needs one, and raises ``ContractError`` with
what is wrong and what was probably forgotten.
"""
