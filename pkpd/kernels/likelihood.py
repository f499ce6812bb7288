"""One record's share of -2 log-likelihood: measured, censored or a likelihood of its own, with derivatives.

With m the prediction on the scale of the error model (its logarithm where the error is log-normal), V its residual variance
and s = √V, a record contributes, the constant log 2π of a measured value dropped,

- measured: (y - m)²/V + log V;
- below the bound y (M3 of Beal, J Pharmacokinet Pharmacodyn 2001;28:481-504): -2 log Φ((y - m)/s); above it the mirror image;
  between two bounds -2 log of the difference of both Φ;
- given that the quantity is positive (M4 of the same paper): 2 log Φ(m/s) is added to any of these;
- direct: the model's own -2 log-likelihood, which is the endpoint's output.

Everything is a function of m and V, so that a method may put V where it likes (FOCE: at the typical subject).
"""

from __future__ import annotations

import math

from pkpd._jit import kernel
from pkpd.kernels.status import NOT_FINITE, OK, PREDICTION_NOT_POSITIVE

# Kinds of records (Observed.kind). 5 to 7 are 1, 4 and 3 given that the quantity is positive.
UNUSED, MEASURED, BELOW, ABOVE, BETWEEN = 0, 1, 2, 3, 4
MEASURED_POSITIVE, BETWEEN_POSITIVE, ABOVE_POSITIVE, DIRECT = 5, 6, 7, 8

_LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)


@kernel(allocates=False)
def normal_tail(z):
    """Log Φ(z), λ = φ(z)/Φ(z), and z + λ, which stays accurate where both terms cancel."""
    if z > -6.0:
        density = math.exp(-0.5 * z * z - _LOG_SQRT_2PI)
        upper = 0.5 * math.erfc(z / math.sqrt(2.0))
        lower = 0.5 * math.erfc(-z / math.sqrt(2.0))
        ratio = density / lower
        return (math.log1p(-upper) if z > 0.0 else math.log(lower)), ratio, z + ratio
    # Laplace's continued fraction of Mills' ratio; forty terms are exact to double precision here
    x = -z
    rest = x
    for k in range(40, 1, -1):
        rest = x + k / rest
    excess = 1.0 / rest
    ratio = x + excess
    return -0.5 * z * z - _LOG_SQRT_2PI - math.log(ratio), ratio, excess


@kernel(allocates=False)
def _one_sided(z, zm, v):
    """-2 log Φ(z), z a bound minus the mean in SDs, zm = ∂z/∂m; derivatives as :func:`contribution` returns them."""
    log_p, ratio, sum_ = normal_tail(z)
    g1, g2 = ratio, -ratio * sum_
    g3 = ratio * sum_ * sum_ - ratio + ratio * ratio * sum_
    zv, zmv, zvv = -0.5 * z / v, -0.5 * zm / v, 0.75 * z / (v * v)
    return (
        -2.0 * log_p,
        -2.0 * g1 * zm,
        -2.0 * g1 * zv,
        -2.0 * g2 * zm * zm,
        -2.0 * (g2 * zm * zv + g1 * zmv),
        -2.0 * (g2 * zv * zv + g1 * zvv),
        -g2 / v,
        -g3 * zm / v,
        g2 / (v * v) - g3 * zv / v,
    )


@kernel(allocates=False)
def _between(low, high, zm, v):
    """-2 log(Φ(high) - Φ(low)), as :func:`_one_sided`."""
    if low > 0.0:  # the mirror image keeps the digits of the upper tail
        return _difference(-high, -low, -zm, v)
    return _difference(low, high, zm, v)


