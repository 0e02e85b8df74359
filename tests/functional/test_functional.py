"""Every function of `fnlearn.functional` against `torch.nn.functional`, one question a test, over the cases."""

import inspect
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as TF

import fnlearn.functional as F
from fnlearn.equivalence import assert_equivalent, compare
from fnlearn.equivalence.asked import is_float
from tests.cases import CASES, ELEMENTWISE, ERRORS
from tests.cases.table import Case, R, case
from tests.reference import check, jax_answers, torch_answers


def draws_from(name):
    """The parameters by which a function is given its random key, beyond torch's own."""
    parameters = inspect.signature(getattr(F, name)).parameters.values()
    return [p for p in parameters if p.name == "key" and p.kind is inspect.Parameter.KEYWORD_ONLY]


RANDOM = {name for name in F.__all__ if draws_from(name)}
WITHOUT_TORCH = {name for name in F.__all__ if not hasattr(TF, name)}  # siblings that return what torch would change, …


SHARED = [
    case("linear", R(300, 4), R(2, 4), R(2)),
    case("bilinear", R(300, 4), R(300, 5), R(2, 4, 5), R(2)),
    case("conv1d", R(3, 2, 100), R(4, 2, 3), R(4)),
    case("scaled_dot_product_attention", R(8, 40, 5, 3), R(8, 40, 6, 3), R(8, 40, 6, 3), R(5, 6)),
    case("max_pool2d", R(1, 2, 12, 12), 7, 1),
]
FIRST = {case.name: case for case in reversed(CASES)}


