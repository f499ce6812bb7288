"""The sections of an analysis plan: what each key means, what it accepts, and its default if it has one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pkpd.histology.representativeness import target_mix
from pkpd.results import result
from pkpd.study.schema import (
    amount,
    choice,
    flag,
    fraction,
    integer,
    key,
    many,
    number,
    one_or_many,
    options_by,
    pair,
    table,
    text,
)

__all__ = [
    "BootstrapPlan",
    "DataPlan",
    "DosingPlan",
    "ExchangeabilityPlan",
    "ExposurePlan",
    "MarginsPlan",
    "ModelPlan",
    "RepresentativenessPlan",
    "ResponseRatePlan",
    "SensitivityPlan",
    "ThresholdsPlan",
]

METRICS = ("AUC1", "CMAX1", "CTROUGH1", "CAVG1", "AUCSS", "CMAXSS", "CTROUGHSS", "CAVGSS")

_blq = choice("M1", "M3", "M4")
_search = {
    "max_iterations": integer(1, 100_000),
    "tolerance": number(0),
    "starts": integer(1, 1000),
    "blq": _blq,
}
# methods and what may be set of each; the covariance is the assessment's own choice
METHODS: dict[str, dict[str, Any]] = {
    "NaivePooled": _search,
    "FO": _search,
    "FOCE": _search,
    "FOCEI": _search,
    "Laplace": _search,
    "AGQ": {**_search, "nodes": integer(1, 100)},
    "SAEM": {
        "iterations": pair(integer(1), integer(1)),
        "chains": integer(1, 1000),
        "likelihood": choice("importance", "linearisation"),
        "samples": integer(100),
        "blq": _blq,
    },
    "IMP": {
        "max_iterations": integer(1, 100_000),
        "samples": integer(100),
        "tolerance": number(0),
        "blq": _blq,
    },
}
STARTING_METHODS = ("NaivePooled", "FO")  # their likelihood is no basis of a test of histology

_probability = number(0, 1)
_positive = number(0)
_texts = table(text)
_amounts = table(_positive)
_names = many(text)
_probabilities = table(_probability)


@result
@dataclass(frozen=True)
class DataPlan:
    """``[data]``: the table of records.

    Attributes
    ----------
    file : str
        CSV file, relative to the plan.
    reference : str
        The histology that all others are compared with.
    histology : str
        Column that holds the histology.
    units : dict or None
        Unit by column, covariates too; without it the report names no units and the model's are not compared with them.
    columns : dict or None
        The file's own name for a standard column, ``{ DV = "CONC" }``.
    covariates : tuple of str or None
        Covariate columns; without it every other column.
    aliases : tuple of str or None
        Columns (formulation, study, line of therapy ...) that a histology may be confounded with.
    anchors : dict or None
        By histology, the outside knowledge that resolves such a confounding.
    assay : str or None
        Column with the biomarker assay (or central / local laboratory) by which a patient was selected.
    drivers : tuple of str or None
        Columns with baseline drivers of clearance and prognosis (albumin, weight, tumour burden, ECOG): balance between
        histologies is shown for them, and the sources of exposure are compared at equal values of them.
    """

    file: str = key(text)
    reference: str = key(text)
    histology: str = key(text, "TUMOR")
    units: Mapping[str, str] | None = key(_texts, None)
    columns: Mapping[str, str] | None = key(_texts, None)
    covariates: tuple[str, ...] | None = key(_names, None)
    aliases: tuple[str, ...] | None = key(_names, None)
    anchors: Mapping[str, str] | None = key(_texts, None)
    assay: str | None = key(text, None)
    drivers: tuple[str, ...] | None = key(_names, None)


@result
@dataclass(frozen=True)
class ModelPlan:
    """``[model]``: the population PK model.

    Attributes
    ----------
    tested : tuple of str
        Parameters on which the model puts histology effects, and on which they are tested together.
    file : str or None
        Python file with one ``@pkpd.model`` function, relative to the plan.
    name : str or None
        Name of a shipped model (``pkpd models`` lists them); either this or ``file``.
    method : str or tuple of str
        Estimation method; a list is a chain, each method starting where the one before ended.
    options : dict or None
        By method, its options: ``{ SAEM = { chains = 5 } }``.
    """

    tested: tuple[str, ...] = key(many(text))
    file: str | None = key(text, None)
    name: str | None = key(text, None)
    method: str | tuple[str, ...] = key(one_or_many(choice(*METHODS)), "FOCEI")
    options: Mapping[str, Mapping[str, Any]] | None = key(options_by(METHODS), None)

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the methods, one after the other."""
        return (self.method,) if isinstance(self.method, str) else self.method

    def options_of(self, method: str) -> dict[str, Any]:
        """What the plan sets of one method."""
        return dict((self.options or {}).get(method, {}))


