"""English words of the report, by key."""

from __future__ import annotations

__all__ = ["WORDS"]

WORDS: dict = {
    "kind_of_document": "Pan-tumour dose justification",
    "contents": "Contents",
    "skip": "Skip to the verdicts",
    "not_available": "not available",
    "statements": {},
    "separators": {},
    "figure": "Figure",
    "table": "Table",
    "stop": ".",
    "numbered": ".",
    "to": " to ",
    "to_dose": ", ",
    "list": ", ",
    "clauses": "; ",
    "sentences": " ",
    "reference": "reference",
    "one_dose": "one dose",
    "interval": "interval",
    "not_declared": "Not declared in the plan.",
    "stamp.plan": "plan",
    "stamp.data": "data",
    "stamp.seed": "seed",
    "section.verdicts": "Question and verdict per histology",
    "section.assessment": "Assessment of the models (ICH M15)",
    "section.background": "Background",
    "section.margins": "Objectives, margins, analysis plan and deviations",
    "section.data": "Data",
    "section.pk": "Population pharmacokinetics",
    "section.exposure": "Exposure",
    "section.biomarkers": "Pharmacodynamics, biomarkers and target engagement",
    "section.efficacy": "Exposure and efficacy",
    "section.safety": "Exposure and safety",
    "section.differences": "Differences between histologies",
    "section.dose": "Dose justification",
    "section.populations": "Special populations",
    "section.representativeness": "Representativeness",
    "section.trial": "Response by histology, as a single-arm trial reports it",
    "section.uncertainty": "Uncertainty, sensitivity, assumptions and limitations",
    "section.conclusions": "Conclusions",
    "section.appendix": "Appendix",
    "absent": "Absent from this assessment: {what}.",
    "absent.background": "mechanism, alteration, indications and the earlier choice of dose",
    "absent.data": "counts of patients and observations",
    "absent.aliasing": "what histologies can be told apart from",
    "absent.vpc": "visual predictive checks",
    "conditional.caption": "Conditional exposure ratio: every histology with the covariates of all patients",
    "conditional.note": (
        "What histology itself does to exposure; verdicts rest on the marginal ratio, each histology with its own"
        " patients."
    ),
    "mediation.caption": "What covariates explain of the conditional exposure ratio",
    "mediation.change": ", change of OFV ",
    "mediation.note": (
        "Explained: change of the log ratio from the first model, percent of the first. A covariate that"
        " histology itself changes explains, but does not remove, a difference."
    ),
    "column.explained": "Explained (%)",
    "column.measurements": "Measurements",
    "column.time_to_growth": "Time to growth ({unit})",
    "column.size_ratio": "Size at {time} over size at start",
    "column.ratio_plain": "Ratio",
    "column.response": "Response (%)",
    "column.enrolled": "Enrolled (%)",
    "column.target": "Target (%)",
    "column.band": "Age",
    "column.best_cutoff": "Best cut-off",
    "column.sensitivity": "Sensitivity (%)",
    "column.specificity": "Specificity (%)",
    "column.youden_loss": "Youden lost",
    "sizes.caption": "{label}: the typical patient of each histology, model {model}",
    "size_effects.caption": "{label}: growth parameters, ratio to the reference histology",
    "link.caption": "{label}: link of the time to growth to {endpoint}",
    "mix.caption": "Enrolled mix against the target population",
    "mix.note": "Target: {source}.",
    "mix.said": (
        "Response as enrolled {pooled} %, post-stratified {response} % ({level} % interval"
        " {lower} to {upper}). {variation} % of patients would have to be of another histology; the weighted"
        " patients are worth {size}."
    ),
    "mix.missing": "Not enrolled: {names}, {share} % of the target.",
    "mix.figure_caption": "Share of each histology among the enrolled and in the target population",
    "mix.figure_note": "Hollow: enrolled; filled: target; at the side the weight of one patient.",
    "mix.figure_alt": "Enrolled and target shares by histology; the numbers stand in the table above.",
    "cells.age_bands": "Patients and responses by age band",
    "cells.biomarkers": "Patients and responses by biomarkers",
    "cutoff.caption": "The common cut-off {cutoff} in every histology",
    "cutoff.note": (
        "Sensitivity and specificity at the common cut-off; Youden lost: against the best cut-off of the"
        " histology."
    ),
    "cutoff.said": "Test that slopes differ: {statistic} on {df} df, p = {p_bootstrap} (bootstrap).",
    "refused": "Not computed, {name}: {reason}",
    "absent.gof": "goodness of fit",
    "absent.etas": "random effects against covariates",
    "absent.eta_shrinkage": "shrinkage by histology",
    "absent.by_dose": "exposure of each patient",
    "absent.biomarkers": "biomarkers and target engagement",
    "absent.engagement": "target engagement",
    "absent.markers": "responses by biomarker",
    "engagement.caption": "{label} over exposure, per histology",
    "engagement.note": (
        "Line and band: Emax model with 90 % interval; points: patients; grey line: {reference}; dashed: reference"
        " exposure."
    ),
    "engagement.alt": "Curves of {label} over exposure, one panel per histology; the numbers stand in the table below.",
    "engagement.table_caption": "{label}: as observed, and at the reference exposure with the difference to {reference}",
    "engagement.said": "Test that one Emax serves all histologies: {statistic} on {df} df, p = {p_chi2} (χ²).",
    "group.observed": "Observed",
    "group.equal_exposure": "At the reference exposure",
    "absent.organs": "organ function, region and formulation",
    "absent.efficacy": "exposure-response of efficacy",
    "absent.safety": "exposure-response of safety",
    "absent.differences": "the hierarchical model of exposure",
    "absent.borrowing": "shrunken response rates",
    "absent.influence": "summaries without each histology",
    "absent.forecasts": "predictions at other doses",
    "absent.populations": "organ function, age, region and formulation",
    "absent.representativeness": "the target population (prevalence and frequency of the alteration)",
    "absent.trial": "responses by histology",
    "absent.duration": "duration of response",
    "absent.refits": "repeated analyses",
    "absent.assumptions": "assumptions",
    "absent.characteristics": "operating characteristics of the decision table ([[scenario]] in the plan)",
    "absent.code": "the final model for other programs",
    "background.mechanism": "Mechanism of action",
    "background.alteration": "Molecular alteration",
    "background.indications": "Indications",
    "background.earlier_doses": "Earlier choice of dose",
    "influence.label": "Model influence",
    "influence": (
        "The verdicts rest on the population pharmacokinetic model and on the exposure-response models,"
        " through the decision table; a clinical judgement can overrule them."
    ),
    "influence.exposure": (
        "The comparison of exposure rests on the population pharmacokinetic model alone; no dose follows from it."
    ),
    "influence.classes": "Evidence class of the exposure-response: {classes}.",
    "consequence.label": "Consequence of a wrong decision",
    "consequence": (
        "A false “same dose” treats a histology with too much or too little drug; a false adjustment gives a"
        " dose that it does not need; a false exclusion denies it a treatment that works."
    ),
    "consequence.exposure": (
        "A difference that is missed hides histologies with too much or too little drug; one that is seen where"
        " there is none asks for evidence that is not needed."
    ),
    "risk.label": "Model risk",
    "impact.label": "Model impact",
    "decision.label": "Acceptability criteria",
    "verification.label": "Verification",
    "verification": (
        "Population fit: {convergence}. Versions, seed and hashes of data, plan and model stand in the"
        " appendix; pkpd qualify compares the installation with reference results."
    ),
    "verification.converged": "minimisation and covariance step successful",
    "verification.failed": "minimisation or covariance step NOT successful",
    "validation.label": "Validation",
    "validation": (
        "Goodness of fit and shrinkage of the population model, and observed proportions beside the"
        " exposure-response curves, stand in their sections."
    ),
    "validation.exposure": (
        "Goodness of fit and shrinkage of the population model stand in its section; no response was modelled."
    ),
    "applicability.label": "Applicability",
    "applicability": (
        "For the histologies, doses and patients in the data; EXTRAPOLATED marks a dose whose exposure lies"
        " outside what was studied."
    ),
    "deviations": "Deviations from the signed plan",
    "deviations.unsigned": (
        "The plan was not signed before the run: deviations from an earlier version cannot be told."
    ),
    "deviations.none": "The plan was run as it was signed.",
    "deviations.caption": "Keys that differ from the plan that {by} signed on {on}",
    "deviations.note": "SHA-256 of the signature: {sha256}.",
    "column.signed": "As signed",
    "column.run": "As run",
    "aliasing.caption": "What histologies can be told apart from",
    "aliasing_map.caption": "Patients by histology and {names}",
    "aliasing_map.note": "Number of patients in each cell; crosses: none.",
    "aliasing_map.alt": "Map of the number of patients by histology and {names}; the counts stand in the cells.",
    "pk.warnings": "Warnings of the estimation:",
    "vpc.caption": "Prediction-corrected visual predictive check by histology",
    "vpc.note": (
        "Points: observations; lines: their 5 %, 50 % and 95 % quantiles; bands: {level} % of the quantiles of {n}"
        " simulations, the median's in orange."
    ),
    "vpc.alt": "Observed quantiles of prediction-corrected concentrations over time after dose and simulated bands.",
    "etas.caption": "Random effects against histology and covariates",
    "etas.note": (
        "Empirical Bayes estimates. Box: quartiles and median; whiskers: to 1.5 × the interquartile range; n"
        " below; coloured line: local linear trend."
    ),
    "etas.alt": (
        "Empirical Bayes estimates of each random effect, one row each, against histology and the covariates"
        " of the model."
    ),
    "eta_shrinkage.caption": "Shrinkage of random effects and residuals, by histology; dashed: 25 %",
    "eta_shrinkage.alt": "Shrinkage of each random effect and of the residuals over all patients and by histology.",
    "forest_response.note": "Declared margin shaded; intervals at the right 90 %, at the left 95 %.",
    "tau.prior": "Prior: {prior}.",
    "borrowing.table_caption": "{label}: raw and shrunken proportions, all doses together",
    "borrowing.table_note": (
        "Shrunken: binomial hierarchical model with 90 % credible interval; partitions: mean over all"
        " groupings of the histologies. Prior: {prior}."
    ),
    "borrowing.homogeneous": "P(one rate in all histologies) = ",
    "borrowing.caption": "{label}: raw (hollow) and shrunken (filled) proportions per histology",
    "borrowing.note": "Raw with 95 % interval, shrunken with 90 % interval; dashed: all patients together.",
    "borrowing.alt": "Forest plot of raw and shrunken proportions of {label}; the numbers stand in the table above.",
    "column.partitions": "Partitions (%)",
    "column.shrunken_percent": "Shrunken (%)",
    "pairs.caption": "{label}: probability that two histologies share a rate",
    "pairs.note": "From averaging over all partitions of the histologies.",
    "pairs.alt": "Map of the probability that two histologies share a rate of {label}; it stands in each cell.",
    "influence.table_caption": "Means over histologies, with each left out in turn",
    "influence.note": (
        "Random-effects mean with 95 % interval; weight: share of the histology with all in. τ²: variance"
        " between histologies."
    ),
    "influence.size": ", effective number of histologies ",
    "influence.nobody": "nobody left out",
    "influence.caption": "Means over histologies, without each in turn",
    "influence.figure_note": "95 % intervals; shaded: the interval with all histologies.",
    "influence.alt": "Means of {names} without each histology in turn; the numbers stand in the table above.",
    "influence.slope": "Slope of {name}",
    "influence.log": "log {name}",
    "column.without_histology": "Left out",
    "column.weight": "Weight",
    "column.mean": "Mean",
    "refits.none": "No repeated analysis changes a verdict.",
    "kaplan_meier.caption": "{label}: Kaplan-Meier curves by histology and by quartile of exposure",
    "kaplan_meier.note": "Quartiles over all histologies; 1 is the lowest. Curves of histologies are not compared.",
    "kaplan_meier.alt": (
        "Share of patients without the event over time for {label}, by histology and by quartile of exposure."
    ),
    "doses.caption": "Predicted response and adverse events at each candidate dose, per histology",
    "doses.note": "Dotted: reference dose; band: the dose of the verdict. The numbers stand in the table below.",
    "doses.alt": "Predicted probability of response and of adverse events over dose, one panel per histology.",
    "forecasts.caption": "Predictions at the reference dose and at every candidate dose",
    "forecasts.note": (
        "Averaged over the histology's patients. Difference: to the reference histology at the reference"
        " dose, percentage points, 90 % interval."
    ),
    "column.exposure": "Exposure ({unit})",
    "column.predicted": "Predicted (%)",
    "column.against_reference": "Difference",
    "trial.caption": "{label} by histology, all doses together",
    "trial.note": "Exact (Clopper-Pearson) interval; shrunken: hierarchical model.",
    "sensitivity": "Repeated analyses",
    "assumptions": "Assumptions",
    "limitations": "Limitations",
    "characteristics": "Operating characteristics of the decision table",
    "characteristics.caption": "How often each verdict is reached, and how often it is false (%)",
    "characteristics.figure_caption": "Verdicts that simulated trials of this size reach, by scenario",
    "characteristics.alt": "Bars: probability of each verdict by scenario and histology; the numbers stand in the table below.",
    "characteristics.note": (
        "{n} simulated trials per scenario with the study's own patients, doses and missing outcomes; Monte-Carlo standard"
        " error at most {se} percentage points; {failed} trials could not be fitted. True: the verdict of the same table"
        " when the scenario is known exactly."
    ),
    "characteristics.truth": "True",
    "characteristics.reached": "Reached",
    "characteristics.false": "False",
    "characteristics.any": "at least one histology",
    "conclusion.same dose": "{histology}: the same dose, {dose}.",
    "conclusion.adjust dose": "{histology}: {dose} instead of the reference dose.",
    "conclusion.exclude": "{histology}: not to be included, or to be developed separately.",
    "conclusion.insufficient data": (
        "{histology}: the data do not decide; until they do, the reference dose with monitoring."
    ),
    "conclusion.labelling": (
        "A proposal for the label follows from these lines and from a judgement of benefit and risk that no"
        " model replaces."
    ),
    "provenance": "Provenance",
    "plan": "Plan",
    "code": "Final model for {program}",
    "metric.steady": "{name} at steady state",
    "metric.first": "{name}, first interval",
    "figure.ratio": "Ratio (90 % CI)",
    "figure.ratio_to": "{metric}: ratio to {reference}",
    "figure.no_effect": "no-effect area {bounds}",
    "figure.no_interval": "no interval",
    "figure.reference_exposure": "reference exposure {value}",
    "figure.planned_dose": "{metric} at the planned dose",
    "figure.raw": "raw",
    "figure.shrunken": "shrunken",
    "figure.typical_ratio": "{metric} of typical subjects, ratio to the reference exposure",
    "figure.events": "{events} of {n}",
    "figure.no_data": "no data",
    "figure.ref": "ref. exposure",
    "figure.observed": "{label}: observed (95 % CI)",
    "figure.difference": "Difference to {reference}\nat equal exposure, percentage\npoints (90 % CI)",
    "figure.not_estimated": "not estimated",
    "figure.pred": "Population prediction",
    "figure.ipred": "Individual prediction",
    "figure.dv": "Observed",
    "figure.time": "Time",
    "figure.time_after_dose": "Time after dose",
    "figure.normal_quantile": "Normal quantile",
    "figure.quantile": "{name} quantile",
    "figure.covariate_ratio": "Ratio to the reference ({level} % interval)",
    "figure.corrected": "Prediction-corrected value",
    "figure.value": "Value",
    "figure.below_limit": "Share below limit",
    "figure.density": "Density",
    "figure.global_p": "n = {n}, global p = {p}",
    "figure.all": "all patients",
    "figure.shrinkage": "Shrinkage",
    "figure.quartiles": "Quartile of {metric}",
    "figure.without_event": "Without the event: {label}",
    "figure.shares": "Share of patients: enrolled (hollow), target (filled); weight of a patient",
    "figure.truth": "true: {verdict}",
    "figure.verdict_shares": "Probability of each verdict ({n} simulated trials)",
    "question.label": "Question of interest",
    "question": (
        "May every histology be treated with {dose} every {interval}, does one need another dose, or"
        " should one be left out?"
    ),
    "question.exposure": (
        "Is the exposure of every histology, given {dose} every {interval}, that of {reference} within the"
        " declared bounds?"
    ),
    "context.label": "Context of use",
    "context": (
        "Choice of dose and of histologies for the further development of the drug, from population"
        " pharmacokinetics and exposure-response of {efficacy} and {safety}. Every histology is compared"
        " with {reference}."
    ),
    "context.exposure": (
        "Comparison of the exposure of histologies, from population pharmacokinetics. Every histology is compared"
        " with {reference}. No dose is decided."
    ),
    "influence.randomised": (
        "Patients were randomised between dose levels within histologies (evidence class EC1): a"
        " difference in response between doses can be read as an effect of dose."
    ),
    "influence.observed": (
        "Patients were not randomised between dose levels: an exposure-response relation may reflect"
        " prognosis as well as effect, and no dose is chosen from it alone."
    ),
    "decision": (
        "A difference is meaningful when it exceeds a margin that the plan declares; statistical"
        " significance alone decides nothing, and its absence does not show sameness. “Insufficient data”"
        " is not an exclusion."
    ),
    "decision.exposure": (
        "A difference in exposure is meaningful when its ratio lies outside the bounds that the plan declares;"
        " statistical significance alone decides nothing, and its absence does not show sameness."
    ),
    "sources.caption": "{label}: where the exposure-response comes from",
    "sources.note": "Odds ratio per doubling, one slope for all histologies, adjusted for {names}.",
    "sources.unadjusted": "Odds ratio per doubling, one slope for all histologies, not adjusted for drivers of clearance.",
    "source.dose": "dose",
    "source.first cycle": "{name} (first cycle)",
    "source.steady state": "{name} (steady state)",
    "source.clearance": "{name} at a given dose (clearance)",
    "column.regressor": "Exposure by",
    "column.odds_ratio": "Odds ratio",
    "column.interval90": "90 % interval",
    "column.p_value": "p",
    "refits.caption": "Repeated analyses that change a verdict",
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
    "column.p_proportional": "p (proportional hazards)",
    "verdict.same dose": "same dose",
    "verdict.adjust dose": "adjust dose",
    "verdict.exclude": "exclude",
    "verdict.insufficient data": "insufficient data",
    "verdict.not fitted": "not fitted",
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
    "verdicts.note.exposure": (
        "R: ratio of {metric} under the reference regimen to {reference}, with 90 % confidence interval."
        " P: probability; R within: between the no-effect bounds {low} and {high}. n: patients with exposure."
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
    "threshold.conclude.exposure": "A difference is shown, or exposure is equivalent",
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
    "dose.note.exposure": "Candidate doses: {candidates}. Reference dose: {reference_dose}.",
    "column.matches": "What it matches",
    "column.response_at": "{label} (%)",
    "column.n_needed": "n needed",
    "column.evidence": "Evidence",
    "group.predicted": "Predicted at the dose",
    "evidence.EC1": "EC1: randomised doses",
    "evidence.EC2": "EC2: several doses, not randomised",
    "evidence.EC3": "EC3: one dose",
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
    "limitations.exposure": "The plan has no endpoint: whether a difference in exposure matters to patients is not shown.",
    "limitations.failed": "The population pharmacokinetic fit did not end successfully.",
    "plan.caption": "The plan as it was run, defaults filled in",
    "column.key": "Key",
    "provenance.caption": "What produced these numbers",
    "provenance.text": (
        "Every number in this report is a field of the assessment's JSON; its place stands in the"
        " attribute data-field of the page."
    ),
    "column.item": "Item",
}
