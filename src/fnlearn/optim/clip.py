"""Gradients kept within bounds."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnlearn.functional.vector_norm import vector_norm

Norm = float | str


def get_total_norm(tensors: Any, norm_type: Norm = 2.0, error_if_nonfinite: bool = False) -> jax.Array:
    """The norm of the norms of all leaves, as if they were one vector.

    Torch: `torch.nn.utils.get_total_norm`.
    Shape: any tree of arrays → ().
    Args: tensors: gradients. norm_type: the power, or "inf" or "-inf". error_if_nonfinite: refuse one that is not
        finite.
    Raises: ValueError when it is not finite and is to be refused.
    Differs: within `jax.jit`, where values are unknown, nothing is refused.
    Source: `torch.nn.utils.clip_grad`.
    """
    leaves = jax.tree.leaves(tensors)
    order = float(norm_type)
    if not leaves:
        return jnp.zeros(())
    norms = [_norm(_wide(x).ravel(), order) for x in leaves]
    dtype = max((x.dtype for x in norms), key=lambda d: jnp.finfo(d).bits)
    total = _norm(jnp.stack([x.astype(dtype) for x in norms]), order)
    if error_if_nonfinite and not isinstance(total, jax.core.Tracer) and not np.isfinite(total):
        raise ValueError(f"the gradients' norm of order {norm_type} must be finite to be clipped, got {total}")
    return total


def clip_grad_norm(
    gradients: Any, max_norm: float, norm_type: Norm = 2.0, error_if_nonfinite: bool = False
) -> tuple[Any, jax.Array]:
    """The gradients times min(1, max_norm / (norm + 1e-6)), and the norm that they had.

    Torch: `torch.nn.utils.clip_grad_norm_`.
    Shape: any tree of arrays → the same, and ().
    Args: gradients: of all parameters. max_norm: the greatest norm. norm_type, error_if_nonfinite: as for
        `get_total_norm`.
    Raises: as `get_total_norm`.
    Differs: the gradients given stay as they are. `optax.clip_by_global_norm` has no 1e-6, and norm_type 2 alone.
    Source: Pascanu et al.: On the Difficulty of Training Recurrent Neural Networks (2013).
    """
    norm = get_total_norm(gradients, norm_type, error_if_nonfinite)
    share = jnp.minimum(max_norm / (norm + 1e-6), 1.0)
    return jax.tree.map(lambda g: g * share.astype(g.dtype), gradients), norm


def clip_grad_value(gradients: Any, clip_value: float) -> Any:
    """The gradients with every number between −clip_value and clip_value.

    Torch: `torch.nn.utils.clip_grad_value_`.
    Shape: any tree of arrays → the same.
    Args: gradients: of all parameters, real. clip_value: at least 0.
    Raises: ValueError when clip_value is negative.
    Differs: the gradients given stay as they are.
    Source: `torch.nn.utils.clip_grad`.
    """
    if clip_value < 0:
        raise ValueError(f"clip_value must not be negative, got {clip_value}")
    return jax.tree.map(lambda g: jnp.clip(g, -clip_value, clip_value), gradients)


def _norm(x: jax.Array, order: float) -> jax.Array:
    return vector_norm(x, order, (0,))[0] if x.size else jnp.zeros((), jnp.finfo(x.dtype).dtype)


def _wide(x: Any) -> jax.Array:
    array = jnp.asarray(x)
    return array.astype(jnp.float32) if jnp.finfo(array.dtype).bits < 32 else array
