import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

from pkpd.errors import InputError
from pkpd.response import bootstrap_likelihood_ratio, fit_logistic, with_uncertain_exposure
from pkpd.results import from_json, to_json
from tests.response.test_emax import binary


def trial(n, slope, omega, error, seed=0):
    """True log exposures N(0, ω²); what the data say of each is N(shrunken, posterior SD), as of a normal measurement."""
    rng = np.random.default_rng(seed)
    true = omega * rng.standard_normal(n)
    measured = true + error * rng.standard_normal(n)
    keep = omega**2 / (omega**2 + error**2)
    tumour = np.where(np.arange(n) % 2 == 0, "lung", "skin")
    level = np.where(tumour == "lung", -0.5, 0.3)
    frame = pd.DataFrame(
        {
            "ID": np.arange(n),
            "TUMOR": tumour,
            "AUC": np.exp(keep * measured),
            "ORR": (rng.random(n) < expit(level + slope * true)).astype(int),
        }
    )
    return frame, np.full(n, np.sqrt(keep) * error)


def fitted(frame, **options):
    settings = {"shape": "log", "reference_exposure": 1.0, **options}
    return fit_logistic(frame, "ORR", "AUC", "TUMOR", **settings)


@pytest.mark.parametrize(
    "options",
    [{"firth": True}, {"firth": False}, {"shape": "linear", "firth": True}, {"firth": True, "penalty": 2.0}],
)
def test_without_uncertainty_it_is_the_plain_fit(options):
    frame, _ = trial(80, 1.5, 0.5, 0.3)
    plain = fitted(frame, **options)
    joint = with_uncertain_exposure(plain, np.zeros(80))
    np.testing.assert_allclose(joint.coefficients, plain.coefficients, atol=1e-5)
    np.testing.assert_allclose(joint.covariance, plain.covariance, rtol=1e-4)
    assert joint.penalised_log_likelihood == pytest.approx(plain.penalised_log_likelihood, abs=1e-8)
    assert joint.converged


def test_the_likelihood_is_the_integral_over_each_exposure():
    frame, _ = trial(12, 1.5, 0.5, 0.3, seed=2)
    sd = np.linspace(0.1, 0.6, 12)
    joint = with_uncertain_exposure(fitted(frame, firth=True), sd)
    total = 0.0
    for row, s in zip(frame.to_dict("records"), sd, strict=True):
        a, b = (joint.coefficients[f"{what}[{row['TUMOR']}]"] for what in ("intercept", "slope"))
        centre = np.log(row["AUC"])
        p = quad(lambda t: expit(a + b * t) * norm.pdf(t, centre, s), centre - 9 * s, centre + 9 * s)[0]  # noqa: B023
        total += np.log(p if row["ORR"] else 1 - p)
    assert joint.log_likelihood == pytest.approx(total, abs=1e-6)


def test_the_slope_is_no_longer_attenuated():
    # shrinkage 1 - SD(estimates)/ω of 29 %: half of the variance is not seen
    frame, sd = trial(8_000, 3.0, 0.5, 0.5, seed=1)
    plain = fitted(frame, slopes="common")
    joint = with_uncertain_exposure(plain, sd)
    assert plain.coefficients["slope"] < 3.0 - 5 * plain.standard_errors["slope"]
    assert abs(joint.coefficients["slope"] - 3.0) < 3 * joint.standard_errors["slope"]


def test_it_maximises_the_penalised_likelihood_where_a_histology_separates():
    frame, sd = trial(60, 1.5, 0.5, 0.3, seed=3)
    frame.loc[frame["TUMOR"] == "skin", "ORR"] = 0
    joint = with_uncertain_exposure(fitted(frame), sd)
    assert joint.firth and joint.converged and np.isfinite(joint.coefficients).all()
    again = from_json(to_json(joint))
    np.testing.assert_array_equal(
        again.probability("skin", [1.0, 2.0]), joint.probability("skin", [1.0, 2.0])
    )


def test_what_it_cannot_do_is_refused():
    frame, sd = trial(40, 1.0, 0.5, 0.3)
    fit = fitted(frame)
    for bad in (sd[:-1], -sd, sd * np.nan):
        with pytest.raises(InputError, match="E_LOG_SD"):
            with_uncertain_exposure(fit, bad)
    with pytest.raises(InputError, match=r"E_LOG_SD.*ID 0"):
        likelihood_ratio(frame.assign(s=-sd), "interaction", log_sd="s")
    with pytest.raises(InputError, match="E_OPTION"):
        bootstrap_likelihood_ratio(frame.assign(s=sd), "ORR", None, "TUMOR", "intercepts", log_sd="s")
    with pytest.raises(InputError, match="E_OPTION"):
        with_uncertain_exposure(fit, sd).profile_interval("slope[skin]")
    without = fit_logistic(frame, "ORR", None, "TUMOR", slopes="none")
    for other in (without, fit_logistic(binary(), "Y", "CONC", shape="emax")):
        with pytest.raises(InputError, match=r"E_OPTION.*fit_logistic"):
            with_uncertain_exposure(other, sd)


def likelihood_ratio(frame, term, **options):
    return bootstrap_likelihood_ratio(frame, "ORR", "AUC", "TUMOR", term, "log", 39, 1, **options)


@pytest.mark.parametrize("term", ["interaction", "intercepts", "histology"])
def test_a_test_with_exposures_that_are_certain_is_the_plain_one(term):
    frame, _ = trial(60, 1.5, 0.5, 0.3, seed=5)
    plain, certain = likelihood_ratio(frame, term), likelihood_ratio(frame.assign(s=0.0), term, log_sd="s")
    assert certain.statistic == pytest.approx(plain.statistic, abs=1e-7)
    assert certain.p_bootstrap == plain.p_bootstrap and certain.df == plain.df


def test_the_statistic_is_that_of_integrated_likelihoods():
    frame, _ = trial(80, 1.5, 0.5, 0.8, seed=8)
    sd = np.linspace(0.05, 0.6, 80)
    frame["ORR"] = np.where(frame["TUMOR"] == "skin", 1 - frame["ORR"], frame["ORR"])
    found = likelihood_ratio(frame.assign(s=sd), "interaction", log_sd="s")
    full, common = (
        with_uncertain_exposure(fitted(frame, firth=False, slopes=slopes), sd).log_likelihood
        for slopes in ("separate", "common")
    )
    # both stop where little is left to gain
    assert found.statistic == pytest.approx(2 * (full - common), abs=1e-6)
    assert abs(found.statistic - likelihood_ratio(frame, "interaction").statistic) > 0.1


@pytest.mark.nightly
def test_the_test_with_uncertain_exposures_keeps_its_level():
    rejected = 0
    for seed in range(400):
        frame, sd = trial(120, 2.0, 0.5, 0.5, seed=1000 + seed)
        rejected += likelihood_ratio(frame.assign(s=sd), "interaction", log_sd="s").p_value <= 0.05
    # 0.05 within three standard errors of 400 trials
    assert 0.017 < rejected / 400 < 0.083