def both(case: Case):
    return getattr(TF, case.name), getattr(F, case.name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_forward_and_gradient(case, dtype):
    theirs, mine = both(case)
    check(theirs, mine, case.args, case.kwargs, dtype)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_narrow_dtypes(case, dtype):
    theirs, mine = both(case)
    try:
        check(theirs, mine, case.args, case.kwargs, dtype, gradients=False)
    except NotImplementedError:  # torch has no narrow kernel for it on the CPU: then ours must give what float32 gives
        narrow = jax_answers(mine, case.args, case.kwargs, dtype, gradients=False)
        wide = jax_answers(mine, case.args, case.kwargs, "float32", gradients=False)
        assert_equivalent(wide, jax.tree.map(lambda x: x.astype("float32"), narrow), rtol=0.1, atol=0.1)


@pytest.mark.parametrize("case", SHARED, ids=str)
def test_narrow_gradients_of_what_is_shared(case):
    """A bias, a mask or a maximum that serves many gets the sum of their gradients, in float32 and rounded once."""
    theirs, mine = both(case)
    check(theirs, mine, case.args, case.kwargs, "bfloat16")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_narrow_gradients_are_products_of_narrow_numbers(dtype):
    """Those of float32, into which JAX would convert, are several times as slow on a GPU and no more exact."""
    x, a, b, of_out = (jnp.asarray(R(*shape), dtype) for shape in ((3, 4), (2, 4), (2,), (3, 2)))
    found = jax.make_jaxpr(lambda *x: jax.vjp(F.linear, *x)[1](of_out))(x, a, b)
    products = [each for each in found.eqns if each.primitive.name == "dot_general"]
    assert len(products) == 2
    assert {str(x.aval.dtype) for each in products for x in (*each.invars, *each.outvars)} == {dtype}


@pytest.mark.parametrize("case", ELEMENTWISE, ids=str)
def test_kinks_infinities_and_nan(case):
    """The values and derivatives that torch has where a function has no derivative, or no value."""
    special = [-math.inf, -3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 6.0, math.inf, math.nan]
    args, (theirs, mine) = (np.array(special), *case.args[1:]), both(case)
    expected = torch_answers(theirs, args, case.kwargs, "float64")
    assert_equivalent(expected, jax_answers(mine, args, case.kwargs, "float64"))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_jit_and_vmap(case):
    """Compiled, and batched over a new leading axis, a function gives what it gives one call at a time."""
    fn = getattr(F, case.name)

    def prepared(dtype):
        of = lambda x: jnp.asarray(x, dtype) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x  # noqa: E731
        arrays, options = [of(x) for x in case.args], {name: of(x) for name, x in case.kwargs.items()}

        def call(floats):
            new = iter(floats)
            return fn(*[next(new) if is_float(x) else x for x in arrays], **options)

        return call, [x for x in arrays if is_float(x)]

    def one_at_a_time(call, batched):
        one, two = call(batched), call([x * 0.5 for x in batched])
        return jax.tree.map(lambda a, b: jnp.stack([a, b]), one, two)

    call, batched = prepared("float32")
    if case is not FIRST[case.name]:  # one case of a function shows that it is the same without jit
        call = jax.jit(call)
    if not batched:  # nothing to batch over
        assert_equivalent(call([]), jax.jit(lambda: call([]))())
        return
    expected = one_at_a_time(call, batched)
    stacked = jax.jit(jax.vmap(call))([jnp.stack([x, x * 0.5]) for x in batched])
    if not all(leaf.ok for leaf in compare(expected, stacked)):  # a sum in another order: which is nearer the truth?
        with jax.enable_x64(True):
            wide = one_at_a_time(*prepared("float64"))
        assert_equivalent(expected, stacked, float64=wide)


@pytest.mark.parametrize(("case", "error", "message"), ERRORS, ids=lambda x: str(x) if isinstance(x, Case) else "")
def test_errors_name_what_came_and_what_was_expected(case, error, message):
    with pytest.raises(error, match=message):
        getattr(F, case.name)(*case.args, **case.kwargs)


def test_every_public_function_has_a_case():
    """Those that draw, that torch has elsewhere or in few dtypes, or that always warn have tests of their own."""
    own = {"grouped_mm", "upsample", "upsample_bilinear", "upsample_nearest"}
    assert set(F.__all__) - {case.name for case in CASES} <= RANDOM | WITHOUT_TORCH | own


@pytest.mark.parametrize("name", [name for name in F.__all__ if name not in WITHOUT_TORCH])
def test_signature_is_torchs(name):
    """Names, order and defaults; functions that draw add a keyword-only key, and attention's keys have no name then."""
    mine = [p for p in inspect.signature(getattr(F, name)).parameters.values() if p not in draws_from(name)]
    assert [(p.name, p.default) for p in mine] == [
        ("keys" if p.kind is p.POSITIONAL_ONLY and torchs == "key" else torchs, default)
        for p, (torchs, default) in zip(mine, torch_signature(name), strict=True)
    ]


def torch_signature(name):
    """From Python where it is written there, else from the first line of the docstring, which shows the call."""
    sibling = getattr(TF, f"{name}_with_indices", None)  # such a name dispatches on return_indices
    if name in BUILTIN:
        return BUILTIN[name]
    try:
        found = inspect.signature(sibling or getattr(TF, name)).parameters.values()
    except ValueError:
        shown = re.search(rf"\b{name}\((.*?)\) -> ", getattr(TF, name).__doc__, re.DOTALL)
        assert shown is not None, f"{name} needs a row in BUILTIN"
        call = shown.group(1)
        arguments = " ".join(call.split()).replace("*,", "")
        found = inspect.signature(eval(f"lambda {arguments}: None")).parameters.values()
    return [(p.name, p.default) for p in found]


EMPTY = inspect.Parameter.empty
BUILTIN = {  # torch's docstring shows no call, or not the names that it takes
    "conv_tbc": [("input", EMPTY), ("weight", EMPTY), ("bias", EMPTY), ("pad", 0)],
    "one_hot": [("input", EMPTY), ("num_classes", -1)],
    "prelu": [("input", EMPTY), ("weight", EMPTY)],
}


@pytest.mark.parametrize("name", ["relu", "relu6", "hardtanh", "sigmoid", "tanh", "softsign", "tanhshrink"])
def test_integers_where_torch_takes_them(name):
    x = np.array([-7, -1, 0, 2, 9], np.int32)
    mine, theirs = getattr(F, name)(x), getattr(TF, name)(torch.from_numpy(x))
    assert str(mine.dtype) == str(theirs.dtype).removeprefix("torch.")
    assert_equivalent(theirs, mine)


def test_losses_in_the_words_of_old():
    """size_average and reduce mean what they mean in torch, and warn."""
    x, y = jnp.arange(4.0), jnp.ones(4)
    for flags, reduction in (((False, None), "sum"), ((None, False), "none"), ((True, True), "mean")):
        with pytest.warns(UserWarning, match=f"use reduction='{reduction}'"):
            mine = F.mse_loss(x, y, *flags)
        np.testing.assert_array_equal(mine, F.mse_loss(x, y, reduction=reduction))


def test_shapes_that_broadcast_warn_in_pairwise_losses():
    with pytest.warns(UserWarning, match="is broadcast"):
        assert F.l1_loss(jnp.ones((2, 1)), jnp.zeros(2), reduction="none").shape == (2, 2)


def test_softmax_without_a_dimension_warns():
    with pytest.warns(UserWarning, match="Implicit dimension choice"):
        mine = F.softmax(jnp.ones((2, 3)))
    np.testing.assert_allclose(mine, 1 / 3, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", np.float32, np.dtype("float32"), jnp.float32], ids=repr)
@pytest.mark.parametrize("name", ["softmax", "softmin", "log_softmax"])
def test_softmax_takes_a_dtype_in_any_spelling(name, dtype):
    x = np.linspace(-1, 1, 6)
    mine = getattr(F, name)(jnp.asarray(x, jnp.bfloat16), dim=-1, dtype=dtype)
    theirs = getattr(TF, name)(torch.from_numpy(x).bfloat16(), dim=-1, dtype=torch.float32)
    assert_equivalent(theirs, mine)


def test_binary_cross_entropy_at_certainty():
    """The loss stays at 100 and the gradient finite where a probability is 0 or 1."""
    args = (np.array([0.0, 1.0, 0.5, 1e-20]), np.array([1.0, 0.0, 0.3, 0.7]))
    check(TF.binary_cross_entropy, F.binary_cross_entropy, args, {"reduction": "none"})


def test_classes_out_of_range_give_nan():
    """Under jit a value can't be refused; NaN can't be overlooked."""
    assert jnp.isnan(F.cross_entropy(jnp.zeros((2, 3)), jnp.array([0, 3])))


def test_all_targets_ignored_is_nan_as_in_torch():
    x, y = np.zeros((2, 3), "float32"), np.array([-100, -100])
    assert jnp.isnan(F.cross_entropy(x, y))
    assert torch.isnan(TF.cross_entropy(torch.from_numpy(x), torch.from_numpy(y)))


def test_hardsigmoids_slope_in_float64_is_torchs_which_is_float32s_sixth():
    x = np.linspace(-4, 4, 9)
    tensor = torch.tensor(x, requires_grad=True)
    TF.hardsigmoid(tensor).sum().backward()
    with jax.enable_x64(True):
        slopes = jax.grad(lambda x: F.hardsigmoid(x).sum())(jnp.asarray(x))
    assert tensor.grad is not None
    np.testing.assert_allclose(slopes, tensor.grad.numpy(), rtol=1e-15)


def test_rrelu_draws_slopes_between_its_bounds():
    x = -jnp.ones(20_000)
    slopes = -F.rrelu(x, 0.1, 0.3, training=True, key=jax.random.key(0))
    assert float(slopes.min()) >= 0.1
    assert float(slopes.max()) < 0.3
    assert abs(float(slopes.mean()) - 0.2) < 4 * (0.2 / math.sqrt(12)) / math.sqrt(x.size)
    np.testing.assert_array_equal(F.rrelu(-x, training=True, key=jax.random.key(0)), -x)


def test_gumbel_softmax_draws_each_class_as_often_as_its_probability():
    logits = jnp.log(jnp.array([0.2, 0.3, 0.5]))
    rows = jnp.broadcast_to(logits, (20_000, 3))
    sample = F.gumbel_softmax(rows, hard=True, key=jax.random.key(0))
    np.testing.assert_allclose(sample.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(sample.mean(0), jnp.exp(logits), atol=4 * 0.5 / math.sqrt(20_000))
    soft = F.gumbel_softmax(rows, tau=0.5, key=jax.random.key(0))
    np.testing.assert_array_equal(soft.argmax(1), sample.argmax(1))


def test_gumbel_softmax_hard_has_the_soft_gradient():
    x, key = jnp.array([0.1, 0.7, -0.3]), jax.random.key(1)
    weights = jnp.array([1.0, 2.0, 3.0])
    soft, hard = (
        jax.grad(lambda x, hard=hard: F.gumbel_softmax(x, hard=hard, key=key) @ weights)(x) for hard in (False, True)
    )
    np.testing.assert_allclose(soft, hard, rtol=1e-6)
