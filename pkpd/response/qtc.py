"""Concentration-QTc analysis: the prespecified linear mixed-effects model of the scientific white paper.

Garnett C, et al. J Pharmacokinet Pharmacodyn 2018;45:383-397, eq. 1: ΔQTc = (θ₀ + b₀) + θ₁ TRT + (θ₂ + b₁) C + θ₃ TIME +
θ₄ (QTc at baseline − mean) + ε.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.response.columns import binary_of, column_of, label_of, named_subjects, numbers_of, subjects_of
from pkpd.response.estimates import Estimates, delta_interval, labelled
from pkpd.response.evidence import UNSTATED, stated_evidence
from pkpd.response.linear_mixed import fit_linear_mixed
from pkpd.results import result

__all__ = ["QtcFit", "fit_qtc"]


@result
@dataclass(frozen=True)
class QtcFit(Estimates):
    """A fitted concentration-QTc model.

    Attributes
    ----------
    change, concentration : str
        Columns: change of QTc from baseline (ms); concentration.
    coefficients : Series
        ``intercept``, ``treatment`` (where there is a control arm), ``slope`` (ms per unit of concentration),
        ``baseline``, ``time[t]`` against the first nominal time.
    covariance : DataFrame
        Of the fixed effects, at the estimated variances.
    random_sd : Series
        Standard deviations of b₀ (ms) and b₁ (ms per unit of concentration), taken as uncorrelated, and of ε (ms).
    log_likelihood : float
        Restricted.
    random_effects : DataFrame
        Indexed by ID: intercept, slope.
    n_subjects, n_observations : int
    converged : bool
    evidence : str
        Evidence class (EC1 randomised doses, EC2 several doses, EC3 one dose) of the doses in the data.
    """

    change: str
    concentration: str
    coefficients: pd.Series
    covariance: pd.DataFrame
    random_sd: pd.Series
    log_likelihood: float
    random_effects: pd.DataFrame
    n_subjects: int
    n_observations: int
    converged: bool
    evidence: str = UNSTATED

    def _scale_of(self, name: str) -> str:
        return "ms per unit" if name == "slope" else "ms"

    def prolongation(self, concentrations, level: float = 0.90) -> pd.DataFrame:
        """Placebo-corrected change ΔΔQTc = θ₁ + θ₂ C (without a control arm θ₂ C), with its two-sided interval.

        Parameters
        ----------
        concentrations : float or sequence of float
            E.g. the geometric mean Cmax at the highest clinically relevant exposure.
        level : float
            Coverage; normal quantile. The regulatory question is whether ``upper`` at 0.90 is below 10 ms.

        Returns
        -------
        DataFrame
            concentration, estimate, lower, upper.
        """
        c = np.atleast_1d(np.asarray(concentrations, dtype=float))
        names = list(self.coefficients.index)
        rows = np.zeros((len(c), len(names)))
        rows[:, names.index("slope")] = c
        if "treatment" in names:
            rows[:, names.index("treatment")] = 1.0
        values = np.einsum("ij,j->i", rows, self.coefficients.to_numpy())
        middle, lower, upper = delta_interval(values, rows, self.covariance.to_numpy(), level, lambda v: v)
        return pd.DataFrame({"concentration": c, "estimate": middle, "lower": lower, "upper": upper})


def fit_qtc(
    frame: pd.DataFrame,
    change: str,
    concentration: str,
    *,
    time: str,
    baseline: str,
    treatment: str | None = None,
    centre: str = "overall",
    dose: str | None = None,
    randomised: bool = False,
) -> QtcFit:
    """Fit the prespecified concentration-QTc model by restricted maximum likelihood.

    Parameters
    ----------
    frame : DataFrame
        One row per ECG: column ID (or the index) names the subject.
    change, concentration : str
        Columns: ΔQTc (ms); concentration at the same time, 0 under placebo.
    time : str
        Column of the nominal time, a factor.
    baseline : str
        Column of the baseline QTc (ms).
    treatment : str, optional
        Column with 1 for active and 0 for placebo. Without a control arm, intercept and times absorb what is not drug.
    centre : {"overall", "arm"}
        Whether the mean that is subtracted from the baseline is over all subjects' rows or within each arm.
    dose, randomised
        As in :func:`pkpd.response.fit_logistic`; placebo counts as a dose of 0.

    Returns
    -------
    QtcFit

    Raises
    ------
    InputError
        ``E_COLUMN_MISSING``, ``E_QTC_*``, ``E_CONCENTRATION_*``, ``E_BASELINE_*``, ``E_TOO_FEW``, ``E_ALIASED``.
    """
    if centre not in ("overall", "arm") or (centre == "arm" and treatment is None):
        raise InputError(
            "E_OPTION", f"centre={centre!r}.", "Choose overall, or arm where treatment= is given."
        )
    ids = subjects_of(frame, unique=False)
    y = numbers_of(frame, change, ids, "E_QTC", "change of QTc")
    if y.min() == y.max():
        raise InputError(
            "E_ENDPOINT_CONSTANT", f"{change} is {y[0]:g} in every ECG.", "Bring data that vary."
        )
    c = numbers_of(frame, concentration, ids, "E_CONCENTRATION", "concentration")
    if (c < 0).any():
        raise InputError(
            "E_CONCENTRATION_NEGATIVE",
            f"concentration {concentration} is negative for {named_subjects(ids, c < 0)}.",
            "Set values below the limit of quantification to 0, as the white paper says.",
        )
    base = numbers_of(frame, baseline, ids, "E_BASELINE", "baseline")
    times = column_of(frame, time)
    absent = times.isna().to_numpy()
    if absent.any():
        raise InputError(
            "E_TIME_MISSING", f"time {time} is missing for {named_subjects(ids, absent)}.", "Complete it."
        )
    levels = sorted(times.unique().tolist())
    columns, names = [np.ones(len(y))], ["intercept"]
    shift = np.full(len(y), base.mean())
    if treatment is not None:
        arm = binary_of(frame, treatment, ids)
        columns.append(arm)
        names.append("treatment")
        if centre == "arm":
            shift = np.where(arm == 1, base[arm == 1].mean(), base[arm == 0].mean())
    columns += [c, base - shift, *((times == t).to_numpy(dtype=float) for t in levels[1:])]
    names += ["slope", "baseline", *(f"time[{label_of(t)}]" for t in levels[1:])]
    x = np.column_stack(columns)
    subjects, group = np.unique(np.array([label_of(v) for v in ids]), return_inverse=True)
    if len(subjects) < 3 or len(y) <= len(names) + 3:
        raise InputError(
            "E_TOO_FEW",
            f"{len(y)} ECGs of {len(subjects)} subjects for {len(names)} effects.",
            "Bring more data.",
        )
    scale = np.abs(x).max(axis=0)
    if np.any(scale == 0) or np.linalg.matrix_rank(x / scale) < x.shape[1]:
        raise InputError(
            "E_ALIASED",
            f"the effects {', '.join(names)} cannot be told apart in these data.",
            "Concentration, treatment and nominal time must each vary on their own.",
        )
    found = fit_linear_mixed(y, x / scale, np.column_stack([np.ones(len(y)), c]), group)
    coefficients, covariance = labelled(
        names, found.coefficients / scale, found.covariance / np.outer(scale, scale)
    )
    sd = [*np.sqrt(np.diag(found.random_covariance)), found.residual_sd]
    return QtcFit(
        change=str(change),
        concentration=str(concentration),
        coefficients=coefficients,
        covariance=covariance,
        random_sd=pd.Series(sd, index=["intercept", "slope", "residual"], name="sd"),
        # the restricted likelihood depends on the scale of the columns: back to the one of the data
        log_likelihood=found.log_likelihood - float(np.log(scale).sum()),
        random_effects=pd.DataFrame(
            found.random_effects, index=pd.Index(subjects, name="ID"), columns=["intercept", "slope"]
        ),
        n_subjects=len(subjects),
        n_observations=len(y),
        converged=found.converged,
        evidence=stated_evidence(frame, dose, randomised),
    )
