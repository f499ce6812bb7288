"""Exposure-response per histology, and response rates and differences side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from pkpd.errors import InputError
from pkpd.report.canvas import (
    SMALL,
    TEXT,
    curve,
    grid,
    literal,
    log_ticks,
    panels,
    percent_ticks,
    short,
    wrapped,
)
from pkpd.report.exposure_figures import metric_name, with_unit
from pkpd.report.palette import GREY, INK, SHADE, histologies, looks, reference_histology
from pkpd.report.wording import words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pkpd.study.assessment import Assessment, EndpointResult

__all__ = ["exposure_response", "response_forest"]


def endpoint_of(assessment: Assessment, endpoint: str | int | EndpointResult) -> EndpointResult:
    if not isinstance(endpoint, (str, int)):
        return endpoint
    for i, candidate in enumerate(assessment.endpoints):
        if endpoint in (candidate.name, i):
            return candidate
    names = ", ".join(e.name for e in assessment.endpoints)
    raise InputError("E_PLOT_ENDPOINT", f"no endpoint {endpoint!r} in the assessment.", f"It has: {names}.")


def exposure_response(
    assessment: Assessment, endpoint: str | int | EndpointResult, language: str = "en"
) -> np.ndarray:
    """Probability of a response over exposure, one panel per histology.

    Parameters
    ----------
    assessment : Assessment
    endpoint : str, int or EndpointResult
        Name or position of the endpoint.
    language : str
        Of the labels, ``"en"`` or ``"zh"``.

    Returns
    -------
    ndarray of Axes
        Per histology the curve with its 90 % band, the observed proportions of groups of equal size with
        95 % intervals and their n, the reference exposure (dashed), and the reference histology's curve in
        grey. Unused axes are switched off.

    Raises
    ------
    InputError
        ``E_PLOT_ENDPOINT`` if there is no such endpoint.
    """
    result, w = endpoint_of(assessment, endpoint), words(language)
    names = [
        n
        for n in histologies(assessment)
        if (result.counts["histology"] == n).any() or (result.curves["histology"] == n).any()
    ]
    reference = reference_histology(assessment)
    look = looks(histologies(assessment))
    axes = panels(max(len(names), 1))
    home = result.curves[result.curves["histology"] == reference]
    for ax, name in zip(axes.flat, names, strict=False):
        colour, marker = look[name]
        ax.plot(
            [assessment.exposure.reference_exposure] * 2,
            [0, 1.02],
            color=GREY,
            linewidth=0.8,
            linestyle=(0, (4, 3)),
            label="reference exposure",
        )
        if name != reference:
            ax.plot(home["exposure"], home["probability"], color="#a8a8a8", linewidth=1.0, label=reference)
        curve(ax, result.curves[result.curves["histology"] == name], "probability", colour, name)
        groups = result.observed[result.observed["histology"] == name]
        ax.vlines(groups["exposure"], groups["lower"], groups["upper"], color=colour, linewidth=0.9)
        ax.plot(
            groups["exposure"],
            groups["proportion"],
            marker,
            color=colour,
            markersize=4.5,
            markerfacecolor="white",
            label="observed",
        )
        for x, n in zip(groups["exposure"], groups["n"], strict=True):
            ax.text(x, -0.06, f"{int(n)}", ha="center", va="top", fontsize=6.5, color=GREY)
        counts = result.counts[result.counts["histology"] == name]
        total = (
            w["figure.events"].format(events=int(counts["events"].sum()), n=int(counts["n"].sum()))
            if len(counts)
            else w["figure.no_data"]
        )
        ax.set_title(
            f"{wrapped(name, 30)}\n{total}", fontsize=TEXT, color=INK, loc="left", pad=3, linespacing=1.15
        )
    _response_scales(assessment, result, axes, names, w)
    literal(axes[0, 0].figure)
    return axes


def _response_scales(
    assessment: Assessment, result: EndpointResult, axes: np.ndarray, names: list[str], words: Mapping
) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter

    seen = np.concatenate(
        [result.curves["exposure"].to_numpy(float), result.observed["exposure"].to_numpy(float)]
    )
    seen = np.append(seen[np.isfinite(seen)], assessment.exposure.reference_exposure)
    low, high = float(seen.min()), float(seen.max())
    log = low > 0 and (result.shape == "log" or high / low > 20)
    margin = 1.12 if log else 0.06 * (high - low)
    for ax in axes.flat[: len(names)]:
        if log:
            ax.set(xscale="log", xlim=(low / margin, high * margin))
            log_ticks(ax, "x")
        else:
            ax.set(xlim=(low - margin, high + margin))
        ax.set_ylim(-0.155, 1.02)
        ax.yaxis.set_major_locator(FixedLocator([0, 0.25, 0.5, 0.75, 1]))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:g} %"))
        ax.grid(axis="y", color="#ececec", linewidth=0.6)
    reference = assessment.exposure.reference_exposure
    left = np.log(reference / low) < np.log(high / reference) if log else reference < (low + high) / 2
    axes[0, 0].text(
        reference, 0.99, f" {words['figure.ref']}" if left else f"{words['figure.ref']} ", fontsize=6.5, color=GREY,
        transform=axes[0, 0].get_xaxis_transform(), va="top", ha="left" if left else "right",
    )  # fmt: skip
    figure = axes[0, 0].figure
    exposure = assessment.exposure
    figure.supxlabel(with_unit(metric_name(exposure.metric, words), exposure.unit), fontsize=TEXT, color=INK)
    figure.supylabel(result.label, fontsize=TEXT, color=INK)


def response_forest(
    assessment: Assessment, endpoint: str | int | EndpointResult, language: str = "en"
) -> np.ndarray:
    """Observed proportion per histology and dose, and the difference to the reference at equal exposure.

    Parameters
    ----------
    assessment : Assessment
    endpoint : str, int or EndpointResult
        Name or position of the endpoint.
    language : str
        Of the labels, ``"en"`` or ``"zh"``.

    Returns
    -------
    ndarray of Axes, shape (1, 2)
        Left the proportions with 95 % intervals, right the differences with 90 % intervals; the area within
        the declared margin is shaded.
    """
    result, w = endpoint_of(assessment, endpoint), words(language)
    reference = reference_histology(assessment)
    names = [n for n in histologies(assessment) if (result.counts["histology"] == n).any()]
    look = looks(histologies(assessment))
    unit = assessment.plan.get("dosing", {}).get("unit", "")
    doses = sorted(result.counts["dose"].unique())
    axes = grid(1, 2, (6.7, 1.1 + (0.12 + 0.16 * len(doses)) * len(names)), sharey=True)
    left, right = axes[0]
    spread = 0.62 / max(len(doses), 1)
    for row, name in enumerate(names):
        colour, marker = look[name]
        own = result.counts[result.counts["histology"] == name]
        for dose, p, lower, upper, n in zip(
            own["dose"], own["proportion"], own["lower"], own["upper"], own["n"], strict=True
        ):
            y = row + spread * (doses.index(dose) - (len(doses) - 1) / 2)
            left.plot([lower, upper], [y, y], color=colour, linewidth=1.2, solid_capstyle="butt")
            left.plot(p, y, marker, color=colour, markersize=4.5, label=name)
            left.text(
                1.02,
                y,
                f"{dose:g} {unit}, n = {int(n)}",
                transform=left.get_yaxis_transform(),
                va="center",
                fontsize=6.5,
                color=GREY,
            )
    _differences(assessment, result, right, names, reference, w)
    left.set_yticks(range(len(names)), [wrapped(n, 20) for n in names], fontsize=TEXT)
    left.set_ylim(len(names) - 0.45, -0.55)
    for ax in (left, right):
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
    left.set_xlim(-0.02, 1.02)
    percent_ticks(left, "x")
    left.grid(axis="x", color="#ececec", linewidth=0.6)
    left.set_xlabel(w["figure.observed"].format(label=result.label), fontsize=TEXT, color=INK)
    right.set_xlabel(w["figure.difference"].format(reference=short(reference, 24)), fontsize=TEXT, color=INK)
    literal(left.figure)
    return axes


def _differences(
    assessment: Assessment, result: EndpointResult, ax: Axes, names: list[str], reference: str, words: Mapping
) -> None:
    look = looks(histologies(assessment))
    table = result.contrasts
    found = table[["difference", "lower", "upper"]].to_numpy(float)
    found = found[np.isfinite(found)]
    margin = assessment.plan.get("margins", {}).get(result.kind)
    margin = float(margin) if margin is not None else np.nan
    reach = [*np.atleast_1d(found), 0.0] + ([1.5 * margin, -1.5 * margin] if np.isfinite(margin) else [])
    low, high = max(-1.0, min(reach) - 0.03), min(1.0, max(reach) + 0.03)
    if np.isfinite(margin):
        # a benefit has no upper margin, a harm no lower one
        ax.axvspan(
            *((-margin, high) if result.kind == "efficacy" else (low, margin)),
            color=SHADE,
            zorder=0,
            label="within the margin",
        )
    ax.axvline(0, color=GREY, linewidth=0.8)
    for row, name in enumerate(names):
        own = table[table["histology"] == name]
        if name == reference or own.empty:
            if name == reference:
                ax.text(0, row, f" {words['reference']}", va="center", fontsize=SMALL, color=GREY)
            continue
        value, lower, upper = (float(own[c].iloc[0]) for c in ("difference", "lower", "upper"))
        colour, marker = look[name]
        if np.isfinite(lower) and np.isfinite(upper):
            ax.plot([lower, upper], [row, row], color=colour, linewidth=1.6, solid_capstyle="butt")
        if np.isfinite(value):
            ax.plot(value, row, marker, color=colour, markersize=5.5, label=name)
        else:
            ax.text(0, row, f" {words['figure.not_estimated']}", va="center", fontsize=SMALL, color=GREY)
    ax.set_xlim(low, high)
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    ax.xaxis.set_major_formatter(
        FuncFormatter(lambda v, _: f"{100 * v:+.3g}".replace("-", "−") if v else "0")
    )
