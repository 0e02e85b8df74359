"""Embedding layers: a table whose rows are learnt."""

from typing import Any

import jax
import jax.numpy as jnp

from fnlearn import functional as F
from fnlearn import random
from fnlearn.functional.typing import ArrayLike, DTypeLike
from fnlearn.nn import init as initial
from fnlearn.nn.layer import Layer, Tree


def Embedding(
    num_embeddings: int,
    embedding_dim: int,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
    _weight: ArrayLike | None = None,
    _freeze: bool = False,
    device: None = None,
    dtype: DTypeLike | None = None,
) -> Layer:
    """Rows of a learnt table, one for each index.

    Torch: `torch.nn.Embedding`.
    Shape: (*) → (*, embedding_dim); parameter weight (num_embeddings, embedding_dim).
    Args: num_embeddings, embedding_dim: the table's shape. padding_idx: a row that starts as zeros and has no
        gradient. max_norm, norm_type, scale_grad_by_freq, sparse: as for `fnlearn.functional.embedding`. _weight: the
        table to start from. _freeze: whether the table has no gradient. device: None; JAX places arrays. dtype: of the
        parameter, float32 when left out.
    Raises: ValueError when padding_idx lies outside or _weight has another shape.
    Differs: the initial numbers come from a JAX key; their distribution, N(0, 1), is torch's. With max_norm the rows
        that are returned are scaled and the parameter isn't: `fnlearn.functional.embedding_update` returns it.
    Source: `torch.nn.Embedding`.
    """

    def apply(
        params: Tree, buffers: Tree, input: Any, *, train: bool = False, key: jax.Array | None = None
    ) -> tuple[Any, Tree]:
        weight = jax.lax.stop_gradient(params["weight"]) if _freeze else params["weight"]
        return F.embedding(input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse), buffers

    return Layer(_table((num_embeddings, embedding_dim), padding_idx, _weight, dtype), apply)


def EmbeddingBag(
    num_embeddings: int,
    embedding_dim: int,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    _weight: ArrayLike | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
    device: None = None,
    dtype: DTypeLike | None = None,
) -> Layer:
    """Sum, mean or maximum of the rows of each bag of indices, from a learnt table.

    Torch: `torch.nn.EmbeddingBag`.
    Shape: input (B, L), or (n) with offsets (B) → (B, embedding_dim); parameter weight (num_embeddings, embedding_dim).
    Args: num_embeddings, embedding_dim: the table's shape. max_norm, norm_type, scale_grad_by_freq, mode, sparse,
        include_last_offset, padding_idx: as for `fnlearn.functional.embedding_bag`. _weight: the table to start from.
        device: None; JAX places arrays. dtype: of the parameter, float32 when left out.
    Raises: ValueError when padding_idx lies outside or _weight has another shape.
    Differs: the initial numbers come from a JAX key; their distribution, N(0, 1), is torch's. With max_norm the rows
        that are returned are scaled and the parameter isn't: `fnlearn.functional.embedding_bag_update` returns it.
    Source: `torch.nn.EmbeddingBag`.
    """
    options: dict[str, Any] = {
        "max_norm": max_norm,
        "norm_type": norm_type,
        "scale_grad_by_freq": scale_grad_by_freq,
        "mode": mode,
        "sparse": sparse,
        "include_last_offset": include_last_offset,
        "padding_idx": padding_idx,
    }

    def apply(
        params: Tree,
        buffers: Tree,
        input: Any,
        offsets: Any = None,
        per_sample_weights: Any = None,
        *,
        train: bool = False,
        key: jax.Array | None = None,
    ) -> tuple[Any, Tree]:
        out = F.embedding_bag(input, params["weight"], offsets, per_sample_weights=per_sample_weights, **options)
        return out, buffers

    return Layer(_table((num_embeddings, embedding_dim), padding_idx, _weight, dtype), apply)


def _table(shape: tuple[int, int], padding_idx: int | None, given: ArrayLike | None, dtype: DTypeLike | None) -> Any:
    """The initialiser of a table: normal numbers, with zeros for the padding; or the table that was given."""
    if padding_idx is not None and not -shape[0] <= padding_idx < shape[0]:
        raise ValueError(f"padding_idx must be between {-shape[0]} and {shape[0] - 1}, got {padding_idx}")
    if given is not None and jnp.shape(given) != shape:
        raise ValueError(f"_weight must have shape {shape}, got {jnp.shape(given)}")

    def init(key: jax.Array) -> tuple[Tree, Tree]:
        if given is not None:
            return {"weight": jnp.asarray(given)}, {}
        weight = initial.normal(random.named(key, "weight"), shape, dtype=dtype)
        return {"weight": weight if padding_idx is None else weight.at[padding_idx].set(0)}, {}

    return init
