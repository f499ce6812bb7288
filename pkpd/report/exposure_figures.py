"""Exposure between histologies: the forest of ratios, each subject's exposure, and the shrunken means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pkpd.report.canvas import SMALL, TEXT, box, literal, log_ticks, name_rows, panel, wrapped
from pkpd.report.numbers import ratio, significant
from pkpd.report.palette import GREY, INK, SHADE, histologies, looks, reference_histology
from pkpd.report.wording import words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pkpd.study.assessment import Assessment

__all__ = ["exposure_by_dose", "exposure_forest", "shrinkage_forest"]

_Z90 = 1.6448536269514722  # normal quantile of a two-sided 90 % interval
_NAMES = {"AUC": "AUC", "CMAX": "Cmax", "CTROUGH": "Ctrough", "CAVG": "Cavg"}


def metric_name(metric: str, words: Mapping) -> str:
    """Words for an exposure metric: ``AUCSS`` is "AUC at steady state"."""
    for stem, name in _NAMES.items():
        if metric.upper() == f"{stem}SS":
            return words["metric.steady"].format(name=name)
        if metric.upper() == f"{stem}1":
            return words["metric.first"].format(name=name)
    return metric


def quantity(name: str, words: Mapping) -> str:
    """Words for what is summarised over histologies: a metric, or the slope of an endpoint."""
    stem = name.removeprefix("slope of ")
    return (
        words["influence.slope"].format(name=stem)
        if stem != name
        else words["influence.log"].format(name=name)
    )


def with_unit(text: str, unit: str) -> str:
    """A label with its unit, where one is known."""
    return f"{text} ({unit})" if unit else text


def exposure_forest(assessment: Assessment, ax: Axes | None = None, language: str = "en") -> Axes:
    """Ratio of exposure to the reference histology, with its 90 % interval, against the no-effect bounds.

    Parameters
    ----------
    assessment : Assessment
    ax : Axes, optional
        Where to draw; by default a new figure.
    language : str
        Of the labels, ``"en"`` or ``"zh"``.

    Returns
    -------
    Axes
        Log ratio axis, one row per histology, the no-effect area shaded, the numbers at the side.
    """
    exposure, w = assessment.exposure, words(language)
    names, reference = histologies(assessment), reference_histology(assessment)
    table = exposure.ratios.set_index("histology").loc[names].reset_index()
    lines = [wrapped(name, 26).count("\n") + 1 for name in names]
    ax = panel(ax, (6.7, 1.0 + 0.34 * len(table) + 0.14 * sum(n - 1 for n in lines)))
    look = looks(names, reference)
    low, high = _limits(table, exposure.bounds)
    ax.axvspan(*exposure.bounds, color=SHADE, zorder=0, label="no-effect area")
    ax.axvline(1, color=GREY, linewidth=0.8, zorder=1)
    for row, name in enumerate(names):
        value, lower, upper = (float(table[c][row]) for c in ("ratio", "lower", "upper"))
        colour, marker = look[name]
        if np.isfinite(lower) and np.isfinite(upper) and upper > lower:
            ax.plot(
                [lower, upper], [row, row], color=colour, linewidth=1.6, solid_capstyle="butt", label=name
            )
            for end, edge, arrow in ((lower, low, "<"), (upper, high, ">")):
                if not low <= end <= high:
                    ax.plot(edge, row, arrow, color=colour, markersize=5, clip_on=False)
        if low <= value <= high:
            hollow = name == reference
            ax.plot(
                value,
                row,
                marker,
                color=colour,
                markersize=5.5,
                markerfacecolor="white" if hollow else colour,
            )
        side = w["reference"] if name == reference else _estimate(value, lower, upper, w)
        ax.text(
            1.03, row, side, transform=ax.get_yaxis_transform(), va="center", fontsize=SMALL + 0.5, color=INK
        )
    ax.text(1.03, 1.0, w["figure.ratio"], transform=ax.transAxes, va="bottom", fontsize=SMALL, color=GREY)
    name_rows(ax, [f"{wrapped(n, 26)}  (n = {int(k)})" for n, k in zip(names, table["n"], strict=True)])
    ax.set(xscale="log", xlim=(low, high))
    _ratio_ticks(ax, low, high, exposure.bounds)
    ax.set_xlabel(
        w["figure.ratio_to"].format(metric=metric_name(exposure.metric, w), reference=reference),
        fontsize=TEXT,
        color=INK,
    )
    ax.text(
        np.sqrt(exposure.bounds[0] * exposure.bounds[1]), 1.0, w["figure.no_effect"].format(bounds=_bounds(exposure.bounds)),
        transform=ax.get_xaxis_transform(), ha="center", va="bottom", fontsize=SMALL, color=GREY,
    )  # fmt: skip
    literal(ax)
    return ax


def _estimate(value: float, lower: float, upper: float, words: Mapping) -> str:
    known = np.isfinite(lower) and np.isfinite(upper)
    interval = f"{ratio(lower)}–{ratio(upper)}" if known else words["figure.no_interval"]
    return f"{ratio(value)} ({interval})"


def _bounds(bounds: tuple[float, float]) -> str:
    return f"{bounds[0]:g}–{bounds[1]:g}"


def _limits(table: pd.DataFrame, bounds: tuple[float, float]) -> tuple[float, float]:
    ends = table[["ratio", "lower", "upper"]].to_numpy(float).ravel()
    ends = ends[np.isfinite(ends) & (ends > 0)]
    # beyond a tenth or tenfold an interval says "unknown"; its arrow says that as well
    return (
        max(0.1, min(bounds[0] / 1.25, float(ends.min()) / 1.1)),
        min(10.0, max(bounds[1] * 1.25, float(ends.max()) * 1.1)),
    )


def _ratio_ticks(ax: Axes, low: float, high: float, bounds: tuple[float, float]) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

    wanted = [1.0, *bounds]
    for tick in (0.5, 2.0, 0.2, 5.0, 0.65, 1.5, 0.1, 10.0):
        # no two labels closer than a tenth of the axis
        if low <= tick <= high and all(abs(np.log(tick / t)) > 0.09 * np.log(high / low) for t in wanted):
            wanted.append(tick)
    ax.xaxis.set_major_locator(FixedLocator(sorted(wanted)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())


def exposure_by_dose(assessment: Assessment, ax: Axes | None = None, language: str = "en") -> Axes:
    """Exposure of each subject at the planned dose, by histology and dose.

    Parameters
    ----------
    assessment : Assessment
    ax : Axes, optional
        Where to draw; by default a new figure.
    language : str
        Of the labels, ``"en"`` or ``"zh"``.

    Returns
    -------
    Axes
        Log exposure axis; one row per histology and dose with every subject as a point and, from five
        subjects on, a box (median, quartiles, whiskers to 1.5 × the interquartile range).
    """
    exposure, w = assessment.exposure, words(language)
    subjects = exposure.subjects
    unit = assessment.plan.get("dosing", {}).get("unit", "")
    names = [n for n in histologies(assessment) if (subjects["histology"] == n).any()]
    look = looks(histologies(assessment))
    doses = {name: sorted(subjects.loc[subjects["histology"] == name, "dose"].unique()) for name in names}
    rows = sum(len(d) for d in doses.values())
    ax = panel(ax, (6.7, 0.9 + 0.24 * rows + 0.1 * len(names)))
    at, labels, ends = 0.0, [], []
    seen = np.append(subjects[exposure.metric].to_numpy(float), exposure.reference_exposure)
    positive = seen[np.isfinite(seen) & (seen > 0)]
    for name in names:
        first = at
        for dose in doses[name]:
            own = subjects.loc[
                (subjects["histology"] == name) & (subjects["dose"] == dose), exposure.metric
            ].to_numpy(float)
            own = own[np.isfinite(own) & (own > 0)]
            _cloud(ax, own, at, look[name].colour, name)
            dose_label = f"{dose:g} {unit}".strip()
            ax.text(
                1.01,
                at,
                f"{dose_label}, n = {len(own)}",
                transform=ax.get_yaxis_transform(),
                va="center",
                fontsize=SMALL,
                color=INK,
            )
            at += 1.0
        labels.append((0.5 * (first + at - 1), wrapped(name, 26)))
        ends.append(at - 0.3)
        at += 0.4
    for end in ends[:-1]:
        ax.axhline(end, color="#dddddd", linewidth=0.6)
    ax.axvline(exposure.reference_exposure, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
    ax.text(
        exposure.reference_exposure, 1.0, w["figure.reference_exposure"].format(value=significant(exposure.reference_exposure)),
        transform=ax.get_xaxis_transform(), ha="center", va="bottom", fontsize=SMALL, color=GREY,
    )  # fmt: skip
    ax.set_yticks([y for y, _ in labels], [text for _, text in labels], fontsize=TEXT)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set(xscale="log", ylim=(at - 0.7, -0.7), xlim=(positive.min() / 1.1, positive.max() * 1.1))
    log_ticks(ax, "x")
    ax.set_xlabel(
        with_unit(w["figure.planned_dose"].format(metric=metric_name(exposure.metric, w)), exposure.unit),
        fontsize=TEXT,
        color=INK,
    )
    literal(ax)
    return ax


def _cloud(ax: Axes, values: np.ndarray, at: float, colour: str, label: str) -> None:
    # the golden-ratio sequence spreads points evenly without a random number
    jitter = 0.22 * (2 * ((np.arange(len(values)) * 0.6180339887498949) % 1) - 1)
    few = len(values) < 5
    size, alpha = (14, 0.9) if few else (4, 0.35)
    ax.scatter(
        values,
        at + jitter,
        s=size,
        color=colour,
        alpha=alpha,
        linewidths=0,
        rasterized=len(values) > 300,
        label=label,
    )
    if not few:
        box(ax, values, at, 0.62, colour)


def shrinkage_forest(assessment: Assessment, ax: Axes | None = None, language: str = "en") -> Axes:
    """Raw and shrunken mean log exposure per histology, from the exchangeability model.

    Parameters
    ----------
    assessment : Assessment
    ax : Axes, optional
        Where to draw; by default a new figure.
    language : str
        Of the labels, ``"en"`` or ``"zh"``.

    Returns
    -------
    Axes
        Per histology the raw estimate (hollow) above the shrunken one (filled), each with its
        90 % interval.
    """
    names, w = histologies(assessment), words(language)
    table = assessment.exchangeability["table"].set_index("histology")
    table = table.loc[[n for n in names if n in table.index]].reset_index()
    ax = panel(ax, (6.7, 1.0 + 0.46 * len(table)))
    look = looks(names)
    for row, name in enumerate(table["histology"]):
        colour, marker = look[name]
        raw, se, mean, lower, upper = (
            float(table[c][row]) for c in ("estimate", "se", "shrunken_mean", "lower", "upper")
        )
        if np.isfinite(se):
            ax.plot(
                np.exp([raw - _Z90 * se, raw + _Z90 * se]),
                [row - 0.17] * 2,
                color=colour,
                linewidth=0.9,
                alpha=0.8,
            )
        ax.plot(
            np.exp(raw),
            row - 0.17,
            marker,
            color=colour,
            markersize=5,
            markerfacecolor="white",
            label=f"{name}, raw",
        )
        if np.isfinite(mean):
            ax.plot(
                np.exp([lower, upper]), [row + 0.17] * 2, color=colour, linewidth=1.8, solid_capstyle="butt"
            )
            ax.plot(np.exp(mean), row + 0.17, marker, color=colour, markersize=5, label=f"{name}, shrunken")
    name_rows(ax, [wrapped(name, 26) for name in table["histology"]], 0.6)
    ax.set(xscale="log")
    log_ticks(ax, "x")
    ax.text(
        1.02,
        -0.17,
        w["figure.raw"],
        transform=ax.get_yaxis_transform(),
        va="center",
        fontsize=SMALL,
        color=GREY,
    )
    ax.text(
        1.02,
        0.17,
        w["figure.shrunken"],
        transform=ax.get_yaxis_transform(),
        va="center",
        fontsize=SMALL,
        color=GREY,
    )
    ax.set_xlabel(
        w["figure.typical_ratio"].format(metric=metric_name(assessment.exposure.metric, w)),
        fontsize=TEXT,
        color=INK,
    )
    literal(ax)
    return ax
