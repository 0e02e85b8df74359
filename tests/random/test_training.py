"""A script that trains in fnlearn from a seed has the losses of the torch script: weights, order and masks."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
import torch.nn.functional as TF
from torch.utils.data import DataLoader, TensorDataset

from fnlearn import functional as F
from fnlearn import nn, optim, random
from fnlearn.equivalence import assert_equivalent

EPOCHS, ROWS, BATCH = 3, 50, 8


def data():
    drawn = np.random.default_rng(0)
    return drawn.standard_normal((ROWS, 6)).astype("float32"), drawn.standard_normal((ROWS, 1)).astype("float32")


def torch_losses(seed):
    torch.manual_seed(seed)
    model = torch.nn.Sequential(
        torch.nn.Linear(6, 32),
        torch.nn.ReLU(),
        torch.nn.Dropout(0.3),
        torch.nn.Linear(32, 1),
        torch.nn.AlphaDropout(0.1),
    )
    optimizer, losses = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9), []
    loader = DataLoader(TensorDataset(*map(torch.from_numpy, data())), BATCH, shuffle=True)
    for _ in range(EPOCHS):
        for x, y in loader:
            loss = TF.mse_loss(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses, torch.get_rng_state().numpy()


def losses(seed, compiled):
    generator = random.TorchGenerator(seed)
    model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 1), nn.AlphaDropout(0.1))
    params, buffers = model.init(generator)
    tx = optim.sgd(0.05, momentum=0.9)

    def loss_fn(params, x, y):
        return F.mse_loss(model.apply(params, buffers, x, train=True, key=generator)[0], y)

    def step(params, state, x, y):
        loss, gradients = jax.value_and_grad(loss_fn)(params, x, y)
        updates, state = tx.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, loss

    step = jax.jit(step) if compiled else step
    (x, y), state, found = data(), tx.init(params), []
    for _ in range(EPOCHS):
        order = random.dataloader_order(generator, ROWS)
        for start in range(0, ROWS, BATCH):
            rows = order[start : start + BATCH]
            params, state, loss = step(params, state, jnp.asarray(x[rows]), jnp.asarray(y[rows]))
            found.append(float(loss))
    return found, generator.get_state()


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
def test_the_losses_of_a_torch_script(compiled):
    expected, state = torch_losses(7)
    found, after = losses(7, compiled)
    assert_equivalent(expected, found, rtol=1e-5)
    assert (after == state).all()


MASKED = [
    ("dropout", (3, 7), {"p": 0.3}),
    ("dropout1d", (2, 9, 4), {}),
    ("dropout1d", (9, 4), {}),
    ("dropout2d", (2, 9, 3, 4), {"p": 0.2}),
    ("dropout3d", (9, 2, 3, 4), {}),
    ("alpha_dropout", (40,), {"training": True}),
    ("feature_alpha_dropout", (4, 5, 2), {"training": True}),
    ("dropout", (3, 7), {"p": 1.0}),
    ("dropout", (3, 7), {"p": 0.0}),
    ("gumbel_softmax", (5, 4), {"hard": True}),
    ("gumbel_softmax", (5, 4), {}),
    ("fractional_max_pool2d", (2, 3, 9, 9), {"kernel_size": 2, "output_size": 4}),
    ("fractional_max_pool3d", (3, 9, 9, 9), {"kernel_size": 2, "output_size": 4}),
]


WIDE = ("fractional_max_pool2d", "fractional_max_pool3d")  # torch draws for them in float32 or float64 alone
DRAWN = [
    (*row, dtype) for row in MASKED for dtype in ("float32", "bfloat16") if dtype == "float32" or row[0] not in WIDE
]


@pytest.mark.parametrize(("name", "shape", "options", "dtype"), DRAWN, ids=str)
def test_functions_that_draw(name, shape, options, dtype):
    torch.manual_seed(1)
    generator, x = random.TorchGenerator(1), np.random.default_rng(0).standard_normal(shape).astype("float32")
    for _ in range(2):
        expected = getattr(TF, name)(torch.from_numpy(x).to(getattr(torch, dtype)), **options).float()
        found = getattr(F, name)(jnp.asarray(x, dtype), **options, key=generator).astype("float32")
        # in bfloat16 torch rounds each step of alpha_dropout, of which there are five
        assert_equivalent(expected, found, rtol=1e-6, atol=1e-6 if dtype == "float32" else 2**-6)
    assert (generator.get_state() == torch.get_rng_state().numpy()).all()


ATTENTION = [
    ("MultiheadAttention", (8, 2, 0.3), {}, 3),
    ("LSTM", (8, 8, 3), {"dropout": 0.4}, 1),
    ("GRU", (8, 8, 2), {"dropout": 0.4, "bidirectional": True}, 1),
    ("TransformerEncoderLayer", (8, 2, 16, 0.2), {}, 1),
    ("TransformerDecoderLayer", (8, 2, 16, 0.2), {"norm_first": True}, 2),
    ("Transformer", (8, 2, 2, 2, 16, 0.2), {}, 2),
    ("Transformer", (8, 2, 1, 1, 16, 0.2), {"batch_first": True}, 2),
    ("TransformerEncoderLayer", (8, 2, 16, 0.2), {"batch_first": True}, 1),
    ("TransformerDecoderLayer", (8, 2, 16, 0.2), {"batch_first": True, "norm_first": True}, 2),
    ("MultiheadAttention", (8, 2, 0.3), {"batch_first": True}, 3),
    ("LSTM", (8, 8, 3), {"dropout": 0.4, "batch_first": True}, 1),
    ("RNN", (8, 8, 3), {"dropout": 0.4, "batch_first": True, "bidirectional": True}, 1),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "args", "options", "inputs"), ATTENTION, ids=str)
def test_layers_that_draw_in_training(name, args, options, inputs):
    torch.manual_seed(1)
    module, generator = getattr(torch.nn, name)(*args, **options), random.TorchGenerator(1)
    layer = getattr(nn, name)(*args, **options)
    params, buffers = layer.init(generator)
    x = [np.random.default_rng(i).standard_normal((5, 3, 8)).astype("float32") for i in range(inputs)]
    expected = jax.tree.leaves(module.train()(*map(torch.from_numpy, x)))[0]
    found = jax.tree.leaves(layer.apply(params, buffers, *map(jnp.asarray, x), train=True, key=generator)[0])[0]
    assert_equivalent(expected, found, rtol=1e-4, atol=1e-5)
    assert (generator.get_state() == torch.get_rng_state().numpy()).all()
