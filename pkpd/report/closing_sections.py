"""Last sections of the report: dose, populations, representativeness, uncertainty, conclusions, appendix."""

from __future__ import annotations

from pkpd.report import evidence_tables as evidence
from pkpd.report import further_tables as further
from pkpd.report import robustness_tables as rests_on
from pkpd.report import verdict_tables as answer
from pkpd.report.blocks import Block, Code, Heading, Points, Text
from pkpd.report.context import Context
from pkpd.report.numbers import fixed, integer

__all__ = ["appendix", "conclusions", "dose", "populations", "representativeness", "trial", "uncertainty"]

HIGH_SHRINKAGE = 25  # %, above which the decision table calls for a joint model


def dose(c: Context) -> list[Block]:
    """The dose of each histology, what it matches, and what other doses would do."""
    if len(c.a.verdicts) == 0:
        return [Text(c.w["verdicts.absent"])]
    blocks: list[Block] = [answer.dose_table(c.a, c.w)]
    if len(c.a.forecasts) == 0:
        return [*blocks, c.absent("forecasts")]
    from pkpd.report.dose_figures import dose_response

    w = c.w
    drawn = dose_response(c.a, c.language)
    return [
        *blocks,
        c.figure("doses", drawn, w["doses.caption"], w["doses.alt"], w["doses.note"]),
        answer.forecast_table(c.a, w),
    ]


def populations(c: Context) -> list[Block]:
    """Age bands, where the plan names an age."""
    if "age_bands" not in c.a.enrolment:
        return [*c.refused("age_bands"), c.absent("populations")]
    return [further.cell_table(c.a, "age_bands", c.w), c.absent("organs")]


def representativeness(c: Context) -> list[Block]:
    """Who was enrolled, and how far one histology carries the pooled result."""
    shown, w = rests_on.pooled_table(c.a, c.w), c.w
    blocks: list[Block] = [shown] if shown is not None else []
    if "mix" in c.a.enrolment:
        from pkpd.report.representativeness_figures import representativeness as drawn

        axes = drawn(c.a, c.language)
        blocks.append(further.mix_table(c.a, w))
        blocks.append(
            c.figure("mix", axes, w["mix.figure_caption"], w["mix.figure_alt"], w["mix.figure_note"])
        )
    else:
        blocks.append(c.absent("representativeness"))
    return [*blocks, *c.refused("mix")]


def trial(c: Context) -> list[Block]:
    """Responses by histology as a single-arm trial reports them."""
    blocks: list[Block] = [
        rests_on.trial_table(c.a, i, c.w)
        for i, endpoint in enumerate(c.a.endpoints)
        if endpoint.kind == "efficacy" and "table" in endpoint.borrowing
    ]
    return [*blocks, c.absent("duration")] if blocks else [c.absent("trial", "duration")]


def uncertainty(c: Context) -> list[Block]:
    """Repeated analyses, assumptions, limitations."""
    w = c.w
    blocks: list[Block] = [Heading("sensitivity", w["sensitivity"])]
    refits = rests_on.refits_table(c.a, w)
    blocks.append(refits if refits is not None else c.absent("refits"))
    blocks.append(Heading("assumptions", w["assumptions"]))
    if c.a.assumptions:
        blocks.append(Points(tuple(map(c.say, c.a.assumptions))))
    else:
        blocks.append(c.absent("assumptions"))
    blocks += [Heading("limitations", w["limitations"]), *_limitations(c)]
    # of a plan of exposure alone there is no decision table
    return blocks if c.a.plan.get("exposure_only") else [*blocks, *_characteristics(c)]


def _limitations(c: Context) -> list[Block]:
    w, entries = c.w, []
    alone = c.a.plan.get("exposure_only")
    if alone:
        entries.append(w["limitations.exposure"])
    if not c.a.pk.successful:
        entries.append(w["limitations.failed"])
    if c.dosing.get("randomised") is False and not alone:
        entries.append(w["limitations.randomised"])
    parameters = c.a.pk.parameters
    if "shrinkage_percent" in parameters:
        for name, value in parameters["shrinkage_percent"].items():
            if value > HIGH_SHRINKAGE and str(name).startswith("OMEGA"):
                entries.append(w["limitations.shrinkage"].format(parameter=name, value=fixed(value, 1)))
    for row in c.a.verdicts.to_dict("records"):
        if row.get("verdict") == "insufficient data" and not alone:
            n = row.get("n_needed")
            known = integer(n) if n is not None and n == n else ""
            key = "limitations.insufficient" if known else "limitations.insufficient_unknown"
            entries.append(w[key].format(histology=row["histology"], n=known))
        listed = row.get("qualifiers")
        for name in answer.qualifiers(listed if isinstance(listed, str) else ""):
            meaning = w.get(f"qualifier.{name}", "")
            entries.append(
                w["limitations.qualified"].format(histology=row["histology"], qualifier=name, meaning=meaning)
            )
    return [Points(tuple(entries))] if entries else []


def _characteristics(c: Context) -> list[Block]:
    w = c.w
    if c.a.characteristics is None:
        return [c.absent("characteristics")]
    from pkpd.report.characteristic_figures import operating_characteristics

    drawn = operating_characteristics(c.a.characteristics, c.language)
    return [
        Heading("characteristics", w["characteristics"]),
        c.figure("characteristics", drawn, w["characteristics.figure_caption"], w["characteristics.alt"]),
        rests_on.characteristics_table(c.a, w),
    ]


def conclusions(c: Context) -> list[Block]:
    """What follows for each histology, in a sentence or two."""
    if len(c.a.verdicts) == 0:
        return [Text(c.w["verdicts.absent"])]
    if c.a.plan.get("exposure_only"):
        return [Points(tuple(map(c.say, c.a.verdicts["sentence"])))]
    entries = []
    unit = c.dosing.get("unit", "")
    for row in c.a.verdicts.to_dict("records"):
        key = f"conclusion.{row['verdict']}"
        named = f"{answer.plain(row['dose'])} {unit}".strip() if row["dose"] == row["dose"] else ""
        if row["verdict"] == "adjust dose" and not named:
            key = "conclusion.insufficient data"
        entries.append(c.w[key].format(histology=row["histology"], dose=named))
    return [Points(tuple(entries)), Text(c.w["conclusion.labelling"])]


def appendix(c: Context) -> list[Block]:
    """The plan, what produced the numbers, and the final model for other programs."""
    w = c.w
    blocks: list[Block] = [Heading("provenance", w["provenance"]), Text(w["provenance.text"])]
    if c.a.provenance:
        blocks.append(evidence.provenance_table(c.a, w))
    if c.a.plan:
        blocks += [Heading("plan", w["plan"]), evidence.plan_table(c.a, w)]
    for name, text in c.a.pk.code.items():
        blocks += [Heading(f"code-{name.lower()}", w["code"].format(program=name)), Code(text)]
    return blocks if c.a.pk.code else [*blocks, c.absent("code")]
