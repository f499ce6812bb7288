"""Operating characteristics: how often the decision table reaches each verdict, under stated truths."""

from __future__ import annotations

from typing import Any

import numpy as np

from pkpd.errors import InputError
from pkpd.report.canvas import SMALL, TEXT, grid, literal, name_rows, percent_ticks, wrapped
from pkpd.report.palette import GREY, INK
from pkpd.report.wording import words

__all__ = ["operating_characteristics"]

# the colours of the verdicts' labels in the report, dark enough to stand side by side
_SHADES = {"same": "#58a584", "adjust": "#e3a94e", "exclude": "#c0584f", "insufficient": "#c3cad1"}
_VERDICTS = {
    "same": "same dose", "adjust": "adjust dose", "exclude": "exclude", "insufficient": "insufficient data"
}  # fmt: skip


def operating_characteristics(result: Any, language: str = "en") -> np.ndarray:
    """Probability of each verdict per histology, one panel per scenario.

    Parameters
    ----------
    result : OperatingCharacteristics or Assessment
        From :func:`pkpd.operating_characteristics`, or of a plan with ``[[scenario]]``.
    language : str
        Of the labels, ``"en"`` or ``"zh"``.

    Returns
    -------
    ndarray of Axes, shape (scenarios, 1)
        Stacked bars; the true verdict stands at the side.

    Raises
    ------
    InputError
        ``E_PLOT_INPUT`` if ``result`` is no such result.
    """
    name = type(result).__name__
    result = getattr(result, "characteristics", result)
    table = getattr(result, "table", None)
    if table is None or not {"scenario", "truth", *_SHADES} <= set(table):
        raise InputError(
            "E_PLOT_INPUT",
            f"{name} holds no probabilities of verdicts.",
            "Give the result of pkpd.operating_characteristics, or the assessment of a plan with [[scenario]].",
        )
    w = words(language)
    scenarios = list(dict.fromkeys(table["scenario"]))
    sizes = [int((table["scenario"] == s).sum()) for s in scenarios]
    axes = grid(
        len(scenarios),
        1,
        (6.7, 0.9 + 0.27 * sum(sizes) + 0.42 * len(sizes)),
        sharex=True,
        height_ratios=sizes,
    )
    for ax, scenario in zip(axes[:, 0], scenarios, strict=True):
        own = table[table["scenario"] == scenario].reset_index(drop=True)
        start = np.zeros(len(own))
        for name, colour in _SHADES.items():
            share = own[name].to_numpy(float)
            ax.barh(range(len(own)), share, left=start, height=0.7, color=colour, label=name)
            for row, (at, part) in enumerate(zip(start, share, strict=True)):
                if part >= 0.06:
                    ax.text(
                        at + part / 2,
                        row,
                        f"{100 * part:.0f}",
                        ha="center",
                        va="center",
                        fontsize=6.5,
                        color=INK,
                    )
            start = start + share
        for row, truth in enumerate(own["truth"]):
            said = w["figure.truth"].format(verdict=w.get(f"verdict.{truth}", truth))
            ax.text(
                1.01, row, said, transform=ax.get_yaxis_transform(), va="center", fontsize=6.5, color=GREY
            )
        labels = [
            f"{wrapped(str(h), 22)} (n = {int(n)})" for h, n in zip(own["histology"], own["n"], strict=True)
        ]
        name_rows(ax, labels, size=SMALL)
        ax.set_xlim(0, 1)
        ax.set_title(str(scenario), fontsize=TEXT, color=INK, loc="left")
    bottom = axes[-1, 0]
    percent_ticks(bottom, "x")
    bottom.set_xlabel(w["figure.verdict_shares"].format(n=result.n_replicates), fontsize=TEXT, color=INK)
    bars = axes[0, 0].containers
    bottom.figure.legend(
        bars, [w[f"verdict.{_VERDICTS[name]}"] for name in _SHADES], loc="outside upper left", ncols=4, frameon=False,
        fontsize=SMALL,
    )  # fmt: skip
    literal(bottom.figure)
    return axes
