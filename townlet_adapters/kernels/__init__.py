"""Compiled helpers that hold no rules; every family may import them, and they import no family."""

from townlet_adapters.guards import require_plain_numba

require_plain_numba()
