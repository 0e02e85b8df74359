"""Arithmetic written as text, for the command line: read into a JAX function without ever being run as Python.

    parse("(a + b) * (b + 1)") -> function, ("a", "b")        bind(names, ["a=2", "b=1"]) -> arrays

The text is parsed into Python's syntax tree, every node of which must be on a short list; the function walks the tree.
There is no attribute access, no indexing and no definition, and only the functions listed here can be called.
"""

import ast
import difflib
import importlib
import inspect
import keyword
import math
import operator
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

MAX_LETTERS = 2_000
MAX_DEPTH = 64
MAX_BINDING_LETTERS = 100_000
EXACT_INTEGERS = 2**24  # beyond these float32 has no place for every integer, and int32 soon none at all

OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.MatMult: operator.matmul,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}

# jax.numpy's functions of arrays that return arrays of no more elements, or of the operands' outer shape. Nothing that
# reads, writes, calls back or makes an array of a size that is given as a number.
ELEMENTWISE = (
    "abs absolute acos acosh add arccos arccosh arcsin arcsinh arctan arctan2 arctanh asin asinh atan "
    "atan2 atanh cbrt ceil clip cos cosh deg2rad degrees divide exp exp2 expm1 fabs float_power floor "
    "floor_divide fmax fmin fmod heaviside hypot i0 log log10 log1p log2 logaddexp logaddexp2 maximum "
    "minimum mod multiply nan_to_num negative positive pow power rad2deg radians reciprocal remainder "
    "rint round sign sin sinc sinh sqrt square subtract tan tanh true_divide trunc where"
)
COMPARISONS = "equal greater greater_equal less less_equal logical_and logical_not logical_or logical_xor not_equal"
REDUCTIONS = "amax amin average cumprod cumsum max mean median min prod ptp std sum trace var"
PRODUCTS = "dot inner kron matmul outer tensordot vdot"
SHAPES = "concatenate diag diagonal expand_dims flip ravel reshape roll sort squeeze stack swapaxes transpose tril triu"
JAX_NUMPY = frozenset(f"{ELEMENTWISE} {COMPARISONS} {REDUCTIONS} {PRODUCTS} {SHAPES}".split())


def parse(text: str) -> tuple[Callable[..., Any], tuple[str, ...]]:
    """The function that an expression stands for, and the names of its arguments.

    Allowed are names, numbers, lists of numbers, `+ - * / // % ** @`, one comparison, and calls of
    `fnlearn.functional`'s and of the listed `jax.numpy` functions by their bare names, in this order.

    Args:
        text: the expression, such as `(a + b) * (b + 1)`, of at most 2,000 characters.

    Returns:
        A function of positional arguments that JAX can trace, and their names in the order of appearance.

    Raises:
        ValueError: if the text is not such an expression, in one line that says what is wrong. The function raises one
            too, where an operation refuses its operands.
    """
    tree = _tree(text)
    _refuse_depth(tree)
    _refuse_nodes(tree)
    names = tuple(dict.fromkeys(_variables(tree)))

    def function(*arrays: Any) -> Any:
        if len(arrays) != len(names):
            raise ValueError(
                f"the expression has {len(names)} names ({', '.join(names)}), but got {len(arrays)} values"
            )
        return _array(_evaluated(tree, dict(zip(names, arrays, strict=True))))

    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in names]
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return function, names


