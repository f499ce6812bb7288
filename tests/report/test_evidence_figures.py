from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from pkpd.errors import InputError
from pkpd.histology import representativeness
from pkpd.report import figures
from pkpd.report.fields import field_value
from pkpd.report.robustness_tables import characteristics_table
from pkpd.report.tables import Number
from pkpd.report.wording import words
from pkpd.study.characteristics import OperatingCharacteristics
from tests.report.synthetic import assessment

MADE = assessment()
NAMES = ["melanoma", "colorectal", "thyroid", "hepatocellular", "lung", "biliary"]


def _drawn(ax, label: str) -> np.ndarray:
    """Points of the line with a label, shape (n, 2)."""
    return np.array(next(line for line in ax.lines if line.get_label() == label).get_xydata())


def _texts(ax) -> list[str]:
    return [t.get_text() for t in ax.texts]


def test_the_aliasing_map_counts_patients_and_crosses_out_empty_cells():
    axes = figures.aliasing_map(MADE)
    cells = MADE.confounding["cells"]
    assert [ax.get_title(loc="left") for ax in axes[0]] == ["Dose (mg)", "STUDY"]
    for ax, column in zip(axes[0], ("dose", "STUDY"), strict=True):
        table = cells.pivot_table(index="histology", columns=column, values="n", aggfunc="sum").loc[NAMES]
        shown = {(round(t.get_position()[1]), round(t.get_position()[0])): t.get_text() for t in ax.texts}
        expected = {(r, c): str(n) for (r, c), n in np.ndenumerate(table.to_numpy()) if n}
        assert shown == expected and len(ax.lines) == int((table.to_numpy() == 0).sum())
    assert [t.get_text() for t in axes[0, 0].get_yticklabels()] == NAMES


def test_the_aliasing_map_puts_doses_in_order_though_levels_are_text():
    cells = pd.DataFrame({"histology": ["lung"] * 3, "dose": ["100", "50", "7.5"], "n": [1, 2, 3]})
    made = dataclasses.replace(MADE, confounding={"cells": cells})
    axes = figures.aliasing_map(made)
    assert [t.get_text() for t in axes[0, 0].get_xticklabels()] == ["7.5", "50", "100"]


def test_random_effects_stand_against_histology_and_covariates():
    axes = figures.eta_covariates(MADE)
    table = MADE.pk.random_effects
    assert axes.shape == (2, 3) and [a.get_ylabel() for a in axes[:, 0]] == ["ETA(CL)", "ETA(V)"]
    np.testing.assert_array_equal(axes[0, 1].collections[0].get_offsets(), table[["WT", "ETA(CL)"]])
    low, high = np.quantile(table.loc[table["histology"] == "lung", "ETA(V)"], [0.25, 0.75])
    box = axes[1, 0].patches[NAMES.index("lung")]
    assert (box.get_y(), box.get_y() + box.get_height()) == pytest.approx((low, high))
    assert axes[1, 2].get_xlabel() == "SEX" and len(axes[1, 2].patches) == 2


def test_shrinkage_is_drawn_per_group_and_effect():
    ax = figures.shrinkage(MADE)
    table = MADE.pk.shrinkage
    for name in ("CL", "V", "IWRES"):
        np.testing.assert_array_equal(_drawn(ax, name)[:, 0], table.loc[["all", *NAMES], name])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["all patients", *NAMES]
    assert f"n = {table.loc['lung', 'subjects']}" in _texts(ax)


def test_survival_steps_down_at_events():
    left, right = figures.kaplan_meier(MADE, "PFS")[0]
    own = MADE.survival[0].curves.query("histology == 'lung'")
    line = _drawn(left, "lung (n = 29)")
    np.testing.assert_array_equal(line[:, 0], [0, *own["time"], MADE.survival[0].curves["time"].max()])
    np.testing.assert_array_equal(line[:, 1], [1, *own["survival"], own["survival"].iloc[-1]])
    assert [line.get_label()[0] for line in right.lines] == ["1", "2", "3", "4"]
    with pytest.raises(InputError, match=r"E_PLOT_ENDPOINT.*PFS, OS"):
        figures.kaplan_meier(MADE, "ORR")


def test_raw_and_shrunken_responses_and_pairs():
    table = MADE.endpoints[0].borrowing["table"].set_index("histology")
    ax = figures.shrunken_responses(MADE, "ORR")
    for name in NAMES:
        assert _drawn(ax, f"{name}, raw")[0, 0] == table.loc[name, "raw"]
        assert _drawn(ax, f"{name}, shrunken")[0, 0] == table.loc[name, "shrunken"]
    pairs = MADE.endpoints[0].borrowing["pairwise"]
    ax = figures.exchangeability_map(MADE, "ORR")
    assert len(ax.texts) == 15
    for text in ax.texts:
        column, row = (round(v) for v in text.get_position())
        p = pairs.loc[NAMES[row + 1], NAMES[column]]
        assert text.get_text() == (">0.99" if p >= 0.995 else "<0.01" if p < 0.005 else f"{p:.2f}")


def test_leaving_one_out_shades_the_interval_of_all():
    (ax,) = figures.leave_one_out(MADE)[0]
    one = MADE.sensitivity["influence"]["AUCSS"]
    shade = ax.patches[0]
    assert (shade.get_x(), shade.get_x() + shade.get_width()) == pytest.approx((one["lower"], one["upper"]))
    drawn = [line.get_xdata()[0] for line in ax.lines if line.get_label() == "AUCSS"]
    assert drawn == list(one["table"]["mu"])


