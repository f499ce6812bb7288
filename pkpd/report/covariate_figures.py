"""Forest of covariate effects on the typical parameters of a population model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pkpd.errors import InputError
from pkpd.report.canvas import SMALL, TEXT, grid, literal, log_ticks
from pkpd.report.palette import GREY, INK, POINT
from pkpd.report.wording import words

if TYPE_CHECKING:
    import numpy as np

__all__ = ["covariate_effects"]


def covariate_effects(effects: Any, language: str = "en") -> np.ndarray:
    """Draw the ratio of typical parameters at other covariate values to those at the reference.

    Parameters
    ----------
    effects : CovariateEffects
        From :func:`pkpd.covariate_effects`.
    language : str
        Of the labels, ``"en"`` or ``"zh"``.

    Returns
    -------
    ndarray of Axes, shape (parameters, 1)
        One panel per parameter; ratios with their intervals on a logarithmic axis, the reference at 1.

    Raises
    ------
    InputError
        ``E_PLOT_INPUT`` if ``effects`` is no such result, or has no row.
    """
    table = getattr(effects, "table", None)
    if table is None or "ratio" not in table or table.empty:
        raise InputError(
            "E_PLOT_INPUT",
            f"{type(effects).__name__} holds no ratios.",
            "Give the result of pkpd.covariate_effects.",
        )
    names = list(dict.fromkeys(table["parameter"]))
    sizes = [int((table["parameter"] == name).sum()) for name in names]
    axes = grid(
        len(names), 1, (6.7, 0.8 + 0.26 * sum(sizes) + 0.5 * len(names)), sharex=True, height_ratios=sizes
    )
    for ax, name in zip(axes[:, 0], names, strict=True):
        part = table[table["parameter"] == name]
        ax.set_xscale("log")
        ax.axvline(1, color=INK, linewidth=0.8)
        labels = []
        for row, (_, one) in enumerate(part.iterrows()):
            ax.plot(
                [one["lower"], one["upper"]], [row, row], color=POINT, linewidth=1.2, solid_capstyle="butt"
            )
            ax.plot([one["ratio"]], [row], "s", color=POINT, markersize=4)
            labels.append(f"{one['covariate']} {one['value']} : {one['reference']}")
            text = f"{one['ratio']:.2f} ({one['lower']:.2f}, {one['upper']:.2f})"
            ax.text(
                1.01, row, text, transform=ax.get_yaxis_transform(), va="center", fontsize=6.5, color=GREY
            )
        ax.set_yticks(range(len(part)), labels, fontsize=SMALL)
        ax.tick_params(axis="y", length=0)
        ax.set_ylim(len(part) - 0.4, -0.6)
        ax.set_title(name, fontsize=TEXT, color=INK, loc="left")
    low, high = min(table["lower"].min(), 1.0), max(table["upper"].max(), 1.0)
    axes[-1, 0].set_xlim(low / 1.05, high * 1.05)
    log_ticks(axes[-1, 0], "x")
    axes[-1, 0].set_xlabel(
        words(language)["figure.covariate_ratio"].format(level=f"{100 * effects.level:g}"),
        fontsize=TEXT,
        color=INK,
    )
    literal(axes[0, 0].figure)
    return axes
