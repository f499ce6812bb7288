"""Logistic exposure-response with intercepts and slopes per histology, by plain or Firth's likelihood."""

from __future__ import annotations

import warnings as _warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import FitError, InputError, PkpdWarning
from pkpd.response.columns import binary_of
from pkpd.response.firth import maximise, recession_direction
from pkpd.response.likelihood_ratio import LikelihoodRatio, chi2_p_value
from pkpd.response.profile import profile_interval
from pkpd.response.regressors import Regressors, design_of, read_regressors
from pkpd.results import estimates_table, result

__all__ = ["LogisticFit", "fit_logistic"]

FEW = 10  # events or non-events of a histology below which "auto" takes Firth's penalty
PURPOSE = 0x4C46  # keeps the draws apart from those of other tasks with the same seed


@result
@dataclass(frozen=True)
class LogisticFit:
    """A fitted logistic exposure-response; it never fits anything again by itself.

    Attributes
    ----------
    response : str
        Name of the endpoint.
    regressors : Regressors
        What the columns of the linear predictor are. Intercepts are logits at the reference exposure, at the
        mean of numeric covariates and the reference level of text covariates; slopes are per unit of exposure
        (linear) or per unit of ln exposure (log).
    coefficients : Series
        By name: ``intercept[k]``, ``slope[k]`` (without ``[k]`` where common), covariates.
    covariance : DataFrame
        (X'WX)⁻¹ at the estimates, Fisher's information of the unpenalised likelihood, also under Firth's
        penalty.
    log_likelihood, penalised_log_likelihood : float
        l and l + ½ log|X'WX| at the estimates.
    firth : bool
        Whether the penalised likelihood was maximised.
    firth_reason : str
        Why it was or was not.
    counts : DataFrame
        histology, n, events.
    records : DataFrame
        The subjects as used: ID, response, exposure, histology, covariates.
    converged : bool
    warnings : tuple of str
        Each beginning with its code.
    """

    response: str
    regressors: Regressors
    coefficients: pd.Series
    covariance: pd.DataFrame
    log_likelihood: float
    penalised_log_likelihood: float
    firth: bool
    firth_reason: str
    counts: pd.DataFrame
    records: pd.DataFrame
    converged: bool
    warnings: tuple[str, ...] = ()

    @property
    def shape(self) -> str:
        """How exposure enters: ``"linear"`` or ``"log"``."""
        return self.regressors.shape

    @property
    def reference_exposure(self) -> float:
        """Exposure at which intercepts are logits of the probability."""
        return self.regressors.reference_exposure

    @property
    def histologies(self) -> tuple[str, ...]:
        """Levels, in order; ``("all",)`` without histology."""
        return self.regressors.histologies

    @property
    def standard_errors(self) -> pd.Series:
        """Square roots of the diagonal of :attr:`covariance`."""
        return pd.Series(np.sqrt(np.diag(self.covariance)), index=self.coefficients.index, name="se")

    @property
    def parameters(self) -> pd.DataFrame:
        """Estimates in the schema of :mod:`pkpd.results`, with Wald 95 % intervals.

        :meth:`profile_intervals` are the better ones where a histology has few events.
        """
        names = [str(n) for n in self.coefficients.index]
        per = "ln exposure" if self.shape == "log" else "exposure"
        scales = {n: f"logit per {per}" if n.split("[")[0] == "slope" else "logit" for n in names}
        return estimates_table(self.coefficients, self.standard_errors, scales=scales)

    @cached_property
    def _data(self) -> tuple[np.ndarray, np.ndarray]:
        return design_of(self.regressors, self.records), self.records["response"].to_numpy(dtype=float)

    def design(self, histology: Any, exposure: Any, covariates: Any = None) -> np.ndarray:
        """Rows of the design matrix; arguments as :meth:`Regressors.matrix`."""
        return self.regressors.matrix(histology, exposure, covariates)

    def logit(
        self, histology: Any, exposure: Any, coefficients: Any = None, *, covariates: Any = None
    ) -> np.ndarray:
        """Linear predictor; arguments and shape as :meth:`probability`."""
        beta = self.coefficients.to_numpy() if coefficients is None else np.asarray(coefficients, dtype=float)
        x = self.design(histology, exposure, covariates)
        if beta.shape[-1] != x.shape[1]:
            raise InputError(
                "E_COEFFICIENTS_SHAPE",
                f"coefficients of shape {beta.shape} for {x.shape[1]} columns.",
                "Give one column per name in `coefficients`, as draws() does.",
            )
        return np.einsum("...j,ij->...i", beta, x)

    def probability(
        self, histology: Any, exposure: Any, coefficients: Any = None, *, covariates: Any = None
    ) -> np.ndarray:
        """Probability of the endpoint.

        Parameters
        ----------
        histology : str or sequence of str
        exposure : float or sequence of float
            n values.
        coefficients : array_like, shape (p,) or (d, p), optional
            Instead of the estimates, e.g. from :meth:`draws`.
        covariates : mapping or DataFrame, optional
            Default: mean and reference level.

        Returns
        -------
        ndarray, shape (n,) or (d, n)
        """
        from scipy.special import expit

        return expit(self.logit(histology, exposure, coefficients, covariates=covariates))

    def draws(self, n: int, seed: int = 0) -> np.ndarray:
        """Draw coefficients from the multivariate normal with the estimates and their covariance.

        Returns
        -------
        ndarray, shape (n, p)
            The same for the same seed, whatever else was drawn.
        """
        if n < 1 or seed < 0:
            raise InputError("E_OPTION", f"n={n!r}, seed={seed!r}.", "Give n >= 1 and a seed >= 0.")
        sequence = np.random.SeedSequence(int(seed), spawn_key=(PURPOSE,))
        normal = np.random.Generator(np.random.Philox(sequence)).standard_normal((n, len(self.coefficients)))
        factor = np.linalg.cholesky(self.covariance.to_numpy())
        return self.coefficients.to_numpy() + np.einsum("ij,kj->ik", normal, factor)

    def curve(
        self, histology: Any, exposures: Any, level: float = 0.90, *, covariates: Any = None
    ) -> pd.DataFrame:
        """Probability along exposures, with pointwise intervals by the delta method on the logit scale.

        Returns
        -------
        DataFrame
            histology, exposure, probability, lower, upper.
        """
        from scipy.special import expit, ndtri

        x = np.atleast_1d(np.asarray(exposures, dtype=float))
        rows = self.design(histology, x, covariates)
        eta = self.logit(histology, x, covariates=covariates)
        se = np.sqrt(np.einsum("ij,jk,ik->i", rows, self.covariance.to_numpy(), rows))
        z = ndtri(0.5 + _level(level) / 2)
        return pd.DataFrame(
            {
                "histology": self.histologies[0] if histology is None else histology,
                "exposure": x,
                "probability": expit(eta),
                "lower": expit(eta - z * se),
                "upper": expit(eta + z * se),
            }
        )

    def profile_interval(self, name: str, level: float = 0.95) -> tuple[float, float]:
        """Interval of one coefficient from the profile of the likelihood that was maximised.

        Where Firth's penalty was used, the penalty comes from the full design at the constrained coefficients
        (Heinze & Schemper 2002), which is what makes intervals of separated histologies usable where Wald's
        are not.

        Returns
        -------
        (lower, upper) : tuple of float
            An end is infinite where the profile never falls far enough.
        """
        self._position(name)
        x, y = self._data
        j = self._position(name)
        return profile_interval(x, y, self.coefficients.to_numpy(), j, firth=self.firth, level=_level(level))

    def profile_intervals(self, level: float = 0.95) -> pd.DataFrame:
        """Profile intervals of all coefficients: columns estimate, lower, upper; indexed by parameter."""
        ends = [self.profile_interval(str(name), level) for name in self.coefficients.index]
        table = pd.DataFrame(
            ends, columns=["lower", "upper"], index=self.coefficients.index.rename("parameter")
        )
        table.insert(0, "estimate", self.coefficients.to_numpy())
        return table

    def likelihood_ratio(self, names: str | Sequence[str], value: float = 0.0) -> LikelihoodRatio:
        """Test that the named coefficients equal `value`, by the likelihood that was maximised.

        Under Firth's penalty this is the penalised likelihood ratio: both terms are the penalised likelihood
        of the full design (refitting a smaller design would compare two different functions). χ² p-value
        only.
        """
        names = (names,) if isinstance(names, str) else tuple(names)
        x, y = self._data
        free = np.ones(x.shape[1], dtype=bool)
        start = self.coefficients.to_numpy(copy=True)
        for name in names:
            free[self._position(name)] = False
            start[self._position(name)] = value
        held = maximise(x, y, firth=self.firth, free=free, start=np.where(free, 0.0, start))
        if not held.converged:
            held = maximise(x, y, firth=self.firth, free=free, start=start)
        if self.firth:
            statistic = 2 * (self.penalised_log_likelihood - held.penalised_log_likelihood)
        else:
            statistic = 2 * (self.log_likelihood - held.log_likelihood)
        statistic = max(statistic, 0.0)
        p = chi2_p_value(statistic, len(names))
        kind = "penalised: " if self.firth else ""
        return LikelihoodRatio(statistic, len(names), p, p, float("nan"), 0, kind + ", ".join(names))

    def summary(self) -> str:
        """Describe the fit in plain text: what was fitted, how, and the table of estimates."""
        method = "Firth's penalised likelihood" if self.firth else "maximum likelihood"
        lines = [
            f"Logistic exposure-response of {self.response}: {len(self.records)} subjects,"
            f" {int(self.counts['events'].sum())} events, {method} ({self.firth_reason})",
            f"log-likelihood {self.log_likelihood:.4f}, penalised {self.penalised_log_likelihood:.4f}",
            self.parameters[["estimate", "se", "lower", "upper"]].to_string(
                float_format=lambda v: f"{v:.5g}"
            ),
            *self.warnings,
        ]
        return "\n".join(lines)

    def _position(self, name: str) -> int:
        if name not in self.coefficients.index:
            raise InputError(
                "E_PARAMETER_UNKNOWN",
                f"there is no coefficient {name!r}.",
                f"Choose among {', '.join(str(n) for n in self.coefficients.index)}.",
            )
        return [str(n) for n in self.coefficients.index].index(name)


