"""Worlds: implementations of the world port."""
