"""Proportional-odds exposure-response for graded events: logit P(Y ≤ j) = ζ_j − η, and the test of its assumption."""

from __future__ import annotations

import warnings as _warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import FitError, InputError, PkpdWarning
from pkpd.response.columns import column_of, label_of, named_subjects
from pkpd.response.curves import Curves
from pkpd.response.estimates import labelled
from pkpd.response.evidence import UNSTATED, stated_evidence
from pkpd.response.likelihood_ratio import LikelihoodRatio, chi2_p_value
from pkpd.response.newton import SmoothOptimum, climb
from pkpd.response.regressors import Regressors, design_of, read_regressors
from pkpd.results import result

__all__ = ["OrdinalFit", "fit_ordinal"]


@result
@dataclass(frozen=True)
class OrdinalFit(Curves):
    """A fitted proportional-odds model; a positive coefficient means higher grades.

    Attributes
    ----------
    response : str
        Column of the grade.
    grades : tuple of str
        Levels, lowest first.
    regressors : Regressors
        Columns of η: ``histology[k]`` (against the first histology), ``slope[k]``, covariates.
    coefficients : Series
        Columns of η, then thresholds ``"low|high"``: logit P(Y ≤ low) at the reference exposure, in the
        reference histology, at mean covariates.
    covariance : DataFrame
        Inverse of the observed information.
    log_likelihood : float
    counts : DataFrame
        histology and one column per grade.
    records : DataFrame
        The subjects as used.
    proportional_odds : LikelihoodRatio
        Test of the assumption: every column of η with a coefficient of its own per threshold (χ²); statistic
        NaN where that model has no maximum in these data (a note says so).
    nominal : DataFrame
        The same test for one term at a time: term (``histology``, ``slope``, each covariate), statistic, df, p_value.
    converged : bool
    warnings : tuple of str
    evidence : str
        Evidence class (EC1 randomised doses, EC2 several doses, EC3 one dose) of the doses in the data.
    """

    response: str
    grades: tuple[str, ...]
    regressors: Regressors
    coefficients: pd.Series
    covariance: pd.DataFrame
    log_likelihood: float
    counts: pd.DataFrame
    records: pd.DataFrame
    proportional_odds: LikelihoodRatio
    nominal: pd.DataFrame
    converged: bool
    warnings: tuple[str, ...] = ()
    evidence: str = UNSTATED

    def _scale_of(self, name: str) -> str:
        return "logit"

    def _rows(self, histology, exposure, covariates, grade) -> np.ndarray:
        """Design of logit P(Y ≥ grade) = η − ζ."""
        name = label_of(grade)
        if name not in self.grades[1:]:
            raise InputError(
                "E_GRADE_UNKNOWN",
                f"there is no probability of grade {grade!r} or higher to give.",
                f"Choose among {', '.join(self.grades[1:])}.",
            )
        eta = self.regressors.matrix(histology, exposure, covariates)
        zeta = np.zeros((len(eta), len(self.grades) - 1))
        zeta[:, self.grades.index(name) - 1] = -1.0
        return np.hstack([eta, zeta])

    def probability(
        self, histology: Any, exposure: Any, grade: Any, coefficients: Any = None, *, covariates: Any = None
    ) -> np.ndarray:
        """P(Y ≥ grade), shape (n,) or, for coefficients of shape (d, p), (d, n)."""
        from scipy.special import expit

        rows = self._rows(histology, exposure, covariates, grade)
        return expit(np.einsum("...j,ij->...i", self._matrix_for(coefficients, rows.shape[1]), rows))

    def curve(
        self, histology: Any, exposures: Any, grade: Any, level: float = 0.90, *, covariates: Any = None
    ) -> pd.DataFrame:
        """P(Y ≥ grade) along exposures, intervals by the delta method on the logit scale.

        Returns
        -------
        DataFrame
            histology, exposure, probability, lower, upper.
        """
        from scipy.special import expit

        x = np.atleast_1d(np.asarray(exposures, dtype=float))
        rows = self._rows(histology, x, covariates, grade)
        return self._linear(histology, x, "probability", rows, level, expit)


