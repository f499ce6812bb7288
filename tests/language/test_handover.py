"""Functions that remember their address are the same functions."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import pkpd
from pkpd.language import bind
from pkpd.language.handover import quick


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
