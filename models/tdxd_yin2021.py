"""Trastuzumab deruxtecan (intact antibody-drug conjugate) in breast cancer and other solid tumours."""

import pkpd
from pkpd import exp


@pkpd.model
def tdxd_yin2021(m):
    """Trastuzumab deruxtecan, intact, intravenous: two compartments, linear.

    Population: 639 patients of five trials (80 % breast cancer; also gastric, lung, colorectal and other
    tumours), 0.8 to 8.0 mg/kg every 3 weeks, 11 434 concentrations. Typical values are for a female outside
    Japan of 57.8 kg, albumin 40 g/L, sum of target lesions 57 mm. Units: day, mg, L; concentrations in
    µg/mL (= mg/L). The released drug (DXd) is not part of this model.

    Covariates: WT (kg), ALB (g/L), SLD (mm), and indicators 0/1: MALE, JAPAN.

    Yin O, Xiong Y, Endo S, Yoshihara K, Garimella T, AbuTarif M, Wada R, LaCreta F. Population
    pharmacokinetics of trastuzumab deruxtecan in patients with HER2-positive breast cancer and other solid
    tumors. Clin Pharmacol Ther 2021;109(5):1314-1325, Table 1. doi:10.1002/cpt.2096

    Check: 5.4 mg/kg gives AUC 741 µg·d/mL after one dose; the US prescribing information of 2019 gives a
    geometric mean of 735 µg·d/mL.
    """
    tvcl = m.theta("CL", 0.421, unit="L/d", lower=0, label="Clearance")
    tvv1 = m.theta("V1", 2.77, unit="L", lower=0, label="Central volume")
    tvq = m.theta("Q", 0.199, unit="L/d", lower=0, label="Intercompartmental clearance")
    tvv2 = m.theta("V2", 5.16, unit="L", lower=0, label="Peripheral volume")
    wt_cl = m.theta("WT_CL", 0.370, label="Exponent of weight on CL")
    alb_cl = m.theta("ALB_CL", -0.533, label="Exponent of albumin on CL")
    sld_cl = m.theta("SLD_CL", 0.0710, label="Exponent of tumour size on CL")
    japan_cl = m.theta("JAPAN_CL", -0.0970, label="Fractional change of CL, Japan")
    male_cl = m.theta("MALE_CL", 0.174, label="Fractional change of CL, male")
    wt_v1 = m.theta("WT_V1", 0.489, label="Exponent of weight on V1")
    male_v1 = m.theta("MALE_V1", 0.197, label="Fractional change of V1, male")
    japan_v2 = m.theta("JAPAN_V2", -0.262, label="Fractional change of V2, Japan")

    eta_cl, eta_v1 = m.etas("CL", "V1", variance=[[0.0630], [0.0210, 0.0250]])
    eta_q = m.eta("Q", variance=0.0900)
    eta_v2 = m.eta("V2", variance=0.430)

    wt = m.covariate("WT", unit="kg")
    alb = m.covariate("ALB", unit="g/L")
    sld = m.covariate("SLD", unit="mm")
    male = m.covariate("MALE")
    japan = m.covariate("JAPAN")

    disease = (alb / 40) ** alb_cl * (sld / 57) ** sld_cl
    groups = (1 + japan_cl * japan) * (1 + male_cl * male)
    cl = m.parameter("CL", tvcl * exp(eta_cl) * (wt / 57.8) ** wt_cl * disease * groups, unit="L/d")
    v1 = m.parameter("V1", tvv1 * exp(eta_v1) * (wt / 57.8) ** wt_v1 * (1 + male_v1 * male), unit="L")
    q = m.parameter("Q", tvq * exp(eta_q), unit="L/d")
    v2 = m.parameter("V2", tvv2 * exp(eta_v2) * (1 + japan_v2 * japan), unit="L")

    central = m.compartment("central", unit="mg")
    peripheral = m.compartment("peripheral", unit="mg")
    m.ode(central, -(cl + q) / v1 * central + q / v2 * peripheral)
    m.ode(peripheral, q / v1 * central - q / v2 * peripheral)

    m.observe(
        "cp", central / v1, unit="ug/mL", additive=m.sigma("ADD", 1.181), proportional=m.sigma("PROP", 0.163)
    )
