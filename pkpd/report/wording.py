"""Words of the report, by language. Numbers, names and codes are the same in every language."""

from __future__ import annotations

from pkpd.errors import InputError

__all__ = ["LANGUAGES", "words"]

_ENGLISH: dict = {
    "kind_of_document": "Pan-tumour dose justification",
    "contents": "Contents",
    "skip": "Skip to the verdicts",
    "absent": "Absent: {what}.",
    "not_available": "not available",
    "figure": "Figure",
    "table": "Table",
    "section.verdicts": "Verdict per histology",
    "section.question": "Question and context of use",
    "section.margins": "Margins, thresholds and their sources",
    "section.data": "Data",
    "section.pk": "Population pharmacokinetics",
    "section.exposure": "Exposure",
    "section.response": "Exposure-response",
    "section.differences": "Differences between histologies",
    "section.robustness": "What the verdicts rest on",
    "section.dose": "Dose justification",
    "section.assumptions": "Assumptions",
    "section.limitations": "Limitations",
    "section.provenance": "Plan and provenance",
    "question.label": "Question of interest",
    "question": (
        "May every histology be treated with {dose} every {interval}, does one need another dose, or"
        " should one be left out?"
    ),
    "context.label": "Context of use",
    "context": (
        "Choice of dose and of histologies for the further development of the drug, from population"
        " pharmacokinetics and exposure-response of {efficacy} and {safety}. Every histology is compared"
        " with {reference}."
    ),
    "influence.label": "Evidence",
    "influence.randomised": (
        "Patients were randomised between dose levels within histologies (evidence class EC1): a"
        " difference in response between doses can be read as an effect of dose."
    ),
    "influence.observed": (
        "Patients were not randomised between dose levels: an exposure-response relation may reflect"
        " prognosis as well as effect, and no dose is chosen from it alone."
    ),
    "decision.label": "Acceptance",
    "decision": (
        "A difference is meaningful when it exceeds a margin that the plan declares; statistical"
        " significance alone decides nothing, and its absence does not show sameness. “Insufficient data”"
        " is not an exclusion."
    ),
    "sources.caption": "{label}: where the exposure-response comes from",
    "sources.note": "Odds ratio per doubling, one slope for all histologies, adjusted for {names}.",
    "sources.unadjusted": "Odds ratio per doubling, one slope for all histologies, not adjusted for drivers of clearance.",
    "source.dose": "dose",
    "source.first cycle": "{name} (first cycle)",
    "source.steady state": "{name} (steady state)",
    "source.clearance": "{name} (clearance)",
    "column.regressor": "Exposure by",
    "column.odds_ratio": "Odds ratio",
    "column.interval90": "90 % interval",
    "column.p_value": "p",
    "refits.caption": "Repeated analyses that change a verdict",
    "refits.none": "No repeated analysis changes a verdict.",
    "refits.note": "{n} verdicts were made again: half and twice the prior, without each histology, per declared assay.",
    "analysis.prior": "prior, {change} times its scale",
    "analysis.left out": "without {change}",
    "analysis.assay": "assay {change} alone",
    "column.analysis": "Analysis",
    "column.exposure_ratio": "Exposure ratio",
    "pooled.caption": "Share of each histology, and the pooled result without it",
    "pooled.note": "More than 40 % of patients, or a shift of more than 5 percentage points: {names}.",
    "pooled.nobody": "no histology",
    "column.endpoint": "Endpoint",
    "column.share_n": "Patients (%)",
    "column.share_events": "Events (%)",
    "column.pooled": "Pooled (%)",
    "column.without": "Without it (%)",
    "aliasing.caption": "What histologies can be told apart from",
    "aliasing.note": "With dose and the declared columns in one model; variance inflation of the contrast to the reference.",
    "column.estimable": "Can be told apart",
    "column.vif": "Variance inflation",
    "column.shares_nothing": "Shares no level of",
    "yes": "yes",
    "no": "no",
    "nothing": "nothing",
    "survival.caption": "{label}: hazard ratio per doubling of exposure within each histology",
    "column.median": "Median time",
    "column.hazard_ratio": "Hazard ratio",
    "verdict.same dose": "same dose",
    "verdict.adjust dose": "adjust dose",
    "verdict.exclude": "exclude",
    "verdict.insufficient data": "insufficient data",
    "matches.exposure": "matches the reference exposure",
    "matches.safety": "largest dose with acceptable safety",
    "matches.effect": "restores the response",
    "matches.reference dose": "the reference dose",
    "matches.reference": "the reference dose",
    "rule": "row {rule}",
    "qualifier.CONFOUNDED": (
        "the histology cannot be told apart from another feature of its patients or study"
    ),
    "qualifier.SINGLE-DOSE": "only one dose was studied",
    "qualifier.HIGH-SHRINKAGE": "individual exposures are shrunken towards the mean by more than a quarter",
    "qualifier.PRIOR-SENSITIVE": "the verdict changes when the scale of the prior is halved or doubled",
    "qualifier.DOMINATED": "the verdict changes when one other histology is left out",
    "qualifier.EXTRAPOLATED": "the exposure at the dose lies outside the exposures that were studied",
    "qualifier.SMALL-N": "few patients",
    "qualifier.ASSAY-MIXED": "biomarker assays differ",
    "qualifier.LOWER-EFFECT": (
        "the response is lower than in the reference histology, and no dose is predicted to mend that"
    ),
    "verdicts.caption": (
        "Verdict per histology, with the exposure ratio to {reference} and the probability of each"
        " statement that the verdict rests on"
    ),
    "verdicts.note": (
        "R: ratio of {metric} under the reference regimen to {reference}, with 90 % confidence interval."
        " P: probability; R within: between the no-effect bounds {low} and {high}. Response rate < p_0:"
        " below the rate at which the drug is worth giving. Response and safety kept: the difference to"
        " {reference} at equal exposure stays within δ_E = {efficacy} and δ_S = {safety} percentage"
        " points. Response kept at dose: the same for the total difference at the reference dose. n:"
        " patients with exposure / with response."
    ),
    "verdicts.absent": "The assessment holds no histology beside the reference.",
    "column.histology": "Histology",
    "column.verdict": "Verdict",
    "column.dose": "Dose",
    "column.dose_unit": "Dose ({unit})",
    "column.n": "n",
    "column.ratio": "R",
    "column.ci90": "90 % CI",
    "column.ci95": "95 % CI",
    "column.below": "P(R\u00a0<\u00a0{low})",
    "column.within": "P(R\u00a0within)",
    "column.above": "P(R\u00a0>\u00a0{high})",
    "column.p0": "response rate\u00a0<\u00a0p_0",
    "column.effect_kept": "response kept",
    "column.safety_kept": "safety kept",
    "column.total_kept": "response kept at\u00a0dose",
    "group.probability": "Probability, response and safety",
    "group.exposure": "Exposure, ratio to the reference",
    "qualifiers.caption": "Qualifiers used above",
    "margins.caption": "What counts as a meaningful difference, as declared in the plan",
    "column.margin": "Quantity",
    "column.value": "Value",
    "column.source": "Source",
    "margin.bounds": "No-effect bounds of the exposure ratio (L, U)",
    "margin.efficacy": "Response: acceptable loss δ_E, percentage points",
    "margin.safety": "Adverse events: acceptable excess δ_S, percentage points",
    "margin.safety_of": "Adverse events in {histology}: acceptable excess δ_S, percentage points",
    "margin.p0": "Response rate p_0 below which the drug is not worth giving",
    "margin.p0_of": "p_0 in {histology}",
    "thresholds.caption": "Thresholds: probabilities that a statement must reach, and other limits",
    "threshold.conclude": "A difference is shown, exposure is equivalent, or the response rate is below p_0",
    "threshold.keep": "A difference in response or safety stays within its margin",
    "threshold.small_n": "Patients below which SMALL-N is noted",
    "threshold.shrinkage": "Shrinkage above which HIGH-SHRINKAGE is noted",
    "threshold.extrapolation": "Largest dose that may be named, as a multiple of the highest studied",
    "threshold.minimum_n": "Patients below which no histology is judged",
    "column.statement": "Statement",
    "column.threshold": "Threshold",
    "rules.caption": "The decision table; rows are tried from top to bottom",
    "column.row": "Row",
    "column.condition": "Condition",
    "rules": (
        (
            "0",
            (
                "Fewer than {minimum_n} patients evaluable for exposure, response or adverse events, or"
                " the contrast cannot be identified"
            ),
            "insufficient data",
        ),
        (
            "1",
            "P(response rate < p_0) ≥ {conclude} on the histology's own data, and P(R < {low}) < {conclude}",
            "exclude",
        ),
        (
            "2a",
            (
                "P(R < {low}) ≥ {conclude} or P(R > {high}) ≥ {conclude}: the dose that matches the"
                " reference exposure"
            ),
            "adjust dose",
        ),
        (
            "2b",
            (
                "P(excess of adverse events at equal exposure > δ_S) ≥ {conclude}, and a candidate dose"
                " keeps them within δ_S with probability ≥ {keep}: the largest such dose"
            ),
            "adjust dose",
        ),
        (
            "2c",
            (
                "P(loss of response at equal exposure > δ_E) ≥ {conclude}, randomised doses, and a"
                " candidate dose within the safety limit restores it with probability ≥ {keep}"
            ),
            "adjust dose",
        ),
        (
            "3",
            (
                "P({low} ≤ R ≤ {high}) ≥ {conclude}, and response and safety at equal exposure and"
                " response at the reference dose each kept with probability ≥ {keep}"
            ),
            "same dose",
        ),
        (
            "3'",
            (
                "As row 3 but for the response, while P(response rate > p_0) ≥ {conclude} and no dose"
                " would help"
            ),
            "same dose",
        ),
        (
            "4",
            "Otherwise",
            "insufficient data",
        ),
    ),
    "data.caption": "Patients and observations by histology and dose",
    "column.subjects": "Patients",
    "column.observations": "Concentrations",
    "pk.summary": (
        "Model {model}, estimated by {method} on {observations} concentrations of {subjects} patients."
    ),
    "pk.termination": "Termination: {cause}.",
    "pk.estimates": "Parameter estimates",
    "pk.gof": "Goodness of fit",
    "pk.failed": (
        "The estimation or its covariance step did not succeed; read the numbers below with that in mind."
    ),
    "pk.warnings": "Warnings of the estimation",
    "pk.equations": "Model equations",
    "pk.caption": "Parameter estimates of the final population pharmacokinetic model",
    "pk.note": (
        "RSE: relative standard error. Histology effects are on the log scale: exp(estimate) multiplies"
        " the parameter. Shrinkage: 1 − SD(η̂)/ω for between-subject variability."
    ),
    "column.parameter": "Parameter",
    "column.estimate": "Estimate",
    "column.se": "SE",
    "column.rse": "RSE (%)",
    "column.shrinkage": "Shrinkage (%)",
    "column.unit": "Unit",
    "column.cv": "CV (%)",
    "fixed": "fixed",
    "parameters.fixed": "Typical values",
    "parameters.factor": "Histology and other group effects (log scale)",
    "parameters.omega": "Between-subject variability (variances and covariances)",
    "parameters.residual": "Residual variability",
    "fit.caption": "Fit, and the test of histology in the pharmacokinetic model",
    "fit.ofv": "Objective function value",
    "fit.minus2ll": "−2 log-likelihood",
    "fit.ofv_reduced": "Objective function value without histology",
    "fit.lr": "Likelihood ratio of histology, χ² statistic",
    "fit.df": "Degrees of freedom",
    "fit.p": "p-value (χ²)",
    "column.quantity": "Quantity",
    "gof.caption": "Goodness of fit of the population pharmacokinetic model",
    "gof.note": "Black: identity or zero; coloured: local linear trend; dashed: ± 1.96.",
    "gof.alt": (
        "Six panels for {n} concentrations: observed against population and individual predictions,"
        " conditional weighted residuals against time and population prediction, their normal quantiles,"
        " and their distribution by histology."
    ),
    "exposure.text": (
        "Exposure is compared as {metric} at the subject's own parameters. The reference exposure is"
        " {reference_exposure}, the geometric mean in {reference} at the reference dose."
    ),
    "exposure.caption": "Exposure by histology under the reference regimen and its ratio to {reference}",
    "exposure.note": (
        "The ratio is marginal: each histology with its own patients. P: probability against the"
        " no-effect bounds {low} and {high}."
    ),
    "column.geometric_mean": "Geometric mean ({unit})",
    "forest.caption": (
        "Exposure ratio to {reference} with 90 % confidence interval; the no-effect area is shaded"
    ),
    "forest.alt": "Forest plot of the exposure ratio. {rows}.",
    "by_dose.caption": "Exposure of each patient at the planned dose, by histology and dose",
    "by_dose.note": (
        "Box: quartiles and median; whiskers: to 1.5 × the interquartile range; no box below five"
        " patients. Dashed: reference exposure."
    ),
    "by_dose.alt": (
        "Exposure of {n} patients in {k} histologies; boxes by dose. The numbers by histology stand in"
        " the exposure table."
    ),
    "endpoint.efficacy": "efficacy",
    "endpoint.safety": "safety",
    "shape.log": "Exposure enters the logit as its logarithm relative to the reference exposure.",
    "shape.linear": "Exposure enters the logit linearly.",
    "counts.caption": "{label}: patients with the event by histology and dose",
    "column.events": "Events",
    "column.proportion": "Proportion (%)",
    "curves.caption": "{label} over exposure, per histology",
    "curves.note": (
        "Line and band: model with 90 % interval; points: observed in groups of equal size with 95 %"
        " interval, n below; grey line: {reference}; dashed: reference exposure. Events of patients stand"
        " above each panel."
    ),
    "curves.alt": (
        "Exposure-response curves of {label} in {k} histologies with observed proportions; the underlying"
        " counts and coefficients stand in the tables of this section."
    ),
    "forest_response.caption": (
        "{label}: observed proportions, and the difference to {reference} at equal exposure"
    ),
    "forest_response.note": "The area within the declared margin is shaded.",
    "forest_response.alt": (
        "{label}: observed proportions by histology and dose, and differences to {reference} at equal"
        " exposure. The numbers stand in the tables of this section."
    ),
    "tests.caption": "{label}: tests between histologies",
    "tests.note": (
        "The bootstrap p-value counts: at these sizes the χ² approximation rejects too often. Neither"
        " decides a verdict."
    ),
    "tests.note_chi2": (
        "No bootstrap was run; the χ² p-values are approximate and reject too often at small sizes."
    ),
    "column.test": "Test",
    "column.statistic": "Statistic",
    "column.df": "df",
    "column.p_chi2": "p (χ²)",
    "column.p_bootstrap": "p (bootstrap)",
    "column.n_bootstrap": "Replicates",
    "test.interaction": "Histology × exposure (slopes)",
    "test.intercepts": "Histology (intercepts)",
    "no_events": "No event was observed; curves and contrasts rest on the penalised likelihood alone.",
    "all_events": (
        "Every patient had the event; curves and contrasts rest on the penalised likelihood alone."
    ),
    "coefficients.caption": "{label}: coefficients of the logistic model",
    "column.coefficient": "Coefficient",
    "contrasts.caption": "{label}: difference to {reference} at equal exposure, percentage points",
    "column.difference": "Difference",
    "differences.text": (
        "The hierarchical model lets the histologies borrow from one another; shrunken values inform on"
        " heterogeneity, the verdicts rest on unshrunken ones."
    ),
    "tau.caption": "Between-histology standard deviation τ of log exposure",
    "tau.mean": "Posterior mean",
    "tau.sd": "Posterior standard deviation",
    "tau.p_above": "P(τ > τ_0)",
    "tau.threshold": "τ_0",
    "tau.prior": "Prior",
    "tau.note": "τ_0: the standard deviation at which 90 % of histologies lie within the no-effect bounds.",
    "shrunken.caption": "Raw and shrunken log exposure of typical subjects, relative to the reference",
    "shrunken.note": "90 % credible interval of the shrunken value; mean and τ are estimated together.",
    "column.raw": "Raw",
    "column.shrunken": "Shrunken",
    "column.sd": "SD",
    "column.interval": "90 % interval",
    "shrinkage.caption": "Raw (hollow) and shrunken (filled) exposure per histology, with 90 % intervals",
    "shrinkage.alt": (
        "Forest plot of raw and shrunken exposure for {k} histologies; the numbers stand in the table above."
    ),
    "dose.caption": "Dose per histology, what it matches, and what is predicted at it",
    "dose.note": (
        "Candidate doses: {candidates}. Reference dose: {reference_dose}. n needed: fewest patients at"
        " which a verdict would be reached if the estimates held."
    ),
    "column.matches": "What it matches",
    "column.response_at": "{label} (%)",
    "column.n_needed": "n needed",
    "column.evidence": "Evidence",
    "group.predicted": "Predicted at the dose",
    "evidence.EC1": "EC1: randomised doses",
    "evidence.EC2": "EC2: several doses, not randomised",
    "evidence.EC3": "EC3: one dose",
    "assumptions.absent": "the assessment lists no assumption",
    "limitations.insufficient": (
        "{histology}: the data do not decide; {n} patients would, if the estimates held."
    ),
    "limitations.insufficient_unknown": (
        "{histology}: the data do not decide, and no number of further patients of the same kind is known to."
    ),
    "limitations.qualified": "{histology}: {qualifier}, {meaning}.",
    "limitations.shrinkage": (
        "The shrinkage of {parameter} is {value} %: individual estimates of it are unreliable."
    ),
    "limitations.randomised": (
        "Doses were not randomised within histologies; exposure-response may be confounded."
    ),
    "limitations.failed": "The population pharmacokinetic fit did not end successfully.",
    "limitations.absent": (
        "Not part of this report: time-to-event and tumour-size endpoints, biomarkers, special"
        " populations, representativeness of enrolment, operating characteristics of the decision rule,"
        " visual predictive checks."
    ),
    "plan.caption": "The plan as it was run, defaults filled in",
    "column.key": "Key",
    "provenance.caption": "What produced these numbers",
    "provenance.text": (
        "Every number in this report is a field of the assessment's JSON; its place stands in the"
        " attribute data-field of the page."
    ),
    "column.item": "Item",
    "none": "none",
}

LANGUAGES = ("en",)


def words(language: str) -> dict:
    """Words of a language by key.

    Raises
    ------
    InputError
        ``E_LANGUAGE`` if the report is not written in that language.
    """
    if language == "en":
        return _ENGLISH
    known = ", ".join(repr(name) for name in LANGUAGES)
    if language == "zh":
        raise InputError(
            "E_LANGUAGE", "the report is not written in Chinese ('zh') yet.", f"Choose one of: {known}."
        )
    raise InputError("E_LANGUAGE", f"unknown language {language!r}.", f"Choose one of: {known}.")
