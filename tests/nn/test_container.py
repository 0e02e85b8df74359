"""Composition: names, threading of train mode, keys and buffers, and the same numbers as a torch.nn.Module."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import fnlearn.functional as F
from fnlearn import equivalence, nn, tree
from fnlearn.equivalence import assert_equivalent


class TorchNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(4, 3)
        self.blocks = torch.nn.ModuleList([torch.nn.Linear(3, 3), torch.nn.PReLU()])
        self.heads = torch.nn.ModuleDict({"left": torch.nn.Linear(3, 1), "right": torch.nn.Linear(3, 1)})
        self.tail = torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.Sigmoid(), torch.nn.Linear(2, 1))

    def forward(self, x):
        x = torch.sigmoid(self.first(x))
        for block in self.blocks:
            x = block(x)
        return self.tail(self.heads["left"](x) - self.heads["right"](x))


def forward(net, x):
    x = F.sigmoid(net.first(x))
    for block in net.blocks:
        x = block(x)
    return net.tail(net.heads["left"](x) - net.heads["right"](x))


NET = nn.compose(
    forward,
    first=nn.Linear(4, 3),
    blocks=[nn.Linear(3, 3), nn.PReLU()],
    heads={"left": nn.Linear(3, 1), "right": nn.Linear(3, 1)},
    tail=nn.Sequential(nn.Linear(1, 2), nn.Sigmoid(), nn.Linear(2, 1)),
)


def test_a_custom_model_is_torchs_module():
    """Lists, dicts and Sequentials of layers: the same names in the same order, the same outputs and gradients."""
    torch.manual_seed(0)
    module = TorchNet()
    params, buffers = NET.init(jax.random.key(0))
    assert list(tree.flatten(params)) == list(module.state_dict())
    assert buffers == {}

    x = np.random.default_rng(0).standard_normal((5, 4)).astype("float32")
    module(torch.from_numpy(x)).sum().backward()
    theirs = {name: p.grad for name, p in module.named_parameters()}
    weights = tree.unflatten({name: jnp.asarray(p.detach().numpy()) for name, p in module.named_parameters()})
    mine = jax.jit(jax.grad(lambda p: NET.apply(p, {}, x)[0].sum()))(weights)
    assert_equivalent(theirs, tree.flatten(mine))
    assert_equivalent(module(torch.from_numpy(x)), NET.apply(weights, {}, x)[0])


def counter():
    """A layer that counts its calls, returns its key, and says whether it is training."""

    def apply(params, buffers, x, *, train=False, key=None):
        draw = None if key is None else jax.random.uniform(key)
        return {"train": train, "draw": draw}, {"calls": buffers["calls"] + 1}

    return nn.Layer(lambda key: ({}, {"calls": jnp.zeros((), jnp.int32)}), apply)


STATEFUL = nn.compose(
    lambda net, x: [net.one(x), net.one(x), net.inner[0](x), net.inner[1]["two"](x)],
    one=counter(),
    inner=[counter(), {"two": counter()}],
)


def test_buffers_come_back_and_the_given_ones_stay():
    params, before = STATEFUL.init(jax.random.key(0))
    assert params == {}
    assert list(tree.flatten(before)) == ["one.calls", "inner.0.calls", "inner.1.two.calls"]
    _, after = STATEFUL.apply({}, before, 0.0)
    assert [int(n) for n in tree.flatten(after).values()] == [2, 1, 1]
    assert [int(n) for n in tree.flatten(before).values()] == [0, 0, 0]


def test_train_mode_and_keys_reach_every_child_and_no_key_repeats():
    _, buffers = STATEFUL.init(jax.random.key(0))
    outs, _ = STATEFUL.apply({}, buffers, 0.0, train=True, key=jax.random.key(1))
    assert all(out["train"] for out in outs)
    assert len({float(out["draw"]) for out in outs}) == 4
    outs, _ = STATEFUL.apply({}, buffers, 0.0)
    assert all(out["draw"] is None and not out["train"] for out in outs)


def test_forward_itself_draws_and_knows_the_mode():
    """By keyword-only arguments, with a key of which no child's is made; an input that is called key stays an input."""

    def forward(net, x, *, train, key):
        folded = None if key is None else jax.vmap(lambda i: jax.random.uniform(jax.random.fold_in(key, i)))
        own = None if folded is None else folded(jnp.arange(3))
        return {"own": own, "train": train, "child": net.one(x)["draw"]}

    net = nn.compose(forward, one=counter())
    _, buffers = net.init(jax.random.key(0))
    outs = [net.apply({}, buffers, 0.0, train=True, key=jax.random.key(i))[0] for i in range(2)]
    assert all(out["train"] for out in outs)
    assert len({float(number) for out in outs for number in (*out["own"], out["child"])}) == 8
    assert net.apply({}, buffers, 0.0)[0] == {"own": None, "train": False, "child": None}

    outer, _ = nn.compose(lambda net, x: [net.inner(x), net.inner(x)], inner=net).apply(
        {}, {"inner": buffers}, 0.0, train=True, key=jax.random.key(0)
    )
    assert (outer[0]["own"] != outer[1]["own"]).all()
    attend = nn.compose(lambda net, query, key: query + key)
    assert attend.apply({}, {}, 1.0, 2.0, key=jax.random.key(0))[0] == 3.0


