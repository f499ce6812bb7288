from __future__ import annotations

import subprocess
import sys
import threading
import types

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from pkpd.errors import InputError, PkpdWarning
from pkpd.report import figures
from pkpd.report.canvas import png, svg
from pkpd.report.goodness_of_fit import trend
from pkpd.report.palette import looks
from tests.report.synthetic import assessment, degenerate, many

MADE = assessment()
NAMES = ["exposure_forest", "exposure_by_dose", "shrinkage_forest", "gof"]


def _draw(made, name):
    return getattr(figures, name)(made)


def _lines(ax: Axes, label: str) -> list[np.ndarray]:
    return [np.column_stack(line.get_data()).astype(float) for line in ax.lines if line.get_label() == label]


@pytest.mark.parametrize("make", [assessment, many, degenerate])
@pytest.mark.parametrize("name", NAMES)
def test_every_figure_draws_axes(make, name):
    axes = np.asarray(_draw(make(), name))
    assert all(isinstance(ax, Axes) for ax in axes.flat)
    assert png(axes.flat[0].figure, 60).startswith(b"\x89PNG")


@pytest.mark.parametrize("make", [assessment, many, degenerate])
@pytest.mark.parametrize("function", [figures.exposure_response, figures.response_forest])
@pytest.mark.parametrize("endpoint", [0, "AE3"])
def test_every_endpoint_figure_draws_axes(make, function, endpoint):
    axes = function(make(), endpoint)
    assert svg(axes.flat[0].figure, prefix="f", title="t", description="d").startswith("<svg")


def test_forest_shows_ratios_intervals_and_bounds():
    ax = figures.exposure_forest(MADE)
    ratios = MADE.exposure.ratios.set_index("histology")
    for name in ratios.index[1:]:
        (interval,) = _lines(ax, name)
        np.testing.assert_array_equal(interval[:, 0], ratios.loc[name, ["lower", "upper"]].astype(float))
    points = {round(line.get_xdata()[0], 12) for line in ax.lines if len(line.get_xdata()) == 1}
    assert points == {round(r, 12) for r in ratios["ratio"]}
    shade = next(p for p in ax.patches if p.get_label() == "no-effect area")
    assert (shade.get_x(), shade.get_x() + shade.get_width()) == pytest.approx(MADE.exposure.bounds)
    texts = [t.get_text() for t in ax.texts]
    assert "0.69 (0.66–0.72)" in texts and texts.count("reference") == 1
    assert "thyroid  (n = 130)" in [t.get_text() for t in ax.get_yticklabels()]
    assert ax.get_xscale() == "log"


def test_a_ratio_without_interval_says_so_and_a_far_interval_is_an_arrow():
    texts = [t.get_text() for t in figures.exposure_forest(degenerate()).texts]
    assert "0.91 (no interval)" in texts
    far = assessment()
    far.exposure.ratios.loc[5, ["lower", "upper"]] = [0.001, 900.0]
    ax = figures.exposure_forest(far)
    assert ax.get_xlim() == (0.1, 10.0)
    assert {line.get_marker() for line in ax.lines} >= {"<", ">"}


def test_exposure_by_dose_shows_every_subject_and_counts_them():
    ax = figures.exposure_by_dose(MADE)
    subjects = MADE.exposure.subjects
    for name, own in subjects.groupby("histology"):
        drawn = np.concatenate([c.get_offsets()[:, 0] for c in ax.collections if c.get_label() == name])
        np.testing.assert_array_equal(np.sort(drawn), np.sort(own["AUCSS"]))
    texts = [t.get_text() for t in ax.texts]
    assert texts.count("1 mg, n = 200") == 1 and texts.count("2 mg, n = 3") == 1
    assert ax.get_xlabel() == "AUC at steady state at the planned dose (ng·h/mL)"


