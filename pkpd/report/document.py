"""The report: one HTML file that works offline, prints to A4, and says where each number comes from."""

from __future__ import annotations

import functools
import re
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup, escape

from pkpd.errors import InputError
from pkpd.report import evidence_tables as evidence
from pkpd.report import robustness_tables as rests_on
from pkpd.report import verdict_tables as answer
from pkpd.report.blocks import Block, Equations, Figure, Heading, Points, Section, Terms, Text
from pkpd.report.equations import legible, mathml
from pkpd.report.numbers import MISSING, fixed, integer, ratio, significant
from pkpd.report.wording import words as words_of
from pkpd.study.assessment import Assessment, EndpointResult

if TYPE_CHECKING:
    import jinja2

__all__ = ["report_html", "write_report"]


def write_report(assessment: Assessment, path: str | Path, language: str = "en") -> Path:
    """Write the report of an assessment as one self-contained HTML file.

    Parameters
    ----------
    assessment : Assessment
        What :func:`pkpd.assess` returned, or restored from its JSON.
    path : str or Path
        The file to write; its folder must exist.
    language : str
        ``"en"``.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    InputError
        ``E_LANGUAGE`` if the report is not written in that language, ``E_REPORT_PATH`` if the file cannot be
        written.
    """
    words_of(language)
    target = Path(path)
    if not target.parent.is_dir():
        raise _not_written(target, "there is no such folder")
    html = report_html(assessment, language)
    try:
        target.write_text(html, encoding="utf-8", newline="\n")
    except OSError as error:
        raise _not_written(target, error.strerror or str(error)) from error
    return target


def _not_written(target: Path, reason: str) -> InputError:
    return InputError(
        "E_REPORT_PATH",
        f"cannot write the report to {target}: {reason}.",
        "Give a file in an existing, writable folder.",
    )


def report_html(assessment: Assessment, language: str = "en") -> str:
    """The report as HTML text; the same assessment gives the same bytes.

    Every number carries the place it has in the assessment in an attribute ``data-field`` (see
    :func:`pkpd.report.fields.field_value`) and, where it is shown in percent, ``data-scale="100"``.
    """
    words = words_of(language)
    return _template().render(
        title=assessment.title,
        language=language,
        w=words,
        sections=Builder(assessment, words).sections(),
        style=_package_file("style.css"),
        subtitle=_subtitle(assessment),
        missing=MISSING,
        kind=lambda block: type(block).__name__,
    )


@functools.cache
def _template() -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["sub"] = _subscripts
    return environment.from_string(_package_file("template.html"))


def _subscripts(text: str) -> Markup:
    return Markup(re.sub(r"(δ|p|τ)_([ES0])\b", r"\1<sub>\2</sub>", str(escape(text))))


def _package_file(name: str) -> str:
    from importlib.resources import files

    return files("pkpd.report").joinpath(name).read_text(encoding="utf-8")


def _subtitle(assessment: Assessment) -> str:
    provenance = assessment.provenance
    versions = provenance.get("versions") or {}
    version = versions.get("pkpd") if isinstance(versions, Mapping) else None
    parts = [f"pkpd {version}" if version else "pkpd"]
    hashes = provenance.get("sha256") or {}
    for name in ("plan", "data"):
        if isinstance(hashes, Mapping) and hashes.get(name):
            parts.append(f"{name} {str(hashes[name])[:12]}")
    if provenance.get("seed") is not None:
        parts.append(f"seed {provenance['seed']}")
    return " · ".join(parts)


