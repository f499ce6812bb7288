"""The kinds of ``[[endpoint]]`` of an analysis plan: what each key means, what it accepts, and its default if it has one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pkpd.results import result
from pkpd.study.schema import amount, choice, flag, key, many, number, table, text

__all__ = ["ENDPOINTS", "EndpointPlan", "EngagementPlan", "TumourSizePlan"]


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
    # the others have keys of their own; who writes a kind that is none is told all
    kind: str = key(choice("efficacy", "safety", "tumour_size", "engagement"))
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
class TumourSizePlan:
    """``[[endpoint]]`` with ``kind = "tumour_size"``: sums of lesions over time, by a population model.

    Attributes
    ----------
    name : str
        Short name, also in file names and tables.
    kind : str
        ``"tumour_size"``.
    file : str
        CSV file relative to the plan: one row per measurement, with ID as in the data of the plan.
    column : str
        Column of the file with the size.
    label : str
        Words for the report.
    model : str
        Shipped model: ``"stein"``, ``"claret"`` (exposure relative to the reference exposure drives it), ``"wang"`` or
        ``"simeoni"`` (the concentration drives it: the metric must be an average one).
    time : str
        Column of the file with the time since the start of treatment, in the unit that the model's parameters are to have.
    landmark : float or None
        Time at which the size relative to the start is reported (8 weeks, say); not for simeoni.
    effects : tuple of str or None
        Parameters on which histologies differ; growth and drug effect without it.
    initial : dict or None
        Starting values of the model's thetas, where its own (stein: per week, claret: per day) do not suit the unit.
    survival : str or None
        Name of the time-to-event endpoint that time to growth is linked to.
    offset : float
        Added to the time to growth before its logarithm is taken; needed where it is 0 in some patients.
    """

    name: str = key(text)
    kind: str = key(choice("tumour_size"))
    file: str = key(text)
    column: str = key(text)
    label: str = key(text)
    model: str = key(choice("stein", "claret", "wang", "simeoni"))
    time: str = key(text, "TIME")
    landmark: float | None = key(number(0), None)
    effects: tuple[str, ...] | None = key(many(text), None)
    initial: Mapping[str, float] | None = key(table(number(0)), None)
    survival: str | None = key(text, None)
    offset: float = key(amount, 0.0)


@result
@dataclass(frozen=True)
class EngagementPlan:
    """``[[endpoint]]`` with ``kind = "engagement"``: how far the target is engaged, one number per patient.

    Attributes
    ----------
    name : str
        Short name, also in file names and tables.
    kind : str
        ``"engagement"``.
    column : str
        Column with the measure: receptor occupancy, inhibition or change of a pharmacodynamic biomarker.
    label : str
        Words for the report.
    unit : str
        Unit of the measure.
    """

    name: str = key(text)
    kind: str = key(choice("engagement"))
    column: str = key(text)
    label: str = key(text)
    unit: str = key(text, "")


ENDPOINTS: dict[str, type] = {
    "efficacy": EndpointPlan,
    "safety": EndpointPlan,
    "tumour_size": TumourSizePlan,
    "engagement": EngagementPlan,
}
"""Keys of an endpoint by its kind."""
