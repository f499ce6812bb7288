"""Engagement of the target over exposure, one panel per histology."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pkpd.report.canvas import SMALL, TEXT, grid, literal, log_ticks, wrapped
from pkpd.report.exposure_figures import _with_unit, metric_name
from pkpd.report.palette import GREY, INK, histologies, looks, reference_histology
from pkpd.report.wording import words

if TYPE_CHECKING:
    from pkpd.study.assessment import Assessment

__all__ = ["engagement"]

COLUMNS = 3


def engagement(assessment: Assessment, position: int = 0, language: str = "en") -> np.ndarray:
    """Draw a measure of target engagement over exposure.

    Parameters
    ----------
    assessment : Assessment
    position : int
        Of the measure among ``assessment.engagement``.
    language : str
        Of the labels, ``"en"`` or ``"zh"``.

    Returns
    -------
    ndarray of Axes
        Per histology the patients, the Emax curve with its 90 % band, the reference exposure (dashed), and the reference
        histology's curve in grey.
    """
    found, w = assessment.engagement[position], words(language)
    names = [n for n in histologies(assessment) if (found.observed["histology"] == n).any()]
    reference, look = reference_histology(assessment), looks(histologies(assessment))
    columns = min(COLUMNS, len(names))
    rows = -(-len(names) // columns)
    axes = grid(rows, columns, (6.7, min(9.5, 0.5 + 2.0 * rows)), sharex=True, sharey=True)
    home = found.curves[found.curves["histology"] == reference]
    for ax, name in zip(axes.flat, names, strict=False):
        colour, marker = look[name]
        own = found.observed[found.observed["histology"] == name]
        curve = found.curves[found.curves["histology"] == name]
        ax.plot(own["exposure"], own["value"], marker, color=colour, markersize=2.5, alpha=0.45, label="data")
        ax.axvline(assessment.exposure.reference_exposure, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
        if name != reference:
            ax.plot(home["exposure"], home["response"], color="#a8a8a8", linewidth=1.0, label=reference)
        ax.fill_between(
            curve["exposure"],
            curve["lower"],
            curve["upper"],
            color=colour,
            alpha=0.16,
            linewidth=0,
            label="90 % band",
        )
        ax.plot(curve["exposure"], curve["response"], color=colour, linewidth=1.6, label=name)
        ax.set_title(wrapped(name, 26), fontsize=TEXT, color=INK, loc="left")
        ax.set_title(f"n = {len(own)}", fontsize=SMALL, color=GREY, loc="right", pad=2)
    if (found.observed["exposure"] > 0).all():
        for ax in axes.flat:
            ax.set_xscale("log")
            log_ticks(ax, "x")
    for ax in axes.flat[len(names) :]:
        ax.set_axis_off()
    # a panel with nothing below it carries the labels of the axis that all share
    for i, ax in enumerate(axes.flat[: len(names)]):
        ax.tick_params(labelbottom=i + columns >= len(names))
    figure = axes[0, 0].figure
    unit = f" ({found.unit})" if found.unit else ""
    figure.supylabel(wrapped(found.label + unit, 44), fontsize=TEXT, color=INK)
    figure.supxlabel(
        _with_unit(metric_name(found.metric, w), assessment.exposure.unit), fontsize=TEXT, color=INK
    )
    literal(figure)
    return axes
