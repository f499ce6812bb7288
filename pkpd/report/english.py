"""English text of the report, by key."""

from __future__ import annotations

from pkpd.report.english_labels import LABELS

__all__ = ["WORDS"]

WORDS: dict = {
    **LABELS,
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
    "link.caption": "{label}: link of the time to growth to {endpoint}",
    "mix.caption": "Enrolled mix against the target population",
    "mix.note": "Target: {source}.",
    "mix.said": (
        "Response as enrolled {pooled} %, post-stratified {response} % ({level} % interval"
        " {lower} to {upper}). {variation} % of patients would have to be of another histology; the weighted"
        " patients are worth {size}."
    ),
    "mix.missing": "Not enrolled: {names}, {share} % of the target.",
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
    "engagement.table_caption": "{label}: as observed, and at the reference exposure with the difference to {reference}",
    "engagement.said": "Test that one Emax serves all histologies: {statistic} on {df} df, p = {p_chi2} (χ²).",
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
    "aliasing.caption": "What histologies can be told apart from",
    "tau.prior": "Prior: {prior}.",
    "borrowing.table_caption": "{label}: raw and shrunken proportions, all doses together",
    "borrowing.table_note": (
        "Shrunken: binomial hierarchical model with 90 % credible interval; partitions: mean over all"
        " groupings of the histologies. Prior: {prior}."
    ),
    "borrowing.homogeneous": "P(one rate in all histologies) = ",
    "influence.table_caption": "Means over histologies, with each left out in turn",
    "influence.size": ", effective number of histologies ",
    "influence.nobody": "nobody left out",
    "influence.slope": "Slope of {name}",
    "influence.log": "log {name}",
    "refits.none": "No repeated analysis changes a verdict.",
    "forecasts.caption": "Predictions at the reference dose and at every candidate dose",
    "forecasts.note": (
        "Averaged over the histology's patients. Difference: to the reference histology at the reference"
        " dose, percentage points, 90 % interval."
    ),
    "trial.caption": "{label} by histology, all doses together",
    "trial.note": "Exact (Clopper-Pearson) interval; shrunken: hierarchical model.",
    "sensitivity": "Repeated analyses",
    "assumptions": "Assumptions",
    "limitations": "Limitations",
    "characteristics": "Operating characteristics of the decision table",
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
    "refits.caption": "Repeated analyses that change a verdict",
    "refits.note": "{n} verdicts were made again: half and twice the prior, without each histology, per declared assay.",
    "pooled.caption": "Share of each histology, and the pooled result without it",
    "pooled.note": "More than 40 % of patients, or a shift of more than 5 percentage points: {names}.",
    "pooled.nobody": "no histology",
    "aliasing.note": "With dose and the declared columns in one model; variance inflation of the contrast to the reference.",
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
    "qualifiers.caption": "Qualifiers used above",
    "margins.caption": "What counts as a meaningful difference, as declared in the plan",
    "thresholds.caption": "Thresholds: probabilities that a statement must reach, and other limits",
    "rules.caption": "The decision table; rows are tried from top to bottom",
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
    "exposure.text": (
        "Exposure is compared as {metric} at the subject's own parameters. The reference exposure is"
        " {reference_exposure}, the geometric mean in {reference} at the reference dose."
    ),
    "exposure.caption": "Exposure by histology under the reference regimen and its ratio to {reference}",
    "exposure.note": (
        "The ratio is marginal: each histology with its own patients. P: probability against the"
        " no-effect bounds {low} and {high}."
    ),
    "counts.caption": "{label}: patients with the event by histology and dose",
    "tests.caption": "{label}: tests between histologies",
    "tests.note": (
        "The bootstrap p-value counts: at these sizes the χ² approximation rejects too often. Neither"
        " decides a verdict."
    ),
    "tests.note_chi2": (
        "No bootstrap was run; the χ² p-values are approximate and reject too often at small sizes."
    ),
    "no_events": "No event was observed; curves and contrasts rest on the penalised likelihood alone.",
    "all_events": (
        "Every patient had the event; curves and contrasts rest on the penalised likelihood alone."
    ),
    "coefficients.caption": "{label}: coefficients of the logistic model",
    "contrasts.caption": "{label}: difference to {reference} at equal exposure, percentage points",
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
    "dose.caption": "Dose per histology, what it matches, and what is predicted at it",
    "dose.note": (
        "Candidate doses: {candidates}. Reference dose: {reference_dose}. n needed: fewest patients at"
        " which a verdict would be reached if the estimates held."
    ),
    "dose.note.exposure": "Candidate doses: {candidates}. Reference dose: {reference_dose}.",
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
    "provenance.caption": "What produced these numbers",
    "provenance.text": (
        "Every number in this report is a field of the assessment's JSON; its place stands in the"
        " attribute data-field of the page."
    ),
}
