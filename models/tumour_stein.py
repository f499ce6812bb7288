"""Tumour size as shrinkage and regrowth side by side (Stein-Fojo)."""

import pkpd
from pkpd import exp


@pkpd.model
def tumour_stein(m):
    """Sum of lesions over time: BASE (exp(-KS t) + exp(KG t) - 1) from the start of treatment, BASE exp(KG t) before it.

    Log-normal BASE, KG and KS, proportional error. Thetas are those published for pembrolizumab in
    non-small-cell lung cancer (Struemper 2025) and serve as starting values. Units: week, mm.
    Covariate START: time of the first treatment (0 where TIME counts from it).
    Time to growth is (log KS - log KG) / (KS + KG), or 0 where KS <= KG (``response.time_to_growth``).

    Stein WD, Figg WD, Dahut W, et al. Tumor growth rates derived from data for patients in a clinical trial correlate
    strongly with patient survival: a novel strategy for evaluation of clinical trial data. Oncologist 2008;13:1046-1054.
    doi:10.1634/theoncologist.2008-0075
    """
    tvbase = m.theta("BASE", 86.07, unit="mm", lower=0, label="Size at the start of treatment")
    tvkg = m.theta("KG", 0.00651, unit="1/week", lower=0, label="Growth rate")
    tvks = m.theta("KS", 0.0170, unit="1/week", lower=0, label="Shrinkage rate")

    base = m.parameter("BASE", tvbase * exp(m.eta("BASE", variance=0.4)), unit="mm")
    kg = m.parameter("KG", tvkg * exp(m.eta("KG", variance=0.5)), unit="1/week")
    ks = m.parameter("KS", tvks * exp(m.eta("KS", variance=0.5)), unit="1/week")

    t = m.time - m.covariate("START", unit="week")
    treated = pkpd.where(t > 0, t, 0)
    size = base * (exp(-ks * treated) + exp(kg * t) - 1)
    m.observe("sld", size, unit="mm", proportional=m.sigma("PROP", 0.1))
