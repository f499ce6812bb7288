"""The explicit Runge-Kutta method of order 8(5,3) of Dormand and Prince with its interpolant of order 7, written out.

Coefficients: Hairer, Nørsett & Wanner, Solving Ordinary Differential Equations I, 2nd ed., II.5 and II.6 (DOP853).
Works on flat arrays (size,): the n states, then their sensitivities. The error is that of the states alone, so that
steps, and with them the objective, do not depend on whether derivatives are wanted. Sums are taken in pairs: a processor waits
for each sum in a row of them.
"""

from __future__ import annotations

import math

from pkpd._jit import kernel

# the stage at the end of the step, which the next one begins with, and the number with those of the interpolant
LAST, ALL = 12, 16
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
def combine(size, y, h, k, stage, out):
    """The point at which stage ``stage`` (from 1) is evaluated; stage 12 is the new solution, 13 to 15 serve the interpolant."""
    if stage == 1:
        for i in range(size):
            out[i] = y[i] + h * (0.05260015195876773 * k[0, i])
    elif stage == 2:
        for i in range(size):
            out[i] = y[i] + h * (0.0197250569845379 * k[0, i] + 0.0591751709536137 * k[1, i])
    elif stage == 3:
        for i in range(size):
            out[i] = y[i] + h * (0.02958758547680685 * k[0, i] + 0.08876275643042054 * k[2, i])
    elif stage == 4:
        for i in range(size):
            out[i] = y[i] + h * (
                (0.2413651341592667 * k[0, i] + -0.8845494793282861 * k[2, i]) + 0.924834003261792 * k[3, i]
            )
    elif stage == 5:
        for i in range(size):
            out[i] = y[i] + h * (
                (0.037037037037037035 * k[0, i] + 0.17082860872947386 * k[3, i])
                + 0.12546768756682242 * k[4, i]
            )
    elif stage == 6:
        for i in range(size):
            out[i] = y[i] + h * (
                (0.037109375 * k[0, i] + 0.17025221101954405 * k[3, i])
                + (0.06021653898045596 * k[4, i] + -0.017578125 * k[5, i])
            )
    elif stage == 7:
        for i in range(size):
            out[i] = y[i] + h * (
                (
                    (0.03709200011850479 * k[0, i] + 0.17038392571223998 * k[3, i])
                    + (0.10726203044637328 * k[4, i] + -0.015319437748624402 * k[5, i])
                )
                + 0.008273789163814023 * k[6, i]
            )
    elif stage == 8:
        for i in range(size):
            out[i] = y[i] + h * (
                (
                    (0.6241109587160757 * k[0, i] + -3.3608926294469414 * k[3, i])
                    + (-0.868219346841726 * k[4, i] + 27.59209969944671 * k[5, i])
                )
                + (20.154067550477894 * k[6, i] + -43.48988418106996 * k[7, i])
            )
    elif stage == 9:
        for i in range(size):
            out[i] = y[i] + h * (
                (
                    (0.47766253643826434 * k[0, i] + -2.4881146199716677 * k[3, i])
                    + (-0.590290826836843 * k[4, i] + 21.230051448181193 * k[5, i])
                )
                + (
                    (15.279233632882423 * k[6, i] + -33.28821096898486 * k[7, i])
                    + -0.020331201708508627 * k[8, i]
                )
            )
    elif stage == 10:
        for i in range(size):
            out[i] = y[i] + h * (
                (
                    (-0.9371424300859873 * k[0, i] + 5.186372428844064 * k[3, i])
                    + (1.0914373489967295 * k[4, i] + -8.149787010746927 * k[5, i])
                )
                + (
                    (-18.52006565999696 * k[6, i] + 22.739487099350505 * k[7, i])
                    + (2.4936055526796523 * k[8, i] + -3.0467644718982196 * k[9, i])
                )
            )
    elif stage == 11:
        for i in range(size):
            out[i] = y[i] + h * (
                (
                    (
                        (2.273310147516538 * k[0, i] + -10.53449546673725 * k[3, i])
                        + (-2.0008720582248625 * k[4, i] + -17.9589318631188 * k[5, i])
                    )
                    + (
                        (27.94888452941996 * k[6, i] + -2.8589982771350235 * k[7, i])
                        + (-8.87285693353063 * k[8, i] + 12.360567175794303 * k[9, i])
                    )
                )
                + 0.6433927460157636 * k[10, i]
            )
    elif stage == 12:
        for i in range(size):
            out[i] = y[i] + h * (
                (
                    (0.054293734116568765 * k[0, i] + 4.450312892752409 * k[5, i])
                    + (1.8915178993145003 * k[6, i] + -5.801203960010585 * k[7, i])
                )
                + (
                    (0.3111643669578199 * k[8, i] + -0.1521609496625161 * k[9, i])
                    + (0.20136540080403034 * k[10, i] + 0.04471061572777259 * k[11, i])
                )
            )
    elif stage == 13:
        for i in range(size):
            out[i] = y[i] + h * (
                (
                    (0.056167502283047954 * k[0, i] + 0.25350021021662483 * k[6, i])
                    + (-0.2462390374708025 * k[7, i] + -0.12419142326381637 * k[8, i])
                )
                + (
                    (0.15329179827876568 * k[9, i] + 0.00820105229563469 * k[10, i])
                    + (0.007567897660545699 * k[11, i] + -0.008298 * k[12, i])
                )
            )
    elif stage == 14:
        for i in range(size):
            out[i] = y[i] + h * (
                (
                    (0.03183464816350214 * k[0, i] + 0.028300909672366776 * k[5, i])
                    + (0.053541988307438566 * k[6, i] + -0.05492374857139099 * k[7, i])
                )
                + (
                    (-0.00010834732869724932 * k[10, i] + 0.0003825710908356584 * k[11, i])
                    + (-0.00034046500868740456 * k[12, i] + 0.1413124436746325 * k[13, i])
                )
            )
    else:
        for i in range(size):
            out[i] = y[i] + h * (
                (
                    (-0.42889630158379194 * k[0, i] + -4.697621415361164 * k[5, i])
                    + (7.683421196062599 * k[6, i] + 4.06898981839711 * k[7, i])
                )
                + (
                    (0.3567271874552811 * k[8, i] + -0.0013990241651590145 * k[12, i])
                    + (2.9475147891527724 * k[13, i] + -9.15095847217987 * k[14, i])
                )
            )


