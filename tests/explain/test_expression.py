"""Expressions given as text: what they compute, and that nothing but arithmetic gets through."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fnlearn import explain
from fnlearn.explain import expression

VALUES: dict[str, Any] = {
    "a": 2.0,
    "b": 1.0,
    "sum": 2.0,
    "x": [1.0, 2.0, 3.0],
    "y": [0.5, -1.0, 2.0],
    "w": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]],
}


def evaluated(text: str) -> Any:
    function, names = explain.parse(text)
    return function(*(jnp.asarray(VALUES[name]) for name in names))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(a + b) * (b + 1)", 6),
        ("a - -b", 3),
        ("a / 4 // 0.1 + a % 1.5", 4.5),
        ("a ** 3 + 2 ** a", 12),
        ("tanh(a) + maximum(a, 5)", 5 + np.tanh(2)),
        ("sum(x * y)", 4.5),
        ("x @ y", 4.5),
        ("sum(w @ x)", 46),
        ("mean(w, axis=0, keepdims=True)", [[2.5, 3.5, 4.5]]),
        ("sum(w, axis=(0, 1))", 21),
        ("x * [1, 2, 3]", [1, 4, 9]),
        ("reshape(w, (3, 2)) @ [1, -1]", [-1, -1, -1]),
        ("stack([a, b])", [2, 1]),
        ("where(y > 0, x, 0)", [1, 0, 3]),
        ("max(x) + max(a, axis=None)", 5),
        ("mse_loss(x, y, reduction='sum')", 10.25),
        ("softmax(x * 0, dim=0)", [1 / 3] * 3),
        ("1 / 4 + 2", 2.25),
        ("sum + 1", 3),
    ],
)
def test_values(text: str, expected: Any) -> None:
    np.testing.assert_allclose(evaluated(text), expected, rtol=1e-6)


def test_names_come_in_the_order_of_appearance() -> None:
    function, names = explain.parse("b * tanh(x) + a * b")
    assert names == ("b", "x", "a")
    assert explain.graph(function, 1.0, 2.0, 3.0).inputs == names


def test_the_command_lines_example() -> None:
    function, names = explain.parse("(a + b) * (b + 1)")
    graph = explain.graph(function, *explain.bind(names, ["b=1", "a=2"]))
    assert explain.text(graph).splitlines()[5] == "  e = c * d  mul    6"
    assert {check.name: check.path_sum for check in explain.check(graph)} == {"a": 2, "b": 5}


def assert_one_line(error: pytest.ExceptionInfo[ValueError]) -> None:
    message = str(error.value)
    assert "\n" not in message
    assert len(message) < 400


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("__import__('os').system('true')", "attributes are not allowed"),
        ("__import__('os')", "no function '__import__'"),
        ("__builtins__", "cannot be a name"),
        ("a.__class__", "attributes are not allowed"),
        ("jnp.tanh(a)", "bare names"),
        ("().__class__.__bases__", "attributes are not allowed"),
        ("tanh(a).shape", "attributes are not allowed"),
        ("tanh(a)(b)", "only functions can be called"),
        ("lambda: a", "Lambda is not arithmetic"),
        ("(lambda: a)()", "only functions can be called"),
        ("[x for x in a]", "ListComp is not arithmetic"),
        ("{a: b}", "Dict is not arithmetic"),
        ("a[0]", "Subscript is not arithmetic"),
        ("a if b else a", "IfExp is not arithmetic"),
        ("a and b", "BoolOp is not arithmetic"),
        ("(a := 1)", "NamedExpr is not arithmetic"),
        ("f'{a}'", "JoinedStr is not arithmetic"),
        ("await_ = 3", "does not parse"),
        ("a; b", "does not parse"),
        ("a\nb", "does not parse"),
        ("a +", "does not parse"),
        ("(a", "does not parse"),
        ("a \0", "does not parse"),
        ("\ud800", "does not parse"),
        ("", "is empty"),
        ("  ", "is empty"),
        ("~a", "Invert is not arithmetic"),
        ("a << 2", "LShift is not arithmetic"),
        ("a is b", "Is is not arithmetic"),
        ("a < b < a", "cannot be chained"),
        ("'a' * 9", "not a real number"),
        ("2j * a", "not a real number"),
        ("True + a", "not a real number"),
        ("...", "not a real number"),
        ("1e999 * a", "too large"),
        ("9" * 400 + " * a", "too large"),
        ("tanh(*a)", "Starred is not arithmetic"),
        ("tanh(**a)", "cannot hand over"),
        ("sum(a, axis=lambda: 0)", "Lambda is not arithmetic"),
        ("thanh(a)", "did you mean tanh"),
        ("eval('1')", "no function 'eval'"),
        ("a" * 3000, "more than 2,000"),
        ("-" * 500 + "a", "levels deep"),
        ("(" * 250 + "a" + ")" * 250, "parentheses"),
        ("+".join("a" * 500), "levels deep"),
        ("tanh(" * 100 + "a" + ")" * 100, "levels deep"),
    ],
)
def test_hostile_and_malformed_expressions(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)) as error:
        explain.parse(text)
    assert_one_line(error)


NOT_ARITHMETIC = (
    "save load fromfile frombuffer fromfunction fromiter fromstring from_dlpack frompyfunc vectorize piecewise "
    "apply_along_axis printoptions zeros ones full tile repeat arange linspace open exec getattr"
)


@pytest.mark.parametrize("name", NOT_ARITHMETIC.split())
def test_functions_that_are_not_arithmetic_are_unknown(name: str) -> None:
    with pytest.raises(ValueError, match=f"there is no function '{name}'"):
        explain.parse(f"{name}(a)")


def test_every_listed_function_exists() -> None:
    assert [name for name in expression.JAX_NUMPY if not callable(getattr(jnp, name, None))] == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("9**9**9 + a", "too large"),
        ("1 / 0 + a", "division by zero"),
        ("(-1) ** 0.5 * a", "not a real number"),
        ("w @ [1, 2]", "w @ [1, 2]"),
        ("x * [[1], 2]", "different lengths"),
        ("x * []", "is empty"),
        ("(a, b)", "a tuple is no array"),
        ("sum(a, nonsense=1)", "nonsense"),
    ],
)
def test_expressions_that_cannot_be_computed(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)) as error:
        evaluated(text)
    assert_one_line(error)


def test_the_number_of_values_must_be_that_of_the_names() -> None:
    with pytest.raises(ValueError, match=r"the expression has 2 names \(a, b\), but got 1 values"):
        explain.parse("a + b")[0](jnp.float32(1))


@settings(max_examples=100, derandomize=True)
@given(st.text(max_size=40) | st.text(alphabet="ab12.()[]*+-/=,:'\" _\n", max_size=40))
def test_any_text_is_an_expression_or_one_line(text: str) -> None:
    for read in (explain.parse, explain.binding):
        try:
            read(text)
        except ValueError as error:
            assert "\n" not in str(error)  # noqa: PT017 - a valid text raises nothing


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=2", 2.0),
        (" a = -1.5e-3 ", -0.0015),
        ("a=[1,2,3]", [1.0, 2.0, 3.0]),
        ("a=(1, 2)", [1.0, 2.0]),
        ("a=[[1, +2], [3, -4]]", [[1.0, 2.0], [3.0, -4.0]]),
    ],
)
def test_bindings_are_floating_point(text: str, value: Any) -> None:
    name, array = explain.binding(text)
    assert name == "a"
    assert isinstance(array, jax.Array)
    assert array.dtype == jnp.float32
    np.testing.assert_array_equal(array, np.asarray(value, np.float32))


def test_bindings_in_float64(x64: None) -> None:
    assert explain.binding("a=0.1")[1] == 0.1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a", "expected NAME=VALUE"),
        ("a=", "expected NAME=VALUE"),
        ("=2", "is not a name"),
        ("1a=2", "is not a name"),
        ("lambda=2", "is not a name"),
        ("a==2", "does not parse"),
        ("a=[1, 2", "does not parse"),
        ("a=[1, [2]]", "different lengths"),
        ("a=[]", "is empty"),
        ("a=True", "not a real number"),
        ("a=None", "not a real number"),
        ("a='2'", "not a real number"),
        ("a=b", "must be a number or a list of numbers"),
        ("a=1+1", "must be a number or a list of numbers"),
        ("a=__import__('os')", "must be a number or a list of numbers"),
        ("a=1e39", "too large for float32"),
        ("a=1e999", "too large"),
        ("a=" + "9" * 5000, "does not parse"),
        ("a=" + "[" * 300, "does not parse"),
        ("a=" + "1" * 100_001, "more than 100,000"),
    ],
)
def test_malformed_bindings(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)) as error:
        explain.binding(text)
    assert_one_line(error)


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (["a=1"], "no value for b; give one such as b=2"),
        (["a=1", "b=1", "a=2"], "a is given twice"),
        (["a=1", "b=1", "c=2"], "c is not in the expression, whose names are a, b"),
    ],
)
def test_bindings_must_fit_the_names(texts: list[str], reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        explain.bind(("a", "b"), texts)
