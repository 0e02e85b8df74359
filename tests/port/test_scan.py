"""Runs of equal blocks: the loop that is written, and whether it is still the same model."""

import jax
import jax.numpy as jnp
import pytest
import torch
from torch import nn

from fnlearn import equivalence, port


class Block(nn.Module):
    def __init__(self, p=0.2):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.drop = nn.Dropout(p)
        self.register_buffer("scale", torch.rand(4) + 0.5)

    def forward(self, x, mask):
        return x + self.drop(torch.tanh(self.fc(x * self.scale))) * mask


class Wide(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(4, 8), nn.Linear(8, 4)

    def forward(self, x):
        return self.down(torch.relu(self.up(x)))


class Narrow(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(4)

    def forward(self, x):
        return self.norm(x)


class Masked(nn.Module):
    """Blocks that draw, have buffers, and are all given the same mask."""

    def __init__(self):
        super().__init__()
        self.h = nn.ModuleList([Block() for _ in range(12)])

    def forward(self, x):
        mask = (x > 0).float().mean(-1, keepdim=True)
        for block in self.h:
            x = block(x, mask)
        return x


class Periodic(nn.Module):
    """Two kinds of blocks that take turns."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([Narrow() if i % 2 else Wide() for i in range(16)])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


class Turns(nn.Module):
    """Two kinds of blocks that take turns, and both draw."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([Dropped(torch.tanh) if i % 2 else Halved() for i in range(16)])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


class Dropped(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.fc, self.drop, self.function = nn.Linear(4, 4), nn.Dropout(0.2), function

    def forward(self, x):
        return x + self.drop(self.function(self.fc(x)))


class Halved(Dropped):
    def __init__(self):
        super().__init__(torch.sin)

    def forward(self, x):
        return super().forward(x) / 2


class Numbered(nn.Module):
    """Blocks with names of their own, the last of which is another's input too."""

    def __init__(self):
        super().__init__()
        for i in range(9):
            setattr(self, f"layer_{i}", Wide())

    def forward(self, x):
        for i in range(1, 9):
            x = getattr(self, f"layer_{i}")(x)
        return x, getattr(self, "layer_0")(x)  # noqa: B009


class Skips(nn.Module):
    """Blocks of which one's output is read again later: no loop goes over it."""

    def __init__(self):
        super().__init__()
        self.h = nn.ModuleList([Wide() for _ in range(9)])

    def forward(self, x):
        for i, layer in enumerate(self.h):
            x = layer(x)
            if i == 4:
                middle = x
        return x + middle


CASES = {
    "masked": (Masked, "lambda layer, x, key: block(*layer, x, mask, train=train, key=key)"),
    "periodic": (Periodic, "lambda layer, x: narrow(layer[1], wide(layer[0], x))"),
    "turns": (Turns, "halved(layer[0], x, train=train, key=F.split_key(key, 2)[0])"),
    "numbered": (Numbered, 'F.scan_layers(wide, [params[f"layer_{i}"] for i in range(1, 9)], x)'),
}


@pytest.fixture(autouse=True)
def promotion():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def example(kind):
    torch.manual_seed(0)
    return kind(), (torch.randn(3, 4),)


@pytest.mark.parametrize("name", CASES)
def test_the_loop_is_the_same_model(name):
    kind, text = CASES[name]
    module, inputs = example(kind)
    made = port.convert(module, inputs)
    assert text in made.source
    both = equivalence.pair(module, made.apply, made.params, made.buffers)
    for ask in (equivalence.forward, equivalence.backward):
        answer = ask(both, inputs, dtypes=["float64"])
        assert answer.ok, answer


def test_what_is_read_again_is_not_looped_over():
    module, inputs = example(Skips)
    assert "F.scan_layers" not in port.convert(module, inputs).source
    assert port.convert(module, inputs, scan=True).source.count("F.scan_layers(") == 2


def test_short_runs_are_looped_over_when_asked_for():
    module, inputs = example(lambda: nn.Sequential(*[Wide() for _ in range(3)]))
    assert "F.scan_layers" not in port.convert(module, inputs).source
    assert "F.scan_layers(wide, params, x)" in port.convert(module, inputs, scan=True).source.replace("input", "x")
    module, inputs = example(Masked)
    assert "F.scan_layers" not in port.convert(module, inputs, scan=False).source


def test_convolutions_are_looped_over_when_asked_for_alone():
    torch.manual_seed(0)
    module, inputs = nn.Sequential(*[Pictures() for _ in range(9)]), (torch.randn(2, 3, 4, 4),)
    assert "F.scan_layers" not in port.convert(module, inputs).source
    assert "F.scan_layers" in port.convert(module, inputs, scan=True).source


class Pictures(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        return torch.relu(self.conv(x))


def test_packed_parameters_give_the_same_and_come_back():
    module, inputs = example(Masked)
    made = port.convert(module, inputs)
    packed = made.pack(made.params)
    assert made.stacked == ("h",)
    assert packed["h"]["stacked"]["fc"]["weight"].shape == (12, 4, 4)
    x = jnp.asarray(inputs[0].numpy())

    def loss(params):
        return made.apply(params, made.buffers, x)[0].sum()

    value, grads = jax.value_and_grad(loss)(made.params)
    of_packed, packed_grads = jax.value_and_grad(loss)(packed)
    equivalence.assert_equivalent(jax.device_get(value), of_packed)
    equivalence.assert_equivalent(jax.device_get(grads), made.unpack(packed_grads))


def test_what_is_not_a_whole_container_is_not_packed():
    module, inputs = example(Numbered)
    assert port.convert(module, inputs).stacked == ()


def test_each_layer_has_a_mask_of_its_own():
    module, inputs = example(Masked)
    made = port.convert(module, inputs)
    x = jnp.asarray(inputs[0].numpy())
    one, other = (made.apply(made.params, made.buffers, x, train=True, key=jax.random.key(i))[0] for i in (0, 1))
    assert (one != other).any()
    same = made.apply(made.params, made.buffers, x, train=True, key=jax.random.key(0))[0]
    assert (one == same).all()
