"""Tables of what the results rest on: sources of exposure, repeated analyses, enrolled mix, aliasing, survival."""

from __future__ import annotations

from collections.abc import Mapping

from pkpd.report.exposure_figures import quantity
from pkpd.report.numbers import MISSING, fixed, integer, p_value, percent, probability, ratio, significant
from pkpd.report.palette import histologies
from pkpd.report.tables import Cell, Column, Number, Reader, Row, Table, cell, heading, table
from pkpd.report.verdict_tables import plain
from pkpd.report.wording import dose_label, in_words
from pkpd.study.assessment import Assessment, EndpointResult

__all__ = [
    "aliasing_table",
    "borrowing_table",
    "characteristics_table",
    "influence_table",
    "pooled_table",
    "refits_table",
    "sources_table",
    "survival_table",
    "trial_table",
]

_VERDICTS = ("same dose", "adjust dose", "exclude", "insufficient data")


def sources_table(endpoint: EndpointResult, position: int, words: Mapping) -> Table | None:
    """Dose, first-cycle and steady-state exposure side by side; None where that was not done."""
    found = endpoint.sources.get("table")
    if found is None or len(found) == 0:
        return None
    reader = Reader(found, f"endpoints[{position}].sources.table", words)
    columns = (
        Column(words["column.regressor"]),
        Column(words["column.odds_ratio"], "number"),
        Column(words["column.interval90"], "interval"),
        Column(words["column.p_value"], "number"),
    )
    rows = [
        Row(
            (
                heading(
                    words[f"source.{reader.word('source', i)}"].format(
                        name=reader.word("regressor", i).removesuffix(" at a given dose")
                    )
                ),
                reader.numeric("odds_ratio", i, ratio),
                reader.interval("lower", "upper", i, ratio),
                reader.numeric("p_value", i, p_value),
            )
        )
        for i in range(len(reader))
    ]
    adjusted = endpoint.sources.get("adjusted") or ()
    note = (
        words["sources.note"].format(names=words["list"].join(adjusted))
        if adjusted
        else words["sources.unadjusted"]
    )
    return table(
        f"sources-{position}", words["sources.caption"].format(label=endpoint.label), columns, rows, note=note
    )


def refits_table(assessment: Assessment, words: Mapping) -> Table | None:
    """Repeated analyses whose verdict is another; None where nothing was repeated."""
    found = assessment.sensitivity.get("refits")
    if found is None or len(found) == 0:
        return None
    reader = Reader(found, "sensitivity.refits", words)
    changed = [i for i in reader.positions(histologies(assessment)) if bool(reader.value("changed", i))]
    columns = (
        Column(words["column.histology"]),
        Column(words["column.analysis"]),
        Column(words["column.verdict"]),
        Column(dose_label(assessment.plan, words), "number"),
        Column(words["column.exposure_ratio"], "number"),
    )
    rows = [
        Row(
            (
                heading(reader.word("histology", i)),
                cell(words[f"analysis.{reader.word('analysis', i)}"].format(change=reader.word("change", i))),
                cell(words.get(f"verdict.{reader.word('verdict', i)}", reader.word("verdict", i))),
                reader.numeric("dose", i, plain),
                reader.numeric("ratio", i, ratio),
            )
        )
        for i in changed
    ]
    if not rows:
        rows = [Row((cell(words["refits.none"], span=len(columns)),), "said")]
    note = words["refits.note"].format(n=len(found))
    return table("refits", words["refits.caption"], columns, rows, note=note)


def pooled_table(assessment: Assessment, words: Mapping) -> Table | None:
    """Share of each histology, and the pooled response without it."""
    found = assessment.sensitivity.get("pooled")
    if found is None or len(found) == 0:
        return None
    labels = {e.name: e.label for e in assessment.endpoints}
    order = list(dict.fromkeys(map(str, found["endpoint"])))
    reader = Reader(found, "sensitivity.pooled", words)
    columns = (
        Column(words["column.endpoint"]),
        Column(words["column.histology"]),
        Column(words["column.share_n"], "number"),
        Column(words["column.share_events"], "number"),
        Column(words["column.pooled"], "number"),
        Column(words["column.without"], "number"),
    )
    rows = [
        Row(
            (
                cell(labels.get(reader.word("endpoint", i), reader.word("endpoint", i))),
                heading(reader.word("histology", i)),
                reader.numeric("share_n", i, percent, 100),
                reader.numeric("share_events", i, percent, 100),
                reader.numeric("pooled", i, percent, 100),
                reader.numeric("without", i, percent, 100),
            )
        )
        for i in sorted(
            reader.positions(histologies(assessment)),
            key=lambda i: order.index(reader.word("endpoint", i)),
        )
    ]
    dominant = [reader.word("histology", i) for i in range(len(reader)) if bool(reader.value("dominant", i))]
    named = words["list"].join(dict.fromkeys(dominant)) or words["pooled.nobody"]
    return table(
        "pooled", words["pooled.caption"], columns, rows, note=words["pooled.note"].format(names=named)
    )