@pytest.mark.parametrize("position", [0, 1])
def test_exposure_response_shows_curves_observations_and_reference(position):
    endpoint = MADE.endpoints[position]
    axes = figures.exposure_response(MADE, endpoint.name)
    histologies = list(MADE.exposure.ratios["histology"])
    for ax, name in zip(axes.flat, histologies, strict=True):
        curve = endpoint.curves[endpoint.curves["histology"] == name]
        np.testing.assert_array_equal(_lines(ax, name)[0], curve[["exposure", "probability"]])
        band = next(c for c in ax.collections if c.get_label() == "90 % band").get_paths()[0].vertices
        assert {*curve["lower"], *curve["upper"]} <= set(band[:, 1])
        groups = endpoint.observed[endpoint.observed["histology"] == name]
        np.testing.assert_array_equal(_lines(ax, "observed")[0], groups[["exposure", "proportion"]])
        reference = _lines(ax, "reference exposure")[0]
        assert set(reference[:, 0]) == {MADE.exposure.reference_exposure}
        assert [t.get_text() for t in ax.texts][: len(groups)] == [str(n) for n in groups["n"]]
        counts = endpoint.counts[endpoint.counts["histology"] == name]
        assert ax.get_title(loc="left") == f"{name}\n{counts['events'].sum()} of {counts['n'].sum()}"


@pytest.mark.parametrize(("position", "shaded"), [(0, (-0.15, np.inf)), (1, (-np.inf, 0.10))])
def test_response_forest_shows_proportions_differences_and_the_margin(position, shaded):
    endpoint = MADE.endpoints[position]
    left, right = figures.response_forest(MADE, position)[0]
    for name in endpoint.contrasts["histology"][1:]:
        row = endpoint.contrasts.set_index("histology").loc[name]
        (point,) = _lines(right, name)
        assert point[0, 0] == row["difference"]
        proportions = endpoint.counts.loc[endpoint.counts["histology"] == name, "proportion"]
        assert [p[0, 0] for p in _lines(left, name)] == list(proportions)
    area = next(p for p in right.patches if p.get_label() == "within the margin")
    low, high = area.get_x(), area.get_x() + area.get_width()
    assert low == pytest.approx(max(shaded[0], right.get_xlim()[0]))
    assert high == pytest.approx(min(shaded[1], right.get_xlim()[1]))


def test_shrinkage_forest_shows_raw_and_shrunken_on_the_ratio_scale():
    ax = figures.shrinkage_forest(MADE)
    for row in MADE.exchangeability["table"].to_dict("records"):
        assert _lines(ax, f"{row['histology']}, raw")[0][0, 0] == np.exp(row["estimate"])
        assert _lines(ax, f"{row['histology']}, shrunken")[0][0, 0] == np.exp(row["shrunken_mean"])


def test_gof_draws_each_observation_and_accepts_a_fit():
    table = MADE.pk.diagnostics
    axes = figures.gof(MADE)
    first, second = (axes[0, i].collections[0].get_offsets() for i in (0, 1))
    np.testing.assert_array_equal(first, table[["PRED", "DV"]])
    np.testing.assert_array_equal(second, table[["IPRED", "DV"]])
    np.testing.assert_array_equal(axes[0, 2].collections[0].get_offsets(), table[["TIME", "CWRES"]])
    np.testing.assert_array_equal(np.sort(table["CWRES"]), axes[1, 1].collections[0].get_offsets()[:, 1])
    assert axes[0, 0].get_ylabel() == "Observed (ng/mL)" and axes[0, 2].get_xlabel() == "Time (h)"
    # a fit keeps predictions and residuals apart, and has doses among neither
    keys = table[["ID", "TIME"]].assign(DVID=1)
    fit = types.SimpleNamespace(
        predictions=keys.assign(PRED=table["PRED"], IPRED=table["IPRED"]).iloc[::-1],
        residuals=keys.assign(DV=table["DV"], CWRES=table["CWRES"]),
    )
    np.testing.assert_array_equal(figures.gof(fit)[0, 0].collections[0].get_offsets(), first)


