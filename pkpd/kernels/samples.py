"""Reading a subject's outputs, and their derivatives by the chain rule, off the states of the stepper."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from pkpd._jit import kernel


class Samples(NamedTuple):
    """Where outputs are wanted, where they go, and what reading them needs.

    Attributes
    ----------
    time, endpoint : (O,) arrays
    inputs : (O, W) array
        Time-varying inputs at the records.
    f (O,), f_p (O, P), f_pp (O, P, P) : arrays
        What is filled.
    p : (P+W,) array
        Slots, then the inputs of the record that is read.
    out (1,), d_out (n+P,), d2_out (n+P, n+P) : arrays
        Work space.
    """

    time: Any
    endpoint: Any
    inputs: Any
    f: Any
    f_p: Any
    f_pp: Any
    p: Any
    out: Any
    d_out: Any
    d2_out: Any


@kernel(allocates=False)
def record(order, n, slots, o, t, y, output, samples):
    """Write row ``o`` of the outputs from the flat array ``y`` (see :mod:`pkpd.kernels.variation`); False if not finite."""
    for w in range(samples.inputs.shape[1]):
        samples.p[slots + w] = samples.inputs[o, w]
    output(order, samples.endpoint[o], t, y, samples.p, samples.out, samples.d_out, samples.d2_out)
    samples.f[o] = samples.out[0]
    if order >= 1:
        _first(n, slots, o, y, samples.d_out, samples.f_p)
    if order >= 2:
        _second(n, slots, o, y, samples.d_out, samples.d2_out, samples.f_pp)
    return math.isfinite(samples.f[o])


@kernel(allocates=False)
def _first(n, slots, o, y, dg, f_p):
    for a in range(slots):
        f_p[o, a] = dg[n + a]
    for i in range(n):
        if dg[i] != 0.0:
            for a in range(slots):
                f_p[o, a] += dg[i] * y[n + i * slots + a]


@kernel(allocates=False)
def _second(n, slots, o, y, dg, d2g, f_pp):
    """Most second derivatives of an output are zero: the others add to the lower triangle, one at a time."""
    at = n + n * slots
    for a in range(slots):
        for b in range(a + 1):
            f_pp[o, a, b] = d2g[n + a, n + b]
    for i in range(n):
        xi = n + i * slots
        if dg[i] != 0.0:
            pair = at + i * (slots * (slots + 1) // 2)
            for a in range(slots):
                for b in range(a + 1):
                    f_pp[o, a, b] += dg[i] * y[pair]
                    pair += 1
        for s in range(slots):
            second = d2g[i, n + s]
            if second != 0.0:
                for a in range(s, slots):
                    f_pp[o, a, s] += second * y[xi + a]
                for b in range(s + 1):
                    f_pp[o, s, b] += second * y[xi + b]
        for m in range(n):
            second, xm = d2g[i, m], n + m * slots
            if second != 0.0:
                for a in range(slots):
                    for b in range(a + 1):
                        f_pp[o, a, b] += second * y[xi + a] * y[xm + b]
    for a in range(slots):
        for b in range(a):
            f_pp[o, b, a] = f_pp[o, a, b]