def aliasing_table(assessment: Assessment, words: Mapping) -> Table | None:
    """What each histology can be told apart from."""
    found = assessment.confounding.get("aliasing")
    if found is None or len(found) == 0:
        return None
    reader = Reader(found, "confounding.aliasing", words)
    columns = (
        Column(words["column.histology"]),
        Column(words["column.estimable"]),
        Column(words["column.vif"], "number"),
        Column(words["column.shares_nothing"]),
    )
    rows = [
        Row(
            (
                heading(reader.word("histology", i)),
                cell(words["yes" if bool(reader.value("estimable", i)) else "no"]),
                reader.numeric("vif", i, significant)
                if bool(reader.value("estimable", i))
                else cell(MISSING, kind="number"),
                cell(reader.word("shares_nothing", i) or words["nothing"]),
            )
        )
        for i in reader.positions(histologies(assessment))
    ]
    return table("aliasing", words["aliasing.caption"], columns, rows, note=words["aliasing.note"])


def survival_table(assessment: Assessment, position: int, words: Mapping) -> Table:
    """Time to an event within each histology."""
    endpoint = assessment.survival[position]
    reader = Reader(endpoint.table, f"survival[{position}].table", words)
    columns = (
        Column(words["column.histology"]),
        Column(words["column.subjects"], "number"),
        Column(words["column.events"], "number"),
        Column(words["column.median"], "number"),
        Column(words["column.hazard_ratio"], "number"),
        Column(words["column.interval90"], "interval"),
    )
    rows = [
        Row(
            (
                heading(reader.word("histology", i)),
                reader.numeric("n", i, integer),
                reader.numeric("events", i, integer),
                reader.numeric("median", i, lambda v: fixed(v, 1)),
                reader.numeric("hazard_ratio", i, ratio),
                reader.interval("lower", "upper", i, ratio),
            )
        )
        for i in reader.positions(histologies(assessment))
    ]
    return table(
        f"survival-{position}", words["survival.caption"].format(label=endpoint.label), columns, rows,
        note=in_words(endpoint.statement, words),
    )  # fmt: skip


def borrowing_table(assessment: Assessment, position: int, words: Mapping) -> Table:
    """Raw and shrunken response rates, and whether one rate serves all."""
    endpoint = assessment.endpoints[position]
    found, path = endpoint.borrowing, f"endpoints[{position}].borrowing"
    reader = Reader(found["table"], f"{path}.table", words)
    raw, shrunken = words["column.raw"], words["column.shrunken"]
    columns = (
        Column(words["column.histology"]),
        Column(words["column.n"], "number"),
        Column(words["column.events"], "number"),
        Column(words["column.proportion"], "number", raw),
        Column(words["column.ci95"], "interval", raw),
        Column(words["column.proportion"], "number", shrunken),
        Column(words["column.interval90"], "interval", shrunken),
        Column(words["column.partitions"], "number"),
    )
    rows = [
        Row(
            (
                heading(reader.word("histology", i)),
                reader.numeric("n", i, integer),
                reader.numeric("events", i, integer),
                reader.numeric("raw", i, percent, 100),
                reader.interval("raw_lower", "raw_upper", i, percent, 100),
                reader.numeric("shrunken", i, percent, 100),
                reader.interval("lower", "upper", i, percent, 100),
                reader.numeric("mean", i, percent, 100),
            )
        )
        for i in reader.positions(histologies(assessment))
    ]
    one = (
        words["borrowing.homogeneous"],
        Number(probability(found["probability_homogeneous"]), f"{path}.probability_homogeneous"),
    )
    rows.append(Row((cell(*one, span=len(columns)),), "said"))
    note = words["borrowing.table_note"].format(prior=in_words(found["prior"], words))
    caption = words["borrowing.table_caption"].format(label=endpoint.label)
    return table(f"borrowing-{position}", caption, columns, rows, note=note)


