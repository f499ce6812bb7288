"""Sections on what was observed and fitted: data, population pharmacokinetics, exposure, biomarkers."""

from __future__ import annotations

import dataclasses

import numpy as np

from pkpd.report import evidence_tables as evidence
from pkpd.report import further_tables as further
from pkpd.report import robustness_tables as rests_on
from pkpd.report.blocks import Block, Equations, Heading, Points, Text
from pkpd.report.context import Context
from pkpd.report.equations import legible, mathml
from pkpd.report.numbers import integer, ratio, significant
from pkpd.report.palette import histologies

__all__ = ["biomarkers", "data", "exposure", "pharmacokinetics"]


def data(c: Context) -> list[Block]:
    """Patients and observations, and what histologies can be told apart from."""
    if len(c.a.data) == 0:
        return [c.absent("data")]
    blocks: list[Block] = [evidence.data_table(c.a, c.w)]
    aliasing = rests_on.aliasing_table(c.a, c.w)
    if aliasing is None:
        return [*blocks, c.absent("aliasing")]
    from pkpd.report.confounding_figures import aliasing_map

    blocks.append(aliasing)
    cells = c.a.confounding.get("cells")
    # a column of many values (doses of every patient's own) has no cells to draw
    if cells is not None and len(cells) and len(cells.columns) > 2:
        names = c.w["list"].join(
            c.w["source.dose"] if name == "dose" else name
            for name in cells.columns
            if name not in ("histology", "n")
        )
        drawn = aliasing_map(c.a, c.language)
        said = c.w["aliasing_map.alt"].format(names=names)
        caption = c.w["aliasing_map.caption"].format(names=names)
        blocks.append(c.figure("aliasing", drawn, caption, said, c.w["aliasing_map.note"]))
    return blocks


def pharmacokinetics(c: Context) -> list[Block]:
    """The population model: fit, equations, estimates, diagnostics."""
    pk, w = c.a.pk, c.w
    summary = w["pk.summary"].format(
        model=pk.model,
        method=pk.method,
        observations=integer(pk.n_observations),
        subjects=integer(pk.n_subjects),
    )
    blocks: list[Block] = [Text(summary), Text(w["pk.termination"].format(cause=pk.termination.rstrip(".")))]
    if not pk.successful:
        blocks.append(Text(w["pk.failed"], "warning"))
    blocks.append(evidence.fit_table(pk, w))
    if pk.equations:
        blocks += [
            Heading("equations", w["pk.equations"]),
            Equations(tuple((mathml(e), e) for e in map(legible, pk.equations))),
        ]
    blocks += [Heading("estimates", w["pk.estimates"]), evidence.parameter_table(pk, w)]
    if pk.warnings:
        blocks += [Text(w["pk.warnings"], "lead"), Points(tuple(pk.warnings))]
    return [*blocks, Heading("goodness-of-fit", w["pk.gof"]), *_diagnostics(c)]


def _diagnostics(c: Context) -> list[Block]:
    from pkpd.report.goodness_of_fit import gof
    from pkpd.report.random_effect_figures import eta_covariates, shrinkage

    pk, w = c.a.pk, c.w
    missing = []
    blocks: list[Block] = []
    shown = len(pk.diagnostics) and np.isfinite(pk.diagnostics[["DV", "CWRES"]].astype(float)).all(axis=1)
    if np.any(shown):
        said = w["gof.alt"].format(n=len(pk.diagnostics))
        blocks.append(c.figure("gof", gof(c.a, c.language), w["gof.caption"], said, w["gof.note"]))
    else:
        missing.append("gof")
    if pk.predictive_check is not None:
        from pkpd.report.simulation_figures import vpc

        rank = {name: i for i, name in enumerate(histologies(c.a))}
        bands = pk.predictive_check.bands.sort_values(
            "stratum", key=lambda names: names.map(rank), kind="stable"
        )
        check = dataclasses.replace(pk.predictive_check, bands=bands)
        said = w["vpc.note"].format(n=check.replicates, level=f"{100 * check.level:g}")
        # concentrations of a positive typical prediction: a ratio scale
        drawn = vpc(check, log=bool((check.points["y"].dropna() > 0).all()), language=c.language)
        blocks.append(c.figure("vpc", drawn, w["vpc.caption"], w["vpc.alt"], said))
    else:
        missing.append("vpc")
    if len(pk.random_effects):
        etas = eta_covariates(c.a, c.language)
        blocks.append(c.figure("etas", etas, w["etas.caption"], w["etas.alt"], w["etas.note"]))
    else:
        missing.append("etas")
    if len(pk.shrinkage):
        by_group = shrinkage(c.a, c.language)
        said = w["eta_shrinkage.alt"]
        blocks.append(c.figure("eta-shrinkage", by_group, w["eta_shrinkage.caption"], said))
    else:
        missing.append("eta_shrinkage")
    return [*blocks, c.absent(*missing)] if missing else blocks


