"""The question about layers: all of them are told in torch's order, and the first wrong one is named."""

import equinox as eqx
import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import fnlearn.functional as F
from fnlearn import nn
from fnlearn.equivalence import layers, pair, tap


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


class Inner(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.norm = torch.nn.Linear(6, 6), torch.nn.LayerNorm(6)

    def forward(self, x):
        return x + torch.tanh(self.norm(self.fc(x)))


class Outer(torch.nn.Module):
    """A block called twice, an embedding with a head tied to it, and a layer without parameters."""

    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(9, 6)
        self.block = Inner()
        self.relu = torch.nn.ReLU()
        self.head = torch.nn.Linear(6, 9, bias=False)
        self.head.weight = self.table.weight

    def forward(self, ids):
        x = self.block(self.block(self.table(ids)))
        return self.head(self.relu(x))


def inner(params, x):
    return x + activation(normalised(params["norm"], F.linear(x, **params["fc"])))


def activation(x):
    return jnp.tanh(x)


def normalised(params, x):
    return F.layer_norm(x, x.shape[-1:], **params)


def outer(params, ids):
    x = F.embedding(ids, **params["table"])
    x = inner(params["block"], inner(params["block"], x))
    return F.linear(tap("relu", F.relu(x)), params["table"]["weight"])


IDS = (np.array([[1, 5, 8], [0, 2, 2]]),)


def model():
    torch.manual_seed(0)
    return Outer()


def test_every_layer_is_told_in_order():
    answer = layers(pair(model(), outer), IDS)
    assert answer.ok, answer.problems
    assert answer.notes == ()
    outs = [leaf.name for leaf in answer.leaves if "float32" in leaf.name and ".out" in leaf.name]
    paths = [name.removeprefix("eval.float32.").removesuffix(".out.0") for name in outs]
    twice = ["block.fc", "block.norm", "block"]
    assert paths == ["table", *twice, *[f"{path}#2" for path in twice], "relu", "head", "(root)"]
    assert any(leaf.name == "eval.float64.block.norm#2.in.0" for leaf in answer.leaves)


def with_globals(monkeypatch, **functions):
    for name, function in functions.items():
        monkeypatch.setitem(globals(), name, function)
    return pair(model(), outer)


def test_a_layer_whose_output_is_wrong(monkeypatch):
    both = with_globals(monkeypatch, normalised=lambda params, x: F.layer_norm(x, x.shape[-1:], **params, eps=1e-3))
    answer = layers(both, IDS)
    assert answer.first == "block.norm"
    assert "block.norm (LayerNorm): its input is right, its output is not" in answer.problems[0]


def test_a_model_around_its_layers_is_wrong(monkeypatch):
    answer = layers(with_globals(monkeypatch, activation=jnp.sin), IDS)
    assert answer.first == "block"
    assert "though what it calls agrees" in answer.problems[0]


def test_an_input_that_is_wrong_is_the_caller_s(monkeypatch):
    original = tap
    answer = layers(with_globals(monkeypatch, tap=lambda name, x: original(name, 2 * x)), IDS)
    assert answer.first == "relu"
    scaled = lambda params, x: F.layer_norm(2 * x, x.shape[-1:], **params)  # noqa: E731
    assert layers(with_globals(monkeypatch, normalised=scaled), IDS).first == "block.norm"
    linear = lambda params, x: x + activation(normalised(params["norm"], 2 * F.linear(x, **params["fc"])))  # noqa: E731
    monkeypatch.undo()
    answer = layers(with_globals(monkeypatch, inner=linear), IDS)
    assert answer.first == "block"
    assert "before block.norm is called" in answer.problems[0]


def test_isolated_errors_do_not_add_up(monkeypatch):
    wrong = lambda params, x: F.layer_norm(x, x.shape[-1:], **params, eps=1e-3)  # noqa: E731
    both = with_globals(monkeypatch, normalised=wrong)
    plain = {leaf.name for leaf in layers(both, IDS).wrong if "float64" in leaf.name}
    apart = {leaf.name for leaf in layers(both, IDS, isolate=True).wrong if "float64" in leaf.name}
    assert "eval.float64.block.fc#2.out.0" in plain - apart
    assert {"eval.float64.block.norm.out.0", "eval.float64.block.norm#2.out.0"} <= apart
    assert layers(both, IDS, isolate=True).first == "block.norm"


def test_tap_is_the_identity_outside():
    x = jnp.ones(3)
    assert tap("anything", x) is x
    assert jax.jit(lambda x: tap("anything", x))(x).tolist() == [1, 1, 1]


def sequential(of):
    return of.Sequential(of.Linear(4, 8), of.LayerNorm(8), of.ReLU(), of.Dropout(0.3), of.Linear(8, 3))


def stacked(module):
    """Its weights as arrays, kernels (in, out)."""
    own = {name: jnp.asarray(p.detach().numpy()) for name, p in module.named_parameters()}
    return {
        "fc1": {"kernel": own["0.weight"].T, "bias": own["0.bias"]},
        "norm": {"scale": own["1.weight"], "bias": own["1.bias"]},
        "fc2": {"kernel": own["4.weight"].T, "bias": own["4.bias"]},
    }


def names(p):
    return {
        "0.weight": p["fc1"]["kernel"].T, "0.bias": p["fc1"]["bias"], "1.weight": p["norm"]["scale"],
        "1.bias": p["norm"]["bias"], "4.weight": p["fc2"]["kernel"].T, "4.bias": p["fc2"]["bias"],
    }  # fmt: skip


class Nnx(nnx.Module):
    def __init__(self, eps):
        rngs = nnx.Rngs(0)
        self.fc1, self.fc2 = nnx.Linear(4, 8, rngs=rngs), nnx.Linear(8, 3, rngs=rngs)
        self.norm = nnx.LayerNorm(8, epsilon=eps, use_fast_variance=False, rngs=rngs)
        self.drop = nnx.Dropout(0.3)

    def __call__(self, x, rngs):
        return self.fc2(self.drop(nnx.relu(self.norm(self.fc1(x))), rngs=rngs))


def with_nnx(module, eps=1e-5):
    graph, params, rest = nnx.split(Nnx(eps), nnx.Param, ...)  # type: ignore[misc] # of mypy: two filters, three results
    nnx.replace_by_pure_dict(params, stacked(module))

    def fn(params, x, train, key):
        model = nnx.merge(graph, params, rest)
        model.set_attributes(deterministic=not train)
        return model(x, nnx.Rngs(key))

    return pair(module, fn, params, names=lambda state: names(nnx.to_pure_dict(state)))


class Linen(flax.linen.Module):
    eps: float

    @flax.linen.compact
    def __call__(self, x, train):
        x = flax.linen.Dense(8, name="fc1")(x)
        x = flax.linen.LayerNorm(epsilon=self.eps, use_fast_variance=False, name="norm")(x)
        x = flax.linen.Dropout(0.3, deterministic=not train)(flax.linen.relu(x))
        return flax.linen.Dense(3, name="fc2")(x)


def with_linen(module, eps=1e-5):
    def fn(params, x, train, key):
        return Linen(eps).apply({"params": params}, x, train, rngs={"dropout": key})

    return pair(module, fn, stacked(module), names=names)


def with_equinox(module, eps=1e-5):
    """One example at a time inside `vmap`, with a key for each."""
    key = jax.random.key(0)
    parts = (
        eqx.nn.Linear(4, 8, key=key),
        eqx.nn.LayerNorm(8, eps=eps),
        eqx.nn.Dropout(0.3),
        eqx.nn.Linear(8, 3, key=key),
    )
    own = {name: jnp.asarray(p.detach().numpy()) for name, p in module.named_parameters()}
    where = ((0, 0), (1, 1), (4, 3))
    for number, i in where:
        both = lambda parts, i=i: (parts[i].weight, parts[i].bias)  # noqa: E731
        parts = eqx.tree_at(both, parts, (own[f"{number}.weight"], own[f"{number}.bias"]))
    params, static = eqx.partition(parts, eqx.is_array)

    def fn(params, x, train, key):
        fc1, norm, drop, fc2 = eqx.combine(params, static)
        one = lambda x, key: fc2(drop(jax.nn.relu(norm(fc1(x))), key=key, inference=not train))  # noqa: E731
        return jax.vmap(one)(x, jax.random.split(key, len(x)))

    def of(parts):
        return {
            f"{n}.{what}": getattr(parts[i], what) for n, i in ((0, 0), (1, 1), (4, 3)) for what in ("weight", "bias")
        }

    return pair(module, fn, params, names=of)


LIBRARIES = {
    "fnlearn": lambda module, eps=1e-5: pair(
        module, nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8, eps), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3))
    ),
    "nnx": with_nnx,
    "linen": with_linen,
    "equinox": with_equinox,
}
INPUT = (normal(5, 4),)


