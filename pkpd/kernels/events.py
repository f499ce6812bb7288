"""Dosing events of one subject, in the order in which they take effect.

A dose record gives one event (a bolus) or two (an infusion starts, an infusion ends); a steady-state dose first sets the
state to that of the implied doses before it; a reset empties the system; compartments are turned off and on. The time of an
event may depend on the model's parameters, but only linearly: record time + lag + factor·slot, where the slot is a
bioavailability, a duration, or bioavailability over rate. Its derivative is therefore at most two numbers, which travel with
the event.

Meaning of the records: NONMEM Users Guide Part VI (PREDPP), chapter V.
"""

from __future__ import annotations

import math

import numpy as np

from pkpd._jit import STEADY_SIGNATURE, kernel
from pkpd.kernels.status import NO_STEADY_STATE

# kinds of dose record
DOSE, STEADY_RESET, STEADY_ADD, RESET_ONLY, OFF, ON = 0, 1, 2, 3, 4, 5
# kinds of event
BOLUS, START, STOP, RESET, STEADY, TURN_OFF, TURN_ON = 0, 1, 2, 3, 4, 5, 6
# values of RATE that ask the model
MODELLED_RATE, MODELLED_DURATION = -1.0, -2.0

# no more than so many infusions of a steady-state dose run at once: beyond that it has no steady state worth the name
MOST_RUNNING = 10_000

# rows of the table that says which parameter slot gives an event property of each place (-1: none); the first places are the
# compartments, others are compartments under other time-varying inputs;
# SPEED is bioavailability/duration, LENGTH bioavailability/rate: what an amount is multiplied with
LAG, BIOAVAILABILITY, INITIAL, DURATION, SPEED, RATE, LENGTH = 0, 1, 2, 3, 4, 5, 6


@kernel(allocates=False)
def _length(p, event_slots, place, amount, rate):
    """Length of an infusion as (slot, factor, constant): constant + factor·p[slot]."""
    if rate == MODELLED_DURATION:
        return event_slots[DURATION, place], 1.0, 0.0
    if rate == MODELLED_RATE:
        return event_slots[LENGTH, place], amount, 0.0
    slot = event_slots[BIOAVAILABILITY, place]
    if slot >= 0:
        return slot, amount / rate, 0.0
    return -1, 0.0, amount / rate


@kernel(allocates=False)
def infusion_length(p, event_slots, place, amount, rate):
    """Length of an infusion, with the slot it depends on (-1: none) and the derivative to it."""
    slot, factor, constant = _length(p, event_slots, place, amount, rate)
    return constant + (factor * p[slot] if slot >= 0 else 0.0), slot, factor


@kernel(allocates=False)
def infusion_rate(p, event_slots, place, amount, rate):
    """Rate of an infusion, with the slot it depends on (-1: none) and the derivative to it."""
    if rate == MODELLED_DURATION:
        slot = event_slots[SPEED, place]
        return amount * p[slot], slot, amount
    if rate == MODELLED_RATE:
        slot = event_slots[RATE, place]
        return p[slot], slot, 1.0
    return rate, -1, 0.0


@kernel(allocates=False)
def whole_intervals(length, interval):
    """How many whole intervals an infusion of steady-state doses lasts: the rest of it is in (0, interval]."""
    return max(math.ceil(min(length / interval, MOST_RUNNING + 1.0)) - 1, 0)


@kernel(allocates=False)
def running_infusions(p, event_slots, place, amount, rate, interval):
    """How many of the implied infusions before a steady-state dose still run at its record time."""
    if interval <= 0.0:
        return 0
    length, _, _ = infusion_length(p, event_slots, place, amount, rate)
    slot = event_slots[LAG, place]
    lag = p[slot] if slot >= 0 else 0.0
    whole = whole_intervals(length, interval)
    return whole + (1 if interval - lag < length - whole * interval else 0)


@kernel(allocates=False)
def count_events(p, event_slots, dose_place, dose_amt, dose_rate, dose_kind, dose_interval):
    """Events that these dose records give."""
    count = 0
    for i in range(dose_rate.shape[0]):
        if dose_kind[i] >= RESET_ONLY:
            count += 1
            continue
        if dose_kind[i] != DOSE:
            count += 1
            if dose_rate[i] != 0.0:
                count += running_infusions(
                    p, event_slots, dose_place[i], dose_amt[i], dose_rate[i], dose_interval[i]
                )
            if dose_interval[i] <= 0.0:
                continue  # a constant infusion ends at its record
        count += 2 if dose_rate[i] != 0.0 else 1
    return count


