"""Models that draw in training: both sides are given the same numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import fnlearn.functional as F
from fnlearn import nn, optim
from fnlearn.equivalence import backward, forward, pair, training


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def dropping(of, drop="Dropout", p=0.5):
    return of.Sequential(of.Linear(6, 8), getattr(of, drop)(p), of.Linear(8, 3), of.Dropout(0.1))


X = (normal(5, 6),)


def test_masks_are_the_same_on_both_sides():
    both = pair(dropping(torch.nn), dropping(nn))
    for answer in (forward(both, X, dtypes=["float32", "bfloat16"]), backward(both, X)):
        assert answer.ok, (answer.problems, answer.wrong)
        assert not answer.notes
        assert any(leaf.name.startswith("train.float64") for leaf in answer.leaves)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda of: of.Dropout2d(0.4), (3, 4, 2, 2)),
        (lambda of: of.Dropout3d(0.4), (3, 4, 2, 2, 2)),
        (lambda of: of.AlphaDropout(0.4), (3, 4)),
        (lambda of: of.FeatureAlphaDropout(0.4), (3, 4, 2)),
        (lambda of: of.TransformerEncoderLayer(4, 2, 8, 0.2, batch_first=True), (2, 5, 4)),
        (lambda of: of.LSTM(4, 3, 2, dropout=0.3, batch_first=True), (2, 5, 4)),
    ],
)
def test_every_kind_of_dropout(make, shape):
    answer = forward(pair(make(torch.nn), make(nn)), (normal(*shape),), modes=["train"])
    assert answer.ok, (answer.problems, answer.wrong)
    assert answer.leaves


class Sampled(torch.nn.Module):
    """As a variational autoencoder draws; and noise that is not from zero to one."""

    def __init__(self):
        super().__init__()
        self.mean, self.log_std = torch.nn.Linear(6, 4), torch.nn.Linear(6, 4)

    def forward(self, x):
        std = self.log_std(x).exp()
        return self.mean(x) + std * torch.randn_like(std) + torch.empty_like(std).uniform_(-2, 3)


def sampled(params, x, key):
    std = jnp.exp(F.linear(x, **params["log_std"]))
    noise = jax.random.normal(key, std.shape, std.dtype)
    return F.linear(x, **params["mean"]) + std * noise + jax.random.uniform(key, std.shape, std.dtype, -2, 3)


def test_normal_and_uniform_numbers_are_given_too():
    answer = forward(pair(Sampled(), sampled), X, modes=["train"])
    assert answer.ok, (answer.problems, answer.wrong)
    wider = lambda params, x, key: sampled(params, x, key) + jax.random.uniform(key, (5, 4), x.dtype)  # noqa: E731
    answer = forward(pair(Sampled(), wider), X, modes=["train"])
    assert answer.problems == ("train: JAX draws uniform numbers 3 times, PyTorch draws 2 times",)


UNLIKE = {
    "probability": (
        lambda: dropping(nn, p=0.6),
        "train: draw 1: PyTorch keeps with a probability of 0.5, JAX of 0.4",
    ),
    "left out": (
        lambda: nn.Sequential(nn.Linear(6, 8), nn.Identity(), nn.Linear(8, 3), nn.Identity()),
        "train: JAX draws 0 times",
    ),
    "one left out": (
        lambda: nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 3), nn.Identity()),
        "train: JAX draws 1 times where PyTorch draws 2 times",
    ),
    "other shape": (
        lambda: dropping(nn, "Dropout1d"),
        "train: draw 1: PyTorch draws bernoulli numbers of shape (5, 8)",
    ),
}


@pytest.mark.parametrize("name", UNLIKE)
def test_sides_that_draw_unlike(name):
    make, problem = UNLIKE[name]
    answer = forward(pair(dropping(torch.nn), make()), X, modes=["train"])
    assert not answer.ok
    assert answer.problems[0].startswith(problem), answer.problems


def test_masks_without_scaling_are_found():
    unscaled = lambda params, x, train, key: F.linear(  # noqa: E731
        jnp.where(jax.random.bernoulli(key, 0.5, (5, 8)) | (not train), F.linear(x, **params["0"]), 0), **params["2"]
    )
    module = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 3))
    answer = forward(pair(module, unscaled), X)
    assert {leaf.name for leaf in answer.wrong} == {"train.float32.out", "train.float64.out"}
    assert not answer.problems


def test_one_mask_for_all_examples_is_found():
    module = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(6, 3))
    each = lambda params, x, train, key: F.linear(F.dropout(x, 0.5, train, key=key), **params["1"])  # noqa: E731
    same = lambda params, x, train, key: jax.vmap(lambda x: each(params, x, train, key))(x)  # noqa: E731
    answer = forward(pair(module, same), X, modes=["train"])
    assert answer.problems[0] == "train: draw 1: PyTorch draws bernoulli numbers of shape (5, 6), JAX of (6,)"


def test_training_that_drops_is_compared():
    make = lambda params: torch.optim.Adam(params, 0.01)  # noqa: E731
    losses = (torch.nn.functional.cross_entropy, F.cross_entropy)
    data = [((normal(5, 6, seed=i),), np.arange(5) % 3) for i in range(4)]
    torch.manual_seed(0)
    both = pair(dropping(torch.nn), dropping(nn))
    assert training(both, make, optim.adam(0.01), data, losses).ok
    other = both._replace(apply=pair(both.module, dropping(nn, p=0.4)).apply)
    answer = training(other, make, optim.adam(0.01), data, losses)
    assert answer.problems[0] == "draw 1: PyTorch keeps with a probability of 0.5, JAX of 0.6"


def test_other_draws_are_left_out_and_said_so():
    module = torch.nn.Sequential(torch.nn.RReLU(), torch.nn.Linear(6, 2))
    both = pair(module, nn.Sequential(nn.RReLU(), nn.Linear(6, 2)))
    answer = forward(both, X)
    assert answer.ok
    assert answer.notes == ("train: not compared, the module draws numbers there that can't be given to both sides",)
    assert {leaf.name.split(".")[0] for leaf in answer.leaves} == {"eval"}
    data = [(X, np.zeros((5, 2)))]
    answer = training(both, torch.optim.Adam, optim.adam(), data, (torch.nn.functional.mse_loss, F.mse_loss))
    assert "draws numbers in training that can't be given to both sides" in answer.problems[0]


def test_jax_random_is_itself_again():
    before = jax.random.bernoulli, jax.random.uniform, jax.random.normal
    forward(pair(dropping(torch.nn), dropping(nn)), X, modes=["train"])
    assert (jax.random.bernoulli, jax.random.uniform, jax.random.normal) == before
