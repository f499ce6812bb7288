"""Pembrolizumab (anti-PD-1 antibody) in advanced solid tumours."""

import pkpd
from pkpd import exp


@pkpd.model
def pembrolizumab_ahamadi2017(m):
    """Pembrolizumab, intravenous: two compartments, linear, clearance constant in time.

    Population: 2188 patients of KEYNOTE-001, -002 and -006 (73.7 % melanoma, 25.3 % NSCLC), 12 171
    concentrations. Typical values are for a male of 76.8 kg with melanoma, albumin 39.6 g/L, sum of target
    lesions 89.6 mm, eGFR 88.47 mL/min/1.73 m², ECOG 0, no prior ipilimumab. Units: day, mg, L;
    concentrations in µg/mL (= mg/L).

    One random effect drives CL and Q, another Vc and Vp; their covariance was estimated but not published
    and is 0 here. The sign of the ECOG effect is inconsistent inside the paper: the table's and
    discussion's (−) is used, not the footnote's. The paper's additive error on the log scale (SD 0.272)
    enters as a proportional one.

    Covariates: WT (kg), ALB (g/L), SLD (mm), EGFR (mL/min/1.73 m²), and indicators 0/1: FEMALE, NSCLC,
    ECOG1 (ECOG performance status >= 1), IPI (prior ipilimumab).

    Ahamadi M, Freshwater T, Prohn M, Li CH, de Alwis DP, de Greef R, et al. Model-based characterization of
    the pharmacokinetics of pembrolizumab: a humanized anti-PD-1 monoclonal antibody in advanced solid
    tumors. CPT Pharmacometrics Syst Pharmacol 2017;6(1):49-57, Table 3. doi:10.1002/psp4.12139

    Check: 200 mg every 3 weeks gives AUC 1818 mg·d/L over 6 weeks at steady state; a mean of 1870 (CV 37 %,
    n = 830) is published in Freshwater T, et al. J Immunother Cancer 2017;5:43.
    doi:10.1186/s40425-017-0242-5
    """
    tvcl = m.theta("CL", 0.22, unit="L/d", lower=0, label="Clearance")
    tvvc = m.theta("VC", 3.48, unit="L", lower=0, label="Central volume")
    tvq = m.theta("Q", 0.795, unit="L/d", lower=0, label="Intercompartmental clearance")
    tvvp = m.theta("VP", 4.06, unit="L", lower=0, label="Peripheral volume")
    wt_cl = m.theta("WT_CL", 0.595, label="Exponent of weight on CL and Q")
    wt_v = m.theta("WT_V", 0.489, label="Exponent of weight on Vc and Vp")
    alb_cl = m.theta("ALB_CL", -0.907, label="Exponent of albumin on CL")
    sld_cl = m.theta("SLD_CL", 0.0872, label="Exponent of tumour size on CL")
    egfr_cl = m.theta("EGFR_CL", 0.135, label="Exponent of eGFR on CL")
    female_cl = m.theta("FEMALE_CL", -0.152, label="Fractional change of CL, female")
    nsclc_cl = m.theta("NSCLC_CL", 0.145, label="Fractional change of CL, NSCLC")
    ecog_cl = m.theta("ECOG_CL", -0.0739, label="Fractional change of CL, ECOG >= 1")
    ipi_cl = m.theta("IPI_CL", 0.140, label="Fractional change of CL, prior ipilimumab")
    alb_vc = m.theta("ALB_VC", -0.208, label="Exponent of albumin on Vc")
    female_vc = m.theta("FEMALE_VC", -0.134, label="Fractional change of Vc, female")
    ipi_vc = m.theta("IPI_VC", 0.0736, label="Fractional change of Vc, prior ipilimumab")

    eta_cl = m.eta("CL", variance=0.134)
    eta_vc = m.eta("VC", variance=0.0417)

    wt = m.covariate("WT", unit="kg")
    alb = m.covariate("ALB", unit="g/L")
    sld = m.covariate("SLD", unit="mm")
    egfr = m.covariate("EGFR", unit="mL/min/1.73 m²")
    female = m.covariate("FEMALE")
    nsclc = m.covariate("NSCLC")
    ecog1 = m.covariate("ECOG1")
    ipi = m.covariate("IPI")

    size_cl, size_v = (wt / 76.8) ** wt_cl, (wt / 76.8) ** wt_v
    disease = (alb / 39.6) ** alb_cl * (sld / 89.6) ** sld_cl * (egfr / 88.47) ** egfr_cl
    groups = (1 + female_cl * female) * (1 + nsclc_cl * nsclc) * (1 + ecog_cl * ecog1) * (1 + ipi_cl * ipi)
    cl = m.parameter("CL", tvcl * exp(eta_cl) * size_cl * disease * groups, unit="L/d")
    q = m.parameter("Q", tvq * exp(eta_cl) * size_cl, unit="L/d")
    vc_groups = (1 + female_vc * female) * (1 + ipi_vc * ipi)
    vc = m.parameter("VC", tvvc * exp(eta_vc) * size_v * (alb / 39.6) ** alb_vc * vc_groups, unit="L")
    vp = m.parameter("VP", tvvp * exp(eta_vc) * size_v, unit="L")

    central = m.compartment("central", unit="mg")
    peripheral = m.compartment("peripheral", unit="mg")
    m.ode(central, -(cl + q) / vc * central + q / vp * peripheral)
    m.ode(peripheral, q / vc * central - q / vp * peripheral)

    m.observe("cp", central / vc, unit="ug/mL", proportional=m.sigma("PROP", 0.272))
