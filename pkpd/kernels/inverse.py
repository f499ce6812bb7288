"""Inverse of a positive definite matrix through its Cholesky factor."""

from __future__ import annotations

import numpy as np

from pkpd._jit import kernel
from pkpd.kernels.dense import cholesky, cholesky_solve


@kernel()
def invert_positive(matrix, lower, inverse):
    """Inverse and lower factor of a positive definite matrix; False where it is not."""
    if not cholesky(matrix, lower):
        return False
    invert_factored(lower, inverse)
    return True


@kernel()
def invert_factored(lower, inverse):
    """Inverse of the matrix whose lower Cholesky factor is ``lower``."""
    n = lower.shape[0]
    unit, column = np.zeros(n), np.zeros(n)
    for a in range(n):
        unit[:] = 0.0
        unit[a] = 1.0
        cholesky_solve(lower, unit, column)
        for b in range(n):
            inverse[b, a] = column[b]
