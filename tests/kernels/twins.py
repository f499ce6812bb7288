"""Independent solutions with as many digits as are asked for: mpmath for linear systems, complex steps for others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mpmath
import numpy as np
from scipy.integrate import solve_ivp

DIGITS = 50


def linear(
    system: Callable, output: Callable, doses: Sequence, times: Sequence[float], changes: Sequence[float] = ()
) -> Callable:
    """Output at ``times`` as a function of parameters, by mpmath's matrix exponential between events.

    With ``changes``, ``system(p, t)`` and ``output(p, x, t)`` also get the time: the matrix is constant between changes.

    ``system(p)`` gives matrix K, input r, initial state, lags, bioavailabilities (lists); ``output(p, x)`` a number; doses are
    (time, amount, compartment, rate). The state after all events at a time is shown.
    """

    def solution(p: Sequence) -> list:
        k, r, x, lags, fractions = system(p, mpmath.mpf(-1)) if changes else system(p)
        n = len(x)
        events = []
        for at, amount, c, rate in doses:
            start = mpmath.mpf(at) + lags[c]
            if rate > 0:
                events += [
                    (start, c, 0, rate),
                    (start + fractions[c] * amount / mpmath.mpf(rate), c, 0, -rate),
                ]
            else:
                events.append((start, c, fractions[c] * amount, 0))
        events.sort(key=lambda e: e[0])
        stops = [(t, 0, None) for t in times] + [(e[0], -1, e) for e in events]
        stops += [(mpmath.mpf(t), -2, ()) for t in changes]
        stops.sort(key=lambda s: (s[0], s[1]))
        now, out = min([mpmath.mpf(times[0]), *(mpmath.mpf(d[0]) for d in doses)]), []
        x, r, flow = [mpmath.mpf(v) for v in x], [mpmath.mpf(v) for v in r], [mpmath.mpf(0)] * n
        for t, _, change in stops:
            if change == () and t < now:
                continue
            if t != now:
                if changes:
                    k, r, *_ = system(p, (now + t) / 2)
                a = mpmath.zeros(n + 1)
                for i in range(n):
                    a[i, n] = (r[i] + flow[i]) * (t - now)
                    for j in range(n):
                        a[i, j] = k[i][j] * (t - now)
                e = mpmath.expm(a)
                x = [mpmath.fsum(e[i, j] * x[j] for j in range(n)) + e[i, n] for i in range(n)]
                now = t
            if change is None:
                out.append(output(p, x, t) if changes else output(p, x))
            elif change == ():
                continue
            else:
                _, c, amount, rate = change
                x[c] += amount
                flow[c] += rate
        return out

    return solution


def directional(function: Callable, p: Sequence[float], v: Sequence[float]) -> tuple[np.ndarray, ...]:
    """Value, first and second derivative of a vector function along ``v``, by central differences in 50 digits."""
    with mpmath.workdps(DIGITS):
        h = mpmath.mpf(10) ** -12
        middle, above, below = (
            function([mpmath.mpf(a) + s * h * mpmath.mpf(b) for a, b in zip(p, v, strict=True)])
            for s in (0, 1, -1)
        )
        first = [(a - b) / (2 * h) for a, b in zip(above, below, strict=True)]
        second = [(a - 2 * m + b) / h**2 for a, m, b in zip(above, middle, below, strict=True)]
        return tuple(np.array([float(x) for x in row]) for row in (middle, first, second))


def stepped(rates: Callable, event: Callable, doses: Sequence, times: Sequence[float]) -> Callable:
    """States (times, n) of x' = rates(t, x, p) as an analytic function of complex parameters.

    ``event(p)`` gives initial state, lags and bioavailabilities. Between events time runs along the straight, complex line
    from one event time to the next (the first derivative is then exact by the complex step).
    """

    def solution(p: np.ndarray) -> np.ndarray:
        initial, lags, fractions = event(p)
        x = np.array(initial, dtype=complex)
        changes = []
        for at, amount, c, rate in doses:
            start = at + lags[c]
            if rate > 0:
                changes += [(start, c, 0.0, rate), (start + fractions[c] * amount / rate, c, 0.0, -rate)]
            else:
                changes.append((start, c, fractions[c] * amount, 0.0))
        stops = [(complex(t), None) for t in times] + [(complex(e[0]), e) for e in changes]
        stops.sort(key=lambda s: (s[0].real, s[1] is None))
        now, out, r = complex(min([times[0], *(d[0] for d in doses)])), [], np.zeros(len(x))
        for t, change in stops:
            span = t - now
            if abs(span) > 0:
                x = solve_ivp(
                    lambda s, y, a=now, b=span, r=r: b * (np.asarray(rates(a + s * b, y, p)) + r),
                    (0.0, 1.0), x, method="DOP853", rtol=1e-12, atol=1e-15,
                ).y[:, -1]  # fmt: skip
                now = t
            if change is None:
                out.append(x)
            else:
                _, c, amount, rate = change
                x = x + amount * np.eye(len(x))[c]
                r = r + rate * np.eye(len(x))[c]
        return np.array(out)

    return solution


def complex_directional(function: Callable, p: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, ...]:
    """Value, first derivative (complex step) and second (Richardson's extrapolation of differences of it) along ``v``."""
    tiny = 1e-30

    def slope(s: float) -> np.ndarray:
        return function(p + s * v + 1j * tiny * v).imag / tiny

    middle = function(p + 1j * tiny * v)

    def difference(h: float) -> np.ndarray:
        return (slope(h) - slope(-h)) / (2 * h)

    second = (4 * difference(1e-3) - difference(2e-3)) / 3
    return middle.real, middle.imag / tiny, second