@kernel(allocates=False)
def error_norm(n, y, new, h, k, rtol, atol):
    """Root mean square of the states' error in units of their tolerance (equation II.10.17)."""
    fifth, third = 0.0, 0.0
    for i in range(n):
        scale = 1.0 / (atol + rtol * max(abs(y[i]), abs(new[i])))
        e5 = scale * (
            (
                (0.01312004499419488 * k[0, i] + -1.2251564463762044 * k[5, i])
                + (-0.4957589496572502 * k[6, i] + 1.6643771824549864 * k[7, i])
            )
            + (
                (-0.35032884874997366 * k[8, i] + 0.3341791187130175 * k[9, i])
                + (0.08192320648511571 * k[10, i] + -0.022355307863886294 * k[11, i])
            )
        )
        e3 = scale * (
            (
                (-0.18980075407240762 * k[0, i] + 4.450312892752409 * k[5, i])
                + (1.8915178993145003 * k[6, i] + -5.801203960010585 * k[7, i])
            )
            + (
                (-0.4226823213237919 * k[8, i] + -0.1521609496625161 * k[9, i])
                + (0.20136540080403034 * k[10, i] + 0.02265179219836082 * k[11, i])
            )
        )
        fifth += e5 * e5
        third += e3 * e3
    if fifth == 0.0 and third == 0.0:
        return 0.0
    return abs(h) * fifth / math.sqrt((fifth + 0.01 * third) * n)


@kernel(allocates=False)
def shrink(error):
    """The factor by which a step of error ``error`` is too long: the error is of order 8."""
    return math.sqrt(math.sqrt(math.sqrt(error)))


@kernel(allocates=False)
def interpolant(size, y, new, h, k, w):
    """Coefficients ``w`` (7, size) of the solution within a step, from all stages."""
    for i in range(size):
        change = new[i] - y[i]
        bend = h * k[0, i] - change
        w[0, i] = change
        w[1, i] = bend
        w[2, i] = 2.0 * change - h * (k[12, i] + k[0, i])
        w[3, i] = h * (
            (
                (
                    (-8.428938276109013 * k[0, i] + 0.5667149535193777 * k[5, i])
                    + (-3.0689499459498917 * k[6, i] + 2.38466765651207 * k[7, i])
                )
                + (
                    (2.117034582445028 * k[8, i] + -0.871391583777973 * k[9, i])
                    + (2.2404374302607883 * k[10, i] + 0.6315787787694688 * k[11, i])
                )
            )
            + (
                (-0.08899033645133331 * k[12, i] + 18.148505520854727 * k[13, i])
                + (-9.194632392478356 * k[14, i] + -4.436036387594894 * k[15, i])
            )
        )
        w[4, i] = h * (
            (
                (
                    (10.427508642579134 * k[0, i] + 242.28349177525817 * k[5, i])
                    + (165.20045171727028 * k[6, i] + -374.5467547226902 * k[7, i])
                )
                + (
                    (-22.113666853125306 * k[8, i] + 7.733432668472264 * k[9, i])
                    + (-30.674084731089398 * k[10, i] + -9.332130526430229 * k[11, i])
                )
            )
            + (
                (15.697238121770845 * k[12, i] + -31.139403219565178 * k[13, i])
                + (-9.35292435884448 * k[14, i] + 35.81684148639408 * k[15, i])
            )
        )
        w[5, i] = h * (
            (
                (
                    (19.985053242002433 * k[0, i] + -387.0373087493518 * k[5, i])
                    + (-189.17813819516758 * k[6, i] + 527.8081592054236 * k[7, i])
                )
                + (
                    (-11.57390253995963 * k[8, i] + 6.8812326946963 * k[9, i])
                    + (-1.0006050966910838 * k[10, i] + 0.7777137798053443 * k[11, i])
                )
            )
            + (
                (-2.778205752353508 * k[12, i] + -60.19669523126412 * k[13, i])
                + (84.32040550667716 * k[14, i] + 11.99229113618279 * k[15, i])
            )
        )
        w[6, i] = h * (
            (
                (
                    (-25.69393346270375 * k[0, i] + -154.18974869023643 * k[5, i])
                    + (-231.5293791760455 * k[6, i] + 357.6391179106141 * k[7, i])
                )
                + (
                    (93.40532418362432 * k[8, i] + -37.45832313645163 * k[9, i])
                    + (104.0996495089623 * k[10, i] + 29.8402934266605 * k[11, i])
                )
            )
            + (
                (-43.53345659001114 * k[12, i] + 96.32455395918828 * k[13, i])
                + (-39.17726167561544 * k[14, i] + -149.72683625798564 * k[15, i])
            )
        )


@kernel(allocates=False)
def interpolate(size, y, w, s, out):
    """The solution at fraction ``s`` of the step."""
    u = 1.0 - s
    for i in range(size):
        inner = w[3, i] + s * (w[4, i] + u * (w[5, i] + s * w[6, i]))
        out[i] = y[i] + s * (w[0, i] + u * (w[1, i] + s * (w[2, i] + u * inner)))
