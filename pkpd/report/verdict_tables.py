"""Tables of the answer: verdicts, margins, thresholds, the decision table, and doses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pkpd.report.numbers import MISSING, fixed, integer, percent, probability, ratio
from pkpd.report.palette import histologies
from pkpd.report.tables import Badge, Column, Number, Reader, Row, Table, cell, heading, table
from pkpd.report.wording import dose_label, in_words
from pkpd.study.assessment import Assessment

__all__ = ["dose_table", "forecast_table", "margin_tables", "qualifier_table", "rule_table", "verdict_table"]

_CHANCES = (
    "p_exposure_below",
    "p_exposure_within",
    "p_exposure_above",
    "p_response_below_p0",
    "p_effect_kept",
    "p_safety_kept",
    "p_total_kept",
)
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
    margins = assessment.plan.get("margins", {})
    exposure, chance = words["group.exposure"], words["group.probability"]
    columns = (
        Column(words["column.histology"]),
        Column(words["column.verdict"]),
        Column(dose_label(assessment.plan, words), "number"),
        Column(words["column.ratio"], "number", exposure),
        Column(words["column.ci90"], "interval", exposure),
        Column(words["column.below"].format(low=low), "number", exposure),
        Column(words["column.within"], "number", exposure),
        Column(words["column.above"].format(high=high), "number", exposure),
        Column(words["column.p0"], "number", chance),
        Column(words["column.effect_kept"], "number", chance),
        Column(words["column.safety_kept"], "number", chance),
        Column(words["column.total_kept"], "number", chance),
    )
    bodies = []
    for i in range(len(reader)):
        counts = (
            f"{words['column.n']} = ",
            reader.number("n", i, integer),
            " / ",
            reader.number("n_response", i, integer),
        )
        rule = reader.word("rule", i)
        chances = [reader.numeric(name, i, probability) for name in _CHANCES]
        main = Row(
            (
                heading(reader.word("histology", i), detail=counts),
                cell(_badge(words, reader, i), detail=(words["rule"].format(rule=rule),) if rule else ()),
                reader.numeric("dose", i, plain),
                reader.numeric("ratio", i, ratio),
                reader.interval("ratio_lower", "ratio_upper", i, ratio),
                *chances,
            )
        )
        marks = [
            Badge(name, "mark", words.get(f"qualifier.{name}", ""))
            for name in qualifiers(reader.word("qualifiers", i))
        ]
        evidence = reader.word("evidence_class", i)
        parts: list = [in_words(reader.value("sentence", i), words)]
        for mark in [
            *marks,
            *([Badge(evidence, "mark", words.get(f"evidence.{evidence}", ""))] if evidence else []),
        ]:
            parts += [" ", mark]
        bodies.append((main, Row((cell(*parts, span=len(columns)),), "said")))
    note = words["verdicts.note"].format(
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
    rows = []
    bounds = (
        Number(f"{assessment.exposure.bounds[0]:g}", "exposure.bounds[0]"),
        words["to"],
        Number(f"{assessment.exposure.bounds[1]:g}", "exposure.bounds[1]"),
    )
    rows.append(
        Row(
            (
                heading(words["margin.bounds"]),
                cell(*bounds, kind="interval"),
                cell(str(exposure.get("source", MISSING))),
            )
        )
    )
    for kind in ("efficacy", "safety"):
        if margins.get(kind) is not None:
            shown = Number(_points(margins[kind]), f"plan.margins.{kind}", 100)
            rows.append(
                Row(
                    (
                        heading(words[f"margin.{kind}"]),
                        cell(shown, kind="interval"),
                        cell(str(margins.get("source", MISSING))),
                    )
                )
            )
    for name, value in (margins.get("safety_by_histology") or {}).items():
        shown = Number(_points(value), f"plan.margins.safety_by_histology.{name}", 100)
        label = words["margin.safety_of"].format(histology=name)
        rows.append(
            Row((heading(label), cell(shown, kind="interval"), cell(str(margins.get("source", MISSING)))))
        )
    if p0.get("default") is not None:
        shown = Number(_points(p0["default"]) + " %", "plan.p0.default", 100)
        rows.append(
            Row(
                (
                    heading(words["margin.p0"]),
                    cell(shown, kind="interval"),
                    cell(str(p0.get("source", MISSING))),
                )
            )
        )
    for name, rate in (p0.get("histologies") or {}).items():
        shown = Number(_points(rate) + " %", f"plan.p0.histologies.{name}", 100)
        rows.append(
            Row(
                (
                    heading(words["margin.p0_of"].format(histology=name)),
                    cell(shown, kind="interval"),
                    cell(str(p0.get("source", MISSING))),
                )
            )
        )
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
            lines.append(Row((heading(words.get(f"threshold.{name}", name)), cell(shown, kind="number"))))
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
    predicted = words["group.predicted"]
    columns = (
        Column(words["column.histology"]),
        Column(words["column.verdict"]),
        Column(dose_label(assessment.plan, words), "number"),
        Column(words["column.matches"]),
        Column(
            words["column.response_at"].format(label=labels.get("efficacy", words["endpoint.efficacy"])),
            "number",
            predicted,
        ),
        Column(
            words["column.response_at"].format(label=labels.get("safety", words["endpoint.safety"])),
            "number",
            predicted,
        ),
        Column(words["column.n_needed"], "number"),
        Column(words["column.evidence"]),
    )
    rows = []
    for i in range(len(reader)):
        matches = reader.word("dose_matches", i)
        evidence = reader.word("evidence_class", i)
        rows.append(
            Row(
                (
                    heading(reader.word("histology", i)),
                    cell(_badge(words, reader, i)),
                    reader.numeric("dose", i, plain),
                    cell(words.get(f"matches.{matches}", matches) or MISSING),
                    reader.numeric("response_at_dose", i, percent, 100),
                    reader.numeric("ae_at_dose", i, percent, 100),
                    reader.numeric("n_needed", i, integer),
                    cell(evidence or MISSING),
                )
            )
        )
    candidates = dosing.get("candidates") or ()
    listed = words["list"].join(plain(c) for c in candidates) + (f" {unit}" if unit else "")
    reference = f"{plain(dosing['reference'])} {unit}".strip() if "reference" in dosing else MISSING
    note = words["dose.note"].format(candidates=listed.strip() or MISSING, reference_dose=reference)
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
    groups = [labels.get(kind, words[f"endpoint.{kind}"]) for kind in ("efficacy", "safety")]
    columns = (
        Column(words["column.histology"]),
        Column(dose_label(assessment.plan, words), "number"),
        Column(words["column.exposure"].format(unit=assessment.exposure.unit), "number"),
        Column(words["column.predicted"], "number", groups[0]),
        Column(words["column.against_reference"], "interval", groups[0]),
        Column(words["column.predicted"], "number", f"{groups[1]} "),
        Column(words["column.against_reference"], "interval", f"{groups[1]} "),
    )
    bodies: list[list[Row]] = []
    for i in reader.positions(histologies(assessment)):
        name = reader.word("histology", i)
        again = bool(bodies) and bodies[-1][0].cells[0].text == name
        row = Row(
            (
                heading(name),
                reader.numeric("dose", i, plain),
                reader.numeric("exposure", i),
                reader.numeric("response", i, percent, 100),
                reader.interval("response_lower", "response_upper", i, percent, 100),
                reader.numeric("ae", i, percent, 100),
                reader.interval("ae_lower", "ae_upper", i, percent, 100),
            ),
            "again" if again else "",
        )
        bodies[-1].append(row) if again else bodies.append([row])
    return table(
        "forecasts",
        words["forecasts.caption"],
        columns,
        bodies=bodies,
        note=words["forecasts.note"],
    )
