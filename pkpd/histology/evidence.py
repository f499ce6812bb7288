"""What is known about one histology: estimates and their uncertainty, without any margin."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from pkpd.errors import InputError
from pkpd.results import result

__all__ = ["Contrast", "DoseForecast", "Evidence", "ObservedDose"]


@result
@dataclass(frozen=True, eq=False)
class Contrast:
    """A difference between a histology and the reference, as an estimate and sorted draws of its uncertainty.

    Attributes
    ----------
    estimate : float
        Point estimate (at the estimated coefficients); NaN where nobody was evaluable.
    values : ndarray
        Sorted draws.
    sd_own, sd_reference : float
        The parts of the standard deviation that come from the histology and from the reference; more
        patients in the histology shrink only the first.
    spread : float
        Factor on the distance of the draws from the estimate (1 except in :meth:`at_ratio`).
    """

    estimate: float
    values: np.ndarray
    sd_own: float
    sd_reference: float = 0.0
    spread: float = 1.0

    @staticmethod
    def of_draws(estimate: float, draws: np.ndarray, sd_own: float, sd_reference: float = 0.0) -> Contrast:
        """A contrast from draws in any order."""
        return Contrast(estimate, np.sort(np.asarray(draws, float).ravel()), sd_own, sd_reference)

    @staticmethod
    def normal(estimate: float, sd: float, sd_reference: float = 0.0, n: int = 2001) -> Contrast:
        """A normally distributed contrast, as its `n` mid-quantiles.

        `sd_reference` is the part of `sd` that comes from the reference.
        """
        from scipy.special import ndtri

        values = estimate + sd * ndtri((np.arange(n) + 0.5) / n)
        return Contrast(estimate, values, math.sqrt(max(sd**2 - sd_reference**2, 0.0)), sd_reference)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Contrast):
            return NotImplemented
        numbers = ("estimate", "sd_own", "sd_reference", "spread")
        return all(getattr(self, name) == getattr(other, name) for name in numbers) and np.array_equal(
            self.values, other.values
        )

    __hash__ = None  # type: ignore[assignment]

    def below(self, x: float) -> float:
        """P(contrast < x); NaN where the contrast is not known."""
        if math.isnan(self.estimate):
            return math.nan
        return float(np.searchsorted(self.values, self._unspread(x), side="left") / self.values.size)

    def above(self, x: float) -> float:
        """P(contrast > x); NaN where the contrast is not known."""
        if math.isnan(self.estimate):
            return math.nan
        return float(1.0 - np.searchsorted(self.values, self._unspread(x), side="right") / self.values.size)

    def interval(self, level: float = 0.90) -> tuple[float, float]:
        """Equal-tailed interval."""
        low, high = np.quantile(self.values, [(1 - level) / 2, (1 + level) / 2])
        at = self.estimate
        return float(at + self.spread * (low - at)), float(at + self.spread * (high - at))

    def at_ratio(self, ratio: float) -> Contrast:
        """The contrast if the histology had `ratio` times as many patients and the estimate held.

        The draws move towards the estimate so that the histology's own standard deviation shrinks as 1/√n.
        """
        own = self.sd_own / math.sqrt(ratio)
        before = math.hypot(self.sd_own, self.sd_reference)
        factor = 1.0 if before == 0 else math.hypot(own, self.sd_reference) / before
        return replace(self, sd_own=own, spread=self.spread * factor)

    def _unspread(self, x: float) -> float:
        return self.estimate + (x - self.estimate) / self.spread


@result
@dataclass(frozen=True)
class DoseForecast:
    """What a dose would do in the histology.

    Attributes
    ----------
    dose : float
        The dose.
    exposure : float
        Geometric mean exposure in the histology at the dose.
    response, ae : float
        Predicted probabilities, averaged over the histology's subjects.
    response_difference, ae_difference : Contrast
        The same minus the reference histology at the reference dose.
    """

    dose: float
    exposure: float
    response: float
    ae: float
    response_difference: Contrast
    ae_difference: Contrast


@result
@dataclass(frozen=True)
class ObservedDose:
    """The histology's own raw data at one studied dose.

    Attributes
    ----------
    dose : float
        The dose.
    n, responders : float
        Patients evaluable for response, and responders (fractions only in :meth:`Evidence.at_size`).
    n_ae, events : float
        Patients evaluable for the adverse event, and events.
    """

    dose: float
    n: float
    responders: float
    n_ae: float = 0
    events: float = 0


@result
@dataclass(frozen=True)
class Evidence:
    """Everything that the decision table asks about one histology.

    Attributes
    ----------
    histology, reference : str
        The histology and the one that it is compared with.
    n_pk, n_response, n_ae : int
        Patients evaluable for exposure, response and adverse event.
    log_ratio, log_ratio_se, log_ratio_se_reference : float
        Log of the marginal exposure ratio under the reference regimen, its standard error, and the part of it
        that comes from the reference.
    effect, safety : Contrast
        A and S: difference in response and in adverse-event probability at equal exposure, unshrunk.
    total : Contrast
        T: difference in response probability at the reference dose.
    forecasts : tuple of DoseForecast
        At every candidate dose.
    observed : tuple of ObservedDose
        Raw data per studied dose, ascending.
    evidence_class : str
        ``EC1`` randomised doses, ``EC2`` several doses not randomised, ``EC3`` one dose.
    highest_studied_dose : float
        In the whole study.
    studied_exposure : tuple of float
        5th and 95th percentile of all exposures in the study.
    shrinkage : float
        Largest shrinkage of the random effects that drive the exposure (0..1); NaN if not given.
    aliased_with : str
        What the histology cannot be told apart from (``"dose"``, ``"formulation"``, ``"study"`` …); empty if
        nothing.
    anchor : str
        The external knowledge that resolves the aliasing; empty if none.
    tolerated_dose : float
        Highest studied dose that is declared tolerated in the histology; NaN: the highest that was studied
        there.
    jeffreys : float
        Both parameters of the beta prior of the own response rate: ½ is Jeffreys'; analyses of sensitivity
        halve and double it.
    prior_sensitive : str
        What the verdict becomes under half or twice the prior; empty if it stays.
    dominated_by : str
        Histologies without which the verdict is another; empty if none.
    assays : tuple of str
        The biomarker assays by which the histology and the reference were selected.
    """

    histology: str
    reference: str
    n_pk: int
    n_response: int
    n_ae: int
    log_ratio: float
    log_ratio_se: float
    log_ratio_se_reference: float
    effect: Contrast
    safety: Contrast
    total: Contrast
    forecasts: tuple[DoseForecast, ...]
    observed: tuple[ObservedDose, ...]
    evidence_class: str
    highest_studied_dose: float
    studied_exposure: tuple[float, float]
    shrinkage: float = math.nan
    aliased_with: str = ""
    anchor: str = ""
    tolerated_dose: float = math.nan
    jeffreys: float = 0.5
    prior_sensitive: str = ""
    dominated_by: str = ""
    assays: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.evidence_class not in ("EC1", "EC2", "EC3"):
            raise InputError(
                "E_EVIDENCE_CLASS",
                f"evidence class {self.evidence_class!r} of histology {self.histology!r}.",
                "Use EC1 (randomised doses), EC2 (several doses) or EC3 (one dose).",
            )
        if not (math.isfinite(self.log_ratio) and self.log_ratio_se >= 0):
            raise InputError(
                "E_EVIDENCE_RATIO",
                f"histology {self.histology!r}: log exposure ratio {self.log_ratio!r} with standard error "
                f"{self.log_ratio_se!r}.",
                "Give a finite ratio and a standard error; refit if the covariance step failed.",
            )
        if not self.observed or any(o.responders > o.n or o.events > o.n_ae for o in self.observed):
            raise InputError(
                "E_EVIDENCE_OBSERVED",
                f"histology {self.histology!r} has no observed dose, or more events than patients at one.",
                "Give its raw data: patients, responders and events per dose.",
            )

    @property
    def n(self) -> int:
        """Smallest number of evaluable patients."""
        return min(self.n_pk, self.n_response, self.n_ae)

    def forecast(self, dose: float) -> DoseForecast:
        """The forecast at `dose`.

        Raises
        ------
        InputError
            ``E_EVIDENCE_DOSE`` if there is none.
        """
        for forecast in self.forecasts:
            if math.isclose(forecast.dose, dose, rel_tol=1e-9):
                return forecast
        raise InputError(
            "E_EVIDENCE_DOSE",
            f"histology {self.histology!r} has no forecast at dose {dose:g}.",
            "Gather the evidence with the same candidate doses as the margins.",
        )

    def own_data(self) -> ObservedDose:
        """Raw data at the highest tolerated studied dose."""
        limit = math.inf if math.isnan(self.tolerated_dose) else self.tolerated_dose * (1 + 1e-9)
        studied = sorted(self.observed, key=lambda o: o.dose)
        return ([o for o in studied if o.dose <= limit and o.n > 0] or studied)[-1]

    def p_response_below(self, p0: float) -> float:
        """P(ORR < p0) from the own data under the prior Beta(a, a), a = ``jeffreys``."""
        from scipy.special import betainc

        own, a = self.own_data(), self.jeffreys
        return float(betainc(own.responders + a, own.n - own.responders + a, p0))

    def exposure_probabilities(self, low: float, high: float) -> tuple[float, float, float]:
        """P(R < low), P(low ≤ R ≤ high), P(R > high) of the exposure ratio R."""
        from scipy.special import ndtr

        if self.log_ratio_se == 0:
            ratio = math.exp(self.log_ratio)
            return float(ratio < low), float(low <= ratio <= high), float(ratio > high)
        below = float(ndtr((math.log(low) - self.log_ratio) / self.log_ratio_se))
        above = float(ndtr((self.log_ratio - math.log(high)) / self.log_ratio_se))
        return below, 1.0 - below - above, above

    def at_size(self, n: int) -> Evidence:
        """The same evidence as it would be with `n` evaluable patients in the histology.

        Approximation: every point estimate and observed proportion holds, the standard errors that come from
        the histology shrink as 1/√n, those of the reference stay.
        """
        pk, response, ae = (n / max(count, 1) for count in (self.n_pk, self.n_response, self.n_ae))
        own = math.sqrt(max(self.log_ratio_se**2 - self.log_ratio_se_reference**2, 0.0)) / math.sqrt(pk)
        observed = tuple(
            replace(o, n=o.n * response, responders=o.responders * response) for o in self.observed
        )
        forecasts = tuple(
            replace(
                f,
                response_difference=f.response_difference.at_ratio(response),
                ae_difference=f.ae_difference.at_ratio(ae),
            )
            for f in self.forecasts
        )
        return replace(
            self,
            n_pk=n,
            n_response=n,
            n_ae=n,
            log_ratio_se=math.hypot(own, self.log_ratio_se_reference),
            effect=self.effect.at_ratio(response),
            safety=self.safety.at_ratio(ae),
            total=self.total.at_ratio(response),
            forecasts=forecasts,
            observed=observed,
        )
