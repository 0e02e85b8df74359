"""Dtypes of results are torch's where JAX's rules would give others."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest
import torch
from torch import nn

from fnlearn import equivalence, port, tree


class Call(nn.Module):
    """A model of one function of its input and of a weight without dimensions."""

    def __init__(self, function):
        super().__init__()
        self.function, self.s = function, nn.Parameter(torch.tensor(1.7))

    def forward(self, x):
        return self.function(x, self.s)


def kept(x, s):
    """What is changed in place keeps its dtype, also where what it is changed by has dimensions."""
    y = x.bfloat16()
    y += x
    y.mul_(s).addcmul_(x.bfloat16(), x.bfloat16())
    return y


def put(x, s):
    y = x.half()
    y[:, 0] = s
    y[:, 1:3] = x[:, :2]
    y[x > 1] = s
    return y


def counted(x, s):
    index = torch.arange(4, dtype=torch.int32)
    index += torch.arange(4)
    return index, index + torch.tensor(3), x * (index + 1)[None]


CASES: dict[str, Any] = {
    "product": lambda x, s: x.bfloat16() * s,
    "turned": lambda x, s: 1 + s * x.half(),
    "difference": lambda x, s: torch.sub(x.half(), s, alpha=2),
    "power": lambda x, s: x.abs().bfloat16() ** s,
    "comparison": lambda x, s: x.half() < s,
    "where": lambda x, s: torch.where(x > 0, x.half(), s),
    "masked": lambda x, s: x.half().masked_fill(x > 0, s),
    "clamped": lambda x, s: x.half().clamp(max=s).clamp(-s, s),
    "maximum": lambda x, s: torch.maximum(x.half(), s.double()),
    "lerp": lambda x, s: torch.lerp(x.half(), x.half() * 2, s.half()),
    "integers": lambda x, s: x.long() * s.half(),
    "constant": lambda x, s: x.half() * torch.tensor(2.0),
    "both without dimensions": lambda x, s: x.sum().half() * s,
    "both with dimensions": lambda x, s: x.half() * x,
    "in place": kept,
    "put": put,
    "counted": counted,
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("error:scatter inputs have incompatible types")
def test_dtypes_are_torchs(case):
    module, x = Call(CASES[case]), torch.tensor([[0.5, -1.25, 2.0, 0.75], [1.5, 0.25, -0.5, 3.0]])
    made = port.convert(module, (x,))
    with jax.numpy_dtype_promotion("standard"), jax.enable_x64(True):
        outs, _ = made.apply(made.params, made.buffers, jnp.asarray(tree.as_numpy(x)))
    wanted = module(x)
    for want, out in zip(wanted if isinstance(wanted, tuple) else (wanted,), jax.tree.leaves(outs), strict=True):
        assert str(out.dtype) == str(want.dtype).removeprefix("torch.")
        equivalence.assert_equivalent(want, out)
