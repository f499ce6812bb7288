"""Predictions of one subject or of all, with derivatives to etas and thetas by the chain rule through the slots."""

from __future__ import annotations

import numpy as np

from pkpd._jit import A1, A2, A3, I1, MODEL, PARAMETERS, SUBJECTS, i8, kernel, prange, void
from pkpd.kernels.status import NOT_FINITE, OK


@kernel(void(i8, i8, A2, A3, A2, A3, A2, A3))
def chain_to_effects(order, columns, dp, d2p, f_p, f_pp, fz, fez):
    """From derivatives to slots to derivatives to z = (eta, theta).

    ``fz`` (O, columns) takes the first ``columns`` entries of z; ``fez`` (O, eta, columns) the second derivatives.
    """
    records, slots = f_p.shape
    etas = fez.shape[1]
    for o in range(records):
        for a in range(columns):
            total = 0.0
            for s in range(slots):
                total += f_p[o, s] * dp[s, a]
            fz[o, a] = total
    if order < 2:
        return
    inner = np.empty((slots, columns))
    for o in range(records):
        for s in range(slots):
            for a in range(columns):
                total = 0.0
                for r in range(slots):
                    total += f_pp[o, s, r] * dp[r, a]
                inner[s, a] = total
        for m in range(etas):
            for a in range(columns):
                total = 0.0
                for s in range(slots):
                    total += dp[s, m] * inner[s, a] + f_p[o, s] * d2p[s, m, a]
                fez[o, m, a] = total


@kernel(allocates=False)
def predict_subject(
    i, order, columns, eta, theta,
    solver, parameters, rates, jacobian, hessian, output, steady, system, subjects,
    p, dp, d2p, f, f_p, f_pp, fz, fez,
):  # fmt: skip
    """Predictions of subject ``i`` at ``eta``; fills ``f``, ``fz``, ``fez`` (and the work arrays before them)."""
    parameters(order, theta, eta, subjects.covariates[i], p, dp, d2p)
    for s in range(system.slots):
        if not np.isfinite(p[s]):
            return NOT_FINITE
    status = solver(
        order, np.int64(i), p, rates, jacobian, hessian, output, steady, system, subjects, f, f_p, f_pp
    )
    if status == OK and order >= 1:
        chain_to_effects(order, columns, dp, d2p, f_p, f_pp, fz, fez)
    return status


@kernel(void(i8, A2, A1, *MODEL, SUBJECTS, A1, A2, I1), parallel=True)
def predict_all(
    order, etas, theta,
    solver, parameters, rates, jacobian, hessian, output, steady, system, subjects,
    f_all, f_eta_all, status,
):  # fmt: skip
    """Predictions of all subjects at ``etas`` (N, eta).

    Fills ``f_all`` (O,), with order 1 ``f_eta_all`` (O, eta), and ``status`` (N,).
    """
    for i in prange(etas.shape[0]):
        ne, nt = etas.shape[1], theta.shape[0]
        o0, o1 = subjects.obs_offsets[i], subjects.obs_offsets[i + 1]
        slots, inputs = system.slots, subjects.change_value.shape[1]
        records = o1 - o0
        first = records if order >= 1 else 0
        f, f_p, f_pp = np.zeros(records), np.zeros((first, slots)), np.zeros((0, slots, slots))
        fz, fez = np.zeros((first, ne)), np.zeros((0, ne, ne))
        p, dp, d2p = np.zeros(slots + inputs), np.zeros((slots, ne + nt)), np.zeros((slots, ne, ne + nt))
        status[i] = predict_subject(
            i, order, ne, etas[i], theta,
            solver, parameters, rates, jacobian, hessian, output, steady, system, subjects,
            p, dp, d2p, f, f_p, f_pp, fz, fez,
        )  # fmt: skip
        for o in range(records):
            f_all[o0 + o] = f[o]
            if order >= 1:
                for a in range(ne):
                    f_eta_all[o0 + o, a] = fz[o, a]


@kernel(void(A2, A1, A2, PARAMETERS, A2))
def individual_parameters(etas, theta, cov, individual, values):
    """Individual parameters of all subjects: fills ``values`` (N, parameters)."""
    ne, nt, count = etas.shape[1], theta.shape[0], values.shape[1]
    dp, d2p = np.zeros((count, ne + nt)), np.zeros((count, ne, ne + nt))
    for i in range(etas.shape[0]):
        individual(0, theta, etas[i], cov[i], values[i], dp, d2p)
