"""Recurrent networks against torch's, which `torch.nn.functional` doesn't have; their arguments are lists of arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import fnlearn.functional as F
from fnlearn.equivalence import assert_equivalent
from tests.reference import precision

LENGTHS = [3, 5, 1]
KINDS = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn_tanh": torch.nn.RNN, "rnn_relu": torch.nn.RNN}
OPTIONS = [
    {},
    {"num_layers": 2, "bidirectional": True, "batch_first": True},
    {"bias": False, "bidirectional": True},
    {"proj_size": 2, "num_layers": 2, "bidirectional": True},
    {"proj_size": 2, "bias": False},
]


def module_of(name, options):
    torch.manual_seed(0)
    extra = {"nonlinearity": "relu"} if name == "rnn_relu" else {}
    return KINDS[name](3, 4, **options, **extra).double()


def start(module, name):
    cells = module.num_layers * (1 + module.bidirectional)
    sizes = (module.proj_size or 4, 4) if name == "lstm" else (4,)
    return [np.random.default_rng(i).standard_normal((cells, 3, size)) for i, size in enumerate(sizes)]


def torch_side(module, x, hx, lengths, dtype):
    module = module.to(getattr(torch, dtype))
    x, *hx = (torch.tensor(a, dtype=getattr(torch, dtype), requires_grad=True) for a in (x, *hx))
    given = tuple(hx) if len(hx) == 2 else hx[0]
    if lengths is None:
        out, h = module(x, given)
    else:
        first = module.batch_first
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor(lengths), first, enforce_sorted=False)
        out, h = module(packed, given)
        out, _ = torch.nn.utils.rnn.pad_packed_sequence(out, first, total_length=5)
    outs = [out, *(h if len(hx) == 2 else (h,))]
    leaves = [x, *hx, *module.parameters()]
    return {"out": [o.detach() for o in outs], "grad": list(torch.autograd.grad(outs, leaves, [o.cos() for o in outs]))}


def jax_side(name, module, x, hx, lengths, dtype, options):
    params = [jnp.asarray(p.detach().numpy(), dtype) for p in module.parameters()]
    x, hx = jnp.asarray(x, dtype), [jnp.asarray(h, dtype) for h in hx]
    fixed = (module.bias, module.num_layers, 0.0, False, module.bidirectional, module.batch_first)
    run = getattr(F, name)

    def call(x, hx, params):
        ends = None if lengths is None else jnp.asarray(lengths)
        return list(run(x, hx if name == "lstm" else hx[0], params, *fixed, lengths=ends))

    outs, pullback = jax.vjp(jax.jit(call), x, hx, params)
    return {"out": outs, "grad": jax.tree.leaves(pullback([jnp.cos(o) for o in outs]))}


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", list(KINDS))
def test_outputs_final_states_and_gradients(name, options, dtype, lengths):
    """Also packed sequences: what lies beyond a length is neither read nor given a gradient."""
    if "proj_size" in options and name != "lstm":
        return  # only the LSTM is projected
    module = module_of(name, options)
    x, hx = np.random.default_rng(9).standard_normal((5, 3, 3)), start(module, name)
    x = x.swapaxes(0, 1) if module.batch_first else x
    with precision(dtype):
        mine = jax_side(name, module, x, hx, lengths, dtype, options)
        wide = torch_side(module, x, hx, lengths, "float64")
        assert_equivalent(torch_side(module, x, hx, lengths, dtype), mine, wide)


CELLS = {"lstm_cell": 4, "gru_cell": 3, "rnn_tanh_cell": 1, "rnn_relu_cell": 1}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", list(CELLS))
def test_cells(name, bias):
    rng, rows = np.random.default_rng(0), 4 * CELLS[name]
    shapes = [(2, 3), (2, 4), (2, 4), (rows, 3), (rows, 4), (rows,), (rows,)]
    arrays = [rng.standard_normal(shape).astype("float32") for shape in shapes[: 7 if bias else 5]]
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]

    def call(fn, x, h, c, *weights):
        out = fn(x, (h, c) if name == "lstm_cell" else h, *weights)
        return list(out) if name == "lstm_cell" else [out]

    theirs = call(getattr(torch, name), *tensors)
    grads = torch.autograd.grad(theirs, tensors, [o.cos() for o in theirs], allow_unused=True, materialize_grads=True)
    mine, pullback = jax.vjp(lambda *a: call(getattr(F, name), *a), *map(jnp.asarray, arrays))
    pulled = pullback([jnp.cos(o) for o in mine])
    assert_equivalent({"out": [o.detach() for o in theirs], "grad": list(grads)}, {"out": mine, "grad": list(pulled)})


def network(**changes):
    """Arguments of a two-layer LSTM, in float32."""
    module = module_of("lstm", {"num_layers": 2}).float()
    params = [jnp.asarray(p.detach().numpy()) for p in module.parameters()]
    zeros = jnp.zeros((2, 3, 4))
    given = {"input": jnp.ones((5, 3, 3)), "hx": (zeros, zeros), "params": params, "has_biases": True, "num_layers": 2}
    rest = {"dropout": 0.0, "train": False, "bidirectional": False, "batch_first": False}
    return {**given, **rest, **changes}


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_narrow_numbers_are_computed_wide(dtype):
    narrow = jax.tree.map(lambda x: x.astype(dtype) if isinstance(x, jax.Array) else x, network())
    wide = jax.tree.map(lambda x: x.astype("float32") if isinstance(x, jax.Array) else x, narrow)
    for mine, expected in zip(F.lstm(**narrow), F.lstm(**wide), strict=True):
        assert mine.dtype == dtype
        np.testing.assert_array_equal(mine, expected.astype(dtype))


def test_vmap_is_a_loop():
    inputs = jnp.stack([jnp.ones((5, 3, 3)), jnp.full((5, 3, 3), 0.5)])
    run = lambda x: F.lstm(**network(input=x))[0]  # noqa: E731
    np.testing.assert_allclose(jax.vmap(run)(inputs), jnp.stack([run(x) for x in inputs]), rtol=1e-5, atol=1e-6)


def test_dropout_between_layers():
    """Drawn from the key, in training only, and not after the last layer; 1 leaves the second layer no input."""
    drawn = network(dropout=0.5, train=True)
    with pytest.raises(ValueError, match=r"pass key=jax\.random\.key"):
        F.lstm(**drawn)
    one, again, other = (F.lstm(**drawn, key=jax.random.key(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one[0], again[0])
    assert not np.array_equal(one[0], other[0])
    assert (np.asarray(one[0]) != 0).all()
    plain = F.lstm(**network())
    np.testing.assert_array_equal(F.lstm(**network(dropout=0.5))[0], plain[0])
    np.testing.assert_array_equal(one[1][0], plain[1][0])
    none = F.lstm(**network(dropout=1.0, train=True), key=jax.random.key(0))
    params = network()["params"][4:]
    silent = {"hx": tuple(h[:1] for h in network()["hx"]), "params": params, "num_layers": 1}
    np.testing.assert_allclose(none[0], F.lstm(**network(input=jnp.zeros((5, 3, 4)), **silent))[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"input": jnp.ones((5, 3))}, ValueError, "input must have shape"),
        ({"input": jnp.ones((5, 3, 7))}, ValueError, r"ih must have shape \(16, 7\)"),
        ({"input": jnp.ones((0, 3, 3))}, ValueError, "at least one step"),
        ({"input": jnp.ones((5, 3, 3), int)}, TypeError, "must be floating-point"),
        ({"input": jnp.ones((5, 3, 3), jnp.bfloat16)}, TypeError, "must share one dtype"),
        ({"hx": (jnp.zeros((2, 3, 4)),)}, ValueError, r"hx must be \(h, c\)"),
        ({"hx": (jnp.zeros((2, 3, 4)), jnp.zeros((2, 1, 4)))}, ValueError, "c must have shape"),
        ({"num_layers": 3}, ValueError, "params must be 4 arrays"),
        ({"dropout": 2.0}, ValueError, "dropout must be between 0 and 1"),
        ({"lengths": jnp.ones(3)}, ValueError, "lengths must be 3 integers"),
    ],
    ids=str,
)
def test_errors(changes, error, message):
    with pytest.raises(error, match=message):
        F.lstm(**network(**changes))


def test_errors_of_cells_and_projections():
    with pytest.raises(ValueError, match=r"w_ih must have shape \(4, 3\)"):
        F.rnn_tanh_cell(jnp.ones((2, 3)), jnp.ones((2, 4)), jnp.ones((4, 5)), jnp.ones((4, 4)))
    with pytest.raises(ValueError, match=r"input must have shape \(N, in\)"):
        F.gru_cell(jnp.ones((1, 2, 3)), jnp.ones((2, 4)), jnp.ones((12, 3)), jnp.ones((12, 4)))
    projected = [jnp.ones((12, 3)), jnp.ones((12, 2)), jnp.ones((2, 4))]
    with pytest.raises(ValueError, match="only lstm has one"):
        F.gru(jnp.ones((5, 1, 3)), jnp.ones((1, 1, 2)), projected, False, 1, 0.0, False, False, False)
