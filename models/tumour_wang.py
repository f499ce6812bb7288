"""Tumour size as exponential shrinkage and linear growth (Wang)."""

import pkpd
from pkpd import exp


@pkpd.model
def tumour_wang(m):
    """Sum of lesions over time: BASE exp(-SR t) + PR t.

    Log-normal BASE, SR and PR, proportional error. The thetas are starting values of a plausible size, not published
    estimates. Covariate START: time of the first treatment (0 where TIME counts from it). Units: week, mm.
    Time to growth is log(BASE SR / PR) / SR, or 0 where PR >= BASE SR.

    Wang Y, Sung C, Dartois C, et al. Elucidation of relationship between tumor size and survival in non-small-cell lung
    cancer patients can aid early decision making in clinical drug development. Clin Pharmacol Ther 2009;86:167-174.
    doi:10.1038/clpt.2009.64
    """
    tvbase = m.theta("BASE", 80.0, unit="mm", lower=0, label="Size at the start of treatment")
    tvsr = m.theta("SR", 0.05, unit="1/week", lower=0, label="Shrinkage rate")
    tvpr = m.theta("PR", 0.5, unit="mm/week", lower=0, label="Progression rate")

    base = m.parameter("BASE", tvbase * exp(m.eta("BASE", variance=0.4)), unit="mm")
    sr = m.parameter("SR", tvsr * exp(m.eta("SR", variance=0.5)), unit="1/week")
    pr = m.parameter("PR", tvpr * exp(m.eta("PR", variance=0.5)), unit="mm/week")

    t = m.time - m.covariate("START", unit="week")
    treated = pkpd.where(t > 0, t, 0)
    m.observe("sld", base * exp(-sr * treated) + pr * t, unit="mm", proportional=m.sigma("PROP", 0.1))
