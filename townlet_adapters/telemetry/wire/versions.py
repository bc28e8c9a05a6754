"""The versions of TLS, for options and command lines, which need not import ssl."""

from typing import Final, Literal, TypeAlias

TlsVersion: TypeAlias = Literal["1.2", "1.3"]

OLDEST_TLS: Final[TlsVersion] = "1.3"
"""The oldest version that is accepted, unless the operator accepts an older one."""
