"""Random numbers by counting: Philox4x32-10, keyed by what the number is for.

Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11 (2011), section 3.3. A draw is a function of
(seed, purpose, subject, replicate, lane, place) and of nothing else, so that it is the same at any number of threads, and a
subject's draws do not depend on how many other subjects there are.
"""

from __future__ import annotations

import math

import numpy as np

from pkpd._jit import kernel

# What numbers are drawn for; one stream each.
SWEEP_NORMAL, SWEEP_UNIFORM, IMPORTANCE_NORMAL, IMPORTANCE_UNIFORM, DRAWS_NORMAL, DRAWS_UNIFORM = (
    1,
    2,
    3,
    4,
    5,
    6,
)

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_MULTIPLIER_0, _MULTIPLIER_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL_0, _WEYL_1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_SHIFT_26, _SHIFT_6, _SHIFT_16 = np.uint64(26), np.uint64(6), np.uint64(16)
_SPACING = 2.0**-52


@kernel(allocates=False)
def philox(c0, c1, c2, c3, k0, k1):
    """Ten rounds on a counter of four words and a key of two; all are uint64 that hold 32 bits, and so is the result."""
    for _ in range(10):
        p0, p1 = _MULTIPLIER_0 * c0, _MULTIPLIER_1 * c2
        c0, c1, c2, c3 = (p1 >> _HALF) ^ c1 ^ k0, p1 & _LOW, (p0 >> _HALF) ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + _WEYL_0) & _LOW, (k1 + _WEYL_1) & _LOW
    return c0, c1, c2, c3


@kernel(allocates=False)
def _uniform(high, low):
    """A number strictly between 0 and 1 of 52 random bits."""
    bits = ((high << _SHIFT_26) | (low >> _SHIFT_6)) >> np.uint64(6)
    return (float(bits) + 0.5) * _SPACING


@kernel(allocates=False)
def fill_uniforms(seed, purpose, subject, replicate, lane, out):
    """Uniform numbers on (0, 1), independent for different arguments.

    Parameters
    ----------
    seed : int
        64 bits count.
    purpose, lane : int
        Below 2^16; subject and replicate below 2^32.
    out : (n,) array
        Filled; a longer ``out`` begins with the same numbers.
    """
    key = np.uint64(seed)
    k0, k1 = key & _LOW, key >> _HALF
    c1, c2 = np.uint64(subject) & _LOW, np.uint64(replicate) & _LOW
    c3 = np.uint64(purpose) | (np.uint64(lane) << _SHIFT_16)
    n = out.shape[0]
    for block in range((n + 1) // 2):
        a, b, c, d = philox(np.uint64(block), c1, c2, c3, k0, k1)
        out[2 * block] = _uniform(a, b)
        if 2 * block + 1 < n:
            out[2 * block + 1] = _uniform(c, d)


@kernel(allocates=False)
def fill_normals(seed, purpose, subject, replicate, lane, out):
    """Standard normal numbers, as :func:`fill_uniforms`, by Box and Muller's transform (Ann Math Stat 1958;29:610-611)."""
    key = np.uint64(seed)
    k0, k1 = key & _LOW, key >> _HALF
    c1, c2 = np.uint64(subject) & _LOW, np.uint64(replicate) & _LOW
    c3 = np.uint64(purpose) | (np.uint64(lane) << _SHIFT_16)
    n = out.shape[0]
    for block in range((n + 1) // 2):
        a, b, c, d = philox(np.uint64(block), c1, c2, c3, k0, k1)
        radius, angle = math.sqrt(-2.0 * math.log(_uniform(a, b))), 2.0 * math.pi * _uniform(c, d)
        out[2 * block] = radius * math.cos(angle)
        if 2 * block + 1 < n:
            out[2 * block + 1] = radius * math.sin(angle)
