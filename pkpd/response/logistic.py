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
from pkpd.response.curves import Curves
from pkpd.response.estimates import coverage, labelled
from pkpd.response.evidence import UNSTATED, stated_evidence
from pkpd.response.firth import maximise, recession_direction
from pkpd.response.likelihood_ratio import LikelihoodRatio, chi2_p_value
from pkpd.response.logistic_emax import fit_logistic_emax
from pkpd.response.observed import events_per_histology
from pkpd.response.profile import profile_interval
from pkpd.response.regressors import Regressors, design_of, read_regressors
from pkpd.results import result
from pkpd.statements import joined, say

__all__ = ["LogisticFit", "fit_logistic"]

FEW = 10  # events or non-events of a histology below which "auto" takes Firth's penalty


@result
@dataclass(frozen=True)
class LogisticFit(Curves):
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
        l and l + w · ½ log|X'WX| at the estimates (w the ``penalty`` where it was used, else 1).
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
    penalty : float
        Weight of the penalty where it was used; 1 is Firth's own.
    evidence : str
        Evidence class (EC1 randomised doses, EC2 several doses, EC3 one dose) of the doses in the data.
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
    penalty: float = 1.0
    evidence: str = UNSTATED

    @property
    def _weight(self) -> float:
        return self.penalty if self.firth else 0.0

    @property
    def shape(self) -> str:
        """How exposure enters: ``"linear"`` or ``"log"``."""
        return self.regressors.shape

    @property
    def reference_exposure(self) -> float:
        """Exposure at which intercepts are logits of the probability."""
        return self.regressors.reference_exposure

    def _scale_of(self, name: str) -> str:
        per = "ln exposure" if self.shape == "log" else "exposure"
        return f"logit per {per}" if name.split("[")[0] == "slope" else "logit"

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
        x = self.design(histology, exposure, covariates)
        beta = self._matrix_for(coefficients, x.shape[1])
        # of all histologies' columns those of the one asked for are not zero
        used = x.any(axis=0)
        return np.einsum("...j,ij->...i", beta[..., used], x[:, used])

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

    def curve(
        self, histology: Any, exposures: Any, level: float = 0.90, *, covariates: Any = None
    ) -> pd.DataFrame:
        """Probability along exposures, with pointwise intervals by the delta method on the logit scale.

        Returns
        -------
        DataFrame
            histology, exposure, probability, lower, upper.
        """
        from scipy.special import expit

        x = np.atleast_1d(np.asarray(exposures, dtype=float))
        rows = self.design(histology, x, covariates)
        eta = self.logit(histology, x, covariates=covariates)
        return self._along(histology, x, "probability", eta, rows, level, expit)

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
        x, y = self._data
        j = self._position(name)
        return profile_interval(
            x, y, self.coefficients.to_numpy(), j, firth=self._weight, level=coverage(level)
        )

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
        held = maximise(x, y, firth=self._weight, free=free, start=np.where(free, 0.0, start))
        if not held.converged:
            held = maximise(x, y, firth=self._weight, free=free, start=start)
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
            f"evidence class {self.evidence}",
            *self.warnings,
        ]
        return "\n".join(lines)


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
    ec50: str = "common",
    penalty: float = 1.0,
    dose: str | None = None,
    randomised: bool = False,
) -> LogisticFit | Any:  # Any: a LogisticEmaxFit, which callers of the plain shapes need not rule out
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
    shape : {"linear", "log", "emax", "sigmoid_emax"}
        f(x) = x − reference, ln(x / reference), or x^h / (EC50^h + x^h) with h = 1 or estimated; the last two
        are fitted by maximum likelihood, without Firth's penalty, and "slope" is then "emax".
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
    ec50 : {"common", "separate"}
        For the Emax shapes: one EC50 or one per histology.
    penalty : float
        Weight of Firth's penalty where it is used, for analyses of sensitivity: the penalty is Jeffreys' prior, and a
        weight of ½ or 2 halves or doubles what it counts.
    dose : str, optional
        Column of the dose that a subject was assigned; the fit then states its evidence class.
    randomised : bool
        Whether doses were randomised (within histologies, if these differ).

    Returns
    -------
    LogisticFit
        Or a :class:`pkpd.response.LogisticEmaxFit` for the Emax shapes.

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
    if shape in ("emax", "sigmoid_emax"):
        if firth is True or reference_exposure is not None or penalty != 1.0:
            raise InputError(
                "E_OPTION",
                f"shape={shape!r} takes neither firth=True nor reference_exposure nor penalty.",
                "Leave them out: the intercept is the logit at exposure 0.",
            )
        return fit_logistic_emax(
            frame,
            response,
            exposure,  # type: ignore[arg-type]
            histology,
            shape=shape,
            slopes=slopes,
            ec50=ec50,
            intercepts=intercepts,
            covariates=covariates,
            dose=dose,
            randomised=randomised,
        )
    if ec50 != "common":
        raise InputError("E_OPTION", f"ec50={ec50!r} needs an Emax shape.", "Leave it out.")
    if not 0 < penalty < 1e3 or (firth is False and penalty != 1.0):
        raise InputError(
            "E_OPTION",
            f"penalty={penalty!r} with firth={firth!r}.",
            "Give a positive weight, and firth='auto' or True.",
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
    counts = events_per_histology(records, regressors.histologies)
    notes: list[str] = []
    if y.min() == y.max():
        notes.append(
            f"W_ENDPOINT_CONSTANT: {response} is {int(y[0])} in all {len(y)} subjects;"
            " the estimates rest on Firth's penalty."
        )
    penalise, reason = _choose(firth, x, y, counts, regressors, records)
    optimum = maximise(x, y, firth=penalty if penalise else 0.0)
    if not optimum.converged:
        notes.append("W_NOT_CONVERGED: the likelihood could not be maximised to full accuracy.")
    for note in notes:
        _warnings.warn(note, PkpdWarning, stacklevel=2)
    coefficients, covariance = labelled(
        regressors.names, optimum.coefficients, np.linalg.inv(optimum.information)
    )
    return LogisticFit(
        response=str(response),
        regressors=regressors,
        coefficients=coefficients,
        covariance=covariance,
        log_likelihood=optimum.log_likelihood,
        penalised_log_likelihood=optimum.penalised_log_likelihood,
        firth=penalise,
        firth_reason=reason,
        counts=counts,
        records=records,
        converged=optimum.converged,
        warnings=tuple(notes),
        penalty=float(penalty),
        evidence=stated_evidence(frame, dose, randomised, histology),
    )


def _choose(firth, x, y, counts, regressors, records) -> tuple[bool, str]:
    if firth is True:
        return True, say("asked_for", "asked for")
    few = counts[(counts["events"] < FEW) | (counts["n"] - counts["events"] < FEW)]
    if firth == "auto" and len(few):
        return True, say(
            "few_events",
            "fewer than {few} events or non-events in {histologies}",
            few=f"{FEW}",
            histologies=joined(few["histology"], ", "),
        )
    free = maximise(x, y, firth=False, max_iterations=60)
    # a finite maximum reached well inside is proof enough; only doubtful cases need the linear programme
    inside = free.converged and np.abs(np.einsum("ij,j->i", x, free.coefficients)).max() < 15
    direction = None if inside else recession_direction(x, y)
    if direction is None:
        if firth is False:
            return False, say("asked_for", "asked for")
        return False, say(
            "no_separation", "at least {few} events and non-events, no separation", few=f"{FEW}"
        )
    infinite = [n for n, d in zip(regressors.names, direction, strict=True) if abs(d) > 1e-7]
    rising = np.abs(np.einsum("ij,j->i", x / np.abs(x).max(axis=0), direction)) > 1e-7
    where = [k for k in regressors.histologies if (rising & (records["histology"] == k).to_numpy()).any()]
    if firth == "auto":
        return True, say("separated", "the data separate in {histologies}", histologies=joined(where, ", "))
    raise FitError(
        "E_SEPARATION",
        f"the endpoint is separated in histology {', '.join(where)}:"
        f" {', '.join(infinite)} have no finite maximum likelihood estimate.",
        "Fit with firth='auto' or True.",
    )
