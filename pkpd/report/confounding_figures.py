"""Map of what histologies share: patients in each combination of histology with dose, study and the like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pkpd.errors import InputError
from pkpd.report.canvas import SMALL, TEXT, grid, literal, short, wrapped
from pkpd.report.palette import GREY, INK, histologies
from pkpd.report.wording import dose_label, words
from pkpd.response.aliasing import in_order

if TYPE_CHECKING:
    from pkpd.study.assessment import Assessment

__all__ = ["aliasing_map"]


def aliasing_map(assessment: Assessment, language: str = "en") -> np.ndarray:
    """Patients of each histology at each level of dose and of the plan's alias columns.

    Parameters
    ----------
    assessment : Assessment
    language : str
        Of the labels, ``"en"`` or ``"zh"``.

    Returns
    -------
    ndarray of Axes, shape (1, columns)
        One map per column: rows are histologies, columns are levels; the number of patients stands in each cell, and
        empty cells are crossed out.

    Raises
    ------
    InputError
        ``E_PLOT_INPUT`` if the assessment holds no such counts.
    """
    cells = assessment.confounding.get("cells")
    if cells is None or len(cells) == 0 or set(cells.columns) <= {"histology", "n"}:
        raise InputError(
            "E_PLOT_INPUT", "the assessment holds no counts of patients.", "Assess two histologies or more."
        )
    w = words(language)
    names = [n for n in histologies(assessment) if (cells["histology"].astype(str) == n).any()]
    columns = [c for c in cells.columns if c not in ("histology", "n")]
    counts = [
        cells.assign(histology=cells["histology"].astype(str))
        .pivot_table(index="histology", columns=c, values="n", aggfunc="sum", fill_value=0)
        .loc[names]
        .sort_index(axis=1, key=in_order)
        for c in columns
    ]
    widths = [max(2, t.shape[1]) for t in counts]
    size = (min(6.7, 2.2 + 0.62 * sum(widths)), 0.8 + 0.25 * len(names))
    axes = grid(1, len(columns), size, sharey=True, width_ratios=widths)
    for ax, column, table in zip(axes[0], columns, counts, strict=True):
        _map(ax, table.to_numpy(float))
        levels = [f"{v:g}" if isinstance(v, float) else str(v) for v in table.columns]
        tilted = max(map(len, levels)) > 6
        ax.set_xticks(
            range(len(levels)), [wrapped(v, 14) for v in levels], fontsize=SMALL, rotation=90 if tilted else 0
        )
        title = dose_label(assessment.plan, w) if column == "dose" else column
        ax.set_title(title, fontsize=TEXT, color=INK, loc="left")
    axes[0, 0].set_yticks(range(len(names)), [short(n) for n in names], fontsize=TEXT)
    literal(axes[0, 0].figure)
    return axes


def _map(ax, counts: np.ndarray) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    blues = LinearSegmentedColormap.from_list("patients", ["#f4f7fa", "#6f9cc3"])
    share = counts / max(counts.max(), 1.0)
    ax.imshow(np.sqrt(share), cmap=blues, vmin=0, vmax=1, aspect="auto")
    for (row, column), n in np.ndenumerate(counts):
        if n:
            ax.text(column, row, f"{int(n)}", ha="center", va="center", fontsize=SMALL, color=INK)
        else:
            ax.plot(column, row, "x", color=GREY, markersize=5)
    for side in ax.spines.values():
        side.set_visible(False)
    ax.set_xticks(np.arange(counts.shape[1] + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(counts.shape[0] + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=1.5)
    ax.tick_params(which="both", length=0)
