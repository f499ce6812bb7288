"""Models as NONMEM and nlmixr2 text: what is written, evaluated as it stands, is what the model says."""

from __future__ import annotations

import math
import re

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd.errors import ModelError
from pkpd.language import bind

COLUMNS = ["ID", "TIME", "AMT", "DV", "EVID", "MDV", "CMT", "DVID"]


def covariates(model):
    return [c.name for c in model.covariates] + [f.name for f in model.factors]


@pytest.fixture(scope="module")
def everything():
    def define(m):
        wt, state = m.covariate("WT"), m.factor("STATE", ["well", "ill"], reference="well")
        cl = m.theta("CL", 2.0, unit="L/h", lower=0, upper=9) * pkpd.exp(
            m.eta("CL", variance=0.1) + state.effect("CL")
        )
        cl = m.parameter("CL", cl * pkpd.where((wt > 70) & (wt < 120), (wt / 70) ** 0.75, pkpd.sqrt(wt / 70)))
        etas = m.etas("V", "KA", variance=[[0.2], [0.03, 0.3]])
        v = m.parameter("V", m.theta("V", 10.0, fixed=True) * pkpd.exp(etas[0] + m.iov("V", variance=0.04)))
        ka = m.parameter("KA", m.theta("KA", 1.0) * pkpd.exp(etas[1]))
        depot = m.compartment(
            "depot", lag=m.theta("LAG", 0.3, lower=0), bioavailability=pkpd.expit(m.theta("F", 1.2))
        )
        central = m.compartment("central", initial=0.5 * v)
        m.ode(depot, -ka * depot)
        m.ode(central, ka * depot - cl / v * central * (1 + 0.2 * pkpd.cos(2 * pkpd.pi * m.time / 24)))
        m.observe(
            "cp", central / v, additive=m.sigma("ADD", 0.5), proportional=m.sigma("PROP", 0.1), combined="sd"
        )
        m.observe("log_cp", pkpd.log(central / v), additive=m.sigma("LOG", 0.2, fixed=True))

    return pkpd.model(define)


def evaluated(lines, left, right, values):
    """Evaluate assignments written by a program, in order; ``left`` and ``right`` turn them into Python."""
    for line in lines:
        if re.match(left, line):
            name, text = re.split(r" (?:<-|=) ", line.strip(), maxsplit=1)
            values[name] = eval(right(text), {"__builtins__": {}}, values)
    return values


MATH = {
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "cos": math.cos,
    "ifelse": lambda c, a, b: a if c else b,
}


@pytest.mark.parametrize("weight", [60.0, 85.0])
def test_nlmixr2_text_computes_the_parameters(everything, weight):
    text = everything.to_nlmixr2()
    frame = pd.DataFrame(
        {"ID": [1, 1, 2, 2], "TIME": [0.0, 1.0] * 2, "AMT": [1.0, 0.0] * 2, "EVID": [1, 0] * 2, "DV": 1.0, "WT": weight,
         "STATE": ["ill"] * 2 + ["well"] * 2, "OCC": 1}
    )  # fmt: skip
    problem = bind(everything, pkpd.read_dataset(frame))
    eta = [0.1, -0.2, 0.3, 0.05]
    functions = problem.functions
    p = np.zeros(3)
    theta = np.array([t.initial for t in problem.thetas])
    functions["individual"](
        0, theta, np.array(eta), problem.covariates[0], p, np.zeros((0, 0)), np.zeros((0, 0, 0))
    )
    values = MATH | {"WT": weight, "STATE": "ill", "t": 7.0, "depot": 3.0, "central": 4.0}
    ini = re.findall(r"^    (\w+) <- (?:c\([^,]*, |fix\()?([-\d.e]+)", text.split("model({")[0], re.M)
    values |= {name: float(number) for name, number in ini}
    values |= dict(zip(["eta_CL", "eta_V", "eta_KA", "iov_V"], eta, strict=True))
    body = text.split("model({")[1].splitlines()
    got = evaluated(body, r"    [\w/()]+ <- ", lambda e: e.replace("^", "**").replace("&&", " and "), values)
    np.testing.assert_allclose([got["CL"], got["V"], got["KA"]], p, rtol=1e-12)
    k = p[0] / p[1] * (1 + 0.2 * math.cos(2 * math.pi * 7 / 24))
    np.testing.assert_allclose(got["d/dt(central)"], p[2] * 3.0 - k * 4.0, rtol=1e-12)
    assert got["alag(depot)"] == 0.3 and got["central(0)"] == pytest.approx(0.5 * p[1])
    assert got["f(depot)"] == pytest.approx(1 / (1 + math.exp(-1.2)))
    for line in (
        "tv_CL <- c(0, 2, 9)", "tv_V <- fix(10)", "tv_KA <- 1", "eta_V + eta_KA ~ c(0.2, 0.03, 0.3)", "iov_V ~ 0.04 | OCC",
        "cp ~ add(sd_ADD) + prop(sd_PROP) + combined1()", "log_cp ~ add(sd_LOG)", "sd_LOG <- fix(0.2)", "CL_STATE_ill <- 0",
        'effect_CL_STATE <- CL_STATE_ill * (STATE == "ill")',
    ):  # fmt: skip
        assert f"    {line}\n" in text


