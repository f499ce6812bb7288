"""Normalised prediction distribution errors: where each observation lies in its distribution under the model.

Brendel K, Comets E, Laffont C, Laveille C, Mentré F. Pharm Res 2006;23:2036-2049. Censored values as in Nguyen THT, Comets E,
Mentré F. J Pharmacokinet Pharmacodyn 2012;39:499-518.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pkpd.errors import FitError
from pkpd.parallel import stream
from pkpd.population.arguments import whole
from pkpd.population.result import PopulationFit
from pkpd.population.simulated_records import SimulatedRecords, simulated_records
from pkpd.results import result

__all__ = ["NPDE", "npde"]

_IMPUTED = 0x4E50  # keeps these random numbers apart from those of other tasks with the same seed


@result
@dataclass(frozen=True, repr=False)
class NPDE:
    """Outcome of :func:`pkpd.npde`.

    Attributes
    ----------
    table : DataFrame
        One row per observation: ID, TIME, DVID, DV (as imputed where it is censored), PRED, TAD, histology, CENSORED, NPDE
        (decorrelated within the subject), NPD (not). N(0, 1) under the model.
    tests : DataFrame
        Of NPDE, by group (``all``, then histologies): n, mean, variance, skewness, kurtosis, p_mean (t-test), p_variance (χ²),
        p_normal (Shapiro-Wilk), p_global (the least of the three, times 3).
    replicates : int
        Number of simulations.
    seed : int
    """

    table: pd.DataFrame
    tests: pd.DataFrame
    replicates: int
    seed: int

    def to_frame(self) -> pd.DataFrame:
        """Return the table of observations."""
        return self.table.copy()

    def __repr__(self) -> str:
        censored = int(self.table["CENSORED"].sum())
        also = f", {censored} of them censored and imputed" if censored else ""
        head = (
            f"NPDE of {len(self.table)} observations{also}; {self.replicates} simulations, seed {self.seed}"
        )
        return "\n".join([head, self.tests.to_string(float_format=lambda v: f"{v:.3g}")])


def npde(
    fit: PopulationFit,
    n: int = 1000,
    seed: int = 0,
    *,
    executor: Executor | Callable[[], Executor] | None = None,
) -> NPDE:
    """Compute normalised prediction distribution errors.

    Parameters
    ----------
    fit : PopulationFit
    n : int
        Number of simulations of the data, more than any subject has observations.
    seed : int
    executor : optional
        See :func:`pkpd.bootstrap`.

    Returns
    -------
    NPDE

    Raises
    ------
    InputError
        ``E_ARGUMENT``; ``E_RIGHT_CENSORED`` for values that are censored from above; ``E_SIMULATED_ENDPOINT`` where every
        endpoint is a likelihood of its own.
    FitError
        ``E_NPDE_COVARIANCE`` if a subject's simulations have no positive definite covariance.

    Notes
    -----
    Each subject's values are centred and decorrelated by the inverse Cholesky factor of the covariance of its simulations; the
    discrepancy is the share of simulations that lie below, kept off 0 and 1 by 1/(2n).

    A value below its limit of quantification is replaced by the quantile of its simulations at a level drawn uniformly
    between 0 and their share below the limit; so are simulated values below the limit, before they are decorrelated.
    """
    n = whole("n", n, 2)
    records = simulated_records(fit, n, seed, executor)
    sizes = np.bincount(records.subject)
    if sizes.max(initial=0) >= n:
        whole("n", n, int(sizes.max()) + 1)
    y, simulated = _imputed(records, seed)
    decorrelated = np.full(len(y), np.nan)
    for i in np.unique(records.subject):
        rows = np.flatnonzero(records.subject == i)
        decorrelated[rows] = _of_subject(y[rows], simulated[:, rows], records.table["ID"].iloc[rows[0]])
    table = records.table.assign(
        DV=y, CENSORED=records.below, NPDE=decorrelated, NPD=_normal(_share_below(y, simulated), n)
    )
    return NPDE(table=table, tests=_tests(table), replicates=n, seed=seed)


def _share_below(y: np.ndarray, simulated: np.ndarray) -> np.ndarray:
    # a tie counts half, as a value that is exactly zero in every simulation must lie in the middle of them
    return (simulated < y).mean(axis=0) + 0.5 * (simulated == y).mean(axis=0)


def _normal(share: np.ndarray, n: int) -> np.ndarray:
    from scipy.special import ndtri

    return ndtri(np.clip(share, 0.5 / n, 1 - 0.5 / n))


def _of_subject(y: np.ndarray, simulated: np.ndarray, who: object) -> np.ndarray:
    """Decorrelated errors of one subject: values (m,), simulations (n, m)."""
    from scipy.linalg import solve_triangular

    centre = simulated.mean(axis=0)
    covariance = np.atleast_2d(np.cov(simulated, rowvar=False))
    try:
        factor = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        raise FitError(
            "E_NPDE_COVARIANCE",
            f"ID {who}: the covariance of its simulated values is not positive definite.",
            "Two records that the model makes equal (one time without residual error): set MDV=1 on one of them; or too few "
            "simulations: give a larger n.",
        ) from None
    z = solve_triangular(factor, (simulated - centre).T, lower=True).T
    observed = solve_triangular(factor, y - centre, lower=True)
    return _normal(_share_below(observed, z), len(simulated))


def _imputed(records: SimulatedRecords, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Observed (R,) and simulated (n, R) values, those below the limit replaced by draws from below it."""
    y, simulated = records.table["DV"].to_numpy(float).copy(), records.simulated
    limited = np.flatnonzero(np.isfinite(records.limit))
    if not records.below.any():
        return y, simulated
    simulated = simulated.copy()
    n = len(simulated)
    for r in limited:
        random = stream(seed, _IMPUTED, int(r))
        ordered = np.sort(simulated[:, r])
        count = int(np.searchsorted(ordered, records.limit[r]))  # simulations below the limit
        level = random.random(n + 1)
        if count:
            drawn = ordered[np.minimum((level * count).astype(np.int64), count - 1)]
            hidden = simulated[:, r] < records.limit[r]
            simulated[hidden, r] = drawn[1:][hidden]
            if records.below[r]:
                y[r] = drawn[0]
    return y, simulated


def _tests(table: pd.DataFrame) -> pd.DataFrame:
    groups: dict[str, pd.Series] = {"all": table["NPDE"]}
    if "histology" in table:
        groups |= {str(name): part for name, part in table.groupby("histology", sort=False)["NPDE"]}
    rows = {name: _moments(values.to_numpy(float)) for name, values in groups.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("group")


def _moments(values: np.ndarray) -> dict[str, float]:
    from scipy import stats

    n = len(values)
    out = {"n": n, "mean": float(values.mean())}
    if n < 3:
        return out
    variance = float(values.var(ddof=1))
    out |= {
        "variance": variance,
        "skewness": float(stats.skew(values)),
        "kurtosis": float(stats.kurtosis(values)),
    }
    cdf = float(stats.chi2.cdf((n - 1) * variance, n - 1))
    p = {
        "p_mean": float(stats.ttest_1samp(values, 0.0).pvalue),
        "p_variance": 2 * min(cdf, 1 - cdf),
        # the test is made for at most 5000 values
        "p_normal": float(stats.shapiro(values).pvalue) if n <= 5000 else float("nan"),
    }
    return {**out, **p, "p_global": min(1.0, 3 * float(np.nanmin(list(p.values()))))}
