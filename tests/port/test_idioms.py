"""What models in the wild do: keep a value of one call for the next, script functions, fill caches."""

import dataclasses
import random
import warnings
from typing import Any

import jax
import numpy as np
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


class Normals(nn.Module):
    """Distributions check their arguments' numbers, unless they are told not to."""

    def __init__(self):
        super().__init__()
        self.mean, self.scale = nn.Linear(3, 2), nn.Parameter(torch.zeros(2))

    def forward(self, x):
        normal = torch.distributions.Normal(self.mean(x), self.scale.exp())
        return normal.log_prob(torch.tanh(x[..., :2])).sum(-1), normal.entropy()


class Fields(nn.Module):
    """Arrays of numpy's among the arguments, tensors made in the manner of old, and the method `where`."""

    def __init__(self):
        super().__init__()
        self.offsets, self.order = np.array([0.0, 2.0, 5.0]), np.array([2, 0, 1])

    def forward(self, x):
        y = x[..., self.order] + x.new_tensor(self.offsets) * torch.sqrt(torch.FloatTensor([0.5]).to(x.dtype))
        return torch.zeros_like(y).where(y < 0, y * 2) + isinstance(y, torch.LongTensor)


@dataclasses.dataclass
class Out:
    last: torch.Tensor
    hidden: list[torch.Tensor]
    length: int


class Classes(nn.Module):
    """A dataclass comes out, with a number; rows are taken by a range; one dimension is added in place to a view."""

    def forward(self, x):
        x = x * 2
        rows = x[range(2), 1]
        first = x[0]
        first.unsqueeze_(0)
        return Out(rows, [first * 2, x], 3)


class Contracted(nn.Module):
    """Three operands, in the order that torch finds best."""

    def forward(self, x):
        return torch.einsum("bld,bmd,bme->ble", x, x, x)


class Losses(nn.Module):
    """A loss in training alone, for which two sizes have to be one."""

    def forward(self, x):
        targets = x.new_ones(x.shape[0], 4, 3)
        return nn.functional.mse_loss(x, targets) if self.training else x


class Appends(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x, seen, kept):
        x = self.fc(x)
        if kept["last"] is not None:
            x = x + kept["last"]
        seen.append(x)
        kept["last"] = x * 2
        return x


class Collects(nn.Module):
    """What modules write into a list and a dict that they are given."""

    def __init__(self):
        super().__init__()
        self.one, self.two = Appends(), Appends()

    def forward(self, x):
        seen: list[torch.Tensor] = []
        kept: dict[str, Any] = {"last": None}
        x = self.two(self.one(x, seen, kept), seen, kept)
        return torch.stack([*seen, kept["last"]]) * x


class OfItsDtype(nn.Module):
    """Its dtype is that of its first parameter, which a property asks for, and so does a helper."""

    def __init__(self):
        super().__init__()
        self.emb, self.fc = nn.Embedding(5, 3), nn.Linear(3, 3)

    @property
    def dtype(self):
        return next(iter(self.fc.parameters())).dtype

    def forward(self, x):
        step = torch.arange(4)
        step = step * torch.ones(4, dtype=step.dtype)
        return self.fc((step[:, None].float() * x).to(dtype=self.dtype))


class Attends(nn.Module):
    """Attention called by keywords, one of which is the name of the random key."""

    def forward(self, x):
        weighed = nn.functional.scaled_dot_product_attention(x, value=x, key=x + 1)
        return nn.functional.scaled_dot_product_attention(query=weighed, key=x, value=x, scale=0.5)


def trained():
    module = Within(Scaled())
    module.loss = (nn.Linear(3, 1)(torch.ones(2, 3)) ** 2).mean()
    return module


MODULES = {
    "what is given is written into": Collects,
    "dtype of its own": OfItsDtype,
    "attention by keywords": Attends,
    "classes": Classes,
    "three operands": Contracted,
    "losses": Losses,
    "after a step": trained,
    "distributions": Normals,
    "arrays": Fields,
    "kept": Series,
    "scripted": Scripted,
    "a cache that is empty": Cached,
    "a cache that is full": filled,
}


@pytest.mark.parametrize("name", MODULES)
def test_idioms(name):
    torch.manual_seed(0)
    module, inputs = MODULES[name](), (torch.randn(2, 4, 3),)
    made = port.convert(module, inputs)
    pair = equivalence.pair(module, made.apply, made.params, made.buffers)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # what was cached stays float32
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


