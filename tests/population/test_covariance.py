"""R, S and the sandwich against second differences of the objective and differences of the subjects' parts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd.language.scales import Scales
from pkpd.population.covariance import covariance_step
from pkpd.population.objective import Objective

KINDS = {"R": "R⁻¹", "S": "S⁻¹", "sandwich": "sandwich R⁻¹SR⁻¹"}


@pytest.fixture(scope="module")
def fits():
    data = pkpd.read_dataset("datasets/theophylline/theophylline.csv")
    model = pkpd.load_model("theophylline").fix("V")
    return {kind: pkpd.fit(model, data, pkpd.FOCEI(covariance=kind)) for kind in KINDS}


@pytest.fixture(scope="module")
def by_differences(fits):
    """R and S of the free natural parameters from the objective alone."""
    fit = fits["R"]
    problem = fit.problem
    scales = Scales(problem)
    objective = Objective(problem, scales)
    free = scales.free
    best = fit.parameter_estimates.to_numpy()
    steps = 0.05 * fit.standard_errors.to_numpy()[free]

    def parts(shift):
        natural = best.copy()
        natural[free] += shift
        return objective.at(
            scales.values(natural), fit.individual_estimates.to_numpy(), gradient=False
        ).individual

    units = np.diag(steps)
    centre = parts(np.zeros(len(free))).sum()
    r, slopes = np.zeros((len(free), len(free))), []
    for i, u in enumerate(units):
        slopes.append((8 * (parts(u) - parts(-u)) - parts(2 * u) + parts(-2 * u)) / (12 * steps[i]))
        for j, w in enumerate(units[: i + 1]):
            if i == j:
                ends = parts(2 * u).sum() + parts(-2 * u).sum()
                near = parts(u).sum() + parts(-u).sum()
                second = (16 * near - ends - 30 * centre) / 12
            else:
                second = (parts(u + w) + parts(-u - w) - parts(u - w) - parts(w - u)).sum() / 4
            r[i, j] = r[j, i] = 0.5 * second / (steps[i] * steps[j])
    g = np.array(slopes)
    return r, 0.25 * g @ g.T


@pytest.mark.parametrize("kind", KINDS)
def test_covariance_is_that_of_differences(fits, by_differences, kind):
    r, s = by_differences
    inverse = np.linalg.inv(r)
    expected = {"R": inverse, "S": np.linalg.inv(s), "sandwich": inverse @ s @ inverse}[kind]
    fit = fits[kind]
    free = fit.parameters.index[~fit.parameters.fixed]
    found = fit.covariance_matrix.loc[free, free].to_numpy()
    deviation = np.sqrt(np.diag(expected))
    # mixed differences over 5 % of a standard error are right to a few parts in a thousand
    np.testing.assert_allclose(
        found / np.outer(deviation, deviation), expected / np.outer(deviation, deviation), atol=5e-3
    )
    assert fit.covariance_status == KINDS[kind]
    np.testing.assert_allclose(fit.standard_errors[free], np.sqrt(np.diag(found)), rtol=1e-12)
    assert np.isnan(fit.standard_errors["V"])
    assert (fit.covariance_matrix.loc["V"] == 0).all()
    assert fit.covariance_matrix.to_numpy() == pytest.approx(fit.covariance_matrix.T.to_numpy(), rel=1e-13)


def test_estimates_are_the_same_whatever_the_covariance(fits):
    for fit in fits.values():
        assert fit.ofv == fits["R"].ofv
        assert fit.parameter_estimates.equals(fits["R"].parameter_estimates)


def test_table_holds_wald_intervals(fits):
    table = fits["sandwich"].parameters
    free = table[~table.fixed]
    skewed = free.scale.isin(["variance", "SD"])
    assert 0 < skewed.sum() < len(free)
    width = 2 * 1.959963985 * free.se
    np.testing.assert_allclose((free.upper - free.lower)[~skewed], width[~skewed], rtol=1e-9)
    # symmetric on the logarithm
    np.testing.assert_allclose(
        np.log(free.upper / free.lower)[skewed], (width / free.estimate)[skewed], rtol=1e-9
    )
    np.testing.assert_allclose(free.rse_percent, 100 * free.se / free.estimate, rtol=1e-12)
    np.testing.assert_allclose(
        fits["sandwich"].relative_standard_errors.dropna(), free.se / free.estimate, rtol=1e-12
    )


class _Quadratic:
    """A point of the objective gᵀx-like test functions: two subjects, given gradients."""

    def __init__(self, x, hessian, rows):
        self.gradients = np.array(rows) + 0.5 * (hessian @ x)
        self.gradient = self.gradients.sum(axis=0)
        self.etas, self.values, self.edges = None, None, np.zeros(2)


def test_where_r_is_no_maximum_of_likelihood_it_says_along_what():
    """Half the Hessian is indefinite along (1, -1): S is reported, and the direction is handed back."""

    class Plain:
        names, free = ("A", "B"), np.array([0, 1])

        @staticmethod
        def jacobian(values):
            return np.eye(2)

    hessian = np.array([[1.0, 2.0], [2.0, 1.0]])
    rows = [[1.0, 0.0], [-1.0, 0.5], [0.0, -0.5]]

    def at(x, etas):
        return _Quadratic(x, hessian * 2 / 3, rows)

    step = covariance_step("R", at, np.zeros(2), at(np.zeros(2), None), Plain)
    assert step.status == "S⁻¹ (R failed)"
    assert step.warnings[0].startswith(
        "W_COVARIANCE_R: the R matrix gives no covariance (not positive definite along"
    )
    s = 0.25 * np.array(rows).T @ np.array(rows)
    np.testing.assert_allclose(step.matrix, np.linalg.inv(s), rtol=1e-12)
    assert step.downhill @ hessian @ step.downhill < 0
    assert np.abs(step.downhill).max() == 1


class _Carried:
    """Natural parameters A = a and B = a + 3 b: their correlations are others than those of a and b."""

    names, free = ("A", "B"), np.array([0, 1])

    @staticmethod
    def jacobian(values):
        return np.array([[1.0, 0.0], [1.0, 3.0]])


def test_condition_number_is_that_of_the_correlations_of_the_natural_parameters():
    hessian, rows = np.array([[2.0, 0.4], [0.4, 1.0]]), [[1.0, 0.0], [-1.0, 0.5], [0.0, -0.5]]

    def at(x, etas):
        return _Quadratic(x, hessian * 2 / 3, rows)

    step = covariance_step("R", at, np.zeros(2), at(np.zeros(2), None), _Carried)
    own = np.linalg.inv(0.5 * hessian * 2)
    var_b = own[0, 0] + 6 * own[0, 1] + 9 * own[1, 1]
    r = (own[0, 0] + 3 * own[0, 1]) / np.sqrt(own[0, 0] * var_b)
    # the eigenvalues of a correlation matrix of two are 1 + |r| and 1 - |r|
    assert step.condition_number == pytest.approx((1 + abs(r)) / (1 - abs(r)), rel=1e-6)


def test_without_gradients_there_is_no_covariance_and_no_traceback():
    point = _Quadratic(np.zeros(2), np.eye(2), [[1.0, 0.0]])
    point.gradients = None
    step = covariance_step("R", None, np.zeros(2), point, _Carried)
    assert step.matrix is None and "no gradient" in step.status


def test_a_nearly_redundant_parameter_raises_the_condition_number():
    """The intercept and the slope of a covariate that hardly varies can hardly be told apart."""

    @pkpd.model
    def redundant(m):
        """Clearance in two parts, the second by a weight that hardly varies."""
        wt = m.covariate("SIZE")
        cl = m.theta("CL", 2.7) + m.theta("CL2", 0.1) * wt
        cl = m.parameter("CL", cl * pkpd.exp(m.eta("CL", variance=0.1)))
        ka, v = m.theta("KA", 1.5, lower=0), m.theta("V", 31.0, lower=0)
        depot, central = m.compartment("depot"), m.compartment("central")
        m.ode(depot, -ka * depot)
        m.ode(central, ka * depot - cl / v * central)
        m.observe("cp", central / v, additive=m.sigma("ADD", 0.8))

    frame = pd.read_csv("datasets/theophylline/theophylline.csv", na_values=".")
    frame["SIZE"] = 1 + 0.02 * (frame.ID % 3)
    with pytest.warns(pkpd.PkpdWarning, match="W_CONDITION_NUMBER: .* condition number"):
        fit = pkpd.fit(redundant, pkpd.read_dataset(frame), pkpd.FOCEI(covariance="R"))
    assert fit.condition_number > 1000
    assert fit.relative_standard_errors["CL2"] > 1
