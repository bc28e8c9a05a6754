"""Compiled helpers without rules; every family may import them, they import no family."""
