"""Section 2, randomness: a draw is a function of five numbers, modulo 2^64."""

G = 0x9E3779B97F4A7C15
_ALL = 2**64 - 1


def key(stream):
    """The FNV-1a hash of a stream's name."""
    hashed = 0xCBF29CE484222325
    for byte in stream.encode():
        hashed = ((hashed ^ byte) * 0x100000001B3) & _ALL
    return hashed


KEYS = {name: key(name) for name in ("world", "events", "policy", "lifecycle", "social", "names")}


def mix(z):
    """The finaliser."""
    z ^= z >> 30
    z = (z * 0xBF58476D1CE4E5B9) & _ALL
    z ^= z >> 27
    z = (z * 0x94D049BB133111EB) & _ALL
    return z ^ (z >> 31)


def draw(seed, stream, tick, entity, index):
    """H: 64 bits."""
    h = mix((seed + G) & _ALL)
    for x in (KEYS[stream], tick, entity, index):
        h = mix(((h ^ x) + G) & _ALL)
    return h


def unit(seed, stream, tick, entity, index):
    """U: a double in [0, 1)."""
    return (draw(seed, stream, tick, entity, index) >> 11) * 2.0**-53


def integer(low, high, seed, stream, tick, entity, index):  # noqa: PLR0913, PLR0917 - R of the page
    """R: an integer in [low, high]."""
    return low + (((draw(seed, stream, tick, entity, index) >> 32) * (high - low + 1)) >> 32)
