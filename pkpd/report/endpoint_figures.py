"""Figures that check endpoints with a likelihood of their own: survival, categories and counts beside simulations."""

from __future__ import annotations

from typing import Any

import numpy as np

from pkpd.errors import InputError
from pkpd.report.canvas import TEXT, grid, literal
from pkpd.report.palette import GREY, INK
from pkpd.report.simulation_figures import BAND, COLUMNS, draw_bands
from pkpd.report.wording import words

__all__ = ["category_vpc", "event_vpc"]


def event_vpc(check: Any, language: str = "en") -> np.ndarray:
    """Draw a Kaplan-Meier visual predictive check.

    Parameters
    ----------
    check : EventVPC
        From :func:`pkpd.event_vpc`.
    language : str
        Of the labels, ``"en"`` or ``"zh"``.

    Returns
    -------
    ndarray of Axes
        One panel per stratum, with its events and subjects: the observed curve (black; a tick where follow-up ended without an
        event), the band of the simulated curves and their median (grey).

    Raises
    ------
    InputError
        ``E_PLOT_INPUT`` if ``check`` is no such result.
    """
    if not all(hasattr(check, name) for name in ("bands", "subjects", "endpoint")):
        raise InputError(
            "E_PLOT_INPUT", f"{type(check).__name__} is no EventVPC.", "Give the result of pkpd.event_vpc."
        )
    names, w = list(dict.fromkeys(check.bands["stratum"])), words(language)
    columns = min(COLUMNS, len(names))
    rows = -(-len(names) // columns)
    axes = grid(rows, columns, (6.7, min(9.5, 0.4 + 2.1 * rows)))
    for ax in axes.flat[len(names) :]:
        ax.set_axis_off()
    for name, ax in zip(names, axes.flat, strict=False):
        mine = check.bands[check.bands["stratum"] == name]
        ax.fill_between(mine["time"], mine["lower"], mine["upper"], color=BAND, linewidth=0, alpha=0.8)
        ax.plot(mine["time"], mine["median"], color=GREY, linewidth=0.8, label="simulated median")
        ax.step(mine["time"], mine["observed"], where="post", color=INK, linewidth=1.1, label="observed")
        who = check.subjects[check.subjects["stratum"] == name]
        ended = who.loc[who["event"] == 0, "time"].to_numpy(float)
        at = np.searchsorted(mine["time"].to_numpy(float), ended, side="right") - 1
        ax.plot(
            ended, mine["observed"].to_numpy(float)[at], "|", color=INK, markersize=4, markeredgewidth=0.6
        )
        ax.set_ylim(-0.02, 1.02)
        events = w["figure.events"].format(events=int(who["event"].sum()), n=len(who))
        label = f"{name}: {events}" if check.stratified_by else events
        ax.set_title(label, fontsize=TEXT, color=INK, loc="left")
        ax.set_xlabel(w["figure.time"], fontsize=TEXT, color=INK)
    for ax in axes[:, 0]:
        ax.set_ylabel(w["figure.without_event"].format(label=check.endpoint), fontsize=TEXT, color=INK)
    literal(axes[0, 0].figure)
    return axes


def category_vpc(check: Any, language: str = "en") -> np.ndarray:
    """Draw a visual predictive check of categories or counts.

    Parameters
    ----------
    check : CategoryVPC
        From :func:`pkpd.category_vpc`.
    language : str
        Of the labels, ``"en"`` or ``"zh"``.

    Returns
    -------
    ndarray of Axes, shape (categories, strata)
        Share of the records in each category over time: as observed (black), the band of the simulations and their median
        (grey).

    Raises
    ------
    InputError
        ``E_PLOT_INPUT`` if ``check`` is no such result.
    """
    if "category" not in getattr(check, "bands", ()):
        raise InputError(
            "E_PLOT_INPUT",
            f"{type(check).__name__} is no CategoryVPC.",
            "Give the result of pkpd.category_vpc.",
        )
    bands, w = check.bands, words(language)
    names, categories = (list(dict.fromkeys(bands[c])) for c in ("stratum", "category"))
    size = (6.7, min(9.5, 0.4 + 1.5 * len(categories)))
    axes = grid(len(categories), len(names), size, sharex="col", sharey="row")
    for column, name in enumerate(names):
        for row, category in enumerate(categories):
            ax = axes[row, column]
            draw_bands(ax, bands[(bands["stratum"] == name) & (bands["category"] == category)], BAND, "-")
            ax.set_ylim(-0.02, 1.02)
            if column == 0:
                ax.set_ylabel(f"{check.endpoint} {category}", fontsize=TEXT, color=INK)
        axes[0, column].set_title(name if check.stratified_by else "", fontsize=TEXT, color=INK, loc="left")
        axes[-1, column].set_xlabel(
            w["figure.time" if check.x == "TIME" else "figure.time_after_dose"], fontsize=TEXT, color=INK
        )
    literal(axes[0, 0].figure)
    return axes
