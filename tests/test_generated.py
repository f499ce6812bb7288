"""Machine code of generated functions: the bits that numba makes of the same text, kept by content, found by other processes."""

from __future__ import annotations

import math

import numba
import numpy as np
import pytest

from pkpd._generated import compile_generated
from pkpd.kernels.gamma import polygamma
from tests.test_jit import run

TEXT = """
import math
from pkpd.kernels.gamma import polygamma

def parameters(order, theta, eta, cov, p, dp, d2p):
    a0 = theta[0]*math.exp(eta[0])
    a1 = (cov[0] > 60.0 and theta[0] != 3.0) or not (cov[1] <= 1.0)
    p[0] = ((a0) if (a1) else (math.log(-a0)))
    p[1] = -a0**(0.75)/(1.0 + cov[1])
    p[2] = ((1.0) if (cov[1] < 0.0) else (((2.0) if (cov[1] == cov[1]) else (math.nan))))
    if order >= 1:
        dp[:, :] = 0.0
        b0 = math.sinh(eta[1])*math.cosh(theta[1])
        dp[2, 1] = b0 - math.lgamma(theta[1]) + math.pi
    if order >= 2:
        d2p[:, :, :] = 0.0
        d2p[1, 0, 3] = polygamma(0, theta[1]) + polygamma(1, theta[0])

def hessian(order, t, x, p, values):
    for c in range(1, 8):
        values[c + 0] = t*x[c + 2] + (p[0] if c == 2 else t if c == 5 else 0.0)
    for c in range(0, 1):
        values[c + 0] = 0.0

def output(order, endpoint, t, x, p, g, dg, d2g):
    if endpoint == 0:
        g[0] = math.sqrt(x[0])*math.sin(t) - math.cos(p[1])
        if order >= 2:
            d2g[:, :] = 0.0
    if endpoint == 1:
        g[0] = 1.0/(x[0] - x[0])
"""


def test_every_construct_gives_the_bits_that_numba_makes_of_it():
    names = {"math": math, "polygamma": polygamma}
    exec(TEXT, names)
    ours = compile_generated(TEXT)
    assert set(ours) == {"parameters", "hessian", "output"}
    theirs = {k: numba.njit(f.signature(), error_model="numpy")(names[k]) for k, f in ours.items()}
    random = np.random.default_rng(1)
    for cov in ([70.0, 0.5], [50.0, 0.5], [50.0, 1.5], [70.0, np.nan], [70.0, -1.0]):
        theta, eta, x, p = (
            random.uniform(0.2, 3, 2),
            random.normal(size=2),
            random.uniform(0, 2, 10),
            np.zeros(4),
        )
        for order in (0, 1, 2):
            found = []
            for f in (ours, theirs):
                out = [np.full(shape, 7.0) for shape in (4, (4, 5), (4, 2, 5), 1, 1, 3, (3, 3), 8)]
                f["parameters"](order, theta, eta, np.array(cov), *out[:3])
                f["output"](order, 0, 0.3, x, p, out[3], out[5], out[6])
                f["output"](order, 1, 0.3, x, p, out[4], out[5], out[6])
                f["hessian"](order, 0.3, x, p, out[7])
                found.append(b"".join(a.tobytes() for a in out))
            assert found[0] == found[1]


@pytest.mark.parametrize(
    "line",
    [
        "p[0] = math.tan(eta[0])",
        "for i in range(2): p[i] = 0.0",
        "for i in range(0, 2): p[i] = 0.0",
        "for i in range(0, 2): p[i + 0] = eta[i + 0] / eta[i + 1]",
        "dp[:, :] = 1.0",
        "p[0] = eta[0] // 2.0",
        "p[0]",
        "rates(theta[0], eta, p, dp)",
    ],
)
def test_what_it_cannot_translate_is_an_error_not_another_number(line):
    with pytest.raises((NotImplementedError, KeyError)):
        compile_generated(f"def parameters(order, theta, eta, cov, p, dp, d2p):\n    {line}\n")


def test_arrays_that_would_be_read_wrongly_are_refused():
    f = compile_generated(TEXT)["hessian"]
    for wrong in (np.zeros(4, int), np.zeros((2, 2)), np.zeros(8)[::2]):
        with pytest.raises(TypeError, match="is needed"):
            f(0, 0.0, wrong, np.zeros(2), np.zeros(2))


PROGRAM = """
import numpy as np, pkpd._machine as machine
from pkpd._generated import compile_generated
translate, times = machine.module_of, []
machine.module_of = lambda *a: times.append(1) or translate(*a)
{before}
f = compile_generated("import math\\n\\ndef rates(t, x, p, dx):\\n    dx[0] = -p[0]*x[0]*{factor}\\n")["rates"]
out = np.zeros(1)
f(0.0, np.ones(1), np.full(1, 2.0), out)
print(out[0], len(times))
"""


def test_it_is_kept_by_its_content(tmp_path):
    first, second, other = (
        run(PROGRAM.format(factor=f, before=""), tmp_path).split() for f in ("1.0", "1.0", "3.0")
    )
    assert [first, second, other] == [["-2.0", "1"], ["-2.0", "0"], ["-6.0", "1"]]
    assert len(list(tmp_path.glob("kernels-*/*.code"))) == 2


def test_an_emptied_cache_or_one_that_cannot_be_written_is_done_without(tmp_path):
    emptied = "import shutil, pkpd._jit as j; shutil.rmtree(j.cache_folder())"
    assert run(PROGRAM.format(factor="1.0", before=emptied), tmp_path).split() == ["-2.0", "1"]
    file = tmp_path / "taken"
    file.write_text("not a folder")
    assert run(PROGRAM.format(factor="1.0", before=""), file).split() == ["-2.0", "1"]