@kernel(allocates=False)
def fill_events(
    p, event_slots, dose_time, dose_place, dose_amt, dose_rate, dose_row, dose_kind, dose_interval,
    time, kind, dose, lagged, slot, factor,
):  # fmt: skip
    """Fill what :func:`sorted_events` returns; the arrays have the length that :func:`count_events` gives."""
    total = time.shape[0]
    for k in range(total):
        lagged[k], slot[k], factor[k] = 0, -1, 0.0
    k = 0
    for i in range(dose_time.shape[0]):
        place = dose_place[i]
        if dose_kind[i] >= RESET_ONLY:
            time[k], dose[k] = dose_time[i], i
            kind[k] = RESET if dose_kind[i] == RESET_ONLY else (TURN_OFF if dose_kind[i] == OFF else TURN_ON)
            k += 1
            continue
        lag_slot = event_slots[LAG, place]
        start = dose_time[i] + (p[lag_slot] if lag_slot >= 0 else 0.0)
        infused = dose_rate[i] != 0.0
        length, length_slot, length_factor = 0.0, -1, 0.0
        if infused and (dose_kind[i] == DOSE or dose_interval[i] > 0.0):
            length, length_slot, length_factor = infusion_length(
                p, event_slots, place, dose_amt[i], dose_rate[i]
            )
        if dose_kind[i] != DOSE:
            time[k], kind[k], dose[k] = dose_time[i], STEADY, i
            k += 1
            if dose_interval[i] <= 0.0:
                continue
            if infused:
                running = running_infusions(
                    p, event_slots, place, dose_amt[i], dose_rate[i], dose_interval[i]
                )
                for back in range(running, 0, -1):
                    time[k] = max(start - back * dose_interval[i] + length, dose_time[i])  # rounding
                    kind[k], dose[k], lagged[k] = STOP, i, 1
                    slot[k], factor[k] = length_slot, length_factor
                    k += 1
        time[k], dose[k], lagged[k] = start, i, 1
        kind[k] = START if infused else BOLUS
        k += 1
        if infused:
            time[k], kind[k], dose[k], lagged[k] = start + length, STOP, i, 1
            slot[k], factor[k] = length_slot, length_factor
            k += 1
    # insertion sort: the records arrive almost in order, and it is stable
    for a in range(1, total):
        t, w, d, g, s, c = time[a], kind[a], dose[a], lagged[a], slot[a], factor[a]
        b = a - 1
        while b >= 0 and (time[b] > t or (time[b] == t and dose_row[dose[b]] > dose_row[d])):
            time[b + 1], kind[b + 1], dose[b + 1] = time[b], kind[b], dose[b]
            lagged[b + 1], slot[b + 1], factor[b + 1] = lagged[b], slot[b], factor[b]
            b -= 1
        time[b + 1], kind[b + 1], dose[b + 1], lagged[b + 1], slot[b + 1], factor[b + 1] = t, w, d, g, s, c


@kernel()
def sorted_events(
    p, event_slots, dose_time, dose_place, dose_amt, dose_rate, dose_row, dose_kind, dose_interval
):
    """Events in order of time; at equal times the order of the records decides.

    Returns
    -------
    time : (E,) float64
    kind, dose : (E,) int64
        What happens, and the index of the dose that it belongs to.
    lagged : (E,) int64
        1 where the lag of the dose's compartment is part of the time.
    slot : (E,) int64
        Slot that the time depends on besides the lag, or -1; ``factor`` (E,) float64 is the derivative to it.
    """
    total = count_events(p, event_slots, dose_place, dose_amt, dose_rate, dose_kind, dose_interval)
    time, factor = np.empty(total), np.empty(total)
    kind, dose, lagged, slot = (
        np.empty(total, np.int64),
        np.empty(total, np.int64),
        np.empty(total, np.int64),
        np.empty(total, np.int64),
    )
    fill_events(
        p, event_slots, dose_time, dose_place, dose_amt, dose_rate, dose_row, dose_kind, dose_interval,
        time, kind, dose, lagged, slot, factor,
    )  # fmt: skip
    return time, kind, dose, lagged, slot, factor


@kernel(allocates=False)
def moved_back(p, event_slots, dose_place, dose_rate):
    """Whether a dose would take effect before its record, or an infusion end before it starts."""
    for i in range(dose_place.shape[0]):
        lag_slot = event_slots[LAG, dose_place[i]]
        if lag_slot >= 0 and p[lag_slot] < 0.0:
            return True
        bio_slot = event_slots[BIOAVAILABILITY, dose_place[i]]
        if dose_rate[i] > 0.0 and bio_slot >= 0 and p[bio_slot] < 0.0:
            return True
    return False


@kernel(allocates=False)
def modelled_badly(p, event_slots, dose_place, dose_amt, dose_rate):
    """Whether a modelled rate or duration is not positive."""
    for i in range(dose_rate.shape[0]):
        if dose_rate[i] < 0.0:
            length, _, _ = infusion_length(p, event_slots, dose_place[i], dose_amt[i], dose_rate[i])
            speed, _, _ = infusion_rate(p, event_slots, dose_place[i], dose_amt[i], dose_rate[i])
            if not (speed > 0.0 and (length > 0.0 or dose_amt[i] == 0.0)):
                return True
    return False


@kernel(allocates=False)
def event_time_derivative(e, dose, lagged, slot, factor, event_slots, dose_place, out):
    """Derivative of the time of event ``e`` to the parameters: fills ``out`` (P,)."""
    out[:] = 0.0
    if lagged[e]:
        lag_slot = event_slots[LAG, dose_place[dose[e]]]
        if lag_slot >= 0:
            out[lag_slot] += 1.0
    if slot[e] >= 0:
        out[slot[e]] += factor[e]


@kernel(STEADY_SIGNATURE)
def no_steady_state(
    order, t, p, kind, cmt, place, amount, rate, interval, rates, jacobian, hessian, output, system, y,
):  # fmt: skip
    """What solvers of data without steady-state doses are given, so that nothing is compiled that they do not need."""
    return NO_STEADY_STATE
