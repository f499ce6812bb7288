"""The outline of the report: its sections in their order, each there even where its evidence is not."""

from __future__ import annotations

from collections.abc import Callable

from pkpd.report import closing_sections, evidence_sections, opening_sections, response_sections
from pkpd.report.blocks import Block, Section
from pkpd.report.context import Context

__all__ = ["sections"]

_PARTS: dict[str, Callable[[Context], list[Block]]] = {
    "verdicts": opening_sections.verdicts,
    "assessment": opening_sections.model_assessment,
    "background": opening_sections.background,
    "margins": opening_sections.margins,
    "data": evidence_sections.data,
    "pk": evidence_sections.pharmacokinetics,
    "exposure": evidence_sections.exposure,
    "biomarkers": evidence_sections.biomarkers,
    "efficacy": response_sections.efficacy,
    "safety": response_sections.safety,
    "differences": response_sections.differences,
    "dose": closing_sections.dose,
    "populations": closing_sections.populations,
    "representativeness": closing_sections.representativeness,
    "trial": closing_sections.trial,
    "uncertainty": closing_sections.uncertainty,
    "conclusions": closing_sections.conclusions,
    "appendix": closing_sections.appendix,
}


def sections(context: Context) -> list[Section]:
    """All sections; what is absent is said in one line each."""
    return [Section(key, context.w[f"section.{key}"], tuple(make(context))) for key, make in _PARTS.items()]
