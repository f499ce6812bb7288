"""The residual variance of a record as a function of its prediction and the sigmas, with derivatives."""

from __future__ import annotations

import math

from pkpd._jit import kernel


@kernel(allocates=False)
def error_variance(f, row, sigma):
    """Residual variance at prediction ``f`` and its derivatives.

    Parameters
    ----------
    f : float
    row : (5 or more,) int array
        Positions in ``sigma`` of the additive SD a, the proportional SD b and the exponent c (-1: none, c = 1); whether SDs
        add, V = (a + b|f|^c)², rather than variances, V = a² + b²|f|^2c; whether the error is log-normal (V = a²).
    sigma : (S,) array

    Returns
    -------
    V, V_f, V_ff, V_a, V_b, V_c, V_fa, V_fb, V_fc : float
    """
    a = sigma[row[0]] if row[0] >= 0 else 0.0
    if row[1] < 0:
        return a * a, 0.0, 0.0, 2.0 * a, 0.0, 0.0, 0.0, 0.0, 0.0
    b = sigma[row[1]]
    if row[2] < 0 and row[3] == 0:
        return (
            a * a + b * b * f * f,
            2.0 * b * b * f,
            2.0 * b * b,
            2.0 * a,
            2.0 * b * f * f,
            0.0,
            0.0,
            4.0 * b * f,
            0.0,
        )
    # g = |f|^c and its derivatives; where f is exactly 0 they are taken as 0
    size = abs(f)
    sign = 1.0 if f > 0.0 else -1.0
    g, gf, gff, gc, gfc = 0.0, 0.0, 0.0, 0.0, 0.0
    if row[2] < 0:
        g, gf = size, sign
    elif size > 0.0:
        c = sigma[row[2]]
        g = size**c
        gf = c * g / f
        gff = (c - 1.0) * gf / f
        gc = g * math.log(size)
        gfc = gf * math.log(size) + g / f
    if row[3] == 1:
        s = a + b * g
        return (
            s * s, 2.0 * s * b * gf, 2.0 * b * (b * gf * gf + s * gff), 2.0 * s, 2.0 * s * g, 2.0 * s * b * gc,
            2.0 * b * gf, 2.0 * gf * (b * g + s), 2.0 * b * (b * gc * gf + s * gfc),
        )  # fmt: skip
    return (
        a * a + b * b * g * g, 2.0 * b * b * g * gf, 2.0 * b * b * (gf * gf + g * gff), 2.0 * a, 2.0 * b * g * g,
        2.0 * b * b * g * gc, 0.0, 4.0 * b * g * gf, 2.0 * b * b * (gc * gf + g * gfc),
    )  # fmt: skip


@kernel(allocates=False)
def variance_columns(o, interaction, at, mz, mez, typical_z, row, sigma, v_z, v_ez):
    """Residual variance of record ``o`` and its derivatives.

    Parameters
    ----------
    at : (O,) array
        As in :func:`pkpd.kernels.penalised.penalised`; with interaction the error scale is the prediction's own (log-normal
        variances are constant).
    mz, mez : (O, E+T), (O, E, E+T) arrays
        Derivatives of the subject's prediction; read with interaction.
    typical_z : (O, E+T) array
        Derivatives of the typical prediction; read without interaction.
    v_z, v_ez : (E+T+S,), (E, E+T+S) arrays
        Filled: ∂V/∂z and ∂²V/∂η∂z.

    Returns
    -------
    float
        V.
    """
    ne, nz = mez.shape[1], mez.shape[2]
    ns = sigma.shape[0]
    v, vf, vff, va, vb, vc, vfa, vfb, vfc = error_variance(at[o], row, sigma)
    for z in range(nz):
        if interaction == 1:
            v_z[z] = vf * mz[o, z]
            for i in range(ne):
                v_ez[i, z] = vff * mz[o, i] * mz[o, z] + vf * mez[o, i, z]
        else:
            v_z[z] = vf * typical_z[o, z] if z >= ne else 0.0
            for i in range(ne):
                v_ez[i, z] = 0.0
    for s in range(ns):
        v_z[nz + s] = 0.0
        for i in range(ne):
            v_ez[i, nz + s] = 0.0
    for k in range(3):
        if row[k] < 0:
            continue
        z = nz + row[k]
        v_z[z] += va if k == 0 else (vb if k == 1 else vc)
        if interaction == 1:
            mixed = vfa if k == 0 else (vfb if k == 1 else vfc)
            for i in range(ne):
                v_ez[i, z] += mixed * mz[o, i]
    return v
