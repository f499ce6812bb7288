"""Regimens as values: what dose() means, how regimens add and repeat, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pkpd


def times(regimen):
    return [d.times for d in regimen.doses]


def test_what_dose_means():
    assert times(pkpd.dose(100)) == [(0.0,)]
    assert times(pkpd.dose(100, every=8, until=24)) == [(0.0, 8.0, 16.0)]
    assert times(pkpd.dose(100, every=8, until=25)) == [(0.0, 8.0, 16.0, 24.0)]
    assert times(pkpd.dose(100, times=[5, 1])) == [(1.0, 5.0)]
    d = pkpd.dose(2, infusion=0.5, compartment="central", per="WT").doses[0]
    assert (d.amount, d.infusion, d.compartment, d.per) == (2.0, 0.5, "central", "WT")


@given(every=st.floats(0.1, 100), count=st.integers(1, 50))
def test_until_is_where_the_next_dose_would_be(every, count):
    """Rounding in every·count neither adds nor drops a dose."""
    assert len(pkpd.dose(1, every=every, until=every * count).doses[0].times) == count


def test_regimens_add():
    loading, maintenance = pkpd.dose(400), pkpd.dose(200, times=[24, 48])
    assert (loading + maintenance).doses == loading.doses + maintenance.doses
    assert (loading + (maintenance + loading)) == ((loading + maintenance) + loading)
    with pytest.raises(TypeError):
        loading + 400


def test_the_first_interval_repeats():
    twice = pkpd.dose(1, every=12, until=48) + pkpd.dose(3, times=[6, 30])
    longer = twice.repeated(24, 4)
    assert times(longer) == [tuple(12.0 * np.arange(8)), (6.0, 30.0, 54.0, 78.0)]
    assert times(twice.repeated(24, 1)) == [(0.0, 12.0), (6.0,)]
    assert times(pkpd.dose(5).repeated(21, 3)) == [(0.0, 21.0, 42.0)]
    # 3 * 8.1 is a little less than 24.3
    often = times(pkpd.dose(5, every=8.1, until=48.6).repeated(24.3, 2))[0]
    np.testing.assert_allclose(often, 8.1 * np.arange(6), rtol=1e-14)


@pytest.mark.parametrize(
    "regimen",
    [
        pkpd.dose(1, every=24, until=240),
        pkpd.dose(1) + pkpd.dose(2, times=[40.0]),
        pkpd.dose(1, times=[0, 10, 36, 50]),
    ],
)
def test_what_has_another_period_is_refused(regimen):
    with pytest.raises(pkpd.InputError, match=r"E_REGIMEN_PERIOD.*every 36"):
        regimen.repeated(36, 5)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"amount": 0}, "amount 0"),
        ({"amount": -5}, "amount -5"),
        ({"amount": float("nan")}, "amount nan"),
        ({"amount": "100 mg"}, "100 mg"),
        ({"amount": True}, "amount True"),
        ({"amount": 1, "infusion": 0}, "infusion 0"),
        ({"amount": 1, "infusion": "1 h"}, "1 h"),
        ({"amount": 1, "every": 24}, "together with until"),
        ({"amount": 1, "until": 24}, "together with until"),
        ({"amount": 1, "every": 24, "until": 48, "times": [0]}, "or times"),
        ({"amount": 1, "every": 0, "until": 48}, "every=0"),
        ({"amount": 1, "every": 24, "until": float("inf")}, "until=inf"),
        ({"amount": 1, "every": "24", "until": 48}, "every='24'"),
        ({"amount": 1, "steady_state": True}, "needs every="),
        ({"amount": 1, "times": [0.0], "steady_state": True}, "needs every="),
        ({"amount": 1, "every": 24, "until": 48, "steady_state": 1}, "needs every="),
        ({"amount": 1, "times": []}, "dose times"),
        ({"amount": 1, "times": [-1.0]}, "-1.0"),
        ({"amount": 1, "times": [float("nan")]}, "nan"),
        ({"amount": 1, "times": ["noon"]}, "noon"),
        ({"amount": 1, "times": 5}, "5"),
    ],
)
def test_impossible_doses_are_refused(given, words):
    with pytest.raises(pkpd.InputError) as caught:
        pkpd.dose(**given)
    assert caught.value.code == "E_REGIMEN"
    assert words in caught.value.message


def test_delays_and_steady_state():
    later = (pkpd.dose(1, every=12, until=24) + pkpd.dose(2)).delayed(6)
    assert times(later) == [(6.0, 18.0), (6.0,)]
    assert later.delayed(-6) == pkpd.dose(1, every=12, until=24) + pkpd.dose(2)
    for bad in (-7, float("nan"), "6", True):
        with pytest.raises(pkpd.InputError, match="E_REGIMEN"):
            later.delayed(bad)
    (steady,) = pkpd.dose(1, every=12, steady_state=True).doses
    assert (steady.times, steady.interval) == ((0.0,), 12.0)
    with pytest.raises(pkpd.InputError, match=r"E_REGIMEN_PERIOD.*steady state"):
        pkpd.dose(1, every=12, steady_state=True).repeated(12, 3)