def test_dose_response_marks_the_dose_of_the_verdict():
    axes = figures.dose_response(MADE)
    for ax, name in zip(axes.flat, NAMES, strict=False):
        own = MADE.forecasts[MADE.forecasts["histology"] == name]
        np.testing.assert_array_equal(_drawn(ax, "response"), own[["dose", "response"]])
        np.testing.assert_array_equal(_drawn(ax, "ae"), own[["dose", "ae"]])
    thyroid = axes.flat[NAMES.index("thyroid")]
    band = thyroid.patches[0]
    assert band.get_x() + band.get_width() / 2 == pytest.approx(3.0)
    assert thyroid.get_title(loc="left") == "thyroid\nadjust dose, 3 mg"
    # an exclusion names no dose
    assert not axes.flat[NAMES.index("colorectal")].patches


def test_enrolled_and_target_shares():
    n = pd.Series({"lung": 80, "liver": 20})
    result = representativeness(n // 4, n, shares={"lung": 0.5, "liver": 0.3, "thyroid": 0.2})
    ax = figures.representativeness(result)
    for name, enrolled, target in (("lung", 0.8, 0.5), ("liver", 0.2, 0.3)):
        assert _drawn(ax, f"{name}, enrolled")[0, 0] == pytest.approx(enrolled)
        assert _drawn(ax, f"{name}, target")[0, 0] == pytest.approx(target)
    made = dataclasses.replace(MADE, enrolment={"mix": result, "source": "registry"})
    assert figures.representativeness(made, "zh").get_xlabel().startswith("患者比例")


def test_operating_characteristics_are_stacked_to_one():
    shares = dict(same=0.5, adjust=0.25, exclude=0.05, insufficient=0.2)
    rows = [
        {"scenario": s, "histology": h, "n": 30, "truth": "same dose", "true_dose": 2.0, **shares}
        for s in ("alike", "apart")
        for h in ("lung", "liver")
    ]
    found = OperatingCharacteristics(pd.DataFrame(rows), pd.DataFrame(), 200, 0, 1)
    axes = figures.operating_characteristics(dataclasses.replace(MADE, characteristics=found))
    assert [ax.get_title(loc="left") for ax in axes[:, 0]] == ["alike", "apart"]
    for ax in axes[:, 0]:
        bars = [bar for container in ax.containers for bar in container]
        assert sum(bar.get_width() for bar in bars) == pytest.approx(2.0)
        # a bar too thin for its number carries none
        assert [t for t in _texts(ax) if t.isdigit()] == ["50", "50", "25", "25", "20", "20"]
        assert "true: same dose" in _texts(ax)


def test_the_table_of_operating_characteristics_is_traced_to_its_fields():
    shares = dict(same=0.5, adjust=0.25, exclude=0.05, insufficient=0.2)
    false = {"false_same": 0.0, "false_adjust": 0.25, "false_exclude": 0.05}
    rows = [
        {"scenario": s, "histology": h, "n": n, "truth": "same dose", **shares, **false}
        for s in ("alike", "apart")
        for h, n in (("lung", 90), ("liver", 30))
    ]
    totals = [
        {"scenario": s, **false, "false_adjust": total} for s, total in (("alike", 0.375), ("apart", 0.5))
    ]
    found = OperatingCharacteristics(pd.DataFrame(rows), pd.DataFrame(totals), 200, 3, 1)
    made = dataclasses.replace(MADE, characteristics=found)
    table = characteristics_table(made, words("en"))
    assert [body[0].cells[0].text for body in table.bodies] == ["alike", "apart"]
    numbers = [
        p
        for body in table.bodies
        for row in body
        for c in row.cells
        for p in c.parts
        if isinstance(p, Number)
    ]
    assert len(numbers) == 4 * 8 + 2 * 3
    for number in numbers:
        assert float(number.text) == pytest.approx(field_value(made, number.field) * number.scale)
    last = table.bodies[0][-1].cells
    assert len(last) == len(table.columns) and [c.text for c in last[-3:]] == ["0.0", "37.5", "5.0"]
    assert "200 simulated trials" in table.note and "3 trials could not" in table.note


@pytest.mark.parametrize(
    ("draw", "what"),
    [
        (figures.aliasing_map, {"confounding": {}}),
        (figures.dose_response, {"forecasts": MADE.forecasts.iloc[:0]}),
        (figures.leave_one_out, {"sensitivity": {}}),
        (figures.eta_covariates, {"pk": dataclasses.replace(MADE.pk, random_effects=pd.DataFrame())}),
        (figures.shrinkage, {"pk": dataclasses.replace(MADE.pk, shrinkage=pd.DataFrame())}),
        (figures.representativeness, {"enrolment": {}}),
        (figures.operating_characteristics, {}),
    ],
)
def test_evidence_that_is_not_there_is_one_clear_error(draw, what):
    with pytest.raises(InputError, match="E_PLOT_INPUT"):
        draw(dataclasses.replace(MADE, **what))


def test_borrowing_that_was_refused_is_one_clear_error():
    bare = dataclasses.replace(MADE.endpoints[0], borrowing={"refused": "one histology alone."})
    for draw in (figures.shrunken_responses, figures.exchangeability_map):
        with pytest.raises(InputError, match="E_PLOT_INPUT"):
            draw(MADE, bare)
    with pytest.raises(InputError, match="E_LANGUAGE"):
        figures.exchangeability_map(MADE, "ORR", "fr")
