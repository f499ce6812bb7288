"""Φ of one subject at given etas: the prediction, the scale of its error model, and the penalised objective."""

from __future__ import annotations

import numpy as np

from pkpd._jit import kernel
from pkpd.kernels.likelihood import to_error_scale
from pkpd.kernels.penalised import penalised
from pkpd.kernels.prediction import predict_subject
from pkpd.kernels.status import OK


@kernel()
def conditional(
    i, order, interaction, typical, links, eta, theta, omega_inv, sigma,
    solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
    p, dp, d2p, f, f_p, f_pp, fz, fez, at, g, h,
):  # fmt: skip
    """Evaluate at ``eta``.

    Parameters
    ----------
    order : int
        Of the derivatives of the prediction, 1 (to the etas, the only columns of ``fz``) or 2.
    interaction, typical, links, p, dp, d2p, f, f_p, f_pp, fz, fez
        As of :func:`pkpd.kernels.inner.find_mode`.
    at : (O,) array
        Filled: the prediction at which the residual variance is taken.
    g, h : (E,) and (E, E) arrays
        Filled: ∂Φ/∂η and H (see :func:`pkpd.kernels.penalised.penalised`).

    Returns
    -------
    status : int
    phi : float
        Infinite where the status is not OK.
    """
    o0, o1 = subjects.obs_offsets[i], subjects.obs_offsets[i + 1]
    endpoint = subjects.obs_endpoint[o0:o1]
    status = predict_subject(
        i, order, fz.shape[1] if order == 2 else eta.shape[0], eta, theta,
        solver, parameters, rates, jacobian, hessian, output, steady, system, subjects,
        p, dp, d2p, f, f_p, f_pp, fz, fez,
    )  # fmt: skip
    phi = np.inf
    if status == OK:
        for o in range(o1 - o0):
            at[o] = f[o] if interaction == 1 else typical[o]
        status = to_error_scale(order, o0, f, fz, fez, endpoint, observed)
    if status == OK:
        status, phi = penalised(
            f, fz, at, interaction, links, o0, endpoint, observed, sigma, eta, omega_inv, g, h
        )
    return status, phi
