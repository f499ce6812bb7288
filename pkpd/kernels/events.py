"""Dosing events of one subject, in the order in which they take effect.

A dose record gives one event (a bolus) or two (an infusion starts, an infusion ends). The time of an event may depend
on the model's parameters, but only linearly: time = record time + lag + bioavailability·amount/rate. Its derivative is
therefore at most two numbers, which travel with the event.
"""

from __future__ import annotations

import numpy as np

from pkpd._jit import kernel

BOLUS, START, STOP = 0, 1, 2

# rows of the table that says which parameter slot gives an event property of each compartment (-1: none)
LAG, BIOAVAILABILITY, INITIAL = 0, 1, 2


@kernel()
def count_events(dose_rate):
    """Events that these dose records give."""
    count = 0
    for i in range(dose_rate.shape[0]):
        count += 2 if dose_rate[i] > 0.0 else 1
    return count


@kernel()
def sorted_events(p, event_slots, dose_time, dose_cmt, dose_amt, dose_rate, dose_row):
    """Events in order of time; at equal times the order of the records decides.

    Returns
    -------
    time : (E,) float64
    kind, dose : (E,) int64
        What happens, and the index of the dose that it belongs to.
    stretch : (E,) float64
        amount/rate for the end of an infusion (the derivative of its time to bioavailability), else 0.
    """
    total = count_events(dose_rate)
    time = np.empty(total)
    kind = np.empty(total, np.int64)
    dose = np.empty(total, np.int64)
    stretch = np.zeros(total)
    k = 0
    for i in range(dose_time.shape[0]):
        lag_slot = event_slots[LAG, dose_cmt[i]]
        start = dose_time[i] + (p[lag_slot] if lag_slot >= 0 else 0.0)
        if dose_rate[i] > 0.0:
            bio_slot = event_slots[BIOAVAILABILITY, dose_cmt[i]]
            time[k], kind[k], dose[k] = start, START, i
            k += 1
            stretch[k] = dose_amt[i] / dose_rate[i]
            time[k] = start + stretch[k] * (p[bio_slot] if bio_slot >= 0 else 1.0)
            kind[k], dose[k] = STOP, i
            k += 1
        else:
            time[k], kind[k], dose[k] = start, BOLUS, i
            k += 1
    # insertion sort: the records arrive almost in order, and it is stable
    for a in range(1, total):
        t, w, d, s = time[a], kind[a], dose[a], stretch[a]
        b = a - 1
        while b >= 0 and (time[b] > t or (time[b] == t and dose_row[dose[b]] > dose_row[d])):
            time[b + 1], kind[b + 1], dose[b + 1], stretch[b + 1] = time[b], kind[b], dose[b], stretch[b]
            b -= 1
        time[b + 1], kind[b + 1], dose[b + 1], stretch[b + 1] = t, w, d, s
    return time, kind, dose, stretch


@kernel()
def moved_back(p, event_slots, dose_cmt, dose_rate):
    """Whether a dose would take effect before its record, or an infusion end before it starts."""
    for i in range(dose_cmt.shape[0]):
        lag_slot = event_slots[LAG, dose_cmt[i]]
        if lag_slot >= 0 and p[lag_slot] < 0.0:
            return True
        bio_slot = event_slots[BIOAVAILABILITY, dose_cmt[i]]
        if dose_rate[i] > 0.0 and bio_slot >= 0 and p[bio_slot] < 0.0:
            return True
    return False


@kernel()
def event_time_derivative(e, kind, dose, stretch, event_slots, dose_cmt, out):
    """Derivative of the time of event ``e`` to the parameters: fills ``out`` (P,)."""
    out[:] = 0.0
    cmt = dose_cmt[dose[e]]
    lag_slot = event_slots[LAG, cmt]
    if lag_slot >= 0:
        out[lag_slot] += 1.0
    bio_slot = event_slots[BIOAVAILABILITY, cmt]
    if kind[e] == STOP and bio_slot >= 0:
        out[bio_slot] += stretch[e]
