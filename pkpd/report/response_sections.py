"""Sections on exposure-response: efficacy, safety, and differences between histologies."""

from __future__ import annotations

from typing import Any

from pkpd.report import evidence_tables as evidence
from pkpd.report import further_tables as further
from pkpd.report import robustness_tables as rests_on
from pkpd.report.blocks import Block, Figure, Heading, Text
from pkpd.report.context import Context
from pkpd.study.assessment import EndpointResult

__all__ = ["differences", "efficacy", "safety"]


def efficacy(c: Context) -> list[Block]:
    """Exposure-response of every efficacy endpoint."""
    return _endpoints(c, "efficacy")


def safety(c: Context) -> list[Block]:
    """Exposure-response of every safety endpoint."""
    return _endpoints(c, "safety")


def _endpoints(c: Context, kind: str) -> list[Block]:
    blocks: list[Block] = []
    for i, endpoint in enumerate(c.a.endpoints):
        if endpoint.kind == kind:
            blocks += [Heading(f"endpoint-{i}", endpoint.label), *_binary(c, endpoint, i)]
    for i, timed in enumerate(c.a.survival):
        if timed.kind != kind:
            continue
        blocks.append(Heading(f"survival-{i}", timed.label))
        if len(timed.table) == 0:
            blocks.append(Text(c.say(timed.statement)))
            continue
        from pkpd.report.survival_figures import kaplan_meier

        blocks.append(
            _figure(c, f"survival-{i}", kaplan_meier(c.a, i, c.language), "kaplan_meier", label=timed.label)
        )
        blocks.append(rests_on.survival_table(c.a, i, c.w))
    for i, size in enumerate(c.a.tumour_sizes if kind == "efficacy" else ()):
        tables = (
            further.size_table(c.a, i, c.w),
            further.size_effect_table(c.a, i, c.w),
            further.link_table(c.a, i, c.w),
        )
        blocks += [Heading(f"size-{i}", size.label), *(t for t in tables if t is not None)]
    return blocks or [c.absent(kind)]


def _figure(c: Context, key: str, axes: Any, words: str, **names: Any) -> Figure:
    caption, alt, note = (c.w[f"{words}.{part}"].format(**names) for part in ("caption", "alt", "note"))
    return c.figure(key, axes, caption, alt, note)


def _binary(c: Context, endpoint: EndpointResult, i: int) -> list[Block]:
    from pkpd.report.response_figures import exposure_response, response_forest

    w, label = c.w, endpoint.label
    k = endpoint.counts["histology"].nunique()
    events, n = endpoint.counts["events"].sum(), endpoint.counts["n"].sum()
    blocks: list[Block] = [Text(w[f"shape.{endpoint.shape}"], "lead")]
    if n and events in (0, n):
        blocks.append(Text(w["no_events" if events == 0 else "all_events"], "warning"))
    if len(endpoint.counts) == 0:
        return [*blocks, c.absent(endpoint.kind)]
    said = {"label": label, "k": k, "reference": c.reference}
    curves = exposure_response(c.a, endpoint, c.language)
    forest = response_forest(c.a, endpoint, c.language)
    return [
        *blocks,
        _figure(c, f"curves-{i}", curves, "curves", **said),
        *_sources(c, endpoint, i),
        evidence.tests_table(endpoint, i, w),
        evidence.contrast_table(c.a, i, w, c.reference),
        _figure(c, f"forest-{i}", forest, "forest_response", **said),
        evidence.count_table(c.a, i, w),
        evidence.coefficient_table(c.a, i, w),
    ]


def _sources(c: Context, endpoint: EndpointResult, position: int) -> list[Block]:
    """The evidence class, signs of confounding, and the sources of exposure side by side."""
    found = endpoint.sources
    blocks: list[Block] = [Text(c.say(found["statement"]))] if "statement" in found else []
    blocks += [
        Text(c.say(w).removeprefix(f"{w.split(':')[0]}: "), "warning") for w in found.get("warnings", ())
    ]
    shown = rests_on.sources_table(endpoint, position, c.w)
    return [*blocks, shown] if shown is not None else blocks


def differences(c: Context) -> list[Block]:
    """What histologies borrow from one another, and how far one of them carries the result."""
    from pkpd.report.exposure_figures import shrinkage_forest

    w = c.w
    found = c.a.exchangeability
    blocks: list[Block] = []
    if found and len(found.get("table", ())) and found["table"]["estimate"].notna().any():
        k = len(found["table"])
        drawn = shrinkage_forest(c.a, language=c.language)
        blocks += [
            Text(w["differences.text"]),
            evidence.tau_table(c.a, w),
            evidence.shrunken_table(c.a, w, c.reference),
            c.figure("shrinkage", drawn, w["shrinkage.caption"], w["shrinkage.alt"].format(k=k)),
        ]
    else:
        blocks.append(c.absent("differences"))
    return [*blocks, *_borrowing(c), *_influence(c)]


def _borrowing(c: Context) -> list[Block]:
    from pkpd.report.borrowing_figures import exchangeability_map, shrunken_responses

    blocks: list[Block] = []
    for i, endpoint in enumerate(c.a.endpoints):
        if "table" not in endpoint.borrowing:
            continue
        label = endpoint.label
        shown = rests_on.borrowing_table(c.a, i, c.w)
        forest = shrunken_responses(c.a, endpoint, c.language)
        blocks += [shown, _figure(c, f"borrowing-{i}", forest, "borrowing", label=label)]
        if len(endpoint.borrowing["table"]) > 1:
            pairs = exchangeability_map(c.a, endpoint, c.language)
            blocks.append(_figure(c, f"pairs-{i}", pairs, "pairs", label=label))
    return blocks or [c.absent("borrowing")]


def _influence(c: Context) -> list[Block]:
    from pkpd.report.borrowing_figures import leave_one_out

    shown = {name: one for name, one in c.a.sensitivity.get("influence", {}).items() if "table" in one}
    if not shown:
        return [c.absent("influence")]
    table = rests_on.influence_table(c.a, c.w)
    drawn = leave_one_out(c.a, c.language)
    said = c.w["influence.alt"].format(names=c.w["list"].join(shown))
    return [table, c.figure("influence", drawn, c.w["influence.caption"], said, c.w["influence.figure_note"])]
