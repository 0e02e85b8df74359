"""A decoder's training step compiled for many devices and never run: arrays have shapes and places, and no numbers.

`python -m fnlearn.train.dry_run` reads a request from its standard input, makes as many CPU devices as it asks for, and
writes a line of JSON for each layout. A process of its own, since the number of devices is fixed when JAX starts.
"""

import json
import sys
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import fnlearn.functional as F
from fnlearn import optim
from fnlearn.train import sharding
from fnlearn.train.collectives import collectives
from fnlearn.train.state import TrainState
from fnlearn.train.step import Step, make_step

# Megatron's cut: what goes into a block is split by its outputs, what comes out by its inputs; vocabulary by words.
RULES = (
    (r"blocks\.(q|k|v|gate|up)$", PartitionSpec(None, "model")),
    (r"blocks\.(o|down)$", PartitionSpec(None, None, "model")),
    (r"(embed|head)$", PartitionSpec("model")),
)


QUICK = {"xla_backend_optimization_level": 0}  # of the machine's code, which never runs


class Decoder(NamedTuple):
    """The size of a decoder of the Llama family; seven billion parameters when nothing is given.

    Args: layers, width, heads, hidden (of the gated layers), words, steps (tokens of a sequence): as usual.
    Raises: nothing.
    """

    layers: int = 32
    width: int = 4096
    heads: int = 32
    hidden: int = 11008
    words: int = 32000
    steps: int = 2048


def shapes(size: Decoder) -> dict[str, Any]:
    """The parameters, equal layers stacked along the first dimension so that one loop runs over them."""
    count, width, hidden = size.layers, size.width, size.hidden
    square = {name: (count, width, width) for name in "qkvo"}
    gated = {"gate": (count, hidden, width), "up": (count, hidden, width), "down": (count, width, hidden)}
    norms = {"norm1": (count, width), "norm2": (count, width)}
    made = {
        "embed": (size.words, width),
        "blocks": square | gated | norms,
        "norm": (width,),
        "head": (size.words, width),
    }
    is_shape = lambda x: isinstance(x, tuple)  # noqa: E731
    return jax.tree.map(lambda shape: jax.ShapeDtypeStruct(shape, jnp.float32), made, is_leaf=is_shape)


def train_step(size: Decoder, over: Mesh) -> Step:
    """A step of AdamW, each block's activations computed again for the gradient."""
    rows = "data" if "data" in over.shape else None

    def held(x: jax.Array) -> jax.Array:
        """Rows stay where the batch's are: else XLA may split features, and send activations instead of weights."""
        return jax.lax.with_sharding_constraint(x, NamedSharding(over, PartitionSpec(rows)))

    def block(x: jax.Array, p: Mapping[str, jax.Array]) -> tuple[jax.Array, None]:
        b, t, width = x.shape
        h = F.rms_norm(x, (width,), p["norm1"])
        q, k, v = (F.linear(h, p[name]).reshape(b, t, size.heads, width // size.heads) for name in "qkv")
        attended = jax.nn.dot_product_attention(q, k, v, is_causal=True)  # one product for all rows and heads
        x = held(x + F.linear(attended.reshape(b, t, width), p["o"]))
        h = F.rms_norm(x, (width,), p["norm2"])
        return held(x + F.linear(F.silu(F.linear(h, p["gate"])) * F.linear(h, p["up"]), p["down"])), None

    def loss_fn(params: Any, buffers: Any, ids: jax.Array, key: Any) -> Any:
        x = held(params["embed"][ids[:, :-1]])
        x, _ = jax.lax.scan(jax.checkpoint(block), x, params["blocks"])
        logits = F.linear(F.rms_norm(x, (size.width,), params["norm"]), params["head"])
        return F.cross_entropy(logits.reshape(-1, size.words), ids[:, 1:].reshape(-1)), (buffers, {})

    return make_step(loss_fn, optim.adamw(1e-4))


def dry_run(size: Decoder, axes: Mapping[str, int], fsdp: str | None, rows: int) -> dict[str, Any]:
    """Compile the step for a mesh and read what it needs.

    Args: size: the decoder. axes: of the mesh. fsdp: the axis over which all is split, or None. rows: sequences that
        each part of the axis "data" has.
    Returns: bytes of one device (state, temporary), bytes that it sends in a step by kind, how often, seconds.
    Raises: ValueError when a dimension does not divide.
    """
    over = sharding.mesh(axes)
    state = jax.eval_shape(lambda params: TrainState.create(params, optim.adamw(1e-4)), shapes(size))
    places = sharding.layout(state, over, RULES if "model" in axes else (), fsdp)
    put = lambda x, place: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place)  # noqa: E731
    batch_at = sharding.batches(over, "data" if "data" in axes else ())
    ids = jax.ShapeDtypeStruct((rows * axes.get("data", 1), size.steps + 1), jnp.int32, sharding=batch_at)
    begin = time.perf_counter()
    step = sharding.jitted(train_step(size, over), places)
    compiled = step.lower(jax.tree.map(put, state, places), ids).compile(QUICK)
    memory = compiled.memory_analysis()
    sent: dict[str, float] = {}
    count: dict[str, int] = {}
    for each in collectives(compiled):
        sent[each.kind] = sent.get(each.kind, 0.0) + each.sent
        count[each.kind] = count.get(each.kind, 0) + each.times
    return {"state_bytes": memory.argument_size_in_bytes, "temporary_bytes": memory.temp_size_in_bytes, "sent": sent,
            "count": count, "seconds": time.perf_counter() - begin}  # fmt: skip


def main() -> None:
    """Answer the request."""
    request = json.loads(sys.stdin.read())
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", request["devices"])
    for axes, fsdp in request["layouts"]:
        try:
            found = dry_run(Decoder(*request["decoder"]), axes, fsdp, request["rows"])
        except (ValueError, RuntimeError) as error:  # one that does not divide or compile leaves the others
            found = {"error": " ".join(str(error).split())[:300]}
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
