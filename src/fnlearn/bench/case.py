"""What is measured, as plain data, and where both sides start from."""

import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from fnlearn.bench.models import MODELS, Model

DTYPES = ("float32", "bfloat16", "float16")
LR = 1e-3
Result = dict[str, Any]  # plain data, as it is written to JSON
Step = Callable[[], Any]  # one training step, whose loss may still be on its way


class Case(NamedTuple):
    """One training step to measure.

    Args: model: its name. scale: "tiny", "cpu" or "accelerator". batch: rows. dtype: in which the model is computed.
    Raises: nothing.
    """

    model: str
    scale: str
    batch: int
    dtype: str


def cases(
    scale: str, models: tuple[str, ...] = (), batches: tuple[int, ...] = (), dtypes: tuple[str, ...] = ()
) -> list[Case]:
    """Which steps are measured, the most telling first: every model once in every dtype, then the other batch sizes.

    Args: scale: "tiny", "cpu" or "accelerator". models: names; all when left out. batches: rows; each model's own when
        left out. dtypes: of `DTYPES`; float32, and on an accelerator bfloat16, when left out.
    Returns: the cases, in the order in which they are measured.
    Raises: ValueError for a model, a batch size or a dtype that there is not.
    """
    known = {model.name: model for model in MODELS}
    if unknown := [name for name in models if name not in known]:
        raise ValueError(f"there is no model {unknown[0]}; the models are {', '.join(known)}")
    if unknown := [name for name in dtypes if name not in DTYPES]:
        raise ValueError(f"dtypes must be among {', '.join(DTYPES)}, got {unknown[0]}")
    if batches and min(batches) < 1:
        raise ValueError(f"batch sizes must be at least 1, got {min(batches)}")
    chosen = [known[name] for name in models or known]
    kinds = dtypes or (("float32", "bfloat16") if scale == "accelerator" else ("float32",))
    sizes = {model.name: batches or model.batches[scale] for model in chosen}
    longest = max(map(len, sizes.values()))
    return [
        Case(model.name, scale, sizes[model.name][place], dtype)
        for place in range(longest) for dtype in kinds for model in chosen if place < len(sizes[model.name])
    ]  # fmt: skip


def model_of(case: Case) -> tuple[Model, Mapping[str, int]]:
    """The model of a case and its size."""
    model = next(model for model in MODELS if model.name == case.model)
    return model, model.sizes[case.scale]


def batch(case: Case) -> tuple[Any, Any]:
    """Input and target of a case: the same numbers at every call."""
    model, size = model_of(case)
    return model.data(np.random.default_rng(0), case.batch, **size)


def start(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """What a parameter begins with, on both sides: by its name, so that the order does not matter.

    Matrices and kernels are normal numbers with a variance of 1 / inputs; in a vector there are ones where it scales,
    and zeros where it is added.
    """
    if len(shape) < 2:
        return np.full(shape, float(name.endswith("weight")), np.float32)
    numbers = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape, np.float32)
    return numbers / np.float32(np.sqrt(np.prod(shape[1:])))