@kernel(allocates=False)
def _difference(low, high, zm, v):
    upper, _, _ = normal_tail(high)
    lower, _, _ = normal_tail(low)
    log_p = upper + math.log(-math.expm1(lower - upper))
    pu = math.exp(-0.5 * high * high - _LOG_SQRT_2PI - log_p)
    pl = math.exp(-0.5 * low * low - _LOG_SQRT_2PI - log_p)
    guu, gll, gul = -high * pu - pu * pu, low * pl - pl * pl, pu * pl
    uv, lv = -0.5 * high / v, -0.5 * low / v
    uvv, lvv, zmv = 0.75 * high / (v * v), 0.75 * low / (v * v), -0.5 * zm / v
    curve = high * pu - low * pl + (pu - pl) ** 2
    curve_u = pu + high * guu + low * pl * pu + 2.0 * (pu - pl) * (guu + pl * pu)
    curve_l = (
        high * pu * pl - pl - low * (-low * pl + pl * pl) + 2.0 * (pu - pl) * (pu * pl + low * pl - pl * pl)
    )
    return (
        -2.0 * log_p,
        -2.0 * (pu - pl) * zm,
        -2.0 * (pu * uv - pl * lv),
        2.0 * curve / v,
        -2.0 * (zm * (guu * uv + gul * (uv + lv) + gll * lv) + (pu - pl) * zmv),
        -2.0 * (guu * uv * uv + 2.0 * gul * uv * lv + gll * lv * lv + pu * uvv - pl * lvv),
        curve / v,
        (curve_u + curve_l) * zm / v,
        -curve / (v * v) + (curve_u * uv + curve_l * lv) / v,
    )


@kernel(allocates=False)
def contribution(m, v, value, limit, kind):
    """-2 log-likelihood of a record and its derivatives to mean and variance.

    Parameters
    ----------
    m, v : float
        Prediction on the scale of the error model, and residual variance.
    value, limit : float
        Observation or bound, and the other bound, on the same scale.
    kind : int
        One of the kinds of this module, not ``UNUSED``.

    Returns
    -------
    L, L_m, L_v, L_mm, L_mv, L_vv : float
    w, w_m, w_v : float
        Curvature for the approximations of first order, never negative, and its derivatives: of a measured value 1/V, the
        expected one (whose part from the variance, ½(∂log V)², the caller adds); of a censored value half of ∂²L/∂m² at
        constant variance, 1/V times the share of the variance that censoring leaves unknown; of a direct likelihood ¼,
        which makes the outer product of its score.
    """
    if kind == DIRECT:
        return m, 1.0, 0.0, 0.0, 0.0, 0.0, 0.25, 0.0, 0.0
    s = math.sqrt(v)
    if kind == MEASURED or kind == MEASURED_POSITIVE:
        e = value - m
        q = e / v
        first = (
            e * q + math.log(v), -2.0 * q, 1.0 / v - q * q, 2.0 / v, 2.0 * q / v, (2.0 * e * q / v - 1.0 / v) / v,
            1.0 / v, 0.0, -1.0 / (v * v),
        )  # fmt: skip
    elif kind == BELOW:
        first = _one_sided((value - m) / s, -1.0 / s, v)
    elif kind == ABOVE or kind == ABOVE_POSITIVE:
        first = _one_sided((m - value) / s, 1.0 / s, v)
    else:
        low, high = min(value, limit), max(value, limit)
        first = _between((low - m) / s, (high - m) / s, -1.0 / s, v)
    if kind < MEASURED_POSITIVE:
        return first
    given = _one_sided(m / s, 1.0 / s, v)
    return (
        first[0] - given[0], first[1] - given[1], first[2] - given[2], first[3] - given[3], first[4] - given[4],
        first[5] - given[5], first[6] - given[6], first[7] - given[7], first[8] - given[8],
    )  # fmt: skip


@kernel(allocates=False)
def to_error_scale(order, first, f, fz, fez, endpoint, observed):
    """Predictions of a subject's records, and their derivatives, to the scale of the error model, in place.

    Parameters
    ----------
    order : int
        0 values, 1 and ``fz`` (O, columns), 2 and ``fez`` (O, E, columns).
    first : int
        Place of the subject's first record in ``observed``.

    Returns
    -------
    int
        A status: a prediction that is not positive has no logarithm.
    """
    for o in range(f.shape[0]):
        if observed.kind[first + o] == UNUSED or observed.residual[endpoint[o], 4] == 0:
            continue
        size = f[o]
        if not size > 0.0:
            return PREDICTION_NOT_POSITIVE if size <= 0.0 else NOT_FINITE
        f[o] = math.log(size)
        if order >= 1:
            for z in range(fz.shape[1]):
                fz[o, z] /= size
        if order >= 2:
            for a in range(fez.shape[1]):
                for z in range(fez.shape[2]):
                    fez[o, a, z] = fez[o, a, z] / size - fz[o, a] * fz[o, z]
    return OK
