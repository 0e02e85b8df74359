"""Symbolic sizes: what they are called, what was decided by them, and their text as Python that needs no import."""

import ast
import hashlib
import os
import re
import sys
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import CodeType, FrameType
from typing import Any

import sympy  # type: ignore[import-untyped]
import torch
from torch._dynamo.source import ConstantSource
from torch._prims_common import make_contiguous_strides_for
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv
from torch.utils._sympy.functions import IntTrueDiv, ToFloat
from torch.utils._sympy.printers import PythonPrinter

from fnlearn.port.calls import NOT_THE_MODEL, TORCH
from fnlearn.port.expression import worked_out
from fnlearn.port.graph import Sym, Val

__all__ = ["SYMBOLIC", "Condition", "Sizes", "symbol_named", "text"]

SYMBOLIC = (torch.SymInt, torch.SymFloat, torch.SymBool)
OF_SYMBOLS = (torch.__file__, os.path.join(TORCH, "fx", "experimental"))  # torch's own code of symbols
ASSERT = torch._assert.__code__  # which a model calls through us
BROADCASTING = ("infer_size", "_broadcast_shapes", "broadcast_shapes")  # functions for the shape of two together
RESHAPING = "_reshape_view_helper_core_alg"  # of torch's, which works out a view
LONG = 60  # operations of a size that is left as torch has it
LARGE = 24  # operations of a size from which on it is a symbol of its own
NAME = re.compile(r"\bs\d+\b")  # of a symbol of ours


@dataclass(frozen=True)
class Condition:
    """What has to hold of the inputs' sizes, and its opposite, as Python over the inputs' names.

    beyond_one: which input's dimension has to be more than one, if that is all.
    """

    holds: str
    fails: str
    beyond_one: tuple[int, int] | None = None


class _Env(ShapeEnv):
    """Torch's sizes without numbers; it keeps what was asked of them, and what the answer was."""

    def __init__(self) -> None:
        super().__init__(allow_scalar_outputs=False, allow_dynamic_output_shape_ops=False)
        self.asked: dict[Any, Any] = {}
        self.converting: dict[int, dict[str, Any]] = {}  # names of code that makes numbers of symbols
        self.bounds: dict[Any, Any] = {}
        self.spread: list[Any] = []  # sizes that have to be equal, or one of them one
        self.own: dict[Any, Any] = {}  # symbols for large sizes, by these

    def symbol_of(self, size: Any) -> Any:
        """A symbol for a large size, which torch need not reckon with from here on; the same one for the same size."""
        expression = size.node.expr
        if expression not in self.own:
            source = ConstantSource(f"own_{len(self.own)}")
            kind = DimDynamic.DYNAMIC
            self.own[expression] = self.create_symbol(size.node.hint, source, kind, do_not_specialize_zero_one=True)
        return self.create_symintnode(self.own[expression], hint=size.node.hint)

    def _set_replacement(self, a: Any, tgt: Any, msg: str) -> None:
        """What turned out to be equal is one, but for a symbol that would follow from what follows from it."""
        order = {symbol: i for i, symbol in enumerate(self.own.values())}
        if tgt in order and order[tgt] > order.get(a, -1):
            a, tgt = tgt, a
        if all(order.get(symbol, -1) < order.get(a, -1) for symbol in tgt.free_symbols if symbol in order):
            super()._set_replacement(a, tgt, msg)

    def bound_sympy(self, expr: Any, size_oblivious: bool = False) -> Any:
        """Between which numbers a size is; what is known of one size later would be narrower, and is not needed."""
        key = expr, size_oblivious
        if key not in self.bounds:
            self.bounds[key] = super().bound_sympy(expr, size_oblivious)
        return self.bounds[key]

    def evaluate_sym_node(self, sym_node: Any, *args: Any, **kwargs: Any) -> Any:
        """What a size is, or whether something is true of it: what is recorded from here on holds for that alone.

        Torch's own functions ask often; where no size could turn out to be another or a number, the example answers.
        A size that is one there is none where shapes are broadcast, since torch would go on with a number; where they
        are changed it has to stay one, since torch leaves it out then.
        """
        asked = sym_node.expr
        frame = _asking(sys._getframe(1))
        asker = frame.f_code
        if not sym_node.is_bool() and asked.free_symbols and _is_user(asker):
            self.converting[id(frame.f_globals)] = frame.f_globals
        own = not sym_node.is_bool() or _is_user(asker)
        equal = asked.args if isinstance(asked, sympy.Eq) else ()
        spread = bool(equal) and asker.co_name in BROADCASTING
        if not own and spread and 1 in equal:
            return sympy.false
        if not own and sym_node.hint is not None and (asker.co_name == RESHAPING or not _equates(asked)):
            if sym_node.hint and asker.co_name == RESHAPING and 1 in equal:
                self.asked.setdefault(asked, sympy.true)
            return sympy.sympify(sym_node.hint)
        told = super().evaluate_sym_node(sym_node, *args, **kwargs)
        if spread and told:
            self.spread.append(asked)
        if own and asked.free_symbols:
            self.asked.setdefault(asked, told)
        return told

    @contextmanager
    def unasked(self, forget: bool) -> Iterator[None]:
        """What is asked meanwhile is forgotten, where it is to be."""
        before = dict(self.asked) if forget else None
        yield
        self.asked = self.asked if before is None else before


