from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import dunnett
from scipy.stats import t as student

from pkpd.errors import InputError
from pkpd.response import mcp_mod
from pkpd.response.dose_shapes import SHAPES, standard_shape
from pkpd.response.multiple_contrasts import max_contrast_p, optimal_contrasts
from pkpd.results import from_json, to_json

DOSES = np.array([0, 0.05, 0.2, 0.6, 1.0])
CANDIDATES = {
    "linear": None,
    "emax": [0.2],
    "sigmoid_emax": [0.4, 3],
    "exponential": [0.3],
    "logistic": [0.5, 0.1],
    "loglinear": None,
}


def trial(seed=0, per=20, effect=1.0, sd=0.7):
    rng = np.random.default_rng(seed)
    dose = np.repeat(DOSES, per)
    y = 0.2 + effect * dose / (0.2 + dose) + rng.normal(0, sd, len(dose))
    return pd.DataFrame({"ID": np.arange(len(dose)), "DOSE": dose, "Y": y, "RESP": (y > 0.6) * 1})


def test_optimal_contrasts_are_the_published_ones():
    # Bornkamp B, et al. J Stat Softw 2009;29(7): five doses, equal groups
    means = np.vstack([DOSES, DOSES / (0.2 + DOSES)])
    contrasts = optimal_contrasts(means, np.eye(5) / 20)
    np.testing.assert_allclose(contrasts[0], [-0.437, -0.378, -0.201, 0.271, 0.743], atol=6e-4)
    np.testing.assert_allclose(contrasts[1], [-0.643, -0.361, 0.061, 0.413, 0.530], atol=6e-4)


def test_optimal_contrasts_have_the_largest_noncentrality():
    rng = np.random.default_rng(3)
    covariance = np.diag(rng.uniform(0.1, 2, 5))
    mean = np.sort(rng.normal(size=5))
    best = optimal_contrasts(mean[None, :], covariance)[0]

    def power(c):
        return c @ mean / np.sqrt(c @ covariance @ c)

    assert best.sum() == pytest.approx(0, abs=1e-12)
    for _ in range(200):
        other = rng.normal(size=5)
        assert power(other - other.mean()) <= power(best) + 1e-12


def test_adjusted_p_is_that_of_dunnett_for_dunnetts_contrasts():
    rng = np.random.default_rng(5)
    groups = [rng.normal(m, 1, 10) for m in (0, 0.5, 1.1, 0.2)]
    means = np.array([g.mean() for g in groups])
    df = 36
    variance = sum(((g - g.mean()) ** 2).sum() for g in groups) / df
    contrasts = np.column_stack([-np.ones(3), np.eye(3)])
    statistic = contrasts @ means / np.sqrt(variance * 0.2)
    ours = max_contrast_p(statistic, contrasts, np.eye(4) * variance / 10, df)
    theirs = dunnett(*groups[1:], control=groups[0], alternative="greater", random_state=1).pvalue
    np.testing.assert_allclose(ours, theirs, atol=1e-3)  # both are quasi-Monte-Carlo
    alone = max_contrast_p(statistic[:1], contrasts[:1], np.eye(4) * variance / 10, df)
    assert alone[0] == pytest.approx(student.sf(statistic[0], df), abs=1e-6)
    large = max_contrast_p(statistic[:1], contrasts[:1], np.eye(4) * variance / 10, np.inf)
    assert large[0] < alone[0]


