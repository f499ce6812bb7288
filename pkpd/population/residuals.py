"""Residuals and shrinkage at the end of a fit."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

from pkpd.language import Problem
from pkpd.language.scales import Values
from pkpd.simulation.prediction import predictions, residual_correlation, residual_sd

__all__ = ["residuals", "shrinkage"]


def residuals(problem: Problem, values: Values, etas: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions and residuals of every record.

    Returns
    -------
    predictions : DataFrame
        ID, TIME, DVID, PRED (etas zero), IPRED (etas at their empirical Bayes estimates).
    residuals : DataFrame
        ID, TIME, DVID, DV, RES, IRES, WRES, CWRES, IWRES; NaN where the record has no observation or a censored one. CWRES
        linearises at the conditional estimate, with the residual variance there (on the logarithmic scale where the error is
        log-normal) and its correlations, and uses the symmetric square root (Hooker, Staatz &
        Karlsson, Pharm Res 2007;24:2187-97, equation 13);
        WRES is the same at etas of zero.
    """
    records = problem.records
    owner = np.repeat(np.arange(problem.n_subjects), np.diff(records.offsets))
    pred, f_zero, _ = predictions(problem, values, np.zeros_like(etas), order=1)
    ipred, f_eta, _ = predictions(problem, values, etas, order=1)
    # a censored value has no residual, and a direct likelihood no prediction
    direct = np.array([o.likelihood for o in problem.model.observations])[records.endpoint]
    pred, ipred = (np.where(direct, np.nan, x) for x in (pred, ipred))
    used = (records.used == 1) & (records.censored == 0) & ~direct
    dv = np.where(used, records.value, np.nan)
    log_normal = problem.residual[records.endpoint, 4] == 1
    # the scale on which the error is normal
    with np.errstate(divide="ignore", invalid="ignore"):
        y, typical, fitted = (np.where(log_normal, np.log(x), x) for x in (dv, pred, ipred))
        f_zero, f_eta = (
            np.where(log_normal[:, None], d / f[:, None], d) for d, f in ((f_zero, pred), (f_eta, ipred))
        )
    sd = residual_sd(problem, values, ipred)
    rows_of = [np.flatnonzero(used[a:b]) + a for a, b in pairwise(records.offsets)]
    linked = [residual_correlation(problem, values, rows) for rows in rows_of]
    wres = _weighted(rows_of, y - typical, f_zero, residual_sd(problem, values, pred), linked, values.omega)
    expected = fitted - np.einsum("ij,ij->i", f_eta, etas[owner])
    cwres = _weighted(rows_of, y - expected, f_eta, sd, linked, values.omega)
    where = {"ID": problem.subjects[owner], "TIME": records.time, "DVID": records.endpoint + 1}
    with np.errstate(divide="ignore", invalid="ignore"):
        iwres = (y - fitted) / sd
    table = pd.DataFrame(
        {
            **where,
            "DV": dv,
            "RES": dv - pred,
            "IRES": dv - ipred,
            "WRES": wres,
            "CWRES": cwres,
            "IWRES": iwres,
        }
    )
    return pd.DataFrame({**where, "PRED": pred, "IPRED": ipred}), table


def _weighted(
    rows_of: list[np.ndarray],
    deviation: np.ndarray,
    slope: np.ndarray,
    sd: np.ndarray,
    linked: list[np.ndarray],
    omega: np.ndarray,
) -> np.ndarray:
    """Deviations (O,) times the inverse symmetric square root of their linearised covariance, subject by subject."""
    out = np.full(len(deviation), np.nan)
    for rows, correlation in zip(rows_of, linked, strict=True):
        covariance = slope[rows] @ omega @ slope[rows].T + correlation * np.outer(sd[rows], sd[rows])
        # a prediction of zero with a proportional error has no variance, and its residual no value
        if not len(rows) or not np.all(np.isfinite(covariance)):
            continue
        spectrum, vectors = np.linalg.eigh(covariance)
        with np.errstate(divide="ignore", invalid="ignore"):
            out[rows] = vectors @ ((vectors.T @ deviation[rows]) / np.sqrt(spectrum))
    return out


def shrinkage(
    problem: Problem, values: Values, etas: np.ndarray, iwres: np.ndarray, members: np.ndarray | None = None
) -> tuple[pd.Series, pd.Series]:
    """1 - SD(η̂)/ω per eta, and 1 - SD(IWRES): Karlsson & Savic, Clin Pharmacol Ther 2007;82:17-20.

    An effect of the occasion has one value, over all occasions that subjects have. ``members`` (N,) bool takes some of the
    subjects.
    """
    exists = problem.occasions if members is None else problem.occasions & members[:, None]
    subject = len(problem.model.etas)
    groups = [(e.name, [k]) for k, e in enumerate(problem.etas[:subject])]
    for block in problem.model.iov_blocks:
        size, copies = len(block), problem.copies[block[0].name]
        groups += [(v.eta_name, [subject + c * size + i for c in range(copies)]) for i, v in enumerate(block)]
        subject += size * copies
    eta = {}
    for name, columns in groups:
        seen = etas[:, columns][exists[:, columns]]
        spread = np.std(seen, ddof=1) if len(seen) > 1 else np.nan
        eta[name] = 1.0 - spread / np.sqrt(values.omega[columns[0], columns[0]])
    seen = iwres[np.isfinite(iwres)]
    eps = 1.0 - float(np.std(seen, ddof=1)) if len(seen) > 1 else np.nan
    return pd.Series(eta, dtype=float), pd.Series({"IWRES": eps})
