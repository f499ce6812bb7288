"""The explicit Runge-Kutta method of order 8(5,3) of Dormand and Prince with its interpolant of order 7, written out.

Coefficients: Hairer, Nørsett & Wanner, Solving Ordinary Differential Equations I, 2nd ed., II.5 and II.6 (DOP853).
Works on rows of length size (the n states, then their sensitivities): the stages, then those named below. The error is that of
the states alone, so that steps, and with them the objective, do not depend on whether derivatives are wanted. Sums are taken in
pairs: a processor waits for each sum in a row of them; and the stage that was evaluated last comes last: the rest is summed
while it is awaited.
"""

from __future__ import annotations

import numpy as np

from pkpd._jit import kernel

# the stage at the end of the step, which the next one begins with, and the number with those of the interpolant
LAST, ALL = 12, 16
# rows of ``k`` behind the stages: the solution at the beginning and at the end of the step, where a stage or a sample is
# evaluated, and (seven of them) the interpolant
Y, NEW, POINT, CURVE, ROWS = 16, 17, 18, 19, 26
# ``k`` is (ROWS, size), or the same in a line with rows of this length (no power of 2: they would share lines of the cache).
# A distance known to the compiler spares a loop over few states the check that rows do not overlap, which takes longer than it.
LINE = 72
_ROOT = 15 * (1023 << 52) // 16  # what is left of the exponent's offset when its sixteenth is taken
STABILITY = 6.1  # the method is stable up to about this product of step and (negative) eigenvalue


@kernel(allocates=False)
def node(stage):
    """The fraction of the step at which stage ``stage`` (from 0) is evaluated."""
    if stage == 1:
        return 0.05260015195876773
    if stage == 2:
        return 0.0789002279381516
    if stage == 3:
        return 0.1183503419072274
    if stage == 4:
        return 0.2816496580927726
    if stage == 5:
        return 0.3333333333333333
    if stage == 6:
        return 0.25
    if stage == 7:
        return 0.3076923076923077
    if stage == 8:
        return 0.6512820512820513
    if stage == 9:
        return 0.6
    if stage == 10:
        return 0.8571428571428571
    if stage == 13:
        return 0.1
    if stage == 14:
        return 0.2
    if stage == 15:
        return 0.7777777777777778
    return 1.0


@kernel(allocates=False)
def at(k, row, i):
    """Entry ``i`` of a row."""
    if k.ndim == 1:
        return k[row * LINE + i]
    return k[row, i]


@kernel(allocates=False)
def put(k, row, i, value):
    """Set entry ``i`` of a row."""
    if k.ndim == 1:
        k[row * LINE + i] = value
    else:
        k[row, i] = value


@kernel(allocates=False)
def extent(k, size):
    """How far loops over a row run: in a line to a multiple of four, over zeros, so that they are vectors throughout."""
    if k.ndim == 1:
        return ((size + 3) >> 2) << 2
    return size


