"""Counter-based draws in compiled form (domain.md, section 2); ``townlet_core.seeding`` has them in Python.

All arithmetic is modulo 2**64. A draw is a pure function of (seed, stream, tick, entity, index). There is no
generator, so an additional consumer changes no other draw.
"""

import numpy as np

from townlet_adapters.kernels.compiler import inlined

WORLD = np.uint64(0x4F59FF5E730C8AF3)
EVENTS = np.uint64(0xDD63D0CEC6BB7D04)
POLICY = np.uint64(0xBFE9E4A0D3AA473F)
LIFECYCLE = np.uint64(0x1E9423FC12F6FD6F)
SOCIAL = np.uint64(0x023986B8399C4F32)
NAMES = np.uint64(0xAFB728FFF268814F)

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11, _S32 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11), np.uint64(32)
_UNIT = 2.0**-53


@inlined
def mix(z):
    """SplitMix64's finaliser (Steele, Lea and Flood, 2014)."""
    z = z ^ (z >> _S30)
    z = z * _FIRST
    z = z ^ (z >> _S27)
    z = z * _SECOND
    return z ^ (z >> _S31)


@inlined
def draw(seed, stream, tick, entity, index):
    """H: 64 bits for one use. ``seed`` and ``stream`` are uint64, the rest non-negative integers."""
    h = mix(seed + _GOLDEN)
    h = mix((h ^ stream) + _GOLDEN)
    h = mix((h ^ np.uint64(tick)) + _GOLDEN)
    h = mix((h ^ np.uint64(entity)) + _GOLDEN)
    return mix((h ^ np.uint64(index)) + _GOLDEN)


@inlined
def unit(seed, stream, tick, entity, index):
    """U: a double in [0, 1)."""
    return np.float64(draw(seed, stream, tick, entity, index) >> _S11) * _UNIT


@inlined
def integer(low, high, seed, stream, tick, entity, index):
    """R: an integer in [low, high]; the range is below 2**31."""
    span = np.uint64(high - low + 1)
    return low + np.int64(((draw(seed, stream, tick, entity, index) >> _S32) * span) >> _S32)
