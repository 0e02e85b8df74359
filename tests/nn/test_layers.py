"""Every layer against torch.nn: parameters' names, shapes and distributions, outputs and gradients."""

import inspect
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fnlearn import nn, tree
from fnlearn.equivalence import assert_equivalent
from tests.layers import LAYERS
from tests.reference import jax_layer, precision, torch_layer

# no layers, layers made of layers, and layers that start from an input or draw in evaluation: they have other tests
SPECIAL = {"Buffer", "Layer", "LinearCrossEntropyOptions", "NLLLoss2d", "Parameter", "Sequential", "Transformer"}
SPECIAL |= {"TransformerDecoder", "TransformerEncoder", "compose", "init", "spectral_norm", "weight_norm"}
SPECIAL |= {"FractionalMaxPool2d", "FractionalMaxPool3d"} | {name for name in nn.__all__ if name.startswith("Lazy")}
# torch writes these as (*args, **kwargs) or defaults to a function of its own
UNTOLD = {"GRU", "LSTM", "RNN", "Softmax2d", "TransformerDecoderLayer", "TransformerEncoderLayer"}


@pytest.mark.filterwarnings("ignore:LSTM with projections")  # torch says so once: they are slow there
@pytest.mark.parametrize("train", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", LAYERS, ids=str)
def test_outputs_gradients_and_buffers(case, dtype, train):
    """Of the inputs and of every parameter, from torch's own weights; and the buffers afterwards."""
    if train and case.random:
        return  # two streams of random numbers; the functions' own tests hold their distributions
    torch.manual_seed(0)
    module = getattr(torch.nn, case.name)(*case.args, **case.kwargs).train(train)
    with precision(dtype):
        layer = getattr(nn, case.name)(*case.args, **case.kwargs)
        mine = jax_layer(layer, module, case.inputs, dtype, train)
        theirs = torch_layer(module, case.inputs, dtype)
        assert_equivalent(theirs, mine, torch_layer(module, case.inputs, "float64", seen=dtype))


@pytest.mark.parametrize("case", LAYERS, ids=str)
def test_init_has_torchs_names_shapes_and_dtypes(case):
    """Parameters first, as torch's `named_parameters` orders them, and buffers as `named_buffers` does."""
    params, buffers = getattr(nn, case.name)(*case.args, **case.kwargs).init(jax.random.key(0))
    module = getattr(torch.nn, case.name)(*case.args, **case.kwargs)
    saved = module.state_dict()
    kept = {name: b for name, b in module.named_buffers() if name in saved}
    for mine, theirs in ((tree.flatten(params), dict(module.named_parameters())), (tree.flatten(buffers), kept)):
        assert list(mine) == list(theirs)
        for name, value in theirs.items():
            assert mine[name].shape == tuple(value.shape), name
            assert str(mine[name].dtype) == str(value.dtype).removeprefix("torch.").replace("int64", "int32"), name


def test_every_layer_is_in_the_table():
    assert {case.name for case in LAYERS} | SPECIAL == set(nn.__all__)


@pytest.mark.parametrize("name", sorted({case.name for case in LAYERS} - UNTOLD))
def test_constructor_is_torchs(name):
    mine = inspect.signature(getattr(nn, name)).parameters.values()
    theirs = list(inspect.signature(getattr(torch.nn, name)).parameters.values())
    if name != "Identity":  # a layer without options inherits Module's *args and **kwargs, and refuses any
        theirs = [p for p in theirs if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    assert [(p.name, p.default) for p in mine] == [(p.name, p.default) for p in theirs]


@pytest.mark.parametrize("features", [(1, 1), (50, 40), (7, 300)])
def test_linear_starts_from_torchs_distribution(features):
    """U(−1/√in, 1/√in), for weight and bias, over many draws: bounds, mean and deviation as torch's own."""
    draw = jax.jit(jax.vmap(nn.Linear(*features).init))
    params, _ = draw(jax.random.split(jax.random.key(0), 200))
    torch.manual_seed(0)
    theirs = [torch.nn.Linear(*features) for _ in range(200)]
    bound = 1 / math.sqrt(features[0])
    for name in ("weight", "bias"):
        mine = np.asarray(params[name]).ravel()
        reference = torch.stack([getattr(layer, name).detach() for layer in theirs]).numpy().ravel()
        error = bound / math.sqrt(3 * mine.size)  # of the mean of a uniform distribution
        assert -bound <= mine.min() < -0.9 * bound
        assert 0.9 * bound < mine.max() <= bound
        assert abs(mine.mean() - reference.mean()) < 6 * error
        assert abs(mine.std() - reference.std()) < 6 * error


def test_names_decide_the_draw_and_not_the_order():
    both = nn.compose(lambda net, x: x, a=nn.Linear(2, 3), b=nn.Linear(2, 3))
    swapped = nn.compose(lambda net, x: x, b=nn.Linear(2, 3), a=nn.Linear(2, 3))
    one, other = both.init(jax.random.key(0))[0], swapped.init(jax.random.key(0))[0]
    np.testing.assert_array_equal(one["a"]["weight"], other["a"]["weight"])
    assert not np.array_equal(one["a"]["weight"], one["b"]["weight"])
    assert not np.array_equal(one["a"]["weight"].ravel()[:3], one["a"]["bias"])


def test_rrelu_draws_in_training_only():
    layer, x, key = nn.RReLU(), -jnp.ones(8), jax.random.key(0)
    train, _ = layer.apply({}, {}, x, train=True, key=key)
    assert len(set(np.asarray(train).tolist())) == 8
    evaluated, _ = layer.apply({}, {}, x, key=key)
    assert len(set(np.asarray(evaluated).tolist())) == 1


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: nn.Linear(-1, 2), "in_features=-1"),
        (lambda: nn.Hardtanh(1.0, 0.0), "min_val must be below max_val"),
        (lambda: nn.Linear(2, 1).apply(nn.Linear(3, 1).init(jax.random.key(0))[0], {}, jnp.ones(2)), "don't fit"),
    ],
)
def test_errors(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_empty_sizes_are_allowed_as_in_torch():
    params, _ = nn.Linear(0, 3).init(jax.random.key(0))
    assert params["weight"].shape == (3, 0)
    np.testing.assert_array_equal(params["bias"], 0)
