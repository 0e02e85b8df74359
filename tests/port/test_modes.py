"""Models that do one thing in training and another in evaluation."""

import jax
import jax.numpy as jnp
import pytest
import torch
from torch import nn

from fnlearn import equivalence, port


class Drop(nn.Module):
    """In evaluation what comes in comes out, the same tensor."""

    def forward(self, x):
        if not self.training:
            return x
        kept = torch.floor(torch.rand((x.shape[0], 1), dtype=x.dtype) + 0.7)
        return x.div(0.7) * kept


class Twice(nn.Module):
    """Drawn twice by one module, in between a dropout of nothing."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.drop, self.nothing = nn.Linear(3, 3), nn.Linear(3, 3), Drop(), nn.Dropout(0.0)

    def forward(self, h):
        residual = h
        h = self.nothing(self.first(h))
        h = self.drop(h) + residual
        residual = h
        return self.drop(self.second(h)) + residual


class Head(nn.Module):
    """A normalisation for several inputs, and other outputs in each mode."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def forward(self, xs):
        xs = [self.norm(x) for x in xs]
        return xs if self.training else (torch.cat(xs, 0), xs)


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head, self.aux = nn.Linear(3, 3, bias=False), Head(), nn.Linear(3, 2)

    def forward(self, x):
        out = self.head([x, self.body(x)])
        if self.training:
            return {"out": out[0], "aux": self.aux(out[1])}
        return out[0]


@pytest.mark.parametrize("kind", [Twice, Detector], ids=lambda kind: kind.__name__)
def test_both_modes(kind):
    torch.manual_seed(0)
    module, inputs = kind(), (torch.randn(4, 3),)
    made = port.convert(module, inputs)
    assert not made.no_training
    pair = equivalence.pair(module, made.apply, made.params, made.buffers)
    for question in (equivalence.forward, equivalence.backward):
        answer = question(pair, inputs)
        assert answer.ok, answer


class Noise(nn.Module):
    """Noise that is added always, or in training alone; what is drawn and not used needs no key."""

    def __init__(self, always):
        super().__init__()
        self.always = always

    def forward(self, x):
        noise = torch.randn_like(x)
        return x + noise if self.always or self.training else x * 2


@pytest.mark.parametrize(("always", "modes"), [(True, (True, False)), (False, (True,))])
def test_a_key_is_asked_for_where_it_is_needed(always, modes):
    made = port.convert(Noise(always), (torch.ones(2, 3),))
    x = jnp.ones((2, 3))
    for train in (True, False):
        out, _ = made.apply({}, {}, x, train=train, key=jax.random.key(0))
        if train in modes:
            assert not jnp.array_equal(out, x * 2)
            with pytest.raises(ValueError, match=r"pass a key, as in key=jax\.random\.key\(0\)"):
                made.apply({}, {}, x, train=train)
        else:
            assert jnp.array_equal(made.apply({}, {}, x, train=train)[0], x * 2)
