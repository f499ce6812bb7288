"""How well the data of a subject determine its random effects."""

from __future__ import annotations

import numpy as np

from pkpd.language import bind
from pkpd.language.scales import Scales
from pkpd.population import PopulationFit
from pkpd.simulation.prediction import predictions, residual_correlation, residual_sd

__all__ = ["conditional_covariance"]


def conditional_covariance(fit: PopulationFit) -> np.ndarray:
    """Covariance (N, eta, eta) of the etas given the subject's data, at the empirical Bayes estimates.

    (Jᵀ V⁻¹ J + Ω⁻¹)⁻¹ with J the derivatives of its predictions and V their residual variances there (Lindstrom & Bates,
    Biometrics 1990;46:673-687, section 4); censored values count for nothing. With endpoints that are likelihoods of their own,
    which have no residual variance, the inverse of the Hessian that the fit took there.
    """
    if any(o.likelihood for o in fit.model.observations):
        n, ne = fit.problem.n_subjects, fit.problem.n_eta
        return fit.individual_estimates_covariance.to_numpy(float).reshape(n, ne, ne)
    problem = bind(fit.model, fit.data, fit.method.solver)
    scales = Scales(problem)
    values = scales.values(fit.parameter_estimates.reindex(scales.names).to_numpy(float))
    etas = fit.individual_estimates.to_numpy(float)
    f, f_eta, _ = predictions(problem, values, etas, order=1)
    sd, records = residual_sd(problem, values, f), problem.records
    log_normal = problem.residual[records.endpoint, 4] == 1
    used = (records.used == 1) & (records.censored == 0)
    # on the scale on which the error is normal
    scaled = f_eta / np.where(log_normal, f * sd, sd)[:, None]
    prior = np.linalg.inv(values.omega) if problem.n_eta else np.zeros((0, 0))
    out = np.zeros((problem.n_subjects, problem.n_eta, problem.n_eta))
    for i in range(problem.n_subjects):
        rows = np.arange(records.offsets[i], records.offsets[i + 1])
        rows = rows[used[rows]]
        own = scaled[rows]
        if problem.correlated:
            own = np.linalg.solve(np.linalg.cholesky(residual_correlation(problem, values, rows)), own)
        out[i] = np.linalg.inv(own.T @ own + prior)
    return out
