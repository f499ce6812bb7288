"""Every result comes back from JSON as it was, and shows itself as text, as HTML and as a table."""

from __future__ import annotations

import dataclasses
import math
import pkgutil
from importlib import import_module

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd import results
from pkpd.errors import InputError
from pkpd.histology import (
    binomial_hierarchical,
    decide,
    equivalence,
    exnex,
    meta_analysis,
    normal_hierarchical,
    partitions,
    permutation,
)
from pkpd.results import estimates_table, from_json, to_json
from tests.histology.made_evidence import MARGINS, evidence

for _module in pkgutil.walk_packages(pkpd.__path__, "pkpd."):
    if "kernels" not in _module.name and "report" not in _module.name:
        import_module(_module.name)

# made from their parts by a function of their own: real ones are below
MADE_OF_PARTS = {"Model", "PopulationFit", "Stepwise", "TumourSizeFit"}


def same(a, b) -> bool:
    """Equal in type, in every bit of a number, in every label."""
    if type(a) is not type(b):
        return False
    if isinstance(a, pd.DataFrame):
        pd.testing.assert_frame_equal(a, b, check_exact=True, check_index_type="equiv")
        return a.index.names == b.index.names and a.columns.names == b.columns.names
    if isinstance(a, pd.Series):
        pd.testing.assert_series_equal(a, b, check_exact=True, check_index_type="equiv")
        return a.index.names == b.index.names
    if isinstance(a, np.ndarray):
        return (
            a.dtype == b.dtype
            and a.shape == b.shape
            and all(map(same, a.ravel().tolist(), b.ravel().tolist()))
        )
    if isinstance(a, float):
        return np.float64(a).tobytes() == np.float64(b).tobytes()
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(v, b[k]) for k, v in a.items())
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if dataclasses.is_dataclass(a):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    return a == b


TABLE = pd.DataFrame(
    {
        "histology": ["lung", "Magen 胃", 'a "b"'],
        "n": np.array([1, 2, 3], dtype=np.int64),
        "estimate": [0.1 + 0.2, np.nan, -np.inf],
        "dominant": [True, False, True],
        "mixed": pd.Series([1, "two", None], dtype=object),
    },
    index=pd.Index(["CL", "V", "OMEGA(V,CL)"], name="parameter"),
)
VALUES = {
    "float": 1 / 3,
    "int": 7,
    "str": 'words, "quoted"\n中文',
    "bool": True,
    "pd.DataFrame": TABLE,
    "pd.Series": TABLE["estimate"],
    "np.ndarray": np.array([[0.1, np.nan], [np.inf, -0.0]]),
    "dict": {"a": 1.5, "nested": {"table": TABLE}, "tuple": (1, "x")},
    "tuple": ("a", 1.0, None),
    "None": None,
}


def example(kind: str):
    """A value of an annotated type; of a union, its first part."""
    first = kind.split("|")[0].strip()
    for name, value in VALUES.items():
        if first.split("[")[0] in (name, f"Mapping{name}"):
            return value
    if first.startswith(("Mapping", "dict")):
        return {"lung": 0.5, "b": float("nan")}
    return results._RESULTS[first]() if first in ("Solver",) else "anything"


@pytest.mark.parametrize("name", sorted(set(results._RESULTS) - MADE_OF_PARTS))
def test_each_class_keeps_what_its_fields_may_hold(name):
    cls = results._RESULTS[name]
    made = object.__new__(cls)  # checks of values are not what is tested here
    for field in dataclasses.fields(cls):
        object.__setattr__(made, field.name, example(str(field.type)))
    fields = {f.name: getattr(made, f.name) for f in dataclasses.fields(cls)}
    text = to_json(fields)
    assert same(from_json(text), fields)
    for offered in ("to_json", "from_json", "to_frame", "_repr_html_"):
        assert callable(getattr(cls, offered))


@pytest.fixture(scope="module")
def fit():
    return pkpd.fit(pkpd.load_model("theophylline"), pkpd.load_dataset("theophylline"))


