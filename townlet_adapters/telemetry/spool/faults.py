"""What the disk refuses, in the terms of delivery."""

import errno

from townlet_core.ports.transport import TransportError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def is_full(error: OSError) -> bool:
    """Return whether the disk has no room."""
    return error.errno in _FULL


def refused(error: OSError) -> TransportError:
    """Return the fault that ends a call, with the verdict ``retry``."""
    code = "no_space" if is_full(error) else "io_error"
    return TransportError(code, f"the outbox cannot be used: {error}")
