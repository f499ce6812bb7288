"""Parameters of one profile, each with the reason why it is missing or not to be trusted."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from pkpd.noncompartmental.areas import partial_area, segment_areas
from pkpd.noncompartmental.profiles import Profile, with_blq_rule
from pkpd.noncompartmental.terminal import Slope, terminal_slope

__all__ = ["MEASURES", "Settings", "Value", "profile_parameters"]

# Codes of CDISC controlled terminology (PPTESTCD; AUCINT and SWING with their meaning there), and the kind of unit:
# C concentration, T time, D dose, and products of them; % and nothing as they are.
MEASURES = {
    "CMAX": "C", "CMAXD": "C/D", "TMAX": "T", "CLST": "C", "TLST": "T", "C0": "C",
    "LAMZ": "1/T", "LAMZHL": "T", "LAMZNPT": "", "LAMZLL": "T", "LAMZUL": "T", "R2ADJ": "",
    "AUCLST": "C·T", "AUCIFO": "C·T", "AUCIFP": "C·T", "AUCIFOD": "C·T/D", "AUCPEO": "%", "AUCPEP": "%", "AUCPBEO": "%",
    "AUMCLST": "C·T·T", "AUMCIFO": "C·T·T", "AUMCIFP": "C·T·T",
    "MRTEVLST": "T", "MRTIVLST": "T", "MRTEVIFO": "T", "MRTIVIFO": "T",
    "CLFO": "D/(C·T)", "CLO": "D/(C·T)", "VZFO": "D/C", "VZO": "D/C", "VSSO": "D/C",
    "AUCTAU": "C·T", "CAVG": "C", "CMIN": "C", "CTROUGH": "C", "FLUCP": "%", "SWING": "%",
    "CLFTAU": "D/(C·T)", "CLTAU": "D/(C·T)", "VZFTAU": "D/C", "VZTAU": "D/C", "ARAUC": "", "ARCMAX": "",
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What :func:`pkpd.nca` was asked for; see there."""

    rule: str
    blq: str
    with_peak: bool | None
    intervals: tuple[tuple[float, float], ...]
    tau: float | None
    steady_state: bool
    most_extrapolated: float
    least_r2_adjusted: float


@dataclass
class Value:
    """A number and what speaks against it; NaN where there is none."""

    number: float
    reason: str = ""


@dataclass
class _Curve:
    """A profile with its beginning, and what is computed from it first."""

    time: np.ndarray
    conc: np.ndarray
    slope: Slope
    start: float = math.nan
    back: bool = False
    doubt: str = ""
    values: dict[str, Value] = field(default_factory=dict)


def profile_parameters(profile: Profile, route: str, settings: Settings) -> dict[str, Value]:
    """Everything that a profile gives.

    Parameters
    ----------
    profile : Profile
    route : str
        ``"extravascular"``, ``"bolus"`` or ``"infusion"``.
    settings : Settings

    Returns
    -------
    dict of str to Value
        By code of :data:`MEASURES`, and ``AUCINT(start,end)``.
    """
    if route == "bolus":  # what was measured just before a bolus is not its concentration
        after = ~profile.early
        profile = replace(
            profile,
            time=profile.time[after],
            conc=profile.conc[after],
            bound=profile.bound[after],
            early=profile.early[after],
        )
    time, conc = with_blq_rule(profile, settings.blq)
    order = np.argsort(time, kind="stable")
    time, conc = time[order], conc[order]
    if len(np.unique(time)) < len(time):
        return {"CMAX": Value(math.nan, "several concentrations at one time")}
    quantified = np.flatnonzero(conc > 0)
    if len(quantified) < 3:
        return {"CMAX": Value(math.nan, f"only {len(quantified)} quantifiable concentrations")}
    last = int(quantified[-1])
    time, conc = time[: last + 1], conc[: last + 1]
    with_peak = (route == "bolus") if settings.with_peak is None else settings.with_peak
    measured = conc > 0
    slope = terminal_slope(time[measured], conc[measured], with_peak=with_peak, after=profile.duration)
    steady = profile.steady or (settings.steady_state and not profile.first)
    tau = _snapped(profile.tau if settings.tau is None else settings.tau, time)
    curve = _begun(_Curve(time, conc, slope), profile, route, steady, tau)
    out = curve.values
    peak = int(np.argmax(conc))
    out["CMAX"], out["TMAX"] = Value(float(conc[peak])), Value(float(time[peak]))
    out["CMAXD"] = Value(float(conc[peak]) / profile.dose if profile.dose else math.nan)
    out["CLST"], out["TLST"] = Value(float(conc[-1])), Value(float(time[-1]))
    _slope_values(curve, settings)
    _areas(curve, profile, route, steady, settings)
    _interval(curve, profile, route, steady, tau, settings)
    return out


def _begun(curve: _Curve, profile: Profile, route: str, steady: bool, tau: float) -> _Curve:
    """Give the profile a concentration at the time of the dose."""
    time, conc = curve.time, curve.conc
    if route == "bolus":
        start = float(conc[0])
        if time[0] > 0:
            curve.back = True
            if conc[0] > conc[1] > 0:
                rate = math.log(conc[0] / conc[1]) / (time[1] - time[0])
                start = float(conc[0] * math.exp(rate * time[0]))
        curve.start = start
        curve.values["C0"] = Value(start)
    elif time[0] > 0:
        if steady:
            within = conc[time <= tau]
            curve.start = float((within if len(within) else conc).min())
        elif profile.first:
            curve.start = 0.0
        else:
            curve.doubt = "no concentration at the time of the dose, which is not the first"
    if time[0] > 0 and not curve.doubt:
        curve.time, curve.conc = np.append(0.0, time), np.append(curve.start, conc)
    return curve


