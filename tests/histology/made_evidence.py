"""Evidence made to order: normal contrasts, so that every probability is known in closed form."""

from __future__ import annotations

import math

from pkpd.histology import Contrast, DoseForecast, Evidence, Margins, ObservedDose

DOSES = (0.5, 0.75, 1.0, 1.25, 1.5)
MARGINS = Margins(
    bounds=(0.80, 1.25),
    delta_efficacy=0.15,
    delta_safety=0.10,
    p0={"gastric": 0.20},
    candidate_doses=DOSES,
    reference_dose=1.0,
)


def evidence(
    *,
    n=100,
    n_response=None,
    n_ae=None,
    ratio=1.0,
    ratio_se=0.04,
    effect=0.0,
    effect_sd=0.03,
    safety=0.0,
    safety_sd=0.02,
    total=None,
    response_slope=0.0,
    ae_slope=0.0,
    ae_at_reference=None,
    forecast_sd=0.02,
    responders=45,
    observed=None,
    evidence_class="EC1",
    highest=1.0,
    studied=(0.3, 1.6),
    **more,
) -> Evidence:
    """A histology like the reference (response 0.5, AE 0.1) unless told otherwise."""
    total = effect if total is None else total
    ae_at_reference = safety if ae_at_reference is None else ae_at_reference
    forecasts = tuple(
        DoseForecast(
            dose=d,
            exposure=ratio * d,
            response=0.5 + total + response_slope * math.log(d),
            ae=0.1 + ae_at_reference + ae_slope * math.log(d),
            response_difference=Contrast.normal(total + response_slope * math.log(d), forecast_sd),
            ae_difference=Contrast.normal(ae_at_reference + ae_slope * math.log(d), forecast_sd),
        )
        for d in DOSES
    )
    values = {
        "histology": "gastric",
        "reference": "lung",
        "n_pk": n,
        "n_response": n if n_response is None else n_response,
        "n_ae": n if n_ae is None else n_ae,
        "log_ratio": math.log(ratio),
        "log_ratio_se": ratio_se,
        "log_ratio_se_reference": 0.0,
        "effect": Contrast.normal(effect, effect_sd),
        "safety": Contrast.normal(safety, safety_sd),
        "total": Contrast.normal(total, effect_sd),
        "forecasts": forecasts,
        "observed": observed or (ObservedDose(0.5, n, responders // 2), ObservedDose(1.0, n, responders)),
        "evidence_class": evidence_class,
        "highest_studied_dose": highest,
        "studied_exposure": studied,
    }
    return Evidence(**{**values, **more})
