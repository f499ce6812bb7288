"""The order of dosing events, and how their times move with parameters."""

from __future__ import annotations

import numpy as np
import pytest

from pkpd.kernels.events import (
    BOLUS,
    START,
    STOP,
    count_events,
    event_time_derivative,
    moved_back,
    sorted_events,
)

# compartment 0 has a lag (slot 0) and a bioavailability (slot 1), compartment 1 has neither
SLOTS = np.array([[0, -1], [1, -1], *[[-1, -1]] * 5])


def events(p, doses):
    time, cmt, amount, rate, row = (np.array(c) for c in zip(*doses, strict=True))
    cmt, row = cmt.astype(np.int64), row.astype(np.int64)
    kind, interval = np.zeros(len(row), np.int64), np.zeros(len(row))
    assert count_events(np.array(p), SLOTS, cmt, amount, rate, kind, interval) == np.sum(1 + (rate > 0))
    return sorted_events(np.array(p), SLOTS, time, cmt, amount, rate, row, kind, interval), cmt


def test_lag_and_bioavailability_move_starts_and_ends():
    (time, kind, dose, lagged, slot, factor), cmt = events(
        [0.5, 0.8], [(0.0, 0, 100.0, 50.0, 0), (1.0, 1, 30.0, 10.0, 1), (2.0, 0, 20.0, 0.0, 2)]
    )
    # start 0, start 1, end 0 after 0.8·2, bolus 2, end 1
    assert time == pytest.approx([0.5, 1.0, 2.1, 2.5, 4.0])
    assert kind.tolist() == [START, START, STOP, BOLUS, STOP]
    assert dose.tolist() == [0, 1, 0, 2, 1]
    out = np.empty(2)
    derivatives = []
    for e in range(5):
        event_time_derivative(e, dose, lagged, slot, factor, SLOTS, cmt, out)
        derivatives.append(out.tolist())
    assert derivatives == [[1, 0], [0, 0], [1, 2], [1, 0], [0, 0]]


def test_a_long_lag_changes_the_order_and_records_decide_at_equal_times():
    (_, _, dose, *_), _ = events([0.0, 1.0], [(0.0, 0, 1.0, 0.0, 0), (1.0, 1, 1.0, 0.0, 1)])
    assert dose.tolist() == [0, 1]
    (_, _, dose, *_), _ = events([1.5, 1.0], [(0.0, 0, 1.0, 0.0, 0), (1.0, 1, 1.0, 0.0, 1)])
    assert dose.tolist() == [1, 0]
    (_, _, dose, *_), _ = events([1.0, 1.0], [(1.0, 1, 1.0, 0.0, 1), (0.0, 0, 1.0, 0.0, 0)])
    assert dose.tolist() == [1, 0]


def test_additional_doses_of_two_records_are_merged_in_time():
    first = [(24.0 * k, 1, 1.0, 0.0, 0) for k in range(5)]
    second = [(12.0 + 24.0 * k, 1, 2.0, 0.0, 1) for k in range(5)]
    (time, _, dose, *_), _ = events([0.0, 1.0], first + second)
    assert time.tolist() == [12.0 * k for k in range(10)]
    assert dose.tolist() == [0, 5, 1, 6, 2, 7, 3, 8, 4, 9]


def test_only_what_would_go_back_in_time_is_refused():
    cmt, rate = np.array([0, 1]), np.array([5.0, 5.0])
    assert not moved_back(np.array([0.0, 0.0]), SLOTS, cmt, rate)
    assert moved_back(np.array([-1e-9, 1.0]), SLOTS, cmt, rate)
    assert moved_back(np.array([0.0, -0.1]), SLOTS, cmt, rate)
    assert not moved_back(np.array([0.0, -0.1]), SLOTS, cmt, 0 * rate)  # a bolus has no duration
