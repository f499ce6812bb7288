"""Tables of what the results rest on: sources of exposure, repeated analyses, enrolled mix, aliasing, survival."""

from __future__ import annotations

from collections.abc import Mapping

from pkpd.report.exposure_figures import quantity
from pkpd.report.numbers import MISSING, fixed, integer, p_value, percent, probability, ratio
from pkpd.report.palette import histologies
from pkpd.report.tables import Cell, Column, Number, Reader, Row, Table, by_head, cell, heading, table
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

    def source(i: int) -> Cell:
        name = reader.word("regressor", i).removesuffix(" at a given dose")
        return heading(words[f"source.{reader.word('source', i)}"].format(name=name))

    columns = [
        reader.column(words["column.regressor"], source),
        reader.numbers(words["column.odds_ratio"], "odds_ratio", ratio),
        reader.intervals(words["column.interval90"], "lower", "upper", ratio),
        reader.numbers(words["column.p_value"], "p_value", p_value),
    ]
    adjusted = endpoint.sources.get("adjusted") or ()
    note = (
        words["sources.note"].format(names=words["list"].join(adjusted))
        if adjusted
        else words["sources.unadjusted"]
    )
    caption = words["sources.caption"].format(label=endpoint.label)
    return table(f"sources-{position}", caption, columns, reader.rows(columns, range(len(reader))), note=note)


def refits_table(assessment: Assessment, words: Mapping) -> Table | None:
    """Repeated analyses whose verdict is another; None where nothing was repeated."""
    found = assessment.sensitivity.get("refits")
    if found is None or len(found) == 0:
        return None
    reader = Reader(found, "sensitivity.refits", words)

    def analysis(i: int) -> Cell:
        return cell(words[f"analysis.{reader.word('analysis', i)}"].format(change=reader.word("change", i)))

    columns = [
        reader.heads(words["column.histology"]),
        reader.column(words["column.analysis"], analysis),
        reader.texts(words["column.verdict"], "verdict", lambda v: words.get(f"verdict.{v}", v)),
        reader.numbers(dose_label(assessment.plan, words), "dose", plain),
        reader.numbers(words["column.exposure_ratio"], "ratio", ratio),
    ]
    changed = [i for i in reader.positions(histologies(assessment)) if bool(reader.value("changed", i))]
    rows = reader.rows(columns, changed)
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

    def endpoint(i: int) -> Cell:
        name = reader.word("endpoint", i)
        return heading(labels.get(name, name))

    columns = [
        reader.column(words["column.endpoint"], endpoint),
        reader.texts(words["column.histology"], "histology"),
        reader.numbers(words["column.share_n"], "share_n", percent, 100),
        reader.numbers(words["column.share_events"], "share_events", percent, 100),
        reader.numbers(words["column.pooled"], "pooled", percent, 100),
        reader.numbers(words["column.without"], "without", percent, 100),
    ]
    positions = sorted(
        reader.positions(histologies(assessment)), key=lambda i: order.index(reader.word("endpoint", i))
    )
    dominant = [reader.word("histology", i) for i in range(len(reader)) if bool(reader.value("dominant", i))]
    named = words["list"].join(dict.fromkeys(dominant)) or words["pooled.nobody"]
    note = words["pooled.note"].format(names=named)
    bodies = by_head(reader.rows(columns, positions))
    return table("pooled", words["pooled.caption"], columns, bodies=bodies, note=note)


def aliasing_table(assessment: Assessment, words: Mapping) -> Table | None:
    """What each histology can be told apart from."""
    found = assessment.confounding.get("aliasing")
    if found is None or len(found) == 0:
        return None
    reader = Reader(found, "confounding.aliasing", words)
    inflation = reader.numbers(words["column.vif"], "vif")

    def estimable(i: int) -> bool:
        return bool(reader.value("estimable", i))

    columns = [
        reader.heads(words["column.histology"]),
        reader.column(words["column.estimable"], lambda i: cell(words["yes" if estimable(i) else "no"])),
        reader.column(
            inflation.label,
            lambda i: inflation.make(i) if estimable(i) else cell(MISSING, kind="number"),
            "number",
        ),
        reader.texts(
            words["column.shares_nothing"], "shares_nothing", lambda names: names or words["nothing"]
        ),
    ]
    rows = reader.rows(columns, reader.positions(histologies(assessment)))
    return table("aliasing", words["aliasing.caption"], columns, rows, note=words["aliasing.note"])


def survival_table(assessment: Assessment, position: int, words: Mapping) -> Table:
    """Time to an event within each histology."""
    endpoint = assessment.survival[position]
    reader = Reader(endpoint.table, f"survival[{position}].table", words)
    columns = [
        reader.heads(words["column.histology"]),
        reader.numbers(words["column.subjects"], "n", integer),
        reader.numbers(words["column.events"], "events", integer),
        reader.numbers(words["column.median"], "median", lambda v: fixed(v, 1)),
        reader.numbers(words["column.hazard_ratio"], "hazard_ratio", ratio),
        reader.intervals(words["column.interval90"], "lower", "upper", ratio),
    ]
    if "p_proportional" in endpoint.table:  # assessments of earlier versions do not hold it
        columns.append(reader.numbers(words["column.p_proportional"], "p_proportional", p_value))
    rows = reader.rows(columns, reader.positions(histologies(assessment)))
    caption = words["survival.caption"].format(label=endpoint.label)
    return table(f"survival-{position}", caption, columns, rows, note=in_words(endpoint.statement, words))


