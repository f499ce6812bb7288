"""Adaptive implicit integration for stiff systems: collocation at the five Radau points, of order 9, stable at infinity.

Hairer & Wanner, Solving Ordinary Differential Equations II, 2nd ed., IV.5 and IV.8; Hairer & Wanner, J. Comput. Appl. Math.
1999;111:93-111 (more stages). The stages solve A⁻¹z = h·f(y + z). What they solve can be differentiated: the derivatives of the
stages, of any order, are solutions of linear systems with one matrix, A⁻¹ - h·diag(J), and so are those of the numerical
solution itself, exactly, with the derivatives of the right-hand side that the explicit method uses. (A Rosenbrock method has the
Jacobian in its formula: its derivatives need one order more than a model supplies.) Samples are read off the
collocation polynomial, of order 5, which is also the order of the error estimate: the tolerance holds between steps as well.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from pkpd._jit import kernel
from pkpd.kernels.dense import factorise, substitute, substitute_columns
from pkpd.kernels.ode_step import CHANGE_STEPPER, FIRST, RESUMED, STEPS, first_step
from pkpd.kernels.samples import record
from pkpd.kernels.status import NOT_FINITE, OK, STEP_TOO_SMALL, TOO_MANY_STEPS
from pkpd.kernels.variation import (
    first_variation,
    jacobian_at,
    rate_of_change,
    second_variation,
    set_inputs,
)

S = 5
# nodes, the inverse of the Runge-Kutta matrix, 1/(its real eigenvalue), and the error in terms of the stages
C = np.array([0.05710419611451768, 0.2768430136381238, 0.5835904323689168, 0.8602401356562195, 1.0])
INVERSE = np.array(
    [
        [
            8.755923977938362,
            2.8919426153801173,
            -0.8751863962002651,
            0.3997052079399655,
            -0.13370616384921583,
        ],
        [-7.161380720145387, 1.8060777240836443, 2.3637971760686085, -0.8659007802831346, 0.2743380777751942],
        [4.122165246243374, -4.4960171258133945, 0.8567652453971776, 2.5183209492110645, -0.6570627571343601],
        [-3.8786632197240105, 3.3931519180649543, -5.188340906407187, 0.5812330525808164, 2.809983655279712],
        [8.41242422359429, -6.970256116656661, 8.777114204150473, -18.2192823110881, 13.0],
    ]
)
GAMMA = 0.15906584442746913
E = np.array(
    [-4.418997716796381, 0.57923485225667, -0.199237560953468, 0.09416748369194548, -0.03181316888549383]
)

_MOST_ITERATIONS = 12
# a step of the explicit method costs a tenth of one here and may be about 6 over the largest rate: it gets its turn after so many
# steps that it could have taken in two, or where it needs so few to the end
_CALM_STEPS, _CALM, _FEW = 3, 12.0, 300.0


class Stages(NamedTuple):
    """Work space: a matrix of all stages, one that damps the error estimate, the stages' increments and their derivatives.

    ``m`` (5n, 5n), ``pivots``, ``b`` (5n,); ``filter_m`` (n, n), ``filter_pivots``, ``e`` (n,); ``z`` (5, size), those of
    the states one step ``before`` (5, n); ``w`` (5,); right-hand sides ``first`` (5n, P) and ``second`` (5n, P(P+1)/2).
    """

    m: Any
    pivots: Any
    b: Any
    filter_m: Any
    filter_pivots: Any
    e: Any
    z: Any
    before: Any
    w: Any
    first: Any
    second: Any


@kernel(allocates=False)
def weights(s, w):
    """Fill ``w`` (5,): the collocation polynomial at fraction ``s`` of the step is y + Σ w·z (Lagrange's basis, 0 at 0)."""
    for i in range(S):
        product = s / C[i]
        for m in range(S):
            if m != i:
                product *= (s - C[m]) / (C[i] - C[m])
        w[i] = product


@kernel(allocates=False)
def _stage_matrix(n, h, stage, j, m):
    """Put the block row of ``stage`` of A⁻¹ - h·diag(J) into ``m``."""
    for a in range(n):
        row = stage * n + a
        for other in range(S):
            for b in range(n):
                m[row, other * n + b] = INVERSE[stage, other] if a == b else 0.0
        for b in range(n):
            m[row, stage * n + b] -= h * j[a, b]


@kernel(allocates=False)
def _stage_derivatives(
    order, forced, n, slots, piece, t, h, edge, p, flow, jacobian, hessian, table, y, point, j, values, k, z, m, pivots,
    first, second,
):  # fmt: skip
    """Fill the derivatives' part of ``z`` from its states' part; False where the matrix is singular."""
    for stage in range(S):
        now = min(t + C[stage] * h, edge)
        if piece >= 0:
            set_inputs(slots, piece, now, p, flow)
        for i in range(n):
            point[i] = y[i] + z[stage, i]
        jacobian_at(n, now, point, p, flow, jacobian, j)
        _stage_matrix(n, h, stage, j, m)
        first_variation(stage, n, slots, forced, y, flow, j, k)
        for i in range(n):
            for s in range(slots):
                first[stage * n + i, s] = h * k[stage, n + i * slots + s]
    if not factorise(m, pivots):
        return False
    substitute_columns(m, pivots, first)
    for stage in range(S):
        for i in range(n):
            for s in range(slots):
                z[stage, n + i * slots + s] = first[stage * n + i, s]
    if order < 2:
        return True
    pairs, base = slots * (slots + 1) // 2, n + n * slots
    for stage in range(S):
        now = min(t + C[stage] * h, edge)
        if piece >= 0:
            set_inputs(slots, piece, now, p, flow)
        for i in range(base):
            point[i] = y[i] + z[stage, i]
        for i in range(base, y.shape[0]):
            point[i] = y[i]
        jacobian_at(n, now, point, p, flow, jacobian, j)
        second_variation(stage, n, slots, now, point, p, flow, hessian, table, j, values, k)
        for i in range(n):
            for c in range(pairs):
                second[stage * n + i, c] = h * k[stage, base + i * pairs + c]
    substitute_columns(m, pivots, second)
    for stage in range(S):
        for i in range(n):
            for c in range(pairs):
                z[stage, base + i * pairs + c] = second[stage * n + i, c]
    return True


@kernel(allocates=False)
def _integrate(
    order, forced, slots, piece, t, stop, p, rates, jacobian, hessian, output, system, flow, samples, done, wanted, work,
    may_change, stages,
):  # fmt: skip
    n, table, settings = system.n, system.table, system.settings
    y, new, point, k, j, values, pace = work.y, work.new, work.point, work.k, work.j, work.values, work.pace
    rtol, atol, most = settings[0], settings[1], settings[2]
    size = y.shape[0]
    # the row of ``k`` behind the stages holds the slope at the beginning
    zero, start = np.int64(0), np.int64(S)  # a literal would have every function compiled anew
    m, pivots, b, filter_m, filter_pivots, e, z, before, w, first, second = stages
    begin, edge = np.nextafter(t, stop), np.nextafter(stop, t)
    tolerance = max(1e-15 / rtol, min(0.03, math.sqrt(rtol)))  # of Newton's method, in units of the error
    rate_of_change(zero, n, slots, piece, begin, y, p, flow, rates, k)
    h = first_step(n, slots, piece, t, edge, stop - t, y, k, point, p, flow, rates, rtol, atol)
    last_h, last_error, rejected, guess, calm, eta = 0.0, 0.0, False, False, 0, 1.0
    for i in range(n):
        k[start, i] = k[0, i]
        if not (math.isfinite(y[i]) and math.isfinite(k[0, i])):
            return NOT_FINITE, done, t
    while t < stop:
        pace[STEPS] += 1.0
        if pace[STEPS] > most:
            return TOO_MANY_STEPS, done, t
        if h < 1e-14 * max(abs(t), abs(stop)):
            return STEP_TOO_SMALL, done, t
        ends = t + 1.0000001 * h >= stop
        step = stop - t if ends else h
        if piece >= 0:
            set_inputs(slots, piece, max(t, begin), p, flow)
        jacobian_at(n, max(t, begin), y, p, flow, jacobian, j)
        for stage in range(S):
            _stage_matrix(n, step, stage, j, m)
        largest = 0.0
        for a in range(n):
            total = 0.0
            for i in range(n):
                total += abs(j[a, i])
                filter_m[a, i] = (1.0 if a == i else 0.0) - step * GAMMA * j[a, i]
            if not math.isfinite(total):
                return NOT_FINITE, done, t
            largest = max(largest, total)
        if may_change and last_h == 0.0 and (stop - t) * largest < _FEW:
            pace[FIRST + RESUMED] = 0.0
            return CHANGE_STEPPER, done, t
        if not (factorise(m, pivots) and factorise(filter_m, filter_pivots)):
            h, guess = 0.25 * step, False
            continue
        for stage in range(S):
            if guess:
                weights(1.0 + C[stage] * step / last_h, w)
            for i in range(n):
                z[stage, i] = 0.0
                if guess:
                    for other in range(S):
                        z[stage, i] += w[other] * before[other, i]
                    z[stage, i] -= before[S - 1, i]
        # Newton's method with the Jacobian of the beginning
        converged, size_before, iterations = False, 0.0, 0
        eta = max(eta, 1e-16) ** 0.8
        for iteration in range(_MOST_ITERATIONS):
            iterations = iteration + 1
            for stage in range(S):
                for i in range(n):
                    point[i] = y[i] + z[stage, i]
                rate_of_change(
                    stage, n, slots, piece, min(t + C[stage] * step, edge), point, p, flow, rates, k
                )
            for stage in range(S):
                for i in range(n):
                    total = step * k[stage, i]
                    for other in range(S):
                        total -= INVERSE[stage, other] * z[other, i]
                    b[stage * n + i] = total
            substitute(m, pivots, b)
            moved = 0.0
            for stage in range(S):
                for i in range(n):
                    z[stage, i] += b[stage * n + i]
                    moved += (b[stage * n + i] / (atol + rtol * abs(y[i]))) ** 2
            moved = math.sqrt(moved / (S * n))
            if not math.isfinite(moved):
                break
            if iteration > 0:
                theta = moved / size_before
                if theta >= 0.99:
                    break
                eta = theta / (1.0 - theta)
                left = _MOST_ITERATIONS - 1 - iteration
                if eta * moved * theta**left > tolerance:
                    break
            size_before = max(moved, 1e-300)
            if eta * moved <= tolerance:
                converged = True
                break
        if not converged:
            h, guess, eta = (0.5 if guess else 0.25) * step, False, 1.0
            continue
        for i in range(n):
            total = GAMMA * step * k[start, i]
            for stage in range(S):
                total += E[stage] * z[stage, i]
            e[i] = total
            b[i] = total
        substitute(filter_m, filter_pivots, e)
        for attempt in range(2):
            error = 0.0
            for i in range(n):
                error += (e[i] / (atol + rtol * max(abs(y[i]), abs(y[i] + z[S - 1, i])))) ** 2
            error = math.sqrt(error / n)
            if error < 1.0 or attempt == 1 or not (rejected or not guess):
                break
            # what an eigenvalue at infinity adds to the first estimate is not an error of the solution
            for i in range(n):
                point[i] = y[i] + e[i]
                b[i] -= GAMMA * step * k[start, i]
            rate_of_change(zero, n, slots, piece, max(t, begin), point, p, flow, rates, k)
            for i in range(n):
                e[i] = b[i] + GAMMA * step * k[0, i]
            substitute(filter_m, filter_pivots, e)
        quick = 0.9 * (2.0 * _MOST_ITERATIONS + 1.0) / (2.0 * _MOST_ITERATIONS + iterations)
        if not error < 1.0:
            h, rejected = step * 0.1, True
            if math.isfinite(error):
                h = step * max(0.2, quick * error ** (-1.0 / (S + 1)))
            continue
        if order >= 1 and not _stage_derivatives(
            order, forced, n, slots, piece, t, step, edge, p, flow, jacobian, hessian, table,
            y, point, j, values, k, z, m, pivots, first, second,
        ):  # fmt: skip
            return NOT_FINITE, done, t
        end = stop if ends else t + step
        while done < wanted and samples.time[done] < end:
            weights((samples.time[done] - t) / step, w)
            for i in range(size):
                total = y[i]
                for stage in range(S):
                    total += w[stage] * z[stage, i]
                point[i] = total
            if not record(order, n, slots, done, samples.time[done], point, output, samples):
                return NOT_FINITE, done, t
            done += 1
        factor = quick * max(error, 1e-10) ** (-1.0 / (S + 1))
        if last_error > 0.0:
            # what the error did over the last two steps (Gustafsson's predictive controller)
            factor = min(
                factor,
                0.9 * step / last_h * (max(last_error, 1e-2) / (error * error + 1e-20)) ** (1.0 / (S + 1)),
            )
        last_error, last_h, guess = max(error, 1e-2), step, True
        for stage in range(S):
            for i in range(n):
                before[stage, i] = z[stage, i]
        for i in range(size):
            new[i] = y[i] + z[S - 1, i]
        for i in range(size):
            y[i] = new[i]
        t = end
        h = step * min(1.0 if rejected else 8.0, max(0.2, factor))
        rejected = False
        if t < stop:
            rate_of_change(start, n, slots, piece, min(t, edge), y, p, flow, rates, k)
            calm = calm + 1 if step * largest < _CALM else 0
            if may_change and calm == _CALM_STEPS:
                pace[FIRST + RESUMED] = h
                return CHANGE_STEPPER, done, t
    return OK, done, t


@kernel()
def implicit(
    order, forced, slots, piece, t, stop, p, rates, jacobian, hessian, output, system, flow, samples, done, wanted, work,
    may_change,
):  # fmt: skip
    """Advance ``work.y`` from ``t`` to ``stop``; as :func:`pkpd.kernels.ode_step.explicit`.

    With ``may_change`` it hands over to the explicit method where that could take such steps too.
    """
    n = system.n
    stages = Stages(
        np.zeros((S * n, S * n)), np.zeros(S * n, np.int64), np.zeros(S * n),
        np.zeros((n, n)), np.zeros(n, np.int64), np.zeros(n),
        np.zeros((S, work.y.shape[0])), np.zeros((S, n)), np.zeros(S),
        np.zeros((S * n, slots if order >= 1 else 0)),
        np.zeros((S * n, slots * (slots + 1) // 2 if order >= 2 else 0)),
    )  # fmt: skip
    return _integrate(
        order, forced, slots, piece, t, stop, p, rates, jacobian, hessian, output, system, flow, samples, done, wanted, work,
        may_change, stages,
    )  # fmt: skip
