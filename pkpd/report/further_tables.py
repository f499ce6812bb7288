"""Tables of evidence beside the verdicts: conditional exposure, mediators, tumour size, the target population."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pkpd.report.numbers import fixed, integer, p_value, percent, probability, ratio, significant
from pkpd.report.palette import histologies
from pkpd.report.tables import Cell, Column, Number, Part, Reader, Row, Table, cell, heading, table, traced
from pkpd.report.wording import in_words
from pkpd.study.assessment import Assessment

__all__ = [
    "cell_table",
    "conditional_table",
    "cutoff_table",
    "link_table",
    "mediation_table",
    "mix_table",
    "size_effect_table",
    "size_table",
]

Make = Callable[[int], Cell]


def _lines(reader: Reader, rows: Sequence[int], makers: Sequence[Make]) -> list[Row]:
    return [Row((heading(reader.word("histology", i)), *(make(i) for make in makers))) for i in rows]


def _known(assessment: Assessment, reader: Reader) -> list[int]:
    return reader.positions(histologies(assessment))


def conditional_table(assessment: Assessment, words: Mapping) -> Table | None:
    """Exposure ratio at the covariates of all patients; None where it was not computed."""
    found = assessment.exposure.conditional
    if len(found) == 0:
        return None
    reader = Reader(found, "exposure.conditional", words)
    low, high = (f"{b:g}" for b in assessment.exposure.bounds)
    columns = (
        Column(words["column.histology"]),
        Column(words["column.ratio"], "number"),
        Column(words["column.ci90"], "interval"),
        Column(words["column.below"].format(low=low), "number"),
        Column(words["column.within"], "number"),
        Column(words["column.above"].format(high=high), "number"),
    )
    makers: list[Make] = [
        lambda i: reader.numeric("ratio", i, ratio),
        lambda i: reader.interval("lower", "upper", i, ratio),
        *(
            lambda i, name=name: reader.numeric(name, i, probability)
            for name in ("p_below", "p_within", "p_above")
        ),
    ]
    home = assessment.plan.get("data", {}).get("reference")
    rows = [i for i in _known(assessment, reader) if reader.word("histology", i) != home]
    return table(
        "conditional",
        words["conditional.caption"],
        columns,
        _lines(reader, rows, makers),
        note=words["conditional.note"],
    )


def mediation_table(assessment: Assessment, words: Mapping) -> Table | None:
    """What covariates explain of the exposure ratio; None without mediators in the plan."""
    found = assessment.exposure.mediation
    if len(found) == 0:
        return None
    reader = Reader(found, "exposure.mediation", words)
    columns = (
        Column(words["column.histology"]),
        Column(words["column.ratio"], "number"),
        Column(words["column.ci90"], "interval"),
        Column(words["column.explained"], "number"),
    )
    makers: list[Make] = [
        lambda i: reader.numeric("ratio", i, ratio),
        lambda i: reader.interval("lower", "upper", i, ratio),
        lambda i: reader.numeric("explained_percent", i, lambda v: fixed(v, 0)),
    ]
    home = assessment.plan.get("data", {}).get("reference")
    others = [i for i in _known(assessment, reader) if reader.word("histology", i) != home]
    bodies = []
    for model in dict.fromkeys(map(str, found["model"])):
        rows = [i for i in others if reader.word("model", i) == model]
        change = reader.number("ofv_change", rows[0], lambda v: fixed(v, 2))
        head = heading(model, words["mediation.change"], change, span=len(columns))
        bodies.append([Row((head,), "group"), *_lines(reader, rows, makers)])
    note = words["mediation.note"]
    return table("mediation", words["mediation.caption"], columns, bodies=bodies, note=note)


def size_table(assessment: Assessment, position: int, words: Mapping) -> Table:
    """Growth of the typical patient of each histology."""
    size = assessment.tumour_sizes[position]
    reader = Reader(size.table, f"tumour_sizes[{position}].table", words)
    time = str(_entry(assessment, size.name).get("time", ""))
    columns = [
        Column(words["column.histology"]),
        Column(words["column.n"], "number"),
        Column(words["column.measurements"], "number"),
        Column(words["column.time_to_growth"].format(unit=time), "number"),
        Column(words["column.interval90"], "interval"),
    ]
    makers: list[Make] = [
        lambda i: reader.numeric("n", i, integer),
        lambda i: reader.numeric("measurements", i, integer),
        lambda i: reader.numeric("TTG", i),
        lambda i: reader.interval("TTG_LOWER", "TTG_UPPER", i),
    ]
    if reader.has("RATIO", "RATIO_LOWER", "RATIO_UPPER"):
        columns += [
            Column(words["column.size_ratio"].format(time=f"{size.landmark:g}"), "number"),
            Column(words["column.interval90"], "interval"),
        ]
        makers += [
            lambda i: reader.numeric("RATIO", i, ratio),
            lambda i: reader.interval("RATIO_LOWER", "RATIO_UPPER", i, ratio),
        ]
    return table(
        f"sizes-{position}",
        words["sizes.caption"].format(label=size.label, model=size.model),
        columns,
        _lines(reader, _known(assessment, reader), makers),
        note=in_words(size.statement, words),
    )


def _entry(assessment: Assessment, name: str) -> Mapping:
    """What the plan says of an endpoint."""
    return next((e for e in assessment.plan.get("endpoint", ()) if e.get("name") == name), {})


def size_effect_table(assessment: Assessment, position: int, words: Mapping) -> Table | None:
    """Ratio of growth parameters to the reference histology; None without effects."""
    size = assessment.tumour_sizes[position]
    if len(size.effects) == 0:
        return None
    reader = Reader(size.effects, f"tumour_sizes[{position}].effects", words)
    columns = (
        Column(words["column.histology"]),
        Column(words["column.parameter"]),
        Column(words["column.ratio_plain"], "number"),
        Column(words["column.ci90"], "interval"),
    )
    makers: list[Make] = [
        lambda i: cell(reader.word("parameter", i)),
        lambda i: reader.numeric("ratio", i, ratio),
        lambda i: reader.interval("lower", "upper", i, ratio),
    ]
    caption = words["size_effects.caption"].format(label=size.label)
    return table(
        f"size-effects-{position}", caption, columns, _lines(reader, _known(assessment, reader), makers)
    )


def link_table(assessment: Assessment, position: int, words: Mapping) -> Table | None:
    """Link of the time to growth to a time to an event; None where there is none."""
    size = assessment.tumour_sizes[position]
    found = size.survival.get("coefficients")
    if found is None or len(found) == 0:
        return None
    reader = Reader(found, f"tumour_sizes[{position}].survival.coefficients", words)
    columns = (
        Column(words["column.coefficient"]),
        Column(words["column.estimate"], "number"),
        Column(words["column.se"], "number"),
        Column(words["column.interval90"], "interval"),
    )
    rows = [
        Row(
            (
                heading(reader.word("name", i)),
                reader.numeric("estimate", i),
                reader.numeric("se", i),
                reader.interval("lower", "upper", i),
            )
        )
        for i in range(len(reader))
    ]
    caption = words["link.caption"].format(label=size.label, endpoint=size.survival["endpoint"])
    note = in_words(size.survival.get("statement", ""), words)
    return table(f"link-{position}", caption, columns, rows, note=note)


def mix_table(assessment: Assessment, words: Mapping) -> Table:
    """Enrolled against target shares, and what they make of the response."""
    found = assessment.enrolment["mix"]
    reader = Reader(found.table, "enrolment.mix.table", words)
    columns = (
        Column(words["column.histology"]),
        Column(words["column.n"], "number"),
        Column(words["column.response"], "number"),
        Column(words["column.enrolled"], "number"),
        Column(words["column.target"], "number"),
        Column(words["column.weight"], "number"),
        Column(words["column.without"], "number"),
    )
    makers: list[Make] = [
        lambda i: reader.numeric("n", i, integer),
        lambda i: reader.numeric("response", i, percent, 100),
        lambda i: reader.numeric("enrolled", i, percent, 100),
        lambda i: reader.numeric("target", i, percent, 100),
        lambda i: reader.numeric("weight", i, ratio),
        lambda i: reader.numeric("without", i, percent, 100),
    ]
    rows = _lines(reader, _known(assessment, reader), makers)
    forms: dict[str, tuple[str, Callable[[float], str], int]] = {
        "pooled": ("pooled", percent, 100),
        "response": ("response", percent, 100),
        "lower": ("lower", percent, 100),
        "upper": ("upper", percent, 100),
        "level": ("level", lambda v: f"{100 * v:g}", 100),
        "variation": ("total_variation", percent, 100),
        "size": ("effective_n", integer, 1),
    }
    values: dict[str, Part] = {
        name: Number(form(getattr(found, field)), f"enrolment.mix.{field}", scale)
        for name, (field, form, scale) in forms.items()
    }
    said = traced(words["mix.said"], values)
    if found.missing:
        share = Number(percent(found.uncovered), "enrolment.mix.uncovered", 100)
        names = words["list"].join(found.missing)
        said += [words["sentences"], *traced(words["mix.missing"], {"names": names, "share": share})]
    rows.append(Row((cell(*said, span=len(columns)),), "said"))
    note = words["mix.note"].format(source=assessment.enrolment["source"])
    return table("mix", words["mix.caption"], columns, rows, note=note)


def cell_table(assessment: Assessment, name: str, words: Mapping) -> Table:
    """Patients and responses by histology and age band, or by histology and biomarkers."""
    found = assessment.enrolment[name]
    reader = Reader(found, f"enrolment.{name}", words)
    told = (
        "histology",
        "n",
        "share_of_histology",
        "share_of_band",
        "few",
        "events",
        "proportion",
        "lower",
        "upper",
    )
    groups = [c for c in found.columns if c not in told]
    columns = (
        Column(words["column.histology"]),
        *(Column(words["column.band"] if c == "band" else str(c)) for c in groups),
        Column(words["column.n"], "number"),
        Column(words["column.events"], "number"),
        Column(words["column.proportion"], "number"),
        Column(words["column.ci95"], "interval"),
    )
    makers: list[Make] = [
        *(lambda i, c=c: cell(reader.word(c, i)) for c in groups),
        lambda i: reader.numeric("n", i, integer),
        lambda i: reader.numeric("events", i, integer),
        lambda i: reader.numeric("proportion", i, percent, 100),
        lambda i: reader.interval("lower", "upper", i, percent, 100),
    ]
    bodies: list[list[Row]] = []
    for row in _lines(reader, _known(assessment, reader), makers):
        if bodies and bodies[-1][0].cells[0].text == row.cells[0].text:
            bodies[-1].append(Row(row.cells, "again"))
        else:
            bodies.append([row])
    return table(f"cells-{name}", words[f"cells.{name}"], columns, bodies=bodies)


def cutoff_table(assessment: Assessment, words: Mapping) -> Table:
    """One cut-off of a biomarker in every histology."""
    found = assessment.enrolment["cutoff"]
    reader = Reader(found.table, "enrolment.cutoff.table", words)
    columns = (
        Column(words["column.histology"]),
        Column(words["column.n"], "number"),
        Column(words["column.best_cutoff"], "number"),
        Column(words["column.ci95"], "interval"),
        Column(words["column.sensitivity"], "number"),
        Column(words["column.specificity"], "number"),
        Column(words["column.youden_loss"], "number"),
    )
    makers: list[Make] = [
        lambda i: reader.numeric("n", i, integer),
        lambda i: reader.numeric("best", i),
        lambda i: reader.interval("best_lower", "best_upper", i, significant),
        lambda i: reader.numeric("sensitivity", i, percent, 100),
        lambda i: reader.numeric("specificity", i, percent, 100),
        lambda i: reader.numeric("loss", i, lambda v: fixed(v, 2)),
    ]
    caption = words["cutoff.caption"].format(cutoff=f"{found.cutoff:g}")
    rows = _lines(reader, _known(assessment, reader), makers)
    forms = {"statistic": lambda v: fixed(v, 2), "df": integer, "p_bootstrap": p_value}
    values: dict[str, Part] = {
        name: Number(form(found.interaction[name]), f"enrolment.cutoff.interaction.{name}")
        for name, form in forms.items()
    }
    rows.append(Row((cell(*traced(words["cutoff.said"], values), span=len(columns)),), "said"))
    note = words["cutoff.note"]
    return table("cutoff", caption, columns, rows, note=note)