def _slope_values(curve: _Curve, settings: Settings) -> None:
    s, out = curve.slope, curve.values
    doubt = s.reason
    if not doubt and s.r2_adjusted < settings.least_r2_adjusted:
        doubt = f"adjusted R² of λz {s.r2_adjusted:.3f} is below {settings.least_r2_adjusted:g}"
    out["LAMZ"] = Value(s.rate, doubt)
    out["LAMZHL"] = Value(math.log(2) / s.rate, doubt)
    out["LAMZNPT"] = Value(float(s.points) if s.points else math.nan, doubt)
    out["LAMZLL"], out["LAMZUL"] = Value(s.lower, doubt), Value(s.upper, doubt)
    out["R2ADJ"] = Value(s.r2_adjusted, doubt)


def _areas(curve: _Curve, profile: Profile, route: str, steady: bool, settings: Settings) -> None:
    """Areas to the last concentration and to infinity, and what follows for a single dose."""
    out, slope, time, conc = curve.values, curve.slope, curve.time, curve.conc
    area, moment = segment_areas(time, conc, settings.rule)
    total, first_moment = float(area.sum()), float(moment.sum())
    doubt = curve.doubt
    out["AUCLST"], out["AUMCLST"] = Value(total, doubt), Value(first_moment, doubt)
    place, f = ("IV", "") if route != "extravascular" else ("EV", "F")
    shift = profile.duration / 2 if route == "infusion" else 0.0
    out[f"MRT{place}LST"] = Value(first_moment / total - shift, doubt)
    if not profile.first or steady:
        # areas to infinity would count what earlier doses left behind
        return
    doubt = doubt or out["LAMZ"].reason
    clast, k, t = float(conc[-1]), slope.rate, float(time[-1])
    fitted = math.exp(slope.intercept - k * t) if k == k else math.nan
    for code, tail in (("O", clast), ("P", fitted)):
        whole = total + tail / k
        extrapolated = 100 * (1 - total / whole)
        reason = doubt
        if not reason and extrapolated > settings.most_extrapolated:
            reason = f"{extrapolated:.1f} % of the area are extrapolated, more than {settings.most_extrapolated:g} %"
        out[f"AUCIF{code}"] = Value(whole, reason)
        out[f"AUCPE{code}"] = Value(extrapolated, doubt)
        out[f"AUMCIF{code}"] = Value(first_moment + tail * t / k + tail / k**2, reason)
    whole, reason = out["AUCIFO"].number, out["AUCIFO"].reason
    if curve.back:
        out["AUCPBEO"] = Value(100 * float(area[0]) / whole, reason)
    mrt = out["AUMCIFO"].number / whole - shift
    out[f"MRT{place}IFO"] = Value(mrt, reason)
    if profile.dose:
        out["AUCIFOD"] = Value(whole / profile.dose, reason)
        out[f"CL{f}O"] = Value(profile.dose / whole, reason)
        out[f"VZ{f}O"] = Value(profile.dose / whole / k, reason)
        if place == "IV":
            out["VSSO"] = Value(mrt * profile.dose / whole, reason)


def _interval(
    curve: _Curve, profile: Profile, route: str, steady: bool, tau: float, settings: Settings
) -> None:
    """Areas over intervals, and what belongs to a dosing interval."""
    out = curve.values
    rate = curve.slope.rate

    def area(start: float, end: float) -> Value:
        start, end = _snapped(start, curve.time), _snapped(end, curve.time)
        if curve.doubt:
            return Value(math.nan, curve.doubt)
        found = partial_area(curve.time, curve.conc, start, end, rate, settings.rule)
        beyond = end > curve.time[-1]
        if beyond and rate != rate:
            return Value(math.nan, f"the profile ends before {end:g} and has no λz: {curve.slope.reason}")
        return Value(found, out["LAMZ"].reason if beyond else "")

    for start, end in settings.intervals:
        out[f"AUCINT({start:g},{end:g})"] = area(start, end)
    if not tau > 0:
        return
    total = out["AUCTAU"] = area(0.0, tau)
    inside = curve.conc[curve.time <= tau]
    out["CAVG"] = Value(total.number / tau, total.reason)
    at_end = float(np.interp(tau, curve.time, curve.conc)) if tau in curve.time else math.nan
    out["CTROUGH"] = Value(at_end, "" if at_end == at_end else "no concentration at the end of the interval")
    if not steady:
        return
    # a bolus begins at C0, which is not measured; a peak after the interval is not of it
    low, high = float(inside.min()), min(float(inside.max()), out["CMAX"].number)
    out["CMIN"] = Value(low)
    out["FLUCP"] = Value(100 * (high - low) / out["CAVG"].number, total.reason)
    out["SWING"] = Value(100 * (high - low) / low if low > 0 else math.nan, "" if low > 0 else "Cmin is 0")
    f = "F" if route == "extravascular" else ""
    if profile.dose:
        out[f"CL{f}TAU"] = Value(profile.dose / total.number, total.reason)
        out[f"VZ{f}TAU"] = Value(profile.dose / total.number / rate, total.reason or out["LAMZ"].reason)


def _snapped(t: float, time: np.ndarray) -> float:
    """The sampling time that ``t`` means: 32.02 - 8.02 is not 24 to the last bit."""
    nearest = float(time[np.argmin(np.abs(time - t))])
    return nearest if abs(nearest - t) <= 1e-9 * max(abs(t), 1.0) else t
