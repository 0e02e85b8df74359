"""Modules with numbers that are not in the dtype under test: complex ones, and what they make in float32 themselves."""

import jax
import jax.numpy as jnp
import pytest
import torch

from fnlearn import optim
from fnlearn.equivalence import backward, forward, layers, load, pair, record, training

QUESTIONS = (forward, backward, layers)


class Spectral(torch.nn.Module):
    """Complex parameters and buffers."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(3, 4, dtype=torch.cfloat))
        self.register_buffer("phase", torch.polar(torch.ones(4), torch.arange(4.0)))

    def forward(self, x):
        y = torch.fft.rfft(x) @ self.weight * self.phase
        return y.real, y


def spectral(sign):
    def apply(params, buffers, x):
        y = jnp.fft.rfft(x) @ params["weight"] * buffers["phase"]
        return (y.real, jax.lax.complex(y.real, sign * y.imag)), buffers

    return apply


@pytest.fixture(autouse=True)
def promotion():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def test_complex_parameters_and_buffers(tmp_path):
    inputs = (torch.randn(2, 4),)
    module = Spectral()
    both = pair(module, spectral(1))
    for question in QUESTIONS:
        answer = question(both, inputs)
        assert answer.ok, answer
        assert not answer.notes
    shapes = {leaf.name: leaf.shape for leaf in backward(both, inputs).leaves}
    assert shapes["eval.float64.grad.params.weight"] == (3, 4)
    assert not forward(pair(module, spectral(-1)), inputs).ok
    assert not backward(pair(module, spectral(-1)), inputs).ok
    record(tmp_path / "golden.safetensors", module, inputs)
    assert backward(pair(load(tmp_path / "golden.safetensors"), spectral(1), both.params, both.buffers), inputs).ok


class Positions(torch.nn.Module):
    """It multiplies by what it makes in float32, which torch refuses in float64."""

    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(x) + self.fc(torch.arange(4).float() / 3)


def positions(power):
    def apply(params, x):
        weight, bias = params["fc"]["weight"], params["fc"]["bias"]
        return x @ weight.T + 2 * bias + (jnp.arange(4).astype(jnp.float32) / 3) ** power @ weight.T

    return apply


def test_a_module_that_can_not_be_run_in_float64(tmp_path):
    inputs, module = (torch.randn(2, 4),), Positions()
    both = pair(module, positions(1))
    for question in QUESTIONS:
        answer = question(both, inputs)
        assert answer.ok, answer
        assert answer.notes[0].startswith("eval.float64: not compared, PyTorch raises there: ")
        assert not question(pair(module, positions(1.01)), inputs).ok
    with pytest.raises(ValueError, match="asked in float64 alone"):
        forward(both, inputs, dtypes=())
    batches = [((torch.randn(2, 4),), torch.zeros(2, 3))] * 3
    losses = (torch.nn.functional.mse_loss, lambda out, target: ((out - target) ** 2).mean())
    make = lambda params: torch.optim.SGD(params, 0.1)  # noqa: E731
    assert training(both, make, optim.sgd(0.1), batches, losses).notes[0].startswith("float64: not compared")
    assert training(both, make, optim.sgd(0.1), batches, losses).ok
    assert not training(both, make, optim.sgd(0.11), batches, losses).ok
    with pytest.raises(ValueError, match="asked in float64 alone"):
        training(both, make, optim.sgd(0.1), batches, losses, dtypes=())
    record(tmp_path / "golden.safetensors", module, inputs, run=(make, batches, losses[0]))
    golden = pair(load(tmp_path / "golden.safetensors"), positions(1), both.params, both.buffers)
    for question in QUESTIONS:
        assert question(golden, inputs).ok
    assert training(golden, make, optim.sgd(0.1), batches, losses).ok


def test_what_a_module_raises_in_any_dtype_is_raised():
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes"):
        forward(pair(Positions(), positions(1)), (torch.randn(2, 5),), dtypes=())


class Seeded(Positions):
    """It draws what can't be given to both sides."""

    def forward(self, x):
        return self.fc(x) + torch.randperm(3)


def test_nothing_that_can_be_asked_is_told():
    answer = forward(pair(Seeded(), positions(1)), (torch.randn(2, 4),), modes=("train",))
    assert answer.notes[0].startswith("train: not compared")
