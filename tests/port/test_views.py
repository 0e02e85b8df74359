"""Changes in place of views: what they are views of, and its other views, change too."""

import pytest
import torch
from torch import nn

from fnlearn import equivalence, port


def viewed(x):
    x = x * 1
    x.view(-1)[1:4].mul_(2)
    return x


def transposed(x):
    y = x + 1
    y.transpose(0, 1).add_(torch.arange(4.0).to(x)[:, None])
    y.mT[0] = 3
    return y


def permuted(x):
    y = torch.stack([x, -x])
    y.permute(2, 0, 1)[1].exp_()
    return y


def selected(x):
    y = x * x
    y.select(1, 2).neg_()
    y.narrow(0, 1, 2).mul_(3)
    return y


def squeezed(x):
    y = x * 2
    y.unsqueeze(0).squeeze().flatten().clamp_(max=1)
    return y


def other_views(x):
    """Both of them see what happens to either, and to what they are views of."""
    y = x * 1
    first, turned = y[0], y.t()
    first.mul_(3)
    turned[1].sub_(1)
    y.add_(1)
    return first, turned, y


def large(x):
    """A view whose size is a long expression."""
    n = x.shape[1]
    for _ in range(3):
        n = n // 3 + n // 2 + n % 5 + 1
    y = nn.functional.pad(x, (0, n))
    end = y[:, n:]
    end.mul_(2)
    y.add_(1)
    return y, end


def of_a_view(x):
    y = x * 1
    row = y[1]
    end = row[2:]
    row.mul_(2)
    end.mul_(2)
    return y, row, end


def diagonal(x):
    y = x * 1
    y.diagonal(1).mul_(2)
    y.mT.diagonal().add_(-1).pow_(2)
    y.unsqueeze(0).diagonal(dim1=-2, dim2=-1, offset=-1).zero_()
    return y + 1


def part(x):
    y = x * 1
    y[:, :2] += 3
    y[1] *= 2
    y[x > 0] = 5
    return y


class Running(nn.Module):
    """A buffer whose column is written, and read by another view."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(4, 3))

    def forward(self, x):
        seen = self.get_buffer("seen")
        rows = seen.T
        seen.select(1, 0).copy_(x.mean(0))
        return x + rows[:1]


class Changes(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize(
    "function",
    [viewed, transposed, permuted, selected, squeezed, other_views, large, of_a_view, diagonal, part],
    ids=lambda f: f.__name__,
)
def test_a_view_that_is_changed_changes_what_it_is_a_view_of(function):
    torch.manual_seed(0)
    module, x = Changes(function), torch.randn(3, 4)
    made = port.convert(module, (x,))
    both = equivalence.pair(module, made.apply, made.params, made.buffers)
    for question in (equivalence.forward, equivalence.backward):
        answer = question(both, (x,))
        assert answer.ok, answer


def test_a_buffer_behind_a_view():
    module, x = Running(), torch.randn(3, 4)
    made = port.convert(module, (x,))
    answer = equivalence.forward(equivalence.pair(module, made.apply, made.params, made.buffers), (x,))
    assert answer.ok, answer


class Average(nn.Module):
    """A codebook's, without the gradient, as vector-quantised autoencoders keep it."""

    size: torch.Tensor
    sums: torch.Tensor

    def __init__(self):
        super().__init__()
        self.register_buffer("size", torch.ones(3))
        self.register_buffer("sums", torch.ones(4, 3))

    def forward(self, x):
        if self.training:
            self.size.data.mul_(0.9).add_(x.sum(0), alpha=0.1)
            self.sums.data.copy_(x / self.size[None])
        return x + self.sums


def test_a_buffers_numbers_without_its_gradient():
    module, x = Average(), torch.randn(4, 3)
    made = port.convert(module, (x,))
    assert not made.no_training
    both = equivalence.pair(module, made.apply, made.params, made.buffers)
    for question in (equivalence.forward, equivalence.backward):
        answer = question(both, (x,))
        assert answer.ok, answer


def test_a_part_that_is_changed_is_put_back_once():
    made = port.convert(Changes(part), (torch.randn(3, 4),))
    assert "y = x.at[:, :2].set(x[:, :2] + 3)\n    y = y.at[1].set(y[1] * 2)\n" in made.source, made.source


def halves(x):
    y = x * 1
    first, _ = y.chunk(2, -1)
    first.zero_()
    return y.view(-1)[0]


def test_what_can_not_be_written_back_is_refused_where_it_is_used():
    with pytest.raises(port.PortError, match=r"test_views\.py:\d+, .*used after a view of it"):
        port.convert(Changes(halves), (torch.randn(4, 4),))
