"""The FOCEI objective against its formula evaluated by hand, and its gradient against Richardson differences.

Predictions come from tests/naive.py, derivatives to the etas from differences of them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd import exp, expit
from pkpd.language.scales import Scales, parameter_values
from pkpd.population.objective import Objective
from tests import naive

DIAGONAL = [[[0.4]], [[0.1]], [[0.05]]]
BLOCK = [[[0.4], [0.05, 0.1], [-0.03, 0.04, 0.05]]]
ERRORS = {
    "additive": {"additive": 0.7},
    "proportional": {"proportional": 0.15},
    "combined": {"additive": 0.4, "proportional": 0.1},
}
TIGHT = pkpd.Solver("ode", rtol=1e-11, atol=1e-12)


def oral(error, omega):
    @pkpd.model
    def made(m):
        """One compartment, oral."""
        ka, cl, v = m.theta("KA", 1.5, lower=0), m.theta("CL", 2.7, lower=0), m.theta("V", 31.0, lower=0)
        if len(omega) == 1:
            eta = m.etas("KA", "CL", "V", variance=omega[0])
        else:
            eta = [m.eta(n, variance=w[0][0]) for n, w in zip(("KA", "CL", "V"), omega, strict=True)]
        ka = m.parameter("KA", ka * exp(eta[0]))
        cl = m.parameter("CL", cl * exp(eta[1]))
        v = m.parameter("V", v * exp(eta[2]))
        depot, central = m.compartment("depot"), m.compartment("central")
        m.ode(depot, -ka * depot)
        m.ode(central, ka * depot - cl / v * central)
        sigma = {k: m.sigma(k[:4].upper(), s) for k, s in error.items()}
        m.observe("cp", central / v, **sigma)

    return made


@pytest.fixture(scope="module")
def data():
    """Theophylline without the samples before absorption, where a proportional error would be zero."""
    frame = pd.read_csv("datasets/theophylline/theophylline.csv", na_values=".")
    return pkpd.read_dataset(frame[(frame.EVID == 1) | (frame.TIME > 0)])


def five_points(function, x, h):
    """Derivative of a vector function, error of order h⁴."""
    return (8 * (function(x + h) - function(x - h)) - function(x + 2 * h) + function(x - 2 * h)) / (12 * h)


def by_hand(dose, times, y, eta, error, omega):
    """Objective of one subject at ``eta`` by naive's formula, and the slope of the inner objective there."""

    def prediction(e):
        return naive.concentration_oral_1cmt(
            times, dose, 1.5 * np.exp(e[0]), 2.7 * np.exp(e[1]), 31.0 * np.exp(e[2])
        )

    def variance(f, e=None):
        return error.get("additive", 0.0) ** 2 + (error.get("proportional", 0.0) * f) ** 2

    def slopes(function):
        return np.column_stack(
            [five_points(lambda s, u=u: function(eta + s * u), 0.0, 1e-3) for u in np.eye(3)]
        )

    f = prediction(eta)
    value = naive.focei_objective(
        f, slopes(prediction), y, variance(f), slopes(lambda e: np.log(variance(prediction(e)))), eta, omega
    )
    slope = slopes(lambda e: np.array([naive.inner_objective(prediction, variance, y, e, omega)]))
    return value, slope[0]


@pytest.mark.parametrize("omega", [DIAGONAL, BLOCK], ids=["diagonal", "block"])
@pytest.mark.parametrize("error", ERRORS)
def test_objective_is_the_formula_at_the_mode(data, error, omega):
    model = oral(ERRORS[error], omega)
    found = pkpd.evaluate(model, data)
    if omega is BLOCK:
        matrix = np.array([[0.4, 0.05, -0.03], [0.05, 0.1, 0.04], [-0.03, 0.04, 0.05]])
    else:
        matrix = np.diag([0.4, 0.1, 0.05])
    for identity, own in data.frame.groupby("ID"):
        seen = own[own.EVID == 0]
        eta = found.individual_estimates.loc[identity].to_numpy()
        value, slope = by_hand(
            own.AMT.max(), seen.TIME.to_numpy(), seen.DV.to_numpy(), eta, ERRORS[error], matrix
        )
        # the differences are right to about 1e-10, H is of order 100
        assert found.individual_ofv[identity] == pytest.approx(value, abs=1e-8)
        np.testing.assert_allclose(slope, 0, atol=1e-6)
    assert found.ofv == pytest.approx(found.individual_ofv.sum(), abs=1e-9)
    assert found.minus2ll - found.ofv == pytest.approx(data.n_observations * np.log(2 * np.pi), rel=1e-14)
    stepped = pkpd.evaluate(model, data, method=pkpd.FOCEI(solver=pkpd.Solver("ode")))
    # tolerance of the stepper, 1e-8 of amounts, through 120 squared residuals
    assert stepped.ofv == pytest.approx(found.ofv, abs=2e-6)
    np.testing.assert_allclose(stepped.gradient, found.gradient, rtol=1e-5, atol=1e-4)


