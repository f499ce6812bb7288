"""Reading a subject's outputs off the states of the stepper."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from pkpd._jit import kernel
from pkpd.kernels.chain import read_output


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
    xp (n, P), xpp (n, P, P), out (1,), d_out (n+P,), d2_out (n+P, n+P) : arrays
        Work space.
    """

    time: Any
    endpoint: Any
    inputs: Any
    f: Any
    f_p: Any
    f_pp: Any
    p: Any
    xp: Any
    xpp: Any
    out: Any
    d_out: Any
    d2_out: Any


@kernel(allocates=False)
def record(order, n, slots, o, t, y, output, samples):
    """Write row ``o`` of the outputs from the flat array ``y`` (see :mod:`pkpd.kernels.variation`); False if not finite."""
    for w in range(samples.inputs.shape[1]):
        samples.p[slots + w] = samples.inputs[o, w]
    if order < 1:  # the way of read_output, without its many arguments
        output(0, samples.endpoint[o], t, y, samples.p, samples.out, samples.d_out, samples.d2_out)
        samples.f[o] = samples.out[0]
        return math.isfinite(samples.f[o])
    for i in range(n):
        for s in range(slots):
            samples.xp[i, s] = y[n + i * slots + s]
    if order >= 2:
        at = n + n * slots
        for i in range(n):
            for s in range(slots):
                for q in range(s + 1):
                    samples.xpp[i, s, q] = y[at]
                    at += 1
    read_output(
        order, n, o, samples.endpoint[o], t, samples.p, y, samples.xp, samples.xpp, output,
        samples.out, samples.d_out, samples.d2_out, samples.f, samples.f_p, samples.f_pp,
    )  # fmt: skip
    return math.isfinite(samples.f[o])
