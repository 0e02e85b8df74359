"""What poisons a comparison before there is any number to compare."""

from collections.abc import Iterator, Mapping
from typing import Any

import jax

from fnlearn.equivalence import torch_side
from fnlearn.equivalence.answer import Answer
from fnlearn.equivalence.compare import compare
from fnlearn.equivalence.pair import Pair
from fnlearn.tree import flatten

EXACT = ("highest", "float32", "bfloat16_bf16_bf16_x6")  # what JAX calls products of float32 as they are


def setup(both: Pair, data: tuple[Any, Any] | None = None) -> Answer:
    """Whether the two sides start from the same place; to be asked before any other question.

    Args: both: a `Pair`. data: the batches that torch's and JAX's own loader give, if they are to be compared.
    Returns: an `Answer`. Its leaves are the weights, which must be equal to the last bit. Problems are keys that one
        side lacks, shapes, dtypes and data that differ, precision below float32 in products, a float64 module without
        JAX's x64, and modules of which a part is in training; notes are layers of dropout.
    Raises: nothing.
    """
    facts = torch_side.facts(both.module)
    params, buffers = dict(both.names(both.params)), _saved(both)
    own, kept = torch_side.weights(both.module)
    problems = [*_unlike("parameter", facts.params, params), *_unlike("buffer", facts.buffers, buffers)]
    shared = {name: x for name, x in {**own, **kept}.items() if name in params or name in buffers}
    mine = {name: params[name] if name in params else buffers[name] for name in shared}
    leaves = [leaf for name in shared for leaf in compare({name: shared[name]}, {name: mine[name]})]
    problems += [f"{leaf.name}: not the same numbers, by up to {leaf.max_abs:.3g}" for leaf in leaves if leaf.max_abs]
    if data is not None:
        problems += _other_data(*data)
    problems += [*facts.problems, *_precision()]
    return Answer("setup", tuple(leaves), tuple(problems), facts.notes, problems[0] if problems else "")


def fits(both: Pair) -> bool:
    """Whether parameters and buffers have the same names and shapes, without which nothing else can be asked."""
    facts = torch_side.facts(both.module)
    theirs = {name: shape for name, (shape, _) in {**facts.params, **facts.buffers}.items()}
    mine = {**both.names(both.params), **_saved(both)}
    return theirs == {name: tuple(x.shape) for name, x in mine.items()}


def _saved(both: Pair) -> dict[str, Any]:
    own = flatten(both.buffers)
    return torch_side.without_constants(both.module, own, own)


def _unlike(kind: str, expected: Mapping[str, Any], actual: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{kind} missing on the JAX side: {name}" for name in expected if name not in actual)
    yield from (f"{kind} unexpected on the JAX side: {name}" for name in actual if name not in expected)
    for name, (shape, dtype) in expected.items():
        mine = actual.get(name)
        if mine is not None and tuple(mine.shape) != shape:
            yield f"{name}: shapes differ, PyTorch {shape}, JAX {tuple(mine.shape)}"
        elif mine is not None and "float" in dtype and dtype != str(mine.dtype):
            yield f"{name}: dtypes differ, PyTorch {dtype}, JAX {mine.dtype}"


def _other_data(theirs: Any, mine: Any) -> Iterator[str]:
    try:
        leaves = compare(theirs, mine)
    except ValueError as error:
        yield f"data: {error}"
        return
    yield from (f"data.{leaf.name}: {leaf.verdict}, by up to {leaf.max_abs:.3g}" for leaf in leaves if leaf.max_abs)


def _precision() -> Iterator[str]:
    asked = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]
    if asked not in EXACT and (asked is not None or jax.default_backend() != "cpu"):
        yield f"JAX multiplies float32 with less precision: jax_default_matmul_precision is {asked}"
