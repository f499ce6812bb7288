"""Largest log-likelihood of block logistic models for many response vectors at once.

The model is logit P(y=1) = a_k + b x with one intercept per block and one slope: arrow-shaped information, so
a Newton step costs a few sums. One block alone is the two-parameter model, hence separate slopes are this
kernel called per block. The supremum of the likelihood is returned also where no maximum exists (separation):
it is known in closed form there.
"""

from __future__ import annotations

import numpy as np

__all__ = ["maximum_common_slope", "maximum_intercepts", "maximum_separate_slopes"]

# columns per pass: keeps the working set in cache; a constant, so that results never depend on the machine
CHUNK = 128
DECREMENT = 1e-11  # stop when a Newton step can raise the log-likelihood by no more than about this


def maximum_intercepts(y: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Largest log-likelihood of logit P = a_k.

    Parameters
    ----------
    y : ndarray, shape (n, B)
        B response vectors of 0/1, rows sorted by block.
    starts : ndarray of int, shape (K,)
        First row of each block.

    Returns
    -------
    ndarray, shape (B,)
    """
    events = np.add.reduceat(y, starts, axis=0)
    return _binomial(events, np.diff(starts, append=len(y))[:, None]).sum(axis=0)


def maximum_separate_slopes(y: np.ndarray, x: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Largest log-likelihood of logit P = a_k + b_k x; arguments as :func:`maximum_common_slope`."""
    ends = [*starts[1:], len(x)]
    zero = np.zeros(1, dtype=np.int64)
    total = np.zeros(y.shape[1])
    for lo, hi in zip(starts, ends, strict=True):
        total += maximum_common_slope(y[lo:hi], x[lo:hi], zero)
    return total


def maximum_common_slope(y: np.ndarray, x: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Largest log-likelihood of logit P = a_k + b x.

    Parameters
    ----------
    y : ndarray, shape (n, B)
        B response vectors of 0/1, rows sorted by block.
    x : ndarray, shape (n,)
        Regressor.
    starts : ndarray of int, shape (K,)
        First row of each block.

    Returns
    -------
    ndarray, shape (B,)
        The supremum: finite also where the data separate.
    """
    sizes = np.diff(starts, append=len(x))
    mean = np.add.reduceat(x, starts) / sizes
    z = x - np.repeat(mean, sizes)
    spread = np.sqrt(np.mean(z * z))
    if np.all(np.maximum.reduceat(x, starts) == np.minimum.reduceat(x, starts)) or spread == 0:
        return maximum_intercepts(y, starts)
    z = z / spread
    out = np.empty(y.shape[1])
    for lo in range(0, y.shape[1], CHUNK):
        out[lo : lo + CHUNK] = _chunk(np.ascontiguousarray(y[:, lo : lo + CHUNK]), x, z, starts, sizes)
    return out


def _chunk(y, x, z, starts, sizes) -> np.ndarray:
    events = np.add.reduceat(y, starts, axis=0)
    mixed = (events > 0) & (events < sizes[:, None])
    separated, value = _separation(y, x, starts, sizes, mixed)
    todo = np.flatnonzero(~separated)
    if todo.size:
        value[todo] = _newton(y[:, todo], z, starts, sizes, events[:, todo], mixed[:, todo])
    return value


def _separation(y, x, starts, sizes, mixed) -> tuple[np.ndarray, np.ndarray]:
    """Which columns have no maximum in b, and the supremum there.

    A block of equal responses sends its own intercept to infinity and adds 0. The slope goes to +infinity if
    and only if in every mixed block no 0 lies above a 1; what is left of the likelihood are the subjects tied
    at the boundary.
    """
    ones = y > 0
    column = x[:, None]
    low, high = np.where(ones, column, np.inf), np.where(ones, column, -np.inf)
    min1, max1 = np.minimum.reduceat(low, starts, axis=0), np.maximum.reduceat(high, starts, axis=0)
    low, high = np.where(ones, np.inf, column), np.where(ones, -np.inf, column)
    min0, max0 = np.minimum.reduceat(low, starts, axis=0), np.maximum.reduceat(high, starts, axis=0)
    separated = np.zeros(y.shape[1], dtype=bool)
    value = np.zeros(y.shape[1])
    for boundary, other in ((max0, min1), (max1, min0)):
        here = np.all(~mixed | (boundary <= other), axis=0) & ~separated
        if here.any():
            tied = mixed[:, here] & (boundary[:, here] == other[:, here])
            at = (column == np.repeat(boundary[:, here], sizes, axis=0)) & np.repeat(tied, sizes, axis=0)
            count = np.add.reduceat(at.astype(float), starts, axis=0)
            event = np.add.reduceat(at * y[:, here], starts, axis=0)
            value[here] = _binomial(event, count).sum(axis=0)
            separated |= here
    return separated, value


def _newton(y, z, starts, sizes, events, mixed) -> np.ndarray:
    """Newton's method with step-halving; columns leave the working set as they converge."""
    mask = mixed.astype(float)
    column = z[:, None]
    moment = np.einsum("ij,i->j", np.repeat(mask, sizes, axis=0) * y, z)
    a = np.where(mixed, np.log((events + 0.5) / (sizes[:, None] - events + 0.5)), 0.0)
    b = np.zeros(y.shape[1])
    out = np.empty(y.shape[1])
    columns = np.arange(y.shape[1])
    state = _evaluate(a, b, column, sizes, mask, events, moment)
    for iteration in range(200):
        value, prob = state
        weight = prob * (1 - prob)
        masked = np.repeat(mask, sizes, axis=0)
        wz = weight * column
        info_a = np.where(mask > 0, np.add.reduceat(weight, starts, axis=0), 1.0)
        cross = mask * np.add.reduceat(wz, starts, axis=0)
        info_b = np.sum(masked * wz * column, axis=0)
        score_a = mask * (events - np.add.reduceat(prob, starts, axis=0))
        score_b = moment - np.sum(masked * prob * column, axis=0)
        # the floors only matter where fitted probabilities are 0 or 1 to rounding, and the decrement stops us
        # there
        info_a = np.maximum(info_a, 1e-300)
        ratio = cross / info_a
        schur = np.maximum(info_b - np.sum(ratio * cross, axis=0), 1e-300)
        step_b = (score_b - np.sum(ratio * score_a, axis=0)) / schur
        step_a = score_a / info_a - ratio * step_b
        decrement = np.sum(step_a * score_a, axis=0) + step_b * score_b
        done = (decrement <= DECREMENT) | (iteration == 199)
        if done.any():
            out[columns[done]] = value[done]
            keep = ~done
            if not keep.any():
                break
            columns, a, b, mask = columns[keep], a[:, keep], b[keep], mask[:, keep]
            events, moment = events[:, keep], moment[keep]
            step_a, step_b = step_a[:, keep], step_b[keep]
            value = value[keep]
        length = np.ones_like(b)
        for _ in range(40):
            state = _evaluate(a + length * step_a, b + length * step_b, column, sizes, mask, events, moment)
            worse = state[0] < value - 1e-12 * (1 + np.abs(value))
            if not worse.any():
                break
            length = np.where(worse, length / 2, length)
        a, b = a + length * step_a, b + length * step_b
    return out


def _evaluate(a, b, column, sizes, mask, events, moment) -> tuple[np.ndarray, np.ndarray]:
    eta = np.repeat(a, sizes, axis=0) + column * b
    e = np.exp(-np.abs(eta))
    positive = eta >= 0
    softplus = np.where(positive, eta, 0.0) + np.log1p(e)
    value = np.sum(mask * a * events, axis=0) + b * moment
    value = value - np.sum(np.repeat(mask, sizes, axis=0) * softplus, axis=0)
    return value, np.where(positive, 1.0, e) / (1.0 + e)


def _binomial(events: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Largest binomial log-likelihood: s log(s/n) + (n−s) log((n−s)/n), 0 log 0 = 0."""
    other = count - events
    total = np.maximum(count, 1.0)
    return events * np.log(np.maximum(events, 1.0) / total) + other * np.log(np.maximum(other, 1.0) / total)
