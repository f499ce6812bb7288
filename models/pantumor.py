"""Pan-tumour trial of a fictitious oral drug: the population model of datasets/pantumor."""

import pkpd
from pkpd import exp


@pkpd.model
def pantumor(m):
    """Fictitious oral drug in six tumour types: two compartments, first-order absorption with a lag.

    Structure and variability are those of trametinib:
    Balakirouchenane D, Guegan S, Csajka C, et al. Population pharmacokinetics/pharmacodynamics of
    dabrafenib plus trametinib in patients with BRAF-mutated metastatic melanoma. Cancers 2020;12(4):931,
    Table 3. doi:10.3390/cancers12040931

    CL and Q scale with body weight to the power 0.75, volumes with the power 1 (theory, fixed). The tumour
    type acts on clearance. Absorption rate and lag are fixed at the published values: the trial's first
    sample is at 1.5 h, after most of the absorption. The residual error is proportional.

    Units: h, mg, L; concentrations in ng/mL (mg/L × 1000).
    """
    tvcl = m.theta("CL", 5.0, unit="L/h", lower=0, label="Apparent clearance, 75 kg, reference tumour type")
    tvv2 = m.theta("V2", 70.0, unit="L", lower=0, label="Apparent central volume, 75 kg")
    tvq = m.theta("Q", 60.0, unit="L/h", lower=0, label="Apparent intercompartmental clearance, 75 kg")
    tvv3 = m.theta("V3", 400.0, unit="L", lower=0, label="Apparent peripheral volume, 75 kg")
    ka = m.theta("KA", 0.913, unit="1/h", lower=0, fixed=True, label="Absorption rate constant")
    tlag = m.theta("TLAG", 0.709, unit="h", lower=0, fixed=True, label="Absorption lag time")

    eta_cl = m.eta("CL", variance=0.1)
    eta_q = m.eta("Q", variance=0.3)

    wt = m.covariate("WT", unit="kg")
    tumour = m.factor("TUMOR", reference="lung")

    flow, volume = (wt / 75) ** 0.75, wt / 75
    cl = m.parameter("CL", tvcl * exp(eta_cl + tumour.effect("CL")) * flow, unit="L/h")
    v2 = m.parameter("V2", tvv2 * volume, unit="L")
    q = m.parameter("Q", tvq * exp(eta_q) * flow, unit="L/h")
    v3 = m.parameter("V3", tvv3 * volume, unit="L")

    depot = m.compartment("depot", unit="mg", lag=tlag)
    central = m.compartment("central", unit="mg")
    peripheral = m.compartment("peripheral", unit="mg")
    m.ode(depot, -ka * depot)
    m.ode(central, ka * depot - (cl + q) / v2 * central + q / v3 * peripheral)
    m.ode(peripheral, q / v2 * central - q / v3 * peripheral)

    m.observe("cp", 1000 * central / v2, unit="ng/mL", proportional=m.sigma("PROP", 0.25))
