"""The explicit Runge-Kutta pair of order 5(4) of Tsitouras, Comput. Math. Appl. 2011;62:770-775, written out.

Works on arrays (columns, n): column 0 is the state, the others its sensitivities. The error is that of the state alone, so
that steps, and with them the objective, do not depend on whether derivatives are wanted.
"""

from __future__ import annotations

import math

from pkpd._jit import kernel

C2, C3, C4, C5 = 0.161, 0.327, 0.9, 0.9800255409045097
A21 = 0.161
A31, A32 = -0.008480655492356989, 0.335480655492357
A41, A42, A43 = 2.8971530571054935, -6.359448489975075, 4.3622954328695815
A51, A52, A53, A54 = 5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525
A61, A62, A63 = 5.86145544294642, -12.92096931784711, 8.159367898576159
A64, A65 = -0.071584973281401, -0.028269050394068383
B1, B2, B3 = 0.09646076681806523, 0.01, 0.4798896504144996
B4, B5, B6 = 1.379008574103742, -3.290069515436081, 2.324710524099774
E1, E2, E3 = -0.00178001105222577714, -0.0008164344596567469, 0.007880878010261995
E4, E5, E6, E7 = -0.1447110071732629, 0.5823571654525552, -0.45808210592918697, 1.0 / 66.0


@kernel()
def combine(columns, n, y, h, k, stage, out):
    """The point at which stage ``stage`` (2 … 7) is evaluated; stage 7 is the new solution."""
    for c in range(columns):
        for i in range(n):
            if stage == 2:
                d = A21 * k[0, c, i]
            elif stage == 3:
                d = A31 * k[0, c, i] + A32 * k[1, c, i]
            elif stage == 4:
                d = A41 * k[0, c, i] + A42 * k[1, c, i] + A43 * k[2, c, i]
            elif stage == 5:
                d = A51 * k[0, c, i] + A52 * k[1, c, i] + A53 * k[2, c, i] + A54 * k[3, c, i]
            elif stage == 6:
                d = (
                    A61 * k[0, c, i]
                    + A62 * k[1, c, i]
                    + A63 * k[2, c, i]
                    + A64 * k[3, c, i]
                    + A65 * k[4, c, i]
                )
            else:
                d = (
                    B1 * k[0, c, i] + B2 * k[1, c, i] + B3 * k[2, c, i]
                    + B4 * k[3, c, i] + B5 * k[4, c, i] + B6 * k[5, c, i]
                )  # fmt: skip
            out[c, i] = y[c, i] + h * d


@kernel()
def error_norm(n, y, new, h, k, rtol, atol):
    """Root mean square of the state's error in units of its tolerance."""
    total = 0.0
    for i in range(n):
        e = h * (
            E1 * k[0, 0, i] + E2 * k[1, 0, i] + E3 * k[2, 0, i] + E4 * k[3, 0, i]
            + E5 * k[4, 0, i] + E6 * k[5, 0, i] + E7 * k[6, 0, i]
        )  # fmt: skip
        scale = atol + rtol * max(abs(y[0, i]), abs(new[0, i]))
        total += (e / scale) ** 2
    return math.sqrt(total / n)


@kernel()
def interpolate(columns, n, y, h, k, s, out):
    """The solution at fraction ``s`` of the step, of order 4."""
    s2 = s * s
    w1 = (
        -1.0530884977290216
        * s
        * (s - 1.3299890189751412)
        * (s2 - 1.4364028541716351 * s + 0.7139816917074209)
    )
    w2 = 0.1017 * s2 * (s2 - 2.1966568338249754 * s + 1.2949852507374631)
    w3 = 2.490627285651252793 * s2 * (s2 - 2.38535645472061657 * s + 1.57803468208092486)
    w4 = -16.54810288924490272 * (s - 1.21712927295533244) * (s - 0.61620406037800089) * s2
    w5 = 47.37952196281928122 * (s - 1.203071208372362603) * (s - 0.658047292653547382) * s2
    w6 = -34.87065786149660974 * (s - 1.2) * (s - 0.666666666666666667) * s2
    w7 = 2.5 * (s - 1.0) * (s - 0.6) * s2
    for c in range(columns):
        for i in range(n):
            out[c, i] = y[c, i] + h * (
                w1 * k[0, c, i] + w2 * k[1, c, i] + w3 * k[2, c, i] + w4 * k[3, c, i]
                + w5 * k[4, c, i] + w6 * k[5, c, i] + w7 * k[6, c, i]
            )  # fmt: skip