def test_mode_is_the_one_that_a_generic_optimiser_finds(data):
    model = oral(ERRORS["combined"], BLOCK)
    found = pkpd.evaluate(model, data)
    own = data.frame[data.frame.ID.eq(data.subjects[4])]
    seen = own[own.EVID == 0]
    matrix = np.array([[0.4, 0.05, -0.03], [0.05, 0.1, 0.04], [-0.03, 0.04, 0.05]])

    def prediction(e):
        return naive.concentration_oral_1cmt(
            seen.TIME.to_numpy(), own.AMT.max(), 1.5 * np.exp(e[0]), 2.7 * np.exp(e[1]), 31.0 * np.exp(e[2])
        )

    value, eta = naive.focei_subject(prediction, lambda f, e: 0.16 + 0.01 * f**2, seen.DV, matrix)
    assert found.individual_ofv[data.subjects[4]] == pytest.approx(value, abs=1e-6)
    np.testing.assert_allclose(found.individual_estimates.loc[data.subjects[4]], eta, atol=1e-5)


def objective_of(model, data, solver=None, method=None):
    problem = pkpd.bind(model, data, solver)
    scales = Scales(problem)
    return problem, scales, Objective(problem, scales, method)


def check_gradient(model, data, points, solver=None, step=1e-3, tolerance=1e-5, noise=0.0, method=None):
    """The natural gradient against Richardson differences of the objective alone."""
    problem, scales, objective = objective_of(model, data, solver, method)
    for point in points:
        values = parameter_values(scales, problem, point)
        base = objective.at(values)
        assert np.isfinite(base.ofv)

        def ofv(natural, start=base.etas):
            return objective.at(scales.values(natural), start, gradient=False).ofv

        natural = scales.natural(values)
        size = np.maximum(np.abs(natural), 0.05)
        for i, name in enumerate(scales.names):
            unit = np.eye(len(natural))[i]
            slope = five_points(lambda s, at=natural, u=unit: ofv(at + s * u), 0.0, step * size[i])
            exact = base.natural[i]
            # the scale of a gradient that nearly vanishes is what one parameter's worth of change would do
            assert abs(exact - slope) <= tolerance * max(abs(exact), 1.0 / size[i]) + noise / size[i], (
                name,
                exact,
                slope,
            )


AWAY = [
    {},
    {"KA": 0.7, "CL": 4.0, "V": 22.0},
    {"KA": 3.0, "CL": 1.5, "OMEGA(CL,CL)": 0.3, "OMEGA(V,V)": 0.2, "OMEGA(KA,KA)": 1.0},
]


@pytest.mark.parametrize("omega", [DIAGONAL, BLOCK], ids=["diagonal", "block"])
@pytest.mark.parametrize("error", ERRORS)
def test_gradient_closed_form(data, error, omega):
    check_gradient(oral(ERRORS[error], omega), data, AWAY)


def test_gradient_ode(data):
    # the stepper's error of 1e-11 moves the objective by about 1e-9, over steps of 1e-2
    check_gradient(oral(ERRORS["combined"], BLOCK), data, AWAY[1:2], TIGHT, step=1e-2, noise=1e-6)