def test_a_dropout_of_forward_s_own_is_torchs():
    class Noisy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(4, 3)

        def forward(self, x):
            return torch.nn.functional.dropout(self.linear(x), 0.3, self.training)

    def forward(net, x, *, train, key):
        return F.dropout(net.linear(x), 0.3, train, key=key)

    x = np.random.default_rng(0).standard_normal((5, 4))
    answer = equivalence.forward(equivalence.pair(Noisy(), nn.compose(forward, linear=nn.Linear(4, 3))), (x,))
    assert answer.ok, answer


def test_sequential_takes_a_dict_and_none_at_all():
    named = nn.Sequential({"linear": nn.Linear(2, 2), "act": nn.ReLU()})
    params, _ = named.init(jax.random.key(0))
    assert tree.names(params) == ("linear.weight", "linear.bias")
    x = jnp.array([1.0, -1.0])
    expected = F.relu(F.linear(x, **params["linear"]))
    np.testing.assert_array_equal(named.apply(params, {}, x)[0], expected)
    np.testing.assert_array_equal(nn.Sequential().apply({}, {}, x)[0], x)


def test_inputs_by_name():
    net = nn.compose(lambda net, x, scale: scale * net.linear(input=x), linear=nn.Linear(2, 1))
    params, _ = net.init(jax.random.key(0))
    one, _ = net.apply(params, {}, jnp.ones(2), scale=1.0)
    two, _ = net.apply(params, {}, jnp.ones(2), scale=2.0)
    np.testing.assert_allclose(two, 2 * one)


def test_what_is_no_layer_is_refused_by_name():
    with pytest.raises(TypeError, match=r"act must be a Layer, Parameter or Buffer, .* got function"):
        nn.compose(lambda net, x: x, act=F.relu)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="0 must be a Layer"):
        nn.Sequential("linear")  # type: ignore[arg-type]


def test_an_unknown_name_is_an_error_when_traced():
    net = nn.compose(lambda net, x: net.lienar(x), linear=nn.Linear(2, 1))
    params, buffers = net.init(jax.random.key(0))
    with pytest.raises(AttributeError, match="lienar"):
        jax.eval_shape(net.apply, params, buffers, jnp.ones(2))


def test_parameters_and_buffers_of_ones_own():
    """Alone, in lists and in dicts, in torch's order: a module's own come before its children."""

    class Scaled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(2, 3)
            self.scale = torch.nn.Parameter(torch.full((3,), 2.0))
            self.register_buffer("mask", torch.tensor([1.0, 0.0, 1.0]))
            self.shifts = torch.nn.ParameterList([torch.nn.Parameter(torch.ones(3)) for _ in range(2)])
            self.named = torch.nn.ParameterDict({"last": torch.nn.Parameter(torch.full((3,), 0.5))})

        def forward(self, x):
            shift = self.shifts[0] + self.shifts[1] * self.named["last"]
            return self.linear(x) * self.scale * self.mask + shift

    def forward(net, x):
        shift = net.shifts[0] + net.shifts[1] * net.named["last"]
        return net.linear(x) * net.scale * net.mask + shift

    model = nn.compose(
        forward,
        linear=nn.Linear(2, 3),
        scale=nn.Parameter(lambda key: nn.init.constant((3,), 2.0)),
        mask=nn.Buffer(lambda key: jnp.array([1.0, 0.0, 1.0])),
        shifts=[nn.Parameter(lambda key: nn.init.ones((3,))) for _ in range(2)],
        named={"last": nn.Parameter(lambda key: nn.init.constant((3,), 0.5))},
    )
    params, buffers = model.init(jax.random.key(0))
    module = Scaled()
    assert tree.names(params) == tuple(name for name, _ in module.named_parameters())
    assert tree.names(buffers) == ("mask",)
    params, buffers = tree.load_state_dict(params, buffers, module.state_dict())
    x = np.array([0.5, -1.0], "float32")
    out, after = model.apply(params, buffers, jnp.asarray(x))
    assert_equivalent(module(torch.from_numpy(x)), out)
    assert tree.names(after) == ("mask",)
