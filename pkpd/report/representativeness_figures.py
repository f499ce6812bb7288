"""Enrolled mix of histologies against the population that the drug is meant for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pkpd.errors import InputError
from pkpd.report.canvas import SMALL, TEXT, literal, name_rows, panel, wrapped
from pkpd.report.palette import GREY, INK, histologies, looks
from pkpd.report.wording import words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["representativeness"]


def representativeness(result: Any, language: str = "en", ax: Axes | None = None) -> Axes:
    """Share of each histology among the enrolled and in the target population.

    Parameters
    ----------
    result : Assessment or Representativeness
        An assessment with a target population, or what :func:`pkpd.histology.representativeness` returned.
    language : str
        Of the labels, ``"en"`` or ``"zh"``.
    ax : Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    Axes
        Per histology the enrolled share (hollow) joined to the target share (filled); the weight of one of its patients at
        the side.

    Raises
    ------
    InputError
        ``E_PLOT_INPUT`` if ``result`` is no such result.
    """
    order = histologies(result) if hasattr(result, "enrolment") else []
    result = result.enrolment.get("mix") if order else result
    table = getattr(result, "table", None)
    if table is None or not {"enrolled", "target", "weight"} <= set(table):
        raise InputError(
            "E_PLOT_INPUT",
            f"{type(result).__name__} holds no enrolled and target shares.",
            "Give an assessment whose plan has a target population, or a result of pkpd.histology.representativeness.",
        )
    w = words(language)
    table = table.set_index(table["histology"].astype(str))
    names = [*(n for n in order if n in table.index), *(n for n in table.index if n not in order)]
    table, look = table.loc[names], looks([*order, *(n for n in names if n not in order)])
    ax = panel(ax, (6.7, 1.1 + 0.3 * len(names)))
    for row, name in enumerate(names):
        colour = look[name].colour
        enrolled, target, weight = (float(table[c].iloc[row]) for c in ("enrolled", "target", "weight"))
        ax.plot([enrolled, target], [row, row], color=colour, linewidth=1.4, solid_capstyle="butt")
        ax.plot(
            enrolled,
            row,
            "o",
            color=colour,
            markersize=5.5,
            markerfacecolor="white",
            label=f"{name}, enrolled",
        )
        ax.plot(target, row, "o", color=colour, markersize=5.5, label=f"{name}, target")
        shown = f"n = {int(table['n'].iloc[row])}, × {weight:.2f}" if weight == weight else "n = 0"
        ax.text(1.01, row, shown, transform=ax.get_yaxis_transform(), va="center", fontsize=SMALL, color=GREY)
    name_rows(ax, [wrapped(n, 26) for n in names])
    ax.set_xlim(left=min(0.0, ax.get_xlim()[0]))
    from matplotlib.ticker import FuncFormatter

    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:.3g} %"))
    ax.grid(axis="x", color="#ececec", linewidth=0.6)
    ax.set_xlabel(w["figure.shares"], fontsize=TEXT, color=INK)
    literal(ax)
    return ax