@pytest.fixture(scope="module")
def rich():
    """Lag and bioavailability with etas, a factor, a covariate power, thetas bounded on either side, both and none;
    doses by mouth and by infusion.
    """

    @pkpd.model
    def made(m):
        """One compartment, oral and intravenous."""
        cl, v = m.theta("CL", 3.0, lower=0), m.theta("V", 30.0, lower=1.0, upper=300.0)
        ka, lag = m.theta("KA", 1.2, lower=0.05), m.theta("LAG", 0.4, upper=0.9)
        bio, power = m.theta("LOGITF", 0.6), m.theta("POWER", 0.8)
        eta_cl, eta_v = m.etas("CL", "V", variance=[[0.1], [0.03, 0.08]])
        eta_lag, eta_f = m.eta("LAG", variance=0.05), m.eta("F", variance=0.2)
        wt, sex = m.covariate("WT"), m.factor("TUMOR", reference="lung")
        cl = m.parameter("CL", cl * exp(eta_cl + sex.effect("CL")) * (wt / 70) ** power)
        v = m.parameter("V", v * exp(eta_v))
        depot = m.compartment("depot", lag=lag * exp(eta_lag), bioavailability=expit(bio + eta_f))
        central = m.compartment("central")
        m.ode(depot, -ka * depot)
        m.ode(central, ka * depot - cl / v * central)
        m.observe("cp", central / v, additive=m.sigma("ADD", 0.2), proportional=m.sigma("PROP", 0.15))

    rng = np.random.default_rng(20)
    rows = []
    for i in range(6):
        about = {"ID": i + 1, "WT": 50 + 8 * i, "TUMOR": ["lung", "colon", "skin"][i % 3]}
        doses = [(0.0, 1, 100.0, 0.0), (12.0, 1, 100.0, 0.0), (24.0, 2, 60.0, 30.0)]
        rows += [
            {**about, "TIME": t, "EVID": 1, "CMT": c, "AMT": a, "RATE": r, "DV": np.nan}
            for t, c, a, r in doses
        ]
        for t in (1.5, 4.0, 10.0, 14.0, 20.0, 25.0, 27.0, 34.0):
            c = naive.concentration([t], [(0.0, 60.0), (12.0, 60.0)], 3.0, (30.0,), ka=1.2, lag=0.4)[0]
            c += naive.concentration([t], [(24.0, 60.0)], 3.0, (30.0,), duration=2.0)[0]
            about_t = {**about, "TIME": t, "EVID": 0, "CMT": 2, "AMT": 0.0, "RATE": 0.0}
            rows.append({**about_t, "DV": c * np.exp(0.2 * rng.standard_normal())})
    frame = pd.DataFrame(rows).sort_values(["ID", "TIME"], kind="stable")
    return made, pkpd.read_dataset(frame)


POINTS = [
    {"CL(TUMOR=colon)": 0.3, "CL(TUMOR=skin)": -0.2},
    {
        "CL": 2.0,
        "V": 45.0,
        "KA": 0.6,
        "LAG": 0.2,
        "LOGITF": -0.3,
        "POWER": 0.3,
        "SD(ADD)": 0.4,
        "OMEGA(V,CL)": -0.02,
    },
]


def test_gradient_with_lag_bioavailability_factors_and_bounds(rich):
    check_gradient(*rich, POINTS)


def test_gradient_with_lag_bioavailability_factors_and_bounds_ode(rich):
    """Against differences, whose own error is that of their step; and against the closed form, which has no such error."""
    check_gradient(*rich, POINTS[1:], TIGHT, step=5e-3, noise=1e-7)
    exact, found = (
        pkpd.evaluate(*rich, POINTS[1], method=pkpd.FOCEI(solver=solver)).gradient
        for solver in (pkpd.Solver("linear"), TIGHT)
    )
    np.testing.assert_allclose(found, exact, rtol=1e-9)


def test_gradients_of_the_subjects_add_up(rich):
    model, data = rich
    problem, scales, objective = objective_of(model, data)
    point = objective.at(parameter_values(scales, problem, POINTS[0]))
    np.testing.assert_allclose(point.gradient, point.gradients.sum(axis=0), rtol=1e-12, atol=1e-12)
    jacobian = scales.jacobian(point.values)
    np.testing.assert_allclose(
        point.natural @ jacobian, point.gradient, rtol=1e-10, atol=1e-10
    )  # the chain rule


def test_jacobian_is_the_derivative_of_the_map(rich):
    model, data = rich
    problem, scales, _ = objective_of(model, data)
    values = parameter_values(scales, problem, POINTS[1])
    x = scales.free_values(values)
    assert np.allclose(scales.natural(scales.from_free(x, values)), scales.natural(values), rtol=1e-13)
    for i, unit in enumerate(np.eye(len(x))):
        slope = five_points(lambda s, u=unit: scales.natural(scales.from_free(x + s * u, values)), 0.0, 1e-3)
        np.testing.assert_allclose(scales.jacobian(values)[:, i], slope, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        ({"CLX": 1.0}, "E_PARAMETER_NAME", "CLX"),
        ({"CL": -1.0}, "E_PARAMETER_VALUE", "CL = -1"),
        ({"CL": 0.0}, "E_PARAMETER_VALUE", "CL = 0"),
        ({"V": np.nan}, "E_PARAMETER_VALUE", "V"),
        ({"V": "big"}, "E_PARAMETER_VALUE", "big"),
        ({"SD(ADDI)": 0.0}, "E_PARAMETER_VALUE", "SD(ADDI)"),
        ({"OMEGA(CL,CL)": -0.1}, "E_PARAMETER_VALUE", "OMEGA(CL,CL)"),
        ({"OMEGA(CL,KA)": 5.0}, "E_PARAMETER_VALUE", "positive definite"),
    ],
)
def test_impossible_parameters_are_named(data, given, code, words):
    with pytest.raises(pkpd.InputError) as caught:
        pkpd.evaluate(oral(ERRORS["additive"], BLOCK), data, given)
    assert caught.value.code == code
    assert words in caught.value.message


