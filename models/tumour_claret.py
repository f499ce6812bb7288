"""Tumour size under a treatment effect that resistance wears off (Claret), simplified closed form."""

import pkpd
from pkpd import exp


@pkpd.model
def tumour_claret(m):
    """Sum of lesions over time: dy/dt = KL y - KD exp(-LAMBDA t) E y, y(0) = BASE, with E the exposure of the patient.

    Solved in closed form for an exposure that is constant from time 0:
    y = BASE exp(KL t - KD E / LAMBDA (1 - exp(-LAMBDA t))). Thetas are those published for motesanib in
    non-small-cell lung cancer with E = 1 (Claret 2014, where the supplement prints KDE and LAMBDA transposed) and serve as
    starting values. Covariate EXPOSURE: 1, or the patient's exposure relative to that of a reference; 0 for no drug;
    START: time of the first treatment (0 where TIME counts from it). Units: day, mm.
    Time to growth is log(KD E / KL) / LAMBDA, or 0 where KD E <= KL.

    Claret L, Girard P, Hoff PM, et al. Model-based prediction of phase III overall survival in colorectal cancer on the basis
    of phase II tumor dynamics. J Clin Oncol 2009;27:4103-4108. doi:10.1200/JCO.2008.21.0807
    Claret L, Bruno R, Lu JF, et al. Exploratory modeling and simulation to support development of motesanib in Asian patients
    with non-small cell lung cancer based on MONET1 study results. Clin Pharmacol Ther 2014;95:446-451. doi:10.1038/clpt.2014.11
    """
    tvbase = m.theta("BASE", 90.0, unit="mm", lower=0, label="Size at the start of treatment")
    tvkl = m.theta("KL", 0.00107, unit="1/day", lower=0, label="Growth rate")
    tvkd = m.theta("KD", 0.0103, unit="1/day", lower=0, label="Kill rate at exposure 1")
    tvlam = m.theta("LAMBDA", 0.0193, unit="1/day", lower=0, label="Rate at which resistance appears")

    exposure = m.covariate("EXPOSURE")

    # published between-patient SDs: 0.683, 1.18, 0.679, 0.797
    base = m.parameter("BASE", tvbase * exp(m.eta("BASE", variance=0.466)), unit="mm")
    kl = m.parameter("KL", tvkl * exp(m.eta("KL", variance=1.39)), unit="1/day")
    kd = m.parameter("KD", tvkd * exp(m.eta("KD", variance=0.461)), unit="1/day")
    lam = m.parameter("LAMBDA", tvlam * exp(m.eta("LAMBDA", variance=0.635)), unit="1/day")

    t = m.time - m.covariate("START", unit="day")
    treated = pkpd.where(t > 0, t, 0)
    size = base * exp(kl * t - kd * exposure / lam * (1 - exp(-lam * treated)))
    m.observe("sld", size, unit="mm", additive=m.sigma("ADD", 7.849))