def binding(text: str) -> tuple[str, jax.Array]:
    """A name and its value, as given on the command line.

    Args:
        text: `a=2`, `x=[1, 2, 3]` or `w=[[1, 2], [3, 4]]`; whole numbers become floating-point numbers too.

    Returns:
        The name, and an array of JAX's default floating-point type.

    Raises:
        ValueError: if it is anything else, in one line that says what is wrong.
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not value:
        raise ValueError(f"expected NAME=VALUE such as a=2 or x=[1,2,3], got {_quoted(text)}")
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(f"{_quoted(name)} is not a name, in {_quoted(text)}")
    if len(value) > MAX_BINDING_LETTERS:
        raise ValueError(f"the value of {name} has more than {MAX_BINDING_LETTERS:,} characters")
    return name, _floats(_parsed(value, f"the value of {name}"), name)


def bind(names: Sequence[str], texts: Sequence[str]) -> tuple[jax.Array, ...]:
    """The values of an expression's names, in their order.

    Args:
        names: what `parse` found.
        texts: bindings such as `a=2`, in any order.

    Returns:
        One array for each name.

    Raises:
        ValueError: if one is malformed, missing, given twice, or not in the expression.
    """
    given: dict[str, jax.Array] = {}
    for text in texts:
        name, value = binding(text)
        if name in given:
            raise ValueError(f"{name} is given twice")
        given[name] = value
    missing = [name for name in names if name not in given]
    if missing:
        raise ValueError(f"no value for {', '.join(missing)}; give one such as {missing[0]}=2")
    unknown = [name for name in given if name not in names]
    if unknown:
        raise ValueError(f"{', '.join(unknown)} is not in the expression, whose names are {', '.join(names) or 'none'}")
    return tuple(given[name] for name in names)


def functions() -> dict[str, Callable[..., Any]]:
    """The functions that an expression may call.

    Returns:
        The functions by their bare names, `fnlearn.functional`'s before `jax.numpy`'s.
    """
    functional = importlib.import_module("fnlearn.functional")
    ours = {name: getattr(functional, name) for name in getattr(functional, "__all__", ())}
    theirs = {name: getattr(jnp, name) for name in JAX_NUMPY if hasattr(jnp, name)}
    return theirs | {name: function for name, function in ours.items() if callable(function)}


def _quoted(text: str) -> str:
    """The text on one line, shortened."""
    shown = repr(text)
    return shown if len(shown) <= 60 else shown[:40] + "…" + shown[-15:]


def _parsed(text: str, what: str) -> ast.expr:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what Python only warns of, such as `1if`, is no arithmetic either
            return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, SyntaxWarning, DeprecationWarning, ValueError) as error:
        reason = getattr(error, "msg", None) or str(error).partition("\n")[0]
        raise ValueError(f"{what} does not parse: {reason}: {_quoted(text)}") from error
    except (RecursionError, MemoryError) as error:
        raise ValueError(f"{what} is nested too deeply: {_quoted(text)}") from error


def _tree(text: str) -> ast.expr:
    if len(text) > MAX_LETTERS:
        raise ValueError(f"the expression has {len(text):,} characters, more than {MAX_LETTERS:,}")
    if not text.strip():
        raise ValueError("the expression is empty")
    return _parsed(text, "the expression")


def _refuse_depth(tree: ast.AST) -> None:
    level: list[ast.AST] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return
    raise ValueError(f"the expression is nested more than {MAX_DEPTH} levels deep")


def _refuse_nodes(node: ast.AST) -> None:
    """Raises for everything that is not on the list."""
    match node:
        case ast.Name():
            _refuse_dunder(node.id)
        case ast.Constant():
            _number(node)
        case ast.BinOp(left, op, right):
            _refuse_operator(op)
            _refuse_all((left, right))
        case ast.UnaryOp(op, operand):
            _refuse_operator(op)
            _refuse_nodes(operand)
        case ast.Compare(left, ops, comparators):
            if len(ops) != 1:
                raise ValueError("comparisons cannot be chained; write logical_and(a < b, b < c)")
            _refuse_operator(ops[0])
            _refuse_all((left, *comparators))
        case ast.List(elts) | ast.Tuple(elts):
            _refuse_all(elts)
        case ast.Call(func, args, keywords):
            _refuse_call(func)
            _refuse_all(args)
            for argument in keywords:
                _refuse_keyword(argument)
        case ast.Attribute():
            raise ValueError(f"attributes are not allowed: {_source(node)}; functions are called by their bare names")
        case _:
            raise ValueError(f"{type(node).__name__} is not arithmetic: {_source(node)}")


def _refuse_all(nodes: Sequence[ast.AST]) -> None:
    for node in nodes:
        _refuse_nodes(node)


def _refuse_dunder(name: str) -> None:
    if name.startswith("__"):
        raise ValueError(f"{_quoted(name)} cannot be a name in an expression")


def _refuse_operator(op: ast.AST) -> None:
    if type(op) not in OPERATORS:
        raise ValueError(
            f"the operator {type(op).__name__} is not arithmetic; allowed are + - * / // % ** @ and < > =="
        )


def _refuse_call(called: ast.AST) -> None:
    if isinstance(called, ast.Attribute):
        _refuse_nodes(called)
    if not isinstance(called, ast.Name):
        raise ValueError(f"only functions can be called, by their names: {_source(called)}")
    if called.id not in functions():
        near = difflib.get_close_matches(called.id, functions(), n=3)
        there_are = f"did you mean {' or '.join(near)}?" if near else "there are fnlearn.functional's and jax.numpy's"
        raise ValueError(f"there is no function {_quoted(called.id)}; {there_are}")


def _refuse_keyword(argument: ast.keyword) -> None:
    if argument.arg is None:
        raise ValueError(f"** cannot hand over arguments: {_source(argument.value)}")
    if not _is_option(argument.value):
        _refuse_nodes(argument.value)


def _is_option(node: ast.AST) -> bool:
    """Options such as `keepdims=True`, `dim=None` and `reduction="sum"`, which are allowed by keyword only."""
    return isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, bool | str))


def _source(node: ast.AST) -> str:
    return _quoted(ast.unparse(node))


def _number(node: ast.Constant) -> int | float:
    value = node.value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{_quoted(str(value))} is not a real number")
    try:
        finite = math.isfinite(value)
    except OverflowError:
        finite = False
    if not finite:
        raise ValueError(f"a number is too large: {_quoted(ast.unparse(node))}")
    return value if abs(value) <= EXACT_INTEGERS else float(value)


def _variables(node: ast.AST) -> Iterator[str]:
    """The names in the order in which they stand in the text; a called function's name is none."""
    if isinstance(node, ast.Name):
        yield node.id
    called = node.func if isinstance(node, ast.Call) else None
    for child in ast.iter_child_nodes(node):
        if child is not called:
            yield from _variables(child)


