"""Residuals and shrinkage at the end of a fit."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pkpd.language import Problem
from pkpd.language.scales import Values
from pkpd.simulation.prediction import predictions, residual_sd

__all__ = ["residuals", "shrinkage"]


def residuals(problem: Problem, values: Values, etas: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions and residuals of every record.

    Returns
    -------
    predictions : DataFrame
        ID, TIME, DVID, PRED (etas zero), IPRED (etas at their empirical Bayes estimates).
    residuals : DataFrame
        ID, TIME, DVID, DV, RES, IRES, CWRES, IWRES; NaN where the record has no observation or a censored one. CWRES
        linearises at the conditional estimate, with the residual variance there (on the logarithmic scale where the error is
        log-normal), and uses the symmetric square root (Hooker, Staatz & Karlsson, Pharm Res 2007;24:2187-97, equation 13).
    """
    records = problem.records
    owner = np.repeat(np.arange(problem.n_subjects), np.diff(records.offsets))
    pred, _, _ = predictions(problem, values, np.zeros_like(etas))
    ipred, f_eta, _ = predictions(problem, values, etas, order=1)
    # a censored value has no residual
    used = (records.used == 1) & (records.censored == 0)
    dv = np.where(used, records.value, np.nan)
    log_normal = problem.residual[records.endpoint, 4] == 1
    # the scale on which the error is normal
    with np.errstate(divide="ignore", invalid="ignore"):
        y, fitted = (np.where(log_normal, np.log(x), x) for x in (dv, ipred))
        f_eta = np.where(log_normal[:, None], f_eta / ipred[:, None], f_eta)
    sd = residual_sd(problem, values, ipred)
    cwres = np.full(len(dv), np.nan)
    for i in range(problem.n_subjects):
        rows = np.arange(records.offsets[i], records.offsets[i + 1])
        rows = rows[used[rows]]
        if not len(rows):
            continue
        a = f_eta[rows]
        covariance = a @ values.omega @ a.T + np.diag(sd[rows] ** 2)
        spectrum, vectors = np.linalg.eigh(covariance)
        deviation = y[rows] - (fitted[rows] - a @ etas[i])
        cwres[rows] = vectors @ ((vectors.T @ deviation) / np.sqrt(spectrum))
    where = {"ID": problem.subjects[owner], "TIME": records.time, "DVID": records.endpoint + 1}
    with np.errstate(divide="ignore", invalid="ignore"):
        iwres = (y - fitted) / sd
    table = pd.DataFrame(
        {**where, "DV": dv, "RES": dv - pred, "IRES": dv - ipred, "CWRES": cwres, "IWRES": iwres}
    )
    return pd.DataFrame({**where, "PRED": pred, "IPRED": ipred}), table


def shrinkage(
    problem: Problem, values: Values, etas: np.ndarray, iwres: np.ndarray
) -> tuple[pd.Series, pd.Series]:
    """1 - SD(η̂)/ω per eta, and 1 - SD(IWRES): Karlsson & Savic, Clin Pharmacol Ther 2007;82:17-20.

    An effect of the occasion has one value, over all occasions that subjects have.
    """
    subject = len(problem.model.etas)
    groups = [(e.name, [k]) for k, e in enumerate(problem.etas[:subject])]
    for v, copies in zip(problem.model.iovs, problem.copies, strict=True):
        groups.append((v.eta_name, list(range(subject, subject + copies))))
        subject += copies
    eta = {}
    for name, columns in groups:
        seen = etas[:, columns][problem.occasions[:, columns]]
        spread = np.std(seen, ddof=1) if len(seen) > 1 else np.nan
        eta[name] = 1.0 - spread / np.sqrt(values.omega[columns[0], columns[0]])
    seen = iwres[np.isfinite(iwres)]
    eps = 1.0 - float(np.std(seen, ddof=1)) if len(seen) > 1 else np.nan
    return pd.Series(eta, dtype=float), pd.Series({"IWRES": eps})