@pytest.fixture
def as_their_users():
    """Other libraries promote dtypes and ranks, which our tests forbid."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.usefixtures("as_their_users")
def test_layers_of_a_library_are_told(library):
    torch.manual_seed(0)
    both = LIBRARIES[library](sequential(torch.nn))
    answer = layers(both, INPUT, modes=["eval", "train"])
    assert answer.ok, (answer.problems, answer.wrong)
    told = {leaf.name for leaf in answer.leaves}
    assert {f"{mode}.float64.{path}.out.0" for mode in ("eval", "train") for path in (0, 1, 4, "(root)")} <= told
    assert any("2, 3" in note for note in answer.notes)
    apart = layers(both, INPUT, isolate=True)
    assert apart.ok
    assert {f"eval.float32.{path}.out.0" for path in (0, 1, 4)} <= {leaf.name for leaf in apart.leaves}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.usefixtures("as_their_users")
def test_the_first_wrong_layer_of_a_library(library):
    torch.manual_seed(0)
    both = LIBRARIES[library](sequential(torch.nn), eps=1e-2)
    for isolate in (False, True):
        answer = layers(both, INPUT, isolate=isolate)
        assert answer.first == "1"
        assert "1 (LayerNorm): its input is right, its output is not" in answer.problems[0]


def images(params, x):
    """Channels last, as JAX's people have them."""
    x = jax.lax.conv_general_dilated(x.transpose(0, 2, 3, 1), params["0"]["weight"], (1, 1), "VALID",
                                     dimension_numbers=("NHWC", "OIHW", "NHWC"))  # fmt: skip
    return shifted(params["1"], x).transpose(0, 3, 1, 2)