def _evaluated(node: ast.AST, values: Mapping[str, Any]) -> Any:
    match node:
        case ast.Name(id=name):
            return values[name]
        case ast.Constant():
            return node.value if _is_option(node) else _number(node)
        case ast.Tuple(elts):
            return tuple(_evaluated(element, values) for element in elts)
        case ast.List(elts):
            if all(_is_literal(element) for element in elts):
                return _floats(node, "a list")
            return tuple(_evaluated(element, values) for element in elts)
        case ast.BinOp(left, op, right):
            return _applied(node, OPERATORS[type(op)], _evaluated(left, values), _evaluated(right, values))
        case ast.UnaryOp(op, operand):
            return _applied(node, OPERATORS[type(op)], _evaluated(operand, values))
        case ast.Compare(left, ops, comparators):
            operands = _evaluated(left, values), _evaluated(comparators[0], values)
            return _applied(node, OPERATORS[type(ops[0])], *operands)
        case ast.Call(ast.Name(id=name), args, keywords):
            options = {argument.arg: _evaluated(argument.value, values) for argument in keywords if argument.arg}
            return _called(node, functions()[name], [_evaluated(argument, values) for argument in args], options)
    raise AssertionError(f"{type(node).__name__} passed the list of what is allowed")


def _applied(node: ast.AST, operation: Callable[..., Any], *operands: Any) -> Any:
    operands = tuple(_array(operand) if isinstance(operand, tuple) else operand for operand in operands)
    if len(operands) == 2 and all(isinstance(operand, int | float) for operand in operands):
        operands = tuple(map(float, operands))  # Python's whole numbers would grow without end: 9**9**9
    return _called(node, operation, operands, {})


def _called(node: ast.AST, function: Callable[..., Any], operands: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """The function's value; whatever it raises becomes one line that shows where in the expression it was."""
    try:
        result = function(*operands, **options)
    except Exception as error:
        reason = "too large" if isinstance(error, OverflowError) else str(error).strip().partition("\n")[0]
        raise ValueError(f"{_source(node)}: {reason or type(error).__name__}") from error
    if isinstance(result, complex):
        raise ValueError(f"{_source(node)} is not a real number")
    return result


def _is_literal(node: ast.AST) -> bool:
    """Whether it is a number or nested lists of numbers, with no name in it."""
    match node:
        case ast.List(elts):
            return all(_is_literal(element) for element in elts)
        case ast.UnaryOp(_, operand):
            return isinstance(operand, ast.Constant)
    return isinstance(node, ast.Constant)


def _array(value: Any) -> Any:
    """Numbers as JAX's default floating-point type."""
    if isinstance(value, tuple):
        raise ValueError(
            "a tuple is no array; a list of numbers is, and stack([a, b]) and concatenate([a, b]) make one"
        )
    return jnp.asarray(value, dtype=float) if isinstance(value, int | float) else value


def _floats(node: ast.AST, name: str) -> jax.Array:
    """A number or nested lists of numbers, as JAX's default floating-point type."""
    try:
        wide = np.asarray(_numbers(node, name), dtype=np.float64)
    except ValueError as error:
        ragged = "inhomogeneous" in str(error)  # numpy's word for it
        raise (ValueError(f"the rows of {name} have different lengths: {_source(node)}") if ragged else error) from None
    if wide.size == 0:
        raise ValueError(f"{name} is empty: {_source(node)}")
    with np.errstate(over="ignore"):
        narrow = wide.astype(jnp.asarray(0.0).dtype)
    if not np.isfinite(narrow).all():
        raise ValueError(f"a number in {name} is too large for {narrow.dtype}: {_source(node)}")
    return jnp.asarray(narrow)


def _numbers(node: ast.AST, name: str) -> Any:
    """Nested lists of numbers, read from the syntax tree."""
    match node:
        case ast.List(elts) | ast.Tuple(elts):
            return [_numbers(element, name) for element in elts]
        case ast.UnaryOp(ast.USub(), ast.Constant() as number):
            return -float(_number(number))
        case ast.UnaryOp(ast.UAdd(), ast.Constant() as number) | (ast.Constant() as number):
            return float(_number(number))
    raise ValueError(f"{name} must be a number or a list of numbers, not {_source(node)}")