def fit_logistic(
    frame: pd.DataFrame,
    response: str,
    exposure: str | None,
    histology: str | None = None,
    *,
    shape: str = "linear",
    slopes: str = "separate",
    intercepts: str = "separate",
    covariates: Sequence[str] | Mapping[str, str | None] = (),
    firth: str | bool = "auto",
    reference_exposure: float | None = None,
) -> LogisticFit:
    """Fit logit P(y=1) = intercept[k] + slope[k] · f(exposure) + covariates, k the histology.

    Parameters
    ----------
    frame : DataFrame
        One row per subject. Subjects are named in errors by column ID, else by the index.
    response : str
        Column with 0/1 or booleans.
    exposure : str or None
        Column; None with ``slopes="none"``.
    histology : str, optional
        Column; without it there is one intercept and one slope.
    shape : {"linear", "log"}
        f(x) = x − reference, or ln(x / reference).
    slopes : {"separate", "common", "none"}
    intercepts : {"separate", "common"}
    covariates : sequence of str, or mapping from name to reference level
        Numeric columns enter centred at their mean; text and boolean columns as dummies against a reference
        level, the most frequent one unless named.
    firth : {"auto", True, False}
        ``"auto"`` takes Firth's penalty where the data separate or a histology has fewer than 10 events or
        non-events.
    reference_exposure : float, optional
        Default: geometric mean of all exposures for ``"log"``, 0 for ``"linear"``.

    Returns
    -------
    LogisticFit

    Raises
    ------
    InputError
        ``E_FRAME_EMPTY``, ``E_COLUMN_MISSING``, ``E_ENDPOINT_NOT_BINARY``, ``E_ENDPOINT_MISSING``,
        ``E_EXPOSURE_MISSING``, ``E_EXPOSURE_NOT_POSITIVE``, ``E_HISTOLOGY_MISSING``, ``E_COVARIATE_MISSING``,
        ``E_ONE_SUBJECT``, ``E_SLOPE_NOT_ESTIMABLE``, ``E_ALIASED``, ``E_OPTION`` …
    FitError
        ``E_SEPARATION`` with ``firth=False``, naming coefficients and histologies without finite estimates.
    """
    if firth not in ("auto", True, False):
        raise InputError(
            "E_OPTION", f"firth={firth!r} is not supported.", "Choose among 'auto', True, False."
        )
    if intercepts not in ("separate", "common"):
        raise InputError(
            "E_OPTION", f"intercepts={intercepts!r} is not supported.", "Choose among separate, common."
        )
    regressors, records = read_regressors(
        frame,
        exposure,
        histology,
        shape=shape,
        slopes=slopes,
        intercepts=intercepts,
        covariates=covariates,
        reference_exposure=reference_exposure,
    )
    y = binary_of(frame, response, records["ID"].to_numpy())
    records.insert(1, "response", y)
    if len(y) == 1:
        raise InputError(
            "E_ONE_SUBJECT", "one subject does not determine an exposure-response.", "Bring more subjects."
        )
    x = design_of(regressors, records)
    counts = _counts(records, regressors.histologies)
    notes: list[str] = []
    if y.min() == y.max():
        notes.append(
            f"W_ENDPOINT_CONSTANT: {response} is {int(y[0])} in all {len(y)} subjects;"
            " the estimates rest on Firth's penalty."
        )
    penalise, reason = _choose(firth, x, y, counts, regressors, records)
    optimum = maximise(x, y, firth=penalise)
    if not optimum.converged:
        notes.append("W_NOT_CONVERGED: the likelihood could not be maximised to full accuracy.")
    for note in notes:
        _warnings.warn(note, PkpdWarning, stacklevel=2)
    names = list(regressors.names)
    covariance = np.linalg.inv(optimum.information)
    covariance = (covariance + covariance.T) / 2
    return LogisticFit(
        response=str(response),
        regressors=regressors,
        coefficients=pd.Series(optimum.coefficients, index=names, name="estimate"),
        covariance=pd.DataFrame(covariance, index=names, columns=names),
        log_likelihood=optimum.log_likelihood,
        penalised_log_likelihood=optimum.penalised_log_likelihood,
        firth=penalise,
        firth_reason=reason,
        counts=counts,
        records=records,
        converged=optimum.converged,
        warnings=tuple(notes),
    )


