"""The questions about a pair of models: yes to ports that are right, and no to every fault that was put into one."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import fnlearn.functional as F
from fnlearn import nn, tree
from fnlearn.equivalence import Inputs, Pair, backward, check, first, forward, layers, load, pair, record, setup


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


class Perceptron(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(5, 7), torch.nn.Linear(7, 5)

    def forward(self, x):
        return x + self.second(torch.nn.functional.gelu(self.first(x)))


def perceptron(params, x):
    return x + F.linear(F.gelu(F.linear(x, **params["first"])), **params["second"])


class Reader(torch.nn.Module):
    """Integers in, a dict out, by name."""

    def __init__(self):
        super().__init__()
        self.table, self.rnn = torch.nn.Embedding(11, 4), torch.nn.LSTM(4, 3, batch_first=True)

    def forward(self, ids, scale=1.0):
        out, (h, c) = self.rnn(self.table(ids) * scale)
        return {"out": out, "state": (h, c), "nothing": None}


GATES = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")


def reader(params, ids, scale=1.0):
    x = F.embedding(ids, params["table"]["weight"]) * scale
    zeros = jnp.zeros((1, len(ids), 3), x.dtype)
    out, h, c = F.lstm(x, (zeros, zeros), [params["rnn"][name] for name in GATES], True, 1, 0.0, False, False, True)
    return {"out": out, "state": (h, c)}


IMAGES = (normal(4, 3, 5, 5),)


def images(of):
    return of.Sequential(of.Conv2d(3, 4, 3), of.BatchNorm2d(4), of.ReLU(), of.Flatten(), of.Linear(36, 2))


def encoder(of):
    return of.TransformerEncoderLayer(4, 2, 8, 0.0, batch_first=True)


def transposed(params):
    """The names of a tree whose kernels are (in, out)."""
    return {
        f"{layer}.{name}": value.T if name == "weight" else value
        for layer, parts in (("first", params["a"]), ("second", params["b"]))
        for name, value in (("weight", parts["kernel"]), ("bias", parts["bias"]))
    }


def with_kernels(params, x):
    dense = lambda p, x: x @ p["kernel"] + jnp.broadcast_to(p["bias"], (len(x), p["bias"].size))  # noqa: E731
    return x + dense(params["b"], F.gelu(dense(params["a"], x)))


def other_tree():
    module = Perceptron()
    own = {name: tree.as_numpy(p) for name, p in module.named_parameters()}
    parts = {
        short: {"kernel": own[f"{name}.weight"].T, "bias": own[f"{name}.bias"]}
        for short, name in zip("ab", ("first", "second"), strict=True)
    }
    return pair(module, with_kernels, parts, names=transposed)


PAIRS: dict[str, Any] = {
    "function": (lambda: pair(Perceptron(), perceptron), (normal(3, 5),)),
    "other tree": (other_tree, (normal(3, 5),)),
    "dict of arguments and outputs": (
        lambda: pair(Reader(), reader),
        {"ids": np.array([[1, 2, 3], [4, 0, 10]]), "scale": np.array(2.0)},
    ),
    "layer with buffers": (lambda: pair(images(torch.nn), images(nn)), IMAGES),
    "transformer": (lambda: pair(encoder(torch.nn), encoder(nn)), (normal(2, 3, 4),)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_port_that_is_right_passes(name):
    torch.manual_seed(0)
    build, inputs = PAIRS[name]
    both = build()
    assert setup(both).ok, setup(both).problems
    for answer in (forward(both, inputs), backward(both, inputs)):
        assert answer.ok, (answer.problems, answer.wrong)
        assert {leaf.dtype for leaf in answer.leaves} - {"int32", "int64"} == {"float32", "float64"}
        assert not answer.notes


class Scored(torch.nn.Module):
    """Reads and picks by integers, and gives integers back."""

    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(11, 4)

    def forward(self, ids, classes):
        logits = self.table(ids)
        picked = logits.gather(1, classes[:, None])
        return torch.nn.functional.cross_entropy(logits, classes), picked, logits.argmax(1) * ids


def scored(params, ids, classes):
    logits = F.embedding(ids, **params["table"])
    picked = jnp.take_along_axis(logits, classes[:, None], 1)
    return F.cross_entropy(logits, classes), picked, logits.argmax(1).astype(ids.dtype) * ids


@pytest.mark.parametrize(
    "kind", [jnp.asarray, lambda x: x.astype("int32"), torch.from_numpy], ids=["jax", "numpy", "torch"]
)
def test_integers_of_jax_are_torchs(kind):
    """int32 there is int64 here: torch neither gathers by int32 nor takes it as classes."""
    both, inputs = pair(Scored(), scored), (kind(np.array([1, 10, 0])), kind(np.array([0, 3, 1])))
    for answer in (forward(both, inputs), backward(both, inputs), layers(both, inputs)):
        assert answer.ok, (answer.problems, answer.wrong)


def test_a_tensor_of_32_bits_stays_one():
    """What a module does beyond 2 ** 31 is compared bit by bit."""

    class Hashed(torch.nn.Module):
        def forward(self, x):
            assert x.dtype == torch.int32
            return x * 1_000_003 * 1_000_003

    answer = forward(pair(Hashed(), lambda params, x: x * 1_000_003 * 1_000_003), (torch.arange(5, dtype=torch.int32),))
    assert answer.ok, answer.wrong
    assert {leaf.verdict for leaf in answer.leaves} == {"equal"}


def test_leaves_say_where_they_belong():
    both = pair(images(torch.nn), images(nn))
    names = {leaf.name for leaf in forward(both, [IMAGES, IMAGES], modes=["train"]).leaves}
    assert {"train.float32[0].out", "train.float64[1].buffers.1.running_mean"} <= names
    (x, *params) = [leaf.name for leaf in backward(both, IMAGES, modes=["eval"]).leaves if "float32" in leaf.name]
    assert x == "eval.float32.grad.input.0"
    assert {name.removeprefix("eval.float32.grad.params.") for name in params} == set(
        dict(both.module.named_parameters())
    )


def test_narrow_dtypes_and_losses():
    both = pair(Perceptron(), perceptron)
    losses = (lambda out: (out**2).mean(), lambda out: (out**2).mean())
    for dtype in ("bfloat16", "float16"):
        answer = backward(both, (normal(3, 5),), losses=losses, dtypes=[dtype], modes=["eval"])
        assert answer.ok, answer.wrong
        assert {leaf.dtype for leaf in answer.leaves} == {dtype, "float64"}
    wrong = backward(both, (normal(3, 5),), losses=(losses[0], lambda out: (out**2).sum()), modes=["eval"])
    assert len(wrong.wrong) == len(wrong.leaves)


def changed(both: Pair, fn) -> Pair:
    return both._replace(apply=pair(both.module, fn).apply)


def perceptron_with(activation=F.gelu, residual=lambda x: x):
    def fn(params, x):
        first, second = params["first"], params["second"]
        return residual(x) + F.linear(activation(F.linear(x, **first)), **second)

    return fn


def images_with(conv=None, norm=None, slope=None):
    return nn.Sequential(
        conv or nn.Conv2d(3, 4, 3),
        norm or nn.BatchNorm2d(4),
        nn.ReLU() if slope is None else nn.LeakyReLU(slope),
        nn.Flatten(),
        nn.Linear(36, 2),
    )


def reader_with(order):
    def fn(params, ids, scale=1.0):
        mixed = {name: jnp.concatenate([jnp.split(p, 4)[i] for i in order]) for name, p in params["rnn"].items()}
        return reader({**params, "rnn": mixed}, ids, scale)

    return fn


def stopped(params, x):
    return perceptron({**params, "first": jax.lax.stop_gradient(params["first"])}, x)


BOTH = {"forward", "backward"}
FAULTS: dict[str, Any] = {  # of which pair, put where, and which questions must say no
    "tanh form of gelu": ("function", perceptron_with(lambda x: F.gelu(x, "tanh")), BOTH),
    "relu": ("function", perceptron_with(F.relu), BOTH),
    "no residual": ("function", perceptron_with(residual=jnp.zeros_like), BOTH),
    "residual twice": ("function", perceptron_with(residual=lambda x: 2 * x), BOTH),
    "no gradient through the residual": ("function", perceptron_with(residual=jax.lax.stop_gradient), {"backward"}),
    "no gradient of a layer": ("function", stopped, {"backward"}),
    "rounded to bfloat16 inside": (
        "function",
        perceptron_with(lambda x: F.gelu(x.astype(jnp.bfloat16)).astype(x.dtype)),
        BOTH,
    ),
    "float32 in a float64 model": (
        "function",
        perceptron_with(lambda x: F.gelu(x.astype(jnp.float32)).astype(x.dtype)),
        BOTH,
    ),
    "eps": ("layer with buffers", images_with(norm=nn.BatchNorm2d(4, eps=1e-3)), BOTH),
    "momentum": ("layer with buffers", images_with(norm=nn.BatchNorm2d(4, momentum=0.01)), {"forward"}),
    "no statistics of the batch": (
        "layer with buffers",
        images_with(norm=nn.BatchNorm2d(4, momentum=0.0)),
        {"forward"},
    ),
    "leaky": ("layer with buffers", images_with(slope=0.01), BOTH),
    "gates in another order": ("dict of arguments and outputs", reader_with((1, 0, 2, 3)), BOTH),
    "gates i f o g": ("dict of arguments and outputs", reader_with((0, 1, 3, 2)), BOTH),
    "an output left out": (
        "dict of arguments and outputs",
        lambda p, **named: {"out": reader(p, **named)["out"]},
        BOTH,
    ),
    "norm first": (
        "transformer",
        nn.TransformerEncoderLayer(4, 2, 8, 0.0, batch_first=True, norm_first=True),
        BOTH,
    ),
    "one head": ("transformer", nn.TransformerEncoderLayer(4, 1, 8, 0.0, batch_first=True), BOTH),
    "sequence first": ("transformer", nn.TransformerEncoderLayer(4, 2, 8, 0.0), BOTH),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found(name):
    of, fn, questions = FAULTS[name]
    torch.manual_seed(0)
    build, inputs = PAIRS[of]
    both = changed(build(), fn)
    answers = [ask(both, inputs, modes=["train"], dtypes=["float64"]) for ask in (forward, backward)]
    assert {answer.question for answer in answers if not answer.ok} == questions


def poisoned(name, value):
    both = pair(images(torch.nn), images(nn))
    flat = tree.flatten(both.params)
    return both._replace(params=tree.unflatten({**{k: v for k, v in flat.items() if k != name}, **value}))


@pytest.mark.parametrize(
    ("both", "problem"),
    [
        (lambda: poisoned("4.bias", {}), "parameter missing on the JAX side: 4.bias"),
        (lambda: poisoned("", {"5.bias": np.zeros(2)}), "parameter unexpected on the JAX side: 5.bias"),
        (lambda: poisoned("4.bias", {"4.bias": np.zeros(3, "float32")}), "4.bias: shapes differ, PyTorch (2,)"),
        (lambda: poisoned("4.bias", {"4.bias": np.zeros(2, "float32")}), "4.bias: not the same numbers, by up to"),
        (lambda: poisoned("4.bias", {"4.bias": np.zeros(2, "float16")}), "4.bias: dtypes differ, PyTorch float32"),
        (lambda: pair(images(torch.nn), images(nn), buffers={}), "buffer missing on the JAX side: 1.running_mean"),
        (lambda: pair(torch.nn.Linear(2, 2).double(), nn.Linear(2, 2)), "the module is float64, but JAX's x64 is off"),
    ],
)  # fmt: skip
def test_setup_names_what_is_wrong(both, problem):
    answer = setup(both())
    assert not answer.ok
    assert any(found.startswith(problem) for found in answer.problems), answer.problems


def test_nothing_else_is_asked_of_what_does_not_fit():
    for both in (poisoned("4.bias", {}), poisoned("4.bias", {"4.bias": np.zeros(3, "float32")})):
        (answer,) = check(both, IMAGES)
        assert first([answer]) == f"setup: {answer.problems[0]}"


def test_setup_knows_modes_precision_data_and_dropout():
    module = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(2, 2))
    both = pair(module, nn.Sequential(nn.Dropout(0.5), nn.Linear(2, 2)))
    assert setup(both).notes == ("0 drops numbers in training, p = 0.5",)
    assert setup(both).ok
    module[0].eval()
    with jax.default_matmul_precision("bfloat16"):
        answer = setup(both, data=([np.ones(2)], [np.zeros(2)]))
    assert any("in training, but parts of it are not: 0" in p for p in answer.problems)
    assert any("jax_default_matmul_precision is bfloat16" in p for p in answer.problems)
    assert any("data.0: differs, by up to 1" in p for p in answer.problems)
    torch.set_float32_matmul_precision("medium")
    try:
        assert any("torch.get_float32_matmul_precision() is medium" in p for p in setup(both).problems)
    finally:
        torch.set_float32_matmul_precision("highest")


def test_the_module_is_left_as_it_was():
    module = images(torch.nn)
    before = {name: x.clone() for name, x in module.state_dict().items()}
    backward(pair(module, images(nn)), IMAGES)
    assert module.training
    assert all(p.grad is None for p in module.parameters())
    assert all(torch.equal(x, before[name]) for name, x in module.state_dict().items())


def test_frozen_parameters_have_no_gradient_to_compare():
    module = Perceptron()
    module.first.weight.requires_grad_(False)
    names = {leaf.name for leaf in backward(pair(module, perceptron), (normal(3, 5),), modes=["eval"]).leaves}
    assert not any("first.weight" in name for name in names)
    assert any("first.bias" in name for name in names)


def test_both_kinds_of_arguments():
    both = pair(Reader(), reader)
    answer = forward(both, Inputs((np.array([[1, 2, 3]]),), {"scale": np.array(2.0)}))
    assert answer.ok, answer.wrong


class Weighted(torch.nn.Module):
    """Torch refuses to differentiate statistics."""

    def forward(self, x, mean):
        return torch.nn.functional.batch_norm(x, mean, torch.ones(3, dtype=x.dtype))


def test_inputs_that_are_constant():
    port = lambda params, x, mean: F.batch_norm(x, mean, jnp.ones(3, x.dtype))  # noqa: E731
    both, inputs = pair(Weighted(), port), (normal(4, 3), normal(3, seed=1))
    with pytest.raises(RuntimeError):
        backward(both, inputs, modes=["eval"])
    answer = backward(both, inputs, modes=["eval"], constant=["1"])
    assert answer.ok, (answer.problems, answer.wrong)
    assert {leaf.name for leaf in answer.leaves} == {f"eval.{dtype}.grad.input.0" for dtype in ("float32", "float64")}


def one_by_one(params, x):
    """A layer whose sum is made in another order than torch's."""
    terms = (x * params["0"]["weight"])[0]
    return F.relu(functools.reduce(jnp.add, [terms[i] for i in range(len(terms))]).reshape(1, 1))


