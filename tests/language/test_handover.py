"""Functions that remember their address are the same functions."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import numpy as np
import pytest

import pkpd
from pkpd.kernels.prediction import chain_to_effects
from pkpd.language import bind
from pkpd.language.handover import Direct, quick


def test_a_remembered_address_is_the_address():
    problem = bind(pkpd.load_model("theophylline"), pkpd.load_dataset("theophylline"))
    # the solver and the steady state; what is generated for a model knows its address by itself
    for function in (problem.compiled[0], problem.compiled[-2]):
        assert quick(function) is function
        result = function.overloads[function.signatures[0]]
        assert function.get_compile_result(result.signature) is result
        name = result.fndesc.llvm_func_name
        fresh = type(result.library).get_pointer_to_function(result.library, name)
        assert result.library.get_pointer_to_function(name) == fresh


def test_they_still_travel_to_other_processes():
    problem = bind(pkpd.load_model("theophylline"), pkpd.load_dataset("theophylline"))
    output = problem.compiled[5]
    assert pickle.loads(pickle.dumps(output)) is not None


def test_another_numba_is_only_slower():
    result = SimpleNamespace(library=SimpleNamespace())
    function = SimpleNamespace(signatures=["f"], overloads={"f": result})
    assert quick(function) is function
    assert not vars(result.library) and set(vars(function)) == {"signatures", "overloads"}


def test_types_are_checked_before_a_kernel_is_called_directly():
    shapes = ((1, 2), (1, 1, 2), (3, 1), (0, 1, 1), (3, 2), (0, 1, 2))
    dp, d2p, f_p, f_pp, fz, fez = (np.ones(shape) for shape in shapes)
    for call in (Direct(chain_to_effects), pickle.loads(pickle.dumps(Direct(chain_to_effects)))):
        with pytest.raises(TypeError, match="No matching definition"):
            call(1, 2, dp.astype(np.float32), d2p, f_p, f_pp, fz, fez)
        for factor in (2.0, 3.0):
            fz[:] = 0.0
            call(1, 2, factor * dp, d2p, f_p, f_pp, fz, fez)
            assert np.array_equal(fz, np.full((3, 2), factor))


def test_without_an_entry_point_every_call_is_checked():
    calls = []

    def kernel(*arguments):
        calls.append(arguments)

    kernel.signatures, kernel.overloads = ["f"], {"f": SimpleNamespace()}
    call = Direct(kernel)
    call(1)
    call(2)
    assert calls == [(1,), (2,)]
