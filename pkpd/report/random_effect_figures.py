"""Random effects of a population model: against covariates, and how far they are shrunken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.report.canvas import MANY, SMALL, TEXT, grid, literal, name_rows, panel, short, tukey
from pkpd.report.goodness_of_fit import trend
from pkpd.report.palette import GREY, INK, POINT, TREND, histologies, looks
from pkpd.report.wording import words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["eta_covariates", "shrinkage"]

_LIMIT = 0.25  # of shrinkage, above which the decision table calls for a joint model
_LEVELS = 6  # a numeric covariate with no more values is drawn in boxes


def _table(result: Any, name: str) -> pd.DataFrame:
    table = getattr(getattr(result, "pk", result), name, None)
    if table is None or len(table) == 0:
        raise InputError(
            "E_PLOT_INPUT", f"{type(result).__name__} holds no {name}.", "Give an assessment, or its pk."
        )
    return table


def eta_covariates(result: Any, language: str = "en") -> np.ndarray:
    """Empirical Bayes estimates of each random effect against histology and each covariate.

    Parameters
    ----------
    result : Assessment or PkResult
    language : str
        Of the labels, ``"en"`` or ``"zh"``.

    Returns
    -------
    ndarray of Axes, shape (etas, 1 + covariates)
        Boxes for histologies and few levels, points with a local linear trend for the others.

    Raises
    ------
    InputError
        ``E_PLOT_INPUT`` if there are no random effects.
    """
    table, w = _table(result, "random_effects"), words(language)
    etas = [c for c in table.columns if c.startswith("ETA(")]
    others = [c for c in table.columns if c not in ("ID", "histology", *etas)]
    names = histologies(result) if hasattr(result, "exposure") else list(dict.fromkeys(table["histology"]))
    names = [n for n in names if (table["histology"] == n).any()]
    height = max(1.9, 0.6 + 0.24 * len(names))
    axes = grid(
        len(etas),
        1 + len(others),
        (min(6.7, 2.6 + 2.1 * len(others)), 0.35 + height * len(etas)),
        sharey="row",
    )
    order = {"histology": names}
    for row, eta in enumerate(etas):
        for column, name in enumerate(["histology", *others]):
            ax = axes[row, column]
            ax.axhline(0, color=INK, linewidth=0.8)
            own = table[[name, eta]].dropna()
            numeric = name not in order and pd.api.types.is_numeric_dtype(own[name])
            if numeric and own[name].nunique() > _LEVELS:
                _cloud(ax, own[name].to_numpy(float), own[eta].to_numpy(float))
            else:
                levels = order.get(name) or sorted(own[name].unique())
                colours = [look.colour for look in looks(levels).values()] if name in order else None
                _boxes(ax, own, name, eta, levels, colours)
            if row == len(etas) - 1:
                label = w["column.histology"] if name == "histology" else name
                ax.set_xlabel(label, fontsize=TEXT, color=INK)
            else:
                ax.tick_params(labelbottom=False)
        axes[row, 0].set_ylabel(eta, fontsize=TEXT, color=INK)
    literal(axes[0, 0].figure)
    return axes


def _cloud(ax: Axes, x: np.ndarray, y: np.ndarray) -> None:
    ax.scatter(x, y, s=5, color=POINT, alpha=0.35, linewidths=0, rasterized=len(x) > MANY, label="data")
    ax.plot(*trend(x, y), color=TREND, linewidth=1.4, label="trend")
    ax.set_title(f"n = {len(x)}", fontsize=SMALL, color=GREY, loc="right", pad=2)


def _boxes(
    ax: Axes, own: pd.DataFrame, name: str, eta: str, levels: list[Any], colours: list[str] | None
) -> None:
    """Vertical boxes of :func:`tukey`, one per level."""
    from matplotlib.patches import Rectangle

    turned = max((len(str(level)) for level in levels), default=0) > 5 and len(levels) > 3
    labels = []
    for at, level in enumerate(levels):
        values = own.loc[own[name] == level, eta].to_numpy(float)
        colour = colours[at] if colours else POINT
        said = f"{level:g}" if isinstance(level, float) else short(str(level), 16)
        labels.append(f"{said} ({len(values)})" if turned else f"{said}\n{len(values)}")
        if len(values) < 5:
            ax.plot(np.full(len(values), at), values, "o", color=colour, markersize=3.5, label=str(level))
            continue
        first, low, middle, high, last = tukey(values)
        ax.add_patch(
            Rectangle((at - 0.3, low), 0.6, high - low, facecolor="none", edgecolor=colour, linewidth=0.9)
        )
        ax.plot([at, at], [first, low], color=colour, linewidth=0.9)
        ax.plot([at, at], [high, last], color=colour, linewidth=0.9)
        ax.plot([at - 0.3, at + 0.3], [middle, middle], color=INK, linewidth=1.6, label="median")
    ax.set_xticks(range(len(levels)), labels, fontsize=6.5, rotation=90 if turned else 0)
    ax.set_xlim(-0.6, len(levels) - 0.4)


def shrinkage(result: Any, language: str = "en", ax: Axes | None = None) -> Axes:
    """Shrinkage of each random effect and of the residuals, over all patients and by histology.

    Parameters
    ----------
    result : Assessment or PkResult
    language : str
        Of the labels, ``"en"`` or ``"zh"``.
    ax : Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    Axes
        One row per group, one mark per random effect; the line stands at 25 %.

    Raises
    ------
    InputError
        ``E_PLOT_INPUT`` if there is no shrinkage.
    """
    table, w = _table(result, "shrinkage"), words(language)
    order = histologies(result) if hasattr(result, "exposure") else []
    groups = [g for g in ["all", *order] if g in table.index]
    groups += [g for g in table.index if g not in groups]
    shown = [c for c in table.columns if c != "subjects"]
    ax = panel(ax, (6.7, 1.0 + 0.3 * len(groups)))
    ax.axvline(0, color=GREY, linewidth=0.8)
    ax.axvline(_LIMIT, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
    for (name, look), shift in zip(
        looks(shown).items(), np.linspace(-0.22, 0.22, len(shown)) if len(shown) > 1 else [0.0], strict=True
    ):
        values = table.loc[groups, name].to_numpy(float)
        ax.plot(
            values, np.arange(len(groups)) + shift, look.marker, color=look.colour, markersize=5, label=name
        )
    for row, group in enumerate(groups):
        n = f"n = {int(table['subjects'][group])}"
        ax.text(1.01, row, n, transform=ax.get_yaxis_transform(), va="center", fontsize=SMALL, color=GREY)
    name_rows(ax, [w["figure.all"] if g == "all" else short(g) for g in groups])
    low, high = ax.get_xlim()
    ax.set_xlim(min(low, -0.02), max(high, 0.32))
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:.3g} %".replace("-", "−")))
    ax.set_xlabel(w["figure.shrinkage"], fontsize=TEXT, color=INK)
    ax.legend(
        fontsize=SMALL, frameon=False, ncols=len(shown), loc="lower right", bbox_to_anchor=(1, 1), borderpad=0
    )
    literal(ax)
    return ax
