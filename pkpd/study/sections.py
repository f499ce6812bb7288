"""The sections of an analysis plan: what each key means, what it accepts, and its default if it has one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pkpd.results import result
from pkpd.study.schema import choice, flag, integer, key, many, number, pair, table, text

__all__ = [
    "BootstrapPlan",
    "DataPlan",
    "DosingPlan",
    "EndpointPlan",
    "ExchangeabilityPlan",
    "ExposurePlan",
    "MarginsPlan",
    "ModelPlan",
    "ResponseRatePlan",
    "SensitivityPlan",
    "ThresholdsPlan",
]

METRICS = ("AUC1", "CMAX1", "CTROUGH1", "CAVG1", "AUCSS", "CMAXSS", "CTROUGHSS", "CAVGSS")

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
        Unit by column.
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
    method : str
        Estimation method.
    """

    tested: tuple[str, ...] = key(many(text))
    file: str | None = key(text, None)
    name: str | None = key(text, None)
    method: str = key(choice("FOCEI"), "FOCEI")


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
    """

    metric: str = key(choice(*METRICS))
    bounds: tuple[float, float] = key(pair(number(0, 1), number(1), increasing=True))
    source: str = key(text)


@result
@dataclass(frozen=True)
class EndpointPlan:
    """``[[endpoint]]``: one endpoint, binary (0 or 1 per subject) or a time to an event.

    Attributes
    ----------
    name : str
        Short name, also in file names and tables.
    kind : str
        ``"efficacy"`` or ``"safety"``.
    column : str
        Column with the outcome; for a time to an event, with the time.
    label : str
        Words for the report.
    shape : str
        How exposure enters the linear predictor: ``"log"`` or ``"linear"``.
    primary : bool or None
        Whether verdicts rest on it: one binary endpoint of each kind. May be left out where there is one.
    event : str or None
        Column with 1 where the event was seen and 0 where it was censored; makes the endpoint a time to an event.
    """

    name: str = key(text)
    kind: str = key(choice("efficacy", "safety"))
    column: str = key(text)
    label: str = key(text)
    shape: str = key(choice("log", "linear"), "log")
    primary: bool | None = key(flag, None)
    event: str | None = key(text, None)

    @property
    def binary(self) -> bool:
        """Whether the outcome is 0 or 1; otherwise it is a time to an event."""
        return self.event is None


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
