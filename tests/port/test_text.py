"""How the source reads: what has a line of its own, and what a function."""

import jax
import opt_einsum  # type: ignore[import-untyped]
import pytest
import torch
from torch import nn

from fnlearn import equivalence, port


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


class Helped(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 6), nn.Linear(4, 6)

    def split(self, rows):
        return rows.unflatten(-1, (2, 3)).transpose(1, 2)

    def forward(self, x):
        query = self.split(self.first(x))
        wide = self.second(x)
        key = self.split(wide)
        return query * key


def test_the_argument_of_a_helper_is_no_line():
    made = port.convert(Helped(), (torch.randn(2, 5, 4),))
    assert '    query = F.linear(x, **params["first"]).reshape(' in made.source
    assert '    wide = F.linear(x, **params["second"])\n    key_ = wide.reshape(' in made.source


class Repeats(nn.Module):
    """A helper's result has the caller's name, whatever the helper called it on the way."""

    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU(inplace=True)

    def twice(self, states):
        states = states[:, None].expand(states.shape[0], 2, states.shape[1])
        return states.reshape(states.shape[0], 2 * states.shape[2])

    def forward(self, x, y):
        keys = self.twice(x)
        scaled = torch.tanh(y)
        values = self.twice(scaled)
        scores = keys * values.flip(0)
        out = scores - keys
        return self.relu(out)


def test_the_result_of_a_helper_is_called_as_by_its_caller():
    made = port.convert(Repeats(), (torch.randn(2, 3), torch.randn(2, 3)))
    lines = [line.strip() for line in made.source.splitlines()]
    for name in ("keys", "values", "scaled", "scores", "out"):
        assert any(line.startswith(f"{name} = ") for line in lines), name
    assert any(line.startswith("return F.relu(out)") for line in lines)


class Flat(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 2, 3), nn.Linear(8, 5)

    def forward(self, x):
        x = self.conv(x)
        x = torch.flatten(x, 1)
        return self.fc(x)


def test_a_size_is_looked_up_where_it_is_used_once():
    module = Flat()
    made = port.convert(module, (torch.randn(2, 3, 4, 4),))
    assert "x = x.reshape(x.shape[0], -1)\n" in made.source
    pair = equivalence.pair(module, made.apply, made.params, made.buffers)
    assert equivalence.forward(pair, (torch.randn(3, 3, 4, 4),)).ok


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        out = self.relu(self.norm(self.conv(x)))
        return x + self.conv(out)


class Stages(nn.Module):
    """Stages within stages, the last with a single block."""

    def __init__(self):
        super().__init__()
        stages = [nn.Sequential(nn.Conv2d(1, 2, 1), Block(2), Block(2)) for _ in range(2)]
        stages[1][0] = nn.Conv2d(2, 2, 1)
        self.features = nn.Sequential(*stages, nn.Sequential(Block(2)))
        self.scale = nn.Parameter(torch.ones(1, 2, 1, 1))

    def forward(self, x):
        return self.features(x) * self.scale


def test_blocks_that_change_buffers_are_a_function_of_their_container():
    module, inputs = Stages(), (torch.randn(3, 1, 2, 2),)
    made = port.convert(module, inputs)
    pair = equivalence.pair(module, made.apply, made.params, made.buffers)
    for question in (equivalence.forward, equivalence.backward):
        assert question(pair, inputs).ok
    main = made.source[made.source.index("def stages(") :]
    assert 'x, features_1 = features(params["features"], buffers["features"], x, train=train)' in main
    assert 'return x * params["scale"], {"features": features_1}' in main
    stage, whole = (part[: part.index("\n\n")] for part in made.source.split("def features")[1:])
    assert stage.startswith("_0(")
    assert stage.count("= block(") == 2
    assert whole.count("= features_0(") == 2
    assert whole.count("= block(") == 1


def test_the_short_end_of_a_statement_is_in_the_next():
    made = port.convert(Block(2), (torch.randn(3, 2, 2, 2),))
    assert '    return x + F.conv2d(F.relu(out), **params["conv"]), {"norm": norm}\n' in made.source


