"""Adaptive explicit integration between two times, reading samples off the interpolant.

The loop exists once, for the states alone and with their derivatives: steps depend on the states only.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from pkpd._jit import kernel
from pkpd.kernels.dormand_prince import (
    ALL,
    LAST,
    LINE,
    NEW,
    POINT,
    ROWS,
    STABILITY,
    Y,
    combine,
    error_norm,
    interpolant,
    interpolate,
    node,
    shrink,
)
from pkpd.kernels.samples import record
from pkpd.kernels.status import NOT_FINITE, OK, STEP_TOO_SMALL, TOO_MANY_STEPS
from pkpd.kernels.variation import jacobian_at, rate_of_change, variations

# places in ``pace``: which stepper, steps taken so far, whether the explicit method failed (2: it ran out of steps), and per kind
# of beginning the first step that suited last time
MODE, STEPS, RETRIED, FIRST = 0, 1, 2, 3
EXPLICIT, IMPLICIT = 0.0, 1.0
# what began a segment besides the kinds of event
SWITCH, CHANGE, RESUMED, KINDS = 8, 9, 10, 11
# not a failure: the other stepper should go on
CHANGE_STEPPER = -1

_SAFETY = 0.93  # 0.9 and what shrink says too much
_STIFF_STEPS = 15  # limited by stability, before the system counts as stiff (Hairer & Wanner II, IV.2)
_CALM_STEPS = 6
_LOOK = 4  # steps from one look at the largest rate to the next
_LIMITED = 0.7  # of the limit of stability: steps go up and down around it
_MANY_STEPS = 100  # that the explicit method still has before it: below that another method gains nothing


class Work(NamedTuple):
    """Work space of a subject, made once.

    ``y``, ``whole`` (size,) and ``slope`` (1, size) in the layout of :mod:`pkpd.kernels.variation`; of what is held ``k`` (ROWS,
    width or LINE) and ``line`` (ROWS·LINE,), the same memory or (0,) where rows are longer; ``j`` (n, n+P+1+W), ``fastest``
    (2, n), ``pace`` (FIRST + KINDS,); ``reach`` (2,): the length of a step, and the time that no stage goes beyond.
    """

    y: Any
    whole: Any
    slope: Any
    k: Any
    line: Any
    j: Any
    fastest: Any
    pace: Any
    reach: Any


@kernel()
def make_work(size, width, n, columns):
    """Work space for states of ``size``, ``width`` of them held, and a Jacobian of ``columns``."""
    k = np.zeros((ROWS, LINE if width <= LINE else width))
    return Work(
        np.zeros(size), np.zeros(size), np.zeros((1, size)), k, k.reshape(k.size)[: k.size if width <= LINE else 0],
        np.zeros((n, columns)), np.zeros((2, n)), np.zeros(FIRST + KINDS), np.zeros(2),
    )  # fmt: skip


@kernel(allocates=False)
def sample(order, size, forced, n, slots, o, t, output, held, samples, work):
    """Record observation ``o`` from what is held in the row POINT; False if not finite."""
    for c in range(size):
        work.whole[held[c] if forced else c] = work.k[POINT, c]
    return record(order, n, slots, o, t, work.whole, output, samples)


@kernel(allocates=False)
def first_step(n, slots, piece, t, edge, span, y, k, point, p, flow, rates, rtol, atol):
    """First step from the size of the states and of their first two derivatives (Hairer, Nørsett & Wanner I, II.4).

    Row 0 of ``k`` holds the slope; row 1 is overwritten.
    """
    d0, d1 = 0.0, 0.0
    for i in range(n):
        scale = atol + rtol * abs(y[i])
        d0 += (y[i] / scale) ** 2
        d1 += (k[0, i] / scale) ** 2
    if not d1 > 0.0:
        return span
    h = min(max(0.01 * math.sqrt(d0 / d1), 1e-6 * span), span)
    for i in range(n):
        point[i] = y[i] + h * k[0, i]
    rate_of_change(np.int64(1), n, slots, piece, min(t + h, edge), point, p, flow, rates, k)
    d2 = 0.0
    for i in range(n):
        d2 += ((k[1, i] - k[0, i]) / (atol + rtol * abs(y[i]))) ** 2
    largest = max(math.sqrt(d1 / n), math.sqrt(d2 / n) / h)
    if not math.isfinite(largest):
        return h
    return min(100.0 * h, 1.0 / shrink((100.0 * largest) ** 2), span)


@kernel(allocates=False)
def largest_rate(n, j, fastest):
    """How fast the fastest part of a system changes: the spectral radius of ``j``, by two steps of the power method.

    What the last two stages of a step say of it (Hairer & Wanner II, IV.2) is the rate of whatever differs most between
    them, which a fast state that has died away does not. The rows of ``fastest`` are where the method is, and work space.
    """
    product = 1.0
    for row in range(2):
        square = 0.0
        for i in range(n):
            total = 0.0
            for m in range(n):
                total += j[i, m] * fastest[row, m]
            fastest[1 - row, i] = total
            square += total * total
        size = math.sqrt(square)
        if not 0.0 < size < math.inf:
            fastest[0, :] = 1.0
            return 0.0
        for i in range(n):
            fastest[1 - row, i] /= size
        product *= size
    return math.sqrt(product)


@kernel(inline=True, allocates=False)
def _evaluate(
    row, plain, order, size, n, slots, forced, piece, t, x, p, flow, rates, jacobian, hessian, held, j, k,
):  # fmt: skip
    """Fill row ``row`` of ``k`` at ``t`` and ``x``; ``plain``: with nothing but the model's own function."""
    if plain:
        rates(t, x, p, k[row])
    else:
        rate_of_change(row, n, slots, piece, t, x, p, flow, rates, k)
    if order >= 1:
        variations(row, order, size, forced, n, slots, t, x, p, flow, jacobian, hessian, held, j, k)


