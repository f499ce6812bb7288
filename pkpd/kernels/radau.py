"""Adaptive implicit integration for stiff systems: collocation at the five Radau points, of order 9, stable at infinity.

Hairer & Wanner, Solving Ordinary Differential Equations II, 2nd ed., IV.5 and IV.8; Hairer & Wanner, J. Comput. Appl. Math.
1999;111:93-111 (more stages). The stages solve A⁻¹z = h·f(y + z), by Newton's method with one Jacobian for
all of them: in the basis of A⁻¹ that is one real and two complex systems of the size of the states. What they solve can be
differentiated: the derivatives of the stages, of any order, are solutions of linear systems with one matrix, A⁻¹ - h·diag(J), and
so are those of the numerical solution itself, exactly, with the derivatives of the right-hand side that the explicit method uses.
(A Rosenbrock method has the Jacobian in its formula: its derivatives need one order more than a model supplies.) Samples are
read off the collocation polynomial, of order 5, which is also the order of the error estimate: the tolerance holds between
steps as well.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from pkpd._jit import kernel
from pkpd.kernels.dense import factorise, substitute, substitute_columns
from pkpd.kernels.dormand_prince import NEW, POINT, Y
from pkpd.kernels.ode_step import CHANGE_STEPPER, FIRST, RESUMED, STEPS, first_step, sample
from pkpd.kernels.status import NOT_FINITE, OK, STEP_TOO_SMALL, TOO_MANY_STEPS
from pkpd.kernels.variation import jacobian_at, rate_of_change, set_inputs, variations

S = 5
# nodes, the inverse of the Runge-Kutta matrix, and the error in terms of the stages
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
# what the products of Lagrange's basis are over
_LAGRANGE = 1.0 / (C * np.array([np.prod(np.delete(c - C, i)) for i, c in enumerate(C)]))
E = np.array(
    [-4.418997716796381, 0.57923485225667, -0.199237560953468, 0.09416748369194548, -0.03181316888549383]
)
# the inverse is R·L for its real eigenvalue λ and Re(R·L) for one of each pair, times them: columns of R, rows of L
REAL, PAIRS = (
    6.286704751729277,
    np.array([5.7009532986717896 + 3.21026560030855j, 3.655694325463572 + 6.543736899360077j]),
)
REAL_RIGHT = np.array(
    [0.013576867344947943, 0.0016179004017190875, 0.07915785334744721, 0.41225608268046143, 1.0]
)
REAL_LEFT = np.array(
    [27.697693775684087, 12.783337911304406, 3.20848938671343, -0.9514904122489162, 0.7415504960259897]
)
RIGHT = np.array(
    [
        [-0.011478515255229515 + 0.01401985889287541j, -0.007668830749180163 - 0.024708578426518527j,
         0.01939846399882895 - 0.08180035370375117j,
         0.40760117128019907 - 0.19968242788680252j, 1.0],
        [-0.010242047817908826 - 0.04767387729029572j, 0.05017286451737106 + 0.09433181918161143j,
         -0.23053953404341795 - 0.1027030453801259j,
         0.37789390224886127 - 0.46674413033249434j, 1.0],
    ]
)  # fmt: skip
LEFT = np.array(
    [
        [-33.041880213519 - 8.611443979875292j, -17.376953479063566 + 9.699991409528808j,
         -0.17212906325400557 + 1.9147286396968743j,
         -0.09916977798254265 + 2.41869200608494j, 0.5312281158383066 - 1.0474634879353375j],
        [5.344186437834912 + 3.748059807439805j, 4.593615567759161 - 3.984965736343885j,
         -3.0363603234594243 - 1.0444156416080188j,
         1.050660190231459 + 1.1840985681379486j, -0.27277861186429625 - 0.44991777015678036j],
    ]
)  # fmt: skip

_MOST_ITERATIONS = 12
_CONVERGED = 1e-2  # what Newton's method may leave, in units of the tolerance
# a step of the explicit method costs a tenth of one here and may be about 6 over the largest rate: it gets its turn after so many
# steps that it could have taken in two, or where it needs so few to the end
_CALM_STEPS, _CALM, _FEW = 3, 12.0, 300.0


class Stages(NamedTuple):
    """Work space.

    Newton's method: ``real`` (n, n), ``pairs`` (2, n, n), their ``pivots`` (3, n), right-hand sides ``u`` (n,) and ``v`` (2, n).
    The stages' increments and their derivatives ``z`` (5, size), those of the states one step ``before`` (5, n); what is left of
    the equations ``b`` (5, n); ``e`` (n,), ``g`` (n,) errors; ``w`` (5,) weights. Derivatives: the matrix ``m`` (5n, 5n) of all
    stages, ``all_pivots``, right-hand sides ``first`` (5n, P) and ``second`` (5n, P(P+1)/2).
    """

    real: Any
    pairs: Any
    pivots: Any
    u: Any
    v: Any
    z: Any
    before: Any
    b: Any
    e: Any
    g: Any
    w: Any
    m: Any
    all_pivots: Any
    first: Any
    second: Any


@kernel()
def make_stages(order, n, slots, size):
    """Work space for states of ``size``, made once for a subject: what counts references makes no steps."""
    rows = S * n if order >= 1 else 0
    return Stages(
        np.empty((n, n)), np.empty((2, n, n), np.complex128), np.empty((3, n), np.int64), np.empty(n),
        np.empty((2, n), np.complex128), np.empty((S, size)), np.empty((S, n)), np.empty((S, n)), np.empty(n), np.empty(n),
        np.empty(S), np.empty((rows, rows)), np.empty(rows, np.int64), np.empty((rows, slots)),
        np.empty((rows, slots * (slots + 1) // 2 if order >= 2 else 0)),
    )  # fmt: skip


@kernel(allocates=False)
def weights(s, w):
    """Fill ``w`` (5,): the collocation polynomial at fraction ``s`` of the step is y + Σ w·z (Lagrange's basis, 0 at 0)."""
    for i in range(S):
        product = s * _LAGRANGE[i]
        for m in range(S):
            if m != i:
                product *= s - C[m]
        w[i] = product


@kernel(allocates=False)
def _stage_matrix(n, h, stage, j, m):
    """Put the rows of ``stage`` of A⁻¹ - h·diag(J) into ``m``.

    The stages of a state lie together: where one state drives the next, most blocks and those of the factors are zero.
    """
    for a in range(n):
        row = a * S + stage
        for b in range(n):
            for other in range(S):
                m[row, b * S + other] = INVERSE[stage, other] if a == b else 0.0
            m[row, b * S + stage] -= h * j[a, b]


@kernel(allocates=False)
def _factorise(n, h, j, stages):
    """Factorise λ - h·J for the eigenvalues; False where one of them is singular."""
    real, first, second = stages.real, stages.pairs[0], stages.pairs[1]
    for a in range(n):
        for b in range(n):
            entry = -h * j[a, b]
            real[a, b], first[a, b], second[a, b] = entry, entry, entry
        real[a, a] += REAL
        first[a, a] += PAIRS[0]
        second[a, a] += PAIRS[1]
    return (
        factorise(real, stages.pivots[0])
        and factorise(first, stages.pivots[1])
        and factorise(second, stages.pivots[2])
    )


@kernel(allocates=False)
def _correct(n, y, rtol, atol, stages):
    """Add (A⁻¹ - h·J)⁻¹b to ``z``; the root mean square of what was added in units of the tolerance."""
    u, one, other, z, b = stages.u, stages.v[0], stages.v[1], stages.z, stages.b
    for i in range(n):
        u[i], one[i], other[i] = 0.0, 0.0, 0.0
        for stage in range(S):
            u[i] += REAL_LEFT[stage] * b[stage, i]
            one[i] += LEFT[0, stage] * b[stage, i]
            other[i] += LEFT[1, stage] * b[stage, i]
    substitute(stages.real, stages.pivots[0], u)
    substitute(stages.pairs[0], stages.pivots[1], one)
    substitute(stages.pairs[1], stages.pivots[2], other)
    moved = 0.0
    for i in range(n):
        squares = 0.0
        for stage in range(S):
            change = REAL_RIGHT[stage] * u[i] + (RIGHT[0, stage] * one[i] + RIGHT[1, stage] * other[i]).real
            z[stage, i] += change
            squares += change * change
        moved += squares / (atol + rtol * abs(y[i])) ** 2
    return math.sqrt(moved / (S * n))


@kernel(allocates=False)
def _stage_derivatives(
    order, size, forced, n, slots, piece, t, h, edge, p, flow, jacobian, hessian, held, y, point, j, k, z, m, pivots,
    first, second,
):  # fmt: skip
    """Fill the derivatives' part of ``z`` from its states' part; False where the matrix is singular."""
    first[:, :], second[:, :] = 0.0, 0.0
    one, base = np.int64(1), n + n * slots  # a literal would have every function compiled anew
    for stage in range(S):
        now = min(t + C[stage] * h, edge)
        if piece >= 0:
            set_inputs(slots, piece, now, p, flow)
        for c in range(size):
            point[c] = y[c] + z[stage, c] if c < n else y[c]
        jacobian_at(n, now, point, p, flow, jacobian, j)
        _stage_matrix(n, h, stage, j, m)
        variations(stage, one, size, forced, n, slots, now, point, p, flow, jacobian, hessian, held, j, k)
        for c in range(n, size):
            at = (held[c] if forced else c) - n
            if at < n * slots:
                first[at // slots * S + stage, at % slots] = h * k[stage, c]
    if not factorise(m, pivots):
        return False
    substitute_columns(m, pivots, first)
    for stage in range(S):
        for c in range(n, size):
            at = (held[c] if forced else c) - n
            if at < n * slots:
                z[stage, c] = first[at // slots * S + stage, at % slots]
    if order < 2:
        return True
    pairs = slots * (slots + 1) // 2
    for stage in range(S):
        now = min(t + C[stage] * h, edge)
        if piece >= 0:
            set_inputs(slots, piece, now, p, flow)
        for c in range(size):
            point[c] = y[c] + z[stage, c] if held[c] < base else y[c]
        variations(stage, order, size, forced, n, slots, now, point, p, flow, jacobian, hessian, held, j, k)
        for c in range(n, size):
            at = held[c] - base
            if at >= 0:
                second[at // pairs * S + stage, at % pairs] = h * k[stage, c]
    substitute_columns(m, pivots, second)
    for stage in range(S):
        for c in range(n, size):
            at = held[c] - base
            if at >= 0:
                z[stage, c] = second[at // pairs * S + stage, at % pairs]
    return True


@kernel(allocates=False)
def implicit(
    size, order, forced, slots, piece, t, stop, p, rates, jacobian, hessian, output, system, flow, samples, done, wanted, work,
    stages, may_change,
):  # fmt: skip
    """Advance the row Y of ``work.k`` from ``t`` to ``stop``; as :func:`pkpd.kernels.ode_step.explicit`.

    With ``may_change`` it hands over to the explicit method where that could take such steps too.
    """
    n, held, settings = system.n, system.held, system.settings
    k, j, pace = work.k, work.j, work.pace
    y, new, point = k[Y], k[NEW], k[POINT]
    rtol, atol, most = settings[0], settings[1], settings[2]
    # the row of ``k`` behind the stages holds the slope at the beginning
    zero, start = np.int64(0), np.int64(S)  # a literal would have every function compiled anew
    z, before, b, e, g, w = stages.z, stages.before, stages.b, stages.e, stages.g, stages.w
    begin, edge = np.nextafter(t, stop), np.nextafter(stop, t)
    tolerance = max(1e-15 / rtol, _CONVERGED)
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
        largest = 0.0
        for a in range(n):
            total = 0.0
            for i in range(n):
                total += abs(j[a, i])
            if not math.isfinite(total):
                return NOT_FINITE, done, t
            largest = max(largest, total)
        if may_change and last_h == 0.0 and (stop - t) * largest < _FEW:
            pace[FIRST + RESUMED] = 0.0
            return CHANGE_STEPPER, done, t
        if not _factorise(n, step, j, stages):
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
                    b[stage, i] = total
            moved = _correct(n, y, rtol, atol, stages)
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
            g[i] = 0.0
            for stage in range(S):
                g[i] += E[stage] * z[stage, i]
            # (1 - γ·h·J)⁻¹, γ = 1/λ, damps what a stiff component says
            e[i] = REAL * g[i] + step * k[start, i]
        substitute(stages.real, stages.pivots[0], e)
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
            rate_of_change(zero, n, slots, piece, max(t, begin), point, p, flow, rates, k)
            for i in range(n):
                e[i] = REAL * g[i] + step * k[0, i]
            substitute(stages.real, stages.pivots[0], e)
        quick = 0.9 * (2.0 * _MOST_ITERATIONS + 1.0) / (2.0 * _MOST_ITERATIONS + iterations)
        if not error < 1.0:
            h, rejected = step * 0.1, True
            if math.isfinite(error):
                h = step * max(0.2, quick * error ** (-1.0 / (S + 1)))
            continue
        if order >= 1 and not _stage_derivatives(
            order, size, forced, n, slots, piece, t, step, edge, p, flow, jacobian, hessian, held,
            y, point, j, k, z, stages.m, stages.all_pivots, stages.first, stages.second,
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
            if not sample(
                order, size, forced, n, slots, done, samples.time[done], output, held, samples, work
            ):
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
