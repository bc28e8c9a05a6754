"""Worlds: what can stand behind the world port."""
