"""Goodness of fit: observed against predicted, residuals over time and prediction, and their normality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.report.canvas import MANY, SMALL, TEXT, box, grid, literal, log_ticks, short
from pkpd.report.palette import GREY, INK, POINT, TREND, histologies, looks
from pkpd.report.wording import words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["gof"]


def gof(fit: Any, language: str = "en") -> np.ndarray:
    """Draw the goodness of fit of a population PK model.

    Parameters
    ----------
    fit : PopulationFit, PkResult or Assessment
        What was fitted; only stored predictions and residuals are drawn.
    language : str
        Of the labels, ``"en"`` or ``"zh"``.

    Returns
    -------
    ndarray of Axes, shape (2, 3)
        DV against PRED, DV against IPRED, CWRES against TIME; CWRES against PRED, normal quantiles of
        CWRES, and CWRES by histology (empty where there is none). The coloured line is a local linear trend.

    Raises
    ------
    InputError
        ``E_PLOT_INPUT`` if the object holds no residuals.
    """
    units, w = _units(fit), words(language)
    table = _residuals(fit)
    table = table[np.isfinite(table["DV"]) & np.isfinite(table["CWRES"])]
    if table.empty:
        raise InputError("E_PLOT_INPUT", "no observation has a residual.", "Fit the model to data first.")
    names = _groups(fit, table)
    axes = grid(2, 3, (6.7, max(4.7, 0.6 + 0.36 * len(names))))
    values = {name: table[name].to_numpy(float) for name in ("DV", "PRED", "IPRED", "CWRES", "TIME")}
    dv, time = (f" ({units[name]})" if units.get(name) else "" for name in ("DV", "TIME"))
    _agreement(axes[0, 0], values["PRED"], values["DV"], w["figure.pred"] + dv, w["figure.dv"] + dv)
    _agreement(axes[0, 1], values["IPRED"], values["DV"], w["figure.ipred"] + dv, w["figure.dv"] + dv)
    _residual(axes[0, 2], values["TIME"], values["CWRES"], w["figure.time"] + time, log=False)
    _residual(axes[1, 0], values["PRED"], values["CWRES"], w["figure.pred"] + dv, log=_wide(values["PRED"]))
    _quantiles(axes[1, 1], values["CWRES"], w)
    if names:
        _by_group(axes[1, 2], table, names)
    else:
        axes[1, 2].set_axis_off()
    literal(axes[0, 0].figure)
    return axes


def _groups(fit: Any, table: pd.DataFrame) -> list[str]:
    """Histologies of the residuals: in the order of the report, or of the data."""
    if "histology" not in table:
        return []
    seen = dict.fromkeys(table["histology"].dropna())
    return [n for n in histologies(fit) if n in seen] if hasattr(fit, "exposure") else list(seen)


def _residuals(fit: Any) -> pd.DataFrame:
    fit = getattr(fit, "pk", fit)
    table = getattr(fit, "diagnostics", None)
    if table is None and hasattr(fit, "residuals") and hasattr(fit, "predictions"):
        keys = ["ID", "TIME", "DVID"]
        predictions = fit.predictions.assign(_k=fit.predictions.groupby(keys).cumcount())
        residuals = fit.residuals.assign(_k=fit.residuals.groupby(keys).cumcount())
        # records at one time of one subject are matched in their order
        table = residuals.merge(predictions[[*keys, "_k", "PRED", "IPRED"]], on=[*keys, "_k"], how="left")
        data = getattr(fit, "data", None)
        if data is not None and getattr(data, "histology", None):
            table["histology"] = table["ID"].map(data.subject_table()[data.histology])
    needed = ("TIME", "DV", "PRED", "IPRED", "CWRES")
    if table is None or any(name not in table for name in needed):
        raise InputError(
            "E_PLOT_INPUT",
            f"{type(fit).__name__} holds no table with {', '.join(needed)}.",
            "Give the result of pkpd.fit, or an assessment.",
        )
    return table


def _units(fit: Any) -> dict[str, str]:
    plan = getattr(fit, "plan", None)
    if plan is not None:
        return plan.get("data", {}).get("units") or {}
    return getattr(getattr(fit, "data", None), "units", None) or {}


def _wide(values: np.ndarray) -> bool:
    return bool(len(values) and values.min() > 0 and values.max() / values.min() > 20)


def _points(ax: Axes, x: np.ndarray, y: np.ndarray) -> None:
    ax.scatter(
        x,
        y,
        s=5,
        color=POINT,
        alpha=0.15 if len(x) > 3000 else 0.35 if len(x) > 300 else 0.6,
        linewidths=0,
        rasterized=len(x) > MANY,
        label="data",
    )


def trend(x: np.ndarray, y: np.ndarray, span: float = 0.6, points: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Local linear regression with tricube weights (Cleveland 1979, without robustness steps)."""
    if len(x) < 8 or np.ptp(x) == 0:
        return np.empty(0), np.empty(0)
    at = np.unique(np.quantile(x, np.linspace(0.01, 0.99, points)))
    nearest = max(4, int(np.ceil(span * len(x))))
    fitted = np.empty(len(at))
    for i, x0 in enumerate(at):
        distance = np.abs(x - x0)
        reach = max(np.partition(distance, nearest - 1)[nearest - 1], 1e-12 * (1 + abs(x0)))
        w = np.clip(1 - (distance / reach) ** 3, 0, None) ** 3
        mx, my = np.average(x, weights=w), np.average(y, weights=w)
        sxx = np.sum(w * (x - mx) ** 2)
        fitted[i] = my + (np.sum(w * (x - mx) * (y - my)) / sxx * (x0 - mx) if sxx > 0 else 0.0)
    return at, fitted