def test_candidates_that_depend_on_each_other_have_the_p_values_of_mvtnorm():
    # six shapes at five doses, as for the data "biom" of DoseFinding (20 per dose); pmvt with abseps = 1e-8
    shapes = {
        "linear": [], "emax": [0.2], "exponential": [0.28], "loglinear": [], "sigmoid_emax": [0.4, 4], "logistic": [0.5, 0.1],
    }  # fmt: skip
    doses = np.array([0, 0.05, 0.2, 0.6, 1.0])
    means = np.array(
        [standard_shape(m, doses, np.array([p], dtype=float), 1.0)[0] for m, p in shapes.items()]
    )
    contrasts = optimal_contrasts(means, np.eye(5))
    statistic = np.array(
        [2.97153434466, 3.46411343706, 2.21952380013, 3.41061155509, 2.87193174383, 2.80825770879]
    )
    theirs = [0.004512357, 0.001035828, 0.030603801, 0.001224287, 0.005956444, 0.007091791]
    np.testing.assert_allclose(max_contrast_p(statistic, contrasts, np.eye(5), 95.0), theirs, rtol=5e-3)
    # below zero the tail is nearly everything
    assert 0.9 < max_contrast_p(np.array([-1.0]), contrasts, np.eye(5), 95.0)[0] < 1


def test_shapes_and_weights_are_those_of_dosefinding():
    # means by formula, four per dose with a residual variance of 1; DoseFinding 1.0.3: fitMod(type = "normal"), AIC
    doses = np.repeat([0, 0.05, 0.2, 0.6, 1.0], 4)
    y = (
        3 * doses / (0.3 + doses)
        + np.tile([-1.2, 0.3, 1.1, -0.2], 5)
        + np.repeat([0.1, -0.1, 0.2, -0.2, 0.0], 4)
    )
    found = mcp_mod(
        pd.DataFrame({"DOSE": doses, "Y": y}),
        "Y",
        "DOSE",
        models={"emax": [0.2], "linear": None, "sigmoid_emax": [0.4, 4]},
    )
    umbrella = mcp_mod(
        pd.DataFrame({"DOSE": doses, "Y": y}),
        "Y",
        "DOSE",
        models={"linear": None, "emax": [0.2], "quadratic": [-0.85]},
    )
    np.testing.assert_allclose(
        umbrella.tests["statistic"], [3.6477270047, 3.8852750241, 3.1130937327], rtol=1e-9
    )
    # pmvt with abseps = 1e-8 and five million points: within 3e-6
    np.testing.assert_allclose(umbrella.tests["p_value"], [0.0024289, 0.0015108, 0.0070518], rtol=5e-3)
    bent = umbrella.fits.set_index("model").loc["quadratic"]
    e0, slope, square = 0.21179347444, 4.54587323753, -2.51876586478
    np.testing.assert_allclose(bent[["e0", "e1"]].astype(float), [e0, slope], rtol=1e-8)
    assert bent["curvature"] == pytest.approx(square / slope, rel=1e-8)
    assert bent["aic"] == pytest.approx(58.743066702, abs=1e-8)
    assert np.all(np.isfinite(umbrella.curve([0.1, 0.8]).drop(columns="dose", errors="ignore")))
    fits = found.fits.set_index("model")
    emax, aic = [0.03626230436, 2.76590569144, 0.26232244367], [57.97502125, 58.2346864, 59.91040172]
    np.testing.assert_allclose(fits.loc["emax", ["e0", "e1", "ed50"]].astype(float), emax, rtol=1e-4)
    np.testing.assert_allclose(fits["aic"][["emax", "linear", "sigmoid_emax"]], aic, atol=1e-5)


@pytest.mark.parametrize("family", ["normal", "binomial"])
def test_a_real_dose_response_is_found_and_averaged(family):
    found = mcp_mod(
        trial(per=60), "Y" if family == "normal" else "RESP", "DOSE", models=CANDIDATES, family=family
    )
    assert found.tests["significant"].any()
    assert found.fits["weight"].sum() == pytest.approx(1)
    assert len(found.contrasts) == 6 and np.allclose(found.contrasts.sum(axis=1), 0, atol=1e-9)
    curve = found.curve([0, 0.2, 1.0])
    assert curve["estimate"].is_monotonic_increasing
    assert np.all((curve["lower"] < curve["estimate"]) & (curve["estimate"] < curve["upper"]))
    if family == "normal":
        truth = 0.2 + np.array([0, 0.5, 1 / 1.2])
        assert np.all((curve["lower"] < truth) & (truth < curve["upper"]))
    again = from_json(to_json(found))
    pd.testing.assert_frame_equal(again.curve([0.4]), found.curve([0.4]), rtol=0, atol=0)


