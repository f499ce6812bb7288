from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pkpd.errors import InputError, PkpdWarning
from pkpd.histology import likelihood_ratio
from pkpd.response import bootstrap_likelihood_ratio


def table():
    rng = np.random.default_rng(11)
    n = 90
    x = rng.lognormal(0, 0.5, n)
    y = rng.random(n) < 1 / (1 + np.exp(-(-0.5 + np.log(x))))
    return pd.DataFrame(
        {"ID": range(n), "AUC": x, "ORR": y.astype(int), "TUMOR": np.repeat(["a", "b", "c"], 30)}
    )


COLUMNS = {"response": "ORR", "exposure": "AUC", "histology": "TUMOR"}


def test_table_gets_the_bootstrap_by_default():
    frame = table()
    ours = likelihood_ratio(frame, **COLUMNS, n_bootstrap=99, seed=4, shape="log")
    assert ours == bootstrap_likelihood_ratio(frame, "ORR", "AUC", "TUMOR", "interaction", "log", 99, 4)
    assert ours.p_value == ours.p_bootstrap and ours.n_bootstrap == 99 and ours.df == 2


def test_table_with_chi2_draws_nothing():
    ours = likelihood_ratio(table(), **COLUMNS, p_value="chi2", term="intercepts")
    assert ours.n_bootstrap == 0 and np.isnan(ours.p_bootstrap)
    assert ours.p_value == pytest.approx(stats.chi2.sf(ours.statistic, ours.df))


def population_fit(ofv, names, fixed=(), n=100, sha="d", method=1):
    parameters = pd.DataFrame({"fixed": [name in fixed for name in names]}, index=list(names))
    return SimpleNamespace(
        ofv=ofv, parameters=parameters, n_observations=n, data=SimpleNamespace(sha256=sha), method=method
    )


FULL = ("CL", "CL(TUMOR=b)", "CL(TUMOR=c)", "V", "OMEGA(CL,CL)")
REDUCED = ("CL", "V", "OMEGA(CL,CL)")


def test_two_population_fits():
    ours = likelihood_ratio(population_fit(100.0, FULL), population_fit(107.5, REDUCED))
    assert (ours.statistic, ours.df) == (7.5, 2)
    assert ours.p_value == pytest.approx(stats.chi2.sf(7.5, 2))
    assert ours.term == "CL(TUMOR=b), CL(TUMOR=c)"


def test_fixed_parameters_take_no_degree_of_freedom():
    ours = likelihood_ratio(
        population_fit(100.0, FULL, fixed=["CL(TUMOR=c)"]), population_fit(107.5, REDUCED)
    )
    assert ours.df == 1


def test_a_full_fit_that_is_worse_warns():
    with pytest.warns(PkpdWarning, match="W_LRT_NEGATIVE"):
        ours = likelihood_ratio(population_fit(101.0, FULL), population_fit(100.0, REDUCED))
    assert ours.p_value == 1.0


@pytest.mark.parametrize(
    ("full", "reduced"),
    [
        (population_fit(1.0, REDUCED), population_fit(2.0, FULL)),
        (population_fit(1.0, FULL), population_fit(2.0, FULL)),
        (population_fit(1.0, FULL), population_fit(2.0, REDUCED, n=99)),
        (population_fit(1.0, FULL), population_fit(2.0, REDUCED, sha="other")),
        (population_fit(1.0, FULL), population_fit(2.0, REDUCED, method="saem")),
    ],
)
def test_fits_that_cannot_be_compared_are_refused(full, reduced):
    with pytest.raises(InputError, match="E_LRT_FITS"):
        likelihood_ratio(full, reduced)


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((table(),), {"response": "ORR"}),
        ((table(), population_fit(1.0, FULL)), COLUMNS),
        ((table(),), {**COLUMNS, "p_value": "wald"}),
        ((table(),), {**COLUMNS, "n_bootstrap": 0}),
        ((population_fit(1.0, FULL),), {}),
        ((population_fit(1.0, FULL), population_fit(2.0, REDUCED)), COLUMNS),
        ((population_fit(1.0, FULL), population_fit(2.0, REDUCED)), {"term": "intercepts"}),
        ((population_fit(1.0, FULL), population_fit(2.0, REDUCED)), {"shape": "log"}),
    ],
)
def test_mixed_up_arguments_are_refused(arguments, options):
    with pytest.raises(InputError, match="E_OPTION"):
        likelihood_ratio(*arguments, **options)
