"""Machine code of generated model functions: their text is straight-line arithmetic, which LLVM takes directly.

numba infers types and lowers statement by statement in Python, ten times as long as LLVM needs for the whole text. The
calling convention is that of numba's first-class functions, so that kernels cannot tell the difference.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any, NamedTuple

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.registry import cpu_target

__all__ = ["POLYGAMMA", "module_of"]

POLYGAMMA = "pkpd_polygamma"  # symbol of :func:`pkpd.kernels.gamma.polygamma`
_DOUBLE, _INDEX, _TRUTH = ir.DoubleType(), ir.IntType(64), ir.IntType(1)
_FUNCTIONS = {f"math.{name}": f"llvm.{name}.f64" for name in ("exp", "log", "pow", "sin", "cos", "sqrt")}
_FUNCTIONS |= {f"math.{name}": name for name in ("lgamma", "sinh", "cosh", "tanh")}
_FUNCTIONS["polygamma"] = POLYGAMMA
_CONSTANTS = {"math.pi": math.pi, "math.inf": math.inf, "math.nan": math.nan}
_SIGNS = {
    ast.Add: "fadd", ast.Sub: "fsub", ast.Mult: "fmul", ast.Div: "fdiv",
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
_LANES = (4, 2, 1)


class _Loop(NamedTuple):
    """A piece of a loop: the name of its index, the first, and how many there are."""

    name: str
    at: int
    lanes: int

    @property
    def type(self) -> Any:
        return ir.VectorType(_DOUBLE, self.lanes)


def module_of(source: str, signatures: Mapping[str, Any], prefix: str) -> ir.Module:
    """Translate the functions of a text that have a signature.

    Parameters
    ----------
    source : str
        Functions of assignments to names and array elements, ``array[:] = 0.0``, and ``if`` of comparisons; expressions of
        arithmetic, functions of :mod:`math`, ``polygamma``, and ``a if test else b``. ``for c in range(…)`` between numbers
        holds one assignment to ``array[c + number]`` of sums and differences: of such elements with a factor before them, of
        ``(a if c == number else b if … else 0.0)``, of 0.0. It is done several elements at a time. A function may call one that
        stands before it, with ``array[number:]`` for an array of one dimension.
    signatures : mapping
        numba signatures by name: void functions of doubles, integers, and C-contiguous arrays of doubles.
    prefix : str
        Of the functions' names in the module: all modules of a process share one list of symbols.

    Returns
    -------
    llvmlite.ir.Module

    Raises
    ------
    NotImplementedError
        For anything else in the text.
    """
    module = ir.Module(name=prefix)
    inner: dict[str, Any] = {}
    for item in ast.parse(source).body:
        if isinstance(item, ast.FunctionDef) and item.name in signatures:
            translation = _Translation(module, prefix + item.name, item, signatures[item.name], inner)
            inner[item.name] = translation.inner
    return module


class _Translation:
    """One function: the one that callers see takes numba's arrays; within it one of pointers, which do not overlap."""

    def __init__(
        self,
        module: ir.Module,
        name: str,
        function: ast.FunctionDef,
        signature: Any,
        others: Mapping[str, Any],
    ) -> None:
        self.module = module
        self.others = others
        self.values: dict[str, Any] = {}
        # of an array: where its elements are, how many there are, and the lengths of all dimensions but the first
        self.arrays: dict[str, tuple[Any, Any, list[Any]]] = {}
        kinds = {a.arg: kind for a, kind in zip(function.args.args, signature.args, strict=True)}
        self.inner = self._entry(name, kinds.values(), signature.return_type)
        place = iter(self.inner.args)
        for argument, kind in kinds.items():
            value = next(place)
            if isinstance(kind, types.Array):
                value.add_attribute("noalias")
                self.arrays[argument] = (value, next(place), [next(place) for _ in range(kind.ndim - 1)])
            else:
                self.values[argument] = value
        self.builder = ir.IRBuilder(self.inner.append_basic_block())
        self._statements(function.body)
        self.builder.ret_void()

    def _entry(self, name: str, kinds: Iterable[Any], returns: Any) -> Any:
        """Define the function that callers see; returns the inner one, which it calls."""
        context = cpu_target.target_context
        seen = [context.get_value_type(kind) for kind in kinds]
        result = context.get_value_type(returns)
        outer = ir.Function(self.module, ir.FunctionType(result, seen), name)
        builder = ir.IRBuilder(outer.append_basic_block())
        passed: list[Any] = []
        for value, kind in zip(outer.args, kinds, strict=True):
            if not isinstance(kind, types.Array):
                passed.append(value)
                continue
            array = context.make_array(kind)(context, builder, value)
            passed += [array.data, array.nitems, *cgutils.unpack_tuple(builder, array.shape)[1:]]
        form = ir.FunctionType(ir.VoidType(), [value.type for value in passed])
        inner = ir.Function(self.module, form, f"{name}_body")
        inner.linkage = "internal"
        builder.call(inner, passed)
        builder.ret(result(None))
        return inner

    def _statements(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            if isinstance(statement, ast.If):
                with self.builder.if_then(self._value(statement.test)):
                    self._statements(statement.body)
            elif isinstance(statement, ast.For):
                self._along(statement)
            elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                self.values[statement.targets[0].id] = self._value(statement.value)
            elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
                self._call(statement.value)
            elif isinstance(statement, ast.Assign):
                self._store(statement.targets[0], statement.value)
            elif not isinstance(statement, ast.Pass):
                raise NotImplementedError(ast.unparse(statement))

    def _store(self, target: Any, value: ast.expr) -> None:
        if not any(isinstance(part, ast.Slice) for part in ast.walk(target.slice)):
            self.builder.store(self._value(value), self._element(target))
            return
        start, count, _ = self.arrays[target.value.id]
        if not (isinstance(value, ast.Constant) and value.value == 0.0):
            raise NotImplementedError(ast.unparse(value))
        size = self.builder.mul(count, _INDEX(8))
        cgutils.memset(self.builder, start, size, 0)

    def _call(self, node: ast.Call) -> None:
        """Call a function that stands before this one; an array of one dimension may be handed over from a place on."""
        passed: list[Any] = []
        for argument in node.args:
            match argument:
                case ast.Subscript(
                    value=ast.Name(id=array), slice=ast.Slice(lower=ast.Constant(value=int(at)), upper=None)
                ):
                    start, count, _ = self.arrays[array]
                    passed += [self.builder.gep(start, [_INDEX(at)]), self.builder.sub(count, _INDEX(at))]
                case ast.Name(id=array) if array in self.arrays:
                    start, count, lengths = self.arrays[array]
                    passed += [start, count, *lengths]
                case _:
                    passed.append(self._value(argument))
        self.builder.call(self.others[ast.unparse(node.func)], passed)

    def _along(self, statement: ast.For) -> None:
        """A loop, written out in pieces of as many elements as fit."""
        match statement:
            case ast.For(
                target=ast.Name(id=name),
                iter=ast.Call(args=[ast.Constant(value=int(at)), ast.Constant(value=int(end))]),
                body=[ast.Assign(targets=[target], value=summed)],
            ):
                pass
            case _:
                raise NotImplementedError(ast.unparse(statement))
        while at < end:
            lanes = next(lanes for lanes in _LANES if at + lanes <= end)
            loop = _Loop(name, at, lanes)
            value = self._lanes(summed, loop) or ir.Constant(loop.type, [0.0] * lanes)
            self.builder.store(value, self._piece(target, loop), align=8)
            at += lanes

    def _piece(self, node: Any, loop: _Loop) -> Any:
        """Where the elements are whose index is that of the loop and a number."""
        match node:
            case ast.Subscript(
                value=ast.Name(id=array),
                slice=ast.BinOp(
                    left=ast.Name(id=loop.name), op=ast.Add(), right=ast.Constant(value=int(offset))
                ),
            ):
                first = self.builder.gep(self.arrays[array][0], [_INDEX(loop.at + offset)])
            case _:
                raise NotImplementedError(ast.unparse(node))
        return self.builder.bitcast(first, loop.type.as_pointer())

    def _lanes(self, node: Any, loop: _Loop) -> Any:
        """Of an expression in a loop: a vector, or None where it is zero throughout."""
        builder = self.builder
        match node:
            case ast.Subscript():
                return builder.load(self._piece(node, loop), align=8)
            case ast.IfExp(
                body=value, test=ast.Compare(comparators=[ast.Constant(value=int(place))]), orelse=rest
            ):
                vector = self._lanes(rest, loop)
                if not loop.at <= place < loop.at + loop.lanes:
                    return vector
                zero = ir.Constant(loop.type, [0.0] * loop.lanes)
                lane = ir.IntType(32)(place - loop.at)
                return builder.insert_element(vector or zero, self._value(value), lane)
            case ast.Constant(value=0.0):
                return None
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                one, other = self._lanes(left, loop), self._lanes(right, loop)
                if one is None or other is None:
                    return one if other is None else other
                return builder.fadd(one, other)
            case ast.BinOp(left=left, op=ast.Sub(), right=right):
                return builder.fsub(self._lanes(left, loop), self._lanes(right, loop))
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                return builder.fmul(self._spread(self._value(left), loop.lanes), self._lanes(right, loop))
        raise NotImplementedError(ast.unparse(node))

    def _spread(self, value: Any, lanes: int) -> Any:
        """A vector of equal numbers."""
        vector = ir.Constant(ir.VectorType(_DOUBLE, lanes), ir.Undefined)
        for lane in range(lanes):
            vector = self.builder.insert_element(vector, value, ir.IntType(32)(lane))
        return vector

    def _element(self, node: Any) -> Any:
        """Where an element is: its indices are numbers."""
        start, _, lengths = self.arrays[node.value.id]
        numbers = ast.literal_eval(node.slice)
        numbers = numbers if isinstance(numbers, tuple) else (numbers,)
        at = _INDEX(numbers[0])
        for number, length in zip(numbers[1:], lengths, strict=True):
            at = self.builder.add(self.builder.mul(at, length), _INDEX(number))
        return self.builder.gep(start, [at])

    def _value(self, node: Any) -> Any:
        """Of an expression: a double, a whole number, or the truth of a comparison."""
        builder = self.builder
        match node:
            case ast.Constant(value=bool(value)):
                return _TRUTH(value)
            case ast.Constant(value=int(value)):
                return _INDEX(value)
            case ast.Constant(value=value):
                return _DOUBLE(value)
            case ast.Attribute():
                return _DOUBLE(_CONSTANTS[ast.unparse(node)])
            case ast.Name(id=name):
                return self.values[name]
            case ast.Subscript():
                return builder.load(self._element(node))
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(value))):
                return _INDEX(-value)
            case ast.UnaryOp(op=ast.USub(), operand=value):
                return builder.fneg(self._value(value))
            case ast.UnaryOp(op=ast.Not(), operand=value):
                return builder.not_(self._value(value))
            case ast.BoolOp(op=op, values=parts):
                join = builder.and_ if isinstance(op, ast.And) else builder.or_
                return reduce(join, [self._value(part) for part in parts])
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                return self._called("math.pow", [left, right])
            case ast.BinOp(left=left, op=op, right=right):
                return getattr(builder, _SIGNS[type(op)])(self._value(left), self._value(right))
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return self._compared(_SIGNS[type(op)], self._value(left), self._value(right))
            case ast.Call(func=function, args=arguments):
                return self._called(ast.unparse(function), arguments)
            case ast.IfExp():
                return self._chosen(node)
        raise NotImplementedError(ast.unparse(node))

    def _called(self, name: str, arguments: list[Any]) -> Any:
        values = [self._value(a) for a in arguments]
        symbol = _FUNCTIONS[name]
        if symbol not in self.module.globals:
            ir.Function(self.module, ir.FunctionType(_DOUBLE, [value.type for value in values]), symbol)
        return self.builder.call(self.module.globals[symbol], values)

    def _compared(self, sign: str, left: Any, right: Any) -> Any:
        if left.type == _INDEX:
            return self.builder.icmp_signed(sign, left, right)
        # as in Python, a NaN differs from everything and is neither less nor more
        compare = self.builder.fcmp_unordered if sign == "!=" else self.builder.fcmp_ordered
        return compare(sign, left, right)

    def _chosen(self, node: ast.IfExp) -> Any:
        """``a if test else b``, of which one is computed."""
        with self.builder.if_else(self._value(node.test)) as (then, otherwise):
            with then:
                one, first = self._value(node.body), self.builder.block
            with otherwise:
                other, second = self._value(node.orelse), self.builder.block
        chosen = self.builder.phi(one.type)
        chosen.add_incoming(one, first)
        chosen.add_incoming(other, second)
        return chosen
