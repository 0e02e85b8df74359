"""A GPT that writes Python's documentation, character by character; its loss is drawn to an SVG beside it.

Run `python examples/char_gpt.py --steps 1000`.

The text is what `help()` shows. The twin in PyTorch is char_gpt_torch.py; both start from the same weights, those of
`torch.manual_seed(seed)`.
"""

from functools import partial
from pathlib import Path
from pydoc_data.topics import topics

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax import lax

from fnlearn import files, nn, optim, random, train
from fnlearn import functional as F

LR, BATCH, BLOCK = 3e-3, 16, 64
CURVE = Path(__file__).with_suffix(".svg")
EVERY = 50  # steps between two looks at the validation text
LETTERS = "\n" + "".join(map(chr, range(32, 127)))  # one character each; anything else is "?"


def load():
    """The text as numbers: nine tenths to learn from, one for validation."""
    text = "\n\n".join(topics[name] for name in sorted(topics))
    numbers = np.array([LETTERS.index(c if c in LETTERS else "?") for c in text])
    kept = len(numbers) * 9 // 10
    return numbers[:kept], numbers[kept:]


def windows(text, rng, count):
    """Some passages and what comes after each of their characters: two arrays (count, BLOCK)."""
    rows = rng.integers(0, len(text) - BLOCK, count)[:, None] + np.arange(BLOCK + 1)
    return text[rows[:, :-1]], text[rows[:, 1:]]


def attend(heads, net, x):
    B, T, E = x.shape
    q, k, v = (part.reshape(B, T, heads, -1).swapaxes(1, 2) for part in jnp.split(net.qkv(x), 3, axis=-1))
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # (B, heads, T, E / heads)
    return net.dropout(net.proj(y.swapaxes(1, 2).reshape(B, T, E)))


def work(net, x):
    x = x + net.attention(net.norm1(x))
    return x + net.mlp(net.norm2(x))


def block(size: int, heads: int, dropout: float) -> nn.Layer:
    attention = nn.compose(
        partial(attend, heads),
        qkv=nn.Linear(size, 3 * size, bias=False),
        proj=nn.Linear(size, size),
        dropout=nn.Dropout(dropout),
    )
    mlp = nn.Sequential(nn.Linear(size, 4 * size), nn.GELU(), nn.Linear(4 * size, size), nn.Dropout(dropout))
    return nn.compose(work, norm1=nn.LayerNorm(size), attention=attention, norm2=nn.LayerNorm(size), mlp=mlp)


def forward(net, x):
    x = net.dropout(net.tokens(x) + net.places(jnp.arange(x.shape[1])))  # (B, T, E)
    for layer in net.blocks:
        x = layer(x)
    return net.head(net.norm(x))  # (B, T, letters)


def gpt(size: int = 128, heads: int = 4, layers: int = 3, dropout: float = 0.1) -> nn.Layer:
    return nn.compose(
        forward,
        tokens=nn.Embedding(len(LETTERS), size),
        places=nn.Embedding(BLOCK, size),
        dropout=nn.Dropout(dropout),
        blocks=[block(size, heads, dropout) for _ in range(layers)],
        norm=nn.LayerNorm(size),
        head=nn.Linear(size, len(LETTERS)),
    )


def cross_entropy(logits, y):
    return F.cross_entropy(logits.reshape(-1, len(LETTERS)), y.reshape(-1))


def loss_fn(net, params, buffers, batch, key):
    x, y = batch
    logits, buffers = net.apply(params, buffers, x, train=True, key=key)
    return cross_entropy(logits, y), (buffers, {})


@partial(jax.jit, static_argnames=("net", "count"))
def write(net, params, key, prompt, *, count):
    """A text that begins with the prompt: each character drawn by its probability after the BLOCK before it."""
    start = len(prompt)

    def next_one(tokens, i):
        first = jnp.maximum(i - BLOCK, 0)
        seen = lax.dynamic_slice(tokens, (first,), (BLOCK,))  # what is not written yet is not attended to
        logits, _ = net.apply(params, {}, seen[None])
        drawn = jax.random.categorical(jax.random.fold_in(key, i), logits[0, i - first - 1])
        return tokens.at[i].set(drawn.astype(tokens.dtype)), None

    tokens = jnp.zeros(max(start + count, BLOCK), jnp.int32).at[:start].set(prompt)
    return lax.scan(next_one, tokens, jnp.arange(start, start + count))[0]


def draw(losses, validation, path):
    """The loss at every step, and that of the validation text, as SVG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(np.arange(1, len(losses) + 1), losses, linewidth=0.7, alpha=0.6, label="training")
    axes.plot(*zip(*validation, strict=True), marker=".", label="validation")
    axes.set(xlabel="step", ylabel="loss (nats a character)", title="char_gpt.py")
    axes.grid(alpha=0.3)
    axes.legend()
    with files.replacing(path) as temporary:
        figure.savefig(temporary, format="svg")


def main(steps: int = 1000, seed: int = 0, curve: Path = CURVE) -> tuple[float, float]:
    """Train, draw the loss, write a passage, and return the validation loss before and after.

    Args:
        steps: how many batches are learnt from.
        seed: of the weights, the passages and dropout.
        curve: where the loss is drawn.
    """
    text, kept = load()
    rng = np.random.default_rng(seed)
    net, optimizer = gpt(), optim.adamw(lr=LR, weight_decay=0.1)
    params, buffers = net.init(random.TorchGenerator(seed))
    state = train.TrainState.create(params, optimizer, buffers, jax.random.key(seed))
    step = train.make_step(partial(loss_fn, net), optimizer)
    x, y = windows(kept, np.random.default_rng(0), 256)
    validate = jax.jit(lambda state: cross_entropy(net.apply(state.params, state.buffers, x)[0], y))

    losses: list[float] = []
    validation = [(0, float(validate(state)))]
    while len(losses) < steps:
        batches = windows(text, rng, BATCH * min(EVERY, steps - len(losses)))
        state, history = train.fit(state, step, batches, epochs=1, batch_size=BATCH)
        losses += history["loss"].ravel().tolist()
        validation.append((len(losses), float(validate(state))))
        print(
            f"step {len(losses):5}  loss {history['loss'].mean():.3f}  validation {validation[-1][1]:.3f}", flush=True
        )
    draw(losses, validation, curve)

    prompt = np.array([LETTERS.index(c) for c in "\nThe statement "])
    passage = write(net, state.params, jax.random.key(seed), prompt, count=400)
    print(f"validation loss {validation[0][1]:.3f} → {validation[-1][1]:.3f} nats a character; drawn to {curve}")
    print("".join(LETTERS[c] for c in passage))
    return validation[0][1], validation[-1][1]


if __name__ == "__main__":
    tyro.cli(main)
