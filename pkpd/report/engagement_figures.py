"""Engagement of the target over exposure, one panel per histology."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pkpd.report.canvas import SMALL, TEXT, curve, literal, log_ticks, panels, wrapped
from pkpd.report.exposure_figures import metric_name, with_unit
from pkpd.report.palette import GREY, INK, histologies, looks, reference_histology
from pkpd.report.wording import words

if TYPE_CHECKING:
    from pkpd.study.assessment import Assessment

__all__ = ["engagement"]


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
    axes = panels(len(names), 2.0)
    home = found.curves[found.curves["histology"] == reference]
    for ax, name in zip(axes.flat, names, strict=False):
        colour, marker = look[name]
        own = found.observed[found.observed["histology"] == name]
        ax.plot(own["exposure"], own["value"], marker, color=colour, markersize=2.5, alpha=0.45, label="data")
        ax.axvline(assessment.exposure.reference_exposure, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
        if name != reference:
            ax.plot(home["exposure"], home["response"], color="#a8a8a8", linewidth=1.0, label=reference)
        curve(ax, found.curves[found.curves["histology"] == name], "response", colour, name)
        ax.set_title(wrapped(name, 26), fontsize=TEXT, color=INK, loc="left")
        ax.set_title(f"n = {len(own)}", fontsize=SMALL, color=GREY, loc="right", pad=2)
    if (found.observed["exposure"] > 0).all():
        for ax in axes.flat:
            ax.set_xscale("log")
            log_ticks(ax, "x")
    figure = axes[0, 0].figure
    figure.supylabel(wrapped(with_unit(found.label, found.unit), 44), fontsize=TEXT, color=INK)
    metric = metric_name(found.metric, w)
    figure.supxlabel(with_unit(metric, assessment.exposure.unit), fontsize=TEXT, color=INK)
    literal(figure)
    return axes