@kernel(allocates=False)
def combine(size, h, k, stage):
    """Fill the row POINT for stage ``stage`` (from 1), or of 12, the new solution, NEW; 13 to 15 serve the interpolant."""
    if stage == 1:
        for i in range(extent(k, size)):
            value = at(k, Y, i) + h * (0.05260015195876773 * at(k, 0, i))
            put(k, POINT, i, value)
    elif stage == 2:
        for i in range(extent(k, size)):
            value = (at(k, Y, i) + h * (0.0197250569845379 * at(k, 0, i))) + (h * 0.0591751709536137) * at(
                k, 1, i
            )
            put(k, POINT, i, value)
    elif stage == 3:
        for i in range(extent(k, size)):
            value = (at(k, Y, i) + h * (0.02958758547680685 * at(k, 0, i))) + (h * 0.08876275643042054) * at(
                k, 2, i
            )
            put(k, POINT, i, value)
    elif stage == 4:
        for i in range(extent(k, size)):
            value = (
                at(k, Y, i) + h * (0.2413651341592667 * at(k, 0, i) + -0.8845494793282861 * at(k, 2, i))
            ) + (h * 0.924834003261792) * at(k, 3, i)
            put(k, POINT, i, value)
    elif stage == 5:
        for i in range(extent(k, size)):
            value = (
                at(k, Y, i) + h * (0.037037037037037035 * at(k, 0, i) + 0.17082860872947386 * at(k, 3, i))
            ) + (h * 0.12546768756682242) * at(k, 4, i)
            put(k, POINT, i, value)
    elif stage == 6:
        for i in range(extent(k, size)):
            value = (
                at(k, Y, i)
                + h
                * (
                    (0.037109375 * at(k, 0, i) + 0.17025221101954405 * at(k, 3, i))
                    + 0.06021653898045596 * at(k, 4, i)
                )
            ) + (h * -0.017578125) * at(k, 5, i)
            put(k, POINT, i, value)
    elif stage == 7:
        for i in range(extent(k, size)):
            value = (
                at(k, Y, i)
                + h
                * (
                    (0.03709200011850479 * at(k, 0, i) + 0.17038392571223998 * at(k, 3, i))
                    + (0.10726203044637328 * at(k, 4, i) + -0.015319437748624402 * at(k, 5, i))
                )
            ) + (h * 0.008273789163814023) * at(k, 6, i)
            put(k, POINT, i, value)
    elif stage == 8:
        for i in range(extent(k, size)):
            value = (
                at(k, Y, i)
                + h
                * (
                    (
                        (0.6241109587160757 * at(k, 0, i) + -3.3608926294469414 * at(k, 3, i))
                        + (-0.868219346841726 * at(k, 4, i) + 27.59209969944671 * at(k, 5, i))
                    )
                    + 20.154067550477894 * at(k, 6, i)
                )
            ) + (h * -43.48988418106996) * at(k, 7, i)
            put(k, POINT, i, value)
    elif stage == 9:
        for i in range(extent(k, size)):
            value = (
                at(k, Y, i)
                + h
                * (
                    (
                        (0.47766253643826434 * at(k, 0, i) + -2.4881146199716677 * at(k, 3, i))
                        + (-0.590290826836843 * at(k, 4, i) + 21.230051448181193 * at(k, 5, i))
                    )
                    + (15.279233632882423 * at(k, 6, i) + -33.28821096898486 * at(k, 7, i))
                )
            ) + (h * -0.020331201708508627) * at(k, 8, i)
            put(k, POINT, i, value)
    elif stage == 10:
        for i in range(extent(k, size)):
            value = (
                at(k, Y, i)
                + h
                * (
                    (
                        (-0.9371424300859873 * at(k, 0, i) + 5.186372428844064 * at(k, 3, i))
                        + (1.0914373489967295 * at(k, 4, i) + -8.149787010746927 * at(k, 5, i))
                    )
                    + (
                        (-18.52006565999696 * at(k, 6, i) + 22.739487099350505 * at(k, 7, i))
                        + 2.4936055526796523 * at(k, 8, i)
                    )
                )
            ) + (h * -3.0467644718982196) * at(k, 9, i)
            put(k, POINT, i, value)
    elif stage == 11:
        for i in range(extent(k, size)):
            value = (
                at(k, Y, i)
                + h
                * (
                    (
                        (2.273310147516538 * at(k, 0, i) + -10.53449546673725 * at(k, 3, i))
                        + (-2.0008720582248625 * at(k, 4, i) + -17.9589318631188 * at(k, 5, i))
                    )
                    + (
                        (27.94888452941996 * at(k, 6, i) + -2.8589982771350235 * at(k, 7, i))
                        + (-8.87285693353063 * at(k, 8, i) + 12.360567175794303 * at(k, 9, i))
                    )
                )
            ) + (h * 0.6433927460157636) * at(k, 10, i)
            put(k, POINT, i, value)
    elif stage == 12:
        for i in range(extent(k, size)):
            value = (
                at(k, Y, i)
                + h
                * (
                    (
                        (0.054293734116568765 * at(k, 0, i) + 4.450312892752409 * at(k, 5, i))
                        + (1.8915178993145003 * at(k, 6, i) + -5.801203960010585 * at(k, 7, i))
                    )
                    + (
                        (0.3111643669578199 * at(k, 8, i) + -0.1521609496625161 * at(k, 9, i))
                        + 0.20136540080403034 * at(k, 10, i)
                    )
                )
            ) + (h * 0.04471061572777259) * at(k, 11, i)
            put(k, NEW, i, value)
    elif stage == 13:
        for i in range(extent(k, size)):
            value = (
                at(k, Y, i)
                + h
                * (
                    (
                        (0.056167502283047954 * at(k, 0, i) + 0.25350021021662483 * at(k, 6, i))
                        + (-0.2462390374708025 * at(k, 7, i) + -0.12419142326381637 * at(k, 8, i))
                    )
                    + (
                        (0.15329179827876568 * at(k, 9, i) + 0.00820105229563469 * at(k, 10, i))
                        + 0.007567897660545699 * at(k, 11, i)
                    )
                )
            ) + (h * -0.008298) * at(k, 12, i)
            put(k, POINT, i, value)
    elif stage == 14:
        for i in range(extent(k, size)):
            value = (
                at(k, Y, i)
                + h
                * (
                    (
                        (0.03183464816350214 * at(k, 0, i) + 0.028300909672366776 * at(k, 5, i))
                        + (0.053541988307438566 * at(k, 6, i) + -0.05492374857139099 * at(k, 7, i))
                    )
                    + (
                        (-0.00010834732869724932 * at(k, 10, i) + 0.0003825710908356584 * at(k, 11, i))
                        + -0.00034046500868740456 * at(k, 12, i)
                    )
                )
            ) + (h * 0.1413124436746325) * at(k, 13, i)
            put(k, POINT, i, value)
    else:
        for i in range(extent(k, size)):
            value = (
                at(k, Y, i)
                + h
                * (
                    (
                        (-0.42889630158379194 * at(k, 0, i) + -4.697621415361164 * at(k, 5, i))
                        + (7.683421196062599 * at(k, 6, i) + 4.06898981839711 * at(k, 7, i))
                    )
                    + (
                        (0.3567271874552811 * at(k, 8, i) + -0.0013990241651590145 * at(k, 12, i))
                        + 2.9475147891527724 * at(k, 13, i)
                    )
                )
            ) + (h * -9.15095847217987) * at(k, 14, i)
            put(k, POINT, i, value)