def test_without_effect_the_maximum_keeps_its_level():
    hits = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame({"DOSE": np.repeat(DOSES, 10), "Y": rng.normal(size=50)})
        models = {"linear": None, "emax": [0.2]}
        hits += mcp_mod(frame, "Y", "DOSE", models=models, alpha=0.1).tests["significant"].any()
    # 30 trials at 10 %: mean 3, standard deviation 1.6
    assert 1 <= hits <= 8


def test_fit_of_exact_means_recovers_the_shape():
    truth = {
        "linear": [],
        "emax": [0.3],
        "exponential": [0.5],
        "sigmoid_emax": [0.4, 3.0],
        "logistic": [0.5, 0.1],
    }
    for model, parameters in truth.items():
        mean = 1 + 2 * standard_shape(model, DOSES, np.array([parameters]), 1.0)[0]
        # two subjects per dose around the exact mean
        frame = pd.DataFrame(
            {"DOSE": np.repeat(DOSES, 2), "Y": np.repeat(mean, 2) + np.tile([-0.01, 0.01], 5)}
        )
        found = mcp_mod(frame, "Y", "DOSE", models={model: parameters or None})
        np.testing.assert_allclose(found.fits[list(SHAPES[model])].to_numpy().ravel(), parameters, rtol=1e-3)
        np.testing.assert_allclose(found.curve(DOSES)["estimate"], mean, atol=1e-4)


def test_direction_and_suffixes():
    down = trial(effect=-1.0, per=40)
    models = {"emax": [0.2], "emax 2": [0.05]}
    assert not mcp_mod(down, "Y", "DOSE", models=models).tests["significant"].any()
    found = mcp_mod(down, "Y", "DOSE", models=models, increasing=False)
    assert found.tests["significant"].all() and found.fits["model"].tolist() == ["emax"]
    assert found.fits.loc[0, "e1"] < 0
    with pytest.raises(InputError, match="E_NO_DOSE_RESPONSE"):
        mcp_mod(down, "Y", "DOSE", models=models).curve([0.5])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"models": {}}, "E_MODEL_UNKNOWN"),
        ({"models": {"betaMod": [1, 1]}}, "E_MODEL_UNKNOWN.*betaMod"),
        ({"models": {"emax": None}}, "E_MODEL_PARAMETERS.*ed50"),
        ({"models": {"emax": [-1]}}, "E_MODEL_PARAMETERS"),
        ({"models": {"quadratic": [0]}}, "E_MODEL_PARAMETERS.*curvature"),
        ({"family": "poisson"}, "E_OPTION"),
        ({"alpha": 0}, "E_OPTION"),
        ({"family": "binomial"}, "E_ENDPOINT_NOT_BINARY"),
        ({"dose": "ARM"}, "E_COLUMN_MISSING"),
        ({"dose": "TWO"}, "E_TOO_FEW_DOSES"),
        ({"dose": "MINUS"}, "E_DOSE_NEGATIVE"),
        ({"response": "SAME"}, "E_ENDPOINT_CONSTANT.*every subject"),
        ({"response": "MEANS"}, "E_ENDPOINT_CONSTANT.*within doses"),
    ],
)
def test_bad_input_is_refused(options, message):
    frame = trial().assign(TWO=lambda d: (d["DOSE"] > 0) * 1, MINUS=-1.0, SAME=2.0, MEANS=lambda d: d["DOSE"])
    with pytest.raises(InputError, match=message):
        mcp_mod(frame, **({"response": "Y", "dose": "DOSE", "models": {"linear": None}} | options))
