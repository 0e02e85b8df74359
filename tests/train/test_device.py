"""What is published of devices, and what a step counts and uses."""

import re
from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest

import fnlearn.functional as F
from fnlearn.train import device, jaxpr

KINDS = {  # device_kind as drivers report it
    "NVIDIA H100 80GB HBM3": ("H100", 989.4e12), "NVIDIA H100 PCIe": ("H100 PCIe", 756e12),
    "NVIDIA H200": ("H200", 989.4e12), "NVIDIA A100-SXM4-40GB": ("A100 40 GB", 312e12),
    "NVIDIA A100-SXM4-80GB": ("A100 80 GB", 312e12), "NVIDIA L4": ("L4", 121e12), "Tesla T4": ("T4", None),
    "Tesla V100-SXM2-16GB": ("V100 SXM2 16 GB", None), "TPU v2": ("TPU v2", 22.5e12), "TPU v3": ("TPU v3", 61.5e12),
    "TPU v4": ("TPU v4", 275e12), "TPU v5 lite": ("TPU v5e", 197e12), "TPU v5": ("TPU v5p", 459e12),
    "TPU v5p": ("TPU v5p", 459e12), "TPU v6 lite": ("TPU v6e", 918e12),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_one_row(kind):
    rows = [row for row in device.CHIPS if re.fullmatch(row.kinds, kind)]
    assert [row.name for row in rows] == [KINDS[kind][0]]
    assert device.peak_flops(SimpleNamespace(device_kind=kind), jnp.bfloat16) == KINDS[kind][1]


def test_what_is_not_known_is_none():
    assert device.chip() is None  # a CPU
    assert device.peak_flops() is None
    assert device.mfu(1e9, 1.0) is None
    assert device.peak_flops(SimpleNamespace(device_kind="TPU v4")) is None  # float32 is not published
    assert device.peak_flops(SimpleNamespace(device_kind="Tesla T4"), "float16") == 65e12
    with pytest.raises(TypeError):
        device.peak_flops(SimpleNamespace(device_kind="TPU v4"), "float17")


def test_a_product_counts_two_operations_for_each_pair():
    compiled = jax.jit(jnp.matmul).lower(jnp.ones((8, 16)), jnp.ones((16, 32))).compile()
    assert device.step_flops(compiled) == 2 * 8 * 16 * 32
    assert device.step_flops(jax.jit(lambda x: x).lower(jnp.ones(3)).compile()) is None


def test_products_are_counted_as_often_as_they_are_computed():
    w, x, image = jnp.ones((16, 16)), jnp.ones((8, 16)), jnp.ones((2, 3, 10, 10))
    one = 2 * 8 * 16 * 16

    def looped(w):
        return jax.lax.scan(lambda x, _: (jnp.tanh(x @ w), None), x, None, length=5)[0].sum()

    assert device.product_flops(looped, w) == 5 * one
    assert device.product_flops(jax.jit(jax.grad(looped)), w) == 5 * 3 * one
    assert device.product_flops(lambda c: jax.lax.cond(c > 0, lambda: (x @ w).sum(), lambda: 0.0), 1.0) == one
    conv = lambda w, stride: jax.lax.conv(image, w, (stride, stride), "SAME").sum()  # noqa: E731
    kernel = jnp.ones((4, 3, 3, 3))
    assert device.product_flops(lambda w: conv(w, 1), kernel) == 2 * (2 * 4 * 10 * 10) * (3 * 3 * 3)
    assert device.product_flops(jax.grad(lambda w: conv(w, 2)), kernel) == 2 * 2 * (2 * 4 * 5 * 5) * (3 * 3 * 3)


def test_the_share_is_that_of_the_peak_at_which_it_multiplies():
    h100, tpu = (SimpleNamespace(device_kind=kind) for kind in ("NVIDIA H100 80GB HBM3", "TPU v4"))
    assert device.mfu(494.7e12, 2.0, h100) == pytest.approx(0.5)  # tensorfloat32
    assert device.mfu(275e12, 2.0, tpu) == pytest.approx(0.5)  # bfloat16
    with jax.default_matmul_precision("highest"):
        assert device.mfu(67e12, 2.0, h100) == pytest.approx(0.5)
        assert device.mfu(275e12, 2.0, tpu) is None
    assert device.mfu(989.4e12, 4.0, h100, "bfloat16") == pytest.approx(0.25)


def test_products_by_the_dtype_in_which_they_multiply():
    a, narrow, whole = jnp.ones((4, 8)), jnp.ones((4, 8), jnp.bfloat16), jnp.ones((4, 8), int)
    exactly = partial(jnp.matmul, precision="highest")
    found = lambda f: jaxpr.products(jax.make_jaxpr(f)().jaxpr)  # noqa: E731
    one = 2 * 4 * 8 * 4
    assert found(lambda: (a @ a.T, narrow @ narrow.T, narrow @ narrow.T)) == {jaxpr.DEFAULT: one, "bfloat16": 2 * one}
    assert found(lambda: (exactly(a, a.T), whole @ whole.T)) == {"float32": one, "int32": one}
    with jax.default_matmul_precision("highest"):
        assert found(lambda: a @ a.T) == {"float32": one}
    h100, tpu = (SimpleNamespace(device_kind=kind) for kind in ("NVIDIA H100 80GB HBM3", "TPU v4"))
    both = jax.make_jaxpr(lambda: (a @ a.T, narrow @ narrow.T, whole @ whole.T))().jaxpr
    assert device.seconds_at_peak(both, h100) == pytest.approx(one / 494.7e12 + one / 989.4e12)
    assert device.seconds_at_peak(both, tpu) == pytest.approx(2 * one / 275e12)
    assert device.seconds_at_peak(jax.make_jaxpr(lambda: exactly(a, a.T))().jaxpr, tpu) is None
    assert device.seconds_at_peak(jax.make_jaxpr(lambda: a + a)().jaxpr, h100) is None
    assert device.seconds_at_peak(both, jax.devices()[0]) is None


def convolving(channels, size, kernel, **options):
    """A convolution and its gradients, as the layers have it."""
    x, w = (
        jnp.ones((2, channels, size, size)),
        jnp.ones((channels // options.get("groups", 1), channels, kernel, kernel)),
    )
    w = w.swapaxes(0, 1)
    return jax.make_jaxpr(jax.grad(lambda x, w: F.conv2d(x, w, **options).sum(), (0, 1)))(x, w).jaxpr


def test_what_convolves_on_a_cpu():
    """Forms of products don't, whatever other platforms would do; what is called does."""
    assert jaxpr.convolves_on_cpu(convolving(4, 8, 3))
    for products in (convolving(4, 8, 1), convolving(4, 8, 2, stride=2), convolving(4, 8, 3, groups=4)):
        assert "conv_general_dilated" in str(products)
        assert not jaxpr.convolves_on_cpu(products)
    conv = lambda x: jax.lax.conv(x, x, (1, 1), "SAME")  # noqa: E731
    image = jnp.ones((1, 1, 4, 4))
    for called in (jax.jit(conv), jax.checkpoint(conv), lambda x: jax.lax.cond(True, conv, lambda x: x, x)):
        assert jaxpr.convolves_on_cpu(jax.make_jaxpr(called)(image).jaxpr)
    assert not jaxpr.convolves_on_cpu(jax.make_jaxpr(jnp.matmul)(image, image).jaxpr)
