"""What an analysis plan produces: every number of the report, one frozen value that goes to JSON and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from pkpd.results import result

__all__ = [
    "Assessment",
    "EndpointResult",
    "EngagementResult",
    "ExposureResult",
    "PkResult",
    "SurvivalResult",
    "TumourSizeResult",
]


@result
@dataclass(frozen=True)
class PkResult:
    """Population PK: the fit that contains the histology effect, and the test against the one without it.

    Attributes
    ----------
    model, method : str
        Name of the model; name of the estimation method.
    ofv, minus2ll, ofv_reduced : float
        NONMEM's objective (n·log 2π dropped), −2 log-likelihood, and the objective without histology effects.
    n_subjects, n_observations : int
        Size of the fit.
    parameters : DataFrame
        One row per parameter in the schema of :mod:`pkpd.results`, plus ``shrinkage_percent`` (NaN where
        none).
    likelihood_ratio : dict
        ``statistic``, ``df``, ``p_value``: histology on the parameters that the plan names.
    diagnostics : DataFrame
        One row per observation: ID, histology, TIME, DV, PRED, IPRED, CWRES.
    equations : tuple of str
        The model in LaTeX, one equation each.
    successful : bool
        Whether minimisation and covariance step both succeeded.
    termination : str
        Why the fit stopped, in words; includes what the covariance step did.
    warnings : tuple of str
        Text of each warning, beginning with its code.
    random_effects : DataFrame
        One row per subject: ID, histology, the empirical Bayes estimate of each eta (``ETA(CL)``), and the covariates of
        the model and the drivers of the plan.
    shrinkage : DataFrame
        Index group (``all``, then each histology); subjects, and shrinkage of each eta and of IWRES, as fractions.
    code : dict
        Text of the final model by program: ``NONMEM``, ``nlmixr2``; without those that cannot say it.
    predictive_check : VPC or None
        Prediction-corrected, over time after dose, by histology; None where the model's endpoint allows none.
    """

    model: str
    method: str
    ofv: float
    minus2ll: float
    ofv_reduced: float
    n_subjects: int
    n_observations: int
    parameters: pd.DataFrame
    likelihood_ratio: dict
    diagnostics: pd.DataFrame
    equations: tuple[str, ...]
    successful: bool
    termination: str
    warnings: tuple[str, ...] = ()
    random_effects: pd.DataFrame = field(default_factory=pd.DataFrame)
    shrinkage: pd.DataFrame = field(default_factory=pd.DataFrame)
    code: dict = field(default_factory=dict)
    predictive_check: Any = None


@result
@dataclass(frozen=True)
class ExposureResult:
    """Exposure of each subject, and its ratio between histologies under the planned reference regimen.

    Attributes
    ----------
    metric, unit : str
        The regressor and comparison metric, e.g. ``"AUCSS"``, and its unit.
    reference_exposure : float
        Geometric mean of the metric in the reference histology at the reference dose.
    subjects : DataFrame
        One row per subject: ID, histology, dose, AUC1, CMAX1, CTROUGH1, CAVG1, AUCSS, CMAXSS, CTROUGHSS,
        CAVGSS at the planned dose, and ``reference`` (the metric at the reference dose).
    ratios : DataFrame
        One row per histology: histology, n, geometric_mean, cv_percent, ratio, lower, upper (90 % CI),
        log_ratio, log_ratio_se, p_below, p_within, p_above (against the bounds). The reference has ratio 1.
    bounds : tuple of float
        The no-effect bounds (L, U).
    conditional : DataFrame
        As the columns of ``ratios`` from histology to p_above: every histology with the covariates of all
        subjects. ``ratios`` has each with its own, and verdicts rest on it; this one says what histology
        itself does.
    mediation : DataFrame
        The conditional ratio as covariates of the plan's ``mediators`` join the model one by one; columns of
        :func:`pkpd.exposure.mediation`. Empty without mediators.
    """

    metric: str
    unit: str
    reference_exposure: float
    subjects: pd.DataFrame
    ratios: pd.DataFrame
    bounds: tuple[float, float]
    conditional: pd.DataFrame = field(default_factory=pd.DataFrame)
    mediation: pd.DataFrame = field(default_factory=pd.DataFrame)


@result
@dataclass(frozen=True)
class EndpointResult:
    """Exposure-response of one binary endpoint.

    Attributes
    ----------
    name, label : str
        Column in the data; words for the report.
    kind : str
        ``"efficacy"`` or ``"safety"``.
    shape : str
        Of the exposure in the linear predictor, e.g. ``"log"``.
    coefficients : DataFrame
        Schema of :mod:`pkpd.results`.
    counts : DataFrame
        histology, dose, n, events, proportion, lower, upper (95 % Clopper-Pearson).
    curves : DataFrame
        histology, exposure, probability, lower, upper (90 %), over each histology's observed exposure range.
    observed : DataFrame
        histology, exposure (mean of the group), n, events, proportion, lower, upper: groups of equal size.
    interaction : dict
        Test of histology × exposure: statistic, df, p_chi2, p_bootstrap, n_bootstrap.
    intercepts : dict
        Test of histology intercepts: the same keys.
    contrasts : DataFrame
        histology, difference, lower, upper (90 %), at equal (reference) exposure against the reference
        histology.
    primary : bool
        Whether verdicts rest on it.
    sources : dict
        Dose, first-cycle and steady-state exposure side by side: ``table``, ``p_discordant``, ``evidence_class``,
        ``effect_of_dose``, ``statement``, ``warnings``, ``adjusted``; or ``refused`` with the reason.
    borrowing : dict
        What histologies tell of one another: ``table`` (histology, n, events, raw, raw_lower, raw_upper (95 %), shrunken, lower,
        upper (90 % of the hierarchical model), mean (over partitions)), ``pairwise`` (histology × histology: P(same rate)),
        ``probability_homogeneous``, ``bayes_factor``, ``prior`` (text); or ``refused`` with the reason.
    """

    name: str
    label: str
    kind: str
    shape: str
    coefficients: pd.DataFrame
    counts: pd.DataFrame
    curves: pd.DataFrame
    observed: pd.DataFrame
    interaction: dict
    intercepts: dict
    contrasts: pd.DataFrame
    primary: bool = True
    sources: dict = field(default_factory=dict)
    borrowing: dict = field(default_factory=dict)


@result
@dataclass(frozen=True)
class SurvivalResult:
    """Time-to-event endpoint, within histologies only.

    Attributes
    ----------
    name, label, kind, shape : str
        As of :class:`EndpointResult`.
    metric : str
        Exposure, under the planned regimen.
    table : DataFrame
        histology, n, events, median (NaN if not reached), hazard_ratio per doubling of exposure, lower, upper
        (90 %), se (of its logarithm), p_proportional (test that the hazard ratio does not change with time); NaN where it
        cannot be estimated.
    curves : DataFrame
        Kaplan-Meier: histology, time, at_risk, events, survival, lower, upper (95 %).
    quartiles : DataFrame
        Kaplan-Meier by quartile of exposure over all histologies: quartile ("1" lowest), time, at_risk, events, survival,
        lower, upper (95 %); empty with fewer than eight patients or equal exposures.
    slopes : dict
        Test of one slope in all histologies, baseline hazards apart: statistic, df, p_chi2.
    statement : str
        What is refused, and why.
    """

    name: str
    label: str
    kind: str
    shape: str
    metric: str
    table: pd.DataFrame
    curves: pd.DataFrame
    slopes: dict
    statement: str
    quartiles: pd.DataFrame = field(default_factory=pd.DataFrame)


@result
@dataclass(frozen=True)
class TumourSizeResult:
    """Tumour size over time: a population model with histology effects.

    Attributes
    ----------
    name, label, model : str
        As of the plan.
    landmark : float
        Time at which the size relative to the start is given; NaN where the plan has none.
    parameters : DataFrame
        Schema of :mod:`pkpd.results`.
    table : DataFrame
        Typical patient of each histology: histology, n, measurements, the model's parameters, TTG (time to growth)
        and RATIO (size at the landmark over size at the start), each with _LOWER and _UPPER (90 %).
    effects : DataFrame
        parameter, histology, ratio (to the reference histology), lower, upper (90 %).
    individual : DataFrame
        ID, histology, individual parameters, TTG, RATIO.
    likelihood_ratio : dict
        ``statistic``, ``df``, ``p_chi2``: histology on these parameters.
    survival : dict
        Link of ln(time to growth + offset) to a time to an event, in two stages: ``endpoint``, ``n``,
        ``coefficients`` (DataFrame: name, estimate, se, lower, upper, 90 %), ``statement``; or ``refused`` with the
        reason. Empty where the plan has none.
    statement : str
        What the comparison means, and what was left out.
    """

    name: str
    label: str
    model: str
    landmark: float
    parameters: pd.DataFrame
    table: pd.DataFrame
    effects: pd.DataFrame
    individual: pd.DataFrame
    likelihood_ratio: dict
    survival: dict
    statement: str


@result
@dataclass(frozen=True)
class EngagementResult:
    """How far the target is engaged over exposure, by an Emax model with an Emax of each histology's own.

    Attributes
    ----------
    name, label, unit : str
        As of the plan.
    metric : str
        Exposure of each patient.
    table : DataFrame
        histology, n, mean, sd (as observed); response, lower, upper (90 %) at the reference exposure; difference,
        difference_lower, difference_upper (90 %) to the reference histology there. NaN where no curve was found.
    parameters : DataFrame
        Schema of :mod:`pkpd.results`; empty where no curve was found.
    curves : DataFrame
        histology, exposure, response, lower, upper (90 %), over each histology's observed exposures.
    observed : DataFrame
        histology, exposure, value: one row per patient.
    test : dict
        Test of one Emax in all histologies: statistic, df, p_chi2.
    statement : str
        What the model is, and what was left out; or why there is none.
    """

    name: str
    label: str
    unit: str
    metric: str
    table: pd.DataFrame
    parameters: pd.DataFrame
    curves: pd.DataFrame
    observed: pd.DataFrame
    test: dict
    statement: str


@result
@dataclass(frozen=True)
class Assessment:
    """The answer of one analysis plan.

    Attributes
    ----------
    title : str
        Title of the plan.
    verdicts : DataFrame
        One row per histology but the reference: histology, n, n_response, verdict (``same dose``,
        ``adjust dose``, ``exclude``, ``insufficient data``), dose, dose_matches, rule (row of the decision
        table), ratio, ratio_lower, ratio_upper, p_exposure_below, p_exposure_within, p_exposure_above,
        p_response_below_p0, p_effect_kept, p_effect_lost, p_safety_kept, p_safety_lost, p_total_kept,
        response_at_dose, ae_at_dose, n_needed, evidence_class, qualifiers ("; "-separated), sentence.
    global_statement : str
        One sentence on heterogeneity over all histologies.
    plan : dict
        The plan as it was run, defaults filled in.
    data : DataFrame
        histology, dose, subjects, observations.
    pk : PkResult
    exposure : ExposureResult
    endpoints : tuple of EndpointResult
    exchangeability : dict
        Normal hierarchical model on the histology means of log exposure: ``tau`` (mean, sd, p_above),
        ``table`` (DataFrame: histology, estimate, se, shrunken_mean, shrunken_sd, lower, upper),
        ``prior`` (text).
    assumptions : tuple of str
        What was assumed, one sentence each.
    provenance : dict
        versions, seed, sha256 of data, plan and model.
    survival : tuple of SurvivalResult
        Time-to-event endpoints.
    confounding : dict
        ``aliasing``, ``columns``, ``cells``, ``rank``, ``width`` of the design; ``balance`` of the drivers.
    sensitivity : dict
        ``refits`` (DataFrame: verdicts under half and twice the prior, without each histology, per assay),
        ``pooled`` (DataFrame: share of each histology and pooled response without it), ``influence`` (by quantity:
        leave-one-out table, effective number of histologies, prediction for a histology not studied).
    signature : dict
        ``signed``; where the plan was, ``by``, ``on``, ``sha256`` of the signature, ``same_text``, and ``deviations``
        (DataFrame: key, signed, run).
    tumour_sizes : tuple of TumourSizeResult
        Tumour size over time.
    engagement : tuple of EngagementResult
        Engagement of the target over exposure.
    enrolment : dict
        Enrolled mix against the target population, age bands, biomarkers, common cut-off; keys as
        :func:`pkpd.study.enrolment.enrolment`. Empty where the plan has no ``[representativeness]``.
    forecasts : DataFrame
        One row per histology and dose, the reference dose and every candidate: histology, dose, exposure (geometric mean),
        response, ae (predicted probabilities), and the difference of each to the reference histology at the reference dose
        with its 90 % interval (response_difference, response_lower, response_upper, ae_difference, ae_lower, ae_upper).
    characteristics : OperatingCharacteristics or None
        How often the decision table errs under the plan's scenarios; None where the plan has no ``[[scenario]]``.
    """

    title: str
    verdicts: pd.DataFrame
    global_statement: str
    plan: dict
    data: pd.DataFrame
    pk: PkResult
    exposure: ExposureResult
    endpoints: tuple[EndpointResult, ...]
    exchangeability: dict
    assumptions: tuple[str, ...]
    provenance: dict = field(default_factory=dict)
    survival: tuple[SurvivalResult, ...] = ()
    confounding: dict = field(default_factory=dict)
    sensitivity: dict = field(default_factory=dict)
    signature: dict = field(default_factory=dict)
    enrolment: dict = field(default_factory=dict)
    tumour_sizes: tuple[TumourSizeResult, ...] = ()
    forecasts: pd.DataFrame = field(default_factory=pd.DataFrame)
    characteristics: Any = None
    engagement: tuple[EngagementResult, ...] = ()
