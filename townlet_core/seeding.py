"""Counter-based draws: (seed, stream, tick, entity, index) -> number. Nothing is stored between draws.

Each draw is a pure function of its five numbers, so the order of draws is irrelevant and a new consumer
changes no other draw. Arithmetic is modulo 2**64; numbers are unsigned.
"""

from typing import Final

WORLD: Final = 0x4F59FF5E730C8AF3
EVENTS: Final = 0xDD63D0CEC6BB7D04
POLICY: Final = 0xBFE9E4A0D3AA473F
LIFECYCLE: Final = 0x1E9423FC12F6FD6F
SOCIAL: Final = 0x023986B8399C4F32
NAMES: Final = 0xAFB728FFF268814F

STREAMS: Final = {
    "world": WORLD,
    "events": EVENTS,
    "policy": POLICY,
    "lifecycle": LIFECYCLE,
    "social": SOCIAL,
    "names": NAMES,
}
"""Key of each stream by name; ``stream_key`` computes the numbers."""

SEED_LIMIT: Final = 2**64
"""Seeds are integers in [0, SEED_LIMIT)."""

_MASK: Final = SEED_LIMIT - 1
_GOLDEN: Final = 0x9E3779B97F4A7C15
_FNV_BASIS: Final = 0xCBF29CE484222325
_FNV_PRIME: Final = 0x100000001B3


def stream_key(name: str) -> int:
    """Hash the name of a stream: FNV-1a of its ASCII bytes, 64 bits."""
    return text_key(name)


def text_key(text: str) -> int:
    """Hash a text: FNV-1a of its UTF-8 bytes, 64 bits."""
    key = _FNV_BASIS
    for byte in text.encode():
        key = ((key ^ byte) * _FNV_PRIME) & _MASK
    return key


def mix(z: int) -> int:
    """Mix 64 bits: SplitMix64's finaliser (Steele, Lea and Flood, 2014)."""
    z ^= z >> 30
    z = (z * 0xBF58476D1CE4E5B9) & _MASK
    z ^= z >> 27
    z = (z * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def draw(seed: int, stream: int, tick: int, entity: int, index: int) -> int:
    """Return 64 random bits; ``stream`` is one of the keys above, every argument is in [0, 2**64)."""
    h = mix((seed + _GOLDEN) & _MASK)
    for word in (stream, tick, entity, index):
        h = mix(((h ^ word) + _GOLDEN) & _MASK)
    return h


def unit(seed: int, stream: int, tick: int, entity: int, index: int) -> float:
    """Return a random double in [0, 1), a multiple of 2**-53."""
    return (draw(seed, stream, tick, entity, index) >> 11) * 2.0**-53


def integer(low: int, high: int, seed: int, stream: int, tick: int, entity: int, index: int) -> int:  # noqa: PLR0913, PLR0917 - a draw has five numbers, a range has two
    """Return a random integer in [low, high]; the range holds fewer than 2**31 numbers."""
    return low + (((draw(seed, stream, tick, entity, index) >> 32) * (high - low + 1)) >> 32)