class Attention(nn.Module):
    def forward(self, first_of_the_arguments, second_of_the_arguments, third_of_the_arguments):
        out = first_of_the_arguments.sum(0, True) + second_of_the_arguments  # a remark that does not fit behind it
        out = torch.tanh(out)  # fits
        return out * third_of_the_arguments


def test_a_comment_that_is_too_long_stands_above():
    source = port.convert(Attention(), (torch.ones(2), torch.ones(2), torch.ones(2))).source
    names = "first_of_the_arguments, second_of_the_arguments, third_of_the_arguments"
    assert f"# tests.port.test_text.Attention\ndef attention({names}):\n" in source
    assert "\n    # a remark that does not fit behind it\n    out = first_of" in source
    assert source.count("  # fits\n") == 1
    assert max(map(len, source.splitlines())) <= 120


class Residual(nn.Module):
    """The value that is needed longer than it has its name has another."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, states):
        residual = states
        states = self.first(states)
        states = torch.tanh(states) + residual
        residual = states
        states = self.second(states)
        return states + residual


RESIDUAL = """
    residual = states
    states = F.linear(states, **params["first"])
    states = jnp.tanh(states) + residual
    residual = states
    states = F.linear(states, **params["second"])
    return states + residual
"""


def test_a_value_whose_name_is_given_to_another_goes_on_under_its_other_name():
    module, inputs = Residual(), (torch.randn(2, 3),)
    made = port.convert(module, inputs)
    assert RESIDUAL in made.source
    assert equivalence.backward(equivalence.pair(module, made.apply, made.params, made.buffers), inputs).ok


class Nothing(nn.Module):
    def forward(self, x):
        return x


class Weighed(nn.Module):
    def __init__(self, bias):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 4))
        self.bias = nn.Parameter(torch.ones(4)) if bias else None

    def forward(self, x):
        return nn.functional.linear(x, self.weight, self.bias)


class Still(nn.Module):
    """What changes nothing, in training alone, by a module of one's own, and by numbers that are options."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.act, self.scale = Weighed(True), Weighed(False), Nothing(), 1.0

    def forward(self, x):
        if self.training:
            x = x.contiguous()
        h = self.act(self.one(x) * self.scale) + 0
        h = h.expand(x.shape[0], 4).repeat(1, 1) / self.scale
        return torch.cat([self.two(h)]) - 0


def test_what_changes_nothing_leaves_no_line():
    source = port.convert(Still(), (torch.ones(3, 4),)).source
    body = '    h = weighed(params["one"], x)\n    return weighed(params["two"], h)\n'
    assert body in source
    assert source.count("def ") == 3
    assert "F.linear(x, **params)" in source
    integers = port.convert(Times(), (torch.arange(3),)).source
    assert "return x * 1.0, x / 1\n" in integers


class Times(nn.Module):
    """Numbers that make floats of integers."""

    def forward(self, x):
        return x * 1.0, x / 1


class Watches(nn.Module):
    """Attention that drops nothing is the same in either mode."""

    def __init__(self):
        super().__init__()
        self.attend = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x):
        return self.attend(x, x, x, need_weights=False)[0]


def test_attention_that_drops_nothing_asks_for_no_mode():
    source = port.convert(Watches(), (torch.ones(2, 3, 4),)).source
    assert "train=train" not in source
    assert "key=key" not in source


class Contracts(nn.Module):
    def forward(self, x):
        weights = opt_einsum.contract("ab,bc,cd->ad", x, x, x)
        return weights * 2


def test_what_a_library_of_notation_calls_its_values_is_no_name():
    source = port.convert(Contracts(), (torch.ones(3, 3),)).source
    assert "tmp" not in source
    assert "    weights = " in source


