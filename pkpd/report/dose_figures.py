"""Dose-response per histology, with the dose that its verdict names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pkpd.errors import InputError
from pkpd.report.canvas import SMALL, TEXT, literal, panels, percent_ticks, wrapped
from pkpd.report.palette import GREY, INK, TREND, histologies
from pkpd.report.wording import dose_label, words

if TYPE_CHECKING:
    from pkpd.study.assessment import Assessment

__all__ = ["dose_response"]

_RESPONSE, _AE = "#0072b2", TREND


def dose_response(assessment: Assessment, language: str = "en") -> np.ndarray:
    """Predicted response and adverse events at each candidate dose, one panel per histology.

    Parameters
    ----------
    assessment : Assessment
    language : str
        Of the labels, ``"en"`` or ``"zh"``.

    Returns
    -------
    ndarray of Axes
        Response solid, adverse events dashed; the reference dose is a dotted line, the dose of the verdict a band.
        Unused axes are switched off.

    Raises
    ------
    InputError
        ``E_PLOT_INPUT`` if the assessment holds no forecasts.
    """
    table, w = assessment.forecasts, words(language)
    if len(table) == 0:
        raise InputError("E_PLOT_INPUT", "the assessment holds no forecasts.", "Assess the plan again.")
    names = [n for n in histologies(assessment) if (table["histology"] == n).any()]
    dosing = assessment.plan.get("dosing", {})
    chosen = assessment.verdicts.set_index("histology")
    axes = panels(len(names))
    doses = np.sort(table["dose"].unique())
    gap = float(np.diff(doses).min()) if len(doses) > 1 else 1.0
    labels = {e.kind: e.label for e in assessment.endpoints if e.primary}
    for ax, name in zip(axes.flat, names, strict=False):
        own = table[table["histology"] == name].sort_values("dose")
        dose = float(chosen["dose"][name]) if name in chosen.index else np.nan
        if np.isfinite(dose):
            ax.axvspan(dose - 0.25 * gap, dose + 0.25 * gap, color="#dfe8f0", zorder=0, linewidth=0)
        if "reference" in dosing:
            ax.axvline(float(dosing["reference"]), color=GREY, linewidth=0.9, linestyle=(0, (1, 2)))
        ax.plot(
            own["dose"],
            own["response"],
            "o-",
            color=_RESPONSE,
            markersize=3.5,
            linewidth=1.5,
            label="response",
        )
        ax.plot(own["dose"], own["ae"], "s--", color=_AE, markersize=3.5, linewidth=1.2, label="ae")
        verdict = str(chosen["verdict"][name]) if name in chosen.index else ""
        said = w.get(f"verdict.{verdict}", verdict)
        if np.isfinite(dose):
            said = f"{said}{w['to_dose']}{dose:g} {dosing.get('unit', '')}".strip()
        ax.set_title(f"{wrapped(name, 30)}\n{said}", fontsize=TEXT, color=INK, loc="left", pad=3)
        ax.set_ylim(-0.02, 1.02)
        percent_ticks(ax, "y")
        ax.set_xticks(doses, [f"{d:g}" for d in doses])
        ax.set_xlim(doses[0] - 0.4 * gap, doses[-1] + 0.4 * gap)
        ax.grid(axis="y", color="#ececec", linewidth=0.6)
    figure = axes[0, 0].figure
    figure.supxlabel(dose_label(assessment.plan, w), fontsize=TEXT, color=INK)
    lines = axes[0, 0].get_lines()
    handles = [line for line in lines if line.get_label() in ("response", "ae")]
    figure.legend(
        handles, [labels.get(k, w[f"endpoint.{k}"]) for k in ("efficacy", "safety")], loc="outside upper left",
        ncols=2, frameon=False, fontsize=SMALL,
    )  # fmt: skip
    literal(figure)
    return axes