def _equates(asked: Any) -> bool:
    return isinstance(asked, sympy.Eq | sympy.Ne) and (asked.lhs.is_Symbol or asked.rhs.is_Symbol)


def _asking(frame: Any) -> FrameType:
    """The frame of what asks something of a symbol, behind torch's own code of symbols."""
    while _is_of_symbols(frame.f_code):
        frame = frame.f_back
    asking: FrameType = frame
    return asking


def _is_of_symbols(code: CodeType) -> bool:
    return code is not ASSERT and code.co_filename.startswith(OF_SYMBOLS)


def _is_user(code: CodeType) -> bool:
    """Whether it is a model's own code that branches, and not a function of torch's, which JAX has a word for."""
    return code is ASSERT or not code.co_filename.startswith(NOT_THE_MODEL)


def symbol_named(name: str) -> Any:
    """A symbol of ours for a size; two of one name are equal."""
    return sympy.Symbol(name, integer=True, positive=True)


def _is_large(size: Any) -> bool:
    return isinstance(size, torch.SymInt) and size.node.hint > 1 and _operations(size.node.expr) > LARGE


@lru_cache(maxsize=4096)
def _operations(expression: Any) -> int:
    return int(expression.count_ops())


@dataclass
class Sizes:
    """The sizes of one trace.

    called: our symbols, by torch's. expressions: by their text. inputs: those of the model. given: which of these, and
    which dimension of it, brought a symbol. example: what the symbols are in the example. fixed: parts of inputs'
    shapes that have to be as they are. made: what the symbols are that stand for large sizes, each by earlier ones;
    used: torch's symbols that a call was given as numbers.
    """

    env: _Env = field(default_factory=_Env)
    called: dict[Any, Any] = field(default_factory=dict)
    expressions: dict[str, Any] = field(default_factory=dict)
    inputs: list[Val] = field(default_factory=list)
    given: dict[str, tuple[int, int]] = field(default_factory=dict)
    example: dict[Any, int] = field(default_factory=dict)
    fixed: list[tuple[Val, str, Any]] = field(default_factory=list)
    made: dict[Any, Any] = field(default_factory=dict)
    used: set[Any] = field(default_factory=set)

    def given_as(self, value: Any) -> Any:
        """What a call is given; what is a number by now may be another where the symbol was not."""
        self.used |= value.node._expr.free_symbols
        return self.of(value)

    def of(self, value: Any) -> Any:
        """A plain number, or the expression of a symbolic one; symbols are called in the order in which they come."""
        if not isinstance(value, SYMBOLIC):
            return value
        expression = value.node.expr
        if expression.is_number:
            return int(expression) if isinstance(value, torch.SymInt) else float(expression)
        renamed = self._renamed(expression)
        written = text(renamed)
        self.expressions[written] = renamed
        return Sym(written)

    def _renamed(self, expression: Any) -> Any:
        for symbol in sorted(expression.free_symbols, key=str):
            self.called.setdefault(symbol, symbol_named(f"s{len(self.called)}"))
        return expression.xreplace(self.called)

    def shortened(self, tensor: Any) -> Any:
        """The same with symbols for what is large in its shape: what follows from that would be larger yet."""
        if not isinstance(tensor, torch.Tensor) or not any(map(_is_large, tensor.shape)):
            return tensor
        shape = [self._short(size) if _is_large(size) else size for size in tensor.shape]
        strides = make_contiguous_strides_for(shape) if tensor.is_contiguous() else tensor.stride()
        return tensor.as_strided(shape, strides)  # a view would ask whether they are equal, and make them one

    def _short(self, size: Any) -> Any:
        """A symbol for the size, called after what it is, so that it is the same in another recording."""
        short = self.env.symbol_of(size)
        if short.node.expr not in self.called:
            meant = self._renamed(size.node.expr)
            name = hashlib.blake2s(text(meant).encode()).hexdigest()[:12]
            self.called[short.node.expr] = ours = symbol_named(f"made_{name}")
            self.made[ours] = meant
        return short

    def enter(self, val: Val, shape: tuple[int, ...], dynamic: Container[int], raised: Container[int]) -> None:
        """An input of the model, whose sizes in the example are `shape`; raised: of which of them one is another."""
        still = [i for i in range(len(shape)) if i not in dynamic or (shape[i] == 1 and i not in raised)]
        if still and still == list(range(still[0], len(shape))):
            self.fixed.append((val, f"[{still[0]}:]" if still[0] else "", shape[still[0] :]))
        else:
            self.fixed += [(val, f"[{i}]", shape[i]) for i in still]
        for i, size in enumerate(val.shape):
            if isinstance(size, Sym):
                self.given[size.text] = len(self.inputs), i
                self.example[self.expressions[size.text]] = shape[i]
        self.inputs.append(val)

    def keep(self, tensor: torch.Tensor, dims: Any) -> None:
        """Dimensions that a squeeze leaves where they are; ValueError where one is one in the example alone."""
        given = torch.utils._pytree.tree_leaves(dims)
        for size in (tensor.shape[dim] for dim in given or range(tensor.ndim)):
            if isinstance(size, SYMBOLIC) and size.node.hint == 1:
                raise ValueError("a size that is squeezed has to be a number")
            if isinstance(size, SYMBOLIC) and given:
                self.env.asked.setdefault(sympy.Eq(size.node.expr, 1), False)

    @cached_property
    def turned_out(self) -> dict[Any, Any]:
        """What our symbols are after the run: those that turned out to be equal are the first of them, or a number."""
        first: dict[Any, Any] = {}
        found = {}
        for symbol, ours in self.called.items():
            now = self.env.replace(symbol)
            found[ours] = first.setdefault(now, ours) if now.is_symbol else now.xreplace(self.called)
        return found

    @cached_property
    def defined(self) -> dict[str, Any]:
        """What large sizes are, by the names of their symbols, after the run."""
        now = self.turned_out
        return {ours.name: meant.xreplace(now) for ours, meant in self.made.items() if now[ours] == ours}

    def settled(self) -> Callable[[Any], Any]:
        """What a size is in the end: symbols that turned out to be equal, or a number, are called alike everywhere."""
        forms: dict[Any, Any] = {}  # torch multiplies some of them out; they are written as they come first
        same = {}
        for written, expression in self.expressions.items():
            now = expression.xreplace(self.turned_out)
            plain = isinstance(now, sympy.Expr) and now.count_ops() < LONG
            same[written] = forms.setdefault(sympy.expand_mul(now), now) if plain else now
        sizes = [e for e in same.values() if isinstance(e, sympy.Expr) and not e.is_number]
        self.expressions = {text(size): size for size in sizes}

        def number(value: Any) -> Any:
            if not isinstance(value, Sym):
                return value
            expression = same[value.text]
            if not expression.is_number:
                return Sym(text(expression))
            return int(expression) if expression.is_integer else float(expression)

        return number

    # what was decided by them

    @cached_property
    def decided(self) -> list[Any]:
        """What held of the sizes, after the run; what follows from a size's being a certain number is left out."""
        others = {symbol for symbol in self.used if self.turned_out[self.called[symbol]] != self.called[symbol]}
        spread = {asked: True for asked in self.env.spread if others & asked.free_symbols}
        found: list[Any] = []
        for asked, told in (spread | self.env.asked).items():
            if isinstance(told, bool) or told in (sympy.true, sympy.false):
                held = asked if told else sympy.Not(asked)
            else:
                held = sympy.Eq(asked, told)
            found += sympy.And.make_args(self._by_inputs(self._renamed(held)).replace(ToFloat, lambda size: size))
        known = {held.lhs: held.rhs for held in found if isinstance(held, sympy.Eq) and held.rhs.is_number}
        rest = [held for held in found if held.xreplace(known) != sympy.true]
        return [*(sympy.Eq(size, number) for size, number in known.items()), *rest]

    def _by_inputs(self, expression: Any) -> Any:
        """An expression in the symbols of the inputs alone."""
        for ours, meant in reversed(self.made.items()):
            expression = expression.xreplace({ours: meant})
        return expression

    def _beyond_one(self, held: Any) -> tuple[int, int] | None:
        """Which input's dimension is more than one, if that is all that is said."""
        if not isinstance(held, sympy.core.relational.Relational) or len(held.free_symbols) != 1:
            return None
        (symbol,) = held.free_symbols
        alone = {held.lhs, held.rhs} - {symbol}
        try:
            told = [held.xreplace({symbol: sympy.Integer(n)}) == sympy.true for n in (1, 2, 3)]
        except ZeroDivisionError:
            return None
        return self.given.get(symbol.name) if len(alone) == 1 and told == [False, True, True] else None

    def like_the_example(self) -> bool:
        """Whether all of it holds in the example too, whose batch of one may have been another on the way."""
        rest = [held for held in self.decided if self._beyond_one(held) is None]
        return all(held.xreplace(self.example) == sympy.true for held in rest)

    def constants(self, texts: dict[int, str]) -> list[Condition]:
        """Which sizes have to be those of the example; texts: how inputs are written, by the values' ids."""
        fixed = [(f"{texts[id(val)]}.shape{part}", size) for val, part, size in self.fixed if id(val) in texts]
        return [Condition(f"{at} == {size}", f"{at} != {size}") for at, size in fixed]

    def conditions(self, texts: dict[int, str]) -> list[Condition]:
        """What has to hold by what was decided."""
        found = []

        def place(symbol: re.Match[str]) -> str:
            i, dim = self.given[symbol[0]]
            return f"{texts[id(self.inputs[i])]}.shape[{dim}]"

        for held in self.decided:
            known = [self.given.get(symbol.name) for symbol in held.free_symbols]
            if all(at is not None and id(self.inputs[at[0]]) in texts for at in known):
                holds, fails = (NAME.sub(place, ast.unparse(worked_out(text(e)))) for e in (held, sympy.Not(held)))
                found.append(Condition(holds, fails, self._beyond_one(held)))
        return list(dict.fromkeys(found))