def fit_ordinal(
    frame: pd.DataFrame,
    response: str,
    exposure: str | None,
    histology: str | None = None,
    *,
    shape: str = "linear",
    slopes: str = "separate",
    intercepts: str = "separate",
    covariates: Sequence[str] | Mapping[str, str | None] = (),
    reference_exposure: float | None = None,
    grades: Sequence[Any] | None = None,
    weights: str | None = None,
    dose: str | None = None,
    randomised: bool = False,
) -> OrdinalFit:
    """Fit a proportional-odds model by maximum likelihood.

    Parameters
    ----------
    frame, exposure, histology, shape, slopes, covariates, reference_exposure, dose, randomised
        As in :func:`pkpd.response.fit_logistic`.
    response : str
        Column of the grade: numbers, or text with `grades`, or an ordered categorical.
    intercepts : {"separate", "common"}
        Whether histologies are shifted against the first one (one shift for all thresholds).
    grades : sequence, optional
        Levels from lowest to highest, for text.
    weights : str, optional
        Column with the number of subjects that each row stands for.

    Returns
    -------
    OrdinalFit

    Raises
    ------
    InputError
        ``E_GRADE_*``, ``E_WEIGHT`` and those of :func:`pkpd.response.fit_logistic`.
    FitError
        ``E_NO_MAXIMUM`` where responses separate.

    References
    ----------
    McCullagh P. J R Stat Soc B 1980;42:109-142, with the sign of MASS::polr: logit P(Y ≤ j) = ζ_j − η.
    """
    if intercepts not in ("separate", "common"):
        raise InputError("E_OPTION", f"intercepts={intercepts!r}.", "Choose among separate, common.")
    regressors, records = read_regressors(
        frame,
        exposure,
        histology,
        shape=shape,
        slopes=slopes,
        intercepts="contrast" if intercepts == "separate" and histology is not None else "none",
        covariates=covariates,
        reference_exposure=reference_exposure,
        unique_subjects=weights is None,
    )
    ids = records["ID"].to_numpy()
    code, levels = _grades(frame, response, grades, ids)
    weight = np.ones(len(code)) if weights is None else _weights(frame, weights)
    records.insert(1, "response", np.array(levels)[code])
    x = design_of(regressors, records)
    if x.shape[1] and np.linalg.matrix_rank(np.column_stack([np.ones(len(x)), x])) <= x.shape[1]:
        raise InputError(
            "E_ALIASED",
            "a combination of the columns of the model is constant, which the thresholds already cover.",
            "Leave out a covariate that another column determines.",
        )
    cuts = len(levels) - 1
    start = np.r_[np.zeros(x.shape[1]), _empirical_logits(code, weight, cuts)]
    bounds = _bounds(x, code, cuts)
    optimum = climb(lambda b: _objective(b, code, weight, *bounds), start)
    scale = np.r_[np.ptp(x, axis=0), np.ones(cuts)]
    infinite = optimum.unbounded(scale)[: x.shape[1]]
    if not optimum.converged or optimum.unbounded(scale).any():
        names = [n for n, bad in zip(regressors.names, infinite, strict=True) if bad] or ["a threshold"]
        raise FitError(
            "E_NO_MAXIMUM",
            f"the proportional-odds model of {response} has no finite maximum in {', '.join(names)}: grades separate.",
            "Pool grades or histologies, or fit the event 'grade ≥ j' with fit_logistic, which can take Firth's"
            " penalty.",
        )
    test, by_term, notes = _assumption(x, regressors.names, code, weight, cuts, optimum)
    for note in notes:
        _warnings.warn(note, PkpdWarning, stacklevel=2)
    thresholds = [f"{a}|{b}" for a, b in pairwise(levels)]
    coefficients, covariance = labelled([*regressors.names, *thresholds], optimum.point, optimum.covariance)
    table = pd.DataFrame({"histology": records["histology"], "code": code, "weight": weight})
    counts = table.pivot_table(
        index="histology", columns="code", values="weight", aggfunc="sum", fill_value=0.0
    ).reindex(index=list(regressors.histologies), columns=range(cuts + 1), fill_value=0.0)
    counts.columns = pd.Index(levels)
    return OrdinalFit(
        response=str(response),
        grades=levels,
        regressors=regressors,
        coefficients=coefficients,
        covariance=covariance,
        log_likelihood=optimum.value,
        counts=counts.reset_index(),
        records=records,
        proportional_odds=test,
        nominal=by_term,
        converged=optimum.converged,
        warnings=tuple(notes),
        evidence=stated_evidence(frame, dose, randomised, histology),
    )


