"""Phenobarbital in newborn infants, from routine clinical data."""

import pkpd
from pkpd import exp


@pkpd.model
def phenobarbital(m):
    """Intravenous phenobarbital in newborns: one compartment, CL and V by powers of birth weight,
    proportional error.

    59 infants, 155 concentrations (datasets/phenobarbital). CL and V start at the published means of 0.0047
    L/h/kg and 0.96 L/kg (half-life 141 h), taken at the reference weight of 1.5 kg. Units: h, mg, L;
    concentrations in mg/L.

    Grasela TH Jr, Donn SM. Neonatal population pharmacokinetics of phenobarbital derived from routine
    clinical data. Dev Pharmacol Ther 1985;8(6):374-383.
    """
    tvcl = m.theta("CL", 0.00705, unit="L/h", lower=0, label="Clearance at 1.5 kg")
    tvv = m.theta("V", 1.44, unit="L", lower=0, label="Volume at 1.5 kg")
    wt_cl = m.theta("WT_CL", 1.0, label="Exponent of weight on CL")
    wt_v = m.theta("WT_V", 1.0, label="Exponent of weight on V")

    eta_cl = m.eta("CL", variance=0.05)
    eta_v = m.eta("V", variance=0.05)

    wt = m.covariate("WT", unit="kg")

    cl = m.parameter("CL", tvcl * exp(eta_cl) * (wt / 1.5) ** wt_cl, unit="L/h")
    v = m.parameter("V", tvv * exp(eta_v) * (wt / 1.5) ** wt_v, unit="L")

    central = m.compartment("central", unit="mg")
    m.ode(central, -cl / v * central)

    m.observe("cp", central / v, unit="mg/L", proportional=m.sigma("PROP", 0.15))