@result
@dataclass(frozen=True)
class DosingPlan:
    """``[dosing]``: the reference regimen and what may replace it.

    Attributes
    ----------
    reference : float
        Amount of the dose all histologies would share, in ``unit``.
    candidates : tuple of float
        Amounts that can be given, increasing; the reference is one of them.
    interval : float
        Time between doses, in the data's unit of time.
    randomised : bool
        Whether patients were randomised between dose levels within histologies.
    unit : str
        Unit of the amounts; without it, doses are named without a unit, because none is assumed.
    column : str or None
        Column with each subject's dose; without it, the amount of the subject's first dose.
    infusion : float or None
        Duration of the infusion; none for a bolus or an oral dose.
    compartment : str or None
        Compartment that is dosed; the model's first one without it.
    tolerated : dict or None
        By histology, the highest dose that was tolerated, where that is below the highest studied.
    """

    reference: float = key(_positive)
    candidates: tuple[float, ...] = key(many(_positive, increasing=True))
    interval: float = key(_positive)
    randomised: bool = key(flag)
    unit: str = key(text, "")
    column: str | None = key(text, None)
    infusion: float | None = key(_positive, None)
    compartment: str | None = key(text, None)
    tolerated: Mapping[str, float] | None = key(_amounts, None)


@result
@dataclass(frozen=True)
class ExposurePlan:
    """``[exposure]``: what is compared between histologies, and what difference has no effect.

    Attributes
    ----------
    metric : str
        One of AUC1, CMAX1, CTROUGH1, CAVG1, AUCSS, CMAXSS, CTROUGHSS, CAVGSS.
    bounds : tuple of float
        No-effect bounds (L, U) of the ratio to the reference histology.
    source : str
        Where the bounds come from.
    output : str or None
        Name of the model's observation whose exposure is meant (parent or metabolite, free or total); the first without it.
    mediators : tuple of str or None
        Columns (albumin, tumour burden, ECOG ...) that join the population model one by one, as powers or factors on
        the tested parameters, to show how much of the exposure ratios they explain.
    """

    metric: str = key(choice(*METRICS))
    bounds: tuple[float, float] = key(pair(number(0, 1), number(1), increasing=True))
    source: str = key(text)
    output: str | None = key(text, None)
    mediators: tuple[str, ...] | None = key(_names, None)


@result
@dataclass(frozen=True)
class MarginsPlan:
    """``[margins]``: the difference in probability that matters; never a default.

    Attributes
    ----------
    efficacy, safety : float
        δ_E and δ_S, as probabilities (0.15 = 15 percentage points).
    source : str
        Where they come from.
    safety_by_histology : dict or None
        δ_S of the histologies where it differs.
    """

    efficacy: float = key(_probability)
    safety: float = key(_probability)
    source: str = key(text)
    safety_by_histology: Mapping[str, float] | None = key(_probabilities, None)


@result
@dataclass(frozen=True)
class ResponseRatePlan:
    """``[p0]``: the response rate below which the drug is not worth giving.

    Attributes
    ----------
    source : str
        Where the rates come from.
    default : float or None
        Rate of every histology that is not named.
    histologies : dict or None
        Rate by histology.
    """

    source: str = key(text)
    default: float | None = key(_probability, None)
    histologies: Mapping[str, float] | None = key(_probabilities, None)


