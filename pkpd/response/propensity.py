"""Weighting and matching: a comparison of exposure classes as if their patients were alike.

Neither repairs a confounder that was not measured; both say how many patients they rest on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pkpd.errors import FitError, InputError
from pkpd.response.balance import covariate_balance, weights_of
from pkpd.response.columns import binary_of, exposures_of, numbers_of, subjects_of
from pkpd.response.logistic import fit_logistic
from pkpd.response.regressors import read_regressors
from pkpd.results import result

__all__ = [
    "Matched",
    "WeightedEffect",
    "Weights",
    "effective_sample_size",
    "exposure_weights",
    "inverse_probability_weights",
    "matched_pairs",
    "weighted_effect",
]


@result
@dataclass(frozen=True)
class Weights:
    """Weights that make the exposure independent of the measured covariates.

    Attributes
    ----------
    weights : Series
        By ID.
    score : Series
        Estimated probability of the treatment (or the weight's denominator for a continuous exposure).
    coefficients : Series
        Of the model of the treatment.
    estimand : str
        ``"ATE"`` all patients, ``"ATT"`` the treated.
    balance : DataFrame
        :func:`covariate_balance` before and after.
    effective_n : dict
        (Σw)²/Σw² per group, and ``all``.
    """

    weights: pd.Series
    score: pd.Series
    coefficients: pd.Series
    estimand: str
    balance: pd.DataFrame
    effective_n: dict[str, float]


def effective_sample_size(weights: Sequence[float] | np.ndarray | pd.Series) -> float:
    """Kish's (Σw)²/Σw²: how many unweighted patients the weighted ones are worth."""
    w = np.asarray(weights, float)
    return float(w.sum() ** 2 / (w @ w)) if w.size and (w @ w) > 0 else 0.0


def inverse_probability_weights(
    frame: pd.DataFrame,
    treatment: str,
    covariates: Sequence[str] | Mapping[str, str | None],
    *,
    estimand: str = "ATE",
    stabilised: bool = True,
) -> Weights:
    """Weights 1/P(own treatment | covariates) from a logistic model.

    Parameters
    ----------
    frame : DataFrame
        One row per subject.
    treatment : str
        Column with 0/1: high or low exposure, a dose, a histology.
    covariates : sequence of str, or mapping from name to reference level
        Baseline drivers of exposure and outcome.
    estimand : {"ATE", "ATT"}
        All patients; or those with treatment 1, whose weight is then 1.
    stabilised : bool
        Multiply by the group's share (ATE only): the same estimates in a weighted regression on the treatment
        alone, smaller weights in one with covariates.

    Returns
    -------
    Weights

    Raises
    ------
    InputError
        ``E_OPTION``, column errors as in :func:`fit_logistic`.
    FitError
        ``E_SEPARATION`` where the covariates determine the treatment: the groups do not overlap, and no
        weight makes them comparable.
    """
    if estimand not in ("ATE", "ATT"):
        raise InputError("E_OPTION", f"estimand={estimand!r} is not supported.", "Choose ATE or ATT.")
    ids = subjects_of(frame)
    z = binary_of(frame, treatment, ids)
    if z.min() == z.max():
        raise InputError("E_OPTION", f"{treatment} is {z[0]:g} in every subject.", "Two groups are needed.")
    fit = fit_logistic(frame, treatment, None, slopes="none", covariates=covariates, firth=False)
    score = _fitted(fit)
    if estimand == "ATT":
        w = np.where(z == 1, 1.0, score / (1 - score))
    else:
        w = np.where(z == 1, 1 / score, 1 / (1 - score))
        if stabilised:
            w = w * np.where(z == 1, z.mean(), 1 - z.mean())
    index = pd.Index(ids, name="ID")
    return Weights(
        weights=pd.Series(w, index=index, name="weight"),
        score=pd.Series(score, index=index, name="score"),
        coefficients=fit.coefficients,
        estimand=estimand,
        balance=covariate_balance(frame, treatment, list(covariates), reference=0, weights=w),
        effective_n={
            "0": effective_sample_size(w[z == 0]),
            "1": effective_sample_size(w[z == 1]),
            "all": effective_sample_size(w),
        },
    )


def exposure_weights(
    frame: pd.DataFrame, exposure: str, covariates: Sequence[str] | Mapping[str, str | None]
) -> Weights:
    """Stabilised weights of a continuous exposure: density of log exposure over that given the covariates.

    Both densities are normal, the second around a linear regression (Robins JM, Hernán MA, Brumback B.
    Epidemiology 2000;11:550-560).

    Returns
    -------
    Weights
        ``balance`` compares the upper with the lower half of exposure.

    Raises
    ------
    InputError
        ``E_EXPOSURE_*``, ``E_COVARIATE_*``, ``E_OPTION``.
    """
    ids = subjects_of(frame)
    x = np.log(exposures_of(frame, exposure, ids, positive=True))
    regressors, records = read_regressors(
        frame, None, None, shape="linear", slopes="none", intercepts="common", covariates=covariates
    )
    names = [*regressors.covariate_means, *regressors.covariate_levels]
    design = regressors.matrix(
        records["histology"].to_numpy(), None, {c: records[c].to_numpy() for c in names}
    )
    n, p = design.shape
    if n <= p:
        raise InputError("E_OPTION", f"{n} subjects for {p} coefficients.", "Give fewer covariates.")
    beta = np.linalg.lstsq(design, x, rcond=None)[0]
    residual = x - design @ beta
    inner, outer = math.sqrt(residual @ residual / (n - p)), float(x.std(ddof=1))
    if not inner > 1e-12 * max(outer, 1e-300):
        raise InputError(
            "E_OPTION", f"the covariates determine {exposure}.", "No weight can separate them from it."
        )
    log_w = math.log(inner / outer) - 0.5 * ((x - x.mean()) / outer) ** 2 + 0.5 * (residual / inner) ** 2
    w = np.exp(log_w)
    halves = frame.assign(**{"upper half": (x > np.median(x)).astype(int)})
    index = pd.Index(ids, name="ID")
    return Weights(
        weights=pd.Series(w, index=index, name="weight"),
        score=pd.Series(np.exp(-0.5 * (residual / inner) ** 2) / inner, index=index, name="score"),
        coefficients=pd.Series(beta, index=list(regressors.names), name="estimate"),
        estimand="ATE",
        balance=covariate_balance(halves, "upper half", list(covariates), reference=0, weights=w),
        effective_n={"all": effective_sample_size(w)},
    )


@result
@dataclass(frozen=True)
class WeightedEffect:
    """Weighted regression of an outcome on one regressor, with a robust standard error.

    Attributes
    ----------
    estimate, se, lower, upper : float
        Of the slope: a difference of means, or a log odds ratio (``family="binomial"``); 95 % Wald.
    intercept, intercept_se : float
    effective_n : float
    family : str
    """

    estimate: float
    se: float
    lower: float
    upper: float
    intercept: float
    intercept_se: float
    effective_n: float
    family: str


def weighted_effect(
    frame: pd.DataFrame,
    response: str,
    regressor: str,
    weights: Weights | Sequence[float] | np.ndarray | pd.Series,
    *,
    family: str = "gaussian",
) -> WeightedEffect:
    """Effect of a treatment, or slope of an exposure, in the weighted population.

    Parameters
    ----------
    frame : DataFrame
    response, regressor : str
        Columns; the response is 0/1 for ``family="binomial"``.
    weights : Weights or array_like, shape (n,)
    family : {"gaussian", "binomial"}

    Notes
    -----
    Sandwich variance (X'WX)⁻¹ Σ w² e² xx' (X'WX)⁻¹ · n/(n − 1), that of a survey regression with one stratum
    (Binder DA. Int Stat Rev 1983;51:279-292). Weights count as known, which is conservative for estimated
    propensity scores.

    Raises
    ------
    InputError
        ``E_OPTION``, ``E_WEIGHT``, column errors.
    FitError
        ``E_NOT_CONVERGED``: the weighted data separate.
    """
    if family not in ("gaussian", "binomial"):
        raise InputError("E_OPTION", f"family={family!r}.", "Choose gaussian or binomial.")
    ids = subjects_of(frame)
    w = weights_of(weights.weights if isinstance(weights, Weights) else weights, len(frame))
    z = numbers_of(frame, regressor, ids, "E_EXPOSURE", "regressor")
    x = np.column_stack([np.ones(len(z)), z])
    if family == "binomial":
        y = binary_of(frame, response, ids)
        beta, bread, residual = _weighted_logistic(x, y, w)
    else:
        y = numbers_of(frame, response, ids, "E_ENDPOINT", "endpoint")
        bread = np.linalg.inv(np.einsum("ij,i,ik->jk", x, w, x))
        beta = bread @ np.einsum("ij,i->j", x, w * y)
        residual = y - x @ beta
    meat = np.einsum("ij,i,ik->jk", x, (w * residual) ** 2, x) * len(y) / (len(y) - 1)
    se = np.sqrt(np.diag(bread @ meat @ bread))
    z95 = 1.959963984540054
    return WeightedEffect(
        estimate=float(beta[1]),
        se=float(se[1]),
        lower=float(beta[1] - z95 * se[1]),
        upper=float(beta[1] + z95 * se[1]),
        intercept=float(beta[0]),
        intercept_se=float(se[0]),
        effective_n=effective_sample_size(w),
        family=family,
    )


def _weighted_logistic(x: np.ndarray, y: np.ndarray, w: np.ndarray):
    beta = np.zeros(x.shape[1])
    for _ in range(50):
        p = 0.5 * (1 + np.tanh(0.5 * (x @ beta)))
        bread = np.linalg.pinv(np.einsum("ij,i,ik->jk", x, w * p * (1 - p), x))
        step = bread @ np.einsum("ij,i->j", x, w * (y - p))
        beta = beta + step
        if not np.abs(beta).max() < 50:
            break
        if np.abs(step).max() < 1e-10:
            return beta, bread, y - p
    raise FitError(
        "E_NOT_CONVERGED", "the weighted data separate: there is no finite odds ratio.", "Use matched pairs."
    )


@result
@dataclass(frozen=True)
class Matched:
    """Pairs of patients who are alike in their propensity.

    Attributes
    ----------
    pairs : DataFrame
        treated, control (IDs), distance (of logit scores), and the outcome of each.
    difference, se, lower, upper : float
        Mean paired difference of the outcome (treated − control), its standard error, 95 % interval.
    unmatched : int
        Treated patients without a partner within the caliper.
    balance : DataFrame
        Of the matched patients.
    """

    pairs: pd.DataFrame
    difference: float
    se: float
    lower: float
    upper: float
    unmatched: int
    balance: pd.DataFrame


def matched_pairs(
    frame: pd.DataFrame,
    response: str,
    treatment: str,
    covariates: Sequence[str] | Mapping[str, str | None],
    *,
    caliper: float = 0.2,
) -> Matched:
    """Match each treated patient with the nearest untreated one, without replacement.

    Parameters
    ----------
    response, treatment : str
        Columns: the outcome (a number, or 0/1), and 0/1.
    covariates
        As in :func:`inverse_probability_weights`.
    caliper : float
        Largest distance, in standard deviations of the logit of the propensity score (0.2: Austin PC. Pharm
        Stat 2011;10:150-161).

    Notes
    -----
    Treated patients choose in the order of falling score (those with the fewest partners first), ties by
    their place in the table: no random number is drawn.

    Raises
    ------
    InputError
        ``E_OPTION`` for a caliper that is not positive; ``E_MATCHES`` if fewer than two pairs are found.
    """
    if not caliper > 0:
        raise InputError("E_OPTION", f"caliper={caliper!r}.", "Give a positive number, e.g. 0.2.")
    ids = subjects_of(frame)
    z = binary_of(frame, treatment, ids)
    y = numbers_of(frame, response, ids, "E_ENDPOINT", "endpoint")
    score = inverse_probability_weights(frame, treatment, covariates).score.to_numpy()
    logit = np.log(score / (1 - score))
    width = caliper * float(logit.std(ddof=1))
    free = list(np.flatnonzero(z == 0))
    treated = np.flatnonzero(z == 1)
    pairs = []
    for i in treated[np.argsort(-logit[treated], kind="stable")]:
        if not free:
            break
        gaps = np.abs(logit[free] - logit[i])
        nearest = int(np.argmin(gaps))
        if gaps[nearest] <= width:
            pairs.append((i, free.pop(nearest), float(gaps[nearest])))
    if len(pairs) < 2:
        raise InputError(
            "E_MATCHES",
            f"{len(pairs)} pairs within {caliper:g} standard deviations of the logit score.",
            "The groups hardly overlap: widen the caliper and say so, or do not compare them.",
        )
    a, b, gap = (np.array(v) for v in zip(*pairs, strict=True))
    differences = y[a] - y[b]
    se = float(differences.std(ddof=1) / math.sqrt(len(pairs)))
    mean = float(differences.mean())
    matched = frame.iloc[np.concatenate([a, b])].reset_index(drop=True)
    return Matched(
        pairs=pd.DataFrame(
            {"treated": ids[a], "control": ids[b], "distance": gap, "outcome": y[a], "outcome_control": y[b]}
        ).infer_objects(),
        difference=mean,
        se=se,
        lower=mean - 1.959963984540054 * se,
        upper=mean + 1.959963984540054 * se,
        unmatched=len(treated) - len(pairs),
        balance=covariate_balance(matched, treatment, list(covariates), reference=0),
    )


def _fitted(fit) -> np.ndarray:
    records = fit.records
    names = [*fit.regressors.covariate_means, *fit.regressors.covariate_levels]
    return fit.probability(
        records["histology"].to_numpy(), None, covariates={c: records[c].to_numpy() for c in names}
    )
