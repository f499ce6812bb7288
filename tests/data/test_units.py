"""Units: factors that everybody can check by hand, and refusals that name them."""

from __future__ import annotations

import pandas as pd
import pytest

import pkpd
from pkpd.data.units import conversion_factor, parse_unit


@pytest.mark.parametrize(
    ("unit", "to", "factor"),
    [
        ("ng/mL", "mg/L", 1e-3),
        ("µg/mL", "mg/L", 1.0),
        ("μg/ml", "mcg/mL", 1.0),  # the Greek letter, the micro sign's twin
        ("ug/L", "ng/mL", 1.0),
        ("mg/dL", "g/L", 0.01),
        ("nM", "nmol/L", 1.0),
        ("µM", "nmol/L", 1e3),
        ("mL/min", "L/h", 0.06),
        ("L/day", "L/h", 1 / 24),
        ("1/h", "1/min", 1 / 60),
        ("h^-1", "1/h", 1.0),
        ("h-1", "1/h", 1.0),
        ("mg·h/L", "ug*h/mL", 1.0),
        ("mg h / L", "mg*h/L", 1.0),
        ("mL/min/kg", "L/h/kg", 0.06),
        ("L/h/70kg", "L/h/kg", 1 / 70),
        ("mL/min/1.73m2", "mL/min/m²", 1 / 1.73),
        ("mg/m^2", "mg/m2", 1.0),
        ("weeks", "days", 7.0),
        ("day", "h", 24.0),
        ("in", "cm", 2.54),
        ("lb", "kg", 0.45359237),
        ("kIU", "IU", 1e3),
        ("%", "1", 0.01),
        ("score", "score", 1.0),
    ],
)
def test_factors(unit: str, to: str, factor: float) -> None:
    # a handful of products of decimal powers: a few units in the last place
    assert conversion_factor(unit, to) == pytest.approx(factor, rel=1e-14)
    assert conversion_factor(to, unit) == pytest.approx(1 / factor, rel=1e-14)


@pytest.mark.parametrize("pair", [("mg", "mol"), ("mg/L", "mg"), ("h", "L"), ("L/h", "1/h"), ("%", "kg")])
def test_other_quantities_are_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(pkpd.InputError, match="E_UNIT_KIND"):
        conversion_factor(*pair)


@pytest.mark.parametrize(
    "text", ["score", "cells/uL", "mg//x", "kk", "mmHg", "copies/mL", "-", "mg/L (total)"]
)
def test_unknown_units_say_nothing(text: str) -> None:
    assert parse_unit(text) is None
    assert conversion_factor(text, "mg/L") is None


def test_a_data_set_refuses_another_unit() -> None:
    data = pkpd.load_dataset("theophylline")
    data.require_unit("DV", "mg/L", "model a")
    data.require_unit("DV", "µg/mL", "model a")
    data.require_unit("DV", "", "model a")
    data.require_unit("CMT", "h", "model a")
    with pytest.raises(
        pkpd.InputError, match=r"E_UNIT_MISMATCH: column DV is in mg/L, model a takes ng/mL.*1000"
    ):
        data.require_unit("DV", "ng/mL", "model a")
    with pytest.raises(pkpd.InputError, match="E_UNIT_KIND: column TIME is in h, model a takes mg"):
        data.require_unit("TIME", "mg", "model a")


@pytest.mark.parametrize(
    ("units", "message"),
    [
        (
            {"TIME": "day"},
            r"column TIME is in day, model theophylline takes h: numbers are off by a factor 24",
        ),
        ({"TIME": "h", "II": "day"}, r"column II is in day, column TIME takes h"),
        ({"DV": "mg/L", "LLOQ": "ng/mL"}, r"column LLOQ is in ng/mL, column DV takes mg/L.*0\.001"),
    ],
)
def test_a_model_refuses_another_unit_of_time(units: dict, message: str) -> None:
    """The unit of time of a model is that in the units of its parameters; hours read as days are as silent as ng/mL."""
    frame = pkpd.load_dataset("theophylline").frame[["ID", "TIME", "EVID", "AMT", "DV", "CMT"]]
    data = pkpd.read_dataset(frame.assign(II=0, LLOQ=0.001), units=units)
    with pytest.raises(pkpd.InputError, match=rf"E_UNIT_MISMATCH: {message}"):
        pkpd.predict(pkpd.load_model("theophylline"), data)


def test_a_unit_that_is_not_known_says_nothing_of_the_records() -> None:
    @pkpd.model
    def heart(m):
        m.observe("y", m.theta("RATE", 70.0, unit="beats/min"), additive=m.sigma("S", 5.0))

    frame = pd.DataFrame({"ID": 1, "TIME": [0.0, 1.0], "EVID": 0, "DV": 70.0})
    assert len(pkpd.predict(heart, pkpd.read_dataset(frame, units={"TIME": "h"}))) == 2


def test_a_model_of_several_units_of_time_says_nothing_of_the_records() -> None:
    @pkpd.model
    def mixed(m):
        m.observe(
            "y",
            m.theta("A", 1.0, unit="mL/min") + m.theta("B", 1.0, unit="1/h^1") * m.time,
            additive=m.sigma("S", 1.0),
        )

    frame = pd.DataFrame({"ID": 1, "TIME": [0.0, 1.0], "EVID": 0, "DV": 1.0})
    assert len(pkpd.predict(mixed, pkpd.read_dataset(frame, units={"TIME": "day"}))) == 2
