"""What might be true of a planned trial: exposure, response and adverse events per histology."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.histology import Contrast, DoseForecast, Evidence, Margins, ObservedDose
from pkpd.results import result

__all__ = ["Scenario", "scenarios_of", "simulated_trial", "true_evidence"]

COUNTLESS = 10**7  # patients at whom a truth counts as known
NODES = 40  # of the normal distribution of log exposure: probabilities to 1e-9 at any slope of practice


@result
@dataclass(frozen=True)
class Scenario:
    """A truth under which trials are simulated.

    Exposure is log-normal within each histology; the logit of either endpoint is linear in log exposure.

    Parameters
    ----------
    name : str
    response, ae : dict of str to float
        Probability of response and of the adverse event at equal exposure: the reference histology's median
        at the reference dose. A histology that is not named is like the reference, which must be named.
    cv : float
        Coefficient of variation of exposure between the patients of a histology, as a fraction.
    response_slope, ae_slope : float
        Change of the logit per unit of log exposure.
    ratio : dict of str to float
        Exposure relative to the reference histology at the same dose; 1 where not named.

    Raises
    ------
    InputError
        ``E_SCENARIO``: a probability, ratio or CV out of range.
    """

    name: str
    response: Mapping[str, float]
    ae: Mapping[str, float]
    cv: float
    response_slope: float
    ae_slope: float
    ratio: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for what, values in {"response": self.response, "ae": self.ae}.items():
            for histology, value in dict(values).items():
                if not 0 < float(value) < 1:
                    raise _refused(
                        self.name,
                        f"{what} of {histology!r} is {value!r}",
                        "Give a probability between 0 and 1: 30 % is 0.30.",
                    )
        for histology, value in dict(self.ratio).items():
            if not (math.isfinite(float(value)) and float(value) > 0):
                raise _refused(
                    self.name, f"ratio of {histology!r} is {value!r}", "Give an exposure ratio above 0."
                )
        if not (math.isfinite(self.cv) and 0 < self.cv < 3):
            raise _refused(self.name, f"cv is {self.cv!r}", "Give a fraction, e.g. 0.35.")
        if not (math.isfinite(self.response_slope) and math.isfinite(self.ae_slope)):
            raise _refused(self.name, "a slope is not finite", "Give log odds per unit of log exposure.")

    @property
    def sd(self) -> float:
        """Standard deviation of log exposure within a histology."""
        return math.sqrt(math.log1p(self.cv**2))

    def check(self, histologies: tuple[str, ...], reference: str) -> None:
        """Refuse names that the trial does not have, and a reference without probabilities."""
        for what, values in {"response": self.response, "ae": self.ae, "ratio": self.ratio}.items():
            unknown = sorted(set(values) - set(histologies))
            if unknown:
                raise _refused(
                    self.name, f"{what} names {unknown!r}", f"The trial has {', '.join(histologies)}."
                )
            if what != "ratio" and reference not in values:
                raise _refused(
                    self.name, f"{what} lacks the reference {reference!r}", "Give its probability."
                )
        if float(self.ratio.get(reference, 1.0)) != 1.0:
            raise _refused(
                self.name, f"ratio of the reference {reference!r} is not 1", "Ratios are relative to it."
            )

    def probability(self, endpoint: str, histology: str, reference: str, log_exposure: Any) -> np.ndarray:
        """Probability of ``"response"`` or ``"ae"`` at log exposures relative to the reference's median."""
        level = self.response if endpoint == "response" else self.ae
        slope = self.response_slope if endpoint == "response" else self.ae_slope
        p = float(level.get(histology, level[reference]))
        return 0.5 * (1 + np.tanh(0.5 * (math.log(p / (1 - p)) + slope * np.asarray(log_exposure))))

    def mean_probability(self, endpoint: str, histology: str, reference: str, dose_ratio: float) -> float:
        """Mean over the histology's patients at a multiple of the reference dose."""
        x, w = np.polynomial.hermite_e.hermegauss(NODES)
        centre = math.log(float(self.ratio.get(histology, 1.0)) * dose_ratio)
        p = self.probability(endpoint, histology, reference, centre + self.sd * x)
        return float(p @ w / w.sum())


def _refused(name: str, what: str, remedy: str) -> InputError:
    return InputError("E_SCENARIO", f"scenario {name!r}: {what}.", remedy)


