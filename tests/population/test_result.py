"""What a fit reports about its subjects and itself: residuals, shrinkage, names, text."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import sqrtm

import pkpd
from tests import naive


@pytest.fixture(scope="module")
def fit():
    model = pkpd.load_model("theophylline")
    frame = pd.read_csv("datasets/theophylline/theophylline.csv", na_values=".")
    frame.loc[5, "MDV"] = 1  # one record that is predicted but does not count
    return pkpd.fit(model, pkpd.read_dataset(frame))


def by_hand(fit, identity):
    own = fit.data.frame[fit.data.frame.ID.eq(identity)]
    seen = own[own.EVID == 0]
    p = fit.parameter_estimates

    def prediction(eta):
        ka, cl, v = (p[n] * np.exp(e) for n, e in zip(("KA", "CL", "V"), eta, strict=True))
        return naive.concentration_oral_1cmt(seen.TIME.to_numpy(), own.AMT.max(), ka, cl, v)

    return seen, prediction


def test_residuals_are_the_twin(fit):
    """CWRES as Hooker 2007 defines it: (y - (f - a·η̂)) by the symmetric root of aΩaᵀ + V, at the mode."""
    for identity in fit.data.subjects:
        seen, prediction = by_hand(fit, identity)
        eta = fit.individual_estimates.loc[identity].to_numpy()
        rows = fit.residuals[fit.residuals.ID.eq(identity)]
        shown = fit.predictions[fit.predictions.ID.eq(identity)]
        np.testing.assert_allclose(shown.PRED, prediction(np.zeros(3)), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(shown.IPRED, prediction(eta), rtol=1e-9, atol=1e-12)
        counted = (seen.MDV == 0).to_numpy()
        assert rows[~counted][["DV", "RES", "IRES", "CWRES", "IWRES"]].isna().all().all()
        y, f = seen.DV.to_numpy()[counted], prediction(eta)[counted]
        a = np.column_stack(
            [(prediction(eta + d) - prediction(eta - d))[counted] / 2e-5 for d in np.eye(3) * 1e-5]
        )
        sd = fit.parameter_estimates["SD(ADD)"]
        covariance = a @ fit.omega.to_numpy() @ a.T + sd**2 * np.eye(len(y))
        expected = np.linalg.solve(np.real(sqrtm(covariance)), y - (f - a @ eta))
        # the slopes are differences, right to about 1e-9
        np.testing.assert_allclose(rows.CWRES[counted], expected, atol=1e-7)
        np.testing.assert_allclose(rows.RES[counted], y - prediction(np.zeros(3))[counted], atol=1e-10)
        np.testing.assert_allclose(rows.IWRES[counted], (y - f) / sd, rtol=1e-7, atol=1e-9)
    assert fit.residuals.CWRES.std() == pytest.approx(1.0, abs=0.15)
    assert fit.residuals.CWRES.count() == fit.n_observations == 131


def test_shrinkage(fit):
    etas, omega = fit.individual_estimates, np.sqrt(np.diag(fit.omega))
    np.testing.assert_allclose(fit.eta_shrinkage, 1 - etas.std(ddof=1) / omega, rtol=1e-12)
    assert fit.eps_shrinkage["IWRES"] == pytest.approx(1 - fit.residuals.IWRES.std(ddof=1), rel=1e-12)
    assert (fit.eta_shrinkage.between(0, 0.25)).all()


def test_individual_parameters(fit):
    p = fit.parameter_estimates
    for name in ("KA", "CL", "V"):
        np.testing.assert_allclose(
            fit.individual_parameters[name], p[name] * np.exp(fit.individual_estimates[name]), rtol=1e-14
        )
    assert list(fit.individual_parameters.index) == list(fit.data.subjects)
    assert fit.individual_ofv.sum() == pytest.approx(fit.ofv, abs=1e-9)


def test_names_units_and_scales(fit):
    assert list(fit.parameters.index) == [
        "KA", "CL", "V", "OMEGA(KA,KA)", "OMEGA(CL,CL)", "OMEGA(V,V)", "SD(ADD)",
    ]  # fmt: skip
    assert list(fit.parameters.scale) == ["natural"] * 3 + ["variance"] * 3 + ["SD"]
    assert list(fit.parameters.unit) == ["1/h", "L/h", "L", "", "", "", "mg/L"]
    assert list(fit.omega.index) == list(fit.omega.columns) == ["KA", "CL", "V"]
    assert fit.omega.loc["CL", "CL"] == fit.parameter_estimates["OMEGA(CL,CL)"]
    warfarin = pkpd.load_model("warfarin").with_effect("V", "SEX", reference="m")
    rows = [
        {"ID": i, "TIME": 0.0, "EVID": 1, "AMT": 100.0, "DV": np.nan, "WT": 70.0, "SEX": s}
        for i, s in ((1, "f"), (2, "m"))
    ]
    rows += [{**r, "TIME": 24.0, "EVID": 0, "AMT": 0.0, "DV": 8.0} for r in rows]
    names = pkpd.evaluate(
        warfarin, pkpd.read_dataset(pd.DataFrame(rows).sort_values(["ID", "TIME"]))
    ).gradient.index
    assert list(names) == [
        "CL", "V", "KA", "TLAG", "V(SEX=f)", "OMEGA(CL,CL)", "OMEGA(V,CL)", "OMEGA(V,V)", "OMEGA(KA,KA)", "SD(ADD)", "SD(PROP)",
    ]  # fmt: skip


def test_text(fit):
    text = fit.summary()
    assert repr(fit) == text
    assert text.startswith("FOCEI fit of theophylline: 12 subjects, 131 observations\n")
    assert f"OFV {fit.ofv:.4f}" in text
    assert f"-2LL {fit.minus2ll:.4f}" in text
    assert "Minimisation successful: converged" in text
    assert f"condition number {fit.condition_number:.1f}" in text
    for name in fit.parameters.index:
        line = next(x for x in text.splitlines() if x.startswith(name))
        assert f"{fit.parameter_estimates[name]:.4g}" in line
        assert f"{fit.standard_errors[name]:.4g}" in line
    assert f"Eta shrinkage: KA {100 * fit.eta_shrinkage['KA']:.1f} %" in text
    html = fit._repr_html_()
    assert f"{fit.ofv:.4f}" in html
    assert html.count("<tr") == 1 + 1 + len(fit.parameters)  # header, name of the index, one row each
    warned = dataclasses.replace(fit, warnings=("W_X: mind this.",), minimization_successful=False)
    assert warned.summary().endswith("W_X: mind this.")
    assert "Minimisation NOT successful" in warned.summary()
    assert "W_X: mind this." in warned._repr_html_()


def test_result_is_a_value(fit):
    with pytest.raises(dataclasses.FrozenInstanceError):
        fit.ofv = 0.0
    table = fit.to_frame()
    table.loc["CL", "estimate"] = 0.0
    assert fit.parameter_estimates["CL"] > 0
