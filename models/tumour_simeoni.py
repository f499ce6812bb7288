"""Tumour growth in xenografts: exponential, then linear; cells that are hit die after three stages (Simeoni)."""

import pkpd
from pkpd import exp


@pkpd.model
def tumour_simeoni(m):
    """Tumour weight W = Z1 + Z2 + Z3 + Z4 under a constant concentration C (covariate CONC, ng/mL; 0 for controls).

    dZ1/dt = LAMBDA0 Z1 / (1 + (LAMBDA0 W / LAMBDA1)^20)^(1/20) - K2 C Z1, then three stages with rate K1.
    Thetas are those of paclitaxel, experiment 1. Units: day, g, ng/mL. The tumour is eradicated above the threshold
    concentration LAMBDA0 / K2.

    Simeoni M, Magni P, Cammia C, et al. Predictive pharmacokinetic-pharmacodynamic modeling of tumor growth kinetics in
    xenograft models after administration of anticancer agents. Cancer Res 2004;64:1094-1101. doi:10.1158/0008-5472.CAN-03-2524
    """
    tvlam0 = m.theta("LAMBDA0", 0.273, unit="1/day", lower=0, label="Exponential growth rate")
    tvlam1 = m.theta("LAMBDA1", 0.814, unit="g/day", lower=0, label="Linear growth rate")
    k1 = m.theta("K1", 0.968, unit="1/day", lower=0, label="Rate of the stages of cell death")
    tvk2 = m.theta("K2", 6.29e-4, unit="mL/ng/day", lower=0, label="Potency")
    tvw0 = m.theta("W0", 0.1, unit="g", lower=0, label="Weight at the start")

    conc = m.covariate("CONC", unit="ng/mL")

    lam0 = m.parameter("LAMBDA0", tvlam0 * exp(m.eta("LAMBDA0", variance=0.02)), unit="1/day")
    lam1 = m.parameter("LAMBDA1", tvlam1, unit="g/day")
    k2 = m.parameter("K2", tvk2 * exp(m.eta("K2", variance=0.02)), unit="mL/ng/day")
    w0 = m.parameter("W0", tvw0 * exp(m.eta("W0", variance=0.02)), unit="g")

    z1 = m.compartment("growing", unit="g", initial=w0)
    z2, z3, z4 = (m.compartment(f"dying_{i}", unit="g") for i in (1, 2, 3))
    w = z1 + z2 + z3 + z4
    m.ode(z1, lam0 * z1 / (1 + (lam0 * w / lam1) ** 20) ** (1 / 20) - k2 * conc * z1)
    m.ode(z2, k2 * conc * z1 - k1 * z2)
    m.ode(z3, k1 * (z2 - z3))
    m.ode(z4, k1 * (z3 - z4))

    m.observe("weight", w, unit="g", proportional=m.sigma("PROP", 0.1))
