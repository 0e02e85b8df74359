"""What poisons a comparison before there is any number to compare."""

from collections.abc import Iterator, Mapping
from typing import Any

import jax

from fnlearn.equivalence.answer import Answer
from fnlearn.equivalence.compare import compare
from fnlearn.equivalence.pair import Pair, has_x64
from fnlearn.tree import as_numpy, flatten

EXACT = ("highest", "float32", "bfloat16_bf16_bf16_x6")  # what JAX calls products of float32 as they are


def setup(both: Pair, data: tuple[Any, Any] | None = None) -> Answer:
    """Whether the two sides start from the same place; to be asked before any other question.

    Args: both: a `Pair`. data: the batches that torch's and JAX's own loader give, if they are to be compared.
    Returns: an `Answer`. Its leaves are the weights, which must be equal to the last bit. Problems are keys that one
        side lacks, shapes, dtypes and data that differ, precision below float32 in products, a float64 module without
        JAX's x64, and modules of which a part is in training; notes are layers of dropout.
    Raises: nothing.
    """
    params, buffers = dict(both.names(both.params)), flatten(both.buffers)
    saved = both.module.state_dict()
    own = dict(both.module.named_parameters())
    kept = {name: b for name, b in both.module.named_buffers() if name in saved}
    problems = [*_unlike("parameter", own, params), *_unlike("buffer", kept, buffers)]
    shared = {name: x for name, x in {**own, **kept}.items() if name in params or name in buffers}
    mine = {name: params[name] if name in params else buffers[name] for name in shared}
    leaves = [leaf for name in shared for leaf in compare({name: shared[name].detach()}, {name: mine[name]})]
    problems += [f"{leaf.name}: not the same numbers, by up to {leaf.max_abs:.3g}" for leaf in leaves if leaf.max_abs]
    if data is not None:
        problems += _other_data(*data)
    problems += [*_precision(both.module), *_modes(both.module)]
    return Answer("setup", tuple(leaves), tuple(problems), tuple(_dropout(both.module)))


def _unlike(kind: str, expected: Mapping[str, Any], actual: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{kind} missing on the JAX side: {name}" for name in expected if name not in actual)
    yield from (f"{kind} unexpected on the JAX side: {name}" for name in actual if name not in expected)
    for name, value in expected.items():
        mine = actual.get(name)
        if mine is not None and tuple(mine.shape) != tuple(value.shape):
            yield f"{name}: shapes differ, PyTorch {tuple(value.shape)}, JAX {tuple(mine.shape)}"
        elif mine is not None and value.is_floating_point() and as_numpy(value).dtype != mine.dtype:
            yield f"{name}: dtypes differ, PyTorch {str(value.dtype).removeprefix('torch.')}, JAX {mine.dtype}"


def _other_data(theirs: Any, mine: Any) -> Iterator[str]:
    try:
        leaves = compare(theirs, mine)
    except ValueError as error:
        yield f"data: {error}"
        return
    yield from (f"data.{leaf.name}: {leaf.verdict}, by up to {leaf.max_abs:.3g}" for leaf in leaves if leaf.max_abs)


def _precision(module: Any) -> Iterator[str]:
    import torch

    dtypes = {str(p.dtype).removeprefix("torch.") for p in module.parameters() if p.is_floating_point()}
    if "float64" in dtypes and not has_x64():
        yield "the module is float64, but JAX's x64 is off: set jax_enable_x64, or its arrays become float32"
    if len(dtypes) > 1:
        yield f"the module's parameters have several dtypes: {sorted(dtypes)}"
    asked = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]
    if asked not in EXACT and (asked is not None or jax.default_backend() != "cpu"):
        yield f"JAX multiplies float32 with less precision: jax_default_matmul_precision is {asked}"
    if (precision := torch.get_float32_matmul_precision()) != "highest":
        yield f"torch multiplies float32 with less precision: torch.get_float32_matmul_precision() is {precision}"
    on_gpu = any(p.is_cuda for p in module.parameters())
    if on_gpu and torch.backends.cudnn.allow_tf32:
        yield "torch convolves in TF32: set torch.backends.cudnn.allow_tf32 = False"


def _modes(module: Any) -> Iterator[str]:
    modes = {name: part.training for name, part in module.named_modules()}
    other = [name for name, training in modes.items() if training != module.training]
    if other:
        state = "in training" if module.training else "in evaluation"
        yield f"the module is {state}, but parts of it are not: {', '.join(other)}"


def _dropout(module: Any) -> Iterator[str]:
    for name, part in module.named_modules():
        p = getattr(part, "p", None) if "Dropout" in type(part).__name__ else getattr(part, "dropout", None)
        if isinstance(p, int | float) and not isinstance(p, bool) and p > 0:
            yield f"{name or type(part).__name__} drops numbers in training, p = {p}"
