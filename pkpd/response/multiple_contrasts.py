"""MCP-Mod: is there a dose-response, and what shape has it, without choosing the shape by eye.

Bretz F, Pinheiro JC, Branson M. Biometrics 2005;61:738-748; in the general form of Pinheiro J, et al. Stat Med
2014;33:1646-1661: estimates per dose with their covariance are all that is used, so proportions go the same way as means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.response.columns import binary_of, numbers_of, subjects_of
from pkpd.response.dose_shapes import SHAPES, profile_grid, standard_shape
from pkpd.response.estimates import coverage
from pkpd.response.evidence import UNSTATED, stated_evidence
from pkpd.response.largest_statistic import largest_statistic_p
from pkpd.results import result

__all__ = ["McpModResult", "max_contrast_p", "mcp_mod", "optimal_contrasts"]

PURPOSE = 0x4D43  # keeps these random numbers apart from those of other tasks with the same seed


@result
@dataclass(frozen=True)
class McpModResult:
    """Outcome of the multiple contrast test and of modelling.

    Attributes
    ----------
    estimates : DataFrame
        dose, n, estimate, se: means, or log-odds for a binary response.
    covariance : ndarray, shape (k, k)
        Of the estimates.
    degrees_of_freedom : float
        Of the t distribution; infinite for a binary response.
    contrasts : DataFrame
        One row per candidate, one column per dose: optimal contrast coefficients of length 1.
    tests : DataFrame
        Indexed by candidate: model, statistic, p_value (adjusted for the maximum over candidates), significant.
    alpha : float
        One-sided level.
    fits : DataFrame
        One row per shape among the significant candidates: model, e0, e1, parameters of the shape (NaN where it has
        none), aic (for a binary response its general form, gAIC), weight (exp(−ΔAIC/2), summing to 1). Empty where
        nothing is significant.
    family : str
        ``"normal"`` or ``"binomial"``.
    seed : int
        Of the draws behind the interval of the averaged curve.
    evidence : str
        Evidence class (EC1 randomised doses, EC2 several doses, EC3 one dose) of the doses in the data.
    """

    estimates: pd.DataFrame
    covariance: np.ndarray
    degrees_of_freedom: float
    contrasts: pd.DataFrame
    tests: pd.DataFrame
    alpha: float
    fits: pd.DataFrame
    family: str
    seed: int
    evidence: str = UNSTATED

    def curve(self, doses, level: float = 0.90, n_draws: int = 500) -> pd.DataFrame:
        """Model-averaged response along doses: predictions are averaged, not parameters.

        Intervals are percentiles over estimates drawn from their normal distribution, every shape refitted and the
        weights computed anew in each draw (so that they include what choosing among shapes costs).

        Returns
        -------
        DataFrame
            dose, estimate, lower, upper (log-odds for a binary response).
        """
        if self.fits.empty:
            raise InputError(
                "E_NO_DOSE_RESPONSE",
                f"no candidate is significant at one-sided {self.alpha}; there is no curve to draw.",
                "Report the multiple contrast test.",
            )
        tail = (1 - coverage(level)) / 2
        d = np.atleast_1d(np.asarray(doses, dtype=float))
        sequence = np.random.SeedSequence(self.seed, spawn_key=(PURPOSE,))
        normal = np.random.Generator(np.random.Philox(sequence)).standard_normal(
            (n_draws, len(self.estimates))
        )
        centre = self.estimates["estimate"].to_numpy()
        drawn = centre + np.einsum("ij,kj->ik", normal, np.linalg.cholesky(self.covariance))
        known = self.estimates["dose"].to_numpy()
        middle = np.zeros(len(d))
        for row in self.fits.itertuples():
            parameters = np.array([[getattr(row, name) for name in SHAPES[str(row.model)]]], dtype=float)
            shape = standard_shape(str(row.model), d, parameters, known.max())[0]
            middle += row.weight * (row.e0 + row.e1 * shape)
        models = self.fits["model"].tolist()
        counted = self.estimates["n"].to_numpy() if self.family == "normal" else None
        others = _averaged(models, known, drawn, self.covariance, counted, d)
        lower, upper = np.quantile(others, [tail, 1 - tail], axis=0)
        return pd.DataFrame({"dose": d, "estimate": middle, "lower": lower, "upper": upper})


def mcp_mod(
    frame: pd.DataFrame,
    response: str,
    dose: str,
    *,
    models: Mapping[str, Sequence[float] | None],
    family: str = "normal",
    alpha: float = 0.025,
    increasing: bool = True,
    seed: int = 0,
    randomised: bool = False,
) -> McpModResult:
    """Test for a dose-response over candidate shapes, then average the shapes that carry it.

    Parameters
    ----------
    frame : DataFrame
        One row per subject.
    response, dose : str
        Columns: continuous or 0/1 response; dose, 0 for placebo.
    models : mapping
        Candidates, name to parameters of the shape: ``{"linear": None, "emax": [20], "sigmoid_emax": [50, 3],
        "exponential": [60], "logistic": [50, 10], "loglinear": None, "quadratic": [-0.005]}``.
        A name may carry a suffix after a space (``"emax 2"``) so that one shape can be there twice.
    family : {"normal", "binomial"}
        Means with a pooled variance, or log-odds of (events + ½)/(others + ½) (finite for groups of zero events).
    alpha : float
        One-sided level of the maximum.
    increasing : bool
        Direction of benefit.
    seed : int
        Of the draws behind intervals of the averaged curve.
    randomised : bool
        Whether doses were randomised, which the evidence class of the result states.

    Returns
    -------
    McpModResult

    Raises
    ------
    InputError
        ``E_MODEL_UNKNOWN``, ``E_MODEL_PARAMETERS``, ``E_TOO_FEW_DOSES`` and column errors.
    """
    if family not in ("normal", "binomial"):
        raise InputError("E_OPTION", f"family={family!r}.", "Choose normal or binomial.")
    if not 0 < alpha < 0.5 or seed < 0:
        raise InputError(
            "E_OPTION", f"alpha={alpha!r}, seed={seed!r}.", "Give 0 < alpha < 0.5 and a seed >= 0."
        )
    ids = subjects_of(frame)
    d = numbers_of(frame, dose, ids, "E_DOSE", "dose")
    if (d < 0).any():
        raise InputError("E_DOSE_NEGATIVE", f"column {dose} has negative doses.", "Correct them.")
    y = (
        binary_of(frame, response, ids)
        if family == "binomial"
        else numbers_of(frame, response, ids, "E_RESPONSE", "response")
    )
    doses, at, n = np.unique(d, return_inverse=True, return_counts=True)
    if len(doses) < 3 or (family == "normal" and len(y) <= len(doses)):
        raise InputError(
            "E_TOO_FEW_DOSES",
            f"{len(doses)} doses with {len(y)} subjects.",
            "Shapes need three doses and replicates.",
        )
    if y.min() == y.max():
        raise InputError(
            "E_ENDPOINT_CONSTANT",
            f"response {response} is {y[0]:g} in every subject: no effect of dose can show.",
            "Bring data that vary.",
        )
    total = np.bincount(at, weights=y)
    if family == "normal":
        estimate = total / n
        df = float(len(y) - len(doses))
        variance = float(np.sum((y - estimate[at]) ** 2)) / df / n
    else:
        estimate = np.log((total + 0.5) / (n - total + 0.5))
        df, variance = np.inf, 1 / (total + 0.5) + 1 / (n - total + 0.5)
    if not np.all(variance > 1e-24 * np.max(np.abs(y)) ** 2):  # rounding of a mean
        raise InputError(
            "E_ENDPOINT_CONSTANT",
            f"response {response} does not vary within doses: there is no error to test against.",
            "Bring one row per subject, not means.",
        )
    covariance = np.diag(variance)
    shapes = _candidates(models, doses)
    contrasts = optimal_contrasts(np.array(list(shapes.values())), covariance) * (1 if increasing else -1)
    statistic = contrasts @ estimate / np.sqrt(np.einsum("mi,ij,mj->m", contrasts, covariance, contrasts))
    p_value = max_contrast_p(statistic, contrasts, covariance, df)
    tests = pd.DataFrame(
        {
            "model": [name.split(" ")[0] for name in shapes],
            "statistic": statistic,
            "p_value": p_value,
            "significant": p_value < alpha,
        },
        index=pd.Index(list(shapes), name="candidate"),
    )
    chosen = list(dict.fromkeys(tests.loc[tests["significant"], "model"]))
    return McpModResult(
        estimates=pd.DataFrame({"dose": doses, "n": n, "estimate": estimate, "se": np.sqrt(variance)}),
        covariance=covariance,
        degrees_of_freedom=df,
        contrasts=pd.DataFrame(contrasts, index=list(shapes), columns=[f"{v:g}" for v in doses]),
        tests=tests,
        alpha=float(alpha),
        fits=_fits(chosen, doses, estimate, covariance, n if family == "normal" else None),
        family=family,
        seed=int(seed),
        evidence=stated_evidence(frame, dose, randomised),
    )


def optimal_contrasts(means: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Contrasts with the largest power for given mean vectors: c ∝ S⁻¹ (μ − μ'S⁻¹1 / 1'S⁻¹1), of length 1.

    Parameters
    ----------
    means : ndarray, shape (m, k)
        Standardised means of each candidate at the doses.
    covariance : ndarray, shape (k, k)

    Returns
    -------
    ndarray, shape (m, k)
    """
    inverse = np.linalg.inv(covariance)
    weight = inverse.sum(axis=0) / inverse.sum()
    raw = (means - (means @ weight)[:, None]) @ inverse
    return raw / np.sqrt(np.sum(raw**2, axis=1, keepdims=True))