@pytest.mark.parametrize("weight", [60.0, 85.0])
def test_nonmem_text_computes_the_parameters(everything, weight):
    text = everything.to_nonmem([*COLUMNS, "WT", "STATE", "OCC"], occasions=[1, 2])
    code = text.replace(" &\n    ", " ")
    pk, des = code.split("$PK\n")[1].split("$DES\n")
    des = des.split("$ERROR")[0]
    theta = [2.0, 10.0, 1.0, 0.3, 1.2, 0.0]
    eta = [0.1, -0.2, 0.3, 0.05, 7.0]
    values = {"EXP": math.exp, "LOG": math.log, "SQRT": math.sqrt, "COS": math.cos}
    values |= {"WT": weight, "STATE": 1, "OCC": 1, "T": 7.0}
    values |= {"THETA": lambda i: theta[i - 1], "ETA": lambda i: eta[i - 1], "A": lambda i: [3.0, 4.0][i - 1]}
    run(pk, values)
    cl = 2.0 * math.exp(0.1) * ((weight / 70) ** 0.75 if 70 < weight < 120 else math.sqrt(weight / 70))
    v, ka = 10 * math.exp(-0.2 + 0.05), math.exp(0.3)
    np.testing.assert_allclose([values["CL"], values["V"], values["KA"]], [cl, v, ka], rtol=1e-12)
    assert values["ALAG1"] == 0.3 and values["F1"] == pytest.approx(1 / (1 + math.exp(-1.2)))
    assert values["A_0_2"] == pytest.approx(0.5 * v)
    run(des, values)
    k = cl / v * (1 + 0.2 * math.cos(2 * math.pi * 7 / 24))
    np.testing.assert_allclose(
        [values["DADT_1"], values["DADT_2"]], [-ka * 3.0, ka * 3.0 - k * 4.0], rtol=1e-12
    )
    for line in (
        "; STATE: 0 = well (reference), 1 = ill", "$THETA (0, 2, 9)  ; CL (L/h)", "$THETA 10 FIX  ; V",
        "$THETA 0  ; CL(STATE=ill)", "$THETA (0, 0.2) FIX  ; SD(LOG)", "$OMEGA BLOCK(2)\n  0.2  ; V\n  0.03 0.3  ; KA",
        "$OMEGA BLOCK(1)\n  0.04  ; IOV(V)\n$OMEGA BLOCK(1) SAME", "$SIGMA 1 FIX", "    W = THETA(7) + THETA(8)*IPRED",
        "  IF (DVID.EQ.2) THEN\n    IPRED = PRED_LOG_CP",
    ):  # fmt: skip
        assert line in text
    assert max(len(x) for x in text.splitlines() if not x.startswith(";")) <= 124


