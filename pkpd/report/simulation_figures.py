"""Figures of simulation-based diagnostics: visual predictive checks, and prediction distribution errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.report.canvas import MANY, SMALL, TEXT, grid, literal, log_ticks, wrapped
from pkpd.report.palette import GREY, INK, POINT, TREND
from pkpd.report.wording import words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["BAND", "COLUMNS", "draw_bands", "npde", "vpc"]

_MIDDLE, BAND = "#f2c9ac", "#c6d6e6"
COLUMNS = 3


def vpc(check: Any, *, log: bool = False, language: str = "en") -> np.ndarray:
    """Draw a visual predictive check.

    Parameters
    ----------
    check : VPC
        From :func:`pkpd.vpc`.
    log : bool
        A logarithmic axis for the values.
    language : str
        Of the labels, ``"en"`` or ``"zh"``.

    Returns
    -------
    ndarray of Axes
        One panel per stratum: observations (points), their quantiles (lines), the bands of the simulated quantiles, the median's
        in orange. Where a limit of quantification is known, a row of panels below shows the share of values below it.

    Raises
    ------
    InputError
        ``E_PLOT_INPUT`` if ``check`` is no such result.
    """
    if not all(hasattr(check, name) for name in ("bands", "censored", "points", "x")):
        raise InputError("E_PLOT_INPUT", f"{type(check).__name__} is no VPC.", "Give the result of pkpd.vpc.")
    names, w = list(dict.fromkeys(check.bands["stratum"])), words(language)
    columns = min(COLUMNS, len(names))
    rows = -(-len(names) // columns)
    censored = not check.censored.empty
    size = (6.7, min(9.5, 0.4 + rows * (2.1 + 1.3 * censored)))
    dv, time = (f" ({check.units[name]})" if check.units.get(name) else "" for name in ("DV", "TIME"))
    axes = grid(rows * (1 + censored), columns, size, sharey="row")
    for place, name in enumerate(names):
        row, column = divmod(place, columns)
        ax = axes[row * (1 + censored), column]
        _quantiles(ax, check, name, log)
        n = int((check.points["stratum"] == name).sum())
        ax.set_title(wrapped(name, 26) if check.stratified_by else "", fontsize=TEXT, color=INK, loc="left")
        ax.set_title(f"n = {n}", fontsize=SMALL, color=GREY, loc="right", pad=2)
        if column == 0:
            label = w["figure.corrected" if check.prediction_corrected else "figure.value"]
            ax.set_ylabel(label + dv, fontsize=TEXT, color=INK)
        if censored:
            _share(axes[2 * row + 1, column], check, name)
            if column == 0:
                axes[2 * row + 1, 0].set_ylabel(w["figure.below_limit"], fontsize=TEXT, color=INK)
    if log:
        for row in range(rows):
            log_ticks(axes[row * (1 + censored), 0], "y")
    for place in range(len(names), rows * columns):
        row, column = divmod(place, columns)
        for k in range(1 + censored):
            axes[row * (1 + censored) + k, column].set_axis_off()
    label = w["figure.time" if check.x == "TIME" else "figure.time_after_dose"]
    for ax in axes[-1]:
        ax.set_xlabel(label + time, fontsize=TEXT, color=INK)
    literal(axes[0, 0].figure)
    return axes


def draw_bands(ax: Axes, part: pd.DataFrame, colour: str, line: Any) -> None:
    """Band of each bin over its width, its median, and what was observed."""
    last = part["x_upper"].max()
    for _, row in part.dropna(subset=["lower", "upper"]).iterrows():
        upper = row["x_upper"]
        if upper == last:  # a few late records do not widen what stands for the others
            upper = min(upper, 2 * row["x"] - row["x_lower"])
        ax.fill_between(
            [row["x_lower"], upper], row["lower"], row["upper"], color=colour, linewidth=0, alpha=0.8
        )
    ax.plot(part["x"], part["observed"], color=INK, linewidth=1.1, linestyle=line, label="observed")
    ax.plot(part["x"], part["median"], color=GREY, linewidth=0.8, linestyle=line, label="simulated median")


def _quantiles(ax: Axes, check: Any, name: str, log: bool) -> None:
    points = check.points[check.points["stratum"] == name]
    ax.scatter(
        points["x"], points["y"], s=4, color=POINT, alpha=0.35, linewidths=0, rasterized=len(points) > MANY, label="data"
    )  # fmt: skip
    mine = check.bands[check.bands["stratum"] == name]
    levels = sorted(mine["quantile"].unique())
    middle = min(levels, key=lambda q: abs(q - 0.5))
    for q in levels:
        draw_bands(
            ax,
            mine[mine["quantile"] == q],
            _MIDDLE if q == middle else BAND,
            "-" if q == middle else (0, (4, 2)),
        )
    if log:
        ax.set_yscale("log")


def _share(ax: Axes, check: Any, name: str) -> None:
    draw_bands(ax, check.censored[check.censored["stratum"] == name], BAND, "-")
    ax.set_ylim(-0.02, 1.02)


def npde(errors: Any, language: str = "en") -> np.ndarray:
    """Draw normalised prediction distribution errors.

    Parameters
    ----------
    errors : NPDE
        From :func:`pkpd.npde`.
    language : str
        Of the labels, ``"en"`` or ``"zh"``.

    Returns
    -------
    ndarray of Axes, shape (2, 2)
        Normal quantiles and histogram of NPDE; NPDE against time and against the typical prediction, with the 95 % range of a
        standard normal value. Censored values, which are imputed, are drawn hollow.

    Raises
    ------
    InputError
        ``E_PLOT_INPUT`` if ``errors`` is no such result.
    """
    table = getattr(errors, "table", None)
    if table is None or "NPDE" not in table:
        raise InputError(
            "E_PLOT_INPUT", f"{type(errors).__name__} is no NPDE.", "Give the result of pkpd.npde."
        )
    from scipy.special import ndtri

    axes, w = grid(2, 2, (6.7, 4.9)), words(language)
    z = np.sort(table["NPDE"].to_numpy(float))
    expected = ndtri((np.arange(1, len(z) + 1) - 0.5) / len(z))
    ax = axes[0, 0]
    ax.scatter(expected, z, s=5, color=POINT, linewidths=0, rasterized=len(z) > MANY, label="data")
    reach = [min(expected[0], z[0]), max(expected[-1], z[-1])]
    ax.plot(reach, reach, color=INK, linewidth=0.8, label="identity")
    ax.set_xlabel(w["figure.normal_quantile"], fontsize=TEXT, color=INK)
    ax.set_ylabel(w["figure.quantile"].format(name="NPDE"), fontsize=TEXT, color=INK)
    ax = axes[0, 1]
    count = int(np.clip(np.sqrt(len(z)), 6, 40))
    ax.hist(z, bins=count, density=True, color=BAND, edgecolor=POINT, linewidth=0.5)
    x = np.linspace(-4, 4, 161)
    ax.plot(x, np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi), color=TREND, linewidth=1.2, label="N(0, 1)")
    ax.set_xlabel("NPDE", fontsize=TEXT, color=INK)
    ax.set_ylabel(w["figure.density"], fontsize=TEXT, color=INK)
    for ax, column, label in ((axes[1, 0], "TIME", w["figure.time"]), (axes[1, 1], "PRED", w["figure.pred"])):
        ax.axhline(0, color=INK, linewidth=0.8)
        for level in (-1.96, 1.96):
            ax.axhline(level, color=GREY, linewidth=0.6, linestyle=(0, (4, 3)))
        for censored in (False, True):
            part = table[table["CENSORED"].astype(bool) == censored]
            ax.scatter(
                part[column], part["NPDE"], s=7, alpha=0.6, linewidths=0.5 if censored else 0, edgecolors=POINT,
                facecolors="none" if censored else POINT, rasterized=len(table) > MANY,
            )  # fmt: skip
        ax.set_xlabel(label, fontsize=TEXT, color=INK)
        ax.set_ylabel("NPDE", fontsize=TEXT, color=INK)
    p = errors.tests.loc["all", "p_global"] if "p_global" in errors.tests else np.nan
    axes[0, 1].set_title(
        w["figure.global_p"].format(n=len(z), p=f"{p:.2g}"), fontsize=SMALL, color=GREY, loc="right", pad=2
    )
    literal(axes[0, 0].figure)
    return axes
