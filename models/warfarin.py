"""Warfarin after one oral dose."""

import pkpd
from pkpd import exp


@pkpd.model
def warfarin(m):
    """Oral warfarin: one compartment, first-order absorption with a lag, weight to fixed powers.

    Thetas are starting values for the data of 32 healthy subjects after 1.5 mg/kg. Units: h, mg, L;
    concentrations in mg/L.

    O'Reilly RA, Aggeler PM. Studies on coumarin anticoagulant drugs: initiation of warfarin therapy without
    a loading dose. Circulation 1968;38(1):169-177. doi:10.1161/01.CIR.38.1.169
    """
    tvcl = m.theta("CL", 0.13, unit="L/h", lower=0, label="Apparent clearance, 70 kg")
    tvv = m.theta("V", 8.0, unit="L", lower=0, label="Apparent volume, 70 kg")
    tvka = m.theta("KA", 1.0, unit="1/h", lower=0, label="Absorption rate constant")
    tlag = m.theta("TLAG", 0.5, unit="h", lower=0, label="Absorption lag time")

    eta_cl, eta_v = m.etas("CL", "V", variance=[[0.1], [0.01, 0.1]])
    eta_ka = m.eta("KA", variance=0.5)

    wt = m.covariate("WT", unit="kg")

    cl = m.parameter("CL", tvcl * exp(eta_cl) * (wt / 70) ** 0.75, unit="L/h")
    v = m.parameter("V", tvv * exp(eta_v) * (wt / 70), unit="L")
    ka = m.parameter("KA", tvka * exp(eta_ka), unit="1/h")

    depot = m.compartment("depot", unit="mg", lag=tlag)
    central = m.compartment("central", unit="mg")
    m.ode(depot, -ka * depot)
    m.ode(central, ka * depot - cl / v * central)

    m.observe("cp", central / v, unit="mg/L", additive=m.sigma("ADD", 0.5), proportional=m.sigma("PROP", 0.1))