def max_contrast_p(
    statistic: np.ndarray, contrasts: np.ndarray, covariance: np.ndarray, df: float
) -> np.ndarray:
    """One-sided p-values adjusted for the maximum: P(max T ≥ t) under the multivariate t (or normal) distribution.

    See :func:`pkpd.response.largest_statistic.largest_statistic_p`.
    """
    inner = contrasts @ covariance @ contrasts.T
    scale = np.sqrt(np.diag(inner))
    return largest_statistic_p(statistic, inner / np.outer(scale, scale), df, two_sided=False)


def _candidates(models: Mapping[str, Sequence[float] | None], doses: np.ndarray) -> dict[str, np.ndarray]:
    if not models:
        raise InputError(
            "E_MODEL_UNKNOWN", "no candidate model was given.", f"Choose among {', '.join(SHAPES)}."
        )
    out = {}
    for name, parameters in models.items():
        shape = str(name).split(" ")[0]
        if shape not in SHAPES:
            raise InputError(
                "E_MODEL_UNKNOWN", f"there is no shape {shape!r}.", f"Choose among {', '.join(SHAPES)}."
            )
        values = np.atleast_1d(np.asarray([] if parameters is None else parameters, dtype=float))
        # a curvature has a sign: that of a response that falls again is negative
        fine = np.isfinite(values) & ((values != 0) if shape == "quadratic" else (values > 0))
        if len(values) != len(SHAPES[shape]) or not fine.all():
            sign = "" if shape == "quadratic" else "positive "
            raise InputError(
                "E_MODEL_PARAMETERS",
                f"candidate {name!r} needs {len(SHAPES[shape])} {sign}parameters"
                f" ({', '.join(SHAPES[shape]) or 'none'}), not {list(values)}.",
                "Give one guess, ED50 and δ in the unit of dose; a second guess of a shape is named 'emax 2'.",
            )
        out[str(name)] = standard_shape(shape, doses, values[None, :], doses.max())[0]
    return out


