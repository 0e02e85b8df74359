"""The chain rule by paths: products and sums to the digit, and for arrays JAX's own vector–Jacobian products."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fnlearn import explain


def notes(a: Any, b: Any) -> Any:
    return (a + b) * (b + 1)


def test_notes_example() -> None:
    graph = explain.graph(jax.jit(notes), 2.0, 1.0)
    assert [(path.nodes, path.product) for path in explain.paths(graph, "a")] == [(("a", "c", "e"), 2)]
    through_c, through_d = explain.paths(graph, "b")
    assert (through_c.nodes, through_c.product) == (("b", "c", "e"), 2)
    assert (through_d.nodes, through_d.product) == (("b", "d", "e"), 3)
    assert [edge.derivative for edge in through_d.edges] == [1, 3]
    assert explain.path_sum(graph, "b") == 5 == jax.grad(notes, argnums=1)(2.0, 1.0)
    assert explain.path_sum(graph, "b", cotangent=10.0) == 50
    assert explain.path_sum(graph, "c") == 2  # any node may be the source
    assert [(check.name, check.path_sum, check.difference, check.same) for check in explain.check(graph)] == [
        ("a", 2, 0, True),
        ("b", 5, 0, True),
    ]


def normal(seed: int, *shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype=float)


def mlp(x: Any, w1: Any, b1: Any, w2: Any) -> Any:
    return jnp.tanh(x @ w1 + b1[None]) @ w2


def attention(q: Any, k: Any) -> Any:
    return jax.nn.softmax(q @ k.T) @ k


CASES: dict[str, tuple[Callable[..., Any], tuple[tuple[int, ...], ...]]] = {
    "matmul": (jnp.matmul, ((2, 3), (3, 4))),
    "vector": (lambda w, x: w @ x, ((4, 3), (3,))),
    "broadcast": (lambda a, x: a * x + a, ((), (3,))),
    "broadcast rows": (lambda x, b: (x + b[None, :]) * b[None, :], ((2, 3), (3,))),
    "reductions": (lambda x: jnp.mean(x, axis=0) * jnp.sum(x, axis=0) + jnp.max(x, axis=0), ((3, 2),)),
    "variance": (lambda x: (x - x.mean(1, keepdims=True)) / jnp.sqrt(x.var(1, keepdims=True) + 1e-5), ((2, 5),)),
    "softmax": (jax.nn.softmax, ((2, 5),)),
    "logsumexp": (jax.nn.logsumexp, ((5,),)),
    "mlp": (mlp, ((2, 3), (3, 4), (4,), (4, 1))),
    "attention": (attention, ((2, 3), (4, 3))),
    "split": (lambda x: jnp.multiply(*jnp.split(x, 2)), ((4,),)),
    "where": (lambda x: jnp.where(x > 0, x * x, jnp.sin(x)), ((5,),)),
    "sort": (lambda x: jnp.sort(x) * jnp.arange(5.0), ((5,),)),
    "convolution": (lambda x, w: jnp.convolve(x, w, mode="same"), ((5,), (3,))),
    "scan": (lambda x: jax.lax.scan(lambda c, x: (c + x, c * x), x[0], x)[1], ((4,),)),
    "complex inside": (lambda x: jnp.abs(jnp.fft.fft(x.astype(complex))) ** 2, ((4,),)),
    "grad inside": (lambda x: jax.grad(lambda x: jnp.sum(x**3))(x) * x, ((3,),)),
}


def assert_path_sums_are_vjps(case: str) -> None:
    fn, shapes = CASES[case]
    args = [normal(seed, *shape) for seed, shape in enumerate(shapes)]
    out, pullback = jax.vjp(fn, *args)
    cotangent = normal(99, *out.shape)
    graph = explain.graph(fn, *args)
    epsilon = float(jnp.finfo(out.dtype).eps)
    for name, expected in zip(graph.inputs, pullback(cotangent), strict=True):
        total = explain.path_sum(graph, name, cotangent)
        np.testing.assert_allclose(total, expected, rtol=100 * epsilon, atol=100 * epsilon)
    checks = explain.check(graph, cotangent)
    assert [check.name for check in checks] == list(graph.inputs)
    assert all(check.same for check in checks), checks


@pytest.mark.parametrize("case", CASES)
def test_arrays(case: str) -> None:
    assert_path_sums_are_vjps(case)


@pytest.mark.parametrize("case", ["mlp", "softmax", "variance", "broadcast"])
def test_arrays_in_float64(case: str, x64: None) -> None:
    assert_path_sums_are_vjps(case)


def test_a_coarser_type_in_between() -> None:
    graph = explain.graph(lambda x: jnp.tanh(x.astype(jnp.bfloat16)).astype(jnp.float32) * x, normal(0, 4))
    assert explain.check(graph)[0].same


def test_edges_between_arrays_have_shapes_and_pullbacks() -> None:
    graph = explain.graph(lambda w, x: w @ x, jnp.ones((4, 3)), jnp.arange(3.0))
    of_w, of_x = graph.edges
    assert (of_w.shape, of_x.shape) == ((4, 4, 3), (4, 3))
    assert of_w.derivative is None
    assert of_x.pullback is not None
    np.testing.assert_array_equal(of_x.pullback(jnp.ones(4)), [4, 4, 4])


@pytest.mark.parametrize("power", [2, 3, 4])
def test_repeated_operands(power: int) -> None:
    graph = explain.graph(lambda b: functools.reduce(lambda x, y: x * y, [b] * power), 3.0)
    found = explain.paths(graph, "b")
    assert len(found) == power
    assert sum(path.product for path in found) == power * 3 ** (power - 1)


def test_too_many_paths_are_counted_not_walked() -> None:
    graph = explain.graph(lambda a: functools.reduce(lambda x, _: x * x, range(60), a), 1.0)
    assert explain.count_paths(graph, "a") == 2**60
    with pytest.raises(ValueError, match="a has 1,152,921,504,606,846,976 paths to bi, more than max_paths=10,000"):
        explain.path_sum(graph, "a")
    small = explain.graph(lambda a: functools.reduce(lambda x, _: x * x, range(4), a), 1.0)
    assert len(explain.paths(small, "a", max_paths=16)) == 16
    with pytest.raises(ValueError, match="16 paths"):
        explain.paths(small, "a", max_paths=15)


def test_a_cotangent_of_another_shape() -> None:
    graph = explain.graph(lambda x: x * 2, jnp.ones(3))
    with pytest.raises(ValueError, match=r"the cotangent has shape \[2\], but the output a has shape \[3\]"):
        explain.paths(graph, "x", jnp.ones(2))


def test_check_notices_a_wrong_derivative() -> None:
    graph = explain.graph(notes, 2.0, 1.0)
    other = explain.Graph(
        graph.nodes, graph.edges, graph.inputs, graph.output, lambda a, b: notes(a, b) + 1e-3 * b, graph.arguments
    )
    assert [check.same for check in explain.check(other)] == [True, False]
    assert explain.check(other)[1].difference == pytest.approx(1e-3, rel=1e-2)


def test_infinite_derivatives_agree_with_themselves() -> None:
    (check,) = explain.check(explain.graph(jnp.sqrt, 0.0))
    assert check.path_sum == float("inf")
    assert check.same


LEAVES = st.sampled_from(["a", "b", "1.5", "2"])
UNARY = ["tanh({})", "sin({})", "exp(tanh({}))", "-{}", "{}**2", "maximum({}, 0.5)", "abs({})"]
BINARY = ["({} + {})", "({} - {})", "({} * {})", "({} / (2 + {}**2))", "where({} > 0, {}, a)", "hypot({}, 1 + {}**2)"]


def grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    one = st.tuples(st.sampled_from(UNARY), inner).map(lambda drawn: drawn[0].format(f"({drawn[1]})"))
    two = st.tuples(st.sampled_from(BINARY), inner, inner).map(lambda drawn: drawn[0].format(*drawn[1:]))
    return one | two


@settings(max_examples=25, derandomize=True)
@given(
    expression=st.recursive(LEAVES, grow, max_leaves=6),
    a=st.floats(-2, 2, width=32),
    b=st.floats(-2, 2, width=32),
)
def test_path_sums_are_gradients_of_random_expressions(expression: str, a: float, b: float) -> None:
    function, names = explain.parse(f"{expression} + a * b")
    graph = explain.graph(function, *({"a": a, "b": b}[name] for name in names))
    for check in explain.check(graph):
        assert check.same, (expression, check)
