"""The same models in equinox, as people write them: for one sample, mapped over the batch, with optax."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from benchmarks.harness import Run
from benchmarks.train.models import LR, MOMENTUM, Row, batch, weights


class Mlp(eqx.Module):
    """Two hidden layers."""

    layers: list[eqx.nn.Linear]

    def __init__(self, inputs: int, width: int, classes: int, key: jax.Array):
        sizes = (inputs, width), (width, width), (width, classes)
        self.layers = [eqx.nn.Linear(*size, key=key) for size in sizes]

    def __call__(self, x: Any) -> Any:
        """Classes of a row."""
        for layer in self.layers[:-1]:
            x = jax.nn.relu(layer(x))
        return self.layers[-1](x)


class Conv(eqx.Module):
    """Three convolutions, and one layer."""

    layers: list[eqx.nn.Conv2d]
    pool: eqx.nn.MaxPool2d
    head: eqx.nn.Linear

    def __init__(self, width: int, classes: int, key: jax.Array):
        sizes = (3, width), (width, 2 * width), (2 * width, 2 * width)
        self.layers = [eqx.nn.Conv2d(*size, 3, padding=1, key=key) for size in sizes]
        self.pool = eqx.nn.MaxPool2d(2, 2)
        self.head = eqx.nn.Linear(2 * width * 4 * 4, classes, key=key)

    def __call__(self, x: Any) -> Any:
        """Classes of a picture."""
        for layer in self.layers:
            x = self.pool(jax.nn.relu(layer(x)))
        return self.head(x.reshape(-1))


class Block(eqx.Module):
    """Attention and two layers."""

    ln1: eqx.nn.LayerNorm
    ln2: eqx.nn.LayerNorm
    qkv: eqx.nn.Linear
    out: eqx.nn.Linear
    up: eqx.nn.Linear
    down: eqx.nn.Linear
    heads: int = eqx.field(static=True)

    def __init__(self, width: int, heads: int, key: jax.Array):
        self.heads = heads
        self.ln1, self.ln2 = eqx.nn.LayerNorm(width), eqx.nn.LayerNorm(width)
        self.qkv, self.out = eqx.nn.Linear(width, 3 * width, key=key), eqx.nn.Linear(width, width, key=key)
        self.up, self.down = eqx.nn.Linear(width, 4 * width, key=key), eqx.nn.Linear(4 * width, width, key=key)

    def __call__(self, x: Any) -> Any:
        """What came in and what is added, for one sequence."""
        t, width = x.shape
        q, k, v = jnp.moveaxis(jax.vmap(self.qkv)(jax.vmap(self.ln1)(x)).reshape(t, 3, self.heads, -1), 1, 0)
        x = x + jax.vmap(self.out)(jax.nn.dot_product_attention(q, k, v, is_causal=True).reshape(t, width))
        wide = jax.nn.gelu(jax.vmap(self.up)(jax.vmap(self.ln2)(x)), approximate=False)
        return x + jax.vmap(self.down)(wide)


class Gpt(eqx.Module):
    """A decoder."""

    position: jax.Array
    embed: eqx.nn.Embedding
    blocks: list[Block]
    norm: eqx.nn.LayerNorm
    head: eqx.nn.Linear

    def __init__(self, layers: int, width: int, heads: int, words: int, steps: int, key: jax.Array):
        self.position = jnp.zeros((1, steps, width))
        self.embed = eqx.nn.Embedding(words, width, key=key)
        self.blocks = [Block(width, heads, key) for _ in range(layers)]
        self.norm = eqx.nn.LayerNorm(width)
        self.head = eqx.nn.Linear(width, words, use_bias=False, key=key)

    def __call__(self, ids: Any) -> Any:
        """The next word at each place of a text."""
        x = jax.vmap(self.embed)(ids) + self.position[0]
        for block in self.blocks:
            x = block(x)
        return jax.vmap(self.head)(jax.vmap(self.norm)(x))


KINDS = {"mlp": Mlp, "conv": Conv, "gpt": Gpt}
LISTS = {"mlp": {"layers.0": "0", "layers.1": "2", "layers.2": "4"},
         "conv": {"layers.0": "0", "layers.1": "3", "layers.2": "6", "head": "10"}, "gpt": {}}  # fmt: skip


def model(row: Row) -> Any:
    """With the numbers that all begin with."""
    numbers = weights(row)
    names = LISTS[row.kind]

    def number(path: Any, x: Any) -> Any:
        if not eqx.is_array(x):
            return x
        place, _, last = jax.tree_util.keystr(path, simple=True, separator=".").rpartition(".")
        found = numbers[".".join(filter(None, (names.get(place, place), last)))]
        return jnp.asarray(found).reshape(x.shape)

    return jax.tree_util.tree_map_with_path(number, KINDS[row.kind](**row.size, key=jax.random.key(0)))


def step(row: Row) -> Run:
    x, target = map(jnp.asarray, batch(row))
    optimizer, first = optax.sgd(LR, MOMENTUM), model(row)

    def loss_of(model: Any) -> jax.Array:
        out = jax.vmap(model)(x)
        return optax.softmax_cross_entropy_with_integer_labels(out.reshape(-1, out.shape[-1]), target).mean()

    @eqx.filter_jit
    def update(model: Any, state: Any) -> Any:
        loss, grads = eqx.filter_value_and_grad(loss_of)(model)
        updates, state = optimizer.update(grads, state, model)
        return eqx.apply_updates(model, updates), state, loss

    def run(steps: int) -> jax.Array:
        made, losses = first, []
        state = optimizer.init(eqx.filter(made, eqx.is_array))
        for _ in range(steps):
            made, state, loss = update(made, state)
            losses.append(loss)
        return jnp.stack(losses)

    return run
