"""Derivatives of the logarithm of the gamma function: ψ⁽ᵐ⁾(x) of orders 0 (digamma), 1 (trigamma) and above."""

from __future__ import annotations

import math

from pkpd._jit import f8, i8, kernel


@kernel(f8(i8, f8))
def polygamma(m, x):
    """ψ⁽ᵐ⁾(x) for x > 0 by the asymptotic series above x = 15 and the recurrence below it.

    Abramowitz & Stegun, Handbook of Mathematical Functions, 6.3.18, 6.4.6 and 6.4.11.
    """
    if not x > 0.0:
        return math.nan
    factorial = 1.0  # (m - 1)!
    for k in range(1, m):
        factorial *= k
    sign = 1.0 if m % 2 == 1 else -1.0  # (-1)^(m+1)
    shifted = 0.0
    while x < 15.0:
        # ψ⁽ᵐ⁾(x) = ψ⁽ᵐ⁾(x + 1) - (-1)ᵐ m!/xᵐ⁺¹
        shifted += sign * factorial * max(m, 1) / x ** (m + 1)
        x += 1.0
    if m == 0:
        total = math.log(x) - 0.5 / x
    else:
        total = sign * (factorial / x**m + 0.5 * factorial * m / x ** (m + 1))
    # Bernoulli numbers B₂ₖ
    numbers = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6)
    ratio = 1.0  # (2k + m - 1)!/(2k)!
    for k in range(7):
        order = 2 * (k + 1)
        if m == 0:
            total -= numbers[k] / (order * x**order)
        else:
            ratio = 1.0
            for j in range(1, m):
                ratio *= order + j
            total += sign * numbers[k] * ratio / x ** (order + m)
    return total + shifted
