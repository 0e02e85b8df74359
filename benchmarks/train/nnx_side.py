"""The same models in flax nnx, as people write them, with optax."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from benchmarks.harness import Run
from benchmarks.train.models import LR, MOMENTUM, Row, batch, weights

FORMS = ("split once", "nnx.jit")


class Mlp(nnx.Module):
    """Two hidden layers."""

    def __init__(self, inputs: int, width: int, classes: int, rngs: nnx.Rngs):
        sizes = (inputs, width), (width, width), (width, classes)
        self.layers = nnx.List([nnx.Linear(*size, rngs=rngs) for size in sizes])

    def __call__(self, x: Any) -> Any:
        """Classes of rows."""
        for layer in self.layers[:-1]:
            x = nnx.relu(layer(x))
        return self.layers[-1](x)


class Conv(nnx.Module):
    """Three convolutions, and one layer."""

    def __init__(self, width: int, classes: int, rngs: nnx.Rngs):
        sizes = (3, width), (width, 2 * width), (2 * width, 2 * width)
        self.layers = nnx.List([nnx.Conv(*size, (3, 3), padding="SAME", rngs=rngs) for size in sizes])
        self.head = nnx.Linear(2 * width * 4 * 4, classes, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        """Classes of pictures, channels first as the data has them and last where flax wants them."""
        x = x.transpose(0, 2, 3, 1)
        for layer in self.layers:
            x = nnx.max_pool(nnx.relu(layer(x)), (2, 2), (2, 2))
        return self.head(x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1))


class Block(nnx.Module):
    """Attention and two layers."""

    def __init__(self, width: int, heads: int, rngs: nnx.Rngs):
        self.heads = heads
        self.ln1, self.ln2 = (nnx.LayerNorm(width, epsilon=1e-5, rngs=rngs) for _ in range(2))
        self.qkv, self.out = nnx.Linear(width, 3 * width, rngs=rngs), nnx.Linear(width, width, rngs=rngs)
        self.up, self.down = nnx.Linear(width, 4 * width, rngs=rngs), nnx.Linear(4 * width, width, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        """What came in and what is added."""
        b, t, width = x.shape
        q, k, v = jnp.moveaxis(self.qkv(self.ln1(x)).reshape(b, t, 3, self.heads, -1), 2, 0)
        x = x + self.out(jax.nn.dot_product_attention(q, k, v, is_causal=True).reshape(b, t, width))
        return x + self.down(nnx.gelu(self.up(self.ln2(x)), approximate=False))


class Gpt(nnx.Module):
    """A decoder."""

    def __init__(self, layers: int, width: int, heads: int, words: int, steps: int, rngs: nnx.Rngs):
        self.position = nnx.Param(jnp.zeros((1, steps, width)))
        self.embed = nnx.Embed(words, width, rngs=rngs)
        self.blocks = nnx.List([Block(width, heads, rngs) for _ in range(layers)])
        self.norm = nnx.LayerNorm(width, epsilon=1e-5, rngs=rngs)
        self.head = nnx.Linear(width, words, use_bias=False, rngs=rngs)

    def __call__(self, ids: Any) -> Any:
        """The next word at each place."""
        x = self.embed(ids) + self.position[...]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


KINDS = {"mlp": Mlp, "conv": Conv, "gpt": Gpt}
LISTS = {"mlp": {"0": "layers.0", "2": "layers.1", "4": "layers.2"},
         "conv": {"0": "layers.0", "3": "layers.1", "6": "layers.2", "10": "head"}, "gpt": {}}  # fmt: skip


def model(row: Row) -> Any:
    """With the numbers that all begin with, in flax's own layout."""
    made = KINDS[row.kind](**row.size, rngs=nnx.Rngs(0))
    for name, x in weights(row).items():
        place, _, last = name.rpartition(".")
        first, dot, rest = place.partition(".")
        owner: Any = made
        for part in (LISTS[row.kind].get(first, first) + dot + rest).split(".") if place else ():
            owner = owner[int(part)] if part.isdigit() else getattr(owner, part)
        if isinstance(owner, nnx.Embed):
            last = "embedding"
        elif isinstance(owner, nnx.LayerNorm) and last == "weight":
            last = "scale"
        elif last == "weight":
            last, x = "kernel", x.T if x.ndim == 2 else x.transpose(2, 3, 1, 0)
        param = getattr(owner, last)
        assert param[...].shape == x.shape, name
        param[...] = jnp.asarray(np.ascontiguousarray(x))
    return made


def loss_of(model: Any, x: Any, target: Any) -> jax.Array:
    out = model(x)
    return optax.softmax_cross_entropy_with_integer_labels(out.reshape(-1, out.shape[-1]), target).mean()


def step(row: Row, form: str) -> Run:
    x, target = map(jnp.asarray, batch(row))
    return _nnx(row, x, target) if form == "nnx.jit" else _split(row, x, target)


def _nnx(row: Row, x: Any, target: Any) -> Run:
    @nnx.jit
    def update(model: Any, optimizer: Any) -> jax.Array:
        loss, grads = nnx.value_and_grad(loss_of)(model, x, target)
        optimizer.update(model, grads)
        return loss

    graph, first = nnx.split(model(row))

    def run(steps: int) -> jax.Array:
        made = nnx.merge(graph, jax.tree.map(jnp.array, first))
        optimizer = nnx.Optimizer(made, optax.sgd(LR, MOMENTUM), wrt=nnx.Param)
        return jnp.stack([update(made, optimizer) for _ in range(steps)])

    return run


def _split(row: Row, x: Any, target: Any) -> Run:
    """As flax's guide on speed has it: the module is taken apart once, and the step is a function of arrays."""
    optimizer = optax.sgd(LR, MOMENTUM)
    graph, first = nnx.split(model(row))

    @jax.jit
    def update(params: Any, state: Any) -> Any:
        loss, grads = jax.value_and_grad(lambda params: loss_of(nnx.merge(graph, params), x, target))(params)
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state, loss

    def run(steps: int) -> jax.Array:
        params, losses = first, []
        state = optimizer.init(params)
        for _ in range(steps):
            params, state, loss = update(params, state)
            losses.append(loss)
        return jnp.stack(losses)

    return run
