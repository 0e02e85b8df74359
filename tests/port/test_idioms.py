"""What models in the wild do: keep a value of one call for the next, script functions, fill caches."""

import warnings

import jax
import pytest
import torch
from torch import nn

from fnlearn import equivalence, port


class Scaled(nn.Module):
    """RevIN: what one call finds out, another call takes back."""

    def forward(self, x, back):
        if not back:
            self.mean, self.scale = x.mean(1, keepdim=True).detach(), x.std(1, keepdim=True)
            return (x - self.mean) / self.scale
        return x * self.scale + self.mean


class Within(nn.Module):
    def __init__(self, scaled):
        super().__init__()
        self.scaled = scaled

    def forward(self, x):
        return self.scaled(x, False)


class Series(nn.Module):
    """The value leaves two calls, one within the other."""

    def __init__(self):
        super().__init__()
        self.scaled, self.fc = Scaled(), nn.Linear(3, 3)
        self.first = Within(self.scaled)

    def forward(self, x):
        return self.scaled(self.fc(self.first(x)), True)


def plain(x, y):
    return torch.tanh(x) * torch.sigmoid(y)


with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    fused = torch.jit.script(plain)


class Scripted(nn.Module):
    def __init__(self):
        super().__init__()
        self.function, self.fc = fused, nn.Linear(3, 3)

    def forward(self, x):
        return self.function(self.fc(x), x)


class Positions(nn.Module):
    """It fills a cache on its first call, with plain tensors."""

    def __init__(self):
        super().__init__()
        self.length, self.cached = None, None

    def forward(self, x):
        if x.shape[1] != self.length:
            self.length = x.shape[1]
            self.cached = torch.arange(self.length, dtype=x.dtype).cos()[None, :, None]
        return self.cached


class Cached(nn.Module):
    def __init__(self):
        super().__init__()
        self.positions = Positions()

    def forward(self, x):
        return x * self.positions(x)


def filled():
    module = Cached()
    module(torch.randn(2, 4, 3))
    return module


MODULES = {"kept": Series, "scripted": Scripted, "a cache that is empty": Cached, "a cache that is full": filled}


@pytest.mark.parametrize("name", MODULES)
def test_idioms(name):
    module, inputs = MODULES[name](), (torch.randn(2, 4, 3),)
    made = port.convert(module, inputs)
    pair = equivalence.pair(module, made.apply, made.params, made.buffers)
    with jax.numpy_dtype_promotion("standard"):  # what was cached stays float32
        for question in (equivalence.forward, equivalence.backward):
            answer = question(pair, inputs)
            assert answer.ok, answer


def test_what_is_kept_is_called_as_the_module_calls_it():
    source = port.convert(Series(), (torch.randn(2, 4, 3),)).source
    assert "    return (x - mean) / scale, scale, mean\n" in source
    assert "    return x * scale + mean\n" in source


class Steps(nn.Module):
    """As many parts as there are steps."""

    def forward(self, x):
        total = 0
        for step in x.split(1, dim=0):
            total = total * 2 + step
        return total


def test_a_number_of_parts_that_follows_from_a_size_is_asked_for():
    made = port.convert(Steps(), (torch.randn(3, 2),))
    with pytest.raises(ValueError, match=r"ported for x.shape\[0\] == 3, got 6"):
        made.apply({}, {}, torch.ones(6, 2).numpy())