class Tokens(nn.Module):
    """Sizes of what a convolution gives, which the source has names for and which its modules see as one."""

    def __init__(self):
        super().__init__()
        self.conv, self.mix = nn.Conv2d(3, 4, 3, stride=2, padding=1), Mixed()

    def forward(self, x):
        y = self.conv(x)
        b, c, h, w = y.shape
        return self.mix(self.mix(y.permute(0, 2, 3, 1).reshape(b, h * w, c)))


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        y = self.fc(x)
        n = y.shape[1]
        return y.reshape(-1, n, 2, 2).mT.reshape(-1, n, 4)


class Halves(nn.Module):
    """A size that has no name."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(2, 4, 3, stride=2, padding=1)

    def forward(self, x):
        one, other = self.conv(x).chunk(2, 1)
        return one.reshape(one.shape[0], one.shape[2], 2) @ other.reshape(one.shape[0], 2, -1, 1).squeeze(3)


def test_sizes_are_looked_up_where_they_are():
    source = port.convert(Tokens(), (torch.ones(2, 3, 8, 8),)).source
    lines = '    y = F.conv2d(x, **params["conv"], stride=2, padding=1)\n    _, _, h, w = y.shape\n'
    assert lines in source
    assert "def mixed(params, x):" in source
    assert "    n = x.shape[1]\n" in source
    source = port.convert(Halves(), (torch.ones(2, 2, 8),)).source
    assert "one.reshape(x.shape[0], one.shape[2], 2) @ " in source


class Heads(nn.Module):
    """Numbers that the module has names for, one of which the source gives to something else."""

    def __init__(self, heads, size):
        super().__init__()
        self.heads, self.size, self.x = heads, size, 2 * heads

    def forward(self, x):
        return x.reshape(x.shape[0], self.heads, self.size).sum(2) * self.x + x.shape[1] * self.size


class Turns(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.other = Heads(2, 6), Heads(3, 4)

    def forward(self, x):
        return self.one(x).sum() + self.other(x).sum()


class Reflected(nn.Module):
    def forward(self, x):
        return 0.5 * x * (1 + torch.tanh(x)), x + 2, -3 * x, torch.mul(x, 4), 0 + x


def test_a_number_stands_where_the_source_has_it():
    source = port.convert(Reflected(), (torch.ones(2),)).source
    assert "return 0.5 * x * (1 + jnp.tanh(x)), x + 2, -3 * x, x * 4, x\n" in source


def test_numbers_are_called_as_the_module_calls_them():
    made = port.convert(Turns(), (torch.ones(2, 12),))
    assert "def heads(x, *, heads, size, x_2):" in made.source
    assert "heads(x, heads=2, size=6, x_2=4).sum() + heads(x, heads=3, size=4, x_2=6).sum()" in made.source
    assert equivalence.forward(
        equivalence.pair(Turns(), made.apply, made.params, made.buffers), (torch.ones(2, 12),)
    ).ok


class Optional(nn.Module):
    """Arguments that nobody gives."""

    def forward(self, x, mask=None, bias=None, *, causal=False, scale=2.0):
        x = x * scale if bias is None else x + bias
        return x if mask is None and not causal else x * mask


class Taken(nn.Module):
    """The same, called as the check would call things."""

    def forward(self, x, ported=None, name=None, given=None):
        return x if name is None and given is None else x + ported


def test_arguments_that_nobody_gives_are_checked_together():
    made, x = port.convert(Optional(), (torch.ones(2, 3),)), jax.numpy.ones((2, 3))
    assert made.source.count("raise ValueError") == 2
    for name, given in {"mask": x, "bias": x, "causal": True, "scale": 3.0}.items():
        with pytest.raises(ValueError, match=f"the model was ported with {name}="):
            made.apply({}, {}, x, **{name: given})
    assert bool((made.apply({}, {}, x)[0] == 2).all())
    taken = port.convert(Taken(), (torch.ones(2, 3),) * 3)
    assert bool((taken.apply({}, {}, x, x, x)[0] == 2).all())
    with pytest.raises(ValueError, match="with given=None"):
        taken.apply({}, {}, x, x, x, given=1)