class Builder:
    """Puts the sections together; each method makes one."""

    def __init__(self, assessment: Assessment, words: Mapping) -> None:
        from pkpd.report.exposure_figures import metric_name
        from pkpd.report.palette import reference_histology

        self.a, self.w = assessment, words
        self.reference = reference_histology(assessment)
        self.metric = metric_name(assessment.exposure.metric)
        self.dosing = assessment.plan.get("dosing", {})
        self.unit = self.dosing.get("unit", "")

    def sections(self) -> list[Section]:
        parts: list[tuple[str, Callable[[], list[Block]]]] = [
            ("verdicts", self.verdicts),
            ("question", self.question),
            ("margins", self.margins),
            ("data", self.data),
            ("pk", self.pk),
            ("exposure", self.exposure),
            ("response", self.response),
            ("differences", self.differences),
            ("robustness", self.robustness),
            ("dose", self.dose),
            ("assumptions", self.assumptions),
            ("limitations", self.limitations),
            ("provenance", self.provenance),
        ]
        return [Section(key, self.w[f"section.{key}"], tuple(make())) for key, make in parts]

    def verdicts(self) -> list[Block]:
        blocks: list[Block] = [Text(self.a.global_statement, "global")] if self.a.global_statement else []
        if len(self.a.verdicts) == 0:
            return [*blocks, Text(self.w["verdicts.absent"])]
        blocks.append(answer.verdict_table(self.a, self.w, self.reference, self.metric))
        meanings = answer.qualifier_table(self.a, self.w)
        return [*blocks, meanings] if meanings else blocks

    def question(self) -> list[Block]:
        labels = {
            e.kind: e.label.lower() if e.label[1:2].islower() else e.label
            for e in self.a.endpoints
            if e.primary
        }
        time = (self.a.plan.get("data", {}).get("units") or {}).get("TIME", "")
        dose = (
            f"{answer.plain(self.dosing['reference'])} {self.unit}".strip()
            if "reference" in self.dosing
            else "one dose"
        )
        interval = (
            f"{answer.plain(self.dosing['interval'])} {time}".strip()
            if "interval" in self.dosing
            else "interval"
        )
        w = self.w
        pairs = [
            (w["question.label"], w["question"].format(dose=dose, interval=interval)),
            (
                w["context.label"],
                w["context"].format(
                    efficacy=labels.get("efficacy", MISSING),
                    safety=labels.get("safety", MISSING),
                    reference=self.reference,
                ),
            ),
        ]
        if "randomised" in self.dosing:
            pairs.append(
                (
                    w["influence.label"],
                    w["influence.randomised" if self.dosing["randomised"] else "influence.observed"],
                )
            )
        pairs.append((w["decision.label"], w["decision"]))
        return [Terms(tuple(pairs))]

    def margins(self) -> list[Block]:
        return [*answer.margin_tables(self.a, self.w), answer.rule_table(self.a, self.w)]

    def data(self) -> list[Block]:
        if len(self.a.data) == 0:
            return [self._absent("data")]
        return [evidence.data_table(self.a, self.w)]

    def pk(self) -> list[Block]:
        pk, w = self.a.pk, self.w
        blocks: list[Block] = [
            Text(
                w["pk.summary"].format(
                    model=pk.model,
                    method=pk.method,
                    observations=integer(pk.n_observations),
                    subjects=integer(pk.n_subjects),
                )
            ),
            Text(w["pk.termination"].format(cause=pk.termination.rstrip("."))),
        ]
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
            blocks += [Text(w["pk.warnings"] + ":", "lead"), Points(tuple(pk.warnings))]
        if (
            len(pk.diagnostics)
            and np.isfinite(pk.diagnostics[["DV", "CWRES"]].astype(float)).all(axis=1).any()
        ):
            from pkpd.report.goodness_of_fit import gof

            axes = gof(self.a)
            blocks.append(Heading("goodness-of-fit", w["pk.gof"]))
            blocks.append(
                self._figure(
                    "gof", axes, w["gof.caption"], w["gof.alt"].format(n=len(pk.diagnostics)), w["gof.note"]
                )
            )
        else:
            blocks.append(self._absent("gof"))
        return blocks

    def exposure(self) -> list[Block]:
        from pkpd.report.exposure_figures import exposure_by_dose, exposure_forest

        exposure, w = self.a.exposure, self.w
        mean = f"{significant(exposure.reference_exposure)} {exposure.unit}".strip()
        rows = "; ".join(
            f"{name}: {ratio(r)} ({ratio(low)} to {ratio(high)})"
            for name, r, low, high in exposure.ratios[["histology", "ratio", "lower", "upper"]].itertuples(
                index=False
            )
            if name != self.reference
        )
        subjects = exposure.subjects
        k = subjects["histology"].nunique() if len(subjects) else 0
        home = self.reference
        blocks: list[Block] = [
            Text(w["exposure.text"].format(metric=self.metric, reference_exposure=mean, reference=home)),
            evidence.exposure_table(self.a, w, home),
            self._figure(
                "forest",
                exposure_forest(self.a),
                w["forest.caption"].format(reference=home),
                w["forest.alt"].format(rows=rows),
            ),
        ]
        if not (subjects[exposure.metric] > 0).any():
            return [*blocks, self._absent("by_dose")]
        spoken = w["by_dose.alt"].format(n=len(subjects), k=k)
        drawn = exposure_by_dose(self.a)
        return [*blocks, self._figure("by-dose", drawn, w["by_dose.caption"], spoken, w["by_dose.note"])]

    def response(self) -> list[Block]:
        from pkpd.report.response_figures import exposure_response, response_forest

        w = self.w
        blocks: list[Block] = []
        if not self.a.endpoints:
            return [self._absent("response")]
        for i, endpoint in enumerate(self.a.endpoints):
            label = endpoint.label
            k = endpoint.counts["histology"].nunique()
            events, n = endpoint.counts["events"].sum(), endpoint.counts["n"].sum()
            blocks += [
                Heading(f"endpoint-{i}", f"{label} ({w.get(f'endpoint.{endpoint.kind}', endpoint.kind)})"),
                Text(w.get(f"shape.{endpoint.shape}", endpoint.shape), "lead"),
            ]
            if n and events in (0, n):
                blocks.append(Text(w["no_events" if events == 0 else "all_events"], "warning"))
            if len(endpoint.counts) == 0:
                blocks.append(self._absent("response"))
                continue
            said = {"label": label, "k": k, "reference": self.reference}
            curves, forest = exposure_response(self.a, endpoint), response_forest(self.a, endpoint)
            blocks += [
                self._figure(f"curves-{i}", curves, *self._said("curves", said)),
                *self._sources(endpoint, i),
                evidence.tests_table(endpoint, i, w),
                evidence.contrast_table(self.a, i, w, self.reference),
                self._figure(f"forest-{i}", forest, *self._said("forest_response", said)),
                evidence.count_table(self.a, i, w),
                evidence.coefficient_table(endpoint, i, w),
            ]
        return blocks

    def _sources(self, endpoint: EndpointResult, position: int) -> list[Block]:
        """The evidence class, signs of confounding, and the sources of exposure side by side."""
        found = endpoint.sources
        blocks: list[Block] = [Text(found["statement"])] if "statement" in found else []
        blocks += [Text(w.split(": ", 1)[-1], "warning") for w in found.get("warnings", ())]
        shown = rests_on.sources_table(endpoint, position, self.w)
        return [*blocks, shown] if shown is not None else blocks

    def robustness(self) -> list[Block]:
        tables = [
            make(self.a, self.w)
            for make in (rests_on.refits_table, rests_on.pooled_table, rests_on.aliasing_table)
        ]
        blocks: list[Block] = [t for t in tables if t is not None]
        for i, endpoint in enumerate(self.a.survival):
            if len(endpoint.table):
                blocks.append(rests_on.survival_table(self.a, i, self.w))
            else:
                blocks.append(Text(f"{endpoint.label}: {endpoint.statement}"))
        return blocks or [self._absent("robustness")]

    def differences(self) -> list[Block]:
        from pkpd.report.exposure_figures import shrinkage_forest

        w = self.w
        found = self.a.exchangeability
        if not found or len(found.get("table", ())) == 0 or not found["table"]["estimate"].notna().any():
            return [self._absent("differences")]
        k = len(found["table"])
        return [
            Text(w["differences.text"]),
            evidence.tau_table(self.a, w),
            evidence.shrunken_table(self.a, w, self.reference),
            self._figure(
                "shrinkage", shrinkage_forest(self.a), w["shrinkage.caption"], w["shrinkage.alt"].format(k=k)
            ),
        ]

    def dose(self) -> list[Block]:
        if len(self.a.verdicts) == 0:
            return [Text(self.w["verdicts.absent"])]
        return [answer.dose_table(self.a, self.w)]

    def assumptions(self) -> list[Block]:
        if not self.a.assumptions:
            return [Text(self.w["absent"].format(what=self.w["assumptions.absent"]))]
        return [Points(tuple(self.a.assumptions))]

    def limitations(self) -> list[Block]:
        w, entries = self.w, []
        if not self.a.pk.successful:
            entries.append(w["limitations.failed"])
        if self.dosing.get("randomised") is False:
            entries.append(w["limitations.randomised"])
        parameters = self.a.pk.parameters
        if "shrinkage_percent" in parameters:
            for name, value in parameters["shrinkage_percent"].items():
                # 25 %: the limit above which the decision table calls for a joint model
                if value > 25 and str(name).startswith("OMEGA"):
                    entries.append(w["limitations.shrinkage"].format(parameter=name, value=fixed(value, 1)))
        for row in self.a.verdicts.to_dict("records"):
            if row.get("verdict") == "insufficient data":
                n = row.get("n_needed")
                known = integer(n) if n is not None and n == n else ""
                key = "limitations.insufficient" if known else "limitations.insufficient_unknown"
                entries.append(w[key].format(histology=row["histology"], n=known))
            listed = row.get("qualifiers")
            for name in answer.qualifiers(listed if isinstance(listed, str) else ""):
                meaning = w.get(f"qualifier.{name}", "")
                entries.append(
                    w["limitations.qualified"].format(
                        histology=row["histology"], qualifier=name, meaning=meaning
                    )
                )
        return [Points((*entries, w["limitations.absent"]))]

    def provenance(self) -> list[Block]:
        w = self.w
        blocks: list[Block] = [Text(w["provenance.text"])]
        if self.a.provenance:
            blocks.append(evidence.provenance_table(self.a, w))
        if self.a.plan:
            blocks.append(evidence.plan_table(self.a, w))
        return blocks

    def _said(self, key: str, names: dict[str, Any]) -> list[str]:
        """Caption, description and note of a figure."""
        return [self.w[f"{key}.{part}"].format(**names) for part in ("caption", "alt", "note")]

    def _absent(self, section: str) -> Text:
        title = self.w.get(f"section.{section}") or self.w[f"{section}.caption"]
        return Text(self.w["absent"].format(what=title[0].lower() + title[1:]), "absent")

    def _figure(self, key: str, axes: Any, caption: str, description: str, note: str = "") -> Figure:
        from pkpd.report.canvas import svg

        figure = np.asarray(axes).flat[0].figure
        short = textwrap.shorten(description, 4000, placeholder=" …")
        return Figure(key, caption, svg(figure, prefix=f"fig-{key}", title=caption, description=short), note)