def shifted(params, x):
    return x * jnp.broadcast_to(params["weight"], x.shape) + jnp.broadcast_to(params["bias"], x.shape)


class Scale(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(4))
        self.bias = torch.nn.Parameter(torch.randn(4))

    def forward(self, x):
        return x * self.weight[:, None, None] + self.bias[:, None, None]


def test_channels_may_be_last():
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 2, bias=False), Scale())
    for isolate in (False, True):
        for size in (5, 7):  # of a map whose sides are as many as there are channels, and of another
            answer = layers(pair(module, images), (normal(2, 3, size, size),), isolate=isolate)
            assert answer.ok, answer.problems
        assert "eval.float32.1.out.0" in {leaf.name for leaf in answer.leaves}


def test_what_the_jax_side_does_not_tell_is_named():
    hidden = lambda params, ids: outer({k: jax.tree.map(lambda x: x + 0, v) for k, v in params.items()}, ids)  # noqa: E731
    answer = layers(pair(model(), hidden), IDS)
    assert answer.ok
    assert answer.notes == ("the JAX side does not tell 5 modules: table, block.fc, block.norm, block, head",)


@jax.jit
def jitted(params, x):
    return F.linear(x, **params)


def test_compiled_functions_are_told():
    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2))
    port = jax.jit(lambda params, x: jitted(params["1"], jitted(params["0"], x)))
    answer = layers(pair(module, port), INPUT)
    assert answer.ok
    assert answer.notes == ()


def test_globals_are_as_before():
    before = dict(globals())
    layers(pair(model(), outer), IDS)
    assert all(globals()[name] is value for name, value in before.items())
    assert isinstance(nn.Linear(2, 2).apply, type(outer))