@result
@dataclass(frozen=True)
class ThresholdsPlan:
    """``[thresholds]``: what a statement must reach, as in the default decision table.

    Attributes
    ----------
    conclude : float
        Probability from which a difference counts as shown, and exposure as equivalent.
    keep : float
        Probability from which effect and safety count as kept.
    minimum_n : int
        Patients evaluable for PK, response and AE below which no histology is judged.
    small_n : int
        Patients below which a verdict carries ``SMALL-N``.
    shrinkage : float
        Shrinkage above which a verdict carries ``HIGH-SHRINKAGE``.
    extrapolation : float
        No dose above this multiple of the highest studied dose is proposed.
    """

    conclude: float = key(number(0.5, 1), 0.90)
    keep: float = key(number(0.5, 1), 0.80)
    minimum_n: int = key(integer(2, 10_000), 10)
    small_n: int = key(integer(2, 10_000), 30)
    shrinkage: float = key(_probability, 0.25)
    extrapolation: float = key(number(1), 1.5)


@result
@dataclass(frozen=True)
class BootstrapPlan:
    """``[bootstrap]``: parametric bootstrap of the response tests.

    Attributes
    ----------
    n : int
        Replicates per test.
    """

    n: int = key(integer(19, 1_000_000), 999)


@result
@dataclass(frozen=True)
class ExchangeabilityPlan:
    """``[exchangeability]``: priors of the normal hierarchical model on mean log exposure.

    Attributes
    ----------
    tau : float
        Scale of the half-normal prior of the between-histology standard deviation.
    mu : tuple of float
        Mean and standard deviation of the normal prior of the overall mean, relative to the
        reference histology.
    """

    tau: float = key(_positive, 0.5)
    mu: tuple[float, float] = key(pair(number(), _positive), (0.0, 2.0))


@result
@dataclass(frozen=True)
class RepresentativenessPlan:
    """``[representativeness]``: who will be treated, and what else is shown of the enrolled.

    Attributes
    ----------
    source : str
        Where the numbers come from.
    shares : dict or None
        Share of each histology in the target population; they add up to 1.
    incidence, alteration, treatable : dict or None
        Instead: new patients per year, fraction with the molecular alteration, fraction of these who would be
        treated (1 where not given).
    age : str or None
        Column with age in years: response per age band.
    age_bands : tuple of float or None
        Lower ends of the bands; the default of :func:`pkpd.histology.age_bands` without it.
    biomarkers : tuple of str or None
        Columns whose combinations with histology are counted.
    cutoff_column, cutoff : str, float or None
        Continuous biomarker, and the cut-off that all histologies are to share.
    """

    source: str = key(text)
    shares: Mapping[str, float] | None = key(table(fraction), None)
    incidence: Mapping[str, float] | None = key(table(amount), None)
    alteration: Mapping[str, float] | None = key(table(fraction), None)
    treatable: Mapping[str, float] | None = key(table(fraction), None)
    age: str | None = key(text, None)
    age_bands: tuple[float, ...] | None = key(many(amount, increasing=True), None)
    biomarkers: tuple[str, ...] | None = key(_names, None)
    cutoff_column: str | None = key(text, None)
    cutoff: float | None = key(number(), None)

    def weights(self) -> dict[str, Mapping[str, float] | None]:
        """Arguments of :func:`pkpd.histology.representativeness`."""
        return {
            "shares": self.shares,
            "incidence": self.incidence,
            "alteration": self.alteration,
            "treatable": self.treatable,
        }

    @property
    def weights_key(self) -> str:
        """The key that lists the histologies of the target."""
        return "shares" if self.shares is not None else "incidence"

    def target(self) -> dict[str, float] | None:
        """Share of each histology in the target population; None where no weight is declared.

        Raises
        ------
        InputError
            ``E_WEIGHTS`` for weights that are none.
        """
        given = self.weights()
        return None if all(v is None for v in given.values()) else target_mix(**given)

    def columns(self) -> dict[str, tuple[str, ...]]:
        """Columns of the data by the key that names them."""
        named = {"age": self.age, "cutoff_column": self.cutoff_column}
        return {k: (v,) for k, v in named.items() if v} | {"biomarkers": self.biomarkers or ()}


@result
@dataclass(frozen=True)
class SensitivityPlan:
    """``[sensitivity]``: repeated fits that show what a verdict rests on.

    Attributes
    ----------
    prior : bool
        Repeat the response fits with half and twice the prior: ``PRIOR-SENSITIVE``.
    leave_one_out : bool
        Repeat population and response fits without each histology in turn: ``DOMINATED``.
    """

    prior: bool = key(flag, True)
    leave_one_out: bool = key(flag, True)
