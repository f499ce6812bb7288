"""The (sigmoid) Emax curve with histology-specific parameters, and its derivatives.

value = linear part + emax[k] · s, s = x^h / (EC50[k]^h + x^h) = expit(h (ln x − ln EC50[k])).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pkpd.response.regressors import Regressors

__all__ = ["EmaxLayout", "ec50_notes", "emax_curve", "linear_part"]


@dataclass(frozen=True)
class EmaxLayout:
    """Where each kind of parameter is in the vector: linear part, emax, log EC50, log h.

    Attributes
    ----------
    linear, histologies : int
        Number of coefficients of the linear part; number of histologies.
    many_emax, many_ec50, hill : bool
        One emax, one EC50 per histology; h estimated.
    """

    linear: int
    histologies: int
    many_emax: bool
    many_ec50: bool
    hill: bool

    @property
    def emax(self) -> int:
        """Position of the first emax."""
        return self.linear

    @property
    def ec50(self) -> int:
        """Position of the first log EC50."""
        return self.linear + (self.histologies if self.many_emax else 1)

    @property
    def size(self) -> int:
        """Number of parameters."""
        return self.ec50 + (self.histologies if self.many_ec50 else 1) + int(self.hill)

    @staticmethod
    def of(linear: Regressors, slopes: str, ec50: str, hill: bool) -> EmaxLayout:
        """Layout for a linear part and the options of a fit."""
        k = len(linear.histologies)
        return EmaxLayout(
            len(linear.names), k, k > 1 and slopes == "separate", k > 1 and ec50 == "separate", hill
        )

    def names(self, linear: Regressors) -> list[str]:
        """Names of the parameters, in order."""
        per = linear.histologies
        emax = [f"emax[{k}]" for k in per] if self.many_emax else ["emax"]
        ec50 = [f"log_ec50[{k}]" for k in per] if self.many_ec50 else ["log_ec50"]
        return [*linear.names, *emax, *ec50, *(["log_hill"] if self.hill else [])]


def linear_part(full: Regressors) -> Regressors:
    """Intercepts and covariates of a model, without its exposure."""
    return Regressors(
        None,
        full.histology,
        "linear",
        "none",
        full.intercepts,
        0.0,
        full.histologies,
        full.covariate_means,
        full.covariate_levels,
    )


def ec50_notes(b: np.ndarray, x: np.ndarray, layout: EmaxLayout) -> list[str]:
    """Say which estimated EC50 lie outside the positive exposures that were seen."""
    low, high = x[x > 0].min(), x[x > 0].max()
    values = np.exp(b[layout.ec50 : layout.size - int(layout.hill)])
    return [
        f"W_EC50_OUTSIDE: the estimated EC50 {value:.4g} lies outside the exposures {low:.4g} to {high:.4g};"
        " it is an extrapolation."
        for value in values
        if not low <= value <= high
    ]


def emax_curve(
    b: np.ndarray, rows: np.ndarray, x: np.ndarray, level: np.ndarray, layout: EmaxLayout
) -> tuple[np.ndarray, np.ndarray, list[tuple[np.ndarray, np.ndarray, np.ndarray]]]:
    """Value of the curve, its gradient and its second derivatives.

    Parameters
    ----------
    b : ndarray, shape (p,)
        Parameters as :class:`EmaxLayout` orders them.
    rows : ndarray, shape (n, linear)
        Design of the linear part.
    x : ndarray, shape (n,)
        Exposures, 0 or more.
    level : ndarray of int, shape (n,)
        Histology of each row.
    layout : EmaxLayout

    Returns
    -------
    value : ndarray, shape (n,)
    gradient : ndarray, shape (n, p)
    second : list of (i, j, values)
        Second derivatives that are not zero: parameters i <= j and value per row, each of shape (n,).
    """
    n, p = len(x), layout.size
    at_emax = layout.emax + (level if layout.many_emax else np.zeros(n, dtype=np.int64))
    at_ec50 = layout.ec50 + (level if layout.many_ec50 else np.zeros(n, dtype=np.int64))
    hill = np.exp(b[-1]) if layout.hill else 1.0
    with np.errstate(divide="ignore"):
        distance = np.where(x > 0, np.log(x), -np.inf) - b[at_ec50]
    q = np.clip(hill * distance, -700.0, 700.0)
    s = np.where(x > 0, 1 / (1 + np.exp(-q)), 0.0)
    s1 = s * (1 - s)
    s2 = s1 * (1 - 2 * s)
    top = b[at_emax]
    eta = rows @ b[: layout.linear] + top * s
    gradient = np.zeros((n, p))
    here = np.arange(n)
    gradient[:, : layout.linear] = rows
    gradient[here, at_emax] = s
    gradient[here, at_ec50] = -top * s1 * hill
    second = [(at_emax, at_ec50, -s1 * hill), (at_ec50, at_ec50, top * s2 * hill**2)]
    if layout.hill:
        last = np.full(n, p - 1)
        # x = 0 has s1 = s2 = 0 and an infinite distance: its products are 0
        qs = np.where(x > 0, q, 0.0)
        gradient[:, -1] = top * s1 * qs
        second += [
            (at_emax, last, s1 * qs),
            (at_ec50, last, -top * hill * (s2 * qs + s1)),
            (last, last, top * (s2 * qs**2 + s1 * qs)),
        ]
    return eta, gradient, second