def influence_table(assessment: Assessment, words: Mapping) -> Table:
    """Summaries over histologies, each left out in turn."""
    columns = (
        Column(words["column.without_histology"]),
        Column(words["column.weight"], "number"),
        Column(words["column.mean"], "number"),
        Column(words["column.ci95"], "interval"),
        Column("τ²", "number"),
    )

    def three(value: float) -> str:
        return fixed(value, 3)

    bodies = []
    for name, one in assessment.sensitivity["influence"].items():
        if "table" not in one:
            continue
        path = f"sensitivity.influence.{name}"
        whole = [Number(three(one[key]), f"{path}.{key}") for key in ("mu", "lower", "upper", "tau2")]
        size = Number(fixed(one["effective_number"], 1), f"{path}.effective_number")
        rows = [
            Row((heading(quantity(name, words), words["influence.size"], size, span=len(columns)),), "group")
        ]
        rows.append(
            Row(
                (
                    heading(words["influence.nobody"]),
                    cell("", kind="number"),
                    cell(whole[0], kind="number"),
                    cell(whole[1], words["to"], whole[2], kind="interval"),
                    cell(whole[3], kind="number"),
                )
            )
        )
        reader = Reader(one["table"], f"{path}.table", words)
        rows += [
            Row(
                (
                    heading(reader.word("histology", i)),
                    reader.numeric("weight", i, lambda v: fixed(v, 2)),
                    reader.numeric("mu", i, three),
                    reader.interval("lower", "upper", i, three),
                    reader.numeric("tau2", i, three),
                )
            )
            for i in reader.positions(histologies(assessment))
        ]
        bodies.append(rows)
    return table(
        "influence",
        words["influence.table_caption"],
        columns,
        bodies=bodies,
        note=words["influence.note"],
    )


def trial_table(assessment: Assessment, position: int, words: Mapping) -> Table:
    """Responses by histology over all doses, with exact intervals, as observed."""
    endpoint = assessment.endpoints[position]
    found = endpoint.borrowing["table"]
    reader = Reader(found, f"endpoints[{position}].borrowing.table", words)
    columns = (
        Column(words["column.histology"]),
        Column(words["column.n"], "number"),
        Column(words["column.events"], "number"),
        Column(words["column.proportion"], "number"),
        Column(words["column.ci95"], "interval"),
        Column(words["column.shrunken_percent"], "number"),
    )
    rows = [
        Row(
            (
                heading(reader.word("histology", i)),
                reader.numeric("n", i, integer),
                reader.numeric("events", i, integer),
                reader.numeric("raw", i, percent, 100),
                reader.interval("raw_lower", "raw_upper", i, percent, 100),
                reader.numeric("shrunken", i, percent, 100),
            )
        )
        for i in reader.positions(histologies(assessment))
    ]
    caption = words["trial.caption"].format(label=endpoint.label)
    return table(f"trial-{position}", caption, columns, rows, note=words["trial.note"])


def characteristics_table(assessment: Assessment, words: Mapping) -> Table:
    """Probability of each verdict, and of false ones, under each scenario of the plan."""
    found = assessment.characteristics
    reader = Reader(found.table, "characteristics.table", words)
    totals = Reader(found.any_false, "characteristics.any_false", words)
    reached, false = words["characteristics.reached"], words["characteristics.false"]
    columns = (
        Column(words["column.histology"]),
        Column(words["column.n"], "number"),
        Column(words["characteristics.truth"]),
        *(Column(words[f"verdict.{v}"], "number", reached) for v in _VERDICTS),
        *(Column(words[f"verdict.{v}"], "number", false) for v in _VERDICTS[:3]),
    )

    def share(name: str, i: int, of: Reader) -> Cell:
        return of.numeric(name, i, percent, 100)

    bodies = []
    for at in range(len(totals)):
        scenario = totals.word("scenario", at)
        rows = [Row((heading(scenario, span=len(columns)),), "group")]
        rows += [
            Row(
                (
                    heading(reader.word("histology", i)),
                    reader.numeric("n", i, integer),
                    cell(words[f"verdict.{reader.word('truth', i)}"]),
                    *(share(k, i, reader) for k in ("same", "adjust", "exclude", "insufficient")),
                    *(share(f"false_{k}", i, reader) for k in ("same", "adjust", "exclude")),
                )
            )
            for i in range(len(reader))
            if reader.word("scenario", i) == scenario
        ]
        rows.append(
            Row(
                (
                    heading(words["characteristics.any"]),
                    *(cell("", kind=column.kind) for column in columns[1:7]),
                    *(share(f"false_{k}", at, totals) for k in ("same", "adjust", "exclude")),
                )
            )
        )
        bodies.append(rows)
    note = words["characteristics.note"].format(
        n=integer(found.n_replicates), failed=integer(found.failed), se=fixed(50 / found.n_replicates**0.5, 1)
    )
    return table("characteristics", words["characteristics.caption"], columns, bodies=bodies, note=note)