def _profile(
    model: str,
    doses: np.ndarray,
    estimates: np.ndarray,
    covariance: np.ndarray,
    grid: np.ndarray | None = None,
):
    """Best generalised least-squares fit of one shape to each row of estimates, over a grid of its parameters."""
    inverse = np.linalg.inv(covariance)
    grid = profile_grid(model, doses.max()) if grid is None else grid
    shape = standard_shape(model, doses, grid, doses.max())
    weight = inverse.sum(axis=0) / inverse.sum()
    f = shape - (shape @ weight)[:, None]
    y = estimates - (estimates @ weight)[:, None]
    cross = f @ inverse @ y.T  # (grid, draws)
    square = np.einsum("gi,ij,gj->g", f, inverse, f)
    gain = cross**2 / square[:, None]
    best = np.argmax(gain, axis=0)
    column = np.arange(len(estimates))
    e1 = cross[best, column] / square[best]
    e0 = estimates @ weight - e1 * (shape @ weight)[best]
    return e0, e1, grid[best], np.einsum("di,ij,dj->d", y, inverse, y) - gain[best, column]


def _aic(rss: np.ndarray, parameters: int, covariance: np.ndarray, n: np.ndarray | None) -> np.ndarray:
    """Akaike's criterion of generalised residual sums of squares; of the subjects' own likelihood where n is given.

    The pooled variance s² has been divided out of `rss`, so that all subjects' residual sum of squares is s² (ν + rss).
    """
    if n is None:
        return rss + 2 * (2 + parameters)
    total = n.sum()
    variance = float(covariance[0, 0] * n[0]) * (total - len(n) + rss) / total
    return total * (np.log(2 * np.pi * variance) + 1) + 2 * (3 + parameters)


