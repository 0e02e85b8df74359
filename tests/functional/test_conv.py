"""What the table of cases can't say about convolutions."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch.nn.functional as TF

import fnlearn.functional as F
from fnlearn.functional import conv_cpu
from fnlearn.functional.conv_cpu_dense import plain, plain_input_gradient
from fnlearn.functional.conv_window import Window
from tests.cases.table import R
from tests.reference import check


@pytest.mark.filterwarnings("ignore:Using padding='same'")  # torch's own, about its speed
@pytest.mark.parametrize("kernel", [(2, 2), (4, 3)])
def test_same_padding_puts_the_odd_zero_at_the_end(kernel):
    check(TF.conv2d, F.conv2d, (R(2, 4, 7, 6), R(6, 4, *kernel), R(6)), {"padding": "same"})


ONES, BARE = (1, 1), ((0, 0), (0, 0))
FORMS = [
    ("UNROLLED", (2, 4, 7, 6), (8, 1, 3, 2), Window((2, 1), ((1, 1), (0, 1)), ONES, (1, 2), 4)),
    ("UNROLLED", (3, 4, 9, 8), (4, 1, 5, 5), Window((2, 1), ((2, 2), (2, 2)), ONES, ONES, 4)),
    ("UNROLLED", (2, 8, 6, 5), (8, 2, 3, 3), Window((2, 1), ((0, 0), (1, 1)), ONES, ONES, 4)),
    ("UNROLLED", (1, 40, 4, 68), (40, 1, 3, 3), Window((1, 2), ((2, -1), (2, 3)), ONES, (2, 1), 40)),
    ("UNROLLED", (2, 4, 11), (6, 2, 3), Window((2,), ((1, 1),), (1,), (2,), 2)),
    ("UNROLLED", (2, 4, 3, 5, 4), (4, 2, 2, 3, 2), Window((1, 2, 1), ((0, 1),) * 3, (1,) * 3, (1,) * 3, 2)),
    ("GROUPED", (2, 14, 6, 5), (10, 7, 3, 4), Window((2, 1), ((1, 1), (2, 0)), ONES, (1, 2), 2)),
    ("GROUPED", (1, 4, 24, 1100), (4, 2, 3, 15), Window(ONES, ((1, 1), (7, 7)), ONES, ONES, 2)),  # too many windows
    ("POINTWISE", (2, 5, 6, 5), (3, 5, 1, 1), Window((2, 3), BARE, ONES, ONES, 1)),
    ("PATCHED", (2, 3, 9, 8), (5, 3, 2, 4), Window((2, 4), BARE, ONES, ONES, 1)),
    ("PATCHED", (2, 3, 7), (5, 3, 3), Window((3,), ((0, 0),), (1,), (1,), 1)),
    ("COPIED", (2, 64, 4, 3), (64, 64, 3, 3), Window((2, 1), ((1, 1), (1, 1)), ONES, ONES, 1)),
    ("COPIED", (1, 3, 5, 4), (30, 3, 3, 2), Window((1, 2), ((1, 2), (0, 0)), ONES, (2, 1), 1)),
    ("sampled", (2, 9, 24, 23), (5, 9, 3, 2), Window(ONES, ((1, 1), (2, -1)), ONES, (1, 2), 1)),
    ("sampled", (2, 9, 24, 23), (64, 9, 2, 2), Window(ONES, ((1, 0), (1, 0)), ONES, ONES, 1)),
    ("sampled", (2, 3, 47, 24), (5, 3, 3, 2), Window((2, 1), ((1, 1), (0, 0)), ONES, ONES, 1)),
    ("sampled", (2, 3, 520), (5, 3, 3), Window((1,), ((1, 1),), (1,), (1,), 1)),
    ("WINDOWED", (2, 3, 8, 8, 9), (5, 3, 2, 2, 2), Window((1, 2, 1), ((1, 0),) * 3, (1,) * 3, (1,) * 3, 1)),
]


@pytest.mark.parametrize(("name", "x", "w", "window"), FORMS, ids=lambda v: v if isinstance(v, str) else "")
def test_forms_for_the_cpu_have_the_plain_forms_derivatives(name, x, w, window):
    """First and second derivatives, forward and backward, alone and batched."""
    form = conv_cpu.form_of(x, w, window)
    assert form == (conv_cpu.sampled(w, window) if name == "sampled" else getattr(conv_cpu, name))
    with jax.enable_x64(True):
        a, b = jnp.asarray(R(*x)) / 8, jnp.asarray(R(*w)) / 8
        answers = []
        for fn in (lambda a, b: conv_cpu.convolve(a, b, window, form), lambda a, b: plain(a, b, window)):
            answers.append(jax.tree.leaves(jax.jit(partial(_derivatives, fn))(a, b)))
        for mine, theirs in zip(*answers, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-9)


TRANSPOSED = [
    ("UNROLLED", (2, 4, 7, 6), (8, 1, 3, 2), Window((2, 1), ((1, 1), (0, 1)), ONES, (1, 2), 4)),
    ("GROUPED", (2, 14, 6, 5), (10, 7, 3, 4), Window((2, 1), ((1, 1), (2, 0)), ONES, (1, 2), 2)),
    ("PATCHED", (2, 3, 9, 8), (5, 3, 2, 4), Window((2, 4), BARE, ONES, ONES, 1)),
    ("COPIED", (1, 3, 5, 4), (30, 3, 3, 2), Window((1, 2), ((1, 2), (0, 0)), ONES, (2, 1), 1)),
    ("WINDOWED", (2, 3, 8, 8, 9), (5, 3, 2, 2, 2), Window((1, 2, 1), ((1, 0),) * 3, (1,) * 3, (1,) * 3, 1)),
    ("BESIDE_PLAIN", (2, 9, 24, 23), (5, 9, 3, 2), Window((2, 1), ((1, 1), (2, -1)), ONES, (1, 2), 1)),
]


@pytest.mark.parametrize(("name", "y", "w", "window"), TRANSPOSED, ids=lambda v: v if isinstance(v, str) else "")
def test_forms_of_transposed_convolutions_have_the_plain_forms_derivatives(name, y, w, window):
    form, exchanged = getattr(conv_cpu, name), conv_cpu.transposed_form_of(y, w, window)
    assert exchanged is not None
    x = (y[0], w[0], *window.outputs(y[2:], w[2:]))
    with jax.enable_x64(True):
        a, b = jnp.asarray(R(*x)) / 8, jnp.asarray(R(*w)) / 8
        np.testing.assert_array_equal(exchanged.output(a, b, window), form.input_gradient(a, b, y, window))
        answers = []
        for fn in (
            lambda a, b: conv_cpu.convolve(a, b, window, exchanged),
            lambda a, b: plain_input_gradient(a, b, y, window),
        ):
            answers.append(jax.tree.leaves(jax.jit(partial(_derivatives, fn))(a, b)))
        for mine, theirs in zip(*answers, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-9)


def _derivatives(fn, a, b):
    gradients = jax.grad(lambda a, b: (fn(a, b) ** 2).sum(), (0, 1))
    return (
        fn(a, b),
        jax.jvp(gradients, (a, b), (b.sum() + a, b)),
        jax.vmap(gradients, (0, None))(jnp.stack([a, 2 * a]), b),
    )


def test_a_gradient_that_is_not_asked_for_is_not_computed():
    """The first layer's input has none: the rule is called with the weight's tangent alone."""
    x, w = jnp.ones((1, 4, 5, 5)), jnp.ones((4, 1, 3, 3))
    text = str(jax.make_jaxpr(jax.grad(lambda w: F.conv2d(x, w, groups=4).sum()))(w))
    both = str(jax.make_jaxpr(jax.grad(lambda x, w: F.conv2d(x, w, groups=4).sum(), (0, 1)))(x, w))
    assert len(text) < len(both)


def test_torch_takes_lists_of_one():
    x, w = R(1, 2, 4, 4).astype("float32"), R(2, 2, 2, 2).astype("float32")
    check(TF.conv2d, F.conv2d, (x, w), {"stride": [2]})
