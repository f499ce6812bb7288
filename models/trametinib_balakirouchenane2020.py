"""Trametinib in adults with BRAF V600-mutated solid tumours."""

import pkpd
from pkpd import exp


@pkpd.model
def trametinib_balakirouchenane2020(m):
    """Trametinib, oral, with dabrafenib: two compartments, first-order absorption with a lag, apparent
    (oral) values.

    Population: 60 adults with BRAF V600-mutated metastatic solid tumours (87 % melanoma) in routine care, 318
    concentrations, 2 mg once daily. No covariate was retained. Coefficients of variation of the paper (CL
    29.6 %, Q 80.2 %) enter as variances ln(1 + CV²). Units: h, mg, L; concentrations in ng/mL (mg/L ×
    1000).

    Balakirouchenane D, Guegan S, Csajka C, Jouinot A, Heidelberger V, Puszkiel A, et al. Population
    pharmacokinetics/pharmacodynamics of dabrafenib plus trametinib in patients with BRAF-mutated metastatic
    melanoma. Cancers 2020;12(4):931, Table 3. doi:10.3390/cancers12040931

    Check: 2 mg once daily gives AUC 343 ng·h/mL at steady state; the Swiss product information of Mekinist
    gives geometric means of 370 (alone) and 356 ng·h/mL (with dabrafenib), from other trials.
    """
    tvcl = m.theta("CL", 5.83, unit="L/h", lower=0, label="Apparent clearance")
    v2 = m.theta("V2", 61.9, unit="L", lower=0, label="Apparent central volume")
    tvq = m.theta("Q", 64.9, unit="L/h", lower=0, label="Apparent intercompartmental clearance")
    v3 = m.theta("V3", 417.0, unit="L", lower=0, label="Apparent peripheral volume")
    ka = m.theta("KA", 0.913, unit="1/h", lower=0, label="Absorption rate constant")
    tlag = m.theta("TLAG", 0.709, unit="h", lower=0, label="Absorption lag time")

    eta_cl = m.eta("CL", variance=0.083988)
    eta_q = m.eta("Q", variance=0.496648)

    cl = m.parameter("CL", tvcl * exp(eta_cl), unit="L/h")
    q = m.parameter("Q", tvq * exp(eta_q), unit="L/h")

    depot = m.compartment("depot", unit="mg", lag=tlag)
    central = m.compartment("central", unit="mg")
    peripheral = m.compartment("peripheral", unit="mg")
    m.ode(depot, -ka * depot)
    m.ode(central, ka * depot - (cl + q) / v2 * central + q / v3 * peripheral)
    m.ode(peripheral, q / v2 * central - q / v3 * peripheral)

    m.observe("cp", 1000 * central / v2, unit="ng/mL", additive=m.sigma("ADD", 4.14))