@kernel(allocates=False)
def error_norm(n, h, k, rtol, atol):
    """Mean square of the states' error in units of their tolerance (the square of equation II.10.17)."""
    fifth, third = 0.0, 0.0
    for i in range(n):
        scale = 1.0 / (atol + rtol * max(abs(at(k, Y, i)), abs(at(k, NEW, i))))
        e5 = scale * (
            (
                (0.01312004499419488 * at(k, 0, i) + -1.2251564463762044 * at(k, 5, i))
                + (-0.4957589496572502 * at(k, 6, i) + 1.6643771824549864 * at(k, 7, i))
            )
            + (
                (-0.35032884874997366 * at(k, 8, i) + 0.3341791187130175 * at(k, 9, i))
                + (0.08192320648511571 * at(k, 10, i) + -0.022355307863886294 * at(k, 11, i))
            )
        )
        e3 = scale * (
            (
                (-0.18980075407240762 * at(k, 0, i) + 4.450312892752409 * at(k, 5, i))
                + (1.8915178993145003 * at(k, 6, i) + -5.801203960010585 * at(k, 7, i))
            )
            + (
                (-0.4226823213237919 * at(k, 8, i) + -0.1521609496625161 * at(k, 9, i))
                + (0.20136540080403034 * at(k, 10, i) + 0.02265179219836082 * at(k, 11, i))
            )
        )
        fifth += e5 * e5
        third += e3 * e3
    if fifth == 0.0 and third == 0.0:
        return 0.0
    return h * h * (fifth * fifth) / ((fifth + 0.01 * third) * n)


@kernel(allocates=False)
def shrink(square):
    """The factor by which a step of error² ``square`` is too long, to 6 % above: the error is of order 8.

    The sixteenth root by the exponent and, as if it were linear, the mantissa: three square roots took as long as a stage.
    """
    bits = np.float64(square).view(np.int64)
    return np.int64((bits >> 4) + _ROOT).view(np.float64)


