"""Theophylline after one oral dose: the model of the classical twelve-subject example."""

import pkpd
from pkpd import exp


@pkpd.model
def theophylline(m):
    """Oral theophylline: one compartment, first-order absorption, log-normal KA, CL and V, additive error.

    Twelve healthy subjects, 132 concentrations (datasets/theophylline). Thetas are starting values.
    Units: h, mg, L; concentrations in mg/L.

    Boeckmann AJ, Sheiner LB, Beal SL. NONMEM Users Guide: Part V. NONMEM Project Group, University of
    California, San Francisco, 1994 (data of R. A. Upton).
    """
    tvka = m.theta("KA", 1.5, unit="1/h", lower=0, label="Absorption rate constant")
    tvcl = m.theta("CL", 2.7, unit="L/h", lower=0, label="Apparent clearance")
    tvv = m.theta("V", 31.0, unit="L", lower=0, label="Apparent volume")

    eta_ka = m.eta("KA", variance=0.5)
    eta_cl = m.eta("CL", variance=0.1)
    eta_v = m.eta("V", variance=0.05)

    ka = m.parameter("KA", tvka * exp(eta_ka), unit="1/h")
    cl = m.parameter("CL", tvcl * exp(eta_cl), unit="L/h")
    v = m.parameter("V", tvv * exp(eta_v), unit="L")

    depot = m.compartment("depot", unit="mg")
    central = m.compartment("central", unit="mg")
    m.ode(depot, -ka * depot)
    m.ode(central, ka * depot - cl / v * central)

    m.observe("cp", central / v, unit="mg/L", additive=m.sigma("ADD", 0.8))