REAL = {
    "fit": lambda fit: fit,
    "model": lambda fit: fit.model,
    "data": lambda fit: fit.data,
    "bootstrap": lambda fit: pkpd.bootstrap(fit, n=2, seed=1),
    "sir": lambda fit: pkpd.sir(fit, seed=1, samples=(40,), resamples=(20,)),
    "profile": lambda fit: pkpd.profile(fit, ["CL"]),
    "vpc": lambda fit: pkpd.vpc(fit, n=10, seed=1),
    "npde": lambda fit: pkpd.npde(fit, n=100, seed=1),
    "importance sampling": lambda fit: pkpd.importance_sampling(fit, 100),
    "nca": lambda fit: pkpd.nca(fit.data, route="extravascular"),
    "evaluation": lambda fit: pkpd.evaluate(fit.model, fit.data, fit.parameter_estimates),
    "regimen": lambda fit: pkpd.dose(100.0, every=12, until=48) + pkpd.dose(5.0, infusion=1.0),
    "MAP": lambda fit: pkpd.MAP(priors={"CL": pkpd.LogNormal(3, 0.2), "OMEGA(CL,CL)": pkpd.InverseWishart(0.1, 20)}),
    "SAEM": lambda fit: pkpd.SAEM(),
    "hierarchical": lambda fit: normal_hierarchical([0.1, -0.2, 0.3], [0.1, 0.2, 0.1]),
    "baskets": lambda fit: binomial_hierarchical([3, 5, 1], [20, 25, 10], mu=pkpd.Normal(0, 2)),
    "exnex": lambda fit: exnex(
        [3, 5, 1], [20, 25, 10], [(0.5, pkpd.Normal(-1, 1), pkpd.HalfNormal(1))], (0.5, pkpd.Normal(-1, 2))
    ),
    "partitions": lambda fit: partitions([3, 5, 1], [20, 25, 10]),
    "meta-analysis": lambda fit: meta_analysis([0.1, -0.2, 0.3], [0.1, 0.2, 0.1]),
    "permutation": lambda fit: permutation([3, 5, 1], [20, 25, 10]),
    "equivalence": lambda fit: equivalence(0.05, 0.04),
    "evidence": lambda fit: evidence(),
    "margins": lambda fit: MARGINS,
    "verdict": lambda fit: decide(evidence(), MARGINS),
}  # fmt: skip


@pytest.mark.parametrize("name", REAL)
def test_a_real_result_comes_back_with_every_bit(fit, name):
    value = REAL[name](fit)
    text = value.to_json()
    again = type(value).from_json(text)
    assert again.to_json() == text
    compared = [f.name for f in dataclasses.fields(value) if f.name not in ("problem", "model")]
    if name != "model":  # its symbols are new ones
        assert all(same(getattr(value, f), getattr(again, f)) for f in compared)
    assert repr(again) == repr(value)
    assert len(repr(value)) < 20_000
    assert " at 0x" not in repr(value)
    assert again._repr_html_() == value._repr_html_()
    assert "<" in value._repr_html_()
    pd.testing.assert_frame_equal(again.to_frame(), value.to_frame(), check_index_type="equiv")


def test_what_is_made_of_a_restored_fit_has_the_same_bits(fit):
    again = pkpd.PopulationFit.from_json(fit.to_json())
    assert again.fingerprint() == fit.fingerprint()
    assert again.problem.source == fit.problem.source
    assert same(pkpd.vpc(again, n=20, seed=3), pkpd.vpc(fit, n=20, seed=3))
    regimen = pkpd.dose(320.0)
    a, b = (pkpd.exposure_metrics(f, metrics=["AUC1"], regimen=regimen, interval=24) for f in (fit, again))
    assert same(a, b)


@pytest.mark.parametrize("name", pkpd.language.library.model_names())
def test_a_shipped_model_comes_back(name):
    model = pkpd.load_model(name)
    again = pkpd.Model.from_json(model.to_json())
    assert again.fingerprint() == model.fingerprint()
    assert again.equations() == model.equations()
    assert again.to_json() == model.to_json()


@pytest.mark.parametrize("kind", ["transit", "weibull", "inverse_gaussian"])
def test_a_model_with_an_input_function_comes_back(kind):
    """The time after a dose is no symbol of the model's own; fits of such models could not be written."""

    @pkpd.model
    def absorbed(m):
        first, second = m.theta("FIRST", 2.5, lower=0), m.theta("SECOND", 1.5, lower=0)
        made = pkpd.transit(first, mtt=second) if kind == "transit" else getattr(pkpd, kind)(first, second)
        depot, central = m.compartment("depot", input=made), m.compartment("central")
        m.ode(depot, -1.1 * depot)
        m.ode(central, 1.1 * depot - 0.1 * central)
        m.observe("cp", central / 30, additive=m.sigma("ADD", 0.5))

    again = pkpd.Model.from_json(absorbed.to_json())
    assert again.fingerprint() == absorbed.fingerprint() and again.to_json() == absorbed.to_json()
    data = pkpd.load_dataset("theophylline")
    assert pkpd.predict(again, data).equals(pkpd.predict(absorbed, data))


