"""What histologies tell of one another: shrunken responses, pairs that share a rate, and each one left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pkpd.errors import InputError
from pkpd.report.canvas import SMALL, TEXT, grid, literal, name_rows, panel, percent_ticks, short, wrapped
from pkpd.report.exposure_figures import quantity
from pkpd.report.palette import GREY, INK, SHADE, histologies, looks
from pkpd.report.response_figures import endpoint_of
from pkpd.report.wording import words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pkpd.study.assessment import Assessment, EndpointResult

__all__ = ["exchangeability_map", "leave_one_out", "shrunken_responses"]


def _borrowing(endpoint: EndpointResult, name: str):
    if name not in endpoint.borrowing:
        raise InputError(
            "E_PLOT_INPUT",
            f"endpoint {endpoint.name} holds no {name} of borrowing.",
            "Assess the plan again.",
        )
    return endpoint.borrowing[name]


def shrunken_responses(
    assessment: Assessment, endpoint: str | int | EndpointResult, language: str = "en", ax: Axes | None = None
) -> Axes:
    """Raw and shrunken proportion per histology.

    Parameters
    ----------
    assessment : Assessment
    endpoint : str, int or EndpointResult
        Name or position of the endpoint.
    language : str
        Of the labels, ``"en"`` or ``"zh"``.
    ax : Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    Axes
        Per histology the raw proportion (hollow, 95 % interval) above the shrunken one (filled, 90 % interval); the
        dashed line is the proportion of all patients.

    Raises
    ------
    InputError
        ``E_PLOT_ENDPOINT`` if there is no such endpoint, ``E_PLOT_INPUT`` if nothing was shrunken.
    """
    result, w = endpoint_of(assessment, endpoint), words(language)
    table = _borrowing(result, "table").set_index("histology")
    names = [n for n in histologies(assessment) if n in table.index]
    look = looks(histologies(assessment))
    ax = panel(ax, (6.7, 1.0 + 0.42 * len(names)))
    pooled = table["events"].sum() / table["n"].sum()
    ax.axvline(pooled, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
    ax.text(
        pooled, 1.0, w["figure.all"], transform=ax.get_xaxis_transform(), ha="center", va="bottom",
        fontsize=SMALL, color=GREY,
    )  # fmt: skip
    for row, name in enumerate(names):
        one, (colour, marker) = table.loc[name], look[name]
        ax.plot(
            [one["raw_lower"], one["raw_upper"]], [row - 0.17] * 2, color=colour, linewidth=0.9, alpha=0.8
        )
        ax.plot(
            one["raw"], row - 0.17, marker, color=colour, markersize=5, markerfacecolor="white",
            label=f"{name}, raw",
        )  # fmt: skip
        ax.plot(
            [one["lower"], one["upper"]], [row + 0.17] * 2, color=colour, linewidth=1.8, solid_capstyle="butt"
        )
        ax.plot(one["shrunken"], row + 0.17, marker, color=colour, markersize=5, label=f"{name}, shrunken")
        counts = w["figure.events"].format(events=int(one["events"]), n=int(one["n"]))
        lines = (f"{w['figure.raw']}: {counts}", w["figure.shrunken"])
        for line, shift in zip(lines, (-0.17, 0.17), strict=True):
            ax.text(
                1.02,
                row + shift,
                line,
                transform=ax.get_yaxis_transform(),
                va="center",
                fontsize=6.5,
                color=GREY,
            )
    name_rows(ax, [wrapped(n, 26) for n in names], 0.6)
    ax.set_xlim(-0.02, 1.02)
    percent_ticks(ax, "x")
    ax.grid(axis="x", color="#ececec", linewidth=0.6)
    ax.set_xlabel(result.label, fontsize=TEXT, color=INK)
    literal(ax)
    return ax


def exchangeability_map(
    assessment: Assessment, endpoint: str | int | EndpointResult, language: str = "en", ax: Axes | None = None
) -> Axes:
    """Probability that two histologies share a response rate, for each pair.

    Parameters
    ----------
    assessment : Assessment
    endpoint : str, int or EndpointResult
        Name or position of the endpoint.
    language : str
        Of the labels, ``"en"`` or ``"zh"``.
    ax : Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    Axes
        The lower triangle, each cell with its probability.

    Raises
    ------
    InputError
        ``E_PLOT_ENDPOINT`` if there is no such endpoint, ``E_PLOT_INPUT`` if partitions were not averaged, or there
        is one histology alone.
    """
    from matplotlib.colors import LinearSegmentedColormap

    words(language)
    result = endpoint_of(assessment, endpoint)
    pairs = _borrowing(result, "pairwise")
    names = [n for n in histologies(assessment) if n in pairs.index]
    values = pairs.loc[names, names].to_numpy(float)
    k = len(names)
    if k < 2:
        raise InputError("E_PLOT_INPUT", "one histology makes no pair.", "Assess two histologies or more.")
    ax = panel(ax, (min(6.7, 1.9 + 0.56 * k), 0.9 + 0.31 * k))
    shown = np.ma.masked_array(values[1:, :-1], ~np.tri(k - 1, dtype=bool))
    blues = LinearSegmentedColormap.from_list("share", ["#f7f9fb", "#5c8fbd"])
    ax.imshow(shown, cmap=blues, vmin=0, vmax=1, aspect="auto")
    for i in range(1, k):
        for j in range(i):
            p = values[i, j]
            text = ">0.99" if p >= 0.995 else "<0.01" if p < 0.005 else f"{p:.2f}"
            ax.text(j, i - 1, text, ha="center", va="center", fontsize=SMALL, color=INK)
    ax.set_yticks(range(k - 1), [short(n, 22) for n in names[1:]], fontsize=TEXT)
    tilted = max(map(len, names)) > 7
    ax.set_xticks(
        range(k - 1), [short(n, 22) for n in names[:-1]], fontsize=TEXT, rotation=35 if tilted else 0
    )
    if tilted:
        for label in ax.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    for side in ax.spines.values():
        side.set_visible(False)
    ax.tick_params(which="both", length=0)
    literal(ax)
    return ax


def leave_one_out(assessment: Assessment, language: str = "en") -> np.ndarray:
    """Mean over histologies with each left out in turn.

    Parameters
    ----------
    assessment : Assessment
    language : str
        Of the labels, ``"en"`` or ``"zh"``.

    Returns
    -------
    ndarray of Axes, shape (1, quantities)
        Means with 95 % intervals; the interval with all histologies is shaded.

    Raises
    ------
    InputError
        ``E_PLOT_INPUT`` if nothing was left out.
    """
    shown = {n: one for n, one in assessment.sensitivity.get("influence", {}).items() if "table" in one}
    if not shown:
        raise InputError("E_PLOT_INPUT", "no histology was left out.", "Assess three histologies or more.")
    w, look = words(language), looks(histologies(assessment))
    names = histologies(assessment)
    axes = grid(1, len(shown), (6.7, 1.1 + 0.27 * len(names)), sharey=True)
    for ax, (name, one) in zip(axes[0], shown.items(), strict=True):
        ax.axvspan(one["lower"], one["upper"], color=SHADE, zorder=0)
        ax.axvline(one["mu"], color=GREY, linewidth=0.8)
        for row in one["table"].to_dict("records"):
            at, colour = names.index(str(row["histology"])), look[str(row["histology"])].colour
            ax.plot(
                [row["lower"], row["upper"]], [at, at], color=colour, linewidth=1.4, solid_capstyle="butt"
            )
            ax.plot(row["mu"], at, look[str(row["histology"])].marker, color=colour, markersize=5, label=name)
        ax.set_xlabel(quantity(name, w), fontsize=TEXT, color=INK)
        name_rows(ax, [short(w["analysis.left out"].format(change=n), 32) for n in names])
    literal(axes[0, 0].figure)
    return axes