def test_covariances_are_known_either_way_round(data):
    model = oral(ERRORS["additive"], BLOCK)
    one = pkpd.evaluate(model, data, {"OMEGA(CL,KA)": 0.1})
    other = pkpd.evaluate(model, data, {"OMEGA(KA,CL)": 0.1})
    assert one.ofv == other.ofv != pkpd.evaluate(model, data).ofv


def test_proportional_error_at_a_zero_prediction_is_explained():
    frame = pd.read_csv("datasets/theophylline/theophylline.csv", na_values=".")
    data = pkpd.read_dataset(frame)
    for call in (pkpd.fit, pkpd.evaluate):
        with pytest.raises(pkpd.FitError, match=r"ID 1, 2.*residual variance is zero.*MDV=1") as caught:
            call(oral(ERRORS["proportional"], DIAGONAL), data)
        assert caught.value.code == "E_FIT_SUBJECT"


@pytest.mark.parametrize("call", [pkpd.fit, pkpd.evaluate])
def test_what_is_not_a_method_a_model_or_data_is_refused(data, call):
    model = oral(ERRORS["additive"], DIAGONAL)
    with pytest.raises(pkpd.InputError, match="E_METHOD"):
        call(model, data, method="FOCEI")
    with pytest.raises(pkpd.InputError, match=r"E_ARGUMENT.*Dataset"):
        call(model, data.frame)
    with pytest.raises(pkpd.InputError, match=r"E_ARGUMENT.*Model"):
        call("theophylline", data)


@pytest.mark.parametrize(
    "settings", [{"covariance": "T"}, {"max_iterations": -1}, {"tolerance": 0.0}, {"solver": "ode"}]
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(pkpd.InputError, match="E_METHOD"):
        pkpd.FOCEI(**settings)


def test_data_without_an_observation_are_refused(data):
    frame = data.frame.drop(columns="ROW").assign(MDV=1)
    with pytest.warns(pkpd.PkpdWarning, match="W_NO_OBSERVATIONS"):
        empty = pkpd.read_dataset(frame)
    with pytest.raises(pkpd.FitError, match="E_NO_OBSERVATIONS"):
        pkpd.evaluate(oral(ERRORS["additive"], DIAGONAL), empty)


@pytest.mark.parametrize("identity", [4, 9])
def test_a_zero_prediction_is_found_for_every_dose(identity):
    """For these amounts rounding in the eigenbasis is taken for a concentration, whose logarithm is -34."""
    frame = pd.read_csv("datasets/theophylline/theophylline.csv", na_values=".")
    data = pkpd.read_dataset(frame[frame.ID.eq(identity)])
    with pytest.raises(pkpd.FitError, match="residual variance is zero"):
        pkpd.evaluate(oral(ERRORS["proportional"], DIAGONAL), data)


@pytest.mark.parametrize("call", [pkpd.fit, pkpd.evaluate])
def test_a_start_from_which_the_equations_blow_up_is_explained(data, call):
    @pkpd.model
    def growing(m):
        """Doubles ever faster: infinite within the first hour."""
        k, eta = m.theta("K", 50.0, lower=0), m.eta("K", variance=0.1)
        central, other = m.compartment("central"), m.compartment("other")
        m.ode(central, k * exp(eta) * central**2)
        m.ode(other, -other)
        m.observe("cp", central, additive=m.sigma("ADD", 0.2))

    with pytest.raises(
        pkpd.FitError, match=r"blows up or jumps at these parameters.*starting values"
    ) as caught:
        call(growing, data)
    assert caught.value.code == "E_FIT_SUBJECT"
    assert "12 of 12 subjects (ID 1, 2, 3" in caught.value.message
