"""What is published of devices, and what a step counts and uses."""

import re
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest

from fnlearn.train import device

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