@kernel(allocates=False)
def interpolant(size, h, k):
    """Fill the seven rows from CURVE with the coefficients of the solution within a step, from all stages."""
    for i in range(extent(k, size)):
        change = at(k, NEW, i) - at(k, Y, i)
        bend = h * at(k, 0, i) - change
        put(k, CURVE, i, change)
        put(k, CURVE + 1, i, bend)
        value = 2.0 * change - h * (at(k, 12, i) + at(k, 0, i))
        put(k, CURVE + 2, i, value)
        value = h * (
            (
                (
                    (-8.428938276109013 * at(k, 0, i) + 0.5667149535193777 * at(k, 5, i))
                    + (-3.0689499459498917 * at(k, 6, i) + 2.38466765651207 * at(k, 7, i))
                )
                + (
                    (2.117034582445028 * at(k, 8, i) + -0.871391583777973 * at(k, 9, i))
                    + (2.2404374302607883 * at(k, 10, i) + 0.6315787787694688 * at(k, 11, i))
                )
            )
            + (
                (-0.08899033645133331 * at(k, 12, i) + 18.148505520854727 * at(k, 13, i))
                + (-9.194632392478356 * at(k, 14, i) + -4.436036387594894 * at(k, 15, i))
            )
        )
        put(k, CURVE + 3, i, value)
        value = h * (
            (
                (
                    (10.427508642579134 * at(k, 0, i) + 242.28349177525817 * at(k, 5, i))
                    + (165.20045171727028 * at(k, 6, i) + -374.5467547226902 * at(k, 7, i))
                )
                + (
                    (-22.113666853125306 * at(k, 8, i) + 7.733432668472264 * at(k, 9, i))
                    + (-30.674084731089398 * at(k, 10, i) + -9.332130526430229 * at(k, 11, i))
                )
            )
            + (
                (15.697238121770845 * at(k, 12, i) + -31.139403219565178 * at(k, 13, i))
                + (-9.35292435884448 * at(k, 14, i) + 35.81684148639408 * at(k, 15, i))
            )
        )
        put(k, CURVE + 4, i, value)
        value = h * (
            (
                (
                    (19.985053242002433 * at(k, 0, i) + -387.0373087493518 * at(k, 5, i))
                    + (-189.17813819516758 * at(k, 6, i) + 527.8081592054236 * at(k, 7, i))
                )
                + (
                    (-11.57390253995963 * at(k, 8, i) + 6.8812326946963 * at(k, 9, i))
                    + (-1.0006050966910838 * at(k, 10, i) + 0.7777137798053443 * at(k, 11, i))
                )
            )
            + (
                (-2.778205752353508 * at(k, 12, i) + -60.19669523126412 * at(k, 13, i))
                + (84.32040550667716 * at(k, 14, i) + 11.99229113618279 * at(k, 15, i))
            )
        )
        put(k, CURVE + 5, i, value)
        value = h * (
            (
                (
                    (-25.69393346270375 * at(k, 0, i) + -154.18974869023643 * at(k, 5, i))
                    + (-231.5293791760455 * at(k, 6, i) + 357.6391179106141 * at(k, 7, i))
                )
                + (
                    (93.40532418362432 * at(k, 8, i) + -37.45832313645163 * at(k, 9, i))
                    + (104.0996495089623 * at(k, 10, i) + 29.8402934266605 * at(k, 11, i))
                )
            )
            + (
                (-43.53345659001114 * at(k, 12, i) + 96.32455395918828 * at(k, 13, i))
                + (-39.17726167561544 * at(k, 14, i) + -149.72683625798564 * at(k, 15, i))
            )
        )
        put(k, CURVE + 6, i, value)


@kernel(allocates=False)
def interpolate(size, s, k):
    """Fill the row POINT with the solution at fraction ``s`` of the step."""
    u = 1.0 - s
    for i in range(extent(k, size)):
        inner = at(k, CURVE + 3, i) + s * (
            at(k, CURVE + 4, i) + u * (at(k, CURVE + 5, i) + s * at(k, CURVE + 6, i))
        )
        inner = at(k, CURVE, i) + u * (at(k, CURVE + 1, i) + s * (at(k, CURVE + 2, i) + u * inner))
        put(k, POINT, i, at(k, Y, i) + s * inner)