def _counts(records: pd.DataFrame, histologies: tuple[str, ...]) -> pd.DataFrame:
    grouped = records.groupby("histology")["response"].agg(["size", "sum"]).reindex(list(histologies))
    return pd.DataFrame(
        {
            "histology": list(histologies),
            "n": grouped["size"].to_numpy(dtype=np.int64),
            "events": grouped["sum"].to_numpy(dtype=np.int64),
        }
    )


def _choose(firth, x, y, counts, regressors, records) -> tuple[bool, str]:
    if firth is True:
        return True, "asked for"
    few = counts[(counts["events"] < FEW) | (counts["n"] - counts["events"] < FEW)]
    if firth == "auto" and len(few):
        return True, f"fewer than {FEW} events or non-events in {', '.join(few['histology'])}"
    free = maximise(x, y, firth=False, max_iterations=60)
    # a finite maximum reached well inside is proof enough; only doubtful cases need the linear programme
    if free.converged and np.abs(np.einsum("ij,j->i", x, free.coefficients)).max() < 15:
        return (
            False,
            "asked for" if firth is False else f"at least {FEW} events and non-events, no separation",
        )
    direction = recession_direction(x, y)
    if direction is None:
        return (
            False,
            "asked for" if firth is False else f"at least {FEW} events and non-events, no separation",
        )
    infinite = [n for n, d in zip(regressors.names, direction, strict=True) if abs(d) > 1e-7]
    rising = np.abs(np.einsum("ij,j->i", x / np.abs(x).max(axis=0), direction)) > 1e-7
    where = [k for k in regressors.histologies if (rising & (records["histology"] == k).to_numpy()).any()]
    if firth == "auto":
        return True, f"the data separate in {', '.join(where)}"
    raise FitError(
        "E_SEPARATION",
        f"the endpoint is separated in histology {', '.join(where)}:"
        f" {', '.join(infinite)} have no finite maximum likelihood estimate.",
        "Fit with firth='auto' or True.",
    )


def _level(level: float) -> float:
    if not 0 < level < 1:
        raise InputError("E_LEVEL", f"level={level!r} is not between 0 and 1.", "Give e.g. 0.90.")
    return float(level)