class _Printer(PythonPrinter):
    def _rounded(self, value: Any, sign: str) -> str:
        """What is not greater; with a minus inside and one outside, what is not less."""
        if isinstance(value, IntTrueDiv):
            above, below = map(self._print, value.args)
            return f"({sign}({sign}({above}) // ({below})))"
        return f"({sign}int({sign}({self._print(value)}) // 1))"

    def _print_FloorToInt(self, expr: Any) -> str:
        return self._rounded(expr.args[0], "")

    def _print_CeilToInt(self, expr: Any) -> str:
        return self._rounded(expr.args[0], "-")

    def _print_TruncToInt(self, expr: Any) -> str:
        return f"int({self._print(expr.args[0])})"

    _print_floor = _print_FloorToInt  # sympy's own
    _print_ceiling = _print_CeilToInt

    def _print_ToFloat(self, expr: Any) -> str:
        return f"({self._print(expr.args[0])})"

    def _print_Float(self, expr: Any) -> str:
        return repr(float(expr))

    def _helper_sqrt(self, expr: Any) -> str:
        return f"(({self._print(expr)}) ** 0.5)"


@lru_cache(maxsize=4096)
def text(expression: Any) -> str:
    """The expression, which may round quotients and take roots."""
    return str(_Printer().doprint(expression))
