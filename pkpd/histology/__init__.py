"""Between-histology contrasts, equivalence, exchangeability, and the verdict rule."""

from __future__ import annotations

from pkpd.histology.binomial_hierarchical import BinomialHierarchical, binomial_hierarchical
from pkpd.histology.cells import age_bands, biomarker_cells
from pkpd.histology.cutoff import CommonCutoff, common_cutoff
from pkpd.histology.divergence_borrowing import (
    DivergenceBorrowing,
    divergence_borrowing,
    divergence_operating_characteristics,
)
from pkpd.histology.equivalence import Equivalence, equivalence
from pkpd.histology.evidence import Contrast, DoseForecast, Evidence, ObservedDose
from pkpd.histology.exnex import Exnex, exnex
from pkpd.histology.exnex_characteristics import exnex_operating_characteristics
from pkpd.histology.gathering import gather
from pkpd.histology.influence import leave_one_out
from pkpd.histology.likelihood_ratio import likelihood_ratio
from pkpd.histology.margins import Margins
from pkpd.histology.meta_analysis import MetaAnalysis, meta_analysis
from pkpd.histology.multiplicity import holm, max_t
from pkpd.histology.normal_hierarchical import NormalHierarchical, normal_hierarchical
from pkpd.histology.partitions import Partitions, partitions
from pkpd.histology.permutation import Permutation, permutation
from pkpd.histology.representativeness import Representativeness, representativeness
from pkpd.histology.sample_size import (
    ResponsePower,
    detectable_differences,
    minimum_detectable_loss,
    minimum_detectable_ratio,
    n_for_equivalence,
    power_different,
    power_equivalent,
    power_response,
)
from pkpd.histology.sign_permutation import SignPermutation, sign_permutation
from pkpd.histology.verdict import VERDICT_COLUMNS, Verdict, decide

__all__ = [
    "VERDICT_COLUMNS",
    "BinomialHierarchical",
    "CommonCutoff",
    "Contrast",
    "DivergenceBorrowing",
    "DoseForecast",
    "Equivalence",
    "Evidence",
    "Exnex",
    "Margins",
    "MetaAnalysis",
    "NormalHierarchical",
    "ObservedDose",
    "Partitions",
    "Permutation",
    "Representativeness",
    "ResponsePower",
    "SignPermutation",
    "Verdict",
    "age_bands",
    "binomial_hierarchical",
    "biomarker_cells",
    "common_cutoff",
    "decide",
    "detectable_differences",
    "divergence_borrowing",
    "divergence_operating_characteristics",
    "equivalence",
    "exnex",
    "exnex_operating_characteristics",
    "gather",
    "holm",
    "leave_one_out",
    "likelihood_ratio",
    "max_t",
    "meta_analysis",
    "minimum_detectable_loss",
    "minimum_detectable_ratio",
    "n_for_equivalence",
    "normal_hierarchical",
    "partitions",
    "permutation",
    "power_different",
    "power_equivalent",
    "power_response",
    "representativeness",
    "sign_permutation",
]