class Forces(nn.Module):
    def forward(self, x):
        x = x.requires_grad_()
        return torch.autograd.grad(x.square().sum(), x)[0]


class Mapped(nn.Module):
    def forward(self, x):
        return torch.vmap(lambda row: row * 2)(x)


@pytest.mark.parametrize(
    ("module", "told"), [(Forces(), r"use jax\.grad"), (Mapped(), r"torch\.func is not ported")], ids=["grad", "vmap"]
)
def test_derivatives_and_transformations_inside_are_refused(module, told):
    with pytest.raises(port.PortError, match=rf"test_idioms\.py:\d+.*{told}"):
        port.convert(module, (torch.randn(2, 3),))
    validated = torch.distributions.Distribution._validate_args
    assert validated is __debug__


class Checked(nn.Module):
    """Numbers that the source gives are known: it may look at them, and make others of them."""

    def __init__(self, sigma):
        super().__init__()
        self.sigma, self.kinds = sigma, torch.tensor([0, 1, 1])

    def forward(self, x):
        if (self.kinds < 0).any():
            raise ValueError("kinds start at zero")
        x = x[:, self.kinds != 0]
        sigma = torch.tensor([self.sigma, 2.0])
        if not bool((sigma > 0).all()):
            raise ValueError("sigma must be positive")
        total = x * sigma.sum().item()
        for rate in (sigma * 0.5).tolist():
            total = total + rate * x
        return total if int(sigma.argmax()) == 1 else -total


def test_numbers_that_the_source_gives_are_known():
    module, x = Checked(1.5), torch.randn(2, 3)
    made = port.convert(module, (x,))
    answer = equivalence.forward(equivalence.pair(module, made.apply, made.params, made.buffers), (x,))
    assert answer.ok, answer
    with pytest.raises(ValueError, match="sigma must be positive"):
        port.convert(Checked(-1.0), (x,))


class Swallows(nn.Module):
    def forward(self, x):
        try:
            return x * float(x.sum())
        except Exception:
            return x


def test_what_the_model_catches_is_refused_all_the_same():
    with pytest.raises(port.PortError, match=r"test_idioms\.py:\d+.*__float__\(\) needs a tensor's numbers"):
        port.convert(Swallows(), (torch.randn(2, 3),))


class Drops(nn.Module):
    def __init__(self, draw):
        super().__init__()
        self.draw = draw

    def forward(self, x):
        return x * 2 if self.training and self.draw() < 0.5 else x


@pytest.mark.parametrize("draw", [lambda: random.random(), lambda: np.random.rand()], ids=["python", "numpy"])
def test_random_numbers_that_are_not_torchs_are_refused(draw):
    made = port.convert(Drops(draw), (torch.randn(2, 3),))
    assert "draw with torch.rand" in made.no_training


class Seeded(nn.Module):
    """Its own generator, in whose place the port draws by a key."""

    def forward(self, x):
        return x + torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype)


def test_a_generator_of_the_models_own_is_a_key():
    made = port.convert(Seeded(), (torch.randn(2, 3),))
    one, other = (made.apply({}, {}, jax.numpy.ones((2, 3)), key=jax.random.key(i))[0] for i in (0, 1))
    assert not (one == other).any()


class Index:
    """Of somebody's own; torch takes it for a number."""

    def __index__(self):
        return 1


class Indexed(nn.Module):
    def forward(self, x):
        return x[Index()]


def test_arguments_of_other_kinds_are_refused():
    with pytest.raises(port.PortError, match=r"__getitem__ with \w+ of a kind that is not ported"):
        port.convert(Indexed(), (torch.randn(2, 3),))


class Distances(nn.Module):
    def __init__(self, power):
        super().__init__()
        self.loss = nn.TripletMarginWithDistanceLoss(distance_function=nn.PairwiseDistance(power))

    def forward(self, x):
        return self.loss(x, x.flip(0), x.flip(1))


def test_a_distance_of_another_kind_is_refused():
    port.convert(Distances(2.0), (torch.randn(2, 3),))
    with pytest.raises(port.PortError, match="distance_function of a kind that is not ported"):
        port.convert(Distances(1.0), (torch.randn(2, 3),))
