"""Tables of evidence beside the verdicts: conditional exposure, mediators, tumour size, the target population."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pkpd.report.numbers import fixed, integer, p_value, percent, probability, ratio
from pkpd.report.palette import histologies, reference_histology
from pkpd.report.tables import Filled, Number, Part, Reader, Row, Table, by_head, cell, heading, table, traced
from pkpd.report.wording import in_words
from pkpd.study.assessment import Assessment

__all__ = [
    "cell_table",
    "conditional_table",
    "cutoff_table",
    "engagement_table",
    "link_table",
    "mediation_table",
    "mix_table",
    "size_effect_table",
    "size_table",
]


def _known(assessment: Assessment, reader: Reader) -> list[int]:
    return reader.positions(histologies(assessment))


def _others(assessment: Assessment, reader: Reader) -> list[int]:
    home = reference_histology(assessment)
    return [i for i in _known(assessment, reader) if reader.word("histology", i) != home]


def conditional_table(assessment: Assessment, words: Mapping) -> Table | None:
    """Exposure ratio at the covariates of all patients; None where it was not computed."""
    found = assessment.exposure.conditional
    if len(found) == 0:
        return None
    reader = Reader(found, "exposure.conditional", words)
    low, high = (f"{b:g}" for b in assessment.exposure.bounds)
    columns = [
        reader.heads(words["column.histology"]),
        reader.numbers(words["column.ratio"], "ratio", ratio),
        reader.intervals(words["column.ci90"], "lower", "upper", ratio),
        reader.numbers(words["column.below"].format(low=low), "p_below", probability),
        reader.numbers(words["column.within"], "p_within", probability),
        reader.numbers(words["column.above"].format(high=high), "p_above", probability),
    ]
    return table(
        "conditional",
        words["conditional.caption"],
        columns,
        reader.rows(columns, _others(assessment, reader)),
        note=words["conditional.note"],
    )


def mediation_table(assessment: Assessment, words: Mapping) -> Table | None:
    """What covariates explain of the exposure ratio; None without mediators in the plan."""
    found = assessment.exposure.mediation
    if len(found) == 0:
        return None
    reader = Reader(found, "exposure.mediation", words)
    columns = [
        reader.heads(words["column.histology"]),
        reader.numbers(words["column.ratio"], "ratio", ratio),
        reader.intervals(words["column.ci90"], "lower", "upper", ratio),
        reader.numbers(words["column.explained"], "explained_percent", integer),
    ]
    bodies = []
    for model in dict.fromkeys(map(str, found["model"])):
        rows = [i for i in _others(assessment, reader) if reader.word("model", i) == model]
        change = reader.number("ofv_change", rows[0], lambda v: fixed(v, 2))
        head = heading(model, words["mediation.change"], change, span=len(columns))
        bodies.append([Row((head,), "group"), *reader.rows(columns, rows)])
    note = words["mediation.note"]
    return table("mediation", words["mediation.caption"], columns, bodies=bodies, note=note)


def size_table(assessment: Assessment, position: int, words: Mapping) -> Table:
    """Growth of the typical patient of each histology."""
    size = assessment.tumour_sizes[position]
    reader = Reader(size.table, f"tumour_sizes[{position}].table", words)
    entries = assessment.plan.get("endpoint", ())
    time = str(next((e.get("time", "") for e in entries if e.get("name") == size.name), ""))
    columns = [
        reader.heads(words["column.histology"]),
        reader.numbers(words["column.n"], "n", integer),
        reader.numbers(words["column.measurements"], "measurements", integer),
        reader.numbers(words["column.time_to_growth"].format(unit=time), "TTG"),
        reader.intervals(words["column.interval90"], "TTG_LOWER", "TTG_UPPER"),
    ]
    if reader.has("RATIO", "RATIO_LOWER", "RATIO_UPPER"):
        columns += [
            reader.numbers(words["column.size_ratio"].format(time=f"{size.landmark:g}"), "RATIO", ratio),
            reader.intervals(words["column.interval90"], "RATIO_LOWER", "RATIO_UPPER", ratio),
        ]
    return table(
        f"sizes-{position}",
        words["sizes.caption"].format(label=size.label, model=size.model),
        columns,
        reader.rows(columns, _known(assessment, reader)),
        note=in_words(size.statement, words),
    )


def size_effect_table(assessment: Assessment, position: int, words: Mapping) -> Table | None:
    """Ratio of growth parameters to the reference histology; None without effects."""
    size = assessment.tumour_sizes[position]
    if len(size.effects) == 0:
        return None
    reader = Reader(size.effects, f"tumour_sizes[{position}].effects", words)
    columns = [
        reader.heads(words["column.histology"]),
        reader.texts(words["column.parameter"], "parameter"),
        reader.numbers(words["column.ratio_plain"], "ratio", ratio),
        reader.intervals(words["column.ci90"], "lower", "upper", ratio),
    ]
    rows = reader.rows(columns, _known(assessment, reader))
    return table(
        f"size-effects-{position}", words["size_effects.caption"].format(label=size.label), columns, rows
    )


def engagement_table(assessment: Assessment, position: int, words: Mapping, reference: str) -> Table:
    """Engagement of the target as observed, and at the reference exposure."""
    found = assessment.engagement[position]
    reader = Reader(found.table, f"engagement[{position}].table", words)
    observed, equal = words["group.observed"], words["group.equal_exposure"]
    columns = [
        reader.heads(words["column.histology"]),
        reader.numbers(words["column.n"], "n", integer),
        reader.numbers(words["column.mean"], "mean", group=observed),
        reader.numbers(words["column.sd"], "sd", group=observed),
        reader.numbers(words["column.mean"], "response", group=equal),
        reader.intervals(words["column.interval90"], "lower", "upper", group=equal),
        reader.numbers(words["column.difference"], "difference", group=equal),
        reader.intervals(words["column.ci90"], "difference_lower", "difference_upper", group=equal),
    ]
    rows = reader.rows(columns, _known(assessment, reader))
    if found.test:
        forms = {"statistic": lambda v: fixed(v, 2), "df": integer, "p_chi2": p_value}
        values: dict[str, Part] = {
            name: Number(form(found.test[name]), f"engagement[{position}].test.{name}")
            for name, form in forms.items()
        }
        rows.append(Row((cell(*traced(words["engagement.said"], values), span=len(columns)),), "said"))
    unit = f" ({found.unit})" if found.unit else ""
    caption = words["engagement.table_caption"].format(label=found.label + unit, reference=reference)
    return table(f"engagement-{position}", caption, columns, rows, note=in_words(found.statement, words))


def link_table(assessment: Assessment, position: int, words: Mapping) -> Table | None:
    """Link of the time to growth to a time to an event; None where there is none."""
    size = assessment.tumour_sizes[position]
    found = size.survival.get("coefficients")
    if found is None or len(found) == 0:
        return None
    reader = Reader(found, f"tumour_sizes[{position}].survival.coefficients", words)
    columns = [
        reader.heads(words["column.coefficient"], "name"),
        reader.numbers(words["column.estimate"], "estimate"),
        reader.numbers(words["column.se"], "se"),
        reader.intervals(words["column.interval90"], "lower", "upper"),
    ]
    rows = reader.rows(columns, range(len(reader)))
    caption = words["link.caption"].format(label=size.label, endpoint=size.survival["endpoint"])
    note = in_words(size.survival.get("statement", ""), words)
    return table(f"link-{position}", caption, columns, rows, note=note)


def mix_table(assessment: Assessment, words: Mapping) -> Table:
    """Enrolled against target shares, and what they make of the response."""
    found = assessment.enrolment["mix"]
    reader = Reader(found.table, "enrolment.mix.table", words)
    columns = [
        reader.heads(words["column.histology"]),
        reader.numbers(words["column.n"], "n", integer),
        reader.numbers(words["column.response"], "response", percent, 100),
        reader.numbers(words["column.enrolled"], "enrolled", percent, 100),
        reader.numbers(words["column.target"], "target", percent, 100),
        reader.numbers(words["column.weight"], "weight", ratio),
        reader.numbers(words["column.without"], "without", percent, 100),
    ]
    rows = reader.rows(columns, _known(assessment, reader))
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
    groups: list[Filled] = [
        reader.texts(words["column.band"] if c == "band" else str(c), c) for c in found if c not in told
    ]
    columns = [
        reader.heads(words["column.histology"]),
        *groups,
        reader.numbers(words["column.n"], "n", integer),
        reader.numbers(words["column.events"], "events", integer),
        reader.numbers(words["column.proportion"], "proportion", percent, 100),
        reader.intervals(words["column.ci95"], "lower", "upper", percent, 100),
    ]
    bodies = by_head(reader.rows(columns, _known(assessment, reader)))
    return table(f"cells-{name}", words[f"cells.{name}"], columns, bodies=bodies)


def cutoff_table(assessment: Assessment, words: Mapping) -> Table:
    """One cut-off of a biomarker in every histology."""
    found = assessment.enrolment["cutoff"]
    reader = Reader(found.table, "enrolment.cutoff.table", words)
    columns = [
        reader.heads(words["column.histology"]),
        reader.numbers(words["column.n"], "n", integer),
        reader.numbers(words["column.best_cutoff"], "best"),
        reader.intervals(words["column.ci95"], "best_lower", "best_upper"),
        reader.numbers(words["column.sensitivity"], "sensitivity", percent, 100),
        reader.numbers(words["column.specificity"], "specificity", percent, 100),
        reader.numbers(words["column.youden_loss"], "loss", lambda v: fixed(v, 2)),
    ]
    rows = reader.rows(columns, _known(assessment, reader))
    forms = {"statistic": lambda v: fixed(v, 2), "df": integer, "p_bootstrap": p_value}
    values: dict[str, Part] = {
        name: Number(form(found.interaction[name]), f"enrolment.cutoff.interaction.{name}")
        for name, form in forms.items()
    }
    rows.append(Row((cell(*traced(words["cutoff.said"], values), span=len(columns)),), "said"))
    caption = words["cutoff.caption"].format(cutoff=f"{found.cutoff:g}")
    return table("cutoff", caption, columns, rows, note=words["cutoff.note"])