@kernel(allocates=False)
def _steps(
    rows, size, order, forced, slots, kind, piece, t, stop, p, rates, jacobian, hessian, output, system, flow, samples, done,
    wanted, work,
):  # fmt: skip
    """Make the steps of :func:`explicit` on the rows of ``work.k``; ``rows`` is this or the line."""
    n, held, settings = system.n, system.held, system.settings
    k, j, pace = work.k, work.j, work.pace
    y, new, point = k[Y], k[NEW], k[POINT]
    rtol, atol, most = settings[0], settings[1], settings[2]
    plain = piece < 0 and flow.busy[0] == 0
    # the states alone: a step is one call of generated code
    alone = plain and order < 1 and work.line.shape[0] > 0
    # on the near side of a switch in time at either end
    begin, edge = np.nextafter(t, stop), np.nextafter(stop, t)
    reach = work.reach
    reach[1] = edge
    zero, last = np.int64(0), np.int64(LAST)  # a literal would have every function compiled anew
    _evaluate(
        zero, plain, order, size, n, slots, forced, piece, begin, y, p, flow, rates, jacobian, hessian, held, j, k,
    )  # fmt: skip
    h = pace[FIRST + kind]
    if h <= 0.0:
        h = first_step(n, slots, piece, t, edge, stop - t, y, k, point, p, flow, rates, rtol, atol)
    fresh, rejected, stiff, calm, count = True, False, 0, 0, 0
    for i in range(n):
        work.fastest[0, i] = 1.0
    last_step, last_error = 1.0, 0.0
    while t < stop:
        pace[STEPS] += 1.0
        if pace[STEPS] > most:
            return TOO_MANY_STEPS, done, t
        ends = t + 1.0000001 * h >= stop
        step = stop - t if ends else h
        # an estimate may vanish by chance: it counts for no less than what the last one says of a step of this length
        least = (step / last_step) ** 2
        least *= least
        least *= least
        least = max(least * least * last_error, 1e-20)
        reach[0] = step
        if alone:
            hessian(zero, t, reach, p, work.line)
        else:
            for stage in range(1, LAST):
                combine(size, step, rows, stage)
                _evaluate(
                    stage, plain, order, size, n, slots, forced, piece, min(t + node(stage) * step, edge), point, p, flow,
                    rates, jacobian, hessian, held, j, k,
                )  # fmt: skip
            combine(size, step, rows, last)
        error = error_norm(n, step, rows, rtol, atol)
        if not error <= 1.0:
            rejected = True
            h = 0.1 * step
            if math.isfinite(error):
                h = step * max(0.2, _SAFETY / shrink(error))
            if h < 1e-14 * max(abs(t), abs(stop)):
                return (STEP_TOO_SMALL if math.isfinite(error) else NOT_FINITE), done, t
            continue
        end = stop if ends else t + step
        reads = done < wanted and samples.time[done] < end
        if (reads or not ends) and not alone:
            _evaluate(
                last, plain, order, size, n, slots, forced, piece, min(t + step, edge), new, p, flow, rates, jacobian,
                hessian, held, j, k,
            )  # fmt: skip
        count += 1
        if count >= _LOOK and not ends:
            count = 0
            jacobian_at(n, min(end, edge), new, p, flow, jacobian, j)
            if step * largest_rate(n, j, work.fastest) > _LIMITED * STABILITY:
                stiff, calm = stiff + _LOOK, 0
            else:
                calm += _LOOK
                if calm >= _CALM_STEPS:
                    stiff = 0
        if reads:
            if alone:
                hessian(np.int64(-1), t, reach, p, work.line)
            else:
                for stage in range(LAST + 1, ALL):
                    combine(size, step, rows, stage)
                    _evaluate(
                        stage, plain, order, size, n, slots, forced, piece, min(t + node(stage) * step, edge), point, p,
                        flow, rates, jacobian, hessian, held, j, k,
                    )  # fmt: skip
                interpolant(size, step, rows)
            while done < wanted and samples.time[done] < end:
                interpolate(size, (samples.time[done] - t) / step, rows)
                if not sample(
                    order, size, forced, n, slots, done, samples.time[done], output, held, samples, work
                ):
                    return NOT_FINITE, done, t
                done += 1
        t = end
        for i in range(size):
            y[i] = new[i]
            k[0, i] = k[LAST, i]
        last_step, last_error = step, error
        h = step * min(1.0 if rejected else 6.0, _SAFETY / shrink(max(error, least)))
        if fresh:
            pace[FIRST + kind] = h
        fresh, rejected = False, False
        if stiff >= _STIFF_STEPS and stop - t > _MANY_STEPS * h:
            return CHANGE_STEPPER, done, t
    return OK, done, t


@kernel(allocates=False)
def explicit(
    size, order, forced, slots, kind, piece, t, stop, p, rates, jacobian, hessian, output, system, flow, samples, done, wanted,
    work,
):  # fmt: skip
    """Advance the row Y of ``work.k``, of ``size``, from ``t`` to ``stop``, recording observations before ``stop``.

    ``kind`` is what began the segment; ``piece`` the piece of the inputs where they move within it, else -1. It
    hands over to the implicit method where stability keeps its steps short.

    Returns
    -------
    status, done, t : int, int, float
        A status of :mod:`pkpd.kernels.status` or CHANGE_STEPPER, the observations recorded so far, and how far it came.
    """
    if work.line.shape[0] > 0:
        return _steps(
            work.line, size, order, forced, slots, kind, piece, t, stop, p, rates, jacobian, hessian, output, system, flow,
            samples, done, wanted, work,
        )  # fmt: skip
    return _steps(
        work.k, size, order, forced, slots, kind, piece, t, stop, p, rates, jacobian, hessian, output, system, flow,
        samples, done, wanted, work,
    )  # fmt: skip
