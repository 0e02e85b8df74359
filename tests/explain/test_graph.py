"""The graph read from a jaxpr: the notes' example to the digit, and everything JAX can wrap a computation in."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fnlearn import explain


def notes(a: Any, b: Any) -> Any:
    return (a + b) * (b + 1)


def described(graph: explain.Graph) -> list[tuple[str, str, float]]:
    return [(node.name, node.expression, float(node.value)) for node in graph.nodes]


def edges(graph: explain.Graph) -> list[tuple[str, str, float | None]]:
    return [(edge.source, edge.target, edge.derivative) for edge in graph.edges]


NODES = [("a", "input", 2), ("b", "input", 1), ("c", "a + b", 3), ("d", "b + 1", 2), ("e", "c * d", 6)]
EDGES = [("a", "c", 1), ("b", "c", 1), ("b", "d", 1), ("c", "e", 2), ("d", "e", 3)]


@pytest.mark.parametrize(
    "fn",
    [
        notes,
        jax.jit(notes),
        lambda a, b: jax.jit(lambda a, b: jax.jit(jnp.multiply)(a + b, b + 1))(a, b),
        jax.checkpoint(notes),
        lambda a, b: jax.checkpoint(jax.jit(notes))(jnp.reshape(a, ()), b.astype(jnp.float32)),
    ],
    ids=["plain", "jit", "nested jit", "checkpoint", "layout only"],
)
def test_notes_example(fn: Callable[..., Any]) -> None:
    graph = explain.graph(fn, jnp.float32(2), jnp.float32(1))
    assert described(graph) == NODES
    assert edges(graph) == EDGES
    assert graph.inputs == ("a", "b")
    assert graph.output == "e"
    assert [node.operation for node in graph.nodes] == ["input", "input", "add", "add", "mul"]
    assert [node.inputs for node in graph.nodes] == [(), (), ("a", "b"), ("b",), ("c", "d")]


def test_notes_example_is_torchs() -> None:
    a, b = (torch.tensor(value, requires_grad=True) for value in (2.0, 1.0))
    notes(a, b).backward()
    assert a.grad is not None
    assert b.grad is not None
    graph = explain.graph(notes, 2.0, 1.0)
    assert explain.path_sum(graph, "a") == a.grad.item() == 2
    assert explain.path_sum(graph, "b") == b.grad.item() == 5


def test_a_jit_called_twice_is_opened_twice() -> None:
    square = jax.jit(lambda x: x * x)
    graph = explain.graph(lambda a: square(a) + square(a + 1), 3.0)
    assert described(graph)[1:] == [("b", "a * a", 9), ("c", "a + 1", 4), ("d", "c * c", 16), ("e", "b + d", 25)]


def test_pytree_arguments_are_named_by_path() -> None:
    params = {"linear": {"w": jnp.ones((3, 2)), "b": jnp.ones(2)}}

    def fn(params: Any, *xs: Any) -> Any:
        return sum(jnp.sum(x @ params["linear"]["w"]) for x in xs)

    graph = explain.graph(fn, params, jnp.ones(3), jnp.ones(3))
    assert graph.inputs == ("params.linear.b", "params.linear.w", "xs.0", "xs.1")
    assert all(check.same for check in explain.check(graph))
    assert not np.any(explain.path_sum(graph, "params.linear.b"))


def test_a_function_without_a_signature() -> None:
    graph = explain.graph(functools.partial(jnp.hypot, 3.0), 4.0)
    assert len(graph.inputs) == 1
    assert graph[graph.output].value == 5


def test_letters_go_on_after_z_and_skip_the_inputs() -> None:
    graph = explain.graph(lambda b, d: functools.reduce(lambda x, _: x * d, range(30), b), 1.0, 1.0)
    names = [node.name for node in graph.nodes]
    assert names[:6] == ["b", "d", "a", "c", "e", "f"]
    assert names[-6:] == ["aa", "ab", "ac", "ad", "ae", "af"]


def test_what_the_output_does_not_need_is_left_out() -> None:
    graph = explain.graph(lambda a: (jnp.sin(a), a * 2)[1], 1.0)
    assert [node.expression for node in graph.nodes] == ["input", "a * 2"]


def test_constants_are_operands() -> None:
    graph = explain.graph(lambda x: x * jnp.arange(3.0) + jnp.exp(2.0), jnp.ones(3))
    assert [node.expression for node in graph.nodes] == ["input", "x * f32[3]", "a + 7.38906"]


def test_constant_and_identity_functions() -> None:
    constant = explain.graph(lambda a: 3.0, 1.0)
    assert described(constant) == [("a", "input", 1), ("b", "constant", 3)]
    assert explain.path_sum(constant, "a") == 0
    identity = explain.graph(lambda a: a, 1.0)
    assert described(identity) == [("a", "input", 1)]
    assert explain.path_sum(identity, "a") == 1


def test_repeated_operand_has_an_edge_for_each_use() -> None:
    assert edges(explain.graph(lambda a: a * a, 3.0)) == [("a", "b", 3), ("a", "b", 3)]


@pytest.mark.parametrize("value", [-1.5, 0.0, 2.0])
@pytest.mark.parametrize("fn", [jax.nn.relu, jax.nn.silu], ids=["relu", "silu"])
def test_custom_jvp(fn: Callable[..., Any], value: float) -> None:
    graph = explain.graph(fn, value)
    assert explain.path_sum(graph, graph.inputs[0]) == pytest.approx(float(jax.grad(fn)(value)), abs=1e-6)


def test_custom_jvp_stays_one_node_and_keeps_its_rule() -> None:
    graph = explain.graph(lambda x: 2 * jax.nn.relu(x), 0.0)
    assert [node.operation for node in graph.nodes] == ["input", "relu", "mul"]
    assert edges(graph)[0] == ("x", "a", 0)  # max(x, 0) itself would have 0.5 here


def test_custom_vjp_keeps_its_rule() -> None:
    @jax.custom_vjp
    def doubled_backwards(x: Any) -> Any:
        return x

    doubled_backwards.defvjp(lambda x: (x, None), lambda _, cotangent: (2 * cotangent,))
    graph = explain.graph(lambda x: doubled_backwards(x) * 3, 1.0)
    assert [node.operation for node in graph.nodes] == ["input", "doubled_backwards", "mul"]
    assert explain.path_sum(graph, "x") == 6


def scanned(c: Any, x: Any) -> Any:
    return jax.lax.scan(lambda c, x: (c * x, c + x), c, x)


def test_scan_is_one_operation_with_several_outputs() -> None:
    graph = explain.graph(lambda c, x: sum(map(jnp.sum, scanned(c, x))), jnp.float32(2), jnp.arange(1.0, 4.0))
    assert [node.expression for node in graph.nodes if node.operation == "scan"] == [
        "scan(c, x, length=3)[0]",
        "scan(c, x, length=3)[1]",
    ]
    assert all(check.same for check in explain.check(graph))


def test_a_branch_that_no_input_decides_is_opened() -> None:
    """As where a function has another form for each kind of device."""

    def form(a: jax.Array) -> jax.Array:
        return jax.lax.platform_dependent(a, cpu=lambda a: a * a, default=jnp.sin)

    graph = explain.graph(form, 3.0)
    assert graph[graph.output].operation == "mul"
    assert explain.path_sum(graph, "a") == 6.0


@pytest.mark.parametrize("a", [-2.0, 2.0])
def test_cond(a: float) -> None:
    graph = explain.graph(lambda a: jax.lax.cond(a > 0, jnp.sin, lambda a: a * a, a), a)
    assert graph[graph.output].operation == "cond"
    assert explain.check(graph)[0].same
    assert explain.path_sum(graph, "a") == pytest.approx(np.cos(2) if a > 0 else -4)


def test_while_loop_by_forward_mode() -> None:
    def doubled_until_large(a: Any) -> Any:
        return jax.lax.while_loop(lambda x: jnp.sum(x) < 100, lambda x: 2 * x, a)

    graph = explain.graph(doubled_until_large, jnp.asarray([3.0, 5.0]))
    np.testing.assert_array_equal(explain.path_sum(graph, "a"), [16, 16])
    assert explain.check(graph)[0].same


def test_stop_gradient_is_cut_even_beside_an_infinite_derivative() -> None:
    graph = explain.graph(lambda a: jax.lax.stop_gradient(jnp.sqrt(a)) * 2 + jnp.sign(jnp.sqrt(a)), 0.0)
    assert {edge.target for edge in graph.edges if edge.cut} == {"c", "f"}
    assert explain.path_sum(graph, "a") == 0 == explain.gradients(graph)["a"]


def test_integers_inside_carry_nothing() -> None:
    def fn(x: Any, labels: Any) -> Any:
        return jnp.take(x, jnp.argmax(x)) * x[labels[0]]

    graph = explain.graph(fn, jnp.asarray([1.0, 4.0, 2.0]), jnp.asarray([2]))
    np.testing.assert_array_equal(explain.path_sum(graph, "x"), [0, 2, 4])
    assert [check.name for check in explain.check(graph)] == ["x"]


def test_random_keys_pass_through() -> None:
    graph = explain.graph(lambda key, x: jnp.sum(x * jax.random.normal(key, (3,))), jax.random.key(0), jnp.ones(3))
    assert all(check.same for check in explain.check(graph))
    assert "key" in explain.text(graph)


def test_choosing_one_of_several_outputs() -> None:
    def fn(a: Any) -> Any:
        return a * 2, {"x": a * a}

    assert explain.graph(fn, 3.0, output=1)["b"].expression == "a * a"
    with pytest.raises(ValueError, match=r"^the function returns 2 arrays; choose one with output=0 to output=1$"):
        explain.graph(fn, 3.0)
    with pytest.raises(ValueError, match="output=2, but the function returns 2 arrays"):
        explain.graph(fn, 3.0, output=2)
    with pytest.raises(ValueError, match="returns no array"):
        explain.graph(lambda a: None, 3.0)


INTEGERS = r"^only floating-point arrays can be differentiated, and {} is i32\[\]; make one with jnp.asarray\({}, dtype"


def test_integers_cannot_be_differentiated() -> None:
    with pytest.raises(ValueError, match=INTEGERS.format("a", "a")):
        explain.graph(notes, 2, 1)
    with pytest.raises(ValueError, match=INTEGERS.format("b", "b")):
        explain.path_sum(explain.graph(lambda a, b: a * b.astype(float), 2.0, jnp.int32(1)), "b")
    with pytest.raises(ValueError, match=INTEGERS.format("b", "b")):
        explain.paths(explain.graph(lambda a: jnp.argmax(a), jnp.ones(3)), "a")


def test_other_bad_arguments() -> None:
    with pytest.raises(TypeError, match="mode is a str, not an array"):
        explain.graph(lambda a, mode: a, 1.0, "sum")
    with pytest.raises(TypeError, match="a is traced: call graph outside jit"):
        jax.jit(lambda a: explain.graph(lambda a: a, a) and a)(1.0)
    with pytest.raises(ValueError, match="no array among its arguments"):
        explain.graph(lambda: 1.0)
    with pytest.raises(ValueError, match="the graph has no node 'z'; it has a, b"):
        explain.paths(explain.graph(lambda a: a * 2, 1.0), "z")
