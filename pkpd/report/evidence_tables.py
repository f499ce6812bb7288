"""Tables of the evidence: data, population PK, exposure, exposure-response, differences, plan, provenance."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pkpd.report.numbers import MISSING, fixed, integer, p_value, percent, probability, ratio, significant
from pkpd.report.palette import histologies
from pkpd.report.tables import Cell, Column, Number, Reader, Row, Table, by_head, cell, heading, table
from pkpd.report.verdict_tables import plain
from pkpd.report.wording import dose_label, in_words
from pkpd.study.assessment import Assessment, EndpointResult, PkResult

__all__ = [
    "coefficient_table",
    "contrast_table",
    "count_table",
    "data_table",
    "deviation_table",
    "exposure_table",
    "fit_table",
    "parameter_table",
    "plan_table",
    "provenance_table",
    "shrunken_table",
    "tau_table",
    "tests_table",
]


def data_table(assessment: Assessment, words: Mapping) -> Table:
    """Patients and observations."""
    reader = Reader(assessment.data, "data", words)
    columns = [
        reader.heads(words["column.histology"]),
        reader.numbers(dose_label(assessment.plan, words), "dose", plain),
        reader.numbers(words["column.subjects"], "subjects", integer),
        reader.numbers(words["column.observations"], "observations", integer),
    ]
    bodies = by_head(reader.rows(columns, reader.positions(histologies(assessment))))
    return table("data", words["data.caption"], columns, bodies=bodies)


def fit_table(pk: PkResult, words: Mapping) -> Table:
    """Objective function and the test of histology."""
    test = pk.likelihood_ratio
    lines = [
        ("fit.ofv", fixed(pk.ofv, 3), "pk.ofv"),
        ("fit.minus2ll", fixed(pk.minus2ll, 3), "pk.minus2ll"),
        ("fit.ofv_reduced", fixed(pk.ofv_reduced, 3), "pk.ofv_reduced"),
        (
            "fit.lr",
            fixed(test["statistic"], 3) if "statistic" in test else MISSING,
            "pk.likelihood_ratio.statistic",
        ),
        ("fit.df", integer(test["df"]) if "df" in test else MISSING, "pk.likelihood_ratio.df"),
        ("fit.p", p_value(test["p_value"]) if "p_value" in test else MISSING, "pk.likelihood_ratio.p_value"),
    ]
    rows = [
        Row((heading(words[key]), cell(MISSING if text == MISSING else Number(text, place), kind="number")))
        for key, text, place in lines
    ]
    columns = (Column(words["column.quantity"]), Column(words["column.value"], "number"))
    return table("fit", words["fit.caption"], columns, rows)


def _parameter_group(name: str) -> str:
    if name.startswith("OMEGA"):
        return "omega"
    if name.startswith(("SD(", "POWER(", "SIGMA")):
        return "residual"
    return "factor" if re.search(r"\(.*=.*\)", name) else "fixed"


def parameter_table(pk: PkResult, words: Mapping) -> Table:
    """Estimates with uncertainty and shrinkage, by kind of parameter."""
    reader = Reader(pk.parameters, "pk.parameters", words)
    names = [str(name) for name in pk.parameters.index]
    interval = reader.intervals(words["column.ci95"], "lower", "upper")

    def or_fixed(i: int) -> Cell:
        return cell(words["fixed"], kind="interval") if reader.value("fixed", i) else interval.make(i)

    def one(value: float) -> str:
        return fixed(value, 1)

    columns = [
        reader.column(words["column.parameter"], lambda i: heading(names[i])),
        reader.texts(words["column.unit"], "unit"),
        reader.numbers(words["column.estimate"], "estimate"),
        reader.numbers(words["column.se"], "se"),
        reader.numbers(words["column.rse"], "rse_percent", one),
        reader.column(interval.label, or_fixed, "interval"),
    ]
    if reader.has("cv_percent") and pk.parameters["cv_percent"].notna().any():
        columns.append(reader.numbers(words["column.cv"], "cv_percent", one))
    columns.append(reader.numbers(words["column.shrinkage"], "shrinkage_percent", one))
    bodies = []
    for kind in ("fixed", "factor", "omega", "residual"):
        if rows := [i for i, name in enumerate(names) if _parameter_group(name) == kind]:
            head = Row((heading(words[f"parameters.{kind}"], span=len(columns)),), "group")
            bodies.append([head, *reader.rows(columns, rows)])
    return table(
        "parameters", words["pk.caption"], columns, bodies=bodies, note=words["pk.note"], align_bodies=True
    )


def exposure_table(assessment: Assessment, words: Mapping, reference: str) -> Table:
    """Geometric means and ratios."""
    exposure = assessment.exposure
    reader = Reader(exposure.ratios, "exposure.ratios", words)
    low, high = (f"{b:g}" for b in exposure.bounds)
    mean = words["column.geometric_mean"]
    compared = [
        reader.intervals(words["column.ci90"], "lower", "upper", ratio),
        reader.numbers(words["column.below"].format(low=low), "p_below", probability),
        reader.numbers(words["column.within"], "p_within", probability),
        reader.numbers(words["column.above"].format(high=high), "p_above", probability),
    ]
    columns = [
        reader.heads(words["column.histology"]),
        reader.numbers(words["column.n"], "n", integer),
        reader.numbers(
            mean.format(unit=exposure.unit) if exposure.unit else mean.split(" (")[0], "geometric_mean"
        ),
        reader.numbers(words["column.cv"], "cv_percent", lambda v: fixed(v, 1)),
        reader.numbers(words["column.ratio"], "ratio", ratio),
    ]
    positions = reader.positions(histologies(assessment))
    rows = reader.rows([*columns, *compared], positions)
    itself = (cell(words["reference"], kind="interval"), *(cell("", kind="number") for _ in compared[1:]))
    for at, i in enumerate(positions):
        if reader.word("histology", i) == reference:
            rows[at] = Row((*rows[at].cells[: len(columns)], *itself))
    note = words["exposure.note"].format(low=low, high=high)
    caption = words["exposure.caption"].format(reference=reference)
    return table("exposure", caption, [*columns, *compared], rows, note=note)


def count_table(assessment: Assessment, position: int, words: Mapping) -> Table:
    """Events by histology and dose."""
    endpoint = assessment.endpoints[position]
    reader = Reader(endpoint.counts, f"endpoints[{position}].counts", words)
    columns = [
        reader.heads(words["column.histology"]),
        reader.numbers(dose_label(assessment.plan, words), "dose", plain),
        reader.numbers(words["column.n"], "n", integer),
        reader.numbers(words["column.events"], "events", integer),
        reader.numbers(words["column.proportion"], "proportion", percent, 100),
        reader.intervals(words["column.ci95"], "lower", "upper", percent, 100),
    ]
    bodies = by_head(reader.rows(columns, reader.positions(histologies(assessment))))
    caption = words["counts.caption"].format(label=endpoint.label)
    return table(f"counts-{position}", caption, columns, bodies=bodies)


def tests_table(endpoint: EndpointResult, position: int, words: Mapping) -> Table:
    """Tests of slopes and intercepts, χ² and bootstrap."""
    rows, bootstrapped = [], False
    for kind in ("interaction", "intercepts"):
        found = getattr(endpoint, kind) or {}
        place = f"endpoints[{position}].{kind}"

        def shown(name: str, form: Any, found: dict = found, place: str = place) -> Any:
            value = found.get(name)
            absent = value is None or value != value
            return cell(MISSING if absent else Number(form(value), f"{place}.{name}"), kind="number")

        bootstrapped |= bool(found.get("n_bootstrap"))
        rows.append(
            Row(
                (
                    heading(words[f"test.{kind}"]),
                    shown("statistic", lambda v: fixed(v, 2)),
                    shown("df", integer),
                    shown("p_chi2", p_value),
                    shown("p_bootstrap", p_value),
                    shown("n_bootstrap", integer),
                )
            )
        )
    columns = (
        Column(words["column.test"]),
        *(
            Column(words[f"column.{n}"], "number")
            for n in ("statistic", "df", "p_chi2", "p_bootstrap", "n_bootstrap")
        ),
    )
    note = words["tests.note"] if bootstrapped else words["tests.note_chi2"]
    return table(
        f"tests-{position}", words["tests.caption"].format(label=endpoint.label), columns, rows, note=note
    )


def coefficient_table(assessment: Assessment, position: int, words: Mapping) -> Table:
    """Coefficients of the logistic model, histologies in the order of the report."""
    endpoint = assessment.endpoints[position]
    order = [f"[{name}]" for name in histologies(assessment)]

    def rank(i: int) -> tuple[str, int]:
        name = str(endpoint.coefficients.index[i])
        kind, bracket, _ = name.partition("[")
        return kind, order.index(name[len(kind) :]) if bracket and name[len(kind) :] in order else -1

    reader = Reader(endpoint.coefficients, f"endpoints[{position}].coefficients", words)
    columns = [
        reader.column(words["column.coefficient"], lambda i: heading(str(endpoint.coefficients.index[i]))),
        reader.numbers(words["column.estimate"], "estimate"),
        reader.numbers(words["column.se"], "se"),
        reader.intervals(words["column.ci95"], "lower", "upper"),
    ]
    rows = reader.rows(columns, sorted(range(len(reader)), key=rank))
    caption = words["coefficients.caption"].format(label=endpoint.label)
    return table(f"coefficients-{position}", caption, columns, rows)


def contrast_table(assessment: Assessment, position: int, words: Mapping, reference: str) -> Table:
    """Differences to the reference at equal exposure."""
    endpoint = assessment.endpoints[position]
    reader = Reader(endpoint.contrasts, f"endpoints[{position}].contrasts", words)
    columns = [
        reader.heads(words["column.histology"]),
        reader.numbers(words["column.difference"], "difference", percent, 100),
        reader.intervals(words["column.ci90"], "lower", "upper", percent, 100),
    ]
    known = reader.positions(histologies(assessment))
    rows = reader.rows(columns, [i for i in known if reader.word("histology", i) != reference])
    caption = words["contrasts.caption"].format(label=endpoint.label, reference=reference)
    return table(f"contrasts-{position}", caption, columns, rows)


def tau_table(assessment: Assessment, words: Mapping) -> Table:
    """The between-histology standard deviation."""
    tau = assessment.exchangeability.get("tau") or {}
    forms: dict[str, Callable[[float], str]] = {
        "mean": significant,
        "sd": significant,
        "p_above": probability,
        "threshold": significant,
    }
    rows = []
    for name, form in forms.items():
        if tau.get(name) is not None:
            shown = Number(form(tau[name]), f"exchangeability.tau.{name}")
            rows.append(Row((heading(words[f"tau.{name}"]), cell(shown, kind="number"))))
    prior = assessment.exchangeability.get("prior")
    parts = [words["tau.note"]] if tau.get("threshold") is not None else []
    note = words["sentences"].join(
        [*parts, words["tau.prior"].format(prior=in_words(prior, words))] if prior else parts
    )
    columns = (Column(words["column.quantity"]), Column(words["column.value"], "number"))
    return table("tau", words["tau.caption"], columns, rows, note=note)


def shrunken_table(assessment: Assessment, words: Mapping, reference: str) -> Table:
    """Raw and shrunken means."""
    reader = Reader(assessment.exchangeability["table"], "exchangeability.table", words)
    raw, shrunken = words["column.raw"], words["column.shrunken"]

    def three(value: float) -> str:
        return fixed(value, 3)

    columns = [
        reader.heads(words["column.histology"]),
        reader.numbers(words["column.estimate"], "estimate", three, group=raw),
        reader.numbers(words["column.se"], "se", three, group=raw),
        reader.numbers(words["column.estimate"], "shrunken_mean", three, group=shrunken),
        reader.numbers(words["column.sd"], "shrunken_sd", three, group=shrunken),
        reader.intervals(words["column.interval"], "lower", "upper", three, group=shrunken),
    ]
    rows = reader.rows(columns, reader.positions(histologies(assessment)))
    caption = words["shrunken.caption"].format(reference=reference)
    return table("shrunken", caption, columns, rows, note=words["shrunken.note"])


def _flat(value: Any, path: str) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return [
            line
            for key, entry in value.items()
            for line in _flat(entry, f"{path}.{key}" if path else str(key))
        ]
    if isinstance(value, (list, tuple)) and any(isinstance(v, Mapping) for v in value):
        return [line for i, entry in enumerate(value) for line in _flat(entry, f"{path}[{i}]")]
    if isinstance(value, (list, tuple)):
        return [] if not value else [(path, ", ".join(plain(v) for v in value))]
    if isinstance(value, bool):
        return [(path, str(value).lower())]
    return [] if value is None or value == "" else [(path, plain(value))]


def deviation_table(assessment: Assessment, words: Mapping) -> Table | None:
    """What the run changed against the signed plan; None where no plan was signed."""
    signature = assessment.signature
    if not signature.get("signed"):
        return None
    columns = (Column(words["column.key"]), Column(words["column.signed"]), Column(words["column.run"]))
    found = signature["deviations"]
    rows = [
        Row((heading(str(key)), cell(plain(signed)), cell(plain(run))))
        for key, signed, run in found[["key", "signed", "run"]].itertuples(index=False)
    ]
    if not rows:
        rows = [Row((cell(words["deviations.none"], span=len(columns)),), "said")]
    caption = words["deviations.caption"].format(by=signature["by"], on=signature["on"])
    note = words["deviations.note"].format(sha256=signature["sha256"])
    return table("deviations", caption, columns, rows, note=note, look="keys")


def plan_table(assessment: Assessment, words: Mapping) -> Table:
    """Every key of the plan."""
    rows = [Row((heading(key), cell(text))) for key, text in _flat(assessment.plan, "")]
    return table(
        "plan",
        words["plan.caption"],
        (Column(words["column.key"]), Column(words["column.value"])),
        rows,
        look="keys",
    )


def provenance_table(assessment: Assessment, words: Mapping) -> Table:
    """Versions, seed and hashes."""
    rows = [Row((heading(key), cell(text))) for key, text in _flat(assessment.provenance, "")]
    columns = (Column(words["column.item"]), Column(words["column.value"]))
    return table("provenance", words["provenance.caption"], columns, rows, look="keys")
