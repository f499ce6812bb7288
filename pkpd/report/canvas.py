"""Figures without pyplot: nothing global is set, so threads may draw at once; SVG is the same each time."""

from __future__ import annotations

import functools
import io
import os
import re
import textwrap
import warnings
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.errors import InputError, PkpdWarning
from pkpd.report.palette import GREY, INK

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "MANY",
    "SMALL",
    "TEXT",
    "box",
    "curve",
    "grid",
    "literal",
    "log_ticks",
    "name_rows",
    "panel",
    "panels",
    "percent_ticks",
    "png",
    "require_font",
    "settle",
    "short",
    "svg",
    "tukey",
    "wrapped",
]

# in points; at 6.7 inches a figure fills the width of an A4 page, so these are printed sizes
TEXT, SMALL = 8.5, 7.5
MANY = 600  # from so many points on a cloud is stored as a picture inside the SVG: the page stays small
_PERCENT = {0.0: "0 %", 0.25: "25 %", 0.5: "50 %", 0.75: "75 %", 1.0: "100 %"}


def grid(rows: int, columns: int, size: tuple[float, float], **options: Any) -> np.ndarray:
    """Axes of a new figure, shape (rows, columns), styled; ``size`` in inches."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(
        figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06, wspace=0.03, hspace=0.03)
    )
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for ax in axes.flat:
        settle(ax)
    return axes


def panel(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """The caller's axes, or those of a new figure."""
    if ax is None:
        return grid(1, 1, size)[0, 0]
    settle(ax)
    return ax


