"""Kaplan-Meier curves of a time-to-event endpoint: by histology, and by quartile of exposure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.report.canvas import SMALL, TEXT, grid, literal, percent_ticks, short
from pkpd.report.exposure_figures import metric_name
from pkpd.report.palette import INK, Look, histologies, looks
from pkpd.report.wording import words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from pkpd.study.assessment import Assessment

__all__ = ["kaplan_meier"]

# from light to dark: the quartiles have an order, histologies have none
_QUARTILES = {"1": "#9ecae1", "2": "#56a0ce", "3": "#2171b5", "4": "#08306b"}


def kaplan_meier(assessment: Assessment, endpoint: str | int, language: str = "en") -> np.ndarray:
    """Share without the event over time, per histology and per quartile of exposure.

    Parameters
    ----------
    assessment : Assessment
    endpoint : str or int
        Name or position of the time-to-event endpoint.
    language : str
        Of the labels, ``"en"`` or ``"zh"``.

    Returns
    -------
    ndarray of Axes, shape (1, 2)
        Left histologies, right quartiles (1 lowest; switched off where there are none); each curve is named with its
        patients at risk of the first event.

    Raises
    ------
    InputError
        ``E_PLOT_ENDPOINT`` if there is no such endpoint.
    """
    found = {s.name: s for s in assessment.survival} | dict(enumerate(assessment.survival))
    if endpoint not in found:
        names = ", ".join(s.name for s in assessment.survival) or "none"
        raise InputError("E_PLOT_ENDPOINT", f"no time-to-event endpoint {endpoint!r}.", f"It has: {names}.")
    result, w = found[endpoint], words(language)
    order = [n for n in histologies(assessment) if (result.curves["histology"].astype(str) == n).any()]
    axes = grid(1, 2, (6.7, 3.1 + 0.09 * len(order)), sharey=True)
    left, right = axes[0]
    # its times stand in a column of their own, whose unit the plan may name
    time = (assessment.plan.get("data", {}).get("units") or {}).get(result.name, "")
    label = w["figure.time"] + (f" ({time})" if time else "")
    _curves(left, result.curves.rename(columns={"histology": "group"}), looks(histologies(assessment)), order)
    if len(result.quartiles):
        shades = {q: Look(colour, "o") for q, colour in _QUARTILES.items()}
        table = result.quartiles.rename(columns={"quartile": "group"})
        _curves(right, table, shades, list(_QUARTILES))
        title = w["figure.quartiles"].format(metric=metric_name(result.metric, w))
        right.set_title(title, fontsize=TEXT, color=INK, loc="left")
        right.set_xlabel(label, fontsize=TEXT, color=INK)
    else:
        right.set_axis_off()
    left.set_title(w["column.histology"], fontsize=TEXT, color=INK, loc="left")
    left.set_xlabel(label, fontsize=TEXT, color=INK)
    left.set_ylabel(w["figure.without_event"].format(label=result.label), fontsize=TEXT, color=INK)
    left.set_ylim(0, 1.02)
    percent_ticks(left, "y")
    literal(left.figure)
    return axes


def _curves(ax: Axes, curves: pd.DataFrame, look: Mapping[str, Look], order: list[str]) -> None:
    last = float(curves["time"].max())
    for name in order:
        own = curves[curves["group"].astype(str) == name].sort_values("time")
        if own.empty:
            continue
        n = int(own["at_risk"].iloc[0])
        x = np.concatenate([[0.0], own["time"].to_numpy(float), [last]])
        y = np.concatenate([[1.0], own["survival"].to_numpy(float)])
        y = np.append(y, y[-1])
        shown = f"{short(name, 22)} (n = {n})"
        ax.step(x, y, where="post", color=look[name].colour, linewidth=1.4, label=shown)
    ax.grid(axis="y", color="#ececec", linewidth=0.6)
    ax.set_xlim(0, last * 1.02)
    ax.legend(
        fontsize=SMALL, frameon=False, loc="upper left", bbox_to_anchor=(0, -0.2), ncols=2, borderpad=0,
        handlelength=1.2, labelspacing=0.25, columnspacing=1.0,
    )  # fmt: skip