def _finest(model: str, doses: np.ndarray, estimate: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Parameters of a shape at the minimum, within the bounds of its grid; the grid's best point starts the search."""
    from scipy.optimize import minimize

    grid = profile_grid(model, doses.max())
    if not grid.shape[1]:
        return grid
    if model == "quadratic":
        # linear in d and d²; of d² alone the curvature has no end
        inverse = np.linalg.inv(covariance)
        design = np.column_stack([np.ones_like(doses), doses, doses**2])
        _, slope, square = np.linalg.solve(design.T @ inverse @ design, design.T @ inverse @ estimate)
        return np.array([[square / slope if abs(slope) > 1e-9 * abs(square) else 1e9]])
    start = np.log(_profile(model, doses, estimate[None, :], covariance, grid)[2][0])
    bounds = list(zip(np.log(grid.min(axis=0)), np.log(grid.max(axis=0)), strict=True))

    def criterion(logs: np.ndarray) -> float:
        return float(_profile(model, doses, estimate[None, :], covariance, np.exp(logs)[None, :])[3][0])

    found = minimize(
        criterion, start, method="Nelder-Mead", bounds=bounds, options={"xatol": 1e-9, "fatol": 1e-12}
    )
    return np.exp(found.x)[None, :]


def _fits(models: list[str], doses, estimate, covariance, n: np.ndarray | None) -> pd.DataFrame:
    rows = []
    for model in models:
        grid = _finest(model, doses, estimate, covariance)
        e0, e1, parameters, rss = _profile(model, doses, estimate[None, :], covariance, grid)
        values = dict(zip(SHAPES[model], parameters[0], strict=True))
        aic = float(_aic(rss, grid.shape[1], covariance, n)[0])
        rows.append({"model": model, "e0": e0[0], "e1": e1[0]} | values | {"aic": aic})
    table = pd.DataFrame(rows)
    if len(table):
        raw = np.exp(-(table["aic"] - table["aic"].min()) / 2)
        table["weight"] = raw / raw.sum()
    return table


def _averaged(models, known, estimates, covariance, n: np.ndarray | None, doses) -> np.ndarray:
    predictions, criteria = [], []
    for model in models:
        e0, e1, parameters, rss = _profile(model, known, estimates, covariance)
        predictions.append(e0[:, None] + e1[:, None] * standard_shape(model, doses, parameters, known.max()))
        criteria.append(_aic(rss, parameters.shape[1], covariance, n))
    criterion = np.array(criteria)
    weight = np.exp(-(criterion - criterion.min(axis=0)) / 2)
    return np.einsum("md,mdi->di", weight / weight.sum(axis=0), np.array(predictions))
