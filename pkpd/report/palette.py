"""One order, one colour and one marker per histology, the same everywhere; safe for colour-blind readers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pkpd.study.assessment import Assessment

__all__ = ["GREY", "INK", "POINT", "SHADE", "TREND", "Look", "histologies", "looks", "reference_histology"]

INK = "#222222"
GREY = "#767676"  # still 4.5 : 1 on white
SHADE = "#e8eef4"
POINT = "#4f6d8f"  # where colour stands for no histology
TREND = "#d55e00"

# Okabe & Ito 2008 without black (the reference) and yellow (invisible on white), then Tol's "muted" set
_COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
    "#332288", "#882255", "#117733", "#999933", "#aa4499", "#44aa99", "#661100",
)  # fmt: skip
_MARKERS = "osD^vPX<>phd*"


class Look(NamedTuple):
    """How a histology is drawn."""

    colour: str
    marker: str


def reference_histology(assessment: Assessment) -> str:
    """The histology that the plan compares with."""
    declared = assessment.plan.get("data", {}).get("reference")
    names = list(assessment.exposure.ratios["histology"])
    return declared if declared in names else names[0]


def histologies(assessment: Assessment) -> list[str]:
    """All histologies in the order of the report: the reference first, the others as in the data."""
    reference = reference_histology(assessment)
    return [reference, *(n for n in assessment.exposure.ratios["histology"] if n != reference)]


def looks(histologies: Sequence[str], reference: str | None = None) -> dict[str, Look]:
    """Colour and marker by histology; the reference (by default the first one) is black.

    Colours repeat after thirteen histologies, then with other markers.
    """
    reference = histologies[0] if reference is None and len(histologies) else reference
    others = [name for name in histologies if name != reference]
    found = {
        name: Look(_COLOURS[i % len(_COLOURS)], _MARKERS[(i + i // len(_COLOURS) + 1) % len(_MARKERS)])
        for i, name in enumerate(others)
    }
    return {name: Look(INK, "o") if name == reference else found[name] for name in histologies}