def panels(count: int, height: float = 1.95) -> np.ndarray:
    """Small multiples of ``count`` groups, at most three in a row, that share both axes; unused ones are switched off."""
    columns = min(3, max(count, 1))
    rows = -(-count // columns)
    axes = grid(rows, columns, (6.7 if columns > 1 else 3.6, 0.5 + height * rows), sharex=True, sharey=True)
    for i, ax in enumerate(axes.flat):
        # a panel with nothing below it carries the labels of the axis that all share
        ax.tick_params(labelbottom=i + columns >= count)
    for ax in axes.flat[count:]:
        ax.set_axis_off()
    return axes


def settle(ax: Axes) -> None:
    """Frame, ticks and sizes that all figures share, set on the axes, not in matplotlib's global settings."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set(color=GREY, linewidth=0.7)
    ax.tick_params(which="both", labelsize=SMALL, color=GREY, labelcolor=INK, width=0.7)
    ax.tick_params(which="major", length=3)
    ax.tick_params(which="minor", length=1.5, labelsize=0)
    ax.set_axisbelow(True)


def name_rows(ax: Axes, labels: Sequence[str], above: float = 0.5, size: float = TEXT) -> None:
    """Rows 0, 1 … from the top, with their names and without a line beside them; ``above`` is the space over the first."""
    ax.set_yticks(range(len(labels)), labels, fontsize=size)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_ylim(len(labels) - 0.5, -above)


def percent_ticks(ax: Axes, axis: str) -> None:
    """Quarters of a proportion in percent, on axis "x" or "y"."""
    which = ax.xaxis if axis == "x" else ax.yaxis
    which.set_ticks(list(_PERCENT), list(_PERCENT.values()))


def curve(ax: Axes, table: pd.DataFrame, value: str, colour: str, label: str) -> None:
    """The line of a model over exposure with its 90 % band: columns ``exposure``, ``value``, ``lower``, ``upper``."""
    x = table["exposure"]
    ax.fill_between(
        x, table["lower"], table["upper"], color=colour, alpha=0.16, linewidth=0, label="90 % band"
    )
    ax.plot(x, table[value], color=colour, linewidth=1.6, label=label)


def log_ticks(ax: Axes, axis: str = "x") -> None:
    """A log axis with plain numbers at 1, 2, 5 × 10ⁿ, or fewer where the range is wide."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

    which = ax.xaxis if axis == "x" else ax.yaxis
    low, high = sorted(ax.get_xlim() if axis == "x" else ax.get_ylim())
    if not 0 < low < high < np.inf:
        return
    exponents = range(int(np.floor(np.log10(low))) - 1, int(np.ceil(np.log10(high))) + 1)
    ticks: list[float] = []
    for steps in (
        (1,),
        (1, 3),
        (1, 2, 5),
        (1, 1.5, 2, 3, 5, 7),
        (1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9),
    ):
        ticks = []
        for tick in (s * 10.0**e for e in exponents for s in steps):
            if low <= tick <= high and (not ticks or np.log(tick / ticks[-1]) > 0.13 * np.log(high / low)):
                ticks.append(tick)
        if len(ticks) >= 4:
            break
    if len(ticks) < 3:
        # less than a factor of about 1.3 from end to end: the axis is nearly linear
        ticks = [t for t in MaxNLocator(4).tick_values(low, high) if low <= t <= high]
    which.set_major_locator(FixedLocator(ticks))
    which.set_major_formatter(FuncFormatter(lambda v, _: f"{v:.10g}" if v < 1e5 else f"{v:.0e}"))
    which.set_minor_locator(NullLocator())
    which.set_minor_formatter(NullFormatter())


def tukey(values: np.ndarray) -> tuple[float, float, float, float, float]:
    """Ends and quartiles of a box: the whiskers end at the last values within 1.5 × the interquartile range."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    reach = 1.5 * (high - low)
    return values[values >= low - reach].min(), low, middle, high, values[values <= high + reach].max()


def box(ax: Axes, values: np.ndarray, at: float, width: float, colour: str, fill: str = "none") -> None:
    """A horizontal box of :func:`tukey`; matplotlib's own boxplot loads pyplot, which looks for a screen."""
    from matplotlib.patches import Rectangle

    first, low, middle, high, last = tukey(values)
    ax.add_patch(
        Rectangle((low, at - width / 2), high - low, width, facecolor=fill, edgecolor=colour, linewidth=0.9)
    )
    for start, end in ((first, low), (high, last)):
        ax.plot([start, end], [at, at], color=colour, linewidth=0.9, solid_capstyle="butt")
    for end in (first, last):
        ax.plot([end, end], [at - width / 4, at + width / 4], color=colour, linewidth=0.9)
    ax.plot(
        [middle, middle],
        [at - width / 2, at + width / 2],
        color=INK,
        linewidth=1.6,
        solid_capstyle="butt",
        label="median",
    )


# fonts with Chinese, Japanese and Korean letters, by the beginning of the file that systems ship them in
_WIDE = {
    "NotoSansCJK": "Noto Sans CJK SC", "NotoSansSC": "Noto Sans SC", "SourceHanSans": "Source Han Sans SC",
    "msyh": "Microsoft YaHei", "simhei": "SimHei", "PingFang": "PingFang SC", "Hiragino": "Hiragino Sans GB",
    "wqy-microhei": "WenQuanYi Micro Hei", "wqy-zenhei": "WenQuanYi Zen Hei", "ARIALUNI": "Arial Unicode MS",
}  # fmt: skip


@functools.cache
def _wide_fonts() -> list[str]:
    """Names of the installed ones; those installed since matplotlib listed the fonts are made known to it."""
    from matplotlib import font_manager

    for path in sorted(font_manager.findSystemFonts()):
        stem = os.path.basename(path).lower()
        known = {font.fname for font in font_manager.fontManager.ttflist}
        if path not in known and any(stem.startswith(start.lower()) for start in _WIDE):
            font_manager.fontManager.addfont(path)
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return [name for name in _WIDE.values() if name in installed]


def require_font(language: str) -> None:
    """Make sure that figures in a language can be drawn.

    Raises
    ------
    InputError
        ``E_FONT`` if the language is Chinese and no installed font has its letters.
    """
    if language == "zh" and not _wide_fonts():
        raise InputError(
            "E_FONT",
            "no installed font has Chinese letters, so the figures would show empty boxes.",
            f"Install one of {', '.join(_WIDE.values())}; Noto Sans CJK SC is free (Debian: fonts-noto-cjk).",
        )


def literal(owner: Any) -> None:
    """Show every text of axes or a figure as it is written: "$" is no formula, and letters find a font.

    Warns
    -----
    PkpdWarning
        ``W_FONT`` if no installed font has the letters; they are then drawn as empty boxes.
    """
    from matplotlib import font_manager
    from matplotlib.text import Text

    own = font_manager.get_font(font_manager.findfont(font_manager.FontProperties()))
    for text in owner.findobj(Text):
        text.set_parse_math(False)
        missing = {c for c in text.get_text() if not c.isspace() and not own.get_char_index(ord(c))}
        if missing:
            wide = _wide_fonts()
            text.set_fontfamily([*text.get_fontfamily(), *wide])
            if not wide:
                warnings.warn(
                    f"W_FONT: no installed font draws {''.join(sorted(missing))!r}; install one with these letters, "
                    "e.g. Noto Sans CJK SC.",
                    PkpdWarning,
                    stacklevel=3,
                )


def short(name: str, width: int = 26) -> str:
    """A long name cut to one line, where rows stand close; tables show it whole, in the same order."""
    return textwrap.shorten(str(name), width, placeholder=" …") or str(name)[:width]


def wrapped(name: str, width: int = 24) -> str:
    """A long name on several lines."""
    return "\n".join(textwrap.wrap(str(name), width)) or str(name)


def svg(figure: Figure, *, prefix: str, title: str, description: str) -> str:
    """The figure as an ``<svg>`` element for a page: the same bytes each time, and spoken by screen readers.

    Parameters
    ----------
    figure : Figure
    prefix : str
        Begins every id, so that several figures can stand on one page.
    title, description : str
        Read out in place of the picture.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    stream = io.StringIO()
    before = figure.dpi
    try:
        figure.dpi = 220  # of what is stored as a picture: clouds of many points
        FigureCanvasSVG(figure).print_svg(
            stream, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    finally:
        figure.dpi = before
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    # matplotlib styles "*", which would reach every element of the page
    text = re.sub(r"<style[^>]*>\*\{[^<]*</style>\s*", "", text)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = _renumbered(text, prefix)
    head, body = text.split(">", 1)
    box = re.search(r'viewBox="([^"]+)"', head)
    assert box is not None
    width = float(box.group(1).split()[2])
    return (
        f'<svg viewBox="{box.group(1)}" style="width:{width:.0f}pt" xmlns="http://www.w3.org/2000/svg"'
        f' xmlns:xlink="http://www.w3.org/1999/xlink" stroke-linejoin="round"'
        f' stroke-linecap="butt" role="img" aria-labelledby="{prefix}-title {prefix}-desc">'
        f'<title id="{prefix}-title">{escape(title)}</title>'
        f'<desc id="{prefix}-desc">{escape(description)}</desc>{body}'
    )


def _renumbered(text: str, prefix: str) -> str:
    # matplotlib's ids are random unless a global setting is changed; their order of appearance is not random
    used: dict[str, str] = {}
    for match in re.finditer(r'(?:href="#|url\(#)([^")]+)', text):
        used.setdefault(match.group(1), f"{prefix}-{len(used)}")
    text = re.sub(r'(href="#|url\(#)([^")]+)', lambda m: m.group(1) + used[m.group(2)], text)
    return re.sub(r' id="([^"]+)"', lambda m: f' id="{used[m.group(1)]}"' if m.group(1) in used else "", text)


def png(figure: Figure, dpi: int = 200) -> bytes:
    """The figure as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    stream = io.BytesIO()
    canvas = FigureCanvasAgg(figure)
    before = figure.dpi
    try:
        figure.dpi = dpi
        canvas.print_png(stream, metadata={"Software": None})
    finally:
        figure.dpi = before
    return stream.getvalue()