def run(block, values):
    """Run NM-TRAN assignments and IF blocks as Python."""
    python, depth = [], 0
    for line in (x.strip() for x in block.splitlines()):
        for nonmem, symbol in ((".EQ.", "=="), (".LT.", "<"), (".LE.", "<="), (".GT.", ">"), (".GE.", ">=")):
            line = line.replace(nonmem, symbol)
        line = line.replace(".AND.", " and ").replace(".OR.", " or ")
        line = re.sub(r"^(DADT|A_0)\((\d)\) =", r"\1_\2 =", line)
        if line == "ENDIF":
            depth -= 1
            continue
        if line == "ELSE" or line.startswith("ELSEIF"):
            line = "else:" if line == "ELSE" else f"elif {line[6:].removesuffix('THEN')}:"
            python.append("    " * (depth - 1) + line)
        elif line.endswith("THEN"):
            python.append("    " * depth + f"if {line[2:].removesuffix('THEN')}:")
            depth += 1
        elif line.startswith("IF "):
            condition, assignment = re.match(r"IF (\([^)]*\)) (.*)", line).groups()
            python.append("    " * depth + f"if {condition}: {assignment}")
        else:
            python.append("    " * depth + line)
    exec("\n".join(python), {"__builtins__": {}}, values)


def test_warfarin_is_written_as_it_was_read_by_eye():
    model = pkpd.load_model("warfarin")
    nonmem = model.to_nonmem([*COLUMNS, "WT"], data="warfarin.csv")
    assert nonmem[nonmem.index("$PROBLEM") :] == NONMEM
    text = model.to_nlmixr2()
    assert text[text.index("warfarin <-") :] == NLMIXR2


def test_every_shipped_model_is_written_or_refused_by_name():
    from pkpd.language import model_names

    for name in model_names():
        model = pkpd.load_model(name)
        open_factor = any(f.levels is None for f in model.factors)
        for write in (model.to_nlmixr2, lambda m=model: m.to_nonmem([*COLUMNS, *covariates(m)])):
            if open_factor:
                with pytest.raises(ModelError, match=r"E_EXPORT.*levels"):
                    write()
            else:
                assert model.name in write()


def test_equations_in_time_alone_are_a_pred_block():
    def define(m):
        base = m.parameter("BASE", m.theta("BASE", 3.0) + m.eta("BASE", variance=1.0))
        m.observe("y", base - 0.5 * m.time, additive=m.sigma("SD", 1.0))

    text = pkpd.model(define).to_nonmem(["ID", "TIME", "DV"])
    assert (
        "$PRED\n  BASE = THETA(1) + ETA(1)\n  PRED_Y = BASE - 0.5*TIME\n  IPRED = PRED_Y\n"
        in text.replace("BASE = ETA(1) + THETA(1)", "BASE = THETA(1) + ETA(1)").replace(
            "-0.5*TIME + BASE", "BASE - 0.5*TIME"
        )
    )
    assert "$DES" not in text and "$SUBROUTINES" not in text


def test_what_has_no_counterpart_is_refused_by_name(everything):
    def with_input(m):
        gut = m.compartment("gut", input=pkpd.transit(3, mtt=m.theta("MTT", 1.0)))
        m.ode(gut, -gut)
        m.observe("y", gut, additive=m.sigma("SD", 1.0))

    def linear(m):
        gut = m.compartment("gut")
        m.ode(gut, -gut * m.covariate("WT", interpolation="linear"))
        m.observe("y", gut, additive=m.sigma("SD", 1.0), transform="log")

    def direct(m):
        gut = m.compartment("gut")
        m.ode(gut, -gut)
        m.likelihood("event", -2 * pkpd.log(pkpd.where(m.dv == 1, pkpd.expit(gut), 1 - pkpd.expit(gut))))

    for wrong, words in (
        (with_input, "input function"),
        (linear, "interpol"),
        (direct, "likelihood of its own"),
    ):
        model = pkpd.model(wrong)
        for write in (model.to_nlmixr2, lambda m=model: m.to_nonmem([*COLUMNS, "WT"])):
            with pytest.raises(ModelError, match=f"E_EXPORT.*{words}"):
                write()
    with pytest.raises(ModelError, match=r"E_EXPORT.*no column STATE"):
        everything.to_nonmem([*COLUMNS, "WT", "OCC"], occasions=[1])
    with pytest.raises(ModelError, match=r"E_EXPORT.*occasion"):
        everything.to_nonmem([*COLUMNS, "WT", "OCC", "STATE"])
    with pytest.raises(ModelError, match=r"E_EXPORT.*no effects of the occasion"):
        pkpd.load_model("theophylline").to_nonmem(COLUMNS, occasions=[1])
    effect = everything.effects[0]
    for write in (
        everything.to_nlmixr2,
        lambda **given: everything.to_nonmem([*COLUMNS, "WT", "OCC", "STATE"], occasions=[1], **given),
    ):
        with pytest.raises(ModelError, match=r"E_EXPORT.*=nowhere\) is no effect"):
            write(effects={"CL": 3.0, f"{effect.parameter}({effect.factor}=nowhere)": 0.3})