def near_a_kink():
    """A layer and an input whose sum is zero but for rounding: on one side for torch, on the other here."""
    for seed in range(200):
        linear = torch.nn.Linear(64, 1, bias=False)
        module, x = torch.nn.Sequential(linear, torch.nn.ReLU()), normal(1, 64, seed=seed).astype("float32")
        weight = normal(64, seed=seed + 1000).astype("float32")
        weight[-1] -= np.float32(np.dot(weight.astype("float64"), x[0].astype("float64")) / x[0, -1])
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight[None]))
            theirs = module(torch.from_numpy(x)).item() > 0
        exact = np.dot(weight.astype("float64"), x[0].astype("float64")) > 0
        mine = one_by_one({"0": {"weight": weight[None]}}, jnp.asarray(x)).item() > 0
        if theirs == exact != mine:
            return module, x
    raise AssertionError("no such input found")


def test_a_number_on_the_other_side_of_a_kink_is_no_fault():
    """Which side it falls on is a matter of its last bit: torch itself, rounded otherwise, is as far off."""
    module, x = near_a_kink()
    assert backward(pair(module, one_by_one), (x,), modes=["eval"]).ok
    assert not backward(pair(module, lambda params, x: 3 * one_by_one(params, x)), (x,), modes=["eval"]).ok


