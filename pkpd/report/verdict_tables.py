"""Tables of the answer: verdicts, margins, thresholds, the decision table, and doses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pkpd.report.numbers import MISSING, fixed, integer, percent, probability, ratio
from pkpd.report.palette import histologies
from pkpd.report.tables import (
    Badge,
    Cell,
    Column,
    Number,
    Part,
    Reader,
    Row,
    Table,
    by_head,
    cell,
    heading,
    table,
)
from pkpd.report.wording import dose_label, in_words
from pkpd.study.assessment import Assessment

__all__ = ["dose_table", "forecast_table", "margin_tables", "qualifier_table", "rule_table", "verdict_table"]

LOOKS = {"same dose": "same", "adjust dose": "adjust", "exclude": "exclude", "insufficient data": "open"}


def plain(value: Any) -> str:
    """A value of the plan as the user wrote it."""
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _badge(words: Mapping, reader: Reader, row: int) -> Badge:
    verdict = reader.word("verdict", row)
    return Badge(
        words.get(f"verdict.{verdict}", verdict), LOOKS.get(verdict, "open"), field=f"verdicts.verdict[{row}]"
    )


def qualifiers(text: str) -> list[str]:
    """Names in the "; "-separated text of the verdict table."""
    return [name.strip() for name in text.split(";") if name.strip()]


def verdict_table(assessment: Assessment, words: Mapping, reference: str, metric: str) -> Table:
    """One row per histology, its sentence and qualifiers below it."""
    reader = Reader(assessment.verdicts, "verdicts", words)
    low, high = (f"{b:g}" for b in assessment.exposure.bounds)
    margins, alone = assessment.plan.get("margins", {}), assessment.plan.get("exposure_only")
    exposure, chance = words["group.exposure"], words["group.probability"]

    def histology(i: int) -> Cell:
        counts: list[Part] = [f"{words['column.n']} = ", reader.number("n", i, integer)]
        if not alone:
            counts += [" / ", reader.number("n_response", i, integer)]
        return heading(reader.word("histology", i), detail=counts)

    def verdict(i: int) -> Cell:
        # the decision table is not printed where exposure alone is compared
        rule = "" if alone else reader.word("rule", i)
        return cell(_badge(words, reader, i), detail=(words["rule"].format(rule=rule),) if rule else ())

    below, above = words["column.below"].format(low=low), words["column.above"].format(high=high)
    columns = [
        reader.column(words["column.histology"], histology),
        reader.column(words["column.verdict"], verdict),
        reader.numbers(dose_label(assessment.plan, words), "dose", plain),
        reader.numbers(words["column.ratio"], "ratio", ratio, group=exposure),
        reader.intervals(words["column.ci90"], "ratio_lower", "ratio_upper", ratio, group=exposure),
        reader.numbers(below, "p_exposure_below", probability, group=exposure),
        reader.numbers(words["column.within"], "p_exposure_within", probability, group=exposure),
        reader.numbers(above, "p_exposure_above", probability, group=exposure),
    ]
    if not alone:
        columns += [
            reader.numbers(words["column.p0"], "p_response_below_p0", probability, group=chance),
            reader.numbers(words["column.effect_kept"], "p_effect_kept", probability, group=chance),
            reader.numbers(words["column.safety_kept"], "p_safety_kept", probability, group=chance),
            reader.numbers(words["column.total_kept"], "p_total_kept", probability, group=chance),
        ]
    bodies = []
    for i, main in enumerate(reader.rows(columns, range(len(reader)))):
        marks = [
            Badge(name, "mark", words.get(f"qualifier.{name}", ""))
            for name in qualifiers(reader.word("qualifiers", i))
        ]
        if evidence := reader.word("evidence_class", i):
            marks.append(Badge(evidence, "mark", words.get(f"evidence.{evidence}", "")))
        parts: list = [in_words(reader.value("sentence", i), words)]
        for mark in marks:
            parts += [" ", mark]
        bodies.append((main, Row((cell(*parts, span=len(columns)),), "said")))
    note = words["verdicts.note.exposure" if alone else "verdicts.note"].format(
        metric=metric, reference=reference, low=low, high=high,
        efficacy=_points(margins.get("efficacy")), safety=_points(margins.get("safety")),
    )  # fmt: skip
    return table(
        "verdicts",
        words["verdicts.caption"].format(reference=reference),
        columns,
        bodies=bodies,
        note=note,
        look="wide",
    )


def _points(value: Any) -> str:
    return MISSING if value is None else f"{100 * float(value):.6g}"


def qualifier_table(assessment: Assessment, words: Mapping) -> Table | None:
    """What the qualifiers in the verdict table mean; None where there is none."""
    used: dict[str, None] = {}
    for text in assessment.verdicts.get("qualifiers", ()):
        used |= dict.fromkeys(qualifiers(str(text)) if isinstance(text, str) else [])
    known = [name for name in used if f"qualifier.{name}" in words]
    if not known:
        return None
    rows = [Row((heading(name), cell(words[f"qualifier.{name}"]))) for name in known]
    columns = (Column(words["column.item"]), Column(words["column.statement"]))
    return table("qualifiers", words["qualifiers.caption"], columns, rows, look="plain")


def margin_tables(assessment: Assessment, words: Mapping) -> list[Table]:
    """Margins with their sources, and the thresholds."""
    plan = assessment.plan
    exposure, margins, p0 = (plan.get(name) or {} for name in ("exposure", "margins", "p0"))
    bounds = (
        Number(f"{assessment.exposure.bounds[0]:g}", "exposure.bounds[0]"),
        words["to"],
        Number(f"{assessment.exposure.bounds[1]:g}", "exposure.bounds[1]"),
    )
    rows: list[Row] = []

    def add(label: str, section: Mapping, *shown: Part) -> None:
        source = cell(str(section.get("source", MISSING)))
        rows.append(Row((heading(label), cell(*shown, kind="interval"), source)))

    add(words["margin.bounds"], exposure, *bounds)
    for kind in ("efficacy", "safety"):
        if margins.get(kind) is not None:
            shown = Number(_points(margins[kind]), f"plan.margins.{kind}", 100)
            add(words[f"margin.{kind}"], margins, shown)
    for name, value in (margins.get("safety_by_histology") or {}).items():
        shown = Number(_points(value), f"plan.margins.safety_by_histology.{name}", 100)
        add(words["margin.safety_of"].format(histology=name), margins, shown)
    if p0.get("default") is not None:
        add(words["margin.p0"], p0, Number(_points(p0["default"]) + " %", "plan.p0.default", 100))
    for name, rate in (p0.get("histologies") or {}).items():
        shown = Number(_points(rate) + " %", f"plan.p0.histologies.{name}", 100)
        add(words["margin.p0_of"].format(histology=name), p0, shown)
    columns = (
        Column(words["column.margin"]),
        Column(words["column.value"], "interval"),
        Column(words["column.source"]),
    )
    made = [table("margins", words["margins.caption"], columns, rows)]
    thresholds = plan.get("thresholds") or {}
    if thresholds:
        lines = []
        for name, value in thresholds.items():
            shown = Number(fixed(value, 0 if isinstance(value, int) else 2), f"plan.thresholds.{name}")
            meaning = words.get(f"threshold.{name}", name)
            if plan.get("exposure_only"):
                meaning = words.get(f"threshold.{name}.exposure", meaning)
            lines.append(Row((heading(meaning), cell(shown, kind="number"))))
        made.append(
            table(
                "thresholds",
                words["thresholds.caption"],
                (Column(words["column.statement"]), Column(words["column.threshold"], "number")),
                lines,
            )
        )
    return made


def rule_table(assessment: Assessment, words: Mapping) -> Table:
    """The decision table with the plan's thresholds."""
    limits = {
        "conclude": 0.9,
        "keep": 0.8,
        "minimum_n": 10,
        **(assessment.plan.get("thresholds") or {}),
    }
    low, high = assessment.exposure.bounds
    values = {name: f"{value:g}" for name, value in limits.items()} | {"low": f"{low:g}", "high": f"{high:g}"}
    rows = [
        Row(
            (
                heading(row),
                cell(condition.format(**values)),
                cell(Badge(words[f"verdict.{verdict}"], LOOKS[verdict])),
            )
        )
        for row, condition, verdict in words["rules"]
    ]
    columns = (
        Column(words["column.row"]),
        Column(words["column.condition"]),
        Column(words["column.verdict"]),
    )
    return table("rules", words["rules.caption"], columns, rows)