def scenarios_of(scenarios: object) -> tuple[Scenario, ...]:
    """Scenarios from what a user gives: one, several, or mappings with their fields.

    Raises
    ------
    InputError
        ``E_SCENARIO``: none at all, a field missing or unknown, or the same name twice.
    """
    if isinstance(scenarios, (Scenario, Mapping)):
        scenarios = [scenarios]
    try:
        items = list(scenarios)  # type: ignore[call-overload]
    except TypeError:
        items = [scenarios]
    found = []
    for item in items:
        if isinstance(item, Scenario):
            found.append(item)
            continue
        if not isinstance(item, Mapping):
            raise _refused(
                "?", f"{item!r} is no scenario", "Give pkpd.Scenario(...) or a dict of its fields."
            )
        try:
            found.append(Scenario(**{str(k): v for k, v in item.items()}))
        except TypeError as error:
            raise _refused(
                str(item.get("name", "?")), str(error), "Give the fields of pkpd.Scenario."
            ) from None
    names = [s.name for s in found]
    if not found or len(set(names)) < len(names):
        raise _refused(", ".join(names) or "none", "at least one, each with a name of its own", "Name them.")
    return tuple(found)


def simulated_trial(
    scenario: Scenario,
    design: pd.DataFrame,
    reference: str,
    reference_dose: float,
    stream: np.random.Generator,
) -> pd.DataFrame:
    """Draw one trial with the design's own histologies, doses and evaluability.

    Parameters
    ----------
    design : DataFrame
        One row per patient: ID, histology, dose, evaluable_response, evaluable_ae.

    Returns
    -------
    DataFrame
        The design with exposure (at the dose given), reference (at the reference dose), response and ae (0, 1
        or NaN where not evaluable).
    """
    labels, doses = design["histology"].to_numpy(), design["dose"].to_numpy(float)
    log_ratio = np.log([float(scenario.ratio.get(h, 1.0)) for h in labels])
    at_reference = log_ratio + scenario.sd * stream.standard_normal(len(design))
    at_dose = at_reference + np.log(doses / reference_dose)
    trial = design.copy()
    trial["exposure"], trial["reference"] = np.exp(at_dose), np.exp(at_reference)
    for endpoint in ("response", "ae"):
        p = np.empty(len(design))
        for level in dict.fromkeys(labels):
            own = labels == level
            p[own] = scenario.probability(endpoint, level, reference, at_dose[own])
        drawn = (stream.random(len(design)) < p).astype(float)
        trial[endpoint] = np.where(design[f"evaluable_{endpoint}"], drawn, np.nan)
    return trial


def true_evidence(
    scenario: Scenario, evidence: Mapping[str, Evidence], margins: Margins
) -> dict[str, Evidence]:
    """Evidence of one trial with every estimate replaced by the truth, known exactly.

    The design's own features (doses studied, evidence class, aliasing) stay: they limit what even a known
    truth allows to conclude.
    """
    known = {}
    for histology, own in evidence.items():
        ref = own.reference

        def mean(endpoint: str, who: str, dose: float, home: str = ref) -> float:
            return scenario.mean_probability(endpoint, who, home, dose / margins.reference_dose)

        base = {e: mean(e, ref, margins.reference_dose) for e in ("response", "ae")}
        equal = {
            e: float(scenario.probability(e, histology, ref, 0.0) - scenario.probability(e, ref, ref, 0.0))
            for e in ("response", "ae")
        }
        ratio = float(scenario.ratio.get(histology, 1.0))
        forecasts = tuple(
            DoseForecast(
                dose=f.dose,
                exposure=f.exposure,
                response=mean("response", histology, f.dose),
                ae=mean("ae", histology, f.dose),
                response_difference=_exactly(mean("response", histology, f.dose) - base["response"]),
                ae_difference=_exactly(mean("ae", histology, f.dose) - base["ae"]),
            )
            for f in own.forecasts
        )
        at_reference = next(f for f in forecasts if f.dose == margins.reference_dose)
        observed = tuple(
            ObservedDose(
                o.dose,
                COUNTLESS,
                COUNTLESS * mean("response", histology, o.dose),
                COUNTLESS,
                COUNTLESS * mean("ae", histology, o.dose),
            )
            for o in own.observed
        )
        known[histology] = Evidence(
            histology=histology,
            reference=ref,
            n_pk=COUNTLESS,
            n_response=COUNTLESS,
            n_ae=COUNTLESS,
            log_ratio=math.log(ratio),
            log_ratio_se=0.0,
            log_ratio_se_reference=0.0,
            effect=_exactly(equal["response"]),
            safety=_exactly(equal["ae"]),
            total=at_reference.response_difference,
            forecasts=forecasts,
            observed=observed,
            evidence_class=own.evidence_class,
            highest_studied_dose=own.highest_studied_dose,
            studied_exposure=own.studied_exposure,
            aliased_with=own.aliased_with,
            anchor=own.anchor,
            tolerated_dose=own.tolerated_dose,
        )
    return known


def _exactly(value: float) -> Contrast:
    return Contrast.normal(value, 0.0, n=1)
