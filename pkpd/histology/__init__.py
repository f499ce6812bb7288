"""Between-histology contrasts, equivalence, exchangeability, and the verdict rule."""

from __future__ import annotations

from pkpd.histology.equivalence import Equivalence, equivalence
from pkpd.histology.evidence import Contrast, DoseForecast, Evidence, ObservedDose
from pkpd.histology.gathering import gather
from pkpd.histology.likelihood_ratio import likelihood_ratio
from pkpd.histology.margins import Margins
from pkpd.histology.multiplicity import holm
from pkpd.histology.normal_hierarchical import NormalHierarchical, normal_hierarchical
from pkpd.histology.verdict import VERDICT_COLUMNS, Verdict, decide

__all__ = [
    "VERDICT_COLUMNS",
    "Contrast",
    "DoseForecast",
    "Equivalence",
    "Evidence",
    "Margins",
    "NormalHierarchical",
    "ObservedDose",
    "Verdict",
    "decide",
    "equivalence",
    "gather",
    "holm",
    "likelihood_ratio",
    "normal_hierarchical",
]