def exposure(c: Context) -> list[Block]:
    """Exposure per histology, its ratio to the reference, and each patient's."""
    from pkpd.report.exposure_figures import exposure_by_dose, exposure_forest

    found, w, home = c.a.exposure, c.w, c.reference
    mean = f"{significant(found.reference_exposure)} {found.unit}".strip()
    columns = ["histology", "ratio", "lower", "upper"]
    rows = "; ".join(
        f"{name}: {ratio(r)} ({ratio(low)}{w['to']}{ratio(high)})"
        for name, r, low, high in found.ratios[columns].itertuples(index=False)
        if name != home
    )
    subjects = found.subjects
    k = subjects["histology"].nunique() if len(subjects) else 0
    forest = exposure_forest(c.a, language=c.language)
    blocks: list[Block] = [
        Text(w["exposure.text"].format(metric=c.metric, reference_exposure=mean, reference=home)),
        evidence.exposure_table(c.a, w, home),
        c.figure(
            "forest", forest, w["forest.caption"].format(reference=home), w["forest.alt"].format(rows=rows)
        ),
    ]
    blocks += [
        t for t in (further.conditional_table(c.a, w), further.mediation_table(c.a, w)) if t is not None
    ]
    if not (subjects[found.metric] > 0).any():
        return [*blocks, c.absent("by_dose")]
    spoken = w["by_dose.alt"].format(n=len(subjects), k=k)
    drawn = exposure_by_dose(c.a, language=c.language)
    return [*blocks, c.figure("by-dose", drawn, w["by_dose.caption"], spoken, w["by_dose.note"])]


def biomarkers(c: Context) -> list[Block]:
    """Engagement of the target over exposure, responses by biomarker and the common cut-off, where the plan names any."""
    found = c.a.enrolment
    engaged = [block for i in range(len(c.a.engagement)) for block in _engagement(c, i)]
    blocks: list[Block] = []
    if "biomarkers" in found:
        blocks.append(further.cell_table(c.a, "biomarkers", c.w))
    if "cutoff" in found:
        blocks.append(further.cutoff_table(c.a, c.w))
    told = [*engaged, *blocks, *c.refused("biomarkers", "cutoff")]
    if engaged and blocks:
        return told
    return [*told, c.absent("engagement" if blocks else "markers" if engaged else "biomarkers")]


def _engagement(c: Context, position: int) -> list[Block]:
    from pkpd.report.engagement_figures import engagement

    found, w = c.a.engagement[position], c.w
    blocks: list[Block] = [Heading(f"engagement-{position}", found.label)]
    if len(found.curves):
        caption, alt, note = (
            w[f"engagement.{part}"].format(label=found.label, reference=c.reference)
            for part in ("caption", "alt", "note")
        )
        drawn = engagement(c.a, position, c.language)
        blocks.append(c.figure(f"engagement-{position}", drawn, caption, alt, note))
    return [*blocks, further.engagement_table(c.a, position, w, c.reference)]
