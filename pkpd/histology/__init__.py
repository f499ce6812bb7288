"""Between-histology contrasts, equivalence, exchangeability, and the verdict rule."""

from __future__ import annotations

from pkpd.histology.evidence import Contrast, DoseForecast, Evidence, ObservedDose
from pkpd.histology.gathering import gather
from pkpd.histology.margins import Margins
from pkpd.histology.verdict import VERDICT_COLUMNS, Verdict, decide

__all__ = [
    "VERDICT_COLUMNS",
    "Contrast",
    "DoseForecast",
    "Evidence",
    "Margins",
    "ObservedDose",
    "Verdict",
    "decide",
    "gather",
]