def dose_table(assessment: Assessment, words: Mapping) -> Table:
    """Dose per histology and what is predicted at it."""
    reader = Reader(assessment.verdicts, "verdicts", words)
    dosing = assessment.plan.get("dosing", {})
    unit = dosing.get("unit", "")
    labels = {e.kind: e.label for e in assessment.endpoints if e.primary}
    response, adverse = (
        words["column.response_at"].format(label=labels.get(kind, words[f"endpoint.{kind}"]))
        for kind in ("efficacy", "safety")
    )
    predicted = words["group.predicted"]
    columns = [
        reader.heads(words["column.histology"]),
        reader.column(words["column.verdict"], lambda i: cell(_badge(words, reader, i))),
        reader.numbers(dose_label(assessment.plan, words), "dose", plain),
        reader.texts(
            words["column.matches"], "dose_matches", lambda m: words.get(f"matches.{m}", m) or MISSING
        ),
    ]
    if not assessment.plan.get("exposure_only"):
        columns += [
            reader.numbers(response, "response_at_dose", percent, 100, group=predicted),
            reader.numbers(adverse, "ae_at_dose", percent, 100, group=predicted),
            reader.numbers(words["column.n_needed"], "n_needed", integer),
            reader.texts(words["column.evidence"], "evidence_class", lambda name: name or MISSING),
        ]
    rows = reader.rows(columns, range(len(reader)))
    candidates = dosing.get("candidates") or ()
    listed = words["list"].join(plain(c) for c in candidates) + (f" {unit}" if unit else "")
    reference = f"{plain(dosing['reference'])} {unit}".strip() if "reference" in dosing else MISSING
    note = words["dose.note.exposure" if assessment.plan.get("exposure_only") else "dose.note"].format(
        candidates=listed.strip() or MISSING, reference_dose=reference
    )
    classes = [
        words[f"evidence.{c}"]
        for c in dict.fromkeys(assessment.verdicts.get("evidence_class", ()))
        if f"evidence.{c}" in words
    ]
    if classes:
        note = words["sentences"].join([note, words["clauses"].join(classes) + words["stop"]])
    return table("dose", words["dose.caption"], columns, rows, note=note)


