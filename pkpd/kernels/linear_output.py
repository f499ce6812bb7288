"""From a state in the basis of a linear system to the derivatives of an observed quantity: the chain rule."""

from __future__ import annotations

from pkpd._jit import kernel


@kernel()
def chain_linear(order, k, n, vectors, active, z, dg, d2g, scratch, f_p, f_pp):
    """Write row ``k`` of ``f_p`` (and ``f_pp``) from the derivatives ``dg``, ``d2g`` of an output to amounts and slots.

    ``z`` is the state in the basis (:mod:`pkpd.kernels.linear_step`), ``scratch`` (2, A + n) a work array. Only combinations
    that the output asks for are formed.
    """
    slots, count = f_p.shape[1], active.shape[0]
    for s in range(slots):
        f_p[k, s] = dg[n + s]
    for i in range(n):
        weight = 0.0
        for a in range(n):
            weight += dg[a] * vectors[a, i]
        scratch[0, count + i] = weight
    for s in range(count):
        total = 0.0
        for i in range(n):
            total += scratch[0, count + i] * z[i, 1 + s]
        f_p[k, active[s]] += total
    if order < 2:
        return
    for s in range(slots):
        for q in range(slots):
            f_pp[k, s, q] = d2g[n + s, n + q]
    pair = 1 + count
    for s in range(count):
        for q in range(s + 1):
            total = 0.0
            for i in range(n):
                total += scratch[0, count + i] * z[i, pair]
            f_pp[k, active[s], active[q]] += total
            if q != s:
                f_pp[k, active[q], active[s]] += total
            pair += 1
    for a in range(n):
        known = False
        for b in range(n + slots):
            second = d2g[a, b]
            if second == 0.0:
                continue
            if not known:
                known = True
                for s in range(count):
                    scratch[0, s] = 0.0
                    for i in range(n):
                        scratch[0, s] += vectors[a, i] * z[i, 1 + s]
            if b >= n:
                for s in range(count):
                    f_pp[k, active[s], b - n] += second * scratch[0, s]
                    f_pp[k, b - n, active[s]] += second * scratch[0, s]
            else:
                for q in range(count):
                    scratch[1, q] = 0.0
                    for i in range(n):
                        scratch[1, q] += vectors[b, i] * z[i, 1 + q]
                    for s in range(count):
                        f_pp[k, active[s], active[q]] += second * scratch[0, s] * scratch[1, q]
