"""Input functions: how the amount of a dose enters its compartment over time, in closed form.

Each is a density of the time after dose, with integral one; a compartment that has one takes its doses through it alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy

from pkpd.errors import ModelError
from pkpd.language.symbols import number

__all__ = ["AFTER_DOSE", "InputFunction", "inverse_gaussian", "transit", "weibull"]

AFTER_DOSE = sympy.Symbol("time after dose", real=True)
_LATEST = 3


@dataclass(frozen=True)
class InputFunction:
    """Fraction of a dose that enters per unit of time, in :data:`AFTER_DOSE`; ``doses`` latest doses are superposed."""

    density: Any
    doses: int


def _made(density: Any, doses: int) -> InputFunction:
    if isinstance(doses, bool) or not isinstance(doses, int) or not 1 <= doses <= 20:
        raise ModelError(
            "E_MODEL_INPUT", f"doses={doses!r} of an input function.", "Give a whole number from 1 to 20."
        )
    return InputFunction(density, doses)


def transit(n: Any, *, mtt: Any = None, ktr: Any = None, doses: int = _LATEST) -> InputFunction:
    """Absorption through a chain of n transit compartments, n any number above zero.

    The density is ktr·(ktr·t)ⁿ·exp(-ktr·t)/Γ(n+1) with ktr = (n+1)/mtt: Savic, Jonker, Kerbusch & Karlsson, J Pharmacokinet
    Pharmacodyn 2007;34:711-726, equations 7 to 9.

    Parameters
    ----------
    n : quantity
        Number of transit compartments; not a whole number in general.
    mtt, ktr : quantity
        Mean transit time, or the rate constant; one of them.
    doses : int
        How many of the latest doses are superposed: what is left of a dose is lost when so many doses follow it. With 1 it is
        the form that NONMEM and nlmixr2 scripts use.

    Returns
    -------
    InputFunction
        For ``m.compartment(input=…)``.

    Raises
    ------
    ModelError
        ``E_MODEL_INPUT`` unless one of ``mtt`` and ``ktr`` is given, or for ``doses`` out of range.
    """
    if (mtt is None) == (ktr is None):
        raise ModelError("E_MODEL_INPUT", "transit() needs mtt= or ktr=.", "Give one of them.")
    count = number(n)
    rate = (count + 1) / number(mtt) if ktr is None else number(ktr)
    logarithm = sympy.log(rate) + count * sympy.log(rate * AFTER_DOSE) - rate * AFTER_DOSE
    return _made(sympy.exp(logarithm - sympy.loggamma(count + 1)), doses)


def weibull(scale: Any, shape: Any, *, doses: int = _LATEST) -> InputFunction:
    """Absorption times of a Weibull distribution, density (b/a)·(t/a)^(b-1)·exp(-(t/a)^b) with scale a and shape b.

    Piotrovskii, J Pharmacokinet Biopharm 1987;15:681-686. Below shape 1 the density is infinite at the dose, which no stepper
    gets past: bound the shape below by 1. Parameters ``doses``, errors and what is returned are those of :func:`transit`.
    """
    a, b = number(scale), number(shape)
    x = sympy.log(AFTER_DOSE / a)
    return _made(b / a * sympy.exp((b - 1) * x - sympy.exp(b * x)), doses)


def inverse_gaussian(mean: Any, cv2: Any, *, doses: int = _LATEST) -> InputFunction:
    """Absorption times of an inverse Gaussian distribution with mean M and relative dispersion CV² (variance over mean²).

    Its density is √(M/(2π·CV²·t³))·exp(-(t - M)²/(2·CV²·M·t)): Weiss, Eur J Pharm Sci 1996;4:S21. Parameters ``doses``,
    errors and what is returned are those of :func:`transit`.
    """
    m, d, t = number(mean), number(cv2), AFTER_DOSE
    logarithm = sympy.log(m / (2 * sympy.pi * d)) / 2 - sympy.log(t) * sympy.Rational(3, 2)
    density = sympy.exp(logarithm - (t - m) ** 2 / (2 * d * m * t))
    # before, it is below the smallest number, but t^(-3/2) may be beyond the largest
    return _made(sympy.Piecewise((density, 1400 * d * t > m), (0, True)), doses)