def forecast_table(assessment: Assessment, words: Mapping) -> Table:
    """What each dose would do in each histology."""
    reader = Reader(assessment.forecasts, "forecasts", words)
    labels = {e.kind: e.label for e in assessment.endpoints if e.primary}
    efficacy, safety = (labels.get(kind, words[f"endpoint.{kind}"]) for kind in ("efficacy", "safety"))
    # endpoints of one label stay two groups
    safety = f"{safety} "
    predicted, difference = words["column.predicted"], words["column.against_reference"]
    columns = [
        reader.heads(words["column.histology"]),
        reader.numbers(dose_label(assessment.plan, words), "dose", plain),
        reader.numbers(words["column.exposure"].format(unit=assessment.exposure.unit), "exposure"),
        reader.numbers(predicted, "response", percent, 100, group=efficacy),
        reader.intervals(difference, "response_lower", "response_upper", percent, 100, group=efficacy),
        reader.numbers(predicted, "ae", percent, 100, group=safety),
        reader.intervals(difference, "ae_lower", "ae_upper", percent, 100, group=safety),
    ]
    bodies = by_head(reader.rows(columns, reader.positions(histologies(assessment))))
    caption, note = words["forecasts.caption"], words["forecasts.note"]
    return table("forecasts", caption, columns, bodies=bodies, note=note)
