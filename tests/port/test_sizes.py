"""What hangs on the sizes of the inputs: it stays open, or other sizes are refused."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fnlearn import equivalence, port, tree
from fnlearn.port.capture import trace
from fnlearn.port.sizes import Sizes


@pytest.fixture(autouse=True)
def promotion():
    """Source as people write it."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


class Call(nn.Module):
    """A model of one function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x, *others):
        return self.function(x, *others)


def ones(*shape):
    return torch.arange(1.0, 1 + torch.Size(shape).numel()).reshape(shape).cos()


def branches(x):
    if x.shape[1] > 3:
        return x * 2
    return x - 1


def asserts(x):
    assert x.shape[1] <= 6, "too long"
    return x * 2


def checks(x):
    torch._assert(x.shape[1] == 5, "another length")
    return x * 2


def loops(x):
    for i in range(x.shape[1]):
        x = x + i
    return x


def beside_one(x):
    return x * 2 if x.shape[0] > 1 else x


def expands(x):
    place = torch.arange(4.0)[None, None]
    if x.shape[0] != place.shape[0]:
        place = place.expand(x.shape[0], -1, -1)
    if x.shape[1] > 1:
        place = place.repeat(1, x.shape[1], 1)
    return x + place


def by_length(x):
    """What is asked for as four parts is no size that has to be four."""
    return x.reshape(x.shape[0], 4, -1).sum(1) / x.shape[1]


def roots(x):
    n = int(x.shape[1] ** 0.5)
    return x.view(x.shape[0], n, n)


def compares(x, y):
    return x + y if x.shape == y.shape else x


def pools(x):
    return F.lp_pool2d(x, 2, x.shape[2:])


def reverses(x):
    """Windows, and back."""
    batch, height, width = x.shape
    windows = x.view(batch, height // 2, 2, width // 2, 2).transpose(2, 3).reshape(-1, 2, 2) * 2
    again = int(windows.shape[0] / (height * width / 2 / 2))
    return windows.view(again, height // 2, width // 2, 2, 2).transpose(2, 3).reshape(again, height, width) + x


def least(x):
    return x[:, : min(x.shape[1], 4)]


def unpacks(x):
    total = 0
    for row in x:
        total = total * 2 + row
    return total


REFUSED: dict[str, Any] = {  # the function, its example, what is the same program, and what is another
    "branch": (branches, [(2, 5)], [(3, 4)], [(2, 3)], "x.shape[1] > 3, got 3"),
    "assertion": (asserts, [(2, 5)], [(2, 6)], [(2, 7)], "x.shape[1] <= 6, got 7"),
    "torch's assertion": (checks, [(2, 5)], [(3, 5)], [(2, 4)], "x.shape[1] == 5, got 4"),
    "loop": (loops, [(2, 5)], [(3, 5)], [(2, 6)], "x.shape[1] == 5, got 6"),
    "two inputs": (compares, [(2, 3), (2, 3)], [(4, 5), (4, 5)], [(1, 3), (2, 3)], "x.shape[0] == others_0.shape[0]"),
    "number of torch's": (pools, [(2, 3, 4, 5)], [(1, 2, 4, 5)], [(2, 3, 5, 5)], "x.shape[2] == 4, got 5"),
    "minimum": (least, [(2, 6)], [(2, 5)], [(2, 3)], "x.shape[1] > 4, got 3"),
    "rows": (unpacks, [(3, 2)], [(3, 4)], [(4, 2)], "x.shape[0] == 3, got 4"),
    "squeeze": (lambda x: x.squeeze(1) * 2, [(2, 3)], [(3, 4)], [(2, 1)], "x.shape[1] != 1, got 1"),
    "one that is squeezed": (lambda x: x.squeeze(0), [(1, 3)], [(1, 5)], [(2, 3)], "x.shape[0] == 1, got 2"),
    "one that follows": (
        lambda x: F.avg_pool2d(x, 4).squeeze(-1).squeeze(-1) * 2,
        [(2, 3, 4, 4)],
        [(3, 3, 4, 4)],
        [(2, 3, 8, 4)],
        "x.shape[1:] == (3, 4, 4)",
    ),
    "one that a view leaves out": (
        lambda x: (x[:, :, ::4, ::4] * 2).flatten(2).transpose(1, 2).reshape(x.shape[0], -1, 2, 4),
        [(2, 8, 4, 4)],
        [(3, 8, 3, 4)],
        [(2, 8, 8, 8)],
        "== 1",
    ),
    "one of a mask": (lambda x: x.squeeze(1) + 1, [(2, 1, 3)], [(3, 1, 4)], [(2, 2, 3)], "x.shape[1] == 1, got 2"),
    "a constant's": (
        lambda x: (x + torch.ones(4)) / x.shape[1],
        [(2, 4)],
        [(3, 4)],
        [(2, 1)],
        "x.shape[1] == 4, got 1",
    ),
    "the other's": (
        lambda x, y: (x + y) / y.shape[1],
        [(2, 4), (2, 4)],
        [(3, 5), (3, 5)],
        [(2, 4), (2, 1)],
        "x.shape[1] == others_0.shape[1], got 4, 1",
    ),
    "more than one": (beside_one, [(2, 3)], [(3, 4)], [(1, 3)], "x.shape[0] > 1"),
    "one that is asked for": (lambda x: x * 2 if len(x) == 1 else x, [(1, 3)], [(1, 4)], [(2, 3)], "x.shape[0] == 1"),
}


def answer(made, shapes):
    inputs = [ones(*shape) for shape in shapes]
    out, _ = made.apply(made.params, made.buffers, *[jnp.asarray(tree.as_numpy(x)) for x in inputs])
    return inputs, out


@pytest.mark.parametrize("case", REFUSED)
def test_sizes_that_would_be_another_program_are_refused(case):
    function, example, same, other, said = REFUSED[case]
    made = port.convert(Call(function), tuple(ones(*shape) for shape in example))
    for shapes in (example, same):
        inputs, out = answer(made, shapes)
        equivalence.assert_equivalent(function(*inputs), out)
    with pytest.raises(ValueError, match=r"the model was ported for ") as error:
        answer(made, other)
    assert said in str(error.value)


OPEN: dict[str, Any] = {
    "batch of one": (lambda x: x.reshape(x.shape[0], 2, -1), (1, 4), (3, 6)),
    "more than one, which is nothing": (expands, (2, 3, 4), (1, 3, 4)),
    "more than one in time": (expands, (2, 3, 4), (3, 1, 4)),
    "more than one in both": (expands, (2, 3, 4), (1, 1, 4)),
    "one, which is nothing": (expands, (1, 3, 4), (3, 2, 4)),
    "one in the example": (lambda x: x[:, ::4].sin() + x[:, ::4], (2, 4), (2, 9)),
    "halves": (lambda x: torch.cat(x.chunk(2, 1)[::-1], 1), (2, 6), (3, 8)),
    "chunks": (lambda x: torch.cat(x.chunk(3, 1)[::-1], 1), (2, 6), (3, 7)),
    "parts of a size": (lambda x: torch.cat(x.split(x.shape[1] // 2, 1)[::-1], 1), (2, 6), (3, 8)),
    "integers": (reverses, (2, 4, 6), (3, 8, 2)),
    "as many parts as it is long": (by_length, (2, 4, 3), (2, 8, 3)),
    "root of a number": (lambda x: x / math.sqrt(x.shape[1]), (2, 9), (3, 4)),
    "floating-point number": (lambda x: x.sum(0) / float(x.shape[0]), (2, 9), (3, 4)),
    "one in the middle": (lambda x: x.reshape(x.shape[0], x.shape[1] * 2, -1), (2, 1, 8), (3, 3, 8)),
    "several of one": (lambda x: x.flatten(1) * x.shape[1], (1, 1, 8), (2, 3, 1)),
    "integer of an integer": (lambda x: x.reshape(int(x.shape[0] * x.shape[1])), (2, 4), (3, 5)),
    "integer of a root": (roots, (2, 9), (3, 4)),
    "root of a product": (lambda x: x.reshape(int((x.shape[0] * x.shape[1]) ** 0.5), -1), (2, 8), (3, 12)),
    "as large as it is": (lambda x: F.avg_pool2d(x, x.shape[2:]), (2, 3, 4, 5), (1, 2, 3, 6)),
    "as long as it is": (lambda x: F.max_pool1d(x, x.size(2)).squeeze(2), (2, 3, 4), (1, 2, 3)),
    "windows of a size": (lambda x: F.max_pool2d(x, (1, x.shape[3]), padding=0), (2, 3, 4, 5), (1, 2, 3, 6)),
    "distances": (lambda x: x * torch.linspace(0.5, x.shape[1] - 0.5, x.shape[1]), (2, 6), (3, 9)),
    "distances of powers": (lambda x: x * torch.logspace(start=0, end=1, steps=x.shape[1], base=2), (2, 6), (3, 9)),
    "windows": (lambda x: x.unfold(1, 3, 2), (2, 6), (3, 9)),
    "diagonal": (lambda x: torch.diag_embed(x, offset=1), (2, 3), (3, 4)),
    "padding": (lambda x: F.pad(x, (0, (4 - x.shape[1] % 4) % 4)), (2, 6), (3, 9)),
    "resized": (lambda x: F.interpolate(x, (x.shape[2] * 2, 7), mode="bilinear"), (2, 3, 4, 5), (1, 3, 6, 4)),
}


@pytest.mark.parametrize("case", OPEN)
def test_sizes_that_stay_open(case):
    function, example, other = OPEN[case]
    made = port.convert(Call(function), ones(*example))
    for shape in (example, other):
        (x,), out = answer(made, [shape])
        equivalence.assert_equivalent(function(x), out)
    assert "raise" not in made.source


def test_sizes_without_symbols_are_refused():
    fixed = port.convert(nn.Flatten(), ones(2, 3, 4), dynamic_shapes=False)
    batches = port.convert(nn.Flatten(), ones(2, 3, 4), dynamic_shapes={0: "batch"})
    answer(batches, [(5, 3, 4)])
    for made, shape, said in (
        (fixed, (3, 3, 4), r"input.shape == \(2, 3, 4\), got \(3, 3, 4\)"),
        (batches, (2, 3, 5), r"input.shape\[1:\] == \(3, 4\), got \(3, 5\)"),
    ):
        with pytest.raises(ValueError, match=said):
            answer(made, [shape])


class ByMode(nn.Module):
    def forward(self, x):
        if self.training and x.shape[1] > 3:
            x = x * 2
        return x


def test_a_condition_of_one_mode_is_asked_there():
    made = port.convert(ByMode(), ones(2, 5))
    x = jnp.ones((2, 3))
    assert made.apply({}, {}, x)[0].shape == (2, 3)
    with pytest.raises(ValueError, match=r"x.shape\[1\] > 3"):
        made.apply({}, {}, x, train=True)


class Windows(nn.Module):
    def forward(self, x):
        n, h, w, c = x.shape
        pad_h, pad_w = (4 - h % 4) % 4, (4 - w % 4) % 4
        x = F.pad(x, (0, 0, 0, pad_w, 0, pad_h))
        tall, wide = h + pad_h, w + pad_w
        number = (tall // 4) * (wide // 4)
        x = x.view(n, tall // 4, 4, wide // 4, 4, c).transpose(2, 3)
        return x.reshape(n * number, 16, c)


def test_sizes_that_follow_from_others_are_called_as_the_source_calls_them():
    made = port.convert(Windows(), ones(2, 6, 8, 3))
    lines = made.source.split("def apply")[0].splitlines()
    assert "    n, h, w, c = x.shape" in lines
    assert "    pad_h = (4 - h % 4) % 4" in lines
    assert any(line.startswith("    number = ") for line in lines)
    assert "reshape(n * number, 16, c)" in made.source
    (x,), out = answer(made, [(3, 9, 7, 2)])
    equivalence.assert_equivalent(Windows()(x), out)


def test_keys_of_hostile_inputs_stay_what_they_are():
    key = "a\"{b}'\\"
    made = port.convert(Call(lambda d: d[key] * 2 if d[key].shape[0] > 2 else d[key]), ({key: ones(3)},))
    with pytest.raises(ValueError, match=r"the model was ported for"):
        made.apply({}, {}, {key: jnp.ones(2)})


class Encoded(nn.Module):
    """A cast to the dtype of a parameter, of what no argument has the dtype of."""

    def __init__(self):
        super().__init__()
        self.project = nn.Linear(4, 2)

    def forward(self, ids):
        dtype = self.project.weight.dtype
        return self.project(torch.arange(4, device=ids.device).float().to(dtype)) + ids[:, None]


def test_a_dtype_that_comes_from_a_parameter():
    torch.manual_seed(0)
    module, ids = Encoded(), torch.arange(3)
    made = port.convert(module, (ids,))
    assert equivalence.forward(equivalence.pair(module, made.apply, made.params, made.buffers), (ids,)).ok


def test_numbers_that_follow_from_sizes_that_turn_out_to_be_numbers():
    """A quotient is a quotient, also where its size is asked for later."""

    def scaled(x):
        y = x * (1.0 / x.shape[1])
        assert y.shape[1] == 4
        return y

    made = port.convert(Call(scaled), (ones(2, 4),))
    equivalence.assert_equivalent(ones(3, 4) / 4, answer(made, [(3, 4)])[1])


def test_training_that_torch_refuses_leaves_evaluation():
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    made = port.convert(module, (torch.ones(1, 3),))
    assert "torch says in training: ValueError: Expected more than 1 value per channel" in made.no_training


def test_conditions_that_divide():
    def divided(x):
        n = x.shape[1]
        return x * (2.0 / (n - 1) if 12 // (n - 1) > 3 else 1.0)

    made = port.convert(Call(divided), (ones(2, 3),))
    equivalence.assert_equivalent(divided(ones(4, 4)), answer(made, [(4, 4)])[1])
    with pytest.raises(ValueError, match=r"12 // \(x.shape\[1\] - 1\) > 3"):
        answer(made, [(2, 6)])


class Windowed(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(2, 2, 3, padding=1)

    def forward(self, x):
        windows = x.shape[2] // 3
        size = x.shape[2] // windows
        x = x[:, :, : windows * size].reshape(-1, 2, windows, size).sum(3)
        return F.pad(self.conv(x), (0, windows // 2 + windows % 5 + size))


def test_sizes_that_hang_on_sizes_stay_short():
    model = nn.Sequential(*(Windowed() for _ in range(5)))
    recorded = trace(model, (ones(2, 2, 90),), {}, False, range(3), (), Sizes())
    assert max(map(len, recorded.expressions)) < 1000
    made = port.convert(model, ones(2, 2, 90), scan=False)
    assert made.source.count("windowed(params[") == 5
    for shape in [(2, 2, 90), (3, 2, 91), (1, 2, 140)]:
        (x,), out = answer(made, [shape])
        equivalence.assert_equivalent(model(x), out)
