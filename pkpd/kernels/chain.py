"""From the states and their sensitivities to an observed quantity: the chain rule, first and second order."""

from __future__ import annotations

from pkpd._jit import kernel


@kernel(allocates=False)
def read_output(order, n, k, endpoint, t, p, x, xp, xpp, output, g, dg, d2g, f, f_p, f_pp):
    """Evaluate output ``endpoint`` at time ``t`` and write row ``k`` of ``f`` (O,), ``f_p`` (O, P), ``f_pp`` (O, P, P).

    ``x`` (n,), ``xp`` (n, P), ``xpp`` (n, P, P) are the states and their derivatives to the slots, the head of ``p``.
    """
    output(order, endpoint, t, x, p, g, dg, d2g)
    f[k] = g[0]
    if order < 1:
        return
    slots = dg.shape[0] - n
    for a in range(slots):
        total = dg[n + a]
        for i in range(n):
            total += dg[i] * xp[i, a]
        f_p[k, a] = total
    if order < 2:
        return
    for a in range(slots):
        for b in range(a + 1):
            total = d2g[n + a, n + b]
            for i in range(n):
                total += dg[i] * xpp[i, a, b] + d2g[i, n + b] * xp[i, a] + d2g[i, n + a] * xp[i, b]
                inner = 0.0
                for j in range(n):
                    inner += d2g[i, j] * xp[j, b]
                total += inner * xp[i, a]
            f_pp[k, a, b] = total
            f_pp[k, b, a] = total