def borrowing_table(assessment: Assessment, position: int, words: Mapping) -> Table:
    """Raw and shrunken response rates, and whether one rate serves all."""
    endpoint = assessment.endpoints[position]
    found, path = endpoint.borrowing, f"endpoints[{position}].borrowing"
    reader = Reader(found["table"], f"{path}.table", words)
    raw, shrunken = words["column.raw"], words["column.shrunken"]
    columns = [
        reader.heads(words["column.histology"]),
        reader.numbers(words["column.n"], "n", integer),
        reader.numbers(words["column.events"], "events", integer),
        reader.numbers(words["column.proportion"], "raw", percent, 100, group=raw),
        reader.intervals(words["column.ci95"], "raw_lower", "raw_upper", percent, 100, group=raw),
        reader.numbers(words["column.proportion"], "shrunken", percent, 100, group=shrunken),
        reader.intervals(words["column.interval90"], "lower", "upper", percent, 100, group=shrunken),
        reader.numbers(words["column.partitions"], "mean", percent, 100),
    ]
    rows = reader.rows(columns, reader.positions(histologies(assessment)))
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

    def three(value: float) -> str:
        return fixed(value, 3)

    columns: list[Column] = []
    bodies = []
    for name, one in assessment.sensitivity["influence"].items():
        if "table" not in one:
            continue
        path = f"sensitivity.influence.{name}"
        reader = Reader(one["table"], f"{path}.table", words)
        shown = [
            reader.heads(words["column.without_histology"]),
            reader.numbers(words["column.weight"], "weight", lambda v: fixed(v, 2)),
            reader.numbers(words["column.mean"], "mu", three),
            reader.intervals(words["column.ci95"], "lower", "upper", three),
            reader.numbers("τ²", "tau2", three),
        ]
        columns = [*shown]
        whole = [Number(three(one[key]), f"{path}.{key}") for key in ("mu", "lower", "upper", "tau2")]
        nobody = (
            heading(words["influence.nobody"]),
            cell("", kind="number"),
            cell(whole[0], kind="number"),
            cell(whole[1], words["to"], whole[2], kind="interval"),
            cell(whole[3], kind="number"),
        )
        size = Number(fixed(one["effective_number"], 1), f"{path}.effective_number")
        head = heading(quantity(name, words), words["influence.size"], size, span=len(columns))
        rows = reader.rows(shown, reader.positions(histologies(assessment)))
        bodies.append([Row((head,), "group"), Row(nobody), *rows])
    return table(
        "influence", words["influence.table_caption"], columns, bodies=bodies, note=words["influence.note"]
    )


def trial_table(assessment: Assessment, position: int, words: Mapping) -> Table:
    """Responses by histology over all doses, with exact intervals, as observed."""
    endpoint = assessment.endpoints[position]
    reader = Reader(endpoint.borrowing["table"], f"endpoints[{position}].borrowing.table", words)
    columns = [
        reader.heads(words["column.histology"]),
        reader.numbers(words["column.n"], "n", integer),
        reader.numbers(words["column.events"], "events", integer),
        reader.numbers(words["column.proportion"], "raw", percent, 100),
        reader.intervals(words["column.ci95"], "raw_lower", "raw_upper", percent, 100),
        reader.numbers(words["column.shrunken_percent"], "shrunken", percent, 100),
    ]
    rows = reader.rows(columns, reader.positions(histologies(assessment)))
    caption = words["trial.caption"].format(label=endpoint.label)
    return table(f"trial-{position}", caption, columns, rows, note=words["trial.note"])


def characteristics_table(assessment: Assessment, words: Mapping) -> Table:
    """Probability of each verdict, and of false ones, under each scenario of the plan."""
    found = assessment.characteristics
    reader = Reader(found.table, "characteristics.table", words)
    totals = Reader(found.any_false, "characteristics.any_false", words)
    reached, false = words["characteristics.reached"], words["characteristics.false"]
    columns = [
        reader.heads(words["column.histology"]),
        reader.numbers(words["column.n"], "n", integer),
        reader.texts(words["characteristics.truth"], "truth", lambda v: words[f"verdict.{v}"]),
        *(
            reader.numbers(words[f"verdict.{v}"], v.split()[0], percent, 100, group=reached)
            for v in _VERDICTS
        ),
    ]
    errors = [
        [
            of.numbers(words[f"verdict.{v}"], f"false_{v.split()[0]}", percent, 100, group=false)
            for v in _VERDICTS[:3]
        ]
        for of in (reader, totals)
    ]
    bodies = []
    for at in range(len(totals)):
        scenario = totals.word("scenario", at)
        head = heading(scenario, span=len(columns) + len(errors[0]))
        own = [i for i in range(len(reader)) if reader.word("scenario", i) == scenario]
        empty = (cell("", kind=column.kind) for column in columns[1:])
        whole = (heading(words["characteristics.any"]), *empty, *(column.make(at) for column in errors[1]))
        bodies.append([Row((head,), "group"), *reader.rows([*columns, *errors[0]], own), Row(whole)])
    note = words["characteristics.note"].format(
        n=integer(found.n_replicates), failed=integer(found.failed), se=fixed(50 / found.n_replicates**0.5, 1)
    )
    caption = words["characteristics.caption"]
    return table("characteristics", caption, [*columns, *errors[0]], bodies=bodies, note=note)