def test_a_model_with_every_kind_of_residual_error_comes_back():
    @pkpd.model
    def two(m):
        k = m.parameter("K", m.theta("K", 0.1, lower=0) * pkpd.exp(m.eta("K", variance=0.1)))
        amount = m.compartment("amount", unit="mg")
        m.ode(amount, -k * amount)
        m.observe(
            "total",
            amount,
            proportional=m.sigma("POW", 0.2),
            power=m.exponent("P", 0.5),
            ar1=m.decay("AR", 0.3),
        )
        m.observe("free", amount / 2, additive=m.sigma("ADD", 0.2))
        m.observe("bound", amount / 3, additive=m.sigma("BOUND", 0.2))
        m.correlate("free", "bound", 0.5)

    again = pkpd.Model.from_json(two.to_json())
    assert again.fingerprint() == two.fingerprint()
    assert [s.kind for s in again.sigmas] == [s.kind for s in two.sigmas]
    assert {s.kind for s in two.sigmas} == {"SD", "POWER", "AR1", "CORR"}


def test_arrays_are_shown_in_lines_and_matrices_by_their_shape():
    shown = repr(partitions([3, 5, 1], [20, 25, 10])).splitlines()
    assert shown[0] == "Partitions" and "  pairwise: array of 3 × 3" in shown
    assert all(line.startswith("  ") for line in shown[1:])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "E_JSON"),
        ('{"__class__": "NoSuchThing"}', "E_JSON_CLASS"),
        ('{"__class__": "Normal", "mean": 0.0, "sd": 1.0}', "E_JSON_CLASS"),
        ('{"__class__": "HalfNormal", "width": 1.0}', "E_JSON_CLASS"),
        ("[1, 2]", "E_JSON_CLASS"),
    ],
)
def test_a_text_that_is_no_such_result_is_refused(text, code):
    with pytest.raises(InputError) as caught:
        pkpd.HalfNormal.from_json(text)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "said", ["__import__('os').system('true')", "Symbol('s99')", "open('x')", "Lambda", "1 +"]
)
def test_an_expression_that_is_no_mathematics_is_refused(said):
    text = pkpd.load_model("theophylline").to_json()
    first = text.index('"sympy": "') + len('"sympy": "')
    broken = text[:first] + said + text[text.index('"', first) :]
    with pytest.raises(InputError) as caught:
        pkpd.Model.from_json(broken)
    assert caught.value.code == "E_JSON_MODEL"


def test_intervals_of_variances_are_symmetric_on_the_logarithm():
    estimate = pd.Series({"CL": 2.0, "OMEGA(CL,CL)": 0.08, "SD(ADD)": 0.5, "OMEGA(V,V)": 0.0})
    scales = {"OMEGA(CL,CL)": "variance", "SD(ADD)": "SD", "OMEGA(V,V)": "variance"}
    table = estimates_table(estimate, pd.Series({n: 0.07 for n in estimate.index}), scales=scales, level=0.9)
    z = 1.6448536269514722  # the 95 % quantile of the standard normal distribution
    assert table.loc["CL", ["lower", "upper"]].tolist() == pytest.approx(
        [2 - 0.07 * z, 2 + 0.07 * z], rel=1e-14
    )
    for name in ("OMEGA(CL,CL)", "SD(ADD)"):
        e = estimate[name]
        ends = [e * math.exp(-z * 0.07 / e), e * math.exp(z * 0.07 / e)]
        assert table.loc[name, ["lower", "upper"]].tolist() == pytest.approx(ends, rel=1e-14)
    # a variance of zero has no logarithm
    assert table.loc["OMEGA(V,V)", ["lower", "upper"]].tolist() == pytest.approx(
        [-0.07 * z, 0.07 * z], rel=1e-14
    )


def test_a_result_of_arrays_is_a_row_per_label():
    means = pkpd.exposure.HistologyExposure(
        "AUCSS", ("lung", "liver"), np.array([30, 12]), np.array([5.8, 5.5]), 0.01 * np.eye(2)
    )
    wanted = pd.DataFrame({"levels": ["lung", "liver"], "n": [30, 12], "log_mean": [5.8, 5.5]})
    pd.testing.assert_frame_equal(means.to_frame(), wanted)