def _grades(frame, response, grades, ids) -> tuple[np.ndarray, tuple[str, ...]]:
    column = column_of(frame, response)
    absent = column.isna().to_numpy()
    if absent.any():
        raise InputError(
            "E_GRADE_MISSING",
            f"grade {response} is missing for {named_subjects(ids, absent)}.",
            "Code subjects without event as the lowest grade, or leave them out.",
        )
    if grades is not None:
        order = [label_of(g) for g in grades]
    elif isinstance(column.dtype, pd.CategoricalDtype) and column.cat.ordered:
        order = [label_of(g) for g in column.cat.categories]
    elif pd.api.types.is_numeric_dtype(column):
        order = [label_of(g) for g in sorted(column.unique())]
    else:
        raise InputError(
            "E_GRADE_ORDER",
            f"grade {response} is text, which has no order.",
            "Name the levels from lowest to highest with grades=[...].",
        )
    labels = np.array([label_of(v) for v in column], dtype=object)
    strange = ~np.isin(labels.astype(str), order)
    if strange.any():
        raise InputError(
            "E_GRADE_UNKNOWN",
            f"grade {response} is {labels[strange][0]!r} for {named_subjects(ids, strange)}, not among grades.",
            f"grades names {', '.join(order)}.",
        )
    present = tuple(g for g in order if (labels == g).any())
    if len(present) < 2:
        raise InputError(
            "E_GRADE_CONSTANT", f"grade {response} is {present[0]} in every subject.", "Bring data that vary."
        )
    return np.array([present.index(v) for v in labels]), present