def _agreement(
    ax: Axes, predicted: np.ndarray, observed: np.ndarray, label: str, observed_label: str
) -> None:
    positive = (predicted > 0) & (observed > 0)
    log = bool(positive.mean() > 0.98) and _wide(observed[positive])
    if log:
        predicted, observed = predicted[positive], observed[positive]
    low, high = min(predicted.min(), observed.min()), max(predicted.max(), observed.max())
    _points(ax, predicted, observed)
    ax.plot([low, high], [low, high], color=INK, linewidth=0.8, label="identity")
    x, y = trend(np.log(predicted), np.log(observed)) if log else trend(predicted, observed)
    ax.plot(np.exp(x) if log else x, np.exp(y) if log else y, color=TREND, linewidth=1.4, label="trend")
    if log:
        ax.set(xscale="log", yscale="log", xlim=(low / 1.15, high * 1.15), ylim=(low / 1.15, high * 1.15))
        log_ticks(ax, "x")
        log_ticks(ax, "y")
    ax.set_xlabel(label, fontsize=TEXT, color=INK)
    ax.set_ylabel(observed_label, fontsize=TEXT, color=INK)
    _count(ax, len(observed))


def _residual(ax: Axes, x: np.ndarray, residual: np.ndarray, label: str, *, log: bool) -> None:
    _levels(ax)
    _points(ax, x, residual)
    at, fitted = trend(np.log(x) if log else x, residual)
    ax.plot(np.exp(at) if log else at, fitted, color=TREND, linewidth=1.4, label="trend")
    if log:
        ax.set_xscale("log")
        log_ticks(ax, "x")
    ax.set_xlabel(label, fontsize=TEXT, color=INK)
    ax.set_ylabel("CWRES", fontsize=TEXT, color=INK)
    _count(ax, len(x))


def _levels(ax: Axes) -> None:
    ax.axhline(0, color=INK, linewidth=0.8)
    for level in (-1.96, 1.96):
        ax.axhline(level, color=GREY, linewidth=0.6, linestyle=(0, (4, 3)))


def _quantiles(ax: Axes, residual: np.ndarray, words: Mapping) -> None:
    from scipy.special import ndtri

    ordered = np.sort(residual)
    n = len(ordered)
    expected = ndtri((np.arange(1, n + 1) - 0.5) / n)
    _points(ax, expected, ordered)
    reach = [min(expected[0], ordered[0]), max(expected[-1], ordered[-1])]
    ax.plot(reach, reach, color=INK, linewidth=0.8, label="identity")
    ax.set_xlabel(words["figure.normal_quantile"], fontsize=TEXT, color=INK)
    ax.set_ylabel(words["figure.quantile"].format(name="CWRES"), fontsize=TEXT, color=INK)
    _count(ax, n)


def _by_group(ax: Axes, table: pd.DataFrame, names: list[str]) -> None:
    from matplotlib.colors import to_hex, to_rgba

    look = looks(names)
    ax.axvline(0, color=INK, linewidth=0.8)
    for level in (-1.96, 1.96):
        ax.axvline(level, color=GREY, linewidth=0.6, linestyle=(0, (4, 3)))
    labels = []
    for row, name in enumerate(names):
        values = table.loc[table["histology"] == name, "CWRES"].to_numpy(float)
        box(
            ax, values, row, 0.55, look[name].colour, to_hex(to_rgba(look[name].colour, 0.3), keep_alpha=True)
        )
        labels.append(short(name, 20))
        ax.text(
            1.02,
            row,
            f"{len(values)}",
            transform=ax.get_yaxis_transform(),
            va="center",
            fontsize=6.5,
            color=GREY,
        )
    ax.text(1.02, 1.0, "n", transform=ax.transAxes, va="bottom", fontsize=6.5, color=GREY)
    ax.set_yticks(range(len(names)), labels, fontsize=SMALL)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_xlabel("CWRES", fontsize=TEXT, color=INK)


def _count(ax: Axes, n: int) -> None:
    ax.set_title(f"n = {n}", fontsize=SMALL, color=GREY, loc="right", pad=2)