def test_gof_of_something_else_is_refused():
    with pytest.raises(InputError, match="E_PLOT_INPUT"):
        figures.gof(pd.DataFrame())


def test_an_unknown_endpoint_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"E_PLOT_ENDPOINT.*ORR, AE3"):
        figures.exposure_response(MADE, "PFS")


def test_a_box_is_that_of_tukey():
    # by hand: quartiles 3, 5, 7 of 1..9; 20 lies beyond 7 + 1.5 * 4 and is not reached by the whisker
    from pkpd.report.canvas import box, grid

    ax = grid(1, 1, (3, 2))[0, 0]
    box(ax, np.array([1.0, 2, 3, 3, 5, 7, 7, 8, 20]), 0, 0.5, "#000000")
    assert (ax.patches[0].get_x(), ax.patches[0].get_width()) == (3, 4)
    assert [list(line.get_xdata()) for line in ax.lines] == [[1, 3], [7, 8], [1, 1], [8, 8], [5, 5]]


def test_trend_of_a_line_is_the_line():
    # local linear regression reproduces a straight line, whatever the weights
    x = np.random.default_rng(0).uniform(0, 10, 200)
    at, fitted = trend(x, 3 - 2 * x)
    np.testing.assert_allclose(fitted, 3 - 2 * at, atol=1e-9)


def test_names_are_drawn_as_they_are_written():
    names = ["$x$ \\frac{", "a_b $ & <c>"]
    made = assessment([(name, 30, 1.0, 0.0, 2.5, 0.0) for name in names])
    for draw in (figures.exposure_forest, figures.exposure_by_dose, figures.shrinkage_forest, figures.gof):
        ax = np.asarray(draw(made)).flat[-1]
        texts = [t for t in ax.get_yticklabels() if any(name in t.get_text() for name in names)]
        assert len(texts) == 2 and not any(t.get_parse_math() for t in texts)
        assert svg(ax.figure, prefix="f", title="t", description="d")
    for ax, name in zip(figures.exposure_response(made, 0).flat, names, strict=True):
        assert ax.get_title(loc="left").startswith(name)
        png(ax.figure, 50)


def test_letters_without_a_font_are_told(monkeypatch):
    made = assessment([("肺癌", 30, 1.0, 0.0, 2.5, 0.0)])
    monkeypatch.setattr("pkpd.report.canvas._wide_fonts", lambda: [])
    with pytest.warns(PkpdWarning, match="W_FONT.*肺"):
        figures.exposure_forest(made)
    monkeypatch.setattr("pkpd.report.canvas._wide_fonts", lambda: ["Some Font"])
    label = figures.exposure_forest(made).get_yticklabels()[0]
    assert label.get_fontfamily()[-1] == "Some Font"


def test_colours_are_distinct_and_the_same_in_any_subset():
    names = [f"h{i}" for i in range(13)]
    found = looks(names, "h4")
    assert len({look.colour for look in found.values()}) == 13 and found["h4"].colour == "#222222"
    assert len(set(looks([f"h{i}" for i in range(30)]).values())) == 30


def test_svg_is_the_same_each_time_and_in_threads():
    def once() -> str:
        return svg(figures.exposure_forest(MADE).figure, prefix="f", title="t", description="a < b")

    expected, found = once(), []
    threads = [threading.Thread(target=lambda: found.append(once())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4
    assert '<title id="f-title">t</title><desc id="f-desc">a &lt; b</desc>' in expected


def test_no_figure_loads_pyplot_and_settings_stay_as_they_are():
    # in a process of its own: other tests may have loaded pyplot
    code = (
        "import sys, matplotlib as m; before = str(sorted(dict.items(m.rcParams), key=str))\n"
        "from tests.report.synthetic import assessment; from pkpd.report import report_html\n"
        "report_html(assessment()); assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert str(sorted(dict.items(m.rcParams), key=str)) == before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