def _weights(frame, weights) -> np.ndarray:
    values = pd.to_numeric(column_of(frame, weights), errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    if not np.all(values > 0):
        raise InputError("E_WEIGHT", f"column {weights} must be positive everywhere.", "Drop empty rows.")
    return values


def _empirical_logits(code, weight, cuts) -> np.ndarray:
    below = np.array([weight[code <= j].sum() for j in range(cuts)]) / weight.sum()
    return np.log(below / (1 - below))


def _bounds(x: np.ndarray, code: np.ndarray, cuts: int, *, own: np.ndarray | None = None):
    """Rows U, L with U·b, L·b the logits at the upper and lower end of the observed grade.

    Columns of `own` have a coefficient per threshold (the model against which proportional odds is tested); these come
    first in b, then those of `x`, then the thresholds.
    """
    n = len(code)
    own = np.zeros((n, 0)) if own is None else own
    first, width = own.shape[1] * cuts, own.shape[1] * cuts + x.shape[1] + cuts

    def rows(j: np.ndarray) -> np.ndarray:
        out = np.zeros((n, width))
        inside = np.flatnonzero((j >= 0) & (j < cuts))
        out[inside, width - cuts + j[inside]] = 1.0
        out[inside, first : width - cuts] = -x[inside]
        for c in range(own.shape[1]):
            out[inside, c * cuts + j[inside]] = -own[inside, c]
        return out

    return rows(code), rows(code - 1), code < cuts, code > 0


def _objective(b, code, weight, upper, lower, has_upper, has_lower):
    """Σ w log(F(u) − F(l)); f, f' of the logistic distribution give gradient and Hessian."""
    u = np.where(has_upper, np.clip(upper @ b, -700, 700), 700.0)
    low = np.where(has_lower, np.clip(lower @ b, -700, 700), -700.0)
    fu, fl = 1 / (1 + np.exp(-u)), 1 / (1 + np.exp(-low))
    # a difference of survival functions is the accurate one in the upper tail
    prob = np.where(low > 0, 1 / (1 + np.exp(low)) - 1 / (1 + np.exp(u)), fu - fl)
    width = len(b)
    if np.any(~(prob > 0)):
        return -np.inf, np.zeros(width), np.zeros((width, width))
    du = fu * (1 - fu) * has_upper
    dl = fl * (1 - fl) * has_lower
    d2u, d2l = du * (1 - 2 * fu), dl * (1 - 2 * fl)
    slope = (du[:, None] * upper - dl[:, None] * lower) / prob[:, None]
    hessian = np.einsum("ij,ik->jk", upper, (weight * d2u / prob)[:, None] * upper)
    hessian -= np.einsum("ij,ik->jk", lower, (weight * d2l / prob)[:, None] * lower)
    hessian -= np.einsum("ij,ik->jk", slope, weight[:, None] * slope)
    return float(weight @ np.log(prob)), np.einsum("ij,i->j", slope, weight), hessian


def _assumption(
    x, names: Sequence[str], code, weight, cuts, optimum: SmoothOptimum
) -> tuple[LikelihoodRatio, pd.DataFrame, list[str]]:
    """Test all columns of η together, then the columns of each term, with coefficients of their own per threshold."""
    terms: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        terms.setdefault(str(name).split("[")[0], []).append(i)
    groups = [list(range(x.shape[1])), *terms.values()]
    tests, edge = [], []
    for free in groups:
        statistic, at_infinity = _own_coefficients(x, free, code, weight, cuts, optimum)
        df = len(free) * (cuts - 1)
        tests.append(
            (statistic, df, chi2_p_value(statistic, df) if df and np.isfinite(statistic) else np.nan)
        )
        edge.append(at_infinity)
    statistic, df, p_value = tests[0]
    table = pd.DataFrame(tests[1:], columns=["statistic", "df", "p_value"]).assign(term=list(terms))
    table = table[["term", "statistic", "df", "p_value"]]
    nan = float("nan")
    if df == 0:
        return LikelihoodRatio(0.0, 0, 1.0, 1.0, nan, 0, "proportional odds"), table, []
    notes = []
    if not np.isfinite(statistic):
        notes.append(
            "W_PROPORTIONAL_ODDS_UNTESTED: with coefficients of its own per threshold the model has no maximum in"
            " these data, so the proportional-odds assumption could not be tested."
        )
    elif edge[0]:
        notes.append(
            "W_PROPORTIONAL_ODDS_EDGE: with coefficients of its own per threshold one of them is infinite (a grade that"
            " a group does not have); the statistic is that of the limit, and its χ² p-value is rough."
        )
    if p_value < 0.05:
        notes.append(
            f"W_PROPORTIONAL_ODDS: coefficients differ between thresholds (χ² {statistic:.2f}, df {df},"
            f" p {p_value:.3g}); one odds ratio for all grades is doubtful."
        )
    return LikelihoodRatio(statistic, df, p_value, p_value, nan, 0, "proportional odds"), table, notes


def _own_coefficients(x, free: list[int], code, weight, cuts, optimum: SmoothOptimum) -> tuple[float, bool]:
    """2(l₁ − l₀) where the columns `free` have a coefficient per threshold, and whether one of these is infinite."""
    p = x.shape[1]
    tied = [c for c in range(p) if c not in free]
    start = np.r_[np.repeat(optimum.point[free], cuts), optimum.point[tied], optimum.point[p:]]
    bounds = _bounds(x[:, tied], code, cuts, own=x[:, free])
    own = climb(lambda b: _objective(b, code, weight, *bounds), start)
    scale = np.r_[np.repeat(np.ptp(x[:, free], axis=0), cuts), np.ptp(x[:, tied], axis=0), np.ones(cuts)]
    flat = np.abs(_objective(own.point, code, weight, *bounds)[1]) / scale
    if flat.max() > 1e-5:
        return float("nan"), False
    return max(2 * (own.value - optimum.value), 0.0), bool(own.unbounded(scale).any())