def test_errors():
    both = pair(Perceptron(), perceptron)
    with pytest.raises(ValueError, match=r"modes must be of \('eval', 'train'\), got \['test'\]"):
        forward(both, (normal(3, 5),), modes=["test"])
    with pytest.raises(TypeError, match="fn must be a Layer or a function"):
        pair(Perceptron(), None)  # type: ignore[arg-type]


class Scaled(torch.nn.Module):
    """A part that is computed in float32 in any dtype."""

    def __init__(self):
        super().__init__()
        self.project = torch.nn.Linear(5, 4)

    def forward(self, x):
        wide = x.float()
        return self.project((wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)).to(x.dtype))


def scaled(eps, params, x):
    wide = x.astype(jnp.float32)
    scale = jax.lax.rsqrt((wide * wide).mean(-1, keepdims=True) + jnp.float32(eps))
    return F.linear((wide * scale).astype(x.dtype), **params["project"])


@pytest.mark.parametrize("kept", [False, True])
def test_float32_inside_is_a_yardstick_of_float64(kept, tmp_path):
    torch.manual_seed(0)
    module, x = Scaled(), (normal(6, 5),)
    side: Any = module
    if kept:
        record(tmp_path / "scaled.safetensors", module, x)
        side = load(tmp_path / "scaled.safetensors")
    right, wrong = (pair(side, functools.partial(scaled, eps)) for eps in (1e-6, 1e-4))
    for ask in (forward, backward):
        answer = ask(right, x)
        assert answer.ok, answer
        assert "yardstick" in {leaf.verdict for leaf in answer.leaves if leaf.dtype == "float64"}
        assert any(leaf.dtype == "float64" for leaf in ask(wrong, x).wrong)
