"""Calls without a row of their own, ported as the core operations of ATen that torch makes of them."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as TF

from fnlearn import port
from fnlearn.equivalence import assert_equivalent
from fnlearn.port import capture, parts, program
from fnlearn.port.ops import row_of
from fnlearn.port.unported import CORE_UNPORTED

ATEN = torch.ops.aten
PACKETS = [getattr(ATEN, name) for name in dir(ATEN)]
OVERLOADS = [getattr(p, name) for p in PACKETS if hasattr(p, "overloads") for name in p.overloads()]
CORE = {x._schema.name.removeprefix("aten::") for x in OVERLOADS if torch.Tag.core in x.tags}
BESIDE = {"lift_fresh", "detach", "_fft_c2c", "view_as_real"}  # which torch leaves whole as well
ATTRIBUTES = ("shape", "dtype", "size", "dim", "ndim", "device", "__setitem__", "numel")  # of which nothing is recorded

# what is called, on tensors of which shapes, and which core operations it must come to
CALLS: dict[str, Any] = {
    "elu": (lambda x: TF.selu(x), [(3, 4)], {"elu"}),
    "cast": (lambda x: x.to(torch.float16), [(3, 4)], {"_to_copy"}),
    "sums": (
        lambda x: (x.sum(), x.mean(), x.prod(), x.sum(1), x.mean(0, keepdim=True)),
        [(3, 4)],
        {"sum", "mean", "prod"},
    ),
    "variances": (lambda x: (x.var(), x.var(1), x.std(0, unbiased=False)), [(3, 4)], {"var"}),
    "softmax": (lambda x: (x.softmax(1), x.log_softmax(0)), [(3, 4)], {"_softmax", "_log_softmax"}),
    "expand": (lambda x: x.expand(5, -1, -1), [(3, 1)], {"expand"}),
    "index": (lambda x: x[[0, 2], :, [1, 1]], [(3, 4, 2)], {"index"}),
    "embedding": (lambda w: TF.embedding(torch.tensor([1, 0]), w), [(3, 4)], {"embedding"}),
    "convolution": (
        lambda x, w, b: TF.conv2d(x, w, b, stride=2, padding=1),
        [(2, 3, 5, 5), (4, 3, 3, 3), (4,)],
        {"convolution"},
    ),
    "transposed": (
        lambda x, w: TF.conv_transpose1d(x, w, stride=2, output_padding=1),
        [(2, 3, 5), (3, 4, 3)],
        {"convolution"},
    ),
    "adaptive": (lambda x: TF.adaptive_avg_pool2d(x, (2, 3)), [(2, 3, 5, 5)], {"_adaptive_avg_pool2d"}),
    "mean pooling": (lambda x: TF.avg_pool2d(x, 2), [(2, 3, 6, 6)], {"avg_pool2d"}),
    "max pooling": (lambda x: TF.max_pool2d(x, 3, 2, padding=1), [(2, 3, 6, 6)], {"max_pool2d_with_indices"}),
    "reflected": (lambda x: TF.pad(x, (1, 2, 0, 1), "reflect"), [(2, 3, 4, 4)], {"reflection_pad2d"}),
    "replicated": (lambda x: TF.pad(x, (1, 2, 0, 1), "replicate"), [(2, 3, 4, 4)], {"replication_pad2d"}),
    "fold": (lambda x: TF.fold(x, (4, 5), 2), [(2, 12, 12)], {"col2im"}),
    "layer_norm": (lambda x, w: TF.layer_norm(x, (4,), w), [(3, 4), (4,)], {"native_layer_norm"}),
    "its statistics": (lambda x: ATEN.native_layer_norm(x, [4], None, None, 1e-5), [(3, 4)], {"native_layer_norm"}),
    "group_norm": (lambda x: TF.group_norm(x, 2), [(3, 4, 5)], {"native_group_norm"}),
    "its groups' statistics": (
        lambda x: ATEN.native_group_norm(x, None, None, 3, 4, 5, 2, 1e-5),
        [(3, 4, 5)],
        {"native_group_norm"},
    ),
    "distances": (lambda x, y: torch.cdist(x, y, p=3.0), [(3, 4), (2, 4)], {"_cdist_forward"}),
    "pairs": (lambda x: TF.pdist(x), [(4, 3)], {"_pdist_forward"}),
    "real wave": (lambda x: torch.fft.rfft2(x, norm="ortho").abs(), [(3, 4)], {"_fft_r2c"}),
    "and back": (
        lambda x: torch.fft.irfft(torch.fft.rfft(x, norm="forward"), n=5, norm="forward"),
        [(3, 5)],
        {"_fft_r2c", "_fft_c2r"},
    ),
    "complex wave": (lambda x: torch.fft.ifft(torch.fft.fft(x), norm="ortho").real, [(3, 4)], {"_fft_c2c"}),
    "in place": (lambda x: x.clone().add_(1).mul_(x), [(3, 4)], {"add", "mul"}),
}


class Call(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *tensors):
        return self.function(*tensors)


@pytest.mark.parametrize("name", CALLS)
def test_parts_are_the_call(name, monkeypatch):
    function, shapes, core = CALLS[name]
    reached = set()

    def only_core(api):
        if api.removeprefix("aten.") not in CORE | BESIDE:
            return None
        reached.add(api.removeprefix("aten."))
        return row_of(api)

    monkeypatch.setattr(program, "formatted", lambda text: text)  # its look is tested elsewhere
    monkeypatch.setattr(capture, "row_of", lambda api: row_of(api) if api in ATTRIBUTES else None)
    monkeypatch.setattr(parts, "row_of", only_core)
    arrays = [np.random.default_rng(i).standard_normal(shape).astype("float32") for i, shape in enumerate(shapes)]
    tensors = [torch.from_numpy(array) for array in arrays]
    made = port.convert(Call(function), tuple(tensors), dynamic_shapes=False)
    assert core <= reached
    assert_equivalent(function(*tensors), made.apply({}, {}, *[jnp.asarray(array) for array in arrays])[0])


def test_a_call_without_a_row_is_ported_by_its_parts():
    x, y = torch.rand(3, 4), torch.rand(3, 4)
    made = port.convert(Call(ATEN.sigmoid_backward), (x, y))
    assert row_of("aten.sigmoid_backward") is None
    assert "aten" not in made.source
    assert_equivalent(ATEN.sigmoid_backward(x, y), made.apply({}, {}, jnp.asarray(x), jnp.asarray(y))[0])


def test_every_core_operation_has_a_row_or_a_reason():
    assert len(CORE) > 150
    assert {name for name in CORE if row_of(f"aten.{name}") is None} == set(CORE_UNPORTED)