def test_columns_of_a_control_stream_may_be_written_as_they_stand_there():
    model = pkpd.load_model("theophylline")
    assert model.to_nonmem("ID TIME  DV AMT") == model.to_nonmem(["ID", "TIME", "DV", "AMT"])


NONMEM = """$PROBLEM warfarin
$INPUT ID TIME AMT DV EVID MDV CMT DVID WT
$DATA warfarin.csv IGNORE=@
$SUBROUTINES ADVAN13 TOL=9
$MODEL
  COMP=(DEPOT)
  COMP=(CENTRAL)
$PK
  CL = 0.041321537264558256*WT**0.75*THETA(1)*EXP(ETA(1))
  V = WT*THETA(2)*EXP(ETA(2))/70.0
  KA = THETA(3)*EXP(ETA(3))
  ALAG1 = THETA(4)
$DES
  DADT(1) = -KA*A(1)
  DADT(2) = KA*A(1) - CL*A(2)/V
$ERROR
  PRED_CP = A(2)/V
  IPRED = PRED_CP
  W = SQRT(THETA(5)**2 + (THETA(6)*IPRED)**2)
  Y = IPRED + W*EPS(1)
$THETA (0, 0.13)  ; CL (L/h)
$THETA (0, 8)  ; V (L)
$THETA (0, 1)  ; KA (1/h)
$THETA (0, 0.5)  ; TLAG (h)
$THETA (0, 0.5)  ; SD(ADD)
$THETA (0, 0.1)  ; SD(PROP)
$OMEGA BLOCK(2)
  0.1  ; CL
  0.01 0.1  ; V
$OMEGA 0.5  ; KA
$SIGMA 1 FIX
$ESTIMATION METHOD=1 INTERACTION MAXEVAL=9999 SIGL=9 NSIG=3 PRINT=5
$COVARIANCE
"""

NLMIXR2 = """warfarin <- function() {
  ini({
    tv_CL <- c(0, 0.13, Inf)  # Apparent clearance, 70 kg
    tv_V <- c(0, 8, Inf)  # Apparent volume, 70 kg
    tv_KA <- c(0, 1, Inf)  # Absorption rate constant
    tv_TLAG <- c(0, 0.5, Inf)  # Absorption lag time
    eta_CL + eta_V ~ c(0.1, 0.01, 0.1)
    eta_KA ~ 0.5
    sd_ADD <- c(0, 0.5)
    sd_PROP <- c(0, 0.1)
  })
  model({
    CL <- 0.041321537264558256*WT^0.75*tv_CL*exp(eta_CL)
    V <- WT*tv_V*exp(eta_V)/70
    KA <- tv_KA*exp(eta_KA)
    d/dt(depot) <- -KA*depot
    d/dt(central) <- KA*depot - CL*central/V
    alag(depot) <- tv_TLAG
    cp <- central/V
    cp ~ add(sd_ADD) + prop(sd_PROP) + combined2()
  })
}
"""


def test_constants_are_written_as_numbers():
    """SymPy's E and pi are no names of the other programs."""

    @pkpd.model
    def constant(m):
        m.observe("y", m.theta("A", 1.0) * pkpd.exp(1), additive=m.sigma("ADD", 1.0))

    assert "2.718281828459045" in constant.to_nonmem(["ID", "TIME", "DV"])
    assert "2.718281828459045" in constant.to_nlmixr2()
